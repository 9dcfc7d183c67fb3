"""Summary of findings: the table that guideline panels read, a row a comparison.

Who is behind a comparison, its ratio, how many of 100 patients are free of the event with either treatment at one time,
and whether any study compares the two side by side. Certainty is left to the reader: the column is blank. Judgements of
risk of bias are counted where the arms table carries them, in columns `x_robins_DOMAIN`.
"""

from collections import defaultdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.estimands.compare import compared_pairs
from bayes_bm.estimands.who import NewStudy, Who, as_who
from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Array
from bayes_bm.spec.effect_measure import measure_of
from bayes_bm.spec.level import Level

COLUMNS = (
    *("treatment", "reference", "outcome", "studies", "side_by_side", "patients", "patients_reference", "basis"),
    *("measure", "ratio", "ratio_low", "ratio_high", "time", "who"),
    *("per_100_reference", "per_100_reference_low", "per_100_reference_high"),
    *("per_100", "per_100_low", "per_100_high"),
    *("difference_per_100", "difference_low", "difference_high", "risk_of_bias", "certainty"),
)
DOMAIN = "x_robins_"
"""How a column of the arms table begins that holds judgements of one domain of ROBINS-I."""


def findings(result: Result, *, time: float | None = None, who: Who | str | None = None) -> pd.DataFrame:
    """Return the summary of findings: one row for every treatment against the reference.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the endpoint, the treatments and the time unit.
    time : float, optional
        When patients are counted, in the spec's unit; by default its reference time.
    who : Who or str, optional
        In whom; by default `NewStudy()`, or a named population (`PatientMix`).

    Returns
    -------
    pandas.DataFrame
        Studies that hold either treatment and how many hold both (`side_by_side`), patients of each where every arm
        says how many, `basis` (within or across studies), the ratio with its interval, those free of the event of
        100 patients (`per_100`) with either treatment and their difference, judgements of risk of bias, and a blank
        `certainty`.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> bb.findings(result)[["treatment", "reference", "time", "certainty"]].to_dict("records")
    [{'treatment': 'gtr', 'reference': 'str', 'time': 12.0, 'certainty': ''}]
    """
    asked, measure = as_who(who, NewStudy()), measure_of(result.spec)
    when = float(result.spec.reference_time if time is None else time)
    # where nothing says what a study's level is, ratios alone are answered
    drawn: defaultdict[tuple[str, str], Array] = defaultdict(lambda: np.full(1, np.nan))
    drawn |= {
        (row["estimand"], row["treatment"]): values
        for row, values in compared_pairs(result, who=asked, times=[when])
        if row["estimand"] in (measure.estimand, "survival", "survival_difference")
    }
    reference = result.spec.treatments.reference
    interval = partial(_interval, level=result.spec.interval)
    rows: list[dict[str, Any]] = []
    for treatment in result.spec.treatments.compare:
        named = {"treatment": treatment, "reference": reference, "outcome": result.spec.endpoint}
        answers = {
            **interval("ratio", drawn[measure.estimand, treatment]),
            **interval("per_100_reference", 100 * drawn["survival", reference]),
            **interval("per_100", 100 * drawn["survival", treatment]),
            **interval("difference", 100 * drawn["survival_difference", treatment]),
        }
        answers["difference_per_100"] = answers.pop("difference")
        asked_at = {"measure": measure.words, "time": when, "who": asked.name, "certainty": ""}
        rows.append({**named, **behind(result, treatment, reference), **answers, **asked_at})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _interval(name: str, values: Array, *, level: Level) -> dict[str, float]:
    low, middle, high = np.quantile(values, level.quantiles)
    return {name: float(middle), f"{name}_low": float(low), f"{name}_high": float(high)}


def behind(result: Result, treatment: str, reference: str) -> dict[str, Any]:
    """Return studies, patients and judgements behind a comparison."""
    arms, ratios = result.evidence.arms, result.evidence.hazard_ratios
    of_each = [_studies(result, name) for name in (treatment, reference)]
    both = of_each[0] & of_each[1]
    compared = ratios[
        ratios["treatment"].isin([treatment, reference]) & ratios["reference"].isin([treatment, reference])
    ]
    both |= set(compared["study"])
    either = of_each[0] | of_each[1] | both
    basis = "across studies" if not both else "within studies" if both == either else "within and across studies"
    chosen = arms[arms["treatment"].isin([treatment, reference])]
    return {
        "studies": len(either),
        "side_by_side": len(both),
        "patients": _patients(result, treatment),
        "patients_reference": _patients(result, reference),
        "basis": basis,
        "risk_of_bias": judgements(chosen),
    }


def _studies(result: Result, treatment: str) -> set[str]:
    arms = result.evidence.arms
    return set(arms.loc[arms["treatment"] == treatment, "study"])


def _patients(result: Result, treatment: str) -> int | None:
    """Patients of all its arms: as printed, else as listed; None where an arm says neither."""
    arms, listed = result.evidence.arms, result.evidence.patients["arm_row"].value_counts()
    chosen = arms[arms["treatment"] == treatment]
    sizes = [
        size if pd.notna(size) else listed.get(row, np.nan)
        for row, size in zip(chosen.index, chosen["n_patients"].fillna(chosen["n"]).astype(float), strict=True)
    ]
    return int(sum(sizes)) if len(sizes) and not np.isnan(sizes).any() else None


def judgements(arms: pd.DataFrame) -> str:
    """Return how many arms have each judgement, domain by domain; empty where the table carries none."""
    parts: list[str] = []
    for column in [str(name) for name in arms.columns if str(name).startswith(DOMAIN)]:
        counts = arms[column].dropna().value_counts()
        if len(counts):
            said = ", ".join(f"{count} {judgement}" for judgement, count in counts.items())
            parts.append(f"{column.removeprefix(DOMAIN).replace('_', ' ')}: {said}")
    return "; ".join(parts)
