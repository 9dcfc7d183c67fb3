"""Whether the integration points of averaged arms are enough: other and more of them, and how far the answer moves.

What counts is not the log likelihood, of which a constant error is harmless, but the posterior: with l the log
likelihood under the spec's points and l' that under others, the mean of a parameter moves by cov(parameter, l' - l)
over the draws, to first order in the difference.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.gate import watched_parameters
from bayes_bm.inference.log_likelihood import averaged_log_likelihood
from bayes_bm.inference.predictors import read_predictors
from bayes_bm.inference.result import Result

ALLOWED = 0.1
"""Posterior sds by which a parameter may move."""
DRAWS = 400


@dataclass(frozen=True)
class IntegrationError:
    """The spec's points against twice as many others.

    `shift` is how many posterior sds the mean of `parameter`, the one that moves most, would move; `change` is that of
    the log likelihood at the posterior mean, and `worst` the arm where it is largest.
    """

    points: int
    parameter: str
    shift: float
    change: float
    worst: str
    worst_change: float

    @property
    def enough(self) -> bool:
        return abs(self.shift) <= ALLOWED

    @property
    def text(self) -> str:
        moved = (
            f"With {2 * self.points} other integration points in place of {self.points} the posterior mean of"
            f" {self.parameter} would move by {self.shift:.2g} of its sd, of others less; the log likelihood at the"
            f" posterior mean by {self.change:.2g} (most in {self.worst}: {self.worst_change:.2g})"
        )
        return f"{moved}." if self.enough else f"{moved}. More than {ALLOWED:g} sd: raise [integration] points."

    def document(self) -> dict[str, Any]:
        fields = {"points": self.points, "parameter": self.parameter, "shift": self.shift}
        return {**fields, "change": self.change, "worst": self.worst, "enough": self.enough}


def integration_error(result: Result) -> IntegrationError | None:
    """None where no arm is averaged over its covariates."""
    spec, evidence = result.spec, result.evidence
    if not result.inputs.any_integrated:
        return None
    count = spec.integration.points
    both = (result.inputs.arm_points, result.inputs.points(2 * count, scrambling=1))
    mean = result.posterior.mean(("chain", "draw")).expand_dims(chain=1, draw=1)
    middle = read_predictors(result.inputs, mean)
    change = np.subtract(*[averaged_log_likelihood(middle, points)[0] for points in both[::-1]])
    parameter, shift = _worst_shift(result, both)
    worst_arm = int(np.argmax(np.abs(change)))
    return IntegrationError(
        points=count,
        parameter=parameter,
        shift=shift,
        change=float(change.sum()),
        worst=_name(evidence, worst_arm),
        worst_change=float(change[worst_arm]),
    )


def _worst_shift(result: Result, both: tuple[np.ndarray, np.ndarray]) -> tuple[str, float]:
    """The watched parameter that moves most, and by how many of its sds."""
    posterior = result.posterior
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    thin = posterior.isel(draw=slice(None, None, max(1, total // DRAWS)))
    predictors = read_predictors(result.inputs, thin)
    used, other = (averaged_log_likelihood(predictors, points).sum(axis=1) for points in both)
    change = other - used - np.mean(other - used)
    shifts = {}
    for name, values in watched_parameters(thin).items():
        flat = values.to_numpy().reshape(len(change), -1)
        labels = [f"{name}[{column}]" for column in range(flat.shape[1])] if values.ndim > 2 else [str(name)]
        if values.ndim == 3:
            labels = [f"{name}[{label}]" for label in values[values.dims[-1]].to_numpy()]
        sd = flat.std(axis=0)
        moved = np.divide((flat - flat.mean(axis=0)).T @ change, len(change) * sd, out=0 * sd, where=sd > 0)
        shifts |= dict(zip(labels, moved.tolist(), strict=True))
    worst = max(shifts, key=lambda name: abs(shifts[name]))
    return worst, shifts[worst]


def _name(evidence: Evidence, arm_row: int) -> str:
    arm = evidence.arms.iloc[arm_row]
    return f"{arm['study']}, {arm['arm']}"
