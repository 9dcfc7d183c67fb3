"""`[covariates.*]`, their correlation and integration."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from bayes_bm.spec.priors import Prior, Why
from bayes_bm.spec.record import Record

Margin = Literal["normal", "gamma", "lognormal"]


class Covariate(Record):
    """A covariate: its coefficient and, with `interaction`, what each treatment but the reference adds to it.

    One addition is shared by all of them, or each has its own (`interaction_by = "treatment"`). `margin` is the
    distribution of the covariate in an arm that gives its mean and sd; one that gives a share has a two-valued one.
    `centre`, the mean of the evidence's patients where it is not stated (of a two-valued covariate its lower value),
    says whom intercept and treatment effects are about; the coefficient is per `scale` of the covariate's unit, 1 where
    it is not stated, whatever the centre. `missing` is the distribution of one that single patients lack, who are then
    averaged over it (`model/covariates/missing.py`); without it they are refused.
    """

    prior: Prior
    interaction: Prior | None = None
    interaction_by: Literal["shared", "treatment"] = "shared"
    margin: Margin = "normal"
    missing: Literal["two_valued", "normal"] | None = None
    centre: float | None = None
    scale: PositiveFloat = 1.0
    unit: str = ""
    lower: float | None = None
    upper: float | None = None

    def scaled(self, value: Any) -> Any:
        """Return the value centred and in units of the scale: what the coefficient multiplies."""
        return (value - self.middle) / self.scale

    @property
    def middle(self) -> float:
        """Return the centre as a number: 0 until a fit has settled one that is not stated (`evidence.centres`)."""
        return 0.0 if self.centre is None else self.centre

    @model_validator(mode="after")
    def _ordered_limits(self) -> "Covariate":
        if self.lower is not None and self.upper is not None and not self.lower < self.upper:
            raise ValueError(f"lower is {self.lower:g} and upper is {self.upper:g}; allowed: lower below upper")
        return self

    @model_validator(mode="after")
    def _has_interaction(self) -> "Covariate":
        if self.interaction is None and self.interaction_by != "shared":
            raise ValueError(
                "interaction_by says whose the interaction is; give `interaction`, its prior, or leave it out"
            )
        return self


RESERVED = (
    *("study", "arm", "treatment", "endpoint", "time", "event", "entry", "time_upper", "cause", "weight"),
    *("use", "overlap_group", "ci_level", "patient"),
)
"""Columns of tables of patients, which no covariate can be called."""


def check_covariate_names(names: Iterable[str]) -> None:
    """Refuse names that a table has for something else, or that nobody could give on the command line."""
    for name in names:
        if name in RESERVED:
            raise ValueError(
                f"covariates.{name}: a table of patients has a column {name} of another meaning; give the covariate"
                " another name"
            )
        if not name.strip() or name.startswith("x_") or set(name) & set(",="):
            raise ValueError(
                f"covariates: found the name {name!r}; allowed: a name without , and = that does not start with x_"
            )


class Correlation(Record):
    """Of two covariates in every arm, on the scale of a Gaussian copula; pairs that are not named have none."""

    between: tuple[str, str]
    value: Annotated[float, Field(gt=-1, lt=1)]
    why: Why


class Integration(Record):
    """Quasi-random points over the covariates of an arm that gives only means, sds and shares.

    Without `correlation` it is the pooled one of the patients in the evidence.
    """

    points: Annotated[PositiveInt, Field(le=4096)] = 256
    correlation: tuple[Correlation, ...] | None = None

    @model_validator(mode="after")
    def _balanced(self) -> "Integration":
        if self.points & (self.points - 1):
            raise ValueError(f"points is {self.points}; allowed: a power of 2, for which Sobol points are balanced")
        return self
