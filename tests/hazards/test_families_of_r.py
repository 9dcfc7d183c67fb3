"""Gompertz-Makeham and a mixture of two Weibulls beside R: its integrate(), uniroot() and optim()."""

import csv
import json
from pathlib import Path

import lifelines
import numpy as np
import pytest
from scipy import optimize

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.quadrature import Population
from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from tests.paths import GOLDEN

R = json.loads((GOLDEN / "families_integrate.json").read_text(encoding="utf-8"))
T0 = 12.0


def makeham(constant: float, a: float, b: float, t0: float = T0) -> tuple[str, float, list[float]]:
    """Family, eta and shape of h(t) = constant + a exp(b t)."""
    of_constant, of_rising = constant * t0, a * np.expm1(b * t0) / b
    return "gompertz_makeham", np.log(of_constant + of_rising), [b * t0, np.log(of_constant / of_rising)]


def mixture(p: float, shapes: list[float], scales: list[float], t0: float = T0) -> tuple[str, float, list[float]]:
    """Family, eta and shape of a share p with the first Weibull, the others with the second."""
    early, late = np.log(np.array(scales) / t0)
    shape = [np.log(shapes[0]), np.log(shapes[1] / shapes[0]), np.log(late - early), np.log(p / (1 - p))]
    return "weibull_mixture", p * early + (1 - p) * late, shape


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("rising", makeham(0.02, 0.01, 0.05)),
        ("falling", makeham(0.015, 0.09, -0.12)),
        ("mixture", mixture(0.4, [1.3, 0.9], [8, 30])),
    ],
)
def test_survival_restricted_mean_and_median_are_rs(name: str, law: tuple[str, float, list[float]]) -> None:
    family, eta, shape = law
    one = Population(FAMILIES[family], T0, np.array([[eta]]), np.array([[shape]]), np.zeros((1, 1)), np.zeros((1, 1)))
    wanted = R[name]
    survival = quadrature.survival(one, np.array([3.0, 12.0, 36.0]))[0, 0]
    np.testing.assert_allclose(survival, wanted["survival"], rtol=1e-11)
    assert quadrature.rmst(one, 24.0)[0, 0] == pytest.approx(wanted["rmst"], rel=1e-10)
    assert quadrature.quantile(one, 0.5)[0, 0] == pytest.approx(wanted["median"], rel=1e-10)


def log_likelihood(law: tuple[str, float, list[float]], t0: float) -> float:
    path = Path(lifelines.__file__).parent / "datasets" / "gbsg2.csv"
    with path.open(encoding="utf-8") as lines:
        time, event = np.array([[float(row["time"]), float(row["cens"])] for row in csv.DictReader(lines)]).T
    family, eta, shape = FAMILIES[law[0]], np.array(law[1]), np.array(law[2])
    log_u = np.log(time / 1000 / t0)
    log_h = family.log_hazard(log_u, eta, shape, xp=NUMPY) - np.log(t0)
    return float((event * log_h - np.exp(family.log_cum_hazard(log_u, eta, shape, xp=NUMPY))).sum())


def test_the_likelihood_of_patients_is_rs() -> None:
    """At R's parameters, in units of 1,000 days, whatever the reference time; R's maximum is one of ours."""
    x = R["makeham_gbsg2"]["x"]
    rising = makeham(np.exp(x[0]), np.exp(x[1]), x[2], 1.7)
    assert log_likelihood(rising, 1.7) == pytest.approx(R["makeham_gbsg2"]["loglik"], rel=1e-11)
    logit, *logs = R["mixture_gbsg2"]["x"]
    p, (early, late, *scales) = 1 / (1 + np.exp(-logit)), np.exp(logs)
    best = mixture(p, [early, late], scales, 0.8)
    found = log_likelihood(best, 0.8)
    assert found == pytest.approx(R["mixture_gbsg2"]["loglik"], rel=1e-11)
    slope = optimize.approx_fprime(
        [best[1], *best[2]], lambda y: log_likelihood((best[0], y[0], list(y[1:])), 0.8), 1e-6
    )
    assert np.abs(slope).max() < 0.01
