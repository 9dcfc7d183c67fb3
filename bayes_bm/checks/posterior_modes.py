"""Modes of a density of scores at every posterior draw, and the curvature there: where a rule of quadrature is put.

Newton's steps with all second derivatives, by central differences. Draws that have arrived are left alone: most need
three steps, a few ten.
"""

from typing import Protocol

import numpy as np

from bayes_bm.runtime.types import Array

NEWTON_STEPS = 20
"""Newton steps at most to the mode."""
CLOSE = 0.02
"""The mode is sought to this share of a standard deviation. A rule about a level of Student's law stands too wide where
curvature is taken from farther off (0.06 and 0.2 were tried; tests/model/test_heavy_tails.py)."""
STEP = 1e-3
"""Step of the central differences, in standard deviations of the effects."""
SHORTENED = 10
"""Times that a step which leads down is cut to a third."""
LEAST_CURVATURE = 0.1
"""Least eigenvalue of minus the second derivative, which keeps it positive definite."""


class Joint(Protocol):
    """Log density of the scores (sample, effect) at each draw (sample,)."""

    def __call__(self, z: Array) -> Array: ...

    def part(self, places: Array) -> "Joint":
        """Return the same at some of the draws."""
        ...


def modes(joint: Joint, z: Array) -> tuple[Array, Array]:
    """Return the mode of every draw (sample, effect) and minus the second derivative there, by damped Newton steps
    from z.
    """
    curvature = np.empty((*z.shape, z.shape[1]))
    z, value, left = z.copy(), joint(z), np.arange(len(z))
    for _ in range(NEWTON_STEPS):
        part = joint.part(left)
        gradient, curvature[left] = _derivatives(part, z[left], value[left])
        step = np.linalg.solve(curvature[left], gradient[..., None])[..., 0]
        far = _length(step, curvature[left]) >= CLOSE
        left = left[far]
        if not len(left):
            return z, curvature
        z[left], value[left] = _uphill(joint.part(left), z[left], value[left], step[far])
    curvature[left] = _derivatives(joint.part(left), z[left], value[left])[1]
    return z, curvature


def _length(step: Array, curvature: Array) -> Array:
    """Return the length of each step in standard deviations (sample,)."""
    return np.sqrt(np.einsum("si,sij,sj->s", step, curvature, step))


def _beside(joint: Joint, z: Array) -> tuple[Array, Array]:
    """Return the values a step above and below in each effect (effect, sample)."""
    unit = STEP * np.eye(z.shape[1])
    upper, lower = (np.stack([joint(z + sign * one) for one in unit]) for sign in (1, -1))
    return upper, lower


def _uphill(joint: Joint, z: Array, value: Array, step: Array) -> tuple[Array, Array]:
    """Take a step, shortened where it leads down; none where even a short one does."""
    share, tried = np.ones(len(z)), joint(z + step)
    for _ in range(SHORTENED):
        worse = np.flatnonzero(tried < value - 1e-9)
        if not len(worse):
            break
        share[worse] /= 3
        tried[worse] = joint.part(worse)(z[worse] + share[worse, None] * step[worse])
    better = tried >= value - 1e-9
    return np.where(better[:, None], z + share[:, None] * step, z), np.where(better, tried, value)


def _derivatives(joint: Joint, z: Array, value: Array) -> tuple[Array, Array]:
    """Return gradient and minus the second derivative by central differences; kept positive definite."""
    effects = z.shape[1]
    unit = STEP * np.eye(effects)
    upper_values, lower_values = _beside(joint, z)
    gradient = (upper_values - lower_values).T / (2 * STEP)
    second = np.empty((len(z), effects, effects))
    for i in range(effects):
        second[:, i, i] = (upper_values[i] - 2 * value + lower_values[i]) / STEP**2
        for j in range(i):
            # on one side: half the values of the other form, and its error is STEP of the third derivative
            both = joint(z + unit[i] + unit[j]) - upper_values[i] - upper_values[j] + value
            second[:, i, j] = second[:, j, i] = both / STEP**2
    values, vectors = np.linalg.eigh(-second)
    values = np.maximum(values, LEAST_CURVATURE)
    return gradient, (vectors * values[:, None, :]) @ np.swapaxes(vectors, 1, 2)
