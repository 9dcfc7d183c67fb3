"""Who is asked about x what: labelled patient_answers with their draws (docs/decisions.md, 14-17).

AverageStudy()   all study effects zero
NewStudy()       the average over the population of studies, per posterior draw, by quadrature
NewHospital()    one fresh set of study effects a draw: what the next hospital may see
Study("name")    that study's own effects; a treatment it did not use gets a fresh deviation given the others
Patient(values, on=...)  covariates on top of any of these
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bayes_bm.estimands.estimand_rows import ESTIMANDS, Query, absolute_rows
from bayes_bm.estimands.interpolation import patient_answers
from bayes_bm.estimands.labels import AnswerFlags, prior_only
from bayes_bm.estimands.population import population
from bayes_bm.estimands.quantities import checked_times, checked_treatment, chosen_treatments, times_or_default
from bayes_bm.estimands.summary import error_columns, level_columns, monte_carlo_errors, null_of, summarize
from bayes_bm.estimands.who import Patient, PatientMix, Who, study_of
from bayes_bm.inference.result import Result
from bayes_bm.model.covariates.case_mix import Distance, Missing, checked, complete, distance, missing
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.progress import counting
from bayes_bm.runtime.types import Array, Row

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
        "q2_5",
        "q97_5",
        "prob_better",
        "margin",
        "prob_better_by_margin",
        "label",
    ),
)


def predict(
    result: Result,
    patient: Mapping[str, float] | Sequence[Mapping[str, float]] | None = None,
    *,
    times: Sequence[float] | None = None,
    treatments: Sequence[str] | None = None,
    without: Sequence[str] = (),
    alive_at: float = 0.0,
    who: Who | str | None = None,
    names: Sequence[str] | None = None,
    reference: str | None = None,
    horizon: float | None = None,
    estimands: Sequence[str] = ESTIMANDS,
    margins: Mapping[str, float] | None = None,
    errors: bool = False,
) -> pd.DataFrame:
    """Return survival, median and restricted mean of a patient, or of several, under each treatment.

    The uncertainty is about the curve; what could happen to one patient is `outcomes`. Nothing is recommended: leave
    out treatments the patient cannot have with `treatments` or `without`.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    patient : mapping of str to float, or sequence of them, optional
        Covariates by their names in the spec, in their own units. Those not named are averaged over the evidence's
        patients (`patient_missing`).
    times : sequence of float, optional
        Times in the spec's unit, from time 0; by default the spec's answer times.
    treatments, without : sequence of str, optional
        Treatments to answer for, and those to leave out; by default all.
    alive_at : float, default 0
        The patient is alive at this time.
    who : AverageStudy, NewStudy, NewHospital, Study, PatientMix, or the name of one, optional
        Whose study effects the patient has; by default `NewStudy()`. Of a `PatientMix` the patients are asked about
        together, and no patient is given.
    names : sequence of str, optional
        Names of the patients; by default 1, 2, ...
    reference : str, optional
        Treatment to compare with; by default the spec's reference.
    horizon : float, optional
        Where restricted means are cut; by default the spec's.
    estimands : sequence of str, optional
        Of `survival`, `median`, `rmst`, `hazard` and `quantile:q`; by default the first three.
    margins : mapping of str to float, optional
        By estimand ({"rmst": 1, "survival": 0.05}, in its own unit): the probability that a treatment is better by
        more than that is added.
    errors : bool, default False
        Whether Monte Carlo errors are added, as `compare` has them; of many patients they take most of the time.

    Returns
    -------
    pandas.DataFrame
        Columns patient, treatment, reference, estimand, time, mean, sd, median, q5, q95, q2_5, q97_5,
        prob_better, margin, prob_better_by_margin, label; with `errors` those of the median, the ends and P(better),
        `mcse_median`, `mcse_q2_5`, `mcse_q97_5`, `mcse_prob_better`. `label` marks what is extrapolated, what
        the covariates' priors alone decide, and values beyond the evidence.

    Raises
    ------
    InputError
        For covariates, treatments, estimands or margins that the spec does not have, or times before `alive_at`.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> table = bb.predict(result, times=[12], without=["gtr"])
    >>> table["estimand"].tolist(), table["treatment"].unique().tolist()
    (['survival', 'median', 'rmst'], ['str'])
    """
    patients = [patient or {}] if not isinstance(patient, Sequence) else list(patient)
    titles = list(names) if names is not None else [str(time_list + 1) for time_list in range(len(patients))]
    wanted = chosen_treatments(result, treatments, without)
    checked_margins = require_margins(margins or {}, estimands)
    time_list = list(checked_times(times_or_default(result, times), alive_at))
    end_time = float(checked_times(result.spec.horizon if horizon is None else horizon, alive_at)[0])
    base_patient, level = _base_patient(who, patients), result.spec.interval
    chains = result.posterior.sizes["chain"]
    reference_name, informed, labels = (
        checked_treatment(result, reference),
        prior_only(result),
        AnswerFlags(result, at_centres=False),
    )
    everyone, rows = result.spec.treatments.names, dict[int, list[Row]]()
    marks = [_patient_marks(result, values, informed) for values in patients]
    asked = Query(time_list, end_time, alive_at, estimands)
    for places, answers_by_key in _counted(_alike_answers(result, base_patient, patients, asked), len(patients)):
        kept = []
        for named, draws in absolute_rows(everyone, labels, reference_name, answers_by_key):
            if named["treatment"] in wanted and (named["reference"] is None or named["reference"] in wanted):
                kept.append(
                    {
                        **named,
                        **summarize(draws, level),
                        **margin_columns(named, draws, checked_margins),
                        **(monte_carlo_errors(draws, level, chains=chains, null=null_of(named)) if errors else {}),
                    }
                )
        for place in places:
            label = [{"label": "; ".join(filter(None, [row["label"], *marks[place]]))} for row in kept]
            rows[place] = [
                {"patient": titles[place], **row, **marked_label} for row, marked_label in zip(kept, label, strict=True)
            ]
    whole = [row for place in range(len(patients)) for row in rows[place]]
    return pd.DataFrame(
        whole, columns=[*PREDICT_COLUMNS, *level_columns(level), *(error_columns(level) if errors else ())]
    )


def _counted[Answers](alike: Iterator[tuple[list[int], Answers]], patients: int) -> Iterator[tuple[list[int], Answers]]:
    """Yield the same, counting patients for whoever watches."""
    with counting(patients, "patient") as step:
        done = 0
        for places, answers_by_key in alike:
            yield places, answers_by_key
            done += len(places)
            step(done)


def _alike_answers(
    result: Result, base_patient: Patient, patients: Sequence[Mapping[str, float]], query: Query
) -> Iterator[tuple[list[int], Mapping[tuple[str, float | None], Array]]]:
    """Yield the places of patients who are alike, and what is asked of them.

    Patients of whom the same covariates are given share one population, shifted, and are answered together
    (`interpolation.patient_answers`), unless a two-valued covariate is not given: then each has a mixture of his own.
    """
    if isinstance(base_patient, PatientMix):
        yield list(range(len(patients))), query.answer(population(result, base_patient))
        return
    spec = result.spec
    alike: dict[frozenset[str], dict[tuple[float, ...], list[int]]] = {}
    for place, values in enumerate(patients):
        one = checked(spec, values)
        covariates = [name for name in spec.covariates if name in one]
        alike.setdefault(frozenset(covariates), {}).setdefault(tuple(one[name] for name in covariates), []).append(
            place
        )
    for given, places in alike.items():
        covariates = [name for name in spec.covariates if name in given]
        patient_values = np.array(list(places)).reshape(len(places), len(covariates))
        patients_given = [dict(zip(covariates, row, strict=True)) for row in patient_values.tolist()]
        cells = complete(spec, result.case_mix, covariates, patient_values).x
        if cells.shape[1] > 1:
            for of_patient, values in zip(places.values(), patients_given, strict=True):
                yield of_patient, query.answer(population(result, replace(base_patient, values=values)))
            continue
        shared_population = population(result, replace(base_patient, values=patients_given[0]))
        offsets, slopes = cells[:, 0] - cells[0, 0], result.predictors.draws.slopes
        yield from zip(places.values(), patient_answers(shared_population, slopes, offsets, query.answer), strict=True)


def _base_patient(who: Who | str | None, patients: Sequence[Mapping[str, float]]) -> Patient:
    """The population asked about, or a patient of whom nothing is given yet."""
    if not isinstance(who, PatientMix):
        return Patient({}, study_of(who))
    given = [name for patient in patients for name in patient]
    if given:
        hint = "a patient is one, a population is many: ask about one of the two"
        raise InputError("patient", found=f"{given[0]} beside a population", allowed="no patient", hint=hint)
    return who


def require_margins(margins: Mapping[str, float], estimands: Sequence[str]) -> Mapping[str, float]:
    allowed_names = [name for name in estimands if name != "hazard"]
    for name, value in margins.items():
        if name not in allowed_names:
            raise InputError("margin", found=name, allowed=", ".join(allowed_names))
        if not (np.isfinite(value) and value >= 0):
            raise InputError(f"margin, {name}", found=value, allowed="0 or more, in the estimand's own unit")
        if name == "survival" and value > 1:
            hint = "survival is a proportion: 0.05 is five percentage points"
            raise InputError(f"margin, {name}", found=value, allowed="0 to 1", hint=hint)
    return margins


def margin_columns(named: Row, draws: Array, margins: Mapping[str, float]) -> Row:
    """P(difference > margin) of a row that is a difference."""
    margin = margins.get(str(named["estimand"]).removesuffix("_difference"))
    if named["reference"] is None or margin is None:
        return {"margin": None, "prob_better_by_margin": None}
    return {"margin": margin, "prob_better_by_margin": float(np.mean(draws > margin))}


def _patient_marks(result: Result, values: Mapping[str, float], informed: Sequence[str]) -> list[str]:
    """What every answer about a patient says of the covariates given."""
    prior = [name for name in values if any_prior_only(name, informed)]
    extrapolated_names = distance(result.spec, result.case_mix, checked(result.spec, values)).outside
    marks = {"prior only": prior, "beyond the evidence": extrapolated_names}
    return [f"{words}: {', '.join(names)}" for words, names in marks.items() if names]


def patient_distance(result: Result, patient: Mapping[str, float]) -> Distance:
    """Return how far a patient is from those of the evidence.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    patient : mapping of str to float
        Covariates by their names in the spec, in their own units.

    Returns
    -------
    Distance
        `table`, a row a covariate; `mahalanobis`, the distance from the evidence's mean in its own spread; `farther`,
        the share of the evidence's patients as far or farther; `outside`, covariates beyond anything in the evidence;
        `text`.

    Raises
    ------
    InputError
        For a covariate that the spec does not have, or a value that it cannot have.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> bb.patient_distance(result, {}).text
    'No covariate is given.'
    """
    return distance(result.spec, result.case_mix, checked(result.spec, patient))


def patient_missing(result: Result, patient: Mapping[str, float]) -> Missing:
    """Return what becomes of the covariates that are not given.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    patient : mapping of str to float
        Covariates by their names in the spec, in their own units.

    Returns
    -------
    Missing
        `averaged`, names averaged over the evidence's patients; `centred`, names taken at their centre, for want of
        patients whose covariates are printed; `text`.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> bb.patient_missing(result, {})
    Missing(averaged=(), centred=())
    """
    return missing(result.spec, result.case_mix, patient)


def any_prior_only(covariate: str, parameters: Sequence[str]) -> bool:
    """Whether the covariate's coefficient, or one of its interactions, stands in a list of labels."""
    whole = (f"coefficient[{covariate}]", f"interaction[{covariate}]")
    return any(
        name in whole or (name.startswith("interaction[") and name.endswith(f", {covariate}]")) for name in parameters
    )
