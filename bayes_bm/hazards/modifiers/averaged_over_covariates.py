"""An arm whose patients differ: S = mean of exp(-H(t | x_m)) over integration points x_m, f the mean of the densities.

A point adds to eta, so the points of a row stand on the trailing axis of the shape, behind the family's own: what the
likelihoods and the answers know of a family holds of an arm as well. Only the mean over patients is taken: a log mean
of hazards would be another model.
"""

from dataclasses import replace

from bayes_bm.hazards.family import Family
from bayes_bm.hazards.numerics.numpy_namespace import Namespace

SMALL, LARGEST = -30.0, 700.0


def averaged(family: Family, points: int, *, weighted: bool = False) -> Family:
    """The family of an arm; `shape[..., width:]` is what each point adds to eta (..., point).

    With `weighted`, of one patient whose covariates are partly known: their log weights, which sum to one, follow.
    """
    width = family.width

    def spread(at, eta, shape):
        """The three arguments with a trailing axis of points."""
        placed = at[..., None] if family.basis is None else at[..., None, :]
        return placed, eta[..., None] + shape[..., width:][..., :points], shape[..., None, :width]

    def mean(values, shape, *, xp: Namespace):
        if weighted:
            return xp.sum(values * xp.exp(shape[..., width:][..., points:]))
        return xp.sum(values) / points

    def survivors(of_points, shape, *, xp: Namespace):
        """log mean of H, -log mean of S, and what each point's H is above the least."""
        log_cum = family.log_cum_hazard(*of_points, xp=xp)
        top = xp.minimum(xp.max(log_cum), LARGEST)
        relative = xp.exp(xp.minimum(log_cum - top, 0.0))
        total = xp.exp(top) * relative
        least = -xp.max(-total)
        above = total - least
        # exact also where all are small: no difference from 1 is taken
        used = least[..., 0] - xp.log1p(mean(xp.expm1(-above), shape, xp=xp))
        return top[..., 0] + xp.log(mean(relative, shape, xp=xp)), used, above

    def log_cum_hazard(at, eta, shape, *, xp: Namespace):
        log_mean, used, _ = survivors(spread(at, eta, shape), shape, xp=xp)
        small = log_mean < SMALL
        # the guarded value keeps the gradient of the branch not taken finite
        return xp.where(small, log_mean, xp.log(xp.where(small, 1.0, used)))

    def log_hazard(at, eta, shape, *, xp: Namespace):
        of_points = spread(at, eta, shape)
        _, _, above = survivors(of_points, shape, xp=xp)
        # survivors of the least hazard weigh most: log(mean h S / mean S)
        log_density = family.log_hazard(*of_points, xp=xp) - above
        top = xp.max(log_density)
        return (
            top[..., 0]
            + xp.log(mean(xp.exp(log_density - top), shape, xp=xp))
            - xp.log1p(mean(xp.expm1(-above), shape, xp=xp))
        )

    def proportional(at, eta, shape, *, xp: Namespace):
        log_cum = family.log_cum_hazard(at, eta, shape[..., :width], xp=xp)
        return xp.mixture(log_cum, shape[..., width:])[:2]

    def log_cum_proportional(at, eta, shape, *, xp: Namespace):
        return proportional(at, eta, shape, xp=xp)[0]

    def log_hazard_proportional(at, eta, shape, *, xp: Namespace):
        tilt = proportional(at, eta, shape, xp=xp)[1]
        return family.log_hazard(at, eta, shape[..., :width], xp=xp) + tilt

    behind = [f"point {at + 1}" for at in range(points)] + [f"weight {at + 1}" for at in range(points * weighted)]
    shapes = (*family.shapes, *behind)
    # a point multiplies a proportional hazard: the same means in fewer passes
    short = family.proportional and not weighted
    formulas = (log_cum_proportional, log_hazard_proportional) if short else (log_cum_hazard, log_hazard)
    return replace(family, shapes=shapes, log_cum_hazard=formulas[0], log_hazard=formulas[1], inverse=None)
