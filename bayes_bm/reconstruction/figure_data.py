"""What a figure of one reconstruction shows, worked out: points, steps, residuals, numbers at risk, range of draws."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_bm.hazards.nonparametric import at_risk, kaplan_meier
from bayes_bm.reconstruction.curve import Curve
from bayes_bm.reconstruction.diagnostics import distances
from bayes_bm.reconstruction.patients import Patients

BAND_TIMES = 400
"""Number of times at which the range of draws is taken."""


@dataclass(frozen=True)
class FigureData:
    """Tables of one figure; times in the paper's unit.

    points    time, survival, residual (point minus the nearer height of the step there), distance (share of an axis)
    steps     time, survival: the reconstructed curve from (0, 1) to the end of follow-up
    ticks     time, survival: censor marks as given, on the reconstructed curve
    at_risk   time, printed, reconstructed, agrees; from time 0
    band      time, low, high: the range of 90 % of the draws, or None
    `error`: estimated sd of a click as a share of an axis, NaN for a drawn curve.
    """

    points: pd.DataFrame
    steps: pd.DataFrame
    ticks: pd.DataFrame
    at_risk: pd.DataFrame
    band: pd.DataFrame | None
    error: float
    axis_max: float
    title: str
    verdict: str
    reason: str


def figure_data(
    curve: Curve, patients: Patients, diagnostics: pd.DataFrame, draws: Sequence[pd.DataFrame], verdict: tuple[str, str]
) -> FigureData:
    """Return the tables of a figure from what was read, what was rebuilt and what the checks say about it."""
    time, event = patients
    km = kaplan_meier(time, event)
    ticks = np.empty(0) if curve.ticks is None else curve.ticks
    errors = diagnostics.loc[diagnostics["check"] == "click_error", "reconstructed"]
    return FigureData(
        points=_point_table(curve, patients),
        steps=pd.DataFrame(
            {
                "time": np.concatenate([[0.0], km.time, [float(time.max())]]),
                "survival": np.concatenate([[1.0], km.survival, km.survival[-1:] if len(km.survival) else [1.0]]),
            }
        ),
        ticks=pd.DataFrame({"time": ticks, "survival": km(ticks)}),
        at_risk=_at_risk_table(curve, time, diagnostics),
        band=_band_table(draws, float(time.max())) if draws else None,
        error=float(errors.iloc[0]) if len(errors) else float("nan"),
        axis_max=curve.axis_max,
        title=f"{len(time)} patients, {int(event.sum())} events",
        verdict=verdict[0],
        reason=verdict[1],
    )


def _point_table(curve: Curve, patients: Patients) -> pd.DataFrame:
    """Return the points given, with their residuals and distances."""
    km, slack = kaplan_meier(*patients), 1e-3 * curve.axis_max
    time = np.maximum(curve.time, 0.0)
    upper, lower = km(time - slack), km(time + slack)
    nearer = np.clip(curve.survival, lower, upper)
    return pd.DataFrame(
        {
            "time": curve.time,
            "survival": curve.survival,
            "residual": curve.survival - nearer,
            "distance": distances(curve, patients),
        }
    )


def _at_risk_table(curve: Curve, time: np.ndarray, diagnostics: pd.DataFrame) -> pd.DataFrame:
    """Return printed and reconstructed numbers, as the diagnostics count them; at time 0 all are at risk."""
    rows = diagnostics.loc[diagnostics["check"] == "at_risk", ["time", "printed", "reconstructed"]]
    rows = rows.drop_duplicates("time")
    start = pd.DataFrame({"time": [0.0], "printed": [float(curve.n)], "reconstructed": [at_risk(time, 0.0)]})
    table = pd.concat([start, rows.astype(float)], ignore_index=True) if len(rows) else start
    return table.assign(agrees=table["printed"] == table["reconstructed"])


def _band_table(draws: Sequence[pd.DataFrame], end: float) -> pd.DataFrame:
    """Return the range of 90 % of the draws at each time."""
    grid = np.linspace(0.0, end, BAND_TIMES)
    curves = np.array([kaplan_meier(drawn["time"], drawn["event"])(grid) for drawn in draws])
    low, high = np.quantile(curves, [0.05, 0.95], axis=0)
    return pd.DataFrame({"time": grid, "low": low, "high": high})
