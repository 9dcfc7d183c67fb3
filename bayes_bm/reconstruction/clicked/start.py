"""Whole patients along a line: where the chain over patients behind clicks starts.

`_allocate` chooses whole events for each interval of the at-risk table, `_place` puts them where the line falls.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from bayes_bm.reconstruction.clicked.line import Line, log_covariance, through
from bayes_bm.reconstruction.curve import Curve, Floats, Ints
from bayes_bm.reconstruction.patients import Patients, patients_of, spread, staggered

STRETCH = 0.5  # sd of the log exponent by which times of censoring may crowd to one end of an interval
OPEN_STRETCH = 8.0  # largest such log exponent where nobody was counted at the end
EARLIER = 1.3  # sd of the log exponent of the law of censoring where nobody was counted: early, even or late
UNBROKEN = 0.2  # share of draws in which nobody is censored before the end of an interval where nobody was counted
QUANTILES = 64  # points that stand for a law of censoring
ROUNDS = 6  # of making the prior of censoring linear; settles in three or four


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


def starting_patients(curve: Curve, line: Line, rng: np.random.Generator | None) -> tuple[Patients, float]:
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
    return patients_of(np.concatenate(died), np.concatenate(lost)), gap


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
            first = 1.0 if rng.uniform() < UNBROKEN else rng.uniform()
            share = first + (1 - first) * share ** np.exp(EARLIER * rng.standard_normal())
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
            lost = spread(count, part.where, part.low, part.high, rng, to_end=False)
        else:
            lost = _quantiles(part, line, place, stretch)
        times, after = _place(part, line, deaths, lost, survival)
        return times, lost, after

    if marked or not count or not deaths:
        return tried(1.0)
    for _ in range(4):  # earlier censorings leave fewer at risk, so the same deaths cut deeper
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
    for _ in range(5):  # mostly settles; where few are left at the end it may go in circles: the nearest is kept
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
