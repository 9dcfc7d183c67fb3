"""Shares that have each cause first, and time lost to it, by quadrature over time.

    F_k(t) = integral over (s, t] of f_k du,  f_k = h_k S_1 ... S_K / (S_1 ... S_K)(s),  time lost = integral of F_k

Where the effects behind the causes are independent, averages multiply (`product_densities`); where they go together,
f is averaged over members of whom each has effects of all causes (`member_densities`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bayes_bm.estimands.quadrature import LARGEST_LOG, TIME_NODES, Population, hazard, legendre_rule, survival
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.runtime.types import Array

LEAST = 1e-300
"""Share of a population still free of all causes (no unit) that stands for none."""


@dataclass(frozen=True)
class TimeRule:
    """Nodes and steps of Gauss-Legendre between `ends` (node,), from the time at which all are free of every cause."""

    ends: Array
    nodes: Array
    steps: Array

    @classmethod
    def of(cls, populations: Sequence[Population], times: Array, alive_at: float) -> "TimeRule":
        """Ends are the times asked for, and those at which a hazard is not smooth; from time zero, where h may be
        infinite, nodes are in t = a + (b - a) v^4.
        """
        edges = np.concatenate([[alive_at], np.asarray(times, dtype=float)])
        breaks = np.concatenate([one.reference_time * np.exp(np.array(one.family.breaks)) for one in populations])
        inner = breaks[(breaks > edges[0]) & (breaks < edges[-1])]
        ends = np.unique(np.concatenate([edges, inner]))
        return cls(ends, *legendre_rule(ends, first=alive_at == 0))

    def up_to(self, densities: Array, times: Array) -> Array:
        """Integrals of the densities (..., node) up to each time (..., time)."""
        pieces = (densities * self.steps).reshape(*densities.shape[:-1], len(self.ends) - 1, TIME_NODES)
        whole = np.cumsum(pieces.sum(axis=-1), axis=-1)
        place = np.searchsorted(self.ends, times) - 1
        return np.where(place < 0, 0.0, whole[..., np.maximum(place, 0)])

    def lost(self, densities: Array) -> Array:
        """Time from the event to the last end, integrated over the densities (..., node)."""
        return (densities * (self.ends[-1] - self.nodes)) @ self.steps


class Member(NamedTuple):
    """Somebody with effects of every cause: a law that is a point, cause by cause, and how much of the whole it is."""

    weight: float
    populations: Sequence[Population]


def product_densities(populations: Sequence[Population], rule: TimeRule, alive_at: float) -> Array:
    """f of each cause at the nodes (cause, sample, treatment, node), of populations that are independent."""
    free = np.prod([survival(one, rule.nodes, alive_at=alive_at) for one in populations], axis=0)
    return np.stack([hazard(one, rule.nodes) * free for one in populations])


def member_densities(members: Iterable[Member], rule: TimeRule, alive_at: float) -> Array:
    """The same averaged over members: E[h_k S] / E[S(s)] (cause, sample, treatment, node)."""
    densities, entered = 0.0, 0.0
    for weight, populations in members:
        total, rates = _hazards(populations, rule.nodes)
        left = weight * np.exp(-total)
        densities = densities + np.stack([np.exp(np.minimum(rate, LARGEST_LOG)) * left for rate in rates])
        at_entry = _hazards(populations, np.array([alive_at]))[0] if alive_at > 0 else np.zeros(1)
        entered = entered + weight * np.exp(-at_entry)
    return np.asarray(densities) / np.maximum(entered, LEAST)


def member_hazards(members: Iterable[Member], times: Array) -> Array:
    """E[h_k S] / E[S]: the hazard of each cause among those still free of all (cause, sample, treatment, time)."""
    rates_of_free, free = 0.0, 0.0
    for weight, populations in members:
        total, rates = _hazards(populations, times)
        left = weight * np.exp(-total)
        rates_of_free = rates_of_free + np.stack([np.exp(np.minimum(rate, LARGEST_LOG)) * left for rate in rates])
        free = free + left
    return np.asarray(rates_of_free) / np.maximum(free, LEAST)


def _hazards(populations: Sequence[Population], times: Array) -> tuple[Array, list[Array]]:
    """The sum of cumulative hazards at times (sample, treatment, time), and the log hazard of each cause."""
    total, rates = 0.0, []
    for one in populations:
        placed = one.family.place(np.log(times / one.reference_time)[None, None, :])
        eta, shape = one.eta[..., None], one.shape[..., None, :]
        log_cum = one.family.log_cum_hazard(placed, eta, shape, xp=NUMPY)
        total = total + np.exp(np.minimum(log_cum, LARGEST_LOG))
        rates.append(one.family.log_hazard(placed, eta, shape, xp=NUMPY) - np.log(one.reference_time))
    return np.asarray(total), rates


def cumulative_incidence(populations: Sequence[Population], times: Array, *, alive_at: float = 0.0) -> Array:
    """Share that had each cause first by t, free of all at s (cause, sample, treatment, time), times rising, of
    populations whose effects are independent.
    """
    rule = TimeRule.of(populations, times, alive_at)
    return rule.up_to(product_densities(populations, rule, alive_at), np.asarray(times, dtype=float))
