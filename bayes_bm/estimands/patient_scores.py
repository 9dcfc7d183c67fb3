"""What a patient's covariates add to eta, at every draw and under each treatment."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bayes_bm.estimands.gauss_rule import Rule, gauss_rule
from bayes_bm.estimands.who import Patient, PatientMix
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import checked, complete
from bayes_bm.model.covariates.conditional import Completed
from bayes_bm.model.covariates.named_mix import named_mix
from bayes_bm.runtime.types import Array

MOST_ATOMS = 1024
"""Of residuals whose rule is worked out; more of them are thinned."""


class Score(NamedTuple):
    """x . (coefficient + interaction[a]): its mean (sample, treatment), and the rule of what covariates that are not
    given add to that (sample, treatment, node); None where all are given.
    """

    mean: Array
    rule: Rule | None


def score_of(result: Result, who: Patient) -> Score:
    """The score of a patient, or of the patients of a named population together."""
    return mix_score(result, who.values) if isinstance(who, PatientMix) else patient_score(result, who.values)


def patient_score(result: Result, values: Mapping[str, float]) -> Score:
    """The score of a patient; covariates that are not given vary as in the population, given what is."""
    spec = result.spec
    patient = checked(spec, values)
    given = [name for name in spec.covariates if name in patient]
    whole = complete(spec, result.case_mix, given, np.array([[patient[name] for name in given]]))
    return _score(result, whole, np.ones(1))


def mix_score(result: Result, values: Mapping[str, float]) -> Score:
    """The score of the patients of a population whose shares and means are named."""
    named = named_mix(result.spec, result.case_mix, values)
    return _score(result, complete(result.spec, result.case_mix, named.names, named.cells), named.share)


def _score(result: Result, whole: Completed, weight: Array) -> Score:
    """The score of patients together, each with its weight (patient,)."""
    slopes = result.predictors.draws.slopes
    weights = (weight[:, None] * whole.share).ravel()
    x = whole.x.reshape(len(weights), whole.x.shape[-1])
    cells = slopes @ x.T
    mean = cells @ weights
    residual = residual_rule(whole, slopes)
    if len(x) == 1:
        return Score(mean, residual)
    apart, share = cells - mean[..., None], np.broadcast_to(weights, cells.shape)
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
