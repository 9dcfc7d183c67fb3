"""Names are text in every figure: a $ begins no formula, wherever a label is made."""

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

import bayes_bm as bb
from bayes_bm.cli.printing import write_figure
from bayes_bm.estimands.ranking import rank
from bayes_bm.report.plots.ranking import ranks_figure
from bayes_bm.report.plots.style import RC, svg
from tests.builders import posteriors, worlds

NAMES = {"reference": "a$_{", "compare": ["b$\\frac$", "c $5 v $6"]}
"""The first two are formulas that matplotlib cannot read, the last one is one that it can."""


def renamed() -> dict[str, list[dict]]:
    """The small world under such names of treatments and studies."""
    names = dict(zip("abc", [NAMES["reference"], *NAMES["compare"]], strict=True))
    columns = ("treatment", "reference")
    return {
        kind: [
            {
                **row,
                "study": f"{row['study']} $x^{{",
                **{column: names[row[column]] for column in columns if column in row},
            }
            for row in rows
        ]
        for kind, rows in worlds.TABLES.items()
    }


@pytest.mark.slow
def test_ranks_are_drawn_under_any_name(tmp_path: Path) -> None:
    spec = worlds.spec(treatments=NAMES)
    result = posteriors.result(spec, worlds.evidence(spec, renamed()))
    assert bb.audit(spec, result.evidence) is not None
    drawn = ranks_figure(rank(result))
    for ending in ("svg", "png", "pdf"):
        write_figure(drawn, tmp_path / f"ranks.{ending}")
    assert svg(drawn, title="ranks").startswith("<svg")


@pytest.mark.parametrize("way", ["file", "page"])
def test_labels_made_while_drawing_are_text_too(tmp_path: Path, way: str) -> None:
    """Before, labels of ticks that a file's writer made were formulas: exit status 3."""
    with mpl.rc_context(RC):
        drawn = Figure()
        axes = drawn.add_subplot()
    axes.set_xlim(0, 9)
    axes.xaxis.set_major_formatter(lambda value, position: "a$_{")
    if way == "file":
        write_figure(drawn, tmp_path / "labels.png")
    else:
        svg(drawn, title="labels")
