"""models/*.toml -> frozen records: strict, versioned, hashed.

`read_spec` is the only way in. An unknown key is an error that names the nearest known key; sensitivity analyses are
named patches on the document (docs/decisions.md#specs-are-data). Nothing here touches evidence or PyMC.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    model_validator,
)

from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.family import CURED
from bayes_bm.runtime.summaries import listed, summary
from bayes_bm.spec.biases import CLOCK_BIASES, LINEAR_BIASES, Bias, Biases, StudyCovariate
from bayes_bm.spec.covariates import Covariate, Integration, covariate_name_rules
from bayes_bm.spec.effects import Baseline, Effects, Treatments
from bayes_bm.spec.hazard import EFFECT_NAMES, Hazard
from bayes_bm.spec.level import Level
from bayes_bm.spec.mix_rules import case_mix_rules, common_correlation_rules, population_rules
from bayes_bm.spec.priors import POSITIVE, Prior
from bayes_bm.spec.prognosis import Prognosis
from bayes_bm.spec.record import Contradiction, Contradictions, Record, Text, TimeUnit
from bayes_bm.spec.sources import UNWEIGHTED, EvidenceSpec
from bayes_bm.spec.term_rules import regression_rules, waning_rules
from bayes_bm.spec.waning import Waning


class Priors(Record):
    """Which of them a spec needs follows from its family (`_check_shape_priors`)."""

    intercept: Prior
    log_hr: Prior | None = None
    log_time_ratio: Prior | None = None
    log_shape: Prior | None = None
    shape: Prior | None = None
    log_sd: Prior | None = None
    q: Prior | None = None
    slope: Prior | None = None
    logit_constant: Prior | None = None
    log_shape_ratio: Prior | None = None
    log_gap: Prior | None = None
    logit_early: Prior | None = None
    smooth_sd: Prior | None = None
    treatment_smooth_sd: Prior | None = None
    logit_cure: Prior | None = None
    treatment_log_shape: Prior | None = None


Time = Annotated[float, Field(gt=0, le=1e6)]
"""A time that answers are given for; 10^6 days are more than 2,000 years."""
Count = Annotated[int, Field(ge=1, le=10_000_000)]
"""Draws or chains."""


class Sampling(Record):
    draws: Count = 1000
    tune: Count = 1000
    chains: Count = 4
    thin: Count = 2
    cores: Count | None = None
    target_accept: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    sampler: Literal["nutpie", "pymc"] = "nutpie"
    # of effects of studies in the compiled density; by how much their patients tell where nothing is said
    centring: Literal["none", "all"] | None = None


class ExternalCheck(Record):
    """A published number that is no evidence here, printed beside ours.

    With `patient` it is of a stratum: of patients with these covariates, averaged over the others.
    """

    estimand: Literal["hazard_ratio", "median", "survival", "p_value"]
    treatment: str
    reference: str | None = None
    time: float | None = None
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    source: str
    note: str = ""
    patient: dict[str, float] | None = None

    @model_validator(mode="after")
    def _of_patients(self) -> "ExternalCheck":
        if self.patient is not None and self.estimand not in ("median", "survival"):
            raise ValueError(f"patient: found beside estimand {self.estimand}; allowed: median, survival")
        return self


class Spec(Record):
    """Hold everything that an analysis assumes: frozen, checked, and the same as its TOML file.

    `read_spec` makes one. Fields are the keys of the file (docs/method.md); times are in `time_unit`, from time 0 of
    the endpoint. Equal specs have equal digests, which stored results carry.

    Raises
    ------
    InputError
        From `read_spec`, for keys that are unknown, missing or in contradiction to another: all at once.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> spec = bb.read_spec("os_reresection_vs_resrs")
    >>> spec.hazard.family, spec.time_unit, spec.answer_times
    ('weibull', 'months', (6.0, 12.0, 24.0))
    >>> spec.treatments.reference, spec.modifiers
    ('re_srs', ())
    >>> spec.digest() == bb.read_spec("os_reresection_vs_resrs").digest()
    True
    """

    def __repr__(self) -> str:
        effects = [name for name in type(self.effects).model_fields if getattr(self.effects, name) is not None]
        times = ", ".join(f"{time:g}" for time in self.answer_times)
        sampling = self.sampling
        rows = {
            "question": self.question,
            "answers": f"{self.endpoint}, in {self.time_unit}, at {times}; restricted means to {self.horizon:g}",
            "treatments": f"{listed(self.treatments.compare)} against {self.treatments.reference}",
            "hazard": f"{self.hazard.family}; effects: {listed(effects) or 'none, one baseline for all studies'}",
            "covariates": listed(list(self.covariates)),
            "analyses": listed(list(self.sensitivity)),
            "sampling": f"{sampling.chains} chains of {sampling.tune} + {sampling.draws} draws, seed {self.seed}",
            "look at": "priors, evidence, effects, ...; document() has every key; digest()",
        }
        return summary(f"Spec {self.name}", rows)

    def __str__(self) -> str:
        return repr(self)

    schema_version: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=100)]
    question: Text
    endpoint: Text
    time_unit: TimeUnit = "months"
    reference_time: Time = 12.0
    horizon: Time = 24.0
    level: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95
    times: tuple[Time, ...] = ()
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1
    measure: Literal["km", "cif_complement", "crude"] | None = None
    cause: Annotated[str, Field(min_length=1)] | None = None
    cannot_say: tuple[str, ...] = ()
    reproduction: bool = False
    evidence: EvidenceSpec = EvidenceSpec()
    treatments: Treatments
    hazard: Hazard = Hazard()
    effects: Effects = Effects()
    waning: Waning | None = None
    priors: Priors
    covariates: dict[str, Covariate] = Field(default_factory=dict)
    integration: Integration = Integration()
    prognosis: Prognosis | None = None
    bias: Biases = Biases()
    meta_regression: dict[str, StudyCovariate] = Field(default_factory=dict)
    baseline: Baseline | None = None
    sampling: Sampling = Sampling()
    sensitivity: dict[str, dict[str, Any]] = Field(default_factory=dict)
    # what single analyses of `sensitivity` are, in words, by name
    sensitivity_words: dict[str, str] = Field(default_factory=dict)
    external_checks: tuple[ExternalCheck, ...] = ()
    # shares and means of a population that the report answers about, by share_NAME or mean_NAME
    population: dict[str, float] | None = None
    folder: str = Field(default=".", exclude=True)

    @model_validator(mode="after")
    def _consistent(self) -> "Spec":
        found = [
            Contradiction(message, tables) for rules, tables in RULES.items() for message in dict.fromkeys(rules(self))
        ]
        if found:
            raise Contradictions(found)
        return self

    @property
    def free_levels(self) -> bool:
        return self.effects.study is not None and not self.effects.study.exchangeable

    @property
    def level_df(self) -> float | None:
        """Degrees of freedom of study effects with heavy tails; None where they are normal."""
        return None if self.effects.study is None else self.effects.study.df

    @property
    def free_shapes(self) -> bool:
        return self.effects.study_shape is not None and not self.effects.study_shape.exchangeable

    @property
    def proportional(self) -> bool:
        """Whether the hazards of two treatments in one study are proportional: of all deaths, background included."""
        shaped = self.priors.treatment_log_shape is not None or self.priors.treatment_smooth_sd is not None
        constant = not shaped and self.waning is None and self.evidence.background is None
        return self.hazard.proportional and constant

    @property
    def modifiers(self) -> tuple[str, ...]:
        """Covariates whose effect differs between treatments."""
        return tuple(name for name, term in self.covariates.items() if term.interaction is not None)

    @property
    def case_mixes(self) -> bool:
        """Whether arms are averaged over their mixes, printed or not: all covariates say how, or none."""
        return any(term.case_mix is not None for term in self.covariates.values())

    @property
    def modelled_biases(self) -> dict[str, Bias]:
        """Biases that the density knows: terms of the linear predictor, covariates of studies among them, and clocks of
        unknown size, which are none of its terms (`evidence.biases`); a clock of stated size only moves the evidence.
        """
        return self.bias.named(LINEAR_BIASES) | self.meta_regression | self.bias.named(self.unknown_clocks)

    @property
    def unknown_clocks(self) -> tuple[str, ...]:
        """Biases of the clock with a prior (`hazards.modifiers.unknown_clock`)."""
        return tuple(name for name, term in self.bias.named(CLOCK_BIASES).items() if term.prior is not None)

    @property
    def unknown_biases(self) -> tuple[str, ...]:
        """Those with a prior: the parameter `bias`."""
        return tuple(name for name, term in self.modelled_biases.items() if term.prior is not None)

    @property
    def needs_baseline(self) -> bool:
        """Absolute answers need a named study: levels or shapes are free and no baseline is given (decision 11)."""
        return (self.free_levels or self.free_shapes) and self.baseline is None

    @property
    def interval(self) -> Level:
        """The level of every interval that is shown: its ends, their columns and its words."""
        return Level(self.level)

    @property
    def answer_times(self) -> tuple[float, ...]:
        """Times at which answers are given where the caller names none."""
        return self.times or tuple(sorted({self.reference_time / 2, self.reference_time, self.horizon}))

    def document(self) -> dict[str, Any]:
        """The spec as plain data; `parse_spec(spec.document())` gives it back."""
        document = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        # an absent table leaves no trace, so that digests of specs that know nothing of it stay what they were
        if not self.evidence.prognostic_ratios:
            del document["evidence"]["prognostic_ratios"]
        if self.evidence.single_arm_weight == UNWEIGHTED:
            del document["evidence"]["single_arm_weight"]
        if self.level == type(self).model_fields["level"].default:
            del document["level"]
        if not self.treatments.classes:
            del document["treatments"]["classes"]
        if not self.treatments.labels:
            del document["treatments"]["labels"]
        if not self.meta_regression:
            del document["meta_regression"]
        if not self.sensitivity_words:
            del document["sensitivity_words"]
        if self.effects.study is not None and self.level_df is None:
            del document["effects"]["study"]["dist"]
        return document

    def digest(self) -> str:
        """Return a digest of the document without its labels, which are words and no part of the model."""
        document = self.document()
        document.pop("sensitivity_words", None)
        document["treatments"].pop("labels", None)
        for covariate in document.get("covariates", {}).values():
            covariate.pop("label", None)
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _effect_rules(spec: Spec) -> Iterator[str]:
    """Decision 17: accelerated-time families know time ratios, the others hazard ratios."""
    family, needed = spec.hazard.family, spec.hazard.treatment_effect
    other = next(name for name in EFFECT_NAMES.values() if name != needed)
    kind = {"log_hr": "a proportional-hazards", "log_time_ratio": "an accelerated-time"}[needed]
    if getattr(spec.priors, other) is not None:
        yield f"priors.{other}: {family} is {kind} family, whose effects are {needed}; give priors.{needed}"
    elif getattr(spec.priors, needed) is None:
        yield f"priors.{needed}: this key is required, with a why ({family} is {kind} family)"


SHAPES = tuple(dict.fromkeys([*(name for family in FAMILIES.values() for name in family.shapes), CURED]))


def _shape_rules(spec: Spec) -> Iterator[str]:
    """Every shape parameter of the family has a prior, and no other; `shape` may stand for a free log_shape."""
    wanted = spec.hazard.shapes
    given = [name for name in SHAPES if getattr(spec.priors, name) is not None]
    natural = spec.priors.shape is not None
    scales = [*(["log_shape"] if "log_shape" in given else []), *(["shape"] if natural else [])]
    if "log_shape" in wanted and len(scales) != 1:
        yield f"priors: found {scales or 'neither'}; give exactly one of log_shape and shape"
    if natural and "log_shape" not in wanted:
        yield f"priors.shape: {_shapes_of(spec)}; leave it out"
    elif natural and not spec.free_shapes:
        yield "priors.shape is for effects.study_shape.exchangeable = false; use priors.log_shape here"
    for name in wanted:
        reason = "hazard.cure = true" if name == CURED else f"{spec.hazard.family} has this shape parameter"
        if name not in given and name != "log_shape":
            yield f"priors.{name}: this key is required, with a why ({reason})"
    for name in given:
        hint = "; it is for hazard.cure = true" if name == CURED else ""
        if name not in wanted:
            yield f"priors.{name}: {_shapes_of(spec)}; leave it out{hint}"
    if spec.hazard.flexible and spec.priors.smooth_sd is None:
        what = "the sd of the change of the log hazard over the follow-up"
        yield f"priors.smooth_sd: this key is required, with a why: {what}"
    if not spec.hazard.flexible and spec.priors.smooth_sd is not None:
        yield f"priors.smooth_sd: {spec.hazard.family} has no knots to smooth over; leave it out"


def _shapes_of(spec: Spec) -> str:
    names = ", ".join(spec.hazard.shapes)
    return f"{spec.hazard.family} has {f'the shape parameters {names}' if names else 'no shape parameter'}"


def _shape_effect_rules(spec: Spec) -> Iterator[str]:
    """Where studies and treatments may differ in shape depends on the family."""
    family, varies = spec.hazard.family, spec.hazard.varies
    if spec.priors.treatment_log_shape is not None and varies is None:
        yield (
            f"priors.treatment_log_shape: {family} has no single shape parameter for treatments to differ in; "
            f"families that have one: {', '.join(name for name, member in FAMILIES.items() if member.varies)}"
            + ("; its coefficients may differ with priors.treatment_smooth_sd" if spec.hazard.flexible else "")
        )
    smooth = spec.priors.treatment_smooth_sd
    if smooth is not None and not spec.hazard.flexible:
        yield f"priors.treatment_smooth_sd: {family} has no knots for treatments to differ at; leave it out"
    elif smooth is not None and not isinstance(smooth, POSITIVE) and getattr(smooth, "lower", -1.0) < 0:
        yield f"priors.treatment_smooth_sd: needs a prior on positive numbers; found {smooth.dist}"
    if spec.effects.study_shape is None:
        return
    if varies is None and not spec.hazard.flexible:
        yield f"effects.study_shape: {family} has no shape parameter; leave the table out"
    if spec.hazard.flexible and spec.baseline is not None:
        yield f"baseline: a free shape of {family} is a curve, not a number; ask about study:NAME"


def _bias_rules(spec: Spec) -> Iterator[str]:
    for name, term in spec.bias.named(Biases.model_fields).items():
        centred = name in ("year", "mixed_population")
        if unknown := set(term.treatments or ()) - set(spec.treatments.names):
            names = ", ".join(sorted(unknown))
            yield f"bias.{name}.treatments: found {names}; allowed: {', '.join(spec.treatments.names)}"
        if term.centre is not None and not centred:
            yield f"bias.{name}.centre: only year and mixed_population have one; leave it out"
        if name == "year" and term.centre is None:
            yield "bias.year.centre: this key is required: the year of the study that answers are for"
        if name not in CLOCK_BIASES:
            continue
        if term.prior is not None:
            yield from _unknown_clock_rules(spec, name, term.prior)
        if not term.acts_on and not term.treatments:
            yield f"bias.{name}: give treatments or acts_on (studies or arms, each with a why): whose clock"
        if term.value is not None and term.value.value < 0:
            yield f"bias.{name}.value: found {term.value.value}; allowed: 0 or more, in the spec's time unit"


def _unknown_clock_rules(spec: Spec, name: str, prior: Any) -> Iterator[str]:
    """A time of at least 0, and a hazard that can be read at a time which is a parameter."""
    if not isinstance(prior, POSITIVE) and getattr(prior, "lower", -1.0) < 0:
        yield (
            f"bias.{name}.prior: found {prior.dist}; allowed: a prior on times of 0 or more, such as half_normal,"
            " log_normal or uniform with lower = 0"
        )
    placed = f"hazard.family = {spec.hazard.family}" if spec.hazard.flexible else None
    if placed is None and spec.evidence.background is not None:
        placed = "evidence.background"
    if placed is not None:
        yield (
            f"bias.{name}.prior: found beside {placed}, whose knots or steps are set before sampling; allowed there: a"
            " value, and a named sensitivity analysis for each time that it may be"
        )


def _prognosis_rules(spec: Spec) -> Iterator[str]:
    """Prognostic ratios differ between studies, by an amount that has a prior."""
    if not spec.evidence.prognostic_ratios:
        return
    if spec.prognosis is None:
        yield (
            "prognosis: this table is required beside evidence.prognostic_ratios: sd, a prior with a why, of how"
            " prognostic log ratios differ between studies"
        )
    if not spec.covariates:
        yield "evidence.prognostic_ratios: found without covariates; allowed: beside [covariates.NAME]"


def _covariate_rules(spec: Spec) -> Iterator[str]:
    """Names that can be covariates; arms are averaged over all covariates or over none; correlations of two."""
    yield from covariate_name_rules(spec.covariates)
    yield from case_mix_rules(spec)
    yield from common_correlation_rules(spec)
    for pair in spec.integration.correlation or ():
        if len(set(pair.between)) < 2 or not set(pair.between) <= set(spec.covariates):
            yield (
                f"integration.correlation: found {' and '.join(pair.between)}; "
                f"allowed: two of {', '.join(spec.covariates) or 'the covariates, of which this spec has none'}"
            )


def _cause_rules(spec: Spec) -> Iterator[str]:
    if spec.cause is not None and spec.evidence.background is not None:
        yield f"evidence.background: found beside cause = {spec.cause}; a background is of all deaths"
    if spec.cause is not None and spec.measure not in (None, "km"):
        yield (
            f"cause: found beside measure = {spec.measure}; a cause-specific hazard is compared with patients,"
            ' or with survival at which other causes are censored: measure = "km"'
        )


def _external_check_rules(spec: Spec) -> Iterator[str]:
    for check in spec.external_checks:
        for name in filter(None, (check.treatment, check.reference)):
            if name not in spec.treatments.names:
                yield f"external_checks names {name!r}; allowed: {', '.join(spec.treatments.names)}"
        for name in check.patient or ():
            if name not in spec.covariates:
                allowed = ", ".join(spec.covariates) or "none, for this spec has no covariates"
                yield f"external_checks, patient names {name!r}; allowed: {allowed}"


def _sensitivity_words_rules(spec: Spec) -> Iterator[str]:
    for name in spec.sensitivity_words:
        if name not in spec.sensitivity:
            yield f"sensitivity_words names {name!r}; allowed: {', '.join(spec.sensitivity) or 'none is named'}"


RULES: dict[Callable[[Spec], Iterator[str]], tuple[str, ...]] = {
    _effect_rules: ("hazard", "priors"),
    _shape_rules: ("hazard", "priors", "effects"),
    _shape_effect_rules: ("hazard", "priors", "effects", "baseline"),
    _bias_rules: ("bias", "treatments", "hazard", "evidence"),
    waning_rules: ("waning", "hazard", "priors", "covariates", "evidence"),
    regression_rules: ("meta_regression", "bias", "covariates", "treatments"),
    _prognosis_rules: ("prognosis", "evidence", "covariates"),
    _covariate_rules: ("covariates", "integration", "treatments"),
    _cause_rules: ("cause", "measure", "evidence"),
    _external_check_rules: ("external_checks", "treatments", "covariates"),
    population_rules: ("population", "covariates"),
    _sensitivity_words_rules: ("sensitivity_words", "sensitivity"),
}
"""What keys may say against each other, and the tables that each rule reads."""
