"""Survival, hazard, restricted mean, quantile, hazard ratio and time ratio as labelled draws."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.population import log_hr_without_level, population
from bayes_bm.estimands.who import NewStudy, Study, Who, population_of
from bayes_bm.hazards import FAMILIES
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array


def label_draws(result: Result, values: Array, **coords: Any) -> xr.DataArray:
    """(sample, treatment, ...) -> (chain, draw, treatment, ...)."""
    chains = result.predictors.draws.chains
    names = ("chain", "draw", "treatment", *coords)
    shaped = values.reshape(chains, -1, *values.shape[1:])
    return xr.DataArray(shaped, dims=names, coords={"treatment": list(result.spec.treatments.names), **coords})


def checked_times(times: Sequence[float] | float, alive_at: float) -> Array:
    """Times above 0 and not before `alive_at`, as an array; else `InputError`."""
    values = np.atleast_1d(np.asarray(times, dtype=float))
    if not (values.size and np.isfinite(values).all() and (values > 0).all()):
        raise InputError("times", found=", ".join(f"{t:g}" for t in values), allowed="times above 0")
    if alive_at < 0:
        raise InputError("alive_at", found=alive_at, allowed="0 or more")
    if (values < alive_at).any():
        raise InputError(
            "times", found=f"{values.min():g}", allowed=f"at or after alive_at = {alive_at:g}; times count from 0"
        )
    return values


def survival(result: Result, times: Sequence[float], *, who: Who | None = None, alive_at: float = 0.0) -> xr.DataArray:
    """S(t), or S(t) given alive at s (chain, draw, treatment, time). Times in the spec's unit, from time 0."""
    time_array = checked_times(times, alive_at)
    values = quadrature.survival(population(result, who or NewStudy()), time_array, alive_at=alive_at)
    return label_draws(result, values, time=time_array)


def hazard(result: Result, times: Sequence[float], *, who: Who | None = None) -> xr.DataArray:
    """Hazard of those still alive, per time unit (chain, draw, treatment, time)."""
    time_array = checked_times(times, 0.0)
    return label_draws(result, quadrature.hazard(population(result, who or NewStudy()), time_array), time=time_array)


def rmst(
    result: Result, horizon: float | None = None, *, who: Who | None = None, alive_at: float = 0.0
) -> xr.DataArray:
    """Restricted mean survival from `alive_at` to the horizon (chain, draw, treatment), in the spec's time unit."""
    end_time = checked_times(result.spec.horizon if horizon is None else horizon, alive_at)
    values = quadrature.rmst(population(result, who or NewStudy()), float(end_time[0]), alive_at=alive_at)
    return label_draws(result, values).assign_attrs(horizon=float(end_time[0]))


def quantile(result: Result, q: float = 0.5, *, who: Who | None = None, alive_at: float = 0.0) -> xr.DataArray:
    """Time by which a share q has had the event (chain, draw, treatment); q = 0.5 is the median."""
    if not 0 < q < 1:
        raise InputError("q", found=q, allowed="between 0 and 1")
    return label_draws(result, quadrature.quantile(population(result, who or NewStudy()), q, alive_at=alive_at))


def hazard_ratio(
    result: Result, times: Sequence[float] | None = None, *, who: Who | None = None, reference: str | None = None
) -> xr.DataArray:
    """Hazard ratio against the reference (chain, draw, treatment, time).

    Conditional (of one study, one patient) except for `NewStudy`, where it is marginal at its time: E[h S] / E[S] of
    each treatment first, then the ratio. Where conditional hazards are proportional it does not need a level
    (docs/decisions.md#11-free-levels).
    """
    who = who or NewStudy()
    time_array = checked_times(times_or_default(result, times), 0.0)
    reference_name = checked_treatment(result, reference)
    if lacks_level(result, who) and is_proportional(result):
        ratios = np.exp(log_hr_without_level(result, who))[..., None] * np.ones(len(time_array))
        values = label_draws(result, ratios, time=time_array)
    else:
        values = hazard(result, list(time_array), who=who)
    return values / values.sel(treatment=reference_name, drop=True)


def times_or_default(result: Result, times: Sequence[float] | None) -> Sequence[float]:
    return result.spec.answer_times if times is None else times


def lacks_level(result: Result, who: Who) -> bool:
    return result.spec.needs_baseline and not isinstance(population_of(who), Study)


def is_proportional(result: Result) -> bool:
    return result.spec.proportional


def checked_treatment(result: Result, name: str | None) -> str:
    names = result.spec.treatments.names
    if name is not None and name not in names:
        raise InputError("treatment", found=name, allowed=", ".join(names))
    return name or names[0]


def time_ratio(result: Result, *, who: Who | None = None, reference: str | None = None) -> xr.DataArray:
    """Factor by which a treatment stretches time against the reference (chain, draw, treatment); above 1 is longer.

    Conditional, as for one study or patient: the average study's, or that of the hospital or study asked about; of
    accelerated-time families only (decision 17).
    """
    if result.inputs.family.effect != "time":
        raise InputError(
            "time_ratio",
            found=f"hazard.family = {result.inputs.family.name}, of proportional hazards",
            allowed=", ".join(name for name, family in FAMILIES.items() if family.effect == "time"),
            hint="its treatment effect is a hazard ratio",
        )
    who = who or NewStudy()
    log_ratio = log_hr_without_level(result, who) if lacks_level(result, who) else population(result, who).eta
    values = label_draws(result, log_ratio)
    difference = values - values.sel(treatment=checked_treatment(result, reference), drop=True)
    return difference.copy(data=np.exp(difference.to_numpy()))


def chosen_treatments(result: Result, treatments: Sequence[str] | None, excluded: Sequence[str] = ()) -> list[str]:
    """Treatments that are asked about, in the spec's order."""
    asked = [checked_treatment(result, name) for name in treatments or result.spec.treatments.names]
    excluded_names = {checked_treatment(result, name) for name in excluded}
    remaining = [name for name in result.spec.treatments.names if name in asked and name not in excluded_names]
    if not remaining:
        raise InputError("treatments", found="none left", allowed=", ".join(result.spec.treatments.names))
    return remaining
