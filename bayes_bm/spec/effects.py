"""`[treatments]`, `[effects.*]` and `[baseline]`."""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    model_validator,
)

from bayes_bm.spec.priors import POSITIVE, Prior
from bayes_bm.spec.record import Record, Text


class TreatmentClass(Record):
    """Treatments of one class: effects about the class's own, `sd` apart, or (`common`) one effect."""

    members: tuple[Text, ...] = Field(min_length=2)
    effects: Literal["exchangeable", "common"] = "exchangeable"
    sd: Prior | None = None

    @model_validator(mode="after")
    def _sd_if_exchangeable(self) -> "TreatmentClass":
        if self.effects == "exchangeable" and self.sd is None:
            raise ValueError("exchangeable effects of a class need `sd`, a prior on their standard deviation")
        if self.effects == "common" and self.sd is not None:
            raise ValueError('`sd` has no meaning where effects = "common": members share one effect; leave it out')
        return _positive_sd(self)


class Treatments(Record):
    reference: Text
    compare: tuple[Text, ...] = Field(min_length=1)
    also_against: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    classes: dict[str, TreatmentClass] = Field(default_factory=dict)
    # names in words, for pages and figures; no part of the model
    labels: dict[str, Text] = Field(default_factory=dict)

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

    @model_validator(mode="after")
    def _in_one_class(self) -> "Treatments":
        members = [member for one in self.classes.values() for member in one.members]
        for name in members:
            if name not in self.compare:
                why = "; the reference is in none: its effect is 0" if name == self.reference else ""
                raise ValueError(f"classes: found {name}; allowed: {', '.join(self.compare)}{why}")
            if members.count(name) > 1:
                raise ValueError(f"classes: found {name} twice; allowed: each treatment in one class")
        for name in self.classes:
            if name in self.names:
                raise ValueError(f"classes: found {name}, a treatment; allowed: another name for the class")
        return self

    @model_validator(mode="after")
    def _known_labels(self) -> "Treatments":
        members = [member for group in self.groups.values() for member in group]
        allowed = list(dict.fromkeys((*self.names, *self.classes, *members)))
        for name in self.labels:
            if name not in allowed:
                raise ValueError(f"labels: found {name}; allowed: {', '.join(allowed)}")
        texts = [self.labels.get(name, name) for name in self.names]
        if twice := next((text for text in texts if texts.count(text) > 1), None):
            raise ValueError(f"labels: found {twice!r} twice; allowed: another label for each treatment")
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


LEAST_DF = 2.0
"""Degrees of freedom above which a Student t has a standard deviation."""


class StudyEffect(StudyLevel):
    """The level of a study: normal about the average study, or a Student t, whose `sd` is then the scale."""

    dist: Literal["normal", "student_t"] = "normal"
    df: Annotated[float, Field(gt=LEAST_DF, le=1e6)] | None = None

    @model_validator(mode="after")
    def _df_of_t(self) -> "StudyEffect":
        heavy = self.dist == "student_t"
        if heavy and not self.exchangeable:
            raise ValueError(
                'found dist = "student_t" beside exchangeable = false; allowed: "normal", for free levels have no'
                " distribution between them; leave `dist` out"
            )
        if heavy and self.df is None:
            raise ValueError(
                'dist = "student_t" needs `df`, its degrees of freedom, above 2; 4 is usual: one study in fifty'
                " then lies beyond 3.7 scales (normal: 2.3)"
            )
        if not heavy and self.df is not None:
            raise ValueError('`df` has no meaning for dist = "normal"; leave it out, or say dist = "student_t"')
        return self


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
    study: StudyEffect | None = None
    study_treatment: StudyTreatment | None = None
    study_shape: StudyLevel | None = None


class Baseline(Record):
    """Level and log shape of the reference treatment as distributions, where study levels are free (decision 11).

    `log_shape` is the shape parameter that studies may differ in, by whatever name the family knows it; a family
    without one leaves it out.
    """

    intercept: Prior
    log_shape: Prior | None = None
