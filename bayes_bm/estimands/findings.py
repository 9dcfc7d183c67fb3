"""Summary of findings: the table that guideline panels read, a row a comparison.

Who is behind a comparison, its ratio, how many of 100 patients are free of the event with either treatment at one time,
and whether any study compares the two side by side. Certainty is left to the reader: the column is blank. Judgements of
risk of bias are counted where the arms table carries them, in columns `x_robins_DOMAIN`.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.estimands.compare import compared_pairs
from bayes_bm.estimands.who import NewStudy, Who, as_who
from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Array
from bayes_bm.spec.document import Spec
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
ROBINS = "robins_"
"""How the table's column of a domain begins."""


def findings(result: Result, *, time: float | None = None, who: Who | str | None = None) -> pd.DataFrame:
    """Return the summary of findings: a row for every treatment against the reference, and against `also_against`.

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
        100 patients (`per_100`) with either treatment and their difference, judgements of risk of bias in words, and a
        blank `certainty`; last, where the arms table has judgements, a column `robins_DOMAIN` for each domain.

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
    interval, rows = partial(_interval, level=result.spec.interval), list[dict[str, Any]]()
    references = (result.spec.treatments.reference, *result.spec.treatments.also_against)
    drawn = {reference: _drawn(result, asked, when, reference) for reference in references}
    for treatment, reference in _comparisons(result.spec):
        answered = drawn[reference]
        named = {"treatment": treatment, "reference": reference, "outcome": result.spec.endpoint}
        answers = {
            **interval("ratio", answered[measure.estimand, treatment]),
            **interval("per_100_reference", 100 * answered["survival", reference]),
            **interval("per_100", 100 * answered["survival", treatment]),
            **interval("difference", 100 * answered["survival_difference", treatment]),
        }
        answers["difference_per_100"] = answers.pop("difference")
        asked_at = {"measure": measure.words, "time": when, "who": asked.name, "certainty": ""}
        rows.append({**named, **behind(result, treatment, reference), **answers, **asked_at})
    domains = list(dict.fromkeys(name for row in rows for name in row if name.startswith(ROBINS)))
    return pd.DataFrame(rows, columns=[*COLUMNS, *domains])


def _comparisons(spec: Spec) -> list[tuple[str, str]]:
    """Treatment and reference of each row; no pair stands twice, turned round."""
    treatments = spec.treatments
    pairs = [(name, treatments.reference) for name in treatments.compare]
    for reference in treatments.also_against:
        pairs += [
            (name, reference) for name in treatments.names if (reference, name) not in pairs and name != reference
        ]
    return pairs


def _drawn(result: Result, who: Who, time: float, reference: str) -> Mapping[tuple[str, str], Array]:
    """Draws of what a row shows by estimand and treatment; NaN where nothing says what a study's level is."""
    wanted = (measure_of(result.spec).estimand, "survival", "survival_difference")
    found: defaultdict[tuple[str, str], Array] = defaultdict(lambda: np.full(1, np.nan))
    for row, values in compared_pairs(result, who=who, times=[time], reference=reference):
        if row["estimand"] in wanted:
            found[row["estimand"], row["treatment"]] = values
    return found


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
    domains = _by_domain(arms[arms["treatment"].isin([treatment, reference])])
    return {
        "studies": len(either),
        "side_by_side": len(both),
        "patients": _patients(result, treatment),
        "patients_reference": _patients(result, reference),
        "basis": basis,
        "risk_of_bias": "; ".join(f"{name}: {said}" for name, said in domains.items()),
        **{f"{ROBINS}{name.replace(' ', '_')}": said for name, said in domains.items()},
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


def _by_domain(arms: pd.DataFrame) -> dict[str, str]:
    """How many arms have each judgement, by domain; empty where the table carries none."""
    found: dict[str, str] = {}
    for column in [str(name) for name in arms.columns if str(name).startswith(DOMAIN)]:
        counts = arms[column].dropna().value_counts()
        if len(counts):
            name = column.removeprefix(DOMAIN).replace("_", " ")
            found[name] = ", ".join(f"{count} {judgement}" for judgement, count in counts.items())
    return found
