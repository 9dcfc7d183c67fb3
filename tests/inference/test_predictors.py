"""Linear predictors on draws: every patient has a number of its own, and parts of the draws agree with the whole."""

import numpy as np
import pytest

from bayes_bm.inference.predictors import Predictors
from bayes_bm.model.linear_predictor import draw_ratio_means
from tests.builders import posteriors, worlds

AGE = {"age": {"prior": worlds.normal(0.5), "centre": 60.0, "scale": 10.0}}


@pytest.mark.parametrize("covariates", [{}, AGE])
def test_shifts_are_of_every_draw_and_patient(covariates: dict) -> None:
    spec = worlds.spec(covariates=covariates)
    patients = [{**row, "age": 50.0 + at} for at, row in enumerate(worlds.TABLES["patients"])] if covariates else None
    tables = {**worlds.TABLES, **({"patients": patients} if patients else {})}
    result = posteriors.result(spec, worlds.evidence(spec, tables), chains=2, draws=3)
    arrays = result.inputs.kinds["patients"]
    shifts = result.predictors.shifts(arrays["arm_row"], arrays["x"])
    assert shifts.shape == (6, len(arrays["arm_row"]))
    coefficient = result.posterior["coefficient"].to_numpy().reshape(6, -1) if covariates else np.zeros((6, 0))
    np.testing.assert_allclose(shifts, coefficient @ arrays["x"].T, atol=1e-14)
    chosen = np.array([4, 1])
    np.testing.assert_array_equal(result.predictors.shifts(arrays["arm_row"], arrays["x"], chosen), shifts[chosen])


def test_ratio_means_of_parts_are_those_of_all_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = worlds.spec(priors__treatment_log_shape=worlds.normal(0.2))
    tables = {**worlds.TABLES, "hazard_ratios": [{**row, "followup": 24.0} for row in worlds.TABLES["hazard_ratios"]]}
    result = posteriors.result(spec, worlds.evidence(spec, tables), chains=1, draws=7)
    whole = Predictors(result.inputs, result.predictors.draws).ratio_means
    monkeypatch.setattr("bayes_bm.model.linear_predictor.RATIO_CELLS", 10)
    inputs, arrays = result.inputs, result.inputs.kinds["hazard_ratios"]
    parts = draw_ratio_means(result.predictors.draws, inputs.design, inputs.family, arrays, proportional=False)
    np.testing.assert_array_equal(parts, whole)
