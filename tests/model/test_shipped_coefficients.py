"""What the published ratios alone say of the shipped coefficients: none is left to its prior (decision 17)."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_bm.evidence.reading import read_evidence
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.reading import read_spec

MODEL = "os_reresection_vs_resrs"
PRIOR_ONLY = 0.9
"""Share of the prior sd from which on a parameter counts as not informed."""
QUANTILES = (np.arange(12) + 0.5) / 12


def ratio_sd(
    rows: pd.DataFrame, prior_sd: float, deviation_sd: float, transport_sd: float
) -> tuple[float, float, float]:
    """Mean and sd of a coefficient given its rows and both sds, and the log density of the rows: all is normal."""
    change, hr, se = (rows[name].to_numpy(dtype=float) for name in ("change", "log_hr", "se"))
    same = rows["study"].to_numpy()[:, None] == rows["study"].to_numpy()
    external = rows["external"].to_numpy(dtype=bool)
    beside = deviation_sd**2 * same + transport_sd**2 * np.outer(external, external)
    covariance = np.outer(change, change) * beside + np.diag(se**2)
    inverse = np.linalg.inv(covariance)
    variance = 1 / (1 / prior_sd**2 + change @ inverse @ change)
    whole = covariance + prior_sd**2 * np.outer(change, change)
    law: Any = stats.multivariate_normal
    density = float(law.logpdf(hr, np.zeros(len(hr)), whole))
    return float(variance * (change @ inverse @ hr)), float(np.sqrt(variance)), density


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kps70", "extracranial_controlled", "single_met", "interval_over_6_months"])
def test_published_ratios_inform_every_shipped_coefficient(name: str) -> None:
    spec = read_spec(MODEL)
    assert list(spec.covariates) == ["kps70", "extracranial_controlled", "single_met", "interval_over_6_months"]
    table = read_evidence(spec).prognostic_ratios
    rows = table[table["covariate"] == name]
    prognosis, prior = spec.prognosis, spec.covariates[name].prior
    assert prognosis is not None and prognosis.transport_sd is not None
    sds = [scipy_distribution(one).ppf(QUANTILES) for one in (prognosis.sd, prognosis.transport_sd)]
    prior_sd = float(scipy_distribution(prior).std())
    found = np.array([ratio_sd(rows, prior_sd, one, other) for one, other in product(*sds)])
    mean, sd, density = found.T
    weight = np.exp(density - density.max())
    weight /= weight.sum()
    middle = weight @ mean
    whole = np.sqrt(weight @ (sd**2 + (mean - middle) ** 2))
    assert whole < PRIOR_ONLY * prior_sd and middle < 0
