"""What a figure may take: seconds of reading, and no fault of a reader leaves it but as a refusal by name."""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from bayes_bm.runtime.errors import BayesBmError, InputError

_deadline: ContextVar[tuple[float, float]] = ContextVar("deadline", default=(float("inf"), float("inf")))
"""CPU seconds of this thread at which reading ends, and the seconds that it had."""


@contextmanager
def time_limit(seconds: float) -> Generator[None]:
    """Let `check_time` refuse within the block once it has taken so many CPU seconds; `inf` takes a limit away."""
    token = _deadline.set((time.thread_time() + seconds, seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


@contextmanager
def untimed() -> Generator[None]:
    """Leave the block out of the time that is limited: loading the models of recognition takes seconds, once."""
    start = time.thread_time()
    try:
        yield
    finally:
        until, seconds = _deadline.get()
        _deadline.set((until + time.thread_time() - start, seconds))


def check_time(what: str) -> None:
    """Refuse where the limit is reached; `what` names the things that are too many. Costs a tenth of a microsecond."""
    until, seconds = _deadline.get()
    if time.thread_time() > until:
        hint = "cut the figure out of the page, or save it as a picture (PNG, 300 dpi)"
        raise InputError("figure", found=f"too many {what}", allowed=f"what is read in {seconds:g} s", hint=hint)


@contextmanager
def faults_named(path: Path) -> Generator[None]:
    """Turn a fault of a reader, and a refusal that does not name the file, into a refusal by the figure's name.

    A file may hold what no reader foresaw; nothing is written then. `BAYES_BM_TRACEBACK=1` shows where it was.
    """
    try:
        yield
    except BayesBmError as problem:
        if isinstance(problem, InputError) and problem.where == "figure":
            raise InputError(str(path), found=problem.found, allowed=problem.allowed, hint=problem.hint) from None
        raise
    except Exception as problem:
        if os.environ.get("BAYES_BM_TRACEBACK"):
            raise
        words = " ".join(str(problem).split())[:160]
        found = f"a figure at which the reader fails ({type(problem).__name__}: {words})"
        hint = "try it in another format (SVG, PDF, PNG of 300 dpi), cut to one panel; BAYES_BM_TRACEBACK=1 shows where"
        raise InputError(str(path), found=found, hint=hint) from problem
