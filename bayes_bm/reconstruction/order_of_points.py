"""Points of a curve put in order: turned round, sorted where that shows the steps, copies counted once."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bayes_bm.reconstruction.bounds import shows_steps
from bayes_bm.reconstruction.curve import Curve, is_drawn

FEWEST_COPIES = 3
"""Points that are copies of earlier ones, from which on a block was pasted twice: two coincide by chance."""
SHARE_OF_COPIES = 0.05
"""Share of the points from which on copies are no chance of rounding."""


def put_in_order(curve: Curve) -> tuple[Curve, list[str]]:
    """Return the curve with its points in order of the line, and a line for each change that was made."""
    changes: list[str] = []
    for step in (_turn_round, _sort_corners, _count_copies_once):
        curve = step(curve, changes.append)
    return curve, changes


def _take(curve: Curve, rows: NDArray) -> Curve:
    """Return the curve with these of its points, in this order."""
    return replace(curve, time=curve.time[rows], survival=curve.survival[rows])


def _turn_round(curve: Curve, log: Callable[[str], None]) -> Curve:
    """Turn points round that go from right to left."""
    steps = np.diff(curve.time)
    if (steps > 0).any() or not (steps < 0).any():
        return curve
    log("points were given from right to left: turned round")
    return _take(curve, np.arange(len(curve.time))[::-1])


def _sort_corners(curve: Curve, log: Callable[[str], None]) -> Curve:
    """Sort points that go back in time, if sorted they are the steps of a drawn curve; clicks need no order."""
    if (np.diff(curve.time) >= 0).all():
        return curve
    ordered = _take(curve, np.lexsort((-curve.survival, curve.time)))
    if not shows_steps(ordered):
        return curve
    log("points went back in time: sorted by time, they are the corners of steps")
    return ordered


def _count_copies_once(curve: Curve, log: Callable[[str], None]) -> Curve:
    """Leave out clicks that are copies of earlier ones: a block pasted twice would count twice as evidence."""
    if is_drawn(curve):
        return curve
    points = np.column_stack([curve.time, curve.survival])
    first = np.sort(np.unique(points, axis=0, return_index=True)[1])
    copies = len(points) - len(first)
    if copies < max(FEWEST_COPIES, SHARE_OF_COPIES * len(points)):
        return curve
    log(f"{copies} points are copies of others: counted once")
    return _take(curve, first)
