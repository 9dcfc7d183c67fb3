"""M-spline: the hazard is a cubic spline with positive coefficients; constant after the last knot.

With B_k the cubic B-splines on [0, end] (they sum to one) the basis functions are B_k and their integrals, which are
M-splines and I-splines up to each function's scale (Ramsay 1988): equal coefficients are a constant hazard. A
coefficient speaks about the hazard around its Greville abscissa, the mean of its three inner knots, and the first and
last are the hazard at 0 and at `end`.
"""

import numpy as np

from bayes_bm.hazards.families.spline_basis import SplineBasis, SplineFamily
from bayes_bm.hazards.family import Knots

DEGREE = 3
"""Of the splines: cubic."""


def splines(inner: tuple[float, ...], end: float) -> SplineBasis:
    """Return the M-splines on these knots and their integrals; beyond `end` the hazard is constant."""
    from scipy.interpolate import BSpline

    knots = np.array([*[0.0] * (DEGREE + 1), *inner, *[end] * (DEGREE + 1)])
    size = len(knots) - DEGREE - 1
    spline = BSpline(knots, np.eye(size), DEGREE)
    integral = spline.antiderivative()
    greville = [knots[k + 1 : k + DEGREE + 1].mean() for k in range(size)]
    at_end = spline(end)

    def functions(u: np.ndarray) -> np.ndarray:
        return spline(np.minimum(u, end))

    def integrals(u: np.ndarray) -> np.ndarray:
        return integral(np.minimum(u, end)) + np.maximum(u - end, 0.0)[..., None] * at_end

    return SplineBasis(Knots(tuple(inner), end, tuple(float(value) for value in greville)), functions, integrals)


MSPLINE = SplineFamily("mspline", splines)
