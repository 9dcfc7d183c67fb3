"""A CSV or Parquet file to a checked table."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bayes_bm.evidence.tables.cells import TableRows
from bayes_bm.evidence.tables.checking import check_frame
from bayes_bm.evidence.tables.csv_records import check_header, check_there, read_records
from bayes_bm.evidence.tables.schema import Column, table_columns
from bayes_bm.runtime.errors import InputError


def read_table(kind: str, path: Path | str, *, named: Mapping[str, Column] | None = None) -> pd.DataFrame:
    """Read and check one CSV file (UTF-8, comma, a header), or one Parquet file; see `TABLES` for kinds and columns.

    `named` are columns beyond the kind's own, with their limits: the covariates of a spec. Raises `InputError` naming
    file, row and line, column, what was found, what is allowed and what to do.
    """
    table_columns(kind)
    path = Path(path)
    frame, lines = table_frame(path)
    if frame.empty and kind != "ticks":
        raise InputError(str(path), found="a header and no rows", allowed="at least one row", hint=f"a {kind} table")
    checked = check_frame(kind, frame, TableRows(str(path), lines), named=named)
    checked.attrs["where"] = str(path)
    return checked


PARQUET = ".parquet"


def table_frame(path: Path) -> tuple[pd.DataFrame, list[int] | None]:
    """Return the cells of a file before they are checked, and the line of each row where it is text."""
    return _parquet_frame(path) if path.suffix == PARQUET else _csv_frame(path)


def _csv_frame(path: Path) -> tuple[pd.DataFrame, list[int] | None]:
    """Cells as texts, and the line of each row."""
    records = read_records(path)
    columns = (pd.Series(column, dtype=object) for column in records.columns)
    return pd.DataFrame(dict(zip(records.header, columns, strict=True))), records.lines


def _parquet_frame(path: Path) -> tuple[pd.DataFrame, list[int] | None]:
    """A Parquet file through Arrow: numbers are taken as they lie, names as few Python texts as there are names."""
    import pyarrow
    from pyarrow import parquet

    check_there(path, PARQUET)
    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        hint = "write it again, for instance by DataFrame.to_parquet"
        raise InputError(str(path), found=str(error), allowed="a Parquet file", hint=hint) from None
    check_header(table.column_names, path)
    frame = table.to_pandas(strings_to_categorical=True, split_blocks=True, self_destruct=True)
    return frame.reset_index(drop=True), None
