"""Cells as text, number or blank, and messages that name the cell."""

import math
import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_bm.evidence.tables.schema import Column
from bayes_bm.runtime.errors import InputError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BLANKS = {"", "na", "nan", "none"}


class TableRows(NamedTuple):
    """Where the rows came from, for messages: the name of the table and the line of each row in its file."""

    where: str
    lines: list[int] | None = None

    def refuse(self, row: int, column: str, *, cell: object, allowed: object, hint: str = "") -> InputError:
        line = f" (line {self.lines[row]})" if self.lines else ""
        place = f"{self.where}, row {row + 1}{line}, column {column}"
        return InputError(place, found=cell_text(cell), allowed=allowed, hint=hint)


def cell_text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "a blank"
    return f"{value:g}" if isinstance(value, float) else repr(value)


def coerce_column(frame: pd.DataFrame, name: str, column: Column, rows: TableRows) -> pd.Series:
    if name not in frame.columns:
        blank = pd.Series([None] * len(frame), index=frame.index, dtype=object)
        return blank if column.kind == "text" else blank.astype("float64")
    if column.kind in ("text", "untouched") and isinstance(frame[name].dtype, pd.CategoricalDtype):
        return _named(frame[name])
    if column.kind == "untouched":
        return pd.Series(frame[name])
    if column.kind == "text":
        cells = [None if is_blank(value) else str(value) for value in frame[name]]
        return pd.Series(cells, index=frame.index, dtype=object)
    if pd.api.types.is_numeric_dtype(frame[name].dtype):
        return pd.Series(frame[name].astype("float64"))
    numbers = [_number(value, row, name, column, rows) for row, value in enumerate(frame[name])]
    return pd.Series(numbers, index=frame.index, dtype="float64")


def _named(values: pd.Series) -> pd.Series:
    """A column of categories as texts: one Python object a category, blanks None."""
    texts = [None if is_blank(value) else str(value).strip() or None for value in values.cat.categories]
    names = np.array([*texts, None], dtype=object)[values.cat.codes.to_numpy()]
    return pd.Series(names, index=values.index, dtype=object)


def is_blank(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value == ""


def _number(value: object, row: int, name: str, column: Column, rows: TableRows) -> float:
    if is_blank(value) or (isinstance(value, str) and value.strip().lower() in _BLANKS):
        return math.nan
    if isinstance(value, (int, float, np.number)):
        return float(value)
    text = str(value).strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    raise rows.refuse(row, name, cell=value, allowed=column.allowed, hint=_hint_for_text(text))


def _hint_for_text(text: str) -> str:
    if re.fullmatch(r"[+-]?\d+,\d+", text):
        return f"write the decimal comma as a point: {text.replace(',', '.')}"
    if text.endswith("%"):
        return "give a proportion: divide by 100"
    if text[:1] in "<>=≤≥~":
        return "give the number alone; p < 0.001 goes into p_below as 0.001"
    if "not reached" in text.lower() or text.lower() in ("nr", "-"):
        return "leave the cell blank: a blank median or upper limit means not reached"
    return "give a plain number, or leave the cell blank; categories of a covariate become columns of 0 and 1"


def and_more(count: int) -> str:
    return f"({count} more cell{'s' if count > 1 else ''} of this table would be refused too)" if count else ""
