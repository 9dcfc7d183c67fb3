"""Log densities and values of a PyMC model, read at a point without optimising its graph."""

import math
from typing import Any

import numpy as np

from bayes_bm.model.pymc_graph.build import build_model


def values_at(model: Any, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    variables = model.unobserved_value_vars
    found = model.compile_fn(variables, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")(point)
    return {str(variable.name): np.asarray(value) for variable, value in zip(variables, found, strict=True)}


def moved(model: Any, seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: np.asarray(value) + 0.3 * rng.standard_normal(np.shape(value))
        for name, value in model.initial_point().items()
    }


def data_term(model: Any, point: dict[str, np.ndarray], name: str = "patients") -> np.ndarray:
    return model.compile_logp(vars=[model[name]], jacobian=False, sum=False, mode="FAST_COMPILE")(point)[0]


def random_point(model: Any, seed: int) -> dict[str, np.ndarray]:
    """A point on the sampler's scale, not too far from the prior."""
    rng = np.random.default_rng(seed)
    start = model.initial_point()
    return {name: np.asarray(value) + 0.3 * rng.standard_normal(np.shape(value)) for name, value in start.items()}


def constrained(model: Any, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    variables = model.unobserved_value_vars
    values = model.compile_fn(variables, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")(point)
    return {variable.name: value for variable, value in zip(variables, values, strict=True)}


def as_parameters(found: dict[str, np.ndarray], spec: Any, shape: Any) -> dict[str, Any]:
    """Named values as the witness reads them."""
    parameters: dict[str, Any] = {}
    for name in ("intercept", "log_shape", "study_sd", "study_treatment_sd", "study_shape_sd"):
        if name in found:
            parameters[name] = float(found[name])
    by = {
        "log_hr": shape.compared,
        "treatment_log_shape": shape.compared,
        "study_effect": shape.studies,
        "study_log_shape": shape.studies,
        "study_treatment_effect": shape.pairs,
        "coefficient": list(spec.covariates),
    }
    for name, labels in by.items():
        if name in found:
            parameters[name] = {label: float(value) for label, value in zip(labels, found[name], strict=True)}
    return parameters


def standard_to_effect_jacobian(found: dict[str, np.ndarray], shape: Any) -> float:
    """log |d effect / d standardised effect|: the witness has densities of effects, the sampler of z."""
    total = 0.0
    for name, sd in (("study_effect", "study_sd"), ("study_log_shape", "study_shape_sd")):
        if name in found and sd in found:
            total += len(found[name]) * math.log(found[sd])
    if "study_treatment_sd" in found:
        total += len(shape.pairs) * math.log(found["study_treatment_sd"])
        total += 0.5 * len(shape.pairs) * math.log(0.5)
    return total


def values(spec: Any, evidence: Any, point: dict[str, np.ndarray]) -> tuple[float, float]:
    """Log density of the evidence and of everything at a point."""
    model = build_model(spec, evidence)
    both = [model.logp(vars=model.observed_RVs), model.logp()]
    compiled = model.compile_fn(both, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")
    observed, everything = compiled(point)
    return float(observed), float(everything)
