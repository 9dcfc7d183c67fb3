"""docs/figures/reconstruction.png, from a simulated arm: careful clicks, numbers at risk with one misprint.

python scripts/reconstruction_figure.py
"""

from pathlib import Path

import numpy as np
import pandas as pd

import bayes_bm as bb
from bayes_bm.hazards.nonparametric import at_risk, kaplan_meier
from bayes_bm.report.plots.reconstruction import reconstruction_figure
from bayes_bm.runtime.files import atomic_write

PATIENTS, AXIS, CLICKS, ERROR, SEED = 120, 36.0, 90, 0.004, 7


def simulated() -> tuple[np.ndarray, np.ndarray]:
    """Times and events: exponential deaths with mean 14 months, censored evenly over 6 to 36."""
    rng = np.random.default_rng(SEED)
    death, leave = rng.exponential(14, PATIENTS), rng.uniform(6, AXIS, PATIENTS)
    return np.minimum(death, leave), (death <= leave).astype(int)


def clicked(time: np.ndarray, event: np.ndarray) -> pd.DataFrame:
    """Clicks on the curve at even steps of time, with errors of `ERROR` of each axis."""
    rng = np.random.default_rng(SEED)
    at = np.linspace(0.2, time.max(), CLICKS)
    noise = ERROR * rng.standard_normal((2, CLICKS))
    return pd.DataFrame({"time": at + AXIS * noise[0], "survival": kaplan_meier(time, event)(at) + noise[1]})


def main() -> None:
    time, event = simulated()
    table = pd.DataFrame({"time": np.arange(0, AXIS + 1, 6)})
    table["at_risk"] = at_risk(time, table["time"]).astype(int)
    table.loc[2, "at_risk"] = table["at_risk"][1] - 2  # more than the fall of the curve leaves
    rec = bb.reconstruct(clicked(time, event), at_risk=table, axis_max=AXIS)
    drawn = reconstruction_figure(rec, name="A simulated arm with one misprinted number", unit="months", draws=40)
    with atomic_write(Path("docs/figures/reconstruction.png")) as file:
        drawn.savefig(file, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
