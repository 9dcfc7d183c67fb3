"""Who is asked about x what: labelled answers with their draws (`rules.md`, 14-17).

AverageStudy()   all study effects zero
NewStudy()       the average over the population of studies, per posterior draw, by quadrature
NewHospital()    one fresh set of study effects a draw: what the next hospital may see
Study("name")    that study's own effects; a treatment it did not use gets a fresh deviation given the others
Patient(values, on=...)  covariates on top of any of these
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm import estimands
from bayes_bm.case_mix import Distance, Missing, checked, distance, missing, score
from bayes_bm.checks.audit import follow_up
from bayes_bm.effects import CORRELATION
from bayes_bm.errors import InputError
from bayes_bm.estimands import Population
from bayes_bm.fit import Result
from bayes_bm.hazards import FAMILIES
from bayes_bm.interpolated import answers
from bayes_bm.laws import scipy_law
from bayes_bm.predictor import on_first
from bayes_bm.priors import Prior

Array = np.ndarray
Row = dict[str, Any]
PRIOR_ONLY_RATIO = 0.9


@dataclass(frozen=True)
class AverageStudy:
    name = "average-study"


@dataclass(frozen=True)
class NewStudy:
    name = "new-study"


@dataclass(frozen=True)
class NewHospital:
    name = "new-hospital"


@dataclass(frozen=True)
class Study:
    study: str

    @property
    def name(self) -> str:
        return f"study:{self.study}"


@dataclass(frozen=True)
class Patient:
    """Covariates by their own names and units; those not named are averaged over the evidence's patients, or stand at
    their centre where the evidence prints no covariates (`case_mix`).
    """

    values: Mapping[str, float] = field(default_factory=dict)
    on: "AverageStudy | NewStudy | NewHospital | Study" = field(default_factory=NewStudy)

    @property
    def name(self) -> str:
        return f"patient on {self.on.name}"


Who = AverageStudy | NewStudy | NewHospital | Study | Patient
WHO = {"average-study": AverageStudy(), "new-study": NewStudy(), "new-hospital": NewHospital()}


def parse_who(text: str) -> Who:
    """`average-study`, `new-study`, `new-hospital` or `study:NAME`."""
    if text.startswith("study:"):
        return Study(text.removeprefix("study:"))
    if text not in WHO:
        raise InputError("--who", found=text, allowed=f"{', '.join(WHO)}, study:NAME")
    return WHO[text]


# ---------------------------------------------------------------------------------------------- populations


def population(result: Result, who: Who) -> Population:
    """The law of (eta, shape) by draw and treatment for whoever is asked about."""
    if isinstance(who, Patient):
        of, (shift, sd) = population(result, who.on), _patient_score(result, who.values)
        return replace(of, eta=of.eta + shift, eta_sd=np.hypot(of.eta_sd, sd))
    if (result.spec.free_levels or result.spec.free_shapes) and not isinstance(who, Study):
        return _on_baseline(result, who)
    match who:
        case AverageStudy():
            return _population(result, *_means(result))
        case NewStudy():
            return _new_study(result)
        case NewHospital():
            return _new_hospital(result)
        case Study(study=study):
            return _named_study(result, study)
    raise InputError("who", found=who, allowed=f"{', '.join(WHO)}, study:NAME")


def _population(result: Result, eta: Array, shape: Array, eta_sd: Array | None = None, shape_sd: Array | None = None):
    zero = np.zeros_like(eta)
    sds = (zero if eta_sd is None else eta_sd, zero if shape_sd is None else np.broadcast_to(shape_sd, eta.shape))
    knots = result.family.knots
    walk = None if knots is None else np.sqrt(knots.step)
    return Population(result.family, result.spec.reference_time, eta, shape, *sds, walk=walk)


def _means(result: Result) -> tuple[Array, Array]:
    of = result.draws
    return of.intercept[:, None] + of.log_hr, of.shape[:, None] + of.treatment_shape


def _moved(shape: Array, by: Array) -> Array:
    """The shape with its first parameter moved by (sample, 1 or treatment)."""
    return shape + on_first(np.broadcast_to(by, shape.shape[:-1]), shape.shape[-1])


def _not_reference(result: Result) -> Array:
    return np.array([False] + [True] * len(result.spec.treatments.compare))


def _new_study(result: Result) -> Population:
    of = result.draws
    variance = of.study_sd[:, None] ** 2 + np.where(_not_reference(result), of.study_treatment_sd[:, None] ** 2, 0.0)
    return _population(result, *_means(result), np.sqrt(variance), of.study_shape_sd[:, None])


def _stream(result: Result, stage: int) -> np.random.Generator:
    """One stream a stage, spawned from the spec's seed, so that answers do not depend on the order of asking."""
    return np.random.default_rng(np.random.SeedSequence(result.spec.seed, spawn_key=(stage,)))


def _new_hospital(result: Result) -> Population:
    """Level and shape drawn once a draw, shared by all treatments; a deviation for each, correlated as in the model."""
    of, rng = result.draws, _stream(result, 14)
    level = of.study_sd * rng.standard_normal(of.samples)
    eta, of_shape = _means(result)
    if result.family.knots is not None and result.spec.effects.study_shape is not None:
        moved = of_shape + _fresh_walk(result, rng)[:, None]
    else:
        moved = _moved(of_shape, (of.study_shape_sd * rng.standard_normal(of.samples))[:, None])
    return _population(result, eta + level[:, None] + _fresh_deviations(result, rng), moved)


def _fresh_walk(result: Result, rng: np.random.Generator) -> Array:
    """What a study not yet seen adds to the shape of a flexible baseline (sample, shape): a walk."""
    of, knots = result.draws, result.family.knots
    step = np.sqrt(knots.step) if knots is not None else np.zeros(0)
    walk = of.study_shape_sd[:, None] * np.cumsum(step * rng.standard_normal((of.samples, len(step))), axis=1)
    return np.pad(walk, ((0, 0), (1, of.shape.shape[-1] - 1 - len(step))))


def _fresh_deviations(result: Result, rng: np.random.Generator) -> Array:
    """study_treatment_effect of a study not yet seen (sample, treatment), correlated as in the model; reference 0."""
    of, compared = result.draws, len(result.spec.treatments.compare)
    factor = np.linalg.cholesky(_correlation(compared))
    noise = rng.standard_normal((of.samples, compared)) @ factor.T
    return _with_reference(of.study_treatment_sd[:, None] * noise)


def _with_reference(deviation: Array) -> Array:
    return np.concatenate([np.zeros((len(deviation), 1)), deviation], axis=1)


def _correlation(size: int) -> Array:
    return CORRELATION + (1 - CORRELATION) * np.eye(size)


def _named_study(result: Result, study: str) -> Population:
    shape, of = result.design, result.draws
    if study not in shape.studies:
        raise InputError("study", found=study, allowed="; ".join(shape.studies) or "no study has absolute evidence")
    at = shape.studies.index(study)
    eta, of_shape = _means(result)
    deviation = _with_reference(_study_deviations(result, study))
    return _population(result, eta + of.study_effect[:, [at]] + deviation, of_shape + of.study_shape[:, [at]])


def _study_deviations(result: Result, study: str) -> Array:
    """study_treatment_effect of a study (sample, compared); unseen treatments drawn given the seen ones."""
    shape, of, rng = result.design, result.draws, _stream(result, 15)
    compared = shape.compared
    if result.spec.effects.study_treatment is None:
        return np.zeros((of.samples, len(compared)))
    seen = [at for at, name in enumerate(compared) if (study, name) in shape.pairs]
    unseen = [at for at in range(len(compared)) if at not in seen]
    deviation = np.empty((of.samples, len(compared)))
    columns = [shape.pairs.index((study, compared[at])) + 1 for at in seen]
    deviation[:, seen] = of.study_treatment_effect[:, columns]
    if unseen:
        correlation = _correlation(len(compared))
        weights = np.linalg.solve(correlation[np.ix_(seen, seen)], correlation[np.ix_(seen, unseen)])
        left = correlation[np.ix_(unseen, unseen)] - correlation[np.ix_(unseen, seen)] @ weights
        noise = rng.standard_normal((of.samples, len(unseen))) @ np.linalg.cholesky(left).T
        deviation[:, unseen] = deviation[:, seen] @ weights + of.study_treatment_sd[:, None] * noise
    return deviation


def _on_baseline(result: Result, who: Who) -> Population:
    """Free study levels or shapes say nothing about another study; only a stated baseline does (rule 11).

    The baseline is the reference treatment's; the others deviate from it as in any study that was not seen.
    """
    baseline = result.spec.baseline
    if baseline is None:
        raise InputError(
            f"who = {who.name}",
            found="a spec with free study levels or shapes (exchangeable = false)",
            allowed="study:NAME, or a [baseline] with intercept and log_shape in the spec",
            hint="hazard ratios are answered without",
        )
    of, rng = result.draws, _stream(result, 16)
    level = _draws_of(baseline.intercept, of.samples, rng)[:, None]
    eta, shape = level + of.log_hr, of.shape[:, None] + of.treatment_shape
    if baseline.log_shape is not None:
        # the posterior holds no common one where shapes are free; where it does, the stated one takes its place
        common = 0.0 if result.spec.free_shapes else of.shape[:, :1]
        shape = _moved(shape, _draws_of(baseline.log_shape, of.samples, rng)[:, None] - common)
    if isinstance(who, NewHospital):
        return _population(result, eta + _fresh_deviations(result, _stream(result, 17)), shape)
    spread = np.where(_not_reference(result), of.study_treatment_sd[:, None], 0.0)
    return _population(result, eta, shape, spread if isinstance(who, NewStudy) else None)


def _log_hr_without_level(result: Result, who: Who) -> Array:
    """Conditional log hazard ratio (sample, treatment) without a level; a new hospital has its own deviations."""
    deviation = _fresh_deviations(result, _stream(result, 17)) if isinstance(_on(who), NewHospital) else 0.0
    # of a patient's covariates only what modifies the treatment's effect is left in a ratio
    shift = _patient_score(result, who.values)[0] if isinstance(who, Patient) else np.zeros((1, 1))
    return result.draws.log_hr + deviation + shift - shift[:, :1]


def _draws_of(prior: Prior, samples: int, rng: np.random.Generator) -> Array:
    return np.asarray(scipy_law(prior).rvs(size=samples, random_state=rng))


def _patient_score(result: Result, values: Mapping[str, float]) -> tuple[Array, Array]:
    """x . (coefficient + interaction[a]) of a patient, mean and sd over what is not given (sample, treatment)."""
    spec = result.spec
    return score(spec, result.case_mix, checked(spec, values), result.draws.slopes)


# ---------------------------------------------------------------------------------------------- labelled answers


def _labelled(result: Result, values: Array, **coords: Any) -> xr.DataArray:
    """(sample, treatment, ...) -> (chain, draw, treatment, ...)."""
    chains = result.draws.chains
    names = ("chain", "draw", "treatment", *coords)
    shaped = values.reshape(chains, -1, *values.shape[1:])
    return xr.DataArray(shaped, dims=names, coords={"treatment": list(result.spec.treatments.names), **coords})


def checked_times(times: Sequence[float] | float, alive_at: float) -> Array:
    """Times above 0 and not before `alive_at`, as an array; else `InputError`."""
    values = np.atleast_1d(np.asarray(times, dtype=float))
    if not (values.size and np.isfinite(values).all() and (values > 0).all()):
        raise InputError("times", found=", ".join(f"{t:g}" for t in values), allowed="times above 0")
    if alive_at < 0:
        raise InputError("alive_at", found=alive_at, allowed="0 or more")
    if (values < alive_at).any():
        raise InputError(
            "times", found=f"{values.min():g}", allowed=f"at or after alive_at = {alive_at:g}; times count from 0"
        )
    return values


def survival(result: Result, times: Sequence[float], *, who: Who | None = None, alive_at: float = 0.0) -> xr.DataArray:
    """S(t), or S(t) given alive at s (chain, draw, treatment, time). Times in the spec's unit, from time 0."""
    at = checked_times(times, alive_at)
    values = estimands.survival(population(result, who or NewStudy()), at, alive_at=alive_at)
    return _labelled(result, values, time=at)


def hazard(result: Result, times: Sequence[float], *, who: Who | None = None) -> xr.DataArray:
    """Hazard of those still alive, per time unit (chain, draw, treatment, time)."""
    at = checked_times(times, 0.0)
    return _labelled(result, estimands.hazard(population(result, who or NewStudy()), at), time=at)


def rmst(
    result: Result, horizon: float | None = None, *, who: Who | None = None, alive_at: float = 0.0
) -> xr.DataArray:
    """Restricted mean survival from `alive_at` to the horizon (chain, draw, treatment), in the spec's time unit."""
    until = checked_times(result.spec.horizon if horizon is None else horizon, alive_at)
    values = estimands.rmst(population(result, who or NewStudy()), float(until[0]), alive_at=alive_at)
    return _labelled(result, values).assign_attrs(horizon=float(until[0]))


def quantile(result: Result, q: float = 0.5, *, who: Who | None = None, alive_at: float = 0.0) -> xr.DataArray:
    """Time by which a share q has had the event (chain, draw, treatment); q = 0.5 is the median."""
    if not 0 < q < 1:
        raise InputError("q", found=q, allowed="between 0 and 1")
    return _labelled(result, estimands.quantile(population(result, who or NewStudy()), q, alive_at=alive_at))


def hazard_ratio(
    result: Result, times: Sequence[float] | None = None, *, who: Who | None = None, reference: str | None = None
) -> xr.DataArray:
    """Hazard ratio against the reference (chain, draw, treatment, time).

    Conditional (of one study, one patient) except for `NewStudy`, where it is marginal at its time: E[h S] / E[S] of
    each treatment first, then the ratio. Where conditional hazards are proportional it does not need a level (rule 11).
    """
    who = who or NewStudy()
    at = checked_times(_times_of(result, times), 0.0)
    against = _known_treatment(result, reference)
    if _without_level(result, who) and _proportional(result):
        ratios = np.exp(_log_hr_without_level(result, who))[..., None] * np.ones(len(at))
        values = _labelled(result, ratios, time=at)
    else:
        values = hazard(result, list(at), who=who)
    return values / values.sel(treatment=against, drop=True)


def _times_of(result: Result, times: Sequence[float] | None) -> Sequence[float]:
    return result.spec.answer_times if times is None else times


def _on(who: Who) -> Who:
    return who.on if isinstance(who, Patient) else who


def _without_level(result: Result, who: Who) -> bool:
    return result.spec.needs_baseline and not isinstance(_on(who), Study)


def _proportional(result: Result) -> bool:
    return result.spec.proportional


def _known_treatment(result: Result, name: str | None) -> str:
    names = result.spec.treatments.names
    if name is not None and name not in names:
        raise InputError("treatment", found=name, allowed=", ".join(names))
    return name or names[0]


# ---------------------------------------------------------------------------------------------- tables of answers

QUANTILES = {"q2_5": 0.025, "q5": 0.05, "median": 0.5, "q95": 0.95, "q97_5": 0.975}
COMPARE_COLUMNS = (
    *("estimand", "treatment", "reference", "time", "mean", "sd", "median"),
    *("q5", "q95", "q2_5", "q97_5", "prob_better", "label"),
)
PREDICT_COLUMNS = (
    *(
        "patient",
        "treatment",
        "reference",
        "estimand",
        "time",
        "mean",
        "sd",
        "median",
        "q5",
        "q95",
        "prob_better",
        "margin",
        "prob_better_by_margin",
        "label",
    ),
)


def _summary(values: Array) -> dict[str, float]:
    # a median that is never reached is infinite in some draws, and a difference of two such is no number
    with np.errstate(invalid="ignore"):
        sd = float(np.std(values, ddof=1))
    quantiles = np.quantile(values, list(QUANTILES.values())).tolist()
    return {"mean": float(np.mean(values)), "sd": sd, **dict(zip(QUANTILES, quantiles, strict=True))}


def compare(
    result: Result,
    *,
    who: Who | None = None,
    reference: str | None = None,
    horizon: float | None = None,
    times: Sequence[float] | None = None,
    alive_at: float = 0.0,
) -> pd.DataFrame:
    """Every treatment, and every treatment against the reference: one row an estimand (contract, `compare --json`).

    `prob_better` is P(HR < 1), P(time ratio > 1) or P(difference > 0), absent where nothing is compared (rule 16).
    `label` says "extrapolated" beyond the treatment's follow-up and "prior only" where the data did not move the
    contrast (rule 17); with a background hazard "all-cause", or "excess" of a time ratio.
    """
    return answer_table(compared(result, who=who, reference=reference, horizon=horizon, times=times, alive_at=alive_at))


def answer_table(found: Iterable[tuple[Row, Array]]) -> pd.DataFrame:
    """Rows of `compared` with their draws summarised."""
    rows = [{**named, **_summary(values)} for named, values in found]
    return pd.DataFrame(rows, columns=list(COMPARE_COLUMNS))


def compared(
    result: Result,
    *,
    who: Who | None = None,
    reference: str | None = None,
    horizon: float | None = None,
    times: Sequence[float] | None = None,
    alive_at: float = 0.0,
) -> Iterator[tuple[Row, Array]]:
    """What `compare` summarises: the names of each row and its draws (sample,), chain after chain."""
    who = who or AverageStudy()
    against = _known_treatment(result, reference)
    at = list(checked_times(_times_of(result, times), alive_at))
    yield from _ratio_rows(result, who, against, at)
    if not _without_level(result, who):
        until = float(checked_times(result.spec.horizon if horizon is None else horizon, alive_at)[0])
        found = _Asked(at, until, alive_at).of(population(result, who))
        yield from _absolute_rows(result.spec.treatments.names, Labels(result), against, found)


def _marginal(result: Result, who: Who) -> bool:
    """Whether a ratio is of averages: over studies, or over covariates that are not given."""
    averaged = isinstance(who, Patient) and bool(missing(result.spec, result.case_mix, who.values).averaged)
    return (isinstance(_on(who), NewStudy) or averaged) and not _without_level(result, who)


def _ratio_rows(result: Result, who: Who, against: str, times: list[float]) -> Iterator[tuple[Row, Array]]:
    """Hazard ratios, without a time where conditional ones are proportional; of accelerated time, time ratios."""
    if result.family.effect == "time":
        yield from _time_ratio_rows(result, who, against)
        return
    timed = _marginal(result, who) or not _proportional(result)
    ratios = hazard_ratio(result, times if timed else times[:1], who=who, reference=against)
    labels = Labels(result)
    for treatment in result.spec.treatments.names:
        if treatment == against:
            continue
        for time in ratios["time"].values:
            values = ratios.sel(treatment=treatment, time=time).values.ravel()
            shown = float(time) if timed else None
            label = labels.contrast((treatment, shown), (against, shown))
            better = float(np.mean(values < 1))
            named = {"treatment": treatment, "reference": against, "time": shown, "prob_better": better, "label": label}
            yield {"estimand": "hazard_ratio", **named}, values
            yield {"estimand": "log_hazard_ratio", **named}, np.log(values)


def time_ratio(result: Result, *, who: Who | None = None, reference: str | None = None) -> xr.DataArray:
    """Factor by which a treatment stretches time against the reference (chain, draw, treatment); above 1 is longer.

    Conditional, as for one study or patient: the average study's, or that of the hospital or study asked about; of
    accelerated-time families only (rule 17).
    """
    if result.family.effect != "time":
        raise InputError(
            "time_ratio",
            found=f"hazard.family = {result.family.name}, of proportional hazards",
            allowed=", ".join(name for name, family in FAMILIES.items() if family.effect == "time"),
            hint="its treatment effect is a hazard ratio",
        )
    who = who or NewStudy()
    log_ratio = _log_hr_without_level(result, who) if _without_level(result, who) else population(result, who).eta
    values = _labelled(result, log_ratio)
    difference = values - values.sel(treatment=_known_treatment(result, reference), drop=True)
    return difference.copy(data=np.exp(difference.to_numpy()))


def _time_ratio_rows(result: Result, who: Who, against: str) -> Iterator[tuple[Row, Array]]:
    ratios, labels = time_ratio(result, who=who, reference=against), Labels(result, of_deaths="excess")
    for treatment in result.spec.treatments.names:
        if treatment == against:
            continue
        values = ratios.sel(treatment=treatment).values.ravel()
        label = labels.contrast((treatment, None), (against, None))
        better = float(np.mean(values > 1))
        named = {"treatment": treatment, "reference": against, "time": None, "prob_better": better, "label": label}
        yield {"estimand": "time_ratio", **named}, values
        yield {"estimand": "log_time_ratio", **named}, np.log(values)


ESTIMANDS = ("survival", "median", "rmst")
"""What is answered unless asked otherwise; also `hazard` and `quantile:0.25` (any share that had the event)."""


@dataclass(frozen=True)
class _Asked:
    """What is asked of whoever it is."""

    times: list[float]
    horizon: float
    alive_at: float
    estimands: Sequence[str] = ESTIMANDS

    def of(self, who: Population) -> dict[tuple[str, float | None], Array]:
        """Draws of each estimand (sample, treatment) by (name, time)."""
        found: dict[tuple[str, float | None], Array] = {}
        at, since = np.array(self.times), self.alive_at
        for estimand in self.estimands:
            if estimand in ("survival", "hazard"):
                living = estimand == "survival"
                values = estimands.survival(who, at, alive_at=since) if living else estimands.hazard(who, at)
                found |= {(estimand, time): values[..., place] for place, time in enumerate(self.times)}
            elif estimand == "rmst":
                found[estimand, self.horizon] = estimands.rmst(who, self.horizon, alive_at=since)
            else:
                q = 0.5 if estimand == "median" else _share(estimand)
                found[estimand, None] = estimands.quantile(who, q, alive_at=since)
        return found


def _absolute_rows(
    names: Sequence[str], labels: "Labels", against: str, found: Mapping[tuple[str, float | None], Array]
) -> Iterator[tuple[Row, Array]]:
    """Each estimand (sample, treatment) of every treatment `names`, and its difference from the reference."""
    for (estimand, time), values in found.items():
        # one after the other in memory, as sums over draws depend on it
        by_treatment = dict(zip(names, np.ascontiguousarray(values.T), strict=True))
        reach = {name: float(np.median(mine)) if time is None else time for name, mine in by_treatment.items()}
        for treatment, mine in by_treatment.items():
            one = {"estimand": estimand, "treatment": treatment, "reference": None, "time": time, "prob_better": None}
            yield {**one, "label": labels.absolute(treatment, reach[treatment])}, mine
            # of hazards a ratio is asked for, not a difference
            if treatment == against or estimand == "hazard":
                continue
            with np.errstate(invalid="ignore"):
                difference = mine - by_treatment[against]
            label = labels.contrast((treatment, reach[treatment]), (against, reach[against]))
            named = {"reference": against, "prob_better": float(np.mean(difference > 0)), "label": label}
            yield {**one, **named, "estimand": f"{estimand}_difference"}, difference


def _share(estimand: str) -> float:
    """The q of `quantile:q`."""
    name, _, share = estimand.partition(":")
    try:
        q = float(share)
    except ValueError:
        q = float("nan")
    if name != "quantile" or not 0 < q < 1:
        allowed = f"{', '.join(ESTIMANDS)}, hazard, quantile:0.25 (a share between 0 and 1)"
        raise InputError("estimands", found=estimand, allowed=allowed)
    return q


MARKS = ("extrapolated", "prior only", "all-cause", "excess")


class Labels:
    """Marks on an answer: beyond follow-up, from the prior only; with a background hazard, what it speaks about.

    "all-cause": of all deaths, background included; "excess": of the deaths that it does not explain.
    """

    def __init__(self, result: Result, *, of_deaths: str = "all-cause") -> None:
        self._until = follow_up(result.spec, result.evidence)
        self._prior_only, self._effect = prior_only(result), result.spec.hazard.treatment_effect
        self._deaths = [of_deaths] if result.spec.evidence.background is not None else []

    def until(self, treatment: str) -> float:
        """End of the treatment's follow-up; NaN where nothing says."""
        return float(self._until.get(treatment, np.nan))

    def absolute(self, treatment: str, time: float | None) -> str:
        until = self._until.get(treatment, np.nan)
        beyond = time is not None and not (np.isfinite(until) and time <= until * (1 + 1e-9))
        marks = ["extrapolated"] if beyond else []
        unmoved = ["prior only"] if f"{self._effect}[{treatment}]" in self._prior_only else []
        return "; ".join([*marks, *unmoved, *self._deaths])

    def contrast(self, *sides: tuple[str, float | None]) -> str:
        """Marks of either side, each at the time it speaks about."""
        marks = [self.absolute(name, time) for name, time in sides]
        return "; ".join(mark for mark in MARKS if any(mark in found for found in marks))


def prior_only(result: Result) -> list[str]:
    """Parameters whose posterior sd is at least 0.9 of the prior's (rule 17)."""
    return [row["parameter"] for row in prior_and_posterior(result) if row["prior_only"]]


def prior_and_posterior(result: Result) -> list[dict[str, Any]]:
    """Prior and posterior of each top-level parameter side by side."""
    rows = []
    for label, prior, values in prior_draws(result):
        law, sd = scipy_law(prior), float(np.std(values, ddof=1))
        prior_sd = float(law.std())
        rows.append(
            {
                "parameter": label,
                "prior": prior,
                "prior_mean": float(law.mean()),
                "prior_sd": prior_sd,
                "prior_only": bool(np.isfinite(prior_sd) and sd >= PRIOR_ONLY_RATIO * prior_sd),
                **_summary(values),
            }
        )
    return rows


def prior_draws(result: Result) -> Iterator[tuple[str, Prior, Array]]:
    """Label, prior and draws (sample,) of each top-level parameter."""
    spec, posterior = result.spec, result.posterior
    named = {
        "intercept": spec.priors.intercept,
        **{name: getattr(spec.priors, name) for name in (*spec.hazard.shapes, "smooth_sd", "treatment_smooth_sd")},
        "study_sd": spec.effects.study and spec.effects.study.sd,
        "study_treatment_sd": spec.effects.study_treatment and spec.effects.study_treatment.sd,
        "study_shape_sd": spec.effects.study_shape and spec.effects.study_shape.sd,
    }
    for name, prior in named.items():
        if prior is not None and name in posterior:
            yield name, prior, posterior[name].values.ravel()
    effect = spec.hazard.treatment_effect
    vectors = {name: getattr(spec.priors, name) for name in (effect, "treatment_log_shape")}
    for name, prior in vectors.items():
        if prior is not None and name in posterior:
            for treatment in spec.treatments.compare:
                yield f"{name}[{treatment}]", prior, posterior[name].sel(treatment=treatment).values.ravel()
    for name in spec.unknown_biases:
        prior = spec.modelled_biases[name].prior
        if prior is not None:
            yield f"bias[{name}]", prior, posterior["bias"].sel(bias_term=name).values.ravel()
    for name, term in spec.covariates.items():
        yield f"coefficient[{name}]", term.prior, posterior["coefficient"].sel(covariate=name).values.ravel()
        if term.interaction is not None:
            of = posterior["interaction"].sel(effect_modifier=name)
            shared = term.interaction_by == "shared"
            for treatment in spec.treatments.compare[:1] if shared else spec.treatments.compare:
                label = name if shared else f"{treatment}, {name}"
                yield f"interaction[{label}]", term.interaction, of.sel(treatment=treatment).values.ravel()


def predict(
    result: Result,
    patient: Mapping[str, float] | Sequence[Mapping[str, float]] | None = None,
    *,
    times: Sequence[float] | None = None,
    treatments: Sequence[str] | None = None,
    without: Sequence[str] = (),
    alive_at: float = 0.0,
    who: Who | None = None,
    names: Sequence[str] | None = None,
    reference: str | None = None,
    horizon: float | None = None,
    estimands: Sequence[str] = ESTIMANDS,
    margins: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Survival, median and restricted mean of a patient, or of several, under each treatment (uncertainty about the
    curve; what could happen to one patient is `outcomes`).

    Covariates that are not named are averaged over the evidence's patients (`case_mix.missing`). `label` marks what is
    extrapolated, what the covariates' priors alone decide, and values beyond the evidence. `margins` by estimand
    ({"rmst": 1, "survival": 0.05}) add the probability that a treatment is better by more than that. Nothing is
    recommended: leave out treatments the patient cannot have with `treatments` or `without`.
    """
    patients = [patient or {}] if not isinstance(patient, Sequence) else list(patient)
    titles = list(names) if names is not None else [str(at + 1) for at in range(len(patients))]
    wanted = chosen_treatments(result, treatments, without)
    of_margin = _checked_margins(margins or {}, estimands)
    at = list(checked_times(_times_of(result, times), alive_at))
    until = float(checked_times(result.spec.horizon if horizon is None else horizon, alive_at)[0])
    on = Patient({}, NewStudy() if who is None or isinstance(who, Patient) else who)
    against, informed, labels = _known_treatment(result, reference), prior_only(result), Labels(result)
    everyone, rows = result.spec.treatments.names, dict[int, list[Row]]()
    marks = [_patient_marks(result, values, informed) for values in patients]
    for places, found in _answers(result, on, patients, _Asked(at, until, alive_at, estimands)):
        kept = []
        for named, draws in _absolute_rows(everyone, labels, against, found):
            if named["treatment"] in wanted and (named["reference"] is None or named["reference"] in wanted):
                kept.append({**named, **_summary(draws), **_by_margin(named, draws, of_margin)})
        for place in places:
            label = [{"label": "; ".join(filter(None, [row["label"], *marks[place]]))} for row in kept]
            rows[place] = [{"patient": titles[place], **row, **of} for row, of in zip(kept, label, strict=True)]
    whole = [row for place in range(len(patients)) for row in rows[place]]
    return pd.DataFrame(whole, columns=list(PREDICT_COLUMNS))


def _answers(
    result: Result, on: Patient, patients: Sequence[Mapping[str, float]], asked: _Asked
) -> Iterator[tuple[list[int], Mapping[tuple[str, float | None], Array]]]:
    """Places of the patients who are alike, and what is asked of them. Who is not given differs in spread alone, so
    patients of whom the same covariates are given share one population and are answered together (`interpolated`).
    """
    spec = result.spec
    alike: dict[frozenset[str], dict[tuple[float, ...], list[int]]] = {}
    for place, values in enumerate(patients):
        one = checked(spec, values)
        known = [name for name in spec.covariates if name in one]
        alike.setdefault(frozenset(known), {}).setdefault(tuple(one[name] for name in known), []).append(place)
    for given, places in alike.items():
        known = [name for name in spec.covariates if name in given]
        x = np.array(list(places)).reshape(len(places), len(known))
        of = population(result, replace(on, values=dict(zip(known, x[0].tolist(), strict=True))))
        apart = (x - x[0]) / np.array([spec.covariates[name].scale for name in known])
        slopes = result.draws.slopes[:, :, [list(spec.covariates).index(name) for name in known]]
        yield from zip(places.values(), answers(of, slopes, apart, asked.of), strict=True)


def chosen_treatments(result: Result, treatments: Sequence[str] | None, without: Sequence[str] = ()) -> list[str]:
    """Treatments that are asked about, in the spec's order."""
    asked = [_known_treatment(result, name) for name in treatments or result.spec.treatments.names]
    gone = {_known_treatment(result, name) for name in without}
    left = [name for name in result.spec.treatments.names if name in asked and name not in gone]
    if not left:
        raise InputError("treatments", found="none left", allowed=", ".join(result.spec.treatments.names))
    return left


def _checked_margins(margins: Mapping[str, float], estimands: Sequence[str]) -> Mapping[str, float]:
    known = [name for name in estimands if name != "hazard"]
    for name, value in margins.items():
        if name not in known:
            raise InputError("margin", found=name, allowed=", ".join(known))
        if not (np.isfinite(value) and value >= 0):
            raise InputError(f"margin, {name}", found=value, allowed="0 or more, in the estimand's own unit")
        if name == "survival" and value > 1:
            hint = "survival is a proportion: 0.05 is five percentage points"
            raise InputError(f"margin, {name}", found=value, allowed="0 to 1", hint=hint)
    return margins


def _by_margin(named: Row, draws: Array, margins: Mapping[str, float]) -> Row:
    """P(difference > margin) of a row that is a difference."""
    margin = margins.get(str(named["estimand"]).removesuffix("_difference"))
    if named["reference"] is None or margin is None:
        return {"margin": None, "prob_better_by_margin": None}
    return {"margin": margin, "prob_better_by_margin": float(np.mean(draws > margin))}


def _patient_marks(result: Result, values: Mapping[str, float], informed: Sequence[str]) -> list[str]:
    """What every answer about a patient says of the covariates given."""
    prior = [name for name in values if _any_prior_only(name, informed)]
    beyond = distance(result.spec, result.case_mix, checked(result.spec, values)).outside
    marks = {"prior only": prior, "beyond the evidence": beyond}
    return [f"{words}: {', '.join(names)}" for words, names in marks.items() if names]


def patient_distance(result: Result, patient: Mapping[str, float]) -> Distance:
    """How far a patient is from those of the evidence (`case_mix.Distance`)."""
    return distance(result.spec, result.case_mix, checked(result.spec, patient))


def patient_missing(result: Result, patient: Mapping[str, float]) -> Missing:
    """What becomes of the covariates that are not given."""
    return missing(result.spec, result.case_mix, patient)


def _any_prior_only(covariate: str, parameters: Sequence[str]) -> bool:
    """Whether the covariate's coefficient, or one of its interactions, stands in a list of labels."""
    whole = (f"coefficient[{covariate}]", f"interaction[{covariate}]")
    return any(name in whole or name.endswith(f", {covariate}]") for name in parameters)
