"""A cured share over any family: S = pi + (1 - pi) S0, with effects on the uncured, pi = 1 / (1 + exp(-logit_cure)).

logit_cure is the last of the shape parameters; with logit_cure = -inf nobody is cured and the family is left. The log
hazard is log(1 - pi) + log h0 + log S0 - log S; a cumulative hazard beyond -log pi is never reached.
"""

from dataclasses import replace

import numpy as np

from bayes_bm.hazards.family import CURED, Family, inverse, log_cum_from_tails
from bayes_bm.hazards.numerics.numpy_namespace import Namespace

SMALL, LARGEST = -37.0, 700.0


def cured(family: Family) -> Family:
    """The family with a cured share."""

    def parts(at, eta, shape, *, xp: Namespace):
        """log pi, log(1 - pi), H0 and log F0 of the uncured."""
        logit = shape[..., -1]
        log_cum = xp.minimum(family.log_cum_hazard(at, eta, shape[..., :-1], xp=xp), LARGEST)
        total = xp.exp(log_cum)
        small = log_cum < SMALL
        log_dead = xp.where(small, log_cum, xp.log1mexp(-xp.where(small, 1.0, total)))
        return -xp.softplus(-logit), -xp.softplus(logit), total, log_dead

    def log_cum_hazard(at, eta, shape, *, xp: Namespace):
        log_cured, log_uncured, total, log_dead = parts(at, eta, shape, xp=xp)
        log_alive = xp.logaddexp(log_cured, log_uncured - total)
        return log_cum_from_tails(log_uncured + log_dead, log_alive, xp=xp)

    def log_hazard(at, eta, shape, *, xp: Namespace):
        log_cured, log_uncured, total, _ = parts(at, eta, shape, xp=xp)
        # log S0 - log S, without the difference of two large numbers
        mixed = -xp.logaddexp(log_cured + total, log_uncured)
        return log_uncured + family.log_hazard(at, eta, shape[..., :-1], xp=xp) + mixed

    def back(log_cum, eta, shape, *, xp: Namespace):
        """H0 = -log(1 - F / (1 - pi)), F = 1 - exp(-H)."""
        small = log_cum < SMALL
        log_dead = xp.where(small, log_cum, xp.log1mexp(-xp.where(small, 1.0, xp.exp(log_cum))))
        log_share = log_dead + xp.softplus(shape[..., -1])
        reached = log_share < 0
        inside = xp.where(reached, log_share, -1.0)
        of_uncured = log_cum_from_tails(inside, xp.log1mexp(inside), xp=xp)
        return xp.where(reached, inverse(family, of_uncured, eta, shape[..., :-1], xp=xp), np.inf)

    shapes = (*family.shapes, CURED)
    return replace(
        family, shapes=shapes, log_cum_hazard=log_cum_hazard, log_hazard=log_hazard, inverse=back, cured=True
    )
