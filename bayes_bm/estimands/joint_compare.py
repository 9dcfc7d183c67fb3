"""Answers of a joint model as one table, and its rows of several causes, printed against predicted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.estimands.cause_quadrature import member_hazards
from bayes_bm.estimands.compare import COMPARE_COLUMNS, compared_pairs, is_marginal
from bayes_bm.estimands.competing_risks import FREE, cumulative_incidence, time_lost
from bayes_bm.estimands.joint_populations import asked_about
from bayes_bm.estimands.labels import MARKS, AnswerFlags
from bayes_bm.estimands.quadrature import hazard
from bayes_bm.estimands.quantities import checked_times, checked_treatment, times_or_default
from bayes_bm.estimands.summary import level_columns, summarize
from bayes_bm.estimands.who import AverageStudy, NewStudy, Patient, Who, as_who, population_of
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.inference.result import Result
from bayes_bm.model.causes.incidence import complement_steps
from bayes_bm.model.causes.joint_inputs import causes_at
from bayes_bm.runtime.types import Array, Row

JOINT_COLUMNS = ("estimand", "cause", *COMPARE_COLUMNS[1:])
RATIOS = ("hazard_ratio", "log_hazard_ratio", "time_ratio", "log_time_ratio")
NO_CAUSE = ""
"""Cause of an answer about all of them together."""


def compare_causes(
    joint: JointResult,
    *,
    who: Who | str | None = None,
    reference: str | None = None,
    horizon: float | None = None,
    times: Sequence[float] | None = None,
    alive_at: float = 0.0,
) -> pd.DataFrame:
    """Return cause-specific ratios, cumulative incidences, survival free of all causes and time lost, row by row.

    Parameters
    ----------
    joint : JointResult
        A joint model.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, PatientMix, or the name of one, optional
        Who is asked about; by default `AverageStudy()`.
    reference : str, optional
        Treatment to compare with; by default the spec's reference.
    horizon : float, optional
        Up to which time is lost, in the spec's unit; by default the spec's.
    times : sequence of float, optional
        By default the spec's answer times.
    alive_at : float, default 0
        Answers are given free of all causes at this time.

    Returns
    -------
    pandas.DataFrame
        Columns of `compare` and `cause`. Estimands: ratios of each cause's hazard among those free of all, without a
        time where patients and studies are alike and hazards proportional; of patients who differ, by time, averaged
        over those free of all by then (none of a new study without patients); `cumulative_incidence` and `time_lost`
        of each cause, `survival` and `rmst` free of all, and their differences from the reference; `prob_better` is
        that of less incidence, less time lost, more survival.

    Raises
    ------
    InputError
        For times not above 0 or before `alive_at`, or treatments that the spec does not have.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit_causes("local_failure_and_death", draws=50, tune=100, chains=2)  # doctest: +SKIP
    >>> bb.compare_causes(result, times=[12])["estimand"].unique().tolist()  # doctest: +SKIP
    ['hazard_ratio', 'log_hazard_ratio', 'cumulative_incidence', ...]
    """
    who = as_who(who, AverageStudy())
    level = joint.first.spec.interval
    rows = _rows(joint, who, checked_treatment(joint.first, reference), times, horizon, alive_at)
    found = [{**named, **summarize(values, level)} for named, values in rows]
    return pd.DataFrame(found, columns=[*JOINT_COLUMNS, *level_columns(level)])


def _rows(
    joint: JointResult, who: Who, reference: str, times: Sequence[float] | None, horizon: float | None, alive_at: float
) -> Iterator[tuple[Row, Array]]:
    asked = np.sort(checked_times(times_or_default(joint.first, times), alive_at))
    yield from _ratios(joint, who, reference, asked)
    shares = cumulative_incidence(joint, list(asked), who=who, alive_at=alive_at)
    for time in asked:
        at_time = shares.sel(time=time)
        yield from _by_treatment(joint, "cumulative_incidence", "survival", at_time, float(time), reference)
    lost = time_lost(joint, horizon, who=who, alive_at=alive_at)
    yield from _by_treatment(joint, "time_lost", "rmst", lost, lost.attrs["horizon"], reference)


def _ratios(joint: JointResult, who: Who, reference: str, times: Array) -> Iterator[tuple[Row, Array]]:
    """Ratios of each cause: of alike patients, or by time of patients who differ, among those free of all by then."""
    averaged = isinstance(who, Patient) and is_marginal(joint.first, who)
    of_free = _hazards_of_free(joint, who, times) if averaged else None
    for place, (name, result) in enumerate(joint.results.items()):
        if of_free is not None and result.inputs.family.effect == "hazard":
            for named, values in _ratios_of_free(result, of_free[place], reference, times):
                yield {**named, "cause": name}, values
        elif not isinstance(population_of(who), NewStudy):
            for named, values in compared_pairs(result, who=who, reference=reference, times=list(times)):
                if named["estimand"] in RATIOS:
                    yield {**named, "cause": name}, values


def _hazards_of_free(joint: JointResult, who: Who, times: Array) -> Array:
    """Hazard of each cause among those free of all (cause, sample, treatment, time)."""
    asked = asked_about(joint, who)
    if asked.members is not None:
        return member_hazards(asked.members, times)
    return np.stack([hazard(one, times) for one in asked.populations])


def _ratios_of_free(result: Result, hazards: Array, reference: str, times: Array) -> Iterator[tuple[Row, Array]]:
    names, labels = result.spec.treatments.names, AnswerFlags(result, at_centres=False)
    other = hazards[:, names.index(reference)]
    for column, treatment in enumerate(names):
        for place, time in enumerate(times) if treatment != reference else ():
            ratio = hazards[:, column, place] / other[:, place]
            named = {
                "treatment": treatment, "reference": reference, "time": float(time),
                "prob_better": float(np.mean(ratio < 1)),
                "label": labels.contrast((treatment, float(time)), (reference, float(time))),
            }  # fmt: skip
            yield {"estimand": "hazard_ratio", **named}, ratio
            yield {"estimand": "log_hazard_ratio", **named}, np.log(ratio)


def _by_treatment(
    joint: JointResult, of_cause: str, free: str, values: xr.DataArray, time: float, reference: str
) -> Iterator[tuple[Row, Array]]:
    """Each cause, and who is free of all, under every treatment, and the difference from the reference."""
    flags = [AnswerFlags(result) for result in joint.results.values()]
    for cause in values["cause"].to_numpy().tolist():
        estimand, less = (free, False) if cause == FREE else (of_cause, True)
        named = {"estimand": estimand, "cause": NO_CAUSE if cause == FREE else cause, "time": time}
        by_treatment = {name: values.sel(cause=cause, treatment=name).to_numpy() for name in values["treatment"].values}
        for treatment, draws in by_treatment.items():
            label = _label(flags, treatment, time)
            yield {**named, "treatment": treatment, "reference": None, "prob_better": None, "label": label}, draws
            if treatment == reference:
                continue
            apart = draws - by_treatment[reference]
            better = float(np.mean(apart < 0 if less else apart > 0))
            of_both = _label(flags, treatment, time, reference)
            more = {"estimand": f"{estimand}_difference", "reference": reference, "prob_better": better}
            yield {**named, **more, "treatment": treatment, "label": of_both}, apart


def _label(flags: Sequence[AnswerFlags], *sides: str | float) -> str:
    """Marks of any cause and any side."""
    treatments = [side for side in sides if isinstance(side, str)]
    time = next(side for side in sides if not isinstance(side, str))
    said = [one.absolute(name, float(time)) for one in flags for name in treatments]
    return "; ".join(mark for mark in MARKS if any(mark in text for text in said))


ROW_COLUMNS = ("cause", "study", "arm", "treatment", "time", "printed", "predicted", "low", "high")


def joint_rows(joint: JointResult) -> pd.DataFrame:
    """Return every printed 1 - F beside what the model says of it, for its own study and arm.

    Columns cause, study, arm, treatment, time, printed, predicted (the mean over draws) and the ends of the interval.
    """
    rows, level = [], joint.first.spec.interval
    for part in printed_complements(joint):
        for place, own in enumerate(part.labels.to_dict("records")):
            draws = part.complement[:, place]
            low, high = np.quantile(draws, level.tails)
            row = {"cause": part.cause, **own, "printed": part.printed[place], "predicted": float(draws.mean())}
            rows.append({**row, "low": float(low), "high": float(high)})
    return pd.DataFrame(rows, columns=list(ROW_COLUMNS))


@dataclass(frozen=True)
class PrintedComplements:
    """Printed 1 - F of one cause (row,), whose they are (study, arm, treatment, time), and what the model says.

    `step` is the share still free of the cause of those free of it at the row before (sample, row), `size` whom it is
    of (row,), `later` 1 where there is a row before (row,), and `complement` 1 - F (sample, row).
    """

    cause: str
    labels: pd.DataFrame
    printed: Array
    step: Array
    size: Array
    later: Array

    @property
    def complement(self) -> Array:
        return self.along_arm(self.step)

    def along_arm(self, step: Array) -> Array:
        """Multiply the shares of each step along its arm (sample, row)."""
        found = np.ones_like(step)
        for place in range(step.shape[-1]):
            found[:, place] = step[:, place] * (found[:, place - 1] if self.later[place] else 1.0)
        return found


def printed_complements(joint: JointResult) -> Iterator[PrintedComplements]:
    """Yield printed 1 - F cause by cause."""
    for arrays, arms in joint.inputs.incidence:
        name = joint.causes.names[arrays.cause]
        part = joint.evidence.incidence[name]
        steps = (
            complement_steps(arrays, causes_at(levels, arms, xp=NUMPY), log_weight=arms.log_weight, xp=NUMPY)
            for levels in joint.levels_in_parts()
        )
        yield PrintedComplements(
            cause=name,
            labels=pd.concat([part.sequences, part.counts])[["study", "arm", "treatment", "time"]],
            printed=np.concatenate([part.sequences["survival"], 1 - part.counts["events"] / part.counts["n"]]).astype(
                float
            ),
            step=np.exp(np.concatenate([log_q for log_q, _ in steps])),
            size=arrays.size,
            later=arrays.later,
        )
