"""The text of a first spec: every line that was chosen says from what, and what to think about."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

HAZARDS = "also: exponential, gompertz, gompertz_makeham, mspline, piecewise, lognormal, loglogistic, gamma, gengamma"


@dataclass(frozen=True)
class FirstSpec:
    """What a first spec is filled with; `notes` stand as comments behind the keys of their names."""

    name: str
    question: str
    endpoint: str
    unit: str
    reference_time: float
    horizon: float
    tables: tuple[str, ...]
    treatments: tuple[str, ...]
    studies: int
    notes: dict[str, str]
    covariates: tuple[str, ...] = ()
    cannot_say: str = ""


def spec_text(first: FirstSpec) -> str:
    """Return the TOML text of a spec."""
    reference, *compared = first.treatments
    head = [
        "#:schema ./spec.schema.json",
        "# A first analysis, written by bayes-bm init. It runs as it is; each line is yours to change.",
        "# Check it with: bayes-bm lint FOLDER        All keys: docs/spec-keys.md",
        "schema = 1",
        f"name = {_text(first.name)}",
        f"question = {_text(first.question)}",
        f"endpoint = {_text(first.endpoint)}" + _note("rows of this endpoint alone are used"),
        f"time_unit = {_text(first.unit)}" + _note(first.notes.get("time_unit", "")),
        f"reference_time = {first.reference_time:.10g}" + _note(first.notes.get("reference_time", "")),
        f"horizon = {first.horizon:.10g}" + _note("restricted means are cut here, curves end here"),
        "seed = 1" + _note("equal seeds give equal answers"),
        *([f"cannot_say = [{_text(first.cannot_say)}]"] if first.cannot_say else []),
    ]
    evidence = ["[evidence]" + _note("paths from the folder of this file"), *first.tables]
    treatments = [
        "[treatments]" + _note("as the tables call them"),
        f"reference = {_text(reference)}" + _note(first.notes.get("reference", "")),
        f"compare = [{', '.join(_text(name) for name in compared)}]" + _note(first.notes.get("compare", "")),
    ]
    hazard = ["[hazard]", 'family = "weibull"' + _note(HAZARDS)]
    parts = [head, evidence, treatments, hazard, *_effects(first.studies), _priors(first), *_covariates(first)]
    parts += _analyses(first.studies)
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _text(value: str) -> str:
    """Return a text in the quotes of TOML."""
    return json.dumps(value, ensure_ascii=False)


def _note(words: str) -> str:
    return f"  # {words}" if words else ""


def _effects(studies: int) -> list[list[str]]:
    """What differs between studies; nothing can where there is one."""
    if studies < 2:
        return [["# One study: nothing differs between studies. With more studies add this line:", "# [effects.study]"]]
    level = (
        'sd = { dist = "half_normal", sd = 0.5, why = "levels of studies apart by a factor of up to 2.7 (2 sd);'
        ' doi 10.1002/jrsm.1217" }'
    )
    tables = [["[effects.study]" + _note("studies differ in their level: a sample of one population"), level]]
    sizes = {"study_treatment": (0.3, 1.8, "treatment effects"), "study_shape": (0.2, 1.5, "shapes of the hazard")}
    for name, (sd, factor, what) in sizes.items():
        lines = [
            f"[effects.{name}]" + _note(f"{what} differ between studies"),
            f'sd = {{ dist = "half_normal", sd = {sd}, why = "{what} of studies apart by a factor of up to {factor}'
            ' (2 sd)" }',
        ]
        few = "# two studies say next to nothing about this one:"
        tables.append(lines if studies > 2 else [few, *(f"# {line}" for line in lines)])
    return tables


def _priors(first: FirstSpec) -> list[str]:
    time = f"{first.reference_time:g} {first.unit}"
    return [
        "[priors]" + _note("each with its reason; change both"),
        f'intercept = {{ dist = "normal", mean = 0.0, sd = 1.0, why = "survival at {time} from 0.06 to 0.87 in 95 of'
        ' 100 draws" }',
        'log_hr = { dist = "normal", mean = 0.0, sd = 1.0, why = "hazard ratios from 1/7 to 7 in 95 of 100 draws; no'
        ' direction assumed" }',
        'log_shape = { dist = "normal", mean = 0.0, sd = 0.5, why = "shapes from 0.4 to 2.7 in 95 of 100 draws: hazards'
        ' that fall or rise" }',
    ]


def _covariates(first: FirstSpec) -> list[list[str]]:
    if not first.covariates:
        return []
    opening = "# Covariates that the table holds; take away the # before every line of one to adjust for it."
    return [[opening, *first.covariates]]


def _analyses(studies: int) -> list[list[str]]:
    """Named analyses: `bayes-bm sensitivity` fits each beside the base."""
    sceptical = [
        "# Named analyses, fitted by: bayes-bm sensitivity spec.toml --out sensitivity",
        "[sensitivity.sceptical]",
        '"priors.log_hr" = { dist = "normal", mean = 0.0, sd = 0.35, why = "hazard ratios beyond 0.5 or 2 are rare" }',
    ]
    wide = [
        "[sensitivity.wide_heterogeneity]",
        '"effects.study.sd" = { dist = "half_normal", sd = 1.0, why = "levels apart by a factor of seven (2 sd)" }',
    ]
    return [sceptical, *([wide] if studies > 1 else [])]


def covariate_lines(name: str, *, two_valued: bool, mean: float, sd: float, blank: int) -> Sequence[str]:
    """Return the commented lines of one covariate."""
    missing = f'missing = "{"two_valued" if two_valued else "normal"}"' + _note(f"{blank} patients lack it")
    scale = [] if two_valued else [f"scale = {_nice_scale(sd):g}" + _note("the coefficient is per so many units")]
    years = "years" if name.lower().startswith("age") else ""
    words, example = ("0 = no, 1 = yes", "your words for 0 and 1") if two_valued else (years, "such as years")
    unit = f'unit = "{words}"' + _note(f"{example}; the patient page and the report show it")
    lines = [
        f"[covariates.{json.dumps(name) if not name.isidentifier() else name}]",
        'prior = { dist = "normal", mean = 0.0, sd = 0.5, why = "ratios from 0.4 to 2.7 per scale; no direction" }',
        f"centre = {round(mean, 2):g}" + _note("answers of the average study are about such patients"),
        *scale,
        unit,
        *([missing] if blank else []),
    ]
    return [f"# {line}" for line in lines]


def _nice_scale(sd: float) -> float:
    return float(min((0.01, 0.1, 1, 5, 10, 50, 100, 1000), key=lambda nice: abs(nice - sd)))
