"""Cells as text, number or blank, and messages that name the cell."""

import math
import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_bm.evidence.tables.schema import Column
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.numbers import parse_number

BLANKS = frozenset(("", "na", "nan", "none"))
"""Words of a cell that holds no number, in lower case."""
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffd]"
)
"""Characters that no reader sees: controls, zero-width blanks, marks of direction; and the mark of a lost letter."""
LONGEST_SHOWN = 80
"""Letters of a cell that a message repeats."""


class TableRows(NamedTuple):
    """Where the rows came from, for messages: the name of the table and the line of each row in its file."""

    where: str
    lines: list[int] | None = None

    def place(self, row: int) -> str:
        """Return the table and the row, with its line where there is a file."""
        line = f" (line {self.lines[row]})" if self.lines else ""
        return f"{self.where}, row {row + 1}{line}"

    def refuse(self, row: int, column: str, *, cell: object, allowed: object, hint: str = "") -> InputError:
        place = f"{self.place(row)}, column {shortened(column, quoted=False)}"
        return InputError(place, found=cell_text(cell), allowed=allowed, hint=hint)


def cell_text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "a blank"
    return f"{value:g}" if isinstance(value, float) else shortened(value)


def shortened(value: object, *, quoted: bool = True) -> str:
    """Return what was found as a message repeats it: in quotes, unseen characters spelt out, the end of much left out.

    Without `quoted` a name stands as it is.
    """
    text = str(value)
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}... ({len(text)} letters)"
    return repr(shown) if quoted and isinstance(value, str) else shown


def coerce_column(frame: pd.DataFrame, name: str, column: Column, rows: TableRows) -> pd.Series | np.ndarray:
    """Return the cells as numbers or texts; blanks where the frame has no such column."""
    if name not in frame.columns:
        named = column.kind in ("text", "untouched")
        return np.full(len(frame), None, dtype=object) if named else np.full(len(frame), np.nan)
    values = frame[name]
    if column.kind in ("text", "untouched") and isinstance(values.dtype, pd.CategoricalDtype):
        return _named(values, name, rows)
    if column.kind == "untouched":
        return pd.Series(values)
    if column.kind == "text":
        cells = [None if is_blank(value) else str(value) for value in values]
        _check_seen(cells, name, rows)
        return pd.Series(cells, index=frame.index, dtype=object)
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_complex_dtype(values.dtype):
        return pd.Series(values.astype("float64"))
    return pd.Series(_numbers(list(values), name, column, rows), index=frame.index, dtype="float64")


def _named(values: pd.Series, name: str, rows: TableRows) -> pd.Series:
    """A column of categories as texts: one Python object a category, blanks None."""
    texts = [None if is_blank(value) else str(value).strip() or None for value in values.cat.categories]
    if any(text is not None and _UNSEEN.search(text) for text in texts):
        _check_seen([None if code < 0 else texts[code] for code in values.cat.codes], name, rows)
    names = np.array([*texts, None], dtype=object)[values.cat.codes.to_numpy()]
    return pd.Series(names, index=values.index, dtype=object)


def _check_seen(cells: list[str | None], name: str, rows: TableRows) -> None:
    """Refuse text with a character that nobody sees: two names that look alike would be two studies."""
    for text in dict.fromkeys(cells):
        unseen = None if text is None or text.isalnum() else _UNSEEN.search(text)
        if unseen is not None:
            character = unseen.group()
            title = unicodedata.name(character, "a control character")
            hint = f"delete U+{ord(character):04X} ({title.lower()}), or write the letter that was lost there"
            raise rows.refuse(cells.index(text), name, cell=text, allowed="text that can be seen", hint=hint)


def is_blank(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value == ""


def _numbers(values: list, name: str, column: Column, rows: TableRows) -> list[float]:
    """Cells as numbers; each text is read once, however often it stands there."""
    if not all(value is None or isinstance(value, str) for value in values):
        return [_number(value, row, name, column, rows) for row, value in enumerate(values)]
    numbers: dict[str | None, float] = {}
    for row, value in _first_rows(values):
        numbers[value] = _number(value, row, name, column, rows)
    return [numbers[value] for value in values]


def _first_rows(values: Iterable[str | None]) -> Iterable[tuple[int, str | None]]:
    """Yield each distinct value with the row in which it stands first."""
    seen: set[str | None] = set()
    for row, value in enumerate(values):
        if value not in seen:
            seen.add(value)
            yield row, value


def _number(value: object, row: int, name: str, column: Column, rows: TableRows) -> float:
    if is_blank(value) or (isinstance(value, str) and value.strip().lower() in BLANKS):
        return math.nan
    if isinstance(value, (int, float, np.number)):
        return float(value)
    text = str(value).strip()
    number = parse_number(text)
    if number is None:
        raise rows.refuse(row, name, cell=value, allowed=column.allowed, hint=_hint_for_text(text))
    return number


def _hint_for_text(text: str) -> str:
    if re.fullmatch(r"[+-]?\d+,\d+", text, re.ASCII):
        return f"write the decimal comma as a point: {text.replace(',', '.')}; leave out a comma between thousands"
    for broken, hint in _HINTS:
        if broken(text.lower()):
            return hint
    return "give a plain number, or leave the cell blank; categories of a covariate become columns of 0 and 1"


_HINTS = (
    (lambda text: text.endswith("%"), "give a proportion: divide by 100"),
    (lambda text: text[:1] in "<>=≤≥~", "give the number alone; p < 0.001 goes into p_below as 0.001"),
    (
        lambda text: "not reached" in text or text in ("nr", "-"),
        "leave the cell blank: a blank median or upper limit means not reached",
    ),
    (lambda text: text[:1] in "−–—" and len(text) > 1, "write the minus sign as a hyphen, as in -5"),
    (lambda text: any(c.isdecimal() and not c.isascii() for c in text), "write the digits 0 to 9"),
    (lambda text: text in ("true", "false", "yes", "no", "y", "n"), "write 1 for yes and 0 for no"),
    (
        lambda text: text.lstrip("+-") in ("inf", "infinity", "∞"),
        "infinity is no measurement: leave the cell blank where nothing is printed",
    ),
    (lambda text: _UNSEEN.search(text) is not None, "a character that cannot be seen stands in it: type it again"),
)
"""What a cell that is no number looks like, and what to do about it."""


def and_more(count: int) -> str:
    return f"({count} more cell{'s' if count > 1 else ''} of this table would be refused too)" if count else ""
