"""The evidence of one spec: read, converted to the spec's time unit, selected, and counted once (`rules.md`, 1-8, 13).

`read_evidence` is the boundary: whatever is wrong with the tables is said here, before anything compiles. What it
returns are plain tables in which every row is used, and one table of what was set aside and why.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_bm.bias import with_amounts
from bayes_bm.clocks import check_clocks
from bayes_bm.errors import InputError
from bayes_bm.ratios import check_adjusted, check_followup, check_levels, hazard_ratio_block, with_statements
from bayes_bm.selection import (
    arm_keys,
    check_overlap,
    counted_once,
    inherit_flags,
    keep_chosen,
    of_cause,
    one_measure,
    only_endpoint,
    usable,
)
from bayes_bm.spec import EVIDENCE_KINDS, Source, Spec, shipped
from bayes_bm.statements import check_averaged
from bayes_bm.tables import check_links, check_table, check_vocabulary, read_table
from bayes_bm.weights import arms_in_use, count_rows, patient_rows, registry_rows, sequences_and_medians

if TYPE_CHECKING:
    from bayes_bm.reconstruct import Reconstruction

DAYS_PER = {"days": 1.0, "weeks": 7.0, "months": 365.25 / 12, "years": 365.25}
TIME_COLUMNS = {
    "patients": ("time", "entry", "time_upper"),
    "arms": ("survived_to", "clock_shift", "followup"),
    "points": ("time",),
    "medians": ("median", "ci_low", "ci_high"),
    "hazard_ratios": ("followup",),
    "counts": ("time",),
    "registry": ("start", "stop"),
    "curves": (),
}


@dataclass(frozen=True)
class RebuiltArm:
    """A study arm whose patients come from a curve; what is kept is enough to draw them again (rule 19).

    `printed` are the arguments of `reconstruct` as read, in the curve's own time unit; `factor` makes it the spec's.
    """

    study: str
    arm: str
    factor: float
    printed: Mapping[str, Any] = field(repr=False)

    @property
    def key(self) -> tuple[str, str]:
        return self.study, self.arm

    @cached_property
    def reconstruction(self) -> "Reconstruction":
        from bayes_bm.reconstruct import reconstruct  # half a second that evidence without curves does without

        return reconstruct(**self.printed)

    @property
    def patients(self) -> pd.DataFrame:
        """The best patients (time, event), in the spec's time unit."""
        return self._converted(self.reconstruction.patients)

    def draw(self, m: int, *, seed: int) -> list[pd.DataFrame]:
        """`m` plausible sets of patients, from the curve alone, in the spec's time unit."""
        return [self._converted(patients) for patients in self.reconstruction.draw(m, seed=seed)]

    def document(self) -> dict[str, Any]:
        """As plain data, tables column by column; `from_document` gives it back."""
        printed = {
            name: {"table": value.to_dict(orient="list")} if isinstance(value, pd.DataFrame) else value
            for name, value in self.printed.items()
        }
        return {"study": self.study, "arm": self.arm, "factor": self.factor, "printed": printed}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "RebuiltArm":
        printed = {
            name: pd.DataFrame(value["table"]) if isinstance(value, dict) else value
            for name, value in document["printed"].items()
        }
        return cls(document["study"], document["arm"], document["factor"], printed)

    def _converted(self, patients: pd.DataFrame) -> pd.DataFrame:
        return patients.assign(time=patients["time"] * self.factor)


REGISTRY_COLUMNS = ("arm_row", "study", "arm", "treatment", "start", "time", "alive", "n")


def _no_registry() -> pd.DataFrame:
    return pd.DataFrame(columns=list(REGISTRY_COLUMNS))


def _no_background() -> pd.DataFrame:
    return pd.DataFrame({"time": np.empty(0), "hazard": np.empty(0)})


@dataclass(frozen=True)
class Evidence:
    """All rows that enter the likelihood, in the spec's time unit. `arm_row` counts rows of `arms` from 0.

    arms: study, arm, treatment, n, entry (S is conditional on it, model clock), shift, share, followup, kind, ...,
        and with biases `bias_NAME`, as have hazard_ratios (`bias.py`)
    patients: arm_row, time, event, time_upper, entry, weight and covariates; times on the model's clock; covariates are
        blank in an arm that is averaged over those its row states
    sequences: arm_row, start, time, ratio, size and the printed survival: conditional binomials
    medians: arm_row, median, law (order / interval / not_reached), alpha, sd
    hazard_ratios: study, treatment, reference, log_hr, se, followup, adjusted_for, and what their arms state of the
        covariates; `hr_cholesky` factors their covariance
    counts: arm_row, events, n, time
    registry: arm_row, start, time, alive, n: those alive at `time` of the n alive at `start`, on the model's clock
    background: time, hazard: what everybody dies of besides, constant from each time to the next; empty for none
    set_aside: kind, study, arm, reason
    digests: sha256 of each file read
    rebuilt: the arms in use whose patients come from a curve, in the order of `arms`
    """

    arms: pd.DataFrame
    patients: pd.DataFrame
    sequences: pd.DataFrame
    medians: pd.DataFrame
    hazard_ratios: pd.DataFrame
    hr_cholesky: np.ndarray
    counts: pd.DataFrame
    set_aside: pd.DataFrame
    digests: Mapping[str, str] = field(default_factory=dict)
    rebuilt: tuple[RebuiltArm, ...] = ()
    registry: pd.DataFrame = field(default_factory=_no_registry)
    background: pd.DataFrame = field(default_factory=_no_background)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table of studies by name."""
        names = ("arms", "patients", "sequences", "medians", "hazard_ratios", "counts", "registry", "set_aside")
        return {name: getattr(self, name) for name in names}

    @property
    def treatments(self) -> set[str]:
        """Treatments that any row in use speaks about."""
        contrasts = set(self.hazard_ratios["treatment"]) | set(self.hazard_ratios["reference"])
        return set(self.arms["treatment"]) | contrasts

    def digest(self) -> str:
        """sha256 of every row in use, in an order that does not depend on the files'."""
        later = {"registry": self.registry, "background": self.background}
        tables = {**self.tables(), **later}
        text = "".join(_sorted_csv(table) for name, table in tables.items() if name not in later or len(table))
        return hashlib.sha256(text.encode() + self.hr_cholesky.tobytes()).hexdigest()


def _sorted_csv(table: pd.DataFrame) -> str:
    lines = table.drop(columns="arm_row", errors="ignore").to_csv(index=False).splitlines()
    return "\n".join([*lines[:1], *sorted(lines[1:])])


def read_evidence(spec: Spec) -> Evidence:
    """Read, check and select the evidence that a spec names. Raises `InputError` (exit status 2)."""
    digests: dict[str, str] = {}
    tables = {kind: _read_kind(kind, spec, digests) for kind in EVIDENCE_KINDS}
    return select(spec, {**tables, "background": read_background(spec, digests)}, digests)


def select(spec: Spec, tables: Mapping[str, pd.DataFrame], digests: Mapping[str, str] | None = None) -> Evidence:
    """Evidence from tables already read: frames by kind, in the spec's time unit."""
    background = _background(spec, tables)
    tables = {kind: _grouped(tables[kind], spec) if kind in tables else _empty(kind) for kind in EVIDENCE_KINDS}
    aside: list[dict] = []
    tables["patients"] = of_cause(tables["patients"], spec)
    tables, rebuilt = _with_curves(tables, spec, digests := dict(digests or {}))
    tables["arms"] = _all_arms(tables, spec)
    check_links({kind: frame for kind, frame in tables.items() if kind != "curves"})
    tables = {kind: only_endpoint(kind, frame, spec) for kind, frame in tables.items() if kind != "curves"}
    tables = {kind: inherit_flags(kind, frame, tables["arms"], spec) for kind, frame in tables.items()}
    tables = {kind: keep_chosen(kind, frame, spec, aside) for kind, frame in tables.items()}
    tables = one_measure(tables, spec, aside)
    tables = usable(tables, aside)
    tables = counted_once(tables, spec, aside)
    check_overlap(tables, spec)
    used = arm_keys(tables["patients"])
    kept = sorted((arm for arm in rebuilt if arm.key in used), key=lambda arm: arm.key)
    found = replace(_assemble(spec, tables, aside, digests), rebuilt=tuple(kept), background=background)
    check_clocks(spec, found)
    return found


def _assemble(
    spec: Spec, tables: Mapping[str, pd.DataFrame], aside: list[dict], digests: Mapping[str, str]
) -> Evidence:
    """Numbers of the likelihood for every row that is left."""
    arms = arms_in_use(spec, tables)
    row_of = {key: row for row, key in enumerate(zip(arms["study"], arms["arm"], strict=True))}
    sequences, medians = sequences_and_medians(spec, tables, arms, row_of, aside)
    stated = with_statements(tables["hazard_ratios"], tables["arms"], spec)
    check_followup(stated, spec)
    check_adjusted(stated, spec)
    check_levels(stated, arms, spec)
    ratios, cholesky = hazard_ratio_block(stated)
    patients = patient_rows(tables["patients"], arms, row_of, spec)
    check_averaged(spec, patients, arms)
    arms, ratios = with_amounts(spec, arms, ratios)
    return Evidence(
        arms=arms,
        patients=patients,
        sequences=sequences,
        medians=medians,
        hazard_ratios=ratios,
        hr_cholesky=cholesky,
        counts=count_rows(tables["counts"], arms, row_of, spec),
        registry=registry_rows(tables["registry"], arms, row_of, spec),
        set_aside=pd.DataFrame(aside, columns=["kind", "study", "arm", "reason"]),
        digests=dict(digests),
    )


# ---------------------------------------------------------------------------------------------- reading


def _read_kind(kind: str, spec: Spec, digests: dict[str, str]) -> pd.DataFrame:
    sources = getattr(spec.evidence, kind)
    paths = [_resolve(kind, source.path, spec)[0].resolve() for source in sources]
    if len(set(paths)) < len(paths):
        raise InputError(
            f"evidence.{kind}", found="a file named twice", allowed="each file once: its rows would count twice"
        )
    frames = [_read_source(kind, source, spec, digests) for source in sources]
    return pd.concat(frames, ignore_index=True) if frames else _empty(kind)


def read_background(spec: Spec, digests: dict[str, str]) -> pd.DataFrame:
    """The background hazard that a spec names (time, hazard), in its time unit; empty where it names none."""
    source = spec.evidence.background
    if source is None:
        return _no_background()
    path = _resolve("background", source.path, spec)[0]
    frame = read_table("background", path)
    digests[source.path] = file_digest(path)
    factor = DAYS_PER[source.time_unit or spec.time_unit] / DAYS_PER[spec.time_unit]
    return frame.assign(time=frame["time"] * factor, hazard=frame["hazard"] / factor)


def _background(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The background of tables already read; the spec names one or none, since it changes what every answer means."""
    frame = tables.get("background", _no_background())
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
    """Treatments under the name of the spec's group they belong to."""
    named = {
        column: frame[column].map(spec.treatments.merged) for column in ("treatment", "reference") if column in frame
    }
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
}


def _read_source(kind: str, source: Source, spec: Spec, digests: dict[str, str]) -> pd.DataFrame:
    path, is_shipped = _resolve(kind, source.path, spec)
    frame = read_table(kind, path)
    digests[source.path if not is_shipped else f"shipped:{path.parent.name}/{path.name}"] = file_digest(path)
    if is_shipped:
        check_vocabulary(frame, where=str(path.name))
    if kind == "curves":
        unit = frame["time_unit"].fillna(source.time_unit or spec.time_unit)
        return frame.assign(folder=str(path.parent), time_unit=unit)
    factor = DAYS_PER[source.time_unit or spec.time_unit] / DAYS_PER[spec.time_unit]
    return frame.assign(**{column: frame[column] * factor for column in TIME_COLUMNS[kind] if column in frame})


def _resolve(kind: str, path: str, spec: Spec) -> tuple[Path, bool]:
    """`shipped:recurrent_bm` is the package's own table of that kind; all else is relative to the spec."""
    if not path.startswith("shipped:"):
        return Path(spec.folder) / path, False
    folder = shipped("data") / path.removeprefix("shipped:")
    if not folder.is_dir():
        known = ", ".join(f"shipped:{entry.name}" for entry in sorted(shipped("data").iterdir()) if entry.is_dir())
        raise InputError(f"evidence.{kind}", found=path, allowed=known)
    return folder / f"{kind}.csv", True


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---------------------------------------------------------------------------------------------- curves


def _with_curves(
    tables: Mapping[str, pd.DataFrame], spec: Spec, digests: dict[str, str]
) -> tuple[dict[str, pd.DataFrame], list[RebuiltArm]]:
    """Patients rebuilt from registered curves join the patients table; the digest of each curve is kept."""
    curves = tables["curves"]
    rows = curves[curves["endpoint"] == spec.endpoint].to_dict("records")
    rebuilt = [_rebuilt_arm(row, spec, digests) for row in rows]
    if not rebuilt:
        return dict(tables), []
    _refuse_swapped(rebuilt)
    names = ("study", "arm", "treatment", "use", "overlap_group")
    frames = [
        arm.patients.assign(**{name: row.get(name) for name in names}) for arm, row in zip(rebuilt, rows, strict=True)
    ]
    patients = check_table("patients", pd.concat(frames, ignore_index=True), where="patients rebuilt from curves.csv")
    twice = sorted(arm_keys(patients) & arm_keys(tables["patients"]))
    if twice:
        raise InputError(
            f"curves, study {twice[0][0]}, arm {twice[0][1]}",
            found="patients of this arm in a patients table too",
            allowed="one of the two: they are the same patients",
        )
    return {**tables, "patients": pd.concat([tables["patients"], patients], ignore_index=True)}, rebuilt


def _refuse_swapped(rebuilt: list[RebuiltArm]) -> None:
    """Arms of a study whose at-risk tables are likely exchanged do not become evidence silently."""
    from bayes_bm.curves.swapped import Arm, swapped_arms

    for study in dict.fromkeys(arm.study for arm in rebuilt):
        arms = [Arm.of(arm.arm, arm.printed) for arm in rebuilt if arm.study == study]
        for swap in swapped_arms(arms):
            where = f"curves, study {study}, arms {swap.one} and {swap.other}"
            raise InputError(where, found=swap.text, hint=swap.hint)


def _rebuilt_arm(row: Mapping, spec: Spec, digests: dict[str, str]) -> RebuiltArm:
    folder = Path(row.get("folder", spec.folder))
    files = {name: folder / row[name] for name in ("curve", "at_risk", "ticks") if isinstance(row.get(name), str)}
    digests.update(
        {
            f"curve:{row['study']}/{row['arm']}:{name}": file_digest(path)
            for name, path in files.items()
            if path.is_file()
        }
    )
    tables = {name: read_table(name, path) for name, path in files.items()}
    whole = {name: int(row[name]) for name in ("n", "events") if pd.notna(row.get(name))}
    axis_max = float(row["axis_max"]) if pd.notna(row.get("axis_max")) else None
    unit = row.get("time_unit") if isinstance(row.get("time_unit"), str) else spec.time_unit
    factor = DAYS_PER[str(unit)] / DAYS_PER[spec.time_unit]
    return RebuiltArm(str(row["study"]), str(row["arm"]), factor, {**tables, **whole, "axis_max": axis_max})


def _all_arms(tables: Mapping[str, pd.DataFrame], spec: Spec) -> pd.DataFrame:
    """The arms table, with a row added for every arm that is known from its patients only."""
    arms, patients = tables["arms"], tables["patients"]
    if patients.empty:
        return arms
    by_arm = patients.groupby(["study", "arm"], sort=False)
    flags = {name: (name, "first") for name in ("use", "overlap_group")}
    found = by_arm.agg(
        treatment=("treatment", "first"), kinds=("treatment", "nunique"), n=("time", "size"), **flags
    ).reset_index()
    _one_treatment_per_arm(found)
    known = arms.loc[arms["endpoint"] == spec.endpoint, ["study", "arm", "treatment"]]
    merged = found.merge(known, on=["study", "arm"], how="left", suffixes=("", "_arms"))
    wrong = merged[merged["treatment_arms"].notna() & (merged["treatment_arms"] != merged["treatment"])]
    if len(wrong):
        row = wrong.iloc[0]
        where = f"patients, study {row['study']}, arm {row['arm']}, column treatment"
        raise InputError(where, found=row["treatment"], allowed=row["treatment_arms"], hint="the arms table disagrees")
    new = merged.loc[merged["treatment_arms"].isna(), ["study", "arm", "treatment", "n", *flags]]
    new = new.assign(endpoint=spec.endpoint)
    return pd.concat([arms, check_table("arms", new, where="patients")], ignore_index=True) if len(new) else arms


def _one_treatment_per_arm(found: pd.DataFrame) -> None:
    mixed = found[found["kinds"] > 1]
    if len(mixed):
        row = mixed.iloc[0]
        raise InputError(
            f"patients, study {row['study']}, arm {row['arm']}, column treatment",
            found=f"{row['kinds']} treatments in one arm",
            hint="an arm has one treatment; give each its own arm name",
        )
