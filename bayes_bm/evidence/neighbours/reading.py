"""A table of another program to a table of the contract; what was taken for what is said in a sentence each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_bm.evidence.neighbours.forms import FORMS, Form
from bayes_bm.evidence.starting.columns import SERIES
from bayes_bm.evidence.tables.cells import is_blank
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.evidence.tables.reading import table_frame
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.numbers import parse_number

TRUE, FALSE = {"TRUE", "T", "true"}, {"FALSE", "F", "false"}
"""How R writes a logical value."""
BLANK = {"NA", "NaN"}
"""How R writes a value that is not there."""


@dataclass(frozen=True)
class Given:
    """What the call says that the table may not: names of study, treatment, reference and endpoint."""

    study: str | None = None
    treatment: str | None = None
    reference: str | None = None
    endpoint: str = "os"


@dataclass(frozen=True)
class Converted:
    """A table of the contract, and how it was read, a sentence each."""

    table: pd.DataFrame
    changes: tuple[str, ...]


def convert_table(kind: str, path: Path, given: Given | None = None) -> Converted:
    """Return the patients, hazard ratios, counts or arms that another program's table holds.

    Parameters
    ----------
    kind : str
        `patients`, `hazard_ratios`, `counts` or `arms`.
    path : pathlib.Path
        A CSV file with a header.
    given : Given, optional
        Names that the table lacks.

    Raises
    ------
    InputError
        Where no form fits the columns, or a row cannot stand in the table.
    """
    given = given or Given()
    frame = table_frame(path)[0]
    form, columns = _recognised(kind, path, frame)
    said = f"read as a table of {form.name}: " + ", ".join(
        f"{column} is {name}" for name, column in columns.items() if column != name
    )
    named = frame.rename(columns={column: name for name, column in columns.items()})
    convert = {"patients": _patients, "hazard_ratios": _hazard_ratios, "counts": _counts, "arms": _arms}[kind]
    made = convert(path, named, given)
    check_table(kind, made.table, where=str(path))
    return Converted(made.table, (said.removesuffix(": "), *made.changes))


def _recognised(kind: str, path: Path, frame: pd.DataFrame) -> tuple[Form, dict[str, str]]:
    """Return the first form all of whose columns are there, and which column of the file holds what."""
    there = {str(name).strip().lower(): str(name) for name in frame.columns}
    for form in FORMS[kind]:
        columns = {
            name: there[choice]
            for name, choices in form.columns.items()
            if (choice := next((one for one in choices if one in there), None)) is not None
        }
        if set(form.columns) - set(columns) <= set(form.optional):
            return form, columns
    raise InputError(
        f"{path}, header",
        found=", ".join(map(str, frame.columns))[:120],
        allowed=" or ".join(form.words for form in FORMS[kind]),
        hint="name the columns so",
    )


def _numbers(path: Path, frame: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column as numbers, blanks as NaN."""
    values = [np.nan if is_blank(cell) or cell in BLANK else parse_number(str(cell)) for cell in frame[column]]
    for row, (cell, value) in enumerate(zip(frame[column], values, strict=True), start=1):
        if value is None:
            raise InputError(f"{path}, row {row}, column {column}", found=repr(cell)[:40], allowed="a number, or NA")
    return np.array(values, dtype=float)


def _texts(path: Path, frame: pd.DataFrame, name: str, given: str | None) -> pd.Series:
    """Return the names that a column holds, or the one that is given."""
    if name in frame:
        return frame[name].astype(str)
    if given is None:
        raise InputError(f"{path}, header", found=f"no column of the {name}", hint=f"say it: --{name} NAME")
    return pd.Series(given, index=frame.index)


def _patients(path: Path, frame: pd.DataFrame, given: Given) -> Converted:
    event, changes = _events(path, frame)
    treatment = _texts(path, frame, "treatment", given.treatment)
    study = frame["study"].astype(str) if "study" in frame else pd.Series(given.study or SERIES, index=frame.index)
    used = {"study", "treatment", "time", "event"}
    kept = [column for column in frame.columns if column not in used | {"arm"}]
    table = pd.DataFrame({"study": study, "arm": treatment, "treatment": treatment})
    table = table.assign(time=_numbers(path, frame, "time"), event=event)
    extra = {f"x_{str(column).strip()}".replace(" ", "_"): frame[column] for column in kept}
    others = (f"columns {', '.join(map(str, kept))} are kept as x_..., take off the x_ where one is a covariate",)
    return Converted(table.assign(**extra), (*changes, *(others if kept else ())))


def _events(path: Path, frame: pd.DataFrame) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return events as 1 and 0; R's Surv also takes 2 and 1, and TRUE and FALSE."""
    cells = {str(cell) for cell in frame["event"]}
    if cells <= TRUE | FALSE:
        return np.array([int(str(cell) in TRUE) for cell in frame["event"]]), ("TRUE is an event",)
    values = _numbers(path, frame, "event")
    if set(values) <= {0.0, 1.0}:
        return values.astype(int), ()
    if set(values) <= {1.0, 2.0}:
        return (values == 2).astype(int), ("2 is an event and 1 is censored, as R's Surv reads them",)
    row = int(np.argmax(~np.isin(values, [0.0, 1.0])))
    found = frame["event"].iloc[row]
    allowed = "0 and 1, 1 and 2, or TRUE and FALSE"
    raise InputError(f"{path}, row {row + 1}, column event", found=repr(found)[:40], allowed=allowed)


def _hazard_ratios(path: Path, frame: pd.DataFrame, given: Given) -> Converted:
    log_hr, se = _numbers(path, frame, "log_hr"), _standard_errors(path, frame)
    study = _texts(path, frame, "study", given.study)
    treatment = _texts(path, frame, "treatment", given.treatment)
    if "reference" in frame or "treatment" not in frame:
        reference = _texts(path, frame, "reference", given.reference)
        rows = pd.DataFrame({"study": study, "treatment": treatment, "reference": reference})
        rows = rows.assign(log_hr=log_hr, se=se, se_reference=np.nan)
    else:
        rows = pd.concat(list(_against_baselines(path, study, treatment, log_hr, se)), ignore_index=True)
    table = rows[["study", "treatment", "reference"]].assign(
        endpoint=given.endpoint, hr=np.exp(rows["log_hr"]), se_log_hr=rows["se"]
    )
    if rows["se_reference"].notna().any():
        table["se_reference"] = rows["se_reference"]
    return Converted(table, ("effects are taken as logarithms of hazard ratios; hr is their exponential",))


def _standard_errors(path: Path, frame: pd.DataFrame) -> np.ndarray:
    if "se" in frame:
        return _numbers(path, frame, "se")
    if "variance" in frame:
        return np.sqrt(_numbers(path, frame, "variance"))
    raise InputError(f"{path}, header", found="neither sei nor vi", allowed="one of them")


def _against_baselines(
    path: Path, study: pd.Series, treatment: pd.Series, log_hr: np.ndarray, se: np.ndarray
) -> Iterator[pd.DataFrame]:
    """Yield the contrasts of each study against its arm without an effect, whose se is what they share."""
    for name, rows in pd.DataFrame({"treatment": treatment, "log_hr": log_hr, "se": se}).groupby(study, sort=False):
        blank = rows["log_hr"].isna()
        if blank.sum() != 1:
            found = f"{int(blank.sum())} arms of {name} without an effect"
            raise InputError(f"{path}, study {name}", found=found, allowed="one, the arm that all others are against")
        base = rows[blank].iloc[0]
        shared = base["se"] if (~blank).sum() > 1 else np.nan
        yield rows[~blank].assign(study=name, reference=base["treatment"], se_reference=shared)


def _counts(path: Path, frame: pd.DataFrame, given: Given) -> Converted:
    table = _arm_keys(path, frame, given)
    events, n = (_numbers(path, frame, column) for column in ("events", "n"))
    return Converted(table.drop(columns="treatment").assign(events=events, n=n), ("an arm is a treatment of a study",))


def _arms(path: Path, frame: pd.DataFrame, given: Given) -> Converted:
    return Converted(_arm_keys(path, frame, given).assign(n=_numbers(path, frame, "n")), ())


def _arm_keys(path: Path, frame: pd.DataFrame, given: Given) -> pd.DataFrame:
    treatment = _texts(path, frame, "treatment", given.treatment)
    keys = {"study": _texts(path, frame, "study", given.study), "arm": treatment, "treatment": treatment}
    return pd.DataFrame({**keys, "endpoint": given.endpoint})
