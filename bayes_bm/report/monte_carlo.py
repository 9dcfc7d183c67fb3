"""What another run of the sampler would change, as clauses of the answer; nothing where a table does not know it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayes_bm.report.material import Answers
from bayes_bm.report.text import error_text
from bayes_bm.spec.document import Spec

Row = Mapping[Any, Any]


def largest_error(spec: Spec, rows: Sequence[Row]) -> float:
    """Return the largest Monte Carlo error of medians and ends of some rows of an answer table; NaN without any."""
    names = ("median", *spec.interval.names)
    errors = [float(row.get(f"mcse_{name}", np.nan)) for row in rows for name in names]
    return max((error for error in errors if np.isfinite(error)), default=float("nan"))


def error_clause(error: float) -> str:
    """Return `Monte Carlo error 0.01`; nothing where it is not known."""
    shown = error_text(error)
    return f"Monte Carlo error {shown}" if shown else ""


def absolute_errors(answers: Answers, names: Sequence[str]) -> str:
    """Return ` (Monte Carlo error at most 0.005 of survival, 0.1 of restricted means)` of what the sentence says."""
    spec, parts = answers.spec, []
    for what, estimand in (("survival", "survival"), ("restricted means", "rmst")):
        rows = [answers.row("new-study", estimand, name, time=answers.time) for name in spec.treatments.names]
        contrasts = [
            answers.row(who, f"{estimand}_difference", name, time=answers.time)
            for who in ("new-study", "new-hospital")
            for name in names
        ]
        shown = error_text(largest_error(spec, [*rows, *contrasts]))
        parts += [f"{shown} of {what}"] if shown else []
    return f" (Monte Carlo error at most {', '.join(parts)})" if parts else ""


def survival_error(answers: Answers) -> str:
    """Return the largest Monte Carlo error of differences of survival, in brackets."""
    rows = [
        answers.row(who, "survival_difference", name, time=answers.time)
        for who in ("new-study", "new-hospital")
        for name in answers.compared
    ]
    words = error_clause(largest_error(answers.spec, rows))
    return f" ({words} at most)" if words else ""
