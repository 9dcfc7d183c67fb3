"""Cumulative incidences of competing causes and survival free of all of them, a panel each, treatments side by side."""

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import RC, Look
from bayes_bm.report.text import time_ticks

WIDTH, HEIGHT = 3.1, 3.2
"""Inches of a panel."""


def incidence_figure(
    table: pd.DataFrame, *, looks: Mapping[str, Look], names: Mapping[str, str], titles: Mapping[str, str], unit: str
) -> Figure:
    """Draw the share of patients in whom each cause came first, by time: median and interval of every treatment.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns cause, treatment, time, median, low, high.
    looks, names : mapping
        Colour and words of each treatment.
    titles : mapping
        Words of each cause, in the order of the panels.
    unit : str
        The unit of times.

    Returns
    -------
    matplotlib.figure.Figure
        A panel a cause, on one scale from 0 to 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_bm.report.plots.style import looks
    >>> rows = {"cause": "death", "treatment": "a", "time": [0.0, 12.0], "median": [0, 0.3], "low": 0, "high": 0.4}
    >>> drawn = incidence_figure(pd.DataFrame(rows), looks=looks(["a"]), names={"a": "A"}, titles={"death": "Death"},
    ...     unit="months")
    >>> [axes.get_title(loc="left") for axes in drawn.axes]
    ['Death']
    """
    limit = float(table["time"].max())
    with mpl.rc_context(RC):
        drawn = Figure(figsize=(WIDTH * len(titles), HEIGHT + 0.4))
        panels = drawn.subplots(1, len(titles), sharey=True, squeeze=False)[0]
        for axes, (cause, title) in zip(panels, titles.items(), strict=True):
            own = table[table["cause"] == cause]
            for place, (treatment, words) in enumerate(names.items()):
                rows, look = own[own["treatment"] == treatment], looks[treatment]
                axes.fill_between(rows["time"], rows["low"], rows["high"], color=look.color, alpha=0.2, linewidth=0)
                style = {"marker": look.marker, "markersize": 4, "markevery": (2 + 2 * place % 6, 6), "linewidth": 1.8}
                axes.plot(rows["time"], rows["median"], color=look.color, label=words, **style)
            axes.set(xlim=(0, limit), ylim=(-0.02, 1.02), xlabel=f"time ({unit})")
            axes.set_xticks(time_ticks(limit))
            axes.grid(visible=True)
            axes.set_title(title)
        panels[0].set_ylabel("share of patients")
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="lower center", ncols=min(3, len(names)))
        drawn.tight_layout(rect=(0, 0.05 + 0.05 * -(-len(names) // 3), 1, 1))
    return drawn
