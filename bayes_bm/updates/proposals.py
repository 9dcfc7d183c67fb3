"""Effects of a study that is not in the evidence, drawn about what its numbers say: weights with them integrated out.

About the truth the log density of a study is nearly a quadratic in its coordinates, log L = r'c - c'Pc / 2 (its site).
Given a posterior draw the coordinates are normal, so together with the site they are a normal with closed form, from
which one point is drawn. The weight of the posterior draw is then

    w = L(numbers | draw, coordinates) N(scores; 0, I) / q(scores),

whose expectation is the density with the study's effects integrated out, whatever the site; where the site is exact, it
is that density itself.
"""

from typing import NamedTuple

import numpy as np

from bayes_bm.model.linear_predictor import Draws
from bayes_bm.runtime.types import Array
from bayes_bm.updates.future_study import FutureStudy, Numbers

STEP = 0.02
"""Of the central differences, on the scale of log hazards and log shapes."""
NEWTON_STEPS = 6
WIDE = 1.0
"""Precision of the wide normal that keeps directions finite in which a study says nothing; it is taken off again."""
LARGEST_STEP = 1.0
LOWEST = -1e8
"""Log density that stands for an underflow."""


class Site(NamedTuple):
    """What a study's numbers say of its coordinates, relative to an average study at the mean draw: P and r = P c."""

    precision: Array
    pull: Array


def mean_draw(draws: Draws, count: int) -> Draws:
    """Return the mean of all draws, so many times."""
    arrays = {name: values for name, values in vars(draws).items() if isinstance(values, np.ndarray)}
    means = {name: np.repeat(values.mean(axis=0, keepdims=True), count, axis=0) for name, values in arrays.items()}
    return Draws(**means, chains=1)


def find_site(study: FutureStudy, numbers: Numbers, start: Array) -> Site:
    """Return the quadratic about the mode of the study's density times a wide normal about `start` (coordinate,)."""
    size = study.coordinates
    stencil = _stencil(size)
    draws = mean_draw(study.shared, len(stencil))

    def tilted(place: Array) -> Array:
        points = place + STEP * stencil
        values = study.log_density(numbers, study.at(points, draws)) - 0.5 * WIDE * np.sum(
            (points - start) ** 2, axis=1
        )
        return np.maximum(np.nan_to_num(values, nan=LOWEST), LOWEST)

    place, values = start, tilted(start)
    for _ in range(NEWTON_STEPS):
        gradient, curvature = _derivatives(values, size)
        step = np.clip(np.linalg.solve(curvature, gradient), -LARGEST_STEP, LARGEST_STEP)
        tried = tilted(place + step)
        while tried[0] < values[0] - 1e-9 and np.abs(step).max() > STEP:
            step = step / 2
            tried = tilted(place + step)
        if tried[0] < values[0]:
            break
        place, values = place + step, tried
        if np.abs(step).max() < STEP:
            break
    curvature = _derivatives(values, size)[1]
    precision = _positive(curvature - WIDE * np.eye(size))
    return Site(precision, curvature @ place - WIDE * start - (curvature - WIDE * np.eye(size) - precision) @ place)


def _stencil(size: int) -> Array:
    unit = np.eye(size)
    both = [
        one * unit[i] + other * unit[j] for i in range(size) for j in range(i) for one in (1, -1) for other in (1, -1)
    ]
    return np.array([np.zeros(size), *unit, *-unit, *both]).reshape(-1, size)


def _derivatives(values: Array, size: int) -> tuple[Array, Array]:
    """Gradient and minus the second derivative, kept positive definite, from values at the stencil."""
    middle, upper, lower = values[0], values[1 : 1 + size], values[1 + size : 1 + 2 * size]
    gradient = (upper - lower) / (2 * STEP)
    second = np.diag((upper - 2 * middle + lower) / STEP**2)
    mixed = values[1 + 2 * size :].reshape(-1, 4)
    pairs = [(i, j) for i in range(size) for j in range(i)]
    for (i, j), (same, one, other, opposite) in zip(pairs, mixed, strict=True):
        second[i, j] = second[j, i] = (same - one - other + opposite) / (4 * STEP**2)
    return gradient, _positive(-second, least=WIDE)


def _positive(matrix: Array, least: float = 0.0) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, least)) @ vectors.T


class Scores(NamedTuple):
    """The normal of a study's scores given its site, at every draw: its precision is L L' with L the `root`, its mean
    L^-T `half`.
    """

    root: Array
    half: Array

    @property
    def log_root(self) -> Array:
        return np.log(np.diagonal(self.root, axis1=1, axis2=2)).sum(axis=1)


def _scores(study: FutureStudy, site: Site) -> Scores:
    factor, shift = study.factor, study.base - study.base.mean(axis=0)
    pull = site.pull - shift @ site.precision
    precision = np.eye(factor.shape[2]) + np.swapaxes(factor, 1, 2) @ site.precision @ factor
    root = np.linalg.cholesky(precision)
    return Scores(root, np.linalg.solve(root, np.einsum("sck,sc->sk", factor, pull)[..., None])[..., 0])


def log_weight_by_site(study: FutureStudy, site: Site) -> Array:
    """Return the log of the site with the study's effects integrated out, but for a constant (sample,)."""
    shift, scores = study.base - study.base.mean(axis=0), _scores(study, site)
    at_shift = shift @ site.pull - 0.5 * np.einsum("sc,cd,sd->s", shift, site.precision, shift)
    return at_shift + 0.5 * np.sum(scores.half**2, axis=1) - scores.log_root


def log_weight_by_likelihood(study: FutureStudy, numbers: Numbers, site: Site, rng: np.random.Generator) -> Array:
    """Return the log of an unbiased estimate of the density with the study's effects integrated out (sample,)."""
    scores = _scores(study, site)
    noise = rng.standard_normal(scores.half.shape)
    drawn = np.linalg.solve(np.swapaxes(scores.root, 1, 2), (scores.half + noise)[..., None])[..., 0]
    log_density = study.log_density(numbers, study.at(np.einsum("sck,sk->sc", study.factor, drawn)))
    return log_density + 0.5 * (np.sum(noise**2, axis=1) - np.sum(drawn**2, axis=1)) - scores.log_root
