"""Sections on evidence: audit, reconciliation, misfits, imputations."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bayes_bm.report.html import Column, Part, Row, el, html_table, numeric, plain, treatment
from bayes_bm.report.material import ImputationSummary, ReportData
from bayes_bm.report.sections.treatments import ESTIMANDS, asked_text, estimand_title
from bayes_bm.report.sentences import (
    reconstruction_sentence,
)
from bayes_bm.report.text import (
    DIGITS,
    number,
    printed_interval,
    probability,
    treatment_text,
)
from bayes_bm.spec.document import Spec

if TYPE_CHECKING:
    from bayes_bm.checks.battery import Battery


def audit_section(of: ReportData) -> list[Part]:
    audit, unit = of.answers.audit, of.spec.time_unit
    treatments = [
        treatment(),
        numeric("studies", "studies", 0),
        numeric("arms", "arms", 0),
        numeric("effective patients", "size", 0),
        numeric(f"follow-up ({unit})", "until", DIGITS[unit]),
    ]
    sides = [
        treatment(),
        treatment("against", "reference"),
        numeric("studies", "studies", 0),
        plain("side by side in", "side_by_side", "words"),
    ]
    rows = [
        plain("kind", "kind", "keep"),
        plain("study", "study", "words"),
        plain("arm", "arm", "words"),
        treatment(),
        numeric("effective size", "size", 0),
        numeric(f"speaks until ({unit})", "until", DIGITS[unit]),
        plain("informs", "informs", "words"),
    ]
    aside = [
        plain("kind", "kind", "keep"),
        plain("study", "study", "words"),
        plain("arm", "arm", "words"),
        plain("reason", "reason", "words"),
    ]
    used = "Rows in use and what each informs; effective size in patients, of a hazard ratio in events"
    return [
        el("ul", *(el("li", text) for text in audit.notes)) if audit.notes else None,
        html_table(audit.treatments, treatments, caption="Treatments"),
        html_table(audit.contrasts, sides, caption="Held side by side within a study"),
        html_table(audit.rows, rows, caption=used),
        html_table(audit.set_aside, aside, caption="Set aside, and why")
        if len(audit.set_aside)
        else el("p", "Nothing was set aside."),
    ]


STATUS = {"green": "agrees", "amber": "strained", "red": "contradicts"}


def reconciliation_section(of: ReportData) -> list[Part]:
    table = of.reconciliation
    counts = table["status"].value_counts().to_dict()
    summary = ", ".join(f"{counts[name]} {words}" for name, words in STATUS.items() if name in counts) or "no rows"
    explain = (
        f"Every printed number beside what was rebuilt from it and what the model predicts: {summary}. The interval and"
        " the two-sided posterior predictive p are of the number as it would be printed, sampling error included:"
        " strained below 0.05, contradicts below 0.001. With many rows a few are strained by chance."
    )
    columns = [
        Column("", lambda row: el("span", STATUS.get(row["status"], row["status"]), cls=f"status {row['status']}")),
        plain("study", "study", "words"),
        plain("arm", "arm", "words"),
        plain("quantity", "quantity", "keep"),
        Column("printed", lambda row: reconciled(of.spec, row, "printed"), "num"),
        Column("reconstructed", lambda row: number(row["reconstructed"], reconciled_digits(of.spec, row)), "num"),
        Column("predicted (95 %)", lambda row: reconciled(of.spec, row, "predicted"), "num"),
        Column("p", lambda row: probability(row["p"]), "num"),
    ]
    red = "red" in counts
    return [
        el("p", explain),
        el("p", el("strong", "Printed numbers contradict the model: see the rows marked so.")) if red else None,
        html_table(table, columns, row_class=lambda row: row["status"] if row["status"] != "green" else None),
    ]


def misfits_section(of: ReportData, found: "Battery") -> list[Part]:
    """The battery: what is flagged in words, every question with its worst case, studies against the others, PITs."""
    flagged = len(found.flagged)
    explain = (
        f"{len(found.flags)} questions, each asked of all arms, rows or studies. Within a question the worst is"
        " corrected for how often it was asked; over questions Holm's thresholds keep the chance of any flag at 10 %"
        f" where the model is right. {flagged or 'None'} {'is' if flagged < 2 else 'are'} flagged."
    )
    questions = [
        Column("", lambda row: el("strong", "flagged") if row["flagged"] else "", "keep"),
        plain("question", "question", "words"),
        plain("worst case", "worst", "words"),
        Column("asked", lambda row: str(row["asked"]), "num"),
        Column("p of the question", lambda row: number(row["p_question"], 4), "num"),
        Column("flagged below", lambda row: number(row["threshold"], 4), "num"),
    ]
    studies = [
        plain("question", "question", "words"),
        Column(
            "of", lambda row: row["study"] or (treatment_text(row["treatment"]) if row["treatment"] else "all"), "words"
        ),
        Column("found", lambda row: number(row["found"], 2), "num"),
        Column("expected sd", lambda row: number(row["expected_sd"], 2), "num"),
        Column("p", lambda row: probability(row["p"]), "num"),
    ]
    pits = [
        plain("PIT of", "group", "words"),
        plain("", "name", "words"),
        Column("patients", lambda row: str(row["patients"]), "num"),
        Column("mean", lambda row: number(row["mean"], 2), "num"),
        Column("p, uniform", lambda row: probability(row["p"]), "num"),
    ]
    told = (
        "How far each study is from what all others predict for it, on the log scale; of heterogeneity how many times"
        " what the priors expect; of time units the log of a study's last time over the others'."
    )
    return [
        el("p", explain),
        el("ul", *(el("li", text) for text in found.sentences())),
        html_table(found.flags, questions),
        el("p", found.not_seen),
        el("h3", "Studies against each other") if len(found.studies) else None,
        el("p", told) if len(found.studies) else None,
        html_table(found.studies, studies) if len(found.studies) else None,
        el("h3", "Patients: probability integral transforms, censored ones randomised") if len(found.pit) else None,
        html_table(found.pit, pits) if len(found.pit) else None,
    ]


def reconciled_digits(spec: Spec, row: Row) -> int:
    """Decimals of a reconciled number: medians as times, counts of events with one, proportions and ratios with two."""
    if row["kind"] in ("counts", "registry"):
        return 1
    return DIGITS[spec.time_unit] if str(row["quantity"]).startswith("median") and row["kind"] != "points" else 2


def reconciled(spec: Spec, row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return printed_interval(row[name], low, high, digits=reconciled_digits(spec, row), cap=10 * spec.horizon)


def rebuilt_section(of: ReportData, rebuilt: ImputationSummary) -> list[Part]:
    """What the reconstruction of patients adds to the variance of every answer
    (docs/decisions.md#19-multiple-imputation).
    """
    said = el("p", reconstruction_sentence(rebuilt, of.spec))
    if rebuilt.m == 1:
        return [said]
    words = (
        f"The variance within, W, is the mean over {rebuilt.m} fits, each to one plausible set of patients; that"
        f" between, B, is that of their means; in all T = W + (1 + 1/{rebuilt.m}) B. Wider by: sqrt(T / W) - 1."
        " Patients are drawn from the curves alone, never from the model. Average study; ratios on the log scale."
    )
    columns = [
        plain("", "name", "keep"),
        numeric("mean", "mean", 2),
        _small("sd within, √W", lambda row: row["within"] ** 0.5),
        _small("sd between, √B", lambda row: row["between"] ** 0.5),
        _percent("share of B in T", "share"),
        _small("Monte Carlo error of the mean", lambda row: row["mcse"]),
        numeric("95 % width, one fit", "width_within", 2),
        numeric("all fits", "width", 2),
        _percent("wider by", "wider"),
    ]
    rows = [{**row, **_quantity(of.spec, row)} for row in rebuilt.variance.to_dict("records")]
    rows.sort(key=lambda row: row["place"])
    return [said, el("p", words), html_table(rows, columns, group="group")]


def _small(head: str, value: Callable[[Row], float]) -> Column:
    """A number that may be far below 1, with two significant figures."""
    return Column(head, lambda row: f"{value(row):.2g}", "num")


def _percent(head: str, key: str) -> Column:
    return Column(head, lambda row: f"{100 * row[key]:.1f} %", "num")


def _quantity(spec: Spec, row: Row) -> dict[str, Any]:
    """Name, group and place of a row of the variance table: the ratios first, the parameters last."""
    if not isinstance(row["treatment"], str):
        return {"group": "Parameters", "name": row["quantity"], "place": len(ESTIMANDS)}
    logged = row["quantity"] == "log_hazard_ratio"
    asked = {**row, "estimand": "hazard_ratio" if logged else row["quantity"]}
    title = estimand_title(spec, asked)
    group = f"Log {title[0].lower()}{title[1:]}" if logged else title
    return {"group": group, "name": asked_text(spec, asked), "place": list(ESTIMANDS).index(asked["estimand"])}
