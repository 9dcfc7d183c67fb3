"""Names that spec and tables must agree on: what matches nothing is refused, what a name leaves out is said."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

import pandas as pd

from bayes_bm.evidence.tables.schema import nearest_name
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.spec.record import Choice

FEWEST_ALIKE = 10
"""Patients of two arms whose times must agree before they are suspected to be the same; fewer agree by chance."""
SHOWN = 4
"""Names that a sentence lists before it counts the others."""


def check_choices(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> None:
    """Refuse a study or arm that `exclude`, `also` or `allow_overlap` names and no table has."""
    if not any(getattr(spec.evidence, key) for key in ("exclude", "also", "allow_overlap")):
        return
    named = pd.concat([table[[c for c in ("study", "arm") if c in table]] for table in tables.values()])
    studies = list(dict.fromkeys(named["study"].dropna()))
    if not studies:
        return
    for key in ("exclude", "also", "allow_overlap"):
        choices: tuple[Choice, ...] = getattr(spec.evidence, key)
        for place, choice in enumerate(choices):
            where = f"evidence.{key}, entry {place + 1}"
            _check_name(where, "study", choice.study, studies)
            if choice.arm is not None:
                arms = list(dict.fromkeys(named.loc[named["study"] == choice.study, "arm"].dropna()))
                _check_name(where, f"arm of {choice.study!r}", choice.arm, arms)


def _check_name(where: str, sort: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        hint = nearest_name(name, names)
        raise InputError(where, found=f"{name!r}, no {sort} of any table", allowed=_listed(names), hint=hint)


def check_include(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> None:
    """Refuse an `include` of a column that no table has, or of values of which none stands in it."""
    for column, allowed in spec.evidence.include.items():
        where = f"evidence.include.{column}"
        if column not in tables["arms"] and column not in tables["prognostic_ratios"]:
            names = [str(name) for name in tables["arms"] if name not in ("study", "arm")]
            hint = nearest_name(column, names)
            raise InputError(where, found="no such column in the arms table", allowed=", ".join(names), hint=hint)
        values = {value for table in tables.values() if column in table for value in table[column].dropna()}
        if values and column != "use" and not values & set(allowed):
            names = sorted(map(str, values))
            hint = nearest_name(str(allowed[0]), names) if allowed else "leave the filter out"
            asked = ", ".join(map(str, allowed)) or "no value"
            raise InputError(where, found=f"{asked}, which no row has", allowed=_listed(names), hint=hint)


def check_some_named(where: str, frame: pd.DataFrame, spec: Spec) -> None:
    """Refuse a file of which no row is of the spec's endpoint, or none of its treatments: a name is misspelt."""
    allowed_names = {"endpoint": [spec.endpoint], "treatment": list(_known_treatments(spec))}
    for column, names in allowed_names.items():
        if column in frame and not frame[column].isin(names).any():
            there = frame[column].value_counts()
            counts = [f"{name!r} ({rows} rows)" for name, rows in there.items()]
            meant = next((right for right in names for name in there.index if look_alike(str(name), right)), None)
            question = f"did you mean {meant!r}? " if meant else ""
            hint = f"{question}correct the name in the table or the spec, or leave the file out of [evidence]"
            raise InputError(
                f"{where}, column {column}",
                found=f"{_listed(counts)}, so no row of it would be used",
                allowed=_listed(names),
                hint=hint,
            )


def _known_treatments(spec: Spec) -> tuple[str, ...]:
    members = [member for group in spec.treatments.groups.values() for member in group]
    return (*spec.treatments.names, *members)


def remarks(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Say which rows are left out for a name, which names look alike, and which patients stand there twice.

    Tables are as read, with treatments under the names of their groups.
    """
    return (
        *_left_out(spec, tables),
        *_alike_names(tables),
        *_same_patients(tables["patients"]),
    )


def _left_out(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> Iterable[str]:
    """Rows of other endpoints and treatments; of shipped tables, which hold many, only names that look like slips."""
    columns = {"endpoint": [spec.endpoint], "treatment": spec.treatments.names, "reference": spec.treatments.names}
    for kind, table in tables.items():
        if table.empty:
            continue
        sources = getattr(spec.evidence, kind, ())
        shipped = bool(sources) and all(source.path.startswith("shipped:") for source in sources)
        for column, names in columns.items():
            if column not in table or (column == "reference" and "covariate" in table):
                continue
            outside = ~table[column].isin(names)
            if not outside.any():
                continue
            other = table.loc[outside, column].value_counts()
            for name, rows in other.items():
                meant = next((right for right in names if look_alike(str(name), right)), None)
                if meant is not None:
                    yield (
                        f"{kind}: {_rows(rows)} of {column} {name!r} {'is' if rows == 1 else 'are'} left out, for the"
                        f" spec says {meant!r}; did you mean {meant!r}?"
                    )
            if len(other) and not shipped:
                counts = _listed([f"{name} ({rows})" for name, rows in other.items()])
                yield f"{kind}: {_rows(int(other.sum()))} of other {column}s are left out: {counts}."


def _alike_names(tables: Mapping[str, pd.DataFrame]) -> Iterable[str]:
    """Names of studies that differ in case, blanks or signs only: to the model they are two studies."""
    studies = dict.fromkeys(study for table in tables.values() if "study" in table for study in table["study"].dropna())
    groups: dict[str, list[str]] = {}
    for study in studies:
        groups.setdefault(folded(study), []).append(study)
    for names in groups.values():
        if len(names) > 1:
            yield f"Studies {' and '.join(map(repr, names))} differ only in case, blanks or signs: are they one?"


def _same_patients(patients: pd.DataFrame) -> Iterable[str]:
    """Arms whose patients have the same times and events."""
    if len(patients) < 2 * FEWEST_ALIKE:
        return
    arms: dict[tuple, list[str]] = {}
    for (study, arm), rows in patients.groupby(["study", "arm"], sort=False):
        if rows["time"].nunique() >= FEWEST_ALIKE:
            outcome = rows[["time", "event"]].sort_values(["time", "event"])
            arms.setdefault(tuple(outcome.itertuples(index=False, name=None)), []).append(f"{study}: {arm}")
    for outcome, names in arms.items():
        if len(names) > 1:
            yield f"{' and '.join(names)} have the same {len(outcome)} times and events: are they the same patients?"


def check_once(where: str, frame: pd.DataFrame) -> None:
    """Refuse a table of patients whose rows are the same block two or three times: it was pasted again."""
    for copies in (2, 3):
        size = len(frame) // copies
        if len(frame) % copies or size < FEWEST_ALIKE // 2 or frame["time"].iloc[:size].nunique() < FEWEST_ALIKE // 2:
            continue
        blocks = [frame.iloc[size * place : size * (place + 1)].reset_index(drop=True) for place in range(copies)]
        if all(block.equals(blocks[0]) for block in blocks[1:]):
            raise InputError(
                where,
                found=f"its first {size} rows {copies} times",
                allowed="each patient once",
                hint="the table was pasted twice: keep one copy",
            )


def folded(name: str) -> str:
    """Return a name without case, accents' encoding, blanks and signs: what a hurried reader sees."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def look_alike(name: str, other: str) -> bool:
    """Whether two names differ in case, blanks and signs, or besides in one letter (two that changed places)."""
    one, two = folded(name), folded(other)
    if one == two:
        return True
    if min(len(one), len(two)) < 5 or abs(len(one) - len(two)) > 1:
        return False
    start = _common_start(one, two)
    one, two = one[start:], two[start:]
    end = _common_start(one[::-1], two[::-1])
    one, two = one[: len(one) - end], two[: len(two) - end]
    if any(letter.isdigit() for letter in one + two):
        return False
    return max(len(one), len(two)) <= 1 or (len(one) == 2 and one == two[::-1])


def _common_start(one: str, two: str) -> int:
    """How many letters two texts begin with in common."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False))))


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more
