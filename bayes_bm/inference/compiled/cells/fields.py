"""What the density of cells reads beside the model's structure (`compiled.fields.Field`), by name."""

from collections.abc import Mapping, Sequence
from enum import IntEnum, auto
from typing import Any, NamedTuple

import numpy as np

from bayes_bm.inference.compiled.fields import Problem

OF_ARM, TOTAL, HAZARD, EFFECT = -1, -2, -3, -4
"""Where a shape of the formula comes from, if not a coordinate: the arm's varying one, the sums of a basis, or the
effect of the arm's treatment, which wanes."""
NO_CLOCK = -1
"""Of `Field.clock_start`: a cell whose time is known."""
MIXES, LACKING = range(2)
"""`Field.part_first`: where the parts of arms' mixes begin, and those of patients who lack covariates."""
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
    cell_mixture = auto()  # its row of mixtures, -1 where patients are alike; empty without any
    cell_first = auto()  # first part of each cell, and the end; a cell of patients alike has one
    place_cell = auto()  # cell of each place where the formula is asked; empty where these are the cells
    place_part = auto()  # its part among all parts, -1 where patients are alike
    mixture_first = auto()  # first of the parts of each row of mixtures, and the end
    part_first = auto()  # see above
    linear_arm = auto()  # arm of each row of mixtures at integration points; they stand first
    lacking_arm = auto()  # arm of each patient who lacks covariates
    lacking_level = auto()  # place of the arm among those with such patients
    law_at = auto()  # first coordinate of the laws of what is lacked
    law_column = auto()  # covariate of each law
    law_two = auto()  # 1 where it is two-valued
    law_first = auto()  # its first coefficient: a level an arm, one an earlier covariate, log sd of a normal one
    law_levels = auto()  # how many levels a law has
    law_earlier = auto()  # (law x covariate) covariates that it is given, in the order of its coefficients
    law_counts = auto()  # how many
    clock_start = (
        auto()
    )  # of each cell the cell of its start, itself of a start, NO_CLOCK; empty where none are unknown
    clock_at = auto()  # coordinates of the two times, -1 without
    waning_at = auto()  # coordinate of the start of waning, -1 where it is stated; empty where nothing wanes
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
    ratio_row = auto()  # ratios that are averaged at nodes; their sides stand behind the arms
    ratio_cell = auto()  # (ratio x side x node)
    # numbers
    constant = auto()  # terms without parameters
    cell_log = auto()  # log u
    cell_events = auto()  # weights of patients who die there
    cell_weight = auto()  # weights of patients who live to there, less those who enter there
    cell_x = auto()  # (covariate x cell)
    cell_background = auto()  # log Hb, then log hb, of each cell; empty without
    background = auto()  # starts, rates and cumulative hazards of its steps
    average_x = auto()  # (row of averages x covariate x point)
    linear_x = auto()  # (row of mixtures x covariate x point)
    lacking_x = auto()  # (patient x covariate), 0 where it is lacked
    lacking_blank = auto()  # 1 where it is lacked
    lacking_weight = auto()
    law_mean = auto()
    law_factor = auto()  # (coefficient x coefficient)
    law_middle = auto()  # of each covariate
    law_spread = auto()
    law_bounds = auto()  # (law x 2) values of a two-valued one
    law_node = auto()  # (law x node)
    law_log_node = auto()
    clock_scale = auto()  # (arm x 2) what a time of the clock is multiplied by
    clock_stated = auto()  # (arm x 2) what is known of it besides
    waning = auto()  # start of waning, stated, as a share of t0; what a start that is a parameter is multiplied by
    jump_time = auto()  # of each jump of the effect, after the start
    jump_lost = auto()  # share of the effect that is lost after it
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
    """The structure as the kernel has it, then the fields above in the same form, and the addresses of its stages."""

    whole: np.ndarray
    numbers: np.ndarray
    first: np.ndarray
    cell_whole: np.ndarray
    cell_numbers: np.ndarray
    cell_first: np.ndarray
    called: np.ndarray

    @classmethod
    def of(cls, structure: Problem, fields: Mapping[str, Any], called: Sequence[int]) -> "CellProblem":
        """Join a structure, arrays of any shape by the names of `Field`, and addresses of stages."""
        whole, numbers, first = joined(fields, Field, Field.constant)
        return cls(*structure, whole, numbers, first, np.array(called, dtype=np.int64))


def joined(
    fields: Mapping[str, Any], names: type[IntEnum], first_number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole numbers, numbers, and where each field begins in its array, as `fields.whole` and `numbers` read them."""
    flat = [np.ravel(fields[field.name]) for field in names]
    parts = flat[:first_number], flat[first_number:]
    ends = [np.cumsum([0, *(len(values) for values in part)]) for part in parts]
    kinds = (np.int64, np.float64)
    arrays = [np.concatenate(part).astype(kind) for part, kind in zip(parts, kinds, strict=True)]
    return arrays[0], arrays[1], np.concatenate(ends).astype(np.int64)
