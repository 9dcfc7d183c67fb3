"""Plausible patients behind clicks: a Markov chain over whole patients, compiled with numba.

Patients die with hazard lambda(t) and are censored with hazard gamma(t), both constant in short pieces with a random
walk on their logs; some leave together at the end of follow-up. Their Kaplan-Meier curve is a staircase of length U in
units of the axes. A click is a place on it, any as likely as any other, moved by a normal error of sd sigma (a share of
either axis) in both directions:

    p(click | patients, sigma) = (1 / U) integral_0^U N(x - x(u); sigma) N(y - y(u); sigma) du,    y = 1 - survival.

A printed number at risk fixes how many leave between two printed times, so moves keep each patient between them; a
printed total keeps the number of deaths. No move can break a printed number. Times here are shares of the time axis.
"""

# pyright: reportArgumentType=false, reportCallIssue=false
# numba's decorator hides the types of what it compiles

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayes_bm.curves.reading import Floats, Ints

CENSORED, DEATH, LAST = 0, 1, 2  # what became of a patient; LAST: censored with others at the end of follow-up
REACH = 4.5 * math.sqrt(2.0)  # click errors along the staircase within which a place on it counts
PITCH = 1.1  # click errors between the places at which the integral is summed: relative error 1e-7 off corners
FINEST = 0.65  # the least click error against the first, on which the pitch rests: relative error of the integral 2e-3
FINE, LARGEST = 128, 32  # entries of the table of exp(-q) per unit of q, and where it ends
TABLE = np.exp(-np.arange(FINE * LARGEST + 2) / FINE)
ANNEAL = 1.0  # click errors added at the start, so that steps in the wrong place can pass one another
PIECES = 96, 48  # of constant hazard of death and of censoring
ROUGHEST = 0.5, 1.0  # scale of the half-normal prior of the scale of both random walks, from piece to piece
LEVELS = 0.0, -1.5  # mean of the normal prior (sd WIDE) of the first log hazard of death and of censoring, an axis
WIDE = 3.0, 3.0
WARPS, EXCHANGES, SHIFTS = 0.15, 0.2, 0.45  # shares of attempts: many shift, one changes what became of it, one shifts


class Arm(NamedTuple):
    """What is fixed.

    Patient i belongs to interval `interval[i]` of the at-risk table; interval j has patients `start[j]` to
    `start[j + 1]` and limits `edges[j]`, `edges[j + 1]`. Clicks (x, y) are sorted by u = x + y; `bound` where a click
    is a lower limit of survival. `beyond` is the mean length by which follow-up runs past the last click; `marked`
    where ticks say when patients were censored, so that these stay. The integral of a click is summed at nodes every
    `pitch` of the length of the staircase. Each click counts for the share `worth` of a click.
    """

    interval: Ints
    start: Ints
    edges: Floats
    x: Floats
    y: Floats
    u: Floats
    bound: NDArray[np.bool_]
    fixed_total: bool
    marked: bool
    beyond: float
    pitch: float
    worth: float = 1.0


class State(NamedTuple):
    """Patients sorted by time, survival after each; nodes of the staircase every pitch; log density of each click.

    `scalars`: click error, end of follow-up. `nodes[0]`: nodes in use.
    """

    time: Floats
    kind: Ints
    survival: Floats
    x: Floats
    y: Floats
    logs: Floats
    scalars: Floats
    nodes: Ints


class Hazards(NamedTuple):
    """Log hazards of both kinds by piece, their cumulative hazards at the limits of the pieces, and the walks' sds."""

    death: Floats
    lost: Floats
    cum_death: Floats
    cum_lost: Floats
    spread: Floats


# --- likelihood ---------------------------------------------------------------------------------------------------
# The density of a click stands inline: a call counts references to every array of both records, a third of all time.


@njit(cache=True)
def _levels(kind: Ints, survival: Floats, first: int, last: int) -> None:
    """Survival after each patient from `first` to before `last`; of n sorted patients number i leaves n - i at risk."""
    n = len(kind)
    level = survival[first - 1] if first > 0 else 1.0
    for i in range(first, last):
        if kind[i] == DEATH:
            level *= 1.0 - 1.0 / (n - i)
        survival[i] = level


@njit(cache=True)
def _staircase(state: State, pitch: float, node: int, low: int, high: int, until: float) -> int:
    """Nodes from `node` on, from patient `low` on; past patient `high` only up to length `until`. Returns the next."""
    time, kind, survival, x, y = state.time, state.kind, state.survival, state.x, state.y
    n, k = len(time), node
    fallen = 1.0 - survival[low - 1] if low > 0 else 0.0
    for i in range(low, n + 1):
        done = i > high
        if not done and i < n and kind[i] != DEATH:
            continue
        corner = until if done else (time[i] if i < n else time[n - 1]) + fallen
        while k * pitch <= corner and k < len(x):
            x[k], y[k] = k * pitch - fallen, fallen
            k += 1
        if done or i == n:
            break
        fallen = 1.0 - survival[i]
        corner = time[i] + fallen
        while k * pitch <= corner and k < len(x):
            x[k], y[k] = time[i], k * pitch - time[i]
            k += 1
    return k


@njit(cache=True, inline="always")
def _falling(q: float) -> float:
    """exp(-q) for q >= 0 from a table, within 1e-5 of it; 0 where it ends."""
    if q >= LARGEST:
        return 0.0
    place = q * FINE
    k = int(place)
    return TABLE[k] + (place - k) * (TABLE[k + 1] - TABLE[k])


@njit(cache=True, inline="always")
def _density(arm: Arm, state: State, c: int, nodes: int, sigma: float) -> float:
    """Log density of click c, but for a constant; of a lower limit, the chance of a survival above it.

    A lower limit may belong to any place above it on a drop, however tall.
    """
    cx, cy = arm.x[c], arm.y[c]
    last = max(min(math.ceil((arm.u[c] + REACH * sigma) / arm.pitch), nodes - 1), 0)
    first = min(max(math.floor((arm.u[c] - REACH * sigma) / arm.pitch), 0), last)
    half, total = 0.5 / (sigma * sigma), 0.0
    if arm.bound[c]:
        k = last
        while k >= first or (k >= 0 and state.x[k] >= cx - REACH * sigma):
            dx, dy = cx - state.x[k], cy - state.y[k]
            total += _falling(dx * dx * half) * 0.5 * math.erfc(-dy / (1.4142135623730951 * sigma))
            k -= 1
        return math.log(total * arm.pitch + 1e-290) - math.log(sigma)
    for k in range(first, last + 1):
        dx, dy = cx - state.x[k], cy - state.y[k]
        total += _falling((dx * dx + dy * dy) * half)
    return math.log(total * arm.pitch + 1e-290) - 2.0 * math.log(sigma)


@njit(cache=True)
def _weigh(arm: Arm, state: State, sigma: float, out: Floats) -> None:
    for c in range(len(out)):
        out[c] = _density(arm, state, c, state.nodes[0], sigma)


@njit(cache=True)
def _refresh(arm: Arm, state: State) -> None:
    """Everything that follows from the patients, anew."""
    n = len(state.time)
    _levels(state.kind, state.survival, 0, n)
    state.nodes[0] = _staircase(state, arm.pitch, 0, 0, n, 0.0)
    _weigh(arm, state, state.scalars[0], state.logs)


@njit(cache=True)
def _copy(of: State, to: State) -> None:
    to.time[:], to.kind[:], to.survival[:] = of.time, of.kind, of.survival
    to.x[:], to.y[:], to.logs[:] = of.x, of.y, of.logs


# --- prior --------------------------------------------------------------------------------------------------------


@njit(cache=True)
def _piece(t: float, upper: float, pieces: int) -> int:
    return min(max(int(t / upper * pieces), 0), pieces - 1)


@njit(cache=True)
def _cumulate(log_hazard: Floats, upper: float, out: Floats) -> None:
    out[0] = 0.0
    for b in range(len(log_hazard)):
        out[b + 1] = out[b] + upper / len(log_hazard) * math.exp(log_hazard[b])


@njit(cache=True)
def _log_prior(t: float, kind: int, upper: float, of: Hazards) -> float:
    """Log density of one patient: nothing before t, then the hazard of what happened; LAST has none."""
    b, c = _piece(t, upper, len(of.death)), _piece(t, upper, len(of.lost))
    into_b, into_c = t - upper * b / len(of.death), t - upper * c / len(of.lost)
    value = -of.cum_death[b] - into_b * math.exp(of.death[b]) - of.cum_lost[c] - into_c * math.exp(of.lost[c])
    if kind == DEATH:
        value += of.death[b]
    elif kind == CENSORED:
        value += of.lost[c]
    return value


@njit(cache=True)
def _jump(size: float, spread: float) -> float:
    """Log density of a step of the walk, Student's t with 2 degrees of freedom, but for log spread: most steps are
    small, some are jumps, because people are censored and found to have relapsed at visits."""
    return -1.5 * math.log1p(size * size / (2.0 * spread * spread))


@njit(cache=True)
def _walk(count: Floats, exposure: Floats, log_hazard: Floats, which: int, spread: float, rng) -> float:
    """Metropolis steps for the log hazards of all pieces, and for the sd of their random walk, which is returned."""
    pieces = len(log_hazard)
    for b in range(pieces):
        step = 2.4 / math.sqrt(count[b] + 1.0 / (spread * spread) + 0.3)
        old = log_hazard[b]
        new = old + step * rng.standard_normal()
        change = count[b] * (new - old) - exposure[b] * (math.exp(new) - math.exp(old))
        if b == 0:
            change -= ((new - LEVELS[which]) ** 2 - (old - LEVELS[which]) ** 2) / (2 * WIDE[which] ** 2)
        else:
            change += _jump(new - log_hazard[b - 1], spread) - _jump(old - log_hazard[b - 1], spread)
        if b < pieces - 1:
            change += _jump(new - log_hazard[b + 1], spread) - _jump(old - log_hazard[b + 1], spread)
        if math.log(rng.random()) < change:
            log_hazard[b] = new
    for _ in range(3):
        new = spread * math.exp(0.4 * rng.standard_normal())
        change = -(pieces - 2) * math.log(new / spread)
        for b in range(1, pieces):
            size = log_hazard[b] - log_hazard[b - 1]
            change += _jump(size, new) - _jump(size, spread)
        change -= (new**2 - spread**2) / (2 * ROUGHEST[which] ** 2)
        if new > 0.02 and math.log(rng.random()) < change:
            spread = new
    return spread


@njit(cache=True)
def _hazards(state: State, of: Hazards, upper: float, rng) -> None:
    """Hazards given the patients: events and time at risk in each piece."""
    for which in range(2):
        log_hazard = of.death if which == 0 else of.lost
        pieces = len(log_hazard)
        width = upper / pieces
        count, leaving = np.zeros(pieces), np.zeros(pieces)
        exposure = np.zeros(pieces)
        for i in range(len(state.time)):
            b = _piece(state.time[i], upper, pieces)
            leaving[b] += 1
            exposure[b] += state.time[i] - b * width
            if (which == 0 and state.kind[i] == DEATH) or (which == 1 and state.kind[i] == CENSORED):
                count[b] += 1
        later = 0.0
        for b in range(pieces - 1, -1, -1):
            exposure[b] += later * width
            later += leaving[b]
        for _ in range(3):
            of.spread[which] = _walk(count, exposure, log_hazard, which, of.spread[which], rng)
    _cumulate(of.death, upper, of.cum_death)
    _cumulate(of.lost, upper, of.cum_lost)


# --- moves --------------------------------------------------------------------------------------------------------
# `new` holds what `now` holds. A move writes the patients it changes into `new` and returns the first and last place
# changed and the log ratio of priors and proposals; first = -1 where nothing is proposed, nor written.


@njit(cache=True)
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
        ratio = _log_prior(now.time[k], new.kind[k], upper, of) - _log_prior(now.time[k], now.kind[k], upper, of)
    ratio += _log_prior(now.time[i], new.kind[i], upper, of) - _log_prior(now.time[i], now.kind[i], upper, of)
    return low, high, ratio


@njit(cache=True)
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
    return low, high, ratio + _log_prior(time, then, upper, of) - _log_prior(old, was, upper, of)


@njit(cache=True)
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
        ratio += _log_prior(new.time[q], now.kind[q], upper, of) - _log_prior(time, now.kind[q], upper, of)
    return low, high, ratio


@njit(cache=True)
def _find(ordered: Floats, value: float, low: int, high: int) -> int:
    """First place in ordered[low:high] that is not before `value`."""
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def _tail(arm: Arm, before: float, after: float) -> float:
    """Log ratio of the prior of the end of the line: exponential past the last click."""
    last = arm.x[-1]
    return (max(before - last, 0.0) - max(after - last, 0.0)) / arm.beyond


@njit(cache=True)
def _settle(arm: Arm, now: State, new: State, low: int, high: int, ratio: float, rng) -> None:
    """Accept or refuse a move of patients low to high, weighing only the clicks near what it changes."""
    n, pitch, sigma = len(now.time), arm.pitch, now.scalars[0]
    _levels(new.kind, new.survival, low, high + 1)
    begin = min(now.time[low], new.time[low]) + (1.0 - now.survival[low - 1] if low > 0 else 0.0)
    node = min(max(math.ceil(begin / pitch), 0), now.nodes[0])
    reach = REACH * sigma + pitch
    nodes, until, after, east = now.nodes[0], 1e9, high + 1, 1e9
    if high < n - 1 and abs(new.survival[high] - now.survival[high]) < 1e-12:  # after it the staircase is the old one
        east = max(now.time[high], new.time[high])
        again = east + 1.0 - now.survival[high]
        until, east = again + reach, east + reach
        changed = min(_staircase(new, pitch, node, low, high, again), nodes)
    else:
        _levels(new.kind, new.survival, high + 1, n)
        after = n
        changed = nodes = _staircase(new, pitch, node, low, n, 0.0)
    first = _find(arm.u, begin - reach, 0, len(arm.u))
    last = first
    while last < len(arm.u) and arm.u[last] <= max(until, east + 1.0):
        if arm.u[last] <= until or (arm.bound[last] and arm.x[last] <= east):
            new.logs[last] = _density(arm, new, last, nodes, sigma)
            ratio += arm.worth * (new.logs[last] - now.logs[last])
        last += 1
    if new.time[n - 1] != now.time[n - 1]:
        ratio += _tail(arm, now.time[n - 1], new.time[n - 1])
    if math.log(rng.random()) < ratio:
        now.nodes[0] = nodes
        _write(new, now, low, high + 1, after, first, last, node, changed)
    else:
        _write(now, new, low, high + 1, after, first, last, node, changed)


@njit(cache=True)
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


@njit(cache=True)
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
    ratio = (n - inside) * (_log_prior(time, LAST, upper, of) - _log_prior(end, LAST, upper, of))
    new.nodes[0] = _staircase(new, arm.pitch, 0, 0, n, 0.0)
    _weigh(arm, new, now.scalars[0], new.logs)
    ratio += _tail(arm, end, time) + arm.worth * np.sum(new.logs - now.logs)
    if math.log(rng.random()) < ratio:
        now.scalars[1], now.nodes[0] = time, new.nodes[0]
        _copy(new, now)
    else:
        _copy(now, new)


@njit(cache=True)
def _move_error(arm: Arm, now: State, new: State, rng) -> None:
    """The click error, with a flat prior on its log."""
    sigma = now.scalars[0] * math.exp(0.15 * rng.standard_normal())
    if sigma < FINEST * arm.pitch / PITCH or sigma > 0.1:
        return
    _weigh(arm, now, sigma, new.logs)
    if math.log(rng.random()) < arm.worth * np.sum(new.logs - now.logs):
        now.scalars[0] = sigma
        now.logs[:] = new.logs
    else:
        new.logs[:] = now.logs


@njit(cache=True)
def _advance(arm: Arm, now: State, new: State, of: Hazards, hold: int, every: int, rng, times, kinds, errors) -> None:
    """`hold` sweeps from a tolerant to the first click error, then `every` sweeps before each state that is kept."""
    n, upper, aim = len(now.time), arm.edges[-1], now.scalars[0]
    for sweep in range(hold + every * len(times)):
        if sweep <= hold:
            now.scalars[0] = aim * (1.0 + ANNEAL * (1.0 - sweep / hold)) if hold else aim
        if sweep <= hold or sweep % 10 == 0:  # sums of rounding go stale
            _refresh(arm, now)
            _copy(now, new)
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
        _hazards(now, of, upper, rng)
        kept, rest = divmod(sweep - hold + 1, every)
        if sweep >= hold and rest == 0:
            times[kept - 1], kinds[kept - 1], errors[kept - 1] = now.time, now.kind, now.scalars[0]


# --- the chain from outside ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class States:
    """States of the chain: sorted times as shares of the axis and kinds (states, n), click errors (states,)."""

    time: Floats
    kind: Ints
    click_error: Floats


def wander(arm: Arm, time: Floats, kind: Ints, click_error: float, rng, *, hold: int, every: int, keep: int) -> States:
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
    _cumulate(of.death, upper, of.cum_death)
    _cumulate(of.lost, upper, of.cum_lost)
    times, kinds, errors = np.empty((keep, len(time))), np.empty((keep, len(time)), np.int64), np.empty(keep)
    now = state()
    _refresh(arm, now)
    _advance(arm, now, state(), of, hold, every, rng, times, kinds, errors)
    return States(times, kinds, errors)
