"""Sampling with the convergence gate and its one retry (docs/decisions.md#18-convergence-gate)."""

from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
import xarray as xr

from bayes_bm.inference.gate import Gate, convergence_gate
from bayes_bm.inference.sampling import require_whole
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Spec

RETRY_ACCEPT = 0.99
"""Target acceptance of the retry."""


class Sample(Protocol):
    """Samples at a target acceptance and seed; `again` after a gate failed: (posterior, sample_stats)."""

    def __call__(self, accept: float, seed: int, *, again: bool) -> tuple[xr.Dataset, xr.Dataset]: ...


class Run(NamedTuple):
    """Draws of one posterior, the sampler's statistics and the gate that judged them."""

    posterior: xr.Dataset
    stats: xr.Dataset
    gate: Gate


def sample_with_retry(
    spec: Spec,
    sample: Sample,
    say: Progress,
    *,
    seeds: np.random.SeedSequence | None = None,
    retry: bool = True,
) -> Run:
    """Sample; where the gate fails, once more at a higher target acceptance and with no effect of a study centred.
    `seeds` default to the spec's. Without `retry` the first draws are given, whatever the gate says.
    """
    first, second = (int(seed) for seed in (seeds or np.random.SeedSequence(spec.seed)).generate_state(2))
    settings, accept = spec.sampling, spec.sampling.target_accept
    say(f"sampling {settings.chains} chains of {settings.tune} + {settings.draws}")
    posterior, stats = sample(accept, first, again=False)
    require_whole(posterior, stats, settings)
    gate = convergence_gate(posterior, stats, target_accept=accept)
    if gate.passed or not retry:
        return Run(posterior, stats, gate)
    say("the gate failed; one retry at a higher target acceptance")
    posterior, stats = sample(RETRY_ACCEPT, second, again=True)
    require_whole(posterior, stats, settings)
    retried = convergence_gate(posterior, stats, target_accept=RETRY_ACCEPT)
    return Run(posterior, stats, replace(retried, first_try=gate.reasons))
