"""Survival of many patients under each treatment at every draw, reduced as it is made: over draws or over patients.

A patient enters only through a shift of eta. So for each draw and time the curve, averaged over whatever is averaged,
is worked out on a grid of eta and read off between its points (cubic; error below 1e-4), whatever the number of
patients; what is kept are sums and counts, never a number for each patient, draw and time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
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
from bayes_bm.runtime.types import Array
from bayes_bm.spec.document import Spec

STEP, EDGE = 0.2, 2
"""Of the grid of eta, and how many points it goes beyond the patients on either side."""
BINS = 500
"""Of survival, for quantiles over draws: they are right to half a bin."""
PATIENTS_AT_ONCE = 100
QUANTILES = {"q5": 0.05, "median": 0.5, "q95": 0.95}
LOWEST, PER_STEP, LEAST_WEIGHT = -14.0, 4, 1e-6
"""Below exp(-14) a cumulative hazard is none; steps of the table of averages over the level in one of the grid; nodes
of shape that weigh less are left out."""


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
    """S(t) of every patient under each treatment: mean, sd and quantiles over draws.

    Columns patient (row), treatment, time, mean, sd, q5, median, q95. `cohort`: a row a patient, a column a covariate;
    blank cells are averaged over the evidence's patients (`case_mix`).
    """
    at, rows = _times(times), []
    groups = _groups(result, cohort)
    for treatment in chosen_treatments(result, treatments, without):
        for places, patients in groups:
            for part, eta, surface in _parts(result, treatment, places, patients, at, who):
                moments, counts = _over_draws(eta, surface.low, surface.values, STEP, BINS)
                rows.append(_summaries(part, treatment, at, moments, counts, len(surface.low)))
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
    """Survival of the whole cohort had all had the same treatment (chain, draw, treatment, time): g-computation.

    S_a(t) = mean over the cohort's patients of S(t | x_i, a), at every posterior draw, so differences are paired. With
    `resample` each draw weighs the patients anew (Bayesian bootstrap), as if the cohort were a sample of whom the
    answer is about; without, it is about these patients.
    """
    at, wanted = _times(times), chosen_treatments(result, treatments, without)
    groups, samples = _groups(result, cohort), result.predictors.draws.samples
    size = sum(len(places) for places, _ in groups)
    rng = np.random.default_rng(np.random.SeedSequence(result.spec.seed, spawn_key=(STAGE,)))
    weight = rng.exponential(size=(samples, size)) if resample else np.ones((samples, size))
    weight /= weight.sum(axis=1, keepdims=True)
    values = np.zeros((samples, len(wanted), len(at)))
    for a, treatment in enumerate(wanted):
        for places, patients in groups:
            for part, eta, surface in _parts(result, treatment, places, patients, at, who):
                values[:, a] += _over_patients(eta, surface.low, surface.values, STEP, weight[:, part].T.copy())
    shaped = values.reshape(result.predictors.draws.chains, -1, *values.shape[1:])
    coords = {"treatment": wanted, "time": at}
    return xr.DataArray(shaped, dims=("chain", "draw", "treatment", "time"), coords=coords)


STAGE = 32


def mean_survival(
    result: Result, cohort: pd.DataFrame, treatment: Sequence[str], times: Sequence[float], *, who: Who | None = None
) -> Array:
    """Posterior mean of S(t) of every patient under the treatment that each had (patient, time)."""
    at, had = _times(times), np.asarray(treatment, dtype=object)
    found = np.empty((len(had), len(at)))
    for name in dict.fromkeys(had):
        mine = np.flatnonzero(had == name)
        for places, patients in _groups(result, cohort.iloc[mine]):
            for part, eta, surface in _parts(result, name, places, patients, at, who):
                moments, _ = _over_draws(eta, surface.low, surface.values, STEP, 1)
                found[mine[part]] = moments[..., 0] / len(surface.low)
    return found


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


OUTCOME_COLUMNS = ("time", "event", "treatment")


def read_cohort(spec: Spec, path: Path, *, outcomes: bool = False) -> pd.DataFrame:
    """A cohort file: covariates by name, and with `outcomes` time, event and treatment; columns `x_...` are left."""
    if not path.is_file():
        raise InputError(str(path), found="no such file")
    table = pd.read_csv(path)
    table = table[[name for name in table if not str(name).startswith("x_") and name != "patient"]]
    needed, known = OUTCOME_COLUMNS if outcomes else (), (*OUTCOME_COLUMNS, *spec.covariates)
    for name in needed:
        if name not in table:
            raise InputError(f"{path}, column {name}", found="no such column", allowed=", ".join(needed))
    for name in table:
        if name not in known:
            allowed = f"{', '.join(known)}, patient, or a name that starts with x_"
            raise InputError(f"{path}, column {name}", found="an unknown column", allowed=allowed)
    if outcomes:
        _check_outcomes(spec, table, path)
    return table if outcomes else table[[name for name in table if name in spec.covariates]]


def _check_outcomes(spec: Spec, table: pd.DataFrame, path: Path) -> None:
    rules = {
        "time": (pd.to_numeric(table["time"], errors="coerce") > 0, f"above 0, in {spec.time_unit}"),
        "event": (table["event"].isin([0, 1]), "1 for an event, 0 for censored"),
        "treatment": (table["treatment"].isin(spec.treatments.names), ", ".join(spec.treatments.names)),
    }
    for name, (right, allowed) in rules.items():
        if not right.all():
            row = int(np.argmin(right.to_numpy()))
            raise InputError(f"{path}, row {row + 2}, column {name}", found=table[name].iloc[row], allowed=allowed)


# ---------------------------------------------------------------------------------------------- patients


def _times(times: Sequence[float]) -> Array:
    at = np.asarray(times, dtype=float)
    if not (at.ndim == 1 and len(at) and np.isfinite(at).all() and (at > 0).all()):
        raise InputError("times", found=", ".join(f"{time:g}" for time in at.ravel()), allowed="times above 0")
    return at


Group = tuple[Array, list[dict[str, float]]]


def _groups(result: Result, cohort: pd.DataFrame | Sequence[Mapping[str, float]]) -> list[Group]:
    """Patients by what is not given: places in the cohort, and their covariates, checked."""
    rows = cohort.to_dict("records") if isinstance(cohort, pd.DataFrame) else list(cohort)
    if not rows:
        raise InputError("cohort", found="no patients", allowed="a row a patient")
    found: dict[frozenset[str], tuple[list[int], list[dict[str, float]]]] = {}
    for place, row in enumerate(rows):
        named = {str(name): value for name, value in row.items() if not _blank(value)}
        values = checked(result.spec, named, where=f"cohort, row {place + 1}")
        places, patients = found.setdefault(frozenset(values), ([], []))
        places.append(place)
        patients.append(values)
    return [(np.array(places), patients) for places, patients in found.values()]


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _parts(
    result: Result, treatment: str, places: Array, patients: list[dict[str, float]], times: Array, who: Who | None
) -> Iterator[tuple[Array, Array, _Surface]]:
    """A hundred patients at a time: their places, eta (patient, draw), and the surface of all of the group."""
    names = result.spec.treatments.names
    at, on = names.index(treatment), NewStudy() if who is None or isinstance(who, Patient) else who
    # whoever is not given differs in spread alone, so one population serves the group
    base = population(result, Patient(patients[0], on))
    slopes = result.predictors.draws.slopes[:, [at]]
    known = [name for name in result.spec.covariates if name in patients[0]]
    scale = np.array([result.spec.covariates[name].scale for name in known])
    x = np.array([[one[name] for name in known] for one in patients]).reshape(len(patients), len(known))
    apart = (x - x[0]) / scale
    columns = [list(result.spec.covariates).index(name) for name in known]
    shift = slopes[:, 0, columns]
    low, high = _ends(base.eta[:, at], shift, apart)
    surface = _surface(_of_treatment(base, at), low, high, times)
    for start in range(0, len(places), PATIENTS_AT_ONCE):
        rows = slice(start, start + PATIENTS_AT_ONCE)
        yield places[rows], base.eta[:, at] + apart[rows] @ shift.T, surface


def _ends(eta: Array, shift: Array, apart: Array) -> tuple[Array, Array]:
    """Smallest and largest eta of any patient at each draw."""
    low, high = np.full(len(eta), np.inf), np.full(len(eta), -np.inf)
    for start in range(0, len(apart), PATIENTS_AT_ONCE):
        mine = eta + apart[start : start + PATIENTS_AT_ONCE] @ shift.T
        low, high = np.minimum(low, mine.min(axis=0)), np.maximum(high, mine.max(axis=0))
    return low, high


def _of_treatment(of: Population, at: int) -> Population:
    one = slice(at, at + 1)
    return replace(
        of, eta=of.eta[:, one], shape=of.shape[:, one], eta_sd=of.eta_sd[:, one], shape_sd=of.shape_sd[:, one]
    )


def _summaries(
    places: Array, treatment: str, times: Array, moments: Array, counts: Array, samples: int
) -> pd.DataFrame:
    mean = moments[..., 0] / samples
    variance = np.maximum(moments[..., 1] / samples - mean**2, 0.0) * samples / max(samples - 1, 1)
    found = {"mean": mean.ravel(), "sd": np.sqrt(variance).ravel()}
    found |= {name: _quantile(counts, share, samples).ravel() for name, share in QUANTILES.items()}
    patient = np.repeat(places + 1, len(times))
    return pd.DataFrame({"patient": patient, "treatment": treatment, "time": np.tile(times, len(places)), **found})


@njit(cache=True)
def _quantile(counts, share, samples):  # pragma: no cover
    """From counts of survival in equal bins (patient, time, bin), evenly spread inside a bin."""
    patients, times, bins = counts.shape
    found, wanted = np.empty((patients, times)), share * samples
    for p in range(patients):
        for t in range(times):
            before, k = 0, 0
            while before + counts[p, t, k] < wanted:
                before += counts[p, t, k]
                k += 1
            found[p, t] = (k + (wanted - before) / counts[p, t, k]) / bins
    return found


# ---------------------------------------------------------------------------------------------- surface


def _surface(of: Population, low: Array, high: Array, times: Array) -> _Surface:
    """The curve of one treatment on a grid of eta that holds every patient."""
    low = low - EDGE * STEP
    points = np.ceil((high - low) / STEP).astype(int) + EDGE + 1
    if of.family.proportional and of.walk is None:
        return _Surface(low, _proportional_surface(of, low, points, times))
    # other families: the general quadrature at every point, as if each were a treatment
    grid = low[:, None] + STEP * np.arange(points.max())
    spread = {name: np.broadcast_to(getattr(of, name), grid.shape) for name in ("eta_sd", "shape_sd")}
    shape = np.broadcast_to(of.shape, (*grid.shape, of.shape.shape[-1])).copy()
    values = quadrature.survival(replace(of, eta=grid, shape=shape, **spread), times)
    return _Surface(low, values.astype(np.float32))


def _proportional_surface(of: Population, low: Array, points: Array, times: Array) -> Array:
    """log H = log H0(t) + eta: the average over the level is one function of log H, tabulated for each draw."""
    node, node_weight = np.polynomial.hermite_e.hermegauss(quadrature.LEVEL_NODES)
    varies = bool(np.any(of.shape_sd > 0))
    shape_node, shape_weight = np.polynomial.hermite_e.hermegauss(quadrature.SHAPE_NODES if varies else 1)
    share = shape_weight / shape_weight.sum()
    shape_node, share = shape_node[share > LEAST_WEIGHT], share[share > LEAST_WEIGHT]
    log_u = np.log(times / of.reference_time)
    baseline = np.stack([_log_baseline(of, log_u, z) for z in shape_node], axis=1)
    level = of.eta_sd[:, 0], node, node_weight / node_weight.sum()
    return _average(baseline, share, low, points, STEP, *level, LOWEST, PER_STEP)


def _log_baseline(of: Population, log_u: Array, z: float) -> Array:
    """log H at eta = 0 with the first shape z sds away (draw, time)."""
    shape = of.shape.copy()
    if shape.shape[-1]:
        shape[..., 0] += z * of.shape_sd
    zero = np.zeros((len(shape), 1))
    return of.family.log_cum_hazard(of.family.place(log_u[None, :]), zero, shape, xp=NUMPY)


@cached_njit(kernel)
def _average(baseline, shape_weight, low, points, step, sd, node, node_weight, lowest, per_step):  # pragma: no cover
    """S averaged over shape nodes, from a table over log H of its average over the level, draw by draw.

    `points` of each draw; behind them the grid stays empty. The table has `per_step` steps to one of the grid, so the
    points of a grid all lie at the same place between its entries, `per_step` apart: they stand in one row of it.
    """
    draws, shapes, times = baseline.shape
    highest, table_step = 5.0, step / per_step
    found = np.zeros((draws, points.max(), times), dtype=np.float32)
    for d in range(draws):
        # beyond six sds above, nobody is left even at the lowest level
        width = int((highest + 9.0 * sd[d] - lowest) / step) + 1
        table, factor = np.empty((per_step, width)), np.exp(sd[d] * node)
        for k in range(per_step * width):
            table[k % per_step, k // per_step] = _alive_at(np.exp(lowest + k * table_step), factor, node_weight)
        total = np.empty((times, points[d]))
        for t in range(times):
            total[t] = 0.0
            for w in range(shapes):
                _add(table, (baseline[d, w, t] + low[d] - lowest) / table_step, shape_weight[w], total[t])
        found[d, : points[d]] = total.T
    return found


@cached_njit(kernel, **SUMS)
def _alive_at(cum_hazard, factor, node_weight):  # pragma: no cover
    """E exp(-H) over the level, which multiplies the cumulative hazard at each node."""
    total = 0.0
    for m in range(len(factor)):
        total += node_weight[m] * exponential(-cum_hazard * factor[m])
    return total


@njit(cache=True, fastmath=True)
def _add(table, at, weight, total):  # pragma: no cover
    """Adds weight x table, read off by cubics at `at`, in steps of the table, and whole rows of it further on.

    Before the table everybody is alive, behind it nobody.
    """
    per, width = table.shape
    k = int(np.floor(at))
    f = at - k
    a, b = -f * (f - 1) * (f - 2) / 6 * weight, (f + 1) * (f - 1) * (f - 2) / 2 * weight
    c, d = -(f + 1) * f * (f - 2) / 2 * weight, (f + 1) * f * (f - 1) / 6 * weight
    # entries k - 1 to k + 2 of point 0: their row, and their place in it
    before, behind = (k - 1) // per, (k + 2) // per
    first = min(max(-before, 0), len(total))
    last = max(min(width - behind, len(total)), first)
    one, two = table[(k - 1) % per, before + first :], table[k % per, k // per + first :]
    three, four = table[(k + 1) % per, (k + 1) // per + first :], table[(k + 2) % per, behind + first :]
    for g in range(first):
        total[g] += weight
    for g in range(last - first):
        total[first + g] += a * one[g] + b * two[g] + c * three[g] + d * four[g]


@njit(cache=True, inline="always", fastmath=True)
def _between(rows, at, out):  # pragma: no cover
    """Cubic between rows of a grid (point, time): S at every time into `out`."""
    k = min(max(int(at), 1), len(rows) - 3)
    f = np.float32(at - k)
    one, two, six = np.float32(1), np.float32(2), np.float32(6)
    a, b = -f * (f - one) * (f - two) / six, (f + one) * (f - one) * (f - two) / two
    c, d = -(f + one) * f * (f - two) / two, (f + one) * f * (f - one) / six
    for t in range(rows.shape[1]):
        out[t] = a * rows[k - 1, t] + b * rows[k, t] + c * rows[k + 1, t] + d * rows[k + 2, t]


@njit(cache=True, fastmath=True)
def _over_draws(eta, low, values, step, bins):  # pragma: no cover
    """Sums of S and S^2 over draws (patient, time, 2), and counts of S in equal bins (patient, time, bin)."""
    patients, draws = eta.shape
    times = values.shape[2]
    moments, s = np.zeros((patients, times, 2)), np.empty(times, dtype=np.float32)
    counts = np.zeros((patients, times, bins), dtype=np.int32)
    for p in range(patients):
        mean, square = np.zeros(times), np.zeros(times)
        mine = counts[p]
        for d in range(draws):
            _between(values[d], (eta[p, d] - low[d]) / step, s)
            for t in range(times):
                mean[t] += s[t]
                square[t] += s[t] * s[t]
            for t in range(times):
                mine[t, min(max(int(s[t] * bins), 0), bins - 1)] += 1
        moments[p, :, 0], moments[p, :, 1] = mean, square
    return moments, counts


@njit(cache=True, fastmath=True)
def _over_patients(eta, low, values, step, weight):  # pragma: no cover
    """Weighted sum of S over patients (draw, time); weight (patient, draw)."""
    patients, draws = eta.shape
    times = values.shape[2]
    found, s = np.zeros((draws, times)), np.empty(times, dtype=np.float32)
    for d in range(draws):
        for p in range(patients):
            _between(values[d], (eta[p, d] - low[d]) / step, s)
            for t in range(times):
                found[d, t] += weight[p, d] * s[t]
    return found
