"""Sampling, convergence gate, imputations, provenance, storing (docs/decisions.md, 18, 19, 22).

PyMC and nutpie are imported when a fit starts, not before: reading results and printing help stay fast.
"""

import time
from dataclasses import replace
from typing import Any

import xarray as xr

from bayes_bm.evidence.reading import read_evidence
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.gated_sampling import sample_with_retry
from bayes_bm.inference.imputations import (
    count_of,
)
from bayes_bm.inference.imputed_fits import ImputedModel, placement, sample_imputations, sampling_of_each
from bayes_bm.inference.provenance import imputation_provenance, make_provenance
from bayes_bm.inference.result import Result, observed_dataset
from bayes_bm.model.baseline_hazard import with_knots
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Spec


def fit(
    spec: Spec,
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
    say: Progress = lambda stage: None,
) -> Result:
    """Sample the posterior of a spec; `None` means the spec's own setting.

    `imputations` M, 20 or more, fits M plausible sets of the patients behind reconstructed curves instead of the best
    one (decision 19): compiled once, each sampled with a seed of its own and equally many draws, each with its own
    gate. `draws`, `tune` and `chains` are then those of each, by default `EACH` at most. They run one after the other,
    on `processes` of this machine, or on the Dask cluster at `scheduler` (`many.map_fits`): the same draws everywhere.

    The convergence gate is applied once, with one retry at a higher target acceptance (decision 18); a failed gate is
    recorded in the result, not raised, so that the result can be looked at. `say` is told each stage.
    """
    asked = {"draws": draws, "tune": tune, "chains": chains, "cores": cores}
    given = {name: value for name, value in asked.items() if value is not None}
    sampling = spec.sampling.model_copy(update=given)
    spec = spec.model_copy(update={"sampling": sampling, "seed": spec.seed if seed is None else seed})
    evidence = read_evidence(spec) if evidence is None else evidence
    m = count_of(imputations, evidence)
    where = placement(processes, scheduler, m)
    from bayes_bm.evidence.audit import require_usable
    from bayes_bm.inference.samplers import centring_of, density_of, sampler

    require_usable(spec, evidence)
    spec = with_knots(spec, evidence)
    started = time.perf_counter()
    each = spec if m == 1 else spec.model_copy(update={"sampling": sampling_of_each(sampling, given)})
    if m == 1:
        sample = sampler(each, evidence, say)
        compiled_in = time.perf_counter() - started
        (posterior, stats, gate), known = sample_with_retry(spec, sample, say), None
    else:
        model = ImputedModel(each, evidence)
        if where.here:
            model.here(say)
        compiled_in = time.perf_counter() - started
        posterior, stats, gate, known = sample_imputations(model, m, where, say)
    sampled_in = time.perf_counter() - started - compiled_in
    result = Result(
        spec=spec,
        evidence=evidence,
        posterior=posterior,
        sample_stats=stats,
        stored_log_likelihood=xr.Dataset() if known is not None else None,
        observed_data=observed_dataset(spec, evidence),
        gate=gate,
        provenance=make_provenance(each, evidence, compiled_in, sampled_in)
        | {
            "spec_digest": spec.digest(),
            "density": density_of(spec, evidence),
            "centring": centring_of(spec, evidence),
        },
        imputations=known,
    )
    result = replace(result, provenance=result.provenance | _integration(result, say))
    if known is not None:
        return replace(result, provenance=result.provenance | imputation_provenance(result))
    return result


def _integration(result: Result, say: Progress) -> dict[str, Any]:
    """Whether more integration points would say the same: told, and kept in the provenance."""
    from bayes_bm.inference.integration_error import integration_error

    found = integration_error(result)
    if found is None:
        return {}
    if not found.enough:
        say(f"warning: {found.text}")
    return {"integration": found.document() | {"text": found.text}}
