"""The tests' world under every structure that the compiled density covers."""

from typing import Any

import numpy as np

from bayes_bm.inference.compiled.coordinates import Coordinates
from tests.builders import worlds

X = {"covariates": {"age": {"prior": worlds.normal(0.5)}, "male": {"prior": worlds.normal(0.5)}}}


MODIFIED = {
    "age": {"prior": worlds.normal(0.5), "interaction": worlds.normal(0.3)},
    "male": {"prior": worlds.normal(0.5), "interaction": worlds.normal(0.3), "interaction_by": "treatment"},
}


PRIORS = {
    "effects__study__sd": {"dist": "half_student_t", "df": 3.0, "sd": 0.5, "why": "test"},
    "effects__study_treatment__sd": {"dist": "exponential", "rate": 3.0, "why": "test"},
    "effects__study_shape__sd": {"dist": "gamma", "shape": 2.0, "rate": 8.0, "why": "test"},
    "priors__intercept": {"dist": "student_t", "df": 4.0, "mean": 0.2, "sd": 1.0, "why": "test"},
    "priors__log_hr": {"dist": "uniform", "lower": -3.0, "upper": 2.0, "why": "test"},
}


FREE = {"effects__study": {"exchangeable": False}, "effects__study_shape": {"exchangeable": False}}


NATURAL = {"priors__log_shape": None, "priors__shape": {"dist": "log_normal", "mean": 0.1, "sd": 0.3, "why": "test"}}


STRUCTURES: dict[str, dict[str, Any]] = {
    "every kind of evidence": {},
    "no effects": {"effects": {}},
    "other priors": PRIORS,
    "free levels and shapes": FREE,
    "free shapes on the natural scale": {**FREE, **NATURAL},
    "exponential": {"hazard": {"family": "exponential"}, "priors__log_shape": None, "effects__study_shape": None},
    "shapes by treatment": {"priors__treatment_log_shape": worlds.normal(0.2)},
    "biases": {
        "bias": {"single_arm": {"value": {"value": -0.3, "why": "test"}}, "small_study": {"prior": worlds.normal(0.3)}}
    },
    "heavy tails": {"effects__study__dist": "student_t", "effects__study__df": 4.0},
    "classes of treatments": {"treatments__classes": {"knife": {"members": ["b", "c"], "sd": worlds.half_normal(0.2)}}},
    "a class of one effect": {"treatments__classes": {"knife": {"members": ["b", "c"], "effects": "common"}}},
    "covariates": X,
    "covariates by treatment": {"covariates": MODIFIED},
}


def with_covariates(tables: dict[str, list[dict]], rows: int = 12) -> dict[str, list[dict]]:
    """Two covariates, one of them two-valued, for patients of whom some differ in nothing but time."""
    rng = np.random.default_rng(3)
    more = [
        {"study": "p2", "arm": arm, "treatment": treatment, "time": float(time), "event": int(rng.integers(2))}
        for arm, treatment in (("x", "a"), ("y", "c"))
        for time in rng.exponential(12, rows)
    ]
    patients = [
        {**row, "age": 0.0 if at > 5 and row["arm"] == "x" else float(rng.normal()), "male": float(at % 2)}
        for at, row in enumerate([*tables["patients"], *more])
    ]
    return {**tables, "patients": patients}


def world(changes: dict[str, Any]):
    """The world under another structure; what its evidence needs for that is given."""
    spec, tables = worlds.spec(**changes), worlds.TABLES
    if not spec.proportional:
        tables = {**tables, "hazard_ratios": [{**row, "followup": 30.0} for row in tables["hazard_ratios"]]}
    if spec.modifiers:
        tables = {**tables, "hazard_ratios": []}
    tables = with_covariates(tables) if spec.covariates else tables
    return spec, worlds.evidence(spec, tables)


def points(at: Coordinates, seed: int = 1):
    rng = np.random.default_rng(seed)
    for scale in (0.1, 0.3, 1.0, 1.0, 2.0):
        yield at.start + scale * rng.standard_normal(at.size)
