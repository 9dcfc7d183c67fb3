"""What all samplers share: settings, counts, the call of nutpie."""

import os
import warnings
from typing import Any, Protocol

import xarray as xr

from bayes_bm.evidence.records import Evidence
from bayes_bm.spec.document import Sampling

Groups = tuple[xr.Dataset, xr.Dataset]
MANY_PATIENTS = 20_000
KEPT_STATISTICS = ("diverging", "energy", "n_steps", "tree_depth", "depth", "step_size")


class Sampler(Protocol):
    """Samples at a target acceptance and seed, with other `patients` where given: (posterior, sample_stats)."""

    def __call__(self, accept: float, seed: int, *, patients: Evidence | None = None) -> Groups: ...


def run_nutpie(target: Any, settings: Sampling, accept: float, seed: int, *, cores: int, **more: Any) -> Any:
    import nutpie

    counts = draw_counts(settings, cores=cores)
    with warnings.catch_warnings():
        # nutpie calls its low-rank mass matrix experimental
        warnings.simplefilter("ignore")
        return nutpie.sample(target, **counts, target_accept=accept, seed=seed, progress_bar=False, **more)


def used_cores(settings: Sampling) -> int:
    return settings.cores or min(settings.chains, os.cpu_count() or 1)


def draw_counts(settings: Sampling, *, cores: int) -> dict[str, Any]:
    return {"draws": settings.draws * settings.thin, "tune": settings.tune, "chains": settings.chains, "cores": cores}
