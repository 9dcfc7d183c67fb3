"""Values and derivatives of a PyTensor graph at a point, gone through operation by operation: nothing is optimised,
compiled, or made anew.

PyTensor makes a graph of the derivatives of each model, which costs more than all else in a test: seconds of a model
with many kinds of evidence. Its operations are few, and the rule of each (`pullback`) is made once for all models.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.gradient import DisconnectedType, disconnected_type
from pytensor.graph.basic import Constant
from pytensor.graph.null_type import NullType
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.type import TensorType

MOST_OPERANDS = 32
"""Of a function of numpy, by which the graph is evaluated."""


def stand_in(variable: Any, replacement: Any) -> None:
    """Have every walk read another variable where it meets this one: a value of the sampler's for a random variable."""
    variable.tag.stand_in = replacement


def read_as(variable: Any) -> Any:
    """What a walk reads where it meets a variable."""
    return getattr(variable.tag, "stand_in", variable)


def in_order(outputs: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    """Operations behind outputs, each with its inputs, after all that these come from."""
    found: dict[Any, list[Any]] = {}
    waiting = [(output.owner, False) for output in reversed(outputs)]
    while waiting:
        node, are_inputs_found = waiting.pop()
        if node is None or node in found:
            continue
        inputs = [read_as(one) for one in node.inputs]
        if are_inputs_found:
            found[node] = inputs
        else:
            waiting.append((node, True))
            waiting += [(one.owner, False) for one in reversed(inputs)]
    return list(found.items())


class Walk:
    """Goes through the operations of a graph in order, each by its own numpy.

    An operation that holds a graph of its own would compile it, for tens of seconds: it is gone through too.
    """

    def __init__(self, outputs: Sequence[Any], inputs: Sequence[Any] = ()) -> None:
        # what was asked for is kept, so that no other variable has its identity
        self.asked, self.outputs, self.inputs = list(outputs), [read_as(output) for output in outputs], list(inputs)
        self.inside: dict[Any, Walk] = {}
        # what compiles the graph later rewrites it where it stands, so that inputs are held as they were
        self.steps = in_order(self.outputs)
        for node, _ in self.steps:
            assert not isinstance(node.op, RandomVariable), f"{node} is drawn, not evaluated"
            if isinstance(node.op, OpFromGraph):
                self.inside[node] = Walk(node.op.fgraph.outputs, node.op.fgraph.inputs)
            elif not self.is_long_sum(node):
                node.op.prepare_node(node, None, None, "py")

    @staticmethod
    def is_long_sum(node: Any) -> bool:
        return node.op == pt.add and len(node.inputs) >= MOST_OPERANDS

    def __call__(self, point: dict[str, np.ndarray]) -> list[np.ndarray]:
        return self.given({}, point)

    def given(self, known: dict[Any, Any], point: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Values of the outputs, where some variables are known by themselves and others by their names."""
        values = self.all_values(known, point)
        return [np.asarray(self.value(of, values, point)) for of in self.outputs]

    @staticmethod
    def value(of: Any, values: dict[Any, Any], point: dict[str, np.ndarray]) -> Any:
        if of in values:
            return values[of]
        if isinstance(of, Constant):
            return of.data
        if isinstance(of, SharedVariable):
            return of.get_value(borrow=True)
        return np.asarray(point[of.name], dtype=of.dtype)

    def all_values(self, known: dict[Any, Any], point: dict[str, np.ndarray]) -> dict[Any, Any]:
        """Values of everything that an operation gives."""
        values = dict(known)
        for node, inputs in self.steps:
            given = [self.value(of, values, point) for of in inputs]
            if self.is_long_sum(node):
                values[node.outputs[0]] = reduce(np.add, given)
                continue
            if node in self.inside:
                inner = self.inside[node]
                found = inner.given(dict(zip(inner.inputs, given, strict=True)), {})
                values |= dict(zip(node.outputs, found, strict=True))
                continue
            made = [[None] for _ in node.outputs]
            node.op.perform(node, given, made)
            values |= {of: one[0] for of, one in zip(node.outputs, made, strict=True)}
        return values


Values = dict[Any, np.ndarray]


class Rule:
    """An operation's derivatives: from its `inputs`, `outputs` and the derivatives by those (`slopes`)."""

    def __init__(self, terms: Sequence[Any], given: Sequence[Any]) -> None:
        self.terms, self.given = list(terms), list(given)
        self.steps = [(node, inputs, as_function(node)) for node, inputs in Walk(terms).steps]

    def __call__(self, numbers: Sequence[Any]) -> list[np.ndarray]:
        values = dict(zip(self.given, numbers, strict=True))
        for node, inputs, function in self.steps:
            if node.outputs[0] not in values:
                found = function([_known(one, values) for one in inputs])
                values |= dict(zip(node.outputs, found, strict=True))
        return [_known(one, values) for one in self.terms]


def _known(variable: Any, values: Values) -> Any:
    if variable in values:
        return values[variable]
    return variable.data


def as_function(node: Any) -> Callable[[list[Any]], list[Any]]:
    """An operation as numpy's own function, where it is one: PyTensor's checks of each call cost more than the work."""
    function = getattr(node.op, "nfunc", None)
    spec: Any = getattr(node.op, "nfunc_spec", None)
    if isinstance(node.op, Elemwise) and function is not None and spec[1:] == (len(node.inputs), 1):
        dtype, signature = node.outputs[0].dtype, getattr(node.tag, "sig", None)
        named = {} if signature is None else {"sig": signature}
        return lambda given: [np.asarray(function(*given, **named), dtype=dtype)]

    def performed(given: list[Any]) -> list[Any]:
        made = [[None] for _ in node.outputs]
        node.op.perform(node, given, made)
        return [one[0] for one in made]

    return performed


RULES: dict[Any, Rule] = {}


def is_smooth(variable: Any) -> bool:
    return isinstance(variable.type, TensorType) and variable.type.dtype.startswith("float")


def is_written(variable: Any) -> bool:
    """Whether it is a number, or none, that stands in the graph: a rule may depend on it, as on an axis."""
    return isinstance(variable, Constant) and (not isinstance(variable.type, TensorType) or variable.type.ndim == 0)


def alike(variable: Any) -> Any:
    """What a rule knows of an input: what is written in the graph, else which axes have length 1."""
    if is_written(variable):
        return variable.signature()
    if not isinstance(variable.type, TensorType):
        return variable.type
    return TensorType(variable.type.dtype, tuple(1 if length == 1 else None for length in variable.type.shape))


def rule_of(node: Any, inputs: Sequence[Any], reached: tuple[bool, ...], wanted: tuple[bool, ...]) -> Rule:
    """Of an operation of which some outputs are reached from the end and some inputs' derivatives are wanted."""
    key = node.op, tuple(alike(one) for one in inputs), reached, wanted
    if key not in RULES:
        given = [one if is_written(one) else alike(one)() for one in inputs]
        outputs = node.op.make_node(*given).outputs
        slopes = [one.type() if there else disconnected_type() for one, there in zip(outputs, reached, strict=True)]
        found = node.op.pullback(given, outputs, slopes)
        terms = []
        for one, term, needed in zip(given, found, wanted, strict=True):
            assert not (needed and isinstance(term.type, NullType)), node
            terms.append(pt.zeros_like(one) if isinstance(term.type, DisconnectedType) else term)
        kept = [term for term, needed in zip(terms, wanted, strict=True) if needed]
        RULES[key] = Rule(kept, [*given, *outputs, *slopes])
    return RULES[key]


class Backward:
    """Values of a graph's outputs, and derivatives of them by some of what they are made of."""

    def __init__(self, outputs: Sequence[Any], sources: Sequence[Any], inputs: Sequence[Any] = ()) -> None:
        self.walk, self.sources, moving = Walk(outputs, inputs), list(sources), set(sources)
        self.steps, self.inside, self.rules = [], {}, {}
        for node, given in self.walk.steps:
            wanted = tuple(one in moving and is_smooth(one) for one in given)
            if any(wanted):
                moving |= {one for one in node.outputs if is_smooth(one)}
                self.steps.append((node, given, wanted))
            if any(wanted) and isinstance(node.op, OpFromGraph):
                graph = node.op.fgraph
                self.inside[node] = Backward(graph.outputs, graph.inputs, graph.inputs)

    def __call__(self, point: dict[str, np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        """The value of the only output, and its derivatives by the sources."""
        values = self.walk.all_values({}, point)
        [output] = self.walk.outputs
        value = self.walk.value(output, values, point)
        return value, self.back(values, point, [np.ones_like(value)])

    def back(self, values: Values, point: dict[str, np.ndarray], slopes: Sequence[Any]) -> list[np.ndarray]:
        """Derivatives by the sources, where those by the outputs are `slopes` (None: of no consequence)."""
        with np.errstate(all="ignore"):
            return self._back(values, point, slopes)

    def _back(self, values: Values, point: dict[str, np.ndarray], slopes: Sequence[Any]) -> list[np.ndarray]:
        found: dict[Any, Any] = {}

        def add(variable: Any, slope: Any) -> None:
            found[variable] = found[variable] + slope if variable in found else slope

        for output, slope in zip(self.walk.outputs, slopes, strict=True):
            if slope is not None:
                add(output, slope)
        for node, given, wanted in reversed(self.steps):
            reached = [found.get(one) for one in node.outputs]
            if all(one is None for one in reached):
                continue
            numbers = [self.walk.value(one, values, point) for one in given]
            for variable, slope in zip(
                [one for one, needed in zip(given, wanted, strict=True) if needed],
                self._pulled(node, given, wanted, numbers, [values[one] for one in node.outputs], reached),
                strict=True,
            ):
                if slope is not None:
                    add(variable, slope)
        return [
            found[one] if one in found else np.zeros_like(self.walk.value(one, values, point)) for one in self.sources
        ]

    def _pulled(self, node: Any, given: Any, wanted: Any, numbers: Any, outputs: Any, reached: Any) -> list[Any]:
        if node in self.inside:
            inner = self.inside[node]
            values = inner.walk.all_values(dict(zip(inner.walk.inputs, numbers, strict=True)), {})
            slopes = inner.back(values, {}, reached)
            return [slope for slope, needed in zip(slopes, wanted, strict=True) if needed]
        if Walk.is_long_sum(node):
            assert all(np.shape(one) == np.shape(reached[0]) for one in numbers), node
            return [reached[0]] * sum(wanted)
        key = node, *(one is not None for one in reached)
        if key not in self.rules:
            self.rules[key] = rule_of(node, given, key[1:], wanted)
        return self.rules[key]([*numbers, *outputs, *reached])
