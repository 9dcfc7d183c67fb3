"""A treatment effect that wanes: from some time on the hazard ratio goes back to 1 (docs/decisions.md#26-waning).

The log ratio beta is whole until the start s, then falls by jumps at s_0 < s_1 < ..., of which L_j are lost after s_j:

    h(t) = h1(t) exp(-beta L(t))
    H(t) = exp(-beta) H1(t) + sum over j of (exp(-beta L_(j-1)) - exp(-beta L_j)) H1(min(t, s_j))

with h1, H1 those of the whole effect, L before the first jump 0 and after the last 1. One jump is an effect that ends
at once; ten equal steps, each at the ratio of its middle, one that is linear on the log (survextrap's `wane_nt` takes
the hazard of their start). beta and log(s / t0) are the last two numbers of the shape; of the reference beta is 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bayes_bm.hazards.modifiers.modifier import Modifier
from bayes_bm.hazards.numerics.constants import LARGEST_LOG_HAZARD
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor

STEPS = 10
"""Steps of a ratio that wanes linearly, as survextrap has them."""
AT_JUMP = 1e-12
"""log u may be above a jump by so much and is at it: before the jump, whatever exp and log round to."""
TINY = 1e-300
"""Cumulative hazard that stands for none: its logarithm is finite."""
WANING = ("waning_effect", "waning_start")
"""Last numbers of the shape."""


@dataclass(frozen=True)
class Waned(Modifier):
    """The family with an effect that wanes over `over` (t / t0) from its start; 0 at once. `start`, where stated."""

    over: float
    start: float | None = None

    def __post_init__(self) -> None:
        if self.base.basis is not None or self.base.effect != "hazard":
            raise TypeError(f"effects of {self.base.name} cannot wane")

    @property
    def shapes(self) -> tuple[str, ...]:
        return (*self.base.shapes, *WANING)

    @property
    def varies(self) -> str | None:
        return self.base.varies

    @property
    def proportional(self) -> bool:
        return False

    @property
    def breaks(self) -> tuple[float, ...]:
        jumps = () if self.start is None else (np.log(self.start + offset) for offset, _ in self.jumps())
        return tuple(sorted({*self.base.breaks, *map(float, jumps)}))

    def jumps(self) -> Iterator[tuple[float, float]]:
        """Time of each jump after the start, and the share of the effect lost after it."""
        if self.over == 0:
            yield 0.0, 1.0
            return
        for step in range(STEPS + 1):
            yield self.over * step / STEPS, min((step + 0.5) / STEPS, 1.0)

    def log_cum_hazard(self, log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        effect, start, inner = shape[..., :-1][..., -1], shape[..., -1], shape[..., :-1][..., :-1]
        whole = self.base.log_cum_hazard(log_u, eta, inner, xp=xp)
        total, left = xp.exp(xp.minimum(whole - effect, LARGEST_LOG_HAZARD)), 1.0
        for offset, lost in self.jumps():
            after = xp.exp(-effect * lost)
            jump = xp.minimum(log_u, xp.log(xp.exp(start) + offset))
            until = self.base.log_cum_hazard(jump, eta, inner, xp=xp)
            total = total + (left - after) * xp.exp(xp.minimum(until, LARGEST_LOG_HAZARD))
            left = after
        begun = log_u > start + AT_JUMP
        return xp.where(begun, xp.log(xp.where(begun & (total > TINY), total, TINY)), whole)

    def log_hazard(self, log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        effect, start, inner = shape[..., :-1][..., -1], shape[..., -1], shape[..., :-1][..., :-1]
        log_hazard, before = self.base.log_hazard(log_u, eta, inner, xp=xp), 0.0
        for offset, lost in self.jumps():
            log_hazard = log_hazard - effect * xp.where(
                log_u > xp.log(xp.exp(start) + offset) + AT_JUMP, lost - before, 0.0
            )
            before = lost
        return log_hazard
