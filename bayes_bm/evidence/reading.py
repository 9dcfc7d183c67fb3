"""The evidence of one spec: read, converted to the spec's time unit, selected, and counted once
(docs/decisions.md, 1-8, 13).

`read_evidence` is the boundary: whatever is wrong with the tables is said here, before anything compiles. What it
returns are plain tables in which every row is used, and one table of what was set aside and why.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_bm.evidence.arm_covariates import check_averaged
from bayes_bm.evidence.biases import with_amounts
from bayes_bm.evidence.clocks import check_clocks
from bayes_bm.evidence.curves import with_curves
from bayes_bm.evidence.design_weights import down_weighted
from bayes_bm.evidence.files import file_digest, read_background, resolve_path
from bayes_bm.evidence.hazard_ratios import (
    check_adjusted,
    check_followup,
    check_levels,
    hazard_ratio_block,
    with_stated_covariates,
)
from bayes_bm.evidence.likelihood_rows import (
    arms_in_use,
    count_rows,
    patient_rows,
    registry_rows,
    sequences_and_medians,
)
from bayes_bm.evidence.names import check_choices, check_include, check_once, check_some_named, remarks
from bayes_bm.evidence.oddities import odd_numbers
from bayes_bm.evidence.people import covariate_columns
from bayes_bm.evidence.prognostic_ratios import prognostic_rows, with_defaults
from bayes_bm.evidence.records import Evidence, no_background
from bayes_bm.evidence.selection import (
    arm_keys,
    check_overlap,
    drop_double_counted,
    drop_unusable,
    filter_cause,
    inherit_flags,
    keep_chosen,
    one_measure,
    only_endpoint,
    refuse_subdistribution,
)
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.evidence.tables.csv_records import check_there
from bayes_bm.evidence.tables.links import check_links, check_vocabulary
from bayes_bm.evidence.tables.reading import read_table
from bayes_bm.evidence.tables.schema import Column
from bayes_bm.evidence.time_units import DAYS_PER, TIME_COLUMNS
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec
from bayes_bm.spec.reading import as_spec
from bayes_bm.spec.sources import EVIDENCE_KINDS, Source


def read_evidence(spec: Spec | str | Path) -> Evidence:
    """Read, check and select the evidence that a spec names.

    Parameters
    ----------
    spec : Spec, str or Path
        What is assumed, with the files of its evidence; or its TOML file, or the name of a shipped model.

    Returns
    -------
    Evidence
        Every row in use, in the spec's time unit, and what was set aside with its reason.

    Raises
    ------
    InputError
        Where a table breaks the contract or the spec (exit status 2): file, row and column are named.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> evidence = bb.read_evidence("published_os_extent_of_resection")
    >>> evidence.arms[["treatment", "kind"]].to_dict("records")
    [{'treatment': 'gtr', 'kind': 'medians'}, {'treatment': 'str', 'kind': 'medians'}]
    """
    spec, digests = as_spec(spec), dict[str, str]()
    return select(spec, read_tables(spec, digests), digests)


def read_tables(spec: Spec, digests: dict[str, str]) -> dict[str, pd.DataFrame]:
    """Every table that a spec names, in its time unit; the digest of each file is put into `digests`."""
    tables = {kind: _read_kind(kind, spec, digests) for kind in EVIDENCE_KINDS}
    return {**tables, "background": read_background(spec, digests)}


def table_errors(spec: Spec) -> list[InputError]:
    """Return what is wrong with each table by itself, so that all of it can be told at once."""
    errors: list[InputError] = []
    for kind in EVIDENCE_KINDS:
        for source in getattr(spec.evidence, kind):
            try:
                _read_source(kind, source, spec, {})
            except InputError as problem:
                errors.append(problem)
    return errors


def select(spec: Spec, tables: Mapping[str, pd.DataFrame], digests: Mapping[str, str] | None = None) -> Evidence:
    """Evidence from tables already read: frames by kind, in the spec's time unit."""
    background = _background(spec, tables)
    tables = {kind: _grouped(tables[kind], spec) if kind in tables else _empty(kind) for kind in EVIDENCE_KINDS}
    tables["prognostic_ratios"] = with_defaults(tables["prognostic_ratios"])
    aside: list[dict] = []
    check_choices(spec, tables)
    said = (*remarks(spec, tables), *odd_numbers(spec, tables))
    tables["patients"] = filter_cause(tables["patients"], spec)
    tables, rebuilt = with_curves(tables, spec, digests := dict(digests or {}))
    tables["arms"] = _all_arms(tables, spec)
    check_links({kind: frame for kind, frame in tables.items() if kind != "curves"})
    check_include(spec, tables)
    tables = {kind: only_endpoint(kind, frame, spec) for kind, frame in tables.items() if kind != "curves"}
    tables = {kind: inherit_flags(kind, frame, tables["arms"], spec) for kind, frame in tables.items()}
    prognostic = tables.pop("prognostic_ratios")
    tables = {kind: keep_chosen(kind, frame, spec, aside) for kind, frame in tables.items()}
    refuse_subdistribution(tables["hazard_ratios"])
    tables = one_measure(tables, spec, aside)
    tables = drop_unusable(tables, aside)
    tables = drop_double_counted(tables, spec, aside)
    check_overlap(tables, spec)
    used = arm_keys(tables["patients"])
    kept = sorted((arm for arm in rebuilt if arm.key in used), key=lambda arm: arm.key)
    assembled = _assemble(spec, {**tables, "prognostic_ratios": prognostic}, aside, digests)
    evidence = replace(assembled, rebuilt=tuple(kept), background=background, remarks=said)
    check_clocks(spec, evidence)
    return evidence


def _assemble(
    spec: Spec, tables: Mapping[str, pd.DataFrame], aside: list[dict], digests: Mapping[str, str]
) -> Evidence:
    """Numbers of the likelihood for every row that is left."""
    arms = arms_in_use(spec, tables)
    row_of = {key: row for row, key in enumerate(zip(arms["study"], arms["arm"], strict=True))}
    sequences, medians = sequences_and_medians(spec, tables, arms, row_of, aside)
    stated = with_stated_covariates(tables["hazard_ratios"], tables["arms"], spec)
    check_followup(stated, spec)
    check_adjusted(stated, spec)
    check_levels(stated, arms, spec)
    ratios, cholesky = hazard_ratio_block(stated, tables["arms"])
    patients = patient_rows(tables["patients"], arms, row_of, spec)
    check_averaged(spec, patients, arms)
    arms, ratios = with_amounts(spec, arms, ratios, tables["arms"])
    prognostic = prognostic_rows(spec, tables["prognostic_ratios"], arms, patients, aside)
    assembled = Evidence(
        arms=arms,
        patients=patients,
        sequences=sequences,
        medians=medians,
        hazard_ratios=ratios,
        hr_cholesky=cholesky,
        counts=count_rows(tables["counts"], arms, row_of, spec),
        registry=registry_rows(tables["registry"], arms, row_of, spec),
        prognostic_ratios=prognostic,
        set_aside=pd.DataFrame(aside, columns=["kind", "study", "arm", "reason"]),
        digests=dict(digests),
    )
    return down_weighted(spec, assembled)


def _read_kind(kind: str, spec: Spec, digests: dict[str, str]) -> pd.DataFrame:
    sources = getattr(spec.evidence, kind)
    paths = [resolve_path(kind, source.path, spec)[0].resolve() for source in sources]
    if len(set(paths)) < len(paths):
        raise InputError(
            f"evidence.{kind}", found="a file named twice", allowed="each file once: its rows would count twice"
        )
    frames = [_read_source(kind, source, spec, digests) for source in sources]
    _refuse_copies(kind, paths)
    if kind == "patients":
        _refuse_mixed_arms(paths, frames)
    return pd.concat(frames, ignore_index=True) if frames else _empty(kind)


def _refuse_copies(kind: str, paths: list[Path]) -> None:
    """Two files of one kind with the same bytes are one file and its copy."""
    first: dict[str, Path] = {}
    for path in paths:
        other = first.setdefault(file_digest(path), path)
        if other != path:
            raise InputError(
                f"evidence.{kind}",
                found=f"{path.name}, the same rows as {other.name}",
                allowed="each file once: its rows would count twice",
                hint="leave out the copy",
            )


def _refuse_mixed_arms(paths: list[Path], frames: list[pd.DataFrame]) -> None:
    """An arm whose patients stand in two files has one treatment in both; within a file its reader has looked."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for path, frame in zip(paths, frames, strict=True):
        rows = frame.drop_duplicates(["study", "arm"])
        for row, study, arm, treatment in zip(rows.index, rows["study"], rows["arm"], rows["treatment"], strict=True):
            place = f"{path.name}, row {int(row) + 1}"
            other, other_place = first.setdefault((study, arm), (treatment, place))
            if other != treatment:
                raise InputError(
                    f"{place}, column treatment",
                    found=f"{treatment} in study {study}, arm {arm}",
                    allowed=f"{other}, as in {other_place}",
                    hint="an arm has one treatment; give each its own arm name",
                )


def _background(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The background of tables already read; the spec names one or none, since it changes what every answer means."""
    frame = tables.get("background", no_background())
    named, given = spec.evidence.background is not None, len(frame) > 0
    if named != given:
        raise InputError(
            "evidence.background",
            found="a table that the spec does not name" if given else "no table",
            allowed="a table of times and hazards, named in the spec",
        )
    checked = check_table("background", frame, where="background") if given else frame
    return checked[["time", "hazard"]].reset_index(drop=True)


def _grouped(frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Treatments under the name of the spec's group they belong to; the reference of a prognostic ratio is none."""
    if not spec.treatments.groups:
        return frame
    columns = ("treatment", "reference") if "treatment" in frame else ()
    named = {column: frame[column].map(spec.treatments.merged) for column in columns if column in frame}
    return frame.assign(**named)


def _empty(kind: str) -> pd.DataFrame:
    return _checked_empty(kind).copy()


@cache
def _checked_empty(kind: str) -> pd.DataFrame:
    return check_table(kind, pd.DataFrame(columns=_MINIMAL[kind]), where=kind)


_MINIMAL = {
    "patients": ["study", "arm", "treatment", "time", "event"],
    "arms": ["study", "arm", "treatment", "endpoint", "n"],
    "points": ["study", "arm", "endpoint", "time", "survival"],
    "medians": ["study", "arm", "endpoint", "median"],
    "hazard_ratios": ["study", "endpoint", "treatment", "reference", "hr"],
    "counts": ["study", "arm", "endpoint", "events", "n"],
    "registry": ["study", "arm", "endpoint", "start", "stop", "n", "alive"],
    "curves": ["study", "arm", "treatment", "endpoint", "curve"],
    "prognostic_ratios": ["study", "covariate", "endpoint", "hr"],
}


def _read_source(kind: str, source: Source, spec: Spec, digests: dict[str, str]) -> pd.DataFrame:
    path, is_shipped = resolve_path(kind, source.path, spec)
    named = covariate_columns(spec) if kind == "patients" else {}
    if is_shipped:
        check_there(path, ".csv")
        digests[f"shipped:{path.parent.name}/{path.name}"] = digest = file_digest(path)
        frame = _shipped_table(kind, path, digest, tuple(named.items())).copy(deep=False)
    else:
        frame = read_table(kind, path, named=named)
        digests[source.path] = file_digest(path)
        check_some_named(str(path), frame, spec)
    if kind == "patients":
        check_once(str(path), frame)
    if kind == "curves":
        unit = frame["time_unit"].fillna(source.time_unit or spec.time_unit)
        return frame.assign(folder=str(path.parent), time_unit=unit)
    factor = DAYS_PER[source.time_unit or spec.time_unit] / DAYS_PER[spec.time_unit]
    return frame.assign(**{column: frame[column] * factor for column in TIME_COLUMNS[kind] if column in frame})


@lru_cache(maxsize=32)
def _shipped_table(kind: str, path: Path, digest: str, named: tuple[tuple[str, Column], ...]) -> pd.DataFrame:
    """A table of the package, read and checked once in a process: each analysis of a table of sensitivity needs it."""
    frame = read_table(kind, path, named=dict(named))
    check_vocabulary(frame, where=str(path.name))
    return frame


PATIENT_FLAGS = ("use", "overlap_group")
"""Columns that the arm of a patient has from the first one who has them."""


def _all_arms(tables: Mapping[str, pd.DataFrame], spec: Spec) -> pd.DataFrame:
    """The arms table, with a row added for every arm that is known from its patients only."""
    arms, patients = tables["arms"], tables["patients"]
    if patients.empty:
        return arms
    listed = arms.loc[arms["endpoint"] == spec.endpoint, ["study", "arm", "treatment"]]
    treatment_of = dict(zip(zip(listed["study"], listed["arm"], strict=True), listed["treatment"], strict=True))
    named = zip(patients["study"], patients["arm"], patients["treatment"], strict=True)
    if all(treatment_of.get((study, arm)) == treatment for study, arm, treatment in named):
        return arms
    new: list[dict[str, Any]] = []
    for found in _arms_of_patients(patients):
        study, arm, treatment = found["study"], found["arm"], found["treatment"]
        known = treatment_of.get((study, arm), treatment)
        if known != treatment:
            where = f"patients, study {study}, arm {arm}, column treatment"
            raise InputError(where, found=treatment, allowed=known, hint="the arms table disagrees")
        if (study, arm) not in treatment_of:
            new.append(found | {"endpoint": spec.endpoint})
    rows = pd.DataFrame(new)
    return pd.concat([arms, check_table("arms", rows, where="patients")], ignore_index=True) if new else arms


def _arms_of_patients(patients: pd.DataFrame) -> list[dict[str, Any]]:
    """A row of each arm, in the order of its first patient: its treatment, number of patients, and first flags."""
    columns = [patients[name].tolist() for name in ("study", "arm", "treatment", *PATIENT_FLAGS)]
    arms: dict[tuple[str, str], dict[str, Any]] = {}
    treatments: dict[tuple[str, str], set[str]] = {}
    for study, arm, treatment, *flags in zip(*columns, strict=True):
        blank = {"study": study, "arm": arm, "treatment": treatment, "n": 0, **dict.fromkeys(PATIENT_FLAGS)}
        row = arms.setdefault((study, arm), blank)
        row["n"] += 1
        treatments.setdefault((study, arm), set()).add(treatment)
        for name, flag in zip(PATIENT_FLAGS, flags, strict=True):
            # a blank is no number, which is not itself
            if row[name] is None and flag == flag:
                row[name] = flag
    for (study, arm), kinds in treatments.items():
        if len(kinds) > 1:
            raise InputError(
                f"patients, study {study}, arm {arm}, column treatment",
                found=f"{len(kinds)} treatments in one arm",
                hint="an arm has one treatment; give each its own arm name",
            )
    return list(arms.values())
