"""An arm whose clock is unknown: a family read on the arm's printed clock (docs/decisions.md#13-bias).

Printed time t is t + d on the model's clock, and everybody of the arm lived to e:

    H of the arm(t) = H(max(t, e) + d) - H(e + d),      its hazard h(t + d) after e

so that its survival is S(t + d) / S(d), or S(t) / S(e). e and d, as shares of t0, are the last two numbers of the
shape: printed times stay data, and what the likelihoods, simulators and checks know of a family holds of the arm.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.modifiers.modifier import Modifier
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor

CLOCKS = ("immortal_time", "clock_shift")
"""Unknown times of an arm's clock, in the order of the shape's last numbers: e, then d."""
NEVER = -1e4
"""log of a time, a cumulative hazard or a hazard that is zero: finite, because -inf has no gradient."""


class _Clock(NamedTuple):
    """The immortal time e, the shift d, and the family's own shape."""

    immortal: Any
    shift: Any
    shape: Any


@dataclass(frozen=True)
class UnknownClock(Modifier):
    """The family of arms with clocks; a basis is placed outside the sampler and cannot follow one."""

    def __post_init__(self) -> None:
        if self.base.basis is not None:
            raise TypeError(f"{self.base.name} places its times outside the sampler")

    @property
    def shapes(self) -> tuple[str, ...]:
        return (*self.base.shapes, *CLOCKS)

    def log_cum_hazard(self, log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        time, clock = xp.exp(log_u), _clock(shape)
        reached = time > clock.immortal
        end = _log_or_never(xp.where(reached, time, clock.immortal) + clock.shift, xp=xp)
        start = _log_or_never(clock.immortal + clock.shift, xp=xp)
        whole = self.base.log_cum_hazard(end, eta, clock.shape, xp=xp)
        apart = self.base.log_cum_hazard(start, eta, clock.shape, xp=xp) - whole
        has_run = reached & (apart < 0)
        return xp.where(has_run, whole + xp.log1mexp(xp.where(has_run, apart, -1.0)), NEVER)

    def log_hazard(self, log_u: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        time, clock = xp.exp(log_u), _clock(shape)
        shifted = _log_or_never(time + clock.shift, xp=xp)
        return xp.where(time > clock.immortal, self.base.log_hazard(shifted, eta, clock.shape, xp=xp), NEVER)

    def inverse(self, log_cum: Tensor, eta: Tensor, shape: Tensor, *, xp: Namespace) -> Tensor:
        clock = _clock(shape)
        start = _log_or_never(clock.immortal + clock.shift, xp=xp)
        entered = self.base.log_cum_hazard(start, eta, clock.shape, xp=xp)
        log_shifted = inverse(self.base, xp.logaddexp(log_cum, entered), eta, clock.shape, xp=xp)
        return _log_or_never(xp.exp(log_shifted) - clock.shift, xp=xp)


def _clock(shape: Any) -> _Clock:
    return _Clock(shape[..., :-1][..., -1], shape[..., -1], shape[..., :-1][..., :-1])


def _log_or_never(time: Any, *, xp: Namespace) -> Any:
    # the guarded value keeps the gradient of the branch not taken finite
    return xp.where(time > 0, xp.log(xp.where(time > 0, time, 1.0)), NEVER)
