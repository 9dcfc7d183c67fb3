"""What fit, audit, run, compare and incidence do with a spec, or a result, of several causes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from bayes_bm.cli.audits import audit_document, print_audit
from bayes_bm.cli.options import ImputationOptions, SamplingOptions, SpecChanges, spec_inputs
from bayes_bm.cli.parsing import load_gated, parse_changes, refuse_options
from bayes_bm.cli.printing import (
    ERR,
    ESTIMATE,
    json_rows,
    print_json,
    print_table,
    print_words,
    save_figure,
    show_progress,
)
from bayes_bm.runtime.errors import GateRefused, InputError
from bayes_bm.runtime.files import check_folder, check_places, file_name_part, write_csv

if TYPE_CHECKING:
    from bayes_bm.estimands.who import Who
    from bayes_bm.inference.causes.result import JointResult
    from bayes_bm.inference.result import Result
    from bayes_bm.spec.causes import Causes

COLUMNS = ("estimand", "cause", "treatment", "reference", "time", ESTIMATE, "prob_better", "label")
LEFT_OUT_COLUMNS = (
    *("study", "cause", "method", "pareto_k", "elpd"),
    *("ratio", "ratio_low", "ratio_high", "shift", "note"),
)
"""Columns of the printed table of studies left out."""
FILES = ("result.nc", "answers.csv", "rows.csv", "set_aside.csv", "report.html")
"""What `run` writes of a spec of several causes."""


def of_several(name: str) -> bool:
    """Return whether a spec is of several causes."""
    from bayes_bm.spec.causes import names_causes

    return names_causes(name)


def read_changed(name: str, changes: SpecChanges) -> "Causes":
    """Return the spec of several causes of that name, changed."""
    from bayes_bm.spec.causes import read_causes

    return read_causes(name, sensitivity=changes.sensitivity, changes=parse_changes(changes.settings))


def inputs_of(name: str, causes: "Causes") -> list[Path]:
    """Return the files that a command on such a spec reads."""
    return [path for spec in causes.specs.values() for path in spec_inputs(name, spec)]


def audit_causes(name: str, changes: SpecChanges, *, as_json: bool) -> None:
    """Print what each row informs, cause by cause, and the rows of several causes."""
    from bayes_bm.evidence.audit import audit, require_usable
    from bayes_bm.evidence.causes import read_causes_evidence

    causes = read_changed(name, changes)
    evidence = read_causes_evidence(causes)
    audits = {cause: audit(spec, evidence.causes[cause]) for cause, spec in causes.specs.items()}
    if as_json:
        documents = {cause: audit_document(causes.specs[cause].name, one) for cause, one in audits.items()}
        joint = {title: json_rows(table) for title, table in evidence.tables().items()}
        print_json({"spec": causes.name, "causes": documents, "several": joint})
    else:
        for cause, one in audits.items():
            print_audit(causes.specs[cause], one)
        for title, table in evidence.tables().items():
            if len(table):
                print_table(table, title)
    for cause, spec in causes.specs.items():
        require_usable(spec, evidence.causes[cause])


def fit_joint(
    name: str, out: Path, sampling: SamplingOptions, imputing: ImputationOptions, changes: SpecChanges,
    *, cores: int | None, allow_failed_gate: bool, as_json: bool,
) -> None:  # fmt: skip
    """Sample a joint model and store it."""
    causes = read_changed(name, changes)
    check_places({"--out": out}, inputs_of(name, causes))
    result = _sampled(causes, sampling, imputing, cores)
    result.save(out)
    if as_json:
        print_json({**gate_of(result), "result": str(out), **result.gate.document(), "provenance": result.provenance})
    else:
        import pandas as pd

        print_table(pd.DataFrame(result.gate.rows), f"{causes.name}: convergence gate {result.gate.state}")
        print_words(f"{result.provenance['sampled']}\nwritten: {out}")
    result.require_gate(allow_failed=allow_failed_gate)


def _sampled(
    causes: "Causes", sampling: SamplingOptions, imputing: ImputationOptions, cores: int | None
) -> "JointResult":
    from bayes_bm.inference.causes.fit import fit_causes

    if imputing.imputations is not None:
        raise InputError(
            "--imputations", found="a spec of several causes", allowed="one endpoint",
            hint="the patients behind a curve are of one cause; their uncertainty is not carried into a joint model",
        )  # fmt: skip
    with show_progress(causes.name) as progress:
        return fit_causes(causes, **sampling.document(), cores=cores, say=progress)


def named_analysis(sensitivity: str | None, everything: str) -> str | None:
    """Return the analysis that `run` is asked for. Raises `InputError` for all of them."""
    if sensitivity == everything:
        raise InputError(
            "--sensitivity", found=f"{everything}, of a spec of several causes", allowed="the name of one analysis",
            hint="run each into a folder of its own",
        )  # fmt: skip
    return sensitivity


def run_joint(
    name: str, out: Path, sampling: SamplingOptions, imputing: ImputationOptions, changes: SpecChanges,
    *, allow_failed_gate: bool, as_json: bool,
) -> None:  # fmt: skip
    """Fit a joint model and write its answers: everything in one folder."""
    from bayes_bm.estimands.joint_compare import compare_causes, joint_rows
    from bayes_bm.report.joint_page import write_joint_report

    causes = read_changed(name, changes)
    check_folder("--out", out, FILES, inputs_of(name, causes))
    result = _sampled(causes, sampling, imputing, None)
    out.mkdir(parents=True, exist_ok=True)
    result.save(out / "result.nc")
    result.require_gate(allow_failed=allow_failed_gate)
    answers, rows = compare_causes(result), joint_rows(result)
    for file, table in zip(FILES[1:4], (answers, rows, result.evidence.set_aside), strict=True):
        write_csv(table, out / file)
    write_joint_report(result, out / FILES[4], allow_failed_gate=allow_failed_gate)
    if as_json:
        return print_json({**gate_of(result), "rows": json_rows(answers), "files": [str(out / file) for file in FILES]})
    _print_answers(result, answers, "average-study")
    if len(rows):
        print_table(rows, "printed 1 - cumulative incidence against predicted")
    return print_words("written: " + ", ".join(str(out / file) for file in FILES))


def load_joint(path: Path, *, allow_failed: bool, level: float | None) -> "JointResult":
    """Return a stored joint result whose gate passed, or failed and is allowed to; the latter is said."""
    from bayes_bm.inference.causes.result import load_causes

    result = load_causes(path)
    result.require_gate(allow_failed=allow_failed)
    if not result.gate.passed:
        ERR.print(Text(f"the convergence gate of {path} failed: {'; '.join(result.gate.reasons)}"))
    return result if level is None else result.at_level(level)


def load_either(path: Path, *, allow_failed: bool | None = None) -> "Result | JointResult":
    """Return a stored result of one endpoint or of several causes; None for `allow_failed` asks no gate."""
    from bayes_bm.inference.causes.result import holds_causes, load_causes
    from bayes_bm.inference.result import load

    joint = holds_causes(path)
    if allow_failed is None:
        return load_causes(path) if joint else load(path)
    return (
        load_joint(path, allow_failed=allow_failed, level=None)
        if joint
        else load_gated(path, allow_failed=allow_failed)
    )


def report_joint(
    path: Path, out: Path, unused: Mapping[str, str | None], *, level: float | None, allow_failed_gate: bool
) -> Path:
    """Write the page of a joint result. Raises `InputError` for a patient or a population, which it does not show."""
    from bayes_bm.report.joint_page import write_joint_report

    refuse_options(
        unused, "no patient and no population on its page", " of a joint result",
        hint='in Python bb.compare_causes(joint, who=bb.Patient({"name": value}))',
    )  # fmt: skip
    result = load_joint(path, allow_failed=allow_failed_gate, level=level)
    return write_joint_report(result, out, allow_failed_gate=allow_failed_gate)


def sensitivity_joint(
    name: str, out: Path, changes: SpecChanges, sampling: SamplingOptions, one_endpoint: Mapping[str, Any],
    *, only: Sequence[str] | None, as_json: bool,
) -> None:  # fmt: skip
    """Fit every named analysis of a joint model, print ratios and shares, and write all answers to sensitivity.csv."""
    from bayes_bm.checks.joint_sensitivity import joint_sensitivity
    from bayes_bm.checks.sensitivity import FAILED

    refuse_options(
        one_endpoint, "the named analyses alone", ", of a spec of several causes",
        hint="another family of one cause: --set causes.NAME.hazard.family=...",
    )  # fmt: skip
    causes = read_changed(name, changes)
    check_folder("--out", out, ("sensitivity.csv",), inputs_of(name, causes))
    asked: dict[str, Any] = {"changes": parse_changes(changes.settings), "sampling": sampling.document(), "only": only}
    with show_progress(causes.name) as progress:
        table = joint_sensitivity(name, out, **asked, say=progress)
    out.mkdir(parents=True, exist_ok=True)
    file = write_csv(table, out / "sensitivity.csv")
    if as_json:
        print_json({"spec": causes.name, "files": [str(file)], "rows": json_rows(table)})
    else:
        spec = causes.first
        at_time = table["time"].isna() | (table["time"] == spec.reference_time)
        shown = table[at_time & table["estimand"].isin(("hazard_ratio", "time_ratio", "cumulative_incidence"))]
        columns = ("analysis", "cause", "estimand", "treatment", ESTIMATE, "prob_better", "gate")
        print_table(shown, f"{spec.question}: under every analysis (average study)", columns, spec.interval)
        for row in table[table["note"].fillna("") != ""].drop_duplicates("analysis").to_dict("records"):
            print_words(f"- {row['analysis']}: {row['note']}")
        print_words(f"written: {file}")
    failed = table["state"] == FAILED
    if failed.all():
        raise GateRefused(f"all {len(table)} analyses failed: {table['note'].iloc[0]}")


def leave_one_out_joint(path: Path, folder: Path, *, as_json: bool, **asked: Any) -> None:
    """Leave every study out of all causes in turn; tables, and a picture of each cause, go to the folder."""
    from bayes_bm.checks.leave_one_study_out import leave_one_out
    from bayes_bm.inference.causes.result import load_causes
    from bayes_bm.report.plots.leave_one_out import leave_one_out_figure
    from bayes_bm.report.text import labels_of

    result = load_causes(path)
    with show_progress(result.causes.name) as progress:
        removed = leave_one_out(result, folder, **asked, say=progress)
    spec, studies = result.first.spec, removed.studies
    with labels_of(spec):
        for cause in result.results:
            page = leave_one_out_figure(
                studies[studies["cause"] == cause], title=f"{spec.question} ({cause})", level=spec.interval
            )
            save_figure(page, folder / f"leave_one_out_{file_name_part(cause)}.png")
    if as_json:
        tables = {"leave_one_out": studies, "leave_one_out_numbers": removed.numbers}
        rows = {name: json_rows(table) for name, table in tables.items()}
        print_json({**gate_of(result), **rows, "leave_one_out_coverage": json_rows(removed.coverage),
                    "leave_one_out_folder": str(folder)})  # fmt: skip
    else:
        first = studies.iloc[0]
        title = f"{first['measure']}, {first['treatment']} against {first['reference']}, without each study"
        print_table(studies.replace({"study": {"": "(all studies)"}}), title, LEFT_OUT_COLUMNS)
        print_table(removed.coverage, "printed numbers inside what the other studies foretell")
        print_words(f"written: {folder}")
    result.require_gate()


def compare_joint(result: "JointResult", who: "Who", *, as_json: bool, **asked: Any) -> None:
    """Print the answers of a joint model."""
    from bayes_bm.estimands.joint_compare import compare_causes

    answers = compare_causes(result, who=who, **asked)
    if as_json:
        return print_json({"who": who.name, **gate_of(result), "rows": json_rows(answers)})
    return _print_answers(result, answers, who.name)


def _print_answers(result: "JointResult", answers: Any, who: str) -> None:
    spec = result.first.spec
    shown = answers[~answers["estimand"].str.startswith("log_")]
    print_table(shown, f"{spec.question} ({who}, {spec.time_unit})", COLUMNS, spec.interval)


def gate_of(result: "JointResult") -> dict[str, Any]:
    """Return what every JSON document about a joint result says: its gate, its spec and the unit of its times."""
    return {"gate": result.gate.state, "spec": result.causes.name, "time_unit": result.first.spec.time_unit}


def one_joint(paths: Sequence[Path]) -> Path | None:
    """Return the file that is a joint result; None where there is none. Raises `InputError` for it beside others."""
    from bayes_bm.inference.causes.result import holds_causes

    joint = [path for path in paths if holds_causes(path)]
    if joint and len(paths) > 1:
        raise InputError(
            str(joint[0]), found="a joint result beside others", allowed="one joint result, or one fit for each cause"
        )
    return joint[0] if joint else None
