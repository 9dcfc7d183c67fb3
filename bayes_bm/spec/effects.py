"""`[treatments]`, `[effects.*]` and `[baseline]`."""

from typing import Any

from pydantic import (
    Field,
    model_validator,
)

from bayes_bm.spec.priors import POSITIVE, Prior
from bayes_bm.spec.record import Record, Text


class Treatments(Record):
    reference: Text
    compare: tuple[Text, ...] = Field(min_length=1)
    also_against: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _distinct(self) -> "Treatments":
        if len(set(self.names)) < len(self.names):
            raise ValueError("a treatment is named twice; every treatment stands once in reference + compare")
        for name in (*self.also_against, *self.groups):
            if name not in self.names:
                raise ValueError(f"found {name}; allowed in also_against and groups: {', '.join(self.names)}")
        members = [member for group in self.groups.values() for member in group]
        if len(set(members)) < len(members) or set(members) & (set(self.names) - set(self.groups)):
            raise ValueError(
                "a treatment in a group stands in one group only, and not beside it in reference or compare"
            )
        return self

    def merged(self, name: str) -> str:
        """The name under which a treatment of the tables is analysed: its group's, where it is in one."""
        return next((group for group, members in self.groups.items() if name in members), name)

    @property
    def names(self) -> tuple[str, ...]:
        """Reference first."""
        return (self.reference, *self.compare)


class StudyLevel(Record):
    """A study-level effect: exchangeable with a prior on its sd, or free (docs/decisions.md#11-free-levels)."""

    exchangeable: bool = True
    sd: Prior | None = None

    @model_validator(mode="after")
    def _sd_if_exchangeable(self) -> "StudyLevel":
        if self.exchangeable and self.sd is None:
            raise ValueError("an exchangeable effect needs `sd`, a prior on its standard deviation")
        if not self.exchangeable and self.sd is not None:
            raise ValueError(
                "`sd` has no meaning where exchangeable = false: each study has its own level; leave it out"
            )
        return _positive_sd(self)


class StudyTreatment(Record):
    sd: Prior

    @model_validator(mode="after")
    def _positive(self) -> "StudyTreatment":
        return _positive_sd(self)


def _positive_sd(effect: Any) -> Any:
    if effect.sd is not None:
        require_positive(effect.sd)
    return effect


def require_positive(prior: Prior) -> None:
    """Refuse the prior of a standard deviation that allows values below zero."""
    lower = getattr(prior, "lower", None)
    if not isinstance(prior, POSITIVE) and not (lower is not None and lower >= 0):
        raise ValueError(f"a standard deviation needs a prior on positive numbers; found {prior.dist}")


class Effects(Record):
    study: StudyLevel | None = None
    study_treatment: StudyTreatment | None = None
    study_shape: StudyLevel | None = None


class Baseline(Record):
    """Level and log shape of the reference treatment as distributions, where study levels are free (decision 11).

    `log_shape` is the shape parameter that studies may differ in, by whatever name the family knows it; a family
    without one leaves it out.
    """

    intercept: Prior
    log_shape: Prior | None = None
