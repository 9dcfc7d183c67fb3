"""What a table of patients shows of an analysis: treatments, studies, unit of time, median, follow-up, covariates."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_bm.evidence.starting.columns import known_columns
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.evidence.tables.reading import table_frame
from bayes_bm.evidence.tables.schema import TABLES
from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.runtime.errors import InputError

UNITS = ("days", "weeks", "months", "years")
MANY_DAYS, FEW_YEARS = 400.0, 8.0
"""A longest follow-up above the first is in days, below the second in years, unless the name of the column says."""
NICE_TIMES: Mapping[str, tuple[float, ...]] = {
    "days": (7, 14, 30, 60, 90, 180, 365, 730, 1095, 1825, 3650),
    "weeks": (1, 2, 4, 8, 13, 26, 52, 104, 156, 260, 520),
    "months": (1, 2, 3, 6, 9, 12, 18, 24, 36, 48, 60, 96, 120),
    "years": (0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 8, 10, 15, 20),
}
"""Times that people speak of, in each unit."""


@dataclass(frozen=True)
class Holder:
    """A treatment of the table: its patients, its events and the studies that hold it."""

    name: str
    patients: int
    events: int
    studies: tuple[str, ...]


@dataclass(frozen=True)
class CovariateColumn:
    """A column of numbers that is no column of the contract: its values, and how many patients lack it."""

    name: str
    two_valued: bool
    mean: float
    sd: float
    blank: int


@dataclass(frozen=True)
class PatientsFile:
    """What a table of patients shows.

    holders     treatments, most patients first
    table       the checked rows, in the unit of the file; `changes` says what was renamed or added, in words
    median      of all patients together, by Kaplan-Meier; None where it is not reached
    """

    path: Path
    table: pd.DataFrame
    changes: tuple[str, ...]
    unit: str
    unit_reason: str
    holders: tuple[Holder, ...]
    studies: tuple[str, ...]
    median: float | None
    last: float
    covariates: tuple[CovariateColumn, ...]

    @property
    def reference_time(self) -> float:
        """A time that people speak of, near the median; near half the follow-up where it is not reached."""
        return _nearest_nice(self.median or self.last / 2, self.unit)

    @property
    def horizon(self) -> float:
        """Twice that, or what the follow-up reaches of it."""
        nice = [time for time in NICE_TIMES[self.unit] if self.reference_time < time <= self.last]
        return min(nice, key=lambda time: abs(time - 2 * self.reference_time), default=2 * self.reference_time)


def read_patients_file(path: Path, *, unit: str | None = None) -> PatientsFile:
    """Read a table of patients, with the columns' other names understood, and return what it shows.

    Raises `InputError` where the table is none of patients, or holds one treatment alone.
    """
    raw, _ = table_frame(path)
    known = known_columns(raw, where=str(path))
    table = check_table("patients", known.frame, where=str(path))
    holders = tuple(sorted(_holders(table), key=lambda holder: -holder.patients))
    if len(holders) < 2:
        raise InputError(
            f"{path}, column treatment",
            found=f"{holders[0].name} alone" if holders else "no treatment",
            allowed="two treatments or more",
            hint="an analysis compares; add patients of another treatment",
        )
    last = float(table["time"].max())
    guess, reason = _unit_of(known.time_name, last)
    curve = kaplan_meier(table["time"].to_numpy(), table["event"].to_numpy())
    below = np.flatnonzero(curve.survival <= 0.5)
    return PatientsFile(
        path=path,
        table=known.frame,
        changes=known.changes,
        unit=unit or guess,
        unit_reason="as asked for" if unit else reason,
        holders=holders,
        studies=tuple(dict.fromkeys(table["study"])),
        median=float(curve.time[below[0]]) if below.size else None,
        last=last,
        covariates=tuple(_covariates(table)),
    )


def _holders(table: pd.DataFrame) -> list[Holder]:
    return [
        Holder(str(name), len(rows), int(rows["event"].sum()), tuple(dict.fromkeys(rows["study"])))
        for name, rows in table.groupby("treatment", sort=False)
    ]


def _unit_of(time_name: str, last: float) -> tuple[str, str]:
    """Return the unit that the name of the column of times or else the longest follow-up speak for, and which did."""
    words = re.split(r"[^a-z]+", time_name.lower())
    named = next((unit for unit in UNITS if unit in words), None)
    if named is not None:
        return named, "as the column's name says; is that right?"
    guess = "days" if last > MANY_DAYS else "years" if last < FEW_YEARS else "months"
    return guess, f"guessed: the longest follow-up is {last:g}; is that right?"


def _nearest_nice(time: float, unit: str) -> float:
    return float(min(NICE_TIMES[unit], key=lambda nice: abs(np.log(nice) - np.log(max(time, 1e-9)))))


def _covariates(table: pd.DataFrame) -> list[CovariateColumn]:
    columns = []
    for name in table.columns:
        if name in TABLES["patients"] or str(name).startswith("x_"):
            continue
        values = table[name].dropna().to_numpy(dtype=float)
        if len(set(values)) > 1:
            two_valued = set(values) == {0.0, 1.0}
            blank = len(table) - len(values)
            columns.append(CovariateColumn(str(name), two_valued, float(values.mean()), float(values.std()), blank))
    return columns
