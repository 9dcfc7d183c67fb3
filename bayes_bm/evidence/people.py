"""Files of patients who are asked about: for predictions, and cohorts to average over or to score."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bayes_bm.evidence.tables.frames import records
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.evidence.tables.schema import Column
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec


class People(NamedTuple):
    """Patients to predict: covariates of each by name, blank ones left out, and what each is called."""

    patients: list[dict[str, float]]
    names: list[str]


def covariate_columns(spec: Spec) -> dict[str, Column]:
    """Return a column for each covariate of a spec: a number within the covariate's limits, blank where not known."""
    return {
        name: Column(
            "number",
            low=float("-inf") if term.lower is None else term.lower,
            high=float("inf") if term.upper is None else term.upper,
            hint=f"{name} is in {term.unit}" if term.unit else "",
        )
        for name, term in spec.covariates.items()
    }


def read_people(spec: Spec, path: Path) -> People:
    """Read a file of patients to predict: a column a covariate, and optionally `patient`, their names.

    Parameters
    ----------
    spec
        Whose covariates are the columns.
    path
        A CSV or Parquet file; columns that start with `x_` are left alone.

    Returns
    -------
    People
        Covariates and a name for each row; where there are none, a row is called by its number.

    Raises
    ------
    InputError
        Where the file is no table of these columns, or a name stands there twice or is missing beside others.
    """
    table = read_table("people", path, named=covariate_columns(spec))
    blank = table["patient"].isna()
    if blank.any() and not blank.all():
        raise InputError(
            f"{path}, row {int(blank.to_numpy().argmax()) + 1}, column patient",
            found="a blank",
            allowed="a name in every row, or in none",
            hint="rows of a file without names are called by their numbers",
        )
    names = [str(row + 1) if name is None else name for row, name in enumerate(table["patient"])]
    given = [name for name in spec.covariates if name in table]
    rows = records(table[given]) if given else [dict[str, Any]() for _ in names]
    return People([{str(name): value for name, value in row.items() if pd.notna(value)} for row in rows], names)


def read_cohort(spec: Spec, path: Path, *, outcomes: bool = False) -> pd.DataFrame:
    """Read a cohort: covariates by name, and with `outcomes` time, event and treatment of every patient.

    Raises
    ------
    InputError
        Where the file is no table of these columns, or a treatment is none of the spec's.
    """
    named: Mapping[str, Column] = covariate_columns(spec)
    if outcomes:
        named = {**named, "treatment": Column(required=True, filled=True, choices=spec.treatments.names)}
    table = read_table("outcomes" if outcomes else "cohort", path, named=named)
    wanted = [
        *(("time", "event", "treatment") if outcomes else ()),
        *(name for name in spec.covariates if name in table),
    ]
    return table[wanted]
