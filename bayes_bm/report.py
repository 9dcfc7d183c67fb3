"""Result -> one HTML file that needs nothing else: no script, no request, figures inside.

`gather` asks the answers and the checks for their tables; all after it is words and drawing. The wording follows the
numbers: "no clear difference" wherever the 95 % interval includes no effect, and never a recommendation.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from bayes_bm import estimands, nonparametric
from bayes_bm.checks.audit import NO_SIDE_BY_SIDE, Audit, follow_up
from bayes_bm.checks.predictive import arm_curves, predictive_bands
from bayes_bm.errors import GateRefused
from bayes_bm.estimands import Population
from bayes_bm.files import written_whole
from bayes_bm.fit import Result
from bayes_bm.gate import MAX_DIVERGENT, MAX_RHAT, MIN_BFMI, MIN_ESS, watched_parameters
from bayes_bm.hazards import FAMILIES
from bayes_bm.plots.markup import Column, Html, Part, Row, el, frame_table, html_table, mark, numeric, plain, treatment
from bayes_bm.plots.text import (
    DIGITS,
    MISSING,
    counted,
    estimate,
    number,
    printed_interval,
    probability,
    ratio_estimate,
    treatment_text,
)
from bayes_bm.predict import (
    WHO,
    NewHospital,
    NewStudy,
    Patient,
    compare,
    predict,
    prior_and_posterior,
    survival,
)
from bayes_bm.predictor import arm_predictors
from bayes_bm.priors import Prior, describe, scipy_law
from bayes_bm.spec import ExternalCheck, Spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bayes_bm.plots.style import Look

WHO_WORDS = {"average-study": "average study", "new-study": "new study", "new-hospital": "one new hospital"}
CURVE_DRAWS, CURVE_POINTS = 1000, 41
"""Draws and times behind a drawn curve: enough for its line and band. Tables use every draw."""
FAR = 4
"""A median above so many horizons is out of sight; the forest plot then shows survival at the reference time."""
RANK_BINS = 20
ELSEWHERE = {
    "sensitivity": ("Families and named analyses side by side", "bayes-bm sensitivity {name} --out sensitivity"),
    "leave_one_study_out": ("Leave one study out", "bayes-bm check {name}.nc --leave-one-out study"),
}


# ---------------------------------------------------------------------------------------------- what is shown


@dataclass(frozen=True)
class Observed:
    """What an arm's panel shows beside its band (see `plots.curves.arm_panel`); None where there is nothing."""

    steps: pd.DataFrame | None = None
    ticks: pd.DataFrame | None = None
    at_risk: pd.DataFrame | None = None
    printed: pd.DataFrame | None = None

    @property
    def last(self) -> float:
        """Last time at which something is printed; 0 where nothing is."""
        return 0.0 if self.printed is None else float(np.nanmax(self.printed[["time", "time_high"]].to_numpy()))


@dataclass(frozen=True)
class Curves:
    """Drawn curves: survival and differences by treatment (treatment, time, median, low, high), and one hospital's."""

    survival: pd.DataFrame
    difference: pd.DataFrame
    hospital: pd.DataFrame | None = None


@dataclass(frozen=True)
class PatientAnswer:
    """A patient: covariates by name, since when alive, the rows of `predict`, the curves (None past the horizon)."""

    covariates: Mapping[str, float]
    alive_at: float
    table: pd.DataFrame
    curves: Curves | None


@dataclass(frozen=True)
class Density:
    """Posterior histogram (left, right, density) and prior density (value, density) of a parameter."""

    posterior: pd.DataFrame
    prior: pd.DataFrame


@dataclass(frozen=True)
class Material:
    """Every table behind the report. `refused`: what a gate said where it was overridden."""

    result: Result
    audit: Audit
    reconciliation: pd.DataFrame
    contrasts: pd.DataFrame
    answers: Mapping[str, pd.DataFrame]
    until: Mapping[str, float]
    arms: pd.DataFrame
    overall: pd.DataFrame
    bands: pd.DataFrame
    observed: Sequence[Observed]
    curves: Curves | None
    parameters: Sequence[Mapping[str, Any]]
    densities: Mapping[str, Density]
    ranks: Mapping[str, pd.DataFrame]
    patient: PatientAnswer | None = None
    refused: tuple[str, ...] = ()
    elsewhere: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def spec(self) -> Spec:
        return self.result.spec

    @property
    def compared(self) -> tuple[str, ...]:
        return self.spec.treatments.compare

    @property
    def reference(self) -> str:
        """The reference treatment's name as words."""
        return treatment_text(self.spec.treatments.reference)

    @property
    def answer_time(self) -> float:
        """The time of the answer's survival: the reference time, or the nearest that is answered."""
        return min(self.spec.answer_times, key=lambda time: abs(time - self.spec.reference_time))

    def answer(self, who: str, estimand: str, name: str, *, time: float | None = None) -> dict[str, Any]:
        """One row of `compare`; `time` picks the nearest of several."""
        table = self.answers[who]
        mine = table.loc[(table["estimand"] == estimand) & (table["treatment"] == name)].to_dict("records")
        return mine[0] if time is None or len(mine) == 1 else min(mine, key=lambda row: abs(row["time"] - time))

    def ratio(self, name: str, who: str = "average-study") -> dict[str, Any]:
        """The hazard ratio of a treatment: without a time where hazards are proportional, else at the reference time."""
        return self.answer(who, "hazard_ratio", name, time=self.spec.reference_time)

    def source(self, name: str, source: str) -> dict[str, Any] | None:
        """A row of the contrast table that has numbers; within, only where studies hold both sides."""
        table = self.contrasts
        mine = table.loc[(table["treatment"] == name) & (table["source"] == source)].to_dict("records")
        direct = source not in ("within", "discrepancy") or (mine and mine[0]["studies"] > 0)
        return mine[0] if mine and direct and np.isfinite(mine[0]["hr"]) else None

    def support(self, names: Sequence[str]) -> tuple[int, float, int]:
        """Studies, effective patients and printed hazard ratios that speak about treatments or the reference."""
        rows = self.audit.rows
        printed = (rows["kind"] == "hazard ratio") & rows["treatment"].isin(names)
        arms = (rows["kind"] != "hazard ratio") & rows["treatment"].isin([*names, self.spec.treatments.reference])
        studies = set(rows.loc[printed | arms, "study"])
        return len(studies), float(rows.loc[arms, "size"].to_numpy(dtype=float).sum()), int(printed.sum())


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
    clean = _with_numbers(reconciliation)
    answers = {name: compare(result, who=who) for name, who in WHO.items()}
    observed = [_observed(result, clean, row) for row in range(len(result.evidence.arms))]
    grid = time_grid(spec, until)
    thin = _thinned(result)
    measure = forest_measure(result)
    parameters = prior_and_posterior(result)
    asked = None if patient is None else _patient(thin, result, patient, patient_table, alive_at, until)
    return Material(
        result=result,
        audit=audit,
        reconciliation=clean,
        contrasts=contrasts,
        answers=answers,
        until=until,
        arms=arm_answers(result, clean, measure=measure),
        overall=overall_answers(answers, spec, measure=measure) if answers_levels(spec) else pd.DataFrame(),
        bands=_bands(result, observed, grid),
        observed=observed,
        curves=_curves(thin, grid) if answers_levels(spec) else None,
        parameters=parameters,
        densities={row["parameter"]: _density(result, row) for row in parameters},
        ranks=rank_tables(watched_parameters(result.posterior)),
        patient=asked,
        refused=refused,
        elsewhere=elsewhere or {},
    )


def answers_levels(spec: Spec) -> bool:
    """Whether survival itself is answered, not only ratios (rule 11)."""
    return not (spec.free_levels and spec.baseline is None)


RECONCILED = (
    *("time", "printed", "printed_low", "printed_high", "reconstructed"),
    *("predicted", "predicted_low", "predicted_high", "p"),
)


def _with_numbers(reconciliation: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers as numbers: one that is empty throughout comes as objects."""
    return reconciliation.assign(**{name: pd.to_numeric(reconciliation[name], errors="coerce") for name in RECONCILED})


def _thinned(result: Result) -> Result:
    """The result with about `CURVE_DRAWS` draws: what a drawn line needs."""
    step = max(1, result.posterior.sizes["chain"] * result.posterior.sizes["draw"] // CURVE_DRAWS)
    return replace(result, posterior=result.posterior.isel(draw=slice(None, None, step)))


def time_grid(spec: Spec, until: Mapping[str, float], *, start: float = 0.0) -> list[float]:
    """Times of a drawn curve: even, and the end of each treatment's follow-up, where its line changes."""
    even = np.linspace(start, spec.horizon, CURVE_POINTS)
    even[0] = max(start, 1e-4 * spec.horizon)
    ends = [end for end in until.values() if even[0] < end < spec.horizon]
    return sorted({*even.tolist(), *ends})


def curve_table(values: xr.DataArray) -> pd.DataFrame:
    """Median and 95 % interval (treatment, time, median, low, high) of draws (chain, draw, treatment, time)."""
    low, median, high = values.quantile([0.025, 0.5, 0.975], dim=("chain", "draw"))
    numbers = xr.Dataset({"median": median, "low": low, "high": high}).drop_vars("quantile")
    return numbers.to_dataframe().reset_index()[["treatment", "time", "median", "low", "high"]]


def difference_table(values: xr.DataArray) -> pd.DataFrame:
    """`curve_table` of each treatment's survival minus that of the first, the reference; paired by draw."""
    return curve_table(values.isel(treatment=slice(1, None)) - values.isel(treatment=0, drop=True))


def _curves(thin: Result, grid: Sequence[float]) -> Curves:
    near, far = survival(thin, grid, who=NewStudy()), survival(thin, grid, who=NewHospital())
    return Curves(curve_table(near), difference_table(near), difference_table(far))


def _bands(result: Result, observed: Sequence[Observed], grid: Sequence[float]) -> pd.DataFrame:
    """Predicted bands of every arm, drawn on to the last printed number where that lies beyond the horizon."""
    if not observed:
        return pd.DataFrame()
    horizon, last = result.spec.horizon, 1.05 * max(seen.last for seen in observed)
    beyond = np.linspace(horizon, last, 13)[1:] if last > horizon else []
    return predictive_bands(result, [*grid, *beyond])


# ---- study arms


def arm_medians(result: Result) -> np.ndarray:
    """Each arm's own median on its printed clock, given alive at its entry (sample, arm row)."""
    eta, log_shape = arm_predictors(result.draws, result.design)
    family, arms = FAMILIES[result.spec.hazard.family], result.evidence.arms
    entry, medians = arms["entry"].to_numpy(dtype=float), np.empty(eta.shape)
    for start in np.unique(entry):
        rows = np.flatnonzero(entry == start)
        zero = np.zeros((len(eta), len(rows)))
        of = Population(family, result.spec.reference_time, eta[:, rows], log_shape[:, rows], zero, zero)
        medians[:, rows] = estimands.quantile(of, 0.5, alive_at=float(start))
    return medians - arms["shift"].to_numpy(dtype=float)


def forest_measure(result: Result) -> str:
    """`median`, or `survival` (at the reference time) where some arm's median is out of sight."""
    if result.evidence.arms.empty:
        return "survival"
    high = np.quantile(arm_medians(result), 0.975, axis=0)
    return "median" if high.max() <= FAR * result.spec.horizon else "survival"


def arm_answers(result: Result, reconciliation: pd.DataFrame, *, measure: str) -> pd.DataFrame:
    """One row a study arm: its own median (or survival at the reference time), and what was printed for it."""
    arms = result.evidence.arms
    if arms.empty:
        return pd.DataFrame()
    if measure == "median":
        values = arm_medians(result)
    else:
        curves = arm_curves(result, [result.spec.reference_time]).isel(time=0)
        values = curves.to_numpy().reshape(-1, len(arms))
    low, middle, high = np.quantile(values, [0.025, 0.5, 0.975], axis=0)
    printed = [printed_for(reconciliation, arm, measure, result.spec) for arm in arms.to_dict("records")]
    numbers = {"n": arms["n_effective"].astype(float), "median": middle, "low": low, "high": high, "measure": measure}
    return arms[["study", "arm", "treatment"]].assign(**numbers).join(pd.DataFrame(printed, index=arms.index))


def of_arm(reconciliation: pd.DataFrame, arm: Row) -> list[dict[str, Any]]:
    mine = (reconciliation["study"] == arm["study"]) & (reconciliation["arm"] == arm["arm"])
    return reconciliation.loc[mine].to_dict("records")


def printed_for(reconciliation: pd.DataFrame, arm: Row, measure: str, spec: Spec) -> dict[str, float]:
    """The printed (or, from patients, observed) median or survival at the reference time; NaN where there is none."""
    nothing = {"printed": np.nan, "printed_low": np.nan, "printed_high": np.nan}
    for row in of_arm(reconciliation, arm):
        found = row["printed"] if np.isfinite(row["printed"]) else row["reconstructed"]
        interval = {"printed": found, "printed_low": row["printed_low"], "printed_high": row["printed_high"]}
        if measure == "median" and row["quantity"] == "median":
            return interval
        if measure == "median" and str(row["quantity"]).startswith("median (as"):
            return {**nothing, "printed": row["time"]}
        at_reference = row["kind"] in ("points", "patients") and np.isclose(row["time"], spec.reference_time)
        if measure == "survival" and at_reference:
            return interval
    return nothing


def overall_answers(answers: Mapping[str, pd.DataFrame], spec: Spec, *, measure: str) -> pd.DataFrame:
    """Average study and one new hospital for every treatment, for the foot of the forest plot."""
    rows = []
    for name in spec.treatments.names:
        for who, kind in (("average-study", "average"), ("new-hospital", "hospital")):
            table = answers[who]
            mine = table.loc[(table["estimand"] == measure) & (table["treatment"] == name)].to_dict("records")
            row = mine[0] if measure == "median" else min(mine, key=lambda r: abs(r["time"] - spec.reference_time))
            numbers = {"median": row["median"], "low": row["q2_5"], "high": row["q97_5"]}
            rows.append({"treatment": name, "kind": kind, **numbers})
    return pd.DataFrame(rows)


def _observed(result: Result, reconciliation: pd.DataFrame, arm_row: int) -> Observed:
    evidence, arm = result.evidence, result.evidence.arms.iloc[arm_row].to_dict()
    patients = evidence.patients.loc[evidence.patients["arm_row"] == arm_row]
    if len(patients):
        return observed_patients(patients, shift=float(arm["shift"]), horizon=result.spec.horizon)
    counts = evidence.counts.loc[(evidence.counts["arm_row"] == arm_row) & evidence.counts["time"].notna()]
    marks = [_mark(row) for row in of_arm(reconciliation, arm)]
    marks += [_at(row["time"], 1 - row["events"] / row["n"]) for row in counts.to_dict("records")]
    found = [row for row in marks if row is not None]
    return Observed(printed=pd.DataFrame(found) if found else None)


def _at(time: float, share: float, **interval: float) -> dict[str, float]:
    nothing = dict.fromkeys(("low", "high", "time_low", "time_high"), np.nan)
    return {"time": time, "survival": share, **nothing, **interval}


def _mark(row: Row) -> dict[str, float] | None:
    """Where a printed number stands on the survival plane: a median at (median, 1/2), a survival at its time."""
    if row["kind"] == "medians" and np.isfinite(row["printed"]):
        return _at(row["printed"], 0.5, time_low=row["printed_low"], time_high=row["printed_high"])
    if row["kind"] == "points":
        return _at(row["time"], row["printed"], low=row["printed_low"], high=row["printed_high"])
    return None


def observed_patients(patients: pd.DataFrame, *, shift: float, horizon: float) -> Observed:
    """Kaplan-Meier curve, censoring ticks and numbers at risk on the arm's printed clock.

    An interval-censored event stands at the middle of its interval, as in the predicted bands.
    """
    from bayes_bm.plots.curves import time_ticks

    upper, time = patients["time_upper"].to_numpy(dtype=float), patients["time"].to_numpy(dtype=float)
    time = np.where(np.isfinite(upper), (time + upper) / 2, time)
    event, entry = patients["event"].to_numpy(), patients["entry"].to_numpy(dtype=float)
    given: dict[str, Any] = {"entry": entry if (entry > 0).any() else None, "weight": patients["weight"].to_numpy()}
    curve = nonparametric.kaplan_meier(time, event, **given)
    censored, shown = np.unique(time[event == 0]), np.array(time_ticks(horizon))
    ends = np.array([curve.follow_up])
    return Observed(
        steps=pd.DataFrame(
            {
                "time": np.concatenate([[0.0], curve.time - shift, ends - shift]),
                "survival": np.concatenate([[1.0], curve.survival, curve(ends)]),
            }
        ),
        ticks=pd.DataFrame({"time": censored - shift, "survival": curve(censored)}),
        at_risk=pd.DataFrame({"time": shown, "at_risk": nonparametric.at_risk(time, shown + shift, **given)}),
    )


# ---- patient, parameters


def _patient(
    thin: Result,
    result: Result,
    covariates: Mapping[str, float],
    table: pd.DataFrame | None,
    alive_at: float,
    until: Mapping[str, float],
) -> PatientAnswer:
    spec, who = result.spec, NewStudy()
    times = [time for time in spec.answer_times if time >= alive_at] or [alive_at + spec.horizon]
    rows = predict(result, covariates, alive_at=alive_at, times=times, who=who) if table is None else table
    if alive_at >= spec.horizon or not answers_levels(spec):
        return PatientAnswer(covariates, alive_at, rows, None)
    drawn = survival(
        thin, time_grid(spec, until, start=alive_at), who=Patient(covariates, who), alive_at=alive_at
    )
    return PatientAnswer(covariates, alive_at, rows, Curves(curve_table(drawn), difference_table(drawn)))


def _density(result: Result, row: Row) -> Density:
    """Histogram of a parameter's draws and the density of its prior, over a range that shows nearly all of both."""
    name, _, entry = str(row["parameter"]).removesuffix("]").partition("[")
    variable = result.posterior[name]
    if entry:
        variable = variable.sel({next(dim for dim in variable.dims if dim not in ("chain", "draw")): entry})
    return density(variable.to_numpy().ravel(), row["prior"])


def density(draws: np.ndarray, prior: Prior, *, bins: int = 40) -> Density:
    """Posterior histogram and prior density between the outer of the draws' range and the prior's 99 %."""
    law = scipy_law(prior)
    low, high = min(draws.min(), float(law.ppf(0.005))), max(draws.max(), float(law.ppf(0.995)))
    heights, edges = np.histogram(draws, bins=np.linspace(low, high, bins + 1), density=True)
    grid = np.linspace(low, high, 161)
    return Density(
        posterior=pd.DataFrame({"left": edges[:-1], "right": edges[1:], "density": heights}),
        prior=pd.DataFrame({"value": grid, "density": law.pdf(grid)}),
    )


def rank_tables(watched: xr.Dataset) -> dict[str, pd.DataFrame]:
    """By parameter, how many of a chain's draws fall into each bin of ranks (chain, left, right, count).

    Ranks are among the draws of all chains (Vehtari et al. 2021, doi 10.1214/20-BA1221).
    """
    tables = {}
    for name in watched.data_vars:
        variable = watched[name].transpose("chain", "draw", ...)
        flat = variable.to_numpy().reshape(*variable.shape[:2], -1)
        extra = [dim for dim in variable.dims if dim not in ("chain", "draw")]
        labels = [f"{name}[{label}]" for label in variable[extra[0]].to_numpy()] if extra else [str(name)]
        tables.update({label: _rank_counts(flat[..., at]) for at, label in enumerate(labels)})
    return tables


def _rank_counts(draws: np.ndarray) -> pd.DataFrame:
    ranks, edges = stats.rankdata(draws).reshape(draws.shape), np.linspace(0, draws.size, RANK_BINS + 1)
    rows = [
        {"chain": chain, "left": left, "right": right, "count": count}
        for chain, mine in enumerate(ranks)
        for left, right, count in zip(edges[:-1], edges[1:], np.histogram(mine, edges)[0], strict=True)
    ]
    return pd.DataFrame(rows)


# ---------------------------------------------------------------------------------------------- words

EVENTS = {
    "os": ("death", "overall survival"),
    "pfs": ("progression or death", "progression-free survival"),
    "local_control": ("local failure", "local control"),
    "intracranial_pfs": ("intracranial progression or death", "intracranial progression-free survival"),
}
TWICE = "Reproduction: the same patients twice."
FAILED = "A gate failed and was overridden by name: these numbers must not be relied on."
CHANCE = "so differences between studies, not the treatments, may be behind it"


def event_words(endpoint: str) -> tuple[str, str]:
    """What happens, and the name of the curve."""
    shown = endpoint.replace("_", " ")
    return EVENTS.get(endpoint, (f"an event ({shown})", f"freedom from event ({shown})"))


def time_text(spec: Spec, time: float) -> str:
    return f"{time:g} {spec.time_unit}"


def of_row(spec: Spec, row: Row, *, ends: tuple[str, str] = ("q2_5", "q97_5")) -> str:
    """Median and interval of a row of `compare` or `predict`, rounded as its estimand asks."""
    values = [row["median"], *(row[end] for end in ends)]
    estimand = str(row["estimand"])
    null = 0.0 if estimand.endswith("_difference") else None
    if estimand == "hazard_ratio":
        return ratio_estimate(values)
    if estimand.startswith("survival"):
        return estimate(values, digits=2, null=null)
    return estimate(values, digits=DIGITS[spec.time_unit], null=null, cap=10 * spec.horizon)


def source_ratio(row: Row) -> str:
    return ratio_estimate((row["hr"], row["hr_low"], row["hr_high"]))


def verdict(row: Row) -> str:
    """lower, higher, unclear or prior only: from the 95 % interval of a hazard ratio, and from its label."""
    if "prior only" in str(row["label"] or ""):
        return "prior only"
    return "lower" if row["q97_5"] < 1 else "higher" if row["q2_5"] > 1 else "unclear"


def probability_clause(value: float) -> str:
    shown = probability(value)
    return f"P(HR < 1) {shown}" if shown[0] in "<>" else f"P(HR < 1) = {shown}"


def ratio_clause(row: Row, spec: Spec) -> str:
    """The hazard ratio of the average study; one that changes with time carries its time."""
    time = row["time"]
    when = f" at {time_text(spec, time)}" if time is not None and np.isfinite(time) else ""
    shown = of_row(spec, row).replace(" (", " (95 % interval ", 1)
    return f"hazard ratio{when} in the average study {shown}, {probability_clause(row['prob_better'])}"


def contrast_sentence(row: Row, spec: Spec) -> str:
    """The first sentence for one treatment, from its hazard-ratio row of `compare`."""
    event, curve = event_words(spec.endpoint)
    one, other, shown = treatment_text(row["treatment"]), treatment_text(row["reference"]), ratio_clause(row, spec)
    found = verdict(row)
    if found == "prior only":
        return f"The evidence says next to nothing about {one} against {other}; the answer is the prior's: {shown}."
    if found == "unclear":
        return f"No clear difference in {curve} between {one} and {other}: {shown}; the interval includes 1."
    return f"The estimated hazard of {event} is {found} with {one} than with {other}: {shown}."


def several_sentence(rows: Sequence[Row], spec: Spec) -> str:
    """The first sentence for several treatments: grouped by what their intervals say, each with its numbers."""
    event, curve = event_words(spec.endpoint)
    openings = {
        "lower": f"the estimated hazard of {event} is lower with",
        "higher": f"the estimated hazard of {event} is higher with",
        "unclear": f"there is no clear difference in {curve} for",
        "prior only": "the evidence says next to nothing about",
    }
    named = {
        found: [f"{treatment_text(row['treatment'])} {of_row(spec, row)}" for row in rows if verdict(row) == found]
        for found in openings
    }
    parts = [f"{words} {', '.join(named[found])}" for found, words in openings.items() if named[found]]
    reference = treatment_text(spec.treatments.reference)
    return f"Against {reference}, {'; '.join(parts)} (hazard ratio in the average study with its 95 % interval)."


def absolute_sentence(of: Material) -> str:
    """The second sentence: survival and restricted means for a new study, and the wider interval of one hospital."""
    spec, time = of.spec, of.answer_time
    if not answers_levels(spec):
        return "Survival itself is not answered: each study has a level of its own and no baseline is given (rule 11)."
    if len(of.compared) > 1:
        return _range_sentence(of)
    name, curve = of.compared[0], event_words(spec.endpoint)[1]

    def shown(who: str, estimand: str, of_treatment: str = name) -> str:
        return of_row(spec, of.answer(who, estimand, of_treatment, time=time))

    one, other = shown("new-study", "survival"), shown("new-study", "survival", spec.treatments.reference)
    label = of.answer("new-study", "survival_difference", name, time=time)["label"]
    return (
        f"At {time_text(spec, time)}{f' ({label})' if label else ''}, {curve} averaged over studies is {one} with"
        f" {treatment_text(name)} and {other} with {of.reference}: a difference of"
        f" {shown('new-study', 'survival_difference')}, and of {shown('new-hospital', 'survival_difference')} in one new"
        f" hospital; the restricted mean to {time_text(spec, spec.horizon)} differs by"
        f" {shown('new-study', 'rmst_difference')} {spec.time_unit}, and by {shown('new-hospital', 'rmst_difference')}"
        " in one new hospital."
    )


def _range_sentence(of: Material) -> str:
    """Several treatments: the reference's level and the two ends of the differences."""
    spec, time, reference = of.spec, of.answer_time, of.spec.treatments.reference
    near = [of.answer("new-study", "survival_difference", name, time=time) for name in of.compared]
    near = sorted(near, key=lambda row: row["median"])
    ends = [
        f"{of_row(spec, row)} with {treatment_text(row['treatment'])} (in one new hospital"
        f" {of_row(spec, of.answer('new-hospital', 'survival_difference', row['treatment'], time=time))})"
        for row in (near[0], near[-1])
    ]
    level = of_row(spec, of.answer("new-study", "survival", reference, time=time))
    return (
        f"At {time_text(spec, time)}, {event_words(spec.endpoint)[1]} averaged over studies is {level} with"
        f" {of.reference}, and differences from it run from {ends[0]} to {ends[1]}."
    )


def support_sentence(of: Material) -> str:
    """The third sentence: what the answer rests on, and whether its two sources agree."""
    studies, size, ratios = of.support(of.compared)
    printed = f" and {counted(ratios, 'printed hazard ratio')}" if ratios else ""
    opening = f"It rests on {counted(studies, 'study')}, about {size:.0f} effective patients{printed}"
    if of.spec.reproduction:
        return f"{opening}: printed summaries of one analysis, given back by the model, which add no evidence to it."
    sides = [name for name in of.compared if of.source(name, "within") is not None]
    if not sides:
        return f"{opening}, compared across studies only ({NO_SIDE_BY_SIDE}), {CHANCE}."
    if len(of.compared) == 1:
        return f"{opening}; {_sources_clause(of, sides[0])}."
    named = ", ".join(treatment_text(name) for name in sides)
    alone = len(of.compared) - len(sides)
    rest = f"; the other {alone} across studies only, {CHANCE.replace('it', 'them')}" if alone else ""
    return f"{opening}; compared side by side within studies: {named}{rest}."


def _sources_clause(of: Material, name: str) -> str:
    within, across = of.source(name, "within"), of.source(name, "across")
    assert within is not None
    text = f"{counted(int(within['studies']), 'study')} held both side by side (hazard ratio within {source_ratio(within)}"
    if across is None:
        return f"{text})"
    apart = of.source(name, "discrepancy")
    disagree = apart is not None and (apart["q2_5"] > 0 or apart["q97_5"] < 0)
    words = "disagree: the interval of their ratio excludes 1" if disagree else "do not clearly disagree"
    return f"{text}, across {source_ratio(across)}), and the two {words}"


def answer_sentences(of: Material) -> list[str]:
    """The answer in three sentences, after what must be said first (a failed gate, a reproduction)."""
    rows = [of.ratio(name) for name in of.compared]
    first = contrast_sentence(rows[0], of.spec) if len(rows) == 1 else several_sentence(rows, of.spec)
    before = [*([FAILED] if of.refused else []), *([TWICE] if of.spec.reproduction else [])]
    return [*before, first, absolute_sentence(of), support_sentence(of)]


def reference_remark(spec: Spec) -> list[Part]:
    """Rule 10: another reference is another model."""
    if spec.effects.study_treatment is None:
        return ["No study-by-treatment effect is in this model, so the choice of reference changes no answer."]
    text = (
        f"The study-by-treatment effect is zero for the reference ({treatment_text(spec.treatments.reference)}) in every"
        " study, so another reference would be another model, not another view of this one (rule 10)."
    )
    if "reference_swapped" not in spec.sensitivity:
        return [text]
    return [text, " What it changes is seen with ", el("code", fit_command(spec, "reference_swapped")), "."]


def patient_sentence(of: Material, patient: PatientAnswer) -> str:
    """Who is asked about, and which of the coefficients behind the answer no data inform."""
    known, asked = of.spec.covariates, patient.covariates
    silent = [row["parameter"] for row in of.parameters if row["prior_only"]]
    named = [f"{name} = {value:g} {known[name].unit}".strip() for name, value in asked.items()]
    left = [f"{name} = {term.centre:g}" for name, term in known.items() if name not in asked]
    who = f"A patient with {', '.join(named)}" if named else "A patient at the centre of every covariate"
    centre = f" (not given, at the centre: {', '.join(left)})" if left and named else ""
    alive = f", alive at {time_text(of.spec, patient.alive_at)}" if patient.alive_at else ""
    parts = [f"{who}{centre}{alive}, in a new study."]
    if not known:
        parts.append("This model has no covariates, so nothing about the patient enters but that.")
    prior_only = [name for name in asked if f"coefficient[{name}]" in silent]
    if prior_only:
        parts.append(f"Prior only: no evidence here informs the coefficient of {', '.join(prior_only)}.")
    if patient.alive_at:
        parts.append("Times and medians count from time 0; the restricted mean counts from the time the patient is alive.")
    return " ".join([*parts, "Differences are between groups of such patients; nothing here recommends a treatment."])
