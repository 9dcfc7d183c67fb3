"""Small studies: each arm and printed ratio against what the model expects, by its standard error; a funnel.

An arm of whatever evidence, a median alone too, says a normal about its level (`arm_normals`). Its deviation from the
average study under its treatment should not depend on its standard error (Egger et al. 1997, doi
10.1136/bmj.315.7109.629). The slope is by weighted least squares with the heterogeneity of the fit and an intercept for
each treatment: metafor's `regtest(model = "rma", predictor = "sei")` with that heterogeneity stated. A slope may come
from selection, from small centres that choose their patients, or from chance: ten arms say little.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from bayes_bm.checks.arm_normals import arm_normals
from bayes_bm.inference.result import Result
from bayes_bm.model.design import DEVIATION_VARIANCE
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array
from bayes_bm.spec.document import Spec

FEWEST = 10
"""Arms and ratios below which a slope is not worked out (Sterne et al. 2011, doi 10.1136/bmj.d4002)."""
EGGER = 0.1
"""p below which small studies are said to differ (Egger et al. 1997)."""
ALIKE = 1e-9
"""Share of the variance of standard errors that treatments do not explain, below which nothing is small or large."""
COLUMNS = ("study", "arm", "treatment", "kind", "deviation", "se")
RATIOS = "hazard_ratios"
"""Kind of a printed ratio."""


@dataclass(frozen=True)
class Funnel:
    """Hold what small studies say beside large ones.

    Attributes
    ----------
    table : pandas.DataFrame
        A row an arm or ratio: study, arm, treatment, kind, deviation (log hazard, or log time) and se.
    heterogeneity : float
        Standard deviation between studies of an arm's deviation, at the posterior mean of its variance.
    slope, slope_se, p : float
        Change of the deviation per unit of se; NaN for fewer than ten rows.
    sentence : str
        The same in words.
    """

    table: pd.DataFrame
    heterogeneity: float
    slope: float
    slope_se: float
    p: float
    sentence: str


def has_funnel(spec: Spec) -> bool:
    """Return whether an arm deviates from an average study by one number: no free levels, no flexible baseline."""
    return not (spec.free_levels or spec.hazard.flexible)


def funnel(result: Result) -> Funnel:
    """Return the deviation of every arm and printed ratio with its standard error, and whether small ones differ.

    Parameters
    ----------
    result : Result
        A fit with exchangeable studies.

    Returns
    -------
    Funnel
        The table, and the slope of deviation on standard error.

    Raises
    ------
    InputError
        For free study levels or a flexible baseline: nothing says by one number what an arm deviates from.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> bb.funnel(prior_result(bb.read_spec("os_reresection_vs_resrs"), draws=200)).sentence
    '0 arms and ratios: too few to ask whether small studies differ (10 are needed).'
    """
    if not has_funnel(result.spec):
        raise InputError(
            "funnel",
            found="free study levels, or a flexible baseline",
            allowed="exchangeable levels and a family with a form",
            hint="nothing else says what an arm deviates from by one number",
        )
    draws = result.predictors.draws
    variance = float(np.mean(draws.study_sd**2 + DEVIATION_VARIANCE * draws.study_treatment_sd**2))
    of_ratios = float(np.mean(draws.study_treatment_sd**2))
    parts = [part for part in (_arms(result), _ratios(result)) if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    spread = np.where(table["kind"] == RATIOS, of_ratios, variance)
    slope, se = regression_on_se(table, spread) if len(table) >= FEWEST else (np.nan, np.nan)
    p = float(2 * stats.norm.sf(abs(slope / se)))
    return Funnel(table, float(np.sqrt(variance)), slope, se, p, _sentence(len(table), slope, se, p))


def _arms(result: Result) -> pd.DataFrame:
    """Deviations of arms, at the average study's shape."""
    sites, draws, design = arm_normals(result), result.predictors.draws, result.inputs.design
    middle = draws.intercept.mean() + draws.log_hr.mean(axis=0)
    shape = draws.shape.mean(axis=0) + draws.treatment_shape.mean(axis=0)
    bias = design.arm_bias @ draws.bias.mean(axis=0) if draws.bias.shape[1] else np.zeros(len(design.arm_treatment))
    rows = []
    for number, arm in enumerate(result.evidence.arms.to_dict("records")):
        rows_of_arm = sites.arm == number
        slope, treatment = sites.slope[rows_of_arm, 0], design.arm_treatment[number]
        precision = float(slope @ slope)
        if precision <= 0:
            continue
        kappa = sites.slope[rows_of_arm, 1] * shape[treatment, 0] if shape.shape[1] else 0.0
        level = float(slope @ (sites.value[rows_of_arm] - kappa)) / precision
        labels = {name: arm[name] for name in ("study", "arm", "treatment", "kind")}
        deviation = level - float(middle[treatment]) - float(bias[number])
        rows.append({**labels, "deviation": deviation, "se": precision**-0.5})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _ratios(result: Result) -> pd.DataFrame:
    """Deviations of printed hazard ratios from those of treatments on average."""
    ratios, draws, design = result.evidence.hazard_ratios, result.predictors.draws, result.inputs.design
    effect = draws.log_hr.mean(axis=0)
    expected = effect[design.hr_treatment] - effect[design.hr_reference]
    return pd.DataFrame(
        {
            "study": ratios["study"],
            "arm": ratios["treatment"].astype(str) + " v " + ratios["reference"].astype(str),
            "treatment": ratios["treatment"],
            "kind": RATIOS,
            "deviation": ratios["log_hr"].astype(float) - expected,
            "se": ratios["se"].astype(float),
        }
    )


def regression_on_se(table: pd.DataFrame, variance: Array) -> tuple[float, float]:
    """Return slope of deviation on se and its standard error, by weights 1 / (se^2 + variance of the row).

    NaN where within every treatment the standard errors are alike.
    """
    ratios = table["kind"].eq(RATIOS).map({True: " (ratio)", False: ""})
    groups = pd.get_dummies(table["treatment"].astype(str) + ratios, dtype=float).to_numpy()
    size = table["se"].to_numpy(dtype=float)
    root = 1 / np.sqrt(size**2 + variance)
    weighted, columns = root * size, root[:, None] * groups
    # what is left of se, and of deviations, beside the treatments: the slope is of one on the other
    left = weighted - columns @ np.linalg.lstsq(columns, weighted, rcond=None)[0]
    information = float(left @ left)
    if information <= ALIKE * float(weighted @ weighted):
        return np.nan, np.nan
    slope = float(left @ (root * table["deviation"].to_numpy(dtype=float))) / information
    return slope, information**-0.5


def _sentence(rows: int, slope: float, se: float, p: float) -> str:
    if rows < FEWEST:
        return f"{rows} arms and ratios: too few to ask whether small studies differ ({FEWEST} are needed)."
    if not np.isfinite(slope):
        return f"{rows} arms and ratios of equal size under each treatment: none is small beside another."
    word = "differ from" if p < EGGER else "do not visibly differ from"
    low, high = slope - 1.96 * se, slope + 1.96 * se
    return (
        f"Small studies {word} large ones: the deviation changes by {slope:.2f} (95 % {low:.2f} to {high:.2f})"
        f" per unit of standard error, p = {p:.2g}, {rows} arms and ratios."
    )
