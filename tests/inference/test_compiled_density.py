"""The compiled density against the model: `build_model`'s graph, `likelihoods.py` under numpy, and sums written out.

The graph is the definition. Value within 1e-10 and gradient within 1e-8 of it, relative to the larger of 1 and itself.
"""

import math
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.compiled.coordinates import Block, Coordinates
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.compiled.fields import DEGREE
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.compiled.parametrization import Parametrization, choose_parametrization
from bayes_bm.inference.compiled.power_sums import HIGHEST, LOWEST, fit_power_sums, log_power_sum
from bayes_bm.inference.gate import Gate
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.result import Result
from bayes_bm.model.design import make_design
from bayes_bm.model.model_inputs import ModelInputs, prepare
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.reading import list_models, read_spec
from tests.builders import worlds
from tests.builders.graphs import model_of, vector_of
from tests.builders.structures import STRUCTURES, points, world


def graph(spec, evidence):
    """Value and gradient of the model's graph at a point; also the names of its coordinates in order."""
    return vector_of(model_of(spec, evidence))


def assert_agree(wanted, found) -> None:
    value, gradient = wanted
    np.testing.assert_allclose(found[0], value, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-8, atol=1e-8 * max(1.0, np.abs(gradient).max()))


def standard_normals(inputs: ModelInputs) -> Parametrization:
    """No effect of a study centred, no level turned with a deviation."""
    chosen = choose_parametrization(inputs)
    none = {name: np.zeros_like(getattr(chosen, name)) for name in ("level", "shape", "pair")}
    return replace(chosen, **none, turned=False)


def assert_is_the_graph(spec, evidence) -> None:
    """In the graph's own coordinates, standard normals; `test_centred_coordinates...` holds others against these."""
    assert why_not(prepare(spec, evidence)) is None
    evaluate, names = graph(spec, evidence)
    with patch("bayes_bm.inference.compiled.packing.choose_parametrization", standard_normals):
        at, data = pack_problem(prepare(spec, evidence))
    assert [block.name for block in at.blocks] == names
    compared = 0
    for x in points(at):
        wanted = evaluate(x)
        if np.isfinite(wanted[0]) and np.isfinite(wanted[1]).all():
            assert_agree(wanted, log_density(x, data))
            compared += 1
    assert compared >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure_has_the_graphs_density_and_gradient(name: str) -> None:
    assert_is_the_graph(*world(STRUCTURES[name]))


@pytest.mark.slow
@pytest.mark.parametrize("path", list_models(), ids=lambda path: path.stem)
def test_every_shipped_model_has_the_graphs_density_and_gradient(path) -> None:
    spec = read_spec(path)
    assert_is_the_graph(spec, read_evidence(spec))


# ------------------------------------------------------------------------------------------ likelihoods under numpy


def by_numpy(spec, evidence, at: Coordinates, x: np.ndarray) -> float:
    """Priors by scipy with their Jacobians, rows by `likelihoods.py` as after a fit."""
    value = 0.0
    for block in at.blocks:
        first = at.starts[block.name]
        value += sum(log_prior(block, float(one)) for one in x[first : first + block.size])
    return value + of_rows(spec, evidence, at, x)


def of_rows(spec, evidence, at: Coordinates, x: np.ndarray) -> float:
    """Log density of all rows of evidence by `likelihoods.py`, as after a fit."""
    posterior = at.posterior(x[None, None, :])
    empty = xr.Dataset()
    result = Result(spec, evidence, posterior, empty, empty, empty, Gate((), 0, 0, 1.0, 0.9, ()))
    return sum(float(rows.sum()) for rows in pointwise_log_likelihood(result.predictors).data_vars.values())


def log_prior(block: Block, x: float) -> float:
    """Of a coordinate: the law's density at theta times |d theta / dx|."""
    law = scipy_distribution(block.prior)
    if block.prior.dist in ("normal", "student_t"):
        return float(law.logpdf(x))
    if block.prior.dist != "uniform":
        return float(law.logpdf(np.exp(x))) + x
    width, share = block.prior.upper - block.prior.lower, 1 / (1 + np.exp(-x))
    return float(law.logpdf(block.prior.lower + width * share) + np.log(width * share * (1 - share)))


@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure_has_the_density_of_its_parts(name: str) -> None:
    spec, evidence = world(STRUCTURES[name])
    at, data = pack_problem(prepare(spec, evidence))
    for x in [*points(at)][:3]:
        assert log_density(x, data)[0] == pytest.approx(by_numpy(spec, evidence, at, x), rel=1e-10)


def assert_gradient_is_that_of_the_value(inputs: ModelInputs, longest: float = 1e-3) -> None:
    """By Richardson's central differences, good to about 1e-8 of the largest slope; `longest` is their wider step."""
    at, data = pack_problem(inputs)
    x = next(points(at))
    _, gradient = log_density(x, data)
    for i in range(at.size):

        def slope(step: float, i=i) -> float:
            up, down = (log_density(x + sign * step * np.eye(at.size)[i], data)[0] for sign in (1, -1))
            return (up - down) / (2 * step)

        rough = (4 * slope(longest / 2) - slope(longest)) / 3
        assert gradient[i] == pytest.approx(rough, rel=1e-6, abs=1e-7 * np.abs(gradient).max()), i


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_gradient_is_that_of_the_value(name: str) -> None:
    assert_gradient_is_that_of_the_value(prepare(*world(STRUCTURES[name])))


# ------------------------------------------------------------------------------------------ centred effects


def some_centred(spec, shape, chosen: np.random.Generator) -> Parametrization:
    """About two thirds of all effects that have an sd, whatever their patients tell."""

    def pick(count: int, of_sd: bool) -> np.ndarray:
        return of_sd & (chosen.random(count) < 0.65)

    effects, main = spec.effects, [int(np.flatnonzero(shape.arm_study == j)[-1]) for j in range(len(shape.studies))]
    return Parametrization(
        level=pick(len(main), effects.study is not None and not spec.free_levels and spec.level_df is None),
        shape=pick(len(main), effects.study_shape is not None and not spec.free_shapes),
        pair=pick(len(shape.pairs), effects.study_treatment is not None),
        main=np.array(main),
        turned=spec.level_df is None,
    )


def log_stretch(at: Coordinates, x: np.ndarray) -> float:
    """log |d plain / d x|: each centred effect is divided by its sd, deviations by what their pair leaves free too, a
    level that is walked on with its base's deviation by the sd of their sum; turns stretch nothing.
    """
    values, of, total = at._parameters(x), at.centring, 0.0
    of_pair, factor = of.pair & (at.pair_level == 0), np.diag(at.design.pair_cholesky)
    for j in np.flatnonzero(of.level):
        base = at.level_base[j] - 1
        beside = values["study_treatment_sd"] * factor[base] if base >= 0 else 0.0
        total -= np.log(np.hypot(values["study_sd"], beside))
    for name, chosen in (("study_shape_sd", of.shape), ("study_treatment_sd", of_pair)):
        total -= chosen.sum() * np.log(values[name]) if name in values else 0.0
    return float(total - np.log(factor)[of_pair].sum())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in STRUCTURES if name != "no effects"])
def test_centred_coordinates_have_the_same_density(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the change of variables from the coordinates that the graph has; the gradient by central differences."""
    spec, evidence = world(STRUCTURES[name])
    turned, plain = pack_problem(prepare(spec, evidence))
    assert not turned.centred.any()
    monkeypatch.setattr(
        "bayes_bm.inference.compiled.packing.choose_parametrization",
        lambda inputs: some_centred(inputs.spec, inputs.design, np.random.default_rng(1)),
    )
    at, data = pack_problem(prepare(spec, evidence))
    assert at.centred.any()

    def wanted(x: np.ndarray) -> float:
        return log_density(turned._recoordinated(at.plain(x), standard=True), plain)[0] + log_stretch(at, x)

    for x in [*points(at)][:3]:
        found, gradient = log_density(x, data)
        assert found == pytest.approx(wanted(x), rel=1e-12)
        for i in range(at.size):
            up, down = (wanted(x + sign * 1e-4 * np.eye(at.size)[i]) for sign in (1, -1))
            assert gradient[i] == pytest.approx((up - down) / 2e-4, rel=1e-5, abs=1e-6 * np.abs(gradient).max()), i
        np.testing.assert_allclose(at._recoordinated(at.plain(x), standard=True), x, rtol=1e-9, atol=1e-12)
        # effects by name do not know the coordinates
        same = turned._recoordinated(at.plain(x), standard=True)
        xr.testing.assert_allclose(at.posterior(x[None, None]), turned.posterior(same[None, None]), rtol=1e-10)


def many_patients(n: int):
    """Three studies: two arms, two arms of which one is small, and one arm of the treatment alone."""
    spec = worlds.spec(treatments={"reference": "a", "compare": ["b"]})
    arms = {("s1", "a"): n, ("s1", "b"): n, ("s2", "a"): n, ("s2", "b"): 8, ("s3", "b"): n, ("s4", "a"): 8}
    rng = np.random.default_rng(1)
    frame = [
        {"study": study, "arm": arm, "treatment": arm, "time": float(time), "event": 1}
        for (study, arm), size in arms.items()
        for time in rng.exponential(12, size)
    ]
    return spec, worlds.evidence(spec, {"patients": frame})


@pytest.mark.slow
def test_effects_are_centred_where_their_patients_tell() -> None:
    spec, evidence = many_patients(3000)
    of = pack_problem(prepare(spec, evidence))[0].centring
    assert of.level.tolist() == [True, True, True, False]
    assert of.shape.tolist() == [True, True, True, False]
    # of the pairs only the one with many patients in both arms; a main arm tells nothing about its own deviation
    assert of.pair.tolist() == [True, *[False] * 5]
    assert of.text == "3 of 4 levels, 3 of 4 shapes, 1 of 6 deviations"
    # the main arm is the reference's where it can be
    assert evidence.arms["treatment"].iloc[of.main].tolist() == ["a", "a", "b", "a"]
    few = pack_problem(prepare(*many_patients(20)))[0].centring
    assert not (few.level.any() or few.shape.any() or few.pair.any())
    for said, wanted in (("none", 0), ("all", 4)):
        changed = spec.sampling.model_copy(update={"centring": said})
        given = pack_problem(prepare(spec.model_copy(update={"sampling": changed}), evidence))[0].centring
        assert given.level.sum() == wanted


LOGS = st.floats(-9.0, 5.0)
PATIENT = st.tuples(LOGS, st.sampled_from(["event", "censored", "interval", "late"]), st.floats(-6.0, 8.0))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(PATIENT, min_size=1, max_size=60),
    st.floats(np.log(0.05), np.log(20.0)),
    st.floats(-6.0, 3.0),
    st.floats(-2.0, 2.0),
)
def test_patients_of_any_size_under_any_shape(rows, log_k: float, eta: float, log_hr: float) -> None:
    """Times from 0.001 to 1,800 months, weights from 0.002 to 3,000, shapes from 0.05 to 20; ties, entry, intervals."""
    spec = worlds.spec(treatments={"reference": "a", "compare": ["b"]}, effects={})
    evidence = of_patients(spec, [patient(at, *row) for at, row in enumerate(rows)])
    at, data = pack_problem(prepare(spec, evidence))
    x = np.zeros(at.size)
    for name, value in (("log_hr", log_hr), ("intercept", eta), ("log_shape", log_k)):
        x[at.starts[name]] = value
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = by_numpy(spec, evidence, at, x)
    found, gradient = log_density(x, data)
    if abs(wanted) < 1e280:
        assert found == pytest.approx(wanted, rel=1e-10, abs=1e-10)
        slopes = slow_gradient(spec, evidence, {block.name: float(x[at.starts[block.name]]) for block in at.blocks})
        for block in at.blocks:
            slope = slopes[block.name] - (x[at.starts[block.name]] - block.prior.mean) / block.prior.sd**2
            assert gradient[at.starts[block.name]] == pytest.approx(slope, rel=1e-8, abs=1e-8), block.name
    else:
        assert not np.isfinite(found) or abs(found) > 1e270


def slow_gradient(spec, evidence, theta: dict[str, float]) -> dict[str, float]:
    """Patient by patient: of log h - H(time) + H(entry) or log(S(time) - S(upper)) + H(entry), by eta and log k."""
    terms: dict[str, list[float]] = {name: [] for name in theta}
    k = math.exp(theta["log_shape"])
    treated = evidence.arms["treatment"].to_numpy() == "b"
    for row in evidence.patients.to_dict("records"):
        on_b = treated[row["arm_row"]]
        eta = theta["intercept"] + on_b * theta["log_hr"]

        def used(time: float, eta: float = eta) -> tuple[float, float]:
            """H and its derivative by log k; that by eta is H."""
            log_u = math.log(time / spec.reference_time)
            with np.errstate(over="ignore"):
                cum = float(np.exp(eta + k * log_u))
            return cum, k * log_u * cum

        until = used(row["time"])
        by_eta, by_log_k = -until[0], -until[1]
        if row["entry"] > 0:
            before = used(row["entry"])
            by_eta, by_log_k = by_eta + before[0], by_log_k + before[1]
        if row["time_upper"] > row["time"]:
            within = [end - start for end, start in zip(used(row["time_upper"]), until, strict=True)]
            with np.errstate(over="ignore"):
                share = float(1 / np.expm1(within[0]))
            by_eta, by_log_k = by_eta + share * within[0], by_log_k + share * within[1]
        elif row["event"]:
            by_eta, by_log_k = by_eta + 1, by_log_k + 1 + k * math.log(row["time"] / spec.reference_time)
        for name, by in (("intercept", by_eta), ("log_hr", on_b * by_eta), ("log_shape", by_log_k)):
            terms[name].append(row["weight"] * by)
    return {name: math.fsum(found) for name, found in terms.items()}


def of_patients(spec: Any, patients: list[dict[str, Any]]) -> Evidence:
    """As `worlds.evidence` of these patients, whose reading takes a quarter of a second."""
    one_an_arm = [patient(at, 0.0, "event", 0.0) for at in range(2)]
    evidence = worlds.evidence(spec, {"patients": one_an_arm})
    row_of = {arm: row for row, arm in enumerate(evidence.arms["arm"])}
    blank = {"time_upper": np.nan, "entry": 0.0}
    table = pd.DataFrame([{**blank, **row, "arm_row": row_of[row["arm"]]} for row in patients])
    table = table.sort_values(["study", "arm", "time", "event"], kind="stable", ignore_index=True)
    return replace(evidence, patients=table[list(evidence.patients)].astype(evidence.patients.dtypes))


def test_patients_put_in_place_are_as_if_they_were_read() -> None:
    spec = worlds.spec(treatments={"reference": "a", "compare": ["b"]}, effects={})
    kinds = ("event", "censored", "interval", "late") * 3
    rows = [patient(at, 0.3 * at, kind, 0.1 * at) for at, kind in enumerate(kinds)]
    pd.testing.assert_frame_equal(of_patients(spec, rows).patients, worlds.evidence(spec, {"patients": rows}).patients)


def patient(at: int, log_time: float, kind: str, log_weight: float) -> dict[str, Any]:
    time, arm = float(np.exp(round(log_time, 1) + 2.5)), "x" if at % 3 else "y"
    row = {"study": "s", "arm": arm, "treatment": {"x": "a", "y": "b"}[arm], "time": time, "event": 1}
    more = {"censored": {"event": 0}, "interval": {"time_upper": 1.5 * time}, "late": {"entry": 0.4 * time}}
    return {**row, "weight": float(np.exp(log_weight)), **more.get(kind, {})}


# ------------------------------------------------------------------------------------------ sums of powers


def power_sum(k: float, log_u: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """log sum w u^k and its derivative by log k, with 40 digits."""
    import mpmath

    with mpmath.workdps(40):
        terms = [mpmath.mpf(w) * mpmath.exp(mpmath.mpf(k) * mpmath.mpf(u)) for u, w in zip(log_u, weight, strict=True)]
        total = mpmath.fsum(terms)
        moment = mpmath.fsum(term * mpmath.mpf(u) for term, u in zip(terms, log_u, strict=True))
        return float(mpmath.log(total)), float(k * moment / total)


@pytest.mark.slow
def test_sums_of_powers_are_exact_to_rounding() -> None:
    rng = np.random.default_rng(2)
    log_u, weight = rng.normal(0, 2, 50), rng.exponential(size=50)
    for k in (0.05, 0.7, 1.0, 3.0, 20.0):
        assert log_power_sum(k, log_u, weight) == pytest.approx(power_sum(k, log_u, weight), rel=1e-13, abs=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("log_u", "weight"),
    [
        (np.log(np.random.default_rng(1).weibull(1.0, 40)), np.ones(40)),
        (np.linspace(-9, 3, 300), np.exp(np.linspace(3, -3, 300))),
        (np.log(np.arange(1, 61) / 12), np.ones(60)),
    ],
    ids=["an arm", "times over five decades", "whole months"],
)
def test_polynomials_agree_with_the_sums_between_their_nodes(log_u: np.ndarray, weight: np.ndarray) -> None:
    coefficients, holds = fit_power_sums(log_u, weight, np.array([0, len(log_u)]))
    assert holds.all()
    panels = coefficients.shape[1] // DEGREE
    for log_k in np.random.default_rng(5).uniform(LOWEST, HIGHEST, 50):
        position = (log_k - LOWEST) / (HIGHEST - LOWEST) * panels
        t = 2 * (position - int(position)) - 1
        of_panel = coefficients[0, int(position) * DEGREE :][:DEGREE]
        value, slope = power_sum(np.exp(log_k), log_u, weight)
        assert np.polyval(of_panel, t) == pytest.approx(value, abs=3e-12)
        steep = np.polyval(np.polyder(of_panel), t) * 2 * panels / (HIGHEST - LOWEST)
        assert steep == pytest.approx(slope, abs=1e-10)


def test_a_sum_that_no_polynomial_follows_is_marked() -> None:
    """Two masses 60 e-folds apart that balance at k = 1: a kink in log k as sharp as a step."""
    _, holds = fit_power_sums(np.array([-600.0, 0.0, -1.0]), np.array([1e260, 1.0, 1.0]), np.array([0, 3]))
    assert not holds[0]


def test_a_group_that_never_holds_does_not_decide_for_the_others() -> None:
    """More panels than needed cost digits: at the most panels no large group would hold."""
    times = np.log(np.random.default_rng(1).weibull(1.0, 600) + 0.01)
    log_u, weight = np.concatenate([times, [-600.0, 0.0, -1.0]]), np.concatenate([np.ones(600), [1e260, 1.0, 1.0]])
    _, holds = fit_power_sums(log_u, weight, np.array([0, 600, 603]))
    assert holds.tolist() == [True, False]


# ------------------------------------------------------------------------------------------ coordinates


@pytest.mark.slow
def test_posterior_has_the_models_names_dims_and_labels() -> None:
    spec, evidence = world(STRUCTURES["covariates by treatment"])
    at, _ = pack_problem(prepare(spec, evidence))
    draws = np.random.default_rng(1).normal(size=(2, 3, at.size))
    found = at.posterior(draws)
    shape = make_design(spec, evidence)
    assert list(found["study"].values) == list(shape.studies)
    assert found["interaction"].dims == ("chain", "draw", "treatment", "effect_modifier")
    first = at.starts["study_effect_standard"]
    sd = np.exp(draws[..., at.starts["study_sd"]])
    wanted = sd[..., None] * at.plain(draws)[..., first : first + len(shape.studies)]
    np.testing.assert_allclose(found["study_effect"], wanted)
    np.testing.assert_allclose(shape.pair_factor @ shape.pair_factor.T, 0.5 * np.eye(len(shape.pairs)), atol=1e-14)
