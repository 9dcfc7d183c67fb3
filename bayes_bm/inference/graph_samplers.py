"""Samplers of PyMC's graph: nutpie through C or numba, or PyMC's own."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.sampling import (
    KEPT_STATISTICS,
    MANY_PATIENTS,
    Groups,
    Sampler,
    draw_counts,
    run_nutpie,
    used_cores,
)
from bayes_bm.model.design import STACKED
from bayes_bm.model.model_inputs import ModelInputs, prepare
from bayes_bm.runtime.signals import pass_stops_on
from bayes_bm.runtime.types import Progress


def graph_sampler(inputs: ModelInputs, model: Any, say: Progress) -> Sampler:
    """nutpie over the graph, compiled by the C linker, or by numba where there are many patients."""
    settings = inputs.spec.sampling
    say("compiling (half a minute the first time, then seconds)")
    many = len(inputs.evidence.patients) > MANY_PATIENTS
    compiled = _compiled_numba(model) if many else _compiled_c(model)
    cores = used_cores(settings) if many else 1

    def with_patients(patients: ModelInputs) -> Any:
        if many:
            # what the density does not read, as covariates of a spec without any, was left out by the compiler
            read = {variable.name for variable in compiled.shared_var_keys}
            return compiled.with_data(**{name: data for name, data in _patient_data(patients).items() if name in read})
        _set_patients(model, patients)
        return compiled

    def sample(accept: float, seed: int, *, patients: Evidence | None = None, again: bool = False) -> Groups:
        target = with_patients(inputs if patients is None else prepare(inputs.spec, patients))
        # the low-rank matrix quadruples the ESS of correlated levels where gradients are what costs
        return _groups(run_nutpie(target, settings, accept, seed, cores=cores, adaptation="low_rank"), settings.thin)

    return sample


def _patient_data(inputs: ModelInputs) -> dict[str, np.ndarray]:
    """What `build_graph` put into `pm.Data` for the patients, by the same names."""
    kinds = {name: inputs.tied_kinds.get(name, {}) for name in ("patients", "patients_averaged")}
    return {f"{name}_{key}": values for name, arrays in kinds.items() for key, values in arrays.items()}


def _set_patients(model: Any, inputs: ModelInputs) -> None:
    for name, values in _patient_data(inputs).items():
        model.set_data(name, values)


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
    order = {entry[0]: position for position, entry in enumerate(layout)}
    sizes = [int(entry[2]) for entry in layout]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    names = [str(variable.name) for variable in model.value_vars]

    def values(x: np.ndarray) -> dict[str, np.ndarray]:
        parts = []
        for name in names:
            position = order[name]
            parts.append(
                np.asarray(x[starts[position] : starts[position + 1]], dtype=float).reshape(layout[position][1])
            )
        return {
            str(variable.name): np.asarray(value, dtype=float)
            for variable, value in zip(kept, function(*parts), strict=True)
        }

    return values


def _is_kept(name: str) -> bool:
    """Standardised effects are a device of the sampler; what is stacked under one name is kept under that one."""
    return not (name.endswith(("_log__", "_interval__", "_standard")) or name.startswith(STACKED))


def pymc_sampler(inputs: ModelInputs, model: Any) -> Sampler:
    """PyMC's own NUTS."""
    settings = inputs.spec.sampling
    counts = draw_counts(settings, cores=used_cores(settings))

    def sample(accept: float, seed: int, *, patients: Evidence | None = None, again: bool = False) -> Groups:
        import pymc as pm

        _set_patients(model, inputs if patients is None else prepare(inputs.spec, patients))
        # left to itself PyMC takes nutpie where it is installed
        asked: dict[str, Any] = {"target_accept": accept, "random_seed": seed, "nuts_sampler": "pymc"}
        # PyMC takes Ctrl-C for the wish to have the draws so far
        with pass_stops_on():
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
