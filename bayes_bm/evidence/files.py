"""Paths of a spec's evidence files, their digests, and the table of background mortality."""

import hashlib
from pathlib import Path

import pandas as pd

from bayes_bm.evidence.records import no_background
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.evidence.tables.schema import nearest_name
from bayes_bm.evidence.time_units import DAYS_PER
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import shipped
from bayes_bm.spec.sources import EVIDENCE_KINDS


def read_background(spec: Spec, digests: dict[str, str]) -> pd.DataFrame:
    """The background hazard that a spec names (time, hazard), in its time unit; empty where it names none."""
    source = spec.evidence.background
    if source is None:
        return no_background()
    path = resolve_path("background", source.path, spec)[0]
    frame = read_table("background", path)
    digests[source.path] = file_digest(path)
    factor = DAYS_PER[source.time_unit or spec.time_unit] / DAYS_PER[spec.time_unit]
    return frame.assign(time=frame["time"] * factor, hazard=frame["hazard"] / factor)


def resolve_path(kind: str, path: str, spec: Spec) -> tuple[Path, bool]:
    """`shipped:recurrent_bm` is the package's own table of that kind; all else is relative to the spec."""
    if not path.startswith("shipped:"):
        return Path(spec.folder) / path, False
    folder = shipped("data") / path.removeprefix("shipped:")
    if not folder.is_dir() or folder.parent != shipped("data"):
        folders = ", ".join(f"shipped:{entry.name}" for entry in sorted(shipped("data").iterdir()) if entry.is_dir())
        hint = nearest_name(path, folders.split(", "))
        raise InputError(f"evidence.{kind}", found=f"{path!r}, no shipped tables", allowed=folders, hint=hint)
    return folder / f"{kind}.csv", True


def evidence_files(spec: Spec) -> list[Path]:
    """Return the files that a spec's evidence is read from, those that a register of curves names among them."""
    sources = [(kind, source) for kind in EVIDENCE_KINDS for source in getattr(spec.evidence, kind)]
    paths = [resolve_path(kind, source.path, spec)[0] for kind, source in sources]
    registers = [path for path, (kind, _) in zip(paths, sources, strict=True) if kind == "curves"]
    background = spec.evidence.background
    paths += [] if background is None else [resolve_path("background", background.path, spec)[0]]
    return [*paths, *(file for register in registers for file in registered_files(register))]


def registered_files(register: Path) -> list[Path]:
    """Return the files that a register of curves names, and itself."""
    table = read_table("curves", register)
    columns = [table[name].dropna() for name in ("curve", "at_risk", "ticks") if name in table]
    return [register, *(register.parent / str(name) for column in columns for name in column)]


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
