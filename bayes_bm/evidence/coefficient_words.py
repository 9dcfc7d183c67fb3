"""What informs each coefficient, in words for whoever reads a patient's answer."""

from collections.abc import Iterable

import numpy as np

from bayes_bm.evidence.audit import PRIOR_ONLY, PUBLISHED, coefficients
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.frames import records
from bayes_bm.spec.document import Spec


def informed_by(spec: Spec, evidence: Evidence) -> dict[str, str]:
    """Return what informs the coefficient of each covariate: rows, studies, patients, and what is from elsewhere."""
    table = coefficients(spec, evidence)
    own = records(table[table["interaction_with"] == ""])
    return {str(row["covariate"]): _words(row) for row in own}


def _words(row: dict) -> str:
    parts = []
    ratios = int(row.get("ratios", 0))
    if ratios:
        outside = row["share_external"]
        elsewhere = f", {100 * outside:.0f} % of their precision from another setting" if outside > 0 else ""
        parts.append(
            f"{_count(ratios, 'published ratio')} of {_count(row['ratio_studies'], 'study')},"
            f" {_count(row['ratio_patients'], 'patient')}{elsewhere}"
        )
    if row["source"] not in (PRIOR_ONLY, PUBLISHED):
        unit = "patient" if row["source"].startswith("within") else "arm"
        parts.append(f"{_count(row['rows'], unit)} of {_count(row['studies'], 'study')} ({row['source']})")
    return "; ".join(parts) or "its prior alone"


def _count(number: float, noun: str) -> str:
    """A number with its noun."""
    if not np.isfinite(number):
        return f"{noun}s not counted"
    plural = noun if number == 1 else f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,.0f} {plural}"


def informed_sentence(spec: Spec, evidence: Evidence, names: Iterable[str]) -> str:
    """Return one sentence about the coefficients of some covariates; nothing of none."""
    words = informed_by(spec, evidence)
    told = "; ".join(f"{name} by {words[name]}" for name in names if name in words)
    return f"Coefficients are informed: {told}." if told else ""
