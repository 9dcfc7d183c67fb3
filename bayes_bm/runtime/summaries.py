"""What a record prints of itself in a terminal or a notebook: a screen at most, whatever it holds."""

import textwrap
from collections.abc import Mapping, Sequence

WIDTH = 100
"""Characters of a line at most."""
LABEL = 12
"""Characters of the column that names what a line says."""
SHOWN = 8
"""Items of a list that are shown; the others are counted."""


def summary(title: str, rows: Mapping[str, str]) -> str:
    """Return a title and below it what each row says, wrapped beside its name; empty rows are left out."""
    lines = [title]
    for name, text in rows.items():
        if text:
            lines += textwrap.wrap(
                text, WIDTH, initial_indent=f"  {name:<{LABEL}} ", subsequent_indent=" " * (LABEL + 3)
            )
    return "\n".join(lines)


def listed(items: Sequence[object]) -> str:
    """Return items with commas between; of more than `SHOWN` the first ones, and how many there are."""
    shown = ", ".join(str(item) for item in items[:SHOWN])
    return shown if len(items) <= SHOWN else f"{shown}, ... ({len(items)})"


def counted(numbers: Mapping[str, int]) -> str:
    """Return how many there are of each, without those of which there is none."""
    return listed([f"{number} {name.replace('_', ' ')}" for name, number in numbers.items() if number])
