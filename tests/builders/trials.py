"""Simulated arms for tests of the reconstruction; what varies more lives in the package."""

import numpy as np
import pandas as pd

from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.validation.simulation.curves import CELL, clicked, drawn, printed, varied

__all__ = ["CELL", "clicked", "clicked_to_the_end", "drawn", "printed", "small_arm", "steps", "trial", "varied"]


def trial(seed, n, *, whole=False, heap=False, censoring=36.0):
    """Times and events of n simulated patients: exponential deaths, uniform censoring, a data cut at 24 if `heap`."""
    rng = np.random.default_rng(seed)
    death, censor = rng.exponential(12, n), rng.uniform(3, censoring, n)
    if heap:
        censor = np.minimum(censor, 24.0)
    time = np.minimum(death, censor)
    return np.ceil(time) if whole else time, (death <= censor).astype(int)


def steps(time, event, *, upper=False):
    """One row for each step: (time, survival after it) as survfit lists it, or the upper corners of the steps."""
    km = kaplan_meier(time, event)
    if not upper:
        return pd.DataFrame({"time": km.time, "survival": km.survival})
    before = np.concatenate([[1.0, 1.0], km.survival])
    return pd.DataFrame({"time": np.concatenate([[0.0], km.time, [time.max() + 1.0]]), "survival": before})


def small_arm(seed):
    """Times and events of 25 to 59 patients in whole days, nearly always with somebody seen past the last death."""
    rng = np.random.default_rng([77, seed])
    n, scale = int(rng.integers(25, 60)), rng.uniform(300, 1200)
    death = scale * rng.weibull(rng.choice([0.8, 1.0, 1.4]), n)
    censor = rng.uniform(rng.uniform(100, 800), 1300, n)
    time, event = np.ceil(np.minimum(death, censor)).clip(1), (death <= censor).astype(int)
    if rng.uniform() < 0.85:
        event[time.argmax()] = 0
    return (time, event) if event.sum() >= 5 else small_arm(seed + 100_000)


def clicked_to_the_end(time, event, axis, seed, *, error=0.003):
    """Clicks from (0, 1) to the very end of the line, one in each of 60 to 150 equal pieces of it.

    In order of time and pushed down to at most `error` above the lowest click before, as a careful digitiser does.
    """
    rng, corners = np.random.default_rng([5, seed]), drawn(time, event, axis).to_numpy()
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*(np.diff(corners, axis=0) / [axis, 1]).T))])
    clicks = int(rng.integers(60, 151))
    place = (np.arange(clicks) + rng.uniform(size=clicks)) / clicks * length[-1]
    place[-1] = length[-1]
    t = np.interp(place, length, corners[:, 0]) + error * axis * rng.standard_normal(clicks)
    s = np.interp(place, length, corners[:, 1]) + error * rng.standard_normal(clicks)
    t[0], s[0] = 0.0, 1.0
    order = np.argsort(np.maximum(t, 0), kind="stable")
    t, s = np.maximum(t, 0)[order], np.clip(s, 0, 1)[order]
    return pd.DataFrame({"time": t, "survival": np.minimum(s, np.minimum.accumulate(s) + error)})
