"""Whole numbers behind a drawn curve: every (at risk, events so far) after each point, and how probable it is.

The weight of all states after a point is an array (at risk, columns), a column being a number of events, whether the
tick of this cell is used, and a slice of survival within its rounding. Censoring is a convolution along the number at
risk, a drop of d deaths moves a state to d fewer at risk and keeps it where 1 - d/r reproduces the drawn height.
One sum forward, one backward, and paths traced back: the forward-backward algorithm of a hidden Markov chain.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bayes_bm.reconstruction.curve import Floats, Ints
from bayes_bm.reconstruction.drawn.points import Point, heights, log_died, log_lost
from bayes_bm.reconstruction.drawn.states import FAINT, Gap, Layer, Moves, NextStates, Problem, merge_states

BREACH = 12.0
"""Nats a path pays for a printed number it does not reproduce: rarer than anything else it can do."""
BEFORE = 0.25
"""Chance that a tick drawn at a drop stands for censorings before it: the tie rule says after."""
LIKELY = 9.0
"""Nats below the likeliest way back beyond which the central path does not go."""
SURE = 0.9
"""Share of what is plausible that must agree."""
PATHS = 10
"""Paths that tell how plausible totals of events differ where none is printed."""
ROUNDING = 1e-13
"""Share of the largest weight that Fourier transforms leave where there is none."""


class Path(NamedTuple):
    """One way through all points (points,): censored before each, died at it, its tick used for those before."""

    censored: Ints
    died: Ints
    early: Ints


@dataclass(frozen=True)
class Lattice:
    """All states of a curve, with the moves between them; `final` weighs the last by what the whole must add up to.

    `counted`: states count events, as a printed total needs.
    """

    layers: list[Layer]
    gaps: list[Gap]
    moves: list[Moves]
    final: Floats
    counted: bool

    def central(self) -> Path:
        """Return the path that stays nearest to the posterior mean of the number at risk, by likely moves only.

        The most probable path would put every censoring where the prior is highest; the mean is what a log hazard
        ratio needs, and a path through the lattice, unlike the mean itself, is a set of patients.
        """
        means = [float(chance @ layer.risk) for layer, chance in zip(self.layers, self.chances, strict=True)]

        def nearest(chance: Floats, risk: Ints, k: int) -> int:
            """Choose the likely state nearest to the mean number at risk."""
            likely = chance >= np.exp(-LIKELY) * chance.max()
            return int(np.lexsort((-chance, np.where(likely, np.abs(risk - means[k]), np.inf)))[0])

        return self._trace(nearest)

    def openness(self, path: Path) -> tuple[int, int]:
        """Return how near a path `SURE` of all that is plausible stays, in events and in numbers at risk anywhere."""
        at_risk = self.layers[0].top - np.cumsum(path.censored + path.died)
        gaps = [
            _reach(np.abs(layer.risk - count), chance)
            for layer, chance, count in zip(self.layers[1:], self.chances[1:], at_risk.tolist(), strict=True)
        ]
        totals, chance = self._totals()
        return _reach(np.abs(totals - int(path.died.sum())), chance), max(gaps, default=0)

    def _totals(self) -> tuple[Ints, Floats]:
        """Return totals of events and how plausible each is.

        Where no total is printed states do not count events, and paths tell.
        """
        if self.counted:
            return self.layers[-1].events, self.final.sum(axis=0)
        totals = [self.sample(rng).died.sum() for rng in np.random.default_rng(0).spawn(PATHS)]
        return np.array(totals), np.ones(PATHS)

    def sample(self, rng: np.random.Generator) -> Path:
        """Draw a path with its posterior probability."""

        def drawn(chance: Floats, risk: Ints, k: int) -> int:
            """Draw a state by its chance."""
            if len(chance) == 1:
                return 0
            total = chance.cumsum()
            return int(total.searchsorted(rng.random() * total[-1], side="right"))

        return self._trace(drawn)

    def _trace(self, choose) -> Path:
        """Trace a path from the last state to the first; `choose` picks one of the ways in by their chances."""
        width = self.final.shape[1]
        state = choose(self.final.ravel(), np.repeat(self.layers[-1].risk, width), len(self.moves))
        path = []
        for k in range(len(self.moves), 0, -1):
            previous, gap, moves, layer = self.layers[k - 1], self.gaps[k - 1], self.moves[k - 1], self.layers[k]
            early = int(layer.flag[state % len(layer.flag)])
            ways = (moves.child == state).nonzero()[0]
            way = ways[choose(moves.weight[ways], np.zeros(len(ways)), k)]
            row, column = divmod(int(moves.cell[way]), len(gap.source))
            source, kernel = int(gap.source[column]), gap.kernels[gap.which[column]]
            count = previous.top - gap.top + row - np.arange(min(row + 1, len(previous.weight)))
            origin = choose(previous.weight[: len(count), source] * kernel[count], previous.risk[: len(count)], k - 1)
            path.append((int(count[origin]), int(moves.died[way]), early))
            state = origin * previous.weight.shape[1] + source
        return Path(*np.array(path[::-1], np.int64).reshape(-1, 3).T)

    @cached_property
    def chances(self) -> list[Floats]:
        """Return the posterior probability of each number at risk before the first point and after each."""
        last = self.layers[-1]
        later = np.divide(self.final, last.weight, out=np.zeros_like(self.final), where=self.final > 0)
        chances = [_chance(last, later)]
        for layer, gap, moves in zip(self.layers[-2::-1], self.gaps[::-1], self.moves[::-1], strict=True):
            back = np.zeros(gap.weight.size)
            back[moves.cell] = later.ravel()[moves.child] * moves.gain
            back = back.reshape(gap.weight.shape)
            later = np.zeros_like(layer.weight)
            for which, kernel in enumerate(gap.kernels):
                columns = np.flatnonzero(gap.which == which)
                later[:, gap.source[columns]] += _undo_censoring(back[:, columns], kernel, len(later))
            later /= later.max()
            chances.append(_chance(layer, later))
        return chances[::-1]


def _chance(layer: Layer, later: Floats) -> Floats:
    """Return the posterior probability of each row of a layer."""
    chance = (layer.weight * later).sum(axis=1)
    return chance / chance.sum()


def _reach(gap: Ints, chance: Floats) -> int:
    """Return the least distance within which `SURE` of the chance lies."""
    order = np.argsort(gap)
    total = np.cumsum(chance[order])
    return int(gap[order][np.searchsorted(total, SURE * total[-1])])


def build_lattice(problem: Problem) -> Lattice | None:
    """Return all states that reproduce the points; None where some drop is no fraction of whole numbers."""
    none, one = np.zeros(1, np.int64), np.ones((1, 1))
    layers, gaps, moves = [Layer(problem.n, none, none, one, one, 0.0)], [], []
    level = heights(problem.points)
    owing = False  # the cell before had a tick that may still have to be used
    for k, point in enumerate(problem.points):
        step = _advance(problem, layers[-1], k, level[k : k + 2], owing)
        if step is None:
            return None
        gaps.append(step.gap)
        moves.append(step.moves)
        layers.append(step.layer)
        owing = point.mark_here
    return Lattice(layers, gaps, moves, _close(problem, layers[-1], owing), problem.events is not None)


def _close(problem: Problem, last: Layer, owing: bool) -> Floats:
    """Weigh the last states by the total of events and by who is left for the ticks and the line after them."""
    risk = last.risk[:, None]
    breaches = np.zeros(last.weight.shape)
    if problem.events is not None:
        gap = np.abs(last.events - problem.events)
        breaches += (gap > 0) * (1 + gap / 10)
    owed = problem.trailing_ticks + (owing & (last.flag == 0))
    breaches += risk < owed
    breaches += problem.marked & (owed == 0) & (risk > 0) & ~(owing & (last.flag == 1))
    if not problem.points or problem.points[-1].is_drop:  # the line goes on after the last drop: somebody is left
        breaches += (risk == 0) & problem.goes_on
    return last.weight * np.exp(-BREACH * (breaches - breaches.min()))


class _Step(NamedTuple):
    """One gap, the moves of the point after it, and the layer that they lead to."""

    gap: Gap
    moves: Moves
    layer: Layer


def _advance(problem: Problem, layer: Layer, k: int, level: Floats, owing: bool) -> _Step | None:
    """Go past one gap and one point; None where no state survives."""
    for marked in (True, False) if problem.marked else (False,):
        gap = _censor(problem, layer, k, level, owing, marked)
        states = _move(problem, layer, gap, k)
        if len(states.cell):
            return _Step(gap, *merge_states(problem, layer, states, level[1]))
    return None  # even if a tick was missed or is none


class _Part(NamedTuple):
    """Columns of a gap that share one kernel, as in `Gap`."""

    source: Ints
    kernel: Floats
    flag: Ints
    weight: Floats
    survival: Floats


def _censor(problem: Problem, layer: Layer, k: int, level: Floats, owing: bool, marked: bool) -> Gap:
    """Censor in the gap before point k: the ticks' own, more where they may be tied, any without ticks."""
    point, least = problem.points[k], int(problem.bounds.low[k])
    if point.is_drop:  # one death makes a step of 1/r: with fewer at risk it would be too deep
        least = max(least + 1, int(1 / max(1 - (level[1] - 2 * problem.error) / (level[0] + problem.error), 1e-12)))
    rows = max(layer.top - least + 1, 1)
    parts = []
    for early in (False, True) if marked and point.mark_here else (False,):
        for used in np.unique(layer.flag):
            columns = np.flatnonzero(layer.flag == used)
            kernel = _kernel(problem, point, rows + len(layer.weight), owing, bool(used), early, marked)
            flag = 1 if early else 0 if point.opens else used
            sums = _convolve(layer, columns, kernel, rows, level[0])
            parts.append(_Part(columns, kernel, np.full(len(columns), flag), *sums))
    which = np.repeat(np.arange(len(parts)), [len(part.source) for part in parts])
    source, flag = np.concatenate([part.source for part in parts]), np.concatenate([part.flag for part in parts])
    weight = np.concatenate([part.weight for part in parts], axis=1)
    survival = np.concatenate([part.survival for part in parts], axis=1)
    return Gap(layer.top, source, which, [part.kernel for part in parts], flag, weight, survival)


def _kernel(problem: Problem, point: Point, size: int, owing: bool, used: bool, early: bool, marked: bool) -> Floats:
    """Return the probability of 0, 1, ... size - 1 censorings in the gap before a point (size,)."""
    count = np.arange(size)
    if not marked:  # where there are ticks, going against them has its price
        return np.exp(log_lost(count, point.expected) - BREACH * problem.marked)
    owed = len(point.marks) + (owing and point.opens and not used) + early
    tied = owed > 0 or (used and (owing or not point.opens))
    chance = np.zeros(size)
    chance[owed:] = np.exp(log_lost(count[: max(size - owed, 0)], problem.tied))
    if not tied:
        chance[1:] = 0.0
    return chance * (BEFORE if early else 1.0)


def _convolve(layer: Layer, columns: Ints, kernel: Floats, rows: int, level: float) -> tuple[Floats, Floats]:
    """Return weight and survival (rows, columns) after censoring, from `top` at risk down.

    Survival was near `level` before.
    """
    weight, survival = layer.weight[:, columns], layer.survival[:, columns]
    same = min(rows, len(weight))
    if not kernel[1:].any():
        sums = np.zeros((2, rows, len(columns)))
        sums[:, :same] = weight[:same] * kernel[0], survival[:same]
        return sums[0], sums[1]
    both = _convolve_columns(kernel, np.concatenate([weight, weight * (survival - level)], axis=1), rows)
    sums, height = both[:, : len(columns)], both[:, len(columns) :]
    sums[sums < ROUNDING * sums.max()] = 0.0
    mean = level + np.divide(height, sums, out=np.zeros_like(sums), where=sums > 0)
    nobody = weight[:same] * kernel[0] > 0.5 * sums[:same]  # mostly one way in: its survival, exactly
    mean[:same][nobody] = survival[:same][nobody]
    return sums, mean


def _undo_censoring(later: Floats, kernel: Floats, rows: int) -> Floats:
    """Apply the transpose of `_convolve`: chance of all that follows (rows, columns) before the censoring."""
    chance = np.zeros((rows, later.shape[1]))
    same = min(rows, len(later))
    if kernel[1:].any():
        chance[:same] = np.maximum(_convolve_columns(kernel, later[::-1], len(later))[::-1][:same], 0.0)
    else:
        chance[:same] = later[:same] * kernel[0]
    return chance


def _convolve_columns(kernel: Floats, values: Floats, rows: int) -> Floats:
    """Return sums (rows, columns) of kernel[i - j] * values[j] over j <= i, by padded Fourier transforms."""
    size = 1 << (rows + len(values)).bit_length()
    transform = np.fft.rfft(kernel[:rows], size)[:, None] * np.fft.rfft(values, size, axis=0)
    return np.fft.irfft(transform, size, axis=0)[:rows]


def _move(problem: Problem, layer: Layer, gap: Gap, k: int) -> NextStates:
    """Return the states after point k: deaths that reproduce its height, within the corridor."""
    point, bounds = problem.points[k], problem.bounds
    cell = np.flatnonzero(gap.weight)
    row, column = np.divmod(cell, gap.weight.shape[1])
    at_risk, old_survival, weight = gap.top - row, gap.survival.ravel()[cell], gap.weight.ravel()[cell]
    miss = np.full(len(cell), -1.0)
    died, new_survival = np.zeros_like(at_risk), old_survival
    if point.is_drop:
        died = np.maximum(np.rint(at_risk * (1 - point.value / old_survival)), 1).astype(np.int64)
        new_survival = old_survival * (1 - died / np.maximum(at_risk, 1))
        miss = np.abs(new_survival - point.value) - problem.error
    risk, events = at_risk - died, layer.events[gap.source[column]] + died
    keep = (risk >= bounds.low[k]) & (risk <= bounds.high[k]) & (miss <= 2 * layer.blur)
    if problem.events is not None:
        keep &= (events >= bounds.fewest[k]) & (events <= bounds.most[k])
    gain = np.exp(-np.maximum(miss, 0) / max(layer.blur, 1e-15))
    if point.is_drop:
        gain[keep] *= np.exp(log_died(died[keep], point.rate))
    for number in point.printed:
        gain[(at_risk != number) & (risk != number)] *= np.exp(-BREACH)
    way = weight * gain
    keep &= way > FAINT * way[keep].max(initial=0.0)
    return NextStates(cell, died, risk, events, gap.flag[column], new_survival, gain, way).select(keep)
