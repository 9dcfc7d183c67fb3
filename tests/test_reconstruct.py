"""Reconstruction: exact on exact curves, honest about what was printed, sensible on clicks."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_bm.curves.patients import staggered
from bayes_bm.errors import InputError
from bayes_bm.nonparametric import at_risk, kaplan_meier, quantile, restricted_mean
from bayes_bm.reconstruct import Reconstruction, reconstruct

CELL = 1e-4  # vector precision, share of the axis


def trial(seed, n, *, whole=False, heap=False, censoring=36.0):
    """Times and events of n simulated patients: exponential deaths, uniform censoring, a data cut at 24 if `heap`."""
    rng = np.random.default_rng(seed)
    death, censor = rng.exponential(12, n), rng.uniform(3, censoring, n)
    if heap:
        censor = np.minimum(censor, 24.0)
    time = np.minimum(death, censor)
    return np.ceil(time) if whole else time, (death <= censor).astype(int)


def drawn(time, event, axis, *, rounded=False):
    """Corners of the steps of the Kaplan-Meier curve, as a vector figure holds them."""
    km = kaplan_meier(time, event)
    t = np.concatenate([[0.0], np.repeat(km.time, 2), [time.max()]])
    levels = np.concatenate([[1.0], km.survival])
    s = np.concatenate([[1.0], np.column_stack([levels[:-1], levels[1:]]).ravel(), levels[-1:]])
    if rounded:
        t, s = np.round(np.round(t / (CELL * axis)) * CELL * axis, 8), np.round(s, 4)
    table = pd.DataFrame({"time": t, "survival": s})
    return table[(table.shift() != table).any(axis=1)]


def printed(time, event, *, rounded=False):
    """Everything a paper could print: n, events, at risk every 6 months, ticks (tied ones once), the axis."""
    axis = float(np.ceil(time.max() / 6) * 6)
    table = pd.DataFrame({"time": np.arange(0, axis + 1, 6)})
    table["at_risk"] = at_risk(time, table["time"]).astype(int)
    marks = time[event == 0]
    if rounded:
        marks = np.round(np.round(marks / (CELL * axis)) * CELL * axis, 8)
    ticks = pd.DataFrame({"time": np.unique(marks)})
    return {"n": len(time), "events": int(event.sum()), "at_risk": table, "ticks": ticks, "axis_max": axis}


def clicked(time, event, axis, seed, *, clicks=100, error=0.003):
    """Clicks spread along the drawn line with normal errors in both directions."""
    rng, corners = np.random.default_rng(seed), drawn(time, event, axis).to_numpy()
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*(np.diff(corners, axis=0) / [axis, 1]).T))])
    place = np.sort(rng.uniform(0, length[-1], clicks))
    t, s = (np.interp(place, length, corners[:, k]) for k in (0, 1))
    return pd.DataFrame(
        {"time": t + error * axis * rng.standard_normal(clicks), "survival": s + error * rng.standard_normal(clicks)}
    )


def statuses(rec: Reconstruction, check: str) -> list[str]:
    return rec.diagnostics.loc[rec.diagnostics["check"] == check, "status"].tolist()


# --- exact curves -------------------------------------------------------------------------------------------------


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


# --- contradictions -----------------------------------------------------------------------------------------------


def test_a_wrong_total_is_reported_and_does_not_bend_a_drawn_curve():
    time, event = trial(4, 60)
    known = printed(time, event)
    rec = reconstruct(drawn(time, event, known["axis_max"]), **{**known, "events": int(event.sum()) - 9})
    row = rec.diagnostics[rec.diagnostics["check"] == "events"].iloc[0]
    assert (row["status"], row["reconstructed"]) == ("contradicted", event.sum())
    assert "9 more than printed" in row["note"]
    assert len(rec.patients) == 60


def test_a_corner_is_compared_with_the_nearer_of_its_two_heights():
    table = pd.DataFrame({"time": [0.0, 2, 2, 5, 5, 9], "survival": [1.0, 1, 0.8, 0.8, 0.6003, 0.6003]})
    rec = reconstruct(table, n=5, axis_max=10)
    row = rec.diagnostics[rec.diagnostics["check"] == "survival"].iloc[0]
    assert row["status"] == "honoured"
    assert abs(row["printed"] - row["reconstructed"]) < 5e-4
    for moved in (0.0, 1e-4):  # a corner, and the same one a hair beside the step
        table.loc[3, "time"] = table.loc[4, "time"] = 5 + moved
        rec = reconstruct(table, n=5, ticks=pd.DataFrame({"time": [9.0]}), axis_max=10)
        row = rec.diagnostics[rec.diagnostics["check"] == "survival"].iloc[0]
        assert abs(row["printed"] - row["reconstructed"]) < 5e-4


def test_a_wrong_number_at_risk_is_reported_with_its_time():
    time, event = trial(4, 60)
    known = printed(time, event)
    wrong = known["at_risk"].copy()
    right = int(wrong.loc[1, "at_risk"])
    wrong.loc[1, "at_risk"] = right + 3
    rec = reconstruct(drawn(time, event, known["axis_max"]), **{**known, "at_risk": wrong})
    rows = rec.diagnostics[rec.diagnostics["check"] == "at_risk"]
    bad = rows[rows["status"] == "contradicted"]
    assert bad["time"].tolist() == [6.0]
    assert (bad["printed"].iloc[0], bad["reconstructed"].iloc[0]) == (right + 3, right)
    np.testing.assert_allclose(rec.patients["time"], np.sort(time))


def test_clicks_against_an_impossible_total_say_so():
    time, event = trial(5, 100)
    table = clicked(time, event, 36.0, 1)
    rec = reconstruct(table, n=100, events=5, at_risk=printed(time, event)["at_risk"], axis_max=36)
    assert "contradicted" in statuses(rec, "events")
    assert len(rec.patients) == 100
    assert abs(rec.patients["event"].sum() - event.sum()) < 15


def test_clicks_against_an_impossible_number_at_risk_say_so():
    time, event = trial(5, 100)
    known = printed(time, event)
    table = known["at_risk"].copy()
    table.loc[1, "at_risk"] = 98  # the curve has fallen to about 0.6
    rec = reconstruct(clicked(time, event, 36.0, 1), n=100, at_risk=table, axis_max=36)
    notes = rec.diagnostics[(rec.diagnostics["check"] == "at_risk") & (rec.diagnostics["status"] == "contradicted")]
    assert (notes["time"] == 6).all()
    assert notes["note"].str.contains("gave way").any()
    assert len(rec.patients) == 100


def test_wrong_input_is_refused_before_anything_is_rebuilt():
    with pytest.raises(InputError, match="n: found nothing"):
        reconstruct(pd.DataFrame({"time": [0, 1], "survival": [1, 0.5]}))


# --- clicked curves -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(20, 400), st.sampled_from(["full", "risk", "n"]), st.sampled_from([0.003, 0.01])
)
def test_clicks_give_n_rows_and_honour_what_was_printed(seed, n, info, error):
    time, event = trial(seed, n)
    known = printed(time, event)
    del known["ticks"]
    if info != "full":
        del known["events"]
    if info == "n":
        del known["at_risk"]
    table = clicked(time, event, known["axis_max"], seed, error=error)
    rec = reconstruct(table, **known)
    assert rec.method == "clicked"
    assert len(rec.patients) == n
    assert (rec.patients["time"] >= 0).all()
    if "contradicted" not in set(rec.diagnostics["status"]):
        if info == "full":
            assert rec.patients["event"].sum() == event.sum()
        if info != "n":
            found = at_risk(rec.patients["time"], known["at_risk"]["time"])
            np.testing.assert_array_equal(found, known["at_risk"]["at_risk"])
    else:
        assert error == 0.01 or n < 60
    grid = np.linspace(0, time.max(), 400)
    gap = np.abs(kaplan_meier(rec.patients["time"], rec.patients["event"])(grid) - kaplan_meier(time, event)(grid))
    assert gap.mean() < 3.5 * error + 0.5 / n


def test_missing_events_do_not_all_go_into_the_last_interval():
    time, event = trial(11, 200, censoring=60.0)
    known = printed(time, event)
    table = clicked(time, event, known["axis_max"], 3)
    free = reconstruct(table, n=200, at_risk=known["at_risk"], axis_max=known["axis_max"])
    forced = int(free.patients["event"].sum()) + 6
    rec = reconstruct(table, n=200, at_risk=known["at_risk"], events=forced, axis_max=known["axis_max"])
    assert rec.patients["event"].sum() == forced
    edges = [*known["at_risk"]["time"], np.inf]
    more = [np.histogram(r.patients["time"][r.patients["event"] == 1], edges)[0] for r in (free, rec)]
    assert (more[1] - more[0])[-2:].sum() <= 2


@pytest.mark.slow
def test_median_and_restricted_mean_from_careful_clicks():
    ratios = []
    for seed in range(8):
        time, event = trial(seed, 200)
        known = printed(time, event)
        rec = reconstruct(
            clicked(time, event, known["axis_max"], seed), n=200, at_risk=known["at_risk"], axis_max=known["axis_max"]
        )
        found, true = kaplan_meier(rec.patients["time"], rec.patients["event"]), kaplan_meier(time, event)
        ratios.append(
            (quantile(found) / quantile(true), restricted_mean(found, horizon=24) / restricted_mean(true, horizon=24))
        )
    assert np.abs(np.array(ratios)[:, 0] - 1).mean() < 0.025  # 0.3 % of a 36-month axis is 1.3 % of a median of 8
    assert np.abs(np.array(ratios)[:, 1] - 1).max() < 0.015


@pytest.mark.slow
def test_where_nobody_is_censored_clicks_do_not_lose_deaths():
    """Numbers at risk that fit the line only by luck must not push survival up: no censoring, careless clicks."""
    ratios = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        time = np.minimum(rng.exponential(10, 200), 30.0)
        event = (time < 30).astype(int)
        known = printed(time, event)
        del known["ticks"], known["events"]
        rec = reconstruct(clicked(time, event, known["axis_max"], seed, clicks=32, error=0.01), **known)
        ratios.append(rec.patients["event"].sum() / event.sum())
    assert abs(np.mean(ratios) - 1) < 0.005  # -0.0003; with each interval taken in turn -0.009


# --- draws --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drawn", "clicked"])
def test_draws_repeat_with_their_seed_and_keep_what_was_printed(kind):
    time, event = trial(21, 80)
    known = printed(time, event)
    table = (
        drawn(time, event, known["axis_max"], rounded=True)
        if kind == "drawn"
        else clicked(time, event, known["axis_max"], 4)
    )
    rec = reconstruct(table, n=80, events=known["events"], at_risk=known["at_risk"], axis_max=known["axis_max"])
    one, two, other = rec.draw(5), rec.draw(5), rec.draw(5, seed=2)
    for a, b in zip(one, two, strict=True):
        pd.testing.assert_frame_equal(a, b)
    assert any(not a.equals(b) for a, b in zip(one, other, strict=True))
    for patients in one:
        assert len(patients) == 80
        assert patients["event"].sum() == known["events"]
        np.testing.assert_array_equal(at_risk(patients["time"], known["at_risk"]["time"]), known["at_risk"]["at_risk"])


@pytest.mark.slow
def test_draws_vary_the_total_of_events_where_it_was_not_printed():
    time, event = trial(3, 150)
    rec = reconstruct(clicked(time, event, 36.0, 4), n=150, axis_max=36)
    totals = [d["event"].sum() for d in rec.draw(40)]
    assert np.std(totals) > 2
    assert min(totals) <= event.sum() <= max(totals)


def test_staggered_entry_is_the_average_over_accrual_lengths():
    x, f = 0.37, (np.arange(20000) + 0.5) / 20000
    assert staggered(np.array(x)) == pytest.approx(np.minimum(1, (1 - x) / (1 - f)).mean(), abs=1e-4)
    np.testing.assert_array_equal(staggered(np.array([0.0, 1.0])), [1, 0])


# --- the benchmark beside the clone -------------------------------------------------------------------------------


@pytest.mark.slow
def test_kmbench_is_exact_for_drawn_curves_and_better_than_clicking_allows_others(shared, tmp_path):
    bench = shared / "kmbench"
    sys.path.insert(0, str(bench))
    try:
        import score
    finally:
        sys.path.remove(str(bench))
    for row in pd.read_csv(bench / "given.csv").itertuples():
        table = pd.read_csv(bench / "risk" / f"{row.arm}.csv")
        marks = pd.read_csv(bench / "marks" / f"{row.arm}.csv")
        known = {"n": row.n, "events": row.events, "axis_max": row.axis_max, "at_risk": table}
        for level, ticks in (("V", marks), ("D1", None), ("D2", None)):
            curve = pd.read_csv(bench / "inputs" / f"{row.arm}.{level}.csv")
            rec = reconstruct(curve, ticks=ticks, **known)
            rec.patients.to_csv(tmp_path / f"{row.arm}.{level}.full.csv", index=False)
    cases, missing = score.score_set(bench, tmp_path, infos=("full",))
    assert not missing
    assert (cases["n_wrong"] == 0).all()
    vector = cases[cases["level"] == "V"]
    assert vector["events_abs"].max() == 0
    assert vector["risk_max"].max() == 0
    assert vector["iae"].median() < 4e-5
    assert vector["log_hr_abs"].median() < 0.001
    assert vector["log_hr_abs"].max() < 0.02
    assert cases.loc[cases["level"] == "D1", "iae"].median() < 0.0042
    assert cases.loc[cases["level"] == "D2", "iae"].median() < 0.010
    assert cases.loc[cases["level"] != "V", "events_rel"].median() == 0
