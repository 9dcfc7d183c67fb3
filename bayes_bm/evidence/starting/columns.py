"""Columns of a hospital's table as columns of patients: other names, yes and no, and text that no model reads."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from bayes_bm.evidence.neighbours.forms import other_names
from bayes_bm.evidence.tables.cells import BLANKS, is_blank
from bayes_bm.evidence.tables.schema import TABLES
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.numbers import parse_number

SERIES = "own series"
"""Study of patients whose table names none."""
HOSPITAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "study": ("centre", "center", "hospital", "site", "institution", "clinic", "cohort"),
    "treatment": ("therapy", "procedure", "intervention", "modality"),
    "time": ("os", "pfs", "survival", "overall_survival", "followup", "follow_up", "fu", "time_to_event"),
    "event": ("deceased", "dead_or_alive", "vital_status", "outcome", "os_status"),
}
"""What hospitals call these columns, beside what programs call them; a unit behind the name is left out."""
IDENTIFIERS = frozenset(("id", "patient", "patient_id", "patient_no", "pat_id", "pid", "mrn", "case", "case_no", "nr"))
"""Names of a column that tells patients apart: a number there measures nothing."""
ANSWERS = {"yes": 1, "no": 0, "y": 1, "n": 0, "true": 1, "false": 0}
COURSES = {"dead": 1, "died": 1, "deceased": 1, "death": 1, "event": 1, "alive": 0, "living": 0, "censored": 0}
"""Words of an event beside yes and no."""
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
UNIT_BEHIND = re.compile(r"_?(?:in_)?(?:days?|weeks?|months?|mo|years?|yrs?)$")


class KnownColumns(NamedTuple):
    """A table with the columns of patients, in words what was renamed, added, translated or set aside, and what its
    column of times was called.
    """

    frame: pd.DataFrame
    changes: tuple[str, ...]
    time_name: str


def known_columns(raw: pd.DataFrame, *, where: str) -> KnownColumns:
    """Return a table whose columns are named and filled as patients are, as far as names and words tell.

    Raises `InputError` where no column is known as time, event or treatment: it lists those that were found.
    """
    frame, changes = _renamed(raw)
    _check_all_there(frame, raw, where)
    time_name = str(raw.columns[frame.columns.get_loc("time")])
    if "study" not in frame:
        frame["study"] = SERIES
        changes.append(f'column study is added: all patients are of one study, "{SERIES}"')
    if "arm" not in frame:
        frame["arm"] = frame["treatment"]
        changes.append("column arm is added: an arm is a treatment of a study")
    frame, told = _in_numbers(frame)
    return KnownColumns(frame, (*changes, *told), time_name)


def _renamed(raw: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    plain = {name: _plain(str(name)) for name in raw.columns}
    own = TABLES["patients"]
    frame, changes = raw.rename(columns={name: low for name, low in plain.items() if low in own}), []
    for column, others in other_names("patients").items():
        wanted = others | set(HOSPITAL_NAMES.get(column, ()))
        found = [name for name in frame.columns if name not in own and _is_named(str(name), wanted)]
        if column not in frame and found:
            frame = frame.rename(columns={found[0]: column})
            more = f", not {', '.join(map(str, found[1:]))}" if found[1:] else ""
            changes.append(f"column {found[0]} is taken as {column}{more}")
    if "treatment" not in frame and "arm" in frame:
        frame["treatment"] = frame["arm"]
        changes.append("column arm is taken as treatment too")
    return frame.copy(), changes


def _plain(name: str) -> str:
    """A heading as a name: `OS (months)` is `os_months`."""
    return re.sub(r"[^a-z0-9.]+", "_", name.strip().lower()).strip("._")


def _is_named(name: str, wanted: set[str] | frozenset[str]) -> bool:
    plain = _plain(name)
    return name.lower() in wanted or plain in wanted or UNIT_BEHIND.sub("", plain) in wanted


def _check_all_there(frame: pd.DataFrame, raw: pd.DataFrame, where: str) -> None:
    absent = [name for name in ("time", "event", "treatment") if name not in frame]
    if absent:
        examples = {"time": "OS (months)", "event": "died", "treatment": "therapy"}
        raise InputError(
            f"{where}, column{'s' * (len(absent) > 1)} {' and '.join(absent)}",
            found=f"no such column among {', '.join(map(str, raw.columns))}",
            allowed=f"treatment, time, event (1 or yes: it happened) and study, or names such as"
            f" {', '.join(examples[name] for name in absent)}",
            hint="rename the columns that hold them",
        )


def _in_numbers(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Yes and no as 1 and 0; text and identifiers as columns that start with `x_`, which no model reads."""
    told: list[str] = []
    aside: list[str] = []
    for name in [name for name in frame.columns if _may_change(str(name))]:
        cells = [_cell(value) for value in frame[name]]
        words = {cell for cell in cells if cell and parse_number(cell) is None}
        meaning = {**ANSWERS, **COURSES} if name == "event" else ANSWERS
        if words and words <= meaning.keys():
            frame[name] = [str(meaning.get(cell, cell)) for cell in cells]
            told.append(f"column {name}: {', '.join(f'{word} is {meaning[word]}' for word in sorted(words))}")
        elif name != "event" and (_is_text(cells) or _plain(str(name)) in IDENTIFIERS):
            aside.append(str(name))
    if aside:
        frame = frame.rename(columns={name: f"x_{name}" for name in aside})
        told.append(
            f"column{'s' * (len(aside) > 1)} {', '.join(aside)}: kept with x_ before the name, which no model reads"
            " (to adjust for categories, make columns of 0 and 1 of them)"
        )
    return frame, told


def _may_change(name: str) -> bool:
    return name == "event" or (name not in TABLES["patients"] and not name.startswith("x_"))


def _cell(value: object) -> str:
    """A cell in lower case, empty where it is blank."""
    text = "" if is_blank(value) else str(value).strip().lower()
    return "" if text in BLANKS else text


def _is_text(cells: Sequence[str]) -> bool:
    """Whether words are most of a column: fewer are slips of the pen, which the check of the table names."""
    filled = [cell for cell in cells if cell]
    words = [cell for cell in filled if parse_number(cell) is None and not DECIMAL_COMMA.fullmatch(cell)]
    return len(words) > len(filled) / 2
