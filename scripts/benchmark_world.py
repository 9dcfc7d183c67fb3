"""The world of the speed benchmark: n patients in 14 studies, some with both arms, with or without covariates."""

import numpy as np
import pandas as pd

from bayes_bm.evidence.reading import select
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import parse_spec

COVARIATES = ("age", "kps", "volume")


def prior(sd: float, dist: str = "normal") -> dict:
    return {"dist": dist, "sd": sd, "why": "benchmark"}


def world_spec(covariates: int = 0, **sampling: object) -> Spec:
    names = COVARIATES[:covariates]
    return parse_spec(
        {
            "schema": 1,
            "name": "benchmark",
            "question": "how fast?",
            "endpoint": "os",
            "treatments": {"reference": "a", "compare": ["b"]},
            "effects": {
                "study": {"sd": prior(0.5, "half_normal")},
                "study_treatment": {"sd": prior(0.3, "half_normal")},
                "study_shape": {"sd": prior(0.2, "half_normal")},
            },
            "priors": {"intercept": prior(1.0), "log_hr": prior(1.0), "log_shape": prior(0.3)},
            "covariates": {name: {"prior": prior(0.5)} for name in names},
            "sampling": sampling,
        }
    )


def world_patients(
    n: int, *, studies: int = 14, covariates: int = 0, seed: int = 1, few_valued: bool = False
) -> pd.DataFrame:
    """Every second study has both arms, the others one of them in turn; about a quarter are censored.

    Covariates are standard normal or, `few_valued`, rounded to -1, 0 and 1.
    """
    rng = np.random.default_rng(seed)
    arms = [(j, arm) for j in range(studies) for arm in (0, 1) if j % 2 == 0 or arm == (j // 2) % 2]
    study, treated = np.array(arms)[np.arange(n) % len(arms)].T
    level, shape = 0.4 * rng.standard_normal(studies), 0.15 * rng.standard_normal(studies)
    deviation = 0.2 * rng.standard_normal(studies)
    x = rng.standard_normal((n, covariates))
    x = np.clip(np.round(x), -1, 1) if few_valued else x
    eta = level[study] + treated * (deviation[study] - 0.4) + x @ np.array([0.3, -0.2, 0.1])[:covariates]
    time = 12 * (rng.exponential(size=n) * np.exp(-eta)) ** np.exp(-0.1 - shape[study])
    censor = rng.uniform(6, 60, n)
    labels = {"study": [f"s{j:03d}" for j in study], "arm": np.array(["x", "y"])[treated]}
    seen = {"treatment": np.array(["a", "b"])[treated], "time": np.minimum(time, censor), "event": time <= censor}
    return pd.DataFrame(labels | seen | dict(zip(COVARIATES, x.T, strict=False))).astype({"event": int})


def world(
    n: int, *, studies: int = 14, covariates: int = 0, seed: int = 1, few_valued: bool = False, **sampling: object
) -> tuple[Spec, Evidence]:
    spec = world_spec(covariates, **sampling)
    patients = world_patients(n, studies=studies, covariates=covariates, seed=seed, few_valued=few_valued)
    return spec, select(spec, {"patients": check_table("patients", patients, where="benchmark")})
