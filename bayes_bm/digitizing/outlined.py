"""Lines that a program turned into filled outlines: their middle line and width are found again."""

import itertools
from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.scene import Floats


@dataclass(frozen=True, slots=True, eq=False)
class CentreLine:
    """Hold the middle of a filled line.

    Attributes
    ----------
    points
        Floats (points, 2): corners.
    width
        Of the line.
    rounding
        Largest disagreement of its two sides.
    """

    points: Floats
    width: float
    rounding: float


def centre_line(outline: Floats, tolerance: float) -> CentreLine | None:
    """Return the middle line of a closed outline of a step line; None where the outline is something else.

    One side of the outline is the line moved up and to the right by half its width, the other down and to the left.
    Both are read, moved back and compared.
    """
    points = _without_repeats(outline, tolerance)
    if len(points) < 6:
        return None
    ends = _ends(points)
    if ends is None:
        return None
    upper, lower = (_axis_parallel(side, tolerance) for side in ends)
    if upper is None or lower is None or len(upper) < 2 or len(lower) < 2:
        return None
    width = _width(upper, lower)
    if width is None:
        return None
    half = width / 2
    first, second = upper + np.array([-half, half]), lower + np.array([half, -half])
    if first.shape != second.shape:
        return None
    first[[0, -1], 0] = second[[0, -1], 0] = [min(first[0, 0], second[0, 0]), max(first[-1, 0], second[-1, 0])]
    gap = float(np.abs(first - second)[1:-1].max()) if len(first) > 2 else 0.0
    if gap > max(0.2 * width, 4 * tolerance):
        return None
    return CentreLine(_squared((first + second) / 2), width, gap)


def _without_repeats(points: Floats, tolerance: float) -> Floats:
    """Return points without those that repeat the one before."""
    if np.abs(points[0] - points[-1]).max() <= tolerance * 0.1:
        points = points[:-1]
    keep = np.concatenate([[True], np.abs(np.diff(points, axis=0)).max(axis=1) > tolerance * 0.01])
    return points[keep]


def _ends(points: Floats) -> tuple[Floats, Floats] | None:
    """Return the two sides of an outline, each from left to right, the upper first."""
    left = int(np.lexsort((points[:, 1], points[:, 0]))[0])
    points = np.roll(points, -left, axis=0)
    right = int(np.argmax(points[:, 0] + 1e-6 * points[:, 1]))
    if right in (0, len(points) - 1):
        return None
    one, two = points[: right + 1], np.concatenate([points[right:], points[:1]])[::-1]
    middle = (points[:, 0].min() + points[:, 0].max()) / 2
    heights = [float(np.interp(middle, side[:, 0], side[:, 1])) for side in (one, two)]
    return (one, two) if heights[0] < heights[1] else (two, one)


def _axis_parallel(side: Floats, tolerance: float) -> Floats | None:
    """Return the corners where the level and the upright pieces of a side meet; round joins between them go."""
    places: list[tuple[str, float, float, float]] = []
    for start, end in itertools.pairwise(side):
        width, height = abs(end - start)
        if height <= tolerance < width:
            places.append(("level", (start[1] + end[1]) / 2, start[0], end[0]))
        elif width <= tolerance < height:
            places.append(("upright", (start[0] + end[0]) / 2, start[1], end[1]))
    merged = [place for index, place in enumerate(places) if index == 0 or places[index - 1][0] != place[0]]
    while merged and merged[0][0] == "upright":
        merged.pop(0)
    while merged and merged[-1][0] == "upright":
        merged.pop()
    if not merged:
        return None
    corners = [(merged[0][2], merged[0][1])]
    for first, second in itertools.pairwise(merged):
        corners.append((second[1], first[1]) if second[0] == "upright" else (first[1], second[1]))
    corners.append((merged[-1][3], merged[-1][1]))
    return np.array(corners)


def _width(upper: Floats, lower: Floats) -> float | None:
    """Return the width of the line: how far its first levels lie apart; None where sides do not lie so throughout."""
    if upper.shape != lower.shape:
        return None
    apart = lower[:, 1] - upper[:, 1]
    width = float(np.median(apart))
    return width if width > 0 and np.abs(apart - width).max() < 0.3 * width else None


def _squared(points: Floats) -> Floats:
    """Return points whose neighbours share x or y exactly."""
    squared = points.copy()
    for index in range(1, len(points)):
        width, height = np.abs(points[index] - points[index - 1])
        if width < height:
            squared[index, 0] = squared[index - 1, 0]
        else:
            squared[index, 1] = squared[index - 1, 1]
    return squared
