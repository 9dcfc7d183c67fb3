"""Curves, numbers at risk and ticks as digitisers and R write them, converted once to the contract's tables.

Other separators, decimal commas, percent, other names of columns, row names, no header: all of it is read where only
one reading is possible, and each change is said. A file in the contract's own form is read as every table is.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bayes_bm.evidence.tables.cells import TableRows
from bayes_bm.evidence.tables.checking import check_frame
from bayes_bm.evidence.tables.csv_records import text_of
from bayes_bm.evidence.tables.reading import PARQUET, read_table, table_frame
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.numbers import parse_number

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks"}
"""What may stand between columns, in words; blanks in any number are one."""
VALUES: dict[str, str | None] = {"curve": "survival", "at_risk": "at_risk", "ticks": None}
"""The column that each kind of table has beside time."""
UNIT = r"(\s*[\[(].*)?"
NAMES = {
    "time": re.compile(
        rf"(time|t|x|x[-_ ]?axis|t[._]?risk|(survival|follow[- ]?up)[-_. ]time|days?|weeks?|months?|years?){UNIT}"
    ),
    "survival": re.compile(
        r"(percent |overall |progression[- ]free )?(survival|surv|s|y|y[-_ ]?axis|km|os|pfs|probability)"
        rf"([-_. ](probability|proportion|rate|percent))?\s*%?{UNIT}"
    ),
    "at_risk": re.compile(r"(n|y|y[-_ ]?axis|at[-_. ]risk|n[._]?risk|(number|no\.?|n|patients) at risk)"),
    "unused": re.compile(r"(|id|row|index|interval|lower|upper|nr|no)"),
}
"""Names of columns, in small letters, by what they hold; DigitizeIt, WebPlotDigitizer, survHE and R use these."""
MOST_HEADERS = 3
"""Lines above the numbers that may be headers: names of data sets, then of columns."""
FIRST = 20
"""Lines by which most ways to read a file are ruled out."""
PERCENT = 90.0, 110.0
"""Largest survival between which a curve is in percent: it starts at 100, and clicks err."""


class _Reading(NamedTuple):
    """One way to read a file: columns as texts with decimal points, the line of each row, and what was changed."""

    columns: dict[str, list[str]]
    lines: list[int]
    changes: tuple[str, ...]

    @property
    def numbers(self) -> tuple:
        """Return the numbers of all columns, by which two readings are the same."""
        return tuple((name, tuple(map(parse_number, cells))) for name, cells in self.columns.items())


def read_clicks(kind: str, path: Path | str) -> pd.DataFrame:
    """Read a curve, its numbers at risk or its ticks, in the contract's form or in that of another program.

    What was converted stands in `.attrs["changes"]`, a sentence each; `reconstruction.curve.read_curve` takes it up.
    Raises `InputError` where two readings are possible, and as `read_table` does where none is.
    """
    path = Path(path)
    if path.suffix == PARQUET or _is_of_contract(kind, path):
        frame, lines = table_frame(path)
        changes: tuple[str, ...] = ()
    else:
        reading = _only_reading(kind, path)
        if reading is None:
            return read_table(kind, path)
        frame, lines, changes = pd.DataFrame(reading.columns, dtype=object), reading.lines, reading.changes
    frame, percent = _as_proportion(frame) if kind == "curve" else (frame, ())
    if frame.empty:
        return read_table(kind, path)
    table = check_frame(kind, frame, TableRows(str(path), lines))
    table.attrs["where"] = str(path)
    table.attrs["changes"] = [*changes, *percent]
    return table


def _is_of_contract(kind: str, path: Path) -> bool:
    """Return whether a file has commas, the contract's names and rows of the header's length."""
    with text_of(path) as text:
        widths = {len(cells) for cells in csv.reader(text) if any(cells)}
        text.seek(0)
        header = [cell.strip() for cell in next(csv.reader(text), [])]
    unused = any(NAMES["unused"].fullmatch(name.lower()) for name in header)
    return {"time", VALUES[kind] or "time"} <= set(header) and len(widths) == 1 and not unused


def _only_reading(kind: str, path: Path) -> _Reading | None:
    """Return the one reading that is possible, None where there is none; refuse a file with two."""
    lines = list(_filled_lines(path))
    readings = {}
    for separator in SEPARATORS:
        for decimal in ".,":
            begins = (separator, decimal) != (",", ",") and _reading(kind, path, lines[:FIRST], separator, decimal)
            if begins and (one := _reading(kind, path, lines, separator, decimal)):
                readings.setdefault(one.numbers, one)
    if len(readings) > 1:
        raise InputError(
            str(path),
            found=f"two readings, {' or '.join(one.changes[0] for one in readings.values())}",
            allowed="a file that can be read in one way only",
            hint=f"write a header, {', '.join(readings.popitem()[1].columns)}, commas between columns, decimal points",
        )
    return next(iter(readings.values()), None)


def _filled_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every line with something on it, and its number; a line sep=; for spreadsheets is none."""
    with text_of(path) as text:
        for number, line in enumerate(io.StringIO(text.read(), newline=None), start=1):
            if line.strip(" \t,;\r\n") and not (number == 1 and re.fullmatch(r"\"?sep=.\"?", line.strip())):
                yield number, line.rstrip("\r\n")


def _reading(kind: str, path: Path, lines: list[tuple[int, str]], separator: str, decimal: str) -> _Reading | None:
    """Return the file read with this separator and this decimal mark, or None where that gives no such table."""
    rows = [(number, _cells(line, separator)) for number, line in lines]
    headers = next((k for k, (_, cells) in enumerate(rows) if any(_is_number(c, decimal) for c in cells)), len(rows))
    body = [cells for _, cells in rows[headers:]]
    if not body or headers > MOST_HEADERS or len({len(cells) for cells in body}) > 1:
        return None
    columns = [list(column) for column in zip(*body, strict=True)]
    columns, unnamed = _without_blank_ends(columns), 0
    names = rows[headers - 1][1][: len(columns)] if headers else []
    if names and len(columns) == len(names) + 1 and _are_row_names(columns[0], decimal):
        columns, unnamed = columns[1:], 1
    _refuse_several_curves(path, names)
    places = _places(kind, names, columns, decimal) if len(names) in (0, len(columns)) else {}
    if not places or not all(_is_number(cell, decimal) for place in places.values() for cell in columns[place]):
        return None
    chosen = {name: [cell.replace(decimal, ".") for cell in columns[place]] for name, place in places.items()}
    named = [f"{names[place]!r} as {name}" for name, place in places.items() if names and names[place] != name]
    left_out = len(columns) + unnamed - len(places)
    changes = {
        f"{SEPARATORS[separator]} between columns": separator != "," and len(columns) + unnamed > 1,
        "decimal commas": decimal == "," and any("," in cell for place in places.values() for cell in columns[place]),
        "no header": not names,
        f"columns {' and '.join(named)}": bool(named),
        f"{left_out} column{'s' if left_out > 1 else ''} left out": left_out > 0,
    }
    text = f"{kind.replace('_', ' ')} read with " + ", ".join(name for name, is_so in changes.items() if is_so)
    return _Reading(chosen, [number for number, _ in rows[headers:]], (text,))


def _cells(line: str, separator: str) -> list[str]:
    """Return the cells of a line without the blanks and quotes around them."""
    if separator == " ":
        return [cell.strip('"') for cell in re.findall(r'"[^"]*"|\S+', line)]
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]


def _is_number(cell: str, decimal: str) -> bool:
    """Return whether a cell is a number with this decimal mark, or one in percent."""
    mark = re.escape(decimal)
    return re.fullmatch(rf"[+-]?(\d+({mark}\d*)?|{mark}\d+)([eE][+-]?\d+)?\s*%?", cell) is not None and (
        not cell.endswith(decimal)
    )


def _without_blank_ends(columns: list[list[str]]) -> list[list[str]]:
    """Leave out empty columns at the right, which a separator at the end of each line makes."""
    while columns and not any(columns[-1]):
        columns = columns[:-1]
    return columns


def _are_row_names(cells: list[str], decimal: str) -> bool:
    """Return whether a column without a name holds R's row names: 1, 2, 3, ..., or words."""
    return cells == [str(k) for k in range(1, len(cells) + 1)] or not any(_is_number(c, decimal) for c in cells)


def _refuse_several_curves(path: Path, names: list[str]) -> None:
    """Refuse a file with the columns of two curves beside each other."""
    times = [name for name in map(str.lower, names) if NAMES["time"].fullmatch(name)]
    if len(times) > 1 and len(names) > 2 and len(set(times)) == 1:
        found = f"{len(times)} columns {times[0]!r}"
        raise InputError(f"{path}, header", found=found, allowed="one curve a file", hint="export each data set alone")


def _places(kind: str, names: list[str], columns: list[list[str]], decimal: str) -> dict[str, int]:
    """Return which column holds what; empty where that is not certain."""
    wanted = ["time", *([VALUES[kind]] if VALUES[kind] else [])]
    if not names:
        fits = len(columns) == len(wanted) or (kind == "ticks" and len(columns) == 2)
        return dict(zip(wanted, range(len(wanted)), strict=True)) if fits else {}
    places: dict[str, int] = {}
    rest = []
    for place, name in enumerate(map(str.lower, names)):
        hit = next((column for column in wanted if column not in places and NAMES[column].fullmatch(name)), None)
        if hit:
            places[hit] = place
        elif name and not NAMES["unused"].fullmatch(name) and not name.startswith("x_"):
            rest.append(place)
    if len(wanted) == 2 and set(places) == {"time"} and len(rest) == 1 and len(columns) == 2:
        places[wanted[1]] = rest.pop()  # a digitiser writes the name of the curve above its values
    if kind == "ticks" and len(columns) == 2:
        rest = []
    return places if set(places) == set(wanted) and not rest else {}


def _as_proportion(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return survival as a proportion, and what was done to it; what is no number is left to the check of the cells."""
    cells = frame["survival"].map(str)
    signs = cells.str.endswith("%")
    values = pd.to_numeric(cells.str.rstrip("% "), errors="coerce")
    top = float(values.max())
    if not (signs.all() or PERCENT[0] <= top <= PERCENT[1]) or values.isna().any():
        return frame, ()
    text = f"percent: survival was in percent (largest {top:g}): divided by 100"
    return frame.assign(survival=values / 100), (text,)
