"""Stages of a density: each is compiled and kept on disk by itself, and called by its address.

Compiled code holds the code of all that it calls, which is optimised again with each caller. Stages end that: structure
is compiled once for both densities, and what a model does not need is not compiled. A stage reads a frame, the
addresses and sizes of arrays, and answers a number.
"""

from collections.abc import Iterable
from enum import IntEnum, auto
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]
from numba.extending import intrinsic

from bayes_bm.inference.compiled.fields import INNER

POINTER = types.CPointer(types.float64)
SIGNATURE = types.float64(types.CPointer(types.int64))


class Frame(IntEnum):
    """Arrays that stages read and write."""

    whole = 0  # of the structure (`fields.Problem`)
    numbers = auto()
    first = auto()
    x = auto()  # (coordinate,), and so are the next four
    theta = auto()
    slope = auto()
    gradient = auto()
    score = auto()  # d log p / d theta
    study = auto()  # (study, 4)
    pair = auto()  # (pair, 3)
    arm = auto()  # (arm, SLOPES + 2 covariate)
    own_whole = auto()  # of the cells (`cells.fields.CellProblem`)
    own_numbers = auto()
    own_first = auto()
    parts = auto()  # (5, part)
    mix = auto()  # (arm, covariate, MIX_COLUMNS)
    cum = auto()  # (cell,)
    logs = auto()  # (2, cell)
    log_median = auto()  # (moving cell,)
    by_cum = auto()  # (cell,)
    slopes = auto()  # (2, cell)
    called = auto()  # addresses of the stages
    offsets = auto()  # of averages (row, 2 + point)
    by_offsets = auto()
    by_basis = auto()  # (2, cell)
    by_log_u = auto()  # (cell,)
    read_first = auto()  # the first cell that is read, and of those from there on: log u
    read_log_u = auto()
    read_basis = auto()  # logarithms of sums of a basis (2, cell)
    read_background = auto()  # (2, cell)
    read_logs = auto()  # (2, cell)
    read_kept = auto()
    read_cure = auto()
    read_parts = auto()
    read_found = auto()  # what the formula finds (5 + 2 shape, place)
    read_given = auto()  # what it is given (2 + shape, place), of effects that wane


ARRAYS = len(Frame)
"""Of a frame."""


@intrinsic
def _pointer(context, address):
    """A memory address as a pointer."""

    def generate(_, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@intrinsic
def _call_stage(context, address, frame):
    """Call the stage at an address with the frame at another."""

    def generate(_, builder, signature, arguments):
        pointer = ir.IntType(64).as_pointer()
        kind = ir.FunctionType(ir.DoubleType(), [pointer])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        return builder.call(function, [builder.inttoptr(arguments[1], pointer)])

    return types.float64(types.int64, types.intp), generate


call_stage: Any = _call_stage
"""For whom the annotations of an intrinsic are too narrow."""


@njit(inline="always")
def array_at(addresses: Any, i: int, dtype: Any) -> Any:
    """Array i of addresses and sizes."""
    return carray(_pointer(addresses[2 * i]), (addresses[2 * i + 1],), dtype)  # pyright: ignore[reportCallIssue]


@njit(inline="always")
def matrix_at(addresses: Any, i: int, columns: int) -> Any:
    """Array i of addresses and sizes, (row, column)."""
    return carray(_pointer(addresses[2 * i]), (addresses[2 * i + 1] // columns, columns), np.float64)  # pyright: ignore[reportCallIssue]


@njit(inline="always")
def rows_at(addresses: Any, i: int, rows: int) -> Any:
    """Array i of addresses and sizes, with so many rows."""
    return carray(_pointer(addresses[2 * i]), (rows, addresses[2 * i + 1] // rows), np.float64)  # pyright: ignore[reportCallIssue]


@njit(inline="always")
def frame_at(pointer: Any) -> Any:
    """The frame that a stage was called with."""
    return carray(pointer, (2 * ARRAYS,), np.int64)


@njit(inline="always")
def data_of(frame: Any) -> Any:
    """The structure, as `fields.whole` and `numbers` read it."""
    return (
        array_at(frame, Frame.whole, np.int64),
        array_at(frame, Frame.numbers, np.float64),
        array_at(frame, Frame.first, np.int64),
    )


@njit(inline="always")
def own_of(frame: Any) -> Any:
    """The cells, as `fields.whole` and `numbers` read them."""
    return (
        array_at(frame, Frame.own_whole, np.int64),
        array_at(frame, Frame.own_numbers, np.float64),
        array_at(frame, Frame.own_first, np.int64),
    )


@njit(**INNER)
def put(frame, i, array):
    """Put an array into a frame. It must be read once more after the last stage: numba frees it at its last use."""
    frame[2 * i], frame[2 * i + 1] = array.ctypes.data, array.size


@njit(**INNER)
def put_structure(frame, data, x, gradient, theta, slope, score, study, pair, arm):
    """Put into a frame what the stages of the structure read."""
    put(frame, Frame.whole, data[0])
    put(frame, Frame.numbers, data[1])
    put(frame, Frame.first, data[2])
    put(frame, Frame.x, x)
    put(frame, Frame.gradient, gradient)
    put(frame, Frame.theta, theta)
    put(frame, Frame.slope, slope)
    put(frame, Frame.score, score)
    put(frame, Frame.study, study)
    put(frame, Frame.pair, pair)
    put(frame, Frame.arm, arm)


FORWARD, BACKWARD, FORMULA, READ, READ_BACK, ROWS = range(6)
"""Stages of a density by their place among its addresses."""
MIXES, MIXES_BACK, TOGETHER, TOGETHER_BACK, LACKING, LACKING_BACK, RATIOS, WANING = range(6, 14)
"""Those of which a model has some; 0 where it does not need them."""
STAGES = 14
NOT_FINITE = 4
"""Any number above zero tells the sampler that it went too far."""


def addresses(arrays: Iterable[Any]) -> Any:
    """Where arrays are, and how long. They have to outlive their use."""
    return np.array([number for array in arrays for number in (array.ctypes.data, len(array))], dtype=np.int64)
