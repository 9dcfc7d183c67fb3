"""Background mortality under any family: h = h0 + hb, H = H0 + Hb (relative survival; additive hazards).

hb is known: the mortality of the population that the patients come from, constant from each start to the next and
after the last. The family below models the excess, and effects act on it alone, so the hazards of two treatments are
no longer proportional, and with a cured share the cured die of the background only. As in survextrap (Jackson 2023, doi
10.1186/s12874-023-02094-1, `backhaz`) and in Nelson et al. 2007 (doi 10.1002/sim.3064).

The two logarithms of the background stand behind what the family below knows of a time.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayes_bm.hazards.family import Family
from bayes_bm.hazards.modifiers.modifier import Modifier
from bayes_bm.hazards.numerics.constants import LARGEST_LOG_HAZARD
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor

NEVER = -1e4
"""log of a hazard of zero: finite, because -inf has no gradient; exp of it is 0 all the same."""


@dataclass(frozen=True)
class WithBackground(Modifier):
    """The family with a background hazard: `rate` per t0 from each `start`, t / t0, the first of them 0."""

    start: tuple[float, ...]
    rate: tuple[float, ...]

    @property
    def background(self) -> tuple[float, ...]:
        return tuple(float(value) for value in np.log(self.start[1:]))

    @cached_property
    def _steps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts, rates and the cumulative hazard at each start."""
        start, rate = np.array(self.start), np.array(self.rate)
        return start, rate, np.concatenate([[0.0], np.cumsum(rate[:-1] * np.diff(start))])

    def basis(self, log_u: np.ndarray) -> np.ndarray:
        """What the family below knows of a time, then log Hb and log hb (..., 2 or more)."""
        start, rate, cumulated = self._steps
        placed = self.base.place(log_u)
        u = np.exp(np.minimum(log_u, LARGEST_LOG_HAZARD))
        piece = np.searchsorted(start, u, side="right") - 1
        hazards = (cumulated[piece] + rate[piece] * (u - start[piece]), rate[piece] + 0 * u)
        with np.errstate(divide="ignore"):
            logs = [np.maximum(np.log(hazard), NEVER)[..., None] for hazard in hazards]
        return np.concatenate([placed[..., None] if self.base.basis is None else placed, *logs], axis=-1)

    def log_cum_hazard(self, placed_time: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        excess = self.base.log_cum_hazard(self._excess_time(placed_time), eta, shape, xp=xp)
        return xp.logaddexp(excess, placed_time[..., -2])

    def log_hazard(self, placed_time: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        excess = self.base.log_hazard(self._excess_time(placed_time), eta, shape, xp=xp)
        return xp.logaddexp(excess, placed_time[..., -1])

    def _excess_time(self, placed_time):
        """What the family below knows of the time."""
        return placed_time[..., 0] if self.base.basis is None else placed_time[..., :-2]


def with_background(family: Family, start: np.ndarray, rate: np.ndarray) -> WithBackground:
    """Add a background hazard to a family: `rate` per t0 from each `start`, t / t0, the first of them 0."""
    return WithBackground(family, tuple(map(float, start)), tuple(map(float, rate)))
