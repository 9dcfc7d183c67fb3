"""The step that crosses 0.5: its place is the middle of the medians of all states.

The middle of many sets of patients takes each time as a median of quantiles. Its own median is then the time of
whichever step happens to cross 0.5, a step early or late where the curve is level there; the medians of the states say
which step it is.
"""

import numpy as np

from bayes_bm.reconstruction.clicked.staircase import DEATH, Arm, levels
from bayes_bm.reconstruction.curve import SAME, Floats, Ints

HALF = 0.5
"""Survival at the median."""


def place_median_step(arm: Arm, time: Floats, kind: Ints, states_time: Floats, states_kind: Ints) -> Floats:
    """Return the times (n,) with the death that crosses 0.5 at the median of the states' medians.

    It moves no farther than to the deaths beside it and stays in its interval of the at-risk table, so survival changes
    by one step at most.
    """
    crossing = crossing_death(kind)
    medians = [_median(t, k) for t, k in zip(states_time, states_kind, strict=True)]
    goal = float(np.median(medians))
    if crossing < 0 or not np.isfinite(goal):
        return time
    died = time[kind == DEATH]
    place = int((kind[:crossing] == DEATH).sum())
    interval = arm.interval[crossing]
    low = max(died[place - 1] if place else 0.0, arm.edges[interval])
    high = min(died[place + 1] if place + 1 < len(died) else died[place], np.nextafter(arm.edges[interval + 1], 0))
    moved = time.copy()
    moved[crossing] = min(max(goal, low), max(high, low))
    return moved


def crossing_death(kind: Ints) -> int:
    """Return the place of the first death after which survival is 0.5 or less, -1 where there is none."""
    survival = np.empty(len(kind))
    levels(kind, survival, 0, len(kind))
    lower = np.flatnonzero(survival <= HALF + SAME)
    return int(lower[0]) if len(lower) else -1


def _median(time: Floats, kind: Ints) -> float:
    """Return the median survival of one state, infinite where it is not reached."""
    crossing = crossing_death(kind)
    return float(time[crossing]) if crossing >= 0 else np.inf
