"""Columns of every evidence table, their kinds and limits."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from bayes_bm.evidence.tables.vocabulary import MEASURES, POPULATIONS, RATIO_MODELS, RATIOS, TIME_UNITS
from bayes_bm.runtime.errors import InputError


@dataclass(frozen=True)
class Column:
    """What a column holds: `kind` is text, number or whole; the limits are closed unless `open_low` or `open_high`."""

    kind: str = "text"
    required: bool = False
    filled: bool = False
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    choices: tuple[str, ...] = ()
    hint: str = ""

    @property
    def allowed(self) -> str:
        if self.choices:
            return ", ".join(self.choices)
        low = f"{'above' if self.open_low else 'at least'} {self.low:g}" if self.low > -math.inf else ""
        high = f"{'below' if self.open_high else 'at most'} {self.high:g}" if self.high < math.inf else ""
        noun = {"text": "text", "number": "a number", "whole": "a whole number"}[self.kind]
        return " and ".join(part for part in (f"{noun} {low}".strip(), high) if part)

    def accepts(self, values: np.ndarray) -> np.ndarray:
        """True where the value may stand (a blank is judged by `filled`, not here)."""
        if self.kind == "text":
            allowed = not self.choices
            return np.fromiter((allowed or value in self.choices for value in values), bool, len(values))
        meets_low = values > self.low if self.open_low else values >= self.low
        meets_high = values < self.high if self.open_high else values <= self.high
        meets = meets_low & meets_high & np.isfinite(values)
        return meets & (values == np.floor(values)) if self.kind == "whole" else meets


TEXT = Column()
NAME = Column(required=True, filled=True)
PROPORTION = Column("number", low=0, high=1, hint="survival and shares are proportions")
POSITIVE = Column("number", low=0, open_low=True)
NOT_NEGATIVE = Column("number", low=0)
OPEN_UNIT = Column("number", low=0, high=1, open_low=True, open_high=True)
SIZE = Column("whole", low=1)
EVENTS = Column("whole", low=0)
SHARE_SIZE = Column("whole", low=0, hint="0 where the series took only such patients")


def _must(column: Column, *, filled: bool = True, hint: str = "") -> Column:
    fields = {**column.__dict__, "required": True, "filled": filled, "hint": hint or column.hint}
    return Column(**fields)


_COMMON = {"use": TEXT, "overlap_group": TEXT, "ci_level": OPEN_UNIT}
_KEY = {"study": NAME, "arm": NAME, "endpoint": NAME}
_LIMITS = {"ci_low": POSITIVE, "ci_high": POSITIVE}
_P = {"p": OPEN_UNIT, "p_below": OPEN_UNIT}

# A curve read off a picture strays a little outside its axes; `reconstruction.curve` cleans it and logs the changes.
_TRACED = Column("number", required=True, filled=True, low=-0.1, high=1.1, hint="survival is a proportion")

_IGNORED = Column("untouched")

TABLES: Mapping[str, Mapping[str, Column]] = {
    "patients": {
        "study": NAME,
        "arm": NAME,
        "treatment": NAME,
        "time": _must(NOT_NEGATIVE),
        "event": _must(Column("whole", low=0, high=1), hint="1 = event, 0 = censored"),
        "entry": NOT_NEGATIVE,
        "time_upper": POSITIVE,
        "cause": TEXT,
        "weight": POSITIVE,
        **_COMMON,
    },
    "arms": {
        "study": NAME,
        "arm": NAME,
        "treatment": NAME,
        "endpoint": NAME,
        "n": _must(SIZE, filled=False),
        "events": EVENTS,
        "year": Column("whole", low=1900, high=2100),
        "time_origin": TEXT,
        "unit_of_analysis": TEXT,
        "n_patients": SIZE,
        "n_lesions": SIZE,
        "survived_to": NOT_NEGATIVE,
        "clock_shift": NOT_NEGATIVE,
        "share_necrosis": PROPORTION,
        "measure": Column(choices=MEASURES),
        "followup": POSITIVE,
        "source": TEXT,
        **_COMMON,
    },
    "points": {
        **_KEY,
        "time": _must(POSITIVE, hint="survival at time 0 is 1 by definition: leave that row out"),
        "survival": _must(PROPORTION),
        "ci_low": PROPORTION,
        "ci_high": PROPORTION,
        "n": SIZE,
        "source": TEXT,
        **_COMMON,
    },
    "medians": {
        **_KEY,
        "median": _must(POSITIVE, filled=False),
        "ci_low": Column("number", low=0, open_low=True, hint="a limit of 0 has no logarithm: leave it blank"),
        "ci_high": POSITIVE,
        "n": SIZE,
        "source": TEXT,
        **_COMMON,
    },
    "hazard_ratios": {
        "study": NAME,
        "endpoint": NAME,
        "treatment": NAME,
        "reference": NAME,
        "hr": _must(POSITIVE, hint="give the hazard ratio itself, not its logarithm"),
        **_LIMITS,
        "se_log_hr": POSITIVE,
        **_P,
        "se_reference": NOT_NEGATIVE,
        "measure": Column(choices=RATIOS),
        "followup": POSITIVE,
        "adjusted_for": TEXT,
        "source": TEXT,
        **_COMMON,
    },
    "prognostic_ratios": {
        "study": NAME,
        "covariate": NAME,
        "endpoint": NAME,
        "hr": _must(POSITIVE, hint="give the hazard ratio itself, not its logarithm"),
        **_LIMITS,
        "se_log_hr": POSITIVE,
        **_P,
        "level": Column("number", hint="values of the covariate, as patients and arms have them"),
        "reference": Column("number", hint="values of the covariate, as patients and arms have them"),
        "per": Column("number", low=0, open_low=True, hint="units of the covariate that the ratio is for"),
        "n": SIZE,
        "events": EVENTS,
        "adjusted_for": TEXT,
        "population": Column(choices=POPULATIONS),
        "model": Column(choices=RATIO_MODELS),
        "source": TEXT,
        **_COMMON,
    },
    "counts": {**_KEY, "events": _must(EVENTS), "n": _must(SIZE), "time": POSITIVE, "source": TEXT, **_COMMON},
    "registry": {
        **_KEY,
        "start": _must(NOT_NEGATIVE),
        "stop": _must(POSITIVE),
        "n": _must(SIZE, hint="those alive at start"),
        "alive": _must(EVENTS, hint="those of the n who are still alive at stop"),
        "source": TEXT,
        **_COMMON,
    },
    "background": {
        "time": _must(NOT_NEGATIVE),
        "hazard": _must(NOT_NEGATIVE, hint="a rate per time unit, constant from this time to the next"),
        "source": TEXT,
    },
    "curves": {
        "study": NAME,
        "arm": NAME,
        "treatment": NAME,
        "endpoint": NAME,
        "curve": NAME,
        "at_risk": TEXT,
        "ticks": TEXT,
        "n": SIZE,
        "events": EVENTS,
        "axis_max": POSITIVE,
        "time_unit": Column(choices=TIME_UNITS),
        "source": TEXT,
        **_COMMON,
    },
    "curve": {"time": Column("number", required=True, filled=True), "survival": _TRACED},
    "at_risk": {"time": _must(NOT_NEGATIVE), "at_risk": _must(EVENTS)},
    "ticks": {"time": _must(NOT_NEGATIVE)},
    "people": {"patient": TEXT},
    "cohort": {"patient": TEXT, "time": _IGNORED, "event": _IGNORED, "treatment": _IGNORED},
    "outcomes": {
        "patient": TEXT,
        "time": _must(POSITIVE, hint="in the time unit of the spec"),
        "event": _must(Column("whole", low=0, high=1), hint="1 = event, 0 = censored"),
        "treatment": NAME,
    },
    "covariate_hazard_ratios": {
        "covariate": NAME,
        "level": NAME,
        "reference": TEXT,
        "endpoint": NAME,
        "hr": _must(POSITIVE),
        **_LIMITS,
        **_P,
        "n": SIZE,
        "study": NAME,
        "setting": TEXT,
        "clock": TEXT,
        "adjusted_for": TEXT,
        "source": TEXT,
        **_COMMON,
    },
}
KEYS = {
    "arms": ["study", "arm", "endpoint"],
    "points": ["study", "arm", "endpoint", "time"],
    "medians": ["study", "arm", "endpoint"],
    "hazard_ratios": ["study", "endpoint", "treatment", "reference", "adjusted_for"],
    "prognostic_ratios": ["study", "covariate", "endpoint", "level", "reference", "per", "adjusted_for"],
    "counts": ["study", "arm", "endpoint", "time"],
    "registry": ["study", "arm", "endpoint", "start"],
    "background": ["time"],
    "curves": ["study", "arm", "endpoint"],
    "at_risk": ["time"],
    "covariate_hazard_ratios": ["study", "covariate", "level", "reference", "endpoint", "setting"],
}
WHOLE_DTYPE = {("patients", "event"), ("outcomes", "event"), ("at_risk", "at_risk")}
COVARIATE_OF_ARMS = re.compile(r"(mean|sd|share)_\w+")
SIZE_OF_SHARE = re.compile(r"n_(\w+)")
"""Of how many patients an arm's share is, where they are fewer than its n: stands beside share_ of the covariate.

0: the share was a condition of the series, so it is known of the arm and says nothing about others.
"""


def table_columns(kind: str) -> Mapping[str, Column]:
    if kind not in TABLES:
        raise InputError("table kind", found=repr(kind), allowed=", ".join(TABLES), hint=nearest_name(kind, TABLES))
    return TABLES[kind]


def nearest_name(name: str, names: Iterable[str]) -> str:
    names = list(names)
    best = max(names, key=lambda k: difflib.SequenceMatcher(None, name.lower(), k.lower()).ratio(), default=None)
    return f"did you mean {best!r}?" if best else ""
