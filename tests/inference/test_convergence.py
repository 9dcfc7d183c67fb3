"""R-hat and effective sizes against ArviZ's, draw by draw the same numbers."""

import numpy as np
import pytest
from arviz_stats.base.array import array_stats as arviz
from scipy import signal

from bayes_bm.inference.convergence import bulk_ess, mean_ess, mean_mcse, quantile_mcse, rank_rhat, tail_ess


def chains(correlation: float, shape: tuple[int, int], shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(4)
    noise = rng.standard_normal(shape)
    for t in range(1, shape[1]):
        noise[:, t] += correlation * noise[:, t - 1]
    return noise + shift * np.arange(shape[0])[:, None]


CASES = {
    "independent": chains(0.0, (4, 1000)),
    "slow": chains(0.98, (4, 1000)),
    "antithetic": chains(-0.7, (4, 1000)),
    "chains apart": chains(0.5, (4, 500), shift=0.3),
    "odd and short": chains(0.3, (3, 21)),
    "two chains of a handful": chains(0.0, (2, 9)),
    "never decays": np.cumsum(chains(0.0, (2, 40)), axis=1),
    "ties": np.round(chains(0.6, (4, 400))),
    "heavy tails": np.tan(np.random.default_rng(1).uniform(-1.57, 1.57, (4, 300))),
}

KINDS = (("bulk", None), ("tail", 0.05), ("mean", None))


@pytest.mark.parametrize("name", CASES)
def test_the_numbers_are_arvizs(name: str) -> None:
    draws = CASES[name]
    found = [rank_rhat(draws), bulk_ess(draws), tail_ess(draws), mean_ess(draws)]
    wanted = [arviz.rhat(draws, method="rank"), *(arviz.ess(draws, method=kind, prob=prob) for kind, prob in KINDS)]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("share", [0.025, 0.5, 0.95])
def test_errors_of_quantiles_and_shares_are_arvizs(name: str, share: float) -> None:
    draws = CASES[name]
    assert quantile_mcse(draws, share) == pytest.approx(arviz.mcse(draws, method="quantile", prob=share), rel=1e-9)
    below = (draws < np.quantile(draws, share)).astype(float)
    if np.ptp(below):
        assert mean_mcse(below) == pytest.approx(arviz.mcse(below, method="mean"), rel=1e-9)


@pytest.mark.slow
def test_errors_are_what_other_chains_change() -> None:
    """Chains of an autoregression, again and again: their medians, ends and shares scatter by the errors said."""
    rng, correlation = np.random.default_rng(3), 0.6
    repeats, noise = 300, rng.standard_normal((300, 4, 400))
    start = noise[..., 0] / np.sqrt(1 - correlation**2)
    noise[..., 0] = start
    draws: np.ndarray = np.asarray(signal.lfilter([1.0], [1.0, -correlation], noise, axis=-1))
    flat = draws.reshape(repeats, -1)
    for share in (0.025, 0.5, 0.975):
        errors = [quantile_mcse(chain, share) for chain in draws]
        assert np.mean(errors) == pytest.approx(np.quantile(flat, share, axis=1).std(ddof=1), rel=0.12)
    errors = [mean_mcse((chain < 0.8).astype(float)) for chain in draws]
    assert np.mean(errors) == pytest.approx((flat < 0.8).mean(axis=1).std(ddof=1), rel=0.12)


def test_a_share_of_all_draws_and_an_end_that_is_infinite() -> None:
    assert mean_mcse(np.ones((4, 100))) == 1 / 400
    draws = np.abs(CASES["independent"])
    draws[:, ::3] = np.inf
    assert np.isfinite(quantile_mcse(draws, 0.5)) and np.isnan(quantile_mcse(draws, 0.9))


def test_constants_and_gaps() -> None:
    constant = np.full((4, 100), 2.0)
    assert bulk_ess(constant) == 400
    assert np.isnan(rank_rhat(constant))
    broken = CASES["independent"].copy()
    broken[0, 0] = np.nan
    assert np.isnan([rank_rhat(broken), bulk_ess(broken), tail_ess(broken), mean_ess(broken)]).all()
