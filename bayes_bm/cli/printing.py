"""Tables, JSON and progress on the terminal."""

import json
import math
import shutil
import textwrap
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import atomic_write, check_places
from bayes_bm.runtime.progress import Watch, duration, watched
from bayes_bm.spec.level import USUAL, Level

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from bayes_bm.evidence.records import Evidence
    from bayes_bm.inference.result import Result
    from bayes_bm.runtime.types import Progress as Say
    from bayes_bm.spec.document import Spec

# a table squeezed into 80 columns loses digits; a narrow terminal may wrap the line instead
OUT: Console = Console(soft_wrap=True, width=max(shutil.get_terminal_size().columns, 140))
ERR: Console = Console(stderr=True, soft_wrap=True)

SHORT = 28
"""Text of up to so many letters is wrapped in a table only where all else is too wide: an estimate with its interval is
as long."""
FIGURE_FORMATS = ("pdf", "png", "svg")
"""Endings that a figure's file may have."""
UNSTABLE_METADATA = {"pdf": ("CreationDate",), "png": ("Software",), "svg": ("Date",)}
"""What matplotlib writes of time and version, by ending."""


@contextmanager
def show_progress(title: str) -> "Generator[Say]":
    """Show the stage, the time since the start and the time left on standard error where somebody is watching; a pipe
    gets nothing.
    """
    if not ERR.is_terminal:
        yield lambda stage: None
        return
    watch = Watch()
    columns = (SpinnerColumn(), TimeElapsedColumn(), _Left(watch))
    with watched(watch), Progress(*columns, console=ERR, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda stage: progress.update(task, description=f"{title}: {stage}")


class _Left(ProgressColumn):
    """The share that is done, the time left, the stage, and what each count tells; no more than a line."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(table_column=Column(no_wrap=True, overflow="ellipsis"))
        self._watch = watch

    def render(self, task: Any) -> Text:
        """Return the text of now."""
        watch = self._watch
        left = watch.seconds_left
        told = "" if left is None else f"{100 * watch.share:.0f} %, about {duration(left)} left  "
        return Text("; ".join(filter(None, [told + task.description, watch.text])), no_wrap=True, overflow="ellipsis")


def _clean(value: Any) -> Any:
    """Return the value as JSON may hold it: JSON has no NaN, so null stands for what does not exist."""
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in cast("Sequence[Any]", value)]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(_clean(document), indent=1, allow_nan=False))


def json_rows(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return a table as a list of rows, None where a cell is empty."""
    return _clean(table.astype(object).where(table.notna(), None).to_dict("records"))


def print_table(table: "pd.DataFrame", title: str, columns: Sequence[str] | None = None, level: Level = USUAL) -> None:
    """Print a plain table, numbers to three significant figures; `columns` chooses and orders those that exist.

    A median stands with its interval in one column, and columns without any entry are left out.
    """
    chosen = [end for name in columns or list(table.columns) for end in _ends(name, level)]
    table = _readable(table[[name for name in chosen if name in table]], level)
    width = terminal_width() if OUT.is_terminal else OUT.width
    for lines, longest, gap in _layouts(table, title):
        widths = column_widths(lines.cells, longest, width - gap * (len(lines.cells) - 1))
        if widths is not None:
            _print_title(lines.title, width)
            OUT.print(_laid_out(lines, widths, gap), width=width)
            break
    else:
        _print_blocks(_as_texts(table, title), width)
    OUT.print()


@dataclass(frozen=True)
class _Lines:
    """Hold a table as texts: `cells` by column, its head first, and which columns are numbers."""

    title: str
    cells: list[list[str]]
    numeric: list[bool]


def _as_texts(table: "pd.DataFrame", title: str) -> _Lines:
    columns = [(str(name), list(table[name])) for name in table]
    numeric = [all(_is_number(value) for value in values) for _, values in columns]
    return _Lines(title, [[name, *(_cell(value) for value in values)] for name, values in columns], numeric)


def _layouts(table: "pd.DataFrame", title: str) -> Iterator[tuple[_Lines, int, int]]:
    """Yield ways to set a table, the widest first: the letters of a text that is never wrapped, and the gap."""
    whole = _as_texts(table, title)
    yield whole, SHORT, 2
    against = HEADS["reference"]
    if against in table and len(named := set(map(_cell, table[against])) - {""}) == 1:
        # one reference of all rows needs no column
        whole = _as_texts(table.drop(columns=against), f"{title}; {against} {named.pop()}")
    for longest, gap in ((SHORT, 2), (SHORT, 1), (0, 2), (0, 1)):
        yield whole, longest, gap


def column_widths(cells: Sequence[Sequence[str]], longest: int, width: int) -> list[int] | None:
    """Return the letters of each column so that no word is broken; None where `width` letters are too few.

    What is left over goes to the columns that lack least, as they then wrap no text.

    >>> column_widths([["name", "a long name"], ["n", "12"]], 0, 9), column_widths([["name"]], 0, 3)
    ([7, 2], None)
    """
    natural = [max(map(len, texts)) for texts in cells]
    words = [max(len(word) for text in texts for word in text.split() or [""]) for texts in cells]
    widths = [most if most <= longest else word for most, word in zip(natural, words, strict=True)]
    room = width - sum(widths)
    if room < 0:
        return None
    lacking = sorted(range(len(cells)), key=lambda place: natural[place] - widths[place])
    for position, place in enumerate(lacking):
        more = min(natural[place] - widths[place], room // (len(lacking) - position))
        widths[place] += more
        room -= more
    return widths


def terminal_width() -> int:
    """Return the columns of the terminal, 40 at least."""
    return max(shutil.get_terminal_size().columns, 40)


def _print_title(title: str, width: int) -> None:
    OUT.print(Text(textwrap.fill(title, width, break_long_words=False, break_on_hyphens=False), style="bold"))


def _laid_out(lines: _Lines, widths: Sequence[int], gap: int) -> Table:
    shown = Table(box=None, pad_edge=False)
    shown.padding = (0, gap, 0, 0)
    for texts, number, width in zip(lines.cells, lines.numeric, widths, strict=True):
        shown.add_column(texts[0], justify="right" if number else "left", overflow="fold", width=width)
    for row in zip(*(texts[1:] for texts in lines.cells), strict=True):
        # log_hr[b] is a name, not rich's markup for bold
        shown.add_row(*(Text(text) for text in row))
    return shown


def _print_blocks(lines: _Lines, width: int) -> None:
    """Print each row as `whose, whose: column value; column value`, where the terminal is too narrow for columns.

    The columns before the first number say whose row it is.
    """
    _print_title(lines.title, width)
    heads = [texts[0] for texts in lines.cells]
    first = next((place for place, number in enumerate(lines.numeric) if number), len(heads) - 1)
    for row in zip(*(texts[1:] for texts in lines.cells), strict=True):
        whose = ", ".join(
            f"{head} {value}" if head == HEADS["reference"] else value
            for head, value in zip(heads[:first], row[:first], strict=True)
            if value
        )
        told = [f"{head} {value}" for head, value in zip(heads[first:], row[first:], strict=True) if value]
        text = ": ".join(filter(None, (whose, "; ".join(told))))
        whole = textwrap.fill(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        OUT.print(Text(whole))


ESTIMATE = "median and interval"
"""Stands for the columns that are printed as one: a median and the ends of its interval."""


def _ends(name: str, level: Level) -> tuple[str, ...]:
    return ("median", *level.names) if name == ESTIMATE else (name,)


def _readable(table: "pd.DataFrame", level: Level) -> "pd.DataFrame":
    """Return a table with words for codes, intervals beside their medians, and no empty columns."""
    import pandas as pd

    shown = table.copy()
    together = _ends(ESTIMATE, level)
    if set(together) <= set(shown):
        numbers = [[_cell(value) for value in shown[name]] for name in together]
        texts = [f"{middle} ({low} to {high})" if low else middle for middle, low, high in zip(*numbers, strict=True)]
        shown.insert(
            list(shown).index("median"), f"median ({level.words})", pd.Series(texts, index=shown.index, dtype=object)
        )
        shown = shown.drop(columns=list(together))
    if "prob_better" in shown:
        shown["prob_better"] = [_probability(value) for value in shown["prob_better"]]
    if "estimand" in shown:
        shown["estimand"] = [str(name).replace("_", " ") for name in shown["estimand"]]
    if "kind" in shown:
        shown["kind"] = [str(name).replace("_", " ") for name in shown["kind"]]
    empty = [name for name in shown if all(_cell(value) == "" for value in shown[name])]
    return shown.drop(columns=empty if len(shown) else []).rename(columns=HEADS)


HEADS = {
    "prob_better": "P(better)",
    "reference": "against",
    "side_by_side": "studies of both",
    "mean_rank": "mean rank",
    "sucra": "SUCRA",
}
"""What columns are called on a terminal."""


def _probability(value: Any) -> str:
    """Return a probability with three digits at most; one that is 0 or 1 is only near it."""
    if value is None or math.isnan(value):
        return ""
    return "<0.001" if value < 0.001 else ">0.999" if value > 0.999 else f"{value:.3g}"


def print_words(text: str, console: Console = OUT) -> None:
    """Print sentences, wrapped between words where somebody is watching; lines that are indented stay whole."""
    if not console.is_terminal:
        console.print(Text(text))
        return
    width = terminal_width()
    for line in text.split("\n"):
        indent = "  " if line.startswith("- ") else ""
        whole = (
            line
            if line.startswith("  ")
            else textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        )
        console.print(Text(whole))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def gate_field(result: "Result") -> dict[str, Any]:
    """Return what every JSON document about a result says: its gate, its spec and the unit of its times."""
    return {"gate": result.gate.state, "spec": result.spec.name, "time_unit": result.spec.time_unit}


def check_figure(path: Path | None, inputs: Sequence[Path] = ()) -> None:
    """Refuse a figure's file that could not be written, before any work; None where no figure is asked for."""
    if path is None:
        return
    if path.suffix.removeprefix(".").lower() not in FIGURE_FORMATS:
        raise InputError("--figure", found=path.name, allowed=", ".join(f".{name}" for name in FIGURE_FORMATS))
    check_places({"--figure": path}, inputs)


def save_figure(page: "Figure", path: Path) -> None:
    """Write a figure whole or not at all."""
    with atomic_write(path) as file:
        write_figure(page, file)


def write_figure(page: "Figure", file: Path) -> None:
    """Write a figure in the format of the file's ending; the same picture gives the same bytes."""
    import matplotlib as mpl

    ending = file.suffix.removeprefix(".").lower()
    writable: Any = page
    settings: Any = mpl
    metadata = dict.fromkeys(UNSTABLE_METADATA[ending])
    # labels of ticks are made when a figure is drawn: a $ in a name is no formula there either
    with settings.rc_context({"text.parse_math": False}):
        writable.savefig(file, dpi=150, format=ending, metadata=metadata)


def in_words(table: "pd.DataFrame", spec: "Spec") -> "pd.DataFrame":
    """Return a table for people: treatments in words, by the labels of the spec."""
    from bayes_bm.report.text import treatment_words

    shown, words = table.copy(), treatment_words(spec)
    for name in {"treatment", "reference"} & set(table):
        shown[name] = shown[name].replace(words)
    return shown


def print_remarks(evidence: "Evidence") -> None:
    """Say on standard error which rows a name leaves out, and what looks wrong, where no audit is printed."""
    for remark in evidence.remarks:
        ERR.print(Text(f"- {remark}"))


def precise_numbers(values: "pd.Series") -> list[str]:
    """Return numbers as text with enough digits to see a difference that matters."""
    return ["" if math.isnan(value) else f"{value:.8g}" for value in values.astype(float)]


def error_words(table: "pd.DataFrame", level: Level) -> str:
    """Say how large the Monte Carlo errors are, at most, of each estimand's medians and ends."""
    ends = [f"mcse_{name}" for name in ("median", *level.names)]
    largest = table.assign(error=table[ends].max(axis=1)).groupby("estimand", sort=False)["error"].max().to_dict()
    largest["P(better)"] = float(table["mcse_prob_better"].max())
    named = [
        f"{str(name).replace('_', ' ')} {error:.1g}" for name, error in largest.items() if not math.isnan(float(error))
    ]
    return f"Monte Carlo error, at most: {', '.join(named)}." if named else ""


def split_errors(table: "pd.DataFrame", names: Sequence[str]) -> "tuple[pd.DataFrame, list[dict[str, Any]]]":
    """Return the answers without their Monte Carlo errors, and these as rows of their own beside the names."""
    errors = [column for column in table if str(column).startswith("mcse_")]
    return table.drop(columns=errors), json_rows(table[[*names, *errors]]) if errors else []
