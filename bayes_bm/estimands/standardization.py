"""Survival of many patients under each treatment at every draw, reduced as it is made: over draws or over patients.

A patient enters only through a shift of eta. So for each draw and time the curve, averaged over whatever is averaged,
is worked out on a grid of eta and read off between its points (cubic; error below 1e-4), whatever the number of
patients; what is kept are sums and counts, never a number for each patient, draw and time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.estimands.gauss_rule import Rule
from bayes_bm.estimands.patient_scores import residual_rule
from bayes_bm.estimands.population import population_at_centres
from bayes_bm.estimands.quadrature import Population
from bayes_bm.estimands.quantities import chosen_treatments
from bayes_bm.estimands.summary import quantiles_at
from bayes_bm.estimands.survival_surface import STEP, Surface, survival_surface
from bayes_bm.estimands.who import Who, study_of
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import checked, complete
from bayes_bm.runtime.compiling import cached_njit
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.runtime.types import Array
from bayes_bm.spec.level import USUAL, Level

BINS = 500
"""Of survival, for quantiles over draws: they are right to half a bin."""
PATIENTS_AT_ONCE = 100
"""Number of patients whose eta (patient, draw) is held at once, to bound memory."""
"""Quantiles over draws that tables give, by column."""


def survival_table(
    result: Result,
    cohort: pd.DataFrame | Sequence[Mapping[str, float]],
    times: Sequence[float],
    *,
    treatments: Sequence[str] | None = None,
    without: Sequence[str] = (),
    who: Who | str | None = None,
) -> pd.DataFrame:
    """Return S(t) of every patient under each treatment: mean, sd and quantiles over draws.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    cohort : pandas.DataFrame or sequence of mappings
        A row a patient, a column a covariate in its own unit; blank cells are averaged over the evidence's patients.
    times : sequence of float
        Times above 0, in the spec's unit, from time 0.
    treatments, without : sequence of str, optional
        Treatments to answer for, and those to leave out; by default all.
    who : AverageStudy, NewStudy, NewHospital, Study, or the name of one, optional
        Whose study effects the patients have; by default `NewStudy()`.

    Returns
    -------
    pandas.DataFrame
        Columns patient (row of the cohort, from 1), treatment, time, mean, sd, q5, median, q95, q2_5, q97_5;
        treatments in the order of the spec.

    Raises
    ------
    InputError
        For times that are not above 0, or covariates or treatments that the spec does not have.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> bb.survival_table(result, [{}, {}], [12])[["patient", "treatment"]].to_numpy().tolist()
    [[1, 'str'], [2, 'str'], [1, 'gtr'], [2, 'gtr']]
    """
    time_array, tables = _checked_survival_times(times), []
    groups = _missingness_groups(result, cohort)
    for treatment in chosen_treatments(result, treatments, without):
        rows = []
        for places, patients in groups:
            for batch in _patient_batches(result, treatment, places, patients, time_array, who):
                surface = batch.surface
                moments, counts = _reduce_draws(batch.eta, batch.share, surface.low, surface.values, STEP, BINS)
                rows.append(_summary_rows(batch.places, treatment, time_array, moments, counts, result.spec.interval))
        tables.append(pd.concat(rows).sort_values(["patient", "time"], kind="stable"))
    return pd.concat(tables, ignore_index=True)


def standardise(
    result: Result,
    cohort: pd.DataFrame | Sequence[Mapping[str, float]],
    times: Sequence[float],
    *,
    treatments: Sequence[str] | None = None,
    without: Sequence[str] = (),
    who: Who | str | None = None,
    resample: bool = False,
) -> xr.DataArray:
    """Return survival of the whole cohort had all had the same treatment: g-computation.

    S_a(t) = mean over the cohort's patients of S(t | x_i, a), at every posterior draw, so differences are paired.

    Parameters
    ----------
    result, cohort, times, treatments, without, who
        As `survival_table` takes them; it raises the same errors.
    resample : bool, default False
        Weigh the patients anew at each draw (Bayesian bootstrap), as if the cohort were a sample of whom the answer is
        about; without, it is about these patients.

    Returns
    -------
    xarray.DataArray
        Probability (chain, draw, treatment, time).

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> dict(bb.standardise(result, [{}, {}], [6, 12]).sizes)
    {'chain': 1, 'draw': 200, 'treatment': 2, 'time': 2}
    """
    time_array, wanted = _checked_survival_times(times), chosen_treatments(result, treatments, without)
    groups, samples = _missingness_groups(result, cohort), result.predictors.draws.samples
    size = sum(len(places) for places, _ in groups)
    rng = random_stream(result.spec.seed, RandomStage.STANDARDISATION)
    weight = rng.exponential(size=(samples, size)) if resample else np.ones((samples, size))
    weight /= weight.sum(axis=1, keepdims=True)
    values = np.zeros((samples, len(wanted), len(time_array)))
    for a, treatment in enumerate(wanted):
        for places, patients in groups:
            for batch in _patient_batches(result, treatment, places, patients, time_array, who):
                surface = batch.surface
                cell_weight = batch.share[:, :, None] * weight[:, batch.places].T[:, None]
                eta, cell_weight = (values.reshape(-1, samples) for values in (batch.eta, cell_weight))
                values[:, a] += _reduce_patients(eta, surface.low, surface.values, STEP, cell_weight)
    shaped = values.reshape(result.predictors.draws.chains, -1, *values.shape[1:])
    coords = {"treatment": wanted, "time": time_array}
    return xr.DataArray(shaped, dims=("chain", "draw", "treatment", "time"), coords=coords)


def mean_survival(
    result: Result,
    cohort: pd.DataFrame,
    treatment: Sequence[str],
    times: Sequence[float],
    *,
    who: Who | str | None = None,
) -> Array:
    """Posterior mean of S(t) of every patient under the treatment that each had (patient, time)."""
    time_array, had = _checked_survival_times(times), np.asarray(treatment, dtype=object)
    means = np.empty((len(had), len(time_array)))
    for name in dict.fromkeys(had):
        rows = np.flatnonzero(had == name)
        for places, patients in _missingness_groups(result, cohort.iloc[rows]):
            for batch in _patient_batches(result, name, places, patients, time_array, who):
                surface = batch.surface
                moments, _ = _reduce_draws(batch.eta, batch.share, surface.low, surface.values, STEP, 1)
                means[rows[batch.places]] = moments[..., 0] / len(surface.low)
    return means


def standardised_table(values: xr.DataArray, level: Level = USUAL) -> pd.DataFrame:
    """Mean, sd and quantiles of `standardise` and of differences from the first treatment; P(difference > 0)."""
    rows = []
    names = [str(name) for name in values["treatment"].to_numpy()]
    for name in names:
        for reference in [None, *(names[:1] if name != names[0] else [])]:
            for time in values["time"].to_numpy():
                one = values.sel(treatment=name, time=time).to_numpy().ravel()
                if reference is not None:
                    one = one - values.sel(treatment=reference, time=time).to_numpy().ravel()
                better = None if reference is None else float(np.mean(one > 0))
                estimand = "survival" if reference is None else "survival_difference"
                named = {"estimand": estimand, "treatment": name, "reference": reference, "time": float(time)}
                quantiles = {label: float(np.quantile(one, share)) for label, share in quantiles_at(level).items()}
                moments = {"mean": float(one.mean()), "sd": float(one.std(ddof=1))}
                rows.append({**named, **moments, **quantiles, "prob_better": better})
    return pd.DataFrame(rows)


# ---------------------------------------------------------------------------------------------- patients


def _checked_survival_times(times: Sequence[float]) -> Array:
    time_array = np.asarray(times, dtype=float)
    if not (time_array.ndim == 1 and len(time_array) and np.isfinite(time_array).all() and (time_array > 0).all()):
        raise InputError("times", found=", ".join(f"{time:g}" for time in time_array.ravel()), allowed="times above 0")
    return time_array


Group = tuple[Array, list[dict[str, float]]]


def _missingness_groups(result: Result, cohort: pd.DataFrame | Sequence[Mapping[str, float]]) -> list[Group]:
    """Patients by what is not given: places in the cohort, and their covariates, checked."""
    rows = cohort.to_dict("records") if isinstance(cohort, pd.DataFrame) else list(cohort)
    if not rows:
        raise InputError("cohort", found="no patients", allowed="a row a patient")
    groups: dict[frozenset[str], tuple[list[int], list[dict[str, float]]]] = {}
    for place, row in enumerate(rows):
        named = {str(name): value for name, value in row.items() if not _blank(value)}
        values = checked(result.spec, named, where=f"cohort, row {place + 1}")
        places, patients = groups.setdefault(frozenset(values), ([], []))
        places.append(place)
        patients.append(values)
    return [(np.array(places), patients) for places, patients in groups.values()]


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


@dataclass(frozen=True)
class _Batch:
    """Some patients of a group: their places in the cohort, eta (patient, cell, draw) and the probability of each cell
    of what is not given, `share` (patient, cell); and the surface of all of the group.
    """

    places: Array
    eta: Array
    share: Array
    surface: Surface


def _patient_batches(
    result: Result, treatment: str, places: Array, patients: list[dict[str, float]], times: Array, who: Who | str | None
) -> Iterator[_Batch]:
    """A hundred patients at a time, of whom the same covariates are given."""
    names = result.spec.treatments.names
    treatment_index, study_effects = (
        names.index(treatment),
        study_of(who),
    )
    covariates = [name for name in result.spec.covariates if name in patients[0]]
    values = np.array([[one[name] for name in covariates] for one in patients]).reshape(len(patients), len(covariates))
    whole = complete(result.spec, result.case_mix, covariates, values)
    slopes = result.predictors.draws.slopes
    # residuals of what is not given are the same for the whole group, so one population serves it
    base = population_at_centres(result, study_effects).averaged_over(residual_rule(whole, slopes))
    one = _single_treatment(base, treatment_index)
    slope = slopes[:, treatment_index]
    low, high = _eta_range_by_draw(one.eta[:, 0], slope, whole.x)
    surface = survival_surface(one, low, high, times)
    for start in range(0, len(places), PATIENTS_AT_ONCE):
        rows = slice(start, start + PATIENTS_AT_ONCE)
        yield _Batch(places[rows], one.eta[:, 0] + whole.x[rows] @ slope.T, whole.share[rows], surface)


def _eta_range_by_draw(eta: Array, slope: Array, x: Array) -> tuple[Array, Array]:
    """Smallest and largest eta of any patient at each draw; x (patient, cell, covariate)."""
    low, high = np.full(len(eta), np.inf), np.full(len(eta), -np.inf)
    for start in range(0, len(x), PATIENTS_AT_ONCE):
        patient_eta = eta + x[start : start + PATIENTS_AT_ONCE] @ slope.T
        low, high = np.minimum(low, patient_eta.min(axis=(0, 1))), np.maximum(high, patient_eta.max(axis=(0, 1)))
    return low, high


def _single_treatment(population: Population, treatment_index: int) -> Population:
    one = slice(treatment_index, treatment_index + 1)
    return replace(
        population,
        eta=population.eta[:, one],
        shape=population.shape[:, one],
        eta_sd=population.eta_sd[:, one],
        shape_sd=population.shape_sd[:, one],
        not_given=None if population.not_given is None else Rule(*(values[:, one] for values in population.not_given)),
    )


def _summary_rows(
    places: Array, treatment: str, times: Array, moments: Array, counts: Array, level: Level
) -> pd.DataFrame:
    samples = int(counts[0, 0].sum())
    mean = moments[..., 0] / samples
    variance = np.maximum(moments[..., 1] / samples - mean**2, 0.0) * samples / max(samples - 1, 1)
    columns = {"mean": mean.ravel(), "sd": np.sqrt(variance).ravel()}
    columns |= {name: _count_quantiles(counts, share, samples).ravel() for name, share in quantiles_at(level).items()}
    patient = np.repeat(places + 1, len(times))
    return pd.DataFrame({"patient": patient, "treatment": treatment, "time": np.tile(times, len(places)), **columns})


@cached_njit()
def _count_quantiles(counts, share, samples):  # pragma: no cover
    """From counts of survival in equal bins (patient, time, bin), evenly spread inside a bin."""
    patients, times, bins = counts.shape
    quantiles, wanted = np.empty((patients, times)), share * samples
    for p in range(patients):
        for t in range(times):
            cumulative, k = 0, 0
            while cumulative + counts[p, t, k] < wanted:
                cumulative += counts[p, t, k]
                k += 1
            quantiles[p, t] = (k + (wanted - cumulative) / counts[p, t, k]) / bins
    return quantiles


# ---------------------------------------------------------------------------------------------- sums


@cached_njit(inline="always", fastmath=True)
def _cubic_survival(rows, position, out):  # pragma: no cover
    """Cubic between rows of a grid (point, time): S at every time into `out`."""
    k = min(max(int(position), 1), len(rows) - 3)
    f = np.float32(position - k)
    one, two, six = np.float32(1), np.float32(2), np.float32(6)
    a, b = -f * (f - one) * (f - two) / six, (f + one) * (f - one) * (f - two) / two
    c, d = -(f + one) * f * (f - two) / two, (f + one) * f * (f - one) / six
    for t in range(rows.shape[1]):
        # a cubic swings by a rounding error beyond rows that are all 0 or all 1: -1e-25 was seen
        s = a * rows[k - 1, t] + b * rows[k, t] + c * rows[k + 1, t] + d * rows[k + 2, t]
        out[t] = min(max(s, np.float32(0)), one)


@cached_njit(fastmath=True)
def _reduce_draws(eta, share, low, values, step, bins):  # pragma: no cover
    """Sums of S and S^2 over draws (patient, time, 2), and counts of S in equal bins (patient, time, bin).

    S of a patient is the mean over cells, eta (patient, cell, draw), with their `share` (patient, cell).
    """
    patients, cells, draws = eta.shape
    times = values.shape[2]
    moments, s, mixed = np.zeros((patients, times, 2)), np.empty(times, dtype=np.float32), np.empty(times)
    counts = np.zeros((patients, times, bins), dtype=np.int32)
    for p in range(patients):
        mean, square = np.zeros(times), np.zeros(times)
        patient_counts = counts[p]
        for d in range(draws):
            mixed[:] = 0.0
            for c in range(cells):
                _cubic_survival(values[d], (eta[p, c, d] - low[d]) / step, s)
                for t in range(times):
                    mixed[t] += share[p, c] * s[t]
            for t in range(times):
                mean[t] += mixed[t]
                square[t] += mixed[t] * mixed[t]
            for t in range(times):
                patient_counts[t, min(max(int(mixed[t] * bins), 0), bins - 1)] += 1
        for t in range(times):
            moments[p, t, 0], moments[p, t, 1] = mean[t], square[t]
    return moments, counts


@cached_njit(fastmath=True)
def _reduce_patients(eta, low, values, step, weight):  # pragma: no cover
    """Weighted sum of S over patients (draw, time); weight (patient, draw)."""
    patients, draws = eta.shape
    times = values.shape[2]
    sums, s = np.zeros((draws, times)), np.empty(times, dtype=np.float32)
    for d in range(draws):
        for p in range(patients):
            _cubic_survival(values[d], (eta[p, d] - low[d]) / step, s)
            for t in range(times):
                sums[d, t] += weight[p, d] * s[t]
    return sums
