"""Commands that answer from a stored posterior: compare, predict, incidence, rank, standardise, score, serve."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bayes_bm.cli.options import AllowFailed, Json, ResultFile, Times, WhoName
from bayes_bm.cli.parsing import load_gated, parse_names, parse_numbers, parse_pairs, read_patients
from bayes_bm.cli.printing import ERR, OUT, gate_field, json_rows, print_json, print_table, save_figure
from bayes_bm.runtime.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bayes_bm.inference.result import Result


def compare(
    result_file: ResultFile,
    reference: Annotated[str | None, typer.Option(help="Another treatment to compare against.")] = None,
    who: WhoName = "average-study",
    horizon: Annotated[float | None, typer.Option(min=0.0, help="For the restricted mean.")] = None,
    times: Times = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Treatments against the reference."""
    from bayes_bm.estimands.compare import answer_table, compared_pairs
    from bayes_bm.estimands.who import parse_who

    result = load_gated(result_file, allow_failed=allow_failed_gate)
    chosen = parse_who(who)
    at = parse_numbers(times, "--times")
    answers = list(compared_pairs(result, who=chosen, reference=reference, horizon=horizon, times=at))
    table, rebuilt = answer_table(answers), _rebuilt(result, answers)
    if as_json:
        return print_json({"who": chosen.name, **gate_field(result), "rows": json_rows(table), **rebuilt})
    columns = ["estimand", "treatment", "reference", "time", "median", "q2_5", "q97_5", "prob_better", "label"]
    print_table(table, f"{result.spec.question} ({chosen.name}, {result.spec.time_unit})", columns)
    for found in rebuilt.values():
        OUT.print(Text(found["note"]))
    return None


def incidence(
    result_files: Annotated[list[Path], typer.Argument(help="One result for each cause (cause = ... in its spec).")],
    times: Annotated[str, typer.Option(help="Such as 6,12,24.")],
    who: WhoName = "new-study",
    alive_at: Annotated[float, typer.Option(min=0.0, help="Given free of every cause at this time.")] = 0.0,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Cumulative incidence of competing causes, such as local failure and death, from one fit for each."""
    from bayes_bm.estimands.competing_risks import cumulative_incidence, incidence_table
    from bayes_bm.estimands.who import parse_who

    results = [load_gated(path, allow_failed=allow_failed_gate) for path in result_files]
    found = cumulative_incidence(results, parse_numbers(times, "--times") or [], who=parse_who(who), alive_at=alive_at)
    table, failed = incidence_table(found), [of for of in results if not of.gate.passed]
    if as_json:
        return print_json({"who": who, **gate_field((failed or results)[0]), "rows": json_rows(table)})
    return print_table(table, f"cumulative incidence ({who}, {results[0].spec.time_unit})")


def rank(
    result_file: ResultFile,
    estimand: Annotated[
        str | None, typer.Option(help="log_hr (log_time_ratio of accelerated time; the default), rmst or survival.")
    ] = None,
    who: WhoName = "average-study",
    time: Annotated[float | None, typer.Option(help="For survival and, if it changes, the hazard ratio.")] = None,
    horizon: Annotated[float | None, typer.Option(min=0.0, help="For the restricted mean.")] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Probability of every rank as a picture.")] = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Probability of every rank of every treatment; rank 1 is the lowest hazard or the longest time."""
    from bayes_bm.estimands.ranking import rank as rank_treatments
    from bayes_bm.estimands.who import parse_who

    result = load_gated(result_file, allow_failed=allow_failed_gate)
    asked: Any = estimand
    found = rank_treatments(result, asked, who=parse_who(who), time=time, horizon=horizon)
    if figure is not None:
        from bayes_bm.report.plots.ranking import ranks_figure

        save_figure(ranks_figure(found), figure)
    named = {"estimand": found.estimand, "time": found.time, "rank_1": found.first, "warning": found.warning}
    if as_json:
        tables = {"rows": json_rows(found.table), "probabilities": json_rows(found.probabilities)}
        return print_json({"who": found.who, **gate_field(result), **named, **tables})
    wide = found.probabilities.pivot_table(index="treatment", columns="rank", values="probability")
    wide = wide.rename(columns="P(rank {})".format).reset_index()
    when = "" if found.time is None else f" at {found.time:g} {result.spec.time_unit}"
    print_table(found.table, f"{found.estimand}{when} ({found.who}); rank 1: {found.first}")
    print_table(found.table[["treatment"]].merge(wide, on="treatment"), "probability of each rank")
    return OUT.print(Text(found.warning))


def _rebuilt(result: "Result", answers: Sequence[tuple[dict[str, Any], Any]]) -> dict[str, Any]:
    """What rebuilding patients from curves adds to these answers (docs/decisions.md#19-multiple-imputation); empty
    where there are no curves.
    """
    from bayes_bm.estimands.imputation_variance import answer_variance
    from bayes_bm.report.answers import reconstruction_summary
    from bayes_bm.report.sentences import reconstruction_sentence

    found = reconstruction_summary(result)
    if found is None:
        return {}
    rows = json_rows(answer_variance(result, answers)) if found.m > 1 else []
    return {
        "reconstruction": {
            "arms": found.arms,
            "imputations": found.m,
            "note": reconstruction_sentence(found, result.spec),
            "variance": rows,
        }
    }


def predict(
    result_file: ResultFile,
    patient: Annotated[str | None, typer.Option(help="name=value, separated by commas.")] = None,
    patients: Annotated[
        Path | None, typer.Option(help="CSV with a column a covariate, and optionally `patient`.")
    ] = None,
    treatment: Annotated[str | None, typer.Option(help="Comma-separated; all where left out.")] = None,
    without: Annotated[
        str | None, typer.Option(help="Comma-separated: treatments that the patient cannot have.")
    ] = None,
    times: Times = None,
    alive_at: Annotated[float, typer.Option("--alive-at", help="Given alive at this time.")] = 0.0,
    horizon: Annotated[float | None, typer.Option(min=0.0, help="For the restricted mean.")] = None,
    margin: Annotated[
        str | None, typer.Option(help="rmst=1,survival=0.05: the probability of being better by more than that.")
    ] = None,
    estimand: Annotated[
        str | None, typer.Option(help="Comma-separated: survival, median, rmst (the default), hazard, quantile:0.25.")
    ] = None,
    outcomes: Annotated[
        bool, typer.Option("--outcomes", help="What could happen to one such patient, beside the curve.")
    ] = False,
    figure: Annotated[Path | None, typer.Option("--figure", help="Curves, and below them outcomes.")] = None,
    who: WhoName = "new-study",
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Survival, median and restricted mean of one patient or of many, under each treatment."""
    from bayes_bm.estimands.estimand_rows import ESTIMANDS
    from bayes_bm.estimands.predict import patient_distance, patient_missing
    from bayes_bm.estimands.predict import predict as predict_patients
    from bayes_bm.estimands.who import parse_who

    result = load_gated(result_file, allow_failed=allow_failed_gate)
    if patient is not None and patients is not None:
        raise InputError("--patient, --patients", found="both", allowed="one of them")
    values, names = read_patients(patients) if patients is not None else ([parse_pairs(patient)], None)
    if figure is not None and len(values) > 1:
        raise InputError("--figure", found=f"{len(values)} patients", allowed="one patient")
    chosen = {"treatments": parse_names(treatment), "without": parse_names(without) or []}
    asked: dict[str, Any] = {**chosen, "alive_at": alive_at, "who": parse_who(who)}
    at = parse_numbers(times, "--times")
    table = predict_patients(
        result,
        values,
        **asked,
        times=at,
        names=names,
        horizon=horizon,
        margins=parse_pairs(margin, "--margin"),
        estimands=parse_names(estimand) or ESTIMANDS,
    )
    titles = names or [str(place + 1) for place in range(len(values))]
    drawn = _outcome_tables(result, dict(zip(titles, values, strict=True)), at, asked) if outcomes else {}
    if figure is not None:
        from bayes_bm.estimands.patient_curves import patient_curves
        from bayes_bm.report.plots.patient import patient_figure

        save_figure(patient_figure(patient_curves(result, values[0], **asked, horizon=horizon)), figure)
    if as_json:
        about = {"patients": [_about(result, title, one) for title, one in zip(titles, values, strict=True)]}
        told = {"outcomes": [{"patient": name, **row} for name, of in drawn.items() for row in json_rows(of)]}
        shown = {"rows": json_rows(table), **about, **(told if outcomes else {})}
        return print_json({"who": who, "alive_at": alive_at, **gate_field(result), **shown})
    columns = ["patient", "treatment", "reference", "estimand", "time", "median", "q5", "q95", "prob_better", "label"]
    if margin is not None:
        columns = [*columns[:-1], "margin", "prob_better_by_margin", "label"]
    marks = sorted({mark for label in table["label"] for mark in label.split("; ") if mark.startswith(PRIOR_ONLY)})
    shown = table.assign(label=[_starred(label) for label in table["label"]])
    print_table(shown, f"{result.spec.question} ({who}, {result.spec.time_unit})", columns)
    for mark in marks:
        OUT.print(f"* {mark}: no evidence here informs these coefficients")
    for title, found in drawn.items():
        print_table(found, f"what could happen to one such patient ({title}): times of the event, {SPREAD_OF_ONE}")
    for title, one in zip(titles[:1] if len(values) > 3 else titles, values, strict=False):
        if result.spec.covariates:
            for text in (patient_missing(result, one).text, patient_distance(result, one).text):
                ERR.print(Text(f"patient {title}: {text}" if text and len(values) > 1 else text))
    return None


def _about(result: "Result", title: str, patient: Mapping[str, float]) -> dict[str, Any]:
    """What was given of a patient, what became of the rest, and how far the patient is from the evidence."""
    from bayes_bm.estimands.predict import patient_distance, patient_missing

    left = patient_missing(result, patient)
    return {
        "patient": title,
        "given": patient,
        "distance": patient_distance(result, patient).document(),
        "averaged_over_the_evidence": list(left.averaged),
        "at_the_centre": list(left.centred),
    }


SPREAD_OF_ONE = "one patient's spread, not the uncertainty of the curve"


def _outcome_tables(
    result: "Result", patients: Mapping[str, Mapping[str, float]], times: "Sequence[float] | None", asked: dict
) -> "dict[str, pd.DataFrame]":
    """What could happen to each patient, by title."""
    from bayes_bm.estimands.outcomes import outcome_table, outcomes, outcomes_of_times

    at = outcomes_of_times(result, times, asked["alive_at"])
    return {title: outcome_table(outcomes(result, one, **asked), at) for title, one in patients.items()}


PRIOR_ONLY = "prior only: "
PARAMETER_COLUMNS = (
    *("parameter", "prior_mean", "prior_sd", "mean", "sd", "prior_only"),
    *("prior_sensitivity", "likelihood_sensitivity", "power_says"),
)


def _starred(label: str) -> str:
    """The long mark of prior-only coefficients as a star, explained below the table."""
    return "; ".join("*" if mark.startswith(PRIOR_ONLY) else mark for mark in label.split("; "))


def serve(
    result_file: ResultFile,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    allow_failed_gate: AllowFailed = False,
) -> None:
    """The patient page in a browser, on this machine's own address only; Ctrl-C ends it."""
    from bayes_bm.report.server import PatientPage, server

    running = server(PatientPage(load_gated(result_file, allow_failed=allow_failed_gate)), port)
    host, number = running.server_address[:2]
    print(f"http://{host!s}:{number}/ answers for {result_file}; Ctrl-C ends it", file=sys.stderr, flush=True)
    with running:
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print("ended", file=sys.stderr)


def standardise(
    result_file: ResultFile,
    cohort: Annotated[Path, typer.Option("--cohort", help="CSV: a row a patient, a column a covariate.")],
    treatment: Annotated[str | None, typer.Option(help="Comma-separated; all where left out.")] = None,
    without: Annotated[str | None, typer.Option(help="Comma-separated: treatments to leave out.")] = None,
    times: Times = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="The cohort is a sample of whom is asked about.")
    ] = False,
    who: WhoName = "new-study",
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Survival of a whole cohort had all had the same treatment (g-computation), and differences."""
    from bayes_bm.estimands.standardization import read_cohort, standardise, standardised_table
    from bayes_bm.estimands.who import parse_who

    result = load_gated(result_file, allow_failed=allow_failed_gate)
    table, at = read_cohort(result.spec, cohort), parse_numbers(times, "--times") or list(result.spec.answer_times)
    asked: dict[str, Any] = {"treatments": parse_names(treatment), "without": parse_names(without) or []}
    values = standardise(result, table, at, **asked, who=parse_who(who), resample=resample)
    found = standardised_table(values)
    if as_json:
        return print_json({"who": who, "patients": len(table), **gate_field(result), "rows": json_rows(found)})
    return print_table(found, f"{len(table)} patients, had all had one treatment ({who}, {result.spec.time_unit})")


def score(
    result_file: ResultFile,
    cohort: Annotated[Path, typer.Option("--cohort", help="CSV: time, event, treatment, and covariates.")],
    times: Times = None,
    at: Annotated[float | None, typer.Option(help="Time of the calibration; the reference time.")] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Observed against predicted, and D-calibration.")
    ] = None,
    who: WhoName = "new-study",
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """How predictions agree with a cohort's outcomes: Brier scores, concordance, calibration."""
    from bayes_bm.checks.cohort_scores import score_cohort
    from bayes_bm.estimands.standardization import read_cohort
    from bayes_bm.estimands.who import parse_who

    result = load_gated(result_file, allow_failed=allow_failed_gate)
    table = read_cohort(result.spec, cohort, outcomes=True)
    found = score_cohort(result, table, parse_numbers(times, "--times"), at=at, who=parse_who(who))
    if figure is not None:
        from bayes_bm.report.plots.scoring import score_figure

        save_figure(score_figure(found), figure)
    if as_json:
        return print_json({"who": who, **gate_field(result), **found.document()})
    print_table(found.brier, f"Brier scores of {found.patients} patients; integrated {found.integrated_brier:.4f}")
    print_table(found.concordance, "concordance; risk: one less predicted survival at the time of the calibration")
    print_table(found.calibration, f"survival at {found.at:g} {result.spec.time_unit}, in groups by prediction")
    return print_table(found.d_calibration, f"D-calibration: shares should be equal (p = {found.d_p:.3g})")
