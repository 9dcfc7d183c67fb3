"""What the tests of many tasks have done in other processes, which read no more than this needs."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.parallel import once_per_process
from bayes_bm.runtime.tasks import Task


def number(given: dict[str, Any], seeds: np.random.SeedSequence) -> list[float]:
    """A number of the task and one of its stream."""
    time.sleep(given.get("sleep", 0.0))
    return [given["x"] ** 2, float(np.random.default_rng(seeds).standard_normal())]


def tasks(count: int, **given: Any) -> list[Task]:
    return [Task(f"task {x}", {"x": x, **given}, key=f"k{x}") for x in range(count)]


def row(given: dict[str, Any], seeds: np.random.SeedSequence) -> dict[str, Any]:
    if given["x"] == given.get("missing"):
        raise InputError("x", found="missing")
    return {"kind": "right", "seed": given["x"], "value": given["x"] ** 0.5}


def fails_at_first(given: dict[str, Any], seeds: np.random.SeedSequence) -> Any:
    """Dies, raises or refuses as often as `given` says; the marks on disk count the attempts."""
    marks = Path(given["marks"])
    attempt = len(list(marks.glob(f"{given['x']}-*")))
    (marks / f"{given['x']}-{attempt}").touch()
    if attempt < given.get("fails", 0):
        if given.get("how") == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if given.get("how") == "refuses":
            raise InputError("a table", found="nothing", allowed="something")
        raise RuntimeError("no luck")
    return number(given, seeds)


def builds(given: Any, seeds: np.random.SeedSequence) -> tuple[int, int]:
    """The process, and the number that was drawn when it built what it keeps."""
    return os.getpid(), once_per_process(("model", given), lambda: time.monotonic_ns())
