"""ArviZ's functions on `to_arviz()`: priors and replicates have the laws that the spec and the draws say."""

from dataclasses import replace

import arviz as az
import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

from bayes_bm.inference.arviz_tree import joint_log_likelihood
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.predictive_draws import predictive_draws
from bayes_bm.inference.prior_draws import prior_draws
from bayes_bm.inference.result import Result, observed_dataset
from tests.builders import posteriors, worlds
from tests.builders.worlds import half_normal


@pytest.fixture(scope="module")
def result() -> Result:
    spec = worlds.spec()
    evidence = worlds.evidence(spec)
    made = posteriors.result(spec, evidence, chains=2, draws=200)
    return replace(made, stored_log_likelihood=None, observed_data=observed_dataset(spec, evidence))


def test_priors_have_their_laws_and_the_names_of_the_posterior(result) -> None:
    """Sds of the spec's laws: N(0, 1), half normals of 0.5, 0.3; an effect's is the root of E sd^2."""
    prior = prior_draws(result.inputs, chains=4, draws=4000)
    assert set(result.posterior.data_vars) <= set(prior.data_vars)
    for name in result.posterior.data_vars:
        assert prior[name].dims == result.posterior[name].dims
        assert prior[name].sizes["chain"] == 4
    assert float(prior["intercept"].std()) == pytest.approx(1.0, rel=0.03)
    assert float(prior["study_sd"].mean()) == pytest.approx(0.5 * np.sqrt(2 / np.pi), rel=0.03)
    assert float(prior["study_effect"].std()) == pytest.approx(0.5, rel=0.03)
    # a deviation is half of a contrast's variance (decision 10)
    assert float(prior["study_treatment_effect"].std()) == pytest.approx(0.3 / np.sqrt(2), rel=0.03)


def test_bounded_and_positive_priors_come_back_on_their_own_scale(result) -> None:
    uniform = {"dist": "uniform", "lower": -0.5, "upper": 1.5, "why": "test"}
    spec = worlds.spec(priors__log_shape=uniform, effects__study_shape={"exchangeable": True, "sd": half_normal(0.2)})
    inputs = posteriors.result(spec, worlds.evidence(spec), chains=1, draws=2).inputs
    shape = prior_draws(inputs, chains=1, draws=4000)["log_shape"]
    assert -0.5 <= float(shape.min()) < -0.49 and 1.49 < float(shape.max()) <= 1.5
    assert float(shape.mean()) == pytest.approx(0.5, abs=0.03)


def test_replicates_have_the_means_of_the_model(result) -> None:
    """Counts have mean n (1 - S), ratios the study's own log ratio; patients are lost when their arm's were."""
    drawn = predictive_draws(result.predictors)
    counts = result.inputs.kinds["counts"]
    family, eta, shape = result.predictors.rows("counts", counts)
    entered = np.exp(family.log_cum_hazard(counts["log_entry"], eta, shape, xp=np))
    used = np.exp(family.log_cum_hazard(counts["log_u"], eta, shape, xp=np)) - entered
    expected = (counts["n"] * -np.expm1(-used)).mean(axis=0)
    np.testing.assert_allclose(drawn.replicated["counts"].mean(("chain", "draw")), expected, atol=1.0)
    np.testing.assert_array_equal(drawn.observed["counts"], [21, 12])
    ratios = drawn.replicated["hazard_ratios"].mean(("chain", "draw"))
    np.testing.assert_allclose(ratios, result.predictors.ratio_means.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(drawn.observed["patients"], [3.5, 9.0, 14.0, 7.5, 20.0, 30.0])
    patients = drawn.replicated["patients"].to_numpy()
    # the second was lost at 9 months: so is every replicate who lives as long
    assert patients[..., 1].max() == pytest.approx(9.0)
    assert drawn.replicated["patients"].attrs == {"long_name": "time of event or censoring", "units": "months"}


def test_the_joint_log_likelihood_holds_every_row_once(result) -> None:
    kinds = pointwise_log_likelihood(result.predictors)
    joint = joint_log_likelihood(result.predictors, kinds)["evidence"]
    total = sum(kinds[name].sum(kinds[name].dims[2]) for name in kinds.data_vars)
    xr.testing.assert_allclose(joint.sum("row").drop_attrs(), total)
    assert joint.indexes["row"].is_unique
    chosen = joint.isel(row=(joint["kind"] == "counts").to_numpy())
    assert chosen["study"].to_numpy().tolist() == ["c1", "c1"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_functions_of_arviz_work_unchanged(result) -> None:
    mpl.use("agg")
    tree = result.to_arviz()
    assert {"prior", "posterior_predictive", "log_likelihood", "observed_data", "constant_data"} <= set(tree.children)
    loo = az.loo(tree)
    rows = tree["log_likelihood"]["evidence"].sizes["row"]
    assert loo.n_data_points == rows
    table = az.compare({"one": tree, "other": tree})
    assert table["elpd_diff"].abs().max() == 0
    drawn = az.plot_ppc_dist(tree, num_samples=10)
    assert set(drawn.viz["predictive_dist"].data_vars) == set(tree["observed_data"].data_vars)
    drawn = az.plot_prior_posterior(tree, var_names=["intercept", "log_hr", "study_effect"])
    assert "log_hr" in drawn.viz["dist"].data_vars
