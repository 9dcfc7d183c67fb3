"""Whether the integration points of averaged arms are enough: other and more of them, and how far the answer moves."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_bm.evidence import Evidence
from bayes_bm.fit import Result, averaged_log_likelihood
from bayes_bm.integration import any_averaged, arm_points

ALLOWED = 0.1
"""Change of the log likelihood above which more points are asked for: a tenth of a unit is no evidence for anything."""


@dataclass(frozen=True)
class IntegrationError:
    """Log likelihood of the averaged arms at the posterior mean, with the spec's points and with twice as many others.

    `worst` names the arm that moves most, and by how much.
    """

    points: int
    with_points: float
    with_more: float
    worst: str
    worst_change: float

    @property
    def change(self) -> float:
        return self.with_more - self.with_points

    @property
    def enough(self) -> bool:
        return abs(self.change) <= ALLOWED

    @property
    def text(self) -> str:
        moved = (
            f"With {2 * self.points} other integration points in place of {self.points} the log likelihood at the"
            f" posterior mean moves by {self.change:.2g} (most in {self.worst}: {self.worst_change:.2g})"
        )
        return f"{moved}." if self.enough else f"{moved}; more than {ALLOWED:g}: raise [integration] points."

    def document(self) -> dict[str, Any]:
        return {"points": self.points, "change": self.change, "worst": self.worst, "enough": self.enough}


def integration_error(result: Result) -> IntegrationError | None:
    """None where no arm is averaged over its covariates."""
    spec, evidence = result.spec, result.evidence
    if not any_averaged(spec, evidence):
        return None
    count = spec.integration.points
    used = averaged_log_likelihood(result, arm_points(spec, evidence))
    other = averaged_log_likelihood(result, arm_points(spec, evidence, points=2 * count, scrambling=1))
    at = int(np.argmax(np.abs(other - used)))
    return IntegrationError(
        points=count,
        with_points=float(used.sum()),
        with_more=float(other.sum()),
        worst=_name(evidence, at),
        worst_change=float((other - used)[at]),
    )


def _name(evidence: Evidence, arm_row: int) -> str:
    arm = evidence.arms.iloc[arm_row]
    return f"{arm['study']}, {arm['arm']}"
