"""What a vector figure draws beside its arms: known ink for the check against the figure, and lines without a role."""

from collections.abc import Iterator, Sequence

import numpy as np

from bayes_bm.digitizing.arms import rounded_times
from bayes_bm.digitizing.figure import Finding, OtherInk, Panel, known_ink
from bayes_bm.digitizing.formats.affine import bounds
from bayes_bm.digitizing.legend import Legend
from bayes_bm.digitizing.limits import check_time
from bayes_bm.digitizing.marks import MarkSet
from bayes_bm.digitizing.roles import Roles
from bayes_bm.digitizing.scene import Box, Scene, Stroke, Text
from bayes_bm.digitizing.segments import is_rectangle
from bayes_bm.digitizing.steps import StepLine, copied

_LOOSE = 0.04
"""Length of strokes without a role, as a share of the panel's width, that a mark or two would not have."""
_REFERENCE = 0.1
"""Share of the panel from which a straight line is one of reference: a median, a landmark, a line of the grid."""
_LARGE = 0.15
"""Share of the panel's width from which a line that bends may be a curve; arrows, brackets and marks are smaller."""
_THICK = 0.02
"""Mean thickness of a filled shape, as a share of the panel, from which it is a band and no line."""


def known_strokes(
    scene: Scene,
    panel: Panel,
    kinds: Roles,
    arms: Sequence[StepLine],
    marks: MarkSet,
    said: Legend,
    texts: Sequence[Text],
) -> tuple[OtherInk, ...]:
    """Return the ink that was told apart from arms: limits, reference lines, frames, bands, marks, keys and texts."""
    others = (*kinds.limits, *kinds.rising, *kinds.late)
    lines = [OtherInk("limit", line.points, line.width) for line in others]
    box = panel.box
    taken = {id(stroke) for line in (*arms, *others, *kinds.level) for stroke in line.strokes}
    for stroke in scene.strokes:
        check_time("lines")
        if id(stroke) not in taken and _touches(bounds(stroke.points), box):
            lines.extend(_known(stroke, box))
    shapes = [OtherInk("mark", _ends(shape.box), 0.0) for shape in marks.shapes]
    return (*lines, *shapes, *known_ink((text.box for text in texts), said.keys))


def _known(stroke: Stroke, box: Box) -> Iterator[OtherInk]:
    """Yield what a stroke is that no curve can be: a straight line, a frame, a band."""
    around = bounds(stroke.points)
    if _is_band(stroke, box):
        yield OtherInk("band", stroke.points, 0.0)
    elif is_rectangle(stroke):
        yield OtherInk("reference", np.vstack([stroke.points, stroke.points[:1]]), stroke.width)
    elif _is_straight(around, box) and max(around.width / box.width, around.height / box.height) > _REFERENCE:
        yield OtherInk("reference", _ends(around), stroke.width)


def _ends(box: Box) -> np.ndarray:
    return np.array([[box.left, box.top], [box.right, box.bottom]])


def _touches(part: Box, box: Box) -> bool:
    return part.left < box.right and part.right > box.left and part.top < box.bottom and part.bottom > box.top


def _is_straight(part: Box, box: Box) -> bool:
    """Return whether a stroke runs along an axis."""
    return part.width <= 1e-3 * box.width or part.height <= 1e-3 * box.height


def _is_band(stroke: Stroke, box: Box) -> bool:
    """Return whether a stroke is filled and thicker than a line."""
    if stroke.fill is None or len(stroke.points) < 4:
        return False
    x, y = stroke.points.T
    area = abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2
    around = bounds(stroke.points)
    return area > _THICK * max(box.width, box.height) * max(around.width, around.height)


def roleless_findings(
    scene: Scene, panel: Panel, kinds: Roles, arms: Sequence[StepLine], marks: MarkSet, said: Legend
) -> list[Finding]:
    """Return the questions what lines are that belong to nothing that was read.

    In an arm's colour any stroke counts; in other colours one that bends and is as wide as a curve.
    """
    taken = {id(stroke) for line in (*arms, *kinds.limits, *kinds.late, *kinds.rising) for stroke in line.strokes}
    taken |= copied(scene)
    free = [stroke for stroke in scene.strokes if id(stroke) not in taken]
    found: list[Finding] = []
    for index, arm in enumerate(arms):
        if max(arm.colour) - min(arm.colour) < 0.1:
            continue
        rest = [bounds(stroke.points) for stroke in free if stroke.colour == arm.colour and not stroke.closed]
        loose = [part for part in rest if not _explained(part, panel.box, marks, said)]
        length = sum(part.width + part.height for part in loose) / panel.box.width
        if length > _LOOSE:
            words = f"{len(loose)} lines in an arm's colour ({length:.0%} of the panel's width) belong to nothing read."
            found.append(Finding("strokes_without_role", "question", words, "[[arms]]: through = [[x, y], ...]", index))
    colours = {arm.colour for arm in arms if max(arm.colour) - min(arm.colour) >= 0.1}
    for stroke in free:
        check_time("lines")
        around = bounds(stroke.points)
        if stroke.colour not in colours and _may_be_curve(stroke, panel.box):
            start, end = rounded_times(panel.time.value(np.array([around.left, around.right])), panel)
            words = f"A line from time {start:g} to {end:g} is no step line and was left out: is it a curve?"
            answer = 'accepted = ["line_without_steps"], or corners = [[time, survival], ...] in [[arms]]'
            found.append(Finding("line_without_steps", "question", words, answer))
    return found


def _may_be_curve(stroke: Stroke, box: Box) -> bool:
    """Return whether a stroke without a role bends, is as wide as a curve and lies inside the axes."""
    around = bounds(stroke.points)
    inside = _touches(around, box) and around.width > _LARGE * box.width and not _is_straight(around, box)
    if not inside or is_rectangle(stroke) or _is_band(stroke, box) or len(stroke.points) < 3:
        return False
    across, along = np.abs(np.diff(stroke.points, axis=0)).T
    slanted = np.minimum(across, along) > 1e-3 * np.maximum(across, along)  # axes and frames run along the axes
    length = np.hypot(across, along)
    return bool(length[slanted].sum() > 0.1 * length.sum()) and not (stroke.closed and stroke.fill is None)


def _explained(part: Box, box: Box, marks: MarkSet, said: Legend) -> bool:
    """Return whether a stroke lies outside the panel, is a mark, or a key of the legend."""
    x, y = part.centre
    if not (box.left < x < box.right and box.top < y < box.bottom):
        return True
    size = max(part.width, part.height, 1e-9)
    in_key = any(
        size <= 1.5 * key.width and abs(key.centre[1] - y) <= 0.6 * size and key.left - size <= x <= key.right + size
        for key in said.keys
    )
    on_mark = any(
        size <= 1.5 * shape.size and abs(shape.x - x) <= 0.3 * size and abs(shape.y - y) <= 0.6 * size
        for shape in marks.shapes
    )
    return in_key or on_mark
