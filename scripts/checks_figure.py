"""docs/figures/calibration.png: ranks and coverage over simulated worlds, and how often the battery flags a world.

python scripts/checks_figure.py SBC.csv COVERAGE.csv POWER.csv, of calibrate_model.py (sbc, coverage) and check_power.py
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from check_power import table as power_of
from matplotlib.axes import Axes

from bayes_bm.checks.calibration import DRAWS, coverage
from bayes_bm.files import written_whole
from bayes_bm.plots.style import PALETTE

GROSS = ("swapped_arms", "wrong_units", "guarantee_period", "crossing_hazards", "heterogeneous_shapes")


def ranks(axes: Axes, table: pd.DataFrame) -> None:
    """Share of worlds with a rank up to x, less x; the band holds all of a uniform line in 95 % of cases."""
    at, n = np.arange(DRAWS), len(table)
    share = (at + 1) / (DRAWS + 1)
    even, spread = np.random.default_rng(1).integers(0, DRAWS + 1, (2000, n)), np.sqrt(share * (1 - share) / n)
    gaps = np.stack([(row[:, None] <= at).mean(axis=0) - share for row in even])
    reach = spread * np.quantile(np.max(np.abs(gaps) / spread, axis=1), 0.95)
    axes.fill_between(at, -reach, reach, color="0.9", label="95 % of uniform lines")
    for name, colour in zip(table, PALETTE, strict=False):
        gap = (table[name].to_numpy()[:, None] <= at).mean(axis=0) - share
        axes.plot(at, gap, color=colour, lw=1.3, label=name)
    axes.set(xlabel="rank of the truth among 99 draws", ylabel="ECDF less uniform", title=f"Ranks, {n} worlds")
    axes.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)


def covered(axes: Axes, table: pd.DataFrame) -> None:
    found = coverage(table)
    names = list(dict.fromkeys(found["answer"]))
    for level, colour in zip((0.5, 0.8, 0.9, 0.95), PALETTE, strict=False):
        mine = found[found["level"] == level].set_index("answer").loc[names]
        half = 1.96 * np.sqrt(level * (1 - level) / mine["worlds"])
        axes.axvline(level, color=colour, lw=0.8, ls=":")
        axes.errorbar(mine["covered"], range(len(names)), xerr=half, fmt="o", ms=4, color=colour, label=f"{level:.0%}")
    axes.set_yticks(range(len(names)), [name.replace(", ", "\n", 1) for name in names], fontsize=7)
    axes.set(xlabel="share of worlds whose interval held the truth", title=f"Coverage, {len(table)} worlds")
    axes.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
    axes.invert_yaxis()


def power(axes: Axes, table: pd.DataFrame) -> None:
    found = power_of(table).iloc[::-1]
    colour = ["0.5" if kind == "right" else PALETTE[0] if kind in GROSS else PALETTE[1] for kind in found["kind"]]
    share, error = found["flagged"], [found["flagged"] - found["low"], found["high"] - found["flagged"]]
    names = [kind.replace("_", " ") for kind in found["kind"]]
    axes.barh(names, share, color=colour, xerr=error, ecolor="0.2", capsize=2)
    axes.axvline(0.1, color="0.5", ls=":", lw=1)
    axes.set(
        xlim=(0, 1),
        xlabel="share of worlds flagged, 95 % interval",
        title=f"Battery, {found['worlds'].min()} worlds a kind",
    )
    axes.tick_params(axis="y", labelsize=8)


if __name__ == "__main__":
    sbc, cover, battery = (pd.read_csv(name) for name in sys.argv[1:4])
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
    ranks(axes[0], sbc.drop(columns=["seed", "gate"]))
    covered(axes[1], cover.drop(columns=["seed", "gate"]))
    power(axes[2], battery)
    with written_whole(Path("docs/figures/calibration.png")) as file:
        figure.savefig(file, dpi=110)
