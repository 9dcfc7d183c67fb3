"""What is wrong with an analysis, what each of its rows would teach, and what is missing, before any fit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bayes_bm.evidence.audit import Audit, audit
from bayes_bm.evidence.reading import read_evidence, table_errors
from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.frames import records
from bayes_bm.runtime.errors import InputError, InputErrors
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import read_spec


@dataclass(frozen=True)
class Lint:
    """What a look at one spec says.

    errors   what is wrong, all of it that can be seen; without errors the rest is filled
    rows     what each row of evidence would teach, the rows of an audit
    missing  what would make the answer better, in words
    notes    what a reader must know, and reasons not to fit
    """

    spec: str
    errors: tuple[InputError, ...]
    rows: pd.DataFrame
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    refusals: tuple[str, ...]


def spec_files(place: Path) -> list[str]:
    """Return the specs of a folder, or the one that is named. Raises `InputError` for a folder without any."""
    if not place.is_dir():
        return [str(place)]
    files = sorted(file for file in place.glob("*.toml") if _is_spec(file))
    if not files:
        hint = f"make one with: bayes-bm init {place}"
        raise InputError(str(place), found="no spec", allowed="a folder with a TOML file", hint=hint)
    return [str(file) for file in files]


def _is_spec(file: Path) -> bool:
    """Whether a TOML file has a key of specs: other programs keep TOML files too."""
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    return "endpoint" in text or "treatments" in text or "schema" in text


def lint(name: str) -> Lint:
    """Return everything that is wrong with a spec and its tables; of right ones what each row would teach."""
    try:
        spec = read_spec(name)
        wrong = table_errors(spec)
        evidence = None if wrong else read_evidence(spec)
    except InputErrors as problem:
        return _broken(name, problem.errors)
    except InputError as problem:
        return _broken(name, [problem])
    if evidence is None:
        return _broken(name, wrong)
    audited = audit(spec, evidence)
    missing = tuple(_missing(spec, evidence, audited))
    return Lint(name, (), audited.rows, missing, audited.notes, audited.refusals)


def _broken(name: str, errors: Sequence[InputError]) -> Lint:
    return Lint(name, tuple(errors), pd.DataFrame(), (), (), ())


def _missing(spec: Spec, evidence: Evidence, audited: Audit) -> Iterator[str]:
    """Yield what would make the answer better: sides, shapes, follow-up, intervals, sizes, analyses."""
    yield from _missing_of_treatments(spec, audited)
    medians = evidence.medians
    lone = medians[medians["law"] == "order"] if len(medians) else medians
    for study in _places(lone):
        yield f"{study}: a median with n alone; its interval (ci_low, ci_high) would say how sure it is"
    sizes = evidence.arms[evidence.arms["n"].isna()]
    for study in _places(sizes):
        yield f"{study}: no n; with it a number without an interval would count"
    if not spec.sensitivity:
        yield "no named analysis ([sensitivity.NAME]): a critic asks what the priors do"


def _missing_of_treatments(spec: Spec, audited: Audit) -> Iterator[str]:
    rows = audited.rows
    for row in records(audited.treatments):
        name, own = row["treatment"], rows[rows["treatment"] == row["treatment"]]
        if not len(own):
            yield f"{name}: no row of any table; its answers would be the prior's"
            continue
        if row["studies"] == 1:
            yield f"{name}: one study alone; a second would tell the treatment from its study"
        if not own["informs"].str.contains("shape").any() and spec.hazard.shapes:
            yield f"{name}: no row shows its shape; patients, a curve or survival at two times would"
        if row["until"] < spec.horizon:
            reach = f"rows speak up to {row['until']:.3g} {spec.time_unit}"
            yield f"{name}: {reach}, the horizon is {spec.horizon:g}; beyond them curves are extrapolated"
    for row in records(audited.contrasts):
        if row["studies"] == 0:
            pair = f"{row['treatment']} v {row['reference']}"
            yield f"{pair}: no study holds both; a hazard ratio of one that does would be worth most"


def _places(rows: pd.DataFrame) -> list[str]:
    return [f"{study}, {arm}" for study, arm in zip(rows["study"], rows["arm"], strict=True)] if len(rows) else []
