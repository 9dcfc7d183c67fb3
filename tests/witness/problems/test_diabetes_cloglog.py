"""Diabetes: counts with follow-up times, against the numbers that NICE DSU TSD 2 prints (program 3, cloglog link).

The printed ones are those that multinma's vignette `example_diabetes` is tested against, v diuretic.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import bayes_bm as bb
from bayes_bm.checks.node_splitting import comparisons, fit_quality, node_splits
from tests.witness.problems.tables import write

COMPARE = ["Placebo", "Beta Blocker", "CCB", "ACE Inhibitor", "ARB"]
PRINTED = {
    "fixed": {"mean": [-0.25, -0.06, -0.25, -0.36, -0.45], "sd": [0.06, 0.06, 0.05, 0.05, 0.06]},
    None: {"mean": [-0.29, -0.07, -0.24, -0.40, -0.47], "sd": [0.09, 0.09, 0.08, 0.09, 0.11]},
}
ROUNDING = 0.005


def spec_of(shared: Path, folder: Path, analysis: str | None) -> bb.Spec:
    return bb.read_spec(write("diabetes_cloglog", shared / "problems", folder), sensitivity=analysis)


@cache
def fitted(shared: Path, folder: Path, analysis: str | None) -> bb.Result:
    """Half the chains of the spec: what is left to chance is a tenth to three quarters of what each test allows."""
    return bb.fit(spec_of(shared, folder, analysis), draws=2000, tune=800, chains=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("diabetes")


def residual_deviance(result: bb.Result) -> tuple[float, float]:
    """Posterior mean residual deviance (that of a model with a parameter an arm is 0) and p_D."""
    counts, found = result.evidence.counts, fit_quality(result)
    events, n = counts["events"].to_numpy(dtype=float), counts["n"].to_numpy(dtype=float)
    saturated = stats.binom.logpmf(events, n, events / n).sum()
    assert found["deviance"] is not None and found["p_d"] is not None
    return found["deviance"] + 2 * float(saturated), found["p_d"]


def test_every_drug_was_compared_and_every_comparison_closes_a_loop(shared, tmp_path) -> None:
    spec = spec_of(shared, tmp_path, None)
    table = comparisons(spec, bb.read_evidence(spec))
    assert len(table) == 14  # of 15 pairs; ACE inhibitors and ARBs never met
    assert table["split"].all()
    assert table["studies"].sum() == 18 + 4 * 3  # 18 studies with two arms, four with three


@pytest.mark.slow
@pytest.mark.parametrize("analysis", ["fixed", None])
def test_log_hazard_ratios_are_those_printed(shared, folder, analysis) -> None:
    result, printed = fitted(shared, folder, analysis), PRINTED[analysis]
    assert result.gate.passed
    draws = result.posterior["log_hr"].sel(treatment=COMPARE)
    sd = np.array(printed["sd"])
    within = ROUNDING + 0.1 * sd
    assert (np.abs(draws.mean(("chain", "draw")) - printed["mean"]) < within).all()
    assert (np.abs(draws.std(("chain", "draw")) - sd) < ROUNDING + 0.05 * sd).all()


@pytest.mark.slow
def test_heterogeneity_is_that_printed(shared, folder) -> None:
    """Mean 0.13, sd 0.04, median 0.12, 95 % interval 0.05 to 0.23."""
    sd = fitted(shared, folder, None).posterior["study_treatment_sd"].to_numpy().ravel()
    assert [sd.mean(), sd.std(), np.median(sd)] == pytest.approx([0.13, 0.04, 0.12], abs=0.008)
    assert np.quantile(sd, [0.025, 0.975]) == pytest.approx([0.05, 0.23], abs=0.015)


@pytest.mark.slow
@pytest.mark.parametrize(("analysis", "deviance", "p_d"), [("fixed", 78.25, 27.0), (None, 53.7, 38.0)])
def test_residual_deviance_and_effective_parameters_are_those_printed(shared, folder, analysis, deviance, p_d) -> None:
    assert residual_deviance(fitted(shared, folder, analysis)) == pytest.approx((deviance, p_d), abs=1.0)


@pytest.mark.slow
def test_risk_at_three_years_is_that_printed(shared, folder) -> None:
    """On TSD 2's own baseline: mean 0.065, median 0.044 with diuretics; 0.042 and 0.028 with ARBs (random effects)."""
    risk = 1 - bb.survival(fitted(shared, folder, None), [3.0], who=bb.AverageStudy()).isel(time=0)
    for name, mean, median in (("Diuretic", 0.065, 0.044), ("Placebo", 0.050, 0.033), ("ARB", 0.042, 0.028)):
        mine = risk.sel(treatment=name)
        assert float(mine.mean()) == pytest.approx(mean, abs=0.003)
        assert float(mine.median()) == pytest.approx(median, abs=0.002)


@pytest.mark.slow
@pytest.mark.usefixtures("one_try")
def test_a_split_agrees_with_the_direct_studies_alone(shared, folder) -> None:
    """ACE inhibitors v placebo, fixed: DREAM, HOPE and PEACE pooled by inverse variance of their log rate ratios."""
    spec = spec_of(shared, folder, "fixed")
    evidence = bb.read_evidence(spec)
    sampling = {"draws": 1000, "tune": 500, "chains": 2}
    found = node_splits(spec, evidence, pairs=[("Placebo", "ACE Inhibitor")], unrelated=False, sampling=sampling)
    rows = found.table.set_index("source")
    arms = evidence.counts.set_index(["study", "treatment"]).astype({"events": float, "n": float})
    ratios, weights = [], []
    for study in ("DREAM", "HOPE", "PEACE"):
        hazard, variance = {}, 0.0
        for name in ("ACE Inhibitor", "Placebo"):
            share = arms.loc[(study, name), "events"] / arms.loc[(study, name), "n"]
            hazard[name] = -np.log1p(-share)
            # delta method: var(log H) = share / (n (1 - share) H^2)
            variance += share / (arms.loc[(study, name), "n"] * (1 - share) * hazard[name] ** 2)
        ratios.append(np.log(hazard["ACE Inhibitor"] / hazard["Placebo"]))
        weights.append(1 / variance)
    pooled = np.average(ratios, weights=weights)
    assert rows.loc["direct", "mean"] == pytest.approx(pooled, abs=0.1 * np.sum(weights) ** -0.5)
    assert rows.loc["direct", "sd"] == pytest.approx(np.sum(weights) ** -0.5, rel=0.06)
    assert rows.loc["network", "mean"] == pytest.approx(-0.36 + 0.25, abs=0.012)
    # precision-weighted, direct and indirect give the network's back
    share = rows.loc["direct", "sd"] ** -2 / (rows.loc["direct", "sd"] ** -2 + rows.loc["indirect", "sd"] ** -2)
    blend = share * rows.loc["direct", "mean"] + (1 - share) * rows.loc["indirect", "mean"]
    assert rows.loc["network", "mean"] == pytest.approx(blend, abs=0.008)
