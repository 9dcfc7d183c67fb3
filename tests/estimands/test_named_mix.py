"""Answers about the patients of a population whose case mix is named, against patients one by one and quadrature."""

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

import bayes_bm as bb
from bayes_bm.checks import direct_indirect
from bayes_bm.checks.arm_mixes import mix_gap
from bayes_bm.checks.reconciliation import reconcile
from bayes_bm.estimands.mix_words import mix_words
from bayes_bm.evidence.audit import audit
from bayes_bm.evidence.coefficient_words import informed_by, informed_sentence
from bayes_bm.report.text import estimate
from bayes_bm.report.write import write_report
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds
from tests.builders.commands import call
from tests.builders.laws import normal_density
from tests.builders.worlds import half_normal
from tests.model.test_case_mix import AGE, KPS, MALE, posterior, world

NAMES = ("male", "kps")


@pytest.fixture(scope="module")
def two_valued() -> Any:
    return posterior(*world({"male": MALE, "kps": KPS}))


@pytest.mark.parametrize("on", [bb.AverageStudy(), bb.NewStudy()])
def test_a_population_is_the_average_of_its_patients_at_each_draw(two_valued: Any, on: Any) -> None:
    shares = {"male": 0.3, "kps": 0.85}
    together = bb.survival(two_valued, [6, 12], who=bb.PatientMix({f"share_{k}": v for k, v in shares.items()}, on))
    total: Any = 0.0
    for kind in product((0.0, 1.0), repeat=2):
        share = np.prod([shares[name] if here else 1 - shares[name] for name, here in zip(NAMES, kind, strict=True)])
        patient = bb.Patient(dict(zip(NAMES, kind, strict=True)), on)
        total = total + share * bb.survival(two_valued, [6, 12], who=patient)
    np.testing.assert_allclose(together, total, rtol=1e-10 if isinstance(on, bb.AverageStudy) else 1e-6)


def test_a_share_of_one_is_that_patient_and_what_is_not_named_is_as_in_the_evidence(two_valued: Any) -> None:
    on = bb.AverageStudy()
    everyone = bb.survival(two_valued, [12], who=bb.PatientMix({"share_male": 1.0, "share_kps": 0.0}, on))
    one = bb.survival(two_valued, [12], who=bb.Patient({"male": 1, "kps": 0}, on))
    np.testing.assert_allclose(everyone, one, rtol=1e-12)
    men = bb.survival(two_valued, [12], who=bb.PatientMix({"share_male": 1.0}, on))
    man = bb.survival(two_valued, [12], who=bb.Patient({"male": 1}, on))
    np.testing.assert_allclose(men, man, rtol=1e-12)


def test_a_mean_has_the_spread_of_the_evidence() -> None:
    result = posterior(*world({"age": AGE}))
    together = bb.survival(result, [12], who=bb.PatientMix({"mean_age": 70.0}, bb.AverageStudy()))
    _, ((variance,),) = result.case_mix.moments(["age"])
    draws = result.predictors.draws
    slope = float(draws.slopes[0, 0, 0])

    def alive(z: float) -> float:
        x = (70.0 + np.sqrt(variance) * z - 60.0) / 10.0
        return float(normal_density(z) * np.exp(-np.exp(draws.intercept[0] + slope * x)))

    exact, _ = integrate.quad(alive, -10, 10, epsabs=1e-12)
    assert together.to_numpy()[0, 0, 0, 0] == pytest.approx(exact, abs=2e-4)


def test_words_say_which_ratio_is_which(two_valued: Any) -> None:
    who = bb.PatientMix({"share_male": 0.3}, bb.AverageStudy())
    words = mix_words(two_valued, who)
    assert words.startswith(
        "Averaged over the patients of a population with 30 % male; what is not named (kps) is as in"
    )
    alike = np.median(np.exp(two_valued.predictors.draws.log_hr[:, 1]))
    assert f"Hazard ratio of b against a: {alike:.2f} (" in words
    together = np.median(bb.hazard_ratio(two_valued, [12], who=who).sel(treatment="b"))
    assert f", {together:.2f} (" in words and "between two groups of these patients, at 12 months" in words
    assert mix_words(two_valued, bb.AverageStudy()) == ""
    # a mix attenuates: hazards of the worse group lose their frail patients first
    table = bb.compare(two_valued, who=who, times=[12])
    assert table.loc[table["estimand"] == "hazard_ratio", "time"].tolist() == [12.0, 12.0]


@pytest.mark.slow
def test_a_population_is_predicted_as_one(two_valued: Any) -> None:
    who = bb.PatientMix({"share_male": 0.3, "share_kps": 0.5})
    table = bb.predict(two_valued, who=who, times=[12])
    alive = bb.survival(two_valued, [12], who=who).sel(treatment="b")
    row = table[(table["estimand"] == "survival") & (table["treatment"] == "b")].iloc[0]
    assert row["mean"] == pytest.approx(float(alive.mean()), rel=1e-12)
    with pytest.raises(InputError, match="male beside a population"):
        bb.predict(two_valued, {"male": 1}, who=who)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "found nothing; allowed: share_male, share_kps"),
        ({"share_mael": 0.5}, "a name that says nothing of this spec; allowed: share_male, share_kps"),
        ({"male": 0.5}, "a name that says nothing of this spec"),
        ({"mean_male": 0.5}, "a name that says nothing of this spec"),
        ({"share_male": 1.2}, "found 1.2; allowed: 0 to 1 a share"),
        ({"share_male": "x"}, "allowed: 0 to 1 a share"),
    ],
)
def test_what_names_no_mix_is_refused(two_valued: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        bb.survival(two_valued, [12], who=bb.PatientMix(values))


@pytest.mark.slow
def test_the_check_of_arms_and_patients_holds_and_sees_an_arm_that_is_not_its_patients(
    two_valued: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gap = mix_gap(two_valued)
    assert gap is not None and gap.passed and gap.largest < 1e-12
    assert "is the arm's curve: holds (largest difference" in gap.text
    with_age = mix_gap(posterior(*world({"male": MALE, "age": AGE})))
    assert with_age is not None and with_age.passed and with_age.allowed == 1e-8
    # shares that differ by one in a thousand between the two ways are seen
    wrong = posterior(*world({"male": MALE, "kps": KPS}))
    mix = wrong.predictors.draws.mix
    _ = wrong.predictors.point_offsets
    mix[:, :, 0] = np.clip(mix[:, :, 0] + 1e-3, 0, 1)
    monkeypatch.setattr(type(wrong), "thinned", lambda self, draws: self)
    gap = mix_gap(wrong)
    assert gap is not None and not gap.passed and "FAILS in" in gap.text


def test_what_informs_a_coefficient_is_said() -> None:
    spec, evidence = world({"male": MALE, "kps": KPS})
    words = informed_by(spec, evidence)
    assert words["male"] == "3 arms of 2 studies (across-study data)"
    assert informed_sentence(spec, evidence, ["kps", "other"]).startswith("Coefficients are informed: kps by ")
    table = pd.DataFrame(
        {"covariate": "male", "study": ["r1", "r2"], "change": 1.0, "se": [0.1, 0.2], "n": [100.0, 50.0]}
        | {"external": [False, True]}
    )
    told = informed_by(spec, replace(evidence, prognostic_ratios=table))["male"]
    assert told.startswith(
        "2 published ratios of 2 studies, 150 patients, 20 % of their precision from another setting;"
    )


@pytest.mark.slow
def test_commands_answer_about_a_population_and_say_so(
    two_valued: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.nc"
    two_valued.save(path)
    asked = ("--population", "share_male=0.3,share_kps=0.5", "--times", "12", "--json")
    assert call("compare", path, *asked) == 0
    compared = json.loads(capsys.readouterr().out)
    assert compared["who"] == "population share_male=0.3, share_kps=0.5 on average-study"
    assert "between two groups of these patients" in compared["mix"]
    assert call("predict", path, *asked) == 0
    predicted = json.loads(capsys.readouterr().out)
    assert predicted["notes"][0].startswith("Averaged over the patients of a population with 30 % male, 50 % kps.")
    assert predicted["patients"] == [] and predicted["informed_by"].keys() == {"male", "kps"}
    assert call("predict", path, *asked, "--patient", "male=1") == 2
    assert "--population, --patient" in capsys.readouterr().err


def test_across_studies_stands_beside_itself_without_covariates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two studies of one treatment each: what the fit without covariates says, and how much of that is mix."""
    arms = [{"study": study, "arm": "x", "treatment": study, "endpoint": "os", "n": 50} for study in "ab"]
    arms[0] |= {"share_male": 0.2}
    medians = [{"study": study, "arm": "x", "endpoint": "os", "median": 9.0} for study in "ab"]
    ratios = [{"study": "r", "covariate": "male", "endpoint": "os", "hr": 1.3, "se_log_hr": 0.1}]
    spec = worlds.spec(
        treatments={"reference": "a", "compare": ["b"]}, covariates={"male": MALE}, prognosis={"sd": half_normal(0.3)}
    )
    evidence = worlds.evidence(spec, {"arms": arms, "medians": medians, "prognostic_ratios": ratios})
    asked: list[Any] = []

    def fit(plain: Any, rows: Any, say: Any) -> Any:
        asked.append((plain, rows))
        return posteriors.result(plain, rows, draws=50, log_hr=[-0.5])

    monkeypatch.setattr(direct_indirect, "refit", fit)
    table = direct_indirect.contrast_sources(posteriors.result(spec, evidence, draws=50, log_hr=[-0.2]))
    ((plain, rows),) = asked
    assert not plain.covariates and plain.prognosis is None and rows.prognostic_ratios.empty
    assert table["source"].tolist() == ["within", "across", "across, not adjusted", "combined", "discrepancy"]
    row = table[table["source"] == "across, not adjusted"].iloc[0]
    assert (row["mean"], row["studies"]) == (pytest.approx(-0.5), 2)
    assert row["note"] == "of this log ratio of -0.50, -0.30 is case mix and -0.20 is left"
    # without mixes nothing is fitted a second time
    simple = worlds.spec(treatments={"reference": "a", "compare": ["b"]})
    other = worlds.evidence(simple, {"arms": [{**one, "share_male": np.nan} for one in arms], "medians": medians})
    names = direct_indirect.contrast_sources(posteriors.result(simple, other, draws=50))["source"]
    assert names.tolist() == ["within", "across", "combined", "discrepancy"] and len(asked) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_the_report_shows_who_the_patients_were(two_valued: Any, tmp_path: Path) -> None:
    spec, evidence = two_valued.spec, two_valued.evidence
    fresh = {"case_mix_mean": (("chain", "draw", "covariate"), np.full((2, 6, 2), 0.3))}
    fresh["case_mix_sd"] = (("chain", "draw", "covariate"), np.full((2, 6, 2), 0.5))
    labels = [f"{treatment}, male" for treatment in spec.treatments.names]
    fresh["case_mix_by_treatment"] = (("chain", "draw", "case_mix_term"), np.zeros((2, 6, len(labels))))
    posterior_of = two_valued.posterior.assign(fresh).assign_coords(case_mix_term=labels, covariate=list(NAMES))
    result = replace(two_valued, posterior=posterior_of)
    given: Any = {"audit": audit(spec, evidence), "reconciliation": reconcile(result), "contrasts": None}
    named = replace(result, spec=spec.model_copy(update={"population": {"share_male": 0.7}}))
    path = write_report(named, tmp_path / "r.html", **given)
    page = re.sub(r"<[^>]+>|\s+", " ", path.read_text(encoding="utf-8"))
    assert "Who the patients were" in page and "Averaged over the patients of the mix of the evidence" in page
    assert "between two patients alike" in page and "not printed" in page
    assert "Averaged over the patients of a population with 70 % male; what is not named (kps)" in page
    ours = bb.survival(result, [12], who=bb.PatientMix({"share_male": 0.7})).sel(treatment="a", time=12.0)
    assert estimate(np.quantile(ours, [0.5, 0.025, 0.975]).tolist(), digits=2) in page.partition("A population")[2]
    assert f"Coefficient of male: {informed_by(spec, evidence)['male']}." in page
