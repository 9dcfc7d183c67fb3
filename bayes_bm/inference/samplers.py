"""Compiling and sampling a model. What the user waits for is compilation, so it is chosen with care.

Weibull models have a density written by hand and compiled once on a machine (`bayes_bm.density`): no PyMC, nothing to
compile, chains on threads. All others use the graph of `model.build_model`, which nutpie's own compiler translates to
numba anew in every process: 14 s for the shipped main model. PyTensor's C linker keeps its modules on disk: 5 s when
warm, half a minute the first time (docs/speed.md), at about twice the cost a gradient. So the C linker serves up to
`MANY_PATIENTS`, and numba, whose chains run on several cores, beyond.

Patients enter as data, so other patients of the same arms (docs/decisions.md#19-multiple-imputation) need no other
compilation.
"""

import xarray as xr

from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.compiled.parametrization import choose_parametrization
from bayes_bm.inference.graph_samplers import graph_sampler, pymc_sampler
from bayes_bm.inference.sampling import KEPT_STATISTICS, Groups, Sampler, run_nutpie, used_cores
from bayes_bm.model.design import make_design
from bayes_bm.runtime.types import Progress
from bayes_bm.spec.document import Spec


def density_of(spec: Spec, evidence: Evidence) -> str:
    """Which density is sampled, for the provenance: the compiled one, or the graph and why."""
    if spec.sampling.sampler == "pymc":
        return "graph: sampling.sampler is pymc"
    reason = why_not(spec, evidence)
    return "compiled" if reason is None else f"graph: {reason}"


def centring_of(spec: Spec, evidence: Evidence) -> str:
    """Which effects of studies are sampled centred, for the provenance."""
    if density_of(spec, evidence) != "compiled":
        return "none"
    return choose_parametrization(spec, evidence, make_design(spec, evidence)).text


def sampler(spec: Spec, evidence: Evidence, say: Progress) -> Sampler:
    """Compile at most once; the returned function samples these patients, or others in the same arms
    (`imputation.imputed`)."""
    if density_of(spec, evidence) == "compiled":
        return _density_sampler(spec, evidence)
    from bayes_bm.model.pymc_graph.build import build_model

    say("building the model")
    model = build_model(spec, evidence)
    return (
        pymc_sampler(spec, evidence, model)
        if spec.sampling.sampler == "pymc"
        else graph_sampler(spec, evidence, model, say)
    )


def _density_sampler(spec: Spec, evidence: Evidence) -> Sampler:
    """The hand-written density (`bayes_bm.density`)."""
    from bayes_bm.inference.compiled.nutpie import compiled_model, read_trace
    from bayes_bm.inference.compiled.packing import pack_problem

    settings = spec.sampling
    prepared = pack_problem(spec, evidence)

    def sample(accept: float, seed: int, *, of: Evidence | None = None) -> Groups:
        at, data = prepared if of is None or of is evidence else pack_problem(spec, of)
        target = compiled_model(at, data)
        # with so cheap a gradient a diagonal mass matrix gives 1.5 to 3 times the ESS per second (docs/speed.md)
        trace = run_nutpie(
            target, settings, accept, seed, cores=used_cores(settings), adaptation="diag", return_raw_trace=True
        )
        draws, stats = read_trace(trace, KEPT_STATISTICS)
        kept = at.posterior(draws[:, :: settings.thin])
        return kept, xr.Dataset({name: (("chain", "transition"), values) for name, values in stats.items()})

    return sample
