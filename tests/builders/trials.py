"""Simulated arms for tests of the reconstruction; what varies more lives in the package."""

import numpy as np
import pandas as pd

from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.validation.simulation.curves import CELL, clicked, drawn, printed, varied

__all__ = ["CELL", "clicked", "drawn", "printed", "steps", "trial", "varied"]


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
