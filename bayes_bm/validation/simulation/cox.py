"""Hazard ratio of two groups by Cox's partial likelihood, ties as Efron has them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class CoxRatio(NamedTuple):
    """Log hazard ratio of group 1 against group 0 and its standard error (inverse of the observed information)."""

    log_hr: float
    se: float


def cox_log_hr(time: ArrayLike, event: ArrayLike, group: ArrayLike, *, steps: int = 50) -> CoxRatio:
    """The maximum of Cox's partial likelihood with one two-valued covariate, by Newton's method.

    Each of d deaths at one time counts once, with 0, 1/d, .. (d - 1)/d of those who die then already gone (Efron 1977):

        l(b) = sum_deaths [ b z - log( r0 - f d0 + (r1 - f d1) exp(b) ) ]

    with r at risk (time >= t) and d dying in each group. Infinite where every death of one group precedes all of the
    other: then the last value of `steps` Newton steps of at most 1 is returned.
    """
    time, event, group = np.asarray(time, float), np.asarray(event, int), np.asarray(group, int)
    death_times, deaths = np.unique(time[event == 1], return_counts=True)
    ordered = [np.sort(time[group == g]) for g in (0, 1)]
    dying = [np.sort(time[(group == g) & (event == 1)]) for g in (0, 1)]
    risk = [len(t) - np.searchsorted(t, death_times) for t in ordered]
    died = [np.searchsorted(t, death_times, side="right") - np.searchsorted(t, death_times) for t in dying]
    row = np.repeat(np.arange(len(death_times)), deaths)
    gone = (np.arange(len(row)) - np.repeat(np.cumsum(deaths) - deaths, deaths)) / deaths[row]
    r0, r1 = (r[row] - gone * d[row] for r, d in zip(risk, died, strict=True))
    log_hr, information, treated = 0.0, 0.0, len(dying[1])
    for _ in range(steps):
        share = r1 * np.exp(log_hr) / (r0 + r1 * np.exp(log_hr))
        information = float(np.sum(share * (1 - share)))
        step = (treated - float(share.sum())) / max(information, 1e-12)
        log_hr += float(np.clip(step, -1, 1))
        if abs(step) < 1e-12:
            break
    return CoxRatio(log_hr, float(max(information, 1e-12) ** -0.5))
