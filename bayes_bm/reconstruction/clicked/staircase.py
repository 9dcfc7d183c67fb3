"""The staircase of Kaplan and Meier behind clicks, and the density of each click on it, compiled with numba.

The curve of patients is a staircase of length U in units of the axes. A click is a place on it, any as likely as any
other, moved by a normal error of sd sigma (a share of either axis) in both directions:

    p(click | patients, sigma) = (1 / U) integral_0^U N(x - x(u); sigma) N(y - y(u); sigma) du,    y = 1 - survival.
"""

# pyright: reportArgumentType=false, reportCallIssue=false
# numba's decorator hides the types of what it compiles

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtr

from bayes_bm.reconstruction.curve import Floats, Ints
from bayes_bm.runtime import inner_functions
from bayes_bm.runtime.compiling import cached_njit
from bayes_bm.runtime.inner_functions import INNER, put_values

CENSORED = 0
"""Kind of a patient who was censored before the end of follow-up."""
DEATH = 1
"""Kind of a patient who died."""
LAST = 2
"""Kind of a patient who was censored with others at the end of follow-up."""
REACH = 4.5 * math.sqrt(2.0)
"""Click errors along the staircase within which a place on it counts."""
FINE = 128
"""Entries of the table of exp(-q) per unit of q."""
TABLE_END = 32
"""The q at which the table ends: exp(-32) = 1e-14 counts as 0."""
TABLE = np.exp(-np.arange(FINE * TABLE_END + 2) / FINE)
"""exp(-q) at q = 0, 1 / FINE, 2 / FINE, ..."""
LOW, HIGH = -4, 9
"""Standard errors between which the normal distribution is read from a table; above it is 1."""
NORMAL = ndtr(np.arange(LOW, HIGH + 2 / FINE, 1 / FINE))
"""The normal distribution at LOW, LOW + 1 / FINE, ..."""
STEEP = np.exp(-0.5 * np.arange(LOW, HIGH + 2 / FINE, 1 / FINE) ** 2) / (FINE * np.sqrt(2 * np.pi))
"""Its density there, times 1 / FINE: the slope of the table from entry to entry."""


class Arm(NamedTuple):
    """What the chain does not change: intervals, clicks, and how they count.

    Patient i belongs to interval `interval[i]` of the at-risk table; interval j has patients `start[j]` to
    `start[j + 1]` and limits `edges[j]`, `edges[j + 1]`. Clicks (x, y) are sorted by u = x + y; `bound` where a click
    is a lower limit of survival. `overrun` is the mean length by which follow-up runs past the last click; `marked`
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
    overrun: float
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


# The density of a click stands inline: a call counts references to every array of both records, a third of all time.


@cached_njit(inner_functions)
def levels(kind: Ints, survival: Floats, first: int, last: int) -> None:
    """Write survival after each patient from `first` to before `last`.

    Of n sorted patients number i leaves n - i at risk.
    """
    n = len(kind)
    level = survival[first - 1] if first > 0 else 1.0
    for i in range(first, last):
        if kind[i] == DEATH:
            level *= 1.0 - 1.0 / (n - i)
        survival[i] = level


@njit(**INNER)
def staircase(state: State, pitch: float, node: int, low: int, high: int, last_length: float) -> int:
    """Write nodes from `node` on, from patient `low` on; past patient `high` only up to length `last_length`.

    Return the number of the next node.
    """
    time, kind, survival, x, y = state.time, state.kind, state.survival, state.x, state.y
    n, k = len(time), node
    fallen = 1.0 - survival[low - 1] if low > 0 else 0.0
    for i in range(low, n + 1):
        done = i > high
        if not done and i < n and kind[i] != DEATH:
            continue
        corner = last_length if done else (time[i] if i < n else time[n - 1]) + fallen
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


@cached_njit(inline="always")
def _falling(q: float) -> float:
    """Return exp(-q) for q >= 0 from a table, within 1e-5 of it; 0 where it ends."""
    if q >= TABLE_END:
        return 0.0
    place = q * FINE
    k = int(place)
    return TABLE[k] + (place - k) * (TABLE[k + 1] - TABLE[k])


@cached_njit(inline="always")
def _normal(z: float) -> float:
    """Return the normal distribution at z: below LOW itself, else by cubics between entries of a table, within 1e-11.

    `math.erfc` took most of the time of a chain with many lower limits.
    """
    if z >= HIGH:
        return 1.0
    if z < LOW:
        return 0.5 * math.erfc(-z / 1.4142135623730951)
    place = (z - LOW) * FINE
    k = int(place)
    share, rise, first, last = place - k, NORMAL[k + 1] - NORMAL[k], STEEP[k], STEEP[k + 1]
    curved = 3.0 * rise - 2.0 * first - last + share * (first + last - 2.0 * rise)
    return NORMAL[k] + share * (first + share * curved)


@cached_njit(inline="always")
def density(arm: Arm, state: State, c: int, nodes: int, sigma: float) -> float:
    """Return the log density of click c, but for a constant; of a lower limit, the chance of a survival above it.

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
            total += _falling(dx * dx * half) * _normal(dy / sigma)
            k -= 1
        return math.log(total * arm.pitch + 1e-290) - math.log(sigma)
    for k in range(first, last + 1):
        dx, dy = cx - state.x[k], cy - state.y[k]
        total += _falling((dx * dx + dy * dy) * half)
    return math.log(total * arm.pitch + 1e-290) - 2.0 * math.log(sigma)


@njit(**INNER)
def weigh(arm: Arm, state: State, sigma: float, out: Floats) -> None:
    """Write the log density of every click."""
    for c in range(len(out)):
        out[c] = density(arm, state, c, state.nodes[0], sigma)


@cached_njit(inner_functions)
def refresh_state(arm: Arm, state: State) -> None:
    """Work out anew everything that follows from the patients."""
    n = len(state.time)
    first = np.int64(0)
    levels(state.kind, state.survival, first, n)
    state.nodes[0] = staircase(state, arm.pitch, first, first, n, 0.0)
    weigh(arm, state, state.scalars[0], state.logs)


@cached_njit(inline="always")
def length(state: State) -> float:
    """Return the length U of the staircase, in units of the axes."""
    n = len(state.time)
    return state.time[n - 1] + 1.0 - state.survival[n - 1]


@cached_njit(inner_functions)
def log_clicks(arm: Arm, state: State) -> float:
    """Return the log density of all clicks, all that follows from the patients worked out anew."""
    refresh_state(arm, state)
    return arm.worth * (state.logs.sum() - len(arm.x) * math.log(length(state)))


def new_state(arm: Arm, time: Floats, kind: Ints, click_error: float, end: float | None = None) -> State:
    """Return a state at these patients; the end of follow-up is the last time where it is not given."""
    nodes = int((float(arm.edges[-1]) + 1.0) / arm.pitch) + 3
    scalars = np.array([click_error, float(time[-1]) if end is None else end])
    state = State(
        time.copy(), kind.copy(), np.empty(len(time)), np.zeros(nodes), np.zeros(nodes), np.empty(len(arm.x)),
        scalars, np.zeros(1, np.int64),
    )  # fmt: skip
    refresh_state(arm, state)
    return state


@njit(**INNER)
def copy_state(source: State, target: State) -> None:
    """Copy the patients and all that follows from them, but for the scalars and the number of nodes."""
    put_values(source.time, target.time)
    put_values(source.kind, target.kind)
    put_values(source.survival, target.survival)
    put_values(source.x, target.x)
    put_values(source.y, target.y)
    put_values(source.logs, target.logs)
