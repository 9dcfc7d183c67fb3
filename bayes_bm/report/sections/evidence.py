"""Sections on evidence: audit, reconciliation, misfits, imputations."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayes_bm.report.material import ImputationSummary, ReportData
from bayes_bm.report.sections.studies import mixes_table, studies_table
from bayes_bm.report.sections.treatments import ESTIMANDS, asked_text, estimand_title
from bayes_bm.report.sentences import reconstruction_sentence
from bayes_bm.report.tables import Cell, Column, Row, Table, make_table, numeric, plain, treatment
from bayes_bm.report.text import DIGITS, number, printed_interval, probability, treatment_text
from bayes_bm.spec.document import Spec

if TYPE_CHECKING:
    from bayes_bm.checks.battery import Battery

ROW_COLUMNS = (plain("kind", "kind", "keep"), plain("study", "study", "words"), plain("arm", "arm", "words"))
"""Columns that name a row of the evidence."""
SIDE_BY_SIDE_COLUMNS = (
    treatment(),
    treatment("against", "reference"),
    numeric("studies", "studies", 0),
    plain("side by side in", "side_by_side", "words"),
)
NOT_INCLUDED = re.compile(r"^not in evidence\.include(?: \(use = (\w+)\))?$")
"""Reason of a row whose flag the spec does not include."""


def reason_words(reason: str) -> str:
    """Return why a row is set aside, a flag in words.

    >>> reason_words("not in evidence.include (use = do_not_pool)")
    'its flag, do not pool, is not among those that this analysis includes'
    """
    found = NOT_INCLUDED.match(reason)
    if found is None:
        return reason
    flag = f", {found[1].replace('_', ' ')}," if found[1] else ""
    return f"its flag{flag} is not among those that this analysis includes"


SET_ASIDE_COLUMNS = (*ROW_COLUMNS, Column("reason", lambda row: reason_words(str(row["reason"])), "words"))
QUESTION_COLUMNS = (
    Column("verdict", lambda row: Cell("flagged", "strong") if row["flagged"] else "not flagged", "keep"),
    plain("question", "question", "words"),
    plain("worst case", "worst", "words"),
    Column("asked", lambda row: str(row["asked"]), "num"),
    Column("p of the question", lambda row: number(row["p_question"], 4), "num"),
    Column("flagged below", lambda row: number(row["threshold"], 4), "num"),
)


def _whom(row: Row) -> str:
    """Return the study, with the covariate it is asked of, or the treatment that a question is about."""
    treatment = treatment_text(row["treatment"]) if row["treatment"] else ""
    named = [row["study"], treatment if row["covariate"] or not row["study"] else "", row["covariate"]]
    return ", ".join(filter(None, named)) or "all"


STUDY_COLUMNS = (
    plain("question", "question", "words"),
    Column("of", lambda row: _whom(row), "words"),
    Column("found", lambda row: number(row["found"], 2), "num"),
    Column("expected sd", lambda row: number(row["expected_sd"], 2), "num"),
    Column("p", lambda row: probability(row["p"]), "num"),
)
PIT_COLUMNS = (
    plain("PIT of", "group", "words"),
    plain("name", "name", "words"),
    Column("patients", lambda row: str(row["patients"]), "num"),
    Column("mean", lambda row: number(row["mean"], 2), "num"),
    Column("p, uniform", lambda row: probability(row["p"]), "num"),
)


STATUS = {"green": "agrees", "amber": "strained", "red": "contradicts"}


@dataclass(frozen=True)
class AuditSection:
    """What the evidence is: notes, treatments, pairs held side by side, rows in use, rows set aside (None: none).

    studies   where each arm was published; None where no row has a source
    mixes     who the patients of each arm were; None where no mix is modelled
    whom      whose mix the averages are over, in words
    informed  a line a covariate: what informs its coefficient
    """

    notes: Sequence[str]
    treatments: Table
    side_by_side: Table
    rows: Table
    set_aside: Table | None
    mixes: Table | None
    studies: Table | None
    whom: str
    informed: Sequence[str]


def audit_section(data: ReportData) -> AuditSection:
    """Return the audit of the evidence."""
    audit, unit = data.answers.audit, data.spec.time_unit
    treatment_columns = [
        treatment(),
        numeric("studies", "studies", 0),
        numeric("arms", "arms", 0),
        numeric("effective patients", "size", 0),
        numeric(f"follow-up ({unit})", "until", DIGITS[unit]),
    ]
    row_columns = [
        *ROW_COLUMNS,
        treatment(),
        numeric("effective size", "size", 0),
        numeric(f"speaks until ({unit})", "until", DIGITS[unit]),
        plain("informs", "informs", "words"),
    ]
    used = "Rows in use and what each informs; effective size in patients, of a hazard ratio in events"
    set_aside = make_table(audit.set_aside, SET_ASIDE_COLUMNS, caption="Set aside, and why")
    return AuditSection(
        notes=audit.notes,
        treatments=make_table(audit.treatments, treatment_columns, caption="Treatments"),
        side_by_side=make_table(audit.contrasts, SIDE_BY_SIDE_COLUMNS, caption="Held side by side within a study"),
        rows=make_table(audit.rows, row_columns, caption=used),
        set_aside=set_aside if len(audit.set_aside) else None,
        mixes=mixes_table(data),
        studies=studies_table(data),
        whom=data.whom,
        informed=[f"Coefficient of {name}: {words}." for name, words in data.informed.items()],
    )


@dataclass(frozen=True)
class ReconciliationSection:
    """Printed numbers beside reconstructed and predicted ones: how many agree in words, whether any contradicts, and
    whether all agree (`quiet`).
    """

    summary: str
    contradicted: bool
    quiet: bool
    table: Table


def reconciliation_section(data: ReportData) -> ReconciliationSection:
    """Return every printed number beside what was rebuilt from it and what the model predicts."""
    spec, rows = data.spec, data.reconciliation
    counts = Counter(rows["status"])
    summary = ", ".join(f"{counts[name]} {words}" for name, words in STATUS.items() if name in counts) or "no rows"
    columns = [
        Column(
            "verdict",
            lambda row: Cell(STATUS.get(str(row["status"]), str(row["status"])), "status", str(row["status"])),
        ),
        plain("study", "study", "words"),
        plain("arm", "arm", "words"),
        plain("quantity", "quantity", "words"),
        Column("printed", lambda row: reconciled_text(spec, row, "printed"), "num"),
        Column("reconstructed", lambda row: number(row["reconstructed"], reconciled_digits(spec, row)), "num"),
        Column(f"predicted ({spec.interval.words})", lambda row: reconciled_text(spec, row, "predicted"), "num"),
        Column("p", lambda row: probability(row["p"]), "num"),
    ]
    table = make_table(rows, columns, row_class=lambda row: row["status"] if row["status"] != "green" else None)
    quiet = not counts.keys() - {"green"}
    return ReconciliationSection(summary, contradicted="red" in counts, quiet=quiet, table=table)


def reconciled_digits(spec: Spec, row: Row) -> int:
    """Return decimals of a reconciled number: medians have those of times, events one, proportions and ratios two."""
    if row["kind"] in ("counts", "registry"):
        return 1
    return DIGITS[spec.time_unit] if str(row["quantity"]).startswith("median") and row["kind"] != "points" else 2


def reconciled_text(spec: Spec, row: Row, name: str) -> str:
    """Return a number of the reconciliation with its interval."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return printed_interval(row[name], low, high, digits=reconciled_digits(spec, row), cap=10 * spec.horizon)


@dataclass(frozen=True)
class MisfitsSection:
    """The battery of checks: how many questions, how many flagged, what is flagged in words, and its tables.

    not_seen  what the battery cannot see
    studies   each study against the others, `pits` probability integral transforms; None where nothing was asked
    """

    asked: int
    flagged: int
    sentences: Sequence[str]
    questions: Table
    not_seen: str
    studies: Table | None
    pits: Table | None


def misfits_section(battery: "Battery") -> MisfitsSection:
    """Return what is flagged in words, every question with its worst case, studies against the others, PITs."""
    return MisfitsSection(
        asked=len(battery.flags),
        flagged=len(battery.flagged),
        sentences=battery.sentences(),
        questions=make_table(battery.flags, QUESTION_COLUMNS),
        not_seen=battery.not_seen,
        studies=make_table(battery.studies, STUDY_COLUMNS) if len(battery.studies) else None,
        pits=make_table(battery.pit, PIT_COLUMNS) if len(battery.pit) else None,
    )


@dataclass(frozen=True)
class ReconstructionSection:
    """What the answer owes to patients rebuilt from curves; the table of variances is None where one set was fitted."""

    sentence: str
    imputations: int
    table: Table | None


def reconstruction_section(data: ReportData, rebuilt: ImputationSummary) -> ReconstructionSection:
    """Return what the reconstruction of patients adds to the variance of every answer
    (docs/decisions.md#19-multiple-imputation).
    """
    sentence = reconstruction_sentence(rebuilt, data.spec)
    if rebuilt.m == 1:
        return ReconstructionSection(sentence, rebuilt.m, None)
    rows = [{**row, **_quantity(data.spec, row)} for row in rebuilt.variance.to_dict("records")]
    rows.sort(key=lambda row: row["place"])
    return ReconstructionSection(sentence, rebuilt.m, make_table(rows, VARIANCE_COLUMNS, group="group"))


def _small(head: str, value: Callable[[Row], float]) -> Column:
    """A number that may be far below 1, with two significant figures."""
    return Column(head, lambda row: f"{value(row):.2g}", "num")


def _percent(head: str, key: str) -> Column:
    return Column(head, lambda row: f"{100 * row[key]:.1f} %", "num")


VARIANCE_COLUMNS = (
    plain("quantity", "name", "keep"),
    numeric("mean", "mean", 2),
    _small("sd within, √W", lambda row: row["within"] ** 0.5),
    _small("sd between, √B", lambda row: row["between"] ** 0.5),
    _percent("share of B in T", "share"),
    _small("Monte Carlo error of the mean", lambda row: row["mcse"]),
    numeric("width of the interval, one fit", "width_within", 2),
    numeric("all fits", "width", 2),
    _percent("wider by", "wider"),
)


def _quantity(spec: Spec, row: Row) -> dict[str, Any]:
    """Name, group and place of a row of the variance table: the ratios first, the parameters last."""
    if not isinstance(row["treatment"], str):
        return {"group": "Parameters", "name": row["quantity"], "place": len(ESTIMANDS)}
    logged = row["quantity"] == "log_hazard_ratio"
    asked = {**row, "estimand": "hazard_ratio" if logged else row["quantity"]}
    title = estimand_title(spec, asked)
    group = f"Log {title[0].lower()}{title[1:]}" if logged else title
    return {"group": group, "name": asked_text(spec, asked), "place": list(ESTIMANDS).index(asked["estimand"])}
