"""What a patient's figure and page show: curves with their bands, and outcomes of one such patient, as plain tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_bm.estimands.labels import AnswerFlags, prior_only
from bayes_bm.estimands.outcomes import outcome_table, outcomes
from bayes_bm.estimands.predict import patient_distance, patient_missing
from bayes_bm.estimands.quantities import chosen_treatments, survival
from bayes_bm.estimands.who import Patient, Who, study_of
from bayes_bm.evidence.covariate_notes import reading_at_centres
from bayes_bm.inference.result import Result
from bayes_bm.spec.level import USUAL, Level

GRID = 61
"""Number of times at which a curve is drawn."""
CURVE_DRAWS = 1000
"""Draws behind a drawn line and its band; tables use all."""


@dataclass(frozen=True)
class PatientCurves:
    """Curves (treatment, time, low, low50, median, high50, high), when each is carried beyond follow-up, and outcomes
    (`outcome_table`), for one patient; `notes` say who is averaged, what is prior only and how far the patient is.
    """

    curves: pd.DataFrame
    follow_up_end: Mapping[str, float]
    outcomes: pd.DataFrame
    notes: tuple[str, ...]
    time_unit: str
    horizon: float
    alive_at: float
    level: Level = USUAL


def patient_curves(
    result: Result,
    patient: Mapping[str, float],
    *,
    treatments: Sequence[str] | None = None,
    without: Sequence[str] = (),
    alive_at: float = 0.0,
    who: Who | str | None = None,
    horizon: float | None = None,
    times: Sequence[float] = (),
) -> PatientCurves:
    """Compute what is drawn, to the horizon; `times` are those of `outcome_table`."""
    study_effects = study_of(who)
    end = max(result.spec.horizon if horizon is None else horizon, alive_at * 1.05 + 1e-9)
    wanted = chosen_treatments(result, treatments, without)
    grid = np.linspace(alive_at, end, GRID)
    grid[0] = max(grid[0], 1e-4 * end)
    low, high = result.spec.interval.tails
    shares = {"low": low, "low50": 0.25, "median": 0.5, "high50": 0.75, "high": high}
    drawn = survival(
        result.thinned(CURVE_DRAWS), list(grid), who=Patient(patient, study_effects), alive_at=alive_at
    ).sel(treatment=wanted)
    bands = drawn.quantile(list(shares.values()), dim=("chain", "draw")).to_numpy()
    where = {"treatment": np.repeat(wanted, len(grid)), "time": np.tile(grid, len(wanted))}
    curves = pd.DataFrame({**where, **{name: bands[index].ravel() for index, name in enumerate(shares)}})
    fates = outcomes(result, patient, treatments=wanted, alive_at=alive_at, who=study_effects)
    labels = AnswerFlags(result)
    return PatientCurves(
        curves=curves,
        follow_up_end={name: labels.until(name) for name in wanted},
        outcomes=outcome_table(fates, times),
        notes=patient_notes(result, patient, study_effects),
        time_unit=result.spec.time_unit,
        horizon=end,
        alive_at=alive_at,
        level=result.spec.interval,
    )


OVER = {
    "average-study": "The average study: all study effects zero.",
    "new-study": "Averaged over the population of studies.",
    "new-hospital": "One new hospital: its own level and shape, not yet seen, are part of the uncertainty.",
}


def patient_notes(result: Result, patient: Mapping[str, float], study_effects: Who) -> tuple[str, ...]:
    """Who is averaged, what was not given, what no data inform, how far the patient is; nothing is recommended."""
    spec, informed = result.spec, set(prior_only(result))
    named = [name for name in spec.covariates if f"coefficient[{name}]" in informed]
    effects = [name for name in spec.treatments.compare if f"{spec.hazard.treatment_effect}[{name}]" in informed]
    prior = (
        f"Prior only, for no evidence here informs them: {', '.join([*named, *effects])}." if named or effects else ""
    )
    of_patient = (
        [
            patient_missing(result, patient).text,
            reading_at_centres(spec, result.evidence),
            patient_distance(result, patient).text,
        ]
        if spec.covariates
        else []
    )
    gate = "" if result.gate.passed else f"THE CONVERGENCE GATE FAILED: {'; '.join(result.gate.reasons)}."
    last = "Nothing is recommended: the curves are of groups of such patients, and who received what was not at random."
    notes = [
        gate,
        OVER.get(study_effects.name, f"As in {study_effects.name.removeprefix('study:')}."),
        *of_patient,
        prior,
        last,
    ]
    return tuple(text for text in notes if text)
