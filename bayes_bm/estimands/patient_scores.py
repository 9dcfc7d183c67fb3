"""What a patient's covariates add to eta, at every draw and under each treatment."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bayes_bm.estimands.gauss_rule import Rule, gauss_rule
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import checked, complete
from bayes_bm.model.covariates.conditional import Completed
from bayes_bm.runtime.types import Array

MOST_ATOMS = 1024
"""Of residuals whose rule is worked out; more of them are thinned."""


class Score(NamedTuple):
    """x . (coefficient + interaction[a]): its mean (sample, treatment), and the rule of what covariates that are not
    given add to that (sample, treatment, node); None where all are given.
    """

    mean: Array
    rule: Rule | None


def patient_score(result: Result, values: Mapping[str, float]) -> Score:
    """The score of a patient; covariates that are not given vary as in the population, given what is."""
    spec, slopes = result.spec, result.predictors.draws.slopes
    patient = checked(spec, values)
    given = [name for name in spec.covariates if name in patient]
    whole = complete(spec, result.case_mix, given, np.array([[patient[name] for name in given]]))
    cells = slopes @ whole.x[0].T
    mean = cells @ whole.share[0]
    residual = residual_rule(whole, slopes)
    if whole.x.shape[1] == 1:
        return Score(mean, residual)
    apart, share = cells - mean[..., None], np.broadcast_to(whole.share[0], cells.shape)
    if residual is None:
        return Score(mean, gauss_rule(apart, share))
    atoms = apart[..., :, None] + residual.node[..., None, :]
    shares = share[..., :, None] * residual.weight[..., None, :]
    return Score(mean, gauss_rule(atoms.reshape(*mean.shape, -1), shares.reshape(*mean.shape, -1)))


def residual_rule(whole: Completed, slopes: Array) -> Rule | None:
    """The rule of the residuals' score (sample, treatment, node); None where there are none."""
    if not np.any(whole.residual):
        return None
    rows, share = whole.residual, whole.residual_share
    if len(rows) > MOST_ATOMS:
        # every so many of them in the order of their score at the mean coefficients
        order = np.argsort(rows @ slopes.mean(axis=(0, 1)), kind="stable")
        place = np.searchsorted(np.cumsum(share[order]), (np.arange(MOST_ATOMS) + 0.5) / MOST_ATOMS)
        rows = rows[order[np.minimum(place, len(rows) - 1)]]
        share = np.full(MOST_ATOMS, 1 / MOST_ATOMS)
        rows = rows - share @ rows
    return gauss_rule(slopes @ rows.T, share)
