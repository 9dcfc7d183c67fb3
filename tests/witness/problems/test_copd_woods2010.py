"""COPD: printed hazard ratios and counts in one network, against importance sampling with the levels integrated out."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special

import bayes_bm as bb
from bayes_bm.evidence.network import network
from tests.witness.problems.tables import write

COMPARE = ["Fluticasone", "Salmeterol", "SFC"]
NODES = np.linspace(-14.0, 2.0, 321)
"""Study levels, log cumulative hazard of the placebo arm; the likelihood is nil beyond. 801 give the same 8 digits."""


def read(shared, tmp_path) -> tuple[bb.Spec, bb.Evidence]:
    spec = bb.read_spec(write("copd_woods2010", shared / "problems", tmp_path))
    return spec, bb.read_evidence(spec)


def ratio_law(placebo_variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares of the ratios against placebo: Calverley's three covary by its placebo arm's variance."""
    y = np.array([0.055, -0.154, -0.209, -0.276])
    covariance = np.diag([0.092, 0.096, 0.098, 0.203]) ** 2
    covariance[:3, :3] += placebo_variance * (1 - np.eye(3))
    x = np.vstack([np.eye(3), [1, 0, 0]])
    precision = x.T @ np.linalg.solve(covariance, x)
    return np.linalg.solve(precision, x.T @ np.linalg.solve(covariance, y)), np.linalg.inv(precision)


def log_counts(counts: pd.DataFrame, effect: np.ndarray) -> np.ndarray:
    """Log likelihood of all counts at each row of `effect`, each study's level integrated over an even grid."""
    total = np.zeros(len(effect))
    of = np.column_stack([np.zeros(len(effect)), effect])
    for _, study in counts.groupby("study"):
        terms = np.zeros((len(effect), len(NODES)))
        for row in study.to_dict("records"):
            at = of[:, ["Placebo", *COMPARE].index(row["treatment"])]
            hazard = np.exp(NODES[None, :] + at[:, None])
            terms += row["deaths"] * np.log(-np.expm1(-hazard)) - (row["n"] - row["deaths"]) * hazard
        total += special.logsumexp(terms, axis=1)
    return total


@cache
def witness(folder: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and sd of the three log hazard ratios, and the effective size of the sample."""
    counts = pd.read_csv(folder / "problems" / "copd_woods2010" / "counts.csv")
    mean, covariance = ratio_law((0.098**2 + 0.096**2 - 0.1**2) / 2)
    draws = np.random.default_rng(1).multivariate_normal(mean, covariance, 20_000)
    weight = special.softmax(np.concatenate([log_counts(counts, part) for part in np.array_split(draws, 20)]))
    centre = weight @ draws
    return centre, np.sqrt(weight @ (draws - centre) ** 2), float(1 / np.sum(weight**2))


def test_the_network_is_one_part_with_two_studies_of_four_arms(shared, tmp_path) -> None:
    found = network(*read(shared, tmp_path))
    assert found.connected
    assert found.several["study"].tolist() == ["Calverley2003", "Calverley2007"]
    edges = found.edges.set_index(["reference", "treatment"])["studies"]
    assert edges.to_dict() == {
        ("Placebo", "Fluticasone"): 3, ("Placebo", "Salmeterol"): 4, ("Placebo", "SFC"): 2,
        ("Fluticasone", "Salmeterol"): 2, ("Fluticasone", "SFC"): 2, ("Salmeterol", "SFC"): 2,
    }  # fmt: skip


def test_five_printed_contrasts_of_four_arms_are_three_with_the_covariance_of_shared_arms(shared, tmp_path) -> None:
    """In placebo's terms: variances as printed, covariances the placebo arm's variance, 0.0044 from either triangle."""
    _, evidence = read(shared, tmp_path)
    rows = evidence.hazard_ratios
    mine = (rows["study"] == "Calverley2007").to_numpy()
    assert mine.sum() == 3
    covariance = (evidence.hr_cholesky @ evidence.hr_cholesky.T)[np.ix_(mine, mine)]
    names = ["Placebo", *COMPARE]
    sides = [[row[side] for row in rows[mine].to_dict("records")] for side in ("treatment", "reference")]
    plus, minus = (np.array([[float(name == other) for other in names] for name in side]) for side in sides)
    x = plus - minus
    back = np.linalg.inv(x[:, 1:])
    ours = back @ covariance @ back.T
    np.testing.assert_allclose(np.sqrt(np.diag(ours)), [0.092, 0.096, 0.098], atol=0.001)
    np.testing.assert_allclose(ours[np.triu_indices(3, 1)], 0.0044, atol=0.0002)


@pytest.mark.slow
def test_the_posterior_is_that_of_importance_sampling(shared, tmp_path) -> None:
    mean, sd, size = witness(shared)
    assert size > 5000
    result = bb.fit(*read(shared, tmp_path), draws=1000, tune=500)
    assert result.gate.passed
    draws = result.posterior["log_hr"].sel(treatment=COMPARE)
    np.testing.assert_allclose(draws.mean(("chain", "draw")), mean, atol=0.05 * sd.max())
    np.testing.assert_allclose(draws.std(("chain", "draw")), sd, rtol=0.04)
