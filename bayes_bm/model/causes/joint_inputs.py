"""The inputs of a joint model: those of each cause, the rows of several causes, and who shares a correlation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from bayes_bm.evidence.causes import CausesEvidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.modifiers.sum_of_causes import SumOfCauses
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor
from bayes_bm.model.causes import correlation, incidence
from bayes_bm.model.causes.incidence import Cause, IncidenceRows
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.model.observations import KINDS, active_terms, observations
from bayes_bm.spec.causes import Causes

NOBODY = np.zeros(0, dtype=bool)


@dataclass(frozen=True)
class ArmLevels:
    """Family of one cause, with eta (..., arm) and the parts of the shape of every arm of its evidence."""

    family: Any
    eta: Any
    shape: Sequence[Any]


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
    def incidence(self) -> tuple[tuple[IncidenceRows, tuple[np.ndarray, ...]], ...]:
        """Rows of 1 - F cause by cause, each with the row of its arm in every cause."""
        found = []
        for place, name in enumerate(self.causes.names):
            part = self.evidence.incidence.get(name)
            rows = None if part is None else incidence.incidence_rows(self.causes.specs[name], part, place)
            if part is not None and rows is not None:
                found.append((rows, self._arm_rows(part, rows.arm_row)))
        return tuple(found)

    @cached_property
    def first_of_all(self) -> dict[str, tuple[dict[str, np.ndarray], tuple[np.ndarray, ...]]]:
        """Arrays of every kind of row of the first of all causes, each with the row of its arm in every cause."""
        part = self.evidence.first_of_all
        if part is None:
            return {}
        kinds = observations(self.causes.first, part, self.family, missing=NOBODY, crude=NOBODY)
        return {name: (arrays, self._arm_rows(part, arrays["arm_row"])) for name, arrays in kinds.items()}

    @cached_property
    def family(self) -> SumOfCauses:
        """The family of the time to the first of all causes."""
        return SumOfCauses(tuple(inputs.family for inputs in self.inputs))

    def _arm_rows(self, part: Evidence, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(self.evidence.arm_rows(name, part)[rows] for name in self.causes.names)

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
    for rows, arm_rows in joint.incidence:
        causes = causes_at(levels, arm_rows, xp=xp)
        yield f"incidence of {joint.causes.names[rows.cause]}", incidence.log_density(rows, causes, xp=xp)
    for name, (arrays, arm_rows) in joint.first_of_all.items():
        first, *others = causes_at(levels, arm_rows, xp=xp)
        yield f"first of all, {name}", first_density(joint, name, arrays, [first, *others], xp=xp)


def causes_at(levels: Sequence[ArmLevels], arm_rows: Sequence[np.ndarray], *, xp: Namespace) -> list[Cause]:
    """Every cause in some rows, whose arm is given by its place in each cause."""
    return [
        Cause(
            one.family, xp.take(one.eta, rows), xp.join_shape([xp.take(part, rows) for part in one.shape])
        )
        for one, rows in zip(levels, arm_rows, strict=True)
    ]  # fmt: skip


def first_density(
    joint: JointInputs, name: str, arrays: dict[str, np.ndarray], causes: Sequence[Cause], *, xp: Namespace
) -> Tensor:
    """Pointwise log density of rows of the first of all causes, as of any family."""
    data = SimpleNamespace(**{"reached_after": np.ones(len(arrays["arm_row"]))} | arrays | active_terms(arrays))
    columns = [causes[0].shape[..., column] for column in range(causes[0].family.width)]
    for one in causes[1:]:
        columns += [one.eta, *(one.shape[..., column] for column in range(one.family.width))]
    return KINDS[name].log_density(joint.family, data, causes[0].eta, xp.columns(columns), xp=xp)


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
