"""`[covariates.*]`, their correlation and integration."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from bayes_bm.spec.effects import require_positive
from bayes_bm.spec.priors import Normal, Prior, Why
from bayes_bm.spec.record import Record

Margin = Literal["normal", "gamma", "lognormal"]
CHOICE = re.compile(r"(-?\d+(?:\.\d+)?) = (.*?)(?=[,;] -?\d+(?:\.\d+)? = |$)")
"""A value and what it is called, in a covariate's `unit`."""


class CaseMix(Record):
    """Mixes of arms in one covariate: a population of arms, on the logit of a share or in a mean's own unit.

    `mean` is of a typical arm, `sd` between arms, `by_treatment` what each treatment's arms differ by (none where it is
    left out; single treatments have their own prior in `by_named`), `within_sd` the spread inside an arm that prints
    none, of a continuous covariate.
    """

    mean: Prior
    sd: Prior
    by_treatment: Prior | None = None
    by_named: dict[str, Prior] | None = None
    within_sd: Prior | None = None

    def differences(self, treatments: Sequence[str]) -> tuple[Prior, ...]:
        """Return the prior of what the arms of each treatment differ by; none where treatments do not differ."""
        named = self.by_named or {}
        return () if self.by_treatment is None else tuple(named.get(name, self.by_treatment) for name in treatments)

    @model_validator(mode="after")
    def _positive(self) -> "CaseMix":
        for prior in (self.sd, self.within_sd):
            if prior is not None:
                require_positive(prior)
        for treatment, prior in (self.by_named or {}).items():
            if not (isinstance(prior, Normal) and isinstance(self.by_treatment, Normal)):
                raise ValueError(
                    f"by_named.{treatment}: found {prior.dist}; allowed: normal, beside by_treatment, itself normal"
                )
        return self


class Covariate(Record):
    """A covariate: its coefficient and, with `interaction`, what each treatment but the reference adds to it.

    One addition is shared by all of them, or each has its own (`interaction_by = "treatment"`). `margin` is the
    distribution of the covariate in an arm that gives its mean and sd; one that gives a share has a two-valued one.
    `centre`, the mean of the evidence's patients where it is not stated (of a two-valued covariate its lower value),
    says whom intercept and treatment effects are about; the coefficient is per `scale` of the covariate's unit, 1 where
    it is not stated, whatever the centre. `missing` is the distribution of one that single patients lack, who are then
    averaged over it (`model/covariates/missing.py`); without it they are refused. With `case_mix` every arm without
    patients' covariates is averaged over its mix, printed or not, which needs the `kind` of the covariate. `label` is
    its name in words, for pages and figures; it is no part of the model.
    """

    prior: Prior
    interaction: Prior | None = None
    interaction_by: Literal["shared", "treatment"] = "shared"
    margin: Margin = "normal"
    missing: Literal["two_valued", "normal"] | None = None
    kind: Literal["two_valued", "continuous"] | None = None
    case_mix: CaseMix | None = None
    centre: float | None = None
    scale: PositiveFloat = 1.0
    unit: str = ""
    label: str | None = None
    lower: float | None = None
    upper: float | None = None

    def scaled(self, value: Any) -> Any:
        """Return the value centred and in units of the scale: what the coefficient multiplies."""
        return (value - self.middle) / self.scale

    @property
    def middle(self) -> float:
        """Return the centre as a number: 0 until a fit has settled one that is not stated (`evidence.centres`)."""
        return 0.0 if self.centre is None else self.centre

    @property
    def choices(self) -> dict[float, str]:
        """Return what single values are called, from a `unit` such as `0 = several metastases, 1 = one`; else none."""
        return {float(value): words.strip() for value, words in CHOICE.findall(self.unit)}

    def words(self, name: str) -> str:
        """Return the covariate of that name in words: its label, or the name without underscores."""
        return self.label or name.replace("_", " ")

    def value_words(self, name: str, value: float) -> str:
        """Return the covariate with a value in words: `number of metastases: one`, `age: 61 years`."""
        choices = self.choices
        shown = choices.get(float(value)) or f"{value:g}{'' if choices or not self.unit else ' ' + self.unit}"
        return f"{self.words(name)}: {shown}"

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

    @model_validator(mode="after")
    def _whole_case_mix(self) -> "Covariate":
        mix = self.case_mix
        if mix is None:
            return self
        if self.kind is None:
            raise ValueError('kind: this key is required beside case_mix: "two_valued" (0 and 1) or "continuous"')
        if self.missing is not None or self.margin != "normal":
            raise ValueError("case_mix: found beside missing or another margin than normal; allowed: one of them")
        if self.kind == "continuous" and mix.within_sd is None:
            raise ValueError("case_mix.within_sd: this key is required of a continuous covariate, with a why")
        if self.kind == "two_valued" and mix.within_sd is not None:
            raise ValueError("case_mix.within_sd: found for a two-valued covariate, whose share says it; leave it out")
        return self


RESERVED = (
    *("study", "arm", "treatment", "endpoint", "time", "event", "entry", "time_upper", "cause", "weight"),
    *("use", "overlap_group", "ci_level", "patient"),
)
"""Columns of tables of patients, which no covariate can be called."""


def covariate_name_rules(names: Iterable[str]) -> Iterator[str]:
    """Say which names a table has for something else, or nobody could give on the command line."""
    for name in names:
        if name in RESERVED:
            yield (
                f"covariates.{name}: a table of patients has a column {name} of another meaning; give the covariate"
                " another name"
            )
        if not name.strip() or name.startswith("x_") or set(name) & set(",="):
            yield f"covariates: found the name {name!r}; allowed: a name without , and = that does not start with x_"


class Correlation(Record):
    """Of two covariates in every arm, on the scale of a Gaussian copula; pairs that are not named have none."""

    between: tuple[str, str]
    value: Annotated[float, Field(gt=-1, lt=1)]
    why: Why


class CommonCorrelation(Record):
    """Of the scores behind any two covariates inside an arm (`model.covariates.cell_shares`).

    Ones and large values go together; of covariates in `turned`, zeros and small values go with them.
    """

    value: Annotated[float, Field(ge=0, lt=1)]
    turned: tuple[str, ...] = ()
    why: Why


class Integration(Record):
    """How covariates go together inside arms, and points over those of an arm that gives means, sds and shares.

    Without `correlation` it is the pooled one of the patients in the evidence. Where mixes of arms are modelled their
    covariates are independent inside an arm, or have `common_correlation`.
    """

    points: Annotated[PositiveInt, Field(le=4096)] = 256
    correlation: tuple[Correlation, ...] | None = None
    common_correlation: CommonCorrelation | None = None

    @model_validator(mode="after")
    def _balanced(self) -> "Integration":
        if self.points & (self.points - 1):
            raise ValueError(f"points is {self.points}; allowed: a power of 2, for which Sobol points are balanced")
        return self
