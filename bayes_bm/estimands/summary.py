"""Mean, sd and quantiles of draws as one row of an answer table."""

import numpy as np

from bayes_bm.runtime.types import Array

QUANTILES = {"q2_5": 0.025, "q5": 0.05, "median": 0.5, "q95": 0.95, "q97_5": 0.975}


def summarize(values: Array) -> dict[str, float]:
    # a median that is never reached is infinite in some draws, and a difference of two such is no number
    with np.errstate(invalid="ignore"):
        sd = float(np.std(values, ddof=1))
    quantiles = np.quantile(values, list(QUANTILES.values())).tolist()
    return {"mean": float(np.mean(values)), "sd": sd, **dict(zip(QUANTILES, quantiles, strict=True))}
