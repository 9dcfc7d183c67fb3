"""Log densities, gradients and values of a PyMC model, read at a point without optimising its graph.

Of one value, optimising costs more than all else: a quarter of a second, beside three tenths to make the graph.
"""

import math
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pymc.pytensorf import rewrite_pregrad
from pytensor.compile.mode import Mode
from pytensor.graph.rewriting.basic import in2out, node_rewriter
from pytensor.graph.rewriting.db import RewriteDatabaseQuery

from bayes_bm.model.pymc_graph.build import build_model

MOST_OPERANDS = 32
"""Of a function of numpy, by which the graph is evaluated."""


@node_rewriter([pt.add])
def split_long_sums(_: Any, node: Any) -> list[Any] | None:
    """Add terms in two steps where numpy cannot in one: preparing gradients makes one sum of all terms of a model."""
    terms = node.inputs
    if len(terms) < MOST_OPERANDS:
        return None
    half = len(terms) // 2
    return [pt.add(*terms[:half]) + pt.add(*terms[half:])]


UNOPTIMISED = Mode(
    linker="py", optimizer=RewriteDatabaseQuery(include=[], extra_rewrites=[(in2out(split_long_sums), 1)])
)


def evaluated(model: Any, variables: Any, point: dict[str, np.ndarray]) -> Any:
    """Values of a variable of the graph, or of several, at a point of the sampler's scale."""
    return model.compile_fn(variables, inputs=model.value_vars, mode=UNOPTIMISED, on_unused_input="ignore")(point)


def log_density(model: Any, point: dict[str, np.ndarray], **chosen: Any) -> float:
    """Of everything, or of what `Model.logp` is asked for."""
    return float(evaluated(model, model.logp(**chosen), point))


def slopes(model: Any, point: dict[str, np.ndarray], variables: Any = None, *, jacobian: bool = True) -> np.ndarray:
    """Derivatives of the log density by every value, or by those of some variables, one after the other.

    All at once: `Model.dlogp` goes through the graph anew for each variable.
    """
    values = [model.rvs_to_values[variable] for variable in (variables or model.free_RVs)]
    found = evaluated(model, pytensor.grad(rewrite_pregrad(model.logp(jacobian=jacobian)), values), point)
    return np.concatenate([np.ravel(one) for one in found])


def values_at(model: Any, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of every parameter, by name."""
    variables = model.unobserved_value_vars
    found = evaluated(model, variables, point)
    return {str(variable.name): np.asarray(value) for variable, value in zip(variables, found, strict=True)}


def moved(model: Any, seed: int = 3) -> dict[str, np.ndarray]:
    return random_point(model, seed)


def data_term(model: Any, point: dict[str, np.ndarray], name: str = "patients") -> np.ndarray:
    return evaluated(model, model.logp(vars=[model[name]], jacobian=False, sum=False), point)[0]


def random_point(model: Any, seed: int) -> dict[str, np.ndarray]:
    """A point on the sampler's scale, not too far from the prior."""
    rng = np.random.default_rng(seed)
    start = model.initial_point()
    return {name: np.asarray(value) + 0.3 * rng.standard_normal(np.shape(value)) for name, value in start.items()}


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
    observed, everything = evaluated(model, both, point)
    return float(observed), float(everything)
