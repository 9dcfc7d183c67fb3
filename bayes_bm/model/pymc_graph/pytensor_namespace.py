"""The PyTensor twin of `arrays.NUMPY`: the namespace in which formulas become the model's graph.

Three of its functions are operations of their own, computed in numpy with the derivative given: the tail of the
generalised gamma law, an arm's average over proportional hazards, and the time at which a cumulative hazard is reached.
"""

from collections.abc import Sequence
from types import EllipsisType, SimpleNamespace
from typing import Any

import numpy as np
import pytensor.scalar
import pytensor.tensor
from pytensor.gradient import DisconnectedType, disconnected_grad
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.scalar.basic import upgrade_to_float_no_complex
from pytensor.scalar.math import BetaInc
from pytensor.tensor.elemwise import Elemwise

from bayes_bm.hazards.family import Family
from bayes_bm.hazards.numerics import gamma_tail
from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.hazards.numerics.mixture import Mixture, mixture, slopes
from bayes_bm.hazards.numerics.numpy_namespace import Namespace
from bayes_bm.hazards.numerics.numpy_namespace import solve_cum_hazard as numpy_solve

pt: Any = pytensor.tensor
ps: Any = pytensor.scalar
"""Their functions are annotated too loosely to be checked."""


def _alike(a: Any, b: Any) -> tuple[Any, Any]:
    """Broadcast two against each other.

    `broadcast_to` looks for constant shapes in the whole graph, which took longer than all else of making one.
    """
    return pt.second(b, a), pt.second(a, b)


def _betaln(a: Any, b: Any) -> Any:
    """log B(a, b); PyTensor has none of its own."""
    terms: list[Any] = [pt.gammaln(a), pt.gammaln(b), pt.gammaln(a + b)]
    return terms[0] + terms[1] - terms[2]


class _BetaincOfData(BetaInc):
    """I_x(a, b) of data a and b, without a derivative by them: PyTensor builds its series, then finds that nobody asks.

    They were two fifths of the time that the gradient of a graph takes to be made.
    """

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False], [False], [True]]

    def pullback(self, inputs: Any, outputs: Any, grads: Any) -> list[Any]:
        a, b, x = inputs
        log_beta = ps.gammaln(a) + ps.gammaln(b) - ps.gammaln(a + b)
        density = ps.exp((a - 1) * ps.log(x) + (b - 1) * ps.log1p(-x) - log_beta)
        return [DisconnectedType()(), DisconnectedType()(), grads[0] * density]


def _inner(features: Any, coefficients: Any) -> Any:
    """Sums, not a matrix product: without a BLAS (pip brings none) PyTensor's own falls back to Python."""
    return pt.sum(features * coefficients, axis=-1)


def _sum(x: Any) -> Any:
    return pt.sum(x, axis=-1)


def _max(x: Any) -> Any:
    """Constant for the gradient: it only keeps exponentials in range."""
    return disconnected_grad(pt.max(x, axis=-1, keepdims=True))


def _log_ndtr(z: Any) -> Any:
    """log Phi(z); each branch is guarded, so that the gradient of the other one stays finite."""
    low = z < -1.0
    low_z, high_z = pt.switch(low, z, -1.0), pt.switch(low, 0.0, z)
    tail = pt.log(pt.erfcx(-low_z / np.sqrt(2.0)) / 2) - low_z**2 / 2
    return pt.switch(low, tail, pt.log1p(-pt.erfc(high_z / np.sqrt(2.0)) / 2))


def _ndtri(share: Any) -> Any:
    """Quantile of the standard normal, by the half whose tail keeps its digits."""
    low = share < 0.5
    tail = pt.erfcinv(2 * pt.switch(low, share, 1 - share)) * np.sqrt(2.0)
    return pt.switch(low, -tail, tail)


class Shape:
    """Shape parameters as the formulas index them, `shape[..., 0]`, kept as separate tensors: gathering each for itself
    is twice as fast as rows of a matrix. `wide` are the coefficients of a flexible baseline, which come first.
    """

    def __init__(self, columns: Sequence[Any], wide: Any = None) -> None:
        self.columns: tuple[Any, ...] = tuple(columns)
        self.wide: Any = wide

    @property
    def parts(self) -> list[Any]:
        """One by one, coefficients first."""
        return [*([] if self.wide is None else [self.wide]), *self.columns]

    def __getitem__(self, key: tuple) -> Any:
        match key:
            case (EllipsisType(), int(at)):
                return self.columns[at]
            case (EllipsisType(), slice(start=None, stop=-1)):
                return self.wide if len(self.columns) == 1 and self.wide is not None else Shape(self.columns[:-1])
            case (EllipsisType(), None, slice(start=None, stop=None)):
                wide = None if self.wide is None else self.wide[..., None, :]
                return shape_of([column[..., None] for column in self.columns], wide)
        raise TypeError(f"a shape is read as [..., k], [..., :-1] or [..., None, :]; found {key}")


class PointShape(Shape):
    """A shape with the integration points' part of eta (row, point) behind it (`hazards.averaged`)."""

    def __init__(self, base: Any, offsets: Any) -> None:
        self.base: Any = base
        self.offsets: Any = offsets

    @property
    def parts(self) -> list[Any]:
        return [*(self.base.parts if isinstance(self.base, Shape) else [self.base]), self.offsets]

    def __getitem__(self, key: tuple) -> Any:
        match key:
            case (EllipsisType(), slice(start=int(), stop=None)):
                return self.offsets
            case (EllipsisType(), slice(start=None, stop=int())):
                return self.base
            case (EllipsisType(), None, slice(start=None, stop=None)):
                return PointShape(self.base[..., None, :], self.offsets[..., None, :])
            case (EllipsisType(), None, slice(start=None, stop=int())):
                return self.base[..., None, :]
        raise TypeError(f"a shape with points is read as [..., width:], [..., :width] or with None; found {key}")


def shape_of(columns: Sequence[Any], wide: Any = None) -> Any:
    """The coefficients alone where there is nothing else, so that formulas see an ordinary tensor."""
    return wide if wide is not None and not columns else Shape(columns, wide)


# ---------------------------------------------------------------------------------------------- linear predictor


def _take(values: Any, rows: Any) -> Any:
    """Items of some rows."""
    return values[rows]


def _put(values: Any, rows: Any, new: Any) -> Any:
    """Values (row,) with others at some rows."""
    return pt.set_subtensor(values[rows], new)


def _product(matrix: Any, vector: Any) -> Any:
    """matrix . vector, as sums: without a BLAS (pip brings none) PyTensor's own product falls back to Python."""
    return pt.sum(matrix * vector, axis=1)


def _join_shape(parts: Sequence[Any], *, points: bool = False) -> Any:
    """Parts of the shape, (row,), or (row, coefficient) first of all, as the formulas index them.

    With `points` the last part is what each integration point adds to eta (row, point).
    """
    if points:
        return PointShape(_join_shape(parts[:-1]), parts[-1])
    wide = [part for part in parts if part.type.ndim == 2]
    return shape_of(parts[len(wide) :], wide[0] if wide else None)


def _beside(parts: Sequence[Any]) -> Any:
    """Arrays of the same rows joined along the trailing axis."""
    return pt.concatenate(parts, axis=-1)


# ---------------------------------------------------------------------------------------------- generalised gamma


class _GammaTail(Op):
    """log P(W > y) of the standardised generalised gamma law with q, elementwise."""

    __props__ = ()

    def make_node(self, y: Any, q: Any) -> Apply:
        y, q = _alike(y, q)
        return Apply(self, [y, q], [y.type()])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        output_storage[0][0] = gamma_tail.log_tail(*inputs)

    def infer_shape(self, node: Apply, shapes: Any) -> Any:
        return [shapes[0]]

    def pullback(self, inputs: Any, outputs: Any, output_grads: Any) -> Any:
        slopes: Any = _GammaTailSlopes()(*inputs)
        by_y, by_q = slopes
        return [output_grads[0] * by_y, output_grads[0] * by_q]


class _GammaTailSlopes(Op):
    """Both derivatives of `_GammaTail`."""

    __props__ = ()

    def make_node(self, y: Any, q: Any) -> Apply:
        return Apply(self, [y, q], [y.type(), y.type()])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        for storage, value in zip(output_storage, gamma_tail.log_tail_slopes(*inputs), strict=True):
            storage[0] = value

    def infer_shape(self, node: Apply, shapes: Any) -> Any:
        return [shapes[0], shapes[0]]


def _phi(x: Any) -> Any:
    """(exp(x) - 1 - x) / x^2 (`gamma_tail.phi`)."""
    series_holds = pt.abs(x) < gamma_tail.SERIES
    small, far = pt.switch(series_holds, x, 0.0), pt.switch(series_holds, 1.0, x)
    series = pt.zeros_like(small)
    for n in range(13, -1, -1):
        series = series * small + 1 / float(np.prod(np.arange(1.0, n + 3)))
    return pt.switch(series_holds, series, (pt.expm1(far) - far) / far**2)


def _stirling(q: Any) -> Any:
    series_holds = pt.abs(q) < gamma_tail.STIRLING
    s = pt.switch(series_holds, q, 0.0) ** 2
    series = s * (1 / 12 - s**2 * (1 / 360 - s**2 * (1 / 1260 - s**2 * (1 / 1680 - s**2 * (1 / 1188)))))
    a = 1 / pt.switch(series_holds, 1.0, q) ** 2
    exact = pt.gammaln(a) - (a - 0.5) * pt.log(a) + a - HALF_LOG_TWO_PI
    return pt.switch(series_holds, series, exact)


def _log_gamma_density(w: Any, q: Any) -> Any:
    return -(w**2) * _phi(pt.minimum(q * w, gamma_tail.LARGEST_EXPONENT)) - _stirling(q) - HALF_LOG_TWO_PI


# ---------------------------------------------------------------------------------------------- averaged arms


class _Mixture(Op):
    """`mixture.mixture` of log_cum (row,) and offsets (row, point): both functions, then what their slopes need."""

    __props__ = ()

    def make_node(self, log_cum: Any, offsets: Any) -> Apply:
        log_cum, offsets = pt.as_tensor_variable(log_cum), pt.as_tensor_variable(offsets)
        kinds = [offsets if name in ("ratio", "each") else log_cum for name in Mixture._fields]
        return Apply(self, [log_cum, offsets], [kind.type() for kind in kinds])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        for storage, value in zip(output_storage, mixture(*inputs), strict=True):
            storage[0] = value

    def infer_shape(self, node: Apply, shapes: Any) -> Any:
        return [shapes[1] if name in ("ratio", "each") else shapes[0] for name in Mixture._fields]

    def pullback(self, inputs: Any, outputs: Any, output_grads: Any) -> Any:
        output_slopes = [
            pt.zeros_like(inputs[0]) if isinstance(slope.type, DisconnectedType) else slope
            for slope in output_grads[:2]
        ]
        gradients: Any = _MixtureSlopes()(*outputs, *output_slopes)
        return list(gradients)


class _MixtureSlopes(Op):
    """`mixture.slopes`."""

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        variables = [pt.as_tensor_variable(value) for value in inputs]
        mixture_parts: Any = Mixture(*variables[:-2])
        return Apply(self, variables, [mixture_parts.z.type(), mixture_parts.each.type()])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        for storage, value in zip(output_storage, slopes(Mixture(*inputs[:-2]), *inputs[-2:]), strict=True):
            storage[0] = value

    def infer_shape(self, node: Apply, shapes: Any) -> Any:
        mixture_parts = Mixture(*shapes[:-2])
        return [mixture_parts.z, mixture_parts.each]


def _mixture(log_cum: Any, offsets: Any) -> Any:
    """Rows of both, made alike first: other axes (nodes of follow-up) are folded away."""
    alike, wide = pt.second(offsets[..., 0], log_cum), pt.second(log_cum[..., None], offsets)
    flat, shape = alike.ravel(), alike.shape
    wide = wide.reshape((-1, wide.shape[-1]), ndim=2)
    values: Any = _Mixture()(flat, wide)
    return [value.reshape(shape, ndim=log_cum.type.ndim) for value in values[:2]]


# ---------------------------------------------------------------------------------------------- roots


def join_shapes(parts: Sequence[np.ndarray], rows: tuple[int, ...]) -> np.ndarray:
    """Shape parameters given one by one (rows) as one array (rows, shape); coefficients (rows, k) stand first."""
    columns = [np.asarray(part) for part in parts]
    wide = [part if part.ndim > len(rows) else part[..., None] for part in columns]
    return np.concatenate(
        [np.broadcast_to(part, (*rows, part.shape[-1])) for part in wide] or [np.zeros((*rows, 0))], -1
    )


class _Root(Op):
    """log u at which a family's log H = log_cum, and what the family knows of that time; by `arrays.solve`."""

    __props__ = ()

    def __init__(self, family: Family) -> None:
        self.family = family

    def make_node(self, log_cum: Any, eta: Any, *shape: Any) -> Apply:
        """`shape`: the parameters one by one; the coefficients of a flexible baseline, a matrix, first."""
        log_cum, eta = _alike(log_cum, eta)
        shape = tuple(pt.as_tensor_variable(value) for value in shape)
        log_time = pt.tensor(dtype="float64", shape=(None,) * log_cum.ndim)
        features = (
            log_time if self.family.basis is None else pt.tensor(dtype="float64", shape=(None,) * (log_time.ndim + 1))
        )
        return Apply(self, [log_cum, eta, *shape], [log_time.type(), features.type()])

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        log_cum, eta, *shape = inputs
        log_u = numpy_solve(self.family, log_cum, eta, join_shapes(shape, np.shape(log_cum)))
        output_storage[0][0] = log_u
        output_storage[1][0] = np.array(self.family.place(log_u))

    def pullback(self, inputs: Any, outputs: Any, output_grads: Any) -> Any:
        """None: `_solve` adds a Newton step that has the derivative (rewriting may drop `disconnected_grad`)."""
        return [pt.zeros_like(value) for value in inputs]


def _solve(family: Family, log_cum: Any, eta: Any, shape: Any) -> Any:
    """The root, constant for the gradient, and one Newton step from it, which moves nothing and has its derivative."""
    find: Any = _Root(family)
    parts = shape.parts if isinstance(shape, Shape) else [shape]
    log_u, features = (disconnected_grad(value) for value in find(log_cum, eta, *parts))
    reached = family.log_cum_hazard(features, eta, shape, xp=TENSOR)
    slope = pt.exp(log_u + family.log_hazard(features, eta, shape, xp=TENSOR) - log_cum)
    return log_u + (log_cum - reached) / slope


TENSOR: Namespace = SimpleNamespace(
    exp=pt.exp,
    log=pt.log,
    log1p=pt.log1p,
    expm1=pt.expm1,
    abs=pt.abs,
    where=pt.switch,
    minimum=pt.minimum,
    gammaln=pt.gammaln,
    betaln=_betaln,
    betainc=Elemwise(_BetaincOfData(upgrade_to_float_no_complex, name="betainc")),
    log_ndtr=_log_ndtr,
    ndtri=_ndtri,
    log1mexp=pt.log1mexp,
    softplus=pt.softplus,
    logaddexp=pt.logaddexp,
    inner=_inner,
    sum=_sum,
    max=_max,
    log_gamma_density=_log_gamma_density,
    log_gamma_tail=_GammaTail(),
    mixture=_mixture,
    solve=_solve,
    take=_take,
    put=_put,
    product=_product,
    join_shape=_join_shape,
    columns=shape_of,
    beside=_beside,
)
