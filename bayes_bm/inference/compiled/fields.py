"""What the compiled density reads: the names of its arrays, their one record, and how compiled code takes a field."""

from collections.abc import Mapping
from enum import IntEnum, auto
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_bm.runtime import inner_functions

NORMAL, HALF_NORMAL, STUDENT_T, HALF_STUDENT_T, EXPONENTIAL, GAMMA, LOG_NORMAL, UNIFORM, CENTRED = range(9)
"""Laws of a coordinate; `Field.prior_...` are their numbers. Centred ones are judged with the effects."""

LOG_HR, DEVIATION_SD, DEVIATION, INTERCEPT, LEVEL_SD, LEVEL, SHAPE, SHAPE_SD, STUDY_SHAPE, TREATMENT_SHAPE = range(10)
"""Blocks of coordinates; `Field.place` has the first coordinate of each, -1 where a model has none.

Effects of treatments in classes stand behind all coordinates."""
NATURAL_SHAPE = 10
"""`Field.place` here: 1 where free shapes of studies have their prior on the natural scale."""
STUDIES = 11
"""`Field.place` here: the number of studies."""
COVARIATES = 12
"""`Field.place` here: the number of covariates."""


class Field(IntEnum):
    """What the density reads, by name. Times are log(t / t0), an arm is its row among the arms, `row` is any row."""

    # whole numbers
    law = 0  # of each coordinate
    place = auto()  # first coordinate of each block, then a flag and two counts
    arm_study = auto()  # 1 is the first study, 0 the average one
    arm_treatment = auto()  # 0 is the reference
    arm_pair = auto()  # 0 is none
    pair_first = auto()  # the first pair of its study
    pair_base = auto()  # the last pair of its study, whose treatment the others are compared with
    pair_treatment = auto()  # its treatment
    pair_centred = auto()  # 1 where its coordinate is the contrast log_hr + deviation to the base
    level_centred = auto()  # of each study, 1 where its coordinate is eta of its main arm, without biases
    level_treatment = auto()  # treatment and pair of that arm
    level_pair = auto()
    level_base = auto()  # its base's pair where the two are walked on together (`_level_and_base`), else 0
    pair_level = auto()  # the study of such a base, else 0
    shape_centred = auto()  # 1 where its coordinate is its log shape
    class_at = auto()  # (treatment compared x 3) see `classes`; none where each has an effect of its own
    coefficient_at = auto()  # coordinate of each covariate's coefficient
    interaction_at = auto()  # (treatment compared x covariate) its coordinate, -1 without
    bias_at = auto()  # coordinate of each bias, -1 where its size is given
    truncated_at = auto()  # coordinate and law of a time whose prior is cut off; none without
    group_arm = auto()
    group_first = auto()  # where its rows begin, and the end
    group_holds = auto()  # 1 where the polynomials are exact enough
    own_first = auto()  # where the rows of each arm begin, and the end
    interval_arm = auto()
    binomial_arm = auto()
    order_arm = auto()
    normal_arm = auto()
    unreached_arm = auto()
    ratio_study = auto()  # 0 is the average study
    ratio_treatment = auto()
    ratio_reference = auto()
    ratio_pair = auto()
    ratio_reference_pair = auto()
    ratio_apart = auto()  # 1 where the density of cells sees to ratios, because some are averaged at nodes
    mix_two = auto()  # of each covariate, 1 where it is two-valued
    mix_mean_at = auto()  # coordinates of the population of arms, of each covariate
    mix_sd_at = auto()
    mix_by_at = auto()  # of the first treatment's difference, -1 without
    mix_within_at = auto()  # -1 of a two-valued one
    mix_unknown_at = auto()  # (arm x covariate) coordinate of the standard score, -1 where it is printed
    printed_arm = auto()  # shares and means that inform the population
    printed_covariate = auto()
    counted_arm = auto()  # shares of fewer patients than the arm has
    counted_covariate = auto()
    prognosis_group = auto()  # where the rows of each study and covariate begin, and the end
    prognosis_covariate = auto()
    prognosis_external = auto()  # 1 where the row is from another setting
    prognosis_at = auto()  # coordinate of the sd, of that of transport or -1
    transport_at = auto()  # of each covariate, coordinate of its standard score or -1
    # numbers
    constant = auto()  # terms without parameters
    prior_a = auto()  # of each coordinate: mean, shape or lower limit
    prior_b = auto()  # sd, rate or upper limit
    prior_df = auto()
    prior_constant = auto()  # log of the normalising constant
    truncated = auto()  # numbers of its prior, as those above
    pair_cholesky = auto()  # (pair x pair) of contrasts to the base, and of the base's deviation
    bias_given = auto()  # its size where it is
    arm_bias = auto()  # (arm x bias) what a bias is multiplied by
    ratio_bias = auto()  # (ratio x bias)
    deaths = auto()  # of each arm: sum of weights of exact events
    deaths_log = auto()  # of weight x log u
    deaths_x = auto()  # (arm x covariate) of weight x covariate
    group_sign = auto()  # 1, and -1 of entry times
    group_x = auto()  # (group x covariate)
    panel = auto()  # lowest log k of the polynomials, width of a panel, how many panels
    polynomial = auto()  # (group x panel x degree) coefficients, highest power first
    row_log = auto()  # rows of the groups: log u
    row_weight = auto()
    own_log = auto()
    own_weight = auto()  # below zero of entry times
    own_x = auto()  # (covariate x row)
    interval_log = auto()
    interval_upper = auto()
    interval_weight = auto()
    interval_x = auto()  # (row x covariate)
    binomial_end = auto()
    binomial_start = auto()
    binomial_alive = auto()
    binomial_dead = auto()
    binomial_constant = auto()
    order_end = auto()
    order_entry = auto()
    order_alpha = auto()
    order_constant = auto()
    normal_log = auto()
    normal_entry = auto()
    normal_shift = auto()
    normal_sd = auto()
    unreached_end = auto()
    unreached_entry = auto()
    unreached_alpha = auto()
    unreached_log_beta = auto()
    ratio_log = auto()
    ratio_log_diagonal = auto()
    ratio_whitener = auto()  # (ratio x ratio)
    ratio_log_followup = auto()  # log(follow-up / t0); none where hazards are proportional
    mix_middle = auto()  # of each covariate: centre and scale
    mix_scale = auto()
    mix_printed = auto()  # (arm x covariate) share or mean, 0 where it is a parameter
    mix_within = auto()  # (arm x covariate) sd inside, below zero where it is the common one
    part_x = auto()  # (covariate x part) of two-valued ones
    part_node = auto()
    part_log_weight = auto()
    mix_loading = auto()  # of each covariate on the factor that they have in common inside arms; none where independent
    factor_node = auto()
    factor_log_weight = auto()
    printed_value = auto()  # how many have it, or the mean
    printed_size = auto()  # patients behind it, infinite where not said
    share_node = auto()  # rule that a printed share's own is integrated by
    share_log_weight = auto()
    counted_present = auto()
    counted_size = auto()
    prognosis_log = auto()
    prognosis_se = auto()
    prognosis_change = auto()


class Problem(NamedTuple):
    """The fields one after the other: whole numbers, numbers, and where each begins in its array."""

    whole: np.ndarray
    numbers: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Problem":
        """Arrays of any shape by the names of `Field`; two dimensions are stored row by row."""
        flat = [np.ravel(fields[field.name]) for field in Field]
        parts = flat[: Field.constant], flat[Field.constant :]
        # of each array one more than its fields: the end of the last
        ends = [np.cumsum([0, *(len(values) for values in part)])[:-1] for part in parts]
        stops = [sum(len(values) for values in part) for part in parts]
        first = np.concatenate([ends[0], [stops[0]], ends[1], [stops[1]]]).astype(np.int64)
        kinds = (np.int64, np.float64)
        joined = [np.concatenate(part).astype(kind) for part, kind in zip(parts, kinds, strict=True)]
        return cls(joined[0], joined[1], first)


DEGREE = 12
"""Coefficients of a polynomial; `polynomials.fitted` takes as many panels as make it exact."""
BLOCK = 256
"""Rows worked on at once: a few kilobytes stay in the fastest memory."""

ETA, LOG_K, BY_ETA, BY_LOG_K, SLOPES = range(5)
"""Of an arm: predictor, log shape, derivatives by them; then slopes of covariates, and derivatives by those."""
OF_LEVEL, OF_SHAPE, BY_LEVEL, BY_SHAPE = range(4)
"""Of a study, the average one at 0."""
DEVIATES, BY_DEVIATION, STANDARD = range(3)
"""Of a pair, none at 0: its deviation, the derivative by it, and how many sds its contrast is, given those before."""

OFFSET, LOG_WEIGHT, WEIGHT, FACTOR, BY_OFFSET, BY_LOG_WEIGHT = range(6)
"""Of a part of the patients of an averaged cell: what it adds to eta, its weight, exp of what it adds, derivatives."""
PART_ROWS = 6

PLACE, LEVEL_OF_MIX, VALUE, INSIDE, BY_PLACE, BY_MIX, BY_INSIDE = range(7)
"""Of an arm and covariate: location in the population of arms, the arm's own logit or mean, its share or mean, sd
inside it; derivatives by the location of what is printed, by the arm's own, and by the sd inside."""
MIX_COLUMNS = 7
NOBODY = 1e-300
"""Stands for a share of nobody, as `arm_mixes.TINY` does."""
MIX_STEPS = 6
"""Newton's steps to the mode of a printed share, as `arm_mixes.printed_log_density` takes."""

JIT: dict[str, Any] = {"error_model": "numpy", "fastmath": False}
"""Fast math is refused by name: numba hands a caller's down to functions that say nothing."""
SUMS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
"""A sum may be reordered, so that several terms are added at once; infinities and NaN keep their meaning."""

INNER = {**JIT, **inner_functions.INNER}
"""Of functions that compiled code alone calls."""
APART = {**JIT, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Of those that are optimised by themselves too: a gradient with patients who lack covariates took a quarter longer."""
INNER_SUMS = {**SUMS, **inner_functions.INNER}


@njit(**INNER)
def whole(data: Any, field: int) -> Any:
    """A field of whole numbers."""
    return data[0][data[2][field] : data[2][field + 1]]


@njit(**INNER)
def numbers(data: Any, field: int) -> Any:
    """A field of numbers. Their positions stand one further on, behind the end of the whole numbers."""
    return data[1][data[2][field + 1] : data[2][field + 2]]
