"""The figure of the first screen: curves with bands, who is at risk, and the contrast beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.contrasts import TICKS
from bayes_bm.report.plots.curves import treatment_curves
from bayes_bm.report.plots.style import GREY, INK, RC, Look
from bayes_bm.report.plots.text_columns import LETTER

WIDTH = 8.6
"""Inches of the figure on a wide screen: 9 points are then 7.6 on a printed A4 page."""
NARROW_WIDTH = 3.9
"""Inches of the figure on a telephone."""
CURVE_HEIGHT = 2.35
"""Inches of the axes of curves."""
ROW = 0.4
"""Inches of a row of contrasts: its words, and its line below them."""
RISK_ROW = 0.18
"""Inches of a row of numbers at risk."""
TOP = 0.12
"""Inches above axes."""
BELOW = 0.58
"""Inches below axes for ticks and label."""
MOST_BANDS = 3
"""So many curves have bands and are named inside the axes; of more the lines alone are drawn."""
LEGEND_ROW = 0.18
"""Inches of a row of the legend above the axes, in two columns."""


@dataclass(frozen=True)
class ContrastBlock:
    """Rows of contrasts on one scale: label, text, treatment, median, low, high, wider_low, wider_high (NaN: none).

    `label` is of the axis; on a `log` scale no difference is 1, else 0.
    """

    rows: pd.DataFrame
    label: str
    log: bool


@dataclass(frozen=True)
class CurveSettings:
    """What the curves are drawn with: looks and names by treatment, ends of follow-up, unit, last time, words of y."""

    looks: Mapping[str, Look]
    names: Mapping[str, str]
    follow_up_ends: Mapping[str, float]
    unit: str
    limit: float
    ylabel: str


def first_screen_figure(
    curves: pd.DataFrame | None,
    at_risk: pd.DataFrame,
    blocks: Sequence[ContrastBlock],
    settings: CurveSettings,
    *,
    wide: bool,
) -> Figure:
    """Draw curves (none without levels) with numbers at risk, and contrasts beside them, or below where not `wide`."""
    risk_height = 0.0 if curves is None or at_risk.empty else RISK_ROW * (len(settings.names) + 1.3)
    rows = -(-len(settings.names) // 2) if len(settings.names) > MOST_BANDS else 0
    above = TOP + LEGEND_ROW * rows
    curve_height = 0.0 if curves is None else above + CURVE_HEIGHT + BELOW + risk_height
    block_heights = [TOP + ROW * len(block.rows) + BELOW for block in blocks]
    beside = wide and curves is not None
    height = max(curve_height, sum(block_heights)) if beside else curve_height + sum(block_heights)
    width = WIDTH if beside else NARROW_WIDTH + (0.6 if wide else 0.0)
    with mpl.rc_context(RC):
        drawn = Figure(figsize=(width, height))
        left_margin = max(0.66, 0.2 + 0.9 * LETTER * max(map(len, settings.names.values())))
        if curves is not None:
            right_edge = 0.49 * width if beside else width - 0.12
            box = (left_margin, height - above - CURVE_HEIGHT, right_edge - left_margin, CURVE_HEIGHT)
            axes = _axes(drawn, box)
            _draw_curves(axes, curves, settings)
            if risk_height:
                _write_at_risk(axes, at_risk, settings)
        begin = 0.55 * width if beside else 0.15
        top = height if beside else height - curve_height
        for block, block_height in zip(blocks, block_heights, strict=True):
            rows_height = ROW * len(block.rows)
            axes = _axes(drawn, (begin, top - TOP - rows_height, width - begin - 0.15, rows_height))
            _draw_block(axes, block, settings.looks)
            top -= block_height
    return drawn


def _axes(drawn: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes at a place in inches: left, bottom, width, height."""
    width, height = drawn.get_size_inches()
    return drawn.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))


def _draw_curves(axes: Axes, curves: pd.DataFrame, settings: CurveSettings) -> None:
    """Draw curves with bands whose edges are seen; of many treatments lines alone, named above the axes."""
    many = len(settings.names) > MOST_BANDS
    shown = curves.assign(low=curves["median"], high=curves["median"]) if many else curves
    treatment_curves(
        axes,
        shown,
        looks=settings.looks,
        names=settings.names,
        follow_up_ends=settings.follow_up_ends,
        unit=settings.unit,
        limit=settings.limit,
        ylabel=settings.ylabel,
    )
    for treatment in () if many else settings.names:
        rows = curves[curves["treatment"] == treatment]
        for edge in ("low", "high"):
            axes.plot(rows["time"], rows[edge], color=settings.looks[treatment].color, linewidth=0.7, alpha=0.7)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0], labels=["0", "25", "50", "75", "100"])
    if not many:
        axes.legend(loc="upper right", borderaxespad=0.1, handlelength=1.6, fontsize=8.5, labelspacing=0.3)
        return
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.02, 1.0),
        ncols=2,
        borderaxespad=0.0,
        handlelength=1.6,
        columnspacing=1.0,
        fontsize=8,
        labelspacing=0.25,
    )


def _write_at_risk(axes: Axes, at_risk: pd.DataFrame, settings: CurveSettings) -> None:
    """Under the time axis at its ticks, a line a treatment, its name on the left."""
    style: dict[Any, Any] = {"textcoords": "offset points", "va": "top", "fontsize": 8, "annotation_clip": False}
    first, step = -72 * BELOW + 4, 72 * RISK_ROW
    axes.annotate("effectively at risk", (0, 0), xycoords="axes fraction", xytext=(0, first), color=GREY, **style)
    for line, (treatment, name) in enumerate(settings.names.items(), start=1):
        y = first - step * line
        axes.annotate(name, (0, 0), xycoords="axes fraction", xytext=(-14, y), ha="right", color=INK, **style)
        for row in at_risk[at_risk["treatment"] == treatment].to_dict("records"):
            place = {"xycoords": ("data", "axes fraction"), "xytext": (0, y), "ha": "center"}
            axes.annotate(f"{row['at_risk']:.0f}", (row["time"], 0), color=INK, **place, **style)


def _draw_block(axes: Axes, block: ContrastBlock, looks: Mapping[str, Look]) -> None:
    ends = block.rows[["median", "low", "high", "wider_low", "wider_high"]].to_numpy(dtype=float)
    low, high = _limits(ends[np.isfinite(ends)], log=block.log)
    null = 1.0 if block.log else 0.0
    if block.log:
        axes.set_xscale("log")
        shown = [tick for tick in TICKS if low <= tick <= high]
        axes.set_xticks(shown, labels=[f"{tick:g}" for tick in shown])
        axes.set_xticks([], minor=True)
    axes.set(xlim=(low, high), ylim=(len(block.rows) - 0.45, -0.55), xlabel=block.label)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    words: dict[Any, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
    for y, row in enumerate(block.rows.to_dict("records")):
        weight = "bold" if row["strong"] else "normal"
        axes.annotate(row["label"], (0, y - 0.22), fontsize=8.5, fontweight=weight, **words)
        axes.annotate(row["text"], (1, y - 0.22), fontsize=8.5, fontweight=weight, ha="right", **words)
        axes.plot([null, null], [y + 0.02, y + 0.46], color=GREY, linewidth=1)
        _draw_contrast(axes, row, y + 0.24, looks[row["treatment"]])


def _draw_contrast(axes: Axes, row: Mapping[Any, Any], y: float, look: Look) -> None:
    if np.isfinite(row["wider_low"]):
        axes.plot([row["wider_low"], row["wider_high"]], [y, y], color=look.color, linewidth=1.1, linestyle=":")
    axes.plot([row["low"], row["high"]], [y, y], color=look.color, linewidth=2.4 if row["strong"] else 1.6)
    face = look.color if row["strong"] else "white"
    axes.plot(
        [row["median"]], [y], look.marker, color=look.color, markersize=6, markerfacecolor=face, markeredgewidth=1.3
    )


def _limits(ends: np.ndarray, *, log: bool) -> tuple[float, float]:
    """Ends of an axis that holds every interval unless a ratio is wilder than 0.04 to 25, and what is no difference."""
    if log:
        low, high = min([0.6, *(0.92 * ends)]), max([1.6, *(1.08 * ends)])
        return max(low, 0.04), min(high, 25.0)
    room = 0.06 * max(float(np.ptp([*ends, 0.0])), 1e-6)
    return min(0.0, float(ends.min())) - room, max(0.0, float(ends.max())) + room
