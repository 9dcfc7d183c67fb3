"""Networks of a few studies, from one string or one row a study, and their exact posterior."""

from typing import Any

import numpy as np

from bayes_bm.evidence.records import Evidence
from bayes_bm.model.design import make_design
from bayes_bm.spec.document import Spec
from tests.builders import worlds

Row = dict[str, Any]


SIX = ["b", "c", "d", "e", "f"]


def counts(**studies: str) -> dict[str, list[Row]]:
    """Studies by name, each a string of one-letter treatments; an arm has n = 10 times its place in the alphabet."""
    arms = [(study, letter) for study, letters in studies.items() for letter in letters]
    size = {letter: 10 * (ord(letter) - ord("a") + 1) for _, letter in arms}
    named = [{"study": study, "arm": letter, "endpoint": "os"} for study, letter in arms]
    return {
        "arms": [{**row, "treatment": row["arm"], "n": size[row["arm"]]} for row in named],
        "counts": [{**row, "events": 4, "n": size[row["arm"]], "time": 12.0} for row in named],
    }


def net(tables: dict[str, list[Row]], compare: list[str] = SIX, **changes: Any):
    spec = worlds.spec(treatments={"reference": "a", "compare": compare}, **changes)
    return spec, worlds.evidence(spec, tables)


FREE: Row = {"effects__study": {"exchangeable": False}, "effects__study_shape": None}


FIXED: Row = {**FREE, "effects__study_treatment": None}


def ratio(study: str, treatment: str, reference: str, log_hr: float, se: float, shared: float | None = None) -> Row:
    named = {"study": study, "endpoint": "os", "treatment": treatment, "reference": reference}
    return {**named, "hr": float(np.exp(log_hr)), "se_log_hr": se, "se_reference": shared}


LOOP = [
    ratio("ab1", "b", "a", -0.30, 0.20),
    ratio("ab2", "b", "a", -0.10, 0.30),
    ratio("ac", "c", "a", -0.50, 0.25),
    ratio("bc", "c", "b", 0.10, 0.15),
]


def ratios(rows: list[Row], compare: list[str], **changes: Any) -> tuple[Spec, Evidence]:
    return net({"hazard_ratios": rows}, compare, **{**FIXED, **changes})


def exact(spec: Spec, evidence: Evidence, *, heterogeneity: float = 0.0) -> tuple[dict[str, float], np.ndarray]:
    """Posterior mean and covariance of log_hr by least squares, from the index arrays that the model reads."""
    shape = make_design(spec, evidence)
    rows = len(evidence.hazard_ratios)
    treatment, pair = np.zeros((rows, len(shape.treatments))), np.zeros((rows, len(shape.pairs) + 1))
    for row in range(rows):
        treatment[row, shape.hr_treatment[row]] += 1
        treatment[row, shape.hr_reference[row]] -= 1
        pair[row, shape.hr_pair[row]] += 1
        pair[row, shape.hr_reference_pair[row]] -= 1
    spread = heterogeneity * pair[:, 1:] @ shape.pair_factor
    weight = np.linalg.inv(evidence.hr_cholesky @ evidence.hr_cholesky.T + spread @ spread.T)
    x, prior = treatment[:, 1:], np.eye(len(shape.compared)) / spec.priors.log_hr.sd**2  # type: ignore[union-attr]
    covariance = np.linalg.inv(x.T @ weight @ x + prior)
    mean = covariance @ x.T @ weight @ evidence.hazard_ratios["log_hr"].to_numpy()
    return dict(zip(shape.compared, mean, strict=True)), covariance


VAGUE = {"priors__log_hr": worlds.normal(1e3)}
