"""Worlds whose arms have mixes of patients, print some of them, and whose studies print ratios of covariates."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.validation.simulation.world import World, simulate
from bayes_bm.validation.simulation.wrong_worlds import MIXED
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def kinds(spec: Spec, mix: dict[str, float], within: float, parameters: dict) -> Iterator[tuple[float, float]]:
    """What each kind of patient adds to eta, and its share: cells by hand, ages at even quantiles."""
    slopes, age = parameters["coefficient"], spec.covariates["age"]
    for male in (0.0, 1.0):
        share = mix["male"] if male else 1 - mix["male"]
        for z in stats.norm.ppf((np.arange(400) + 0.5) / 400):
            scaled = (mix["age"] + within * z - 60.0) / age.scale
            yield slopes["male"] * male + slopes["age"] * scaled, share / 400


@pytest.mark.slow
def test_numbers_of_the_likelihood_are_averages_over_what_arms_print_and_do_not() -> None:
    """Counts about the survival of the arm's kinds of patients; shares about the population of arms."""
    given = {"numbers": "likelihood", "printed_covariates": 0.5, "sizes": (200, 300), "truth": TRUTH}
    world = simulate(SPEC, seed=3, studies=40, mix={"counts": 1, "medians": 1}, **given)
    true, z, halves = world.truth, [], []
    parameters = true["parameters"]
    tables = {kind: world.tables[kind].set_index(["study", "arm"]) for kind in ("arms", "counts", "medians")}
    for key, arm in tables["arms"].iterrows():
        mix = true["case_mix"][" | ".join(key)]
        for name, column in (("male", "share_male"), ("age", "mean_age")):
            assert np.isnan(arm[column]) or arm[column] == mix[name]
        within = arm["sd_age"] if np.isfinite(arm["sd_age"]) else 9.0
        eta = parameters["intercept"] + parameters["log_hr"].get(arm["treatment"], 0.0)
        eta += true["study_effect"][key[0]] + true["study_treatment_effect"].get(f"{key[0]} | {arm['treatment']}", 0.0)
        k = np.exp(parameters["log_shape"] + true["study_log_shape"][key[0]])
        cells = np.array([*kinds(SPEC, mix, within, parameters)])

        def dead(time: float, k: float = k, eta: float = eta, cells: np.ndarray = cells) -> float:
            return float(cells[:, 1] @ -np.expm1(-np.exp(k * np.log(time / 12) + eta + cells[:, 0])))

        if key in tables["counts"].index:
            row, share = tables["counts"].loc[key], dead(12.0)
            z.append((row["events"] - row["n"] * share) / np.sqrt(row["n"] * share * (1 - share)))
        elif np.isfinite(tables["medians"].loc[key, "median"]):
            row = tables["medians"].loc[key]
            halves.append((dead(row["median"]) - 0.5) * np.sqrt(0.8 * row["n"]) / 0.5)
    assert len(z) > 20 and len(halves) > 20
    assert stats.kstest(z, "norm").pvalue > 0.01 and stats.kstest(halves, "norm").pvalue > 0.01
    printed = tables["arms"]["share_male"].dropna()
    assert 0.3 < len(printed) / len(tables["arms"]) < 0.7
    assert len(world.evidence().counts) and (tables["arms"]["sd_age"].dropna().std() > 1.0)


def test_patients_of_wrong_worlds_are_of_the_mix_of_their_arm() -> None:
    """Everybody is male in arms of b and c, whose patients are drawn again where only survivors are counted."""
    truth = TRUTH | {"case_mix_mean": {"male": 0.0, "age": 63.0}, "case_mix_sd": {"male": 0.0, "age": 3.0}}
    truth |= {"case_mix_by_treatment": {"a, male": -6.0, "b, male": 6.0, "c, male": 6.0}}
    world = simulate(SPEC, seed=4, studies=9, mix={"medians": 1}, truth=truth, wrong="immortal_time")
    shares = world.tables["arms"].groupby("treatment")["share_male"].mean()
    assert shares["a"] < 0.05 and shares["b"] > 0.95 and shares["c"] > 0.95


def test_what_is_not_built_is_refused() -> None:
    with pytest.raises(InputError, match="printed_covariates"):
        simulate(SPEC, printed_covariates=1.5)


def changed(right: World, wrong: World, kind: str, column: str) -> tuple[str, float, float]:
    """The one cell that differs between two worlds: its study, and both values."""
    for name, table in right.tables.items():
        others = [other for other in table.columns if (name, other) != (kind, column)]
        assert table[others].equals(wrong.tables[name][others])
    before, after = right.tables[kind], wrong.tables[kind]
    [row] = np.flatnonzero(before[column].fillna(-1.0) != after[column].fillna(-1.0))
    return before["study"].iloc[row], before[column].iloc[row], after[column].iloc[row]


@pytest.mark.slow
def test_one_ratio_or_share_of_a_wrong_world_is_turned_and_its_study_named() -> None:
    """The largest study's ratio farthest from 1 is inverted, or multiplied by the other's to the power 0.4."""
    made = {
        wrong: simulate(SPEC, seed=6, studies=3, mix={"medians": 1}, truth=TRUTH, wrong=wrong)
        for wrong in (None, *MIXED)
    }
    ratios = made[None].tables["prognostic_ratios"]
    own = ratios[ratios["n"] == ratios["n"].max()]
    largest, other = own.sort_values("hr", key=lambda hr: -np.log(hr).abs())["hr"]
    study, before, after = changed(made[None], made["ratio_turned"], "prognostic_ratios", "hr")
    assert [study] == made["ratio_turned"].truth["struck"] == [own["study"].iloc[0]]
    assert (before, after) == (largest, pytest.approx(1 / largest))
    _, before, after = changed(made[None], made["crude_ratio"], "prognostic_ratios", "hr")
    assert (before, after) == (largest, pytest.approx(largest * other**0.4))
    arms = made[None].tables["arms"]
    study, before, after = changed(made[None], made["share_turned"], "arms", "share_male")
    assert [study] == made["share_turned"].truth["struck"]
    assert arms.loc[arms["study"] == study, "n"].max() == arms["n"].max()
    assert before + after == pytest.approx(1.0)
    made["share_turned"].evidence()
