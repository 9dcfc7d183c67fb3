"""Log density and gradient of a model of any family that has a compiled formula (`compiled/formulas`).

    x -> theta, effects, arms (`kernel.py`) -> eta and shapes of cells -> the formula -> layers -> rows of evidence

and back by the chain rule. Nothing here knows a family: its formula is called by its address.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]
from numba.extending import intrinsic

from bayes_bm.hazards.families.spline_basis import LEAST_TOTAL
from bayes_bm.hazards.numerics import numpy_namespace
from bayes_bm.inference.compiled import fields, kernel, logarithms, mixes
from bayes_bm.inference.compiled.cells import averages, baseline, layers, rows, transforms
from bayes_bm.inference.compiled.cells.averages import averaged, averaged_back, offsets_of, slopes_of_offsets
from bayes_bm.inference.compiled.cells.baseline import (
    background_at,
    coefficients,
    coefficients_back,
    dot,
    placed,
    run_of,
    sums,
    sums_back,
)
from bayes_bm.inference.compiled.cells.fields import CELLS, HAZARD, MOVING, OF_ARM, TOTAL, CellProblem, Field
from bayes_bm.inference.compiled.cells.layers import cured, cured_back, multiplied, with_background
from bayes_bm.inference.compiled.cells.rows import (
    binomials,
    normal_medians,
    order_medians,
    patients,
    ratio_density,
    ratio_means,
    ratio_means_back,
    unreached_medians,
)
from bayes_bm.inference.compiled.fields import (
    BY_ETA,
    BY_LOG_K,
    COVARIATES,
    ETA,
    JIT,
    LOG_K,
    SLOPES,
    STUDIES,
    SUMS,
    numbers,
    whole,
)
from bayes_bm.inference.compiled.fields import Field as Structure
from bayes_bm.inference.compiled.formulas import tails
from bayes_bm.inference.compiled.kernel import (
    LOG_TWO,
    NOT_FINITE,
    POINTER,
    _arms,
    _arms_back,
    _array,
    _effects,
    _effects_back,
    _priors,
    _prognosis,
    _ratios,
    exponential,
)
from bayes_bm.inference.compiled.logarithms import logarithm
from bayes_bm.model.likelihoods import LARGEST_LOG
from bayes_bm.runtime.compiling import cached_cfunc

LOWEST_LOG_TIME, HIGHEST_LOG_TIME = numpy_namespace.LOWEST_LOG_TIME, numpy_namespace.HIGHEST_LOG_TIME
"""Between which medians are looked for, as their twin does."""
STEPS = 100
"""Newton's steps, or halvings of the bracket, at most."""
TOLERANCE = 1e-14
"""Of log time, relative to the larger of 1 and itself."""


@intrinsic
def _call(context, address, n, given, found):
    """Call the formula at an address (`formulas.arrays.SIGNATURE`).

    It takes arrays, not their addresses: numba frees an array after its last use by name, here before the call.
    """

    def generate(target, builder, signature, arguments):
        whole_number, pointer = ir.IntType(64), ir.DoubleType().as_pointer()
        # numba's C functions answer what Python calls None with nothing
        kind = ir.FunctionType(ir.VoidType(), [whole_number, pointer, pointer])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        arrays = zip(signature.args[2:], arguments[2:], strict=True)
        starts = [target.make_array(kind_of)(target, builder, array).data for kind_of, array in arrays]
        builder.call(function, [arguments[1], *starts])
        return target.get_dummy_value()

    return types.none(types.int64, types.int64, given, found), generate


@njit(**JIT)
def _formula(own, theta, arm, formula, first, log_u, basis_logs):
    """What the formula finds of the cells from `first` on, whose times are `log_u` (5 + 2 shape, cell)."""
    n, shape_at, of_arm = log_u.size, whole(own, Field.shape_at), whole(own, Field.cell_arm)
    covariates, every_x = (arm.shape[1] - SLOPES) // 2, numbers(own, Field.cell_x)
    given, found = np.empty((2 + shape_at.size, n)), np.empty((5 + 2 * shape_at.size, n))
    eta = given[1]
    for i in range(n):
        given[0, i], eta[i] = log_u[i], arm[of_arm[first + i], ETA]
    for c in range(covariates):
        x, slope = every_x[c * of_arm.size + first : c * of_arm.size + first + n], arm[:, SLOPES + c]
        for i in range(n):
            eta[i] += slope[of_arm[first + i]] * x[i]
    for s in range(shape_at.size):
        for i in range(n):
            if shape_at[s] == OF_ARM:
                given[2 + s, i] = arm[of_arm[first + i], LOG_K]
            elif shape_at[s] == TOTAL:
                given[2 + s, i] = basis_logs[0, i]
            elif shape_at[s] == HAZARD:
                given[2 + s, i] = basis_logs[1, i]
            else:
                given[2 + s, i] = theta[shape_at[s]]
    _call(formula, n, given, found)  # pyright: ignore[reportCallIssue]
    return found


@njit(**JIT)
def _products(one, by_one, other, by_other, found):
    for i in range(found.size):
        found[i] = one[i] * by_one[i] + other[i] * by_other[i]


@njit(**SUMS)
def _total(values):
    total = 0.0
    for i in range(values.size):
        total += values[i]
    return total


@njit(**JIT)
def _formula_back(own, arm, found, first, slopes, score, by_basis):
    """From derivatives by log H and log h (2, cell) to arms, coordinates, and the sums of a basis (2, cell)."""
    n, shape_at, of_arm = found.shape[1], whole(own, Field.shape_at), whole(own, Field.cell_arm)
    covariates, every_x = (arm.shape[1] - SLOPES) // 2, numbers(own, Field.cell_x)
    hazard = 2 + shape_at.size
    by_cum, by_hazard, by = slopes[0], slopes[1], np.empty(n)
    _products(by_cum, found[1], by_hazard, found[hazard + 1], by)
    start = 0
    while start < n:
        r, end = of_arm[first + start], run_of(of_arm, first + start, first + n) - first
        arm[r, BY_ETA] += _total(by[start:end])
        for c in range(covariates):
            x = every_x[c * of_arm.size + first + start : c * of_arm.size + first + end]
            arm[r, SLOPES + covariates + c] += dot(by[start:end], x)
        start = end
    for s in range(shape_at.size):
        _products(by_cum, found[2 + s], by_hazard, found[hazard + 2 + s], by)
        if shape_at[s] == TOTAL:
            by_basis[0] += by
        elif shape_at[s] == HAZARD:
            by_basis[1] += by
        elif shape_at[s] == OF_ARM:
            for i in range(n):
                arm[of_arm[first + i], BY_LOG_K] += by[i]
        else:
            score[shape_at[s]] += _total(by)


@njit(**JIT)
def _layered(own, theta, found, first, background, offsets, logs, kept):
    """log H and log h of the cells' patients (2, cell), and what the ways back need (row, cell)."""
    hazard = 2 + (found.shape[0] - 5) // 2
    logs[0], logs[1] = found[0], found[hazard]
    cure_at, of_average = whole(own, Field.cure_at), whole(own, Field.cell_average)
    if cure_at.size:
        cured(theta[cure_at[0]], logs, kept[:4])
    if of_average.size:
        averaged(of_average[first : first + logs.shape[1]], offsets, logs, kept[4:9])
    if background.shape[1]:
        with_background(background, logs, kept[9:11])


@njit(**JIT)
def _layered_back(own, first, offsets, by_offsets, slopes, kept, score):
    cure_at, of_average = whole(own, Field.cure_at), whole(own, Field.cell_average)
    if numbers(own, Field.cell_background).size:
        multiplied(slopes, kept[9:11])
    if of_average.size:
        averaged_back(of_average[first : first + slopes.shape[1]], offsets, by_offsets, slopes, kept[4:9])
    if cure_at.size:
        score[cure_at[0]] += cured_back(slopes, kept[:4])


KEPT = 11
"""Rows that layers keep of each cell."""


@njit(**JIT)
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


@njit(**JIT)
def _medians(own, theta, arm, formula, of_baseline, values, offsets, cum, log_u, background):
    """log u at which H = log 2 + H(entry), by Newton's steps inside a bracket, of the cells that stand last."""
    count = whole(own, Field.count)
    n, entries = count[MOVING], whole(own, Field.normal_entry)
    low, high, target = np.full(n, LOWEST_LOG_TIME), np.full(n, HIGHEST_LOG_TIME), np.empty(n)
    for i in range(n):
        target[i] = math.log(LOG_TWO + (cum[entries[i]] if entries[i] >= 0 else 0.0))
    settled = np.zeros(n, dtype=np.bool_)
    for _ in range(STEPS):
        logs = _moved(own, theta, arm, formula, of_baseline, values, offsets, log_u, background)[0]
        waiting = 0
        for i in range(n):
            if settled[i]:
                continue
            shortfall = target[i] - logs[0, i]
            if shortfall > 0:
                low[i] = log_u[i]
            else:
                high[i] = log_u[i]
            newton = log_u[i] + shortfall / math.exp(log_u[i] + logs[1, i] - logs[0, i])
            if not (low[i] < newton < high[i]):
                newton = (low[i] + high[i]) / 2
            if shortfall == 0 or abs(newton - log_u[i]) <= TOLERANCE * max(1.0, abs(log_u[i])):
                settled[i] = True
            else:
                waiting += 1
            log_u[i] = newton if shortfall != 0 else log_u[i]
        if waiting == 0:
            break


@njit(**JIT)
def _moved(own, theta, arm, formula, of_baseline, values, offsets, log_u, background):
    """The cells that stand last, at other times: log H and log h, what was found, kept and summed."""
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
    found = _formula(own, theta, arm, formula, first, log_u, basis_logs)
    _layered(own, theta, found, first, background, offsets, logs, kept)
    return logs, found, kept, basis_sums


@njit(**JIT)
def evaluated(x: Any, gradient: Any, data: Any, own: Any, formula: Any) -> Any:
    """Log density at `x` (coordinate); its gradient is written into `gradient`."""
    theta, slope, score = np.empty_like(x), np.empty_like(x), np.zeros_like(x)
    place = whole(data, Structure.place)
    value = _priors(x, data, theta, slope, gradient) + numbers(own, Field.constant)[0]
    study = np.zeros((place[STUDIES] + 1, 4))
    pair = np.zeros((whole(data, Structure.pair_first).size + 1, 3))
    arm = np.zeros((whole(data, Structure.arm_study).size, SLOPES + 2 * place[COVARIATES]))
    value += _effects(theta, data, study, pair)
    _arms(theta, data, study, pair, arm)
    value += _ratios(theta, data, study, pair, score) if not numbers(own, Field.ratio_log_step).size else 0.0
    value += _prognosis(theta, data, score)
    value += _cells(theta, data, own, formula, arm, score)
    _arms_back(data, arm, study, pair, score)
    _effects_back(theta, data, study, pair, score)
    for i in range(x.size):
        gradient[i] += slope[i] * score[i]
    return value


@njit(**JIT)
def _exponentials(logs):
    found = np.empty(logs.size)
    for i in range(logs.size):
        found[i] = exponential(logs[i])
    for i in range(logs.size):
        # beyond what `exponential` clamps
        if not logs[i] < LARGEST_LOG:
            found[i] = math.exp(logs[i])
    return found


@njit(**JIT)
def _cells(theta, data, own, formula, arm, score):
    """Log density of all rows but proportional ratios; arms and `score` get its derivatives."""
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
    fixed = n - moving
    log_u, background = numbers(own, Field.cell_log).copy(), numbers(own, Field.cell_background).copy()
    background = background.reshape((2, background.size // 2))
    logs, kept = np.empty((2, n)), np.empty((KEPT, n))
    found = _formula(own, theta, arm, formula, 0, log_u, basis_logs)
    _layered(own, theta, found, 0, background, offsets, logs, kept)
    cum = _exponentials(logs[0])
    if moving:
        apart = background[:, fixed:].copy()
        _medians(own, theta, arm, formula, of_baseline, values, offsets, cum, log_u[fixed:], apart)
        moved = _moved(own, theta, arm, formula, of_baseline, values, offsets, log_u[fixed:], apart)
        logs[:, fixed:], found[:, fixed:], kept[:, fixed:] = moved[0], moved[1], moved[2]
        for i in range(moving if basis_sums.shape[1] else 0):
            spot = whole(own, Field.cell_spot)[fixed + i]
            basis_sums[0, spot], basis_sums[1, spot] = moved[3][0, i], moved[3][1, i]
    slopes, by_cum = np.zeros((2, n)), np.zeros(n)
    value = _rows(data, own, cum, logs, log_u[fixed:], by_cum, slopes)
    for i in range(n):
        slopes[0, i] += by_cum[i] * cum[i] if by_cum[i] != 0 else 0.0
    by_offsets = np.zeros_like(offsets)
    _layered_back(own, 0, offsets, by_offsets, slopes, kept, score)
    slopes_of_offsets(own, by_offsets, arm)
    by_basis = np.zeros((2, whole(own, Field.cell_spot).size))
    _formula_back(own, arm, found, 0, slopes, score, by_basis)
    if basis_sums.shape[1]:
        _basis_back(theta, own, of_baseline, values, basis_sums, by_basis, score)
    return value


@njit(**JIT)
def _basis_back(theta, own, of_baseline, values, basis_sums, by_basis, score):
    of_spot, of_cell = whole(own, Field.spot_baseline), whole(own, Field.cell_spot)
    by_log, by_reference = np.zeros((2, of_spot.size)), np.zeros(of_baseline.shape[0])
    for i in range(of_cell.size):
        by_log[0, of_cell[i]] += by_basis[0, i]
        by_log[1, of_cell[i]] += by_basis[1, i]
    by_sum = np.zeros((of_baseline.shape[0], of_baseline.shape[1] - 1))
    sums_back(of_spot, values, basis_sums, by_log, by_sum, by_reference)
    coefficients_back(theta, own, of_baseline, by_sum, by_reference, score)


@njit(**JIT)
def _rows(data, own, cum, logs, log_median, by_cum, slopes):
    """Every kind of evidence; `by_cum` gets derivatives by H, `slopes` those by log H and log h."""
    value = patients(own, cum, logs[1], by_cum, slopes[1]) + binomials(own, cum, by_cum)
    value += order_medians(own, cum, logs[1], by_cum, slopes[1]) + unreached_medians(own, cum, by_cum)
    value += normal_medians(own, cum, logs, log_median, by_cum, slopes)
    if numbers(own, Field.ratio_log_step).size:
        printed = numbers(data, Structure.ratio_log)
        means, by_means = np.empty(printed.size), np.zeros(printed.size)
        ratio_means(own, cum, logs[1], means)
        whitener, diagonal = (
            numbers(data, Structure.ratio_whitener),
            numbers(data, Structure.ratio_log_diagonal),
        )
        value += ratio_density(printed, means, whitener, diagonal, by_means)
        ratio_means_back(own, cum, logs[1], means, by_means, by_cum, slopes[1])
    return value


@cached_cfunc(
    types.int64(types.uint64, POINTER, POINTER, POINTER, types.voidptr),
    *(fields, kernel, logarithms, mixes, averages, baseline, layers, rows, tails, transforms),
    **JIT,
)
def density(size: Any, x: Any, gradient: Any, value: Any, user: Any) -> Any:
    """`evaluated` for a caller without Python; `user` points at `addresses(problem)`. 0, or above where not finite."""
    address_list = carray(user, (14,), np.int64)
    data = (_array(address_list, 0, np.int64), _array(address_list, 1, np.float64), _array(address_list, 2, np.int64))
    own = (_array(address_list, 3, np.int64), _array(address_list, 4, np.float64), _array(address_list, 5, np.int64))
    formula = _array(address_list, 6, np.int64)[0]
    slopes = carray(gradient, (size,))
    log_density = evaluated(carray(x, (size,)), slopes, data, own, formula)
    carray(value, (1,))[0] = log_density
    for i in range(slopes.size):
        if not np.isfinite(slopes[i]):
            return NOT_FINITE
    return 0 if np.isfinite(log_density) else NOT_FINITE


assert len(CellProblem._fields) == 7  # as many as `density` reads
