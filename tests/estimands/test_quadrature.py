"""Estimands against closed forms of the Weibull, and averages over effects against a fine trapezoid on another grid.

The trapezoid rule on the whole line converges exponentially for these integrands, so 401 x 201 points are exact; it
shares neither nodes nor code with the Gauss-Hermite rule it checks.
"""

import numpy as np
import pytest
from scipy import special, stats

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.quadrature import Population
from bayes_bm.hazards import FAMILIES
from tests.builders.populations import T0, WEIBULL, grid, population

SHAPES = [0.3, 0.7, 1.0, 1.6, 4.0]
LEVELS = [-2.0, -0.4, 0.0, 1.3]


def law(eta: float, shape: float):
    """scipy's Weibull: log H(t) = k (log t - log t0) + eta has scale t0 exp(-eta / k)."""
    return stats.weibull_min(shape, scale=T0 * np.exp(-eta / shape))


def restricted_mean(eta, shape, horizon):
    """scale Gamma(1 + 1/k) P(1/k, (horizon / scale)^k), the integral of S from 0."""
    scale = T0 * np.exp(-eta / shape)
    return scale * special.gamma(1 + 1 / shape) * special.gammainc(1 / shape, (horizon / scale) ** shape)


def expected_survival(time: float, *effects: float) -> float:
    level, shape, weight = grid(*effects)
    return float((weight * np.exp(-np.exp(shape * np.log(time / T0) + level))).sum())


def expected_area(horizon: float, *effects: float) -> float:
    """Integral of the average curve, by 200 nodes on t = horizon v^6, on every second point of the grid."""
    node, node_weight = np.polynomial.legendre.leggauss(200)
    v = (node + 1) / 2
    level, shape, weight = (values[::2, ::2] for values in grid(*effects))
    alive = [(weight * np.exp(-np.exp(shape * np.log(horizon * x**6 / T0) + level))).sum() / weight.sum() for x in v]
    return float(np.sum(np.array(alive) * horizon * 6 * v**5 * node_weight / 2))


# ------------------------------------------------------------------------------------------------- one Weibull


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("eta", LEVELS)
def test_survival_hazard_and_quantiles_are_the_weibulls(eta: float, shape: float) -> None:
    of, times = population(eta, np.log(shape)), np.array([0.5, 3.0, 12.0, 30.0])
    witness = law(eta, shape)
    np.testing.assert_allclose(quadrature.survival(of, times)[0, 0], witness.sf(times), rtol=1e-10, atol=1e-300)
    hazard = shape / T0 * (times / T0) ** (shape - 1) * np.exp(eta)
    np.testing.assert_allclose(quadrature.hazard(of, times)[0, 0], hazard, rtol=1e-10)
    for q in (0.05, 0.5, 0.9):
        assert quadrature.quantile(of, q)[0, 0] == pytest.approx(witness.ppf(q), rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("eta", LEVELS)
@pytest.mark.parametrize("horizon", [6.0, 24.0, 60.0])
def test_restricted_mean_is_the_incomplete_gamma(eta: float, shape: float, horizon: float) -> None:
    of = population(eta, np.log(shape))
    assert quadrature.rmst(of, horizon)[0, 0] == pytest.approx(restricted_mean(eta, shape, horizon), abs=1e-8)
    later = (restricted_mean(eta, shape, horizon) - restricted_mean(eta, shape, 3.0)) / law(eta, shape).sf(3.0)
    assert quadrature.rmst(of, horizon, alive_at=3.0)[0, 0] == pytest.approx(later, rel=1e-8, abs=1e-8)


def test_conditional_survival_and_median_of_one_weibull() -> None:
    of, witness = population(0.4, np.log(1.6)), law(0.4, 1.6)
    found = quadrature.survival(of, np.array([8.0, 20.0]), alive_at=5.0)[0, 0]
    np.testing.assert_allclose(found, witness.sf([8.0, 20.0]) / witness.sf(5.0), rtol=1e-12)
    median = witness.isf(0.5 * witness.sf(5.0))
    assert quadrature.quantile(of, 0.5, alive_at=5.0)[0, 0] == pytest.approx(median, rel=1e-9)


def test_hazard_of_those_alive_where_survival_underflows() -> None:
    """S = exp(-H) is 0 in floating point at H = 12,000; the hazard is not."""
    of = population(5.0, np.log(4.0))
    assert quadrature.hazard(of, np.array([36.0]))[0, 0, 0] == pytest.approx(4 / T0 * 3**3 * np.exp(5.0), rel=1e-10)
    assert quadrature.survival(of, np.array([36.1]), alive_at=36.0)[0, 0, 0] == pytest.approx(
        np.exp(np.exp(5.0) * ((36.0 / T0) ** 4 - (36.1 / T0) ** 4)), rel=1e-8
    )


# ------------------------------------------------------------------------------------------------- averages

SPREADS = [(0.3, 0.0), (1.0, 0.3), (1.5, 0.6)]


@pytest.mark.parametrize(("eta_sd", "shape_sd"), SPREADS)
@pytest.mark.parametrize(("eta", "log_shape"), [(-1.0, 0.0), (0.4, 0.4), (1.5, -0.5)])
def test_averages_over_studies_agree_with_the_trapezoid(eta, log_shape, eta_sd, shape_sd) -> None:
    """The error promised is 1e-3; what is kept is 1e-5, in survival and, relative to it, in hazard, median and mean."""
    effects = (eta, log_shape, eta_sd, shape_sd)
    of, times = population(*effects), np.array([2.0, 6.0, 12.0, 24.0, 60.0])
    level, shape, weight = grid(*effects)
    alive = [expected_survival(time, *effects) for time in times]
    np.testing.assert_allclose(quadrature.survival(of, times)[0, 0], alive, atol=1e-5)
    for time in (2.0, 12.0):
        survivors = weight * np.exp(-np.exp(shape * np.log(time / T0) + level))
        hazard = (survivors * shape / time * np.exp(shape * np.log(time / T0) + level)).sum() / survivors.sum()
        assert quadrature.hazard(of, np.array([time]))[0, 0, 0] == pytest.approx(hazard, rel=2e-4)
    assert quadrature.rmst(of, 24.0)[0, 0] == pytest.approx(expected_area(24.0, *effects), abs=2e-4)
    median = float(quadrature.quantile(of, 0.5)[0, 0])
    assert expected_survival(median, *effects) == pytest.approx(0.5, abs=1e-5)


def test_average_given_alive_lets_survivors_reweight_the_effects() -> None:
    """Decision 15 (docs/decisions.md): E[S(t)] / E[S(s)], and not E[S(t) / S(s)], which here differs in the second
    digit.
    """
    effects = (0.5, 0.2, 1.0, 0.2)
    of = population(*effects)
    found = float(quadrature.survival(of, np.array([24.0]), alive_at=12.0)[0, 0, 0])
    assert found == pytest.approx(expected_survival(24.0, *effects) / expected_survival(12.0, *effects), abs=1e-5)
    level, shape, weight = grid(*effects)
    wrong = (weight * np.exp(np.exp(level) - np.exp(shape * np.log(2.0) + level))).sum()
    assert abs(found - wrong) > 0.05
    median = float(quadrature.quantile(of, 0.5, alive_at=12.0)[0, 0])
    alive = expected_survival(median, *effects) / expected_survival(12.0, *effects)
    assert alive == pytest.approx(0.5, abs=1e-5)


def test_marginal_hazard_is_the_slope_of_the_average_curve() -> None:
    """E[h S] / E[S] = -d log E[S] / dt, by central differences of the trapezoid."""
    effects, step = (0.5, 0.2, 0.8, 0.2), 1e-4
    up, down = (np.log(expected_survival(12.0 + sign * step, *effects)) for sign in (1, -1))
    found = float(quadrature.hazard(population(*effects), np.array([12.0]))[0, 0, 0])
    assert found == pytest.approx(-(up - down) / (2 * step), rel=1e-6)


def test_averaging_comes_before_comparing() -> None:
    """With a common hazard ratio of 0.5 in every study the marginal one is nearer to 1, and moves with time."""
    log_hr, sd = np.log(0.5), 1.0
    of = population([[0.5, 0.5 + log_hr]], [[0.0, 0.0]], [[sd, sd]], [[0.0, 0.0]])
    hazard = quadrature.hazard(of, np.array([3.0, 24.0]))[0]
    marginal = hazard[1] / hazard[0]
    for k, time in enumerate((3.0, 24.0)):
        by_hand = []
        for eta in (0.5, 0.5 + log_hr):
            level, _, weight = grid(eta, 0.0, sd, 0.0)
            survivors = weight * np.exp(-time / T0 * np.exp(level))
            by_hand.append((survivors * np.exp(level) / T0).sum() / survivors.sum())
        assert marginal[k] == pytest.approx(by_hand[1] / by_hand[0], abs=1e-4)
    assert 0.53 < marginal[0] < marginal[1]
    assert marginal[1] > 0.6


@pytest.mark.parametrize("alive_at", [0.0, 7.0])
@pytest.mark.parametrize("q", [0.01, 0.25, 0.5, 0.99])
def test_quantile_and_survival_are_inverse(q: float, alive_at: float) -> None:
    rng = np.random.default_rng(3)
    eta, log_shape = rng.normal(0, 1, (15, 3)), rng.normal(0, 0.3, (15, 3))
    sds = rng.uniform(0, 1, (15, 3)), rng.uniform(0, 0.4, (15, 3))
    of = Population(WEIBULL, T0, eta, log_shape[..., None], *sds)
    at = quadrature.quantile(of, q, alive_at=alive_at)
    back = [
        quadrature.survival(of.part(slice(i, i + 1)), at[i], alive_at=alive_at)[0].diagonal() for i in range(len(at))
    ]
    np.testing.assert_allclose(back, 1 - q, rtol=1e-6)
    assert (at > alive_at).all()


def test_chunks_do_not_change_an_answer(monkeypatch) -> None:
    rng = np.random.default_rng(4)
    arrays = (rng.normal(0, 1, (12, 2)), rng.normal(0, 0.3, (12, 2)), rng.uniform(0, 1, (12, 2)))
    eta, log_shape, eta_sd = arrays
    of = Population(WEIBULL, T0, eta, log_shape[..., None], eta_sd, np.full((12, 2), 0.2))
    whole = quadrature.survival(of, np.array([3.0, 9.0])), quadrature.rmst(of, 24.0), quadrature.quantile(of, 0.5)
    monkeypatch.setattr(quadrature, "CHUNK", 5)
    parts = quadrature.survival(of, np.array([3.0, 9.0])), quadrature.rmst(of, 24.0), quadrature.quantile(of, 0.5)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def everything(of: Population) -> dict[str, np.ndarray]:
    times = np.array([1e-6, 0.5, 6.0, 40.0, 500.0])
    later = {"alive": quadrature.survival(of, times[2:], alive_at=5.0), "left": quadrature.rmst(of, 24.0, alive_at=5.0)}
    found = {"survival": quadrature.survival(of, times), "hazard": quadrature.hazard(of, times)}
    return {**found, **later, "rmst": quadrature.rmst(of, 24.0), "median": quadrature.quantile(of, 0.5)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exponential", "weibull", "gompertz", "piecewise"])
def test_the_compiled_average_over_levels_is_the_general_one(name: str, monkeypatch) -> None:
    """Levels from far below to far above, where survival underflows, and draws in which the level does not vary."""
    rng, size, family = np.random.default_rng(7), (40, 3), FAMILIES[name]
    family = family.on_knots((0.5, 1.0), 3.0) if family.on_knots else family
    eta, eta_sd = rng.normal(0, 3, size), rng.uniform(0, 1.5, size)
    eta_sd[:3] = 0.0
    eta[3:5] = [[-40.0], [9.0]]
    shape_sd = rng.uniform(0, 0.6, size) * (family.varies is not None)
    of = Population(family, T0, eta, rng.normal(0, 0.5, (*size, family.width)), eta_sd, shape_sd)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        fast = everything(of)
        monkeypatch.setattr(quadrature, "_level_is_a_factor", lambda of: False)
        slow = everything(of)
    for key in fast:
        np.testing.assert_allclose(fast[key], slow[key], rtol=1e-9, atol=1e-290, err_msg=key)


def test_a_quantile_that_is_found_is_not_left_again(monkeypatch) -> None:
    """Newton stops in a few steps; a root met exactly was once taken for an end that may not be touched."""
    rng, steps, moments = np.random.default_rng(3), [], quadrature._moments
    eta, log_shape, eta_sd = rng.normal(0, 1, (500, 3)), rng.normal(0, 0.3, (500, 3)), rng.uniform(0.1, 1, (500, 3))
    of = Population(WEIBULL, T0, eta, log_shape[..., None], eta_sd, np.full((500, 3), 0.1))

    def counted(of: Population, *given, **more):
        steps.append(len(of.eta))
        return moments(of, *given, **more)

    monkeypatch.setattr(quadrature, "_moments", counted)
    quadrature.quantile(of, 0.5)
    assert len(steps) < 10
    assert sum(steps) < 6 * 500
