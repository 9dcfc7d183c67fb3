"""Arms that are a mixture with weights, at draws: the compiled pass is the formula of any family."""

import numpy as np
import pytest

from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.mixed_arms import MixedArms


@pytest.mark.parametrize("name", ["weibull", "gompertz", "lognormal"])
@pytest.mark.parametrize("times", [1, 3])
def test_compiled_mixtures_are_those_of_the_formula(name: str, times: int) -> None:
    """Parts far apart, of next to no weight, early and late; of a row's own time and of many."""
    rng, family, parts = np.random.default_rng(1), FAMILIES[name], 4
    share = rng.dirichlet(np.full(parts, 0.5), size=(50, 6))
    offset = rng.standard_normal((50, 6, parts))
    of_base = 0.3 * rng.standard_normal((50, 6, len(family.shapes)))
    shape = np.concatenate([of_base, offset, np.log(share)], axis=-1)[:, :, None]
    eta, log_u = rng.standard_normal((50, 6, 1)), rng.uniform(-4, 1.5, (50, 6, times))
    right, ours = AveragedOverCovariates(family, parts, weighted=True), MixedArms(family, parts)
    for function in ("log_cum_hazard", "log_hazard"):
        expected = getattr(right, function)(log_u, eta, shape, xp=NUMPY)
        assert getattr(ours, function)(log_u, eta, shape, xp=NUMPY) == pytest.approx(expected, rel=1e-10, abs=1e-10)
    for mine, expected in zip(
        ours.log_hazards(log_u, eta, shape, xp=NUMPY), right.log_hazards(log_u, eta, shape, xp=NUMPY), strict=True
    ):
        assert mine == pytest.approx(expected, rel=1e-10, abs=1e-10)
