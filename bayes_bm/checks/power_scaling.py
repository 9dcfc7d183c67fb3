"""Power-scaling: how far each parameter moves when the prior, or the likelihood, counts a little more or less.

Kallioinen et al. 2024 (doi 10.1007/s11222-023-10366-5), as in priorsense and ArviZ: draws are weighted by
component^(alpha - 1), Pareto-smoothed, for alpha = 0.99 and 1.01; the sensitivity is the cumulative Jensen-Shannon
distance to the unweighted draws, per doubling of alpha. The prior component is that of the top-level parameters; what
spreads studies (their effects given the sds) belongs to the model and is scaled with neither.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.estimands.labels import prior_and_posterior, prior_draws
from bayes_bm.inference.result import Result
from bayes_bm.spec.prior_distributions import scipy_distribution

ALPHAS = (0.99, 1.01)
"""Powers that a component is raised to (Kallioinen 2024)."""
THRESHOLD = 0.05
"""Above this a component matters (Kallioinen 2024)."""
CONFLICT = "prior and evidence pull apart, or both are strong"
STRONG = "the prior is strong, or the evidence weak"


def power_scaling(result: Result) -> pd.DataFrame:
    """Return how far each parameter moves when the prior, or the likelihood, counts a little more or less.

    Draws are weighted by component^(alpha - 1) for alpha = 0.99 and 1.01, Pareto-smoothed; the sensitivity is the
    cumulative Jensen-Shannon distance to the unweighted draws, per doubling of alpha (Kallioinen et al. 2024, doi
    10.1007/s11222-023-10366-5). The prior component is that of the top-level parameters.

    Parameters
    ----------
    result : Result
        A fit that keeps its pointwise log likelihood.

    Returns
    -------
    pandas.DataFrame
        One row a top-level parameter: parameter, prior_sensitivity, likelihood_sensitivity (above 0.05 a component
        matters) and power_says, blank where the prior does not matter.

    Raises
    ------
    InputError
        For a stack of imputations, whose likelihoods differ.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> table = bb.power_scaling(result)
    >>> table["parameter"].tolist()
    ['intercept', 'log_shape', 'log_hr[gtr]']
    >>> bool((table["likelihood_sensitivity"] > table["prior_sensitivity"]).all())
    True
    """
    hint = "power_scaling(result.of_imputation(1))"
    result.require_one_target("power scaling", differ="likelihoods", hint=hint)
    drawn = {name: values for name, _, values in prior_draws(result)}
    chains = result.predictors.draws.chains
    components = {"prior_sensitivity": log_prior(result), "likelihood_sensitivity": log_likelihood(result)}
    table = pd.DataFrame({"parameter": list(drawn)})
    for column, component in components.items():
        weights = scaled_weights(component.reshape(chains, -1))
        table[column] = [sensitivity(values.reshape(chains, -1), weights) for values in drawn.values()]
    return table.assign(power_says=[_says(*row) for row in table[list(components)].to_numpy()])


def log_prior(result: Result) -> np.ndarray:
    """Return the log density of the priors of all top-level parameters at each draw (sample,)."""
    distributions: list[tuple[Any, np.ndarray]] = [
        (scipy_distribution(prior), values) for _, prior, values in prior_draws(result)
    ]
    return np.sum([distribution.logpdf(values) for distribution, values in distributions], axis=0)


def log_likelihood(result: Result) -> np.ndarray:
    """Return the log density of all evidence at each draw (sample,)."""
    total = np.zeros(result.predictors.draws.samples)
    for name in result.log_likelihood:
        terms = result.log_likelihood[name].transpose("chain", "draw", ...).to_numpy()
        total += terms.reshape(result.predictors.draws.samples, -1).sum(axis=1)
    return total


def scaled_weights(component: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the smoothed weights of draws (chain, draw) under both powers of a component, given its log at each."""
    from arviz_stats.base import array

    # its annotations say less than it takes
    array_stats: Any = array.array_stats
    with warnings.catch_warnings():
        # of a few dozen draws the tail is too short to smooth; the gate speaks about too few draws
        warnings.simplefilter("ignore")
        logs = [array_stats.power_scale_lw(component, alpha=alpha, axis=(-2, -1)) for alpha in ALPHAS]
    lower, upper = (np.exp(log_weight - log_weight.max()) for log_weight in logs)
    return lower / lower.sum(), upper / upper.sum()


def sensitivity(values: np.ndarray, weights: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the distance of a parameter's draws (chain, draw) per doubling of the component that gave the weights."""
    from arviz_stats.base import array

    array_stats: Any = array.array_stats
    lower, upper = weights
    distance = array_stats.power_scale_sense(values, lower, upper, lower_alpha=ALPHAS[0], upper_alpha=ALPHAS[1])
    return float(distance)


def _says(prior: float, likelihood: float) -> str:
    if not prior >= THRESHOLD:
        return ""
    return CONFLICT if likelihood >= THRESHOLD else STRONG


def parameters(result: Result) -> pd.DataFrame:
    """Return prior beside posterior of each top-level parameter, with sensitivities where the likelihood is kept."""
    table = pd.DataFrame(prior_and_posterior(result))
    if table.empty or result.imputations is not None or not result.log_likelihood.data_vars:
        return table
    return table.merge(power_scaling(result), on="parameter", how="left")
