"""Commands that check: check, split, sensitivity, verify, simulate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bayes_bm.cli.commands.answers import PARAMETER_COLUMNS
from bayes_bm.cli.options import Draws, Json, ResultFile, Scheduler, Seed, Sensitivity, Setting, SideBySide, SpecName
from bayes_bm.cli.parsing import parse_changes, parse_names, parse_pair, parse_pairs, parse_sizes
from bayes_bm.cli.printing import (
    ERR,
    OUT,
    RECONCILIATION_COLUMNS,
    gate_field,
    json_rows,
    precise_numbers,
    print_json,
    print_table,
    save_figure,
    show_progress,
)
from bayes_bm.runtime.errors import InputError

if TYPE_CHECKING:
    from bayes_bm.inference.result import Result


def simulate(
    spec: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for spec.toml, truth.json and a table a kind.")],
    seed: Seed = None,
    studies: Annotated[int, typer.Option(min=1, help="Studies in the world.")] = 14,
    sizes: Annotated[str, typer.Option(help="Fewest and most patients of an arm.")] = "20,80",
    mix: Annotated[
        str | None, typer.Option(help="kind=share,...: patients, points, medians, hazard_ratios, counts.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="TOML or JSON: parameters that are given, not drawn.")] = None,
    numbers: Annotated[
        str, typer.Option(help="patients (as a paper would) or likelihood (as the model says).")
    ] = "patients",
    wrong: Annotated[str | None, typer.Option(help="A wrong assumption by name, such as swapped_arms.")] = None,
    curves: Annotated[str | None, typer.Option(help="Patients as curves: drawn or clicked.")] = None,
    click_error: Annotated[float, typer.Option("--click-error", min=0.0, help="Share of each axis.")] = 0.003,
    clicks: Annotated[int, typer.Option(min=10, help="On each curve.")] = 100,
    settings: Setting = None,
    sensitivity: Sensitivity = None,
    as_json: Json = False,
) -> None:
    """A synthetic world from the model with recorded truth, and a spec that runs on it."""
    from bayes_bm.spec.reading import read_spec
    from bayes_bm.validation.simulation.world import read_truth
    from bayes_bm.validation.simulation.world import simulate as made

    found = read_spec(spec, sensitivity=sensitivity, changes=parse_changes(settings))
    asked: dict[str, Any] = {"numbers": numbers, "wrong": wrong, "curves": curves}
    world = made(
        found,
        seed=seed,
        studies=studies,
        sizes=parse_sizes(sizes),
        mix=parse_pairs(mix, "--mix") or None,
        truth=None if truth is None else read_truth(truth),
        click_error=click_error,
        clicks=clicks,
        **asked,
    )
    files = world.write(out)
    if as_json:
        return print_json({"spec": world.spec.name, "files": [str(file) for file in files], "truth": world.truth})
    import pandas as pd

    rows = pd.DataFrame(world.truth["answers"])
    print_table(rows[rows["time"].isna() | (rows["time"] == found.reference_time)], "true answers")
    return OUT.print(Text(f"written: {out}; next: bayes-bm run {out / 'spec.toml'} --out {out / 'run'}"))


def check(
    result_file: ResultFile,
    leave_one_out: Annotated[
        str | None, typer.Option("--leave-one-out", help="study: leave out each study in turn.")
    ] = None,
    treatment: Annotated[
        str | None, typer.Option(help="With --leave-one-out: of the contrast; the first that is compared.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --leave-one-out: folder; leave_one_out beside the result.")
    ] = None,
    cores: SideBySide = 1,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> None:
    """Gates, reconciliation, predictive checks, studies against each other. Exit status 1 where a gate refuses."""
    from bayes_bm.checks.check import check as check_result
    from bayes_bm.inference.result import load

    if leave_one_out not in (None, "study"):
        raise InputError("--leave-one-out", found=leave_one_out, allowed="study")
    if leave_one_out is None:
        for option, given in {"--treatment": treatment, "--out": out, "--scheduler": scheduler}.items():
            if given is not None:
                raise InputError(option, found=given, allowed="only with --leave-one-out study")
    result = load(result_file)
    done = check_result(result)
    parameters = done.parameters.drop(columns="prior")
    asked: dict[str, Any] = {"treatment": treatment, "cores": cores, "scheduler": scheduler}
    folder = out or result_file.parent / "leave_one_out"
    left = {} if leave_one_out is None else _leave_one_out(result, folder, asked, show=not as_json)
    if as_json:
        tables = {"reconciliation": json_rows(done.reconciliation), "parameters": json_rows(parameters)}
        of = done.battery
        tables |= {
            "flags": json_rows(of.flags),
            "predictive": json_rows(of.predictive),
            "studies": json_rows(of.studies),
        }
        tables |= {"pit": json_rows(of.pit), "first_events": json_rows(of.first), "words": of.sentences()}
        gate = {"gate_rows": list(result.gate.rows), "reasons": list(result.gate.reasons)}
        print_json({**gate_field(result), **gate, **tables, **left})
    else:
        import pandas as pd

        print_table(pd.DataFrame(result.gate.rows), f"convergence gate {result.gate.state}")
        print_table(done.reconciliation, "reconciliation", RECONCILIATION_COLUMNS)
        columns = ["flagged", "question", "worst", "asked", "p_question", "threshold"]
        print_table(done.battery.flags, "misfits: arms, printed numbers, studies", columns)
        for text in (*done.battery.sentences(), done.battery.not_seen):
            OUT.print(Text(f"- {text}"))
        OUT.print("")
        print_table(
            parameters,
            "prior and posterior, and how far either moves a parameter (power scaling; above 0.05 it matters)",
            [name for name in PARAMETER_COLUMNS if name in parameters],
        )
    result.require_gate()
    done.require_no_red()


def _leave_one_out(result: "Result", folder: Path, asked: dict[str, Any], *, show: bool) -> dict[str, Any]:
    """Every study left out in turn; tables and picture in the folder."""
    from bayes_bm.checks.leave_one_study_out import leave_one_out
    from bayes_bm.report.plots.leave_one_out import leave_one_out_figure

    with show_progress(result.spec.name) as say:
        done = leave_one_out(result, folder, **asked, say=say)
    save_figure(leave_one_out_figure(done.studies, title=result.spec.question), folder / "leave_one_out.png")
    if show:
        columns = ["study", "method", "pareto_k", "elpd", "ratio", "ratio_low", "ratio_high", "shift", "note"]
        first = done.studies.iloc[0]
        title = f"{first['measure']}, {first['treatment']} against {first['reference']}, without each study"
        print_table(done.studies.replace({"study": {"": "(all studies)"}}), title, columns)
        print_table(done.coverage, "printed numbers inside what the other studies foretell")
        OUT.print(Text(f"written: {folder}"))
    tables = {"leave_one_out": done.studies, "leave_one_out_numbers": done.numbers}
    return {name: json_rows(table) for name, table in tables.items()} | {
        "leave_one_out_coverage": json_rows(done.coverage),
        "leave_one_out_folder": str(folder),
    }


def split(
    spec: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for splits.csv, models.csv and the fits kept.")],
    compare: Annotated[
        list[str] | None, typer.Option("--compare", help="A:B, one comparison to split; all where left out.")
    ] = None,
    unrelated: Annotated[bool, typer.Option(help="Fit unrelated mean effects too.")] = True,
    draws: Draws = None,
    tune: Draws = None,
    chains: Draws = None,
    seed: Seed = None,
    settings: Setting = None,
    sensitivity: Sensitivity = None,
    as_json: Json = False,
) -> None:
    """Direct against indirect evidence of every comparison that has both. A fit each, kept and not redone."""
    from bayes_bm.checks.node_splitting import node_splits
    from bayes_bm.evidence.audit import require_usable
    from bayes_bm.evidence.reading import read_evidence
    from bayes_bm.runtime.files import atomic_write
    from bayes_bm.spec.reading import read_spec

    found = read_spec(spec, sensitivity=sensitivity, changes=parse_changes(settings))
    evidence = read_evidence(found)
    require_usable(found, evidence)
    asked = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
    given = {name: value for name, value in asked.items() if value is not None}
    pairs = None if compare is None else [parse_pair(text) for text in compare]
    with show_progress(found.name) as say:
        done = node_splits(found, evidence, pairs=pairs, unrelated=unrelated, sampling=given, folder=out, say=say)
    for name, table in {"splits": done.table, "models": done.models}.items():
        with atomic_write(out / f"{name}.csv") as file:
            table.to_csv(file, index=False)
    if as_json:
        tables = {"rows": done.table, "models": done.models, "comparisons": done.comparisons}
        listed = {name: json_rows(table) for name, table in tables.items()}
        return print_json({"spec": found.name, "measure": f"log {done.measure}", **listed})
    columns = ["treatment", "reference", "source", "studies", "median", "q2_5", "q97_5", "p", "note"]
    print_table(done.table, f"log {done.measure}, direct against indirect (p: twice the smaller tail)", columns)
    print_table(done.models, "deviance, effective parameters, DIC: only differences mean something")
    left = done.comparisons[~done.comparisons["split"].astype(bool)]
    if len(left):
        print_table(left, "not split", ["treatment", "reference", "studies", "why"])
    return None


def sensitivity(
    spec: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for sensitivity.csv, sensitivity.png and the fits kept.")],
    families: Annotated[str | None, typer.Option(help="Comma-separated; every family where left out.")] = None,
    only: Annotated[str | None, typer.Option(help="Comma-separated names of analyses; the base always stays.")] = None,
    cross: Annotated[bool, typer.Option("--cross", help="Every family under every named analysis too.")] = False,
    treatment: Annotated[str | None, typer.Option(help="Of the main contrast; the first that is compared.")] = None,
    draws: Draws = None,
    tune: Draws = None,
    chains: Draws = None,
    seed: Seed = None,
    cores: SideBySide = 1,
    scheduler: Scheduler = None,
    settings: Setting = None,
    as_json: Json = False,
) -> None:
    """The main answer under every named analysis and every hazard family. A fit each, kept and not redone."""
    from bayes_bm.checks.sensitivity import sensitivity as every_analysis
    from bayes_bm.report.plots.sensitivity import sensitivity_figure
    from bayes_bm.spec.reading import read_spec

    found = read_spec(spec, changes=parse_changes(settings))
    picture = out / "sensitivity.png"
    with show_progress(found.name) as say:
        done = every_analysis(
            found,
            out,
            families=parse_names(families),
            only=parse_names(only),
            cross=cross,
            treatment=treatment,
            sampling={"draws": draws, "tune": tune, "chains": chains, "seed": seed},
            cores=cores,
            scheduler=scheduler,
            say=say,
        )
    if done.changed or not picture.is_file():
        save_figure(sensitivity_figure(done.table, time_unit=done.time_unit, title=found.question), picture)
    ERR.print(Text(f"{found.name}: {done.told}"))
    if as_json:
        counts = {"fitted": done.fitted, "kept": done.kept, "failed": done.failed}
        files = [str(out / "sensitivity.csv"), str(picture)]
        return print_json({"spec": found.name, **counts, "files": files, "rows": json_rows(done.table)})
    from bayes_bm.report.sentences import sensitivity_table

    shown = sensitivity_table(done.table, found)
    aside = ("family", "seconds", "remark")
    columns = [str(name) for name in shown if name not in aside]
    print_table(shown, f"{found.question}: under every analysis", columns)
    for row in done.table[done.table["note"].fillna("") != ""].to_dict("records"):
        OUT.print(Text(f"- {row['analysis']}: {row['note']}"))
    return OUT.print(Text(f"written: {out / 'sensitivity.csv'}, {picture}"))


def verify(
    quick: Annotated[bool, typer.Option("--quick", help="Those that take seconds: under a minute in all.")] = False,
    as_json: Json = False,
) -> None:
    """Published and closed-form answers, recomputed here. Exit status 1 where one is not found."""
    from bayes_bm.runtime.errors import GateRefused
    from bayes_bm.validation.known_answers.verify import verify as known_answers

    with show_progress("verify") as say:
        table = known_answers(quick=quick, say=say)
    failed = table[~table["passed"].astype(bool)]
    if as_json:
        print_json({"passed": failed.empty, "checks": len(table), "failed": len(failed), "rows": json_rows(table)})
    else:
        for group, rows in table.groupby("group", sort=False):
            shown = rows.assign(found=precise_numbers(rows["found"]), expected=precise_numbers(rows["expected"]))
            shown = shown.assign(verdict=["pass" if passed else "FAIL" for passed in rows["passed"]])
            print_table(shown, str(group), ["verdict", "check", "expected", "found", "tolerance", "source"])
        OUT.print(Text(f"{len(table) - len(failed)} of {len(table)} known answers found"))
    if len(failed):
        raise GateRefused("; ".join(f"{row['group']}: {row['check']}" for row in json_rows(failed)))
