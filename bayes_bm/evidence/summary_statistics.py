"""From printed numbers to the sizes, standard errors and laws of the summary likelihoods (docs/decisions.md, 5-8, 13).

Arrays in, arrays out. What a row says in the likelihood is decided here once, before anything compiles, so that the
audit, the model and the predictive checks read the same numbers.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from bayes_bm.runtime.types import Array


def normal_quantile(ci_level: float | Array) -> Array:
    """Half-width of a central interval in standard errors: 1.96 for 0.95."""
    return ndtri(0.5 + np.asarray(ci_level, dtype=float) / 2)


def log_interval_sd(low: float, high: float, ci_level: float) -> float:
    """sd of a logarithm from its interval: log(high / low) / (2 z). NaN where it is absent or touches zero."""
    if not (np.isfinite(low) and np.isfinite(high)) or low <= 0:
        return np.nan
    return float(np.log(high / low) / (2 * normal_quantile(ci_level)))


def effective_share(default: float, *, events: float, n: float) -> float:
    """Share `a` of n that counts as followed up (decision 5): the default, or events / n where larger; 1 if all
    died.
    """
    return max(default, min(1.0, events / n)) if np.isfinite(events) and np.isfinite(n) else default


def design_effect(n_lesions: float, n_patients: float, icc: float) -> float:
    """What n lesions are divided by, because lesions of one patient fail together: 1 + (m - 1) icc (decision 13)."""
    return 1 + (n_lesions / n_patients - 1) * icc


@dataclass(frozen=True)
class Sequence:
    """Conditional binomials of one arm: ratio p_k = S_k / S_{k-1} seen among size m_k, from time t_{k-1} to t_k.

    `kept` says which of the printed points, in time order, have a size; the others have no step.
    """

    start: Array
    time: Array
    ratio: Array
    size: Array
    kept: Array


def point_sequence(time: Array, survival: Array, variance: Array, n: Array, *, share: float, start: float) -> Sequence:
    """Sizes of the conditional binomials behind survival printed at several times (decision 5).

    m_k = (1 - p_k) / (p_k (v_k - v_{k-1})), v = var(log S), is Greenwood's formula read backwards, capped at n S_{k-1}.
    Where v does not rise, or only n is printed, m_k = a n S_{k-1}; the variance then runs on by Greenwood, so that the
    next printed interval is compared with what has been used up. `variance` and `n` are NaN where not printed.
    """
    order = np.argsort(time, kind="stable")
    time, survival, variance, n = (np.asarray(values, dtype=float)[order] for values in (time, survival, variance, n))
    previous, used = 1.0, 0.0
    ratio, size = np.empty(len(time)), np.empty(len(time))
    for k, s in enumerate(survival):
        ratio[k] = s / previous if previous > 0 else 1.0
        size[k] = _step_size(ratio[k], variance[k] - used, n[k] * previous, share)
        used = _running_variance(ratio[k], size[k], used, variance[k])
        previous = s
    keep = size > 0
    return Sequence(np.concatenate([[start], time[:-1]])[keep], time[keep], ratio[keep], size[keep], keep)


def _step_size(ratio: float, rise: float, cap: float, share: float) -> float:
    informed = np.isfinite(rise) and rise > 0 and 0 < ratio < 1
    return float(np.nanmin([(1 - ratio) / (ratio * rise), cap])) if informed else share * cap


def _running_variance(ratio: float, size: float, used: float, printed: float) -> float:
    if np.isfinite(printed):
        return printed
    return used + (1 - ratio) / (ratio * size) if ratio > 0 and size > 0 else used


def beta_size(n: float, share: float) -> float:
    """alpha of F(median) ~ Beta(alpha, alpha): the law of the middle order statistic of a n patients (decision 6)."""
    return (share * n + 1) / 2


def median_log_sd(median: float, low: float, high: float, ci_level: float) -> float:
    """sd of log median (decision 6): log(high / low) / (2 z), or log(median / low) / z with no upper limit."""
    both = log_interval_sd(low, high, ci_level)
    if np.isfinite(both) or not (np.isfinite(low) and low > 0):
        return both
    return float(np.log(median / low) / normal_quantile(ci_level))


def log_hr_se(hr: float, *, low: float, high: float, se: float, p: float, p_below: float, ci_level: float) -> float:
    """Standard error of a log hazard ratio (decision 7); with `p_below` an upper bound, so the row may count for
    less.
    """
    if np.isfinite(se):
        return se
    if np.isfinite(interval := log_interval_sd(low, high, ci_level)):
        return interval
    bound = p if np.isfinite(p) else p_below
    return float(abs(np.log(hr)) / -ndtri(bound / 2)) if np.isfinite(bound) else np.nan
