"""Numbers that contradict each other are said; printed numbers that agree, rounded as papers round, are not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

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
