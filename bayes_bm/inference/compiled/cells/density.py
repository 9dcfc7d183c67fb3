"""Log density and gradient of a model of any family that has a compiled formula (`compiled/formulas`).

    x -> theta, effects, arms (`structure_stages`) -> places -> the formula -> layers -> rows of evidence

and back by the chain rule. A place is a cell, or a part of one whose patients are a mixture. Nothing here knows a
family: its formula is called by its address.
"""

import math
from typing import Any

import numpy as np
from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]

from bayes_bm.hazards.families.spline_basis import LEAST_TOTAL
from bayes_bm.hazards.numerics import numpy_namespace
from bayes_bm.inference.compiled import exponentials, fields, logarithms, stages, totals
from bayes_bm.inference.compiled.cells import averages, baseline, clocks, mixtures, reading
from bayes_bm.inference.compiled.cells import fields as cell_fields
from bayes_bm.inference.compiled.cells.averages import offsets_of, slopes_of_offsets
from bayes_bm.inference.compiled.cells.baseline import (
    background_at,
    coefficients,
    coefficients_back,
    placed,
    sums,
    sums_back,
)
from bayes_bm.inference.compiled.cells.clocks import clocked, clocked_back, on_clocks, on_clocks_back
from bayes_bm.inference.compiled.cells.fields import CELLS, MOVING, NO_CLOCK, CellProblem, Field
from bayes_bm.inference.compiled.cells.mixtures import linear_parts, linear_parts_back, unmixed_targets
from bayes_bm.inference.compiled.cells.reading import CLOCK, KEPT, OF_CURE, parts_of_cells, places
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import (
    COVARIATES,
    INNER,
    JIT,
    MIX_COLUMNS,
    PART_ROWS,
    SLOPES,
    STUDIES,
    numbers,
    whole,
)
from bayes_bm.inference.compiled.fields import Field as Structure
from bayes_bm.inference.compiled.formulas import tails
from bayes_bm.inference.compiled.logarithms import logarithm
from bayes_bm.inference.compiled.order_statistics import LOG_TWO
from bayes_bm.inference.compiled.stages import (
    ARRAYS,
    BACKWARD,
    FORWARD,
    LACKING,
    LACKING_BACK,
    MIXES,
    MIXES_BACK,
    NOT_FINITE,
    POINTER,
    RATIOS,
    READ,
    READ_BACK,
    ROWS,
    TOGETHER,
    TOGETHER_BACK,
    Frame,
    array_at,
    call_stage,
    put,
    put_structure,
)
from bayes_bm.inference.compiled.totals import dot
from bayes_bm.model.likelihoods import LARGEST_LOG
from bayes_bm.runtime.compiling import cached_cfunc

LOWEST_LOG_TIME, HIGHEST_LOG_TIME = numpy_namespace.LOWEST_LOG_TIME, numpy_namespace.HIGHEST_LOG_TIME
"""Between which medians are looked for, as their twin does."""
STEPS = 100
"""Newton's steps, or halvings of the bracket, at most."""
TOLERANCE = 1e-9
"""Of log time, relative to the larger of 1 and itself: a step this small is the last and leaves its square."""


# ---------------------------------------------------------------------------------------------- flexible baselines


@njit(**INNER)
def _spot_logs(own, of_baseline, values):
    """Sums of the basis at the spots, and the logarithms that cells read (2, cell)."""
    of_spot, of_cell = whole(own, Field.spot_baseline), whole(own, Field.cell_spot)
    found = np.empty((2, of_spot.size))
    sums(of_baseline, of_spot, values, found)
    functions = of_baseline.shape[1] - 1
    logs, at_reference = np.empty((2, of_spot.size)), np.log(of_baseline[:, functions])
    for row in range(2):
        of_row, log_sum = logs[row], found[row]
        for s in range(of_spot.size):
            of_row[s] = logarithm(log_sum[s])
        for s in range(of_spot.size):
            of_row[s] -= at_reference[of_spot[s]]
    of_cells = np.empty((2, of_cell.size))
    for i in range(of_cell.size):
        of_cells[0, i], of_cells[1, i] = logs[0, of_cell[i]], logs[1, of_cell[i]]
    return found, of_cells


@njit(**INNER)
def _basis_back(theta, own, of_baseline, values, basis_sums, by_basis, score):
    of_spot, of_cell = whole(own, Field.spot_baseline), whole(own, Field.cell_spot)
    by_log, by_reference = np.zeros((2, of_spot.size)), np.zeros(of_baseline.shape[0])
    for i in range(of_cell.size):
        by_log[0, of_cell[i]] += by_basis[0, i]
        by_log[1, of_cell[i]] += by_basis[1, i]
    by_sum = np.zeros((of_baseline.shape[0], of_baseline.shape[1] - 1))
    sums_back(of_spot, values, basis_sums, by_log, by_sum, by_reference)
    coefficients_back(theta, own, of_baseline, by_sum, by_reference, score)


# ---------------------------------------------------------------------------------------------- medians


@njit(**INNER)
def _medians(frame, own, theta, of_baseline, values, parts, cum, log_starts, log_u, background):
    """log u at which H = log 2 + H(entry), by Newton's steps inside a bracket, of the cells that stand last."""
    count = whole(own, Field.count)
    n, entries = count[MOVING], whole(own, Field.normal_entry)
    low, high, target = np.full(n, LOWEST_LOG_TIME), np.full(n, HIGHEST_LOG_TIME), np.empty(n)
    for i in range(n):
        target[i] = math.log(LOG_TWO + (cum[entries[i]] if entries[i] >= 0 else 0.0))
    settled = np.zeros(n, dtype=np.bool_)
    # where hazards are proportional the mixture is solved for first, and the formula alone is searched
    unmixed = _mixes_alone(own, background)
    if unmixed:
        unmixed_targets(own, parts, count[CELLS], target)
    for _ in range(STEPS):
        logs = _moved(frame, own, theta, of_baseline, values, log_starts, log_u, background, unmixed)[0]
        waiting = 0
        for i in range(n):
            if settled[i]:
                continue
            shortfall = target[i] - logs[0, i]
            if shortfall > 0:
                low[i] = log_u[i]
            else:
                high[i] = log_u[i]
            step = shortfall / math.exp(log_u[i] + logs[1, i] - logs[0, i])
            # asked before the bracket, for a step lost in rounding ends outside it, where halving would lead far away
            near = TOLERANCE * max(1.0, abs(log_u[i]))
            settled[i] = abs(step) <= near or high[i] - low[i] <= near
            if settled[i]:
                log_u[i] += step if abs(step) <= near else 0.0
                continue
            waiting += 1
            newton = log_u[i] + step
            log_u[i] = newton if low[i] < newton < high[i] else (low[i] + high[i]) / 2
        if waiting == 0:
            return
    for i in range(n):
        if not settled[i]:
            # no number is a density that the sampler refuses; where the search stopped would be one that it believes
            log_u[i] = np.nan


@njit(**INNER)
def _mixes_alone(own, background):
    """Whether cells are mixtures of parts that multiply the formula's hazard, and no other layer lies on them."""
    layers = whole(own, Field.cell_average).size + whole(own, Field.clock_start).size + background.shape[1]
    return whole(own, Field.cell_mixture).size > 0 and whole(own, Field.place_cell).size == 0 and layers == 0


@njit(**INNER)
def _moved(frame, own, theta, of_baseline, values, log_starts, log_u, background, unmixed):
    """The cells that stand last, at other times: log H and log h, times read, what was found, kept and summed.

    `unmixed`: log H and log h are the formula's, and nothing is kept.
    """
    first, n = whole(own, Field.count)[CELLS], log_u.size
    functions = of_baseline.shape[1] - 1
    of_spot, of_cell = whole(own, Field.spot_baseline), whole(own, Field.cell_spot)
    logs, kept, basis_logs, basis_sums = np.empty((2, n)), np.empty((KEPT, n)), np.empty((2, n)), np.empty((2, n))
    at_spot = np.empty(2 * max(functions, 0))
    for i in range(n):
        if of_cell.size:
            spot = of_cell[first + i]
            placed(own, log_u[i], at_spot)
            for k in range(2 * functions):
                values[k * of_spot.size + spot] = at_spot[k]
            for row in range(2):
                at_row = at_spot[row * functions : (row + 1) * functions]
                basis_sums[row, i] = dot(of_baseline[of_spot[spot]][:functions], at_row) + LEAST_TOTAL
            at_reference = math.log(of_baseline[of_spot[spot], functions])
            for row in range(2):
                basis_logs[row, i] = math.log(basis_sums[row, i]) - at_reference
        if background.shape[1]:
            background[0, i], background[1, i] = background_at(own, log_u[i])
    read = log_u
    if whole(own, Field.clock_start).size:
        read = np.empty(n)
        on_clocks(own, theta, first, log_u, read)
    found, of_cure, of_parts = _read(frame, own, first, read, basis_logs, background, logs, kept, unmixed)
    if whole(own, Field.clock_start).size:
        clocked(own, theta, first, log_u, log_starts, logs, kept[CLOCK:])
    return logs, read, found, kept, basis_sums, of_cure, of_parts


# ---------------------------------------------------------------------------------------------- the density


@njit(**INNER)
def evaluated(x: Any, gradient: Any, data: Any, own: Any, called: Any) -> Any:
    """Log density at `x` (coordinate); its gradient is written into `gradient`."""
    place, frame = whole(data, Structure.place), np.zeros(2 * ARRAYS, dtype=np.int64)
    parameters = x.size + whole(data, Structure.class_at).size // 3
    theta, slope, score = np.empty(parameters), np.empty(x.size), np.zeros(parameters)
    study, pair = np.zeros((place[STUDIES] + 1, 4)), np.zeros((whole(data, Structure.pair_first).size + 1, 3))
    arm = np.zeros((whole(data, Structure.arm_study).size, SLOPES + 2 * place[COVARIATES]))
    put_structure(frame, data, x, gradient, theta, slope, score, study, pair, arm)
    put(frame, Frame.own_whole, own[0])
    put(frame, Frame.own_numbers, own[1])
    put(frame, Frame.own_first, own[2])
    of_mixtures = whole(own, Field.mixture_first)
    parts = np.zeros((PART_ROWS, of_mixtures[of_mixtures.size - 1] if of_mixtures.size else 0))
    # sides of ratios stand behind the arms, and have no mix
    mix = np.zeros(numbers(data, Structure.mix_printed).size * MIX_COLUMNS)
    put(frame, Frame.parts, parts)
    put(frame, Frame.mix, mix)
    value = numbers(own, Field.constant)[0]
    value += call_stage(called[FORWARD], frame.ctypes.data)
    linear_parts(own, arm, parts)
    if called[MIXES]:
        value += call_stage(called[MIXES], frame.ctypes.data)
    if called[TOGETHER]:
        value += call_stage(called[TOGETHER], frame.ctypes.data)
    if called[LACKING]:
        value += call_stage(called[LACKING], frame.ctypes.data)
    mixtures.weights_and_factors(parts)
    value += _cells(frame, theta, own, called, arm, parts, score)
    linear_parts_back(own, arm, parts)
    if called[TOGETHER]:
        value += call_stage(called[TOGETHER_BACK], frame.ctypes.data)
    if called[MIXES]:
        value += call_stage(called[MIXES_BACK], frame.ctypes.data)
    if called[LACKING]:
        value += call_stage(called[LACKING_BACK], frame.ctypes.data)
    value += call_stage(called[BACKWARD], frame.ctypes.data)
    # numba frees an array at its last use, and stages know addresses alone
    kept = theta.size + slope.size + score.size + study.size + pair.size + arm.size + parts.size + mix.size
    return value + 0 * (kept + frame.size)


@njit(**INNER)
def _exponentials(logs):
    found = np.empty(logs.size)
    for i in range(logs.size):
        found[i] = exponential(logs[i])
    for i in range(logs.size):
        # beyond what `exponential` clamps
        if not logs[i] < LARGEST_LOG:
            found[i] = math.exp(logs[i])
    return found


@njit(**INNER)
def _cells(frame, theta, own, called, arm, parts, score):
    """Log density of the rows that cells see to; arms, parts and `score` get its derivatives."""
    of_baseline = coefficients(theta, own)
    n, moving, values = (
        whole(own, Field.cell_arm).size,
        whole(own, Field.count)[MOVING],
        numbers(own, Field.spot_values),
    )
    if moving:
        # times of medians are put into the values of their spots
        values = values.copy()
    basis_sums, basis_logs = _spot_logs(own, of_baseline, values)
    offsets = offsets_of(own, arm)
    put(frame, Frame.offsets, offsets)
    put(frame, Frame.called, called)
    fixed, any_clock, begin = n - moving, whole(own, Field.clock_start).size > 0, np.int64(0)
    printed, background = numbers(own, Field.cell_log).copy(), _background(own)
    log_u = printed.copy()
    if any_clock:
        on_clocks(own, theta, begin, printed, log_u)
    logs, kept = np.empty((2, n)), np.empty((KEPT, n))
    found, of_cure, of_parts = _read(frame, own, begin, log_u, basis_logs, background, logs, kept, False)
    log_starts = _log_starts(own, logs)
    if any_clock:
        clocked(own, theta, begin, printed, log_starts, logs, kept[CLOCK:])
    cum = _exponentials(logs[0])
    if moving:
        apart, starts = background[:, fixed:].copy(), log_starts[fixed:]
        _medians(frame, own, theta, of_baseline, values, parts, cum, starts, printed[fixed:], apart)
        moved = _moved(frame, own, theta, of_baseline, values, starts, printed[fixed:], apart, False)
        _put_last(logs, moved[0])
        _put_last(found, moved[2])
        _put_last(kept, moved[3])
        _put_last(of_cure, moved[5])
        _put_last(of_parts, moved[6])
        for i in range(moving):
            log_u[fixed + i] = moved[1][i]
        for i in range(moving if basis_sums.shape[1] else 0):
            spot = whole(own, Field.cell_spot)[fixed + i]
            basis_sums[0, spot], basis_sums[1, spot] = moved[4][0, i], moved[4][1, i]
    slopes, by_cum, log_median = np.zeros((2, n)), np.zeros(n), printed[fixed:]
    value = _rows(frame, called, cum, logs, log_median, by_cum, slopes)
    for i in range(n):
        slopes[0, i] += by_cum[i] * cum[i] if by_cum[i] != 0 else 0.0
    if any_clock:
        clocked_back(own, begin, slopes, kept[CLOCK:])
    by_offsets = np.zeros(offsets.shape)
    by_basis, by_log_u = np.zeros((2, whole(own, Field.cell_spot).size)), np.zeros(n)
    put(frame, Frame.by_offsets, by_offsets)
    put(frame, Frame.by_basis, by_basis)
    put(frame, Frame.by_log_u, by_log_u)
    put(frame, Frame.read_log_u, log_u)
    put(frame, Frame.read_kept, kept)
    put(frame, Frame.read_cure, of_cure)
    put(frame, Frame.read_parts, of_parts)
    put(frame, Frame.read_found, found)
    value += call_stage(called[READ_BACK], frame.ctypes.data)
    slopes_of_offsets(own, by_offsets, arm)
    # read once more, so that numba does not free them before they are used
    value += 0 * (frame.size + slopes.size + kept.size + of_cure.size + of_parts.size + found.size + offsets.size)
    if any_clock:
        on_clocks_back(own, theta, begin, printed, log_u, by_log_u, score)
    if basis_sums.shape[1]:
        _basis_back(theta, own, of_baseline, values, basis_sums, by_basis, score)
    return value


@njit(**INNER)
def _read(frame, own, first, log_u, basis_logs, background, logs, kept, unmixed):
    """Read the cells from `first` on, into `logs` and `kept`; what the formula, a cure and mixtures keep."""
    n = places(own, first, log_u.size)[1]
    found, of_cure = np.empty((5 + 2 * whole(own, Field.shape_at).size, n)), np.empty((OF_CURE, n))
    of_parts = np.empty((mixtures.KEPT, parts_of_cells(own, first, log_u.size)))
    begin = np.full(2, first)
    begin[1] = 1 if unmixed else 0
    put(frame, Frame.read_first, begin)
    put(frame, Frame.read_log_u, log_u)
    put(frame, Frame.read_basis, basis_logs)
    put(frame, Frame.read_background, background)
    put(frame, Frame.read_logs, logs)
    put(frame, Frame.read_kept, kept)
    put(frame, Frame.read_cure, of_cure)
    put(frame, Frame.read_parts, of_parts)
    put(frame, Frame.read_found, found)
    called = array_at(frame, Frame.called, np.int64)
    nothing = call_stage(called[READ], frame.ctypes.data)
    # read once more, so that numba does not free them before they are used
    begin[0] += int(nothing) * (frame.size + log_u.size + basis_logs.size + background.size + logs.size + kept.size)
    return found, of_cure, of_parts


@njit(**INNER)
def _background(own):
    """log Hb and log hb of the cells (2, cell); none where there is no background."""
    given = numbers(own, Field.cell_background)
    n = given.size // 2
    logs = np.empty((2, n))
    for i in range(n):
        logs[0, i], logs[1, i] = given[i], given[n + i]
    return logs


@njit(**INNER)
def _log_starts(own, logs):
    """log H of the start of each cell whose clock is unknown (cell,)."""
    start = whole(own, Field.clock_start)
    found = np.zeros(logs.shape[1])
    for i in range(start.size):
        if start[i] != NO_CLOCK:
            found[i] = logs[0, start[i]]
    return found


@njit(**INNER)
def _put_last(table, last):
    """Put columns at the end of a table."""
    begin = table.shape[1] - last.shape[1]
    for row in range(last.shape[0]):
        for i in range(last.shape[1]):
            table[row, begin + i] = last[row, i]


@njit(**INNER)
def _rows(frame, called, cum, logs, log_median, by_cum, slopes):
    """Every kind of evidence; `by_cum` gets derivatives by H, `slopes` those by log H and log h."""
    put(frame, Frame.cum, cum)
    put(frame, Frame.logs, logs)
    put(frame, Frame.log_median, log_median)
    put(frame, Frame.by_cum, by_cum)
    put(frame, Frame.slopes, slopes)
    value = call_stage(called[ROWS], frame.ctypes.data)
    if called[RATIOS]:
        value += call_stage(called[RATIOS], frame.ctypes.data)
    return value + 0 * frame.size


_READS = (fields, cell_fields, stages, exponentials, logarithms, totals, averages, baseline, clocks, mixtures, reading)


@cached_cfunc(types.int64(types.uint64, POINTER, POINTER, POINTER, types.voidptr), *_READS, tails, **JIT)
def density(size: Any, x: Any, gradient: Any, value: Any, user: Any) -> Any:
    """`evaluated` for a caller without Python; `user` points at `addresses(problem)`. 0, or above where not finite."""
    address_list = carray(user, (14,), np.int64)
    data = (
        array_at(address_list, 0, np.int64),
        array_at(address_list, 1, np.float64),
        array_at(address_list, 2, np.int64),
    )
    own = (
        array_at(address_list, 3, np.int64),
        array_at(address_list, 4, np.float64),
        array_at(address_list, 5, np.int64),
    )
    slopes = carray(gradient, (size,))
    log_density = evaluated(carray(x, (size,)), slopes, data, own, array_at(address_list, 6, np.int64))
    carray(value, (1,))[0] = log_density
    for i in range(slopes.size):
        if not np.isfinite(slopes[i]):
            return NOT_FINITE
    return 0 if np.isfinite(log_density) else NOT_FINITE


assert len(CellProblem._fields) == 7  # as many as `density` reads
