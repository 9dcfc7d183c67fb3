"""Commands around a fit: models, audit, fit, run, report."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_bm.cli.audits import audit_document, print_audit
from bayes_bm.cli.commands import causes
from bayes_bm.cli.commands.predict import print_answers
from bayes_bm.cli.options import (
    AllowFailed,
    AllowRed,
    Cores,
    ImputationOptions,
    Json,
    LevelValue,
    MixValues,
    PatientValues,
    Pdf,
    ResultFile,
    SamplingOptions,
    Setting,
    SpecChanges,
    SpecName,
    expand_records,
    spec_inputs,
)
from bayes_bm.cli.parsing import load_gated, parse_pairs
from bayes_bm.cli.printing import (
    ERR,
    OUT,
    check_figure,
    gate_field,
    print_json,
    print_remarks,
    print_table,
    print_words,
    save_figure,
    show_progress,
)
from bayes_bm.runtime.files import check_folder, check_places

if TYPE_CHECKING:
    from bayes_bm.inference.result import Result


def models(as_json: Json = False) -> None:
    """The shipped specs: name and question."""
    from bayes_bm.spec.causes import read_causes
    from bayes_bm.spec.reading import list_causes, list_models, read_spec

    rows = [{"name": path.stem, "question": read_spec(path).question} for path in list_models()]
    rows += [{"name": path.stem, "question": read_causes(path).first.question} for path in list_causes()]
    if as_json:
        return print_json({"models": rows})
    import pandas as pd

    return print_table(pd.DataFrame(rows), "shipped models")


@expand_records
def audit(
    spec_name: SpecName,
    changes: SpecChanges,
    figure: Annotated[Path | None, typer.Option("--figure", help="The network of treatments as a picture.")] = None,
    as_json: Json = False,
) -> None:
    """What each row of evidence informs, before any fit. Exit status 1 where a fit would be refused."""
    from bayes_bm.evidence.audit import audit as audit_evidence
    from bayes_bm.evidence.audit import require_usable
    from bayes_bm.evidence.reading import read_evidence

    if causes.of_several(spec_name):
        return causes.audit_causes(spec_name, changes, as_json=as_json)
    spec = changes.read(spec_name)
    check_figure(figure, spec_inputs(spec_name, spec))
    evidence = read_evidence(spec)
    audited = audit_evidence(spec, evidence)
    if figure is not None:
        from bayes_bm.evidence.network import network
        from bayes_bm.report.plots.network import network_figure
        from bayes_bm.report.text import labels_of

        with labels_of(spec):
            save_figure(network_figure(network(spec, evidence)), figure)
    if as_json:
        print_json(audit_document(spec.name, audited))
    else:
        print_audit(spec, audited)
    return require_usable(spec, evidence)


@expand_records
def fit(
    spec_name: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Where the posterior goes (NetCDF).")],
    *,
    sampling: SamplingOptions,
    cores: Cores = None,
    imputing: ImputationOptions,
    changes: SpecChanges,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Sample the posterior. A failed convergence gate is written into the result and exits with status 1."""
    from bayes_bm.evidence.reading import read_evidence
    from bayes_bm.inference.fit import fit as sample

    if causes.of_several(spec_name):
        asked: dict[str, Any] = {"cores": cores, "allow_failed_gate": allow_failed_gate, "as_json": as_json}
        return causes.fit_joint(spec_name, out, sampling, imputing, changes, **asked)
    spec = changes.read(spec_name)
    check_places({"--out": out}, spec_inputs(spec_name, spec))
    with show_progress(spec.name) as progress:
        evidence = read_evidence(spec)
        print_remarks(evidence)
        result = sample(spec, evidence, **sampling.document(), cores=cores, **imputing.document(), say=progress)
    result.save(out)
    if as_json:
        print_json(fit_document(result, out))
    else:
        print_fit(result, out)
    return result.require_gate(allow_failed=allow_failed_gate)


def fit_document(result: "Result", path: Path) -> dict[str, Any]:
    """Return the JSON document of a fit: gate, where the posterior is, and where it comes from."""
    return {
        **gate_field(result),
        "result": str(path),
        **result.gate.document(),
        "provenance": result.provenance,
    }


def print_fit(result: "Result", path: Path) -> None:
    """Print the convergence gate row by row, and where the posterior is."""
    import pandas as pd

    print_table(pd.DataFrame(result.gate.rows), f"{result.spec.name}: convergence gate {result.gate.state}")
    print_words(f"written: {path}")


def report(
    result_file: ResultFile,
    out: Annotated[Path, typer.Option("--out", help="One self-contained HTML file.")],
    patient: PatientValues = None,
    population: MixValues = None,
    level: LevelValue = None,
    pdf: Pdf = False,
    allow_failed_gate: AllowFailed = False,
    allow_red_rows: AllowRed = False,
) -> None:
    """One self-contained HTML file: a first screen, the answer in full, evidence, checks, details."""
    from bayes_bm.report.pipeline import make_report

    check_places({"--out": out}, [result_file])
    _require_browser(pdf)
    if causes.one_joint([result_file]) is not None:
        unused = {"--patient": patient, "--population": population}
        made_joint = causes.report_joint(result_file, out, unused, level=level, allow_failed_gate=allow_failed_gate)
        return print_words("written: " + ", ".join(str(path) for path in [made_joint, *_printed(out, wanted=pdf)]))
    result = load_gated(result_file, allow_failed=allow_failed_gate, level=level)
    with show_progress(result.spec.name) as progress:
        made = make_report(
            result,
            out,
            patient=parse_pairs(patient),
            population=None if population is None else parse_pairs(population, "--population"),
            allow_failed_gate=allow_failed_gate,
            allow_red=allow_red_rows,
            folder=result_file.parent,
            say=progress,
        )
    files = [made.path, *_printed(made.path, wanted=pdf)]
    return print_words("written: " + ", ".join(str(path) for path in files))


def _require_browser(wanted: bool) -> None:
    """Refuse a PDF that nothing could print before anything is worked out."""
    if wanted:
        from bayes_bm.report.pdf import browser

        browser()


def _printed(report: Path, *, wanted: bool) -> list[Path]:
    """Return the PDFs of a report, none where none is wanted."""
    if not wanted:
        return []
    from bayes_bm.report.pdf import write_pdfs

    return write_pdfs(report)


ALL = "all"
"""Value of `run --sensitivity` that asks for every named analysis beside the answer."""


@expand_records
def run(
    spec_name: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for result, tables and report.")],
    *,
    patient: PatientValues = None,
    sampling: SamplingOptions,
    imputing: ImputationOptions,
    settings: Setting = None,
    sensitivity: Annotated[
        str | None,
        typer.Option("--sensitivity", help="A named analysis in place of the spec; all: each beside it as well."),
    ] = None,
    pdf: Pdf = False,
    allow_failed_gate: AllowFailed = False,
    allow_red_rows: AllowRed = False,
    as_json: Json = False,
) -> None:
    """Audit, fit, check, compare, report: everything about one spec in one folder."""
    from bayes_bm.report.pipeline import FILES, run_spec

    if causes.of_several(spec_name):
        changes = SpecChanges(settings, causes.named_analysis(sensitivity, ALL))
        asked: dict[str, Any] = {"allow_failed_gate": allow_failed_gate, "as_json": as_json}
        return causes.run_joint(spec_name, out, sampling, imputing, changes, **asked)
    spec = SpecChanges(settings, None if sensitivity == ALL else sensitivity).read(spec_name)
    _require_browser(pdf)
    check_folder("--out", out, FILES, spec_inputs(spec_name, spec))
    with show_progress(spec.name) as progress:
        done = run_spec(
            spec,
            out,
            patient=parse_pairs(patient),
            sampling=sampling.document(),
            many=imputing.document(),
            analyses=sensitivity == ALL,
            allow_failed_gate=allow_failed_gate,
            allow_red=allow_red_rows,
            say=progress,
        )
    printed = _printed(out / "report.html", wanted=pdf)
    done = replace(done, files=(*done.files, *printed))
    for remark in done.remarks:
        print_words(f"- {remark}", ERR)
    if as_json:
        return print_json(done.document())
    for line in done.answer:
        print_words(line)
    OUT.print("")
    if patient is not None and done.patient_table is not None:
        told = [spec.covariates[name].value_words(name, value) for name, value in parse_pairs(patient).items()]
        print_words(f"This patient: {'; '.join(told)}")
        print_answers(done.patient_table, spec, f"this patient, averaged over studies ({spec.time_unit})")
    print_words("written: " + ", ".join(str(path) for path in done.files))
    page, fitted = out / "report.html", out / "result.nc"
    steps = "\n".join(f"  {step}" for step in _next_steps(spec_name, fitted, settings))
    return print_words(f"open {page} in a browser\nnext:\n{steps}")


def _next_steps(spec_name: str, fitted: Path, settings: Sequence[str] | None) -> list[str]:
    """Return three commands that go on from a run; analyses are of the spec with the same `--set`."""
    program = _program()
    changed = "".join(f" --set {shlex.quote(setting)}" for setting in settings or ())
    return [
        f"{program} serve {fitted}",
        f"{program} compare {fitted} --who new-hospital",
        f"{program} sensitivity {spec_name}{changed} --out {fitted.parent}",
    ]


def _program() -> str:
    """Return what to type for this command: its path where the shell would not find it, as before `activate`."""
    called = Path(sys.argv[0])
    return "bayes-bm" if shutil.which("bayes-bm") or called.name != "bayes-bm" else os.path.relpath(called)
