"""Arms whose clock is not known (`hazards.modifiers.unknown_clock`): everybody lived to e, and time t is t + d.

    H of the arm(t) = H(max(t, e) + d) - H(e + d)

A cell of such an arm is read at max(t, e) + d, and has a start, a cell at e + d that all of the arm's cells share.
"""

import math

import numpy as np
from numba import njit

from bayes_bm.hazards.modifiers.unknown_clock import NEVER
from bayes_bm.inference.compiled.cells.fields import NO_CLOCK, Field
from bayes_bm.inference.compiled.fields import INNER, numbers, whole
from bayes_bm.inference.compiled.formulas.tails import log1mexp

IMMORTAL, SHIFT = range(2)
RUNNING, BY_START, ALIVE = range(3)
"""What is kept of each cell: d log H of the arm by log H of the cell, by that of its start; 1 if some can have died."""
KEPT = 3


@njit(**INNER)
def _clock(own, theta, r, clock):
    """A time of the clock of arm r, as a share of t0."""
    coordinate = whole(own, Field.clock_at)[clock]
    value = numbers(own, Field.clock_scale)[2 * r + clock] * theta[coordinate] if coordinate >= 0 else 0.0
    return value + numbers(own, Field.clock_stated)[2 * r + clock]


@njit(**INNER)
def on_clocks(own, theta, first, printed, log_u):
    """log u at which cells are read, of log u on their arms' clocks."""
    start, of_arm = whole(own, Field.clock_start), whole(own, Field.cell_arm)
    for i in range(log_u.size):
        log_u[i] = printed[i]
        if start[first + i] != NO_CLOCK:
            immortal = _clock(own, theta, of_arm[first + i], IMMORTAL)
            time = immortal
            if start[first + i] != first + i:
                time = max(math.exp(printed[i]), immortal)
            time += _clock(own, theta, of_arm[first + i], SHIFT)
            log_u[i] = math.log(time) if time > 0 else NEVER


@njit(**INNER)
def clocked(own, theta, first, printed, log_starts, logs, kept):
    """log H and log h of cells, from those of their times and log H of their starts (cell,)."""
    start, of_arm = whole(own, Field.clock_start), whole(own, Field.cell_arm)
    for i in range(logs.shape[1]):
        kept[RUNNING, i], kept[BY_START, i], kept[ALIVE, i] = 1.0, 0.0, 1.0
        if start[first + i] == NO_CLOCK or start[first + i] == first + i:
            continue
        reached = math.exp(printed[i]) > _clock(own, theta, of_arm[first + i], IMMORTAL)
        apart = log_starts[i] - logs[0, i]
        if reached and apart < 0:
            # H / (H - H of the start)
            running = -1 / math.expm1(apart)
            logs[0, i] += log1mexp(apart)
            kept[RUNNING, i], kept[BY_START, i] = running, 1 - running
        else:
            logs[0, i], kept[RUNNING, i] = NEVER, 0.0
        if not reached:
            logs[1, i], kept[ALIVE, i] = NEVER, 0.0


@njit(**INNER)
def clocked_back(own, first, slopes, kept):
    """The way back of `clocked`, of all cells: starts get what their cells hand on."""
    start = whole(own, Field.clock_start)
    by_start = np.zeros(slopes.shape[1])
    for i in range(slopes.shape[1]):
        if start[first + i] != NO_CLOCK and start[first + i] != first + i:
            by_start[start[first + i]] += slopes[0, i] * kept[BY_START, i]
        slopes[0, i] *= kept[RUNNING, i]
        slopes[1, i] *= kept[ALIVE, i]
    for i in range(slopes.shape[1]):
        slopes[0, i] += by_start[i]


@njit(**INNER)
def on_clocks_back(own, theta, first, printed, log_u, by_log_u, score):
    """From derivatives by log u of cells to the unknown times."""
    start, of_arm, coordinate = whole(own, Field.clock_start), whole(own, Field.cell_arm), whole(own, Field.clock_at)
    scale = numbers(own, Field.clock_scale)
    for i in range(log_u.size):
        if start[first + i] == NO_CLOCK or by_log_u[i] == 0 or log_u[i] == NEVER:
            continue
        r, by_time = of_arm[first + i], by_log_u[i] * math.exp(-log_u[i])
        is_start = start[first + i] == first + i
        if coordinate[IMMORTAL] >= 0 and (is_start or math.exp(printed[i]) <= _clock(own, theta, r, IMMORTAL)):
            score[coordinate[IMMORTAL]] += scale[2 * r + IMMORTAL] * by_time
        if coordinate[SHIFT] >= 0:
            score[coordinate[SHIFT]] += scale[2 * r + SHIFT] * by_time
