"""The tables a person may write: what each column holds, how a file is read, and what is refused, with the reason.

One direction: a CSV file becomes a checked `DataFrame` in which every column of the contract is present. Text columns
are `object` with None for a blank, numbers are `float64` with NaN for a blank (`event` and `at_risk` are `int64`).
Times are in whatever unit the file is in; the spec's `time_unit` is applied later, once. Shares and survival are
proportions. Columns that start with `x_` pass through untouched (from a file: as text).

Two choices that a reader may trip over: `n` of an arm may be blank, because the sizes of subgroups are often not
printed (such an arm informs only through an interval); a blank `median` means "not reached" and then needs the lower
limit, or the arm's `followup`.
"""

import difflib
import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from bayes_bm.evidence.tables.cells import TableRows, and_more, coerce_column, shortened
from bayes_bm.evidence.tables.frames import with_plain_names
from bayes_bm.evidence.tables.row_rules import (
    RULES,
    check_apart,
    check_falling,
    check_from_zero,
    check_names,
    check_one_treatment,
    check_unique,
)
from bayes_bm.evidence.tables.schema import (
    COVARIATE_OF_ARMS,
    NOT_NEGATIVE,
    PROPORTION,
    SHARE_SIZE,
    SIZE_OF_SHARE,
    TABLES,
    WHOLE_DTYPE,
    Column,
    nearest_name,
    table_columns,
)
from bayes_bm.runtime.errors import InputError


def check_table(kind: str, frame: pd.DataFrame, *, where: str) -> pd.DataFrame:
    """The same checks on a frame in memory; returns a new frame with all columns of the contract and a plain index."""
    checked = check_frame(kind, frame.reset_index(drop=True), TableRows(where))
    checked.attrs["where"] = where
    return checked


def check_frame(
    kind: str, frame: pd.DataFrame, rows: TableRows, *, named: Mapping[str, Column] | None = None
) -> pd.DataFrame:
    """Return the frame with every column of the contract, or raise `InputError` at the first cell that may not stand.

    `named` are columns beyond the kind's own, with their limits.
    """
    contract, named = table_columns(kind), named or {}
    _check_columns(kind, frame, rows.where, named)
    columns = {
        name: named.get(name) or contract.get(name) or _extra_column(kind, name) for name in [*contract, *frame.columns]
    }
    data = {name: coerce_column(frame, name, column, rows) for name, column in columns.items()}
    table = with_plain_names(pd.DataFrame(data, index=frame.index))
    if "ci_level" in contract:
        table["ci_level"] = table["ci_level"].fillna(0.95)
    # a column that is not there is blank, and a column that may not be blank is there
    _check_limits(table, {name: column for name, column in columns.items() if name in frame or column.filled}, rows)
    for rule in RULES.get(kind, ()):
        rule.apply(table, rows)
    check_unique(kind, table, rows)
    if kind in ("arms", "curves", "patients"):
        check_one_treatment(table, rows)
    if kind == "points":
        check_falling(table, rows)
    if kind == "registry":
        check_apart(table, rows)
    if kind == "background":
        check_from_zero(table, rows)
    if kind == "people":
        check_names(table, rows)
    whole = {name: "int64" for table_kind, name in WHOLE_DTYPE if table_kind == kind}
    return table.astype(whole)


def _extra_column(kind: str, name: str) -> Column:
    if name.startswith("x_"):
        return Column("untouched")
    if kind == "arms":
        if name.startswith("n_"):
            return SHARE_SIZE
        return PROPORTION if name.startswith("share_") else NOT_NEGATIVE if name.startswith("sd_") else Column("number")
    return Column("number")


def _is_allowed_extra(kind: str, name: object) -> bool:
    """Columns beyond the contract: `x_*` anywhere, arm-level covariate summaries, and covariates of patients."""
    if not isinstance(name, str):
        return False
    if name.startswith("x_") or (kind == "arms" and COVARIATE_OF_ARMS.fullmatch(name)):
        return True
    return kind == "patients" and not _is_misspelt(name, TABLES["patients"])


def _is_size_of_share(kind: str, name: object, frame: pd.DataFrame) -> bool:
    """Whether a column of arms is the n of a share that stands beside it."""
    match = SIZE_OF_SHARE.fullmatch(name) if kind == "arms" and isinstance(name, str) else None
    return match is not None and f"share_{match.group(1)}" in frame.columns


def _is_misspelt(name: str, names: Iterable[str]) -> bool:
    """A patients table takes any covariate, so only a near miss of a known name is taken for a slip of the pen."""
    for column in names:
        close = difflib.SequenceMatcher(None, name.lower(), column).ratio() >= 0.8
        if close and abs(len(name) - len(column)) <= 1 and name[:1].lower() == column[0]:
            return True
    return False


def _check_columns(kind: str, frame: pd.DataFrame, where: str, named: Mapping[str, Column]) -> None:
    contract = {**TABLES[kind], **named}
    if len(set(frame.columns)) < len(frame.columns):
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"{where}, column {twice}", found="the column twice", allowed="each column once")
    unknown = [
        str(name)
        for name in frame.columns
        if name not in contract and not _is_allowed_extra(kind, name) and not _is_size_of_share(kind, name, frame)
    ]
    if unknown:
        allowed = ", ".join([*contract, *_MORE_COLUMNS.get(kind, ())])
        hint = f"{nearest_name(unknown[0], contract)} A column of your own starts with x_"
        raise InputError(_header(where, unknown[0]), found="an unknown column", allowed=allowed, hint=hint)
    for name, column in contract.items():
        if column.required and name not in frame.columns:
            required = [name for name, column in contract.items() if column.required]
            allowed = f"{', '.join(required)} {'is' if len(required) == 1 else 'are'} required in {kind}"
            hint = "leave cells blank where a number is not known" if not column.filled else ""
            raise InputError(_header(where, name), found="no such column", allowed=allowed, hint=hint)


_MORE_COLUMNS = {"arms": ("mean_*", "sd_*", "share_*", "n_* beside share_*"), "patients": ("numeric covariates",)}
"""Columns beyond the contract, in words."""


def _header(where: str, name: str) -> str:
    return f"{where}, column {shortened(name, quoted=False)}"


def _check_limits(table: pd.DataFrame, columns: Mapping[str, Column], rows: TableRows) -> None:
    """Refuse blanks, values beyond limits, and words that are no choice; the first row with such a cell is named."""
    wrong = {name: _wrong_rows(table[name], column) for name, column in columns.items() if column.kind != "untouched"}
    wrong = {name: places for name, places in wrong.items() if places.size}
    if not wrong:
        return
    name = min(wrong, key=lambda one: int(wrong[one][0]))
    row, column = int(wrong[name][0]), columns[name]
    value, more = table[name].iloc[row], sum(places.size for places in wrong.values()) - 1
    hint = " ".join(part for part in (_hint_for_value(name, value), column.hint, and_more(more)) if part)
    raise rows.refuse(row, name, cell=value, allowed=column.allowed, hint=hint)


def _wrong_rows(values: pd.Series, column: Column) -> np.ndarray:
    """Positions of the cells that may not stand; a blank may, unless the column is filled."""
    blank = values.isna().to_numpy()
    if column.kind == "text" and not column.choices:
        return np.flatnonzero(blank & column.filled)
    return np.flatnonzero(np.where(blank, column.filled, ~column.accepts(values.to_numpy())))


def _hint_for_value(name: str, value: object) -> str:
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, float) and math.isinf(value):
        return "larger than a computer holds;"
    if isinstance(value, float) and 1 < value <= 100 and (name in ("survival", "ci_low", "ci_high") or "share" in name):
        return f"this looks like a percentage: write {value / 100:g};"
    if name in ("n", "events", "at_risk") and isinstance(value, float) and value != math.floor(value):
        return "count whole patients (or lesions);"
    if name == "event" and value == 2:
        return "where 1 = censored and 2 = event, subtract 1;"
    if name == "ci_level" and isinstance(value, float) and value > 1:
        return f"write {value / 100:g} for {value:g} %;"
    return ""
