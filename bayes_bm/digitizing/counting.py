"""Do the censor marks that were read account for the censoring that curve and numbers at risk imply?

Marks of a picture are read with gaps where they are dense. `reconstruct` takes ticks for all there are, so marks that
are too few would turn censored patients into deaths: such marks are written, but the manifest does not name them. Nor
does it name marks that are more than the patients who left: ink of something else was taken for them.
"""

import numpy as np

from bayes_bm.digitizing.figure import ArmLine, FigureReading, Finding, RiskRow
from bayes_bm.runtime.types import Array

ENOUGH = 0.8
"""Share of the implied censoring, less one patient, that marks must show; patients may share a mark."""
MISREAD = 0.02
"""Share of those at risk, and one patient more, by which marks between two printed numbers may be too many: a mark
beside a tick counts on its wrong side, and the curve errs by a part of a pixel."""


def least_censored(row: RiskRow, arm: ArmLine) -> float:
    """Return the fewest patients that were censored between the first and the last number at risk of a row.

    Of r at risk at most r (1 - q) die until the survivors' share has fallen to q; whoever else is gone was censored.
    """
    _, counts, ratio = _printed(row, arm)
    return float(np.maximum(counts[:-1] * ratio - counts[1:], 0.0).sum())


def most_censored(row: RiskRow, arm: ArmLine) -> Array:
    """Return the most patients that were censored (numbers,) from each number at risk of a row to the next.

    If everybody who was censored had gone before anybody died, s / q were left for the deaths that took the survivors'
    share down to q and s patients to the next number; whoever else is gone was censored. Behind the last number all may
    have been.
    """
    _, counts, ratio = _printed(row, arm)
    left = np.divide(counts[1:], ratio, out=np.zeros(len(ratio)), where=ratio > 0)
    return np.append(np.maximum(counts[:-1] - left, 0.0), counts[-1:])


def _printed(row: RiskRow, arm: ArmLine) -> tuple[Array, Array, Array]:
    """Times and counts (numbers,) of a row that were read, and what share of the curve (numbers - 1,) each leaves."""
    read = row.counts >= 0
    times, counts = row.times[read], row.counts[read]
    place = np.clip(np.searchsorted(arm.time, times, side="left") - 1, 0, None)
    level = np.where(times <= arm.time[0], 1.0, arm.survival[place])
    ratio = np.divide(level[1:], level[:-1], out=np.ones(max(len(level) - 1, 0)), where=level[:-1] > 0)
    return times, counts, ratio


def confirmed_marks(reading: FigureReading, place: int) -> bool:
    """Return whether an arm's marks may go on: those of a file are as exact as it, those of a picture need a table.

    By the table they must be neither too few nor, between any two numbers, more than patients who can have left.
    """
    arm = reading.arms[place]
    if arm.marks is None or not reading.pixels:
        return arm.marks is not None
    rows = [row for row in reading.rows if row.kind == "at_risk" and row.arm == place and (row.counts >= 0).sum() > 1]
    if not rows:
        return False
    places = np.unique(arm.marks)
    return len(places) >= ENOUGH * least_censored(rows[0], arm) - 1 and not _too_many(places, rows[0], arm)


def _too_many(marks: Array, row: RiskRow, arm: ArmLine) -> bool:
    """Return whether more marks stand between two numbers at risk than patients can have left there uncounted."""
    times, counts, _ = _printed(row, arm)
    order = np.searchsorted(times, marks, side="right") - 1
    seen = np.bincount(order[order >= 0], minlength=len(times))
    return bool((seen > most_censored(row, arm) + 1 + MISREAD * counts).any())


def marks_findings(reading: FigureReading) -> list[Finding]:
    """Return the notes that marks of a picture are not handed on."""
    found: list[Finding] = []
    for place, arm in enumerate(reading.arms):
        if arm.marks is not None and len(arm.marks) and not confirmed_marks(reading, place):
            count = len(np.unique(arm.marks))
            words = f"{count} censor marks of {arm.name} were read, and no numbers at risk confirm that they are all"
            words += " and no more: curves.csv does not hand them on."
            found.append(Finding("marks_left_out", "note", words, "", place))
    return found
