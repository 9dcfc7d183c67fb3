"""What a hazard family is: two functions of time; everything else follows, once, for all families.

With H the cumulative hazard, S = exp(-H), density h S, restricted mean the integral of S. `eta` is the log cumulative
hazard at the reference time t0, so a treatment effect on `eta` is a log hazard ratio in every proportional-hazards
family.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Formula = Callable[..., Any]


@dataclass(frozen=True)
class Family:
    """`log_cum_hazard(log_u, eta, log_shape, xp=...)` and `log_hazard(...)`, with log_u = log(t / t0).

    `log_hazard` is per unit of t0: add -log t0 for the hazard per time unit. `inverse(log_cum, eta, log_shape, xp=...)`
    gives log_u at a cumulative hazard, where it has a closed form.
    """

    name: str
    has_shape: bool
    log_cum_hazard: Formula
    log_hazard: Formula
    inverse: Formula
