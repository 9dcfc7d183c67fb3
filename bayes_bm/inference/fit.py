"""Sampling, convergence gate, imputations, provenance, storing (docs/decisions.md, 18, 19, 22).

PyMC and nutpie are imported when a fit starts, not before: reading results and printing help stay fast.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xarray as xr

from bayes_bm.evidence.audit import require_usable
from bayes_bm.evidence.centres import with_centres
from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.gate import Gate
from bayes_bm.inference.gated_sampling import sample_with_retry
from bayes_bm.inference.imputations import Imputations, count_of
from bayes_bm.inference.imputed_fits import ImputedModel, Placement, placement, sample_imputations, sampling_of_each
from bayes_bm.inference.provenance import imputation_provenance, make_provenance
from bayes_bm.inference.result import Result, observed_dataset
from bayes_bm.inference.sampling import Sharding
from bayes_bm.model.baseline_hazard import with_knots
from bayes_bm.model.model_inputs import ModelInputs, prepare
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Sampling, Spec
from bayes_bm.spec.reading import as_spec


def fit(
    spec: Spec | str | Path,
    evidence: Evidence | None = None,
    *,
    seed: int | None = None,
    draws: int | None = None,
    tune: int | None = None,
    chains: int | None = None,
    cores: int | None = None,
    imputations: int | None = None,
    processes: int = 1,
    scheduler: str | None = None,
    shards: int = 1,
    say: Progress = lambda stage: None,
) -> Result:
    """Sample the posterior of a spec; `None` means the spec's own setting.

    The convergence gate is applied once, with one retry at a higher target acceptance (decision 18); a failed gate is
    recorded in the result, not raised, so that the result can be looked at.

    Parameters
    ----------
    spec : Spec, str or Path
        The model and where its evidence is; or its TOML file, or the name of a shipped model.
    evidence : Evidence, optional
        By default what `read_evidence` gives for the spec.
    seed, draws, tune, chains, cores : int, optional
        Of the sampler: seed, kept and warm-up draws of a chain, number of chains, processor cores.
    imputations : int, optional
        M, 20 or more, fits M plausible sets of the patients behind reconstructed curves instead of the best one
        (decision 19): compiled once, each sampled with a seed of its own and equally many draws, each with its own
        gate. `draws`, `tune` and `chains` are then those of each, by default `EACH` at most.
    processes : int, default 1
        Imputations run one after the other, or on so many processes of this machine.
    scheduler : str, optional
        Address of a Dask cluster to run them on instead (`runtime.parallel.map_fits`): the same draws everywhere.
        With `shards`, of the cluster whose workers hold the patients.
    shards : int, default 1
        The patients of one fit are cut by study into so many parts, evaluated on as many threads of this process or,
        with `scheduler`, each on a worker that holds it (docs/how-to/spread-patients.md). Same posterior; for more
        patients than one core or one machine does well with.
    say : callable, optional
        Called with the name of each stage as it begins.

    Returns
    -------
    Result
        Posterior, gate and provenance.

    Raises
    ------
    InputError
        For a spec and evidence that do not fit together, imputations where nothing is reconstructed, or `shards` of a
        model that is sampled through PyMC's graph.
    BayesBmError
        Where no evidence is usable, or an imputation fails.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit("published_os_extent_of_resection", draws=100, tune=200, chains=2, cores=1)
    >>> dict(result.posterior["log_hr"].sizes)
    {'chain': 2, 'draw': 100, 'treatment': 1}
    """
    spec = as_spec(spec)
    asked = {"draws": draws, "tune": tune, "chains": chains, "cores": cores}
    given = {name: value for name, value in asked.items() if value is not None}
    sampling = spec.sampling.model_copy(update=given)
    spec = spec.model_copy(update={"sampling": sampling, "seed": spec.seed if seed is None else seed})
    evidence = read_evidence(spec) if evidence is None else evidence
    m = count_of(imputations, evidence)
    sharding = sharding_of(shards, scheduler, m)
    where = placement(processes, None if sharding else scheduler, m)
    require_usable(spec, evidence)
    inputs = prepare(with_centres(with_knots(spec, evidence), evidence), evidence)
    if m == 1:
        sampled = _fit_once(inputs, say, sharding)
    else:
        sampled = _fit_imputed(inputs, sampling_of_each(sampling, given), m, where, say)
    return _judged(inputs, sampled, say)


LIGHT_ACCEPT, LIGHT_TUNE = 0.9, 500
"""Target acceptance and warm-up draws of a light fit, at most. At 0.8 the main answer diverges (docs/speed.md)."""
LIGHT_DRAWS = 4000
"""Kept draws of all chains from which a fit is tried lightly: fewer seldom pass the gate."""


def refit(
    spec: Spec,
    evidence: Evidence,
    *,
    seed: int | None = None,
    say: Progress = lambda stage: None,
) -> Result:
    """Sample a posterior that stands beside a main one, with half the warm-up and every draw kept; where the gate
    refuses those draws, as `fit` does.

    As many draws are kept. The result's spec holds the settings that were used, so that `fit` gives it again.
    """
    spec = spec if seed is None else spec.model_copy(update={"seed": seed})
    light = lighter(spec.sampling)
    if light != spec.sampling:
        require_usable(spec, evidence)
        lightly = spec.model_copy(update={"sampling": light})
        inputs = prepare(with_centres(with_knots(lightly, evidence), evidence), evidence)
        if _is_compiled(inputs):
            sampled = _fit_once(inputs, say, None, retry=False)
            if sampled.gate.passed:
                return _judged(inputs, sampled, say)
            say("the gate refused the light fit; as the spec says")
    return fit(spec, evidence, say=say)


def lighter(settings: Sampling) -> Sampling:
    """Return the settings of a light fit; the same where few draws are asked for."""
    if settings.chains * settings.draws < LIGHT_DRAWS:
        return settings
    accept, tune = min(settings.target_accept, LIGHT_ACCEPT), min(settings.tune, LIGHT_TUNE)
    return settings.model_copy(update={"target_accept": accept, "tune": tune, "thin": 1})


def _is_compiled(inputs: ModelInputs) -> bool:
    from bayes_bm.inference.samplers import density_of

    return density_of(inputs) == "compiled"


def _judged(inputs: ModelInputs, sampled: "_Sampled", say: Progress) -> Result:
    """Return draws as a result, with its provenance and the error of its integration."""
    result = Result(
        spec=inputs.spec,
        evidence=inputs.evidence,
        posterior=sampled.posterior,
        sample_stats=sampled.stats,
        stored_log_likelihood=xr.Dataset() if sampled.imputations is not None else None,
        observed_data=observed_dataset(inputs.spec, inputs.evidence),
        gate=sampled.gate,
        provenance=_provenance(inputs, sampled),
        imputations=sampled.imputations,
    ).with_inputs(inputs)
    findings = _integration(result, say) | (imputation_provenance(result) if sampled.imputations is not None else {})
    return replace(result, provenance=result.provenance | findings).with_inputs(inputs)


@dataclass(frozen=True)
class _Sampled:
    """Draws, the sampler's statistics and the gate, of how many imputations, and what it cost; `sampling` of each."""

    posterior: xr.Dataset
    stats: xr.Dataset
    gate: Gate
    imputations: Imputations | None
    sampling: Sampling
    seconds_to_compile: float
    seconds_to_sample: float


def sharding_of(shards: int, scheduler: str | None, m: int) -> Sharding | None:
    """Into how many parts the patients of a fit are cut, None for one; refused of imputations, which are many fits."""
    if shards < 1:
        raise InputError("shards", found=shards, allowed="1 or more")
    if shards > 1 and m > 1:
        raise InputError("shards", found=f"{shards} beside {m} imputations", allowed="1: imputations are many fits")
    return Sharding(shards, scheduler) if shards > 1 else None


def _fit_once(inputs: ModelInputs, say: Progress, sharding: Sharding | None, *, retry: bool = True) -> _Sampled:
    """The posterior of the best reconstruction."""
    from bayes_bm.inference.samplers import sampler

    started = time.perf_counter()
    sample = sampler(inputs, say, sharding)
    compiled = time.perf_counter()
    run = sample_with_retry(inputs.spec, sample, say, retry=retry)
    seconds = compiled - started, time.perf_counter() - compiled
    return _Sampled(run.posterior, run.stats, run.gate, None, inputs.spec.sampling, *seconds)


def _fit_imputed(inputs: ModelInputs, sampling: Sampling, m: int, where: Placement, say: Progress) -> _Sampled:
    """The mixture of the posteriors of m imputations."""
    started = time.perf_counter()
    model = ImputedModel(inputs.spec.model_copy(update={"sampling": sampling}), inputs.evidence)
    if where.here:
        model.here(say)
    compiled = time.perf_counter()
    stack = sample_imputations(model, m, where, say)
    seconds = compiled - started, time.perf_counter() - compiled
    return _Sampled(stack.posterior, stack.stats, stack.gate, stack.imputations, sampling, *seconds)


def _provenance(inputs: ModelInputs, sampled: _Sampled) -> dict[str, Any]:
    """What was fitted to what, how, and by which versions."""
    from bayes_bm.inference.samplers import centring_of, density_of

    each = inputs.spec.model_copy(update={"sampling": sampled.sampling})
    made = make_provenance(each, inputs.evidence, sampled.seconds_to_compile, sampled.seconds_to_sample)
    density = {"density": density_of(inputs), "centring": centring_of(inputs, again=bool(sampled.gate.first_try))}
    return made | {"spec_digest": inputs.spec.digest()} | density


def _integration(result: Result, say: Progress) -> dict[str, Any]:
    """Whether more integration points would say the same: told, and kept in the provenance."""
    from bayes_bm.inference.integration_error import integration_error

    error = integration_error(result)
    if error is None:
        return {}
    if not error.enough:
        say(f"warning: {error.text}")
    return {"integration": error.document() | {"text": error.text}}
