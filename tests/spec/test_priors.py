"""Priors: the record, scipy's law and PyMC's variable are one density; bad records are refused with their place."""

import math

import numpy as np
import pymc as pm
import pytest
from scipy import integrate, stats

from bayes_bm.model.pymc_graph.priors import variable
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec import prior_distributions, priors
from tests.builders import worlds

RECORDS = {
    "normal": (priors.Normal(dist="normal", mean=0.3, sd=2.0, why="t"), stats.norm(0.3, 2.0)),
    "half_normal": (priors.HalfNormal(dist="half_normal", sd=0.5, why="t"), stats.halfnorm(scale=0.5)),
    "student_t": (priors.StudentT(dist="student_t", df=3, mean=0.3, sd=2.0, why="t"), stats.t(3, 0.3, 2.0)),
    "exponential": (priors.Exponential(dist="exponential", rate=4.0, why="t"), stats.expon(scale=0.25)),
    "gamma": (priors.Gamma(dist="gamma", shape=4.0, rate=3.0, why="t"), stats.gamma(4.0, scale=1 / 3.0)),
    "log_normal": (
        priors.LogNormal(dist="log_normal", mean=-1.0, sd=0.5, why="t"),
        stats.lognorm(0.5, scale=np.exp(-1)),
    ),
    "uniform": (priors.Uniform(dist="uniform", lower=-3.0, upper=1.0, why="t"), stats.uniform(-3.0, 4.0)),
}
HALF_T = priors.HalfStudentT(dist="half_student_t", df=3.0, sd=0.4, why="t")


@pytest.mark.parametrize("name", RECORDS)
def test_law_is_scipys_with_the_parameters_spelt_out(name: str) -> None:
    record, law = RECORDS[name]
    at = np.array([0.05, 0.3, 0.9])
    np.testing.assert_allclose(prior_distributions.scipy_distribution(record).logpdf(at), law.logpdf(at), rtol=1e-12)
    assert prior_distributions.scipy_distribution(record).std() == pytest.approx(law.std())
    assert priors.median(record) == pytest.approx(law.median(), rel=1e-12)
    assert priors.standard_deviation(record) == pytest.approx(law.std(), rel=1e-12)


def test_half_student_t_is_the_folded_t() -> None:
    law = prior_distributions.scipy_distribution(HALF_T)
    assert priors.median(HALF_T) == pytest.approx(law.median(), rel=1e-9)
    at = np.array([0.01, 0.4, 3.0])
    np.testing.assert_allclose(law.pdf(at), 2 * stats.t.pdf(at, 3.0, 0.0, 0.4), rtol=1e-12)
    np.testing.assert_allclose(law.ppf([0.1, 0.5, 0.95]), stats.t.ppf([0.55, 0.75, 0.975], 3.0, 0.0, 0.4), rtol=1e-12)
    second = integrate.quad(lambda x: x**2 * law.pdf(x), 0, np.inf)[0]
    first = integrate.quad(lambda x: x * law.pdf(x), 0, np.inf)[0]
    assert law.std() == pytest.approx(math.sqrt(second - first**2), rel=1e-6)
    assert priors.standard_deviation(HALF_T) == pytest.approx(law.std(), rel=1e-12)
    heavy = HALF_T.model_copy(update={"df": 1.5})
    assert prior_distributions.scipy_distribution(heavy).std() == math.inf
    assert priors.standard_deviation(heavy) == math.inf


@pytest.mark.slow
@pytest.mark.parametrize("record", [*(record for record, _ in RECORDS.values()), HALF_T], ids=lambda r: r.dist)
def test_pymc_variable_has_the_density_of_the_record(record: priors.Prior) -> None:
    """Also the numbers that PyTensor would narrow to float32 (3.0, 0.5); PyMC's own half t keeps eight digits only."""
    tolerance = 1e-7 if record.dist == "half_student_t" else 1e-12
    with pm.Model():
        logp = pm.logp(variable("x", record), np.array(0.37)).eval()
    assert float(logp) == pytest.approx(
        float(prior_distributions.scipy_distribution(record).logpdf(0.37)), rel=tolerance
    )


def test_every_prior_says_why() -> None:
    with pytest.raises(InputError, match=r"priors\.log_hr\.why: found nothing; this key is required: every prior"):
        worlds.spec(priors__log_hr={"dist": "normal", "mean": 0.0, "sd": 1.0})


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ({"dist": "normal", "sd": -1.0, "why": "t"}, r"priors\.log_hr\.sd: found -1\.0; .*a number above 0"),
        ({"dist": "normal", "sd": 1.0, "scale": 2.0, "why": "t"}, r"priors\.log_hr\.scale: found an unknown key"),
        ({"dist": "cauchy", "sd": 1.0, "why": "t"}, r"priors\.log_hr.*normal, half_normal"),
        ({"dist": "uniform", "lower": 1.0, "upper": 0.0, "why": "t"}, r"lower \(1\.0\) must be below upper"),
        ({"dist": "normal", "sd": float("inf"), "why": "t"}, r"priors\.log_hr\.sd.*finite"),
    ],
)
def test_a_wrong_prior_is_refused_by_its_place(prior: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        worlds.spec(priors__log_hr=prior)


def test_a_standard_deviation_takes_positive_laws_only() -> None:
    with pytest.raises(InputError, match="a standard deviation needs a prior on positive numbers; found normal"):
        worlds.spec(effects__study={"sd": worlds.normal(1.0)})
    inside = {"dist": "uniform", "lower": 0.0, "upper": 2.0, "why": "t"}
    assert worlds.spec(effects__study={"sd": inside}).effects.study is not None


def test_describe_is_one_line_with_the_numbers() -> None:
    assert priors.describe(RECORDS["normal"][0]) == "normal(mean 0.3, sd 2)"
