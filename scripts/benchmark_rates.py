"""Smallest bulk ESS per CPU second, seed by seed in turn so that noise hits all contenders alike."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayes_bm.inference.convergence import bulk_ess

Draws = dict[str, np.ndarray]


@dataclass
class Contender:
    """`sample(seed)` gives draws and CPU seconds; `seeds` at most."""

    name: str
    sample: Callable[[int], tuple[Draws, float]]
    seeds: int
    prepared: float = 0.0
    rates: list[float] = field(default_factory=list)

    def row(self, best: float) -> str:
        low, middle, high = np.quantile(self.rates, (0, 0.5, 1))
        numbers = f"{middle:.0f} | {low:.0f} to {high:.0f} | {best / middle:.1f} | {self.prepared:.1f}"
        return f"| {self.name} | {numbers} | {len(self.rates)} |"

    def run(self, seed: int) -> None:
        draws, spent = self.sample(seed)
        self.rates.append(smallest_ess(draws) / spent)


def smallest_ess(draws: Draws) -> float:
    columns = [np.reshape(values, (*values.shape[:2], -1)) for name, values in draws.items() if "__" not in name]
    return min(bulk_ess(values[..., at]) for values in columns for at in range(values.shape[-1]))


def timed(work: Callable[[int], Any], draws: Callable[[Any], Draws], seed: int) -> tuple[Draws, float]:
    """CPU of this process and of those it waited for."""
    before = sum(os.times()[:4])
    found = work(seed)
    return draws(found), sum(os.times()[:4]) - before


def race(contenders: list[Contender], seeds: int) -> list[str]:
    """Rows of the table: all prepared by a first run that does not count, then in turn."""
    for one in contenders:
        started = time.perf_counter()
        one.sample(0)
        one.prepared = time.perf_counter() - started
    for seed in range(1, seeds + 1):
        for one in contenders:
            if seed <= one.seeds:
                one.run(seed)
    best = float(np.median(contenders[0].rates))
    return [one.row(best) for one in contenders]
