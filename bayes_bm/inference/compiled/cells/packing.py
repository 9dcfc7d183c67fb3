"""Inputs of a model -> the arrays that `cells/density.py` reads.

Patients and printed numbers ask for cells; those who ask for the same arm, time and covariates share one, so that ties
cost nothing. What is asked of time zero is -1: no hazard has run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import betaln

from bayes_bm.hazards.modifiers.waning import Waned
from bayes_bm.inference.compiled.cells.bases import pack_basis
from bayes_bm.inference.compiled.cells.fields import EFFECT, HAZARD, NO_CLOCK, OF_ARM, TOTAL, CellProblem
from bayes_bm.inference.compiled.cells.mixture_packing import Mixtures, pack_clocks, pack_lacking
from bayes_bm.inference.compiled.cells.reading import read, read_back
from bayes_bm.inference.compiled.cells.rows import rows
from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.fields import Field as Structure
from bayes_bm.inference.compiled.fields import Problem
from bayes_bm.inference.compiled.formulas import formula_address
from bayes_bm.inference.compiled.mix_packing import pack_mixes
from bayes_bm.inference.compiled.stages import (
    LACKING,
    LACKING_BACK,
    MIXES,
    MIXES_BACK,
    RATIOS,
    STAGES,
    TOGETHER,
    TOGETHER_BACK,
    WANING,
)
from bayes_bm.inference.compiled.structure import pack_binomial, pack_prognosis, pack_ratios, pack_structure
from bayes_bm.inference.compiled.structure_stages import STRUCTURE_STAGES
from bayes_bm.model.likelihoods import NO_ENTRY
from bayes_bm.model.model_inputs import ModelInputs

Arrays = Mapping[str, np.ndarray]
Fields = dict[str, object]


def pack_cells(inputs: ModelInputs, coordinates: Coordinates) -> CellProblem:
    """Everything that the density of cells reads. For models that `coverage.why_not` lets pass."""
    kinds, mixtures = inputs.tied_kinds, Mixtures.of(inputs)
    cells = Cells(inputs, mixtures, covariates=len(inputs.spec.covariates))
    at_nodes = ratios_at_nodes(inputs)
    fields: Fields = {
        **_patients(kinds, cells),
        **_binomials(kinds, cells),
        **_medians(kinds, cells),
        **_ratio_nodes(inputs, at_nodes, cells),
    }
    fields |= cells.packed()
    fields |= pack_basis(inputs, coordinates, cells, at_nodes=len(at_nodes) > 0)
    fields |= _shapes(inputs, coordinates) | _waning(inputs, coordinates)
    fields |= mixtures.packed()
    fields |= pack_lacking(inputs, coordinates, mixtures.patients)
    fields |= pack_clocks(inputs, coordinates)
    structure, constant = _structure(inputs, coordinates, apart=len(at_nodes) > 0)
    fields["constant"] = cells.constant + constant
    return CellProblem.of(structure, fields, _called(inputs, any_nodes=len(at_nodes) > 0))


def _called(inputs: ModelInputs, *, any_nodes: bool) -> list[int]:
    """Addresses of the stages, in the order of `stages`; those that a model does not need are not compiled."""
    formula = formula_address(inputs.family.name)
    addresses = [*STRUCTURE_STAGES, formula, read.address, read_back.address, rows.address]
    addresses += [0] * (STAGES - len(addresses))
    if inputs.arm_mixes is not None:
        from bayes_bm.inference.compiled.cells.mixes import mixes, mixes_back

        addresses[MIXES], addresses[MIXES_BACK] = mixes.address, mixes_back.address
        if inputs.arm_mixes.loading.any():
            from bayes_bm.inference.compiled.cells.common_factor import together, together_back

            addresses[TOGETHER], addresses[TOGETHER_BACK] = together.address, together_back.address
    if "patients_imputed" in inputs.kinds:
        from bayes_bm.inference.compiled.cells.lacking import lacking, lacking_back

        addresses[LACKING], addresses[LACKING_BACK] = lacking.address, lacking_back.address
    if any_nodes:
        from bayes_bm.inference.compiled.cells.ratios import ratios

        addresses[RATIOS] = ratios.address
    if inputs.spec.waning is not None:
        from bayes_bm.inference.compiled.cells.waning import waning

        addresses[WANING] = waning.address
    return addresses


def ratios_at_nodes(inputs: ModelInputs) -> np.ndarray:
    """Ratios that are averaged at nodes of follow-up: crude ones and, but for a closed form, all not proportional."""
    ratios = inputs.kinds.get("hazard_ratios")
    if ratios is None:
        return np.zeros(0, dtype=int)
    if not inputs.spec.proportional and inputs.family.event_weighted_log_hr is None:
        return np.arange(len(ratios["log_hr"]))
    return ratios.get("averaged", np.zeros(0, dtype=int))


def _structure(inputs: ModelInputs, coordinates: Coordinates, *, apart: bool) -> tuple[Problem, float]:
    """The structure's fields, and terms without parameters; where ratios are seen to apart, their sides stand behind
    the arms (2 x ratio).
    """
    spec, design = inputs.spec, inputs.design
    fields: dict[str, Any] = {entry.name: np.zeros(0) for entry in Structure}
    fields |= pack_structure(coordinates, spec, design)
    fields |= pack_ratios(inputs.kinds.get("hazard_ratios"), design)
    fields |= pack_prognosis(coordinates, spec, inputs.prognostic_ratios)
    fields |= pack_mixes(coordinates, spec, inputs.arm_mixes)
    constant = float(np.sum(fields["mix_constant"])) + fields["truncated_constant"]
    if apart:
        fields["ratio_apart"] = [1]
        sides = (
            ("arm_treatment", design.hr_treatment, design.hr_reference),
            ("arm_pair", design.hr_pair, design.hr_reference_pair),
            ("arm_study", design.hr_study, design.hr_study),
            ("arm_bias", design.hr_bias, np.zeros_like(design.hr_bias)),
        )
        for name, one, other in sides:
            of_sides = np.stack([one, other], axis=1).reshape(2 * len(one), *one.shape[1:])
            fields[name] = np.concatenate([fields[name], of_sides])
    return Problem.of(fields), constant


def _shapes(inputs: ModelInputs, coordinates: Coordinates) -> Fields:
    """Where the formula's shapes come from."""
    hazard = inputs.spec.hazard
    shapes = [name for name in hazard.shapes if name != "logit_cure"]
    coordinate = [TOTAL, HAZARD] if hazard.flexible else []
    coordinate += [OF_ARM if name == hazard.varies else coordinates.starts[name] for name in shapes]
    if inputs.spec.waning is not None:
        coordinate += [EFFECT, *([coordinates.starts["waning_start"]] if inputs.spec.waning.prior else [])]
    return {"shape_at": coordinate, "cure_at": [coordinates.starts["logit_cure"]] if hazard.cure else []}


def _waning(inputs: ModelInputs, coordinates: Coordinates) -> Fields:
    """When effects begin to wane, and their jumps from there on."""
    family = inputs.family
    if not isinstance(family, Waned):
        return dict.fromkeys(("waning_at", "waning", "jump_time", "jump_lost"), np.zeros(0))
    time, lost = zip(*family.jumps(), strict=True)
    return {
        "waning_at": [coordinates.starts.get("waning_start", -1)],
        "waning": [family.start or 0.0, 1 / inputs.spec.reference_time],
        "jump_time": time,
        "jump_lost": lost,
    }


# ---------------------------------------------------------------------------------------------- cells


ARM, AVERAGE, MIXTURE, LOG_U, X = range(5)
"""Columns of a key: arm, row of averages, row of mixtures (-1 for none), log u, and covariates from there on."""
START = -2e4
"""log u that stands for the start of a clock that is unknown."""


@dataclass
class Cells:
    """Collects what is asked for; `packed` numbers each distinct cell once, and gives the numbers to those who asked.

    `asked` are (name, keys (row, key)); medians move, and each has a cell of its own.
    """

    inputs: ModelInputs
    mixtures: Mixtures
    covariates: int
    asked: dict[str, np.ndarray] = field(default_factory=dict)
    moving: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    events: list[tuple[str, np.ndarray]] = field(default_factory=list)
    weights: list[tuple[str, np.ndarray]] = field(default_factory=list)
    constant: float = 0.0
    keys: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def ask(self, name: str, arm: np.ndarray, log_u: np.ndarray, x: np.ndarray | None, *, averaged: bool) -> None:
        """Rows of evidence at times; `name` is the field that gets their cells."""
        self._ask(name, self._keys(arm, log_u, x, averaged=averaged))

    def ask_rows(self, name: str, arm: np.ndarray, log_u: np.ndarray, x: np.ndarray | None, row: np.ndarray) -> None:
        """The same, with the rows of averages and of mixtures that they are averaged over (row, 2)."""
        keys = self._keys(arm, log_u, x, averaged=False)
        keys[:, [AVERAGE, MIXTURE]] = row
        self._ask(name, keys)

    def patient_rows(self, kind: str, arm: np.ndarray) -> np.ndarray:
        """Rows of averages and of mixtures of patients (patient, 2): their arm's, their own, or none."""
        none = np.full(len(arm), -1)
        if kind == "patients_averaged":
            return np.column_stack([self.mixtures.average_of_arm[arm], self.mixtures.mixture_of_arm[arm]])
        return np.column_stack([none, self.mixtures.patients.mixture if kind == "patients_imputed" else none])

    def _ask(self, name: str, keys: np.ndarray) -> None:
        self.asked[name] = np.concatenate([self.asked[name], keys]) if name in self.asked else keys

    def move(self, arm: np.ndarray, *, averaged: bool) -> None:
        """Medians, whose times are worked out while sampling."""
        self.moving = self._keys(arm, np.zeros(len(arm)), None, averaged=averaged)

    def _keys(self, arm: np.ndarray, log_u: np.ndarray, x: np.ndarray | None, *, averaged: bool) -> np.ndarray:
        wide, none = np.zeros((len(arm), self.covariates)) if x is None else x, np.full(len(arm), -1)
        average, mixture = none, none
        if averaged and len(arm):
            average, mixture = self.mixtures.average_of_arm[arm], self.mixtures.mixture_of_arm[arm]
        return np.column_stack([arm, average, mixture, log_u, wide]).astype(float)

    def packed(self) -> Fields:
        """Fields of the cells, and of all who asked for some."""
        stacked = np.concatenate([*self.asked.values(), self._keys(*NOBODY, averaged=False)])
        started = stacked[:, LOG_U] > NO_ENTRY
        moving = self.moving if len(self.moving) else stacked[:0]
        starts = self._starts(np.concatenate([stacked[started], moving]))
        distinct, number = _distinct(np.concatenate([stacked[started], starts]))
        cell = np.full(len(stacked), -1)
        cell[started] = number[: int(started.sum())]
        ends = np.cumsum([len(keys) for keys in self.asked.values()])[:-1] if self.asked else []
        fields: Fields = dict(zip(self.asked, np.split(cell, ends), strict=True))
        self.keys = np.concatenate([distinct, moving])
        for name, sums in (("cell_events", self.events), ("cell_weight", self.weights)):
            fields[name] = self._summed(sums, fields)
        averages, averaged = np.flatnonzero(self.mixtures.average_of_arm >= 0), self.keys[:, AVERAGE] >= 0
        return fields | {
            "count": [len(distinct), len(moving)],
            "cell_arm": self.keys[:, ARM],
            "cell_average": self.keys[:, AVERAGE] if averaged.any() else [],
            "cell_log": np.where(self.keys[:, LOG_U] == START, 0.0, self.keys[:, LOG_U]),
            "cell_x": self.keys[:, X:].T,
            "average_arm": averages if averaged.any() else [],
            "average_x": np.swapaxes(self.inputs.arm_points[averages], 1, 2) if averaged.any() else [],
            "clock_start": self._clock_starts() if len(starts) else [],
            **self.mixtures.places(self.keys[:, MIXTURE].astype(int)),
        }

    @property
    def arm(self) -> np.ndarray:
        """Of each cell (cell,), sides of ratios behind the arms."""
        return self.keys[:, ARM].astype(int)

    @property
    def log_u(self) -> np.ndarray:
        """Of each cell (cell,)."""
        return self.keys[:, LOG_U]

    def _starts(self, keys: np.ndarray) -> np.ndarray:
        """Starts of the cells of arms whose clock is unknown."""
        clocks = self.inputs.design.clocks
        if clocks is None:
            return keys[:0]
        # sides of ratios stand behind the arms, on the model's clock
        arm, acts = keys[:, ARM].astype(int), clocks.acts.any(axis=1)
        starts = keys[(arm < len(acts)) & acts[np.minimum(arm, len(acts) - 1)]]
        starts[:, LOG_U] = START
        return starts

    def _clock_starts(self) -> np.ndarray:
        """The cell of each cell's start, -1 where its clock is known (cell,)."""
        place = {tuple(key): i for i, key in enumerate(self.keys.tolist()) if key[LOG_U] == START}
        like = self.keys.copy()
        like[:, LOG_U] = START
        return np.array([place.get(tuple(key), NO_CLOCK) for key in like.tolist()], dtype=int)

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
    for kind in ("patients", "patients_averaged", "patients_imputed"):
        data = kinds.get(kind)
        if data is None:
            continue
        arm, x = data["arm_row"], data.get("x")
        row = cells.patient_rows(kind, arm)
        exact = data["weight"] * data["exact"]
        cells.constant -= float(np.sum(exact * data["log_t0"]))
        cells.ask_rows(f"{kind} exit", arm, data["log_u"], x, row)
        cells.ask_rows(f"{kind} entry", arm, data["log_entry"], x, row)
        cells.events.append((f"{kind} exit", exact))
        cells.weights += [(f"{kind} exit", data["weight"]), (f"{kind} entry", -data["weight"])]
        within = data["interval"] > 0
        own_x = None if x is None else x[within]
        for name, time in (("interval_lower", "log_u"), ("interval_upper", "log_upper")):
            cells.ask_rows(name, arm[within], data[time][within], own_x, row[within])
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


def _ratio_nodes(inputs: ModelInputs, at_nodes: np.ndarray, cells: Cells) -> Fields:
    """Both sides of a ratio at the nodes of its follow-up, in the order ratio, side, node."""
    if not len(at_nodes):
        return {"ratio_row": [], "ratio_cell": [], "ratio_log_step": []}
    ratios, arms = inputs.kinds["hazard_ratios"], len(inputs.design.arm_study)
    log_node = ratios["log_node"][at_nodes]
    rows, nodes = log_node.shape
    both = np.repeat(log_node[:, None], 2, axis=1)
    sides = np.broadcast_to(arms + np.stack([2 * at_nodes, 2 * at_nodes + 1], axis=1)[..., None], (rows, 2, nodes))
    mixture = np.broadcast_to(cells.mixtures.of_ratio_sides(at_nodes)[..., None], (rows, 2, nodes)).ravel()
    row = np.column_stack([np.full(len(mixture), -1), mixture])
    cells.ask_rows("ratio_cell", sides.ravel(), both.ravel(), None, row)
    return {"ratio_row": at_nodes, "ratio_log_step": ratios["log_step"][at_nodes]}
