"""Hazard ratios by where they come from: within studies, across studies, combined; published pooled numbers beside."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_bm.plots.style import GREY, PRINTED, RC, Look

TICKS = (0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 5, 10, 20)


def contrasts(
    axes: Axes, table: pd.DataFrame, *, looks: Mapping[str, Look], xlabel: str, xlim: tuple[float, float]
) -> Axes:
    """One row of `table` a line from the top: label, text, kind, treatment, hr, low, high.

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
        axes.axvline(1, color=GREY, linewidth=1)
        for y, row in enumerate(table.to_dict("records")):
            _row(axes, row, y, looks[row["treatment"]])
    return axes


def _row(axes: Axes, row: Mapping, y: int, look: Look) -> None:
    bold = "bold" if row["kind"] in ("heading", "combined") else "normal"
    text = f"{row['label']}: {row['text']}" if row["text"] else row["label"]
    axes.annotate(
        text,
        xy=(0, y - 0.3),
        xycoords=("axes fraction", "data"),
        **{"ha": "left", "va": "center", "fontsize": 8.2, "fontweight": bold, "annotation_clip": False},
    )
    if not np.isfinite(row["hr"]):
        return
    published = row["kind"] == "published"
    color = PRINTED if published else look.color
    if np.isfinite(row["low"]):
        width = 2.6 if row["kind"] == "combined" else 1.5
        axes.plot([row["low"], row["high"]], [y + 0.12] * 2, color=color, linewidth=width)
    fill = look.color if row["kind"] == "combined" else "white"
    axes.plot(
        *([row["hr"]], [y + 0.12]),
        **{"marker": "D" if published else look.marker, "markersize": 6.5, "color": color, "linestyle": ""},
        **{"markerfacecolor": fill, "markeredgewidth": 1.3},
    )
