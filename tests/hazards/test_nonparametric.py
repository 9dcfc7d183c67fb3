"""Nonparametric estimates against R's survival (tests/witness/golden/survfit.R holds the calls) and closed forms."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_bm.hazards.nonparametric import (
    at_risk,
    kaplan_meier,
    log_rank,
    quantile,
    restricted_mean,
    restricted_mean_se,
)
from tests.paths import GOLDEN as NUMBERS
from tests.paths import LIFELINES

GOLDEN = json.loads((NUMBERS / "survfit.json").read_text())


@pytest.fixture(scope="module")
def lung():
    return pd.read_csv(LIFELINES / "lung.csv")


def test_kaplan_meier_and_greenwood_equal_survfit(lung):
    curve, golden = kaplan_meier(lung["time"], lung["status"]), GOLDEN["lung"]
    np.testing.assert_array_equal(curve.time, golden["time"])
    np.testing.assert_array_equal(curve.at_risk, golden["at_risk"])
    np.testing.assert_array_equal(curve.events, golden["events"])
    np.testing.assert_allclose(curve.survival, golden["survival"], rtol=1e-12)
    np.testing.assert_allclose(curve.se, golden["se"], rtol=1e-12)


def test_median_and_restricted_mean_equal_survfit(lung):
    curve, golden = kaplan_meier(lung["time"], lung["status"]), GOLDEN["lung"]
    assert quantile(curve) == golden["median"] == 310
    assert restricted_mean(curve, horizon=500) == pytest.approx(golden["rmean_500"], rel=1e-12)
    assert restricted_mean_se(curve, horizon=500) == pytest.approx(golden["rmean_500_se"], rel=1e-12)


def test_entry_times_equal_survfit(lung):
    entry = lung["time"] * (lung["age"] % 5) / 10
    curve, golden = kaplan_meier(lung["time"], lung["status"], entry=entry), GOLDEN["lung_entry"]
    np.testing.assert_array_equal(curve.at_risk, golden["at_risk"])
    np.testing.assert_allclose(curve.survival, golden["survival"], rtol=1e-12)


def test_log_rank_equals_survdiff(lung):
    test, golden = log_rank(lung["time"], lung["status"], lung["sex"]), GOLDEN["lung"]
    assert test.chi_square == pytest.approx(golden["logrank_sex_chisq"], rel=1e-12)
    np.testing.assert_allclose(test.observed, golden["logrank_sex_observed"])
    np.testing.assert_allclose(test.expected, golden["logrank_sex_expected"], rtol=1e-12)
    waltons = pd.read_csv(LIFELINES / "waltons_dataset.csv")
    chi_square = log_rank(waltons["T"], waltons["E"], waltons["group"]).chi_square
    assert chi_square == pytest.approx(GOLDEN["waltons"]["logrank_chisq"], rel=1e-12)


def test_groups_of_waltons_equal_survfit():
    waltons, golden = pd.read_csv(LIFELINES / "waltons_dataset.csv"), GOLDEN["waltons"]
    for k, group in enumerate(("control", "miR-137")):
        arm = waltons[waltons["group"] == group]
        curve = kaplan_meier(arm["T"], arm["E"])
        assert quantile(curve) == golden["median"][k]
        assert restricted_mean(curve, horizon=50) == pytest.approx(golden["rmean_50"][k], rel=1e-12)
        assert restricted_mean_se(curve, horizon=50) == pytest.approx(golden["rmean_50_se"][k], rel=1e-12)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 1)), min_size=1, max_size=40))
def test_kaplan_meier_equals_the_slow_definition(patients):
    time, event = np.array(patients, float).T
    curve = kaplan_meier(time, event)
    for t in np.arange(0, 14):
        slow = np.prod([1 - ((time == u) & (event == 1)).sum() / (time >= u).sum() for u in np.unique(time) if u <= t])
        assert curve(t) == pytest.approx(slow, abs=1e-12)
        assert at_risk(time, t) == (time >= t).sum()


def test_weights_are_repeated_patients():
    time, event, weight = np.array([1.0, 2, 3]), np.array([1, 0, 1]), np.array([2, 3, 1])
    once = kaplan_meier(np.repeat(time, weight), np.repeat(event, weight))
    weighted = kaplan_meier(time, event, weight=weight)
    np.testing.assert_allclose(weighted.survival, once.survival)
    np.testing.assert_allclose(weighted.se, once.se)
    np.testing.assert_array_equal(at_risk(time, [0, 1.5, 3], weight=weight), [6, 4, 1])


def test_at_risk_counts_those_at_the_time_and_those_entered():
    np.testing.assert_array_equal(at_risk([1, 2, 2, 3], [0, 2, 2.5, 3, 4]), [4, 3, 1, 1, 0])
    np.testing.assert_array_equal(at_risk([4, 5, 6], [0, 1, 2, 5], entry=[0, 1, 2]), [1, 1, 2, 2])


def test_median_at_exactly_one_half():
    curve = kaplan_meier([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    assert curve.survival[-1] == pytest.approx(0.8)
    assert np.isnan(quantile(curve))
    assert quantile(kaplan_meier([1, 2, 3, 4], [1, 1, 1, 1])) == 2
    # (4/5)(5/8) is 0.5 only up to rounding
    assert quantile(kaplan_meier([1, 1, 2, 2, 2, 3, 3, 3, 3, 3], [1, 1, 1, 1, 1, 0, 0, 0, 0, 0])) == 2


def test_past_the_last_step_the_curve_stays_flat():
    curve = kaplan_meier([2, 4], [1, 0])
    assert restricted_mean(curve, horizon=10) == pytest.approx(2 + 8 * 0.5)
    assert curve.follow_up == 4


@pytest.mark.parametrize(
    ("time", "event", "words"),
    [
        ([1, -2], [1, 1], "negative"),
        ([1, np.nan], [1, 1], "missing"),
        ([1, 2], [1, 2], "0 or 1"),
        ([], [], "no rows"),
        ([1, 2], [1], "unequal length"),
    ],
)
def test_wrong_patients_are_refused(time, event, words):
    with pytest.raises(ValueError, match=words):
        kaplan_meier(time, event)


def test_entry_after_time_and_single_group_are_refused():
    with pytest.raises(ValueError, match="entry"):
        kaplan_meier([1, 2], [1, 1], entry=[0, 2])
    with pytest.raises(ValueError, match="group"):
        log_rank([1, 2], [1, 1], ["a", "a"])
