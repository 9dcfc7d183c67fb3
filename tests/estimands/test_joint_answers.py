"""Answers of a joint model: R's estimates, reductions, everybody who can be asked about, the file and the commands."""

import json
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomlkit

import bayes_bm as bb
from bayes_bm.cli.app import main
from bayes_bm.estimands.competing_risks import FREE, all_cause_survival, cumulative_incidence, time_lost
from bayes_bm.estimands.joint_compare import compare_causes, joint_rows
from bayes_bm.estimands.joint_populations import asked_about
from bayes_bm.inference.causes import fit as fitting
from bayes_bm.inference.causes.density import joint_density
from bayes_bm.inference.causes.fit import fit_causes
from bayes_bm.inference.causes.result import JointResult, load_causes
from bayes_bm.inference.fit import fit
from bayes_bm.inference.sampling import run_nutpie
from bayes_bm.runtime.errors import InputError
from tests.builders import causes as built
from tests.builders import worlds
from tests.builders.joint_results import by_hand
from tests.paths import ROOT

GOLDEN = json.loads((ROOT / "tests" / "witness" / "golden" / "competing.json").read_text())
TIMES = [6.0, 12.0, 24.0]


# ------------------------------------------------------------------------------------------------ fits apart


@cache
def apart() -> JointResult:
    """600 simulated patients of one study, no effects of studies: causes are fitted one by one."""
    of = built.causes(joint={}, effects={}, causes={"failure": {}, "death": {}}, sampling={"draws": 500, "tune": 500})
    return fit_causes(of, built.evidence(of, {"patients": built.patients(300, 11)}), cores=1)


@pytest.mark.slow
def test_patients_alone_give_what_r_gives() -> None:
    result = apart()
    shares, lost = (
        cumulative_incidence(result, TIMES, who="average-study"),
        time_lost(result, 24.0, who="average-study"),
    )
    for arm, numbers in GOLDEN["arms"].items():
        for place, cause in enumerate(("failure", "death")):
            ours = shares.sel(treatment=arm, cause=cause).mean("draw").to_numpy()
            # the model is the right one, so it differs from Aalen and Johansen's by less than their error
            assert (np.abs(ours - numbers[cause]) < 1.3 * np.array(numbers[f"se_{cause}"])).all()
            assert float(lost.sel(treatment=arm, cause=cause).mean()) == pytest.approx(
                numbers["time_lost_24"][place], abs=0.6
            )
    for cause, (log_hr, se) in GOLDEN["cox_log_hr_and_se"].items():
        draws = result.results[cause].posterior["log_hr"]
        assert float(draws.mean()) == pytest.approx(log_hr, abs=0.5 * se)
        assert float(draws.std()) == pytest.approx(se, rel=0.12)


@pytest.mark.slow
def test_apart_it_is_the_fits_of_today_draw_by_draw() -> None:
    result = apart()
    assert "a fit for each cause" in result.provenance["sampled"]
    for name, spec in result.causes.specs.items():
        own = fit(spec, result.evidence.causes[name], cores=1)
        assert own.posterior.equals(result.results[name].posterior)
    separate = [result.results[name] for name in ("failure", "death")]
    found = cumulative_incidence(result, TIMES, who="new-study", alive_at=2.0)
    assert np.allclose(found, cumulative_incidence(separate, TIMES, who="new-study", alive_at=2.0), atol=1e-13)


# ------------------------------------------------------------------------------------------------ answers by hand


ONE_ENDPOINT: dict[str, Any] = {"failure": {}, "death": {}}
AGE = {"age": {"prior": worlds.normal(0.5), "centre": 60.0, "scale": 10.0}}


@pytest.mark.slow
def test_shares_and_times_sum_to_the_whole() -> None:
    joint = by_hand()
    for who in ("average-study", "new-study", "new-hospital", "study:p"):
        shares = cumulative_incidence(joint, TIMES, who=who)
        assert np.allclose(shares.sum("cause"), 1.0) and (np.diff(shares.sel(cause="death"), axis=-1) > 0).all()
        assert np.allclose(time_lost(joint, 24.0, who=who).sum("cause"), 24.0)
    fine = np.linspace(0.1, 24.0, 240)
    shares = cumulative_incidence(joint, fine.tolist(), who="average-study")
    area = np.trapezoid(np.pad(shares, ((0, 0), (0, 0), (0, 0), (1, 0))), np.pad(fine, (1, 0)), axis=-1)
    assert time_lost(joint, 24.0, who="average-study").to_numpy()[..., :2] == pytest.approx(area[..., :2], abs=4e-3)
    free = all_cause_survival(joint, TIMES, who="average-study")
    one, other = (bb.survival(result, TIMES, who="average-study") for result in joint.results.values())
    assert free.to_numpy() == pytest.approx((one * other).to_numpy()[0], abs=1e-10)


@pytest.mark.slow
def test_members_are_the_product_where_nothing_ties_the_causes(monkeypatch) -> None:
    joint = by_hand(draws=4)
    exact = cumulative_incidence(joint, TIMES, who="new-study")
    monkeypatch.setattr(JointResult, "correlated", True)
    assert np.abs(cumulative_incidence(joint, TIMES, who="new-study") - exact).max() < 4e-3
    given = cumulative_incidence(joint, TIMES, who="new-study", alive_at=3.0)
    monkeypatch.undo()
    assert np.abs(given - cumulative_incidence(joint, TIMES, who="new-study", alive_at=3.0)).max() < 4e-3


@pytest.mark.slow
def test_correlated_levels_move_what_is_left_and_a_hospital_has_them_together() -> None:
    together, against = (
        cumulative_incidence(by_hand(value, draws=4), TIMES, who="new-study").sel(cause=FREE) for value in (0.9, -0.9)
    )
    # by Jensen more are free of all where the same studies are spared by both causes
    assert (together.to_numpy() > against.to_numpy()).all()
    sds = {"study_sd": 0.5, "study_treatment_sd": 0.0, "intercept": 0.0, "log_hr": 0.0}
    sampled = by_hand(0.95, draws=2000, fixed=sds)
    (member,) = asked_about(sampled, bb.NewHospital()).members
    levels = np.array([one.eta[:, 0] for one in member.populations])
    assert np.corrcoef(levels)[0, 1] == pytest.approx(0.95, abs=0.01)
    assert levels.std(axis=1) == pytest.approx([0.5, 0.5], rel=0.06)


@pytest.mark.slow
def test_patients_share_their_covariates_between_causes() -> None:
    joint = by_hand(covariates=AGE, joint={}, causes=ONE_ENDPOINT)
    old, young = (cumulative_incidence(joint, [12.0], who=bb.Patient({"age": age})) for age in (75.0, 50.0))
    assert np.abs(old - young).max() > 0.01
    whole = cumulative_incidence(joint, [12.0], who=bb.Patient({}, on="average-study"))
    mix = joint.first.case_mix
    each = [
        float(weight) * cumulative_incidence(joint, [12.0], who=bb.Patient({"age": float(x)}, on="average-study"))
        for (x,), weight in zip(mix.x, mix.weight / mix.weight.sum(), strict=True)
    ]
    assert whole.to_numpy() == pytest.approx(sum(one.to_numpy() for one in each), abs=6e-3)
    # independent averages would give another number
    separate = [joint.results[name] for name in ("failure", "death")]
    assert np.abs(whole - cumulative_incidence(separate, [12.0], who=bb.Patient({}, on="average-study"))).max() > 1e-3


@pytest.mark.slow
def test_the_ratio_of_patients_who_differ_is_of_those_still_free_of_all(tmp_path, capsys) -> None:
    joint = by_hand(covariates=AGE, joint={}, causes=ONE_ENDPOINT)
    who = bb.Patient({}, on=bb.AverageStudy())
    table = compare_causes(joint, who=who, times=[12.0])
    near = cumulative_incidence(joint, [11.98, 12.02], who=who).diff("time").isel(time=0) / 0.04
    for cause in ("failure", "death"):
        row = table[(table["estimand"] == "hazard_ratio") & (table["cause"] == cause)].iloc[0]
        free = cumulative_incidence(joint, [12.0], who=who).sel(cause=FREE).isel(time=0)
        hazards = near.sel(cause=cause) / free
        ratio = (hazards.sel(treatment="b") / hazards.sel(treatment="a")).to_numpy()
        assert (row["time"], row["median"]) == (12.0, pytest.approx(float(np.median(ratio)), rel=1e-5))
    # of one patient it has no time: it is the conditional one
    alike = compare_causes(joint, who=bb.Patient({"age": 50.0}, on=bb.AverageStudy()), times=[12.0])
    assert alike[alike["estimand"] == "hazard_ratio"]["time"].isna().all()
    path = str(joint.save(tmp_path / "joint.nc"))
    words = ("incidence", path, "--times", "12", "--who", "average-study")
    found = json.loads(run(capsys, *words, "--patient", "age=75", "--json"))["rows"]
    old = cumulative_incidence(joint, [12.0], who=bb.Patient({"age": 75.0}, on="average-study")).mean("draw")
    assert found[0]["mean"] == pytest.approx(float(old[0, 0, 0]))


@pytest.mark.slow
def test_fits_with_one_seed_have_hospitals_of_their_own() -> None:
    first, second = by_hand(draws=400, causes=ONE_ENDPOINT, joint={}).results.values()
    same = replace(second, spec=second.spec.model_copy(update={"seed": first.spec.seed})).with_inputs(second.inputs)
    drawn = cumulative_incidence([first, same], [12.0], who="new-hospital")
    moved = replace(second, spec=second.spec.model_copy(update={"seed": first.spec.seed + 1})).with_inputs(
        second.inputs
    )
    assert drawn.equals(cumulative_incidence([first, moved], [12.0], who="new-hospital"))


# ------------------------------------------------------------------------------------------------ file and commands


@pytest.mark.slow
def test_a_stored_joint_result_comes_back(tmp_path) -> None:
    joint = by_hand(0.3)
    back = load_causes(joint.save(tmp_path / "joint.nc"))
    assert list(back.results) == ["failure", "death"]
    assert back.results["death"].posterior.equals(joint.results["death"].posterior)
    assert back.correlation.equals(joint.correlation)
    assert back.evidence.set_aside.empty and list(back.evidence.incidence) == ["failure"]
    for name, terms in joint.log_likelihood.items():
        assert back.log_likelihood[name] == pytest.approx(terms, abs=1e-12)
    with pytest.raises(InputError, match="a joint model of several causes; allowed: a result of one endpoint"):
        bb.load(tmp_path / "joint.nc")


@pytest.mark.slow
def test_rows_of_one_less_incidence_stand_beside_what_is_predicted() -> None:
    joint = by_hand()
    rows = joint_rows(joint)
    assert rows["study"].tolist() == ["f1", "f1", "f1", "f2", "f3"]
    row = rows.iloc[1]
    shares = cumulative_incidence(joint, [6.0, 12.0], who="study:f1")
    assert row["printed"] == 0.81
    assert row["predicted"] == pytest.approx(1 - float(shares.sel(treatment="a", cause="failure", time=12.0).mean()))


@pytest.mark.slow
def test_the_table_of_answers_and_the_commands(tmp_path, capsys) -> None:
    joint = by_hand(0.3)
    table = compare_causes(joint, times=[12.0], horizon=24.0)
    kinds = table["estimand"].unique().tolist()
    assert {"hazard_ratio", "cumulative_incidence", "survival_difference", "time_lost", "rmst"} <= set(kinds)
    ratio = table[(table["estimand"] == "hazard_ratio") & (table["cause"] == "death")].iloc[0]
    draws = np.exp(joint.results["death"].posterior["log_hr"].to_numpy())
    assert ratio["median"] == pytest.approx(float(np.median(draws)))
    lost = table[(table["estimand"] == "time_lost_difference") & (table["cause"] == "failure")].iloc[0]
    both = time_lost(joint, 24.0, who="average-study").sel(cause="failure")
    assert lost["mean"] == pytest.approx(float((both.sel(treatment="b") - both.sel(treatment="a")).mean()))
    path = joint.save(tmp_path / "joint.nc")
    main_of = partial(run, capsys)
    found = json.loads(main_of("compare", str(path), "--times", "12", "--horizon", "24", "--json"))
    assert len(found["rows"]) == len(table) and found["spec"] == "world"
    shares = json.loads(main_of("incidence", str(path), "--times", "6,12", "--who", "average-study", "--json"))
    assert len(shares["rows"]) == 2 * 3 * 2
    with pytest.raises(SystemExit):
        main(["predict", str(path), "--times", "6"])
    assert "compare, incidence, report, diff and rerun answer from it" in capsys.readouterr().err


def run(capsys: Any, *words: str) -> str:
    with pytest.raises(SystemExit) as ending:
        main(list(words))
    assert ending.value.code == 0
    return capsys.readouterr().out


# ------------------------------------------------------------------------------------------------ from file to answer


@pytest.mark.slow
def test_causes_that_are_tied_are_sampled_together(monkeypatch) -> None:
    # the graph as it stands is slow to evaluate, and no compiler is waited for
    monkeypatch.setattr(fitting, "joint_density", partial(joint_density, mode=built.PLAIN))
    monkeypatch.setattr(fitting, "run_nutpie", partial(run_nutpie, maxdepth=2))
    of = built.causes(
        joint={"correlation": {"eta": 2.0, "why": "test"}}, causes={"failure": {}, "death": {}}, effects=LEVELS,
        sampling={"draws": 8, "tune": 12, "chains": 1, "thin": 1},
    )  # fmt: skip
    rows = {**built.ROWS, "patients": [], "medians": [], "counts": []}
    rows["points"] = [row for row in built.ROWS["points"] if row["study"] in ("k", "f1", "f2")]
    rows["arms"] = [*built.ARMS[:3], {**built.ARMS[0], "study": "k2", "treatment": "b"}]
    rows["points"].append({**rows["points"][0], "study": "k2", "survival": 0.6})
    result = fit_causes(of, built.evidence(of, rows))
    assert result.results["death"].posterior.sizes["draw"] == 8
    assert "one density" in result.provenance["sampled"] and not result.gate.passed
    assert (np.abs(result.correlation) < 1).all() and result.correlation.std() > 0
    assert result.results["failure"].provenance["joint"] == "world"
    with pytest.raises(InputError, match="one cause of the joint model world; allowed: a fit of its own"):
        bb.rerun(result.results["failure"])


LEVELS = {"study": {"sd": worlds.half_normal(0.5)}}


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn", "one_try")
def test_the_commands_go_from_a_file_to_answers(tmp_path, capsys) -> None:
    rows = {"patients": built.patients(40), "arms": built.ARMS[:1], "points": built.ROWS["points"][:1]}
    for kind, table in rows.items():
        pd.DataFrame(table).to_csv(tmp_path / f"{kind}.csv", index=False)
    few = {"draws": 60, "tune": 100, "chains": 2}
    document = built.document(
        joint={}, effects={}, sampling=few, causes={"failure": {}, "death": {}},
        evidence={kind: f"{kind}.csv" for kind in rows},
    )  # fmt: skip
    file = tmp_path / "causes.toml"
    file.write_text(tomlkit.dumps(document), encoding="utf-8")
    audited = json.loads(run(capsys, "audit", str(file), "--json"))
    assert sorted(audited["causes"]) == ["death", "failure"]
    out = tmp_path / "out"
    found = json.loads(run(capsys, "run", str(file), "--out", str(out), "--allow-failed-gate", "--json"))
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["result.nc", "report.html", "answers.csv", "rows.csv", "set_aside.csv"]
    )
    assert len(pd.read_csv(out / "answers.csv")) == len(found["rows"])
    run(capsys, "fit", str(file), "--out", str(tmp_path / "again.nc"), "--allow-failed-gate")
    first, again = (load_causes(path) for path in (out / "result.nc", tmp_path / "again.nc"))
    assert first.results["death"].posterior.equals(again.results["death"].posterior)
    with pytest.raises(SystemExit) as ending:
        main(["compare", str(out / "result.nc"), "--to", str(tmp_path / "table.csv")])
    assert ending.value.code == 2
    for words, told in (
        (("fit", str(file), "--out", str(tmp_path / "x.nc"), "--imputations", "20"), "--imputations: found a spec of"),
        (("sensitivity", str(file), "--out", str(tmp_path / "s"), "--families", "weibull"), "--families: found"),
    ):
        with pytest.raises(SystemExit) as ending:
            main(list(words))
        assert ending.value.code == 2 and told in capsys.readouterr().err
