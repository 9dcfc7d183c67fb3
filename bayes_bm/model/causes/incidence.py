"""A printed cumulative incidence as evidence: F_k by a fixed rule, and the density of its conditional binomials.

    F_k(t) = integral from e to t of h_k(u) exp(-(H_1 + ... + H_K)(u) + (H_1 + ... + H_K)(e)) du
    m p ~ Binomial(m, (1 - F_k(t_i)) / (1 - F_k(t_{i-1})))

The rule is Gauss-Legendre in v, u = e + (t - e) v^8, in which a hazard that is infinite at zero is smooth. The same
code runs under PyTensor inside the model and under numpy on draws. Hazards are smooth between e and t (no knots).
In an arm whose patients differ F_k is the sum over kinds of patients of w F_k, each kind with hazards of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards.family import Family
from bayes_bm.hazards.numerics.numpy_namespace import Namespace, Tensor
from bayes_bm.hazards.numerics.unit_rule import unit_rule
from bayes_bm.model import likelihoods
from bayes_bm.model.likelihoods import LARGEST_LOG, POWER
from bayes_bm.model.observations import log_time
from bayes_bm.spec.document import Spec

NODES = 64
"""Of the rule: F of two Weibulls to 1e-12 over 60 random pairs, shapes 0.3 to 2.5, sums of hazards up to 60
(tests/model/test_joint_density.py has some); 48 in v^6 err by up to 3e-9."""
LARGEST_LOG_OF_KIND = 600.0
"""Largest log H at a kind's centre: with `LARGEST_MOVE` on it H is still a number, and exp(-H) was zero long before."""
LARGEST_MOVE = 100.0
"""What a kind of patient adds to log H at most."""
LEAST = 1e-300
"""Stands for a share of none: its logarithm is finite."""


@dataclass(frozen=True)
class IncidenceRows:
    """Conditional binomials of 1 - F of one cause: `ratio` of the `size` who were free of it at the start are at the
    end.

    Times are log(t / t0) on the model's clock, NO_ENTRY for zero: the end of a step (row,), nodes up to it and log du
    (row, node), and when everybody is free of all causes (row,). `before` is the row at whose end a step starts, and
    `later` 1 where there is one and 0 where a step starts at entry.
    """

    cause: int
    arm_row: np.ndarray
    ratio: np.ndarray
    size: np.ndarray
    log_entry: np.ndarray
    log_end: np.ndarray
    nodes: tuple[np.ndarray, np.ndarray]
    before: np.ndarray
    later: np.ndarray


@dataclass(frozen=True)
class Cause:
    """Family, eta (..., row) and shape (..., row, shape) of one cause's hazard in each row.

    In arms whose patients differ `moves` are what each kind of them adds to eta (..., row, kind).
    """

    family: Family
    eta: Any
    shape: Any
    moves: Any = None


def incidence_rows(spec: Spec, evidence: Evidence, cause: int) -> IncidenceRows | None:
    """Return the rows of one cause from the evidence of its complement; None where there are none."""
    points, counts = evidence.sequences, evidence.counts
    if not len(points) + len(counts):
        return None
    entry_of, shift_of = (evidence.arms[name].to_numpy(dtype=float) for name in ("entry", "shift"))
    counted = counts["arm_row"].to_numpy(dtype=int)
    arm_row = np.concatenate([points["arm_row"].to_numpy(dtype=int), counted])
    entry, n = entry_of[arm_row], counts["n"].to_numpy(dtype=float)
    counted_end = counts["time"].to_numpy(dtype=float) + shift_of[counted]
    end = np.concatenate([points["time"].to_numpy(dtype=float), counted_end])
    # points of an arm follow one another, each from the end of the one before
    later = np.concatenate([points["start"].to_numpy(dtype=float) > entry[: len(points)], np.zeros(len(counts))])
    return IncidenceRows(
        cause=cause,
        arm_row=arm_row,
        ratio=np.concatenate([points["ratio"].to_numpy(dtype=float), 1 - counts["events"].to_numpy(dtype=float) / n]),
        size=np.concatenate([points["size"].to_numpy(dtype=float), n]),
        log_entry=log_time(entry, spec),
        log_end=log_time(end, spec),
        nodes=_nodes(entry, end, spec.reference_time),
        before=np.maximum(np.arange(len(end)) - 1, 0),
        later=later.astype(float),
    )


def _nodes(entry: np.ndarray, end: np.ndarray, reference_time: float) -> tuple[np.ndarray, np.ndarray]:
    """log u and log du of the rule over (entry, end], times in units of t0 (row, node)."""
    v, weight = unit_rule(NODES)
    width = ((end - entry) / reference_time)[:, None]
    time = (entry / reference_time)[:, None] + width * v**POWER
    step = width * POWER * v ** (POWER - 1) * weight
    return np.log(np.maximum(time, LEAST)), np.log(np.maximum(step, LEAST))


def shares(
    causes: Sequence[Cause],
    nodes: tuple[Any, Any],
    log_end: Any,
    log_entry: Any,
    *,
    log_weight: Any = None,
    xp: Namespace,
) -> tuple[list[Tensor], Tensor]:
    """F of every cause at the end, and the share still free of all (..., row), of those free of all at entry.

    `log_weight` are those of kinds of patients (row, kind): arms whose patients differ are seen from time zero.
    """
    if log_weight is not None:
        return _shares_of_kinds(causes, nodes, log_end, log_entry, np.exp(log_weight), xp=xp)
    log_node, log_step = nodes
    entered: Any = sum(_cum_hazard(one, log_entry, xp=xp) for one in causes)
    total, log_hazards = 0.0, []
    for one in causes:
        wide = Cause(one.family, one.eta[..., None], one.shape[..., None, :])
        total = total + _cum_hazard(wide, log_node, xp=xp)
        log_hazards.append(one.family.log_hazard(log_node, wide.eta, wide.shape, xp=xp))
    less = entered[..., None] - total + log_step
    incidences = [xp.sum(xp.exp(log_hazard + less)) for log_hazard in log_hazards]
    at_end: Any = sum(_cum_hazard(one, log_end, xp=xp) for one in causes)
    return incidences, xp.exp(entered - at_end)


def _shares_of_kinds(
    causes: Sequence[Cause], nodes: tuple[Any, Any], log_end: Any, log_entry: Any, weight: Any, *, xp: Namespace
) -> tuple[list[Tensor], Tensor]:
    """The same as sums over kinds of patients, each of those free of all at entry; inside arrays are
    (..., row, node, kind).
    """
    log_node, log_step = nodes
    entered: Any = sum(_of_kinds(one, log_entry[:, None], None, xp=xp)[0] for one in causes)
    at_end: Any = sum(_of_kinds(one, log_end[:, None], None, xp=xp)[0] for one in causes)
    hazards = [_of_kinds(one, log_node, log_step, xp=xp) for one in causes]
    total: Any = sum(cum_hazard for cum_hazard, _ in hazards)
    left = weight[:, None, :] * xp.exp(entered - total)
    incidences = [xp.sum(xp.sum(steps * left)) for _, steps in hazards]
    return incidences, xp.sum(weight * xp.exp(entered - at_end)[..., 0, :])


def _of_kinds(cause: Cause, log_u: Any, log_step: Any, *, xp: Namespace) -> tuple[Tensor, Any]:
    """H and, with `log_step`, h du of every kind of patient (..., row, node, kind); where hazards are proportional the
    formula is asked once for all kinds.
    """
    family = cause.family
    if family.proportional:
        factor = xp.exp(xp.minimum(cause.moves, LARGEST_MOVE))[..., None, :]
        time, eta, shape = log_u, cause.eta[..., None], cause.shape[..., None, :]
    else:
        factor = None
        time, eta = log_u[..., None], cause.eta[..., None, None] + cause.moves[..., None, :]
        shape = cause.shape[..., None, :][..., None, :]

    def of_every_kind(log_value: Any) -> Any:
        value = xp.exp(xp.minimum(log_value, LARGEST_LOG_OF_KIND))
        return value if factor is None else value[..., None] * factor

    cum_hazard = of_every_kind(family.log_cum_hazard(time, eta, shape, xp=xp))
    if log_step is None:
        return cum_hazard, None
    step = log_step if factor is not None else log_step[..., None]
    return cum_hazard, of_every_kind(family.log_hazard(time, eta, shape, xp=xp) + step)


def _cum_hazard(cause: Cause, log_u: Any, *, xp: Namespace) -> Tensor:
    return xp.exp(xp.minimum(cause.family.log_cum_hazard(log_u, cause.eta, cause.shape, xp=xp), LARGEST_LOG))


def complement_steps(
    rows: IncidenceRows, causes: Sequence[Cause], *, log_weight: Any = None, xp: Namespace
) -> tuple[Tensor, Tensor]:
    """log q and log(1 - q) of q = (1 - F_k(end)) / (1 - F_k(start)) (..., row).

    1 - F_k is the sum of the other causes' F and of who is free of all, so that no difference from 1 is taken.
    """
    after, free = shares(causes, rows.nodes, rows.log_end, rows.log_entry, log_weight=log_weight, xp=xp)
    left = free + sum(share for place, share in enumerate(after) if place != rows.cause)
    gone = after[rows.cause]
    left_before = 1 - rows.later + rows.later * xp.take(left, rows.before)
    gone_before = rows.later * xp.take(gone, rows.before)
    log_before = xp.log(_at_least(left_before, xp=xp))
    log_gone = xp.log(_at_least(gone - gone_before, xp=xp))
    return xp.log(_at_least(left, xp=xp)) - log_before, log_gone - log_before


def _at_least(share: Tensor, *, xp: Namespace) -> Tensor:
    return -xp.minimum(-share, -LEAST)


def log_density(rows: IncidenceRows, causes: Sequence[Cause], *, log_weight: Any = None, xp: Namespace) -> Tensor:
    """Pointwise log density of the conditional binomials (..., row)."""
    log_q, log_not_q = complement_steps(rows, causes, log_weight=log_weight, xp=xp)
    return likelihoods.binomial(rows.ratio * rows.size, rows.size, log_q, log_not_q, xp=xp)
