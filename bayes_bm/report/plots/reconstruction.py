"""One reconstruction for a person to judge: points given over the rebuilt steps, their distances, who was at risk."""

from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, INK, PALETTE, RC, wrapped
from bayes_bm.report.text import time_ticks

if TYPE_CHECKING:
    from bayes_bm.reconstruction.figure_data import FigureData
    from bayes_bm.reconstruction.reconstruct import Reconstruction


STEPS, POINTS, AGAINST = PALETTE[0], PALETTE[4], PALETTE[1]
"""Rebuilt curve, points given, disagreement: blue, orange and vermilion stay apart for colour-blind readers."""
WIDTH, LEFT, RIGHT = 6.6, 1.15, 0.2
TOP, CURVE, RESIDUALS, RISK, LINE = 1.12, 3.0, 0.85, 0.62, 0.42
"""Heights in inches: title and legend, curve, residuals, numbers at risk, the time axis under the residuals."""


class Panels(NamedTuple):
    """Axes of one figure, from the top."""

    curve: Axes
    residuals: Axes
    at_risk: Axes


def draw_reconstruction(
    rec: "Reconstruction | FigureData",
    axes: Panels | None = None,
    *,
    name: str = "",
    unit: str = "",
    draws: int = 0,
    seed: int = 1,
) -> Panels:
    """Points, steps, residuals and numbers at risk of a reconstruction, on `axes` or on a new figure.

    `name` of the arm for the title, `unit` of time for the axis, `draws` sets for a band of 90 %; returns the axes
    (`.curve.figure` is the figure).
    """
    shown: Any = rec
    picture = shown.picture(draws=draws, seed=seed) if hasattr(rec, "picture") else shown
    panels = axes or new_panels()
    with mpl.rc_context(RC):
        _curve(panels.curve, picture, name)
        _residuals(panels.residuals, picture)
        _at_risk(panels.at_risk, picture)
        _shared_axis(panels, picture, unit)
    return panels


def reconstruction_figure(rec: "Reconstruction | FigureData", **settings: Any) -> Figure:
    """The figure of `draw_reconstruction`; `.savefig(path, dpi=150)` writes it."""
    drawn = draw_reconstruction(rec, **settings).curve.get_figure(root=True)
    assert drawn is not None
    return drawn


def new_panels() -> Panels:
    """Three sets of axes under each other on a figure of their own."""
    height = TOP + CURVE + 0.12 + RESIDUALS + LINE + RISK + 0.06
    with mpl.rc_context(RC):
        drawn = Figure(figsize=(WIDTH, height))
        x, width = LEFT / WIDTH, 1 - (LEFT + RIGHT) / WIDTH
        bottoms = (0.06 + RISK + LINE + RESIDUALS + 0.12, 0.06 + RISK + LINE, 0.06)
        made = [
            drawn.add_axes((x, bottom / height, width, size / height))
            for bottom, size in zip(bottoms, (CURVE, RESIDUALS, RISK), strict=True)
        ]
    return Panels(*made)


def _curve(axes: Axes, picture: "FigureData", name: str) -> None:
    if picture.band is not None:
        band = picture.band
        axes.fill_between(
            band["time"],
            band["low"],
            band["high"],
            step="post",
            color=STEPS,
            alpha=0.2,
            linewidth=0,
            label="90 % of draws",
        )
    axes.step(
        picture.steps["time"],
        picture.steps["survival"],
        where="post",
        color=STEPS,
        lw=1.3,
        zorder=3,
        label="reconstructed",
    )
    small: dict[str, Any] = {"markersize": 3.2 if len(picture.points) < 200 else 2.2, "markeredgewidth": 0.7}
    what = "corners given" if np.isnan(picture.error) else "clicks given"
    axes.plot(
        picture.points["time"],
        picture.points["survival"],
        "o",
        color=POINTS,
        markerfacecolor="none",
        label=what,
        zorder=2,
        **small,
    )
    if len(picture.ticks):
        axes.plot(
            picture.ticks["time"], picture.ticks["survival"], "|", color=INK, markersize=6, markeredgewidth=0.8,
            label="ticks given",
        )  # fmt: skip
    axes.set(ylim=(-0.03, 1.05), ylabel="survival")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.grid(visible=True)
    heading = f"{wrapped(name, 70, lines=1)}\n" if name else ""
    axes.set_title(f"{heading}{picture.title}; {picture.verdict}", pad=44)
    axes.annotate(
        wrapped(picture.reason, 98), (0, 1), xycoords="axes fraction", xytext=(0, 41), textcoords="offset points",
        va="top", fontsize=7.5, color=GREY, annotation_clip=False,
    )  # fmt: skip
    axes.yaxis.set_label_coords(-0.65 / (WIDTH - LEFT - RIGHT), 0.5)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, borderaxespad=0.0, columnspacing=1.4)


def _residuals(axes: Axes, picture: "FigureData") -> None:
    """Points minus curve; grey lines at two click errors, vermilion where the nearest step is farther than that."""
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
    axes.plot(time[far], residual[far], "s", color=AGAINST, markersize=3)
    axes.set_ylim(-1.35 * largest, 1.35 * largest)
    axes.set_ylabel("given −\nrebuilt")
    axes.yaxis.set_label_coords(-0.65 / (WIDTH - LEFT - RIGHT), 0.5)
    axes.grid(visible=True)


def _at_risk(axes: Axes, picture: "FigureData") -> None:
    """Printed and reconstructed numbers in two rows; where they disagree, the lower one bold in another colour."""
    axes.set_ylim(0, 1)
    style: dict[str, Any] = {"va": "center", "fontsize": 8.5}
    for row in picture.at_risk.to_dict("records"):
        axes.text(row["time"], 0.55, f"{row['printed']:.0f}", ha="center", color=INK, **style)
        look = {"color": INK} if row["agrees"] else {"color": AGAINST, "weight": "bold"}
        axes.text(row["time"], 0.18, f"{row['reconstructed']:.0f}", ha="center", **look, **style)
    labels = {0.92: "at risk", 0.55: "printed", 0.18: "rebuilt"}
    for height, label in labels.items():
        axes.annotate(
            label, (0, height), xycoords="axes fraction", xytext=(-78, 0), textcoords="offset points", ha="left",
            va="center", fontsize=8.5, color=INK if label == "at risk" else GREY, annotation_clip=False,
            weight="bold" if label == "at risk" else "normal",
        )  # fmt: skip
    axes.set_axis_off()


def _shared_axis(panels: Panels, picture: "FigureData", unit: str) -> None:
    end = max(picture.axis_max, float(picture.points["time"].max()), float(picture.at_risk["time"].max()))
    printed = picture.at_risk["time"].to_numpy()
    ticks = printed if len(printed) > 2 else time_ticks(end)
    for axes in panels:
        axes.set_xlim(-0.02 * end, 1.02 * end)
        axes.set_xticks(ticks)
    panels.curve.tick_params(labelbottom=False)
    panels.residuals.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panels.residuals.set_xlabel(f"time ({unit})" if unit else "time (unit of the curve)")
