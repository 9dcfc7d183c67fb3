"""Selection: how the answer moves if arms that fared worse than average were printed more seldom, by a stated share.

A step function (Hedges 1992; metafor's `selmodel(type = "stepfun")`): y_i ~ N(mu, se_i^2 + heterogeneity^2) is printed
always where y_i < threshold_i, and with probability `weight` otherwise, so that

    f(y_i) = w(y_i) phi((y_i - mu) / s_i) / s_i / (below_i + weight (1 - below_i)),  below_i = Phi((t_i - mu) / s_i).

The weight is stated, not estimated: nineteen arms cannot say what was not printed. Nothing is corrected by it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from bayes_bm.checks.small_studies import RATIOS, funnel
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array

WEIGHTS = (1.0, 0.8, 0.5, 0.2)
"""Shares of the arms that fared worse than average which are printed."""
FEWEST = 3
"""Arms of a treatment below which its average is not asked about."""
FAR = 10.0
"""How many standard deviations beyond the printed numbers an average is looked for."""
COLUMNS = ("treatment", "reference", "weight", "arms", "shift", "ratio", "ratio_both")


def selected_mean(y: Array, se: Array, *, variance: float, weight: float, threshold: Array) -> float:
    """Return the average at which numbers that were printed by such a step are most likely.

    Parameters
    ----------
    y, se, threshold : Array
        Numbers, their standard errors, and below which value each is always printed (number,).
    variance : float
        Between studies, as known.
    weight : float
        Probability of being printed at or above the threshold.
    """
    spread = np.sqrt(se**2 + variance)

    def score(mean: float) -> float:
        z = (threshold - mean) / spread
        printed = weight + (1 - weight) * stats.norm.cdf(z)
        return float(np.sum((y - mean) / spread**2 + (1 - weight) * stats.norm.pdf(z) / (spread * printed)))

    reach = FAR * float(spread.max())
    found: Any = optimize.brentq(score, float(y.min()) - reach, float(y.max()) + reach, xtol=1e-12)
    return float(found)


def selection(result: Result, *, weights: Sequence[float] = WEIGHTS) -> pd.DataFrame:
    """Return how each ratio moves if arms that fared worse than average were printed more seldom.

    Parameters
    ----------
    result : Result
        A fit with exchangeable studies.
    weights : sequence of float
        Probabilities with which an arm that fared worse than its treatment's average is printed; 1 is no selection.

    Returns
    -------
    pandas.DataFrame
        A row a treatment and weight: arms, shift of the treatment's log hazard (or log time) by the selection of its
        arms, the average study's ratio (posterior median) if its arms alone were selected (`ratio`), and if those of
        the reference were as well (`ratio_both`). Treatments with fewer than three arms have no row.

    Raises
    ------
    InputError
        For a weight that is not above 0 and at most 1, and where `bayes_bm.funnel` raises.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> bb.selection(prior_result(bb.read_spec("os_reresection_vs_resrs"), draws=200)).empty
    True
    """
    wrong = [weight for weight in weights if not 0 < weight <= 1]
    if wrong or not weights:
        raise InputError("weights", found=wrong[0] if wrong else "nothing", allowed="numbers above 0, at most 1")
    made, longer = funnel(result), result.inputs.family.effect == "time"
    arms = made.table[made.table["kind"] != RATIOS]
    names, effect = result.spec.treatments.names, np.median(result.predictors.draws.log_hr, axis=0)
    shifts = {
        name: _shifts(arms[arms["treatment"] == name], made.heterogeneity**2, weights, longer=longer) for name in names
    }
    rows: list[tuple[Any, ...]] = []
    unknown, of_reference = [np.nan] * len(weights), shifts[names[0]]
    for place, name in enumerate(names[1:], start=1):
        count, of_treatment = int((arms["treatment"] == name).sum()), shifts[name]
        if of_treatment is None:
            continue
        for weight, shift, other in zip(weights, of_treatment, of_reference or unknown, strict=True):
            ratio, both = np.exp(effect[place] + shift), np.exp(effect[place] + shift - other)
            rows.append((name, names[0], weight, count, shift, float(ratio), float(both)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _shifts(arms: pd.DataFrame, variance: float, weights: Sequence[float], *, longer: bool) -> list[float] | None:
    """Return by how much the average of a treatment's arms was flattered at each weight; None for too few arms.

    Worse is a higher hazard or a shorter time, so times are turned round.
    """
    if len(arms) < FEWEST:
        return None
    sign = -1.0 if longer else 1.0
    y, se = sign * arms["deviation"].to_numpy(dtype=float), arms["se"].to_numpy(dtype=float)
    means = [
        selected_mean(y, se, variance=variance, weight=weight, threshold=np.zeros(len(y))) for weight in (1.0, *weights)
    ]
    return [sign * (mean - means[0]) for mean in means[1:]]
