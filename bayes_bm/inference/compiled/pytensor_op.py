"""The compiled density as an operation of PyTensor, so that any PyMC model can hold it.

    at, data = problem(spec, evidence)
    with pm.Model():
        x = pm.Flat("x", shape=at.size, initval=at.start)
        pm.Potential("density", log_density_op(data)(x))

`x` are the coordinates of `Coordinates`, whose `posterior` names what draws of them stand for.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

from bayes_bm.inference.compiled.fields import Problem
from bayes_bm.inference.compiled.nutpie import log_density


class LogDensity(Op):
    """Log density (a number) and its gradient (coordinate) at a vector; the gradient has no gradient of its own."""

    __props__: tuple[str, ...] = ()

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    # two operations are one only where they are the same object: arrays of a problem are not compared
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def make_node(self, *inputs: Any) -> Apply:
        x = pt.as_tensor_variable(inputs[0]).astype("float64")
        return Apply(self, [x], [pt.dscalar(), pt.dvector()])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        value, gradient = log_density(inputs[0], self.problem)
        output_storage[0][0], output_storage[1][0] = np.asarray(value), gradient

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        by_value, by_gradient = cotangents
        if not isinstance(by_gradient.type, DisconnectedType):
            raise NotImplementedError("the second derivative of the compiled density; build_model's graph has it")
        return [by_value * outputs[1]]


def log_density_op(problem: Problem) -> Callable[[Any], Any]:
    """From a vector of coordinates to the log density, differentiable once."""
    op: Any = LogDensity(problem)
    return lambda x: op(x)[0]
