"""What each step line of a panel is: an arm, a confidence limit, an axis, a reference line, or something untold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.digitizing.figure import Panel
from bayes_bm.digitizing.limits import check_time
from bayes_bm.digitizing.scene import Floats
from bayes_bm.digitizing.steps import StepLine

START = 0.004
START_BY_LABELS = 0.02
"""How far from 1 a curve may start; half a printed width at most figure sizes. Middles of labels may be off by more."""
ANCHORED = "labels, start"
"""Source of an axis without ticks that was moved so that curves start where they must."""
_EARLY = 0.005
"""Share of the axis within which a curve starts at time 0."""
_SMALL = 0.06
"""Share of the panel within which a line that bends is a mark."""


@dataclass(frozen=True, slots=True, eq=False)
class Roles:
    """Hold the step lines of a panel by role.

    Attributes
    ----------
    arms
        Falling lines from (0, 1).
    limits
        Lines that go with an arm as its confidence limits.
    rising
        Lines from (0, 0) upwards: cumulative incidence.
    late
        Falling lines of several steps that do not start at (0, 1).
    level
        Lines without a step from (0, 1): an arm without events, or a line of the grid.
    """

    arms: tuple[StepLine, ...]
    limits: tuple[StepLine, ...]
    rising: tuple[StepLine, ...]
    late: tuple[StepLine, ...]
    level: tuple[StepLine, ...]


def survival(panel: Panel, y: Floats | float) -> Floats:
    """Return proportions at places of the axis of survival."""
    return panel.level.value(y) / (100.0 if panel.percent else 1.0)


def roles(lines: Sequence[StepLine], panel: Panel) -> Roles:
    """Return the step lines of a panel sorted by what they are; marks, axes and reference lines are left out."""
    tolerance = START if panel.level.source in ("ticks", "grid", "given") else START_BY_LABELS
    arms: list[StepLine] = []
    rising: list[StepLine] = []
    late: list[StepLine] = []
    level: list[StepLine] = []
    for line in lines:
        if _is_axis(line, panel) or _is_mark(line, panel):
            continue
        heights, starts_early = survival(panel, line.points[:, 1]), _starts_early(line, panel)
        steps = np.diff(heights)
        falls, rises = int((steps < 0).sum()), int((steps > 0).sum())
        if falls and not rises and starts_early and abs(heights[0] - 1) <= tolerance:
            arms.append(line)
        elif rises and not falls and starts_early and abs(heights[0]) <= 0.05:
            rising.append(line)
        elif not falls and not rises:
            if starts_early and abs(heights[0] - 1) <= tolerance and not _on_frame(line, panel):
                level.append(line)
        elif falls >= 2 and not rises:
            late.append(line)
    limits = _limits(arms, [line for line in lines if line not in arms])
    return Roles(
        arms=tuple(line for line in arms if line not in limits),
        limits=tuple(limits),
        rising=tuple(rising),
        late=tuple(line for line in late if line not in limits),
        level=tuple(level),
    )


def _starts_early(line: StepLine, panel: Panel) -> bool:
    """Return whether a line begins at time 0, or runs along the top until its first step."""
    span = abs(panel.time.value(panel.box.right) - panel.time.value(panel.box.left))
    return bool(abs(panel.time.value(line.points[0, 0])) <= _EARLY * span)


def anchored(panel: Panel, arms: Sequence[StepLine]) -> Panel:
    """Return the panel with axes that stand on labels alone moved so that its curves start at (0, 1).

    The middle of a label lies off its tick by up to the height of its digits, by the same for all labels of an axis.
    """
    starts = np.array([line.points[0] for line in arms])
    if not len(starts) or np.ptp(starts, axis=0).max() > 1e-3 * max(panel.box.width, panel.box.height):
        return panel
    x, y = np.median(starts, axis=0)
    time, level = panel.time, panel.level
    if time.source == "labels":
        time = replace(time, origin=float(x), source=ANCHORED)
    if level.source == "labels":
        level = replace(level, origin=float(y - level.step * (100.0 if panel.percent else 1.0)), source=ANCHORED)
    return replace(panel, time=time, level=level)


def _is_axis(line: StepLine, panel: Panel) -> bool:
    """Return whether a line is part of the frame or an L of both axes."""
    box, slack = panel.box, 0.004 * max(panel.box.width, panel.box.height)
    points = line.points
    at_side = np.minimum(np.abs(points[:, 0] - box.left), np.abs(points[:, 0] - box.right)) <= slack
    at_end = np.minimum(np.abs(points[:, 1] - box.top), np.abs(points[:, 1] - box.bottom)) <= slack
    if len(points) > 2 and (at_side | at_end).all():
        return True
    upright = np.diff(points[:, 0]) == 0
    tall = np.abs(np.diff(points[:, 1])) > 0.9 * np.ptp(panel.level.places)
    return bool((upright & tall & (np.abs(points[:-1, 0] - _origin(panel)) <= 2 * slack)).any()) or bool(
        (upright & tall & at_side[:-1]).any()
    )


def _on_frame(line: StepLine, panel: Panel) -> bool:
    """Return whether a level line is the top of the frame."""
    return bool(abs(line.points[0, 1] - panel.box.top) <= 0.004 * panel.box.height)


def _origin(panel: Panel) -> float:
    """Return x of time 0."""
    return float(panel.time.place(0.0))


def _is_mark(line: StepLine, panel: Panel) -> bool:
    """Return whether a line is no larger than a mark."""
    size = np.ptp(line.points, axis=0)
    return bool((size < _SMALL * np.array([panel.box.width, panel.box.height])).all()) and len(line.points) < 6


def _limits(arms: list[StepLine], others: list[StepLine]) -> list[StepLine]:
    """Return the lines that are confidence limits of another line.

    Limits change at the times of events alone, so their steps lie on those of their arm; one runs above it and one
    below. Two arms never share all times.
    """
    limits: list[StepLine] = []
    lines = [*arms, *(line for line in others if len(line.points) > 3)]
    for middle in arms:
        check_time("curves")
        if middle in limits:
            continue
        partners = [line for line in lines if line is not middle and _shares_steps(line, middle)]
        uppers = [line for line in partners if _side(line, middle) < 0]
        lowers = [line for line in partners if _side(line, middle) > 0]
        pairs = [(one, two) for one in uppers for two in lowers if one.look == two.look]
        for one, two in pairs:
            if middle.look != one.look or middle.colour == one.colour:
                limits.extend(line for line in (one, two) if line not in limits)
    return limits


def _shares_steps(line: StepLine, middle: StepLine) -> bool:
    """Return whether a line is of an arm's colour and steps only where the arm does."""
    if line.colour != middle.colour or len(line.drops) < 1:
        return False
    reach = 2e-4 * (middle.points[-1, 0] - middle.points[0, 0])
    drops = middle.drops
    place = np.clip(np.searchsorted(drops, line.drops), 1, max(len(drops) - 1, 1))
    nearest = np.minimum(
        np.abs(drops[place - 1] - line.drops), np.abs(drops[np.minimum(place, len(drops) - 1)] - line.drops)
    )
    return bool((nearest <= reach).mean() >= 0.95)


def _side(line: StepLine, middle: StepLine) -> int:
    """Return -1 where a line runs above another one throughout, 1 below, 0 where they cross or are equal."""
    places = np.unique(np.concatenate([line.points[:, 0], middle.points[:, 0]]))
    places = (places[1:] + places[:-1]) / 2
    gap = line.level(places) - middle.level(places)
    gap = gap[np.isfinite(gap)]
    slack = 1e-3 * (np.ptp(middle.points[:, 1]) + 1e-9)
    if len(gap) == 0 or np.abs(gap).max() <= slack:
        return 0
    return -1 if (gap <= slack).all() else 1 if (gap >= -slack).all() else 0
