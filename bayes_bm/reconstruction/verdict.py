"""How far one reconstruction can be trusted: exact, good, doubtful or contradictory, and why in a sentence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayes_bm.reconstruction.contradictions import CONTRADICTIONS
from bayes_bm.reconstruction.curve import OVERSHOOT, Curve
from bayes_bm.reconstruction.diagnostics import distances, note
from bayes_bm.reconstruction.patients import Patients

STATUS = {"exact": "honoured", "good": "honoured", "doubtful": "uncertain", "contradictory": "contradicted"}
AGREE = 0.01  # share of n by which plausible numbers at risk may differ and still be determined
OPEN = 0.05  # share of the events by which plausible totals may differ before the total counts as open
FAR = 0.02  # share of an axis: two errors of a careless digitiser (1 %), about what a check by eye would miss
TIMES = 3.0  # click errors: beyond that one click in 90 by chance, so 5 % of clicks is no chance
FLOOR = 0.005  # share of an axis, about the width of a printed line, below which no distance is doubtful
CLICKS = 20  # below that an error estimate of the line has a relative error above 1/sqrt(2 x 20) = 16 %


class Verdict(NamedTuple):
    """`name`: exact, good, doubtful or contradictory; `reason`: one sentence."""

    name: str
    reason: str


def judge(curve: Curve, method: str, patients: Patients, openness: tuple[int, int] | None, rows: list[dict]) -> Verdict:
    """Contradictory: a printed number gave way or is not reproduced. Doubtful: something that matters is not known or
    not met. Exact: a drawn curve met everywhere, which determines events and numbers at risk. Good: the rest."""
    against = [row for row in rows if row["status"] == "contradicted"]
    if against:
        return Verdict("contradictory", _against(against))
    doubts = [*_said(rows), *_misses(curve, method, patients, rows), *_unknown(curve, method)]
    if openness is None:
        if doubts:
            return Verdict("doubtful", "; ".join(doubts))
        known = " and ".join(_given(curve))
        return Verdict("good", f"clicks within their error of the reconstructed curve, {known} as printed")
    open_events, open_risk = openness
    total = max(int(patients[1].sum()), 1)
    if open_events > max(OPEN * total, 1):
        doubts.append(f"one plausible set in ten differs by more than {open_events - 1} in {total} events")
    if doubts:
        return Verdict("doubtful", "; ".join(doubts))
    tight = _row(rows, "survival")["status"] == "honoured" and sum(row["check"] == "survival" for row in rows) == 1
    if tight and open_events == 0 and open_risk <= max(AGREE * curve.n, 1):
        return Verdict(
            "exact", f"every height within its rounding, {_as_printed(curve)}; nine in ten plausible sets agree"
        )
    left = f"plausible sets differ by up to {open_events} events and {open_risk} at risk"
    if not tight:
        left = "heights are fractions of whole patients only loosely"
    return Verdict("good", f"drawn curve met, {_as_printed(curve)}; {left}")


def verdict_row(verdict: Verdict) -> dict:
    return note("verdict", f"{verdict.name}: {verdict.reason}", status=STATUS[verdict.name])


def _given(curve: Curve) -> list[str]:
    """What was printed beside n, in words."""
    found = {
        "total of events": curve.events is not None,
        "numbers at risk": len(curve.risk_time) > 0,
        "ticks": curve.ticks is not None,
    }
    return [name for name, there in found.items() if there]


def _as_printed(curve: Curve) -> str:
    given = _given(curve)
    return f"{' and '.join(given)} as printed" if given else "n alone printed"


def _against(rows: Sequence[dict]) -> str:
    named = [row for row in rows if row["check"] in CONTRADICTIONS] or list(rows)
    first = named[0]
    when = f" at {first['time']:g}" if np.isfinite(first["time"]) else ""
    others = len({(row["check"], row["time"]) for row in named}) - 1
    more = f", and {others} more" if others else ""
    return f"{first['check']}{when}: {first['note']}{more}"


def _said(rows: Sequence[dict]) -> list[str]:
    """Warnings under a name: something is likely wrong and was left as it is."""
    return [f"{r['check']}: {r['note']}" for r in rows if r["check"] in CONTRADICTIONS and r["status"] == "uncertain"]


def _misses(curve: Curve, method: str, patients: Patients, rows: Sequence[dict]) -> list[str]:
    """Points away from the reconstructed curve, by more than clicks or rounding explain."""
    far = float(np.quantile(distances(curve, patients), 0.95))
    error = float(_row(rows, "click_error").get("reconstructed", np.nan))
    limit = max(TIMES * error, FLOOR) if np.isfinite(error) else FAR
    if method == "clicked":
        limit = max(limit, 1 / curve.n)  # clicks do not show where single steps are
    found = []
    if far > limit:
        found.append(f"one point in twenty is {far:.3f} of an axis or more from the reconstructed curve")
    if np.isfinite(error) and error > FAR:
        found.append(f"a click errs by {error:.3f} of an axis")
    if method == "clicked" and len(curve.time) < CLICKS:
        found.append(f"{len(curve.time)} clicks are few")
    return found


def _unknown(curve: Curve, method: str) -> list[str]:
    found = []
    beyond = (curve.risk_time > curve.time.max() + OVERSHOOT * curve.axis_max) & (curve.risk_count > 0)
    if beyond.any():
        left = f"{int(curve.risk_count[beyond][-1])} are at risk at {curve.risk_time[beyond][-1]:g}"
        found.append(f"the curve was read to {curve.time.max():.4g} only, and {left}")
    if method == "clicked" and curve.events is None and not (curve.risk_count > 0).any():
        found.append("with n alone clicks leave the total of events open (a median of 8 % on kmbench)")
    return found


def _row(rows: Sequence[dict], check: str) -> dict:
    return next((row for row in rows if row["check"] == check), {})
