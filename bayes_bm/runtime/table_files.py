"""A table as CSV, LaTeX or Excel, by the ending of its file; written whole or not at all."""

import zipfile
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import atomic_write
from bayes_bm.runtime.spreadsheets import defuse

if TYPE_CHECKING:
    from pandas import DataFrame

LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    mark: f"\\{mark}" for mark in "&%$#_{}"
}
"""Marks that mean something to LaTeX, and how each is written."""
MADE = (1980, 1, 1, 0, 0, 0)
"""Time of every part of a workbook, so that one table has one file."""


def check_ending(path: Path, option: str = "--to") -> None:
    """Refuse a file whose ending names no format."""
    if path.suffix.lower() not in WRITERS:
        raise InputError(option, found=path.name, allowed=", ".join(WRITERS))


def write_table(table: "DataFrame", path: Path) -> None:
    """Write the table in the format of the ending: .csv, .tex (a tabular of booktabs) or .xlsx."""
    check_ending(path)
    content = WRITERS[path.suffix.lower()](table)
    with atomic_write(path) as file:
        content(file)


def _csv(table: "DataFrame") -> Any:
    return lambda file: defuse(table).to_csv(file, index=False)


def _latex(table: "DataFrame") -> Any:
    numeric = [all(_is_number(value) or _blank(value) for value in table[name]) for name in table]
    lines = [
        rf"\begin{{tabular}}{{{''.join('r' if one else 'l' for one in numeric)}}}",
        r"\toprule",
        _latex_line(table.columns),
        r"\midrule",
        *(_latex_line(row) for row in table.itertuples(index=False)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return lambda file: file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _latex_line(cells: Iterable[Any]) -> str:
    return " & ".join("".join(LATEX.get(mark, mark) for mark in _shown(cell)) for cell in cells) + r" \\"


def _shown(cell: Any) -> str:
    if _blank(cell):
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _blank(cell: Any) -> bool:
    return cell is None or cell != cell


# ---------------------------------------------------------------------------------------------- workbook

PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml"'
    ' ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml"'
    ' ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="xl/workbook.xml"'
    ' Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    ' xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="findings" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="worksheets/sheet1.xml"'
    ' Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/></Relationships>',
}
"""Everything of a workbook of one sheet but the sheet."""
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def _workbook(table: "DataFrame") -> Any:
    rows = [list(table.columns), *table.itertuples(index=False)]
    lines = ("".join(map(_workbook_cell, row)) for row in rows)
    body = "".join(f'<row r="{number}">{line}</row>' for number, line in enumerate(lines, start=1))
    name = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts = PARTS | {"xl/worksheets/sheet1.xml": f'<worksheet xmlns="{name}"><sheetData>{body}</sheetData></worksheet>'}

    def write(file: Path) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
            for part, text in parts.items():
                book.writestr(zipfile.ZipInfo(part, MADE), HEAD + text)

    return write


def _workbook_cell(cell: Any) -> str:
    """A number, or text, which a workbook never takes for a formula."""
    if hasattr(cell, "item"):
        cell = cell.item()
    if _blank(cell):
        return "<c/>"
    if _is_number(cell):
        return f"<c><v>{cell!r}</v></c>"
    clean = "".join(mark for mark in str(cell) if mark >= " " or mark in "\t\n")
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(clean)}</t></is></c>'


WRITERS = {".csv": _csv, ".tex": _latex, ".xlsx": _workbook}
"""What is made of a table, by the ending of its file."""
