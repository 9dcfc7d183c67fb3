"""Stated selection against metafor, a closed form, and a world from which arms were taken."""

import numpy as np
import pytest
from scipy import stats

import bayes_bm as bb
from bayes_bm.checks.selection import selected_mean
from bayes_bm.runtime.errors import InputError
from tests.checks.test_small_studies import VI, YI, exponential_arms


@pytest.mark.parametrize(("weight", "mean"), [(1.0, -0.7132778), (0.5, -0.5700019), (0.2, -0.3773484)])
def test_the_mean_is_that_of_metafor(weight: float, mean: float) -> None:
    """metafor 3.8-1: selmodel(rma(yi, vi, method = "ML", tau2 = 0.3), type = "stepfun", alternative = "less",
    steps = c(0.025, 1), delta = c(1, weight)); its optimiser stops within about 1e-4.
    """
    y, se = np.array(YI), np.sqrt(VI)
    threshold = -stats.norm.ppf(0.975) * se
    assert selected_mean(y, se, variance=0.3, weight=weight, threshold=threshold) == pytest.approx(mean, abs=3e-4)


def test_without_selection_it_is_the_weighted_mean() -> None:
    y, precision = np.array(YI), 1 / (np.array(VI) + 0.3)
    found = selected_mean(y, np.sqrt(VI), variance=0.3, weight=1.0, threshold=np.zeros(13))
    assert found == pytest.approx(precision @ y / precision.sum(), abs=1e-10)


def test_a_world_of_which_a_third_of_the_worse_is_printed_is_given_back() -> None:
    rng = np.random.default_rng(5)
    se = rng.uniform(0.1, 0.5, 20_000)
    y = rng.normal(0.3, np.hypot(se, 0.4))
    printed = (y < 0) | (rng.random(len(y)) < 1 / 3)
    found = selected_mean(y[printed], se[printed], variance=0.16, weight=1 / 3, threshold=np.zeros(printed.sum()))
    assert found == pytest.approx(0.3, abs=0.03)
    assert np.mean(y[printed]) < 0.15


def test_ratios_move_by_the_shift_of_their_arms() -> None:
    result = exponential_arms(1.0, treatment="b")
    table = bb.selection(result, weights=[1.0, 0.5])
    arms = bb.funnel(result).table
    y, se, none = arms["deviation"].to_numpy(), arms["se"].to_numpy(), np.zeros(len(arms))
    means = [selected_mean(y, se, variance=0.0, weight=weight, threshold=none) for weight in (1.0, 0.5)]
    assert table["arms"].tolist() == [12, 12] and means[1] > means[0]
    assert table["ratio"].to_numpy() == pytest.approx(np.exp([0.0, means[1] - means[0]]))
    # the reference has no arms, so that nothing is said of the selection of both
    assert table["ratio_both"].isna().all()


def test_weights_are_probabilities_and_too_few_arms_say_nothing() -> None:
    result = exponential_arms(0.0)
    assert bb.selection(result).empty
    with pytest.raises(InputError, match="weights: found 0"):
        bb.selection(result, weights=[0.0])
