"""Tables of the page as records of text: columns say what a cell shows, a template lays the cells out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayes_bm.report.text import MISSING, number, treatment_text

Row = Mapping[Any, Any]
type CellKind = Literal["plain", "strong", "code", "status", "marked", "link"]


@dataclass(frozen=True)
class Cell:
    """Text of a cell and how it is set; `level` (green, amber, red) belongs to a status, or is a mark or an address."""

    text: str
    kind: CellKind = "plain"
    level: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table: its head, the content of a cell from its row, and its class (`num`, `words`, `keep`)."""

    head: str
    content: Callable[[Row], str | Cell]
    css: str | None = None


@dataclass(frozen=True)
class Head:
    """Head of a column, and the class that its cells share."""

    text: str
    css: str | None


@dataclass(frozen=True)
class TableRow:
    """Cells of a row, one a column; `heading` starts a new block above it, `css` marks the whole row."""

    cells: tuple[Cell, ...]
    heading: str | None = None
    css: str | None = None


@dataclass(frozen=True)
class Table:
    """A table ready to be laid out."""

    heads: tuple[Head, ...]
    rows: tuple[TableRow, ...]
    caption: str = ""


def records(table: pd.DataFrame | Sequence[Row]) -> list[dict[Any, Any]]:
    """Return rows as dictionaries, whatever they came in."""
    return [dict(row) for row in (table.to_dict("records") if isinstance(table, pd.DataFrame) else table)]


def make_table(
    rows: pd.DataFrame | Sequence[Row],
    columns: Sequence[Column],
    *,
    caption: str = "",
    group: str | None = None,
    row_class: Callable[[Row], str | None] = lambda row: None,
) -> Table:
    """Return the table of `rows`. `group`: a field whose change starts a new headed block.

    >>> make_table([{"arm": "x", "n": 12.0}], [plain("arm", "arm"), numeric("patients", "n", 0)]).rows[0].cells[1].text
    '12'
    """
    made: list[TableRow] = []
    current: object = None
    for row in records(rows):
        heading = None
        if group is not None and row[group] != current:
            current = row[group]
            heading = str(current)
        made.append(TableRow(tuple(_cell(column, row) for column in columns), heading, row_class(row)))
    # a percentage stays in one piece where a head wraps
    heads = (Head(column.head.replace(" %", "\u00a0%"), column.css) for column in columns)
    return Table(tuple(heads), tuple(made), caption)


def _cell(column: Column, row: Row) -> Cell:
    content = column.content(row)
    return content if isinstance(content, Cell) else Cell(content)


def plain(head: str, key: str, css: str | None = None, *, missing: str = MISSING) -> Column:
    """Return a column that prints a field as it stands."""
    return Column(head, lambda row: missing if pd.isna(row[key]) or row[key] == "" else str(row[key]), css)


def mark() -> Column:
    """Return the column of labels of answers: extrapolated, prior only; blank where there is none."""
    return plain("mark", "label", missing="")


def numeric(head: str, key: str, digits: int) -> Column:
    """Return a column of numbers with `digits` decimals."""
    return Column(head, lambda row: number(row[key], digits), "num")


def treatment(head: str = "treatment", key: str = "treatment") -> Column:
    """Return a column of treatments' names as words."""
    return Column(head, lambda row: treatment_text(row[key]) if isinstance(row[key], str) else MISSING, "keep")


def frame_table(table: pd.DataFrame) -> Table:
    """Return a table made elsewhere as it stands: numbers to three significant figures."""

    def content(name: Any) -> Callable[[Row], str]:
        return lambda row: _significant_text(row[name])

    return make_table(
        table, [Column(str(name), content(name), "num" if table[name].dtype.kind in "fi" else None) for name in table]
    )


def _significant_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if np.isfinite(value) else MISSING
    return MISSING if pd.isna(value) else str(value)
