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
    return max(default, median_share(default, events=events, n=n))


def median_share(default: float, *, events: float, n: float) -> float:
    """Share `a` of n behind a median (decision 6): events / n where events are printed, whatever the default.

    Who was censored early tells little of a median. Of survival at times events / n is no such bound, because events
    after the last time count in it too.
    """
    return min(1.0, events / n) if np.isfinite(events) and np.isfinite(n) else default


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


def point_sequence(
    time: Array,
    survival: Array,
    variance: Array,
    n: Array,
    *,
    share: float,
    start: float,
    followup: float = np.nan,
) -> Sequence:
    """Sizes of the conditional binomials behind survival printed at several times (decision 5).

    m_k = (1 - p_k) / (p_k (v_k - v_{k-1})), v = var(log S), is Greenwood's formula read backwards, capped at n S_{k-1}.
    Where v does not rise, or only n is printed, the censoring of the stated median `followup` gives the size
    (`size_under_follow_up`), or m_k = a n S_{k-1} where none is stated or all died (a = 1). The variance then runs on
    by Greenwood, so that the next printed interval is compared with what has been used up. `variance`, `n` and
    `followup` are NaN where not printed.
    """
    order = np.argsort(time, kind="stable")
    time, survival, variance, n = (np.asarray(values, dtype=float)[order] for values in (time, survival, variance, n))
    previous, used = 1.0, 0.0
    ratio, size = np.empty(len(time)), np.empty(len(time))
    begins = np.concatenate([[start], time[:-1]])
    watched = np.isfinite(followup) and share < 1
    for k, s in enumerate(survival):
        ratio[k] = s / previous if previous > 0 else 1.0
        cap, rise = n[k] * previous, variance[k] - used
        if np.isfinite(rise) and rise > 0 and 0 < ratio[k] < 1:
            size[k] = np.nanmin([(1 - ratio[k]) / (ratio[k] * rise), cap])
        elif watched:
            size[k] = size_under_follow_up(ratio[k], cap, begins[k] - start, time[k] - start, followup)
        else:
            size[k] = share * cap
        used = _running_variance(ratio[k], size[k], used, variance[k])
        previous = s
    keep = size > 0
    return Sequence(begins[keep], time[keep], ratio[keep], size[keep], keep)


def size_under_follow_up(ratio: float, alive: float, begin: float, end: float, followup: float) -> float:
    """Size of the conditional binomial of a step whose patients leave with a median follow-up (decision 5).

    Greenwood's sum over the step is the integral of h / (n S G) with G(t) = 2^(-t / followup), the share that is still
    watched. With h constant in the step and c = log 2 / followup it has a closed form, and the size that has the same
    variance, m = (1 - p) / (p v), is

        m = n S(begin) G(begin) (1 - p) (h + c) / (h (exp(c w) - p)),    h = -log p / w,   w = end - begin

    which is the harmonic mean of n S G over the step where nobody dies (p = 1), and n S(begin) G(end) where all do.

    Parameters
    ----------
    ratio : p, the share alive at `begin` that is alive at `end`.
    alive : n S(begin), patients; NaN where n is not known.
    begin, end : times since everybody was under observation, in the unit of `followup`.
    followup : median follow-up.
    """
    censoring, width = np.log(2) / followup, end - begin
    at_risk = alive * np.exp(-censoring * begin)
    if ratio >= 1:
        return float(at_risk * censoring * width / np.expm1(censoring * width))
    if ratio <= 0:
        return float(at_risk * np.exp(-censoring * width))
    hazard = -np.log(ratio) / width
    return float(at_risk * (1 - ratio) * (hazard + censoring) / (hazard * (np.exp(censoring * width) - ratio)))


def _running_variance(ratio: float, size: float, used: float, printed: float) -> float:
    if np.isfinite(printed):
        return printed
    return used + (1 - ratio) / (ratio * size) if ratio > 0 and size > 0 else used


def beta_size(n: float, share: float) -> float:
    """alpha of F(median) ~ Beta(alpha, alpha): the law of the middle order statistic of a n patients (decision 6)."""
    return (share * n + 1) / 2


def median_log_sd(median: float, low: float, high: float, ci_level: float, *, size: float) -> float:
    """sd of log median (decision 6): log(high / low) / (2 z).

    With no upper limit the larger of log(median / low) / z and 1 / (log 2 sqrt(a n + 2)), the sd of the middle order
    statistic of `size` = a n exponential times: the lower half of such an interval is often far too short.
    """
    both = log_interval_sd(low, high, ci_level)
    if np.isfinite(both) or not (np.isfinite(low) and low > 0):
        return both
    return float(max(np.log(median / low) / normal_quantile(ci_level), 1 / (np.log(2) * np.sqrt(size + 2))))


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
