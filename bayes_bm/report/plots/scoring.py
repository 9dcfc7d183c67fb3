"""How predictions agree with outcomes: observed against predicted survival, and the shares of D-calibration."""

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_bm.report.plots.style import GREY, INK, PALETTE, RC

if TYPE_CHECKING:
    from bayes_bm.checks.cohort_scores import Score


def score_figure(score: "Score") -> Figure:
    """Draw observed against predicted survival of groups of patients, and the shares of D-calibration by bin."""
    with mpl.rc_context(RC):
        drawn = Figure(figsize=(9.0, 4.4), layout="constrained")
        calibration_axes, share_axes = drawn.subplots(1, 2)
        _draw_calibration(calibration_axes, score)
        _draw_shares(share_axes, score)
        drawn.suptitle(
            f"{score.patients} patients, {score.events} events", x=0.01, ha="left", fontsize=10, fontweight="bold"
        )
    return drawn


def _draw_calibration(axes: Axes, score: "Score") -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    for row in score.calibration.to_dict("records"):
        axes.plot([row["predicted"]] * 2, [row["low"], row["high"]], color=PALETTE[0], linewidth=1.6)
        axes.plot([row["predicted"]], [row["observed"]], "o", color=PALETTE[0], markersize=4 + row["n"] ** 0.5 / 4)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel(f"predicted survival at {score.at:g} {score.time_unit}")
    axes.set_ylabel("observed (Kaplan-Meier, 95 %)")
    axes.set_title("Calibration, by fifths of the prediction")
    axes.grid(visible=True)


def _draw_shares(axes: Axes, score: "Score") -> None:
    table = score.d_calibration
    middle, width = (table["low"] + table["high"]) / 2, (table["high"] - table["low"]).iloc[0]
    axes.bar(middle, table["share"], width=0.9 * width, color=PALETTE[5])
    axes.axhline(1 / len(table), color=INK, linewidth=1, linestyle="--")
    axes.set(xlim=(0, 1))
    axes.set_xlabel("predicted survival at the patient's own time")
    axes.set_ylabel("share of patients")
    axes.set_title(f"D-calibration (p = {score.d_p:.2g}); dashed: a right model")
