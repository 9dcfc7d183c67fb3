"""One spec from audit to report (docs/decisions.md#22-one-run): `run` is these steps in a row, and so is a script that
imports them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_bm.checks import leave_one_study_out
from bayes_bm.checks.check import check
from bayes_bm.checks.direct_indirect import contrast_sources
from bayes_bm.checks.sensitivity import saved_with, sensitivity
from bayes_bm.estimands.predict import predict
from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.inference.fit import fit
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import checked
from bayes_bm.report.answers import answer_sentences, answer_tables
from bayes_bm.report.material import PLAN
from bayes_bm.report.sections.analyses import SENSITIVITY
from bayes_bm.report.sections.planning import saved_plan
from bayes_bm.report.write import write_report
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import write_csv
from bayes_bm.runtime.progress import counting
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import NO_ONE_NUMBER
from bayes_bm.spec.reading import shipped

PATIENT = "patient.csv"
"""File of what is answered for the patient asked about."""
FILES = ("result.nc", "compare.csv", PATIENT, "report.html")
"""Names of the files of a run."""


@dataclass(frozen=True)
class PipelineOutput:
    """What a run made."""

    spec: str
    gate: str
    answer: tuple[str, ...]
    files: tuple[Path, ...]
    remarks: tuple[str, ...] = ()
    patient_table: pd.DataFrame | None = None

    def document(self) -> dict[str, Any]:
        """Return the output as plain data."""
        return {
            "spec": self.spec,
            "gate": self.gate,
            "answer": list(self.answer),
            "files": [str(path) for path in self.files],
            "remarks": list(self.remarks),
        }


def run_spec(
    spec: Spec,
    out: Path,
    *,
    patient: Mapping[str, float] | None = None,
    sampling: Mapping[str, Any] | None = None,
    many: Mapping[str, Any] | None = None,
    analyses: bool = False,
    allow_failed_gate: bool = False,
    allow_red: bool = False,
    say: Progress = lambda stage: None,
) -> PipelineOutput:
    """Audit, fit, check, compare, report into one folder. Raises `GateRefused` at the step that refuses.

    `sampling` and `many` (imputations, processes, scheduler) are passed on to `fit`. With `analyses` every named
    analysis is fitted too and kept in the folder's `sensitivity`, so that the report holds their numbers.
    """
    say("reading evidence")
    evidence = read_evidence(spec)
    if not spec.needs_baseline:
        checked(spec, patient or {})
    settings: dict[str, Any] = {**(sampling or {}), **(many or {})}
    result = fit(spec, evidence, say=say, **settings)
    files = [result.save(out / "result.nc")]
    result.require_gate(allow_failed=allow_failed_gate)
    say("comparing treatments")
    tables = answer_tables(result)
    files.append(write_csv(_with_who(tables), out / "compare.csv"))
    patient_table = None if spec.needs_baseline else predict(result, patient or {}, times=spec.answer_times)
    if patient_table is not None:
        files.append(write_csv(patient_table, out / PATIENT))
    if analyses and spec.sensitivity:
        sensitivity(spec, out / "sensitivity", families=(), sampling=sampling, say=say)
        files.append(out / "sensitivity" / "sensitivity.csv")
    made = make_report(
        result,
        out / "report.html",
        patient=patient,
        tables=tables,
        patient_table=patient_table,
        allow_failed_gate=allow_failed_gate,
        allow_red=allow_red,
        say=say,
    )
    remarks = result.evidence.remarks
    return PipelineOutput(spec.name, result.gate.state, made.answer, (*files, made.path), remarks, patient_table)


@dataclass(frozen=True)
class WrittenReport:
    """A written report and the answer at its head."""

    path: Path
    answer: tuple[str, ...]


def make_report(
    result: Result,
    out: Path,
    *,
    patient: Mapping[str, float] | None = None,
    population: Mapping[str, float] | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
    patient_table: pd.DataFrame | None = None,
    allow_failed_gate: bool = False,
    allow_red: bool = False,
    folder: Path | None = None,
    say: Progress = lambda stage: None,
) -> WrittenReport:
    """Write the report of a result, with its checks; a red row of reconciliation refuses unless allowed.

    `population` names the case mix of patients who are answered about together, by default the spec's. `folder` is the
    result's, by default the report's: a table that `sensitivity` left there is shown.

    `tables` (of `answer_tables`) and `patient_table` (of `predict`) are made here where they are not made already.
    """
    with counting(3) as step:
        say("checking")
        done = check(result)
        if not allow_red:
            done.require_no_red()
        step()
        contrasts = _contrast_table(result, say)
        step()
        say("writing the report")
        tables = tables or answer_tables(result)
        path = write_report(
            result,
            out,
            audit=audit(result.spec, result.evidence),
            reconciliation=done.reconciliation,
            contrasts=contrasts,
            tables=tables,
            patient=patient or {},
            population=population,
            patient_table=patient_table,
            allow_failed_gate=allow_failed_gate,
            elsewhere=_elsewhere(result, out.parent if folder is None else folder),
            battery=done.battery,
            parameters=done.parameters,
        )
    answer = answer_sentences(result, contrasts=contrasts, tables=tables, reconciled=done.reconciliation)
    return WrittenReport(path, tuple(answer))


def _elsewhere(result: Result, folder: Path) -> dict[str, pd.DataFrame]:
    """Tables of other commands that lie beside the result and are of its model (decision 22); analyses of a shipped
    model are shipped.
    """
    kept = shipped("models") / "sensitivity" / result.spec.name
    analyses = next((table for place in (folder, kept) if (table := saved_with(result, place)) is not None), None)
    studies = leave_one_study_out.saved_with(result, folder)
    tables = {} if analyses is None else {SENSITIVITY: analyses}
    plan = saved_plan(result, folder)
    tables |= {} if plan is None else {PLAN: plan}
    return tables | ({} if studies is None else {"leave_one_study_out": studies[0]})


def _contrast_table(result: Result, say: Progress) -> pd.DataFrame | None:
    """Where each contrast comes from; None, and why, where one number cannot hold it."""
    try:
        return contrast_sources(result, say=say)
    except InputError as problem:
        if problem.where != NO_ONE_NUMBER:
            raise
        say(f"no table of contrasts: {problem}")
        return None


def _with_who(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`compare` for each kind of study that can be asked about, in one table."""
    named = [table.assign(who=who) for who, table in tables.items()]
    return pd.concat(named, ignore_index=True).drop_duplicates(ignore_index=True)
