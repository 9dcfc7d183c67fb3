"""Cumulative incidence, survival free of all causes and time lost to each, from a joint model or a fit for each cause
(docs/competing-causes.md).

With each patient's cause known, the likelihood is a product of one factor for each cause, in which events of the others
are censored; where priors are independent too, so are the posteriors, and a fit for each cause is the whole model. What
speaks about several causes at once (a printed cumulative incidence), and levels of studies that go together, take a
joint model (`fit_causes`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.estimands.cause_quadrature import TimeRule, member_densities, product_densities
from bayes_bm.estimands.joint_populations import Asked, asked_about
from bayes_bm.estimands.population import population
from bayes_bm.estimands.quantities import checked_times
from bayes_bm.estimands.who import NewStudy, Who, as_who
from bayes_bm.evidence.selection import ANY_CAUSE
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array
from bayes_bm.spec.level import USUAL, Level

FREE = "free of all"
Fits = JointResult | Sequence[Result]


def cumulative_incidence(
    results: Fits, times: Sequence[float], *, who: Who | str | None = None, alive_at: float = 0.0
) -> xr.DataArray:
    """Return draws of the share of patients in whom each cause came first by each time.

    F_k(t) = integral of h_k S_1 ... S_K. Draws of a joint model belong together; those of independent posteriors are
    paired as they stand.

    Parameters
    ----------
    results : JointResult or sequence of Result
        A joint model (`fit_causes`), or one fit for each cause (`cause` in their specs), of the same patients and
        treatments.
    times : sequence of float
        Times above 0 and not before `alive_at`, in the spec's unit, from time 0.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, PatientMix, or the name of one, optional
        Who is asked about; by default `NewStudy()`.
    alive_at : float, default 0
        Answers are given free of all causes at this time.

    Returns
    -------
    xarray.DataArray
        Probability (draw, treatment, cause, time); times are sorted, and the last of `cause` is "free of all", so that
        causes sum to 1.

    Raises
    ------
    InputError
        For fits that are not of one model: one fit only, a cause twice, other patients, treatments or clocks.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> spec = bb.read_spec("published_os_extent_of_resection")
    >>> causes = [spec.model_copy(update={"cause": cause}) for cause in ("tumour", "other")]
    >>> shares = bb.cumulative_incidence([prior_result(one, draws=50) for one in causes], [6, 12])
    >>> shares["cause"].to_numpy().tolist(), bool((abs(shares.sum("cause") - 1) < 1e-9).all())
    (['tumour', 'other', 'free of all'], True)
    """
    sorted_times = np.sort(checked_times(times, alive_at))
    asked, names = _asked(results, who)
    rule = TimeRule.of(asked.populations, sorted_times, alive_at)
    values = rule.up_to(_densities(asked, rule, alive_at), sorted_times)
    whole = np.concatenate([values, 1 - values.sum(axis=0, keepdims=True)])
    coords = {**_coords(results, [*names, FREE]), "time": sorted_times}
    dims = ("draw", "treatment", "cause", "time")
    return xr.DataArray(np.moveaxis(whole, 0, 2), dims=dims, coords=coords, name="cumulative_incidence")


def all_cause_survival(
    results: Fits, times: Sequence[float], *, who: Who | str | None = None, alive_at: float = 0.0
) -> xr.DataArray:
    """Return draws of the share of patients who are free of every cause at each time: exp(-(H_1 + ... + H_K)).

    Where the causes are all causes of death it is overall survival.

    Parameters
    ----------
    results : JointResult or sequence of Result
        As for `cumulative_incidence`.
    times : sequence of float
        Times above 0 and not before `alive_at`, in the spec's unit, from time 0.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, PatientMix, or the name of one, optional
        Who is asked about; by default `NewStudy()`.
    alive_at : float, default 0
        Answers are given free of all causes at this time.

    Returns
    -------
    xarray.DataArray
        Probability (draw, treatment, time), times sorted.

    Raises
    ------
    InputError
        As `cumulative_incidence`.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> spec = bb.read_spec("published_os_extent_of_resection")
    >>> causes = [spec.model_copy(update={"cause": cause}) for cause in ("tumour", "other")]
    >>> free = bb.all_cause_survival([prior_result(one, draws=50) for one in causes], [6, 12])
    >>> free.dims, bool((free.sel(time=12) <= free.sel(time=6)).all())
    (('draw', 'treatment', 'time'), True)
    """
    shares: Any = cumulative_incidence(results, times, who=who, alive_at=alive_at)
    return shares.sel(cause=FREE, drop=True)


def time_lost(
    results: Fits, horizon: float | None = None, *, who: Who | str | None = None, alive_at: float = 0.0
) -> xr.DataArray:
    """Return draws of the time lost to each cause up to a horizon: the area under its cumulative incidence.

    With the restricted mean time free of all causes they sum to the time from `alive_at` to the horizon (Andersen 2013,
    doi 10.1002/sim.5903).

    Parameters
    ----------
    results : JointResult or sequence of Result
        As for `cumulative_incidence`.
    horizon : float, optional
        In the spec's time unit, from time 0; by default the spec's horizon.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, PatientMix, or the name of one, optional
        Who is asked about; by default `NewStudy()`.
    alive_at : float, default 0
        Answers are given free of all causes at this time.

    Returns
    -------
    xarray.DataArray
        Time in the spec's unit (draw, treatment, cause); the last of `cause` is "free of all".

    Raises
    ------
    InputError
        As `cumulative_incidence`.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> spec = bb.read_spec("published_os_extent_of_resection")
    >>> causes = [spec.model_copy(update={"cause": cause}) for cause in ("tumour", "other")]
    >>> lost = bb.time_lost([prior_result(one, draws=50) for one in causes], 24)
    >>> bool((abs(lost.sum("cause") - 24) < 1e-9).all())
    True
    """
    first = _first(results)
    end = checked_times(first.spec.horizon if horizon is None else horizon, alive_at)
    asked, names = _asked(results, who)
    rule = TimeRule.of(asked.populations, end, alive_at)
    values = rule.lost(_densities(asked, rule, alive_at))
    whole = np.concatenate([values, end[0] - alive_at - values.sum(axis=0, keepdims=True)])
    dims = ("draw", "treatment", "cause")
    coords = _coords(results, [*names, FREE])
    lost = xr.DataArray(np.moveaxis(whole, 0, 2), dims=dims, coords=coords, name="time_lost")
    return lost.assign_attrs(horizon=float(end[0]))


def _first(results: Fits) -> Result:
    return results.first if isinstance(results, JointResult) else results[0]


def _coords(results: Fits, names: list[str]) -> dict[str, Any]:
    return {"treatment": list(_first(results).spec.treatments.names), "cause": names}


def _asked(results: Fits, who: Who | str | None) -> tuple[Asked, list[str]]:
    """Who is asked about, with as many draws of every cause, and the causes."""
    asked_who = as_who(who, NewStudy())
    if isinstance(results, JointResult):
        return asked_about(results, asked_who), list(results.results)
    check_together(results)
    size = min(result.predictors.draws.samples for result in results)
    populations = [population(result, asked_who) for result in _own_seeds(results)]
    # chains of two fits have nothing to do with each other; as many draws of each, evenly from all its chains
    thinned = [one.part(np.linspace(0, len(one.eta) - 1, size).astype(int)) for one in populations]
    return Asked(thinned, None), [str(result.spec.cause) for result in results]


def _own_seeds(results: Sequence[Result]) -> list[Result]:
    """The fits with seeds of their own: effects of a new hospital drawn from one stream would be the same ones."""
    taken: set[int] = set()
    own: list[Result] = []
    for result in results:
        seed = result.spec.seed
        while seed in taken:
            seed += 1
        taken.add(seed)
        other = replace(result, spec=result.spec.model_copy(update={"seed": seed})).with_inputs(result.inputs)
        own.append(result if seed == result.spec.seed else other)
    return own


def _densities(asked: Asked, rule: TimeRule, alive_at: float) -> Array:
    if asked.members is not None:
        return member_densities(asked.members, rule, alive_at)
    return product_densities(asked.populations, rule, alive_at)


def incidence_table(incidence: xr.DataArray, level: Level = USUAL) -> pd.DataFrame:
    """Rows of treatment, cause and time (where there is one) with mean, sd, median and the ends of the level."""
    quantiles = {"median": 0.5, **dict(zip(level.names, level.tails, strict=True))}
    parts = {"mean": incidence.mean("draw"), "sd": incidence.std("draw", ddof=1)}
    parts |= {name: incidence.quantile(q, "draw").drop_vars("quantile") for name, q in quantiles.items()}
    named = [name for name in ("treatment", "cause", "time") if name in incidence.dims]
    return xr.Dataset(parts).to_dataframe().reset_index()[[*named, *parts]]


def check_together(results: Sequence[Result]) -> None:
    """One fit a cause, of the same patients, treatments and clock."""
    if len(results) < 2:
        raise InputError("cumulative incidence", found=f"{len(results)} fit", allowed="one for each cause, two or more")
    first = results[0]
    causes = [result.spec.cause for result in results]
    wrong = [cause for cause in causes if cause in (None, ANY_CAUSE)]
    if wrong or len(set(causes)) < len(causes):
        raise InputError(
            "cumulative incidence",
            found=f"fits of {', '.join(str(cause or 'no cause') for cause in causes)}",
            allowed='fits whose specs say cause = "...", each another',
            hint="overall survival and local control are no competing causes: a death after a failure is in both",
        )
    for result in results[1:]:
        for what in ("time_unit", "endpoint"):
            if getattr(result.spec, what) != getattr(first.spec, what):
                raise InputError(what, found=getattr(result.spec, what), allowed=getattr(first.spec, what))
        if result.spec.treatments.names != first.spec.treatments.names:
            names = [", ".join(one.spec.treatments.names) for one in (result, first)]
            raise InputError("treatments", found=names[0], allowed=names[1])
        if not _patient_rows(result).equals(_patient_rows(first)):
            raise InputError(
                "patients", found=f"other patients in the fits of {first.spec.cause} and {result.spec.cause}",
                allowed="the same: each is followed for every cause",
            )  # fmt: skip


def _patient_rows(result: Result) -> pd.DataFrame:
    names = ["study", "arm", "treatment", "time", "entry", "weight"]
    return result.evidence.patients[names].sort_values(names).reset_index(drop=True)
