"""Known answers of hazard families and of averages over studies."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import integrate, optimize, stats

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.quadrature import Population
from bayes_bm.hazards import FAMILIES, Family
from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.validation.known_answers.record import Known

ETA = 0.3
SHAPES: Mapping[str, tuple[float, ...]] = {
    "exponential": (),
    "weibull": (0.25,),
    "gompertz": (0.4,),
    "exponential_aft": (),
    "weibull_aft": (0.25,),
    "lognormal": (-0.1,),
    "loglogistic": (0.3,),
    "gamma": (0.2,),
    "gengamma": (-0.1, 0.6),
    "gompertz_makeham": (0.4, -0.5),
    "weibull_mixture": (0.25, 0.2, -0.2, 0.5),
}


class _Law(NamedTuple):
    """A law put together of scipy's: log survival and log density at a time."""

    logsf: Callable[[float], float]
    logpdf: Callable[[float], float]

    def median(self) -> float:
        return float(optimize.brentq(lambda u: self.logsf(u) + np.log(2), 1e-6, 1e3, xtol=1e-14))


def _first_of(one: Any, other: Any) -> _Law:
    """The earlier of two independent times: survival functions are multiplied, hazards added."""

    def log_density(u: float) -> float:
        alone = one.logpdf(u) + other.logsf(u), other.logpdf(u) + one.logsf(u)
        return float(np.logaddexp(*alone))

    return _Law(lambda u: float(one.logsf(u) + other.logsf(u)), log_density)


def _mixed(share: float, one: Any, other: Any) -> _Law:
    """A share of patients with the one law, the others with the other."""
    logs = np.log([share, 1 - share])
    return _Law(
        lambda u: float(np.logaddexp(logs[0] + one.logsf(u), logs[1] + other.logsf(u))),
        lambda u: float(np.logaddexp(logs[0] + one.logpdf(u), logs[1] + other.logpdf(u))),
    )


def family_models() -> dict[str, tuple[Any, str]]:
    """The law of u = t / t0 with eta = 0.3 and those shapes, by scipy, and what it is called there."""
    e = np.exp(ETA)
    k, odds, sd = np.exp(0.25), np.exp(0.3), np.exp(-0.1)
    g = np.exp(0.2)
    # Prentice: (log u - eta) / sd = log(q^2 G) / q, G ~ Gamma(1 / q^2), so u = exp(eta) (q^2 G)^(sd / q)
    q = 0.6
    power, unit = q / sd, np.exp(ETA) * q ** (2 * sd / q)
    constant, early = 1 / (1 + np.exp(0.5)), 1 / (1 + np.exp(-0.5))
    rising = stats.gompertz((1 - constant) * e / np.expm1(0.4), scale=1 / 0.4)
    gap, late_k = np.exp(-0.2), np.exp(0.25 + 0.2)
    groups = (
        stats.weibull_min(k, scale=np.exp(ETA - (1 - early) * gap)),
        stats.weibull_min(late_k, scale=np.exp(ETA + early * gap)),
    )
    return {
        "exponential": (stats.expon(scale=1 / e), "expon"),
        "weibull": (stats.weibull_min(k, scale=e ** (-1 / k)), "weibull_min"),
        "gompertz": (stats.gompertz(e / np.expm1(0.4), scale=1 / 0.4), "gompertz"),
        "exponential_aft": (stats.expon(scale=e), "expon"),
        "weibull_aft": (stats.weibull_min(k, scale=e), "weibull_min"),
        "lognormal": (stats.lognorm(sd, scale=e), "lognorm"),
        "loglogistic": (stats.fisk(odds, scale=e), "fisk"),
        "gamma": (stats.gamma(g, scale=e / g), "gamma"),
        "gengamma": (stats.gengamma(q**-2, power, scale=unit), "gengamma"),
        "gompertz_makeham": (_first_of(stats.expon(scale=1 / (constant * e)), rising), "expon and gompertz"),
        "weibull_mixture": (_mixed(early, *groups), "weibull_min"),
    }


def families() -> Iterator[Known]:
    """log S and the density of each family at two times beside scipy; H as the integral of h; the median as a root."""
    for name, (distribution, scipy_name) in family_models().items():
        family, shape, eta = FAMILIES[name], np.array(SHAPES[name]), np.array(ETA)
        for u in (0.4, 2.5):
            log_time = np.array(np.log(u))
            survival = float(-np.exp(family.log_cum_hazard(log_time, eta, shape, xp=NUMPY)))
            source = f"scipy.stats.{scipy_name}"
            yield Known(f"{name}: log S({u:g})", float(distribution.logsf(u)), survival, 1e-9, source)
            density = float(family.log_hazard(log_time, eta, shape, xp=NUMPY)) + survival
            yield Known(f"{name}: log f({u:g})", float(distribution.logpdf(u)), density, 1e-9, source)
        yield Known(f"{name}: H(1.5)", *_integral(family, eta, shape, 1.5), 1e-8, "scipy.integrate.quad of h")
        median = float(np.exp(inverse(family, np.array(np.log(np.log(2))), eta, shape, xp=NUMPY)))
        yield Known(f"{name}: median", float(distribution.median()), median, 1e-9, f"scipy.stats.{scipy_name}")


def _integral(family: Family, eta: np.ndarray, shape: np.ndarray, u: float) -> tuple[float, float]:
    def hazard(v: float) -> float:
        return float(np.exp(family.log_hazard(np.array(np.log(v)), eta, shape, xp=NUMPY)))

    # v = w^4 removes the kink at zero
    expected, _ = integrate.quad(
        lambda w: hazard(w**4) * 4 * w**3, 1e-12, u**0.25, epsabs=1e-12, epsrel=1e-11, limit=200
    )
    return expected, float(np.exp(family.log_cum_hazard(np.array(np.log(u)), eta, shape, xp=NUMPY)))


def averages() -> Iterator[Known]:
    """E[S] over level and log shape beside the trapezoid rule on 801 x 401 points; the restricted mean over it."""
    population = Population(
        FAMILIES["weibull"], 12.0, np.array([[0.2]]), np.array([[[0.1]]]), np.array([[0.6]]), np.array([[0.3]])
    )
    z, y = np.linspace(-9, 9, 801), np.linspace(-9, 9, 401)
    weight = np.outer(stats.norm.pdf(z), stats.norm.pdf(y)) * (z[1] - z[0]) * (y[1] - y[0])

    def alive(time: float) -> float:
        log_cum = np.exp(0.1 + 0.3 * y)[None, :] * np.log(time / 12.0) + 0.2 + 0.6 * z[:, None]
        return float(np.sum(weight * np.exp(-np.exp(log_cum))))

    for time in (3.0, 12.0, 30.0):
        average = float(quadrature.survival(population, np.array([time]))[0, 0, 0])
        yield Known(f"new study: E[S({time:g})]", alive(time), average, 1e-6, "trapezoid rule over both effects")
    node, step = np.polynomial.legendre.leggauss(24)
    area = sum(w / 2 * 24.0 * 4 * v**3 * alive(24.0 * v**4) for v, w in zip((node + 1) / 2, step, strict=True))
    yield Known(
        "new study: RMST(24)", area, float(quadrature.rmst(population, 24.0)[0, 0]), 1e-5, "quadrature of the trapezoid"
    )
