"""R-hat and effective sizes against ArviZ's, draw by draw the same numbers."""

import numpy as np
import pytest
from arviz_stats.base import array_stats as arviz

from bayes_bm.inference.convergence import bulk_ess, mean_ess, rank_rhat, tail_ess


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


def test_constants_and_gaps() -> None:
    constant = np.full((4, 100), 2.0)
    assert bulk_ess(constant) == 400
    assert np.isnan(rank_rhat(constant))
    broken = CASES["independent"].copy()
    broken[0, 0] = np.nan
    assert np.isnan([rank_rhat(broken), bulk_ess(broken), tail_ess(broken), mean_ess(broken)]).all()
