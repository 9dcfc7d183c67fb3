"""Writes one result as one HTML file."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bayes_bm.checks.battery import Battery
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.evidence.audit import Audit
from bayes_bm.evidence.audit import audit as audit_of
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.inference.result import Result
from bayes_bm.report.gather import gather
from bayes_bm.report.joint_page import write_joint_report
from bayes_bm.report.text import labelled
from bayes_bm.runtime.files import write_text
from bayes_bm.runtime.progress import counting


def red_rows(result: Result, reconciliation: pd.DataFrame) -> tuple[str, ...]:
    """Return printed numbers that contradict the model, as one reason; a reproduction is there to show them
    (docs/decisions.md#9-reproductions).
    """
    red = reconciliation.loc[reconciliation["status"] == "red"].to_dict("records")
    if not red or result.spec.reproduction:
        return ()
    named = "; ".join(f"{row['study']}, {row['arm']}, {row['quantity']}" for row in red)
    return (f"Printed numbers contradict the model (red in the reconciliation): {named}.",)


@labelled
def write_report(
    result: Result | JointResult,
    path: str | Path,
    *,
    audit: Audit | None = None,
    reconciliation: pd.DataFrame | None = None,
    contrasts: pd.DataFrame | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
    patient: Mapping[str, float] | None = None,
    population: Mapping[str, float] | None = None,
    patient_table: pd.DataFrame | None = None,
    alive_at: float = 0.0,
    allow_failed_gate: bool = False,
    elsewhere: Mapping[str, pd.DataFrame] | None = None,
    battery: Battery | None = None,
    parameters: pd.DataFrame | None = None,
) -> Path:
    """Write the report of a result as one HTML file that needs nothing else, whole or not at all.

    Parameters
    ----------
    result : Result or JointResult
        What `bayes_bm.fit` or `bayes_bm.load` gives; or `bayes_bm.fit_causes`, whose page takes no other argument but
        `allow_failed_gate`.
    path : str or pathlib.Path
        Where the file goes.
    audit : Audit, optional
        What `bayes_bm.audit` gives, where it is made already.
    reconciliation : pandas.DataFrame, optional
        What `bayes_bm.reconcile` gives, where it is made already.
    contrasts : pandas.DataFrame, optional
        What `bayes_bm.contrast_sources` gives; without it the report says that those fits were not made.
    tables : mapping of str to pandas.DataFrame, optional
        `compare` by who is asked about, where it is made already.
    patient : mapping of str to float, optional
        Covariates of a patient by name ({}: each at its centre); None asks about none.
    population : mapping of str to float, optional
        `share_<covariate>` and `mean_<covariate>` of patients who are answered about together; by default those of the
        spec's `population`, and none without.
    patient_table : pandas.DataFrame, optional
        What `bayes_bm.predict` gives for that patient, where it is made already.
    alive_at : float
        Time from which the patient is known alive, in the spec's unit.
    allow_failed_gate : bool
        Whether to write although the convergence gate failed. A failed gate, and red rows of the reconciliation
        (which `bayes_bm.check` refuses), are then said at the top, in the answer, at every heading and under every
        figure.
    elsewhere : mapping of str to pandas.DataFrame, optional
        Tables that commands of their own make: `sensitivity`, `leave_one_study_out`.
    battery : Battery, optional
        What `bayes_bm.battery` gives; its section is left out where it is None.
    parameters : pandas.DataFrame, optional
        Those of `bayes_bm.check`, where they are made already.

    Returns
    -------
    pathlib.Path
        The file written. The same result gives the same bytes.

    Raises
    ------
    GateRefused
        Where the convergence gate failed, unless `allow_failed_gate`; nothing is written then.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from dataclasses import replace
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"))
    >>> failed = replace(result, gate=replace(result.gate, reasons=("R-hat of log_hr[GTR] is 1.07",)))
    >>> bb.write_report(failed, "report.html")
    Traceback (most recent call last):
    bayes_bm.runtime.errors.GateRefused: ...
    """
    from bayes_bm.report.page import render

    if isinstance(result, JointResult):
        return write_joint_report(result, path, allow_failed_gate=allow_failed_gate)
    result.require_gate(allow_failed=allow_failed_gate)
    audit = audit_of(result.spec, result.evidence) if audit is None else audit
    reconciliation = reconcile(result) if reconciliation is None else reconciliation
    gate = () if result.gate.passed else (f"The convergence gate failed: {'; '.join(result.gate.reasons)}.",)
    with counting(2) as step:
        material = gather(
            result,
            audit=audit,
            reconciliation=reconciliation,
            contrasts=contrasts,
            tables=tables,
            patient=patient,
            population=population,
            patient_table=patient_table,
            alive_at=alive_at,
            refused=(*gate, *red_rows(result, reconciliation)),
            elsewhere=elsewhere,
            battery=battery,
            moved=parameters,
        )
        step()
        text = render(material)
    return write_text(Path(path), text)
