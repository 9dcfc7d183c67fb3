"""Many fits through one function: one after the other, on processes of this machine, or on a Dask cluster.

Leave-one-out, imputation, sensitivity and simulation are tasks that know nothing of each other. What a task gives
depends on what it is given and on its name, never on where, when or beside whom it ran: its stream of random numbers
is spawned from the seed by the task's name. A value is kept as soon as it is there, so that an interrupted call is
taken up by the next one.
"""

import hashlib
import json
import multiprocessing
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from bayes_bm.runtime.errors import BayesBmError, InputError
from bayes_bm.runtime.files import atomic_write

Work = Callable[[Any, np.random.SeedSequence], Any]
DIED = "its process died"


@dataclass(frozen=True)
class Task:
    """What `work` is given. `name` is its own among the tasks of a call; `key` is a digest of all its value follows
    from: under both a value is kept.
    """

    name: str
    given: Any
    key: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a task: a value, now or from before, or why there is none.

    A `refused` task (`BayesBmError`) is not tried again, for it would be the same; `died`: so did its process.
    """

    name: str
    how: Literal["done", "kept from before", "failed"]
    value: Any = None
    failure: str = ""
    refused: bool = False
    died: bool = False
    seconds: float = 0.0
    attempts: int = 1


class Store(Protocol):
    """Where values stay. `get` gives None for what is not there; `put` gives what `get` will."""

    def get(self, task: Task) -> Any: ...

    def put(self, task: Task, value: Any) -> Any: ...


@dataclass(frozen=True)
class JsonStore:
    """Values as JSON, one file a task, `NAME-KEY.json`."""

    path: Path

    def get(self, task: Task) -> Any:
        file = self._file(task)
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def put(self, task: Task, value: Any) -> Any:
        with atomic_write(self._file(task)) as file:
            file.write_text(json.dumps(value), encoding="utf-8")
        return value

    def _file(self, task: Task) -> Path:
        return self.path / f"{plain_values(task.name)}-{task.key}.json"


@dataclass(frozen=True)
class CsvStore:
    """Values as rows of one CSV, {column: value}. A task's name is what its row has in the columns `by`, with spaces
    between; rows stand in the order in which they came in.
    """

    path: Path
    by: tuple[str, ...]

    def get(self, task: Task) -> Any:
        return self._rows.get(task.name)

    def put(self, task: Task, value: Any) -> Any:
        if self._name(value) != task.name:
            raise ValueError(f"the row of {task.name} is named {self._name(value)}")
        import pandas as pd

        self._rows[task.name] = value
        with atomic_write(self.path) as file:
            pd.DataFrame(list(self._rows.values())).to_csv(file, index=False)
        return value

    @cached_property
    def _rows(self) -> dict[str, Any]:
        import pandas as pd

        known = pd.read_csv(self.path).to_dict("records") if self.path.is_file() else []
        return {self._name(row): row for row in known}

    def _name(self, row: Any) -> str:
        # a whole number may come back from a file as 3.0
        return " ".join(f"{value:.15g}" if isinstance(value, float) else str(value) for value in map(row.get, self.by))


def plain_values(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", name)


def spawn_seeds(seed: int, name: str) -> np.random.SeedSequence:
    """The stream of a task, by its name: the same whatever other tasks there are."""
    return np.random.SeedSequence([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:16])])


def map_fits(
    work: Work,
    tasks: Sequence[Task],
    *,
    seed: int = 0,
    keep: Store | None = None,
    cores: int = 1,
    scheduler: str | None = None,
    say: Callable[[int, int, Outcome], None] = lambda done, total, outcome: None,
) -> list[Outcome]:
    """`work(task.given, seeds)` of every task, in the order of the tasks; `seeds` is spawned from `seed` by name.

    Runs in this process (`cores` = 1), on `cores` processes, or on the Dask cluster whose scheduler listens at
    `scheduler` ("tcp://host:port"; workers need this package and one thread each). `work` and what it is given and
    gives must be picklable then. With `keep`, values kept from before are not made again. A task that raises, or whose
    process dies, is tried once more; if it fails again, its outcome says so and the others go on. `say` hears how many
    are done, of how many, and the outcome just in.
    """
    _check(tasks, cores)
    found: dict[int, Outcome] = {}

    def take(place: int, outcome: Outcome) -> None:
        found[place] = outcome
        say(len(found), len(tasks), outcome)

    for place, task in enumerate(tasks):
        kept = None if keep is None else keep.get(task)
        if kept is not None:
            take(place, Outcome(task.name, "kept from before", kept))
    with _runner(work, seed, cores, scheduler) as run:
        together, alone = [], []
        for place, outcome in run([(place, task) for place, task in enumerate(tasks) if place not in found]):
            if outcome.how == "failed" and not outcome.refused:
                (alone if outcome.died else together).append((place, tasks[place]))
            else:
                take(place, _kept(outcome, tasks[place], keep))
        # on a cluster a task may have been beside the one that its worker died of
        for batch in [together, *([one] for one in alone)]:
            for place, outcome in run(batch):
                take(place, replace(_kept(outcome, tasks[place], keep), attempts=2))
    return [found[place] for place in range(len(tasks))]


def _check(tasks: Sequence[Task], cores: int) -> None:
    if cores < 1:
        raise InputError("--cores", found=cores, allowed="1 or more")
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise ValueError("two tasks of one name would share their random numbers")


def _kept(outcome: Outcome, task: Task, keep: Store | None) -> Outcome:
    if keep is None or outcome.how == "failed":
        return outcome
    return replace(outcome, value=keep.put(task, outcome.value))


_built: dict[Hashable, Any] = {}
BUILT = 2
"""How many of them a process keeps: a compiled model may be large."""


def once_per_process[Built](key: Hashable, build: Callable[[], Built]) -> Built:
    """What `build` made for this key the first time it was asked for in this process: a compiled model."""
    if key not in _built:
        while len(_built) >= BUILT:
            del _built[next(iter(_built))]
        _built[key] = build()
    return _built[key]


# ---------------------------------------------------------------------------------------------- where they run

Placed = tuple[int, Task]
Run = Callable[[Sequence[Placed]], Iterator[tuple[int, Outcome]]]
_one_at_a_time = threading.Lock()


def _attempt(work: Work, task: Task, seed: int) -> Outcome:
    """One go at a task; what goes wrong is an outcome, for an exception may not survive the way back.

    PyTensor compiles in one thread of a process at a time, and a cluster's worker may have several.
    """
    start = time.perf_counter()
    with _one_at_a_time:
        try:
            value = work(task.given, spawn_seeds(seed, task.name))
        except BayesBmError as problem:
            return _failed(task, str(problem), refused=True)
        except Exception as problem:
            return _failed(task, f"{type(problem).__name__}: {problem}")
    return Outcome(task.name, "done", value, seconds=time.perf_counter() - start)


def _failed(task: Task, why: str, *, refused: bool = False, died: bool = False) -> Outcome:
    return Outcome(task.name, "failed", failure=why, refused=refused, died=died)


@contextmanager
def _runner(work: Work, seed: int, cores: int, scheduler: str | None) -> Iterator[Run]:
    if scheduler is not None:
        with _client(scheduler) as client:
            yield lambda placed: _on_cluster(client, work, placed, seed)
    elif cores > 1:
        yield lambda placed: _on_processes(work, placed, seed, cores)
    else:
        yield lambda placed: ((place, _attempt(work, task, seed)) for place, task in placed)


def _process() -> ProcessPoolExecutor:
    """A process of its own, started anew so that it inherits no threads."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _on_processes(
    work: Work, placed: Sequence[Placed], seed: int, cores: int
) -> Generator[tuple[int, Outcome], None, None]:
    """Each process has one task at a time, so that one that dies takes nobody else's with it; another takes its
    place.
    """
    left, running = deque(placed), dict[Future, tuple[ProcessPoolExecutor, Placed]]()
    idle = [_process() for _ in range(min(cores, len(placed)))]
    try:
        while left or running:
            while left and idle:
                process, (place, task) = idle.pop(), left.popleft()
                running[process.submit(_attempt, work, task, seed)] = process, (place, task)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                process, (place, task) = running.pop(future)
                outcome = _outcome(future, task)
                idle.append(_process() if outcome.died else process)
                yield place, outcome
    finally:
        for process in [*idle, *(process for process, _ in running.values())]:
            process.shutdown(wait=False, cancel_futures=True)


def _outcome(future: Any, task: Task) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        return _failed(task, DIED, died=True)
    except Exception as problem:
        return _failed(task, f"{type(problem).__name__}: {problem}", died=type(problem).__name__ == "KilledWorker")


REACHED_WITHIN = 10
"""Seconds to wait for a scheduler."""


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        hint = 'install it: pip install "bayes_bm[cluster]"'
        raise InputError("--scheduler", found="no dask.distributed in this environment", hint=hint) from None
    try:
        client = Client(scheduler, timeout=REACHED_WITHIN, set_as_default=False)
    except (OSError, ValueError, TypeError) as problem:
        allowed = "the address that dask scheduler prints, such as tcp://127.0.0.1:8786"
        raise InputError("--scheduler", found=f"{scheduler} ({problem})", allowed=allowed) from None
    with client:
        yield client


def _on_cluster(client: Any, work: Work, placed: Sequence[Placed], seed: int) -> Generator[tuple[int, Outcome]]:
    """Dask itself moves tasks of a worker that is gone to another, and gives up those of which several are gone."""
    from distributed import as_completed

    # not pure: Dask would take two tasks of equal content for one
    waiting = {client.submit(_attempt, work, task, seed, pure=False): (place, task) for place, task in placed}
    try:
        for future in as_completed(list(waiting), loop=client.loop):
            place, task = waiting.pop(future)
            yield place, _outcome(future, task)
            future.release()
    finally:
        client.cancel(list(waiting))
