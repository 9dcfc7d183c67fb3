"""The record of one known answer and of a group of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

COLUMNS = ("group", "check", "expected", "found", "tolerance", "source", "passed")


@dataclass(frozen=True)
class Known:
    """One known answer: `found` is right where it is within `tolerance` (absolute) of `expected`."""

    check: str
    expected: float
    found: float
    tolerance: float
    source: str

    @property
    def passed(self) -> bool:
        return bool(abs(self.found - self.expected) <= self.tolerance)


@dataclass(frozen=True)
class Group:
    """Known answers of one kind; `quick` ones take seconds."""

    name: str
    answers: Callable[[], Iterator[Known]]
    quick: bool = True
