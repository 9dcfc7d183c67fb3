"""Text cells that a spreadsheet would take for a formula, made harmless and read back.

A study called `=HYPERLINK(...)` is a formula to a spreadsheet that opens our CSV. An apostrophe before it makes it text
there, and our reader of tables takes the apostrophe off again. Numbers are written as they are.
"""

from typing import TYPE_CHECKING, Any

from bayes_bm.runtime.numbers import parse_number

if TYPE_CHECKING:
    from pandas import DataFrame

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def defuse_text(cell: Any) -> Any:
    """Return a cell with an apostrophe before it, where it is text that starts as a formula does."""
    if not isinstance(cell, str) or not cell.lstrip("'").startswith(FORMULA_STARTS):
        return cell
    return cell if parse_number(cell) is not None else f"'{cell}"


def restore_text(cell: Any) -> Any:
    """Return a cell as it was before `defuse_text`."""
    defused = isinstance(cell, str) and cell.startswith("'") and cell.lstrip("'").startswith(FORMULA_STARTS)
    return cell[1:] if defused else cell


def defuse(table: "DataFrame") -> "DataFrame":
    """Return a table whose names of columns and text cells no spreadsheet takes for formulas."""
    return _mapped(table, defuse_text)


def restore(table: "DataFrame") -> "DataFrame":
    """Return a table as it was before `defuse`."""
    return _mapped(table, restore_text)


def _mapped(table: "DataFrame", change: Any) -> "DataFrame":
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    texts = [name for name in table if not is_numeric_dtype(table[name].dtype) and not is_bool_dtype(table[name].dtype)]
    changed = {name: table[name].map(change) for name in texts if any(change(cell) is not cell for cell in table[name])}
    return table.assign(**{str(name): column for name, column in changed.items()}).rename(columns=change)
