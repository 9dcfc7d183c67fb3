"""Censor marks: small shapes and letters that lie on an arm, whatever draws them, and the times they stand at."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from bayes_bm.digitizing.formats.affine import bounds
from bayes_bm.digitizing.limits import check_time
from bayes_bm.digitizing.scene import Box, Colour, Floats, Scene, Stroke, Text
from bayes_bm.digitizing.steps import StepLine

_LARGEST = 0.07
"""Size of a mark as a share of the panel's larger side."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Hold something small that may be a mark.

    Attributes
    ----------
    kind
        What it looks like: `upright`, `level`, `rising`, `falling`, `plus`, `cross`, `closed`, or a character.
    x, y
        Its middle.
    box
        Around it.
    colour
        Of its ink.
    order
        Place in the drawing: shapes of one arm follow each other.
    """

    kind: str
    x: float
    y: float
    box: Box
    colour: Colour
    order: int

    @property
    def size(self) -> float:
        return max(self.box.width, self.box.height)


def shapes(scene: Scene, box: Box, taken: Iterable[Stroke] = ()) -> list[Shape]:
    """Return the small shapes inside a panel; `taken` are strokes that belong to curves."""
    used = {id(stroke) for stroke in taken}
    largest = _LARGEST * max(box.width, box.height)
    drawn: list[Shape] = []
    strokes = (stroke for stroke in scene.strokes if id(stroke) not in used)
    for _, parts in groupby(strokes, key=lambda stroke: stroke.path):
        check_time("marks")
        shape = _drawn(list(parts), box, largest)
        drawn.extend(shape)
    drawn = _crossed(drawn, 1e-3 * max(box.width, box.height))
    for order, text in enumerate(scene.texts):
        shape = _written(text, order, box, largest)
        drawn.extend([shape] if shape is not None else [])
    return drawn


def _drawn(parts: list[Stroke], box: Box, largest: float) -> list[Shape]:
    """Return the shapes of one path: one where its subpaths share their middle, else one a subpath."""
    boxes = [bounds(part.points) for part in parts]
    kept = [
        (part, frame)
        for part, frame in zip(parts, boxes, strict=True)
        if max(frame.width, frame.height) <= largest and _in(frame.centre, box) and max(frame.width, frame.height) > 0
    ]
    singles = [Shape(_kind(part, frame), *frame.centre, frame, _ink(part), part.path) for part, frame in kept]
    return _crossed(singles, 1e-3 * max(box.width, box.height))


def _in(place: tuple[float, float], box: Box) -> bool:
    slack = 0.01 * max(box.width, box.height)
    return box.left - slack <= place[0] <= box.right + slack and box.top - slack <= place[1] <= box.bottom + slack


def _ink(stroke: Stroke) -> Colour:
    colour = stroke.colour if stroke.colour is not None else stroke.fill
    return colour if colour is not None else (0.0, 0.0, 0.0)


def _kind(stroke: Stroke, box: Box) -> str:
    """Return what a stroke looks like."""
    thin = 0.08 * max(box.width, box.height)
    if box.width <= thin:
        return "upright"
    if box.height <= thin:
        return "level"
    points = stroke.points
    if len(points) == 2:
        return "rising" if (points[1, 0] - points[0, 0]) * (points[1, 1] - points[0, 1]) < 0 else "falling"
    if stroke.fill is not None and stroke.colour is None and 10 <= len(points) <= 14 and _is_plus(points, box):
        return "plus"
    return "closed" if stroke.closed or np.allclose(points[0], points[-1]) else "open"


def _is_plus(points: Floats, box: Box) -> bool:
    """Return whether a polygon of twelve corners is a plus: it touches all four sides near their middles."""
    centre = np.array(box.centre)
    touching = [
        points[np.abs(points[:, axis] - side) < 1e-3 * max(box.width, box.height)][:, 1 - axis]
        for axis, side in ((0, box.left), (0, box.right), (1, box.top), (1, box.bottom))
    ]
    half = np.array([box.height, box.height, box.width, box.width]) / 4
    middles = np.array([centre[1], centre[1], centre[0], centre[0]])
    return all(
        len(place) and np.abs(place - middle).max() < reach
        for place, middle, reach in zip(touching, middles, half, strict=True)
    )


def _crossed(drawn: list[Shape], reach: float) -> list[Shape]:
    """Return shapes in which two strokes that cross in their middles are one plus or one cross."""
    pairs = {frozenset(("upright", "level")): "plus", frozenset(("rising", "falling")): "cross"}
    kept: list[Shape] = []
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for shape in drawn:
        column, row = round(shape.x / reach), round(shape.y / reach)
        close = [index for i in (-1, 0, 1) for j in (-1, 0, 1) for index in cells[column + i, row + j]]
        partner = next((index for index in reversed(close) if _pair(kept[index], shape, reach) in pairs), None)
        if partner is None:
            cells[column, row].append(len(kept))
            kept.append(shape)
        else:
            other = kept[partner]
            kind = pairs[frozenset((other.kind, shape.kind))]
            kept[partner] = replace(other, kind=kind, box=_union(other.box, shape.box))
    return kept


def _pair(first: Shape, second: Shape, reach: float) -> frozenset[str]:
    """Return the kinds of two strokes that may be one mark; empty where they are not of one colour and size."""
    like = first.colour == second.colour and abs(first.size - second.size) < 0.2 * max(first.size, second.size)
    close = abs(first.x - second.x) <= reach and abs(first.y - second.y) <= reach
    return frozenset((first.kind, second.kind)) if like and close else frozenset()


def _union(first: Box, second: Box) -> Box:
    return Box(
        min(first.left, second.left),
        min(first.top, second.top),
        max(first.right, second.right),
        max(first.bottom, second.bottom),
    )


def _written(text: Text, order: int, box: Box, largest: float) -> Shape | None:
    """Return a single character, or an outline that looks like a mark, as a shape."""
    if not _in(text.box.centre, box) or max(text.box.width, text.box.height) > largest:
        return None
    kind = (text.content or "").strip() if text.content is not None else outline_kind(text)
    if len(kind) != 1 and not (text.content is None and kind):
        return None
    x = text.box.centre[0]
    if text.content is not None and text.edges is not None and len(text.edges) and round(text.angle) == 0:
        x = float(text.edges.mean())
    return Shape(f"text {kind}", x, text.box.centre[1], text.box, text.colour, order)


def outline_kind(text: Text) -> str:
    """Return what one glyph of outlines looks like as a mark: `+`, `|`, `o`; empty where it is a letter or several."""
    if text.edges is None or len(text.edges) != 1 or not 1 <= len(text.outlines) <= 2:
        return ""
    points, box = text.outlines[0], text.box
    if box.width < 0.25 * box.height and len(points) <= 6:
        return "|"
    if 11 <= len(points) <= 15 and _is_plus(points, box):
        return "+"
    radii = np.hypot(*(points - box.centre).T)
    return "o" if len(points) > 12 and np.ptp(radii) < 0.1 * radii.max() else ""


@dataclass(frozen=True, slots=True, eq=False)
class MarkSet:
    """Hold the marks of the arms.

    Attributes
    ----------
    times
        For each arm floats (marks,): x of its marks, sorted, each place once; None where no arm has marks.
    shapes
        Those that are marks.
    loose
        Shapes like marks that lie on no arm and no key, inside the panel.
    """

    times: tuple[Floats | None, ...]
    shapes: tuple[Shape, ...]
    loose: tuple[Shape, ...]


def assign(drawn: Sequence[Shape], arms: Sequence[StepLine], box: Box, keys: Sequence[Box], snap: float) -> MarkSet:
    """Return which shapes mark which arm.

    Parameters
    ----------
    found : sequence of Shape
        Small shapes of the panel.
    arms : sequence of StepLine
        Their lines.
    box : Box
        Of the panel.
    keys : sequence of Box
        Of the keys of a legend, whose marks are none of a curve.
    snap : float
        Distance within which a mark that is a character stands at a step: half the rounding of widths of characters.
        Drawn marks are as exact as the curve.
    """
    groups: dict[tuple[object, ...], list[Shape]] = defaultdict(list)
    for shape in drawn:
        if not any(_in_key(shape, key) for key in keys):
            groups[_class(shape)].append(shape)
    places: list[list[tuple[float, float]]] = [[] for _ in arms]
    exact = 2e-5 * box.width
    kept: list[Shape] = []
    loose: list[Shape] = []
    for group in groups.values():
        placed = _placed(group, arms, box)
        on_arms = [shape for shape, arm in placed if arm is not None]
        if not on_arms or len(on_arms) < 0.5 * len(group):
            continue
        for shape, arm in placed:
            if arm is None:
                loose.append(shape)
            else:
                kept.append(shape)
                places[arm].append((shape.x, snap if shape.kind.startswith("text") else min(snap, exact)))
    if not kept:
        return MarkSet(tuple(None for _ in arms), (), ())
    times = tuple(_snapped(sorted(xs), arm, exact) for xs, arm in zip(places, arms, strict=True))
    return MarkSet(times, tuple(kept), tuple(loose))


def _in_key(shape: Shape, key: Box) -> bool:
    height = shape.size
    return key.left - height <= shape.x <= key.right + height and abs(shape.y - key.centre[1]) <= 0.6 * height


def _class(shape: Shape) -> tuple[object, ...]:
    """Return what marks of one arm, or of all, have in common."""
    return shape.kind, shape.colour, round(math.log(max(shape.size, 1e-9)) * 4)


def _placed(group: list[Shape], arms: Sequence[StepLine], box: Box) -> list[tuple[Shape, int | None]]:
    """Return for each shape of one class the arm on which it lies.

    A character's middle may lie above or below the line by the same distance throughout: that shift is what makes most
    of them lie on an arm. Where arms lie on one another the run of marks, which a program draws from left to right for
    one arm after another, decides.
    """
    if group[0].kind in ("level", "open", "rising", "falling") or not arms:
        return [(shape, None) for shape in group]
    same = [index for index, arm in enumerate(arms) if _near(arm.colour, group[0].colour)]
    everything = list(range(len(arms)))
    placed = _on_arms(group, arms, same or everything, box)
    if same and sum(arm is not None for _, arm in placed) < 0.7 * len(group):  # black marks on all arms, one is black
        wider = _on_arms(group, arms, everything, box)
        if sum(arm is not None for _, arm in wider) > 0.9 * len(group):
            return wider
    return placed


def _on_arms(
    group: list[Shape], arms: Sequence[StepLine], candidates: list[int], box: Box
) -> list[tuple[Shape, int | None]]:
    """Return for each shape of one class the arm, of some, on which it lies."""
    spans = np.array([[_span(shape, arms[index]) for index in candidates] for shape in group])
    heights = np.array([shape.y for shape in group])
    reach = max(0.004 * box.height, 0.15 * group[0].size)
    heights = heights - _shift(heights, spans, group[0], reach)
    misses = np.abs(_below(heights, spans))
    fits = misses <= reach
    misses = misses + 0.01 * np.abs(heights[:, None] - spans[:, :, 1])  # at a step, marks stand at its foot
    drawn = np.array([arms[index].strokes[0].path for index in candidates])
    in_turn = not group[0].kind.startswith("text") and bool((drawn > group[0].order).any())
    placed: list[tuple[Shape, int | None]] = []
    for start, end in _runs(group, drawn if in_turn else drawn[:0]):
        score = np.where(fits[start:end], misses[start:end], reach).sum(axis=0)
        later = drawn > group[start].order  # marks follow their own line where lines and marks are drawn in turn
        last = np.where(later, np.inf, -drawn) if in_turn else np.zeros(len(drawn))
        best = int(np.lexsort((score, last, -fits[start:end].sum(axis=0)))[0])
        for row in range(start, end):
            choice = best if fits[row, best] else int(np.argmin(misses[row]))
            placed.append((group[row], candidates[choice] if fits[row].any() else None))
    return placed


def _near(first: Colour, second: Colour) -> bool:
    return max(abs(one - two) for one, two in zip(first, second, strict=True)) < 0.02


def _span(shape: Shape, arm: StepLine) -> tuple[float, float]:
    """Return between which heights an arm's line runs where a shape stands: one height but at a step."""
    points = arm.points
    slack = 1e-3 * (points[-1, 0] - points[0, 0]) + 0.05 * shape.size
    if not points[0, 0] - slack <= shape.x <= points[-1, 0] + slack:
        return math.inf, math.inf
    low = np.searchsorted(points[:, 0], shape.x - slack, side="left")
    high = np.searchsorted(points[:, 0], shape.x + slack, side="right")
    levels = points[max(low - 1, 0) : high, 1]
    return float(levels.min()), float(levels.max())


def _below(heights: Floats, spans: Floats) -> Floats:
    """Return how far (shapes, arms) heights lie below spans (shapes, arms, 2); infinite where an arm is not there."""
    top, bottom = spans[:, :, 0], spans[:, :, 1]
    with np.errstate(invalid="ignore"):
        gaps = np.maximum(heights[:, None] - bottom, 0) + np.minimum(heights[:, None] - top, 0)
    return np.where(np.isfinite(top), gaps, np.inf)


def _shift(heights: Floats, spans: Floats, shape: Shape, reach: float) -> float:
    """Return the distance below the line at which most marks of a class lie: 0 unless they all share another one."""
    gaps = _below(heights, spans)
    nearest = gaps[np.arange(len(gaps)), np.abs(gaps).argmin(axis=1)]
    trials = [0.0, shape.size / 2, -shape.size / 2]
    if shape.kind.startswith("text") and np.isfinite(nearest).any():
        trials.append(float(np.median(nearest[np.isfinite(nearest)])))
    hits = [int((np.abs(_below(heights - trial, spans)).min(axis=1) <= reach).sum()) for trial in trials]
    best = int(np.argmax(hits))
    return trials[best] if hits[best] > 1.2 * hits[0] and abs(trials[best]) <= shape.size else 0.0


def _runs(group: list[Shape], drawn: NDArray[np.int_]) -> list[tuple[int, int]]:
    """Return start and end of runs of shapes drawn from left to right, none of the lines `drawn` between them."""
    cuts = [
        index
        for index in range(1, len(group))
        if group[index].x < group[index - 1].x - 1e-6
        or ((drawn > group[index - 1].order) & (drawn < group[index].order)).any()
    ]
    bounds_of = [0, *cuts, len(group)]
    return list(pairwise(bounds_of))


def _snapped(marks: list[tuple[float, float]], arm: StepLine, exact: float) -> Floats:
    """Return sorted places in which those nearer to a step than their own precision are the step's, each once."""
    places, reach = np.array(marks, float).reshape(-1, 2).T
    drops = arm.drops
    if len(drops) and len(places):
        right = np.clip(np.searchsorted(drops, places), 0, len(drops) - 1)
        left = np.clip(right - 1, 0, None)
        nearer = np.where(np.abs(drops[left] - places) < np.abs(drops[right] - places), drops[left], drops[right])
        places = np.where(np.abs(nearer - places) <= reach, nearer, places)
    places = np.sort(places)
    return places[np.concatenate([[True], np.diff(places) > exact])] if len(places) else places
