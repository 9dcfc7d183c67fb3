"""Arms averaged over the covariates they state: against loops, quadrature, and the models they must reduce to."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import integrate, stats

import bayes_bm as bb
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.checks.replicates import arm_curves, replicated_arms
from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.hazards.numerics.mixture import mixture, slopes
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY, solve_cum_hazard
from bayes_bm.inference.gate import watched_parameters
from bayes_bm.inference.graph_samplers import _patient_data, _set_patients
from bayes_bm.inference.integration_error import integration_error
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.model.covariates.integration_points import correlation, pooled_correlation
from bayes_bm.model.design import make_design
from bayes_bm.model.model_inputs import prepare
from bayes_bm.model.pymc_graph import build as models
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.covariates import Integration
from bayes_bm.spec.document import Spec
from tests.builders import graphs, posteriors, worlds
from tests.builders.graphs import data_term, log_density, moved, values_at
from tests.builders.patients import AGE, MALE, patients
from tests.builders.worlds import normal

T0 = 12.0
TERMS = {"age": {**AGE, "interaction": normal(0.4)}, "male": MALE}
STATED = {"mean_age": 66.0, "sd_age": 8.0, "share_male": 0.3}
WIDE = {"mean_age": 58.0, "sd_age": 11.0, "share_male": 0.7}
POINT = {"mean_age": 68.0, "sd_age": 0.0, "share_male": 1.0}
KINDS = ("patients_averaged", "points", "medians", "median_intervals", "medians_not_reached", "counts")
CORRELATION = [{"between": ["age", "male"], "value": 0.4, "why": "test"}]


def arm(study: str, name: str, treatment: str, **more: Any) -> dict[str, Any]:
    return {"study": study, "arm": name, "treatment": treatment, "endpoint": "os", "n": 40, **more}


def tables(*, known: bool = True, one: dict = STATED, other: dict = WIDE) -> dict[str, list[dict]]:
    """Patients with covariates, and one arm or more of every other kind that states them."""
    rebuilt = [
        {"study": "r1", "arm": "x", "treatment": "a", "time": time, "event": event}
        for time, event in ((3.0, 1), (8.0, 1), (8.0, 0), (19.0, 1), (26.0, 0))
    ]
    rebuilt += [
        {"study": "r1", "arm": "y", "treatment": "b", "time": 4.5, "event": 1, "time_upper": 7.0},
        {"study": "r1", "arm": "y", "treatment": "b", "time": 15.0, "event": 1, "weight": 0.5},
    ]
    names = [("r1", "x", "a"), ("r1", "y", "b"), ("s1", "x", "a"), ("s1", "y", "c"), ("m1", "x", "b"), ("m2", "x", "c")]
    names += [("m3", "x", "a"), ("c1", "x", "a"), ("c1", "y", "b")]
    arms = [arm(*of, **(one if at % 2 else other)) for at, of in enumerate(names)]
    for row in arms:
        row["followup"] = 20.0
    return {
        "patients": [*(patients() if known else []), *rebuilt],
        "arms": arms,
        "points": [
            {"study": "s1", "arm": name, "endpoint": "os", "time": time, "survival": alive}
            for name, time, alive in (("x", 6.0, 0.8), ("x", 18.0, 0.45), ("y", 12.0, 0.5))
        ],
        "medians": [
            {"study": "m1", "arm": "x", "endpoint": "os", "median": 14.0},
            {"study": "m2", "arm": "x", "endpoint": "os", "median": 9.5, "ci_low": 6.3, "ci_high": 15.0},
            {"study": "m3", "arm": "x", "endpoint": "os", "median": None},
        ],
        "counts": [
            {"study": "c1", "arm": name, "endpoint": "os", "events": events, "n": 40, "time": 9.0}
            for name, events in (("x", 17), ("y", 11))
        ],
    }


def world(rows: dict | None = None, *, points: int = 8, terms: dict = TERMS, **changes: Any) -> tuple[Spec, Evidence]:
    integration = {"points": points, "correlation": CORRELATION} if terms else {"points": points}
    spec = worlds.spec(covariates=terms, integration=integration, **changes)
    return spec, worlds.evidence(spec, rows or tables())


@pytest.mark.slow
def test_the_default_count_holds_survival_still_between_scramblings() -> None:
    """64 points let it vary by 0.0025; age terms of ndmm differed by 0.4 to 0.5 posterior sd."""
    inputs = prepare(*world())
    arms, count = np.flatnonzero(inputs.averaged_arms), Integration().points
    alive = [
        np.exp(-np.exp(0.6 * inputs.points(count, scrambling=k)[arms].sum(axis=-1))).mean(axis=1) for k in range(12)
    ]
    assert np.std(alive, axis=0).max() < 0.0015


# ------------------------------------------------------------------------------------------------- the family


def naive(name: str, log_u: float, eta: float, shape: list[float], offsets: list[float]) -> tuple[float, float]:
    """-log S and f / S by plain means."""
    family, alive, density = FAMILIES[name], [], []
    for offset in offsets:
        log_cum = float(family.log_cum_hazard(np.array(log_u), eta + offset, np.array(shape), xp=NUMPY))
        rate = float(family.log_hazard(np.array(log_u), eta + offset, np.array(shape), xp=NUMPY))
        alive.append(math.exp(-math.exp(log_cum)))
        density.append(math.exp(rate - math.exp(log_cum)))
    return -math.log(math.fsum(alive) / len(alive)), math.fsum(density) / math.fsum(alive)


SHAPES = {"weibull": [0.3], "gompertz": [0.4], "lognormal": [-0.1], "loglogistic": [0.2], "exponential": []}


@pytest.mark.parametrize("name", SHAPES)
def test_an_averaged_family_is_the_mean_of_survival_and_density(name: str) -> None:
    offsets = [-0.8, 0.1, 0.7, 1.4]
    family = AveragedOverCovariates(FAMILIES[name], 4)
    shape = np.array([*SHAPES[name], *offsets])
    for log_u in (-2.0, -0.3, 0.0, 0.9):
        cum, rate = naive(name, log_u, 0.2, SHAPES[name], offsets)
        ours = family.log_cum_hazard(np.array(log_u), np.array(0.2), shape, xp=NUMPY)
        assert float(np.exp(ours)) == pytest.approx(cum, rel=1e-11)
        assert float(np.exp(family.log_hazard(np.array(log_u), np.array(0.2), shape, xp=NUMPY))) == pytest.approx(
            rate, rel=1e-11
        )
        back = solve_cum_hazard(family, ours, np.array(0.2), shape)
        assert float(back) == pytest.approx(log_u, abs=1e-9)


def test_an_averaged_family_keeps_its_digits_early_and_late() -> None:
    """H -> mean of H as H -> 0; late, the least hazard alone is left: -log S -> H_least + log(points)."""
    family, offsets = AveragedOverCovariates(FAMILIES["weibull"], 3), np.array([-1.0, 0.0, 2.0])
    shape = np.array([0.2, *offsets])
    k = math.exp(0.2)
    for log_u in (-1e4, -60.0, -25.0, -24.0, -20.0):
        expected = k * log_u + math.log(np.mean(np.exp(offsets)))
        ours = float(family.log_cum_hazard(np.array(log_u), np.array(0.0), shape, xp=NUMPY))
        assert ours == pytest.approx(expected, rel=1e-8)
    late = float(family.log_cum_hazard(np.array(6.0), np.array(0.0), shape, xp=NUMPY))
    assert math.exp(late) == pytest.approx(math.exp(6 * k - 1) + math.log(3), rel=1e-12)
    rate = float(family.log_hazard(np.array(6.0), np.array(0.0), shape, xp=NUMPY))
    assert rate == pytest.approx(0.2 + 6 * k - 1 - 6.0, rel=1e-12)


# ------------------------------------------------------------------------------------------------- the points


@pytest.mark.slow
def test_points_have_the_stated_margins_and_correlation() -> None:
    for margin in ("normal", "gamma", "lognormal"):
        terms = {"age": {**AGE, "margin": margin}, "male": MALE}
        spec, evidence = world(points=4096, terms=terms)
        row = int(np.flatnonzero((evidence.arms["study"] == "m1").to_numpy())[0])
        stated = evidence.arms.iloc[row]
        age, male = prepare(spec, evidence).arm_points[row].T
        age = 60 + 10 * age
        assert age.mean() == pytest.approx(stated["mean_age"], abs=0.02)
        assert age.std() == pytest.approx(stated["sd_age"], rel=0.005)
        assert stats.skew(age) == pytest.approx({"normal": 0.0, "gamma": 0.38, "lognormal": 0.576}[margin], abs=0.03)
        assert male.mean() == pytest.approx(stated["share_male"], abs=0.001)
        # of a normal with a share p cut from another of correlation r: r phi(z) / sqrt(p (1 - p))
        share = stated["share_male"]
        expected = 0.4 * stats.norm.pdf(stats.norm.ppf(share)) / math.sqrt(share * (1 - share))
        scores = stats.norm.ppf((stats.rankdata(age) - 0.5) / len(age))
        assert np.corrcoef(scores, male)[0, 1] == pytest.approx(expected, abs=0.01)


@pytest.mark.slow
def test_without_a_stated_correlation_it_is_the_patients_within_studies() -> None:
    rng = np.random.default_rng(1)
    rows = patients(400)
    for row in rows:
        row["age"] += 20 * (row["study"] == "p1") + 8 * row["male"]
    spec = worlds.spec(covariates=TERMS)
    evidence = worlds.evidence(spec, {**tables(), "patients": [*rows, *tables(known=False)["patients"]]})
    within, sizes = [], []
    for study in ("p1", "p2"):
        mine = [row for row in rows if row["study"] == study]
        within.append(stats.spearmanr([row["age"] for row in mine], [row["male"] for row in mine]).statistic)
        sizes.append(len(mine) - 3)
    pooled = np.tanh(np.average(np.arctanh(within), weights=sizes))
    assert correlation(spec, evidence)[0, 1] == pytest.approx(2 * math.sin(math.pi * pooled / 6), abs=1e-12)
    assert pooled > 0.2
    nobody = worlds.evidence(spec, tables(known=False))
    np.testing.assert_array_equal(correlation(spec, nobody), np.eye(2))
    alike = evidence.patients.assign(male=1.0, age=rng.normal(size=len(evidence.patients)))
    assert pooled_correlation(alike, ["age", "male"])[0, 1] == 0.0


# ------------------------------------------------------------------------------------------------- the model


class ArmLaw(NamedTuple):
    """Of an arm: eta of a woman of 60, what ten years and a man add, and the shape of the Weibull."""

    eta: float
    by_age: float
    by_male: float
    k: float

    def level(self, age: float, male: float) -> float:
        return self.eta + self.by_age * age + self.by_male * male


def arm_law(spec: Spec, evidence: Evidence, found: dict, arm_row: int) -> ArmLaw:
    row = evidence.arms.iloc[arm_row]
    j, a = sorted(set(evidence.arms["study"])).index(row["study"]), row["treatment"]
    pairs = make_design(spec, evidence).pairs
    eta, compared = float(found["intercept"] + found["study_effect"][j]), list(spec.treatments.compare)
    eta += float(found["study_treatment_effect"][pairs.index((row["study"], a))])
    slope = float(found["coefficient"][0])
    if a != "a":
        at = compared.index(a)
        eta += float(found["log_hr"][at])
        slope += float(found["interaction"][at, 0])
    k = math.exp(float(found["log_shape"] + found["study_log_shape"][j]))
    return ArmLaw(eta, slope, float(found["coefficient"][1]), k)


def arm_curve(spec: Spec, evidence: Evidence, found: dict, arm_row: int, points: list[tuple[float, float, float]]):
    """S and f of an arm by plain sums over (weight, age in tens from 60, male)."""
    law = arm_law(spec, evidence, found, arm_row)
    k, levels = law.k, [(w, law.level(age, male)) for w, age, male in points]

    def alive(time: float) -> float:
        return math.fsum(w * math.exp(-math.exp(level) * (time / T0) ** k) for w, level in levels)

    def density(time: float) -> float:
        rates = [(w, math.exp(level) * (time / T0) ** k) for w, level in levels]
        return math.fsum(w * h * k / time * math.exp(-h) for w, h in rates)

    return alive, density


def terms_by_hand(spec: Spec, evidence: Evidence, found: dict, points: dict[int, list]) -> dict[str, list[float]]:
    """Every kind's log density from S and f of the arm alone (docs/decisions.md, 5, 6, 8)."""
    curves = {row: arm_curve(spec, evidence, found, row, of) for row, of in points.items()}
    terms: dict[str, list[float]] = {name: [] for name in KINDS}
    for row in evidence.patients[evidence.patients["age"].isna()].to_dict("records"):
        alive, density = curves[row["arm_row"]]
        if np.isfinite(row["time_upper"]):
            value = math.log(alive(row["time"]) - alive(row["time_upper"]))
        else:
            value = math.log(density(row["time"]) if row["event"] else alive(row["time"]))
        terms["patients_averaged"].append(row["weight"] * value)
    for row in evidence.sequences.to_dict("records"):
        alive, _ = curves[row["arm_row"]]
        p = alive(row["time"]) / (alive(row["start"]) if row["start"] > 0 else 1.0)
        y = row["size"] * row["ratio"]
        choose = math.lgamma(row["size"] + 1) - math.lgamma(y + 1) - math.lgamma(row["size"] - y + 1)
        terms["points"].append(choose + y * math.log(p) + (row["size"] - y) * math.log1p(-p))
    for row in evidence.medians.to_dict("records"):
        alive, density = curves[row["arm_row"]]
        if row["law"] == "interval":
            low, high = 1e-3, 1e3
            for _ in range(200):
                middle = math.sqrt(low * high)
                low, high = (middle, high) if alive(middle) > 0.5 else (low, middle)
            z = (math.log(row["time"] / low)) / row["sd"]
            terms["median_intervals"].append(-0.5 * z**2 - math.log(row["sd"] * math.sqrt(2 * math.pi)))
            continue
        dead = stats.beta(row["alpha"], row["alpha"])
        if row["law"] == "order":
            value = dead.logpdf(1 - alive(row["time"])) + math.log(density(row["time"]))
            terms["medians"].append(float(value))
        else:
            terms["medians_not_reached"].append(float(dead.logsf(1 - alive(row["time"]))))
    for row in evidence.counts.to_dict("records"):
        alive, _ = curves[row["arm_row"]]
        terms["counts"].append(float(stats.binom.logpmf(row["events"], row["n"], 1 - alive(row["time"]))))
    return terms


def weighted(points: np.ndarray) -> dict[int, list]:
    return {row: [(1 / len(of), *x) for x in of.tolist()] for row, of in enumerate(points)}


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False], ids=["beside patients", "alone"])
def test_every_kind_is_of_the_mean_over_points(known: bool) -> None:
    spec, evidence = world(tables(known=known))
    model = graphs.model_of(spec, evidence)
    point = moved(model)
    expected = terms_by_hand(spec, evidence, values_at(model, point), weighted(prepare(spec, evidence).arm_points))
    assert ("patients" in model.named_vars) == known
    for name in KINDS:
        np.testing.assert_allclose(data_term(model, point, name), expected[name], rtol=1e-9, err_msg=name)


def quadrature(stated: Any, r: float) -> list[tuple[float, float, float]]:
    """Nodes of age given sex: P(male | age) = Phi((r z - z_(1-p)) / sqrt(1 - r^2)), Gauss-Hermite in z."""
    z, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()
    male = stats.norm.cdf((r * z - stats.norm.ppf(1 - stated["share_male"])) / math.sqrt(1 - r**2))
    age = (stated["mean_age"] + stated["sd_age"] * z - 60) / 10
    one = [(float(w * p), float(x), 1.0) for w, p, x in zip(weight, male, age, strict=True)]
    return one + [(float(w * (1 - p)), float(x), 0.0) for w, p, x in zip(weight, male, age, strict=True)]


@pytest.mark.slow
def test_many_points_are_the_integral_over_two_covariates() -> None:
    """The copula's integral by scipy's dblquad for one arm, by nodes for all; Sobol's error falls with the points."""
    spec, evidence = world(points=4096)
    model = graphs.model_of(spec, evidence)
    point = moved(model)
    found = values_at(model, point)
    stating = np.flatnonzero(evidence.arms["share_male"].notna())
    nodes = {int(row): quadrature(evidence.arms.iloc[row], 0.4) for row in stating}
    row = next(iter(nodes))
    stated = evidence.arms.iloc[row]

    law, men_above = arm_law(spec, evidence, found, row), float(stats.norm.ppf(1 - stated["share_male"]))

    def inner(w: float, z: float) -> float:
        male = float(0.4 * z + math.sqrt(1 - 0.16) * w > men_above)
        level = law.level((stated["mean_age"] + stated["sd_age"] * z - 60) / 10, male)
        alive = math.exp(-math.exp(level) * (9.0 / T0) ** law.k)
        return alive * math.exp(-(z**2 + w**2) / 2) / (2 * math.pi)

    def cut(z: float) -> float:
        return (men_above - 0.4 * z) / math.sqrt(1 - 0.16)

    tolerance: Any = {"epsabs": 1e-7}
    below = integrate.dblquad(inner, -7, 7, lambda z: -7.0, cut, **tolerance)[0]
    above = integrate.dblquad(inner, -7, 7, cut, lambda z: 7.0, **tolerance)[0]
    assert arm_curve(spec, evidence, found, row, nodes[row])[0](9.0) == pytest.approx(below + above, abs=1e-6)
    expected = terms_by_hand(spec, evidence, found, nodes)
    for name in KINDS:
        np.testing.assert_allclose(data_term(model, point, name), expected[name], atol=0.01, err_msg=name)
    few, some = (terms_by_hand(spec, evidence, found, weighted(prepare(spec, evidence).points(n))) for n in (8, 256))
    error = [sum(abs(sum(of[name]) - sum(expected[name])) for name in KINDS) for of in (few, some)]
    assert error[1] < error[0] / 4


@pytest.mark.slow
def test_arms_whose_patients_are_alike_are_patients_with_those_covariates() -> None:
    """sd 0 and a share of 1: one point, so the density of patients who carry it, exactly."""
    alike = tables(known=False, one=POINT, other=POINT)
    carried = {**alike, "patients": [{**row, "age": 68.0, "male": 1} for row in alike["patients"]]}
    spec, evidence = world(alike)
    model = graphs.model_of(spec, evidence)
    point = moved(model)
    with_them = graphs.model_of(*world(carried))
    ours = data_term(model, point, "patients_averaged")
    np.testing.assert_allclose(ours, data_term(with_them, point, "patients"), rtol=1e-12)


@pytest.mark.slow
def test_coefficients_of_zero_are_the_model_without_covariates() -> None:
    spec, evidence = world(tables(known=False))
    model, plain = graphs.model_of(spec, evidence), graphs.model_of(*world(tables(known=False), terms={}))
    point = moved(plain)
    off = {"coefficient_age": np.zeros(()), "coefficient_male": np.zeros(()), "interaction_age": np.zeros(())}
    for name in KINDS:
        theirs = data_term(plain, point, name.removesuffix("_averaged"))
        np.testing.assert_allclose(data_term(model, {**point, **off}, name), theirs, rtol=1e-10, err_msg=name)


@pytest.mark.slow
def test_the_order_of_arms_and_the_names_of_others_change_nothing() -> None:
    forward = tables()
    backward = {kind: rows[::-1] for kind, rows in forward.items()}
    terms = []
    for rows in (forward, backward):
        model = graphs.model_of(*world(rows))
        terms.append({name: data_term(model, moved(model), name) for name in (*KINDS, "patients")})
    for name in terms[0]:
        np.testing.assert_array_equal(np.sort(terms[0][name]), np.sort(terms[1][name]))


@pytest.mark.slow
def test_the_gradient_is_that_of_the_density() -> None:
    model = graphs.model_of(*world())
    point = moved(model)
    gradient = graphs.slopes(model, point, jacobian=False)
    start = 0
    for variable in model.value_vars:
        size = np.size(point[variable.name])
        if str(variable.name).startswith(("coefficient", "interaction", "log_")):
            moves = [np.array(point[variable.name], dtype=float) for _ in range(2)]
            for sign, values in zip((1, -1), moves, strict=True):
                values.reshape(-1)[0] += sign * 1e-5
            up, down = (log_density(model, {**point, variable.name: values}, jacobian=False) for values in moves)
            assert gradient[start] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-5), variable.name
        start += size


@pytest.mark.slow
def test_pointwise_log_likelihood_is_the_models() -> None:
    spec, evidence = world()
    model = graphs.model_of(spec, evidence)
    found = values_at(model, moved(model))
    result = posteriors.result(spec, evidence)
    for name in result.posterior.data_vars:
        result.posterior[name] = result.posterior[name].copy(
            data=np.broadcast_to(found[str(name)], result.posterior[name].shape).copy()
        )
    ours = pointwise_log_likelihood(result.predictors)
    for name in (*KINDS, "patients"):
        theirs = data_term(model, moved(model), name)
        np.testing.assert_allclose(ours[name].values[1, 2], theirs, rtol=1e-9, err_msg=name)


# ------------------------------------------------------------------------------------------------- refusals


def changed(kind: str, at: int, **cells: Any) -> dict[str, list[dict]]:
    rows = tables()
    rows[kind][at] = {**rows[kind][at], **cells}
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            changed("patients", 0, age=None),
            "patients, study p1, arm x, column age: found 1 empty cells.*covariates\\.age\\.missing",
        ),
        (changed("arms", 0, sd_age=None), "study r1, arm x, column age: found no covariates.*mean_age with sd_age"),
        (changed("arms", 4, survived_to=2.0), "arms, study m1, arm x: found covariates of an arm with a delayed entry"),
        (changed("arms", 4, clock_shift=2.0), "arms, study m1, arm x: found covariates of an arm with a delayed entry"),
    ],
)
def test_what_cannot_be_averaged_is_refused(rows: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        world(rows)


def test_a_gamma_margin_needs_a_mean_above_zero() -> None:
    with pytest.raises(
        InputError, match=r"column mean_age: found -1.0; allowed: above 0, for covariates\.age\.margin = gamma"
    ):
        world(changed("arms", 0, mean_age=-1.0), terms={"age": {**AGE, "margin": "gamma"}, "male": MALE})


@pytest.mark.parametrize(
    ("integration", "message"),
    [
        ({"points": 60}, "points is 60; allowed: a power of 2"),
        ({"correlation": [{"between": ["age", "kps"], "value": 0.2, "why": "t"}]}, "age and kps; allowed: two of age"),
        ({"correlation": [{"between": ["age", "age"], "value": 0.2, "why": "t"}]}, "age and age"),
        ({"correlation": [{"between": ["age", "male"], "value": 1.0, "why": "t"}]}, "a number above -1, below 1"),
    ],
)
def test_a_wrong_integration_is_refused(integration: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        worlds.spec(covariates=TERMS, integration=integration)


# ------------------------------------------------------------------------------------------------- enough points


@pytest.mark.slow
def test_the_error_of_the_points_is_what_other_points_change() -> None:
    """At the posterior mean, by loops over both sets of points; few points are too few, many are enough."""
    found = {}
    for count in (4, 1024):
        spec, evidence = world(points=count)
        result = posteriors.result(spec, evidence, coefficient=[1.2, 0.8])
        error = integration_error(result)
        assert error is not None
        assert error.points == count
        found[count] = error
    assert not found[4].enough
    assert "raise [integration] points" in found[4].text
    assert found[1024].enough
    spec, evidence = world(points=4)
    result = posteriors.result(spec, evidence, coefficient=[1.2, 0.8])
    means = result.posterior.mean(("chain", "draw"))
    at = {str(name): means[name].values for name in means.data_vars}
    sums = [
        sum(sum(of) for of in terms_by_hand(spec, evidence, at, weighted(points)).values())
        for points in (prepare(spec, evidence).arm_points, prepare(spec, evidence).points(8, scrambling=1))
    ]
    assert found[4].change == pytest.approx(sums[1] - sums[0], abs=1e-7)
    assert integration_error(posteriors.result(*world(tables(known=False), terms={}))) is None


@pytest.mark.slow
def test_the_shift_is_what_reweighting_the_draws_to_other_points_does() -> None:
    """cov(parameter, l' - l) by loops over draws and points, in posterior sds; small changes, so weights agree too."""
    spec, evidence = world(points=64)
    result = posteriors.result(spec, evidence, chains=1, draws=6, coefficient=[0.6, 0.4])
    error = integration_error(result)
    assert error is not None
    names = [str(name) for name in result.posterior.data_vars]
    change = []
    for draw in range(6):
        at = {name: result.posterior[name].values[0, draw] for name in names}
        sums = [
            sum(sum(of) for of in terms_by_hand(spec, evidence, at, weighted(points)).values())
            for points in (prepare(spec, evidence).arm_points, prepare(spec, evidence).points(128, scrambling=1))
        ]
        change.append(sums[1] - sums[0])
    shifts = {}
    for name, values in watched_parameters(result.posterior).items():
        for at, of in enumerate(values.to_numpy().reshape(6, -1).T):
            if of.std() > 0:
                shifts[name, at] = float(np.cov(of, change, ddof=0)[0, 1] / of.std())
    worst = max(shifts, key=lambda key: abs(shifts[key]))
    assert error.shift == pytest.approx(shifts[worst], rel=1e-6)
    assert error.parameter.startswith(str(worst[0]))
    of = watched_parameters(result.posterior)[worst[0]].to_numpy().reshape(6, -1)[:, worst[1]]
    weight = np.exp(1e-3 * (np.array(change) - np.mean(change)))
    tilted = (np.average(of, weights=weight) - of.mean()) / of.std() / 1e-3
    assert error.shift == pytest.approx(tilted, rel=0.01, abs=1e-4)


@pytest.mark.slow
def test_patients_alike_are_one_row_and_the_same_density() -> None:
    """Each patient three times, once with a quarter of the weight: 2.25 of the term, and no more rows than before."""
    once = tables(known=False)
    rows = once["patients"]
    light = [{**row, "weight": 0.25 * row.get("weight", 1.0)} for row in rows]
    found = {}
    for name, patients_of in {"once": rows, "again": [*rows, *light[::-1], *rows]}.items():
        spec, evidence = world({**once, "patients": patients_of})
        model = graphs.model_of(spec, evidence)
        found[name] = data_term(model, moved(model), "patients_averaged")
        assert len(prepare(spec, evidence).kinds["patients_averaged"]["weight"]) == len(patients_of)
    assert len(found["again"]) == len(found["once"]) == len(rows)
    np.testing.assert_allclose(sorted(found["again"]), sorted(2.25 * np.array(found["once"])), rtol=1e-12)


class LongAverage(AveragedOverCovariates):
    _factor = False


@pytest.mark.parametrize("name", ["weibull", "exponential", "gompertz"])
def test_the_average_over_proportional_hazards_is_that_of_any_family(name: str) -> None:
    """The short way against the long one, which a subclass brings back, from nobody dead to nobody left."""
    family = FAMILIES[name]
    long = LongAverage(family, 8)
    short = AveragedOverCovariates(family, 8)
    rng = np.random.default_rng(2)
    log_u = np.array([-40.0, -12.0, -3.0, 0.0, 1.0, 2.5])
    eta = rng.normal(size=6)
    shape = np.concatenate([np.full((6, family.width), 0.1), 1.5 * rng.normal(size=(6, 8))], axis=1)
    for of in ("log_cum_hazard", "log_hazard"):
        ours, theirs = (getattr(law, of)(log_u, eta, shape, xp=NUMPY) for law in (short, long))
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


def test_slopes_of_the_mixture_are_differences() -> None:
    """Central differences in both arguments, where nobody has died, where a few have, and where few are left."""
    rng = np.random.default_rng(3)
    log_cum, offsets = np.array([-1e4, -35.0, -9.0, -4.0, 0.4, 5.0]), rng.normal(size=(6, 5))
    by_used, by_tilt = rng.normal(size=6), rng.normal(size=6)

    def both(log_cum: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        of = mixture(log_cum, offsets)
        return by_used * of.log_used + by_tilt * of.tilt

    by_log_cum, by_offsets = slopes(mixture(log_cum, offsets), by_used, by_tilt)
    step = 1e-5
    found = (both(log_cum + step, offsets) - both(log_cum - step, offsets)) / (2 * step)
    np.testing.assert_allclose(by_log_cum[1:], found[1:], rtol=1e-6, atol=1e-8)
    assert by_log_cum[0] == pytest.approx(by_used[0])
    for at in range(5):
        moved_by = step * (np.arange(5) == at)
        found = (both(log_cum, offsets + moved_by) - both(log_cum, offsets - moved_by)) / (2 * step)
        np.testing.assert_allclose(by_offsets[1:, at], found[1:], rtol=1e-6, atol=1e-8)


# ------------------------------------------------------------------------------------------------- audit


def test_the_audit_has_a_line_for_each_coefficient() -> None:
    spec, evidence = world()
    found = audit(spec, evidence)
    rows = found.coefficients.set_index(["covariate", "interaction_with"])
    assert rows.loc[("age", ""), ["source", "studies", "rows"]].tolist() == ["within-study data", 2, 24]
    assert rows.loc[("age", "b, c"), ["source", "studies", "rows"]].tolist() == ["within-study data", 2, 12]
    # in one arm everybody is a man
    assert "Coefficient of male: within-study data (2 studies, 18 patients)." in found.notes
    assert "9 arms are averaged over the covariates they state, by 8 points; their correlation is the spec's." in (
        found.notes
    )
    assert len(found.coefficients) == 3


@pytest.mark.slow
def test_without_patients_coefficients_are_known_across_studies_or_not_at_all() -> None:
    own = {"age": {**TERMS["age"], "interaction_by": "treatment"}, "male": MALE}
    rows = audit(*world(tables(known=False), terms=own)).coefficients.set_index(["covariate", "interaction_with"])
    assert rows.loc[("age", ""), ["source", "rows"]].tolist() == ["across-study data", 9]
    assert rows.loc[("age", "b"), "source"] == "across-study data"
    # both arms of c state the same, so its interaction cannot be told from its effect
    assert rows.loc[("age", "c"), "source"] == "prior only"
    alike = tables(known=False, one=STATED, other=STATED)
    found = audit(*world(alike))
    assert set(found.coefficients["source"]) == {"prior only"}
    assert "Interaction of age with b, c: prior only: no data inform it." in found.notes
    free = audit(*world(tables(known=False), effects__study={"exchangeable": False}))
    # m1, m2 and m3 have one arm each, whose level is their own
    assert free.coefficients.set_index(["covariate", "interaction_with"]).loc[("male", ""), "rows"] == 6


def ratio(**cells: Any) -> dict[str, Any]:
    sides = {"study": "h1", "endpoint": "os", "treatment": "b", "reference": "a"}
    return {**sides, "hr": 0.7, "ci_low": 0.5, "ci_high": 0.98, **cells}


@pytest.mark.slow
def test_a_hazard_ratio_beside_interactions_is_refused_and_a_crude_one_is_named() -> None:
    with_ratio = {**tables(), "hazard_ratios": [ratio()]}
    with pytest.raises(InputError, match=r"hazard_ratios, study h1: found a hazard ratio, beside covariates.*age"):
        world(with_ratio)
    plain = {"age": AGE, "male": MALE}
    crude = [note for note in audit(*world(with_ratio, terms=plain)).notes if "hazard ratios" in note]
    assert crude[0].startswith("1 hazard ratios were not adjusted for every covariate")
    full = {**tables(), "hazard_ratios": [ratio(adjusted_for="male; age, kps")]}
    assert not [note for note in audit(*world(full, terms=plain)).notes if "hazard ratios" in note]


# ------------------------------------------------------------------------------------------------- a whole fit


def simulated(n: int = 150, seed: int = 4) -> dict[str, list[dict]]:
    """Two trials of patients (a v b) and one, older, that gives curves and its ages (a v c), from the model itself."""
    rng = np.random.default_rng(seed)
    rows, arms = [], []
    for study, level, middle, names in (("p1", 0.1, 58, "ab"), ("p2", -0.3, 63, "ab"), ("g1", -0.1, 70, "ac")):
        for name in names:
            age = rng.normal(middle, 9, n)
            slope = 0.6 - 0.3 * (name != "a")
            eta = level + TRUTH.get(name, 0.0) + slope * (age - 60) / 10
            time = T0 * (rng.exponential(size=n) / np.exp(eta)) ** (1 / 1.3)
            end = rng.uniform(12, 36, n)
            of = {"study": study, "arm": name, "treatment": name}
            known = age if study != "g1" else np.full(n, np.nan)
            rows += [
                {**of, "time": float(min(t, c)), "event": int(t < c), "age": None if np.isnan(x) else float(x)}
                for t, c, x in zip(time, end, known, strict=True)
            ]
            if study == "g1":
                arms.append({**of, "endpoint": "os", "n": n, "mean_age": age.mean(), "sd_age": age.std()})
    return {"patients": rows, "arms": arms}


TRUTH = {"b": -0.5, "c": -0.8}


@pytest.mark.slow
@pytest.mark.usefixtures("one_try")
def test_the_truth_of_a_simulated_world_is_found() -> None:
    """Every parameter within 3 posterior sds; the trial without ages informs c all the same, and its curve fits."""
    spec = worlds.spec(
        covariates={"age": TERMS["age"]},
        integration={"points": 16},
        effects={"study": {"exchangeable": False}},
        treatments={"reference": "a", "compare": ["b", "c"]},
        sampling={"draws": 400, "tune": 300, "chains": 2, "thin": 1},
    )
    told: list[str] = []
    result = bb.fit(spec, worlds.evidence(spec, simulated()), say=told.append)
    found = {
        "b": result.posterior["log_hr"].sel(treatment="b"),
        "c": result.posterior["log_hr"].sel(treatment="c"),
        "age": result.posterior["coefficient"],
        "interaction": result.posterior["interaction"].sel(treatment="b"),
        "shape": result.posterior["log_shape"],
    }
    for name, truth in {**TRUTH, "age": 0.6, "interaction": -0.3, "shape": math.log(1.3)}.items():
        mean, sd = float(found[name].mean()), float(found[name].std())
        assert abs(mean - truth) < 3 * sd, (name, mean, sd)
        assert sd < 0.2, name
    assert result.provenance["integration"]["points"] == 16
    assert result.provenance["integration"]["enough"] == (not [line for line in told if line.startswith("warning")])
    rows = reconcile(result)
    assert set(rows.loc[rows["study"] == "g1", "status"]) <= {"green", "amber"}
    old, young = (
        bb.hazard_ratio(result, [12.0], who=bb.Patient({"age": age}, bb.Study("g1"))).sel(treatment="c")
        for age in (80.0, 50.0)
    )
    assert float(old.mean()) < float(young.mean())


# ------------------------------------------------------------------------------------------------- answers and checks


@pytest.mark.slow
def test_an_arms_curve_and_its_printed_numbers_are_averaged() -> None:
    spec, evidence = world()
    result = posteriors.result(spec, evidence)
    at = {str(name): result.posterior[name].values[0, 0] for name in result.posterior.data_vars}
    points = weighted(prepare(spec, evidence).arm_points)
    by_hand = [arm_curve(spec, evidence, at, row, of)[0](9.0) for row, of in points.items()]
    np.testing.assert_allclose(arm_curves(result, [9.0]).values[0, 0, :, 0], by_hand, rtol=1e-12)
    rows = reconcile(result)
    draws = [
        {str(name): result.posterior[name].values[chain, draw] for name in result.posterior.data_vars}
        for chain in range(2)
        for draw in range(8)
    ]
    count = evidence.counts.iloc[0]
    row = int(count["arm_row"])
    dead = [40 * (1 - arm_curve(spec, evidence, of, row, points[row])[0](9.0)) for of in draws]
    ours = rows[(rows["kind"] == "counts") & (rows["printed"] == count["events"])]["predicted"].item()
    assert ours == pytest.approx(np.median(dead), rel=1e-10)
    rebuilt = {arm.arm_row: arm for arm in replicated_arms(result, np.random.default_rng(1))}
    mine = int(np.flatnonzero((evidence.arms["study"] == "r1").to_numpy())[0])
    alive = [arm_curve(spec, evidence, of, mine, points[mine])[0](9.0) for of in draws]
    np.testing.assert_allclose(rebuilt[mine].model_survival(9.0), alive, rtol=1e-10)


@pytest.mark.slow
def test_a_stored_result_keeps_interactions_and_statements(tmp_path) -> None:
    result = posteriors.result(*world())
    back = bb.load(result.save(tmp_path / "r.nc"))
    np.testing.assert_array_equal(back.predictors.draws.interaction, result.predictors.draws.interaction)
    np.testing.assert_array_equal(back.predictors.point_offsets, result.predictors.point_offsets)


@pytest.mark.slow
def test_other_patients_of_averaged_arms_can_take_their_place() -> None:
    """Multiple imputation sets patients by the names of pm.Data."""
    spec, evidence = world()
    model = models.build_model(spec, evidence)
    found = _patient_data(prepare(spec, evidence))
    assert {name for name in found if name.startswith("patients_averaged_")} <= set(model.named_vars)
    known = evidence.patients
    later = known.assign(time=known["time"] * 1.5, time_upper=known["time_upper"] * 2)
    other = replace(evidence, patients=later)
    _set_patients(model, prepare(spec, other))
    point = moved(model)
    fresh = models.build_model(spec, other)
    # the observed times are the data's
    np.testing.assert_allclose(
        log_density(model, point, jacobian=False),
        log_density(fresh, point, jacobian=False),
        rtol=1e-12,
    )
