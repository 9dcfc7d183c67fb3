"""`[evidence]`: where the tables are and how rows are chosen."""

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)

from bayes_bm.spec.record import Choice, Reasoned, Record, Share, TimeUnit

EVIDENCE_KINDS = (
    *("patients", "arms", "points", "medians", "hazard_ratios", "counts", "registry", "curves"),
    "prognostic_ratios",
)


UNWEIGHTED = Reasoned(value=1.0, why="series without a comparator count as every other study")
"""Weight of single-arm studies where the spec says none."""


class Source(Record):
    """One evidence file; `time_unit` where it differs from the spec's."""

    path: str
    time_unit: TimeUnit | None = None


def _as_source(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


_Named = Annotated[Source, BeforeValidator(_as_source, json_schema_input_type=Source | str)]
Sources = Annotated[
    tuple[_Named, ...],
    BeforeValidator(_as_list, json_schema_input_type=tuple[Source | str, ...] | Source | str),
]


class EvidenceSpec(Record):
    patients: Sources = ()
    arms: Sources = ()
    points: Sources = ()
    medians: Sources = ()
    hazard_ratios: Sources = ()
    counts: Sources = ()
    registry: Sources = ()
    curves: Sources = ()
    prognostic_ratios: Sources = ()
    background: _Named | None = None
    include: dict[str, tuple[str | int | float, ...]] = Field(default_factory=dict)
    also: tuple[Choice, ...] = ()
    exclude: tuple[Choice, ...] = ()
    allow_overlap: tuple[Choice, ...] = ()
    effective_share: Share = Reasoned(
        value=0.8, why="default of decision 5 (docs/decisions.md): some of the n were censored before the printed time"
    )
    icc: Share = Reasoned(value=0.3, why="lesions of one patient share the patient's biology; a middling correlation")

    single_arm_weight: Share = UNWEIGHTED

    @model_validator(mode="after")
    def _shares(self) -> "EvidenceSpec":
        if not 0 < self.single_arm_weight.value <= 1:
            raise ValueError(f"single_arm_weight is {self.single_arm_weight.value}; allowed: above 0, at most 1")
        if not 0 < self.effective_share.value <= 1:
            raise ValueError(f"effective_share is {self.effective_share.value}; allowed: above 0, at most 1")
        if not 0 <= self.icc.value <= 1:
            raise ValueError(f"icc is {self.icc.value}; allowed: 0 to 1")
        return self
