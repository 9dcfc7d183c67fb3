"""Background mortality under any family: h = h0 + hb, H = H0 + Hb (relative survival; additive hazards).

hb is known: the mortality of the population that the patients come from, constant from each start to the next and
after the last. The family below models the excess, and effects act on it alone, so the hazards of two treatments are
no longer proportional, and with a cured share the cured die of the background only. As in survextrap (Jackson 2023, doi
10.1186/s12874-023-02094-1, `backhaz`) and in Nelson et al. 2007 (doi 10.1002/sim.3064).

The two logarithms of the background stand behind what the family below knows of a time.
"""

from dataclasses import replace

import numpy as np

from bayes_bm.hazards.family import Family
from bayes_bm.hazards.numerics.numpy_namespace import Namespace

NEVER = -1e4
"""log of a hazard of zero: finite, because -inf has no gradient; exp of it is 0 all the same."""
LARGEST = 700.0


def with_background(family: Family, start: np.ndarray, rate: np.ndarray) -> Family:
    """The family with a background hazard: `rate` per t0 from each `start`, t / t0, the first of them 0."""
    before = np.concatenate([[0.0], np.cumsum(rate[:-1] * np.diff(start))])

    def place(log_u: np.ndarray) -> np.ndarray:
        own = family.place(log_u)
        u = np.exp(np.minimum(log_u, LARGEST))
        piece = np.searchsorted(start, u, side="right") - 1
        known = (before[piece] + rate[piece] * (u - start[piece]), rate[piece] + 0 * u)
        with np.errstate(divide="ignore"):
            logs = [np.maximum(np.log(value), NEVER)[..., None] for value in known]
        return np.concatenate([own[..., None] if family.basis is None else own, *logs], axis=-1)

    def own(at):
        return at[..., 0] if family.basis is None else at[..., :-2]

    def log_cum_hazard(at, eta, shape, *, xp: Namespace):
        return xp.logaddexp(family.log_cum_hazard(own(at), eta, shape, xp=xp), at[..., -2])

    def log_hazard(at, eta, shape, *, xp: Namespace):
        return xp.logaddexp(family.log_hazard(own(at), eta, shape, xp=xp), at[..., -1])

    steps = tuple(float(value) for value in np.log(start[1:]))
    return replace(
        family, log_cum_hazard=log_cum_hazard, log_hazard=log_hazard, inverse=None, basis=place, background=steps
    )
