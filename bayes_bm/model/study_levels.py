"""The law of a study's level in units of study_sd: a standard normal, or a standard Student t (decision 25).

Both follow from normal scores, so that quadratures and draws of scores serve either; and a Student t is a normal whose
variance is drawn, so that what is linear in normal scores is still so, given that variance.
"""

import numpy as np
from scipy import special

from bayes_bm.runtime.types import Array
from bayes_bm.spec.document import Spec


def standard_level(spec: Spec, score: Array) -> Array:
    """Return the level of each normal score, in units of study_sd: the quantile at which the score stands."""
    if spec.level_df is None:
        return score
    # of the lower tail, where the distribution function keeps its digits
    return np.sign(score) * -special.stdtrit(spec.level_df, special.ndtr(-np.abs(score)))


def drawn_level_scale(spec: Spec, size: int, rng: np.random.Generator) -> Array:
    """Return standard deviations, in units of study_sd, of normals that are together the law of a level (size,)."""
    if spec.level_df is None:
        return np.ones(size)
    return np.sqrt(spec.level_df / rng.chisquare(spec.level_df, size=size))
