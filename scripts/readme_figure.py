"""docs/figures/forest.png, the figure of the README, from a result of the main question.

python scripts/readme_figure.py out/os_reresection_vs_resrs/result.nc
"""

import sys
from pathlib import Path

import pandas as pd

import bayes_bm as bb
from bayes_bm.report.figures import forest_label, forest_rows
from bayes_bm.report.gather import gather
from bayes_bm.report.plots.forest import forest_figure
from bayes_bm.report.plots.style import looks
from bayes_bm.runtime.files import atomic_write


def main() -> None:
    result = bb.load(sys.argv[1])
    material = gather(
        result, audit=bb.audit(result.spec, result.evidence), reconciliation=bb.reconcile(result), contrasts=None
    )
    rows = forest_rows(material)
    ends = rows[["low", "high", "printed"]].to_numpy(dtype=float)
    drawn = forest_figure(
        rows,
        wide=True,
        columns={"patients": "text_n", "model (95 %)": "text_model", "printed": "text_printed"},
        looks=looks(result.spec.treatments.names),
        xlabel=forest_label(material),
        xlim=(0.85 * float(pd.Series(ends.ravel()).min()), 1.1 * float(pd.Series(ends.ravel()).max())),
        log=True,
    )
    with atomic_write(Path("docs/figures/forest.png")) as file:
        drawn.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
