"""Arms whose patients differ, in a model of several causes: a patient's covariates move the hazard of every cause.

An arm whose row states its covariates is averaged at the integration points of a single cause's model, the same points
for every cause. Equal points, of which two-valued covariates leave few, are one kind of patient with their weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.evidence.arm_covariates import averaged_arms
from bayes_bm.evidence.records import Evidence
from bayes_bm.model.covariates.integration_points import arm_points
from bayes_bm.spec.document import Spec

NO_SHARE = -800.0
"""Log weight of a kind that an arm does not have: exp of it is zero, and no infinity enters a sum."""


@dataclass(frozen=True)
class PatientKinds:
    """Kinds of patients of the arm of each row: covariates, centred and scaled (row, kind, covariate), and log weights
    (row, kind), which sum to one.
    """

    x: np.ndarray
    log_weight: np.ndarray


def patient_kinds(spec: Spec, evidence: Evidence, part: Evidence, arm_row: np.ndarray) -> PatientKinds | None:
    """Return the kinds behind rows of some arms of a part; None where no arm of it is averaged.

    `evidence` is that of a cause, whose patients say how covariates go together. An arm that does not state its
    covariates is one kind at the centres, as in a model of one cause.
    """
    averaged = averaged_arms(spec, part.arms, part.patients)
    if not averaged[arm_row].any():
        return None
    points = arm_points(spec, replace(evidence, arms=part.arms), averaged)
    used, place = np.unique(arm_row, return_inverse=True)
    found = [np.unique(points[arm], axis=0, return_counts=True) for arm in used]
    x = _padded([kinds for kinds, _ in found], 0.0)
    log_weight = _padded([np.log(count / count.sum()) for _, count in found], NO_SHARE)
    return PatientKinds(x[place], log_weight[place])


def _padded(rows: Sequence[np.ndarray], filler: float) -> np.ndarray:
    """Rows of unequal length as one array, filled up."""
    longest = max(len(row) for row in rows)
    return np.stack(
        [np.pad(row, ((0, longest - len(row)), *((0, 0),) * (row.ndim - 1)), constant_values=filler) for row in rows]
    )
