"""A folder for a first analysis: a commented spec and tables, from a table of patients or from a question."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from bayes_bm.evidence.starting.example_tables import example_tables
from bayes_bm.evidence.starting.patients import NICE_TIMES, PatientsFile
from bayes_bm.evidence.starting.spec_text import FirstSpec, covariate_lines, spec_text
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import write_text
from bayes_bm.spec.endpoints import EVENTS, event_words
from bayes_bm.spec.schema import spec_schema

SPEC_FILE, SCHEMA_FILE = "spec.toml", "spec.schema.json"
YEAR = {"days": 365.0, "weeks": 52.0, "months": 12.0, "years": 1.0}
MADE_UP = "The rows of these tables are made up by bayes-bm init: put your own in their place."
LONGEST = 60
"""Letters of a treatment's name."""


@dataclass(frozen=True)
class Start:
    """The files of a first analysis by name, and what a reader must know."""

    files: dict[str, str]
    remarks: tuple[str, ...]

    def write(self, folder: Path) -> list[Path]:
        """Write the files. Raises `InputError` where one of them is there already: nothing is replaced."""
        there = [name for name in self.files if (folder / name).exists()]
        if there:
            hint = "nothing is replaced: choose another folder"
            raise InputError(
                str(folder), found=f"{', '.join(there)} already", allowed="a new or empty folder", hint=hint
            )
        return [write_text(folder / name, text) for name, text in self.files.items()]


def start_from_patients(shown: PatientsFile, folder: Path, *, endpoint: str) -> Start:
    """Return a first analysis of a table of patients: the reference is the treatment with most patients."""
    reference, *others = shown.holders
    copied = bool(shown.changes)
    path = "patients.csv" if copied else os.path.relpath(shown.path.resolve(), folder.resolve())
    median = "not reached" if shown.median is None else f"{shown.median:.3g}"
    first = FirstSpec(
        name=_slug(shown.path.stem),
        question=f"{_curve(endpoint)}: {', '.join(holder.name for holder in others)} against {reference.name}",
        endpoint=endpoint,
        unit=shown.unit,
        reference_time=shown.reference_time,
        horizon=shown.horizon,
        tables=(f"patients = [{json.dumps(path, ensure_ascii=False)}]", *OTHER_TABLES),
        treatments=tuple(holder.name for holder in shown.holders),
        studies=len(shown.studies),
        notes={
            "time_unit": shown.unit_reason,
            "reference_time": f"near the median of all patients together, {median}",
            "reference": f"{reference.patients} patients, {reference.events} events: the most",
            "compare": "; ".join(f"{holder.name}: {holder.patients}, {holder.events} events" for holder in others[:6]),
        },
        covariates=tuple(
            line
            for column in shown.covariates
            for line in covariate_lines(
                column.name, two_valued=column.two_valued, mean=column.mean, sd=column.sd, blank=column.blank
            )
        ),
    )
    files = {SPEC_FILE: spec_text(first), SCHEMA_FILE: _schema_text()}
    if copied:
        files["patients.csv"] = shown.table.to_csv(index=False)
    remarks = [*shown.changes, f"unit of time: {shown.unit} ({shown.unit_reason})"]
    return Start(files, tuple(remarks))


OTHER_TABLES = (
    '# further evidence counts too: arms = ["arms.csv"], points, medians, hazard_ratios, counts, curves',
    "# (bayes-bm init OTHER shows how these tables look; bayes-bm digitize makes curves of figures)",
)


def start_from_question(question: str, *, endpoint: str, unit: str) -> Start:
    """Return a first analysis of a question `A v B`, with made-up rows in tables that wait for yours."""
    names = treatments_of(question)
    *compared, reference = names
    times = NICE_TIMES[unit]
    year = YEAR[unit]
    later = next((time for time in times if time > year), 2 * year)
    first = FirstSpec(
        name=_slug("_v_".join(names)),
        question=f"{_curve(endpoint)}: {', '.join(compared)} against {reference}",
        endpoint=endpoint,
        unit=unit,
        reference_time=year,
        horizon=2 * year,
        tables=(
            'arms = ["arms.csv"]  # every arm of every study: treatment, patients',
            'medians = ["medians.csv"]  # printed medians with their intervals',
            'points = ["points.csv"]  # printed survival at times',
            'hazard_ratios = ["hazard_ratios.csv"]  # printed ratios within a study',
            '# also: patients = ["patients.csv"] (study, arm, treatment, time, event), counts, curves',
        ),
        treatments=(reference, *compared),
        studies=2 + len(compared),
        notes={"time_unit": "of every time in the tables", "reference_time": "put it near the median"},
        cannot_say=MADE_UP,
    )
    tables = example_tables(names, endpoint, year=year, later=later)
    return Start({SPEC_FILE: spec_text(first), **tables, SCHEMA_FILE: _schema_text()}, (MADE_UP,))


def treatments_of(question: str) -> list[str]:
    """Return the treatments of `A v B` (also vs, versus, against) as names for tables."""
    parts = [part.strip() for part in re.split(r"\s+(?:v|vs|versus|against)\.?\s+", question.strip(), flags=re.I)]
    names = [re.sub(r"\s+", "_", part) for part in parts]
    wrong = len(names) < 2 or not all(names) or len(set(names)) < len(names) or any(len(one) > LONGEST for one in names)
    if wrong:
        raise InputError("--question", found=repr(question)[:60], allowed='"A v B", two treatments of short names')
    return names


def _curve(endpoint: str) -> str:
    return event_words(endpoint)[1].capitalize() if endpoint in EVENTS else endpoint.replace("_", " ")


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_")[:100] or "analysis"


def _schema_text() -> str:
    return json.dumps(spec_schema(), indent=1) + "\n"
