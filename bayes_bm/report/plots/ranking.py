"""Rankograms: for each treatment the probability of every rank, and of that rank or an earlier one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, INK, RC, Look, wrapped
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
        span = f"{row['median_rank']:g} ({row['rank_q5']:g} to {row['rank_q95']:g})"
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


def ranks_figure(ranking: "Ranking", *, looks: Mapping[str, Look] | None = None) -> Figure:
    """Draw a rankogram for each treatment: the probability of every rank, and of that rank or an earlier one.

    Parameters
    ----------
    ranking : Ranking
        What `bayes_bm.rank` gives.
    looks : mapping of str to Look, optional
        Colour and marker by treatment; by default one a treatment from a palette for colour-blind readers.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels a row; `.savefig(path, dpi=150)` writes them.

    Notes
    -----
    SUCRA, in each panel, is the surface under the cumulative ranking curve (Salanti, Ades and Ioannidis 2011,
    doi 10.1016/j.jclinepi.2010.03.016).

    Examples
    --------
    >>> import bayes_bm as bb, pandas as pd
    >>> chances = {"rank": [1, 2, 1, 2], "probability": [0.8, 0.2, 0.2, 0.8], "cumulative": [0.8, 1.0, 0.2, 1.0]}
    >>> ranks = {"median_rank": [1, 2], "rank_q5": [1, 1], "rank_q95": [2, 2], "sucra": [0.8, 0.2]}
    >>> ranking = bb.Ranking(
    ...     estimand="hazard_ratio", who="average-study", time=None, first="lowest hazard",
    ...     probabilities=pd.DataFrame({"treatment": ["srs", "srs", "wbrt", "wbrt"], **chances}),
    ...     table=pd.DataFrame({"treatment": ["srs", "wbrt"], **ranks}))
    >>> [panel.get_title() or panel.get_title(loc="left") for panel in bb.ranks_figure(ranking).axes]
    ['SRS', 'WBRT']
    """
    names = list(ranking.table["treatment"])
    looks = looks or default_looks(names)
    rows = -(-len(names) // COLUMNS)
    width, height = 0.45 + COLUMNS * (PANEL + 0.22), 0.38 + rows * (TALL + GAP)
    with mpl.rc_context(RC):
        drawn = Figure(figsize=(width, height))
        for index, name in enumerate(names):
            row, column = divmod(index, COLUMNS)
            left_edge = 0.42 + column * (PANEL + 0.22)
            bottom = height + 0.2 - (row + 1) * (TALL + GAP)
            axes = drawn.add_axes((left_edge / width, bottom / height, PANEL / width, TALL / height))
            draw_ranks(ranking, axes, name, look=looks[name])
            axes.tick_params(labelleft=column == 0)
        drawn.text(
            0.42 / width,
            0.07 / height,
            wrapped(
                f"rank; 1 is the {ranking.first}. Bars: probability of the rank; dashed: of it or an earlier.", 100
            ),
            fontsize=8.2,
            va="bottom",
        )
    return drawn
