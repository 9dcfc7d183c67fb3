"""Covariates that go together inside arms: closed forms, other integrals, gradients, and what a spec may say."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.compile.maker import function
from pytensor.gradient import grad
from scipy import stats

from bayes_bm.checks.arm_mixes import mix_gap
from bayes_bm.evidence.audit import audit
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.compiled.coverage import is_plain_weibull, why_not
from bayes_bm.model.covariates.arm_mixes import arm_mixes, arm_spreads, kinds_of_patients, mix_offsets
from bayes_bm.model.covariates.case_mix import CaseMix
from bayes_bm.model.covariates.cell_shares import cell_shares, kinds_together, loadings, log_cell_shares
from bayes_bm.model.covariates.named_mix import named_mix
from bayes_bm.model.model_inputs import prepare
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR
from bayes_bm.runtime.errors import InputError
from bayes_bm.validation.simulation.patients import Law, covariates
from tests.builders import worlds
from tests.builders.graphs import UNOPTIMISED
from tests.builders.worlds import half_normal, normal
from tests.model.test_case_mix import posterior

MIX = {"mean": normal(0.7, 0.3), "sd": half_normal(0.7), "by_treatment": normal(0.5)}
MALE = {"prior": normal(0.5), "kind": "two_valued", "centre": 0.0, "case_mix": MIX}
PAIR = np.array([*product((0.0, 1.0), repeat=2)])
TRIPLE = np.array([*product((0.0, 1.0), repeat=3)])


def spec(value: float = 0.3, turned: tuple[str, ...] = (), **more: Any) -> Any:
    common = {"value": value, "turned": list(turned), "why": "test"}
    terms: dict[str, Any] = {"covariates": {"male": MALE, "kps": MALE, "single": MALE}}
    return worlds.spec(**(terms | more), integration={"common_correlation": common})


@pytest.mark.parametrize("correlation", [0.1, 0.3, 0.5])
def test_two_covariates_of_halves_have_the_shares_of_the_arcsine_law(correlation: float) -> None:
    ours = cell_shares(np.array([0.5, 0.5]), PAIR, np.full(2, np.sqrt(correlation)))
    both = 0.25 + np.arcsin(correlation) / (2 * np.pi)
    np.testing.assert_allclose(ours, [both, 0.5 - both, 0.5 - both, both], atol=1e-7)


def test_any_two_of_three_covariates_have_the_shares_of_a_normal_law_and_each_keeps_its_own() -> None:
    share, signs = np.array([0.85, 0.3, 0.6]), np.array([1.0, 1.0, -1.0])
    ours = cell_shares(share, TRIPLE, np.sqrt(0.3) * signs)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        covariance = [[1.0, 0.3 * signs[one] * signs[other]], [0.3 * signs[one] * signs[other], 1.0]]
        law: Any = stats.multivariate_normal
        exact = law.cdf(stats.norm.ppf(share[[one, other]]), np.zeros(2), covariance)
        assert ours @ (TRIPLE[:, one] * TRIPLE[:, other]) == pytest.approx(exact, abs=1e-6)
    np.testing.assert_allclose(ours @ TRIPLE, share, atol=1e-8)
    np.testing.assert_allclose(cell_shares(share, TRIPLE, np.zeros(3)).sum(), 1.0)


@pytest.mark.slow
def test_the_graph_has_the_same_shares_and_their_derivatives() -> None:
    share, loading = pt.vector("share"), np.sqrt(0.3) * np.ones(3)
    whole: Any = log_cell_shares(share, TRIPLE, loading, xp=TENSOR)
    total: Any = pt.sum(whole * np.arange(8))
    slope: Any = grad(total, share)
    compiled: Any = function([share], [whole, slope], mode=UNOPTIMISED)
    at, step = np.array([0.999, 0.3, 0.02]), 1e-7
    values, slopes = compiled(at)
    np.testing.assert_allclose(values, log_cell_shares(at, TRIPLE, loading, xp=NUMPY), rtol=1e-10)
    for place in range(3):
        moved = [at + sign * step * np.eye(3)[place] for sign in (1, -1)]
        both = [np.arange(8) @ log_cell_shares(one, TRIPLE, loading, xp=NUMPY) for one in moved]
        assert slopes[place] == pytest.approx((both[0] - both[1]) / (2 * step), rel=1e-5)


def test_a_share_of_everybody_leaves_the_others_as_they_are() -> None:
    loading = np.sqrt(0.3) * np.ones(2)
    np.testing.assert_allclose(cell_shares(np.array([1.0, 0.4]), PAIR, loading), [0, 0, 0.6, 0.4], atol=1e-7)


def test_coding_turned_round_has_the_same_patients() -> None:
    one = cell_shares(np.array([0.8, 0.3, 0.6]), TRIPLE, loadings(spec(0.3)))
    other = cell_shares(np.array([0.2, 0.3, 0.6]), TRIPLE, loadings(spec(0.3, turned=("male",))))
    turned = [[*map(tuple, TRIPLE)].index((1 - a, b, c)) for a, b, c in TRIPLE]
    np.testing.assert_allclose(one, other[turned], atol=1e-9)


def test_patients_of_a_world_and_of_a_named_population_go_together() -> None:
    given = spec(0.5, turned=("single",))
    mix = {"male": Law(0.5, None), "kps": Law(0.8, None), "single": Law(0.4, None)}
    drawn = covariates(given, np.random.default_rng(1), 60_000, mix)
    exact = cell_shares(np.array([0.5, 0.8, 0.4]), TRIPLE, loadings(given))
    seen = [float((drawn.to_numpy() == cell).all(axis=1).mean()) for cell in TRIPLE]
    np.testing.assert_allclose(seen, exact, atol=0.008)
    evidence = worlds.evidence(given, {**worlds.TABLES, "hazard_ratios": []})
    mixes = arm_mixes(given, evidence)
    assert mixes is not None
    shares = np.tile([0.5, 0.8, 0.4], (len(mixes.arms), 1))
    for _, kinds, share in kinds_of_patients(given, mixes, shares, np.zeros(0)):
        np.testing.assert_allclose(share, exact)
        np.testing.assert_array_equal(kinds, TRIPLE)
    nobody = CaseMix(("male", "kps", "single"), np.zeros((0, 3)), np.zeros(0))
    named = named_mix(given, nobody, {"share_male": 0.5, "share_kps": 0.8, "share_single": 0.4})
    np.testing.assert_allclose(named.share, exact)


@pytest.mark.slow
def test_it_is_compiled_and_told_in_the_audit() -> None:
    given = spec(0.3)
    evidence = worlds.evidence(given, {**worlds.TABLES, "hazard_ratios": []})
    inputs = prepare(given, evidence)
    assert not is_plain_weibull(inputs) and why_not(inputs) is None
    note = "Covariates go together inside arms, correlation 0.3 of their scores: test."
    assert note in audit(given, evidence).notes


AGE = {"prior": normal(0.5), "kind": "continuous", "centre": 60.0, "scale": 10.0}
AGE["case_mix"] = {"mean": normal(5.0, 61.0), "sd": half_normal(4.0), "within_sd": half_normal(12.0)}
"""A continuous covariate."""
LOADS = {"male": 1.0, "kps": -1.0, "age": 1.0, "size": -1.0}


def with_continuous(value: float, names: tuple[str, ...], draws: int = 4) -> Any:
    """A posterior by hand, of covariates that go together, two-valued and continuous."""
    terms = {name: MALE if name in ("male", "kps") else AGE for name in names}
    turned = tuple(name for name in names if LOADS[name] < 0)
    given = spec(value, turned, covariates=terms)
    result = posterior(given, worlds.evidence(given, NO_RATIOS), draws=draws)
    slopes = np.random.default_rng(3).uniform(-1, 1, (2, draws, len(names)))
    return replace(result, posterior=result.posterior.assign(coefficient=(("chain", "draw", "covariate"), slopes)))


NO_RATIOS = {**worlds.TABLES, "hazard_ratios": []}


def alive_by_quadrature(result: Any, sample: int, row: int, time: float) -> float:
    """Survival of an arm by the trapezoid rule over the factor, and over what continuous covariates add beside it."""
    names, draws = list(result.spec.covariates), result.predictors.draws
    mixes, centre = result.inputs.arm_mixes, result.predictors.at_centres
    spread = arm_spreads(result.spec, mixes, draws.mix_within)[sample, row]
    slopes, values = draws.coefficient[sample], draws.mix[sample, row]
    value = result.spec.integration.common_correlation.value
    load = np.sqrt(value) * np.array([LOADS[name] for name in names])
    two = [column for column, name in enumerate(names) if name in ("male", "kps")]
    others = [column for column in range(len(names)) if column not in two]
    grid = np.linspace(-9, 9, 721)
    weight = stats.norm.pdf(grid) * (grid[1] - grid[0])
    moved = slopes[others] * spread[others] / 10
    middle = float(slopes[others] @ ((values[others] - 60) / 10)) + (moved @ load[others]) * grid[:, None]
    middle = middle + np.sqrt(np.sum(moved**2) * (1 - value)) * grid
    total = 0.0
    for cell in product((0, 1), repeat=len(two)):
        share = np.ones(len(grid))
        for column, present in zip(two, cell, strict=True):
            score = (stats.norm.ppf(values[column]) + load[column] * grid) / np.sqrt(1 - value)
            share = share * stats.norm.cdf(score if present else -score)
        eta = centre.eta[sample, row] + slopes[two] @ cell + middle
        power = np.exp(centre.shape[sample, row, 0]) * np.log(time)
        total += float((weight * share) @ np.exp(-np.exp(power + eta)) @ weight)
    return total


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("names", [("male", "age"), ("male", "kps", "age", "size"), ("age", "size")])
def test_continuous_covariates_go_together_with_the_others_to_eight_digits(value: float, names: tuple) -> None:
    result = with_continuous(value, names)
    arms = result.predictors.arms
    for sample, row, time in ((0, 0, 0.3), (3, 2, 1.0), (7, 4, 2.0)):
        found = arms.family.log_cum_hazard(np.log(time), arms.eta[sample, row], arms.shape[sample, row], xp=NUMPY)
        exact = alive_by_quadrature(result, sample, row, time)
        assert np.exp(-np.exp(found)) == pytest.approx(exact, abs=1e-8)
    if names == ("male", "age"):
        gap = mix_gap(result)
        assert gap is not None and gap.passed
    # what goes together is not what does not
    assert np.abs(curves(result) - curves(with_continuous(0.0, names))).max() > 1e-3


def curves(result: Any) -> np.ndarray:
    """Survival of every arm at the reference time (draw, arm)."""
    arms = result.predictors.arms
    return np.exp(-np.exp(arms.family.log_cum_hazard(np.array(0.0), arms.eta, arms.shape, xp=NUMPY)))


def test_patients_with_a_continuous_covariate_go_together_in_a_world_and_in_a_population() -> None:
    """Moments of a joint normal law with a probit: covariance of age and male is sd a^2 phi(Phi^-1(share))."""
    given = spec(0.4, ("size",), covariates={"male": MALE, "age": AGE, "size": AGE})
    mix = {"male": Law(0.7, None), "age": Law(60.0, 8.0), "size": Law(3.0, 2.0)}
    expected = np.diag([0.21, 64.0, 4.0])
    with_male = 0.4 * stats.norm.pdf(stats.norm.ppf(0.7))
    for one, other, value in ((0, 1, 8 * with_male), (0, 2, -2 * with_male), (1, 2, -0.4 * 16)):
        expected[one, other] = expected[other, one] = value
    drawn = covariates(given, np.random.default_rng(1), 200_000, mix)
    np.testing.assert_allclose(drawn.mean(), [0.7, 60.0, 3.0], atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.02, rtol=0.02)
    listed = kinds_together(np.array([0.7, 0, 0]), np.array([True, False, False]), loadings(given), nodes=12)
    own = listed.scores * [1, 8, 2] + [0, 60, 3]
    np.testing.assert_allclose(listed.share @ own, [0.7, 60.0, 3.0], atol=1e-7)
    np.testing.assert_allclose(np.cov(own.T, aweights=listed.share, bias=True), expected, atol=1e-6)


@pytest.mark.slow
def test_a_graph_of_continuous_covariates_that_go_together_has_finite_slopes_at_no_effect() -> None:
    result = with_continuous(0.3, ("male", "age"))
    why = why_not(result.inputs)
    assert why is not None and "go together" in why
    effect, mixes = pt.vector("effect"), result.inputs.arm_mixes
    values, spread = result.predictors.draws.mix[0], arm_spreads(result.spec, mixes, result.predictors.draws.mix_within)
    assert mixes is not None
    effects = replace(result.predictors.draws.effects, slopes=effect)
    offsets, weights = mix_offsets(effects, result.spec, mixes, values, spread[0], xp=TENSOR)
    alive: Any = pt.sum(pt.exp(weights - pt.exp(offsets)))
    slopes: Any = grad(alive, effect)
    compiled: Any = function([effect], [alive, slopes], mode=UNOPTIMISED)
    for at in ([0.3, 1e-3], [0.3, 0.4], [0.0, -0.7]):
        (_, slope), step = compiled(np.array(at)), 1e-5 * np.eye(2)
        moved = [(compiled(at + one)[0] - compiled(at - one)[0]) / 2e-5 for one in step]
        np.testing.assert_allclose(slope, moved, rtol=1e-7)
    # none goes together with a covariate without effect, so near there a slope of survival is not that of its curve
    assert np.isfinite(compiled(np.array([0.3, 0.0]))[1]).all()
    little = [compiled(np.array([0.3, effect]))[0] for effect in (0.0, 1e-7, 1e-5)]
    assert little[1] - little[0] == pytest.approx((little[2] - little[0]) / 100, abs=1e-8)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"covariates": {"male": {"prior": normal(0.5)}}}, "found without case_mix"),
        ({"value": 1.0}, "common_correlation"),
        ({"value": -0.2}, "common_correlation"),
        ({"turned": ("sex",)}, r"turned: found sex; allowed: male, kps, single"),
    ],
)
def test_what_is_not_built_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        spec(**more)
