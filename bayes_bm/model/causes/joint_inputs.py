"""The inputs of a joint model: those of each cause, the rows of several causes, and who shares a correlation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from bayes_bm.evidence.causes import CausesEvidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.modifiers.sum_of_causes import SumOfCauses, SumOverPatients
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor
from bayes_bm.model.causes import correlation, incidence
from bayes_bm.model.causes.incidence import Cause, IncidenceRows
from bayes_bm.model.causes.patient_kinds import PatientKinds, patient_kinds
from bayes_bm.model.linear_predictor import Effects, arm_predictors, point_offsets
from bayes_bm.model.model_inputs import Arrays, ModelInputs
from bayes_bm.model.observations import KINDS, active_terms, observations
from bayes_bm.spec.causes import Causes

NOBODY = np.zeros(0, dtype=bool)
UNKNOWN = "patients_averaged"
"""Kind of evidence of patients whose arm states covariates and whose own are not known."""


@dataclass(frozen=True)
class ArmLevels:
    """Family of one cause, with eta (..., arm) at the covariates' centres and the parts of the shape of every arm of
    its evidence; the effects, of which those of covariates are read, and the treatment of each arm (arm,).
    """

    family: Any
    eta: Any
    shape: Sequence[Any]
    effects: Effects
    treatment: np.ndarray


def arm_levels(inputs: ModelInputs, effects: Effects, *, xp: Namespace) -> ArmLevels:
    """Return those of a cause's own model."""
    eta, shape = arm_predictors(effects, inputs.design, xp=xp)
    return ArmLevels(inputs.arm_family, eta, shape, effects, inputs.design.arm_treatment)


@dataclass(frozen=True)
class ArmsOfRows:
    """The arm of each row by its place in every cause, and the kinds of its patients where arms are averaged."""

    places: tuple[np.ndarray, ...]
    kinds: PatientKinds | None

    @property
    def log_weight(self) -> np.ndarray | None:
        """Log weights of the kinds (row, kind)."""
        return None if self.kinds is None else self.kinds.log_weight


@dataclass(frozen=True)
class SharedStudies:
    """Studies whose levels are correlated between some causes: the causes, and the studies' places in each of them."""

    causes: tuple[int, ...]
    places: tuple[np.ndarray, ...]
    studies: tuple[str, ...]


@dataclass(frozen=True)
class JointInputs:
    """Spec and evidence of several causes, and the inputs of each one's own model."""

    causes: Causes
    evidence: CausesEvidence
    inputs: tuple[ModelInputs, ...]

    @cached_property
    def incidence(self) -> tuple[tuple[IncidenceRows, ArmsOfRows], ...]:
        """Rows of 1 - F cause by cause, and the arms that they are of."""
        found = []
        for place, name in enumerate(self.causes.names):
            part = self.evidence.incidence.get(name)
            rows = None if part is None else incidence.incidence_rows(self.causes.specs[name], part, place)
            if part is not None and rows is not None:
                found.append((rows, self._arms(part, rows.arm_row)))
        return tuple(found)

    @cached_property
    def first_of_all(self) -> dict[str, tuple[Arrays, ArmsOfRows]]:
        """Arrays of every kind of row of the first of all causes, and the arms that they are of."""
        part = self.evidence.first_of_all
        if part is None:
            return {}
        kinds = observations(self.causes.first, part, self.family, missing=NOBODY, crude=NOBODY)
        return {name: (arrays, self._arms(part, arrays["arm_row"])) for name, arrays in kinds.items()}

    @cached_property
    def unknown_patients(self) -> tuple[tuple[Arrays, ...], ArmsOfRows] | None:
        """Patients of averaged arms: their arrays in every cause, and the arms; None where there are none.

        Their density is no product of one factor for each cause, because nobody knows whose covariates they have.
        """
        arrays = tuple(inputs.kinds[UNKNOWN] for inputs in self.inputs if UNKNOWN in inputs.kinds)
        first = self.inputs[0]
        if not arrays or first.spec.case_mixes:
            return None
        kinds = patient_kinds(first.spec, first.evidence, first.evidence, arrays[0]["arm_row"])
        return arrays, ArmsOfRows(tuple(one["arm_row"] for one in arrays), kinds)

    @property
    def own_inputs(self) -> tuple[ModelInputs, ...]:
        """Inputs of every cause with the rows that speak about it alone."""
        if self.unknown_patients is None:
            return self.inputs
        rest = ({name: one for name, one in inputs.kinds.items() if name != UNKNOWN} for inputs in self.inputs)
        return tuple(inputs.with_rows(kinds) for inputs, kinds in zip(self.inputs, rest, strict=True))

    @property
    def arms(self) -> Iterator[ArmsOfRows]:
        """Yield the arms of every kind of row of several causes."""
        yield from (arms for _, arms in (*self.incidence, *self.first_of_all.values()))
        if self.unknown_patients is not None:
            yield self.unknown_patients[1]

    @cached_property
    def family(self) -> SumOfCauses:
        """The family of the time to the first of all causes."""
        return SumOfCauses(tuple(inputs.family for inputs in self.inputs))

    def _arms(self, part: Evidence, rows: np.ndarray) -> ArmsOfRows:
        first = self.inputs[0]
        places = tuple(self.evidence.arm_rows(name, part)[rows] for name in self.causes.names)
        return ArmsOfRows(places, patient_kinds(first.spec, first.evidence, part, rows))

    @cached_property
    def shared_studies(self) -> tuple[SharedStudies, ...]:
        """Studies with a level in two causes or more, together where the causes are the same."""
        studies = [inputs.design.studies for inputs in self.inputs]
        groups: dict[tuple[int, ...], list[str]] = {}
        for study in sorted({name for names in studies for name in names}):
            groups.setdefault(tuple(k for k, names in enumerate(studies) if study in names), []).append(study)
        return tuple(
            SharedStudies(held, tuple(np.array([studies[k].index(name) for name in names]) for k in held), tuple(names))
            for held, names in groups.items()
            if len(held) > 1
        )


def row_terms(joint: JointInputs, levels: Sequence[ArmLevels], *, xp: Namespace) -> Iterator[tuple[str, Tensor]]:
    """Yield name and pointwise log density (..., row) of every kind of row of several causes."""
    for rows, arms in joint.incidence:
        causes = causes_at(levels, arms, xp=xp)
        density = incidence.log_density(rows, causes, log_weight=arms.log_weight, xp=xp)
        yield f"incidence of {joint.causes.names[rows.cause]}", density
    for name, (arrays, arms) in joint.first_of_all.items():
        causes = causes_at(levels, arms, xp=xp)
        yield f"first of all, {name}", first_density(joint, name, arrays, causes, arms.log_weight, xp=xp)
    if joint.unknown_patients is not None:
        patients, arms = joint.unknown_patients
        causes = causes_at(levels, arms, xp=xp)
        yield "patients of averaged arms", unknown_density(patients, causes, arms.log_weight, xp=xp)


def unknown_density(arrays: Sequence[Arrays], causes: Sequence[Cause], log_weight: Any, *, xp: Namespace) -> Tensor:
    """Log density of patients (..., row): of each the sum over kinds of w times the product of every cause's factor."""
    terms = log_weight
    for one, own in zip(causes, arrays, strict=True):
        # a trailing axis of kinds, before that of the values of a basis
        wide = {name: values[:, None] for name, values in own.items()} | {"weight": 1.0} | active_terms(own)
        eta, shape = one.eta[..., None] + one.moves, one.shape[..., None, :]
        terms = terms + KINDS[UNKNOWN].log_density(one.family, SimpleNamespace(**wide), eta, shape, xp=xp)
    top = xp.max(terms)
    return arrays[0]["weight"] * (top[..., 0] + xp.log(xp.sum(xp.exp(terms - top))))


def causes_at(levels: Sequence[ArmLevels], arms: ArmsOfRows, *, xp: Namespace) -> list[Cause]:
    """Every cause in the arms of some rows."""
    found = []
    for one, rows in zip(levels, arms.places, strict=True):
        shape = xp.join_shape([xp.take(part, rows) for part in one.shape])
        moves = None if arms.kinds is None else point_offsets(one.effects, one.treatment[rows], arms.kinds.x, xp=xp)
        found.append(Cause(one.family, xp.take(one.eta, rows), shape, moves))
    return found


def first_density(
    joint: JointInputs,
    name: str,
    arrays: Arrays,
    causes: Sequence[Cause],
    log_weight: np.ndarray | None,
    *,
    xp: Namespace,
) -> Tensor:
    """Pointwise log density of rows of the first of all causes, as of any family."""
    data = SimpleNamespace(**{"reached_after": np.ones(len(arrays["arm_row"]))} | arrays | active_terms(arrays))
    first, *others = causes
    columns = [first.shape[..., column] for column in range(first.family.width)]
    for one in others:
        columns += [one.eta, *(one.shape[..., column] for column in range(one.family.width))]
    if log_weight is None:
        return KINDS[name].log_density(joint.family, data, first.eta, xp.columns(columns), xp=xp)
    family = SumOverPatients(joint.family, log_weight.shape[-1])
    shape = xp.join_shape([*columns, xp.beside([*(one.moves for one in causes), log_weight])], points=True)
    return KINDS[name].log_density(family, data, first.eta, shape, xp=xp)


def correlation_terms(
    joint: JointInputs, z: Sequence[Tensor], values: Sequence[Tensor], *, xp: Namespace
) -> Iterator[Tensor]:
    """Yield what the correlation of levels adds to the log density of each study (..., study), group by group.

    `z` are the standard levels of each cause (..., study), `values` the correlations, pair by pair.
    """
    of_pair = dict(zip(correlation.pairs(len(z)), values, strict=True))
    for group in joint.shared_studies:
        levels = [xp.take(z[cause], places) for cause, places in zip(group.causes, group.places, strict=True)]
        own = [of_pair[group.causes[one], group.causes[other]] for one, other in correlation.pairs(len(levels))]
        yield correlation.log_ratio(levels, own, xp=xp)
