"""Drawn curves: exact whole numbers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_bm.nonparametric import at_risk, kaplan_meier, restricted_mean
from bayes_bm.reconstruct import Reconstruction, reconstruct

from .trials import drawn, printed, trial


def statuses(rec: Reconstruction, check: str) -> list[str]:
    return rec.diagnostics.loc[rec.diagnostics["check"] == check, "status"].tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 250), st.booleans(), st.booleans())
def test_an_exact_curve_with_everything_printed_gives_the_patients_back(seed, n, whole, heap):
    time, event = trial(seed, n, whole=whole, heap=heap)
    known = printed(time, event)
    rec = reconstruct(drawn(time, event, known["axis_max"]), **known)
    found, true = kaplan_meier(rec.patients["time"], rec.patients["event"]), kaplan_meier(time, event)
    assert len(rec.patients) == n
    assert rec.patients["event"].sum() == event.sum()
    np.testing.assert_allclose(found.time, true.time, atol=1e-9)
    np.testing.assert_allclose(found.survival, true.survival, atol=1e-8)
    np.testing.assert_array_equal(at_risk(rec.patients["time"], known["at_risk"]["time"]), known["at_risk"]["at_risk"])
    if not whole:  # without ties among the censored, every patient
        np.testing.assert_allclose(rec.patients["time"], np.sort(time), atol=1e-9)
    assert "contradicted" not in set(rec.diagnostics["status"])


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 250), st.booleans())
def test_a_rounded_curve_keeps_every_whole_number(seed, n, heap):
    time, event = trial(seed, n, heap=heap)
    known = printed(time, event, rounded=True)
    rec = reconstruct(drawn(time, event, known["axis_max"], rounded=True), **known)
    assert len(rec.patients) == n
    assert rec.patients["event"].sum() == event.sum()
    np.testing.assert_array_equal(at_risk(rec.patients["time"], known["at_risk"]["time"]), known["at_risk"]["at_risk"])
    found, true = kaplan_meier(rec.patients["time"], rec.patients["event"]), kaplan_meier(time, event)
    assert abs(restricted_mean(found, horizon=24) - restricted_mean(true, horizon=24)) < 0.003


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 200), st.booleans())
def test_with_n_alone_the_drop_heights_tell_who_was_at_risk(seed, n, rounded):
    time, event = trial(seed, n)
    axis = 36.0
    rec = reconstruct(drawn(time, event, axis, rounded=rounded), n=n, axis_max=axis)
    found, true = kaplan_meier(rec.patients["time"], rec.patients["event"]), kaplan_meier(time, event)
    assert len(rec.patients) == n
    grid = np.linspace(0, time.max(), 500)
    assert np.abs(found(grid) - true(grid)).mean() < (2e-3 if rounded else 1e-6)  # a step moved by half a grid cell
    assert np.abs(at_risk(rec.patients["time"], true.time) - true.at_risk).mean() < max(0.12 * n, 3)


@pytest.mark.slow
def test_a_large_trial_with_many_ties():
    time, event = trial(8, 3000, whole=True, heap=True)
    known = printed(time, event)
    rec = reconstruct(drawn(time, event, known["axis_max"]), **known)
    assert rec.patients["event"].sum() == event.sum()
    found, true = kaplan_meier(rec.patients["time"], rec.patients["event"]), kaplan_meier(time, event)
    np.testing.assert_array_equal(found.events, true.events)
    np.testing.assert_array_equal(found.at_risk, true.at_risk)


def test_a_last_drop_to_zero_and_a_curve_without_events():
    time, event = np.array([1.0, 2, 2, 4, 7]), np.array([1, 1, 0, 1, 1])
    rec = reconstruct(drawn(time, event, 8.0), n=5, events=4, axis_max=8)
    assert rec.patients["event"].tolist() == [1, 1, 0, 1, 1] or rec.patients["event"].sum() == 4
    assert rec.patients["time"].max() == 7
    flat = pd.DataFrame({"time": [0.0, 9.0], "survival": [1.0, 1.0]})
    rec = reconstruct(flat, n=4, axis_max=10)
    assert rec.patients["event"].sum() == 0
    assert rec.patients["time"].max() == 9


def test_one_tick_for_many_tied_censorings():
    time = np.array([1.0, 2, 3, 3, 3, 3, 5, 6, 8])
    event = np.array([1, 1, 0, 0, 0, 0, 1, 1, 0])
    rec = reconstruct(drawn(time, event, 8.0), n=9, events=4, ticks=pd.DataFrame({"time": [3.0, 8.0]}), axis_max=8)
    np.testing.assert_array_equal(rec.patients["time"], time)
    np.testing.assert_array_equal(rec.patients["event"], event)


def test_a_censoring_tied_with_an_event_comes_after_it_on_an_exact_axis():
    time = np.pi * np.array([1.0, 2, 2, 3, 3, 3, 4, 5])
    event = np.array([1, 1, 0, 1, 0, 0, 1, 0])
    rec = reconstruct(
        drawn(time, event, 16.0), n=8, events=4, ticks=pd.DataFrame({"time": np.pi * np.array([2, 3, 5])}), axis_max=16
    )
    np.testing.assert_array_equal(rec.patients["time"], time)
    np.testing.assert_array_equal(rec.patients["event"], event)
    assert "contradicted" not in set(rec.diagnostics["status"])


def test_an_event_at_a_printed_time_counts_as_at_risk():
    time, event = np.array([2.0, 6, 6, 7, 9]), np.array([1, 1, 0, 1, 0])
    known = printed(time, event)
    assert known["at_risk"]["at_risk"].tolist() == [5, 4, 0]
    rec = reconstruct(drawn(time, event, 12.0), **known)
    np.testing.assert_array_equal(rec.patients["time"], time)
