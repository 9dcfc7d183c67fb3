"""A text file of cells to columns of texts: encoding, quotes, rows of one length, and how much is read at all."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bayes_bm.evidence.tables.cells import shortened
from bayes_bm.evidence.tables.schema import nearest_name
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.spreadsheets import restore_text

MOST_COLUMNS = 1000
"""Columns of a table; more are a matrix that no spec can name, and their checks would take minutes."""
MOST_BYTES = 500_000_000
"""Size of a file; read as text it needs about ten times as much memory."""
_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_OTHER_FILES = {b"PK\x03\x04": "a zip file or a spreadsheet (xlsx, ods)", b"%PDF": "a PDF", b"\x1f\x8b": "a gzip file"}
_SAVE_AGAIN = "save it again as 'CSV UTF-8', or convert it with iconv"


class Records(NamedTuple):
    """A table as text: names of columns, the cells of each column (blanks None), the line on which each row ends."""

    header: list[str]
    columns: list[list[str | None]]
    lines: list[int]


def read_records(path: Path) -> Records:
    """Return the cells of a CSV file without its empty rows. Raises `InputError` with the row and line at fault."""
    filled = _filled_rows(path, text_of(path))
    _, header = next(filled, (0, []))
    if not header:
        raise InputError(str(path), found="an empty file", allowed="a CSV file with a header and at least one row")
    check_header(header, path)
    shared: dict[str, str | None] = {"": None}
    rows, lines = [], []
    for line, cells in filled:
        if len(cells) != len(header):
            raise _ragged(path, len(rows) + 1, line, cells, header)
        rows.append([shared.setdefault(cell, cell) for cell in cells])
        lines.append(line)
    return Records(header, [list(column) for column in zip(*rows, strict=True)] or [[] for _ in header], lines)


def check_header(header: list[str], path: Path) -> None:
    """Refuse names of columns that are blank, or there twice, or too many."""
    if len(header) > MOST_COLUMNS:
        raise InputError(
            f"{path}, header",
            found=f"{len(header)} columns",
            allowed=f"at most {MOST_COLUMNS}",
            hint="leave out the columns that the spec does not name",
        )
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        hint = "save it as CSV with commas between columns and points in numbers"
        raise InputError(
            f"{path}, header", found=shortened(header[0]), allowed="columns separated by commas", hint=hint
        )
    seen: set[str] = set()
    for number, name in enumerate(header, start=1):
        if not name:
            raise InputError(f"{path}, header, column {number}", found="a blank name", allowed="a name for each column")
        if name in seen:
            hint = "keep one of the two, or rename it with a leading x_"
            raise InputError(f"{path}, header", found=f"{shortened(name)} twice", allowed="each column once", hint=hint)
        seen.add(name)


def check_there(path: Path, suffix: str) -> None:
    """Refuse a path that is no file, with the name of the nearest one that is."""
    try:
        if path.is_file():
            return
        neighbours = sorted(p.name for p in path.parent.glob(f"*{suffix}")) if path.parent.is_dir() else []
        obstacle = "a folder" if path.is_dir() else "no such file"
    except (OSError, ValueError) as problem:
        raise InputError(
            shortened(str(path), quoted=False), found=_reason(problem), allowed="the path of a file"
        ) from None
    sort = "CSV" if suffix == ".csv" else "Parquet"
    hint = nearest_name(path.name, neighbours) if neighbours else f"there is no {sort} file in {path.parent or '.'}"
    raise InputError(str(path), found=obstacle, allowed=f"a {sort} file", hint=hint)


def _ragged(path: Path, row: int, line: int, cells: list[str], header: list[str]) -> InputError:
    return InputError(
        f"{path}, row {row} (line {line})",
        found=f"{len(cells)} cells",
        allowed=f"{len(header)}, one for each column of the header",
        hint="put text that holds a comma between double quotes; a decimal comma must be a point",
    )


def _filled_rows(path: Path, text: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    """Yield every row that is not empty, its cells without blanks around them, and the number of its last line."""
    reader = csv.reader(text, strict=True)
    try:
        for cells in reader:
            stripped = [restore_text(cell.strip()) if cell[:1] == "'" else cell.strip() for cell in cells]
            if any(stripped):
                yield reader.line_num, stripped
    except csv.Error as error:
        hint = "close the double quotes that were opened on this line or before it"
        raise InputError(f"{path}, line {reader.line_num}", found=str(error), allowed="a CSV file", hint=hint) from None


def text_of(path: Path) -> io.TextIOWrapper:
    """Return the file as lines of text, checked to be UTF-8; lines may end as on Linux, Windows or an old Mac."""
    check_there(path, ".csv")
    data = _bytes_of(path)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = f"{path}, line {data[: error.start].count(b'\n') + 1}"
        fault = f"byte 0x{data[error.start]:02x}, which is not UTF-8"
        raise InputError(place, found=fault, allowed="a CSV file in UTF-8", hint=_SAVE_AGAIN) from None
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")


def _bytes_of(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            allowed = f"at most {MOST_BYTES // 1_000_000} MB"
            raise InputError(str(path), found=f"{size / 1e6:.0f} MB", allowed=allowed, hint="write it as Parquet")
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(str(path), found=_reason(problem), allowed="a file that can be read") from None
    for start, sort in {**_BYTE_ORDER_MARKS, **_OTHER_FILES}.items():
        if data.startswith(start):
            raise InputError(str(path), found=sort, allowed="a CSV file in UTF-8", hint=_SAVE_AGAIN)
    if b"\0" in data:
        place = f"{path}, line {data[: data.index(b'\0')].count(b'\n') + 1}"
        hint = f"UTF-16 looks like this, and so does a damaged file: {_SAVE_AGAIN}"
        raise InputError(place, found="a NUL byte", allowed="a CSV file in UTF-8", hint=hint)
    return data


def _reason(problem: OSError | ValueError) -> str:
    return getattr(problem, "strerror", None) or str(problem)
