"""Ratios of covariates and mixes of arms against the others': each p beside a normal prediction worked out by hand."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from bayes_bm.checks.battery import battery, study_questions
from bayes_bm.checks.covariate_consistency import MIX, RATIO, covariate_checks
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.result import Result
from bayes_bm.spec.document import Spec
from tests.builders import posteriors, worlds
from tests.builders.rows import arm, median
from tests.builders.worlds import half_normal, normal

SHARES = {"mean": normal(0.8, 0.4), "sd": half_normal(0.5), "by_treatment": normal(0.3)}
AGES = {"mean": normal(5.0, 61.0), "sd": half_normal(4.0), "within_sd": half_normal(12.0)}
SPREADS = {"sd": half_normal(0.2), "transport_sd": half_normal(0.3)}
SPEC = worlds.spec(
    covariates={
        "male": {"prior": normal(0.5, 0.1), "kind": "two_valued", "case_mix": SHARES},
        "age": {"prior": normal(0.3), "kind": "continuous", "centre": 60.0, "scale": 10.0, "case_mix": AGES},
    },
    prognosis=SPREADS,
)
RATIOS = [("r1", "male", 0.7, 0.2, "same"), ("r2", "male", 0.6, 0.3, "external"), ("r3", "male", -0.7, 0.25, "same")]
RATIOS += [("r1", "age", 0.2, 0.1, "same")]
"""Study, covariate, log ratio, standard error, population; nobody else prints a ratio of age."""
ARMS = [("m1", "a", 0.8, 60, 65.0), ("m2", "b", 0.75, 40, 58.0), ("m3", "a", 0.15, 50, None)]
"""Study, treatment, share of men, patients, mean age (sd 9)."""


def ratio_row(study: str, covariate: str, log_hr: float, se: float, population: str) -> dict[str, Any]:
    row = {"study": study, "covariate": covariate, "endpoint": "os", "hr": float(np.exp(log_hr)), "se_log_hr": se}
    return row | {"population": population, "per": SPEC.covariates[covariate].scale}


def arm_row(study: str, treatment: str, share: float, n: int, age: float | None) -> dict[str, Any]:
    return arm(study, "x", treatment, n=n, share_male=share, mean_age=age, sd_age=None if age is None else 9.0)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    tables = {
        "arms": [arm_row(*row) for row in ARMS],
        "medians": [median(row[0], "x", 10.0) for row in ARMS],
        "prognostic_ratios": [ratio_row(*row) for row in RATIOS],
    }
    return checks(SPEC, worlds.evidence(SPEC, tables))


def checks(spec: Spec, evidence: Evidence) -> pd.DataFrame:
    """The checks of a result without a posterior, which they do not read."""
    empty = xr.Dataset()
    return covariate_checks(Result(spec, evidence, empty, empty, empty, empty, posteriors.PASSED))


def quantiles(sd: float) -> np.ndarray:
    """The seven equally likely values of a half-normal standard deviation."""
    return stats.halfnorm(scale=sd).ppf((np.arange(7) + 0.5) / 7)


def p_of_last(y: np.ndarray, mean: np.ndarray, covariances: list[np.ndarray]) -> float:
    """Two-sided p of the last number given the others: conditional normals, weighted by the others' densities."""
    weights, tails = [], []
    for covariance in covariances:
        others, cross = covariance[:-1, :-1], covariance[-1, :-1]
        weights.append(stats.multivariate_normal(mean[:-1], others).pdf(y[:-1]))
        middle = mean[-1] + cross @ np.linalg.solve(others, y[:-1] - mean[:-1])
        sd = np.sqrt(covariance[-1, -1] - cross @ np.linalg.solve(others, cross))
        tails.append(stats.norm.cdf((y[-1] - middle) / sd))
    less = float(np.average(tails, weights=weights))
    return 2 * min(less, 1 - less)


def p_found(table: pd.DataFrame, question: str, study: str, covariate: str) -> float:
    rows = table[(table["question"] == question) & (table["study"] == study)]
    return rows.loc[rows["covariate"].str.startswith(covariate), "p"].item()


@pytest.mark.slow
def test_a_ratio_turned_round_has_the_p_of_its_normal_prediction(table: pd.DataFrame) -> None:
    """log hr ~ N(coefficient + transport where external, se^2 + prognosis_sd^2).

    Age, of one study, is not asked about but says how much studies differ.
    """
    rows = [RATIOS[place] for place in (0, 1, 3, 2)]
    y, se = (np.array([row[place] for row in rows]) for place in (2, 3))
    male, age, external = np.array([[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    common = 0.5**2 * np.outer(male, male) + 0.3**2 * np.outer(age, age)
    covariances = [
        common + transport**2 * np.outer(external, external) + np.diag(se**2 + between**2)
        for between, transport in product(quantiles(0.2), quantiles(0.3))
    ]
    expected = p_of_last(y, 0.1 * male, covariances)
    assert p_found(table, RATIO, "r3", "male") == pytest.approx(expected, rel=1e-8)
    assert expected < 0.05
    assert not table[table["question"] == RATIO]["covariate"].str.startswith("age").any()
    assert table.loc[table["p"].idxmin(), ["question", "study"]].tolist() in ([RATIO, "r3"], [MIX, "m3"])


def test_a_share_of_the_other_level_has_the_p_of_its_normal_prediction(table: pd.DataFrame) -> None:
    """Logits of shares, their population with differences of treatments; of a mean with its own sampling error."""
    count = np.array([row[2] * row[3] for row in ARMS])
    n = np.array([row[3] for row in ARMS])
    share = (count + 0.5) / (n + 1)
    alike = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    sampling = np.diag(1 / ((n + 1) * share * (1 - share)))
    covariances = [0.8**2 + 0.3**2 * alike + sampling + sd**2 * np.eye(3) for sd in quantiles(0.5)]
    expected = p_of_last(np.log(share / (1 - share)), np.full(3, 0.4), covariances)
    assert p_found(table, MIX, "m3", "male") == pytest.approx(expected, rel=1e-8)
    assert expected < 0.05

    ages = np.array([65.0, 58.0])
    covariances = [5.0**2 + np.diag(9.0**2 / n[:2] + sd**2) for sd in quantiles(4.0)]
    expected = p_of_last(ages, np.full(2, 61.0), covariances)
    assert p_found(table, MIX, "m2", "age") == pytest.approx(expected, rel=1e-8)


def test_a_question_is_asked_once_and_says_what_may_be_wrong(table: pd.DataFrame) -> None:
    """Bonferroni over three ratios and five mixes, with the worst in the words."""
    rows = {row["question"]: row for row in study_questions(table)}
    for question, study, asked in ((RATIO, "r3", 3), (MIX, "m3", 5)):
        assert (rows[question]["worst"], rows[question]["asked"]) == (study, asked)
        p = asked * table.loc[table["question"] == question, "p"].min()
        assert rows[question]["p_question"] == pytest.approx(min(1.0, p))
    assert rows[RATIO]["words"].startswith("The log ratio of male per 1 in r3 is -")
    assert "is it the other way round, or crude, expected sd " in rows[RATIO]["words"]
    assert rows[MIX]["words"].startswith("Male in m3, a, is -")


@pytest.mark.slow
def test_the_battery_asks_about_ratios_and_a_spec_without_covariates_is_not_asked() -> None:
    spec = worlds.spec(covariates={"male": {"prior": normal(0.5, 0.1), "centre": 0.0}}, prognosis=SPREADS)
    rows = {"prognostic_ratios": [ratio_row(*row) for row in RATIOS[:3]]}
    tables = {"arms": [arm("m", "x", "a")], "medians": [median("m", "x", 10.0)]}
    result = posteriors.result(spec, worlds.evidence(spec, {**tables, **rows}), draws=20)
    spreads = dict.fromkeys(("prognosis_sd", "transport_sd"), result.posterior["study_sd"])
    transport = {"transport": result.posterior["coefficient"].rename(covariate="transported")}
    found = battery(replace(result, posterior=result.posterior.assign(spreads | transport)), replicates=100)
    own = found.flags[found.flags["question"] == RATIO].iloc[0]
    assert (own["worst"], own["asked"]) == ("r3", 3)
    expected = checks(spec, result.evidence)
    assert own["p"] == expected["p"].min()
    assert (found.studies["covariate"] != "").sum() == len(expected) == 3

    plain = worlds.spec()
    assert checks(plain, worlds.evidence(plain, tables)).empty
