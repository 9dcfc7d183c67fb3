"""Section "Summary of findings": what guideline panels read, a row a comparison."""

from dataclasses import dataclass

from bayes_bm.estimands.findings import behind
from bayes_bm.report.material import ReportData
from bayes_bm.report.sentences import estimate_text, interval_of, time_text
from bayes_bm.report.tables import Column, Row, Table, make_table, plain, treatment
from bayes_bm.report.text import MISSING, estimate


@dataclass(frozen=True)
class FindingsSection:
    """The table; `time` is when patients are counted, `judged` whether arms carry judgements of risk of bias."""

    table: Table
    time: str
    judged: bool
    level: str


def findings_section(data: ReportData) -> FindingsSection:
    """Return each comparison with who is behind it, and patients free of the event of 100 in a new study."""
    reference, compared = data.spec.treatments.reference, data.spec.treatments.compare
    rows = [{**behind(data.result, name, reference), "treatment": name, "certainty": ""} for name in compared]
    judged = any(row["risk_of_bias"] for row in rows)
    when, word = time_text(data.spec, data.answers.time), data.answers.measure.words
    columns = [
        treatment(),
        Column("studies (side by side)", lambda row: f"{row['studies']} ({row['side_by_side']})", "num"),
        Column("patients", _patients, "num"),
        plain("compared", "basis", "keep"),
        Column(
            f"{word} ({data.spec.interval.words})",
            lambda row: estimate_text(data.spec, data.answers.ratio(row["treatment"])),
            "num",
        ),
        Column(f"of 100, {data.reference}", lambda row: _of_100(data, "survival", reference), "num"),
        Column("of 100, treatment", lambda row: _of_100(data, "survival", row["treatment"]), "num"),
        Column("difference", lambda row: _of_100(data, "survival_difference", row["treatment"]), "num"),
        *([plain("risk of bias (arms)", "risk_of_bias", "words")] if judged else []),
        plain("certainty", "certainty", missing=""),
    ]
    return FindingsSection(
        make_table(rows, columns, caption=f"Against {data.reference}"), when, judged, data.spec.interval.words
    )


def _patients(row: Row) -> str:
    sizes = [MISSING if row[key] is None else str(row[key]) for key in ("patients", "patients_reference")]
    return " v ".join(sizes)


def _of_100(data: ReportData, estimand: str, name: str) -> str:
    """Patients of 100 free of the event in a new study; missing where nothing says what its level is."""
    if not data.answers.levels:
        return MISSING
    row = data.answers.row("new-study", estimand, name, time=data.answers.time)
    null = 0.0 if estimand.endswith("_difference") else None
    return estimate([100 * end for end in interval_of(data.spec, row)], digits=0, null=null)
