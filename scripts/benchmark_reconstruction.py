"""Our reconstruction beside IPDfromKM's on kmbench, as a markdown table.

Each cell: median ours / theirs (90th percentile ours / theirs; worst ours / theirs). Named last: where ours is larger.
python scripts/benchmark_reconstruction.py [LEVELS]    e.g. V,D1"""

import importlib
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from bayes_bm.reconstruction.reconstruct import reconstruct

BENCH = Path(__file__).resolve().parents[2] / "shared" / "kmbench"
METRICS = ("iae", "worst", "worst_slack", "events_rel", "risk_rel", "log_hr_abs", "rmst_rel", "median_rel")
INFOS = ("full", "risk", "n")
STATISTICS = ("median", "p90", "worst")
KEYS = ["level", "info", "metric"]


def rebuild(row: dict, level: str, info: str) -> pd.DataFrame:
    """Patients of one arm, from what the setting lets a method see."""
    arm = row["arm"]
    curve = pd.read_csv(BENCH / f"inputs/{arm}.{level}.csv")
    table = None if info == "n" else pd.read_csv(BENCH / "risk" / f"{arm}.csv")
    ticks = pd.read_csv(BENCH / "marks" / f"{arm}.csv") if (level, info) == ("V", "full") else None
    known = {"n": row["n"], "events": row["events"] if info == "full" else None, "axis_max": row["axis_max"]}
    return reconstruct(curve, at_risk=table, ticks=ticks, **known).patients


def main(levels: tuple[str, ...]) -> None:
    if not BENCH.is_dir():
        sys.exit("skipped: ../shared/kmbench is not there")
    sys.path.insert(0, str(BENCH))
    score, start = importlib.import_module("score"), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for level, info in [(level, info) for level in levels for info in INFOS]:
            for row in pd.read_csv(BENCH / "given.csv").to_dict("records"):
                rebuild(row, level, info).to_csv(Path(folder) / f"{row['arm']}.{level}.{info}.csv", index=False)
        spent = time.process_time() - start
        cases, missing = score.score_set(BENCH, Path(folder), levels, INFOS)
    ours = score.summarise(cases, missing, levels, INFOS).set_index(KEYS)
    theirs = pd.read_csv(BENCH / "ipdfromkm_summary.csv").set_index(KEYS).add_suffix("_r")
    both = ours.join(theirs).query("metric in @METRICS")
    print(f"| level | info | {' | '.join(METRICS)} |\n|{'---|' * 10}")
    for (level, info), part in both.groupby(["level", "info"], sort=False):
        rows = part[[f"{s}{side}" for s in STATISTICS for side in ("", "_r")]].itertuples(index=False)
        cells = [f"{a:.4f} / {b:.4f} ({c:.4f} / {d:.4f}; {e:.4f} / {f:.4f})" for a, b, c, d, e, f in rows]
        print(f"| {level} | {info} | {' | '.join(cells)} |")
    for name in STATISTICS:
        ours, theirs = both[name].round(4), both[f"{name}_r"].round(4)
        behind = ", ".join(" ".join(key) for key in both.index[ours > theirs])
        print(f"\n{name}: ours smaller in {(ours < theirs).sum()} of {len(both)}, larger in: {behind}")
    print(f"\n{len(cases)} cases, {len(missing)} missing; {spent / len(cases):.3f} CPU s per arm, files included")


if __name__ == "__main__":
    main(tuple(sys.argv[1].split(",")) if len(sys.argv) > 1 else ("V", "D1", "D2"))
