"""Reconstructed patients, figures and one summary table of a manifest, written to a folder."""

import re
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from bayes_bm.evidence.manifest import Key, Reconstructions, key_text, with_key
from bayes_bm.reconstruction.reconstruct import stack_draws
from bayes_bm.runtime.files import atomic_write
from bayes_bm.runtime.spreadsheets import defuse

SUMMARY_FILES = ("patients.csv", "summary.csv", "diagnostics.csv", "draws.csv")
"""Names of the tables of a manifest."""
LONGEST = 150
"""Letters of a figure's name, beside its digest; file systems take 255 bytes."""


def write_reconstructions(reconstructions: Reconstructions, folder: Path, *, figures: bool = False) -> list[Path]:
    """Write patients.csv, summary.csv, diagnostics.csv, draws.csv where there are draws, and one PNG an arm if asked
    for; all are made before the first takes its name. Return their paths."""
    tables = {
        "patients": reconstructions.patients,
        "summary": reconstructions.summary,
        "diagnostics": reconstructions.diagnostics,
    }
    if reconstructions.draws:
        tables["draws"] = pd.concat([_labelled_draws(sets, key) for key, sets in reconstructions.draws.items()])
    with ExitStack() as files:
        for name, table in tables.items():
            defuse(table).to_csv(files.enter_context(atomic_write(folder / f"{name}.csv")), index=False)
        for key, rec in reconstructions.arms.items() if figures else ():
            file = files.enter_context(atomic_write(folder / figure_name(key)))
            from bayes_bm.report.plots.reconstruction import reconstruction_figure  # not for the processes that rebuild

            unit = reconstructions.units.get(key) or ""
            shown = rec.picture(sets=reconstructions.draws.get(key, ()))
            drawn = reconstruction_figure(shown, name=key_text(key), unit=unit)
            drawn.savefig(file, dpi=150, metadata={"Software": None})
    names = [f"{name}.csv" for name in tables] + [figure_name(key) for key in (reconstructions.arms if figures else ())]
    return [folder / name for name in names]


def figure_name(key: Key) -> str:
    """Return `study-arm-endpoint.png` with nothing that a file name cannot hold; a digest tells equal names apart."""
    plain = "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", part) for part in key)
    same = plain == "-".join(key) and not any("-" in part for part in key) and len(plain) <= LONGEST
    return f"{plain}.png" if same else f"{plain[:LONGEST]}-{zlib.crc32(repr(key).encode()):08x}.png"


def _labelled_draws(sets: Sequence[pd.DataFrame], key: Key) -> pd.DataFrame:
    return with_key(stack_draws(sets), key)
