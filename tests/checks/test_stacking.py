"""Stacking weights: the maximum on the simplex, found another way; and mixtures of answers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import optimize, stats

import bayes_bm as bb
from bayes_bm.checks.stacking import row_elpd, stacked, stacking, weights
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds


def test_weights_are_the_maximum_that_scipy_finds() -> None:
    elpd = np.random.default_rng(4).normal(-2, 0.7, (60, 3))
    elpd[:, 2] -= 1.5
    found = weights(elpd)
    density = np.exp(elpd)

    def loss(free: np.ndarray) -> float:
        return -np.log(density @ np.array([free[0], free[1], 1 - free.sum()])).sum()

    limits = optimize.LinearConstraint(np.ones(2), 0, 1)
    other = optimize.minimize(loss, [0.3, 0.3], bounds=[(0, 1)] * 2, constraints=[limits], method="SLSQP", tol=1e-12)
    assert found[:2] == pytest.approx(other.x, abs=2e-4)
    # the conditions of Karush, Kuhn and Tucker
    slope = (density / (density @ found)[:, None]).mean(axis=0)
    assert slope[found > 1e-6] == pytest.approx(1.0, abs=1e-6)
    assert (slope <= 1 + 1e-6).all()


def test_two_halves_and_a_copy() -> None:
    """Two models, each of which alone knows half of the rows, share the weight; a worse one has none."""
    elpd = np.array([[-1.0, -3.0, -4.0]] * 10 + [[-3.0, -1.0, -4.0]] * 10)
    assert weights(elpd) == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)
    uneven = np.array([[-1.0, -np.inf]] * 15 + [[-np.inf, -1.0]] * 5)
    assert weights(uneven) == pytest.approx([0.75, 0.25])


def test_the_table_compares_with_the_best() -> None:
    one, two = pd.Series({"s": -3.0, "t": -4.0, "u": -5.0}), pd.Series({"u": -4.0, "s": -2.0, "t": -5.0})
    table = stacking({"one": one, "two": two})
    assert table["elpd"].tolist() == [-12.0, -11.0]
    assert table["difference"].tolist() == [-1.0, 0.0]
    assert table["difference_se"].tolist() == pytest.approx([np.sqrt(3) * np.std([-1, 1, -1], ddof=1), 0.0])
    assert table["weight"].sum() == pytest.approx(1.0)


def made(seed: int, **changes: Any) -> Result:
    spec = worlds.spec(**changes)
    found = posteriors.result(spec, worlds.evidence(spec), draws=100, seed=seed)
    return replace(found, stored_log_likelihood=pointwise_log_likelihood(found.predictors))


def test_rows_left_out_have_the_closed_form_of_a_normal_mean() -> None:
    """y ~ N(mu, 1) with a flat prior: y_i given the others is N(their mean, 1 + 1 / (n - 1))."""
    rng = np.random.default_rng(6)
    y = rng.standard_normal(30)
    mu = y.mean() + rng.standard_normal((2, 5000)) / np.sqrt(30)
    terms = {
        "points": (("chain", "draw", "points_row"), stats.norm.logpdf(y[:20], mu[..., None])),
        "counts": (("chain", "draw", "counts_row"), stats.norm.logpdf(y[20:], mu[..., None])),
    }
    elpd = row_elpd(replace(made(1), stored_log_likelihood=xr.Dataset(terms)))
    others = (y.sum() - y) / 29
    wanted = stats.norm.logpdf(y, others, np.sqrt(1 + 1 / 29))
    assert elpd[[f"points {row}" for row in range(20)]].to_numpy() == pytest.approx(wanted[:20], abs=0.02)
    assert elpd[[f"counts {row}" for row in range(10)]].to_numpy() == pytest.approx(wanted[20:], abs=0.02)
    assert len(elpd) == 30
    assert elpd.attrs["high_k"] == 0


def test_a_mixture_has_draws_of_each_in_proportion() -> None:
    results = {"one": made(1), "two": made(2)}
    table = stacking(results)
    assert set(table["model"]) == set(results)
    answer = {name: bb.survival(of, [12.0], who=bb.AverageStudy()) for name, of in results.items()}
    found = stacked(results, {"one": 0.25, "two": 0.75}, lambda of: bb.survival(of, [12.0], who=bb.AverageStudy()))
    assert found.dims == ("draw", "treatment", "time")
    assert found.sizes["draw"] == 200
    assert (found["model"] == "one").sum() == 50
    mean = 0.25 * answer["one"].mean(("chain", "draw")) + 0.75 * answer["two"].mean(("chain", "draw"))
    spread = 4 * float(answer["one"].std()) / np.sqrt(50)
    assert found.mean("draw").to_numpy() == pytest.approx(mean.to_numpy(), abs=spread)
    alone = stacked(results, {"one": 0.0, "two": 1.0}, lambda of: bb.survival(of, [12.0], who=bb.AverageStudy()))
    assert np.array_equal(alone.to_numpy(), answer["two"].to_numpy().reshape(200, 3, 1))


def test_weights_of_normal_models_recover_a_mixture() -> None:
    """Data from 0.3 N(-2, 1) + 0.7 N(2, 1): the weights of the two parts."""
    rng = np.random.default_rng(8)
    y = np.where(rng.random(20_000) < 0.3, -2.0, 2.0) + rng.standard_normal(20_000)
    found = weights(np.stack([stats.norm.logpdf(y, -2), stats.norm.logpdf(y, 2)], axis=1))
    # sd of the maximum-likelihood share is below 0.004
    assert found[0] == pytest.approx(0.3, abs=0.015)


def test_models_of_other_data_are_refused() -> None:
    with pytest.raises(InputError, match="other than the 2 of one"):
        stacking({"one": pd.Series({"s": -1.0, "t": -1.0}), "two": pd.Series({"s": -1.0, "v": -1.0})})
    with pytest.raises(InputError, match="two or more"):
        stacking({"one": pd.Series({"s": -1.0})})
    with pytest.raises(InputError, match="a weight for each of one"):
        stacked({"one": made(1)}, {"two": 1.0}, lambda of: bb.survival(of, [12.0]))
    with pytest.raises(InputError, match="without pointwise log-likelihood"):
        stacking({"one": posteriors.result(worlds.spec(), worlds.evidence(worlds.spec())), "two": made(2)})
