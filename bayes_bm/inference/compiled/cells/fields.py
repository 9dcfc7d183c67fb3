"""What the density of cells reads beside the model's structure (`kernel.Field`), by name."""

from collections.abc import Mapping
from enum import IntEnum, auto
from typing import Any, NamedTuple

import numpy as np

from bayes_bm.inference.compiled.fields import Problem

OF_ARM, TOTAL, HAZARD = -1, -2, -3
"""Where a shape of the formula comes from, if not a coordinate: the arm's varying one, or the sums of a basis."""
CELLS, MOVING = range(2)
"""`Field.count` has the number of cells at given times, and of those whose time is a median, which stand last."""


class Field(IntEnum):
    """Of the cells, the baselines and the rows of evidence; a cell of -1 is the time zero, with no hazard yet."""

    # whole numbers
    count = 0
    shape_at = auto()  # of each shape of the formula its coordinate, or one of the numbers above
    cure_at = auto()  # coordinate of the logit of the cured share; empty without
    cell_arm = auto()
    cell_spot = auto()  # its baseline and time; empty where the formula has no basis
    cell_average = auto()  # its row of averages, -1 where patients are alike; empty without any
    average_arm = auto()  # arm of each row of averages
    walk_first = auto()  # first step of each walk
    walk_sd = auto()  # coordinate of its sd
    baseline_walk = auto()  # (baseline x 3) walks that add up to its log coefficients, -1 for none
    spot_baseline = auto()
    interval_lower = auto()  # cells
    interval_upper = auto()
    binomial_end = auto()
    binomial_start = auto()
    order_end = auto()
    order_entry = auto()
    unreached_end = auto()
    unreached_entry = auto()
    normal_entry = auto()
    ratio_cell = auto()  # (ratio x side x node); empty where hazards are proportional
    # numbers
    constant = auto()  # terms without parameters
    cell_log = auto()  # log u
    cell_events = auto()  # weights of patients who die there
    cell_weight = auto()  # weights of patients who live to there, less those who enter there
    cell_x = auto()  # (covariate x cell)
    cell_background = auto()  # log Hb, then log hb, of each cell; empty without
    background = auto()  # starts, rates and cumulative hazards of its steps
    average_x = auto()  # (row of averages x covariate x point)
    step_root = auto()  # of each step of a walk
    at_reference = auto()  # integrals at t0 (function,)
    spot_values = auto()  # (2 function x spot) integrals, then functions
    breaks = auto()  # beginning of each piece of the basis
    lengths = auto()  # what time since the beginning is divided by
    pieces = auto()  # (piece x power x 2 function) of integrals and functions, highest power first
    interval_weight = auto()
    binomial_alive = auto()
    binomial_dead = auto()
    binomial_constant = auto()
    order_alpha = auto()
    order_constant = auto()
    unreached_alpha = auto()
    unreached_log_beta = auto()
    normal_log = auto()
    normal_shift = auto()
    normal_sd = auto()
    ratio_log_step = auto()  # (ratio x node)


POWERS = 5
"""Coefficients of a piece of a basis: integrals of cubics."""


class CellProblem(NamedTuple):
    """The structure as the kernel has it, then the fields above in the same form, and the address of the formula."""

    whole: np.ndarray
    numbers: np.ndarray
    first: np.ndarray
    cell_whole: np.ndarray
    cell_numbers: np.ndarray
    cell_first: np.ndarray
    formula: np.ndarray

    @classmethod
    def of(cls, structure: Problem, fields: Mapping[str, Any], formula: int) -> "CellProblem":
        """Join a structure, arrays of any shape by the names of `Field`, and a compiled formula's address."""
        whole, numbers, first = joined(fields, Field, Field.constant)
        return cls(*structure, whole, numbers, first, np.array([formula], dtype=np.int64))


def joined(
    fields: Mapping[str, Any], names: type[IntEnum], first_number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole numbers, numbers, and where each field begins in its array, as `kernel.whole` and `numbers` read them."""
    flat = [np.ravel(fields[field.name]) for field in names]
    parts = flat[:first_number], flat[first_number:]
    ends = [np.cumsum([0, *(len(values) for values in part)]) for part in parts]
    kinds = (np.int64, np.float64)
    arrays = [np.concatenate(part).astype(kind) for part, kind in zip(parts, kinds, strict=True)]
    return arrays[0], arrays[1], np.concatenate(ends).astype(np.int64)
