"""Simulated arms and what a paper would show of them: patients, the drawn curve, printed numbers, clicks on it.

For calibration of the reconstruction and for its tests; the censoring and the shapes vary on purpose.
"""

from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.hazards.nonparametric import at_risk, kaplan_meier
from bayes_bm.runtime.types import Array

CELL = 1e-4  # vector precision, share of the axis


def varied(seed: int | list[int], n: int, *, censoring: str, clock: float = 0.0) -> tuple[Array, Array]:
    """Times and events of n patients: Weibull, log-normal or cured survival, one of six ways to be censored by 36.

    `censoring`: staggered entry, exponential dropout, a data cut, light (late entry of a few), early (most of it soon),
    or a visit at which many leave at once. `clock`: unit of time (a day, a month) to whose multiples times are rounded
    up, 0 for none.
    """
    rng = np.random.default_rng(seed)
    scale, end = rng.uniform(6, 30), 36.0
    weibull, lognormal = scale * rng.weibull(rng.choice([0.8, 1.0, 1.4]), n), scale * np.exp(0.9 * rng.normal(size=n))
    cured = np.where(rng.uniform(size=n) < 0.3, np.inf, 0.6 * weibull)
    death = (weibull, lognormal, cured)[rng.integers(3)]
    dropout = np.minimum(rng.exponential(rng.uniform(20, 80), n), end)
    visit = rng.choice([6.0, 12.0, 18.0, 24.0])
    censor = {
        "staggered": end - rng.uniform(0, rng.uniform(0.3, 0.95) * end, n),
        "dropout": dropout,
        "cut": np.full(n, end * rng.uniform(0.5, 1)),
        "visit": np.where((rng.uniform(size=n) < 0.3) & (dropout > visit), visit, dropout),
        "light": end * rng.uniform(0.8, 1, n),
        "early": end * rng.beta(1, 2.5, n),
    }[censoring]
    time, event = np.minimum(death, censor), (death <= censor).astype(int)
    return np.maximum(np.ceil(time / clock), 1) * clock if clock else time, event


def drawn(time: Array, event: Array, axis: float, *, rounded: bool = False) -> pd.DataFrame:
    """Corners of the steps of the Kaplan-Meier curve, as a vector figure holds them."""
    km = kaplan_meier(time, event)
    t = np.concatenate([[0.0], np.repeat(km.time, 2), [time.max()]])
    levels = np.concatenate([[1.0], km.survival])
    s = np.concatenate([[1.0], np.column_stack([levels[:-1], levels[1:]]).ravel(), levels[-1:]])
    if rounded:
        t, s = np.round(np.round(t / (CELL * axis)) * CELL * axis, 8), np.round(s, 4)
    new = np.append(True, (np.diff(t) != 0) | (np.diff(s) != 0))  # a step of no height or no width is no corner
    return pd.DataFrame({"time": t, "survival": s})[new]


def printed(time: Array, event: Array, *, rounded: bool = False) -> dict[str, Any]:
    """Everything a paper could print: n, events, at risk every 6 months, ticks (tied ones once), the axis."""
    axis = float(np.ceil(time.max() / 6) * 6)
    table = pd.DataFrame({"time": np.arange(0, axis + 1, 6)})
    table["at_risk"] = at_risk(time, table["time"]).astype(int)
    marks = time[event == 0]
    if rounded:
        marks = np.round(np.round(marks / (CELL * axis)) * CELL * axis, 8)
    ticks = pd.DataFrame({"time": np.unique(marks)})
    return {"n": len(time), "events": int(event.sum()), "at_risk": table, "ticks": ticks, "axis_max": axis}


def clicked(
    time: Array, event: Array, axis: float, seed: int | list[int], *, clicks: int = 100, error: float = 0.003
) -> pd.DataFrame:
    """Clicks spread along the drawn line with normal errors in both directions."""
    rng, corners = np.random.default_rng(seed), drawn(time, event, axis).to_numpy()
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*(np.diff(corners, axis=0) / [axis, 1]).T))])
    place = np.sort(rng.uniform(0, length[-1], clicks))
    t, s = (np.interp(place, length, corners[:, k]) for k in (0, 1))
    return pd.DataFrame(
        {"time": t + error * axis * rng.standard_normal(clicks), "survival": s + error * rng.standard_normal(clicks)}
    )
