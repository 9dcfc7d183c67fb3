"""Random small networks through a fit at default settings: does the convergence gate pass at the first or second try?

    python scripts/calibrate_gate.py OUT.csv 50

A network has 1 to 5 studies with 15 to 150 patients an arm, two or three treatments, every kind of evidence, and the
priors that shipped specs have; `EFFECTS` says which effects its model has. The table is written after every network, so
that a call that was stopped is taken up.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import bayes_bm as bb
from bayes_bm.evidence.reading import select
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.spec.reading import parse_spec

SIZES = (15, 150)
SEED = 14
POOL = 15
"""Studies of which a network takes a few: every kind of evidence, of one arm and of two."""
KINDS = ("patients", "points", "medians", "hazard_ratios", "counts")


def prior(dist: str, **numbers: float) -> dict[str, Any]:
    return {"dist": dist, **numbers, "why": "that of the shipped specs"}


LEVELS = {"study": {"exchangeable": True, "sd": prior("half_normal", sd=0.5)}}
DEVIATIONS = {"study_treatment": {"sd": prior("half_normal", sd=0.3)}}
SHAPES = {"study_shape": {"sd": prior("half_normal", sd=0.2)}}
EFFECTS: dict[str, dict[str, Any]] = {
    "levels": LEVELS,
    "levels, deviations": LEVELS | DEVIATIONS,
    "levels, deviations, shapes": LEVELS | DEVIATIONS | SHAPES,
    "levels, shapes": LEVELS | SHAPES,
    "free levels, deviations": {"study": {"exchangeable": False}} | DEVIATIONS,
}


def make_spec(effects: str, compare: list[str], seed: int, *, covariate: bool = False) -> bb.Spec:
    """Return the spec of a network."""
    document: dict[str, Any] = {
        "schema": 1,
        "name": "network",
        "question": "does the gate pass?",
        "endpoint": "os",
        "time_unit": "months",
        "reference_time": 12.0,
        "horizon": 24.0,
        "seed": seed,
        "treatments": {"reference": "a", "compare": compare},
        "effects": EFFECTS[effects],
        "priors": {
            "intercept": prior("normal", mean=0.0, sd=1.0),
            "log_hr": prior("normal", mean=0.0, sd=1.0),
            "log_shape": prior("normal", mean=0.0, sd=0.3),
        },
    }
    if covariate:
        document["covariates"] = {"age10": {"prior": prior("normal", mean=0.0, sd=0.5)}}
    return parse_spec(document)


class Network(NamedTuple):
    """A spec, its evidence, which effects it has and which kinds of evidence."""

    spec: bb.Spec
    evidence: Evidence
    effects: str
    kinds: str


def network(number: int) -> Network:
    """Return the network of a number."""
    rng = np.random.default_rng([SEED, number])
    # studies and effects in turn, so that every pair of them occurs
    studies, effects = number % 5 + 1, list(EFFECTS)[number // 5 % len(EFFECTS)]
    compare = ["b", "c"] if studies > 2 and rng.random() < 0.4 else ["b"]
    covariate = bool(rng.random() < 0.2)
    for _ in range(1000):
        spec = make_spec(effects, compare, 100 * number + 1, covariate=covariate)
        seed = int(rng.integers(2**31))
        mix: dict[str, float] = dict.fromkeys(KINDS, 1.0)
        tables = bb.simulate(spec, seed=seed, studies=POOL, mix=mix, sizes=SIZES).tables
        names = sorted({str(name) for table in tables.values() for name in table["study"]})
        chosen = set(rng.choice(names, studies, replace=False).tolist())
        kept = {kind: table[table["study"].isin(chosen)].reset_index(drop=True) for kind, table in tables.items()}
        kept = {kind: check_table(kind, table, where=kind) for kind, table in kept.items() if len(table)}
        if _treatments(kept) == {"a", *compare} and _some_level(kept):
            return Network(spec, select(spec, kept), effects, " ".join(kind for kind in KINDS if kind in kept))
    raise RuntimeError(f"no network {number} in 1000 attempts")


def _treatments(tables: dict[str, pd.DataFrame]) -> set[str]:
    """Treatments that arms, patients or ratios name."""
    columns = [("arms", "treatment"), ("patients", "treatment"), ("hazard_ratios", "treatment")]
    columns.append(("hazard_ratios", "reference"))
    return {str(name) for kind, column in columns if kind in tables for name in tables[kind][column]}


def _some_level(tables: dict[str, pd.DataFrame]) -> bool:
    """Whether some table besides hazard ratios is there, without which there is no curve."""
    return any(kind in tables for kind in ("patients", "points", "medians", "counts"))


def row_of(number: int) -> dict[str, Any]:
    """Return what the gate said of a network."""
    spec, evidence, effects, kinds = network(number)
    started = time.process_time()
    result = bb.fit(spec, evidence, cores=1)
    gate = result.gate
    return {
        "network": number,
        "studies": number % 5 + 1,
        "effects": effects,
        "treatments": len(spec.treatments.names),
        "covariates": len(spec.covariates),
        "kinds": kinds,
        "tries": 2 if gate.first_try else 1,
        "divergences": gate.divergences,
        "rhat": round(max(row["rhat"] for row in gate.rows), 4),
        "ess": round(min(min(row["ess_bulk"], row["ess_tail"]) for row in gate.rows)),
        "seconds": round(time.process_time() - started, 1),
        "passed": gate.passed,
        "first_try": "; ".join(gate.first_try),
        "reasons": "; ".join(gate.reasons),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("networks", type=int, nargs="?", default=50)
    arguments = parser.parse_args()
    rows: list[Any] = pd.read_csv(arguments.out).to_dict("records") if arguments.out.exists() else []
    for number in range(len(rows), arguments.networks):
        rows.append(row_of(number))
        pd.DataFrame(rows).to_csv(arguments.out, index=False)
        print(
            {name: rows[-1][name] for name in ("network", "effects", "tries", "divergences", "ess", "passed")},
            flush=True,
        )
    table = pd.DataFrame(rows)
    print(f"{int(table['passed'].sum())} of {len(table)} passed, {int((table['tries'] == 1).sum())} at the first try")


if __name__ == "__main__":
    main()
