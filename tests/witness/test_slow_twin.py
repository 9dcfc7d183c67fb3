"""The slow twin against closed forms, scipy and R: the witness must itself be witnessed.

Only laws and numbers from outside the project appear here; nothing is imported from the package.
"""

import csv
import json
from itertools import pairwise
from math import exp, inf, log, sqrt

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import stats

from tests.paths import GOLDEN as NUMBERS
from tests.paths import LIFELINES
from tests.witness import slow_twin as twin

Z = 1.959963984540054  # the normal's 97.5 % point
WITH_EFFECTS = {
    "study": {"sd": {"dist": "half_normal", "sd": 0.5}},
    "study_treatment": {"sd": {"dist": "half_normal", "sd": 0.3}},
    "study_shape": {"sd": {"dist": "half_normal", "sd": 0.2}},
}
NORMAL = {"dist": "normal", "mean": 0.0, "sd": 1.0, "why": "a test"}


def make_spec(**changes):
    """A spec without effects, reference `srs` against `surgery`."""
    spec = {
        "reference_time": 12.0,
        "hazard": {"family": "weibull"},
        "treatments": {"reference": "srs", "compare": ["surgery", "litt"]},
        "evidence": {},
        "priors": {"intercept": NORMAL, "log_hr": NORMAL, "log_shape": {"dist": "normal", "mean": 0.0, "sd": 0.3}},
    }
    return spec | changes


def unit_exponential(**changes):
    """H(t) = t / 12: every number can be worked by hand."""
    return {"intercept": 0.0, "log_shape": 0.0, "log_hr": {"surgery": 0.0, "litt": 0.0}} | changes


def arm(study="A", name="a", treatment="srs", n=40, **more):
    return {"study": study, "arm": name, "treatment": treatment, "n": n} | more


def patient(time, event=1, **more):
    return {"study": "A", "arm": "a", "treatment": "srs", "time": time, "event": event} | more


def point(time, survival, **more):
    return {"study": "A", "arm": "a", "time": time, "survival": survival} | more


def median(value, **more):
    return {"study": "A", "arm": "a", "median": value} | more


def ratio(treatment, reference, hr, se=None, **more):
    return {"study": "A", "treatment": treatment, "reference": reference, "hr": hr, "se_log_hr": se} | more


def terms(kind, rows, *, spec=None, parameters=None, arms=None):
    tables = {"arms": [arm()] if arms is None else arms, kind: rows}
    return twin.log_likelihood(spec or make_spec(), tables, parameters or unit_exponential())[kind]


def close(value, wanted, tolerance=1e-12):
    assert float(value) == pytest.approx(float(wanted), rel=tolerance, abs=tolerance)


# Latent hazard and patients ------------------------------------------------------------------------------------------


def test_patients_of_the_unit_exponential_by_hand():
    rows = [patient(12.0), patient(12.0, 0), patient(12.0, 0, time_upper=24.0), patient(24.0, 0, entry=6.0, weight=2.5)]
    got = terms("patients", rows)
    for value, wanted in zip(got, [-log(12) - 1, -1.0, log(exp(-1) - exp(-2)), -2.5 * 1.5], strict=True):
        close(value, wanted)


def test_patients_agree_with_scipy_weibull():
    parameters = unit_exponential(intercept=-0.3, log_shape=0.25, log_hr={"surgery": 0.4, "litt": 0.0})
    shape, eta = exp(0.25), -0.3 + 0.4
    law = stats.weibull_min(shape, scale=12 * exp(-eta / shape))
    rows = [
        patient(5.0, treatment="surgery"),
        patient(9.0, 0, treatment="surgery"),
        patient(3.0, time_upper=4.5, treatment="surgery"),
        patient(7.0, treatment="surgery", entry=2.0, weight=3),
    ]
    wanted = [law.logpdf(5), law.logsf(9), log(law.sf(3) - law.sf(4.5)), 3 * (law.logpdf(7) - law.logsf(2))]
    for value, number in zip(terms("patients", rows, parameters=parameters), wanted, strict=True):
        close(value, number)


def test_every_effect_enters_level_and_shape():
    spec = make_spec(effects=WITH_EFFECTS, covariates={"kps": {"prior": NORMAL, "centre": 80, "scale": 10}})
    spec["priors"]["treatment_log_shape"] = NORMAL
    parameters = full_parameters() | {"coefficient": {"kps": -0.2}, "treatment_log_shape": {"surgery": 0.15}}
    value = terms("patients", [patient(8.0, 0, treatment="surgery", kps=95)], spec=spec, parameters=parameters)[0]
    shape = exp(0.2 - 0.05 + 0.15)
    eta = -0.1 + 0.3 + (-0.5) + 0.12 - 0.2 * 1.5
    close(value, -exp(shape * (log(8) - log(12)) + eta))


def full_parameters():
    return {
        "intercept": -0.1,
        "log_hr": {"surgery": -0.5, "litt": 0.2},
        "log_shape": 0.2,
        "study_sd": 0.4,
        "study_treatment_sd": 0.25,
        "study_shape_sd": 0.15,
        "study_effect": {"A": 0.3, "B": -0.2},
        "study_treatment_effect": {
            ("A", "srs"): 0.04,
            ("A", "surgery"): 0.12,
            ("A", "litt"): -0.07,
            ("B", "srs"): 0.01,
            ("B", "surgery"): 0.05,
        },
        "study_log_shape": {"A": -0.05, "B": 0.1},
    }


def test_reference_has_no_log_hr_and_a_deviation():
    spec = make_spec(effects=WITH_EFFECTS)
    value = terms("patients", [patient(12.0, 0)], spec=spec, parameters=full_parameters())[0]
    close(value, -exp(-0.1 + 0.3 + 0.04))


def test_free_levels_and_shapes_are_absolute():
    effects = {"study": {"exchangeable": False}, "study_shape": {"exchangeable": False}}
    parameters = {"log_hr": {}, "study_effect": {"A": 0.7}, "study_log_shape": {"A": 0.3}}
    value = terms("patients", [patient(6.0, 0)], spec=make_spec(effects=effects), parameters=parameters)[0]
    close(value, -exp(exp(0.3) * log(0.5) + 0.7))


def test_intervals_add_up_and_equal_the_integral_of_the_exact_law():
    parameters = unit_exponential(log_shape=0.3)
    edges = [0.0, 3.0, 8.0, 20.0]
    rows = [patient(a, time_upper=b) for a, b in pairwise(edges)]
    probabilities = [mp.exp(x) for x in terms("patients", rows, parameters=parameters)]
    tail = mp.exp(terms("patients", [patient(20.0, 0)], parameters=parameters)[0])
    close(mp.fsum(probabilities) + tail, 1)
    inside = mp.quad(lambda t: mp.exp(terms("patients", [patient(t)], parameters=parameters)[0]), [3, 8], maxdegree=5)
    close(inside, probabilities[1])


def test_interval_far_in_the_tail_keeps_its_digits():
    value = terms("patients", [patient(12e4, time_upper=12e4 + 1e-6)])[0]
    close(value, -1e4 + log(1e-6 / 12), 1e-8)


def test_splitting_a_patient_in_two_episodes_changes_nothing():
    parameters = unit_exponential(log_shape=-0.2)
    whole = terms("patients", [patient(10.0)], parameters=parameters)
    halves = terms("patients", [patient(4.0, 0), patient(10.0, entry=4.0)], parameters=parameters)
    close(mp.fsum(halves), whole[0])


def test_survived_to_and_clock_shift_of_an_arm():
    arms = [arm(survived_to=2.0, clock_shift=3.0)]
    parameters = unit_exponential(log_shape=0.4)
    law = stats.weibull_min(exp(0.4), scale=12)
    rows = [patient(7.0), patient(7.0, 0, entry=1.0), patient(7.0, 0, entry=4.0), patient(1.0, 0)]
    wanted = [law.logpdf(10) - law.logsf(5), law.logsf(10) - law.logsf(5), law.logsf(10) - law.logsf(7), 0.0]
    for value, number in zip(terms("patients", rows, parameters=parameters, arms=arms), wanted, strict=True):
        close(value, number)
    with pytest.raises(ValueError, match="not after entry"):
        terms("patients", [patient(1.5)], arms=arms)


# Points --------------------------------------------------------------------------------------------------------------


def test_point_with_n_only_is_a_binomial():
    spec = make_spec(evidence={"effective_share": {"value": 1.0, "why": "no censoring"}})
    value = terms("points", [point(12.0, 0.4, n=20)], spec=spec)[0]
    close(value, stats.binom.logpmf(8, 20, exp(-1)))


def test_default_share_is_point_eight_and_events_raise_it():
    close(twin.effective_share({}, {"n": 10}), 0.8)
    close(twin.effective_share({}, {"n": 10, "events": 9}), 0.9)
    close(twin.effective_share({}, {"n": 10, "events": 3}), 0.8)
    close(twin.effective_share({"evidence": {"effective_share": 0.5}}, {"n": 10, "events": 10}), 1)


def test_points_law_sums_to_one_over_all_outcomes():
    spec, n = make_spec(evidence={"effective_share": 1.0}), 7

    def probability(first, second):
        rows = [point(5.0, mpf(first) / n, n=n), point(11.0, mpf(second) / n, n=n)]
        return mp.exp(terms("points", rows, spec=spec)[0])

    close(mp.fsum(probability(a, b) for a in range(n + 1) for b in range(a + 1)), 1)


def test_sizes_recover_the_numbers_at_risk_from_greenwood():
    at_risk, deaths = [30, 21, 12], [3, 5, 2]  # with censoring between the steps
    rows, survival, variance = [], 1.0, 0.0
    for time, (n, d) in enumerate(zip(at_risk, deaths, strict=True), start=1):
        survival *= 1 - d / n
        variance += d / (n * (n - d))
        rows.append(with_interval(point(float(time), survival), sqrt(variance)))
    sizes = twin.point_sizes(make_spec(), {"arms": [arm(n=30)]}, rows)
    for (share, size), n, d in zip(sizes, at_risk, deaths, strict=True):
        close(share, 1 - d / n)
        close(size, n, 1e-9)


def with_interval(row, sd, z=Z):
    return row | {"ci_low": row["survival"] * exp(-z * sd), "ci_high": row["survival"] * exp(z * sd)}


def test_size_is_capped_by_n_and_falls_back_where_the_variance_does_not_rise():
    rows = [
        with_interval(point(2.0, 0.8, n=20), 0.01),  # far too narrow for 20 patients: capped at 20
        with_interval(point(4.0, 0.5, n=20), 0.005),  # narrower still: 0.8 * 20 * 0.8
        with_interval(point(6.0, 0.4, n=20), 0.3),  # counts from the variance printed last, not from the largest
        point(8.0, 0.4, n=20, ci_low=0.0, ci_high=0.9),  # p = 1: 0.8 * 20 * 0.4
    ]
    sizes = [size for _, size in twin.point_sizes(make_spec(), {"arms": [arm()]}, rows)]
    for size, wanted in zip(sizes, [20, 12.8, 0.25 / (0.09 - 0.005**2), 6.4], strict=True):
        close(size, wanted, 1e-9)


def test_running_variance_continues_through_a_point_without_interval():
    rows = [point(2.0, 0.8, n=50), with_interval(point(4.0, 0.6, n=50), 0.2), point(6.0, 0.0, n=50)]
    sizes = [size for _, size in twin.point_sizes(make_spec(), {"arms": [arm()]}, rows)]
    first = 0.2 / (0.8 * 40)
    for size, wanted in zip(sizes, [40, 0.25 / (0.75 * (0.04 - first)), 0.8 * 50 * 0.6], strict=True):
        close(size, wanted, 1e-9)


def test_ci_level_is_honoured():
    rows = [with_interval(point(2.0, 0.8), 0.1, z=1.6448536269514722) | {"ci_level": 0.9}]
    close(twin.point_sizes(make_spec(), {"arms": [arm(n=None)]}, rows)[0][1], 0.25 / 0.01, 1e-9)
    with pytest.raises(ValueError, match="needs n"):
        twin.point_sizes(make_spec(), {"arms": [arm(n=None)]}, [point(2.0, 0.8)])


def test_median_joins_the_points_of_its_arm_in_time_order():
    rows = [point(12.0, 0.3), point(6.0, 0.75)]
    tables = {"arms": [arm(n=50)], "points": rows, "medians": [median(9.0, ci_low=7.0, ci_high=11.0)]}
    likelihood = twin.log_likelihood(make_spec(), tables, unit_exponential())
    steps = twin.point_steps(make_spec(), tables, unit_exponential())["A", "a"]
    q = [exp(-0.5), exp(-0.25), exp(-0.25)]
    for value, p, m, chance in zip(steps, [0.75, 0.5 / 0.75, 0.6], [40, 30, 20], q, strict=True):
        close(value, binomial(p * m, m, chance))
    assert likelihood["medians"] == []
    close(likelihood["points"][0], mp.fsum(steps))


def binomial(successes, size, chance):
    """Through scipy's beta function: C(m, y) = 1 / ((m + 1) B(y + 1, m - y + 1))."""
    law = stats.beta(successes + 1, size - successes + 1)
    return law.logpdf(chance) - log(size + 1)


def test_points_given_survival_past_an_entry():
    arms = [arm(survived_to=6.0, clock_shift=2.0)]
    spec = make_spec(evidence={"effective_share": 1.0})
    rows, law = [point(4.0, 1.0), point(10.0, 0.6)], stats.weibull_min(exp(0.3), scale=12)
    value = terms("points", rows, spec=spec, arms=arms, parameters=unit_exponential(log_shape=0.3))[0]
    close(value, stats.binom.logpmf(24, 40, law.sf(12) / law.sf(8)))


def test_points_that_tie_or_rise_are_refused():
    for second in (point(6.0, 0.5), point(8.0, 0.9)):
        with pytest.raises(ValueError, match="tie or rise"):
            terms("points", [point(6.0, 0.7), second])


def test_lesions_count_less():
    lesions = arm(n=60, unit_of_analysis="lesion", n_lesions=60, n_patients=40)
    spec = make_spec(evidence={"icc": {"value": 0.5, "why": "a test"}, "effective_share": 1.0})
    close(twin.effective_n(spec, lesions, {}), 48)
    close(twin.effective_n(spec, arm(n=60), {}), 60)
    close(twin.effective_n(make_spec(), lesions, {}), 60)
    value = terms(
        "counts", [{"study": "A", "arm": "a", "events": 30, "n": 60, "time": 12.0}], spec=spec, arms=[lesions]
    )
    close(value[0], stats.binom.logpmf(24, 48, 1 - exp(-1)))


# Medians -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"survived_to": 3.0}, {"survived_to": 2.0, "clock_shift": 4.0}])
def test_median_law_integrates_to_one_and_its_tail_is_the_term_of_a_median_not_reached(more):
    arms = [arm(n=15, followup=9.0, **more)]
    parameters = unit_exponential(log_shape=0.3)

    def density(m):
        return mp.exp(terms("medians", [median(m)], arms=arms, parameters=parameters)[0])

    below = mp.quad(density, [more.get("survived_to", 0), 9], maxdegree=5)
    above = mp.quad(density, [9, 40, 90], maxdegree=5)
    close(below + above, 1, 1e-8)
    close(above, mp.exp(terms("medians", [median(None)], arms=arms, parameters=parameters)[0]), 1e-8)


def test_median_law_is_the_law_of_simulated_medians():
    rng = np.random.default_rng(7)
    draws = np.median(rng.exponential(12.0, size=(20_000, 11)), axis=1)
    parameters, arms = unit_exponential(), [arm(n=11, events=11, followup=8.0)]
    not_reached = mp.exp(terms("medians", [median(None)], arms=arms, parameters=parameters)[0])
    close(np.mean(draws > 8.0), not_reached, 0.015)
    grid = np.linspace(4, 14, 11)
    density = [float(mp.exp(terms("medians", [median(m)], arms=arms, parameters=parameters)[0])) for m in grid]
    close(np.mean((draws > 4) & (draws < 14)), np.trapezoid(density, grid), 0.02)


def test_median_with_n_only_by_scipy():
    wanted = stats.beta(16.5, 16.5).logpdf(1 - exp(-0.75)) - 0.75 - log(12)
    close(terms("medians", [median(9.0)])[0], wanted)


def test_median_with_an_interval_is_normal_on_the_log():
    model = 12 * log(2)
    value = terms("medians", [median(9.0, ci_low=6.0, ci_high=14.0)])[0]
    close(value, stats.norm.logpdf(log(9), log(model), log(14 / 6) / (2 * Z)))
    # the upper limit was not reached: no surer than the middle of a n = 0.8 x n exponential times
    lower_only = terms("medians", [median(9.0, ci_low=6.0, n=2000)])[0]
    close(lower_only, stats.norm.logpdf(log(9), log(model), log(9 / 6) / Z))
    near = terms("medians", [median(9.0, ci_low=8.9, n=20)])[0]
    close(near, stats.norm.logpdf(log(9), log(model), 1 / (log(2) * np.sqrt(18))))
    at_90 = terms("medians", [median(9.0, ci_low=6.0, ci_high=14.0, ci_level=0.9)])[0]
    close(at_90, stats.norm.logpdf(log(9), log(model), log(14 / 6) / (2 * stats.norm.ppf(0.95))))


def test_printed_median_of_a_truncated_and_shifted_curve():
    value = terms("medians", [median(9.0, ci_low=6.0, ci_high=14.0)], arms=[arm(survived_to=2.0, clock_shift=5.0)])[0]
    close(value, stats.norm.logpdf(log(9), log(12 * log(2) + 2), log(14 / 6) / (2 * Z)))


# Hazard ratios -------------------------------------------------------------------------------------------------------


def test_hazard_ratio_and_the_four_ways_to_its_standard_error():
    parameters = unit_exponential(log_hr={"surgery": -0.5, "litt": 0.2})
    rows = {
        "interval": (ratio("surgery", "litt", 0.6, ci_low=0.4, ci_high=0.9), log(0.9 / 0.4) / (2 * Z)),
        "se": (ratio("surgery", "litt", 0.6, 0.3), 0.3),
        "p": (ratio("surgery", "litt", 0.6, p=0.02), -log(0.6) / stats.norm.isf(0.01)),
        "p_below": (ratio("surgery", "litt", 0.6, p_below=0.05), -log(0.6) / Z),
    }
    for row, se in rows.values():
        close(terms("hazard_ratios", [row], parameters=parameters)[0], stats.norm.logpdf(log(0.6), -0.7, se))


def test_hazard_ratio_is_about_the_studys_own():
    spec = make_spec(effects=WITH_EFFECTS)
    value = terms("hazard_ratios", [ratio("surgery", "litt", 0.6, 0.3)], spec=spec, parameters=full_parameters())[0]
    close(value, stats.norm.logpdf(log(0.6), -0.5 - 0.2 + 0.12 + 0.07, 0.3))


def test_ratios_with_a_shared_reference_are_one_multivariate_normal():
    parameters = unit_exponential(log_hr={"surgery": -0.5, "litt": 0.2})
    rows = [ratio("surgery", "srs", 0.6, 0.3, se_reference=0.2), ratio("litt", "srs", 1.1, 0.4)]
    law = stats.multivariate_normal([-0.5, 0.2], [[0.09, 0.04], [0.04, 0.16]])
    wanted = law.logpdf([log(0.6), log(1.1)])
    close(terms("hazard_ratios", rows, parameters=parameters)[0], wanted)
    close(terms("hazard_ratios", rows[::-1], parameters=parameters)[0], wanted)


def test_a_redundant_ratio_gives_covariance_only():
    parameters = unit_exponential(log_hr={"surgery": -0.5, "litt": 0.2})
    stated = [ratio("surgery", "srs", 0.6, 0.3, se_reference=0.2), ratio("litt", "srs", 1.1, 0.4)]
    third = ratio("surgery", "litt", 0.55, sqrt(0.09 + 0.16 - 2 * 0.04))
    derived = [third, ratio("surgery", "srs", 0.6, 0.3), ratio("litt", "srs", 1.1, 0.4)]
    wanted = terms("hazard_ratios", stated, parameters=parameters)[0]
    got = terms("hazard_ratios", derived, parameters=parameters)
    assert len(got) == 1
    close(got[0], wanted)


def test_shared_arms_without_a_covariance_are_refused():
    with pytest.raises(ValueError, match="without se_reference"):
        terms("hazard_ratios", [ratio("surgery", "srs", 0.6, 0.3), ratio("litt", "srs", 1.1, 0.4)])
    with pytest.raises(twin.NotCovered, match="not as the reference"):
        terms("hazard_ratios", [ratio("surgery", "litt", 0.6, 0.3), ratio("litt", "srs", 1.1, 0.4)])


# Counts --------------------------------------------------------------------------------------------------------------


def test_counts_are_binomial_and_sum_to_one():
    rows = [{"study": "A", "arm": "a", "events": y, "n": 9, "time": 6.0} for y in range(10)]
    got = terms("counts", rows, arms=[arm(survived_to=3.0)])
    for y, value in enumerate(got):
        close(value, stats.binom.logpmf(y, 9, 1 - exp(-0.25)))
    close(mp.fsum(mp.exp(x) for x in got), 1)


def test_count_without_a_time_reads_the_level_as_log_cumulative_hazard():
    value = terms(
        "counts", [{"study": "A", "arm": "a", "events": 4, "n": 9}], parameters=unit_exponential(intercept=-1)
    )
    close(value[0], stats.binom.logpmf(4, 9, 1 - exp(-exp(-1))))


# Priors --------------------------------------------------------------------------------------------------------------

LAWS = [
    ({"dist": "normal", "mean": 0.3, "sd": 0.7}, stats.norm(0.3, 0.7)),
    ({"dist": "half_normal", "sd": 0.7}, stats.halfnorm(scale=0.7)),
    ({"dist": "student_t", "df": 3, "mean": 0.3, "sd": 0.7}, stats.t(3, 0.3, 0.7)),
    ({"dist": "exponential", "rate": 2.5}, stats.expon(scale=0.4)),
    ({"dist": "gamma", "shape": 2.5, "rate": 1.7}, stats.gamma(2.5, scale=1 / 1.7)),
    ({"dist": "log_normal", "mean": 0.3, "sd": 0.7}, stats.lognorm(0.7, scale=exp(0.3))),
    ({"dist": "uniform", "lower": -1.0, "upper": 2.0}, stats.uniform(-1, 3)),
]


@pytest.mark.parametrize(("prior", "law"), LAWS, ids=lambda x: x["dist"] if isinstance(x, dict) else "")
def test_priors_agree_with_scipy(prior, law):
    for x in (0.2, 0.9, 1.8):
        close(twin.log_prior_density(prior | {"why": "a test"}, x), law.logpdf(x))


def test_half_student_t_and_supports():
    prior = {"dist": "half_student_t", "df": 4, "sd": 0.7}
    close(twin.log_prior_density(prior, 0.9), stats.t(4, 0, 0.7).logpdf(0.9) + log(2))
    assert all(twin.log_prior_density(p, -1.5) == -inf for p, law in LAWS if law.support()[0] > -inf)


@pytest.mark.slow
def test_prior_of_a_natural_shape_integrates_to_one_over_its_log():
    spec = make_spec(effects={"study_shape": {"exchangeable": False}})
    spec["priors"]["shape"] = {"dist": "gamma", "shape": 2.0, "rate": 1.5}

    def density(x):
        parts = twin.log_prior(spec, {}, {"intercept": 0.0, "study_log_shape": {"A": x}})
        return mp.exp(parts - twin.log_prior_density(NORMAL, 0))

    close(mp.quad(density, [-20, -5, 0, 2, 5], maxdegree=5), 1, 1e-10)


def test_log_prior_is_the_sum_of_its_parts_with_independent_deviations():
    spec = make_spec(effects=WITH_EFFECTS, covariates={"kps": {"prior": NORMAL}})
    parameters = full_parameters() | {"coefficient": {"kps": 0.6}}
    sd, norm = 0.25, stats.norm.logpdf
    wanted = norm(-0.1) + norm(-0.5) + norm(0.2) + norm(0.2, 0, 0.3) + norm(0.6)
    wanted += sum(stats.halfnorm.logpdf(x, scale=s) for x, s in ((0.4, 0.5), (sd, 0.3), (0.15, 0.2)))
    wanted += norm(0.3, 0, 0.4) + norm(-0.2, 0, 0.4) + norm(-0.05, 0, 0.15) + norm(0.1, 0, 0.15)
    wanted += sum(norm(value, 0, sd / np.sqrt(2)) for value in (0.04, 0.12, -0.07, 0.01, 0.05))
    close(twin.log_prior(spec, {}, parameters), wanted)


def test_free_levels_stand_under_the_intercepts_prior():
    spec = make_spec(effects={"study": {"exchangeable": False}, "study_shape": {"exchangeable": False}})
    parameters = {
        "log_hr": {"surgery": 0.1},
        "study_effect": {"A": 0.4, "B": -1},
        "study_log_shape": {"A": 0.1, "B": 0},
    }
    norm = stats.norm.logpdf
    wanted = norm(0.1) + norm(0.4) + norm(-1) + norm(0.1, 0, 0.3) + norm(0, 0, 0.3)
    close(twin.log_prior(spec, {}, parameters), wanted)


# Joint ---------------------------------------------------------------------------------------------------------------


def everything():
    """One row of each kind, for a density that uses all of the model but covariates."""
    return {
        "arms": [
            arm(),
            arm(name="b", treatment="surgery", events=20),
            arm("B", "a", "surgery"),
            arm("B", "b", followup=10.0),
        ],
        "patients": [patient(5.0), patient(9.0, 0), patient(3.0, time_upper=4.0)],
        "points": [{"study": "A", "arm": "b", "time": 6.0, "survival": 0.7}],
        "medians": [{"study": "A", "arm": "b", "median": 11.0}, {"study": "B", "arm": "b", "median": None}],
        "hazard_ratios": [ratio("litt", "surgery", 0.6, 0.3)],
        "counts": [{"study": "B", "arm": "a", "events": 12, "n": 30, "time": 9.0}],
    }


def test_density_is_prior_plus_likelihood_whatever_the_order_of_rows():
    spec, parameters, tables = make_spec(effects=WITH_EFFECTS), full_parameters(), everything()
    pointwise = twin.log_likelihood(spec, tables, parameters)
    assert {kind: len(values) for kind, values in pointwise.items()} == {
        "patients": 3,
        "points": 1,
        "medians": 1,
        "hazard_ratios": 1,
        "counts": 1,
        "registry": 0,
    }
    total = twin.log_prior(spec, tables, parameters) + mp.fsum(x for values in pointwise.values() for x in values)
    close(twin.log_density(spec, tables, parameters), total, 1e-15)
    turned = {kind: rows[::-1] for kind, rows in tables.items()}
    close(twin.log_density(spec, turned, parameters), total, 1e-15)


def test_gradient_has_the_shape_of_its_argument_and_is_right():
    flat = twin.gradient(lambda x: mp.exp(x[0]) * x[1] ** 3, [0.5, 2.0])
    close(flat[0], 8 * mp.exp(0.5), 1e-18)
    close(flat[1], 12 * mp.exp(0.5), 1e-18)
    nested = twin.gradient(lambda x: x["a"] ** 2 * x["b"]["c", "d"], {"a": 3.0, "b": {("c", "d"): 5.0}})
    close(nested["a"], 30, 1e-18)
    close(nested["b"]["c", "d"], 9, 1e-18)


def test_gradient_of_a_censored_patient_in_closed_form():
    tables = {"patients": [patient(6.0, 0)]}
    slope = twin.gradient(
        lambda p: twin.log_likelihood(make_spec(), tables, p)["patients"][0], unit_exponential(log_shape=0.3)
    )
    hazard = exp(exp(0.3) * log(0.5))
    close(slope["intercept"], -hazard)
    close(slope["log_shape"], -hazard * exp(0.3) * log(0.5))


def test_what_the_twin_does_not_cover_is_refused():
    with pytest.raises(twin.NotCovered, match="Weibull"):
        terms("patients", [], spec=make_spec(hazard={"family": "gompertz"}))
    with pytest.raises(twin.NotCovered, match="covariates"):
        terms("medians", [median(9.0)], spec=make_spec(covariates={"kps": {"prior": NORMAL}}))


# R's survreg ---------------------------------------------------------------------------------------------------------

GOLDEN = json.loads((NUMBERS / "survreg.json").read_text())
FREE = {"exchangeable": False}
AGE = {"centre": 60, "scale": 10}


def numbers(row):
    """CSV cells as numbers where they are numbers."""
    return {key: float(cell) if cell.replace(".", "", 1).lstrip("-").isdigit() else cell for key, cell in row.items()}


def lung(row):
    return {"time": row["time"], "event": row["status"], "treatment": str(int(row["sex"])), "age": row["age"]}


def rossi(row):
    return row | {"time": row["week"], "event": row["arrest"], "treatment": str(int(row["fin"]))}


def diabetes(row):
    """An exact year where both limits agree, else diagnosed in (left, right]."""
    upper = None if row["left"] == row["right"] else row["right"]
    return {"time": row["left"], "event": 1, "time_upper": upper, "treatment": row["gender"]}


def gbsg2(row):
    return {"time": row["time"], "event": row["cens"], "treatment": row["horTh"], "study": row["tgrade"]}


def heart(row):
    return row | {"time": row["stop"], "entry": row["start"], "treatment": str(int(row["transplant"]))}


# Each block of the golden file: how a row becomes a patient, the reference treatment, and what the spec adds.
FITS = {
    "lung": (lambda row: lung(row) | {"treatment": "1"}, "1", {}),
    "lung_sex_age": (lung, "1", {"covariates": {"age": AGE}}),
    "lung_shape_by_sex": (lung, "1", {"priors": {"treatment_log_shape": NORMAL}}),
    "waltons": (lambda row: {"time": row["T"], "event": row["E"], "treatment": row["group"]}, "control", {}),
    "rossi": (
        rossi,
        "0",
        {"covariates": {"age": {"centre": 25, "scale": 5}} | {c: {} for c in ("race", "wexp", "mar", "paro", "prio")}},
    ),
    "rossi_weighted": (lambda row: rossi(row) | {"weight": row["prio"] / 4 + 0.5}, "0", {}),
    "diabetes_interval": (diabetes, "female", {}),
    "gbsg2_free_levels": (gbsg2, "no", {"effects": {"study": FREE}}),
    "gbsg2_free_shapes": (
        lambda row: gbsg2(row) | {"treatment": "no"},
        "no",
        {"effects": {"study": FREE, "study_shape": FREE}},
    ),
    "heart_truncated": (heart, "0", {"covariates": {"age": {"scale": 10}, "surgery": {}}}),
}


def patients_of(file, as_patient):
    with (LIFELINES / file).open() as lines:
        return [{"study": "one", "arm": "all"} | as_patient(numbers(row)) for row in csv.DictReader(lines)]


def test_every_golden_fit_is_used():
    assert set(FITS) == set(GOLDEN) - {"versions"}


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_likelihood_and_score_at_the_estimate_of_r(name):
    golden, (as_patient, reference, more) = GOLDEN[name], FITS[name]
    spec = {"priors": {}, "treatments": {"reference": reference}, "reference_time": golden["reference_time"]} | more
    tables = {"patients": patients_of(golden["file"], as_patient)}

    def log_likelihood(parameters):
        return mp.fsum(twin.log_likelihood(spec, tables, parameters)["patients"])

    at_estimate = log_likelihood(golden["ours"])
    close(at_estimate, golden["loglik"], 1e-9)
    # second derivatives are below 1e4, so that a step of 1e-12 errs by 1e-8
    score = twin.gradient(log_likelihood, golden["ours"], known=at_estimate)
    slopes = [x for entry in score.values() for x in (entry.values() if isinstance(entry, dict) else [entry])]
    assert slopes
    assert max(abs(x) for x in slopes) < 1e-4
