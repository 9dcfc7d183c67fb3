"""Result -> one HTML file that needs nothing else: no script, no request, figures inside (`design.md`, rule 22).

`gather` asks the checks and the answers for their tables; everything after it is words and drawing. The wording follows
the numbers: "no clear difference" wherever the 95 % interval includes no effect, and never a recommendation.
"""

import html
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from bayes_bm import nonparametric
from bayes_bm.checks.audit import NO_SIDE_BY_SIDE, Audit, follow_up
from bayes_bm.errors import GateRefused
from bayes_bm.estimands import Population
from bayes_bm.estimands import quantile as population_quantile
from bayes_bm.files import written_whole
from bayes_bm.fit import Result
from bayes_bm.gate import MAX_DIVERGENT, MAX_RHAT, MIN_BFMI, MIN_ESS, watched_parameters
from bayes_bm.hazards import FAMILIES
from bayes_bm.predict import (
    AverageStudy,
    NewHospital,
    NewStudy,
    Patient,
    compare,
    predict,
    prior_and_posterior,
    survival,
)
from bayes_bm.predictor import arm_predictors
from bayes_bm.priors import describe, scipy_law
from bayes_bm.spec import Spec

WHO = {"average-study": AverageStudy(), "new-study": NewStudy(), "new-hospital": NewHospital()}
WHO_WORDS = {
    "average-study": "average study",
    "new-study": "new study (population average)",
    "new-hospital": "one new hospital (prediction)",
}
CURVE_DRAWS = 1000
"""Draws behind a drawn curve: enough for its line and band; tables use every draw."""
CURVE_POINTS = 41
ELSEWHERE = {
    "sensitivity": ("Sensitivity: families and named analyses", "bayes-bm sensitivity {name} --out sensitivity"),
    "leave_one_study_out": ("Leave one study out", "bayes-bm check {name}.nc --leave-one-out study"),
}


# ---------------------------------------------------------------------------------------------- numbers as text

DIGITS = {"days": 0, "weeks": 1, "months": 1, "years": 2}
MISSING = "–"


def number(value: float | None, digits: int, *, signed: bool = False) -> str:
    """Fixed decimals with a real minus sign; a dash where there is nothing.

    >>> number(-0.004, 2), number(1.25, 1), number(float("nan"), 2)
    ('0.00', '1.2', '–')
    """
    if value is None or not np.isfinite(value):
        return MISSING
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    bare = text.lstrip("+-")
    if float(bare) == 0:
        return bare
    return text.replace("-", "−")


def probability(value: float | None) -> str:
    """Two decimals, never a certainty that draws cannot show.

    >>> probability(0.99975), probability(0.5), probability(0.001)
    ('> 0.99', '0.50', '< 0.01')
    """
    if value is None or not np.isfinite(value):
        return MISSING
    return "> 0.99" if value > 0.99 else "< 0.01" if value < 0.01 else f"{value:.2f}"


def estimate(values: Sequence[float], *, digits: int, null: float | None = None, cap: float = np.inf) -> str:
    """`median (low to high)`; one more decimal where rounding would hide on which side of `null` a limit lies.

    >>> estimate((0.7, 0.55, 0.9961), digits=2, null=1.0)
    '0.700 (0.550 to 0.996)'
    """
    if not np.isfinite(values[0]):
        return MISSING
    if null is not None and any(round(v, digits) == null != v for v in values[1:]):
        digits += 1
    shown = [f"> {cap:.0f}" if value > cap else number(value, digits) for value in values]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def ratio(row: Mapping[str, Any]) -> str:
    """A hazard ratio with its 95 % interval."""
    return estimate((row["median"], row["q2_5"], row["q97_5"]), digits=2, null=1.0, cap=1000)


def of_row(spec: Spec, row: Mapping[str, Any]) -> str:
    """Median and 95 % interval of a row of `compare` or `predict`, rounded as its estimand asks."""
    values = (row["median"], row.get("q2_5", np.nan), row.get("q97_5", np.nan))
    estimand, null = str(row["estimand"]), 0.0 if str(row["estimand"]).endswith("_difference") else None
    if estimand == "hazard_ratio":
        return ratio(row)
    if estimand.startswith("survival"):
        return estimate(values, digits=2, null=null)
    return estimate(values, digits=DIGITS[spec.time_unit], null=null, cap=10 * spec.horizon)


def time_text(spec: Spec, time: float) -> str:
    return f"{time:g} {spec.time_unit}"


def treatment_text(name: str) -> str:
    """A treatment's name as words: `re_` and `non_` take a hyphen, words without a vowel are initials.

    >>> treatment_text("re_srs"), treatment_text("re_resection_re_rt"), treatment_text("supportive_care"), treatment_text("b")
    ('re-SRS', 're-resection re-RT', 'supportive care', 'b')
    """
    words = re.sub(r"(?:^|(?<=_))(re|non)_", r"\1-", name).split("_")
    return " ".join("-".join(_initials(part) for part in word.split("-")) for word in words)


def _initials(word: str) -> str:
    return word.upper() if len(word) > 1 and word.isalpha() and not set(word.lower()) & set("aeiouy") else word


# ---------------------------------------------------------------------------------------------- words

EVENTS = {
    "os": ("death", "overall survival"),
    "pfs": ("progression or death", "progression-free survival"),
    "local_control": ("local failure", "local control"),
    "intracranial_pfs": ("intracranial progression or death", "intracranial progression-free survival"),
}
TWICE = "Reproduction: the same patients twice."
FAILED = "The convergence gate failed; these numbers must not be relied on."


def event_words(endpoint: str) -> tuple[str, str]:
    """What happens, and the name of the curve."""
    shown = endpoint.replace("_", " ")
    return EVENTS.get(endpoint, (f"an event ({shown})", f"freedom from event ({shown})"))


def verdict(row: Mapping[str, Any]) -> str:
    """lower, higher, unclear or prior only: from the 95 % interval of the hazard ratio and from the row's label."""
    if "prior only" in str(row.get("label") or ""):
        return "prior only"
    return "lower" if row["q97_5"] < 1 else "higher" if row["q2_5"] > 1 else "unclear"


def probability_clause(value: float) -> str:
    shown = probability(value)
    return f"P(HR < 1) {shown}" if shown[0] in "<>" else f"P(HR < 1) = {shown}"


def numbers_of_ratio(row: Mapping[str, Any], spec: Spec) -> str:
    """HR with interval and probability; a ratio that changes with time carries its time."""
    time = row.get("time")
    when = f" at {time_text(spec, time)}" if time is not None and np.isfinite(time) else ""
    shown = ratio(row).replace(" (", " (95 % interval ", 1)
    return f"hazard ratio{when} {shown}, {probability_clause(row['prob_better'])}"


def contrast_sentence(row: Mapping[str, Any], spec: Spec) -> str:
    """The first sentence for one treatment: a row of `compare` for the average study, hazard_ratio."""
    event, curve = event_words(spec.endpoint)
    one, other = treatment_text(row["treatment"]), treatment_text(row["reference"])
    shown = numbers_of_ratio(row, spec)
    match verdict(row):
        case "prior only":
            return f"The evidence says next to nothing about {one} against {other}, and the answer is the prior's: {shown}."
        case "unclear":
            return f"No clear difference in {curve} between {one} and {other}: {shown}; the interval includes 1."
        case direction:
            return f"The estimated hazard of {event} is {direction} with {one} than with {other}: {shown}."


def several_sentence(rows: Sequence[Mapping[str, Any]], spec: Spec) -> str:
    """The first sentence for several treatments: grouped by what their intervals say, each with its numbers."""
    event, curve = event_words(spec.endpoint)
    reference = treatment_text(spec.treatments.reference)
    opening = {
        "lower": f"the estimated hazard of {event} is lower with",
        "higher": f"the estimated hazard of {event} is higher with",
        "unclear": f"there is no clear difference in {curve} for",
        "prior only": "the evidence says next to nothing about",
    }
    parts = []
    for found, words in opening.items():
        named = [f"{treatment_text(row['treatment'])} ({ratio(row)})" for row in rows if verdict(row) == found]
        if named:
            parts.append(f"{words} {', '.join(named)}")
    return f"Against {reference}, {'; '.join(parts)} (hazard ratio with 95 % interval; P(HR < 1) in the table below)."


def absolute_sentence(of: "Material", treatment: str) -> str:
    """The second sentence: survival and restricted means for a new study, and the wider interval of one new hospital."""
    spec = of.spec
    if not of.absolute:
        return "Survival itself is not answered: each study has a level of its own and no baseline is given (rule 11)."
    _, curve = event_words(spec.endpoint)
    one, other = treatment_text(treatment), treatment_text(spec.treatments.reference)
    at = spec.reference_time if spec.reference_time in spec.answer_times else spec.answer_times[0]

    def cell(who: str, estimand: str, name: str) -> str:
        return of_row(spec, of.answer(who, estimand, name, time=at if estimand.startswith("survival") else None))

    both = [cell("new-study", "survival", name) for name in (treatment, spec.treatments.reference)]
    near, far = (cell(who, "survival_difference", treatment) for who in ("new-study", "new-hospital"))
    mean_near, mean_far = (cell(who, "rmst_difference", treatment) for who in ("new-study", "new-hospital"))
    mark = of.answer("new-study", "survival_difference", treatment, time=at)["label"]
    return (
        f"At {time_text(spec, at)}, {curve} averaged over studies is {both[0]} with {one} and {both[1]} with {other}, a"
        f" difference of {near} (in one new hospital {far}); the mean to {time_text(spec, spec.horizon)} differs by"
        f" {mean_near} {spec.time_unit} (in one new hospital {mean_far})" + (f"; {mark}." if mark else ".")
    )


def several_absolute(of: "Material") -> str:
    """The second sentence for several treatments: the reference's level and the range of differences."""
    spec = of.spec
    if not of.absolute:
        return absolute_sentence(of, spec.treatments.compare[0])
    _, curve = event_words(spec.endpoint)
    at = spec.reference_time if spec.reference_time in spec.answer_times else spec.answer_times[0]
    level = of.answer("new-study", "survival", spec.treatments.reference, time=at)
    rows = [
        (name, of.answer("new-study", "survival_difference", name, time=at), of.answer("new-hospital", "survival_difference", name, time=at))
        for name in spec.treatments.compare
    ]  # fmt: skip
    ordered = sorted(rows, key=lambda row: row[1]["median"])
    ends = [
        f"{of_row(spec, near)} with {treatment_text(name)} (in one new hospital {of_row(spec, far)})"
        for name, near, far in (ordered[0], ordered[-1])
    ]
    return (
        f"At {time_text(spec, at)}, {curve} averaged over studies is {of_row(spec, level)} with"
        f" {treatment_text(spec.treatments.reference)}; differences from it run from {ends[0]} to {ends[1]}."
    )


def support_sentence(of: "Material", treatment: str) -> str:
    """The third sentence: what the contrast rests on."""
    studies, size, ratios = of.support(treatment)
    printed = f" and {_count(ratios, 'printed hazard ratio')}" if ratios else ""
    opening = f"It rests on {_count(studies, 'study')}, about {size:.0f} effective patients{printed}"
    if of.spec.reproduction:
        return f"{opening}: the printed summary numbers of one analysis, given back by the model; no evidence is added."
    within, across = of.source(treatment, "within"), of.source(treatment, "across")
    if within is None:
        return (
            f"{opening}, compared across studies only ({NO_SIDE_BY_SIDE}), so differences between studies, not the"
            " treatments, may be behind it."
        )
    sides = (
        f"{_count(int(within['studies']), 'study')} held both side by side (hazard ratio within {_source_ratio(within)}"
    )
    sides += f", across {_source_ratio(across)})" if across is not None else ")"
    return f"{opening}; {sides}{_agreement(of.source(treatment, 'discrepancy'))}."


def _source_ratio(row: Mapping[str, Any]) -> str:
    return estimate((row["hr"], row["hr_low"], row["hr_high"]), digits=2, null=1.0, cap=1000)


def _agreement(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    apart = row["q2_5"] > 0 or row["q97_5"] < 0
    return (
        ", and the two disagree: the interval of their ratio excludes 1"
        if apart
        else ", and the two do not clearly disagree"
    )


def several_support(of: "Material") -> str:
    spec = of.spec
    parts = [of.support(name) for name in spec.treatments.compare]
    rows = of.audit.rows
    studies = rows["study"].nunique()
    size = float(rows.loc[rows["kind"] != "hazard ratio", "size"].sum())
    side = [treatment_text(name) for name in spec.treatments.compare if of.source(name, "within") is not None]
    alone = len(parts) - len(side)
    opening = f"It rests on {_count(studies, 'study')}, about {size:.0f} effective patients"
    if not side:
        return f"{opening}, compared across studies only ({NO_SIDE_BY_SIDE} for any contrast), so differences between studies may be behind it."
    rest = f", the other {alone} across studies only" if alone else ""
    return f"{opening}; side by side within studies: {', '.join(side)}{rest}."


def _count(size: int, name: str) -> str:
    plural = {"study": "studies"}.get(name, f"{name}s")
    return f"{size} {name if size == 1 else plural}"


def answer_sentences(of: "Material") -> list[str]:
    """The answer in three sentences, preceded by what must be said first (reproduction, failed gate)."""
    rows = [of.ratio_row("average-study", name) for name in of.spec.treatments.compare]
    if len(rows) == 1:
        name = of.spec.treatments.compare[0]
        body = [contrast_sentence(rows[0], of.spec), absolute_sentence(of, name), support_sentence(of, name)]
    else:
        body = [several_sentence(rows, of.spec), several_absolute(of), several_support(of)]
    before = ([FAILED] if of.refused else []) + ([TWICE] if of.spec.reproduction else [])
    return [*before, *body]


# ---------------------------------------------------------------------------------------------- what is shown


@dataclass(frozen=True)
class Observed:
    """What an arm's panel shows beside its band: tables for `plots.curves.arm_panel`, None where there is nothing."""

    steps: pd.DataFrame | None = None
    ticks: pd.DataFrame | None = None
    at_risk: pd.DataFrame | None = None
    printed: pd.DataFrame | None = None

    @property
    def last(self) -> float:
        """Last time at which something is printed."""
        return 0.0 if self.printed is None else float(np.nanmax(self.printed[["time", "time_high"]].to_numpy()))


@dataclass(frozen=True)
class PatientAnswer:
    """A patient: covariates, since when alive, the table of `predict` and the curves by treatment."""

    values: Mapping[str, float]
    alive_at: float
    table: pd.DataFrame
    curves: pd.DataFrame | None
    differences: pd.DataFrame | None


@dataclass(frozen=True)
class Material:
    """Every table behind the report. `refused` holds what a gate said where it was overridden, else nothing."""

    result: Result
    audit: Audit
    reconciliation: pd.DataFrame
    contrasts: pd.DataFrame
    answers: Mapping[str, pd.DataFrame]
    until: Mapping[str, float]
    arms: pd.DataFrame
    overall: pd.DataFrame
    bands: pd.DataFrame
    observed: Mapping[int, Observed]
    curves: pd.DataFrame | None
    differences: pd.DataFrame | None
    wider: pd.DataFrame | None
    parameters: Sequence[Mapping[str, Any]]
    ranks: Mapping[str, pd.DataFrame]
    patient: PatientAnswer | None = None
    refused: tuple[str, ...] = ()
    elsewhere: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def spec(self) -> Spec:
        return self.result.spec

    @property
    def absolute(self) -> bool:
        """Whether survival itself is answered, not only ratios (rule 11)."""
        return not (self.spec.free_levels and self.spec.baseline is None)

    def answer(self, who: str, estimand: str, treatment: str, *, time: float | None = None) -> dict[str, Any]:
        """One row of `compare`; `time` picks among several."""
        table = self.answers[who]
        mine = table[(table["estimand"] == estimand) & (table["treatment"] == treatment)]
        if time is not None and len(mine) > 1:
            mine = mine.loc[[(mine["time"].astype(float) - time).abs().idxmin()]]
        return mine.iloc[0].to_dict()

    def ratio_row(self, who: str, treatment: str) -> dict[str, Any]:
        return self.answer(who, "hazard_ratio", treatment, time=self.spec.reference_time)

    def source(self, treatment: str, source: str) -> dict[str, Any] | None:
        """A row of the contrast table with numbers; None where there are none, or where within is only indirect."""
        table = self.contrasts
        mine = table[(table["treatment"] == treatment) & (table["source"] == source)]
        row = mine.iloc[0].to_dict() if len(mine) else {"hr": np.nan}
        direct = source not in ("within", "discrepancy") or row.get("studies", 0) > 0
        return row if direct and np.isfinite(row["hr"]) else None

    def support(self, treatment: str) -> tuple[int, float, int]:
        """Studies, effective patients and printed hazard ratios that speak about a treatment or the reference."""
        rows = self.audit.rows
        ratios = rows[(rows["kind"] == "hazard ratio") & (rows["treatment"] == treatment)]
        mine = rows[
            (rows["kind"] != "hazard ratio") & rows["treatment"].isin([treatment, self.spec.treatments.reference])
        ]
        return len({*mine["study"], *ratios["study"]}), float(mine["size"].sum()), len(ratios)


def gather(
    result: Result,
    *,
    audit: Audit,
    reconciliation: pd.DataFrame,
    contrasts: pd.DataFrame,
    patient: Mapping[str, float] | None = None,
    patient_table: pd.DataFrame | None = None,
    alive_at: float = 0.0,
    refused: tuple[str, ...] = (),
    elsewhere: Mapping[str, pd.DataFrame] | None = None,
) -> Material:
    """Ask for every table that the report shows."""
    spec, until = result.spec, follow_up(result.spec, result.evidence)
    answers = {name: compare(result, who=who) for name, who in WHO.items()}
    observed = {row: _observed(result, reconciliation, row) for row in range(len(result.evidence.arms))}
    grid = _grid(spec, until)
    thin = _thinned(result)
    absolute = not (spec.free_levels and spec.baseline is None)
    near = survival(thin, grid, who=NewStudy()) if absolute else None
    far = survival(thin, grid, who=NewHospital()) if absolute else None
    measure = _forest_measure(result)
    return Material(
        result=result,
        audit=audit,
        reconciliation=reconciliation,
        contrasts=contrasts,
        answers=answers,
        until=until,
        arms=arm_answers(result, reconciliation, measure=measure),
        overall=_overall(answers, spec, measure) if absolute else pd.DataFrame(),
        bands=_bands(result, observed, grid),
        observed=observed,
        curves=None if near is None else curve_table(near),
        differences=None if near is None else difference_table(near),
        wider=None if far is None else difference_table(far),
        parameters=prior_and_posterior(result),
        ranks=rank_tables(watched_parameters(result.posterior)),
        patient=None if patient is None else _patient_answer(thin, result, patient, patient_table, alive_at),
        refused=refused,
        elsewhere=elsewhere or {},
    )


def _thinned(result: Result) -> Result:
    """The result with about `CURVE_DRAWS` draws: what a drawn line needs."""
    chains, per_chain = result.posterior.sizes["chain"], result.posterior.sizes["draw"]
    step = max(1, chains * per_chain // CURVE_DRAWS)
    return replace(result, posterior=result.posterior.isel(draw=slice(None, None, step)))


def _grid(spec: Spec, until: Mapping[str, float], *, start: float = 0.0, points: int = CURVE_POINTS) -> list[float]:
    """Times at which curves are drawn: even, and every treatment's end of follow-up, where its line changes."""
    even = np.linspace(start, spec.horizon, points)
    even[0] = max(start, 1e-4 * spec.horizon)
    ends = [end for end in until.values() if np.isfinite(end) and even[0] < end < spec.horizon]
    return sorted({*even.tolist(), *ends})


def curve_table(values: xr.DataArray) -> pd.DataFrame:
    """Posterior median and 95 % interval (treatment, time, median, low, high) of draws (chain, draw, treatment, time)."""
    low, median, high = values.quantile([0.025, 0.5, 0.975], dim=("chain", "draw"))
    tables = [
        pd.DataFrame(
            {
                "treatment": str(name),
                "time": values["time"].values,
                "median": median.sel(treatment=name).values,
                "low": low.sel(treatment=name).values,
                "high": high.sel(treatment=name).values,
            }
        )
        for name in values["treatment"].values
    ]
    return pd.concat(tables, ignore_index=True)


def difference_table(values: xr.DataArray) -> pd.DataFrame:
    """`curve_table` of each treatment's survival minus the reference's, which stands first; paired by draw."""
    return curve_table(values.isel(treatment=slice(1, None)) - values.isel(treatment=0, drop=True))


def _bands(result: Result, observed: Mapping[int, Observed], grid: Sequence[float]) -> pd.DataFrame:
    """Predicted bands of every arm, drawn on to its last printed number where that lies beyond the horizon."""
    from bayes_bm.checks.predictive import predictive_bands

    last = max((seen.last for seen in observed.values()), default=0.0) * 1.05
    horizon = result.spec.horizon
    beyond = np.linspace(horizon, last, 13)[1:] if last > horizon else []
    return predictive_bands(result, [*grid, *beyond])


# ---- arms


def _arm_population(result: Result) -> Population:
    """The law of each study arm's own curve (a point per draw), with the arm row in the place of the treatment."""
    eta, log_shape = arm_predictors(result.draws, result.design)
    family, zero = FAMILIES[result.spec.hazard.family], np.zeros_like(eta)
    return Population(family, result.spec.reference_time, eta, log_shape, zero, zero)


def _arm_medians(result: Result) -> np.ndarray:
    """Each arm's median on its printed clock, given alive at its entry (sample, arm row)."""
    of, arms = _arm_population(result), result.evidence.arms
    medians = np.empty(of.eta.shape)
    for entry, rows in arms.groupby("entry").groups.items():
        at = arms.index.get_indexer(rows)
        part = Population(
            of.family, of.reference_time, *(v[:, at] for v in (of.eta, of.log_shape, of.eta_sd, of.log_shape_sd))
        )
        medians[:, at] = population_quantile(part, 0.5, alive_at=float(str(entry)))
    return medians - arms["shift"].to_numpy()


def _arm_survival(result: Result, time: float) -> np.ndarray:
    """Each arm's S(time) on its printed clock, given alive at its entry (sample, arm row)."""
    from bayes_bm.checks.predictive import arm_curves

    return arm_curves(result, [time]).isel(time=0).stack(sample=("chain", "draw")).transpose("sample", "arm_row").values


def _forest_measure(result: Result) -> str:
    """Median survival, or survival at the reference time where some median is not in sight (above 4 horizons)."""
    if result.evidence.arms.empty:
        return "survival"
    high = np.quantile(_arm_medians(result), 0.975, axis=0)
    return "median" if np.nanmax(high) <= 4 * result.spec.horizon else "survival"


def arm_answers(result: Result, reconciliation: pd.DataFrame, *, measure: str) -> pd.DataFrame:
    """One row a study arm: its own median (or survival at the reference time), and what was printed for it."""
    arms = result.evidence.arms
    if arms.empty:
        return pd.DataFrame()
    values = _arm_medians(result) if measure == "median" else _arm_survival(result, result.spec.reference_time)
    low, middle, high = np.quantile(values, [0.025, 0.5, 0.975], axis=0)
    printed = [_printed_for(reconciliation, arm, measure, result.spec) for arm in arms.to_dict("records")]
    table = arms[["study", "arm", "treatment"]].assign(
        arm_row=range(len(arms)), n=arms["n_effective"].astype(float), median=middle, low=low, high=high
    )
    return table.join(pd.DataFrame(printed, index=table.index)).assign(measure=measure)


def _of_arm(reconciliation: pd.DataFrame, arm: Mapping[str, Any]) -> pd.DataFrame:
    mine = reconciliation[(reconciliation["study"] == arm["study"]) & (reconciliation["arm"] == arm["arm"])]
    numbers = ["time", "printed", "printed_low", "printed_high", "reconstructed"]
    return mine.assign(**{name: pd.to_numeric(mine[name], errors="coerce") for name in numbers})


def _printed_for(reconciliation: pd.DataFrame, arm: Mapping[str, Any], measure: str, spec: Spec) -> dict[str, float]:
    """The arm's printed (or rebuilt) median or survival at the reference time, NaN where there is none."""
    nothing = {"printed": np.nan, "printed_low": np.nan, "printed_high": np.nan}
    for row in _of_arm(reconciliation, arm).to_dict("records"):
        kind, quantity = row["kind"], str(row["quantity"])
        found = row["printed"] if np.isfinite(row["printed"]) else row["reconstructed"]
        interval = {"printed_low": row["printed_low"], "printed_high": row["printed_high"]}
        if measure == "median" and quantity == "median":
            return {"printed": found, **interval}
        if measure == "median" and quantity.startswith("median (as"):
            return {**nothing, "printed": row["time"]}
        if measure == "survival" and kind in ("points", "patients") and _same_time(row["time"], spec.reference_time):
            return {"printed": found, **interval}
    return nothing


def _same_time(left: float, right: float) -> bool:
    return bool(np.isclose(left, right, rtol=1e-6))


def _overall(answers: Mapping[str, pd.DataFrame], spec: Spec, measure: str) -> pd.DataFrame:
    """Average study and one new hospital for every treatment, for the foot of the forest plot."""
    rows = []
    for treatment in spec.treatments.names:
        for who, kind in (("average-study", "average"), ("new-hospital", "hospital")):
            table = answers[who]
            mine = table[(table["estimand"] == measure) & (table["treatment"] == treatment)]
            if measure == "survival":
                mine = mine.loc[[(mine["time"].astype(float) - spec.reference_time).abs().idxmin()]]
            row = mine.iloc[0]
            numbers = {"median": row["median"], "low": row["q2_5"], "high": row["q97_5"]}
            rows.append({"treatment": treatment, "kind": kind, **numbers})
    return pd.DataFrame(rows)


def _observed(result: Result, reconciliation: pd.DataFrame, arm_row: int) -> Observed:
    evidence = result.evidence
    arm = evidence.arms.iloc[arm_row].to_dict()
    patients = evidence.patients[evidence.patients["arm_row"] == arm_row]
    if len(patients):
        return _observed_patients(patients, float(arm["shift"]), result.spec.horizon)
    rows = [_mark(row) for row in _of_arm(reconciliation, arm).to_dict("records")]
    counts = evidence.counts[(evidence.counts["arm_row"] == arm_row) & evidence.counts["time"].notna()]
    rows += [_marked(row["time"], 1 - row["events"] / row["n"]) for row in counts.to_dict("records")]
    printed = pd.DataFrame([row for row in rows if row is not None])
    return Observed(printed=printed if len(printed) else None)


def _marked(time: float, survival: float, **interval: float) -> dict[str, float]:
    nothing = dict.fromkeys(("low", "high", "time_low", "time_high"), np.nan)
    return {"time": time, "survival": survival, **nothing, **interval}


def _mark(row: Mapping[str, Any]) -> dict[str, float] | None:
    """Where a printed number stands on the survival plane: a median at (median, 1/2), a survival at its time."""
    if row["kind"] == "medians" and np.isfinite(row["printed"]):
        return _marked(row["printed"], 0.5, time_low=row["printed_low"], time_high=row["printed_high"])
    if row["kind"] == "points":
        return _marked(row["time"], row["printed"], low=row["printed_low"], high=row["printed_high"])
    return None


def _observed_patients(patients: pd.DataFrame, shift: float, horizon: float) -> Observed:
    """Kaplan-Meier curve, censoring ticks and numbers at risk on the arm's printed clock.

    An interval-censored event stands at the middle of its interval, as in the predicted bands.
    """
    upper = patients["time_upper"].to_numpy(dtype=float)
    time = patients["time"].to_numpy(dtype=float)
    time = np.where(np.isfinite(upper), (time + upper) / 2, time)
    event, entry = patients["event"].to_numpy(), patients["entry"].to_numpy(dtype=float)
    weight = patients["weight"].to_numpy(dtype=float)
    late = entry if (entry > 0).any() else None
    curve = nonparametric.kaplan_meier(time, event, entry=late, weight=weight)
    steps = {
        "time": [0.0, *(curve.time - shift), curve.follow_up - shift],
        "survival": [1.0, *curve.survival, curve(curve.follow_up)],
    }
    censored = np.unique(time[event == 0])
    shown = np.array(_risk_times(horizon))
    count = nonparametric.at_risk(time, shown + shift, entry=late, weight=weight)
    return Observed(
        steps=pd.DataFrame(steps),
        ticks=pd.DataFrame({"time": censored - shift, "survival": curve(censored)}),
        at_risk=pd.DataFrame({"time": shown, "at_risk": count}),
    )


def _risk_times(horizon: float) -> list[float]:
    from bayes_bm.plots.curves import time_ticks

    return time_ticks(horizon)


# ---- patient, parameters


def _patient_answer(
    thin: Result, result: Result, values: Mapping[str, float], table: pd.DataFrame | None, alive_at: float
) -> PatientAnswer:
    spec, who = result.spec, NewStudy()
    times = [time for time in spec.answer_times if time >= alive_at] or [spec.horizon]
    table = predict(result, values, alive_at=alive_at, times=times, who=who) if table is None else table
    if alive_at >= spec.horizon:
        return PatientAnswer(values, alive_at, table, None, None)
    grid = _grid(spec, follow_up(spec, result.evidence), start=alive_at)
    drawn = survival(thin, grid, who=Patient(values, who), alive_at=alive_at)
    return PatientAnswer(values, alive_at, table, curve_table(drawn), difference_table(drawn))


def rank_tables(watched: xr.Dataset, *, bins: int = 20) -> dict[str, pd.DataFrame]:
    """For each parameter how many of a chain's draws fall into each bin of ranks (chain, left, right, count).

    Ranks are among the draws of all chains (Vehtari et al. 2021, section 3).
    """
    tables = {}
    for name in watched.data_vars:
        variable = watched[name].transpose("chain", "draw", ...)
        flat = variable.values.reshape(*variable.shape[:2], -1)
        extra = [dim for dim in variable.dims if dim not in ("chain", "draw")]
        labels = [f"{name}[{label}]" for label in variable[extra[0]].values] if extra else [str(name)]
        for at, label in enumerate(labels):
            tables[label] = _rank_counts(flat[..., at], bins)
    return tables


def _rank_counts(draws: np.ndarray, bins: int) -> pd.DataFrame:
    ranks = stats.rankdata(draws, method="average").reshape(draws.shape)
    edges = np.linspace(0, draws.size, bins + 1)
    rows = [
        {"chain": chain, "left": left, "right": right, "count": count}
        for chain, mine in enumerate(ranks)
        for left, right, count in zip(edges[:-1], edges[1:], np.histogram(mine, edges)[0], strict=True)
    ]
    return pd.DataFrame(rows)


# ---------------------------------------------------------------------------------------------- HTML


class Html(str):
    """Text that is markup already; every other text is escaped on its way in."""

    __slots__ = ()


Part = str | None | Iterable["Part"]


def _flat(parts: Iterable[Part]) -> str:
    texts = []
    for part in parts:
        if part is None:
            continue
        if isinstance(part, str):
            texts.append(part if isinstance(part, Html) else html.escape(part))
        else:
            texts.append(_flat(part))
    return "".join(texts)


def el(name: str, *parts: Part, cls: str | None = None, **attributes: str) -> Html:
    """An element; children that are not `Html` are escaped.

    >>> el("td", "a < b", cls="num")
    '<td class="num">a &lt; b</td>'
    """
    named = {"class": cls, **attributes}
    written = "".join(f' {key}="{html.escape(value)}"' for key, value in named.items() if value is not None)
    return Html(f"<{name}{written}>{_flat(parts)}</{name}>")


@dataclass(frozen=True)
class Column:
    """A column of an HTML table: its head, the text of a cell from a row, and its class (`num`, `words`, `keep`)."""

    head: str
    text: Callable[[Mapping[str, Any]], Part]
    cls: str | None = None


def html_table(
    rows: pd.DataFrame | Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    *,
    caption: str = "",
    group: str | None = None,
    row_class: Callable[[Mapping[str, Any]], str | None] = lambda row: None,
) -> Html:
    """A table that scrolls sideways on a narrow screen. `group`: a field whose change starts a new headed block."""
    records = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else list(rows)
    head = el("thead", el("tr", *(el("th", column.head, cls=column.cls, scope="col") for column in columns)))
    body, current = [], None
    for row in records:
        if group is not None and row[group] != current:
            current = row[group]
            body.append(el("tr", el("th", str(current), colspan=str(len(columns)), scope="colgroup"), cls="group"))
        cells = (el("td", column.text(row), cls=column.cls) for column in columns)
        body.append(el("tr", *cells, cls=row_class(row)))
    title = el("caption", caption) if caption else None
    return el("div", el("table", title, head, el("tbody", *body)), cls="scroll", tabindex="0")


def plain(head: str, key: str, cls: str | None = None) -> Column:
    """A column that prints a field as it stands, a dash where it is missing."""
    return Column(head, lambda row: MISSING if pd.isna(row[key]) or row[key] == "" else str(row[key]), cls)


def numeric(head: str, key: str, digits: int) -> Column:
    return Column(head, lambda row: number(row[key], digits), "num")


def named_treatment(head: str, key: str = "treatment") -> Column:
    return Column(head, lambda row: treatment_text(row[key]) if isinstance(row[key], str) else MISSING)


# ---------------------------------------------------------------------------------------------- figures


@dataclass(frozen=True)
class Drawing:
    """What every figure of one report shares."""

    of: Material

    @property
    def looks(self) -> dict[str, Any]:
        from bayes_bm.plots.style import looks

        return looks(self.of.spec.treatments.names)

    def mark(self, text: str) -> str:
        """A caption or title that carries the report's warnings with it."""
        warnings = [
            *(["not converged"] if self.of.refused else []),
            *(["reproduction"] if self.of.spec.reproduction else []),
        ]
        return f"[{'; '.join(warnings)}] {text}" if warnings else text

    def figure(self, drawn: Any, *, title: str, caption: str = "", cls: str | None = None) -> Html:
        from bayes_bm.plots.style import svg

        note = el("figcaption", self.mark(caption)) if caption else None
        return el("figure", Html(svg(drawn, title=self.mark(title))), note, cls=cls)


def _contrast_rows(of: Material) -> pd.DataFrame:
    """Rows of the contrast figure; a treatment's heading where there are several."""
    rows, blank = [], {"hr": np.nan, "low": np.nan, "high": np.nan, "text": ""}
    words = {"within": "within studies", "across": "across studies", "combined": "combined"}
    for treatment in of.spec.treatments.compare:
        base = {"treatment": treatment, **blank}
        rows.append(
            {
                **base,
                "kind": "heading",
                "label": f"{treatment_text(treatment)} v {treatment_text(of.spec.treatments.reference)}",
            }
        )
        for row in of.contrasts[of.contrasts["treatment"] == treatment].to_dict("records"):
            if row["source"] in words:
                text = _source_ratio(row) if np.isfinite(row["hr"]) else str(row["note"] or NO_SIDE_BY_SIDE)
                numbers = {"hr": row["hr"], "low": row["hr_low"], "high": row["hr_high"]}
                rows.append({**base, **numbers, "kind": row["source"], "label": words[row["source"]], "text": text})
        for check in of.spec.external_checks:
            if check.estimand == "hazard_ratio" and check.treatment == treatment:
                interval = {"low": check.ci_low or np.nan, "high": check.ci_high or np.nan}
                named = {
                    "kind": "published",
                    "label": "published pooled, no evidence here",
                    "text": number(check.value, 2),
                }
                rows.append({**base, **interval, **named, "hr": check.value})
    return pd.DataFrame(rows)


def _contrast_figure(draw: Drawing) -> Html:
    from bayes_bm.plots.contrasts import contrasts
    from bayes_bm.plots.style import figure

    rows = _contrast_rows(draw.of)
    finite = rows[["low", "high", "hr"]].to_numpy(dtype=float)
    finite = finite[np.isfinite(finite)]
    xlim = (min(0.45, 0.9 * finite.min()), max(2.2, 1.1 * finite.max())) if len(finite) else (0.3, 3.0)
    xlim = (max(xlim[0], 0.04), min(xlim[1], 25.0))
    drawn, axes = figure(4.3, 0.42 * len(rows) + 0.85, left=0.15, right=0.15, bottom=0.6, top=0.15)
    contrasts(axes, rows, looks=draw.looks, xlabel="hazard ratio (below 1: lower hazard), log scale", xlim=xlim)
    return draw.figure(
        drawn,
        title="Hazard ratios within studies, across studies and combined",
        caption="Point: posterior median; line: 95 % interval.",
    )


def _forest_rows(of: Material) -> pd.DataFrame:
    """Arms under their treatment, then the overall lines; texts of the columns beside the plot included."""
    spec, nothing = (
        of.spec,
        dict.fromkeys(("n", "median", "low", "high", "printed", "printed_low", "printed_high"), np.nan),
    )
    rows: list[dict[str, Any]] = []
    for treatment in spec.treatments.names:
        mine = of.arms[of.arms["treatment"] == treatment] if len(of.arms) else of.arms
        if len(mine):
            rows.append({**nothing, "kind": "heading", "treatment": treatment, "label": treatment_text(treatment)})
        for row in mine.to_dict("records"):
            rows.append({**row, "kind": "arm", "label": f"{row['study']}: {row['arm']}"})
    if len(of.overall):
        rows.append({**nothing, "kind": "heading", "treatment": spec.treatments.reference, "label": "Overall"})
    for row in of.overall.to_dict("records"):
        who = {"average": "average study", "hospital": "one new hospital"}[row["kind"]]
        rows.append({**nothing, **row, "label": f"{treatment_text(row['treatment'])}, {who}"})
    return pd.DataFrame([{**row, **_forest_texts(of, row)} for row in rows])


def _forest_texts(of: Material, row: Mapping[str, Any]) -> dict[str, str]:
    if row["kind"] == "heading":
        return dict.fromkeys(("text_model", "text_printed", "text_n"), "")
    digits, cap = _forest_digits(of)
    model = estimate((row["median"], row["low"], row["high"]), digits=digits, cap=cap)
    printed = ""
    if np.isfinite(row["printed"]):
        printed = number(row["printed"], digits)
        if np.isfinite(row["printed_low"]):
            high = number(row["printed_high"], digits) if np.isfinite(row["printed_high"]) else "not reached"
            printed += f" ({number(row['printed_low'], digits)} to {high})"
    size = f"{row['n']:.0f}" if np.isfinite(row["n"]) else ""
    return {"text_model": model, "text_printed": printed, "text_n": size}


def _forest_digits(of: Material) -> tuple[int, float]:
    return (DIGITS[of.spec.time_unit], 10 * of.spec.horizon) if _measure(of) == "median" else (2, np.inf)


def _measure(of: Material) -> str:
    return str(of.arms["measure"].iloc[0]) if len(of.arms) else "survival"


def _forest_label(of: Material) -> str:
    if _measure(of) == "median":
        return f"median of {event_words(of.spec.endpoint)[1]} ({of.spec.time_unit}), log scale"
    return f"{event_words(of.spec.endpoint)[1]} at {time_text(of.spec, of.spec.reference_time)} (proportion)"


def _forest_figure(draw: Drawing) -> list[Html]:
    """The same rows twice: labels beside the plot on a wide screen, above their lines on a narrow one."""
    from bayes_bm.plots.forest import forest
    from bayes_bm.plots.style import figure

    rows, log = _forest_rows(draw.of), _measure(draw.of) == "median"
    xlim = (0.0, 1.0)
    if log:
        ends = rows[["low", "high", "printed"]].to_numpy(dtype=float)
        xlim = (max(0.5, 0.85 * float(np.nanmin(ends))), min(1.1 * float(np.nanmax(ends)), 3 * draw.of.spec.horizon))
    title = f"Forest plot of study arms: {_forest_label(draw.of)}"
    settings = {"looks": draw.looks, "xlabel": _forest_label(draw.of), "xlim": xlim, "log": log}
    wide, axes = figure(10.9, 0.27 * len(rows) + 0.95, left=4.7, right=3.0, bottom=0.5, top=0.2)
    forest(axes, rows, beside=True, columns={"model (95 %)": "text_model", "printed": "text_printed"}, **settings)
    slim, axes = figure(4.0, 0.40 * len(rows) + 0.85, left=0.12, right=0.15, bottom=0.5, top=0.15)
    forest(axes, rows, beside=False, **settings)
    return [draw.figure(wide, title=title, cls="wide"), draw.figure(slim, title=f"{title} (narrow)", cls="narrow")]


def _arm_figures(draw: Drawing) -> list[Html]:
    """A panel for each study arm, in the order of treatments."""
    of, order = draw.of, list(draw.of.spec.treatments.names)
    arms = of.result.evidence.arms
    rows = sorted(range(len(arms)), key=lambda row: (order.index(arms["treatment"].iloc[row]), row))
    return [_arm_figure(draw, row) for row in rows]


def _arm_figure(draw: Drawing, row: int) -> Html:
    from bayes_bm.plots.curves import arm_panel
    from bayes_bm.plots.style import figure, wrapped

    of, spec = draw.of, draw.of.spec
    arm, seen = of.result.evidence.arms.iloc[row], of.observed[row]
    limit = max(spec.horizon, 1.05 * seen.last)
    treatment = str(arm["treatment"])
    drawn, axes = figure(3.6, 2.95, left=0.62, right=0.14, bottom=0.86, top=0.42)
    arm_panel(
        axes,
        band=of.bands[of.bands["arm_row"] == row],
        look=draw.looks[treatment],
        until=of.until.get(treatment, np.nan),
        unit=spec.time_unit,
        limit=limit,
        ylabel="proportion",
        steps=_cut(seen.steps, limit),
        ticks=_cut(seen.ticks, limit),
        printed=seen.printed,
        at_risk=seen.at_risk,
        title=wrapped(str(arm["study"]), 42, lines=2),
    )
    size = f", n = {arm['n']:.0f}" if np.isfinite(arm["n"]) else ""
    caption = f"{arm['arm']} ({treatment_text(treatment)}{size})"
    return draw.figure(drawn, title=f"{arm['study']}: {arm['arm']}, observed and predicted", caption=caption)


def _cut(table: pd.DataFrame | None, limit: float) -> pd.DataFrame | None:
    """Rows up to the end of the axis, which the axes' own clipping would hide but the file would carry."""
    if table is None or (table["time"] <= limit).all():
        return table
    inside = table[table["time"] <= limit]
    return pd.concat([inside, inside.tail(1).assign(time=limit)]) if "survival" in table and len(inside) else inside


def _arm_legend(draw: Drawing) -> Html:
    from bayes_bm.plots.curves import arm_legend
    from bayes_bm.plots.style import figure

    drawn, axes = figure(4.0, 0.95, left=0.05, right=0.05, bottom=0.02, top=0.02)
    axes.set_axis_off()
    axes.legend(handles=arm_legend(), loc="center left", ncols=2, borderaxespad=0.0)
    return draw.figure(drawn, title="Legend of the panels")


def _treatment_figures(
    draw: Drawing,
    curves: pd.DataFrame,
    differences: pd.DataFrame,
    *,
    wider: pd.DataFrame | None,
    alive_at: float = 0.0,
    who: str,
) -> list[Html]:
    """For each compared treatment its curve beside the reference's, and their difference."""
    figures = []
    for treatment in draw.of.spec.treatments.compare:
        figures.append(_curves_figure(draw, curves, treatment, alive_at=alive_at, who=who))
        mine = differences[differences["treatment"] == treatment]
        far = None if wider is None else wider[wider["treatment"] == treatment]
        figures.append(_difference_figure(draw, mine, far, treatment, who=who))
    return figures


def _curves_figure(draw: Drawing, curves: pd.DataFrame, treatment: str, *, alive_at: float, who: str) -> Html:
    from bayes_bm.plots.curves import treatment_curves
    from bayes_bm.plots.style import figure, legend_below

    of, spec = draw.of, draw.of.spec
    names = {name: treatment_text(name) for name in (spec.treatments.reference, treatment)}
    given = f", given alive at {time_text(spec, alive_at)}" if alive_at else ""
    drawn, axes = figure(4.6, 3.6, left=0.66, right=0.14, bottom=0.95, top=0.34)
    treatment_curves(
        axes,
        curves,
        looks=draw.looks,
        names=names,
        until={name: of.until.get(name, np.nan) for name in names},
        **{"unit": spec.time_unit, "limit": spec.horizon, "alive_at": alive_at},
        ylabel=f"{event_words(spec.endpoint)[1]} (proportion)",
        title=f"{who}{given}",
    )
    legend_below(axes, offset=0.24)
    title = f"{who}: {' and '.join(names.values())}{given}"
    caption = (
        f"Line: posterior median; band: 95 % interval{given}. Dashed and hatched: beyond the treatment's follow-up."
    )
    return draw.figure(drawn, title=title, caption=caption)


def _difference_figure(
    draw: Drawing, mine: pd.DataFrame, far: pd.DataFrame | None, treatment: str, *, who: str
) -> Html:
    from bayes_bm.plots.curves import difference_curve
    from bayes_bm.plots.style import figure, legend_below

    of, spec = draw.of, draw.of.spec
    reference = spec.treatments.reference
    ends = [of.until.get(name, np.nan) for name in (treatment, reference)]
    drawn, axes = figure(4.6, 3.6, left=0.76, right=0.14, bottom=0.95, top=0.34)
    contrast = f"{treatment_text(treatment)} − {treatment_text(reference)}"
    difference_curve(
        axes,
        mine,
        wider=far,
        look=draw.looks[treatment],
        until=min(ends) if np.isfinite(ends).all() else np.nan,
        **{"unit": spec.time_unit, "limit": spec.horizon},
        ylabel="difference of proportions",
        label=f"{who}, 95 % band",
        wider_label="one new hospital, 95 %",
        title=contrast,
    )
    legend_below(axes, offset=0.24, columns=1)
    return draw.figure(
        drawn, title=f"{who}: difference {contrast}", caption="Above 0: more are event-free with the first named."
    )


def _parameter_figures(draw: Drawing) -> list[Html]:
    from bayes_bm.plots.posterior import prior_posterior
    from bayes_bm.plots.style import figure, legend_below

    figures = []
    for row in draw.of.parameters:
        drawn, axes = figure(3.6, 2.35, left=0.3, right=0.14, bottom=0.72, top=0.34)
        values = _draws_of(draw.of.result.posterior, row["parameter"])
        posterior, prior = density_tables(values, row["prior"])
        prior_posterior(
            axes, posterior=posterior, prior=prior, xlabel=str(row["parameter"]), title=str(row["parameter"])
        )
        legend_below(axes, offset=0.36)
        axes.set_xlabel("")
        figures.append(draw.figure(drawn, title=f"Prior and posterior of {row['parameter']}"))
    return figures


def _draws_of(posterior: xr.Dataset, parameter: str) -> np.ndarray:
    """Draws of a top-level parameter by its label, `name` or `name[entry]`."""
    name, _, entry = parameter.removesuffix("]").partition("[")
    if not entry:
        return posterior[name].values.ravel()
    extra = next(dim for dim in posterior[name].dims if dim not in ("chain", "draw"))
    return posterior[name].sel({extra: entry}).values.ravel()


def density_tables(values: np.ndarray, prior: Any, *, bins: int = 40) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Posterior histogram and prior density over a range that shows nearly all of both."""
    law = scipy_law(prior)
    low = min(float(np.min(values)), float(law.ppf(0.005)))
    high = max(float(np.max(values)), float(law.ppf(0.995)))
    density, edges = np.histogram(values, bins=np.linspace(low, high, bins + 1), density=True)
    grid = np.linspace(low, high, 161)
    posterior = pd.DataFrame({"left": edges[:-1], "right": edges[1:], "density": density})
    return posterior, pd.DataFrame({"value": grid, "density": law.pdf(grid)})


def _rank_figures(draw: Drawing) -> list[Html]:
    from bayes_bm.plots.posterior import rank_plot
    from bayes_bm.plots.style import figure

    figures = []
    for name, table in draw.of.ranks.items():
        bins = int((table["chain"] == table["chain"].iloc[0]).sum())
        expected = float(table["count"].sum()) / len(table)
        per_chain = expected * bins
        low, high = stats.binom.ppf([0.025, 0.975], per_chain, 1 / bins)
        drawn, axes = figure(3.6, 2.1, left=0.55, right=0.14, bottom=0.5, top=0.34)
        rank_plot(axes, table, expected=expected, low=float(low), high=float(high), title=str(name))
        figures.append(draw.figure(drawn, title=f"Rank plot of {name}"))
    return figures


# ---------------------------------------------------------------------------------------------- sections

SECTIONS = (
    ("answer", "Answer"),
    ("contrasts", "Within studies, across studies, combined"),
    ("answers", "Table of answers"),
    ("forest", "Study arms"),
    ("fit", "Observed and predicted, arm by arm"),
    ("curves", "Curves of the treatments"),
    ("patient", "One patient"),
    ("audit", "Audit of the evidence"),
    ("reconciliation", "Reconciliation: printed, reconstructed, predicted"),
    ("diagnostics", "Diagnostics and priors"),
    ("limits", "What this cannot say"),
    ("provenance", "Provenance"),
)


def render(of: Material) -> str:
    """The whole page. The same material gives the same bytes."""
    draw = Drawing(of)
    bodies = {
        "answer": _answer_section(of),
        "contrasts": _contrast_section(draw),
        "answers": _answers_section(of),
        "forest": _forest_section(draw),
        "fit": _fit_section(draw),
        "curves": _curves_section(draw),
        "patient": _patient_section(draw),
        "audit": _audit_section(of),
        "reconciliation": _reconciliation_section(of),
        "diagnostics": _diagnostics_section(draw),
        "limits": _limits_section(of),
        "provenance": _provenance_section(of),
    }
    sections = [el("section", el("h2", title, _tags(of)), bodies[name], id=name) for name, title in SECTIONS]
    contents = el(
        "nav",
        el("ol", *(el("li", el("a", title, href=f"#{name}")) for name, title in SECTIONS)),
        **{"aria-label": "Contents"},
    )
    main = el("main", _header(of), _banners(of), contents, *sections)
    style = resources.files("bayes_bm").joinpath("report.css").read_text(encoding="utf-8")
    head = el(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        el("title", of.spec.question),
        el("style", Html(style)),
    )
    return f"<!DOCTYPE html>\n{el('html', head, el('body', main), lang='en')}\n"


def _header(of: Material) -> list[Html]:
    spec, made = of.spec, str(of.result.provenance.get("made", "time unknown"))
    _, curve = event_words(spec.endpoint)
    reference = treatment_text(spec.treatments.reference)
    compared = ", ".join(treatment_text(name) for name in spec.treatments.compare)
    meta = f"{spec.name} · {curve} · {compared} against {reference} · time in {spec.time_unit} · {spec.hazard.family} hazards · fitted {made}"
    return [el("h1", spec.question), el("p", meta, cls="meta")]


def _banners(of: Material) -> list[Html]:
    banners = []
    if of.refused:
        reasons = [el("p", reason) for reason in of.refused]
        banners.append(
            el(
                "div",
                el("p", "A gate failed and was overridden by name. Nothing below may be relied on."),
                *reasons,
                cls="banner",
                role="alert",
            )
        )
    if of.spec.reproduction:
        text = f"{TWICE} The evidence is the printed summary of one analysis; it checks the model, and adds nothing to that analysis."
        banners.append(el("div", el("p", text), cls="banner twice", role="note"))
    return banners


def _tags(of: Material) -> list[Html]:
    tags = [el("span", "gate failed", cls="tag")] if of.refused else []
    return [*tags, *([el("span", "reproduction", cls="tag twice")] if of.spec.reproduction else [])]


def note(*parts: Part) -> Html:
    return el("p", *parts, cls="note")


def _answer_section(of: Material) -> list[Part]:
    sentences = answer_sentences(of)
    parts: list[Part] = [el("div", *(el("p", sentence) for sentence in sentences), cls="answer")]
    if len(of.spec.treatments.compare) > 1:
        parts.append(_short_answers(of))
    if of.spec.external_checks:
        parts += [el("h3", "Published numbers beside ours"), external_table(of)]
    return parts


def _short_answers(of: Material) -> Html:
    """One line a treatment: its hazard ratio, difference of survival for a study and for a hospital, and what it rests on."""
    spec = of.spec
    at = spec.reference_time if spec.reference_time in spec.answer_times else spec.answer_times[0]

    def difference(who: str) -> Callable[[Mapping[str, Any]], str]:
        def text(row: Mapping[str, Any]) -> str:
            return (
                of_row(spec, of.answer(who, "survival_difference", row["treatment"], time=at))
                if of.absolute
                else MISSING
            )

        return text

    def rests_on(row: Mapping[str, Any]) -> str:
        within = of.source(row["treatment"], "within")
        return NO_SIDE_BY_SIDE if within is None else f"{_count(int(within['studies']), 'study')} side by side"

    rows = [of.ratio_row("average-study", name) for name in spec.treatments.compare]
    columns = [
        named_treatment("treatment"),
        Column("hazard ratio (95 %)", ratio, "num"),
        Column("P(HR < 1)", lambda row: probability(row["prob_better"]), "num"),
        Column(f"difference at {time_text(spec, at)}, new study", difference("new-study"), "num"),
        Column("in one new hospital", difference("new-hospital"), "num"),
        Column("hazard", lambda row: {"unclear": "no clear difference"}.get(verdict(row), verdict(row)), "keep"),
        Column("compared in", rests_on),
        plain("mark", "label"),
    ]
    return html_table(rows, columns, caption=f"Against {treatment_text(spec.treatments.reference)}")


def external_table(of: Material) -> Html:
    """Published numbers that are no evidence here, beside ours, with the ratio ours / published."""
    rows = [external_row(of, check) for check in of.spec.external_checks]
    columns = [
        plain("quantity", "quantity"),
        plain("published", "published", "num"),
        plain("ours (95 %)", "ours", "num"),
    ]
    columns += [
        plain("ours / published", "ratio", "num"),
        plain("source", "source", "words"),
        plain("note", "note", "words"),
    ]
    words = "Hazard ratios and P are of the average study, medians and survival of a new study."
    if not of.spec.reproduction:
        words += " The published numbers are not evidence in this analysis."
    return el("div", html_table(rows, columns), note(words))


def external_row(of: Material, check: Any) -> dict[str, str]:
    spec = of.spec
    treatment = treatment_text(check.treatment)
    against = f"{treatment} v {treatment_text(check.reference or spec.treatments.reference)}"
    digits = DIGITS[spec.time_unit] if check.estimand == "median" else 3 if check.estimand == "p_value" else 2
    published = number(check.value, digits)
    if check.ci_low is not None and check.ci_high is not None:
        published += f" ({number(check.ci_low, digits)} to {number(check.ci_high, digits)})"
    named = {"published": published, "source": check.source, "note": check.note}
    if check.estimand == "p_value":
        row = of.ratio_row("average-study", check.treatment)
        return {
            **named,
            "quantity": f"p value, {against}",
            "ours": probability_clause(row["prob_better"]),
            "ratio": MISSING,
        }
    row, quantity = _external_ours(of, check, treatment, against)
    if row is None:
        return {**named, "quantity": quantity, "ours": MISSING, "ratio": MISSING}
    return {**named, "quantity": quantity, "ours": of_row(spec, row), "ratio": number(row["median"] / check.value, 2)}


def _external_ours(of: Material, check: Any, treatment: str, against: str) -> tuple[dict[str, Any] | None, str]:
    """The row of ours that answers a published number; None where ours does not answer it."""
    spec = of.spec
    if check.estimand == "hazard_ratio":
        turned = (
            check.treatment == spec.treatments.reference
            or (check.reference or spec.treatments.reference) != spec.treatments.reference
        )
        return (None if turned else of.ratio_row("average-study", check.treatment)), f"hazard ratio, {against}"
    time = check.time if check.estimand == "survival" else None
    when = f" at {time_text(spec, time)}" if time is not None else ""
    answered = of.absolute and (time is None or any(_same_time(time, at) for at in spec.answer_times))
    unit = f" ({spec.time_unit})" if check.estimand == "median" else ""
    row = of.answer("new-study", check.estimand, check.treatment, time=time) if answered else None
    return row, f"{check.estimand}{when}, {treatment}{unit}"


SOURCE_WORDS = {
    "within": "within studies",
    "across": "across studies",
    "combined": "combined (the answer)",
    "discrepancy": "ratio within / across",
}


def _contrast_section(draw: Drawing) -> list[Part]:
    of = draw.of
    reference = treatment_text(of.spec.treatments.reference)
    rows = [
        {**row, "group": f"{treatment_text(row['treatment'])} v {reference}"} for row in of.contrasts.to_dict("records")
    ]
    columns = [
        Column("source", lambda row: SOURCE_WORDS.get(row["source"], row["source"]), "keep"),
        Column("studies", lambda row: number(row["studies"], 0), "num"),
        Column("hazard ratio (95 %)", source_text, "num"),
        Column("P(HR < 1)", lambda row: probability(row["prob_better"]), "num"),
        Column(
            "log HR, mean (sd)",
            lambda row: f"{number(row['mean'], 2)} ({number(row['sd'], 2)})" if np.isfinite(row["hr"]) else MISSING,
            "num",
        ),
        plain("remark", "note", "words"),
    ]
    explain = (
        "Within: only studies that hold both treatments, each with a level and shape of its own. Across: every arm taken as a"
        " study by itself. Combined: the model of this report. The last row of each block compares the first two; 1 is agreement."
    )
    table = html_table(rows, columns, group="group")
    return [el("p", explain), el("div", table, _contrast_figure(draw), cls="pair"), note(*reference_remark(of.spec))]


def source_text(row: Mapping[str, Any]) -> str:
    """A ratio with its interval, or the words that stand where there is none (rule 12)."""
    if np.isfinite(row["hr"]):
        return _source_ratio(row)
    return NO_SIDE_BY_SIDE if row["source"] in ("within", "discrepancy") else MISSING


def reference_remark(spec: Spec) -> list[Part]:
    """Rule 10: another reference is another model."""
    reference = treatment_text(spec.treatments.reference)
    if spec.effects.study_treatment is None:
        return ["No study-by-treatment effect is in this model, so the choice of reference changes no answer."]
    text = (
        f"The study-by-treatment effect is zero for the reference ({reference}) in every study, so another reference would be"
        " another model, not another view of this one (rule 10)."
    )
    if "reference_swapped" not in spec.sensitivity:
        return [text]
    return [text, " To see what it changes: ", el("code", fit_command(spec, "reference_swapped")), "."]


ESTIMANDS = (
    "hazard_ratio",
    "survival",
    "survival_difference",
    "median",
    "median_difference",
    "rmst",
    "rmst_difference",
)


def _answers_section(of: Material) -> list[Part]:
    rows = answer_rows(of)
    columns = [
        Column("treatment", lambda row: row["name"], "keep"),
        *(Column(WHO_WORDS[who], lambda row, who=who: row[who], "num") for who in WHO),
        Column("P(better), average study / new study / new hospital", lambda row: row["better"], "num"),
        plain("mark", "label"),
    ]
    words = [
        "Posterior median with 95 % interval. P(better) is P(HR < 1) or P(difference > 0). A new study is the average over the",
        " population of studies, and its interval is the uncertainty of that average; the wider interval of one new hospital is",
        " what a single place may see. A hazard ratio of a new study is marginal and carries its time.",
        " Extrapolated: beyond the last time any row speaks about the treatment.",
    ]
    return [html_table(rows, columns, group="group"), note(*words)]


def answer_rows(of: Material) -> list[dict[str, str]]:
    """One row an estimand, time and treatment, with the text of each `who` side by side."""
    spec = of.spec
    tables = {who: table[table["estimand"].isin(ESTIMANDS)] for who, table in of.answers.items()}
    cells: dict[tuple, dict[str, Any]] = {}
    for who, table in tables.items():
        for row in table.to_dict("records"):
            time = float(row["time"]) if row["time"] is not None and np.isfinite(row["time"]) else -1.0
            cells.setdefault((ESTIMANDS.index(row["estimand"]), time, row["treatment"]), {})[who] = row
    order = {name: at for at, name in enumerate(spec.treatments.names)}
    keys = sorted(cells, key=lambda key: (key[0], key[1], order[key[2]]))
    return [_answer_row(spec, key, cells[key]) for key in keys]


def _answer_row(spec: Spec, key: tuple, found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    first = next(iter(found.values()))
    compared = isinstance(first["reference"], str)
    name = treatment_text(first["treatment"]) + (f" v {treatment_text(first['reference'])}" if compared else "")
    better = (
        " / ".join(probability(found[who]["prob_better"]) if who in found else MISSING for who in WHO)
        if compared
        else ""
    )
    labels = dict.fromkeys(mark for row in found.values() for mark in str(row["label"] or "").split("; ") if mark)
    texts = {who: of_row(spec, found[who]) if who in found else MISSING for who in WHO}
    return {
        "group": _estimand_title(spec, ESTIMANDS[key[0]], key[1]),
        "name": name,
        **texts,
        "better": better,
        "label": "; ".join(labels),
    }


def _estimand_title(spec: Spec, estimand: str, time: float) -> str:
    _, curve = event_words(spec.endpoint)
    when = f" at {time_text(spec, time)}" if time > 0 else ""
    titles = {
        "hazard_ratio": f"Hazard ratio{when}" + (", marginal" if time > 0 else ", conditional"),
        "survival": f"{curve.capitalize()}{when} (proportion)",
        "survival_difference": f"Difference of {curve}{when} (proportion)",
        "median": f"Median ({spec.time_unit})",
        "median_difference": f"Difference of medians ({spec.time_unit})",
        "rmst": f"Restricted mean to {time_text(spec, time)} ({spec.time_unit})",
        "rmst_difference": f"Difference of restricted means to {time_text(spec, time)} ({spec.time_unit})",
    }
    return titles[estimand]


def _forest_section(draw: Drawing) -> list[Part]:
    of = draw.of
    if of.arms.empty:
        return [el("p", "No study arm has absolute evidence: only hazard ratios inform this model.")]
    words = (
        "Each arm's own posterior (filled marker, sized by patients; line: 95 % interval), given what it printed and what the"
        " other studies say. Hollow diamond: the printed number, or the Kaplan-Meier one where patients are known, with its"
        " printed interval. Bold line: average study; dotted: one new hospital. An arrow leads beyond the axis."
    )
    columns = [
        plain("", "label", "words"),
        plain("patients", "text_n", "num"),
        plain("model (95 %)", "text_model", "num"),
        plain("printed", "text_printed", "num"),
    ]
    rows = _forest_rows(of)
    table = html_table(rows[rows["kind"] != "heading"], columns, caption=_forest_label(of))
    return [el("p", words), *_forest_figure(draw), el("details", el("summary", "The numbers"), table)]


def _fit_section(draw: Drawing) -> list[Part]:
    of = draw.of
    if of.bands.empty:
        return [el("p", "No study arm has absolute evidence.")]
    words = (
        "What each arm printed, or the Kaplan-Meier curve of its patients, against what the fitted model predicts that such an"
        " arm would print again, its size and censoring included: a printed number outside the 95 % band is a misfit. Hatched and"
        f" dashed: beyond the treatment's follow-up. Time runs to {time_text(of.spec, of.spec.horizon)}, further where a number is printed later."
    )
    return [el("p", words), _arm_legend(draw), el("div", *_arm_figures(draw), cls="grid")]


def _curves_section(draw: Drawing) -> list[Part]:
    of = draw.of
    if of.curves is None or of.differences is None:
        return [el("p", "Curves need a level: study levels are free here and no baseline is given (rule 11).")]
    words = "Averaged over the population of studies (a new study); the difference also with the wider interval of one new hospital."
    figures = _treatment_figures(draw, of.curves, of.differences, wider=of.wider, who="new study")
    return [el("p", words), el("div", *figures, cls="grid")]


def _patient_section(draw: Drawing) -> list[Part]:
    of, patient = draw.of, draw.of.patient
    command = el(
        "pre", el("code", f"bayes-bm predict {of.spec.name}.nc --patient name=value,... --times 6,12,24 --alive-at 0")
    )
    if patient is None:
        return [el("p", "No patient was asked about. One is asked about with"), command]
    parts: list[Part] = [el("p", patient_sentence(of, patient)), _patient_table(of, patient)]
    if patient.curves is not None and patient.differences is not None:
        figures = _treatment_figures(
            draw, patient.curves, patient.differences, wider=None, alive_at=patient.alive_at, who="the patient"
        )
        parts.append(el("div", *figures, cls="grid"))
    return parts


def patient_sentence(of: Material, patient: PatientAnswer) -> str:
    """Who is asked about, and which of the coefficients behind the answer no data inform."""
    known, prior_only = of.spec.covariates, {row["parameter"] for row in of.parameters if row["prior_only"]}
    named = [
        f"{name} = {value:g}{f' {known[name].unit}' if known[name].unit else ''}"
        for name, value in patient.values.items()
    ]
    left = [f"{name} = {term.centre:g}" for name, term in known.items() if name not in patient.values]
    text = f"A patient with {', '.join(named)}" if named else "A patient at the centre of every covariate"
    text += f" (not given, at their centre: {', '.join(left)})" if left and named else ""
    text += f", alive at {time_text(of.spec, patient.alive_at)}; times count from time 0" if patient.alive_at else ""
    text += (
        ", in a new study."
        if known
        else ", in a new study. This model has no covariates, so nothing about the patient enters."
    )
    silent = [name for name in patient.values if f"coefficient[{name}]" in prior_only]
    if silent:
        text += f" Prior only: no evidence here informs the coefficient of {', '.join(silent)}; their part of the answer is the prior's."
    return text + " The difference between treatments is an average of groups; nothing here recommends a treatment."


def _patient_table(of: Material, patient: PatientAnswer) -> Html:
    spec = of.spec
    _, curve = event_words(spec.endpoint)
    titles = {"survival": curve, "median": "median", "rmst": "restricted mean"}

    def what(row: Mapping[str, Any]) -> str:
        name = str(row["estimand"]).removesuffix("_difference")
        unit = "" if name == "survival" else f" ({spec.time_unit})"
        when = f" {'to' if name == 'rmst' else 'at'} {time_text(spec, row['time'])}" if pd.notna(row["time"]) else ""
        return f"{'difference of ' if str(row['estimand']).endswith('_difference') else ''}{titles[name]}{when}{unit}"

    def interval(row: Mapping[str, Any]) -> str:
        return of_row(spec, {**row, "q2_5": row["q5"], "q97_5": row["q95"]})

    columns = [
        Column("quantity", what),
        Column(
            "treatment",
            lambda row: (
                treatment_text(row["treatment"])
                + (f" v {treatment_text(row['reference'])}" if isinstance(row["reference"], str) else "")
            ),
            "keep",
        ),
        Column("median (90 %)", interval, "num"),
        Column(
            "P(better)", lambda row: probability(row["prob_better"]) if isinstance(row["reference"], str) else "", "num"
        ),
        plain("mark", "label"),
    ]
    return html_table(patient.table, columns, caption="Posterior median with 90 % interval, as in `bayes-bm predict`")


def _audit_section(of: Material) -> list[Part]:
    audit, unit = of.audit, of.spec.time_unit
    rows = [
        plain("kind", "kind", "keep"), plain("study", "study"), plain("arm", "arm"), named_treatment("treatment"),
        numeric("effective size", "size", 0), numeric(f"speaks until ({unit})", "until", DIGITS[unit]), plain("informs", "informs", "words"),
    ]  # fmt: skip
    treatments = [
        named_treatment("treatment"), numeric("studies", "studies", 0), numeric("arms", "arms", 0),
        numeric("effective patients", "size", 0), numeric(f"follow-up ({unit})", "until", DIGITS[unit]),
    ]  # fmt: skip
    sides = [
        named_treatment("treatment"),
        named_treatment("against", "reference"),
        numeric("studies", "studies", 0),
        plain("side by side in", "side_by_side", "words"),
    ]
    aside = [
        plain("kind", "kind", "keep"),
        plain("study", "study"),
        plain("arm", "arm"),
        plain("reason", "reason", "words"),
    ]
    return [
        el("ul", *(el("li", text) for text in audit.notes)) if audit.notes else None,
        html_table(audit.treatments, treatments, caption="Treatments"),
        html_table(audit.contrasts, sides, caption="Contrasts held side by side within a study"),
        html_table(
            audit.rows,
            rows,
            caption="Rows in use and what each informs; effective size in patients, for a hazard ratio in events",
        ),
        html_table(audit.set_aside, aside, caption="Set aside, and why")
        if len(audit.set_aside)
        else el("p", "Nothing was set aside."),
    ]


STATUS_WORDS = {"green": "agrees", "amber": "strained", "red": "contradicts"}


def _reconciliation_section(of: Material) -> list[Part]:
    table = of.reconciliation
    counts = {name: int((table["status"] == name).sum()) for name in STATUS_WORDS}
    summary = "; ".join(f"{counts[name]} {words}" for name, words in STATUS_WORDS.items() if counts[name])
    columns = [
        Column(
            "", lambda row: el("span", STATUS_WORDS.get(row["status"], row["status"]), cls=f"status {row['status']}")
        ),
        plain("study", "study"),
        plain("arm", "arm"),
        plain("quantity", "quantity"),
        Column("printed", lambda row: _reconciled(of, row, "printed"), "num"),
        Column("reconstructed", lambda row: number(row["reconstructed"], _digits_for(of, row)), "num"),
        Column("predicted (95 % for the printed number)", lambda row: _reconciled(of, row, "predicted"), "num"),
        Column("p", lambda row: probability(row["p"]), "num"),
    ]
    words = (
        f"Every printed number beside what was rebuilt from it and what the model predicts: {summary or 'no rows'}. p is two-sided and"
        " posterior predictive, the printed number's own sampling error included: strained below 0.05, contradicts below 0.001."
    )
    contradicted = (
        el("p", "Printed numbers contradict the model; the report would have stopped here.") if counts["red"] else None
    )
    numbers = [
        "time",
        "printed",
        "printed_low",
        "printed_high",
        "reconstructed",
        "predicted",
        "predicted_low",
        "predicted_high",
        "p",
    ]
    clean = table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in numbers})
    colour = {"amber": "amber", "red": "red"}
    return [el("p", words), contradicted, html_table(clean, columns, row_class=lambda row: colour.get(row["status"]))]


def _digits_for(of: Material, row: Mapping[str, Any]) -> int:
    if row["quantity"] == "median" or str(row["quantity"]).startswith("median not"):
        return DIGITS[of.spec.time_unit]
    return 1 if row["kind"] == "counts" else 2


def _reconciled(of: Material, row: Mapping[str, Any], name: str) -> str:
    digits, ends = _digits_for(of, row), (row[f"{name}_low"], row[f"{name}_high"])
    if not np.isfinite(ends[0]):
        return number(row[name], digits)
    high = number(ends[1], digits) if np.isfinite(ends[1]) and ends[1] < 1e5 else "not reached"
    return f"{number(row[name], digits)} ({number(ends[0], digits)} to {high})"


def _diagnostics_section(draw: Drawing) -> list[Part]:
    of = draw.of
    gate = of.result.gate
    first = (
        f" The first try failed ({'; '.join(gate.first_try)}) and was repeated once at a higher target acceptance."
        if gate.first_try
        else ""
    )
    words = (
        f"The convergence gate {gate.state}: {gate.divergences} divergences in {gate.draws} draws (allowed {MAX_DIVERGENT:.1%}), smallest E-BFMI"
        f" {gate.min_bfmi:.2f} (above {MIN_BFMI}), target acceptance {gate.target_accept:g}.{first}"
    )
    columns = [
        plain("parameter", "parameter", "keep"),
        numeric(f"R-hat (below {MAX_RHAT})", "rhat", 3),
        numeric(f"bulk ESS (at least {MIN_ESS})", "ess_bulk", 0),
        numeric(f"tail ESS (at least {MIN_ESS})", "ess_tail", 0),
    ]
    reasons = el("ul", *(el("li", reason) for reason in gate.reasons)) if gate.reasons else None
    return [
        el("p", words),
        reasons,
        html_table(list(gate.rows), columns, caption="Rank R-hat and effective sample sizes"),
        el(
            "details",
            el("summary", "Rank plots: chains that mix stay near the grey band"),
            el("div", *_rank_figures(draw), cls="grid"),
        ),
        el("h3", "Heterogeneity between studies"),
        heterogeneity(of),
        el("h3", "Priors, and what the evidence did to them"),
        _prior_table(of),
        el("div", *_parameter_figures(draw), cls="grid"),
    ]


MEDIAN_RATIO = float(np.sqrt(2) * stats.norm.ppf(0.75))
"""Two normal effects of sd s differ by 0.954 s in the median: exp of it is the median hazard ratio (Larsen and Merlo 2005)."""


def heterogeneity(of: Material) -> Html:
    """Standard deviations between studies, and what they mean as ratios."""
    words = {
        "study_sd": "hazards of two studies, same treatment",
        "study_treatment_sd": "hazard ratios of two studies",
        "study_shape_sd": "shapes of two studies",
    }
    rows = [{**row, "meaning": words[row["parameter"]]} for row in of.parameters if row["parameter"] in words]
    if not rows:
        return el("p", "No effect that varies between studies is in this model.")

    def typical(row: Mapping[str, Any]) -> str:
        return estimate([float(np.exp(MEDIAN_RATIO * row[name])) for name in ("median", "q2_5", "q97_5")], digits=2)

    columns = [
        plain("parameter", "parameter", "keep"),
        Column(
            "sd on the log scale (95 %)",
            lambda row: estimate((row["median"], row["q2_5"], row["q97_5"]), digits=2),
            "num",
        ),
        plain("typically differ:", "meaning"),
        Column("by a factor of (95 %)", typical, "num"),
    ]
    return html_table(rows, columns)


def _prior_table(of: Material) -> Html:
    columns = [
        plain("parameter", "parameter", "keep"),
        Column("prior", lambda row: describe(row["prior"])),
        Column("posterior (95 %)", lambda row: estimate((row["median"], row["q2_5"], row["q97_5"]), digits=2), "num"),
        Column("sd posterior / prior", lambda row: number(row["sd"] / row["prior_sd"], 2), "num"),
        Column("informed by", lambda row: "prior only" if row["prior_only"] else "data and prior", "keep"),
        Column("why this prior", lambda row: row["prior"].why, "words"),
    ]
    words = "Prior only: the posterior sd is at least 0.9 of the prior's, so the data said next to nothing (rule 17)."
    return el("div", html_table(list(of.parameters), columns), note(words))


def _limits_section(of: Material) -> list[Part]:
    spec = of.spec
    limits = [
        *spec.cannot_say,
        "It does not recommend a treatment. Patients were not allotted at random; who was operated on differs from who was irradiated, and that stays in every comparison."
        if not spec.cannot_say
        else "It does not recommend a treatment.",
        f"Averages are over the studies in the audit and the population they are thought to come from ({spec.effects.study is not None and 'study levels exchangeable' if not spec.free_levels else 'study levels free'}).",
        f"Nothing is said beyond {time_text(spec, spec.horizon)}, and what lies beyond a treatment's follow-up is extrapolated by the {spec.hazard.family} family.",
        "What the data cannot show (informative censoring, immortal time behind a lone median) is not corrected by any model here.",
    ]
    named = [
        el("li", el("code", fit_command(spec, name)), f" sets {', '.join(f'{key}' for key in patch)}")
        for name, patch in spec.sensitivity.items()
    ]
    parts: list[Part] = [el("ul", *(el("li", text) for text in limits))]
    parts.append(el("h3", "Sensitivity analyses named in the spec"))
    parts.append(el("ul", *named) if named else el("p", "None is named."))
    for key, (title, command) in ELSEWHERE.items():
        parts.append(el("h3", title))
        table = of.elsewhere.get(key)
        shown = (
            frame_table(table)
            if table is not None
            else el("p", "Not made yet. Made by: ", el("code", command.format(name=spec.name)))
        )
        parts.append(shown)
    for key in sorted(set(of.elsewhere) - set(ELSEWHERE)):
        parts += [el("h3", key.replace("_", " ").capitalize()), frame_table(of.elsewhere[key])]
    return parts


def frame_table(table: pd.DataFrame) -> Html:
    """A table made elsewhere, as it stands: numbers to three significant figures."""

    def text(value: Any) -> str:
        return (
            f"{value:.3g}"
            if isinstance(value, float) and np.isfinite(value)
            else MISSING
            if pd.isna(value)
            else str(value)
        )

    columns = [
        Column(str(name), lambda row, name=name: text(row[name]), "num" if table[name].dtype.kind in "fi" else None)
        for name in table
    ]
    return html_table(table, columns)


def fit_command(spec: Spec, sensitivity: str | None = None) -> str:
    """The command that makes the posterior again, or a named sensitivity analysis of it."""
    patch = f" --sensitivity {sensitivity}" if sensitivity else ""
    out = f"{spec.name}.{sensitivity}.nc" if sensitivity else f"{spec.name}.nc"
    return f"bayes-bm fit {spec.name}{patch} --out {out}"


def _provenance_section(of: Material) -> list[Part]:
    known = of.result.provenance
    settings = ("seed", "draws", "tune", "chains")
    flags = "".join(f" --{name} {known[name]}" for name in settings if name in known)
    commands = f"{fit_command(of.spec)}{flags}\nbayes-bm report {of.spec.name}.nc --out report.html"
    simple = {name: value for name, value in known.items() if not isinstance(value, Mapping)}
    items = [(name.replace("_", " "), str(value)) for name, value in simple.items()]
    versions = ", ".join(f"{name} {version}" for name, version in dict(known.get("versions", {})).items())
    items += [("versions", versions)] if versions else []
    files = [{"file": name, "digest": digest} for name, digest in dict(known.get("files", {})).items()]
    pairs = [part for name, value in items for part in (el("dt", name), el("dd", value))]
    columns = [plain("file", "file"), Column("sha256", lambda row: el("code", row["digest"]))]
    document = json.dumps(of.spec.document(), indent=2, ensure_ascii=False)
    return [
        el("dl", *pairs),
        html_table(files, columns, caption="Evidence files") if files else None,
        el("p", "Made again by:"),
        el("pre", el("code", commands)),
        el("details", el("summary", "The whole spec, as it was fitted"), el("pre", el("code", document))),
    ]


# ---------------------------------------------------------------------------------------------- entry


def refusal_reasons(result: Result, reconciliation: pd.DataFrame) -> tuple[str, ...]:
    """What stands against a report: a failed convergence gate, and printed numbers that contradict the model.

    A reproduction shows its contradictions instead of stopping at them: they are what it is made for (rule 9).
    """
    reasons = [] if result.gate.passed else [f"convergence gate failed: {'; '.join(result.gate.reasons)}"]
    red = reconciliation[reconciliation["status"] == "red"]
    if len(red) and not result.spec.reproduction:
        named = "; ".join(f"{row['study']}, {row['arm']}, {row['quantity']}" for row in red.to_dict("records"))
        reasons.append(f"reconciliation is red, printed and predicted contradict each other: {named}")
    return tuple(reasons)


def write_report(
    result: Result,
    path: str | Path,
    *,
    audit: Audit,
    reconciliation: pd.DataFrame,
    contrasts: pd.DataFrame,
    patient: Mapping[str, float] | None = None,
    patient_table: pd.DataFrame | None = None,
    alive_at: float = 0.0,
    allow_failed_gate: bool = False,
    elsewhere: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
    """Write the report whole, or not at all.

    `reconciliation` is `checks.reconcile.reconcile(result)`, `contrasts` `checks.contrasts.contrast_sources(result)`. `patient`
    holds covariates by name ({} is a patient at every centre); `patient_table` its rows of `predict` where they are made
    already. `elsewhere` holds tables of commands of their own: `sensitivity`, `leave_one_study_out`. Raises `GateRefused` where
    a gate failed, unless `allow_failed_gate`; the page then says so at its top, in every heading and under every figure.
    """
    reasons = refusal_reasons(result, reconciliation)
    if reasons and not allow_failed_gate:
        raise GateRefused(
            f"{result.spec.name}: no report; {' | '.join(reasons)}. Look into it, or say --allow-failed-gate"
        )
    material = gather(
        result,
        audit=audit,
        reconciliation=reconciliation,
        contrasts=contrasts,
        patient=patient,
        patient_table=patient_table,
        alive_at=alive_at,
        refused=reasons,
        elsewhere=elsewhere,
    )
    text = render(material)
    with written_whole(Path(path)) as file:
        file.write_text(text, encoding="utf-8")
    return Path(path)
