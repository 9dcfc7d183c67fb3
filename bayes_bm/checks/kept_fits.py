"""Fits kept in a folder, so that an interrupted call goes on; what is broken there is made anew."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_bm.evidence.centres import with_centres
from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.result import Result, load
from bayes_bm.model.baseline_hazard import with_knots
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import file_name_part, read_kept_json, write_text
from bayes_bm.runtime.spreadsheets import defuse
from bayes_bm.runtime.tasks import Task
from bayes_bm.spec.document import Spec

type Numbers = dict[str, Any]


@dataclass(frozen=True)
class KeptFits:
    """Store fits as NetCDF, named by analysis and digest; beside each the numbers of one contrast.

    `numbers_of` works the numbers of a contrast out of a fit.
    """

    path: Path
    pair: tuple[str, str]
    numbers_of: Callable[[Result, tuple[str, str]], Numbers]

    def file_name(self, name: str, key: str) -> str:
        return f"{file_name_part(name)}-{key}.nc"

    def get(self, task: Task) -> Numbers | None:
        """Return the numbers kept, or those of the fit that is kept; None where that fit is gone, cut or broken."""
        fit_file = self.path / self.file_name(task.name, task.key)
        try:
            result = load(fit_file)
        except InputError:
            return None
        kept = read_kept_json(self._numbers_file(fit_file))
        whole = isinstance(kept, dict) and {"gate", "seconds", "note", "evidence"} <= kept.keys()
        return kept if whole else self._put_numbers(fit_file, self.numbers_of(result, self.pair))

    def put(self, task: Task, value: tuple[Result, Numbers]) -> Numbers:
        """Write the fit, then its numbers."""
        fit_file = self.path / self.file_name(task.name, task.key)
        value[0].save(fit_file)
        return self._put_numbers(fit_file, value[1])

    def _numbers_file(self, fit_file: Path) -> Path:
        return fit_file.with_name(f"{fit_file.stem}.{file_name_part('.'.join(self.pair))}.json")

    def _put_numbers(self, fit_file: Path, numbers: Numbers) -> Numbers:
        write_text(self._numbers_file(fit_file), json.dumps(numbers))
        return numbers


def _settled(spec: Spec, evidence: Evidence) -> Spec:
    """The spec as a fit writes it down: knots and centres as numbers."""
    return with_centres(with_knots(spec, evidence), evidence)


DIGITS = 10
"""Digits of evidence by which a shipped table's model is known again."""


def analysis_key(spec: Spec, evidence: Evidence) -> str:
    """Return a digest of what a fit follows from: spec (without the names of other analyses), settings, evidence."""
    alone = _settled(spec, evidence).model_copy(update={"sensitivity": {}})
    return _digest(alone.digest(), evidence.digest())


def analysis_model(spec: Spec, evidence: Evidence) -> str:
    """Return a digest without sampler settings and seed: whether two fits are of one model and its evidence.

    It is the same on every processor, for tables of analyses are shipped.
    """
    plain = {"sensitivity": {}, "sampling": type(spec.sampling)(), "seed": 0}
    return _digest(_settled(spec, evidence).model_copy(update=plain).digest(), evidence.digest(digits=DIGITS))


def _digest(*parts: str) -> str:
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:12]


def write_changed(table: pd.DataFrame, path: Path) -> bool:
    """Write the table whole or not at all; a file that already says this is not touched."""
    text = defuse(table).to_csv(index=False)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    write_text(path, text)
    return True
