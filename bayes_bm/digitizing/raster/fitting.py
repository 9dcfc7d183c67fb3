"""The joint fit: a step line is drawn with its pen, and its edges are held against those of the ink, column by column.

With a round pen all points within half a width of the line are ink, so the upper edge at x is the least of
y - sqrt(r^2 - d^2) over the levels y, d being how far x is outside the level's stretch, and the lower edge the largest
of y + sqrt(r^2 - d^2); a square pen has r in place of the root. The pen that fits better is taken.
Comparing both edges with the coverage of a column, summed from the middle of the line to either side, is comparing grey
values. A pixel in which an edge falls may show any height between those at its sides. Places and levels are moved,
steps taken out, put in and split, as long as the misfit falls by more than a step costs.
"""

# pyright: reportArgumentType=false
# to numba a count that begins at np.int64(0) is a whole number as any other

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.digitizing.raster.cutting import Samples
from bayes_bm.digitizing.raster.ink import Array
from bayes_bm.runtime import inner_functions
from bayes_bm.runtime.compiling import cached_njit
from bayes_bm.runtime.inner_functions import INNER, put_rows

_CAP = 12.0
"""Largest misfit of a sample, in squared standard deviations: marks and other ink are off by any amount."""
_CENTRED = 0.05
"""Weight of an edge's distance from the middle of what its pixel may show: it places drops below a pixel."""
_NARROWEST = 0.5
"""Pixels between two drops."""
_SWEEPS = 4
"""Rounds of moves; the third hardly ever finds one."""
_PLACE_MOVES = np.array([2.0, 1.0, 0.5, 0.25])
_LEVEL_MOVES = np.array([1.0, 0.4, 0.15, 0.05])
"""Pixels by which a place and a level are moved."""
_APART = np.array([0.6, 1.25, 2.0, 3.5])
_SHARES = np.array([0.2, 0.35, 0.5, 0.65, 0.8])
"""How far from a drop, and at which share of it, the two are tried into which it is split."""


@dataclass(frozen=True, slots=True, eq=False)
class StepCost:
    """Hold what steps cost: the noise of a sample in pixels, squares of it a step, the lowest step by column."""

    noise: float
    penalty: float
    least: Array


def refine(samples: Samples, places: Array, levels: Array, cost: StepCost) -> tuple[Array, Array]:
    """Return places (steps,) and levels (steps + 1,) after all moves that pay.

    Parameters
    ----------
    samples
        Edges of the ink.
    places, levels
        Where to start, rows running down.
    cost
        What a step costs.
    """
    half = samples.half
    middles = samples.places - samples.sides * half
    first = float(np.floor(middles.min()))
    count = int(np.floor(middles.max()) - first) + 1
    edges, weight = np.zeros((4, count)), np.zeros((3, count))
    columns = np.clip(np.floor(middles - first).astype(int), 0, count - 1)
    edges[samples.sides + 1, columns] = samples.rows + samples.sides * half
    weight[samples.sides + 1, columns] = samples.weight
    edges[3] = cost.least[np.clip(first + np.arange(count), 0, len(cost.least) - 1).astype(int)]
    room = 3 * len(places) + 64
    best, total = (places, levels), np.inf
    for square in (0.0, 1.0):
        state = np.zeros((2, room))
        state[0, : len(places)], state[1, : len(levels)] = places, levels
        setting = np.array([first, half, 0.5 + samples.blur, 1.0 / cost.noise**2, cost.penalty, square])
        steps = int(_moved(state, len(places), edges, weight, setting))
        misfit = cost.penalty * steps + float(_cost(state, steps, edges, weight, setting, -1e9, 1e9, np.inf))
        if misfit < total:
            best, total = (state[0, :steps].copy(), state[1, : steps + 1].copy()), misfit
    return best


@njit(**INNER)
def _least(edges: Any, setting: Any, place: float) -> float:
    """The lowest step at a place."""
    return edges[3, min(max(int(place - setting[0]), 0), edges.shape[1] - 1)]


@njit(**INNER)
def _edges_at(state: Any, first: int, steps: int, place: float, half: float, square: float) -> tuple[float, float]:
    """Upper and lower edge at a place, from the step `first` on; steps before do not reach it."""
    upper, lower = np.inf, -np.inf
    index = first
    while index <= steps:
        since = state[0, index - 1] - place if index > 0 else -1.0
        if since > half:
            break
        until = place - state[0, index] if index < steps else -1.0
        off = max(since, until, 0.0)
        if off <= half:
            reach = half if square > 0 else np.sqrt(half * half - off * off)
            upper = min(upper, state[1, index] - reach)
            lower = max(lower, state[1, index] + reach)
        index += 1
    return upper, lower


@cached_njit(inner_functions)
def _cost(
    state: Any, steps: int, edges: Any, weight: Any, setting: Any, low: float, high: float, enough: float
) -> float:
    """Misfit, in squared standard deviations, of the columns between two places; counted no further than `enough`."""
    start, half, soft, scale, square = setting[0], setting[1], setting[2], setting[3], setting[5]
    first = int(min(max(low - start, 0.0), edges.shape[1]))
    stop = int(min(max(high - start + 1.0, 0.0), edges.shape[1]))
    total = 0.0
    index = np.int64(0)
    if first < stop:
        index = int(np.searchsorted(state[0, :steps], start + first + 0.5 - soft - half))
    for column in range(first, stop):
        if total >= enough:  # it never falls: a move that is refused for it is refused without the rest
            break
        middle = start + column + 0.5
        while index < steps and state[0, index] < middle - soft - half:
            index += 1
        if weight[0, column] + weight[2, column] > 0:
            upper_left, lower_left = _edges_at(state, index, steps, middle - soft, half, square)
            upper_right, lower_right = _edges_at(state, index, steps, middle + soft, half, square)
            off = max(upper_left - edges[0, column], edges[0, column] - upper_right, 0.0)
            total += weight[0, column] * min(off * off * scale, _CAP)
            off = edges[0, column] - (upper_left + upper_right) / 2
            total += weight[0, column] * _CENTRED * min(off * off * scale, _CAP)
            off = max(lower_left - edges[2, column], edges[2, column] - lower_right, 0.0)
            total += weight[2, column] * min(off * off * scale, _CAP)
            off = edges[2, column] - (lower_left + lower_right) / 2
            total += weight[2, column] * _CENTRED * min(off * off * scale, _CAP)
        if weight[1, column] > 0:
            inside = index
            while inside < steps and state[0, inside] <= middle:
                inside += 1
            off = state[1, inside] - edges[1, column]
            total += weight[1, column] * min(off * off * scale, _CAP)
    return total


@njit(**INNER)
def _window(state: Any, steps: int, first: int, last: int, setting: Any) -> tuple[float, float]:
    """The columns that places and levels of the steps `first` to `last` touch."""
    reach = setting[1] + setting[2] + 4.5
    low = state[0, first - 1] - reach if first > 0 else -1e9
    high = state[0, last + 1] + reach if last + 1 < steps else 1e9
    return low, high


@njit(**INNER)
def _settle(
    state: Any, steps: int, first: int, last: int, edges: Any, weight: Any, setting: Any, low: float, high: float
) -> float:
    """Move the places and levels of some steps as long as the misfit falls; return it."""
    best = _cost(state, steps, edges, weight, setting, low, high, np.inf)
    for size in range(_PLACE_MOVES.size):
        moved = True
        rounds = 0
        while moved and rounds < 6:
            moved = False
            rounds += 1
            for index in range(first, last + 1):
                for sign in (-1.0, 1.0):
                    old = state[0, index]
                    new = old + sign * _PLACE_MOVES[size]
                    if index > 0 and new < state[0, index - 1] + _NARROWEST:
                        continue
                    if index + 1 < steps and new > state[0, index + 1] - _NARROWEST:
                        continue
                    state[0, index] = new
                    cost = _cost(state, steps, edges, weight, setting, low, high, best - 1e-9)
                    if cost < best - 1e-9:
                        best, moved = cost, True
                    else:
                        state[0, index] = old
            for index in range(max(first, 1), last + 2):
                for sign in (-1.0, 1.0):
                    old = state[1, index]
                    new = old + sign * _LEVEL_MOVES[size]
                    if new < state[1, index - 1] + _least(edges, setting, state[0, index - 1]):
                        continue
                    if index < steps and new > state[1, index + 1] - _least(edges, setting, state[0, index]):
                        continue
                    state[1, index] = new
                    cost = _cost(state, steps, edges, weight, setting, low, high, best - 1e-9)
                    if cost < best - 1e-9:
                        best, moved = cost, True
                    else:
                        state[1, index] = old
    return best


@njit(**INNER)
def _insert(state: Any, steps: int, index: int, place: float, level: float) -> None:
    """Put a step before the step `index`: `level` holds between it and the step that was there."""
    for other in range(steps, index, -1):
        state[0, other] = state[0, other - 1]
    for other in range(steps + 1, index + 1, -1):
        state[1, other] = state[1, other - 1]
    state[0, index], state[1, index + 1] = place, level


@njit(**INNER)
def _delete(state: Any, steps: int, index: int, level: float) -> None:
    """Take out the step `index`; one level holds before and behind it."""
    for other in range(index, steps - 1):
        state[0, other] = state[0, other + 1]
    for other in range(index + 1, steps):
        state[1, other] = state[1, other + 1]
    state[1, index] = level


@njit(**INNER)
def _taken_out(state: Any, steps: int, edges: Any, weight: Any, setting: Any) -> int:
    """Take out the steps without which the misfit rises by less than a step costs; return how many are left."""
    index = steps - 1
    while index >= 0:
        first, last = max(index - 1, 0), min(index + 1, steps - 1)
        low, high = _window(state, steps, first, last, setting)
        before = _cost(state, steps, edges, weight, setting, low, high, np.inf)
        one, two = state[1, index], state[1, index + 1]
        best_cost, best = np.inf, state
        for share in (0.0, 0.5, 1.0):
            trial = state.copy()
            _delete(trial, steps, index, one + share * (two - one))
            if index == 0 and share > 0.0:
                continue
            if steps > 1:
                cost = _settle(trial, steps - 1, first, max(last - 1, first), edges, weight, setting, low, high)
            else:
                cost = _cost(trial, steps - 1, edges, weight, setting, low, high, best_cost)
            if cost < best_cost:
                best_cost, best = cost, trial
        if best_cost < before + setting[4]:
            put_rows(best, state)
            steps -= 1
        index -= 1
    return steps


@njit(**INNER)
def _split(state: Any, steps: int, edges: Any, weight: Any, setting: Any) -> int:
    """Split the drops that fit better as two; return how many steps there are."""
    index = np.int64(0)
    while index < steps and steps + 1 < state.shape[1] - 1:
        low, high = _window(state, steps, index, index, setting)
        before = _cost(state, steps, edges, weight, setting, low, high, np.inf)
        place, one, two = state[0, index], state[1, index], state[1, index + 1]
        least = _least(edges, setting, place)
        floor = state[0, index - 1] + _NARROWEST if index > 0 else -1e9
        ceiling = state[0, index + 1] - _NARROWEST if index + 1 < steps else 1e9
        best_cost, best_left, best_right, best_level = before, place, place, one
        for left in range(_APART.size):
            for right in range(_APART.size):
                if place - _APART[left] < floor or place + _APART[right] > ceiling:
                    continue
                for share in _SHARES:
                    level = one + share * (two - one)
                    if level < one + least or level > two - least:
                        continue
                    trial = state.copy()
                    trial[0, index] = place + _APART[right]
                    _insert(trial, steps, index, place - _APART[left], level)
                    cost = _cost(trial, steps + 1, edges, weight, setting, low, high, best_cost)
                    if cost < best_cost:
                        best_cost, best_level = cost, level
                        best_left, best_right = place - _APART[left], place + _APART[right]
        if best_cost < before:
            trial = state.copy()
            trial[0, index] = best_right
            _insert(trial, steps, index, best_left, best_level)
            cost = _settle(trial, steps + 1, index, index + 1, edges, weight, setting, low, high)
            if cost + setting[4] < before:
                put_rows(trial, state)
                steps += 1
                continue
        index += 1
    return steps


@njit(**INNER)
def _put_in(state: Any, steps: int, edges: Any, weight: Any, setting: Any) -> int:
    """Put a drop into the levels that fit better as two; return how many steps there are."""
    half = setting[1]
    index = np.int64(0)  # of the level
    tried = 0
    while index <= steps and steps + 1 < state.shape[1] - 1 and tried < 4 * state.shape[1]:
        tried += 1
        begin = state[0, index - 1] if index > 0 else setting[0]
        end = state[0, index] if index < steps else setting[0] + edges.shape[1]
        first = int(begin + half + 1.0 - setting[0])
        stop = int(end - half - setting[0])
        best_gain, best_place, best_left, best_right = 0.0, 0.0, 0.0, 0.0
        if stop - first >= 3:
            mass, moment = 0.0, 0.0
            for column in range(max(first, 0), min(stop, edges.shape[1])):
                mass += weight[0, column] + weight[2, column]
                moment += weight[0, column] * (edges[0, column] + half) + weight[2, column] * (edges[2, column] - half)
            left_mass, left_moment = 0.0, 0.0
            for column in range(max(first, 0), min(stop, edges.shape[1])):
                left_mass += weight[0, column] + weight[2, column]
                left_moment += weight[0, column] * (edges[0, column] + half)
                left_moment += weight[2, column] * (edges[2, column] - half)
                if left_mass < 1.0 or mass - left_mass < 1.0:
                    continue
                left, right = left_moment / left_mass, (moment - left_moment) / (mass - left_mass)
                if right - left < _least(edges, setting, setting[0] + column + 1.0):
                    continue
                gain = (right - left) ** 2 * left_mass * (mass - left_mass) / mass
                if gain > best_gain:
                    best_gain, best_place, best_left, best_right = gain, setting[0] + column + 1.0, left, right
        if best_gain * setting[3] > setting[4]:
            least = _least(edges, setting, best_place)
            if index > 0:
                best_left = max(best_left, state[1, index - 1] + _least(edges, setting, state[0, index - 1]))
            if index < steps:
                best_right = min(best_right, state[1, index + 1] - _least(edges, setting, state[0, index]))
            if best_right - best_left > least:
                first_step, last_step = max(index - 1, 0), min(index, steps - 1)
                low, high = _window(state, steps, first_step, last_step, setting)
                before = _cost(state, steps, edges, weight, setting, low, high, np.inf)
                trial = state.copy()
                trial[1, index] = best_right
                _insert(trial, steps, index, best_place, best_right)
                trial[1, index] = best_left
                cost = _settle(trial, steps + 1, first_step, min(index + 1, steps), edges, weight, setting, low, high)
                if cost + setting[4] < before:
                    put_rows(trial, state)
                    steps += 1
                    continue
        index += 1
    return steps


@cached_njit(inner_functions)
def _moved(state: Any, steps: int, edges: Any, weight: Any, setting: Any) -> int:
    """Make all moves that pay; return how many steps there are."""
    for sweep in range(_SWEEPS):
        before = steps
        for index in range(steps):
            low, high = _window(state, steps, index, index, setting)
            _settle(state, steps, index, index, edges, weight, setting, low, high)
        steps = _split(state, steps, edges, weight, setting)
        steps = _put_in(state, steps, edges, weight, setting)
        steps = _taken_out(state, steps, edges, weight, setting)
        if sweep > 0 and steps == before:
            break
    return steps
