"""Every number of an answer as rows of one table, those of `predict`; and what is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.estimands.estimand_rows import ESTIMANDS, absolute_rows
from bayes_bm.estimands.labels import AnswerFlags
from bayes_bm.estimands.predict import PREDICT_COLUMNS, margin_columns, require_margins
from bayes_bm.estimands.quantities import checked_times, chosen_treatments
from bayes_bm.estimands.summary import level_columns, summarize
from bayes_bm.estimands.tabulated_patients import PatientDraws
from bayes_bm.inference.result import Result
from bayes_bm.report.patient.question import Question
from bayes_bm.runtime.types import Array

GRID = 61
"""Times at which a curve is drawn."""
CURVE_DRAWS = 1000
"""Draws behind a drawn line and its band; tables use all of the page's."""
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Shares of such patients whose time is told."""
FIRST = "patient A"
"""What stands as the reference of a difference between patients."""
FURTHEST = 10.0
"""Times beyond so many horizons are not told."""

type Rows = list[dict[str, Any]]
type Draws = dict[tuple[str, float | None], Array]


@dataclass(frozen=True)
class PatientNumbers:
    """One patient: rows of `predict`, curves by treatment, and times by which shares of such patients have the event.

    `draws` holds what the rows summarise, (sample, treatment) by estimand and time, for differences between patients.
    """

    rows: Rows
    curves: dict[str, dict[str, list[float]]]
    single: dict[str, list[float]]
    draws: Draws


def asked_times(result: Result, asked: Question) -> list[float]:
    """Return the chosen time and the spec's answer times that are not yet past, rising."""
    chosen = float(checked_times(asked.time, asked.alive_at)[0])
    later = [float(time) for time in result.spec.answer_times if time >= asked.alive_at]
    return sorted({chosen, *later})


def patient_numbers(
    result: Result, drawn: PatientDraws, asked: Question, *, title: str, times: Sequence[float]
) -> PatientNumbers:
    """Return the numbers of one patient whose draws are read off a table."""
    spec, alive_at = result.spec, asked.alive_at
    wanted = chosen_treatments(result, asked.treatments)
    end = float(checked_times(spec.horizon, alive_at)[0])
    require_margins(asked.margins, ESTIMANDS)
    survival = drawn.survival(np.array(times), alive_at=alive_at)
    draws: Draws = {("survival", time): survival[..., place] for place, time in enumerate(times)}
    draws["median", None] = drawn.quantile(0.5, alive_at=alive_at)
    draws["rmst", end] = drawn.rmst(end, alive_at=alive_at)
    return PatientNumbers(
        rows=_rows(result, draws, asked, wanted, title),
        curves=_curves(result, drawn.thinned(CURVE_DRAWS), asked, wanted),
        single=_single_patients(result, drawn, asked, wanted),
        draws=draws,
    )


def _rows(result: Result, draws: Draws, asked: Question, wanted: Sequence[str], title: str) -> Rows:
    """Rows of `predict`, but of medians no difference: one that is never reached leaves none."""
    spec, flags = result.spec, AnswerFlags(result, at_centres=False)
    kept: Rows = []
    for named, values in absolute_rows(spec.treatments.names, flags, reference_of(result, wanted), draws):
        sides = [name for name in (named["treatment"], named["reference"]) if name is not None]
        if set(sides) <= set(wanted) and named["estimand"] != "median_difference":
            margins = margin_columns(named, values, asked.margins)
            kept.append({"patient": title, **named, **summarize(values, spec.interval), **margins})
    return kept


def reference_of(result: Result, wanted: Sequence[str]) -> str:
    """Return what is compared with: the spec's reference, or else the first treatment that is asked about."""
    reference = result.spec.treatments.reference
    return reference if reference in wanted else wanted[0]


def between_rows(result: Result, numbers: Sequence[PatientNumbers], asked: Question) -> Rows:
    """Return what the second patient has more than the first, under each treatment, paired by draw."""
    if len(numbers) < 2:
        return []
    names, flags = list(result.spec.treatments.names), AnswerFlags(result, at_centres=False)
    first, second = (one.draws for one in numbers)
    rows: Rows = []
    for (estimand, time), values in first.items():
        if estimand == "median":
            continue
        for name in chosen_treatments(result, asked.treatments):
            place = names.index(name)
            difference = second[estimand, time][:, place] - values[:, place]
            named = {"estimand": f"{estimand}_difference", "time": time, "label": flags.absolute(name, time)}
            better = {"prob_better": float(np.mean(difference > 0)), "reference": FIRST, "treatment": name}
            shown = summarize(difference, result.spec.interval)
            rows.append({"patient": "B minus A", **named, **better, **shown, "margin": None})
    return rows


def _curves(
    result: Result, drawn: PatientDraws, asked: Question, wanted: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    spec = result.spec
    times = np.linspace(asked.alive_at, spec.horizon, GRID)
    survival = drawn.survival(times, alive_at=asked.alive_at)
    low, high = spec.interval.tails
    bands = np.round(np.quantile(survival, [low, 0.5, high], axis=0), 4)
    names = spec.treatments.names
    keys = ("low", "median", "high")
    return {
        name: {"time": np.round(times, 4).tolist()}
        | {key: bands[row, names.index(name)].tolist() for row, key in enumerate(keys)}
        for name in wanted
    }


def _single_patients(
    result: Result, drawn: PatientDraws, asked: Question, wanted: Sequence[str]
) -> dict[str, list[float]]:
    """Times by which 10, 25, 50, 75 and 90 of 100 such patients have had the event: of the average over all draws,
    which is the law of `outcomes`; inf beyond what is told.
    """
    names, end = result.spec.treatments.names, FURTHEST * result.spec.horizon
    start = max(asked.alive_at, 1e-3 * result.spec.horizon)
    times = np.exp(np.linspace(np.log(start), np.log(end), 8 * GRID))
    dead = 1 - drawn.thinned(CURVE_DRAWS).survival(times, alive_at=asked.alive_at).mean(axis=0)
    told: dict[str, list[float]] = {}
    for name in wanted:
        law = np.maximum.accumulate(dead[names.index(name)])
        told[name] = [float(np.interp(share, law, times)) if law[-1] >= share else float("inf") for share in SHARES]
    return told


def rows_table(rows: Rows, result: Result, asked: Question, patients: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Return all rows with who was asked about beside each: what the page hands out as CSV."""
    columns = [*PREDICT_COLUMNS, *level_columns(result.spec.interval)]
    table = pd.DataFrame(rows, columns=columns)
    given = [";".join(f"{name}={value:g}" for name, value in patient.items()) for patient in patients]
    by_title = dict(zip("AB", given, strict=False))
    asked_about = {"given": [by_title.get(str(title), "") for title in table["patient"]]}
    more = {"alive_at": asked.alive_at, "who": asked.who, "time_unit": result.spec.time_unit, "spec": result.spec.name}
    return table.assign(**asked_about, **more)
