"""Milliseconds a gradient of a model in two parts, on threads and on workers of a Dask cluster, beside one process.

python scripts/benchmark_shards.py [MOST]      patients of 100 studies with three continuous covariates, at most so many
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from benchmark_world import world

from bayes_bm.inference.compiled.nutpie import BoundDensity
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.shards import cut, sharded_density
from bayes_bm.model.model_inputs import prepare

SIZES = (10_000, 100_000, 1_000_000)
STUDIES, SHARDS, ROUNDS, SECONDS = 100, 2, 5, 1.0


def milliseconds(call: Callable[[], Any]) -> str:
    """Least wall time of five rounds of a second each, and CPU of this process in that round."""
    call()
    rounds = []
    for _ in range(ROUNDS):
        started, spent, calls = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - started < SECONDS:
            call()
            calls += 1
        rounds.append(((time.perf_counter() - started) / calls, (time.process_time() - spent) / calls))
    wall, cpu = min(rounds)
    return f"{wall * 1e3:.2f} ({cpu * 1e3:.2f})"


def main(most: str = str(SIZES[-1])) -> None:
    from distributed import LocalCluster

    print("| patients | one process: wall (CPU) ms | two threads | two workers | rounding of value, gradient |")
    of_one = {"threads_per_worker": 1, "processes": True, "dashboard_address": None, "host": "127.0.0.1"}
    make: Any = LocalCluster
    with make(n_workers=SHARDS, **of_one) as cluster:
        for n in [size for size in SIZES if size <= int(most)]:
            inputs = prepare(*world(n, studies=STUDIES, covariates=3))
            at, data = pack_problem(inputs)
            x, whole, model = at.start + 0.1, BoundDensity(data), cut(inputs, SHARDS)
            cells = [milliseconds(partial(whole, x))]
            for scheduler in (None, cluster.scheduler_address):
                with sharded_density(model, scheduler) as density:
                    cells.append(milliseconds(partial(density, x)))
                    value, gradient = density(x)
            wanted = whole(x)
            error = abs(value / wanted[0] - 1), np.abs(gradient - wanted[1]).max() / np.abs(wanted[1]).max()
            print(f"| {n:,} | {' | '.join(cells)} | {error[0]:.0e}, {error[1]:.0e} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
