"""Numbers that contradict each other are said; printed numbers that agree, rounded as papers round, are not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayes_bm as bb
from bayes_bm.runtime.errors import InputError
from tests.builders import worlds

RATIO = {"study": "h", "endpoint": "os", "treatment": "b", "reference": "a"}


def said(kind: str, *rows: dict[str, Any], **more: Any) -> list[str]:
    arm = {"study": "r", "arm": "x", "treatment": "a", "endpoint": "os", "n": 40}
    return list(worlds.evidence(worlds.spec(**more), {"arms": [arm], kind: list(rows)}).remarks)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"hr": 0.5, "ci_low": 0.45, "ci_high": 2.0}, "lies off the middle of its interval .0.45 to 2, middle 0.949"),
        ({"hr": 0.7, "ci_low": 0.5, "ci_high": 0.98, "p": 0.9}, "has p = 0.9 beside an interval of 0.5 to 0.98"),
        ({"hr": 0.98, "ci_low": 0.7, "ci_high": 1.37, "p": 0.001}, "has p = 0.001 beside an interval"),
    ],
)
def test_ratios_that_contradict_their_interval_are_said(numbers, words) -> None:
    (remark,) = said("hazard_ratios", {**RATIO, **numbers})
    assert remark.startswith("hazard_ratios: h, b v a: hr")
    assert pd.Series([remark]).str.contains(words).all()


@pytest.mark.slow
def test_rounded_ratios_that_agree_are_not_said() -> None:
    rng = np.random.default_rng(1)
    rows = []
    for place in range(300):
        log_hr, se = rng.normal(0, 0.5), rng.uniform(0.08, 0.6)
        low, high = np.exp(log_hr - 1.96 * se), np.exp(log_hr + 1.96 * se)
        p = float(np.clip(round(2 * stats.norm.sf(abs(log_hr) / se), 3), 0.001, 0.999))
        numbers = {"hr": round(np.exp(log_hr), 2), "ci_low": round(low, 2), "ci_high": round(high, 2), "p": p}
        rows.append({**RATIO, "study": f"h{place}", **numbers})
    assert said("hazard_ratios", *rows) == []


@pytest.mark.slow
def test_times_of_centuries_and_cohorts_that_grow_are_said() -> None:
    ages = [{"study": "p", "arm": "x", "treatment": "a", "time": 45000.0 + place, "event": 1} for place in range(3)]
    (remark,) = said("patients", *ages)
    assert remark.startswith("patients, column time: up to 4.5e+04 months, which is 3750 years")
    assert said("patients", *ages, time_unit="days")[0].endswith("123 years: is it a date, or in another time_unit?")
    key = {"study": "r", "arm": "x", "endpoint": "os"}
    first, second = {"start": 0, "stop": 5, "n": 60, "alive": 28}, {"start": 5, "stop": 9, "n": 500, "alive": 400}
    (remark,) = said("registry", {**key, **first}, {**key, **second})
    assert "28 are alive at the end of one interval and 500 at the start of the next (5)" in remark
    assert said("registry", {**key, **first}, {**key, **second, "n": 28, "alive": 9}) == []


def test_times_of_less_than_a_minute_are_said() -> None:
    rows = [{"study": "p", "arm": "x", "treatment": "a", "time": time, "event": 1} for time in (2.0, 3.0, 1e-300)]
    (remark,) = said("patients", *rows)
    assert remark.startswith("patients, column time: 1e-300 months is less than a minute")
    # an hour and a half, in months
    assert said("patients", *rows[:2], {**rows[0], "time": 0.002}) == []


def ages(values: dict[str, list[float]]) -> list[str]:
    """What is said of the ages of studies, in tens of years."""
    rows = [
        {"study": study, "arm": "x", "treatment": "a", "time": 3.0, "event": 1, "age10": age}
        for study, several in values.items()
        for age in several
    ]
    spec = worlds.spec(covariates={"age10": {"prior": worlds.normal(0.5)}})
    arm = {"study": "r", "arm": "x", "treatment": "a", "endpoint": "os", "n": 40}
    return list(worlds.evidence(spec, {"arms": [arm], "patients": rows}).remarks)


@pytest.mark.slow
def test_a_covariate_in_another_unit_is_said() -> None:
    """One patient of a study, and a whole study; skewed and two-valued covariates are not said."""
    rng = np.random.default_rng(3)
    usual, years = rng.normal(6.1, 0.9, 40).tolist(), rng.normal(61, 9, 30).tolist()
    (remark,) = ages({"p": [*usual, 61.0]})
    assert remark.startswith("patients, column age10: 61 of study p lies far from the other patients (")
    assert remark.endswith("is it in another unit?")
    said_of_studies = ages({"p": usual, "q": rng.normal(6.3, 0.8, 30).tolist(), "r2": years})
    assert [text.split(": ")[1].split(" lies")[0].split()[-1] for text in said_of_studies] == ["r2"]
    assert ages({"p": usual, "q": rng.normal(7.5, 0.4, 30).tolist()}) == []
    assert ages({"p": np.random.default_rng(3).lognormal(0, 1, 300).tolist()}) == []
    assert ages({"p": [0.0] * 38 + [1.0] * 2, "q": [0.0] * 30}) == []


def test_two_treatments_of_one_arm_in_two_files_are_refused_by_row(tmp_path) -> None:
    """Within one file the reader has looked; before, two files gave no row."""
    spec = (
        'schema = 1\nname = "s"\nquestion = "q"\nendpoint = "os"\n[evidence]\npatients = ["one.csv", "two.csv"]\n'
        '[treatments]\nreference = "a"\ncompare = ["b"]\n'
        '[priors]\nintercept = { dist = "normal", sd = 1.0, why = "w" }\n'
        'log_hr = { dist = "normal", sd = 1.0, why = "w" }\nlog_shape = { dist = "normal", sd = 0.3, why = "w" }\n'
    )
    (tmp_path / "s.toml").write_text(spec, encoding="utf-8")
    (tmp_path / "one.csv").write_text("study,arm,treatment,time,event\ns,x,a,3,1\ns,y,b,4,1\n", encoding="utf-8")
    (tmp_path / "two.csv").write_text("study,arm,treatment,time,event\ns,y,b,5,1\ns,x,b,6,1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"two\.csv, row 2, column treatment: found b in .*, as in one\.csv, row 1"):
        bb.read_evidence(bb.read_spec(tmp_path / "s.toml"))
