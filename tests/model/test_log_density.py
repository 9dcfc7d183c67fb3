"""The model's log density and gradient against the slow scalar twin, which was written without sight of the package."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.model.design import make_design
from bayes_bm.model.likelihoods import NO_ENTRY, median_not_reached
from tests.builders import worlds
from tests.builders.graphs import (
    as_parameters,
    log_density,
    model_of,
    random_point,
    slopes,
    standard_to_effect_jacobian,
    values_at,
)
from tests.builders.worlds import half_normal, normal
from tests.witness import slow_twin

BLANK = {"a": 0.0}
FREE = {"effects__study": {"exchangeable": False}, "effects__study_shape": {"exchangeable": False}}
COUNTS_WITHOUT_TIME = [{**row, "time": None} for row in worlds.TABLES["counts"]]
WITH_X = [{**row, "x_unused": 1.0, "kps": 70.0 + 5 * at} for at, row in enumerate(worlds.TABLES["patients"])]
for row in WITH_X:
    row.pop("x_unused")

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "everything": ({}, {}),
    "no effects": ({"effects": {}}, {}),
    "study effects only": ({"effects__study_treatment": None, "effects__study_shape": None}, {}),
    "shape by treatment": ({"priors__treatment_log_shape": normal(0.3)}, {"hazard_ratios": []}),
    "free levels and shapes": (FREE, {}),
    "free levels, natural shape": (
        {
            **FREE,
            "priors__log_shape": None,
            "priors__shape": {"dist": "gamma", "shape": 4.0, "rate": 3.0, "why": "test"},
        },
        {},
    ),
    "counts without a time": ({"effects__study": {"exchangeable": False}}, {"counts": COUNTS_WITHOUT_TIME}),
    "covariates": (
        {"covariates": {"kps": {"prior": normal(0.5), "centre": 80.0, "scale": 10.0}}},
        {"patients": WITH_X, "points": [], "medians": [], "counts": []},
    ),
    "other priors": (
        {
            "priors__intercept": {"dist": "student_t", "df": 4.0, "mean": 0.1, "sd": 1.2, "why": "test"},
            "effects__study__sd": {"dist": "half_student_t", "df": 3.0, "sd": 0.4, "why": "test"},
            "effects__study_treatment__sd": {"dist": "log_normal", "mean": -1.0, "sd": 0.5, "why": "test"},
            "effects__study_shape__sd": {"dist": "exponential", "rate": 3.0, "why": "test"},
            "priors__log_hr": {"dist": "uniform", "lower": -3.0, "upper": 3.0, "why": "test"},
        },
        {},
    ),
    "share and icc": ({"evidence__effective_share": 0.6, "evidence__icc": {"value": 0.7, "why": "test"}}, {}),
    "half normal": ({"effects__study__sd": half_normal(2.0)}, {"patients": []}),
}


def build(changes: dict[str, Any], replaced: dict[str, Any]):
    tables = {**worlds.TABLES, **replaced}
    spec = worlds.spec(**changes)
    evidence = worlds.evidence(spec, tables)
    # the witness needs arms rows for what is asked only
    document = worlds.document(**changes)
    document.setdefault("evidence", {}).setdefault("icc", {"value": spec.evidence.icc.value, "why": "default"})
    return spec, evidence, document, tables


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_log_density_equals_the_slow_twin(case: str) -> None:
    spec, evidence, document, tables = build(*CASES[case])
    model, shape = model_of(spec, evidence), make_design(spec, evidence)
    for seed in (1, 2):
        point = random_point(model, seed)
        found = values_at(model, point)
        ours = log_density(model, point, jacobian=False)
        witness = slow_twin.log_density(document, tables, as_parameters(found, spec, shape))
        free_natural_shape = float(np.sum(np.log(found["study_shape"]))) if "study_shape" in found else 0.0
        expected = float(witness) + standard_to_effect_jacobian(found, shape) - free_natural_shape
        assert ours == pytest.approx(expected, rel=1e-9, abs=1e-9), seed


@pytest.mark.slow
def test_gradient_equals_the_slow_twin() -> None:
    """Central differences of the witness along the sampler's own coordinates, in 40 digits, against PyTensor's
    gradient.
    """
    spec, evidence, document, tables = build({}, {})
    model, shape = model_of(spec, evidence), make_design(spec, evidence)
    # on a grid of 2^-20, so that a step of 2^-20 is exact in float64
    point = {name: np.round(value * 2**20) / 2**20 for name, value in random_point(model, 3).items()}
    ours = slopes(model, point, jacobian=False)

    def witness(name: str, at: int, step: float) -> slow_twin.mpf:
        moved = {key: np.array(value, dtype=float) for key, value in point.items()}
        values = moved[name].reshape(-1)
        values[at] += step
        moved[name] = values.reshape(np.shape(point[name]))
        parameters = exact_parameters(moved, shape)
        counts = {"study_sd": shape.studies, "study_shape_sd": shape.studies, "study_treatment_sd": shape.pairs}
        jacobian = sum(len(labels) * slow_twin.mp.log(parameters[sd]) for sd, labels in counts.items())
        return slow_twin.log_density(document, tables, parameters) + jacobian

    start, checked = 0, 0
    for variable in model.value_vars:
        size = np.size(point[variable.name])
        for at in range(0, size, max(1, size // 3)):
            step = slow_twin.mpf(2) ** -20
            up, down = (witness(variable.name, at, float(sign * step)) for sign in (1, -1))
            wide = (witness(variable.name, at, float(2 * step)), witness(variable.name, at, float(-2 * step)))
            slope = (8 * (up - down) - (wide[0] - wide[1])) / (12 * step)  # error of order step^4
            assert float(ours[start + at]) == pytest.approx(float(slope), rel=1e-9, abs=1e-9), (variable.name, at)
            checked += 1
        start += size
    assert checked >= 15


def exact_parameters(point: dict[str, np.ndarray], shape: Any) -> dict[str, Any]:
    """The witness's parameters from the sampler's, in 40 digits."""
    mp, mpf = slow_twin.mp, slow_twin.mpf
    sds = {
        name: mp.exp(mpf(float(point[f"{name}_log__"])))
        for name in ("study_sd", "study_treatment_sd", "study_shape_sd")
    }
    standard = {
        name: [mpf(float(value)) for value in point[f"{name}_standard"]]
        for name in ("study_effect", "study_log_shape", "study_treatment_effect")
    }
    factor = slow_twin.mp.matrix(shape.pair_factor.tolist())
    mixed = factor * slow_twin.mp.matrix(standard["study_treatment_effect"])
    return {
        "intercept": mpf(float(point["intercept"])),
        "log_shape": mpf(float(point["log_shape"])),
        **sds,
        "log_hr": {name: mpf(float(value)) for name, value in zip(shape.compared, point["log_hr"], strict=True)},
        "study_effect": dict(zip(shape.studies, [sds["study_sd"] * z for z in standard["study_effect"]], strict=True)),
        "study_log_shape": dict(
            zip(shape.studies, [sds["study_shape_sd"] * z for z in standard["study_log_shape"]], strict=True)
        ),
        "study_treatment_effect": dict(zip(shape.pairs, [sds["study_treatment_sd"] * z for z in mixed], strict=True)),
    }


@pytest.mark.slow
def test_median_not_reached_stays_finite_where_survival_underflows() -> None:
    """log I_S(a, a) at S = exp(-H), against 40 digits, on both sides of the switch to its first term and far beyond."""
    alpha = 8.5
    for cum_hazard in (0.1, 3.0, 30.0, 34.99, 35.01, 60.0, 900.0):
        data = SimpleNamespace(log_u=np.array([0.0]), log_entry=np.array([NO_ENTRY]), alpha=np.array([alpha]))
        ours = median_not_reached(FAMILIES["weibull"], data, np.log([cum_hazard]), np.zeros(1), xp=NUMPY)
        exact = slow_twin.mp.log(slow_twin.mp.betainc(alpha, alpha, 0, slow_twin.mp.exp(-cum_hazard), regularized=True))
        assert float(ours[0]) == pytest.approx(float(exact), rel=1e-10)
