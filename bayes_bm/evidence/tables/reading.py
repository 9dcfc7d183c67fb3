"""A CSV or Parquet file to a checked table."""

import csv
import re
from pathlib import Path

import pandas as pd

from bayes_bm.evidence.tables.cells import TableRows
from bayes_bm.evidence.tables.checking import check_frame
from bayes_bm.evidence.tables.schema import nearest_name, table_columns
from bayes_bm.runtime.errors import InputError


def read_table(kind: str, path: Path | str) -> pd.DataFrame:
    """Read and check one CSV file (UTF-8, comma, a header), or one Parquet file; see `TABLES` for kinds and columns.

    Raises `InputError` naming file, row and line, column, what was found, what is allowed and what to do.
    """
    table_columns(kind)
    path = Path(path)
    if path.suffix == PARQUET:
        return _read_parquet(kind, path)
    records = _records(path)
    header, rows = records[0][1], records[1:]
    _check_header(header, path)
    for row, (line, cells) in enumerate(rows):
        if len(cells) != len(header):
            raise InputError(
                f"{path}, row {row + 1} (line {line})",
                found=f"{len(cells)} cells",
                allowed=f"{len(header)}, one for each column of the header",
                hint="put text that holds a comma between double quotes; a decimal comma must be a point",
            )
    if not rows and kind != "ticks":
        raise InputError(str(path), found="a header and no rows", allowed="at least one row", hint=f"a {kind} table")
    columns = [[cells[i] or None for _, cells in rows] for i in range(len(header))]
    data = {name: pd.Series(column, dtype=object) for name, column in zip(header, columns, strict=True)}
    frame = pd.DataFrame(data)
    checked = check_frame(kind, frame, TableRows(str(path), [line for line, _ in rows]))
    checked.attrs["where"] = str(path)
    return checked


PARQUET = ".parquet"


def _read_parquet(kind: str, path: Path) -> pd.DataFrame:
    """A Parquet file through Arrow: numbers are taken as they lie, names as few Python texts as there are names."""
    import pyarrow
    from pyarrow import parquet

    _check_there(path, PARQUET)
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowException as error:
        hint = "write it again, for instance by DataFrame.to_parquet"
        raise InputError(str(path), found=str(error), allowed="a Parquet file", hint=hint) from None
    _check_header(table.column_names, path)
    if not table.num_rows:
        raise InputError(str(path), found="no rows", allowed="at least one row", hint=f"a {kind} table")
    frame = table.to_pandas(strings_to_categorical=True, split_blocks=True, self_destruct=True)
    checked = check_frame(kind, frame.reset_index(drop=True), TableRows(str(path)))
    checked.attrs["where"] = str(path)
    return checked


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """The non-empty records of a file, each with the number of its last line."""
    text = _text_of(path)
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    records = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                records.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        hint = "close the double quotes that were opened on this line or before it"
        raise InputError(f"{path}, line {reader.line_num}", found=str(error), allowed="a CSV file", hint=hint) from None
    if not records:
        raise InputError(str(path), found="an empty file", allowed="a CSV file with a header and at least one row")
    return records


def _check_there(path: Path, suffix: str) -> None:
    if not path.is_file():
        sort = "CSV" if suffix == ".csv" else "Parquet"
        neighbours = sorted(p.name for p in path.parent.glob(f"*{suffix}")) if path.parent.is_dir() else []
        obstacle = "a folder" if path.is_dir() else "no such file"
        hint = nearest_name(path.name, neighbours) if neighbours else f"there is no {sort} file in {path.parent or '.'}"
        raise InputError(str(path), found=obstacle, allowed=f"a {sort} file", hint=hint)


def _text_of(path: Path) -> str:
    _check_there(path, ".csv")
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}",
            found=f"byte 0x{data[error.start]:02x}, which is not UTF-8",
            allowed="a CSV file in UTF-8",
            hint="save it again as 'CSV UTF-8', or convert it with iconv",
        ) from None


def _check_header(header: list[str], path: Path) -> None:
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        raise InputError(f"{path}, header", found=repr(header[0]), allowed="columns separated by commas")
    for number, name in enumerate(header, start=1):
        if not name:
            raise InputError(f"{path}, header, column {number}", found="a blank name", allowed="a name for each column")
        if header.index(name) != number - 1:
            hint = "keep one of the two, or rename it with a leading x_"
            raise InputError(f"{path}, header", found=f"{name!r} twice", allowed="each column once", hint=hint)
