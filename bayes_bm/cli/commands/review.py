"""Commands that answer what a reviewer of a synthesis asks: tipping, checklist."""

from pathlib import Path
from typing import Annotated

import typer

from bayes_bm.cli.options import AllowFailed, Horizon, Json, ResultFile, WhoName
from bayes_bm.cli.parsing import load_gated, parse_times
from bayes_bm.cli.printing import gate_field, json_rows, print_json, print_table, print_words
from bayes_bm.runtime.files import check_places, write_text


def tipping(
    result_file: ResultFile,
    deltas: Annotated[
        str, typer.Option("--deltas", help="Hazards of censored patients, as multiples of the others'.")
    ] = "0.5,1,1.5,2,3,5",
    who: WhoName = "average-study",
    horizon: Horizon = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """How unlike the others censored patients must be until restricted means of treatments change places."""
    from bayes_bm.checks.tipping_point import tipping_point
    from bayes_bm.estimands.who import parse_who

    result = load_gated(result_file, allow_failed=allow_failed_gate)
    tipped = tipping_point(result, deltas=parse_times(deltas, "--deltas") or [1.0], who=parse_who(who), horizon=horizon)
    if as_json:
        document = {"rows": json_rows(tipped.table), "turns": json_rows(tipped.turns)}
        return print_json(
            {"who": tipped.who, **gate_field(result), "horizon": tipped.horizon, **document}
            | {"sentences": list(tipped.sentences)}
        )
    unit = f"restricted mean to {tipped.horizon:g} {result.spec.time_unit}, {tipped.who}"
    print_table(tipped.table, f"difference by the hazard of the censored ({unit})")
    for sentence in tipped.sentences:
        print_words(sentence)
    return None


def checklist(
    result_file: ResultFile,
    out: Annotated[Path | None, typer.Option("--out", help="A Markdown file to fill in.")] = None,
    as_json: Json = False,
) -> None:
    """BARG and PRISMA-NMA filled from the result; blank where only the authors know."""
    from bayes_bm.inference.result import load
    from bayes_bm.report.checklist import checklist as filled
    from bayes_bm.report.checklist import checklist_text

    check_places({} if out is None else {"--out": out}, [result_file])
    result = load(result_file)
    table = filled(result)
    if out is not None:
        write_text(out, checklist_text(table))
    if as_json:
        return print_json({**gate_field(result), "rows": json_rows(table)})
    return print_table(table, f"{result.spec.name}: what is reported")
