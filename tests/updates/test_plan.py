"""Planned studies against closed forms of normals, the integral over a study's effects, and value by brute force."""

import json
import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from bayes_bm.inference.result import Result
from bayes_bm.report.plots.planning import planning_figure
from bayes_bm.runtime.errors import InputError
from bayes_bm.updates.answers import Answers
from bayes_bm.updates.designs import Design, PlannedArm, check_designs, planned_studies
from bayes_bm.updates.future_study import FutureStudy, Numbers, future_study
from bayes_bm.updates.plan import _drawn, _one_future, plan, simulated_updates
from bayes_bm.updates.proposals import Site, find_site, log_weight_by_likelihood, log_weight_by_site
from bayes_bm.updates.updated import normal_update
from bayes_bm.updates.value import gain_of_knowing, mean_given
from tests.builders import posteriors, worlds
from tests.builders.commands import call

ONE, OTHER = "b", "a"
Z = 1.959963984540054


@cache
def known(draws: int = 2000, **fixed: Any) -> Result:
    """A Weibull network's posterior made by hand; log ratios are N(-0.2, 0.3^2)."""
    spec = worlds.spec()
    return posteriors.result(spec, worlds.evidence(spec), chains=1, draws=draws, **fixed)


@cache
def halved_series(weight: float) -> Result:
    """A posterior of a spec that counts series of one arm by a weight."""
    spec = worlds.spec(evidence__single_arm_weight={"value": weight, "why": "test"})
    return posteriors.result(spec, worlds.evidence(spec), chains=1, draws=4)


def treatments(result: Result) -> tuple[str, str]:
    names = result.spec.treatments
    return names.reference, names.compare[0]


def planned(result: Result, design: Design) -> FutureStudy:
    arms = [PlannedArm(name, n) for name, n in design.arms.items()]
    return future_study(result, design, arms, np.random.default_rng(3))


def two_arms(result: Result, **more: Any) -> Design:
    reference, other = treatments(result)
    return Design(**{"name": "trial", "arms": {reference: 40, other: 50}, "followup": 30.0, "accrual": 12.0, **more})


# ------------------------------------------------------------------------------------------------ closed forms


def normal_answers(result: Result, place: int) -> Answers:
    """The log ratio itself, with a utility of its negative against nothing."""
    values = result.predictors.draws.log_hr[:, [place]]
    gain = np.concatenate([np.zeros_like(values), -values], axis=1)
    return Answers((ONE,), OTHER, values, gain, "hazard ratio", "months", "log ratio")


@pytest.mark.slow
def test_a_printed_ratio_updates_a_normal_as_it_does_in_closed_form() -> None:
    """V' = 1 / (1 / V + 1 / (se^2 + tau^2)); the mean is N(m, V - V') over futures, EVSI its unit normal loss."""
    tau = 0.3
    result = known(study_treatment_sd=tau)
    design = two_arms(result, prints="ratio")
    study = planned(result, design)
    se = float(study.inputs.evidence.hazard_ratios["se"].iloc[0])
    answers = normal_answers(result, study.treatments[1])
    variance = float(answers.log_ratio.var())
    after = 1 / (1 / variance + 1 / (se**2 + tau**2))
    updates = simulated_updates(result, design, answers, 150, np.random.default_rng(5))
    assert np.mean([one.method == "weights" for one in updates]) > 0.95
    width = np.mean([one.high[0] - one.low[0] for one in updates])
    assert width == pytest.approx(2 * Z * math.sqrt(after), rel=0.02)
    mean, spread = float(answers.log_ratio.mean()), math.sqrt(variance - after)
    excludes = np.mean([one.low[0] > 0 or one.high[0] < 0 for one in updates])
    edge = Z * math.sqrt(after)
    closed = stats.norm.sf((edge - mean) / spread) + stats.norm.cdf((-edge - mean) / spread)
    assert excludes == pytest.approx(closed, abs=3 * math.sqrt(closed * (1 - closed) / 150))
    gains = np.array([one.utility.max() - one.utility[1] for one in updates])
    loss = spread * stats.norm.pdf(mean / spread) + mean * stats.norm.cdf(mean / spread)
    assert gains.mean() == pytest.approx(loss, abs=3 * gains.std() / math.sqrt(150))


def test_each_future_s_interval_is_that_of_the_closed_form() -> None:
    """What is promised in one future, not on average: a printed ratio r, mean V' (m / V + r / (se^2 + tau^2))."""
    tau = 0.3
    result = known(study_treatment_sd=tau)
    study = planned(result, two_arms(result, prints="ratio"))
    se = float(study.inputs.evidence.hazard_ratios["se"].iloc[0])
    answers, rng = normal_answers(result, study.treatments[1]), np.random.default_rng(6)
    mean, variance = float(answers.log_ratio.mean()), float(answers.log_ratio.var())
    after = 1 / (1 / variance + 1 / (se**2 + tau**2))
    for numbers, start in _drawn(study, rng.integers(len(answers.log_ratio), size=6), rng):
        updated = _one_future([study], [(numbers, start)], answers, rng)
        seen = float(numbers["hazard_ratios"]["log_hr"][0])
        middle = after * (mean / variance + seen / (se**2 + tau**2))
        assert updated.high[0] - updated.low[0] == pytest.approx(2 * Z * math.sqrt(after), rel=0.1)
        assert (updated.high[0] + updated.low[0]) / 2 == pytest.approx(middle, abs=0.25 * math.sqrt(after))


def test_answers_updated_as_normals_are_those_of_the_closed_form() -> None:
    result = known(study_treatment_sd=0.3, study_sd=0.5)
    study = planned(result, two_arms(result, prints="ratio"))
    se = float(study.inputs.evidence.hazard_ratios["se"].iloc[0])
    answers = normal_answers(result, study.treatments[1])
    variance, mean, seen = float(answers.log_ratio.var()), float(answers.log_ratio.mean()), -0.9
    contrast = np.array([-1.0, 1.0, *[0.0] * study.shaped])
    # the site is relative to an average study at the mean draw
    site = Site(np.outer(contrast, contrast) / se**2, contrast * (seen - mean) / se**2)
    updated = normal_update(answers, [(study, site)], 1.0)
    after = 1 / (1 / variance + 1 / (se**2 + 0.3**2))
    assert updated.high[0] - updated.low[0] == pytest.approx(2 * Z * math.sqrt(after), rel=1e-6)
    middle = after * (mean / variance + seen / (se**2 + 0.3**2))
    assert (updated.high[0] + updated.low[0]) / 2 == pytest.approx(middle, rel=1e-6)
    assert updated.utility[1] == pytest.approx(-middle, rel=1e-6)


def grid_integral(study: FutureStudy, numbers: Numbers, draw: int, *, half: float = 5.0, count: int = 15) -> float:
    """The density of the numbers at one draw by a trapezoid over the study's scores: no mode, no derivative."""
    axis, size = np.linspace(-half, half, count), study.factor.shape[2]
    grid = np.stack(np.meshgrid(*[axis] * size, indexing="ij"), axis=-1).reshape(-1, size)
    coordinates = grid @ study.factor[draw].T
    values = study.log_density(numbers, study.at(coordinates, study.shared.at(np.full(len(grid), draw))))
    return float(special.logsumexp(values + stats.norm.logpdf(grid).sum(axis=1)) + size * math.log(axis[1] - axis[0]))


@pytest.mark.slow
@pytest.mark.parametrize("prints", ["patients", "points", "median"])
def test_weights_are_the_integral_over_the_effects_of_the_study(prints: str) -> None:
    """Their mean over many draws of the effects, against a grid, at every posterior draw."""
    result = known(draws=4)
    study = planned(result, two_arms(result, prints=prints))
    rng = np.random.default_rng(2)
    coordinates = np.einsum("sck,sk->sc", study.factor[:1], rng.standard_normal((1, study.factor.shape[2])))
    [numbers] = study.simulated(np.array([0]), coordinates, rng)
    site = find_site(study, numbers, coordinates[0])
    estimates = np.array([log_weight_by_likelihood(study, numbers, site, rng) for _ in range(300)])
    mean = np.logaddexp.reduce(estimates, axis=0) - math.log(len(estimates))
    error = np.exp(estimates - mean).std(axis=0) / math.sqrt(len(estimates))
    exact = np.array([grid_integral(study, numbers, draw) for draw in range(4)])
    assert np.all(np.abs((mean - mean[0]) - (exact - exact[0])) < 4 * (error + error[0]) + 0.005)
    assert error.max() < 0.1


def test_the_quadratic_of_a_large_study_is_its_density() -> None:
    """Patients of a large study say nearly a normal: both weights agree but for a constant."""
    result = known(draws=40, study_sd=0.1, study_treatment_sd=0.1, study_shape_sd=0.05, log_shape=0.1)
    reference, other = treatments(result)
    study = planned(result, two_arms(result, arms={reference: 400, other: 400}))
    rng = np.random.default_rng(2)
    [numbers] = study.simulated(np.array([0]), np.zeros((1, study.coordinates)), rng)
    start = (study.base - study.base.mean(axis=0))[0]
    site = find_site(study, numbers, start)
    by_site = log_weight_by_site(study, site)
    near = by_site > by_site.max() - 8
    difference = (log_weight_by_likelihood(study, numbers, site, rng) - by_site)[near]
    assert near.sum() > 5 and difference.std() < 0.25


# ------------------------------------------------------------------------------------------------ value


@pytest.mark.slow
def test_the_value_of_a_study_is_that_of_deciding_by_brute_force() -> None:
    """Points of one arm: every future's decision by the grid's exact density at every draw, the same futures."""
    result = known(draws=50, log_shape=0.1)
    _, other = treatments(result)
    design = Design(name="series", arms={other: 60}, prints="points")
    answers = normal_answers(result, 1)
    updates = simulated_updates(result, design, answers, 20, np.random.default_rng(8))
    rng = np.random.default_rng(8)
    places = rng.integers(50, size=20)
    study = future_study(result, design, planned_studies(design)[0], rng)
    scores = rng.standard_normal((20, study.factor.shape[2]))
    coordinates = np.einsum("sck,sk->sc", study.factor[places], scores)
    means = []
    for numbers in study.simulated(places, coordinates, rng):
        log_weight = np.array([grid_integral(study, numbers, draw, half=4.5, count=11) for draw in range(50)])
        means.append(np.exp(log_weight - special.logsumexp(log_weight)) @ answers.utility)
    brute = np.array(means)
    quick = np.array([one.utility for one in updates])
    # one draw of the effects each: an error by chance, whose mean over futures is small
    assert np.sqrt(np.mean((quick[:, 1] - brute[:, 1]) ** 2)) < 0.2 * brute[:, 1].std()
    assert quick.max(axis=1).mean() == pytest.approx(brute.max(axis=1).mean(), abs=0.02)


def test_the_value_of_knowing_a_part_is_the_unit_normal_loss() -> None:
    """Utility x + y, normals: knowing x is worth E max(0, x), knowing all E max(0, x + y), noise nothing."""
    rng = np.random.default_rng(1)
    x, y, noise = rng.standard_normal((3, 20_000))
    utility = np.stack([np.zeros_like(x), x + y], axis=1)
    loss = 1 / math.sqrt(2 * math.pi)
    assert gain_of_knowing(utility) == pytest.approx(math.sqrt(2) * loss, abs=0.015)
    assert gain_of_knowing(mean_given(x[:, None], utility)) == pytest.approx(loss, abs=0.015)
    assert gain_of_knowing(mean_given(noise[:, None], utility)) < 0.02


# ------------------------------------------------------------------------------------------------ designs


@pytest.mark.slow
def test_more_patients_settle_more_and_series_of_one_arm_are_counted() -> None:
    result = known(draws=150)
    reference, other = treatments(result)
    side = {"name": "side by side", "arms": {reference: 30, other: 30}, "followup": 30}
    series = {
        "name": "series",
        "arms": {reference: 20, other: 30},
        "side_by_side": False,
        "studies": 4,
        "prints": "points",
    }
    planned = plan(result, [side, series], sizes=[0.5, 4], futures=10)
    table = planned.table[planned.table["treatment"] == other].set_index(["design", "n"])
    assert list(table.index) == [("side by side", 30), ("side by side", 240), ("series", 50), ("series", 400)]
    width = table["expected_width"]
    assert width["side by side", 240] < width["side by side", 30] < table["width_now"].iloc[0]
    assert width["series", 400] < width["series", 50]
    assert table["studies"].tolist() == [1, 1, 2, 16]
    lines = planning_figure(planned.table, other).axes[0].get_lines()
    drawn = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in lines}
    assert drawn["side by side"] == [[n, width["side by side", n]] for n in (30, 240)]
    assert "side by side (240 patients)" in planned.sentences[0]


@pytest.mark.slow
@pytest.mark.parametrize("prints", ["points", "median", "patients"])
def test_a_planned_series_counts_for_less_where_the_spec_says_so(prints: str) -> None:
    """At weight 1/2 a series of 80 says what one of 40 says without; a comparison keeps its size."""

    def study(weight: float, *names: str, n: int) -> FutureStudy:
        return planned(
            halved_series(weight), Design(name="s", arms=dict.fromkeys(names, n), prints=prints, followup=30.0)
        )

    def told(one: FutureStudy) -> Any:
        """Of every draw; n patients who die at one time say n times what one of them says."""
        return one.log_density(one.inputs.kinds, one.shared)

    halved, small, whole = study(0.5, ONE, n=80), study(1.0, ONE, n=40), study(1.0, ONE, n=80)
    np.testing.assert_allclose(told(halved), told(small), rtol=1e-12)
    assert not np.allclose(told(halved), told(whole))
    np.testing.assert_allclose(told(study(0.5, ONE, OTHER, n=80)), told(study(1.0, ONE, OTHER, n=80)), rtol=1e-12)


@pytest.mark.slow
def test_confounding_takes_from_a_comparison_what_its_sd_says() -> None:
    """A printed ratio of a study that is not randomised has the variance of its confounding besides."""
    result = known(study_treatment_sd=0.3)
    arms = two_arms(result).arms
    plain, confounded = (
        planned(result, Design(name="x", arms=arms, prints="ratio", randomised=False, confounding_sd=sd)).factor[0]
        for sd in (0.0, 0.4)
    )
    contrast = np.array([-1.0, 1.0, 0.0])
    assert np.sum((contrast @ plain) ** 2) == pytest.approx(0.3**2)
    assert np.sum((contrast @ confounded) ** 2) == pytest.approx(0.3**2 + 0.4**2)


@pytest.mark.slow
def test_the_curve_of_a_study_replaces_its_printed_numbers() -> None:
    """A median of many patients: their curve tells more of the study's level than the median did."""
    result = known(draws=2000)
    planned = plan(result, [{"name": "curve", "curve_of": "m1"}], sizes=[1, 2], futures=20)
    assert planned.table["n"].unique().tolist() == [48]
    assert set(planned.table["method"]) == {"weights"}


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ({"name": "x", "arms": {"zz": 20}}, "designs, x, arms: found zz; allowed: a, b, c"),
        ({"name": "x", "arm": {"a": 20}}, "designs, design 1, arm: found an unknown key"),
        ({"name": "x", "arms": {"a": 2}}, "designs, design 1, arms, a: found 2"),
        ({"name": "x"}, "found both or neither of arms and curve_of"),
        ({"name": "x", "curve_of": "nobody"}, "designs, x, curve_of: found nobody; allowed: c1;"),
        ({"name": "x", "arms": {"a": 20}, "prints": "ratio"}, "a study of one arm"),
        ({"name": "x", "arms": {"a": 20}, "followup": 6, "accrual": 6}, "accrual below followup"),
    ],
)
def test_a_wrong_design_is_refused_with_its_place(design: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", "\\(")):
        check_designs(known(draws=2), [design], "designs")


@pytest.mark.slow
def test_the_command_answers_as_the_function_does(tmp_path, capsys) -> None:
    result = known(draws=100)
    stored = result.save(tmp_path / "r.nc")
    file = tmp_path / "d.toml"
    file.write_text('[[design]]\nname = "trial"\narms = { a = 30, b = 30 }\nprints = "ratio"\n', encoding="utf-8")
    figure = tmp_path / "plan.svg"
    asked = ["plan", stored, "--design", file, "--sizes", "1,2", "--futures", "10", "--figure", figure, "--json"]
    assert call(*asked) == 0
    document = json.loads(capsys.readouterr().out)
    expected = plan(
        result, [{"name": "trial", "arms": {"a": 30, "b": 30}, "prints": "ratio"}], sizes=[1, 2], futures=10
    )
    assert [row["expected_width"] for row in document["rows"]] == expected.table["expected_width"].tolist()
    assert document["sentences"] == list(expected.sentences) and figure.stat().st_size > 1000
    file.write_text('[[design]]\nname = "trial"\narms = { a = 30, q = 30 }\n', encoding="utf-8")
    assert call("plan", stored, "--design", file) == 2
    assert f"{file}, trial, arms: found q; allowed: a, b, c" in capsys.readouterr().err
