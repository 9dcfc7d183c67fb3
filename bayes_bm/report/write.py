"""One result to one HTML file."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bayes_bm.checks.battery import Battery
from bayes_bm.evidence.audit import Audit
from bayes_bm.inference.result import Result
from bayes_bm.report.gather import gather
from bayes_bm.runtime.files import atomic_write

# ---- entry


def red_rows(result: Result, reconciliation: pd.DataFrame) -> tuple[str, ...]:
    """Printed numbers that contradict the model, as one reason; a reproduction is there to show them
    (docs/decisions.md#9-reproductions).
    """
    red = reconciliation.loc[reconciliation["status"] == "red"].to_dict("records")
    if not red or result.spec.reproduction:
        return ()
    named = "; ".join(f"{row['study']}, {row['arm']}, {row['quantity']}" for row in red)
    return (f"Printed numbers contradict the model (red in the reconciliation): {named}.",)


def write_report(
    result: Result,
    path: str | Path,
    *,
    audit: Audit,
    reconciliation: pd.DataFrame,
    contrasts: pd.DataFrame | None,
    tables: Mapping[str, pd.DataFrame] | None = None,
    patient: Mapping[str, float] | None = None,
    patient_table: pd.DataFrame | None = None,
    alive_at: float = 0.0,
    allow_failed_gate: bool = False,
    elsewhere: Mapping[str, pd.DataFrame] | None = None,
    battery: Battery | None = None,
) -> Path:
    """Write the report whole, or not at all.

    `reconciliation` comes from `checks.reconcile.reconcile`, `contrasts` from `checks.contrasts.contrast_sources`.
    `patient` holds covariates by name ({}: each at its centre), `alive_at` since when the patient is known alive.
    `tables` (of `answer_tables`) and `patient_table` (of `predict`) are given where they are made already. `elsewhere`
    holds tables that commands of their own make (`sensitivity`, `leave_one_study_out`). `battery` comes from
    `checks.battery.battery`.

    Raises `GateRefused` where the convergence gate failed, unless `allow_failed_gate`. A failed gate, and red rows of
    reconciliation (which `checks.check.Check` refuses), are then said at the top, in the answer, at every heading and
    under every figure.
    """
    from bayes_bm.report.page import render

    result.require_gate(allow_failed=allow_failed_gate)
    gate = () if result.gate.passed else (f"The convergence gate failed: {'; '.join(result.gate.reasons)}.",)
    material = gather(
        result,
        audit=audit,
        reconciliation=reconciliation,
        contrasts=contrasts,
        tables=tables,
        patient=patient,
        patient_table=patient_table,
        alive_at=alive_at,
        refused=(*gate, *red_rows(result, reconciliation)),
        elsewhere=elsewhere,
        battery=battery,
    )
    text = render(material)
    with atomic_write(Path(path)) as file:
        file.write_text(text, encoding="utf-8")
    return Path(path)
