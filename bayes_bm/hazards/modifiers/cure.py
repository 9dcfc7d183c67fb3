"""A cured share over any family: S = pi + (1 - pi) S0, with effects on the uncured, pi = 1 / (1 + exp(-logit_cure)).

logit_cure is the last of the shape parameters; with logit_cure = -inf nobody is cured and the family is left. The log
hazard is log(1 - pi) + log h0 + log S0 - log S; a cumulative hazard beyond -log pi is never reached.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bayes_bm.hazards.family import CURED, inverse, log_cum_from_tails, log_dead_at
from bayes_bm.hazards.modifiers.modifier import Modifier
from bayes_bm.hazards.numerics.constants import LARGEST_LOG_HAZARD
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor


class _Shares(NamedTuple):
    """log pi, log(1 - pi), H0 and log F0 of the uncured."""

    log_cured: Any
    log_uncured: Any
    total: Any
    log_dead: Any


@dataclass(frozen=True)
class Cured(Modifier):
    """The family with a cured share."""

    @property
    def shapes(self) -> tuple[str, ...]:
        return (*self.base.shapes, CURED)

    @property
    def cured(self) -> bool:
        return True

    def log_cum_hazard(self, placed_time: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        log_cured, log_uncured, total, log_dead = self._shares(placed_time, eta, shape, xp=xp)
        log_alive = xp.logaddexp(log_cured, log_uncured - total)
        return log_cum_from_tails(log_uncured + log_dead, log_alive, xp=xp)

    def log_hazard(self, placed_time: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        log_cured, log_uncured, total, _ = self._shares(placed_time, eta, shape, xp=xp)
        # log S0 - log S, without the difference of two large numbers
        mixed = -xp.logaddexp(log_cured + total, log_uncured)
        return log_uncured + self.base.log_hazard(placed_time, eta, shape[..., :-1], xp=xp) + mixed

    def inverse(self, log_cum: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        """H0 = -log(1 - F / (1 - pi)), F = 1 - exp(-H)."""
        log_share = log_dead_at(log_cum, xp=xp) + xp.softplus(shape[..., -1])
        reached = log_share < 0
        log_share_reached = xp.where(reached, log_share, -1.0)
        uncured = log_cum_from_tails(log_share_reached, xp.log1mexp(log_share_reached), xp=xp)
        return xp.where(reached, inverse(self.base, uncured, eta, shape[..., :-1], xp=xp), np.inf)

    def _shares(self, placed_time, eta, shape, *, xp: Namespace) -> _Shares:
        logit = shape[..., -1]
        log_cum = self.base.log_cum_hazard(placed_time, eta, shape[..., :-1], xp=xp)
        log_cum = xp.minimum(log_cum, LARGEST_LOG_HAZARD)
        return _Shares(-xp.softplus(-logit), -xp.softplus(logit), xp.exp(log_cum), log_dead_at(log_cum, xp=xp))
