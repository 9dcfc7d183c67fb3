"""models/*.toml -> frozen records: strict, versioned, hashed.

`read_spec` is the only way in. An unknown key is an error that names the nearest known key; sensitivity analyses are
named patches on the document (`style.md`, habit 5). Nothing here touches evidence or PyMC.
"""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from bayes_bm.errors import InputError
from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.base import CURED
from bayes_bm.priors import POSITIVE, Prior, Why

TimeUnit = Literal["days", "weeks", "months", "years"]
EVIDENCE_KINDS = ("patients", "arms", "points", "medians", "hazard_ratios", "counts", "registry", "curves")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Source(_Record):
    """One evidence file; `time_unit` where it differs from the spec's."""

    path: str
    time_unit: TimeUnit | None = None


class Choice(_Record):
    """A row, arm or study named on purpose, with the reason."""

    study: str
    arm: str | None = None
    why: Why


class Reasoned(_Record):
    value: float
    why: Why


def _as_source(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


def _as_reasoned(value: Any) -> Any:
    return {"value": value, "why": "given as a number, without a reason"} if isinstance(value, int | float) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Sources = Annotated[tuple[Annotated[Source, BeforeValidator(_as_source)], ...], BeforeValidator(_as_list)]
Share = Annotated[Reasoned, BeforeValidator(_as_reasoned)]


class EvidenceSpec(_Record):
    patients: Sources = ()
    arms: Sources = ()
    points: Sources = ()
    medians: Sources = ()
    hazard_ratios: Sources = ()
    counts: Sources = ()
    registry: Sources = ()
    curves: Sources = ()
    background: Annotated[Source, BeforeValidator(_as_source)] | None = None
    include: dict[str, tuple[str | int | float, ...]] = {}
    also: tuple[Choice, ...] = ()
    exclude: tuple[Choice, ...] = ()
    allow_overlap: tuple[Choice, ...] = ()
    effective_share: Share = Reasoned(
        value=0.8, why="default of rule 5: some of the n were censored before the printed time"
    )
    icc: Share = Reasoned(value=0.3, why="lesions of one patient share the patient's biology; a middling correlation")

    @model_validator(mode="after")
    def _shares(self) -> "EvidenceSpec":
        if not 0 < self.effective_share.value <= 1:
            raise ValueError(f"effective_share is {self.effective_share.value}; allowed: above 0, at most 1")
        if not 0 <= self.icc.value <= 1:
            raise ValueError(f"icc is {self.icc.value}; allowed: 0 to 1")
        return self


class Treatments(_Record):
    reference: str
    compare: tuple[str, ...] = Field(min_length=1)
    also_against: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = {}

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


Knots = Annotated[PositiveInt, Field(le=30)] | tuple[PositiveFloat, ...]


class Hazard(_Record):
    """The baseline: a family, a cured share over it, and the knots of a flexible one.

    `knots` is how many inner knots (cut points of a piecewise hazard) are put at quantiles of the event times, by
    default 7, or their times as a list; `end` is the last knot, by default the last event.
    """

    family: str = "weibull"
    cure: bool = False
    knots: Knots | None = None
    end: PositiveFloat | None = None

    @model_validator(mode="after")
    def _known(self) -> "Hazard":
        if self.family not in FAMILIES:
            raise ValueError(f"family {self.family!r} is not known; known: {', '.join(FAMILIES)}")
        flexible = [name for name, family in FAMILIES.items() if family.flexible]
        given = [name for name in ("knots", "end") if getattr(self, name) is not None]
        if given and self.family not in flexible:
            raise ValueError(f"{' and '.join(given)}: for {' and '.join(flexible)} only; leave it out")
        if isinstance(self.knots, tuple):
            ordered = all(left < right for left, right in pairwise(self.knots))
            if not ordered or (self.end is not None and self.knots and self.knots[-1] >= self.end):
                raise ValueError(f"knots are {list(self.knots)}; allowed: rising times, all before `end`")
        return self

    @property
    def shapes(self) -> tuple[str, ...]:
        """Names of the shape parameters that have a prior of their own."""
        return (*FAMILIES[self.family].shapes, *((CURED,) if self.cure else ()))

    @property
    def flexible(self) -> bool:
        return FAMILIES[self.family].flexible

    @property
    def treatment_effect(self) -> str:
        """What an effect of treatment is called: a log hazard ratio or a log time ratio (rule 17)."""
        return EFFECT_NAMES[FAMILIES[self.family].effect]

    @property
    def varies(self) -> str | None:
        """The shape parameter in which studies and treatments may differ."""
        return FAMILIES[self.family].varies

    @property
    def proportional(self) -> bool:
        """Whether effects on the linear predictor alone leave hazards proportional."""
        return FAMILIES[self.family].effect == "hazard" and not self.cure


EFFECT_NAMES = {"hazard": "log_hr", "time": "log_time_ratio"}


class StudyLevel(_Record):
    """A study-level effect: exchangeable with a prior on its sd, or free (rule 11)."""

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


class StudyTreatment(_Record):
    sd: Prior

    @model_validator(mode="after")
    def _positive(self) -> "StudyTreatment":
        return _positive_sd(self)


def _positive_sd(effect: Any) -> Any:
    lower = getattr(effect.sd, "lower", None)
    if effect.sd is not None and not isinstance(effect.sd, POSITIVE) and not (lower is not None and lower >= 0):
        raise ValueError(f"a standard deviation needs a prior on positive numbers; found {effect.sd.dist}")
    return effect


class Effects(_Record):
    study: StudyLevel | None = None
    study_treatment: StudyTreatment | None = None
    study_shape: StudyLevel | None = None


class Priors(_Record):
    """Which of them a spec needs follows from its family (`_check_priors`)."""

    intercept: Prior
    log_hr: Prior | None = None
    log_time_ratio: Prior | None = None
    log_shape: Prior | None = None
    shape: Prior | None = None
    log_sd: Prior | None = None
    q: Prior | None = None
    slope: Prior | None = None
    smooth_sd: Prior | None = None
    treatment_smooth_sd: Prior | None = None
    logit_cure: Prior | None = None
    treatment_log_shape: Prior | None = None


Margin = Literal["normal", "gamma", "lognormal"]


class Covariate(_Record):
    """A covariate: its coefficient and, with `interaction`, what each treatment but the reference adds to it.

    One addition is shared by all of them, or each has its own (`interaction_by = "treatment"`). `margin` is the law of
    the covariate in an arm that gives its mean and sd; one that gives a share has a two-valued one. `missing` is the
    law of one that single patients lack, who are then averaged over it (`missing.py`); without it they are refused.
    """

    prior: Prior
    interaction: Prior | None = None
    interaction_by: Literal["shared", "treatment"] = "shared"
    margin: Margin = "normal"
    missing: Literal["two_valued", "normal"] | None = None
    centre: float = 0.0
    scale: PositiveFloat = 1.0
    unit: str = ""
    lower: float | None = None
    upper: float | None = None

    def scaled(self, value: Any) -> Any:
        """Centred and in units of the scale: what the coefficient multiplies."""
        return (value - self.centre) / self.scale

    @model_validator(mode="after")
    def _has_interaction(self) -> "Covariate":
        if self.interaction is None and self.interaction_by != "shared":
            raise ValueError(
                "interaction_by says whose the interaction is; give `interaction`, its prior, or leave it out"
            )
        return self


class Correlation(_Record):
    """Of two covariates in every arm, on the scale of a Gaussian copula; pairs that are not named have none."""

    between: tuple[str, str]
    value: Annotated[float, Field(gt=-1, lt=1)]
    why: Why


class Integration(_Record):
    """Quasi-random points over the covariates of an arm that gives only means, sds and shares.

    Without `correlation` it is the pooled one of the patients in the evidence.
    """

    points: Annotated[PositiveInt, Field(le=4096)] = 64
    correlation: tuple[Correlation, ...] | None = None

    @model_validator(mode="after")
    def _balanced(self) -> "Integration":
        if self.points & (self.points - 1):
            raise ValueError(f"points is {self.points}; allowed: a power of 2, for which Sobol points are balanced")
        return self


LINEAR_BIASES = ("single_arm", "small_study", "year", "mixed_population", "lesions")
CLOCK_BIASES = {"immortal_time": "survived_to", "clock_shift": "clock_shift"}
"""Biases of an arm's clock, and the column of the arms table that says them where they are known."""


class Bias(_Record):
    """One bias by its name: of a stated size, or with a prior (`bias.py`, docs/method.md).

    `treatments` are those whose arms it acts on, `acts_on` the studies or arms; `centre` is the year, or share, of the
    study that answers are for. A prior on a time of the clock is in the spec's time unit.
    """

    prior: Prior | None = None
    value: Share | None = None
    treatments: tuple[str, ...] | None = None
    acts_on: tuple[Choice, ...] = ()
    centre: float | None = None

    @model_validator(mode="after")
    def _one_size(self) -> "Bias":
        if (self.prior is None) == (self.value is None):
            found = "neither" if self.prior is None else "both"
            raise ValueError(f"found {found}; give exactly one of prior (unknown size) and value (fixed)")
        return self


class Biases(_Record):
    """Each is off where it is left out. Some are terms of the linear predictor, some move an arm's clock."""

    single_arm: Bias | None = None
    small_study: Bias | None = None
    year: Bias | None = None
    mixed_population: Bias | None = None
    lesions: Bias | None = None
    immortal_time: Bias | None = None
    clock_shift: Bias | None = None

    def named(self, names: Iterable[str]) -> dict[str, Bias]:
        """Those of the names that are on."""
        return {name: term for name in names if (term := getattr(self, name)) is not None}


class Sampling(_Record):
    draws: PositiveInt = 1000
    tune: PositiveInt = 1000
    chains: PositiveInt = 4
    thin: PositiveInt = 2
    cores: PositiveInt | None = None
    target_accept: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    sampler: Literal["nutpie", "pymc"] = "nutpie"
    # of effects of studies in the compiled density; by how much their patients tell where nothing is said
    centring: Literal["none", "all"] | None = None


class ExternalCheck(_Record):
    """A published number that is no evidence here, printed beside ours."""

    estimand: Literal["hazard_ratio", "median", "survival", "p_value"]
    treatment: str
    reference: str | None = None
    time: float | None = None
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    source: str
    note: str = ""


class Baseline(_Record):
    """Level and log shape of the reference treatment as distributions, where study levels are free (rule 11).

    `log_shape` is the shape parameter that studies may differ in, by whatever name the family knows it; a family
    without one leaves it out.
    """

    intercept: Prior
    log_shape: Prior | None = None


class Spec(_Record):
    schema_version: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    question: str
    endpoint: str
    time_unit: TimeUnit = "months"
    reference_time: PositiveFloat = 12.0
    horizon: PositiveFloat = 24.0
    times: tuple[PositiveFloat, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 1
    measure: Literal["km", "cif_complement", "crude"] | None = None
    cause: Annotated[str, Field(min_length=1)] | None = None
    cannot_say: tuple[str, ...] = ()
    reproduction: bool = False
    evidence: EvidenceSpec = EvidenceSpec()
    treatments: Treatments
    hazard: Hazard = Hazard()
    effects: Effects = Effects()
    priors: Priors
    covariates: dict[str, Covariate] = {}
    integration: Integration = Integration()
    bias: Biases = Biases()
    baseline: Baseline | None = None
    sampling: Sampling = Sampling()
    sensitivity: dict[str, dict[str, Any]] = {}
    external_checks: tuple[ExternalCheck, ...] = ()
    folder: str = Field(default=".", exclude=True)

    @model_validator(mode="after")
    def _consistent(self) -> "Spec":
        _check_effect_prior(self)
        _check_shape_priors(self)
        _check_shape_effects(self)
        _check_biases(self)
        if self.cause is not None and self.evidence.background is not None:
            raise ValueError(f"evidence.background: found beside cause = {self.cause}; a background is of all deaths")
        if self.cause is not None and self.measure not in (None, "km"):
            raise ValueError(
                f"cause: found beside measure = {self.measure}; a cause-specific hazard is compared with patients,"
                ' or with survival at which other causes are censored: measure = "km"'
            )
        for pair in self.integration.correlation or ():
            if len(set(pair.between)) < 2 or not set(pair.between) <= set(self.covariates):
                raise ValueError(
                    f"integration.correlation: found {' and '.join(pair.between)}; "
                    f"allowed: two of {', '.join(self.covariates) or 'the covariates, of which this spec has none'}"
                )
        for check in self.external_checks:
            for name in filter(None, (check.treatment, check.reference)):
                if name not in self.treatments.names:
                    raise ValueError(f"external_checks names {name!r}; allowed: {', '.join(self.treatments.names)}")
        return self

    @property
    def free_levels(self) -> bool:
        return self.effects.study is not None and not self.effects.study.exchangeable

    @property
    def free_shapes(self) -> bool:
        return self.effects.study_shape is not None and not self.effects.study_shape.exchangeable

    @property
    def proportional(self) -> bool:
        """Whether the hazards of two treatments in one study are proportional: of all deaths, background included."""
        shaped = self.priors.treatment_log_shape is not None or self.priors.treatment_smooth_sd is not None
        return self.hazard.proportional and not shaped and self.evidence.background is None

    @property
    def modifiers(self) -> tuple[str, ...]:
        """Covariates whose effect differs between treatments."""
        return tuple(name for name, term in self.covariates.items() if term.interaction is not None)

    @property
    def modelled_biases(self) -> dict[str, Bias]:
        """Biases that the density knows: terms of the linear predictor, and clocks of unknown size, which are none of
        its terms (`bias.amounts`); a clock of stated size only moves the evidence.
        """
        return self.bias.named((*LINEAR_BIASES, *self.unknown_clocks))

    @property
    def unknown_clocks(self) -> tuple[str, ...]:
        """Biases of the clock with a prior (`hazards.clocked`)."""
        return tuple(name for name, term in self.bias.named(CLOCK_BIASES).items() if term.prior is not None)

    @property
    def unknown_biases(self) -> tuple[str, ...]:
        """Those with a prior: the parameter `bias`."""
        return tuple(name for name, term in self.modelled_biases.items() if term.prior is not None)

    @property
    def needs_baseline(self) -> bool:
        """Absolute answers need a named study: levels or shapes are free and no baseline is given (rule 11)."""
        return (self.free_levels or self.free_shapes) and self.baseline is None

    @property
    def answer_times(self) -> tuple[float, ...]:
        """Times at which answers are given where the caller names none."""
        return self.times or tuple(sorted({self.reference_time / 2, self.reference_time, self.horizon}))

    def document(self) -> dict[str, Any]:
        """The spec as plain data; `parse_spec(spec.document())` gives it back."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.document(), sort_keys=True).encode()).hexdigest()


def _check_effect_prior(spec: Spec) -> None:
    """Rule 17: accelerated-time families know time ratios, the others hazard ratios."""
    family, needed = spec.hazard.family, spec.hazard.treatment_effect
    other = next(name for name in EFFECT_NAMES.values() if name != needed)
    kind = {"log_hr": "a proportional-hazards", "log_time_ratio": "an accelerated-time"}[needed]
    if getattr(spec.priors, other) is not None:
        raise ValueError(f"priors.{other}: {family} is {kind} family, whose effects are {needed}; give priors.{needed}")
    if getattr(spec.priors, needed) is None:
        raise ValueError(f"priors.{needed}: this key is required, with a why ({family} is {kind} family)")


SHAPES = tuple(dict.fromkeys([*(name for family in FAMILIES.values() for name in family.shapes), CURED]))


def _check_shape_priors(spec: Spec) -> None:
    """Every shape parameter of the family has a prior, and no other has; `shape` may stand for a free log_shape."""
    family, wanted = spec.hazard.family, spec.hazard.shapes
    given = [name for name in SHAPES if getattr(spec.priors, name) is not None]
    natural = spec.priors.shape is not None
    if "log_shape" in wanted and ("log_shape" in given) == natural:
        found = [name for name in ("log_shape", "shape") if getattr(spec.priors, name) is not None]
        raise ValueError(f"priors: found {found or 'neither'}; give exactly one of log_shape and shape")
    if natural and "log_shape" not in wanted:
        raise ValueError(f"priors.shape: {_shapes_of(spec)}; leave it out")
    if natural and not spec.free_shapes:
        raise ValueError("priors.shape is for effects.study_shape.exchangeable = false; use priors.log_shape here")
    for name in wanted:
        if name not in given and not (name == "log_shape" and natural):
            why = "hazard.cure = true" if name == CURED else f"{family} has this shape parameter"
            raise ValueError(f"priors.{name}: this key is required, with a why ({why})")
    for name in given:
        if name not in wanted:
            hint = "; it is for hazard.cure = true" if name == CURED else ""
            raise ValueError(f"priors.{name}: {_shapes_of(spec)}; leave it out{hint}")
    if spec.hazard.flexible != (spec.priors.smooth_sd is not None):
        needed = "this key is required, with a why: the sd of the change of the log hazard over the follow-up"
        unneeded = f"{family} has no knots to smooth over; leave it out"
        raise ValueError(f"priors.smooth_sd: {needed if spec.hazard.flexible else unneeded}")


def _shapes_of(spec: Spec) -> str:
    names = ", ".join(spec.hazard.shapes)
    return f"{spec.hazard.family} has {f'the shape parameters {names}' if names else 'no shape parameter'}"


def _check_shape_effects(spec: Spec) -> None:
    """Where studies and treatments may differ in shape depends on the family."""
    family, varies = spec.hazard.family, spec.hazard.varies
    if spec.priors.treatment_log_shape is not None and varies is None:
        raise ValueError(
            f"priors.treatment_log_shape: {family} has no single shape parameter for treatments to differ in; "
            f"families that have one: {', '.join(name for name, known in FAMILIES.items() if known.varies)}"
            + ("; its coefficients may differ with priors.treatment_smooth_sd" if spec.hazard.flexible else "")
        )
    own = spec.priors.treatment_smooth_sd
    if own is not None and not spec.hazard.flexible:
        raise ValueError(f"priors.treatment_smooth_sd: {family} has no knots for treatments to differ at; leave it out")
    if own is not None and not isinstance(own, POSITIVE) and getattr(own, "lower", -1.0) < 0:
        raise ValueError(f"priors.treatment_smooth_sd: needs a prior on positive numbers; found {own.dist}")
    if spec.effects.study_shape is None:
        return
    if varies is None and not spec.hazard.flexible:
        raise ValueError(f"effects.study_shape: {family} has no shape parameter; leave the table out")
    if spec.hazard.flexible and spec.baseline is not None:
        raise ValueError(f"baseline: a free shape of {family} is a curve, not a number; ask about study:NAME")


def _check_biases(spec: Spec) -> None:
    for name, term in spec.bias.named(Biases.model_fields).items():
        centred = name in ("year", "mixed_population")
        if unknown := set(term.treatments or ()) - set(spec.treatments.names):
            found = ", ".join(sorted(unknown))
            raise ValueError(f"bias.{name}.treatments: found {found}; allowed: {', '.join(spec.treatments.names)}")
        if term.centre is not None and not centred:
            raise ValueError(f"bias.{name}.centre: only year and mixed_population have one; leave it out")
        if name == "year" and term.centre is None:
            raise ValueError("bias.year.centre: this key is required: the year of the study that answers are for")
        if name not in CLOCK_BIASES:
            continue
        if term.prior is not None:
            _check_unknown_clock(spec, name, term.prior)
        if not term.acts_on and not term.treatments:
            raise ValueError(f"bias.{name}: give treatments or acts_on (studies or arms, each with a why): whose clock")
        if term.value is not None and term.value.value < 0:
            raise ValueError(
                f"bias.{name}.value: found {term.value.value}; allowed: 0 or more, in the spec's time unit"
            )


def _check_unknown_clock(spec: Spec, name: str, prior: Any) -> None:
    """A time of at least 0, and a hazard that can be read at a time which is a parameter."""
    if not isinstance(prior, POSITIVE) and getattr(prior, "lower", -1.0) < 0:
        raise ValueError(
            f"bias.{name}.prior: found {prior.dist}; allowed: a prior on times of 0 or more, such as half_normal,"
            " log_normal or uniform with lower = 0"
        )
    placed = f"hazard.family = {spec.hazard.family}" if spec.hazard.flexible else None
    if placed is None and spec.evidence.background is not None:
        placed = "evidence.background"
    if placed is not None:
        raise ValueError(
            f"bias.{name}.prior: found beside {placed}, whose knots or steps are set before sampling; allowed there: a"
            " value, and a named sensitivity analysis for each time that it may be"
        )


def shipped(kind: Literal["models", "data"]) -> Path:
    """Folder of shipped models or data: inside the wheel, or beside the package in a clone."""
    package = Path(str(resources.files("bayes_bm")))
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind


def list_models() -> list[Path]:
    return sorted(shipped("models").glob("*.toml"))


def find_spec(name: str | Path) -> Path:
    """A path as it stands, or the name of a shipped model, with or without `models/` and `.toml`."""
    path = Path(name)
    candidate = shipped("models") / f"{path.name.removesuffix('.toml')}.toml"
    plain = path.parent in (Path(), Path("models"))
    if path.is_file():
        return path
    if plain and candidate.is_file():
        return candidate
    known = [model.stem for model in list_models()]
    near = difflib.get_close_matches(path.name.removesuffix(".toml"), known, n=1)
    hint = f"did you mean {near[0]}?" if near else "list the shipped ones with: bayes-bm models"
    raise InputError(
        str(name), found="no such file", allowed="a path to a TOML spec, or a shipped model's name", hint=hint
    )


def read_spec(path: str | Path, *, sensitivity: str | None = None, changes: Mapping[str, Any] | None = None) -> Spec:
    """Read a spec, apply one named sensitivity patch and `--set` changes, and check it. Raises `InputError`."""
    file = find_spec(path)
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise InputError(
            str(file), found=f"not valid TOML ({problem})", hint="see models/ for working examples"
        ) from None
    if sensitivity is not None:
        document = patched(document, _named_patch(document, sensitivity, str(file)), where=str(file))
    return parse_spec(
        patched(document, changes or {}, where=str(file)), where=str(file), folder=str(file.resolve().parent)
    )


def _named_patch(document: dict, name: str, where: str) -> dict[str, Any]:
    known = document.get("sensitivity", {})
    if name not in known:
        raise InputError(f"{where}, sensitivity", found=name, allowed=", ".join(known) or "none is named in this spec")
    return known[name]


def patched(document: dict, changes: Mapping[str, Any], *, where: str = "spec") -> dict:
    """A copy of the document with dotted keys replaced; the value `"none"` removes a key."""
    document = deepcopy(document)
    for dotted, value in changes.items():
        *parents, leaf = dotted.split(".")
        table = document
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise InputError(f"{where}, {dotted}", found=f"{parent} is not a table", hint="name a key of the spec")
        if value == "none":
            table.pop(leaf, None)
        else:
            table[leaf] = value
    return document


def parse_spec(document: Mapping[str, Any], *, where: str = "spec", folder: str = ".") -> Spec:
    """Check a document. Raises one `InputError` naming the first wrong key."""
    if "folder" in document:
        raise InputError(f"{where}, folder", found="an unknown key", hint="paths are relative to the spec's own folder")
    try:
        return Spec.model_validate({**document, "folder": folder})
    except ValidationError as problem:
        raise _teach(problem, where) from None


def _teach(problem: ValidationError, where: str) -> InputError:
    """One message from pydantic's list: unknown keys first, because they usually cause the rest."""
    errors = problem.errors(include_url=False)
    error = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    path = ".".join(str(part) for part in error["loc"] if part not in _DISTS)
    if error["type"] == "extra_forbidden":
        key, known = str(error["loc"][-1]), _known_keys(error["loc"][:-1])
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else ""
        return InputError(f"{where}, {path}", found="an unknown key", allowed=", ".join(known) or None, hint=hint)
    if error["type"] == "missing":
        return InputError(f"{where}, {path}", found="nothing", hint=f"this key is required{_why_hint(path)}")
    message = error["msg"].removeprefix("Value error, ")
    found = None if error["type"] == "value_error" else repr(error.get("input"))[:80]
    return InputError(f"{where}, {path}" if path else where, found=found, hint=message)


def _why_hint(path: str) -> str:
    return ": every prior and every choice says why" if path.endswith("why") else ""


_DISTS = ("normal", "half_normal", "student_t", "half_student_t", "exponential", "gamma", "log_normal", "uniform")


def _known_keys(loc: tuple) -> list[str]:
    """Keys allowed at a place of the document."""
    return sorted(set(_fields_at(Spec, loc)))


def _fields_at(annotation: Any, loc: tuple) -> list[str]:
    """Walk annotations along a pydantic location; a tagged union puts its tag into the location."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        named = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        if not loc:
            return [name for name in named if name != "folder"]
        return _fields_at(named[loc[0]], loc[1:]) if loc[0] in named else []
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    if get_origin(annotation) in (dict, tuple):
        return _fields_at(arguments[-1] if get_origin(annotation) is dict else arguments[0], loc[1:])
    if get_origin(annotation) is Annotated:
        return _fields_at(arguments[0], loc)
    tagged = [member for member in arguments if loc and _tag(member) == loc[0]]
    return [key for member in tagged or arguments for key in _fields_at(member, loc[1:] if tagged else loc)]


def _tag(annotation: Any) -> str | None:
    dist = getattr(annotation, "model_fields", {}).get("dist")
    return get_args(dist.annotation)[0] if dist is not None else None
