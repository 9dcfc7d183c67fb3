"""Fits to imputed patients whose draws took a tenth of their sweeps, where only what is done with them is asked."""

from typing import Any

from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.fit import fit
from bayes_bm.inference.result import Result
from bayes_bm.reconstruction.clicked import solve
from bayes_bm.spec.document import Spec

SHORT = 3
"""States' worth of sweeps behind a draw."""


def fit_of_short_chains(spec: Spec, evidence: Evidence, **given: Any) -> Result:
    """In a process of its own, which knows nothing of what a test has changed."""
    solve.ALONE = SHORT
    return fit(spec, evidence, **given)
