"""A task, what became of it, and the random numbers that belong to it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Work = Callable[[Any, np.random.SeedSequence], Any]
"""A function of what a task is given and of its stream of random numbers."""
Status = Literal["computed", "cached", "failed"]
"""Made by this call, read from a store, or neither."""

STATUS_WORDS: dict[Status, str] = {"computed": "done", "cached": "kept from before", "failed": "failed"}
"""How a user is told of each status."""


@dataclass(frozen=True)
class Task:
    """What `work` is given. `name` is its own among the tasks of a call; `key` is a digest of all its value follows
    from: a value is stored under both.
    """

    name: str
    given: Any
    key: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a task: a value, computed or cached, or why there is none.

    A `refused` task (`BayesBmError`) is not tried again, for it would be the same; `died`: so did its process.
    """

    name: str
    status: Status
    value: Any = None
    failure: str = ""
    refused: bool = False
    died: bool = False
    seconds: float = 0.0
    attempts: int = 1

    @property
    def words(self) -> str:
        """The status as a user is told it."""
        return STATUS_WORDS[self.status]


def failed_outcome(task: Task, reason: str, *, refused: bool = False, died: bool = False) -> Outcome:
    """Return the outcome of a task that has no value."""
    return Outcome(task.name, "failed", failure=reason, refused=refused, died=died)


def spawn_seeds(seed: int, name: str) -> np.random.SeedSequence:
    """Return the stream of a task, by its name: the same whatever other tasks there are."""
    return np.random.SeedSequence([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:16])])
