"""How figures look: a palette for colour-blind readers, marker shapes that tell treatments apart in grey, and SVG text.

Figures are objects of their own (`matplotlib.figure.Figure`), not pyplot's global state, so that a report can be made
inside any program; `shown` hands those that a person asked for to pyplot.
"""

import html
import io
import re
import sys
import textwrap
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.compact_svg import LETTER, compact

# Okabe and Ito 2008, without the yellow that vanishes on white
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<")
INK = "#222222"
"""Colour of words and ticks."""
GREY = "#6B6B6B"
"""Colour of axes, and of what belongs to no treatment."""
GRID = "#E3E3E3"
"""Colour of grid lines."""
PRINTED = "#000000"
"""Colour of what was printed or observed, whatever the treatment."""
SCALE = 1.05
"""How much larger than its inches a figure may grow on a screen."""

RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "path",
    # names are text: a $ in one is no formula
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Look:
    """Colour and marker of one treatment, the same in every figure."""

    color: str
    marker: str


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return a look for each name, in order; beyond eight the palette repeats with another marker."""
    size = len(PALETTE)
    return {
        name: Look(PALETTE[index % size], MARKERS[(index + index // size) % size]) for index, name in enumerate(names)
    }


def figure(
    width: float, height: float, *, left_margin: float, right_margin: float, bottom_margin: float, top_margin: float
) -> tuple[Figure, Axes]:
    """Return a figure of `width` x `height` inches and its axes; margins are in inches, so that panels line up."""
    with mpl.rc_context(RC):
        drawn = Figure(figsize=(width, height))
        box = (
            left_margin / width,
            bottom_margin / height,
            1 - (left_margin + right_margin) / width,
            1 - (bottom_margin + top_margin) / height,
        )
        return drawn, drawn.add_axes(box)


def figure_of(axes: Axes) -> Figure:
    """Return the figure that axes stand on."""
    drawn = axes.get_figure(root=True)
    assert drawn is not None
    return drawn


def svg(drawn: Figure, *, title: str) -> str:
    """Return the figure as an `<svg>` element, `title` being for those who cannot see it; same figure, same bytes."""
    buffer = io.StringIO()
    with mpl.rc_context({**RC, "svg.hashsalt": title}):
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    body = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :].strip(), flags=re.DOTALL)
    opening, rest = body.split(">", 1)
    shape = re.findall(r'viewBox="[^"]*"', opening)[0]
    width = drawn.get_figwidth() * 96 * SCALE
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    label = html.escape(title)
    return (
        f'<svg {names} {shape} role="img" aria-label="{label}" style="max-width:{width:.0f}px">'
        f"{_own_ids(compact(rest), title)}"
    )


def _own_ids(body: str, title: str) -> str:
    """Names inside one SVG made its own: many figures share one page, and the first of two equal names would win.

    Letters keep theirs, as they are the same in all.
    """
    mark = f"f{zlib.crc32(title.encode()):08x}"
    return re.sub(rf'(\bid="|url\(#|xlink:href="#)(?!{LETTER}")', rf"\g<1>{mark}-", body)


def wrapped(text: str, width: int, *, lines: int = 2) -> str:
    """Return `text` broken at `width` characters, at most `lines` lines, the last ended by an ellipsis where cut."""
    parts = textwrap.wrap(text, width=width)
    if len(parts) <= lines:
        return "\n".join(parts)
    return "\n".join([*parts[: lines - 1], textwrap.shorten(" ".join(parts[lines - 1 :]), width, placeholder=" …")])


class AxesSize(NamedTuple):
    """Inches left of the axes, and their width and height."""

    left_margin: float
    width: float
    height: float


def axes_inches(axes: Axes) -> AxesSize:
    """Return where the axes begin and how large they are, in inches."""
    drawn, box = axes.get_figure(root=True), axes.get_position()
    width, height = (0.0, 0.0) if drawn is None else drawn.get_size_inches()
    return AxesSize(box.x0 * width, box.width * width, box.height * height)


def legend_below(axes: Axes, *, inches: float, columns: int = 2) -> None:
    """Put a legend `inches` under the axes, below tick labels and axis label: it can never cover data."""
    height = axes_inches(axes).height
    with mpl.rc_context(RC):
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(0.0, -inches / height),
            ncols=columns,
            borderaxespad=0.0,
            columnspacing=1.4,
            handlelength=2.2,
        )


def shown[Drawn: Axes | Sequence[Axes]](drawn: Drawn, given: object) -> Drawn:
    """Return what was drawn, and let pyplot know its figure where no axes were given and somebody looks on.

    A notebook then shows it below its cell, and `plt.show()` in a window. Somebody looks on in a Jupyter kernel, and
    where pyplot is in use already.
    """
    if given is None and ("ipykernel" in sys.modules or "matplotlib.pyplot" in sys.modules):
        import matplotlib.pyplot as plt  # a fifth of a second that files of figures do without

        plt.figure(figure_of(drawn if isinstance(drawn, Axes) else drawn[0]))
    return drawn
