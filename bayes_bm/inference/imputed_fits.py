"""Fits of many imputations, each with a seed and a gate of its own (docs/decisions.md#19-multiple-imputation)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import numpy as np
import xarray as xr

from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.gate import Gate
from bayes_bm.inference.gated_sampling import Run, sample_with_retry
from bayes_bm.inference.imputations import (
    Imputations,
    imputed,
    joint_gate,
    stacked,
)
from bayes_bm.model.model_inputs import prepare
from bayes_bm.runtime.errors import BayesBmError, InputError
from bayes_bm.runtime.parallel import map_fits, once_per_process
from bayes_bm.runtime.random_stages import RandomStage, stage_seeds
from bayes_bm.runtime.tasks import Outcome, Task
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Sampling, Spec

if TYPE_CHECKING:
    from bayes_bm.inference.sampling import Sampler


LIMITS_OF_EACH = {"tune": 500, "chains": 2}
"""Most that is spent on each imputation unless asked for: two chains give the gate its 400 effective draws."""


KEPT = 10_000
"""Draws of the mixture that are kept: an answer averaged over studies costs 1 ms a draw."""


def sampling_of_each(sampling: Sampling, given: Mapping[str, int]) -> Sampling:
    fewer = {name: min(most, getattr(sampling, name)) for name, most in LIMITS_OF_EACH.items() if name not in given}
    return sampling.model_copy(update=fewer)


@dataclass(frozen=True)
class Placement:
    """Where imputations are sampled: here, on processes of this machine, or on a cluster."""

    processes: int
    scheduler: str | None

    @property
    def here(self) -> bool:
        return self.processes == 1 and self.scheduler is None


def placement(processes: int, scheduler: str | None, m: int) -> Placement:
    chosen = Placement(processes, scheduler)
    if processes < 1:
        raise InputError("--processes", found=processes, allowed="1 or more")
    if m == 1 and not chosen.here:
        option, value = ("--processes", processes) if scheduler is None else ("--scheduler", scheduler)
        raise InputError(option, found=f"{value} for a single fit", allowed="many fits: --imputations M")
    return chosen


@dataclass(frozen=True)
class ImputedModel:
    """What all imputations have in common; made ready for sampling once in each process."""

    spec: Spec
    evidence: Evidence
    key: str = field(default_factory=lambda: uuid4().hex)

    def here(self, say: Progress) -> "Sampler":
        from bayes_bm.inference.samplers import sampler

        return once_per_process(self.key, lambda: sampler(prepare(self.spec, self.evidence), say))


class Stack(NamedTuple):
    """Draws of the mixture of all imputations, the joint gate, and what tells the imputations apart."""

    posterior: xr.Dataset
    stats: xr.Dataset
    gate: Gate
    imputations: Imputations


def sample_imputations(model: ImputedModel, m: int, where: Placement, say: Progress) -> Stack:
    """Each set of patients with its own seed and its own gate (decision 19); the stack is never judged."""
    say("drawing patients from the curves")
    sets = imputed(model.evidence, m, seed=model.spec.seed)
    tasks = [
        Task(f"imputation {label} of {m}", (model, patients, label)) for label, patients in enumerate(sets, start=1)
    ]
    # a stage can be told from this process only
    work = partial(_imputation, say=partial(_say_of, say, m)) if where.here else _imputation

    def told(done: int, total: int, outcome: Outcome) -> None:
        if not where.here:
            say(f"{outcome.name} {outcome.words}, {done} of {total}")

    outcomes = map_fits(work, tasks, cores=where.processes, scheduler=where.scheduler, progress=told)
    for outcome in outcomes:
        if outcome.status == "failed":
            raise BayesBmError(f"{outcome.name}: {outcome.failure}")
    posteriors, stats, gates = zip(*(outcome.value for outcome in outcomes), strict=True)
    time, event = (
        np.stack([patients.patients[name].to_numpy(dtype=float) for patients in sets]) for name in ("time", "event")
    )
    imputations = Imputations(time, event, gates)
    return Stack(_thinned(stacked(posteriors)), stacked(stats), joint_gate(gates), imputations)


def _imputation(
    given: tuple[ImputedModel, Evidence, int],
    seeds: np.random.SeedSequence,
    *,
    say: Callable[[int, str], None] = lambda label, stage: None,
) -> Run:
    """The posterior of one set of patients. Its seed is that of its label, as before there were processes."""
    model, patients, label = given
    sample = model.here(lambda stage: None)
    label_seeds = stage_seeds(model.spec.seed, RandomStage.IMPUTED_FITS, label)
    return sample_with_retry(model.spec, partial(sample, patients=patients), partial(say, label), seeds=label_seeds)


def _say_of(say: Progress, m: int, label: int, stage: str) -> None:
    say(f"imputation {label} of {m}: {stage}")


def _thinned(stack: xr.Dataset) -> xr.Dataset:
    """About `KEPT` draws, equally many of each chain; the gates have seen all of them."""
    step = max(1, stack.sizes["chain"] * stack.sizes["draw"] // KEPT)
    thin = stack.isel(draw=slice(None, None, step))
    return thin.assign_coords(draw=range(thin.sizes["draw"]))
