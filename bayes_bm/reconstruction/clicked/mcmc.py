"""Plausible patients behind clicks: a Markov chain over whole patients, compiled with numba.

The density of the clicks stands in `staircase`, the prior of the patients in `hazard_walk`; here are the moves. A
printed number at risk fixes how many leave between two printed times, so moves keep each patient between them; a
printed total keeps the number of deaths. No move can break a printed number. Times here are shares of the time axis.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false
# numba's decorator hides the types of what it compiles

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from bayes_bm.reconstruction.clicked import hazard_walk
from bayes_bm.reconstruction.clicked import staircase as stairs
from bayes_bm.reconstruction.clicked.hazard_walk import PIECES, Hazards, cumulate, log_prior, update_hazards
from bayes_bm.reconstruction.clicked.staircase import (
    CENSORED,
    DEATH,
    LAST,
    REACH,
    Arm,
    State,
    copy_state,
    density,
    levels,
    refresh_state,
    staircase,
    weigh,
)
from bayes_bm.reconstruction.curve import Floats, Ints
from bayes_bm.runtime.compiling import cached_njit

PITCH = 1.1
"""Click errors between the places at which the integral is summed: relative error 1e-7 off corners."""
FINEST = 0.65
"""The least click error against the first, on which the pitch rests: relative error of the integral 2e-3."""
ANNEAL = 1.0
"""Click errors added at the start, so that steps in the wrong place can pass one another."""
WARPS = 0.15
"""Share of attempts in which many patients shift together."""
EXCHANGES = 0.2
"""Share in which one patient changes what became of it."""
SHIFTS = 0.45
"""Share in which one patient shifts nearby; in the rest it goes anywhere in its interval."""

_compiled = partial(cached_njit, stairs, hazard_walk)


# `new` holds what `now` holds. A move writes the patients it changes into `new` and returns the first and last place
# changed and the log ratio of priors and proposals; first = -1 where nothing is proposed, nor written.


@_compiled()
def _exchange(arm: Arm, now: State, new: State, of: Hazards, i: int, rng):
    """Death and censoring change places between two patients; or, where no total is printed, one patient changes."""
    n, upper = len(now.time), arm.edges[-1]
    k = i
    if arm.marked:
        return -1, -1, 0.0
    if arm.fixed_total:
        k = int(rng.random() * n)
        if rng.random() < 0.7:  # near one another
            k = i + int(rng.standard_normal() * 0.05 * n)
        if k < 0 or k >= n or now.kind[i] == now.kind[k] or now.kind[k] == LAST:
            return -1, -1, 0.0
    if now.kind[i] == LAST:
        return -1, -1, 0.0
    low, high, ratio = min(i, k), max(i, k), 0.0
    new.kind[i] = 1 - now.kind[i]
    if k != i:
        new.kind[k] = 1 - now.kind[k]
        ratio = log_prior(now.time[k], new.kind[k], upper, of) - log_prior(now.time[k], now.kind[k], upper, of)
    ratio += log_prior(now.time[i], new.kind[i], upper, of) - log_prior(now.time[i], now.kind[i], upper, of)
    return low, high, ratio


@_compiled()
def _displace(arm: Arm, now: State, new: State, of: Hazards, i: int, near: bool, rng):
    """One patient moves, near its time or anywhere in its interval; a last one leaves earlier or an early one last."""
    upper, end = arm.edges[-1], now.scalars[1]
    j = arm.interval[i]
    opens = j == len(arm.start) - 2
    left, right = arm.edges[j], end if opens else arm.edges[j + 1]
    old, was = now.time[i], now.kind[i]
    ratio, then = 0.0, was
    if arm.marked and was != DEATH:
        return -1, -1, 0.0
    if near:
        if was == LAST:
            return -1, -1, 0.0
        time = old + now.scalars[0] * math.exp(3.0 * rng.random()) * rng.standard_normal()
        if time < left or time >= right:
            return -1, -1, 0.0
    else:
        time = left + (right - left) * rng.random()
        if opens and was != DEATH and rng.random() < 0.5:  # density 1 at the end against 1 / width inside
            width = max(right - left, 1e-9)
            then = CENSORED if was == LAST else LAST
            ratio = math.log(width) if was == LAST else -math.log(width)
        elif was == LAST:
            return -1, -1, 0.0
        if then == LAST:
            time = end
    place = arm.start[j + 1] if then == LAST else _find(now.time, time, arm.start[j], arm.start[j + 1])
    place = place - 1 if place > i else place
    low, high = min(i, place), max(i, place)
    for q in range(i, place):
        new.time[q], new.kind[q] = now.time[q + 1], now.kind[q + 1]
    for q in range(place + 1, i + 1):
        new.time[q], new.kind[q] = now.time[q - 1], now.kind[q - 1]
    new.time[place], new.kind[place] = time, then
    return low, high, ratio + log_prior(time, then, upper, of) - log_prior(old, was, upper, of)


@_compiled()
def _warp(arm: Arm, now: State, new: State, of: Hazards, j: int, rng):
    """Patients of a window move together: one by delta, the others as far as a line from the window's ends takes them.

    Each time to the left is stretched by (c + delta - left) / (c - left), to the right likewise: the Jacobian.
    """
    upper = arm.edges[-1]
    limit = now.scalars[1] if j == len(arm.start) - 2 else arm.edges[j + 1]
    left = arm.edges[j] + (limit - arm.edges[j]) * rng.random()
    right = left + now.scalars[0] * math.exp(4.0 * rng.random())
    low = _find(now.time, left, arm.start[j], arm.start[j + 1])
    high = _find(now.time, right, low, arm.start[j + 1]) - 1
    if right >= limit or high < low or arm.marked:
        return -1, -1, 0.0
    i = low + int(rng.random() * (high - low + 1))
    centre = now.time[i]
    moved = centre + now.scalars[0] * math.exp(2.0 * rng.random() - 2.0) * rng.standard_normal()
    if moved <= left or moved >= right or centre <= left:
        return -1, -1, 0.0
    before, after = (moved - left) / (centre - left), (right - moved) / (right - centre)
    ratio = (i - low) * math.log(before) + (high - i) * math.log(after)
    for q in range(low, high + 1):
        time = now.time[q]
        new.time[q] = left + (time - left) * before if q <= i else right - (right - time) * after
        ratio += log_prior(new.time[q], now.kind[q], upper, of) - log_prior(time, now.kind[q], upper, of)
    return low, high, ratio


@_compiled()
def _find(ordered: Floats, value: float, low: int, high: int) -> int:
    """First place in ordered[low:high] that is not before `value`."""
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@_compiled()
def _tail(arm: Arm, before: float, after: float) -> float:
    """Log ratio of the prior of the end of the line: exponential past the last click."""
    last = arm.x[-1]
    return (max(before - last, 0.0) - max(after - last, 0.0)) / arm.beyond


@_compiled()
def _settle(arm: Arm, now: State, new: State, low: int, high: int, ratio: float, rng) -> None:
    """Accept or refuse a move of patients low to high, weighing only the clicks near what it changes."""
    n, pitch, sigma = len(now.time), arm.pitch, now.scalars[0]
    levels(new.kind, new.survival, low, high + 1)
    begin = min(now.time[low], new.time[low]) + (1.0 - now.survival[low - 1] if low > 0 else 0.0)
    node = min(max(math.ceil(begin / pitch), 0), now.nodes[0])
    reach = REACH * sigma + pitch
    nodes, until, after, east = now.nodes[0], 1e9, high + 1, 1e9
    if high < n - 1 and abs(new.survival[high] - now.survival[high]) < 1e-12:  # after it the staircase is the old one
        east = max(now.time[high], new.time[high])
        again = east + 1.0 - now.survival[high]
        until, east = again + reach, east + reach
        changed = min(staircase(new, pitch, node, low, high, again), nodes)
    else:
        levels(new.kind, new.survival, high + 1, n)
        after = n
        changed = nodes = staircase(new, pitch, node, low, n, 0.0)
    first = _find(arm.u, begin - reach, 0, len(arm.u))
    last = first
    while last < len(arm.u) and arm.u[last] <= max(until, east + 1.0):
        if arm.u[last] <= until or (arm.bound[last] and arm.x[last] <= east):
            new.logs[last] = density(arm, new, last, nodes, sigma)
            ratio += arm.worth * (new.logs[last] - now.logs[last])
        last += 1
    if new.time[n - 1] != now.time[n - 1]:
        ratio += _tail(arm, now.time[n - 1], new.time[n - 1])
    if math.log(rng.random()) < ratio:
        now.nodes[0] = nodes
        _write(new, now, low, high + 1, after, first, last, node, changed)
    else:
        _write(now, new, low, high + 1, after, first, last, node, changed)


@_compiled()
def _write(of: State, to: State, low: int, high: int, after: int, first: int, last: int, node: int, end: int) -> None:
    """What a move changes, from one state to the other."""
    for i in range(low, high):
        to.time[i], to.kind[i] = of.time[i], of.kind[i]
    for i in range(low, after):
        to.survival[i] = of.survival[i]
    for c in range(first, last):
        to.logs[c] = of.logs[c]
    for k in range(node, end):
        to.x[k], to.y[k] = of.x[k], of.y[k]


@_compiled()
def _move_end(arm: Arm, now: State, new: State, of: Hazards, rng) -> None:
    """The end of follow-up moves, and with it everybody who is censored there."""
    n, upper, end = len(now.time), arm.edges[-1], now.scalars[1]
    inside = n
    while inside > 0 and now.kind[inside - 1] == LAST:
        inside -= 1
    time = end + 2.0 * now.scalars[0] * rng.standard_normal()
    lowest = max(arm.edges[-2], now.time[inside - 1] if inside > 0 else 0.0)
    if time <= lowest or time > upper or arm.marked:
        return
    if inside == n:
        now.scalars[1] = time
        return
    new.time[inside:] = time
    ratio = (n - inside) * (log_prior(time, LAST, upper, of) - log_prior(end, LAST, upper, of))
    new.nodes[0] = staircase(new, arm.pitch, 0, 0, n, 0.0)
    weigh(arm, new, now.scalars[0], new.logs)
    ratio += _tail(arm, end, time) + arm.worth * np.sum(new.logs - now.logs)
    if math.log(rng.random()) < ratio:
        now.scalars[1], now.nodes[0] = time, new.nodes[0]
        copy_state(new, now)
    else:
        copy_state(now, new)


@_compiled()
def _move_error(arm: Arm, now: State, new: State, rng) -> None:
    """The click error, with a flat prior on its log."""
    sigma = now.scalars[0] * math.exp(0.15 * rng.standard_normal())
    if sigma < FINEST * arm.pitch / PITCH or sigma > 0.1:
        return
    weigh(arm, now, sigma, new.logs)
    if math.log(rng.random()) < arm.worth * np.sum(new.logs - now.logs):
        now.scalars[0] = sigma
        now.logs[:] = new.logs
    else:
        new.logs[:] = now.logs


@_compiled()
def _advance(arm: Arm, now: State, new: State, of: Hazards, hold: int, every: int, rng, times, kinds, errors) -> None:
    """`hold` sweeps from a tolerant to the first click error, then `every` sweeps before each state that is kept."""
    n, upper, aim = len(now.time), arm.edges[-1], now.scalars[0]
    for sweep in range(hold + every * len(times)):
        if sweep <= hold:
            now.scalars[0] = aim * (1.0 + ANNEAL * (1.0 - sweep / hold)) if hold else aim
        if sweep <= hold or sweep % 10 == 0:  # sums of rounding go stale
            refresh_state(arm, now)
            copy_state(now, new)
        for _ in range(n):
            pick, i = rng.random(), int(rng.random() * n)
            if pick < WARPS:
                low, high, ratio = _warp(arm, now, new, of, arm.interval[i], rng)
            elif pick < WARPS + EXCHANGES:
                low, high, ratio = _exchange(arm, now, new, of, i, rng)
            else:
                low, high, ratio = _displace(arm, now, new, of, i, pick < WARPS + EXCHANGES + SHIFTS, rng)
            if low >= 0:
                _settle(arm, now, new, low, high, ratio, rng)
        for _ in range(4):
            _move_end(arm, now, new, of, rng)
        if sweep >= hold:
            _move_error(arm, now, new, rng)
            _move_error(arm, now, new, rng)
        update_hazards(now, of, upper, rng)
        kept, rest = divmod(sweep - hold + 1, every)
        if sweep >= hold and rest == 0:
            times[kept - 1], kinds[kept - 1], errors[kept - 1] = now.time, now.kind, now.scalars[0]


@dataclass(frozen=True)
class States:
    """States of the chain: sorted times as shares of the axis and kinds (states, n), click errors (states,)."""

    time: Floats
    kind: Ints
    click_error: Floats


def sample_patients(
    arm: Arm, time: Floats, kind: Ints, click_error: float, rng, *, hold: int, every: int, keep: int
) -> States:
    """`keep` states of a chain started at these patients (sorted, within their intervals); `rng` decides all.

    The chain first spends `hold` sweeps, of one attempt a patient, on finding its place.
    """
    upper = float(arm.edges[-1])
    nodes = int((upper + 1.0) / arm.pitch) + 3
    kind = np.asarray(kind, np.int64)
    end = float(time[-1]) if kind[-1] == LAST else min(upper, float(time[-1]) + click_error)

    def state() -> State:
        scalars = np.array([click_error, end])
        return State(
            time.copy(), kind.copy(), np.empty(len(time)), np.zeros(nodes), np.zeros(nodes), np.empty(len(arm.x)),
            scalars, np.zeros(1, np.int64),
        )  # fmt: skip

    exposure = max(float(time.sum()), 1e-3)
    counts = [max(float((kind == k).sum()), 0.5) for k in (DEATH, CENSORED)]
    logs = [np.full(p, np.log(c / exposure)) for p, c in zip(PIECES, counts, strict=True)]
    of = Hazards(*logs, *(np.empty(p + 1) for p in PIECES), np.array([0.4, 1.0]))
    cumulate(of.death, upper, of.cum_death)
    cumulate(of.lost, upper, of.cum_lost)
    times, kinds, errors = np.empty((keep, len(time))), np.empty((keep, len(time)), np.int64), np.empty(keep)
    now = state()
    refresh_state(arm, now)
    _advance(arm, now, state(), of, hold, every, rng, times, kinds, errors)
    return States(times, kinds, errors)
