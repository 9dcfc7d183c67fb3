"""The last deaths of a clicked curve: after the last drop that is seen nobody dies unless clicks or numbers say so.

Few are at risk at the end, so that one death more or less there moves the curve by a tenth or by half. The middle of
many sets of patients does not weigh that; here the clicks do, for the last deaths alone.
"""

import numpy as np

from bayes_bm.reconstruction.clicked.staircase import CENSORED, DEATH, Arm, State, log_clicks, new_state
from bayes_bm.reconstruction.curve import Floats, Ints

GAIN = 1.0
"""Log density of the clicks that a change of the last deaths must gain: less is chance."""


def settle_last_deaths(arm: Arm, time: Floats, kind: Ints, click_error: float) -> Ints:
    """Return kinds (n,) of patients at sorted `time` (n,): the last deaths stay only where clicks or numbers want them.

    The last death becomes a censoring, or where a total is printed it exchanges with a censoring before it, as long as
    the clicks gain by it.
    """
    kind = kind.copy()
    state = new_state(arm, time, kind, click_error)
    value = log_clicks(arm, state)
    for _ in range(int((kind == DEATH).sum())):
        trials = _without_last_death(arm, kind)
        values = [_value(arm, state, trial) for trial in trials]
        if not trials or max(values) < value + GAIN:
            break
        value, kind = max(values), trials[int(np.argmax(values))]
    return kind


def _value(arm: Arm, state: State, kind: Ints) -> float:
    """Return the log density of the clicks with these kinds."""
    state.kind[:] = kind
    return log_clicks(arm, state)


def _without_last_death(arm: Arm, kind: Ints) -> list[Ints]:
    """Return all kinds in which the last death of the open interval is censored, or has gone before."""
    first = int(arm.start[-2])
    deaths = first + np.flatnonzero(kind[first:] == DEATH)
    if not len(deaths):
        return []
    last = int(deaths[-1])
    fewer = kind.copy()
    fewer[last] = CENSORED
    earlier = first + np.flatnonzero(kind[first:last] != DEATH)
    exchanged = []
    for place in earlier.tolist():
        trial = fewer.copy()
        trial[place] = DEATH
        exchanged.append(trial)
    return exchanged if arm.fixed_total else [fewer, *exchanged]
