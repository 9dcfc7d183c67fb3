"""What each row of evidence would print again, beside what it printed: for ArviZ's predictive plots."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.inference.censoring_times import censoring_times
from bayes_bm.inference.predictors import Predictors
from bayes_bm.model.observations import KINDS, active_terms
from bayes_bm.model.prognosis import NAME, draw_log_ratios
from bayes_bm.runtime.random_stages import RandomStage, random_stream

MOST_DRAWS = 500
"""Draws of the posterior at which rows are replicated: bands of a plot need no more."""
PATIENTS = ("patients", "patients_averaged", "patients_imputed")
WORDS = {
    "patients": "time of event or censoring",
    "patients_averaged": "time of event or censoring, covariates not known",
    "patients_imputed": "time of event or censoring, some covariates not known",
    "points": "survival at a time, given alive at the time before",
    "medians": "median with n alone",
    "median_intervals": "median with an interval",
    "medians_not_reached": "whether the median is beyond the follow-up",
    "counts": "events of n",
    "registry": "alive at the end of an interval, of those at its start",
    "hazard_ratios": "log hazard ratio",
    NAME: "log ratio of a covariate",
}
"""What a row of each kind prints."""


@dataclass(frozen=True)
class Predictive:
    """Replicated rows by kind (chain, draw, row), and what the rows print (row), under the same names."""

    replicated: xr.Dataset
    observed: xr.Dataset


def predictive_draws(predictors: Predictors) -> Predictive:
    """Return a replicate of every row of evidence at draws of the posterior, evenly from all chains."""
    spec, chains = predictors.inputs.spec, predictors.draws.chains
    rng = random_stream(spec.seed, RandomStage.PREDICTIVE_DRAWS)
    each = predictors.draws.samples // chains
    step = max(1, -(-chains * each // MOST_DRAWS))
    chosen = (np.arange(chains)[:, None] * each + np.arange(0, each, step)[None, :]).ravel()
    rows: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, arrays in predictors.inputs.kinds.items():
        rows[name] = (
            _ratio_rows(predictors, chosen, rng)
            if name == "hazard_ratios"
            else _arm_rows(predictors, name, arrays, chosen, rng)
        )
    if predictors.inputs.prognostic_ratios is not None:
        rows[NAME] = _prognostic_rows(predictors, chosen, rng)
    replicated, observed = xr.Dataset(), xr.Dataset()
    for name, (drawn, seen) in rows.items():
        attrs = {"long_name": WORDS[name], "units": spec.time_unit if _is_time(name) else "1"}
        shaped = drawn.reshape(chains, -1, drawn.shape[-1])
        replicated[name] = xr.DataArray(shaped, dims=("chain", "draw", f"{name}_row"), attrs=attrs)
        observed[name] = xr.DataArray(seen, dims=(f"{name}_row",), attrs=attrs)
    draws = {"chain": np.arange(chains), "draw": np.arange(0, each, step)}
    return Predictive(replicated.assign_coords(draws) if rows else replicated, observed)


def _is_time(name: str) -> bool:
    return name in (*PATIENTS, "medians", "median_intervals")


def _arm_rows(
    predictors: Predictors, name: str, arrays: Mapping[str, np.ndarray], chosen: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return replicated (draw, row) and printed rows of a kind that speaks about an arm's curve."""
    data: Any = SimpleNamespace(**arrays, **active_terms(arrays))
    family, eta, shape = predictors.rows(name, arrays, chosen)
    drawn = KINDS[name].draw(family, data, eta, shape, rng)
    seen = _printed(data, KINDS[name].value)
    if not _is_time(name):
        return drawn, seen
    if name in PATIENTS:
        return _censored(np.exp(drawn), data, rng) * _unit(predictors), _ended(data) * _unit(predictors)
    shift = data.shift if name == "medians" else 0.0
    return (np.exp(drawn) - shift) * _unit(predictors), (np.exp(seen) - shift) * _unit(predictors)


def _unit(predictors: Predictors) -> float:
    return predictors.inputs.spec.reference_time


def _printed(data: Any, value: str) -> np.ndarray:
    """Return what is observed; a median that was not reached is beyond its follow-up."""
    return np.asarray(getattr(data, value, np.ones(len(data.arm_row))), dtype=float)


def _ended(data: Any) -> np.ndarray:
    """Return when patients had the event or were lost, in reference times; an interval's event in its middle."""
    time, upper = np.exp(data.log_u), np.exp(data.log_upper)
    return np.where(data.interval > 0, (time + upper) / 2, time)


def _censored(latent: np.ndarray, data: Any, rng: np.random.Generator) -> np.ndarray:
    """Return replicated times, each lost when a patient of its arm would have been."""
    ended, event = _ended(data), data.exact + data.interval
    times = latent.copy()
    for arm in np.unique(data.arm_row):
        rows = np.flatnonzero(data.arm_row == arm)
        lost = censoring_times(ended[rows], event[rows], rng, len(latent))
        times[:, rows] = np.minimum(latent[:, rows], lost)
    return times


def _ratio_rows(predictors: Predictors, chosen: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    mean = predictors.ratio_means[chosen]
    noise = rng.standard_normal(mean.shape) @ predictors.inputs.evidence.hr_cholesky.T
    return mean + noise, predictors.inputs.kinds["hazard_ratios"]["log_hr"]


def _prognostic_rows(
    predictors: Predictors, chosen: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    rows: Any = predictors.inputs.prognostic_ratios
    mean, sd = predictors.prognostic_means[chosen], predictors.draws.prognosis_sd[chosen]
    return draw_log_ratios(rows, mean, sd, rng), rows.log_hr
