"""Many tasks: the same values wherever they run, kept and taken up again, and the failures named."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayes_bm.runtime import placement
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.parallel import map_fits, once_per_process
from bayes_bm.runtime.stores import CsvStore, JsonStore
from bayes_bm.runtime.tasks import Outcome, Task, spawn_seeds
from tests.builders.machines import Machines, end, machines
from tests.builders.tasks import builds, fails_at_first, number, row, tasks


def values(outcomes: list[Outcome]) -> dict[str, Any]:
    return {outcome.name: outcome.value for outcome in outcomes}


def test_a_stream_belongs_to_a_name_and_a_seed() -> None:
    """Four 64-bit words of SeedSequence([7, first 16 bytes of sha256("x") as a number])."""
    entropy = [7, int("2d711642b726b04401627ca9fbac32f5", 16)]
    expected = np.random.SeedSequence(entropy).generate_state(4)
    assert spawn_seeds(7, "x").generate_state(4).tolist() == expected.tolist()
    assert spawn_seeds(8, "x").generate_state(4).tolist() != expected.tolist()
    assert spawn_seeds(7, "y").generate_state(4).tolist() != expected.tolist()


def test_neither_order_nor_company_matters() -> None:
    whole = map_fits(number, tasks(6), seed=3)
    turned = map_fits(number, tasks(6)[::-1], seed=3)
    alone = map_fits(number, tasks(6)[4:5], seed=3)
    assert values(whole) == values(turned)
    assert [outcome.name for outcome in turned] == [f"task {x}" for x in range(5, -1, -1)]
    assert alone[0].value == whole[4].value
    assert len({value[1] for value in values(whole).values()}) == 6
    assert values(map_fits(number, tasks(6), seed=4)) != values(whole)


def test_values_are_kept_and_only_what_is_missing_is_made(tmp_path: Path) -> None:
    first = map_fits(number, tasks(3), store=JsonStore(tmp_path))
    told: list[tuple[int, int, str, str]] = []
    again = map_fits(
        number,
        tasks(5),
        store=JsonStore(tmp_path),
        progress=lambda done, total, outcome: told.append((done, total, outcome.name, outcome.status)),
    )
    assert [outcome.status for outcome in again] == ["cached"] * 3 + ["computed"] * 2
    assert values(again[:3]) == values(first)
    assert told[2:4] == [(3, 5, "task 2", "cached"), (4, 5, "task 3", "computed")]
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"task_{x}-k{x}.json" for x in range(5)]
    other = [Task("task 0", {"x": 9}, key="another")]
    assert map_fits(number, other, store=JsonStore(tmp_path))[0].value[0] == 81


@pytest.mark.slow
def test_rows_of_a_csv_are_kept_and_taken_up_again(tmp_path: Path) -> None:
    """To the last bit, and the file reads as the table it is; one that is refused has no row."""
    store, path = (lambda: CsvStore(tmp_path / "rows.csv", ("kind", "seed"))), tmp_path / "rows.csv"
    first = map_fits(row, [Task(f"right {x}", {"x": x, "missing": 2}) for x in range(4)], store=store(), cores=2)
    assert [one.status for one in first] == ["computed", "computed", "failed", "computed"]
    table = pd.read_csv(path)
    assert sorted(table["seed"]) == [0, 1, 3]
    # as files of before are: 3.0
    table.astype({"seed": float}).to_csv(path, index=False)
    again = map_fits(row, [Task(f"right {x}", {"x": x}) for x in range(5)], store=store())
    assert [one.status for one in again] == [*["cached"] * 2, "computed", "cached", "computed"]
    assert [one.value["value"] for one in again] == [x**0.5 for x in range(5)]
    assert list(pd.read_csv(path).columns) == ["kind", "seed", "value"]
    with pytest.raises(ValueError, match="the row of 7 is named right 1"):
        map_fits(row, [Task("7", {"x": 1})], store=store())


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"kind,seed,value\nright,0,0.0\nright,1", b"kind,seed\nright,0\n\xff\xfe", b"\x00" * 50),
        *(b'kind,seed\n"right,0\n', b"kind,value\nright,0.0\n", b"kind,seed,seed\nright,0,0\n"),
        b"kind,seed,value\nright,0,0.0\nright,1,1.0",
    ],
)
def test_kept_rows_that_are_cut_or_broken_are_made_anew_and_it_is_told(tmp_path: Path, data: bytes, caplog) -> None:
    """Before, pandas' exception, or a row without its value."""
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    asked = [Task(f"right {x}", {"x": x}) for x in range(3)]
    made = map_fits(row, asked, store=CsvStore(path, ("kind", "seed")))
    assert [one.status for one in made] == ["computed"] * 3
    assert caplog.messages == [f"{path} is cut or broken: its rows are made anew"]
    again = map_fits(row, asked, store=CsvStore(path, ("kind", "seed")))
    assert [one.status for one in again] == ["cached"] * 3


@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 2])
def test_a_failure_is_tried_once_more_and_then_named(tmp_path: Path, cores: int) -> None:
    given = [{"x": 0}, {"x": 1, "fails": 1}, {"x": 2, "fails": 9}, {"x": 3, "fails": 9, "how": "refuses"}]
    asked = [Task(f"task {one['x']}", {**one, "marks": str(tmp_path)}) for one in given]
    found = map_fits(fails_at_first, asked, cores=cores)
    assert [(one.status, one.attempts) for one in found] == [
        ("computed", 1),
        ("computed", 2),
        ("failed", 2),
        ("failed", 1),
    ]
    assert found[1].value == map_fits(number, tasks(2))[1].value
    assert found[2].failure == "RuntimeError: no luck"
    assert found[3].failure == "a table: found nothing; allowed: something"
    assert len(list(tmp_path.glob("2-*"))) == 2
    assert len(list(tmp_path.glob("3-*"))) == 1


def asks_again(given: dict[str, Any], seeds: np.random.SeedSequence) -> list[float]:
    """What a task gives that calls for tasks itself: a simulated world does, to read its figures."""
    return [value[0] for value in values(map_fits(number, tasks(given["x"]))).values()]


def test_a_task_may_call_for_tasks_itself() -> None:
    found: list[Outcome] = []
    thread = Thread(target=lambda: found.extend(map_fits(asks_again, [Task("above", {"x": 3})])), daemon=True)
    thread.start()
    thread.join(5)
    assert values(found) == {"above": [0, 1, 4]}


@pytest.mark.slow
def test_a_process_that_dies_takes_no_other_task_with_it(tmp_path: Path) -> None:
    given = [{"x": x, "sleep": 0.2} for x in range(6)]
    given[1] |= {"fails": 1, "how": "dies"}
    given[4] |= {"fails": 9, "how": "dies"}
    asked = [Task(f"task {one['x']}", {**one, "marks": str(tmp_path)}) for one in given]
    found = map_fits(fails_at_first, asked, seed=3, cores=2)
    expected = values(map_fits(number, tasks(6), seed=3)) | {"task 4": None}
    assert values(found) == expected
    assert [one.attempts for one in found] == [1, 2, 1, 1, 2, 1]
    assert found[4].failure == placement.DIED


@pytest.mark.slow
def test_a_process_builds_once() -> None:
    found = [one.value for one in map_fits(builds, [Task(str(x), "m") for x in range(6)], cores=2)]
    assert len(set(found)) == len({process for process, _ in found}) == 2


def test_a_process_keeps_few() -> None:
    made = [once_per_process(("k", x), lambda x=x: x) for x in (1, 2, 3)]
    assert made == [1, 2, 3]
    assert once_per_process(("k", 3), lambda: -1) == 3
    assert once_per_process(("k", 1), lambda: -1) == -1


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(InputError, match="--cores: found 0; allowed: 1 or more"):
        map_fits(number, tasks(1), cores=0)
    with pytest.raises(ValueError, match="two tasks of one name"):
        map_fits(number, [*tasks(1), *tasks(1)])


def test_a_scheduler_that_is_not_there_is_named(monkeypatch) -> None:
    monkeypatch.setattr(placement, "REACHED_WITHIN", 0.5)
    with pytest.raises(InputError, match=r"--scheduler: found tcp://127.0.0.1:9 .*allowed: the address that dask"):
        map_fits(number, tasks(1), scheduler="tcp://127.0.0.1:9")
    began = time.perf_counter()
    for nowhere in ("hello", "tcp://hello", "hello:", "tcp://hello.invalid:8786"):
        with pytest.raises(InputError, match=f"--scheduler: found {nowhere} .*allowed: the address that dask"):
            map_fits(number, tasks(1), scheduler=nowhere)
    assert time.perf_counter() - began < 10
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"no dask.distributed .*pip install \"bayes_bm\[cluster\]\""):
        map_fits(number, tasks(1), scheduler="tcp://127.0.0.1:9")


# ------------------------------------------------------------------------------------------------ a real cluster


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A scheduler and two workers; two may die of one task."""
    with machines(2, tmp_path_factory.mktemp("machines")) as made:
        yield made


@pytest.fixture
def cluster(started: Machines) -> Machines:
    """With its workers, whatever a test before has done to them."""
    started.complete()
    return started


@pytest.mark.slow
def test_a_cluster_gives_what_one_process_gives_with_a_worker_killed_in_the_middle(
    cluster: Machines, tmp_path: Path
) -> None:
    asked, killed = tasks(12, sleep=0.2), []

    def kill(done: int, total: int, outcome: Outcome) -> None:
        if done == 3:
            killed.append(cluster.workers.pop())
            end(killed)

    found = map_fits(number, asked, seed=5, store=JsonStore(tmp_path), scheduler=cluster.address, progress=kill)
    assert killed
    assert values(found) == values(map_fits(number, tasks(12), seed=5))
    assert {one.status for one in found} == {"computed"}
    assert len(list(tmp_path.glob("*.json"))) == 12


@pytest.mark.slow
def test_a_cluster_names_what_fails_twice_and_what_kills_its_workers(cluster: Machines, tmp_path: Path) -> None:
    given = [{"x": 0}, {"x": 1, "fails": 1}, {"x": 2, "fails": 9}, {"x": 3, "fails": 99, "how": "dies"}]
    asked = [Task(f"task {one['x']}", {**one, "marks": str(tmp_path)}) for one in given]
    found = map_fits(fails_at_first, asked, scheduler=cluster.address)
    assert [one.status for one in found] == ["computed", "computed", "failed", "failed"]
    assert "KilledWorker" in found[3].failure
    assert found[3].attempts == 2
    assert "no luck" in found[2].failure


@pytest.mark.slow
def test_the_command_line_reaches_a_cluster_by_its_address(cluster: Machines) -> None:
    """In an interpreter of its own, which knows nothing of this one but the address."""
    code = (
        "from bayes_bm.runtime.parallel import map_fits\n"
        "from tests.builders.tasks import number, tasks\n"
        f"print([o.value[0] for o in map_fits(number, tasks(4), scheduler={cluster.address!r})])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0, 1, 4, 9]"


@pytest.mark.slow
def test_a_cluster_whose_workers_died_is_given_up(cluster: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, it waited for ever without a word, and again where a task had ended and its result was still there."""
    from dask import config

    settings: Any = config
    told, await_one = [], placement._await_one

    def await_one_and_end_workers(client: Any, finished: Any, patience: float) -> None:
        await_one(client, finished, patience)
        end(cluster.workers)
        # the scheduler has seen it
        while client.nthreads():
            time.sleep(0.05)

    monkeypatch.setattr(placement, "_await_one", await_one_and_end_workers)
    gone = "whose workers have been gone for 1 seconds; start workers"
    with settings.set({"bayes-bm.without-workers": 1.0}), placement.open_client(cluster.address) as client:
        lost = [client.submit(number, {"x": x}, np.random.SeedSequence(x)) for x in range(2)]
        while not all(one.done() for one in lost):
            time.sleep(0.05)
        began = time.perf_counter()
        with pytest.raises(InputError, match=gone):
            map_fits(number, tasks(8, sleep=1.0), scheduler=cluster.address, progress=lambda *one: told.append(one[2]))
        with pytest.raises(InputError, match=gone):
            placement.results_of(client, lost)
    assert time.perf_counter() - began < 20
    assert 1 <= len(told) <= 2
    assert {one.status for one in told} == {"computed"}
