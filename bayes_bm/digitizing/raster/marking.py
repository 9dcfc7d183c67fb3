"""Censor marks on a traced line: ink that sticks out above and below it, where its own drops and other lines do not."""

import itertools
from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.raster.ink import Array, Run, runs
from bayes_bm.digitizing.raster.levels import Staircase

_FULL = 0.5
"""Share of a mark's height that must be ink."""
_SURE = 0.85
"""The same where only one side can be seen."""
_LEAST_ROWS = 2.0
"""Pixels above or below the line's own ink that are needed to see a mark."""


_INKED, _FAINT = 0.45, 0.3
"""Membership from which a pixel is ink of a mark; of thin marks that were blurred, where no others are seen."""
_LEAST_GAPS = 8
"""Gaps between marks from which their density is known."""
_GOOD_SHARE = 0.35
"""Share of the columns of the commonest height that a height needs to be that of marks."""
_LEAST_FAINT = 4
"""Faint marks of one height that are needed: noise on the edge of a line is faint too."""


@dataclass(frozen=True, slots=True, eq=False)
class MarkShape:
    """Hold half the height of the marks of a figure, the width of their upright stroke, in pixels, and their ink.

    `ink` is the membership of a mark's middle: 1, or less where thin marks were blurred.
    """

    half: float
    width: float
    ink: float = 1.0


def _protrusions(share: Array, line: Staircase, width: float, inked: float) -> tuple[Array, Array]:
    """Rows of ink (columns,) above and below a line's own ink."""
    columns = np.arange(int(line.start), int(line.end))
    reach = int(6 * width) + 8
    places = columns + 0.5
    top = line.level(places - width / 2) - width / 2
    bottom = line.level(places + width / 2) + width / 2
    steps = np.arange(reach)
    upper = _ink_from(share, columns, np.floor(top - 1.0).astype(int), -steps, inked)
    lower = _ink_from(share, columns, np.ceil(bottom).astype(int), steps, inked)
    return upper, lower


def _ink_from(share: Array, columns: Array, rows: Array, steps: Array, least: float) -> Array:
    """Length of the run of ink (columns,) from rows on."""
    index = rows[:, None] + steps[None, :]
    missing = (index < 0) | (index >= share.shape[0])
    profile = share[np.clip(index, 0, share.shape[0] - 1), columns[:, None]]
    inked = np.where(missing, 0.0, profile) > least
    return np.where(inked.all(axis=1), len(steps), (~inked).argmax(axis=1)).astype(float)


def mark_shape(shares: list[Array], lines: list[Staircase], widths: list[float]) -> MarkShape | None:
    """Return the shape of the marks that stick out of a figure's lines as one; None where too few do."""
    return _shape(shares, lines, widths, _INKED) or _shape(shares, lines, widths, _FAINT)


def _shape(shares: list[Array], lines: list[Staircase], widths: list[float], inked: float) -> MarkShape | None:
    """The shape of the marks whose ink is above a membership."""
    heights: list[Array] = []
    strokes: list[int] = []
    shades: list[Array] = []
    for share, line, width in zip(shares, lines, widths, strict=True):
        upper, lower = _protrusions(share, line, width, inked)
        both = np.minimum(upper, lower)
        # ink of the line's own drops ends elsewhere above than below
        alike = (both >= max(2.5, 0.6 * width)) & (np.abs(upper - lower) <= 2.0 + 0.25 * both)
        heights.append(both[alike] + width / 2)
        strokes += [run.length for run in runs(alike)]
        shades.append(_shades(share, line, width, both)[alike])
    every = np.concatenate(heights) if heights else np.zeros(0)
    if len(every) < 2:
        return None
    counts = np.bincount(np.rint(every).astype(int))
    smooth = np.convolve(counts, np.ones(3), "same")
    mode = _highest(smooth)
    if inked < _INKED and (len(strokes) < _LEAST_FAINT or smooth[mode] < 0.5 * len(every)):
        return None
    lengths = np.array([length for length in strokes if length <= 4 * max(widths)])
    width = float(np.bincount(lengths).argmax()) if len(lengths) else 2.0
    usual = np.concatenate(shades)[np.abs(every - mode) <= 1.5]
    ink = float(np.quantile(usual, 0.6)) if len(usual) else 1.0
    return MarkShape(float(mode), max(width, 1.0), float(np.clip(ink, _FAINT / _INKED, 1.0)))


def _shades(share: Array, line: Staircase, width: float, lengths: Array) -> Array:
    """Mean membership (columns,) of the ink that sticks out by some lengths above and below a line."""
    columns = np.arange(int(line.start), int(line.end))
    places = columns + 0.5
    sums = _sums(share)
    top = np.floor(line.level(places - width / 2) - width / 2).astype(int)
    bottom = np.ceil(line.level(places + width / 2) + width / 2).astype(int)
    tall = np.maximum(lengths, 1.0).astype(int)

    def mean(first: Array, last: Array) -> Array:
        first, last = np.clip(first, 0, share.shape[0]), np.clip(last, 0, share.shape[0])
        return (sums[last, columns] - sums[first, columns]) / np.maximum(last - first, 1)

    return np.minimum(mean(top - tall, top), mean(bottom, bottom + tall))


def _highest(counts: Array) -> int:
    """Place of the last peak that has a good share of the largest: noise at the edges of a line is lower than marks."""
    peaks = (counts >= np.r_[0.0, counts[:-1]]) & (counts >= np.r_[counts[1:], 0.0])
    return int(np.flatnonzero(peaks & (counts >= _GOOD_SHARE * counts.max()))[-1])


def marks(share: Array, cover: Array, line: Staircase, width: float, shape: MarkShape) -> Array:
    """Return where censor marks stand on a line (marks,), in pixels across.

    Parameters
    ----------
    share, cover
        Membership of the line's ink, and what hides it (rows, columns).
    line
        The staircase.
    width
        Of the line, in pixels.
    shape
        Of the figure's marks.
    """
    start, end = int(line.start), int(min(line.end + shape.width, share.shape[1]))
    columns = np.arange(start, end)
    sums = (_sums(share), _sums(cover > 0.5))
    response = np.maximum(
        _response(sums, line, width, shape, columns, 0.0),
        _response(sums, line, width, shape, columns, shape.width / 2 + 1.0),
    )
    response = np.clip(response / shape.ink, 0.0, 1.0)
    stroke = _stroke_width(response, shape)
    blots = runs(response > _FULL)
    spacing = _close_spacing(blots, stroke)
    places: list[float] = []
    for run in blots:
        places += _within(response, run, stroke, spacing)
    return np.array(places) + start


def _sums(image: Array) -> Array:
    """Sums of the rows above each row (rows + 1, columns)."""
    return np.vstack([np.zeros(image.shape[1]), np.cumsum(image, axis=0)])


def _response(
    sums: tuple[Array, Array], line: Staircase, width: float, shape: MarkShape, columns: Array, shift: float
) -> Array:
    """Share of a mark's free height that is ink (columns,), the lesser of above and below."""
    places = columns + 0.5
    level = line.level(places + shift)
    top = np.minimum(line.level(places - width / 2 - 0.5), level) - width / 2 - 0.7
    bottom = np.maximum(line.level(places + width / 2 + 0.5), level) + width / 2 + 0.7
    upper, free_upper = _filled(sums, columns, level - shape.half + 1.0, top)
    lower, free_lower = _filled(sums, columns, bottom, level + shape.half - 1.0)
    one_side = np.where(free_upper, upper, np.where(free_lower, lower, 0.0))
    return np.where(
        free_upper & free_lower, np.minimum(upper, lower), np.where(one_side > _SURE * shape.ink, one_side, 0.0)
    )


def _filled(sums: tuple[Array, Array], columns: Array, top: Array, bottom: Array) -> tuple[Array, Array]:
    """Mean membership (columns,) of rows between two places, and whether there is room that nothing else takes."""
    own, others = sums
    first = np.clip(np.rint(top).astype(int), 0, len(own) - 1)
    last = np.clip(np.rint(bottom).astype(int), 0, len(own) - 1)
    room = last - first
    free = room >= _LEAST_ROWS
    mean = (own[last, columns] - own[first, columns]) / np.maximum(room, 1)
    hidden = (others[last, columns] - others[first, columns]) / np.maximum(room, 1)
    return mean, free & (hidden < 0.5)


def _stroke_width(response: Array, shape: MarkShape) -> float:
    """Width of one upright stroke: the lower quartile of the inked lengths, near the shape's."""
    lengths = np.array([response[max(run.start - 1, 0) : run.end + 1].sum() for run in runs(response > _FULL)])
    usual = lengths[(lengths > 0.4 * shape.width) & (lengths < 1.8 * shape.width)]
    return float(np.median(usual)) if len(usual) else shape.width


def _close_spacing(blots: list[Run], stroke: float) -> float:
    """Mean distance of neighbouring marks that touch, at the density that the gaps between blots show.

    Gaps between marks at random times are exponential; of those below a stroke's width the mean is at most its half.
    """
    gaps = np.array([two.start - one.end for one, two in itertools.pairwise(blots)], float)
    rate = stroke / max(float(np.mean(gaps)), 0.5) if len(gaps) >= _LEAST_GAPS else 0.0
    if rate < 0.05:
        return stroke / 2
    return stroke * (1 / rate - 1 / np.expm1(rate))


def _within(response: Array, run: Run, stroke: float, spacing: float) -> list[float]:
    """Places of the marks that one run of ink consists of, as many as its length lets expect."""
    first, last = max(run.start - 1, 0), min(run.end + 1, len(response))
    part = response[first:last]
    length = float(part.sum())
    if length < 0.4 * stroke:
        return []
    spread = length - stroke
    count = 1 + int(max(spread, 0.0) / max(spacing, 1.0) + 0.3)
    centre = float((part * (np.arange(first, last) + 0.5)).sum() / length)
    if count == 1:
        return [centre]
    return list(centre + np.linspace(-spread / 2, spread / 2, count))
