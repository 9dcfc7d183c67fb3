"""Spec + evidence -> the arrays that `kernel.log_density` reads.

Patients who differ in nothing but their time are one group: its events enter as counts and sums, its cumulative hazard
as exp(eta) sum w u^k, tied times joined into one row with the sum of their weights. Entry times are a group of their
own with the opposite sign, or rows of negative weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaln, gammaln

from bayes_bm.inference.compiled import kernel
from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.kernel import Problem
from bayes_bm.inference.compiled.parametrization import choose_parametrization
from bayes_bm.inference.compiled.power_sums import HIGHEST, LOWEST, fit_power_sums
from bayes_bm.model.design import Design
from bayes_bm.model.likelihoods import NO_ENTRY
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.spec.document import Spec

MANY_ROWS = 8
"""A group of fewer distinct times is summed directly: about the cost of its polynomial."""

Arrays = Mapping[str, np.ndarray]
Fields = dict[str, Any]


def pack_problem(inputs: ModelInputs) -> tuple[Coordinates, Problem]:
    """The coordinates of a model and everything its density reads. For models that `coverage.why_not` lets pass."""
    spec, design, kinds = inputs.spec, inputs.design, inputs.kinds
    coordinates = Coordinates.of(spec, design, choose_parametrization(inputs))
    fields = {
        **_structure(coordinates, spec, design),
        **_patients(kinds.get("patients"), len(inputs.evidence.arms), len(spec.covariates)),
        **_binomials(kinds),
        **_medians(kinds),
        **_ratios(kinds.get("hazard_ratios"), design),
    }
    return coordinates, Problem.of(fields)


# ---------------------------------------------------------------------------------------------- structure


def _structure(at: Coordinates, spec: Spec, shape: Design) -> Fields:
    return {
        "law": at.laws,
        **dict(zip(("prior_a", "prior_b", "prior_df", "prior_constant"), at.numbers.T, strict=True)),
        "place": _places(at, spec, shape),
        "arm_study": shape.arm_study + 1,
        "arm_treatment": shape.arm_treatment,
        "arm_pair": shape.arm_pair,
        "pair_first": _first_of_study(shape),
        "pair_cholesky": shape.pair_cholesky,
        "pair_treatment": _whole([shape.treatments.index(treatment) for _, treatment in shape.pairs]),
        "pair_centred": at.centring.pair,
        "level_centred": at.centring.level,
        "level_treatment": shape.arm_treatment[at.centring.main],
        "level_pair": shape.arm_pair[at.centring.main],
        "shape_centred": at.centring.shape,
        "coefficient_at": _whole([at.starts[f"coefficient_{name}"] for name in spec.covariates]),
        "interaction_at": _interaction_places(at, spec, len(shape.compared)),
        "bias_at": _whole([at.starts.get(f"bias_{name}", -1) for name in spec.modelled_biases]),
        "bias_given": [0.0 if term.value is None else term.value.value for term in spec.modelled_biases.values()],
        "arm_bias": shape.arm_bias,
        "ratio_bias": shape.hr_bias,
    }


NAMES = {
    "log_hr": kernel.LOG_HR,
    "study_treatment_sd": kernel.DEVIATION_SD,
    "study_treatment_effect_standard": kernel.DEVIATION,
    "intercept": kernel.INTERCEPT,
    "study_sd": kernel.LEVEL_SD,
    "study_effect_standard": kernel.LEVEL,
    "study_effect": kernel.LEVEL,
    "log_shape": kernel.SHAPE,
    "study_shape_sd": kernel.SHAPE_SD,
    "study_log_shape_standard": kernel.STUDY_SHAPE,
    "study_log_shape": kernel.STUDY_SHAPE,
    "study_shape": kernel.STUDY_SHAPE,
    "treatment_log_shape": kernel.TREATMENT_SHAPE,
}
"""The kernel's block of each variable."""


def _places(at: Coordinates, spec: Spec, shape: Design) -> np.ndarray:
    place = np.full(kernel.COVARIATES + 1, -1)
    for name, start in at.starts.items():
        if name in NAMES:
            place[NAMES[name]] = start
    place[kernel.NATURAL_SHAPE] = "study_shape" in at.starts
    place[kernel.STUDIES], place[kernel.COVARIATES] = len(shape.studies), len(spec.covariates)
    return place


def _first_of_study(shape: Design) -> np.ndarray:
    studies = [study for study, _ in shape.pairs]
    return _whole([studies.index(study) for study in studies])


def _interaction_places(at: Coordinates, spec: Spec, treatments: int) -> np.ndarray:
    found = np.full((treatments, len(spec.covariates)), -1)
    for name in spec.modifiers:
        alone = spec.covariates[name].interaction_by == "treatment"
        start = at.starts[f"interaction_{name}"]
        found[:, list(spec.covariates).index(name)] = start + (np.arange(treatments) if alone else 0)
    return found.ravel()


def _whole(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


# ---------------------------------------------------------------------------------------------- patients


@dataclass(frozen=True)
class PatientRows:
    """Distinct rows of patients in order of arm, covariates, times: tied ones are one, with their weights summed."""

    arm: np.ndarray
    x: np.ndarray
    times: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, arm: np.ndarray, x: np.ndarray, times: np.ndarray, weight: np.ndarray) -> "PatientRows":
        """`times` (row, 1 or 2)."""
        keys = np.column_stack([arm, x, times])
        order = np.lexsort(keys.T[::-1])
        keys, weight = keys[order], weight[order]
        new = np.ones(len(keys), dtype=bool)
        new[1:] = (keys[1:] != keys[:-1]).any(axis=1)
        first = np.flatnonzero(new)
        sums = np.add.reduceat(weight, first) if len(first) else weight
        keys, width = keys[first], x.shape[1]
        return cls(keys[:, 0].astype(np.int64), keys[:, 1 : 1 + width], keys[:, 1 + width :], sums)

    def groups(self) -> np.ndarray:
        """Where each group of one arm and the same covariates begins, and the end."""
        keys = np.column_stack([self.arm, self.x])
        new = np.ones(len(keys), dtype=bool)
        new[1:] = (keys[1:] != keys[:-1]).any(axis=1)
        return np.append(np.flatnonzero(new), len(keys))

    def at(self, chosen: np.ndarray) -> "PatientRows":
        return PatientRows(self.arm[chosen], self.x[chosen], self.times[chosen], self.weight[chosen])


def _patients(data: Arrays | None, arms: int, covariates: int) -> Fields:
    data = _nobody(covariates) if data is None else data
    arm, x, weight, log_u = data["arm_row"], data["x"], data["weight"], data["log_u"]
    seen, late = log_u > NO_ENTRY, data["log_entry"] > NO_ENTRY
    until = PatientRows.of(arm[seen], x[seen], log_u[seen, None], weight[seen])
    entry = PatientRows.of(arm[late], x[late], data["log_entry"][late, None], weight[late])
    return {
        **_events(data, arms),
        **_grouped([(1.0, until), (-1.0, entry)], arms),
        **_intervals(data),
    }


def _nobody(covariates: int) -> Arrays:
    names = ("arm_row", "log_u", "log_upper", "log_entry", "exact", "interval", "weight", "log_t0")
    empty = {name: np.zeros(0) for name in names}
    return {**empty, "arm_row": np.zeros(0, dtype=np.int64), "x": np.zeros((0, covariates))}


def _events(data: Arrays, arms: int) -> Fields:
    """Sums over exact events by arm; log u and log t0 of the hazard have no parameter."""
    arm, exact = data["arm_row"], data["weight"] * data["exact"]
    terms = [exact, exact * data["log_u"], *(exact * column for column in data["x"].T)]
    count, log_u, *x = (np.bincount(arm, weights=term, minlength=arms) for term in terms)
    return {
        "deaths": count,
        "deaths_log": log_u,
        "deaths_x": np.reshape(x, (data["x"].shape[1], arms)).T,
        "constant": -np.sum(exact * (data["log_u"] + data["log_t0"])),
    }


def _grouped(signed: list[tuple[float, PatientRows]], arms: int) -> Fields:
    """Groups of many times as polynomials, all other rows by themselves."""
    own, large, signs, sizes = [], [], [], [0]
    for sign, rows in signed:
        edges = rows.groups()
        chosen = np.diff(edges) >= MANY_ROWS
        inside = np.repeat(chosen, np.diff(edges))
        left = rows.at(~inside)
        own.append(PatientRows(left.arm, left.x, left.times, sign * left.weight))
        large.append((rows.at(inside), rows.at(edges[:-1][chosen])))
        signs += [sign] * int(chosen.sum())
        sizes += np.diff(edges)[chosen].tolist()
    first = np.cumsum(sizes)
    row_log = np.concatenate([rows.times[:, 0] for rows, _ in large])
    row_weight = np.concatenate([rows.weight for rows, _ in large])
    polynomial, holds = fit_power_sums(row_log, row_weight, first)
    panels = polynomial.shape[1] // kernel.DEGREE
    return {
        "group_arm": np.concatenate([group.arm for _, group in large]),
        "group_x": np.concatenate([group.x for _, group in large]),
        "group_sign": np.array(signs),
        "group_first": first,
        "group_holds": holds,
        "panel": np.array([LOWEST, (HIGHEST - LOWEST) / panels, panels]),
        "polynomial": polynomial,
        "row_log": row_log,
        "row_weight": row_weight,
        **_own(own, arms),
    }


def _own(parts: list[PatientRows], arms: int) -> Fields:
    arm = np.concatenate([rows.arm for rows in parts])
    order = np.argsort(arm, kind="stable")
    return {
        "own_first": np.searchsorted(arm[order], np.arange(arms + 1)),
        "own_log": np.concatenate([rows.times[:, 0] for rows in parts])[order],
        "own_weight": np.concatenate([rows.weight for rows in parts])[order],
        "own_x": np.concatenate([rows.x for rows in parts])[order].T,
    }


def _intervals(data: Arrays) -> Fields:
    known = data["interval"] > 0
    times = np.column_stack([data["log_u"], data["log_upper"]])[known]
    rows = PatientRows.of(data["arm_row"][known], data["x"][known], times, data["weight"][known])
    return {
        "interval_arm": rows.arm,
        "interval_log": rows.times[:, 0],
        "interval_upper": rows.times[:, 1],
        "interval_weight": rows.weight,
        "interval_x": rows.x,
    }


# ---------------------------------------------------------------------------------------------- printed numbers


def _binomials(found: Mapping[str, Arrays]) -> Fields:
    """Points and counts are one kind of row: so many alive and dead at `end` of those alive at `start`."""
    rows = [np.zeros((0, 6))]
    if "points" in found:
        data = found["points"]
        alive = data["size"] * data["ratio"]
        rows.append(_binomial(data["arm_row"], data["log_u"], data["log_start"], alive, data["size"]))
    if "counts" in found:
        data = found["counts"]
        rows.append(_binomial(data["arm_row"], data["log_u"], data["log_entry"], data["n"] - data["events"], data["n"]))
    arm, *columns = np.concatenate(rows).T
    names = ("end", "start", "alive", "dead", "constant")
    return {"binomial_arm": arm, **{f"binomial_{name}": found for name, found in zip(names, columns, strict=True)}}


def _binomial(arm: np.ndarray, end: np.ndarray, start: np.ndarray, alive: np.ndarray, size: np.ndarray) -> np.ndarray:
    dead = size - alive
    constant = gammaln(size + 1) - gammaln(alive + 1) - gammaln(dead + 1)
    return np.column_stack([arm, end, start, alive, dead, constant])


def _medians(found: Mapping[str, Arrays]) -> Fields:
    none = {name: np.zeros(0) for name in ("arm_row", "log_u", "log_m", "log_entry", "shift", "alpha", "sd", "log_t0")}
    order, normal, unreached = (
        found.get(name, none) for name in ("medians", "median_intervals", "medians_not_reached")
    )
    return {
        "order_arm": order["arm_row"],
        "order_end": order["log_u"],
        "order_entry": order["log_entry"],
        "order_alpha": order["alpha"],
        "order_constant": -betaln(order["alpha"], order["alpha"]) - order["log_u"] - order["log_t0"],
        "normal_arm": normal["arm_row"],
        "normal_log": normal["log_m"],
        "normal_entry": normal["log_entry"],
        "normal_shift": normal["shift"],
        "normal_sd": normal["sd"],
        "unreached_arm": unreached["arm_row"],
        "unreached_end": unreached["log_u"],
        "unreached_entry": unreached["log_entry"],
        "unreached_alpha": unreached["alpha"],
        "unreached_log_beta": betaln(unreached["alpha"], unreached["alpha"]),
    }


def _ratios(data: Arrays | None, shape: Design) -> Fields:
    data = {} if data is None else data
    rows = len(data.get("log_hr", ()))
    return {
        "ratio_study": shape.hr_study,
        "ratio_treatment": shape.hr_treatment,
        "ratio_reference": shape.hr_reference,
        "ratio_pair": shape.hr_pair,
        "ratio_reference_pair": shape.hr_reference_pair,
        "ratio_log": data.get("log_hr", np.zeros(0)),
        "ratio_log_diagonal": data.get("log_diagonal", np.zeros(0)),
        "ratio_whitener": data.get("whitener", np.zeros((rows, rows))),
        "node": data.get("log_node", np.zeros((0, 0))),
        "node_step": data.get("log_step", np.zeros((0, 0))),
    }
