"""Compiling and sampling a model. What the user waits for is compilation, so it is chosen with care.

Almost all models have a density written by hand and compiled once on a machine (`inference/compiled`): no PyMC, nothing
to compile, chains on threads. What it does not cover (`coverage.why_not`) uses the graph of `model.build_model`, which
nutpie's own compiler translates to numba anew in every process: 14 s for the shipped main model. PyTensor's C linker
keeps its modules on disk: 5 s when warm, half a minute the first time (docs/speed.md), at about twice the cost a
gradient. So the C linker serves up to `MANY_PATIENTS`, and numba, whose chains run on several cores, beyond.

Patients enter as data, so other patients of the same arms (docs/decisions.md#19-multiple-imputation) need no other
compilation.
"""

from typing import TYPE_CHECKING, Any

import xarray as xr

from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.compiled.parametrization import choose_parametrization
from bayes_bm.inference.graph_samplers import graph_sampler, pymc_sampler
from bayes_bm.inference.sampling import KEPT_STATISTICS, Groups, Sampler, Sharding, run_nutpie, used_cores
from bayes_bm.model.model_inputs import ModelInputs, prepare
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Sampling

if TYPE_CHECKING:
    from bayes_bm.inference.compiled.coordinates import Coordinates


def density_of(inputs: ModelInputs) -> str:
    """Which density is sampled, for the provenance: the compiled one, or the graph and why."""
    if inputs.spec.sampling.sampler == "pymc":
        return "graph: sampling.sampler is pymc"
    reason = why_not(inputs)
    return "compiled" if reason is None else f"graph: {reason}"


def centring_of(inputs: ModelInputs, *, again: bool = False) -> str:
    """Which effects of studies are sampled centred, for the provenance; `again` where the gate asked for a retry."""
    if density_of(inputs) != "compiled":
        return "none"
    text = choose_parametrization(inputs).text
    return f"{text}; at the retry {choose_parametrization(_not_centred(inputs)).text}" if again else text


def sampler(inputs: ModelInputs, say: Progress, sharding: Sharding | None = None) -> Sampler:
    """Compile at most once; the returned function samples these patients, or others in the same arms
    (`imputation.imputed`). With `sharding` the patients are cut into parts."""
    if sharding is not None:
        return _sharded_sampler(inputs, sharding)
    if density_of(inputs) == "compiled":
        return _density_sampler(inputs)
    from bayes_bm.model.pymc_graph.build import build_graph

    say("building the model")
    model = build_graph(inputs)
    if inputs.spec.sampling.sampler == "pymc":
        return pymc_sampler(inputs, model)
    return graph_sampler(inputs, model, say)


def _density_sampler(inputs: ModelInputs) -> Sampler:
    """The hand-written density."""
    from bayes_bm.inference.compiled.nutpie import compiled_model
    from bayes_bm.inference.compiled.packing import pack_problem

    settings = inputs.spec.sampling
    prepared = pack_problem(inputs)

    def sample(accept: float, seed: int, *, patients: Evidence | None = None, again: bool = False) -> Groups:
        these = inputs if patients is None or patients is inputs.evidence else prepare(inputs.spec, patients)
        if again:
            these = _not_centred(these)
        coordinates, data = prepared if these is inputs else pack_problem(these)
        return _drawn(coordinates, compiled_model(coordinates, data), settings, accept, seed)

    return sample


def _drawn(coordinates: "Coordinates", target: Any, settings: Sampling, accept: float, seed: int) -> Groups:
    """Draws of a compiled density by name, and the sampler's statistics."""
    from bayes_bm.inference.compiled.nutpie import read_trace

    # with so cheap a gradient a diagonal mass matrix gives 1.5 to 3 times the ESS per second (docs/speed.md)
    trace = run_nutpie(
        target, settings, accept, seed, cores=used_cores(settings), adaptation="diag", return_raw_trace=True
    )
    draws, stats = read_trace(trace, KEPT_STATISTICS)
    kept = coordinates.posterior(draws[:, :: settings.thin])
    return kept, xr.Dataset({name: (("chain", "transition"), values) for name, values in stats.items()})


def _sharded_sampler(inputs: ModelInputs, sharding: Sharding) -> Sampler:
    """The hand-written density as a sum over parts of the patients."""
    from bayes_bm.inference.compiled.nutpie import compiled_model
    from bayes_bm.inference.shards import cut, sharded_density

    def sample(accept: float, seed: int, *, patients: Evidence | None = None, again: bool = False) -> Groups:
        if patients is not None and patients is not inputs.evidence:
            raise TypeError("patients of one cut model are not others")
        model = cut(_not_centred(inputs) if again else inputs, sharding.shards)
        coordinates, rest = model.rest.packed
        with sharded_density(model, sharding.scheduler) as density:
            target = compiled_model(coordinates, rest, density)
            try:
                return _drawn(coordinates, target, inputs.spec.sampling, accept, seed)
            except Exception as problem:
                raise density.problem or problem from None

    return sample


def _not_centred(inputs: ModelInputs) -> ModelInputs:
    """The model with every effect of a study as a standard normal, unless the spec says which are centred.

    Where few studies leave the sd of a level all but unknown, a centred level and its sd form a funnel: of 38 random
    small networks 5 failed the second try with levels centred, and none of them without (docs/checks.md).
    """
    if inputs.spec.sampling.centring is not None:
        return inputs
    sampling = inputs.spec.sampling.model_copy(update={"centring": "none"})
    return prepare(inputs.spec.model_copy(update={"sampling": sampling}), inputs.evidence)
