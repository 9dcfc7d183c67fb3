"""Studies left out of a joint model: the integral over correlated levels, the sum of all rows, weights and refits."""

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from bayes_bm.checks import joint_leave_one_out as left
from bayes_bm.checks.joint_leave_one_out import JointStudyRows, integrated_joint_density
from bayes_bm.checks.joint_studies import without_study
from bayes_bm.checks.leave_one_study_out import leave_one_out
from bayes_bm.checks.pareto_smoothing import pareto_smoothed
from bayes_bm.checks.study_likelihood import integrated_log_density
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from bayes_bm.report.public_plots import plot_leave_one_out
from bayes_bm.runtime.errors import InputError
from tests.builders import causes as built
from tests.builders import joint_results, worlds
from tests.builders.commands import call

LEVEL = {"study": {"sd": worlds.half_normal(0.5)}}
SIDE_BY_SIDE = ("k", "f1", "f2", "f3", "a1", "a2", "a3", "a4", "p")


@cache
def levels_alone(correlation: float = 0.0, draws: int = 4) -> JointResult:
    """A joint result whose studies differ in level alone, so that a study of both causes has two effects."""
    return joint_results.by_hand(correlation, draws=draws, effects=LEVEL)


@pytest.mark.slow
def test_rows_of_all_studies_are_the_log_likelihood() -> None:
    """At the posterior's own effects, levels of a study correlated by 0.6."""
    joint, total = joint_results.by_hand(0.6, draws=2), 0.0
    whole = sum(float(part.sum()) for part in joint.log_likelihood.values())
    for result in joint.results.values():
        whole += sum(float(part.sum()) for part in pointwise_log_likelihood(result.predictors).data_vars.values())
    for study in SIDE_BY_SIDE:
        rows, scores = JointStudyRows(joint, study), []
        for name, one in rows.held.items():
            draws, design = one.result.predictors.draws, one.result.inputs.design
            place = design.studies.index(study)
            level = draws.study_effect[:, place] / draws.study_sd
            shape = draws.study_shape[:, place, 0] / draws.study_shape_sd
            columns = [design.pairs.index(pair) + 1 for pair in one.design.pairs]
            deviation = draws.study_treatment_effect[:, columns] / draws.study_treatment_sd[:, None]
            own = np.linalg.solve(one.design.pair_factor, deviation.T).T
            if scores and name == "death":
                # the score that level has of its own, beside what it shares with the first cause's
                level = (level - 0.6 * scores[0][:, 0]) / 0.8
            scores.append(np.column_stack([level, shape, own]))
        total += rows.log_density(np.concatenate(scores, axis=1)).sum()
    assert total == pytest.approx(whole, rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("study", ["f1", "a2"])
def test_correlated_levels_are_integrated_as_on_a_grid(study: str) -> None:
    grid = np.linspace(-5.0, 5.0, 19)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    weight = multivariate_normal(cov=[[1, 0.7], [0.7, 1]]).logpdf(points) + 2 * np.log(grid[1] - grid[0])
    # rows whose levels are independent take any pair of levels as it is
    rows = JointStudyRows(levels_alone(0.0), study)
    values = [
        rows.log_density(np.tile(point, (rows.count, 1))) + log for point, log in zip(points, weight, strict=True)
    ]
    assert integrated_joint_density(levels_alone(0.7), study) == pytest.approx(logsumexp(values, axis=0), abs=2e-4)


@pytest.mark.slow
def test_of_patients_and_independent_levels_the_density_is_that_of_each_cause() -> None:
    joint = levels_alone(0.0)
    apart = sum(integrated_log_density(result, "p") for result in joint.results.values())
    assert integrated_joint_density(joint, "p") == pytest.approx(apart, abs=2e-4)
    # a Kaplan-Meier of failure alone
    assert set(JointStudyRows(joint, "k").held) == {"failure"}


@pytest.mark.slow
def test_a_command_leaves_each_study_out_of_every_cause_and_keeps_it(tmp_path, capsys, monkeypatch) -> None:
    """A study that prints 1 - F, and one that prints a Kaplan-Meier of failure."""
    rows = {kind: [row for row in built.ROWS[kind] if row["study"] in ("k", "f1")] for kind in ("arms", "points")}
    joint = joint_results.by_hand(0.5, draws=40, rows=rows, effects=LEVEL)
    file, folder = joint.save(tmp_path / "joint.nc"), tmp_path / "left"
    # draws made by hand are not of this evidence, and their weights are uneven
    monkeypatch.setattr(left, "HIGH_K", np.inf)
    assert call("check", file, "--leave-one-out", "study", "--out", folder, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [(row["study"], row["cause"]) for row in said["leave_one_out"]] == [
        (study, cause) for study in ("", "f1", "k") for cause in ("failure", "death")
    ]
    [row] = [row for row in said["leave_one_out"] if (row["study"], row["cause"]) == ("f1", "death")]
    density = integrated_joint_density(joint, "f1")
    log_weight, k = pareto_smoothed(-density)
    assert (row["method"], row["rows"], row["pareto_k"]) == ("psis", 3, pytest.approx(k))
    assert row["lpd"] == pytest.approx(logsumexp(density) - np.log(40))
    assert row["elpd"] == pytest.approx(logsumexp(log_weight + density))
    printed = [one for one in said["leave_one_out_numbers"] if one["study"] == "f1"]
    assert [one["printed"] for one in printed] == [0.9, 0.81, 0.74] and {one["cause"] for one in printed} == {"failure"}
    assert all(one["predicted_low"] < one["predicted"] < one["predicted_high"] for one in printed)
    pictures = {"leave_one_out_failure.png", "leave_one_out_death.png"}
    assert {one.name for one in folder.iterdir()} == {"studies", "studies.csv", "numbers.csv", *pictures}
    done = leave_one_out(joint, folder)
    assert done.kept == 2 and done.elpd == pytest.approx(sum(one["elpd"] or 0.0 for one in said["leave_one_out"]) / 2)
    assert "death" in plot_leave_one_out(done, title="of death", cause="death").texts[-1].get_text()
    with pytest.raises(InputError, match="cause: found relapse; allowed: failure, death"):
        plot_leave_one_out(done, cause="relapse")


@pytest.mark.slow
def test_where_weights_are_uneven_all_causes_are_fitted_without_the_study(monkeypatch) -> None:
    joint, asked = levels_alone(0.5, draws=20), []

    def fitted(causes: Any, evidence: Any, seed: int) -> JointResult:
        asked.append((causes, evidence.causes["failure"].arms["study"].tolist(), seed))
        return levels_alone(0.2, draws=12)

    monkeypatch.setattr(left, "HIGH_K", np.nan)
    monkeypatch.setattr(left, "fit_causes", fitted)
    given = left._slim(joint), "f1", "b"
    said = left._leave_out(given, np.random.SeedSequence(1))
    [(causes, studies, _)] = asked
    assert causes.names == joint.causes.names
    without = without_study(joint.evidence, "f1").causes["failure"].arms["study"].tolist()
    assert studies == without and "f1" not in studies
    assert said["method"] == "refit"
    refit = levels_alone(0.2, draws=12)
    density = integrated_joint_density(refit, "f1")
    assert said["elpd"] == pytest.approx(logsumexp(density) - np.log(12), abs=1e-10)
    for name, result in refit.results.items():
        ratios = np.exp(result.posterior["log_hr"].sel(treatment="b").to_numpy())
        assert said["ratios"][name]["ratio"] == pytest.approx(float(np.median(ratios)))


@pytest.mark.slow
def test_what_cannot_be_left_out_is_refused() -> None:
    with pytest.raises(InputError, match="treatment: found z; allowed: b"):
        leave_one_out(levels_alone(), treatment="z")
    free = joint_results.by_hand(draws=2, effects={"study": {"exchangeable": False}})
    with pytest.raises(InputError, match="free study levels"):
        leave_one_out(free)
