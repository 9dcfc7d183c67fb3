"""The battery of checks: each part against a law worked out beside it, and what it must see in worlds made wrong."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayes_bm as bb
from bayes_bm.checks.arm_normals import arm_normals
from bayes_bm.checks.battery import battery, holm
from bayes_bm.checks.pareto_smoothing import pareto_smoothed
from bayes_bm.checks.predictive_tests import first_events, patient_pit, pit_groups, predictive_checks
from bayes_bm.checks.replicates import replicated_arms
from bayes_bm.checks.study_consistency import study_checks
from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.nonparametric import at_risk, kaplan_meier, quantile
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.prior_result import prior_result
from bayes_bm.inference.result import Result
from bayes_bm.model.design import make_design
from bayes_bm.model.observations import KINDS
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.validation.broken_likelihoods import RIGHT, break_likelihood
from bayes_bm.validation.calibration import BINS, coverage, rank_gaps, rank_of, uniformity
from bayes_bm.validation.two_stage import two_stage_fit
from tests.builders import posteriors, worlds
from tests.builders.rows import arm, known, median, point, ratio
from tests.builders.worlds import half_normal, normal

T0 = 12.0


def plain(**changes: Any) -> Spec:
    return worlds.spec(**{"treatments": {"reference": "a", "compare": ["b"]}, **changes})


def at_truth(made: bb.World, **asked: Any) -> Result:
    """A posterior that knows the truth of a simulated world."""
    evidence, true = made.evidence(), made.truth
    shape, of = make_design(made.spec, evidence), true["parameters"]
    names = ("intercept", "log_shape", "study_sd", "study_treatment_sd", "study_shape_sd")
    fixed: dict[str, Any] = {name: of[name] for name in names}
    fixed |= {"log_hr": list(of["log_hr"].values())}
    fixed |= {name: [true[name][study] for study in shape.studies] for name in ("study_effect", "study_log_shape")}
    fixed["study_treatment_effect"] = [true["study_treatment_effect"][" | ".join(pair)] for pair in shape.pairs]
    return posteriors.result(made.spec, evidence, **{"chains": 2, "draws": 100, **asked}, **fixed)


def patients(rows: list[tuple[float, int]], treatment: str = "a", **more: Any) -> list[dict[str, Any]]:
    return [{"study": "s", "arm": "x", "treatment": treatment, "time": t, "event": e, **more} for t, e in rows]


# ------------------------------------------------------------------------------------------------ replicates


@pytest.mark.slow
def test_replicates_keep_their_own_events_numbers_at_risk_and_medians() -> None:
    """Each replicate's curve, events, at risk and median are those of the nonparametric functions on that replicate."""
    rng = np.random.default_rng(3)
    time, event = rng.exponential(10, 25).round(1) + 0.1, (rng.random(25) < 0.7).astype(int)
    entry = np.where(rng.random(25) < 0.4, time * rng.random(25), 0.0)
    table = [{**row, "entry": e} for row, e in zip(patients(list(zip(time, event, strict=True))), entry, strict=True)]
    result = known({"patients": table}, draws=50)
    [one] = replicated_arms(result, np.random.default_rng(1), replicates=60)
    entry = result.evidence.patients["entry"].to_numpy()
    assert one.seen.events_by(8.0) == pytest.approx(np.sum((time <= 8) & (event == 1)))
    assert one.seen.at_risk(8.0) == pytest.approx(at_risk(time, 8.0) - np.sum(entry >= 8.0))
    seen = quantile(kaplan_meier(np.sort(time), event[np.argsort(time)], entry=None))
    assert np.isfinite(seen)
    # without late entries a replicate is an ordinary sample
    result = known({"patients": patients(list(zip(time, event, strict=True)))}, draws=50)
    [one] = replicated_arms(result, np.random.default_rng(1), replicates=60)
    for row in range(60):
        own, died = one.replicate.time[row], (one.replicate.died[row] > 0).astype(int)
        curve = kaplan_meier(own, died)
        assert one.replicate.survival_at(8.0)[row] == pytest.approx(float(curve(8.0)))
        assert one.replicate.at_risk(8.0)[row] == pytest.approx(float(at_risk(own, 8.0)))
        middle = quantile(curve)
        assert one.replicate.median(unreached=99.0)[row] == pytest.approx(middle if np.isfinite(middle) else 99.0)


@pytest.mark.slow
def test_events_of_replicates_are_binomial_and_the_largest_gap_is_kolmogorovs() -> None:
    """60 exponential patients followed for 12: events by 6 are Binomial(60, 1 - exp(-0.5)). Uncensored ones have the
    gap of Kolmogorov's statistic."""
    rows = [(12.0, 0)] * 60
    table = predictive_checks(known({"patients": patients(rows)}, draws=100), replicates=4000)
    mine = table[(table["statistic"] == "events") & (table["time"] == 6.0)].iloc[0]
    law = stats.binom(60, -np.expm1(-0.5))
    assert (mine["low"], mine["median"], mine["high"]) == pytest.approx(law.ppf([0.025, 0.5, 0.975]), abs=1.0)
    assert mine["observed"] == 0
    assert mine["p"] < 0.001
    assert mine["p_family"] < 0.001

    time = stats.expon(scale=T0).ppf((np.arange(40) + 0.5) / 40)
    result = known({"patients": patients([(t, 1) for t in time])}, draws=50)
    [one] = replicated_arms(result, np.random.default_rng(2), replicates=3000)
    assert one.gap is not None
    assert one.gap[0] == pytest.approx(0.5 / 40, abs=1e-9)
    assert np.quantile(one.gap[1], [0.5, 0.9]) == pytest.approx(stats.kstwo(40).ppf([0.5, 0.9]), rel=0.03)


def test_printed_numbers_are_judged_by_their_own_laws() -> None:
    tables = {
        "arms": [arm("m", "x", "a"), arm("c", "x", "a"), arm("p", "x", "a", events=40)],
        "medians": [median("m", "x", 8.3)],
        "counts": [{"study": "c", "arm": "x", "endpoint": "os", "events": 38, "n": 40, "time": 6.0}],
        "points": [point("p", "x", 6.0, 0.6)],
        "hazard_ratios": [ratio("h", "b", "a", float(np.exp(0.5)), 0.2)],
    }
    table = predictive_checks(known(tables), replicates=4000).set_index("group")
    assert table.loc["counts", "p_family"] < 0.001
    assert table.loc["hazard ratios", "p"] > 0.9
    assert table.loc["medians", "p"] > 0.9
    assert table.loc[["medians", "hazard ratios", "points"], "p_family"].min() > 0.3


# ------------------------------------------------------------------------------------------------ PIT, first event


def test_pits_are_uniform_where_the_model_is_right_whatever_the_censoring() -> None:
    rng = np.random.default_rng(5)
    death, censoring = rng.exponential(T0, 1500), rng.exponential(8.0, 1500) + 0.5
    rows = list(zip(np.minimum(death, censoring), (death <= censoring).astype(int), strict=True))
    right = patient_pit(known({"patients": patients(rows)}, draws=20))
    assert stats.kstest(right["pit"], "uniform").pvalue > 0.01
    assert 0.3 < right["event"].mean() < 0.7
    wrong = patient_pit(known({"patients": patients(rows)}, draws=20, eta=0.4))
    assert stats.kstest(wrong["pit"], "uniform").pvalue < 1e-6
    groups = pit_groups(right)
    assert groups["group"].tolist() == ["all patients", "treatment", "study", "arm"]


def test_pits_of_late_entries_and_intervals_are_conditional() -> None:
    """Given alive at 6, F(18) = 1 - exp(-1); an event in (6, 12] lies between the two."""
    late = patient_pit(known({"patients": patients([(18.0, 1)], entry=6.0)}, draws=4))
    assert late["pit"].item() == pytest.approx(-np.expm1(-1.0))
    inside = patient_pit(known({"patients": patients([(6.0, 1)], time_upper=12.0)}, draws=4))["pit"].item()
    assert -np.expm1(-0.5) < inside < -np.expm1(-1.0)


def test_a_late_first_event_is_judged_by_an_exponential() -> None:
    """30 patients, first death at 3, mean 12: exp(-30 x 3 / 12), five times asked. Entry at 2 takes two months off."""
    rows = [(3.0, 1), *[(20.0, 0)] * 29]
    found = first_events(known({"patients": patients(rows)}, draws=4)).iloc[0]
    assert found["p"] == pytest.approx(5 * np.exp(-30 * 3 / 12))
    assert found["time"] == pytest.approx(3.0)
    late = first_events(known({"patients": patients(rows, entry=2.0)}, draws=4)).iloc[0]
    assert late["expected"] == pytest.approx(30 * 1 / 12)


@pytest.mark.slow
def test_a_study_without_early_deaths_does_not_speak_for_itself() -> None:
    """Exponential times, rate posterior Gamma(n, sum t): (S / (S + n c))^n at c = 4, S the time after c; five asked."""
    time = 4.0 + T0 * np.random.default_rng(4).exponential(size=20)
    result = known({"patients": patients([(t, 1) for t in time])}, draws=10_000)
    of = stats.gamma(20, scale=T0 / time.sum()).ppf((np.arange(20_000) + 0.5) / 20_000)
    rate = np.random.default_rng(1).permutation(of).reshape(2, -1)
    posterior = result.posterior.assign(intercept=(("chain", "draw"), np.log(rate)))
    found = first_events(replace(result, posterior=posterior)).iloc[0]
    after = (time - 4.0).sum()
    assert found["time"] == pytest.approx(4.0)
    assert found["p"] == pytest.approx(5 * (after / (after + 20 * 4.0)) ** 20, rel=0.03)
    # what the whole posterior says of it, the study's own silence included, is twice as much
    assert 5 * np.mean(np.exp(-20 * rate * 4.0 / T0)) > 2 * found["p"]


# ------------------------------------------------------------------------------------------------ sites, studies


def test_the_site_of_patients_is_the_normal_of_their_likelihood() -> None:
    """400 exponential-family patients: mode and curvature of the Weibull likelihood, by scipy's own numbers."""
    rng = np.random.default_rng(7)
    time = T0 * rng.weibull(1.3, 400)
    result = known({"patients": patients([(t, 1) for t in time])}, draws=10)
    sites = arm_normals(result)
    precision = sites.slope.T @ sites.slope
    mean = np.linalg.solve(precision, sites.slope.T @ sites.value)
    k, _, scale = stats.weibull_min.fit(time, floc=0)
    assert mean == pytest.approx([-k * np.log(scale / T0), np.log(k)], abs=0.02)
    # the information of a Weibull sample about its log shape, level known: n pi^2 / 6 + n (1 - gamma)^2 at t0 = scale
    assert 1 / np.sqrt(precision[0, 0]) == pytest.approx(1 / 20, rel=0.1)


def test_a_lone_ratio_is_judged_by_the_others_as_by_hand() -> None:
    """Four printed ratios, no effects but the contrast's, sd between studies fixed near 0: the fourth against the
    weighted mean of three."""
    between = {"dist": "uniform", "lower": 0.0, "upper": 1e-3, "why": "test"}
    spec = plain(effects={"study_treatment": {"sd": between}}, priors__log_hr=normal(50.0))
    rows = [ratio(f"h{at}", "b", "a", float(np.exp(y)), 0.2) for at, y in enumerate((0.1, 0.2, 0.3, 1.2))]
    result = posteriors.result(spec, worlds.evidence(spec, {"hazard_ratios": rows}), draws=10)
    table = study_checks(result)
    worst = table[(table["question"] == "contrast of a study") & (table["study"] == "h3")].iloc[0]
    assert worst["found"] == pytest.approx(1.2 - 0.2, abs=1e-3)
    assert worst["expected_sd"] == pytest.approx(0.2 * np.sqrt(1 + 1 / 3), abs=1e-3)
    assert worst["p"] == pytest.approx(2 * stats.norm.sf(1.0 / (0.2 * np.sqrt(4 / 3))), rel=1e-2)


@pytest.mark.parametrize(("sign", "last"), [(1, -1.2), (-1, 1.2), (1, 0.9), (-1, -0.9)])
def test_exchanged_treatments_are_a_contrast_against_the_sign_of_the_others(sign: int, last: float) -> None:
    between = {"dist": "uniform", "lower": 0.0, "upper": 1e-3, "why": "test"}
    spec = plain(effects={"study_treatment": {"sd": between}}, priors__log_hr=normal(50.0))
    logs = [*(sign * y for y in (0.1, 0.2, 0.3)), last]
    rows = [ratio(f"h{at}", "b", "a", float(np.exp(y)), 0.5) for at, y in enumerate(logs)]
    table = study_checks(posteriors.result(spec, worlds.evidence(spec, {"hazard_ratios": rows}), draws=10))
    found = table[(table["question"] == "treatments of a study exchanged") & (table["study"] == "h3")].iloc[0]
    z = sign * (last - sign * 0.2) / (0.5 * np.sqrt(4 / 3))
    assert found["p"] == pytest.approx(stats.norm.cdf(z), rel=1e-2)


@pytest.mark.slow
def test_p_values_of_studies_are_uniform_in_right_worlds() -> None:
    """Of some 100 p values a study's question; each world has one of heterogeneity of a kind and one of a treatment's
    shape, which are asked together.
    """
    found = []
    for seed in range(12):
        made = bb.simulate(plain(), seed=seed, numbers="likelihood", studies=10)
        found.append(study_checks(at_truth(made)))
    table = pd.concat(found)
    asked = table["question"].where(table["question"].str.endswith(("of a study", "exchanged")), "once a world")
    assert (asked == "once a world").sum() == 4 * 12
    for question, mine in table.groupby(asked):
        p = mine["p"].to_numpy()
        assert stats.binomtest(int(np.sum(p < 0.1)), len(p), 0.1).pvalue > 0.001, question
        if question.endswith("of a study"):  # two-sided, and many
            assert stats.kstest(p, "uniform").pvalue > 0.001, question


# ------------------------------------------------------------------------------------------------ two stages


def test_smoothed_weights_know_heavy_tails() -> None:
    rng = np.random.default_rng(1)
    for k in (0.2, 0.9):
        _, found = pareto_smoothed(np.log(stats.genpareto(k).rvs(20_000, random_state=rng) + 1))
        assert found == pytest.approx(k, abs=0.15)


def test_two_stages_give_a_conjugate_posterior() -> None:
    """Exponential survival of one study under a wide prior: the log rate is that of a gamma law."""
    rng = np.random.default_rng(2)
    rows = patients([(t, 1) for t in rng.exponential(9.0, 12)])
    spec = plain(
        effects={}, hazard={"family": "exponential"}, priors={"intercept": normal(30.0), "log_hr": normal(1.0)}
    )
    of = two_stage_fit(spec, worlds.evidence(spec, {"patients": rows})).posterior["intercept"].to_numpy().ravel()
    law = stats.loggamma(12, loc=-np.log(sum(row["time"] for row in rows) / T0))
    assert of.mean() == pytest.approx(law.mean(), abs=5 * law.std() / np.sqrt(2000))
    assert of.std() == pytest.approx(law.std(), rel=0.08)
    assert np.quantile(of, [0.025, 0.975]) == pytest.approx(law.ppf([0.025, 0.975]), abs=0.12)


@pytest.mark.slow
def test_two_stages_agree_with_the_sampler() -> None:
    made = bb.simulate(plain(), seed=4, studies=10)
    evidence = made.evidence()
    one, other = (
        two_stage_fit(made.spec, evidence),
        bb.fit(made.spec, evidence, draws=1000, tune=500, chains=4, cores=1),
    )
    assert one.gate.passed
    for name in ("intercept", "log_hr", "log_shape", "study_sd", "study_treatment_sd", "study_shape_sd"):
        mine, theirs = (of.posterior[name].to_numpy().ravel() for of in (one, other))
        assert mine.mean() == pytest.approx(theirs.mean(), abs=0.12 * theirs.std()), name
        assert mine.std() == pytest.approx(theirs.std(), rel=0.12), name


def test_two_stages_refuse_what_they_do_not_know() -> None:
    spec = plain(effects__study={"exchangeable": False})
    with pytest.raises(InputError, match="two stages do not know"):
        two_stage_fit(spec, worlds.evidence(spec, {"patients": patients([(3.0, 1)])}))


# ------------------------------------------------------------------------------------------------ battery


def test_holm_stops_at_the_first_that_is_kept() -> None:
    asked = pd.DataFrame({"question": list("abcd"), "worst": "", "p": 0.0, "asked": 1, "words": ""})
    found = holm(asked.assign(p_question=[0.2, 0.024, 0.034, 0.01]), 0.1)
    assert found["question"].tolist() == ["d", "b", "c", "a"]
    assert found["threshold"].tolist() == pytest.approx([0.025, 0.1 / 3, 0.05, 0.1])
    assert found["flagged"].tolist() == [True, True, True, False]
    assert not holm(asked.assign(p_question=[0.03, 0.03, 0.03, 0.03]), 0.1)["flagged"].any()


def test_weights_share_the_level_beforehand() -> None:
    """Exchanged arms weigh 3, first events 2, what is not named a half: 0.1 x 3 / 5.5 first, then 0.1 x 2 / 2.5."""
    named = ["level of a study", "treatments of a study exchanged", "first event of a study"]
    asked = pd.DataFrame({"question": named, "worst": "", "p": 0.0, "asked": 1, "words": ""})
    found = holm(asked.assign(p_question=[0.021, 0.05, 0.06]), 0.1)
    assert found["question"].tolist() == [named[1], named[2], named[0]]
    assert found["threshold"].tolist() == pytest.approx([0.3 / 5.5, 0.08, 0.1])
    assert found["flagged"].tolist() == [True, True, True]
    assert not holm(asked.assign(p_question=[0.021, 0.056, 0.06]), 0.1)["flagged"].any()


TRUTH = {
    "intercept": 0.0,
    "log_hr": -0.8,
    "log_shape": 0.1,
    "study_sd": 0.2,
    "study_treatment_sd": 0.1,
    "study_shape_sd": 0.05,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "question"),
    [
        (None, None),
        ("swapped_arms", "treatments of a study exchanged"),
        ("wrong_units", "time unit of a study"),
        ("guarantee_period", "first event of a study"),
        ("crossing_hazards", "shape of a treatment"),
    ],
)
def test_gross_errors_are_flagged_and_named(wrong: str | None, question: str | None) -> None:
    made = bb.simulate(plain(), seed=8, studies=14, sizes=(60, 120), truth=TRUTH, wrong=wrong)
    found = battery(two_stage_fit(made.spec, made.evidence(), proposals=2000), replicates=1000)
    flagged = found.flagged.set_index("question")
    if question is None:
        assert flagged.empty
        assert found.sentences()[0].startswith("Nothing is flagged")
        return
    assert question in flagged.index
    for struck in made.truth["struck"]:
        assert struck in flagged.loc[question, "words"]


@pytest.mark.slow
def test_other_models_are_checked_too() -> None:
    """Free levels, no shapes: every table is made, no number is missing."""
    changed: list[dict[str, Any]] = [
        {},
        {"effects__study": {"exchangeable": False}},
        {"effects": {"study": {"sd": half_normal(0.5)}}},
    ]
    for changes in changed:
        spec = worlds.spec(**changes)
        found = battery(posteriors.result(spec, worlds.evidence(spec)), replicates=200)
        assert found.flags["p_question"].between(0, 1).all()
        assert np.isfinite(found.predictive[["p", "p_family"]].to_numpy(dtype=float)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "cure"),
    [*((family, True) for family in FAMILIES), *((family, False) for family in ("weibull", "lognormal", "mspline"))],
)
def test_every_family_is_checked(family: str, cure: bool) -> None:
    """A cured hazard asks all of its family's functions; without it one family of each kind is asked."""
    of = FAMILIES[family]
    effect = "log_hr" if of.effect == "hazard" else "log_time_ratio"
    priors = {"intercept": normal(0.3), effect: normal(0.3), **{name: normal(0.2) for name in of.shapes}}
    priors |= {"smooth_sd": half_normal(0.3)} if of.flexible else {}
    priors |= {"logit_cure": normal(0.3)} if cure else {}
    knots = {"knots": [5.0, 10.0, 15.0], "end": 30.0} if of.flexible else {}
    hazard = {"family": family, "cure": cure, **knots}
    spec = worlds.spec(priors=priors, hazard=hazard, effects={"study": {"sd": half_normal(0.3)}})
    ratios = [{**row, "followup": 24.0} for row in worlds.TABLES["hazard_ratios"]]
    evidence = worlds.evidence(spec, {**worlds.TABLES, "hazard_ratios": ratios})
    result = replace(prior_result(spec, draws=24), spec=spec, evidence=evidence)
    assert battery(result, replicates=40).flags["p_question"].between(0, 1).all()


# ------------------------------------------------------------------------------------------------ calibration


def test_ranks_are_uniform_under_the_right_law_and_not_under_a_narrow_one() -> None:
    rng = np.random.default_rng(9)
    truth = rng.standard_normal(600)
    right = [rank_of(value, rng.standard_normal(1000), rng) for value in truth]
    narrow = [rank_of(value, 0.7 * rng.standard_normal(1000), rng) for value in truth]
    table = uniformity(pd.DataFrame({"right": right, "narrow": narrow})).set_index("parameter")
    assert table.loc["right", ["chi_squared_p", "ecdf_p"]].min() > 0.001
    assert table.loc["narrow", "chi_squared_p"] < 1e-6
    assert BINS * 5 == 100


def test_coverage_counts_central_intervals() -> None:
    rng = np.random.default_rng(4)
    shares = pd.DataFrame({"right": rng.random(1000), "narrow": stats.norm.cdf(stats.norm.ppf(rng.random(1000)) * 1.5)})
    table = coverage(shares).set_index(["answer", "level"])
    assert table.loc["right", "met"].all()
    assert table.loc[("narrow", 0.9), "covered"] == pytest.approx(2 * stats.norm.cdf(1.645 / 1.5) - 1, abs=0.04)
    assert not table.loc[("narrow", 0.9), "met"]


def test_a_broken_likelihood_is_broken_once_and_mended() -> None:
    """However often it is asked for, and whatever was broken before: log h loses log k at an event."""
    row = {"log_u": 0.3, "log_upper": 0.3, "log_entry": -50.0, "exact": 1.0, "interval": 0.0, "weight": 1.0}
    data = SimpleNamespace(**{name: np.array([value]) for name, value in row.items()}, log_t0=0.0)
    try:
        for name in ("twice", "no_shape", "no_shape"):
            break_likelihood(name)
        given = FAMILIES["weibull"], data, np.array([0.2]), np.array([[0.4]])
        wrong, right = (of["patients"].log_density(*given, xp=NUMPY) for of in (KINDS, RIGHT))
        assert wrong - right == pytest.approx(-0.4)
        assert KINDS["points"] is RIGHT["points"]
    finally:
        break_likelihood("")
    assert KINDS == RIGHT


@pytest.mark.slow
def test_the_band_of_ranks_holds_uniform_lines_and_gaps_are_those_of_the_ecdf() -> None:
    rng = np.random.default_rng(4)
    table = pd.DataFrame(rng.integers(0, 100, (60, 400)), columns=[f"p{at}" for at in range(400)])
    gaps = rank_gaps(table)
    by_hand = [(table["p7"] <= at).mean() - (at + 1) / 100 for at in range(99)]
    assert gaps["p7"].to_numpy() == pytest.approx(by_hand, abs=1e-12)
    inside = [bool((gaps[name].abs() <= gaps["band"]).all()) for name in table]
    # 400 lines: 95 % but for three standard errors
    assert np.mean(inside) == pytest.approx(0.95, abs=0.035)
