"""The stage of effects that wane: the formula's log H and log h of the whole effect, then what the jumps change.

With beta the effect, x log H and y log h of the whole effect, s_j the jumps and L_j the share lost after each
(`hazards.modifiers.waning`), L(t) the last of them before t:

    log H = x + log T,  T = exp(-beta L(t)) + sum over s_j < t of c_j exp(x_j - x)      log h = y - beta L(t)
    c_j = exp(-beta L_(j-1)) - exp(-beta L_j),  x_j = x at s_j
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.hazards.modifiers.waning import AT_JUMP, TINY
from bayes_bm.inference.compiled import fields, stages
from bayes_bm.inference.compiled.cells import fields as cell_fields
from bayes_bm.inference.compiled.cells import reading
from bayes_bm.inference.compiled.cells.fields import Field
from bayes_bm.inference.compiled.cells.reading import call_formula
from bayes_bm.inference.compiled.fields import INNER, JIT, numbers, whole
from bayes_bm.inference.compiled.stages import FORMULA, SIGNATURE, Frame, array_at, frame_at, own_of, rows_at
from bayes_bm.runtime.compiling import cached_cfunc


@njit(**INNER)
def _spread(of_formula, found):
    """Rows of the formula among rows that have derivatives by the effect and the start besides, which are 0 so far."""
    inner, hazard = (of_formula.shape[0] - 5) // 2, 2 + (found.shape[0] - 5) // 2
    last = found.shape[0] - 1
    for row in range(found.shape[0]):
        for p in range(found.shape[1]):
            found[row, p] = 0.0
    for p in range(found.shape[1]):
        for row in range(2 + inner):
            found[row, p], found[hazard + row, p] = of_formula[row, p], of_formula[2 + inner + row, p]
        found[last, p] = of_formula[of_formula.shape[0] - 1, p]


@njit(**INNER)
def _at_jump(formula, given, inner, after, log_jump):
    """What the formula finds of some places at a jump (5 + 2 shape, place)."""
    there, found = np.empty((2 + inner, after.size)), np.empty((5 + 2 * inner, after.size))
    for i in range(after.size):
        there[0, i] = log_jump[after[i]]
        for row in range(1, 2 + inner):
            there[row, i] = given[row, after[i]]
    call_formula(formula, after.size, there, found)
    return found


@njit(**INNER)
def _add_jump(there, found, log_jump, given, inner, left, lost, after, sums):
    """Add c_j exp(x_j - x) of the places after a jump to T, and to its derivatives, in the order of `found`'s rows; x
    itself is held.
    """
    for i in range(after.size):
        p, beta = after[i], given[2 + inner, after[i]]
        before, now = math.exp(-beta * left), math.exp(-beta * lost)
        run = math.exp(there[0, i] - found[0, p])
        share = (before - now) * run
        sums[0, p] += share
        for row in range(1, 2 + inner):
            sums[row, p] += share * there[row, i]
        sums[2 + inner, p] += (lost * now - left * before) * run
        # by log u at the jump, then by the start
        steep = math.exp(log_jump[p] + there[2 + inner, i] - there[0, i])
        sums[3 + inner, p] += share * steep * math.exp(-log_jump[p])


@njit(**INNER)
def _waned(formula, given, starts, scale, jump_time, jump_lost, inner, found):
    """Change `found`, of the whole effect, at the places after the start of waning, which is a share of t0 (place,)."""
    n, hazard = given.shape[1], 2 + (found.shape[0] - 5) // 2
    sums, lost, left = np.zeros((4 + inner, n)), np.zeros(n), 0.0
    log_jump, after = np.empty(n), np.empty(n, np.int64)
    for j in range(jump_time.size):
        count = 0
        for p in range(n):
            log_jump[p] = math.log(starts[p] + jump_time[j])
            if given[0, p] > log_jump[p] + AT_JUMP:
                after[count], lost[p] = p, jump_lost[j]
                count += 1
        there = _at_jump(formula, given, inner, after[:count], log_jump)
        _add_jump(there, found, log_jump, given, inner, left, jump_lost[j], after[:count], sums)
        left = jump_lost[j]
    for p in range(n):
        if lost[p] == 0:
            continue
        remains = math.exp(-given[2 + inner, p] * lost[p])
        total = max(sums[0, p] + remains, TINY)
        found[0, p] += math.log(total)
        for row in range(1, 2 + inner):
            found[row, p] = (sums[row, p] + remains * found[row, p]) / total
        found[2 + inner, p] = (sums[2 + inner, p] - lost[p] * remains) / total
        found[hazard, p] -= given[2 + inner, p] * lost[p]
        found[hazard + 2 + inner, p] = -lost[p]
        if hazard > 3 + inner:
            found[3 + inner, p] = scale * sums[3 + inner, p] / total


@cached_cfunc(SIGNATURE, fields, cell_fields, stages, reading, **JIT)
def waning(pointer: Any) -> Any:
    """What the formula finds, of effects that wane; its last shapes are the effect and, where estimated, the start."""
    frame = frame_at(pointer)
    own, formula = own_of(frame), array_at(frame, Frame.called, np.int64)[FORMULA]
    shapes, estimated = whole(own, Field.shape_at).size, whole(own, Field.waning_at)[0] >= 0
    inner = shapes - (2 if estimated else 1)
    given, found = rows_at(frame, Frame.read_given, 2 + shapes), rows_at(frame, Frame.read_found, 5 + 2 * shapes)
    stated, scale = numbers(own, Field.waning)[0], numbers(own, Field.waning)[1]
    of_formula = np.empty((5 + 2 * inner, found.shape[1]))
    call_formula(formula, found.shape[1], given[: 2 + inner], of_formula)
    _spread(of_formula, found)
    starts = np.empty(found.shape[1])
    for p in range(starts.size):
        starts[p] = scale * given[1 + shapes, p] if estimated else stated
    jump_time, jump_lost = numbers(own, Field.jump_time), numbers(own, Field.jump_lost)
    _waned(formula, given, starts, scale, jump_time, jump_lost, inner, found)
    return 0.0
