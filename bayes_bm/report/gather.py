"""Result -> one HTML file that needs nothing else: no script, no request, figures inside.

`gather` asks the answers and the checks for their tables; `sections` and `figures` write and draw them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from bayes_bm.checks.battery import Battery
from bayes_bm.checks.heterogeneity_conflict import heterogeneity_conflict
from bayes_bm.checks.power_scaling import parameters
from bayes_bm.checks.replicates import arm_curves, predictive_bands
from bayes_bm.checks.selection import selection
from bayes_bm.checks.small_studies import funnel, has_funnel
from bayes_bm.estimands import quadrature
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.mix_words import mix_words
from bayes_bm.estimands.mixes import arm_mix_table
from bayes_bm.estimands.predict import patient_distance, patient_missing, predict
from bayes_bm.estimands.quadrature import Population
from bayes_bm.estimands.quantities import survival
from bayes_bm.estimands.ranking import rank
from bayes_bm.estimands.who import NewHospital, NewStudy, Patient, PatientMix
from bayes_bm.evidence.audit import Audit, follow_up
from bayes_bm.evidence.coefficient_words import informed_by, informed_sentence
from bayes_bm.evidence.covariate_notes import reading_at_centres
from bayes_bm.evidence.network import network
from bayes_bm.hazards import nonparametric
from bayes_bm.inference.gate import watched_parameters
from bayes_bm.inference.result import Result
from bayes_bm.report.answers import answer_tables, reconstruction_summary
from bayes_bm.report.at_risk import effective_at_risk
from bayes_bm.report.material import (
    Answers,
    Curves,
    Density,
    Observed,
    PatientAnswer,
    PopulationAnswer,
    ReportData,
)
from bayes_bm.report.text import time_ticks
from bayes_bm.spec.document import ExternalCheck, Spec
from bayes_bm.spec.level import USUAL, Level
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import Prior

Row = Mapping[Any, Any]
CURVE_DRAWS = 1000
"""Draws behind a drawn curve: enough for its line and band. Tables use every draw."""
CURVE_POINTS = 41
"""Times of a drawn curve."""
FAR = 4
"""A median above so many horizons is out of sight; the forest plot then shows survival at the reference time."""
RANK_BINS = 20
"""Bins of a rank plot."""


def gather(
    result: Result,
    *,
    audit: Audit,
    reconciliation: pd.DataFrame,
    contrasts: pd.DataFrame | None,
    tables: Mapping[str, pd.DataFrame] | None = None,
    patient: Mapping[str, float] | None = None,
    population: Mapping[str, float] | None = None,
    patient_table: pd.DataFrame | None = None,
    alive_at: float = 0.0,
    refused: tuple[str, ...] = (),
    elsewhere: Mapping[str, pd.DataFrame] | None = None,
    battery: Battery | None = None,
    moved: pd.DataFrame | None = None,
) -> ReportData:
    """Return every table that the report shows."""
    spec, follow_up_ends = result.spec, follow_up(result.spec, result.evidence)
    clean = numeric_columns(reconciliation)
    summary = reconstruction_summary(result)
    answers = Answers(spec, tables or answer_tables(result), audit, contrasts, refused, summary, clean)
    observed = [_observed_arm(result, clean, row) for row in range(len(result.evidence.arms))]
    grid, thin, measure = time_grid(spec, follow_up_ends), result.thinned(CURVE_DRAWS), forest_measure(result)
    parameter_rows = (parameters(result) if moved is None else moved).to_dict("records")
    asked = answers.levels and patient is not None and bool(spec.covariates or alive_at)
    return ReportData(
        answers=answers,
        result=result,
        reconciliation=clean,
        follow_up_ends=follow_up_ends,
        arms=arm_answers(result, clean, measure=measure),
        overall=overall_answers(answers, measure=measure),
        bands=_arm_bands(result, observed, grid),
        observed=observed,
        curves=_study_curves(thin, grid) if answers.levels else None,
        parameters=parameter_rows,
        densities={row["parameter"]: _parameter_density(result, row) for row in parameter_rows},
        ranks=rank_tables(watched_parameters(_single_target(result).posterior)),
        network=network(spec, result.evidence),
        at_risk=effective_at_risk(result, audit.rows, observed, time_ticks(spec.horizon)),
        ranking=rank(result) if len(spec.treatments.names) > 2 else None,
        strata=[_stratum_answer(result, check) if answers.levels else None for check in spec.external_checks],
        patient=_patient_answer(thin, result, patient or {}, patient_table, alive_at, follow_up_ends)
        if asked
        else None,
        elsewhere=elsewhere or {},
        battery=battery,
        mixes=arm_mix_table(result),
        whom=mix_words(result, NewStudy()) if answers.levels else "",
        informed=informed_by(spec, result.evidence),
        population=_population_answer(result, population or spec.population) if answers.levels else None,
        funnel=funnel(result) if has_funnel(spec) else None,
        conflict=heterogeneity_conflict(result),
        selection=selection(result) if has_funnel(spec) else pd.DataFrame(),
    )


def _population_answer(result: Result, named: Mapping[str, float] | None) -> PopulationAnswer | None:
    """Return what a population of a named case mix is answered; None where none is named."""
    if not named:
        return None
    who = PatientMix(named)
    return PopulationAnswer(mix_words(result, who), compare(result, who=who))


def _stratum_answer(result: Result, check: ExternalCheck) -> Mapping[Any, Any] | None:
    """Return the predicted row of patients of a published stratum; None where the check is of no stratum."""
    if check.patient is None:
        return None
    time = result.spec.reference_time if check.time is None else check.time
    table = predict(result, check.patient, times=[time], treatments=[check.treatment], estimands=[check.estimand])
    return table[table["reference"].isna() & (table["treatment"] == check.treatment)].iloc[0].to_dict()


RECONCILED = (
    *("time", "printed", "printed_low", "printed_high", "reconstructed"),
    *("predicted", "predicted_low", "predicted_high", "p"),
)


def numeric_columns(reconciliation: pd.DataFrame) -> pd.DataFrame:
    """Return a reconciliation with columns of numbers as numbers: one that is empty throughout comes as objects."""
    return reconciliation.assign(**{name: pd.to_numeric(reconciliation[name], errors="coerce") for name in RECONCILED})


def _single_target(result: Result) -> Result:
    """Chains that should agree: of imputations those that agree least (docs/decisions.md#19-multiple-imputation)."""
    return result if result.imputations is None else result.of_imputation(result.imputations.worst)


def time_grid(spec: Spec, follow_up_ends: Mapping[str, float], *, start: float = 0.0) -> list[float]:
    """Return times of a drawn curve: even, and the end of each treatment's follow-up, where its line changes."""
    even = np.linspace(start, spec.horizon, CURVE_POINTS)
    even[0] = max(start, 1e-4 * spec.horizon)
    ends = [end for end in follow_up_ends.values() if even[0] < end < spec.horizon]
    return sorted({*even.tolist(), *ends})


def curve_table(values: xr.DataArray, level: Level = USUAL) -> pd.DataFrame:
    """Return median and interval (treatment, time, median, low, high) of draws (chain, draw, treatment, time)."""
    low, median, high = values.quantile(level.quantiles, dim=("chain", "draw")).to_numpy()
    names, times = values["treatment"].to_numpy(), values["time"].to_numpy()
    where = {"treatment": np.repeat(names, len(times)), "time": np.tile(times, len(names))}
    return pd.DataFrame({**where, "median": median.ravel(), "low": low.ravel(), "high": high.ravel()})


def difference_table(values: xr.DataArray, level: Level = USUAL) -> pd.DataFrame:
    """Return `curve_table` of each treatment's survival minus that of the first, the reference; paired by draw."""
    return curve_table(values.isel(treatment=slice(1, None)) - values.isel(treatment=0, drop=True), level)


def _study_curves(thin: Result, grid: Sequence[float]) -> Curves:
    study_draws, hospital_draws = survival(thin, grid, who=NewStudy()), survival(thin, grid, who=NewHospital())
    level = thin.spec.interval
    return Curves(
        curve_table(study_draws, level), difference_table(study_draws, level), difference_table(hospital_draws, level)
    )


def _arm_bands(result: Result, observed: Sequence[Observed], grid: Sequence[float]) -> pd.DataFrame:
    """Predicted bands of every arm, drawn on to the last printed number where that lies beyond the horizon."""
    if not observed:
        return pd.DataFrame()
    horizon, last = result.spec.horizon, 1.05 * max(seen.last for seen in observed)
    later_times = np.linspace(horizon, last, 13)[1:] if last > horizon else []
    return predictive_bands(result, [*grid, *later_times])


# ---- study arms


def arm_medians(result: Result) -> np.ndarray:
    """Return each arm's own median on its printed clock, given alive at its entry (sample, arm row)."""
    (family, eta, log_shape), arms = result.predictors.arms, result.evidence.arms
    entry, medians = arms["entry"].to_numpy(dtype=float), np.empty(eta.shape)
    for start in np.unique(entry):
        rows = np.flatnonzero(entry == start)
        zero = np.zeros((len(eta), len(rows)))
        population = Population(family, result.spec.reference_time, eta[:, rows], log_shape[:, rows], zero, zero)
        medians[:, rows] = quadrature.quantile(population, 0.5, alive_at=float(start))
    return medians - arms["shift"].to_numpy(dtype=float)


def forest_measure(result: Result) -> str:
    """Return `median`, or `survival` (at the reference time) where some arm's median is out of sight."""
    if result.evidence.arms.empty:
        return "survival"
    high = np.quantile(arm_medians(result), result.spec.interval.tails[1], axis=0)
    return "median" if high.max() <= FAR * result.spec.horizon else "survival"


def arm_answers(result: Result, reconciliation: pd.DataFrame, *, measure: str) -> pd.DataFrame:
    """Return one row a study arm: its own median (or survival at the reference time), and what was printed."""
    arms = result.evidence.arms
    if arms.empty:
        return pd.DataFrame()
    if measure == "median":
        values = arm_medians(result)
    else:
        curves = arm_curves(result, [result.spec.reference_time]).isel(time=0)
        values = curves.to_numpy().reshape(-1, len(arms))
    low, middle, high = np.quantile(values, result.spec.interval.quantiles, axis=0)
    printed = [printed_for(reconciliation, arm, measure, result.spec) for arm in arms.to_dict("records")]
    numbers = {"n": arms["n_effective"].astype(float), "median": middle, "low": low, "high": high, "measure": measure}
    return arms[["study", "arm", "treatment"]].assign(**numbers).join(pd.DataFrame(printed, index=arms.index))


def arm_records(reconciliation: pd.DataFrame, arm: Row) -> list[dict[Any, Any]]:
    """Return rows of the reconciliation about an arm."""
    mask = (reconciliation["study"] == arm["study"]) & (reconciliation["arm"] == arm["arm"])
    return reconciliation.loc[mask].to_dict("records")


def printed_for(reconciliation: pd.DataFrame, arm: Row, measure: str, spec: Spec) -> dict[str, float]:
    """Return the printed (from patients, observed) median or survival at the reference time; NaN where none is."""
    nothing = {"printed": np.nan, "printed_low": np.nan, "printed_high": np.nan}
    for row in arm_records(reconciliation, arm):
        value = row["printed"] if np.isfinite(row["printed"]) else row["reconstructed"]
        interval = {"printed": value, "printed_low": row["printed_low"], "printed_high": row["printed_high"]}
        if measure == "median" and row["quantity"] == "median":
            return interval
        if measure == "median" and str(row["quantity"]).startswith("median (as"):
            return {**nothing, "printed": row["time"]}
        at_reference = row["kind"] in ("points", "patients") and np.isclose(row["time"], spec.reference_time)
        if measure == "survival" and at_reference:
            return interval
    return nothing


def overall_answers(answers: Answers, *, measure: str) -> pd.DataFrame:
    """Return the foot of the forest plot, average study and one new hospital by treatment; empty without levels."""
    rows = [
        {"treatment": name, "kind": kind, **answers.row(who, measure, name, time=answers.spec.reference_time)}
        for name in answers.spec.treatments.names
        for who, kind in (("average-study", "average"), ("new-hospital", "hospital"))
        if answers.levels
    ]
    return pd.DataFrame(
        [
            {
                **{column: row[column] for column in ("treatment", "kind", "median")},
                "low": row[answers.spec.interval.names[0]],
                "high": row[answers.spec.interval.names[1]],
            }
            for row in rows
        ]
    )


def _observed_arm(result: Result, reconciliation: pd.DataFrame, arm_row: int) -> Observed:
    evidence, arm = result.evidence, result.evidence.arms.iloc[arm_row].to_dict()
    patients = evidence.patients.loc[evidence.patients["arm_row"] == arm_row]
    if len(patients):
        return observed_patients(patients, shift=float(arm["shift"]), horizon=result.spec.horizon)
    counts = evidence.counts.loc[(evidence.counts["arm_row"] == arm_row) & evidence.counts["time"].notna()]
    marks = [_printed_mark(row) for row in arm_records(reconciliation, arm)]
    marks += [_printed_point(row["time"], 1 - row["events"] / row["n"]) for row in counts.to_dict("records")]
    printed = [row for row in marks if row is not None]
    return Observed(printed=pd.DataFrame(printed) if printed else None)


def _printed_point(time: float, share: float, **interval: float) -> dict[str, float]:
    nothing = dict.fromkeys(("low", "high", "time_low", "time_high"), np.nan)
    return {"time": time, "survival": share, **nothing, **interval}


def _printed_mark(row: Row) -> dict[str, float] | None:
    """Where a printed number stands on the survival plane: a median at (median, 1/2), a survival at its time."""
    if row["kind"] == "medians" and np.isfinite(row["printed"]):
        return _printed_point(row["printed"], 0.5, time_low=row["printed_low"], time_high=row["printed_high"])
    if row["kind"] == "points":
        return _printed_point(row["time"], row["printed"], low=row["printed_low"], high=row["printed_high"])
    return None


def observed_patients(patients: pd.DataFrame, *, shift: float, horizon: float) -> Observed:
    """Return Kaplan-Meier curve, censoring ticks and numbers at risk on the arm's printed clock.

    An interval-censored event stands at the middle of its interval, as in the predicted bands.
    """
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


def _patient_answer(
    thin: Result,
    result: Result,
    covariates: Mapping[str, float],
    table: pd.DataFrame | None,
    alive_at: float,
    follow_up_ends: Mapping[str, float],
) -> PatientAnswer:
    spec, who = result.spec, NewStudy()
    times = [time for time in spec.answer_times if time >= alive_at] or [alive_at + spec.horizon]
    rows = predict(result, covariates, alive_at=alive_at, times=times, who=who) if table is None else table
    notes = [
        patient_missing(result, covariates).text,
        informed_sentence(spec, result.evidence, covariates),
        reading_at_centres(spec, result.evidence),
        patient_distance(result, covariates).text,
    ]
    if alive_at >= spec.horizon:
        return PatientAnswer(covariates, alive_at, rows, None, notes)
    drawn = survival(
        thin, time_grid(spec, follow_up_ends, start=alive_at), who=Patient(covariates, who), alive_at=alive_at
    )
    level = spec.interval
    curves = Curves(curve_table(drawn, level), difference_table(drawn, level), alive_at=alive_at)
    return PatientAnswer(covariates, alive_at, rows, curves, notes)


def _parameter_density(result: Result, row: Row) -> Density:
    """Histogram of a parameter's draws and the density of its prior, over a range that shows nearly all of both."""
    name, _, entry = str(row["parameter"]).removesuffix("]").partition("[")
    variable = result.posterior[name]
    if entry:
        variable = variable.sel({next(dim for dim in variable.dims if dim not in ("chain", "draw")): entry})
    return density(variable.to_numpy().ravel(), row["prior"])


def density(draws: np.ndarray, prior: Prior, *, bins: int = 40) -> Density:
    """Return posterior histogram and prior density between the outer of the draws' range and the prior's 99 %."""
    distribution: Any = scipy_distribution(prior)
    low, high = min(draws.min(), float(distribution.ppf(0.005))), max(draws.max(), float(distribution.ppf(0.995)))
    heights, edges = np.histogram(draws, bins=np.linspace(low, high, bins + 1), density=True)
    grid = np.linspace(low, high, 161)
    return Density(
        posterior=pd.DataFrame({"left": edges[:-1], "right": edges[1:], "density": heights}),
        prior=pd.DataFrame({"value": grid, "density": distribution.pdf(grid)}),
    )


def rank_tables(watched: xr.Dataset) -> dict[str, pd.DataFrame]:
    """Return how many of a chain's draws fall into each bin of ranks (chain, left, right, count), by parameter.

    Ranks are among the draws of all chains (Vehtari et al. 2021, doi 10.1214/20-BA1221); low, expected and high are
    what independent draws of one distribution would give, 95 times of 100.
    """
    return {name: _rank_counts(draws) for name, draws in _scalar_draws(watched)}


def _scalar_draws(watched: xr.Dataset) -> Iterator[tuple[str, np.ndarray]]:
    """Every scalar in a dataset with its label, `name` or `name[entry]`, as (chain, draw)."""
    for name in watched.data_vars:
        variable = watched[name].transpose("chain", "draw", ...)
        flat = variable.to_numpy().reshape(*variable.shape[:2], -1)
        entries = variable[variable.dims[2]].to_numpy() if variable.ndim > 2 else [None]
        for index, entry in enumerate(entries):
            yield (str(name) if entry is None else f"{name}[{entry}]"), flat[..., index]


def _rank_counts(draws: np.ndarray) -> pd.DataFrame:
    ranks, edges = stats.rankdata(draws).reshape(draws.shape) - 0.5, np.linspace(0, draws.size, RANK_BINS + 1)
    low, high = (float(stats.binom.ppf(share, draws.shape[1], 1 / RANK_BINS)) for share in (0.025, 0.975))
    rows = [
        {"chain": chain, "left": left_edge, "right": right_edge, "count": count}
        for chain, chain_ranks in enumerate(ranks)
        for left_edge, right_edge, count in zip(edges[:-1], edges[1:], np.histogram(chain_ranks, edges)[0], strict=True)
    ]
    return pd.DataFrame(rows).assign(low=low, expected=draws.shape[1] / RANK_BINS, high=high)
