"""Covariates that are not given: their law given what is, their exact averages, the rule of nodes behind them."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.gauss_rule import NODES, Rule, gauss_rule
from bayes_bm.estimands.outcomes import outcomes
from bayes_bm.estimands.predict import predict
from bayes_bm.estimands.quadrature import Population
from bayes_bm.estimands.quantities import quantile, survival
from bayes_bm.estimands.standardization import standardise, survival_table
from bayes_bm.estimands.who import AverageStudy, NewStudy, Patient
from bayes_bm.hazards import FAMILIES
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import CaseMix
from bayes_bm.model.covariates.conditional import conditional_law
from tests.builders import posteriors, worlds
from tests.builders.worlds import normal


def result_of(x: np.ndarray, coefficient: list[float], *, draws: int = 1, **fixed: Any) -> Result:
    """An exponential hazard of 1 in 12 months at zero, of a population with these covariates (row, age and low)."""
    spec = worlds.spec(
        treatments={"reference": "a", "compare": ["b"]},
        covariates={"age": {"prior": normal(1.0)}, "low": {"prior": normal(1.0)}},
        hazard={"family": "exponential"},
        priors={"intercept": normal(1.0), "log_hr": normal(1.0)},
        effects={"study": {"exchangeable": True, "sd": worlds.half_normal(0.5)}},
    )
    arm = {"study": "p", "endpoint": "os", "n": 6}
    tables = {
        "arms": [{**arm, "arm": name, "treatment": name} for name in "ab"],
        "medians": [{**arm, "arm": name, "median": 9.0} for name in "ab"],
    }
    made = posteriors.result(
        spec, worlds.evidence(spec, tables), draws=draws, intercept=0.0, coefficient=coefficient, **fixed
    )
    made.__dict__["case_mix"] = CaseMix(("age", "low"), x, np.ones(len(x)))
    return made


def asked(result: Result, values: dict[str, float], times: list[float]) -> np.ndarray:
    found = survival(result, times, who=Patient(values, AverageStudy()))
    return found.isel(chain=0, draw=0, treatment=0).to_numpy()


@pytest.mark.slow
def test_two_correlated_covariates_the_right_value_of_the_case() -> None:
    """A normal age with a score of correlation 0.7 behind a two-valued covariate: given age 2 its share is 0.783."""
    rng = np.random.default_rng(0)
    age = rng.standard_normal(100_000)
    low = 0.7 * age + np.sqrt(1 - 0.49) * rng.standard_normal(len(age)) > 0.84
    share = stats.norm.cdf((0.7 * 2 - 0.84) / np.sqrt(0.51))
    result = result_of(np.column_stack([age, low]), [0.4, 1.2])
    times = [6.0, 12.0, 24.0]
    hazard = np.array(times) / 12
    right = share * np.exp(-hazard * np.exp(0.8 + 1.2)) + (1 - share) * np.exp(-hazard * np.exp(0.8))
    assert right[1] == pytest.approx(0.024, abs=0.001)
    assert asked(result, {"age": 2.0}, times) == pytest.approx(right, abs=0.001)


@pytest.mark.parametrize(("share", "coefficient"), [(0.5, 1.0), (0.1, 2.0), (0.3, 2.0), (0.05, 2.5)])
def test_two_values_are_summed_exactly(share: float, coefficient: float) -> None:
    """A normal in their place erred by up to 2.9 points."""
    size = 20_000
    low = np.arange(size) < share * size
    age = np.tile([-1.0, 1.0], size // 2)
    result = result_of(np.column_stack([age, low]), [0.4, coefficient])
    times = [3.0, 6.0, 12.0, 24.0, 36.0]
    hazard = np.array(times) / 12
    right = share * np.exp(-hazard * np.exp(coefficient)) + (1 - share) * np.exp(-hazard)
    assert asked(result, {"age": 0.0}, times) == pytest.approx(right, abs=1e-9)


def test_other_covariates_keep_the_residuals_of_the_evidence() -> None:
    """Given the two-valued one a skew age is its mean in that group and the pooled residuals about both means."""
    rng = np.random.default_rng(3)
    low = np.tile([0.0, 1.0], 400)
    age = 0.8 * low + rng.exponential(size=800)
    result = result_of(np.column_stack([age, low]), [0.9, 0.3])
    means = np.array([age[low == 0].mean(), age[low == 1].mean()])
    residual = age - means[low.astype(int)]
    for value in (0.0, 1.0):
        eta = 0.9 * (means[int(value)] + residual) + 0.3 * value
        right = [np.exp(-time / 12 * np.exp(eta)).mean() for time in (3.0, 12.0)]
        # N(0, 2.5^2) on the slope moves a mean by 2e-4 sds
        assert asked(result, {"low": value}, [3.0, 12.0]) == pytest.approx(right, abs=5e-4)


def test_nothing_given_is_the_average_over_the_patients_themselves() -> None:
    rng = np.random.default_rng(5)
    age = rng.exponential(size=300)
    x = np.column_stack([age, rng.random(300) < 0.2 + 0.5 * (age > 1)])
    result = result_of(x, [0.9, -0.7], draws=3)
    eta = x @ np.array([0.9, -0.7])
    right = [np.exp(-time / 12 * np.exp(eta)).mean() for time in (3.0, 12.0)]
    assert asked(result, {}, [3.0, 12.0]) == pytest.approx(right, abs=2e-5)
    median = quantile(result, 0.5, who=Patient({}, AverageStudy())).isel(chain=0, draw=0, treatment=0)
    assert np.exp(-float(median) / 12 * np.exp(eta)).mean() == pytest.approx(0.5, abs=2e-5)


def test_given_alive_those_who_last_longer_weigh_more() -> None:
    x = np.column_stack([np.tile([-1.0, 1.0], 50), np.repeat([0.0, 1.0], 50)])
    result = result_of(x, [0.2, 1.5])
    found = survival(result, [12.0], who=Patient({"age": 0.0}, AverageStudy()), alive_at=6.0)
    alive = [np.exp(-time / 12 * np.exp(np.array([0.0, 1.5]))).mean() for time in (6.0, 12.0)]
    assert float(found.isel(chain=0, draw=0, treatment=0)[0]) == pytest.approx(alive[1] / alive[0], abs=1e-9)


def test_a_population_of_studies_is_averaged_over_on_top() -> None:
    x = np.column_stack([np.tile([-1.0, 1.0], 50), np.repeat([0.0, 1.0], 50)])
    result = result_of(x, [0.2, 1.5], study_sd=0.6)
    found = survival(result, [12.0], who=Patient({"age": 0.0}, NewStudy())).isel(chain=0, draw=0, treatment=0)

    def averaged(level: float) -> float:
        return float(stats.norm.pdf(level) * np.exp(-np.exp(0.6 * level + np.array([0.0, 1.5]))).mean())

    assert float(found[0]) == pytest.approx(integrate.quad(averaged, -9, 9)[0], abs=1e-6)


def test_dummies_of_one_factor_never_stand_together() -> None:
    x = np.array([[0.0, 0.0, 0.3], [1.0, 0.0, 0.1], [0.0, 1.0, 0.7], [0.0, 1.0, 0.2]] * 10)
    completed = conditional_law(x, np.ones(len(x)), (2,)).complete(np.array([[0.4]]))
    cells = {tuple(row) for row in completed.x[0, :, :2].tolist()}
    assert cells == {(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)}
    assert completed.share.sum() == pytest.approx(1.0)


@pytest.mark.slow
def test_tables_of_many_patients_and_outcomes_say_the_same() -> None:
    """`survival_table`, `standardise` and draws of outcomes against `predict`, either covariate lacking."""
    rng = np.random.default_rng(8)
    age = rng.normal(size=200)
    x = np.column_stack([age, rng.random(200) < stats.norm.cdf(age)])
    result = result_of(x, [0.5, 1.4], draws=20, study_sd=0.4)
    cohort = [{"age": 1.5}, {"age": -1.0}, {"low": 1.0}, {}, {"age": 0.3, "low": 0.0}]
    table = survival_table(result, cohort, [12.0], treatments=["a"])
    expected = predict(result, cohort, times=[12.0], treatments=["a"], estimands=["survival"])
    assert table["mean"].to_numpy() == pytest.approx(expected["mean"].to_numpy(), abs=3e-4)
    assert table["sd"].to_numpy() == pytest.approx(expected["sd"].to_numpy(), abs=3e-4)
    whole = standardise(result, cohort, [12.0], treatments=["a"]).mean()
    assert float(whole) == pytest.approx(expected["mean"].mean(), abs=3e-4)
    times = outcomes(result, {"age": 1.5}, who=NewStudy(), treatments=["a"], each=500).to_numpy()
    noise = np.sqrt(0.25 / times.size)
    assert np.mean(times > 12.0) == pytest.approx(expected["mean"].iloc[0], abs=4.5 * noise)


@pytest.mark.parametrize(("sd", "error"), [(0.5, 1e-8), (1.0, 1e-5), (1.5, 2e-4)])
def test_a_rule_of_few_nodes_has_the_averages_of_its_atoms(sd: float, error: float) -> None:
    rng = np.random.default_rng(2)
    atoms = np.stack([rng.standard_normal(1000), np.exp(0.6 * rng.standard_normal(1000)), rng.random(1000) < 0.3])
    atoms = sd * (atoms - atoms.mean(axis=1, keepdims=True)) / atoms.std(axis=1, keepdims=True)
    node, weight = gauss_rule(atoms, np.full(1000, 1e-3))
    assert node.shape == (3, NODES)
    assert weight.sum(axis=1) == pytest.approx(1.0)
    for eta in np.linspace(-4, 4, 9):
        right = np.exp(-np.exp(eta + atoms)).mean(axis=1)
        assert np.sum(weight * np.exp(-np.exp(eta + node)), axis=1) == pytest.approx(right, abs=error)


@pytest.mark.slow
def test_a_law_without_spread_is_one_node() -> None:
    node, weight = gauss_rule(np.full((1, 40), 2.0), np.full(40, 1 / 40))
    assert np.sum(weight * np.exp(node)) == pytest.approx(np.exp(2.0))


@pytest.mark.parametrize("shape_sd", [0.0, 0.3])
def test_the_table_of_many_times_is_the_sum_over_nodes(shape_sd: float) -> None:
    """Narrow and wide levels, rules of one atom and of several, times from next to zero on."""
    rng = np.random.default_rng(5)
    eta, eta_sd = (
        rng.standard_normal((6, 2)),
        np.array([[0.0, 0.01], [0.2, 0.5], [0.5, 0.8], [1.0, 1.5], [2.0, 2.5], [0.3, 0.0]]),
    )
    atoms = rng.standard_normal((6, 2, 5))
    rule = Rule(np.concatenate([atoms, atoms[..., :1] + 1.0], axis=-1), np.full((6, 2, 6), 1 / 6))
    shape, spread = 0.2 * rng.standard_normal((6, 2, 1)), np.full((6, 2), shape_sd)
    population = Population(FAMILIES["weibull"], 12.0, eta, shape, eta_sd, spread, not_given=rule)
    times = 60 * np.linspace(0.0, 1, 120) ** 4
    right = np.concatenate([quadrature.survival(population, some) for some in np.split(times, 24)], axis=-1)
    # sums for few times leave out the corners of their rules, of weight 1e-9 together
    assert np.abs(quadrature.survival(population, times) - right).max() < 3e-9
