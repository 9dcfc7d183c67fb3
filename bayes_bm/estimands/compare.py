"""Treatments against the reference: ratios, differences and absolute answers as one table."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from bayes_bm.estimands.estimand_rows import Query, absolute_rows
from bayes_bm.estimands.labels import AnswerFlags
from bayes_bm.estimands.population import averages_mix, population
from bayes_bm.estimands.quantities import (
    checked_times,
    checked_treatment,
    hazard_ratio,
    is_proportional,
    lacks_level,
    time_ratio,
    times_or_default,
)
from bayes_bm.estimands.summary import error_columns, level_columns, monte_carlo_errors, null_of, summarize
from bayes_bm.estimands.who import AverageStudy, NewStudy, Patient, PatientMix, Who, as_who, population_of
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import missing
from bayes_bm.runtime.types import Array, Row
from bayes_bm.spec.level import Level

COMPARE_COLUMNS = (
    *("estimand", "treatment", "reference", "time", "mean", "sd", "median"),
    *("q5", "q95", "q2_5", "q97_5", "prob_better", "label"),
)


def compare(
    result: Result,
    *,
    who: Who | str | None = None,
    reference: str | None = None,
    horizon: float | None = None,
    times: Sequence[float] | None = None,
    alive_at: float = 0.0,
) -> pd.DataFrame:
    """Return every treatment, and every treatment against the reference, as one row an estimand.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, PatientMix, or the name of one, optional
        Who is asked about; by default `AverageStudy()`.
    reference : str, optional
        Treatment to compare with; by default the spec's reference.
    horizon : float, optional
        Where restricted means are cut, in the spec's time unit; by default the spec's.
    times : sequence of float, optional
        Times of survival and of ratios that change with time; by default the spec's answer times.
    alive_at : float, default 0
        Answers are given alive at this time; the spec's unit, from time 0.

    Returns
    -------
    pandas.DataFrame
        Columns estimand, treatment, reference, time, mean, sd, median, q5, q95, q2_5, q97_5, prob_better, label; where
        the spec's `level` is neither 0.9 nor 0.95 the ends of its interval too (`q10`, `q90` of 0.8). Last the Monte
        Carlo errors of the median, the ends and P(better): `mcse_median`, `mcse_q2_5`, `mcse_q97_5`,
        `mcse_prob_better`.
        `prob_better` is P(HR < 1), P(time ratio > 1) or P(difference > 0), absent where nothing is compared
        (docs/decisions.md#16-better). `label` says "extrapolated" beyond the treatment's follow-up and "prior only"
        where the data did not move the contrast (decision 17); with a background hazard "all-cause", or "excess" of a
        time ratio.

    Raises
    ------
    InputError
        For times not above 0 or before `alive_at`, or treatments that the spec does not have.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> bb.compare(result, times=[12])["estimand"].unique().tolist()[:4]
    ['hazard_ratio', 'log_hazard_ratio', 'survival', 'survival_difference']
    """
    return answer_table(
        compared_pairs(result, who=who, reference=reference, horizon=horizon, times=times, alive_at=alive_at),
        result.spec.interval,
        chains=result.posterior.sizes["chain"],
    )


def answer_table(rows_with_draws: Iterable[tuple[Row, Array]], level: Level, *, chains: int) -> pd.DataFrame:
    """Return the rows of `compared_pairs` with their draws summarised, and the Monte Carlo error of what is shown."""
    rows = [
        {
            **identifiers,
            **summarize(values, level),
            **monte_carlo_errors(values, level, chains=chains, null=null_of(identifiers)),
        }
        for identifiers, values in rows_with_draws
    ]
    return pd.DataFrame(rows, columns=[*COMPARE_COLUMNS, *level_columns(level), *error_columns(level)])


def compared_pairs(
    result: Result,
    *,
    who: Who | str | None = None,
    reference: str | None = None,
    horizon: float | None = None,
    times: Sequence[float] | None = None,
    alive_at: float = 0.0,
) -> Iterator[tuple[Row, Array]]:
    """What `compare` summarises: the names of each row and its draws (sample,), chain after chain."""
    who = as_who(who, AverageStudy())
    reference_name = checked_treatment(result, reference)
    time_list = list(checked_times(times_or_default(result, times), alive_at))
    yield from _ratio_rows(result, who, reference_name, time_list)
    if not lacks_level(result, who):
        end_time = float(checked_times(result.spec.horizon if horizon is None else horizon, alive_at)[0])
        answers = Query(time_list, end_time, alive_at).answer(population(result, who))
        labels = AnswerFlags(result, at_centres=not (isinstance(who, Patient) or averages_mix(result, who)))
        yield from absolute_rows(result.spec.treatments.names, labels, reference_name, answers)


def is_marginal(result: Result, who: Who) -> bool:
    """Return whether a ratio is of averages: over studies, or over covariates that are not given."""
    averaged = isinstance(who, Patient) and bool(missing(result.spec, result.case_mix, who.values).averaged)
    averaged = averaged or isinstance(who, PatientMix) or averages_mix(result, who)
    return (isinstance(population_of(who), NewStudy) or averaged) and not lacks_level(result, who)


def _ratio_rows(result: Result, who: Who, reference: str, times: list[float]) -> Iterator[tuple[Row, Array]]:
    """Hazard ratios, without a time where conditional ones are proportional; of accelerated time, time ratios."""
    if result.inputs.family.effect == "time":
        yield from _time_ratio_rows(result, who, reference)
        return
    timed = is_marginal(result, who) or not is_proportional(result)
    ratios = hazard_ratio(result, times if timed else times[:1], who=who, reference=reference)
    labels = AnswerFlags(result, at_centres=not (isinstance(who, Patient) or averages_mix(result, who)))
    for treatment in result.spec.treatments.names:
        if treatment == reference:
            continue
        for time in ratios["time"].values:
            values = ratios.sel(treatment=treatment, time=time).values.ravel()
            shown = float(time) if timed else None
            label = labels.contrast((treatment, shown), (reference, shown))
            better = float(np.mean(values < 1))
            named = {
                "treatment": treatment,
                "reference": reference,
                "time": shown,
                "prob_better": better,
                "label": label,
            }
            yield {"estimand": "hazard_ratio", **named}, values
            yield {"estimand": "log_hazard_ratio", **named}, np.log(values)


def _time_ratio_rows(result: Result, who: Who, reference: str) -> Iterator[tuple[Row, Array]]:
    ratios, labels = time_ratio(result, who=who, reference=reference), AnswerFlags(result, of_deaths="excess")
    for treatment in result.spec.treatments.names:
        if treatment == reference:
            continue
        values = ratios.sel(treatment=treatment).values.ravel()
        label = labels.contrast((treatment, None), (reference, None))
        better = float(np.mean(values > 1))
        named = {"treatment": treatment, "reference": reference, "time": None, "prob_better": better, "label": label}
        yield {"estimand": "time_ratio", **named}, values
        yield {"estimand": "log_time_ratio", **named}, np.log(values)
