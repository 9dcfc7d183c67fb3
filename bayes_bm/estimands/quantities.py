"""Survival, hazard, restricted mean, quantile, hazard ratio and time ratio as labelled draws."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.population import log_hr_without_level, population
from bayes_bm.estimands.who import NewStudy, Study, Who, as_who, population_of
from bayes_bm.evidence.time_units import DAYS_PER
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
    if not 0 <= alive_at < np.inf:
        raise InputError("alive_at", found=alive_at, allowed="a time, 0 or more")
    if (values < alive_at).any():
        raise InputError(
            "times", found=f"{values.min():g}", allowed=f"at or after alive_at = {alive_at:g}; times count from 0"
        )
    return values


def survival(
    result: Result, times: Sequence[float], *, who: Who | str | None = None, alive_at: float = 0.0
) -> xr.DataArray:
    """Return draws of S(t), or of S(t) given alive at s, under each treatment.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    times : sequence of float
        Times above 0 and not before `alive_at`, in the spec's unit, from time 0.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, or the name of one, optional
        Who is asked about; by default `NewStudy()`.
    alive_at : float, default 0
        Answers are given alive at this time; the spec's unit, from time 0.

    Returns
    -------
    xarray.DataArray
        Probability (chain, draw, treatment, time).

    Raises
    ------
    InputError
        For times that are not above 0 or before `alive_at`, or where nothing says what a new study's level is.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> dict(bb.survival(result, [6, 12]).sizes)
    {'chain': 1, 'draw': 200, 'treatment': 2, 'time': 2}
    >>> bool((bb.survival(result, [12], alive_at=6) >= bb.survival(result, [12])).all())
    True

    Notes
    -----
    For `NewStudy` S(t) given alive at s is E[S(t)] / E[S(s)]: survivors reweight the effects (docs/decisions.md, 15).
    """
    time_array = checked_times(times, alive_at)
    values = quadrature.survival(population(result, as_who(who, NewStudy())), time_array, alive_at=alive_at)
    return label_draws(result, values, time=time_array)


def hazard(result: Result, times: Sequence[float], *, who: Who | str | None = None) -> xr.DataArray:
    """Return draws of the hazard of those still alive under each treatment.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    times : sequence of float
        Times above 0, in the spec's unit, from time 0.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, or the name of one, optional
        Who is asked about; by default `NewStudy()`.

    Returns
    -------
    xarray.DataArray
        Events per time unit (chain, draw, treatment, time).

    Raises
    ------
    InputError
        For times that are not above 0, or where nothing says what a new study's level is.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> bb.hazard(result, [6, 12]).dims
    ('chain', 'draw', 'treatment', 'time')
    """
    time_array = checked_times(times, 0.0)
    return label_draws(
        result, quadrature.hazard(population(result, as_who(who, NewStudy())), time_array), time=time_array
    )


def rmst(
    result: Result,
    horizon: float | None = None,
    *,
    who: Who | str | None = None,
    alive_at: float = 0.0,
    discount: float = 0.0,
) -> xr.DataArray:
    """Return draws of the restricted mean survival from `alive_at` to the horizon.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    horizon : float, optional
        Where the mean is cut, in the spec's time unit, from time 0; by default the spec's horizon.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, or the name of one, optional
        Who is asked about; by default `NewStudy()`.
    alive_at : float, default 0
        Answers are given alive at this time; the spec's unit, from time 0.
    discount : float, default 0
        Rate a year at which later time counts for less: a month that is lived t years after `alive_at` counts
        1 / (1 + discount)^t, as in health economics (0.035 is 3.5 %).

    Returns
    -------
    xarray.DataArray
        Area under S(t) given alive at `alive_at` (chain, draw, treatment), in the spec's time unit; the attribute
        `horizon` is where it was cut, `discount` the rate a year.

    Raises
    ------
    InputError
        For a horizon that is not above 0 or before `alive_at`, a rate that is not from 0 to 1, or where nothing says
        what a new study's level is.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> mean = bb.rmst(result, 24)
    >>> bool(((mean > 0) & (mean <= 24)).all())
    True
    """
    end_time = checked_times(result.spec.horizon if horizon is None else horizon, alive_at)
    if not 0 <= discount <= 1:
        raise InputError("discount", found=discount, allowed="0 to 1: the rate a year, such as 0.035 for 3.5 %")
    rate = float(np.log1p(discount)) * DAYS_PER[result.spec.time_unit] / DAYS_PER["years"]
    asked = population(result, as_who(who, NewStudy()))
    values = quadrature.rmst(asked, float(end_time[0]), alive_at=alive_at, discount=rate)
    return label_draws(result, values).assign_attrs(horizon=float(end_time[0]), discount=discount)


def quantile(result: Result, q: float = 0.5, *, who: Who | str | None = None, alive_at: float = 0.0) -> xr.DataArray:
    """Return draws of the time by which a share q has had the event.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    q : float, default 0.5
        Share that has had the event, between 0 and 1; 0.5 is the median.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, or the name of one, optional
        Who is asked about; by default `NewStudy()`.
    alive_at : float, default 0
        Answers are given alive at this time; the spec's unit, from time 0.

    Returns
    -------
    xarray.DataArray
        Time from time 0 (chain, draw, treatment), in the spec's unit; inf where so many never have the event.

    Raises
    ------
    InputError
        For q outside 0 to 1, or where nothing says what a new study's level is.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> bool((bb.quantile(result, 0.25) <= bb.quantile(result, 0.5)).all())
    True
    """
    if not 0 < q < 1:
        raise InputError("q", found=q, allowed="between 0 and 1")
    return label_draws(result, quadrature.quantile(population(result, as_who(who, NewStudy())), q, alive_at=alive_at))


def hazard_ratio(
    result: Result,
    treatment: str | Sequence[float] | None = None,
    reference: str | None = None,
    *,
    times: Sequence[float] | None = None,
    who: Who | str | None = None,
) -> xr.DataArray:
    """Return draws of the hazard ratio of one treatment, or of every one, against the reference.

    Conditional (of one study, one patient) except for `NewStudy`, where it is marginal at its time: E[h S] / E[S] of
    each treatment first, then the ratio. Where conditional hazards are proportional it does not need a level
    (docs/decisions.md#11-free-levels).

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    treatment : str, optional
        Treatment in the numerator; by default every one. Times may stand here too, as in `hazard_ratio(result, [12])`.
    reference : str, optional
        Treatment in the denominator; by default the spec's reference.
    times : sequence of float, optional
        Times above 0, in the spec's unit, from time 0; by default the spec's answer times.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, or the name of one, optional
        Who is asked about; by default `NewStudy()`.

    Returns
    -------
    xarray.DataArray
        Ratio (chain, draw, treatment, time), 1 for the reference; of one treatment (chain, draw, time).

    Raises
    ------
    InputError
        For times that are not above 0 or a treatment that the spec does not have.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> ratio = bb.hazard_ratio(result, [12], who=bb.AverageStudy())
    >>> bool((ratio.sel(treatment="str") == 1).all())
    True
    >>> bb.hazard_ratio(result, "gtr", "str").dims
    ('chain', 'draw', 'time')
    """
    who, name = as_who(who, NewStudy()), treatment if isinstance(treatment, str) else None
    given_times = treatment if times is None and not isinstance(treatment, str) else times
    time_array = checked_times(times_or_default(result, given_times), 0.0)
    reference_name = checked_treatment(result, reference)
    if lacks_level(result, who) and is_proportional(result):
        without_level = np.exp(log_hr_without_level(result, who))[..., None] * np.ones(len(time_array))
        values = label_draws(result, without_level, time=time_array)
    else:
        values = hazard(result, list(time_array), who=who)
    ratios = values / values.sel(treatment=reference_name, drop=True)
    return ratios if name is None else ratios.sel(treatment=checked_treatment(result, name))


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


def time_ratio(result: Result, *, who: Who | str | None = None, reference: str | None = None) -> xr.DataArray:
    """Return draws of the factor by which a treatment stretches time against the reference; above 1 is longer.

    Conditional, as for one study or patient: the average study's, or that of the hospital or study asked about; of
    accelerated-time families only (decision 17).

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, or the name of one, optional
        Who is asked about; by default `NewStudy()`.
    reference : str, optional
        Treatment in the denominator; by default the spec's reference.

    Returns
    -------
    xarray.DataArray
        Ratio (chain, draw, treatment); 1 for the reference.

    Raises
    ------
    InputError
        For a family of proportional hazards or a treatment that the spec does not have.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> bb.time_ratio(result)  # its hazards are Weibull and proportional
    Traceback (most recent call last):
    ...
    bayes_bm.runtime.errors.InputError: time_ratio: found hazard.family = weibull, of proportional hazards; ...
    """
    if result.inputs.family.effect != "time":
        raise InputError(
            "time_ratio",
            found=f"hazard.family = {result.inputs.family.name}, of proportional hazards",
            allowed=", ".join(name for name, family in FAMILIES.items() if family.effect == "time"),
            hint="its treatment effect is a hazard ratio",
        )
    who = as_who(who, NewStudy())
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
