"""Curves of many patients, reduced as they are made, against those of each patient alone; scores of a cohort."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bayes_bm.checks.cohort_scores import score_cohort
from bayes_bm.estimands.quantities import survival
from bayes_bm.estimands.standardization import (
    _cubic_survival,
    mean_survival,
    standardise,
    standardised_table,
    survival_table,
)
from bayes_bm.estimands.who import AverageStudy, NewHospital, NewStudy, Patient
from bayes_bm.evidence.people import read_cohort
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds
from tests.builders.commands import call
from tests.builders.patients import TWO, made

TIMES = [3.0, 12.0, 30.0]
COHORT: list[dict[str, float]] = [
    {"age": 40.0, "good": 1.0},
    {"age": 90.0, "good": 0.0},
    {"age": 61.0},
    {"good": 1.0},
    {},
]


def one_by_one(result: Result, who: Any) -> np.ndarray:
    """S of each patient (patient, sample, treatment, time), by the general quadrature."""
    values = [survival(result, TIMES, who=Patient(row, who)).to_numpy() for row in COHORT]
    return np.array(values).reshape(len(COHORT), -1, 2, len(TIMES))


@pytest.mark.slow
@pytest.mark.parametrize("who", [AverageStudy(), NewStudy(), NewHospital()])
def test_many_patients_have_the_curves_of_each(who: Any) -> None:
    result = made(draws=30, study_sd=0.7, study_shape_sd=0.3)
    expected = one_by_one(result, who)
    table = survival_table(result, COHORT, TIMES, who=who)
    for a, name in enumerate("ab"):
        rows = table[table["treatment"] == name].sort_values(["patient", "time"])
        for column, of in {"mean": np.mean, "median": np.median}.items():
            found = rows[column].to_numpy().reshape(len(COHORT), len(TIMES))
            noise = 2e-4 if column == "mean" else 0.02
            assert found == pytest.approx(of(expected[:, :, a], axis=1), abs=noise)
        sd = rows["sd"].to_numpy().reshape(len(COHORT), len(TIMES))
        assert sd == pytest.approx(expected[:, :, a].std(axis=1, ddof=1), abs=2e-4)
    cohort = pd.DataFrame(COHORT)
    assert mean_survival(result, cohort, list("ababa"), TIMES, who=who) == pytest.approx(
        np.array([expected[at, :, "ab".index(name)].mean(axis=0) for at, name in enumerate("ababa")]), abs=2e-4
    )


def test_treatments_stand_in_the_order_of_the_spec() -> None:
    """Before, in that of the alphabet."""
    spec = worlds.spec(treatments={"reference": "c", "compare": ["b", "a"]})
    result = posteriors.result(spec, worlds.evidence(spec))
    table = survival_table(result, [{}, {}], TIMES)
    assert table["treatment"].drop_duplicates().tolist() == ["c", "b", "a"]
    assert table["patient"].tolist() == [*[1] * len(TIMES), *[2] * len(TIMES)] * 3
    assert table["time"].tolist() == TIMES * 6


@pytest.mark.slow
def test_a_curve_between_nodes_is_a_probability() -> None:
    """The cubic through 1, 0.001, 0, 0 is -0.06 halfway between the middle two, that through 0, 0.999, 1, 1 above 1."""
    for nodes, end in (([1, 0.001, 0, 0], 0.0), ([0, 0.999, 1, 1], 1.0)):
        curve = np.empty(1, dtype=np.float32)
        _cubic_survival(np.array(nodes, dtype=np.float32)[:, None], 1.5, curve)
        assert curve[0] == end


def test_a_standardised_curve_is_the_mean_of_its_patients() -> None:
    result = made(draws=10)
    found = standardise(result, COHORT, TIMES)
    expected = one_by_one(result, NewStudy()).mean(axis=0)
    assert found.dims == ("chain", "draw", "treatment", "time")
    assert found.to_numpy().reshape(-1, 2, len(TIMES)) == pytest.approx(expected, abs=2e-4)
    table = standardised_table(found)
    difference = table[table["reference"] == "a"].set_index("time")
    apart = expected[:, 1] - expected[:, 0]
    assert difference["mean"].tolist() == pytest.approx(apart.mean(axis=0), abs=3e-4)
    assert difference["prob_better"].tolist() == pytest.approx((apart > 0).mean(axis=0))


@pytest.mark.slow
def test_a_resampled_cohort_is_wider_and_centred_on_the_same() -> None:
    """Dirichlet weights: mean 1/n, and with one draw of the parameters all spread is the weights'."""
    fixed = {"intercept": 0.2, "log_hr": -0.1, "log_shape": 0.0, "study_sd": 0.1, "study_treatment_sd": 0.1}
    fixed |= {"coefficient": [0.3, -1.0], "study_shape_sd": 0.0}
    # every draw has the same parameters, so that only the weights need many
    few, many = (made(draws=draws, **fixed) for draws in (2, 1500))
    plain, drawn = (
        standardise(result, COHORT, [12.0], who=AverageStudy(), resample=result is many).to_numpy()[..., 0, 0]
        for result in (few, many)
    )
    each = one_by_one(few, AverageStudy())[:, 0, 0, 1]
    assert plain.std() == pytest.approx(0.0, abs=1e-6)
    assert drawn.mean() == pytest.approx(plain.mean(), abs=0.01)
    # variance of sum w x with w ~ Dirichlet(1, ..., 1) is var(x) / (n + 1)
    assert drawn.std() == pytest.approx(np.sqrt(each.var() / (len(COHORT) + 1)), rel=0.06)


def test_other_families_go_by_the_general_quadrature() -> None:
    from tests.builders import families

    spec = worlds.spec(
        covariates=TWO,
        treatments={"reference": "a", "compare": ["b"]},
        hazard={"family": "loglogistic"},
        priors={
            "intercept": worlds.normal(1.0),
            "log_time_ratio": worlds.normal(1.0),
            "log_shape": worlds.normal(0.3),
        },
    )
    arms = [{"study": "p", "arm": "x", "treatment": name, "endpoint": "os", "n": 9} for name in "ab"]
    arms = [{**arm, "arm": arm["treatment"]} for arm in arms]
    medians = [{"study": "p", "arm": name, "endpoint": "os", "median": 9.0} for name in "ab"]
    result = families.result(spec, worlds.evidence(spec, {"arms": arms, "medians": medians}), draws=5)
    found = standardise(result, COHORT[:2], TIMES).to_numpy().reshape(-1, 2, 3)
    each = [survival(result, TIMES, who=Patient(row)).to_numpy().reshape(-1, 2, 3) for row in COHORT[:2]]
    assert found == pytest.approx(np.mean(each, axis=0), abs=3e-4)


# ------------------------------------------------------------------------------------------------ a cohort's outcomes


def simulated(tmp_path: Path, *, wrong: float = 1.0) -> tuple[Result, Path]:
    """A posterior of one draw, repeated, and 1,500 patients simulated from it; `wrong` multiplies their hazard."""
    fixed = {"intercept": 0.3, "log_hr": -0.4, "log_shape": 0.1, "coefficient": [0.4, -0.8]}
    none = {"study_sd": 0.0, "study_treatment_sd": 0.0, "study_shape_sd": 0.0}
    result, rng = made(draws=3, **fixed, **none), np.random.default_rng(12)
    age, good = rng.uniform(40, 80, 1500), rng.integers(0, 2, 1500).astype(float)
    treatment = rng.choice(["a", "b"], 1500)
    eta = 0.3 - 0.4 * (treatment == "b") + 0.4 * (age - 60) / 10 - 0.8 * (good - 0.5) + np.log(wrong)
    latent = 12 * (rng.exponential(size=1500) / np.exp(eta)) ** (1 / np.exp(0.1))
    lost = rng.uniform(2, 60, 1500)
    table = {"time": np.minimum(latent, lost), "event": (latent <= lost).astype(int), "treatment": treatment}
    pd.DataFrame({**table, "age": age, "good": good, "x_note": "n"}).to_csv(tmp_path / "cohort.csv", index=False)
    return result, tmp_path / "cohort.csv"


@pytest.mark.slow
def test_a_right_model_is_calibrated_in_a_cohort(tmp_path) -> None:
    result, path = simulated(tmp_path)
    found = score_cohort(result, read_cohort(result.spec, path, outcomes=True), [6.0, 12.0, 24.0])
    assert found.d_p > 0.01
    assert (found.brier["brier"] < found.brier["null"]).all()
    table = found.calibration
    assert ((table["low"] <= table["predicted"]) & (table["predicted"] <= table["high"])).sum() >= 4
    # of two patients the one at higher risk comes first, as often as their risks say
    assert 0.6 < found.concordance["index"].min() < 0.8
    result, path = simulated(tmp_path, wrong=2.0)
    other = score_cohort(result, read_cohort(result.spec, path, outcomes=True), [6.0, 12.0, 24.0])
    assert other.d_p < 1e-6
    assert (other.calibration["observed"] < other.calibration["predicted"]).all()


@pytest.mark.slow
def test_the_expected_brier_score_of_a_right_model_is_the_mean_of_s_times_f(tmp_path) -> None:
    result, path = simulated(tmp_path)
    cohort = read_cohort(result.spec, path, outcomes=True)
    found = score_cohort(result, cohort, [12.0]).brier["brier"].iloc[0]
    predicted = mean_survival(result, cohort[["age", "good"]], list(cohort["treatment"]), [12.0])[:, 0]
    assert found == pytest.approx(np.mean(predicted * (1 - predicted)), abs=0.012)


def test_a_cohort_that_cannot_be_read_is_refused_by_row(tmp_path) -> None:
    result, path = simulated(tmp_path)
    table, spec = pd.read_csv(path), result.spec
    for name, value, said in (
        ("time", -1.0, r"row 4 \(line 5\), column time: found -1; allowed: a number above 0"),
        ("event", 2, r"row 4 \(line 5\), column event: found 2; allowed: .* 1 = event, 0 = censored"),
        ("treatment", "z", r"row 4 \(line 5\), column treatment: found 'z'; allowed: a, b"),
    ):
        changed = table.copy()
        changed.loc[3, name] = value
        changed.to_csv(tmp_path / "bad.csv", index=False)
        with pytest.raises(InputError, match=said):
            read_cohort(spec, tmp_path / "bad.csv", outcomes=True)
    table.rename(columns={"age": "agee"}).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(InputError, match="column agee: found an unknown column"):
        read_cohort(spec, tmp_path / "bad.csv", outcomes=True)
    with pytest.raises(InputError, match=r"cohort, row 2, age: found 5\.0; allowed: 18 to 110"):
        standardise(result, [{}, {"age": 5.0}], [12.0])
    with pytest.raises(InputError, match="cohort: found no patients"):
        standardise(result, [], [12.0])


@pytest.mark.slow
def test_commands_tell_the_same(tmp_path, capsys) -> None:
    result, path = simulated(tmp_path)
    result.save(tmp_path / "r.nc")
    assert call("score", tmp_path / "r.nc", "--cohort", path, "--json", "--figure", tmp_path / "s.png") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["patients"] == 1500
    assert {row["kind"] for row in said["concordance"]} == {"Harrell", "Uno"}
    assert Image.open(tmp_path / "s.png").size[0] > 800
    assert call("standardise", tmp_path / "r.nc", "--cohort", path, "--times", "12", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["estimand"] for row in rows] == ["survival", "survival", "survival_difference"]
    assert call("score", tmp_path / "r.nc", "--cohort", tmp_path / "none.csv") == 2
