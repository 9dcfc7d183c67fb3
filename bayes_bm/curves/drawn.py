"""Patients from a drawn curve: exact whole numbers.

A drop of d events among r at risk multiplies the curve by 1 - d/r, so a drawn curve (vector graphics) is a list of
fractions with unknown whole numbers. `_lattice` walks along the drops and keeps every (at risk, events so far) that
reproduces all heights within rounding, with the printed numbers at risk, the total of events and the ticks as checks;
`_central` picks the path nearest the posterior mean of the number at risk, `_sample` draws others.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bayes_bm.curves.drops import Drops, drops_of
from bayes_bm.curves.findings import note
from bayes_bm.curves.patients import Patients, patients_of, spread, staggered
from bayes_bm.curves.reading import Curve, Floats, Ints

BREACH = 12.0  # nats a path pays for a printed number it does not reproduce: rarer than anything else it can do
BEFORE = float(np.log(0.25))  # a tick drawn at a drop stands for censorings before it: the tie rule says after
HEAP = 0.05  # share of gaps between drops in which many may be censored at once (a data cut, a visit)
LIKELY = 9.0  # nats below the likeliest edge of a step beyond which the central path does not go
STATES = 60_000, 300, 4000  # states kept over all points; fewest and most after one: many where drops are few
PARTS = 8, 64  # fewest and most parts of the window of survival in which states with the same counts are kept apart
SURVIVAL_ERRORS = (1e-9, 5e-5, 2.5e-4, 1e-3, 5e-3)  # tried in turn until the drops are fractions of whole numbers
LADDER = np.unique(np.concatenate([np.arange(9), np.rint(8 * 1.25 ** np.arange(1, 30))])).astype(np.int64)


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


def solve_drawn(curve: Curve):
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
        notes = [] if error <= own else [note("survival", text)]
        if drops.clock:
            notes.append(
                note("time", f"all drops are multiples of {drops.clock:.6g} within half a grid cell: moved there")
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
        lost.append(spread(count, marks, clock, min(time, end) if last else time, rng, to_end=last))
        deaths.append(np.full(died, time))
        risk, clock = int(step.risk[child]), time
        owed = np.array([clock]) if point.mark_here else np.empty(0)
    lost.append(spread(risk, np.concatenate([owed, tail]), clock, max(end, clock), rng, to_end=True))
    return patients_of(np.concatenate([*deaths, np.empty(0)]), np.concatenate(lost))


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
