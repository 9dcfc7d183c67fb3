"""Simulate one world with a covariate that acts on one of two causes, fit the joint model and print what it finds.

Run by hand: `PYTHONPATH=. python scripts/recover_cause_covariate.py [SEED]`. The numbers stand in
docs/competing-causes.md.
"""

import sys

import numpy as np

from bayes_bm.inference.causes.fit import fit_causes
from tests.builders import causes as built
from tests.builders import worlds

SEED = 20261128
T0 = 12.0
SHAPES = {"failure": 0.8, "death": 1.3}
LEVELS = {"failure": -0.9, "death": -0.3}
LOG_HR = {"failure": -0.5, "death": 0.1}
KPS = {"failure": 0.0, "death": -0.8}
STUDY_SD = 0.2
TIMES = (6.0, 12.0, 24.0)
NAMED = {"arm": "x", "endpoint": "local_control"}


def simulated(rng, n: int, treatment: str, share: float, study: dict[str, float]) -> dict[str, np.ndarray]:
    """Times to each cause, and the covariate, of the patients of an arm."""
    kps = (rng.random(n) < share).astype(int)
    found = {"kps": kps}
    for cause, shape in SHAPES.items():
        eta = LEVELS[cause] + study[cause] + (treatment == "b") * LOG_HR[cause] + KPS[cause] * kps
        found[cause] = T0 * (rng.exponential(size=n) * np.exp(-eta)) ** (1 / shape)
    return found


def rows(rng) -> dict:
    """Four studies with patients, twelve arms with 1 - F of failure, six with survival free of all."""
    tables = {"patients": [], "arms": [], "points": []}
    for place in range(22):
        study, treatment = f"s{place}", "ab"[place % 2]
        level = {cause: rng.normal(0, STUDY_SD) for cause in SHAPES}
        if place < 4:
            for arm in "ab":
                drawn = simulated(rng, 40, arm, 0.5, level)
                for kps, failure, death, lost in zip(
                    drawn["kps"], drawn["failure"], drawn["death"], rng.uniform(12, 40, 40), strict=True
                ):
                    time = min(failure, death, lost)
                    cause = {failure: "failure", death: "death", lost: None}[time]
                    known = {"time": float(time), "event": int(cause is not None), "cause": cause, "kps": int(kps)}
                    tables["patients"].append({"study": study, "arm": arm, "treatment": arm, **known})
            continue
        share = float(rng.choice([0.25, 0.5, 0.75]))
        drawn = simulated(rng, 80, treatment, share, level)
        first = np.minimum(drawn["failure"], drawn["death"])
        free = place >= 16
        said = {"endpoint": "free"} if free else {"measure": "cif_complement"}
        own = {**NAMED, "study": study, **({"endpoint": "free"} if free else {})}
        of_patients = float(drawn["kps"].mean())
        tables["arms"].append({**own, **said, "treatment": treatment, "n": 80, "share_kps": of_patients})
        for time in TIMES:
            gone = first <= time if free else (first <= time) & (drawn["failure"] < drawn["death"])
            tables["points"].append({**own, "time": time, "survival": float(1 - gone.mean())})
    return tables


def main() -> None:
    """Fit the world and print medians and 95 % intervals beside the truth."""
    priors = {"kps": {"prior": worlds.normal(1.0), "centre": 0.0}}
    of = built.causes(
        covariates=priors, effects={"study": {"sd": worlds.half_normal(0.5)}},
        sampling={"draws": 500, "tune": 500, "chains": 2},
    )  # fmt: skip
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else SEED
    result = fit_causes(of, built.evidence(of, rows(np.random.default_rng(seed))), say=print)
    print(result.gate.state, result.gate.reasons, result.provenance)
    for cause, one in result.results.items():
        for name, truth in (("coefficient", KPS), ("log_hr", LOG_HR), ("intercept", LEVELS)):
            low, middle, high = np.quantile(one.posterior[name].to_numpy(), [0.025, 0.5, 0.975])
            print(f"{cause} {name}: {middle:.2f} ({low:.2f} to {high:.2f}), true {truth[cause]:g}")


if __name__ == "__main__":
    main()
