"""Every hazard family against a second way to its numbers: mpmath, scipy, quadrature of the hazard, or another family.

A family is called through its record only, at times t / t0, so that what is tested is what the model and the estimands
read. Witnesses are written in a family's textbook form, not in the package's.
"""

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytensor.tensor as pt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.quadrature import Population
from bayes_bm.hazards import FAMILIES, Family
from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.modifiers.cure import Cured
from bayes_bm.hazards.numerics import gamma_tail
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR, Shape, shape_of
from tests.builders.walks import Backward

T0 = 12.0
KNOTS = ((0.25, 0.5, 0.9, 1.4), 2.0)
"""As t / t0."""
PARAMETRIC = [name for name, family in FAMILIES.items() if not family.flexible]
FLEXIBLE = [name for name, family in FAMILIES.items() if family.flexible]


def family_of(name: str) -> Family:
    """`name`, or `name+cure`; a flexible one on the test's knots."""
    family = FAMILIES[name.removesuffix("+cure")]
    family = family.on_knots(*KNOTS) if family.on_knots else family
    return Cured(family) if name.endswith("+cure") else family


def values(family: Family, time: Any, eta: float, shape: Any) -> tuple[np.ndarray, np.ndarray]:
    """H and h at t / t0."""
    placed_time = family.place(np.log(np.asarray(time, dtype=float)))
    shape = np.asarray(shape, dtype=float)
    return tuple(
        np.exp(formula(placed_time, eta, shape, xp=NUMPY)) for formula in (family.log_cum_hazard, family.log_hazard)
    )


def log_values(family: Family, time: Any, eta: float, shape: Any) -> tuple[np.ndarray, np.ndarray]:
    placed_time = family.place(np.log(np.asarray(time, dtype=float)))
    shape = np.asarray(shape, dtype=float)
    return tuple(formula(placed_time, eta, shape, xp=NUMPY) for formula in (family.log_cum_hazard, family.log_hazard))


# ------------------------------------------------------------------------------------------------- closed forms

mp.mp.dps = 50


def gengamma(eta: float, sd: float, q: float):
    """Survival and density by the incomplete gamma function (flexsurv's `gengamma`), at 50 digits."""

    def survival(u):
        w = (mp.log(u) - eta) / mp.mpf(sd)
        if q == 0:
            return mp.ncdf(-w)
        a = mp.mpf(q) ** -2
        x = a * mp.exp(q * w)
        return mp.gammainc(a, x, mp.inf, regularized=True) if q > 0 else mp.gammainc(a, 0, x, regularized=True)

    def density(u):
        w = (mp.log(u) - eta) / mp.mpf(sd)
        if q == 0:
            return mp.npdf(w) / (u * sd)
        a = mp.mpf(q) ** -2
        return abs(q) * a**a * mp.exp(a * (q * w - mp.exp(q * w))) / (mp.gamma(a) * sd * u)

    return survival, density


def of_hazard(cum, hazard):
    return (lambda u: mp.exp(-cum(u))), (lambda u: hazard(u) * mp.exp(-cum(u)))


def gompertz(eta: float, g: float):
    scale = mp.exp(eta) * (1 if g == 0 else g / mp.expm1(mp.mpf(g)))
    total = (lambda u: scale * u) if g == 0 else (lambda u: scale * mp.expm1(g * u) / g)
    return of_hazard(total, lambda u: scale * mp.exp(g * u))


def makeham(eta: float, g: float, logit: float):
    """lambda + a exp(g u) with the share of H(1) that lambda has."""
    share = 1 / (1 + mp.exp(-mp.mpf(logit)))
    constant, rest = mp.exp(eta) * share, mp.exp(eta) * (1 - share)
    a, total = (rest, lambda u: u) if g == 0 else (rest * g / mp.expm1(g), lambda u: mp.expm1(g * u) / g)
    return of_hazard(lambda u: constant * u + a * total(u), lambda u: constant + a * mp.exp(g * u))


def two_weibulls(eta: float, shape: tuple[float, ...]):
    """p S1 + (1 - p) S2 by the groups' shapes and scales."""
    log_shape, log_ratio, log_gap, logit = (mp.mpf(value) for value in shape)
    p, gap = 1 / (1 + mp.exp(-logit)), mp.exp(log_gap)
    groups = [
        (p, weibull(-(eta - (1 - p) * gap) * mp.exp(log_shape), mp.exp(log_shape))),
        (1 - p, weibull(-(eta + p * gap) * mp.exp(log_shape + log_ratio), mp.exp(log_shape + log_ratio))),
    ]
    return (
        lambda u: mp.fsum(share * survival(u) for share, (survival, _) in groups),
        lambda u: mp.fsum(share * density(u) for share, (_, density) in groups),
    )


def weibull(eta: float, k: float):
    return of_hazard(lambda u: mp.exp(eta) * u**k, lambda u: mp.exp(eta) * k * u ** (k - 1))


def loglogistic(eta: float, k: float):
    odds = lambda u: (u / mp.exp(eta)) ** k  # noqa: E731
    return (lambda u: 1 / (1 + odds(u))), (lambda u: k / u * odds(u) / (1 + odds(u)) ** 2)


def witness(name: str, eta: float, shape: tuple[float, ...]):
    """(S, f) as functions of u = t / t0, in mpmath."""
    eta = mp.mpf(eta)
    first = mp.mpf(shape[0]) if shape else mp.mpf(0)
    match name:
        case "exponential":
            return weibull(eta, 1)
        case "exponential_aft":
            return weibull(-eta, 1)
        case "weibull":
            return weibull(eta, mp.exp(first))
        case "weibull_aft":
            return weibull(-eta * mp.exp(first), mp.exp(first))
        case "gompertz":
            return gompertz(eta, first)
        case "gompertz_makeham":
            return makeham(eta, first, shape[1])
        case "weibull_mixture":
            return two_weibulls(eta, shape)
        case "loglogistic":
            return loglogistic(eta, mp.exp(first))
        case "lognormal":
            return gengamma(eta, mp.exp(first), 0)
        case "gengamma":
            return gengamma(eta, mp.exp(first), mp.mpf(shape[1]))
        case "gamma":
            a = mp.exp(first)
            rate = a / mp.exp(eta)
            survival = lambda u: mp.gammainc(a, rate * u, mp.inf, regularized=True)  # noqa: E731
            return survival, lambda u: rate**a * u ** (a - 1) * mp.exp(-rate * u) / mp.gamma(a)
    raise AssertionError(name)


SHAPES: dict[str, list[tuple[float, ...]]] = {
    "exponential": [()],
    "exponential_aft": [()],
    "weibull": [(-3.0,), (-0.5,), (0.0,), (0.7,), (3.0,)],
    "weibull_aft": [(-3.0,), (-0.5,), (0.7,), (3.0,)],
    "gompertz": [(-6.0,), (-0.3,), (-1e-7,), (0.0,), (1e-3,), (0.5,), (4.0,)],
    "gompertz_makeham": [(-6.0, 0.3), (-0.3, -2.0), (0.0, 0.5), (0.5, -30.0), (1.5, 3.0), (4.0, 0.0), (1.0, 40.0)],
    "loglogistic": [(-3.0,), (-0.5,), (0.0,), (1.2,), (3.0,)],
    "lognormal": [(-3.0,), (-0.5,), (0.4,), (3.0,)],
    "gamma": [(-3.0,), (-0.7,), (0.0,), (1.0,), (3.0,)],
    "gengamma": [(-0.4, q) for q in (-5.0, -1.0, -0.3, 0.0, 0.1, 0.31, 1.0, 2.5, 6.0)] + [(-3.0, 0.5), (2.0, -0.5)],
    "weibull_mixture": [(0.0, 0.0, 0.0, 0.0), (0.3, -0.4, 0.5, -1.0), (-0.7, 0.6, -1.0, 1.5), (1.0, 0.2, 1.0, 3.0)],
}
TIMES = [1e-6, 0.01, 0.2, 0.7, 1.0, 1.7, 4.0, 30.0]


@pytest.mark.parametrize("name", PARAMETRIC)
@pytest.mark.parametrize("eta", [-1.5, 0.0, 0.8])
def test_log_density_and_cumulative_hazard_are_the_textbooks(name: str, eta: float) -> None:
    family = family_of(name)
    for shape in SHAPES[name]:
        survival, density = witness(name, eta, shape)
        for u in TIMES:
            alive, log_density = survival(mp.mpf(u)), mp.log(density(mp.mpf(u))) if density(mp.mpf(u)) > 0 else None
            if log_density is None or log_density < -1e5:
                continue
            log_cum, log_hazard = (float(value) for value in log_values(family, u, eta, shape))
            if 1 - alive > mp.mpf(10) ** -35:  # the witness has 50 digits
                assert log_cum == pytest.approx(float(mp.log(-mp.log(alive))), rel=1e-10, abs=1e-10), (shape, u)
            assert log_hazard - np.exp(log_cum) == pytest.approx(float(log_density), rel=1e-10, abs=1e-10), (shape, u)


@pytest.mark.parametrize("name", PARAMETRIC)
@pytest.mark.parametrize("p", [1e-6, 0.1, 0.5, 0.9, 1 - 1e-6])
def test_quantiles_put_the_witness_at_their_share(name: str, p: float) -> None:
    family = family_of(name)
    for shape in SHAPES[name]:
        log_u = float(inverse(family, np.log(-np.log1p(-p)), 0.3, np.array(shape, dtype=float), xp=NUMPY))
        survival, density = witness(name, 0.3, shape)
        if not np.isfinite(log_u):
            assert name == "gompertz"
            assert survival(mp.mpf(10) ** 6) > 1 - p
            continue
        u = mp.exp(mp.mpf(log_u))
        # the error of log u, by the slope of S in log time
        assert abs(float((survival(u) - (1 - mp.mpf(p))) / (density(u) * u))) < 1e-10 * max(1, abs(log_u)), shape


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETRIC)
def test_restricted_mean_is_the_integral_of_the_witness(name: str) -> None:
    family, horizon = family_of(name), 2.0
    for shape in SHAPES[name]:
        if name not in ("gompertz", "gengamma") and shape and abs(shape[0]) > 1.5:
            continue  # S drops within a hundredth of the horizon, or has a root of order 20 at zero
        if name == "gengamma" and (abs(shape[0]) > 1 or abs(shape[1]) > 3):
            continue
        survival, _ = witness(name, 0.3, shape)
        parts = [mp.mpf(0), *(mp.mpf(10) ** -k for k in (8, 6, 4, 3, 2, 1)), mp.mpf("0.5"), mp.mpf(1), mp.mpf(horizon)]
        mp.mp.dps = 20
        # of incomplete gamma functions, which are slow, 24 nodes in each part: within 4e-12 of the tanh-sinh rule
        rule: dict[str, Any] = {"method": "gauss-legendre", "maxdegree": 3} if name in ("gamma", "gengamma") else {}
        area = float(mp.quad(survival, parts, **rule)) * T0
        mp.mp.dps = 50
        population = Population(family, T0, np.array([[0.3]]), np.array([[shape]], dtype=float), *np.zeros((2, 1, 1)))
        assert quadrature.rmst(population, horizon * T0)[0, 0] == pytest.approx(area, rel=1e-10), shape


# ------------------------------------------------------------------------------------------------- flexible and cured

COEFFICIENTS = {"piecewise": [0.0, 0.8, -0.5, 0.3, 1.1], "mspline": [0.0, 0.5, 1.4, 0.2, -0.7, -0.4, 0.6, 0.1]}


def shape_for(name: str) -> np.ndarray:
    base = name.removesuffix("+cure")
    stated = {"gengamma": [-0.2, 0.4], "gompertz": [-0.5], "weibull_mixture": [0.3, -0.2, 0.1, 0.4]}
    coefficients = COEFFICIENTS.get(base) or stated.get(base)
    coefficients = [0.3] * len(FAMILIES[base].shapes) if coefficients is None else coefficients
    return np.array([*coefficients, *([-0.8] if name.endswith("+cure") else [])], dtype=float)


EVERY = [*FAMILIES, *(f"{name}+cure" for name in FAMILIES)]


def integrals(function: Callable[[np.ndarray], np.ndarray], edges: Any) -> np.ndarray:
    """Between neighbouring edges, by the tanh-sinh rule: nodes of all pieces in one call, and none is an edge."""
    found = integrate.tanhsinh(function, edges[:-1], edges[1:], atol=0, rtol=1e-12)
    assert found.success.all()
    return found.integral


@pytest.mark.parametrize("name", EVERY)
def test_cumulative_hazard_is_the_integral_of_the_hazard(name: str) -> None:
    family, shape = family_of(name), shape_for(name)
    edges = np.array([1e-12, 1e-6, 1e-3, 0.05, 0.25, 0.5, 0.9, 1.4, 2.0, 3.0, 6.0])
    areas = integrals(lambda x: values(family, np.exp(x), 0.2, shape)[1] * np.exp(x), np.log(edges))
    cum = values(family, edges, 0.2, shape)[0]
    np.testing.assert_allclose(cum[0] + np.cumsum(areas), cum[1:], rtol=1e-10)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("horizon", [0.3, 1.0, 5.0])
def test_restricted_mean_is_split_where_the_hazard_is_not_smooth(name: str, horizon: float) -> None:
    family, shape = family_of(name), shape_for(name)
    edges = [0.0, *(knot for knot in (*KNOTS[0], KNOTS[1]) if knot < horizon), horizon]
    area = integrals(lambda u: np.exp(-values(family, u, 0.2, shape)[0]), edges).sum()
    population = Population(family, T0, np.array([[0.2]]), shape[None, None, :], *np.zeros((2, 1, 1)))
    assert quadrature.rmst(population, horizon * T0)[0, 0] == pytest.approx(area * T0, rel=1e-10)


@pytest.mark.parametrize("name", EVERY)
def test_time_and_cumulative_hazard_are_inverse(name: str) -> None:
    family, shape = family_of(name), shape_for(name)
    log_cum, eta = (grid.ravel() for grid in np.meshgrid(np.linspace(-12, 3, 41), np.linspace(-2, 2, 9)))
    shapes = np.tile(shape, (len(eta), 1))
    log_u = inverse(family, log_cum, eta, shapes, xp=NUMPY)
    is_reached, near = np.isfinite(log_u), log_u < 30
    assert near.any()
    last, _ = log_values(family, np.exp(50.0), eta[~is_reached], shapes[~is_reached])
    assert (last < log_cum[~is_reached] + 1e-9).all()
    log_u, log_cum = log_u[near], log_cum[near]
    reached, log_hazard = log_values(family, np.exp(log_u), eta[near], shapes[near])
    slope = np.exp(log_u + log_hazard - reached)
    assert (np.abs(reached - log_cum) / np.minimum(1.0, slope) < 1e-9).all()


def test_every_eta_of_proportional_hazards_is_the_log_cumulative_hazard_at_t0() -> None:
    for name in FAMILIES:
        family = family_of(name)
        if family.effect == "hazard":
            assert float(log_values(family, 1.0, -0.7, shape_for(name))[0]) == pytest.approx(-0.7, abs=1e-14)


def test_splines_and_pieces_are_what_they_are_called() -> None:
    from scipy.interpolate import BSpline

    family, shape = family_of("mspline"), shape_for("mspline")
    inner, end = KNOTS
    basis = BSpline(np.array([*[0.0] * 4, *inner, *[end] * 4]), np.exp(shape), 3)
    u = np.array([0.05, 0.4, 1.0, 1.9])
    hazards = values(family, u, 0.2, shape)[1]
    np.testing.assert_allclose(hazards / hazards[2], basis(u) / basis(1.0), rtol=1e-12)
    late = values(family, [2.0, 3.0, 50.0], 0.2, shape)[1]
    np.testing.assert_allclose(late, late[0], rtol=1e-12)
    pieces = values(family_of("piecewise"), [0.1, 0.3, 0.7, 1.0, 1.9, 9.0], 0.2, COEFFICIENTS["piecewise"])[1]
    np.testing.assert_allclose(np.log(pieces / pieces[0]), [0, 0.8, -0.5, 0.3, 1.1, 1.1], atol=1e-12)


@pytest.mark.parametrize("name", FLEXIBLE)
@pytest.mark.parametrize(
    "knots", [((), 2.0), ((1.0,), 2.0), ((0.1, 0.2, 0.25), 2.0), (tuple(np.arange(1, 20) / 10), 2.0)]
)
def test_the_walk_has_the_same_spread_wherever_the_knots_are(name: str, knots: tuple) -> None:
    """Of an M-spline the variance of the whole walk is one; of pieces, one less half the first and half the last."""
    family = FAMILIES[name].on_knots(*knots)
    location = np.array(family.knots.location)
    assert family.knots.step.sum() == pytest.approx((location[-1] - location[0]) / knots[1], abs=1e-12)
    if name == "mspline":
        assert family.knots.step.sum() == pytest.approx(1.0)
        assert location[0] == 0
        assert location[-1] == pytest.approx(knots[1])


# ------------------------------------------------------------------------------------------------- reductions

ETA = st.floats(-3, 3)
LOG_U = st.floats(-8, 2)
EXACT = {"rel": 1e-12, "abs": 1e-12}


def same(one: tuple, other: tuple, **tolerance: float) -> None:
    for first, second in zip(one, other, strict=True):
        assert float(first) == pytest.approx(float(second), **(tolerance or EXACT))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(eta=ETA, log_u=LOG_U, log_sd=st.floats(-1.5, 1.5))
def test_generalised_gamma_reduces_to_weibull_lognormal_and_gamma(eta: float, log_u: float, log_sd: float) -> None:
    u = np.exp(log_u)
    assume(abs(log_u - eta) * np.exp(-log_sd) < 30)
    general = family_of("gengamma")
    same(
        log_values(general, u, eta, (log_sd, 1.0)),
        log_values(family_of("weibull_aft"), u, eta, (-log_sd,)),
        rel=1e-10,
        abs=1e-10,
    )
    same(
        log_values(general, u, eta, (log_sd, 0.0)),
        log_values(family_of("lognormal"), u, eta, (log_sd,)),
        rel=1e-10,
        abs=1e-10,
    )
    same(log_values(general, u, eta, (log_sd, np.exp(log_sd))), log_values(family_of("gamma"), u, eta, (-2 * log_sd,)))
    exponential = log_values(family_of("exponential_aft"), u, eta, ())
    same(log_values(family_of("gamma"), u, eta, (0.0,)), exponential, rel=1e-10, abs=1e-10)
    # two groups at one place, and one group that nobody is of
    one_weibull = log_values(family_of("weibull_aft"), u, eta, (-log_sd,))
    same(log_values(family_of("weibull_mixture"), u, eta, (-log_sd, 0.0, -50.0, 0.4)), one_weibull, abs=1e-10)
    late = log_values(family_of("weibull_mixture"), u, eta, (-log_sd - 0.3, 0.3, np.log(2.0), -60.0))
    same(late, one_weibull, abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(eta=ETA, log_u=LOG_U, slope=st.floats(-3, 3))
def test_makeham_is_gompertz_and_exponential_at_its_ends(eta: float, log_u: float, slope: float) -> None:
    u, family = np.exp(log_u), family_of("gompertz_makeham")
    same(log_values(family, u, eta, (slope, -700.0)), log_values(family_of("gompertz"), u, eta, (slope,)))
    same(log_values(family, u, eta, (slope, 700.0)), log_values(family_of("exponential"), u, eta, ()))
    same(log_values(family, u, eta, (0.0, 0.3)), log_values(family_of("exponential"), u, eta, ()))


@settings(max_examples=60, deadline=None)
@given(eta=ETA, log_u=LOG_U, log_shape=st.floats(-2, 2))
def test_weibulls_of_both_kinds_are_one_law(eta: float, log_u: float, log_shape: float) -> None:
    u = np.exp(log_u)
    one = log_values(family_of("weibull"), u, -eta * np.exp(log_shape), (log_shape,))
    same(one, log_values(family_of("weibull_aft"), u, eta, (log_shape,)))
    same(log_values(family_of("exponential"), u, -eta, ()), log_values(family_of("exponential_aft"), u, eta, ()))


@settings(max_examples=60, deadline=None)
@given(eta=ETA, log_u=LOG_U)
def test_a_constant_hazard_is_inside_every_proportional_family(eta: float, log_u: float) -> None:
    u = np.exp(log_u)
    constant = log_values(family_of("exponential"), u, eta, ())
    for name, shape in {"weibull": (0.0,), "gompertz": (0.0,), "piecewise": (0.0,) * 5, "mspline": (0.0,) * 8}.items():
        same(log_values(family_of(name), u, eta, shape), constant)
    alone = FAMILIES["piecewise"].on_knots((), 2.0)
    same(log_values(alone, u, eta, (0.0,)), constant)


@pytest.mark.parametrize("name", list(FAMILIES))
@settings(max_examples=25, deadline=None)
@given(eta=ETA, log_u=LOG_U)
def test_nobody_cured_is_the_family_without_cure(name: str, eta: float, log_u: float) -> None:
    u, shape = np.exp(log_u), shape_for(name)
    with np.errstate(invalid="ignore"):
        one = log_values(Cured(family_of(name)), u, eta, (*shape, -np.inf))
    same(one, log_values(family_of(name), u, eta, shape))


@settings(max_examples=40, deadline=None)
@given(eta=ETA, log_u=LOG_U, logit=st.floats(-6, 6))
def test_a_cured_share_mixes_survival(eta: float, log_u: float, logit: float) -> None:
    share = mp.mpf(1) / (1 + mp.exp(-mp.mpf(logit)))
    survival, density = weibull(mp.mpf(eta), mp.exp(mp.mpf("0.3")))
    u = mp.mpf(np.exp(log_u))
    alive = share + (1 - share) * survival(u)
    log_cum, log_hazard = log_values(family_of("weibull+cure"), np.exp(log_u), eta, (0.3, logit))
    assert float(log_cum) == pytest.approx(float(mp.log(-mp.log(alive))), rel=1e-10, abs=1e-9)
    assume(density(u) > mp.mpf(10) ** -200)
    assert float(log_hazard) == pytest.approx(float(mp.log((1 - share) * density(u) / alive)), rel=1e-10, abs=1e-9)


def test_tail_of_the_generalised_gamma_is_the_incomplete_gamma_function() -> None:
    for q in (-20.0, -3.0, -0.31, -0.29, -0.02, 0.0, 0.02, 0.29, 0.31, 1.5, 5.0, 20.0):
        survival, _ = gengamma(0.0, 1.0, q)
        for y in (0.0, 0.01, 1.0, 6.0, 15.0):
            if q * y <= 12:
                expected = float(mp.log(survival(mp.exp(mp.mpf(y)))))
                assert float(gamma_tail.log_tail(y, q)) == pytest.approx(expected, rel=1e-10, abs=3e-12), (q, y)


@pytest.mark.parametrize("q", [-1e-3, -1e-6, 1e-9, 1e-5])
def test_tail_is_smooth_through_the_normal_law(q: float) -> None:
    """By the integral of exp(-g), g = (exp(q w) - q w - 1) / q^2, where the incomplete gamma does not converge."""

    def weight(w):
        return mp.exp(-(mp.expm1(q * w) - q * w) / mp.mpf(q) ** 2)

    rule: dict[str, Any] = {"method": "gauss-legendre", "maxdegree": 4}
    with mp.workdps(30):
        whole = mp.quad(weight, [-16, -6, 0, 6, 16], **rule)
        for y in (0.0, 1.0, 4.0):
            tail = mp.quad(weight, [y, y + 1, y + 4, y + 16], **rule)
            assert float(gamma_tail.log_tail(y, q)) == pytest.approx(float(mp.log(tail / whole)), rel=1e-11)


@pytest.mark.parametrize("q", [-5.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("y", [0.01, 0.5, 2.5])
def test_slopes_of_the_tail_are_its_differences(q: float, y: float) -> None:
    h = 1e-5
    by_y, by_q = gamma_tail.log_tail_slopes(y, q)
    rise = [gamma_tail.log_tail(y + s * h, q) for s in (1, -1)]
    turn = [gamma_tail.log_tail(y, q + s * h) for s in (1, -1)]
    assert float(by_y) == pytest.approx(float(rise[0] - rise[1]) / (2 * h), rel=1e-7, abs=1e-8)
    assert float(by_q) == pytest.approx(float(turn[0] - turn[1]) / (2 * h), rel=1e-7, abs=1e-8)


# ------------------------------------------------------------------------------------------------- gradients


class Graph:
    """Graphs of a family's functions of times, eta and shape, gone through at numbers (`walks`), not compiled."""

    def __init__(self, family: Family, formulas: Callable[..., list[Any]]) -> None:
        self.family = family
        self.time = pt.matrix("time") if family.basis else pt.vector("time")
        self.eta = pt.vector("eta")
        columns = [pt.vector(f"s{k}") for k in range(len(family.shapes))]
        wide = pt.matrix("wide") if family.knots else None
        self.inputs = [self.eta, *([] if wide is None else [wide]), *columns]
        self.backward = Backward(formulas(self.time, self.eta, shape_of(columns, wide)), self.inputs)

    def __call__(self, time: np.ndarray, eta: np.ndarray, shape: np.ndarray) -> tuple[list[Any], list[Any]]:
        """Values, and for each the derivatives of its sum by eta and shape."""
        size = shape.shape[-1] - len(self.family.shapes)
        wide = [shape[:, :size]] if self.family.knots else []
        inputs = [eta, *wide, *shape[:, size:].T]
        point = dict(zip([str(one.name) for one in (self.time, *self.inputs)], [time, *inputs], strict=True))
        walk = self.backward.walk
        known = walk.all_values({}, point)
        values = [walk.value(output, known, point) for output in walk.outputs]
        slopes = []
        for k, value in enumerate(values):
            only: list[Any] = [None] * len(values)
            only[k] = np.ones_like(value)
            slopes.append(self.backward.back(known, point, only))
        return values, slopes


CORNERS = np.array([-1e4, -700.0, -50.0, -5.0, -1e-9, 0.0, 0.5, 3.0])
"""log u; the first is NO_ENTRY."""


@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_finite_at_the_corners_and_the_graph_is_the_array_formula(name: str) -> None:
    family = family_of(name)

    def formulas(*arguments: Any) -> list[Any]:
        log_cum, log_hazard = (formula(*arguments, xp=TENSOR) for formula in (family.log_cum_hazard, family.log_hazard))
        # what enters likelihoods is H itself and log h
        return [log_cum, log_hazard, pt.exp(pt.minimum(log_cum, 700.0))]

    graph = Graph(family, formulas)
    extremes = {
        "log_shape": np.log([0.05, 1.0, 20.0]),
        "log_sd": -np.log([0.05, 1.0, 20.0]),
        "slope": [-8.0, 0.0, 3.0],
        "q": [-3.0, 0.0, 1e-5, 3.0],
        "logit_constant": [-30.0, 0.0, 30.0],
        "log_shape_ratio": [-1.0, 1.0],
        "log_gap": [-5.0, 1.5],
        "logit_early": [-30.0, 0.0, 5.0],
        "logit_cure": [-30.0, 0.0, 5.0],
    }
    width = len(family.knots.location) if family.knots else 0
    walks = [np.zeros(width), np.linspace(0, 6, width)] if width else [np.zeros(0)]
    grids = np.meshgrid(*(extremes[shape] for shape in family.shapes), indexing="ij")
    rows = np.stack([grid.ravel() for grid in grids], axis=-1) if family.shapes else np.zeros((1, 0))
    # every walk, row, eta and time in one call
    cases = [(np.concatenate([walk, row]), eta) for walk in walks for row in rows for eta in (-4.0, 0.0, 4.0)]
    log_u = np.tile(CORNERS, len(cases))
    shape = np.repeat([shape for shape, _ in cases], len(CORNERS), axis=0)
    etas = np.repeat([eta for _, eta in cases], len(CORNERS))
    with np.errstate(all="ignore"):
        outputs, slopes = graph(family.place(log_u), etas, shape)
        expected = [
            formula(family.place(log_u), etas, shape, xp=NUMPY)
            for formula in (family.log_cum_hazard, family.log_hazard)
        ]
    # where H is beyond exp(60) the density is zero, and the sampler turns back
    is_likely = np.asarray(expected[0]) < 60
    for ours, theirs in zip(outputs[:2], expected, strict=True):
        np.testing.assert_allclose(ours[is_likely], theirs[is_likely], rtol=1e-10, atol=1e-9)
    for slope in (*slopes[1], *slopes[2]):
        assert np.isfinite(np.asarray(slope)[is_likely]).all(), name


@pytest.mark.parametrize("name", EVERY)
def test_a_median_in_the_graph_is_the_arrays_with_the_derivative_of_its_differences(name: str) -> None:
    family, given_shape = family_of(name), shape_for(name)
    if name.endswith("+cure"):
        given_shape[-1] = -3.0

    def formulas(_: Any, eta: Any, shape: Any) -> list[Any]:
        return [inverse(family, pt.log(np.log(2)) + 0 * eta, eta, shape, xp=TENSOR)]

    graph = Graph(family, formulas)
    [output], [slopes] = graph(np.zeros(1), np.array([0.3]), given_shape[None])

    def median(eta: float, shape: np.ndarray) -> float:
        return float(inverse(family, np.array(np.log(np.log(2))), np.array(eta), shape, xp=NUMPY))

    assert float(output[0]) == pytest.approx(median(0.3, given_shape), abs=1e-11)
    h = 1e-5
    assert float(slopes[0][0]) == pytest.approx(
        (median(0.3 + h, given_shape) - median(0.3 - h, given_shape)) / (2 * h), abs=1e-7
    )
    ours = np.concatenate([np.ravel(slope) for slope in slopes[1:]]) if len(given_shape) else np.zeros(0)
    for k, step in enumerate(np.eye(len(given_shape)) * h):
        rise = (median(0.3, given_shape + step) - median(0.3, given_shape - step)) / (2 * h)
        assert ours[k] == pytest.approx(rise, abs=1e-7)


def test_a_shape_is_read_in_known_ways_only() -> None:
    with pytest.raises(TypeError, match="a shape is read as"):
        Shape([1.0])[0]


@pytest.mark.slow
def test_average_over_studies_of_an_accelerated_family() -> None:
    """E[S] over eta ~ N is again log-normal: log T = eta + sd w with both normal."""
    population = Population(
        FAMILIES["lognormal"], T0, np.array([[0.2]]), np.array([[[-0.4]]]), np.array([[0.7]]), np.zeros((1, 1))
    )
    wide = stats.lognorm(np.sqrt(0.7**2 + np.exp(-0.8)), scale=T0 * np.exp(0.2))
    times = np.array([1.0, 6.0, 12.0, 60.0])
    np.testing.assert_allclose(quadrature.survival(population, times)[0, 0], wide.sf(times), atol=1e-7)
    np.testing.assert_allclose(quadrature.hazard(population, times)[0, 0], wide.pdf(times) / wide.sf(times), rtol=1e-5)
    assert quadrature.quantile(population, 0.5)[0, 0] == pytest.approx(wide.ppf(0.5), rel=1e-6)
