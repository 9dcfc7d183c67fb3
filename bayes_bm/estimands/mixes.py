"""Who the patients of each arm were: what is printed, and what the model makes of the rest."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import logit

from bayes_bm.estimands.labels import PRIOR_ONLY_RATIO
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.arm_mixes import ArmMixes, drawn_mixes
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.spec.level import Level

COLUMNS = (
    *("study", "arm", "treatment", "covariate", "printed", "n"),
    *("mean", "low", "high", "population_mean", "population_low", "population_high", "source"),
)
"""Of `arm_mix_table`: the arm's share or mean, beside that of a fresh arm of its treatment."""
PRINTED, FEW, NOT_PRINTED, UNTOLD = "printed", "printed of few", "not printed", "not printed: prior only"


def arm_mix_table(result: Result) -> pd.DataFrame:
    """Return share or mean of each covariate in each arm that is averaged over its mix, beside a fresh arm's.

    Parameters
    ----------
    result : Result
        A fit of a spec with case mixes; of any other the table has no rows.

    Returns
    -------
    pandas.DataFrame
        One row an arm and covariate: study, arm, treatment, covariate, printed, n, then mean and interval of the
        arm's share or mean (mean, low, high), those of a fresh arm of its treatment (population_...), and source:
        printed, printed of few, not printed, or "not printed: prior only" where the posterior of the logit of a share,
        or of a mean, has at least 0.9 of the sd of a fresh arm's.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.estimands.mixes import arm_mix_table
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=100, tune=200, chains=2)
    >>> len(arm_mix_table(result))
    0
    """
    mixes = result.inputs.arm_mixes
    if mixes is None:
        return pd.DataFrame(columns=list(COLUMNS))
    draws, arms = result.predictors.draws, result.evidence.arms.to_dict("records")
    fresh, level = _fresh(result, mixes), result.spec.interval
    rows = []
    for arm in np.flatnonzero(mixes.averaged):
        for column, name in enumerate(mixes.names):
            own, other = draws.mix[:, arm, column], fresh[:, arm, column]
            few = np.isfinite(mixes.counted[arm, column])
            named = {key: arms[arm][key] for key in ("study", "arm", "treatment")}
            named |= {
                "covariate": name,
                "printed": mixes.counted[arm, column] / mixes.size[arm, column] if few else mixes.printed[arm, column],
                "n": mixes.size[arm, column] if few else mixes.behind[arm, column],
            }
            source = FEW if few else PRINTED
            if mixes.unknown[arm, column] and not few:
                two = bool(mixes.two_valued[column])
                sds = [np.std(logit(values) if two else values) for values in (own, other)]
                source = UNTOLD if sds[0] >= PRIOR_ONLY_RATIO * sds[1] else NOT_PRINTED
            rows.append({**named, **_summary("", own, level), **_summary("population_", other, level)})
            rows[-1]["source"] = source
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _fresh(result: Result, mixes: ArmMixes) -> np.ndarray:
    """Mixes of fresh arms in the place of every one (sample, arm, covariate)."""
    blank = replace(mixes, printed=np.full(mixes.printed.shape, np.nan))
    draws = result.predictors.draws
    rng = random_stream(result.spec.seed, RandomStage.FRESH_MIXES)
    return drawn_mixes(blank, draws, rng.standard_normal((draws.samples, int(blank.unknown.sum()))))


def _summary(prefix: str, values: np.ndarray, level: Level) -> dict[str, float]:
    low, high = np.quantile(values, level.tails)
    return {f"{prefix}mean": float(values.mean()), f"{prefix}low": float(low), f"{prefix}high": float(high)}
