"""Log densities of printed ratios: hazard ratios about the study's own, and ratios of covariates."""

import math

import numpy as np
from numba import njit

from bayes_bm.hazards.families.weibull import LEAST_LOG_HAZARD
from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.hazards.numerics.entire_exponential_integral import LOG_ALL_DEAD
from bayes_bm.hazards.numerics.entire_exponential_integral import NODE as EIN_NODE
from bayes_bm.hazards.numerics.entire_exponential_integral import WEIGHT as EIN_WEIGHT
from bayes_bm.inference.compiled.effects import biased, biased_back
from bayes_bm.inference.compiled.fields import (
    BY_DEVIATION,
    BY_ETA,
    BY_LEVEL,
    BY_LOG_K,
    BY_SHAPE,
    DEVIATES,
    ETA,
    INNER,
    LOG_HR,
    LOG_K,
    OF_LEVEL,
    OF_SHAPE,
    TREATMENT_SHAPE,
    Field,
    numbers,
    whole,
)


@njit(**INNER)
def add_ratios(theta, data, study, pair, score):
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
            mean = event_weighted(log_followup[i], one, other)
        residual[i] = printed[i] - mean
    by_mean = np.zeros(rows)
    for i in range(rows):
        noise = 0.0
        for j in range(rows):
            noise += whitener[i * rows + j] * residual[j]
        value -= 0.5 * noise * noise + diagonal[i] + HALF_LOG_TWO_PI
        for j in range(rows):
            by_mean[j] += noise * whitener[i * rows + j]
    for i in range(2 * rows):
        sides[i, BY_ETA] *= by_mean[i // 2]
        sides[i, BY_LOG_K] *= by_mean[i // 2]
    _ratio_sides_back(data, sides, study, pair, score)
    return value


@njit(**INNER)
def _ratio_sides(theta, data, study, pair, sides):
    """eta and log shape of either side; a study known from its ratio alone has the average level and shape."""
    place, of_study = whole(data, Field.place), whole(data, Field.ratio_study)
    for i in range(sides.shape[0]):
        treatment, of_pair = _side(data, i)
        sides[i, ETA] = study[of_study[i // 2], OF_LEVEL] + pair[of_pair, DEVIATES]
        sides[i, LOG_K] = study[of_study[i // 2], OF_SHAPE]
        if i % 2 == 0:
            sides[i, ETA] += biased(theta, data, numbers(data, Field.ratio_bias), i // 2)
        if treatment > 0:
            sides[i, ETA] += theta[place[LOG_HR] + treatment - 1]
            if place[TREATMENT_SHAPE] >= 0:
                sides[i, LOG_K] += theta[place[TREATMENT_SHAPE] + treatment - 1]


@njit(**INNER)
def _ratio_sides_back(data, sides, study, pair, score):
    place, of_study = whole(data, Field.place), whole(data, Field.ratio_study)
    for i in range(sides.shape[0]):
        treatment, of_pair = _side(data, i)
        study[of_study[i // 2], BY_LEVEL] += sides[i, BY_ETA]
        study[of_study[i // 2], BY_SHAPE] += sides[i, BY_LOG_K]
        pair[of_pair, BY_DEVIATION] += sides[i, BY_ETA]
        if i % 2 == 0:
            biased_back(data, numbers(data, Field.ratio_bias), i // 2, sides[i, BY_ETA], score)
        if treatment > 0:
            score[place[LOG_HR] + treatment - 1] += sides[i, BY_ETA]
            if place[TREATMENT_SHAPE] >= 0:
                score[place[TREATMENT_SHAPE] + treatment - 1] += sides[i, BY_LOG_K]


@njit(**INNER)
def _side(data, i):
    """Treatment and pair of side i: even ones are the treatments, odd ones their references."""
    if i % 2 == 0:
        return whole(data, Field.ratio_treatment)[i // 2], whole(data, Field.ratio_pair)[i // 2]
    return whole(data, Field.ratio_reference)[i // 2], whole(data, Field.ratio_reference_pair)[i // 2]


@njit(**INNER)
def event_weighted(log_followup, one, other):
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


@njit(**INNER)
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


@njit(**INNER)
def _dead_and_ein(log_cum):
    """1 - exp(-X) and Ein(X) at log X."""
    log_cum = max(log_cum, LEAST_LOG_HAZARD)
    used = math.exp(min(log_cum, LOG_ALL_DEAD))
    ein = max(log_cum - LOG_ALL_DEAD, 0.0)
    for m in range(EIN_NODE.size):
        ein -= EIN_WEIGHT[m] * math.expm1(-used * EIN_NODE[m])
    return -math.expm1(-used), ein


@njit(**INNER)
def add_prognosis(theta, data, score):
    """Published ratios of covariates, those of a study and covariate jointly (`likelihoods.prognostic_ratios`)."""
    value, first, coordinate = 0.0, whole(data, Field.prognosis_group), whole(data, Field.prognosis_at)
    covariate, external = whole(data, Field.prognosis_covariate), whole(data, Field.prognosis_external)
    printed, se = numbers(data, Field.prognosis_log), numbers(data, Field.prognosis_se)
    change, transport = numbers(data, Field.prognosis_change), whole(data, Field.transport_at)
    residual = np.empty(printed.size)
    for g in range(first.size - 1):
        sd, steepness_of_group, pull, squares = theta[coordinate[0]], 0.0, 0.0, 0.0
        for i in range(first[g], first[g + 1]):
            mean = theta[whole(data, Field.coefficient_at)[covariate[i]]]
            if external[i] and transport[covariate[i]] >= 0:
                mean += theta[coordinate[1]] * theta[transport[covariate[i]]]
            residual[i] = printed[i] - change[i] * mean
            precision = 1 / (se[i] * se[i])
            steepness_of_group += precision * change[i] * change[i]
            pull += precision * change[i] * residual[i]
            squares += precision * residual[i] * residual[i]
            value -= math.log(se[i]) + HALF_LOG_TWO_PI
        widened = 1 + sd * sd * steepness_of_group
        value -= 0.5 * (squares - sd * sd * pull * pull / widened + math.log(widened))
        score[coordinate[0]] += sd * (pull * pull / (widened * widened) - steepness_of_group / widened)
        for i in range(first[g], first[g + 1]):
            by_mean = change[i] * (residual[i] - sd * sd * change[i] * pull / widened) / (se[i] * se[i])
            score[whole(data, Field.coefficient_at)[covariate[i]]] += by_mean
            if external[i] and transport[covariate[i]] >= 0:
                score[coordinate[1]] += by_mean * theta[transport[covariate[i]]]
                score[transport[covariate[i]]] += by_mean * theta[coordinate[1]]
    return value
