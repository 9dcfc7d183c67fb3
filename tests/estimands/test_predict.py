"""Answers: every row of compare worked out again by a slow scalar loop over the draws of a posterior made by hand."""

import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

import bayes_bm as bb
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.labels import prior_and_posterior, prior_only
from bayes_bm.estimands.predict import any_prior_only, predict
from bayes_bm.estimands.who import AverageStudy, NewHospital, NewStudy, Patient, Study, parse_who
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds
from tests.builders.worlds import normal

T0, HORIZON, TIMES = 12.0, 24.0, (6.0, 18.0)
Law = Callable[[int, str], list[tuple[float, float, float]]]
FREE = {"exchangeable": False}
COVARIATES = {
    "kps": {"prior": normal(0.5), "centre": 80.0, "scale": 10.0, "unit": "points", "lower": 0.0, "upper": 100.0}
}


def arm(study: str, name: str, treatment: str) -> dict[str, Any]:
    return {"study": study, "arm": name, "treatment": treatment, "endpoint": "os", "n": 40}


# p holds a and b, q only the reference, r only c; a is followed to 30 months, b to 20, c to 10
ARMS = [arm("p", "x", "a"), arm("p", "y", "b"), arm("q", "x", "a"), arm("r", "x", "c")]
POINTS = [
    {"study": study, "arm": name, "endpoint": "os", "time": time, "survival": 0.4}
    for study, name, time in (("p", "x", 30.0), ("p", "y", 20.0), ("q", "x", 12.0), ("r", "x", 10.0))
]


def made(*, changes: dict[str, Any] | None = None, tables: dict[str, Any] | None = None, **fixed: Any) -> Result:
    spec = worlds.spec(**(changes or {}))
    return posteriors.result(spec, worlds.evidence(spec, {"arms": ARMS, "points": POINTS, **(tables or {})}), **fixed)


# ------------------------------------------------------------------------------------------------- the slow loop


def number(result: Result, name: str, draw: int, label: str | None = None) -> float:
    """One number of one draw; zero for what the reference does not have and the spec leaves out."""
    if name not in result.posterior:
        return 0.0
    chain, within = divmod(draw, result.posterior.sizes["draw"])
    values = result.posterior[name].isel(chain=chain, draw=within)
    if label is None:
        return float(values)
    dim = posteriors.DIMS[name]
    return float(values.sel({dim: label})) if label in values[dim] else 0.0


def average_law(result: Result, *, shift: float = 0.0) -> Law:
    def law(draw: int, treatment: str) -> list[tuple[float, float, float]]:
        eta = number(result, "intercept", draw) + number(result, "log_hr", draw, treatment) + shift
        log_shape = number(result, "log_shape", draw) + number(result, "treatment_log_shape", draw, treatment)
        return [(1.0, eta, math.exp(log_shape))]

    return law


def study_law(result: Result, study: str) -> Law:
    def law(draw: int, treatment: str) -> list[tuple[float, float, float]]:
        [(_, eta, shape)] = average_law(result)(draw, treatment)
        eta += number(result, "study_effect", draw, study)
        eta += number(result, "study_treatment_effect", draw, f"{study} | {treatment}")
        return [(1.0, eta, shape * math.exp(number(result, "study_log_shape", draw, study)))]

    return law


def new_study_law(result: Result) -> Law:
    """A trapezoid over level and shape: every treatment's level varies alike, the reference's too (decision 10)."""
    z, w = np.linspace(-7, 7, 121), np.linspace(-6, 6, 61)
    weight = np.outer(stats.norm.pdf(z), stats.norm.pdf(w))
    weight = weight / weight.sum()

    def law(draw: int, treatment: str) -> list[tuple[float, float, float]]:
        [(_, eta, shape)] = average_law(result)(draw, treatment)
        sd = math.hypot(number(result, "study_sd", draw), number(result, "study_treatment_sd", draw) / math.sqrt(2))
        level, shapes = np.meshgrid(
            eta + sd * z, shape * np.exp(number(result, "study_shape_sd", draw) * w), indexing="ij"
        )
        return [(weight, level, shapes)]

    return law


def alive(law: list, time: float) -> float:
    return sum(float(np.sum(w * np.exp(-np.exp(k * math.log(time / T0) + eta)))) for w, eta, k in law)


def death_rate(law: list, time: float) -> float:
    return sum(
        float(np.sum(w * k / time * np.exp(k * math.log(time / T0) + eta - np.exp(k * math.log(time / T0) + eta))))
        for w, eta, k in law
    )


def area(law: list, until: float) -> float:
    def one(eta, k):
        scale = T0 * np.exp(-eta / k)
        return scale * special.gamma(1 + 1 / k) * special.gammainc(1 / k, (until / scale) ** k)

    return sum(float(np.sum(w * one(eta, k))) for w, eta, k in law)


def median_of(law: list) -> float:
    low, high = 1e-9, 1e6
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if alive(law, middle) > 0.5 else (low, middle)
    return low


def by_hand(result: Result, law: Law, reference: str, *, marginal: bool) -> dict[tuple, list[float]]:
    """Draws of every row by (estimand, treatment, reference or None, time or None)."""
    found: dict[tuple, list[float]] = {}
    for draw in range(result.posterior.sizes["chain"] * result.posterior.sizes["draw"]):
        laws = {name: law(draw, name) for name in "abc"}
        absolute = {("survival", t): {n: alive(laws[n], t) for n in laws} for t in TIMES}
        absolute["median", None] = {name: median_of(laws[name]) for name in laws}
        absolute["rmst", HORIZON] = {name: area(laws[name], HORIZON) for name in laws}
        for (estimand, time), values in absolute.items():
            for name, value in values.items():
                found.setdefault((estimand, name, None, time), []).append(value)
                if name != reference:
                    key = (f"{estimand}_difference", name, reference, time)
                    found.setdefault(key, []).append(value - values[reference])
        for name in laws.keys() - {reference}:
            for time in TIMES if marginal else (None,):
                at = time or 7.0
                mine, other = (death_rate(laws[n], at) / alive(laws[n], at) for n in (name, reference))
                found.setdefault(("hazard_ratio", name, reference, time), []).append(mine / other)
                found.setdefault(("log_hazard_ratio", name, reference, time), []).append(math.log(mine / other))
    return found


def between(values: list[float], q: float) -> float:
    """The quantile by linear interpolation between order statistics."""
    ordered, place = sorted(values), q * (len(values) - 1)
    low = min(int(place), len(values) - 2)
    return ordered[low] + (place - low) * (ordered[low + 1] - ordered[low])


def assert_rows(table: Any, expected: dict[tuple, list[float]], *, rel: float) -> None:
    rows = {}
    for row in table.to_dict("records"):
        key = (row["estimand"], row["treatment"], row["reference"], row["time"])
        rows[tuple(None if value is None or value != value else value for value in key)] = row
    assert rows.keys() == expected.keys()
    assert len(table) == len(expected)
    for key, values in expected.items():
        row = rows[key]
        numbers = {
            "mean": statistics.fmean(values),
            "sd": statistics.stdev(values),
            "median": statistics.median(values),
            "q5": between(values, 0.05),
            "q95": between(values, 0.95),
            "q2_5": between(values, 0.025),
            "q97_5": between(values, 0.975),
        }
        for name, value in numbers.items():
            assert row[name] == pytest.approx(value, rel=rel, abs=rel), (key, name)
        better = None
        if key[0] == "hazard_ratio" or key[0].endswith("difference"):
            better = statistics.fmean((v < 1) if key[0] == "hazard_ratio" else (v > 0) for v in values)
        if key[0] == "log_hazard_ratio":
            better = statistics.fmean(v < 0 for v in values)
        assert (
            (row["prob_better"] is None or row["prob_better"] != row["prob_better"])
            if better is None
            else (row["prob_better"] == pytest.approx(better))
        ), key


# ------------------------------------------------------------------------------------------------- every row


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["a", "b"])
def test_every_row_of_the_average_study(reference: str) -> None:
    result = made()
    table = compare(result, who=AverageStudy(), reference=reference, times=TIMES, horizon=HORIZON)
    assert_rows(table, by_hand(result, average_law(result), reference, marginal=False), rel=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["a", "c"])
def test_every_row_of_a_new_study(reference: str) -> None:
    result = made(draws=4)
    table = compare(result, who=NewStudy(), reference=reference, times=TIMES, horizon=HORIZON)
    assert_rows(table, by_hand(result, new_study_law(result), reference, marginal=True), rel=2e-6)


@pytest.mark.slow
def test_every_row_of_a_named_study() -> None:
    """p holds a and b; its c is a fresh deviation, so only rows without c are compared here."""
    result = made()
    table = compare(result, who=Study("p"), times=TIMES, horizon=HORIZON)
    expected = by_hand(result, study_law(result, "p"), "a", marginal=False)
    assert_rows(table[table["treatment"] != "c"], {key: v for key, v in expected.items() if key[1] != "c"}, rel=1e-8)


@pytest.mark.slow
def test_hazard_ratios_carry_a_time_where_they_are_not_proportional() -> None:
    changes = {"priors__treatment_log_shape": normal(0.3)}
    result = made(changes=changes)
    table = compare(result, who=AverageStudy(), times=TIMES)
    expected = by_hand(result, average_law(result), "a", marginal=True)
    assert_rows(table, expected, rel=1e-8)
    # k_b (t / t0)^(k_b - k_a) k_a^-1 HR: written out for one draw
    [(_, eta_a, k_a)], [(_, eta_b, k_b)] = (average_law(result)(0, name) for name in "ab")
    found = bb.hazard_ratio(result, [18.0], who=AverageStudy()).sel(treatment="b").isel(chain=0, draw=0, time=0)
    assert float(found) == pytest.approx(k_b / k_a * 1.5 ** (k_b - k_a) * math.exp(eta_b - eta_a), rel=1e-10)


def test_the_marginal_hazard_ratio_is_not_an_average_of_hazard_ratios() -> None:
    """Decision 14 (docs/decisions.md): with study levels spread by 1 the average curve's ratio is pulled to 1; E[HR]
    would not be.
    """
    result = made(log_hr=math.log(0.5), study_sd=1.0, study_treatment_sd=1e-9, study_shape_sd=1e-9, intercept=0.5)
    conditional = bb.hazard_ratio(result, [12.0], who=AverageStudy()).sel(treatment="b")
    marginal = bb.hazard_ratio(result, [12.0], who=NewStudy()).sel(treatment="b")
    np.testing.assert_allclose(conditional, 0.5)
    assert (marginal > 0.55).all()


# ------------------------------------------------------------------------------------------------- new hospitals

MANY = {"chains": 2, "draws": 20_000, "intercept": 0.2, "log_shape": 0.1, "log_hr": [-0.4, 0.3]}
SPREAD = {"study_sd": 0.5, "study_treatment_sd": 0.3, "study_shape_sd": 0.2}


@pytest.fixture(scope="module")
def hospital() -> Result:
    return made(**MANY, **SPREAD)


def logs(result: Result, who: Any) -> np.ndarray:
    """log HR of b and c (sample, 2)."""
    ratios = bb.hazard_ratio(result, [12.0], who=who).sel(treatment=["b", "c"]).isel(time=0)
    return np.log(ratios.stack(sample=("chain", "draw")).transpose("sample", ...).to_numpy())


def test_a_new_hospitals_log_hr_varies_by_the_treatment_effects_sd_with_correlation_one_half(hospital) -> None:
    """Four standard errors at 40,000 draws: 0.006 for the mean, 0.004 for an sd, 0.015 for a correlation."""
    found = logs(hospital, NewHospital())
    np.testing.assert_allclose(found.mean(axis=0), [-0.4, 0.3], atol=0.006)
    np.testing.assert_allclose(found.std(axis=0), 0.3, atol=0.0045)
    assert np.corrcoef(found.T)[0, 1] == pytest.approx(0.5, abs=0.015)
    assert logs(hospital, AverageStudy()).std() == pytest.approx(0.35, abs=1e-9)  # only b and c differ


def test_a_new_hospitals_level_is_shared_by_its_treatments(hospital) -> None:
    """log H(t0) = eta: variance study_sd^2 + study_treatment_sd^2 / 2 for every treatment, the reference too."""
    alive_at_t0 = bb.survival(hospital, [T0], who=NewHospital()).isel(time=0).stack(sample=("chain", "draw"))
    eta = np.log(-np.log(alive_at_t0.transpose("treatment", ...).to_numpy()))
    covariance = np.cov(eta)
    expected = 0.25 + 0.045 * np.eye(3)
    np.testing.assert_allclose(covariance, expected, atol=0.01)
    # far from t0 the shape's spread shows too: var(log H(6)) = sd^2 + (log 2)^2 var(k)
    at_six = np.log(-np.log(bb.survival(hospital, [6.0], who=NewHospital()).sel(treatment="a").to_numpy().ravel()))
    k = stats.lognorm(0.2, scale=math.exp(0.1))
    assert at_six.var() == pytest.approx(0.295 + math.log(2) ** 2 * k.var(), rel=0.03)


def test_a_new_hospital_averages_to_the_new_study(hospital) -> None:
    hospitals = bb.survival(hospital, [6.0, 18.0], who=NewHospital()).mean(("chain", "draw"))
    one = made(**{**MANY, "draws": 1}, **SPREAD)
    np.testing.assert_allclose(
        hospitals, bb.survival(one, [6.0, 18.0], who=NewStudy()).mean(("chain", "draw")), atol=0.004
    )


def test_answers_do_not_depend_on_what_was_asked_before(hospital) -> None:
    first = logs(hospital, NewHospital())
    bb.survival(hospital, [3.0], who=NewHospital())
    np.testing.assert_array_equal(logs(hospital, NewHospital()), first)


def test_an_unseen_treatment_of_a_study_has_a_deviation_of_its_own() -> None:
    """Of b against a both are the posterior's; of c, and of all against an unseen reference, variances are sd^2 / 2."""
    changes = {"chains": 2, "draws": 20_000, "log_hr": [-0.4, 0.3], "study_treatment_sd": 0.3}
    seen = 0.8
    # the reference is the last of its study
    assert made().inputs.design.pair_labels == ["p | b", "p | a", "q | a", "r | c"]
    result = made(**changes, study_treatment_effect=[seen, -0.1, 0.2, 0.0])
    found = logs(result, Study("p"))
    np.testing.assert_allclose(found[:, 0], -0.4 + seen + 0.1, atol=1e-9)
    assert found[:, 1].mean() == pytest.approx(0.3 + 0.1, abs=0.005)
    assert found[:, 1].std() == pytest.approx(0.3 * math.sqrt(0.5), abs=0.003)
    reference_only = logs(result, Study("q"))
    np.testing.assert_allclose(reference_only.mean(axis=0), [-0.4 - 0.2, 0.3 - 0.2], atol=0.005)
    np.testing.assert_allclose(reference_only.std(axis=0), 0.3 * math.sqrt(0.5), atol=0.003)
    assert abs(np.corrcoef(reference_only.T)[0, 1]) < 0.02


def test_an_unknown_study_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="study: found z; allowed: p; q; r"):
        bb.survival(made(), [6.0], who=Study("z"))
    with pytest.raises(InputError, match="--who: found hospital; allowed: average-study, new-study"):
        parse_who("hospital")
    assert parse_who("study:p") == Study("p")


# ------------------------------------------------------------------------------------------------- alive at


def test_given_alive_the_population_is_divided_after_averaging() -> None:
    result = made(draws=3)
    found = bb.survival(result, [18.0], who=NewStudy(), alive_at=6.0)
    law = new_study_law(result)
    for draw in range(6):
        for name in "abc":
            mine = float(found.sel(treatment=name).isel(time=0).to_numpy().ravel()[draw])
            assert mine == pytest.approx(alive(law(draw, name), 18.0) / alive(law(draw, name), 6.0), rel=2e-6)


def test_given_alive_one_study_divides_its_own_curve_and_counts_from_time_zero() -> None:
    result = made()
    law = average_law(result)
    table = predict(result, {}, who=AverageStudy(), times=[6.0, 18.0], alive_at=6.0)
    at = table[(table["estimand"] == "survival") & (table["treatment"] == "b")].set_index("time")["mean"]
    expected = [alive(law(draw, "b"), 18.0) / alive(law(draw, "b"), 6.0) for draw in range(16)]
    assert at[6.0] == 1.0
    assert at[18.0] == pytest.approx(statistics.fmean(expected), rel=1e-9)
    mean = table[(table["estimand"] == "rmst") & (table["treatment"] == "b")]["mean"].item()
    laws = [law(draw, "b") for draw in range(16)]
    left = [(area(one, 24.0) - area(one, 6.0)) / alive(one, 6.0) for one in laws]
    assert mean == pytest.approx(statistics.fmean(left), rel=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"times": [3.0], "alive_at": 6.0}, r"times: found 3; allowed: at or after alive_at = 6; times count from 0"),
        ({"times": [0.0]}, "times: found 0; allowed: times above 0"),
        ({"times": [float("nan")]}, "times: found nan"),
        ({"times": [6.0], "alive_at": -1.0}, "alive_at: found -1.0; allowed: a time, 0 or more"),
        ({"times": [6.0], "horizon": 0.0}, "times: found 0; allowed: times above 0"),
        ({"times": [6.0], "reference": "z"}, "treatment: found z; allowed: a, b, c"),
        ({"times": []}, "times: found ; allowed"),
    ],
)
def test_impossible_questions_are_refused(call: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(made(), **call)


def test_quantiles_lie_between_zero_and_one() -> None:
    with pytest.raises(InputError, match=r"q: found 1\.0; allowed: between 0 and 1"):
        bb.quantile(made(), 1.0)
    third = bb.quantile(made(), 0.25, who=AverageStudy())
    [(_, eta, k)] = average_law(made())(0, "a")
    exact = T0 * math.exp((math.log(-math.log(0.75)) - eta) / k)
    assert float(third.sel(treatment="a").isel(chain=0, draw=0)) == pytest.approx(exact, rel=1e-10)


# ------------------------------------------------------------------------------------------------- patients


def test_a_patients_covariates_are_centred_and_scaled_as_the_spec_says() -> None:
    """A KPS of 65 stands 1.5 scales below the centre of 80."""
    result = made(changes={"covariates": COVARIATES})
    found = bb.survival(result, [6.0], who=Patient({"kps": 65.0}, on=AverageStudy()))
    for draw in range(16):
        shift = number(result, "coefficient", draw, "kps") * -1.5
        mine = float(found.sel(treatment="b").isel(time=0).to_numpy().ravel()[draw])
        assert mine == pytest.approx(alive(average_law(result, shift=shift)(draw, "b"), 6.0), rel=1e-10)
    centre = bb.survival(result, [6.0], who=Patient({}, on=AverageStudy()))
    np.testing.assert_array_equal(centre, bb.survival(result, [6.0], who=AverageStudy()))


def test_patients_are_named_and_their_treatments_chosen() -> None:
    result = made(changes={"covariates": COVARIATES})
    table = predict(
        result, [{"kps": 70.0}, {}], names=["one", "two"], times=[6.0], treatments=["a", "b"], who=AverageStudy()
    )
    assert set(table["patient"]) == {"one", "two"}
    assert set(table["treatment"]) == {"a", "b"}
    assert set(table["reference"].dropna()) == {"a"}
    alone = predict(result, {"kps": 70.0}, times=[6.0], who=AverageStudy())
    key = (table["patient"] == "one") & (table["treatment"] == "b") & (table["estimand"] == "survival")
    mine = (alone["treatment"] == "b") & (alone["estimand"] == "survival")
    assert table[key]["mean"].item() == alone[mine]["mean"].item()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"age": 61.0}, "patient, age: found an unknown covariate; allowed: kps"),
        ({"kps": 120.0}, "patient, kps: found 120.0; allowed: 0 to 100 points"),
        ({"kps": float("nan")}, "patient, kps: found nan"),
    ],
)
def test_a_patient_outside_the_spec_is_refused(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        predict(made(changes={"covariates": COVARIATES}), values, times=[6.0])


# ------------------------------------------------------------------------------------------------- free levels


@pytest.mark.slow
def test_free_levels_answer_hazard_ratios_and_a_named_study_only() -> None:
    result = made(changes={"effects__study": FREE})
    with pytest.raises(
        InputError, match=r"found a spec with free study levels.*allowed: study:NAME, or a \[baseline\]"
    ):
        bb.survival(result, [6.0], who=NewStudy())
    table = compare(result, who=AverageStudy(), times=[6.0])
    assert set(table["estimand"]) == {"hazard_ratio", "log_hazard_ratio"}
    draws = [number(result, "log_hr", draw, "b") for draw in range(16)]
    row = table[(table["estimand"] == "log_hazard_ratio") & (table["treatment"] == "b")].iloc[0]
    assert row["mean"] == pytest.approx(statistics.fmean(draws))
    named = compare(result, who=Study("p"), times=TIMES, horizon=HORIZON)
    expected = by_hand(result, study_law(result, "p"), "a", marginal=False)
    assert_rows(named[named["treatment"] != "c"], {key: v for key, v in expected.items() if key[1] != "c"}, rel=1e-8)


def test_free_shapes_with_exchangeable_levels_do_not_become_exponential() -> None:
    result = made(changes={"effects__study_shape": FREE})
    with pytest.raises(InputError, match="free study levels or shapes"):
        bb.rmst(result, 24.0, who=AverageStudy())
    assert set(compare(result)["estimand"]) == {"hazard_ratio", "log_hazard_ratio"}


def test_a_new_study_without_a_level_gets_the_conditional_ratio_without_a_time() -> None:
    table = compare(made(changes={"effects__study": FREE}), who=NewStudy(), times=TIMES)
    assert table["time"].isna().all()
    assert len(table) == 4


@pytest.mark.parametrize("baseline", [None, {"intercept": normal(0.2, mean=0.5), "log_shape": normal(0.1, mean=0.2)}])
def test_a_new_hospital_has_its_own_treatment_effect_with_free_levels_too(baseline: dict | None) -> None:
    changes = {"effects__study": FREE, "effects__study_shape": FREE, "baseline": baseline}
    result = made(changes=changes, chains=2, draws=20_000, log_hr=[-0.4, 0.3], study_treatment_sd=0.3)
    found = logs(result, NewHospital())
    np.testing.assert_allclose(found.mean(axis=0), [-0.4, 0.3], atol=0.006)
    np.testing.assert_allclose(found.std(axis=0), 0.3, atol=0.0045)
    assert np.corrcoef(found.T)[0, 1] == pytest.approx(0.5, abs=0.015)
    np.testing.assert_allclose(logs(result, AverageStudy()), np.broadcast_to([-0.4, 0.3], found.shape), atol=1e-9)


def test_a_baseline_gives_the_reference_its_level_and_shape() -> None:
    """S(t0) = exp(-exp(eta)), eta ~ N(0.5, 0.2); for another treatment a new study averages over its deviation."""
    changes = {"effects__study": FREE, "effects__study_shape": FREE}
    changes["baseline"] = {"intercept": normal(0.2, mean=0.5), "log_shape": normal(0.1, mean=0.2)}
    result = made(changes=changes, chains=2, draws=20_000, log_hr=[-0.4, 0.3], study_treatment_sd=0.6)
    at_t0 = bb.survival(result, [T0], who=AverageStudy()).isel(time=0)
    eta = np.log(-np.log(at_t0.sel(treatment="a").to_numpy()))
    assert eta.mean() == pytest.approx(0.5, abs=0.004)
    assert eta.std() == pytest.approx(0.2, abs=0.003)
    z = np.linspace(-8, 8, 401)
    weight = stats.norm.pdf(z) / stats.norm.pdf(z).sum()
    mean = float((weight * np.exp(-np.exp(0.1 + math.hypot(0.2, 0.6) * z))).sum())
    population = bb.survival(result, [T0], who=NewStudy()).isel(time=0).sel(treatment="b")
    assert float(population.mean()) == pytest.approx(mean, abs=0.002)


def test_a_patient_of_a_named_study_has_that_studys_ratio() -> None:
    result = made(changes={"effects__study": FREE, "covariates": COVARIATES})
    on_study = bb.hazard_ratio(result, [6.0], who=Patient({"kps": 70.0}, on=Study("p")))
    np.testing.assert_allclose(on_study, bb.hazard_ratio(result, [6.0], who=Study("p")), rtol=1e-12)


# ------------------------------------------------------------------------------------------------- labels


def labels(table: Any, estimand: str, treatment: str, *, reference: str | None = None) -> list[str]:
    rows = table[(table["estimand"] == estimand) & (table["treatment"] == treatment)]
    rows = rows[rows["reference"].isna()] if reference is None else rows[rows["reference"] == reference]
    return rows["label"].tolist()


@pytest.mark.slow
def test_answers_beyond_a_treatments_follow_up_are_marked() -> None:
    """a is followed to 30 months, b to 20, c to 10; a contrast is as far as the shorter of its two."""
    result = made(log_hr=[-0.2, -0.2], draws=200)
    table = compare(result, who=NewStudy(), times=[6.0, 15.0, 25.0], horizon=24.0)
    assert labels(table, "survival", "a") == ["", "", ""]
    assert labels(table, "survival", "b") == ["", "", "extrapolated"]
    assert labels(table, "survival", "c") == ["", "extrapolated", "extrapolated"]
    assert labels(table, "survival_difference", "b", reference="a") == ["", "", "extrapolated"]
    assert labels(table, "hazard_ratio", "c", reference="a") == ["", "extrapolated", "extrapolated"]
    assert labels(table, "rmst", "a") == [""]
    assert labels(table, "rmst", "b") == labels(table, "rmst_difference", "b", reference="a") == ["extrapolated"]


def test_a_difference_of_medians_is_marked_where_either_median_lies_beyond() -> None:
    """Medians of 8.3 (b, followed to 20) and 32 months (a, followed to 30)."""
    result = made(intercept=math.log(math.log(2)) - math.log(32 / 12), log_shape=0.0, log_hr=[math.log(32 / 8.3), 0.0])
    table = compare(result, who=AverageStudy(), times=[6.0])
    assert labels(table, "median", "a") == ["extrapolated"]
    assert labels(table, "median", "b") == [""]
    assert labels(table, "median_difference", "b", reference="a") == ["extrapolated"]


def test_what_the_data_did_not_move_is_marked_prior_only() -> None:
    """Decision 17: posterior sd at least 0.9 of the prior's 1.0. For b it is 0.95, for c 0.5."""
    rng = np.random.default_rng(5)
    values = rng.standard_normal((2, 400, 2))
    values = (values - values.mean((0, 1))) / values.std((0, 1)) * [0.95, 0.5]
    result = made(draws=400, log_hr=values)
    assert prior_only(result)[0] == "log_hr[b]"
    assert "log_hr[c]" not in prior_only(result)
    table = compare(result, who=AverageStudy(), times=[6.0])
    assert labels(table, "hazard_ratio", "b", reference="a") == ["prior only"]
    assert labels(table, "hazard_ratio", "c", reference="a") == [""]
    assert labels(table, "survival", "b") == ["prior only"]
    assert labels(table, "survival", "a") == [""]
    against_b = compare(result, who=AverageStudy(), times=[6.0], reference="b")
    assert labels(against_b, "hazard_ratio", "c", reference="b") == ["prior only"]


def test_a_patients_covariate_from_its_prior_alone_is_named() -> None:
    result = made(
        changes={"covariates": COVARIATES}, draws=400, coefficient=np.random.default_rng(1).normal(0, 0.5, (2, 400, 1))
    )
    marked = predict(result, {"kps": 70.0}, times=[6.0], who=AverageStudy())
    assert marked["label"].str.contains("prior only: kps").all()
    assert not predict(result, {}, times=[6.0], who=AverageStudy())["label"].str.contains("kps").any()


def test_a_mix_that_nothing_informs_marks_no_coefficient() -> None:
    """Treatments' mixes are named by covariate too, but a patient's covariate is given, not averaged over a mix."""
    unmoved = ["case_mix_by_treatment[a, kps]", "case_mix_mean[kps]", "log_hr[kps]"]
    assert not any_prior_only("kps", unmoved)
    assert any_prior_only("kps", ["interaction[b, kps]"]) and any_prior_only("kps", ["coefficient[kps]"])


def test_prior_and_posterior_stand_side_by_side_with_scipys_moments() -> None:
    rows = {row["parameter"]: row for row in prior_and_posterior(made())}
    assert rows["log_hr[b]"]["prior_sd"] == pytest.approx(1.0)
    assert rows["study_sd"]["prior_mean"] == pytest.approx(0.5 * math.sqrt(2 / math.pi))
    assert rows["study_sd"]["prior_sd"] == pytest.approx(0.5 * math.sqrt(1 - 2 / math.pi))


@pytest.mark.slow
def test_predictions_have_the_monte_carlo_errors_of_the_same_answers() -> None:
    """`compare` works them out from the same draws; nothing is said of what was not asked."""
    result = made(draws=40)
    compared = compare(result, who=NewStudy(), times=[6.0]).set_index(["estimand", "treatment"])
    table = predict(result, times=[6.0], errors=True)
    names = [name for name in table if str(name).startswith("mcse_")]
    assert names == [name for name in compared if str(name).startswith("mcse_")]
    for row in table.to_dict("records"):
        wanted = compared.loc[(row["estimand"], row["treatment"])]
        assert [row[name] for name in names] == pytest.approx([wanted[name] for name in names], nan_ok=True)
    assert (table["mcse_median"] > 0).all()
    assert not [name for name in predict(result, times=[6.0]) if str(name).startswith("mcse_")]


@pytest.mark.parametrize(("unit", "year"), [("months", 12.0), ("weeks", 365.25 / 7)])
def test_a_discounted_mean_is_the_exponentials_closed_form(unit: str, year: float) -> None:
    """Integral of exp(-(h + d) t), d = log(1 + rate) a year; alive at s it begins anew there."""
    hazard, rate, level = 0.08, 0.2, {"intercept": math.log(0.08 * T0), "log_shape": 0.0, "study_sd": 0.0}
    result = made(changes={"time_unit": unit}, **level, log_hr=[0.0, 0.0], draws=4)
    both = hazard + math.log1p(rate) / year
    for start in (0.0, 7.0):
        mean = bb.rmst(result, 60.0, who="average-study", alive_at=start, discount=rate)
        wanted = (1 - math.exp(-both * (60.0 - start))) / both
        assert mean.sel(treatment="a").to_numpy() == pytest.approx(wanted, rel=1e-9)
    assert mean.attrs["discount"] == rate
    with pytest.raises(InputError, match=r"discount: found 3.5; allowed: 0 to 1: the rate a year"):
        bb.rmst(result, 60.0, discount=3.5)
