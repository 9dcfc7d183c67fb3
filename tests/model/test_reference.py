"""The choice of the reference is a name and changes no answer (decision 10): the same population told from another
reference has the same densities, curves and contrasts. What it leaves are the priors of intercept and log_hr.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import bayes_bm as bb
from bayes_bm.estimands.who import AverageStudy, NewHospital, NewStudy, Study
from bayes_bm.inference.result import Result, load
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds
from tests.builders.worlds import normal

TIMES = [3.0, 12.0, 40.0]


def network(rng: np.random.Generator) -> dict[str, list[dict[str, Any]]]:
    """Studies of one to four arms, some with the reference and some without, and ratios of two arms and of three."""
    treatments = list("abcd")
    arms, points = [], []
    for study in range(int(rng.integers(4, 8))):
        for treatment in sorted(rng.choice(treatments, size=int(rng.integers(1, 5)), replace=False)):
            named = {"study": f"s{study}", "arm": str(treatment), "endpoint": "os"}
            arms.append({**named, "treatment": str(treatment), "n": int(rng.integers(20, 90))})
            points.append({**named, "time": float(rng.uniform(4, 30)), "survival": float(rng.uniform(0.2, 0.8))})
    one, two, three = rng.permutation(treatments)[:3]
    shared = {"endpoint": "os", "se_log_hr": 0.25, "se_reference": 0.15}
    ratios = [
        {"study": "h", "treatment": str(name), "reference": str(one), "hr": 0.8, **shared} for name in (two, three)
    ]
    return {"arms": arms, "points": points, "hazard_ratios": ratios}


def told_from(reference: str, tables: dict[str, Any], shapes: bool, **fixed: Any) -> Result:
    compare = [name for name in "abcd" if name != reference]
    changes = {"priors__treatment_log_shape": normal(0.3)} if shapes else {}
    tables = tables if not shapes else {**tables, "hazard_ratios": []}
    spec = worlds.spec(treatments={"reference": reference, "compare": compare}, **changes)
    return posteriors.result(spec, worlds.evidence(spec, tables), draws=6, **fixed)


def turned(result: Result, tables: dict[str, Any], reference: str, shapes: bool) -> Result:
    """The same population told from another reference: levels and shapes of treatments stay what they are."""
    other = told_from(reference, tables, shapes)
    posterior, old = other.posterior.copy(deep=True), result.posterior
    for average, contrast in (("intercept", "log_hr"), ("log_shape", "treatment_log_shape")):
        if contrast not in old:
            posterior[average] = old[average]
            continue
        shift = old[contrast].sel(treatment=reference)
        whole = {name: old[average] + old[contrast].sel(treatment=name) for name in old["treatment"].values}
        whole[result.spec.treatments.reference] = old[average]
        posterior[average] = old[average] + shift
        for name in other.posterior["treatment"].values:
            posterior[contrast].loc[{"treatment": name}] = whole[str(name)] - whole[reference]
    for name in ("study_sd", "study_shape_sd", "study_treatment_sd", "study_effect", "study_log_shape"):
        posterior[name] = old[name]
    posterior["study_treatment_effect"] = old["study_treatment_effect"].sel(
        study_treatment=posterior["study_treatment"]
    )
    return replace(other, posterior=posterior)


@pytest.mark.slow
@pytest.mark.parametrize("shapes", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_another_reference_is_the_same_model(seed: int, shapes: bool) -> None:
    rng = np.random.default_rng(seed)
    tables = network(rng)
    first = told_from("a", tables, shapes)
    second = turned(first, tables, str(rng.choice(["b", "c", "d"])), shapes)
    # every treatment of every study has a deviation, and all are alike and independent
    labels = [set(one.inputs.design.pair_labels) for one in (first, second)]
    assert labels[0] == labels[1]
    assert len(labels[0]) == len(
        {*zip(first.evidence.arms["study"], first.evidence.arms["treatment"], strict=True)}
    ) + (0 if shapes else 3)
    for one in (first, second):
        factor = one.inputs.design.pair_factor
        np.testing.assert_allclose(factor @ factor.T, 0.5 * np.eye(len(factor)), atol=1e-12)
    # of every row of evidence
    rows = [one.log_likelihood for one in (first, second)]
    for name in rows[0]:
        np.testing.assert_allclose(rows[0][name].sum(), rows[1][name].sum(), rtol=1e-10)
    # and every answer
    everyone = list("abcd")
    study = first.inputs.design.studies[0]
    held = [name for name in everyone if f"{study} | {name}" in labels[0]]
    for who, asked in ((AverageStudy(), everyone), (NewStudy(), everyone), (Study(study), held)):
        curves = [bb.survival(one, TIMES, who=who).sel(treatment=asked) for one in (first, second)]
        np.testing.assert_allclose(curves[0], curves[1], rtol=1e-9)


def test_equal_treatments_have_equal_curves_whatever_their_names() -> None:
    """Before, the reference's level varied less: the ratio at 24 months was 0.93 where the sds are 0.5 and 0.3."""
    fixed = {"log_hr": 0.0, "study_sd": 0.5, "study_treatment_sd": 0.6, "study_shape_sd": 0.2}
    result = told_from("a", network(np.random.default_rng(1)), False, **fixed)
    curves = bb.survival(result, TIMES, who=NewStudy())
    for name in "bcd":
        np.testing.assert_allclose(curves.sel(treatment=name), curves.sel(treatment="a"), rtol=1e-12)
    # E exp(-exp(eta)) with sd^2 = 0.5^2 + 0.6^2 / 2, by another rule
    z = np.linspace(-9, 9, 4001)
    weight = stats.norm.pdf(z) / stats.norm.pdf(z).sum()
    intercept = float(result.posterior["intercept"][0, 0])
    expected = float(weight @ np.exp(-np.exp(intercept + np.sqrt(0.25 + 0.18) * z)))
    at_t0 = bb.survival(result, [12.0], who=NewStudy()).isel(chain=0, draw=0, time=0)
    np.testing.assert_allclose(at_t0, expected, rtol=1e-6)


def test_levels_of_a_new_hospital_vary_alike_under_every_treatment() -> None:
    """Variances study_sd^2 + study_treatment_sd^2 / 2, covariances study_sd^2; 40,000 draws, four standard errors."""
    tables = network(np.random.default_rng(2))
    fixed = {"log_hr": 0.0, "intercept": 0.2, "log_shape": 0.1, "study_sd": 0.5, "study_shape_sd": 1e-9}
    spec = worlds.spec(treatments={"reference": "a", "compare": list("bcd")})
    result = posteriors.result(spec, worlds.evidence(spec, tables), draws=20_000, study_treatment_sd=0.6, **fixed)
    alive = bb.survival(result, [12.0], who=NewHospital()).isel(time=0).stack(sample=("chain", "draw"))
    eta = np.log(-np.log(alive.transpose("treatment", ...).to_numpy()))
    np.testing.assert_allclose(np.cov(eta), 0.25 + 0.18 * np.eye(4), atol=0.012)


@pytest.mark.slow
def test_a_result_whose_reference_had_no_deviation_is_refused_by_name(tmp_path: Path) -> None:
    result = told_from("a", network(np.random.default_rng(3)), False)
    labels = [label for label in result.posterior["study_treatment"].values if not label.endswith("| a")]
    older = replace(result, posterior=result.posterior.sel(study_treatment=labels))
    with pytest.raises(
        InputError, match=r"old\.nc, posterior, study_treatment_effect: found no deviation of '\w+ \| a'"
    ):
        load(older.save(tmp_path / "old.nc"))
    assert load(result.save(tmp_path / "new.nc")).posterior.equals(result.posterior)
