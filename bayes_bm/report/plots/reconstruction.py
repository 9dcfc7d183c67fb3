"""One reconstruction for a person to judge: points given over the rebuilt steps, their distances, who was at risk."""

from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, INK, PALETTE, RC, figure_of, shown, wrapped
from bayes_bm.report.text import time_ticks

if TYPE_CHECKING:
    from bayes_bm.reconstruction.figure_data import FigureData
    from bayes_bm.reconstruction.reconstruct import Reconstruction


# blue, orange and vermilion stay apart for colour-blind readers
STEPS = PALETTE[0]
"""Colour of the rebuilt curve."""
POINTS = PALETTE[4]
"""Colour of the points given."""
DISAGREEMENT = PALETTE[1]
"""Colour of what the rebuilt curve contradicts."""
WIDTH = 6.6
"""Inches of the figure."""
LEFT = 1.15
"""Inches left of the axes."""
RIGHT = 0.2
"""Inches right of the axes."""
TOP = 1.12
"""Inches of title and legend."""
CURVE = 3.0
"""Inches of the curve."""
RESIDUALS = 0.85
"""Inches of the residuals."""
LINE = 0.42
"""Inches of the time axis under the residuals."""
RISK = 0.62
"""Inches of the numbers at risk."""
FOOT = 0.06
"""Inches under the numbers at risk."""
GAP = 0.12
"""Inches between curve and residuals."""
MANY_POINTS = 200
"""From so many points on their marks are small."""


class Panels(NamedTuple):
    """Axes of one figure, from the top."""

    curve: Axes
    residuals: Axes
    at_risk: Axes


def plot_reconstruction(
    rec: "Reconstruction | FigureData",
    axes: Panels | None = None,
    *,
    name: str = "",
    unit: str = "",
    draws: int = 0,
    seed: int = 1,
) -> Panels:
    """Draw a reconstruction for a person to judge: rebuilt steps over given points, residuals, numbers at risk.

    Parameters
    ----------
    rec : Reconstruction or FigureData
        What `bayes_bm.reconstruct` gives, or its `.picture()`.
    axes : Panels, optional
        Axes for curve, residuals and numbers at risk; by default on a figure of their own.
    name : str
        Name of the arm, for the title.
    unit : str
        Unit of time, for the axis.
    draws : int
        Plausible sets of patients behind a band of 90 %; 0 draws none.
    seed : int
        Seed of those sets.

    Returns
    -------
    Panels
        The axes `curve`, `residuals` and `at_risk`; `.curve.figure.savefig(path, dpi=150)` writes them.

    Examples
    --------
    >>> import bayes_bm as bb, pandas as pd
    >>> points = pd.DataFrame({"time": [0, 2, 2, 5, 5, 8], "survival": [1, 1, 0.75, 0.75, 0.5, 0.5]})
    >>> rec = bb.reconstruct(points, n=4)
    >>> panels = bb.plot_reconstruction(rec, name="Lee 2020: SRS", unit="months")
    >>> panels.residuals.get_xlabel()
    'time (months)'
    """
    drawn: Any = rec
    picture = drawn.picture(draws=draws, seed=seed) if hasattr(rec, "picture") else drawn
    panels = axes or new_panels()
    with mpl.rc_context(RC):
        _draw_curve(panels.curve, picture, name)
        _draw_residuals(panels.residuals, picture)
        _write_numbers_at_risk(panels.at_risk, picture)
        _set_shared_axis(panels, picture, unit)
    return shown(panels, axes)


def reconstruction_figure(rec: "Reconstruction | FigureData", **settings: Any) -> Figure:
    """Return the figure of `plot_reconstruction`; `.savefig(path, dpi=150)` writes it."""
    return figure_of(plot_reconstruction(rec, new_panels(), **settings).curve)


def new_panels() -> Panels:
    """Return three sets of axes under each other on a figure of their own."""
    height = TOP + CURVE + GAP + RESIDUALS + LINE + RISK + FOOT
    with mpl.rc_context(RC):
        drawn = Figure(figsize=(WIDTH, height))
        left_edge, width = LEFT / WIDTH, 1 - (LEFT + RIGHT) / WIDTH
        bottoms = (FOOT + RISK + LINE + RESIDUALS + GAP, FOOT + RISK + LINE, FOOT)
        made = [
            drawn.add_axes((left_edge, bottom / height, width, size / height))
            for bottom, size in zip(bottoms, (CURVE, RESIDUALS, RISK), strict=True)
        ]
    return Panels(*made)


def _draw_curve(axes: Axes, picture: "FigureData", name: str) -> None:
    """Draw the rebuilt curve over the points it was rebuilt from, with a band where there are draws."""
    _draw_band(axes, picture)
    _draw_steps(axes, picture)
    _draw_given_points(axes, picture)
    axes.set(ylim=(-0.03, 1.05), ylabel="survival")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.grid(visible=True)
    axes.yaxis.set_label_coords(-0.65 / (WIDTH - LEFT - RIGHT), 0.5)
    _write_heading(axes, picture, name)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, borderaxespad=0.0, columnspacing=1.4)


def _draw_band(axes: Axes, picture: "FigureData") -> None:
    if picture.band is None:
        return
    band = picture.band
    look: dict[str, Any] = {"step": "post", "color": STEPS, "alpha": 0.2, "linewidth": 0}
    axes.fill_between(band["time"], band["low"], band["high"], label="90 % of draws", **look)


def _draw_steps(axes: Axes, picture: "FigureData") -> None:
    steps = picture.steps
    look: dict[str, Any] = {"where": "post", "color": STEPS, "lw": 1.3, "zorder": 3}
    axes.step(steps["time"], steps["survival"], label="reconstructed", **look)


def _draw_given_points(axes: Axes, picture: "FigureData") -> None:
    """Draw corners or clicks that were given, and ticks of censored patients."""
    points, ticks = picture.points, picture.ticks
    look: dict[str, Any] = {"color": POINTS, "markerfacecolor": "none", "markeredgewidth": 0.7, "zorder": 2}
    look["markersize"] = 3.2 if len(points) < MANY_POINTS else 2.2
    kind = "corners given" if np.isnan(picture.error) else "clicks given"
    axes.plot(points["time"], points["survival"], "o", label=kind, **look)
    if len(ticks):
        look = {"color": INK, "markersize": 6, "markeredgewidth": 0.8}
        axes.plot(ticks["time"], ticks["survival"], "|", label="ticks given", **look)


def _write_heading(axes: Axes, picture: "FigureData", name: str) -> None:
    """Write name of the arm, what was rebuilt and the verdict; its reason in small print."""
    heading = f"{wrapped(name, 70, lines=1)}\n" if name else ""
    axes.set_title(f"{heading}{picture.title}; {picture.verdict}", pad=44)
    axes.annotate(
        wrapped(picture.reason, 98), (0, 1), xycoords="axes fraction", xytext=(0, 41), textcoords="offset points",
        va="top", fontsize=7.5, color=GREY, annotation_clip=False,
    )  # fmt: skip


def _draw_residuals(axes: Axes, picture: "FigureData") -> None:
    """Draw points minus curve; grey lines at two click errors, vermilion where the nearest step is farther off."""
    points = picture.points
    largest = max(float(points["residual"].abs().max()), 1e-4)
    far = np.zeros(len(points), bool)
    if np.isfinite(picture.error):
        largest = max(largest, 2 * picture.error)
        far = (points["distance"] > 2 * picture.error).to_numpy()
        for side in (-2, 2):
            axes.axhline(side * picture.error, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.annotate(
            "dashed: ± 2 click errors",
            (1.0, 1.0),
            xycoords="axes fraction",
            xytext=(0, 1),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=7,
            color=GREY,
            annotation_clip=False,
        )
    axes.axhline(0, color=STEPS, linewidth=1)
    time, residual = points["time"].to_numpy(), points["residual"].to_numpy()
    axes.plot(time[~far], residual[~far], "o", color=POINTS, markersize=2.4, markerfacecolor="none")
    axes.plot(time[far], residual[far], "s", color=DISAGREEMENT, markersize=3)
    axes.set_ylim(-1.35 * largest, 1.35 * largest)
    axes.set_ylabel("given −\nrebuilt")
    axes.yaxis.set_label_coords(-0.65 / (WIDTH - LEFT - RIGHT), 0.5)
    axes.grid(visible=True)


def _write_numbers_at_risk(axes: Axes, picture: "FigureData") -> None:
    """Write printed and reconstructed numbers in two rows; where they disagree, the lower is bold and coloured."""
    axes.set_ylim(0, 1)
    style: dict[str, Any] = {"va": "center", "fontsize": 8.5}
    for row in picture.at_risk.to_dict("records"):
        axes.text(row["time"], 0.55, f"{row['printed']:.0f}", ha="center", color=INK, **style)
        look = {"color": INK} if row["agrees"] else {"color": DISAGREEMENT, "weight": "bold"}
        axes.text(row["time"], 0.18, f"{row['reconstructed']:.0f}", ha="center", **look, **style)
    labels = {0.92: "at risk", 0.55: "printed", 0.18: "rebuilt"}
    for height, label in labels.items():
        axes.annotate(
            label, (0, height), xycoords="axes fraction", xytext=(-78, 0), textcoords="offset points", ha="left",
            va="center", fontsize=8.5, color=INK if label == "at risk" else GREY, annotation_clip=False,
            weight="bold" if label == "at risk" else "normal",
        )  # fmt: skip
    axes.set_axis_off()


def _set_shared_axis(panels: Panels, picture: "FigureData", unit: str) -> None:
    end = max(picture.axis_max, float(picture.points["time"].max()), float(picture.at_risk["time"].max()))
    printed = picture.at_risk["time"].to_numpy()
    ticks = printed if len(printed) > 2 else time_ticks(end)
    for axes in panels:
        axes.set_xlim(-0.02 * end, 1.02 * end)
        axes.set_xticks(ticks)
    panels.curve.tick_params(labelbottom=False)
    panels.residuals.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panels.residuals.set_xlabel(f"time ({unit})" if unit else "time (unit of the curve)")
