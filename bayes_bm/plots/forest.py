"""Forest plot of study arms: each arm's own posterior beside the printed number, the treatments' overall below."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_bm.plots.style import GREY, INK, PRINTED, RC, Look, wrapped

TICKS = (0.5, 1, 2, 3, 6, 12, 24, 48, 96, 192, 384)


def forest(
    axes: Axes,
    table: pd.DataFrame,
    *,
    looks: Mapping[str, Look],
    xlabel: str,
    xlim: tuple[float, float],
    log: bool,
    beside: bool,
    columns: Mapping[str, str] | None = None,
) -> Axes:
    """One row of `table` a line, from the top: label, treatment, kind, n, median, low, high, printed, printed_low, printed_high.

    kind is "arm" (marker sized by n), "average" or "hospital" (overall, bold and dotted) or "heading" (text only).
    `beside` writes labels left of the axes and the text of `columns` right of them; otherwise labels stand above their line, for
    narrow screens. What runs past `xlim` ends in an arrow.
    """
    with mpl.rc_context(RC):
        if log:
            axes.set_xscale("log")
        axes.set(xlim=xlim, ylim=(len(table) - 0.3, -0.9), xlabel=xlabel)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=True, axis="x")
        if log:
            shown = [tick for tick in TICKS if xlim[0] <= tick <= xlim[1]]
            axes.set_xticks(shown, labels=[f"{tick:g}" for tick in shown])
            axes.set_xticks([], minor=True)
        for y, row in enumerate(table.to_dict("records")):
            _label(axes, row, y, beside=beside)
            if row["kind"] != "heading":
                _estimate(axes, row, y, looks[row["treatment"]], xlim)
                _printed(axes, row, y, xlim)
        if beside:
            _columns(axes, table, columns or {})
    return axes


def _label(axes: Axes, row: Mapping[str, Any], y: int, *, beside: bool) -> None:
    heading = row["kind"] == "heading"
    weight = "bold" if heading else "normal"
    if beside:
        text = wrapped(row["label"], 58, lines=1)
        x, up, size = 0.0, y, 9.0
        offset = (-330 if heading else -322, 0)
    else:
        text = wrapped(row["label"], 50, lines=1)
        x, up, size = 0.0, y - 0.36, 8.0
        offset = (0, 0)
    axes.annotate(
        text,
        xy=(x, up),
        xycoords=("axes fraction", "data"),
        xytext=offset,
        textcoords="offset points",
        **{"ha": "left", "va": "center", "fontsize": size, "fontweight": weight, "annotation_clip": False},
    )


def _estimate(axes: Axes, row: Mapping[str, Any], y: int, look: Look, xlim: tuple[float, float]) -> None:
    overall = row["kind"] != "arm"
    style = {"arm": "-", "average": "-", "hospital": ":"}[row["kind"]]
    axes.plot([row["low"], row["high"]], [y, y], color=look.color, linewidth=2.6 if overall else 1.5, linestyle=style)
    size = 8.5 if overall else marker_size(row["n"])
    fill = "white" if row["kind"] == "hospital" else look.color
    axes.plot(
        [row["median"]],
        [y],
        marker=look.marker,
        markersize=size,
        color=look.color,
        markerfacecolor=fill,
        markeredgewidth=1.3,
    )
    _arrows(axes, row["low"], row["high"], y, look.color, xlim)


def marker_size(n: float) -> float:
    """Area grows with n: 3.5 points at a handful of patients, 11 at two hundred and more."""
    return float(np.clip(0.75 * np.sqrt(n), 3.5, 11.0)) if np.isfinite(n) else 3.5


def _arrows(axes: Axes, low: float, high: float, y: float, color: str, xlim: tuple[float, float]) -> None:
    """An arrow head at the edge where an interval runs past it; the interval's own line keeps its true ends."""
    for runs_past, edge, head in ((high > xlim[1], xlim[1], ">"), (low < xlim[0], xlim[0], "<")):
        if runs_past:
            axes.plot([edge], [y], marker=head, color=color, markersize=6, clip_on=False, label="_arrow")


def _printed(axes: Axes, row: Mapping[str, Any], y: int, xlim: tuple[float, float]) -> None:
    """The printed number a little below its arm's line, a hollow diamond with a thin interval."""
    if not np.isfinite(row["printed"]):
        return
    up = y + 0.26
    if np.isfinite(row["printed_low"]):
        axes.plot([row["printed_low"], row["printed_high"]], [up, up], color=PRINTED, linewidth=0.9)
        _arrows(axes, row["printed_low"], row["printed_high"], up, PRINTED, xlim)
    axes.plot(
        *([row["printed"]], [up], "D"),
        **{"markersize": 4.2, "markerfacecolor": "white", "markeredgecolor": PRINTED, "markeredgewidth": 1.1},
    )


def _columns(axes: Axes, table: pd.DataFrame, columns: Mapping[str, str]) -> None:
    """Text right of the axes: head -> field of `table`."""
    for at, (head, field) in enumerate(columns.items()):
        offset = 14 + 112 * at
        place: dict[str, Any] = {"textcoords": "offset points", "xytext": (offset, 0), "annotation_clip": False}
        axes.annotate(
            head, xy=(1, -0.75), xycoords=("axes fraction", "data"), fontsize=8.5, color=GREY, va="center", **place
        )
        for y, text in enumerate(table[field]):
            axes.annotate(
                text, xy=(1, y), xycoords=("axes fraction", "data"), fontsize=8.5, color=INK, va="center", **place
            )
