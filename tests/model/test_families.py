"""Every family through the whole: density in the graph and in numpy, ratios over follow-up, answers, checks, errors."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize

import bayes_bm as bb
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.replicates import arm_curves, replicated_arms
from bayes_bm.estimands import quadrature
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.population import population
from bayes_bm.estimands.quadrature import Population
from bayes_bm.hazards import FAMILIES, Family
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.prior_result import prior_result, with_even_knots
from bayes_bm.model import likelihoods
from bayes_bm.model.baseline_hazard import family_of, with_knots
from bayes_bm.model.pymc_graph.build import build_model
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from tests.builders import families, graphs, posteriors, worlds
from tests.builders.graphs import evaluated, slopes, terms, values_at
from tests.builders.worlds import half_normal, normal
from tests.paths import GOLDEN as NUMBERS
from tests.paths import LIFELINES

GOLDEN = json.loads((NUMBERS / "survreg_families.json").read_text(encoding="utf-8"))
EVERY = [*FAMILIES, "weibull+cure", "lognormal+cure", "mspline+cure"]
FREE = {"exchangeable": False}
CASES: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in EVERY} | {
    "mspline, free in each study": ("mspline", {"effects__study_shape": FREE}),
    "mspline, walks by study and treatment": (
        "mspline",
        {"effects__study_shape": {"sd": half_normal(0.4)}, "priors__treatment_smooth_sd": half_normal(0.5)},
    ),
    "piecewise+cure, a walk by treatment": ("piecewise+cure", {"priors__treatment_smooth_sd": half_normal(0.5)}),
    "lognormal, shape by treatment": ("lognormal", {"priors__treatment_log_shape": normal(0.3)}),
    "weibull, shape by treatment": ("weibull", {"priors__treatment_log_shape": normal(0.3)}),
}


def of_case(case: str):
    name, more = CASES[case]
    spec = families.spec(name, **more)
    return spec, families.evidence(spec)


QUICK = ("weibull_aft",)
SLOW = [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW)
def test_pointwise_log_likelihood_is_the_models(case: str) -> None:
    """The same formulas through PyTensor and through numpy, from the model's own parameters."""
    spec, evidence = of_case(case)
    model = build_model(spec, evidence)
    rng = np.random.default_rng(1)
    point = {name: value + 0.2 * rng.standard_normal(np.shape(value)) for name, value in graphs.start(model).items()}
    logps = dict(
        zip(
            [variable.name for variable in model.observed_RVs],
            evaluated(model, [terms(model)[str(one.name)] for one in model.observed_RVs], point),
            strict=True,
        )
    )
    found = values_at(model, point)
    made = families.result(spec, evidence, chains=1, draws=1)
    posterior = made.posterior.copy()
    for name in posterior.data_vars:
        posterior[name].values[0, 0] = found[str(name)]
    numpy_terms = pointwise_log_likelihood(type(made)(**{**made.__dict__, "posterior": posterior}).predictors)
    for name, values in logps.items():
        ours = numpy_terms[name].to_numpy()[0, 0]
        if name == "hazard_ratios":
            assert float(np.sum(values)) == pytest.approx(float(ours.sum()), rel=1e-9)
        else:
            np.testing.assert_allclose(values, ours, rtol=1e-9, atol=1e-9)
    if case in QUICK:
        # that of every family by itself is in tests/hazards: finite at the corners of its formula
        assert np.isfinite(slopes(model, point)).all()


@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW)
def test_answers_and_checks_know_every_family(case: str) -> None:
    spec, evidence = of_case(case)
    if spec.free_shapes:
        return
    result = families.result(spec, evidence)
    table = compare(result, who=bb.NewHospital())
    assert table["median"].notna().all()
    ratios = (
        {"hazard_ratio", "log_hazard_ratio"}
        if result.inputs.family.effect == "hazard"
        else {"time_ratio", "log_time_ratio"}
    )
    assert ratios <= set(table["estimand"])
    assert not (ratios ^ {"hazard_ratio", "log_hazard_ratio", "time_ratio", "log_time_ratio"}) & set(table["estimand"])
    rows = reconcile(result)
    assert rows["predicted"].notna().all()
    arm = next(iter(replicated_arms(result, np.random.default_rng(1))))
    assert ((arm.replicate.survival >= 0) & (arm.replicate.survival <= 1)).all()
    curves = arm_curves(result, [3.0, 12.0]).to_numpy()
    assert (curves[..., 1] <= curves[..., 0]).all()
    assert ((curves > 0) & (curves <= 1)).all()
    compared = bb.survival(result, [6.0, 12.0], who=bb.NewStudy())
    assert np.isfinite(compared.to_numpy()).all()
    # what `prior_predictive` compares; that it compares these is in tests/checks/test_checks.py
    prior = prior_result(with_even_knots(spec), draws=4)
    assert np.isfinite(bb.survival(prior, [6.0, 12.0], who=bb.NewStudy()).to_numpy()).all()


@pytest.mark.parametrize("who", [bb.AverageStudy(), bb.NewHospital()])
def test_a_time_ratio_stretches_every_quantile(who: Any) -> None:
    spec, evidence = of_case("gengamma")
    result = families.result(spec, evidence)
    ratio = bb.time_ratio(result, who=who).to_numpy()
    for q in (0.2, 0.7):
        times = bb.quantile(result, q, who=who).to_numpy()
        np.testing.assert_allclose(times / times[..., :1], ratio, rtol=1e-8)
    with pytest.raises(InputError, match=r"found hazard\.family = weibull, of proportional hazards"):
        bb.time_ratio(families.result(*of_case("weibull")))


# --------------------------------------------------------------------------------------------- ratios over follow-up


def follow_up(family: Family, followup: np.ndarray) -> Any:
    """What the average of a log hazard ratio reads of the follow-up (row,)."""
    log_node, log_step = likelihoods.followup_nodes(followup)
    return SimpleNamespace(
        log_followup=np.log(followup), log_node=log_node, log_node_placed=family.place(log_node), log_step=log_step
    )


@pytest.mark.slow
def test_the_ratio_over_followup_of_400_unlike_weibull_pairs() -> None:
    """By Simpson's rule in log time; shapes differ up to sevenfold (32 nodes in v^4 erred by 0.016)."""
    rng, family = np.random.default_rng(0), FAMILIES["weibull"]
    eta, log_k = rng.normal(0, 1.2, (2, 400)), rng.normal(0, 0.5, (2, 400))
    followup = rng.choice([0.5, 1.0, 2.5, 5.0, 10.0], 400)
    wanted = np.empty(400)
    for pair, (level, shape, end) in enumerate(
        zip(eta.T[..., None], np.exp(log_k).T[..., None], followup, strict=True)
    ):
        log_u = np.log(end) + np.linspace(-45 / shape.min(), 0, 20_001)
        log_density = np.log(shape) + level + shape * log_u - np.exp(level + shape * log_u)
        weight = np.exp(log_density).sum(axis=0)
        log_hr = np.diff(np.log(shape) + level + shape * log_u, axis=0)[0] * -1
        wanted[pair] = integrate.simpson(log_hr * weight, x=log_u) / integrate.simpson(weight, x=log_u)
    arms = tuple(eta), tuple(log_k[..., None])
    data = follow_up(family, followup)
    np.testing.assert_allclose(likelihoods.event_weighted_log_hr(family, data, *arms, xp=NUMPY), wanted, atol=1e-9)
    by_rule = replace(family, event_weighted_log_hr=None)
    np.testing.assert_allclose(likelihoods.event_weighted_log_hr(by_rule, data, *arms, xp=NUMPY), wanted, atol=1e-4)


def test_the_ratio_over_followup_stays_finite_where_none_or_all_have_died() -> None:
    family = FAMILIES["weibull"]
    eta = (np.array([-900.0, 40.0, -900.0]), np.array([-880.0, 60.0, 60.0]))
    shape = (np.array([[0.3], [0.3], [0.1]]), np.array([[-0.2], [-0.2], [0.2]]))
    found = likelihoods.event_weighted_log_hr(family, follow_up(family, np.full(3, 2.0)), eta, shape, xp=NUMPY)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", ["weibull", "weibull_aft", "lognormal", "gompertz", "mspline", "weibull+cure"])
def test_a_ratio_over_followup_is_the_integral_of_its_definition(name: str) -> None:
    """Integral of log(h_a / h_b) f over that of f by adaptive quadrature, for arms unlike in level and in shape."""
    family = family_of(families.spec(name))
    shapes = [np.full(family.width, 0.2), np.full(family.width, 0.2)]
    shapes[0][-1] += 0.4
    if name == "mspline":
        shapes = [np.linspace(0, 1, family.width), np.linspace(0, -0.5, family.width)]
    etas = (0.3, -0.2)
    followup = 1.8

    def log_h(u: float, arm: int) -> float:
        return float(family.log_hazard(family.place(np.log(u)), etas[arm], shapes[arm], xp=NUMPY))

    def density(u: float, arm: int) -> float:
        cum = family.log_cum_hazard(family.place(np.log(u)), etas[arm], shapes[arm], xp=NUMPY)
        return float(np.exp(log_h(u, arm) - np.exp(cum)))

    def both(u: float) -> float:
        return (density(u, 0) + density(u, 1)) / 2

    options: dict[str, Any] = {"points": [4 / 12, 9 / 12, 15 / 12], "epsabs": 1e-12, "epsrel": 1e-11, "limit": 400}
    above, _ = integrate.quad(lambda u: (log_h(u, 0) - log_h(u, 1)) * both(u), 0, followup, **options)
    below, _ = integrate.quad(both, 0, followup, **options)
    found = likelihoods.event_weighted_log_hr(
        family,
        follow_up(family, np.array([followup])),
        tuple(np.array([eta]) for eta in etas),
        tuple(shape[None, :] for shape in shapes),
        xp=NUMPY,
    )
    assert float(found[0]) == pytest.approx(above / below, rel=1e-5 if name == "mspline" else 1e-8)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.effect == "hazard"])
def test_under_proportional_hazards_it_is_the_log_hazard_ratio_exactly(name: str) -> None:
    family = family_of(families.spec(name))
    data = follow_up(family, np.array([0.4, 2.5]))
    shape = np.broadcast_to(np.linspace(0, 0.5, family.width), (2, family.width))
    eta = np.array([0.1, 0.4])
    found = likelihoods.event_weighted_log_hr(family, data, (eta - 0.7, eta), (shape, shape), xp=NUMPY)
    np.testing.assert_allclose(found, -0.7, atol=1e-14)


def test_a_steady_shape_makes_the_ratio_over_followup_the_model_without_it() -> None:
    """With treatment_log_shape at zero both models have the same means behind their ratios."""
    plain, shaped = of_case("weibull"), of_case("weibull, shape by treatment")
    one, other = families.result(*plain), families.result(*shaped)
    posterior = other.posterior.assign(treatment_log_shape=0 * other.posterior["treatment_log_shape"])
    posterior = posterior.assign({name: one.posterior[name] for name in one.posterior.data_vars})
    other = type(other)(**{**other.__dict__, "posterior": posterior})
    np.testing.assert_allclose(other.predictors.ratio_means, one.predictors.ratio_means, atol=1e-13)


# ------------------------------------------------------------------------------------------------- knots


def test_knots_follow_the_events_and_are_written_into_the_spec() -> None:
    spec = families.spec("mspline", hazard={"family": "mspline", "knots": 3})
    evidence = families.evidence(spec)
    stated = with_knots(spec, evidence)
    events = evidence.patients[evidence.patients["event"] > 0]["time"].to_numpy()
    assert len(stated.hazard.knots) == 3
    assert stated.hazard.end == events.max()
    assert with_knots(stated, evidence) == stated
    assert family_of(spec, evidence).knots == family_of(stated).knots
    with pytest.raises(InputError, match="found knots that follow from the evidence, which is not here"):
        family_of(spec)
    many = families.spec("mspline", hazard={"family": "mspline", "knots": 30})
    with pytest.raises(InputError, match=r"found 30 knots for .* distinct times in the evidence; allowed: fewer knots"):
        family_of(many, evidence)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["mspline", "piecewise"])
def test_priors_of_a_flexible_baseline_claim_something_without_evidence(family: str) -> None:
    plain = families.spec(family, hazard={"family": family})
    even = with_even_knots(plain)
    assert even.hazard.end == plain.horizon
    assert even.hazard.knots == pytest.approx(plain.horizon * np.arange(1, 8) / 8)
    assert with_even_knots(even) == even
    assert with_even_knots(families.spec(family, hazard={"family": family, "end": 40.0})).hazard.knots[0] == 5.0

    def drawn(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
        """S at the answer times, and log h(end) - log h(0)."""
        result, reference = prior_result(with_even_knots(spec), draws=2000), spec.treatments.reference
        who = bb.AverageStudy()
        alive = bb.survival(result, spec.answer_times, who=who).sel(treatment=reference)
        log_h = np.log(bb.hazard(result, [1e-6, spec.horizon], who=who).sel(treatment=reference).to_numpy()[0])
        return alive.to_numpy()[0], log_h[:, 1] - log_h[:, 0]

    found, rise = drawn(plain)
    other, other_rise = drawn(families.spec(family, hazard={"family": family, "knots": 3}))
    # S(t0) = exp(-exp(intercept)) whatever the walk; other knots change its law elsewhere only a little
    at_t0 = np.exp(-np.exp(prior_result(even, draws=2000).posterior["intercept"].to_numpy()[0]))
    np.testing.assert_allclose(found[:, plain.answer_times.index(plain.reference_time)], at_t0, rtol=1e-12)
    assert found.mean(axis=0) == pytest.approx(other.mean(axis=0), abs=0.004)
    assert found.std(axis=0) == pytest.approx(other.std(axis=0), abs=0.004)
    # the root mean square of smooth_sd; pieces have half a step less at both ends
    assert [rise.std(), other_rise.std()] == pytest.approx([1.0, 1.0], abs=0.15)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("lognormal", {"priors__log_hr": normal(1.0)}, "priors.log_hr: lognormal is an accelerated-time.*log_time_ratio"),
    ("lognormal", {"priors__log_time_ratio": None}, "priors.log_time_ratio: this key is required"),
    ("weibull", {"priors__log_time_ratio": normal(1.0)}, "weibull is a proportional-hazards.*give priors.log_hr"),
    ("gengamma", {"priors__q": None}, "priors.q: this key is required"),
    ("exponential", {"priors__log_shape": normal(1.0)}, "exponential has no shape parameter; leave it out"),
    ("lognormal", {"priors__log_shape": normal(1.0)}, "lognormal has the shape parameters log_sd; leave it out"),
    ("weibull", {"priors__logit_cure": normal(1.0)}, "leave it out; it is for hazard.cure = true"),
    ("weibull+cure", {"priors__logit_cure": None}, "priors.logit_cure: this key is required.*hazard.cure = true"),
    ("mspline", {"priors__smooth_sd": None}, "priors.smooth_sd: this key is required"),
    ("weibull", {"priors__smooth_sd": half_normal(1.0)}, "weibull has no knots to smooth over"),
    ("weibull", {"hazard": {"family": "weibull", "knots": 4}}, "knots: for piecewise and mspline only"),
    ("mspline", {"hazard": {"family": "mspline", "knots": [3.0, 2.0]}}, "allowed: rising times, all before `end`"),
    ("mspline", {"priors__treatment_log_shape": normal(1.0)}, "mspline has no single shape parameter.*weibull"),
    ("exponential", {"effects__study_shape": {"sd": half_normal(0.2)}}, "exponential has no shape parameter"),
    ("weibull", {"priors__treatment_smooth_sd": half_normal(0.2)}, "weibull has no knots for treatments to differ at"),
    ("mspline", {"priors__treatment_smooth_sd": normal(1.0)}, "needs a prior on positive numbers; found normal"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "message"), WRONG)
def test_what_a_family_does_not_have_is_refused_with_what_it_has(name: str, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        families.spec(name, **change)


# ------------------------------------------------------------------------------------------------- R's fits


def gbsg2() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with (LIFELINES / "gbsg2.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    time, event = (np.array([float(row[name]) for row in rows]) for name in ("time", "cens"))
    return time, event, np.array([row["horTh"] == "yes" for row in rows], dtype=float)


R_NAMES = {
    "exponential_aft": ("exponential", lambda sigma: []),
    "weibull_aft": ("weibull", lambda sigma: [-np.log(sigma)]),
    "lognormal": ("lognormal", lambda sigma: [np.log(sigma)]),
    "loglogistic": ("loglogistic", lambda sigma: [-np.log(sigma)]),
}


@pytest.mark.parametrize("name", R_NAMES)
def test_maximum_likelihood_is_rs_survreg(name: str) -> None:
    """Log-likelihood at R's estimate, and the maximum of our density found by scipy."""
    golden, (time, event, treated) = GOLDEN[R_NAMES[name][0]], gbsg2()
    t0, family = 1000.0, FAMILIES[name]

    def log_likelihood(x: np.ndarray) -> float:
        eta, shape = x[0] + x[1] * treated, x[2:]
        log_u = np.log(time / t0)
        log_cum = family.log_cum_hazard(log_u, eta, shape, xp=NUMPY)
        log_h = family.log_hazard(log_u, eta, shape, xp=NUMPY) - np.log(t0)
        return float((event * log_h - np.exp(log_cum)).sum())

    at_r = np.array([golden["mu"] - np.log(t0), golden["b"], *R_NAMES[name][1](golden["sigma"])])
    assert log_likelihood(at_r) == pytest.approx(golden["loglik"], rel=1e-10)
    found = optimize.minimize(lambda x: -log_likelihood(x), np.zeros(len(at_r)), method="Nelder-Mead",
                              options={"xatol": 1e-9, "fatol": 1e-10, "maxiter": 4000})  # fmt: skip
    assert -found.fun == pytest.approx(golden["loglik"], rel=1e-10)
    np.testing.assert_allclose(found.x, at_r, atol=1e-4)


@pytest.mark.slow
def test_population_of_a_free_spline_is_the_studys_own() -> None:
    spec, evidence = of_case("mspline, free in each study")
    result = families.result(spec, evidence)
    study = result.inputs.design.studies[0]
    of = population(result, bb.Study(study))
    own = result.posterior["study_log_coefficient"].sel(study=study).to_numpy().reshape(-1, of.shape.shape[-1] - 1)
    np.testing.assert_allclose(of.shape[:, 0, 1:], own)
    again = Population(of.family, of.reference_time, of.eta, of.shape, of.eta_sd, of.shape_sd)
    assert (np.diff(quadrature.survival(again, np.array([3.0, 12.0, 40.0])), axis=-1) < 0).all()
    with pytest.raises(InputError, match="found a spec with free study levels or shapes"):
        bb.survival(result, [12.0])
    assert posteriors.PASSED.passed
    assert worlds.TABLES
