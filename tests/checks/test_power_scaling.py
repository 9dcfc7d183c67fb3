"""Power scaling against a conjugate normal, where the scaled posterior is known."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

from bayes_bm.checks.power_scaling import (
    CONFLICT,
    STRONG,
    THRESHOLD,
    log_likelihood,
    log_prior,
    parameters,
    power_scaling,
    scaled_weights,
)
from bayes_bm.checks.power_scaling import sensitivity as scaled
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds


def posterior(prior_sd: float, mean: float, se: float, *, prior: float = 1.0, likelihood: float = 1.0):
    """Normal prior about 0 and normal evidence, each to a power."""
    precision = prior / prior_sd**2 + likelihood / se**2
    return stats.norm(likelihood * mean / se**2 / precision, precision**-0.5)


def distance(p, q, low: float, high: float) -> float:
    """Cumulative Jensen-Shannon distance of two laws between the ends of the draws, by the trapezoid rule."""
    x = np.linspace(low, high, 20001)

    def one(sign: float) -> float:
        left, right = (law.cdf(x) if sign > 0 else law.sf(x) for law in (p, q))
        middle = (left + right) / 2
        whole = [np.trapezoid(cdf, x) for cdf in (left, right)]
        parts = [
            np.trapezoid(cdf * np.log2(np.maximum(cdf, 1e-300) / np.maximum(middle, 1e-300)), x)
            for cdf in (left, right)
        ]
        # the two correction terms cancel
        return float(np.sqrt(sum(parts) / sum(whole)))

    return max(one(1.0), one(-1.0))


@pytest.mark.parametrize(("prior_sd", "mean", "se"), [(1.0, 1.0, 0.5), (0.4, 1.5, 0.5), (5.0, 0.3, 0.3)])
def test_a_conjugate_normal_has_the_sensitivity_of_its_scaled_posteriors(prior_sd, mean, se) -> None:
    law = posterior(prior_sd, mean, se)
    draws = law.rvs((4, 10_000), random_state=np.random.default_rng(3))
    components = {"prior": stats.norm.logpdf(draws, 0, prior_sd), "likelihood": stats.norm.logpdf(mean, draws, se)}
    for name, component in components.items():
        moved = [posterior(prior_sd, mean, se, **{name: alpha}) for alpha in (0.99, 1.01)]
        far = [distance(law, other, draws.min(), draws.max()) for other in moved]
        wanted = (far[0] / -np.log2(0.99) + far[1] / np.log2(1.01)) / 2
        assert scaled(draws, scaled_weights(component)) == pytest.approx(wanted, rel=0.06)


def test_nothing_moves_a_parameter_that_the_component_knows_nothing_of() -> None:
    rng = np.random.default_rng(5)
    draws, other = rng.standard_normal((2, 4, 2000))
    assert scaled(draws, scaled_weights(stats.norm.logpdf(other))) < THRESHOLD / 2


def made(**changes):
    spec = worlds.spec(**changes)
    found = posteriors.result(spec, worlds.evidence(spec), draws=200)
    terms = pointwise_log_likelihood(found.predictors)
    return type(found)(
        **{**{name: getattr(found, name) for name in found.__dataclass_fields__}, "stored_log_likelihood": terms}
    )


@pytest.mark.slow
def test_components_are_the_priors_of_the_spec_and_all_of_the_evidence() -> None:
    found = made(bias={"single_arm": {"prior": worlds.normal(0.3)}})
    of, laws = found.posterior, stats.norm
    wanted = laws.logpdf(of["intercept"], 0, 1) + laws.logpdf(of["log_hr"], 0, 1).sum(axis=-1)
    wanted += laws.logpdf(of["log_shape"], 0, 0.3) + laws.logpdf(of["bias"], 0, 0.3).sum(axis=-1)
    for name, sd in (("study_sd", 0.5), ("study_treatment_sd", 0.3), ("study_shape_sd", 0.2)):
        wanted += stats.halfnorm.logpdf(of[name], 0, sd)
    assert log_prior(found) == pytest.approx(wanted.ravel())
    terms = found.log_likelihood
    whole = sum(terms[name].transpose("chain", "draw", ...).to_numpy().sum(axis=-1) for name in terms)
    assert log_likelihood(found) == pytest.approx(np.ravel(whole))


def test_every_parameter_has_a_row_beside_its_prior() -> None:
    found = made()
    table = power_scaling(found)
    assert set(table["parameter"]) == set(parameters(found)["parameter"])
    assert {"prior_sensitivity", "likelihood_sensitivity", "prior_sd"} <= set(parameters(found))
    assert set(table["power_says"]) <= {"", CONFLICT, STRONG}
    strong = table["prior_sensitivity"] >= THRESHOLD
    assert ((table["power_says"] == "") == ~strong).all()


def test_a_stack_of_imputations_is_refused() -> None:
    found = made()
    stack: Any = replace(found, imputations=cast(Any, Stack()))
    with pytest.raises(InputError, match="one imputation at a time"):
        power_scaling(stack)
    assert "prior_sensitivity" not in parameters(stack)


class Stack:
    m = 20
