"""Rows of two sets of evidence side by side: added, gone, changed."""

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

from bayes_bm.evidence.records import Evidence

COLUMNS = ("change", "table", "study", "arm", "row", "column", "old", "new")
KEYS = {
    "arms": ("study", "arm"),
    "patients": (),
    "sequences": ("study", "arm", "time"),
    "medians": ("study", "arm"),
    "hazard_ratios": ("study", "treatment", "reference"),
    "counts": ("study", "arm", "time"),
    "registry": ("study", "arm", "start", "time"),
    "prognostic_ratios": ("study", "covariate", "level"),
}
"""What names a row of each table; patients have no names, and are counted by arm."""
ARM_TABLES = ("patients", "sequences", "medians", "counts", "registry")
"""Tables whose rows belong to an arm by its place."""
Row = dict[str, Any]


def changed_rows(old: Evidence, new: Evidence) -> pd.DataFrame:
    """Return a row for each row that was added or is gone, and for each cell that changed; patients counted by arm."""
    rows: list[Row] = []
    for name, keys in KEYS.items():
        if _same_rows(old, new, name):
            continue
        earlier, later = _named_rows(old, name), _named_rows(new, name)
        rows += _patients(earlier, later) if name == "patients" else list(_cells(name, keys, earlier, later))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _same_rows(old: Evidence, new: Evidence, name: str) -> bool:
    """Whether a table is the same to the last digit, and its arms are: most tables are, and need no names then."""
    one, other = getattr(old, name), getattr(new, name)
    same_arms = name not in ARM_TABLES or old.arms[["study", "arm"]].equals(new.arms[["study", "arm"]])
    return same_arms and one.equals(other)


def _named_rows(evidence: Evidence, name: str) -> list[Row]:
    """Rows of a table with study and arm by name, absent cells as None."""
    table: pd.DataFrame = getattr(evidence, name)
    if name in ARM_TABLES:
        places = table["arm_row"].to_numpy(dtype=int)
        named = evidence.arms[["study", "arm"]].iloc[places].reset_index(drop=True)
        table = table.drop(columns=["arm_row", "study", "arm"], errors="ignore").reset_index(drop=True)
        table = pd.concat([named, table], axis=1)
    clean = table.astype(object).where(table.notna(), None)
    return [{str(key): _plain(value) for key, value in row.items()} for row in clean.to_dict("records")]


def _plain(value: Any) -> Any:
    """A number to the digits that a file keeps; other things as they are."""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return float(f"{float(value):.12g}")
    return value


def _cells(name: str, keys: tuple[str, ...], earlier: list[Row], later: list[Row]) -> "list[Row]":
    ours, theirs = _by_key(earlier, keys), _by_key(later, keys)
    rows = []
    for key in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(key), theirs.get(key)
        present = other or one or {}
        label = ", ".join(str(present[part]) for part in keys[1:] if part != "arm" and present.get(part) is not None)
        named = {"table": name, "study": present["study"], "arm": present.get("arm"), "row": label}
        if one is None or other is None:
            rows.append({"change": "added" if one is None else "gone", **named})
            continue
        columns = [column for column in {**one, **other} if one.get(column) != other.get(column)]
        rows += [
            {"change": "changed", **named, "column": column, "old": one.get(column), "new": other.get(column)}
            for column in columns
        ]
    return rows


def _by_key(rows: list[Row], keys: tuple[str, ...]) -> dict[tuple[Hashable, ...], Row]:
    """Rows by what names them; where several have one name, by their order too."""
    named: dict[tuple[Hashable, ...], Row] = {}
    seen: Counter[tuple[Hashable, ...]] = Counter()
    for row in rows:
        key = tuple(row.get(part) for part in keys)
        named[*key, seen[key]] = row
        seen[key] += 1
    return named


def _patients(earlier: list[Row], later: list[Row]) -> list[Row]:
    """Patients added and gone, counted in each arm."""
    ours, theirs = (Counter(tuple(row.items()) for row in rows) for rows in (earlier, later))
    rows = []
    for change, extra in (("added", theirs - ours), ("gone", ours - theirs)):
        counts: Counter[tuple[Any, Any]] = Counter()
        for patient, times in extra.items():
            named = dict(patient)
            counts[named["study"], named["arm"]] += times
        rows += [
            {"change": change, "table": "patients", "study": study, "arm": arm, "row": f"{count} patients"}
            for (study, arm), count in counts.items()
        ]
    return rows


def changed_studies(rows: pd.DataFrame) -> list[str]:
    """Return the studies with any such row, by name."""
    return sorted(set(rows["study"]))


def joined(evidence: Evidence, other: Evidence) -> Evidence:
    """Return the rows of both, which have no study in common."""
    moved = {
        name: pd.concat([getattr(evidence, name), _later(getattr(other, name), len(evidence.arms))], ignore_index=True)
        for name in ARM_TABLES
    }
    both = {
        name: pd.concat([getattr(evidence, name), getattr(other, name)], ignore_index=True)
        for name in ("arms", "hazard_ratios", "prognostic_ratios")
    }
    factors = [factor for factor in (evidence.hr_cholesky, other.hr_cholesky) if len(factor)]
    cholesky: Any = block_diag(*factors) if factors else np.zeros((0, 0))
    tables: Mapping[str, Any] = {**moved, **both, "hr_cholesky": cholesky, "rebuilt": evidence.rebuilt + other.rebuilt}
    return replace(evidence, **tables)


def _later(table: pd.DataFrame, places: int) -> pd.DataFrame:
    return table.assign(arm_row=table["arm_row"] + places) if len(table) else table
