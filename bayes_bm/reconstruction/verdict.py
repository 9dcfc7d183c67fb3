"""How far one reconstruction can be trusted: exact, good, doubtful or contradictory, and why in a sentence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayes_bm.reconstruction.contradictions import CONTRADICTIONS
from bayes_bm.reconstruction.curve import OVERSHOOT, Curve, ticks_alone
from bayes_bm.reconstruction.diagnostics import distances, note
from bayes_bm.reconstruction.patients import Patients

STATUS = {"exact": "honoured", "good": "honoured", "doubtful": "uncertain", "contradictory": "contradicted"}
"""Status of the row of the diagnostics that holds each verdict."""
AT_RISK_AGREEMENT = 0.01
"""Share of n by which plausible numbers at risk may differ and still be determined."""
OPEN_TOTAL = 0.05
"""Share of the events by which plausible totals may differ before the total counts as open."""
FAR_POINT = 0.02
"""Share of an axis: two errors of a careless digitiser (1 %), about what a check by eye would miss."""
FAR_ERRORS = 3.0
"""Click errors: beyond that one click in 90 by chance, so 5 % of clicks is no chance."""
LEAST_FAR = 0.005
"""Share of an axis, about the width of a printed line, below which no distance is doubtful."""
FEW_CLICKS = 20
"""Clicks below which an error estimate of the line has a relative error above 1/sqrt(2 x 20) = 16 %."""


class Verdict(NamedTuple):
    """`name`: exact, good, doubtful or contradictory; `reason`: one sentence."""

    name: str
    reason: str


def judge(curve: Curve, method: str, patients: Patients, openness: tuple[int, int] | None, rows: list[dict]) -> Verdict:
    """Judge a reconstruction by its points, its rows of diagnostics and what the curve leaves open.

    Contradictory: a printed number gave way or is not reproduced. Doubtful: something that matters is not known or
    not met. Exact: a drawn curve met everywhere, which determines events and numbers at risk. Good: the rest.
    """
    contradictions = [row for row in rows if row["status"] == "contradicted"]
    if contradictions:
        return Verdict("contradictory", _contradiction_text(contradictions))
    doubts = [*_warnings(rows), *_far_points(curve, method, patients, rows), *_open_questions(curve, method)]
    tight = (
        _first_row(rows, "survival")["status"] == "honoured" and sum(row["check"] == "survival" for row in rows) == 1
    )
    if ticks_alone(curve) and not tight:
        doubts.append(
            "ticks are lower bounds, for tied censorings show as one, and no number is printed: the total is open"
        )
    if openness is None:
        if doubts:
            return Verdict("doubtful", "; ".join(doubts))
        printed = " and ".join(_printed_numbers(curve))
        return Verdict("good", f"clicks within their error of the reconstructed curve, {printed} as printed")
    open_events, open_risk = openness
    total = max(int(patients[1].sum()), 1)
    if open_events > max(OPEN_TOTAL * total, 1):
        doubts.append(f"one plausible set in ten differs by more than {open_events - 1} in {total} events")
    if doubts:
        return Verdict("doubtful", "; ".join(doubts))
    if tight and open_events == 0 and open_risk <= max(AT_RISK_AGREEMENT * curve.n, 1):
        return Verdict(
            "exact", f"every height within its rounding, {_as_printed(curve)}; nine in ten plausible sets agree"
        )
    openness_text = f"plausible sets differ by up to {open_events} events and {open_risk} at risk"
    if not tight:
        openness_text = "heights are fractions of whole patients only loosely"
    return Verdict("good", f"drawn curve met, {_as_printed(curve)}; {openness_text}")


def verdict_row(verdict: Verdict) -> dict:
    """Return the row of the diagnostics that holds the verdict."""
    return note("verdict", f"{verdict.name}: {verdict.reason}", status=STATUS[verdict.name])


def _printed_numbers(curve: Curve) -> list[str]:
    """Name what was printed beside n."""
    is_given = {
        "total of events": curve.events is not None,
        "numbers at risk": len(curve.risk_time) > 0,
        "ticks": curve.ticks is not None,
    }
    return [name for name, there in is_given.items() if there]


def _as_printed(curve: Curve) -> str:
    """Say which printed numbers are met."""
    given = _printed_numbers(curve)
    return f"{' and '.join(given)} as printed" if given else "n alone printed"


def _contradiction_text(rows: Sequence[dict]) -> str:
    """Say what the first contradiction is, and how many more there are."""
    named = [row for row in rows if row["check"] in CONTRADICTIONS] or list(rows)
    first = named[0]
    when = f" at {first['time']:g}" if np.isfinite(first["time"]) else ""
    others = len({(row["check"], row["time"]) for row in named}) - 1
    more = f", and {others} more" if others else ""
    return f"{first['check']}{when}: {first['note']}{more}"


def _warnings(rows: Sequence[dict]) -> list[str]:
    """Return the warnings under a name: something is likely wrong and was left as it is."""
    return [f"{r['check']}: {r['note']}" for r in rows if r["check"] in CONTRADICTIONS and r["status"] == "uncertain"]


def _far_points(curve: Curve, method: str, patients: Patients, rows: Sequence[dict]) -> list[str]:
    """Say whether points lie away from the reconstructed curve, by more than clicks or rounding explain."""
    far = float(np.quantile(distances(curve, patients), 0.95))
    error = float(_first_row(rows, "click_error").get("reconstructed", np.nan))
    limit = max(FAR_ERRORS * error, LEAST_FAR) if np.isfinite(error) else FAR_POINT
    if method == "clicked":
        limit = max(limit, 1 / curve.n)  # clicks do not show where single steps are
    doubts = []
    if far > limit:
        doubts.append(f"one point in twenty is {far:.3f} of an axis or more from the reconstructed curve")
    if np.isfinite(error) and error > FAR_POINT:
        doubts.append(f"a click errs by {error:.3f} of an axis")
    if method == "clicked" and len(curve.time) < FEW_CLICKS:
        doubts.append(f"{len(curve.time)} clicks are few")
    return doubts


def _open_questions(curve: Curve, method: str) -> list[str]:
    """Say what curve and printed numbers leave open."""
    doubts = []
    is_late = (curve.risk_time > curve.time.max() + OVERSHOOT * curve.axis_max) & (curve.risk_count > 0)
    if is_late.any():
        at_risk_text = f"{int(curve.risk_count[is_late][-1])} are at risk at {curve.risk_time[is_late][-1]:g}"
        doubts.append(f"the curve was read to {curve.time.max():.4g} only, and {at_risk_text}")
    if method == "clicked" and curve.events is None and not (curve.risk_count > 0).any():
        doubts.append("with n alone clicks leave the total of events open (a median of 8 % on kmbench)")
    return doubts


def _first_row(rows: Sequence[dict], check: str) -> dict:
    """Return the first row of a check, empty where there is none."""
    return next((row for row in rows if row["check"] == check), {})
