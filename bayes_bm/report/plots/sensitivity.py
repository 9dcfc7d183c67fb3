"""The main contrast under every analysis, as a difference of restricted means: the scale that all families share."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, INK, PALETTE, RC, Look, axes_inches, figure, figure_of, wrapped
from bayes_bm.report.plots.text_columns import GAP, LETTER, LINE, column_widths, write_cells, write_text
from bayes_bm.report.text import DIGITS, MISSING, estimate, number, probability, ratio_estimate, treatment_text
from bayes_bm.spec.level import USUAL, Level

LOOKS = {
    "base": Look(INK, "D"),
    "named": Look(PALETTE[0], "o"),
    "family": Look(PALETTE[1], "s"),
    "crossed": Look(PALETTE[2], "^"),
}
HEADINGS = {"named": "Named analyses", "family": "Families of the hazard", "crossed": "Named analyses x families"}
TITLE_CHARACTERS = 110
"""Letters of a title before it is cut."""


def draw_sensitivity(
    table: pd.DataFrame, axes: Axes | None = None, *, time_unit: str, title: str = "", level: Level = USUAL
) -> Axes:
    """Draw one line an analysis, grouped by kind, with words on both sides; without axes at its own size."""
    rows, digits = _rows_with_headings(table), DIGITS[time_unit]
    texts = [_analysis_texts(row, digits) for row in rows]
    heads = (f"difference ({time_unit})", f"ratio ({level.words})", "P(better)")
    left_margin = 0.3 + LETTER * max(len(_analysis_label(row)) for row in rows)
    widths = column_widths(heads, texts)
    top_margin = 0.62 if title else 0.4
    if axes is None:
        _, axes = figure(
            left_margin + 4.2 + sum(widths),
            LINE * len(rows) + top_margin + 1.0,
            left_margin=left_margin,
            right_margin=sum(widths),
            bottom_margin=0.95,
            top_margin=top_margin,
        )
    left_margin = axes_inches(axes).left_margin
    with mpl.rc_context(RC):
        _set_difference_axis(axes, table, len(rows))
        for y, (row, cells) in enumerate(zip(rows, texts, strict=True)):
            _write_analysis_label(axes, row, y, left_margin)
            _draw_analysis(axes, row, y)
            write_cells(axes, cells, widths, y, begin=GAP, fontsize=8.5)
        write_cells(axes, heads, widths, -1.0, begin=GAP, fontsize=8.5, color=GREY)
        _write_words(axes, table, time_unit, title, left_margin, level)
    return axes


def sensitivity_figure(table: pd.DataFrame, **settings: Any) -> Figure:
    """Return the figure of `draw_sensitivity`."""
    return figure_of(draw_sensitivity(table, **settings))


def _rows_with_headings(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows in order, a heading before each kind that has several."""
    rows: list[dict[Any, Any]] = []
    for row in table.to_dict("records"):
        if row["kind"] in HEADINGS and (not rows or rows[-1]["kind"] != row["kind"]):
            rows.append({"kind": "heading", "analysis": HEADINGS[row["kind"]]})
            rows.append(row)
        else:
            rows.append(row)
    return rows


def _analysis_texts(row: Mapping[Any, Any], digits: int) -> tuple[str, str, str]:
    if row["kind"] == "heading":
        return "", "", ""
    if not _has_value(row, "ratio"):
        return "not fitted" if not row["gate"] or pd.isna(row["gate"]) else "not in this analysis", "", ""
    difference = [row[name] for name in ("rmst_difference", "rmst_low", "rmst_high")]
    shown = estimate(difference, digits=digits, null=0.0) if _has_value(row, "rmst_difference") else MISSING
    short = str(row["measure"]).replace("hazard ratio", "HR").replace("time ratio", "time ratio")
    ratio = f"{short} {ratio_estimate([row['ratio'], row['ratio_low'], row['ratio_high']])}"
    return shown, ratio, probability(row["prob_better"])


def _has_value(row: Mapping[Any, Any], name: str) -> bool:
    value = row.get(name)
    return value is not None and bool(np.isfinite(float(value)))


def _set_difference_axis(axes: Axes, table: pd.DataFrame, count: int) -> None:
    ends = table[["rmst_difference", "rmst_low", "rmst_high"]].to_numpy(dtype=float)
    ends = np.append(ends[np.isfinite(ends)], 0.0)
    room = 0.06 * max(float(np.ptp(ends)), 1e-6)
    axes.set(xlim=(ends.min() - room, ends.max() + room), ylim=(count - 0.4, -1.5))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x")
    axes.axvline(0, color=GREY, linewidth=1)
    base = table[table["kind"] == "base"]
    if len(base) and _has_value(base.iloc[0].to_dict(), "rmst_difference"):
        row = base.iloc[0]
        axes.axvspan(row["rmst_low"], row["rmst_high"], color=GREY, alpha=0.12, linewidth=0)
        axes.axvline(row["rmst_difference"], color=GREY, linewidth=1, linestyle="--")


def _analysis_label(row: Mapping[Any, Any]) -> str:
    return f"base ({row['family']})" if row["kind"] == "base" else str(row["analysis"]).replace("_", " ")


def _write_analysis_label(axes: Axes, row: Mapping[Any, Any], y: float, left_margin: float) -> None:
    first = row["kind"] in ("heading", "base")
    place, offset = (0.0, y), (6 if first else 14) - 72 * left_margin
    write_text(axes, _analysis_label(row), place, offset, fontsize=8.8, bold=first)


def _draw_analysis(axes: Axes, row: Mapping[Any, Any], y: float) -> None:
    if row["kind"] == "heading" or not _has_value(row, "rmst_difference"):
        return
    look, passed = LOOKS[row["kind"]], row["gate"] == "passed"
    line = 2.4 if row["kind"] == "base" else 1.6
    axes.plot(
        [row["rmst_low"], row["rmst_high"]], [y, y], color=look.color, linewidth=line, linestyle="-" if passed else ":"
    )
    axes.plot(
        [row["rmst_difference"]],
        [y],
        marker=look.marker,
        markersize=6.5,
        color=look.color,
        markerfacecolor=look.color if passed else "white",
        markeredgewidth=1.3,
        linestyle="",
    )


def _write_words(axes: Axes, table: pd.DataFrame, time_unit: str, title: str, left_margin: float, level: Level) -> None:
    """Title, axis and legend in words."""
    first = table.iloc[0]
    compared, reference = treatment_text(first["treatment"]), treatment_text(first["reference"])
    horizons = table["horizon"].dropna().unique()
    horizon_words = f" to {number(float(horizons[0]), 0)}" if len(horizons) == 1 else ""
    axes.set_xlabel(
        f"difference of restricted mean{horizon_words}, in {time_unit}: {compared} minus {reference}, in a new study\n"
        f"above 0: longer with {compared}. Line: {level.words} interval; grey: the base's"
    )
    failed = bool((table["gate"] == "failed").any())
    remark = "Hollow, dotted: the convergence gate failed." if failed else ""
    remark += " HR and time ratios: average study; HR below 1 and time ratio above 1 are better."
    place: dict[Any, Any] = {
        "textcoords": "offset points",
        "annotation_clip": False,
        "ha": "left",
    }
    axes.annotate(
        remark.strip(),
        (0, 0),
        xycoords="axes fraction",
        xytext=(6 - 72 * left_margin, -62),
        va="bottom",
        fontsize=8,
        **place,
    )
    if title:
        axes.annotate(
            wrapped(title, TITLE_CHARACTERS, lines=1),
            (0, 1),
            xycoords="axes fraction",
            xytext=(6 - 72 * left_margin, 8),
            va="bottom",
            fontsize=9.5,
            fontweight="bold",
            **place,
        )
