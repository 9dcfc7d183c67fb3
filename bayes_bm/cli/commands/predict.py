"""The command `predict`: what one patient, or each of many, may expect under each treatment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    expand_records,
)
from bayes_bm.cli.parsing import load_gated, parse_names, parse_pairs, parse_population, parse_times
from bayes_bm.cli.printing import (
    ERR,
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
    show_progress,
    split_errors,
)
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import check_places
from bayes_bm.runtime.table_files import check_ending, write_table

if TYPE_CHECKING:
    import pandas as pd

    from bayes_bm.estimands.who import Who
    from bayes_bm.inference.result import Result
    from bayes_bm.spec.document import Spec

COLUMNS = (
    *("patient", "treatment", "reference", "estimand", "time"),
    *(ESTIMATE, "prob_better", "label"),
)
"""Columns of the printed table; `--json` has all."""
MARGIN_COLUMNS = (*COLUMNS[:-1], "margin", "prob_better_by_margin", "label")
"""The same where `--margin` is given."""
PRIOR_ONLY = "prior only: "
"""How the mark of a label begins that names coefficients which no evidence informs."""
SPREAD_OF_ONE = "one patient's spread, not the uncertainty of the curve"
"""What outcomes are, said above their table, for they are easily taken for the curve's interval."""
SCREEN = 50
"""Up to so many rows of a file of patients are printed, whole patients and one at least: about a screen."""
WITH_ERRORS = 20
"""Up to so many patients have their Monte Carlo errors said: of more they would take longer than the answers."""
FEW = 3
"""Up to so many patients each have their distance to the evidence said; of more, the first alone."""


@dataclass(frozen=True)
class PredictOptions:
    """The options of `predict` as typed."""

    patient: PatientValues = None
    patients: Annotated[Path | None, typer.Option(help="CSV with a column a covariate, and optionally `patient`.")] = (
        None
    )
    treatment: Treatments = None
    excluded: Annotated[
        str | None, typer.Option("--without", help="Comma-separated: treatments that the patient cannot have.")
    ] = None
    times: Times = None
    alive_at: Annotated[
        float,
        typer.Option("--alive-at", parser=number_option("--alive-at", least=0), help="Given alive at this time."),
    ] = 0.0
    horizon: Horizon = None
    margin: Annotated[
        str | None, typer.Option(help="rmst=1,survival=0.05: the probability of being better by more than that.")
    ] = None
    estimand: Annotated[
        str | None, typer.Option(help="Comma-separated: survival, median, rmst (the default), hazard, quantile:0.25.")
    ] = None
    outcomes: Annotated[bool, typer.Option("--outcomes", help="Add what could happen to one such patient.")] = False
    figure: Annotated[Path | None, typer.Option("--figure", help="Picture of curves, and of outcomes below them.")] = (
        None
    )
    out: Annotated[Path | None, typer.Option("--out", help="Table of all rows, as .csv, .tex or .xlsx.")] = None
    who: WhoName = "new-study"
    population: MixValues = None
    level: LevelValue = None


@dataclass(frozen=True)
class PredictRequest:
    """What is asked about which patients, read and checked.

    `names` are those of a file of patients, None for one patient. `margins` is empty where none is asked about;
    `who_name` is `who` as typed. `outcomes` says whether single outcomes are asked for beside the curve.
    """

    patients: Sequence[Mapping[str, float]]
    names: Sequence[str] | None
    treatments: Sequence[str] | None
    excluded: Sequence[str]
    who_name: str
    who: "Who"
    times: Sequence[float] | None
    alive_at: float
    horizon: float | None
    margins: Mapping[str, float]
    with_margin: bool
    estimands: Sequence[str]
    outcomes: bool

    @property
    def titles(self) -> list[str]:
        """Return what each patient is called: by name, or by number."""
        return list(self.names or [str(place + 1) for place in range(len(self.patients))])

    @property
    def together(self) -> bool:
        """Return whether patients of a population are asked about together."""
        from bayes_bm.estimands.who import PatientMix

        return isinstance(self.who, PatientMix)

    @property
    def by_title(self) -> dict[str, Mapping[str, float]]:
        """Return the covariates of each patient, by title."""
        return dict(zip(self.titles, self.patients, strict=True))

    @property
    def conditions(self) -> dict[str, Any]:
        """Return the arguments that curves, outcomes and figures share."""
        return {
            "treatments": self.treatments,
            "without": self.excluded,
            "alive_at": self.alive_at,
            "who": self.who,
        }


@dataclass(frozen=True)
class Predictions:
    """The tables that answer a request: a row an estimand, and outcomes of one such patient by title."""

    table: "pd.DataFrame"
    outcomes: "Mapping[str, pd.DataFrame]"


@expand_records
def predict(
    result_file: ResultFile, options: PredictOptions, allow_failed_gate: AllowFailed = False, as_json: Json = False
) -> None:
    """Survival, median and restricted mean of one patient or of many, under each treatment."""
    inputs = [result_file, *([options.patients] if options.patients else [])]
    check_figure(options.figure, inputs)
    if options.out is not None:
        check_ending(options.out, "--out")
    check_places({"--out": options.out}, inputs)
    result = load_gated(result_file, allow_failed=allow_failed_gate, level=options.level)
    request = parse_request(result.spec, options)
    with show_progress(result.spec.name) as say:
        say("predicting")
        predictions = answer_request(result, request)
    if options.figure is not None:
        _save_patient_figure(result, request, options.figure)
    if options.out is not None:
        write_table(predictions.table, options.out)
    if as_json:
        print_json(predict_document(result, request, predictions))
    else:
        print_predictions(result, request, predictions)


def parse_request(spec: "Spec", options: PredictOptions) -> PredictRequest:
    """Return the request that the options mean. Raises `InputError` where they exclude each other."""
    from bayes_bm.estimands.estimand_rows import ESTIMANDS
    from bayes_bm.estimands.who import parse_who

    patients, names = _read_patients(spec, options)
    who = parse_population(options.population, parse_who(options.who))
    if options.population is not None:
        _refuse_beside_population(options)
        names = ["population"]
    return PredictRequest(
        patients=patients,
        names=names,
        treatments=parse_names(options.treatment, "--treatment"),
        excluded=parse_names(options.excluded, "--without") or [],
        who_name=who.name,
        who=who,
        times=parse_times(options.times),
        alive_at=options.alive_at,
        horizon=options.horizon,
        margins=parse_pairs(options.margin, "--margin"),
        with_margin=options.margin is not None,
        estimands=parse_names(options.estimand, "--estimand") or ESTIMANDS,
        outcomes=options.outcomes,
    )


def _read_patients(spec: "Spec", options: PredictOptions) -> tuple[list[dict[str, float]], list[str] | None]:
    """Return covariates of each patient, and names where a file gives them."""
    if options.patient is not None and options.patients is not None:
        raise InputError("--patient, --patients", found="both", allowed="one of them")
    if options.patients is None:
        return [parse_pairs(options.patient)], None
    from bayes_bm.evidence.people import read_people

    people = read_people(spec, options.patients)
    if options.figure is not None and len(people.patients) > 1:
        raise InputError("--figure", found=f"{len(people.patients)} patients", allowed="one patient")
    return people.patients, people.names


def _refuse_beside_population(options: PredictOptions) -> None:
    """Refuse what speaks of one patient where many are asked about together."""
    single = {
        "--patient": options.patient,
        "--patients": options.patients,
        "--outcomes": options.outcomes or None,
        "--figure": options.figure,
    }
    for option, value in single.items():
        if value is not None:
            raise InputError(f"--population, {option}", found="both", allowed="one of them")


def answer_request(result: "Result", request: PredictRequest) -> Predictions:
    """Return the tables that the library gives for the request."""
    from bayes_bm.estimands.predict import predict as predict_patients

    table = predict_patients(
        result,
        request.patients,
        **request.conditions,
        times=request.times,
        names=request.names,
        horizon=request.horizon,
        margins=request.margins,
        estimands=request.estimands,
        errors=len(request.patients) <= WITH_ERRORS,
    )
    return Predictions(table, _outcome_tables(result, request) if request.outcomes else {})


def _outcome_tables(result: "Result", request: PredictRequest) -> "dict[str, pd.DataFrame]":
    """Return what could happen to each patient, by title."""
    from bayes_bm.estimands.outcomes import outcome_table, outcomes, remaining_times

    times = remaining_times(result, request.times, request.alive_at)
    return {
        title: outcome_table(outcomes(result, patient, **request.conditions), times)
        for title, patient in request.by_title.items()
    }


def _save_patient_figure(result: "Result", request: PredictRequest, path: Path) -> None:
    """Write the curves and outcomes of the one patient."""
    from bayes_bm.estimands.patient_curves import patient_curves
    from bayes_bm.report.plots.patient import patient_figure

    curves = patient_curves(result, request.patients[0], **request.conditions, horizon=request.horizon)
    save_figure(patient_figure(curves), path)


def predict_document(result: "Result", request: PredictRequest, predictions: Predictions) -> dict[str, Any]:
    """Return the JSON document: rows, what became of each patient's covariates, and outcomes where asked for."""
    from bayes_bm.evidence.coefficient_words import informed_by
    from bayes_bm.evidence.covariate_notes import reading_at_centres

    patients = {} if request.together else request.by_title
    rows, errors = split_errors(predictions.table, ["patient", "estimand", "treatment", "reference", "time"])
    notes = [_mix_note(result, request), reading_at_centres(result.spec, result.evidence)]
    document = {
        "who": request.who_name,
        "alive_at": request.alive_at,
        **gate_field(result),
        "rows": json_rows(rows),
        **({"monte_carlo_errors": errors} if errors else {}),
        "patients": [_patient_document(result, title, patient) for title, patient in patients.items()],
        "informed_by": informed_by(result.spec, result.evidence),
        "notes": [text for text in notes if text],
    }
    if request.outcomes:
        document["outcomes"] = [
            {"patient": title, **row} for title, table in predictions.outcomes.items() for row in json_rows(table)
        ]
    return document


def _patient_document(result: "Result", title: str, patient: Mapping[str, float]) -> dict[str, Any]:
    """Return what was given of a patient, what became of the rest, and how far the patient is from the evidence."""
    from bayes_bm.estimands.predict import patient_distance, patient_missing

    missing = patient_missing(result, patient)
    return {
        "patient": title,
        "given": patient,
        "distance": patient_distance(result, patient).document(),
        "averaged_over_the_evidence": list(missing.averaged),
        "at_the_centre": list(missing.centred),
    }


def print_answers(table: "pd.DataFrame", spec: "Spec", title: str, columns: Sequence[str] = COLUMNS[1:]) -> None:
    """Print answers for patients, and below them what their marks mean."""
    marks = sorted({mark for label in table["label"] for mark in label.split("; ") if mark.startswith(PRIOR_ONLY)})
    starred = table.assign(label=[_star_prior_only(label) for label in table["label"]])
    print_table(in_words(starred, spec), title, columns, spec.interval)
    for mark in marks:
        print_words(f"* {mark}: no evidence here informs these coefficients")


def print_predictions(result: "Result", request: PredictRequest, predictions: Predictions) -> None:
    """Print the tables, what their marks mean and, on standard error, how far each patient is from the evidence."""
    shown = _first_patients(predictions.table, request)
    table = predictions.table.iloc[: shown * len(predictions.table) // len(request.titles)]
    title = f"{result.spec.question} ({request.who_name}, {result.spec.time_unit})"
    print_answers(table, result.spec, title, _columns(request))
    if len(request.patients) <= WITH_ERRORS:
        print_words(error_words(predictions.table, result.spec.interval))
    if shown < len(request.titles):
        more = f"{len(request.titles) - shown:,} more patients, {len(predictions.table) - len(table):,} rows"
        print_words(f"{more}, are in `--out FILE.csv` and in `--json`.")
    for name, rows in list(predictions.outcomes.items())[:shown]:
        title = f"what could happen to one such patient ({name}): times of the event, {SPREAD_OF_ONE}"
        print_table(in_words(rows, result.spec), title)
    if text := _mix_note(result, request):
        print_words(text)
    if result.spec.covariates and not request.together:
        _print_distances(result, request)


def _first_patients(table: "pd.DataFrame", request: PredictRequest) -> int:
    """Return how many patients are printed; each has as many rows as the others."""
    patients = len(request.titles)
    return min(patients, max(1, SCREEN * patients // max(len(table), 1)))


def _columns(request: PredictRequest) -> Sequence[str]:
    """Return the printed columns; of one patient without a name none that names him."""
    columns = MARGIN_COLUMNS if request.with_margin else COLUMNS
    return columns[1:] if list(request.titles) == ["1"] else columns


def _mix_note(result: "Result", request: PredictRequest) -> str:
    """Return whom a population's answers are averaged over; nothing of single patients."""
    from bayes_bm.estimands.mix_words import mix_words

    return mix_words(result, request.who) if request.together else ""


def _star_prior_only(label: str) -> str:
    """Return the label with the long mark of prior-only coefficients as a star, explained below the table."""
    return "; ".join("*" if mark.startswith(PRIOR_ONLY) else mark for mark in label.split("; "))


def _print_distances(result: "Result", request: PredictRequest) -> None:
    """Say, of few patients or of the first, what became of covariates left out and how far the evidence is; of all,
    whether arms are read at the covariates' centres.
    """
    from bayes_bm.estimands.predict import patient_distance, patient_missing
    from bayes_bm.evidence.coefficient_words import informed_sentence
    from bayes_bm.evidence.covariate_notes import reading_at_centres

    several = len(request.patients) > 1
    patients = list(zip(request.titles, request.patients, strict=True))
    for title, patient in patients[:1] if len(patients) > FEW else patients:
        for text in filter(None, (patient_missing(result, patient).text, patient_distance(result, patient).text)):
            print_words(f"patient {title}: {text}" if several else text, ERR)
    given = dict.fromkeys(name for patient in request.patients for name in patient)
    texts = informed_sentence(result.spec, result.evidence, given), reading_at_centres(result.spec, result.evidence)
    for text in filter(None, texts):
        print_words(text, ERR)
