"""Published hazard ratios of covariates: which rows count, and what each says of its coefficient (decision 24).

A row compares patients who differ in one covariate. It informs the coefficient of that covariate, and no arm's level.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.evidence.arm_covariates import states_covariate
from bayes_bm.evidence.hazard_ratios import WIDEST_RANGE, printed_error
from bayes_bm.evidence.names import look_alike
from bayes_bm.evidence.records import PROGNOSTIC_COLUMNS, Evidence
from bayes_bm.evidence.selection import named_rows
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.evidence.tables.frames import records
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import TIME, measure_of

EXTERNAL, CRUDE = "external", "crude"
"""Of the columns `population` and `model`."""
KIND = "prognostic_ratios"
OF_HAZARDS = "a ratio of hazards, where the family's coefficients are log ratios of time (docs/decisions.md, 24)"
"""Why no row counts there. Taken as one of time, a ratio would move its coefficient to the wrong side of zero."""


def with_defaults(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with what a blank stands for: the same setting, an adjusted ratio."""
    return table.assign(population=table["population"].fillna("same"), model=table["model"].fillna("adjusted"))


def prognostic_rows(
    spec: Spec, table: pd.DataFrame, arms: pd.DataFrame, patients: pd.DataFrame, aside: list[dict]
) -> pd.DataFrame:
    """Return the ratios of one endpoint that count, with log_hr, se and `change`, the covariate's units they are for.

    `arms` and `patients` are those in use: a study that speaks about a covariate by them is not heard twice.
    """
    if table.empty:
        return _no_rows().copy()
    rules = (
        *_rules_of_choice(spec, table),
        (~table["covariate"].isin(list(spec.covariates)), "the spec has no such covariate"),
        (pd.Series(measure_of(spec) is TIME, index=table.index), OF_HAZARDS),
        (table["model"] == CRUDE, "a crude ratio is not that of patients alike in all else (docs/decisions.md, 24)"),
        (_said_by_patients(spec, table, arms, patients), "patients or arms of the study in use say it themselves"),
    )
    kept = pd.Series(True, index=table.index)
    for broken, reason in rules:
        aside += [_entry(row, reason) for row in _contrasts(table[kept & broken])]
        kept &= ~broken
    chosen = table[kept].sort_values(["study", "covariate", "level", "reference", "per"], kind="stable")
    rows = chosen.reset_index(drop=True)
    _check_levels(spec, rows)
    _check_counted_once(rows)
    _check_transport(spec, rows)
    return _as_contrasts(rows)


def _as_contrasts(rows: pd.DataFrame) -> pd.DataFrame:
    """Log ratios with their errors, and what each is a change of."""
    se = np.array([_standard_error(row) for row in records(rows)], dtype=float)
    change = (rows["level"] - rows["reference"]).fillna(rows["per"]).fillna(1.0)
    external = rows["population"] == EXTERNAL
    whole = rows.assign(log_hr=np.log(rows["hr"].astype(float)), se=se, change=change, external=external.astype(bool))
    return whole[list(PROGNOSTIC_COLUMNS)]


@cache
def _no_rows() -> pd.DataFrame:
    """Return what most specs have: none."""
    return _as_contrasts(
        with_defaults(check_table(KIND, pd.DataFrame(columns=["study", "covariate", "endpoint", "hr"]), where=KIND))
    )


def _rules_of_choice(spec: Spec, table: pd.DataFrame) -> Iterator[tuple[pd.Series, str]]:
    """What `include`, `also` and `exclude` leave out."""
    included = pd.Series(True, index=table.index)
    for column, allowed in spec.evidence.include.items():
        if column in table:
            included &= table[column].isin(allowed)
    included |= named_rows(table, spec.evidence.also)
    yield ~included, "not in evidence.include"
    for choice in spec.evidence.exclude:
        if choice.arm is None:
            yield named_rows(table, [choice]), f"left out by the spec: {choice.why}"


_CONTRAST = ["study", "covariate", "level", "reference", "per"]
"""Columns that say what a ratio compares."""


def _contrasts(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    return records(rows[_CONTRAST]) if len(rows) else []


def _entry(row: Mapping[Any, Any], reason: str) -> dict[str, str]:
    return {"kind": KIND, "study": row["study"], "arm": contrast_text(row), "reason": reason}


def contrast_text(row: Mapping[Any, Any]) -> str:
    """Return the covariate and what the ratio compares, as `kps70 1 v 0` or `age per 10`."""
    if pd.notna(row["level"]):
        return f"{row['covariate']} {row['level']:g} v {row['reference']:g}"
    return f"{row['covariate']} per {row['per']:g}" if pd.notna(row["per"]) else str(row["covariate"])


def _said_by_patients(spec: Spec, table: pd.DataFrame, arms: pd.DataFrame, patients: pd.DataFrame) -> pd.Series:
    """Whether arms of one treatment of the row's study, or its patients, differ in the row's covariate."""
    allowed = {choice.study for choice in spec.evidence.allow_overlap}
    asked = list(zip(table["study"], table["covariate"], strict=True))
    in_use = set(arms["study"]) - allowed
    said = {
        (study, covariate)
        for study, covariate in set(asked)
        if study in in_use
        and covariate in spec.covariates
        and _differs(covariate, arms[arms["study"] == study], patients)
    }
    return pd.Series([key in said for key in asked], index=table.index, dtype=bool)


def _differs(name: str, arms: pd.DataFrame, patients: pd.DataFrame) -> bool:
    for _, of_treatment in arms.groupby("treatment"):
        values = {_printed(name, arm) for arm in records(of_treatment)} - {None}
        if len(patients) and name in patients:
            values |= set(patients.loc[patients["arm_row"].isin(of_treatment.index), name].dropna())
        if len(values) > 1:
            return True
    return False


def _printed(name: str, arm: Mapping[Any, Any]) -> float | None:
    stated = states_covariate(arm, name)
    return float(arm[f"{stated}_{name}"]) if stated else None


def _check_levels(spec: Spec, rows: pd.DataFrame) -> None:
    """Levels lie inside the covariate's limits."""
    for row in _contrasts(rows):
        term = spec.covariates[row["covariate"]]
        low, high = (-np.inf if term.lower is None else term.lower), (np.inf if term.upper is None else term.upper)
        for column in ("level", "reference"):
            if pd.notna(row[column]) and not low <= row[column] <= high:
                raise InputError(
                    f"{KIND}, study {row['study']}, covariate {row['covariate']}, column {column}",
                    found=row[column],
                    allowed=f"{low:g} to {high:g}, the limits of the covariate in the spec",
                )


def _check_counted_once(rows: pd.DataFrame) -> None:
    """One ratio of a study and contrast, and one study of an overlap group."""
    texts = Counter((row["study"], row["covariate"], contrast_text(row)) for row in _contrasts(rows))
    again = sorted(key for key, count in texts.items() if count > 1)
    if again:
        study, covariate, text = again[0]
        raise InputError(
            f"{KIND}, study {study}, covariate {covariate}",
            found=f"{texts[again[0]]} rows of {text}",
            allowed="one: the rows are the same patients",
            hint="choose one with its use flag",
        )
    grouped = rows.dropna(subset=["overlap_group"])
    for (group, covariate), members in grouped.groupby(["overlap_group", "covariate"], sort=True):
        if len(set(members["study"])) > 1:
            raise InputError(
                f"{KIND}, overlap_group {group!r}, covariate {covariate}",
                found=f"patients counted twice, in {'; '.join(sorted(set(members['study'])))}",
                allowed="one study of a group",
                hint="leave the others out with [evidence] include or exclude",
            )


def _check_transport(spec: Spec, rows: pd.DataFrame) -> None:
    outside = _contrasts(rows[rows["population"] == EXTERNAL])
    if outside and (spec.prognosis is None or spec.prognosis.transport_sd is None):
        raise InputError(
            "prognosis.transport_sd",
            found=f"no prior, beside an external ratio ({outside[0]['study']}: {contrast_text(outside[0])})",
            allowed="a prior with a why: how far a coefficient in another setting lies from that of the evidence's own",
            hint='or leave external ratios out: evidence.include.population = ["same"]',
        )


def _standard_error(row: Mapping[Any, Any]) -> float:
    """Return the se of a log ratio; from p alone only where the rounding of hr and p settles it (decision 7)."""
    printed = printed_error(row)
    if not printed.unsettled:
        return printed.se
    raise InputError(
        f"{KIND}, study {row['study']}, {contrast_text(row)}",
        found=printed.unsettled,
        allowed=f"a range below a factor of {WIDEST_RANGE:g}; or an interval or se_log_hr",
        hint="near a ratio of 1 a p value says nothing of the standard error: leave the row out with its use flag",
    )


# ---------------------------------------------------------------------------------------------- what they inform


def prognostic_summary(spec: Spec, evidence: Evidence, name: str) -> dict[str, float]:
    """Return what ratios inform one coefficient: rows, studies, patients, and the share of precision from outside."""
    table = evidence.prognostic_ratios
    rows = table[table["covariate"] == name]
    precision = (rows["change"].astype(float) / spec.covariates[name].scale / rows["se"].astype(float)) ** 2
    outside = float(precision[rows["external"].astype(bool)].sum())
    return {
        "ratios": len(rows),
        "ratio_studies": rows["study"].nunique(),
        "ratio_patients": float(rows.groupby("study")["n"].max().sum()) if len(rows) else 0.0,
        "share_external": outside / float(precision.sum()) if len(rows) else np.nan,
    }


def prognostic_notes(spec: Spec, evidence: Evidence) -> Iterator[str]:
    """Yield a line for each coefficient that ratios inform, and names that look like slips."""
    for name in spec.covariates:
        found = prognostic_summary(spec, evidence, name)
        if found["ratios"]:
            yield (
                f"Coefficient of {name}: {found['ratios']:g} published ratios of {found['ratio_studies']:g} studies,"
                f" {found['ratio_patients']:g} patients; {100 * found['share_external']:.0f} % of their precision is"
                " from another setting."
            )
    aside = evidence.set_aside
    unknown = aside.loc[(aside["kind"] == KIND) & (aside["reason"] == "the spec has no such covariate"), "arm"]
    for printed in sorted({str(text).split(" ")[0] for text in unknown}):
        meant = next((name for name in spec.covariates if look_alike(printed, name)), None)
        if meant is not None:
            yield f"{KIND}: rows of covariate {printed!r} are left out, for the spec says {meant!r}; is it the same?"
