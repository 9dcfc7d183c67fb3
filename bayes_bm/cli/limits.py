"""Options that are numbers: finite, within limits, and refused by the name of the option."""

from collections.abc import Callable

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.numbers import parse_number

LATEST = 1e6
"""Time that may be asked about, in any unit: more than 2,000 years of days."""
MOST_DRAWS = 10_000_000
"""Of draws, warm-up draws and chains."""
MOST_PATIENTS = 1_000_000
"""In an arm."""
MOST_IMPUTATIONS = 10_000
"""Sets of patients."""
LARGEST_SEED = 2**63 - 1
"""Number that every file format holds."""
MOST_SIDE_BY_SIDE = 1024
"""Processes or cores."""


def number_option(
    option: str, *, greater_than: float | None = None, least: float | None = None, most: float = LATEST
) -> Callable[[str], float]:
    """Return how an option's text becomes a number, for typer, to which nan and inf lie within any limits."""

    def parse(text: str) -> float:
        return checked_number(str(text), option, greater_than=greater_than, least=least, most=most)

    return parse


def checked_number(
    text: str, option: str, *, greater_than: float | None = None, least: float | None = None, most: float = LATEST
) -> float:
    """Return the number that a text is. Raises `InputError` where it is none, or beyond the limits."""
    number = parse_number(text)
    low = f"above {greater_than:g}" if greater_than is not None else f"at least {least:g}" if least is not None else ""
    outside_limits = number is not None and (
        number > most or (greater_than is not None and number <= greater_than) or (least is not None and number < least)
    )
    if number is None or outside_limits:
        limits = " and ".join(part for part in (low, f"at most {most:g}") if part)
        raise InputError(option, found=repr(text)[:60], allowed=f"a number {limits}")
    return number
