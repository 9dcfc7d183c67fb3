"""Worlds whose arms have mixes of patients, print some of them, and whose studies print ratios of covariates."""

import numpy as np
import pytest

from bayes_bm.runtime.errors import InputError
from bayes_bm.validation.simulation.world import simulate
from tests.builders import worlds
from tests.builders.worlds import half_normal, normal

MIX = {"mean": normal(0.7), "sd": half_normal(0.5), "by_treatment": normal(0.5)}
AGE = {"mean": normal(5.0, 61.0), "sd": half_normal(4.0), "within_sd": half_normal(12.0)}
SPEC = worlds.spec(
    covariates={
        "male": {"prior": normal(0.5), "kind": "two_valued", "case_mix": MIX},
        "age": {"prior": normal(0.3), "kind": "continuous", "centre": 60.0, "scale": 10.0, "case_mix": AGE},
    },
    prognosis={"sd": half_normal(0.2), "transport_sd": half_normal(0.2)},
)
TRUTH = {
    "case_mix_mean": {"male": 1.0, "age": 63.0},
    "case_mix_sd": {"male": 0.3, "age": 3.0},
    "case_mix_within": 9.0,
    "coefficient": {"male": 0.5, "age": -0.2},
    "prognosis_sd": 0.0,
    "transport": {"male": 1.0, "age": 0.0},
}


def test_arms_print_about_half_of_their_mixes_and_these_are_true() -> None:
    world = simulate(
        SPEC, seed=2, studies=60, sizes=(400, 500), mix={"medians": 1}, truth=TRUTH, printed_covariates=0.5
    )
    arms, true = world.tables["arms"], world.truth["case_mix"]
    printed = arms[arms["share_male"].notna()]
    assert 0.35 < len(printed) / len(arms) < 0.65
    shares = [true[f"{study} | {arm}"]["male"] for study, arm in zip(printed["study"], printed["arm"], strict=True)]
    z = (printed["share_male"] - shares) / np.sqrt(np.multiply(shares, np.subtract(1, shares)) / printed["n"])
    assert abs(z.mean()) < 0.5 and 0.8 < z.std() < 1.25
    ages = arms[arms["mean_age"].notna()]
    assert ages["sd_age"].mean() == pytest.approx(9.0, abs=0.3)
    assert len(world.evidence().medians)


def test_ratios_of_covariates_have_their_law() -> None:
    world = simulate(SPEC, seed=2, studies=6, truth=TRUTH, sizes=(500, 500), prognosis_studies=400)
    table = world.tables["prognostic_ratios"]
    log_hr = np.log(table["hr"]).groupby([table["covariate"], table["population"]]).mean()
    se = float(table["se_log_hr"].iloc[0])
    assert se == pytest.approx(np.sqrt(4 / (2 / 3 * 500)))
    expected = {("male", "same"): 0.5, ("male", "external"): 1.5, ("age", "same"): -0.2, ("age", "external"): -0.2}
    for key, value in expected.items():
        assert log_hr[key] == pytest.approx(value, abs=4 * se / np.sqrt(200))
    assert len(world.evidence().prognostic_ratios) == 800


def test_what_is_not_built_is_refused() -> None:
    with pytest.raises(InputError, match="case_mix with numbers = likelihood"):
        simulate(SPEC, numbers="likelihood")
    with pytest.raises(InputError, match="printed_covariates"):
        simulate(SPEC, printed_covariates=1.5)
