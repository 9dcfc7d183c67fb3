"""Our reconstruction beside IPDfromKM's on kmbench: medians for every level and setting, ratios below 1 are ours.

python scripts/benchmark_reconstruction.py [LEVELS]    e.g. V,D1
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import bayes_bm.reconstruct as ours

BENCH = Path(__file__).resolve().parents[1].parent / "shared" / "kmbench"
METRICS = ["iae", "worst", "worst_slack", "events_rel", "risk_rel", "log_hr_abs", "rmst_rel", "median_rel"]
INFOS = ("full", "risk", "n")


def read(folder: str, name: str) -> pd.DataFrame:
    return pd.read_csv(BENCH / folder / f"{name}.csv")


def rebuild(row, level: str, info: str) -> ours.Reconstruction:
    """One arm with what `info` lets a method see."""
    known = {"n": row.n, "axis_max": row.axis_max}
    if info != "n":
        known["at_risk"] = read("risk", row.arm)
    if info == "full":
        known["events"] = row.events
        known["ticks"] = read("marks", row.arm) if level == "V" else None
    return ours.reconstruct(read("inputs", f"{row.arm}.{level}"), **known)


def main() -> None:
    if not BENCH.is_dir():
        print("skipped: no kmbench beside this clone")
        return
    levels = tuple(sys.argv[1].split(",")) if len(sys.argv) > 1 else ("V", "D1", "D2")
    sys.path.insert(0, str(BENCH))
    import score  # the benchmark's own

    with tempfile.TemporaryDirectory() as folder:
        spent = {}
        for level in levels:
            for info in INFOS:
                for row in pd.read_csv(BENCH / "given.csv").itertuples():
                    start = time.process_time()
                    patients = rebuild(row, level, info).patients
                    spent.setdefault((level, info), []).append(time.process_time() - start)
                    patients.to_csv(Path(folder) / f"{row.arm}.{level}.{info}.csv", index=False)
        cases, missing = score.score_set(BENCH, Path(folder), levels, INFOS)
    keys = ["level", "info", "metric"]
    table = score.summarise(cases, missing, levels, INFOS).set_index(keys)
    table = table.join(pd.read_csv(BENCH / "ipdfromkm_summary.csv").set_index(keys).add_suffix("_theirs")).reset_index()
    table = table[table["metric"].isin([*METRICS, "n_wrong"])]
    for what in ("median", "p90", "worst"):
        base = table[f"{what}_theirs"].replace(0, np.nan)
        table[f"{what}_ratio"] = table[what] / base
    columns = [*keys, *(f"{a}{b}" for a in ("median", "p90", "worst") for b in ("", "_theirs", "_ratio"))]
    print(table[columns].round(5).to_string(index=False))
    cpu = {key: f"{np.median(x):.3f} (largest {max(x):.2f})" for key, x in spent.items()}
    print(f"{len(cases)} cases, {len(missing)} missing; median CPU seconds per arm:", cpu)


if __name__ == "__main__":
    main()
