"""Joint results made by hand: a posterior of several causes that is stated, not sampled."""

from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.inference.causes.density import joint_inputs
from bayes_bm.inference.causes.result import JointResult
from tests.builders import causes as builders
from tests.builders import posteriors


def by_hand(
    correlation: float = 0.0,
    draws: int = 8,
    fixed: dict[str, Any] | None = None,
    rows: dict[str, Any] | None = None,
    **changes: Any,
) -> JointResult:
    """A joint posterior that is stated, not sampled; `rows` are its evidence, by default all kinds.

    It is made once in a process: no test changes what it gets.
    """
    key = f"{correlation} {draws} {fixed} {rows} {changes}"
    if key not in MADE:
        MADE[key] = _made(correlation, draws, fixed, rows, changes)
    return MADE[key]


MADE: dict[str, JointResult] = {}
"""Results made before, by the text of what was asked."""


def _made(
    correlation: float,
    draws: int,
    fixed: dict[str, Any] | None,
    rows: dict[str, Any] | None,
    changes: dict[str, Any],
) -> JointResult:
    of = builders.causes(**changes)
    usual = builders.with_patients() if "covariates" not in changes else aged()
    evidence = builders.evidence(of, usual if rows is None else rows)
    inputs = joint_inputs(of, evidence)
    results = {
        name: posteriors.result(one.spec, one.evidence, chains=1, draws=draws, seed=place + 1, **(fixed or {}))
        for place, (name, one) in enumerate(zip(of.names, inputs.inputs, strict=True))
    }
    values = xr.DataArray(
        np.full((1, draws, 1), correlation), dims=("chain", "draw", "pair"), coords={"pair": ["f, d"]}
    )
    return JointResult(of, evidence, results, values, posteriors.PASSED)


def aged() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    return {"patients": [{**row, "age": float(rng.choice([50.0, 60.0, 75.0]))} for row in builders.patients()]}
