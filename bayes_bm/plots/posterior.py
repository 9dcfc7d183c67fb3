"""Posterior against prior, and rank plots of chains."""

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from bayes_bm.plots.style import GREY, PALETTE, RC

CHAIN_STYLES = ("-", "--", "-.", ":")


def prior_posterior(axes: Axes, *, posterior: pd.DataFrame, prior: pd.DataFrame, xlabel: str, title: str = "") -> Axes:
    """Posterior histogram (left, right, density) with the prior's density (value, density) over it."""
    with mpl.rc_context(RC):
        axes.bar(
            posterior["left"],
            posterior["density"],
            width=posterior["right"] - posterior["left"],
            **{"align": "edge", "color": PALETTE[0], "alpha": 0.45, "linewidth": 0, "label": "posterior"},
        )
        axes.plot(prior["value"], prior["density"], color=PALETTE[1], linewidth=1.6, linestyle="--", label="prior")
        axes.set(xlabel=xlabel, ylabel="density", ylim=(0, None))
        axes.set_xlim(float(prior["value"].min()), float(prior["value"].max()))
        axes.set_yticks([])
        axes.set_title(title)
    return axes


def rank_plot(axes: Axes, table: pd.DataFrame, *, expected: float, low: float, high: float, title: str = "") -> Axes:
    """Ranks of each chain's draws among all (chain, left, right, count): chains that mix stay in the grey band."""
    with mpl.rc_context(RC):
        axes.axhspan(low, high, color=GREY, alpha=0.18, linewidth=0)
        axes.axhline(expected, color=GREY, linewidth=0.8)
        for at, (chain, mine) in enumerate(table.groupby("chain")):
            edges = [*mine["left"], mine["right"].iloc[-1]]
            axes.stairs(
                mine["count"],
                edges,
                color=PALETTE[at % len(PALETTE)],
                linewidth=1.3,
                linestyle=CHAIN_STYLES[at % len(CHAIN_STYLES)],
                label=f"chain {chain}",
            )
        axes.set(
            xlabel="rank of draw among all chains", ylabel="draws", xlim=(table["left"].min(), table["right"].max())
        )
        axes.set_ylim(0, max(high, float(table["count"].max())) * 1.15)
        axes.set_title(title)
    return axes
