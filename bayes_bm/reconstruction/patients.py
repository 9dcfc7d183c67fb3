"""Patients as arrays, and what is believed about when they were censored."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bayes_bm.reconstruction.curve import Floats, Ints

Patients = tuple[Floats, Ints]
"""Time (n,) and event (n,), sorted by time, events first."""


class Solution(NamedTuple):
    """Best patients of a curve, a sampler of plausible ones, notes on what gave way.

    `openness`: events and numbers at risk by which nine in ten of the plausible sets may differ from the best, for a
    drawn curve.
    """

    patients: Patients
    sampler: Callable[[np.random.Generator], Patients]
    notes: list[dict[str, Any]]
    openness: tuple[int, int] | None = None


def patients_of(died: Floats, lost: Floats) -> Patients:
    """Return patients with events at times `died` and censorings at times `lost`, in order of time, events first."""
    time = np.concatenate([died, lost])
    event = np.concatenate([np.ones(len(died), np.int64), np.zeros(len(lost), np.int64)])
    order = np.lexsort((1 - event, time))
    return time[order], event[order]


def staggered(share: Floats) -> Floats:
    """Return the chance of not being censored by a share x of follow-up, where nothing is known of accrual.

    Patients who entered evenly over the last 1 - f of the study have G(x) = min(1, (1 - x) / (1 - f)); averaged over
    f uniform on (0, 1), G(x) = (1 - x) (1 - log(1 - x)). Shape of `share`.
    """
    remaining = np.clip(1 - np.asarray(share, float), 0.0, 1.0)
    return remaining * (1 - np.log(np.where(remaining > 0, remaining, 1.0)))


def spread_censorings(
    count: int, marks: Floats, low: float, high: float, rng: np.random.Generator | None, *, to_end: bool
) -> Floats:
    """Return times of `count` censorings: at the ticks, one each at least; without ticks evenly over the gap."""
    if count == 0:
        return np.empty(0)
    if len(marks):
        extra = count - len(marks)
        if extra < 0:
            return marks[np.linspace(0, len(marks) - 1, count).round().astype(int)]
        return np.repeat(marks, 1 + _share_ticks(extra, len(marks), rng, to_end=to_end))
    if to_end:  # somebody is seen to the end of the line
        inner = spread_censorings(count - 1, marks, low, high, rng, to_end=False)
        return np.append(inner, high)
    place = (np.arange(count) + 0.5) / count if rng is None else np.sort(rng.uniform(size=count))
    return low + (high - low) * place


def _share_ticks(extra: int, marks: int, rng, *, to_end: bool) -> Ints:
    """Return censorings beyond one a tick, for each tick: evenly, or after the last drop at the end of the line.

    A line ends where it is cut off, at the data cut or the edge of the figure, and whoever is left leaves there.
    """
    if to_end and (rng is None or rng.uniform() < 0.5):
        return np.where(np.arange(marks) == marks - 1, extra, 0)
    if rng is None:
        return np.diff(np.round(np.linspace(0, extra, marks + 1))).astype(np.int64)
    return rng.multinomial(extra, np.full(marks, 1 / marks))
