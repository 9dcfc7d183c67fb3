"""From a traced line to its steps below a pixel.

A pen of width w draws a step line s(x) so that the upper edge of its ink at x is s(x - w/2) - w/2 and the lower edge
s(x + w/2) + w/2: both edges are the whole staircase, shifted. Each is measured in every column as a sum of coverage;
together they are two samples of s a pixel, into which a step line is cut (`cutting`) and fitted (`fitting`).
"""

from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.raster.cutting import Samples, drop_place, fitted_steps, misfit
from bayes_bm.digitizing.raster.fitting import StepCost, refine
from bayes_bm.digitizing.raster.ink import Array, Mask
from bayes_bm.digitizing.raster.tracing import Path

_LEAST_NOISE = 0.12
"""Pixels: below this the rounding of coverage to bytes and of the pen's corners shows."""
_PENALTY = 16.0
"""Cost of a step in squared standard deviations of a sample."""
_PATIENT_PENALTY = 3.0
"""The same where the height of a patient's drop is known: noise makes no drops as tall as that. Measured on PNG and
JPEG of figures with printed numbers at risk: corners are found at 0.72 for 0.67, at the same precision."""
_OF_PATIENT = 0.75
"""Share of one patient's drop below which a drop is none; pixels measure tall ones to a fifth of that."""
_USUAL, _TALL, _FAR_LOWER = 0.25, 4.0, 0.3
"""Quantile of an arm's drops that stands for one patient's where nothing says how high that is, the pixels from which
it does, and the share of it below which a drop is none."""
_LEAST_DROP = 0.4
"""Pixels: a lower step is noise, or the rounding of a program that draws on whole pixels."""
_ROUGH = 0.04
"""Weight of the traced way, good to half a pixel or so, where no edge could be measured."""
_TRUST = 2.5
"""Pixels by which an edge may differ from the traced way before it is taken for a mark or another line."""
_TALLEST = 15
"""Widths of a line over which an edge is looked for beside a drop."""
_SHARP, _SPREAD, _MOST_BLUR = 0.3, 0.6, 0.8
"""Standard deviation of a sharp picture's edges, in pixels; how far an edge is moved by what is above it, at most how
far: a picture that is softer shows something else beside the line."""
_SAME = 1.0
"""Pixels by which the place of a drop by its area may differ from that of the fit, or it is another's."""
_OF_MARK = 0.3
"""Weight of a censor mark's middle: programs put marks on whole pixels."""
_LEAST_MARKED = 10
"""Columns that marks cover from which they say where the line is."""
_MARK_SLACK = 1.6
"""Pixels by which a mark's height may differ from that of the others."""
_LEAST_LEVEL = 20
"""Columns in which a line is level from which its width is measured."""


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
    columns = np.arange(path.start, path.end)
    rows = path.rows.astype(int)
    edges = [_edge(share, cover, columns, rows, sign, width) for sign in (-1, 1)]
    pen = _pen(edges, share, path, width)
    half = pen.half
    low, high = _ways(path, half)
    parts = []
    for sign, (edge, clear) in zip((-1, 1), edges, strict=True):
        level = edge - sign * half
        places = columns + 0.5 + sign * half
        way = (low if sign < 0 else high) + 0.5
        close = (level > way[0] - _TRUST) & (level < way[1] + _TRUST)
        ends = np.minimum(np.abs(level - way[0]), np.abs(level - way[1])) < _TRUST
        good = clear & close & path.seen
        if dashed:  # between the ends of a tall drop a dash may end, which is no level
            good &= ends | (way[1] - way[0] <= 3 * width)
        parts.append(np.column_stack([places[good], level[good], np.ones(good.sum()), np.full(good.sum(), sign)]))
    measured = np.concatenate(parts)
    rough = _where_unmeasured(path, measured[:, 0], half)
    parts.append(np.column_stack([rough, np.full(len(rough), _ROUGH), np.zeros(len(rough))]))
    both = np.concatenate(parts)
    both = both[np.argsort(both[:, 0], kind="stable")]
    return Samples(both[:, 0], both[:, 1], both[:, 2], both[:, 3].astype(int), half, pen.blur)


@dataclass(frozen=True, slots=True)
class _Pen:
    """Hold half the width of a line, and over how far to either side its edges are blurred, in pixels."""

    half: float
    blur: float


def _pen(edges: list[tuple[Array, Mask]], share: Array, path: Path, width: float) -> _Pen:
    """What draws the line, where it is level: half the distance of its edges, and how soft they are."""
    (upper, clear_above), (lower, clear_below) = edges
    reach = int(np.ceil(width / 2)) + 2
    index = np.arange(len(path.rows))
    level = path.rows[np.minimum(index + reach, len(index) - 1)] == path.rows[np.maximum(index - reach, 0)]
    kept = clear_above & clear_below & path.seen & level
    if kept.sum() < _LEAST_LEVEL:
        return _Pen(width / 2, 0.0)
    half = float(np.median(lower[kept] - upper[kept])) / 2
    if not 0.35 * width < half < 0.7 * width:
        return _Pen(width / 2, 0.0)
    across = np.arange(-reach - 2, reach + 3)
    rows = np.clip(path.rows[kept][:, None] + across, 0, share.shape[0] - 1)
    profile = share[rows, (path.start + index[kept])[:, None]]
    middle = ((upper + lower) / 2)[kept][:, None] - 0.5
    spread = (profile * (rows - middle) ** 2).sum(axis=1) / np.maximum(profile.sum(axis=1), 1e-6)
    # a sharp line of this width, seen through a pixel, has the second moment (w^2 + 1) / 12
    blur = np.sqrt(max(float(np.median(spread)) - (4 * half**2 + 1) / 12, 0.0))
    return _Pen(half, float(np.clip(_SPREAD * (blur - _SHARP), 0.0, _MOST_BLUR)))


def with_marks(samples: Samples, shares: tuple[Array, Array], path: Path, half: float) -> Samples:
    """Return samples with the middles of censor marks, whose ink reaches `half` pixels to either side of the line.

    `shares` are the membership of the line's ink and what hides it (rows, columns). Where marks stand close together
    they hide both edges of the line, and their own ends say where it is. The same samples where there are few marks.
    """
    share, cover = shares
    columns, rows = np.arange(path.start, path.end), path.rows.astype(int)
    reach = int(half) + 5
    ends, clear = [], path.seen.copy()
    for sign in (-1, 1):
        index = np.clip(rows[:, None] + sign * np.arange(reach), 0, share.shape[0] - 1)
        profile = share[index, columns[:, None]]
        pale = profile < 0.45
        stop = np.where(pale.any(axis=1), pale.argmax(axis=1), reach)
        ends.append(np.where(np.arange(reach) <= stop[:, None], profile, 0.0).sum(axis=1))
        clear &= (stop < reach - 1) & (cover[index[np.arange(len(rows)), np.minimum(stop, reach - 1)], columns] < 0.45)
    above, below = ends
    low, high = _ways(path, samples.half)
    level = rows + 0.5 + (below - above) / 2
    near = (level > low.min(axis=0) - _TRUST + 0.5) & (level < high.max(axis=0) + _TRUST + 0.5)
    flat = high.max(axis=0) - low.min(axis=0) < half
    good = clear & near & flat & (np.abs(above + below - 1 - 2 * half) < _MARK_SLACK)
    inner = good & np.r_[False, good[:-1]] & np.r_[good[1:], False]
    good = inner | (good & ~np.convolve(inner, np.ones(3), "same").astype(bool))
    if good.sum() < _LEAST_MARKED:
        return samples
    places = columns[good] + 0.5
    kept = (samples.sides != 0) | ~np.isin(samples.places, places)
    joined = [np.concatenate([old[kept], new]) for old, new in (
        (samples.places, places), (samples.rows, level[good]),
        (samples.weight, np.full(good.sum(), _OF_MARK)), (samples.sides, np.zeros(good.sum(), int)),
    )]  # fmt: skip
    order = np.argsort(joined[0], kind="stable")
    placed, measured, weight, sides = (column[order] for column in joined)
    return Samples(placed, measured, weight, sides, samples.half, samples.blur)


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


@dataclass(frozen=True, slots=True, eq=False)
class Drops:
    """Hold what is known of an arm's drops: the lowest (columns,) in pixels, and what a step costs.

    The cost is in squared standard deviations of a sample.
    """

    least: Array
    penalty: float = _PENALTY


def of_patients(height: Array) -> Drops:
    """Return what is known of drops where one patient's height (columns,), in pixels, is."""
    return Drops(_OF_PATIENT * height, _PATIENT_PENALTY)


def usual_drop(line: Staircase) -> float:
    """Return the drop in pixels that stands for one patient's where nothing says how high that is; 0 without drops."""
    drops = np.diff(line.levels)
    drops = drops[drops > 1.0]
    return float(np.quantile(drops, _USUAL)) if len(drops) else 0.0


def of_themselves(line: Staircase, columns: int) -> Drops | None:
    """Return what a line's tall drops say of its lowest; None where they are not tall or none is far lower.

    One patient takes no less later than at first, so a drop that is far lower than the others is none.
    """
    usual = usual_drop(line)
    if usual < _TALL or np.diff(line.levels).min() >= _FAR_LOWER * usual:
        return None
    return Drops(np.full(columns, _FAR_LOWER * usual))


def staircase(samples: Samples, path: Path, share: Array, width: float, known: Drops | None = None) -> Staircase | None:
    """Return the step line through samples; None where there are too few.

    `known` is what is known of the arm's drops, if anything.
    """
    if len(samples.places) < 6:
        return None
    exact = samples.weight == 1.0
    noise = sample_noise(samples.rows[exact]) if exact.sum() > 5 else 0.5
    least = np.full(share.shape[1], max(_LEAST_DROP, noise))
    cost = StepCost(noise, _PENALTY, least)
    if known is not None:
        cost = StepCost(noise, known.penalty, np.maximum(least, known.least))
    penalty = cost.penalty * noise**2
    cuts, levels = fitted_steps(samples, samples.weight, penalty, np.zeros(1))
    stray = np.abs(np.nan_to_num(misfit(samples, cuts, levels))) > 4 * noise
    weight = np.where(stray, 0.02 * samples.weight, samples.weight)
    cuts, levels = fitted_steps(samples, weight, penalty, cost.least)
    places = np.maximum.accumulate(_drop_places(samples, cuts, levels, path))
    places = _on_strokes(places, levels, share, width)
    if len(places):
        places, levels = refine(samples, places, levels, cost)
        measured = _drop_places(samples, places, levels, path)
        places = np.maximum.accumulate(np.where(np.abs(measured - places) <= _SAME, measured, places))
        places = _on_strokes(places, levels, share, width)
    return Staircase(np.maximum.accumulate(places), levels, float(path.start), float(path.end), noise)


def _drop_places(samples: Samples, cuts: Array, levels: Array, path: Path) -> Array:
    """Where drops stand (steps,), from the places where they were cut."""
    half = samples.half
    edges = np.concatenate([[path.start - half], cuts, [path.end + half]])
    places = cuts.copy()
    for index, cut in enumerate(cuts):
        window = (max(edges[index], cut - half - 2.0), min(edges[index + 2], cut + half + 2.0))
        place = drop_place(samples, float(cut), window, (float(levels[index]), float(levels[index + 1])))
        places[index] = _fall(path, *window) if place is None else place
    return places


def _on_strokes(places: Array, levels: Array, share: Array, width: float) -> Array:
    """Places of drops (steps,), those of tall ones in the middle of their strokes."""
    triples = zip(places.tolist(), levels[:-1].tolist(), levels[1:].tolist(), strict=True)
    return np.array([_stroke_place(share, place, high, low, width) for place, high, low in triples])


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
