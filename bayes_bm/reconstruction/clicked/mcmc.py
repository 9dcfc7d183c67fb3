"""Plausible patients behind clicks: a Markov chain over whole patients, compiled with numba.

The density of the clicks stands in `staircase`, the prior of the patients in `hazard_walk`; the moves stand here. A
printed number at risk fixes how many leave between two printed times, so moves keep each patient between them; a
printed total keeps the number of deaths. No move can break a printed number. Times here are shares of the time axis.
"""

# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false
# numba's decorator hides the types of what it compiles

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import njit

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
    length,
    levels,
    new_state,
    refresh_state,
    staircase,
    weigh,
)
from bayes_bm.reconstruction.curve import Floats, Ints
from bayes_bm.runtime import inner_functions
from bayes_bm.runtime.compiling import cached_njit
from bayes_bm.runtime.inner_functions import INNER, put_values

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

_compiled = partial(cached_njit, stairs, hazard_walk, inner_functions)


class Proposal(NamedTuple):
    """A move: the first and the last place that it changes, and the log ratio of priors and of proposal densities.

    `low` is -1 where nothing is proposed, nor written.
    """

    low: int
    high: int
    log_ratio: float


REFUSED = Proposal(-1, -1, 0.0)
"""No move: it would break a printed number or leave its interval."""


class Placement(NamedTuple):
    """Time and kind that a patient moves to, and the log ratio of the densities of proposing the way back and there.

    `kind` is -1 where the patient stays.
    """

    time: float
    kind: int
    log_ratio: float


UNMOVED = Placement(0.0, -1, 0.0)
"""The patient stays."""


class Change(NamedTuple):
    """Half-open ranges of what a move changes in a state.

    Patients `low` to `high`, survival from `low` to `survival_end`, clicks `first_click` to `end_click`, and nodes
    of the staircase `first_node` to `end_node`.
    """

    low: int
    high: int
    survival_end: int
    first_click: int
    end_click: int
    first_node: int
    end_node: int


class Schedule(NamedTuple):
    """Sweeps of the chain: `hold` before the first state that counts, `every` before each state that is kept."""

    hold: int
    every: int


class States(NamedTuple):
    """States of the chain: sorted times as shares of the axis and kinds (states, n), click errors (states,)."""

    time: Floats
    kind: Ints
    click_error: Floats


# `new` holds what `now` holds. A move writes the patients it changes into `new` and returns its `Proposal`.


@_compiled()
def _exchange(arm: Arm, now: State, new: State, hazards: Hazards, i: int, rng) -> Proposal:
    """Exchange death and censoring between two patients; where no total is printed, change one patient."""
    n, upper = len(now.time), arm.edges[-1]
    k = i
    if arm.marked:
        return REFUSED
    if arm.fixed_total:
        k = int(rng.random() * n)
        if rng.random() < 0.7:  # near one another
            k = i + int(rng.standard_normal() * 0.05 * n)
        if k < 0 or k >= n or now.kind[i] == now.kind[k] or now.kind[k] == LAST:
            return REFUSED
    if now.kind[i] == LAST:
        return REFUSED
    low, high, ratio = min(i, k), max(i, k), 0.0
    new.kind[i] = 1 - now.kind[i]
    if k != i:
        new.kind[k] = 1 - now.kind[k]
        time = now.time[k]
        ratio = log_prior(time, new.kind[k], upper, hazards) - log_prior(time, now.kind[k], upper, hazards)
    time = now.time[i]
    ratio += log_prior(time, new.kind[i], upper, hazards) - log_prior(time, now.kind[i], upper, hazards)
    return Proposal(low, high, ratio)


@_compiled(inline="always")  # a call would count references to every array of both records
def _propose_place(arm: Arm, now: State, i: int, nearby: bool, rng) -> Placement:
    """Propose a time for patient i, near its own or anywhere in its interval; a last patient may leave earlier, or an
    earlier one may become one of the last."""
    j = arm.interval[i]
    is_open, kind = j == len(arm.start) - 2, now.kind[i]
    start, end = arm.edges[j], now.scalars[1] if is_open else arm.edges[j + 1]
    if arm.marked and kind != DEATH:
        return UNMOVED
    if nearby:
        if kind == LAST:
            return UNMOVED
        time = now.time[i] + now.scalars[0] * math.exp(3.0 * rng.random()) * rng.standard_normal()
        return UNMOVED if time < start or time >= end else Placement(time, kind, 0.0)
    time = start + (end - start) * rng.random()
    if is_open and kind != DEATH and rng.random() < 0.5:  # density 1 at the end against 1 / width inside
        width = max(end - start, 1e-9)
        if kind == LAST:
            return Placement(time, CENSORED, math.log(width))
        return Placement(now.scalars[1], LAST, -math.log(width))
    return UNMOVED if kind == LAST else Placement(time, kind, 0.0)


@_compiled()
def _displace(arm: Arm, now: State, new: State, hazards: Hazards, i: int, nearby: bool, rng) -> Proposal:
    """Move one patient as `_propose_place` says; those between its old and its new place shift by one."""
    upper, j = arm.edges[-1], arm.interval[i]
    time, kind, ratio = _propose_place(arm, now, i, nearby, rng)
    if kind < 0:
        return REFUSED
    place = arm.start[j + 1] if kind == LAST else _find(now.time, time, arm.start[j], arm.start[j + 1])
    place = place - 1 if place > i else place
    for q in range(i, place):
        new.time[q], new.kind[q] = now.time[q + 1], now.kind[q + 1]
    for q in range(place + 1, i + 1):
        new.time[q], new.kind[q] = now.time[q - 1], now.kind[q - 1]
    new.time[place], new.kind[place] = time, kind
    ratio = ratio + log_prior(time, kind, upper, hazards) - log_prior(now.time[i], now.kind[i], upper, hazards)
    return Proposal(min(i, place), max(i, place), ratio)


@_compiled()
def _warp(arm: Arm, now: State, new: State, hazards: Hazards, j: int, rng) -> Proposal:
    """Move the patients of a window: one by delta, the others as far as a line from the window's ends takes them.

    Each time to the left is stretched by (c + delta - left) / (c - left), to the right likewise: the Jacobian.
    """
    upper = arm.edges[-1]
    limit = now.scalars[1] if j == len(arm.start) - 2 else arm.edges[j + 1]
    window_start = arm.edges[j] + (limit - arm.edges[j]) * rng.random()
    window_end = window_start + now.scalars[0] * math.exp(4.0 * rng.random())
    low = _find(now.time, window_start, arm.start[j], arm.start[j + 1])
    high = _find(now.time, window_end, low, arm.start[j + 1]) - 1
    if window_end >= limit or high < low or arm.marked:
        return REFUSED
    i = low + int(rng.random() * (high - low + 1))
    centre = now.time[i]
    moved = centre + now.scalars[0] * math.exp(2.0 * rng.random() - 2.0) * rng.standard_normal()
    if moved <= window_start or moved >= window_end or centre <= window_start:
        return REFUSED
    left_stretch = (moved - window_start) / (centre - window_start)
    right_stretch = (window_end - moved) / (window_end - centre)
    ratio = (i - low) * math.log(left_stretch) + (high - i) * math.log(right_stretch)
    for q in range(low, high + 1):
        time = now.time[q]
        if q <= i:
            new.time[q] = window_start + (time - window_start) * left_stretch
        else:
            new.time[q] = window_end - (window_end - time) * right_stretch
        ratio += log_prior(new.time[q], now.kind[q], upper, hazards) - log_prior(time, now.kind[q], upper, hazards)
    return Proposal(low, high, ratio)


@njit(**INNER)
def _find(ordered: Floats, value: float, low: int, high: int) -> int:
    """Return the first place in ordered[low:high] that is not before `value`."""
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@_compiled(inline="always")
def _end_ratio(arm: Arm, now: State, new: State) -> float:
    """Return the log ratio of what the end of the line decides: its prior past the last click, and the length of all.

    The clicks are spread over the whole line, so each further piece of it would have been clicked on: (1 / U) a click.
    """
    n, last = len(now.time), arm.x[-1]
    old_end, new_end = now.time[n - 1], new.time[n - 1]
    old_length, new_length = length(now), length(new)
    if new_length == old_length and new_end == old_end:
        return 0.0
    overrun = (max(old_end - last, 0.0) - max(new_end - last, 0.0)) / arm.overrun
    return overrun + arm.worth * len(arm.x) * math.log(old_length / new_length)


@_compiled()
def _settle(arm: Arm, now: State, new: State, proposal: Proposal, rng) -> None:
    """Accept or refuse a move, weighing only the clicks near what it changes."""
    low, high, ratio = proposal
    n, pitch, sigma = len(now.time), arm.pitch, now.scalars[0]
    levels(new.kind, new.survival, low, high + 1)
    first_length = min(now.time[low], new.time[low]) + (1.0 - now.survival[low - 1] if low > 0 else 0.0)
    node = min(max(math.ceil(first_length / pitch), 0), now.nodes[0])
    reach = REACH * sigma + pitch
    nodes, last_length, survival_end, last_time = now.nodes[0], 1e9, high + 1, 1e9
    if high < n - 1 and abs(new.survival[high] - now.survival[high]) < 1e-12:  # after it the staircase is the old one
        last_time = max(now.time[high], new.time[high])
        rejoined = last_time + 1.0 - now.survival[high]
        last_length, last_time = rejoined + reach, last_time + reach
        changed = min(staircase(new, pitch, node, low, high, rejoined), nodes)
    else:
        levels(new.kind, new.survival, high + 1, n)
        survival_end = n
        changed = nodes = staircase(new, pitch, node, low, n, 0.0)
    first_click = _find(arm.u, first_length - reach, np.int64(0), len(arm.u))
    click = first_click
    while click < len(arm.u) and arm.u[click] <= max(last_length, last_time + 1.0):
        if arm.u[click] <= last_length or (arm.bound[click] and arm.x[click] <= last_time):
            new.logs[click] = density(arm, new, click, nodes, sigma)
            ratio += arm.worth * (new.logs[click] - now.logs[click])
        click += 1
    ratio += _end_ratio(arm, now, new)
    change = Change(low, high + 1, survival_end, first_click, click, node, changed)
    if math.log(rng.random()) < ratio:
        now.nodes[0] = nodes
        _write(new, now, change)
    else:
        _write(now, new, change)


@njit(**INNER)
def _write(source: State, target: State, change: Change) -> None:
    """Copy what a move changes from one state to the other."""
    for i in range(change.low, change.high):
        target.time[i], target.kind[i] = source.time[i], source.kind[i]
    for i in range(change.low, change.survival_end):
        target.survival[i] = source.survival[i]
    for c in range(change.first_click, change.end_click):
        target.logs[c] = source.logs[c]
    for k in range(change.first_node, change.end_node):
        target.x[k], target.y[k] = source.x[k], source.y[k]


@_compiled()
def _move_end(arm: Arm, now: State, new: State, hazards: Hazards, rng) -> None:
    """Move the end of follow-up, and with it everybody who is censored there."""
    n, upper, end = len(now.time), arm.edges[-1], now.scalars[1]
    end_group = n  # the first of those censored at the end
    while end_group > 0 and now.kind[end_group - 1] == LAST:
        end_group -= 1
    time = end + 2.0 * now.scalars[0] * rng.standard_normal()
    lowest = max(arm.edges[-2], now.time[end_group - 1] if end_group > 0 else 0.0)
    if time <= lowest or time > upper or arm.marked:
        return
    if end_group == n:
        now.scalars[1] = time
        return
    new.time[end_group:] = time
    first, last = np.int64(0), np.int64(LAST)
    ratio = (n - end_group) * (log_prior(time, last, upper, hazards) - log_prior(end, last, upper, hazards))
    new.nodes[0] = staircase(new, arm.pitch, first, first, n, 0.0)
    weigh(arm, new, now.scalars[0], new.logs)
    ratio += _end_ratio(arm, now, new) + arm.worth * np.sum(new.logs - now.logs)
    if math.log(rng.random()) < ratio:
        now.scalars[1], now.nodes[0] = time, new.nodes[0]
        copy_state(new, now)
    else:
        copy_state(now, new)


@_compiled()
def _move_error(arm: Arm, now: State, new: State, rng) -> None:
    """Move the click error, which has a flat prior on its log."""
    sigma = now.scalars[0] * math.exp(0.15 * rng.standard_normal())
    if sigma < FINEST * arm.pitch / PITCH or sigma > 0.1:
        return
    weigh(arm, now, sigma, new.logs)
    if math.log(rng.random()) < arm.worth * np.sum(new.logs - now.logs):
        now.scalars[0] = sigma
        put_values(new.logs, now.logs)
    else:
        put_values(now.logs, new.logs)


@_compiled()
def _advance(arm: Arm, now: State, new: State, hazards: Hazards, schedule: Schedule, rng, states: States) -> None:
    """Run `hold` sweeps from a tolerant to the first click error, then `every` sweeps before each of the `states`."""
    n, upper, aim = len(now.time), arm.edges[-1], now.scalars[0]
    hold, every = schedule
    for sweep in range(hold + every * len(states.click_error)):
        if sweep <= hold:
            now.scalars[0] = aim * (1.0 + ANNEAL * (1.0 - sweep / hold)) if hold else aim
        if sweep <= hold or sweep % 10 == 0:  # sums of rounding go stale
            refresh_state(arm, now)
            copy_state(now, new)
        for _ in range(n):
            pick, i = rng.random(), int(rng.random() * n)
            if pick < WARPS:
                proposal = _warp(arm, now, new, hazards, arm.interval[i], rng)
            elif pick < WARPS + EXCHANGES:
                proposal = _exchange(arm, now, new, hazards, i, rng)
            else:
                proposal = _displace(arm, now, new, hazards, i, pick < WARPS + EXCHANGES + SHIFTS, rng)
            if proposal.low >= 0:
                _settle(arm, now, new, proposal, rng)
        for _ in range(4):
            _move_end(arm, now, new, hazards, rng)
        if sweep >= hold:
            _move_error(arm, now, new, rng)
            _move_error(arm, now, new, rng)
        update_hazards(now, hazards, upper, rng)
        kept, rest = divmod(sweep - hold + 1, every)
        if sweep >= hold and rest == 0:
            put_values(now.time, states.time[kept - 1])
            put_values(now.kind, states.kind[kept - 1])
            states.click_error[kept - 1] = now.scalars[0]


def sample_patients(
    arm: Arm,
    time: Floats,
    kind: Ints,
    click_error: float,
    rng: np.random.Generator,
    *,
    hold: int,
    every: int,
    keep: int,
) -> States:
    """Return `keep` states of a chain started at these patients (sorted, within their intervals); `rng` decides all.

    The chain first spends `hold` sweeps, of one attempt a patient, on finding its place.
    """
    upper = float(arm.edges[-1])
    kind = np.asarray(kind, np.int64)
    end = float(time[-1]) if kind[-1] == LAST else min(upper, float(time[-1]) + click_error)

    exposure = max(float(time.sum()), 1e-3)
    counts = [max(float((kind == k).sum()), 0.5) for k in (DEATH, CENSORED)]
    logs = [np.full(p, np.log(c / exposure)) for p, c in zip(PIECES, counts, strict=True)]
    hazards = Hazards(*logs, *(np.empty(p + 1) for p in PIECES), np.array([0.4, 1.0]))
    cumulate(hazards.death, upper, hazards.cum_death)
    cumulate(hazards.lost, upper, hazards.cum_lost)
    states = States(np.empty((keep, len(time))), np.empty((keep, len(time)), np.int64), np.empty(keep))
    now, new = (new_state(arm, time, kind, click_error, end) for _ in range(2))
    _advance(arm, now, new, hazards, Schedule(hold, every), rng, states)
    return states
