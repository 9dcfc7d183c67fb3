"""Reading a digitised curve: what is refused, by name; what is changed, with a line in the log; how it is cleaned."""

import numpy as np
import pandas as pd
import pytest

from bayes_bm.reconstruction.clicked.line import condition_line, fit_clicks, log_covariance, redraw
from bayes_bm.reconstruction.curve import is_drawn, read_curve
from bayes_bm.reconstruction.drawn.steps import on_clock, read_drops
from bayes_bm.runtime.errors import InputError

CURVE = pd.DataFrame({"time": [0.0, 2, 2, 5, 5, 9], "survival": [1.0, 1, 0.8, 0.8, 0.5, 0.5]})
RISK = pd.DataFrame({"time": [0, 4, 8], "at_risk": [10, 8, 5]})


def changed(row, column, value):
    table = CURVE.astype(object)
    table.loc[row, column] = value
    return table


def clicks(rng, m=90, error=0.003, axis=36.0, hazard=0.08):
    """Clicks near exp(-hazard t) drawn to 30 on an axis to 36."""
    t = np.sort(rng.uniform(0, 30, m))
    return pd.DataFrame(
        {
            "time": t + error * axis * rng.standard_normal(m),
            "survival": np.exp(-hazard * t) + error * rng.standard_normal(m),
        }
    )


@pytest.mark.parametrize(
    ("table", "where", "value"),
    [
        (changed(3, "survival", np.nan), "curve, row 4, column survival", "nan"),
        (changed(1, "time", "two"), "curve, row 2, column time", "two"),
        (changed(2, "survival", 1.3), "curve, row 3, column survival", "1.3"),
        (changed(2, "survival", 40), "curve, row 3, column survival", "40"),
        (changed(4, "survival", -0.4), "curve, row 5, column survival", "-0.4"),
        (changed(0, "time", -3), "curve, row 1, column time", "-3"),
        (CURVE.head(1), "curve", "1 points"),
        (CURVE.rename(columns={"survival": "surv"}), "curve, columns", "surv"),
        (CURVE.assign(colour="red"), "curve, columns", "colour"),
    ],
)
def test_a_wrong_curve_is_refused_by_row_and_column(table, where, value):
    with pytest.raises(InputError) as error:
        read_curve(table, n=10, axis_max=10)
    assert error.value.where == where
    assert value in str(error.value)
    assert "allowed" in str(error.value)


@pytest.mark.parametrize(
    ("counts", "times", "n", "where"),
    [
        ([10, 8, 5], [0, 4, 4], 10, "at_risk, row 3, column time"),
        ([10, 8, -1], [0, 4, 8], 10, "at_risk, row 3, column at_risk"),
        ([10, 7.5, 5], [0, 4, 8], 10, "at_risk, row 2, column at_risk"),
        ([10, 8, 5], [0, 4, 8], 12, "at_risk, time 0, column at_risk"),
        ([14, 8], [2, 4], 12, "at_risk, time 2, column at_risk"),
    ],
)
def test_a_wrong_at_risk_table_is_refused_by_row(counts, times, n, where):
    with pytest.raises(InputError) as error:
        read_curve(CURVE, at_risk=pd.DataFrame({"time": times, "at_risk": counts}), n=n, axis_max=10)
    assert error.value.where == where


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({}, "n"),
        ({"n": 0}, "n"),
        ({"n": 10.5}, "n"),
        ({"n": 10, "events": 11}, "events"),
        ({"n": 10, "events": -1}, "events"),
        ({"n": 10, "axis_max": 0}, "axis_max"),
        ({"n": 10, "axis_max": 2}, "curve, row 4, column time"),
        ({"n": 10, "ticks": pd.DataFrame({"time": [50.0]}), "axis_max": 10}, "ticks, row 1, column time"),
    ],
)
def test_wrong_totals_are_refused(given, where):
    with pytest.raises(InputError) as error:
        read_curve(CURVE, **given)
    assert error.value.where == where


def test_percent_is_converted_where_certain_and_logged():
    read = read_curve(CURVE.assign(survival=CURVE["survival"] * 100), n=10, axis_max=10)
    np.testing.assert_allclose(read.survival, CURVE["survival"])
    assert any("percent" in change for change in read.changes)


def test_n_from_the_table_and_the_axis_from_the_curve_are_logged():
    read = read_curve(CURVE, at_risk=RISK)
    assert (read.n, read.axis_max) == (10, 9.0)
    assert len(read.changes) == 2
    np.testing.assert_array_equal(read.risk_time, [4, 8])


def test_clean_input_changes_nothing_and_a_curve_can_be_read_again():
    read = read_curve(CURVE.assign(x_note="ignored"), at_risk=RISK, n=10, axis_max=10)
    assert read.changes == ()
    again = read_curve(read, events=4)
    assert (again.n, again.events, len(again.risk_time)) == (10, 4, 2)


def test_clicks_just_outside_the_axes_are_kept_with_a_note():
    table = pd.DataFrame({"time": [-0.2, 3, 8], "survival": [1.02, 0.6, 0.3]})
    read = read_curve(table, n=10, axis_max=10)
    assert [c.split(":")[0] for c in read.changes] == [
        "1 points before time 0 (row 1 first)",
        "1 points above 1 (row 1 first)",
    ]


def test_corners_of_a_picture_are_clicks_with_the_error_that_is_stated():
    stated = CURVE.assign(x_click_error=0.004)
    curve = read_curve(stated, n=10, axis_max=10.0)
    assert not is_drawn(curve)
    assert curve.click_error == 0.004
    # the points lie on the line through the corners, a fixed length of it apart
    length = np.abs(np.diff(curve.time)) / 10 + np.abs(np.diff(curve.survival))
    on_corner = length > 1.01 * np.median(length)
    assert len(curve.time) == 200
    assert not on_corner.any()
    assert np.isclose(curve.survival[(curve.time > 2.2) & (curve.time < 4.8)], 0.8).all()
    assert fit_clicks(curve).click_error >= 0.004
    assert is_drawn(read_curve(CURVE.assign(x_click_error=0.0), n=10, axis_max=10.0))
    with pytest.raises(InputError, match=r"curve, column x_click_error: found 0\.5; allowed: a share of an axis"):
        read_curve(CURVE.assign(x_click_error=0.5), n=10)


def test_drawn_and_clicked_are_told_apart_from_the_numbers():
    assert is_drawn(read_curve(CURVE, n=10, axis_max=10))
    table = clicks(np.random.default_rng(1))
    assert not is_drawn(read_curve(table, n=10, axis_max=36))
    assert not is_drawn(read_curve(table.round(3).sort_values("time"), n=10, axis_max=36))
    levels = CURVE.iloc[[0, 2, 4]]  # one point a step, no corners
    assert not is_drawn(read_curve(levels, n=10, axis_max=10))


def test_drops_and_the_grids_they_lie_on():
    drops = read_drops(read_curve(CURVE, n=10, axis_max=10))
    np.testing.assert_array_equal(drops.time, [2, 5])
    np.testing.assert_array_equal(drops.survival, [0.8, 0.5])
    assert drops.end == 9
    drops = read_drops(read_curve(CURVE.assign(survival=[1, 1, 0.8333, 0.8333, 0.5, 0.5]), n=10, axis_max=10))
    assert drops.survival_error == pytest.approx(5e-5)


def test_two_drops_in_one_grid_cell_stay_two():
    table = pd.DataFrame({"time": [0, 3, 3, 3, 7], "survival": [1, 1, 0.9, 0.8, 0.8]})
    np.testing.assert_array_equal(read_drops(read_curve(table, n=10, axis_max=10)).time, [3, 3])


def test_times_that_are_days_are_put_on_days_and_others_are_left():
    rng = np.random.default_rng(3)
    days = np.unique(rng.integers(1, 900, 60)) / 30.4375
    rounded = np.round(days / 0.0036) * 0.0036  # 1e-4 of a 36-month axis
    moved, clock = on_clock(rounded, 0.0018)
    assert clock == pytest.approx(1 / 30.4375)
    np.testing.assert_allclose(moved, days, atol=1e-9)
    loose = np.round(np.sort(rng.uniform(0, 30, 60)) / 0.0036) * 0.0036
    same, clock = on_clock(loose, 0.0018)
    assert clock == 0
    np.testing.assert_array_equal(same, loose)


@pytest.mark.slow
def test_the_line_through_clicks_is_monotone_unbiased_and_knows_its_error():
    times, errors, biases = np.linspace(0, 29, 300), [], []
    for seed in range(12):
        line = fit_clicks(read_curve(clicks(np.random.default_rng(seed), error=0.006), n=100, axis_max=36))
        assert (np.diff(line.time) >= 0).all()
        assert (np.diff(line.survival) <= 0).all()
        assert (line.time[0], line.survival[0]) == (0, 1)
        gap = line(times) - np.exp(-0.08 * times)
        assert np.abs(gap).mean() < 0.006  # better than a click
        errors.append(line.click_error)
        biases.append(gap.mean())
    assert np.median(errors) == pytest.approx(0.006, rel=0.25)
    assert abs(np.mean(biases)) < 0.001


def test_the_order_of_clicks_does_not_matter():
    table = clicks(np.random.default_rng(5), error=0.01, m=30)
    one = fit_clicks(read_curve(table, n=100, axis_max=36))
    other = fit_clicks(read_curve(table.sample(frac=1, random_state=2), n=100, axis_max=36))
    np.testing.assert_allclose(one(np.linspace(0, 30, 50)), other(np.linspace(0, 30, 50)), atol=1e-9)


@pytest.mark.slow
def test_clicks_pushed_down_to_a_largest_rise_count_as_lower_bounds():
    times, bias, blind = np.linspace(1, 29, 200), [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        table = clicks(rng, error=0.004, m=120, hazard=0.012).sort_values("time")
        lowest = np.minimum.accumulate(table["survival"])
        table["survival"] = np.minimum(table["survival"], lowest.shift(fill_value=1.0) + 0.004)
        loose = table.assign(
            survival=table["survival"] + rng.uniform(-1e-4, 1e-4, len(table))
        )  # no common bound to see
        for gaps, given in ((bias, table), (blind, loose)):
            gaps.append(np.mean(fit_clicks(read_curve(given, n=100, axis_max=36))(times) - np.exp(-0.012 * times)))
    assert np.mean(blind) < -0.0006
    assert abs(np.mean(bias)) < 0.75 * abs(np.mean(blind))


def test_redrawn_lines_scatter_about_the_line():
    line = fit_clicks(read_curve(clicks(np.random.default_rng(2), error=0.01, m=30), n=100, axis_max=36))
    rng, times = np.random.default_rng(1), np.linspace(2, 28, 20)
    drawn = np.array([redraw(line, rng)(times) for _ in range(200)])
    assert np.abs(drawn.mean(axis=0) - line(times)).max() < 0.01
    assert 0.002 < drawn.std(axis=0).mean() < 0.02


def test_a_line_through_given_heights_reaches_them_and_stays_elsewhere():
    line = fit_clicks(read_curve(clicks(np.random.default_rng(2), error=0.01, m=40), n=100, axis_max=36))
    times = np.array([6.0, 18.0])
    sd = np.sqrt(np.diag(log_covariance(line, times)))
    wanted = line.left_limit(times) * np.exp(np.array([1, -1]) * sd)
    moved = condition_line(line, times, wanted)
    np.testing.assert_allclose(moved.left_limit(times), wanted, atol=1e-3)
    assert (np.diff(moved.survival) <= 0).all()
    assert abs(moved(0.5) - line(0.5)) < 0.3 * np.abs(wanted - line.left_limit(times)).max()


@pytest.mark.slow
def test_the_error_that_the_line_states_at_a_time_is_the_error_it_makes():
    times, z = np.array([4.0, 10.0, 20.0]), []
    for seed in range(40):
        line = fit_clicks(read_curve(clicks(np.random.default_rng(seed), error=0.01, m=35), n=100, axis_max=36))
        z.append((np.log(line.left_limit(times)) + 0.08 * times) / np.sqrt(np.diag(log_covariance(line, times))))
    assert 0.6 < np.std(z) < 1.4
