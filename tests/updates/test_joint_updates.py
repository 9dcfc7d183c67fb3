"""Rerun and diff of a joint model: the fit is replaced by one whose answer is known, so that nothing is sampled."""

from dataclasses import replace

import numpy as np
import pytest

from bayes_bm.checks.joint_studies import joint_parts, with_study_of, without_study
from bayes_bm.checks.study_likelihood import studies_of
from bayes_bm.estimands.joint_compare import compare_causes
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.runtime.errors import InputError
from bayes_bm.updates import joint_diff
from bayes_bm.updates import rerun as again
from bayes_bm.updates.changed_rows import changed_rows, joined
from bayes_bm.updates.diff import diff
from tests.builders import causes as built
from tests.builders.commands import call
from tests.builders.joint_results import by_hand


def joint_studies(evidence) -> list[str]:
    return sorted({study for one in joint_parts(evidence).values() for study in studies_of(one)})


def moved(joint: JointResult, shift: float, rows: JointResult | None = None) -> JointResult:
    """The same draws with failure's log ratios moved."""
    one = joint.results["failure"]
    posterior = one.posterior.assign(log_hr=one.posterior["log_hr"] + shift)
    results = joint.results | {"failure": replace(one, posterior=posterior).with_inputs(one.inputs)}
    return replace(joint if rows is None else rows, results=results)


@pytest.mark.slow
def test_a_study_taken_out_and_put_back_is_the_evidence() -> None:
    evidence = by_hand(draws=2).evidence
    assert joint_studies(evidence) == ["a1", "a2", "a3", "a4", "f1", "f2", "f3", "k", "p"]
    for study in ("f1", "a2"):
        without = without_study(evidence, study)
        assert study not in joint_studies(without)
        whole = with_study_of(without, evidence, study, joined)
        for name, one in joint_parts(evidence).items():
            assert changed_rows(one, joint_parts(whole)[name]).empty


@pytest.mark.slow
def test_a_study_taken_out_leaves_the_rows_of_the_others() -> None:
    """The density without it is that of the evidence that never had it."""
    of = built.causes()
    rows = built.with_patients()
    fewer = {kind: [row for row in table if row["study"] != "f1"] for kind, table in rows.items()}
    without, never = without_study(built.evidence(of, rows), "f1"), built.evidence(of, fewer)
    for name, one in joint_parts(never).items():
        assert changed_rows(one, joint_parts(without)[name]).empty


def test_rerun_compares_every_cause_and_the_correlation(monkeypatch) -> None:
    joint = by_hand(draws=40)
    monkeypatch.setattr(again, "fit_causes", lambda causes, evidence, **_: joint)
    same = again.rerun(joint)
    assert same.identical and same.agrees
    assert {"failure: log_hr", "death: log_hr", "correlation"} <= set(same.table["parameter"])
    monkeypatch.setattr(again, "fit_causes", lambda causes, evidence, **_: moved(joint, 2.0))
    other = again.rerun(joint)
    assert not other.identical and not other.agrees and "failure: log_hr" in other.sentence


@pytest.mark.slow
def test_diff_says_what_moved_and_by_which_study(monkeypatch) -> None:
    old = by_hand(draws=10)
    rows = {**built.with_patients(), "points": [dict(row) for row in built.ROWS["points"]]}
    rows["points"][4]["survival"] = 0.8
    new = moved(old, 0.5, replace(old, evidence=built.evidence(old.causes, rows)))
    found = diff(old, new)
    columns = found.rows.set_index("column")
    assert columns.loc["survival", ["table", "old", "new"]].tolist() == ["1 - F of failure, sequences", 0.85, 0.8]
    assert set(found.rows["study"]) == {"f2"} and found.spec.empty
    names = ["estimand", "cause", "treatment"]
    answers = found.answers.set_index(names)["move"]
    assert answers["log_hazard_ratio", "failure", "b"] == pytest.approx(0.5)
    assert answers["log_hazard_ratio", "death", "b"] == pytest.approx(0.0)
    assert found.moves["method"].tolist() == ["not parted"] * 2 and found.moves["move"].tolist()[0] == pytest.approx(
        0.5
    )

    def as_before(causes, evidence):
        part = evidence.incidence["failure"].sequences
        assert part.loc[part["study"] == "f2", "survival"].item() == 0.85
        return moved(old, 0.1)

    monkeypatch.setattr(joint_diff, "fit_causes", as_before)
    parted = diff(old, new, refit=True).moves.set_index(["study", "cause"])["move"]
    assert parted["f2", "failure"] == pytest.approx(0.4) and parted["", "failure"] == pytest.approx(0.1)


def test_a_joint_result_is_held_against_another_alone() -> None:
    joint = by_hand(draws=4)
    with pytest.raises(InputError, match="beside one of one endpoint"):
        diff(joint, joint.results["death"])  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_the_commands_take_a_joint_file(tmp_path, capsys, monkeypatch) -> None:
    joint = by_hand(draws=10)
    stored = joint.save(tmp_path / "joint.nc")
    monkeypatch.setattr(again, "fit_causes", lambda causes, evidence, **_: joint)
    assert call("rerun", stored, "--json") == 0
    assert '"identical": true' in capsys.readouterr().out
    assert call("diff", stored, stored) == 0
    assert "Rows, spec and versions are the same" in capsys.readouterr().out
    assert np.isfinite(compare_causes(joint)["mean"]).all()
