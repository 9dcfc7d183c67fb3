"""Synthetic worlds against closed forms: the Monte Carlo error of each number is in its tolerance (4 or 5 standard
errors).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import bayes_bm as bb
from bayes_bm.cli.app import main
from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.runtime.errors import InputError
from bayes_bm.validation.simulation import truth as recorded
from bayes_bm.validation.simulation.wrong_worlds import MIXED, WEEKS_PER_MONTH, WRONG
from tests.builders import worlds
from tests.builders.worlds import half_normal, normal

T0 = 12.0
FIXED: dict[str, Any] = {"intercept": 0.2, "log_hr": {"b": -0.5, "c": 0.3}, "log_shape": 0.25}
STILL = {**FIXED, "study_sd": 0.0, "study_treatment_sd": 0.0, "study_shape_sd": 0.0}
ETA = {"a": 0.2, "b": -0.3, "c": 0.5}
SHAPE = np.exp(0.25)


SPEC = worlds.spec()


def world(seed: int = 1, truth: dict[str, Any] | None = None, **asked: Any) -> bb.World:
    return bb.simulate(SPEC, seed=seed, truth=STILL if truth is None else truth, **asked)


def dead(treatment: str, time: float) -> float:
    return float(-np.expm1(-((time / T0) ** SHAPE) * np.exp(ETA[treatment])))


def only(kind: str) -> dict[str, float]:
    return {kind: 1.0}


@pytest.mark.slow
def test_a_world_of_a_shipped_spec_keeps_the_words_of_the_analyses_that_it_keeps() -> None:
    """Before, `bayes-bm simulate os_reresection_vs_resrs` was refused: words named analyses that choose evidence."""
    made = bb.simulate(bb.read_spec("os_reresection_vs_resrs"), seed=1, studies=4, mix=only("medians")).spec
    assert set(made.sensitivity_words) <= set(made.sensitivity) and "sceptical" in made.sensitivity


# ---------------------------------------------------------------------------------------------- from patients


@pytest.mark.slow
def test_patients_follow_the_true_curve() -> None:
    """Kaplan-Meier of 60 x 400 patients beside S(t) = exp(-H(t)), within 4.5 Greenwood errors; treatments in turn."""
    made = world(mix=only("patients"), studies=60, sizes=(400, 400)).tables["patients"]
    for treatment, mine in made.groupby("treatment"):
        curve = kaplan_meier(mine["time"], mine["event"])
        for time in (3.0, 6.0, 12.0, 18.0):
            at = np.searchsorted(curve.time, time, side="right") - 1
            assert curve(time) == pytest.approx(1 - dead(str(treatment), time), abs=4.5 * curve.se[at])
    assert set(made["treatment"]) == {"a", "b", "c"}
    assert 0.05 < 1 - made["event"].mean() < 0.5


@pytest.mark.slow
def test_printed_medians_points_ratios_and_counts_are_those_of_the_model() -> None:
    """Means over studies of large arms, against closed forms, within 4.5 of their own standard errors."""
    medians = world(mix=only("medians"), studies=60, sizes=(400, 400)).tables["medians"]
    arms = {"a": [], "b": [], "c": []}
    for row in medians.to_dict("records"):
        true = T0 * (np.log(2) / np.exp(ETA[row["arm"]])) ** (1 / SHAPE)
        arms[row["arm"]].append(np.log(row["median"] / true))
    noise = np.concatenate(list(arms.values()))
    assert abs(noise.mean()) < 4.5 * noise.std() / np.sqrt(len(noise)) + 0.002
    given = medians.dropna(subset=["ci_high"])
    inside = [
        row["ci_low"] <= T0 * (np.log(2) / np.exp(ETA[row["arm"]])) ** (1 / SHAPE) <= row["ci_high"]
        for row in given.to_dict("records")
    ]
    assert stats.binomtest(sum(inside), len(inside), 0.95).pvalue > 0.001

    points = world(mix=only("points"), studies=60, sizes=(400, 400)).tables["points"]
    gap = [row["survival"] - 1 + dead(row["arm"], row["time"]) for row in points.to_dict("records")]
    assert abs(np.mean(gap)) < 4.5 * np.std(gap) / np.sqrt(len(gap))
    given = points.dropna(subset=["ci_low"])
    inside = given["ci_low"].to_numpy() <= 1 - np.array(
        [dead(a, t) for a, t in zip(given.arm, given.time, strict=True)]
    )
    assert stats.binomtest(int(inside.sum()), len(inside), 0.975).pvalue > 0.001

    ratios = world(mix=only("hazard_ratios"), studies=60, sizes=(400, 400)).tables["hazard_ratios"]
    se = np.log(ratios["ci_high"] / ratios["ci_low"]) / 3.919928
    z = (np.log(ratios["hr"]) - ratios["treatment"].map({"b": -0.5, "c": 0.3})) / se
    assert abs(z.mean()) < 4.5 / np.sqrt(60)
    assert stats.chi2(60).cdf(np.sum(z**2)) == pytest.approx(0.5, abs=0.4995)

    counts = world(mix=only("counts"), studies=60, sizes=(400, 400)).tables["counts"]
    p = np.array([dead(arm, 12.0) for arm in counts["arm"]])
    z = (counts["events"] - counts["n"] * p) / np.sqrt(counts["n"] * p * (1 - p))
    assert abs(z.mean()) < 4.5 / np.sqrt(len(z))


@pytest.mark.slow
def test_kinds_keep_their_share_and_arms_their_size() -> None:
    made = world(studies=28, sizes=(30, 60))
    arms = pd.DataFrame(made.tables["arms"])
    studies = {kind: made.tables[kind]["study"].nunique() for kind in ("patients", "points", "medians", "counts")}
    assert studies | {"hazard_ratios": len(made.tables["hazard_ratios"])} == {
        "patients": 6,
        "points": 8,
        "medians": 8,
        "hazard_ratios": 4,
        "counts": 2,
    }
    assert arms["n"].between(30, 60).all()
    evidence = made.evidence()
    assert evidence.set_aside.empty or set(evidence.set_aside["kind"]) <= {"medians (interval)"}


# ---------------------------------------------------------------------------------------------- from the likelihoods


@pytest.mark.slow
def test_rows_drawn_from_the_likelihoods_have_their_laws() -> None:
    """Decision 5 (docs/decisions.md): y_1 of a n is binomial; decision 6: F(m) uniform under its Beta law; decision 7:
    log HR standard normal.
    """
    asked = {"numbers": "likelihood", "studies": 90, "sizes": (40, 40)}
    points = world(mix=only("points"), **asked).tables["points"]
    first = points[points["time"] == 6.0]
    p = np.array([1 - dead(arm, 6.0) for arm in first["arm"]])
    z = (32 * first["survival"] - 32 * p) / np.sqrt(32 * p * (1 - p))
    assert abs(z.mean()) < 4.5 / np.sqrt(len(z))
    assert stats.chi2(len(z)).cdf(np.sum(z**2)) == pytest.approx(0.5, abs=0.4995)

    medians = world(mix=only("medians"), **asked).tables["medians"]
    order = medians[medians["ci_low"].isna() & medians["median"].notna()]
    law = stats.beta(16.5, 16.5)
    u = [law.cdf(dead(row["arm"], row["median"])) for row in order.to_dict("records")]
    assert stats.kstest(u, "uniform").pvalue > 0.001
    normal_rows = medians.dropna(subset=["ci_high"])
    sd = np.log(normal_rows["ci_high"] / normal_rows["ci_low"]) / 3.919928
    true = np.array([T0 * (np.log(2) / np.exp(ETA[arm])) ** (1 / SHAPE) for arm in normal_rows["arm"]])
    assert stats.kstest(np.log(normal_rows["median"] / true) / sd, "norm").pvalue > 0.001

    ratios = world(mix=only("hazard_ratios"), **asked).tables["hazard_ratios"]
    z = (np.log(ratios["hr"]) - ratios["treatment"].map({"b": -0.5, "c": 0.3})) / ratios["se_log_hr"]
    assert stats.kstest(z, "norm").pvalue > 0.001


def test_sizes_of_drawn_points_are_whole() -> None:
    sequences = world(mix=only("points"), numbers="likelihood", studies=20).evidence().sequences
    alive = sequences["size"] * sequences["ratio"]
    assert np.allclose(sequences["size"], np.round(sequences["size"]))
    assert np.allclose(alive, np.round(alive), atol=1e-9)


# ---------------------------------------------------------------------------------------------- truth


@pytest.fixture(scope="module")
def truths() -> list[dict[str, Any]]:
    """What is recorded of 80 small worlds."""
    return [bb.simulate(SPEC, seed=seed, studies=4, mix=only("counts"), sizes=(5, 5)).truth for seed in range(80)]


@pytest.mark.slow
def test_parameters_come_from_their_priors_and_effects_from_their_laws(truths: list[dict[str, Any]]) -> None:
    """Intercept N(0, 1), study_sd half-normal; effects over their sds are standard normal."""
    intercepts, sds, level, pairs = [], [], [], []
    for true in truths:
        of = true["parameters"]
        intercepts.append(of["intercept"])
        sds.append(of["study_sd"])
        level += [value / of["study_sd"] for value in true["study_effect"].values()]
        sd = of["study_treatment_sd"] / np.sqrt(2)
        pairs += [value / sd for value in true["study_treatment_effect"].values()]
    assert stats.kstest(intercepts, "norm").pvalue > 0.001
    assert stats.kstest(sds, stats.halfnorm(scale=0.5).cdf).pvalue > 0.001
    assert stats.kstest(level, "norm").pvalue > 0.001
    assert stats.kstest(pairs, "norm").pvalue > 0.001


def test_recorded_answers_are_those_of_simulation() -> None:
    """S(12) of a new study = E over fresh effects, against one integral by quad; RMST by double quadrature."""
    given = {**FIXED, "study_sd": 0.6, "study_treatment_sd": 0.0, "study_shape_sd": 0.0}
    rows = pd.DataFrame(world(truth=given).truth["answers"]).set_index(["who", "estimand", "treatment"])
    alive, _ = integrate.quad(lambda z: stats.norm.pdf(z) * np.exp(-np.exp(0.2 + 0.6 * z)), -9, 9)
    found = rows.loc[("new-study", "survival", "a")]
    assert found[found["time"] == 12.0]["value"].item() == pytest.approx(alive, abs=1e-6)
    average, _ = integrate.quad(lambda t: 1 - dead("b", t), 0, 24.0)
    assert rows.loc[("average-study", "rmst", "b"), "value"].item() == pytest.approx(average, rel=1e-7)
    ratio = rows.loc[("average-study", "log_hazard_ratio", "b"), "value"]
    assert np.ravel(ratio)[0] == pytest.approx(-0.5)


def test_answers_are_worked_out_when_they_are_asked_for_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def answers(*given: Any) -> pd.DataFrame:
        asked.append(given)
        return pd.DataFrame({"who": ["average-study"], "time": [12.0]})

    monkeypatch.setattr("bayes_bm.validation.simulation.truth.answers", answers)
    truth = world(mix=only("counts"), studies=3, sizes=(5, 5)).truth
    assert truth["parameters"]["log_shape"] == 0.25
    assert not asked
    assert dict(truth)["answers"] == truth["answers"] == [{"who": "average-study", "time": 12.0}]
    assert len(asked) == 1


@pytest.mark.slow
def test_a_new_hospital_is_a_fresh_draw(truths: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """At the reference time log H under the reference is the level and both effects, whatever the shape.

    Answers about whom nobody asks here, which are most of the work, are left out.
    """
    pairs = recorded.compared_pairs
    monkeypatch.setattr(
        recorded, "compared_pairs", lambda of, who: pairs(of, who=who) if who.name == "new-hospital" else ()
    )
    z = []
    for true in truths:
        [survival] = [
            row["value"]
            for row in true["answers"]
            if (row["estimand"], row["treatment"], row["time"]) == ("survival", "a", T0)
        ]
        of = true["parameters"]
        sd = np.hypot(of["study_sd"], of["study_treatment_sd"] / np.sqrt(2))
        z.append((np.log(-np.log(survival)) - of["intercept"]) / sd)
    assert stats.kstest(z, "norm").pvalue > 0.001


@pytest.mark.slow
def test_a_study_without_a_finite_ratio_prints_none() -> None:
    """In this world nobody dies in one arm of study 13; its ratio would be 1.6e-14, from 0 to infinity."""
    alike = {"covariates": {}, "evidence.prognostic_ratios": [], "prognosis": None, "external_checks": []}
    spec = bb.read_spec("os_reresection_vs_resrs", changes=alike)
    made = bb.simulate(spec, seed=33, numbers="patients")
    assert list(made.tables["hazard_ratios"]["study"]) == ["study 12"]
    assert len(made.evidence().hazard_ratios) == 1


@pytest.mark.slow
def test_free_levels_are_drawn_for_each_study_and_only_ratios_are_answered() -> None:
    spec = worlds.spec(effects__study={"exchangeable": False}, effects__study_shape=None)
    made = bb.simulate(spec, seed=3, studies=6)
    assert "intercept" not in made.truth["parameters"]
    assert {row["estimand"] for row in made.truth["answers"]} == {"log_hazard_ratio"}
    assert len(set(made.truth["study_effect"].values())) == 6
    made.evidence()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["exponential", "gompertz", "lognormal", "loglogistic", "gengamma"])
def test_other_families_make_worlds_too(family: str) -> None:
    priors = {
        "exponential": {},
        "gompertz": {"slope": normal(0.3)},
        "lognormal": {"log_sd": normal(0.3)},
        "loglogistic": {"log_shape": normal(0.3)},
        "gengamma": {"log_sd": normal(0.2), "q": normal(0.3)},
    }[family]
    effect = "log_hr" if family in ("exponential", "gompertz") else "log_time_ratio"
    changed = {"priors": {"intercept": normal(0.5), effect: normal(0.5), **priors}, "hazard": {"family": family}}
    spec = worlds.spec(**changed, effects={"study": {"sd": half_normal(0.3)}})
    bb.simulate(spec, seed=2).evidence()


# ---------------------------------------------------------------------------------------------- covariates


WITH = {
    "covariates": {
        "kps": {"prior": normal(0.5), "centre": 0.4, "lower": 0.0, "upper": 1.0},
        "age": {"prior": normal(0.5), "centre": 60.0, "scale": 10.0},
    }
}


@pytest.mark.slow
def test_covariates_move_patients_and_are_stated_by_printed_arms() -> None:
    """exp(H) of patients with a coefficient of 1: KM at kps = 1 and 0 beside the closed form."""
    spec = worlds.spec(**WITH)
    given = {**STILL, "coefficient": {"kps": 1.0, "age": 0.0}}
    made = bb.simulate(spec, seed=4, truth=given, mix=only("patients"), studies=30, sizes=(400, 400)).tables["patients"]
    mine = made[made["treatment"] == "a"]
    assert mine["kps"].mean() == pytest.approx(0.4, abs=0.03)
    assert mine["age"].mean() == pytest.approx(60, abs=0.7)
    for value in (0.0, 1.0):
        part = mine[mine["kps"] == value]
        curve = kaplan_meier(part["time"], part["event"])
        at = np.searchsorted(curve.time, 6.0, side="right") - 1
        alive = np.exp(-(0.5**SHAPE) * np.exp(0.2 + (value - 0.4)))
        assert curve(6.0) == pytest.approx(alive, abs=4.5 * curve.se[at])
    arms = bb.simulate(spec, seed=4).tables["arms"]
    printed = ~arms["study"].isin(bb.simulate(spec, seed=4).tables["patients"]["study"])
    assert arms.loc[printed, ["share_kps", "mean_age", "sd_age"]].notna().all().all()


# ---------------------------------------------------------------------------------------------- wrong worlds


def _km(made: bb.World, **chosen: str) -> Any:
    rows = made.tables["patients"]
    for name, value in chosen.items():
        rows = rows[rows[name] == value]
    return kaplan_meier(rows["time"], rows["event"])


def _of_study(made: bb.World, study: str) -> pd.DataFrame:
    return made.tables["patients"].loc[lambda rows: rows["study"] == study]


BIG: dict[str, Any] = {"mix": only("patients"), "studies": 8, "sizes": (400, 400)}


@pytest.mark.slow
def test_every_wrong_world_is_wrong_where_it_says() -> None:
    right = world(5, **BIG)
    struck = world(5, wrong="guarantee_period", **BIG).truth["struck"][0]
    assert _km(world(5, wrong="guarantee_period", **BIG), study=struck)(4.0) == 1.0
    assert _km(right, study=struck)(4.0) < 0.9

    swapped = world(5, wrong="swapped_arms", **BIG)
    before, after = (_of_study(made, swapped.truth["struck"][0]) for made in (right, swapped))
    assert before["time"].equals(after["time"])
    assert not (before["treatment"] == after["treatment"]).any()

    weeks = world(5, wrong="wrong_units", **BIG)
    struck = weeks.truth["struck"][0]
    assert np.allclose(_of_study(weeks, struck)["time"] / _of_study(right, struck)["time"], WEEKS_PER_MONTH)
    others = (made.tables["patients"].loc[lambda rows: rows["study"] != struck, "time"] for made in (right, weeks))
    assert next(others).equals(next(others))

    immortal = world(5, wrong="immortal_time", **BIG)
    assert _km(immortal, treatment="b")(2.9) == 1.0
    assert _km(immortal, treatment="a")(2.9) < 0.95
    conditional = (1 - dead("b", 12.0)) / (1 - dead("b", 3.0))
    assert _km(immortal, treatment="b")(12.0) == pytest.approx(conditional, abs=0.06)

    informative = world(5, wrong="informative_censoring", **BIG)
    lost = right.tables["patients"]["event"].sum() - informative.tables["patients"]["event"].sum()
    assert lost / right.tables["patients"]["event"].sum() == pytest.approx(0.4, abs=0.05)

    crossing = world(5, wrong="crossing_hazards", **BIG)
    k = SHAPE * np.exp(0.8)
    for time in (6.0, 18.0):
        alive = np.exp(-((time / T0) ** k) * np.exp(0.2))
        assert _km(crossing, treatment="b")(time) == pytest.approx(alive, abs=0.08)

    assert set(np.abs(list(world(5, wrong="heterogeneous_shapes", **BIG).truth["study_log_shape"].values()))) == {0.7}
    milder = world(5, wrong="non_proportional_hazards", **BIG).truth["parameters"]["treatment_log_shape"]
    assert milder == {"b": 0.35, "c": 0.35}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WRONG if name not in MIXED])
def test_every_wrong_world_is_evidence_that_can_be_read(name: str) -> None:
    made = world(7, wrong=name)
    made.evidence()
    assert made.truth["wrong"] == name


# ---------------------------------------------------------------------------------------------- files, calls


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """Five studies of a small model: as many tables as a large world, and a fifth of its answers."""
    for name, seed in (("one", "4"), ("two", "4"), ("three", "5")):
        asked = ("--out", str(tmp_path / name), "--seed", seed, "--studies", "5")
        main_ok("simulate", "published_os_reresection_vs_resrs", *asked)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")
    assert _bytes(tmp_path / "one") != _bytes(tmp_path / "three")


@pytest.mark.slow
def test_a_written_world_is_read_as_it_was_made(tmp_path: Path) -> None:
    made = world(2)
    made.write(tmp_path)
    spec, evidence, truth = bb.read_world(tmp_path)
    assert evidence.digest() == made.evidence().digest()
    assert truth == json.loads(json.dumps(dict(made.truth)))
    assert spec.digest() == made.spec.digest()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["drawn", "clicked"])
def test_curves_are_rebuilt_into_the_patients_they_show(how: Any, tmp_path: Path) -> None:
    right, made = world(3, studies=5, mix=only("patients")), world(3, studies=5, mix=only("patients"), curves=how)
    made.write(tmp_path)
    _, evidence, _ = bb.read_world(tmp_path)
    assert len(evidence.patients) == len(right.tables["patients"])
    events = [table.groupby(["study", "arm"])["event"].sum() for table in (evidence.patients, right.tables["patients"])]
    assert (events[0] == events[1]).all()
    shown = dict(iter(right.tables["patients"].groupby(["study", "arm"])))
    for key, mine in evidence.patients.groupby(["study", "arm"]):
        theirs = shown[key]
        gap = kaplan_meier(mine["time"], mine["event"])(8.0) - kaplan_meier(theirs["time"], theirs["event"])(8.0)
        assert abs(gap) < (0.02 if how == "drawn" else 0.05)


@pytest.mark.slow
def test_figures_are_read_into_the_patients_they_show() -> None:
    given: dict[str, Any] = {"studies": 4, "mix": only("patients")}
    right = world(3, **given).tables["patients"]
    evidence = world(3, **given, curves="figures", figure_files=("svg", "pdf")).evidence()
    assert len(evidence.patients) == len(right)
    shown = dict(iter(right.groupby(["study", "arm"])))
    read = dict(iter(evidence.patients.groupby(["study", "arm"])))
    assert read.keys() == shown.keys()
    for key, patients in read.items():
        wanted = shown[key]
        for time in (4.0, 8.0):
            gap = kaplan_meier(patients["time"], patients["event"])(time) - kaplan_meier(
                wanted["time"], wanted["event"]
            )(time)
            assert abs(gap) < 0.01, key


def main_ok(*arguments: str) -> None:
    with pytest.raises(SystemExit) as done:
        main(list(arguments))
    assert done.value.code in (0, None)


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"wrong": "swaped_arms"}, "wrong: found swaped_arms; allowed: immortal_time"),
        ({"mix": {"curve": 1.0}}, "mix: found curve"),
        ({"sizes": (3, 2)}, "sizes"),
        ({"studies": 1}, "studies"),
        ({"truth": {"log_hz": 1.0}}, "truth, log_hz: found an unknown parameter"),
        ({"truth": {"log_hr": {"z": 1.0}}}, "truth, log_hr, z"),
        ({"truth": {"study_sd": -1.0}}, "truth, study_sd"),
        ({"wrong": "guarantee_period", "mix": {"medians": 1.0}}, "wrong = guarantee_period"),
        ({"wrong": "ratio_turned"}, "wrong = ratio_turned: found no ratio of a covariate in this world"),
        ({"wrong": "share_turned"}, "wrong = share_turned: found no arm prints a share in this world"),
        ({"numbers": "likelihood", "wrong": "swapped_arms"}, "numbers = patients"),
    ],
)
def test_a_wrong_call_is_told(asked: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError, match=place):
        bb.simulate(worlds.spec(), **asked)


@pytest.mark.slow
@pytest.mark.usefixtures("one_try")
def test_truth_is_recovered() -> None:
    """One large world: every top-level parameter within 3.5 posterior sds of its truth."""
    made = bb.simulate(worlds.spec(), seed=11, studies=16, sizes=(80, 120))
    result = bb.fit(made.spec, made.evidence(), draws=400, tune=400, chains=2, cores=1)
    true = made.truth["parameters"]
    for name in ("intercept", "log_shape", "study_sd", "study_treatment_sd", "study_shape_sd"):
        values = result.posterior[name].to_numpy()
        assert abs(values.mean() - true[name]) < 3.5 * values.std(), name
    for treatment, value in true["log_hr"].items():
        values = result.posterior["log_hr"].sel(treatment=treatment).to_numpy()
        assert abs(values.mean() - value) < 3.5 * values.std(), treatment
