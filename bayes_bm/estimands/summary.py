"""Mean, sd and quantiles of draws as one row of an answer table."""

import numpy as np

from bayes_bm.runtime.types import Array
from bayes_bm.spec.level import USUAL, Level

QUANTILES = {"q2_5": 0.025, "q5": 0.05, "median": 0.5, "q95": 0.95, "q97_5": 0.975}
"""Columns that every table of answers has, whatever the level of the spec."""


def quantiles_at(level: Level) -> dict[str, float]:
    """Return the quantiles of a table of answers by name: those that it always has, and the ends of the level."""
    return QUANTILES | dict(zip(level.names, level.tails, strict=True))


def level_columns(level: Level) -> list[str]:
    """Return the columns that the ends of the level add to a table of answers: none at 90 and 95 %."""
    return [name for name in level.names if name not in QUANTILES]


def summarize(values: Array, level: Level = USUAL) -> dict[str, float]:
    # a median that is never reached is infinite in some draws, and a difference of two such is no number
    with np.errstate(invalid="ignore"):
        sd = float(np.std(values, ddof=1))
    named = quantiles_at(level)
    quantiles = np.quantile(values, list(named.values())).tolist()
    return {"mean": float(np.mean(values)), "sd": sd, **dict(zip(named, quantiles, strict=True))}
