"""Draws of a model's priors with the names and dimensions of its posterior."""

import numpy as np
import xarray as xr

from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.parametrization import Parametrization
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.spec.prior_distributions import scipy_distribution
from bayes_bm.spec.priors import Normal, Prior, StudentT, Uniform


def prior_draws(inputs: ModelInputs, *, chains: int, draws: int) -> xr.Dataset:
    """Return draws of every parameter and effect from the priors (chain, draw, ...), evidence left aside."""
    rng, size = random_stream(inputs.spec.seed, RandomStage.MODEL_PRIOR), (chains, draws)
    coordinates = Coordinates.of(inputs, _non_centred(inputs))
    parts = [
        _unconstrained(block.prior, scipy_distribution(block.prior).rvs(size=(*size, block.size), random_state=rng))
        for block in coordinates.blocks
    ]
    return coordinates.posterior(np.concatenate(parts, axis=-1))


def _non_centred(inputs: ModelInputs) -> Parametrization:
    """Every effect as a standard normal."""
    design = inputs.design
    studies = len(design.studies)
    level, shape, pair = (np.zeros(size, dtype=bool) for size in (studies, studies, len(design.pairs)))
    return Parametrization(level, shape, pair, np.zeros(studies, dtype=int), turned=False)


def _unconstrained(prior: Prior, values: np.ndarray) -> np.ndarray:
    """Return values of a parameter as coordinates: logarithms of positive ones, logits of bounded ones."""
    match prior:
        case Normal() | StudentT():
            return values
        case Uniform(lower=lower, upper=upper):
            share = (values - lower) / (upper - lower)
            return np.log(share) - np.log1p(-share)
    return np.log(values)
