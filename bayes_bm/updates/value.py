"""What knowing is worth: the expected gain in utility from knowing everything, or a part of the parameters.

Without knowing, the treatment with the best mean utility is chosen. With a part known, the best given the part: the
mean utility given the part is a regression of the draws of utility on it (Strong 2014, Med Decis Making 34, 311).
"""

from itertools import combinations

import numpy as np
import pandas as pd

from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Array

FEW = 4
"""Columns up to which products of two enter the regression."""


def parts_of_value(result: Result, utility: Array) -> pd.DataFrame:
    """Return the expected gain, per patient, of knowing everything and each part; utility (sample, treatment)."""
    draws = result.predictors.draws
    parts = {
        "treatment effect": [draws.log_hr[:, 1:], draws.treatment_log_shape[:, 1:]],
        "heterogeneity": [_log(sd) for sd in (draws.study_sd, draws.study_treatment_sd, draws.study_shape_sd)],
        "case mix and covariates": [draws.coefficient, draws.interaction, draws.mix_mean, draws.mix_by_treatment],
        "biases": [draws.bias],
    }
    rows = [{"part": "everything", "gain": gain_of_knowing(utility)}]
    for name, blocks in parts.items():
        columns = _varying(np.concatenate([block.reshape(draws.samples, -1) for block in blocks], axis=1))
        if columns.shape[1]:
            rows.append({"part": name, "gain": gain_of_knowing(mean_given(columns, utility))})
    return pd.DataFrame(rows)


def gain_of_knowing(utility: Array) -> float:
    """Return E max u - max E u of utilities, or of their means given what is known (sample, treatment)."""
    return max(0.0, float(utility.max(axis=1).mean() - utility.mean(axis=0).max()))


def mean_given(columns: Array, utility: Array) -> Array:
    """Return the mean of each treatment's utility less the first's, given columns (sample, column), by regression.

    What the fit explains by chance is taken off: its spread is that of the adjusted R^2.
    """
    z = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    powers = [z, z**2, z**3]
    if z.shape[1] <= FEW:
        powers += [(z[:, i] * z[:, j])[:, None] for i, j in combinations(range(z.shape[1]), 2)]
    features = np.concatenate([np.ones((len(z), 1)), *powers], axis=1)
    difference = utility - utility[:, :1]
    fitted = features @ np.linalg.lstsq(features, difference, rcond=None)[0]
    middle, whole = difference.mean(axis=0), difference.var(axis=0)
    share = np.divide(fitted.var(axis=0), whole, out=np.zeros_like(whole), where=whole > 0)
    adjusted = 1 - (1 - share) * (len(z) - 1) / max(1, len(z) - features.shape[1])
    shrunk = np.sqrt(np.divide(np.maximum(adjusted, 0.0), share, out=np.zeros_like(share), where=share > 0))
    return middle + shrunk * (fitted - middle)


def _log(sd: Array) -> Array:
    return np.log(np.maximum(sd, 1e-6))[:, None]


def _varying(columns: Array) -> Array:
    return columns[:, columns.std(axis=0) > 1e-9]
