"""Commands that answer from a stored posterior: compare, incidence, rank, serve, standardise, score."""

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_bm.cli.commands import causes
from bayes_bm.cli.limits import number_option
from bayes_bm.cli.options import (
    AllowFailed,
    Horizon,
    Json,
    LevelValue,
    MixValues,
    PatientValues,
    ResultFile,
    Times,
    Treatments,
    WhoName,
)
from bayes_bm.cli.parsing import load_gated, parse_names, parse_pairs, parse_population, parse_times, refuse_options
from bayes_bm.cli.printing import (
    ESTIMATE,
    check_figure,
    error_words,
    gate_field,
    in_words,
    json_rows,
    print_json,
    print_table,
    print_words,
    save_figure,
    split_errors,
)
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import check_places
from bayes_bm.runtime.signals import Stopped
from bayes_bm.runtime.table_files import check_ending, write_table

if TYPE_CHECKING:
    from bayes_bm.checks.cohort_scores import Score
    from bayes_bm.estimands.ranking import Ranking
    from bayes_bm.estimands.who import StudyEffects, Who
    from bayes_bm.inference.result import Result
    from bayes_bm.report.server import PatientPage
    from bayes_bm.spec.document import Spec

COMPARE_COLUMNS = (*("estimand", "treatment", "reference", "time", ESTIMATE, "prob_better", "label"),)
"""Columns of the printed table; `--json` has all."""


def compare(
    result_file: ResultFile,
    reference: Annotated[str | None, typer.Option(help="Another treatment to compare against.")] = None,
    who: WhoName = "average-study",
    population: MixValues = None,
    horizon: Horizon = None,
    times: Times = None,
    table_file: Annotated[
        Path | None, typer.Option("--to", help="Summary of findings as .csv, .tex or .xlsx, at the reference time.")
    ] = None,
    level: LevelValue = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Treatments against the reference."""
    from bayes_bm.estimands.compare import answer_table, compared_pairs
    from bayes_bm.estimands.mix_words import mix_words
    from bayes_bm.estimands.who import parse_who

    if table_file is not None:
        check_ending(table_file)
        check_places({"--to": table_file}, [result_file])
    if causes.one_joint([result_file]) is not None:
        if table_file is not None:
            raise InputError("--to", found="a joint result", allowed="a result of one endpoint", hint="leave it out")
        joint = causes.load_joint(result_file, allow_failed=allow_failed_gate, level=level)
        whole: dict[str, Any] = {"reference": reference, "horizon": horizon, "times": parse_times(times)}
        return causes.compare_joint(joint, parse_population(population, parse_who(who)), as_json=as_json, **whole)
    result = load_gated(result_file, allow_failed=allow_failed_gate, level=level)
    asked_about = parse_population(population, parse_who(who))
    if table_file is not None:
        from bayes_bm.estimands.findings import findings

        found = findings(result, who=asked_about)
        # a CSV is read by programs, the others by people
        write_table(found if table_file.suffix == ".csv" else in_words(found, result.spec), table_file)
    asked: dict[str, Any] = {"reference": reference, "horizon": horizon, "times": parse_times(times)}
    answers = list(compared_pairs(result, who=asked_about, **asked))
    chains = result.posterior.sizes["chain"]
    table = answer_table(answers, result.spec.interval, chains=chains)
    reconstruction = _reconstruction_document(result, answers)
    name, words = asked_about.name, mix_words(result, asked_about, reference=reference)
    mix_note = {"mix": words} if words else {}
    if as_json:
        rows, errors = split_errors(table, ["estimand", "treatment", "reference", "time"])
        document = {"who": name, **gate_field(result), "rows": json_rows(rows), "monte_carlo_errors": errors}
        return print_json({**document, **mix_note, **reconstruction})
    title = f"{result.spec.question} ({name}, {result.spec.time_unit})"
    print_table(in_words(table, result.spec), title, COMPARE_COLUMNS, result.spec.interval)
    print_words(error_words(table, result.spec.interval))
    if words:
        print_words(words)
    for document in reconstruction.values():
        print_words(document["note"])
    return None


def _reconstruction_document(result: "Result", answers: Sequence[tuple[dict[str, Any], Any]]) -> dict[str, Any]:
    """Return what rebuilding patients from curves adds to these answers (docs/decisions.md#19-multiple-imputation),
    empty where there are no curves.
    """
    from bayes_bm.estimands.imputation_variance import answer_variance
    from bayes_bm.report.answers import reconstruction_summary
    from bayes_bm.report.sentences import reconstruction_sentence

    imputed = reconstruction_summary(result)
    if imputed is None:
        return {}
    return {
        "reconstruction": {
            "arms": imputed.arms,
            "imputations": imputed.m,
            "note": reconstruction_sentence(imputed, result.spec),
            "variance": json_rows(answer_variance(result, answers)) if imputed.m > 1 else [],
        }
    }


def _patient_or_population(patient: str | None, population: str | None, on: "StudyEffects") -> "Who":
    """One patient with these covariates, or a population, or nobody but the studies."""
    from bayes_bm.estimands.who import Patient

    if patient is None:
        return parse_population(population, on)
    if population is not None:
        raise InputError("--population", found="beside --patient", allowed="one of the two")
    return Patient(parse_pairs(patient, "--patient"), on=on)


def incidence(
    result_files: Annotated[
        list[Path], typer.Argument(help="A joint result, or one result for each cause (cause = ... in its spec).")
    ],
    times: Annotated[str, typer.Option(help="Times, such as 6,12,24.")],
    who: WhoName = "new-study",
    patient: PatientValues = None,
    population: MixValues = None,
    alive_at: Annotated[
        float,
        typer.Option(parser=number_option("--alive-at", least=0), help="Given free of every cause at this time."),
    ] = 0.0,
    level: LevelValue = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Cumulative incidence of competing causes, such as local failure and death, of a joint model or a fit for each."""
    from bayes_bm.estimands.competing_risks import cumulative_incidence, incidence_table
    from bayes_bm.estimands.who import parse_who

    about = _patient_or_population(patient, population, parse_who(who))
    who = about.name
    asked: dict[str, Any] = {"times": parse_times(times) or [], "who": about, "alive_at": alive_at}
    joint_file = causes.one_joint(result_files)
    if joint_file is not None:
        joint = causes.load_joint(joint_file, allow_failed=allow_failed_gate, level=level)
        shares, first, said = cumulative_incidence(joint, **asked), joint.first, causes.gate_of(joint)
    else:
        refuse_options(
            {"--patient": patient, "--population": population}, "no patient and no population", ", of separate fits",
            hint="a patient has the same covariates for every cause; fit all causes in one model",
        )  # fmt: skip
        results = [load_gated(path, allow_failed=allow_failed_gate, level=level) for path in result_files]
        failed = [result for result in results if not result.gate.passed]
        shares, first, said = cumulative_incidence(results, **asked), results[0], gate_field((failed or results)[0])
    table = incidence_table(shares, first.spec.interval)
    if as_json:
        return print_json({"who": who, **said, "rows": json_rows(table)})
    table = in_words(table, first.spec)
    return print_table(table, f"cumulative incidence ({who}, {first.spec.time_unit})", level=first.spec.interval)


def rank(
    result_file: ResultFile,
    estimand: Annotated[
        str | None, typer.Option(help="log_hr (log_time_ratio of accelerated time; the default), rmst or survival.")
    ] = None,
    who: WhoName = "average-study",
    time: Annotated[
        float | None,
        typer.Option(
            parser=number_option("--time", greater_than=0), help="Time of survival, or of a hazard ratio that changes."
        ),
    ] = None,
    horizon: Horizon = None,
    classes: Annotated[
        bool, typer.Option("--classes", help="Rank classes of treatments in place of treatments.")
    ] = False,
    figure: Annotated[Path | None, typer.Option("--figure", help="Probability of every rank as a picture.")] = None,
    level: LevelValue = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Probability of every rank of every treatment; rank 1 is the lowest hazard or the longest time."""
    from bayes_bm.estimands.ranking import rank as rank_treatments
    from bayes_bm.estimands.who import parse_who

    check_figure(figure, [result_file])
    unused = ("--time", time) if estimand == "rmst" else ("--horizon", horizon)
    if unused[1] is not None:
        raise InputError(unused[0], found=f"{unused[1]:g}", allowed=_RANKED_BY, hint="leave it out")
    result = load_gated(result_file, allow_failed=allow_failed_gate, level=level)
    asked: dict[str, Any] = {"estimand": estimand, "who": parse_who(who), "time": time, "horizon": horizon}
    if classes:
        asked |= {"classes": True, "who": None if who == "average-study" else asked["who"]}
    ranking = rank_treatments(result, **asked)
    if figure is not None:
        from bayes_bm.report.plots.ranking import ranks_figure
        from bayes_bm.report.text import labels_of

        with labels_of(result.spec):
            save_figure(ranks_figure(ranking), figure)
    if as_json:
        return print_json(_ranking_document(result, ranking))
    return _print_ranking(ranking, result.spec)


_RANKED_BY = "--horizon with --estimand rmst, --time with any other"
"""Which of the two options an estimand has."""


def _ranking_document(result: "Result", ranking: "Ranking") -> dict[str, Any]:
    return {
        "who": ranking.who,
        **gate_field(result),
        "estimand": ranking.estimand,
        "time": ranking.time,
        "rank_1": ranking.first,
        "warning": ranking.warning,
        "rows": json_rows(ranking.table),
        "probabilities": json_rows(ranking.probabilities),
    }


def _print_ranking(ranking: "Ranking", spec: "Spec") -> None:
    """Print the ranks, a column for the probability of each, and the warning."""
    from bayes_bm.spec.effect_measure import measure_of

    wide = ranking.probabilities.pivot_table(index="treatment", columns="rank", values="probability")
    wide = wide.rename(columns="rank {}".format).reset_index()
    when = "" if ranking.time is None else f" at {ranking.time:g} {spec.time_unit}"
    what = f"log {measure_of(spec).words}" if ranking.estimand.startswith("log_") else ranking.estimand
    ends = [f"rank_{name}" for name in spec.interval.names]
    table = in_words(ranking.table, spec)
    # numbers in the order of a reader: what was ranked, the rank, how sure
    place = [f"{low:g} to {high:g}" for low, high in zip(*(table[name] for name in ends), strict=True)]
    table.insert(list(table).index(ends[0]), f"rank ({spec.interval.words})", place)
    title = f"{what}{when} ({ranking.who}); rank 1: {ranking.first}"
    columns = ["treatment", "class", ESTIMATE, "mean_rank", f"rank ({spec.interval.words})", "sucra", "label"]
    print_table(table, title, columns, spec.interval)
    each = ranking.table[["treatment"]].merge(wide, on="treatment")
    print_table(in_words(each, spec), "probability of each rank")
    print_words(ranking.warning)


def serve(
    result_file: ResultFile,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")] = 0,
    level: LevelValue = None,
    allow_failed_gate: AllowFailed = False,
) -> None:
    """The patient page in a browser, on this machine's own address only; Ctrl-C ends it."""
    from bayes_bm.report.server import PatientPage, server

    page = PatientPage(load_gated(result_file, allow_failed=allow_failed_gate, level=level))
    running = server(page, port)
    host, number = running.server_address[:2]
    with running:
        try:
            print(f"http://{host!s}:{number}/ answers for {result_file}; Ctrl-C ends it", file=sys.stderr, flush=True)
            # while somebody opens the page, what its first answer needs is worked out
            threading.Thread(target=_warm, args=(page,), daemon=True).start()
            running.serve_forever()
        except (KeyboardInterrupt, Stopped):
            print("ended", file=sys.stderr)


def _warm(page: "PatientPage") -> None:
    """Work out what every answer needs, and say when that is done."""
    began = time.perf_counter()
    page.warm()
    print(f"ready after {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def standardise(
    result_file: ResultFile,
    cohort: Annotated[Path, typer.Option("--cohort", help="CSV: a row a patient, a column a covariate.")],
    treatment: Treatments = None,
    excluded: Annotated[str | None, typer.Option("--without", help="Comma-separated: treatments to leave out.")] = None,
    times: Times = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="Ask about those of whom the cohort is a sample.")
    ] = False,
    who: WhoName = "new-study",
    level: LevelValue = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Survival of a whole cohort had all had the same treatment (g-computation), and differences."""
    from bayes_bm.estimands.standardization import standardise, standardised_table
    from bayes_bm.estimands.who import parse_who
    from bayes_bm.evidence.people import read_cohort

    result = load_gated(result_file, allow_failed=allow_failed_gate, level=level)
    patients = read_cohort(result.spec, cohort)
    asked: dict[str, Any] = {
        "times": parse_times(times) or list(result.spec.answer_times),
        "treatments": parse_names(treatment, "--treatment"),
        "without": parse_names(excluded, "--without") or [],
        "who": parse_who(who),
        "resample": resample,
    }
    table = standardised_table(standardise(result, patients, **asked), result.spec.interval)
    if as_json:
        return print_json({"who": who, "patients": len(patients), **gate_field(result), "rows": json_rows(table)})
    table = in_words(table, result.spec)
    return print_table(table, f"{len(patients)} patients, had all had one treatment ({who}, {result.spec.time_unit})")


def score(
    result_file: ResultFile,
    cohort: Annotated[Path, typer.Option("--cohort", help="CSV: time, event, treatment, and covariates.")],
    times: Times = None,
    calibration_time: Annotated[
        float | None,
        typer.Option(
            "--at",
            parser=number_option("--at", greater_than=0),
            help="Time of the calibration; the reference time if left out.",
        ),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Picture of observed against predicted, and D-calibration.")
    ] = None,
    who: WhoName = "new-study",
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """How predictions agree with a cohort's outcomes: Brier scores, concordance, calibration."""
    from bayes_bm.checks.cohort_scores import score_cohort
    from bayes_bm.estimands.who import parse_who
    from bayes_bm.evidence.people import read_cohort

    check_figure(figure, [result_file, cohort])
    result = load_gated(result_file, allow_failed=allow_failed_gate)
    patients = read_cohort(result.spec, cohort, outcomes=True)
    answer_times = parse_times(times)
    scores = score_cohort(result, patients, answer_times, at=calibration_time, who=parse_who(who))
    if figure is not None:
        from bayes_bm.report.plots.scoring import score_figure

        save_figure(score_figure(scores), figure)
    if as_json:
        return print_json({"who": who, **gate_field(result), **scores.document()})
    return _print_scores(scores, result.spec.time_unit)


def _print_scores(scores: "Score", time_unit: str) -> None:
    print_table(scores.brier, f"Brier scores of {scores.patients} patients; integrated {scores.integrated_brier:.4f}")
    print_table(scores.concordance, "concordance; risk: one less predicted survival at the time of the calibration")
    print_table(scores.calibration, f"survival at {scores.at:g} {time_unit}, in groups by prediction")
    print_table(scores.d_calibration, f"D-calibration: shares should be equal (p = {scores.d_p:.3g})")
