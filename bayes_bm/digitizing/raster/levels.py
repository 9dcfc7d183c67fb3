"""From a traced line to its steps below a pixel.

A pen of width w draws a step line s(x) so that the upper edge of its ink at x is s(x - w/2) - w/2 and the lower edge
s(x + w/2) + w/2: both edges are the whole staircase, shifted. Each is measured in every column as a sum of coverage;
together they are two samples of s a pixel, into which the step line with fewest steps is fitted.
"""

from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.raster.ink import Mask
from bayes_bm.digitizing.raster.tracing import Path
from bayes_bm.digitizing.scene import Floats

_LEAST_NOISE = 0.08
"""Pixels: below this the rounding of coverage to bytes and of the pen's corners shows."""
_PENALTY = 12.0
"""Cost of a step in squared standard deviations of a sample."""
_LEAST_DROP = 0.22
"""Pixels: a lower step is noise."""
_TRUST = 2.5
"""Pixels by which an edge may differ from the traced way before it is taken for a mark or another line."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Hold measurements of a step line: places across and down (samples,), in pixels, sorted across."""

    across: Floats
    down: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Staircase:
    """Hold a step line: `levels` (steps + 1,) down, `places` (steps,) across, its end, and the noise of a sample."""

    places: Floats
    levels: Floats
    start: float
    end: float
    noise: float

    def at(self, across: Floats) -> Floats:
        """Return the level (the shape of `across`) behind each place."""
        return self.levels[np.searchsorted(self.places, across, side="right")]


def edge_samples(share: Floats, cover: Floats, path: Path, width: float) -> Samples:
    """Return what both edges of the ink say of a traced line, where nothing else touches them."""
    half = width / 2
    columns = np.arange(path.start, path.end)
    rows = path.rows.astype(int)
    low, high = _ways(path, half)
    parts = []
    for sign in (-1, 1):
        edge, clear = _edge(share, cover, columns, rows, sign, width)
        level = edge - sign * half
        across = columns + 0.5 + sign * half
        way = (low if sign < 0 else high) + 0.5
        near = (level > way[0] - _TRUST) & (level < way[1] + _TRUST)
        good = clear & near & path.seen
        parts.append(np.column_stack([across[good], level[good]]))
    both = np.concatenate(parts)
    order = np.argsort(both[:, 0], kind="stable")
    return Samples(both[order, 0], both[order, 1])


def _ways(path: Path, half: float) -> tuple[Floats, Floats]:
    """Least and largest traced rows (2, columns) near half a width before, and behind, each column."""
    count = len(path.rows)
    index = np.arange(count)
    reach = 2
    sides = []
    for sign in (-1, 1):
        first = np.clip(np.floor(index + sign * half).astype(int) - reach, 0, count - 1)
        last = np.clip(np.ceil(index + sign * half).astype(int) + reach, 0, count - 1)
        sides.append(np.stack([path.rows[first], path.rows[last]]).astype(float))
    return sides[0], sides[1]


def _edge(
    share: Floats, cover: Floats, columns: Floats, rows: Floats, sign: int, width: float
) -> tuple[Floats, Mask]:
    """Places (columns,) of the upper (-1) or lower (1) edge of the ink, and whether they are clear of other ink."""
    reach = int(np.ceil(1.5 * width)) + 10
    steps = np.arange(reach)
    index = rows[:, None] + sign * steps
    outside = (index < 0) | (index >= share.shape[0])
    index = np.clip(index, 0, share.shape[0] - 1)
    profile = np.where(outside, 0.0, share[index, columns[:, None]])
    other = np.where(outside, 0.0, cover[index, columns[:, None]])
    core = np.clip(np.quantile(share[rows, columns], 0.6), 0.4, 1.0)
    below = profile < 0.5 * core
    stop = np.where(below.any(axis=1), below.argmax(axis=1), reach)
    floor_index = np.minimum(stop + 2, reach - 1)
    count = np.arange(len(rows))
    floor = np.minimum(profile[count, floor_index], profile[count, np.minimum(stop + 1, reach - 1)])
    scaled = np.clip((profile - floor[:, None]) / np.maximum(core - floor[:, None], 0.2), 0.0, 1.0)
    inside = steps[None, :] < stop[:, None] + 2
    total = np.where(inside, scaled, 0.0).sum(axis=1)
    touched = np.where(steps[None, :] < stop[:, None] + 2, other, 0.0)
    touched = touched.max(axis=1) > 0.45
    edge = rows + 1 - total if sign < 0 else rows + total
    return edge, (stop > 0) & (stop < reach - 2) & (floor < 0.45) & ~touched


def staircase(samples: Samples, path: Path) -> Staircase | None:
    """Return the step line through samples; None where there are too few."""
    if len(samples.across) < 6:
        return None
    noise = _noise(samples.down)
    weight = np.ones(len(samples.down))
    cuts = _segments(samples.down, weight, _PENALTY * noise**2)
    fitted = _levels(samples.down, weight, cuts)
    off = np.abs(samples.down - np.repeat(fitted, np.diff(cuts)))
    weight = np.where(off > 4 * noise, 0.02, 1.0)
    weight[np.r_[cuts[1:-1], cuts[1:-1] - 1]] = 1.0
    cuts = _segments(samples.down, weight, _PENALTY * noise**2)
    cuts = _falling(samples.down, weight, cuts, max(_LEAST_DROP, 1.5 * noise))
    levels = _levels(samples.down, weight, cuts)
    places = np.array([_place(samples, levels, cut, index, path) for index, cut in enumerate(cuts[1:-1])])
    places = np.maximum.accumulate(places) if len(places) else places
    return Staircase(places, levels, float(path.start), float(path.end), noise)


def _noise(down: Floats) -> float:
    """Standard deviation of a sample, from neighbours on level stretches."""
    gaps = np.abs(np.diff(down, n=2)) / np.sqrt(6.0)
    return max(_LEAST_NOISE, float(1.4826 * np.median(gaps)))


def _segments(down: Floats, weight: Floats, penalty: float) -> Floats:
    """Bounds (segments + 1,) of the level pieces of least squares, each step at a penalty."""
    count = len(down)
    one = np.concatenate([[0.0], np.cumsum(weight)])
    first = np.concatenate([[0.0], np.cumsum(weight * down)])
    second = np.concatenate([[0.0], np.cumsum(weight * down * down)])
    best = np.empty(count + 1)
    best[0] = -penalty
    origin = np.zeros(count + 1, np.int64)
    for stop in range(1, count + 1):
        mass = one[stop] - one[:stop]
        moment = first[stop] - first[:stop]
        loss = second[stop] - second[:stop] - moment * moment / mass
        total = best[:stop] + loss
        origin[stop] = np.argmin(total)
        best[stop] = total[origin[stop]] + penalty
    cuts = [count]
    while cuts[-1] > 0:
        cuts.append(int(origin[cuts[-1]]))
    return np.array(cuts[::-1])


def _levels(down: Floats, weight: Floats, cuts: Floats) -> Floats:
    mass = np.add.reduceat(weight, cuts[:-1])
    return np.add.reduceat(weight * down, cuts[:-1]) / mass


def _falling(down: Floats, weight: Floats, cuts: Floats, least: float) -> Floats:
    """Bounds of pieces that each lie at least `least` below the one before: others are joined."""
    cuts = list(cuts)
    while len(cuts) > 2:
        drops = np.diff(_levels(down, weight, np.array(cuts)))
        worst = int(np.argmin(drops))
        if drops[worst] >= least:
            break
        del cuts[worst + 1]
    return np.array(cuts)


def _place(samples: Samples, levels: Floats, cut: int, index: int, path: Path) -> float:
    """Where a step is: by area between its levels, or where the trace fell if the step could not be seen."""
    across, down = samples.across, samples.down
    before, behind = across[cut - 1], across[cut]
    if behind - before > 3.0:
        return _fall(path, before, behind)
    first, last = max(cut - 3, 0), min(cut + 3, len(across))
    part = np.clip((levels[index + 1] - down[first:last]) / (levels[index + 1] - levels[index]), 0.0, 1.0)
    part[: cut - first - 2], part[cut - first + 2 :] = 1.0, 0.0
    place = across[first:last]
    area = float(np.sum((part[1:] + part[:-1]) / 2 * np.diff(place)))
    return float(np.clip(place[0] + area, before - 1.5, behind + 1.5))


def _fall(path: Path, before: float, behind: float) -> float:
    """Where the traced line falls most between two places; their middle where it does not."""
    first = int(np.clip(before - path.start, 0, len(path.rows) - 1))
    last = int(np.clip(behind - path.start + 1, first + 1, len(path.rows)))
    drops = np.diff(path.rows[first:last])
    if len(drops) == 0 or drops.max() <= 0:
        return (before + behind) / 2
    heavy = np.flatnonzero(drops == drops.max())
    return path.start + first + float(heavy.mean()) + 1.0
