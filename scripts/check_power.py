"""How often does the battery of checks flag a world? Right worlds, and each wrong one; one row a world in OUT.csv.

Truth from the priors of the default model, but a log hazard ratio of -0.8, so that swapped arms differ; 14 studies,
arms of 40 to 120. Taken up where it stopped.

    python scripts/check_power.py OUT.csv WORLDS [MINUTES [FIRST SEED [KINDS, with commas between]]] [mixes]

With `mixes` the worlds have two covariates with hazard ratios of one half, of which arms print half their shares, and
ratios of six studies. KINDS are then by default right and those that strike ratios and shares.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import bayes_bm as bb
from bayes_bm.checks.battery import LEVEL, battery, holm, study_questions
from bayes_bm.checks.covariate_consistency import MIX, RATIO, covariate_checks
from bayes_bm.validation.simulation.wrong_worlds import MIXED, WRONG
from bayes_bm.validation.two_stage import two_stage_fit

Row = dict[str, Any]
MODEL, SIZES, STUDIES = "os_reresection_vs_resrs", (40, 120), 14
TRUTH = {"log_hr": -0.8}
COEFFICIENT = float(np.log(0.5))
"""Of every covariate: a ratio near 1 says the same either way round."""
ALIKE = {"covariates": {}, "evidence.prognostic_ratios": [], "prognosis": "none", "external_checks": []}
DROPPED = ("single_met", "interval_over_6_months")
MIXES = {
    **{f"covariates.{name}": "none" for name in DROPPED},
    "external_checks": [],
    "sensitivity": {},
    "sensitivity_words": {},
}
MIXES |= {"sampling.chains": 2, "sampling.draws": 1500, "sampling.tune": 400, "sampling.target_accept": 0.85}
MIXES |= {"sampling.thin": 1, "sampling.cores": 1}


def world(spec: bb.Spec, kind: str, seed: int) -> bb.World:
    """Make one world; truth is the same for every kind."""
    truth = {**TRUTH, **({"coefficient": dict.fromkeys(spec.covariates, COEFFICIENT)} if spec.case_mixes else {})}
    given: dict[str, Any] = {"studies": STUDIES, "sizes": SIZES, "printed_covariates": 0.5 if spec.case_mixes else 1.0}
    return bb.simulate(spec, seed=seed, truth=truth, wrong=None if kind == "right" else kind, **given)


def checked(spec: bb.Spec, kind: str, seed: int) -> Row:
    """Fit a world in two stages and ask the battery."""
    made = world(spec, kind, seed)
    result = two_stage_fit(made.spec, made.evidence(), proposals=4000)
    found = battery(result)
    red = bool((found.reconciliation["status"] == "red").any())
    return row(kind, seed, made, found.flagged, {"red": int(red), "gate": int(result.gate.passed)})


def checked_mixes(spec: bb.Spec, kinds: Sequence[str], seed: int) -> Iterator[Row]:
    """Fit the right world alone: questions about ratios and shares read no posterior, the others keep its answers."""
    made = world(spec, "right", seed)
    result = bb.fit(made.spec, made.evidence())
    found = battery(result)
    others = found.flags[~found.flags["question"].isin((RATIO, MIX))]
    for kind in kinds:
        made = world(spec, kind, seed)
        struck = study_questions(covariate_checks(replace(result, spec=made.spec, evidence=made.evidence())))
        flags = holm(pd.concat([others, pd.DataFrame(struck)]), LEVEL)
        yield row(kind, seed, made, flags[flags["flagged"]], {"red": np.nan, "gate": int(result.gate.passed)})


def row(kind: str, seed: int, made: bb.World, flagged: pd.DataFrame, more: Row) -> Row:
    struck, named = made.truth["struck"], set(flagged["worst"].str.split(",").str[0])
    questions = {"flagged": int(len(flagged) > 0), "questions": "; ".join(flagged["question"])}
    all_named = int(named.issuperset(struck)) if struck else np.nan
    return {"kind": kind, "seed": seed, **questions, "named": all_named, **more}


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
    mixed, begun = sys.argv[-1] == "mixes", time.time()
    given = sys.argv[1 : -1 if mixed else None]
    given += ["", "", "inf", "0", ",".join(("right", *(name for name in WRONG if (name in MIXED) == mixed)))][
        len(given) :
    ]
    out, kinds = Path(given[0]), given[4].split(",")
    worlds, minutes, first = (float(number) for number in given[1:4])
    seeds = range(int(first), int(first + worlds))
    spec = bb.read_spec(MODEL, changes=MIXES if mixed else ALIKE)
    known = pd.read_csv(out) if out.exists() else pd.DataFrame()
    done = set(zip(known["kind"], known["seed"], strict=True)) if len(known) else set()
    for seed in seeds:
        left = [kind for kind in kinds if (kind, seed) not in done]
        rows = checked_mixes(spec, left, seed) if mixed and left else (checked(spec, kind, seed) for kind in left)
        while time.time() - begun < 60 * minutes and (one := next(rows, None)) is not None:
            known = pd.concat([known, pd.DataFrame([one])])
            known.to_csv(out, index=False)
    print(table(known).to_string(index=False))
