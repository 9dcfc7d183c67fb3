"""Whole patients along a line: where the chain over patients behind clicks starts.

`_allocate` chooses whole events for each interval of the at-risk table, `_place_deaths` puts them where the line falls.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from bayes_bm.reconstruction.clicked.line import Line, condition_line, log_covariance
from bayes_bm.reconstruction.curve import Curve, Floats, Ints
from bayes_bm.reconstruction.patients import Patients, patients_of, spread_censorings, staggered

STRETCH = 0.5
"""Sd of the log exponent by which times of censoring may crowd to one end of an interval."""
OPEN_STRETCH = 8.0
"""Largest such log exponent where nobody was counted at the end."""
EARLIER = 1.3
"""Sd of the log exponent of the distribution of censoring where nobody was counted: early, even or late."""
UNBROKEN = 0.2
"""Share of draws in which nobody is censored before the end of an interval where nobody was counted."""
QUANTILES = 64
"""Points that stand for a distribution of censoring."""
ROUNDS = 6
"""Rounds of making the prior of censoring linear; it settles in three or four."""


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
    """Return patients along a line, and the largest distance from it at the ends of the intervals."""
    line = _agree_with_counts(curve, line)
    intervals = _intervals(curve, line, rng)
    deaths = _allocate(curve, line, intervals, rng)
    survival, gap, died, lost = 1.0, 0.0, [], []
    for part, count in zip(intervals, deaths.tolist(), strict=True):
        filled = _fill_interval(part, line, count, survival, rng)
        survival = filled.survival
        gap = max(gap, abs(survival - _end_level(part, line)))
        died.append(filled.died)
        lost.append(filled.lost)
    return patients_of(np.concatenate(died), np.concatenate(lost)), gap


def _agree_with_counts(curve: Curve, line: Line) -> Line:
    """Move the line to the survival most plausible at the printed times, given all numbers at risk at once.

    r(t) = n S(t) G(t), with G the Kaplan-Meier curve of being censored, and G cannot rise. Where few are censored,
    errors of the line make it seem to; taken interval by interval G would follow the lowest of its errors, and too few
    would die. So log S is fitted to the line at all printed times with its covariance, under falls g >= 0 of log G with
    density 1 / (g + s): any size as likely as any other on the log scale, down to s, what clicks and whole patients
    can tell from nobody censored. The mode, by nonnegative least squares with the log density made linear in turn.
    """
    seen = (curve.risk_count > 0) & (curve.risk_time < line.time[-1])
    times, count = curve.risk_time[seen], curve.risk_count[seen]
    height = line.left_limit(times)
    if not len(times) or height.min() <= 0:
        return line
    covariance = log_covariance(line, times) + 1e-9 * np.eye(len(times))
    root = np.linalg.cholesky(np.linalg.inv(covariance)).T
    falls = np.tril(np.ones((len(times), len(times))))
    steps = np.linalg.solve(falls, np.linalg.solve(falls, covariance).T)
    resolved = np.hypot(np.sqrt(np.diag(steps)), 1 / count)
    if curve.ticks is not None:  # where there are no ticks, nobody was censored
        some = np.histogram(curve.ticks, np.append(0.0, times))[0] > 0
        falls, resolved = falls[:, some], resolved[some]
    log_uncensored = np.log(count / curve.n)  # log S if nobody is censored
    goal, matrix = root @ (np.log(height) - log_uncensored), root @ falls
    fall = pull = np.zeros(len(resolved))
    for _ in range(ROUNDS if len(pull) else 0):
        fall = nnls(matrix, goal - np.linalg.pinv(matrix.T) @ pull)[0]
        pull = 1 / (fall + resolved)
    return condition_line(line, times, np.minimum(np.exp(log_uncensored + falls @ fall), 1.0))


def _intervals(curve: Curve, line: Line, rng: np.random.Generator | None) -> list[_Interval]:
    """Return the intervals between printed numbers at risk, and the open one after the last."""
    some = curve.risk_count > 0
    times = np.concatenate([[0.0], curve.risk_time[some]])
    counts = np.concatenate([[curve.n], curve.risk_count[some]])
    end = max(float(line.time[-1]), float(times[-1]))
    if not some.all():  # nobody left at the first printed zero: follow-up ends before it
        end = max(min(end, float(np.nextafter(curve.risk_time[~some][0], 0))), float(times[-1]))
    parts = [
        _Interval(low, high, int(a), int(b), _censoring_times(curve, low, high), False)
        for low, high, a, b in zip(times[:-1], times[1:], counts[:-1], counts[1:], strict=True)
    ]
    begun = any(_expected_deaths(p, line, float(line.left_limit(p.low)))[0] < p.enter - p.leave - 0.5 for p in parts)
    where = _censoring_times(curve, float(times[-1]), end, tail=True, begun=begun, rng=rng)
    return [*parts, _Interval(float(times[-1]), end, int(counts[-1]), 0, where, True)]


def _censoring_times(curve: Curve, low: float, high: float, *, tail=False, begun=False, rng=None) -> Floats:
    """Return times that stand for the distribution of censoring in an interval.

    They are its ticks, or evenly spaced; in the tail they are staggered.
    """
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
    """Return the height of the line at the end of an interval; a death at a printed time belongs to the next one."""
    return float(line(part.high)) if part.open else float(line.left_limit(part.high))


def _expected_deaths(part: _Interval, line: Line, start: float, stretch: float = 1.0) -> tuple[float, float]:
    """Return the deaths, not whole, for which numbers at risk and line agree, and survival at the end.

    Survival is `start` at `low`.

    With c censored at times u, at risk at the end r = enter S(high)/S(low) - c E[S(high)/S(u)]. Between printed numbers
    that is `leave`, which gives c; in the open interval u is the distribution of every patient's time of censoring.
    Where the line falls more, or less, than the numbers allow, they decide, and the next interval starts from there.
    """
    goal = min(_end_level(part, line), start)
    end = goal / max(start, 1e-9)
    lost = part.enter - part.leave
    if not len(part.where):  # ticks are known and there are none here: nobody was censored
        return float(lost), start * part.leave / max(part.enter, 1)
    alive = np.clip(line(_stretch(part, stretch)) / max(start, 1e-9), max(end, 1e-9), 1.0)
    if part.open:
        return part.enter * float(np.mean(1 - alive)), goal
    censored = (part.enter * end - part.leave) / max(float(np.mean(end / alive)), 1e-9)
    if censored <= 0:
        return float(lost), start * part.leave / max(part.enter, 1)
    return (lost - censored, goal) if censored < lost else (0.0, start)


def _stretch(part: _Interval, stretch: float) -> Floats:
    """Move the typical times of censoring earlier (stretch > 1) or later (< 1) inside their interval."""
    width = part.high - part.low
    return part.low + width * ((part.where - part.low) / max(width, 1e-12)) ** stretch


def _allocate(curve: Curve, line: Line, parts: list[_Interval], rng: np.random.Generator | None) -> Ints:
    """Return whole deaths for each interval (intervals,).

    They are what line and numbers at risk expect, and add up to the total of events where it is given.

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
        expected = _meet_total(expected, np.maximum(sd, 0.01), most, min(curve.events, int(most.sum())))
    return np.diff(np.rint(np.cumsum(np.append(0.0, expected)))).astype(np.int64).clip(0, most)


def _meet_total(expected: Floats, sd: Floats, most: Ints, total: int) -> Floats:
    """Return the deaths with the least sum of ((deaths - expected) / sd)^2 that meet the total.

    Every interval stays within 0 and `most`.
    """

    def moved_deaths(pull: float) -> Floats:
        """Return the deaths moved by `pull` times their variances."""
        return np.clip(expected + pull * sd**2, 0.0, most)

    high = float(most.sum() + 1) / float(sd.min()) ** 2
    low = -high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if moved_deaths(middle).sum() < total else (low, middle)
    return moved_deaths(high)


class _Filled(NamedTuple):
    """Times of deaths and of censorings in one interval, and survival after it."""

    died: Floats
    lost: Floats
    survival: float


def _fill_interval(part: _Interval, line: Line, deaths: int, survival: float, rng) -> _Filled:
    """Place deaths and censorings in an interval; the censorings are stretched to meet the line."""
    count = part.enter - part.leave - deaths
    place = (np.arange(count) + 0.5) / count if rng is None and count else np.sort(_uniform(rng, count))
    widest = OPEN_STRETCH if part.open else 2 * STRETCH
    goal, low, high = _end_level(part, line), -widest, widest
    marked = not part.open and len(part.where) != QUANTILES

    def fill(stretch: float) -> _Filled:
        """Fill the interval with the censorings stretched."""
        if marked:
            lost = spread_censorings(count, part.where, part.low, part.high, rng, to_end=False)
        else:
            lost = _quantiles(part, line, place, stretch)
        times, end_survival = _place_deaths(part, line, deaths, lost, survival)
        return _Filled(times, lost, end_survival)

    if marked or not count or not deaths:
        return fill(1.0)
    for _ in range(4):  # earlier censorings leave fewer at risk, so the same deaths cut deeper
        middle = (low + high) / 2
        low, high = (middle, high) if fill(np.exp(middle)).survival > goal else (low, middle)
    return fill(np.exp((low + high) / 2))


def _uniform(rng: np.random.Generator | None, count: int) -> Floats:
    """Draw quantiles; none without a generator."""
    return np.empty(0) if rng is None else rng.uniform(size=count)


def _quantiles(part: _Interval, line: Line, place: Floats, stretch: float) -> Floats:
    """Return times of censoring at these quantiles of the stretched distribution.

    In the open interval they are quantiles among those still alive.
    """
    if not len(place):
        return np.empty(0)
    censoring_times = _stretch(part, stretch)
    if not part.open:
        return np.interp(place, (np.arange(len(censoring_times)) + 0.5) / len(censoring_times), censoring_times)
    alive = np.maximum(line(censoring_times), 1e-9)
    cumulative = (np.cumsum(alive) - alive / 2) / alive.sum()
    times = np.interp(place, cumulative, censoring_times)
    if line.survival[-1] > 0:  # somebody is seen to the end of the line
        times[-1] = part.high
    return times


def _place_deaths(part: _Interval, line: Line, deaths: int, lost: Floats, survival: float) -> tuple[Floats, float]:
    """Return the times of the deaths, each where the line crosses the middle of its drop, and survival after them.

    A line through clicks runs through the middle of the steps, so a drop belongs where the line is halfway down it.
    Where the drops end off the line by more than half a step, the line is bent to meet them.
    """
    if deaths == 0:
        return np.empty(0), survival
    is_inside = (line.time > part.low) & (line.time < part.high)
    knots = np.concatenate([[part.low], line.time[is_inside], [part.high]])
    height = np.concatenate([[float(line.left_limit(part.low))], line.survival[is_inside], [_end_level(part, line)]])

    def levels(times: Floats) -> Floats:
        """Return survival before the first death and after each (deaths + 1,)."""
        risk = part.enter - np.arange(deaths) - np.searchsorted(lost, times, side="left")
        return survival * np.cumprod(np.concatenate([[1.0], 1 - 1 / np.maximum(risk, 1)]))

    def distance(times: Floats) -> float:
        """Return the mean distance of the middles of the drops from the line."""
        reached = levels(times)
        return float(np.abs((reached[:-1] + reached[1:]) / 2 - line(times)).mean())

    last = part.high if part.open else np.nextafter(part.high, part.low)
    times = part.low + (part.high - part.low) * (np.arange(deaths) + 0.5) / deaths
    best = (np.inf, times)
    for _ in range(5):  # mostly settles; where few are left at the end it may go in circles: the nearest is kept
        reached = levels(times)
        old, times = times, np.clip(_crossings(knots, _bend(height, reached), reached), part.low, last)
        best = min(best, (distance(times), times), key=lambda b: b[0])
        if np.array_equal(old, times):
            break
    return best[1], float(levels(best[1])[-1])


def _crossings(knots: Floats, height: Floats, levels: Floats) -> Floats:
    """Return the times at which a falling line passes the middles of the drops between `levels`.

    Where the line ends before, its end stands in.
    """
    middle = (levels[:-1] + levels[1:]) / 2
    return np.interp(-middle, -np.minimum.accumulate(height), knots)


def _bend(height: Floats, levels: Floats) -> Floats:
    """Move the line so that it starts and ends within half a step of `levels`, in proportion to its fall."""
    fall = height[0] - height[-1]
    share = (height[0] - height) / fall if fall > 1e-12 else np.linspace(0, 1, len(height))
    step = (levels[0] - levels[-1]) / (len(levels) - 1)
    offset = np.array([levels[0] - height[0], levels[-1] - height[-1]])
    offset = np.sign(offset) * np.maximum(np.abs(offset) - step / 2, 0.0)
    bent = height + offset[0] * (1 - share) + offset[1] * share
    return bent if bent[0] - bent[-1] > 1e-12 else levels[0] + (levels[-1] - levels[0]) * share
