"""Each arm alone says about its level and shape a normal: the first stage of a two-stage analysis.

The likelihood of an arm's rows is taken on a grid over (eta, first shape, coefficients), under a wide normal that keeps
directions in which the arm says nothing finite; mean and covariance give the normal, from which the wide one is taken
off again (the moment matching of expectation propagation). A median alone informs one direction, patients both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.result import Result
from bayes_bm.model.design import Design
from bayes_bm.model.observations import KINDS, active_terms, is_arm_level
from bayes_bm.runtime.types import Array

WIDE_LEVEL = 2.0
"""Standard deviation of the wide normal of eta (log hazard or log time)."""
WIDE_SHAPE = 0.8
"""Standard deviation of the wide normal of the first shape (log)."""
WIDE_COEFFICIENT = 1.0
"""Standard deviation of the wide normal of each coefficient."""
NODES = (201, 25, 15)
"""Grid points along each axis, by how many axes there are."""
REACH = 4.5
"""Standard deviations that the grid reaches to either side."""
PASSES = 5
"""Times that the grid is laid anew along the last moments."""
LEAST = 0.05
"""Directions known to a standard deviation worse than 1 / sqrt(LEAST) count as unknown."""
LEAST_WITHIN = 1e-3
"""The same where something else is known of the arm."""
RATIOS = "hazard_ratios"
"""Kind of rows that speaks about two arms, so about none alone."""
Density = Callable[[Array], Array]


@dataclass(frozen=True)
class ArmNormals:
    """Hold uncorrelated pseudo-observations with variance 1: `value` (row,) of `slope` (row, axis) . theta.

    theta is (eta, first shape, coefficient) of the arm row `arm` (row,) that each belongs to.
    """

    arm: Array
    value: Array
    slope: Array


@dataclass(frozen=True)
class ArmTransform:
    """Hold a normal of theta: mean (axis,), precision (axis, axis); `start` is where to look (mean, covariance)."""

    mean: Array
    precision: Array
    start: tuple[Array, Array] | None = None


def arm_normals(
    result: Result, *, coefficients: bool = False, cavities: Sequence[ArmTransform] | None = None
) -> ArmNormals:
    """Return the normal of every arm with rows of its own; coefficients at their means unless asked for.

    `cavities`: what is known of each arm without its own rows takes the place of the wide normal (a sweep of
    expectation propagation).
    """
    if not coefficients and cavities is None:
        kept = vars(result)
        if "arm_normals" not in kept:
            kept["arm_normals"] = _all_normals(result, coefficients=False, cavities=None)
        return kept["arm_normals"]
    return _all_normals(result, coefficients=coefficients, cavities=cavities)


def _all_normals(result: Result, *, coefficients: bool, cavities: Sequence[ArmTransform] | None) -> ArmNormals:
    """The normals of all arms, one after the other: several checks ask for those without coefficients."""
    axes = 2 + (len(result.spec.covariates) if coefficients else 0)
    if result.evidence.arms.empty:
        return ArmNormals(np.zeros(0, dtype=int), np.zeros(0), np.zeros((0, axes)))
    arms, shared = range(len(result.evidence.arms)), _shared_inputs(result)
    arm_rows = [
        _arm_normal(result, shared, arm, coefficients, None if cavities is None else cavities[arm]) for arm in arms
    ]
    value = np.concatenate([np.zeros(0), *(part for part, _ in arm_rows)])
    slope = np.concatenate([np.zeros((0, axes)), *(part for _, part in arm_rows)])
    arm = np.repeat(np.arange(len(arm_rows)), [len(part) for part, _ in arm_rows]).astype(int)
    return ArmNormals(arm, value, slope)


class WhitenedRatios(NamedTuple):
    """Hold whitened log hazard ratios (row,), and what each reads of treatments and pairs.

    `by_treatment` (row, treatment) leaves out the reference, `by_pair` is (row, pair).
    """

    value: Array
    by_treatment: Array
    by_pair: Array


def whitened_ratios(design: Design, evidence: Evidence, bias: Array) -> WhitenedRatios:
    """Return printed log hazard ratios as uncorrelated rows of variance 1, less their biases."""
    whiten, treatment, pair = (
        np.linalg.inv(evidence.hr_cholesky),
        np.eye(len(design.treatments)),
        np.eye(len(design.pairs) + 1),
    )
    sides, pair_sides = (
        treatment[design.hr_treatment] - treatment[design.hr_reference],
        pair[design.hr_pair] - pair[design.hr_reference_pair],
    )
    printed = evidence.hazard_ratios["log_hr"].to_numpy(dtype=float) - design.hr_bias @ bias
    return WhitenedRatios(whiten @ printed, whiten @ sides[:, 1:], whiten @ pair_sides[:, 1:])


class LinearRows(NamedTuple):
    """Hold rows y = sum of blocks . parameters + N(0, 1): the arms' normals, then the printed ratios.

    `study` (row,) names the study of each row. `blocks`: what a row reads of a parameter (row, column), by the
    parameter's name in the posterior; `shape_by_treatment` (row, treatment) has the reference's column too.
    """

    y: Array
    study: Array
    blocks: Mapping[str, Array]
    shape_by_treatment: Array


def linear_rows(design: Design, sites: ArmNormals, evidence: Evidence, bias: Array, *, ratios: bool) -> LinearRows:
    """Return the normals of all arms and, if asked for, the printed ratios as one linear model, less their biases."""
    arm, eta, kappa = sites.arm, sites.slope[:, :1], sites.slope[:, 1:2]
    by_study = np.eye(len(design.studies))[design.arm_study[arm]]
    by_treatment = np.eye(len(design.treatments))[design.arm_treatment[arm]]
    by_pair = np.eye(len(design.pairs) + 1)[design.arm_pair[arm]][:, 1:]
    blocks = {
        "intercept": eta,
        "log_hr": eta * by_treatment[:, 1:],
        "log_shape": kappa,
        "treatment_log_shape": kappa * by_treatment[:, 1:],
        "coefficient": sites.slope[:, 2:],
        "study_effect": eta * by_study,
        "study_log_shape": kappa * by_study,
        "study_treatment_effect": eta * by_pair,
    }
    y, shape_by_treatment = sites.value - eta[:, 0] * (design.arm_bias @ bias)[arm], kappa * by_treatment
    study = np.array(design.studies, dtype=object)[design.arm_study[arm]]
    if not ratios or not len(evidence.hr_cholesky):
        return LinearRows(y, study, blocks, shape_by_treatment)
    printed = whitened_ratios(design, evidence, bias)
    # a ratio informs contrasts alone: nothing of levels, shapes, coefficients
    read = {"log_hr": printed.by_treatment, "study_treatment_effect": printed.by_pair}
    nothing = {name: np.zeros((len(printed.value), block.shape[1])) for name, block in blocks.items()}
    return LinearRows(
        np.concatenate([y, printed.value]),
        np.concatenate([study, evidence.hazard_ratios["study"].to_numpy(dtype=object)]),
        {name: np.concatenate([block, read.get(name, nothing[name])]) for name, block in blocks.items()},
        np.concatenate([shape_by_treatment, np.zeros((len(printed.value), by_treatment.shape[1]))]),
    )


@dataclass(frozen=True)
class _SharedInputs:
    """Hold what all arms read: the rows of every kind, each arm's mean shape (arm, shape), its integration points."""

    rows: Mapping[str, Mapping[str, Array]]
    shape: Array
    points: Array | None


def _shared_inputs(result: Result) -> _SharedInputs:
    """Gather what all arms read."""
    inputs = result.inputs
    rows = {name: arrays for name, arrays in inputs.kinds.items() if name != RATIOS}
    points = inputs.arm_points if inputs.any_integrated else None
    shape = result.predictors.arms.shape.mean(axis=0)
    if inputs.arm_mixes is not None:
        # shares of cells at their mean: those of mean logs do not sum to 1, and nobody would be alive at time 0
        log_shares = result.predictors.point_log_weights
        shape[:, -log_shares.shape[-1] :] = np.logaddexp.reduce(log_shares, axis=0) - np.log(len(log_shares))
    return _SharedInputs(rows, shape, points)


def _arm_normal(
    result: Result, shared: _SharedInputs, arm: int, coefficients: bool, cavity: ArmTransform | None
) -> tuple[Array, Array]:
    log_density, centre = _log_likelihood(result, shared, arm, coefficients)
    shaped = result.spec.hazard.varies is not None
    axes = np.array([0, *([1] if shaped else []), *range(2, len(centre))])
    wide = np.array([WIDE_LEVEL, *([WIDE_SHAPE] if shaped else []), *([WIDE_COEFFICIENT] * (len(centre) - 2))])
    prior = ArmTransform(centre[axes], np.diag(wide**-2.0)) if cavity is None else cavity
    mean, covariance = prior.start or (prior.mean, np.linalg.inv(prior.precision))

    def tilted(theta: Array) -> Array:
        whole = np.tile(centre, (len(theta), 1))
        whole[:, axes] = theta
        deviation = theta - prior.mean
        return log_density(whole) - 0.5 * np.einsum("gi,ij,gj->g", deviation, prior.precision, deviation)

    for sweep in range(PASSES):
        mean, covariance = _moments(tilted, mean, covariance, last=sweep == PASSES - 1)
    inverse = np.linalg.inv(covariance)
    size, direction = np.linalg.eigh(inverse - prior.precision)
    pull = inverse @ mean - prior.precision @ prior.mean
    keep = size > (LEAST if cavity is None else LEAST_WITHIN)
    root = np.sqrt(size[keep])
    slope = np.zeros((int(keep.sum()), len(centre)))
    slope[:, axes] = root[:, None] * direction[:, keep].T
    return (direction[:, keep].T @ pull) / root, slope


def _moments(log_density: Density, mean: Array, covariance: Array, *, last: bool) -> tuple[Array, Array]:
    """Return mean and covariance of a density on a grid laid along the last ones.

    Until the last pass at least the spread within a cell of the grid, so that a density narrower than one is found.
    """
    z = np.linspace(-REACH, REACH, NODES[min(len(mean), 3) - 1])
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*([z] * len(mean)), indexing="ij")], axis=1)
    theta = mean + grid @ np.linalg.cholesky(covariance).T
    log_weight = log_density(theta)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    centre = weight @ theta
    spread = (theta - centre).T @ (weight[:, None] * (theta - centre))
    cell_covariance = 1e-10 * np.eye(len(centre)) if last else (z[1] - z[0]) ** 2 / 12 * covariance
    return centre, spread + cell_covariance


def _log_likelihood(result: Result, shared: _SharedInputs, arm: int, coefficients: bool) -> tuple[Density, Array]:
    """Return the log likelihood of the arm's rows at theta (point, axis), and the theta of an average study's arm."""
    spec, draws = result.spec, result.predictors.draws
    names = len(spec.covariates) if coefficients else 0
    slopes = draws.slopes.mean(axis=0)[result.inputs.design.arm_treatment[arm]]
    points = None if shared.points is None else shared.points[arm]
    family, mean_shape, parts = result.predictors.arms.family, shared.shape[arm], []
    for name, arrays in shared.rows.items():
        arm_mask = arrays["arm_row"] == arm
        if arm_mask.any():
            data = SimpleNamespace(**{key: values[arm_mask] for key, values in arrays.items()}, **active_terms(arrays))
            used = family if is_arm_level(name) else result.inputs.arm_family
            x = getattr(data, "x", np.zeros((int(arm_mask.sum()), 0)))
            parts.append((KINDS[name].log_density, used, data, x, is_arm_level(name)))

    def log_density(theta: Array) -> Array:
        total = np.zeros(len(theta))
        coefficient = theta[:, 2:] if names else np.broadcast_to(slopes, (len(theta), len(slopes)))
        for density, used, data, x, of_arm in parts:
            eta = theta[:, :1] + (coefficient @ x.T if x.shape[1] else np.zeros(len(data.arm_row)))
            base = np.broadcast_to(mean_shape[: used.width], (len(theta), used.width)).copy()
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
    centre = np.array([level, mean_shape[0] if len(mean_shape) else 0.0, *(slopes if names else [])])
    return log_density, centre
