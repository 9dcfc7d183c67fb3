"""Arms averaged over covariates at draws of a posterior: the compiled sums over nodes in place of every point.

Rows then carry the number of their draw and arm in place of the offsets of all points, and cost as much with 4,096
points as with 64.
"""

from dataclasses import dataclass, field

import numpy as np

from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.hazards.numerics.numpy_namespace import Namespace
from bayes_bm.inference.predictors import ArmPredictor, Predictors


@dataclass(frozen=True)
class AveragedAtNodes(AveragedOverCovariates):
    """The same family; `shape[..., width]` is the row of `ratios` (draw x arm, 2 + point, as `averages.offsets_of`)."""

    ratios: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)), compare=False)

    def _mixture(self, placed_time, eta, shape, *, xp: Namespace):
        from bayes_bm.inference.compiled.cells.averages import averaged_rows

        width = self.base.width
        log_cum = self.base.log_cum_hazard(placed_time, eta, shape[..., :width], xp=xp)
        number = np.broadcast_to(shape[..., width].astype(np.int64), log_cum.shape)
        order = np.argsort(number, axis=None, kind="stable")
        logs = np.zeros((2, log_cum.size))
        logs[0] = log_cum.ravel()[order]
        averaged_rows(number.ravel()[order], self.ratios, logs)
        found = np.empty_like(logs)
        found[:, order] = logs
        return found.reshape(2, *log_cum.shape)


def averaged_at_nodes(predictors: Predictors, points: np.ndarray, samples: np.ndarray) -> ArmPredictor:
    """Every arm as a whole at some draws, averaged over `points` (arm, point, covariate) at equal weights."""
    at_centres = predictors.at_centres
    eta, shape = at_centres.eta[samples], at_centres.shape[samples]
    offsets = predictors.offsets_at(points, samples)
    top = offsets.max(axis=-1, keepdims=True)
    relative = np.exp(offsets - top)
    rows = np.concatenate([top, relative.min(axis=-1, keepdims=True), relative], axis=-1)
    number = np.arange(eta.size, dtype=float).reshape(*eta.shape, 1)
    family = AveragedAtNodes(
        predictors.inputs.family, points.shape[1], ratios=np.ascontiguousarray(rows.reshape(eta.size, -1))
    )
    return ArmPredictor(family, eta, np.concatenate([shape, number], axis=-1))


def is_summed_at_nodes(predictors: Predictors) -> bool:
    """Whether a model's arms are averaged at points of equal weights, with proportional hazards."""
    inputs = predictors.inputs
    return inputs.any_integrated and inputs.family.proportional
