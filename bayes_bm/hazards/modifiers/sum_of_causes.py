"""The time to the first of several causes: H = H_1 + ... + H_K, h = h_1 + ... + h_K, as a family.

`eta` is that of the first cause. The shape is that of the first, then eta and shape of each other one in turn, so that
likelihoods, draws and root finding read the time to the first of all causes as they read any family. Of an arm whose
patients differ, a patient's covariates move the hazard of every cause at once (`SumOverPatients`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

from bayes_bm.hazards.family import Family
from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates, PointArguments
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


@dataclass(frozen=True)
class SumOverPatients(AveragedOverCovariates):
    """The time to the first of several causes in an arm whose patients differ: S = sum over kinds of w exp(-H).

    Behind the shape of the sum stand what each kind of patient adds to eta of the first cause, of the second, ..., and
    the log weights of the kinds: `points` numbers each.
    """

    base: SumOfCauses
    weighted: bool = True

    @property
    def shapes(self) -> tuple[str, ...]:
        kinds = range(1, self.points + 1)
        moved = [
            f"{family.name} {place}, kind {kind}" for place, family in enumerate(self.base.causes) for kind in kinds
        ]
        return (*self.base.shapes, *moved, *(f"weight {kind}" for kind in kinds))

    def _spread(self, placed_time: Any, eta: Any, shape: Any, *, xp: Namespace) -> PointArguments:
        width, behind = self.base.width, shape[..., self.base.width :]
        of_sum = shape[..., None, :width]
        moves = [behind[..., cause * self.points : (cause + 1) * self.points] for cause in range(len(self.base.causes))]
        columns, start = [], 0
        for place, (family, move) in enumerate(zip(self.base.causes, moves, strict=True)):
            if place:
                columns.append(of_sum[..., start] + move)
                start += 1
            # a column of its own for every kind, so that they can be stacked
            columns += [of_sum[..., column] + 0.0 * move for column in range(start, start + family.width)]
            start += family.width
        return PointArguments(placed_time[..., None], eta[..., None] + moves[0], xp.columns(columns))

    def _log_weights(self, shape: Any) -> Any:
        return shape[..., self.base.width :][..., len(self.base.causes) * self.points :]
