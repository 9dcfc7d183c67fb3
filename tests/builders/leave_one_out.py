"""Leave-one-study-out by brute force: a second way to the integral over a study's effects."""

import math

import numpy as np
from scipy import special, stats

from bayes_bm.checks.study_likelihood import StudyRows
from bayes_bm.inference.result import Result


def brute(result: Result, study: str, *, half: float = 7.0, count: int = 29) -> np.ndarray:
    """A trapezoid over a grid of scores: no mode, no derivative.

    Of a bell of sd s a step h errs by exp(-2 pi^2 s^2 / h^2): 29 points agree with 41 to 1e-6 in all of `worlds`.
    """
    axis, found = np.linspace(-half, half, count), []
    for draw in range(result.predictors.draws.samples):
        effects = StudyRows(result, study).effects
        grid = np.stack(np.meshgrid(*[axis] * effects, indexing="ij"), axis=-1).reshape(-1, effects)
        prior = stats.norm.logpdf(grid).sum(axis=1)
        # one draw at every point of the grid
        values = StudyRows(result, study, np.full(len(grid), draw)).log_density(grid)
        found.append(special.logsumexp(values + prior) + effects * math.log(axis[1] - axis[0]))
    return np.array(found)
