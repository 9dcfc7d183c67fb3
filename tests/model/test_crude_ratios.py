"""Crude and adjusted hazard ratios beside covariates: Cox's fit of a large trial, quadrature, and reduced models."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from bayes_bm.checks.study_likelihood import StudyRows, integrated_log_density
from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.hazard_ratios import with_stated_covariates
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.model.model_inputs import prepare
from bayes_bm.model.pymc_graph import build as models
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.validation.simulation.cox import cox_log_hr
from tests.builders import posteriors, worlds
from tests.builders.graphs import data_term, moved, values_at
from tests.builders.laws import normal_density
from tests.builders.leave_one_out import brute
from tests.builders.patients import AGE, MALE, patients
from tests.builders.worlds import normal

TERMS = {"age": AGE, "male": MALE}
MODIFYING = {"age": {**AGE, "interaction": normal(0.4)}, "male": MALE}
STATED = {"mean_age": 66.0, "sd_age": 12.0, "share_male": 0.3}
ETA, SHAPE, LOG_HR, COEFFICIENT = -0.3, 0.25, -0.7, [0.8, 1.1]


def world(
    terms: dict = TERMS, *, points: int = 64, stated: dict | None = STATED, **ratio: Any
) -> tuple[Spec, Evidence]:
    """Patients with covariates, and one study known from its ratio whose arms state theirs, or not."""
    row = {"study": "h1", "endpoint": "os", "treatment": "b", "reference": "a", "hr": 0.6, "se_log_hr": 0.1}
    arms = [
        {"study": "h1", "arm": name, "treatment": of, "endpoint": "os", "n": 100, **(stated or {})}
        for name, of in (("x", "a"), ("y", "b"))
    ]
    integration = {"points": points, "correlation": []}
    spec = worlds.spec(covariates=terms, integration=integration, treatments={"reference": "a", "compare": ["b"]})
    known = [of for of in patients() if of["treatment"] != "c"]
    tables = {"patients": known, "arms": arms, "hazard_ratios": [{**row, "followup": 30.0, **ratio}]}
    return spec, worlds.evidence(spec, tables)


def ours(spec: Spec, evidence: Evidence, **more: Any) -> float:
    effects = {"study_effect": 0.0, "study_treatment_effect": 0.0, "study_log_shape": 0.0}
    stated = {"intercept": ETA, "log_shape": SHAPE, "log_hr": LOG_HR, "coefficient": COEFFICIENT}
    return float(
        posteriors.result(spec, evidence, chains=1, draws=1, **effects, **stated, **more).predictors.ratio_means[0, 0]
    )


@pytest.mark.slow
@pytest.mark.parametrize("added", [0.0, 0.5], ids=["prognostic", "modifying"])
def test_an_averaged_ratio_is_coxs_of_a_large_crude_trial(added: float) -> None:
    """60,000 patients with uniform censoring in the last tenth of follow-up: a standard error of 0.01."""
    terms, more = (MODIFYING, {"interaction": added}) if added else (TERMS, {})
    spec, evidence = world(terms, points=1024)
    rng, n = np.random.default_rng(4), 60_000
    drug = rng.random(n) < 0.5
    x = np.column_stack([(rng.normal(66.0, 12.0, n) - 60.0) / 10.0, rng.random(n) < 0.3])
    eta = ETA + LOG_HR * drug + x @ COEFFICIENT + added * drug * x[:, 0]
    time = 12.0 * (rng.exponential(size=n) * np.exp(-eta)) ** math.exp(-SHAPE)
    cox = cox_log_hr(np.minimum(time, 30.0), (time <= 30.0).astype(int), drug.astype(int))
    found = ours(spec, evidence, **more)
    assert found == pytest.approx(cox.log_hr, abs=3 * cox.se)
    # far from the ratio between alike patients
    conditional = LOG_HR + added * 0.6
    assert abs(found - conditional) > 5 * cox.se


@pytest.mark.slow
def test_an_averaged_ratio_is_the_integral_over_age_and_sex() -> None:
    """Event-weighted log HR of the two marginal hazards, by nested quadrature in scipy."""
    spec, evidence = world(points=4096)
    k = math.exp(SHAPE)

    def marginal(time: float, drug: int) -> tuple[float, float]:
        def over(what: str) -> float:
            def at(z: float) -> float:
                total = 0.0
                for male, share in ((0, 0.7), (1, 0.3)):
                    eta = ETA + LOG_HR * drug + COEFFICIENT[0] * (0.6 + 1.2 * z) + COEFFICIENT[1] * male
                    used = math.exp(eta) * (time / 12.0) ** k
                    total += share * math.exp(-used) * (k * used / time if what == "density" else 1.0)
                return total * normal_density(z)

            return integrate.quad(at, -8, 8, epsabs=1e-12)[0]

        return over("density"), over("alive")

    node, weight = np.polynomial.legendre.leggauss(40)
    upper, lower = 0.0, 0.0
    for v, w in zip((node + 1) / 2, weight / 2, strict=True):
        time, step = 30.0 * v**3, 90.0 * v**2 * w
        (one, alive), (other, left) = marginal(time, 1), marginal(time, 0)
        density = (one + other) / 2
        upper += step * density * math.log((one / alive) / (other / left))
        lower += step * density
    assert ours(spec, evidence) == pytest.approx(upper / lower, abs=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize("terms", [TERMS, MODIFYING], ids=["prognostic", "modifying"])
def test_the_graph_reads_the_same_ratio_as_the_draws(terms: dict) -> None:
    spec, evidence = world(terms)
    model = models.build_model(spec, evidence)
    point = moved(model)
    found = values_at(model, point)
    term = float(data_term(model, point, "hazard_ratios"))
    names = ("intercept", "log_shape", "log_hr", "coefficient", "study_effect", "study_log_shape")
    fixed = {name: found[name] for name in (*names, "study_treatment_effect")}
    if "interaction" in found:
        fixed["interaction"] = found["interaction"]
    mean = float(posteriors.result(spec, evidence, chains=1, draws=1, **fixed).predictors.ratio_means[0, 0])
    assert term == pytest.approx(stats.norm.logpdf(math.log(0.6), mean, 0.1), rel=1e-10)
    assert why_not(prepare(spec, evidence)) is None


def test_covariates_without_an_effect_leave_the_ratio_between_alike_patients() -> None:
    spec, evidence = world()
    effects = {"study_effect": 0.0, "study_treatment_effect": 0.0, "coefficient": 0.0, "log_hr": LOG_HR}
    result = posteriors.result(spec, evidence, chains=1, draws=4, **effects)
    np.testing.assert_allclose(result.predictors.ratio_means, LOG_HR, atol=1e-13)


@pytest.mark.slow
def test_a_ratio_adjusted_for_all_is_as_before_and_one_for_some_stands_at_their_mean() -> None:
    full, age = world(adjusted_for="age; male"), world(adjusted_for="age")
    assert ours(*full) == LOG_HR
    assert "followup" in full[1].hazard_ratios and why_not(prepare(*full)) is None
    narrow = world(stated={**STATED, "sd_age": 0.0})
    assert ours(*age) == pytest.approx(ours(*narrow), abs=1e-12) and ours(*age) != LOG_HR


def test_an_adjusted_ratio_beside_interactions_is_that_at_the_studys_mean() -> None:
    spec, evidence = world(MODIFYING, adjusted_for="age, male")
    assert ours(spec, evidence, interaction=0.5) == pytest.approx(LOG_HR + 0.5 * 0.6, abs=1e-12)


def test_statements_of_both_arms_are_joined_by_their_size() -> None:
    spec, evidence = world()
    arms = [
        {"study": "h1", "treatment": "a", "n": 100, "mean_age": 60.0, "sd_age": 10.0, "share_male": 0.2},
        {"study": "h1", "treatment": "b", "n": 300, "mean_age": 64.0, "sd_age": 6.0, "share_male": 0.6},
    ]
    table = evidence.hazard_ratios[["study", "treatment", "reference"]]
    (row,) = with_stated_covariates(table, pd.DataFrame(arms), spec).to_dict("records")
    assert row["mean_age"] == pytest.approx(63.0) and row["share_male"] == pytest.approx(0.5)
    assert row["sd_age"] == pytest.approx(math.sqrt(0.25 * (100 + 9) + 0.75 * (36 + 1)))


@pytest.mark.slow
def test_a_study_known_from_its_crude_ratio_is_left_out_by_the_same_density() -> None:
    """At the posterior's own contrast what the row says, and the integral over it. Its level is the average's."""
    spec, evidence = world(points=16)
    result = posteriors.result(spec, evidence, chains=1, draws=3)
    rows, of = StudyRows(result, "h1"), result.predictors.draws
    # a deviation of each of its two treatments
    assert rows.effects == 2
    pairs = [result.inputs.design.pairs.index(pair) + 1 for pair in rows.design.pairs]
    deviations = of.study_treatment_effect[:, pairs] / of.study_treatment_sd[:, None]
    z = np.linalg.solve(rows.design.pair_factor, deviations.T).T
    row = pointwise_log_likelihood(result.predictors)["hazard_ratios"].to_numpy().ravel()
    assert rows.log_density(z) == pytest.approx(row, rel=1e-10)
    assert np.abs(row - rows.log_density(np.zeros((3, 2)))).max() > 1e-3
    assert integrated_log_density(result, "h1") == pytest.approx(brute(result, "h1", count=51), abs=2e-4)


@pytest.mark.slow
def test_what_is_said_and_what_is_refused() -> None:
    assert "1 hazard ratios are averaged over the covariates that their studies' arms state" in _notes(world())
    for silent in (world(stated=None), world(followup=None)):
        text = _notes(silent)
        assert "1 hazard ratios were not adjusted for every covariate and are read as if they were" in text
        assert ours(*silent) == LOG_HR
    for less in ({"stated": None}, {"followup": None}):
        with pytest.raises(
            InputError, match=r"hazard_ratios, study h1: found a hazard ratio, beside covariates.*followup"
        ):
            world(MODIFYING, **less)


def _notes(of: tuple[Spec, Evidence]) -> str:
    return "\n".join(audit(*of).notes)
