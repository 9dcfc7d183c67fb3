"""Funnels against least squares by hand, metafor and a planted bias; conflict of heterogeneity against integrals."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

import bayes_bm as bb
from bayes_bm.checks.heterogeneity_conflict import heterogeneity_conflict
from bayes_bm.checks.small_studies import Funnel, funnel, regression_on_se
from bayes_bm.report.sections.diagnostics import conflict_sentences
from bayes_bm.runtime.errors import InputError
from tests.builders import posteriors, worlds
from tests.builders.rows import arm, median

# metafor 3.8-1, R 4.2.2: dat <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
# with yi and vi rounded to four digits
YI = [-0.8893, -1.5854, -1.3481, -1.4416, -0.2175, -0.7861, -1.6209, 0.012, -0.4694, -1.3713, -0.3394, 0.4459, -0.0173]
VI = [0.3256, 0.1946, 0.4154, 0.02, 0.0512, 0.0069, 0.223, 0.004, 0.0564, 0.073, 0.0124, 0.5325, 0.0714]
ALLOCATION = ["random"] * 4 + ["alternate"] * 2 + ["random"] * 3 + ["systematic"] * 4


def bcg(treatment: Any) -> pd.DataFrame:
    return pd.DataFrame({"deviation": YI, "se": np.sqrt(VI), "treatment": treatment, "kind": "medians"})


def test_the_slope_is_that_of_metafor() -> None:
    # regtest(rma(yi, vi, tau2 = 0.3)): z = -0.815188, p = 0.414965
    slope, error = regression_on_se(bcg("a"), np.full(13, 0.3))
    assert slope / error == pytest.approx(-0.815188, abs=1e-6)
    # rma(yi, vi, mods = ~ sqrt(vi) + factor(alloc) - 1, tau2 = 0.3)
    slope, error = regression_on_se(bcg(ALLOCATION), np.full(13, 0.3))
    assert (slope, error) == pytest.approx((-0.58806585, 0.99064305), abs=1e-7)


def test_standard_errors_that_are_alike_give_no_slope() -> None:
    table = bcg(ALLOCATION).assign(se=[0.1] * 4 + [0.3] * 2 + [0.1] * 3 + [0.2] * 4)
    assert np.isnan(regression_on_se(table, np.full(13, 0.3))).all()


SIZES = np.linspace(40, 1000, 12).astype(int).tolist()
EXPONENTIAL: dict[str, Any] = {
    "treatments": {"reference": "a", "compare": ["b"]},
    "effects": {},
    "hazard": {"family": "exponential"},
    "priors": {"intercept": worlds.normal(1.0), "log_hr": worlds.normal(1.0)},
}


def exponential_arms(extra: float, treatment: str = "a") -> Any:
    """Twelve studies whose medians are those of exponentials with log hazard `extra` / sqrt(n) above the average."""
    rows = [arm(f"s{number:02d}", "x", treatment, n=n, events=n) for number, n in enumerate(SIZES)]
    medians = [
        median(f"s{number:02d}", "x", 12 * np.log(2) * np.exp(-extra / np.sqrt(n)), n=n)
        for number, n in enumerate(SIZES)
    ]
    spec = worlds.spec(**EXPONENTIAL)
    evidence = worlds.evidence(spec, {"arms": rows, "medians": medians})
    return posteriors.result(spec, evidence, chains=1, draws=4, intercept=0.0, log_hr=0.0)


@pytest.mark.slow
def test_a_planted_effect_of_small_studies_is_seen_and_none_is_not() -> None:
    fair, biased = funnel(exponential_arms(0.0)), funnel(exponential_arms(3.0))
    assert fair.table["deviation"].abs().max() < 0.05 and abs(fair.slope) < 0.2
    # of medians of exponentials the se of the log hazard is 1 / (log 2 sqrt(n + 2))
    assert biased.table["se"].to_numpy() * np.sqrt(np.add(SIZES, 2)) == pytest.approx(1 / np.log(2), rel=0.05)
    assert biased.slope == pytest.approx(3.0 * np.log(2), abs=0.25) and biased.p < 0.05
    assert "differ from large ones" in biased.sentence and "visibly" in fair.sentence


@pytest.mark.slow
def test_an_arm_averaged_over_an_uncertain_mix_has_the_level_of_its_mean_shares() -> None:
    """Its median solves sum over cells of E[share] exp(-exp(level + x . coefficient) t / 12) = 1/2."""
    mix = {"mean": worlds.normal(1.0), "sd": worlds.half_normal(0.7)}
    covariate = {"prior": worlds.normal(0.5), "kind": "two_valued", "case_mix": mix}
    spec = worlds.spec(**EXPONENTIAL, covariates={"male": covariate, "fit": covariate})
    tables = {"arms": [arm("s", "x", "a", n=2000, events=2000)], "medians": [median("s", "x", 5.0)]}
    fixed = {"intercept": 0.0, "log_hr": 0.0, "coefficient": [0.8, -0.5]}
    made = posteriors.result(spec, worlds.evidence(spec, tables), chains=1, draws=50, **fixed)
    shares = np.random.default_rng(1).uniform(0.02, 0.98, size=(1, 50, 1, 2))
    made.posterior["case_mix"] = (("chain", "draw", "case_mix_arm", "covariate"), shares)
    cells = np.array(list(product((0, 1), repeat=2)))
    weights = np.where(cells, shares[0], 1 - shares[0]).prod(axis=-1).mean(axis=0)

    def alive(level: float) -> float:
        return float(weights @ np.exp(-np.exp(level + cells @ [0.8, -0.5]) * 5 / 12)) - 0.5

    assert funnel(made).table["deviation"].item() == pytest.approx(optimize.brentq(alive, -3, 3), abs=0.002)


def test_free_levels_have_no_funnel() -> None:
    spec = worlds.spec(effects={"study": {"exchangeable": False}})
    result = posteriors.result(spec, worlds.evidence(spec))
    with pytest.raises(InputError, match="free study levels"):
        funnel(result)
    assert heterogeneity_conflict(result).empty


def test_arms_are_drawn_filled_and_ratios_hollow_with_the_heterogeneity_beside_them() -> None:
    rows = {
        "study": list("uvw"),
        "arm": "x",
        "treatment": ["a", "b", "b"],
        "kind": ["medians", "medians", "hazard_ratios"],
    }
    table = pd.DataFrame({**rows, "deviation": [0.1, -0.2, 0.4], "se": [0.2, 0.3, 0.4]})
    result = exponential_arms(0.0)
    axes = bb.plot_funnel(result, table=Funnel(table, 0.5, np.nan, np.nan, np.nan, ""))
    points = [line for line in axes.get_lines() if line.get_linestyle() == "None"]
    assert [np.asarray(line.get_xydata()).tolist() for line in points] == [[[0.1, 0.2]], [[-0.2, 0.3]], [[0.4, 0.4]]]
    assert [line.get_markerfacecolor() == "none" for line in points] == [False, False, True]
    edge = np.asarray(axes.get_lines()[1].get_xydata())
    assert edge[0] == pytest.approx([1.96 * 0.5, 0.0], abs=1e-3)
    assert edge[-1, 0] == pytest.approx(1.96 * np.hypot(0.5, edge[-1, 1]), abs=1e-3)
    assert axes.get_ylim()[0] > axes.get_ylim()[1] == 0.0


@pytest.mark.parametrize(("middle", "sd", "word"), [(0.2, 0.05, ""), (1.3, 0.05, "more")])
def test_the_conflict_is_that_of_a_prior_and_a_flat_posterior(middle: float, sd: float, word: str) -> None:
    """A likelihood of the sd that is a normal; draws of its product with the prior by the inverse of its law."""
    spec = worlds.spec(effects={"study": {"sd": worlds.half_normal(0.5)}})
    grid = np.linspace(1e-4, 3.0, 200_001)
    density = stats.norm.pdf(grid, middle, sd) * stats.halfnorm.pdf(grid, scale=0.5)
    cumulated = np.cumsum(density) / density.sum()
    values = np.interp((np.arange(4000) + 0.5) / 4000, cumulated, grid)
    result = posteriors.result(spec, worlds.evidence(spec), chains=1, draws=4000)
    result.posterior["study_sd"] = (("chain", "draw"), values[None])
    table = heterogeneity_conflict(result)
    row = table.query("parameter == 'study_sd'").to_dict("records")[0]

    def below(x: float) -> float:
        return float(stats.norm.pdf(x, middle, sd) * stats.halfnorm.cdf(x, scale=0.5))

    share = integrate.quad(below, max(middle - 8 * sd, 0), middle + 8 * sd)[0]
    assert row["p"] == pytest.approx(2 * min(share, 1 - share), abs=0.01)
    assert word in row["says"]
    assert bool(row["says"]) is bool(word)
    assert row["evidence_median"] == pytest.approx(middle, abs=0.02)
    assert len(conflict_sentences(table)) == bool(word)
