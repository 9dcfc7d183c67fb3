"""Arms averaged over their mixes in corners: rare kinds, strong and no effects, wide and no spread, by the slow twin.

Nodes are right to 1e-8 of survival, not of its logarithm: where everybody is long dead (a log density of -122, with a
mean three sds off and a coefficient times spread of 1) it is off by 0.008.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from bayes_bm.inference.log_likelihood import pointwise_log_likelihood
from tests.builders import worlds
from tests.builders.graphs import as_parameters
from tests.model.test_case_mix import AGE, MALE, TABLES, posterior
from tests.witness import slow_twin

NAMES = ("male", "age")
TERMS = {"male": MALE, "age": AGE}
KEPT = {("m1", "x"), ("c1", "x")}
"""Arms known from a median and from a count."""
ROWS = {
    kind: [row for row in TABLES[kind] if (row["study"], row["arm"]) in KEPT] for kind in ("arms", "medians", "counts")
}


@cache
def base() -> Any:
    spec = worlds.spec(covariates=TERMS)
    return posterior(spec, worlds.evidence(spec, ROWS), draws=1)


@pytest.mark.slow
@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    share=some.sampled_from([1e-6, 0.02, 0.5, 0.999]) | some.floats(0.01, 0.99),
    mean=some.floats(50, 72),
    spread=some.sampled_from([1e-3, 1.0, 12.0]),
    slopes=some.tuples(some.sampled_from([0.0, -2.5, 0.4, 2.5]), some.sampled_from([0.0, -0.5, 0.3])),
)
def test_arms_in_corners_have_the_density_of_the_slow_twin(
    share: float, mean: float, spread: float, slopes: tuple[float, float]
) -> None:
    result = base()
    mixes, spec, evidence = result.inputs.arm_mixes, result.spec, result.evidence
    assert mixes is not None
    given_mix = np.broadcast_to([share, mean], (2, 1, len(mixes.arms), 2))
    # arms that print say it of themselves
    values = np.where(np.isfinite(mixes.printed), mixes.printed, given_mix)
    more = {
        "case_mix": (("chain", "draw", "case_mix_arm", "covariate"), values),
        "case_mix_within": (("chain", "draw", "spread_covariate"), np.full((2, 1, 1), spread)),
        "coefficient": (("chain", "draw", "covariate"), np.broadcast_to(slopes, (2, 1, 2)).copy()),
    }
    moved = replace(result, posterior=result.posterior.assign(more), stored_log_likelihood=None)
    ours = pointwise_log_likelihood(moved.predictors)
    one = moved.posterior.isel(chain=0, draw=0)
    found = {str(name): one[name].to_numpy() for name in one.data_vars}
    keys = list(zip(evidence.arms["study"], evidence.arms["arm"], strict=True))
    within = np.where(np.isfinite(mixes.within[:, 1]), mixes.within[:, 1], spread)
    parameters = as_parameters(found, spec, result.inputs.design) | {
        "case_mix": {
            key: dict(zip(NAMES, map(float, row), strict=True)) for key, row in zip(keys, values[0, 0], strict=True)
        },
        "case_mix_spread": {key: {"age": float(sd)} for key, sd in zip(keys, within, strict=True)},
    }
    witness = slow_twin.log_likelihood(worlds.document(covariates=TERMS), ROWS, parameters)
    for kind in ("medians", "counts"):
        expected = sum(map(float, witness[kind]))
        assert float(np.sum(ours[kind].to_numpy()[0, 0])) == pytest.approx(expected, rel=1e-6, abs=1e-8), kind
