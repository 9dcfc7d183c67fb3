"""Calibration over simulated worlds: ranks against a uniform distribution, and coverage of intervals."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from bayes_bm.report.plots.style import PALETTE

BELOW: dict[str, Any] = {
    "fontsize": 7,
    "ncols": 4,
    "loc": "upper center",
    "bbox_to_anchor": (0.5, -0.14),
    "frameon": False,
}


def rank_lines(axes: Axes, gaps: pd.DataFrame, *, worlds: int) -> Axes:
    """Draw ECDFs of each parameter's ranks less a uniform one, and the `band` (`validation.calibration.rank_gaps`)."""
    axes.fill_between(gaps["rank"], -gaps["band"], gaps["band"], color="0.9", label="95 % of uniform lines")
    for name, colour in zip(gaps.columns.drop(["rank", "band"]), PALETTE, strict=False):
        axes.plot(gaps["rank"], gaps[name], color=colour, lw=1.3, label=name)
    axes.set(xlabel="rank of the truth among 99 draws", ylabel="ECDF less uniform", title=f"Ranks, {worlds} worlds")
    axes.legend(**BELOW)
    return axes


def coverage_points(axes: Axes, table: pd.DataFrame) -> Axes:
    """Draw the share covered of every answer and level, with its 95 % interval `half` (`validation.calibration`)."""
    names = list(dict.fromkeys(table["answer"]))
    for (level, rows), colour in zip(table.groupby("level"), PALETTE, strict=False):
        shares, nominal = rows.set_index("answer").loc[names], rows["level"].iloc[0]
        axes.axvline(nominal, color=colour, lw=0.8, ls=":")
        axes.errorbar(
            shares["covered"], range(len(names)), xerr=shares["half"], fmt="o", ms=4, color=colour, label=f"{level:.0%}"
        )
    axes.set_yticks(range(len(names)), [name.replace(", ", "\n", 1) for name in names], fontsize=7)
    axes.set(xlabel="share of worlds whose interval held the truth", title=f"Coverage, {table['worlds'].max()} worlds")
    axes.legend(**BELOW)
    axes.invert_yaxis()
    return axes
