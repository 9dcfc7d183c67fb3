"""Two results side by side: rows by hand, moves against conjugate normals; the same result again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayes_bm.evidence.reading import select
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.inference.fit import fit
from bayes_bm.inference.result import Result
from bayes_bm.spec.document import Spec
from bayes_bm.updates.changed_rows import changed_rows, joined
from bayes_bm.updates.diff import diff
from bayes_bm.updates.rerun import rerun
from tests.builders import posteriors, worlds
from tests.builders.commands import call
from tests.builders.worlds import normal

SE = 0.25


def ratio_spec() -> Spec:
    """Ratios alone, no effects of studies: log_hr is conjugate normal under its prior N(0, 1)."""
    treatments = {"reference": "a", "compare": ["b"]}
    return worlds.spec(
        treatments=treatments,
        effects={},
        priors={name: normal(1.0) for name in ("intercept", "log_hr")} | {"log_shape": normal(0.3)},
    )


def ratios(log_ratios: Mapping[str, float]) -> Evidence:
    rows = [
        {"study": study, "endpoint": "os", "treatment": "b", "reference": "a", "hr": np.exp(value), "se_log_hr": SE}
        for study, value in log_ratios.items()
    ]
    return select(ratio_spec(), {"hazard_ratios": check_table("hazard_ratios", pd.DataFrame(rows), where="test")})


def moments(evidence: Evidence) -> tuple[float, float]:
    """Mean and sd of log_hr in closed form."""
    values = evidence.hazard_ratios["log_hr"].to_numpy(dtype=float)
    precision = 1 + len(values) / SE**2
    return float(values.sum() / SE**2 / precision), precision**-0.5


def posterior(evidence: Evidence) -> Result:
    """Exact draws: normal quantiles in random order."""
    mean, sd = moments(evidence)
    draws = mean + sd * np.random.default_rng(4).standard_normal((1, 4000, 1))
    return posteriors.result(ratio_spec(), evidence, chains=1, draws=4000, log_hr=draws)


KEPT = {f"kept {number}": value for number, value in enumerate((-0.3, 0.0, -0.5, -0.1, -0.2))}
OLD = KEPT | {"changed": 0.1, "gone": -0.6}
NEW = KEPT | {"changed": -0.2, "added": 0.4}


@pytest.mark.slow
def test_each_study_s_part_of_the_move_is_that_of_conjugate_normals() -> None:
    old, new = ratios(OLD), ratios(NEW)
    found = diff(posterior(old), posterior(new))
    moves = found.moves.set_index("study")
    before = {
        "added": {name: value for name, value in NEW.items() if name != "added"},
        "changed": NEW | {"changed": OLD["changed"]},
        "gone": NEW | {"gone": OLD["gone"]},
    }
    whole = moments(new)[0]
    for study, rows in before.items():
        assert moves["move"][study] == pytest.approx(whole - moments(ratios(rows))[0], abs=0.012), study
        assert moves["method"][study] == "weights"
    assert {*moves.index} == {*before, ""}
    total = posterior(new).posterior["log_hr"].mean() - posterior(old).posterior["log_hr"].mean()
    assert moves["move"].sum() == pytest.approx(float(total))
    ratio = found.answers.set_index("estimand")["move_in_sd"]
    assert ratio["log_hazard_ratio"] == pytest.approx((whole - moments(old)[0]) / moments(old)[1], abs=0.05)
    lines = repr(found).splitlines()
    assert lines[0] == "What changed" and len(lines) < 12
    answers = found.answers.set_index("estimand").loc["hazard_ratio"]
    assert f"hazard_ratio b v a: {answers['old']:.2f} to {answers['new']:.2f}" in repr(found)


@pytest.mark.slow
def test_rows_that_were_added_are_gone_or_changed_are_named() -> None:
    rows = changed_rows(ratios(OLD), ratios(NEW))
    changes = {(row["study"], row["change"]) for row in rows.to_dict("records")}
    assert changes == {("added", "added"), ("changed", "changed"), ("gone", "gone")}
    cells = {row["column"]: (row["old"], row["new"]) for row in rows[rows["change"] == "changed"].to_dict("records")}
    assert cells["log_hr"] == pytest.approx((0.1, -0.2))
    whole = worlds.evidence(worlds.spec())
    fewer = replace(whole, patients=whole.patients.iloc[1:].reset_index(drop=True))
    [patient] = changed_rows(whole, fewer).to_dict("records")
    assert {key: patient[key] for key in ("change", "table", "study", "arm", "row")} == {
        "change": "gone",
        "table": "patients",
        "study": "p1",
        "arm": "x",
        "row": "1 patients",
    }
    assert changed_rows(whole, whole).empty


@pytest.mark.slow
def test_evidence_taken_apart_by_study_is_whole_again() -> None:
    from bayes_bm.checks.study_likelihood import drop_study, keep_study

    whole = worlds.evidence(worlds.spec())
    for study in ("p1", "h1", "s1"):
        again = joined(drop_study(whole, study), keep_study(whole, study))
        assert changed_rows(whole, again).empty and again.digest() == again.digest()
        assert np.sum(again.hr_cholesky**2) == pytest.approx(np.sum(whole.hr_cholesky**2))


@pytest.mark.slow
def test_a_changed_spec_and_other_versions_are_said() -> None:
    evidence = ratios(OLD)
    old = posterior(evidence)
    spec = ratio_spec().model_copy(update={"horizon": 36.0})
    new = replace(old, spec=spec, provenance={"versions": {"numpy": "9"}})
    found = diff(replace(old, provenance={"versions": {"numpy": "8"}}), new)
    assert found.spec.to_dict("records") == [{"key": "horizon", "old": 24.0, "new": 36.0}]
    assert found.versions.to_dict("records") == [{"package": "numpy", "old": "8", "new": "9"}]
    assert not found.same and found.rows.empty


@cache
def fitted() -> Result:
    return fit(ratio_spec(), ratios(OLD), draws=700, tune=200, chains=2, cores=1)


@pytest.mark.slow
def test_a_result_is_reproduced_bit_for_bit_from_its_file(tmp_path, capsys) -> None:
    stored = fitted().save(tmp_path / "r.nc")
    assert call("rerun", stored, "--out", tmp_path / "again.nc", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["identical"] is True and "bit for bit, with the same versions" in document["sentence"]
    assert call("diff", stored, tmp_path / "again.nc", "--json") == 0
    assert json.loads(capsys.readouterr().out)["same"] is True


@pytest.mark.slow
def test_draws_of_another_seed_agree_to_monte_carlo_error_and_a_moved_mean_does_not() -> None:
    result = fitted()
    other = fit(ratio_spec(), ratios(OLD), draws=700, tune=200, chains=2, cores=1, seed=99)
    kept = replace(other, spec=result.spec, provenance=result.provenance)
    again = rerun(kept, cores=1)
    assert not again.identical and again.agrees and "to Monte Carlo error" in again.sentence
    moved: Any = result.posterior.assign(log_hr=result.posterior["log_hr"] + 0.2)
    wrong = rerun(replace(result, posterior=moved), cores=1)
    assert not wrong.agrees and wrong.sentence.startswith("Not reproduced")
