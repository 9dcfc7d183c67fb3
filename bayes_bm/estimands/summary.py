"""Mean, sd, quantiles and Monte Carlo errors of draws as one row of an answer table."""

import numpy as np

from bayes_bm.inference.convergence import mean_mcse, quantile_mcse
from bayes_bm.runtime.types import Array, Row
from bayes_bm.spec.level import USUAL, Level

QUANTILES = {"q2_5": 0.025, "q5": 0.05, "median": 0.5, "q95": 0.95, "q97_5": 0.975}
"""Columns that every table of answers has, whatever the level of the spec."""


def quantiles_at(level: Level) -> dict[str, float]:
    """Return the quantiles of a table of answers by name: those that it always has, and the ends of the level."""
    return QUANTILES | dict(zip(level.names, level.tails, strict=True))


def level_columns(level: Level) -> list[str]:
    """Return the columns that the ends of the level add to a table of answers: none at 90 and 95 %."""
    return [name for name in level.names if name not in QUANTILES]


FEWEST = 4
"""Draws of a chain below which nothing is said of its Monte Carlo error."""


def error_columns(level: Level) -> tuple[str, ...]:
    """Return the columns of Monte Carlo errors: of the median, of the ends of the level, of P(better)."""
    low, high = level.names
    return "mcse_median", f"mcse_{low}", f"mcse_{high}", "mcse_prob_better"


def monte_carlo_errors(values: Array, level: Level, *, chains: int, null: float | None) -> dict[str, float]:
    """Return what another run of the sampler would change, as standard errors by name (`error_columns`).

    `values` (sample,) are the chains one after the other. The error of P(better) is that of being below `null`; NaN
    where nothing is compared (None), where a quantile is infinite, and of fewer than four draws a chain.
    """
    names, nan = error_columns(level), float("nan")
    draws = np.asarray(values, dtype=float).reshape(chains, -1)
    if draws.shape[1] < FEWEST:
        return dict.fromkeys(names, nan)
    ends = [quantile_mcse(draws, share) for share in (0.5, *level.tails)]
    better = nan if null is None else mean_mcse(np.where(np.isnan(draws), nan, draws < null))
    return dict(zip(names, (*ends, better), strict=True))


def null_of(row: Row) -> float | None:
    """Return where two treatments are alike: a ratio of 1, a difference or log ratio of 0; None for one treatment."""
    if row["prob_better"] is None:
        return None
    return 1.0 if row["estimand"] in ("hazard_ratio", "time_ratio") else 0.0


def summarize(values: Array, level: Level = USUAL) -> dict[str, float]:
    # a median that is never reached is infinite in some draws, and a difference of two such is no number
    with np.errstate(invalid="ignore"):
        sd = float(np.std(values, ddof=1))
    named = quantiles_at(level)
    quantiles = np.quantile(values, list(named.values())).tolist()
    return {"mean": float(np.mean(values)), "sd": sd, **dict(zip(named, quantiles, strict=True))}
