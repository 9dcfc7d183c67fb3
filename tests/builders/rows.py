"""Rows of evidence in a line each, and a posterior that is known exactly."""

from typing import Any

from bayes_bm.inference.result import Result
from tests.builders import posteriors, worlds

PLAIN = {"effects": {}}


Row = dict[str, Any]


def arm(study: str, name: str, treatment: str, n: float | None = 40, **more: Any) -> Row:
    return {"study": study, "arm": name, "treatment": treatment, "endpoint": "os", "n": n, **more}


def median(study: str, name: str, value: float | None, **more: Any) -> Row:
    return {"study": study, "arm": name, "endpoint": "os", "median": value, **more}


def point(study: str, name: str, time: float, survival: float, **more: Any) -> Row:
    return {"study": study, "arm": name, "endpoint": "os", "time": time, "survival": survival, **more}


def ratio(study: str, treatment: str, reference: str, hr: float, se: float, **more: Any) -> Row:
    names = {"study": study, "endpoint": "os", "treatment": treatment, "reference": reference}
    return {**names, "hr": hr, "se_log_hr": se, **more}


def known(
    tables: dict[str, list[Row]], *, eta: float = 0.0, log_shape: float = 0.0, draws: int = 20_000, **changes: Any
) -> Result:
    """Every draw the same: log H = k log(t / 12) + eta for the reference, log HR 0.5 for b and -0.5 for c."""
    spec = worlds.spec(**{**PLAIN, **changes})
    found = worlds.evidence(spec, tables)
    return posteriors.result(spec, found, draws=draws, intercept=eta, log_shape=log_shape, log_hr=[0.5, -0.5])
