"""log H = log(-log S) from the logarithms of F and S, as the twins have it (`hazards.family.log_cum_from_tails`)."""

import math
from typing import Any

from numba import njit

from bayes_bm.hazards.family import EARLY
from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.inference.compiled.fields import INNER

LOG_TWO = math.log(2.0)
ROOT_HALF = math.sqrt(0.5)
FAR = 12.0
"""|z| from which a tail is its continued fraction; below, erfc keeps all its digits."""


@njit(**INNER)
def log_cum_from_tails(log_dead: Any, log_alive: Any) -> Any:
    """log(-log S), accurate at both ends."""
    if log_dead < EARLY:
        dead = math.exp(log_dead)
        return log_dead + math.log1p(dead / 2 + dead * dead / 3)
    return math.log(-log_alive)


@njit(**INNER)
def log1mexp(x: Any) -> Any:
    """log(1 - exp(x)) of x <= 0, without cancellation (Maechler 2012)."""
    return math.log(-math.expm1(x)) if x > -LOG_TWO else math.log1p(-math.exp(x))


@njit(**INNER)
def softplus(x: Any) -> Any:
    """log(1 + exp(x))."""
    return x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))


@njit(**INNER)
def log_tail(z: Any) -> Any:
    """log Phi(-z)."""
    if z < FAR:
        return math.log1p(-math.erfc(-z * ROOT_HALF) / 2) if z < 0 else math.log(math.erfc(z * ROOT_HALF)) - LOG_TWO
    # Mills' ratio 1 / (z + 1 / (z + 2 / (z + ...))), from the inside
    below = z
    for step in range(30, 0, -1):
        below = z + step / below
    return -z * z / 2 - HALF_LOG_TWO_PI - math.log(below)
