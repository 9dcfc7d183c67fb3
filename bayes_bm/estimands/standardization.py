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
from numba import njit

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.population import population
from bayes_bm.estimands.quadrature import Population
from bayes_bm.estimands.quantities import chosen_treatments
from bayes_bm.estimands.who import NewStudy, Patient, Who
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.compiled import kernel
from bayes_bm.inference.compiled.kernel import SUMS, exponential
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import checked
from bayes_bm.runtime.compiling import cached_njit
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.runtime.types import Array

STEP = 0.2
"""Step of the grid of eta (log scale): cubics between its points are right to 1e-4 of survival."""
EDGE = 2
"""Number of grid points beyond the patients on either side; a cubic needs one on each side of its interval."""
BINS = 500
"""Of survival, for quantiles over draws: they are right to half a bin."""
PATIENTS_AT_ONCE = 100
"""Number of patients whose eta (patient, draw) is held at once, to bound memory."""
QUANTILES = {"q5": 0.05, "median": 0.5, "q95": 0.95}
"""Quantiles over draws that tables give, by column."""
LOWEST = -14.0
"""Log cumulative hazard at which the table starts: below exp(-14) a cumulative hazard is none."""
PER_STEP = 4
"""Number of steps of the table of averages over the level in one step of the grid of eta."""
LEAST_WEIGHT = 1e-6
"""Weight (a probability) at or below which a node of shape is left out: below the error of the grid."""


@dataclass(frozen=True)
class _Surface:
    """S at each draw, grid point and time (draw, point, time), in single precision; point k of draw d lies at
    low[d] + k STEP.
    """

    low: Array
    values: Array


def survival_table(
    result: Result,
    cohort: pd.DataFrame | Sequence[Mapping[str, float]],
    times: Sequence[float],
    *,
    treatments: Sequence[str] | None = None,
    without: Sequence[str] = (),
    who: Who | None = None,
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
    who : AverageStudy, NewStudy, NewHospital or Study, optional
        Whose study effects the patients have; by default `NewStudy()`.

    Returns
    -------
    pandas.DataFrame
        Columns patient (row of the cohort, from 1), treatment, time, mean, sd, q5, median, q95.

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
    [[1, 'gtr'], [2, 'gtr'], [1, 'str'], [2, 'str']]
    """
    time_array, rows = _checked_survival_times(times), []
    groups = _missingness_groups(result, cohort)
    for treatment in chosen_treatments(result, treatments, without):
        for places, patients in groups:
            for part, eta, surface in _patient_batches(result, treatment, places, patients, time_array, who):
                moments, counts = _reduce_draws(eta, surface.low, surface.values, STEP, BINS)
                rows.append(_summary_rows(part, treatment, time_array, moments, counts, len(surface.low)))
    table = pd.concat(rows, ignore_index=True)
    return table.sort_values(["treatment", "patient", "time"], kind="stable", ignore_index=True)


def standardise(
    result: Result,
    cohort: pd.DataFrame | Sequence[Mapping[str, float]],
    times: Sequence[float],
    *,
    treatments: Sequence[str] | None = None,
    without: Sequence[str] = (),
    who: Who | None = None,
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
            for part, eta, surface in _patient_batches(result, treatment, places, patients, time_array, who):
                values[:, a] += _reduce_patients(eta, surface.low, surface.values, STEP, weight[:, part].T.copy())
    shaped = values.reshape(result.predictors.draws.chains, -1, *values.shape[1:])
    coords = {"treatment": wanted, "time": time_array}
    return xr.DataArray(shaped, dims=("chain", "draw", "treatment", "time"), coords=coords)


def mean_survival(
    result: Result, cohort: pd.DataFrame, treatment: Sequence[str], times: Sequence[float], *, who: Who | None = None
) -> Array:
    """Posterior mean of S(t) of every patient under the treatment that each had (patient, time)."""
    time_array, had = _checked_survival_times(times), np.asarray(treatment, dtype=object)
    means = np.empty((len(had), len(time_array)))
    for name in dict.fromkeys(had):
        rows = np.flatnonzero(had == name)
        for places, patients in _missingness_groups(result, cohort.iloc[rows]):
            for part, eta, surface in _patient_batches(result, name, places, patients, time_array, who):
                moments, _ = _reduce_draws(eta, surface.low, surface.values, STEP, 1)
                means[rows[part]] = moments[..., 0] / len(surface.low)
    return means


def standardised_table(values: xr.DataArray) -> pd.DataFrame:
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
                quantiles = {label: float(np.quantile(one, share)) for label, share in QUANTILES.items()}
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


def _patient_batches(
    result: Result, treatment: str, places: Array, patients: list[dict[str, float]], times: Array, who: Who | None
) -> Iterator[tuple[Array, Array, _Surface]]:
    """A hundred patients at a time: their places, eta (patient, draw), and the surface of all of the group."""
    names = result.spec.treatments.names
    treatment_index, study_effects = (
        names.index(treatment),
        NewStudy() if who is None or isinstance(who, Patient) else who,
    )
    # whoever is not given differs in spread alone, so one population serves the group
    base = population(result, Patient(patients[0], study_effects))
    slopes = result.predictors.draws.slopes[:, [treatment_index]]
    covariates = [name for name in result.spec.covariates if name in patients[0]]
    scale = np.array([result.spec.covariates[name].scale for name in covariates])
    patient_values = np.array([[one[name] for name in covariates] for one in patients]).reshape(
        len(patients), len(covariates)
    )
    offsets = (patient_values - patient_values[0]) / scale
    columns = [list(result.spec.covariates).index(name) for name in covariates]
    shift = slopes[:, 0, columns]
    low, high = _eta_range_by_draw(base.eta[:, treatment_index], shift, offsets)
    surface = _surface(_single_treatment(base, treatment_index), low, high, times)
    for start in range(0, len(places), PATIENTS_AT_ONCE):
        rows = slice(start, start + PATIENTS_AT_ONCE)
        yield places[rows], base.eta[:, treatment_index] + offsets[rows] @ shift.T, surface


def _eta_range_by_draw(eta: Array, shift: Array, offsets: Array) -> tuple[Array, Array]:
    """Smallest and largest eta of any patient at each draw."""
    low, high = np.full(len(eta), np.inf), np.full(len(eta), -np.inf)
    for start in range(0, len(offsets), PATIENTS_AT_ONCE):
        patient_eta = eta + offsets[start : start + PATIENTS_AT_ONCE] @ shift.T
        low, high = np.minimum(low, patient_eta.min(axis=0)), np.maximum(high, patient_eta.max(axis=0))
    return low, high


def _single_treatment(population: Population, treatment_index: int) -> Population:
    one = slice(treatment_index, treatment_index + 1)
    return replace(
        population,
        eta=population.eta[:, one],
        shape=population.shape[:, one],
        eta_sd=population.eta_sd[:, one],
        shape_sd=population.shape_sd[:, one],
    )


def _summary_rows(
    places: Array, treatment: str, times: Array, moments: Array, counts: Array, samples: int
) -> pd.DataFrame:
    mean = moments[..., 0] / samples
    variance = np.maximum(moments[..., 1] / samples - mean**2, 0.0) * samples / max(samples - 1, 1)
    columns = {"mean": mean.ravel(), "sd": np.sqrt(variance).ravel()}
    columns |= {name: _count_quantiles(counts, share, samples).ravel() for name, share in QUANTILES.items()}
    patient = np.repeat(places + 1, len(times))
    return pd.DataFrame({"patient": patient, "treatment": treatment, "time": np.tile(times, len(places)), **columns})


@njit(cache=True)
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


# ---------------------------------------------------------------------------------------------- surface


def _surface(population: Population, low: Array, high: Array, times: Array) -> _Surface:
    """The curve of one treatment on a grid of eta that holds every patient."""
    low = low - EDGE * STEP
    points = np.ceil((high - low) / STEP).astype(int) + EDGE + 1
    if population.family.proportional and population.walk is None:
        return _Surface(low, _proportional_surface(population, low, points, times))
    # other families: the general quadrature at every point, as if each were a treatment
    grid = low[:, None] + STEP * np.arange(points.max())
    spread = {name: np.broadcast_to(getattr(population, name), grid.shape) for name in ("eta_sd", "shape_sd")}
    shape = np.broadcast_to(population.shape, (*grid.shape, population.shape.shape[-1])).copy()
    values = quadrature.survival(replace(population, eta=grid, shape=shape, **spread), times)
    return _Surface(low, values.astype(np.float32))


def _proportional_surface(population: Population, low: Array, points: Array, times: Array) -> Array:
    """log H = log H0(t) + eta: the average over the level is one function of log H, tabulated for each draw."""
    node, node_weight = np.polynomial.hermite_e.hermegauss(quadrature.LEVEL_NODES)
    varies = bool(np.any(population.shape_sd > 0))
    shape_node, shape_weight = np.polynomial.hermite_e.hermegauss(quadrature.SHAPE_NODES if varies else 1)
    share = shape_weight / shape_weight.sum()
    shape_node, share = shape_node[share > LEAST_WEIGHT], share[share > LEAST_WEIGHT]
    log_u = np.log(times / population.reference_time)
    baseline = np.stack([_log_baseline(population, log_u, z) for z in shape_node], axis=1)
    level = population.eta_sd[:, 0], node, node_weight / node_weight.sum()
    return _tabulate_survival(baseline, share, low, points, STEP, *level, LOWEST, PER_STEP)


def _log_baseline(population: Population, log_u: Array, z: float) -> Array:
    """log H at eta = 0 with the first shape z sds away (draw, time)."""
    shape = population.shape.copy()
    if shape.shape[-1]:
        shape[..., 0] += z * population.shape_sd
    zero = np.zeros((len(shape), 1))
    return population.family.log_cum_hazard(population.family.place(log_u[None, :]), zero, shape, xp=NUMPY)


@cached_njit(kernel)
def _tabulate_survival(
    baseline, shape_weight, low, points, step, sd, node, node_weight, lowest, per_step
):  # pragma: no cover
    """S averaged over shape nodes, from a table over log H of its average over the level, draw by draw.

    `points` of each draw; behind them the grid stays empty. The table has `per_step` steps to one of the grid, so the
    points of a grid all lie at the same place between its entries, `per_step` apart: they stand in one row of it.
    """
    draws, shapes, times = baseline.shape
    highest, table_step = 5.0, step / per_step
    averages = np.zeros((draws, points.max(), times), dtype=np.float32)
    for d in range(draws):
        # beyond six sds above, nobody is left even at the lowest level
        width = int((highest + 9.0 * sd[d] - lowest) / step) + 1
        table, factor = np.empty((per_step, width)), np.exp(sd[d] * node)
        for k in range(per_step * width):
            table[k % per_step, k // per_step] = _level_survival(np.exp(lowest + k * table_step), factor, node_weight)
        total = np.empty((times, points[d]))
        for t in range(times):
            total[t] = 0.0
            for w in range(shapes):
                _add_table_rows(table, (baseline[d, w, t] + low[d] - lowest) / table_step, shape_weight[w], total[t])
        averages[d, : points[d]] = total.T
    return averages


@cached_njit(kernel, **SUMS)
def _level_survival(cum_hazard, factor, node_weight):  # pragma: no cover
    """E exp(-H) over the level, which multiplies the cumulative hazard at each node."""
    total = 0.0
    for m in range(len(factor)):
        total += node_weight[m] * exponential(-cum_hazard * factor[m])
    return total


@njit(cache=True, fastmath=True)
def _add_table_rows(table, position, weight, total):  # pragma: no cover
    """Adds weight x table, read off by cubics at `at`, in steps of the table, and whole rows of it further on.

    Before the table everybody is alive, behind it nobody.
    """
    row_count, width = table.shape
    k = int(np.floor(position))
    f = position - k
    a, b = -f * (f - 1) * (f - 2) / 6 * weight, (f + 1) * (f - 1) * (f - 2) / 2 * weight
    c, d = -(f + 1) * f * (f - 2) / 2 * weight, (f + 1) * f * (f - 1) / 6 * weight
    # entries k - 1 to k + 2 of point 0: their row, and their place in it
    first_column, last_column = (k - 1) // row_count, (k + 2) // row_count
    first = min(max(-first_column, 0), len(total))
    last = max(min(width - last_column, len(total)), first)
    one, two = table[(k - 1) % row_count, first_column + first :], table[k % row_count, k // row_count + first :]
    three, four = (
        table[(k + 1) % row_count, (k + 1) // row_count + first :],
        table[(k + 2) % row_count, last_column + first :],
    )
    for g in range(first):
        total[g] += weight
    for g in range(last - first):
        total[first + g] += a * one[g] + b * two[g] + c * three[g] + d * four[g]


@njit(cache=True, inline="always", fastmath=True)
def _cubic_survival(rows, position, out):  # pragma: no cover
    """Cubic between rows of a grid (point, time): S at every time into `out`."""
    k = min(max(int(position), 1), len(rows) - 3)
    f = np.float32(position - k)
    one, two, six = np.float32(1), np.float32(2), np.float32(6)
    a, b = -f * (f - one) * (f - two) / six, (f + one) * (f - one) * (f - two) / two
    c, d = -(f + one) * f * (f - two) / two, (f + one) * f * (f - one) / six
    for t in range(rows.shape[1]):
        out[t] = a * rows[k - 1, t] + b * rows[k, t] + c * rows[k + 1, t] + d * rows[k + 2, t]


@njit(cache=True, fastmath=True)
def _reduce_draws(eta, low, values, step, bins):  # pragma: no cover
    """Sums of S and S^2 over draws (patient, time, 2), and counts of S in equal bins (patient, time, bin)."""
    patients, draws = eta.shape
    times = values.shape[2]
    moments, s = np.zeros((patients, times, 2)), np.empty(times, dtype=np.float32)
    counts = np.zeros((patients, times, bins), dtype=np.int32)
    for p in range(patients):
        mean, square = np.zeros(times), np.zeros(times)
        patient_counts = counts[p]
        for d in range(draws):
            _cubic_survival(values[d], (eta[p, d] - low[d]) / step, s)
            for t in range(times):
                mean[t] += s[t]
                square[t] += s[t] * s[t]
            for t in range(times):
                patient_counts[t, min(max(int(s[t] * bins), 0), bins - 1)] += 1
        moments[p, :, 0], moments[p, :, 1] = mean, square
    return moments, counts


@njit(cache=True, fastmath=True)
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
