"""Microseconds a gradient against the number of patients: ours, and Stan's by its own leapfrog steps."""

import time

import numpy as np
from benchmark_rival import Stan, rival_data
from benchmark_world import world

from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.model.model_inputs import prepare

SIZES = (776, 10**4, 10**5, 10**6)
SHORT = {"num_samples": 20, "num_warmup": 20, "save_warmup": True, "max_depth": 4}
"""Enough steps to time one, few enough for a million patients."""


def microseconds(n: int, covariates: int) -> float:
    """Least of five rounds."""
    at, data = pack_problem(prepare(*world(n, covariates=covariates)))
    x, calls, rounds = at.start, max(5, 1_000_000 // n if covariates else 2000), []
    for _ in range(5):
        started = time.process_time()
        for _ in range(calls):
            log_density(x, data)
        rounds.append((time.process_time() - started) / calls * 1e6)
    return min(rounds)


def stans(stan: Stan, n: int, covariates: int) -> float:
    data, settings = rival_data(n, covariates), SHORT | ({"num_samples": 1000} if n < 1000 else {})
    draws, seconds = stan("sums", data, (0, 0, 0), 1, **settings)
    return seconds / float(np.sum(draws["n_leapfrog__"])) * 1e6


def gradients(stan: Stan | None, largest: int = SIZES[-1]) -> list[str]:
    """Rows of the table: n, ours and Stan's without covariates, ours and Stan's with three."""
    rows = []
    for n in [size for size in SIZES if size <= largest]:
        cells = []
        for covariates in (0, 3):
            mine = microseconds(n, covariates)
            theirs = stans(stan, n, covariates) if stan else float("nan")
            cells.append(f"{mine:.1f} | {theirs:.1f} | {theirs / mine:.1f}")
        rows.append(f"| {n:,} | {' | '.join(cells)} |")
    return rows
