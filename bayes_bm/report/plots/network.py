"""The network of treatments as a picture: who was compared with whom, by how many studies.

Nodes stand on a circle in the order of the spec, their area grows with patients; a line's width and the number on it
are the studies that hold both of its ends; a shaded area joins the treatments of a study with three or more.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from bayes_bm.report.plots.style import GREY, INK, PALETTE, RC, Look, figure_of, wrapped
from bayes_bm.report.plots.style import looks as default_looks
from bayes_bm.report.text import counted, treatment_text

if TYPE_CHECKING:
    from bayes_bm.evidence.network import Network


WIDTH = 6.6
"""Inches of the picture."""
HEIGHT = 5.1
"""Inches of the picture with three treatments or more."""
SIDE = 1.62
"""Inches from the middle of the picture to the centre of a node."""
AREA = (90.0, 900.0)
"""Marker area of the smallest node and of the one with most patients, in square points."""
LARGEST = float(np.sqrt(AREA[1] / np.pi)) / 72
"""Radius in inches of the largest node."""
LABEL_CHARACTERS = 20
"""Letters of a node's label before a new line."""
LEGEND_LEFT = 0.25
"""Inches of the shades' legend from the left."""
SHADES = (PALETTE[4], PALETTE[5], PALETTE[3], PALETTE[2], PALETTE[7])
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx")


def draw_network(
    network: "Network", axes: Axes | None = None, *, looks: Mapping[str, Look] | None = None, title: str = ""
) -> Axes:
    """Draw nodes on a circle, lines with their studies, shades of studies with several treatments
    (`bayes_bm.plot_network`).
    """
    names = list(network.nodes["treatment"])
    axes = _new_axes(network) if axes is None else axes
    place = places(len(names))
    centres = {name: place[row] for row, name in enumerate(names)}
    with mpl.rc_context(RC):
        _shade_studies(axes, network.several, centres)
        _draw_edges(axes, network.edges, centres)
        _draw_nodes(axes, network.nodes, centres, looks or default_looks(names))
        if network.edges.empty:
            axes.text(0, 0, "no side-by-side study", ha="center", va="center", color=GREY, fontsize=8.5)
        _set_frame(axes, place, title)
    return axes


def network_figure(network: "Network", **settings: Any) -> Figure:
    """Return the figure of `draw_network`; `.savefig(path, dpi=150)` writes it."""
    return figure_of(draw_network(network, **settings))


def _new_axes(network: "Network") -> Axes:
    rows = len(_shaded_sets(network.several))
    size = len(network.nodes)
    height = (HEIGHT if size > 2 else 1.7) + 0.24 * rows
    with mpl.rc_context(RC):
        drawn = Figure(figsize=(WIDTH, height))
        foot = 0.24 * rows / height
        return drawn.add_axes((0.0, foot, 1.0, 1.0 - foot))


def places(count: int) -> np.ndarray:
    """Return centres of nodes in inches from the middle, clockwise from the top; two stand side by side."""
    start = np.pi if count <= 2 else np.pi / 2
    angle = start - 2 * np.pi * np.arange(count) / max(count, 1)
    return SIDE * np.column_stack([np.cos(angle), np.sin(angle)])


def _set_frame(axes: Axes, place: np.ndarray, title: str) -> None:
    """Limits in inches, so that circles are round and labels have their room."""
    box, drawn = axes.get_position(), axes.get_figure(root=True)
    width, height = (WIDTH, HEIGHT) if drawn is None else drawn.get_size_inches()
    wide, tall = box.width * width / 2, box.height * height / 2
    axes.set(xlim=(-wide, wide), ylim=(-tall, tall))
    axes.set_axis_off()
    if title:
        axes.set_title(title)


def areas(patients: Sequence[float]) -> np.ndarray:
    """Return marker areas: proportional to patients above a least size that can still be seen."""
    values = np.nan_to_num(np.asarray(patients, dtype=float))
    most = values.max(initial=0.0)
    return AREA[0] + (AREA[1] - AREA[0]) * (values / most if most > 0 else values)


def _draw_nodes(axes: Axes, nodes: pd.DataFrame, centres: Mapping[str, np.ndarray], looks: Mapping[str, Look]) -> None:
    for row, area in zip(nodes.to_dict("records"), areas(nodes["patients"].tolist()), strict=True):
        centre, name = centres[row["treatment"]], str(row["treatment"])
        silent = not row["studies"]
        axes.scatter(
            *centre,
            s=area,
            color="white" if silent else looks[name].color,
            edgecolor=GREY if silent else "white",
            linestyle="--" if silent else "-",
            linewidth=1.2,
            zorder=4,
        )
        _write_node_label(axes, row, centre, radius=float(np.sqrt(area / np.pi)) / 72, count=len(centres))


def _write_node_label(axes: Axes, row: Mapping[Any, Any], centre: np.ndarray, *, radius: float, count: int) -> None:
    lines = [wrapped(treatment_text(str(row["treatment"])), LABEL_CHARACTERS)]
    lines.append("no evidence" if not row["studies"] else counted(int(row["studies"]), "study"))
    if row["patients"]:
        some = "" if row["counted"] == row["studies"] else f" in {row['counted']}"
        lines.append(f"{row['patients']:.0f} patients{some}")
    away = np.array([0.0, -1.0]) if count <= 2 else centre / np.hypot(*centre)
    radius = LARGEST if count <= 2 else radius
    sideways = abs(away[0]) > 0.2
    spot = centre + (radius + 0.08) * away
    axes.annotate(
        "\n".join(lines),
        (float(spot[0]), float(spot[1])),
        ha=("left" if away[0] > 0 else "right") if sideways else "center",
        va="center" if abs(away[1]) < 0.7 else ("bottom" if away[1] > 0 else "top"),
        fontsize=8.2,
        linespacing=1.15,
        annotation_clip=False,
        zorder=6,
    )


def _draw_edges(axes: Axes, edges: pd.DataFrame, centres: Mapping[str, np.ndarray]) -> None:
    rows = edges.to_dict("records")
    most = max((row["studies"] for row in rows), default=1)
    ends = [(centres[row["treatment"]], centres[row["reference"]]) for row in rows]
    for row, (start, end) in zip(rows, ends, strict=True):
        width = 0.6 + 4.4 * row["studies"] / max(most, 5)
        axes.plot([start[0], end[0]], [start[1], end[1]], color="#9A9A9A", linewidth=width, zorder=2)
    for row, spot in zip(rows, number_places(ends), strict=True):
        axes.text(
            *spot,
            str(row["studies"]),
            ha="center",
            va="center",
            fontsize=8.2,
            color=INK,
            zorder=5,
            bbox={"boxstyle": "round,pad=0.18", "facecolor": "white", "edgecolor": "none"},
        )


def number_places(ends: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[float, float]]:
    """Return where the number of each line stands: on it, as far as can be from other lines and placed numbers."""
    placed: list[np.ndarray] = []
    for index, (start, end) in enumerate(ends):
        others = [pair for row, pair in enumerate(ends) if row != index]
        spots = [start + share * (end - start) for share in (0.5, 0.44, 0.56, 0.38, 0.62, 0.32, 0.68, 0.26, 0.74)]
        room = [_room_around(spot, others, placed) for spot in spots]
        placed.append(spots[int(np.argmax(room))])
    return [(float(spot[0]), float(spot[1])) for spot in placed]


ROOM = 0.24
"""Inches that are room enough; nearer to the middle of the line is then better."""


def _room_around(
    spot: np.ndarray, lines: Sequence[tuple[np.ndarray, np.ndarray]], placed: Sequence[np.ndarray]
) -> float:
    to_numbers = min((float(np.hypot(*(spot - number_place))) for number_place in placed), default=ROOM)
    to_lines = min((_distance(spot, *line) for line in lines), default=ROOM)
    return min(ROOM, to_numbers) + 0.5 * min(ROOM, to_lines)


def _distance(spot: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    """From a point to a line between two points."""
    along = end - start
    share = np.clip(np.dot(spot - start, along) / np.dot(along, along), 0.0, 1.0)
    return float(np.hypot(*(spot - start - share * along)))


def _shaded_sets(several: pd.DataFrame) -> dict[tuple[str, ...], list[str]]:
    """Studies by the set of treatments that they hold."""
    sets: dict[tuple[str, ...], list[str]] = {}
    for row in several.to_dict("records"):
        sets.setdefault(tuple(row["treatments"]), []).append(str(row["study"]))
    return sets


def _shade_studies(axes: Axes, several: pd.DataFrame, centres: Mapping[str, np.ndarray]) -> None:
    """One area for each set of three or more treatments, and under the picture the studies that hold it."""
    for row, (members, studies) in enumerate(_shaded_sets(several).items()):
        color, hatch = SHADES[row % len(SHADES)], HATCHES[row % len(HATCHES)]
        corners = np.array([centres[name] for name in members])
        axes.add_patch(
            Polygon(
                corners,
                closed=True,
                facecolor=f"{color}2E",
                edgecolor=f"{color}88",
                hatch=hatch,
                linewidth=0.6,
                zorder=1,
            )
        )
        axes.plot(
            [LEGEND_LEFT],
            [-0.12 - 0.24 * row],
            "s",
            transform=_inches_transform(axes),
            color=f"{color}88",
            markersize=8,
            clip_on=False,
        )
        words = f"{len(members)} arms: {', '.join(studies)}"
        axes.text(
            LEGEND_LEFT + 0.14,
            -0.12 - 0.24 * row,
            wrapped(words, 92, lines=1),
            transform=_inches_transform(axes),
            va="center",
            fontsize=8.2,
        )


def _inches_transform(axes: Axes) -> Any:
    """Inches right of and above the lower left corner of the axes."""
    from matplotlib.transforms import Affine2D, ScaledTranslation

    drawn = axes.get_figure(root=True)
    assert drawn is not None
    box = axes.get_position()
    width, height = drawn.get_size_inches()
    corner = ScaledTranslation(box.x0 * width, box.y0 * height, drawn.dpi_scale_trans)
    return Affine2D() + drawn.dpi_scale_trans + corner
