"""An arm whose patients differ: S = mean of exp(-H(t | x_m)) over integration points x_m, f the mean of the densities.

A point adds to eta, so the points of a row stand on the trailing axis of the shape, behind the family's own: what the
likelihoods and the answers know of a family holds of an arm as well. Only the mean over patients is taken: a log mean
of hazards would be another model.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from bayes_bm.hazards.modifiers.modifier import Modifier
from bayes_bm.hazards.numerics.constants import LARGEST_LOG_HAZARD
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor

LEAST_LOG_HAZARD = -30.0
"""log of the mean H below which -log of the mean S is the mean H to rounding."""


class PointArguments(NamedTuple):
    """Time, eta and shape with a trailing axis of points."""

    placed_time: Any
    eta: Any
    shape: Any


class _Survivors(NamedTuple):
    """log mean of H, -log mean of S, and by how much each point's H exceeds a level, with the log mean of exp(-it)."""

    log_mean: Any
    used: Any
    excess: Any
    log_alive: Any


@dataclass(frozen=True)
class AveragedOverCovariates(Modifier):
    """The family of an arm; `shape[..., width:]`, behind the base's, is what each point adds to eta (..., point).

    With `weighted`, of one patient whose covariates are partly known: their log weights, which sum to one, follow.
    """

    points: int
    weighted: bool = False

    @property
    def shapes(self) -> tuple[str, ...]:
        numbers = range(1, self.points + 1)
        weights = [f"weight {number}" for number in numbers] if self.weighted else []
        return (*self.base.shapes, *(f"point {number}" for number in numbers), *weights)

    @property
    def _factor(self) -> bool:
        """Whether a point multiplies a proportional hazard: the same means in fewer passes."""
        return self.base.proportional and not self.weighted

    def log_cum_hazard(self, placed_time: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        if self._factor:
            return self._mixture(placed_time, eta, shape, xp=xp)[0]
        survivors = self._survivors(self._spread(placed_time, eta, shape, xp=xp), shape, xp=xp)
        log_mean, used = survivors.log_mean, survivors.used
        small = log_mean < LEAST_LOG_HAZARD
        # the guarded value keeps the gradient of the branch not taken finite
        return xp.where(small, log_mean, xp.log(xp.where(small, 1.0, used)))

    def log_hazard(self, placed_time: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        if self._factor:
            tilt = self._mixture(placed_time, eta, shape, xp=xp)[1]
            return self.base.log_hazard(placed_time, eta, shape[..., : self.base.width], xp=xp) + tilt
        spread = self._spread(placed_time, eta, shape, xp=xp)
        if self.weighted:
            return self._weighted_log_hazard(spread, shape, xp=xp)
        survivors = self._survivors(spread, shape, xp=xp)
        # survivors of the least hazard weigh most: log(mean h S / mean S)
        log_density = self.base.log_hazard(*spread, xp=xp) - survivors.excess
        top = xp.max(log_density)
        return top[..., 0] + xp.log(self._mean(xp.exp(log_density - top), shape, xp=xp)) - survivors.log_alive

    def _weighted_log_hazard(self, spread: PointArguments, shape, *, xp: Namespace):
        """log(sum w h S / sum w S): weights stand inside the largest term, so that one of nearly nothing is none."""
        survivors = self._survivors(spread, shape, xp=xp)
        log_density = self.base.log_hazard(*spread, xp=xp) - survivors.excess + self._log_weights(shape)
        top = xp.max(log_density)
        return top[..., 0] + xp.log(xp.sum(xp.exp(log_density - top))) - survivors.log_alive

    def _log_alive(self, small, excess, shape, *, xp: Namespace):
        """log(sum w exp(-excess)). The least hazard may be that of next to nobody: weights stand inside the largest
        term, but where hazards are small, and no difference from 1 is taken.
        """
        near = xp.log1p(self._mean(xp.expm1(-xp.where(small, excess, 0.0)), shape, xp=xp))
        terms = self._log_weights(shape) - excess
        top = xp.max(terms)
        far = top[..., 0] + xp.log(xp.sum(xp.exp(terms - top)))
        return xp.where(small[..., 0], near, far)

    def _log_weights(self, shape):
        return shape[..., self.base.width :][..., self.points :]

    def _mixture(self, placed_time, eta, shape, *, xp: Namespace):
        width = self.base.width
        log_cum = self.base.log_cum_hazard(placed_time, eta, shape[..., :width], xp=xp)
        return xp.mixture(log_cum, shape[..., width:])[:2]

    def _spread(self, placed_time, eta, shape, *, xp: Namespace) -> PointArguments:
        width = self.base.width
        time = placed_time[..., None] if self.base.basis is None else placed_time[..., None, :]
        return PointArguments(time, eta[..., None] + shape[..., width:][..., : self.points], shape[..., None, :width])

    def _mean(self, values, shape, *, xp: Namespace):
        if self.weighted:
            return xp.sum(values * xp.exp(self._log_weights(shape)))
        return xp.sum(values) / self.points

    def _survivors(self, spread: PointArguments, shape, *, xp: Namespace) -> _Survivors:
        log_cum = self.base.log_cum_hazard(*spread, xp=xp)
        top = xp.minimum(xp.max(log_cum), LARGEST_LOG_HAZARD)
        relative = xp.exp(xp.minimum(log_cum - top, 0.0))
        total = xp.exp(top) * relative
        level = -xp.max(-total)
        excess = total - level
        if self.weighted:
            log_alive = self._log_alive(top < 0, excess, shape, xp=xp)
        else:
            # exact also where all are small: no difference from 1 is taken
            log_alive = xp.log1p(self._mean(xp.expm1(-excess), shape, xp=xp))
        log_mean = top[..., 0] + xp.log(self._mean(relative, shape, xp=xp))
        return _Survivors(log_mean, level[..., 0] - log_alive, excess, log_alive)
