"""HTML elements and tables. What is not markup already is escaped on its way in: no text of a user can break a page."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.report.text import MISSING, number, treatment_text


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


type Part = str | Iterable[Part] | None
Row = Mapping[Any, Any]


def el(name: str, *parts: Part, cls: str | None = None, **attributes: str) -> Html:
    """An element; children that are not `Html` are escaped, None is left out.

    >>> el("td", "a < b", cls="num")
    '<td class="num">a &lt; b</td>'
    """
    named = {"class": cls, **attributes}
    written = "".join(f' {key}="{html.escape(value)}"' for key, value in named.items() if value is not None)
    return Html(f"<{name}{written}>{_flat(parts)}</{name}>")


def _flat(parts: Iterable[Part]) -> str:
    return "".join(_one(part) for part in parts if part is not None)


def _one(part: str | Iterable[Part]) -> str:
    if isinstance(part, str):
        return part if isinstance(part, Html) else html.escape(part)
    return _flat(part)


@dataclass(frozen=True)
class Column:
    """A column of a table: its head, the text of a cell from its row, and its class (`num`, `words`, `keep`)."""

    head: str
    text: Callable[[Row], Part]
    cls: str | None = None


def records(table: pd.DataFrame | Sequence[Row]) -> list[dict[Any, Any]]:
    """Rows as dictionaries, whatever they came in."""
    return [dict(row) for row in (table.to_dict("records") if isinstance(table, pd.DataFrame) else table)]


def html_table(
    rows: pd.DataFrame | Sequence[Row],
    columns: Sequence[Column],
    *,
    caption: str = "",
    group: str | None = None,
    row_class: Callable[[Row], str | None] = lambda row: None,
) -> Html:
    """A table that scrolls sideways on a narrow screen. `group`: a field whose change starts a new headed block."""
    # a percentage stays in one piece where a head wraps
    heads = (el("th", column.head.replace(" %", "\u00a0%"), cls=column.cls, scope="col") for column in columns)
    body, current = [], None
    for row in records(rows):
        if group is not None and row[group] != current:
            current = row[group]
            head = el("th", str(current), colspan=str(len(columns)), scope="colgroup")
            body.append(el("tr", head, cls="group"))
        body.append(el("tr", *(el("td", column.text(row), cls=column.cls) for column in columns), cls=row_class(row)))
    title = el("caption", caption) if caption else None
    return el("div", el("table", title, el("thead", el("tr", *heads)), el("tbody", *body)), cls="scroll", tabindex="0")


def plain(head: str, key: str, cls: str | None = None, *, missing: str = MISSING) -> Column:
    """A column that prints a field as it stands."""
    return Column(head, lambda row: missing if pd.isna(row[key]) or row[key] == "" else str(row[key]), cls)


def mark() -> Column:
    """The label of an answer: extrapolated, prior only; blank where there is none."""
    return plain("mark", "label", missing="")


def numeric(head: str, key: str, digits: int) -> Column:
    return Column(head, lambda row: number(row[key], digits), "num")


def treatment(head: str = "treatment", key: str = "treatment") -> Column:
    return Column(head, lambda row: treatment_text(row[key]) if isinstance(row[key], str) else MISSING, "keep")


def frame_table(table: pd.DataFrame) -> Html:
    """A table made elsewhere, as it stands: numbers to three significant figures."""

    def cell(name: Any) -> Callable[[Row], str]:
        return lambda row: _as_it_stands(row[name])

    return html_table(
        table, [Column(str(name), cell(name), "num" if table[name].dtype.kind in "fi" else None) for name in table]
    )


def _as_it_stands(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if np.isfinite(value) else MISSING
    return MISSING if pd.isna(value) else str(value)
