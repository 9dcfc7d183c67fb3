"""Log densities, gradients and values of a PyMC model, read at a point without optimising or compiling its graph.

Of one value, optimising costs more than all else: a quarter of a second, beside three tenths to make the graph. PyMC
makes the log densities of all variables whichever is asked for, so they are made once for a model.
"""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.distribution import support_point
from pymc.logprob.abstract import _logprob
from pytensor.compile.mode import Mode
from pytensor.graph.rewriting.basic import in2out, node_rewriter
from pytensor.graph.rewriting.db import RewriteDatabaseQuery

from bayes_bm.model.pymc_graph.build import build_model
from tests.builders.walks import MOST_OPERANDS, Backward, Walk, read_as, stand_in

KEPT = 8
"""Models of one file's tests are asked for again; more of them would only take memory."""


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


MADE: dict[tuple[str, str, str], Any] = {}
STARTS: WeakKeyDictionary[Any, dict[str, np.ndarray]] = WeakKeyDictionary()
TERMS: WeakKeyDictionary[Any, dict[bool, dict[str, Any]]] = WeakKeyDictionary()
TOTALS: WeakKeyDictionary[Any, dict[tuple[bool, tuple[str, ...]], Any]] = WeakKeyDictionary()
WALKS: WeakKeyDictionary[Any, dict[tuple[int, ...], Walk]] = WeakKeyDictionary()


def model_of(spec: Any, evidence: Any) -> Any:
    """The graph of a world, made once for tests that only read it."""
    key = str(spec.folder), spec.digest(), evidence.digest()
    if key not in MADE:
        if len(MADE) >= KEPT:
            MADE.pop(next(iter(MADE)))
        MADE[key] = build_model(spec, evidence)
    return MADE[key]


def start(model: Any) -> dict[str, np.ndarray]:
    """Where PyMC starts a sampler: the support point of every variable, on the sampler's scale."""
    if model not in STARTS:
        read_values(model)
        point: dict[str, np.ndarray] = {}
        # a variable stands after those that its law depends on
        for variable in model.free_RVs:
            value, transform = model.rvs_to_values[variable], model.rvs_to_transforms[variable]
            expression: Any = support_point(variable)
            if transform is not None:
                expression = transform.forward(expression, *variable.owner.inputs)
            point[value.name] = Walk([expression])(point)[0]
        STARTS[model] = point
    return dict(STARTS[model])


def read_values(model: Any) -> None:
    """Have walks read each variable of a model at its value on the sampler's scale."""
    for variable in model.free_RVs:
        value, transform = model.rvs_to_values[variable], model.rvs_to_transforms[variable]
        stand_in(variable, value if transform is None else transform.backward(value, *variable.owner.inputs))


def terms(model: Any, *, jacobian: bool = True) -> dict[str, Any]:
    """Of the graph: the log density of each variable and potential by name.

    They are PyMC's (`tests/inference/test_walks.py`), which takes half a second to look for laws of what is made of
    random variables and to copy the graph with values in place of these.
    """
    kept = TERMS.setdefault(model, {})
    if not kept:
        read_values(model)
        kept |= {True: {}, False: {}}
        for variable in (*model.free_RVs, *model.observed_RVs):
            value, transform = model.rvs_to_values[variable], model.rvs_to_transforms[variable]
            law, inputs = variable.owner.op, variable.owner.inputs
            density: Any = _logprob(law, (value if transform is None else read_as(variable),), *inputs)
            kept[False][variable.name] = kept[True][variable.name] = density
            if transform is not None:
                added: Any = transform.log_jac_det(value, *inputs)
                assert density.ndim == added.ndim, variable
                kept[True][variable.name] = density + added
        for made in kept.values():
            made |= {str(potential.name): potential for potential in model.potentials}
    return kept[jacobian]


def total(model: Any, variables: Any = None, *, jacobian: bool = True) -> Any:
    """Of the graph: the sum over some variables, or over all."""
    made, kept = terms(model, jacobian=jacobian), TOTALS.setdefault(model, {})
    names = tuple(made if variables is None else [str(one.name) for one in variables])
    if (jacobian, names) not in kept:
        kept[jacobian, names] = reduce(pt.add, [made[name].sum() for name in names])
    return kept[jacobian, names]


def evaluated(model: Any, variables: Any, point: dict[str, np.ndarray]) -> Any:
    """Values of a variable of the graph, or of several, at a point of the sampler's scale."""
    several = variables if isinstance(variables, list | tuple) else [variables]
    read_values(model)
    walks = WALKS.setdefault(model, {})
    # a walk keeps its outputs, so that no other variable has their identity
    key = tuple(id(one) for one in several)
    if key not in walks:
        walks[key] = Walk(several)
    found = walks[key](point)
    return found if several is variables else found[0]


def log_density(model: Any, point: dict[str, np.ndarray], variables: Any = None, *, jacobian: bool = True) -> float:
    """Of everything, or of some variables and potentials."""
    return float(evaluated(model, total(model, variables, jacobian=jacobian), point))


def slopes(model: Any, point: dict[str, np.ndarray], variables: Any = None, *, jacobian: bool = True) -> np.ndarray:
    """Derivatives of the log density by every value, or by those of some variables, one after the other."""
    values = [model.rvs_to_values[variable] for variable in (variables or model.free_RVs)]
    found = slopes_of(total(model, jacobian=jacobian), values, point)
    return np.concatenate([np.ravel(one) for one in found])


def slopes_of(density: Any, values: Sequence[Any], point: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Derivatives of a density of the graph by some of its values."""
    return Backward([density], values)(point)[1]


def vector_of(model: Any) -> tuple[Callable[[np.ndarray], tuple[float, np.ndarray]], list[str]]:
    """Log density and its gradient at a vector of all values, and the names of its variables in order."""
    values, like = model.value_vars, start(model)
    backward = Backward([total(model)], values)

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slopes = backward(point_of(x, {value.name: like[value.name] for value in values}))
        return float(value), np.concatenate([np.ravel(one) for one in slopes])

    return evaluate, [str(model.values_to_rvs[value].name) for value in values]


def point_of(x: np.ndarray, like: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A vector cut into values of the same names and shapes as others."""
    parts = np.split(x, np.cumsum([np.size(one) for one in like.values()])[:-1])
    return {name: part.reshape(np.shape(one)) for (name, one), part in zip(like.items(), parts, strict=True)}


def values_at(model: Any, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of every parameter, by name."""
    read_values(model)
    variables = [*model.value_vars, *model.free_RVs, *model.deterministics]
    found = Walk(variables)(point)
    return {str(variable.name): value for variable, value in zip(variables, found, strict=True)}


def moved(model: Any, seed: int = 3) -> dict[str, np.ndarray]:
    return random_point(model, seed)


def data_term(model: Any, point: dict[str, np.ndarray], name: str = "patients") -> np.ndarray:
    return evaluated(model, terms(model, jacobian=False)[name], point)


def random_point(model: Any, seed: int) -> dict[str, np.ndarray]:
    """A point on the sampler's scale, not too far from the prior."""
    rng = np.random.default_rng(seed)
    return {
        name: np.asarray(value) + 0.3 * rng.standard_normal(np.shape(value)) for name, value in start(model).items()
    }


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
    model = model_of(spec, evidence)
    observed, everything = evaluated(model, [total(model, model.observed_RVs), total(model)], point)
    return float(observed), float(everything)
