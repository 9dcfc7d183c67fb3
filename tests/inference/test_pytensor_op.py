"""The compiled density inside a PyMC model: the same value and gradient; PyTensor's own check of gradients holds."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import verify_grad

from bayes_bm.inference.compiled.nutpie import log_density
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.compiled.pytensor_op import log_density_op
from bayes_bm.model.model_inputs import prepare
from tests.builders.graphs import UNOPTIMISED
from tests.builders.structures import STRUCTURES, points, world


@pytest.mark.parametrize("name", ["every kind of evidence", "covariates by treatment"])
def test_the_gradient_is_that_of_the_value_by_pytensors_check(name: str) -> None:
    at, data = pack_problem(prepare(*world(STRUCTURES[name])))
    density = log_density_op(data)
    given = {"rng": np.random.default_rng(1), "abs_tol": 1e-4, "rel_tol": 1e-4, "mode": UNOPTIMISED}
    verify_grad(lambda x: density(x), [next(points(at))], **given)


def test_a_pymc_model_holds_it_beside_terms_of_its_own() -> None:
    at, data = pack_problem(prepare(*world({})))
    with pm.Model() as model:
        x = pm.Flat("x", shape=at.size)
        pm.Potential("density", log_density_op(data)(x))
        pm.Potential("more", -0.5 * pt.sum((x - 1) ** 2))
    both = model.logp_dlogp_function(ravel_inputs=True, mode=UNOPTIMISED)
    both.set_extra_values({})
    point = next(points(at))
    value, gradient = log_density(point, data)
    found = both._pytensor_function(point)
    assert float(found[0]) == pytest.approx(value - 0.5 * np.sum((point - 1) ** 2), rel=1e-12)
    np.testing.assert_allclose(found[1], gradient - (point - 1), rtol=1e-12)


def test_two_problems_are_two_operations_and_there_is_no_second_derivative() -> None:
    _, one = pack_problem(prepare(*world({})))
    _, other = pack_problem(prepare(*world(STRUCTURES["biases"])))
    assert log_density_op(one)(pt.dvector()).owner.op != log_density_op(other)(pt.dvector()).owner.op
    x = pt.dvector("x")
    slope = pytensor.grad(log_density_op(one)(x), x)
    with pytest.raises(NotImplementedError, match="second derivative"):
        pytensor.grad(pt.sum(slope), x)
