"""From a traced line to its steps below a pixel.

A pen of width w draws a step line s(x) so that the upper edge of its ink at x is s(x - w/2) - w/2 and the lower edge
s(x + w/2) + w/2: both edges are the whole staircase, shifted. Each is measured in every column as a sum of coverage;
together they are two samples of s a pixel, into which the step line with fewest steps is fitted.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.raster.ink import Array, Mask
from bayes_bm.digitizing.raster.tracing import Path

_LEAST_NOISE = 0.12
"""Pixels: below this the rounding of coverage to bytes and of the pen's corners shows."""
_PENALTY = 16.0
"""Cost of a step in squared standard deviations of a sample."""
_LEAST_DROP = 0.4
"""Pixels: a lower step is noise, or the rounding of a program that draws on whole pixels."""
_ROUGH = 0.04
"""Weight of the traced way, good to half a pixel or so, where no edge could be measured."""
_BLUR = 1.45
"""Pixels over which a drop is spread: one of the picture, and a rest."""
_TAIL = 0.25
"""Share of a drop below which its last piece is the rest of its blur."""
_TRUST = 2.5
"""Pixels by which an edge may differ from the traced way before it is taken for a mark or another line."""
_TALLEST = 15
"""Widths of a line over which an edge is looked for beside a drop."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Hold measurements of a step line: columns and rows (samples,), in pixels, sorted by column; their weight."""

    places: Array
    rows: Array
    weight: Array


@dataclass(frozen=True, slots=True, eq=False)
class Staircase:
    """Hold a step line: `levels` (steps + 1,) down, `places` (steps,) across, its end, and the noise of a sample."""

    places: Array
    levels: Array
    start: float
    end: float
    noise: float

    def level(self, places: Array) -> Array:
        """Return the level (the shape of `places`) behind each place."""
        return self.levels[np.searchsorted(self.places, places, side="right")]


def edge_samples(share: Array, cover: Array, path: Path, width: float, *, dashed: bool = False) -> Samples:
    """Return what both edges of the ink say of a traced line, where nothing else touches them."""
    half = width / 2
    columns = np.arange(path.start, path.end)
    rows = path.rows.astype(int)
    low, high = _ways(path, half)
    parts = []
    for sign in (-1, 1):
        edge, clear = _edge(share, cover, columns, rows, sign, width)
        level = edge - sign * half
        places = columns + 0.5 + sign * half
        way = (low if sign < 0 else high) + 0.5
        close = (level > way[0] - _TRUST) & (level < way[1] + _TRUST)
        ends = np.minimum(np.abs(level - way[0]), np.abs(level - way[1])) < _TRUST
        good = clear & close & path.seen
        if dashed:  # between the ends of a tall drop a dash may end, which is no level
            good &= ends | (way[1] - way[0] <= 3 * width)
        parts.append(np.column_stack([places[good], level[good]]))
    measured = np.concatenate(parts)
    rough = _where_unmeasured(path, measured[:, 0], half)
    both = np.concatenate([measured, rough])
    weight = np.concatenate([np.ones(len(measured)), np.full(len(rough), _ROUGH)])
    order = np.argsort(both[:, 0], kind="stable")
    return Samples(both[order, 0], both[order, 1], weight[order])


def _where_unmeasured(path: Path, places: Array, half: float) -> Array:
    """Places of the traced way (columns, 2) where its ink was seen but neither edge could be measured."""
    middles = np.arange(path.start, path.end) + 0.5
    places = np.sort(places)
    index = np.searchsorted(places, middles)
    previous = np.where(index > 0, places[np.maximum(index - 1, 0)] if len(places) else -np.inf, -np.inf)
    following = places[np.minimum(index, len(places) - 1)] if len(places) else np.full(len(middles), np.inf)
    following = np.where(index < len(places), following, np.inf)
    alone = (np.minimum(np.abs(middles - previous), np.abs(following - middles)) > 1.5) & path.seen
    index = np.arange(len(path.rows))
    reach = round(half) + 1
    first, last = np.maximum(index - reach, 0), np.minimum(index + reach, len(path.rows) - 1)
    alone &= path.rows[last] - path.rows[first] <= 6 * half  # in a tall drop the traced row means nothing
    return np.column_stack([middles[alone], path.rows[alone] + 0.5])


def _ways(path: Path, half: float) -> tuple[Array, Array]:
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


def _edge(share: Array, cover: Array, columns: Array, rows: Array, sign: int, width: float) -> tuple[Array, Mask]:
    """Places (columns,) of the upper (-1) or lower (1) edge of the ink, and whether they are clear of other ink."""
    tallest = int(np.diff(rows).max(initial=0))
    reach = int(np.ceil(1.5 * width)) + 10 + min(tallest, int(_TALLEST * width))
    steps = np.arange(reach)
    index = rows[:, None] + sign * steps
    missing = (index < 0) | (index >= share.shape[0])
    index = np.clip(index, 0, share.shape[0] - 1)
    profile = np.where(missing, 0.0, share[index, columns[:, None]])
    other = np.where(missing, 0.0, cover[index, columns[:, None]])
    core = np.clip(np.quantile(share[rows, columns], 0.6), 0.4, 1.0)
    pale = profile < 0.5 * core
    stop = np.where(pale.any(axis=1), pale.argmax(axis=1), reach)
    floor_index = np.minimum(stop + 2, reach - 1)
    count = np.arange(len(rows))
    floor = np.minimum(profile[count, floor_index], profile[count, np.minimum(stop + 1, reach - 1)])
    scaled = np.clip((profile - floor[:, None]) / np.maximum(core - floor[:, None], 0.2), 0.0, 1.0)
    counted = steps[None, :] < stop[:, None] + 2
    total = np.where(counted, scaled, 0.0).sum(axis=1)
    touched = np.where(steps[None, :] < stop[:, None] + 2, other, 0.0)
    touched = touched.max(axis=1) > 0.45
    edge = rows + 1 - total if sign < 0 else rows + total
    return edge, (stop > 0) & (stop < reach - 2) & (floor < 0.45) & ~touched


def staircase(samples: Samples, path: Path, share: Array, width: float) -> Staircase | None:
    """Return the step line through samples; None where there are too few."""
    if len(samples.places) < 6:
        return None
    exact = samples.weight == 1.0
    noise = sample_noise(samples.rows[exact]) if exact.sum() > 5 else 0.5
    weight = samples.weight.copy()
    cuts = _segments(samples.rows, weight, _PENALTY * noise**2)
    fitted = _levels(samples.rows, weight, cuts)
    residual = np.abs(samples.rows - np.repeat(fitted, np.diff(cuts)))
    edge = np.zeros(len(weight), bool)
    edge[np.r_[cuts[1:-1], cuts[1:-1] - 1]] = True
    weight = np.where((residual > 4 * noise) & ~edge, 0.02 * weight, weight)
    cuts = _segments(samples.rows, weight, _PENALTY * noise**2)
    cuts = _falling(samples.rows, weight, cuts, max(_LEAST_DROP, noise))
    steps = _steps(samples, weight, cuts, _BLUR if noise < 0.25 else 2 * _BLUR, width)
    levels = _level_means(samples.rows, weight, steps)
    places = [_place(samples, levels[index : index + 2], step, path) for index, step in enumerate(steps[1:-1])]
    places = [
        _stroke_place(share, place, float(levels[index]), float(levels[index + 1]), width)
        for index, place in enumerate(places)
    ]
    return Staircase(np.maximum.accumulate(np.array(places)), levels, float(path.start), float(path.end), noise)


@dataclass(frozen=True, slots=True)
class _Step:
    """Hold a step: the sample behind the last one of the level before, and the first one of the level behind."""

    stop: int
    start: int


def _steps(samples: Samples, weight: Array, cuts: Array, blur: float, width: float) -> list[_Step]:
    """Steps, with one at each end. Short pieces between two levels are the pixels in which a drop stands, no levels."""
    levels = _levels(samples.rows, weight, cuts)
    steps = [_Step(0, 0)]
    for index in range(1, len(cuts) - 1):
        first, stop = int(cuts[index - 1]), int(cuts[index])
        drop = steps[-1].stop if steps[-1].start == first else first  # a drop takes in the short pieces behind it
        wide = float(samples.places[stop - 1] - samples.places[drop])
        exact = bool((samples.weight[first:stop] == 1.0).all())
        short = index > 1 and wide < blur and stop - drop <= 2 * blur + 1 and exact
        if short and drop < first:
            fall = levels[index] - levels[int(np.searchsorted(cuts, drop)) - 1]
            short = bool(fall > 3 * width or levels[index] - levels[index - 1] < _TAIL * fall)
        steps[-1:] = [_Step(drop, stop)] if short else [steps[-1], _Step(stop, stop)]
    return [*steps, _Step(len(weight), len(weight))]


def _level_means(rows: Array, weight: Array, steps: list[_Step]) -> Array:
    pieces = [slice(one.start, two.stop) for one, two in itertools.pairwise(steps)]
    return np.array([np.average(rows[piece], weights=weight[piece]) for piece in pieces])


def with_last_drop(line: Staircase, share: Array, width: float, zero: float) -> Staircase:
    """Return the line with the drop at its end that no level follows: a stroke down, longer than the one up.

    `zero` is the row of survival 0: a stroke that ends near it ends there.
    """
    end, level = int(line.end), float(line.levels[-1])
    columns = np.arange(max(end - int(width) - 3, 0), min(end + 3, share.shape[1]))
    lower_stroke = _stroke(share, columns, int(level + width / 2 + 1), 1)
    upper_stroke = _stroke(share, columns, int(level - width / 2 - 1), -1)
    best = int(np.argmax(lower_stroke))
    if lower_stroke[best] < max(2 * width, 6.0) or lower_stroke[best] < 1.5 * upper_stroke[best] + width:
        return line
    bottom = level + width / 2 + float(lower_stroke[best])
    bottom = zero if bottom > zero - width - 4 else bottom
    inked = lower_stroke > 0.7 * lower_stroke[best]
    place = float(columns[inked].mean()) + 0.5
    kept = line.places < place - 0.5
    levels = np.concatenate([line.levels[:1], line.levels[1:][kept], [bottom]])
    return Staircase(np.concatenate([line.places[kept], [place]]), levels, line.start, max(line.end, place), line.noise)


def _stroke(share: Array, columns: Array, row: int, way: int) -> Array:
    """Length (columns,) of the ink that runs up or down from a row."""
    part = share[max(row, 0) :, columns] if way > 0 else share[max(row, 0) :: -1, columns]
    if len(part) == 0:
        return np.zeros(len(columns))
    inked = part > 0.45
    return np.where(inked.all(axis=0), len(part), (~inked).argmax(axis=0)).astype(float)


def sample_noise(rows: Array) -> float:
    """Return the standard deviation of a sample from neighbours and from samples 4 pixels apart.

    JPEG noise comes in blocks, so neighbours show too little of it. A curve never rises: a sample that lies above one
    4 pixels before it does so by noise alone, however many steps there are.
    """
    bends = np.abs(np.diff(rows, n=2)) / np.sqrt(6.0)
    close = 1.4826 * float(np.median(bends)) if len(bends) else 0.0
    rises = (rows[:-8] - rows[8:]) / np.sqrt(2.0)
    rises = rises[rises > 0.02]
    wide = 1.4826 * float(np.median(rises)) if len(rises) > 0.1 * len(rows) else 0.0
    return max(_LEAST_NOISE, close, wide)


def _segments(rows: Array, weight: Array, penalty: float) -> Array:
    """Bounds (segments + 1,) of the level pieces of least squares, each step at a penalty."""
    count = len(rows)
    one = np.concatenate([[0.0], np.cumsum(weight)])
    first = np.concatenate([[0.0], np.cumsum(weight * rows)])
    second = np.concatenate([[0.0], np.cumsum(weight * rows * rows)])
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


def _levels(rows: Array, weight: Array, cuts: Array) -> Array:
    mass = np.add.reduceat(weight, cuts[:-1])
    return np.add.reduceat(weight * rows, cuts[:-1]) / mass


def _falling(rows: Array, weight: Array, cuts: Array, least: float) -> Array:
    """Bounds of pieces that each lie at least `least` below the one before: others are joined."""
    kept = [int(cut) for cut in cuts]
    while len(kept) > 2:
        drops = np.diff(_levels(rows, weight, np.array(kept)))
        worst = int(np.argmin(drops))
        if drops[worst] >= least:
            break
        del kept[worst + 1]
    return np.array(kept)


def _place(samples: Samples, levels: Array, step: _Step, path: Path) -> float:
    """Where a step is: by area between its two levels, or where the trace fell if the step could not be seen."""
    places, rows = samples.places, samples.rows
    first, last = step.stop - 1, step.start
    if places[last] - places[first] > 4.0:
        return _fall(path, float(places[first]), float(places[last]))
    part = np.clip((levels[1] - rows[first : last + 1]) / (levels[1] - levels[0]), 0.0, 1.0)
    part[0], part[-1] = 1.0, 0.0
    place = places[first : last + 1]
    return float(place[0] + np.sum((part[1:] + part[:-1]) / 2 * np.diff(place)))


def _stroke_place(share: Array, place: float, high: float, low: float, width: float) -> float:
    """Where a tall drop is: the middle of its stroke between the levels; `place` where there is no such stroke."""
    top, bottom = int(np.ceil(high + width)), int(low - width)
    if bottom - top < 3:
        return place
    first = max(int(place - width - 4), 0)
    profile = share[top:bottom, first : int(place + width + 5)].mean(axis=0)
    profile = np.where(profile > 0.12, profile, 0.0)
    total = float(profile.sum())
    if not 0.6 * width < total < 1.5 * width:
        return place
    return float((profile * (np.arange(len(profile)) + first + 0.5)).sum() / total)


def _fall(path: Path, previous: float, following: float) -> float:
    """Where the traced line falls most between two places; their middle where it does not."""
    first = int(np.clip(previous - path.start, 0, len(path.rows) - 1))
    last = int(np.clip(following - path.start + 1, first + 1, len(path.rows)))
    drops = np.diff(path.rows[first:last])
    if len(drops) == 0 or drops.max() <= 0:
        return (previous + following) / 2
    heavy = np.flatnonzero(drops == drops.max())
    return path.start + first + float(heavy.mean()) + 1.0
