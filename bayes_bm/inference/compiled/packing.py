"""Spec + evidence -> the arrays that `fields.log_density` reads.

Patients who differ in nothing but their time are one group: its events enter as counts and sums, its cumulative hazard
as exp(eta) sum w u^k, tied times joined into one row with the sum of their weights. Entry times are a group of their
own with the opposite sign, or rows of negative weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import betaln

from bayes_bm.inference.compiled import fields
from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.coverage import is_plain_weibull
from bayes_bm.inference.compiled.fields import Problem
from bayes_bm.inference.compiled.mix_packing import pack_mixes
from bayes_bm.inference.compiled.parametrization import Parametrization, choose_parametrization
from bayes_bm.inference.compiled.power_sums import HIGHEST, LOWEST, fit_power_sums
from bayes_bm.inference.compiled.structure import pack_binomial, pack_prognosis, pack_ratios, pack_structure
from bayes_bm.model.likelihoods import NO_ENTRY
from bayes_bm.model.model_inputs import ModelInputs

if TYPE_CHECKING:
    from bayes_bm.inference.compiled.cells.fields import CellProblem

MANY_ROWS = 8
"""A group of fewer distinct times is summed directly: about the cost of its polynomial."""

Arrays = Mapping[str, np.ndarray]
Fields = dict[str, Any]


def pack_problem(
    inputs: ModelInputs, centring: Parametrization | None = None
) -> "tuple[Coordinates, Problem | CellProblem]":
    """The coordinates of a model and everything its density reads. For models that `coverage.why_not` lets pass.

    `centring` says which effects of studies are centred; by default those that their patients tell of themselves.
    """
    spec, design, kinds = inputs.spec, inputs.design, inputs.kinds
    coordinates = Coordinates.of(inputs, choose_parametrization(inputs) if centring is None else centring)
    if not is_plain_weibull(inputs):
        # imported late: the first posterior of a Weibull model does not wait for its compiling
        from bayes_bm.inference.compiled.cells.packing import pack_cells

        return coordinates, pack_cells(inputs, coordinates)
    packed = {
        **pack_structure(coordinates, spec, design),
        **_patients(kinds.get("patients"), len(inputs.evidence.arms), len(spec.covariates)),
        **_binomials(kinds),
        **_medians(kinds),
        **pack_ratios(kinds.get("hazard_ratios"), design),
        **pack_mixes(coordinates, spec, None),
        **pack_prognosis(coordinates, spec, inputs.prognostic_ratios),
    }
    return coordinates, Problem.of(packed)


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
    exits = PatientRows.of(arm[seen], x[seen], log_u[seen, None], weight[seen])
    entry = PatientRows.of(arm[late], x[late], data["log_entry"][late, None], weight[late])
    return {
        **_events(data, arms),
        **_grouped([(1.0, exits), (-1.0, entry)], arms),
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
    ungrouped, large, signs, sizes = [], [], [], [0]
    for sign, rows in signed:
        edges = rows.groups()
        chosen = np.diff(edges) >= MANY_ROWS
        in_large_group = np.repeat(chosen, np.diff(edges))
        small = rows.at(~in_large_group)
        ungrouped.append(PatientRows(small.arm, small.x, small.times, sign * small.weight))
        large.append((rows.at(in_large_group), rows.at(edges[:-1][chosen])))
        signs += [sign] * int(chosen.sum())
        sizes += np.diff(edges)[chosen].tolist()
    first = np.cumsum(sizes)
    row_log = np.concatenate([rows.times[:, 0] for rows, _ in large])
    row_weight = np.concatenate([rows.weight for rows, _ in large])
    polynomial, holds = fit_power_sums(row_log, row_weight, first)
    panels = polynomial.shape[1] // fields.DEGREE
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
        **_own(ungrouped, arms),
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
    is_interval = data["interval"] > 0
    times = np.column_stack([data["log_u"], data["log_upper"]])[is_interval]
    rows = PatientRows.of(data["arm_row"][is_interval], data["x"][is_interval], times, data["weight"][is_interval])
    return {
        "interval_arm": rows.arm,
        "interval_log": rows.times[:, 0],
        "interval_upper": rows.times[:, 1],
        "interval_weight": rows.weight,
        "interval_x": rows.x,
    }


# ---------------------------------------------------------------------------------------------- printed numbers


def _binomials(kinds: Mapping[str, Arrays]) -> Fields:
    """Points and counts are one kind of row: so many alive and dead at `end` of those alive at `start`."""
    rows = [np.zeros((0, 6))]
    if "points" in kinds:
        data = kinds["points"]
        alive = data["size"] * data["ratio"]
        rows.append(pack_binomial(data["arm_row"], data["log_u"], data["log_start"], alive, data["size"]))
    if "counts" in kinds:
        data = kinds["counts"]
        rows.append(
            pack_binomial(data["arm_row"], data["log_u"], data["log_entry"], data["n"] - data["events"], data["n"])
        )
    arm, *columns = np.concatenate(rows).T
    names = ("end", "start", "alive", "dead", "constant")
    return {"binomial_arm": arm, **{f"binomial_{name}": kinds for name, kinds in zip(names, columns, strict=True)}}


def _medians(kinds: Mapping[str, Arrays]) -> Fields:
    none = {name: np.zeros(0) for name in ("arm_row", "log_u", "log_m", "log_entry", "shift", "alpha", "sd", "log_t0")}
    order, normal, unreached = (
        kinds.get(name, none) for name in ("medians", "median_intervals", "medians_not_reached")
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
