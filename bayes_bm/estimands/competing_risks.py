"""Competing causes: cumulative incidence from one fit for each cause (docs/method.md, "Competing risks").

With each patient's cause known, the likelihood is a product of one factor for each cause, in which events of the others
are censored; where priors are independent too, so are the posteriors, and a fit for each cause is the whole model. What
speaks about several causes at once (a printed cumulative incidence) does not factorise and is refused at reading.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.population import population
from bayes_bm.estimands.quantities import checked_times
from bayes_bm.estimands.who import NewStudy, Who, as_who
from bayes_bm.evidence.selection import ANY_CAUSE
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.level import USUAL, Level

FREE = "free of all"


def cumulative_incidence(
    results: Sequence[Result], times: Sequence[float], *, who: Who | str | None = None, alive_at: float = 0.0
) -> xr.DataArray:
    """Return draws of the share of patients in whom each cause came first by each time.

    F_k(t) = integral of h_k S_1 ... S_K. Draws of independent posteriors are paired as they stand.

    Parameters
    ----------
    results : sequence of Result
        One fit for each cause (`cause` in their specs), of the same patients and treatments.
    times : sequence of float
        Times above 0 and not before `alive_at`, in the spec's unit, from time 0.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, or the name of one, optional
        Who is asked about, of each fit; by default `NewStudy()`.
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
    check_together(results)
    sorted_times = np.sort(checked_times(times, alive_at))
    size = min(result.predictors.draws.samples for result in results)
    populations = [population(result, as_who(who, NewStudy())) for result in results]
    # chains of two fits have nothing to do with each other; as many draws of each, evenly from all its chains
    thinned = [one.part(np.linspace(0, len(one.eta) - 1, size).astype(int)) for one in populations]
    values = quadrature.cumulative_incidence(thinned, sorted_times, alive_at=alive_at)
    whole = np.concatenate([values, 1 - values.sum(axis=0, keepdims=True)])
    spec = results[0].spec
    coords = {
        "treatment": list(spec.treatments.names),
        "cause": [*(result.spec.cause for result in results), FREE],
        "time": sorted_times,
    }
    dims = ("draw", "treatment", "cause", "time")
    return xr.DataArray(np.moveaxis(whole, 0, 2), dims=dims, coords=coords, name="cumulative_incidence")


def incidence_table(incidence: xr.DataArray, level: Level = USUAL) -> pd.DataFrame:
    """Rows of treatment, cause and time with mean, sd, median and the ends of the level over draws."""
    quantiles = {"median": 0.5, **dict(zip(level.names, level.tails, strict=True))}
    parts = {"mean": incidence.mean("draw"), "sd": incidence.std("draw", ddof=1)}
    parts |= {name: incidence.quantile(q, "draw").drop_vars("quantile") for name, q in quantiles.items()}
    return xr.Dataset(parts).to_dataframe().reset_index()[["treatment", "cause", "time", *parts]]


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
