"""The hazard family of one analysis: knots placed where the events are, a cured share and background put on top.

Knots that the spec does not state follow from the best evidence and are written into the spec when a fit starts, so
that imputed patients, within and across fits and a stored result all compute on the same ones.
"""

import numpy as np

from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import FAMILIES, Family
from bayes_bm.hazards.modifiers.background import with_background
from bayes_bm.hazards.modifiers.cure import Cured
from bayes_bm.hazards.modifiers.waning import Waned
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec

LAST = 0.999
MANY = 7
"""Inner knots stay below this share of the end."""


def family_of(spec: Spec, evidence: Evidence | None = None) -> Family:
    """The spec's family, ready to compute with. A flexible one without stated knots needs the evidence."""
    family = FAMILIES[spec.hazard.family]
    if family.on_knots is not None:
        inner, end = _knots(spec, evidence)
        t0 = spec.reference_time
        family = family.on_knots(tuple(float(knot) / t0 for knot in inner), float(end) / t0)
    family = Cured(family) if spec.hazard.cure else family
    if spec.waning is not None:
        start, t0 = spec.waning.start, spec.reference_time
        return Waned(family, spec.waning.over / t0, None if start is None else start / t0)
    if evidence is None or evidence.background.empty:
        return family
    start, rate = (evidence.background[name].to_numpy(dtype=float) for name in ("time", "hazard"))
    return with_background(family, start / spec.reference_time, rate * spec.reference_time)


def with_knots(spec: Spec, evidence: Evidence) -> Spec:
    """The spec with its knots as numbers."""
    if not FAMILIES[spec.hazard.family].flexible:
        return spec
    inner, end = _knots(spec, evidence)
    stated = {"knots": tuple(float(knot) for knot in inner), "end": float(end)}
    return spec.model_copy(update={"hazard": spec.hazard.model_copy(update=stated)})


def _knots(spec: Spec, evidence: Evidence | None) -> tuple[np.ndarray, float]:
    hazard = spec.hazard
    if isinstance(hazard.knots, tuple) and hazard.end is not None:
        return np.array(hazard.knots), hazard.end
    if evidence is None:
        raise InputError(
            "hazard.knots",
            found="knots that follow from the evidence, which is not here",
            allowed="hazard.knots as a list of times and hazard.end",
        )
    times, weight = _event_times(evidence)
    if isinstance(hazard.knots, tuple):
        inner = np.array(hazard.knots)
        end = float(max([*times, *(inner / LAST)]))
        return inner, end
    end = hazard.end or float(max([0.0, *times, *evidence.registry["time"]]))
    count = MANY if hazard.knots is None else hazard.knots
    share = np.arange(1, count + 1) / (count + 1)
    followed = times < LAST * end
    inner = _quantiles(times[followed], weight[followed], share)
    if len(np.unique(inner)) < count:
        raise InputError(
            "hazard.knots",
            found=f"{count} knots for {len(np.unique(times))} distinct times in the evidence",
            allowed="fewer knots, or their times as a list with hazard.end",
        )
    return inner, end


def _event_times(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Times of events with their weights, those of a registry at the middle of each interval.

    Where there are none, every time that a row speaks about.
    """
    rows, registry = evidence.patients, evidence.registry
    upper = rows["time_upper"].to_numpy(dtype=float)
    time = rows["time"].to_numpy(dtype=float)
    time = np.where(np.isfinite(upper), (time + upper) / 2, time)
    event = rows["event"].to_numpy(dtype=float) > 0
    if event.any() or len(registry):
        start, stop, alive, n = (registry[name].to_numpy(dtype=float) for name in ("start", "time", "alive", "n"))
        weight = rows["weight"].to_numpy(dtype=float)[event]
        return np.concatenate([time[event], (start + stop) / 2]), np.concatenate([weight, n - alive])
    tables = [evidence.sequences, evidence.medians, evidence.counts]
    row_times = np.concatenate([table["time"].to_numpy(dtype=float) for table in tables])
    row_times = np.unique(row_times[np.isfinite(row_times) & (row_times > 0)])
    return row_times, np.ones(len(row_times))


def _quantiles(times: np.ndarray, weight: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Weighted quantiles, interpolated between the middles of the weights."""
    if not len(times):
        return np.zeros(0)
    order = np.argsort(times, kind="stable")
    middle = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    return np.interp(share, middle, times[order])
