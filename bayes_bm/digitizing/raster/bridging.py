"""What cannot be measured of a line is bridged: the gaps of its dashes, and what other ink hides.

There the line runs from the last level that was measured to the next one, where ink or what hides it allows, and
otherwise as straight as it can: patients die as often in a gap as beside it. It falls by one patient at a time where
numbers at risk say how high that is, else by what the arm's usual drop is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.digitizing.raster.arms import Traced
from bayes_bm.digitizing.raster.ink import Array
from bayes_bm.digitizing.raster.levels import Staircase, usual_drop
from bayes_bm.digitizing.raster.tracing import costs, falling

_MEASURED = 0.2
"""Weight of a sample from which it counts as measured."""
_WIDEST = 1.3
"""Widths of a line between two measured places from which what is between them may be another way."""
_BLURRED = 2.0
"""Pixels beside a gap in which a drop may have been fitted that belongs into it."""
_PULL = 0.015
"""Cost of a pixel off the straight line, in columns without ink."""
_AGREES = 1.0
"""Widths by which a fitted line may be off the bridge before the bridge takes its place."""
_HIDDEN = 0.1
"""Cost of a column where other ink covers the line."""
_CLEAR = 3.0
"""Columns without ink that a bridge must save before it moves a single drop."""
_CLOSEST = 1.0
"""Widths of a line between the drops of a bridge: closer ones would claim what nobody measured."""
_DASHED = ("dashed", "dotted")
_START = 0.3
"""Share of the first stretch of a curve that must be seen."""
_SAME_INK = 12.0
"""Grey values within which two arms have one ink."""
_UNKNOWN = 4.0
"""Pixels of a drop where an arm shows none."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """Hold a stretch that was not measured: the columns between which it lies and the levels at both ends."""

    start: float
    end: float
    high: float
    low: float


def bridged(arm: Traced, top: float, patient: Array | None) -> Traced:
    """Return an arm whose line runs through its unmeasured stretches where it can have run.

    Parameters
    ----------
    arm
        As it was traced and fitted.
    top
        Row of survival 1.
    patient
        Pixels (columns,) of one patient's drop; None where no numbers say it.
    """
    line = arm.line
    gaps = [gap for gap in _gaps(arm, top) if gap.low - gap.high > 1.0]
    if not gaps:
        return arm
    node, stroke = costs(arm.share, arm.cover, arm.width, _HIDDEN)
    if arm.wanted.kind in _DASHED:
        stroke = 0.1 * stroke
    usual = usual_drop(line) or _UNKNOWN
    for gap in gaps:
        middle = int(np.clip((gap.start + gap.end) / 2, 0, arm.share.shape[1] - 1))
        height = usual if patient is None else float(patient[middle])
        line = _with_bridge(line, gap, (node, stroke), max(height, 0.5), arm.width)
    return arm if line is arm.line else replace(arm, line=line)


def unsure(arm: Traced, top: float) -> float:
    """Return how far off the line may be where it was not measured, as a mean over its length, in pixels.

    Between two levels that were measured it may fall at once at either end: half the fall is the mean of that.
    """
    length = max(arm.line.end - arm.line.start, 1.0)
    return sum((gap.end - gap.start) * (gap.low - gap.high) / 2 for gap in _gaps(arm, top)) / length


def starts_hidden(arm: Traced) -> bool:
    """Return whether the first stretch of an arm from (0, 1) on cannot be seen."""
    early = max(6, len(arm.path.rows) // 50)
    return bool(arm.path.seen[:early].mean() < _START)


def exchanged(arm: Traced, others: Sequence[Traced]) -> float:
    """Return how far off the line is where it is another's of its ink, as a mean over its length, in pixels.

    Lines of one ink of which one starts beneath the other, or of which both are dashed, may have been taken for one
    another where they meet.
    """
    others = [other for other in others if other is not arm and _one_ink(arm, other)]
    known = [other for other in others if starts_hidden(arm) or starts_hidden(other) or both_dashed(arm, other)]
    return max((_apart(arm, other) for other in known), default=0.0)


def both_dashed(one: Traced, two: Traced) -> bool:
    """Return whether two lines are dashed in one ink, so that nothing but their way tells one from the other."""
    return _one_ink(one, two) and one.wanted.kind in _DASHED and two.wanted.kind in _DASHED


def _one_ink(one: Traced, two: Traced) -> bool:
    return float(np.abs(one.wanted.colour - two.wanted.colour).max()) < _SAME_INK


def _apart(one: Traced, two: Traced) -> float:
    """Mean distance of two lines over the length of the first, none where the second has ended."""
    columns = np.arange(max(one.line.start, two.line.start), min(one.line.end, two.line.end)) + 0.5
    away = np.abs(one.line.level(columns) - two.line.level(columns)).sum()
    return float(away / max(one.line.end - one.line.start, 1.0))


def _gaps(arm: Traced, top: float) -> list[_Gap]:
    """The stretches between two measured places that are too wide for what lies between to be one drop."""
    samples, line = arm.samples, arm.line
    measured = np.sort(samples.places[samples.weight > _MEASURED])
    measured = measured[(measured > line.start) & (measured < line.end)]
    if len(measured) < 2:
        return []
    places = np.concatenate([[line.start], measured])
    starts, ends = np.maximum(places[:-1] - _BLURRED, line.start), np.minimum(places[1:] + _BLURRED, line.end)
    high, low = line.level(starts), line.level(ends)
    high[0] = min(top, high[0])
    wide = np.flatnonzero(np.diff(places) > max(_WIDEST * arm.width, 4.0))
    return [_Gap(float(starts[i]), float(ends[i]), float(high[i]), float(low[i])) for i in wide.tolist()]


def _with_bridge(line: Staircase, gap: _Gap, cost: tuple[Array, Array], height: float, width: float) -> Staircase:
    """The line with a bridge over a gap, where the fitted line is off it."""
    first, stop = int(np.ceil(gap.start)), int(np.floor(gap.end))
    if stop - first < 3:
        return line
    rows = _way(gap, cost, first, stop)
    middles = np.arange(first, stop) + 0.5
    fitted = line.level(middles)
    if np.abs(fitted - rows).max() <= _AGREES * width:
        return line
    count = max(1, min(round((gap.low - gap.high) / height), int((stop - first) / (_CLOSEST * width))))
    if count == 1 and _price(cost[0], first, fitted) < _price(cost[0], first, rows) + _CLEAR:
        return line  # one drop stands where the fit has put it, unless there is paper around
    share = (np.arange(count) + 0.5) / count
    thresholds = gap.high + share * (gap.low - gap.high)
    reached = (rows[None, :] >= thresholds[:, None]).argmax(axis=1)
    reached = np.where(rows[-1] >= thresholds, reached, len(rows))
    places = first + reached.astype(float)
    levels = gap.high + (np.arange(count) + 1) / count * (gap.low - gap.high)
    left, right = line.places <= gap.start, line.places > gap.end
    start = line.levels[:1] if left.any() or gap.start > line.start else np.array([gap.high])
    new_levels = np.concatenate([start, line.levels[1:][left], levels, line.levels[1:][right]])
    new_places = np.concatenate([line.places[left], np.maximum.accumulate(places), line.places[right]])
    return replace(line, places=new_places, levels=np.maximum.accumulate(new_levels))


def _price(node: Array, first: int, rows: Array) -> float:
    """What the columns from `first` on cost in which a line is in some rows (columns,)."""
    columns = first + np.arange(len(rows))
    return float(node[columns, np.clip(np.floor(rows).astype(int), 0, node.shape[1] - 1)].sum())


def _way(gap: _Gap, cost: tuple[Array, Array], first: int, stop: int) -> Array:
    """Rows (columns,) of the cheapest way between both ends of a gap that is as straight as it can be."""
    node, stroke = cost
    top = int(max(np.floor(gap.high) - 1, 0))
    bottom = int(min(np.ceil(gap.low) + 2, node.shape[1]))
    row = np.arange(top, bottom)
    middles = np.arange(first, stop) + 0.5
    straight = gap.high + (gap.low - gap.high) * (middles - gap.start) / (gap.end - gap.start)
    away = _PULL * np.abs(row[None, :] + 0.5 - straight[:, None])
    price = node[first:stop, top:bottom] + away
    origin = np.empty(price.shape, np.int32)
    total = np.where(np.abs(row + 0.5 - gap.high) <= 1.5, 0.0, 1e6).astype(float)
    for column in range(stop - first):
        total, origin[column] = falling(total, stroke[first + column, top:bottom])
        total = total + price[column]
    column_stroke = stroke[stop - 1, top:bottom]
    last = int(np.argmin(total + np.maximum(column_stroke[-1] - column_stroke, 0.0)))
    rows = np.empty(stop - first)
    for column in range(stop - first - 1, -1, -1):
        rows[column] = row[last] + 0.5
        last = int(origin[column, last])
    return rows
