"""Background mortality and registries: the sum of two hazards, intervals of survivors, and what answers say of them."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import bayes_bm as bb
from bayes_bm.checks.direct_indirect import keep_studies
from bayes_bm.checks.prior_predictive import prior_predictive
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.estimands import quadrature
from bayes_bm.estimands.compare import compare
from bayes_bm.estimands.quadrature import Population
from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.modifiers.background import with_background
from bayes_bm.hazards.modifiers.cure import Cured
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.result import load
from bayes_bm.model.baseline_hazard import family_of, with_knots
from bayes_bm.model.design import make_design
from bayes_bm.model.model_inputs import prepare
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import parse_spec
from tests.builders import families, posteriors, worlds
from tests.builders.graphs import (
    as_parameters,
    log_density,
    model_of,
    random_point,
    slopes,
    standard_to_effect_jacobian,
    values_at,
)
from tests.witness import slow_twin

STEPS = [(0.0, 0.002), (5.0, 0.004), (12.0, 0.001), (30.0, 0.02)]
"""Rates per month from each time on."""
BACKGROUND = [{"time": time, "hazard": hazard} for time, hazard in STEPS]
REGISTRY = [
    {"study": "r1", "arm": "x", "endpoint": "os", "start": 0.0, "stop": 6.0, "n": 100, "alive": 80},
    {"study": "r1", "arm": "x", "endpoint": "os", "start": 6.0, "stop": 18.0, "n": 70, "alive": 41},
    {"study": "r2", "arm": "x", "endpoint": "os", "start": 12.0, "stop": 24.0, "n": 40, "alive": 40},
    {"study": "r2", "arm": "y", "endpoint": "os", "start": 12.0, "stop": 24.0, "n": 36, "alive": 12},
]
REGISTERED = [
    {"study": "r1", "arm": "x", "treatment": "a", "endpoint": "os", "n": None},
    {"study": "r2", "arm": "x", "treatment": "b", "endpoint": "os", "n": 40, "clock_shift": 1.0},
    {
        "study": "r2",
        "arm": "y",
        "treatment": "a",
        "endpoint": "os",
        "n": 36,
        "survived_to": 2.0,
        "unit_of_analysis": "lesion",
        "n_lesions": 36,
        "n_patients": 30,
    },
]
NAMED = {"evidence__background": "in memory"}


def tables(**changed: Any) -> dict[str, list[dict[str, Any]]]:
    """The world with a registry and no ratios, whose counterpart is an integral over follow-up."""
    arms = [*worlds.TABLES["arms"], *REGISTERED]
    return {**worlds.TABLES, "arms": arms, "registry": REGISTRY, "hazard_ratios": [], **changed}


def evidence(spec: Spec, **changed: Any) -> Evidence:
    rows = tables(**changed)
    frames = {kind: pd.DataFrame(found) for kind, found in rows.items() if kind == "background"}
    return _with(spec, {kind: found for kind, found in rows.items() if kind != "background"}, frames)


def _with(spec: Spec, rows: dict, frames: dict) -> Evidence:
    from bayes_bm.evidence.reading import select

    found = {kind: worlds.checked(kind, found) for kind, found in rows.items() if found}
    return select(spec, {**found, **frames})


def density(spec: Spec, rows: Evidence, point: dict[str, np.ndarray]) -> float:
    return log_density(model_of(spec, rows), point, jacobian=False)


# --------------------------------------------------------------------------------------------- one hazard on another


def spent(time: float) -> float:
    """The background's integral, by scipy."""
    ends = [*(start for start, _ in STEPS[1:]), math.inf]
    return sum(
        integrate.quad(lambda _: 1.0, start, min(time, end))[0] * rate
        for (start, rate), end in zip(STEPS, ends, strict=True)
        if time > start
    )


START, RATE = (np.array(values) for values in zip(*STEPS, strict=True))


@pytest.mark.parametrize("name", [*FAMILIES, "weibull+cure"])
def test_hazards_and_cumulative_hazards_add(name: str) -> None:
    below = family_of(families.spec(name))
    family = with_background(below, START / 12, RATE * 12)
    shape = np.linspace(-0.2, 0.3, below.width)
    for time in (1e-9, 0.3, 4.999, 5.0, 11.0, 29.0, 500.0):
        log_u = np.log(time / 12)
        own = [f(below.place(log_u), 0.4, shape, xp=NUMPY) for f in (below.log_cum_hazard, below.log_hazard)]
        both = [f(family.place(log_u), 0.4, shape, xp=NUMPY) for f in (family.log_cum_hazard, family.log_hazard)]
        rate = [rate for start, rate in STEPS if start <= time][-1]
        assert np.exp(both[0]) == pytest.approx(np.exp(own[0]) + spent(time), rel=1e-12)
        assert np.exp(both[1]) == pytest.approx(np.exp(own[1]) + 12 * rate, rel=1e-12)


def test_the_cured_die_of_the_background_alone() -> None:
    """S = exp(-Hb) (pi + (1 - pi) S0), by hand."""
    family = with_background(Cured(FAMILIES["exponential"]), START / 12, RATE * 12)
    shape = np.array([0.3])
    share = 1 / (1 + math.exp(-0.3))
    for time in (2.0, 20.0, 400.0):
        log_cum = family.log_cum_hazard(family.place(np.log(time / 12)), 0.1, shape, xp=NUMPY)
        by_hand = math.exp(-spent(time)) * (share + (1 - share) * math.exp(-math.exp(0.1) * time / 12))
        assert math.exp(-math.exp(log_cum)) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("name", ["weibull", "mspline", "lognormal"])
def test_answers_are_integrals_and_roots_of_the_whole_hazard(name: str) -> None:
    """Restricted mean by adaptive quadrature, quantile by its definition, hazard by the derivative of log S."""
    below = family_of(families.spec(name))
    family = with_background(below, START / 12, RATE * 12)
    shape = np.linspace(-0.2, 0.3, below.width)
    one = np.full((1, 1), -0.4)
    of = Population(family, 12.0, one, shape[None, None], 0 * one, 0 * one)

    def alive(time: float) -> float:
        excess = below.log_cum_hazard(below.place(np.log(time / 12)), -0.4, shape, xp=NUMPY)
        return math.exp(-spent(time) - math.exp(excess)) if time > 0 else 1.0

    whole = integrate.quad(alive, 0, 60, points=[4, 5, 9, 12, 15, 24, 30], limit=400, epsabs=1e-12, epsrel=1e-11)[0]
    assert float(quadrature.rmst(of, 60.0)[0, 0]) == pytest.approx(whole, rel=1e-8)
    late = integrate.quad(alive, 7, 60, points=[9, 12, 15, 24, 30], limit=400, epsabs=1e-12, epsrel=1e-11)[0]
    assert float(quadrature.rmst(of, 60.0, alive_at=7.0)[0, 0]) == pytest.approx(late / alive(7.0), rel=1e-8)
    assert alive(float(quadrature.quantile(of, 0.7)[0, 0])) == pytest.approx(0.3, rel=1e-9)
    slope = (math.log(alive(19.999)) - math.log(alive(20.001))) / 0.002
    assert float(quadrature.hazard(of, np.array([20.0]))[0, 0, 0]) == pytest.approx(slope, rel=1e-5)


def test_many_steps_do_not_blur_the_restricted_mean() -> None:
    """Gompertz mortality in 60 yearly steps on an exponential: each year's integral has a closed form."""
    years = np.arange(60.0)
    rates = 0.01 * np.exp(0.08 * years)
    family = with_background(FAMILIES["exponential"], years / 5, rates * 5)
    of = Population(family, 5.0, np.zeros((1, 1)), np.zeros((1, 1, 0)), np.zeros((1, 1)), np.zeros((1, 1)))
    total, left = 0.0, 1.0
    for rate in rates[:45] + 0.2:
        total += left * -math.expm1(-rate) / rate
        left *= math.exp(-rate)
    assert float(quadrature.rmst(of, 45.0)[0, 0]) == pytest.approx(total, rel=1e-12)


# --------------------------------------------------------------------------------------------- densities

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "registry": ({}, {}),
    "registry and background": (NAMED, {"background": BACKGROUND}),
    "background, free levels": (NAMED | {"effects__study": {"exchangeable": False}}, {"background": BACKGROUND}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_log_density_equals_the_slow_twin(case: str, seed: int) -> None:
    changes, changed = CASES[case]
    spec = worlds.spec(**changes)
    rows = evidence(spec, **changed)
    model, shape = model_of(spec, rows), make_design(spec, rows)
    point = random_point(model, seed)
    found = values_at(model, point)
    document = worlds.document(**changes)
    document.setdefault("evidence", {})["icc"] = {"value": spec.evidence.icc.value, "why": "default"}
    witness = slow_twin.log_density(document, tables(**changed), as_parameters(found, spec, shape))
    expected = float(witness) + standard_to_effect_jacobian(found, shape)
    assert density(spec, rows, point) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert np.isfinite(slopes(model, point)).all()


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("mspline", "lognormal", "weibull+cure")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weibull", *SLOW])
def test_a_background_of_zero_is_the_model_without_one_exactly(name: str) -> None:
    without, named = (families.spec(name, **more) for more in ({}, NAMED))
    nothing = [{"time": 0.0, "hazard": 0.0}, {"time": 9.0, "hazard": 0.0}]
    plain, zero = evidence(without), evidence(named, background=nothing)
    ours = [model_of(spec, rows) for spec, rows in ((without, plain), (named, zero))]
    point = random_point(ours[0], 3)
    values = [log_density(one, point) for one in ours]
    # the graph adds in another order
    assert values[0] == pytest.approx(values[1], rel=1e-13)
    if name not in ("weibull", "mspline"):
        return
    np.testing.assert_allclose(*(slopes(one, point) for one in ours), rtol=1e-12, atol=1e-13)


@pytest.mark.slow
def test_a_background_moves_every_kind_by_what_it_adds() -> None:
    """Deaths by log(h + hb) - log h - Hb, the censored by -Hb alone, survivors of an interval by its share."""
    without, named = worlds.spec(), worlds.spec(**NAMED)
    plain, with_it = evidence(without), evidence(named, background=BACKGROUND)
    one, other = (posteriors.result(spec, rows) for spec, rows in ((without, plain), (named, with_it)))
    terms = [pointwise_log_likelihood(result.predictors) for result in (one, other)]
    moved = (terms[1]["patients"] - terms[0]["patients"]).to_numpy()
    rows = plain.patients
    for at, row in enumerate(rows.to_dict("records")):
        if row["event"] or np.isfinite(row["time_upper"]):
            continue
        np.testing.assert_allclose(moved[..., at], -(spent(row["time"]) - spent(row["entry"])), rtol=1e-9)
    first = rows.index[(rows["event"] == 1) & rows["time_upper"].isna()][0]
    row = rows.loc[first]
    family, (eta, shape) = one.inputs.family, one.predictors.arms[1:]
    at = (np.log(row["time"] / 12), eta[:, row["arm_row"]], shape[:, row["arm_row"]])
    hazard = np.exp(family.log_hazard(*at, xp=NUMPY)) / 12
    rate = [rate for start, rate in STEPS if start <= row["time"]][-1]
    added = row["weight"] * (np.log1p(rate / hazard) - spent(row["time"]) + spent(row["entry"]))
    np.testing.assert_allclose(moved[..., first].ravel(), added, rtol=1e-9)


def test_a_registrys_interval_is_a_binomial_of_those_alive_at_its_start() -> None:
    spec = worlds.spec()
    result = posteriors.result(spec, evidence(spec), chains=1, draws=5)
    family, eta, shape = result.predictors.arms
    terms = pointwise_log_likelihood(result.predictors)["registry"].to_numpy()[0]
    row = result.evidence.registry.iloc[1]
    at = (eta[:, row["arm_row"]], shape[:, row["arm_row"]])
    alive = [np.exp(-np.exp(family.log_cum_hazard(np.log(t / 12), *at, xp=NUMPY))) for t in (6.0, 18.0)]
    np.testing.assert_allclose(terms[:, 1], stats.binom.logpmf(41, 70, alive[1] / alive[0]), rtol=1e-10)


def test_two_intervals_that_meet_are_one_where_nobody_was_lost() -> None:
    """60 of 100 alive at 18, or 80 at 6 and 60 of those at 18: they differ by when the 40 died, a binomial itself."""
    spec = worlds.spec(effects={})
    split = [{**REGISTRY[0]}, {**REGISTRY[1], "n": 80, "alive": 60}]
    whole = [{**REGISTRY[0], "stop": 18.0, "alive": 60}]
    found = []
    for rows in (split, whole):
        kept = {kind: [] for kind in tables() if kind not in ("arms", "registry")}
        found.append(evidence(spec, **kept, arms=REGISTERED[:1], registry=rows))
    results = [posteriors.result(spec, rows) for rows in found]
    terms = [pointwise_log_likelihood(one.predictors)["registry"].sum("registry_row").to_numpy() for one in results]
    family, eta, shape = results[0].predictors.arms
    used = [np.exp(family.log_cum_hazard(np.log(t / 12), eta[:, 0], shape[:, 0], xp=NUMPY)) for t in (6.0, 18.0)]
    died_early = -np.expm1(-used[0]) / -np.expm1(-used[1])
    share = stats.binom.logpmf(20, 40, died_early).reshape(terms[0].shape)
    np.testing.assert_allclose(terms[0] - terms[1], share, rtol=1e-8)


# --------------------------------------------------------------------------------------------- the whole


def world(family: str = "weibull", **more: Any) -> tuple[Spec, Evidence]:
    spec = families.spec(family, **NAMED, **more)
    return spec, evidence(spec, background=BACKGROUND)


@pytest.mark.parametrize("name", ["weibull", "mspline", pytest.param("lognormal", marks=pytest.mark.slow)])
def test_answers_say_that_they_are_of_all_deaths(name: str) -> None:
    result = families.result(*world(name))
    table = compare(result, times=[6.0, 12.0, 60.0]).set_index(["estimand", "treatment", "time"])
    absolute = table.loc[["survival", "median", "rmst"]]
    assert all("all-cause" in label for label in absolute["label"])
    if name == "lognormal":
        assert "excess" in table.loc["time_ratio", "label"].iloc[0]
        return
    ratios = table.loc["hazard_ratio"].loc["b"]
    assert list(ratios.index) == [6.0, 12.0, 60.0]
    assert all("all-cause" in label for label in ratios["label"])
    # the background of later years is the larger part of both hazards, so their ratio nears 1
    excess = np.exp(result.posterior["log_hr"].sel(treatment="b").to_numpy())
    total = bb.hazard_ratio(result, [60.0], who=bb.AverageStudy()).sel(treatment="b", time=60.0).to_numpy()
    assert (np.abs(np.log(total)) < np.abs(np.log(excess))).all()


@pytest.mark.slow
def test_without_a_background_nothing_is_said_of_it() -> None:
    spec = worlds.spec()
    result = posteriors.result(spec, evidence(spec))
    assert not any("all-cause" in label for label in compare(result)["label"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weibull", "mspline"])
def test_checks_storing_and_priors_know_registries_and_backgrounds(name: str, tmp_path) -> None:
    (tmp_path / "background.csv").write_text(pd.DataFrame(BACKGROUND).to_csv(index=False), encoding="utf-8")
    document = worlds.document(**families.changes(name), evidence__background="background.csv")
    spec = parse_spec(document, folder=str(tmp_path))
    rows = evidence(spec, background=BACKGROUND)
    result = families.result(spec, rows)
    again = load(result.save(tmp_path / "result.nc"))
    pd.testing.assert_frame_equal(again.evidence.background, rows.background)
    assert again.evidence.registry["alive"].tolist() == rows.registry["alive"].tolist()
    np.testing.assert_allclose(bb.survival(again, [12.0]), bb.survival(result, [12.0]), rtol=1e-12)
    found = reconcile(result)
    mine = found[found["kind"] == "registry"].reset_index(drop=True)
    assert mine.loc[0, "quantity"] == "alive at 6 of 100 at 0"
    assert mine["printed"].tolist() == rows.registry["alive"].tolist()
    assert ((mine["predicted"] > 0) & (mine["predicted"] < rows.registry["n"].astype(float))).all()
    notes = audit(spec, rows).notes
    tail = "Tail of a: patients to 14 months and registry intervals to 24 months; beyond the shape of the"
    assert any(note.startswith(tail) for note in notes)
    assert any(note.startswith("Tail of c: no patients and no registry: the treatment effect and") for note in notes)
    assert any("Background mortality, 0.001 to 0.02 per month, known to 30 months" in note for note in notes)
    assert prior_predictive(spec, draws=100)["mean"].notna().any()


def test_knots_reach_as_far_as_the_registry() -> None:
    spec = families.spec("mspline", hazard={"family": "mspline", "knots": 3})
    rows = evidence(spec)
    stated = with_knots(spec, rows).hazard
    assert stated.end == 25.0  # on the model's clock, a month after the registry's own
    assert isinstance(stated.knots, tuple)
    # deaths of the first interval stand at its middle, 3; those of the last at 19
    assert 3.0 < stated.knots[0] < stated.knots[2] < 19.0


def test_subsets_keep_the_registry_and_the_background() -> None:
    _, rows = world()
    part = keep_studies(rows, studies={"r2", "p1"}, treatments={"a", "b"})
    assert part.arms.loc[part.registry["arm_row"], "arm"].tolist() == part.registry["arm"].tolist()
    assert len(part.registry) == 2
    assert len(part.background) == len(STEPS)
    assert rows.digest() != replace(rows, background=rows.background.iloc[:2]).digest()


# --------------------------------------------------------------------------------------------- tables


def test_times_and_rates_are_converted_once(tmp_path) -> None:
    (tmp_path / "b.csv").write_text("time,hazard\n0,0.12\n2,0.24\n", encoding="utf-8")
    (tmp_path / "r.csv").write_text("study,arm,endpoint,start,stop,n,alive\nr,x,os,1,2,50,40\n", encoding="utf-8")
    (tmp_path / "a.csv").write_text("study,arm,treatment,endpoint,n\nr,x,a,os,50\n", encoding="utf-8")
    of = {
        "background": {"path": "b.csv", "time_unit": "years"},
        "registry": {"path": "r.csv", "time_unit": "years"},
        "arms": "a.csv",
    }
    rows = read_evidence(parse_spec(worlds.document(evidence=of), folder=str(tmp_path)))
    assert rows.background["time"].tolist() == [0.0, pytest.approx(24.0)]
    assert rows.background["hazard"].tolist() == pytest.approx([0.01, 0.02])
    assert rows.registry[["start", "time"]].to_numpy().tolist() == [[pytest.approx(12.0), pytest.approx(24.0)]]
    assert set(rows.digests) == {"a.csv", "b.csv", "r.csv"}


REGISTRY_HEAD = "study,arm,endpoint,start,stop,n,alive\n"
REFUSED = [
    ("background", "time,hazard\n1,0.1\n", r"row 1 \(line 2\), column time: found 1; allowed: 0 in the first row"),
    ("background", "time,hazard\n0,0.1\n3,0.1\n2,0.2\n", r"row 3 \(line 4\), column time: found 2; allowed: above 3"),
    ("background", "time,hazard\n0,0.1\n0,0.2\n", "allowed: each time once"),
    ("background", "time,hazard\n0,-0.1\n", "column hazard: found -0.1; allowed: a number at least 0"),
    ("background", "time,rate\n0,0.1\n", "column rate: found an unknown column; allowed: time, hazard"),
    ("registry", f"{REGISTRY_HEAD}r,x,os,5,5,10,9\n", r"column stop: found 5; allowed: above start \(5\)"),
    ("registry", f"{REGISTRY_HEAD}r,x,os,5,6,10,11\n", r"column alive: found 11; allowed: at most n \(10\)"),
    ("registry", f"{REGISTRY_HEAD}r,x,os,5,7,10,9\nr,x,os,6,8,9,8\n", "column start: found 6; allowed: at least 7"),
]


@pytest.mark.parametrize(("kind", "text", "message"), REFUSED)
def test_a_table_that_cannot_be_meant_is_refused(kind: str, text: str, message: str, tmp_path) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_table(kind, tmp_path / "t.csv")


@pytest.mark.slow
def test_what_contradicts_a_background_or_a_registry_is_refused() -> None:
    with pytest.raises(InputError, match=r"evidence\.background: found a table that the spec does not name"):
        evidence(worlds.spec(), background=BACKGROUND)
    with pytest.raises(InputError, match=r"evidence\.background: found no table"):
        evidence(worlds.spec(**NAMED))
    with pytest.raises(InputError, match=r"found nothing, beside evidence\.background, which is added to the hazards"):
        evidence(worlds.spec(**NAMED), background=BACKGROUND, hazard_ratios=worlds.TABLES["hazard_ratios"])
    blank = [{**row, "time": None} for row in worlds.TABLES["counts"]]
    with pytest.raises(InputError, match=r"column time: found empty, beside evidence\.background"):
        free = worlds.spec(**NAMED, effects__study={"exchangeable": False})
        evidence(free, background=BACKGROUND, counts=blank)
    early = [{**REGISTERED[0], "survived_to": 3.0}, *REGISTERED[1:]]
    with pytest.raises(
        InputError, match="registry, study r1, arm x, column start: found 0; allowed: times from surviv"
    ):
        evidence(worlds.spec(), arms=[*worlds.TABLES["arms"], *early])


@pytest.mark.slow
def test_the_compiled_density_knows_them() -> None:
    """With the graph's numbers: `tests/inference/test_compiled_cells.py`."""
    spec = worlds.spec(**NAMED)
    assert why_not(prepare(spec, evidence(spec, background=BACKGROUND, registry=[]))) is None
    assert why_not(prepare(worlds.spec(), evidence(worlds.spec()))) is None
    assert why_not(prepare(worlds.spec(), evidence(worlds.spec(), registry=[]))) is None


def test_one_cause_has_no_background() -> None:
    with pytest.raises(InputError, match=r"evidence\.background: found beside cause = death"):
        worlds.spec(**NAMED, cause="death")


def test_a_registry_beside_patients_of_its_arm_is_set_aside() -> None:
    twice = [{**REGISTRY[0], "study": "p1"}]
    counted = [{"study": "r1", "arm": "x", "endpoint": "os", "events": 30, "n": 100, "time": 9.0}]
    rows = evidence(worlds.spec(), registry=[*REGISTRY, *twice], counts=counted)
    aside = rows.set_aside.set_index(["kind", "study"])["reason"]
    assert aside["registry", "p1"] == "its patients, points or median are used"
    assert aside["counts", "r1"] == "its registry's intervals are used"


@pytest.mark.slow
def test_ratios_beside_a_background_are_averages_over_followup() -> None:
    """Where the background is all there is, both arms die alike and the ratio is 1."""
    spec = worlds.spec(**NAMED)
    ratios = families.with_followup(worlds.TABLES)["hazard_ratios"]
    large = [{"time": 0.0, "hazard": 50.0}]
    means = [
        posteriors.result(spec, evidence(spec, background=rows, hazard_ratios=ratios)).predictors.ratio_means
        for rows in (large, [{"time": 0.0, "hazard": 0.0}])
    ]
    assert np.abs(means[0]).max() < 0.1 * np.abs(means[1]).max()
