"""The one place where a signal is handled: whoever stops a command gets nothing half done.

The command line turns SIGINT (Ctrl-C), SIGTERM and SIGHUP into `Stopped`, which no `except KeyboardInterrupt` of a
sampler swallows. In a library call Python raises KeyboardInterrupt; `pass_stops_on` raises it again where code in
between kept it to itself. A process that works for another one ends when that one is gone.
"""

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a command in order; SIGKILL leaves no time for that."""
ORPHANED = 1
"""Exit status of a worker whose parent is gone; nobody is there to read it."""


class Stopped(BaseException):
    """Report that a signal stopped the command (exit status 128 and its number, as shells have it)."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status: int = 128 + number


@contextmanager
def stoppable() -> Generator[None]:
    """Raise `Stopped` within the block when a signal of `STOPPING` comes in, unless the caller's shell ignores it.

    Python gives signals to the main thread alone; in any other the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    this_process = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != this_process:
            # a copy of this process that another package forked: it ends as it would without us
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise Stopped(number)

    with _handled({number: stop for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN}):
        yield


@contextmanager
def pass_stops_on() -> Generator[None]:
    """Raise at the end of the block what a handler raised within it and somebody swallowed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    swallowed: list[BaseException] = []

    def remember(handler: Any) -> Any:
        def handle(number: int, frame: FrameType | None) -> None:
            try:
                handler(number, frame)
            except BaseException as stop:
                swallowed.append(stop)
                raise

        return handle

    handlers = {number: signal.getsignal(number) for number in STOPPING}
    with _handled({number: remember(handler) for number, handler in handlers.items() if callable(handler)}):
        yield
    if swallowed:
        raise swallowed[0]


@contextmanager
def _handled(handlers: dict[int, Any]) -> Generator[None]:
    """Install handlers by number, and put those back that were there."""
    replaced = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def work_for_parent() -> None:
    """Prepare a process that works for another: Ctrl-C is its parent's affair, and it ends when its parent is gone.

    The parent holds the other end of a pipe, so that its death is seen whatever it died of.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(ORPHANED)
