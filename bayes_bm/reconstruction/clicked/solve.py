"""Patients from a clicked curve: the middle of all plausible ones, and draws from them.

A line through the clicks (`line`) is filled with whole patients (`start`); from there a chain over patients
(`mcmc`) goes through what clicks, numbers at risk and totals allow. Printed whole numbers outrank clicks.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from bayes_bm.reconstruction.clicked.last_deaths import settle_last_deaths
from bayes_bm.reconstruction.clicked.line import Line, fit_clicks, pushed_down, redraw
from bayes_bm.reconstruction.clicked.mcmc import CENSORED, DEATH, LAST, PITCH, Arm, States, sample_patients
from bayes_bm.reconstruction.clicked.median_step import place_median_step
from bayes_bm.reconstruction.clicked.start import starting_patients
from bayes_bm.reconstruction.curve import SAME, Curve, Floats, Ints
from bayes_bm.reconstruction.diagnostics import input_row, note
from bayes_bm.reconstruction.patients import Patients, Solution, patients_of

GIVE = 0.03
"""Survival by which printed numbers may pull the curve before they are called a contradiction."""
SEED = 20120112
"""Seed of the chain behind the best patients: the same input gives the same patients."""
STATES = 40
"""States of the chain behind the best patients."""
SETTLING = 15
"""States' worth of sweeps before the first that is kept."""
WORTH = 0.35
"""Share for which a click counts in draws.

At 1 the ranges of draws, from short chains, are too narrow (docs/reconstruction.md).
"""
ALONE = 30
"""States' worth of sweeps before the only state that is kept, of the chain behind one draw."""
EFFORT = 15_000
"""Patients times clicks times sweeps between two states that are kept."""
MOST_SWEEPS = 8
"""Most sweeps between two states."""
LEAST_ERROR = 5e-4
"""Least click error, a share of an axis, that the chain may start from."""
LARGEST_ERROR = 0.05
"""Largest click error, a share of an axis, that the chain may start from."""
EARLIEST = 1e-6
"""Share of the axis before which nobody leaves: a patient seen until 0 is no patient."""
SEEN_END = 0.3
"""Click errors past the last click that follow-up may end where its end was clicked on."""


MOST_CLICKS = 1000
"""Clicks that are used, evenly chosen: a hundred tell a line as well as it can be told, and time grows with them."""
MOST_PATIENTS = 5000
"""Patients up to which the chain runs (5 s); of more a step is far smaller than a click errs, and the line decides."""


def solve_clicked(curve: Curve) -> Solution:
    """Rebuild the patients of a clicked curve."""
    with _one_thread():
        return _solved(curve)


def _one_thread():
    """Hold the linear algebra to one thread: for matrices of a hundred rows a second costs more than it saves."""
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    """Return the controller of the threads of the linear algebra, made once."""
    return ThreadpoolController()


def _solved(curve: Curve) -> Solution:
    """Rebuild the patients, with printed rows that the line cannot mean left out."""
    curve, thinned = _thin_clicks(curve)
    line = fit_clicks(curve)
    kept, notes = _trusted_rows(curve, line)
    notes = thinned + notes
    best, gap = starting_patients(kept, line, None)
    if kept.events is not None and gap > max(GIVE, 5 * line.click_error):
        free = replace(kept, events=None)
        other, less = starting_patients(free, line, None)
        if less < gap / 2:
            text = f"the total moves the curve by {gap:.3f}, numbers at risk alone by {less:.3f}: the total gave way"
            total = int(other[1].sum())
            notes.append(note("events", text, printed=kept.events, reconstructed=total, status="contradicted"))
            kept, best = free, other
    plausible = _PlausiblePatients(kept, line, _arm(kept, line))
    if kept.n > MOST_PATIENTS:
        text = f"{kept.n} patients: they follow the line through the clicks, no chain was run over them"
        return Solution(best, plausible.draw_along_line, [*notes, input_row(text), _click_note(line.click_error)])
    # the line tells the total better than fifty states of a chain that moves it slowly, and a middle needs one total
    states = replace(plausible, arm=plausible.arm._replace(fixed_total=True)).states(
        best, np.random.default_rng(SEED), settling=SETTLING, keep=STATES
    )
    error = float(np.sqrt(np.mean(states.click_error**2)))
    return Solution(plausible.middle(states, error), plausible.draw, [*notes, _click_note(error)])


def _thin_clicks(curve: Curve) -> tuple[Curve, list[dict]]:
    """Return the curve with at most `MOST_CLICKS` clicks, and a note where some are left out."""
    clicks = len(curve.time)
    if clicks <= MOST_CLICKS:
        return curve, []
    rows = np.linspace(0, clicks - 1, MOST_CLICKS).round().astype(int)
    text = f"{clicks} clicks: {MOST_CLICKS} of them, evenly chosen, were used"
    return replace(curve, time=curve.time[rows], survival=curve.survival[rows]), [input_row(text)]


@dataclass(frozen=True)
class _PlausiblePatients:
    """All sets of patients that may be behind the clicks of a curve."""

    curve: Curve
    line: Line
    arm: Arm

    def draw_along_line(self, rng: np.random.Generator) -> Patients:
        """Draw one set along a line redrawn."""
        with _one_thread():
            return starting_patients(self.curve, redraw(self.line, rng), rng)[0]

    def draw(self, rng: np.random.Generator) -> Patients:
        """Draw one set, from a chain of its own that starts at patients along a line redrawn."""
        start = self.draw_along_line(rng)
        drawn = replace(self, arm=self.arm._replace(worth=WORTH))
        states = drawn.states(start, rng, settling=ALONE, keep=1)
        return self._patients(states.time[0], states.kind[0] == DEATH)

    def states(self, start: Patients, rng: np.random.Generator, *, settling: int, keep: int) -> States:
        """Return `keep` states of a chain from `start`, after as many sweeps as `settling` states take."""
        time, kind = _ordered(self.arm, start[0] / self.curve.axis_max, start[1])
        every = int(np.clip(round(EFFORT / (len(time) * len(self.arm.x))), 1, MOST_SWEEPS))
        error = _first_error(self.line)
        return sample_patients(self.arm, time, kind, error, rng, hold=settling * every, every=every, keep=keep)

    def middle(self, states: States, error: float) -> Patients:
        """Return the set of patients in the middle of many.

        Deaths of each interval are the mean number, made whole along the curve; times of deaths and of censorings are
        the averages of their quantiles over all states, which keeps steps where averaging heights would round them off.
        """
        bounds = list(zip(self.arm.start[:-1].tolist(), self.arm.start[1:].tolist(), strict=True))
        died = states.kind == DEATH
        mean = np.array([died[:, a:b].sum(axis=1).mean() for a, b in bounds])
        deaths = np.diff(np.rint(np.cumsum(np.append(0.0, mean)))).astype(int).clip(0, [b - a for a, b in bounds])
        parts = []
        for (a, b), count in zip(bounds, deaths.tolist(), strict=True):
            time, event = states.time[:, a:b], died[:, a:b]
            parts.append((_typical_times(time, event, count), _typical_times(time, ~event, b - a - count)))
        time = np.concatenate([t for part in parts for t in part])
        event = np.concatenate([np.full(len(t), k) for part in parts for t, k in zip(part, (True, False), strict=True)])
        time, kind = _ordered(self.arm, time, event)
        kind = settle_last_deaths(self.arm, time, kind, error)
        return self._patients(place_median_step(self.arm, time, kind, states.time, states.kind), kind == DEATH)

    def _patients(self, time: Floats, died: np.ndarray) -> Patients:
        """Return patients from times as shares of the axis and a mask of deaths (n,)."""
        time = time * self.curve.axis_max
        return patients_of(time[died], time[~died])


def _typical_times(time: Floats, chosen: np.ndarray, count: int) -> Floats:
    """Return `count` times: the averages over states (rows) of the quantiles of the chosen times."""
    place = (np.arange(count) + 0.5) / max(count, 1)
    some = [t[c] for t, c in zip(time, chosen, strict=True) if c.any()]
    if not count or not some:
        return np.full(count, float(time.mean()) if time.size else 0.0)
    return np.median([np.interp(place, (np.arange(len(t)) + 0.5) / len(t), t) for t in some], axis=0)


def _arm(curve: Curve, line: Line) -> Arm:
    """Return what the chain needs to know of a curve, in shares of the axes."""
    some, n = curve.risk_count > 0, curve.n
    upper = max(1.0, float(line.time[-1]) / curve.axis_max + 3 * line.click_error)
    if not some.all():  # nobody left at the first printed zero
        upper = min(upper, float(curve.risk_time[~some][0]) / curve.axis_max)
    edges = np.concatenate([[0.0], curve.risk_time[some] / curve.axis_max, [upper]])
    start = np.concatenate([[0], n - curve.risk_count[some], [n]]).astype(np.int64)
    x, y = curve.time / curve.axis_max, 1 - curve.survival
    clicked = np.hypot(x, y) > SAME  # (0, 1) is known without a click, and who clicked on it clicked on the end
    order = np.flatnonzero(clicked)[np.argsort((x + y)[clicked], kind="stable")]
    x, y = np.ascontiguousarray(x[order]), np.ascontiguousarray(y[order])
    error = _first_error(line)
    overrun = SEEN_END * error if not clicked.all() else np.inf
    return Arm(
        interval=np.repeat(np.arange(len(start) - 1), np.diff(start)),
        start=start,
        edges=edges,
        x=x,
        y=y,
        u=x + y,
        bound=pushed_down(curve)[order],
        fixed_total=curve.events is not None,
        marked=curve.ticks is not None,
        overrun=overrun,
        pitch=PITCH * error,
    )


def _first_error(line: Line) -> float:
    """Return the click error that the chain starts from."""
    return float(np.clip(line.click_error, LEAST_ERROR, LARGEST_ERROR))


def _ordered(arm: Arm, time: Floats, event: Ints) -> tuple[Floats, Ints]:
    """Return patients sorted and kept within their intervals.

    Those censored last are censored at the end of follow-up.
    """
    order = np.lexsort((1 - event, time))
    low, high = np.maximum(arm.edges[arm.interval], EARLIEST), np.nextafter(arm.edges[arm.interval + 1], 0)
    time, event = np.clip(time[order], low, high), event[order]
    kind = np.where(event == 1, DEATH, np.where(time >= time[-1], LAST, CENSORED))
    order = np.lexsort((np.where(kind == DEATH, 0, np.where(kind == CENSORED, 1, 2)), time))
    return time[order], kind[order]


def _trusted_rows(curve: Curve, line: Line) -> tuple[Curve, list[dict]]:
    """Return the curve without printed numbers at risk that the line cannot mean, and a note for each left out."""
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
        notes.append(note("at_risk", text, time=float(time), printed=int(count), status="contradicted"))
        curve = trials[best]
    return curve, notes


def _violation(curve: Curve, line: Line) -> Floats:
    """Return how far the curve must rise at each printed time for the numbers at risk to need no censoring."""
    if not len(curve.risk_time):
        return np.empty(0)
    counts = np.concatenate([[curve.n], curve.risk_count]).astype(float)
    alive = np.array([1.0, *line.left_limit(curve.risk_time)])
    one = alive[:-1] / np.maximum(counts[:-1], 1.0)  # a step of the curve: nearer than that, whole numbers cannot be
    return np.maximum(one * (counts[1:] - 1) - alive[1:], 0.0)


def _click_note(error: float) -> dict:
    """Return the row of the estimated click error."""
    text = "estimated sd of a click, as a share of either axis"
    return note("click_error", text, reconstructed=round(error, 5), status="uncertain")
