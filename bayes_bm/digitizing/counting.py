"""Do the censor marks that were read account for the censoring that curve and numbers at risk imply?

Marks of a picture are read with gaps where they are dense. `reconstruct` takes ticks for all there are, so marks that
are too few would turn censored patients into deaths: such marks are written, but the manifest does not name them.
"""

import numpy as np

from bayes_bm.digitizing.figure import ArmLine, FigureReading, Finding, RiskRow

ENOUGH = 0.8
"""Share of the implied censoring, less one patient, that marks must show; patients may share a mark."""


def least_censored(row: RiskRow, arm: ArmLine) -> float:
    """Return the fewest patients that were censored between the first and the last number at risk of a row.

    Of r at risk at most r (1 - q) die until the survivors' share has fallen to q; whoever else is gone was censored.
    """
    read = row.counts >= 0
    times, counts = row.times[read], row.counts[read]
    place = np.clip(np.searchsorted(arm.time, times, side="left") - 1, 0, None)
    level = np.where(times <= arm.time[0], 1.0, arm.survival[place])
    ratio = np.divide(level[1:], level[:-1], out=np.ones(max(len(level) - 1, 0)), where=level[:-1] > 0)
    return float(np.maximum(counts[:-1] * ratio - counts[1:], 0.0).sum())


def confirmed_marks(reading: FigureReading, place: int) -> bool:
    """Return whether an arm's marks may go on: those of a file are as exact as it, those of a picture need a table."""
    arm = reading.arms[place]
    if arm.marks is None or not reading.pixels:
        return arm.marks is not None
    rows = [row for row in reading.rows if row.kind == "at_risk" and row.arm == place and (row.counts >= 0).sum() > 1]
    return bool(rows) and len(np.unique(arm.marks)) >= ENOUGH * least_censored(rows[0], arm) - 1


def marks_findings(reading: FigureReading) -> list[Finding]:
    """Return the notes that marks of a picture are not handed on."""
    found: list[Finding] = []
    for place, arm in enumerate(reading.arms):
        if arm.marks is not None and len(arm.marks) and not confirmed_marks(reading, place):
            count = len(np.unique(arm.marks))
            words = f"{count} censor marks of {arm.name} were read, and no numbers at risk say that these are all"
            words += ": curves.csv does not hand them on."
            found.append(Finding("marks_left_out", "note", words, "", place))
    return found
