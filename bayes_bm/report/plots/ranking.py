"""Rankograms: for each treatment the probability of every rank, and of that rank or an earlier one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, INK, RC, Look, figure_of, wrapped
from bayes_bm.report.plots.style import looks as default_looks
from bayes_bm.report.text import number, treatment_text

if TYPE_CHECKING:
    from bayes_bm.estimands.ranking import Ranking


PANEL = 2.05
"""Inches of a panel's width."""
TALL = 1.2
"""Inches of a panel's height."""
GAP = 0.66
"""Inches between rows of panels, where the name stands."""
COLUMNS = 3
"""Panels in a row."""


def draw_ranks(ranking: "Ranking", axes: Axes, name: str, *, look: Look) -> Axes:
    """Draw one treatment's panel: bars of P(rank), a line of P(rank or earlier)."""
    probabilities = ranking.probabilities[ranking.probabilities["treatment"] == name]
    row = ranking.table[ranking.table["treatment"] == name].iloc[0]
    with mpl.rc_context(RC):
        axes.bar(probabilities["rank"], probabilities["probability"], width=0.72, color=look.color, alpha=0.85)
        axes.plot(
            probabilities["rank"],
            probabilities["cumulative"],
            color=INK,
            linewidth=1.1,
            linestyle="--",
            marker=".",
            markersize=4,
        )
        axes.set(ylim=(0, 1.03), xlim=(0.4, len(probabilities) + 0.6))
        axes.set_xticks(probabilities["rank"])
        axes.set_yticks([0, 0.5, 1])
        axes.grid(visible=True, axis="y")
        low, high = (row[name] for name in row.index if str(name).startswith("rank_q"))
        span = f"{row['median_rank']:g} ({low:g} to {high:g})"
        axes.set_title(wrapped(treatment_text(name), 28, lines=1), fontsize=8.8, pad=12)
        axes.annotate(
            f"rank {span}; SUCRA {number(row['sucra'], 2)}",
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=7.6,
            color=GREY,
        )
    return axes


def draw_all_ranks(
    ranking: "Ranking", axes: Sequence[Axes] | None = None, *, looks: Mapping[str, Look] | None = None
) -> list[Axes]:
    """Draw a panel for each treatment; without axes three a row on a figure of their own, what a rank is below."""
    names = list(ranking.table["treatment"])
    looks = looks or default_looks(names)
    panels = _new_panels(ranking) if axes is None else list(axes[: len(names)])
    for panel, name in zip(panels, names, strict=True):
        draw_ranks(ranking, panel, name, look=looks[name])
    return panels


def ranks_figure(ranking: "Ranking", *, looks: Mapping[str, Look] | None = None) -> Figure:
    """Return the figure of `draw_all_ranks`."""
    return figure_of(draw_all_ranks(ranking, looks=looks)[0])


def _new_panels(ranking: "Ranking") -> list[Axes]:
    """Return axes for each treatment, three a row, over a line that says what a rank is."""
    count = len(ranking.table)
    rows = -(-count // COLUMNS)
    width, height = 0.45 + COLUMNS * (PANEL + 0.22), 0.38 + rows * (TALL + GAP)
    panels = []
    with mpl.rc_context(RC):
        drawn = Figure(figsize=(width, height))
        for index in range(count):
            row, column = divmod(index, COLUMNS)
            left_edge = 0.42 + column * (PANEL + 0.22)
            bottom = height + 0.2 - (row + 1) * (TALL + GAP)
            panels.append(drawn.add_axes((left_edge / width, bottom / height, PANEL / width, TALL / height)))
            panels[-1].tick_params(labelleft=column == 0)
        words = f"rank; 1 is the {ranking.first}. Bars: probability of the rank; dashed: of it or an earlier."
        drawn.text(0.42 / width, 0.07 / height, wrapped(words, 100), fontsize=8.2, va="bottom")
    return panels
