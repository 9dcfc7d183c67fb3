"""How high the drop of one patient is: survival divided by the number at risk, from printed numbers and censor marks.

A death takes S / r off the Kaplan-Meier curve and leaves S / r as it is, (S - S / r) / (r - 1); only censoring raises
it, to S / (r - 1). So between two censored patients all drops are whole multiples of one height.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.figure import ArmLine, RiskRow
from bayes_bm.digitizing.raster.ink import Array


@dataclass(frozen=True, slots=True, eq=False)
class PatientHeight:
    """Hold the survival that one death takes: `height` (times,) at `times` (times,), straight lines between."""

    times: Array
    height: Array

    def at_times(self, times: Array) -> Array:
        """Return the height (the shape of `times`) of one patient at times."""
        return np.interp(times, self.times, self.height)

    def at_least(self, times: Array) -> Array:
        """Return the height (the shape of `times`) below which no patient's is: that of the last time that is known."""
        return self.height[np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, None)]


def patient_height(arm: ArmLine, rows: Sequence[RiskRow], number: int | None) -> PatientHeight | None:
    """Return the height of one patient along an arm; None where no number at risk is known.

    Parameters
    ----------
    arm
        The curve.
    rows
        Numbers at risk of this arm, and no others.
    number
        Patients at time 0, where a name prints them.
    """
    times = np.concatenate([row.times[row.counts > 0] for row in rows]) if rows else np.zeros(0)
    counts = np.concatenate([row.counts[row.counts > 0] for row in rows]) if rows else np.zeros(0)
    if len(times) == 0:
        if number is None or number < 1:
            return None
        return _by_marks(arm, number)
    order = np.argsort(times)
    times, counts = times[order], counts[order]
    place = np.clip(np.searchsorted(arm.time, times, side="left") - 1, 0, None)
    level = np.where(times <= arm.time[0], 1.0, arm.survival[place])
    return PatientHeight(times, np.maximum.accumulate(level / counts))


def _by_marks(arm: ArmLine, number: int) -> PatientHeight:
    """The height that rises at each censor mark that was read: marks that were not leave it too low, never too high."""
    marks = np.unique(arm.marks) if arm.marks is not None else np.zeros(0)
    place = np.clip(np.searchsorted(arm.time, marks, side="right") - 1, 0, None)
    heights = [1.0 / number]
    for level in arm.survival[place].tolist():
        rest = level / heights[-1] - 1.0
        heights.append(level / rest if rest > 1.0 else heights[-1])
    return PatientHeight(np.concatenate([[0.0], marks]), np.array(heights))
