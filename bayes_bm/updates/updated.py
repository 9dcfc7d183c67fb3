"""What the answers become when a study's numbers are known: by weights on the draws, or as normals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bayes_bm.runtime.types import Array
from bayes_bm.spec.level import Level
from bayes_bm.updates.answers import Answers
from bayes_bm.updates.future_study import FutureStudy
from bayes_bm.updates.proposals import Site

LIKELIHOOD, TWO_STAGE, NORMAL = METHODS = ("weights", "two-stage", "normal")
"""How a future's numbers are read: by the study's likelihood, by its quadratic, or with the answers as normals."""


@dataclass(frozen=True)
class Updated:
    """Hold the interval of each log ratio (treatment,), the mean utility of each treatment, the Pareto k of the
    weights by the likelihood, the method, and the weight of each draw; none of a normal.
    """

    low: Array
    high: Array
    utility: Array
    k: float
    method: str
    answers: Answers
    weight: Array | None = None

    def beyond(self, log_margin: float) -> Array:
        """Return the probability of a log ratio below the margin, and above its negative (2, treatment)."""
        if self.weight is None:
            mean, sd = (self.low + self.high) / 2, (self.high - self.low) / (2 * deviations(self.answers.level))
            return np.stack([stats.norm.cdf((log_margin - mean) / sd), stats.norm.sf((-log_margin - mean) / sd)])
        values = self.answers.log_ratio
        return np.stack([self.weight @ (values < log_margin), self.weight @ (values > -log_margin)])


def deviations(level: Level) -> float:
    """Return how many standard deviations a normal's interval reaches on either side."""
    return float(stats.norm.ppf(level.tails[1]))


def weighted_update(answers: Answers, log_weight: Array, k: float, method: str) -> Updated:
    """Return the answers at draws with these normalised log weights."""
    weight = np.exp(log_weight)
    edges = np.stack(
        [weighted_quantiles(values, weight, answers.level.tails) for values in answers.log_ratio.T], axis=1
    )
    return Updated(edges[0], edges[1], weight @ answers.utility, k, method, answers, weight)


def weighted_quantiles(values: Array, weight: Array, shares: Sequence[float]) -> Array:
    """Return quantiles of weighted values, interpolated between the middles of the weights."""
    order = np.argsort(values, kind="stable")
    sorted_weight = weight[order]
    return np.interp(shares, np.cumsum(sorted_weight) - sorted_weight / 2, values[order])


def normal_update(answers: Answers, sites: Sequence[tuple[FutureStudy, Site]], k: float) -> Updated:
    """Return the answers as if they and the studies' coordinates were jointly normal: r'c - c'Pc / 2 is added to it.

    With covariance C of the coordinates and T of the answers with them, answers have mean m + T (I + P C)^-1 (r - P c)
    and lose T (I + P C)^-1 P T' of their covariance.
    """
    blocks = [study.base - study.base.mean(axis=0) for study, _ in sites]
    c = np.concatenate(blocks, axis=1)
    within = [np.mean(study.factor @ np.swapaxes(study.factor, 1, 2), axis=0) for study, _ in sites]
    size = c.shape[1]
    covariance, precision = c.T @ c / len(c), np.zeros((size, size))
    start = 0
    for own, (_, site) in zip(within, sites, strict=True):
        part = slice(start, start + len(own))
        covariance[part, part] += own
        precision[part, part] = site.precision
        start += len(own)
    targets = np.concatenate([answers.log_ratio, answers.utility], axis=1)
    mean = targets.mean(axis=0)
    together = (targets - mean).T @ c / len(c)
    gain = together @ np.linalg.inv(np.eye(size) + precision @ covariance)
    moved = mean + gain @ np.concatenate([site.pull for _, site in sites])
    left = np.var(targets, axis=0) - np.einsum("ti,ij,tj->t", gain, precision, together)
    count = answers.log_ratio.shape[1]
    middle, half = moved[:count], deviations(answers.level) * np.sqrt(np.maximum(left[:count], 1e-12))
    return Updated(middle - half, middle + half, moved[count:], k, NORMAL, answers)
