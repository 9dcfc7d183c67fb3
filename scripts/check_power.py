"""How often does the battery of checks flag a world? Right worlds, and each wrong one; one row a world in OUT.csv.

Truth from the priors of the default model, but a log hazard ratio of -0.8, so that swapped arms differ; 14 studies,
arms of 40 to 120. Taken up where it stopped.

    python scripts/check_power.py OUT.csv WORLDS [MINUTES] [FIRST SEED] [KINDS, with commas between] [mixes]

With `mixes` the worlds have two covariates of which arms print half their shares, and ratios of six studies.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import bayes_bm as bb
from bayes_bm.checks.battery import battery
from bayes_bm.validation.simulation.wrong_worlds import WRONG
from bayes_bm.validation.two_stage import two_stage_fit

MODEL, SIZES, STUDIES = "os_reresection_vs_resrs", (40, 120), 14
TRUTH = {"log_hr": -0.8}
ALIKE = {"covariates": {}, "evidence.prognostic_ratios": [], "prognosis": "none", "external_checks": []}
DROPPED = ("single_met", "interval_over_6_months")
MIXED = {**{f"covariates.{name}": "none" for name in DROPPED}, "external_checks": [], "sensitivity": {}}
MIXED |= {"sampling.chains": 2, "sampling.draws": 1200, "sampling.tune": 400, "sampling.thin": 1, "sampling.cores": 1}


def world(spec: bb.Spec, kind: str, seed: int) -> dict[str, object]:
    wrong = None if kind == "right" else kind
    given: dict[str, Any] = {"studies": STUDIES, "sizes": SIZES, "printed_covariates": 0.5 if spec.case_mixes else 1.0}
    made = bb.simulate(spec, seed=seed, truth=TRUTH, wrong=wrong, **given)
    evidence = made.evidence()
    result = bb.fit(made.spec, evidence) if spec.case_mixes else two_stage_fit(made.spec, evidence, proposals=4000)
    found = battery(result)
    questions = "; ".join(found.flagged["question"])
    struck = made.truth["struck"]
    named = [name in set(found.flagged["worst"].str.split(",").str[0]) for name in struck]
    return {"kind": kind, "seed": seed, "flagged": int(len(found.flagged) > 0), "questions": questions,
            "red": int((found.reconciliation["status"] == "red").any()), "named": int(all(named)) if named else np.nan,
            "gate": int(result.gate.passed)}  # fmt: skip


def table(rows: pd.DataFrame) -> pd.DataFrame:
    found = []
    for kind, mine in rows.groupby("kind", sort=False):
        k, n = int(mine["flagged"].sum()), len(mine)
        low, high = stats.binomtest(k, n).proportion_ci()
        most = mine["questions"].dropna().str.split("; ").explode().value_counts().head(2)
        by = ", ".join(f"{name} {count}" for name, count in most.items() if name)
        found.append({"kind": kind, "worlds": n, "flagged": k / n, "low": low, "high": high, "red": mine["red"].mean(),
                      "named": mine["named"].mean(), "gate_failed": n - int(mine["gate"].sum()), "by": by})  # fmt: skip
    return pd.DataFrame(found)


if __name__ == "__main__":
    out, begun = Path(sys.argv[1]), time.time()
    worlds, minutes, first = (float(a) for a in [*sys.argv[2:5], *("inf", "0")[len(sys.argv[:5]) - 3 :]])
    changes = MIXED if sys.argv[6:] == ["mixes"] else ALIKE
    seeds = range(int(first), int(first + worlds))
    known, spec = pd.read_csv(out) if out.exists() else pd.DataFrame(), bb.read_spec(MODEL, changes=changes)
    done = set(zip(known["kind"], known["seed"], strict=True)) if len(known) else set()
    for kind, seed in [
        (kind, seed) for seed in seeds for kind in (sys.argv[5].split(",") if len(sys.argv) > 5 else ("right", *WRONG))
    ]:
        if (kind, seed) in done or time.time() - begun > 60 * minutes:
            continue
        known = pd.concat([known, pd.DataFrame([world(spec, kind, seed)])])
        known.to_csv(out, index=False)
    print(table(known).to_string(index=False))
