"""Many fits through one function: one after the other, on processes of this machine, or on a Dask cluster.

Leave-one-out, imputation, sensitivity and simulation are tasks that know nothing of each other. What a task gives
depends on what it is given and on its name, never on where, when or beside whom it ran: its stream of random numbers
is spawned from the seed by the task's name. A value is stored as soon as it is there (`runtime.stores`), so that an
interrupted call is taken up by the next one. Where tasks run is `runtime.placement`.
"""

from collections.abc import Callable, Hashable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.placement import IndexedTask, open_runner
from bayes_bm.runtime.progress import Step, counting
from bayes_bm.runtime.stores import Store
from bayes_bm.runtime.tasks import Outcome, Task, Work


def map_fits(
    work: Work,
    tasks: Sequence[Task],
    *,
    seed: int = 0,
    store: Store | None = None,
    cores: int = 1,
    scheduler: str | None = None,
    progress: Callable[[int, int, Outcome], None] = lambda done, total, outcome: None,
) -> list[Outcome]:
    """Return the outcome of `work(task.given, seeds)` for every task, in the order of the tasks; `seeds` is spawned
    from `seed` by name.

    Runs in this process (`cores` = 1), on `cores` processes, or on the Dask cluster whose scheduler listens at
    `scheduler` ("tcp://host:port"; workers need this package and one thread each). `work` and what it is given and
    gives must be picklable then. With `store`, values that it holds are not made again. A task that raises, or whose
    process dies, is tried once more; if it fails again, its outcome says so and the others go on. `progress` hears how
    many are done, of how many, and the outcome just in.
    """
    _check_call(tasks, cores)
    with counting(len(tasks)) as step:
        return _map_counted(work, tasks, seed, store, (cores, scheduler), progress, step)


def _map_counted(
    work: Work,
    tasks: Sequence[Task],
    seed: int,
    store: Store | None,
    where: tuple[int, str | None],
    progress: Callable[[int, int, Outcome], None],
    step: Step,
) -> list[Outcome]:
    """Return the outcomes of `map_fits`; `where` has cores and scheduler, and `step` counts tasks."""
    outcomes: dict[int, Outcome] = {}

    def take(index: int, outcome: Outcome) -> None:
        outcomes[index] = outcome
        step(kept=outcome.status == "cached")
        progress(len(outcomes), len(tasks), outcome)

    for index, task in enumerate(tasks):
        value = None if store is None else store.get(task)
        if value is not None:
            take(index, Outcome(task.name, "cached", value))
    with open_runner(work, seed, *where) as run:
        together: list[IndexedTask] = []
        alone: list[IndexedTask] = []
        missing = [(index, task) for index, task in enumerate(tasks) if index not in outcomes]
        with closing(run(missing)) as first_outcomes:
            for index, outcome in first_outcomes:
                if outcome.status == "failed" and not outcome.refused:
                    (alone if outcome.died else together).append((index, tasks[index]))
                else:
                    take(index, _stored(outcome, tasks[index], store))
        # on a cluster a task may have been beside the one that its worker died of
        for batch in [together, *([task] for task in alone)]:
            with closing(run(batch)) as outcomes_again:
                for index, outcome in outcomes_again:
                    take(index, replace(_stored(outcome, tasks[index], store), attempts=2))
    return [outcomes[index] for index in range(len(tasks))]


def _check_call(tasks: Sequence[Task], cores: int) -> None:
    if cores < 1:
        raise InputError("--cores", found=cores, allowed="1 or more")
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise ValueError("two tasks of one name would share their random numbers")


def _stored(outcome: Outcome, task: Task, store: Store | None) -> Outcome:
    """Store the value of an outcome that has one, and return the outcome with the value as the store gives it."""
    if store is None or outcome.status == "failed":
        return outcome
    return replace(outcome, value=store.put(task, outcome.value))


_built: dict[Hashable, Any] = {}
BUILT = 2
"""How many of them a process keeps: a compiled model may be large."""


def once_per_process[Built](key: Hashable, build: Callable[[], Built]) -> Built:
    """Return what `build` made for this key the first time it was asked for in this process: a compiled model."""
    if key not in _built:
        while len(_built) >= BUILT:
            del _built[next(iter(_built))]
        _built[key] = build()
    return _built[key]
