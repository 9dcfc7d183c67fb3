"""Where tasks run: in this process, on processes of this machine, or on a Dask cluster."""

import asyncio
import multiprocessing
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, cast

from bayes_bm.runtime.errors import BayesBmError, InputError
from bayes_bm.runtime.signals import work_for_parent
from bayes_bm.runtime.tasks import Outcome, Task, Work, failed_outcome, spawn_seeds

IndexedTask = tuple[int, Task]
"""A task and its index among all tasks of a call."""
IndexedOutcome = tuple[int, Outcome]
Outcomes = Generator[IndexedOutcome, None, None]
"""Outcomes as they come in, in any order; closed before its end, it stops what still runs."""
Run = Callable[[Sequence[IndexedTask]], Outcomes]
"""Tries tasks."""

DIED = "its process died"
"""The failure of a task whose process is gone."""
REACHED_WITHIN = 10
"""Seconds to wait for a scheduler."""
WITHOUT_WORKERS = 60.0
"""Seconds without any worker after which a cluster is given up; Dask's setting `bayes-bm.without-workers` has another
number (in the environment DASK_BAYES_BM__WITHOUT_WORKERS)."""
ASKED_EVERY = 1.0
"""Seconds between two looks at the workers while no task ends."""
LOOKED_EVERY = 0.05
"""Seconds between two looks at what has ended; a fit takes many."""
_one_task_lock = threading.RLock()
"""Of one thread: a task may call `map_fits` itself, as a simulated world does that reads its figures."""


@contextmanager
def open_runner(work: Work, seed: int, cores: int, scheduler: str | None) -> Generator[Run]:
    """Give a function that tries each of its tasks once, on the cluster of `scheduler`, on `cores` processes, or
    (`cores` = 1) in this process, one after the other.
    """
    if scheduler is not None:
        with open_client(scheduler) as client:
            yield lambda tasks: _run_on_cluster(client, work, tasks, seed)
    elif cores > 1:
        yield lambda tasks: _run_on_processes(work, tasks, seed, cores)
    else:
        yield lambda tasks: ((index, _attempt(work, task, seed)) for index, task in tasks)


def _attempt(work: Work, task: Task, seed: int) -> Outcome:
    """Try a task once; what goes wrong is an outcome, for an exception may not survive the way back.

    PyTensor compiles in one thread of a process at a time, and a cluster's worker may have several.
    """
    start = time.perf_counter()
    with _one_task_lock:
        try:
            value = work(task.given, spawn_seeds(seed, task.name))
        except BayesBmError as problem:
            return failed_outcome(task, str(problem), refused=True)
        except Exception as problem:
            return failed_outcome(task, f"{type(problem).__name__}: {problem}")
    return Outcome(task.name, "computed", value, seconds=time.perf_counter() - start)


def _new_process() -> ProcessPoolExecutor:
    """Return an executor of one process, started anew so that it inherits no threads."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=work_for_parent)


def _kill(process: ProcessPoolExecutor) -> None:
    """End the process in the middle of its task, which nobody waits for any longer."""
    for worker in list((process._processes or {}).values()):
        worker.kill()


def _run_on_processes(work: Work, tasks: Sequence[IndexedTask], seed: int, cores: int) -> Outcomes:
    """Give each process one task at a time, so that one that dies takes nobody else's with it; another takes its
    place.
    """
    waiting, running = deque(tasks), dict[Future[Outcome], tuple[ProcessPoolExecutor, IndexedTask]]()
    idle = [_new_process() for _ in range(min(cores, len(tasks)))]
    try:
        while waiting or running:
            while waiting and idle:
                process, (index, task) = idle.pop(), waiting.popleft()
                running[process.submit(_attempt, work, task, seed)] = process, (index, task)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                process, (index, task) = running.pop(future)
                outcome = _outcome(future, task)
                idle.append(_new_process() if outcome.died else process)
                yield index, outcome
    finally:
        for process, _ in running.values():
            _kill(process)
        for process in [*idle, *(process for process, _ in running.values())]:
            process.shutdown(wait=False, cancel_futures=True)


def _outcome(future: Any, task: Task) -> Outcome:
    """Return what a finished future holds, or that its process died."""
    try:
        return future.result()
    except BrokenProcessPool:
        return failed_outcome(task, DIED, died=True)
    except Exception as problem:
        return failed_outcome(task, f"{type(problem).__name__}: {problem}")


@contextmanager
def open_client(scheduler: str, name: str = "--scheduler") -> Generator[Any]:
    """Give a Dask client, or refuse where Dask, the scheduler or its workers are missing; `name` is the option's."""
    try:
        from distributed import Client
    except ImportError:
        hint = 'install it: pip install "bayes_bm[cluster]"'
        raise InputError(name, found="no dask.distributed in this environment", hint=hint) from None
    allowed = "the address that dask scheduler prints, such as tcp://127.0.0.1:8786"
    try:
        _reach(scheduler)
        client = Client(scheduler, timeout=REACHED_WITHIN, set_as_default=False)
    except (OSError, ValueError, TypeError) as problem:
        raise InputError(name, found=f"{scheduler} ({problem})", allowed=allowed) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=REACHED_WITHIN)
        except TimeoutError:
            found = f"{scheduler}, which has no worker"
            raise InputError(name, found=found, allowed="a scheduler with workers that answer") from None
        yield client


def _reach(scheduler: str) -> None:
    """Raise `OSError` or `ValueError` where nobody listens: Dask itself tries for a minute and says it in its words."""
    address = re.fullmatch(r"(?:[a-z]+://)?\[?([^\[\]/]+)\]?:(\d{1,5})/?", scheduler)
    if address is None:
        raise ValueError("no host and port")
    socket.create_connection((address[1], int(address[2])), timeout=REACHED_WITHIN).close()


def _run_on_cluster(client: Any, work: Work, tasks: Sequence[IndexedTask], seed: int) -> Outcomes:
    """Leave it to Dask to move tasks of a worker that is gone to another, and to give up those of which several are
    gone.
    """
    from distributed import as_completed

    patience = _patience()
    # not pure: Dask would take two tasks of equal content for one
    waiting: dict[Any, IndexedTask] = {
        client.submit(_attempt, work, task, seed, pure=False): (index, task) for index, task in tasks
    }
    try:
        # with results: one that has ended is lost again where its worker goes before we have what it gave
        finished: Any = as_completed(list(waiting), loop=client.loop, with_results=True, raise_errors=False)
        while waiting:
            _await_one(client, finished, patience)
            future, found = next(finished)
            index, task = waiting.pop(future)
            yield index, found if isinstance(found, Outcome) else _cluster_failure(found, task)
            future.release()
    finally:
        client.cancel(list(waiting))


def _cluster_failure(found: Any, task: Task) -> Outcome:
    """Return the failure of a task of which Dask gives an exception, alone or between its type and its traceback."""
    problem: object = cast("tuple[Any, ...]", found)[1] if isinstance(found, tuple) else found
    kind = type(problem).__name__
    return failed_outcome(task, f"{kind}: {problem}", died=kind == "KilledWorker")


def results_of(client: Any, asked: Sequence[Any]) -> list[Any]:
    """Wait for tasks that are asked for and give their results. Raises `InputError` when there was no worker for so
    many seconds.
    """
    patience, waited = _patience(), 0.0
    # to wait for the tasks and then for their results would take no end where a worker goes between both
    gathered = asyncio.run_coroutine_threadsafe(client.gather(asked, asynchronous=True), client.loop.asyncio_loop)
    while True:
        try:
            return gathered.result(min(ASKED_EVERY, patience))
        except TimeoutError:
            if gathered.done():
                raise
            waited = 0.0 if client.nthreads() else waited + min(ASKED_EVERY, patience)
            if waited > patience:
                gathered.cancel()
                raise _no_workers(client, patience) from None


def _patience() -> float:
    """Seconds without any worker after which a cluster is given up."""
    from dask import config

    settings: Any = config
    return float(settings.get("bayes-bm.without-workers", WITHOUT_WORKERS))


def _no_workers(client: Any, patience: float) -> InputError:
    found = f"{client.scheduler.address}, whose workers have been gone for {patience:g} seconds"
    return InputError("--scheduler", found=found, hint="start workers (dask worker ADDRESS) and call again")


def _await_one(client: Any, finished: Any, patience: float) -> None:
    """Return when a task has ended. Raises `InputError` when there was no worker for so many seconds: Dask would wait
    for a new one for ever.
    """
    seen = asked = time.monotonic()
    while not finished.has_ready():
        time.sleep(LOOKED_EVERY)
        now = time.monotonic()
        if now - asked >= min(ASKED_EVERY, patience):
            asked = now
            seen = now if client.nthreads() else seen
        if now - seen > patience:
            raise _no_workers(client, patience)
