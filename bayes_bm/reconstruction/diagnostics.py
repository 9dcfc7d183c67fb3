"""What a reconstruction honoured, contradicted, changed or leaves uncertain: rows of the diagnostics."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bayes_bm.hazards.nonparametric import at_risk as count_at_risk
from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.reconstruction.contradictions import CONTRADICTIONS
from bayes_bm.reconstruction.curve import Curve, Floats
from bayes_bm.reconstruction.patients import Patients


def note(
    check: str,
    text: str,
    *,
    time: float = np.nan,
    printed: float = np.nan,
    reconstructed: float = np.nan,
    status: str = "changed",
) -> dict[str, Any]:
    """Return one row of the diagnostics."""
    return {
        "check": check,
        "time": time,
        "printed": printed,
        "reconstructed": reconstructed,
        "status": status,
        "note": text,
    }


def contradiction(name: str, text: str, *, status: str = "contradicted", **numbers: float) -> dict[str, Any]:
    """Return a row under one of the names of `CONTRADICTIONS`.

    Its status is contradicted (something gave way), changed (converted) or uncertain (said, and the data left alone).
    """
    assert name in CONTRADICTIONS, name
    return note(name, text, status=status, **numbers)


def printed_rows(curve: Curve, patients: Patients, moved: Mapping[float, float]) -> list[dict]:
    """Return one row for each printed number: n, events, numbers at risk, ticks.

    `moved`: times of rows that are read as time > t, from the time just after t at which they count to t as printed.
    """
    time, event = patients
    rows = [_compared_row("n", curve.n, len(time))]
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
        rows.append(_compared_row("events", curve.events, int(event.sum())))
    at_risk = zip(curve.risk_time.tolist(), curve.risk_count.tolist(), strict=True)
    rows += [_at_risk_row(time, t, c, moved.get(t)) for t, c in at_risk]
    if curve.ticks is not None:
        lost = np.unique(time[event == 0])
        met = int(sum(np.abs(lost - t).min(initial=np.inf) <= 1e-3 * curve.axis_max for t in curve.ticks))
        rows.append(_compared_row("ticks", len(curve.ticks), met))
    else:
        rows.append(
            note("censoring", "no ticks: times of censoring are spread between known times", status="uncertain")
        )
    return rows


def _at_risk_row(time: Floats, count_time: float, printed: int, printed_time: float | None) -> dict:
    """Return the row of a printed number at risk; a contradiction that counting time > t would explain says so."""
    row = _compared_row(
        "at_risk", printed, int(count_at_risk(time, count_time)), count_time if printed_time is None else printed_time
    )
    if printed_time is not None:
        row["note"] = f"{row['note']}; with time > {printed_time:g}".removeprefix("; ")
    elif row["status"] == "contradicted" and (time > count_time).sum() == printed:
        row["note"] += "; it is the number with time > t, and at risk means time >= t"
    return row


def _compared_row(check: str, printed: int, rebuilt: int, time: float = np.nan) -> dict:
    """Return the row of a printed number beside the reconstructed one."""
    gap = rebuilt - printed
    text = (
        ""
        if gap == 0
        else f"reconstructed {rebuilt} is {abs(gap)} {'more' if gap > 0 else 'fewer'} than printed {printed}"
    )
    return note(
        check,
        text,
        time=time,
        printed=printed,
        reconstructed=rebuilt,
        status="honoured" if gap == 0 else "contradicted",
    )


def fit_rows(curve: Curve, method: str, patients: Patients) -> list[dict]:
    """Return the row of the distance between the points given and the reconstructed curve.

    A step is met anywhere along its height.
    """
    km = kaplan_meier(*patients)
    time = np.maximum(curve.time, 0.0)
    slack = 1e-3 * curve.axis_max
    upper, lower = km(time - slack), km(time + slack)
    gap = np.maximum(np.maximum(curve.survival - upper, lower - curve.survival), 0.0)
    worst = int(gap.argmax())
    text = f"largest distance of a point from the reconstructed curve; mean {gap.mean():.5f} ({method} curve)"
    given = float(curve.survival[worst])
    nearest = float(np.clip(given, lower[worst], upper[worst]))  # a corner has two heights: the nearer
    status = "uncertain" if gap.max() > 5e-4 else "honoured"
    numbers = {"time": float(time[worst]), "printed": round(given, 5), "reconstructed": round(nearest, 5)}
    return [note("survival", text, **numbers, status=status)]


def change_rows(changes: Iterable[str]) -> list[dict]:
    """Return the rows of the log of reading.

    A change that begins with the name of a contradiction stands under it, others as input.
    """
    rows = []
    for change in changes:
        name, _, text = change.partition(": ")
        rows.append(note(name, text) if name in CONTRADICTIONS else input_row(change))
    return rows


def input_row(change: str) -> dict:
    """Return the row of a change made to what was given."""
    return note("input", change)


def distances(curve: Curve, patients: Patients) -> Floats:
    """Return the shortest distance of each point given from the reconstructed steps, in shares of the axes (points,).

    The steps are taken on to the edges: level to the left of time 0 and to the right of the last time.
    """
    km = kaplan_meier(*patients)
    level = np.concatenate([[1.0], km.survival])
    drop = np.concatenate([[0.0], km.time]) / curve.axis_max
    x, y = np.maximum(curve.time, 0.0)[:, None] / curve.axis_max, curve.survival[:, None]
    end = np.append(drop[1:], np.inf)
    horizontal_gap = np.maximum(np.maximum(drop - x, x - end), 0.0)
    to_level = np.hypot(horizontal_gap, y - level)
    next_level = np.append(level[1:], level[-1])
    vertical_gap = np.maximum(np.maximum(next_level - y, y - level), 0.0)
    to_drop = np.hypot(np.where(np.isfinite(end), end, drop) - x, vertical_gap)
    return np.minimum(to_level, to_drop).min(axis=1)
