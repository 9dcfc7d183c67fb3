"""Commands about evidence that moves: plan."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bayes_bm.cli.limits import number_option
from bayes_bm.cli.options import AllowFailed, Horizon, Json, ResultFile, Seed
from bayes_bm.cli.parsing import load_gated, parse_times
from bayes_bm.cli.printing import (
    OUT,
    check_figure,
    gate_field,
    json_rows,
    print_json,
    print_table,
    save_figure,
    show_progress,
)

if TYPE_CHECKING:
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
    futures: Annotated[int, typer.Option("--futures", help="Studies simulated of each design and size.")] = 200,
    margin: Annotated[
        float,
        typer.Option(parser=number_option("--margin", greater_than=0), help="Hazard ratio that counts as better."),
    ] = 0.9,
    horizon: Horizon = None,
    who: Annotated[str, typer.Option("--who", help="Whose restricted mean is the utility.")] = "new-study",
    seed: Seed = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Width and probability against patients.")] = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """What future studies would settle: intervals, probabilities and months gained, against patients."""
    from bayes_bm.estimands.who import parse_who
    from bayes_bm.updates.designs import read_designs
    from bayes_bm.updates.plan import plan as plan_designs

    check_figure(figure, [result_file, design])
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

        save_figure(planning_figure(planned.table, planned.table["treatment"].iloc[0]), figure)
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
        OUT.print(Text(sentence))
