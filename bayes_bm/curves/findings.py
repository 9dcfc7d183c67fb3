"""What a reconstruction honoured, contradicted, changed or leaves uncertain: rows of the diagnostics."""

import numpy as np

from bayes_bm.curves.patients import Patients
from bayes_bm.curves.reading import Curve, Floats
from bayes_bm.nonparametric import at_risk as count_at_risk
from bayes_bm.nonparametric import kaplan_meier


def note(check: str, text: str, *, time=np.nan, printed=np.nan, reconstructed=np.nan, status="changed") -> dict:
    """One row of the diagnostics."""
    return {
        "check": check,
        "time": time,
        "printed": printed,
        "reconstructed": reconstructed,
        "status": status,
        "note": text,
    }


def printed_rows(curve: Curve, patients: Patients) -> list[dict]:
    """One row for each printed number: n, events, numbers at risk, ticks."""
    time, event = patients
    rows = [_compared("n", curve.n, len(time))]
    if curve.events is None:
        rows.append(
            note(
                "events",
                "total not given: it follows from the curve",
                reconstructed=int(event.sum()),
                status="uncertain",
            )
        )
    else:
        rows.append(_compared("events", curve.events, int(event.sum())))
    rows += [_at_risk_row(time, t, c) for t, c in zip(curve.risk_time.tolist(), curve.risk_count.tolist(), strict=True)]
    if curve.ticks is not None:
        lost = np.unique(time[event == 0])
        met = int(sum(np.abs(lost - t).min(initial=np.inf) <= 1e-3 * curve.axis_max for t in curve.ticks))
        rows.append(_compared("ticks", len(curve.ticks), met))
    else:
        rows.append(
            note("censoring", "no ticks: times of censoring are spread between known times", status="uncertain")
        )
    return rows


def _at_risk_row(time: Floats, at: float, printed: int) -> dict:
    """A printed number at risk; a contradiction that counting time > t would explain says so."""
    row = _compared("at_risk", printed, int(count_at_risk(time, at)), at)
    if row["status"] == "contradicted" and (time > at).sum() == printed:
        row["note"] += "; it is the number with time > t, and at risk means time >= t"
    return row


def _compared(check: str, printed: int, found: int, time: float = np.nan) -> dict:
    gap = found - printed
    text = (
        ""
        if gap == 0
        else f"reconstructed {found} is {abs(gap)} {'more' if gap > 0 else 'fewer'} than printed {printed}"
    )
    return note(
        check, text, time=time, printed=printed, reconstructed=found, status="honoured" if gap == 0 else "contradicted"
    )


def fit_rows(curve: Curve, method: str, patients: Patients) -> list[dict]:
    """Distance between the points given and the reconstructed curve, a step being met anywhere along its height."""
    km = kaplan_meier(*patients)
    time = np.maximum(curve.time, 0.0)
    slack = 1e-3 * curve.axis_max
    above, below = km(time - slack), km(time + slack)
    gap = np.maximum(np.maximum(curve.survival - above, below - curve.survival), 0.0)
    worst = int(gap.argmax())
    text = f"largest distance of a point from the reconstructed curve; mean {gap.mean():.5f} ({method} curve)"
    given = float(curve.survival[worst])
    found = float(np.clip(given, below[worst], above[worst]))  # a corner has two heights: the nearer
    status = "uncertain" if gap.max() > 5e-4 else "honoured"
    numbers = {"time": float(time[worst]), "printed": round(given, 5), "reconstructed": round(found, 5)}
    return [note("survival", text, **numbers, status=status)]
