"""Which of several dashed lines of one ink a key of the legend means: the one whose dashes are as long as the key's."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from bayes_bm.digitizing.raster.ink import runs

if TYPE_CHECKING:
    from bayes_bm.digitizing.raster.arms import Traced

_LEAST_DASHES = 5
"""Dashes on level stretches from which their length is known."""
_CLEARLY = 0.5
"""Sum of the log ratios of lengths by which another order must fit better: dashes of 2 and 4 widths give 1.4."""
_MOST = 4
"""Lines of one ink whose orders are tried."""


def by_dashes(arms: Sequence["Traced"]) -> list["Traced"]:
    """Return lines of one ink, each with the key whose dashes are as long as its own.

    Lines are traced one after the other, each along the cheapest way, and nothing there tells two dashed ones apart.
    Lines whose dashes, or keys' dashes, could not be measured stay as they are.
    """
    lengths = {place: dash_length(arm) for place, arm in enumerate(arms) if arm.wanted.stroke > 0}
    known = [place for place, length in lengths.items() if length > 0]
    if not 2 <= len(known) <= _MOST:
        return list(arms)
    line = np.log([lengths[place] for place in known])
    key = np.log([arms[place].wanted.stroke for place in known])
    orders = list(permutations(range(len(known))))
    misfits = [float(np.abs(line - key[list(order)]).sum()) for order in orders]
    best = int(np.argmin(misfits))
    result = list(arms)
    if misfits[best] < misfits[0] - _CLEARLY:
        for place, other in zip(known, orders[best], strict=True):
            result[place] = replace(arms[place], wanted=arms[known[other]].wanted)
    return result


def dash_length(arm: "Traced") -> float:
    """Return the median length in pixels of a line's dashes on level stretches; 0 where there are too few."""
    path = arm.path
    columns = np.arange(path.start, path.end)
    rows = np.clip(path.rows[:, None] + np.array([-1, 0, 1]), 0, arm.share.shape[0] - 1)
    inked = arm.share[rows, columns[:, None]].max(axis=1, initial=0.0) > 0.4
    hidden = arm.cover[rows, columns[:, None]].max(axis=1, initial=0.0) > 0.5
    half = int(np.ceil(arm.width))
    above = np.clip(path.rows - 2 * half, 0, arm.share.shape[0] - 1)
    below = np.clip(path.rows + 2 * half, 0, arm.share.shape[0] - 1)
    marked = np.maximum(arm.share[above, columns], arm.share[below, columns]) > 0.4
    lengths = []
    for run in runs(inked):
        first, last = run.start - 1, run.end
        if first < 0 or last >= len(columns):
            continue
        around = slice(first, last + 1)
        level = path.rows[last] - path.rows[first] <= max(1.0, arm.width / 3)
        if level and not hidden[around].any() and not marked[around].any():
            lengths.append(run.length)
    return float(np.median(lengths)) if len(lengths) >= _LEAST_DASHES else 0.0
