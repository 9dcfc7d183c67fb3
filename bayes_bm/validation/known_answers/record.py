"""The record of one known answer and of a group of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

COLUMNS = ("group", "check", "expected", "found", "tolerance", "source", "passed")
"""Columns of the table of `verify`; `found` is what was computed."""


@dataclass(frozen=True)
class Known:
    """Hold one known answer: `computed` is right where it is within `tolerance` (absolute) of `expected`."""

    check: str
    expected: float
    computed: float
    tolerance: float
    source: str

    @property
    def passed(self) -> bool:
        return bool(abs(self.computed - self.expected) <= self.tolerance)

    def row(self, group: str) -> dict[str, Any]:
        """Return the answer as a row of the table of `verify` (COLUMNS)."""
        return {
            "group": group,
            "check": self.check,
            "expected": self.expected,
            "found": self.computed,
            "tolerance": self.tolerance,
            "source": self.source,
            "passed": self.passed,
        }


@dataclass(frozen=True)
class Group:
    """Hold the known answers of one kind; `quick` ones take seconds."""

    name: str
    answers: Callable[[], Iterator[Known]]
    quick: bool = True
