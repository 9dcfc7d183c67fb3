"""Section "What would settle it": designs of future studies, where `bayes-bm plan` left its table beside the result."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bayes_bm.checks.kept_fits import analysis_model
from bayes_bm.inference.result import Result
from bayes_bm.report.figures import PageFigure
from bayes_bm.report.plots.planning import planning_figure
from bayes_bm.report.plots.style import svg
from bayes_bm.report.tables import Column, Row, Table, make_table, numeric, plain, treatment
from bayes_bm.runtime.spreadsheets import restore

FILE = "plan.csv"
"""Name of the table in the folder of a result."""


@dataclass(frozen=True)
class PlanningSection:
    """A sentence a design, the table of all sizes, and width and probability against patients."""

    sentences: list[str]
    table: Table
    picture: PageFigure


def saved_plan(result: Result, folder: Path) -> pd.DataFrame | None:
    """Return the table of `bayes-bm plan --out plan.csv` in a folder, where it is of this model; else None."""
    file = folder / FILE
    if not file.is_file():
        return None
    table = restore(pd.read_csv(file))
    same = "model" in table and len(table) and table["model"].iloc[0] == analysis_model(result.spec, result.evidence)
    return table if same else None


def planning_section(plan: pd.DataFrame) -> PlanningSection:
    """Return what each design would be expected to settle."""
    columns = [
        plain("design", "design", "keep"),
        treatment(),
        numeric("patients", "n", 0),
        Column("95 % interval of the log ratio, now and expected", _widths, "num"),
        numeric("P(excludes 1)", "prob_excludes_1", 2),
        numeric("P(settled as better)", "prob_better_by_margin", 2),
        numeric("gain", "expected_gain", 2),
        plain("method", "method"),
    ]
    rows = [{str(name): value for name, value in row.items()} for row in plan.to_dict("records")]
    picture = svg(planning_figure(plan, str(plan["treatment"].iloc[0])), title="What would settle it")
    sentences = [str(text) for text in plan["sentence"].dropna()] if "sentence" in plan else []
    return PlanningSection(sentences, make_table(rows, columns), PageFigure(picture))


def _widths(row: Row) -> str:
    return f"{row['width_now']:.2f}, {row['expected_width']:.2f}"
