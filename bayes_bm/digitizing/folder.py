"""The files of a reading: what `bayes-bm reconstruct --manifest` and a spec's `curves` take, whole or not at all."""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayes_bm.digitizing.calibration_file import calibration_text
from bayes_bm.digitizing.counting import confirmed_marks
from bayes_bm.digitizing.figure import Finding
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import atomic_write
from bayes_bm.runtime.spreadsheets import defuse

if TYPE_CHECKING:
    from bayes_bm.digitizing.digitize import Digitized

MANIFEST, CALIBRATION, OVERLAY = "curves.csv", "calibration.toml", "overlay.png"
FILES = (MANIFEST, CALIBRATION, OVERLAY)
"""Names that every folder has; the others begin with the name of an arm."""
NOT_NAMED = "not_named"
"""Endpoint of curves whose axis names none."""
COLUMNS = (
    *("study", "arm", "treatment", "endpoint", "curve", "at_risk", "ticks", "n", "events", "axis_max", "time_unit"),
    *("x_verdict", "x_iae_bound"),
)
DOTS = 150
"""Dots per inch of the overlay."""


def save_figure(
    read: "Digitized",
    folder: Path,
    *,
    study: str | None,
    endpoint: str | None,
    treatments: Mapping[str, str],
    overlay: bool = True,
) -> list[Path]:
    """Write all files of a reading, or none, and return their paths, `curves.csv` first."""
    tables = figure_tables(read, study=study, endpoint=endpoint, treatments=treatments)
    text = calibration_text(read.calibration, figure=read.figure.name)
    with ExitStack() as stack:
        for name, table in tables.items():
            defuse(table).to_csv(stack.enter_context(atomic_write(folder / name)), index=False)
        stack.enter_context(atomic_write(folder / CALIBRATION)).write_text(text, encoding="utf-8")
        if overlay:
            _write_overlay(read, stack.enter_context(atomic_write(folder / OVERLAY)))
    return [folder / name for name in (*tables, CALIBRATION, *([OVERLAY] if overlay else []))]


def _write_overlay(read: "Digitized", file: Path) -> None:
    page: Any = read.overlay()
    page.savefig(file, dpi=DOTS, format="png", metadata={"Software": None})


def figure_tables(
    read: "Digitized", *, study: str | None, endpoint: str | None, treatments: Mapping[str, str]
) -> dict[str, pd.DataFrame]:
    """Return the tables of a reading by the names of their files, `curves.csv` first; refused arms have none."""
    names = list(read)
    unknown = next((arm for arm in treatments if arm not in names), None)
    if unknown is not None:
        raise InputError("--treatment", found=unknown, allowed=", ".join(names), hint="ARM=NAME, the arm as printed")
    stems = file_stems(names)
    ticks, at_risk = read.ticks, read.at_risk
    rows: list[dict[str, Any]] = []
    files: dict[str, pd.DataFrame] = {}
    for place, (name, verdict) in enumerate(zip(names, read.verdicts, strict=True)):
        if verdict.verdict == "refused":
            continue
        tables = {"curve": read[name].round({"time": 9, "survival": 9})}
        tables |= {kind: table[name] for kind, table in (("at_risk", at_risk), ("ticks", ticks)) if name in table}
        files |= {f"{stems[name]}.{kind}.csv": table for kind, table in tables.items()}
        handed_on = confirmed_marks(read.reading, place)
        rows.append(
            {
                "study": study or read.figure.stem,
                "arm": name,
                "treatment": treatments.get(name, name),
                "endpoint": endpoint or read.endpoint or NOT_NAMED,
                **{kind: f"{stems[name]}.{kind}.csv" for kind in tables if kind != "ticks" or handed_on},
                "n": read.patients(name),
                "axis_max": round(read.axis_max, 9),
                "time_unit": read.time_unit,
                "x_verdict": verdict.verdict,
                "x_iae_bound": float(f"{verdict.iae_bound:.2g}"),
            }
        )
    manifest = pd.DataFrame(rows, columns=pd.Index(COLUMNS))
    whole = manifest.astype({"n": "Int64", "events": "Int64"})
    return {MANIFEST: whole, **files}


def handing_findings(read: "Digitized", endpoint: str | None) -> list[Finding]:
    """Return what has to be said of the files: arms whose number of patients nothing prints, an endpoint without name.

    `reconstruct` cannot do without n, so that is a question; rows of an endpoint without name are refused by a spec.
    """
    found: list[Finding] = []
    accepted = read.calibration.accepted
    for name, verdict in zip(read, read.verdicts, strict=True):
        kind = "patients_not_printed"
        if verdict.verdict == "refused" or read.patients(name) is not None:
            continue
        if kind not in accepted and f"{kind}: {name}" not in accepted:
            words = f"Nothing in the figure says how many patients {name} has: n is blank in {MANIFEST}."
            answer = f'[[rows]]: kind = "at_risk", arm = "{name}", times = [0], counts = [...]'
            found.append(Finding(kind, "question", words, answer))
    if endpoint is None and read.endpoint is None:
        words = f'The axis of survival names no endpoint: {MANIFEST} says "{NOT_NAMED}" (--endpoint os names it).'
        found.append(Finding("endpoint_not_named", "note", words))
    return found


def file_stems(names: Sequence[str]) -> dict[str, str]:
    """Return a stem of a file's name for each arm, without letters that a file system refuses, each once.

    >>> file_stems(["5-FU + x", "5-FU / x", "???"])
    {'5-FU + x': '5-FU_x', '5-FU / x': '5-FU_x_2', '???': 'arm_3'}
    """
    stems: dict[str, str] = {}
    for place, name in enumerate(names, 1):
        plain = re.sub(r"[^\w-]+", "_", name).strip("_")[:60] or f"arm_{place}"
        taken = {stem.lower() for stem in stems.values()}
        stem, again = plain, 2
        while stem.lower() in taken:
            stem, again = f"{plain}_{again}", again + 1
        stems[name] = stem
    return stems


def answer_line(finding: Finding, arms: Sequence[str], text: str) -> int:
    """Return the line of `calibration.toml` (from 1) at which a finding is answered: its arm's item, or its key's line.

    A key that is not there goes before the first table.
    """
    lines = text.splitlines()
    if finding.arm is not None and not finding.answer.startswith("accepted"):
        wanted = [number for number, line in enumerate(lines, 1) if line == "[[arms]]"]
        return wanted[finding.arm] if finding.arm < len(wanted) else len(lines)
    word = re.match(r"[\s\[]*([a-z_]+)", finding.answer)
    key = word.group(1) if word else "accepted"
    patterns = (rf"{key}\s*=", rf"\[+{key}\]")
    numbers = [number for number, line in enumerate(lines, 1) if any(re.match(p, line) for p in patterns)]
    return numbers[0] if numbers else next((n for n, line in enumerate(lines, 1) if line.startswith("[")), len(lines))
