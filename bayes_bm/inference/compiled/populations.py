"""Mixes of arms: the population of arms, what arms print of their patients, and the parts of an arm (decision 23)."""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.inference.compiled.exponentials import exponential
from bayes_bm.inference.compiled.fields import (
    BY_INSIDE,
    BY_LOG_WEIGHT,
    BY_MIX,
    BY_OFFSET,
    BY_PLACE,
    INNER,
    INNER_SUMS,
    INSIDE,
    LEVEL_OF_MIX,
    LOG_WEIGHT,
    MIX_STEPS,
    NOBODY,
    OFFSET,
    PLACE,
    SLOPES,
    VALUE,
    Field,
    numbers,
    whole,
)
from bayes_bm.inference.compiled.logarithms import logarithm
from bayes_bm.inference.compiled.totals import dot, total_of


@njit(**INNER)
def add_mixes(theta, data, arm, mix, parts, begin):
    """Location, sd, share or mean, and sd inside of every arm and covariate; what each part adds and weighs.

    Parts of the arms stand from `begin` on.
    """
    two, covariates = whole(data, Field.mix_two), mix.shape[1]
    # weights of parts whose covariates go together are those of `cells/common_factor.py`
    independent = not numbers(data, Field.mix_loading).size
    middle, scale = numbers(data, Field.mix_middle), numbers(data, Field.mix_scale)
    printed, within = numbers(data, Field.mix_printed), numbers(data, Field.mix_within)
    x, node, weight = (
        numbers(data, Field.part_x),
        numbers(data, Field.part_node),
        numbers(data, Field.part_log_weight),
    )
    for r in range(mix.shape[0]):
        first, centre, variance, common = begin + r * node.size, 0.0, 0.0, 0.0
        offset, log_weight = parts[OFFSET, first : first + node.size], parts[LOG_WEIGHT, first : first + node.size]
        for m in range(node.size):
            log_weight[m] = weight[m]
        for c in range(covariates):
            of_treatment = whole(data, Field.mix_by_at)[c]
            unknown = whole(data, Field.mix_unknown_at)[r * covariates + c]
            sd, slope = theta[whole(data, Field.mix_sd_at)[c]], arm[r, SLOPES + c]
            mix[r, c, PLACE] = theta[whole(data, Field.mix_mean_at)[c]]
            if of_treatment >= 0:
                mix[r, c, PLACE] += theta[of_treatment + whole(data, Field.arm_treatment)[r]]
            level = mix[r, c, PLACE] + (sd * theta[unknown] if unknown >= 0 else 0.0)
            mix[r, c, LEVEL_OF_MIX] = level
            if not two[c]:
                spread = within[r * covariates + c]
                mix[r, c, INSIDE] = spread if spread >= 0 else theta[whole(data, Field.mix_within_at)[c]]
                mix[r, c, VALUE] = level if unknown >= 0 else printed[r * covariates + c]
                centre += slope * (mix[r, c, VALUE] - middle[c]) / scale[c]
                variance += (slope * mix[r, c, INSIDE] / scale[c]) ** 2
                continue
            if unknown >= 0:
                # one exponential and one logarithm for the share and both its logs
                small = exponential(-abs(level))
                share, log_whole = (1.0 if level > 0 else small) / (1 + small), logarithm(1 + small)
                present, absent = min(level, 0.0) - log_whole, -max(level, 0.0) - log_whole
            else:
                share = printed[r * covariates + c]
                present, absent = math.log(max(share, NOBODY)), math.log(max(1 - share, NOBODY))
            mix[r, c, VALUE], step = share, slope / scale[c]
            centre -= step * middle[c]
            gained = present - absent if independent else 0.0
            common += absent if independent else 0.0
            here = x[c * node.size : (c + 1) * node.size]
            for m in range(node.size):
                offset[m] += step * here[m]
                log_weight[m] += gained * here[m]
        width = math.sqrt(variance)
        for m in range(node.size):
            offset[m] += centre + width * node[m]
            log_weight[m] += common


@njit(**INNER)
def add_mixes_back(theta, data, arm, mix, parts, begin, score):
    """From what parts add and weigh to slopes, and to the population of arms."""
    two, covariates, treatment = whole(data, Field.mix_two), mix.shape[1], whole(data, Field.arm_treatment)
    middle, scale = numbers(data, Field.mix_middle), numbers(data, Field.mix_scale)
    x, node = numbers(data, Field.part_x), numbers(data, Field.part_node)
    independent = not numbers(data, Field.mix_loading).size
    for r in range(mix.shape[0]):
        first, variance = begin + r * node.size, 0.0
        by_offset = parts[BY_OFFSET, first : first + node.size]
        by_log_weight = parts[BY_LOG_WEIGHT, first : first + node.size]
        by_centre, by_width, by_common = total_of(by_offset), dot(by_offset, node), total_of(by_log_weight)
        for c in range(covariates):
            variance += 0.0 if two[c] else (arm[r, SLOPES + c] * mix[r, c, INSIDE] / scale[c]) ** 2
        narrow = by_width / math.sqrt(variance) if variance > 0 else 0.0
        for c in range(covariates):
            unknown, slope, by_slope = whole(data, Field.mix_unknown_at)[r * covariates + c], arm[r, SLOPES + c], 0.0
            if two[c]:
                here = x[c * node.size : (c + 1) * node.size]
                by_slope = (dot(by_offset, here) - by_centre * middle[c]) / scale[c]
                if unknown >= 0 and independent:
                    mix[r, c, BY_MIX] += dot(by_log_weight, here) - by_common * mix[r, c, VALUE]
            else:
                inside = mix[r, c, INSIDE] / scale[c]
                by_slope = by_centre * (mix[r, c, VALUE] - middle[c]) / scale[c] + narrow * slope * inside * inside
                mix[r, c, BY_INSIDE] += narrow * slope * slope * inside / scale[c]
                if unknown >= 0:
                    mix[r, c, BY_MIX] += by_centre * slope / scale[c]
                if numbers(data, Field.mix_within)[r * covariates + c] < 0:
                    score[whole(data, Field.mix_within_at)[c]] += mix[r, c, BY_INSIDE]
            arm[r, SLOPES + covariates + c] += by_slope
            sd_at, of_treatment = whole(data, Field.mix_sd_at)[c], whole(data, Field.mix_by_at)[c]
            if unknown >= 0:
                score[unknown] += mix[r, c, BY_MIX] * theta[sd_at]
                score[sd_at] += mix[r, c, BY_MIX] * theta[unknown]
                mix[r, c, BY_PLACE] += mix[r, c, BY_MIX]
            score[whole(data, Field.mix_mean_at)[c]] += mix[r, c, BY_PLACE]
            if of_treatment >= 0:
                score[of_treatment + treatment[r]] += mix[r, c, BY_PLACE]


@njit(**INNER)
def add_printed_mixes(theta, data, mix, score):
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


# ---------------------------------------------------------------------------------------------- printed numbers


@njit(**INNER)
def _binomial(present, n, logit, small, log_whole):
    """`share_term`, given small = exp(-|logit|) and log(1 + small)."""
    value = present * logit - n * (max(logit, 0.0) + log_whole)
    return value, present - n * (1.0 if logit > 0 else small) / (1 + small)


@njit(**INNER)
def share_term(present: Any, n: Any, logit: Any) -> Any:
    """Binomial log density of so many of n without its constant, and its derivative by the logit."""
    small = exponential(-abs(logit))
    return _binomial(present, n, logit, small, logarithm(1 + small))


@njit(**INNER)
def printed_share(present: Any, n: Any, place: Any, sd: Any, node: Any, log_weight: Any, steps: Any) -> Any:
    """log of the mean of the binomial over a share whose logit is N(place, sd^2), without its constant.

    Nodes stand about the mode (`arm_mixes.printed_log_density`). Also the derivatives by place and sd: means of those
    of the binomial over what is left of the share.
    """
    rough = (present + 0.5) / (n + 1)
    logit, variance = math.log(rough / (1 - rough)), 1 / ((n + 1) * rough * (1 - rough))
    z = sd * (logit - place) / (sd * sd + variance)
    curvature = 1.0
    for _ in range(steps):
        share = 1 / (1 + exponential(-(place + sd * z)))
        curvature = 1 + sd * sd * n * share * (1 - share)
        z += (sd * (present - n * share) - z) / curvature
    width = 1 / math.sqrt(curvature)
    top, terms, slopes = -np.inf, np.empty(node.size), np.empty(node.size)
    # exponentials and logarithms by themselves, several at a time
    for i in range(node.size):
        slopes[i] = exponential(-abs(place + sd * (z + width * node[i])))
    for i in range(node.size):
        terms[i] = logarithm(1 + slopes[i])
    for i in range(node.size):
        score = z + width * node[i]
        density, slopes[i] = _binomial(present, n, place + sd * score, slopes[i], terms[i])
        terms[i] = density - 0.5 * score * score + log_weight[i]
    for i in range(node.size):
        top = max(top, terms[i])
    total, by_place, by_sd = _means(terms, top, slopes, z, width, node)
    value = top + math.log(total) + math.log(width) - HALF_LOG_TWO_PI
    return value, by_place / total, by_sd / total


@njit(**INNER_SUMS)
def _means(terms, top, slopes, z, width, node):
    """Sums of exp(terms - top), of that times the slopes, and of that times the score of each node."""
    total, by_place, by_sd = 0.0, 0.0, 0.0
    for i in range(node.size):
        part = exponential(terms[i] - top)
        total += part
        by_place += part * slopes[i]
        by_sd += part * slopes[i] * (z + width * node[i])
    return total, by_place, by_sd
