"""What a flexible baseline and a background hazard know of the cells' times, and of times that move.

A baseline is a set of walks that add up: the shared one, a study's, a treatment's. A spot is a baseline at a time.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from bayes_bm.hazards import Family
from bayes_bm.hazards.modifiers.background import WithBackground
from bayes_bm.hazards.modifiers.cure import Cured
from bayes_bm.inference.compiled.cells.fields import POWERS
from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.model.design import Design
from bayes_bm.model.model_inputs import ModelInputs

Fields = dict[str, object]


class HasTimes(Protocol):
    """Cells with arm and log u of each (cell,); those that move stand last."""

    @property
    def arm(self) -> np.ndarray: ...

    @property
    def log_u(self) -> np.ndarray: ...


def pack_basis(inputs: ModelInputs, coordinates: Coordinates, cells: HasTimes, *, at_nodes: bool) -> Fields:
    """Fields of walks, baselines, spots, pieces of the basis, and background."""
    family, arm, log_u = inputs.family, cells.arm, cells.log_u
    fields: Fields = {name: np.zeros(0) for name in EMPTY}
    if isinstance(family, WithBackground):
        fields |= {"cell_background": family.basis(log_u)[:, -2:].T, "background": family._steps}
    base = base_family(family)
    if base.knots is None:
        return fields
    walks, of_arm = _baselines(inputs.design, coordinates, at_nodes=at_nodes)
    spots, of_cell = np.unique(np.column_stack([of_arm[arm], log_u]), axis=0, return_inverse=True)
    of_cell = of_cell.ravel()
    moving = np.flatnonzero(np.arange(len(arm)) >= len(arm) - _moving(inputs))
    # a median has a spot of its own, whose values move
    of_cell[moving] = len(spots) + np.arange(len(moving))
    spots = np.concatenate([spots, np.column_stack([of_arm[arm[moving]], log_u[moving]])])
    return {
        **fields,
        **walks,
        "step_root": np.sqrt(base.knots.step),
        "at_reference": base.place(np.zeros(1))[0, : len(base.knots.location)],
        "cell_spot": of_cell,
        "spot_baseline": spots[:, 0],
        "spot_values": base.place(spots[:, 1]).T,
        **_pieces(base),
    }


EMPTY = (
    *("cell_spot", "walk_first", "walk_sd", "baseline_walk", "spot_baseline", "cell_background", "background"),
    *("step_root", "at_reference", "spot_values", "breaks", "lengths", "pieces"),
)


ROUNDING = 1e-12
"""Of a coefficient of a piece, relative to the largest of its function there."""


def _moving(inputs: ModelInputs) -> int:
    return len(inputs.kinds.get("median_intervals", {}).get("arm_row", ()))


def base_family(family: Family) -> Family:
    """The family below a background and a cured share."""
    while isinstance(family, WithBackground | Cured):
        family = family.base
    return family


def _baselines(
    design: Design, coordinates: Coordinates, *, at_nodes: bool
) -> tuple[Mapping[str, np.ndarray], np.ndarray]:
    """Walks and baselines, and the baseline of each arm; sides of ratios at nodes stand behind the arms."""
    starts, steps = coordinates.starts, coordinates.steps
    first, sd, number = [], [], {}
    for name, sd_name, rows in _walks(coordinates):
        for row in range(rows):
            number[name, row] = len(first)
            first.append(starts[name] + row * steps)
            sd.append(starts[sd_name])
    study, treatment = design.arm_study, design.arm_treatment
    if at_nodes:
        sides = np.stack([design.hr_treatment, design.hr_reference], axis=1).ravel()
        study = np.concatenate([study, np.repeat(design.hr_study - 1, 2)])
        treatment = np.concatenate([treatment, sides])
    of_arm = [
        (
            number.get(("log_coefficient_standard", 0), -1),
            number.get(("study_log_coefficient_standard", int(j)), -1),
            number.get(("treatment_log_coefficient_standard", int(a) - 1), -1),
        )
        for j, a in zip(study, treatment, strict=True)
    ]
    distinct = sorted(set(of_arm))
    walks = {"walk_first": np.array(first), "walk_sd": np.array(sd), "baseline_walk": np.array(distinct)}
    return walks, np.array([distinct.index(chosen) for chosen in of_arm], dtype=int)


def _walks(coordinates: Coordinates) -> list[tuple[str, str, int]]:
    """Name, name of the sd and number of the walks that a model has."""
    spec, sizes = coordinates.spec, {block.name: block.size // coordinates.steps for block in coordinates.blocks}
    of_study = "smooth_sd" if spec.free_shapes else "study_shape_sd"
    named = (
        ("log_coefficient_standard", "smooth_sd"),
        ("study_log_coefficient_standard", of_study),
        ("treatment_log_coefficient_standard", "treatment_smooth_sd"),
    )
    return [(name, sd, sizes[name]) for name, sd in named if name in sizes]


def _pieces(base: Family) -> Fields:
    """The basis as polynomials between its knots, (piece, power, 2 function) in (u - break) / length.

    Interpolated at as many points as there are powers: exact, for integrals of cubics are of degree four. Beyond the
    end the hazard is constant: nothing may be left of higher powers, which grow without bound.
    """
    if base.knots is None:
        return {}
    edges = np.array([0.0, *base.knots.inner, base.knots.end])
    breaks, lengths = edges, np.append(np.diff(edges), 1.0)
    local = (1 - np.cos(np.pi * (np.arange(POWERS) + 0.5) / POWERS)) / 2
    values = base.place(np.log(breaks[:, None] + lengths[:, None] * local))
    powers = local[:, None] ** np.arange(POWERS - 1, -1, -1)
    pieces = np.einsum("pl,blk->bpk", np.linalg.inv(powers), values)
    functions = len(base.knots.location)
    # what is zero but for rounding: early times are seen through the lowest power alone
    pieces[np.abs(pieces) < ROUNDING * np.abs(pieces).max(axis=1, keepdims=True)] = 0.0
    pieces[-1, :-2], pieces[-1, -2, functions:] = 0.0, 0.0
    return {"breaks": breaks, "lengths": lengths, "pieces": pieces}
