"""The answer in words. The wording is chosen by the numbers: nothing is claimed that their intervals do not carry."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE
from bayes_bm.evidence.left_out import ONE_BASELINE
from bayes_bm.report.material import Answers, ImputationSummary, PatientAnswer
from bayes_bm.report.monte_carlo import absolute_errors, error_clause, largest_error, survival_error
from bayes_bm.report.text import (
    DIGITS,
    MISSING,
    counted,
    estimate,
    probability,
    ratio_estimate,
    treatment_text,
)
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import HAZARD, TIME, Measure, measure_of, ratio_of
from bayes_bm.spec.endpoints import event_words
from bayes_bm.spec.level import USUAL, Level

Row = Mapping[Any, Any]
TWICE = "Reproduction: the same patients twice."
FAILED = "A gate failed and was overridden by name: these numbers must not be relied on."
CHANCE = "differences between studies, not the treatments, may be behind"


def time_text(spec: Spec, time: float) -> str:
    """Return a time with its unit: `12 months`."""
    return f"{time:g} {spec.time_unit.removesuffix('s') if time == 1 else spec.time_unit}"


def interval_of(spec: Spec, row: Row) -> list[float]:
    """Return median and both ends of the spec's interval of a row of an answer table."""
    return [row[name] for name in ("median", *spec.interval.names)]


def estimate_text(spec: Spec, row: Row) -> str:
    """Return median and interval of a row of `compare` or `predict`, rounded as its estimand asks."""
    values, estimand = interval_of(spec, row), str(row["estimand"])
    null = 0.0 if estimand.endswith("_difference") else None
    if estimand in (HAZARD.estimand, TIME.estimand):
        return ratio_estimate(values)
    if estimand.startswith("survival"):
        return estimate(values, digits=2, null=null)
    return estimate(values, digits=DIGITS[spec.time_unit], null=null, cap=10 * spec.horizon)


def source_ratio(row: Row) -> str:
    """Return a ratio of the contrast table with its interval."""
    return ratio_estimate(ratio_of(row))


def source_text(row: Row) -> str:
    """Return a ratio with its interval, or the words that stand where there is none
    (docs/decisions.md#12-within-and-across).
    """
    if np.isfinite(ratio_of(row)[0]):
        return source_ratio(row)
    return NO_SIDE_BY_SIDE if row["source"] in ("within", "discrepancy") else MISSING


def verdict(spec: Spec, row: Row) -> str:
    """Return lower, higher (time ratios: shorter, longer), unclear or prior only, from the interval and label."""
    if "prior only" in str(row["label"] or ""):
        return "prior only"
    lower, higher = ("shorter", "longer") if row["estimand"] == TIME.estimand else ("lower", "higher")
    _, low, high = interval_of(spec, row)
    return lower if high < 1 else higher if low > 1 else "unclear"


def probability_clause(value: float, measure: Measure) -> str:
    """Return `P(HR < 1) = 0.93`."""
    shown = probability(value)
    return f"{measure.better} {shown}" if shown[0] in "<>" else f"{measure.better} = {shown}"


def ratio_clause(row: Row, spec: Spec) -> str:
    """Return the ratio of the average study in words; one that changes with time carries its time."""
    time, measure = row["time"], TIME if row["estimand"] == TIME.estimand else HAZARD
    when = f" at {time_text(spec, time)}" if time is not None and np.isfinite(time) else ""
    shown = estimate_text(spec, row).replace(" (", f" ({spec.interval.words} interval ", 1)
    errors = error_clause(largest_error(spec, [row])), error_clause(row.get("mcse_prob_better", np.nan))
    shown = f"{shown[:-1]}; {errors[0]})" if errors[0] else shown
    better = f"{probability_clause(row['prob_better'], measure)}{f' ({errors[1]})' if errors[1] else ''}"
    return f"{measure.words}{when} in the average study {shown}, {better}"


def contrast_sentence(row: Row, spec: Spec) -> str:
    """Return the first sentence for one treatment, from the row of its ratio in `compare`."""
    event, curve = event_words(spec.endpoint)
    compared, reference = treatment_text(row["treatment"]), treatment_text(row["reference"])
    shown = ratio_clause(row, spec)
    direction = verdict(spec, row)
    if direction == "prior only":
        about = f"{compared} against {reference}"
        return f"The evidence says next to nothing about {about}; the answer is the prior's: {shown}."
    if direction == "unclear":
        return f"No clear difference in {curve} between {compared} and {reference}: {shown}; the interval includes 1."
    what = "time to" if row["estimand"] == TIME.estimand else "hazard of"
    return f"The estimated {what} {event} is {direction} with {compared} than with {reference}: {shown}."


def several_sentence(rows: Sequence[Row], spec: Spec) -> str:
    """Return the first sentence for several treatments: grouped by what their intervals say, each with its numbers."""
    event, curve = event_words(spec.endpoint)
    openings = {
        "lower": f"the estimated hazard of {event} is lower with",
        "higher": f"the estimated hazard of {event} is higher with",
        "longer": f"the estimated time to {event} is longer with",
        "shorter": f"the estimated time to {event} is shorter with",
        "unclear": f"there is no clear difference in {curve} for",
        "prior only": "the evidence says next to nothing about",
    }
    named = {
        direction: [
            f"{treatment_text(row['treatment'])} {estimate_text(spec, row)}"
            for row in rows
            if verdict(spec, row) == direction
        ]
        for direction in openings
    }
    parts = [f"{words} {', '.join(named[direction])}" for direction, words in openings.items() if named[direction]]
    reference = treatment_text(spec.treatments.reference)
    words = f"{measure_of(spec).words} in the average study with its {spec.interval.words} interval"
    error = error_clause(largest_error(spec, rows))
    words = f"{words}, {error} at most" if error else words
    return f"Against {reference}, {'; '.join(parts)} ({words})."


def absolute_sentence(answers: Answers) -> str:
    """Return the second sentence: survival and restricted means of a new study, the wider interval of one hospital."""
    if not answers.levels:
        return (
            "Survival itself is not answered: each study has a level of its own and no baseline is given"
            " (docs/decisions.md, 11)."
        )
    if len(answers.compared) > 1:
        return _range_sentence(answers)
    spec, name, reference = answers.spec, next(iter(answers.compared)), answers.spec.treatments.reference
    survival, reference_survival = (
        estimate_text(spec, answers.row("new-study", "survival", arm, time=answers.time)) for arm in (name, reference)
    )
    study, hospital = ("new-study", "new-hospital")
    shown = {
        (who, what): estimate_text(spec, answers.row(who, f"{what}_difference", name, time=answers.time))
        for who in (study, hospital)
        for what in ("survival", "rmst")
    }
    marks = {
        what: _label_clause(answers.row(study, f"{what}_difference", name, time=answers.time))
        for what in ("survival", "rmst")
    }
    wider = {what: f", and by {shown[hospital, what]} in one new hospital" for what in ("survival", "rmst")}
    if not varies_between_studies(spec):
        wider = {
            "survival": "",
            "rmst": "; nothing varies between studies in this model, so no hospital's interval is wider",
        }
    averaged = " averaged over studies" if varies_between_studies(spec) else ""
    return (
        f"At {time_text(spec, answers.time)}{marks['survival']}, {event_words(spec.endpoint)[1]}{averaged} is"
        f" {survival} with {treatment_text(name)} and {reference_survival} with {answers.reference}: it differs by"
        f" {shown[study, 'survival']}{wider['survival']}; the restricted mean to"
        f" {time_text(spec, spec.horizon)}{marks['rmst']} differs by"
        f" {shown[study, 'rmst']} {spec.time_unit}{wider['rmst']}{absolute_errors(answers, [name])}."
    )


def _label_clause(row: Row) -> str:
    """Return ` (extrapolated)`, to stand after a quantity that is."""
    return f" ({row['label']})" if row["label"] else ""


def varies_between_studies(spec: Spec) -> bool:
    """Return whether anything differs between studies in the model."""
    effects = spec.effects
    return any(effect is not None for effect in (effects.study, effects.study_treatment, effects.study_shape))


def _range_sentence(answers: Answers) -> str:
    """Return the second sentence for several treatments: the reference's level and the two ends of the differences."""
    spec, estimand = answers.spec, "survival_difference"
    differences = [answers.row("new-study", estimand, name, time=answers.time) for name in answers.compared]
    differences = sorted(differences, key=lambda row: row["median"])
    ends = [
        f"{estimate_text(spec, row)} with {treatment_text(row['treatment'])}, in one new hospital"
        f" {estimate_text(spec, answers.row('new-hospital', estimand, row['treatment'], time=answers.time))},"
        for row in (differences[0], differences[-1])
    ]
    level = estimate_text(spec, answers.row("new-study", "survival", spec.treatments.reference, time=answers.time))
    return (
        f"At {time_text(spec, answers.time)}, {event_words(spec.endpoint)[1]} averaged over studies is {level} with"
        f" {answers.reference}, and differences from it run from {ends[0]} to {ends[1].removesuffix(',')}"
        f"{survival_error(answers)}."
    )


def support_sentence(answers: Answers) -> str:
    """Return the third sentence: what the answer rests on, whether its two sources agree, and which printed numbers of
    the compared arms the model does not agree with.
    """
    return f"{support_clause(answers)}{_strained_clause(answers)}."


NAMED_ROWS = 3
"""So many strained numbers are named; the others are counted."""


def _strained_clause(answers: Answers) -> str:
    """Name the printed numbers that are amber or red in the reconciliation; nothing where all agree."""
    rows = answers.strained()
    if not rows:
        return ""
    named = [_strained_text(row) for row in rows[:NAMED_ROWS]]
    more = f"; and {len(rows) - NAMED_ROWS} more" if len(rows) > NAMED_ROWS else ""
    return f". The model strains against {counted(len(rows), 'printed number')}: {'; '.join(named)}{more}"


def _strained_text(row: Row) -> str:
    """Return a printed number beside what the model says of it."""
    arm = f", {row['arm']}" if row["arm"] else ""
    printed = f"{row['printed']:.3g}" if np.isfinite(row["printed"]) else "not reached"
    model = f"{row['predicted']:.3g} ({row['predicted_low']:.3g} to {row['predicted_high']:.3g}) by the model"
    return f"{row['study']}{arm}: {row['quantity']} {printed} printed, {model}, p = {row['p']:.2g}"


def support_clause(answers: Answers) -> str:
    """Return what the answer rests on, and whether its two sources agree, without a full stop."""
    support = answers.support()
    printed = f" and {counted(support.ratios, 'printed hazard ratio')}" if support.ratios else ""
    opening = (
        f"It rests on {counted(support.studies, 'study')}, about {support.patients:.0f} effective patients{printed}"
    )
    if answers.spec.reproduction:
        return f"{opening}: the printed summary of one analysis, given back by the model, which adds no evidence to it"
    sides = [name for name in answers.compared if answers.side_by_side(name)]
    if not sides:
        return f"{opening}, compared across studies only ({NO_SIDE_BY_SIDE}): {CHANCE} it"
    if len(answers.compared) == 1:
        return f"{opening}; {_sources_clause(answers, sides[0])}"
    alone = [treatment_text(name) for name in answers.compared if name not in sides]
    rest = f"; {', '.join(alone)} across studies only, where {CHANCE} it" if alone else ""
    return f"{opening}; side by side with {answers.reference} within studies: {_named_sides(answers, sides)}{rest}"


def _named_sides(answers: Answers, names: Sequence[str]) -> str:
    return ", ".join(f"{treatment_text(name)} ({counted(answers.side_by_side(name), 'study')})" for name in names)


def _sources_clause(answers: Answers, name: str) -> str:
    within_row, across_row, discrepancy = (
        answers.source(name, source) for source in ("within", "across", "discrepancy")
    )
    text = f"{counted(answers.side_by_side(name), 'study')} held both side by side"
    mostly = mostly_across(answers, name)
    if within_row is None:
        return text
    if across_row is None or discrepancy is None:
        return f"{text} ({answers.contrasted.name} within studies {source_ratio(within_row)})"
    low, high = (discrepancy[name] for name in answers.spec.interval.names)
    disagree = low > 0 or high < 0
    words = "disagree: the interval of their ratio excludes 1" if disagree else "do not clearly disagree"
    weigh = f"; the answer is {mostly}, where {CHANCE} it" if mostly else ""
    ratios = f"{answers.contrasted.name} within studies {source_ratio(within_row)}, across {source_ratio(across_row)}"
    return f"{text} ({ratios}), and the two {words}{weigh}"


def mostly_across(answers: Answers, name: str) -> str:
    """Return the label of a combined answer that owes more to comparing across studies than within
    (docs/decisions.md#12-within-and-across); else nothing.
    """
    combined = answers.source(name, "combined")
    note = "" if combined is None else str(combined["note"])
    return note if note.startswith("mostly across") else ""


def sentences(answers: Answers) -> list[str]:
    """Return the answer in three sentences, after what must be said first (a failed gate, a reproduction, one
    baseline for all studies)."""
    rows = [answers.ratio(name) for name in answers.compared]
    first = contrast_sentence(rows[0], answers.spec) if len(rows) == 1 else several_sentence(rows, answers.spec)
    baseline = [note for note in answers.audit.notes if note.startswith(ONE_BASELINE)]
    opening = [*([FAILED] if answers.refused else []), *([TWICE] if answers.spec.reproduction else []), *baseline]
    closing = [] if answers.rebuilt is None else [reconstruction_sentence(answers.rebuilt, answers.spec)]
    return [*opening, first, absolute_sentence(answers), support_sentence(answers), *closing]


WIDER = 0.005
"""An interval that is wider by less is as wide."""


def reconstruction_sentence(rebuilt: ImputationSummary, spec: Spec) -> str:
    """Return what the answer owes to patients that are known from curves only
    (docs/decisions.md#19-multiple-imputation).
    """
    arms = counted(rebuilt.arms, "study arm")
    if rebuilt.m == 1:
        return (
            f"Reconstruction uncertainty is not included: the patients of {arms} were rebuilt from curves and are taken"
            f" as known; to include it, add --imputations 20 to the command of this fit."
        )
    reference = spec.treatments.reference
    rows = [rebuilt.log_ratio(name, reference, time=spec.reference_time) for name in spec.treatments.compare]
    widening = "; ".join(_widening_clause(row, spec.interval) for row in rows)
    return (
        f"Reconstruction {widening}; the patients of {arms} were rebuilt from"
        f" curves, and {rebuilt.m} plausible sets of them were fitted."
    )


def _widening_clause(row: Row, level: Level) -> str:
    contrast = f"{treatment_text(row['treatment'])} against {treatment_text(row['reference'])}"
    ratio = "log time ratio" if row["quantity"] == "log_time_ratio" else "log HR"
    interval, single_width, full_width = (
        f"{level.words} interval of {ratio}, {contrast},",
        row["width_within"],
        row["width"],
    )
    if row["wider"] < WIDER:
        return f"leaves the {interval} as wide as it is ({full_width:.2f})"
    return f"widens the {interval} from {single_width:.2f} to {full_width:.2f}, by {100 * row['wider']:.1f} %"


def patient_sentences(spec: Spec, patient: PatientAnswer, *, prior_only: Sequence[str]) -> list[str]:
    """Return who is asked about, then what the answer rests on, and which coefficients behind it no data inform
    (docs/decisions.md, 17).
    """
    asked = patient.covariates
    named = [spec.covariates[name].value_words(name, value) for name, value in asked.items()]
    who = f"A patient with {'; '.join(named)}" if named else "A patient with no covariate given"
    alive = f"; alive at {time_text(spec, patient.alive_at)}" if patient.alive_at else ""
    parts = [f"{who}{alive}. In a new study, averaged over studies.", *filter(None, patient.notes)]
    silent = [name for name in asked if f"coefficient[{name}]" in prior_only]
    if silent:
        parts.append(f"Prior only: no evidence here informs the coefficient of {', '.join(silent)}.")
    if patient.alive_at:
        parts.append("Times and medians count from time 0, the restricted mean from when the patient is known alive.")
    return [*parts, "Differences are between groups of such patients; no treatment is recommended."]


def averages_sentence(spec: Spec) -> str:
    """Return whom the averages are over."""
    if spec.free_levels:
        return "Each study has a level of its own: nothing is averaged over studies, and only ratios are general."
    if spec.effects.study is None:
        return "All studies share one level: differences between studies are taken to be nil."
    return "Averages are over studies like those in the audit, taken as a sample from one population of studies."


def limits(spec: Spec) -> list[str]:
    """Return what the report cannot say, the spec's own list first."""
    centres = ["Without a patient, answers are for every covariate at its centre."] if spec.covariates else []
    return [
        *spec.cannot_say,
        "It recommends no treatment. Where patients were not allotted at random, who received what differs, and that"
        " difference stays in the comparison.",
        averages_sentence(spec),
        *centres,
        f"Curves and restricted means end at {time_text(spec, spec.horizon)}; beyond a treatment's follow-up they are"
        f" carried on by the {spec.hazard.family} family alone.",
        "What the evidence cannot show (informative censoring, immortal time behind a lone median) is not corrected;"
        " sensitivity analyses stand in place of a check.",
        "Priors move the answer where evidence is thin; each is listed with its reason under diagnostics.",
    ]


def sensitivity_table(table: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Return rows of sensitivity.csv as texts: what a reader compares from one analysis to the next."""
    return pd.DataFrame([_sensitivity_row(row, spec) for row in table.to_dict("records")])


def _sensitivity_row(row: Row, spec: Spec) -> dict[str, str]:
    def shown(*names: str, digits: int) -> str:
        return estimate([float(row[name]) for name in names], digits=digits, null=0.0)

    better = row["prob_better"]
    fitted = isinstance(row["measure"], str)
    ratio = f"{row['measure']} {ratio_estimate([row['ratio'], row['ratio_low'], row['ratio_high']])}" if fitted else ""
    elpd = f"{row['elpd_difference']:.1f} ({row['elpd_difference_se']:.1f})" if _finite(row["elpd_difference"]) else ""
    texts = [str(row[name]) for name in ("loo", "note") if isinstance(row[name], str) and row[name]]
    mean = shown("rmst_difference", "rmst_low", "rmst_high", digits=DIGITS[spec.time_unit])
    alive = shown("survival_difference", "survival_low", "survival_high", digits=2)
    return {
        "analysis": str(row["analysis"]),
        "family": str(row["family"]),
        f"ratio ({spec.interval.words})": ratio or MISSING,
        "P(better)": probability(better) if _finite(better) else MISSING,
        f"restricted mean, difference ({spec.time_unit})": mean,
        f"survival at {time_text(spec, spec.reference_time)}, difference": alive,
        "elpd, less base (se)": elpd or MISSING,
        "gate": str(row["gate"]) if isinstance(row["gate"], str) and row["gate"] else MISSING,
        "seconds": f"{row['seconds']:.0f}" if _finite(row["seconds"]) else "",
        "remark": "; ".join(texts),
    }


def leave_one_out_table(studies: pd.DataFrame, level: Level = USUAL) -> pd.DataFrame:
    """Return rows of studies.csv as texts."""
    rows = []
    for row in studies.to_dict("records"):
        fitted = _finite(row["ratio"])
        rows.append(
            {
                "without": str(row["study"]) or "(all studies)",
                f"ratio ({level.words})": ratio_estimate([row["ratio"], row["ratio_low"], row["ratio_high"]])
                if fitted
                else "",
                "shift (sd)": f"{row['shift']:+.2f}" if _finite(row["shift"]) else "",
                "log score": f"{row['elpd']:.2f}" if _finite(row["elpd"]) else "",
                "Pareto k": f"{row['pareto_k']:.2f}" if _finite(row["pareto_k"]) else "",
                "by": {"psis": "weights", "refit": "a fit without it"}.get(
                    str(row["method"]), str(row["method"] or "")
                ),
                "remark": str(row["note"]) if isinstance(row["note"], str) else "",
            }
        )
    return pd.DataFrame(rows)


def _finite(value: Any) -> bool:
    return value is not None and bool(np.isfinite(float(value)))


def fit_command(spec: Spec, sensitivity: str | None = None) -> str:
    """Return the command that makes the posterior again, or a named sensitivity analysis of it."""
    if sensitivity is None:
        return f"bayes-bm fit {spec.name} --out {spec.name}.nc"
    return f"bayes-bm fit {spec.name} --sensitivity {sensitivity} --out {spec.name}.{sensitivity}.nc"
