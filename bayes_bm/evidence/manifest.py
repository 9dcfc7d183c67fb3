"""Many curves in one call: a manifest (the contract's curves table) to patients, a verdict each and one summary.

Each arm is rebuilt on its own, in a process of its own where there is more than one core; an arm that is refused does
not stop the others, and what comes out does not depend on the number of cores, but for the seconds.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.evidence.tables.foreign_clicks import read_clicks
from bayes_bm.evidence.tables.frames import records
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.reconstruction.curve import UNITS
from bayes_bm.reconstruction.diagnostics import distances
from bayes_bm.reconstruction.patients import Patients
from bayes_bm.reconstruction.reconstruct import Reconstruction, reconstruct
from bayes_bm.reconstruction.swapped_arms import Arm, swapped_arms
from bayes_bm.runtime.errors import BayesBmError, InputError
from bayes_bm.runtime.parallel import map_fits
from bayes_bm.runtime.tasks import Outcome, Task

Key = tuple[str, str, str]
"""Study, arm, endpoint."""
Say = Callable[[int, int, str], None]
"""Told how many arms are done, of how many, and which was the last."""
SUMMARY = (
    *("study", "arm", "endpoint", "treatment", "n", "events", "events_printed", "method", "click_error"),
    *("largest_residual", "at_risk_honoured", "verdict", "reason", "seconds"),
)
REFUSED = "refused"
"""Verdict of an arm that was not rebuilt; its reason is the message."""


@dataclass(frozen=True)
class Reconstructions:
    """Hold what `reconstruct_all` made of a manifest, in the manifest's order.

    A key is (study, arm, endpoint).

    Attributes
    ----------
    arms
        Key to `Reconstruction`, without the arms that were refused.
    refused
        Key to the message of the refusal.
    summary
        One row an arm.
    diagnostics
        Those of all arms under each other.
    patients
        One patients table of the contract, times in `time_unit`, with x_endpoint.
    time_unit
        Unit of the patients table; None where no curve names one.
    draws
        Key to the plausible sets asked for, in the curve's own unit.
    units
        Key to the unit of its curve.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_bm as bb
    >>> row = {"study": "one", "arm": "a", "treatment": "gtr", "endpoint": "os", "curve": "absent.csv"}
    >>> result = bb.reconstruct_all(pd.DataFrame([row]), cores=1)
    >>> list(result.refused), len(result.arms)
    ([('one', 'a', 'os')], 0)
    """

    arms: Mapping[Key, Reconstruction]
    refused: Mapping[Key, str]
    summary: pd.DataFrame
    diagnostics: pd.DataFrame
    patients: pd.DataFrame
    time_unit: str | None
    draws: Mapping[Key, Sequence[pd.DataFrame]] = field(default_factory=dict)
    units: Mapping[Key, str | None] = field(default_factory=dict)

    def require_all(self) -> None:
        """Raise InputError naming each arm that was refused."""
        if self.refused:
            reasons = "; ".join(f"study {s}, arm {a}, {e}: {why}" for (s, a, e), why in self.refused.items())
            raise InputError(f"manifest, {len(self.refused)} of {len(self.summary)} arms refused", found=reasons)


@dataclass(frozen=True)
class _Task:
    """One row of the manifest with its tables read; `refusal` where that already failed."""

    key: Key
    treatment: str
    unit: str | None
    printed: Mapping[str, Any] = field(default_factory=dict)
    refusal: str = ""


@dataclass(frozen=True)
class _Done:
    """What one process sends back: everything but the sampler, which cannot travel and is made again when asked."""

    rec: Reconstruction | None
    draws: Sequence[pd.DataFrame]
    refusal: str
    seconds: float


@dataclass(frozen=True)
class _Again:
    """The sampler of an arm rebuilt in another process: it is rebuilt here at the first draw, with the same result."""

    printed: Mapping[str, Any]
    kept: dict[str, Any] = field(default_factory=dict, repr=False)

    def __call__(self, rng: np.random.Generator) -> Patients:
        if not self.kept:
            self.kept["sampler"] = reconstruct(**self.printed)._sampler
        return self.kept["sampler"](rng)


def reconstruct_all(
    manifest: Path | str | pd.DataFrame,
    *,
    cores: int | None = None,
    draws: int = 0,
    seed: int = 1,
    time_unit: str | None = None,
    say: Say | None = None,
) -> Reconstructions:
    """Reconstruct the patients behind every curve of a manifest.

    Parameters
    ----------
    manifest
        A CSV file or a table: study, arm, treatment, endpoint, curve, [at_risk, ticks, n, events, axis_max,
        time_unit]. Files are relative to the manifest's folder, or to the working folder for a DataFrame.
    cores
        Number of processes: None for all there are, 1 for this process alone.
    draws
        Number of plausible sets of patients to draw of each arm, where the arm is rebuilt.
    seed
        Seed of these draws; each arm has the draws that it alone would have.
    time_unit
        Unit that the patients table is converted to: needed where arms differ in theirs. A blank unit is this one.
    say
        Called after each arm with how many are done, of how many, and which was the last.

    Returns
    -------
    Reconstructions
        Arms, summary, diagnostics and patients; refused arms are listed in `.refused` and in the summary.

    Raises
    ------
    InputError
        Where the manifest cannot be read, or its arms have several units and `time_unit` does not say which to use.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> import bayes_bm as bb
    >>> corners = pd.DataFrame({"time": [0, 2, 2, 5, 5, 8], "survival": [1, 1, 0.75, 0.75, 0.375, 0.375]})
    >>> row = {"study": "one", "arm": "a", "treatment": "gtr", "endpoint": "os", "curve": "a.csv", "n": 4}
    >>> with tempfile.TemporaryDirectory() as name:
    ...     corners.to_csv(pathlib.Path(name) / "a.csv", index=False)
    ...     pd.DataFrame([row]).to_csv(pathlib.Path(name) / "curves.csv", index=False)
    ...     result = bb.reconstruct_all(pathlib.Path(name) / "curves.csv", cores=1)
    >>> result.summary[["study", "arm", "n", "events", "verdict"]].to_dict("records")
    [{'study': 'one', 'arm': 'a', 'n': 4, 'events': 2, 'verdict': 'exact'}]
    """
    table, folder = _read_manifest(manifest)
    unit = _unit(table, time_unit)
    tasks = _without_swaps([_task(row, folder, unit) for row in records(table)])
    done = _run(tasks, cores=cores, draws=draws, seed=seed, say=say or (lambda *_: None))
    return _gather(tasks, done, unit)


def _read_manifest(manifest: Path | str | pd.DataFrame) -> tuple[pd.DataFrame, Path]:
    if isinstance(manifest, pd.DataFrame):
        return check_table("curves", manifest, where="manifest"), Path()
    return read_table("curves", manifest), Path(manifest).parent


def _unit(table: pd.DataFrame, wanted: str | None) -> str | None:
    """The unit of the patients table: the one asked for, or the one that all curves share."""
    if wanted is not None and wanted not in UNITS:
        raise InputError("time_unit", found=wanted, allowed=", ".join(UNITS))
    given = table["time_unit"].dropna().unique()
    blank = bool(table["time_unit"].isna().any())
    if wanted is None and len(given) + (blank and len(given) > 0) > 1:
        units = ", ".join([*map(str, given), *(["a blank"] if blank else [])])
        hint = "one patients table has one unit: say which with time_unit (--time-unit)"
        raise InputError("manifest, column time_unit", found=units, allowed="one unit for all curves", hint=hint)
    return wanted or (str(given[0]) if len(given) else None)


def _task(row: Mapping[Any, Any], folder: Path, unit: str | None) -> _Task:
    key = str(row["study"]), str(row["arm"]), str(row["endpoint"])
    curve_unit = row["time_unit"] if isinstance(row.get("time_unit"), str) else unit
    files = {name: folder / row[name] for name in ("curve", "at_risk", "ticks") if isinstance(row.get(name), str)}
    whole = {name: int(row[name]) for name in ("n", "events") if pd.notna(row.get(name))}
    axis = {"axis_max": float(row["axis_max"])} if pd.notna(row.get("axis_max")) else {}
    try:
        printed = {name: read_clicks(name, path) for name, path in files.items()}
    except BayesBmError as problem:
        return _Task(key, str(row["treatment"]), curve_unit, refusal=str(problem))
    return _Task(key, str(row["treatment"]), curve_unit, {**printed, **whole, **axis})


def _without_swaps(tasks: list[_Task]) -> list[_Task]:
    """Arms of one study whose tables are likely exchanged are refused: neither could be rebuilt from its own."""
    refusals: dict[Key, str] = {}
    for study, endpoint in dict.fromkeys((task.key[0], task.key[2]) for task in tasks):
        together = [t for t in tasks if (t.key[0], t.key[2]) == (study, endpoint) and not t.refusal]
        for swap in swapped_arms([Arm.from_printed(task.key[1], task.printed) for task in together]):
            text = f"at_risk: found {swap.text}; {swap.hint}"
            refusals |= {(study, name, endpoint): text for name in (swap.one, swap.other)}
    return [replace(task, refusal=refusals.get(task.key, task.refusal)) for task in tasks]


# --- running ------------------------------------------------------------------------------------------------------


def _run(tasks: Sequence[_Task], *, cores: int | None, draws: int, seed: int, say: Say) -> list[_Done]:
    named = [Task(repr(task.key), task) for task in tasks]

    def report_progress(done: int, total: int, outcome: Outcome) -> None:
        say(done, total, names[outcome.name])

    names = {repr(task.key): key_text(task.key) for task in tasks}
    # processes are not worth starting for one arm
    cores = max(1, min(len(tasks), _available() if cores is None else cores))
    outcomes = map_fits(partial(_rebuild_alone, draws=draws, seed=seed), named, cores=cores, progress=report_progress)
    return [
        one.value or _Done(None, (), f"a fault of the program, not of the input: {one.failure}", 0.0)
        for one in outcomes
    ]


def _available() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def key_text(key: Key) -> str:
    return " / ".join(key)


def _rebuild_alone(task: _Task, seeds: np.random.SeedSequence, *, draws: int, seed: int) -> _Done:
    """As one of many tasks; an arm's draws have the seed that its alone would have."""
    return _rebuild(task, draws, seed)


def _rebuild(task: _Task, draws: int, seed: int) -> _Done:
    """One arm, rebuilt and drawn from; whatever goes wrong with it is its own affair."""
    start = time.perf_counter()
    if task.refusal:
        return _Done(None, (), task.refusal, 0.0)
    try:
        rec = reconstruct(**task.printed)
        sets = rec.draw(draws, seed=seed)
    except BayesBmError as problem:
        return _Done(None, (), str(problem), time.perf_counter() - start)
    except Exception as problem:
        fault = f"a fault of the program, not of the input: {type(problem).__name__}: {problem}"
        return _Done(None, (), fault, time.perf_counter() - start)
    return _Done(replace(rec, _sampler=_Again(task.printed)), sets, "", time.perf_counter() - start)


# --- gathering ----------------------------------------------------------------------------------------------------


def _gather(tasks: Sequence[_Task], done: Sequence[_Done], unit: str | None) -> Reconstructions:
    rebuilt = {task.key: (task, result.rec) for task, result in zip(tasks, done, strict=True) if result.rec is not None}
    patients = [_patients(task, rec, unit) for task, rec in rebuilt.values()]
    findings = [with_key(rec.diagnostics, key) for key, (_, rec) in rebuilt.items()]
    return Reconstructions(
        arms={key: rec for key, (_, rec) in rebuilt.items()},
        refused={task.key: result.refusal for task, result in zip(tasks, done, strict=True) if result.rec is None},
        summary=pd.DataFrame([_summary(t, d) for t, d in zip(tasks, done, strict=True)], columns=list(SUMMARY)),
        diagnostics=pd.concat(findings, ignore_index=True) if findings else pd.DataFrame(),
        patients=pd.concat(patients, ignore_index=True) if patients else pd.DataFrame(columns=list(_PATIENTS)),
        time_unit=unit,
        draws={task.key: result.draws for task, result in zip(tasks, done, strict=True) if result.draws},
        units={task.key: task.unit for task in tasks},
    )


_PATIENTS = "study", "arm", "treatment", "time", "event", "x_endpoint"
"""Columns of the patients table of all arms."""


def _patients(task: _Task, rec: Reconstruction, unit: str | None) -> pd.DataFrame:
    factor = UNITS[task.unit] / UNITS[unit] if task.unit and unit else 1.0
    study, arm, endpoint = task.key
    table = rec.patients.assign(
        study=study, arm=arm, treatment=task.treatment, time=rec.patients["time"] * factor, x_endpoint=endpoint
    )
    return table[list(_PATIENTS)]


def with_key(table: pd.DataFrame, key: Key) -> pd.DataFrame:
    names = pd.DataFrame([key] * len(table), columns=["study", "arm", "endpoint"], index=table.index)
    return pd.concat([names, table], axis=1)


def _summary(task: _Task, done: _Done) -> dict[str, Any]:
    study, arm, endpoint = task.key
    row = {"study": study, "arm": arm, "endpoint": endpoint, "treatment": task.treatment, "seconds": done.seconds}
    if done.rec is None:
        return {**row, "verdict": REFUSED, "reason": done.refusal}
    rec, diagnostics = done.rec, done.rec.diagnostics
    risk = diagnostics[diagnostics["check"] == "at_risk"].drop_duplicates("time")
    patients = rec.patients["time"].to_numpy(), rec.patients["event"].to_numpy()
    errors = diagnostics.loc[diagnostics["check"] == "click_error", "reconstructed"]
    return {
        **row,
        "n": len(rec.patients),
        "events": int(rec.patients["event"].sum()),
        "events_printed": np.nan if rec.curve.events is None else rec.curve.events,
        "method": rec.method,
        "click_error": float(errors.iloc[0]) if len(errors) else np.nan,
        "largest_residual": round(float(distances(rec.curve, patients).max()), 5),
        "at_risk_honoured": f"{(risk['printed'] == risk['reconstructed']).sum()}/{len(risk)}" if len(risk) else "",
        "verdict": rec.verdict,
        "reason": rec.reason,
    }
