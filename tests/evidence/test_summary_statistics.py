"""Printed numbers to sizes, standard errors and laws (docs/decisions.md, 5-8, 13): by hand, by scipy, by Greenwood's
formula.
"""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from bayes_bm.evidence import summary_statistics

NAN = float("nan")
NO = {"low": NAN, "high": NAN, "se": NAN, "p": NAN, "p_below": NAN, "ci_level": 0.95}


def sizes(time, survival, variance, n, share=0.8) -> np.ndarray:
    arrays = (np.array(values, dtype=float) for values in (time, survival, variance, n))
    return summary_statistics.point_sequence(*arrays, share=share, start=0.0).size


def test_a_95_percent_interval_is_1_96_standard_errors_each_way() -> None:
    assert summary_statistics.normal_quantile(0.95) == pytest.approx(1.959963984540054, abs=1e-12)
    assert summary_statistics.normal_quantile(0.9) == pytest.approx(1.6448536269514722, abs=1e-12)
    # decision 6 says it as log(hi/lo) / 3.92
    assert summary_statistics.log_interval_sd(5.0, 20.0, 0.95) == pytest.approx(math.log(4) / 3.92, rel=1e-4)
    assert summary_statistics.log_interval_sd(5.0, 20.0, 0.9) == pytest.approx(math.log(4) / 3.289707, rel=1e-6)


def test_median_without_an_upper_limit_is_no_surer_than_its_patients() -> None:
    """The lower half of the interval, or 1 / (log 2 sqrt(a n + 2)) where that is larger: 15 patients, a 0.8."""
    sd = summary_statistics.median_log_sd
    assert sd(27.2, 16.1, NAN, 0.95, size=100.0) == pytest.approx(math.log(27.2 / 16.1) / 1.96, rel=1e-4)
    assert sd(12.0, 11.5, NAN, 0.95, size=12.0) == pytest.approx(0.3856, abs=1e-4)
    assert sd(10.0, 5.0, 20.0, 0.95, size=12.0) == pytest.approx(math.log(4) / 3.92, rel=1e-4)
    assert math.isnan(sd(10.0, NAN, NAN, 0.95, size=12.0))


def test_sd_of_a_median_of_patients_is_that_of_the_middle_of_exponential_times() -> None:
    times = np.median(np.random.default_rng(4).exponential(size=(40_000, 31)), axis=1)
    # of few patients the delta method says less than half a tenth too little
    assert np.log(times).std() == pytest.approx(1 / (math.log(2) * math.sqrt(33)), rel=0.05)


def test_sizes_read_greenwood_backwards() -> None:
    """Ten patients: 4 deaths of 10 by 6, 2 censored, 2 deaths of 4 by 12. Greenwood's variance gives back 10 and 4."""
    survival = [0.6, 0.6 * 0.5]
    variance = [4 / (10 * 6), 4 / (10 * 6) + 2 / (4 * 2)]
    assert sizes([6, 12], survival, variance, [10, 10]) == pytest.approx([10, 4], rel=1e-12)


def test_size_from_an_interval_is_capped_at_those_alive() -> None:
    # the interval of 0.01 says 100 / 0.25 patients, but 40 started and 20 are alive at the second time
    assert sizes([6, 12], [0.5, 0.25], [0.0025, 0.005], [40, 40]) == pytest.approx([40, 20])


def test_size_from_n_alone_is_the_effective_share_of_those_alive() -> None:
    assert sizes([6, 12], [0.5, 0.25], [NAN, NAN], [40, 40]) == pytest.approx([0.8 * 40, 0.8 * 20])
    assert sizes([6, 12], [0.5, 0.25], [NAN, NAN], [40, 40], share=1.0) == pytest.approx([40, 20])


@pytest.mark.parametrize("ratio", [0.97, 0.7, 0.2])
def test_size_under_a_stated_follow_up_is_greenwoods_integral(ratio: float) -> None:
    """m = (1 - p) / (p v), v the integral of h / (n S G) over the step, by quadrature."""
    alive, begin, end, followup = 50.0, 5.0, 13.0, 11.0
    hazard = -math.log(ratio) / (end - begin)

    def rate(time: float) -> float:
        return hazard / (alive * math.exp(-hazard * (time - begin)) * 2 ** (-time / followup))

    variance = integrate.quad(rate, begin, end)[0]
    size = summary_statistics.size_under_follow_up(ratio, alive, begin, end, followup)
    assert size == pytest.approx((1 - ratio) / (ratio * variance), rel=1e-9)


def test_a_step_without_a_death_is_watched_by_the_harmonic_mean_of_those_at_risk() -> None:
    mean = 1 / (integrate.quad(lambda time: 2 ** (time / 11.0) / 50.0, 5, 13)[0] / 8)
    assert summary_statistics.size_under_follow_up(1.0, 50.0, 5.0, 13.0, 11.0) == pytest.approx(mean, rel=1e-9)
    # next to it on both sides, and at the other end
    assert summary_statistics.size_under_follow_up(1 - 1e-7, 50.0, 5.0, 13.0, 11.0) == pytest.approx(mean, rel=1e-5)
    assert summary_statistics.size_under_follow_up(0.0, 50.0, 5.0, 13.0, 11.0) == pytest.approx(50 * 2 ** (-13 / 11))


def test_points_beyond_follow_up_weigh_what_was_watched() -> None:
    """75 lesions, median follow-up 11 months, survival .68, .54, .54: the last step counted as 32, and 2.3 is right."""
    points = [12.0, 24.0, 60.0], [0.68, 0.54, 0.54], [NAN] * 3, [75.0] * 3
    arrays = [np.array(values) for values in points]
    steps = summary_statistics.point_sequence(*arrays, share=0.8, start=0.0, followup=11.0)
    assert steps.size == pytest.approx([49.00, 15.79, 2.337], abs=0.005)
    # nobody left early where all died
    whole = summary_statistics.point_sequence(*arrays, share=1.0, start=0.0, followup=11.0)
    assert whole.size == pytest.approx([75.0, 51.0, 40.5])


def test_a_variance_that_does_not_rise_falls_back_to_n() -> None:
    assert sizes([6, 12], [0.5, 0.25], [0.1, 0.1], [40, 40])[1] == pytest.approx(0.8 * 40 * 0.5)


def test_a_printed_variance_stands_for_the_next_step_even_where_it_fell() -> None:
    """Decision 5: m_k = (1 - p_k) / (p_k (v_k - v_{k-1})) with the v that was printed, not the largest so far."""
    found = sizes([6, 12, 18], [0.5, 0.25, 0.125], [0.04, 0.03, 0.08], [400, 400, 400])
    assert found[2] == pytest.approx(0.5 / (0.5 * (0.08 - 0.03)))


def test_variance_runs_on_through_a_point_without_an_interval() -> None:
    found = sizes([6, 12], [0.5, 0.25], [NAN, 0.2], [40, 40])
    used = 0.5 / (0.5 * 32)  # Greenwood of the first step, at its size of 0.8 x 40
    assert found[1] == pytest.approx(0.5 / (0.5 * (0.2 - used)))


def test_points_in_any_order_make_the_same_sequence() -> None:
    forward = summary_statistics.point_sequence(
        np.array([6.0, 12.0]),
        np.array([0.5, 0.3]),
        np.array([0.02, 0.06]),
        np.array([40.0, 40.0]),
        share=0.8,
        start=1.0,
    )
    backward = summary_statistics.point_sequence(
        np.array([12.0, 6.0]),
        np.array([0.3, 0.5]),
        np.array([0.06, 0.02]),
        np.array([40.0, 40.0]),
        share=0.8,
        start=1.0,
    )
    for name in ("start", "time", "ratio", "size"):
        np.testing.assert_array_equal(getattr(forward, name), getattr(backward, name))
    assert forward.start.tolist() == [1.0, 6.0]
    assert forward.ratio == pytest.approx([0.5, 0.6])


def test_a_point_without_any_size_is_no_step_and_is_named() -> None:
    found = summary_statistics.point_sequence(
        np.array([6.0, 12.0]), np.array([0.5, 0.3]), np.array([0.02, NAN]), np.array([NAN, NAN]), share=0.8, start=0.0
    )
    assert found.kept.tolist() == [True, False]
    assert found.time.tolist() == [6.0]


def test_effective_share_rises_with_the_events_known() -> None:
    assert summary_statistics.effective_share(0.8, events=NAN, n=40) == 0.8
    assert summary_statistics.effective_share(0.8, events=36, n=40) == 0.9
    assert summary_statistics.effective_share(0.8, events=10, n=40) == 0.8
    assert summary_statistics.effective_share(0.8, events=40, n=40) == 1.0


def test_share_of_a_median_is_that_of_the_events_below_the_default_too() -> None:
    assert summary_statistics.median_share(0.8, events=NAN, n=40) == 0.8
    assert summary_statistics.median_share(0.8, events=10, n=40) == 0.25
    assert summary_statistics.median_share(0.8, events=40, n=40) == 1.0


def test_design_effect_of_lesions_is_that_of_equal_clusters() -> None:
    """Variance of a mean of correlated lesions: 12 lesions in 4 patients with icc 0.3, from the covariance matrix."""
    covariance = np.kron(np.eye(4), 0.3 + 0.7 * np.eye(3))
    independent = 1 / 12
    assert summary_statistics.design_effect(12, 4, 0.3) == pytest.approx(covariance.mean() / independent, rel=1e-12)


def test_beta_size_is_the_law_of_the_middle_order_statistic() -> None:
    """The 11th of 21 uniforms is Beta(11, 11)."""
    alpha = summary_statistics.beta_size(21, 1.0)
    middle = np.median(np.random.default_rng(1).random((40_000, 21)), axis=1)
    assert alpha == 11
    assert stats.kstest(middle, stats.beta(alpha, alpha).cdf).pvalue > 0.001


def test_standard_error_of_a_hazard_ratio_by_each_of_the_four_ways() -> None:
    assert summary_statistics.log_hr_se(0.7, **NO | {"low": 0.5, "high": 0.98}) == pytest.approx(
        math.log(0.98 / 0.5) / (2 * 1.959963984540054)
    )
    assert summary_statistics.log_hr_se(0.7, **NO | {"se": 0.2}) == 0.2
    # the se from p gives that p back from Wald's test
    for key in ("p", "p_below"):
        se = summary_statistics.log_hr_se(0.62, **NO | {key: 0.003})
        assert 2 * stats.norm.sf(abs(math.log(0.62)) / se) == pytest.approx(0.003, rel=1e-10)
    assert math.isnan(summary_statistics.log_hr_se(0.62, **NO))
