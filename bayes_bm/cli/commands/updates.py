"""Commands about evidence that moves: plan, diff, rerun."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bayes_bm.cli.commands import causes
from bayes_bm.cli.limits import number_option
from bayes_bm.cli.options import AllowFailed, Cores, Horizon, Json, ResultFile, Seed
from bayes_bm.cli.parsing import load_gated, parse_times
from bayes_bm.cli.printing import (
    check_figure,
    gate_field,
    json_rows,
    print_json,
    print_table,
    print_words,
    save_figure,
    show_progress,
)
from bayes_bm.runtime.errors import GateRefused
from bayes_bm.runtime.files import check_places, write_csv

if TYPE_CHECKING:
    from bayes_bm.inference.causes.result import JointResult
    from bayes_bm.inference.result import Result
    from bayes_bm.updates.plan import Plan

PLAN_COLUMNS = (
    *("design", "treatment", "n", "studies", "width_now", "expected_width", "prob_excludes_1"),
    *("prob_better_by_margin", "prob_worse_by_margin", "expected_gain", "method", "pareto_k"),
)
"""Columns of the printed table; `--json` has all."""


def plan(
    result_file: ResultFile,
    design: Annotated[Path, typer.Option("--design", help="TOML with [[design]] tables (docs/planning.md).")],
    sizes: Annotated[
        str, typer.Option("--sizes", help="Each design at so many times its patients, or its studies.")
    ] = "0.5,1,2",
    futures: Annotated[
        int, typer.Option("--futures", help="Number of studies simulated for each design and size.")
    ] = 100,
    margin: Annotated[
        float,
        typer.Option(parser=number_option("--margin", greater_than=0), help="Hazard ratio that counts as better."),
    ] = 0.9,
    horizon: Horizon = None,
    who: Annotated[str, typer.Option("--who", help="Who the restricted mean, the utility, is about.")] = "new-study",
    seed: Seed = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Picture of width and probability against patients.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file; plan.csv beside the result is shown in its report.")
    ] = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """What future studies would settle: intervals, probabilities and months gained, against patients."""
    from bayes_bm.checks.kept_fits import analysis_model
    from bayes_bm.estimands.who import parse_who
    from bayes_bm.updates.designs import read_designs
    from bayes_bm.updates.plan import plan as plan_designs

    check_figure(figure, [result_file, design])
    check_places({} if out is None else {"--out": out}, [result_file, design])
    designs = read_designs(design)
    result = load_gated(result_file, allow_failed=allow_failed_gate)
    with show_progress("plan") as say:
        planned = plan_designs(
            result,
            designs,
            sizes=parse_times(sizes, "--sizes") or [1.0],
            futures=futures,
            margin=margin,
            horizon=horizon,
            who=parse_who(who),
            seed=seed,
            say=say,
            where=str(design),
        )
    if figure is not None:
        from bayes_bm.report.plots.planning import planning_figure
        from bayes_bm.report.text import labels_of

        with labels_of(result.spec):
            save_figure(planning_figure(planned.table, planned.table["treatment"].iloc[0]), figure)
    if out is not None:
        write_csv(planned.kept(analysis_model(result.spec, result.evidence)), out)
    if as_json:
        return print_json(_plan_document(result, planned))
    return _print_plan(result, planned)


def _plan_document(result: "Result", planned: "Plan") -> dict[str, object]:
    return {
        **gate_field(result),
        "utility": planned.utility,
        "margin": planned.margin,
        "rows": json_rows(planned.table),
        "value": json_rows(planned.value),
        "sentences": list(planned.sentences),
    }


def _print_plan(result: "Result", planned: "Plan") -> None:
    print_table(planned.table, f"{result.spec.question}: what would settle it", PLAN_COLUMNS)
    print_table(planned.value, f"what knowing is worth, {result.spec.time_unit} a patient ({planned.utility})")
    for sentence in planned.sentences:
        print_words(sentence)


DIFF_TABLES = ("rows", "spec", "versions", "answers", "moves")
"""What `diff` prints, in order; empty ones are left out."""
TITLES = {
    "rows": "rows of the evidence",
    "spec": "the spec",
    "versions": "versions",
    "answers": "answers of the average study",
    "moves": "which rows moved the log ratio (new less old)",
}


def diff(
    old_file: Annotated[Path, typer.Argument(metavar="OLD.nc", help="Written by bayes-bm fit.")],
    new_file: Annotated[Path, typer.Argument(metavar="NEW.nc", help="The same question, later.")],
    refit: Annotated[
        bool, typer.Option("--refit", help="Sample again without each change, in place of weights.")
    ] = False,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """What changed between two results: rows, spec, versions, answers, and which study moved them."""
    from bayes_bm.updates.diff import diff as compare_results

    old, new = (causes.load_either(path, allow_failed=allow_failed_gate) for path in (old_file, new_file))
    with show_progress("diff") as say:
        # two of one kind, or the function refuses them
        found = compare_results(cast("Result", old), cast("Result", new), refit=refit, say=say)
    tables = {name: getattr(found, name) for name in DIFF_TABLES}
    if as_json:
        return print_json(
            {**_gate(new), "same": found.same, **{name: json_rows(table) for name, table in tables.items()}}
        )
    for name, table in tables.items():
        if len(table):
            print_table(table, TITLES[name])
    if found.same:
        print_words("Rows, spec and versions are the same.")
    return None


def _gate(result: "Result | JointResult") -> dict[str, Any]:
    """Return the gate, spec and unit of a result of either kind."""
    from bayes_bm.inference.result import Result

    return gate_field(result) if isinstance(result, Result) else causes.gate_of(result)


def rerun(
    result_file: ResultFile,
    out: Annotated[Path | None, typer.Option("--out", help="Where the new result is written.")] = None,
    cores: Cores = None,
    as_json: Json = False,
) -> None:
    """The same result again from what is stored in it; exit status 1 where it cannot be reproduced."""
    from bayes_bm.updates.rerun import rerun as fit_again

    check_places({} if out is None else {"--out": out}, [result_file])
    result = causes.load_either(result_file)
    with show_progress("rerun") as say:
        again = fit_again(result, cores=cores, say=say)
    if out is not None:
        again.result.save(out)
    if as_json:
        document = {"identical": again.identical, "agrees": again.agrees, "sentence": again.sentence}
        tables = {"versions": json_rows(again.versions), "rows": json_rows(again.table)}
        print_json({**_gate(again.result), **document, **tables})
    else:
        print_table(again.table, f"{_gate(result)['spec']}, before and again")
        print_words(again.sentence)
    if not again.agrees:
        raise GateRefused(f"{result_file} is not reproduced: {again.sentence}")
