"""Tipping point of informative censoring: how unlike the censored must be until an answer turns.

What is observed says nothing of patients after they were censored. Let their hazard be delta times that of patients who
are followed (a pattern mixture; Jackson et al. 2014, doi 10.1002/sim.6274). With S the survival of the model and G that
of censoring, all patients together then survive by

    S_delta(t) = S(t) G(t) + integral from 0 to t of S(c) (S(t) / S(c))^delta (-dG(c)),

which is S where delta is 1. G is Kaplan-Meier's of the treatment's patients, those behind curves too. No refit is
needed: the evidence informs S alone, whatever delta is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from scipy import optimize

from bayes_bm.estimands.quantities import checked_treatment, survival
from bayes_bm.estimands.summary import summarize
from bayes_bm.estimands.who import AverageStudy, NewStudy, Who, as_who, population_of
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array
from bayes_bm.spec.document import Spec

DELTAS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Hazard of the censored over that of the followed."""
FARTHEST = 10.0
"""Largest delta, and inverse of the least, at which a turn is looked for."""
GRID = 200
"""Steps of time up to the horizon: the restricted mean by trapezoids, to about 1e-4 of itself."""
DRAWS_OF_TURNS = 500
"""Draws by which a turn is sought."""
LEAST_SURVIVAL = 1e-30
"""Survival below which nobody is left to be censored."""


@dataclass(frozen=True)
class TippingPoint:
    """Hold how answers change with the hazard of the censored.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a treatment, side and delta: `side` is whose censored patients have the hazard delta (treatment, reference
        or both); restricted mean difference against the reference (median, q2_5, q97_5) and prob_better.
    turns : pandas.DataFrame
        A row a treatment and side: the delta nearest to 1 at which the median difference is 0, between 0.1 and 10, NaN
        where there is none; and the share of the treatment's and of the reference's patients that is censored.
    horizon : float
        Where the means are cut, in the spec's time unit.
    who : str
        Who is asked about.
    sentences : tuple of str
        A sentence a treatment.
    """

    table: pd.DataFrame
    turns: pd.DataFrame
    horizon: float
    who: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Censored:
    """Survival on a grid (sample, time), that at times of censoring (sample, censoring), and the law of censoring."""

    times: Array
    alive: Array
    alive_then: Array
    before: Array
    mass: Array

    def thinned(self, samples: int) -> "_Censored":
        """At so many draws, evenly chosen."""
        step = max(1, len(self.alive) // samples)
        return replace(self, alive=self.alive[::step], alive_then=self.alive_then[::step])

    def survival(self, delta: float) -> Array:
        """S_delta at the grid (sample, time)."""
        still = 1 - self.before @ self.mass
        weights = self.alive_then * (np.maximum(self.alive_then, LEAST_SURVIVAL) ** -delta) * self.mass
        return self.alive * still + self.alive**delta * (weights @ self.before.T)

    def mean(self, delta: float) -> Array:
        """Its restricted mean (sample,)."""
        return np.trapezoid(self.survival(delta), self.times, axis=-1)


def tipping_point(
    result: Result,
    *,
    deltas: Sequence[float] = DELTAS,
    who: Who | str | None = None,
    horizon: float | None = None,
    reference: str | None = None,
) -> TippingPoint:
    """Return how unlike the followed censored patients must be until restricted means of treatments change places.

    Parameters
    ----------
    result : Result
        A fit with patients, whose own or from curves, for some treatment.
    deltas : sequence of float
        Hazards of the censored after they were, over that of patients who were followed.
    who : AverageStudy, NewHospital, Study, or the name of one, optional
        Who is asked about; by default `AverageStudy()`. An average over studies has no single hazard.
    horizon : float, optional
        Where means are cut, in the spec's time unit; by default the spec's.
    reference : str, optional
        By default the spec's.

    Returns
    -------
    TippingPoint
        Answers by delta, the deltas at which they turn, and sentences.

    Raises
    ------
    InputError
        For a delta that is not above 0, an average over studies, and evidence without patients.

    Examples
    --------
    The law of censoring, whose hazard delta multiplies; `bb.tipping_point(result)` asks it of a fit.

    >>> import pandas as pd
    >>> from bayes_bm.checks.tipping_point import censoring
    >>> patients = pd.DataFrame({"treatment": "a", "time": [1.0, 2.0], "event": [1, 0], "weight": 1.0})
    >>> [float(values[0]) for values in censoring(patients, "a")]
    [2.0, 1.0]
    """
    asked = as_who(who, AverageStudy())
    _check_call(result, deltas, asked)
    base = checked_treatment(result, reference)
    end = float(result.spec.horizon if horizon is None else horizon)
    if not end > 0:
        raise InputError("horizon", found=end, allowed="a time above 0")
    laws = {name: _law(result, asked, name, end) for name in result.spec.treatments.names}
    fewer = {name: law.thinned(DRAWS_OF_TURNS) for name, law in laws.items()}
    compared = [name for name in result.spec.treatments.names if name != base]
    rows, turns = [], []
    for name, side in product(compared, SIDES):
        differences = {delta: _difference(laws[name], laws[base], side, delta) for delta in deltas}
        rows += [_row(name, base, side, delta, difference) for delta, difference in differences.items()]
        turns.append(_turn(name, base, side, fewer, result))
    table, turned = pd.DataFrame(rows), pd.DataFrame(turns)
    sentences = tuple(_sentence(name, base, turned[turned["treatment"] == name], end, result.spec) for name in compared)
    return TippingPoint(table, turned, end, asked.name, sentences)


SIDES = {"treatment": (True, False), "reference": (False, True), "both": (True, True)}
"""Whose censored patients have the hazard delta: the treatment's, the reference's."""


def _check_call(result: Result, deltas: Sequence[float], who: Who) -> None:
    wrong = [delta for delta in deltas if not (np.isfinite(delta) and delta > 0)]
    if wrong or not deltas:
        raise InputError("deltas", found=wrong or "none", allowed="numbers above 0; 1 is censoring that tells nothing")
    if isinstance(population_of(who), NewStudy):
        raise InputError(
            "who",
            found=who.name,
            allowed="average-study, new-hospital, study:NAME",
            hint="an average over studies has no single hazard that delta could multiply",
        )
    if result.evidence.patients.empty:
        raise InputError(
            "tipping point",
            found="no patients in the evidence",
            allowed="patients, or curves that patients are rebuilt from",
            hint="printed medians and points do not say who was censored",
        )


def _law(result: Result, who: Who, treatment: str, horizon: float) -> _Censored:
    """Survival of a treatment and the law of its censoring up to the horizon."""
    censored, mass = censoring(result.evidence.patients, treatment)
    within = censored < horizon
    censored, mass = censored[within], mass[within]
    times = np.linspace(0.0, horizon, GRID + 1)
    asked = np.unique(np.concatenate([times[1:], censored[censored > 0]]))
    drawn = survival(result, asked.tolist(), who=who).sel(treatment=treatment).transpose("chain", "draw", "time")
    values = drawn.to_numpy().reshape(-1, len(asked))
    values, asked = np.pad(values, ((0, 0), (1, 0)), constant_values=1.0), np.concatenate([[0.0], asked])
    return _Censored(
        times,
        values[:, np.searchsorted(asked, times)],
        values[:, np.searchsorted(asked, censored)],
        (censored[None, :] <= times[:, None]).astype(float),
        mass,
    )


def censoring(patients: pd.DataFrame, treatment: str) -> tuple[Array, Array]:
    """Return times of censoring of a treatment's patients and what Kaplan-Meier's law of censoring falls by at each.

    Events at a time come before censoring at it. Patients whose event lies in an interval are events at its beginning.
    """
    rows = patients[patients["treatment"] == treatment]
    time, weight = (rows[name].to_numpy(dtype=float) for name in ("time", "weight"))
    event = rows["event"].to_numpy(dtype=float) > 0
    falls = np.unique(time[~event])
    left, mass = 1.0, []
    for fall in falls:
        at_risk = weight[(time > fall) | ((time == fall) & ~event)].sum()
        gone = left * weight[(time == fall) & ~event].sum() / at_risk
        mass.append(gone)
        left -= gone
    return falls, np.array(mass)


def _difference(treatment: _Censored, reference: _Censored, side: str, delta: float) -> Array:
    chosen = SIDES[side]
    return treatment.mean(delta if chosen[0] else 1.0) - reference.mean(delta if chosen[1] else 1.0)


def _row(treatment: str, reference: str, side: str, delta: float, difference: Array) -> dict:
    told = summarize(difference)
    quantiles = {name: told[name] for name in ("median", "q2_5", "q97_5")}
    named = {"treatment": treatment, "reference": reference, "side": side, "delta": float(delta)}
    return {**named, **quantiles, "prob_better": float(np.mean(difference > 0))}


def _turn(treatment: str, reference: str, side: str, laws: dict[str, _Censored], result: Result) -> dict:
    """The delta nearest to 1 at which the median difference is 0."""

    def median(log_delta: float) -> float:
        return float(np.median(_difference(laws[treatment], laws[reference], side, float(np.exp(log_delta)))))

    ends, now = [], median(0.0)
    for end in (-np.log(FARTHEST), np.log(FARTHEST)):
        if now * median(end) < 0:
            ends.append(float(optimize.brentq(median, min(0.0, end), max(0.0, end), xtol=1e-6)))
    nearest = min(ends, key=abs, default=np.nan)
    shares = {f"censored_{name}": _share(result, one) for name, one in _sides(treatment, reference)}
    return {"treatment": treatment, "reference": reference, "side": side, "delta": float(np.exp(nearest)), **shares}


def _sides(treatment: str, reference: str) -> tuple[tuple[str, str], ...]:
    return (("treatment", treatment), ("reference", reference))


def _share(result: Result, treatment: str) -> float:
    """Share of a treatment's patients who were censored; NaN where it has none."""
    rows = result.evidence.patients[result.evidence.patients["treatment"] == treatment]
    weight = rows["weight"].to_numpy(dtype=float)
    return float(weight @ (rows["event"] == 0).to_numpy(dtype=float) / weight.sum()) if weight.sum() else np.nan


def _sentence(treatment: str, reference: str, turns: pd.DataFrame, horizon: float, spec: Spec) -> str:
    by_side = dict(zip(turns["side"], turns["delta"], strict=True))
    words = [
        f"{by_side[side]:.2g} times the hazard of the followed in the censored of {name}"
        for side, name in _sides(treatment, reference)
        if np.isfinite(by_side[side])
    ]
    shares = turns[["censored_treatment", "censored_reference"]].fillna(0.0)
    if not shares.to_numpy().any():
        return (
            f"No listed or rebuilt patient of {treatment} or {reference} was censored; printed medians and points do"
            " not say who was, so nothing here can turn."
        )
    what = f"The difference of restricted means to {horizon:g} {spec.time_unit}, {treatment} against {reference},"
    if not words:
        return f"{what} keeps its sign for hazards of the censored from {1 / FARTHEST:g} to {FARTHEST:g} times as high."
    return f"{what} turns at {', or at '.join(words)}."
