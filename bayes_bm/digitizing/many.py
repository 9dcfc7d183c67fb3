"""Many figures in one call: each is read and saved in a process of its own, and one table tells of all."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.digitizing.calibration import Calibration
from bayes_bm.digitizing.digitize import digitize
from bayes_bm.digitizing.figure import Finding
from bayes_bm.digitizing.findings import in_order
from bayes_bm.digitizing.folder import MANIFEST, answer_line, handing_findings
from bayes_bm.digitizing.sources import PICTURES, VECTORS
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import write_csv
from bayes_bm.runtime.parallel import map_fits
from bayes_bm.runtime.spreadsheets import restore
from bayes_bm.runtime.tasks import Outcome, Task

FIGURES = "figures.csv"
"""The table of all figures of a call."""


@dataclass(frozen=True)
class Asked:
    """Hold what is asked of one figure: how it is read, and where its files go."""

    figure: Path
    folder: Path
    calibration: Calibration | None = None
    page: int | None = None
    panel: int | None = None
    study: str | None = None
    endpoint: str | None = None
    treatments: Mapping[str, str] | None = None
    overlay: bool = True


@dataclass(frozen=True)
class Saved:
    """Hold what became of one figure: its files, its table, what has to be told, each finding's line in the file."""

    figure: Path
    folder: Path
    files: tuple[Path, ...] = ()
    table: pd.DataFrame | None = None
    findings: tuple[Finding, ...] = ()
    lines: tuple[int, ...] = ()
    time_unit: str | None = None
    refusal: str = ""

    @property
    def status(self) -> int:
        """Return 0 where all was read, 1 where questions are open, 2 where nothing was read."""
        if self.refusal:
            return 2
        return int(any(finding.severity != "note" for finding in self.findings))


def digitize_and_save(asked: Asked) -> Saved:
    """Read one figure and write its files.

    Raises
    ------
    InputError
        If nothing can be read, or no arm of it can be trusted.
    """
    read = digitize(asked.figure, asked.calibration, asked.page, asked.panel)
    if all(one.verdict == "refused" for one in read.verdicts):
        found = " ".join(dict.fromkeys(one.reason for one in read.verdicts))
        hint = "give through = [[x, y], ...] of each arm in calibration.toml (--calibration)"
        raise InputError(str(asked.figure), found=found, hint=hint)
    named: dict[str, Any] = {"study": asked.study, "endpoint": asked.endpoint, "treatments": asked.treatments}
    files = read.save(asked.folder, overlay=asked.overlay, **named)
    text = (asked.folder / "calibration.toml").read_text(encoding="utf-8")
    findings = in_order([*read.findings, *handing_findings(read, asked.endpoint)])
    lines = tuple(answer_line(finding, list(read), text) for finding in findings)
    return Saved(asked.figure, asked.folder, tuple(files), read.table, findings, lines, read.time_unit)


def figures_in(places: Sequence[Path]) -> list[Path]:
    """Return the figures that files and folders name, those of a folder sorted by name."""
    figures: list[Path] = []
    for place in places:
        if place.is_dir():
            files = sorted(file for file in place.iterdir() if file.suffix.lower() in (*VECTORS, *PICTURES))
            if not files:
                allowed = f"files that end in {', '.join((*VECTORS, *PICTURES))}"
                raise InputError(str(place), found="a folder without a figure", allowed=allowed)
            figures += files
        else:
            figures.append(place)
    return figures


def digitize_all(
    asked: Sequence[Asked],
    *,
    cores: int | None = None,
    say: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> list[Saved]:
    """Return what became of every figure, in the order given; one that is refused does not stop the others."""
    names = {f"{place}": one.figure.name for place, one in enumerate(asked)}

    def report_progress(done: int, total: int, outcome: Outcome) -> None:
        say(done, total, names[outcome.name])

    tasks = [Task(name, one) for name, one in zip(names, asked, strict=True)]
    cores = max(1, min(len(asked), _available() if cores is None else cores))
    outcomes = map_fits(_digitize_task, tasks, cores=cores, progress=report_progress)
    return [
        outcome.value if outcome.status != "failed" else Saved(one.figure, one.folder, refusal=outcome.failure)
        for one, outcome in zip(asked, outcomes, strict=True)
    ]


def _digitize_task(asked: Asked, _: np.random.SeedSequence) -> Saved:
    return digitize_and_save(asked)


def _available() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write_together(saved: Sequence[Saved], folder: Path) -> list[Path]:
    """Write one manifest of all curves and one table of all figures into a folder above theirs."""
    manifests = []
    for one in saved:
        if one.files:
            manifest = restore(pd.read_csv(one.folder / MANIFEST, dtype=object))
            for column in ("curve", "at_risk", "ticks"):
                filled = manifest[column].notna()
                manifest.loc[filled, column] = f"{one.folder.name}/" + manifest.loc[filled, column].astype(str)
            manifests.append(manifest)
    tables = {FIGURES: figures_table(saved)}
    if manifests:
        tables = {MANIFEST: pd.concat(manifests, ignore_index=True), **tables}
    return [write_csv(table, folder / name) for name, table in tables.items()]


def figures_table(saved: Sequence[Saved]) -> pd.DataFrame:
    """Return one row an arm of every figure, and one for each figure that was not read."""
    parts = []
    for one in saved:
        if one.table is not None:
            parts.append(one.table.assign(questions=sum(finding.severity != "note" for finding in one.findings)))
        else:
            parts.append(pd.DataFrame([{"figure": one.figure.name, "verdict": "refused", "reason": one.refusal}]))
    return pd.concat(parts, ignore_index=True)
