"""Modifiers hold a family: every combination pickles, compares by what it holds, and computes the same afterwards."""

import pickle

import numpy as np
import pytest

from bayes_bm.hazards import FAMILIES, Family
from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.hazards.modifiers.background import with_background
from bayes_bm.hazards.modifiers.cure import Cured
from bayes_bm.hazards.modifiers.unknown_clock import UnknownClock
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY

LOG_U = np.array([-3.0, -0.4, 0.0, 0.7])


def combinations() -> list[Family]:
    ready = [family.on_knots((0.5, 1.0), 2.0) if family.on_knots else family for family in FAMILIES.values()]
    cured = [Cured(family) for family in ready]
    background = [with_background(family, np.array([0.0, 1.5]), np.array([0.1, 0.2])) for family in [*ready, *cured]]
    averaged = [AveragedOverCovariates(family, 3) for family in [*ready, *cured, *background]]
    weighted = [AveragedOverCovariates(family, 2, weighted=True) for family in ready]
    clocked = [UnknownClock(family) for family in [*ready, *cured] if family.basis is None]
    return [*ready, *cured, *background, *averaged, *weighted, *clocked]


@pytest.mark.parametrize("family", combinations(), ids=lambda family: f"{type(family).__name__} {family.name}")
def test_a_family_pickles_and_computes_the_same(family: Family) -> None:
    again = pickle.loads(pickle.dumps(family))
    assert again == family
    shape = np.linspace(0.1, 0.4, family.width) * np.ones((len(LOG_U), 1))
    if getattr(family, "weighted", False):
        shape[:, -2:] = np.log([0.3, 0.7])  # log weights of the two points, which sum to one
    for name in ("log_cum_hazard", "log_hazard"):
        ours, theirs = (
            getattr(one, name)(one.place(LOG_U), np.full(len(LOG_U), -0.2), shape, xp=NUMPY) for one in (family, again)
        )
        assert np.isfinite(ours).all()
        np.testing.assert_array_equal(ours, theirs)


def test_a_modifier_of_another_family_is_another() -> None:
    assert Cured(FAMILIES["weibull"]) == Cured(FAMILIES["weibull"])
    assert Cured(FAMILIES["weibull"]) != Cured(FAMILIES["lognormal"])
