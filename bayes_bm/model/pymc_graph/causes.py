"""What ties the causes of a joint model together, as a function of the sampler's coordinates and its gradient.

Each cause's own density is its own (`inference.compiled`, or its graph). This is the rest: rows of several causes, the
correlation of levels and its prior. The effects of each cause are made by the code that makes its graph, and their
variables are then read from one vector of coordinates.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.maker import function
from pytensor.gradient import grad
from pytensor.graph.replace import graph_replace

from bayes_bm.model.causes import correlation
from bayes_bm.model.causes.joint_inputs import ArmLevels, JointInputs, arm_levels, correlation_terms, row_terms
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.model.pymc_graph.build import coords_of
from bayes_bm.model.pymc_graph.effects import make_effects
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR

LEVELS = "study_effect_standard"
"""The variable of standard levels of studies."""
DEVIATIONS = "study_treatment_effect_standard"
"""The variable of standard deviations of pairs of study and treatment."""
Density = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Placed:
    """Where the variables of a cause stand among the coordinates: the first one and their number, by name.

    Level and deviation of the base of `studies` (turn,) are turned: coordinates a and b, with c and s the shares of the
    sds of level and deviation in the root of the sum of their squares, are the level c a + s b and the deviation
    s a - c b. `pairs` (turn,) are the bases, and `scales` (turn,) their sds in units of study_treatment_sd.
    """

    variables: Mapping[str, tuple[int, int]]
    studies: np.ndarray
    pairs: np.ndarray
    scales: np.ndarray


@dataclass(frozen=True)
class _CauseExpressions:
    """Predictors and standard levels (study,) of one cause, None where it has none."""

    levels: ArmLevels
    z: Any


def tie_density(joint: JointInputs, places: Sequence[Placed], ties: int, *, mode: Any = "CVM") -> Density:
    """Return the log density of what ties the causes together and its gradient (coordinate,).

    `places` says where the variables of each cause stand among the coordinates; from `ties` on stand those of the
    correlation, where it has a prior.
    """
    x: Any = pt.dvector("x")
    causes = [_expressions(inputs, own, x) for inputs, own in zip(joint.inputs, places, strict=True)]
    total: Any = pt.zeros(())
    for _, terms in row_terms(joint, [one.levels for one in causes], xp=TENSOR):
        total = total + pt.sum(terms)
    total = total + _tied_levels(joint, [one.z for one in causes], x[ties:])
    gradient: Any = grad(total, x, disconnected_inputs="ignore")
    evaluated: Any = function([x], [total, gradient], mode=mode, on_unused_input="ignore")
    evaluated.trust_input = True

    def evaluate(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, slopes = evaluated(point)
        return float(value), slopes

    return evaluate


def _tied_levels(joint: JointInputs, z: Sequence[Any], w: Any) -> Any:
    if not joint.causes.correlated:
        return 0.0
    count, said = len(z), joint.causes.joint.correlation
    pairs = len(correlation.pairs(count))
    if said.eta is None:
        values, prior = [pt.as_tensor(np.array(said.value))] * pairs, 0.0
    else:
        coordinates = [w[place] for place in range(pairs)]
        factor = correlation.cholesky_of_partial([pt.tanh(one) for one in coordinates], count)
        values = correlation.correlations(factor)
        prior = correlation.log_prior(coordinates, count, said.eta, xp=TENSOR)
    total: Any = prior
    for terms in correlation_terms(joint, z, values, xp=TENSOR):
        total = total + pt.sum(terms)
    return total


def _expressions(inputs: ModelInputs, placed: Placed, x: Any) -> _CauseExpressions:
    """Predictors of a cause's arms as functions of the coordinates."""
    with pm.Model(coords=coords_of(inputs)) as model:
        effects = make_effects(inputs)
        levels = arm_levels(inputs, effects, xp=TENSOR)
    where = {
        value: _slice(x, *placed.variables[str(variable.name)], value.type.ndim)
        for variable, value in model.rvs_to_values.items()
        if str(variable.name) in placed.variables
    }
    if len(placed.studies):
        where |= _turned(model, placed, where)
    z = [model.named_vars[LEVELS]] if LEVELS in model.named_vars else []
    slopes = [] if effects.slopes is None else [effects.slopes]
    wanted = model.replace_rvs_by_values([levels.eta, *z, *slopes, *levels.shape])
    found: list[Any] = graph_replace(wanted, where, strict=False)
    eta, found_z, rest = found[0], found[1 : 1 + len(z)], found[1 + len(z) :]
    moved = replace(effects, slopes=rest[0] if slopes else None)
    own = replace(levels, eta=eta, shape=rest[len(slopes) :], effects=moved)
    return _CauseExpressions(own, found_z[0] if z else None)


def _slice(x: Any, start: int, size: int, dims: int) -> Any:
    return x[start] if dims == 0 else x[start : start + size]


def _turned(model: pm.Model, placed: Placed, where: Mapping[Any, Any]) -> dict[Any, Any]:
    """Standard levels and deviations of coordinates that are turned."""
    names = ("study_sd", "study_treatment_sd")
    given = model.replace_rvs_by_values([model.named_vars[name] for name in names])
    sds: list[Any] = graph_replace(given, where, strict=False)
    level_sd, pair_sd = sds
    pair_sds = pair_sd * placed.scales
    both: Any = pt.sqrt(level_sd**2 + pair_sds**2)
    cosine, sine = level_sd / both, pair_sds / both
    level_value, pair_value = (model.rvs_to_values[model.named_vars[name]] for name in (LEVELS, DEVIATIONS))
    first, second = where[level_value][placed.studies], where[pair_value][placed.pairs]
    return {
        level_value: pt.set_subtensor(where[level_value][placed.studies], cosine * first + sine * second),
        pair_value: pt.set_subtensor(where[pair_value][placed.pairs], sine * first - cosine * second),
    }
