"""Tables of the audit about studies: where each was published, and who its patients were."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from bayes_bm.report.material import ReportData
from bayes_bm.report.tables import Cell, Column, Row, Table, make_table, numeric, plain, treatment
from bayes_bm.report.text import MISSING, number, treatment_text
from bayes_bm.spec.covariates import Covariate

DOI = re.compile(r"10\.\d{4,9}/[^\s?&#\"<>;,]+")
"""A digital object identifier inside a source."""


def studies_table(data: ReportData) -> Table | None:
    """Return the arms in use with their patients and where they were published; None where no row has a source."""
    arms = data.result.evidence.arms
    if "source" not in arms or not arms["source"].notna().any():
        return None
    columns = [
        plain("study", "study", "words"),
        plain("arm", "arm", "words"),
        treatment(),
        numeric("patients", "n", 0),
        *([numeric("year", "year", 0)] if "year" in arms and arms["year"].notna().any() else []),
        Column("source", lambda row: source_cell(row["source"]), "words"),
    ]
    return make_table(arms.to_dict("records"), columns, caption="Studies and their sources")


def source_cell(source: Any) -> Cell:
    """Return a source as a link: a DOI to its resolver, an address to itself; other words as they are.

    >>> source_cell("https://link.springer.com/doi/10.1007/s00701-010-0721-7").level
    'https://doi.org/10.1007/s00701-010-0721-7'
    """
    if not isinstance(source, str) or not source:
        return Cell(MISSING)
    found = DOI.search(source)
    if found:
        doi = re.sub(r"/(full|tables/\d+|abstract|pdf)$", "", found[0]).rstrip(".)")
        return Cell(f"doi {doi}", "link", f"https://doi.org/{doi}")
    address = urlsplit(source)
    if address.scheme in ("http", "https") and address.netloc:
        return Cell(address.netloc.removeprefix("www.") + address.path[:60], "link", source)
    # a pointer into a column of the table is of no use on a page
    return Cell(re.sub(r"; see x_\w+$", "", source))


# ---- who the patients were


def mixes_table(data: ReportData) -> Table | None:
    """Return the share or mean of each covariate, one line an arm, those of a new arm first; None without mixes."""
    if data.mixes.empty:
        return None
    mixes, terms = data.mixes, data.spec.covariates
    names = list(dict.fromkeys(mixes["covariate"]))
    groups = mixes.groupby(["study", "arm", "treatment"], sort=False)
    arms = [
        {**dict(zip(("study", "arm", "treatment"), key, strict=True)), "of": _by_name(rows)} for key, rows in groups
    ]
    fresh = [
        {"study": "a new arm", "arm": "", "treatment": name, "of": _by_name(rows), "new": True}
        for name, rows in mixes.groupby("treatment", sort=False)
    ]
    columns = [
        plain("study", "study", "words"),
        plain("arm", "arm", "words", missing=""),
        Column("treatment", lambda row: treatment_text(row["treatment"]), "keep"),
        *(Column(share_words(terms[name], name), _mix_cell(name), "num") for name in names),
    ]
    caption = f"Who the patients were: shares and means, {data.spec.interval.words} intervals where not printed"
    return make_table([*fresh, *arms], columns, caption=caption)


def _by_name(rows: pd.DataFrame) -> Mapping[str, Row]:
    return {row["covariate"]: row for row in rows.to_dict("records")}


def share_words(term: Covariate, name: str) -> str:
    """Return what the share or mean of a covariate is of: `share, number of metastases: one`."""
    return f"share, {term.value_words(name, 1.0)}" if term.kind == "two_valued" else f"mean {term.words(name)}"


def _mix_cell(name: str) -> Callable[[Row], Cell]:
    """The cell of a covariate: its number, and under it whether it was printed."""

    def cell(row: Row) -> Cell:
        found = row["of"].get(name)
        if found is None:
            return Cell(MISSING)
        if row.get("new"):
            return Cell(mix_text(found, "population_"))
        said = str(found["source"])
        return Cell(mix_text(found, ""), "marked", said if said.startswith("printed") else "")

    return cell


def mix_text(row: Row, prefix: str) -> str:
    """Return a share or a mean with its interval; one that is printed has none."""
    middle, low, high = (float(row[f"{prefix}{name}"]) for name in ("mean", "low", "high"))
    digits = 2 if abs(middle) <= 1 else 1
    if low == high or not np.isfinite(low):
        return number(middle, digits)
    return f"{number(middle, digits)} ({number(low, digits)} to {number(high, digits)})"
