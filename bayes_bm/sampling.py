"""Compiling and sampling a model. What the user waits for is compilation, so it is chosen with care.

Weibull models have a density written by hand and compiled once on a machine (`bayes_bm.density`): no PyMC, nothing to
compile, chains on threads. All others use the graph of `model.build_model`, which nutpie's own compiler translates to
numba anew in every process: 14 s for the shipped main model. PyTensor's C linker keeps its modules on disk: 5 s when
warm, half a minute the first time (docs/speed.md), at about twice the cost a gradient. So the C linker serves up to
`MANY_PATIENTS`, and numba, whose chains run on several cores, beyond.

Patients enter as data, so other patients of the same arms (rule 19) need no other compilation.
"""

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.baseline import family_of
from bayes_bm.density.centring import centring
from bayes_bm.density.coverage import why_not
from bayes_bm.effects import STACKED, design
from bayes_bm.evidence import Evidence
from bayes_bm.observations import observations
from bayes_bm.spec import Sampling, Spec

Groups = tuple[xr.Dataset, xr.Dataset]
Say = Callable[[str], None]
MANY_PATIENTS = 20_000
KEPT_STATISTICS = ("diverging", "energy", "n_steps", "tree_depth", "depth", "step_size")


class Sampler(Protocol):
    """Samples at a target acceptance and seed, with the patients of `of` where given: (posterior, sample_stats)."""

    def __call__(self, accept: float, seed: int, *, of: Evidence | None = None) -> Groups: ...


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
    return centring(spec, evidence, design(spec, evidence)).text


def sampler(spec: Spec, evidence: Evidence, say: Say) -> Sampler:
    """Compile at most once; the returned function samples these patients, or others in the same arms
    (`imputation.imputed`)."""
    if density_of(spec, evidence) == "compiled":
        return _density_sampler(spec, evidence)
    from bayes_bm.model import build_model

    say("building the model")
    model = build_model(spec, evidence)
    return (
        _pymc_sampler(spec, evidence, model)
        if spec.sampling.sampler == "pymc"
        else _graph_sampler(spec, evidence, model, say)
    )


def _density_sampler(spec: Spec, evidence: Evidence) -> Sampler:
    """The hand-written density (`bayes_bm.density`)."""
    from bayes_bm.density.chains import compiled, drawn
    from bayes_bm.density.problem import problem

    settings = spec.sampling
    prepared = problem(spec, evidence)

    def sample(accept: float, seed: int, *, of: Evidence | None = None) -> Groups:
        at, data = prepared if of is None or of is evidence else problem(spec, of)
        target = compiled(at, data)
        # with so cheap a gradient a diagonal mass matrix gives 1.5 to 3 times the ESS per second (docs/speed.md)
        trace = _run(target, settings, accept, seed, cores=_cores(settings), adaptation="diag", return_raw_trace=True)
        draws, stats = drawn(trace, KEPT_STATISTICS)
        kept = at.posterior(draws[:, :: settings.thin])
        return kept, xr.Dataset({name: (("chain", "transition"), values) for name, values in stats.items()})

    return sample


def _graph_sampler(spec: Spec, evidence: Evidence, model: Any, say: Say) -> Sampler:
    settings = spec.sampling
    say("compiling (half a minute the first time, then seconds)")
    many = len(evidence.patients) > MANY_PATIENTS
    compiled = _compiled_numba(model) if many else _compiled_c(model)
    cores = _cores(settings) if many else 1

    def with_patients(of: Evidence) -> Any:
        if many:
            # what the density does not read, as covariates of a spec without any, was left out by the compiler
            known = {variable.name for variable in compiled.shared_var_keys}
            return compiled.with_data(**{name: data for name, data in _patient_data(spec, of).items() if name in known})
        _set_patients(model, spec, of)
        return compiled

    def sample(accept: float, seed: int, *, of: Evidence | None = None) -> Groups:
        target = with_patients(evidence if of is None else of)
        # the low-rank matrix quadruples the ESS of correlated levels where gradients are what costs
        return _groups(_run(target, settings, accept, seed, cores=cores, adaptation="low_rank"), settings.thin)

    return sample


def _run(target: Any, settings: Sampling, accept: float, seed: int, *, cores: int, **more: Any) -> Any:
    import nutpie

    counts = _counts(settings, cores=cores)
    with warnings.catch_warnings():
        # nutpie calls its low-rank mass matrix experimental
        warnings.simplefilter("ignore")
        return nutpie.sample(target, **counts, target_accept=accept, seed=seed, progress_bar=False, **more)


def _patient_data(spec: Spec, evidence: Evidence) -> dict[str, np.ndarray]:
    """What `model.build_model` put into `pm.Data` for the patients, by the same names."""
    found = observations(spec, evidence, family_of(spec, evidence), ties=True)
    kinds = [name for name in ("patients", "patients_averaged") if name in found]
    return {f"{name}_{key}": values for name in kinds for key, values in found[name].items()}


def _set_patients(model: Any, spec: Spec, evidence: Evidence) -> None:
    for name, values in _patient_data(spec, evidence).items():
        model.set_data(name, values)


def _cores(settings: Sampling) -> int:
    return settings.cores or min(settings.chains, os.cpu_count() or 1)


def _counts(settings: Sampling, *, cores: int) -> dict[str, Any]:
    return {"draws": settings.draws * settings.thin, "tune": settings.tune, "chains": settings.chains, "cores": cores}


def _compiled_numba(model: Any) -> Any:
    import nutpie

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nutpie.compile_pymc_model(model)


def _compiled_c(model: Any) -> Any:
    """The model's density, gradient and named values by PyTensor's C linker, wrapped for nutpie's sampler."""
    from nutpie.compiled_pyfunc import from_pyfunc
    from pymc.blocking import DictToArrayBijection

    with warnings.catch_warnings():
        # PyTensor warns that it found no BLAS; the largest product here is patients x covariates
        warnings.simplefilter("ignore")
        density = model.logp_dlogp_function(ravel_inputs=True, mode="CVM")
        density.set_extra_values({})
        start = DictToArrayBijection.map(model.initial_point())
        named = _named_values(model)
    evaluate = density._pytensor_function
    evaluate.trust_input = True
    shapes = {name: np.shape(value) for name, value in named(start.data).items()}

    def make_density() -> Callable:
        def log_density(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = evaluate(np.array(x, dtype=float))
            return float(value), np.asarray(gradient, dtype=float)

        return log_density

    def make_values(seed1: int, seed2: int, chain: int) -> Callable:
        return named

    return from_pyfunc(
        len(start.data),
        make_density,
        make_values,
        [np.dtype(float)] * len(shapes),
        list(shapes.values()),
        list(shapes),
        coords={name: pd.Index(labels) for name, labels in _used_coords(model, shapes).items()},
        dims={name: model.named_vars_to_dims[name] for name in shapes if name in model.named_vars_to_dims},
        make_initial_point_fn=lambda seed: _jittered(start.data, seed),
    )


def _jittered(start: np.ndarray, seed: int) -> np.ndarray:
    """The initial point, moved by up to 0.5 in each coordinate, so that chains start apart."""
    return start + np.random.default_rng(seed).uniform(-0.5, 0.5, len(start))


def _used_coords(model: Any, shapes: Mapping[str, tuple]) -> dict[str, tuple]:
    used = {dim for name in shapes for dim in model.named_vars_to_dims.get(name, ())}
    return {dim: labels for dim, labels in model.coords.items() if dim in used and labels is not None}


def _named_values(model: Any) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """From a point on the sampler's scale to every parameter and derived quantity by name."""
    from pymc.blocking import DictToArrayBijection

    kept = [variable for variable in model.unobserved_value_vars if _is_kept(str(variable.name))]
    function = model.compile_fn(kept, inputs=model.value_vars, mode="CVM", on_unused_input="ignore", point_fn=False)
    layout = DictToArrayBijection.map(model.initial_point()).point_map_info
    order = {entry[0]: at for at, entry in enumerate(layout)}
    sizes = [int(entry[2]) for entry in layout]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    names = [str(variable.name) for variable in model.value_vars]

    def values(x: np.ndarray) -> dict[str, np.ndarray]:
        parts = []
        for name in names:
            at = order[name]
            parts.append(np.asarray(x[starts[at] : starts[at + 1]], dtype=float).reshape(layout[at][1]))
        return {
            str(variable.name): np.asarray(value, dtype=float)
            for variable, value in zip(kept, function(*parts), strict=True)
        }

    return values


def _is_kept(name: str) -> bool:
    """Standardised effects are a device of the sampler; what is stacked under one name is kept under that one."""
    return not (name.endswith(("_log__", "_interval__", "_standard")) or name.startswith(STACKED))


def _pymc_sampler(spec: Spec, evidence: Evidence, model: Any) -> Sampler:
    settings = spec.sampling
    counts = _counts(settings, cores=_cores(settings))

    def sample(accept: float, seed: int, *, of: Evidence | None = None) -> Groups:
        import pymc as pm

        _set_patients(model, spec, evidence if of is None else of)
        # left to itself PyMC takes nutpie where it is installed
        asked: dict[str, Any] = {"target_accept": accept, "random_seed": seed, "nuts_sampler": "pymc"}
        tree = pm.sample(model=model, **counts, **asked, progressbar=False)
        return _groups(tree, settings.thin)

    return sample


def _groups(tree: Any, thin: int) -> Groups:
    """Posterior and sampler statistics; of the posterior every `thin`-th draw, of the statistics all of them."""
    posterior, stats = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
    posterior = posterior.isel(draw=slice(None, None, thin)).assign_coords(draw=range(posterior.sizes["draw"] // thin))
    hidden = [name for name in posterior.data_vars if not _is_kept(str(name))]
    kept = [name for name in KEPT_STATISTICS if name in stats]
    return posterior.drop_vars(hidden), stats[kept].rename(draw="transition")
