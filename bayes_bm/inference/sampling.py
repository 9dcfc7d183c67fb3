"""What all samplers share: settings, counts, the call of nutpie."""

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import xarray as xr

from bayes_bm.evidence.records import Evidence
from bayes_bm.runtime.errors import GateRefused
from bayes_bm.runtime.progress import Step, counting, is_watched
from bayes_bm.runtime.signals import pass_stops_on
from bayes_bm.spec.document import Sampling

Groups = tuple[xr.Dataset, xr.Dataset]
MANY_PATIENTS = 20_000
KEPT_STATISTICS = ("diverging", "energy", "n_steps", "tree_depth", "depth", "step_size")


class Sharding(NamedTuple):
    """Into how many parts the patients are cut, and whose workers hold them (threads of this process: None)."""

    shards: int
    scheduler: str | None = None


class Sampler(Protocol):
    """Samples at a target acceptance and seed, with other `patients` where given: (posterior, sample_stats).

    `again` after a gate failed: with no effect centred, unless the spec says which are.
    """

    def __call__(
        self, accept: float, seed: int, *, patients: Evidence | None = None, again: bool = False
    ) -> Groups: ...


def run_nutpie(target: Any, settings: Sampling, accept: float, seed: int, *, cores: int, **more: Any) -> Any:
    """Return nutpie's trace; whatever stops the sampling ends in an exception.

    nutpie's blocking call takes Ctrl-C for the wish to have the draws so far.
    """
    import nutpie

    counts = draw_counts(settings, cores=cores)
    transitions = counts["chains"] * (counts["draws"] + counts["tune"])
    with warnings.catch_warnings(), pass_stops_on(), counting(transitions) as step:
        if is_watched():
            more["progress_callback"] = _by_chain(step)
        # nutpie calls its low-rank mass matrix experimental
        warnings.simplefilter("ignore")
        asked: dict[str, Any] = {**counts, "target_accept": accept, "seed": seed, "progress_bar": False, **more}
        running: Any = nutpie.sample(target, **asked, blocking=False)
        try:
            return running.wait()
        except BaseException:
            running.cancel()
            raise


def _by_chain(step: Step) -> Callable[[Sequence[Any]], None]:
    """Return what nutpie tells a few times a second how far each chain is."""

    def tell(chains: Sequence[Any]) -> None:
        shares = ", ".join(f"{100 * chain.finished_draws / chain.total_draws:.0f}" for chain in chains)
        step(sum(chain.finished_draws for chain in chains), f"chains at {shares} %")

    return tell


def require_whole(posterior: xr.Dataset, stats: xr.Dataset, settings: Sampling) -> None:
    """Refuse draws that are fewer than were asked for: a cut trace looks like a whole one to all that come after."""
    found = {"chains": posterior.sizes["chain"], "draws": posterior.sizes["draw"] * settings.thin}
    found["transitions"] = stats.sizes.get("transition", found["draws"])
    asked = settings.draws * settings.thin
    if found != {"chains": settings.chains, "draws": asked, "transitions": asked}:
        raise GateRefused(
            f"sampling ended early: {found['chains']} chains of {min(found['draws'], found['transitions'])} draws, and "
            f"{settings.chains} of {asked} were asked for; nothing of it is kept, run it again"
        )


def used_cores(settings: Sampling) -> int:
    return settings.cores or min(settings.chains, os.cpu_count() or 1)


def draw_counts(settings: Sampling, *, cores: int) -> dict[str, Any]:
    return {"draws": settings.draws * settings.thin, "tune": settings.tune, "chains": settings.chains, "cores": cores}
