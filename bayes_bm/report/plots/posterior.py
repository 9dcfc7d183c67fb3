"""Posterior against prior, and rank plots of chains."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, PALETTE, RC, figure, legend_below

CHAIN_STYLES = ("-", "--", "-.", ":")


def prior_posterior(axes: Axes, *, posterior: pd.DataFrame, prior: pd.DataFrame, xlabel: str) -> Axes:
    """Draw the posterior histogram (left, right, density) with the prior's density (value, density) over it."""
    with mpl.rc_context(RC):
        edges = [*posterior["left"], posterior["right"].iloc[-1]]
        axes.stairs(posterior["density"], edges, fill=True, color=PALETTE[0], alpha=0.45, label="posterior")
        axes.plot(prior["value"], prior["density"], color=PALETTE[1], linewidth=1.6, linestyle="--", label="prior")
        axes.set(xlabel=xlabel, ylabel="density", ylim=(0, None))
        axes.set_xlim(*_ends(prior["value"].to_numpy()))
        axes.set_yticks([])
    return axes


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def prior_posterior_figure(*, posterior: pd.DataFrame, prior: pd.DataFrame, xlabel: str) -> Figure:
    """Draw `prior_posterior` at its size, a legend below."""
    drawn, axes = figure(3.6, 2.35, left_margin=0.35, right_margin=0.14, bottom_margin=0.85, top_margin=0.12)
    prior_posterior(axes, posterior=posterior, prior=prior, xlabel=xlabel)
    legend_below(axes, inches=0.58)
    return drawn


def rank_plot(axes: Axes, table: pd.DataFrame) -> Axes:
    """Draw ranks of each chain's draws among all (chain, left, right, count; low, expected, high of good mixing)."""
    expected, low, high = (float(table[name].iloc[0]) for name in ("expected", "low", "high"))
    with mpl.rc_context(RC):
        axes.axhspan(low, high, color=GREY, alpha=0.18, linewidth=0)
        axes.axhline(expected, color=GREY, linewidth=0.8)
        for index, (chain, rows) in enumerate(table.groupby("chain")):
            axes.stairs(
                rows["count"],
                [*rows["left"], rows["right"].iloc[-1]],
                baseline=None,
                color=PALETTE[index % len(PALETTE)],
                linewidth=1.3,
                linestyle=CHAIN_STYLES[index % len(CHAIN_STYLES)],
                label=f"chain {chain}",
            )
        axes.set(xlabel="rank among the draws of all chains", ylabel="draws")
        axes.set_xlim(*_ends(table[["left", "right"]].to_numpy()))
        axes.set_ylim(0, max(high, table["count"].to_numpy().max()) * 1.15)
    return axes


def rank_figure(table: pd.DataFrame) -> Figure:
    """Draw `rank_plot` at its size."""
    drawn, axes = figure(3.6, 1.9, left_margin=0.6, right_margin=0.14, bottom_margin=0.5, top_margin=0.14)
    rank_plot(axes, table)
    return drawn
