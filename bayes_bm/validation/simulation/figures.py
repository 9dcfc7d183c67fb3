"""A world whose evidence begins at the figure: each study's patients are drawn as a journal would, and read back.

What is recorded of a figure is its patients and its style; the files are drawn where the world is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import atomic_write
from bayes_bm.validation.simulation.journal_figures import FigureStyle, FileKind, Patients, draw_figure, random_style

Figures = Literal["any", "vector", "png"]
"""Kinds of files that a world's figures are drawn as."""
FOLDER, READ = "figures", "digitized"
"""Where a world's figures stand, and where `bayes-bm digitize` puts what it read from them."""
_FILES: Mapping[Figures, tuple[FileKind, ...]] = {
    "any": ("svg", "pdf", "png"),
    "vector": ("svg", "pdf"),
    "png": ("png",),
}
MOST_ARMS = 3
"""Arms for which a style has colours and dashes."""


@dataclass(frozen=True)
class StudyFigure:
    """Hold the figure of one study: its file's name, its arms' patients by treatment, and how it looks."""

    name: str
    arms: Mapping[str, Patients]
    style: FigureStyle
    time_unit: str

    def write(self, folder: Path) -> Path:
        """Draw the figure into a folder, whole or not at all, and return its path."""
        path = folder / self.name
        with atomic_write(path) as file:
            draw_figure(file, self.arms, self.style, time_unit=self.time_unit)
        return path


def study_figures(
    patients: pd.DataFrame, *, kind: Figures, time_unit: str, seed: np.random.SeedSequence
) -> list[StudyFigure]:
    """Return a figure of each study in a patients table, each in a style of its own; numbers at risk stand below all.

    A legend prints the treatments of the arms, by which they are known again.
    """
    if kind not in _FILES:
        raise InputError("figures", found=kind, allowed=", ".join(_FILES))
    figures = []
    groups = list(patients.groupby("study", sort=True))
    for (study, rows), stream in zip(groups, seed.spawn(len(groups)), strict=True):
        rng = np.random.default_rng(stream)
        arms = {
            str(arm): (one["time"].to_numpy(), one["event"].to_numpy()) for arm, one in rows.groupby("arm", sort=True)
        }
        if len(arms) > MOST_ARMS:
            raise InputError(
                "figures", found=f"{len(arms)} arms of {study}", allowed=f"at most {MOST_ARMS} in a figure"
            )
        file = _FILES[kind][int(rng.integers(len(_FILES[kind])))]
        style = replace(random_style(rng, len(arms), file=file), table=True)
        if len(arms) == 1:
            style = replace(style, legend="inside")
        figures.append(StudyFigure(f"{study}.{file}".replace(" ", "_"), arms, style, time_unit))
    return figures


def read_figures(folder: Path, *, endpoint: str, treatments: Mapping[str, Mapping[str, str]], cores: int = 1) -> None:
    """Read the figures of a written world into its folder `digitized`, as `bayes-bm digitize` would.

    `treatments` maps the stem of a figure to the treatment of each arm.
    """
    from bayes_bm.digitizing.many import Asked, digitize_all, figures_in, write_together

    asked = [
        Asked(
            path,
            folder / READ / path.name.replace(".", "_"),
            study=path.stem.replace("_", " "),
            endpoint=endpoint,
            treatments=treatments[path.stem],
        )
        for path in figures_in([folder / FOLDER])
    ]
    write_together(digitize_all(asked, cores=cores), folder / READ)
