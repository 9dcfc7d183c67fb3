"""A small world with every kind of evidence, for tests of the model against its witness."""

import copy
from dataclasses import fields, replace
from typing import Any

import pandas as pd

from bayes_bm.evidence.reading import select
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import parse_spec


def normal(sd: float, mean: float = 0.0) -> dict[str, Any]:
    return {"dist": "normal", "mean": mean, "sd": sd, "why": "test"}


def half_normal(sd: float) -> dict[str, Any]:
    return {"dist": "half_normal", "sd": sd, "why": "test"}


DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "name": "world",
    "question": "does the model agree with its witness?",
    "endpoint": "os",
    "reference_time": 12.0,
    "horizon": 24.0,
    "seed": 7,
    "treatments": {"reference": "a", "compare": ["b", "c"]},
    "effects": {
        "study": {"sd": half_normal(0.5)},
        "study_treatment": {"sd": half_normal(0.3)},
        "study_shape": {"sd": half_normal(0.2)},
    },
    "priors": {"intercept": normal(1.0), "log_hr": normal(1.0), "log_shape": normal(0.3)},
}

TABLES: dict[str, list[dict[str, Any]]] = {
    "patients": [
        {"study": "p1", "arm": "x", "treatment": "a", "time": 3.5, "event": 1},
        {"study": "p1", "arm": "x", "treatment": "a", "time": 9.0, "event": 0},
        {"study": "p1", "arm": "x", "treatment": "a", "time": 14.0, "event": 1, "weight": 0.5},
        {"study": "p1", "arm": "y", "treatment": "b", "time": 20.0, "event": 1, "entry": 4.0},
        {"study": "p1", "arm": "y", "treatment": "b", "time": 6.0, "event": 1, "time_upper": 9.0},
        {"study": "p1", "arm": "y", "treatment": "b", "time": 30.0, "event": 0, "entry": 2.0},
    ],
    "arms": [
        {"study": "p1", "arm": "x", "treatment": "a", "endpoint": "os", "n": 3},
        {"study": "p1", "arm": "y", "treatment": "b", "endpoint": "os", "n": 3, "survived_to": 3.0},
        {"study": "s1", "arm": "x", "treatment": "a", "endpoint": "os", "n": 30, "events": 30},
        {"study": "s1", "arm": "y", "treatment": "c", "endpoint": "os", "n": 40, "events": 35, "clock_shift": 2.0},
        {"study": "s2", "arm": "x", "treatment": "b", "endpoint": "os", "n": 25, "survived_to": 2.0},
        {"study": "m1", "arm": "x", "treatment": "a", "endpoint": "os", "n": 48},
        {
            "study": "m2",
            "arm": "x",
            "treatment": "b",
            "endpoint": "os",
            "n": 28,
            "clock_shift": 1.5,
            "survived_to": 1.0,
        },
        {"study": "m3", "arm": "x", "treatment": "c", "endpoint": "os", "n": 39, "followup": 20.0},
        {"study": "m4", "arm": "x", "treatment": "c", "endpoint": "os", "n": 39},
        {"study": "c1", "arm": "x", "treatment": "a", "endpoint": "os", "n": 60},
        {"study": "c1", "arm": "y", "treatment": "b", "endpoint": "os", "n": 55, "survived_to": 1.0},
        {
            "study": "l1",
            "arm": "x",
            "treatment": "b",
            "endpoint": "os",
            "n": 36,
            "unit_of_analysis": "lesion",
            "n_lesions": 36,
            "n_patients": 30,
        },
    ],
    "points": [
        {"study": "s1", "arm": "x", "endpoint": "os", "time": 12.0, "survival": 0.655, "ci_low": 0.473, "ci_high": 0.8},
        {
            "study": "s1",
            "arm": "x",
            "endpoint": "os",
            "time": 24.0,
            "survival": 0.276,
            "ci_low": 0.147,
            "ci_high": 0.457,
        },
        {"study": "s1", "arm": "y", "endpoint": "os", "time": 6.0, "survival": 0.7},
        {"study": "s1", "arm": "y", "endpoint": "os", "time": 12.0, "survival": 0.4, "n": 38},
        {"study": "s2", "arm": "x", "endpoint": "os", "time": 12.0, "survival": 0.5},
        {"study": "s2", "arm": "x", "endpoint": "os", "time": 24.0, "survival": 0.5},
        {"study": "l1", "arm": "x", "endpoint": "os", "time": 12.0, "survival": 0.7},
    ],
    "medians": [
        {"study": "s1", "arm": "x", "endpoint": "os", "median": 14.2},
        {"study": "m1", "arm": "x", "endpoint": "os", "median": 20.2},
        {"study": "m2", "arm": "x", "endpoint": "os", "median": 9.5, "ci_low": 6.3, "ci_high": 15.0, "ci_level": 0.9},
        {"study": "m3", "arm": "x", "endpoint": "os", "median": None},
        {"study": "m4", "arm": "x", "endpoint": "os", "median": 27.2, "ci_low": 16.1},
    ],
    "hazard_ratios": [
        {
            "study": "h1",
            "endpoint": "os",
            "treatment": "b",
            "reference": "a",
            "hr": 0.7,
            "ci_low": 0.5,
            "ci_high": 0.98,
        },
        {
            "study": "h2",
            "endpoint": "os",
            "treatment": "b",
            "reference": "a",
            "hr": 0.8,
            "se_log_hr": 0.2,
            "se_reference": 0.1,
        },
        {
            "study": "h2",
            "endpoint": "os",
            "treatment": "c",
            "reference": "a",
            "hr": 0.9,
            "se_log_hr": 0.25,
            "se_reference": 0.1,
        },
        {"study": "h3", "endpoint": "os", "treatment": "c", "reference": "b", "hr": 1.3, "p": 0.04},
        {"study": "h4", "endpoint": "os", "treatment": "c", "reference": "b", "hr": 0.6, "p_below": 0.001},
    ],
    "counts": [
        {"study": "c1", "arm": "x", "endpoint": "os", "events": 21, "n": 60, "time": 9.0},
        {"study": "c1", "arm": "y", "endpoint": "os", "events": 12, "n": 55, "time": 9.0},
    ],
}


def document(**changes: Any) -> dict[str, Any]:
    """The world's spec as a document, with dotted keys changed; `None` removes a key."""
    found = copy.deepcopy(DOCUMENT)
    for dotted, value in changes.items():
        *parents, leaf = dotted.split("__")
        table = found
        for parent in parents:
            table = table.setdefault(parent, {})
        if value is None:
            table.pop(leaf, None)
        else:
            table[leaf] = value
    return found


def spec(**changes: Any) -> Spec:
    return parse_spec(document(**changes))


def checked(kind: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A table of rows in memory, checked once as a file is, then copied."""
    key = f"{kind} {rows}"
    if key not in CHECKED:
        CHECKED[key] = check_table(kind, pd.DataFrame(rows), where=kind)
    return CHECKED[key].copy()


CHECKED: dict[str, pd.DataFrame] = {}
"""Tables checked before, by the text of their rows."""


def evidence(of: Spec, tables: dict[str, list[dict[str, Any]]] = TABLES) -> Evidence:
    """Evidence from rows in memory, checked as files are: read once for a spec and its rows, then copied.

    Reading costs a third of a second, and most tests ask for a world that another has asked for.
    """
    key = f"{of.folder} {of.digest()} {tables}"
    if key not in READ:
        READ[key] = select(of, {kind: checked(kind, rows) for kind, rows in tables.items() if rows})
    found = READ[key]
    kept = {field.name: getattr(found, field.name) for field in fields(found)}
    copied = {name: table.copy() for name, table in kept.items() if isinstance(table, pd.DataFrame)}
    return replace(found, **copied, hr_cholesky=found.hr_cholesky.copy())


READ: dict[str, Evidence] = {}
"""Evidence read before, by the text of spec and rows."""
