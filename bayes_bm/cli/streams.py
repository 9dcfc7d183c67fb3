"""Standard output and error where nobody can write: a full disk, a closed pipe, a terminal that knows ASCII alone.

Python raises OSError for the first two wherever the buffer happens to be full, and rich and typer turn a closed pipe
into exit status 1 before `main` sees it. Here the lowest layer of the stream raises errors of its own instead.
"""

import errno
import io
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bayes_bm.runtime.errors import InputError

CLOSED_PIPE = 141
"""Exit status of a command whose reader has left: 128 and the number of SIGPIPE, as shells have it. Not 0, for the
command may have been stopped before it was done."""


class OutputClosed(BaseException):
    """Report that whoever read the output has left; nobody hears a message."""

    exit_status = CLOSED_PIPE


class _Channel(io.FileIO):
    """A standard stream's descriptor. After its first error it takes everything and keeps nothing, so that what is
    still buffered raises no second one.
    """

    def __init__(self, descriptor: int, *, needed: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._needed, self._lost = needed, False

    def write(self, data: Any, /) -> int:
        if self._lost:
            return len(data)
        try:
            return super().write(data)
        except OSError as problem:
            self._lost = True
            if problem.errno == errno.EPIPE:
                raise OutputClosed from None
            if self._needed:
                found = f"cannot write there ({problem.strerror})"
                raise InputError("standard output", found=found, hint="make room, or send it elsewhere") from None
            return len(data)


@contextmanager
def written_streams() -> Generator[None]:
    """Write to standard output and error within the block so that every failure is one of ours, told at the end at
    the latest.

    Raises `InputError` where standard output cannot be written (progress on standard error is lost in silence), and
    `OutputClosed` where its reader has left. Characters that the terminal does not know are written as escapes.
    """
    originals = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _checked(sys.stdout, 1), _checked(sys.stderr, 2)
    try:
        yield
    finally:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        finally:
            sys.stdout, sys.stderr = originals


def _checked(stream: Any, descriptor: int) -> Any:
    """Return the stream over a `_Channel`; one that is closed takes everything, one of a caller's own stays."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if stream is not sys.__stdout__ and stream is not sys.__stderr__:
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Channel(descriptor, needed=descriptor == 1)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
    )
