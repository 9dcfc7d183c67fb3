"""Log density and gradient of every Weibull model of `bayes_bm.model`, on the sampler's scale, compiled once.

From the coordinates x to the parameters and their priors, to eta and log shape of each arm, to each row of evidence,
and back by the chain rule:

    theta = T(x)    eta[r] = level[study] + log_hr[treatment] + deviation[pair] + bias    log k[r] = the same of shapes
    d log p / dx = d log prior / dx + T'(x) sum over rows d log p / d(eta, log k) d(eta, log k) / d theta

Formulas of the rows are those of `bayes_bm.model.likelihoods` with H(t) = exp(eta + k log u), whose derivatives are H
by eta and k log u H by log k. Patients are summed in two ways: groups, with log sum w u^k as polynomials in log k, and
rows one by one in arms whose patients differ in covariates.

All of it stands in one file because the compiled code is kept on disk, beside this file or in the user's cache, until
this file changes. Few arrays are passed around, because what is compiled grows with them.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]
from numba.extending import intrinsic

# these never change: no cached code goes stale
from bayes_bm.hazards.families.weibull import LEAST_LOG_HAZARD
from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.hazards.numerics.entire_exponential_integral import LOG_ALL_DEAD
from bayes_bm.hazards.numerics.entire_exponential_integral import NODE as EIN_NODE
from bayes_bm.hazards.numerics.entire_exponential_integral import WEIGHT as EIN_WEIGHT
from bayes_bm.inference.compiled import fields, mixes
from bayes_bm.inference.compiled.fields import (
    BLOCK,
    BY_DEVIATION,
    BY_ETA,
    BY_INSIDE,
    BY_LEVEL,
    BY_LOG_K,
    BY_MIX,
    BY_PLACE,
    BY_SHAPE,
    CENTRED,
    COVARIATES,
    DEGREE,
    DEVIATES,
    DEVIATION,
    DEVIATION_SD,
    ETA,
    EXPONENTIAL,
    GAMMA,
    HALF_NORMAL,
    HALF_STUDENT_T,
    INSIDE,
    INTERCEPT,
    JIT,
    LEVEL,
    LEVEL_OF_MIX,
    LEVEL_SD,
    LOG_HR,
    LOG_K,
    MIX_COLUMNS,
    MIX_STEPS,
    NATURAL_SHAPE,
    NOBODY,
    NORMAL,
    OF_LEVEL,
    OF_SHAPE,
    PLACE,
    SHAPE,
    SHAPE_SD,
    SLOPES,
    STANDARD,
    STUDENT_T,
    STUDIES,
    STUDY_SHAPE,
    SUMS,
    TREATMENT_SHAPE,
    UNIFORM,
    VALUE,
    Field,
    numbers,
    whole,
)
from bayes_bm.inference.compiled.mixes import (
    BY_LOG_WEIGHT,
    BY_OFFSET,
    COLUMNS,
    LOG_WEIGHT,
    OFFSET,
    log_tilt,
    median_in_mix,
    printed_share,
    share_term,
    softplus,
    tilt_back,
    used_back,
    used_in_mix,
)
from bayes_bm.runtime.compiling import cached_cfunc, cached_njit

# ---------------------------------------------------------------------------------------------- exponentials

SMALLEST = -708.0
"""Smallest exponent; below, the result is that at the limit, 3e-308, as good as 0 here."""
LARGEST = 709.0
"""Largest exponent; above, the result is that at the limit, 8e307, as good as infinity here."""
ROUND = 1.5 * 2.0**52
"""Added to a number, it leaves the nearest whole number in the last bits."""
PER_LOG_TWO = 1 / math.log(2.0)
"""Powers of two in an exponent of 1."""
LOG_TWO_HIGH = 6.93147180369123816490e-01
"""log 2 to 32 bits, so that whole multiples of it are exact."""
LOG_TWO_LOW = 1.90821492927058770002e-10
"""What of log 2 LOG_TWO_HIGH leaves."""
SERIES = tuple(1 / math.factorial(n) for n in range(13, -1, -1))


@intrinsic
def _bits(context, x):
    """The bits of a float64 as a whole number."""

    def generate(_, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def _number(context, bits):
    """The float64 that has these bits."""

    def generate(_, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@njit(**JIT)
def exponential(x: Any) -> Any:
    """exp(x) as arithmetic that a compiler can do for eight numbers at once: five times faster than the C library's.

    Cody and Waite's reduction, x = n log 2 + r with |r| <= log(2) / 2, the Taylor series of exp(r) to r^13, and 2^n put
    into the exponent's bits. The relative error is at most two units in the last place. Not inlined by numba: a caller
    that may reorder sums would take adding and subtracting ROUND for doing nothing.
    """
    exponent = min(max(x, SMALLEST), LARGEST)
    rounded = exponent * PER_LOG_TWO + ROUND
    n = rounded - ROUND
    r = (exponent - n * LOG_TWO_HIGH) - n * LOG_TWO_LOW
    # written out: a loop over the coefficients keeps the compiler from working on several x at once
    low = ((SERIES[0] * r + SERIES[1]) * r + SERIES[2]) * r + SERIES[3]
    middle = (((low * r + SERIES[4]) * r + SERIES[5]) * r + SERIES[6]) * r + SERIES[7]
    high = (((middle * r + SERIES[8]) * r + SERIES[9]) * r + SERIES[10]) * r + SERIES[11]
    power = (high * r + SERIES[12]) * r + SERIES[13]
    return power * _number((_bits(rounded) + 1023) << 52)  # pyright: ignore[reportCallIssue]


# ---------------------------------------------------------------------------------------------- the density


@njit(**JIT)
def evaluated(x: Any, gradient: Any, data: Any) -> Any:
    """Log density at `x` (coordinate); its gradient is written into `gradient`. `data` is a `Problem`."""
    theta, slope, score = np.empty_like(x), np.empty_like(x), np.zeros_like(x)
    place = whole(data, Field.place)
    value = _priors(x, data, theta, slope, gradient) + numbers(data, Field.constant)[0]
    study = np.zeros((place[STUDIES] + 1, 4))
    pair = np.zeros((whole(data, Field.pair_first).size + 1, 3))
    arm = np.zeros((whole(data, Field.arm_study).size, SLOPES + 2 * place[COVARIATES]))
    value += _effects(theta, data, study, pair)
    _arms(theta, data, study, pair, arm)
    mixed = whole(data, Field.mixed).size
    cells = np.zeros((mixed, numbers(data, Field.cell_node).size, COLUMNS))
    mix = np.zeros((mixed, place[COVARIATES], MIX_COLUMNS))
    if mixed:
        _mixes(theta, data, arm, mix, cells)
        value += _printed_mixes(theta, data, mix, score) + _mixed_patients(data, arm, cells)

    value += _deaths(data, arm) + _groups(data, arm) + _own(data, arm) + _intervals(data, arm)
    value += _binomials(data, arm, cells) + _order_medians(data, arm, cells) + _normal_medians(data, arm, cells)
    value += _unreached_medians(data, arm, cells) + _ratios(theta, data, study, pair, score)
    value += _prognosis(theta, data, score)

    if mixed:
        _mixes_back(theta, data, arm, mix, cells, score)
    _arms_back(data, arm, study, pair, score)
    _effects_back(theta, data, study, pair, score)
    for i in range(x.size):
        gradient[i] += slope[i] * score[i]
    return value


# ---------------------------------------------------------------------------------------------- priors and effects


@njit(**JIT)
def _priors(x, data, theta, slope, gradient):
    """theta, d theta / dx, and the log prior of x with its gradient."""
    value, prior_kinds = 0.0, whole(data, Field.law)
    first, second = numbers(data, Field.prior_a), numbers(data, Field.prior_b)
    freedom, constant = numbers(data, Field.prior_df), numbers(data, Field.prior_constant)
    for i in range(x.size):
        prior_kind, a, b, df = prior_kinds[i], first[i], second[i], freedom[i]
        value += constant[i]
        if prior_kind == NORMAL:
            z = (x[i] - a) / b
            theta[i], slope[i], gradient[i] = x[i], 1.0, -z / b
            value -= 0.5 * z * z
        elif prior_kind == STUDENT_T:
            z = (x[i] - a) / b
            theta[i], slope[i], gradient[i] = x[i], 1.0, -(df + 1) * z / (df + z * z) / b
            value -= 0.5 * (df + 1) * math.log1p(z * z / df)
        elif prior_kind == UNIFORM:
            share = 1 / (1 + math.exp(-x[i]))
            theta[i], slope[i], gradient[i] = a + (b - a) * share, (b - a) * share * (1 - share), 1 - 2 * share
            value -= abs(x[i]) + 2 * math.log1p(math.exp(-abs(x[i])))
        elif prior_kind == CENTRED:
            theta[i], slope[i], gradient[i] = x[i], 1.0, 0.0
        else:
            theta[i] = slope[i] = math.exp(x[i])
            density, gradient[i] = _log_of_positive(x[i], theta[i], prior_kind, a, b, df)
            value += density
    return value


@njit(**JIT)
def _log_of_positive(x, theta, prior_kind, a, b, df):
    """Log prior of x = log theta, without its constant, and the derivative by x."""
    z = theta / b
    if prior_kind == HALF_NORMAL:
        return x - 0.5 * z * z, 1 - z * z
    if prior_kind == HALF_STUDENT_T:
        return x - 0.5 * (df + 1) * math.log1p(z * z / df), 1 - (df + 1) * z * z / (df + z * z)
    if prior_kind == EXPONENTIAL:
        return x - b * theta, 1 - b * theta
    if prior_kind == GAMMA:
        return a * x - b * theta, a - b * theta
    z = (x - a) / b
    return -0.5 * z * z, -z / b


@njit(**JIT)
def _effects(theta, data, study, pair):
    """Level and log shape of the average study and of each; the deviation of no pair (0) and of each.

    The log prior of centred ones comes back, but for its constant.
    """
    place = whole(data, Field.place)
    if place[INTERCEPT] >= 0:
        study[:, OF_LEVEL] = theta[place[INTERCEPT]]
    if place[SHAPE] >= 0:
        study[:, OF_SHAPE] = theta[place[SHAPE]]
    value = _deviations(theta, data, study, pair) if place[DEVIATION] >= 0 else 0.0
    for j in range(1, study.shape[0] if place[LEVEL] >= 0 else 0):
        if whole(data, Field.level_base)[j - 1]:
            continue
        if whole(data, Field.level_centred)[j - 1]:
            main = theta[place[LEVEL] + j - 1] - _of_main_arm(theta, data, pair, j - 1)
            value += _centred(main, theta[place[LEVEL_SD]], study, j, OF_LEVEL)
        else:
            sd = theta[place[LEVEL_SD]] if place[LEVEL_SD] >= 0 else 1.0
            study[j, OF_LEVEL] += sd * theta[place[LEVEL] + j - 1]
    for j in range(1, study.shape[0] if place[STUDY_SHAPE] >= 0 else 0):
        place_index = theta[place[STUDY_SHAPE] + j - 1]
        if place[NATURAL_SHAPE]:
            study[j, OF_SHAPE] = math.log(place_index)
        elif whole(data, Field.shape_centred)[j - 1]:
            value += _centred(place_index, theta[place[SHAPE_SD]], study, j, OF_SHAPE)
        else:
            sd = theta[place[SHAPE_SD]] if place[SHAPE_SD] >= 0 else 1.0
            study[j, OF_SHAPE] += sd * place_index
    return value


@njit(**JIT)
def _of_main_arm(theta, data, pair, j):
    """What the treatment of a study's main arm adds to its eta: nothing in the reference's."""
    treatment = whole(data, Field.level_treatment)[j]
    log_hr = theta[whole(data, Field.place)[LOG_HR] + treatment - 1] if treatment > 0 else 0.0
    return log_hr + pair[whole(data, Field.level_pair)[j], DEVIATES]


@njit(**JIT)
def _centred(of_study, sd, study, j, column):
    """Put a study's level or shape, about the average study's; its log prior."""
    study[j, column] = of_study
    z = (of_study - study[0, column]) / sd
    return -0.5 * z * z - math.log(sd)


@njit(**JIT)
def _deviations(theta, data, study, pair):
    """Contrast to the base: sd x Cholesky factor x standard, or its coordinate without log_hr, whose standard is then
    worked out; the base's own deviation, the last of its study, is added to each contrast of the study.
    """
    place, first, cholesky = whole(data, Field.place), whole(data, Field.pair_first), numbers(data, Field.pair_cholesky)
    centred, base = whole(data, Field.pair_centred), whole(data, Field.pair_base)
    value, sd = 0.0, theta[place[DEVIATION_SD]]
    for p in range(first.size):
        earlier, diagonal = 0.0, cholesky[p * first.size + p]
        for q in range(first[p], p):
            earlier += cholesky[p * first.size + q] * pair[q + 1, STANDARD]
        if whole(data, Field.pair_level)[p]:
            value += _level_and_base(theta, data, study, pair, p, sd * earlier)
            z = pair[p + 1, STANDARD]
        elif centred[p]:
            pair[p + 1, DEVIATES] = theta[place[DEVIATION] + p] - _contrast(theta, data, p)
            z = (pair[p + 1, DEVIATES] / sd - earlier) / diagonal
            value -= 0.5 * z * z + math.log(sd * diagonal)
        else:
            z = theta[place[DEVIATION] + p]
            pair[p + 1, DEVIATES] = sd * (earlier + diagonal * z)
        pair[p + 1, STANDARD] = z
        if base[p] == p:
            for q in range(first[p], p):
                pair[q + 1, DEVIATES] += pair[p + 1, DEVIATES]
    return value


@njit(**JIT)
def _level_and_base(theta, data, study, pair, p, middle):
    """Level of a study and deviation of its base, whose sum is all that an arm tells, of two coordinates.

    Given the contrasts, level and deviation are normal with sds a and b about the average study and `middle`. Of two
    standard normals y and z the level has a (cos y + sin z), the deviation b (sin y - cos z) with tan = b / a: their
    sum is hypot(a, b) y, and nothing tells z. So no arm that is told makes a funnel of a small a or b. A centred y is
    eta of the main arm less its mean, over hypot(a, b). y is kept as the base's standard.
    """
    place, j = whole(data, Field.place), whole(data, Field.pair_level)[p]
    level_sd, deviation_sd, both = _turn(theta, data, p)
    y, z, value = theta[place[LEVEL] + j - 1], theta[place[DEVIATION] + p], 0.0
    if whole(data, Field.level_centred)[j - 1]:
        treatment, main = whole(data, Field.level_treatment)[j - 1], whole(data, Field.level_pair)[j - 1]
        mean = study[0, OF_LEVEL] + middle
        mean += theta[place[LOG_HR] + treatment - 1] if treatment > 0 else 0.0
        mean += pair[main, DEVIATES] if main != p + 1 else 0.0
        y = (y - mean) / both
        value = -0.5 * y * y - math.log(both)
    cosine, sine = level_sd / both, deviation_sd / both
    study[j, OF_LEVEL] = study[0, OF_LEVEL] + level_sd * (cosine * y + sine * z)
    pair[p + 1, DEVIATES] = middle + deviation_sd * (sine * y - cosine * z)
    pair[p + 1, STANDARD] = y
    return value


@njit(**JIT)
def _turn(theta, data, p):
    """Sds of a study's level and of its base's deviation given the contrasts, and of their sum."""
    place, size = whole(data, Field.place), whole(data, Field.pair_first).size
    level_sd = theta[place[LEVEL_SD]]
    deviation_sd = theta[place[DEVIATION_SD]] * numbers(data, Field.pair_cholesky)[p * size + p]
    return level_sd, deviation_sd, math.sqrt(level_sd * level_sd + deviation_sd * deviation_sd)


@njit(**JIT)
def _level_and_base_back(theta, data, study, pair, p, score):
    """The derivative by the mean of the base's deviation given the contrasts (`middle` of `_level_and_base`)."""
    place, j = whole(data, Field.place), whole(data, Field.pair_level)[p]
    level_sd, deviation_sd, both = _turn(theta, data, p)
    cosine, sine = level_sd / both, deviation_sd / both
    y, z = pair[p + 1, STANDARD], theta[place[DEVIATION] + p]
    level_standard, deviation_standard = cosine * y + sine * z, sine * y - cosine * z
    by_level, by_deviation = level_sd * study[j, BY_LEVEL], deviation_sd * pair[p + 1, BY_DEVIATION]
    by_y, by_both, by_mean = cosine * by_level + sine * by_deviation, 0.0, 0.0
    if whole(data, Field.level_centred)[j - 1]:
        by_y -= y
        by_both, by_mean = -(y * by_y + 1) / both, -by_y / both
        score[place[LEVEL] + j - 1] -= by_mean
        treatment, main = whole(data, Field.level_treatment)[j - 1], whole(data, Field.level_pair)[j - 1]
        if treatment > 0:
            score[place[LOG_HR] + treatment - 1] += by_mean
        if main != p + 1:
            pair[main, BY_DEVIATION] += by_mean
    else:
        score[place[LEVEL] + j - 1] += by_y
    score[place[DEVIATION] + p] += sine * by_level - cosine * by_deviation
    turned = (by_deviation * level_standard - by_level * deviation_standard) / both
    score[place[LEVEL_SD]] += level_standard * study[j, BY_LEVEL] - sine * turned + cosine * by_both
    by_deviation_sd = deviation_standard * pair[p + 1, BY_DEVIATION] + cosine * turned + sine * by_both
    score[place[DEVIATION_SD]] += deviation_sd / theta[place[DEVIATION_SD]] * by_deviation_sd
    study[0, BY_LEVEL] += study[j, BY_LEVEL] + by_mean
    return pair[p + 1, BY_DEVIATION] + by_mean


@njit(**JIT)
def _contrast(theta, data, p):
    """log_hr of a pair's treatment against that of the base of its study."""
    log_hr, treatment = whole(data, Field.place)[LOG_HR], whole(data, Field.pair_treatment)
    treated, base = treatment[p], treatment[whole(data, Field.pair_base)[p]]
    return (theta[log_hr + treated - 1] if treated > 0 else 0.0) - (theta[log_hr + base - 1] if base > 0 else 0.0)


@njit(**JIT)
def _contrast_back(data, p, slope, score):
    log_hr, treatment = whole(data, Field.place)[LOG_HR], whole(data, Field.pair_treatment)
    treated, base = treatment[p], treatment[whole(data, Field.pair_base)[p]]
    if treated > 0:
        score[log_hr + treated - 1] += slope
    if base > 0:
        score[log_hr + base - 1] -= slope


@njit(**JIT)
def _effects_back(theta, data, study, pair, score):
    place = whole(data, Field.place)
    for j in range(1, study.shape[0] if place[LEVEL] >= 0 else 0):
        if whole(data, Field.level_base)[j - 1]:
            continue
        if whole(data, Field.level_centred)[j - 1]:
            slope = _centred_back(place[LEVEL] + j - 1, place[LEVEL_SD], study, j, OF_LEVEL, theta, score)
            treatment = whole(data, Field.level_treatment)[j - 1]
            if treatment > 0:
                score[place[LOG_HR] + treatment - 1] -= slope
            pair[whole(data, Field.level_pair)[j - 1], BY_DEVIATION] -= slope
        else:
            _scaled_back(place[LEVEL] + j - 1, place[LEVEL_SD], study[j, BY_LEVEL], theta, score)
            study[0, BY_LEVEL] += study[j, BY_LEVEL]
    for j in range(1, study.shape[0] if place[STUDY_SHAPE] >= 0 else 0):
        place_index = place[STUDY_SHAPE] + j - 1
        if place[NATURAL_SHAPE]:
            score[place_index] += study[j, BY_SHAPE] / theta[place_index]
        elif whole(data, Field.shape_centred)[j - 1]:
            _centred_back(place_index, place[SHAPE_SD], study, j, OF_SHAPE, theta, score)
        else:
            _scaled_back(place_index, place[SHAPE_SD], study[j, BY_SHAPE], theta, score)
            study[0, BY_SHAPE] += study[j, BY_SHAPE]
    if place[DEVIATION] >= 0:
        _deviations_back(theta, data, study, pair, score)
    _averages_back(place, study, score)


@njit(**JIT)
def _averages_back(place, study, score):
    """To the average study; also from the studies where they have no effects of their own."""
    for j in range(study.shape[0]):
        if place[INTERCEPT] >= 0 and (j == 0 or place[LEVEL] < 0):
            score[place[INTERCEPT]] += study[j, BY_LEVEL]
        if place[SHAPE] >= 0 and (j == 0 or place[STUDY_SHAPE] < 0):
            score[place[SHAPE]] += study[j, BY_SHAPE]


@njit(**JIT)
def _scaled_back(index, sd_index, slope, theta, score):
    """Of an effect sd x standard, or a free one where there is no sd."""
    score[index] += (theta[sd_index] if sd_index >= 0 else 1.0) * slope
    if sd_index >= 0:
        score[sd_index] += theta[index] * slope


@njit(**JIT)
def _centred_back(index, sd_index, study, j, column, theta, score):
    """Of a centred level or shape, with its prior; the derivative by it."""
    sd, column_by = theta[sd_index], column + BY_LEVEL - OF_LEVEL
    z = (study[j, column] - study[0, column]) / sd
    slope = study[j, column_by] - z / sd
    score[index] += slope
    score[sd_index] += (z * z - 1) / sd
    study[0, column_by] += z / sd
    return slope


@njit(**JIT)
def _deviations_back(theta, data, study, pair, score):
    """From the last pair to the first: with w = L^-T z of centred ones, d log prior / d contrast = -w / sd."""
    place, first, cholesky = whole(data, Field.place), whole(data, Field.pair_first), numbers(data, Field.pair_cholesky)
    centred, base = whole(data, Field.pair_centred), whole(data, Field.pair_base)
    sd = theta[place[DEVIATION_SD]]
    by_standard = np.zeros(first.size)
    for p in range(first.size - 1, -1, -1):
        z, diagonal = pair[p + 1, STANDARD], cholesky[p * first.size + p]
        if base[p] == p:
            # from deviations to contrasts: the base's deviation was added to each of its study
            for q in range(first[p], p):
                pair[p + 1, BY_DEVIATION] += pair[q + 1, BY_DEVIATION]
                pair[q + 1, DEVIATES] -= pair[p + 1, DEVIATES]
        if whole(data, Field.pair_level)[p]:
            slope = _level_and_base_back(theta, data, study, pair, p, score)
            for q in range(first[p], p):
                score[place[DEVIATION_SD]] += slope * cholesky[p * first.size + q] * pair[q + 1, STANDARD]
            earlier_slope = sd * slope
        elif centred[p]:
            # what its standard is worth, by itself and to the pairs after it
            worth = (by_standard[p] - z) / (sd * diagonal)
            slope = pair[p + 1, BY_DEVIATION] + worth
            score[place[DEVIATION] + p] += slope
            _contrast_back(data, p, -slope, score)
            score[place[DEVIATION_SD]] -= 1 / sd + worth * pair[p + 1, DEVIATES] / sd
            earlier_slope = -sd * worth
        else:
            slope = pair[p + 1, BY_DEVIATION]
            score[place[DEVIATION] + p] += sd * diagonal * slope + by_standard[p]
            score[place[DEVIATION_SD]] += slope * pair[p + 1, DEVIATES] / sd
            earlier_slope = sd * slope
        for q in range(first[p], p):
            by_standard[q] += cholesky[p * first.size + q] * earlier_slope


@njit(**JIT)
def _arms(theta, data, study, pair, arm):
    """eta, log shape and slopes of the covariates of each arm."""
    place, of_treatment = whole(data, Field.place), whole(data, Field.arm_treatment)
    of_study, of_pair = whole(data, Field.arm_study), whole(data, Field.arm_pair)
    coefficient, interaction = whole(data, Field.coefficient_at), whole(data, Field.interaction_at)
    for r in range(arm.shape[0]):
        treatment = of_treatment[r] - 1
        arm[r, ETA] = study[of_study[r], OF_LEVEL] + pair[of_pair[r], DEVIATES]
        arm[r, LOG_K] = study[of_study[r], OF_SHAPE]
        arm[r, ETA] += _biased(theta, data, numbers(data, Field.arm_bias), r)
        for c in range(coefficient.size):
            arm[r, SLOPES + c] = theta[coefficient[c]]
        if treatment < 0:
            continue
        arm[r, ETA] += theta[place[LOG_HR] + treatment]
        if place[TREATMENT_SHAPE] >= 0:
            arm[r, LOG_K] += theta[place[TREATMENT_SHAPE] + treatment]
        for c in range(coefficient.size):
            interaction_index = interaction[treatment * coefficient.size + c]
            if interaction_index >= 0:
                arm[r, SLOPES + c] += theta[interaction_index]


@njit(**JIT)
def _arms_back(data, arm, study, pair, score):
    place, of_treatment = whole(data, Field.place), whole(data, Field.arm_treatment)
    of_study, of_pair = whole(data, Field.arm_study), whole(data, Field.arm_pair)
    coefficient, interaction = whole(data, Field.coefficient_at), whole(data, Field.interaction_at)
    for r in range(arm.shape[0]):
        treatment, by_slopes = of_treatment[r] - 1, arm[r, SLOPES + coefficient.size :]
        study[of_study[r], BY_LEVEL] += arm[r, BY_ETA]
        study[of_study[r], BY_SHAPE] += arm[r, BY_LOG_K]
        pair[of_pair[r], BY_DEVIATION] += arm[r, BY_ETA]
        _biased_back(data, numbers(data, Field.arm_bias), r, arm[r, BY_ETA], score)
        for c in range(coefficient.size):
            score[coefficient[c]] += by_slopes[c]
        if treatment < 0:
            continue
        score[place[LOG_HR] + treatment] += arm[r, BY_ETA]
        if place[TREATMENT_SHAPE] >= 0:
            score[place[TREATMENT_SHAPE] + treatment] += arm[r, BY_LOG_K]
        for c in range(coefficient.size):
            interaction_index = interaction[treatment * coefficient.size + c]
            if interaction_index >= 0:
                score[interaction_index] += by_slopes[c]


@njit(**JIT)
def _biased(theta, data, amount, row):
    """What the biases add to eta of a row, an arm or a ratio."""
    total, bias_index, given = 0.0, whole(data, Field.bias_at), numbers(data, Field.bias_given)
    for b in range(bias_index.size):
        total += amount[row * bias_index.size + b] * (theta[bias_index[b]] if bias_index[b] >= 0 else given[b])
    return total


@njit(**JIT)
def _biased_back(data, amount, row, by_eta, score):
    bias_index = whole(data, Field.bias_at)
    for b in range(bias_index.size):
        if bias_index[b] >= 0:
            score[bias_index[b]] += amount[row * bias_index.size + b] * by_eta


# ---------------------------------------------------------------------------------------------- patients


@njit(**JIT)
def _deaths(data, arm):
    """sum w log(h u) over exact events: d (log k + eta) + k sum w log u + slopes . sum w x."""
    value, count, log_u = 0.0, numbers(data, Field.deaths), numbers(data, Field.deaths_log)
    x, covariates = numbers(data, Field.deaths_x), whole(data, Field.coefficient_at).size
    for r in range(arm.shape[0]):
        power = math.exp(arm[r, LOG_K]) * log_u[r]
        value += count[r] * (arm[r, LOG_K] + arm[r, ETA]) + power
        arm[r, BY_ETA] += count[r]
        arm[r, BY_LOG_K] += count[r] + power
        for c in range(covariates):
            value += arm[r, SLOPES + c] * x[r * covariates + c]
            arm[r, SLOPES + covariates + c] += x[r * covariates + c]
    return value


@njit(**JIT)
def _groups(data, arm):
    """-exp(eta) G(k) of groups of patients, G = sum w u^k: from its polynomial, or summed outside the panels."""
    value, of_arm, covariates = 0.0, whole(data, Field.group_arm), whole(data, Field.coefficient_at).size
    first, holds, sign = whole(data, Field.group_first), whole(data, Field.group_holds), numbers(data, Field.group_sign)
    log_u, weight = numbers(data, Field.row_log), numbers(data, Field.row_weight)
    panel, x, coefficients = numbers(data, Field.panel), numbers(data, Field.group_x), numbers(data, Field.polynomial)
    lowest, width, panels = panel[0], panel[1], int(panel[2])
    for g in range(of_arm.size):
        r = of_arm[g]
        position = (arm[r, LOG_K] - lowest) / width
        if holds[g] and 0 <= position < panels:
            panel_index = int(position)
            log_sum, slope = _polynomial(
                coefficients, (g * panels + panel_index) * DEGREE, 2 * (position - panel_index) - 1
            )
            slope *= 2 / width
        else:
            k = math.exp(arm[r, LOG_K])
            log_sum, slope = log_power_sum(k, log_u[first[g] : first[g + 1]], weight[first[g] : first[g + 1]])
        predictor = arm[r, ETA] + log_sum
        for c in range(covariates):
            predictor += arm[r, SLOPES + c] * x[g * covariates + c]
        used = sign[g] * math.exp(predictor)
        value -= used
        arm[r, BY_ETA] -= used
        arm[r, BY_LOG_K] -= used * slope
        for c in range(covariates):
            arm[r, SLOPES + covariates + c] -= used * x[g * covariates + c]
    return value


@njit(**JIT)
def _polynomial(coefficients, first, t):
    """Value and derivative by t in [-1, 1] of the polynomial that begins at `first` (Horner)."""
    value, slope = coefficients[first], 0.0
    for i in range(first + 1, first + DEGREE):
        slope = slope * t + value
        value = value * t + coefficients[i]
    return value, slope


@njit(**SUMS)
def log_power_sum(k: Any, log_u: Any, weight: Any) -> Any:
    """log sum w u^k and its derivative by log k."""
    largest = -np.inf
    for i in range(log_u.size):
        largest = max(largest, log_u[i])
    total, moment = 0.0, 0.0
    for i in range(log_u.size):
        term = weight[i] * exponential(k * (log_u[i] - largest))
        total += term
        moment += term * log_u[i]
    return math.log(total) + k * largest, k * moment / total


@cached_njit(fields, **JIT)
def power_sums(k: Any, log_u: Any, weight: Any, first: Any) -> Any:
    """log sum w u^k and its derivative by log k of each group at each k (group, k)."""
    values, slopes = np.empty((first.size - 1, k.size)), np.empty((first.size - 1, k.size))
    for g in range(first.size - 1):
        rows = slice(first[g], first[g + 1])
        for i in range(k.size):
            values[g, i], slopes[g, i] = log_power_sum(k[i], log_u[rows], weight[rows])
    return values, slopes


@njit(**SUMS)
def _own(data, arm):
    """-sum w exp(eta + x . slopes) u^k over patients with covariates of their own: one pass, a block at a time."""
    value, first, covariates = 0.0, whole(data, Field.own_first), whole(data, Field.coefficient_at).size
    all_log, all_weight = numbers(data, Field.own_log), numbers(data, Field.own_weight)
    all_x = numbers(data, Field.own_x)
    used = np.empty(BLOCK)
    for r in range(arm.shape[0]):
        eta, k = arm[r, ETA], math.exp(arm[r, LOG_K])
        for begin in range(first[r], first[r + 1], BLOCK):
            size = min(BLOCK, first[r + 1] - begin)
            log_u, weight = all_log[begin : begin + size], all_weight[begin : begin + size]
            for i in range(size):
                used[i] = eta + k * log_u[i]
            for c in range(covariates):
                x, slope = all_x[c * all_log.size + begin :][:size], arm[r, SLOPES + c]
                for i in range(size):
                    used[i] += slope * x[i]
            total, moment = 0.0, 0.0
            for i in range(size):
                term = weight[i] * exponential(used[i])
                used[i] = term
                total += term
                moment += term * log_u[i]
            value -= total
            arm[r, BY_ETA] -= total
            arm[r, BY_LOG_K] -= k * moment
            for c in range(covariates):
                x, total = all_x[c * all_log.size + begin :][:size], 0.0
                for i in range(size):
                    total += used[i] * x[i]
                arm[r, SLOPES + covariates + c] -= total
    return value


@njit(**JIT)
def _intervals(data, arm):
    """w log(1 - exp(-(H(upper) - H(time)))) of events known to an interval; -H(time) stands with the others."""
    value, of_arm, covariates = 0.0, whole(data, Field.interval_arm), whole(data, Field.coefficient_at).size
    time, upper = numbers(data, Field.interval_log), numbers(data, Field.interval_upper)
    weight, x = numbers(data, Field.interval_weight), numbers(data, Field.interval_x)
    for i in range(of_arm.size):
        r = of_arm[i]
        eta = arm[r, ETA]
        for c in range(covariates):
            eta += arm[r, SLOPES + c] * x[i * covariates + c]
        used, slope = _used(upper[i], time[i], eta, arm[r, LOG_K])
        value += weight[i] * _log_dead(used)
        factor = weight[i] / math.expm1(used)
        arm[r, BY_ETA] += factor * used
        arm[r, BY_LOG_K] += factor * slope
        for c in range(covariates):
            arm[r, SLOPES + covariates + c] += factor * used * x[i * covariates + c]
    return value


# ---------------------------------------------------------------------------------------------- printed numbers


@njit(**JIT)
def _used(end, start, eta, log_k):
    """H(end) - H(start) and its derivative by log k; that by eta is the value itself."""
    k = math.exp(log_k)
    cum_end, cum_start = math.exp(k * end + eta), math.exp(k * start + eta)
    return cum_end - cum_start, k * (end * cum_end - start * cum_start)


@njit(**JIT)
def _used_by_arm(arm, cells, r, end, start):
    """H(end) - H(start) of an arm, its mix averaged over, and its derivatives by eta and log k."""
    if cells.shape[0]:
        return used_in_mix(cells[r], end, start, arm[r, ETA], math.exp(arm[r, LOG_K]))
    used, by_log_k = _used(end, start, arm[r, ETA], arm[r, LOG_K])
    return used, used, by_log_k


@njit(**JIT)
def _used_by_arm_back(arm, cells, r, factor, by_eta, by_log_k):
    """To an arm and its cells, of what has the derivative `factor` by the last `_used_by_arm`."""
    arm[r, BY_ETA] += factor * by_eta
    arm[r, BY_LOG_K] += factor * by_log_k
    if cells.shape[0]:
        used_back(cells[r], factor)


@njit(**JIT)
def _log_hazard(arm, cells, r, end, weight):
    """weight x log(h u) at the end of the last `_used_by_arm`; its derivatives are added."""
    power = math.exp(arm[r, LOG_K]) * end
    tilt, slope = 0.0, 0.0
    if cells.shape[0]:
        tilt, slope = log_tilt(cells[r])
        tilt_back(cells[r], weight)
    arm[r, BY_ETA] += weight * (1 + slope)
    arm[r, BY_LOG_K] += weight * (1 + power * (1 + slope))
    return weight * (arm[r, LOG_K] + power + arm[r, ETA] + tilt)


LOG_TWO = math.log(2.0)


@njit(**JIT)
def _log_dead(used):
    """log(1 - exp(-used)) without cancellation (Maechler 2012)."""
    return math.log(-math.expm1(-used)) if used < LOG_TWO else math.log1p(-math.exp(-used))


@njit(**JIT)
def _binomials(data, arm, cells):
    """Points and counts: alive log S + dead log(1 - S) from `start` to `end`."""
    value, of_arm = 0.0, whole(data, Field.binomial_arm)
    end, start = numbers(data, Field.binomial_end), numbers(data, Field.binomial_start)
    alive, dead = numbers(data, Field.binomial_alive), numbers(data, Field.binomial_dead)
    constant = numbers(data, Field.binomial_constant)
    for i in range(of_arm.size):
        r = of_arm[i]
        used, by_eta, by_log_k = _used_by_arm(arm, cells, r, end[i], start[i])
        value += constant[i] - alive[i] * used
        factor = -alive[i]
        if dead[i] != 0:
            value += dead[i] * _log_dead(used)
            factor += dead[i] / math.expm1(used)
        _used_by_arm_back(arm, cells, r, factor, by_eta, by_log_k)
    return value


@njit(**JIT)
def _order_medians(data, arm, cells):
    """Beta(F(m); alpha, alpha) f(m) of a median known with n only."""
    value, of_arm = 0.0, whole(data, Field.order_arm)
    end, entry = numbers(data, Field.order_end), numbers(data, Field.order_entry)
    alpha, constant = numbers(data, Field.order_alpha), numbers(data, Field.order_constant)
    for i in range(of_arm.size):
        r = of_arm[i]
        used, by_eta, by_log_k = _used_by_arm(arm, cells, r, end[i], entry[i])
        value += (alpha[i] - 1) * (_log_dead(used) - used) + constant[i] - used
        factor = (alpha[i] - 1) * (1 / math.expm1(used) - 1) - 1
        _used_by_arm_back(arm, cells, r, factor, by_eta, by_log_k)
        value += _log_hazard(arm, cells, r, end[i], 1.0)
    return value


@njit(**JIT)
def _normal_medians(data, arm, cells):
    """A median with its interval: normal on its log, on the paper's clock, `shift` after the model's."""
    value, of_arm = 0.0, whole(data, Field.normal_arm)
    printed, entry = numbers(data, Field.normal_log), numbers(data, Field.normal_entry)
    shift, sd = numbers(data, Field.normal_shift), numbers(data, Field.normal_sd)
    for i in range(of_arm.size):
        r = of_arm[i]
        k = math.exp(arm[r, LOG_K])
        if cells.shape[0]:
            log_median, by_eta, by_log_k, by_hazard = median_in_mix(cells[r], entry[i], arm[r, ETA], k)
        else:
            entered = math.exp(k * entry[i] + arm[r, ETA])
            share = entered / (LOG_TWO + entered)
            log_median = (math.log(LOG_TWO + entered) - arm[r, ETA]) / k
            by_eta, by_log_k, by_hazard = (share - 1) / k, share * entry[i] - log_median, 0.0
        median = math.exp(log_median)
        z = (printed[i] - math.log(median - shift[i])) / sd[i]
        value -= 0.5 * z * z + math.log(sd[i]) + HALF_LOG_TWO_PI
        factor = z / sd[i] * median / (median - shift[i])
        arm[r, BY_ETA] += factor * by_eta
        arm[r, BY_LOG_K] += factor * by_log_k
        if cells.shape[0]:
            used_back(cells[r], factor * by_hazard)
    return value


@njit(**JIT)
def _unreached_medians(data, arm, cells):
    """log P(median > follow-up) = log I_S(alpha, alpha)."""
    value, of_arm = 0.0, whole(data, Field.unreached_arm)
    end, entry = numbers(data, Field.unreached_end), numbers(data, Field.unreached_entry)
    alpha, log_beta = numbers(data, Field.unreached_alpha), numbers(data, Field.unreached_log_beta)
    for i in range(of_arm.size):
        r = of_arm[i]
        used, by_eta, by_log_k = _used_by_arm(arm, cells, r, end[i], entry[i])
        log_tail = _log_beta_tail(used, alpha[i], log_beta[i])
        value += log_tail
        factor = -math.exp(-alpha[i] * used + (alpha[i] - 1) * _log_dead(used) - log_beta[i] - log_tail)
        _used_by_arm_back(arm, cells, r, factor, by_eta, by_log_k)
    return value


@njit(**JIT)
def _log_beta_tail(used, alpha, log_beta):
    """log I_S(alpha, alpha), S = exp(-used), by its continued fraction (DLMF 8.17.22) on the side where it is short."""
    front = alpha * (_log_dead(used) - used) - log_beta - math.log(alpha)
    if used >= LOG_TWO:
        return front + math.log(_beta_fraction(math.exp(-used), alpha))
    return math.log1p(-math.exp(front) * _beta_fraction(-math.expm1(-used), alpha))


@njit(**JIT)
def _beta_fraction(x, alpha):
    """I_x(a, a) a B(a, a) / (x (1 - x))^a, x <= 1/2, by Lentz's method."""
    c, d = 1.0, 1 / (1 - 2 * alpha * x / (alpha + 1))
    fraction = d
    for m in range(1, 500):
        even = m * (alpha - m) * x / ((alpha + 2 * m - 1) * (alpha + 2 * m))
        odd = -(alpha + m) * (2 * alpha + m) * x / ((alpha + 2 * m) * (alpha + 2 * m + 1))
        d, c = 1 / (1 + even * d), 1 + even / c
        fraction *= c * d
        d, c = 1 / (1 + odd * d), 1 + odd / c
        fraction *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return fraction


# ---------------------------------------------------------------------------------------------- hazard ratios


@njit(**JIT)
def _ratios(theta, data, study, pair, score):
    """Log hazard ratios, jointly normal within a study, about the study's own.

    The two sides of a ratio are put as arms (2 x ratio), so that the way back is that of arms.
    """
    value, printed, diagonal = 0.0, numbers(data, Field.ratio_log), numbers(data, Field.ratio_log_diagonal)
    rows, whitener = printed.size, numbers(data, Field.ratio_whitener)
    sides, residual = np.zeros((2 * rows, 4)), np.empty(rows)
    _ratio_sides(theta, data, study, pair, sides)
    log_followup = numbers(data, Field.ratio_log_followup)
    for i in range(rows):
        one, other = sides[2 * i], sides[2 * i + 1]
        one[BY_ETA], other[BY_ETA] = 1.0, -1.0
        mean = one[ETA] - other[ETA]
        if log_followup.size:
            mean = _event_weighted(log_followup[i], one, other)
        residual[i] = printed[i] - mean
    by_mean = np.zeros(rows)
    for i in range(rows):
        noise = np.sum(whitener[i * rows : (i + 1) * rows] * residual)
        value -= 0.5 * noise * noise + diagonal[i] + HALF_LOG_TWO_PI
        by_mean += noise * whitener[i * rows : (i + 1) * rows]
    for i in range(2 * rows):
        sides[i, BY_ETA] *= by_mean[i // 2]
        sides[i, BY_LOG_K] *= by_mean[i // 2]
    _ratio_sides_back(data, sides, study, pair, score)
    return value


@njit(**JIT)
def _ratio_sides(theta, data, study, pair, sides):
    """eta and log shape of either side; a study known from its ratio alone has the average level and shape."""
    place, of_study = whole(data, Field.place), whole(data, Field.ratio_study)
    for i in range(sides.shape[0]):
        treatment, of_pair = _side(data, i)
        sides[i, ETA] = study[of_study[i // 2], OF_LEVEL] + pair[of_pair, DEVIATES]
        sides[i, LOG_K] = study[of_study[i // 2], OF_SHAPE]
        if i % 2 == 0:
            sides[i, ETA] += _biased(theta, data, numbers(data, Field.ratio_bias), i // 2)
        if treatment > 0:
            sides[i, ETA] += theta[place[LOG_HR] + treatment - 1]
            if place[TREATMENT_SHAPE] >= 0:
                sides[i, LOG_K] += theta[place[TREATMENT_SHAPE] + treatment - 1]


@njit(**JIT)
def _ratio_sides_back(data, sides, study, pair, score):
    place, of_study = whole(data, Field.place), whole(data, Field.ratio_study)
    for i in range(sides.shape[0]):
        treatment, of_pair = _side(data, i)
        study[of_study[i // 2], BY_LEVEL] += sides[i, BY_ETA]
        study[of_study[i // 2], BY_SHAPE] += sides[i, BY_LOG_K]
        pair[of_pair, BY_DEVIATION] += sides[i, BY_ETA]
        if i % 2 == 0:
            _biased_back(data, numbers(data, Field.ratio_bias), i // 2, sides[i, BY_ETA], score)
        if treatment > 0:
            score[place[LOG_HR] + treatment - 1] += sides[i, BY_ETA]
            if place[TREATMENT_SHAPE] >= 0:
                score[place[TREATMENT_SHAPE] + treatment - 1] += sides[i, BY_LOG_K]


@njit(**JIT)
def _side(data, i):
    """Treatment and pair of side i: even ones are the treatments, odd ones their references."""
    if i % 2 == 0:
        return whole(data, Field.ratio_treatment)[i // 2], whole(data, Field.ratio_pair)[i // 2]
    return whole(data, Field.ratio_reference)[i // 2], whole(data, Field.ratio_reference_pair)[i // 2]


@njit(**JIT)
def _event_weighted(log_followup, one, other):
    """Log hazard ratio averaged over follow-up by when the events are; its derivatives go into the two sides.

    Mean of log(h_a / h_b) over (f_a + f_b) / 2 (`hazards.families.weibull.event_weighted_log_hr`): with L the log of
    the follow-up, X = H there, F = 1 - exp(-X) and R = (Ein(X_a) / k_a + Ein(X_b) / k_b) / (F_a + F_b) it is
    log(h_a / h_b) at L less (k_a - k_b) R; d Ein / d log X = F.
    """
    k_one, k_other = math.exp(one[LOG_K]), math.exp(other[LOG_K])
    cum_one, cum_other = one[ETA] + k_one * log_followup, other[ETA] + k_other * log_followup
    dead_one, ein_one = _dead_and_ein(cum_one)
    dead_other, ein_other = _dead_and_ein(cum_other)
    dead = dead_one + dead_other
    before_end = (ein_one / k_one + ein_other / k_other) / dead
    apart = (k_one - k_other) / dead
    _weighted_back(one, 1.0, k_one, log_followup, ein_one, before_end, apart)
    _weighted_back(other, -1.0, k_other, log_followup, ein_other, before_end, apart)
    return one[LOG_K] + cum_one - other[LOG_K] - cum_other - (k_one - k_other) * before_end


@njit(**JIT)
def _weighted_back(side, sign, k, log_followup, ein, before_end, apart):
    log_cum = max(side[ETA] + k * log_followup, LEAST_LOG_HAZARD)
    used = math.exp(min(log_cum, LOG_ALL_DEAD))
    by_log_cum = apart * (-math.expm1(-used) / k - before_end * used * math.exp(-used))
    if log_cum > LOG_ALL_DEAD:
        by_log_cum = apart / k
    elif log_cum == LEAST_LOG_HAZARD:
        by_log_cum = 0.0
    side[BY_ETA] = sign - by_log_cum
    side[BY_LOG_K] = sign * (1 + k * (log_followup - before_end)) - by_log_cum * k * log_followup + apart * ein / k


@njit(**JIT)
def _dead_and_ein(log_cum):
    """1 - exp(-X) and Ein(X) at log X."""
    log_cum = max(log_cum, LEAST_LOG_HAZARD)
    used = math.exp(min(log_cum, LOG_ALL_DEAD))
    ein = max(log_cum - LOG_ALL_DEAD, 0.0)
    for m in range(EIN_NODE.size):
        ein -= EIN_WEIGHT[m] * math.expm1(-used * EIN_NODE[m])
    return -math.expm1(-used), ein


# ---------------------------------------------------------------------------------------------- mixes of arms


@njit(**JIT)
def _mixes(theta, data, arm, mix, cells):
    """Location, sd, share or mean, and sd inside of every arm and covariate; what each cell adds and weighs."""
    two, covariates = whole(data, Field.mix_two), mix.shape[1]
    middle, scale = numbers(data, Field.mix_middle), numbers(data, Field.mix_scale)
    printed, within = numbers(data, Field.mix_printed), numbers(data, Field.mix_within)
    x, node, weight = (
        numbers(data, Field.cell_x),
        numbers(data, Field.cell_node),
        numbers(data, Field.cell_log_weight),
    )
    for r in range(mix.shape[0]):
        centre, variance = 0.0, 0.0
        cells[r, :, LOG_WEIGHT] = weight
        for c in range(covariates):
            by, unknown = whole(data, Field.mix_by_at)[c], whole(data, Field.mix_unknown_at)[r * covariates + c]
            sd, slope = theta[whole(data, Field.mix_sd_at)[c]], arm[r, SLOPES + c]
            mix[r, c, PLACE] = theta[whole(data, Field.mix_mean_at)[c]]
            if by >= 0:
                mix[r, c, PLACE] += theta[by + whole(data, Field.arm_treatment)[r]]
            level = mix[r, c, PLACE] + (sd * theta[unknown] if unknown >= 0 else 0.0)
            mix[r, c, LEVEL_OF_MIX] = level
            if not two[c]:
                spread = within[r * covariates + c]
                mix[r, c, INSIDE] = spread if spread >= 0 else theta[whole(data, Field.mix_within_at)[c]]
                mix[r, c, VALUE] = level if unknown >= 0 else printed[r * covariates + c]
                centre += slope * (mix[r, c, VALUE] - middle[c]) / scale[c]
                variance += (slope * mix[r, c, INSIDE] / scale[c]) ** 2
                continue
            share = 1 / (1 + math.exp(-level)) if unknown >= 0 else printed[r * covariates + c]
            mix[r, c, VALUE] = share
            present = -softplus(-level) if unknown >= 0 else math.log(max(share, NOBODY))
            absent = -softplus(level) if unknown >= 0 else math.log(max(1 - share, NOBODY))
            for m in range(node.size):
                here = x[m * covariates + c]
                cells[r, m, OFFSET] += slope * (here - middle[c]) / scale[c]
                cells[r, m, LOG_WEIGHT] += here * present + (1 - here) * absent
        width = math.sqrt(variance)
        for m in range(node.size):
            cells[r, m, OFFSET] += centre + width * node[m]


@njit(**JIT)
def _mixes_back(theta, data, arm, mix, cells, score):
    """From what cells add and weigh to slopes, and to the population of arms."""
    two, covariates, treatment = whole(data, Field.mix_two), mix.shape[1], whole(data, Field.arm_treatment)
    middle, scale = numbers(data, Field.mix_middle), numbers(data, Field.mix_scale)
    x, node = numbers(data, Field.cell_x), numbers(data, Field.cell_node)
    for r in range(mix.shape[0]):
        by_centre, by_width, variance = 0.0, 0.0, 0.0
        for m in range(node.size):
            by_centre += cells[r, m, BY_OFFSET]
            by_width += cells[r, m, BY_OFFSET] * node[m]
        for c in range(covariates):
            variance += 0.0 if two[c] else (arm[r, SLOPES + c] * mix[r, c, INSIDE] / scale[c]) ** 2
        narrow = by_width / math.sqrt(variance) if variance > 0 else 0.0
        for c in range(covariates):
            unknown, slope, by_slope = whole(data, Field.mix_unknown_at)[r * covariates + c], arm[r, SLOPES + c], 0.0
            if two[c]:
                for m in range(node.size):
                    here = x[m * covariates + c]
                    by_slope += cells[r, m, BY_OFFSET] * (here - middle[c]) / scale[c]
                    if unknown >= 0:
                        mix[r, c, BY_MIX] += cells[r, m, BY_LOG_WEIGHT] * (here - mix[r, c, VALUE])
            else:
                inside = mix[r, c, INSIDE] / scale[c]
                by_slope = by_centre * (mix[r, c, VALUE] - middle[c]) / scale[c] + narrow * slope * inside * inside
                mix[r, c, BY_INSIDE] += narrow * slope * slope * inside / scale[c]
                if unknown >= 0:
                    mix[r, c, BY_MIX] += by_centre * slope / scale[c]
                if numbers(data, Field.mix_within)[r * covariates + c] < 0:
                    score[whole(data, Field.mix_within_at)[c]] += mix[r, c, BY_INSIDE]
            arm[r, SLOPES + covariates + c] += by_slope
            sd_at, by = whole(data, Field.mix_sd_at)[c], whole(data, Field.mix_by_at)[c]
            if unknown >= 0:
                score[unknown] += mix[r, c, BY_MIX] * theta[sd_at]
                score[sd_at] += mix[r, c, BY_MIX] * theta[unknown]
                mix[r, c, BY_PLACE] += mix[r, c, BY_MIX]
            score[whole(data, Field.mix_mean_at)[c]] += mix[r, c, BY_PLACE]
            if by >= 0:
                score[by + treatment[r]] += mix[r, c, BY_PLACE]


@njit(**JIT)
def _printed_mixes(theta, data, mix, score):
    """What arms print, given the population of arms; and shares of few, given their arm's own."""
    value, of_arm, covariate = 0.0, whole(data, Field.printed_arm), whole(data, Field.printed_covariate)
    printed, size = numbers(data, Field.printed_value), numbers(data, Field.printed_size)
    node, weight = numbers(data, Field.share_node), numbers(data, Field.share_log_weight)
    for i in range(of_arm.size):
        r, c = of_arm[i], covariate[i]
        sd_at, place = whole(data, Field.mix_sd_at)[c], mix[r, c, PLACE]
        if whole(data, Field.mix_two)[c]:
            density, by_place, by_sd = printed_share(printed[i], size[i], place, theta[sd_at], node, weight, MIX_STEPS)
        else:
            sd, inside = theta[sd_at], mix[r, c, INSIDE]
            variance, residual = sd * sd + inside * inside / size[i], printed[i] - place
            density = -0.5 * (residual * residual / variance + math.log(variance)) - HALF_LOG_TWO_PI
            by_place = residual / variance
            by_variance = 0.5 * (by_place * by_place - 1 / variance)
            by_sd = 2 * sd * by_variance
            mix[r, c, BY_INSIDE] += 2 * inside / size[i] * by_variance
        value += density
        mix[r, c, BY_PLACE] += by_place
        score[sd_at] += by_sd
    of_arm, covariate = whole(data, Field.counted_arm), whole(data, Field.counted_covariate)
    present, size = numbers(data, Field.counted_present), numbers(data, Field.counted_size)
    for i in range(of_arm.size):
        density, by_level = share_term(present[i], size[i], mix[of_arm[i], covariate[i], LEVEL_OF_MIX])
        value += density
        mix[of_arm[i], covariate[i], BY_MIX] += by_level
    return value


@njit(**JIT)
def _mixed_patients(data, arm, cells):
    """Patients of whom their arm's mix is all that is known: exact, censored and interval-censored, with entry."""
    value, of_arm = 0.0, whole(data, Field.mixed_arm)
    end, upper, entry = (
        numbers(data, Field.mixed_end),
        numbers(data, Field.mixed_upper),
        numbers(data, Field.mixed_entry),
    )
    weight, exact = numbers(data, Field.mixed_weight), numbers(data, Field.mixed_exact)
    interval = numbers(data, Field.mixed_interval)
    for i in range(of_arm.size):
        r = of_arm[i]
        used, by_eta, by_log_k = _used_by_arm(arm, cells, r, end[i], entry[i])
        value -= weight[i] * used
        _used_by_arm_back(arm, cells, r, -weight[i], by_eta, by_log_k)
        if exact[i] != 0:
            value += _log_hazard(arm, cells, r, end[i], exact[i])
        if interval[i] != 0:
            used, by_eta, by_log_k = _used_by_arm(arm, cells, r, upper[i], end[i])
            value += interval[i] * _log_dead(used)
            _used_by_arm_back(arm, cells, r, interval[i] / math.expm1(used), by_eta, by_log_k)
    return value


# ---------------------------------------------------------------------------------------------- prognostic ratios


@njit(**JIT)
def _prognosis(theta, data, score):
    """Published ratios of covariates, those of a study and covariate jointly (`likelihoods.prognostic_ratios`)."""
    value, first, at = 0.0, whole(data, Field.prognosis_group), whole(data, Field.prognosis_at)
    covariate, external = whole(data, Field.prognosis_covariate), whole(data, Field.prognosis_external)
    printed, se = numbers(data, Field.prognosis_log), numbers(data, Field.prognosis_se)
    change, transport = numbers(data, Field.prognosis_change), whole(data, Field.transport_at)
    residual = np.empty(printed.size)
    for g in range(first.size - 1):
        sd, steepness_of_group, pull, squares = theta[at[0]], 0.0, 0.0, 0.0
        for i in range(first[g], first[g + 1]):
            mean = theta[whole(data, Field.coefficient_at)[covariate[i]]]
            if external[i] and transport[covariate[i]] >= 0:
                mean += theta[at[1]] * theta[transport[covariate[i]]]
            residual[i] = printed[i] - change[i] * mean
            precision = 1 / (se[i] * se[i])
            steepness_of_group += precision * change[i] * change[i]
            pull += precision * change[i] * residual[i]
            squares += precision * residual[i] * residual[i]
            value -= math.log(se[i]) + HALF_LOG_TWO_PI
        widened = 1 + sd * sd * steepness_of_group
        value -= 0.5 * (squares - sd * sd * pull * pull / widened + math.log(widened))
        score[at[0]] += sd * (pull * pull / (widened * widened) - steepness_of_group / widened)
        for i in range(first[g], first[g + 1]):
            by_mean = change[i] * (residual[i] - sd * sd * change[i] * pull / widened) / (se[i] * se[i])
            score[whole(data, Field.coefficient_at)[covariate[i]]] += by_mean
            if external[i] and transport[covariate[i]] >= 0:
                score[at[1]] += by_mean * theta[transport[covariate[i]]]
                score[transport[covariate[i]]] += by_mean * theta[at[1]]
    return value


# ---------------------------------------------------------------------------------------------- called by a sampler

POINTER = types.CPointer(types.float64)
NOT_FINITE = 4
"""Any number above zero tells the sampler that it went too far."""


@intrinsic
def _pointer(context, address):
    """A memory address as a pointer."""

    def generate(_, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@njit(inline="always")
def _array(address_list, i, dtype):
    """Array i of the addresses."""
    return carray(_pointer(address_list[2 * i]), (address_list[2 * i + 1],), dtype)  # pyright: ignore[reportCallIssue]


@cached_cfunc(types.int64(types.uint64, POINTER, POINTER, POINTER, types.voidptr), fields, mixes, **JIT)
def density(size: Any, x: Any, gradient: Any, value: Any, user: Any) -> Any:
    """`evaluated` for a caller without Python; `user` points at `addresses(problem)`. 0, or above where not finite."""
    address_list = carray(user, (6,), np.int64)
    data = (_array(address_list, 0, np.int64), _array(address_list, 1, np.float64), _array(address_list, 2, np.int64))
    slopes = carray(gradient, (size,))
    log_density = evaluated(carray(x, (size,)), slopes, data)
    carray(value, (1,))[0] = log_density
    for i in range(slopes.size):
        if not np.isfinite(slopes[i]):
            return NOT_FINITE
    return 0 if np.isfinite(log_density) else NOT_FINITE


def addresses(problem: Any) -> Any:
    """Where the arrays of a problem are, and how long. It has to outlive their use."""
    return np.array([number for array in problem for number in (array.ctypes.data, len(array))], dtype=np.int64)


@cached_cfunc(types.int64(types.uint64, types.uint64, POINTER, POINTER, types.voidptr), **JIT)
def copied(size: Any, kept: Any, x: Any, output: Any, user: Any) -> Any:
    """What is kept of a draw: the coordinates themselves; parameters are worked out for all draws at once later."""
    for i in range(size):
        output[i] = x[i]
    return 0
