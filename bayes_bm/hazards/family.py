"""What a hazard family is: two functions of time and their inverse; everything else follows, once, for all families.

With H the cumulative hazard, S = exp(-H), density h S, restricted mean the integral of S. What the linear predictor
`eta` means depends on the effect a family knows:

    "hazard"  proportional hazards: eta = log H(t0), effects are log hazard ratios (`log_hr`)
    "time"    accelerated time: eta is the location of log(T / t0), effects are log time ratios (`log_time_ratio`),
              and larger is longer

A formula takes (placed_time, eta, shape, xp=...). `placed_time` is what `place` makes of log_u = log(t / t0): log_u
itself unless the family has a basis, whose values then stand on a trailing axis. They are worked out once, outside the
sampler. `shape` has the family's shape parameters on its trailing axis; the other axes broadcast against `eta` and the
time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bayes_bm.hazards.numerics.numpy_namespace import Namespace

Formula = Callable[..., Any]


@dataclass(frozen=True)
class Knots:
    """Where a flexible baseline may bend, as t / t0: the inner knots, and the end, after which the hazard is constant.

    `location` of each coefficient on the time axis and `step` between neighbours, as a share of the whole: the weights
    of the random walk on the log coefficients.
    """

    inner: tuple[float, ...]
    end: float
    location: tuple[float, ...]

    @property
    def step(self) -> np.ndarray:
        """Return the distance between neighbouring coefficients as a share of the follow-up (coefficients - 1,)."""
        return np.diff(self.location) / self.end


class Family:
    """What every family owes: `log_cum_hazard(placed_time, eta, shape, xp=...)` and `log_hazard(...)` per unit of t0.

    `log_hazard` is dH/du with u = t / t0: subtract log t0 for the hazard per time unit. `inverse(log_cum, eta, shape,
    xp=...)` gives log u at a cumulative hazard; a family without a closed form has None there and is solved.
    `event_weighted_log_hr(log_followup, etas, shapes, xp=...)` is the average of log(h_a / h_b) over the events of two
    arms up to a time; a family without a closed form has None there and is integrated. `shapes` names its shape
    parameters, the first of which studies and treatments may differ in.

    A family with a basis has `basis`, which `place` calls. A flexible one stands in the registry without knots;
    `on_knots(inner, end)` gives the one to compute with, whose `knots` are set and whose shapes are the log
    coefficients (relative to a constant hazard and to the first). `background` holds log u of the steps of a known
    hazard that is added to the family's (`modifiers.background`), else None.

    Three kinds: a `FormulaFamily` of plain functions, a `SplineFamily` of a basis, and a `Modifier` that holds another
    family. All are frozen and pickle.
    """

    name: str
    effect: Literal["hazard", "time"]
    shapes: tuple[str, ...]
    log_cum_hazard: Formula
    log_hazard: Formula
    inverse: Formula | None
    event_weighted_log_hr: Formula | None
    basis: Callable[[np.ndarray], np.ndarray] | None
    on_knots: Callable[[tuple[float, ...], float], "Family"] | None
    knots: Knots | None
    cured: bool
    background: tuple[float, ...] | None

    @property
    def flexible(self) -> bool:
        """Return whether the baseline is a sum of basis functions, which needs knots."""
        return self.on_knots is not None

    @property
    def width(self) -> int:
        """Return how many numbers a shape has on its trailing axis."""
        return len(self.shapes) + (len(self.knots.location) if self.knots else 0)

    @property
    def varies(self) -> str | None:
        """Return the shape parameter in which studies and treatments may differ: the first, where there is a form."""
        return self.shapes[0] if self.shapes and not self.flexible and self.shapes[0] != CURED else None

    @property
    def proportional(self) -> bool:
        """Return whether effects on eta alone leave the hazards of two treatments proportional."""
        return self.effect == "hazard" and not self.cured and self.background is None

    @property
    def breaks(self) -> tuple[float, ...]:
        """Return log u at which the hazard is not smooth: integrals over time are split there."""
        bends = () if self.knots is None else tuple(np.log([*self.knots.inner, self.knots.end]))
        return tuple(sorted({*bends, *self.background})) if self.background else bends

    def place(self, log_u: np.ndarray) -> np.ndarray:
        """Return what the formulas need to know of a time; a basis adds a trailing axis."""
        return log_u if self.basis is None else self.basis(np.asarray(log_u, dtype=float))

    def log_hazards(self, placed_time: Any, eta: Any, shape: Any, *, xp: Namespace) -> tuple[Any, Any]:
        """Return log H and log h at the same times; a family that gets both at the cost of one says so here."""
        arguments = (placed_time, eta, shape)
        return self.log_cum_hazard(*arguments, xp=xp), self.log_hazard(*arguments, xp=xp)


@dataclass(frozen=True)
class FormulaFamily(Family):
    """A family of plain functions of log_u = log(t / t0), eta and shape."""

    name: str
    effect: Literal["hazard", "time"]
    shapes: tuple[str, ...]
    log_cum_hazard: Formula
    log_hazard: Formula
    inverse: Formula | None = None
    event_weighted_log_hr: Formula | None = None

    basis = None
    on_knots = None
    knots = None
    cured = False
    background = None


CURED = "logit_cure"
"""The shape parameter that `[hazard] cure = true` adds, as the last."""


def inverse(family: Family, log_cum: Any, eta: Any, shape: Any, *, xp: Namespace) -> Any:
    """Return log u at which log H = log_cum, in closed form or by root finding; inf where H never gets there."""
    if family.inverse is not None:
        return family.inverse(log_cum, eta, shape, xp=xp)
    return xp.solve(family, log_cum, eta, shape)


def eta_at(data: Any, name: str) -> Any:
    """Return the log time `name` of a record of data as the formulas need it: its placed values, or the log time."""
    return getattr(data, placed(name), getattr(data, name))


def placed(name: str) -> str:
    """Return the name of the placed values of the log time `name`."""
    return f"{name}_placed"


def log_cum_from_tails(log_dead: Any, log_alive: Any, *, xp: Namespace) -> Any:
    """Return log(-log S) from log F and log S, accurate at both ends: -log(1 - F) = F + F^2 / 2 + F^3 / 3 + ..."""
    early = log_dead < EARLY
    dead = xp.exp(xp.where(early, log_dead, EARLY))
    # the guarded value keeps the gradient of the branch not taken finite
    late = xp.log(-xp.where(early, -1.0, log_alive))
    return xp.where(early, log_dead + xp.log1p(dead / 2 + dead**2 / 3), late)


def log_dead_at(log_cum: Any, *, xp: Namespace) -> Any:
    """Return log F = log(1 - exp(-H)) at log H, which is at most `LARGEST_LOG_HAZARD`."""
    small = log_cum < LEAST_LOG_HAZARD
    return xp.where(small, log_cum, xp.log1mexp(-xp.where(small, 1.0, xp.exp(log_cum))))


LEAST_LOG_HAZARD = -37.0
"""log H below which 1 - exp(-H) is H to rounding."""
EARLY = -12.0
"""log F below which log(-log S) follows from three terms of its series, with a relative error of F^3 / 4 = 6e-17."""
