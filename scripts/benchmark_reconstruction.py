"""Our reconstruction beside IPDfromKM's on kmbench, for every level and setting; a ratio below 1 is in our favour.

python scripts/benchmark_reconstruction.py [LEVELS]    e.g. V,D1
"""

import importlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_bm.reconstruct import reconstruct

BENCH = Path(__file__).resolve().parents[2] / "shared" / "kmbench"
METRICS = ["iae", "worst", "worst_slack", "events_rel", "risk_rel", "log_hr_abs", "rmst_rel", "median_rel"]
INFOS = ("full", "risk", "n")
KEYS = ["level", "info", "metric"]
STATISTICS = ("median", "p90", "worst")


def rebuild(row: dict, level: str, info: str) -> pd.DataFrame:
    """Patients of one arm, from what the setting lets a method see."""
    places = {"inputs": f"{row['arm']}.{level}", "risk": row["arm"], "marks": row["arm"]}
    read = {folder: pd.read_csv(BENCH / folder / f"{name}.csv") for folder, name in places.items()}
    table = None if info == "n" else read["risk"]
    ticks = read["marks"] if (level, info) == ("V", "full") else None
    events = row["events"] if info == "full" else None
    known = {"n": row["n"], "events": events, "axis_max": row["axis_max"]}
    return reconstruct(read["inputs"], at_risk=table, ticks=ticks, **known).patients


def main(levels: tuple[str, ...]) -> None:
    if not BENCH.is_dir():
        print("skipped: ../shared/kmbench is not there")
        return
    sys.path.insert(0, str(BENCH))
    score, spent = importlib.import_module("score"), {}
    with tempfile.TemporaryDirectory() as folder:
        for level, info in [(level, info) for level in levels for info in INFOS]:
            for row in pd.read_csv(BENCH / "given.csv").to_dict("records"):
                start = time.process_time()
                patients = rebuild(row, level, info)
                spent.setdefault((level, info), []).append(time.process_time() - start)
                patients.to_csv(Path(folder) / f"{row['arm']}.{level}.{info}.csv", index=False)
        cases, missing = score.score_set(BENCH, Path(folder), levels, INFOS)
    table = score.summarise(cases, missing, levels, INFOS).set_index(KEYS)
    theirs = pd.read_csv(BENCH / "ipdfromkm_summary.csv").set_index(KEYS).add_suffix("_theirs")
    table = table.join(theirs)[lambda t: t.index.get_level_values("metric").isin(METRICS)]
    for what in ("median", "p90", "worst"):
        table[f"{what}_ratio"] = table[what] / table[f"{what}_theirs"].replace(0, np.nan)
    print(
        table[[f"{a}{b}" for a in ("median", "p90", "worst") for b in ("", "_theirs", "_ratio")]].round(5).to_string()
    )
    cpu = {f"{level} {info}": f"{np.median(x):.3f} (most {max(x):.2f})" for (level, info), x in spent.items()}
    print(
        f"{len(cases)} cases, {len(missing)} missing, {int(cases['n_wrong'].sum())} with wrong n; CPU s per arm: {cpu}"
    )


if __name__ == "__main__":
    main(tuple(sys.argv[1].split(",")) if len(sys.argv) > 1 else ("V", "D1", "D2"))
