"""Worlds without and with a conflict between studies side by side and studies of one arm: z of the discrepancy.

    python scripts/calibrate_discrepancy.py OUT.csv 200 --conflict 0.7

Four studies hold both arms and eight hold one, sixty patients an arm; the conflict is added to the log hazard of b in
the studies of one arm. Without a conflict z has sd 1; with one, the share |z| > 1.96 is the power beside what normal
algebra says of the claimed sd.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import bayes_bm as bb
from bayes_bm.evidence.reading import select
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.spec.reading import parse_spec

SIDE_BY_SIDE = 4
ONE_ARM = 8
PATIENTS = 60
LOG_HR = -0.4
STUDY_SD = 0.5


def spec() -> bb.Spec:
    def prior(dist: str, **numbers: float) -> dict:
        return {"dist": dist, **numbers, "why": "that of the worlds"}

    return parse_spec(
        {
            "schema": 1,
            "name": "discrepancy",
            "question": "do the two sources agree?",
            "endpoint": "os",
            "time_unit": "months",
            "reference_time": 12.0,
            "horizon": 24.0,
            "seed": 1,
            "treatments": {"reference": "a", "compare": ["b"]},
            "effects": {"study": {"sd": prior("half_normal", sd=0.5)}},
            "priors": {
                "intercept": prior("normal", mean=0.0, sd=1.0),
                "log_hr": prior("normal", mean=0.0, sd=1.0),
                "log_shape": prior("normal", mean=0.0, sd=0.3),
            },
            "sampling": {"draws": 600, "tune": 500, "chains": 2},
        }
    )


def patients(rng: np.random.Generator, conflict: float) -> pd.DataFrame:
    rows = []
    for study in range(SIDE_BY_SIDE + ONE_ARM):
        level = rng.normal(0, STUDY_SD)
        both = study < SIDE_BY_SIDE
        for treatment in "ab" if both else "ab"[study % 2]:
            eta = level + (LOG_HR + (0 if both else conflict) if treatment == "b" else 0)
            died, left = 12 * rng.exponential(size=PATIENTS) * np.exp(-eta), rng.uniform(10, 40, PATIENTS)
            time, event = np.minimum(died, left), (died <= left).astype(int)
            named = {"study": f"s{study:02d}", "arm": treatment, "treatment": treatment}
            rows.append(pd.DataFrame({**named, "time": time.round(2) + 0.01, "event": event}))
    return pd.concat(rows, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("worlds", type=int)
    parser.add_argument("--conflict", type=float, default=0.0)
    options = parser.parse_args()
    asked, rng, rows = spec(), np.random.default_rng(3), []
    for world in range(options.worlds):
        table = check_table("patients", patients(rng, options.conflict), where="patients")
        result = bb.fit(asked, select(asked, {"patients": table}), seed=world, cores=1)
        found = bb.contrast_sources(result).set_index("source")
        rows.append({"world": world, **found.loc["discrepancy", ["mean", "sd"]].to_dict()})
        pd.DataFrame(rows).to_csv(options.out, index=False)
    worlds = pd.DataFrame(rows).dropna()
    z = worlds["mean"] / worlds["sd"]
    power = stats.norm.sf(1.96 - options.conflict / worlds["sd"]).mean()
    seen = (z.abs() > 1.96).mean()
    print(f"{len(z)} worlds of {options.worlds}, conflict {options.conflict}: mean {worlds['mean'].mean():.3f}")
    print(f"claimed sd {worlds['sd'].mean():.3f}, sd of z {z.std():.2f}, |z| > 1.96 in {seen:.2f}; power {power:.2f}")


if __name__ == "__main__":
    main()
