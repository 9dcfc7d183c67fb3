"""States of a lattice: the records of layers, gaps and moves, and the merging of states that agree.

The weight of all states after a point is an array (at risk, columns), a column being a number of events, whether the
tick of this cell is used, and a slice of survival within its rounding.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_bm.reconstruction.curve import Floats, Ints
from bayes_bm.reconstruction.drawn.points import Corridor, Point

FAINT = 1e-9
"""Share of the largest weight below which a state is forgotten."""
SLICES = 4096, 512, 64, 16
"""Slices of survival within its rounding, the finest that the number of cells allows."""
TOTAL_CELLS = 1_000_000
"""States that may be kept over all points: a second of work at the most, about."""
FEWEST_CELLS = 1_000
"""States that may be kept after one point, however many points there are."""
MOST_CELLS = 10_000
"""Most states that are kept after one point, however few points there are."""
BLUR = 8
"""Slices this coarse blur the survival of a state by at most 1/8 of its rounding."""
FADING = 0.98
"""Factor by which a blurred survival matters less with every later drop that had to fit."""


@dataclass(frozen=True)
class Problem:
    """Points of a curve with heights known within `error`.

    `marked` where there are ticks, of which `trailing_ticks` follow the last point; `tied` censorings are expected
    beyond one a tick. `goes_on`: the line goes on after its last drop.
    """

    n: int
    events: int | None
    points: list[Point]
    bounds: Corridor
    error: float
    marked: bool
    trailing_ticks: int
    tied: float
    goes_on: bool

    @property
    def cells(self) -> int:
        """Return how many states may be kept after one point."""
        return min(max(TOTAL_CELLS // max(len(self.points), 1), FEWEST_CELLS), MOST_CELLS)


@dataclass(frozen=True)
class Layer:
    """States after a point: row i has `top` - i at risk, a column its `events` and `flag` (tick used).

    `weight` (rows, columns) is the probability of all ways in, `survival` that of the likeliest, within `blur`.
    """

    top: int
    events: Ints
    flag: Ints
    weight: Floats
    survival: Floats
    blur: float

    @cached_property
    def risk(self) -> Ints:
        """Return the number at risk of each row."""
        return self.top - np.arange(len(self.weight))


@dataclass(frozen=True)
class Gap:
    """States after a gap and before its point, as in `Layer`.

    Column j comes from column `source[j]` of the layer before by `kernels[which[j]]`, the probability of 0, 1, 2, ...
    censorings.
    """

    top: int
    source: Ints
    which: Ints
    kernels: list[Floats]
    flag: Ints
    weight: Floats
    survival: Floats


@dataclass(frozen=True)
class Moves:
    """All moves of a point: from flat `cell` of the gap to flat cell `child` of the next layer, `died` on the way.

    `gain` is the probability of the move, `weight` that of all ways that end with it.
    """

    cell: Ints
    child: Ints
    died: Ints
    gain: Floats
    weight: Floats


@dataclass(frozen=True)
class NextStates:
    """What the moves of one point lead to, one entry each, before equal states are merged."""

    cell: Ints
    died: Ints
    risk: Ints
    events: Ints
    flag: Ints
    survival: Floats
    gain: Floats
    weight: Floats

    def select(self, keep: NDArray[np.bool_]) -> "NextStates":
        """Return the states of a mask."""
        return NextStates(*(column[keep] for column in vars(self).values()))


def merge_states(problem: Problem, layer: Layer, states: NextStates, level: float) -> tuple[Moves, Layer]:
    """Merge states that agree in everything that matters later; the likeliest way in lends its survival."""
    counted = states.events if problem.events is not None else np.zeros_like(states.events)
    top, tall = int(states.risk.max()), int(np.ptp(states.risk)) + 1
    place = (states.survival - level + problem.error) / (2 * problem.error)
    slices, keys, column = _slice(counted * 2 + states.flag, place, problem.cells // tall)
    child = (top - states.risk) * len(keys) + column
    weight = np.bincount(child, states.weight, tall * len(keys))
    weight[weight < _faintest(weight, problem.cells)] = 0.0
    survival = np.full(len(weight), level)
    order = np.argsort(states.weight)
    survival[child[order]] = states.survival[order]
    blur = max(problem.error / max(slices, BLUR), FADING * layer.blur)
    kept = weight[child] > 0
    used = states.select(kept)
    moves = Moves(used.cell, child[kept], used.died, used.gain, used.weight)
    shape = (tall, len(keys))
    full = Layer(top, keys // slices // 2, keys // slices % 2, weight.reshape(shape), survival.reshape(shape), blur)
    return _trim(moves, full)


class _Columns(NamedTuple):
    """Columns of a layer: slices a label, the key of each column (columns,), and the column of each state (states,).

    key = label * slices + slice.
    """

    slices: int
    keys: Ints
    column: Ints


def _slice(label: Ints, place: Floats, most: int) -> _Columns:
    """Choose columns for states with a label and a place in [0, 1].

    The slices are the finest that give no more than `most` columns, or the coarsest.
    """
    for slices in SLICES[:-1]:
        keys, column = np.unique(_key(label, place, slices), return_inverse=True)
        if len(keys) <= most:
            return _Columns(slices, keys, column)
    return _Columns(SLICES[-1], *np.unique(_key(label, place, SLICES[-1]), return_inverse=True))


def _key(label: Ints, place: Floats, slices: int) -> Ints:
    """Return the key of the column of each state (states,)."""
    return label * slices + np.clip(place * slices, 0, slices - 1).astype(np.int64)


def _faintest(weight: Floats, cells: int) -> float:
    """Return the weight below which a state is forgotten: next to nothing, or not among the `cells` largest."""
    faint = FAINT * weight.max()
    return float(np.partition(weight, -cells)[-cells]) if (weight > faint).sum() > cells else faint


def _trim(moves: Moves, layer: Layer) -> tuple[Moves, Layer]:
    """Leave out the rows above and below all states, and without empty columns; weights sum to 1."""
    rows, columns = np.flatnonzero(layer.weight.any(axis=1)), np.flatnonzero(layer.weight.any(axis=0))
    block = np.ix_(np.arange(rows[0], rows[-1] + 1), columns)
    row, column = np.divmod(moves.child, len(layer.events))
    child = (row - rows[0]) * len(columns) + np.searchsorted(columns, column)
    weight = layer.weight[block] / layer.weight.sum()
    kept = Layer(
        layer.top - int(rows[0]),
        layer.events[columns],
        layer.flag[columns],
        weight,
        layer.survival[block],
        layer.blur,
    )
    return Moves(moves.cell, child, moves.died, moves.gain, moves.weight), kept
