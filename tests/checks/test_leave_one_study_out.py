"""Leave one study out: integrals against quadrature, scores against closed forms and refits, weights against both."""

import json
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from bayes_bm.checks import leave_one_study_out as left
from bayes_bm.checks import study_likelihood
from bayes_bm.checks.leave_one_study_out import leave_one_out, saved_with
from bayes_bm.checks.pareto_smoothing import pareto_smoothed, resampled
from bayes_bm.checks.studies_left_out import LeaveOneOut, coverage
from bayes_bm.checks.study_likelihood import StudyRows, drop_study, integrated_log_density, keep_study, studies_of
from bayes_bm.cli import app
from bayes_bm.inference.fit import fit
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.inference.result import Result
from bayes_bm.report.pipeline import _elsewhere
from bayes_bm.report.sections.diagnostics import elsewhere_table
from bayes_bm.report.templating import render_template
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds
from tests.builders.leave_one_out import brute
from tests.builders.worlds import half_normal, normal

COVARIATE = {"kps": {"prior": normal(0.5), "centre": 80.0, "scale": 10.0}}


def world(**changes: Any) -> Result:
    spec = worlds.spec(**changes)
    return posteriors.result(spec, worlds.evidence(spec), chains=1, draws=3)


# ------------------------------------------------------------------------------------------------ the integral


@pytest.mark.slow
@pytest.mark.parametrize("study", ["c1", "h2", "l1", "m1", "m2", "m3", "m4", "s2"])
def test_the_integral_over_a_study_is_that_of_a_grid(study: str) -> None:
    result = world(effects__study_shape=None)
    assert integrated_log_density(result, study) == pytest.approx(brute(result, study), abs=2e-4)


@pytest.mark.slow
def test_the_integral_over_three_effects_is_that_of_a_grid() -> None:
    result = world()
    assert StudyRows(result, "s2").effects == 3
    # four effects: 17 points of each agree with 21 to 1e-7
    expected = brute(result, "p1", half=6.0, count=17)
    assert integrated_log_density(result, "p1") == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_more_than_three_effects_are_integrated_over_sobol_points(monkeypatch) -> None:
    """The same study by both rules."""
    result = world()
    products = integrated_log_density(result, "s1")
    monkeypatch.setattr(study_likelihood, "NODES", {})
    assert integrated_log_density(result, "s1") == pytest.approx(products, abs=3e-3)


@pytest.mark.slow
def test_a_large_study_has_a_narrow_integrand() -> None:
    """600 patients of an exponential: a scalar integral over the level in closed form of the sufficient statistics."""
    rng = np.random.default_rng(4)
    times = rng.exponential(6.0, 600)
    rows = [{"study": "big", "arm": "x", "treatment": "a", "time": t, "event": 1} for t in times]
    spec = worlds.spec(effects={"study": {"sd": half_normal(1.0)}}, treatments={"reference": "a", "compare": ["b"]})
    fixed = {"intercept": 0.0, "log_shape": 0.0, "study_sd": 1.0}
    result = posteriors.result(spec, worlds.evidence(spec, {"patients": rows}), chains=1, draws=2, **fixed)

    def log_joint(level: float) -> float:
        # H(t) = t / 12 exp(level)
        return 600 * (level - math.log(12)) - math.exp(level) * times.sum() / 12 + stats.norm.logpdf(level)

    top = max(log_joint(level) for level in np.linspace(0, 1.5, 3001))
    area = integrate.quad(lambda level: math.exp(log_joint(level) - top), 0, 1.5, points=[0.69], epsabs=1e-12)[0]
    assert integrated_log_density(result, "big") == pytest.approx(top + math.log(area), abs=1e-5)


@pytest.mark.slow
def test_density_of_a_study_is_the_sum_of_its_rows() -> None:
    """At the posterior's own effects: what the pointwise log-likelihood of all rows adds up to."""
    result = world(covariates=None)
    whole = sum(float(part.sum()) for part in pointwise_log_likelihood(result.predictors).data_vars.values())
    total, of = 0.0, result.predictors.draws
    for study in studies_of(result.evidence):
        rows = StudyRows(result, study)
        z = np.zeros((of.samples, rows.effects))
        if rows.has_level:
            at = result.inputs.design.studies.index(study)
            z[:, 0] = of.study_effect[:, at] / of.study_sd
            z[:, 1] = of.study_shape[:, at, 0] / of.study_shape_sd
        columns = [result.inputs.design.pairs.index(pair) + 1 for pair in rows.design.pairs]
        deviation = of.study_treatment_effect[:, columns] / of.study_treatment_sd[:, None]
        z[:, rows.effects - len(columns) :] = np.linalg.solve(rows.design.pair_factor, deviation.T).T
        total += rows.log_density(z).sum()
    assert total == pytest.approx(whole, rel=1e-10)


@pytest.mark.slow
def test_a_study_and_the_others_are_all_rows() -> None:
    result = world()
    for table in ("arms", "patients", "sequences", "medians", "hazard_ratios", "counts"):
        for study in ("p1", "s1", "h2", "c1"):
            parts = [keep_study(result.evidence, study), drop_study(result.evidence, study)]
            sizes = [len(part.tables()[table]) for part in parts]
            assert sum(sizes) == len(result.evidence.tables()[table])
    assert keep_study(result.evidence, "h2").hr_cholesky.shape == (2, 2)
    assert set(drop_study(result.evidence, "h2").hazard_ratios["study"]) == {"h1", "h3", "h4"}


# ------------------------------------------------------------------------------------------------ normal-normal

RATIOS = [("s1", -0.3, 0.15), ("s2", 0.1, 0.2), ("s3", -0.4, 0.1), ("s4", 0.25, 0.12), ("s5", -0.1, 0.3)]
BETWEEN, WIDE = 0.3, 1.0


def ratios(*, draws: int = 4_000, seed: int = 1) -> Result:
    """Printed log hazard ratios y_j ~ N(mu + d_j, se_j), d_j ~ N(0, 0.3), mu ~ N(0, 1): exact draws of mu and d_j.

    d_j is the difference of two deviations, which are half of it each way but for what the ratio cannot tell. sd(mu) is
    0.16: a mean of these draws is within a hundredth at four of its errors.
    """
    spec = worlds.spec(
        effects={"study_treatment": {"sd": half_normal(0.3)}}, treatments={"reference": "a", "compare": ["b"]}
    )
    rows = [
        {
            "study": study,
            "endpoint": "os",
            "treatment": "b",
            "reference": "a",
            "hr": math.exp(y),
            "se_log_hr": se,
        }
        for study, y, se in RATIOS
    ]
    evidence, rng = worlds.evidence(spec, {"hazard_ratios": rows}), np.random.default_rng(seed)
    y, variance = np.array([y for _, y, _ in RATIOS]), np.array([se**2 for *_, se in RATIOS])
    mean, sd = posterior(y, variance)
    mu = rng.normal(mean, sd, (1, draws, 1))
    kept = 1 / (1 / variance + 1 / BETWEEN**2)
    deviations = kept * (y - mu) / variance + np.sqrt(kept) * rng.standard_normal((1, draws, len(y)))
    common = BETWEEN / 2 * rng.standard_normal(deviations.shape)
    # labels are s1 | b, s1 | a, s2 | b, ...
    each = np.stack([common + deviations / 2, common - deviations / 2], axis=-1).reshape(1, draws, -1)
    fixed = {"log_hr": mu, "study_treatment_effect": each, "study_treatment_sd": BETWEEN}
    return posteriors.result(spec, evidence, chains=1, draws=draws, **fixed)


@cache
def each_left_out() -> LeaveOneOut:
    return leave_one_out(ratios())


def posterior(y: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """Mean and sd of mu given log ratios y with these sampling variances."""
    weight = 1 / (variance + BETWEEN**2)
    precision = weight.sum() + 1 / WIDE**2
    return float((weight * y).sum() / precision), float(1 / math.sqrt(precision))


def exact(left_out: int) -> tuple[float, float, float]:
    """elpd, and mean and sd of mu, without one study."""
    y, variance = np.array([y for _, y, _ in RATIOS]), np.array([se**2 for *_, se in RATIOS])
    mean, sd = posterior(np.delete(y, left_out), np.delete(variance, left_out))
    law = stats.norm(mean, math.sqrt(sd**2 + BETWEEN**2 + variance[left_out]))
    return float(law.logpdf(y[left_out])), mean, sd


@pytest.mark.slow
def test_normal_studies_have_their_closed_form() -> None:
    done = each_left_out()
    assert done.studies["method"].tolist()[1:] == ["psis"] * 5
    for at, row in enumerate(done.studies.iloc[1:].to_dict("records")):
        elpd, mean, sd = exact(at)
        assert row["elpd"] == pytest.approx(elpd, abs=0.025)
        assert math.log(row["ratio"]) == pytest.approx(mean, abs=0.01)
        assert math.log(row["ratio_high"]) == pytest.approx(mean + 1.96 * sd, abs=0.05)
        assert abs(row["elpd"] - elpd) < 5 * row["elpd_mcse"]


@pytest.mark.slow
def test_what_the_others_foretell_of_a_ratio_is_their_predictive_law() -> None:
    done = each_left_out()
    for at, row in enumerate(done.numbers.to_dict("records")):
        study, y, se = RATIOS[at]
        _, mean, sd = exact(at)
        spread = math.sqrt(sd**2 + BETWEEN**2 + se**2)
        assert (row["study"], row["quantity"]) == (study, "HR b v a")
        ends = [math.log(row[name]) for name in ("predicted_low", "predicted_high")]
        assert ends == pytest.approx([mean - 1.96 * spread, mean + 1.96 * spread], abs=0.03)
        assert row["p"] == pytest.approx(2 * stats.norm.sf(abs(y - mean) / spread), abs=0.02)


def test_coverage_counts_by_two_sided_p() -> None:
    found = coverage(pd.DataFrame({"p": [0.6, 0.3, 0.1, 0.04, np.nan]}))
    assert found["inside"].tolist() == [1, 2, 3]
    assert found["share"].tolist() == [0.25, 0.5, 0.75]


# ------------------------------------------------------------------------------------------------ weights


def test_resampling_is_by_weight() -> None:
    weight = np.array([0.1, 0.2, 0.3, 0.4, 0.0])
    counts = np.bincount(resampled(np.append(weight, np.zeros(995)), 1000, np.random.default_rng(1)))
    assert counts.tolist() == pytest.approx([100, 200, 300, 400], abs=1)


def test_weights_are_one_over_the_density_until_the_tail() -> None:
    density = np.random.default_rng(2).normal(-3.0, 0.3, 4000)
    log_weight, k = pareto_smoothed(-density)
    middle = np.argsort(-density)[:3000]
    steps = np.diff(log_weight[middle]) + np.diff(density[middle])
    assert np.abs(steps).max() < 1e-9
    assert np.exp(log_weight).sum() == pytest.approx(1.0)
    assert k < 0.5


@pytest.mark.slow
def test_a_study_that_decides_the_answer_is_fitted_without(monkeypatch) -> None:
    """A precise study far from the others: its weights have no mean, and the fit without it has."""
    monkeypatch.setitem(globals(), "RATIOS", [*RATIOS[:2], ("s3", 0.2, 0.01)])
    monkeypatch.setitem(globals(), "BETWEEN", 0.05)
    result, asked = ratios(draws=4000), []

    def again(spec: Any, evidence: Any, *, seed: int) -> Result:
        asked.append((studies_of(evidence), seed))
        y, variance = np.array([y for _, y, _ in RATIOS[:2]]), np.array([se**2 for *_, se in RATIOS[:2]])
        mean, sd = posterior(y, variance)
        mu = np.random.default_rng(seed).normal(mean, sd, (1, 4000, 1))
        return posteriors.result(spec, evidence, chains=1, draws=4000, log_hr=mu, study_treatment_sd=BETWEEN)

    monkeypatch.setattr(left, "refit", again)
    done = leave_one_out(result)
    row = done.studies.iloc[3]
    elpd, mean, _ = exact(2)
    assert (row["method"], asked[-1][0]) == ("refit", ["s1", "s2"])
    assert row["pareto_k"] > left.HIGH_K
    assert row["elpd"] == pytest.approx(elpd, abs=0.2)
    assert math.log(row["ratio"]) == pytest.approx(mean, abs=0.02)


# ------------------------------------------------------------------------------------------------ fits


@pytest.mark.slow
@pytest.mark.usefixtures("one_try")
def test_weights_agree_with_fits_without_the_study(monkeypatch) -> None:
    """A small world of three medians an arm: the same study by weights, and by a fit without it."""
    spec = worlds.spec(
        effects={"study": {"sd": half_normal(0.5)}},
        treatments={"reference": "a", "compare": ["b"]},
        # at larger steps it diverges, and is tried again with these
        sampling={"draws": 2000, "tune": 500, "chains": 2, "target_accept": 0.99},
    )
    values = {"a": (8.0, 11.0, 15.0), "b": (10.0, 13.0, 9.0)}
    arms, medians = [], []
    for treatment, found in values.items():
        for at, median in enumerate(found):
            named = {"study": f"{treatment}{at}", "arm": "x", "endpoint": "os", "n": 40}
            arms.append({**named, "treatment": treatment})
            medians.append({**named, "median": median})
    result = fit(spec, worlds.evidence(spec, {"arms": arms, "medians": medians}))
    weighted = leave_one_out(result).studies.set_index("study")
    by_weight = [name for name in weighted.index[1:] if weighted.loc[name, "method"] == "psis"][:3]
    assert len(by_weight) == 3
    monkeypatch.setattr(left, "HIGH_K", -10.0)
    # a fit for each of them, a second and a half
    monkeypatch.setattr(left, "studies_of", lambda evidence: by_weight)
    again = leave_one_out(result).studies.set_index("study")
    assert again["method"][1:].tolist() == ["refit"] * 3
    for name in by_weight:
        one, other = weighted.loc[name], again.loc[name]
        noise = math.hypot(one["elpd_mcse"], other["elpd_mcse"])
        assert one["elpd"] == pytest.approx(other["elpd"], abs=0.03 + 4 * noise)
        assert math.log(one["ratio"]) == pytest.approx(math.log(other["ratio"]), abs=0.05)


# ------------------------------------------------------------------------------------------------ call


def test_what_has_no_population_of_studies_is_refused() -> None:
    free = posteriors.result(
        spec := worlds.spec(effects={"study": {"exchangeable": False}}), worlds.evidence(spec, worlds.TABLES)
    )
    with pytest.raises(InputError, match="leave-one-out: found a spec with free study levels"):
        leave_one_out(free)
    with pytest.raises(InputError, match="treatment: found z; allowed: b"):
        leave_one_out(ratios(draws=50), treatment="z")


@pytest.mark.slow
def test_studies_are_kept_and_tables_written(tmp_path) -> None:
    result = ratios(draws=150)
    first = leave_one_out(result, tmp_path / "leave_one_out")
    again = leave_one_out(result, tmp_path / "leave_one_out")
    assert (first.kept, again.kept) == (0, 5)
    pd.testing.assert_frame_equal(first.studies, again.studies)
    kept = saved_with(result, tmp_path)
    assert kept is not None
    assert kept[0]["elpd"].tolist()[1:] == pytest.approx(first.studies["elpd"].tolist()[1:])
    assert len(kept[1]) == 5
    other = replace(result, spec=worlds.spec(horizon=18.0))
    assert saved_with(other, tmp_path) is None
    moved = leave_one_out(ratios(draws=150, seed=2), tmp_path / "leave_one_out")
    assert moved.kept == 0


@pytest.mark.slow
def test_a_study_that_cannot_be_left_out_is_named(monkeypatch) -> None:
    def breaks(result: Result, study: str) -> np.ndarray:
        if study == "s2":
            raise RuntimeError("no luck")
        return integrated_log_density(result, study)

    monkeypatch.setattr(left, "integrated_log_density", breaks)
    done = leave_one_out(ratios(draws=150))
    assert done.failed == ("s2",)
    row = done.studies.set_index("study").loc["s2"]
    assert (row["method"], row["note"]) == ("failed", "RuntimeError: no luck")
    assert np.isfinite(done.elpd)


def call(*arguments: Any) -> int:
    with pytest.raises(SystemExit) as stopped:
        app.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.mark.slow
def test_command_writes_tables_and_picture(tmp_path, capsys) -> None:
    result = ratios(draws=150)
    result.save(tmp_path / "r.nc")
    assert call("check", tmp_path / "r.nc", "--leave-one-out", "study", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["study"] for row in said["leave_one_out"]] == ["", *(study for study, *_ in RATIOS)]
    folder = tmp_path / "leave_one_out"
    assert {file.name for file in folder.iterdir()} == {"studies", "studies.csv", "numbers.csv", "leave_one_out.png"}
    [row] = [row for row in said["leave_one_out"] if row["study"] == "s3"]
    shown = _elsewhere(result, tmp_path)["leave_one_study_out"]
    page = render_template("elsewhere.html.jinja", made=elsewhere_table("leave_one_study_out", shown))
    assert f"{row['elpd']:.2f}" in page
    assert "The same ratio without each study in turn" in page
    assert "<svg" in page
    capsys.readouterr()
    assert call("check", tmp_path / "r.nc", "--leave-one-out", "arm") == 2
    assert "--leave-one-out: found arm; allowed: study" in capsys.readouterr().err
