"""The observed variable of hazard ratios."""

from dataclasses import replace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_bm.model import likelihoods
from bayes_bm.model.linear_predictor import Effects, ratio_means
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR

INDICES = ("hr_treatment", "hr_reference", "hr_pair", "hr_reference_pair")
"""Of the design, read by every model with hazard ratios."""


def observe_ratios(inputs: ModelInputs, arrays: dict[str, np.ndarray], effects: Effects) -> None:
    """Log hazard ratios about the study's own, crude ones about that of its patients together (decision 7)."""
    crude = arrays.get("averaged", np.zeros(0, dtype=int))
    proportional = inputs.spec.proportional
    names = [*INDICES, *(["hr_bias"] if effects.bias is not None else [])]
    names += [] if proportional and not len(crude) else ["hr_study"]
    design = replace(inputs.design, **{name: pm.Data(name, getattr(inputs.design, name)) for name in names})
    data: dict[str, Any] = {key: pm.Data(f"hazard_ratios_{key}", values) for key, values in arrays.items()}
    read = data if "averaged" not in arrays else {**data, "averaged": crude}
    points = inputs.spec.integration.points
    mean = ratio_means(effects, design, inputs.family, read, proportional=proportional, points=points, xp=TENSOR)
    cholesky = np.linalg.inv(arrays["whitener"])

    def log_density(value, whitener, log_diagonal, mean):
        return pt.sum(likelihoods.hazard_ratios(value, mean, whitener, log_diagonal=log_diagonal, dot=TENSOR.product))

    def draw(whitener, log_diagonal, mean, rng, size):
        return mean + cholesky @ rng.standard_normal(len(cholesky))

    pm.CustomDist(
        "hazard_ratios",
        # first what has a known shape: PyMC looks for it in the graph of the first
        data["whitener"],
        data["log_diagonal"],
        mean,
        logp=log_density,
        random=draw,
        signature="(n,n),(n),(n)->(n)",
        observed=data["log_hr"],
    )
