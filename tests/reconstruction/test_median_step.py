"""The death that crosses 0.5 stands at the middle of the medians of all states, a step away at most."""

import numpy as np
import pytest

from bayes_bm.reconstruction.clicked.median_step import crossing_death, place_median_step
from bayes_bm.reconstruction.clicked.staircase import CENSORED, DEATH, Arm

TIME = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def arm_of(edges: list[float], start: list[int]) -> Arm:
    interval = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return Arm(interval, np.array(start), np.array(edges), *np.zeros((3, 1)), np.zeros(1, bool), False, False, 1.0, 0.1)


WHOLE = arm_of([0.0, 1.0], [0, 6])
SPLIT = arm_of([0.0, 0.32, 1.0], [0, 3, 6])
"""Three patients leave before 0.32, where a number at risk is printed."""


@pytest.mark.parametrize(
    "kinds, place",
    [
        ([DEATH] * 6, 2),  # 3 of 6
        ([CENSORED, *[DEATH] * 5], 3),  # 1 - 3/5 = 0.4
        ([DEATH, CENSORED, CENSORED, DEATH, DEATH, DEATH], 4),  # 5/6 * 2/3 = 0.56, then 0.28
        ([DEATH, *[CENSORED] * 5], -1),
    ],
)
def test_the_crossing_death_is_kaplan_and_meiers(kinds, place):
    assert crossing_death(np.array(kinds)) == place


@pytest.mark.parametrize(
    "arm, medians, expected",
    [
        (WHOLE, [0.3, 0.34, 0.36], 0.34),
        (WHOLE, [0.26, 0.26, 0.31], 0.26),
        (WHOLE, [0.9, 0.9, 0.9], 0.4),  # no farther than to the next death
        (WHOLE, [0.05, 0.05, 0.9], 0.2),
        (SPLIT, [0.36, 0.36, 0.36], 0.32),  # the number at risk holds
        (WHOLE, [0.3, np.inf, np.inf], 0.3),  # most states do not reach it
    ],
)
def test_it_moves_to_the_middle_of_the_medians_within_its_bounds(arm, medians, expected):
    times = np.array([np.where(np.arange(6) == 2, m if np.isfinite(m) else 0.3, TIME) for m in medians])
    kinds = np.array([[DEATH] * 6 if np.isfinite(m) else [CENSORED] * 6 for m in medians])
    moved = place_median_step(arm, TIME, np.full(6, DEATH), times, kinds)
    assert moved[2] == pytest.approx(expected)
    np.testing.assert_array_equal(np.delete(moved, 2), np.delete(TIME, 2))
    assert (moved < arm.edges[1]).sum() == (arm.edges[1] > TIME).sum()
