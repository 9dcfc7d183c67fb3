"""Classes of treatments: the density against normals beside it, ranks against counting, and that they are off."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayes_bm.checks.direct_indirect import within_spec
from bayes_bm.estimands.labels import prior_draws
from bayes_bm.estimands.ranking import rank
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.prior_result import prior_result
from bayes_bm.model.model_inputs import prepare
from bayes_bm.model.pymc_graph.build import build_model
from bayes_bm.runtime.errors import InputError
from tests.builders import worlds
from tests.builders.graphs import log_density, random_point, values_at
from tests.builders.worlds import half_normal

ONE = {"treatments__classes": {"knife": {"members": ["b", "c"], "sd": half_normal(0.2)}}}
COMMON = {"treatments__classes": {"knife": {"members": ["b", "c"], "effects": "common"}}}


@pytest.mark.slow
def test_members_are_about_their_class_and_the_rest_is_todays_density() -> None:
    """At equal effects the two graphs differ by the priors of these effects alone."""
    plain_spec, spec = worlds.spec(), worlds.spec(**ONE)
    evidence = worlds.evidence(plain_spec)
    plain, model = build_model(plain_spec, evidence), build_model(spec, evidence)
    point = random_point(model, 3)
    values = values_at(model, point)
    middle, sd = float(values["class_log_hr"][0]), float(values["class_sd"][0])
    z = np.array([values["class_member_b"], values["class_member_c"]])
    np.testing.assert_allclose(values["log_hr"], middle + sd * z, rtol=1e-12)
    other = {name: value for name, value in point.items() if not name.startswith("class_")}
    other["log_hr"] = np.asarray(values["log_hr"])
    log_sd = float(point["class_member_sd_knife_log__"])
    prior = stats.norm.logpdf(middle) + stats.norm.logpdf(z).sum()
    prior += stats.halfnorm.logpdf(sd, scale=0.2) + log_sd
    expected = log_density(plain, other) - stats.norm.logpdf(values["log_hr"]).sum() + prior
    assert log_density(model, point) == pytest.approx(float(expected), abs=1e-9)
    assert why_not(prepare(spec, evidence)) is None


@pytest.mark.slow
def test_a_common_effect_is_one_number_and_no_class_leaves_no_trace() -> None:
    spec = worlds.spec(**COMMON)
    model = build_model(spec, worlds.evidence(spec))
    values = values_at(model, random_point(model, 3))
    assert values["log_hr"][0] == values["log_hr"][1] == values["class_log_hr"][0]
    assert "class_sd" not in values
    assert "classes" not in worlds.spec().document()["treatments"]
    assert not within_spec(spec, ["b", "c"]).treatments.classes


def test_draws_of_the_prior_have_the_correlation_of_a_class() -> None:
    result = prior_result(worlds.spec(**ONE), draws=20_000)
    b, c = result.predictors.draws.log_hr[:, 1:].T
    # var = 1 + 0.2^2, covariance 1
    assert np.cov(b, c) == pytest.approx(np.array([[1.04, 1.0], [1.0, 1.04]]), abs=0.04)
    named = [label for label, _, _ in prior_draws(result)]
    assert {"class_log_hr[knife]", "class_sd[knife]"} <= {*named}


def test_ranks_of_classes_count_the_draws() -> None:
    result = prior_result(worlds.spec(**ONE), draws=3)
    effects = xr.DataArray([[[-1.0], [0.5], [-2.0]]], dims=("chain", "draw", "treatment_class"))
    posterior = result.posterior.assign(class_log_hr=effects.assign_coords(treatment_class=["knife"]))
    table = rank(replace(result, posterior=posterior), classes=True).probabilities
    first = table[table["rank"] == 1].set_index("treatment")["probability"]
    assert first.to_dict() == pytest.approx({"knife": 2 / 3, "a": 1 / 3})
    with pytest.raises(InputError, match="classes"):
        rank(prior_result(worlds.spec(), draws=3), classes=True)
    with pytest.raises(InputError, match="classes"):
        rank(prior_result(worlds.spec(**ONE), draws=3), "rmst", classes=True)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ({"k": {"members": ["a", "b"], "sd": half_normal(0.2)}}, "its effect is 0"),
        ({"k": {"members": ["b", "z"], "sd": half_normal(0.2)}}, "found z"),
        ({"k": {"members": ["b", "b"], "sd": half_normal(0.2)}}, "found b twice"),
        ({"k": {"members": ["b", "c"]}}, "need `sd`"),
        ({"k": {"members": ["b", "c"], "effects": "common", "sd": half_normal(0.2)}}, "no meaning"),
        ({"b": {"members": ["b", "c"], "effects": "common"}}, "another name"),
        ({"k": {"members": ["b"], "effects": "common"}}, "members"),
    ],
)
def test_what_is_no_class_is_refused(classes: dict[str, Any], said: str) -> None:
    with pytest.raises((InputError, ExceptionGroup), match=said):
        worlds.spec(treatments__classes=classes)
