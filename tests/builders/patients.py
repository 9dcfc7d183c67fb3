"""Patients with covariates: rows at random, and six whose posterior is stated by hand."""

from typing import Any

import numpy as np

from bayes_bm.inference.result import Result
from tests.builders import posteriors, worlds
from tests.builders.worlds import normal

AGE = {"prior": normal(0.5), "centre": 60.0, "scale": 10.0}


MALE = {"prior": normal(0.5)}


def patients(n: int = 24, seed: int = 1) -> list[dict[str, Any]]:
    """Two studies, three treatments, ages and sexes at random."""
    rng = np.random.default_rng(seed)
    arms = [("p1", "x", "a"), ("p1", "y", "b"), ("p2", "x", "a"), ("p2", "y", "c")]
    return [
        {
            **dict(zip(("study", "arm", "treatment"), arms[at % 4], strict=True)),
            "time": float(np.round(rng.exponential(14.0) + 0.1, 3)),
            "event": int(rng.random() < 0.7),
            "age": float(np.round(rng.normal(62, 9), 1)),
            "male": int(rng.random() < 0.6),
        }
        for at in range(n)
    ]


TWO = {
    "age": {"prior": normal(0.5), "centre": 60.0, "scale": 10.0, "unit": "years", "lower": 18.0, "upper": 110.0},
    "good": {"prior": normal(1.0), "centre": 0.5, "unit": "0 or 1", "lower": 0.0, "upper": 1.0},
}


AGES = (40.0, 50.0, 60.0, 70.0, 80.0, 60.0)


GOOD = (0.0, 1.0, 0.0, 1.0, 1.0, 0.0)


def made(*, known: bool = True, draws: int = 8, **fixed: Any) -> Result:
    """Six patients whose covariates are known, or the same evidence as medians."""
    spec = worlds.spec(covariates=TWO, treatments={"reference": "a", "compare": ["b"]})
    arm = {"study": "p", "endpoint": "os", "n": 6}
    if known:
        rows = [
            {"study": "p", "arm": "x", "treatment": "a", "time": 3.0 + at, "event": 1, "age": age, "good": good}
            for at, (age, good) in enumerate(zip(AGES, GOOD, strict=True))
        ]
        tables: dict[str, Any] = {"patients": rows}
    else:
        tables = {"arms": [{**arm, "arm": "x", "treatment": "a"}], "medians": [{**arm, "arm": "x", "median": 9.0}]}
    more = {"arms": [*tables.get("arms", []), {**arm, "study": "q", "arm": "y", "treatment": "b"}]}
    more["medians"] = [*tables.get("medians", []), {**arm, "study": "q", "arm": "y", "median": 12.0}]
    # an arm without covariates stands at their centres
    return posteriors.result(spec, worlds.evidence(spec, {**tables, **more}), draws=draws, **fixed)
