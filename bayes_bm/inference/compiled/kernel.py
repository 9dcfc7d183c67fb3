"""Log density and gradient of Weibull models of alike patients, on the sampler's scale.

    coordinates -> arms (`structure_stages.forward`) -> each row of evidence -> arms -> gradient (`backward`)

Formulas of the rows are those of `bayes_bm.model.likelihoods` with H(t) = exp(eta + k log u), whose derivatives are H
by eta and k log u H by log k. Patients are summed in two ways: groups, with log sum w u^k as polynomials in log k, and
rows one by one in arms whose patients differ in covariates. Few arrays are passed around, because what is compiled
grows with them.
"""

import math
from typing import Any

import numpy as np
from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]

# these never change: no cached code goes stale
from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.inference.compiled import exponentials, fields, order_statistics, power_sums, stages
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import (
    BLOCK,
    BY_ETA,
    BY_LOG_K,
    COVARIATES,
    DEGREE,
    ETA,
    INNER,
    INNER_SUMS,
    JIT,
    LOG_K,
    SLOPES,
    STUDIES,
    Field,
    numbers,
    whole,
)
from bayes_bm.inference.compiled.order_statistics import LOG_TWO, beta_tail_slope, log_beta_tail, log_dead
from bayes_bm.inference.compiled.power_sums import log_power_sum
from bayes_bm.inference.compiled.stages import (
    ARRAYS,
    BACKWARD,
    FORWARD,
    NOT_FINITE,
    POINTER,
    array_at,
    call_stage,
    put_structure,
)
from bayes_bm.runtime.compiling import cached_cfunc


@njit(**INNER)
def evaluated(x: Any, gradient: Any, data: Any, called: Any) -> Any:
    """Log density at `x` (coordinate); its gradient is written into `gradient`. `data` is a `Problem`."""
    place, frame = whole(data, Field.place), np.zeros(2 * ARRAYS, dtype=np.int64)
    parameters = x.size + whole(data, Field.class_at).size // 3
    theta, slope, score = np.empty(parameters), np.empty(x.size), np.zeros(parameters)
    study, pair = np.zeros((place[STUDIES] + 1, 4)), np.zeros((whole(data, Field.pair_first).size + 1, 3))
    arm = np.zeros((whole(data, Field.arm_study).size, SLOPES + 2 * place[COVARIATES]))
    put_structure(frame, data, x, gradient, theta, slope, score, study, pair, arm)
    value = call_stage(called[FORWARD], frame.ctypes.data) + numbers(data, Field.constant)[0]
    value += _deaths(data, arm) + _groups(data, arm) + _own(data, arm) + _intervals(data, arm)
    value += (
        _binomials(data, arm) + _order_medians(data, arm) + _normal_medians(data, arm) + _unreached_medians(data, arm)
    )
    value += call_stage(called[BACKWARD], frame.ctypes.data)
    # numba frees an array at its last use, and stages know addresses alone
    return value + 0 * (theta.size + slope.size + score.size + study.size + pair.size + arm.size + frame.size)


# ---------------------------------------------------------------------------------------------- patients


@njit(**INNER)
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


@njit(**INNER)
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


@njit(**INNER)
def _polynomial(coefficients, first, t):
    """Value and derivative by t in [-1, 1] of the polynomial that begins at `first` (Horner)."""
    value, slope = coefficients[first], 0.0
    for i in range(first + 1, first + DEGREE):
        slope = slope * t + value
        value = value * t + coefficients[i]
    return value, slope


@njit(**INNER_SUMS)
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


@njit(**INNER)
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
        value += weight[i] * log_dead(used)
        factor = weight[i] / math.expm1(used)
        arm[r, BY_ETA] += factor * used
        arm[r, BY_LOG_K] += factor * slope
        for c in range(covariates):
            arm[r, SLOPES + covariates + c] += factor * used * x[i * covariates + c]
    return value


# ---------------------------------------------------------------------------------------------- printed numbers


@njit(**INNER)
def _used(end, start, eta, log_k):
    """H(end) - H(start) and its derivative by log k; that by eta is the value itself."""
    k = math.exp(log_k)
    cum_end, cum_start = math.exp(k * end + eta), math.exp(k * start + eta)
    return cum_end - cum_start, k * (end * cum_end - start * cum_start)


@njit(**INNER)
def _used_by_arm_back(arm, r, factor, used, by_log_k):
    """To an arm, of what has the derivative `factor` by H(end) - H(start)."""
    arm[r, BY_ETA] += factor * used
    arm[r, BY_LOG_K] += factor * by_log_k


@njit(**INNER)
def _binomials(data, arm):
    """Points and counts: alive log S + dead log(1 - S) from `start` to `end`."""
    value, of_arm = 0.0, whole(data, Field.binomial_arm)
    end, start = numbers(data, Field.binomial_end), numbers(data, Field.binomial_start)
    alive, dead = numbers(data, Field.binomial_alive), numbers(data, Field.binomial_dead)
    constant = numbers(data, Field.binomial_constant)
    for i in range(of_arm.size):
        r = of_arm[i]
        used, by_log_k = _used(end[i], start[i], arm[r, ETA], arm[r, LOG_K])
        value += constant[i] - alive[i] * used
        factor = -alive[i]
        if dead[i] != 0:
            value += dead[i] * log_dead(used)
            factor += dead[i] / math.expm1(used)
        _used_by_arm_back(arm, r, factor, used, by_log_k)
    return value


@njit(**INNER)
def _order_medians(data, arm):
    """Beta(F(m); alpha, alpha) f(m) of a median known with n only."""
    value, of_arm = 0.0, whole(data, Field.order_arm)
    end, entry = numbers(data, Field.order_end), numbers(data, Field.order_entry)
    alpha, constant = numbers(data, Field.order_alpha), numbers(data, Field.order_constant)
    for i in range(of_arm.size):
        r = of_arm[i]
        used, by_log_k = _used(end[i], entry[i], arm[r, ETA], arm[r, LOG_K])
        value += (alpha[i] - 1) * (log_dead(used) - used) + constant[i] - used
        factor = (alpha[i] - 1) * (1 / math.expm1(used) - 1) - 1
        _used_by_arm_back(arm, r, factor, used, by_log_k)
        power = math.exp(arm[r, LOG_K]) * end[i]
        value += arm[r, LOG_K] + power + arm[r, ETA]
        arm[r, BY_ETA] += 1
        arm[r, BY_LOG_K] += 1 + power
    return value


@njit(**INNER)
def _normal_medians(data, arm):
    """A median with its interval: normal on its log, on the paper's clock, `shift` after the model's."""
    value, of_arm = 0.0, whole(data, Field.normal_arm)
    printed, entry = numbers(data, Field.normal_log), numbers(data, Field.normal_entry)
    shift, sd = numbers(data, Field.normal_shift), numbers(data, Field.normal_sd)
    for i in range(of_arm.size):
        r = of_arm[i]
        k = math.exp(arm[r, LOG_K])
        entered = math.exp(k * entry[i] + arm[r, ETA])
        share = entered / (LOG_TWO + entered)
        log_median = (math.log(LOG_TWO + entered) - arm[r, ETA]) / k
        median = math.exp(log_median)
        z = (printed[i] - math.log(median - shift[i])) / sd[i]
        value -= 0.5 * z * z + math.log(sd[i]) + HALF_LOG_TWO_PI
        factor = z / sd[i] * median / (median - shift[i])
        arm[r, BY_ETA] += factor * (share - 1) / k
        arm[r, BY_LOG_K] += factor * (share * entry[i] - log_median)
    return value


@njit(**INNER)
def _unreached_medians(data, arm):
    """log P(median > follow-up) = log I_S(alpha, alpha)."""
    value, of_arm = 0.0, whole(data, Field.unreached_arm)
    end, entry = numbers(data, Field.unreached_end), numbers(data, Field.unreached_entry)
    alpha, log_beta = numbers(data, Field.unreached_alpha), numbers(data, Field.unreached_log_beta)
    for i in range(of_arm.size):
        r = of_arm[i]
        used, by_log_k = _used(end[i], entry[i], arm[r, ETA], arm[r, LOG_K])
        log_tail = log_beta_tail(used, alpha[i], log_beta[i])
        value += log_tail
        factor = beta_tail_slope(used, alpha[i], log_beta[i], log_tail)
        _used_by_arm_back(arm, r, factor, used, by_log_k)
    return value


# ---------------------------------------------------------------------------------------------- called by a sampler


@cached_cfunc(
    types.int64(types.uint64, POINTER, POINTER, POINTER, types.voidptr),
    fields,
    stages,
    exponentials,
    order_statistics,
    power_sums,
    **JIT,
)
def density(size: Any, x: Any, gradient: Any, value: Any, user: Any) -> Any:
    """`evaluated` for a caller without Python; `user` points at `addresses(problem)`. 0, or above where not finite."""
    address_list = carray(user, (8,), np.int64)
    data = (
        array_at(address_list, 0, np.int64),
        array_at(address_list, 1, np.float64),
        array_at(address_list, 2, np.int64),
    )
    slopes = carray(gradient, (size,))
    log_density = evaluated(carray(x, (size,)), slopes, data, array_at(address_list, 3, np.int64))
    carray(value, (1,))[0] = log_density
    for i in range(slopes.size):
        if not np.isfinite(slopes[i]):
            return NOT_FINITE
    return 0 if np.isfinite(log_density) else NOT_FINITE
