"""Kaplan-Meier figures as journals print them, drawn from patients: one style record, one function that draws it.

For worlds whose evidence begins at the figure, and for the stress set of the reader of figures. Styles vary in all that
papers vary in: file, size, colours, dashes, percent, cut axes, ticks, frame, grid, bands, censor marks, legend, numbers
at risk. The truth of a figure is its patients.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bayes_bm.hazards.nonparametric import StepCurve, at_risk, kaplan_meier
from bayes_bm.runtime.types import Array

Patients = tuple[Array, Array]
"""Time (n,) and event (n,)."""
FileKind = Literal["svg", "pdf", "png"]
FILE_KINDS: tuple[FileKind, ...] = ("svg", "pdf", "png")
PALETTES: tuple[tuple[str, ...], ...] = (
    ("#1f77b4", "#ff7f0e", "#2ca02c"),
    ("#BC3C29", "#0072B5", "#E18727"),
    ("#00468B", "#ED0000", "#42B540"),
    ("#F8766D", "#00BFC4", "#7CAE00"),
    ("#E64B35", "#4DBBD5", "#00A087"),
    ("#0000ff", "#ff0000", "#008000"),
    ("#2166ac", "#4393c3", "#053061"),
    ("#000000", "#868686", "#cd534c"),
)
"""Line colours of an arm each: of programs, of journals, of near hues, with a grey."""
BLACK_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
"""Arms in black and white are told apart by these."""
NICE_STEPS = (1, 2, 3, 5, 6, 10, 12, 20, 24, 25, 50, 60, 100, 200, 250, 500)
"""Distances of ticks on a time axis, in its unit."""
MARK_POINTS = 4.5
"""Height of censor marks, in points."""

LABEL_INCHES = 0.25
"""Least distance of two names beside the ends of lines, in inches: two lines of their text."""


@dataclass(frozen=True)
class FigureStyle:
    """Hold how a journal draws a survival figure.

    Attributes
    ----------
    file
        Kind of the file.
    width, height
        Of the panel, in inches.
    dpi
        Of a PNG.
    colours, dashes
        Of each arm; matplotlib's words.
    line_width
        In points.
    percent
        Whether the axis counts to 100.
    lowest
        Where the axis of survival begins, as a proportion; the curves must lie above.
    gap
        Whether the axes begin below zero, so that they do not meet at the origin.
    cut
        Share of the follow-up at which the time axis ends.
    ticks
        `out`, `in` or `none`.
    frame
        `box`, `left_bottom`.
    grid
        Whether grid lines are drawn.
    band
        `none`, `filled` or `lines`: 95 % limits of Greenwood's kind, on the log scale.
    marks
        Censor marks: `+`, `|`, `x`, `o`, or empty for none.
    legend
        `inside`, `outside`, `direct` (beside the ends of the lines) or `none`.
    table
        Whether numbers at risk stand below.
    text_as_paths
        Of an SVG: text is drawn as outlines.
    font_type
        Of a PDF: 3 or 42.
    """

    file: FileKind = "svg"
    width: float = 4.0
    height: float = 2.8
    dpi: int = 300
    colours: tuple[str, ...] = PALETTES[0]
    dashes: tuple[Any, ...] = ("-", "-", "-")
    line_width: float = 1.4
    percent: bool = False
    lowest: float = 0.0
    gap: bool = False
    cut: float = 1.0
    ticks: Literal["out", "in", "none"] = "out"
    frame: Literal["box", "left_bottom"] = "left_bottom"
    grid: bool = False
    band: Literal["none", "filled", "lines"] = "none"
    marks: str = "+"
    legend: Literal["inside", "outside", "direct", "none"] = "inside"
    table: bool = True
    text_as_paths: bool = False
    font_type: int = 42


def random_style(rng: np.random.Generator, arms: int, *, file: FileKind | None = None) -> FigureStyle:
    """Return a style that a journal might have, for so many arms.

    Parameters
    ----------
    rng
        Draws everything.
    arms
        1 to 3.
    file
        Kind of the file; drawn where it is None.
    """
    kind: FileKind = file or FILE_KINDS[int(rng.integers(3))]
    black = bool(rng.uniform() < 0.2)
    dashed = black or rng.uniform() < 0.15
    legends: tuple[Literal["inside", "outside", "direct"], ...] = ("inside", "outside", "direct")
    return FigureStyle(
        file=kind,
        width=float(rng.uniform(3.0, 5.5)),
        height=float(rng.uniform(2.2, 3.6)),
        dpi=int(rng.choice([150, 200, 300])),
        colours=("#000000",) * 3 if black else PALETTES[int(rng.integers(len(PALETTES)))],
        dashes=BLACK_DASHES if dashed else ("-",) * 3,
        line_width=float(rng.choice([0.9, 1.2, 1.5, 2.0])),
        percent=bool(rng.uniform() < 0.4),
        gap=bool(rng.uniform() < 0.3),
        cut=float(rng.choice([1.0, 1.0, 0.8])),
        ticks=("out", "in", "none")[int(rng.choice(3, p=[0.7, 0.2, 0.1]))],
        frame=("box", "left_bottom")[int(rng.integers(2))],
        grid=bool(rng.uniform() < 0.3),
        band="none" if black else ("none", "filled", "lines")[int(rng.choice(3, p=[0.7, 0.2, 0.1]))],
        marks=("+", "|", "x", "o", "")[int(rng.choice(5, p=[0.4, 0.3, 0.05, 0.05, 0.2]))],
        legend=legends[int(rng.choice(3, p=[0.55, 0.3, 0.15]))] if arms > 1 else "none",
        table=bool(rng.uniform() < 0.6),
        text_as_paths=bool(rng.uniform() < 0.5),
        font_type=int(rng.choice([3, 42])),
    )


def draw_figure(
    path: str | Path, arms: Mapping[str, Patients], style: FigureStyle, *, time_unit: str = "months", title: str = ""
) -> Path:
    """Draw the Kaplan-Meier curves of some arms into a file.

    Parameters
    ----------
    path
        File to be written; its ending is the style's.
    arms
        Patients by the name that the legend prints: time (n,) in `time_unit`, event (n,).
    style
        How it looks.
    time_unit
        Printed beside the time axis.
    title
        Printed above; empty for none.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> patients = (np.array([2.0, 5.0, 7.0, 9.0]), np.array([1, 0, 1, 1]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_figure(f"{folder}/one.svg", {"GTR": patients}, FigureStyle()).name
    'one.svg'
    """
    path = Path(path).with_suffix(f".{style.file}")
    settings: dict[Any, Any] = {
        "svg.fonttype": "path" if style.text_as_paths else "none",
        "pdf.fonttype": style.font_type,
        "svg.hashsalt": path.stem,
        "text.parse_math": False,
        "font.size": 8,
    }
    with mpl.rc_context(settings):
        figure = _figure(arms, style, time_unit, title)
        plain: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}
        figure.savefig(path, dpi=style.dpi, metadata=plain[style.file])
    return path


@dataclass(frozen=True)
class StudyFigure:
    """The figure of a study: patients of each arm by the name that the legend prints, and how it is drawn."""

    arms: Mapping[str, Patients]
    style: FigureStyle
    time_unit: str

    def draw(self, path: Path) -> Path:
        """Draw it into a file and return that; the style gives the ending."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return draw_figure(path, self.arms, self.style, time_unit=self.time_unit)


def axis_end(arms: Mapping[str, Patients], style: FigureStyle) -> float:
    """Return the right end of the time axis: a whole number of ticks, cut where the style cuts it."""
    last = max(float(time.max()) for time, _ in arms.values()) * style.cut
    step = tick_step(last)
    whole = np.floor(last / step) if style.cut < 1 else np.ceil(last / step)
    return float(max(whole, 1) * step)


def labels_touch(arms: Mapping[str, Patients], style: FigureStyle) -> bool:
    """Return whether names beside the ends of the lines would lie on one another: no journal prints that."""
    end = axis_end(arms, style)
    levels = [float(kaplan_meier(time, event)(min(float(time.max()), end))) for time, event in arms.values()]
    apart = np.diff(np.sort(levels)) * style.height / (1 - style.lowest)
    return bool((apart < LABEL_INCHES).any())


def tick_step(last: float) -> float:
    """Return the distance of time ticks that gives four to eight of them."""
    return float(min(NICE_STEPS, key=lambda step: (abs(last / step - 6), step)))


# ---------------------------------------------------------------------------------------------- drawing


def _figure(arms: Mapping[str, Patients], style: FigureStyle, time_unit: str, title: str) -> Figure:
    longest = max(len(name) for name in arms)
    left = 0.65 + (0.065 * longest if style.table else 0.0)
    right = 0.15 + (0.35 + 0.075 * longest if style.legend in ("outside", "direct") else 0.0)
    bottom, top = 0.55 + (0.25 + 0.17 * len(arms) if style.table else 0.0), 0.15 + (0.25 if title else 0.0)
    wide, tall = left + style.width + right, bottom + style.height + top
    figure = Figure(figsize=(wide, tall))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((left / wide, bottom / tall, style.width / wide, style.height / tall))
    end = axis_end(arms, style)
    for place, (name, (time, event)) in enumerate(arms.items()):
        _draw_arm(axes, name, kaplan_meier(time, event), time[np.asarray(event) == 0], style, place, end)
    _draw_axes(axes, style, end, time_unit, title)
    if style.legend in ("inside", "outside"):
        where: dict[str, Any] = {"loc": "best"}
        if style.legend == "outside":
            where = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
        axes.legend(frameon=style.legend == "inside", **where)
    if style.table:
        _draw_table(axes, arms, end)
    return figure


def _draw_arm(
    axes: Axes, name: str, curve: StepCurve, marks: Array, style: FigureStyle, place: int, end: float
) -> None:
    scale, colour, dash = 100.0 if style.percent else 1.0, style.colours[place], style.dashes[place]
    times = np.append(np.insert(curve.time, 0, 0.0), curve.follow_up)
    levels = np.insert(curve.survival, 0, 1.0)
    levels = scale * np.append(levels, levels[-1])
    drawn: dict[str, Any] = {"where": "post", "color": colour, "linewidth": style.line_width}
    axes.step(times, levels, linestyle=dash, label=name, zorder=3, **drawn)
    if style.band != "none":
        # before the first death, and where nobody died, nothing is known to be lost
        edges = [np.insert(edge, 0, 1.0) for edge in _limits(curve)]
        edges = [scale * np.append(edge, edge[-1]) for edge in edges]
        if style.band == "filled":
            axes.fill_between(times, edges[0], edges[1], step="post", color=colour, alpha=0.2, linewidth=0, zorder=1)
        else:
            thin: dict[str, Any] = {**drawn, "linewidth": 0.6}
            for edge in edges:
                axes.step(times, edge, linestyle=(0, (3, 2)), zorder=2, **thin)
    if style.marks and len(marks):
        places = np.unique(marks)
        shown: dict[str, Any] = {"marker": style.marks, "linestyle": "none", "color": colour, "markersize": MARK_POINTS}
        hollow: dict[str, Any] = {"markerfacecolor": "none"} if style.marks == "o" else {}
        axes.plot(places, scale * curve(places), markeredgewidth=0.9, zorder=4, **shown, **hollow)
    if style.legend == "direct":
        where = min(float(times[-1]), end)
        level = scale * float(curve(where))
        axes.annotate(
            name, (where, level), xytext=(5, 0), textcoords="offset points", color=colour, va="center", clip_on=False
        )


def _limits(curve: StepCurve) -> tuple[Array, Array]:
    """Return 95 % limits of the curve at its steps, Greenwood's on the log scale; its own level where it is 0."""
    positive = np.where(curve.survival > 0, curve.survival, 1.0)
    reach = np.exp(1.96 * curve.se / positive)
    return curve.survival / reach, np.minimum(curve.survival * reach, 1.0)


def _draw_axes(axes: Axes, style: FigureStyle, end: float, time_unit: str, title: str) -> None:
    scale = 100.0 if style.percent else 1.0
    low = scale * style.lowest
    gap = 0.04 if style.gap else 0.0
    axes.set_xlim(-gap * end, end * (1 + gap))
    axes.set_ylim(low - gap * (scale - low), scale * (1 + max(gap, 0.02)))
    axes.set_xticks(np.arange(0, end + 1e-9, tick_step(end)))
    axes.set_yticks(np.linspace(low, scale, 6 if style.lowest == 0 else 5))
    axes.set_xlabel(f"Time ({time_unit})")
    axes.set_ylabel("Overall survival (%)" if style.percent else "Survival probability")
    axes.tick_params(direction="in" if style.ticks == "in" else "out", length=0 if style.ticks == "none" else 3.5)
    if style.frame == "left_bottom":
        axes.spines[["top", "right"]].set_visible(False)
    if style.grid or style.ticks == "none":
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    if title:
        axes.set_title(title, fontsize=9)


def _draw_table(axes: Axes, arms: Mapping[str, Patients], end: float) -> None:
    """Print numbers at risk below the axis, under their ticks, with the arms' names at the left."""
    height = axes.get_position().height * axes.figure.get_figheight()  # type: ignore[union-attr]
    ticks = np.arange(0, end + 1e-9, tick_step(end))
    transform = axes.get_xaxis_transform()
    text: dict[str, Any] = {"transform": transform, "fontsize": 7, "clip_on": False, "va": "center"}
    low, high = axes.get_xlim()
    axes.text(low - 0.02 * (high - low), -0.52 / height, "Number at risk", ha="right", **text)
    for row, (name, (time, _)) in enumerate(arms.items()):
        level = -(0.52 + 0.17 * (row + 1)) / height
        axes.text(low - 0.06 * (high - low), level, name, ha="right", **text)
        for tick, count in zip(ticks, at_risk(time, ticks), strict=True):
            axes.text(tick, level, str(int(count)), ha="center", **text)
