"""What is observed: the arrays of every kind of evidence, its density and a draw from it.

Known to the model (which observes them), to the pointwise log-likelihood and to the predictive checks (which replicate
them), so that all three read the same numbers. A new kind of evidence is a density in `likelihoods.py` and a line here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import Family
from bayes_bm.hazards.family import eta_at, inverse, placed
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.model import likelihoods
from bayes_bm.model.covariates.integration_points import ratio_points
from bayes_bm.model.likelihoods import NO_ENTRY
from bayes_bm.spec.document import Spec

# ---------------------------------------------------------------------------------------------- data


def log_time(time: Any, spec: Spec) -> np.ndarray:
    """log(t / t0); time zero becomes NO_ENTRY."""
    time = np.asarray(time, dtype=float)
    with np.errstate(divide="ignore"):
        return np.where(time > 0, np.log(time / spec.reference_time), NO_ENTRY)


def observations(
    spec: Spec, evidence: Evidence, family: Family, *, missing: np.ndarray, crude: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of every observed variable, by its name; kinds without rows are left out.

    A family with a basis finds its values at every time beside the time, so that none is evaluated while sampling.
    `missing` are the patients who are averaged over covariates that they lack (patient,), `crude` the hazard ratios
    that are averaged over their study's covariates (ratio,).
    """
    patients = _patients_by_knowledge(spec, evidence, missing)
    kinds = {
        **patients,
        "points": _point_arrays(spec, evidence),
        "medians": _median_arrays(spec, evidence, "order"),
        "median_intervals": _median_arrays(spec, evidence, "interval"),
        "medians_not_reached": _median_arrays(spec, evidence, "not_reached"),
        "counts": _count_arrays(spec, evidence),
        "registry": _registry_arrays(spec, evidence),
        "hazard_ratios": _ratio_arrays(spec, evidence, family, crude),
    }
    return {
        name: {**arrays, **_placed(arrays, family)}
        for name, arrays in kinds.items()
        if len(next(iter(arrays.values())))
    }


def all_patients(spec: Spec, evidence: Evidence, family: Family) -> dict[str, np.ndarray]:
    """Arrays of all patients, row by row of `evidence.patients`; a covariate that is not known is 0, and `blank`."""
    arrays = _with_blanks(_patient_arrays(spec, evidence))
    return {**arrays, **_placed(arrays, family)}


def _patients_by_knowledge(spec: Spec, evidence: Evidence, missing: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Patients whose covariates are known, those of arms that are averaged over theirs, and those who lack some."""
    arrays = _with_blanks(_patient_arrays(spec, evidence))
    blank = arrays["blank"].any(axis=1)
    complete, averaged = ~blank, blank & ~missing
    unused = {"patients": ("blank",), "patients_averaged": ("x", "blank"), "patients_imputed": ()}
    return {
        name: {key: values[rows] for key, values in arrays.items() if key not in unused[name]}
        for name, rows in zip(unused, (complete, averaged, missing), strict=True)
    }


def _with_blanks(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    blank = np.isnan(arrays["x"])
    return {**arrays, "x": np.where(blank, 0.0, arrays["x"]), "blank": blank.astype(float)}


def merge_ties(patients: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Patients alike in all but weight as one row of their summed weight, first come first: the same density."""
    alike = np.column_stack([values for name, values in patients.items() if name != "weight"])
    _, first, cell = np.unique(alike, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    weight = np.bincount(cell.ravel(), weights=patients["weight"], minlength=len(first))[order]
    return {name: weight if name == "weight" else values[first[order]] for name, values in patients.items()}


def is_arm_level(name: str) -> bool:
    """Whether a kind of evidence speaks about arms, whose patients differ, and not about a patient."""
    return name not in ("patients", "patients_imputed", "hazard_ratios")


TIMES = ("log_u", "log_upper", "log_entry", "log_start", "log_node")
"""Times at which a density reads the hazard."""


def _placed(arrays: dict[str, np.ndarray], family: Family) -> dict[str, np.ndarray]:
    if family.basis is None:
        return {}
    return {placed(name): family.place(values) for name, values in arrays.items() if name in TIMES}


def active_terms(arrays: Mapping[str, np.ndarray]) -> dict[str, bool]:
    """Which terms of a density any row has: those that none has are not computed."""
    entered = "log_entry" in arrays and bool((arrays["log_entry"] > NO_ENTRY).any())
    interval = "interval" in arrays and bool((arrays["interval"] > 0).any())
    return {"any_entry": entered, "any_interval": interval}


def _patient_arrays(spec: Spec, evidence: Evidence) -> dict[str, np.ndarray]:
    rows = evidence.patients
    interval = np.isfinite(rows["time_upper"].to_numpy(dtype=float))
    event = rows["event"].to_numpy(dtype=float)
    upper = np.where(interval, rows["time_upper"], rows["time"] * 2)
    scaled = [term.scaled(rows[name]) for name, term in spec.covariates.items()]
    return {
        "arm_row": rows["arm_row"].to_numpy(dtype=int),
        "log_u": log_time(rows["time"], spec),
        "log_upper": log_time(upper, spec),
        "log_entry": log_time(rows["entry"], spec),
        "exact": np.where(interval, 0.0, event),
        "interval": interval.astype(float),
        "weight": rows["weight"].to_numpy(dtype=float),
        "log_t0": np.full(len(rows), np.log(spec.reference_time)),
        "x": np.column_stack(scaled).astype(float) if scaled else np.zeros((len(rows), 0)),
    }


def _point_arrays(spec: Spec, evidence: Evidence) -> dict[str, np.ndarray]:
    rows = evidence.sequences
    return {
        "arm_row": rows["arm_row"].to_numpy(dtype=int),
        "ratio": rows["ratio"].to_numpy(dtype=float),
        "size": rows["size"].to_numpy(dtype=float),
        "log_u": log_time(rows["time"], spec),
        "log_start": log_time(rows["start"], spec),
    }


def _median_arrays(spec: Spec, evidence: Evidence, median_kind: str) -> dict[str, np.ndarray]:
    rows = evidence.medians[evidence.medians["law"] == median_kind]
    arm_row = rows["arm_row"].to_numpy(dtype=int)
    shift = evidence.arms["shift"].to_numpy(dtype=float)[arm_row]
    time = rows["time"].to_numpy(dtype=float)
    return {
        "arm_row": arm_row,
        "log_u": log_time(time + shift, spec),
        "log_m": log_time(time, spec),
        "log_entry": log_time(evidence.arms["entry"].to_numpy(dtype=float)[arm_row], spec),
        "shift": shift / spec.reference_time,
        # a law reads one of the two; pm.Data takes no NaN
        "alpha": rows["alpha"].astype(float).fillna(1.0).to_numpy(),
        "sd": rows["sd"].astype(float).fillna(1.0).to_numpy(),
        "log_t0": np.full(len(rows), np.log(spec.reference_time)),
    }


def _count_arrays(spec: Spec, evidence: Evidence) -> dict[str, np.ndarray]:
    """A blank time is put at t0: H = exp(eta) there, whatever the shape (docs/decisions.md#8-counts)."""
    rows = evidence.counts
    arm_row = rows["arm_row"].to_numpy(dtype=int)
    timed = np.isfinite(rows["time"].to_numpy(dtype=float))
    time = rows["time"].to_numpy(dtype=float) + evidence.arms["shift"].to_numpy(dtype=float)[arm_row]
    entry = np.where(timed, evidence.arms["entry"].to_numpy(dtype=float)[arm_row], 0.0)
    return {
        "arm_row": arm_row,
        "events": rows["events"].to_numpy(dtype=float),
        "n": rows["n"].to_numpy(dtype=float),
        "log_u": np.where(timed, log_time(np.where(timed, time, 1.0), spec), 0.0),
        "log_entry": log_time(entry, spec),
    }


def _registry_arrays(spec: Spec, evidence: Evidence) -> dict[str, np.ndarray]:
    """The same conditional binomials as a sequence of points, with sizes that were counted."""
    rows = evidence.registry
    alive, n = (rows[name].to_numpy(dtype=float) for name in ("alive", "n"))
    return {
        "arm_row": rows["arm_row"].to_numpy(dtype=int),
        "ratio": alive / n,
        "size": n,
        "log_u": log_time(rows["time"], spec),
        "log_start": log_time(rows["start"], spec),
    }


def _ratio_arrays(spec: Spec, evidence: Evidence, family: Family, crude: np.ndarray) -> dict[str, np.ndarray]:
    cholesky = evidence.hr_cholesky
    whitener = np.linalg.inv(cholesky) if len(cholesky) else cholesky
    arrays = {
        "log_hr": evidence.hazard_ratios["log_hr"].to_numpy(dtype=float),
        "whitener": whitener,
        "log_diagonal": np.log(np.diag(cholesky)),
    }
    averaged = np.flatnonzero(crude)
    if not len(averaged) and (spec.proportional or not len(cholesky)):
        return arrays
    # where hazards are proportional only the averaged ratios read it, and those have one
    followup = evidence.hazard_ratios["followup"].fillna(spec.reference_time).to_numpy(dtype=float)
    if family.event_weighted_log_hr is not None:
        arrays["log_followup"] = np.log(followup / spec.reference_time)
    if family.event_weighted_log_hr is None or len(averaged):
        log_node, log_step = likelihoods.followup_nodes(followup / spec.reference_time)
        arrays |= {"log_node": log_node, "log_step": log_step}
    return {**arrays, "averaged": averaged, "x": ratio_points(spec, evidence, crude)} if len(averaged) else arrays


# ---------------------------------------------------------------------------------------------- densities


@dataclass(frozen=True)
class Kind:
    """One kind of evidence: the datum that is observed, its log density and a draw from it."""

    value: str
    log_density: Callable[..., Any]
    draw: Callable[..., np.ndarray]


def entered_hazard(family: Family, data: Any, eta: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """H at entry of each row, zero for those who did not come late."""
    start = likelihoods.entry(data)
    return np.zeros(()) if start is None else np.exp(family.log_cum_hazard(start, eta, shape, xp=NUMPY))


def _draw_times(family: Family, data: Any, eta: np.ndarray, shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """log(t / t0) of fresh event times, given alive at entry; a censored patient is seen at most to the censoring
    time.
    """
    entered = entered_hazard(family, data, eta, shape)
    log_u = inverse(family, np.log(entered + rng.exponential(size=np.shape(eta))), eta, shape, xp=NUMPY)
    return np.where(data.exact + data.interval > 0, log_u, np.minimum(log_u, data.log_u))


def _draw_ratios(family: Family, data: Any, eta: np.ndarray, shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drop = likelihoods.cum_hazard_from(family, eta_at(data, "log_u"), eta_at(data, "log_start"), eta, shape, xp=NUMPY)
    size = np.maximum(np.rint(data.size), 1).astype(int)
    return rng.binomial(np.broadcast_to(size, np.shape(drop)), np.exp(-drop)) / size


def _draw_median(family: Family, data: Any, eta: np.ndarray, shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """log(m / t0), m the middle order statistic: F(m) ~ Beta(alpha, alpha)."""
    dead = rng.beta(data.alpha, data.alpha, size=np.shape(eta))
    entered = entered_hazard(family, data, eta, shape)
    return inverse(family, np.log(entered - np.log1p(-dead)), eta, shape, xp=NUMPY)


def _draw_log_median(
    family: Family, data: Any, eta: np.ndarray, shape: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    two = likelihoods.LOG_TWO
    model = likelihoods.log_median(family, likelihoods.entry(data), eta, shape, log_two=two, xp=NUMPY)
    return np.log(np.exp(model) - data.shift) + data.sd * rng.standard_normal(np.shape(model))


def _draw_not_reached(
    family: Family, data: Any, eta: np.ndarray, shape: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    return (_draw_median(family, data, eta, shape, rng) > data.log_u).astype(float)


def _draw_events(family: Family, data: Any, eta: np.ndarray, shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    used = likelihoods.cum_hazard_from(family, eta_at(data, "log_u"), likelihoods.entry(data), eta, shape, xp=NUMPY)
    n = np.broadcast_to(np.rint(data.n).astype(int), np.shape(used))
    return rng.binomial(n, -np.expm1(-used)).astype(float)


KINDS: dict[str, Kind] = {
    "patients": Kind("log_u", likelihoods.patients, _draw_times),
    "patients_averaged": Kind("log_u", likelihoods.patients, _draw_times),
    "patients_imputed": Kind("log_u", likelihoods.patients, _draw_times),
    "points": Kind("ratio", likelihoods.points, _draw_ratios),
    "medians": Kind("log_u", likelihoods.median_order, _draw_median),
    "median_intervals": Kind("log_m", likelihoods.median_interval, _draw_log_median),
    "medians_not_reached": Kind("reached_after", likelihoods.median_not_reached, _draw_not_reached),
    "counts": Kind("events", likelihoods.counts, _draw_events),
    "registry": Kind("ratio", likelihoods.points, _draw_ratios),
}
"""Kinds that speak about an arm's curve. Hazard ratios speak about contrasts and stand apart."""
