"""Points in another order, pasted twice, too many, or no curve: each ends in seconds with a verdict or a message."""

import time as clock

import numpy as np
import pandas as pd
import pytest

from bayes_bm.reconstruction.reconstruct import Reconstruction, reconstruct
from bayes_bm.runtime.errors import InputError
from tests.builders.trials import clicked_to_the_end, drawn, printed, steps, trial

TIME, EVENT = trial(3, 80)
AXIS = printed(TIME, EVENT)["axis_max"]
CORNERS, CLICKS = drawn(TIME, EVENT, AXIS), clicked_to_the_end(TIME, EVENT, AXIS, 3)
SECONDS = 10.0
"""CPU time that any of these may take."""


def rebuilt(points: pd.DataFrame, **known) -> Reconstruction:
    begun = clock.process_time()
    rec = reconstruct(points, **{"n": 80, "axis_max": AXIS, **known})
    assert clock.process_time() - begun < SECONDS
    return rec


def inputs(rec: Reconstruction) -> str:
    return "; ".join(rec.diagnostics.loc[rec.diagnostics["check"] == "input", "note"])


def backwards(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[::-1]


def straight(points: int) -> pd.DataFrame:
    return pd.DataFrame({"time": np.linspace(0, AXIS, points), "survival": np.linspace(1, 0, points)})


@pytest.mark.parametrize(
    "points, text",
    [
        (backwards(CORNERS), "right to left"),
        (backwards(steps(TIME, EVENT)), "right to left"),
        (CORNERS.sample(frac=1, random_state=1), "sorted by time"),
        (pd.concat([CORNERS, CORNERS]), "sorted by time"),
        (pd.concat([CORNERS.iloc[:40], CORNERS.iloc[20:]]), "sorted by time"),
        (pd.concat([steps(TIME, EVENT)] * 2), "copies of others"),
    ],
)
def test_steps_in_another_order_or_pasted_twice_give_the_same_patients(points, text):
    in_order, rec = rebuilt(CORNERS), rebuilt(points)
    assert rec.verdict == in_order.verdict == "exact"
    assert text in inputs(rec)
    assert rec.patients["event"].sum() == EVENT.sum()
    died = rec.patients.loc[rec.patients["event"] == 1, "time"]
    np.testing.assert_allclose(died, np.sort(TIME[EVENT == 1]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "points, text",
    [
        (backwards(CLICKS), "right to left"),
        (pd.concat([CLICKS, CLICKS]), "copies of others"),
        (pd.concat([CLICKS.iloc[:40], CLICKS.iloc[20:]]), "20 points are copies"),
    ],
)
def test_clicks_turned_round_or_pasted_twice_are_the_clicks(points, text):
    rec = rebuilt(points)
    assert text in inputs(rec)
    pd.testing.assert_frame_equal(rec.patients, rebuilt(CLICKS).patients)


@pytest.mark.parametrize("known", [{}, {"events": int(EVENT.sum())}])
@pytest.mark.parametrize("points", [CORNERS, CLICKS], ids=["drawn", "clicked"])
@pytest.mark.parametrize("marks", [81, 100_000])
def test_more_ticks_than_patients_are_refused(points, marks, known):
    ticks = pd.DataFrame({"time": np.linspace(0, AXIS, marks)})
    with pytest.raises(InputError, match=rf"ticks: found {marks} times; allowed: at most n = 80; .*\[too_many_ticks\]"):
        rebuilt(points, ticks=ticks, **known)


@pytest.mark.slow
@pytest.mark.parametrize("points, n", [(50, 80), (50, 2000), (10_000, 80)])
def test_a_straight_diagonal_is_a_sketch_and_no_list_of_steps(points, n):
    """Equal falls are fractions of some number of patients, 49 here, but not of n."""
    rec = rebuilt(straight(points), n=n)
    assert (rec.method, rec.verdict) == ("clicked", "doubtful")
    assert abs(rec.patients.loc[rec.patients["event"] == 1, "time"].median() - AXIS / 2) < 0.1 * AXIS


def test_equal_falls_of_whole_patients_stay_steps():
    rec = rebuilt(pd.DataFrame({"time": np.arange(1.0, 21), "survival": 1 - np.arange(1, 21) / 20}), n=20, axis_max=20)
    assert (rec.method, rec.verdict, int(rec.patients["event"].sum())) == ("drawn", "exact", 20)


@pytest.mark.parametrize("points", [straight(2), pd.DataFrame({"time": [5.0] * 20, "survival": [0.5] * 20})])
def test_two_points_or_one_and_the_same_are_no_curve(points):
    with pytest.raises(InputError, match="coarse_points"):
        rebuilt(points)


@pytest.mark.slow
def test_of_a_hundred_thousand_clicks_some_are_used_and_that_is_said():
    place = np.random.default_rng(1).integers(0, len(CLICKS), 100_000)
    noise = np.random.default_rng(2).normal(0, 1e-4, (2, 100_000))
    points = pd.DataFrame(CLICKS.to_numpy()[place] + noise.T, columns=["time", "survival"])
    assert "100000 clicks: 1000 of them" in inputs(rebuilt(points))


@pytest.mark.slow
def test_of_a_hundred_thousand_patients_the_line_decides_and_that_is_said():
    rec = rebuilt(CLICKS, n=100_000)
    assert "100000 patients" in inputs(rec)
    assert len(rec.draw(1)[0]) == len(rec.patients) == 100_000
