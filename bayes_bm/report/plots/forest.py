"""Forest plot of study arms: each arm's own posterior beside the printed number, the treatments' overall below."""

from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, INK, PRINTED, RC, Look, axes_inches, figure, figure_of, wrapped

TICKS = (0.5, 1, 2, 3, 6, 12, 24, 48, 96, 192, 384)
"""Ticks of a log axis in the unit of time."""
FINE_TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 10, 12, 15, 18, 24, 30, 36, 48, 60, 96, 120, 192, 384)
"""Ticks where fewer than three of `TICKS` fall on the axis."""
LINE_STYLES = {"arm": "-", "average": "-", "hospital": ":"}
LINE_COORDINATES = ("axes fraction", "data")
"""Text next to the plot stands a share of the axes' width across, level with its row."""
COLUMN_GAP = 0.22
"""Inches between columns of text right of the plot."""
LETTER = 0.066
"""Inches of a letter at 9 points."""
LABEL_CHARACTERS = 60
"""Letters of a label before it is cut."""


def forest(
    axes: Axes,
    table: pd.DataFrame,
    *,
    looks: Mapping[str, Look],
    xlabel: str,
    xlim: tuple[float, float],
    log: bool,
    wide: bool,
    columns: Mapping[str, str] | None = None,
) -> Axes:
    """Draw one row of `table` a line from the top: label, treatment, kind, n, median, low, high, printed, its interval.

    kind is "arm" (marker sized by n), "average" or "hospital" (overall, bold and dotted) or "heading" (text only).
    `wide` writes labels left of the axes and `columns` (head -> field) right of them; otherwise labels stand above
    their lines, for narrow screens. What runs past `xlim` ends in an arrow.
    """
    with mpl.rc_context(RC):
        _set_time_axis(axes, xlim, log=log)
        axes.set(ylim=(len(table) - 0.3, -0.9), xlabel=xlabel)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=True, axis="x")
        for y, row in enumerate(table.to_dict("records")):
            _write_arm_label(axes, row, y, wide=wide)
            if row["kind"] != "heading":
                _draw_estimate(axes, row, y, looks[row["treatment"]], xlim)
                _draw_printed_number(axes, row, y + 0.26, xlim)
        offset = COLUMN_GAP
        for head, field in (columns or {}).items():
            _write_column(axes, head, list(table[field]), offset=72 * offset)
            offset += column_width(head, table[field])
    return axes


def _set_time_axis(axes: Axes, xlim: tuple[float, float], *, log: bool) -> None:
    if log:
        axes.set_xscale("log")
        coarse, fine = ([tick for tick in ticks if xlim[0] <= tick <= xlim[1]] for ticks in (TICKS, FINE_TICKS))
        shown = coarse if len(coarse) > 2 else fine
        axes.set_xticks(shown, labels=[f"{tick:g}" for tick in shown])
        axes.set_xticks([], minor=True)
    axes.set_xlim(*xlim)


def _write_arm_label(axes: Axes, row: Mapping[Any, Any], y: int, *, wide: bool) -> None:
    heading = row["kind"] == "heading"
    margin = 72 * axes_inches(axes).left_margin
    style: dict[Any, Any] = {
        "xycoords": LINE_COORDINATES,
        "textcoords": "offset points",
        "ha": "left",
        "va": "center",
        "fontweight": "bold" if heading else "normal",
        "fontsize": 9.0 if wide else 8.0,
        "annotation_clip": False,
    }
    shift = (4 if heading else 12) - margin
    if wide:
        axes.annotate(wrapped(row["label"], LABEL_CHARACTERS, lines=1), (0, y), xytext=(shift, 0), **style)
    else:
        axes.annotate(wrapped(row["label"], 52, lines=1), (0, y - 0.36), xytext=(0, 0), **style)


def _draw_estimate(axes: Axes, row: Mapping[Any, Any], y: float, look: Look, xlim: tuple[float, float]) -> None:
    arm = row["kind"] == "arm"
    width = 1.5 if arm else 2.6
    axes.plot([row["low"], row["high"]], [y, y], color=look.color, linewidth=width, linestyle=LINE_STYLES[row["kind"]])
    axes.plot(
        [row["median"]],
        [y],
        marker=look.marker,
        markersize=marker_size(row["n"]) if arm else 8.5,
        color=look.color,
        markerfacecolor="white" if row["kind"] == "hospital" else look.color,
        markeredgewidth=1.3,
    )
    _draw_arrows(axes, row["low"], row["high"], y, look.color, xlim)


def marker_size(n: float) -> float:
    """Return a size whose area grows with n: 3.5 points at a handful of patients, 11 at two hundred and more."""
    return float(np.clip(0.75 * np.sqrt(n), 3.5, 11.0)) if np.isfinite(n) else 3.5


def _draw_arrows(axes: Axes, low: float, high: float, y: float, color: str, xlim: tuple[float, float]) -> None:
    """An arrow head at the edge where an interval runs past it; the interval's own line keeps its true ends."""
    for runs_past, edge, head in ((high > xlim[1], xlim[1], ">"), (low < xlim[0], xlim[0], "<")):
        if runs_past:
            axes.plot([edge], [y], marker=head, color=color, markersize=6, clip_on=False, label="_arrow")


def _draw_printed_number(axes: Axes, row: Mapping[Any, Any], y: float, xlim: tuple[float, float]) -> None:
    """The printed number a little below its arm's line: a hollow diamond with a thin interval."""
    if not np.isfinite(row["printed"]):
        return
    if np.isfinite(row["printed_low"]):
        axes.plot([row["printed_low"], row["printed_high"]], [y, y], color=PRINTED, linewidth=0.9)
        _draw_arrows(axes, row["printed_low"], row["printed_high"], y, PRINTED, xlim)
    axes.plot(
        [row["printed"]],
        [y],
        "D",
        markersize=4.2,
        markerfacecolor="white",
        markeredgecolor=PRINTED,
        markeredgewidth=1.1,
    )


def column_width(head: str, texts: Iterable[str]) -> float:
    """Return the inches that a column of text takes."""
    return COLUMN_GAP + LETTER * max(len(text) for text in (head, *texts))


def _write_column(axes: Axes, head: str, texts: list[str], *, offset: float) -> None:
    """Text right of the axes, a head above it."""
    place: dict[Any, Any] = {
        "xycoords": LINE_COORDINATES,
        "textcoords": "offset points",
        "xytext": (offset, 0),
        "va": "center",
        "fontsize": 8.5,
        "annotation_clip": False,
    }
    axes.annotate(head, (1, -0.8), color=GREY, **place)
    for y, text in enumerate(texts):
        axes.annotate(text, (1, y), color=INK, **place)


def forest_axes(table: pd.DataFrame, *, columns: Mapping[str, str] | None = None) -> Axes:
    """Return axes on a figure of their own, with room for labels left of them and `columns` right of them."""
    longest = min(LABEL_CHARACTERS, max(len(str(label)) for label in table["label"]))
    right_margin = COLUMN_GAP + sum(column_width(head, table[field]) for head, field in (columns or {}).items())
    _, axes = figure(
        11.0,
        0.27 * len(table) + 0.95,
        left_margin=0.35 + LETTER * longest,
        right_margin=right_margin,
        bottom_margin=0.5,
        top_margin=0.2,
    )
    return axes


def forest_figure(
    table: pd.DataFrame, *, wide: bool, columns: Mapping[str, str] | None = None, **settings: Any
) -> Figure:
    """Draw the forest at its size: `wide` with labels and columns beside it, else one column for a narrow screen."""
    if wide:
        axes = forest_axes(table, columns=columns)
    else:
        _, axes = figure(
            4.0, 0.40 * len(table) + 0.85, left_margin=0.14, right_margin=0.18, bottom_margin=0.5, top_margin=0.15
        )
    forest(axes, table, wide=wide, columns=columns if wide else None, **settings)
    return figure_of(axes)
