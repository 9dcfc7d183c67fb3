"""What future studies would settle: expected width and probability against patients, designs side by side."""

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, RC, looks, wrapped
from bayes_bm.report.text import treatment_text

SIZE = (8.2, 3.9)
"""Width and height in inches."""
LETTERS = 34
"""Letters of a design's name on a line of the legend."""


def planning_figure(table: pd.DataFrame, treatment: str) -> Figure:
    """Draw what each design is expected to do to one contrast, against its patients.

    Parameters
    ----------
    table : pandas.DataFrame
        `Plan.table`.
    treatment : str
        The treatment whose contrast with the reference is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Left the expected width of the 95 % interval of the log ratio, with today's and its half as lines; right the
        probability that the interval excludes 1. A line a design, points are sizes.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_bm.report.plots.planning import planning_figure
    >>> table = pd.DataFrame({"design": "trial", "treatment": "b", "reference": "a", "n": [60, 120],
    ...     "width_now": 1.2, "expected_width": [0.9, 0.7], "width_mcse": 0.01,
    ...     "prob_excludes_1": [0.1, 0.3], "prob_mcse": 0.02})
    >>> [axes.get_xlabel() for axes in planning_figure(table, "b").axes]
    ['patients', 'patients']
    """
    rows = table[table["treatment"] == treatment]
    names = list(dict.fromkeys(rows["design"]))
    with mpl.rc_context(RC):
        drawn = Figure(figsize=SIZE)
        left, right = drawn.subplots(1, 2)
        for name, look in looks(names).items():
            one = rows[rows["design"] == name]
            style: dict[str, Any] = {"color": look.color, "marker": look.marker, "markersize": 5, "label": name}
            left.plot(one["n"], one["expected_width"], **style)
            right.plot(one["n"], one["prob_excludes_1"], **style)
        now = float(rows["width_now"].iloc[0])
        _level(left, now, "today")
        _level(left, now / 2, "half")
        contrast = f"{treatment_text(treatment)} v {treatment_text(rows['reference'].iloc[0])}"
        left.set(xlabel="patients", ylabel="expected width (log scale)", ylim=(0, 1.12 * now))
        right.set(xlabel="patients", ylabel="probability", ylim=(-0.02, 1.02))
        left.set_title(wrapped(f"95 % interval, {contrast}", 44))
        right.set_title("The interval excludes 1")
        handles, labels = left.get_legend_handles_labels()
        shown = [wrapped(label, LETTERS, lines=3) for label in labels]
        drawn.legend(handles, shown, loc="lower center", ncols=min(3, len(names)))
        lines = max(label.count("\n") + 1 for label in shown) * -(-len(names) // 3)
        drawn.tight_layout(rect=(0, 0.05 + 0.045 * lines, 1, 1))
    return drawn


def _level(axes: Axes, width: float, name: str) -> None:
    axes.axhline(width, color=GREY, linewidth=0.8, linestyle=":", label=f"_{name}")
    axes.annotate(name, (1, width), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=GREY, fontsize=8)
