"""An arm whose clock is unknown: a family read on the arm's printed clock (docs/decisions.md#13-bias).

Printed time t is t + d on the model's clock, and everybody of the arm lived to e:

    H of the arm(t) = H(max(t, e) + d) - H(e + d),      its hazard h(t + d) after e

so that its survival is S(t + d) / S(d), or S(t) / S(e). e and d, as shares of t0, are the last two numbers of the
shape: printed times stay data, and what the likelihoods, simulators and checks know of a family holds of the arm.
"""

from dataclasses import replace

from bayes_bm.hazards.family import Family, inverse
from bayes_bm.hazards.numerics.numpy_namespace import Namespace

CLOCKS = ("immortal_time", "clock_shift")
"""Unknown times of an arm's clock, in the order of the shape's last numbers: e, then d."""
NEVER = -1e4
"""log of a time, a cumulative hazard or a hazard that is zero: finite, because -inf has no gradient."""


def clocked(family: Family) -> Family:
    """The family of arms with clocks; a basis is placed outside the sampler and cannot follow one."""
    if family.basis is not None:
        raise TypeError(f"{family.name} places its times outside the sampler")

    def parts(log_u, shape, *, xp: Namespace):
        """Time on the arm's clock, e, d and the family's own shape."""
        return xp.exp(log_u), shape[..., :-1][..., -1], shape[..., -1], shape[..., :-1][..., :-1]

    def log_or_never(time, *, xp: Namespace):
        # the guarded value keeps the gradient of the branch not taken finite
        return xp.where(time > 0, xp.log(xp.where(time > 0, time, 1.0)), NEVER)

    def log_cum_hazard(log_u, eta, shape, *, xp: Namespace):
        time, lived, shift, own = parts(log_u, shape, xp=xp)
        after = time > lived
        until = log_or_never(xp.where(after, time, lived) + shift, xp=xp)
        whole = family.log_cum_hazard(until, eta, own, xp=xp)
        before = family.log_cum_hazard(log_or_never(lived + shift, xp=xp), eta, own, xp=xp)
        apart = before - whole
        inside = after & (apart < 0)
        return xp.where(inside, whole + xp.log1mexp(xp.where(inside, apart, -1.0)), NEVER)

    def log_hazard(log_u, eta, shape, *, xp: Namespace):
        time, lived, shift, own = parts(log_u, shape, xp=xp)
        found = family.log_hazard(log_or_never(time + shift, xp=xp), eta, own, xp=xp)
        return xp.where(time > lived, found, NEVER)

    def back(log_cum, eta, shape, *, xp: Namespace):
        _, lived, shift, own = parts(log_cum, shape, xp=xp)
        before = family.log_cum_hazard(log_or_never(lived + shift, xp=xp), eta, own, xp=xp)
        log_v = inverse(family, xp.logaddexp(log_cum, before), eta, own, xp=xp)
        return log_or_never(xp.exp(log_v) - shift, xp=xp)

    shapes = (*family.shapes, *CLOCKS)
    return replace(family, shapes=shapes, log_cum_hazard=log_cum_hazard, log_hazard=log_hazard, inverse=back)
