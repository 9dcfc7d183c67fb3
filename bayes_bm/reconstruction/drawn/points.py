"""Points of a drawn curve in order of time: drops and printed numbers, and what is believed of the gaps between.

Also the corridor: bounds of the number at risk and of the events so far that follow from n, the heights and the
printed numbers alone. Between printed numbers at most the one before, times the fall of survival since, are at risk,
and at least the one after, divided by the fall still to come.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bayes_bm.reconstruction.curve import SAME, Curve, Floats, Ints
from bayes_bm.reconstruction.drawn.steps import CLOCK_DECIMALS, Drops, on_clock
from bayes_bm.reconstruction.patients import staggered

HEAP = 0.05
"""Share of gaps in which many may be censored at once (a data cut, a visit), and of drops in which many die."""
NEIGHBOURS = 15
"""Drops on either side from which the crowding of the clock is judged."""
CROWDED = 0.85
"""Share of cells of the clock in use beyond which it no longer tells how many deaths share one."""
RARELY = 0.02
"""Deaths in one cell of a clock too fine to be seen."""
SLACK = 3.0
"""Events by which rounded heights may miss the corridor."""


@dataclass(frozen=True)
class Point:
    """A drop to survival `value`, or a printed number `value` at risk, and what is known of the gap before it.

    `marks` (ticks,) lie strictly inside the gap; `expected` censorings are expected in it. `mark_here`: a tick in the
    same cell of the time grid, whose censorings may come before or after. `opens`: first of its cell.
    `also`: (time, number) printed in the same cell as a drop, so counted before it or after it.
    `rate`: mean number of deaths in one cell of the study's clock, nan where that is not known.
    """

    is_drop: bool
    time: float
    value: float
    marks: Floats
    expected: float
    mark_here: bool
    opens: bool
    also: tuple[tuple[float, int], ...]
    rate: float

    @property
    def printed(self) -> list[int]:
        """Return the numbers at risk printed here."""
        return [number for _, number in self.also] if self.is_drop else [int(self.value)]


class Corridor(NamedTuple):
    """Least and most at risk, and least and most events so far, after each point (points,)."""

    low: Ints
    high: Ints
    fewest: Ints
    most: Ints


def points_of(curve: Curve, drops: Drops) -> tuple[list[Point], Floats]:
    """Return drops and printed numbers in time order, and the ticks after the last of them."""
    marks, is_exact = _marks(curve, drops)
    cell = 0.0 if is_exact else drops.time_error * (1 + 1e-6)
    also: dict[int, list[tuple[float, int]]] = {}
    rate = deaths_per_cell(drops, curve.axis_max)
    rows = [(float(t), True, float(s), float(r)) for t, s, r in zip(drops.time, drops.survival, rate, strict=True)]
    for t, count in zip(curve.risk_time.tolist(), curve.risk_count.tolist(), strict=True):
        cell_drops = np.flatnonzero(np.abs(drops.time - t) <= cell) if cell else []
        if len(cell_drops):
            also.setdefault(int(cell_drops[0]), []).append((t, count))
        else:
            rows.append((t, False, float(count), np.nan))
    order = sorted(range(len(rows)), key=lambda i: (rows[i][0], rows[i][1]))
    times = np.array([rows[i][0] for i in order])
    apart = np.diff(times) > cell
    shares = _shares_cell(marks, times, cell)
    # on an exact axis a tick at a drop or a printed time follows it: events come first, at risk means time >= t
    side = np.searchsorted(times, marks, side="right")
    here = np.array([cell > 0 and bool((np.abs(marks - t) <= cell).any()) for t in times], bool)
    expected = _expected(curve, drops, times)
    points = []
    for k, i in enumerate(order):
        time, is_drop, value, deaths = rows[i]
        gap_marks = marks[~shares & (side == k)]
        opens = k == 0 or bool(apart[k - 1])
        shared = tuple(also.get(i, ()))
        points.append(Point(is_drop, time, value, gap_marks, float(expected[k]), bool(here[k]), opens, shared, deaths))
    return points, marks[~shares & (side == len(times))]


def _marks(curve: Curve, drops: Drops) -> tuple[Floats, bool]:
    """Return ticks, and whether the times of all that is drawn are known: on the study's clock, as the drops are."""
    marks = np.empty(0) if curve.ticks is None else curve.ticks
    if not drops.clock:
        return marks, False
    nearest = np.round(drops.clock * np.round(marks / drops.clock), CLOCK_DECIMALS)
    is_exact = bool((np.abs(nearest - marks) <= drops.time_error * (1 + 1e-6)).all())
    return np.unique(nearest) if is_exact else marks, is_exact


def _shares_cell(marks: Floats, times: Floats, cell: float) -> NDArray[np.bool_]:
    """Return a mask (ticks,) of those that cannot be told from a point on the time grid."""
    if not len(times) or cell == 0:
        return np.zeros(len(marks), bool)
    return np.abs(marks[:, None] - times).min(axis=1) <= cell


def deaths_per_cell(drops: Drops, axis: float) -> Floats:
    """Return the mean number of deaths in one cell of the study's clock at each drop (drops,), nan where unknown.

    Where a share p of the cells near a drop are in use, Poisson deaths give p = 1 - exp(-rate). Two drops drawn in one
    cell of the figure's grid, or an exact axis without a clock, mean that time is much finer.
    """
    time, count = drops.time, len(drops.time)
    width = drops.clock or 2 * drops.time_error or on_clock(time, SAME * axis)[1]
    if not width or len(np.unique(time)) < count:
        return np.full(count, RARELY)
    first = np.maximum(np.arange(count) - NEIGHBOURS, 0)
    last = np.minimum(np.arange(count) + NEIGHBOURS, count - 1)
    share = (last - first) / np.maximum((time[last] - time[first]) / width, 1.0)
    return np.where(share < CROWDED, np.maximum(-np.log1p(-np.minimum(share, CROWDED)), RARELY), np.nan)


def log_died(dead: Ints, rate: float) -> Floats:
    """Return the log probability of `dead` deaths at a drop.

    The number is Poisson but not 0, or a heap with a tail like 1/d^2; the log probability is 0 where `rate` is nan.
    """
    if np.isnan(rate):
        return np.zeros(len(dead))
    usual = np.exp(dead * np.log(rate) - gammaln(dead + 1.0)) / np.expm1(rate)
    return np.log((1 - HEAP) * usual + HEAP / (dead * (dead + 1.0)))


def log_lost(extra: Ints, expected: Floats | float) -> Floats:
    """Return the log probability of `extra` censorings in a gap.

    The number is geometric about its mean, or a heap with a tail like 1/c^2.
    """
    usual = (1 - HEAP) * (expected / (1 + expected)) ** extra / (1 + expected)
    return np.log(usual + HEAP / ((extra + 1.0) * (extra + 2.0)))


def _expected(curve: Curve, drops: Drops, times: Floats) -> Floats:
    """Return the censorings expected in the gap before each point.

    They follow from the at-risk table, past it from staggered entry.
    """
    edges = np.concatenate([[0.0], times])
    survival = _drawn_survival(drops, edges)
    printed_times = np.concatenate([[0.0], curve.risk_time])
    count = np.concatenate([[curve.n], curve.risk_count]).astype(float)
    alive = _drawn_survival(drops, printed_times, side="left")
    uncensored_count = np.divide(
        count, alive, out=np.zeros_like(count), where=alive > 0
    )  # n times the chance of no censoring
    end = max(drops.end, printed_times[-1]) * (1 + 1e-9)
    rest = printed_times[-1] < end
    uncensored = np.interp(edges, printed_times, np.minimum.accumulate(uncensored_count))
    if rest:
        is_late = edges > printed_times[-1]
        uncensored[is_late] = uncensored_count[-1] * staggered(
            (edges[is_late] - printed_times[-1]) / (end - printed_times[-1])
        )
    return np.maximum(-np.diff(uncensored), 0.0) * survival[:-1] + 1e-3


def _drawn_survival(drops: Drops, times: Floats, side: Literal["left", "right"] = "right") -> Floats:
    """Return survival at these times, or just before them (side "left")."""
    return np.concatenate([[1.0], drops.survival])[np.searchsorted(drops.time, times, side=side)]


def heights(points: list[Point]) -> Floats:
    """Return survival before the first point and after each (points + 1,)."""
    level = [1.0]
    for point in points:
        level.append(point.value if point.is_drop else level[-1])
    return np.array(level)


def open_corridor(points: list[Point], n: int) -> Corridor:
    """Return bounds that exclude nothing."""
    least, most = np.zeros(len(points), np.int64), np.full(len(points), n)
    return Corridor(least, most, least, most)


def corridor(points: list[Point], n: int, events: int | None, error: float) -> Corridor:
    """Return bounds from what is printed, heights known within `error`."""
    level = heights(points)
    low, high = _low(points, level, error), _high(points, n, level, error)
    if events is None:
        return open_corridor(points, n)._replace(low=low, high=high)
    # sums of at risk times hazard, not of whole deaths: errors of rounded heights cancel from one drop to the next
    fall = 1 - level[1:] / np.maximum(level[:-1], error)
    drops = np.cumsum([point.is_drop for point in points])
    few = np.cumsum(low * fall / np.maximum(1 - fall, error))
    many = np.cumsum(np.concatenate([[n], high[:-1]]) * fall)
    fewest = np.maximum(np.maximum(few, drops), events - (many[-1] - many))
    most = np.minimum(many, events - np.maximum(few[-1] - few, drops[-1] - drops))
    return Corridor(low, high, np.floor(fewest - SLACK).astype(np.int64), np.ceil(most + SLACK).astype(np.int64))


def _high(points: list[Point], n: int, level: Floats, error: float) -> Ints:
    """Return the most at risk after each point: a number printed before, and nobody censored since."""
    high, number, last_height = [], n, 1.0
    for point, height, cell_height in zip(points, level[1:], _cell_ends(points, level[1:]), strict=True):
        most = int(number * min((height + error) / max(last_height - error, error), 1.0) + 1e-6)
        if point.printed and min(point.printed) <= most:
            number, last_height = min(point.printed), cell_height
            most = most if point.is_drop else number  # in the cell of a drop others may be censored between the two
        high.append(most)
    return np.array(high, np.int64)


def _cell_ends(points: list[Point], after: Floats) -> list[float]:
    """Return survival after the last drop in the time cell of each point: a number printed there may count them all."""
    ends = after.tolist()
    for k in range(len(points) - 2, -1, -1):
        if not points[k + 1].opens:
            ends[k] = ends[k + 1]
    return ends


def _low(points: list[Point], level: Floats, error: float) -> Ints:
    """Return the least at risk after each point: a number printed later, and everyone lost in between lost at once."""
    low, number, later_height = [], 0, 1.0
    for point, previous, height in zip(points[::-1], level[-2::-1], level[:0:-1], strict=True):
        is_printed = bool(point.printed) and max(point.printed) >= number * height / max(later_height, error)
        if is_printed and not point.is_drop:
            number, later_height = max(point.printed), float(previous)
        low.append(int(np.ceil(number * max(height - error, 0.0) / (later_height + error) - 1e-6)))
        if is_printed and point.is_drop:  # bounds those before, for others may be censored between it and the drop
            number, later_height = max(point.printed), float(previous)
    return np.array(low[::-1], np.int64)
