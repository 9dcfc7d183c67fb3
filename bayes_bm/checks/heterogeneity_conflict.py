"""Whether the evidence asks for another heterogeneity than its priors expect.

The posterior draws of a standard deviation are weighed by one over its prior, which leaves what the evidence alone says
(a flat prior); the conflict is that of a draw of the prior and one of the evidence (Presanis et al. 2013,
doi 10.1214/13-STS426): with u = P(prior draw < evidence draw), p = 2 min(u, 1 - u).
"""

import numpy as np
import pandas as pd

from bayes_bm.checks.pareto_smoothing import HIGH_K, pareto_smoothed
from bayes_bm.estimands.labels import prior_draws
from bayes_bm.inference.result import Result
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import describe

SDS = ("study_sd", "study_treatment_sd", "study_shape_sd", "prognosis_sd", "transport_sd", "class_sd")
"""Standard deviations between studies, or between treatments of a class, by name in the posterior."""
CONFLICT = 0.05
"""p below which prior and evidence pull apart."""
COLUMNS = ("parameter", "prior", "prior_median", "posterior_median", "evidence_median", "p", "pareto_k", "says")
"""Columns of the table."""


def heterogeneity_conflict(result: Result) -> pd.DataFrame:
    """Return for each standard deviation between studies whether prior and evidence pull apart.

    Parameters
    ----------
    result : Result
        A fit with effects of studies.

    Returns
    -------
    pandas.DataFrame
        A row a standard deviation: prior, its median, the posterior's and that of the evidence alone, p of the
        conflict, pareto_k of the weights, and says: blank where p is at least 0.05, or why there is no p.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> table = bb.heterogeneity_conflict(prior_result(bb.read_spec("os_reresection_vs_resrs"), draws=2000))
    >>> table["parameter"].tolist()[:3]
    ['study_sd', 'study_treatment_sd', 'study_shape_sd']
    """
    rows = [
        _row(label, prior, np.asarray(values, dtype=float))
        for label, prior, values in prior_draws(result)
        if label.partition("[")[0] in SDS
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(label: str, prior, values: np.ndarray) -> dict:
    law = scipy_distribution(prior)
    smooth, k = pareto_smoothed(-law.logpdf(values))
    weight = np.exp(smooth)
    weight /= weight.sum()
    order = np.argsort(values)
    middle = float(values[order][np.searchsorted(np.cumsum(weight[order]), 0.5)])
    below = float(weight @ law.cdf(values))
    p = 2 * min(below, 1 - below)
    return {
        "parameter": label,
        "prior": describe(prior),
        "prior_median": float(law.median()),
        "posterior_median": float(np.median(values)),
        "evidence_median": middle,
        "p": p,
        "pareto_k": float(k),
        "says": _words(p, below, float(k)),
    }


def _words(p: float, below: float, k: float) -> str:
    if k > HIGH_K:
        return "weights too uneven: the posterior has no draws where the evidence alone would be"
    if p >= CONFLICT:
        return ""
    return f"the evidence asks for {'more' if below > 0.5 else 'less'} heterogeneity than the prior expects"
