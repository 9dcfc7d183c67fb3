"""Answers for a patient: covariates not given, distance to the evidence, margins, treatments left out, outcomes."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image
from scipy import stats

from bayes_bm.estimands import interpolation
from bayes_bm.estimands.outcomes import outcome_table, outcomes
from bayes_bm.estimands.predict import predict
from bayes_bm.estimands.quantities import survival
from bayes_bm.estimands.who import AverageStudy, NewHospital, NewStudy, Patient
from bayes_bm.model.covariates.case_mix import case_mix, checked, distance
from bayes_bm.model.model_inputs import prepare
from bayes_bm.runtime.errors import InputError
from tests.builders import worlds
from tests.builders.commands import call
from tests.builders.patients import AGES, GOOD, TWO, made

# ------------------------------------------------------------------------------------------------ not given


@pytest.mark.parametrize("who", [AverageStudy(), NewStudy()])
def test_what_is_not_given_is_averaged_over_the_evidence(who: Any) -> None:
    """Against the mean of the curves of its six patients, each asked about in turn."""
    result = made(coefficient=[0.25, -0.9])
    each = [survival(result, [12.0, 24.0], who=Patient({"age": 60.0, "good": good}, who)) for good in GOOD]
    expected = sum(values.to_numpy() for values in each) / len(GOOD)
    found = survival(result, [12.0, 24.0], who=Patient({"age": 60.0}, who)).to_numpy()
    assert found == pytest.approx(expected, abs=0.005)
    centred = survival(result, [12.0], who=Patient({"age": 60.0, "good": 0.0}, who)).to_numpy()
    assert np.abs(found[..., :1] - centred).max() > 0.05


def test_where_the_evidence_knows_no_covariates_they_stand_at_their_centre() -> None:
    result = made(known=False)
    asked, centre = Patient({"age": 70.0}), Patient({"age": 70.0, "good": 0.5})
    assert survival(result, [12.0], who=asked).to_numpy() == pytest.approx(survival(result, [12.0], who=centre))


def test_the_population_is_of_patients_and_of_arms_that_state_theirs() -> None:
    spec = worlds.spec(covariates=TWO, treatments={"reference": "a", "compare": ["b"]})
    stated = {"study": "q", "arm": "y", "treatment": "b", "endpoint": "os", "n": 30}
    stated |= {"mean_age": 65.0, "sd_age": 8.0, "share_good": 0.4}
    medians = [{"study": "q", "arm": "y", "endpoint": "os", "median": 12.0}]
    mix = case_mix(prepare(spec, worlds.evidence(spec, {"arms": [stated], "medians": medians})))
    mean, covariance = mix.moments(["age", "good"])
    assert mix.weight.sum() == pytest.approx(30.0)
    assert mean == pytest.approx([65.0, 0.4], abs=0.02)
    assert covariance[0, 0] == pytest.approx(64.0, rel=0.05)


@pytest.mark.slow
def test_answers_say_who_is_averaged(tmp_path, capsys) -> None:
    for known, word in (
        (True, "averaged over the evidence's patients: good"),
        (False, "taken at the centre"),
    ):
        made(known=known).save(tmp_path / "r.nc")
        assert call("predict", tmp_path / "r.nc", "--patient", "age=70", "--times", "12") == 0
        assert word in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_screen_of_many_patients_is_printed_and_all_are_written(tmp_path, capsys) -> None:
    made().save(tmp_path / "r.nc")
    people = pd.DataFrame({"patient": [f"patient{number}" for number in range(30)], "age": 70.0, "good": 1.0})
    people.to_csv(tmp_path / "people.csv", index=False)
    asked = ("--patients", tmp_path / "people.csv", "--times", "12,24", "--horizon", 24)
    assert call("predict", tmp_path / "r.nc", *asked, "--out", tmp_path / "all.csv") == 0
    said = capsys.readouterr().out
    written = pd.read_csv(tmp_path / "all.csv")
    each = len(written) // 30
    shown = [line.split()[0] for line in said.splitlines() if line.startswith("patient")]
    assert written["patient"].value_counts().tolist() == [each] * 30
    assert shown.count("patient0") == each and len(set(shown) - {"patient"}) == 50 // each
    more = 30 - 50 // each
    assert f"{more} more patients, {more * each} rows, are in `--out FILE.csv` and in `--json`." in said
    assert call("predict", tmp_path / "r.nc", *asked, "--out", tmp_path / "all.doc") == 2


# ------------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weight": 70}, "patient, weight: found an unknown covariate; allowed: age, good"),
        ({"age": 5}, "patient, age: found 5; allowed: 18 to 110 years"),
        ({"age": float("nan")}, "patient, age: found nan; allowed: 18 to 110 years"),
        ({"age": "old"}, "patient, age: found old; allowed: 18 to 110 years"),
    ],
)
def test_what_a_patient_cannot_be_is_refused_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        checked(made().spec, given)
    assert said in str(refused.value)


# ------------------------------------------------------------------------------------------------ distance


def test_distance_is_mahalanobis_in_the_evidence() -> None:
    result = made()
    found = distance(result.spec, result.case_mix, {"age": 75.0, "good": 0.0})
    x = np.column_stack([AGES, GOOD])
    away = np.array([75.0, 0.0]) - x.mean(axis=0)
    inverse = np.linalg.inv(np.cov(x, rowvar=False, bias=True))
    assert found.mahalanobis == pytest.approx(math.sqrt(away @ inverse @ away), rel=1e-6)
    others = [math.sqrt((row - x.mean(axis=0)) @ inverse @ (row - x.mean(axis=0))) for row in x]
    assert found.farther == pytest.approx(np.mean([other >= found.mahalanobis for other in others]))
    assert found.outside == []
    age = found.table.set_index("covariate").loc["age"]
    assert (age["low"], age["high"], age["mean"]) == (40.0, 80.0, 60.0)
    assert age["z"] == pytest.approx(15.0 / np.std(AGES))


def test_beyond_the_evidence_is_marked_in_every_row() -> None:
    result = made()
    assert distance(result.spec, result.case_mix, {"age": 95.0}).outside == ["age"]
    table = predict(result, {"age": 95.0}, times=[6.0])
    assert table["label"].str.contains("beyond the evidence: age").all()
    assert not predict(result, {"age": 75.0}, times=[6.0])["label"].str.contains("beyond the evidence").any()
    unknown = distance(made(known=False).spec, made(known=False).case_mix, {"age": 95.0})
    assert (unknown.outside, math.isnan(unknown.mahalanobis)) == ([], True)
    assert "not known" in unknown.text


# ------------------------------------------------------------------------------------------------ rows


def test_better_by_a_margin_is_a_share_of_draws() -> None:
    result = made(draws=50)
    table = predict(result, {"age": 60.0}, times=[12.0], margins={"rmst": 1.0, "survival": 0.05, "median": 2.0})
    rows = table[table["reference"].notna()].set_index("estimand")
    values = survival(result, [12.0], who=Patient({"age": 60.0})).to_numpy()
    difference = values[..., 1, 0] - values[..., 0, 0]
    assert rows.loc["survival_difference", "prob_better_by_margin"] == pytest.approx(np.mean(difference > 0.05))
    assert rows.loc["survival_difference", "prob_better"] == pytest.approx(np.mean(difference > 0))
    assert rows["margin"].to_dict() == {"survival_difference": 0.05, "median_difference": 2.0, "rmst_difference": 1.0}
    assert table.loc[table["reference"].isna(), "margin"].isna().all()


def test_other_estimands_are_answered_by_name() -> None:
    result = made()
    table = predict(result, {"age": 60.0}, times=[12.0], estimands=["hazard", "quantile:0.25"], alive_at=2.0)
    assert set(table["estimand"]) == {"hazard", "quantile:0.25", "quantile:0.25_difference"}
    for name in ("mean", "median"):
        early = table[(table["estimand"] == "quantile:0.25") & (table["treatment"] == "a")][name].iloc[0]
        late = predict(result, {"age": 60.0}, alive_at=2.0).set_index(["estimand", "treatment"])
        assert 2.0 < early < late.loc[("median", "a"), name]
    with pytest.raises(InputError, match=r"estimands: found mean; allowed: survival, median, rmst, hazard, quantile"):
        predict(result, {}, estimands=["mean"])


def test_margins_that_cannot_be_meant_are_refused() -> None:
    for margins, said in (
        ({"hazard": 1.0}, "margin: found hazard; allowed: survival, median, rmst"),
        ({"survival": 5.0}, "survival is a proportion"),
        ({"rmst": -1.0}, "margin, rmst: found -1.0; allowed: 0 or more"),
    ):
        with pytest.raises(InputError, match=said):
            predict(made(), {}, margins=margins)


def test_treatments_that_the_patient_cannot_have_are_left_out() -> None:
    result = made()
    assert set(predict(result, {}, times=[6.0], without=["b"])["treatment"]) == {"a"}
    only = predict(result, {}, times=[6.0], without=["a"])
    assert set(only["treatment"]) == {"b"}
    assert only["reference"].isna().all()
    with pytest.raises(InputError, match="treatments: found none left"):
        predict(result, {}, without=["a", "b"])
    with pytest.raises(InputError, match="treatment: found c; allowed: a, b"):
        predict(result, {}, without=["c"])


# ------------------------------------------------------------------------------------------------ outcomes


@pytest.mark.slow
@pytest.mark.parametrize("alive_at", [0.0, 6.0])
@pytest.mark.parametrize("who", [AverageStudy(), NewStudy(), NewHospital()])
def test_outcomes_have_the_law_of_the_mean_curve(who: Any, alive_at: float) -> None:
    """P(T > t) over outcomes is the mean over draws of S(t | alive), whoever is asked about."""
    result = made(draws=40, study_sd=0.8, study_shape_sd=0.3)
    drawn = outcomes(result, {"age": 66.0}, who=who, alive_at=alive_at, each=250)
    assert drawn.dims == ("chain", "draw", "outcome", "treatment")
    values = drawn.to_numpy().reshape(-1, 2)
    assert values.min() >= alive_at
    for time in (9.0, 18.0):
        mean = survival(result, [time], who=Patient({"age": 66.0}, who), alive_at=alive_at).mean(("chain", "draw"))
        noise = np.sqrt(0.25 / len(values))
        assert np.mean(values > time, axis=0) == pytest.approx(mean.to_numpy()[:, 0], abs=4.5 * noise)


def test_outcomes_are_wider_than_the_curve_and_not_paired() -> None:
    result = made(draws=100)
    values = outcomes(result, {"age": 60.0}, each=20).to_numpy().reshape(-1, 2)
    assert abs(stats.spearmanr(values[:, 0], values[:, 1])[0]) < 0.2
    again = outcomes(result, {"age": 60.0}, each=20).to_numpy().reshape(-1, 2)
    assert np.array_equal(values, again)
    assert not np.array_equal(values, outcomes(result, {"age": 60.0}, each=20, seed=9).to_numpy().reshape(-1, 2))


def test_the_table_of_outcomes_counts() -> None:
    times = pd.DataFrame(np.arange(1.0, 101.0)[:, None])
    import xarray as xr

    drawn = xr.DataArray(times.to_numpy()[None, :, None], dims=("chain", "draw", "outcome", "treatment"))
    table = outcome_table(drawn.assign_coords(treatment=["a"]), [25.0]).set_index(["what", "at"])["value"]
    assert table["alive", 25.0] == pytest.approx(0.75)
    assert table["quantile", 0.5] == pytest.approx(51.0)


# ------------------------------------------------------------------------------------------------ command


@pytest.mark.slow
def test_command_tells_all_of_it(tmp_path, capsys) -> None:
    made(draws=20).save(tmp_path / "r.nc")
    asked = ("predict", tmp_path / "r.nc", "--patient", "age=95", "--times", "6,12", "--margin", "rmst=1,survival=0.05")
    asked = (*asked, "--outcomes", "--figure", tmp_path / "p.png", "--horizon", "18")
    assert call(*asked, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert {"patient", "treatment", "estimand", "time", "mean", "sd", "median", "q5", "q95"} <= set(said["rows"][0])
    [about] = said["patients"]
    assert about["distance"]["outside"] == ["age"]
    assert about["averaged_over_the_evidence"] == ["good"]
    assert {row["time"] for row in said["rows"] if row["estimand"] == "rmst"} == {18.0}
    assert {row["what"] for row in said["outcomes"]} == {"quantile", "alive"}
    assert Image.open(tmp_path / "p.png").size[0] > 800
    assert call(*asked[:6], "--without", "b") == 0
    assert " b " not in capsys.readouterr().out
    assert call(*asked[:4], "--margin", "rmst=x") == 2
    assert "--margin: found 'rmst=x'" in capsys.readouterr().err
    assert call("predict", tmp_path / "r.nc", "--patient", "age=5") == 2


# ------------------------------------------------------------------------------------------------ many patients


def many(count: int = 24) -> list[dict[str, float]]:
    """So many ages with either value of the other covariate, some of each not given, and one patient twice."""
    ages = np.linspace(25.0, 95.0, count)
    both = [{"age": float(age), "good": float(at % 2)} for at, age in enumerate(ages)]
    return [*both, *({"age": float(age)} for age in ages), {"good": 1.0}, {}, both[3]]


def close(found: pd.DataFrame, expected: pd.DataFrame, samples: int, horizon: float) -> None:
    """What a table of many says of each patient is what one asked alone is told: the tolerances of the docs."""
    names = ["patient", "treatment", "reference", "estimand", "time", "label", "margin"]
    pd.testing.assert_frame_equal(found[names], expected[names])
    for estimand in dict.fromkeys(expected["estimand"]):
        mine = (table[table["estimand"] == estimand] for table in (found, expected))
        one, other = (table[["mean", "sd", "median", "q5", "q95"]].to_numpy() for table in mine)
        unit = horizon if estimand.startswith("rmst") else 1.0 if estimand.startswith("survival") else np.abs(other)
        assert np.all(np.abs(one - other) <= 1e-6 * unit + 1e-9), estimand
    for name in ("prob_better", "prob_better_by_margin"):
        assert found[name].to_numpy(dtype=float) == pytest.approx(
            expected[name].to_numpy(dtype=float), abs=1.01 / samples, nan_ok=True
        )


@pytest.mark.slow
@pytest.mark.parametrize(("who", "alive_at", "count"), [(NewStudy(), 3.0, 24), (NewHospital(), 0.0, 40)])
def test_many_patients_are_told_what_each_alone_is(who: Any, alive_at: float, count: int, monkeypatch) -> None:
    """A series in eta, at different points at different draws, where patients are many; one by one where few.

    Asked alone are every fourth of both kinds, and all who give less.
    """
    result, sizes, at = made(draws=30, study_sd=0.6, study_shape_sd=0.2), list[int](), interpolation.Series.evaluate

    def counted(series: interpolation.Series, eta: np.ndarray) -> Any:
        sizes.append(series.coefficients.shape[-1])
        return at(series, eta)

    monkeypatch.setattr(interpolation.Series, "evaluate", counted)
    given: dict[str, Any] = {"times": [6.0, 24.0], "alive_at": alive_at, "who": who, "horizon": 24.0}
    given |= {"estimands": ["survival", "hazard", "median", "rmst", "quantile:0.25"], "margins": {"rmst": 1.0}}
    found = predict(result, many(count), **given)
    # where the two-valued covariate is not given each has a mixture of his own
    assert len(sizes) == count
    assert min(sizes) > 9
    asked = {str(place + 1): who for place, who in enumerate(many(count)) if place % 4 == 3 or place >= 2 * count}
    each = [predict(result, who, names=[name], **given) for name, who in asked.items()]
    alike = found[found["patient"].astype(str).isin(asked)].reset_index(drop=True)
    close(alike, pd.concat(each, ignore_index=True), 60, 24.0)


@pytest.mark.slow
def test_many_patients_under_an_accelerated_or_a_cured_family() -> None:
    """Other families go by the general quadrature; where a median is never reached no series follows it."""
    from tests.builders import families

    cured = {"family": "weibull", "cure": True}
    for hazard, effect in ({"family": "loglogistic"}, "log_time_ratio"), (cured, "log_hr"):
        priors = {"intercept": worlds.normal(1.0), effect: worlds.normal(1.0), "log_shape": worlds.normal(0.3)}
        priors |= {"logit_cure": worlds.normal(1.0)} if "cure" in hazard else {}
        treatments = {"reference": "a", "compare": ["b"]}
        spec = worlds.spec(covariates=TWO, treatments=treatments, hazard=hazard, priors=priors)
        arms = [{"study": "p", "arm": name, "treatment": name, "endpoint": "os", "n": 9} for name in "ab"]
        medians = [{"study": "p", "arm": name, "endpoint": "os", "median": 9.0} for name in "ab"]
        result = families.result(spec, worlds.evidence(spec, {"arms": arms, "medians": medians}), draws=5)
        rng = np.random.default_rng(1)
        slopes = xr.DataArray(rng.normal(size=(2, 5, 2)), dims=("chain", "draw", "covariate"))
        more = {"logit_cure": (("chain", "draw"), rng.normal(size=(2, 5)))} if "cure" in hazard else {}
        posterior = result.posterior.assign(coefficient=slopes.assign_coords(covariate=list(TWO)), **more)
        result = replace(result, posterior=posterior)
        given: dict[str, Any] = {"times": [12.0], "horizon": 24.0, "who": AverageStudy()}
        with np.errstate(invalid="ignore"):
            found = predict(result, many()[:24], **given)
            each = [predict(result, one, names=[str(at + 1)], **given) for at, one in enumerate(many()[:24])]
        expected = pd.concat(each, ignore_index=True)
        assert np.isinf(expected["mean"]).any() == ("cure" in hazard)
        finite = np.isfinite(expected[["mean", "q95"]]).all(axis=1)
        close(found[finite], expected[finite], result.predictors.draws.samples, 24.0)
