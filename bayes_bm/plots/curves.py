"""Survival curves: a study arm's observed curve with its predicted band; treatments; their difference."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bayes_bm.plots.style import GREY, INK, PRINTED, RC, Look

HATCH = "////"
Shades = tuple[tuple[str, str, float], ...]
PREDICTED: Shades = (("low95", "high95", 0.18), ("low50", "high50", 0.30))
INTERVAL: Shades = (("low", "high", 0.20),)


def _band(
    axes: Axes, table: pd.DataFrame, *, until: float, look: Look, label: str, shades: Shades, name: str = "median"
) -> None:
    """Line and bands: solid up to `until`, dashed and hatched beyond it, where the curve is extrapolated."""
    seen, beyond = table[table["time"] <= until], table[table["time"] >= until]
    for low, high, alpha in shades:
        axes.fill_between(seen["time"], seen[low], seen[high], color=look.color, alpha=alpha, linewidth=0)
    low, high, _ = shades[0]
    axes.fill_between(
        beyond["time"], beyond[low], beyond[high], facecolor="none", edgecolor=look.color, hatch=HATCH, linewidth=0
    )
    axes.plot(seen["time"], seen[name], color=look.color, linewidth=1.8, label=label)
    axes.plot(beyond["time"], beyond[name], color=look.color, linewidth=1.8, linestyle=(0, (3, 2)))


def _survival_axes(axes: Axes, *, unit: str, limit: float, ylabel: str) -> None:
    axes.set(xlim=(0, limit), ylim=(-0.02, 1.02), xlabel=f"time ({unit})", ylabel=ylabel)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.set_xticks(time_ticks(limit))
    axes.grid(visible=True)


def time_ticks(limit: float) -> list[float]:
    """Four to seven ticks at multiples that people count survival in (3, 6, 12 months and their like)."""
    steps = [base * 10.0**power for power in range(-2, 5) for base in (1, 1.5, 2, 3, 6)] + [12.0, 24.0, 48.0]
    step = next(step for step in sorted(steps) if limit / step <= 6.5)
    return [float(tick) for tick in np.arange(0, limit * (1 + 1e-9), step)]


def arm_panel(
    axes: Axes,
    *,
    band: pd.DataFrame,
    look: Look,
    until: float,
    unit: str,
    limit: float,
    ylabel: str,
    steps: pd.DataFrame | None = None,
    ticks: pd.DataFrame | None = None,
    printed: pd.DataFrame | None = None,
    at_risk: pd.DataFrame | None = None,
    title: str = "",
) -> Axes:
    """One study arm: predicted band (time, low95, low50, median, high50, high95) and what was observed.

    steps    time, survival: the Kaplan-Meier curve, the first row being (0, 1)
    ticks    time, survival: where patients were censored
    printed  time, survival, low, high, time_low, time_high: printed numbers with their intervals (NaN where none)
    at_risk  time, at_risk: written under the axes
    """
    with mpl.rc_context(RC):
        _band(axes, band[band["time"] <= limit], until=until, look=look, label="predicted", shades=PREDICTED)
        if steps is not None:
            axes.step(steps["time"], steps["survival"], where="post", color=PRINTED, linewidth=1.4, label="observed")
        if ticks is not None:
            axes.plot(ticks["time"], ticks["survival"], "|", color=PRINTED, markersize=5, markeredgewidth=0.9)
        if printed is not None:
            _printed(axes, printed)
        _survival_axes(axes, unit=unit, limit=limit, ylabel=ylabel)
        if at_risk is not None:
            _numbers_at_risk(axes, at_risk[at_risk["time"] <= limit])
        axes.set_title(title)
    return axes


def _printed(axes: Axes, printed: pd.DataFrame) -> None:
    """Diamonds with the printed interval, upright for a survival and level for a median."""
    style: dict[str, Any] = {"color": PRINTED, "linewidth": 1.2, "zorder": 4}
    for row in printed.to_dict("records"):
        if np.isfinite(row["low"]):
            axes.plot([row["time"], row["time"]], [row["low"], row["high"]], **style)
        if np.isfinite(row["time_low"]):
            axes.plot([row["time_low"], row["time_high"]], [row["survival"], row["survival"]], **style)
    axes.plot(
        *(printed["time"], printed["survival"], "D"),
        **{"markersize": 5.5, "markerfacecolor": "white", "markeredgecolor": PRINTED, "markeredgewidth": 1.3},
        **{"label": "printed", "zorder": 5, "clip_on": False},
    )


def _numbers_at_risk(axes: Axes, at_risk: pd.DataFrame) -> None:
    """Under the time axis, at its ticks; `at risk` on the left."""
    height = axes.get_position().height * axes.figure.get_figheight()
    line = -0.62 / height
    for row in at_risk.to_dict("records"):
        axes.text(
            *(row["time"], line, f"{row['at_risk']:.0f}"),
            **{"transform": axes.get_xaxis_transform(), "ha": "center", "va": "top", "fontsize": 8, "color": INK},
        )
    axes.annotate(
        "at risk",
        xy=(0, line),
        xycoords="axes fraction",
        xytext=(-40, 0),
        textcoords="offset points",
        **{"ha": "left", "va": "top", "fontsize": 8, "color": GREY},
    )


def arm_legend() -> list[Line2D | Patch]:
    """Handles that explain every mark of an arm panel, in grey because colours belong to treatments."""
    return [
        Patch(facecolor=GREY, alpha=0.45, label="predicted, 50 %"),
        Patch(facecolor=GREY, alpha=0.2, label="predicted, 95 %"),
        Line2D([], [], color=GREY, linewidth=1.8, label="predicted, median"),
        Patch(facecolor="none", edgecolor=GREY, hatch=HATCH, linewidth=0, label="extrapolated"),
        Line2D([], [], color=PRINTED, linewidth=1.4, label="observed (Kaplan-Meier)"),
        Line2D([], [], color=PRINTED, marker="|", linestyle="", label="censored"),
        Line2D(
            [], [], color=PRINTED, marker="D", markerfacecolor="white", linestyle="-", label="printed, with interval"
        ),
    ]


def treatment_curves(
    axes: Axes,
    table: pd.DataFrame,
    *,
    looks: Mapping[str, Look],
    names: Mapping[str, str],
    until: Mapping[str, float],
    unit: str,
    limit: float,
    ylabel: str,
    alive_at: float = 0.0,
    title: str = "",
) -> Axes:
    """Survival by treatment (columns treatment, time, median, low, high), each extrapolated beyond its own `until`."""
    with mpl.rc_context(RC):
        for treatment, name in names.items():
            mine = table[table["treatment"] == treatment]
            _band(axes, mine, until=until[treatment], look=looks[treatment], label=name, shades=INTERVAL)
        _survival_axes(axes, unit=unit, limit=limit, ylabel=ylabel)
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
    until: float,
    unit: str,
    limit: float,
    ylabel: str,
    label: str,
    wider_label: str = "",
    title: str = "",
) -> Axes:
    """Difference of survival (time, median, low, high) about a line at zero; `wider`: the interval of one new hospital."""
    with mpl.rc_context(RC):
        axes.axhline(0, color=GREY, linewidth=1)
        if wider is not None:
            for edge, name in (("low", wider_label), ("high", "_")):
                axes.plot(wider["time"], wider[edge], color=look.color, linewidth=1.1, linestyle=":", label=name)
        _band(axes, table, until=until, look=look, label=label, shades=INTERVAL)
        axes.set(xlim=(0, limit), xlabel=f"time ({unit})", ylabel=ylabel)
        axes.set_xticks(time_ticks(limit))
        axes.grid(visible=True)
        axes.set_title(title)
    return axes
