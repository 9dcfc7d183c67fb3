"""Commands around a fit: models, audit, fit, run, report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bayes_bm.cli.options import (
    AllowFailed,
    AllowRed,
    Draws,
    Imputations,
    Json,
    Processes,
    ResultFile,
    Scheduler,
    Seed,
    Sensitivity,
    Setting,
    SpecName,
)
from bayes_bm.cli.parsing import load_gated, parse_changes, parse_pairs
from bayes_bm.cli.printing import OUT, gate_field, json_rows, print_json, print_table, save_figure, show_progress

if TYPE_CHECKING:
    import pandas as pd


def models(as_json: Json = False) -> None:
    """The shipped specs: name and question."""
    from bayes_bm.spec.reading import list_models, read_spec

    found = [{"name": path.stem, "question": read_spec(path).question} for path in list_models()]
    if as_json:
        return print_json({"models": found})
    import pandas as pd

    return print_table(pd.DataFrame(found), "shipped models")


def audit(
    spec: SpecName,
    settings: Setting = None,
    sensitivity: Sensitivity = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="The network of treatments as a picture.")] = None,
    as_json: Json = False,
) -> None:
    """What each row of evidence informs, before any fit. Exit status 1 where a fit would be refused."""
    from bayes_bm.evidence.audit import audit as audit_evidence
    from bayes_bm.evidence.audit import require_usable
    from bayes_bm.evidence.reading import read_evidence
    from bayes_bm.spec.reading import read_spec

    found = read_spec(spec, sensitivity=sensitivity, changes=parse_changes(settings))
    evidence = read_evidence(found)
    done = audit_evidence(found, evidence)
    if figure is not None:
        from bayes_bm.evidence.network import network
        from bayes_bm.report.plots.network import network_figure

        save_figure(network_figure(network(found, evidence)), figure)
    tables = {
        "rows": done.rows,
        "treatments": done.treatments,
        "contrasts": done.contrasts,
        "set_aside": done.set_aside,
    }
    if as_json:
        listed = {name: json_rows(table) for name, table in tables.items()}
        print_json({"spec": found.name, **listed, "notes": list(done.notes), "refusals": list(done.refusals)})
    else:
        _print_audit(found.name, tables, done.notes)
    require_usable(found, evidence)


def _print_audit(name: str, tables: Mapping[str, "pd.DataFrame"], notes: Sequence[str]) -> None:
    titles = {
        "rows": "evidence in use",
        "treatments": "treatments",
        "contrasts": "side by side",
        "set_aside": "set aside",
    }
    OUT.print(f"[bold]{name}[/]\n")
    for key, table in tables.items():
        if len(table):
            print_table(table, titles[key])
    for note in notes:
        OUT.print(Text(f"- {note}"))


def fit(
    spec: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Where the posterior goes (NetCDF).")],
    draws: Draws = None,
    tune: Draws = None,
    chains: Draws = None,
    cores: Draws = None,
    seed: Seed = None,
    imputations: Imputations = None,
    processes: Processes = 1,
    scheduler: Scheduler = None,
    settings: Setting = None,
    sensitivity: Sensitivity = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Sample the posterior. A failed convergence gate is written into the result and exits with status 1."""
    from bayes_bm.inference.fit import fit as sample
    from bayes_bm.spec.reading import read_spec

    found = read_spec(spec, sensitivity=sensitivity, changes=parse_changes(settings))
    with show_progress(found.name) as say:
        asked: dict[str, Any] = {"draws": draws, "tune": tune, "chains": chains, "cores": cores, "seed": seed}
        many: dict[str, Any] = {"imputations": imputations, "processes": processes, "scheduler": scheduler}
        result = sample(found, **asked, **many, say=say)
    result.save(out)
    if as_json:
        print_json(
            {**gate_field(result), "result": str(out), **result.gate.document(), "provenance": result.provenance}
        )
    else:
        import pandas as pd

        print_table(pd.DataFrame(result.gate.rows), f"{found.name}: convergence gate {result.gate.state}")
        OUT.print(Text(f"written: {out}"))
    result.require_gate(allow_failed=allow_failed_gate)


def report(
    result_file: ResultFile,
    out: Annotated[Path, typer.Option("--out", help="One self-contained HTML file.")],
    patient: Annotated[str | None, typer.Option(help="name=value, separated by commas.")] = None,
    allow_failed_gate: AllowFailed = False,
    allow_red_rows: AllowRed = False,
) -> None:
    """One self-contained HTML file: answer, contrasts, figures, audit, reconciliation, diagnostics, provenance."""
    from bayes_bm.report.pipeline import make_report

    result = load_gated(result_file, allow_failed=allow_failed_gate)
    with show_progress(result.spec.name) as say:
        made = make_report(
            result,
            out,
            patient=parse_pairs(patient),
            allow_failed_gate=allow_failed_gate,
            allow_red=allow_red_rows,
            folder=result_file.parent,
            say=say,
        )
    OUT.print(Text(f"written: {made.path}"))


def run(
    spec: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for result, tables and report.")],
    patient: Annotated[str | None, typer.Option(help="name=value, separated by commas.")] = None,
    draws: Draws = None,
    tune: Draws = None,
    chains: Draws = None,
    seed: Seed = None,
    imputations: Imputations = None,
    processes: Processes = 1,
    scheduler: Scheduler = None,
    settings: Setting = None,
    sensitivity: Sensitivity = None,
    allow_failed_gate: AllowFailed = False,
    allow_red_rows: AllowRed = False,
    as_json: Json = False,
) -> None:
    """Audit, fit, check, compare, report: everything about one spec in one folder."""
    from bayes_bm.report.pipeline import run_spec
    from bayes_bm.spec.reading import read_spec

    found = read_spec(spec, sensitivity=sensitivity, changes=parse_changes(settings))
    with show_progress(found.name) as say:
        done = run_spec(
            found,
            out,
            patient=parse_pairs(patient),
            sampling={"draws": draws, "tune": tune, "chains": chains, "seed": seed},
            many={"imputations": imputations, "processes": processes, "scheduler": scheduler},
            allow_failed_gate=allow_failed_gate,
            allow_red=allow_red_rows,
            say=say,
        )
    if as_json:
        return print_json(done.document())
    for line in done.answer:
        OUT.print(Text(line))
    OUT.print("")
    return OUT.print(Text("written: " + ", ".join(str(path) for path in done.files)))
