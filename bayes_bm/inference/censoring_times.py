"""When a replicated patient would have been lost: from the arm's own censoring."""

import numpy as np

from bayes_bm.hazards.nonparametric import kaplan_meier


def censoring_times(time: np.ndarray, event: np.ndarray, rng: np.random.Generator, replicates: int) -> np.ndarray:
    """Return censoring times (replicate, patient): a patient's own where it is known, else drawn beyond the event.

    They are drawn from the reverse Kaplan-Meier estimate of the arm; what it leaves undecided is censored at the end of
    follow-up.
    """
    end = time.max()
    if (event == 1).all():
        return np.full((replicates, len(time)), np.inf)
    censoring_curve = kaplan_meier(time, 1 - event)
    passed = 1 - censoring_curve(time)
    share = passed + rng.random((replicates, len(time))) * (1 - passed)
    place = np.searchsorted(1 - censoring_curve.survival, share, side="left")
    drawn = np.concatenate([censoring_curve.time, [end]])[place]
    return np.where(event == 1, drawn, time)
