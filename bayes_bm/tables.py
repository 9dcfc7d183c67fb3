"""The tables a person may write: what each column holds, how a file is read, and what is refused, with the reason.

One direction: a CSV file becomes a checked `DataFrame` in which every column of the contract is present. Text columns
are `object` with None for a blank, numbers are `float64` with NaN for a blank (`event` and `at_risk` are `int64`).
Times are in whatever unit the file is in; the spec's `time_unit` is applied later, once. Shares and survival are
proportions. Columns that start with `x_` pass through untouched (from a file: as text).

Two choices that a reader may trip over: `n` of an arm may be blank, because the sizes of subgroups are often not
printed (such an arm informs only through an interval); a blank `median` means "not reached" and then needs the lower
limit, or the arm's `followup`.
"""

import csv
import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_bm.errors import InputError

if TYPE_CHECKING:
    import pandera.pandas as pa


class Vocabulary(NamedTuple):
    """Names that bind the shipped tables only; a user's names are free and are checked against the spec."""

    endpoints: tuple[str, ...]
    treatments: tuple[str, ...]
    uses: tuple[str, ...]


SHIPPED_VOCABULARY = Vocabulary(
    endpoints=("os", "pfs", "local_control", "intracranial_pfs"),
    treatments=(
        *("re_resection", "re_srs", "non_surgical", "gtr", "str", "re_resection_re_rt", "litt", "litt_srt"),
        *("srs_after_wbrt", "srs_distant", "re_wbrt", "brachytherapy", "re_resection_brachytherapy"),
        *("mixed_salvage", "chemotherapy", "targeted", "immunotherapy", "bevacizumab", "medical"),
        *("supportive_care", "resection", "hyperbaric_oxygen"),
    ),
    uses=(
        *("use", "use_with_care", "subgroup", "weak", "external_prior", "covariates_only", "do_not_pool"),
        *("duplicate", "target_or_check", "RN_not_tumour"),
    ),
)
MEASURES = ("km", "cif_complement", "crude")
TIME_UNITS = ("days", "weeks", "months", "years")


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

    def accepts(self, values: pd.Series) -> pd.Series:
        """True where the value may stand (a blank is judged by `filled`, not here)."""
        if self.kind == "text":
            return values.isin(self.choices) if self.choices else pd.Series(True, index=values.index)
        above = values > self.low if self.open_low else values >= self.low
        below = values < self.high if self.open_high else values <= self.high
        whole = values == np.floor(values) if self.kind == "whole" else True
        return above & below & np.isfinite(values) & whole


TEXT = Column()
NAME = Column(required=True, filled=True)
PROPORTION = Column("number", low=0, high=1, hint="survival and shares are proportions")
POSITIVE = Column("number", low=0, open_low=True)
NOT_NEGATIVE = Column("number", low=0)
OPEN_UNIT = Column("number", low=0, high=1, open_low=True, open_high=True)
SIZE = Column("whole", low=1)
EVENTS = Column("whole", low=0)


def _must(column: Column, *, filled: bool = True, hint: str = "") -> Column:
    fields = {**column.__dict__, "required": True, "filled": filled, "hint": hint or column.hint}
    return Column(**fields)


_COMMON = {"use": TEXT, "overlap_group": TEXT, "ci_level": OPEN_UNIT}
_KEY = {"study": NAME, "arm": NAME, "endpoint": NAME}
_LIMITS = {"ci_low": POSITIVE, "ci_high": POSITIVE}
_P = {"p": OPEN_UNIT, "p_below": OPEN_UNIT}

# A curve read off a picture strays a little outside its axes; `curve.py` cleans it and logs what it changed.
_TRACED = Column("number", required=True, filled=True, low=-0.1, high=1.1, hint="survival is a proportion")

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
        "followup": POSITIVE,
        "adjusted_for": TEXT,
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
_KEYS = {
    "arms": ["study", "arm", "endpoint"],
    "points": ["study", "arm", "endpoint", "time"],
    "medians": ["study", "arm", "endpoint"],
    "hazard_ratios": ["study", "endpoint", "treatment", "reference", "adjusted_for"],
    "counts": ["study", "arm", "endpoint", "time"],
    "registry": ["study", "arm", "endpoint", "start"],
    "background": ["time"],
    "curves": ["study", "arm", "endpoint"],
    "at_risk": ["time"],
    "covariate_hazard_ratios": ["study", "covariate", "level", "reference", "endpoint", "setting"],
}
_WHOLE_DTYPE = {("patients", "event"), ("at_risk", "at_risk")}
_COVARIATE_OF_ARMS = re.compile(r"(mean|sd|share)_\w+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BLANKS = {"", "na", "nan", "none"}


class _Rows(NamedTuple):
    """Where the rows came from, for messages: the name of the table and the line of each row in its file."""

    where: str
    lines: list[int] | None = None

    def refuse(self, row: int, column: str, *, found: object, allowed: object, hint: str = "") -> InputError:
        line = f" (line {self.lines[row]})" if self.lines else ""
        place = f"{self.where}, row {row + 1}{line}, column {column}"
        return InputError(place, found=_shown(found), allowed=allowed, hint=hint)


def _shown(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "a blank"
    return f"{value:g}" if isinstance(value, float) else repr(value)


# --------------------------------------------------------------------------------------------------------- reading


def read_table(kind: str, path: Path | str) -> pd.DataFrame:
    """Read and check one CSV file (UTF-8, comma, a header), or one Parquet file; see `TABLES` for kinds and columns.

    Raises `InputError` naming file, row and line, column, what was found, what is allowed and what to do.
    """
    _columns_of(kind)
    path = Path(path)
    if path.suffix == PARQUET:
        return _read_parquet(kind, path)
    records = _records(path)
    header, rows = records[0][1], records[1:]
    _check_header(header, path)
    for row, (line, cells) in enumerate(rows):
        if len(cells) != len(header):
            raise InputError(
                f"{path}, row {row + 1} (line {line})",
                found=f"{len(cells)} cells",
                allowed=f"{len(header)}, one for each column of the header",
                hint="put text that holds a comma between double quotes; a decimal comma must be a point",
            )
    if not rows and kind != "ticks":
        raise InputError(str(path), found="a header and no rows", allowed="at least one row", hint=f"a {kind} table")
    columns = [[cells[i] or None for _, cells in rows] for i in range(len(header))]
    data = {name: pd.Series(column, dtype=object) for name, column in zip(header, columns, strict=True)}
    frame = pd.DataFrame(data)
    checked = _check(kind, frame, _Rows(str(path), [line for line, _ in rows]))
    checked.attrs["where"] = str(path)
    return checked


PARQUET = ".parquet"


def _read_parquet(kind: str, path: Path) -> pd.DataFrame:
    """A Parquet file through Arrow: numbers are taken as they lie, names as few Python texts as there are names."""
    import pyarrow
    from pyarrow import parquet

    _check_there(path, PARQUET)
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowException as error:
        hint = "write it again, for instance by DataFrame.to_parquet"
        raise InputError(str(path), found=str(error), allowed="a Parquet file", hint=hint) from None
    _check_header(table.column_names, path)
    if not table.num_rows:
        raise InputError(str(path), found="no rows", allowed="at least one row", hint=f"a {kind} table")
    frame = table.to_pandas(strings_to_categorical=True, split_blocks=True, self_destruct=True)
    checked = _check(kind, frame.reset_index(drop=True), _Rows(str(path)))
    checked.attrs["where"] = str(path)
    return checked


def check_table(kind: str, frame: pd.DataFrame, *, where: str) -> pd.DataFrame:
    """The same checks on a frame in memory; returns a new frame with all columns of the contract and a plain index."""
    checked = _check(kind, frame.reset_index(drop=True), _Rows(where))
    checked.attrs["where"] = where
    return checked


def _columns_of(kind: str) -> Mapping[str, Column]:
    if kind not in TABLES:
        raise InputError("table kind", found=repr(kind), allowed=", ".join(TABLES), hint=_nearest(kind, TABLES))
    return TABLES[kind]


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """The non-empty records of a file, each with the number of its last line."""
    text = _text_of(path)
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    records = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                records.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        hint = "close the double quotes that were opened on this line or before it"
        raise InputError(f"{path}, line {reader.line_num}", found=str(error), allowed="a CSV file", hint=hint) from None
    if not records:
        raise InputError(str(path), found="an empty file", allowed="a CSV file with a header and at least one row")
    return records


def _check_there(path: Path, suffix: str) -> None:
    if not path.is_file():
        sort = "CSV" if suffix == ".csv" else "Parquet"
        beside = sorted(p.name for p in path.parent.glob(f"*{suffix}")) if path.parent.is_dir() else []
        found = "a folder" if path.is_dir() else "no such file"
        hint = _nearest(path.name, beside) if beside else f"there is no {sort} file in {path.parent or '.'}"
        raise InputError(str(path), found=found, allowed=f"a {sort} file", hint=hint)


def _text_of(path: Path) -> str:
    _check_there(path, ".csv")
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}",
            found=f"byte 0x{data[error.start]:02x}, which is not UTF-8",
            allowed="a CSV file in UTF-8",
            hint="save it again as 'CSV UTF-8', or convert it with iconv",
        ) from None


def _check_header(header: list[str], path: Path) -> None:
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        raise InputError(f"{path}, header", found=repr(header[0]), allowed="columns separated by commas")
    for number, name in enumerate(header, start=1):
        if not name:
            raise InputError(f"{path}, header, column {number}", found="a blank name", allowed="a name for each column")
        if header.index(name) != number - 1:
            hint = "keep one of the two, or rename it with a leading x_"
            raise InputError(f"{path}, header", found=f"{name!r} twice", allowed="each column once", hint=hint)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    best = max(known, key=lambda k: difflib.SequenceMatcher(None, name.lower(), k.lower()).ratio(), default=None)
    return f"did you mean {best!r}?" if best else ""


# -------------------------------------------------------------------------------------------------------- checking


def _check(kind: str, frame: pd.DataFrame, rows: _Rows) -> pd.DataFrame:
    known = _columns_of(kind)
    _check_columns(kind, frame, rows.where)
    columns = {name: known[name] if name in known else _extra_column(kind, name) for name in [*known, *frame.columns]}
    data = {name: _coerced(frame, name, column, rows) for name, column in columns.items()}
    table = pd.DataFrame(data, index=frame.index)
    if "ci_level" in known:
        table["ci_level"] = table["ci_level"].fillna(0.95)
    _check_schema(table, columns, rows)
    for rule in _RULES.get(kind, ()):
        rule.apply(table, rows)
    _check_unique(kind, table, rows)
    if kind in ("arms", "curves"):
        _check_one_treatment(table, rows)
    if kind == "points":
        _check_falling(table, rows)
    if kind == "registry":
        _check_apart(table, rows)
    if kind == "background":
        _check_from_zero(table, rows)
    whole = {name: "int64" for table_kind, name in _WHOLE_DTYPE if table_kind == kind}
    return table.astype(whole)


def _extra_column(kind: str, name: str) -> Column:
    if name.startswith("x_"):
        return Column("untouched")
    if kind == "arms":
        return PROPORTION if name.startswith("share_") else NOT_NEGATIVE if name.startswith("sd_") else Column("number")
    return Column("number")


def _is_allowed_extra(kind: str, name: object) -> bool:
    """Columns beyond the contract: `x_*` anywhere, arm-level covariate summaries, and covariates of patients."""
    if not isinstance(name, str):
        return False
    if name.startswith("x_") or (kind == "arms" and _COVARIATE_OF_ARMS.fullmatch(name)):
        return True
    return kind == "patients" and not _is_misspelt(name, TABLES["patients"])


def _is_misspelt(name: str, known: Iterable[str]) -> bool:
    """A patients table takes any covariate, so only a near miss of a known name is taken for a slip of the pen."""
    for column in known:
        close = difflib.SequenceMatcher(None, name.lower(), column).ratio() >= 0.8
        if close and abs(len(name) - len(column)) <= 1 and name[:1].lower() == column[0]:
            return True
    return False


def _check_columns(kind: str, frame: pd.DataFrame, where: str) -> None:
    known = TABLES[kind]
    if len(set(frame.columns)) < len(frame.columns):
        twice = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"{where}, column {twice}", found="the column twice", allowed="each column once")
    unknown = [str(name) for name in frame.columns if name not in known and not _is_allowed_extra(kind, name)]
    if unknown:
        allowed = ", ".join(known) + {"arms": ", mean_*, sd_*, share_*", "patients": ", numeric covariates"}.get(
            kind, ""
        )
        hint = f"{_nearest(unknown[0], known)} A column of your own starts with x_"
        raise InputError(f"{where}, column {unknown[0]}", found="an unknown column", allowed=allowed, hint=hint)
    for name, column in known.items():
        if column.required and name not in frame.columns:
            allowed = f"{', '.join(k for k, c in known.items() if c.required)} are required in {kind}"
            hint = "leave cells blank where a number is not known" if not column.filled else ""
            raise InputError(f"{where}, column {name}", found="no such column", allowed=allowed, hint=hint)


def _coerced(frame: pd.DataFrame, name: str, column: Column, rows: _Rows) -> pd.Series:
    if name not in frame.columns:
        blank = pd.Series([None] * len(frame), index=frame.index, dtype=object)
        return blank if column.kind == "text" else blank.astype("float64")
    if column.kind in ("text", "untouched") and isinstance(frame[name].dtype, pd.CategoricalDtype):
        return _named(frame[name])
    if column.kind == "untouched":
        return pd.Series(frame[name])
    if column.kind == "text":
        cells = [None if _is_blank(value) else str(value) for value in frame[name]]
        return pd.Series(cells, index=frame.index, dtype=object)
    if pd.api.types.is_numeric_dtype(frame[name].dtype):
        return pd.Series(frame[name].astype("float64"))
    numbers = [_number(value, row, name, column, rows) for row, value in enumerate(frame[name])]
    return pd.Series(numbers, index=frame.index, dtype="float64")


def _named(values: pd.Series) -> pd.Series:
    """A column of categories as texts: one Python object a category, blanks None."""
    texts = [None if _is_blank(value) else str(value).strip() or None for value in values.cat.categories]
    found = np.array([*texts, None], dtype=object)[values.cat.codes.to_numpy()]
    return pd.Series(found, index=values.index, dtype=object)


def _is_blank(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value == ""


def _number(value: object, row: int, name: str, column: Column, rows: _Rows) -> float:
    if _is_blank(value) or (isinstance(value, str) and value.strip().lower() in _BLANKS):
        return math.nan
    if isinstance(value, (int, float, np.number)):
        return float(value)
    text = str(value).strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    raise rows.refuse(row, name, found=value, allowed=column.allowed, hint=_hint_for_text(text))


def _hint_for_text(text: str) -> str:
    if re.fullmatch(r"[+-]?\d+,\d+", text):
        return f"write the decimal comma as a point: {text.replace(',', '.')}"
    if text.endswith("%"):
        return "give a proportion: divide by 100"
    if text[:1] in "<>=≤≥~":
        return "give the number alone; p < 0.001 goes into p_below as 0.001"
    if "not reached" in text.lower() or text.lower() in ("nr", "-"):
        return "leave the cell blank: a blank median or upper limit means not reached"
    return "give a plain number, or leave the cell blank; categories of a covariate become columns of 0 and 1"


@lru_cache(maxsize=64)
def _schema(columns: tuple[tuple[str, Column], ...]) -> "pa.DataFrameSchema":
    """The pandera schema of a table: dtype, blanks, limits and choices, column by column."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            name: pa.Column(
                object if column.kind == "text" else float,
                pa.Check(column.accepts, ignore_na=True, name="allowed"),
                nullable=not column.filled,
            )
            for name, column in columns
            if column.kind != "untouched"
        }
    )


def _check_schema(table: pd.DataFrame, columns: Mapping[str, Column], rows: _Rows) -> None:
    """Blanks, limits and choices; the first row with a cell that may not stand is named."""
    if table.empty:
        return
    from pandera.errors import SchemaErrors

    try:
        _schema(tuple(columns.items())).validate(table, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases.dropna(subset=["index"]).sort_values("index", kind="stable")
        first = cases.iloc[0]
        row, name = int(first["index"]), str(first["column"])
        column, value = columns[name], table.loc[int(first["index"]), name]
        hint = " ".join(part for part in (_hint_for_value(name, value), column.hint, _more(len(cases) - 1)) if part)
        raise rows.refuse(row, name, found=value, allowed=column.allowed, hint=hint) from None


def _hint_for_value(name: str, value: object) -> str:
    if isinstance(value, float) and 1 < value <= 100 and (name in ("survival", "ci_low", "ci_high") or "share" in name):
        return f"this looks like a percentage: write {value / 100:g};"
    if name in ("n", "events", "at_risk") and isinstance(value, float) and value != math.floor(value):
        return "count whole patients (or lesions);"
    if name == "event" and value == 2:
        return "where 1 = censored and 2 = event, subtract 1;"
    if name == "ci_level" and isinstance(value, float) and value > 1:
        return f"write {value / 100:g} for {value:g} %;"
    return ""


def _more(count: int) -> str:
    return f"({count} more cell{'s' if count > 1 else ''} of this table would be refused too)" if count else ""


# ------------------------------------------------------------------------------------ rules between columns of a row


@dataclass(frozen=True)
class Rule:
    """`broken` says which rows break the rule; a comparison with a blank is never broken."""

    column: str
    broken: Callable[[pd.DataFrame], Any]
    allowed: str
    hint: str = ""

    def apply(self, table: pd.DataFrame, rows: _Rows) -> None:
        bad = np.flatnonzero(np.asarray(self.broken(table), dtype=bool))
        if bad.size:
            row = int(bad[0])
            hint = " ".join(part for part in (self.hint, _more(bad.size - 1)) if part)
            found = table[self.column].iloc[row]
            raise rows.refuse(row, self.column, found=found, allowed=self.allowed.format(**table.iloc[row]), hint=hint)


def _interval(value: str) -> tuple[Rule, ...]:
    return (
        Rule("ci_low", lambda t: t.ci_low > t.ci_high, "at most ci_high ({ci_high:g})", "are the limits swapped?"),
        Rule(value, lambda t: t[value] < t.ci_low, "inside its interval, at least ci_low ({ci_low:g})"),
        Rule(value, lambda t: t[value] > t.ci_high, "inside its interval, at most ci_high ({ci_high:g})"),
    )


def _both_limits(extra: str = "") -> Rule:
    return Rule("ci_high", lambda t: t.ci_low.isna() != t.ci_high.isna(), "ci_low and ci_high together", extra)


_EVENTS_IN_N = Rule("events", lambda t: t.events > t.n, "at most n ({n:g})", "events are counted among the n")
_P_NEEDS_EFFECT = Rule(
    "hr",
    lambda t: (t.hr == 1) & t.ci_low.isna() & (t.p.notna() | t.p_below.notna()),
    "a hazard ratio other than 1 where p is all there is",
    "the standard error is |log hr| / z: with hr = 1 give the interval or se_log_hr",
)
_RULES: Mapping[str, tuple[Rule, ...]] = {
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
        Rule(
            "hr",
            lambda t: t[["ci_high", "se_log_hr", "p", "p_below"]].isna().all(axis=1),
            "one of ci_low + ci_high, se_log_hr, p, p_below in the same row",
            "without one of them the hazard ratio has no weight",
        ),
        _P_NEEDS_EFFECT,
        Rule("reference", lambda t: t.treatment == t.reference, "another treatment than {treatment!r}"),
    ),
    "counts": (_EVENTS_IN_N,),
    "registry": (
        Rule("stop", lambda t: t.stop <= t.start, "above start ({start:g})"),
        Rule("alive", lambda t: t.alive > t.n, "at most n ({n:g})", "the survivors are counted among the n"),
    ),
    "curves": (_EVENTS_IN_N,),
    "covariate_hazard_ratios": (*_interval("hr"), _both_limits()),
}


def _check_unique(kind: str, table: pd.DataFrame, rows: _Rows) -> None:
    keys = [name for name in _KEYS.get(kind, []) if name in table]
    again = np.flatnonzero(table.duplicated(keys).to_numpy()) if keys else np.array([], dtype=int)
    if again.size:
        row = int(again[0])
        values = table.loc[row, keys]
        first = int(np.flatnonzero((table[keys].eq(values) | (table[keys].isna() & values.isna())).all(axis=1))[0])
        found = ", ".join(f"{name} {_shown(value)}" for name, value in values.items())
        hint = f"row {first + 1} has it already; give the second arm another name, or remove the copy"
        raise rows.refuse(row, keys[-1], found=found, allowed=f"each {' x '.join(keys)} once", hint=hint)


def _check_one_treatment(table: pd.DataFrame, rows: _Rows) -> None:
    first = table.groupby(["study", "arm"], sort=False)["treatment"].transform("first")
    other = np.flatnonzero((table["treatment"] != first).to_numpy())
    if other.size:
        row = int(other[0])
        allowed = f"{first.iloc[row]!r}, as in the first row of study {table.study[row]!r}, arm {table.arm[row]!r}"
        raise rows.refuse(
            row, "treatment", found=table.treatment[row], allowed=allowed, hint="an arm has one treatment"
        )


def _check_falling(table: pd.DataFrame, rows: _Rows) -> None:
    ordered = table.sort_values("time", kind="stable")
    before = ordered.groupby(_KEYS["medians"], sort=False)[["time", "survival"]].shift()
    rising = ordered.index[(ordered["survival"] > before["survival"] + 1e-12).to_numpy()]
    if len(rising):
        row = int(min(rising))
        allowed = f"at most {before.survival[row]:g}, the survival at time {before.time[row]:g} of the same arm"
        hint = "survival never rises: are two arms, two times or events and survivors mixed up?"
        raise rows.refuse(row, "survival", found=float(table.survival[row]), allowed=allowed, hint=hint)


def _check_apart(table: pd.DataFrame, rows: _Rows) -> None:
    """Intervals of one arm do not overlap: the deaths in common would count twice."""
    ordered = table.sort_values("start", kind="stable")
    before = ordered.groupby(_KEYS["arms"], sort=False)["stop"].shift()
    early = ordered.index[(ordered["start"] < before - 1e-9).to_numpy()]
    if len(early):
        row = int(min(early))
        allowed = f"at least {before[row]:g}, where an earlier interval of the same arm ends"
        hint = "intervals that overlap count the same deaths twice"
        raise rows.refuse(row, "start", found=float(table.start[row]), allowed=allowed, hint=hint)


def _check_from_zero(table: pd.DataFrame, rows: _Rows) -> None:
    """A background hazard is known from time 0 on, its steps in order."""
    time = table["time"].to_numpy(dtype=float)
    if len(time) and time[0] != 0:
        hint = "the table says the hazard from each time to the next, and after the last; time 0 is the patients' own"
        raise rows.refuse(0, "time", found=float(time[0]), allowed="0 in the first row", hint=hint)
    falls = np.flatnonzero(np.diff(time) <= 0)
    if falls.size:
        row = int(falls[0]) + 1
        raise rows.refuse(row, "time", found=float(time[row]), allowed=f"above {time[row - 1]:g}, the row before")


# ---------------------------------------------------------------------------------------- vocabulary, links, overlap


def check_vocabulary(frame: pd.DataFrame, *, where: str, vocabulary: Vocabulary = SHIPPED_VOCABULARY) -> None:
    """Endpoints, treatments and use flags are the shipped ones (shipped tables only).

    Covariate hazard ratios are material for priors: of them only the flag is checked, since their endpoint may be one
    that is never modelled (`cns_death`).
    """
    names = {"endpoint": vocabulary.endpoints, "treatment": vocabulary.treatments, "reference": vocabulary.treatments}
    listed = {"use": vocabulary.uses} if "covariate" in frame else {**names, "use": vocabulary.uses}
    for column, allowed in listed.items():
        for row, value in enumerate(frame[column].tolist() if column in frame.columns else []):
            if not _is_blank(value) and value not in allowed:
                hint = _nearest(str(value), allowed)
                raise _Rows(where).refuse(row, column, found=value, allowed=", ".join(allowed), hint=hint)


def check_links(tables: Mapping[str, pd.DataFrame]) -> None:
    """Rows of medians, points, counts and registries stand beside an arms row with the same study, arm and endpoint.

    `tables` maps kind to a checked frame (of several files, perhaps: keys are checked again over all of them). Also:
    a study's arm has one treatment wherever it is named, and a median that was not reached has its lower limit or the
    arm's `followup`.
    """
    for kind in tables:
        _check_unique(kind, tables[kind].reset_index(drop=True), _source(tables, kind))
    arms = tables.get("arms")
    key = _KEYS["arms"]
    known = {} if arms is None else {tuple(k): i for i, k in enumerate(arms[key].itertuples(index=False, name=None))}
    for kind in ("medians", "points", "counts", "registry"):
        for row, value in enumerate(_keys_in(tables.get(kind), key)):
            if value not in known:
                hint = _nearest(" | ".join(value), [" | ".join(k) for k in known]) or "give an arms table too"
                allowed = "a row of the arms table with the same study, arm and endpoint (it gives the treatment)"
                raise _source(tables, kind).refuse(row, "arm", found=" | ".join(value), allowed=allowed, hint=hint)
    _check_not_reached(tables, known)
    _check_treatments_agree(tables)


def _keys_in(frame: pd.DataFrame | None, key: list[str]) -> list[tuple]:
    return [] if frame is None else list(frame[key].itertuples(index=False, name=None))


def _source(tables: Mapping[str, pd.DataFrame], kind: str) -> _Rows:
    return _Rows(str(tables[kind].attrs.get("where", kind)))


def _check_not_reached(tables: Mapping[str, pd.DataFrame], known: Mapping[tuple, int]) -> None:
    for row, value in enumerate(_keys_in(tables.get("medians"), _KEYS["arms"])):
        median = tables["medians"].iloc[row]
        if pd.isna(median["median"]) and pd.isna(median["ci_low"]) and pd.isna(tables["arms"].followup[known[value]]):
            raise _source(tables, "medians").refuse(
                row,
                "median",
                found=None,
                allowed="a median, or ci_low, or a followup in the arms row",
                hint="a median that was not reached says something only with a time up to which it was not",
            )


def _check_treatments_agree(tables: Mapping[str, pd.DataFrame]) -> None:
    said: dict[tuple, tuple[str, str]] = {}
    for kind in ("arms", "curves", "patients"):
        frame = tables.get(kind)
        if frame is None:
            continue
        named = frame[["study", "arm", "treatment"]].drop_duplicates()
        for row, study, arm, treatment in named.itertuples(name=None):
            first, place = said.setdefault((study, arm), (treatment, kind))
            if treatment != first:
                allowed = f"{first!r}, as in {place} for study {study!r}, arm {arm!r}"
                hint = "an arm has one treatment"
                raise _source(tables, kind).refuse(row, "treatment", found=treatment, allowed=allowed, hint=hint)


def overlapping_rows(arms: pd.DataFrame) -> list[tuple[int, int]]:
    """Pairs of arms rows (positions) that count the same patients: same overlap group and endpoint, and not disjoint.

    In a group, at most one member, or a parent or its subgroups. `x_overlap_role` (parent, subgroup, member) is taken
    from the use flag where it is absent (`subgroup` or else member). Subgroups are disjoint unless one descends
    from the other by `x_overlap_parent` (a chain of arm names), or they split one parent in two ways
    (`x_overlap_split`).
    """
    grouped = arms.reset_index(drop=True).dropna(subset=["overlap_group"]).groupby(["overlap_group", "endpoint"])
    return sorted(pair for _, rows in grouped for pair in _overlaps_in(rows))


def _overlaps_in(rows: pd.DataFrame) -> list[tuple[int, int]]:
    cards = [
        (position, _cell(row, "arm"), _role(row), _cell(row, "x_overlap_parent"), _cell(row, "x_overlap_split"))
        for position, row in zip(rows.index, rows.itertuples(), strict=True)
    ]
    parents = {card[1]: card[3] for card in cards}
    pairs = [(a, b) for i, a in enumerate(cards) for b in cards[i + 1 :]]
    return [(a[0], b[0]) for a, b in pairs if not _disjoint(a, b, parents)]


def _cell(row: object, name: str) -> str | None:
    value = getattr(row, name, None)
    return None if _is_blank(value) else str(value)


def _role(row: object) -> str:
    default = "subgroup" if _cell(row, "use") == "subgroup" else "member"
    return _cell(row, "x_overlap_role") or default


def _disjoint(a: tuple, b: tuple, parents: Mapping[str | None, str | None]) -> bool:
    if a[2] != "subgroup" or b[2] != "subgroup":
        return False
    if b[1] in _ancestors(a[1], parents) or a[1] in _ancestors(b[1], parents):
        return False
    return not (a[3] == b[3] and a[4] != b[4])


def _ancestors(arm: str | None, parents: Mapping[str | None, str | None]) -> list[str]:
    chain: list[str] = []
    above = parents.get(arm)
    while above is not None and above not in chain:
        chain.append(above)
        above = parents.get(above)
    return chain
