"""Tables, JSON and progress on the terminal."""

import json
import math
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Progress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from bayes_bm.inference.result import Result

# a table squeezed into 80 columns loses digits; a narrow terminal may wrap the line instead
OUT = Console(soft_wrap=True, width=max(shutil.get_terminal_size().columns, 140))
ERR = Console(stderr=True, soft_wrap=True)

SHORT = 20
"""Text of up to so many letters is never wrapped in a table."""


@contextmanager
def show_progress(title: str) -> Iterator[Progress]:
    """A status line on standard error where somebody is watching, else a plain line a stage."""
    if not ERR.is_terminal:
        yield lambda stage: print(f"{title}: {stage}", file=sys.stderr, flush=True)
        return
    with ERR.status(title) as status:
        yield lambda stage: status.update(f"{title}: {stage}")


def _clean(value: Any) -> Any:
    """JSON has no NaN: null stands for what does not exist."""
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_json(document: Mapping[str, Any]) -> None:
    print(json.dumps(_clean(document), indent=1, allow_nan=False))


def json_rows(table: "pd.DataFrame") -> list[dict[str, Any]]:
    return _clean(table.astype(object).where(table.notna(), None).to_dict("records"))


def print_table(table: "pd.DataFrame", title: str, columns: Sequence[str] | None = None) -> None:
    """A plain table; numbers to three significant figures."""
    shown = Table(title=Text(title), title_justify="left", title_style="bold", box=None, pad_edge=False)
    names = [name for name in columns or list(table.columns) if name in table]
    for name in names:
        numeric = all(_is_number(value) for value in table[name])
        short = numeric or table[name].astype(str).str.len().max() <= SHORT
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=bool(short))
    for row in table[names].itertuples(index=False):
        # log_hr[b] is a name, not rich's markup for bold
        shown.add_row(*(Text(_cell(value)) for value in row))
    OUT.print(shown)
    OUT.print()


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def gate_field(result: "Result") -> dict[str, Any]:
    return {"gate": result.gate.state, "spec": result.spec.name, "time_unit": result.spec.time_unit}


def save_figure(page: "Figure", path: Path) -> None:
    """Whole or not at all; the same bytes for the same picture."""
    from bayes_bm.runtime.files import atomic_write

    known = ("pdf", "png", "svg")
    if path.suffix.removeprefix(".") not in known:
        raise InputError("--figure", found=path.name, allowed=", ".join(f".{name}" for name in known))
    with atomic_write(path) as file:
        page.savefig(file, dpi=150, format=path.suffix.removeprefix("."))


RECONCILIATION_COLUMNS = [
    *(
        "study",
        "arm",
        "quantity",
        "printed",
        "reconstructed",
        "predicted",
        "predicted_low",
        "predicted_high",
        "p",
        "status",
    )
]


def precise_numbers(values: "pd.Series") -> list[str]:
    """Enough digits to see a difference that matters."""
    return ["" if math.isnan(value) else f"{value:.8g}" for value in values.astype(float)]
