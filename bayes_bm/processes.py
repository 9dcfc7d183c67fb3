"""Work on several tasks side by side, each in a process of its own."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed


def as_done[Task, Done](work: Callable[[Task], Done], tasks: Sequence[Task], cores: int) -> Iterator[tuple[int, Done]]:
    """Place of a task and `work(task)`, in the order in which they are done; both must be picklable.

    Processes start anew (spawn), so that none inherits threads. Where the caller stops or a process dies, tasks not
    begun are not waited for.
    """
    with ProcessPoolExecutor(min(cores, len(tasks)), mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            waiting = {pool.submit(work, task): place for place, task in enumerate(tasks)}
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
