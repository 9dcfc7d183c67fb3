"""Ratios by where they come from: within studies, across studies, combined; published pooled numbers beside."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, PRINTED, RC, Look, figure

TICKS = (0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 5, 10, 20)


def contrasts(
    axes: Axes, table: pd.DataFrame, *, looks: Mapping[str, Look], xlabel: str, xlim: tuple[float, float]
) -> Axes:
    """Draw one row of `table` a line from the top: label, text, kind, treatment, ratio, low, high.

    kind is "within", "across", "combined", "published" or "heading"; a row without numbers shows its `text` alone.
    """
    with mpl.rc_context(RC):
        axes.set_xscale("log")
        axes.set(xlim=xlim, ylim=(len(table) - 0.4, -0.6), xlabel=xlabel)
        shown = [tick for tick in TICKS if xlim[0] <= tick <= xlim[1]]
        axes.set_xticks(shown, labels=[f"{tick:g}" for tick in shown])
        axes.set_xticks([], minor=True)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=True, axis="x")
        for y, row in enumerate(table.to_dict("records")):
            _write_source_label(axes, row, y)
            if np.isfinite(row["ratio"]):
                # a piece of the line of no difference a row, so that it crosses no words
                axes.plot([1, 1], [y - 0.1, y + 0.36], color=GREY, linewidth=1)
                _draw_source(axes, row, y + 0.12, looks[row["treatment"]])
    return axes


def _write_source_label(axes: Axes, row: Mapping[Any, Any], y: int) -> None:
    axes.annotate(
        f"{row['label']}: {row['text']}" if row["text"] else row["label"],
        (0, y - 0.3),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=8.2,
        fontweight="bold" if row["kind"] in ("heading", "combined") else "normal",
        annotation_clip=False,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )


def _draw_source(axes: Axes, row: Mapping[Any, Any], y: float, look: Look) -> None:
    published, combined = row["kind"] == "published", row["kind"] == "combined"
    color = PRINTED if published else look.color
    if np.isfinite(row["low"]):
        axes.plot([row["low"], row["high"]], [y, y], color=color, linewidth=2.6 if combined else 1.5)
    axes.plot(
        [row["ratio"]],
        [y],
        marker="D" if published else look.marker,
        markersize=6.5,
        color=color,
        linestyle="",
        markerfacecolor=color if combined else "white",
        markeredgewidth=1.3,
    )


def contrasts_figure(table: pd.DataFrame, *, looks: Mapping[str, Look], xlabel: str) -> Figure:
    """Draw the contrasts at their size, over a range that holds every interval unless it is wilder than 0.04 to 25."""
    ends = table[["low", "high", "ratio"]].to_numpy(dtype=float)
    ends = ends[np.isfinite(ends)]
    xlim = (min([0.45, *(0.9 * ends)]), max([2.2, *(1.1 * ends)]))
    drawn, axes = figure(
        4.3, 0.42 * len(table) + 0.85, left_margin=0.15, right_margin=0.15, bottom_margin=0.55, top_margin=0.15
    )
    contrasts(axes, table, looks=looks, xlabel=xlabel, xlim=(max(xlim[0], 0.04), min(xlim[1], 25.0)))
    return drawn
