"""Commands that check: check, split, sensitivity, verify, simulate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_bm.cli.commands import causes
from bayes_bm.cli.limits import number_option
from bayes_bm.cli.options import (
    Json,
    ParallelOptions,
    ResultFile,
    SamplingOptions,
    Seed,
    Setting,
    SpecChanges,
    SpecName,
    expand_records,
    spec_inputs,
)
from bayes_bm.cli.parsing import parse_names, parse_pair, parse_pairs, parse_sizes
from bayes_bm.cli.printing import (
    ERR,
    ESTIMATE,
    OUT,
    gate_field,
    json_rows,
    precise_numbers,
    print_json,
    print_remarks,
    print_table,
    print_words,
    save_figure,
    show_progress,
)
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import check_folder, write_csv

if TYPE_CHECKING:
    import pandas as pd

    from bayes_bm.checks.check import Check
    from bayes_bm.checks.node_splitting import Splits
    from bayes_bm.checks.sensitivity import Sensitivity
    from bayes_bm.checks.small_studies import Funnel
    from bayes_bm.checks.studies_left_out import LeaveOneOut
    from bayes_bm.inference.result import Result
    from bayes_bm.spec.document import Spec

RECONCILIATION_COLUMNS = (
    *("study", "arm", "quantity", "printed", "reconstructed"),
    *("predicted", "predicted_low", "predicted_high", "p", "status"),
)
"""Columns of the printed table of reconciliation; `--json` has all."""
MISFIT_COLUMNS = ("flagged", "question", "worst", "asked", "p_question", "threshold")
"""Columns of the printed table of misfits."""
PARAMETER_COLUMNS = (
    *("parameter", "prior_mean", "prior_sd", "mean", "sd", "prior_only"),
    *("prior_sensitivity", "likelihood_sensitivity", "power_says"),
)
"""Columns of the printed table of parameters."""
LEAVE_ONE_OUT_COLUMNS = (
    *("study", "method", "pareto_k", "elpd"),
    *("ratio", "ratio_low", "ratio_high", "shift", "note"),
)
"""Columns of the printed table of studies left out."""
SPLIT_COLUMNS = ("treatment", "reference", "source", "studies", ESTIMATE, "p", "note")
"""Columns of the printed table of direct and indirect evidence."""
KNOWN_ANSWER_COLUMNS = ("verdict", "check", "expected", "found", "tolerance", "source")
"""Columns of the printed table of known answers."""


@expand_records
def simulate(
    spec_name: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for spec.toml, truth.json and a table a kind.")],
    seed: Seed = None,
    studies: Annotated[int, typer.Option(min=1, max=10_000, help="Number of studies in the world.")] = 14,
    sizes: Annotated[str, typer.Option(help="Fewest and most patients of an arm.")] = "20,80",
    mix: Annotated[
        str | None, typer.Option(help="kind=share,...: patients, points, medians, hazard_ratios, counts.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="TOML or JSON: parameters that are given, not drawn.")] = None,
    numbers: Annotated[
        str, typer.Option(help="patients (as a paper would) or likelihood (as the model says).")
    ] = "patients",
    wrong: Annotated[str | None, typer.Option(help="A wrong assumption by name, such as swapped_arms.")] = None,
    curves: Annotated[str | None, typer.Option(help="Patients as curves: drawn or clicked; or as figures.")] = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Each study's patients as a figure in some journal's style.")
    ] = False,
    click_error: Annotated[
        float,
        typer.Option(
            "--click-error",
            parser=number_option("--click-error", least=0, most=0.5),
            help="Sd of clicks, as a share of each axis.",
        ),
    ] = 0.003,
    clicks: Annotated[int, typer.Option(min=10, max=100_000, help="Number of clicks on each curve.")] = 100,
    *,
    changes: SpecChanges,
    as_json: Json = False,
) -> None:
    """A synthetic world from the model with recorded truth, and a spec that runs on it."""
    from bayes_bm.validation.simulation.world import DIGITIZED, FIGURES, WORLD_FILES, read_truth
    from bayes_bm.validation.simulation.world import simulate as simulate_world

    spec = changes.read(spec_name)
    inputs = [Path(spec_name), *([truth] if truth is not None else [])]
    check_folder("--out", out, WORLD_FILES, inputs)
    if figures and curves not in (None, "figures"):
        raise InputError("--figures", found=f"--curves {curves} too", allowed="one of the two")
    asked: dict[str, Any] = {"numbers": numbers, "wrong": wrong, "curves": "figures" if figures else curves}
    with show_progress("simulate") as say:
        say("drawing studies")
        world = simulate_world(
            spec,
            seed=seed,
            studies=studies,
            sizes=parse_sizes(sizes),
            mix=parse_pairs(mix, "--mix") or None,
            truth=None if truth is None else read_truth(truth),
            click_error=click_error,
            clicks=clicks,
            **asked,
        )
        say("writing")
        files = world.write(out)
    if as_json:
        return print_json({"spec": world.spec.name, "files": [str(file) for file in files], "truth": dict(world.truth)})
    import pandas as pd

    rows = pd.DataFrame(world.truth["answers"])
    print_table(rows[rows["time"].isna() | (rows["time"] == spec.reference_time)], "true answers")
    if world.figures:
        print_words(f"first: bayes-bm digitize {out / FIGURES} --endpoint {spec.endpoint} --out {out / DIGITIZED}")
    return print_words(f"written: {out}; next: bayes-bm run {out / 'spec.toml'} --out {out / 'run'}")


@dataclass(frozen=True)
class LeaveOneOutOptions:
    """What is left out in turn, and where the fits go."""

    leave_one_out: Annotated[
        str | None, typer.Option("--leave-one-out", help="study: leave out each study in turn.")
    ] = None
    treatment: Annotated[
        str | None, typer.Option(help="With --leave-one-out: the treatment compared; the first if left out.")
    ] = None
    out: Annotated[Path | None, typer.Option("--out", help="With --leave-one-out: folder; else leave_one_out.")] = None


@expand_records
def check(
    result_file: ResultFile, removal: LeaveOneOutOptions, parallel: ParallelOptions, as_json: Json = False
) -> None:
    """Gates, reconciliation, predictive checks, studies against each other. Exit status 1 where a gate refuses."""
    from bayes_bm.checks.check import check as check_result
    from bayes_bm.inference.result import load

    _check_leave_one_out_options(removal, parallel)
    folder = removal.out or result_file.parent / "leave_one_out"
    if removal.leave_one_out is not None:
        check_folder("--out", folder, ("studies.csv", "numbers.csv", "leave_one_out.png"), [result_file])
    if removal.leave_one_out is not None and causes.one_joint([result_file]):
        asked: dict[str, Any] = {"treatment": removal.treatment, **parallel.document()}
        return causes.leave_one_out_joint(result_file, folder, as_json=as_json, **asked)
    result = load(result_file)
    with show_progress(result.spec.name) as say:
        say("checking")
        checked = check_result(result)
    removed: dict[str, Any] = {}
    if removal.leave_one_out is not None:
        studies = _leave_one_out(result, folder, treatment=removal.treatment, parallel=parallel)
        removed = leave_one_out_document(studies, folder)
        if not as_json:
            print_leave_one_out(studies, folder)
    if as_json:
        print_json({**check_document(result, checked), **removed})
    else:
        print_check(result, checked)
    result.require_gate()
    return checked.require_no_red()


def _check_leave_one_out_options(removal: LeaveOneOutOptions, parallel: ParallelOptions) -> None:
    if removal.leave_one_out not in (None, "study"):
        raise InputError("--leave-one-out", found=removal.leave_one_out, allowed="study")
    if removal.leave_one_out is not None:
        return
    options = {"--treatment": removal.treatment, "--out": removal.out, "--scheduler": parallel.scheduler}
    for option, given in options.items():
        if given is not None:
            raise InputError(option, found=given, allowed="only with --leave-one-out study")


def check_document(result: "Result", checked: "Check") -> dict[str, Any]:
    """Return the JSON document of a check: gate, reconciliation, parameters and the battery."""
    battery = checked.battery
    return {
        **gate_field(result),
        "gate_rows": list(result.gate.rows),
        "reasons": list(result.gate.reasons),
        "reconciliation": json_rows(checked.reconciliation),
        "parameters": json_rows(_parameter_table(checked)),
        "flags": json_rows(battery.flags),
        "predictive": json_rows(battery.predictive),
        "studies": json_rows(battery.studies),
        "pit": json_rows(battery.pit),
        "first_events": json_rows(battery.first),
        "words": battery.sentences(),
        **({} if checked.mix is None else {"mix": {**checked.mix._asdict(), "text": checked.mix.text}}),
        **({} if checked.funnel is None else {"funnel": _funnel_document(checked.funnel)}),
        "heterogeneity_conflict": json_rows(checked.conflict),
    }


def _funnel_document(funnel: "Funnel") -> dict[str, Any]:
    numbers = {"slope": funnel.slope, "slope_se": funnel.slope_se, "p": funnel.p, "heterogeneity": funnel.heterogeneity}
    known = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return {**known, "sentence": funnel.sentence, "rows": json_rows(funnel.table)}


def print_check(result: "Result", checked: "Check") -> None:
    """Print gate, reconciliation, misfits with their sentences, and parameters."""
    import pandas as pd

    print_table(pd.DataFrame(result.gate.rows), f"convergence gate {result.gate.state}")
    print_table(checked.reconciliation, "reconciliation", RECONCILIATION_COLUMNS)
    print_table(checked.battery.flags, "misfits: arms, printed numbers, studies", MISFIT_COLUMNS)
    for text in (*checked.battery.sentences(), checked.battery.not_seen):
        print_words(f"- {text}")
    if checked.mix is not None:
        print_words(f"- {checked.mix.text}")
    if checked.funnel is not None:
        print_words(f"- {checked.funnel.sentence}")
    for row in checked.conflict.to_dict("records"):
        if row["says"]:
            print_words(f"- {row['parameter']}: {row['says']}.")
    OUT.print("")
    title = "prior and posterior, and how far either moves a parameter (power scaling; above 0.05 it matters)"
    print_table(_parameter_table(checked), title, PARAMETER_COLUMNS)


def _parameter_table(checked: "Check") -> "pd.DataFrame":
    return checked.parameters.drop(columns="prior")


def _leave_one_out(
    result: "Result", folder: Path, *, treatment: str | None, parallel: ParallelOptions
) -> "LeaveOneOut":
    """Leave out every study in turn; tables and picture go to the folder."""
    from bayes_bm.checks.leave_one_study_out import leave_one_out
    from bayes_bm.report.plots.leave_one_out import leave_one_out_figure
    from bayes_bm.report.text import labels_of

    with show_progress(result.spec.name) as progress:
        removed = leave_one_out(result, folder, treatment=treatment, **parallel.document(), say=progress)
    with labels_of(result.spec):
        page = leave_one_out_figure(removed.studies, title=result.spec.question, level=result.spec.interval)
        save_figure(page, folder / "leave_one_out.png")
    return removed


def leave_one_out_document(removed: "LeaveOneOut", folder: Path) -> dict[str, Any]:
    """Return what leaving out studies adds to the JSON document of a check."""
    return {
        "leave_one_out": json_rows(removed.studies),
        "leave_one_out_numbers": json_rows(removed.numbers),
        "leave_one_out_coverage": json_rows(removed.coverage),
        "leave_one_out_folder": str(folder),
    }


def print_leave_one_out(removed: "LeaveOneOut", folder: Path) -> None:
    """Print the contrast without each study, and how well the other studies foretell its numbers."""
    first = removed.studies.iloc[0]
    title = f"{first['measure']}, {first['treatment']} against {first['reference']}, without each study"
    print_table(removed.studies.replace({"study": {"": "(all studies)"}}), title, LEAVE_ONE_OUT_COLUMNS)
    print_table(removed.coverage, "printed numbers inside what the other studies foretell")
    print_words(f"written: {folder}")


@expand_records
def split(
    spec_name: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for splits.csv, models.csv and the fits kept.")],
    *,
    compare: Annotated[
        list[str] | None, typer.Option("--compare", help="A:B, a comparison to split; all if left out.")
    ] = None,
    unrelated: Annotated[bool, typer.Option(help="Fit unrelated mean effects too.")] = True,
    sampling: SamplingOptions,
    changes: SpecChanges,
    as_json: Json = False,
) -> None:
    """Direct against indirect evidence of every comparison that has both. A fit each, kept and not redone."""
    from bayes_bm.checks.node_splitting import node_splits
    from bayes_bm.evidence.audit import require_usable
    from bayes_bm.evidence.reading import read_evidence

    spec = changes.read(spec_name)
    check_folder("--out", out, ("splits.csv", "models.csv"), spec_inputs(spec_name, spec))
    evidence = read_evidence(spec)
    print_remarks(evidence)
    require_usable(spec, evidence)
    asked: dict[str, Any] = {"unrelated": unrelated, "sampling": sampling.chosen(), "folder": out}
    pairs = None if compare is None else [parse_pair(text) for text in compare]
    with show_progress(spec.name) as progress:
        splits = node_splits(spec, evidence, pairs=pairs, **asked, progress=progress)
    _write_splits(splits, out)
    if as_json:
        print_json(split_document(spec.name, splits))
    else:
        print_splits(splits)


def _write_splits(splits: "Splits", folder: Path) -> None:
    for name, table in {"splits": splits.table, "models": splits.models}.items():
        write_csv(table, folder / f"{name}.csv")


def split_document(name: str, splits: "Splits") -> dict[str, Any]:
    """Return the JSON document of split comparisons."""
    return {
        "spec": name,
        "measure": f"log {splits.measure}",
        "rows": json_rows(splits.table),
        "models": json_rows(splits.models),
        "comparisons": json_rows(splits.comparisons),
    }


def print_splits(splits: "Splits") -> None:
    """Print direct against indirect evidence, the models compared, and what could not be split."""
    title = f"log {splits.measure}, direct against indirect (p: twice the smaller tail)"
    print_table(splits.table, title, SPLIT_COLUMNS)
    print_table(splits.models, "deviance, effective parameters, DIC: only differences mean something")
    remaining = splits.comparisons[~splits.comparisons["split"].astype(bool)]
    if len(remaining):
        print_table(remaining, "not split", ["treatment", "reference", "studies", "why"])


@expand_records
def sensitivity(
    spec_name: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for sensitivity.csv, sensitivity.png and the fits kept.")],
    *,
    families: Annotated[str | None, typer.Option(help="Families, comma-separated; the usual ones if left out.")] = None,
    only: Annotated[str | None, typer.Option(help="Comma-separated names of analyses; the base always stays.")] = None,
    cross: Annotated[bool, typer.Option("--cross", help="Every family under every named analysis too.")] = False,
    treatment: Annotated[str | None, typer.Option(help="Treatment that is compared; the first if left out.")] = None,
    sampling: SamplingOptions,
    parallel: ParallelOptions,
    settings: Setting = None,
    as_json: Json = False,
) -> None:
    """The main answer under every named analysis and every hazard family. A fit each, kept and not redone."""
    if causes.of_several(spec_name):
        one_endpoint = {"--families": families, "--cross": cross or None, "--treatment": treatment}
        one_endpoint["--scheduler"] = parallel.scheduler
        asked_joint: dict[str, Any] = {"only": parse_names(only, "--only"), "as_json": as_json}
        return causes.sensitivity_joint(spec_name, out, SpecChanges(settings), sampling, one_endpoint, **asked_joint)
    from bayes_bm.checks.sensitivity import sensitivity as every_analysis
    from bayes_bm.report.plots.sensitivity import sensitivity_figure
    from bayes_bm.report.text import labels_of

    spec = SpecChanges(settings).read(spec_name)
    check_folder("--out", out, ("sensitivity.csv", "sensitivity.png"), spec_inputs(spec_name, spec))
    asked: dict[str, Any] = {
        "families": parse_names(families, "--families"),
        "only": parse_names(only, "--only"),
        "cross": cross,
    }
    with show_progress(spec.name) as progress:
        analyses = every_analysis(
            spec,
            out,
            **asked,
            treatment=treatment,
            sampling=sampling.document(),
            **parallel.document(),
            say=progress,
        )
    table, picture = out / "sensitivity.csv", out / "sensitivity.png"
    if analyses.changed or not picture.is_file():
        shown = {"time_unit": analyses.time_unit, "title": spec.question, "level": spec.interval}
        with labels_of(spec):
            save_figure(sensitivity_figure(analyses.table, **shown), picture)
    print_words(f"{spec.name}: {analyses.told}", ERR)
    if as_json:
        print_json(sensitivity_document(spec.name, analyses, [table, picture]))
    else:
        print_sensitivity(spec, analyses, [table, picture])
    return analyses.require_some()


def sensitivity_document(name: str, analyses: "Sensitivity", files: Sequence[Path]) -> dict[str, Any]:
    """Return the JSON document of all analyses."""
    return {
        "spec": name,
        "fitted": analyses.fitted,
        "kept": analyses.kept,
        "failed": analyses.failed,
        "files": [str(file) for file in files],
        "rows": json_rows(analyses.table),
    }


def print_sensitivity(spec: "Spec", analyses: "Sensitivity", files: Sequence[Path]) -> None:
    """Print the answer under every analysis, notes on single ones, and where the files are."""
    from bayes_bm.report.sentences import sensitivity_table

    table = sensitivity_table(analyses.table, spec)
    aside = ("family", "seconds", "remark")
    columns = [str(name) for name in table if name not in aside]
    print_table(table, f"{spec.question}: under every analysis", columns)
    for row in analyses.table[analyses.table["note"].fillna("") != ""].to_dict("records"):
        print_words(f"- {row['analysis']}: {row['note']}")
    print_words(f"written: {', '.join(map(str, files))}")


def verify(
    quick: Annotated[bool, typer.Option("--quick", help="Those that take seconds: under a minute in all.")] = False,
    as_json: Json = False,
) -> None:
    """Published and closed-form answers, recomputed here. Exit status 1 where one is not found."""
    from bayes_bm.runtime.errors import GateRefused
    from bayes_bm.validation.known_answers.verify import verify as known_answers

    with show_progress("verify") as progress:
        table = known_answers(quick=quick, say=progress)
    failed = table[~table["passed"].astype(bool)]
    if as_json:
        print_json({"passed": failed.empty, "checks": len(table), "failed": len(failed), "rows": json_rows(table)})
    else:
        for group, rows in table.groupby("group", sort=False):
            shown = rows.assign(found=precise_numbers(rows["found"]), expected=precise_numbers(rows["expected"]))
            shown = shown.assign(verdict=["pass" if passed else "FAIL" for passed in rows["passed"]])
            print_table(shown, str(group), KNOWN_ANSWER_COLUMNS)
        print_words(f"{len(table) - len(failed)} of {len(table)} known answers found")
    if len(failed):
        raise GateRefused("; ".join(f"{row['group']}: {row['check']}" for row in json_rows(failed)))
