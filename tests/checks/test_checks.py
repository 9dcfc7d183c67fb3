"""Checks: what they print against laws worked out beside them, on posteriors made by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bayes_bm.checks import direct_indirect, reconciliation, replicates
from bayes_bm.checks.check import check
from bayes_bm.checks.prior_predictive import prior_predictive
from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE, audit, follow_up
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.inference.prior_result import prior_result
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import GateRefused
from bayes_bm.spec.document import Spec
from tests.builders import posteriors, worlds
from tests.builders.rows import arm, known, median, point, ratio
from tests.builders.worlds import half_normal, normal

T0 = 12.0
FREE = {"effects__study": {"exchangeable": False}}
Row = dict[str, Any]


def only_row(result: Result) -> Row:
    [row] = reconciliation.reconcile(result).to_dict("records")
    return row


def two_sided(law: Any, seen: float) -> float:
    """Two-sided p of a discrete law, the seen value counted half."""
    below = law.cdf(seen - 1) + law.pmf(seen) / 2
    return 2 * min(below, 1 - below)


# ------------------------------------------------------------------------------------------------ reconciliation


@pytest.mark.slow
def test_a_median_with_its_interval_is_judged_by_the_normal_of_its_log() -> None:
    """The exponential's median is 12 log 2 = 8.32; 10 was printed with an sd of 0.1 on the log."""
    high, low = 10 * math.exp(0.196), 10 * math.exp(-0.196)
    row = only_row(known({"arms": [arm("s", "x", "a")], "medians": [median("s", "x", 10.0, ci_low=low, ci_high=high)]}))
    z = math.log(10 / (12 * math.log(2))) / (0.196 / 1.959964)
    assert row["p"] == pytest.approx(2 * stats.norm.sf(z), abs=0.006)
    assert row["predicted"] == pytest.approx(12 * math.log(2), rel=1e-9)
    assert row["predicted_low"] == pytest.approx(12 * math.log(2) * math.exp(-0.196), rel=0.006)
    assert (row["printed"], row["status"]) == (10.0, "green")


def test_a_median_with_n_only_is_judged_by_its_order_statistic() -> None:
    """F(m) ~ Beta(a, a), a = (0.8 x 40 + 1) / 2; b's median is 12 log 2 exp(-0.5)."""
    row = only_row(known({"arms": [arm("s", "x", "b")], "medians": [median("s", "x", 7.0)]}))
    dead = -math.expm1(-7 / 12 * math.exp(0.5))
    law = stats.beta(16.5, 16.5)
    assert row["p"] == pytest.approx(2 * min(law.cdf(dead), law.sf(dead)), abs=0.015)
    assert row["predicted"] == pytest.approx(12 * math.log(2) * math.exp(-0.5), rel=1e-9)


@pytest.mark.slow
def test_a_shifted_and_conditional_median_is_predicted_on_the_papers_clock() -> None:
    """Alive at 1, clock 2 months late: H(m + 2) = H(3) + log 2, so m = 1 + 12 log 2 for an exponential."""
    tables = {
        "arms": [arm("s", "x", "a", survived_to=1.0, clock_shift=2.0)],
        "medians": [median("s", "x", 9.0, ci_low=7.0, ci_high=12.0)],
    }
    assert only_row(known(tables))["predicted"] == pytest.approx(1 + 12 * math.log(2), rel=1e-9)
    without = {**tables, "medians": [median("s", "x", 9.0)]}
    assert only_row(known(without))["predicted"] == pytest.approx(1 + 12 * math.log(2), rel=1e-9)


def test_a_median_not_reached_is_judged_by_its_tail() -> None:
    row = only_row(known({"arms": [arm("s", "x", "c", followup=20.0)], "medians": [median("s", "x", None)]}))
    dead = -math.expm1(-20 / 12 * math.exp(-0.5))
    assert row["p"] == pytest.approx(stats.beta(16.5, 16.5).sf(dead), abs=0.01)
    assert row["quantity"] == "median not reached by 20"


@pytest.mark.slow
def test_counts_and_a_single_point_are_judged_by_the_binomial() -> None:
    tables = {
        "arms": [arm("s", "x", "a"), arm("t", "x", "a", events=40)],
        "counts": [{"study": "s", "arm": "x", "endpoint": "os", "events": 20, "n": 40, "time": 9.0}],
        "points": [point("t", "x", 6.0, 0.75)],
    }
    rows = reconciliation.reconcile(known(tables)).set_index("kind")
    assert rows.loc["counts", "p"] == pytest.approx(two_sided(stats.binom(40, -math.expm1(-9 / 12)), 20), abs=0.015)
    assert rows.loc["counts", "predicted"] == pytest.approx(40 * -math.expm1(-0.75))
    assert rows.loc["points", "p"] == pytest.approx(two_sided(stats.binom(40, math.exp(-0.5)), 30), abs=0.015)
    assert rows.loc["points", "quantity"] == "S(6)"


def test_later_points_are_products_of_conditional_binomials() -> None:
    """40 who all died: 24 were alive at 6, so S(12) is Binomial(40, e^-0.5) / 40 times Binomial(24, e^-0.5) / 24."""
    points = [point("s", "x", 6.0, 0.6), point("s", "x", 12.0, 0.24)]
    row = reconciliation.reconcile(known({"arms": [arm("s", "x", "a", events=40)], "points": points})).iloc[1]
    rng = np.random.default_rng(1)
    drawn = rng.binomial(40, math.exp(-0.5), 200_000) / 40 * rng.binomial(24, math.exp(-0.5), 200_000) / 24
    tied = np.isclose(drawn, 0.24)
    below = np.mean((drawn < 0.24) & ~tied) + 0.5 * np.mean(tied)
    assert row["p"] == pytest.approx(2 * min(below, 1 - below), abs=0.015)
    assert row["predicted"] == pytest.approx(math.exp(-1.0))


def test_a_hazard_ratio_is_judged_by_its_standard_error() -> None:
    row = only_row(known({"hazard_ratios": [ratio("h", "c", "b", 0.5, 0.25)]}))
    z = (math.log(0.5) - (-1.0)) / 0.25
    assert row["p"] == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.012)
    assert row["predicted"] == pytest.approx(math.exp(-1.0))


def test_patients_are_judged_by_their_own_kaplan_meier_curve() -> None:
    """Deaths at 3, 6, 9 and 15, one censored at 5, three at 20 and later: S(12) = 7/8 x 5/6 x 4/5."""
    times = [(3.0, 1), (5.0, 0), (6.0, 1), (9.0, 1), (15.0, 1), (20.0, 0), (22.0, 0), (25.0, 0)]
    rows = [{"study": "s", "arm": "x", "treatment": "a", "time": t, "event": d} for t, d in times]
    found = reconciliation.reconcile(known({"patients": rows}, draws=500)).set_index("quantity")
    assert found.loc["S(12)", "reconstructed"] == pytest.approx(7 / 8 * 5 / 6 * 4 / 5)
    assert found.loc["S(12)", "predicted"] == pytest.approx(math.exp(-1))
    assert found.loc["median", "reconstructed"] == 15.0
    assert found.loc["median", "predicted"] == pytest.approx(12 * math.log(2), rel=1e-6)


def test_colours_follow_p() -> None:
    colours = [reconciliation.status(p) for p in (0.2, 0.05, 0.0499, 0.001, 0.00099, float("nan"))]
    assert colours == ["green", "green", "amber", "amber", "red", "green"]
    assert reconciliation.two_sided(np.array([1.0, 2.0, 3.0, 4.0]), 3.0) == pytest.approx(2 * (1 - (2 + 0.5) / 4))


@pytest.mark.slow
def test_a_red_row_stops_the_report_and_says_which() -> None:
    tables = {"arms": [arm("s", "x", "a")], "medians": [median("s", "x", 40.0, ci_low=35.0, ci_high=46.0)]}
    done = check(known(tables, draws=2000))
    assert done.reconciliation["status"].tolist() == ["red"]
    with pytest.raises(GateRefused, match=r"1 rows of evidence are red.*\(s, x: median\).*--allow-red-rows"):
        done.require_no_red()
    assert done.parameters["parameter"].tolist() == ["intercept", "log_shape", "log_hr[b]", "log_hr[c]"]


# ------------------------------------------------------------------------------------------------ predictive


def test_curves_of_replicates_are_kaplan_meiers_with_ties_weights_and_entry() -> None:
    rng = np.random.default_rng(2)
    time = np.ceil(rng.exponential(8.0, (40, 25)) * 2) / 2 + 3  # on a grid, so that many tie
    event = rng.random((40, 25)) < 0.6
    weight, entry = rng.choice([0.5, 1.0, 2.0], 25), rng.choice([0.0, 1.0, 2.5], 25)
    for late in (np.zeros(25), entry):
        curves = replicates._curves(time, event, weight, late)
        for row in range(40):
            witness = kaplan_meier(time[row], event[row].astype(int), entry=late if late.any() else None, weight=weight)
            for at in (2.0, 4.0, 7.0, 12.0, 30.0):
                assert curves.survival_at(at)[row] == pytest.approx(float(witness(at)), abs=1e-12)


def test_the_dead_are_censored_by_the_law_of_the_censored_beyond_their_time() -> None:
    """Reverse Kaplan-Meier of a death at 2, censored at 5 and 8, death at 10: C is 5, 8 or the end, a third each."""
    time, event = np.array([2.0, 5.0, 8.0, 10.0]), np.array([1, 0, 0, 1])
    drawn = replicates.censoring_times(time, event, np.random.default_rng(1), 30_000)
    for at in (5.0, 8.0, 10.0):
        assert np.mean(drawn[:, 0] == at) == pytest.approx(1 / 3, abs=0.012)
    assert (drawn[:, 1:3] == [5.0, 8.0]).all()
    assert (drawn[:, 3] == 10.0).all()


def arm_of_patients(*, entry: bool) -> dict[str, list[Row]]:
    """120 patients, a third censored between 5 and 20; where asked, every second one enters between 0 and 4."""
    rng = np.random.default_rng(6)
    rows = []
    for at in range(120):
        late = float(rng.uniform(0, 4)) if entry and at % 2 else 0.0
        death, lost = late + float(rng.exponential(12)), float(rng.uniform(5, 20)) if at % 3 == 0 else 30.0
        seen = {"study": "s", "arm": "x", "treatment": "b", "time": min(death, lost), "event": int(death <= lost)}
        rows.append({**seen, "entry": late})
    return {"patients": rows}


def assert_unbiased(values: np.ndarray, exact: float) -> None:
    """Four standard errors of the mean, and 0.002 for the bias of Kaplan-Meier in finite samples."""
    assert values.mean() == pytest.approx(exact, abs=4 * values.std() / math.sqrt(len(values)) + 0.002)


@pytest.mark.slow
@pytest.mark.parametrize("entry", [False, True])
def test_replicated_curves_are_unbiased_for_the_models_survival(entry: bool) -> None:
    """The mean of 4,000 Kaplan-Meier curves, each with its own censoring and entry, is the model's S(t)."""
    result = known(arm_of_patients(entry=entry), eta=-0.4, log_shape=0.2, draws=2000)
    [found] = replicates.replicated_arms(result, np.random.default_rng(1))
    for time in (3.0, 8.0, 16.0):
        exact = math.exp(-math.exp(math.exp(0.2) * math.log(time / T0) - 0.4 + 0.5))
        assert_unbiased(found.replicate.survival_at(time), exact)
        assert found.model_survival(time) == pytest.approx(exact, rel=1e-9)
    exact_median = T0 * math.exp((math.log(math.log(2)) + 0.4 - 0.5) / math.exp(0.2))
    assert found.model_median() == pytest.approx(exact_median, rel=1e-6)


@pytest.mark.slow
def test_replicates_of_a_delayed_arm_start_at_its_entry() -> None:
    rows = [{**row, "time": row["time"] + 3.0, "entry": None} for row in arm_of_patients(entry=False)["patients"]]
    result = known({"patients": rows, "arms": [arm("s", "x", "b", 120, survived_to=3.0)]}, draws=1000)
    [found] = replicates.replicated_arms(result, np.random.default_rng(1))
    exact = math.exp(-math.exp(0.5) * (10 - 3) / T0)
    assert_unbiased(found.replicate.survival_at(10.0), exact)
    assert found.model_survival(10.0) == pytest.approx(exact)
    # median of those alive at 3: H(m) = H(3) + log 2
    assert found.model_median() == pytest.approx(3 + T0 * math.log(2) * math.exp(-0.5), rel=1e-6)


def test_patients_with_covariates_average_their_own_curves() -> None:
    rows = [
        {"study": "s", "arm": "x", "treatment": "a", "time": 5.0 + at, "event": 1, "kps": kps}
        for at, kps in enumerate((60.0, 80.0, 100.0))
    ]
    spec = worlds.spec(effects={}, covariates={"kps": {"prior": normal(0.5), "centre": 80.0, "scale": 10.0}})
    found = worlds.evidence(spec, {"patients": rows})
    result = posteriors.result(spec, found, draws=50, intercept=0.0, log_shape=0.0, coefficient=-0.3)
    [replicated] = replicates.replicated_arms(result, np.random.default_rng(1))
    exact = np.mean([math.exp(-0.5 * math.exp(-0.3 * z)) for z in (-2, 0, 2)])
    assert replicated.model_survival(6.0) == pytest.approx(exact)


def test_bands_of_an_arm_known_from_numbers_are_binomial() -> None:
    result = known({"arms": [arm("s", "x", "a", 50)], "points": [point("s", "x", 12.0, 0.4)]})
    bands = replicates.predictive_bands(result, [6.0]).iloc[0]
    law = stats.binom(40, math.exp(-0.5))  # 0.8 x 50
    shares = {"low": 0.025, "low50": 0.25, "median": 0.5, "high50": 0.75, "high": 0.975}
    for name, q in shares.items():
        assert abs(bands[name] * 40 - law.ppf(q)) <= 1, name


def test_arm_curves_stand_on_the_papers_clock() -> None:
    tables = {
        "arms": [arm("s", "x", "a", survived_to=1.0, clock_shift=2.0)],
        "points": [point("s", "x", 12.0, 0.4)],
    }
    curve = replicates.arm_curves(known(tables, draws=4), [0.5, 1.0, 10.0]).isel(chain=0, draw=0, arm_row=0)
    np.testing.assert_allclose(curve, [1.0, 1.0, math.exp(-9 / T0)])


# ------------------------------------------------------------------------------------------------ contrasts


SIDES = {
    "arms": [
        *(arm("both", "x", "a"), arm("both", "y", "b"), arm("single", "x", "a"), arm("other", "x", "b")),
        *(arm("third", "x", "c"), arm("more", "x", "a"), arm("more", "y", "b"), arm("more", "z", "b")),
    ],
    "points": [
        point(study, name, time, 0.4)
        for study, name, time in (
            *(("both", "x", 12.0), ("both", "y", 10.0), ("single", "x", 9.0), ("other", "x", 11.0)),
            *(("third", "x", 8.0), ("more", "x", 7.0), ("more", "y", 6.0), ("more", "z", 5.0)),
        )
    ],
    "hazard_ratios": [ratio("h", "b", "a", 0.7, 0.2)],
}


def world(tables: dict[str, list[Row]] = SIDES, **changes: Any) -> tuple[Spec, Evidence]:
    spec = worlds.spec(**changes)
    return spec, worlds.evidence(spec, tables)


@pytest.mark.slow
def test_within_holds_only_studies_with_both_arms(monkeypatch) -> None:
    """Decision 12 (docs/decisions.md): free levels and shapes; both, more and the ratio of h; not single, other,
    third.
    """
    asked = []
    monkeypatch.setattr(direct_indirect, "refit", lambda spec, evidence, say: asked.append((spec, evidence)))
    spec, evidence = world()
    direct_indirect.split_fits(posteriors.result(spec, evidence))
    (within_spec, within), (across_spec, across) = asked
    assert set(within.arms["study"]) == {"both", "more"}
    assert set(within.hazard_ratios["study"]) == {"h"}
    assert within_spec.free_levels
    assert within_spec.free_shapes
    assert within_spec.treatments.names == ("a", "b")
    for study, name, time in (("both", "x", 12.0), ("both", "y", 10.0), ("more", "z", 5.0)):
        row = within.arms.index[(within.arms["study"] == study) & (within.arms["arm"] == name)][0]
        steps = within.sequences[within.sequences["arm_row"] == row]
        assert steps[["study", "arm", "time"]].to_numpy().tolist() == [[study, name, time]]
    # across: the studies of one treatment, and no study of both; with the same numbers
    assert across_spec == spec
    assert set(across.arms["study"]) == {"single", "other", "third"}
    assert across.hazard_ratios.empty
    for table in ("sequences", "medians"):
        rows, all_rows = getattr(across, table), getattr(evidence, table)
        kept = all_rows[all_rows["study"].isin({"single", "other", "third"})]
        assert rows.drop(columns="arm_row").to_numpy().tolist() == kept.drop(columns="arm_row").to_numpy().tolist()
        of_rows = across.arms["study"].to_numpy()[rows["arm_row"].astype(int)]
        assert (rows["study"].to_numpy() == of_rows).all()


def test_part_of_a_study_block_keeps_its_variance() -> None:
    rows = [ratio("h", t, "a", 0.8, se, se_reference=0.1) for t, se in (("b", 0.2), ("c", 0.25))]
    _, evidence = world({"hazard_ratios": rows})
    part = direct_indirect.keep_studies(evidence, studies={"h"}, treatments={"a", "c"})
    assert part.hazard_ratios["treatment"].tolist() == ["c"]
    np.testing.assert_allclose(part.hr_cholesky, [[0.25]])


def alone(**changes: Any) -> tuple[Spec, Evidence]:
    arms = [arm("s", "x", "a"), arm("t", "x", "b"), arm("u", "x", "c")]
    return world({"arms": arms, "points": [point(study, "x", 12.0, 0.4) for study in "stu"]}, **changes)


def test_where_no_study_has_both_arms_there_is_no_number_and_it_says_so() -> None:
    spec, evidence = alone()
    result = posteriors.result(spec, evidence)
    table = direct_indirect.contrast_sources(result)  # nothing to fit: within is empty, across is the combined fit
    within = table[table["source"] == "within"]
    assert within[["treatment", "reference"]].to_numpy().tolist() == [["b", "a"], ["c", "a"], ["c", "b"]]
    assert within["note"].tolist() == [NO_SIDE_BY_SIDE] * 3
    assert within[["mean", "sd", "hr", "q2_5", "prob_better"]].isna().all(axis=None)
    assert table[table["source"] == "discrepancy"]["mean"].isna().all()
    assert table[table["source"] == "combined"]["note"].tolist() == ["across studies only"] * 3
    log_hr = result.posterior["log_hr"].sel(treatment="b").to_numpy().ravel()
    for source in ("across", "combined"):
        row = table[(table["source"] == source) & (table["treatment"] == "b")].iloc[0]
        other = result.posterior["log_hr"].sel(treatment="c").to_numpy().ravel()
        last = table[(table["source"] == source) & (table["reference"] == "b")].iloc[0]
        assert last["mean"] == pytest.approx((other - log_hr).mean())
        assert last["sd"] == pytest.approx((other - log_hr).std(ddof=1))
        assert row["mean"] == pytest.approx(log_hr.mean())
        assert row["sd"] == pytest.approx(log_hr.std(ddof=1))
        assert row["hr"] == pytest.approx(math.exp(np.median(log_hr)))
        assert row["hr_low"] == pytest.approx(math.exp(np.quantile(log_hr, 0.025)))
        assert row["prob_better"] == np.mean(log_hr < 0)


def test_the_discrepancy_is_within_less_across() -> None:
    spec, evidence = world()
    whole = posteriors.result(spec, evidence, draws=4000, log_hr=[-0.2, 0.1])
    rng = np.random.default_rng(1)
    within = posteriors.result(spec, evidence, draws=4000, log_hr=rng.normal([-0.5, 0.0], 0.3, (2, 4000, 2)))
    across = posteriors.result(spec, evidence, draws=4000, log_hr=rng.normal([-0.1, 0.0], 0.4, (2, 4000, 2)))
    table = direct_indirect.contrast_table(whole, direct_indirect.Split(within, across))
    row = table[(table["treatment"] == "b") & (table["source"] == "discrepancy")].iloc[0]
    # the prior N(0, 1) is in both fits and counts once: within without it has precision 1 / 0.09 - 1
    alone = 1 / (1 / 0.09 - 1)
    mean, sd = -0.5 / 0.09 * alone + 0.1, math.sqrt(alone + 0.16)
    assert (mean, sd) == (pytest.approx(-0.4495, abs=1e-4), pytest.approx(0.5089, abs=1e-4))
    assert row["mean"] == pytest.approx(mean, abs=0.02)
    assert row["sd"] == pytest.approx(sd, abs=0.02)
    assert row["q97_5"] == pytest.approx(mean + 1.96 * sd, abs=0.06)
    assert table[(table["treatment"] == "b") & (table["source"] == "within")]["studies"].item() == 3  # both, more, h


def test_a_fit_without_its_prior_is_what_its_evidence_says_and_less_than_the_prior_says_nothing() -> None:
    """A normal mean of 0.3 with sd 0.2 and a prior N(0, 1): the posterior's moments give the two back."""
    spec, evidence = world()
    rng = np.random.default_rng(2)
    one, other = rng.normal(0.3 / 0.04 / 26, math.sqrt(1 / 26), (2, 4000)), rng.normal(0, 0.5, (2, 4000))
    draws = np.stack([one, other], axis=-1)
    alone = direct_indirect.take_out_prior(posteriors.result(spec, evidence, draws=4000, log_hr=draws))
    values = alone.posterior["log_hr"].sel(treatment="b").to_numpy()
    assert values.mean() == pytest.approx(0.3, abs=0.01)
    assert values.std() == pytest.approx(0.2, abs=0.01)
    vague = posteriors.result(spec, evidence, draws=4000, log_hr=rng.normal(0, 0.99, (2, 4000, 2)))
    assert direct_indirect.take_out_prior(vague) is None


@pytest.mark.slow
def test_free_levels_are_why_there_is_no_fit_across(monkeypatch) -> None:
    """Before, the note was that no study holds only one of the two, where several do."""
    arms = [arm(study, treatment, treatment) for study in "st" for treatment in "ab"] + [arm("u", "a", "a")]
    arms.append(arm("v", "b", "b"))
    points = [point(row["study"], row["arm"], 12.0, 0.4) for row in arms]
    free = {"effects": {"study": {"exchangeable": False}}}
    spec, evidence = world({"arms": arms, "points": points}, treatments={"reference": "a", "compare": ["b"]}, **free)
    monkeypatch.setattr(direct_indirect, "refit", lambda spec, evidence, say: posteriors.result(spec, evidence))
    table = direct_indirect.contrast_sources(posteriors.result(spec, evidence)).set_index("source")
    assert set(table.loc[["across", "discrepancy"], "note"]) == {direct_indirect.FREE_LEVELS}


def test_where_every_study_is_side_by_side_there_is_nothing_across_and_it_says_so(monkeypatch) -> None:
    """Before, their arms taken apart made the across fit too, and the two agreed by construction."""
    arms = [arm(study, treatment, treatment) for study in "stu" for treatment in "ab"]
    points = [point(row["study"], row["arm"], 12.0, 0.4) for row in arms]
    spec, evidence = world({"arms": arms, "points": points}, treatments={"reference": "a", "compare": ["b"]})
    monkeypatch.setattr(direct_indirect, "refit", lambda spec, evidence, say: posteriors.result(spec, evidence))
    table = direct_indirect.contrast_sources(posteriors.result(spec, evidence)).set_index("source")
    assert table.loc["across", "note"] == direct_indirect.ONE_SIDED
    assert table.loc["discrepancy", "note"] == direct_indirect.ONE_SIDED
    assert table.loc[["across", "discrepancy"], ["mean", "sd"]].isna().all(axis=None)
    assert table.loc["across", "studies"] == 0
    assert table.loc["combined", "note"] == "within studies only"


def test_contrasts_at_the_reference_time_where_shapes_differ() -> None:
    spec, evidence = world({**SIDES, "hazard_ratios": []}, priors__treatment_log_shape=normal(0.3))
    result = posteriors.result(spec, evidence, log_hr=[-0.2, 0.1], treatment_log_shape=[0.3, 0.0])
    table = direct_indirect.contrast_table(result, direct_indirect.Split(None, None))
    combined = table[(table["source"] == "combined") & (table["treatment"] == "b")].iloc[0]
    # log h = log k + k log u + eta - log t: at t0 the ratio has log k_b - log k_a too
    assert combined["mean"] == pytest.approx(0.1)


# ------------------------------------------------------------------------------------------------ audit


@pytest.mark.slow
def test_audit_weighs_every_row() -> None:
    tables = {
        "arms": [arm("s", "x", "a"), arm("t", "x", "b", None, clock_shift=2.0), arm("u", "x", "c", 20)],
        "patients": [{"study": "p", "arm": "x", "treatment": "a", "time": 5.0, "event": 1, "weight": 0.5}],
        "points": [point("s", "x", 12.0, 0.4), point("s", "x", 20.0, 0.1)],
        "medians": [median("t", "x", 9.0, ci_low=6.0, ci_high=13.5)],
        "counts": [{"study": "u", "arm": "x", "endpoint": "os", "events": 5, "n": 20, "time": 6.0}],
        "hazard_ratios": [ratio("h", "b", "a", 0.7, 0.2)],
    }
    spec, evidence = world(tables)
    rows = audit(spec, evidence).rows.set_index("kind")
    assert rows.loc["patients", "size"] == 0.5
    assert rows.loc["points", ["size", "until"]].tolist() == [0.8 * 40, 20.0]
    # the median of n exponentials has sd(log m) = 1 / (log 2 sqrt(n))
    sd = math.log(13.5 / 6.0) / (2 * 1.959964)
    assert rows.loc["median", "size"] == pytest.approx((1 / (math.log(2) * sd)) ** 2, rel=1e-6)
    assert rows.loc["count", ["size", "until"]].tolist() == [20.0, 6.0]
    assert rows.loc["hazard ratio", "size"] == pytest.approx(100.0)
    # on the model's clock: the printed 13.5 is 15.5 there
    assert follow_up(spec, evidence) == {"a": 20.0, "b": 15.5, "c": 6.0}


def test_audit_counts_side_by_side_studies() -> None:
    spec, evidence = world()
    found = audit(spec, evidence)
    table = found.contrasts.set_index(["treatment", "reference"])
    assert table.loc[("b", "a"), "side_by_side"] == "both; h; more"
    assert table.loc[("c", "a"), ["studies", "side_by_side"]].tolist() == [0, NO_SIDE_BY_SIDE]
    assert any("Across studies only, no side-by-side study: c v a." in note for note in found.notes)


@pytest.mark.slow
def test_audit_refuses_what_cannot_be_answered_and_says_what_is_needed() -> None:
    spec, evidence = world({"arms": [arm("s", "x", "b")], "points": [point("s", "x", 12.0, 0.4)]})
    [reason] = audit(spec, evidence).refusals
    assert reason.startswith("no usable evidence on os for a. Needed: for each arm patients, a digitised curve")
    spec, evidence = world({"arms": [arm("s", "x", "a")], "points": [point("s", "x", 12.0, 0.4)]})
    assert audit(spec, evidence).refusals[0].startswith("no usable evidence on os for b, c")


def test_audit_refuses_a_disconnected_network_with_free_levels_and_warns_without() -> None:
    """Decision 11."""
    found = audit(*alone())
    assert found.refusals == ()
    assert any("not connected" in note for note in found.notes)
    assert audit(*alone(**FREE)).refusals[0].startswith("study levels are free and the network is not connected")


# ------------------------------------------------------------------------------------------------ priors


@pytest.mark.slow
def test_prior_predictive_numbers_agree_with_direct_simulation() -> None:
    """Log HR, median and S(12) of a new hospital and a new study, from numpy alone; four standard errors at 4,000."""
    spec = worlds.spec(treatments={"reference": "a", "compare": ["b"]}, times=[12.0])
    table = prior_predictive(spec).set_index(["who", "estimand", "treatment"])
    rng = np.random.default_rng(9)
    n = 400_000
    sd = {name: np.abs(rng.normal(0, scale, n)) for name, scale in (("level", 0.5), ("own", 0.3), ("shape", 0.2))}
    log_hr = rng.normal(0, 1, n) + sd["own"] * rng.standard_normal(n)
    eta = rng.normal(0, 1, n) + sd["level"] * rng.standard_normal(n)
    shape = np.exp(rng.normal(0, 0.3, n) + sd["shape"] * rng.standard_normal(n))
    alive_a, alive_b = np.exp(-np.exp(eta)), np.exp(-np.exp(eta + log_hr))
    medians = 12 * np.exp((math.log(math.log(2)) - eta) / shape)

    def one(who: str, estimand: str, treatment: str, *, contrast: bool = False) -> Any:
        rows = table.loc[[(who, estimand, treatment)]]
        return rows[rows["reference"].notna() == contrast].iloc[0]

    row = one("new-hospital", "log_hazard_ratio", "b", contrast=True)
    assert row["mean"] == pytest.approx(0, abs=4 * log_hr.std() / math.sqrt(4000))
    assert row["sd"] == pytest.approx(log_hr.std(), rel=0.05)
    assert row["label"] == "prior only"
    survival = one("new-hospital", "survival", "a")
    assert survival["mean"] == pytest.approx(alive_a.mean(), abs=4 * alive_a.std() / math.sqrt(4000))
    difference = one("new-hospital", "survival_difference", "b", contrast=True)
    assert difference["sd"] == pytest.approx((alive_b - alive_a).std(), rel=0.06)
    at = one("new-hospital", "median", "a")
    assert np.mean(medians < at["q5"]) == pytest.approx(0.05, abs=0.015)
    assert np.mean(medians < at["q95"]) == pytest.approx(0.95, abs=0.015)
    # a new study averages its levels first: the same mean of S, less spread
    averaged = one("new-study", "survival", "a")
    assert averaged["mean"] == pytest.approx(alive_a.mean(), abs=4 * alive_a.std() / math.sqrt(4000))
    assert averaged["sd"] < survival["sd"]


@pytest.mark.slow
def test_prior_predictive_has_numbers_under_every_kind_of_prior() -> None:
    """Vague priors reach cumulative hazards whose survival underflows; free levels are read as one study's."""
    vague = {"priors__intercept": normal(2.0), "priors__log_hr": normal(2.0), "priors__log_shape": normal(1.0)}
    found = prior_predictive(worlds.spec(**vague, effects={}), draws=500)
    assert found[["mean", "sd", "median"]].notna().all(axis=None)
    shapes = {"effects__study_shape": {"exchangeable": False}, "covariates": {"kps": {"prior": normal(1.0)}}}
    assert prior_predictive(worlds.spec(**FREE, **shapes), draws=200)["estimand"].nunique() == 8
    heavy = {"dist": "half_student_t", "df": 3.0, "sd": 0.4, "why": "test"}
    assert prior_predictive(worlds.spec(effects__study={"sd": heavy}), draws=100)["mean"].notna().all()


def test_half_normal_effects_are_drawn_with_their_scale() -> None:
    drawn = prior_result(worlds.spec(effects__study={"sd": half_normal(0.5)}), draws=20_000).posterior["study_sd"]
    assert float(drawn.mean()) == pytest.approx(0.5 * math.sqrt(2 / math.pi), abs=0.01)


def test_a_gate_that_failed_refuses_answers_unless_allowed() -> None:
    failed = replace(posteriors.PASSED, reasons=("R-hat of log_hr[b] is 1.500",))
    result = posteriors.result(*alone(), gate=failed)
    with pytest.raises(GateRefused, match=r"the convergence gate failed: R-hat of log_hr\[b\] is 1\.500"):
        result.require_gate()
    result.require_gate(allow_failed=True)
