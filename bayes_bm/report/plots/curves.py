"""Survival curves: a study arm's observed curve with its predicted band; treatments; their difference."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayes_bm.report.plots.style import (
    GREY,
    INK,
    PRINTED,
    RC,
    Look,
    axes_inches,
    figure,
    figure_of,
    legend_below,
    wrapped,
)
from bayes_bm.report.text import time_ticks

HATCH = "////"
MARKER_STEP = 6
"""Points of a line from one marker to the next."""
Shades = tuple[tuple[str, str, float], ...]
PREDICTED: Shades = (("low", "high", 0.18), ("low50", "high50", 0.30))
INTERVAL: Shades = (("low", "high", 0.20),)


def _draw_band(
    axes: Axes,
    table: pd.DataFrame,
    *,
    follow_up_end: float,
    look: Look,
    label: str,
    shades: Shades,
    name: str = "median",
    first_marker: int | None = None,
) -> None:
    """Draw line and bands: solid up to `follow_up_end`, dashed and hatched beyond it, where it is extrapolated.

    From `first_marker` on every sixth point has the treatment's marker: lines are told apart without colour too.
    """
    marks: dict[Any, Any] = {"color": look.color, "linewidth": 1.8}
    if first_marker is not None:
        marks |= {"marker": look.marker, "markersize": 4, "markevery": (first_marker, MARKER_STEP)}
    seen, extrapolated = table[table["time"] <= follow_up_end], table[table["time"] >= follow_up_end]
    for low, high, alpha in shades:
        axes.fill_between(seen["time"], seen[low], seen[high], color=look.color, alpha=alpha, linewidth=0)
    low, high, _ = shades[0]
    axes.fill_between(
        extrapolated["time"],
        extrapolated[low],
        extrapolated[high],
        facecolor="none",
        edgecolor=look.color,
        hatch=HATCH,
        linewidth=0,
    )
    axes.plot(seen["time"], seen[name], label=label, **marks)
    axes.plot(extrapolated["time"], extrapolated[name], linestyle=(0, (3, 2)), **marks)


def _set_survival_axes(axes: Axes, *, unit: str, limit: float, ylabel: str) -> None:
    axes.set(xlim=(0, limit), ylim=(-0.02, 1.02), xlabel=f"time ({unit})", ylabel=ylabel)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.set_xticks(time_ticks(limit))
    axes.grid(visible=True)


def arm_panel(
    axes: Axes,
    *,
    band: pd.DataFrame,
    look: Look,
    follow_up_end: float,
    unit: str,
    limit: float,
    ylabel: str,
    steps: pd.DataFrame | None = None,
    ticks: pd.DataFrame | None = None,
    printed: pd.DataFrame | None = None,
    at_risk: pd.DataFrame | None = None,
    title: str = "",
) -> Axes:
    """Draw one study arm: predicted band (time, low, low50, median, high50, high) and what was observed.

    steps    time, survival: the Kaplan-Meier curve, the first row being (0, 1)
    ticks    time, survival: where patients were censored
    printed  time, survival, low, high, time_low, time_high: printed numbers with their intervals (NaN where none)
    at_risk  time, at_risk: written under the axes
    """
    with mpl.rc_context(RC):
        _draw_band(
            axes,
            band.loc[band["time"] <= limit],
            follow_up_end=follow_up_end,
            look=look,
            label="predicted",
            shades=PREDICTED,
        )
        if steps is not None:
            axes.step(steps["time"], steps["survival"], where="post", color=PRINTED, linewidth=1.4, label="observed")
        if ticks is not None:
            axes.plot(ticks["time"], ticks["survival"], "|", color=PRINTED, markersize=5, markeredgewidth=0.9)
        if printed is not None:
            _draw_printed_numbers(axes, printed)
        _set_survival_axes(axes, unit=unit, limit=limit, ylabel=ylabel)
        if at_risk is not None:
            _write_numbers_at_risk(axes, at_risk.loc[at_risk["time"] <= limit])
        axes.set_title(title)
    return axes


def _draw_printed_numbers(axes: Axes, printed: pd.DataFrame) -> None:
    """Diamonds with the printed interval, upright for a survival and level for a median."""
    style: dict[Any, Any] = {"color": PRINTED, "linewidth": 1.2, "zorder": 4}
    for row in printed.to_dict("records"):
        if np.isfinite(row["low"]):
            axes.plot([row["time"], row["time"]], [row["low"], row["high"]], **style)
        if np.isfinite(row["time_low"]):
            axes.plot([row["time_low"], row["time_high"]], [row["survival"], row["survival"]], **style)
    axes.plot(
        printed["time"],
        printed["survival"],
        "D",
        markersize=5.5,
        markerfacecolor="white",
        markeredgecolor=PRINTED,
        markeredgewidth=1.3,
        label="printed",
        zorder=5,
        clip_on=False,
    )


def _write_numbers_at_risk(axes: Axes, at_risk: pd.DataFrame) -> None:
    """Under the time axis, at its ticks; `at risk` on the left."""
    line = -0.56 / axes_inches(axes).height
    style: dict[Any, Any] = {
        "xycoords": ("data", "axes fraction"),
        "va": "top",
        "fontsize": 8,
        "annotation_clip": False,
    }
    for row in at_risk.to_dict("records"):
        axes.annotate(f"{row['at_risk']:.0f}", (row["time"], line), ha="center", color=INK, **style)
    style["xycoords"] = "axes fraction"
    axes.annotate("at risk", (0, line), xytext=(-42, 0), textcoords="offset points", color=GREY, **style)


def arm_legend(level: str) -> list[Line2D | Patch]:
    """Return handles that explain every mark of an arm panel, in grey because colours belong to treatments."""
    diamond: dict[Any, Any] = {"marker": "D", "markerfacecolor": "white", "markersize": 5.5}
    return [
        Patch(facecolor=GREY, alpha=0.45, label="predicted, 50 %"),
        Patch(facecolor=GREY, alpha=0.2, label=f"predicted, {level}"),
        Line2D([], [], color=GREY, linewidth=1.8, label="predicted, median"),
        Patch(facecolor="none", edgecolor=GREY, hatch=HATCH, linewidth=0, label="extrapolated"),
        Line2D([], [], color=PRINTED, linewidth=1.4, label="observed curve"),
        Line2D([], [], color=PRINTED, marker="|", linestyle="", label="censored"),
        Line2D([], [], color=PRINTED, linewidth=1.2, label="printed, its own interval", **diamond),
    ]


def arm_legend_figure(level: str) -> Figure:
    """Draw the legend of the arms' panels by itself."""
    drawn, axes = figure(4.0, 1.0, left_margin=0.05, right_margin=0.05, bottom_margin=0.02, top_margin=0.02)
    with mpl.rc_context(RC):
        axes.set_axis_off()
        axes.legend(handles=arm_legend(level), loc="center left", ncols=2, borderaxespad=0.0, columnspacing=1.4)
    return drawn


def arm_figure(*, title: str, **settings: Any) -> Figure:
    """Draw one arm's panel at its size; axes stand at the same place in each, so that a grid of them lines up."""
    bottom_margin = 0.80 if settings.get("at_risk") is not None else 0.50
    drawn, axes = figure(
        3.6, 2.1 + bottom_margin, left_margin=0.66, right_margin=0.16, bottom_margin=bottom_margin, top_margin=0.45
    )
    arm_panel(axes, title=wrapped(title, 36), **settings)
    return drawn


def treatment_curves(
    axes: Axes,
    table: pd.DataFrame,
    *,
    looks: Mapping[str, Look],
    names: Mapping[str, str],
    follow_up_ends: Mapping[str, float],
    unit: str,
    limit: float,
    ylabel: str,
    alive_at: float = 0.0,
    title: str = "",
) -> Axes:
    """Draw survival by treatment (treatment, time, median, low, high), each extrapolated past its own follow-up."""
    with mpl.rc_context(RC):
        for place, (treatment, name) in enumerate(names.items()):
            _draw_band(
                axes,
                table.loc[table["treatment"] == treatment],
                follow_up_end=follow_up_ends[treatment],
                look=looks[treatment],
                label=name,
                shades=INTERVAL,
                first_marker=2 + 2 * place % MARKER_STEP,
            )
        _set_survival_axes(axes, unit=unit, limit=limit, ylabel=ylabel)
        if alive_at > 0:
            axes.axvspan(0, alive_at, facecolor="#F2F2F2", edgecolor="none", zorder=0)
        axes.set_title(title)
    return axes


def difference_curve(
    axes: Axes,
    table: pd.DataFrame,
    *,
    wider: pd.DataFrame | None,
    look: Look,
    follow_up_end: float,
    unit: str,
    limit: float,
    ylabel: str,
    label: str,
    wider_label: str = "",
    title: str = "",
    ylim: tuple[float, float] | None = None,
) -> Axes:
    """Draw a difference of survival (time, median, low, high); `wider`: the interval of one new hospital."""
    with mpl.rc_context(RC):
        axes.axhline(0, color=GREY, linewidth=1)
        if wider is not None:
            for edge, name in (("low", wider_label), ("high", "_")):
                axes.plot(wider["time"], wider[edge], color=look.color, linewidth=1.1, linestyle=":", label=name)
        _draw_band(axes, table, follow_up_end=follow_up_end, look=look, label=label, shades=INTERVAL)
        axes.set(xlim=(0, limit), ylim=ylim, xlabel=f"time ({unit})", ylabel=ylabel)
        axes.set_xticks(time_ticks(limit))
        axes.grid(visible=True)
        axes.set_title(title)
    return axes


def survival_axes() -> Axes:
    """Return axes for curves on a figure of their own, with room for a legend below."""
    return figure(4.4, 3.4, left_margin=0.66, right_margin=0.16, bottom_margin=0.85, top_margin=0.34)[1]


def treatment_figure(table: pd.DataFrame, **settings: Any) -> Figure:
    """Draw `treatment_curves` at their size."""
    axes = treatment_curves(survival_axes(), table, **settings)
    legend_below(axes, inches=0.55)
    return figure_of(axes)


def difference_figure(table: pd.DataFrame, **settings: Any) -> Figure:
    """Draw `difference_curve` at its size."""
    drawn, axes = figure(4.4, 3.4, left_margin=0.76, right_margin=0.16, bottom_margin=0.85, top_margin=0.34)
    difference_curve(axes, table, **settings)
    legend_below(axes, inches=0.55)
    return drawn
