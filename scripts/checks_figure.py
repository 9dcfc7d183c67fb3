"""docs/figures/calibration.png: ranks and coverage over simulated worlds, and how often the battery flags a world.

python scripts/checks_figure.py SBC.csv COVERAGE.csv POWER.csv [FIGURE], of calibrate_model.py (sbc, coverage) and
check_power.py
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from check_power import table as power_of
from matplotlib.axes import Axes

from bayes_bm.report.plots.calibration import coverage_points, rank_lines
from bayes_bm.report.plots.style import PALETTE
from bayes_bm.runtime.files import atomic_write
from bayes_bm.validation.calibration import coverage, rank_gaps

GROSS = ("swapped_arms", "wrong_units", "guarantee_period", "crossing_hazards", "heterogeneous_shapes")


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
    rank_lines(axes[0], rank_gaps(sbc.drop(columns=["seed", "gate"])), worlds=len(sbc))
    coverage_points(axes[1], coverage(cover.drop(columns=["seed", "gate"])))
    power(axes[2], battery)
    with atomic_write(Path(*sys.argv[4:] or ["docs/figures/calibration.png"])) as file:
        figure.savefig(file, dpi=110)
