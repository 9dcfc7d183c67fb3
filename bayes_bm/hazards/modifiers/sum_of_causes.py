"""The time to the first of several causes: H = H_1 + ... + H_K, h = h_1 + ... + h_K, as a family.

`eta` is that of the first cause. The shape is that of the first, then eta and shape of each other one in turn, so that
likelihoods, draws and root finding read the time to the first of all causes as they read any family.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

from bayes_bm.hazards.family import Family
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor


@dataclass(frozen=True)
class SumOfCauses(Family):
    """The family of the first of all causes; those of the causes have no knots and no background."""

    causes: tuple[Family, ...]

    effect = "hazard"
    inverse = None
    event_weighted_log_hr = None
    basis = None
    on_knots = None
    knots = None
    cured = False
    background = None

    @property
    def name(self) -> str:
        return " + ".join(family.name for family in self.causes)

    @property
    def shapes(self) -> tuple[str, ...]:
        first, *others = self.causes
        return (*first.shapes, *(name for family in others for name in ("eta", *family.shapes)))

    def log_cum_hazard(self, placed_time: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        parts = self._parts(eta, shape, xp=xp)
        return _log_sum((one.log_cum_hazard(placed_time, level, own, xp=xp) for one, level, own in parts), xp=xp)

    def log_hazard(self, placed_time: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        parts = self._parts(eta, shape, xp=xp)
        return _log_sum((one.log_hazard(placed_time, level, own, xp=xp) for one, level, own in parts), xp=xp)

    def _parts(self, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Iterator[tuple[Family, Any, Any]]:
        """Family, eta and shape of each cause."""
        start = 0
        for place, family in enumerate(self.causes):
            level = eta if place == 0 else shape[..., start]
            start += place > 0
            columns = [shape[..., column] for column in range(start, start + family.width)]
            yield family, level, xp.columns(columns)
            start += family.width


def _log_sum(terms: Iterator[Any], *, xp: Namespace) -> Any:
    return reduce(xp.logaddexp, terms)
