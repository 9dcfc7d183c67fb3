"""Covariates that go together inside arms: closed forms, other integrals, gradients, and what a spec may say."""

from itertools import product
from typing import Any

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.compile.maker import function
from pytensor.gradient import grad
from scipy import stats

from bayes_bm.evidence.audit import audit
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.compiled.coverage import is_plain_weibull, why_not
from bayes_bm.model.covariates.arm_mixes import arm_mixes, kinds_of_patients
from bayes_bm.model.covariates.case_mix import CaseMix
from bayes_bm.model.covariates.cell_shares import cell_shares, loadings, log_cell_shares
from bayes_bm.model.covariates.named_mix import named_mix
from bayes_bm.model.model_inputs import prepare
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR
from bayes_bm.runtime.errors import InputError
from bayes_bm.validation.simulation.patients import Law, covariates
from tests.builders import worlds
from tests.builders.graphs import UNOPTIMISED
from tests.builders.worlds import half_normal, normal

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


def test_the_graph_has_the_same_shares_and_their_derivatives() -> None:
    share, loading = pt.vector("share"), np.sqrt(0.3) * np.ones(3)
    whole: Any = log_cell_shares(share, TRIPLE, loading, xp=TENSOR)
    total: Any = pt.sum(whole * np.arange(8))
    slope: Any = grad(total, share)
    compiled = function([share], [whole, slope], mode=UNOPTIMISED)
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


def test_it_is_compiled_and_told_in_the_audit() -> None:
    given = spec(0.3)
    evidence = worlds.evidence(given, {**worlds.TABLES, "hazard_ratios": []})
    inputs = prepare(given, evidence)
    assert not is_plain_weibull(inputs) and why_not(inputs) is None
    note = "Covariates go together inside arms, correlation 0.3 of their scores: test."
    assert note in audit(given, evidence).notes


AGE = {"prior": normal(0.5), "kind": "continuous", "case_mix": {**MIX, "within_sd": half_normal(9.0)}}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"covariates": {"male": MALE, "age": AGE}}, r"covariates.age.kind = continuous"),
        ({"covariates": {"male": {"prior": normal(0.5)}}}, "found without case_mix"),
        ({"value": 1.0}, "common_correlation"),
        ({"value": -0.2}, "common_correlation"),
        ({"turned": ("sex",)}, r"turned: found sex; allowed: male, kps, single"),
    ],
)
def test_what_is_not_built_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        spec(**more)
