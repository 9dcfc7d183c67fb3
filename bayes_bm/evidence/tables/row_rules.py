"""Rules between the columns of one row, and between the rows of one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.evidence.tables.cells import TableRows, and_more, cell_text
from bayes_bm.evidence.tables.schema import KEYS
from bayes_bm.runtime.errors import InputError


@dataclass(frozen=True)
class Rule:
    """`broken` says which rows break the rule; a comparison with a blank is never broken."""

    column: str
    broken: Callable[[pd.DataFrame], Any]
    allowed: str
    hint: str = ""

    def apply(self, table: pd.DataFrame, rows: TableRows) -> None:
        bad = np.flatnonzero(np.asarray(self.broken(table), dtype=bool))
        if bad.size:
            row = int(bad[0])
            hint = " ".join(part for part in (self.hint, and_more(bad.size - 1)) if part)
            cell = table[self.column].iloc[row]
            raise rows.refuse(row, self.column, cell=cell, allowed=self.allowed.format(**table.iloc[row]), hint=hint)


def _interval(value: str) -> tuple[Rule, ...]:
    return (
        Rule("ci_low", lambda t: t.ci_low > t.ci_high, "below ci_high ({ci_high:g})", "are the limits swapped?"),
        Rule(
            "ci_low",
            lambda t: t.ci_low == t.ci_high,
            "below ci_high ({ci_high:g})",
            "an interval of width 0 would weigh without end: leave both limits blank",
        ),
        Rule(value, lambda t: t[value] < t.ci_low, "inside its interval, at least ci_low ({ci_low:g})"),
        Rule(value, lambda t: t[value] > t.ci_high, "inside its interval, at most ci_high ({ci_high:g})"),
    )


def _both_limits(extra: str = "") -> Rule:
    return Rule("ci_high", lambda t: t.ci_low.isna() != t.ci_high.isna(), "ci_low and ci_high together", extra)


_EVENTS_IN_N = Rule("events", lambda t: t.events > t.n, "at most n ({n:g})", "events are counted among the n")
_NEEDS_PRECISION = Rule(
    "hr",
    lambda t: t[["ci_high", "se_log_hr", "p", "p_below"]].isna().all(axis=1),
    "one of ci_low + ci_high, se_log_hr, p, p_below in the same row",
    "without one of them the hazard ratio has no weight",
)
_P_NEEDS_EFFECT = Rule(
    "hr",
    lambda t: (t.hr == 1) & t.ci_low.isna() & (t.p.notna() | t.p_below.notna()),
    "a hazard ratio other than 1 where p is all there is",
    "the standard error is |log hr| / z: with hr = 1 give the interval or se_log_hr",
)
RULES: Mapping[str, tuple[Rule, ...]] = {
    "patients": (
        Rule(
            "time",
            lambda t: (t.time == 0) & t.time_upper.isna(),
            "above 0",
            "a patient with no follow-up says nothing: if the time was rounded down give half the rounding unit "
            "(half a day, half a month), else leave the patient out",
        ),
        Rule(
            "time_upper", lambda t: t.time_upper <= t.time, "above time ({time:g}): the event is in (time, time_upper]"
        ),
        Rule(
            "event",
            lambda t: t.time_upper.notna() & (t.event != 1),
            "1 where time_upper is given",
            "a censored patient has no time_upper: leave it blank",
        ),
        Rule(
            "entry",
            lambda t: (t.entry > t.time) | ((t.entry == t.time) & t.time_upper.isna()),
            "below time ({time:g})",
            "a patient is observed from entry to time; both count from time 0",
        ),
    ),
    "arms": (_EVENTS_IN_N,),
    "points": (*_interval("survival"), _both_limits()),
    "medians": (
        *_interval("median"),
        Rule("ci_low", lambda t: t.ci_low.isna() & t.ci_high.notna(), "a lower limit beside ci_high"),
        Rule(
            "ci_high",
            lambda t: t["median"].isna() & t.ci_high.notna(),
            "a blank where the median is blank",
            "a blank median means not reached, and then its upper limit is not reached either",
        ),
    ),
    "hazard_ratios": (
        *_interval("hr"),
        _both_limits(),
        _NEEDS_PRECISION,
        _P_NEEDS_EFFECT,
        Rule("reference", lambda t: t.treatment == t.reference, "another treatment than {treatment!r}"),
    ),
    "prognostic_ratios": (
        *_interval("hr"),
        _both_limits(),
        _NEEDS_PRECISION,
        _P_NEEDS_EFFECT,
        _EVENTS_IN_N,
        Rule(
            "reference",
            lambda t: t.level.isna() != t.reference.isna(),
            "level and reference together, or neither",
            "without both the ratio is of 1 against 0, or of `per` units",
        ),
        Rule("reference", lambda t: t.level == t.reference, "another value than level ({level:g})"),
        Rule(
            "per", lambda t: t.per.notna() & t.level.notna(), "a blank beside level and reference", "give one of both"
        ),
    ),
    "counts": (_EVENTS_IN_N,),
    "registry": (
        Rule("stop", lambda t: t.stop <= t.start, "above start ({start:g})"),
        Rule("alive", lambda t: t.alive > t.n, "at most n ({n:g})", "the survivors are counted among the n"),
    ),
    "curves": (_EVENTS_IN_N,),
    "covariate_hazard_ratios": (*_interval("hr"), _both_limits()),
}


def check_unique(kind: str, table: pd.DataFrame, rows: TableRows) -> None:
    keys = [name for name in KEYS.get(kind, []) if name in table]
    again = np.flatnonzero(table.duplicated(keys).to_numpy()) if keys else np.array([], dtype=int)
    if again.size:
        row, table = int(again[0]), table.reset_index(drop=True)
        values = table.loc[row, keys]
        first = int(np.flatnonzero((table[keys].eq(values) | (table[keys].isna() & values.isna())).all(axis=1))[0])
        key = ", ".join(f"{name} {cell_text(value)}" for name, value in values.items())
        other = "give the second arm another name, or remove the copy" if "arm" in keys else "remove one of the two"
        hint = f"row {first + 1} has it already; {other}"
        where = f"{rows.place(row)}, column {keys[-1]}"
        raise InputError(where, found=key, allowed=f"each {' x '.join(keys)} once", hint=hint)


def check_names(table: pd.DataFrame, rows: TableRows) -> None:
    """Patients have a name each; one without is called by the number of its row, which may be no other's name."""
    first_row: dict[str, int] = {}
    for row, given in enumerate(table["patient"]):
        name = str(row + 1) if given is None else given
        first = first_row.setdefault(name, row)
        if first < row:
            hint = f"row {first + 1} is called so already; give one of them another name"
            raise rows.refuse(row, "patient", cell=name, allowed="each name once", hint=hint)


def check_one_treatment(table: pd.DataFrame, rows: TableRows) -> None:
    first: dict[tuple[str, str], str] = {}
    columns = (table[name].tolist() for name in ("study", "arm", "treatment"))
    for row, (study, arm, treatment) in enumerate(zip(*columns, strict=True)):
        known = first.setdefault((study, arm), treatment)
        if known != treatment:
            allowed = f"{known!r}, as in the first row of study {study!r}, arm {arm!r}"
            raise rows.refuse(row, "treatment", cell=treatment, allowed=allowed, hint="an arm has one treatment")


def check_falling(table: pd.DataFrame, rows: TableRows) -> None:
    ordered = table.sort_values("time", kind="stable")
    previous = ordered.groupby(KEYS["medians"], sort=False)[["time", "survival"]].shift()
    rising = ordered.index[(ordered["survival"] > previous["survival"] + 1e-12).to_numpy()]
    if len(rising):
        row = int(min(rising))
        allowed = f"at most {previous.survival[row]:g}, the survival at time {previous.time[row]:g} of the same arm"
        hint = "survival never rises: are two arms, two times or events and survivors mixed up?"
        raise rows.refuse(row, "survival", cell=float(table.survival[row]), allowed=allowed, hint=hint)


def check_apart(table: pd.DataFrame, rows: TableRows) -> None:
    """Intervals of one arm do not overlap: the deaths in common would count twice."""
    ordered = table.sort_values("start", kind="stable")
    previous_stop = ordered.groupby(KEYS["arms"], sort=False)["stop"].shift()
    early = ordered.index[(ordered["start"] < previous_stop - 1e-9).to_numpy()]
    if len(early):
        row = int(min(early))
        allowed = f"at least {previous_stop[row]:g}, where an earlier interval of the same arm ends"
        hint = "intervals that overlap count the same deaths twice"
        raise rows.refuse(row, "start", cell=float(table.start[row]), allowed=allowed, hint=hint)


def check_from_zero(table: pd.DataFrame, rows: TableRows) -> None:
    """A background hazard is known from time 0 on, its steps in order."""
    time = table["time"].to_numpy(dtype=float)
    if len(time) and time[0] != 0:
        hint = "the table says the hazard from each time to the next, and after the last; time 0 is the patients' own"
        raise rows.refuse(0, "time", cell=float(time[0]), allowed="0 in the first row", hint=hint)
    falls = np.flatnonzero(np.diff(time) <= 0)
    if falls.size:
        row = int(falls[0]) + 1
        raise rows.refuse(row, "time", cell=float(time[row]), allowed=f"above {time[row - 1]:g}, the row before")
