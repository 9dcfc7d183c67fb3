"""Inputs of a model -> the arrays that `cells/density.py` reads.

Patients and printed numbers ask for cells; those who ask for the same arm, time and covariates share one, so that ties
cost nothing. What is asked of time zero is -1: no hazard has run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.special import betaln

from bayes_bm.inference.compiled.cells.bases import pack_basis
from bayes_bm.inference.compiled.cells.fields import HAZARD, OF_ARM, TOTAL, CellProblem
from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.fields import Field as Structure
from bayes_bm.inference.compiled.fields import Problem
from bayes_bm.inference.compiled.formulas import formula_address
from bayes_bm.inference.compiled.structure import pack_binomial, pack_prognosis, pack_ratios, pack_structure
from bayes_bm.model.likelihoods import NO_ENTRY
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.model.observations import is_arm_level

Arrays = Mapping[str, np.ndarray]
Fields = dict[str, object]


def pack_cells(inputs: ModelInputs, coordinates: Coordinates) -> CellProblem:
    """Everything that the density of cells reads. For models that `coverage.why_not` lets pass."""
    spec, design, kinds = inputs.spec, inputs.design, inputs.tied_kinds
    ratios = kinds.get("hazard_ratios")
    at_nodes = ratios is not None and not spec.proportional
    cells = Cells(inputs, covariates=len(spec.covariates))
    fields: Fields = {
        **_patients(kinds, cells),
        **_binomials(kinds, cells),
        **_medians(kinds, cells),
        **(_ratio_nodes(ratios, cells, len(design.arm_study)) if at_nodes and ratios else NO_NODES),
    }
    fields["constant"] = cells.constant
    fields |= cells.packed()
    fields |= pack_basis(inputs, coordinates, cells, at_nodes=at_nodes)
    fields |= _shapes(inputs, coordinates)
    return CellProblem.of(
        _structure(inputs, coordinates, at_nodes=at_nodes), fields, formula_address(inputs.family.name)
    )


def _structure(inputs: ModelInputs, coordinates: Coordinates, *, at_nodes: bool) -> Problem:
    """The kernel's fields, without its rows; sides of ratios at nodes stand behind the arms (2 x ratio)."""
    spec, design = inputs.spec, inputs.design
    fields = {entry.name: np.zeros(0) for entry in Structure}
    fields |= pack_structure(coordinates, spec, design)
    fields |= pack_ratios(inputs.kinds.get("hazard_ratios"), design)
    fields |= pack_prognosis(coordinates, spec, inputs.prognostic_ratios)
    if at_nodes:
        sides = (
            ("arm_treatment", design.hr_treatment, design.hr_reference),
            ("arm_pair", design.hr_pair, design.hr_reference_pair),
            ("arm_study", design.hr_study, design.hr_study),
            ("arm_bias", design.hr_bias, np.zeros_like(design.hr_bias)),
        )
        for name, one, other in sides:
            of_sides = np.stack([one, other], axis=1).reshape(2 * len(one), *one.shape[1:])
            fields[name] = np.concatenate([fields[name], of_sides])
    return Problem.of(fields)


def _shapes(inputs: ModelInputs, coordinates: Coordinates) -> Fields:
    """Where the formula's shapes come from."""
    hazard = inputs.spec.hazard
    shapes = [name for name in hazard.shapes if name != "logit_cure"]
    at = [TOTAL, HAZARD] if hazard.flexible else []
    at += [OF_ARM if name == hazard.varies else coordinates.starts[name] for name in shapes]
    return {"shape_at": at, "cure_at": [coordinates.starts["logit_cure"]] if hazard.cure else []}


# ---------------------------------------------------------------------------------------------- cells


@dataclass
class Cells:
    """Collects what is asked for; `packed` numbers each distinct cell once, and gives the numbers to those who asked.

    `asked` are (name, keys (row, key)), a key being arm, row of averages, log u and covariates; medians move, and each
    has a cell of its own.
    """

    inputs: ModelInputs
    covariates: int
    asked: dict[str, np.ndarray] = field(default_factory=dict)
    moving: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    events: list[tuple[str, np.ndarray]] = field(default_factory=list)
    weights: list[tuple[str, np.ndarray]] = field(default_factory=list)
    constant: float = 0.0
    keys: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def ask(self, name: str, arm: np.ndarray, log_u: np.ndarray, x: np.ndarray | None, *, averaged: bool) -> None:
        """Rows of evidence at times; `name` is the field that gets their cells."""
        keys = self._keys(arm, log_u, x, averaged=averaged)
        self.asked[name] = np.concatenate([self.asked[name], keys]) if name in self.asked else keys

    def move(self, arm: np.ndarray, *, averaged: bool) -> None:
        """Medians, whose times are worked out while sampling."""
        self.moving = self._keys(arm, np.zeros(len(arm)), None, averaged=averaged)

    def _keys(self, arm: np.ndarray, log_u: np.ndarray, x: np.ndarray | None, *, averaged: bool) -> np.ndarray:
        wide = np.zeros((len(arm), self.covariates)) if x is None else x
        row = self.average_rows[arm] if averaged and len(arm) else np.full(len(arm), -1)
        return np.column_stack([arm, row, log_u, wide]).astype(float)

    @property
    def average_rows(self) -> np.ndarray:
        """Row of averages of each arm, -1 where it is not averaged (arm,)."""
        mask = self.inputs.averaged_arms
        return np.where(mask, np.cumsum(mask) - 1, -1)

    def packed(self) -> Fields:
        """Fields of the cells, and of all who asked for some."""
        stacked = np.concatenate([*self.asked.values(), self._keys(*NOBODY, averaged=False)])
        started = stacked[:, 2] > NO_ENTRY
        distinct, number = _distinct(stacked[started])
        cell = np.full(len(stacked), -1)
        cell[started] = number
        ends = np.cumsum([len(keys) for keys in self.asked.values()])[:-1] if self.asked else []
        fields: Fields = dict(zip(self.asked, np.split(cell, ends), strict=True))
        moving = self.moving if len(self.moving) else distinct[:0]
        self.keys = np.concatenate([distinct, moving])
        for name, sums in (("cell_events", self.events), ("cell_weight", self.weights)):
            fields[name] = self._summed(sums, fields)
        averages = np.flatnonzero(self.inputs.averaged_arms)
        used = self.keys[:, 1] >= 0
        fields |= {
            "count": [len(distinct), len(moving)],
            "cell_arm": self.keys[:, 0],
            "cell_average": self.keys[:, 1] if used.any() else [],
            "cell_log": self.keys[:, 2],
            "cell_x": self.keys[:, 3:].T,
            "average_arm": averages if used.any() else [],
            "average_x": np.swapaxes(self.inputs.arm_points[averages], 1, 2) if used.any() else [],
        }
        return fields

    def _summed(self, sums: list[tuple[str, np.ndarray]], fields: Fields) -> np.ndarray:
        """Weights of rows, those of one cell added up (cell,)."""
        total = np.zeros(len(self.keys))
        for name, weight in sums:
            cell = np.asarray(fields[name])
            total += np.bincount(cell[cell >= 0], weights=weight[cell >= 0], minlength=len(total))
        return total


NOBODY = (np.zeros(0, dtype=int), np.zeros(0), None)


def _distinct(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows in order, and the number of each row's."""
    order = np.lexsort(keys.T[::-1])
    ordered = keys[order]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    number = np.empty(len(keys), dtype=np.int64)
    number[order] = np.cumsum(new) - 1
    return ordered[new], number


# ---------------------------------------------------------------------------------------------- rows of evidence


def _patients(kinds: Mapping[str, Arrays], cells: Cells) -> Fields:
    weights = []
    for name in ("interval_lower", "interval_upper"):
        cells.ask(name, *NOBODY, averaged=False)
    for kind in ("patients", "patients_averaged"):
        data = kinds.get(kind)
        if data is None:
            continue
        arm, x, averaged = data["arm_row"], data.get("x"), is_arm_level(kind)
        exact = data["weight"] * data["exact"]
        cells.constant -= float(np.sum(exact * data["log_t0"]))
        cells.ask(f"{kind} exit", arm, data["log_u"], x, averaged=averaged)
        cells.ask(f"{kind} entry", arm, data["log_entry"], x, averaged=averaged)
        cells.events.append((f"{kind} exit", exact))
        cells.weights += [(f"{kind} exit", data["weight"]), (f"{kind} entry", -data["weight"])]
        within = data["interval"] > 0
        own_x = None if x is None else x[within]
        for name, time in (("interval_lower", "log_u"), ("interval_upper", "log_upper")):
            cells.ask(name, arm[within], data[time][within], own_x, averaged=averaged)
        weights.append(data["weight"][within])
    return {"interval_weight": np.concatenate([*weights, np.zeros(0)])}


def _binomials(kinds: Mapping[str, Arrays], cells: Cells) -> Fields:
    """Points, registry intervals and counts: so many alive and dead at the end of those alive at the start."""
    rows = [np.zeros((0, 6))]
    for name in ("points", "registry"):
        if name in kinds:
            data = kinds[name]
            alive = data["size"] * data["ratio"]
            rows.append(pack_binomial(data["arm_row"], data["log_u"], data["log_start"], alive, data["size"]))
    if "counts" in kinds:
        data = kinds["counts"]
        alive = data["n"] - data["events"]
        rows.append(pack_binomial(data["arm_row"], data["log_u"], data["log_entry"], alive, data["n"]))
    arm, end, start, alive, dead, constant = np.concatenate(rows).T
    cells.ask("binomial_end", arm.astype(int), end, None, averaged=True)
    cells.ask("binomial_start", arm.astype(int), start, None, averaged=True)
    return {"binomial_alive": alive, "binomial_dead": dead, "binomial_constant": constant}


def _medians(kinds: Mapping[str, Arrays], cells: Cells) -> Fields:
    none = {name: np.zeros(0) for name in ("log_u", "log_m", "log_entry", "shift", "alpha", "sd", "log_t0")}
    none["arm_row"] = np.zeros(0, dtype=int)
    order, normal, unreached = (
        kinds.get(name, none) for name in ("medians", "median_intervals", "medians_not_reached")
    )
    for name, data in (("order", order), ("unreached", unreached)):
        cells.ask(f"{name}_end", data["arm_row"], data["log_u"], None, averaged=True)
        cells.ask(f"{name}_entry", data["arm_row"], data["log_entry"], None, averaged=True)
    cells.ask("normal_entry", normal["arm_row"], normal["log_entry"], None, averaged=True)
    cells.move(normal["arm_row"], averaged=True)
    return {
        "order_alpha": order["alpha"],
        "order_constant": -betaln(order["alpha"], order["alpha"]) - order["log_t0"],
        "unreached_alpha": unreached["alpha"],
        "unreached_log_beta": betaln(unreached["alpha"], unreached["alpha"]),
        "normal_log": normal["log_m"],
        "normal_shift": normal["shift"],
        "normal_sd": normal["sd"],
    }


NO_NODES: Fields = {"ratio_cell": np.zeros(0), "ratio_log_step": np.zeros(0)}


def _ratio_nodes(ratios: Arrays, cells: Cells, arms: int) -> Fields:
    """Both sides of a ratio at the nodes of its follow-up, in the order ratio, side, node."""
    log_node = ratios["log_node"]
    rows, nodes = log_node.shape
    both = np.repeat(log_node[:, None], 2, axis=1)
    sides = np.broadcast_to(arms + np.arange(2 * rows).reshape(rows, 2, 1), (rows, 2, nodes))
    cells.ask("ratio_cell", sides.ravel(), both.ravel(), None, averaged=False)
    return {"ratio_log_step": ratios["log_step"]}
