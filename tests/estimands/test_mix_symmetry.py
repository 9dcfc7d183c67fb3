"""What does not matter of case mixes: a covariate without an effect, how a covariate is coded, the order of rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bayes_bm.estimands.quantities import survival
from bayes_bm.estimands.who import NewHospital, NewStudy, Patient, PatientMix
from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from tests.builders import posteriors
from tests.model.test_case_mix import ARMS, KPS, MALE, TABLES, posterior, turned, world

TIMES = [3.0, 12.0, 30.0]
ANSWERED = (NewStudy(), NewHospital(), Patient({"kps": 1.0}), PatientMix({"share_kps": 0.7}))
"""Whom two models are asked about that differ by the covariate male."""


def with_posterior(spec: Any, evidence: Any, given: Any) -> Any:
    """A posterior that is given, of another spec."""
    return replace(posteriors.result(spec, evidence, draws=6), posterior=given, stored_log_likelihood=None)


def rows_of_likelihood(result: Any) -> dict[str, np.ndarray]:
    return {name: values.to_numpy() for name, values in pointwise_log_likelihood(result.predictors).items()}


def same_answers(one: Any, other: Any) -> None:
    for who in ANSWERED:
        both = [survival(result, TIMES, who=who).to_numpy() for result in (one, other)]
        np.testing.assert_allclose(both[0], both[1], rtol=1e-9, err_msg=who.name)
    both = [rows_of_likelihood(result) for result in (one, other)]
    assert both[0].keys() == both[1].keys()
    for name, values in both[0].items():
        np.testing.assert_allclose(values, both[1][name], rtol=1e-9, err_msg=name)


@pytest.mark.slow
def test_a_covariate_without_an_effect_changes_no_answer() -> None:
    result = posterior(*world({"male": MALE, "kps": KPS}))
    coefficient = result.posterior["coefficient"].copy(deep=True)
    coefficient.loc[{"covariate": "male"}] = 0.0
    still = replace(result, posterior=result.posterior.assign(coefficient=coefficient))
    less = with_posterior(*world({"kps": KPS}), still.posterior.sel(covariate=["kps"]))
    same_answers(still, less)
    moved = with_posterior(*world({"kps": KPS}), result.posterior.sel(covariate=["kps"]))
    apart = survival(result, [12.0], who=NewStudy()) - survival(moved, [12.0], who=NewStudy())
    assert float(np.abs(apart).max()) > 0.01


@pytest.mark.slow
def test_coding_turned_round_and_other_orders_have_the_same_answers() -> None:
    result = posterior(*world({"male": MALE, "kps": KPS}))
    tables = {**TABLES, "arms": turned(ARMS), "points": TABLES["points"][::-1], "medians": TABLES["medians"][::-1]}
    spec, evidence = world({"male": {**MALE, "centre": 1.0}, "kps": KPS}, tables)
    given = result.posterior.copy(deep=True)
    given["coefficient"].loc[{"covariate": "male"}] *= -1
    given["case_mix"].loc[{"covariate": "male"}] = 1 - given["case_mix"].sel(covariate="male")
    other = with_posterior(spec, evidence, given)
    same = {name: np.sort(values, axis=-1) for name, values in rows_of_likelihood(other).items()}
    for name, values in rows_of_likelihood(result).items():
        np.testing.assert_allclose(np.sort(values, axis=-1), same[name], rtol=1e-9, err_msg=name)
    for one, again in ((Patient({"male": 1.0}), Patient({"male": 0.0})), *((who, who) for who in ANSWERED)):
        both = [
            survival(asked, [3.0, 12.0, 30.0], who=who).to_numpy() for asked, who in ((result, one), (other, again))
        ]
        np.testing.assert_allclose(both[0], both[1], rtol=1e-9, err_msg=one.name)
