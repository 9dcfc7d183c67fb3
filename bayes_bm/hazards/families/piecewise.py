"""Piecewise exponential: the hazard is constant between cut points, and beyond the last one.

The basis functions are the pieces, their integrals the time spent in each (`spline_basis`).
"""

import numpy as np

from bayes_bm.hazards.families.spline_basis import SplineBasis, SplineFamily
from bayes_bm.hazards.family import Knots


def pieces(inner: tuple[float, ...], end: float) -> SplineBasis:
    """Return the pieces between 0, the inner knots and infinity.

    `end`, the end of follow-up, only scales the smoothing prior.
    """
    cuts = np.array(inner, dtype=float)
    edges = np.array([0.0, *inner, end])
    starts, lengths = np.array([0.0, *inner]), np.diff([0.0, *inner, np.inf])

    def functions(u: np.ndarray) -> np.ndarray:
        piece = np.searchsorted(cuts, u, side="left")
        return (np.arange(len(starts)) == piece[..., None]).astype(float)

    def integrals(u: np.ndarray) -> np.ndarray:
        return np.clip(u[..., None] - starts, 0.0, lengths)

    return SplineBasis(Knots(tuple(inner), end, tuple((edges[1:] + edges[:-1]) / 2)), functions, integrals)


PIECEWISE = SplineFamily("piecewise", pieces)
