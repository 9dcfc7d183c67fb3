"""Arms averaged over their mix of patients, printed or not: slow twin, exact cells, quadrature, turned codes."""

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import integrate, stats

from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.study_likelihood import StudyRows, integrated_log_density
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.mixes import arm_mix_table
from bayes_bm.estimands.quantities import survival
from bayes_bm.estimands.who import AverageStudy, NewHospital, NewStudy, Patient
from bayes_bm.evidence.audit import audit
from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.model.covariates.arm_mixes import arm_mixes, printed_log_density, share_log_density
from bayes_bm.model.model_inputs import prepare
from bayes_bm.model.pymc_graph.build import build_graph
from bayes_bm.runtime.errors import InputError
from tests.builders import graphs, posteriors, worlds
from tests.builders.graphs import (
    as_parameters,
    evaluated,
    log_density,
    random_point,
    slopes_of,
    terms,
    total,
    values_at,
)
from tests.builders.laws import normal_density
from tests.builders.worlds import half_normal, normal
from tests.witness import slow_twin

MIX = {"mean": normal(0.7, 0.3), "sd": half_normal(0.7), "by_treatment": normal(0.5)}
MALE = {"prior": normal(0.5), "kind": "two_valued", "centre": 0.0, "case_mix": MIX}
KPS = {**MALE, "case_mix": {**MIX, "by_treatment": None}}
KPS["case_mix"].pop("by_treatment")
AGE = {
    "prior": normal(0.5),
    "kind": "continuous",
    "centre": 60.0,
    "scale": 10.0,
    "case_mix": {"mean": normal(5.0, 61.0), "sd": half_normal(4.0), "within_sd": half_normal(12.0)},
}
COVARIATES = {"male": MALE, "kps": KPS, "age": AGE}
PRINTED: dict[tuple[str, str], dict[str, float]] = {
    ("s1", "x"): {"share_male": 0.4, "share_kps": 0.75, "mean_age": 58.0, "sd_age": 9.0},
    ("s1", "y"): {"share_male": 0.6},
    ("m1", "x"): {"share_kps": 0.5, "n_kps": 20},
    ("m2", "x"): {"mean_age": 63.0},
    ("c1", "x"): {"share_male": 1.0, "share_kps": 0.9},
}
ARMS = [{**row, **PRINTED.get((row["study"], row["arm"]), {})} for row in worlds.TABLES["arms"]]
TABLES = {**worlds.TABLES, "arms": ARMS, "hazard_ratios": []}


def world(covariates: dict[str, Any] = COVARIATES, tables: dict[str, Any] = TABLES, **more: Any):
    spec = worlds.spec(covariates=covariates, **more)
    return spec, worlds.evidence(spec, tables)


@cache
def graph() -> "Graph":
    """A world with its graph, made once."""
    spec, evidence = world()
    return Graph(spec, evidence, graphs.model_of(spec, evidence))


class Graph(NamedTuple):
    spec: Any
    evidence: Any
    model: Any

    @property
    def data(self) -> list[Any]:
        """Variables and potentials that evidence informs."""
        return [*self.model.observed_RVs, *self.model.potentials]

    def at(self, point: dict[str, np.ndarray]) -> dict[str, Any]:
        """Densities by name: of every kind of evidence, and of what is printed of a mix."""
        names = [str(one.name) for one in self.data]
        made = terms(self.model, jacobian=False)
        return dict(zip(names, evaluated(self.model, [made[name] for name in names], point), strict=True))

    def whole(self, point: dict[str, np.ndarray]) -> float:
        """The density of all of them."""
        return log_density(self.model, point, self.data, jacobian=False)

    def slopes(self, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Of that density, by the names of some parameters."""
        values = [one for one in self.model.value_vars if str(one.name).startswith(SLOPED)]
        found = slopes_of(total(self.model, self.data, jacobian=False), values, point)
        return {str(one.name): slope for one, slope in zip(values, found, strict=True)}


SLOPED = ("mix", "case_mix", "coefficient", "intercept")


def posterior(spec: Any, evidence: Any, draws: int = 6) -> Any:
    """A posterior by hand, with mixes that are not printed at random."""
    result = posteriors.result(spec, evidence, draws=draws)
    rng, mixes = np.random.default_rng(5), arm_mixes(spec, evidence)
    assert mixes is not None
    size = (2, draws)
    drawn = np.where(mixes.two_valued, rng.uniform(0.1, 0.9, (*size, *mixes.printed.shape)), 0.0)
    drawn = np.where(mixes.two_valued, drawn, rng.normal(61, 5, drawn.shape))
    values = np.where(np.isfinite(mixes.printed), mixes.printed, drawn)
    continuous = int((~mixes.two_valued).sum())
    more = {
        "case_mix": (("chain", "draw", "case_mix_arm", "covariate"), values),
        "case_mix_within": (("chain", "draw", "spread_covariate"), rng.uniform(6, 12, (*size, continuous))),
    }
    return replace(result, posterior=result.posterior.assign(more), stored_log_likelihood=None)


def twin_parameters(spec: Any, evidence: Any, found: dict[str, np.ndarray], shape: Any) -> dict[str, Any]:
    mixes = arm_mixes(spec, evidence)
    assert mixes is not None
    keys = list(zip(evidence.arms["study"], evidence.arms["arm"], strict=True))
    spread = np.nan_to_num(mixes.within, nan=float(found["case_mix_within"][0]))
    named = {
        name: {key: dict(zip(COVARIATES, map(float, row), strict=True)) for key, row in zip(keys, rows, strict=True)}
        for name, rows in (("case_mix", found["case_mix"]), ("case_mix_spread", spread))
    }
    return as_parameters(found, spec, shape) | named


@pytest.mark.slow
def test_every_kind_of_evidence_has_the_density_of_the_slow_twin() -> None:
    whole = graph()
    spec, evidence, model = whole.spec, whole.evidence, whole.model
    inputs = prepare(spec, evidence)
    point = random_point(model, 4)
    found = values_at(model, point)
    parameters = twin_parameters(spec, evidence, found, inputs.design)
    document = worlds.document(covariates=COVARIATES)
    # the twin has no default for lesions
    document["evidence"] = {"icc": {"value": spec.evidence.icc.value, "why": "default"}}
    witness = slow_twin.log_likelihood(document, TABLES, parameters)
    names = {
        "patients": ("patients_averaged",),
        "points": ("points",),
        "medians": ("medians", "median_intervals", "medians_not_reached"),
        "counts": ("counts",),
    }
    ours = whole.at(point)
    for kind, several in names.items():
        expected = float(slow_twin.mp.fsum(witness[kind]))
        assert sum(float(np.sum(ours[one])) for one in several) == pytest.approx(expected, rel=1e-8), kind


@pytest.mark.slow
def test_printed_shares_and_means_have_the_density_of_the_slow_twin() -> None:
    whole = graph()
    spec, evidence, model = whole.spec, whole.evidence, whole.model
    point = random_point(model, 5)
    found = values_at(model, point)
    mixes = arm_mixes(spec, evidence)
    assert mixes is not None
    names, by = list(COVARIATES), dict(zip(spec.treatments.names, found["case_mix_by_treatment"], strict=True))
    expected = dict.fromkeys(names, 0.0)
    for arm in evidence.arms.to_dict("records"):
        for column, name in enumerate(names):
            location = found["case_mix_mean"][column] + (by[arm["treatment"]] if name == "male" else 0.0)
            sd = found["case_mix_sd"][column]
            printed = arm.get("mean_age") if name == "age" else arm.get(f"share_{name}")
            if printed is None or np.isnan(printed):
                continue
            if name == "kps" and arm["study"] == "m1":
                row = list(zip(evidence.arms["study"], evidence.arms["arm"], strict=True)).index(("m1", "x"))
                share = found["case_mix"][row, column]
                expected[name] += float(slow_twin.share_term(10, 20, np.log(share / (1 - share))))
                continue
            spread = arm["sd_age"] if np.isfinite(arm["sd_age"]) else found["case_mix_within"][0]
            document = worlds.document(covariates=COVARIATES)
            expected[name] += float(slow_twin.printed_mix_term(document, arm, name, location, sd, spread))
    ours = whole.at(point)
    for name in names:
        assert float(ours[f"case_mix_printed_{name}"]) == pytest.approx(expected[name], rel=1e-7), name


@pytest.mark.slow
def test_the_gradient_is_that_of_finite_differences() -> None:
    whole, step = graph(), 1e-5
    point = random_point(whole.model, 6)
    slopes = whole.slopes(point)
    for name, slope in slopes.items():
        both = []
        for sign in (1, -1):
            moved = np.array(point[name], dtype=float)
            moved.reshape(-1)[0] += sign * step
            both.append(whole.whole({**point, name: moved}))
        assert np.isfinite(slope).all()
        assert np.ravel(slope)[0] == pytest.approx((both[0] - both[1]) / (2 * step), rel=1e-5, abs=1e-5), name
    assert len(slopes) == 13


DELAYED = {"survived_to", "clock_shift"}
"""Columns of arms that averaged arms of before refuse."""


@pytest.mark.slow
def test_all_shares_printed_is_the_average_over_exact_cells_of_before() -> None:
    """Eight equal points are the cells of shares of a quarter and a half, so today's averaged arms are exact."""
    plain = {name: {"prior": normal(0.5), "centre": 0.0} for name in ("male", "kps")}
    arms = [{**row, "share_male": 0.25, "share_kps": 0.5} for row in worlds.TABLES["arms"] if not DELAYED & row.keys()]
    keys = {(row["study"], row["arm"]) for row in arms}
    tables = {
        kind: [row for row in rows if (row["study"], row.get("arm")) in keys] for kind, rows in worlds.TABLES.items()
    }
    tables |= {"arms": arms, "patients": [row for row in tables["patients"] if "entry" not in row]}
    spec = worlds.spec(covariates=plain, integration={"points": 8, "correlation": []})
    evidence = worlds.evidence(spec, tables)
    cells = np.array([(float(male == 3), float(kps)) for male in range(4) for kps in range(2)])
    points = np.broadcast_to(cells, (len(evidence.arms), 8, 2))
    old = build_graph(prepare(spec, evidence, points_of_whole=points))
    mixed = worlds.spec(covariates={"male": MALE, "kps": KPS})
    new = graphs.model_of(mixed, worlds.evidence(mixed, tables))
    point = random_point(new, 3)
    shared = {str(one.name): point[str(one.name)] for one in old.value_vars}
    names = [str(one.name) for one in old.observed_RVs]
    assert names == [str(one.name) for one in new.observed_RVs]
    both = [
        evaluated(model, [terms(model, jacobian=False)[name] for name in names], at)
        for model, at in ((old, shared), (new, point))
    ]
    for name, one, other in zip(names, *both, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.slow
def test_an_arm_is_the_average_of_its_patients_at_each_draw() -> None:
    spec, evidence = world({"male": MALE, "kps": KPS})
    result = posterior(spec, evidence)
    mixes, predictors = result.inputs.arm_mixes, result.predictors
    assert mixes is not None
    time = np.log(np.array([1.0, 6.0, 24.0]) / 12)[:, None, None]
    arms = predictors.arms
    curve = np.exp(-np.exp(arms.family.log_cum_hazard(time, arms.eta, arms.shape, xp=NUMPY)))
    base, total = predictors.at_centres, 0.0
    rows = np.arange(len(evidence.arms))
    for male in (0, 1):
        for kps in (0, 1):
            share = np.abs(1 - male - predictors.draws.mix[..., 0]) * np.abs(1 - kps - predictors.draws.mix[..., 1])
            eta = base.eta + predictors.shifts(rows, np.tile([float(male), float(kps)], (len(rows), 1)))
            total = total + share * np.exp(-np.exp(base.family.log_cum_hazard(time, eta, base.shape, xp=NUMPY)))
    np.testing.assert_allclose(curve, total, rtol=1e-10)


@pytest.mark.parametrize("width", [0.2, 0.6, 1.0])
def test_continuous_covariates_are_integrated_to_eight_digits(width: float) -> None:
    """An arm of one continuous covariate whose coefficient times spread is `width`, against adaptive quadrature."""
    spec, evidence = world({"age": AGE})
    result = posterior(spec, evidence)
    draws = result.predictors.draws
    size = draws.mix.shape
    wide = replace(
        draws,
        coefficient=np.full((draws.samples, 1), width * 10 / 8),
        mix=np.full(size, 60.0),
        mix_within=np.full((draws.samples, 1), 8.0),
    )
    arms = replace(result.predictors, draws=wide).arms
    row = list(zip(evidence.arms["study"], evidence.arms["arm"], strict=True)).index(("m1", "x"))
    eta, shape = arms.eta[0, row], arms.shape[0, row]
    for log_u in np.log([0.05, 1.0, 4.0]):
        power = np.exp(shape[0]) * log_u + eta

        def alive(z: float, power: float = power) -> float:
            return normal_density(z) * np.exp(-np.exp(power + width * z))

        exact, _ = integrate.quad(alive, -12, 12, epsabs=1e-14, epsrel=1e-13, limit=400)
        found = arms.family.log_cum_hazard(np.array(log_u), np.array(eta), shape, xp=NUMPY)
        assert np.exp(-np.exp(found)) == pytest.approx(exact, abs=1e-8)


@pytest.mark.slow
def test_several_continuous_covariates_are_one_normal_number() -> None:
    other = {**AGE, "centre": 2.0, "scale": 1.0}
    spec, evidence = world({"age": AGE, "size": other})
    result = posterior(spec, evidence)
    predictors, row = result.predictors, 2
    mixes = result.inputs.arm_mixes
    assert mixes is not None and mixes.count == 40
    rng = np.random.default_rng(1)
    draws = predictors.draws
    spread = np.nan_to_num(mixes.within[row], nan=0.0) + np.where(np.isnan(mixes.within[row]), draws.mix_within[0], 0.0)
    x = draws.mix[0, row] + spread * rng.standard_normal((400_000, 2))
    offsets = ((x - [60.0, 2.0]) / [10.0, 1.0]) @ draws.coefficient[0]
    weight = np.exp(predictors.point_log_weights[0, row])
    ours = np.array([weight @ predictors.point_offsets[0, row] ** power for power in (1, 2)])
    exact = np.array([np.mean(offsets), np.mean(offsets**2)])
    np.testing.assert_allclose(ours, exact, rtol=0.02)


@pytest.mark.slow
def test_a_coefficient_of_zero_leaves_arms_at_the_centres_and_gradients_finite() -> None:
    whole = graph()
    point = random_point(whole.model, 7)
    for name in COVARIATES:
        point[f"coefficient_{name}"] = np.zeros(())
    assert all(np.isfinite(slope).all() for slope in whole.slopes(point).values())
    result = posterior(whole.spec, whole.evidence)
    still = replace(result.predictors.draws, coefficient=np.zeros_like(result.predictors.draws.coefficient))
    predictors = replace(result.predictors, draws=still)
    time = np.array(0.3)
    ours = predictors.arms.family.log_cum_hazard(time, predictors.arms.eta, predictors.arms.shape, xp=NUMPY)
    base = predictors.at_centres
    np.testing.assert_allclose(ours, base.family.log_cum_hazard(time, base.eta, base.shape, xp=NUMPY), atol=1e-11)


def turned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "share_male": 1 - row["share_male"]} if "share_male" in row else row for row in rows]


@pytest.mark.slow
def test_coding_turned_round_and_other_orders_have_the_same_density() -> None:
    symmetric = {**MALE, "case_mix": {**MIX, "mean": normal(0.7)}}
    spec, evidence = world({"male": symmetric})
    one = graphs.model_of(spec, evidence)
    point = random_point(one, 8)
    density = log_density(one, point)
    assert np.isfinite(density)
    round_spec, round_evidence = world(
        {"male": {**symmetric, "centre": 1.0}}, {**TABLES, "arms": turned(ARMS)[::-1], "points": TABLES["points"][::-1]}
    )
    other = graphs.model_of(round_spec, round_evidence)
    mirrored = {"coefficient_male", "mix_mean_male", "mix_by_male", "case_mix_standard"}
    again = {name: -value if name in mirrored else value for name, value in point.items()}
    assert log_density(other, again) == pytest.approx(density, rel=1e-11)


@pytest.mark.parametrize(("share", "n"), [(0.0, 30), (0.5, 8), (0.93, 150), (1.0, 600)])
@pytest.mark.parametrize("sd", [1e-6, 0.3, 1.5])
def test_a_printed_share_is_integrated_over_the_population_of_arms(share: float, n: int, sd: float) -> None:
    arms = [{**row, "share_male": share, "n": n} if row["study"] == "m1" else row for row in worlds.TABLES["arms"]]
    spec, evidence = world({"male": MALE}, {**TABLES, "arms": arms})
    mixes = arm_mixes(spec, evidence)
    assert mixes is not None
    location = np.full((1, len(arms)), 0.4)
    ours = printed_log_density(mixes, 0, location, np.array([[sd]]), np.zeros((1, len(arms))), xp=NUMPY)

    def joint(z: float) -> float:
        logit = np.array(0.4 + sd * z)
        return float(np.exp(share_log_density(np.array(share * n), np.array(n), logit, xp=NUMPY))) * normal_density(z)

    middle = np.clip((np.log((share * n + 0.5) / (n - share * n + 0.5)) - 0.4) / sd, -12, 12)
    exact, _ = integrate.quad(joint, -14, 14, points=[middle], epsabs=0, epsrel=1e-11, limit=800)
    assert ours.shape == (1, 1)
    assert float(ours[0, 0]) == pytest.approx(np.log(exact), abs=2e-6)


def test_a_cell_of_next_to_nobody_does_not_drown_the_others() -> None:
    """A share of 1e-300 with the least hazard, where everybody else is long dead: log S and log h of the others."""
    family = AveragedOverCovariates(FAMILIES["weibull"], 2, weighted=True)
    shape = np.array([0.0, 0.0, -8.0, 0.0, np.log(1e-300)])
    for cum_hazard in (1e-12, 1e-3, 1.0, 60.0, 500.0):
        log_cum = family.log_cum_hazard(np.log(cum_hazard), np.array(0.0), shape, xp=NUMPY)
        assert float(log_cum) == pytest.approx(np.log(cum_hazard), abs=1e-12)
        log_hazard = family.log_hazard(np.log(cum_hazard), np.array(0.0), shape, xp=NUMPY)
        assert float(log_hazard) == pytest.approx(0.0, abs=1e-10)


@pytest.mark.slow
def test_a_study_left_out_has_a_mix_from_the_population_of_arms() -> None:
    """The density with level, shape, deviation and two unknown mixes integrated, against plain simulation."""
    spec, evidence = world({"male": MALE, "kps": KPS})
    result = posterior(spec, evidence)
    whole = population(result, 0.4, 0.8, -0.3)
    rows = StudyRows(whole, "m2", np.zeros(40_000, dtype=int))
    assert rows.effects == 5
    plain = rows.log_density(np.random.default_rng(2).standard_normal((40_000, 5)))
    assert integrated_log_density(whole, "m2")[0] == pytest.approx(np.log(np.mean(np.exp(plain))), abs=0.03)


def population(result: Any, mean: float, sd: float, by: float) -> Any:
    """The posterior with the population of arms at these numbers."""
    size = result.posterior.sizes["chain"], result.posterior.sizes["draw"]
    count = len(result.spec.covariates)
    more = {
        "case_mix_mean": (("chain", "draw", "covariate"), np.full((*size, count), mean)),
        "case_mix_sd": (("chain", "draw", "covariate"), np.full((*size, count), sd)),
        "case_mix_by_treatment": (("chain", "draw", "case_mix_term"), np.full((*size, 3), by)),
    }
    return replace(result, posterior=result.posterior.assign(more))


def test_mixes_are_told_beside_those_of_a_fresh_arm() -> None:
    spec, evidence = world({"male": MALE, "kps": KPS})
    table = arm_mix_table(population(posterior(spec, evidence, draws=4000), 0.4, 0.5, -0.3))
    rows = table.set_index(["study", "arm", "covariate"])
    row = rows.loc[("m2", "x", "male")]
    assert row["source"] == "not printed: prior only" and np.isnan(row["printed"])
    ends = 1 / (1 + np.exp(-(0.1 + 0.5 * stats.norm.ppf([0.025, 0.975]))))
    np.testing.assert_allclose([row["population_low"], row["population_high"]], ends, atol=0.01)
    assert rows.loc[("s1", "x", "male"), "source"] == "printed"
    few = rows.loc[("m1", "x", "kps")]
    assert (few["source"], few["printed"], few["n"]) == ("printed of few", 0.5, 20)
    np.testing.assert_allclose(rows.loc[("s1", "x", "male"), ["mean", "low", "high"]].astype(float), 0.4)


@pytest.mark.slow
def test_a_share_that_a_series_took_on_purpose_is_its_own_and_tells_of_no_other() -> None:
    kept = {"share_male": 1.0, "n_male": 0}
    rows = [row | kept if (row["study"], row["arm"]) == ("c1", "x") else row for row in ARMS]
    spec, evidence = world({"male": MALE}, {**TABLES, "arms": rows})
    mixes = arm_mixes(spec, evidence)
    assert mixes is not None
    arm = mixes.arms.index("c1 | x")
    assert mixes.printed[arm, 0] == 1.0 and not mixes.unknown[arm, 0] and not mixes.informative[arm, 0]
    sampled = arm_mixes(*world({"male": MALE}))
    assert sampled is not None and sampled.informative[arm, 0]
    telling = [one for place, one in enumerate(sampled.informative[:, 0]) if place != arm]
    assert telling == [one for place, one in enumerate(mixes.informative[:, 0]) if place != arm] and any(telling)


@pytest.mark.slow
@pytest.mark.parametrize("who", [NewStudy(), NewHospital()])
def test_a_new_study_is_the_average_over_the_arms_patients(who: Any) -> None:
    spec, evidence = world({"male": MALE, "kps": KPS})
    result = posterior(spec, evidence)
    whole = survival(result, [6.0, 12.0], who=who)
    mix, total = result.case_mix, 0.0
    for x in ([0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]):
        share = mix.weight[(mix.x == x).all(axis=1)].sum() / mix.weight.sum()
        total = total + share * survival(result, [6.0, 12.0], who=Patient({"male": x[0], "kps": x[1]}, on=who))
    np.testing.assert_allclose(whole, total, rtol=1e-7)
    rows = compare(result, who=who)
    assert rows.loc[rows["estimand"] == "hazard_ratio", "time"].notna().all()
    average = compare(result, who=AverageStudy())
    ratio = average[(average["estimand"] == "log_hazard_ratio") & (average["treatment"] == "b")]
    assert ratio["mean"].item() == pytest.approx(float(result.posterior["log_hr"].sel(treatment="b").mean()))


@pytest.mark.slow
def test_the_audit_counts_what_is_printed_and_patients_are_averaged_over_the_mix() -> None:
    spec, evidence = world()
    notes = audit(spec, evidence).notes
    assert "Case mix: 3 of 12 arms without patients' covariates print male; in the other 9 it is a parameter." in notes
    assert any(note.startswith("Case mix of arms with a delayed entry is taken as that of time zero") for note in notes)
    result = posterior(spec, evidence)
    mean, _ = result.case_mix.moments(["male"])
    assert 0.3 < mean[0] < 0.7
    predicted = reconcile(result)
    assert {"patients", "points", "medians", "counts"} == set(predicted["kind"])
    assert np.isfinite(predicted[["predicted", "predicted_low", "predicted_high"]].to_numpy(dtype=float)).all()


@pytest.mark.slow
def test_a_named_treatment_has_a_prior_of_its_own() -> None:
    named = {**MALE, "case_mix": {**MIX, "by_named": {"b": normal(0.3, 0.4)}}}
    spec, evidence = world({"male": named})
    model = graphs.model_of(spec, evidence)
    (by,) = [value for value in model.value_vars if value.name == "mix_by_male"]
    term = terms(model)[str(model.values_to_rvs[by].name)]
    ours = evaluated(model, term, {**random_point(model, 9), "mix_by_male": np.array([0.2, 0.7, -0.4])})
    np.testing.assert_allclose(ours, stats.norm.logpdf([0.2, 0.7, -0.4], [0.0, 0.4, 0.0], [0.5, 0.3, 0.5]), rtol=1e-9)


@pytest.mark.parametrize(
    ("covariates", "words"),
    [
        (
            {"male": {**MALE, "case_mix": {**MIX, "by_named": {"x": normal(0.3)}}}},
            "by_named: found x; allowed: a, b, c",
        ),
        ({"male": {**MALE, "case_mix": {**MIX, "by_named": {"b": half_normal(0.3)}}}}, "by_named.b: found half_normal"),
        ({"male": {**MALE, "kind": None}}, "kind"),
        ({"male": MALE, "age": {"prior": normal(0.5)}}, "case_mix: this table is required"),
        ({"age": {**AGE, "case_mix": MIX}}, "within_sd"),
        ({"male": {**MALE, "case_mix": {**MIX, "sd": normal(1.0)}}}, "positive numbers"),
        ({"male": {**MALE, "missing": "two_valued"}}, "beside missing"),
    ],
)
def test_half_a_case_mix_is_refused(covariates: dict[str, Any], words: str) -> None:
    kept = {name: {key: value for key, value in term.items() if value is not None} for name, term in covariates.items()}
    with pytest.raises(InputError, match=words):
        worlds.spec(covariates=kept)


def test_a_mean_of_a_two_valued_covariate_and_a_size_without_a_share_are_refused() -> None:
    wrong = [{**row, "mean_male": 0.4} for row in worlds.TABLES["arms"]]
    with pytest.raises(InputError, match=r"column mean_male.*share_male"):
        world({"male": MALE}, {**TABLES, "arms": wrong})
    with pytest.raises(InputError, match="n_male"):
        world({"male": MALE}, {**TABLES, "arms": [{**row, "n_male": 4} for row in worlds.TABLES["arms"]]})


@pytest.mark.slow
def test_labels_name_arms_and_what_they_do_not_print() -> None:
    coords = {name: list(labels) for name, labels in graph().model.coords.items() if labels is not None}
    assert coords["case_mix_term"] == ["a, male", "b, male", "c, male"] and coords["spread_covariate"] == ["age"]
    assert "m1 | x | kps" in coords["unknown_mix"] and "s1 | x | kps" not in coords["unknown_mix"]
