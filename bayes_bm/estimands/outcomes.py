"""What could happen to one patient: draws of the time of the event, not of a curve.

`quantities.survival` has the uncertainty about a curve, an average over patients like this one; it narrows with more
evidence. An outcome is one patient's: it stays wide however much is known. The two are never drawn in one colour.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.estimands.population import population
from bayes_bm.estimands.quadrature import Population
from bayes_bm.estimands.quantities import chosen_treatments
from bayes_bm.estimands.who import Patient, Who, study_of
from bayes_bm.hazards.family import inverse
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.random_stages import RandomStage, random_stream

SHARES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
"""Quantiles of the outcome that `outcome_table` gives."""


def outcomes(
    result: Result,
    patient: Mapping[str, float] | None = None,
    *,
    treatments: Sequence[str] | None = None,
    without: Sequence[str] = (),
    alive_at: float = 0.0,
    who: Who | str | None = None,
    each: int = 1,
    seed: int | None = None,
) -> xr.DataArray:
    """Return draws of the time of the event of one such patient.

    Study effects (of a new study, by default) and covariates that are not given are drawn, not averaged. Treatments are
    drawn independently: which of two outcomes would be the better for the same patient is not known, so do not subtract
    them.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    patient : mapping of str to float, optional
        Covariates by their names in the spec, in their own units.
    treatments, without : sequence of str, optional
        Treatments to answer for, and those to leave out; by default all.
    alive_at : float, default 0
        The patient is alive at this time (the spec's unit, from time 0), and all times are later.
    who : AverageStudy, NewStudy, NewHospital, Study, or the name of one, optional
        Whose study effects the patient has; by default `NewStudy()`.
    each : int, default 1
        Outcomes at each posterior draw.
    seed : int, optional
        In place of the spec's.

    Returns
    -------
    xarray.DataArray
        Time from time 0 (chain, draw, outcome, treatment), in the spec's unit; inf where the event never comes.

    Raises
    ------
    InputError
        For `each` below 1, a negative `alive_at`, or covariates or treatments that the spec does not have.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> times = bb.outcomes(result, alive_at=6, each=3)
    >>> dict(times.sizes), bool((times > 6).all())
    ({'chain': 1, 'draw': 200, 'outcome': 3, 'treatment': 2}, True)
    """
    if each < 1:
        raise InputError("each", found=each, allowed="1 or more")
    if not (np.isfinite(alive_at) and alive_at >= 0):
        raise InputError("alive_at", found=alive_at, allowed="0 or more")
    wanted = chosen_treatments(result, treatments, without)
    study_effects = study_of(who)
    patient_population = population(result, Patient(patient or {}, study_effects))
    rng = random_stream(result.spec.seed if seed is None else seed, RandomStage.OUTCOMES)
    drawn = np.stack([_event_times(patient_population, alive_at, rng) for _ in range(each)], axis=1)
    shaped = drawn.reshape(result.predictors.draws.chains, -1, *drawn.shape[1:])
    names = list(result.spec.treatments.names)
    values = xr.DataArray(shaped, dims=("chain", "draw", "outcome", "treatment"), coords={"treatment": names})
    return values.sel(treatment=wanted)


def _event_times(population: Population, alive_at: float, rng: np.random.Generator) -> np.ndarray:
    """One time of the event for each draw and treatment (sample, treatment).

    Given alive at s, effects have the law of survivors: they are drawn until S(s) accepts them.
    """
    eta, shape = _draw_effects(population, rng)
    entered = np.zeros(eta.shape)
    if alive_at > 0:
        log_u = np.log(alive_at / population.reference_time)
        waiting = np.ones(eta.shape, dtype=bool)
        for _ in range(TRIES):
            redrawn = _draw_effects(population, rng)
            eta, shape = np.where(waiting, redrawn[0], eta), np.where(waiting[..., None], redrawn[1], shape)
            entered = _cum_hazard(population, log_u, eta, shape)
            waiting &= rng.random(eta.shape) > np.exp(-entered)
            if not waiting.any() or not population.averaged:
                break
    target = np.log(entered + rng.exponential(size=eta.shape))
    return population.reference_time * np.exp(inverse(population.family, target, eta, shape, xp=NUMPY))


TRIES = 1000
"""Draws of effects that may be refused; those waiting then (S(s) below a thousandth) keep the last."""


def _draw_effects(population: Population, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    eta = population.eta + population.eta_sd * rng.standard_normal(population.eta.shape)
    if population.not_given is not None:
        passed = np.cumsum(population.not_given.weight, axis=-1) < rng.random((*eta.shape, 1))
        node = np.minimum(passed.sum(axis=-1, keepdims=True), passed.shape[-1] - 1)
        eta += np.take_along_axis(population.not_given.node, node, axis=-1)[..., 0]
    shape = population.shape.copy()
    if population.walk is not None:
        steps = rng.standard_normal((*population.eta.shape, len(population.walk))) * population.walk
        shape[..., 1 : len(population.walk) + 1] += population.shape_sd[..., None] * np.cumsum(steps, axis=-1)
    elif shape.shape[-1]:
        shape[..., 0] += population.shape_sd * rng.standard_normal(population.eta.shape)
    return eta, shape


def _cum_hazard(population: Population, log_u: float, eta: np.ndarray, shape: np.ndarray) -> np.ndarray:
    placed = population.family.place(np.full(eta.shape, log_u))
    return np.exp(np.minimum(population.family.log_cum_hazard(placed, eta, shape, xp=NUMPY), 700.0))


def remaining_times(result: Result, times: Sequence[float] | None, alive_at: float) -> list[float]:
    """Times to ask about: the spec's own where none are given, those not yet past."""
    return [float(time) for time in (times or result.spec.answer_times) if time >= alive_at]


def outcome_table(drawn: xr.DataArray, times: Sequence[float] = ()) -> pd.DataFrame:
    """Return quantiles of the outcome by treatment, and the probability of being free of the event at each time.

    Parameters
    ----------
    drawn : xarray.DataArray
        Times of the event with a dimension `treatment`, as `outcomes` draws them.
    times : sequence of float, optional
        Times at which to be free of the event, in the same unit.

    Returns
    -------
    pandas.DataFrame
        Columns treatment, what (`quantile` or `alive`), at (the share or the time), value (a time, or a probability).

    Examples
    --------
    >>> import bayes_bm as bb
    >>> import xarray as xr
    >>> drawn = xr.DataArray([[3.0], [6.0], [9.0], [18.0]], dims=("draw", "treatment"), coords={"treatment": ["a"]})
    >>> bb.outcome_table(drawn, [12]).query("what == 'alive'")["value"].tolist()
    [0.25]
    """
    rows = []
    for name in drawn["treatment"].to_numpy():
        values = drawn.sel(treatment=name).to_numpy().ravel()
        summaries = {("quantile", share): _outcome_quantile(values, share) for share in SHARES}
        summaries |= {("alive", float(time)): float(np.mean(values > time)) for time in times}
        rows += [
            {"treatment": name, "what": what, "at": position, "value": value}
            for (what, position), value in summaries.items()
        ]
    return pd.DataFrame(rows, columns=["treatment", "what", "at", "value"])


def _outcome_quantile(values: np.ndarray, share: float) -> float:
    """inf where so many never have the event."""
    return float(np.sort(values)[min(len(values) - 1, int(np.floor(share * len(values))))])
