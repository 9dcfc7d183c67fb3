"""From coordinates to parameters and their priors, to effects, eta and log shape of each arm, and back.

theta = T(x)    eta[r] = level[study] + log_hr[treatment] + deviation[pair] + bias    log k[r] = the same of shapes
d log p / dx = d log prior / dx + T'(x) sum over arms d log p / d(eta, log k) d(eta, log k) / d theta
"""

import math

import numpy as np
from numba import njit

from bayes_bm.inference.compiled.fields import (
    BY_DEVIATION,
    BY_ETA,
    BY_LEVEL,
    BY_LOG_K,
    BY_SHAPE,
    CENTRED,
    DEVIATES,
    DEVIATION,
    DEVIATION_SD,
    ETA,
    EXPONENTIAL,
    GAMMA,
    HALF_NORMAL,
    HALF_STUDENT_T,
    INNER,
    INTERCEPT,
    LEVEL,
    LEVEL_SD,
    LOG_HR,
    LOG_K,
    NATURAL_SHAPE,
    NORMAL,
    OF_LEVEL,
    OF_SHAPE,
    SHAPE,
    SHAPE_SD,
    SLOPES,
    STANDARD,
    STUDENT_T,
    STUDY_SHAPE,
    TREATMENT_SHAPE,
    UNIFORM,
    Field,
    numbers,
    whole,
)


@njit(**INNER)
def add_priors(x, data, theta, slope, gradient):
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
    coordinate = whole(data, Field.truncated_at)
    if coordinate.size:
        # its coordinate is where it is between 0 and the latest that the evidence allows
        density, steep = _log_of_time(theta[coordinate[0]], coordinate[1], numbers(data, Field.truncated))
        value += density
        gradient[coordinate[0]] += steep * slope[coordinate[0]]
    return value


@njit(**INNER)
def _log_of_time(time, prior_kind, given):
    """Log prior of a time and its derivative; `given` are its numbers, as `coordinates` has them."""
    a, b, df, constant = given[0], given[1], given[2], given[3]
    if prior_kind == UNIFORM:
        return (-math.log(b - a) if a <= time <= b else -np.inf), 0.0
    density, steep = _log_of_positive(math.log(time), time, prior_kind, a, b, df)
    return density + constant - math.log(time), (steep - 1) / time


@njit(**INNER)
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


@njit(**INNER)
def add_effects(theta, data, study, pair):
    """Level and log shape of the average study and of each; the deviation of no pair (0) and of each.

    The log prior of centred ones comes back, but for its constant.
    """
    place = whole(data, Field.place)
    if place[INTERCEPT] >= 0:
        for j in range(study.shape[0]):
            study[j, OF_LEVEL] = theta[place[INTERCEPT]]
    if place[SHAPE] >= 0:
        for j in range(study.shape[0]):
            study[j, OF_SHAPE] = theta[place[SHAPE]]
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


@njit(**INNER)
def _of_main_arm(theta, data, pair, j):
    """What the treatment of a study's main arm adds to its eta: nothing in the reference's."""
    treatment = whole(data, Field.level_treatment)[j]
    log_hr = theta[whole(data, Field.place)[LOG_HR] + treatment - 1] if treatment > 0 else 0.0
    return log_hr + pair[whole(data, Field.level_pair)[j], DEVIATES]


@njit(**INNER)
def _centred(of_study, sd, study, j, column):
    """Put a study's level or shape, about the average study's; its log prior."""
    study[j, column] = of_study
    z = (of_study - study[0, column]) / sd
    return -0.5 * z * z - math.log(sd)


@njit(**INNER)
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


@njit(**INNER)
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


@njit(**INNER)
def _turn(theta, data, p):
    """Sds of a study's level and of its base's deviation given the contrasts, and of their sum."""
    place, size = whole(data, Field.place), whole(data, Field.pair_first).size
    level_sd = theta[place[LEVEL_SD]]
    deviation_sd = theta[place[DEVIATION_SD]] * numbers(data, Field.pair_cholesky)[p * size + p]
    return level_sd, deviation_sd, math.sqrt(level_sd * level_sd + deviation_sd * deviation_sd)


@njit(**INNER)
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


@njit(**INNER)
def _contrast(theta, data, p):
    """log_hr of a pair's treatment against that of the base of its study."""
    log_hr, treatment = whole(data, Field.place)[LOG_HR], whole(data, Field.pair_treatment)
    treated, base = treatment[p], treatment[whole(data, Field.pair_base)[p]]
    return (theta[log_hr + treated - 1] if treated > 0 else 0.0) - (theta[log_hr + base - 1] if base > 0 else 0.0)


@njit(**INNER)
def _contrast_back(data, p, slope, score):
    log_hr, treatment = whole(data, Field.place)[LOG_HR], whole(data, Field.pair_treatment)
    treated, base = treatment[p], treatment[whole(data, Field.pair_base)[p]]
    if treated > 0:
        score[log_hr + treated - 1] += slope
    if base > 0:
        score[log_hr + base - 1] -= slope


@njit(**INNER)
def add_effects_back(theta, data, study, pair, score):
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


@njit(**INNER)
def _averages_back(place, study, score):
    """To the average study; also from the studies where they have no effects of their own."""
    for j in range(study.shape[0]):
        if place[INTERCEPT] >= 0 and (j == 0 or place[LEVEL] < 0):
            score[place[INTERCEPT]] += study[j, BY_LEVEL]
        if place[SHAPE] >= 0 and (j == 0 or place[STUDY_SHAPE] < 0):
            score[place[SHAPE]] += study[j, BY_SHAPE]


@njit(**INNER)
def _scaled_back(index, sd_index, slope, theta, score):
    """Of an effect sd x standard, or a free one where there is no sd."""
    score[index] += (theta[sd_index] if sd_index >= 0 else 1.0) * slope
    if sd_index >= 0:
        score[sd_index] += theta[index] * slope


@njit(**INNER)
def _centred_back(index, sd_index, study, j, column, theta, score):
    """Of a centred level or shape, with its prior; the derivative by it."""
    sd, column_by = theta[sd_index], column + BY_LEVEL - OF_LEVEL
    z = (study[j, column] - study[0, column]) / sd
    slope = study[j, column_by] - z / sd
    score[index] += slope
    score[sd_index] += (z * z - 1) / sd
    study[0, column_by] += z / sd
    return slope


@njit(**INNER)
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


@njit(**INNER)
def add_arms(theta, data, study, pair, arm):
    """eta, log shape and slopes of the covariates of each arm."""
    place, of_treatment = whole(data, Field.place), whole(data, Field.arm_treatment)
    of_study, of_pair = whole(data, Field.arm_study), whole(data, Field.arm_pair)
    coefficient, interaction = whole(data, Field.coefficient_at), whole(data, Field.interaction_at)
    for r in range(arm.shape[0]):
        treatment = of_treatment[r] - 1
        arm[r, ETA] = study[of_study[r], OF_LEVEL] + pair[of_pair[r], DEVIATES]
        arm[r, LOG_K] = study[of_study[r], OF_SHAPE]
        arm[r, ETA] += biased(theta, data, numbers(data, Field.arm_bias), r)
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


@njit(**INNER)
def add_arms_back(data, arm, study, pair, score):
    place, of_treatment = whole(data, Field.place), whole(data, Field.arm_treatment)
    of_study, of_pair = whole(data, Field.arm_study), whole(data, Field.arm_pair)
    coefficient, interaction = whole(data, Field.coefficient_at), whole(data, Field.interaction_at)
    for r in range(arm.shape[0]):
        treatment, by_slopes = of_treatment[r] - 1, arm[r, SLOPES + coefficient.size :]
        study[of_study[r], BY_LEVEL] += arm[r, BY_ETA]
        study[of_study[r], BY_SHAPE] += arm[r, BY_LOG_K]
        pair[of_pair[r], BY_DEVIATION] += arm[r, BY_ETA]
        biased_back(data, numbers(data, Field.arm_bias), r, arm[r, BY_ETA], score)
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


@njit(**INNER)
def biased(theta, data, amount, row):
    """What the biases add to eta of a row, an arm or a ratio."""
    total, bias_index, given = 0.0, whole(data, Field.bias_at), numbers(data, Field.bias_given)
    for b in range(bias_index.size):
        total += amount[row * bias_index.size + b] * (theta[bias_index[b]] if bias_index[b] >= 0 else given[b])
    return total


@njit(**INNER)
def biased_back(data, amount, row, by_eta, score):
    bias_index = whole(data, Field.bias_at)
    for b in range(bias_index.size):
        if bias_index[b] >= 0:
            score[bias_index[b]] += amount[row * bias_index.size + b] * by_eta
