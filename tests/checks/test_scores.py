"""Scores of predictions: R's survival and scikit-survival on lung, closed forms, and what a right model must give."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_bm.checks.scores import brier, calibration, censoring_survival, d_calibration, harrell, integrated_brier, uno
from bayes_bm.runtime.errors import InputError
from tests.paths import GOLDEN, LIFELINES

TIMES = np.array([100.0, 200.0, 365.0, 500.0, 700.0])


@pytest.fixture(scope="module")
def lung() -> dict[str, np.ndarray]:
    table = pd.read_csv(LIFELINES / "lung.csv")[["time", "status", "age", "sex"]].dropna()
    risk = np.exp(0.02 * (table["age"] - 62) - 0.5 * (table["sex"] - 1)).to_numpy()
    found = {name: table[name].to_numpy(dtype=float) for name in table}
    return {**found, "risk": risk, "survival": np.exp(-((TIMES / 420.0) ** 1.3) * risk[:, None])}


def golden(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def test_scores_are_those_of_scikit_survival(lung) -> None:
    known, time = golden("scores_sksurv"), lung["time"] + 1e-4 * np.arange(len(lung["time"]))
    found = brier(time, lung["status"], TIMES, lung["survival"])
    assert found == pytest.approx(known["brier"], rel=1e-12)
    assert integrated_brier(TIMES, found) == pytest.approx(known["integrated_brier"], rel=1e-12)
    assert harrell(time, lung["status"], lung["risk"]).index == pytest.approx(known["harrell"], rel=1e-12)
    assert uno(time, lung["status"], lung["risk"]).index == pytest.approx(known["uno"], rel=1e-12)
    assert uno(time, lung["status"], lung["risk"], end=500.0).index == pytest.approx(known["uno_500"], rel=1e-12)


def test_scores_are_those_of_r_with_ties(lung) -> None:
    known = golden("scores_r")
    assert harrell(lung["time"], lung["status"], lung["risk"]).index == pytest.approx(known["harrell"], rel=1e-12)
    assert uno(lung["time"], lung["status"], lung["risk"]).index == pytest.approx(known["uno"], rel=1e-12)
    # a Cox model's curves are powers of the first patient's
    score = np.column_stack([lung["age"], lung["sex"]]) @ np.array(known["coefficients"])
    predicted = np.array(known["survival_first"]) ** np.exp(score - score[0])[:, None]
    found = brier(lung["time"], lung["status"], TIMES, predicted)
    # R gives the curve of everybody first, then the model's
    assert found == pytest.approx(known["brier"][len(TIMES) :], rel=1e-10)


def test_without_censoring_the_brier_score_is_a_mean_square() -> None:
    time, event = np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4)
    predicted = np.array([[0.2], [0.4], [0.7], [0.9]])
    assert brier(time, event, np.array([2.5]), predicted) == pytest.approx([(0.04 + 0.16 + 0.09 + 0.01) / 4])


def test_censoring_follows_events_at_a_tie() -> None:
    """At 2 one of three left is censored, after the event at 2: two were at risk of it."""
    steps, values = censoring_survival(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 1.0, 0.0, 1.0]))
    assert steps.tolist() == [2.0]
    assert values.tolist() == [0.5]


def test_a_time_beyond_follow_up_is_refused(lung) -> None:
    with pytest.raises(InputError, match="times: found 1022; allowed: below the last follow-up in the cohort, 1022"):
        brier(lung["time"], lung["status"], np.array([1022.0]), np.ones((len(lung["time"]), 1)))
    with pytest.raises(InputError, match="two or more, to integrate over"):
        integrated_brier(TIMES[:1], TIMES[:1])


def test_d_calibration_is_the_slow_loop() -> None:
    rng = np.random.default_rng(3)
    survival, event = rng.random(50), (rng.random(50) < 0.6).astype(float)
    shares = [0.0] * 5
    for own, happened in zip(survival, event, strict=True):
        for k in range(5):
            low, high = k / 5, (k + 1) / 5
            if happened:
                shares[k] += low < own <= high
            elif own > high:
                shares[k] += (high - low) / own
            elif own > low:
                shares[k] += (own - low) / own
    found = d_calibration(event, survival, bins=5)
    assert found.share * 50 == pytest.approx(shares)
    chi_square = sum((share - 10) ** 2 / 10 for share in shares)
    assert (found.chi_square, found.p) == pytest.approx((chi_square, stats.chi2.sf(chi_square, 4)))


def test_a_right_model_is_calibrated_and_a_wrong_one_is_not() -> None:
    rng = np.random.default_rng(8)
    rate = rng.uniform(0.5, 2.0, 4000)
    latent, censoring = rng.exponential(1 / rate), rng.exponential(1.0, 4000)
    time, event = np.minimum(latent, censoring), (latent <= censoring).astype(float)
    right, wrong = np.exp(-rate * time), np.exp(-1.4 * rate * time)
    assert d_calibration(event, right).p > 0.01
    assert d_calibration(event, wrong).p < 1e-6
    for group in calibration(time, event, 0.6, np.exp(-0.6 * rate)):
        assert group.low <= group.predicted <= group.high
        assert group.n == pytest.approx(800, abs=2)
    outside = [
        g for g in calibration(time, event, 0.6, np.exp(-1.4 * 0.6 * rate)) if not g.low <= g.predicted <= g.high
    ]
    assert len(outside) >= 4
