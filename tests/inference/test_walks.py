"""Derivatives by going backwards through a graph are those that PyTensor makes a graph for."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

from tests.builders.graphs import MOST_OPERANDS, evaluated, start, terms, vector_of
from tests.builders.walks import Walk


@pytest.mark.slow
def test_derivatives_are_those_of_pytensors_own_graph() -> None:
    """Broadcasting, indices, a matrix, two outputs of one operation's worth of shapes, and a sum of many terms."""
    rng = np.random.default_rng(1)
    model: Any = pm.Model()
    with model:
        a, b = pm.Normal("a", shape=3), pm.HalfNormal("b")
        c = pm.StudentT("c", nu=4.0, shape=(2, 3))
        rows = pt.concatenate([a[np.array([0, 2, 2])], pt.log1p(b)[None]]) @ rng.normal(size=(4, 3))
        table = pt.switch(pt.gt(c, 0.0), c * rows, pt.exp(c) / b)
        bounded = pm.Uniform("bounded", -b, 1 + b)
        pm.Normal("seen", a[:2] * bounded, b, observed=np.array([0.3, -1.0]))
        pm.Potential("table", pt.log(pt.sum(pt.exp(table), axis=0)).sum() + pt.prod(1 + table**2))
        pm.Potential("many", pt.add(*[(a[0] * b) ** 2 / (2 + k) for k in range(MOST_OPERANDS + 3)]))
    evaluate, _ = vector_of(model)
    begun = model.initial_point()
    assert start(model) == {name: pytest.approx(value, abs=1e-12) for name, value in begun.items()}
    point = {name: value + 0.5 * rng.normal(size=np.shape(value)) for name, value in begun.items()}
    value, found = evaluate(np.concatenate([np.ravel(point[of.name]) for of in model.value_vars]))
    by_name = dict(zip(terms(model), model.logp(sum=False), strict=True))
    for name, theirs in by_name.items():
        np.testing.assert_allclose(evaluated(model, terms(model)[name], point), Walk([theirs])(point)[0], rtol=1e-13)
    density: Any = model.logp()
    wanted = [np.ravel(one) for one in Walk(pytensor.grad(density, model.value_vars))(point)]
    np.testing.assert_allclose(value, Walk([density])(point)[0], rtol=1e-13)
    np.testing.assert_allclose(found, np.concatenate(wanted), rtol=1e-12, atol=1e-12)
