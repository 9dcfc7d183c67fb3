"""Unknown times of a clock: the density is that of the known time, the posterior is that of quadrature, answers and
checks stand on the printed clock.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_bm.checks.predictive_tests import predictive_checks
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.replicates import arm_curves
from bayes_bm.checks.study_likelihood import StudyRows
from bayes_bm.estimands.labels import prior_and_posterior
from bayes_bm.evidence.audit import bias_rows
from bayes_bm.evidence.biases import PRIOR_ONLY
from bayes_bm.evidence.clocks import TIMES, informed_by
from bayes_bm.evidence.reading import select
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.modifiers.unknown_clock import UnknownClock
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.fit import fit
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.model.design import make_design
from bayes_bm.model.likelihoods import NO_ENTRY
from bayes_bm.model.model_inputs import prepare
from bayes_bm.report.gather import arm_medians
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from tests.builders import families, posteriors, worlds
from tests.builders.graphs import model_of, random_point, slopes, values
from tests.builders.worlds import half_normal, normal

WHY = {"why": "test"}
FORMULAS = [name for name, family in FAMILIES.items() if not family.flexible]
REGISTRY = [{"study": "r1", "arm": "x", "endpoint": "os", "start": 2.0, "stop": 8.0, "n": 100, "alive": 80}]
REGISTERED = [*worlds.TABLES["arms"], {"study": "r1", "arm": "x", "treatment": "a", "endpoint": "os", "n": 100}]
TABLES = families.with_followup({**worlds.TABLES, "arms": REGISTERED, "registry": REGISTRY})
OF = {"immortal_time": ["a", "c"], "clock_shift": ["a", "b"]}


def world(name: str = "weibull", **terms: dict[str, Any]):
    """A world in which immortal times act on arms of a and c, shifts on those of a and b; some state their own."""
    named = {clock: {**term, "treatments": OF[clock]} for clock, term in terms.items()}
    spec = families.spec(name, bias=named)
    return spec, worlds.evidence(spec, TABLES)


# ------------------------------------------------------------------------------------------------ the law of an arm


@pytest.mark.parametrize("name", FORMULAS)
def test_an_arms_law_is_that_of_survivors_read_on_its_own_clock(name: str) -> None:
    family = FAMILIES[name]
    law, rng = UnknownClock(family), np.random.default_rng(4)
    own, eta = 0.3 * rng.standard_normal((5, len(family.shapes))), rng.standard_normal(5)
    lived, shift, time = np.array([0.0, 0.4, 0.0, 0.4, 0.4]), np.array([0.0, 0.0, 0.7, 0.7, 0.7]), np.full(5, 1.1)
    time[4] = 0.3  # before the end of the immortal time
    shape = np.concatenate([own, lived[:, None], shift[:, None]], axis=1)

    def used(at: np.ndarray) -> np.ndarray:
        log_u = np.where(at > 0, np.log(np.maximum(at, 1e-300)), NO_ENTRY)
        return np.exp(family.log_cum_hazard(log_u, eta, own, xp=NUMPY))

    expected = used(np.maximum(time, lived) + shift) - used(lived + shift)
    assert np.exp(law.log_cum_hazard(np.log(time), eta, shape, xp=NUMPY)) == pytest.approx(expected, rel=1e-10)
    hazard = np.exp(law.log_hazard(np.log(time), eta, shape, xp=NUMPY))
    assert hazard[:4] == pytest.approx(np.exp(family.log_hazard(np.log(time + shift), eta, own, xp=NUMPY))[:4])
    assert hazard[4] == 0
    back = law.inverse(np.log(expected[:4]), eta[:4], shape[:4], xp=NUMPY)
    assert np.exp(back) == pytest.approx(time[:4], rel=1e-8)


# ------------------------------------------------------------------------------------------------ the density


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weibull", "gompertz", "lognormal", "weibull+cure"])
def test_an_unknown_time_has_the_density_of_the_same_time_known(name: str) -> None:
    """The known one agrees with the slow twin in `test_model`; every kind of evidence is in this world."""
    lived, shift = 0.9, 1.3
    known = {"immortal_time": lived, "clock_shift": shift}
    fixed = world(name, **{clock: {"value": {"value": time, **WHY}} for clock, time in known.items()})
    drawn = world(name, **{clock: {"prior": half_normal(2.0)} for clock in known})
    point = random_point(model_of(*fixed), 3)
    latest = make_design(*drawn).clocks.latest
    assert latest == 2.0  # the registry's, before the first death at 3.5
    share = lived / latest
    at = point | {
        "bias_immortal_time_share_interval__": np.array(np.log(share / (1 - share))),
        "bias_clock_shift_log__": np.array(np.log(shift)),
    }
    one, other = values(*fixed, point), values(*drawn, at)
    assert other[0] == pytest.approx(one[0], rel=1e-11)
    # with the priors of both times, on the sampler's scales
    prior = stats.halfnorm(scale=2.0).logpdf([lived, shift]).sum()
    scales = np.log(latest) + np.log(share * (1 - share)) + np.log(shift)
    assert other[1] - one[1] == pytest.approx(prior + scales, abs=1e-7)
    if name == "weibull":
        assert np.isfinite(slopes(model_of(*drawn), at)).all()
        return
    # making the graph's slopes is half a minute; `test_compiled_cells` holds those compiled against them, on clocks too
    coordinates, problem = pack_problem(prepare(*drawn))
    start = coordinates.start
    value, gradient = log_density(start + 0.3 * np.random.default_rng(3).standard_normal(len(start)), problem)
    assert np.isfinite(value) and np.isfinite(gradient).all()


def test_a_shift_of_exponential_data_says_nothing_and_an_immortal_time_is_not_lived_through() -> None:
    patients = [{"study": "s", "arm": "x", "treatment": "a", "time": time, "event": 1} for time in (2.0, 5.0, 11.0)]
    told = {"hazard": {"family": "exponential"}, "priors__log_shape": None, "effects": {}}
    found = []
    for bias in ({"clock_shift": (0.3, 5.0)}, {"immortal_time": (0.3, 1.5)}):
        ((clock, times),) = bias.items()
        spec = worlds.spec(**told, bias={clock: {"prior": half_normal(2.0), "treatments": ["a"]}})
        evidence = worlds.evidence(spec, {"patients": patients})
        result = posteriors.result(spec, evidence, chains=1, draws=2, intercept=0.1)
        result.posterior["bias"].values[0, :, 0] = times
        found.append(pointwise_log_likelihood(result.predictors)["patients"].to_numpy()[0])
    shifted, lived = found
    assert shifted[0] == pytest.approx(shifted[1], abs=1e-12)
    assert (lived[1] - lived[0]) == pytest.approx(np.exp(0.1) / 12.0 * 1.2, abs=1e-12)


def test_numpy_and_the_graph_agree() -> None:
    spec, evidence = world(immortal_time={"prior": half_normal(2.0)}, clock_shift={"prior": half_normal(2.0)})
    fixed = world(
        immortal_time={"value": {"value": 0.9, **WHY}},
        clock_shift={"value": {"value": 1.3, **WHY}},
    )
    drawn = posteriors.result(spec, evidence, bias=[0.9, 1.3])
    stated = posteriors.result(*fixed)
    for name in stated.posterior:
        stated.posterior[name] = drawn.posterior[name]
    one, other = pointwise_log_likelihood(drawn.predictors), pointwise_log_likelihood(stated.predictors)
    assert set(one) == set(other)
    for name in one:
        assert one[name].to_numpy() == pytest.approx(other[name].to_numpy(), rel=1e-9), name


# ------------------------------------------------------------------------------------------------ the posterior

DEATHS = stats.weibull_min(2.0, scale=10.0).ppf(np.linspace(0.2, 0.98, 60))
PATIENTS = [
    {"study": "s", "arm": "x", "treatment": "a", "time": float(time) - 3.0, "event": 1} for time in DEATHS if time > 3.0
]


def of_one_arm(clock: str, prior: dict[str, Any]) -> tuple[Spec, Any]:
    told = {
        "effects": {},
        "priors__log_shape": normal(0.15, mean=0.6),
        "treatments": {"reference": "a", "compare": ["b"]},
    }
    spec = worlds.spec(**told, bias={clock: {"prior": prior, "treatments": ["a"]}})
    ratio = {"study": "h", "endpoint": "os", "treatment": "b", "reference": "a", "hr": 0.8, "se_log_hr": 0.2}
    rows = {"patients": PATIENTS, "hazard_ratios": [ratio]}
    found = {kind: check_table(kind, pd.DataFrame(table), where=kind) for kind, table in rows.items()}
    return spec, select(spec, found)


def by_quadrature(clock: str, law: Any, upper: float) -> tuple[float, float]:
    """Mean and sd of the time, by a grid over level, log shape and time, with scipy's Weibull law."""
    time = np.array([row["time"] for row in PATIENTS])
    level, shape, of_clock = np.linspace(-1.5, 2.5, 81), np.linspace(0.1, 1.1, 41), np.linspace(1e-3, upper, 121)
    eta, log_k = (one[..., None] for one in np.meshgrid(level, shape, indexing="ij"))
    log_weight = np.empty((len(of_clock), *eta.shape[:2]))
    for at, clocked_by in enumerate(of_clock):
        d = clocked_by if clock == "clock_shift" else 0.0
        start = clocked_by if clock == "immortal_time" else d
        of = stats.weibull_min(np.exp(log_k), scale=12.0 * np.exp(-eta * np.exp(-log_k)))
        log_weight[at] = (of.logpdf(time + d) - of.logsf(start)).sum(axis=-1)
    log_weight += stats.norm(0, 1).logpdf(eta)[..., 0] + stats.norm(0.6, 0.15).logpdf(log_k)[..., 0]
    weight = np.exp(log_weight - log_weight.max()).sum(axis=(1, 2)) * law.pdf(of_clock)
    # the trapezoid: the density does not end at zero
    weight[[0, -1]] /= 2
    weight /= weight.sum()
    mean = float(weight @ of_clock)
    return mean, float(np.sqrt(weight @ (of_clock - mean) ** 2))


@pytest.mark.slow
@pytest.mark.parametrize("clock", ["clock_shift", "immortal_time"])
def test_the_posterior_is_that_of_quadrature(clock: str) -> None:
    law, first = stats.halfnorm(scale=3.0), min(row["time"] for row in PATIENTS)
    spec, evidence = of_one_arm(clock, half_normal(3.0))
    result = fit(spec, evidence, draws=1000, tune=700, chains=2)
    drawn = result.posterior["bias"].sel(bias_term=clock).to_numpy().ravel()
    mean, sd = by_quadrature(clock, law, first if clock == "immortal_time" else 12.0)
    assert result.gate.passed
    assert drawn.mean() == pytest.approx(mean, abs=0.1 * sd)
    assert drawn.std() == pytest.approx(sd, rel=0.08)
    # the data speak: a clock that started 3 before, and survivors of it, are told from none
    assert sd < 0.75 * law.std()


# ------------------------------------------------------------------------------------------------ answers and checks


def test_what_is_said_of_an_arm_stands_on_its_printed_clock() -> None:
    spec, evidence = of_one_arm("clock_shift", half_normal(3.0))
    result = posteriors.result(spec, evidence, chains=1, draws=2, intercept=0.3, log_shape=0.7)
    result.posterior["bias"].values[0, :, 0] = [0.0, 3.0]
    k, times = np.exp(0.7), np.array([2.0, 6.0])
    law = stats.weibull_min(k, scale=12.0 * np.exp(-0.3 / k))
    expected = np.stack([law.sf(times), law.sf(times + 3.0) / law.sf(3.0)])
    assert arm_curves(result, list(times)).to_numpy()[0, :, 0] == pytest.approx(expected, rel=1e-10)
    medians = [law.isf(0.5), law.isf(0.5 * law.sf(3.0)) - 3.0]
    assert arm_medians(result)[:, 0] == pytest.approx(medians, rel=1e-6)


@pytest.mark.slow
def test_checks_replicate_on_the_printed_clock() -> None:
    """At the truth nothing is wrong; without the shift the arm dies too late, and is flagged."""
    spec, evidence = of_one_arm("clock_shift", half_normal(3.0))
    k = 2.0
    level = {"intercept": float(k * np.log(1.2)), "log_shape": float(np.log(k))}
    found = {}
    for shift in (0.0, 3.0):
        result = posteriors.result(spec, evidence, chains=2, draws=200, **level, bias=[shift])
        rows = reconcile(result)
        found[shift] = rows.loc[rows["quantity"] == "median", "p"].iloc[0]
        flagged = predictive_checks(result)
        patients = flagged[flagged["group"] == "patients"]
        found[shift, "events"] = float(patients["p"].min())
    assert found[3.0] > 0.05 > found[0.0]
    assert found[3.0, "events"] > found[0.0, "events"]


def test_every_kind_is_reconciled_with_a_clock() -> None:
    spec, evidence = world(immortal_time={"prior": half_normal(2.0)}, clock_shift={"prior": half_normal(2.0)})
    fixed = world(immortal_time={"value": {"value": 0.9, **WHY}}, clock_shift={"value": {"value": 1.3, **WHY}})
    drawn = posteriors.result(spec, evidence, chains=1, draws=400, bias=[0.9, 1.3])
    stated = posteriors.result(*fixed, chains=1, draws=400)
    for name in stated.posterior:
        stated.posterior[name] = drawn.posterior[name]
    # of patients, a stated shift is part of the table's own times: S at another printed time is reconciled
    one, other = (table[table["kind"] != "patients"] for table in (reconcile(drawn), reconcile(stated)))
    both = one.merge(other, on=["kind", "study", "arm", "quantity"], suffixes=("", "_stated"))
    assert len(both) == len(other) == len(one) > 15
    # the same draws of the same law: predictions are equal, replicates so but for the arms' ways of drawing
    assert both["predicted"].to_numpy() == pytest.approx(both["predicted_stated"].to_numpy(), rel=1e-6)
    width = both["predicted_high_stated"] - both["predicted_low_stated"]
    assert ((both["predicted_low"] - both["predicted_low_stated"]).abs() <= 0.15 * width + 1e-9).all()


def test_the_prior_stands_beside_the_posterior_and_the_audit_says_where_it_acts() -> None:
    spec, evidence = world(clock_shift={"prior": half_normal(2.0)})
    rows = {row["parameter"]: row for row in prior_and_posterior(posteriors.result(spec, evidence))}
    assert rows["bias[clock_shift]"]["prior_sd"] == pytest.approx(2.0 * np.sqrt(1 - 2 / np.pi))
    said = bias_rows(spec, evidence).iloc[0]
    # m2 states its own shift, s2 of b does not
    assert said["arms"] == "c1; l1; m1; p1; r1; s1; s2"
    assert "prior half_normal" in said["size"]
    assert said["source"] == TIMES
    assert why_not(prepare(spec, evidence)) is None


@pytest.mark.slow
def test_what_cannot_tell_a_clock_is_said() -> None:
    lone = {"arms": [{"study": "m", "arm": "x", "treatment": "a", "endpoint": "os", "n": 40}]}
    median = {"study": "m", "arm": "x", "endpoint": "os", "median": 9.0}
    spec = worlds.spec(bias={"clock_shift": SHIFT})
    assert informed_by("clock_shift", spec, worlds.evidence(spec, {**lone, "medians": [median]})) == PRIOR_ONLY
    memoryless, evidence = world("exponential", clock_shift={"prior": half_normal(2.0)})
    assert informed_by("clock_shift", memoryless, evidence) == PRIOR_ONLY


def test_a_study_left_out_is_predicted_on_its_own_clock() -> None:
    spec, evidence = of_one_arm("clock_shift", half_normal(3.0))
    result = posteriors.result(spec, evidence, chains=1, draws=3, bias=[2.0])
    alone = StudyRows(result, "s").log_density(np.zeros((3, 0)))
    whole = pointwise_log_likelihood(result.predictors)["patients"].to_numpy()[0].sum(axis=1)
    assert alone == pytest.approx(whole, abs=1e-10)


# ------------------------------------------------------------------------------------------------ refusals

SHIFT = {"prior": half_normal(1.0), "treatments": ["a"]}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"bias": {"clock_shift": {**SHIFT, "prior": normal(1.0)}}}, "found normal; allowed: a prior on times of 0"),
    ({"bias": {"clock_shift": {"prior": half_normal(1.0)}}}, "give treatments or acts_on"),
    (families.changes("mspline", bias={"clock_shift": SHIFT}), "beside hazard.family = mspline"),
    ({"evidence__background": "x", "bias": {"immortal_time": SHIFT}}, "found beside evidence.background"),
    (
        {"bias": {"clock_shift": {"prior": half_normal(1.0), "acts_on": [{"study": "m2", **WHY}]}}},
        "whose clock_shift is 1.5",
    ),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_what_cannot_be_is_refused_with_what_can(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        worlds.evidence(worlds.spec(**changes), worlds.TABLES)
    assert words in str(caught.value)


@pytest.mark.slow
def test_rows_that_no_time_can_be_before_are_refused() -> None:
    spec = worlds.spec(bias={"immortal_time": {**SHIFT, "treatments": ["a"]}})
    from_zero = [{**REGISTRY[0], "start": 0.0}]
    with pytest.raises(InputError, match="a row begins at time 0"):
        worlds.evidence(spec, {**TABLES, "registry": from_zero})
    free = worlds.spec(effects__study={"exchangeable": False}, bias={"clock_shift": SHIFT})
    timeless = [{**row, "time": None} for row in worlds.TABLES["counts"]]
    with pytest.raises(InputError, match="a count without a time in an arm"):
        worlds.evidence(free, {**worlds.TABLES, "counts": timeless})
