"""A cluster of Dask as its users start it, `dask scheduler` and `dask worker`, each a process of its own.

Dask's `LocalCluster` may wait for ever where it is closed while it starts a worker
(https://github.com/dask/distributed/issues/5876); a process that is killed does not.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.paths import ROOT

SETTINGS = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
"""Two workers may die of one task."""
HERE = ("--host", "127.0.0.1", "--no-dashboard")
STARTS_WITHIN = 120
"""Seconds to wait for a scheduler on a busy machine."""
AGAIN = ("sh", "-c", 'while :; do "$@"; done', "sh")
"""Starts a worker again that has died, as a service of a machine does."""


class Machines:
    """A scheduler and workers of one thread each, as on so many machines; `folder` keeps what they write."""

    def __init__(self, count: int, folder: Path) -> None:
        self._count, self._folder, self._file = count, folder, folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0")
        self.workers: list[subprocess.Popen[bytes]] = []
        self.complete()

    def _start(self, command: str, *options: str, before: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        call = [*before, sys.executable, "-m", "dask", command, *HERE, "--scheduler-file", str(self._file), *options]
        # tasks are functions of the tests
        environment = os.environ | SETTINGS | {"PYTHONPATH": str(ROOT), "TMPDIR": str(self._folder)}
        silent = subprocess.DEVNULL
        return subprocess.Popen(
            call, cwd=self._folder, env=environment, stdout=silent, stderr=silent, start_new_session=True
        )

    @property
    def address(self) -> str:
        """Where the scheduler listens, as soon as it does."""
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until:
            try:
                return json.loads(self._file.read_text(encoding="utf-8"))["address"]
            except (FileNotFoundError, json.JSONDecodeError):
                assert self.scheduler.poll() is None, "the scheduler ended"
                time.sleep(0.05)
        raise AssertionError(f"no scheduler in {STARTS_WITHIN} seconds")

    def complete(self) -> None:
        """Bring another machine for each one that is gone."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        missing = range(self._count - len(self.workers))
        self.workers += [self._start("worker", "--nthreads", "1", "--no-nanny", before=AGAIN) for _ in missing]


def end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Kill them and what they have started, in the middle of what they do."""
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def machines(count: int, folder: Path) -> Generator[Machines]:
    """Give a running cluster, and leave no process of it behind."""
    made = Machines(count, folder)
    try:
        yield made
    finally:
        end([*made.workers, made.scheduler])
