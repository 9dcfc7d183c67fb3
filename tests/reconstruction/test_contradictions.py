"""Printed numbers against the curve: each contradiction by its name, with its numbers and what gave way.

One arm of 100 patients is drawn, printed and then spoilt in one way at a time; clean arms raise no name at all.
"""

from dataclasses import astuple, replace

import numpy as np
import pandas as pd
import pytest

from bayes_bm.hazards.nonparametric import at_risk
from bayes_bm.reconstruction.bounds import click_scatter, event_limits, excess
from bayes_bm.reconstruction.clicked import solve
from bayes_bm.reconstruction.consistency import check_consistency
from bayes_bm.reconstruction.contradictions import CONTRADICTIONS, refusal
from bayes_bm.reconstruction.curve import read_curve, unit_of_ratio
from bayes_bm.reconstruction.diagnostics import distances
from bayes_bm.reconstruction.reconstruct import Reconstruction, reconstruct
from bayes_bm.reconstruction.swapped_arms import Arm, swapped_arms
from bayes_bm.runtime.errors import InputError
from tests.builders.trials import clicked, drawn, printed, trial, varied
from tests.paths import ROOT

TIME, EVENT = trial(4, 100)
KNOWN = printed(TIME, EVENT)
AXIS = KNOWN["axis_max"]
CURVE = drawn(TIME, EVENT, AXIS)
CLICKS = clicked(TIME, EVENT, AXIS, 1)
COUNTS = KNOWN["at_risk"]["at_risk"].to_numpy()


def spoilt(**changes) -> dict:
    return {**KNOWN, **changes}


def table(counts, times=None) -> pd.DataFrame:
    return pd.DataFrame({"time": KNOWN["at_risk"]["time"] if times is None else times, "at_risk": counts})


def with_count(row: int, count: int) -> pd.DataFrame:
    changed = COUNTS.copy()
    changed[row] = count
    return table(changed)


def names(rec: Reconstruction) -> set[str]:
    return set(rec.diagnostics["check"]) & set(CONTRADICTIONS)


def row_of(rec: Reconstruction, name: str) -> pd.Series:
    rows = rec.diagnostics[rec.diagnostics["check"] == name]
    assert len(rows) == 1, rec.diagnostics
    return rows.iloc[0]


def refused(name: str, *args, **numbers) -> InputError:
    with pytest.raises(InputError) as error:
        reconstruct(*args, **numbers)
    assert str(error.value).endswith(f"[{name}]"), error.value
    return error.value


def assert_same_patients(rec: Reconstruction) -> None:
    np.testing.assert_allclose(rec.patients["time"], np.sort(TIME), atol=1e-6)


# --- clean arms ---------------------------------------------------------------------------------------------------


def clean(seed: int):
    """A curve and what is printed beside it, of a random arm, drawn or clicked, with everything or little printed."""
    rng = np.random.default_rng(seed)
    n, whole, heap = int(rng.integers(8, 300)), bool(rng.integers(2)), bool(rng.integers(2))
    time, event = trial(seed, n, whole=whole, heap=heap)
    kind = ("exact", "rounded", "careful", "careless")[seed % 4]
    numbers = printed(time, event, rounded=kind == "rounded")
    for name in ("ticks", "events", "at_risk"):
        if rng.integers(2) or (name == "ticks" and kind.startswith("care")):
            del numbers[name]
    if kind.startswith("care"):
        clicks, error = (100, 0.003) if kind == "careful" else (32, 0.01)
        return clicked(time, event, numbers["axis_max"], seed, clicks=clicks, error=error), numbers
    return drawn(time, event, numbers["axis_max"], rounded=kind == "rounded"), numbers


@pytest.mark.parametrize("seed", range(16))
def test_a_clean_arm_raises_no_name(seed, monkeypatch):
    """Names are said before the chain over patients runs, so one of a few sweeps is enough here."""
    monkeypatch.setattr(solve, "MOST_SWEEPS", 1)
    monkeypatch.setattr(solve, "SETTLING", 1)
    curve, numbers = clean(seed)
    assert not names(reconstruct(curve, **numbers))


@pytest.mark.slow
def test_of_many_clean_arms_none_raises_a_name():
    """Names are said before anybody is rebuilt, all but one.

    `at_risk_after_events` needs a rebuilt table that is not the printed one: test_drawn finds none in a clean arm.
    """
    raised = {}
    for seed in range(100, 300):
        curve, numbers = clean(seed)
        rows = check_consistency(read_curve(curve, **numbers)).rows
        if given := {row["check"] for row in rows} & set(CONTRADICTIONS):
            raised[seed] = given
    assert not raised


@pytest.mark.slow
def test_the_limits_hold_the_truth():
    """Bounds on events and numbers at risk are never broken by an arm's own numbers, whatever is printed."""
    for seed in range(125):
        rng = np.random.default_rng(seed)
        time, event = trial(seed, int(rng.integers(5, 400)), whole=bool(rng.integers(2)), heap=bool(rng.integers(2)))
        numbers = {**printed(time, event), "ticks": None}
        corners = drawn(time, event, numbers["axis_max"], rounded=bool(seed % 2))
        for curve in (corners, clicked(time, event, numbers["axis_max"], seed, clicks=32, error=0.01)):
            read = read_curve(curve, **numbers)
            limits = event_limits(read)
            assert limits.fewest <= event.sum() <= limits.most, seed
            assert not excess(read).survival.any(), seed


# --- limits against closed forms ----------------------------------------------------------------------------------


def test_limits_of_events_are_those_of_early_and_late_censoring():
    """100 fall to a half with 30 left: at most 50 die (then 20 leave), at least 30 (70 - 30 leave first: 60 to 30)."""
    curve = pd.DataFrame({"time": [0.0, 5, 5, 9.99, 9.99, 11], "survival": [1, 1, 0.75, 0.75, 0.5, 0.5]})
    read = read_curve(curve, n=100, at_risk=pd.DataFrame({"time": [10], "at_risk": [30]}), axis_max=12)
    assert (event_limits(read).fewest, event_limits(read).most) == (30, 50)
    alone = event_limits(read_curve(curve, n=100, axis_max=12))
    assert (alone.fewest, alone.most) == (2, 50)


def test_the_most_at_risk_is_the_number_before_times_the_fall():
    curve = pd.DataFrame({"time": [0.0, 5, 5, 9, 9, 11], "survival": [1, 1, 0.75, 0.75, 0.5, 0.5]})
    counts = pd.DataFrame({"time": [0, 6, 10], "at_risk": [100, 60, 41]})
    limits = excess(read_curve(curve, at_risk=counts, axis_max=12))
    assert limits.allowed == pytest.approx([75, 40], abs=0.1)
    assert limits.survival == pytest.approx([0, 41 * 0.75 / 60 - 0.5], abs=6e-3)  # two decimals are believed to 0.005


def test_the_scatter_of_clicks_is_estimated_without_fitting():
    for error in (0.003, 0.01):
        scatters = [
            click_scatter(read_curve(clicked(TIME, EVENT, AXIS, s, error=error), n=100, axis_max=AXIS))
            for s in range(20)
        ]
        assert np.mean(scatters) == pytest.approx(error, rel=0.25)


# --- numbers at risk ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_at_risk_above_curve():
    alive = float(np.interp(6, CURVE["time"], CURVE["survival"]))
    rec = reconstruct(CURVE, **spoilt(at_risk=with_count(1, 95)))
    row = row_of(rec, "at_risk_above_curve")
    assert (row["time"], row["printed"], row["status"]) == (6, 95, "contradicted")
    assert row["reconstructed"] == pytest.approx(100 * alive, abs=1.1)
    assert f"{95 - int(row['reconstructed'])} more than the {int(row['reconstructed'])}" in row["note"]
    assert_same_patients(rec)
    assert rec.verdict == "contradictory"
    clicks = reconstruct(CLICKS, **spoilt(at_risk=with_count(1, 95), ticks=None))
    assert row_of(clicks, "at_risk_above_curve")["time"] == 6
    assert len(clicks.patients) == 100


def test_a_number_that_is_too_low_gives_way_where_the_next_one_shows_it():
    counts = with_count(1, COUNTS[2] + 1)  # the curve falls by more than one patient to the next row
    rec = reconstruct(CURVE, **spoilt(at_risk=counts))
    row = row_of(rec, "at_risk_above_curve")
    assert (row["time"], row["printed"]) == (6, COUNTS[2] + 1)
    assert "the one before, at 6, gave way" in row["note"]
    assert_same_patients(rec)


@pytest.mark.parametrize("rounded", [False, True])
def test_at_risk_after_events(rounded):
    time, event = trial(4, 100, whole=True)
    numbers = printed(time, event, rounded=rounded)
    late_table = table([(time > t).sum() for t in numbers["at_risk"]["time"]], numbers["at_risk"]["time"])
    late_table.loc[0, "at_risk"] = 100
    telling = int((late_table["at_risk"] != numbers["at_risk"]["at_risk"]).sum())
    assert telling >= 3
    curve = drawn(time, event, numbers["axis_max"], rounded=rounded)
    rec = reconstruct(curve, **{**numbers, "at_risk": late_table})
    row = row_of(rec, "at_risk_after_events")
    assert row["status"] == "changed"
    shown = rec.diagnostics[rec.diagnostics["check"] == "at_risk"]
    assert set(shown["status"]) == {"honoured"}
    np.testing.assert_array_equal(shown["time"], late_table["time"][1:])
    np.testing.assert_array_equal(
        at_risk(rec.patients["time"], numbers["at_risk"]["time"] - 0.01), numbers["at_risk"]["at_risk"]
    )
    assert rec.verdict in ("exact", "good")


def test_a_table_that_holds_is_not_turned_round():
    """It would hold as time > t too, with 125 instead of 124 at 6: what holds as it is meant stays."""
    time, event = varied(13446, 159, censoring="staggered")
    numbers = printed(time, event, rounded=True)
    rec = reconstruct(drawn(time, event, numbers["axis_max"], rounded=True), **numbers)
    assert "at_risk_after_events" not in set(rec.diagnostics["check"])
    count_times = numbers["at_risk"]["time"]
    np.testing.assert_array_equal(at_risk(rec.patients["time"], count_times), numbers["at_risk"]["at_risk"])


def test_one_row_alone_does_not_turn_the_table_round():
    """One number with time > t among others with time >= t is a misprint: said row by row, nothing converted."""
    time, event = trial(4, 100, whole=True)
    numbers = printed(time, event)
    mixed_table = numbers["at_risk"].copy()
    mixed_table.loc[1, "at_risk"] = (time > 6).sum()
    assert mixed_table.loc[1, "at_risk"] < numbers["at_risk"].loc[1, "at_risk"]
    rec = reconstruct(drawn(time, event, numbers["axis_max"]), **{**numbers, "at_risk": mixed_table})
    assert "changed" not in set(rec.diagnostics.loc[rec.diagnostics["check"] == "at_risk_after_events", "status"])


def test_one_telling_row_is_said_and_not_converted():
    """Others count nobody at their times, so either reading holds for them; the one may be a misprint."""
    time = TIME.copy()
    died = np.flatnonzero(EVENT == 1)
    time[died[np.abs(time[died] - 6).argmin()]] = 6.0
    numbers = printed(time, EVENT)
    late_table = table([100, *((time > t).sum() for t in numbers["at_risk"]["time"][1:])])
    assert (late_table["at_risk"] != numbers["at_risk"]["at_risk"]).sum() == 1
    rec = reconstruct(drawn(time, EVENT, AXIS), **{**numbers, "at_risk": late_table})
    assert (row_of(rec, "at_risk_after_events")["status"], rec.verdict) == ("uncertain", "contradictory")
    np.testing.assert_allclose(rec.patients["time"], np.sort(time), atol=1e-6)


def test_at_risk_rises():
    rec = reconstruct(CURVE, **spoilt(at_risk=with_count(3, COUNTS[2] + 5)))
    row = row_of(rec, "at_risk_rises")
    assert (row["time"], row["printed"]) == (18, COUNTS[2] + 5)
    assert_same_patients(rec)
    low = reconstruct(CURVE, **spoilt(at_risk=with_count(2, COUNTS[4])))  # lower than the next: that row is wrong
    assert (row_of(low, "at_risk_rises")["time"], row_of(low, "at_risk_rises")["printed"]) == (12, COUNTS[4])


def test_a_rise_that_two_rows_explain_is_refused():
    flat = pd.DataFrame({"time": [0.0, 2, 2, 12], "survival": [1.0, 1, 0.9, 0.9]})
    counts = pd.DataFrame({"time": [0, 3, 6, 9], "at_risk": [100, 55, 72, 30]})
    error = refused("at_risk_rises", flat, at_risk=counts, axis_max=12)
    assert error.where == "at_risk, time 6, column at_risk"
    assert (error.found, error.allowed) == (72, "at most 55, the number before")
    typo = counts.assign(at_risk=[100, 58, 72, 40])  # 85 typed as 58; 27 for 72 would be less than 40
    row = row_of(reconstruct(flat, at_risk=typo, axis_max=12), "at_risk_rises")
    assert (row["time"], row["printed"]) == (3, 58)
    refused("at_risk_rises", flat, at_risk=counts.assign(at_risk=[100, 50, 60, 70]), axis_max=12)


def test_at_risk_zero_at_end():
    curve = pd.DataFrame({"time": [0.0, 2, 2, 5, 5, 12], "survival": [1.0, 1, 0.9, 0.9, 0.8, 0.8]})
    counts = pd.DataFrame({"time": [0, 6, 12], "at_risk": [10, 8, 0]})
    ends = reconstruct(curve, at_risk=counts, axis_max=12)
    assert row_of(ends, "at_risk_zero_at_end")["status"] == "changed"
    assert set(ends.diagnostics.loc[ends.diagnostics["check"] == "at_risk", "status"]) == {"honoured"}
    longer = reconstruct(curve, at_risk=counts.assign(time=[0, 6, 9]), axis_max=12)
    row = row_of(longer, "at_risk_zero_at_end")
    assert (row["time"], row["printed"], row["status"]) == (9, 0, "contradicted")
    assert "goes on to 12 at 0.8" in row["note"]
    assert longer.patients["time"].max() == 12
    lived = CLICKS[CLICKS["survival"] > 0.2]
    clicks = reconstruct(lived, n=100, axis_max=AXIS, at_risk=pd.DataFrame({"time": [0, 6], "at_risk": [100, 0]}))
    assert row_of(clicks, "at_risk_zero_at_end")["time"] == 6


def test_n_against_at_risk():
    error = refused("n_against_at_risk", CURVE, **spoilt(n=103))
    assert (error.found, error.allowed) == (100, "n = 103")
    other = table([120, 90], [3, 6])
    assert refused("n_against_at_risk", CURVE, **spoilt(at_risk=other)).where == "at_risk, time 3, column at_risk"


# --- the total ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("curve", [CURVE, CLICKS], ids=["drawn", "clicked"])
@pytest.mark.parametrize(("name", "events"), [("too_many_events", 99), ("too_few_events", 20)])
def test_totals_that_curve_and_table_cannot_have_give_way(curve, name, events):
    limits = event_limits(read_curve(curve, **spoilt(ticks=None)))
    bound = limits.most if events == 99 else limits.fewest
    rec = reconstruct(curve, **spoilt(events=events, ticks=None))
    row = row_of(rec, name)
    assert (row["printed"], row["reconstructed"], row["status"]) == (events, bound, "contradicted")
    assert f"allow {limits.fewest} to {limits.most} events; printed {events} is {abs(events - bound)}" in row["note"]
    total = rec.diagnostics[rec.diagnostics["check"] == "events"]
    assert set(total["status"]) == {"contradicted"}
    free = reconstruct(curve, **spoilt(events=None, ticks=None))
    pd.testing.assert_frame_equal(rec.patients, free.patients)


def test_an_impossible_total_does_not_pull_a_coarsely_drawn_curve():
    """Heights to three decimals leave the events of 400 patients open, so a total that was half met would show."""
    time, event = trial(4, 400)
    curve = drawn(time, event, 36.0, rounded=True)
    curve = curve[curve["time"] < 12].assign(survival=curve["survival"].round(3))
    free = read_curve(curve, n=400, axis_max=36)
    most = event_limits(free).most
    settled = check_consistency(replace(free, events=most + 20))
    [row] = [row for row in settled.rows if row["check"] == "too_many_events"]
    assert row["reconstructed"] == most
    # patients are rebuilt of the curve without a total, as the test above sees
    for given, used in zip(astuple(check_consistency(free).used), astuple(settled.used), strict=True):
        np.testing.assert_array_equal(given, used)


# --- units and axes -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "units"), [(30.4375 / 7, "weeks to months"), (30.4375, "days to months")])
def test_a_table_in_a_finer_unit_is_converted(factor, units):
    weeks = KNOWN["at_risk"].assign(time=np.round(KNOWN["at_risk"]["time"] * factor, 3))
    for curve in (CURVE, CLICKS):
        rec = reconstruct(curve, **spoilt(at_risk=weeks, ticks=None))
        row = row_of(rec, "time_unit")
        assert row["status"] == "changed"
        assert units in row["note"]
        assert (row["printed"], row["reconstructed"]) == pytest.approx((AXIS * factor, AXIS), rel=1e-4)
        assert set(rec.diagnostics.loc[rec.diagnostics["check"] == "at_risk", "status"]) == {"honoured"}


@pytest.mark.slow
def test_a_table_in_years_is_converted_where_too_few_would_be_left_for_the_steps():
    years = KNOWN["at_risk"].assign(time=KNOWN["at_risk"]["time"] / 12)
    rec = reconstruct(CURVE, **spoilt(at_risk=years))
    assert row_of(rec, "time_unit")["status"] == "changed"
    assert_same_patients(rec)
    clicks = reconstruct(CLICKS, **spoilt(at_risk=years, ticks=None))  # clicks show no steps to count
    assert row_of(clicks, "time_unit")["status"] == "uncertain"
    assert clicks.verdict in ("doubtful", "contradictory")


def test_times_in_no_known_unit_are_refused():
    strange = KNOWN["at_risk"].assign(time=KNOWN["at_risk"]["time"] * 2)
    error = refused("time_unit", CURVE, **spoilt(at_risk=strange))
    assert error.allowed == f"0 to axis_max = {AXIS:g}"
    error = refused("time_unit", CURVE.assign(time=CURVE["time"] * 30.4375 / 7), n=100, axis_max=AXIS)
    assert "is the curve in another time unit than axis_max" in str(error)
    months = CURVE.assign(time=CURVE["time"] * (30.4375 / 7) * AXIS / CURVE["time"].max())
    assert "weeks to months" in str(refused("time_unit", months, n=100, axis_max=AXIS))
    assert [unit_of_ratio(r) for r in (12, 1 / 12, 3, 4.348)] == ["months to years", "years to months", "",
                                                                   "weeks to months"]  # fmt: skip


def test_percent():
    rec = reconstruct(CURVE.assign(survival=100 * CURVE["survival"]), **KNOWN)
    assert row_of(rec, "percent")["status"] == "changed"
    assert "largest 100): divided by 100" in row_of(rec, "percent")["note"]
    assert_same_patients(rec)
    assert refused("percent", CURVE.assign(survival=30 * CURVE["survival"]), **KNOWN).found == "30"


@pytest.mark.slow
def test_starts_above_one():
    rec = reconstruct(CURVE.assign(survival=1.02 * CURVE["survival"]), **KNOWN)
    row = row_of(rec, "starts_above_one")
    assert (row["printed"], row["reconstructed"], row["status"]) == (1.02, 1.0, "changed")
    assert_same_patients(rec)
    high = CLICKS.assign(survival=CLICKS["survival"] * 1.08)
    row = row_of(reconstruct(high, n=100, axis_max=AXIS), "starts_above_one")
    assert row["status"] == "uncertain"
    assert 1.06 < row["printed"] < 1.09


@pytest.mark.slow
def test_starts_late():
    later = CURVE.iloc[4:]  # after two drops
    rec = reconstruct(later, **spoilt(ticks=None))
    row = row_of(rec, "starts_late")
    assert row["time"] == later["time"].iloc[0]
    assert row["printed"] == pytest.approx(later["survival"].iloc[0], abs=1e-5)
    assert row["status"] == "uncertain"
    level = CURVE.assign(time=[0.2, *CURVE["time"].iloc[1:]])
    rec = reconstruct(level, **KNOWN)
    assert row_of(rec, "starts_late")["status"] == "changed"
    assert_same_patients(rec)
    assert names(reconstruct(CLICKS[CLICKS["time"] > 12], n=100, axis_max=AXIS)) == {"starts_late"}


def test_a_rising_curve_is_refused():
    error = refused("rising_curve", CLICKS.assign(survival=1 - CLICKS["survival"]), n=100, axis_max=AXIS)
    assert "cumulative incidence" in str(error)


# --- coarse points ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [2, 3, 5, 9])
def test_a_few_rates_are_no_curve(points):
    times = np.linspace(0, 24, points)
    rates = pd.DataFrame({"time": times, "survival": np.round(np.exp(-0.05 * times), 2)})
    error = refused("coarse_points", rates, n=80, axis_max=24)
    assert "points table" in str(error)
    assert error.found == f"{points} points that are no steps"


@pytest.mark.slow
def test_many_rates_at_round_times_are_doubtful():
    times = np.arange(0, 37, 3)
    rates = pd.DataFrame({"time": times, "survival": np.round(np.exp(-0.05 * times), 2)})
    rec = reconstruct(rates, n=80, events=60, axis_max=36)
    assert row_of(rec, "coarse_points")["status"] == "uncertain"
    assert rec.verdict == "doubtful"
    assert "published rates" in rec.reason


def test_a_curve_of_two_corners_is_a_curve():
    flat = pd.DataFrame({"time": [0.0, 9.0], "survival": [1.0, 1.0]})
    rec = reconstruct(flat, n=4, axis_max=10)
    assert not names(rec)
    assert rec.patients["event"].sum() == 0
    one = pd.DataFrame({"time": [0.0, 3, 3], "survival": [1.0, 1, 0]})
    assert not names(reconstruct(one, n=1, axis_max=4))


def test_one_point_a_step_is_a_curve_where_arithmetic_says_so():
    """survfit's own list of a small arm: few points, and all of them fractions of eight patients."""
    steps = pd.DataFrame({"time": [1.3, 2.9, 4.1, 6.6, 8.2], "survival": [0.875, 0.75, 0.625, 0.46875, 0.234375]})
    rec = reconstruct(steps, n=8, axis_max=10)
    assert not names(rec)
    assert (rec.method, rec.patients["event"].sum()) == ("drawn", 5)


# --- arms that belong together ------------------------------------------------------------------------------------


def two_arms(curve) -> tuple[dict, dict]:
    """Arms with medians near 8 and 25: curve, at_risk, n, axis_max each."""
    arms = []
    for seed, slower in ((1, 1.0), (2, 3.0)):
        rng = np.random.default_rng(seed)
        death, leave = rng.exponential(12 * slower, 80), rng.uniform(12, 36, 80)
        time, event = np.minimum(death, leave), (death <= leave).astype(int)
        numbers = printed(time, event)
        shown = drawn(time, event, 36.0) if curve == "drawn" else clicked(time, event, 36.0, seed)
        arms.append({"curve": shown, "at_risk": numbers["at_risk"], "n": None, "axis_max": 36.0})
    return arms[0], arms[1]


@pytest.mark.parametrize("kind", ["drawn", "clicked"])
def test_swapped_arms(kind):
    low, high = two_arms(kind)
    assert swapped_arms([Arm("low", **low), Arm("high", **high)]) == []
    mixed = [
        Arm("low", **{**low, "at_risk": high["at_risk"]}),
        Arm("high", **{**high, "at_risk": low["at_risk"]}),
    ]
    [swap] = swapped_arms(mixed)
    assert (swap.one, swap.other) == ("low", "high")
    assert "numbers at risk" in swap.text
    rec = reconstruct(**{**low, "at_risk": high["at_risk"]})
    assert row_of(rec, "swapped_arms")["status"] == "contradicted"
    assert "other arm's table" in row_of(rec, "swapped_arms")["note"]


def test_totals_exchanged_between_arms_are_swapped_too():
    low, high = two_arms("drawn")
    high = {**high, "n": 80}
    low = {**low, "n": 81, "at_risk": low["at_risk"].assign(at_risk=[81, *low["at_risk"]["at_risk"][1:]])}
    mixed = [Arm("low", **{**low, "at_risk": high["at_risk"]}), Arm("high", **{**high, "at_risk": low["at_risk"]})]
    assert len(swapped_arms(mixed)) == 1
    assert swapped_arms([Arm("low", **low), Arm("high", **high)]) == []


def by_hand(name: str, times, survival, counts) -> Arm:
    """An arm of 100 with drops to `survival` at `times`, and numbers at risk at 0, 6 and 10."""
    levels = np.repeat([1.0, *survival], 2)
    curve = pd.DataFrame({"time": [0.0, *np.repeat(times, 2), 12.0], "survival": levels})
    return Arm(name, curve, pd.DataFrame({"time": [0, 6, 10], "at_risk": counts}), axis_max=12)


def test_one_misprint_is_no_swap():
    """85 of 100 cannot be at risk at 6 where the curve is at 0.8; exchanged both tables fit, but one row is one."""
    one = by_hand("one", [2.0], [0.8], [100, 85, 60])
    assert swapped_arms([one, by_hand("other", [2.0], [0.9], [100, 60, 50])]) == []


def test_tables_that_fit_neither_way_are_not_swapped():
    one = by_hand("one", [2.0, 8.0], [0.8, 0.4], [100, 85, 60])  # 80 and 42 are the most
    other = by_hand("other", [3.0], [0.5], [100, 40, 40])  # on the first curve 40 at 6 leave 20 at 10
    assert swapped_arms([one, other]) == []
    assert len(swapped_arms([one, by_hand("other", [2.0], [0.9], [100, 60, 20])])) == 1


# --- verdicts -----------------------------------------------------------------------------------------------------


def test_a_distance_is_to_the_nearest_level_or_drop():
    """Two patients, one dies at 5 on an axis of 10: levels 1 and 0.5 with a drop between them."""
    points = [
        (5.0, 0.75, 0.0),
        (6.0, 0.75, 0.1),
        (4.8, 0.6, 0.02),
        (3.0, 1.02, 0.02),
        (8.0, 0.45, 0.05),
        (-0.1, 1.0, 0.0),
    ]
    read = read_curve(pd.DataFrame([p[:2] for p in points], columns=["time", "survival"]), n=2, axis_max=10)
    gaps = distances(read, (np.array([5.0, 9.0]), np.array([1, 0])))
    np.testing.assert_allclose(gaps, [p[2] for p in points], atol=1e-12)


@pytest.mark.slow
def test_verdicts_by_what_is_known():
    exact = reconstruct(CURVE, **KNOWN)
    assert (exact.verdict, "nine in ten plausible sets agree" in exact.reason) == ("exact", True)
    row = row_of_check(exact, "verdict")
    assert (row["status"], row["note"]) == ("honoured", f"exact: {exact.reason}")
    good = reconstruct(CLICKS, **spoilt(ticks=None))
    assert good.verdict == "good", good.reason
    alone = reconstruct(CLICKS, n=100, axis_max=AXIS)
    assert (alone.verdict, "n alone" in alone.reason) == ("doubtful", True)
    few = reconstruct(CLICKS.iloc[::7], **spoilt(ticks=None))
    assert (few.verdict, "clicks are few" in few.reason) == ("doubtful", True)
    wrong = reconstruct(CURVE, **spoilt(events=int(EVENT.sum()) - 9))
    assert wrong.verdict == "contradictory"
    assert "9 fewer: the total gave way" in wrong.reason


def test_a_curve_that_was_not_read_to_its_end_is_doubtful():
    rec = reconstruct(CLICKS[CLICKS["time"] < 8], **spoilt(events=None, ticks=None))
    assert rec.verdict == "doubtful", rec.reason
    assert "only, and" in rec.reason


def row_of_check(rec: Reconstruction, check: str) -> pd.Series:
    return rec.diagnostics[rec.diagnostics["check"] == check].iloc[-1]


# --- the table of names -------------------------------------------------------------------------------------------


def test_every_name_is_explained_and_documented():
    text = (ROOT / "docs" / "reconstruction-checks.md").read_text(encoding="utf-8")
    for name, entry in CONTRADICTIONS.items():
        assert entry.meaning
        assert entry.gives_way
        assert f"`{name}`" in text, name


def test_a_name_must_be_in_the_table():
    with pytest.raises(AssertionError):
        refusal("no_such_name", "curve", value=1, allowed=2)
