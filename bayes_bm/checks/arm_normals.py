"""What each arm alone says about its level and shape, as a normal: the first stage of a two-stage analysis.

The likelihood of an arm's rows is taken on a grid over (eta, first shape, coefficients), under a wide normal that keeps
directions in which the arm says nothing finite; mean and covariance give the normal, from which the wide one is taken
off again (the moment matching of expectation propagation). A median alone informs one direction, patients both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.result import Result
from bayes_bm.model.design import Design
from bayes_bm.model.observations import KINDS, active_terms, is_arm_level
from bayes_bm.runtime.types import Array

WIDE_LEVEL, WIDE_SHAPE, WIDE_COEFFICIENT = 2.0, 0.8, 1.0
NODES, REACH, PASSES = (201, 25, 15), 4.5, 5
"""Grid points along each axis, by how many axes there are."""
LEAST = 0.05
"""Directions known to a standard deviation worse than 1 / sqrt(LEAST) count as unknown."""
LEAST_WITHIN = 1e-3
"""The same where something else is known of the arm."""
RATIOS = "hazard_ratios"
Density = Callable[[Array], Array]


@dataclass(frozen=True)
class ArmNormals:
    """Uncorrelated pseudo-observations with variance 1: `value` (row,) of `slope` (row, axis) . theta.

    theta is (eta, first shape, coefficient) of the arm row `arm` (row,) that each belongs to.
    """

    arm: Array
    value: Array
    slope: Array


@dataclass(frozen=True)
class ArmTransform:
    """A normal of theta: mean (axis,) and precision (axis, axis); `start`, mean and covariance of where to look."""

    mean: Array
    precision: Array
    start: tuple[Array, Array] | None = None


def arm_normals(
    result: Result, *, coefficients: bool = False, cavities: Sequence[ArmTransform] | None = None
) -> ArmNormals:
    """The normal of every arm with rows of its own; coefficients at their means unless asked for.

    `cavities`: what is known of each arm without its own rows takes the place of the wide normal (a sweep of
    expectation propagation).
    """
    arms, known = range(len(result.evidence.arms)), _known(result)
    found = [_site(result, known, arm, coefficients, None if cavities is None else cavities[arm]) for arm in arms]
    axes = 2 + (len(result.spec.covariates) if coefficients else 0)
    value = np.concatenate([np.zeros(0), *(one for one, _ in found)])
    slope = np.concatenate([np.zeros((0, axes)), *(one for _, one in found)])
    arm = np.repeat(np.arange(len(found)), [len(one) for one, _ in found]).astype(int)
    return ArmNormals(arm, value, slope)


def whitened_ratios(of: Design, evidence: Evidence, bias: Array) -> tuple[Array, Array, Array]:
    """Printed log hazard ratios as uncorrelated rows of variance 1, less their biases (row,).

    With them what each row reads of the treatments but the reference (row, treatment) and of the pairs (row, pair).
    """
    whiten, treatment, pair = np.linalg.inv(evidence.hr_cholesky), np.eye(len(of.treatments)), np.eye(len(of.pairs) + 1)
    sides, own = treatment[of.hr_treatment] - treatment[of.hr_reference], pair[of.hr_pair] - pair[of.hr_reference_pair]
    printed = evidence.hazard_ratios["log_hr"].to_numpy(dtype=float) - of.hr_bias @ bias
    return whiten @ printed, whiten @ sides[:, 1:], whiten @ own[:, 1:]


@dataclass(frozen=True)
class _Known:
    """What all arms read: the rows of every kind, the mean law of each arm (arm, shape), its integration points."""

    rows: Mapping[str, Mapping[str, Array]]
    law: Array
    points: Array | None


def _known(result: Result) -> _Known:
    inputs = result.inputs
    rows = {name: arrays for name, arrays in inputs.kinds.items() if name != RATIOS}
    points = inputs.arm_points if inputs.any_averaged else None
    return _Known(rows, result.predictors.arms.shape.mean(axis=0), points)


def _site(
    result: Result, known: _Known, arm: int, coefficients: bool, cavity: ArmTransform | None
) -> tuple[Array, Array]:
    log_density, centre = _log_likelihood(result, known, arm, coefficients)
    shaped = result.spec.hazard.varies is not None
    axes = np.array([0, *([1] if shaped else []), *range(2, len(centre))])
    wide = np.array([WIDE_LEVEL, *([WIDE_SHAPE] if shaped else []), *([WIDE_COEFFICIENT] * (len(centre) - 2))])
    prior = ArmTransform(centre[axes], np.diag(wide**-2.0)) if cavity is None else cavity
    mean, covariance = prior.start or (prior.mean, np.linalg.inv(prior.precision))

    def tilted(theta: Array) -> Array:
        whole = np.tile(centre, (len(theta), 1))
        whole[:, axes] = theta
        off = theta - prior.mean
        return log_density(whole) - 0.5 * np.einsum("gi,ij,gj->g", off, prior.precision, off)

    for at in range(PASSES):
        mean, covariance = _moments(tilted, mean, covariance, last=at == PASSES - 1)
    inverse = np.linalg.inv(covariance)
    size, direction = np.linalg.eigh(inverse - prior.precision)
    pull = inverse @ mean - prior.precision @ prior.mean
    keep = size > (LEAST if cavity is None else LEAST_WITHIN)
    root = np.sqrt(size[keep])
    slope = np.zeros((int(keep.sum()), len(centre)))
    slope[:, axes] = root[:, None] * direction[:, keep].T
    return (direction[:, keep].T @ pull) / root, slope


def _moments(log_density: Density, mean: Array, covariance: Array, *, last: bool) -> tuple[Array, Array]:
    """Mean and covariance of a law on a grid laid along the last ones.

    Until the last pass at least the spread within a cell of the grid, so that a law narrower than a cell is found.
    """
    z = np.linspace(-REACH, REACH, NODES[min(len(mean), 3) - 1])
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*([z] * len(mean)), indexing="ij")], axis=1)
    theta = mean + grid @ np.linalg.cholesky(covariance).T
    log_weight = log_density(theta)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    found = weight @ theta
    spread = (theta - found).T @ (weight[:, None] * (theta - found))
    within = 1e-10 * np.eye(len(found)) if last else (z[1] - z[0]) ** 2 / 12 * covariance
    return found, spread + within


def _log_likelihood(result: Result, known: _Known, arm: int, coefficients: bool) -> tuple[Density, Array]:
    """Log likelihood of the arm's rows at theta (point, axis), and the theta of an average study's arm."""
    spec, draws = result.spec, result.predictors.draws
    names = len(spec.covariates) if coefficients else 0
    slopes = draws.slopes.mean(axis=0)[result.inputs.design.arm_treatment[arm]]
    points = None if known.points is None else known.points[arm]
    family, law, parts = result.predictors.arms.family, known.law[arm], []
    for name, arrays in known.rows.items():
        mine = arrays["arm_row"] == arm
        if mine.any():
            data = SimpleNamespace(**{key: values[mine] for key, values in arrays.items()}, **active_terms(arrays))
            used = family if is_arm_level(name) else result.inputs.arm_family
            x = getattr(data, "x", np.zeros((int(mine.sum()), 0)))
            parts.append((KINDS[name].log_density, used, data, x, is_arm_level(name)))

    def log_density(theta: Array) -> Array:
        total = np.zeros(len(theta))
        coefficient = theta[:, 2:] if names else np.broadcast_to(slopes, (len(theta), len(slopes)))
        for density, used, data, x, of_arm in parts:
            eta = theta[:, :1] + (coefficient @ x.T if x.shape[1] else np.zeros(len(data.arm_row)))
            base = np.broadcast_to(law[: used.width], (len(theta), used.width)).copy()
            if spec.hazard.varies is not None:
                base[:, 0] = theta[:, 1]
            if of_arm and points is not None:
                base[:, result.inputs.family.width :] = coefficient @ points.T
            shape = np.broadcast_to(base[:, None], (*eta.shape, base.shape[1]))
            with np.errstate(all="ignore"):
                values = np.sum(density(used, data, eta, shape, xp=NUMPY), axis=1)
            total += np.where(np.isfinite(values), values, -1e6)
        return total

    level = (
        draws.intercept.mean() + draws.study_effect.mean() if result.inputs.design.studies else draws.intercept.mean()
    )
    centre = np.array([level, law[0] if len(law) else 0.0, *(slopes if names else [])])
    return log_density, centre
