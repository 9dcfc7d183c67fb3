"""Covariates of patients: their coefficients, and what a treatment adds to them, by scalar loops beside the model."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_bm as bb
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.predict import predict
from bayes_bm.estimands.quantities import hazard_ratio
from bayes_bm.estimands.who import AverageStudy, NewStudy, Patient, Study
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.gate import watched_parameters
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.prior_result import prior_result
from bayes_bm.model.pymc_graph import build as models
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from tests.builders import posteriors, worlds
from tests.builders.graphs import data_term, moved, values_at
from tests.builders.patients import AGE, MALE, patients
from tests.builders.worlds import normal

T0 = 12.0
PLAIN = {"age": AGE, "male": MALE}
SHARED = {"age": {**AGE, "interaction": normal(0.4)}, "male": MALE}
OWN = {"age": {**AGE, "interaction": normal(0.4), "interaction_by": "treatment"}, "male": MALE}


def world(covariates: dict[str, Any], rows: list[dict] | None = None, **changes: Any) -> tuple[Spec, Evidence]:
    spec = worlds.spec(covariates=covariates, **changes)
    return spec, worlds.evidence(spec, {"patients": rows or patients()})


def by_hand(spec: Spec, evidence: Evidence, found: dict[str, np.ndarray]) -> list[float]:
    """Weibull log density of each patient, one by one, from the equations of docs/decisions.md#the-model."""
    studies, compared = sorted(set(evidence.arms["study"])), list(spec.treatments.compare)
    # by name, the reference last in its study
    pairs = sorted(
        {*zip(evidence.arms["study"], evidence.arms["treatment"], strict=True)},
        key=lambda pair: (pair[0], pair[1] == "a", pair),
    )
    terms = []
    for row in evidence.patients.to_dict("records"):
        j, a = studies.index(row["study"]), row["treatment"]
        eta = float(found["intercept"]) + float(found["study_effect"][j])
        eta += float(found["study_treatment_effect"][pairs.index((row["study"], a))])
        x = {"age": (row["age"] - 60.0) / 10.0, "male": float(row["male"])}
        for k, name in enumerate(spec.covariates):
            eta += float(found["coefficient"][k]) * x[name]
        if a != "a":
            eta += float(found["log_hr"][compared.index(a)])
            for k, name in enumerate(spec.modifiers):
                eta += float(found["interaction"][compared.index(a), k]) * x[name]
        k = math.exp(float(found["log_shape"]) + float(found["study_log_shape"][j]))
        log_cum = k * math.log(row["time"] / T0) + eta
        terms.append(row["event"] * (math.log(k) + log_cum - math.log(row["time"])) - math.exp(log_cum))
    return terms


@pytest.mark.parametrize("covariates", [PLAIN, SHARED, OWN], ids=["none", "shared", "own"])
def test_patients_have_the_density_of_the_equation(covariates: dict) -> None:
    spec, evidence = world(covariates)
    model = models.build_model(spec, evidence)
    point = moved(model)
    found = values_at(model, point)
    if covariates is SHARED:
        assert found["interaction"].shape == (2, 1)
        assert found["interaction"][0, 0] == found["interaction"][1, 0] != 0
    np.testing.assert_allclose(data_term(model, point), by_hand(spec, evidence, found), rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("covariates", [SHARED, OWN], ids=["shared", "own"])
def test_an_interaction_of_zero_is_the_model_without(covariates: dict) -> None:
    """Exactly: the fuller model's terms at zero are the reduced one's."""
    full, reduced = (models.build_model(*world(terms)) for terms in (covariates, PLAIN))
    point = moved(reduced)
    zero = np.zeros(2 if covariates is OWN else ())
    np.testing.assert_array_equal(data_term(full, {**point, "interaction_age": zero}), data_term(reduced, point))


def test_what_a_treatment_adds_moves_its_own_patients_only() -> None:
    spec, evidence = world(OWN)
    model = models.build_model(spec, evidence)
    point = moved(model)
    before = data_term(model, point)
    after = data_term(model, {**point, "interaction_age": point["interaction_age"] + [0.5, 0.0]})
    treated = (evidence.patients["treatment"] == "b").to_numpy()
    assert (before[treated] != after[treated]).all()
    assert (before[~treated] == after[~treated]).all()


def result_of(covariates: dict, **fixed: Any) -> bb.Result:
    spec, evidence = world(covariates)
    return posteriors.result(spec, evidence, **fixed)


@pytest.mark.parametrize("covariates", [PLAIN, SHARED, OWN], ids=["none", "shared", "own"])
def test_pointwise_log_likelihood_is_the_models(covariates: dict) -> None:
    own = {"interaction": np.array([[0.3], [-0.2]])} if covariates is OWN else {}
    result = result_of(covariates, **own)
    ours = pointwise_log_likelihood(result.predictors)["patients"].values
    posterior = result.posterior
    at = {str(name): posterior[name].values[1, 3] for name in posterior.data_vars}
    np.testing.assert_allclose(ours[1, 3], by_hand(result.spec, result.evidence, at), rtol=1e-11)


def test_a_patients_hazard_ratio_is_conditional_on_what_modifies_it() -> None:
    """log HR(x) = log_hr + interaction (age - 60) / 10, whatever the sex; S from the same eta."""
    result = result_of(SHARED)
    posterior = result.posterior
    who = Patient({"age": 75.0, "male": 1.0}, AverageStudy())
    ours = np.log(hazard_ratio(result, [6.0], who=who).sel(treatment="b", time=6.0).values)
    added = posterior["interaction"].sel(treatment="b", effect_modifier="age").values
    np.testing.assert_allclose(ours, posterior["log_hr"].sel(treatment="b").values + 1.5 * added, atol=1e-12)
    alive = bb.survival(result, [6.0], who=who).sel(treatment="b", time=6.0).values
    eta = posterior["intercept"] + posterior["log_hr"].sel(treatment="b") + 1.5 * added
    eta = eta + 1.5 * posterior["coefficient"].sel(covariate="age") + posterior["coefficient"].sel(covariate="male")
    np.testing.assert_allclose(alive, np.exp(-np.exp(np.exp(posterior["log_shape"]) * np.log(0.5) + eta)), rtol=1e-11)
    reference = bb.survival(result, [6.0], who=who).sel(treatment="a", time=6.0).values
    eta = eta - posterior["log_hr"].sel(treatment="b") - 1.5 * added
    np.testing.assert_allclose(
        reference, np.exp(-np.exp(np.exp(posterior["log_shape"]) * np.log(0.5) + eta)), rtol=1e-11
    )


def test_without_a_level_a_patients_ratio_still_has_the_interaction() -> None:
    spec, evidence = world(SHARED, effects__study={"exchangeable": False})
    result = posteriors.result(spec, evidence)
    ours = hazard_ratio(result, [6.0], who=Patient({"age": 50.0, "male": 1.0})).sel(treatment="c", time=6.0)
    added = result.posterior["interaction"].sel(treatment="c", effect_modifier="age")
    np.testing.assert_allclose(np.log(ours), result.posterior["log_hr"].sel(treatment="c") - added, atol=1e-12)
    named = hazard_ratio(result, [6.0], who=Patient({"age": 50.0, "male": 1.0}, Study("p1"))).sel(
        treatment="b", time=6.0
    )
    deviation = result.posterior["study_treatment_effect"]
    apart = deviation.sel(study_treatment="p1 | b", drop=True) - deviation.sel(study_treatment="p1 | a", drop=True)
    expected = result.posterior["log_hr"].sel(treatment="b") + apart - added.values
    np.testing.assert_allclose(np.log(named), expected, atol=1e-12)


@pytest.mark.slow
def test_an_interaction_of_zero_leaves_every_answer() -> None:
    plain, off = result_of(PLAIN), result_of(SHARED, interaction=0.0)
    for name in plain.posterior.data_vars:
        off.posterior[name] = plain.posterior[name]
    for who in (AverageStudy(), NewStudy()):
        pd.testing.assert_frame_equal(compare(plain, who=who), compare(off, who=who))
    kept = {"age": 71.0, "male": 1.0}
    ours, theirs = (predict(of, kept, times=[6.0]).drop(columns="label") for of in (plain, off))
    pd.testing.assert_frame_equal(ours, theirs)


@pytest.mark.slow
def test_an_interaction_known_from_the_prior_only_is_said_beside_the_patients_answer() -> None:
    rng = np.random.default_rng(1)
    wide = 0.4 * rng.standard_normal((2, 400, 1, 1))
    spec, evidence = world(SHARED)
    result = posteriors.result(spec, evidence, draws=400, interaction=wide, coefficient=[0.1, 0.2])
    table = predict(result, {"age": 70.0, "male": 1.0}, times=[6.0])
    assert table["label"].str.contains("prior only: age").all()


def test_prior_predictive_draws_a_shared_interaction_once() -> None:
    shared, own = (prior_result(world(terms)[0], draws=500).posterior["interaction"] for terms in (SHARED, OWN))
    assert (shared.sel(treatment="b") == shared.sel(treatment="c")).all()
    assert not (own.sel(treatment="b") == own.sel(treatment="c")).any()
    assert float(shared.std()) == pytest.approx(0.4, rel=0.1)


def test_the_gate_watches_every_interaction() -> None:
    found = watched_parameters(result_of(OWN, interaction=np.array([[0.3], [-0.2]])).posterior)
    assert found["interaction[age]"].dims[-1] == "treatment"
    np.testing.assert_array_equal(found["interaction[age]"].values[0, 0], [0.3, -0.2])


@pytest.mark.slow
def test_whose_interaction_without_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"covariates\.male.*give `interaction`, its prior"):
        worlds.spec(covariates={"male": {"prior": normal(0.5), "interaction_by": "treatment"}})
    with pytest.raises(InputError, match=r"covariates\.male\.interactions.*did you mean interaction\?"):
        worlds.spec(covariates={"male": {"prior": normal(0.5), "interactions": normal(0.4)}})
