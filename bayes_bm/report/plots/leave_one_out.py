"""The main contrast without each study in turn, largest change first, beside what all studies say."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from bayes_bm.report.plots.style import GREY, INK, PALETTE, RC, axes_inches, figure, figure_of, wrapped
from bayes_bm.report.plots.text_columns import LETTER, LINE, column_widths, write_cells, write_text
from bayes_bm.report.text import number, ratio_estimate, treatment_text
from bayes_bm.spec.level import USUAL, Level

SIZE = 8.7
"""Points of the text."""
LONGEST = 46
"""Letters of a study's name before it is cut."""
TICKS = (0.1, 0.2, 0.25, 0.33, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0)
METHODS = {"psis": "weights", "refit": "a fit", "failed": "failed"}


def draw_leave_one_out(
    studies: pd.DataFrame, axes: Axes | None = None, *, title: str = "", level: Level = USUAL
) -> Axes:
    """Draw one line a study left out, largest change first, below all studies; without axes at its own size."""
    order = studies.iloc[1:].assign(size=lambda table: -table["shift"].abs().fillna(0.0)).sort_values("size")
    rows = [*studies.iloc[:1].to_dict("records"), *order.to_dict("records")]
    texts = [_study_texts(row) for row in rows]
    heads = (f"ratio ({level.words})", "shift, sd", "log score", "by")
    left_margin = 0.3 + LETTER * max(len(_study_label(row)) for row in rows)
    widths = column_widths(heads, texts)
    top_margin = 0.62 if title else 0.4
    if axes is None:
        _, axes = figure(
            left_margin + 3.8 + sum(widths),
            LINE * len(rows) + top_margin + 0.75,
            left_margin=left_margin,
            right_margin=sum(widths),
            bottom_margin=0.7,
            top_margin=top_margin,
        )
    left_margin = axes_inches(axes).left_margin
    with mpl.rc_context(RC):
        _set_ratio_axis(axes, rows)
        for y, (row, cells) in enumerate(zip(rows, texts, strict=True)):
            _draw_study(axes, row, y)
            write_text(axes, _study_label(row), (0, y), 6 - 72 * left_margin, fontsize=SIZE, bold=y == 0)
            write_cells(axes, cells, widths, y, begin=0.2, fontsize=SIZE)
        write_cells(axes, heads, widths, -1.0, begin=0.2, fontsize=SIZE, color=GREY)
        first = rows[0]
        compared, reference = treatment_text(first["treatment"]), treatment_text(first["reference"])
        axes.set_xlabel(f"{first['measure']} in the average study, {compared} against {reference}\ngrey: all studies")
        if title:
            write_text(axes, wrapped(title, 110, lines=1), (0, -2.2), 6 - 72 * left_margin, fontsize=SIZE, bold=True)
    return axes


def leave_one_out_figure(studies: pd.DataFrame, **settings: Any) -> Figure:
    """Return the figure of `draw_leave_one_out`."""
    return figure_of(draw_leave_one_out(studies, **settings))


def _study_label(row: Mapping[Any, Any]) -> str:
    name = str(row["study"]) or "all studies"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _is_fitted(row: Mapping[Any, Any]) -> bool:
    return bool(np.isfinite(row["ratio"]))


def _study_texts(row: Mapping[Any, Any]) -> tuple[str, ...]:
    if not _is_fitted(row):
        return "", "", "", "failed"
    shown = ratio_estimate([row["ratio"], row["ratio_low"], row["ratio_high"]])
    if not row["study"]:
        return shown, "", "", ""
    return shown, f"{row['shift']:+.2f}".replace("-", "−"), number(float(row["elpd"]), 1), METHODS[row["method"]]


def _set_ratio_axis(axes: Axes, rows: list[dict[Any, Any]]) -> None:
    ends = np.array([[row["ratio_low"], row["ratio_high"]] for row in rows], dtype=float)
    ends = np.append(ends[np.isfinite(ends)], 1.0)
    axes.set_xscale("log")
    axes.set(xlim=(ends.min() / 1.05, ends.max() * 1.05), ylim=(len(rows) - 0.4, -1.5))
    axes.set_xticks([tick for tick in TICKS if ends.min() / 1.05 <= tick <= ends.max() * 1.05])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x")
    axes.axvline(1, color=GREY, linewidth=1)
    first = rows[0]
    axes.axvspan(first["ratio_low"], first["ratio_high"], color=GREY, alpha=0.12, linewidth=0)
    axes.axvline(first["ratio"], color=GREY, linewidth=1, linestyle="--")


def _draw_study(axes: Axes, row: Mapping[Any, Any], y: float) -> None:
    if not _is_fitted(row):
        return
    whole = not row["study"]
    color = INK if whole else PALETTE[0]
    axes.plot([row["ratio_low"], row["ratio_high"]], [y, y], color=color, linewidth=2.4 if whole else 1.6)
    refit = row["method"] == "refit"
    axes.plot(
        [row["ratio"]],
        [y],
        marker="D" if whole else "s" if refit else "o",
        markersize=6.5,
        color=color,
        markerfacecolor="white" if refit else color,
        linestyle="",
    )
