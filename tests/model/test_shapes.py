"""Shapes of flexible baselines that differ by treatment or by study: random walks on the log coefficients."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_bm as bb
from bayes_bm.checks.family_priors import left_out, of_family
from bayes_bm.checks.study_likelihood import require_population
from bayes_bm.estimands import quadrature
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.population import population
from bayes_bm.estimands.quadrature import Population
from bayes_bm.evidence.reading import select
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.prior_result import prior_result
from bayes_bm.runtime.errors import InputError
from tests.builders import families, graphs, worlds
from tests.builders.graphs import log_density, random_point
from tests.builders.worlds import half_normal, normal

BY_STUDY: dict[str, Any] = {"effects__study_shape": {"sd": half_normal(0.4)}}
BY_TREATMENT: dict[str, Any] = {"priors__treatment_smooth_sd": half_normal(0.5)}


def world(family: str = "mspline", **more: Any):
    spec = families.spec(family, **more)
    return spec, families.evidence(spec)


def likelihoods(spec, rows, point) -> float:
    model = graphs.model_of(spec, rows)
    known = {name: point[name] for name in graphs.start(model)}
    return log_density(model, known, variables=model.observed_RVs, jacobian=False)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["mspline", "piecewise"])
def test_walks_of_no_size_leave_the_shared_shape_exactly(family: str) -> None:
    """exp(-800) is zero in floating point: whatever the standardised walks, the likelihood is the same number."""
    full, rows = world(family, **BY_STUDY, **BY_TREATMENT)
    # without ratios: an average over follow-up is the ratio itself only up to rounding
    rows = replace(rows, hazard_ratios=rows.hazard_ratios.iloc[:0], hr_cholesky=np.zeros((0, 0)))
    plain, _ = world(family)
    point = random_point(graphs.model_of(full, rows), 4)
    gone = {name: np.array(-800.0) for name in ("study_shape_sd_log__", "treatment_smooth_sd_log__")}
    assert set(gone) <= set(point)
    assert likelihoods(full, rows, point | gone) == likelihoods(plain, rows, point)
    assert likelihoods(full, rows, point) != likelihoods(plain, rows, point)


def test_a_treatments_walk_bends_its_own_hazard_alone() -> None:
    """log h_b(t) - log h_a(t) by hand: the ratio of sums over the basis, each divided by its value at t0."""
    spec, rows = world(**BY_TREATMENT)
    result = families.result(spec, rows)
    times = [2.0, 10.0, 30.0]
    found = np.log(bb.hazard_ratio(result, times, who=bb.AverageStudy()).sel(treatment="b").to_numpy())
    knots, family = result.inputs.family.knots, result.inputs.family
    assert knots is not None
    features = family.place(np.log(np.array(times) / 12))
    size = len(knots.location)
    at_t0 = family.place(np.zeros(()))[:size]
    common = np.pad(result.posterior["log_coefficient"].to_numpy(), ((0, 0), (0, 0), (1, 0)))
    own = np.pad(result.posterior["treatment_log_coefficient"].sel(treatment="b").to_numpy(), ((0, 0), (0, 0), (1, 0)))

    def log_hazard(log_c: np.ndarray) -> np.ndarray:
        c = np.exp(log_c)
        return np.log(c @ features[:, size:].T) - np.log(c @ at_t0)[..., None]

    effect = result.posterior["log_hr"].sel(treatment="b").to_numpy()[..., None]
    np.testing.assert_allclose(found, effect + log_hazard(common + own) - log_hazard(common), rtol=1e-9, atol=1e-12)
    rest = np.log(bb.hazard_ratio(result, times, who=bb.AverageStudy()).sel(treatment="a").to_numpy())
    assert not rest.any()


@pytest.mark.slow
def test_hazard_ratios_have_a_time_where_shapes_differ_by_treatment() -> None:
    timed = compare(families.result(*world(**BY_TREATMENT)), times=[6.0, 12.0])
    shared = compare(families.result(*world()), times=[6.0, 12.0])
    assert timed.loc[timed["estimand"] == "hazard_ratio", "time"].tolist() == [6.0, 12.0, 6.0, 12.0]
    assert shared.loc[shared["estimand"] == "hazard_ratio", "time"].isna().all()
    with pytest.raises(InputError, match=r"column followup: found nothing, beside priors\.treatment_smooth_sd"):
        worlds.evidence(families.spec("mspline", **BY_TREATMENT))


def test_a_named_study_has_its_walk_on_the_common_one() -> None:
    result = families.result(*world(**BY_STUDY))
    common = result.posterior["log_coefficient"].to_numpy().reshape(result.predictors.draws.samples, -1)
    for study in result.inputs.design.studies[:2]:
        own = result.posterior["study_log_coefficient"].sel(study=study).to_numpy().reshape(common.shape)
        np.testing.assert_allclose(population(result, bb.Study(study)).shape[:, 0, 1:], common + own)
    average = population(result, bb.AverageStudy()).shape[:, 0, 1:]
    np.testing.assert_allclose(average, common)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["mspline", "piecewise+cure"])
def test_the_average_over_new_studies_is_a_mean_over_walks(family: str) -> None:
    """128 quasi-random nodes against 200,000 fresh studies drawn one by one."""
    result = families.result(*world(family, **BY_STUDY), chains=1, draws=3)
    wide = 0 * result.posterior["study_shape_sd"] + 1.0
    result = replace(result, posterior=result.posterior.assign(study_shape_sd=wide))
    knots = result.inputs.family.knots
    assert knots is not None
    rng = np.random.default_rng(5)
    of = population(result, bb.NewStudy())
    times = np.array([3.0, 12.0, 30.0])
    ours = quadrature.survival(of, times)[:, :, :]
    count, size = 200_000, len(knots.location)
    placed = result.inputs.family.place(np.log(times / 12))
    for at in range(2):
        steps = rng.standard_normal((count, size - 1)) * np.sqrt(knots.step)
        walk = of.shape_sd[at, 1] * np.cumsum(steps, axis=1)
        shape = np.tile(of.shape[at, 1], (count, 1))
        shape[:, 1:size] += walk
        eta = of.eta[at, 1] + of.eta_sd[at, 1] * rng.standard_normal(count)
        log_cum = result.inputs.family.log_cum_hazard(placed[:, None], eta, shape, xp=NUMPY)
        direct = np.exp(-np.exp(log_cum))
        error = direct.std(axis=1) / np.sqrt(count)
        assert (np.abs(direct.mean(axis=1) - ours[at, 1]) < 4 * error + 1.5e-3).all()


def test_a_new_hospital_has_one_walk_for_all_its_treatments() -> None:
    result = families.result(*world(**BY_STUDY, **BY_TREATMENT), chains=2, draws=4000)
    knots = result.inputs.family.knots
    assert knots is not None
    moved = population(result, bb.NewHospital()).shape - population(result, bb.AverageStudy()).shape
    np.testing.assert_allclose(moved[:, 0], moved[:, 1], atol=1e-12)
    steps = np.diff(moved[:, 0], axis=1) / result.predictors.draws.study_shape_sd[:, None] / np.sqrt(knots.step)
    assert steps.mean(axis=0) == pytest.approx(0, abs=0.06)
    assert np.cov(steps.T) == pytest.approx(np.eye(len(knots.step)), abs=0.06)


def test_no_walk_means_no_nodes_and_the_same_answers() -> None:
    result = families.result(*world())
    of = population(result, bb.NewStudy())
    without = Population(of.family, of.reference_time, of.eta, of.shape, of.eta_sd, of.shape_sd)
    times = np.array([6.0, 24.0])
    # averages without a walk may be compiled: the same sum in another order
    np.testing.assert_allclose(quadrature.survival(of, times), quadrature.survival(without, times), rtol=1e-14)


def test_priors_alone_spread_the_hazard_ratio_over_follow_up() -> None:
    """sd of log HR(end) / HR(start) is treatment_smooth_sd, wherever the knots are."""
    laws = {"priors__treatment_smooth_sd": {"dist": "uniform", "lower": 0.699, "upper": 0.701, "why": "test"}}
    for knots in ([4.0, 9.0, 15.0], [1.0, 2.0, 3.0, 5.0, 20.0]):
        hazard = {"family": "mspline", "knots": knots, "end": 24.0}
        result = prior_result(families.spec("mspline", **laws, hazard=hazard), draws=8000)
        ends = [1e-6, 24.0]
        log_ratio = np.log(bb.hazard_ratio(result, ends, who=bb.AverageStudy()).sel(treatment="b").to_numpy()[0])
        assert np.std(log_ratio[:, 1] - log_ratio[:, 0]) == pytest.approx(0.7, rel=0.03)


def test_families_keep_walks_where_they_mean_the_same() -> None:
    spec = families.spec("mspline", **BY_STUDY, **BY_TREATMENT)
    pieces = of_family(spec, "piecewise")
    assert pieces.priors.treatment_smooth_sd == spec.priors.treatment_smooth_sd
    assert pieces.effects.study_shape == spec.effects.study_shape
    weibull = of_family(spec, "weibull")
    assert left_out(spec, weibull) == ["study_shape", "treatment_smooth_sd"]
    assert left_out(spec, pieces) == []


# --------------------------------------------------------------------------------------------- simulation


def crossing(seed: int, n: int) -> pd.DataFrame:
    """Two arms of Weibulls that cross: hazard ratio (t / 10)^-1 x 1, so above 1 before 10 months and below after."""
    rng = np.random.default_rng(seed)
    shapes = {"a": 1.6, "b": 0.6}
    rows = []
    for arm, shape in shapes.items():
        time = SCALE[arm] * rng.weibull(shape, n)
        seen = np.minimum(time, rng.uniform(20, 45, n))
        rows.append(pd.DataFrame({"study": "s", "arm": arm, "treatment": arm, "time": seen, "event": time <= seen}))
    return pd.concat(rows).astype({"event": int})


SCALE = {"a": 16.0, "b": 16.0}


def true_hazard(arm: str, time: float) -> float:
    shape = {"a": 1.6, "b": 0.6}[arm]
    return shape / SCALE[arm] * (time / SCALE[arm]) ** (shape - 1)


@pytest.mark.slow
def test_crossing_hazards_are_recovered_and_missed_without_walks() -> None:
    base = {
        "treatments": {"reference": "a", "compare": ["b"]},
        "effects": {},
        "sampling": {"draws": 800, "tune": 300, "chains": 2, "thin": 1},
        "hazard": {"family": "mspline", "knots": 5},
    }
    walking = families.spec("mspline", **base, **BY_TREATMENT)
    patients = check_table("patients", crossing(3, 500), where="simulated")
    found = bb.fit(walking, select(walking, {"patients": patients}))
    assert found.gate.passed, found.gate.reasons
    times = [3.0, 8.0, 16.0, 24.0]
    ratio = bb.hazard_ratio(found, times, who=bb.AverageStudy()).sel(treatment="b").to_numpy().reshape(-1, len(times))
    truth = np.array([true_hazard("b", time) / true_hazard("a", time) for time in times])
    low, high = np.quantile(np.log(ratio), [0.005, 0.995], axis=0)
    assert ((low < np.log(truth)) & (np.log(truth) < high)).all()
    assert (np.std(np.log(ratio), axis=0) < 0.35).all()
    assert high[3] < 0 < low[0]  # no single ratio is in both intervals
    alive = bb.survival(found, times, who=bb.AverageStudy())
    for arm, shape in (("a", 1.6), ("b", 0.6)):
        mine = alive.sel(treatment=arm).to_numpy().reshape(-1, len(times))
        by_law = np.exp(-((np.array(times) / SCALE[arm]) ** shape))
        assert (np.abs(mine.mean(axis=0) - by_law) < 3 * mine.std(axis=0)).all()
        assert (mine.std(axis=0) < 0.03).all()


def hump(seed: int, n: int) -> pd.DataFrame:
    """Proportional hazards, ratio 0.6, on a log-logistic: its hazard rises to about 11 months and falls."""
    rng = np.random.default_rng(seed)
    rows = []
    for arm, ratio in (("a", 1.0), ("b", 0.6)):
        time = 10 * np.expm1(rng.exponential(size=n) / ratio) ** (1 / 2.5)
        seen = np.minimum(time, rng.uniform(10, 40, n))
        rows.append(pd.DataFrame({"study": "s", "arm": arm, "treatment": arm, "time": seen, "event": time <= seen}))
    return pd.concat(rows).astype({"event": int})


@pytest.mark.slow
def test_a_hump_is_recovered_by_a_spline() -> None:
    spec = families.spec(
        "mspline",
        treatments={"reference": "a", "compare": ["b"]},
        effects={},
        sampling={"draws": 800, "tune": 300, "chains": 2, "thin": 1},
        hazard={"family": "mspline", "knots": 7},
        priors__smooth_sd=half_normal(2.0),
    )
    found = bb.fit(spec, select(spec, {"patients": check_table("patients", hump(5, 400), where="simulated")}))
    assert found.gate.passed, found.gate.reasons
    times = np.array([2.0, 6.0, 11.0, 18.0, 26.0])
    log_h = np.log(bb.hazard(found, times.tolist(), who=bb.AverageStudy()).sel(treatment="a").to_numpy()).reshape(-1, 5)
    truth = np.log(0.25 * (times / 10) ** 1.5 / (1 + (times / 10) ** 2.5))
    low, high = np.quantile(log_h, [0.005, 0.995], axis=0)
    assert ((low < truth) & (truth < high)).all()
    assert (log_h.std(axis=0) < 0.4).all()
    # up and down again: no Weibull does that
    assert np.quantile(log_h[:, 2] - log_h[:, 0], 0.005) > 0.3
    assert np.mean(log_h[:, 2] > log_h[:, 4]) > 0.95
    effect = found.posterior["log_hr"].to_numpy()
    assert abs(effect.mean() - np.log(0.6)) < 3 * effect.std() < 0.3


def test_a_study_left_out_has_no_walk_to_integrate() -> None:
    with pytest.raises(InputError, match=r"found hazard\.family = mspline whose studies differ in shape"):
        require_population(families.result(*world(**BY_STUDY)))


@pytest.mark.slow
def test_a_prior_on_negative_sizes_is_refused() -> None:
    with pytest.raises(InputError, match=r"priors\.treatment_smooth_sd: needs a prior on positive numbers"):
        families.spec("mspline", priors__treatment_smooth_sd=normal(1.0))
