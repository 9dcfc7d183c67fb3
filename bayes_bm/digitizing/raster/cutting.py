"""The step line with fewest steps whose ink, drawn with a round pen, has the edges that the picture shows.

A pen of width w draws a step line s(x) as all that lies within r = w / 2 of it. Behind a drop the upper edge is that
of the new level at once, before a drop the lower edge is that of the old one until the drop; the other edge is round
there, and goes from level to level over half a width. So a level is measured by its upper edge from its first drop on
and by its lower edge up to its last drop, and the round parts say nothing of it. Where drops are, and at which levels,
is decided at once for the whole line: least squares, and a penalty for each step.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_bm.digitizing.raster.ink import Array
from bayes_bm.runtime.compiling import cached_njit

_GRID = 0.5
"""Pixels between the places at which a drop may stand; its exact place is measured afterwards."""
_GUARD = 0.55
"""Pixels around a drop in which a pixel is partly covered by its stroke."""
_ROUNDED = 0.3
"""Pixels by which the round part of an edge may be off before it is left out."""
_WIDEST_GAP = 2.2
"""Pixels between samples of an edge in which a drop can be placed."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Hold measurements of a step line, sorted by column.

    Attributes
    ----------
    places, rows
        Floats (samples,): columns and rows, in pixels.
    weight
        Floats (samples,): 1 for an edge that was measured.
    sides
        Whole numbers (samples,): -1 where the upper edge was measured, 1 the lower one, 0 the middle.
    half
        Half the width of the line, by which edges lie beside its middle.
    blur
        How far to either side a drop is blurred, in pixels.
    """

    places: Array
    rows: Array
    weight: Array
    sides: Array
    half: float
    blur: float = 0.0


class Sums:
    """Running sums of samples by side, from which the mean and the misfit of any piece of level come at once."""

    def __init__(self, samples: Samples, weight: Array, bounds: Array) -> None:
        """Prepare for pieces between `bounds` (places,)."""
        guard, round_part = _unsure(samples)
        starts = {-1: guard, 0: guard, 1: round_part}
        stops = {-1: round_part, 0: guard, 1: guard}
        self._sums: list[Array] = []
        self._first: list[Array] = []
        self._stop: list[Array] = []
        for side in (-1, 0, 1):
            kept = samples.sides == side
            places, rows, mass = samples.places[kept], samples.rows[kept], weight[kept]
            columns = np.stack([mass, mass * rows, mass * rows * rows])
            self._sums.append(np.concatenate([np.zeros((3, 1)), np.cumsum(columns, axis=1)], axis=1))
            self._first.append(np.searchsorted(places, bounds + starts[side] - 1e-9))
            self._stop.append(np.searchsorted(places, bounds - stops[side] + 1e-9))

    def at_bounds(self) -> tuple[Array, Array]:
        """Return the sums (sides, 3, bounds) up to where pieces from, and pieces to, each bound begin and end."""
        begins = [sums[:, begin] for sums, begin in zip(self._sums, self._first, strict=True)]
        ends = [sums[:, end] for sums, end in zip(self._sums, self._stop, strict=True)]
        return np.stack(begins), np.stack(ends)

    def between(self, firsts: Array, stops: Array) -> Array:
        """Return mass, moment and second moment (3, pieces) of the pieces from some bounds to others."""
        total: Array = np.zeros(1)
        for sums, begin, end in zip(self._sums, self._first, self._stop, strict=True):
            total = total + np.maximum(sums[:, end[stops]] - sums[:, begin[firsts]], 0.0)
        return total


@cached_njit()
def _last_pieces(begins: Any, ends: Any, penalty: float) -> Any:
    """Where the last piece of the best cut up to each bound starts (bounds,)."""
    sides, _, count = begins.shape
    best, origin = np.full(count, np.inf), np.zeros(count, np.int64)
    best[0] = -penalty
    for stop in range(1, count):
        for first in range(stop):
            mass, moment, second = 0.0, 0.0, 0.0
            for side in range(sides):
                mass += max(ends[side, 0, stop] - begins[side, 0, first], 0.0)
                moment += max(ends[side, 1, stop] - begins[side, 1, first], 0.0)
                second += max(ends[side, 2, stop] - begins[side, 2, first], 0.0)
            if mass > 1e-6:
                total = best[first] + second - moment * moment / max(mass, 1e-9)
                if total < best[stop]:
                    best[stop], origin[stop] = total, first
        best[stop] += penalty
    return origin


def _unsure(samples: Samples) -> tuple[float, float]:
    """Pixels from a drop over which an edge is blurred, and over which a round pen's is further off than it may be."""
    guard, off = _GUARD + samples.blur, min(_ROUNDED, samples.half)
    return guard, max(guard, samples.half - float(np.sqrt(2 * samples.half * off - off * off)))


def fitted_steps(samples: Samples, weight: Array, penalty: float, least: Array) -> tuple[Array, Array]:
    """Return the places (steps,) of drops and the levels (steps + 1,) of least squares, each step at a penalty.

    Parameters
    ----------
    samples
        Of the line, rows above 0.
    weight
        Of each sample.
    penalty
        Cost of a step.
    least
        Pixels (columns,): lower steps are none.
    """
    bounds = np.arange(samples.places[0] - 1.0, samples.places[-1] + 1.0 + _GRID, _GRID)
    sums = Sums(samples, weight, bounds)
    count = len(bounds)
    origin = _last_pieces(*sums.at_bounds(), penalty)
    ends = [count - 1]
    while ends[-1] > 0:
        ends.append(int(origin[ends[-1]]))
    kept = np.array(ends[::-1], int)
    levels = _means(sums, kept)
    while len(kept) > 2:
        columns = np.clip(bounds[kept[1:-1]].astype(int), 0, len(least) - 1)
        above = np.diff(levels) - least[columns]
        worst = int(np.argmin(above))
        if above[worst] >= 0.0:
            break
        kept = np.delete(kept, worst + 1)
        levels = _means(sums, kept)
    return bounds[kept[1:-1]], levels


def _means(sums: Sums, kept: Array) -> Array:
    """Mean (pieces,) of the samples between neighbouring bounds."""
    mass, moment, _ = sums.between(kept[:-1], kept[1:])
    return moment / np.maximum(mass, 1e-9)


def misfit(samples: Samples, places: Array, levels: Array) -> Array:
    """Return by how much samples (samples,) are off the level that they measure; nan where they measure none."""
    index = np.searchsorted(places, samples.places, side="right")
    edges = np.concatenate([[-np.inf], places, [np.inf]])
    since, until = samples.places - edges[index], edges[index + 1] - samples.places
    guard, round_part = _unsure(samples)
    measures = since > np.where(samples.sides > 0, round_part, guard)
    measures &= until > np.where(samples.sides < 0, round_part, guard)
    return np.where(measures, samples.rows - levels[index], np.nan)


def drop_place(samples: Samples, cut: float, window: tuple[float, float], levels: tuple[float, float]) -> float | None:
    """Return where a drop stands: by the area between its edges and its two levels; None where it was not seen.

    A round pen makes the upper edge fall early and the lower one late, by the same area.
    """
    half, fall = samples.half, levels[1] - levels[0]
    across = np.linspace(0.0, half, 32)
    shift = float(np.minimum(half - np.sqrt(half**2 - across**2), fall).mean()) * half / fall
    result = []
    for side in (-1, 1):
        kept = (samples.sides == side) & (samples.places >= window[0]) & (samples.places <= window[1])
        places = samples.places[kept]
        if len(places) < 2 or np.diff(places).max() > _WIDEST_GAP or not places[0] < cut < places[-1]:
            continue
        part = np.clip((levels[1] - samples.rows[kept]) / fall, 0.0, 1.0)
        part[0], part[-1] = 1.0, 0.0
        area = float(np.sum((part[1:] + part[:-1]) / 2 * np.diff(places)))
        result.append(float(places[0]) + area - side * shift)
    return float(np.clip(np.mean(result), *window)) if result else None
