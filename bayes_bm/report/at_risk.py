"""How many effective patients of each treatment are still at risk: where the evidence behind a curve thins out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_bm.checks.replicates import arm_curves
from bayes_bm.inference.result import Result
from bayes_bm.report.material import Observed

CURVE_DRAWS = 200
"""Draws behind the mean curve of an arm: its Monte Carlo error is below one patient of 400."""
ABSOLUTE = ("patients", "points", "median", "count", "registry")
"""Kinds of rows that speak about the survival of one arm."""


def effective_at_risk(
    result: Result, rows: pd.DataFrame, observed: Sequence[Observed], times: Sequence[float]
) -> pd.DataFrame:
    """Return treatment, time, at_risk: patients at risk in arms of single patients, else effective patients times the
    arm's own survival until the last time that the arm speaks about; nobody after it.

    `rows` are the audit's, `observed` what stands on each arm's panel.
    """
    arms, asked = result.evidence.arms, np.asarray(times, dtype=float)
    names = result.spec.treatments.names
    if arms.empty or not len(asked):
        return pd.DataFrame({"treatment": [], "time": [], "at_risk": []})
    curves = arm_curves(result.thinned(CURVE_DRAWS), np.maximum(asked, 1e-6).tolist()).mean(("chain", "draw"))
    alive = curves.transpose("arm_row", "time").to_numpy()
    kept = rows[rows["kind"].isin(ABSOLUTE)].groupby(["study", "arm"])[["size", "until"]].max()
    totals = {name: np.zeros(len(asked)) for name in names}
    for row, arm in enumerate(arms.to_dict("records")):
        key, seen = (arm["study"], arm["arm"]), observed[row].at_risk
        if seen is not None:
            totals[arm["treatment"]] += np.interp(asked, seen["time"], seen["at_risk"], right=0.0)
        elif key in kept.index:
            size, until = kept.loc[key].to_numpy(dtype=float)
            totals[arm["treatment"]] += np.where(asked <= until, np.nan_to_num(size) * alive[row], 0.0)
    parts = [pd.DataFrame({"treatment": name, "time": asked, "at_risk": totals[name]}) for name in names]
    return pd.concat(parts, ignore_index=True)
