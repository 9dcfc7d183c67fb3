"""Stages that read cells: the formula at their places, then layers, and the way back.

A place is a cell or, of cells whose patients are a mixture and whose hazards are not proportional, a part of one.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types  # pyright: ignore[reportPrivateImportUsage]
from numba.extending import intrinsic

from bayes_bm.inference.compiled import exponentials, fields, logarithms, stages, totals
from bayes_bm.inference.compiled.cells import averages, baseline, layers, mixtures, transforms
from bayes_bm.inference.compiled.cells import fields as cell_fields
from bayes_bm.inference.compiled.cells.averages import POINTS, averaged, averaged_back
from bayes_bm.inference.compiled.cells.baseline import run_of
from bayes_bm.inference.compiled.cells.fields import EFFECT, HAZARD, OF_ARM, TOTAL, Field
from bayes_bm.inference.compiled.cells.layers import cured, cured_back, multiplied, with_background
from bayes_bm.inference.compiled.cells.mixtures import mixed, mixed_back
from bayes_bm.inference.compiled.fields import (
    BY_ETA,
    BY_LOG_K,
    BY_OFFSET,
    COVARIATES,
    ETA,
    INNER,
    INNER_SUMS,
    JIT,
    LOG_HR,
    LOG_K,
    OFFSET,
    PART_ROWS,
    SLOPES,
    numbers,
    whole,
)
from bayes_bm.inference.compiled.fields import Field as Structure
from bayes_bm.inference.compiled.formulas import tails
from bayes_bm.inference.compiled.stages import (
    FORMULA,
    SIGNATURE,
    WANING,
    Frame,
    array_at,
    call_stage,
    data_of,
    frame_at,
    matrix_at,
    own_of,
    put,
    rows_at,
)
from bayes_bm.inference.compiled.totals import dot
from bayes_bm.runtime.compiling import cached_cfunc

AVERAGE, BACKGROUND, CLOCK, KEPT = 0, 5, 7, 10
"""Rows from which on each layer keeps what its way back needs of a cell; how many."""
OF_CURE = 4
"""Rows that a cure keeps of a place."""


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


call_formula: Any = _call
"""For whom the annotations of an intrinsic are too narrow."""


# ---------------------------------------------------------------------------------------------- the formula at places


@njit(**INNER)
def places(own, first, cells):
    """The first place, and how many there are, of so many cells from `first` on."""
    begins = whole(own, Field.cell_first)
    if not whole(own, Field.place_cell).size:
        return first, cells
    return begins[first], begins[first + cells] - begins[first]


@njit(**INNER)
def _formula(frame, data, own, theta, arm, parts, first, log_u, basis_logs, found):
    """What the formula finds of the cells from `first` on, whose times are `log_u`, into `found`; the answer is 0."""
    called = array_at(frame, Frame.called, np.int64)
    given = _of_cells(data, own, theta, arm, first, log_u, basis_logs)
    if whole(own, Field.place_cell).size:
        given = _of_places(own, parts, first, given)
    if called[WANING]:
        put(frame, Frame.read_given, given)
        # read once more, so that numba does not free it before it is used
        return call_stage(called[WANING], frame.ctypes.data) * given.size
    call_formula(called[FORMULA], found.shape[1], given, found)
    return 0.0


@njit(**INNER)
def _of_cells(data, own, theta, arm, first, log_u, basis_logs):
    """log u, eta and shapes of the cells from `first` on (2 + shape, cell), a whole row at a time."""
    n, shape_at, of_arm = log_u.size, whole(own, Field.shape_at), whole(own, Field.cell_arm)
    covariates, every_x = (arm.shape[1] - SLOPES) // 2, numbers(own, Field.cell_x)
    given = np.empty((2 + shape_at.size, n))
    _copy(log_u, given[0])
    for s in range(shape_at.size):
        if shape_at[s] == TOTAL:
            _copy(basis_logs[0], given[2 + s])
        elif shape_at[s] == HAZARD:
            _copy(basis_logs[1], given[2 + s])
        elif shape_at[s] >= 0:
            _fill(given[2 + s], theta[shape_at[s]])
    start, last = first, first + n
    # cells of an arm stand together
    while start < last:
        r, end = of_arm[start], run_of(of_arm, start, last)
        _fill(given[1, start - first : end - first], arm[r, ETA])
        for c in range(covariates):
            _add_scaled(
                given[1, start - first : end - first],
                arm[r, SLOPES + c],
                every_x[c * of_arm.size + start : c * of_arm.size + end],
            )
        for s in range(shape_at.size):
            if shape_at[s] == OF_ARM:
                _fill(given[2 + s, start - first : end - first], arm[r, LOG_K])
            elif shape_at[s] == EFFECT:
                effect_index = _effect_at(data, r)
                effect = theta[effect_index] if effect_index >= 0 else 0.0
                _fill(given[2 + s, start - first : end - first], effect)
        start = end
    return given


@njit(**INNER)
def _effect_at(data, r):
    """Where the effect of an arm's treatment stands among the parameters, -1 of the reference."""
    treatment = whole(data, Structure.arm_treatment)[r]
    return whole(data, Structure.place)[LOG_HR] + treatment - 1 if treatment > 0 else -1


@njit(**INNER)
def _copy(values, found):
    """Numba's own copy of an array divides once a number, to broadcast."""
    for i in range(values.size):
        found[i] = values[i]


@njit(**INNER)
def _fill(values, number):
    for i in range(values.size):
        values[i] = number


@njit(**INNER)
def _add_scaled(values, factor, other):
    for i in range(values.size):
        values[i] += factor * other[i]


@njit(**INNER)
def _of_places(own, parts, first, of_cells):
    """The same of places, from their cells: a part adds its offset to eta."""
    of_cell, of_part = whole(own, Field.place_cell), whole(own, Field.place_part)
    begin, n = places(own, first, of_cells.shape[1])
    given = np.empty((of_cells.shape[0], n))
    for row in range(given.shape[0]):
        for p in range(n):
            given[row, p] = of_cells[row, of_cell[begin + p] - first]
    for p in range(n):
        if of_part[begin + p] >= 0:
            given[1, p] += parts[OFFSET, of_part[begin + p]]
    return given


@njit(**INNER)
def _products(one, by_one, other, by_other, found):
    for i in range(found.size):
        found[i] = one[i] * by_one[i] + other[i] * by_other[i]


@njit(**INNER_SUMS)
def _total(values):
    total = 0.0
    for i in range(values.size):
        total += values[i]
    return total


@njit(**INNER)
def _to_cells(own, at_places, of_cells):
    """Sums over the places of each cell, into `of_cells`."""
    of_cell = whole(own, Field.place_cell)
    if not of_cell.size:
        _copy(at_places, of_cells)
        return
    of_cells[:] = 0.0
    for p in range(at_places.size):
        of_cells[of_cell[p]] += at_places[p]


@njit(**INNER)
def _formula_back(data, own, arm, parts, found, slopes, log_u, score, by_basis, by_log_u):
    """From derivatives by log H and log h (2, place) to arms, parts, coordinates, sums of a basis and log u."""
    shape_at, of_arm, of_part = (
        whole(own, Field.shape_at),
        whole(own, Field.cell_arm),
        whole(own, Field.place_part),
    )
    hazard, at_places, of_cells = 2 + shape_at.size, np.empty(found.shape[1]), np.empty(of_arm.size)
    by_cum, by_hazard = slopes[0], slopes[1]
    _products(by_cum, found[1], by_hazard, found[hazard + 1], at_places)
    for p in range(of_part.size):
        if of_part[p] >= 0:
            parts[BY_OFFSET, of_part[p]] += at_places[p]
    _to_cells(own, at_places, of_cells)
    _eta_back(own, arm, of_cells)
    for s in range(shape_at.size):
        _products(by_cum, found[2 + s], by_hazard, found[hazard + 2 + s], at_places)
        _to_cells(own, at_places, of_cells)
        if shape_at[s] == TOTAL:
            _add_scaled(by_basis[0], 1.0, of_cells)
        elif shape_at[s] == HAZARD:
            _add_scaled(by_basis[1], 1.0, of_cells)
        elif shape_at[s] == OF_ARM:
            _arms_back(of_arm, of_cells, arm[:, BY_LOG_K])
        elif shape_at[s] == EFFECT:
            _effects_back(data, of_arm, of_cells, score)
        else:
            score[shape_at[s]] += _total(of_cells)
    if whole(own, Field.clock_start).size:
        _times_back(own, found, slopes, log_u, by_log_u)


@njit(**INNER)
def _eta_back(own, arm, by_eta):
    """From derivatives by eta of the cells to arms and slopes of covariates; cells of an arm stand together."""
    of_arm, every_x, start = whole(own, Field.cell_arm), numbers(own, Field.cell_x), np.int64(0)
    covariates = (arm.shape[1] - SLOPES) // 2
    while start < of_arm.size:
        r, end = of_arm[start], run_of(of_arm, start, of_arm.size)
        arm[r, BY_ETA] += _total(by_eta[start:end])
        for c in range(covariates):
            x = every_x[c * of_arm.size + start : c * of_arm.size + end]
            arm[r, SLOPES + covariates + c] += dot(by_eta[start:end], x)
        start = end


@njit(**INNER)
def _arms_back(of_arm, of_cells, found):
    """Add sums over the cells of each arm."""
    start = np.int64(0)
    while start < of_arm.size:
        end = run_of(of_arm, start, of_arm.size)
        found[of_arm[start]] += _total(of_cells[start:end])
        start = end


@njit(**INNER)
def _effects_back(data, of_arm, of_cells, score):
    """Add sums over the cells of each arm to the effect of its treatment."""
    start = np.int64(0)
    while start < of_arm.size:
        end, effect_index = run_of(of_arm, start, of_arm.size), _effect_at(data, of_arm[start])
        if effect_index >= 0:
            score[effect_index] += _total(of_cells[start:end])
        start = end


@njit(**INNER)
def _times_back(own, found, slopes, log_u, by_log_u):
    """From derivatives by log H and log h (2, place) to those by log u of the cells."""
    hazard, of_cell = 2 + (found.shape[0] - 5) // 2, whole(own, Field.place_cell)
    for p in range(found.shape[1]):
        i = of_cell[p] if of_cell.size else p
        by_cum, by_hazard = slopes[0, p], slopes[1, p]
        steep = math.exp(log_u[i] + found[hazard, p] - found[0, p]) if by_cum != 0 else 0.0
        by_log_u[i] += by_cum * steep + by_hazard * found[found.shape[0] - 1, p]


# ---------------------------------------------------------------------------------------------- layers


@njit(**INNER)
def _layered(own, theta, found, first, background, offsets, parts, logs, kept, of_cure, of_parts):
    """log H and log h of the cells' patients (2, cell), but for clocks, and what the ways back need (row, cell)."""
    hazard = 2 + (found.shape[0] - 5) // 2
    cure_at, of_average = whole(own, Field.cure_at), whole(own, Field.cell_average)
    n = found.shape[1]
    at_places = np.empty((2, n))
    for p in range(n):
        at_places[0, p], at_places[1, p] = found[0, p], found[hazard, p]
    if cure_at.size:
        cured(theta[cure_at[0]], at_places, of_cure)
    if whole(own, Field.cell_mixture).size:
        mixed(own, parts, first, whole(own, Field.place_cell).size == 0, at_places, logs, of_parts)
    else:
        for i in range(n):
            logs[0, i], logs[1, i] = at_places[0, i], at_places[1, i]
    if of_average.size:
        averaged(of_average[first : first + logs.shape[1]], offsets, logs, kept[AVERAGE:BACKGROUND])
    if background.shape[1]:
        with_background(background, logs, kept[BACKGROUND:CLOCK])


@njit(**INNER)
def _layered_back(own, offsets, by_offsets, parts, slopes, kept, of_cure, of_parts, by_places, score):
    """The way back of all cells; `by_places` (2, place) gets derivatives by what the formula found."""
    cure_at, of_average = whole(own, Field.cure_at), whole(own, Field.cell_average)
    if numbers(own, Field.cell_background).size:
        multiplied(slopes, kept[BACKGROUND:CLOCK])
    if of_average.size:
        averaged_back(of_average, offsets, by_offsets, slopes, kept[AVERAGE:BACKGROUND])
    if whole(own, Field.cell_mixture).size:
        mixed_back(own, parts, 0, whole(own, Field.place_cell).size == 0, slopes, of_parts, by_places)
    else:
        for i in range(slopes.shape[1]):
            by_places[0, i], by_places[1, i] = slopes[0, i], slopes[1, i]
    if cure_at.size:
        score[cure_at[0]] += cured_back(by_places, of_cure)


@njit(**INNER)
def parts_of_cells(own, first, cells):
    """So many parts have the cells from `first` on; none where nobody is averaged."""
    begins = whole(own, Field.cell_first)
    return begins[first + cells] - begins[first] if begins.size else 0


# ---------------------------------------------------------------------------------------------- stages

_READS = (
    *(fields, cell_fields, stages, exponentials, logarithms),
    *(averages, baseline, layers, mixtures, tails, totals, transforms),
)


@njit(**INNER)
def _offset_columns(own, arm):
    """Columns of the table of offsets of averages."""
    rows, covariates = whole(own, Field.average_arm).size, (arm.shape[1] - SLOPES) // 2
    return POINTS + (numbers(own, Field.average_x).size // (rows * covariates) if rows else 0)


@cached_cfunc(SIGNATURE, *_READS, **JIT)
def read(pointer: Any) -> Any:
    """log H and log h of the cells from the first asked for on, but for clocks, and what the way back needs."""
    frame = frame_at(pointer)
    data, own, theta = data_of(frame), own_of(frame), array_at(frame, Frame.theta, np.float64)
    arm = matrix_at(frame, Frame.arm, SLOPES + 2 * whole(data, Structure.place)[COVARIATES])
    parts, offsets = rows_at(frame, Frame.parts, PART_ROWS), matrix_at(frame, Frame.offsets, _offset_columns(own, arm))
    asked, log_u = array_at(frame, Frame.read_first, np.int64), array_at(frame, Frame.read_log_u, np.float64)
    first, unmixed = asked[0], asked[1]
    basis_logs, background = rows_at(frame, Frame.read_basis, 2), rows_at(frame, Frame.read_background, 2)
    logs, kept = rows_at(frame, Frame.read_logs, 2), rows_at(frame, Frame.read_kept, KEPT)
    of_cure, of_parts = rows_at(frame, Frame.read_cure, OF_CURE), rows_at(frame, Frame.read_parts, mixtures.KEPT)
    found = rows_at(frame, Frame.read_found, 5 + 2 * whole(own, Field.shape_at).size)
    nothing = _formula(frame, data, own, theta, arm, parts, first, log_u, basis_logs, found)
    if unmixed:
        _copy(found[0], logs[0])
        _copy(found[2 + (found.shape[0] - 5) // 2], logs[1])
        return nothing
    _layered(own, theta, found, first, background, offsets, parts, logs, kept, of_cure, of_parts)
    return nothing


@cached_cfunc(SIGNATURE, *_READS, **JIT)
def read_back(pointer: Any) -> Any:
    """The way back of all cells: to arms, parts, offsets, coordinates, sums of a basis and log u."""
    frame = frame_at(pointer)
    data, own, score = data_of(frame), own_of(frame), array_at(frame, Frame.score, np.float64)
    arm = matrix_at(frame, Frame.arm, SLOPES + 2 * whole(data, Structure.place)[COVARIATES])
    columns = _offset_columns(own, arm)
    parts, offsets = rows_at(frame, Frame.parts, PART_ROWS), matrix_at(frame, Frame.offsets, columns)
    by_offsets, slopes = matrix_at(frame, Frame.by_offsets, columns), rows_at(frame, Frame.slopes, 2)
    log_u, by_log_u = array_at(frame, Frame.read_log_u, np.float64), array_at(frame, Frame.by_log_u, np.float64)
    kept, by_basis = rows_at(frame, Frame.read_kept, KEPT), rows_at(frame, Frame.by_basis, 2)
    of_cure, of_parts = rows_at(frame, Frame.read_cure, OF_CURE), rows_at(frame, Frame.read_parts, mixtures.KEPT)
    found = rows_at(frame, Frame.read_found, 5 + 2 * whole(own, Field.shape_at).size)
    by_places = np.empty((2, found.shape[1]))
    _layered_back(own, offsets, by_offsets, parts, slopes, kept, of_cure, of_parts, by_places, score)
    _formula_back(data, own, arm, parts, found, by_places, log_u, score, by_basis, by_log_u)
    return 0.0
