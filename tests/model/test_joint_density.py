"""One density of several causes: closed forms, the slow twin, the correlation's laws, and what it reduces to."""

import math
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from bayes_bm.hazards.families.exponential import EXPONENTIAL
from bayes_bm.hazards.families.weibull import WEIBULL
from bayes_bm.hazards.modifiers.sum_of_causes import SumOfCauses
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.compiled.parametrization import not_centred
from bayes_bm.model.causes import correlation, incidence
from bayes_bm.model.causes.incidence import Cause
from tests.builders import causes as built
from tests.builders import graphs
from tests.builders.causes import T0
from tests.builders.graphs import log_density as graph_density
from tests.builders.graphs import model_of

# ------------------------------------------------------------------------------------------------ the rule


def shares_of(laws: list[tuple[float, float]], time: float, entry: float = 0.0) -> np.ndarray:
    """F of Weibull causes with these eta and log shapes, by the rule."""
    found = [Cause(WEIBULL, np.array([[eta]]), np.array([[[shape]]])) for eta, shape in laws]
    nodes = incidence._nodes(np.array([entry]), np.array([time]), T0)
    log_entry = np.array([np.log(entry / T0) if entry else -1e4])
    return np.array(incidence.shares(found, nodes, np.log([time / T0]), log_entry, xp=NUMPY)[0])[:, 0, 0]


@pytest.mark.parametrize("entry", [0.0, 4.0])
def test_exponential_causes_have_their_closed_form(entry: float) -> None:
    rates = np.array([0.03, 0.11, 0.02])
    found = shares_of([(math.log(rate * T0), 0.0) for rate in rates], 30.0, entry)
    assert found == pytest.approx(rates / rates.sum() * -np.expm1(-rates.sum() * (30.0 - entry)), abs=1e-13)


@pytest.mark.parametrize("laws", [[(0.4, -0.8), (-0.5, 0.6)], [(-2.0, 0.9), (1.0, -0.5)], [(2.5, 0.3), (0.0, -1.0)]])
def test_weibull_causes_agree_with_adaptive_quadrature(laws: list[tuple[float, float]]) -> None:
    def density(z: float) -> float:
        (eta, shape), _ = laws
        used = sum(math.exp(level + math.exp(own) * z) for level, own in laws)
        return math.exp(shape + eta + math.exp(shape) * z - used)

    cuts = np.linspace(-45.0 / math.exp(laws[0][1]), math.log(2.0), 40)
    wanted = sum(integrate.quad(density, a, b, epsabs=1e-15)[0] for a, b in pairwise(cuts))
    assert shares_of(laws, 24.0)[0] == pytest.approx(wanted, abs=1e-12)


def test_the_first_of_all_is_a_family_whose_hazards_are_sums() -> None:
    family = SumOfCauses((WEIBULL, EXPONENTIAL, WEIBULL))
    assert (family.width, family.name) == (4, "weibull + exponential + weibull")
    log_u, eta, shape = np.array([-0.3, 0.8]), np.array([0.2, 0.2]), np.tile([0.4, -1.0, 0.5, -0.2], (2, 1))
    u = np.exp(log_u)
    cum = np.exp(0.2) * u ** np.exp(0.4) + np.exp(-1.0) * u + np.exp(0.5) * u ** np.exp(-0.2)
    rate = np.exp(0.6) * u ** (np.exp(0.4) - 1) * np.exp(0.0) + np.exp(-1.0) + np.exp(0.3) * u ** (np.exp(-0.2) - 1)
    assert np.exp(family.log_cum_hazard(log_u, eta, shape, xp=NUMPY)) == pytest.approx(cum, rel=1e-13)
    assert np.exp(family.log_hazard(log_u, eta, shape, xp=NUMPY)) == pytest.approx(rate, rel=1e-13)


# ------------------------------------------------------------------------------------------------ rows of several


@pytest.mark.slow
def test_every_kind_of_row_is_as_the_slow_twin_has_it() -> None:
    density = built.whole_density()
    x = built.point(density)
    arm = {row["study"]: row for row in built.ARMS}
    built.assert_rows_are_the_twins(built.terms_at(density, x), built.parameters_at(density, x), arm.__getitem__)


@pytest.mark.slow
def test_the_graph_says_what_the_formulas_say_and_has_their_gradient() -> None:
    density = built.whole_density()
    x = built.point(density, 2)
    value, gradient = density.ties(x)
    assert value == pytest.approx(built.tied_value(density, x), abs=1e-10)
    for place in range(0, density.size, 9):
        step = np.zeros(density.size)
        step[place] = 1e-5
        slope = (density.ties(x + step)[0] - density.ties(x - step)[0]) / 2e-5
        assert gradient[place] == pytest.approx(slope, abs=2e-6)


# ------------------------------------------------------------------------------------------------ reductions


@pytest.mark.slow
def test_with_patients_alone_and_no_correlation_it_is_the_sum_of_the_separate_fits() -> None:
    of = built.causes(joint={})
    evidence = built.evidence(of, {"patients": built.patients(), "points": built.ROWS["points"][:1]})
    assert evidence.separate
    density = built.plain_density(of, evidence)
    x = built.point(density)
    separate = 0.0
    for inputs, own, first, end in zip(
        density.joint.inputs, density.coordinates, density.ends[:-1], density.ends[1:], strict=True
    ):
        _, problem = pack_problem(inputs, not_centred(inputs))
        separate += log_density(x[first:end], problem)[0]
        graph = model_of(inputs.spec, inputs.evidence)
        plain, layout = own.plain(x[first:end]), own.starts
        values = {
            value.name: plain[layout[rv.name] : layout[rv.name] + block.size].reshape(np.shape(start))
            for (rv, value), block in _matched(graph, own)
            for start in [graphs.start(graph)[value.name]]
        }
        assert graph_density(graph, values) == pytest.approx(log_density(x[first:end], problem)[0], abs=1e-8)
    assert density(x)[0] == pytest.approx(separate, abs=1e-12)
    assert density.ties(x)[0] == 0.0


def _matched(graph: Any, own: Any) -> list[Any]:
    blocks = {block.name: block for block in own.blocks}
    return [((rv, value), blocks[rv.name]) for rv, value in graph.rvs_to_values.items() if rv.name in blocks]


# ------------------------------------------------------------------------------------------------ the correlation


def test_correlated_levels_are_jointly_normal() -> None:
    rng = np.random.default_rng(3)
    w = rng.normal(0, 0.7, 3)
    factor = correlation.cholesky_of_partial(list(np.tanh(w)), 3)
    values = correlation.correlations(factor)
    matrix = np.eye(3)
    for (one, other), value in zip(combinations(range(3), 2), values, strict=True):
        matrix[one, other] = matrix[other, one] = value
    assert np.linalg.cholesky(matrix) == pytest.approx(
        np.array([[*row, *[0.0] * (3 - len(row))] for row in factor]), abs=1e-12
    )
    z = rng.standard_normal((3, 5))
    found = correlation.log_ratio(list(z), values, xp=NUMPY)
    wanted = stats.multivariate_normal(cov=matrix).logpdf(z.T) - stats.norm.logpdf(z).sum(axis=0)
    assert found == pytest.approx(wanted, abs=1e-11)
    assert correlation.log_ratio(list(z), [0.0] * 3, xp=NUMPY) == pytest.approx(np.zeros(5), abs=1e-15)


@pytest.mark.slow
def test_the_prior_of_the_correlation_is_that_of_lewandowski_kurowicka_and_joe() -> None:
    def log_of_matrix(w: np.ndarray, eta: float) -> float:
        """Log prior less the log of the Jacobian of the correlations by w: a power of the determinant."""
        steps = 1e-5 * np.eye(3)

        def values(at: np.ndarray) -> np.ndarray:
            return np.array(correlation.correlations(correlation.cholesky_of_partial(list(np.tanh(at)), 3)))

        slopes = np.array([(values(w + step) - values(w - step)) / 2e-5 for step in steps])
        return float(correlation.log_prior(list(w), 3, eta, xp=NUMPY)) - math.log(abs(np.linalg.det(slopes)))

    def log_determinant(w: np.ndarray) -> float:
        factor = correlation.cholesky_of_partial(list(np.tanh(w)), 3)
        return 2 * sum(math.log(row[-1]) for row in factor)

    one, other = np.array([0.4, -0.3, 0.8]), np.array([-0.9, 0.2, 0.1])
    for eta in (1.0, 3.0):
        apart = log_of_matrix(one, eta) - log_of_matrix(other, eta)
        assert apart == pytest.approx((eta - 1) * (log_determinant(one) - log_determinant(other)), abs=1e-7)
    # of two causes it is a density of (1 + r) / 2 ~ Beta(eta, eta)
    w = np.linspace(-12, 12, 4001)
    mass = np.exp(correlation.log_prior([w], 2, 4.0, xp=NUMPY))
    assert np.trapezoid(mass, w) == pytest.approx(1.0, abs=1e-10)
    assert np.trapezoid(mass * np.tanh(w) ** 2, w) == pytest.approx(4 * stats.beta(4, 4).var(), abs=1e-10)
