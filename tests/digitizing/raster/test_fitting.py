"""The joint fit against ink drawn point by point: all that lies within half a width of a step line."""

import numpy as np
import pytest

from bayes_bm.digitizing.raster.cutting import Samples
from bayes_bm.digitizing.raster.fitting import StepCost, refine

HALF, ROWS, COLUMNS, FINE = 3.0, 60, 90, 8
COST = StepCost(0.12, 16.0, np.full(COLUMNS, 0.4))


def _samples(places, levels, *, square=False):
    """Edges of the ink of a step line, each the sum of a column's coverage from the line's middle outwards."""
    x = (np.arange(COLUMNS * FINE) + 0.5) / FINE
    y = ((np.arange(ROWS * FINE) + 0.5) / FINE)[:, None]
    bounds = [-20.0, *places, COLUMNS + 20.0]
    ink = np.zeros((ROWS * FINE, COLUMNS * FINE), bool)
    boxes = [(bounds[k], bounds[k + 1], level, level) for k, level in enumerate(levels)]
    boxes += [(place, place, levels[k], levels[k + 1]) for k, place in enumerate(places)]
    for left, right, top, bottom in boxes:
        across, down = np.maximum(np.maximum(left - x, x - right), 0), np.maximum(np.maximum(top - y, y - bottom), 0)
        ink |= (np.maximum(across, down) if square else np.hypot(across, down)) <= HALF
    coverage = ink.reshape(ROWS, FINE, COLUMNS, FINE).mean(axis=(1, 3))
    middles = np.arange(COLUMNS) + 0.5
    row = np.array(levels)[np.searchsorted(places, middles, side="right")].astype(int)
    index = np.arange(ROWS)[:, None]
    upper = row + 1 - np.where(index <= row, coverage, 0).sum(axis=0)
    lower = row + np.where(index >= row, coverage, 0).sum(axis=0)
    order = np.argsort(np.r_[middles - HALF, middles + HALF], kind="stable")
    return Samples(
        np.r_[middles - HALF, middles + HALF][order],
        np.r_[upper + HALF, lower - HALF][order],
        np.ones(2 * COLUMNS),
        np.repeat([-1, 1], COLUMNS)[order],
        HALF,
    )


@pytest.mark.parametrize("square", [False, True])
def test_two_drops_closer_than_the_pen_is_wide_are_split(square):
    samples = _samples([40.0, 43.5], [12.0, 16.0, 21.5], square=square)
    places, levels = refine(samples, np.array([41.5]), np.array([12.0, 21.5]), COST)
    np.testing.assert_allclose(places, [40.0, 43.5], atol=1.0)
    np.testing.assert_allclose(levels, [12.0, 16.0, 21.5], atol=0.2)


def test_the_round_corner_of_a_drop_is_no_step():
    samples = _samples([40.0], [12.0, 22.0])
    places, levels = refine(samples, np.array([39.0, 41.2]), np.array([12.0, 20.5, 22.0]), COST)
    np.testing.assert_allclose(places, [40.0], atol=0.5)
    np.testing.assert_allclose(levels, [12.0, 22.0], atol=0.06)


def test_a_low_drop_is_put_in_and_a_step_of_nothing_taken_out():
    samples = _samples([30.25, 60.0], [12.0, 13.0, 25.0])
    places, levels = refine(samples, np.array([59.0, 75.0]), np.array([12.5, 24.5, 25.4]), COST)
    np.testing.assert_allclose(places, [30.25, 60.0], atol=0.75)
    np.testing.assert_allclose(levels, [12.0, 13.0, 25.0], atol=0.06)
