"""Each printed ratio of a covariate and each printed mix of an arm is held against what the other studies predict.

Both are normal given the standard deviations between studies or arms (a share on its logit), which are integrated over
a grid of their priors, weighted by what the others say. The study judged plays no part in its own prediction, nothing
is read from the posterior, and nothing is refitted. A ratio printed the wrong way round is off by twice the log ratio,
a share of the other level by twice its logit.
"""

from itertools import product

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import logit

from bayes_bm.checks.study_consistency import COLUMNS, moments_of, predicted_by_others, quantiles_of, row_joint
from bayes_bm.evidence.prognostic_ratios import contrast_text
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.arm_mixes import ArmMixes
from bayes_bm.runtime.types import Array
from bayes_bm.spec.covariates import CaseMix

RATIO = "ratio of a covariate"
"""Question whether a study's printed ratio of a covariate fits those of the others."""
MIX = "mix of an arm"
"""Question whether the share or mean that an arm prints of a covariate fits those of other studies' arms."""


def covariate_checks(result: Result) -> pd.DataFrame:
    """Return a row for each printed ratio of a covariate and each printed mix that other studies print too.

    `covariate` says which, `found` is how far it is from what the others predict (a log ratio; a logit, or a mean in
    its own unit), `expected_sd` the standard deviation of that prediction with the row's own error; p is two-sided.
    """
    parts = [_ratio_rows(result), *_mix_rows(result)]
    return pd.concat(parts).reset_index(drop=True)


def _ratio_rows(result: Result) -> pd.DataFrame:
    """Hold each study's ratios against those of the others."""
    ratios, spec = result.inputs.prognostic_ratios, result.spec
    if ratios is None:
        return pd.DataFrame(columns=[*COLUMNS, "covariate"])
    moments = [moments_of(term.prior) for term in spec.covariates.values()]
    mean, sd = (np.concatenate(part) for part in zip(*moments, strict=True))
    read = ratios.change[:, None] * np.eye(len(spec.covariates))[ratios.covariate]
    deviation, moved = ratios.change[:, None] * ratios.members.T, ratios.external[:, None] * read
    common = np.diag(ratios.se**2) + (read * sd**2) @ read.T
    prognosis = spec.prognosis
    spreads = (prognosis.sd, prognosis.transport_sd) if prognosis is not None else (None, None)
    covariances = [
        common + between**2 * deviation @ deviation.T + transport**2 * moved @ moved.T
        for between, transport in product(*map(quantiles_of, spreads))
    ]
    table = result.evidence.prognostic_ratios
    named = table[["study"]].assign(
        treatment="", covariate=[contrast_text(row) for row in table.to_dict("records")], kind=ratios.covariate
    )
    return _judged(RATIO, named, ratios.log_hr - read @ mean, np.stack(covariances))


def _mix_rows(result: Result) -> list[pd.DataFrame]:
    """Hold what arms print of each covariate against the arms of other studies."""
    mixes = result.inputs.arm_mixes
    if mixes is None:
        return []
    terms = enumerate(result.spec.covariates.values())
    return [_mix_of(result, mixes, column, term.case_mix) for column, term in terms if term.case_mix is not None]


def _mix_of(result: Result, mixes: ArmMixes, column: int, mix: CaseMix) -> pd.DataFrame:
    value, variance = _printed_mixes(mixes, column, mix)
    rows = np.flatnonzero(np.isfinite(value) & np.isfinite(variance))
    treatment = np.eye(len(result.spec.treatments.names))[mixes.treatment[rows]]
    mean, sd = moments_of(mix.mean)
    location, covariance = np.full(len(rows), mean[0]), np.diag(variance[rows]) + sd[0] ** 2
    differences = [moments_of(prior) for prior in mix.differences(result.spec.treatments.names)]
    if differences:
        own_mean, own_sd = (np.concatenate(part) for part in zip(*differences, strict=True))
        location, covariance = location + treatment @ own_mean, covariance + (treatment * own_sd**2) @ treatment.T
    covariances = covariance + quantiles_of(mix.sd)[:, None, None] ** 2 * np.eye(len(rows))
    named = result.evidence.arms.iloc[rows][["study", "treatment"]].assign(covariate=mixes.names[column], kind=column)
    return _judged(MIX, named, value[rows] - location, covariances)


def _printed_mixes(mixes: ArmMixes, column: int, mix: CaseMix) -> tuple[Array, Array]:
    """Return what each arm prints, a share on its logit, and its sampling variance (arm,); NaN where nothing."""
    value, size = mixes.printed[:, column], mixes.behind[:, column]
    if not mixes.two_valued[column]:
        common = moments_of(mix.within_sd)[0] if mix.within_sd is not None else np.zeros(1)
        within = np.where(np.isnan(mixes.within[:, column]), common, mixes.within[:, column])
        return value, np.where(np.isfinite(size), within**2 / np.where(size > 0, size, np.inf), 0.0)
    size = np.where(np.isnan(value), mixes.size[:, column], size)
    present = np.where(np.isnan(value), mixes.counted[:, column], value * size)
    share = (present + 0.5) / (size + 1)
    return logit(share), 1 / ((size + 1) * share * (1 - share))


def _judged(question: str, named: pd.DataFrame, rest: Array, covariances: Array) -> pd.DataFrame:
    """Judge each row against the rows of other studies; `rest` (row,) is what is printed less its prior mean.

    `named` has study, treatment, covariate and `kind` of each row; one whose kind no other study prints is not judged.
    """
    columns, studies = [*COLUMNS, "covariate"], named["study"].to_numpy(dtype=object)
    if len(set(studies)) < 2:
        return pd.DataFrame(columns=columns)
    found, joint = [], row_joint(rest, covariances)
    for study in sorted(set(studies)):
        own = studies == study
        prediction = predicted_by_others(rest[own], joint, own)
        gap = rest[own] - prediction.mean
        sd = np.sqrt(np.einsum("tii->ti", prediction.covariance))
        tails = [prediction.weight @ tail(gap / sd) for tail in (stats.norm.cdf, stats.norm.sf)]
        centre = prediction.weight @ gap
        expected_sd = np.sqrt(prediction.weight @ (sd**2 + (gap - centre) ** 2))
        p = np.minimum(1.0, 2 * np.minimum(*tails))
        numbers = named[own].assign(question=question, found=centre, expected_sd=expected_sd, p=p)
        found.append(numbers[numbers["kind"].isin(named.loc[~own, "kind"])])
    return pd.concat(found)[columns]
