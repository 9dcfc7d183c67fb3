"""Affine maps of the plane, and the rectangles that they make: (a, b, c, d, e, f) as SVG and PDF write them."""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from bayes_bm.digitizing.scene import Box, Floats

Matrix = tuple[float, float, float, float, float, float]
"""x' = a x + c y + e, y' = b x + d y + f."""

IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_CALL = re.compile(r"(matrix|translate|scale|rotate|skewX|skewY)\s*\(([^()]*)\)")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def numbers(text: str | None) -> list[float]:
    """Return the numbers of a text."""
    return [float(match) for match in _NUMBER.findall(text or "")]


def after(outer: Matrix, inner: Matrix) -> Matrix:
    """Return the map that applies `inner` first."""
    a, b, c, d, e, f = outer
    p, q, r, s, t, u = inner
    return (a * p + c * q, b * p + d * q, a * r + c * s, b * r + d * s, a * t + c * u + e, b * t + d * u + f)


def moved(matrix: Matrix, points: ArrayLike) -> Floats:
    """Return points (points, 2) after the map."""
    a, b, c, d, e, f = matrix
    xy = np.asarray(points, float).reshape(-1, 2)
    return np.column_stack([a * xy[:, 0] + c * xy[:, 1] + e, b * xy[:, 0] + d * xy[:, 1] + f])


def growth(matrix: Matrix) -> float:
    """Return the factor by which the map makes lengths longer, as the geometric mean of all directions."""
    a, b, c, d, *_ = matrix
    return math.sqrt(abs(a * d - b * c))


def transform(text: str | None) -> Matrix:
    """Return the map of an SVG attribute `transform`."""
    matrix = IDENTITY
    for name, arguments in _CALL.findall(text or ""):
        matrix = after(matrix, _single(name, numbers(arguments)))
    return matrix


def _single(name: str, values: Sequence[float]) -> Matrix:
    """Return the map of one call such as rotate(90)."""
    first, second, third = [*values, 0.0, 0.0, 0.0][:3]
    if name == "matrix":
        return tuple(values) if len(values) == 6 else IDENTITY  # type: ignore[return-value]
    if name == "translate":
        return (1.0, 0.0, 0.0, 1.0, first, second)
    if name == "scale":
        return (first, 0.0, 0.0, second if len(values) > 1 else first, 0.0, 0.0)
    if name == "rotate":
        angle = math.radians(first)
        turn = (math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle), 0.0, 0.0)
        return after((1, 0, 0, 1, second, third), after(turn, (1, 0, 0, 1, -second, -third)))
    slant = math.tan(math.radians(first))
    return (1.0, 0.0, slant, 1.0, 0.0, 0.0) if name == "skewX" else (1.0, slant, 0.0, 1.0, 0.0, 0.0)


def bounds(points: Floats) -> Box:
    """Return the box of points (points, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def overlap(first: Box | None, second: Box | None) -> Box | None:
    """Return what two clip boxes leave; None is the whole plane. A box without inside has no width or height."""
    if first is None or second is None:
        return second if first is None else first
    left, top = max(first.left, second.left), max(first.top, second.top)
    return Box(left, top, max(left, min(first.right, second.right)), max(top, min(first.bottom, second.bottom)))
