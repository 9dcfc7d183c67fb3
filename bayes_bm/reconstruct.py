"""Patients from a digitised Kaplan-Meier curve: integers that a figure, its at-risk table, totals and ticks allow.

A drop of d events among r at risk multiplies the curve by 1 - d/r, so a drawn curve (vector graphics) is a list of
fractions with unknown whole numbers. `_lattice` walks along the drops and keeps every (at risk, events so far) that
reproduces all heights within rounding, with the printed numbers at risk, the total of events and the ticks as checks;
`_central` picks the path nearest the posterior mean of the number at risk, `_sample` draws others. A clicked curve
does not show single drops: `_allocate` chooses whole events for each interval of the at-risk table, and `_place` puts
them where the cleaned line falls. Printed whole numbers outrank clicks; what cannot be honoured is reported.

Sources: Guyot, Ades, Ouwens and Welton 2012 (BMC Med Res Methodol 12:9) for the problem; the solutions here are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls

from bayes_bm.curve import (
    Curve,
    Drops,
    Line,
    drops_of,
    fit_clicks,
    is_drawn,
    log_covariance,
    read_curve,
    redraw,
    through,
)
from bayes_bm.nonparametric import at_risk as count_at_risk
from bayes_bm.nonparametric import kaplan_meier

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Patients = tuple[Floats, Ints]  # time (n,), event (n,), sorted by time, events first

BREACH = 12.0  # nats a path pays for a printed number it does not reproduce: rarer than anything else it can do
BEFORE = float(np.log(0.25))  # a tick drawn at a drop stands for censorings before it: the tie rule says after
HEAP = 0.05  # share of gaps between drops in which many may be censored at once (a data cut, a visit)
LIKELY = 9.0  # nats below the likeliest edge of a step beyond which the central path does not go
STATES = 60_000, 300, 4000  # states kept over all points; fewest and most after one: many where drops are few
PARTS = 8, 64  # fewest and most parts of the window of survival in which states with the same counts are kept apart
SURVIVAL_ERRORS = (1e-9, 5e-5, 2.5e-4, 1e-3, 5e-3)  # tried in turn until the drops are fractions of whole numbers
LADDER = np.unique(np.concatenate([np.arange(9), np.rint(8 * 1.25 ** np.arange(1, 30))])).astype(np.int64)
STRETCH = 0.5  # sd of the log exponent by which times of censoring may crowd to one end of an interval
OPEN_STRETCH = 8.0  # largest such log exponent where nobody was counted at the end
QUANTILES = 64  # points that stand for a law of censoring
ROUNDS = 6  # of making the prior of censoring linear; settles in three or four
GIVE = 0.03  # survival by which printed numbers may pull the curve before they are called a contradiction


@dataclass(frozen=True)
class Reconstruction:
    """Patients rebuilt from one curve.

    `patients`: DataFrame (time, event), n rows, sorted. `diagnostics`: DataFrame (check, time, printed,
    reconstructed, status, note); status is honoured, contradicted, changed or uncertain. `curve` is what was read;
    `method` is "drawn" or "clicked".
    """

    patients: pd.DataFrame
    diagnostics: pd.DataFrame
    curve: Curve
    method: str
    _sampler: Callable[[np.random.Generator], Patients] = field(repr=False)

    def draw(self, m: int, *, seed: int = 1) -> list[pd.DataFrame]:
        """`m` plausible sets of patients (time, event), each of n rows; the same seed gives the same sets."""
        streams = np.random.default_rng(seed).spawn(m)
        return [_table(self._sampler(rng)) for rng in streams]


def reconstruct(
    curve: pd.DataFrame | Curve,
    *,
    at_risk: pd.DataFrame | None = None,
    ticks: pd.DataFrame | None = None,
    n: int | None = None,
    events: int | None = None,
    axis_max: float | None = None,
) -> Reconstruction:
    """Rebuild the patients behind a Kaplan-Meier curve.

    `curve` (time, survival): corners of the steps of a vector figure, or clicks near the line; which of the two is
    read from the numbers. `at_risk` (time, at_risk): printed numbers with time >= t. `ticks` (time): censor marks;
    tied censorings show as one. `n` patients, total `events`, `axis_max` right end of the time axis. Only `n`, or an
    at-risk row at time 0, is needed. Raises InputError (what was found, allowed, to do) for input that cannot be meant;
    numbers that merely disagree are settled and reported in `.diagnostics`.
    """
    read = read_curve(curve, at_risk=at_risk, ticks=ticks, n=n, events=events, axis_max=axis_max)
    if is_drawn(read):
        solved = _solve_drawn(read)
        if solved is not None:
            return _finish(read, "drawn", *solved)
    return _finish(read, "clicked", *_solve_clicked(read))


# --- drawn curves: exact whole numbers ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Point:
    """A drop to survival `value`, or a printed number `value` at risk, and what is known of the gap before it.

    `marks` (ticks,) lie strictly inside the gap; `expected` censorings are expected in it. `mark_here`: a tick in the
    same cell of the time grid, whose censorings may come before or after. `opens`: first of its cell.
    `also`: (time, number) printed in the same cell as a drop, so counted before it or after it.
    """

    is_drop: bool
    time: float
    value: float
    marks: Floats
    expected: float
    mark_here: bool
    opens: bool
    also: tuple[tuple[float, int], ...]


@dataclass(frozen=True)
class _Gaps:
    """What censorings may do: `marked` if ticks are known, `tied` expected beyond one a tick; `error` of survival;
    `count_events` if a total has to be met; most states kept, `widest`."""

    marked: bool
    tied: float
    error: float
    count_events: bool
    widest: int


@dataclass(frozen=True)
class _Step:
    """States after a point, (states,), and the edges into them, (edges,), sorted by child from `start` on.

    A state is `risk` still at risk, `events` so far, `flag` (the tick of this cell has been used) and `survival`;
    `weight` is the log of the summed probability of all ways into it, `gain` the log probability of one edge.
    """

    risk: Ints
    events: Ints
    flag: Ints
    survival: Floats
    weight: Floats
    start: Ints
    parent: Ints
    child: Ints
    gain: Floats
    censored: Ints


def _solve_drawn(curve: Curve):
    """Best patients, sampler and notes for a drawn curve; None where no whole numbers reproduce the drops."""
    drops = drops_of(curve)
    points, tail = _points(curve, drops)
    own = drops.survival_error + 1e-9

    def patients(steps: list[_Step], edges: list[int], rng: np.random.Generator | None) -> Patients:
        return _from_path(curve, drops, points, tail, steps, edges, rng)

    for error in (SURVIVAL_ERRORS[0], own, *(e for e in SURVIVAL_ERRORS if e > 1.5 * own)):
        steps = _lattice(points, tail, curve, error)
        if steps is None:
            continue
        text = f"heights are fractions of whole numbers only within {error:g}"
        notes = [] if error <= own else [_note("survival", text)]
        if drops.clock:
            notes.append(
                _note("time", f"all drops are multiples of {drops.clock:.6g} within half a grid cell: moved there")
            )
        return patients(steps, _central(steps), None), partial(_redrawn, steps, patients), notes
    return None


def _redrawn(steps: list[_Step], patients, rng: np.random.Generator) -> Patients:
    return patients(steps, _sample(steps, rng), rng)


def _points(curve: Curve, drops: Drops) -> tuple[list[_Point], Floats]:
    """Drops and printed numbers in time order, and the ticks after the last of them."""
    cell = drops.time_error * (1 + 1e-6)
    also: dict[int, list[tuple[float, int]]] = {}
    rows = [(float(t), True, float(s)) for t, s in zip(drops.time, drops.survival, strict=True)]
    for t, count in zip(curve.risk_time.tolist(), curve.risk_count.tolist(), strict=True):
        near = np.flatnonzero(np.abs(drops.time - t) <= cell) if cell else []
        if len(near):
            also.setdefault(int(near[0]), []).append((t, count))
        else:
            rows.append((t, False, float(count)))
    order = sorted(range(len(rows)), key=lambda i: (rows[i][0], rows[i][1]))
    times = np.array([rows[i][0] for i in order])
    apart = np.diff(times) > cell
    marks = np.empty(0) if curve.ticks is None else curve.ticks
    shares = _shares_cell(marks, times, cell)
    # on an exact axis a tick at a drop or a printed time follows it: events come first, at risk means time >= t
    side = np.searchsorted(times, marks, side="right")
    here = np.array([cell > 0 and bool((np.abs(marks - t) <= cell).any()) for t in times], bool)
    expected = _expected(curve, drops, times)
    points = [
        _Point(rows[i][1], rows[i][0], rows[i][2], marks[~shares & (side == k)], float(expected[k]), bool(here[k]),
               k == 0 or bool(apart[k - 1]), tuple(also.get(i, ())))
        for k, i in enumerate(order)
    ]  # fmt: skip
    return points, marks[~shares & (side == len(times))]


def _shares_cell(marks: Floats, times: Floats, cell: float) -> NDArray[np.bool_]:
    """Ticks that cannot be told from a point on the time grid."""
    if not len(times) or cell == 0:
        return np.zeros(len(marks), bool)
    return np.abs(marks[:, None] - times).min(axis=1) <= cell


def _expected(curve: Curve, drops: Drops, times: Floats) -> Floats:
    """Censorings expected in the gap before each point: from the at-risk table, past it from staggered entry."""
    edges = np.concatenate([[0.0], times])
    survival = _survival_at(drops, edges)
    known = np.concatenate([[0.0], curve.risk_time])
    count = np.concatenate([[curve.n], curve.risk_count]).astype(float)
    alive = _survival_at(drops, known, side="left")
    left = np.divide(count, alive, out=np.zeros_like(count), where=alive > 0)  # n times the chance of no censoring
    end = max(drops.end, known[-1]) * (1 + 1e-9)
    rest = known[-1] < end
    uncensored = np.interp(edges, known, np.minimum.accumulate(left))
    if rest:
        beyond = edges > known[-1]
        uncensored[beyond] = left[-1] * staggered((edges[beyond] - known[-1]) / (end - known[-1]))
    return np.maximum(-np.diff(uncensored), 0.0) * survival[:-1] + 1e-3


def _survival_at(drops: Drops, at: Floats, side: Literal["left", "right"] = "right") -> Floats:
    return np.concatenate([[1.0], drops.survival])[np.searchsorted(drops.time, at, side=side)]


def staggered(share: Floats) -> Floats:
    """Chance of not being censored by a share x of follow-up, where nothing is known of accrual.

    Patients who entered evenly over the last 1 - f of the study have G(x) = min(1, (1 - x) / (1 - f)); averaged over
    f uniform on (0, 1), G(x) = (1 - x) (1 - log(1 - x)). Shape of `share`.
    """
    left = np.clip(1 - np.asarray(share, float), 0.0, 1.0)
    return left * (1 - np.log(np.where(left > 0, left, 1.0)))


def _log_prior(extra: Ints, expected: Floats | float) -> Floats:
    """Log probability of `extra` censorings in a gap: geometric about its mean, or a heap with a tail like 1/c^2."""
    usual = (1 - HEAP) * (expected / (1 + expected)) ** extra / (1 + expected)
    return np.log(usual + HEAP / ((extra + 1.0) * (extra + 2.0)))


def _lattice(points: list[_Point], tail: Floats, curve: Curve, error: float) -> list[_Step] | None:
    """All states that reproduce the points, forward in time; None where some drop is no fraction of whole numbers."""
    seen = 0 if curve.ticks is None else len(curve.ticks)
    tied = 0.1 if curve.events is None or not seen else max((curve.n - curve.events - seen) / seen, 0.05)
    total, fewest, most = STATES
    widest = min(max(total // max(len(points), 1), fewest), most)
    gaps = _Gaps(
        curve.ticks is not None,
        tied,
        error,
        curve.events is not None,
        widest,
    )
    none = np.zeros(1, np.int64)
    steps = [_Step(none + curve.n, none, none, np.ones(1), np.zeros(1), none, none, none, np.zeros(1), none)]
    owing = False  # the cell before had a tick that may still have to be used
    for point in points:
        made = _advance(steps[-1], point, gaps, owing)
        if made is None:
            return None
        steps.append(made)
        owing = point.mark_here
    return [*steps[:-1], _close(steps[-1], points, curve, gaps, len(tail), owing)]


def _close(step: _Step, points: list[_Point], curve: Curve, gaps: _Gaps, marks: int, owing: bool) -> _Step:
    """The last states, weighed by the total of events and by who is left for the ticks and the line after them."""
    breaches = np.zeros(len(step.risk))
    if curve.events is not None:
        gap = np.abs(step.events - curve.events)
        breaches += (gap > 0) * (1 + gap / 10)
    owed = marks + (owing & (step.flag == 0))
    breaches += step.risk < owed
    breaches += gaps.marked & (owed == 0) & (step.risk > 0) & ~(owing & (step.flag == 1))
    if not points or points[-1].is_drop:  # the line goes on after the last drop, so somebody is left
        breaches += (step.risk == 0) & (curve.survival[-1] > gaps.error)
    gain = -BREACH * breaches
    return replace(step, weight=step.weight + gain, gain=step.gain + gain[step.child])


def _advance(step: _Step, point: _Point, gaps: _Gaps, owing: bool) -> _Step | None:
    """Past one gap and one point: censorings, the whole numbers they imply, and the states these merge into."""
    states = len(step.risk)
    used = step.flag == 1
    owed = np.full(states, len(point.marks) if gaps.marked else 0)
    if owing and point.opens:
        owed = owed + ~used
    free = ~used[:0] if not gaps.marked else (owed > 0) | (used & (owing | (not point.opens)))
    flag = np.where(point.opens, 0, step.flag)
    ways = [_ways(step, point, gaps, owed, flag, free, 0.0)]
    if gaps.marked and point.mark_here:  # the tick of this cell stands for censorings before the point
        ways.append(_ways(step, point, gaps, owed + 1, np.ones_like(flag), np.ones(states, bool), BEFORE))
    found = [np.concatenate(parts) for parts in zip(*ways, strict=True)]
    if not len(found[0]) and gaps.marked:  # a tick was missed or is none: go on without, at a price
        loose = replace(gaps, marked=False)
        found = list(_ways(step, point, loose, 0 * owed, flag, free[:0], -BREACH))
    return _merge(step, found, gaps) if len(found[0]) else None


def _ways(step: _Step, point: _Point, gaps: _Gaps, owed: Ints, flag: Ints, free: NDArray[np.bool_], gain: float):
    """Edges out of every state: parent, censored, risk, events, flag and survival after the point, and gain.

    `owed` censorings are shown by ticks; more are allowed where `free`, or everywhere where ticks are unknown.
    """
    parent, censored = _censorings(step, point, gaps, owed, free)
    risk, before = step.risk[parent] - censored, step.survival[parent]
    worth = gain + _log_prior(censored - owed[parent], gaps.tied if gaps.marked else point.expected)
    if point.is_drop:
        deaths = np.maximum(np.rint(risk * (1 - point.value / before)), 1).astype(np.int64)
        after = before * (1 - deaths / risk)
        keep = (deaths <= risk) & (np.abs(after - point.value) <= gaps.error)
        for _, number in point.also:
            worth = worth - BREACH * ((risk != number) & (risk - deaths != number))
    else:
        deaths, after, keep = np.zeros_like(risk), before, np.ones(len(risk), bool)
        worth = worth - BREACH * (risk != point.value)
    columns = (parent, censored, risk - deaths, step.events[parent] + deaths, flag[parent], after, worth)
    return tuple(column[keep] for column in columns)


def _censorings(step: _Step, point: _Point, gaps: _Gaps, owed: Ints, free: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Numbers censored in a gap that are worth trying, as (parent, censored): few, and the exact ones among them."""
    few = owed[:, None]
    floor = 1 if point.is_drop else 0  # somebody must be left to die
    if point.is_drop and gaps.marked and not free.any():
        options = few
    else:
        targets = _targets(step, point, step.risk - owed, gaps.error)
        more = step.risk[:, None] - targets
        if point.is_drop:
            more = np.concatenate([few + LADDER, more], axis=1)
        if gaps.marked:
            more = np.where(free[:, None], more, -1)
        options = np.concatenate([few, more], axis=1)
        options.sort(axis=1)
        options[:, 1:][options[:, 1:] == options[:, :-1]] = -1
    parent, column = np.nonzero((options >= few) & (options <= step.risk[:, None] - floor))
    return parent, options[parent, column]


def _targets(step: _Step, point: _Point, room: Ints, error: float) -> Ints:
    """Numbers at risk to aim for: the printed one, or those that make the drop an exact fraction; (states, some)."""
    if not point.is_drop:
        return np.full((len(room), 1), int(point.value))
    share = 1 - point.value / step.survival
    most = np.floor(room * np.minimum(share + error / step.survival, 1.0)).astype(np.int64)
    deaths = most[:, None] - LADDER[:16]
    risk = np.rint(deaths / np.maximum(share, 1e-9)[:, None]).astype(np.int64)
    printed = np.array([[number] for _, number in point.also], np.int64).reshape(1, -1)
    wanted = np.concatenate([np.where(deaths >= 1, risk, -1), np.repeat(printed, len(room), axis=0)], axis=1)
    return wanted


def _merge(step: _Step, found: list[NDArray], gaps: _Gaps) -> _Step:
    """States that agree in everything that matters later become one; the likeliest way in lends its survival."""
    parent, censored, risk, events, flag, survival, gain = found
    low, high = survival.min(), survival.max()
    parts = min(max(gaps.widest // int(risk.max() - risk.min() + 1), PARTS[0]), PARTS[1])
    part = np.minimum((survival - low) / max(high - low, 1e-15) * parts, parts - 1).astype(np.int64)
    key = (risk * 2 + flag) * parts + part
    if gaps.count_events:
        key = key * (int(events.max()) + 1) + events
    order = np.argsort(key, kind="stable")
    parent, censored, gain, key = parent[order], censored[order], gain[order], key[order]
    start = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    child = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(key))))
    way = step.weight[parent] + gain
    weight = np.logaddexp.reduceat(way, start)
    best = np.lexsort((-way, child))[start]
    lent = order[best]
    made = _Step(risk[lent], events[lent], flag[lent], survival[lent], weight, start, parent, child, gain, censored)
    return (
        made if len(start) <= gaps.widest else _keep(made, np.sort(np.argsort(-weight, kind="stable")[: gaps.widest]))
    )


def _keep(step: _Step, states: Ints) -> _Step:
    """The same step with only these states."""
    number = np.full(len(step.risk), -1)
    number[states] = np.arange(len(states))
    edges = number[step.child] >= 0
    child = number[step.child[edges]]
    return _Step(step.risk[states], step.events[states], step.flag[states], step.survival[states], step.weight[states],
                 np.searchsorted(child, np.arange(len(states))), step.parent[edges], child, step.gain[edges],
                 step.censored[edges])  # fmt: skip


def _backward(steps: list[_Step]) -> list[Floats]:
    """Log weight of everything after each state (a list over steps of (states,)): the backward half of the sum."""
    after = [np.zeros(len(steps[-1].risk))]
    for step, before in zip(steps[:0:-1], steps[-2::-1], strict=True):
        way = step.gain + after[-1][step.child]
        top = way.max()
        total = np.bincount(step.parent, np.exp(np.maximum(way - top, -600)), minlength=len(before.risk))
        after.append(top + np.log(np.maximum(total, 1e-280)))
    return after[::-1]


def _central(steps: list[_Step]) -> list[int]:
    """Edges of the likely path whose numbers at risk are nearest, in sum of squares, to their posterior means.

    The most probable path would put every censoring where the prior is highest; the mean is what a log hazard ratio
    needs, and a path through the lattice, unlike the mean itself, is a set of patients.
    """
    after = _backward(steps)
    cost, choices = np.zeros(1), []
    for before, step, later in zip(steps, steps[1:], after[1:], strict=False):
        state = np.exp(step.weight + later - (step.weight + later).max())
        mean = state @ step.risk / state.sum()
        edge = before.weight[step.parent] + step.gain + later[step.child]
        way = np.where(edge > edge.max() - LIKELY, cost[step.parent], np.inf)
        least = np.minimum.reduceat(way, step.start)
        choices.append(np.lexsort((-edge, way, step.child))[step.start])
        cost = least + (step.risk - mean) ** 2
        if not np.isfinite(cost).any():
            return _likeliest(steps)
    return _trace(steps, choices, int(cost.argmin()))


def _likeliest(steps: list[_Step]) -> list[int]:
    """Edges of the most probable path."""
    score, choices = np.zeros(1), []
    for step in steps[1:]:
        way = score[step.parent] + step.gain
        choices.append(np.lexsort((-way, step.child))[step.start])
        score = way[choices[-1]]
    return _trace(steps, choices, int(score.argmax()))


def _trace(steps: list[_Step], choices: list[Ints], state: int) -> list[int]:
    edges = []
    for step, choice in zip(steps[:0:-1], choices[::-1], strict=True):
        edges.append(int(choice[state]))
        state = int(step.parent[edges[-1]])
    return edges[::-1]


def _sample(steps: list[_Step], rng: np.random.Generator) -> list[int]:
    """Edges of a path drawn with its posterior probability, backwards."""
    last = steps[-1].weight
    state = int(np.argmax(last + rng.gumbel(size=len(last))))
    edges = []
    for before, step in zip(steps[-2::-1], steps[:0:-1], strict=True):
        ends = np.append(step.start, len(step.child))
        low, high = ends[state], ends[state + 1]
        way = before.weight[step.parent[low:high]] + step.gain[low:high]
        edges.append(int(low + np.argmax(way + rng.gumbel(size=high - low))))
        state = int(step.parent[edges[-1]])
    return edges[::-1]


def _from_path(curve, drops, points, tail, steps, edges, rng) -> Patients:
    """Patients of one path: deaths at the drops, censorings at the ticks or spread over their gap."""
    hair = drops.time_error / 4
    deaths, lost, clock, owed = [], [], 0.0, np.empty(0)  # owed: the tick of the last cell, if it can still be used
    risk, end = curve.n, _last_seen(curve, drops.end)
    for point, before, step, edge in zip(points, steps, steps[1:], edges, strict=False):
        child, count = step.child[edge], int(step.censored[edge])
        died = risk - count - int(step.risk[child])
        used, was_used = step.flag[child] == 1, before.flag[step.parent[edge]] == 1
        marks = np.concatenate([owed, point.marks]) if point.opens else np.empty(0)
        early = used and (point.opens or not was_used)
        time = max(_moved(point, risk - count, died, hair), clock + hair * (count > 0 and not point.opens))
        if rng is not None and not point.also and drops.clock == 0:  # anywhere in its grid cell
            time = max(time + drops.time_error * rng.uniform(-1, 1), clock)
        if early:
            marks = np.append(marks, max(time - hair, clock))
        last = point.time > drops.end and count == risk
        lost.append(_spread(count, marks, clock, min(time, end) if last else time, rng, to_end=last))
        deaths.append(np.full(died, time))
        risk, clock = int(step.risk[child]), time
        owed = np.array([clock]) if point.mark_here else np.empty(0)
    lost.append(_spread(risk, np.concatenate([owed, tail]), clock, max(end, clock), rng, to_end=True))
    return _patients(np.concatenate([*deaths, np.empty(0)]), np.concatenate(lost))


def _last_seen(curve: Curve, end: float) -> float:
    """End of follow-up: the end of the line, or a later printed time at which somebody is still at risk."""
    later = curve.risk_time[curve.risk_count > 0]
    return max(end, float(later[-1])) if len(later) else end


def _moved(point: _Point, risk: int, died: int, hair: float) -> float:
    """Time of a drop, moved inside its grid cell where a number printed there counts it on the other side."""
    for printed, number in point.also:
        if point.time < printed and risk == number:
            return printed
        if point.time >= printed and risk != number and risk - died == number:
            return printed - hair
    return point.time


def _spread(count: int, marks: Floats, low: float, high: float, rng, *, to_end: bool) -> Floats:
    """Times of `count` censorings: at the ticks, one each at least; without ticks evenly over the gap."""
    if count == 0:
        return np.empty(0)
    if len(marks):
        extra = count - len(marks)
        if extra < 0:
            return marks[np.linspace(0, len(marks) - 1, count).round().astype(int)]
        return np.repeat(marks, 1 + _shared(extra, len(marks), rng, to_end=to_end))
    if to_end:  # somebody is seen to the end of the line
        inner = _spread(count - 1, marks, low, high, rng, to_end=False)
        return np.append(inner, high)
    place = (np.arange(count) + 0.5) / count if rng is None else np.sort(rng.uniform(size=count))
    return low + (high - low) * place


def _shared(extra: int, marks: int, rng, *, to_end: bool) -> Ints:
    """Censorings beyond one a tick, for each tick: evenly, or after the last drop at the end of the line.

    A line ends where it is cut off, at the data cut or the edge of the figure, and whoever is left leaves there.
    """
    if to_end and (rng is None or rng.uniform() < 0.5):
        return np.where(np.arange(marks) == marks - 1, extra, 0)
    if rng is None:
        return np.diff(np.round(np.linspace(0, extra, marks + 1))).astype(np.int64)
    return rng.multinomial(extra, np.full(marks, 1 / marks))


def _patients(died: Floats, lost: Floats) -> Patients:
    time = np.concatenate([died, lost])
    event = np.concatenate([np.ones(len(died), np.int64), np.zeros(len(lost), np.int64)])
    order = np.lexsort((1 - event, time))
    return time[order], event[order]


# --- clicked curves: whole events for each interval ---------------------------------------------------------------


@dataclass(frozen=True)
class _Interval:
    """Patients between two printed numbers: `enter` at `low`, `leave` at `high`, the difference lost to either cause.

    `where` (positions,): typical times of censoring. The last interval of a curve is `open`: nobody leaves it, and how
    many are censored in it is known from `where` alone.
    """

    low: float
    high: float
    enter: int
    leave: int
    where: Floats
    open: bool


def _solve_clicked(curve: Curve):
    """Best patients, sampler and notes for a clicked curve."""
    line = fit_clicks(curve)
    kept, notes = _trusted_rows(curve, line)
    best, gap = _fill(kept, line, None)
    if kept.events is not None and gap > max(GIVE, 5 * line.click_error):
        free = replace(kept, events=None)
        other, less = _fill(free, line, None)
        if less < gap / 2:
            text = f"the total moves the curve by {gap:.3f}, numbers at risk alone by {less:.3f}: the total gave way"
            found = int(other[1].sum())
            notes.append(_note("events", text, printed=kept.events, reconstructed=found, status="contradicted"))
            kept, best = free, other
    return best, lambda rng: _fill(kept, redraw(line, rng), rng)[0], [*notes, _click_note(line)]


def _fill(curve: Curve, line: Line, rng: np.random.Generator | None) -> tuple[Patients, float]:
    """Patients along a line, and the largest distance from it at the ends of the intervals."""
    line = _agreeing(curve, line)
    intervals = _intervals(curve, line, rng)
    deaths = _allocate(curve, line, intervals, rng)
    survival, gap, died, lost = 1.0, 0.0, [], []
    for part, count in zip(intervals, deaths.tolist(), strict=True):
        times, gone, survival = _settle(part, line, count, survival, rng)
        gap = max(gap, abs(survival - _end_level(part, line)))
        died.append(times)
        lost.append(gone)
    return _patients(np.concatenate(died), np.concatenate(lost)), gap


def _agreeing(curve: Curve, line: Line) -> Line:
    """The line moved to the survival most plausible at the printed times, given all numbers at risk at once.

    r(t) = n S(t) G(t), with G the Kaplan-Meier curve of being censored, and G cannot rise. Where few are censored,
    errors of the line make it seem to; taken interval by interval G would follow the lowest of its errors, and too few
    would die. So log S is fitted to the line at all printed times with its covariance, under falls g >= 0 of log G with
    density 1 / (g + s): any size as likely as any other on the log scale, down to s, what clicks and whole patients
    can tell from nobody censored. The mode, by nonnegative least squares with the log density made linear in turn.
    """
    seen = (curve.risk_count > 0) & (curve.risk_time < line.time[-1])
    at, count = curve.risk_time[seen], curve.risk_count[seen]
    height = line.before(at)
    if not len(at) or height.min() <= 0:
        return line
    covariance = log_covariance(line, at) + 1e-9 * np.eye(len(at))
    root = np.linalg.cholesky(np.linalg.inv(covariance)).T
    falls = np.tril(np.ones((len(at), len(at))))
    steps = np.linalg.solve(falls, np.linalg.solve(falls, covariance).T)
    resolved = np.hypot(np.sqrt(np.diag(steps)), 1 / count)
    if curve.ticks is not None:  # where there are no ticks, nobody was censored
        some = np.histogram(curve.ticks, np.append(0.0, at))[0] > 0
        falls, resolved = falls[:, some], resolved[some]
    left = np.log(count / curve.n)  # log S if nobody is censored
    goal, matrix = root @ (np.log(height) - left), root @ falls
    fall = pull = np.zeros(len(resolved))
    for _ in range(ROUNDS if len(pull) else 0):
        fall = nnls(matrix, goal - np.linalg.pinv(matrix.T) @ pull)[0]
        pull = 1 / (fall + resolved)
    return through(line, at, np.minimum(np.exp(left + falls @ fall), 1.0))


def _intervals(curve: Curve, line: Line, rng: np.random.Generator | None) -> list[_Interval]:
    some = curve.risk_count > 0
    times = np.concatenate([[0.0], curve.risk_time[some]])
    counts = np.concatenate([[curve.n], curve.risk_count[some]])
    end = max(float(line.time[-1]), float(times[-1]))
    if not some.all():  # nobody left at the first printed zero: follow-up ends before it
        end = max(min(end, float(np.nextafter(curve.risk_time[~some][0], 0))), float(times[-1]))
    parts = [
        _Interval(low, high, int(a), int(b), _typical(curve, low, high), False)
        for low, high, a, b in zip(times[:-1], times[1:], counts[:-1], counts[1:], strict=True)
    ]
    begun = any(_expected_deaths(p, line, float(line.before(p.low)))[0] < p.enter - p.leave - 0.5 for p in parts)
    where = _typical(curve, float(times[-1]), end, tail=True, begun=begun, rng=rng)
    return [*parts, _Interval(float(times[-1]), end, int(counts[-1]), 0, where, True)]


def _typical(curve: Curve, low: float, high: float, *, tail=False, begun=False, rng=None) -> Floats:
    """Times that stand for the law of censoring in an interval: its ticks, or evenly spaced; in the tail staggered."""
    if curve.ticks is not None:
        marks = curve.ticks[(curve.ticks >= low) & ((curve.ticks <= high) if tail else (curve.ticks < high))]
        if len(marks) or not tail:
            return marks
    share = (np.arange(QUANTILES) + 0.5) / QUANTILES
    if tail and not begun:
        if rng is None:
            x = np.linspace(0, 1, 513)
            share = np.interp(share, 1 - staggered(x), x)
        else:
            first = rng.uniform()
            share = first + (1 - first) * share
    return low + (high - low) * share


def _end_level(part: _Interval, line: Line) -> float:
    """The line at the end of an interval; a death at a printed time belongs to the next one."""
    return float(line(part.high)) if part.open else float(line.before(part.high))


def _expected_deaths(part: _Interval, line: Line, start: float, stretch: float = 1.0) -> tuple[float, float]:
    """Deaths, not whole, for which numbers at risk and line agree, and survival at the end, from `start` at `low`.

    With c censored at times u, at risk at the end r = enter S(high)/S(low) - c E[S(high)/S(u)]. Between printed numbers
    that is `leave`, which gives c; in the open interval u is the law of every patient's time of censoring. Where the
    line falls more, or less, than the numbers allow, they decide, and the next interval starts from there.
    """
    goal = min(_end_level(part, line), start)
    end = goal / max(start, 1e-9)
    lost = part.enter - part.leave
    if not len(part.where):  # ticks are known and there are none here: nobody was censored
        return float(lost), start * part.leave / max(part.enter, 1)
    alive = np.clip(line(_stretched(part, stretch)) / max(start, 1e-9), max(end, 1e-9), 1.0)
    if part.open:
        return part.enter * float(np.mean(1 - alive)), goal
    censored = (part.enter * end - part.leave) / max(float(np.mean(end / alive)), 1e-9)
    if censored <= 0:
        return float(lost), start * part.leave / max(part.enter, 1)
    return (lost - censored, goal) if censored < lost else (0.0, start)


def _stretched(part: _Interval, stretch: float) -> Floats:
    """The typical times of censoring moved earlier (stretch > 1) or later (< 1) inside their interval."""
    width = part.high - part.low
    return part.low + width * ((part.where - part.low) / max(width, 1e-12)) ** stretch


def _allocate(curve: Curve, line: Line, parts: list[_Interval], rng: np.random.Generator | None) -> Ints:
    """Whole deaths for each interval: what line and numbers at risk expect, and the total of events where it is given.

    Deaths expected in an interval are uncertain because the times of censoring in it are (log stretch of sd STRETCH)
    and because clicks err; a total is met by moving each interval as its variance allows, so none takes it all.
    """
    most = np.array([p.enter - p.leave for p in parts])
    (expected, late, early), level = np.zeros((3, len(parts))), 1.0
    for i, part in enumerate(parts):
        late[i], early[i] = (_expected_deaths(part, line, level, np.exp(z))[0] for z in (-STRETCH, STRETCH))
        expected[i], level = _expected_deaths(part, line, level)
    sd = np.hypot(np.abs(late - early) / 2, np.array([p.enter for p in parts]) * line.click_error)
    if rng is not None:
        expected = np.clip(expected + sd * rng.standard_normal(len(parts)), 0.0, most)
    if curve.events is not None:
        expected = _towards(expected, np.maximum(sd, 0.01), most, min(curve.events, int(most.sum())))
    return np.diff(np.rint(np.cumsum(np.append(0.0, expected)))).astype(np.int64).clip(0, most)


def _towards(expected: Floats, sd: Floats, most: Ints, total: int) -> Floats:
    """Least sum of ((deaths - expected) / sd)^2 with the total met and every interval within 0 and `most`."""

    def at(pull: float) -> Floats:
        return np.clip(expected + pull * sd**2, 0.0, most)

    high = float(most.sum() + 1) / float(sd.min()) ** 2
    low = -high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle).sum() < total else (low, middle)
    return at(high)


def _settle(part: _Interval, line: Line, deaths: int, survival: float, rng) -> tuple[Floats, Floats, float]:
    """Deaths and censorings of an interval, and survival after it; the censorings are stretched to meet the line."""
    count = part.enter - part.leave - deaths
    place = (np.arange(count) + 0.5) / count if rng is None and count else np.sort(_uniform(rng, count))
    widest = OPEN_STRETCH if part.open else 2 * STRETCH
    goal, low, high = _end_level(part, line), -widest, widest
    marked = not part.open and len(part.where) != QUANTILES

    def tried(stretch: float) -> tuple[Floats, Floats, float]:
        if marked:
            lost = _spread(count, part.where, part.low, part.high, rng, to_end=False)
        else:
            lost = _quantiles(part, line, place, stretch)
        times, after = _place(part, line, deaths, lost, survival)
        return times, lost, after

    if marked or not count or not deaths:
        return tried(1.0)
    for _ in range(12):  # earlier censorings leave fewer at risk, so the same deaths cut deeper
        middle = (low + high) / 2
        low, high = (middle, high) if tried(np.exp(middle))[2] > goal else (low, middle)
    return tried(np.exp((low + high) / 2))


def _uniform(rng: np.random.Generator | None, count: int) -> Floats:
    return np.empty(0) if rng is None else rng.uniform(size=count)


def _quantiles(part: _Interval, line: Line, place: Floats, stretch: float) -> Floats:
    """Times of censoring at these quantiles of the stretched law; in the open interval among those still alive."""
    if not len(place):
        return np.empty(0)
    law = _stretched(part, stretch)
    if not part.open:
        return np.interp(place, (np.arange(len(law)) + 0.5) / len(law), law)
    alive = np.maximum(line(law), 1e-9)
    cumulative = (np.cumsum(alive) - alive / 2) / alive.sum()
    times = np.interp(place, cumulative, law)
    if line.survival[-1] > 0:  # somebody is seen to the end of the line
        times[-1] = part.high
    return times


def _place(part: _Interval, line: Line, deaths: int, lost: Floats, survival: float) -> tuple[Floats, float]:
    """Times of the deaths: each where the line crosses the middle of its drop; and survival after them.

    A line through clicks runs through the middle of the steps, so a drop belongs where the line is halfway down it.
    Where the drops end off the line by more than half a step, the line is bent to meet them.
    """
    if deaths == 0:
        return np.empty(0), survival
    inside = (line.time > part.low) & (line.time < part.high)
    knots = np.concatenate([[part.low], line.time[inside], [part.high]])
    height = np.concatenate([[float(line.before(part.low))], line.survival[inside], [_end_level(part, line)]])

    def levels(times: Floats) -> Floats:
        risk = part.enter - np.arange(deaths) - np.searchsorted(lost, times, side="left")
        return survival * np.cumprod(np.concatenate([[1.0], 1 - 1 / np.maximum(risk, 1)]))

    def off(times: Floats) -> float:
        reached = levels(times)
        return float(np.abs((reached[:-1] + reached[1:]) / 2 - line(times)).mean())

    last = part.high if part.open else np.nextafter(part.high, part.low)
    times = part.low + (part.high - part.low) * (np.arange(deaths) + 0.5) / deaths
    best = (np.inf, times)
    for _ in range(30):  # mostly settles; where few are left at the end it may go in circles: the nearest is kept
        reached = levels(times)
        old, times = times, np.clip(_crossings(knots, _bent(height, reached), reached), part.low, last)
        best = min(best, (off(times), times), key=lambda b: b[0])
        if np.array_equal(old, times):
            break
    return best[1], float(levels(best[1])[-1])


def _crossings(knots: Floats, height: Floats, levels: Floats) -> Floats:
    """Times at which a falling line passes the middles of the drops between `levels`; past its end, the end."""
    middle = (levels[:-1] + levels[1:]) / 2
    return np.interp(-middle, -np.minimum.accumulate(height), knots)


def _bent(height: Floats, levels: Floats) -> Floats:
    """The line moved so that it starts and ends within half a step of `levels`, in proportion to its fall."""
    fall = height[0] - height[-1]
    share = (height[0] - height) / fall if fall > 1e-12 else np.linspace(0, 1, len(height))
    step = (levels[0] - levels[-1]) / (len(levels) - 1)
    off = np.array([levels[0] - height[0], levels[-1] - height[-1]])
    off = np.sign(off) * np.maximum(np.abs(off) - step / 2, 0.0)
    bent = height + off[0] * (1 - share) + off[1] * share
    return bent if bent[0] - bent[-1] > 1e-12 else levels[0] + (levels[-1] - levels[0]) * share


def _trusted_rows(curve: Curve, line: Line) -> tuple[Curve, list[dict]]:
    """The curve without printed numbers at risk that the line cannot mean, and a note for each left out."""
    notes = []
    while len(curve.risk_time):
        worst = _violation(curve, line)
        if worst.max() <= max(GIVE, 5 * line.click_error):
            break
        k = int(worst.argmax())
        choices = [i for i in (k - 1, k) if i >= 0]
        trials = [
            replace(curve, risk_time=np.delete(curve.risk_time, i), risk_count=np.delete(curve.risk_count, i))
            for i in choices
        ]
        best = int(np.argmin([_violation(t, line).sum() for t in trials]))
        time, count = curve.risk_time[choices[best]], curve.risk_count[choices[best]]
        text = f"more at risk than the fall of the curve leaves, by {worst[k]:.3f} of survival: this number gave way"
        notes.append(_note("at_risk", text, time=float(time), printed=int(count), status="contradicted"))
        curve = trials[best]
    return curve, notes


def _violation(curve: Curve, line: Line) -> Floats:
    """How far the curve must rise at each printed time for the numbers at risk to be possible without censoring."""
    if not len(curve.risk_time):
        return np.empty(0)
    counts = np.concatenate([[curve.n], curve.risk_count]).astype(float)
    alive = np.array([1.0, *line.before(curve.risk_time)])
    one = alive[:-1] / np.maximum(counts[:-1], 1.0)  # a step of the curve: nearer than that, whole numbers cannot be
    return np.maximum(one * (counts[1:] - 1) - alive[1:], 0.0)


# --- what is reported ---------------------------------------------------------------------------------------------


def _note(check: str, note: str, *, time=np.nan, printed=np.nan, reconstructed=np.nan, status="changed") -> dict:
    return {
        "check": check,
        "time": time,
        "printed": printed,
        "reconstructed": reconstructed,
        "status": status,
        "note": note,
    }


def _click_note(line: Line) -> dict:
    text = "estimated sd of a click, as a share of either axis"
    return _note("click_error", text, reconstructed=round(line.click_error, 5), status="uncertain")


def _finish(curve: Curve, method: str, patients: Patients, sampler, notes: list[dict]) -> Reconstruction:
    rows = [*_totals(curve, patients, notes), *_fit_rows(curve, method, patients), *notes]
    rows += [_note("input", change) for change in curve.changes]
    return Reconstruction(_table(patients), pd.DataFrame(rows), curve, method, sampler)


def _table(patients: Patients) -> pd.DataFrame:
    return pd.DataFrame({"time": patients[0], "event": patients[1]})


def _totals(curve: Curve, patients: Patients, notes: list[dict]) -> list[dict]:
    """One row for each printed number: n, events, numbers at risk, ticks."""
    time, event = patients
    rows = [_compared("n", curve.n, len(time))]
    if curve.events is None:
        rows.append(
            _note(
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
            _note("censoring", "no ticks: times of censoring are spread between known times", status="uncertain")
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
    note = (
        ""
        if gap == 0
        else f"reconstructed {found} is {abs(gap)} {'more' if gap > 0 else 'fewer'} than printed {printed}"
    )
    return _note(
        check, note, time=time, printed=printed, reconstructed=found, status="honoured" if gap == 0 else "contradicted"
    )


def _fit_rows(curve: Curve, method: str, patients: Patients) -> list[dict]:
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
    return [_note("survival", text, **numbers, status=status)]
