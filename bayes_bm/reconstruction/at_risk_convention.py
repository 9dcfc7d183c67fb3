"""Numbers at risk that count time > t, where at risk means time >= t: recognised from a rebuilt drawn curve.

The two differ only where somebody dies or leaves at a printed time: whole months, weeks, days.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from bayes_bm.hazards.nonparametric import at_risk
from bayes_bm.reconstruction.consistency import ConsistentCurve, count_after, nudge
from bayes_bm.reconstruction.diagnostics import contradiction
from bayes_bm.reconstruction.patients import Patients

LEAST_TELLING = 2
"""Fewest rows that must tell the two apart: one alone may be a typing error."""


def read_after_events(settled: ConsistentCurve, patients: Patients, solve: Callable) -> tuple[ConsistentCurve, Any]:
    """Read the table as time > t where all rows then hold, at least two of which do not hold as time >= t.

    `solve` rebuilds a drawn curve; its answer under the new reading is returned beside what is settled, None where
    the reading stays. Where most but not all rows would hold, that is said and the table left alone.
    """
    curve = settled.used
    rows = [i for i, t in enumerate(curve.risk_time.tolist()) if t not in settled.moved]
    count, half_nudge = curve.risk_count[rows], nudge(curve) / 2
    printed = curve.risk_time[rows]
    broken = at_risk(patients[0], printed) != count
    if not broken.any():  # the table holds as it is meant; that it would hold otherwise too says nothing against it
        return settled, None
    trial = count_after(settled, rows)
    solved = solve(trial.used)
    if solved is None:
        return settled, None
    wrong = at_risk(solved.patients[0], printed + half_nudge) != count
    telling = (at_risk(solved.patients[0], printed - half_nudge) != count) & ~wrong
    first = float(printed[np.flatnonzero(telling)[0]]) if telling.any() else np.nan
    if not wrong.any() and telling.sum() >= LEAST_TELLING:
        text = f"all {len(rows)} numbers at risk count time > t, {telling.sum()} of them plainly: read so"
        row = contradiction("at_risk_after_events", text, time=first, status="changed")
        return count_after(settled, rows, row), solved
    if telling.any() and wrong.sum() < broken.sum():
        text = (
            f"{telling.sum()} of {len(rows)} numbers at risk would hold as numbers with time > t, {wrong.sum()} would "
            "not: check how the paper counts; the table was left as time >= t"
        )
        return settled.add_rows(contradiction("at_risk_after_events", text, time=first, status="uncertain")), None
    return settled, None
