"""The evidence of one spec: read, converted to the spec's time unit, selected, and counted once (`rules.md`, 1-8, 13).

`read_evidence` is the boundary: whatever is wrong with the tables is said here, before anything compiles. What it returns
are plain tables in which every row is used, and one table of what was set aside and why.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_bm import summaries
from bayes_bm.errors import InputError
from bayes_bm.reconstruct import reconstruct
from bayes_bm.spec import EVIDENCE_KINDS, Choice, Source, Spec, shipped
from bayes_bm.tables import check_links, check_table, check_vocabulary, overlapping_rows, read_table

DAYS_PER = {"days": 1.0, "weeks": 7.0, "months": 365.25 / 12, "years": 365.25}
TIME_COLUMNS = {
    "patients": ("time", "entry", "time_upper"),
    "arms": ("survived_to", "clock_shift", "followup"),
    "points": ("time",),
    "medians": ("median", "ci_low", "ci_high"),
    "hazard_ratios": ("followup",),
    "counts": ("time",),
    "curves": (),
}
ARM_KEY = ["study", "arm", "endpoint"]
ARM_FLAGS = ("use", "overlap_group", "measure", "treatment")
SUMMARY_KINDS = ("points", "medians", "counts")
UNFLAGGED = "use"
"""What a row without a `use` flag counts as: a user's own table needs no flags."""


@dataclass(frozen=True)
class Evidence:
    """All rows that enter the likelihood, in the spec's time unit. `arm_row` counts rows of `arms` from 0.

    arms           study, arm, treatment, n, entry (S is conditional on it, model clock), shift, share, followup, kind, ...
    patients       arm_row, time, event, time_upper, entry, weight and covariates; times on the model's clock
    sequences      arm_row, start, time, ratio, size and the printed survival: conditional binomials
    medians        arm_row, median, law (order / interval / not_reached), alpha, sd
    hazard_ratios  study, treatment, reference, log_hr, se; `hr_cholesky` factors their covariance
    counts         arm_row, events, n, time
    set_aside      kind, study, arm, reason
    digests        sha256 of each file read
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

    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by name."""
        names = ("arms", "patients", "sequences", "medians", "hazard_ratios", "counts", "set_aside")
        return {name: getattr(self, name) for name in names}

    @property
    def treatments(self) -> set[str]:
        """Treatments that any row in use speaks about."""
        contrasts = set(self.hazard_ratios["treatment"]) | set(self.hazard_ratios["reference"])
        return set(self.arms["treatment"]) | contrasts

    def digest(self) -> str:
        """sha256 of every row in use, in an order that does not depend on the files'."""
        text = "".join(_sorted_csv(table) for table in self.tables().values())
        return hashlib.sha256(text.encode() + self.hr_cholesky.tobytes()).hexdigest()


def _sorted_csv(table: pd.DataFrame) -> str:
    lines = table.drop(columns="arm_row", errors="ignore").to_csv(index=False).splitlines()
    return "\n".join([*lines[:1], *sorted(lines[1:])])


def read_evidence(spec: Spec) -> Evidence:
    """Read, check and select the evidence that a spec names. Raises `InputError` (exit status 2)."""
    digests: dict[str, str] = {}
    tables = {kind: _read_kind(kind, spec, digests) for kind in EVIDENCE_KINDS}
    return select(spec, tables, digests)


def select(spec: Spec, tables: Mapping[str, pd.DataFrame], digests: Mapping[str, str] | None = None) -> Evidence:
    """Evidence from tables already read: frames by kind, in the spec's time unit."""
    tables = {kind: _grouped(tables[kind], spec) if kind in tables else _empty(kind) for kind in EVIDENCE_KINDS}
    aside: list[dict] = []
    tables = _with_curves(tables, spec, digests := dict(digests or {}))
    tables["arms"] = _all_arms(tables, spec)
    check_links({kind: frame for kind, frame in tables.items() if kind != "curves"})
    tables = {kind: _only_endpoint(kind, frame, spec) for kind, frame in tables.items() if kind != "curves"}
    tables = {kind: _inherit_flags(kind, frame, tables["arms"], spec) for kind, frame in tables.items()}
    tables = {kind: _keep_chosen(kind, frame, spec, aside) for kind, frame in tables.items()}
    tables = _one_measure(tables, spec, aside)
    tables = _usable(tables, aside)
    tables = _counted_once(tables, spec, aside)
    _check_overlap(tables, spec)
    return _assemble(spec, tables, aside, digests)


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


def _grouped(frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Treatments under the name of the spec's group they belong to."""
    named = {
        column: frame[column].map(spec.treatments.merged) for column in ("treatment", "reference") if column in frame
    }
    return frame.assign(**named)


def _empty(kind: str) -> pd.DataFrame:
    return check_table(kind, pd.DataFrame(columns=_MINIMAL[kind]), where=kind)


_MINIMAL = {
    "patients": ["study", "arm", "treatment", "time", "event"],
    "arms": ["study", "arm", "treatment", "endpoint", "n"],
    "points": ["study", "arm", "endpoint", "time", "survival"],
    "medians": ["study", "arm", "endpoint", "median"],
    "hazard_ratios": ["study", "endpoint", "treatment", "reference", "hr"],
    "counts": ["study", "arm", "endpoint", "events", "n"],
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


def _with_curves(tables: Mapping[str, pd.DataFrame], spec: Spec, digests: dict[str, str]) -> dict[str, pd.DataFrame]:
    """Patients rebuilt from registered curves join the patients table; the digest of each curve is kept."""
    curves = tables["curves"]
    rebuilt = [
        _patients_of_curve(row, spec, digests) for row in curves[curves["endpoint"] == spec.endpoint].to_dict("records")
    ]
    if not rebuilt:
        return dict(tables)
    patients = check_table("patients", pd.concat(rebuilt, ignore_index=True), where="patients rebuilt from curves.csv")
    twice = sorted(_arm_keys(patients) & _arm_keys(tables["patients"]))
    if twice:
        raise InputError(
            f"curves, study {twice[0][0]}, arm {twice[0][1]}",
            found="patients of this arm in a patients table too",
            allowed="one of the two: they are the same patients",
        )
    return {**tables, "patients": pd.concat([tables["patients"], patients], ignore_index=True)}


def _patients_of_curve(row: Mapping, spec: Spec, digests: dict[str, str]) -> pd.DataFrame:
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
    rec = reconstruct(
        tables["curve"], at_risk=tables.get("at_risk"), ticks=tables.get("ticks"), axis_max=axis_max, **whole
    )
    unit = row.get("time_unit") if isinstance(row.get("time_unit"), str) else spec.time_unit
    factor = DAYS_PER[str(unit)] / DAYS_PER[spec.time_unit]
    names = {name: row.get(name) for name in ("study", "arm", "treatment", "use", "overlap_group")}
    return rec.patients.assign(time=rec.patients["time"] * factor, **names)


# ---------------------------------------------------------------------------------------------- selection


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


def _only_endpoint(kind: str, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    return frame if kind == "patients" else frame[frame["endpoint"] == spec.endpoint].reset_index(drop=True)


def _inherit_flags(kind: str, frame: pd.DataFrame, arms: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Flags, treatment and what `include` asks for are the arm's where a row has none of its own (rule 2)."""
    if kind in ("arms", "hazard_ratios"):
        return frame.assign(use=frame["use"].fillna(UNFLAGGED))
    key = ["study", "arm"]
    asked = [name for name in spec.evidence.include if name not in frame and name not in ARM_FLAGS]
    columns = [name for name in (*ARM_FLAGS, *asked) if name in arms]
    of_arm = frame[key].merge(arms[key + columns], on=key, how="left")
    filled = {
        name: frame[name].where(frame[name].notna(), of_arm[name].to_numpy())
        if name in frame
        else of_arm[name].to_numpy()
        for name in columns
    }
    filled = frame.assign(**filled)
    return filled.assign(use=filled["use"].fillna(UNFLAGGED))


def _keep_chosen(kind: str, frame: pd.DataFrame, spec: Spec, aside: list[dict]) -> pd.DataFrame:
    """Rows of listed treatments, matching every `include` filter or named in `also`, and not named in `exclude`.

    An arms row stays for any row of evidence that needs it: whether it is in use follows from those (`_arms_in_use`).
    """
    listed = set(spec.treatments.names)
    keep = frame["treatment"].isin(listed)
    if kind == "hazard_ratios":
        keep &= frame["reference"].isin(listed)
    frame = frame[keep]
    if kind == "arms":
        _check_include(frame, spec)
        return frame.reset_index(drop=True)
    included = pd.Series(True, index=frame.index)
    for column, allowed in spec.evidence.include.items():
        if column in frame:
            included &= frame[column].isin(allowed)
    included |= _named(frame, spec.evidence.also)
    for use, rows in frame[~included].groupby("use"):
        _set_aside(aside, kind, rows, f"not in evidence.include (use = {use})")
    for choice in spec.evidence.exclude:
        named = _named(frame, [choice])
        _set_aside(aside, kind, frame[named & included], f"left out by the spec: {choice.why}")
        included &= ~named
    return frame[included].reset_index(drop=True)


def _check_include(arms: pd.DataFrame, spec: Spec) -> None:
    for column in spec.evidence.include:
        if column not in arms:
            raise InputError(f"evidence.include.{column}", found="no such column in the arms table")


def _named(frame: pd.DataFrame, choices: Iterable[Choice]) -> pd.Series:
    named = pd.Series(False, index=frame.index)
    for choice in choices:
        match = frame["study"] == choice.study
        if choice.arm is not None:
            match &= (frame["arm"] == choice.arm) if "arm" in frame else False
        named |= match
    return named


def _set_aside(aside: list[dict], kind: str, rows: pd.DataFrame, reason: str) -> None:
    for row in rows.to_dict("records"):
        arm = row["arm"] if "arm" in row else f"{row['treatment']} v {row['reference']}"
        aside.append({"kind": kind, "study": row["study"], "arm": arm, "reason": reason})


def _one_measure(tables: dict[str, pd.DataFrame], spec: Spec, aside: list[dict]) -> dict[str, pd.DataFrame]:
    """One `measure` per analysis: a Kaplan-Meier complement does not compare with a cumulative incidence (rule 4).

    Before rows are counted once, so that a row of another measure keeps no row of this one out.
    """
    found = {str(value) for kind in SUMMARY_KINDS for value in tables[kind]["measure"].dropna()}
    if spec.measure is None and len(found) > 1:
        raise InputError(
            "measure",
            found=f"rows of {', '.join(sorted(found))}",
            allowed="one of them",
            hint="say in the spec: measure = ...",
        )
    kept = dict(tables)
    for kind in SUMMARY_KINDS if spec.measure is not None else ():
        frame = tables[kind]
        other = (frame["measure"].notna() & (frame["measure"] != spec.measure)).to_numpy()
        _set_aside(aside, kind, frame[other], f"its measure is not {spec.measure}")
        kept[kind] = frame[~other].reset_index(drop=True)
    return kept


def _usable(tables: dict[str, pd.DataFrame], aside: list[dict]) -> dict[str, pd.DataFrame]:
    """Rows that print no precision cannot be weighed: set aside, said so."""
    arms = tables["arms"].set_index(["study", "arm"])

    def size(row: Mapping) -> float:
        own = row.get("n", np.nan)
        return own if pd.notna(own) else arms["n"].get((row["study"], row["arm"]), np.nan)

    rules: dict[str, Callable[[Mapping], bool]] = {
        "medians": lambda row: pd.notna(size(row)) or pd.notna(row["ci_low"]),
        "points": lambda row: pd.notna(size(row)) or (pd.notna(row["ci_low"]) and row["ci_low"] > 0),
    }
    kept = dict(tables)
    for kind, rule in rules.items():
        usable = np.array([rule(row) for row in tables[kind].to_dict("records")], dtype=bool)
        _set_aside(aside, kind, tables[kind][~usable], "neither n nor an interval is printed, so it has no weight")
        kept[kind] = tables[kind][usable].reset_index(drop=True)
    return kept


def _counted_once(tables: dict[str, pd.DataFrame], spec: Spec, aside: list[dict]) -> dict[str, pd.DataFrame]:
    """Within study x arm: patients > points (and n-only medians) > a median > a count; hazard ratios last (rule 1)."""
    kept = dict(tables)
    taken = _arm_keys(tables["patients"])
    kept["points"] = _without(tables["points"], taken, "points", "its patients are used", aside)
    medians = _without(tables["medians"], taken, "medians", "its patients are used", aside)
    kept["medians"] = medians
    taken = taken | _arm_keys(kept["points"]) | _arm_keys(medians)
    kept["counts"] = _without(tables["counts"], taken, "counts", "its patients, points or median are used", aside)
    kept["hazard_ratios"] = _hazard_ratios_once(kept, spec, aside)
    return kept


def _arm_keys(frame: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(frame["study"], frame["arm"], strict=True))


def _without(frame: pd.DataFrame, taken: set, kind: str, reason: str, aside: list[dict]) -> pd.DataFrame:
    known = np.array([key in taken for key in zip(frame["study"], frame["arm"], strict=True)], dtype=bool)
    _set_aside(aside, kind, frame[known], reason)
    return frame[~known].reset_index(drop=True)


def _hazard_ratios_once(tables: Mapping[str, pd.DataFrame], spec: Spec, aside: list[dict]) -> pd.DataFrame:
    """A hazard ratio beside absolute evidence on both its arms would count the same patients twice (rule 1)."""
    ratios = tables["hazard_ratios"]
    absolute = {
        (study, treatment)
        for kind in ("patients", *SUMMARY_KINDS)
        for study, treatment in zip(tables[kind]["study"], tables[kind]["treatment"], strict=True)
    }
    allowed = {choice.study for choice in spec.evidence.allow_overlap}
    twice = [
        row["study"] not in allowed and {(row["study"], row["treatment"]), (row["study"], row["reference"])} <= absolute
        for row in ratios.to_dict("records")
    ]
    twice = np.array(twice, dtype=bool)
    _set_aside(
        aside, "hazard_ratios", ratios[twice], "both its arms have absolute evidence; see evidence.allow_overlap"
    )
    return ratios[~twice].reset_index(drop=True)


def _check_overlap(tables: Mapping[str, pd.DataFrame], spec: Spec) -> None:
    """At most one member of an overlap group, or a parent or its subgroups, per endpoint (rule 2).

    The group is the row's own, else its arm's. A hazard ratio stands beside its own study and no other of its group.
    """
    group = {}
    for kind in ("patients", *SUMMARY_KINDS):
        frame = tables[kind]
        group.update(zip(zip(frame["study"], frame["arm"], strict=True), frame["overlap_group"], strict=True))
    arms = tables["arms"]
    keys = list(zip(arms["study"], arms["arm"], strict=True))
    in_use = np.array([key in group for key in keys], dtype=bool)
    arms = arms.assign(overlap_group=[group.get(key) for key in keys])[in_use].reset_index(drop=True)
    _check_ratio_overlap(tables["hazard_ratios"], arms, spec)
    for left, right in overlapping_rows(arms):
        first, second = arms.iloc[left], arms.iloc[right]
        named = " and ".join(f"{row['study']}: {row['arm']} (use {row['use']})" for row in (first, second))
        raise InputError(
            f"arms, overlap_group {first['overlap_group']!r}, endpoint {spec.endpoint}",
            found=f"patients counted twice, in {named}",
            allowed="one member of a group, or a parent or its subgroups",
            hint="leave the others out with [evidence] include or exclude",
        )


def _check_ratio_overlap(ratios: pd.DataFrame, arms: pd.DataFrame, spec: Spec) -> None:
    grouped = pd.concat([ratios, arms])[["study", "overlap_group"]].dropna()
    studies = grouped.drop_duplicates().groupby("overlap_group")["study"].agg(lambda names: "; ".join(sorted(names)))
    for name in sorted(set(ratios["overlap_group"].dropna())):
        if ";" in studies[name]:
            raise InputError(
                f"hazard_ratios, overlap_group {name!r}, endpoint {spec.endpoint}",
                found=f"patients counted twice, in {studies[name]}",
                allowed="one study of a group beside a hazard ratio of that group",
                hint="leave the others out with [evidence] include or exclude",
            )


# ---------------------------------------------------------------------------------------------- assembly


def _assemble(
    spec: Spec, tables: Mapping[str, pd.DataFrame], aside: list[dict], digests: Mapping[str, str]
) -> Evidence:
    """Numbers of the likelihood for every row that is left."""
    arms = _arms_in_use(spec, tables)
    row_of = {key: row for row, key in enumerate(zip(arms["study"], arms["arm"], strict=True))}
    sequences, medians = _sequences_and_medians(spec, tables, arms, row_of, aside)
    _check_proportional(tables["hazard_ratios"], spec)
    ratios, cholesky = _hazard_ratio_block(tables["hazard_ratios"])
    return Evidence(
        arms=arms,
        patients=_patient_rows(tables["patients"], arms, row_of, spec),
        sequences=sequences,
        medians=medians,
        hazard_ratios=ratios,
        hr_cholesky=cholesky,
        counts=_count_rows(tables["counts"], arms, row_of, spec),
        set_aside=pd.DataFrame(aside, columns=["kind", "study", "arm", "reason"]),
        digests=dict(digests),
    )


def _arms_in_use(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Arms with rows in use, sorted by name so that the order of files never changes an answer (rule 10)."""
    arms = tables["arms"].copy()
    sources = {key: kind for kind in ("counts", "medians", "points", "patients") for key in _arm_keys(tables[kind])}
    keys = list(zip(arms["study"], arms["arm"], strict=True))
    arms = arms.assign(kind=[sources.get(key) for key in keys])
    arms = arms[arms["kind"].notna()].sort_values(["study", "arm"], kind="stable").reset_index(drop=True)
    shift = arms["clock_shift"].fillna(0.0)
    numbers = {
        "shift": shift,
        "entry": arms["survived_to"].fillna(0.0) + shift,
        "share": [_share(spec, row) for row in arms.to_dict("records")],
        "n_effective": [_arm_size(spec, row) for row in arms.to_dict("records")],
    }
    return arms.assign(**numbers)


def _share(spec: Spec, arm: Mapping) -> float:
    return summaries.effective_share(spec.evidence.effective_share.value, events=arm["events"], n=arm["n"])


def _arm_size(spec: Spec, arm: Mapping, n: float | None = None) -> float:
    """The row's own n, else the arm's, over the design effect of lesions; a lesion arm's n counts lesions (rule 13)."""
    known = _design_effect(spec, arm)
    own = n if n is not None and pd.notna(n) else (arm["n_lesions"] if known > 1 else arm["n"])
    return own / known


def _design_effect(spec: Spec, arm: Mapping) -> float:
    lesions, patients = arm["n_lesions"], arm["n_patients"]
    clustered = arm["unit_of_analysis"] in ("lesion", "cavity") and lesions > patients > 0
    return summaries.design_effect(lesions, patients, spec.evidence.icc.value) if clustered else 1.0


def _patient_rows(patients: pd.DataFrame, arms: pd.DataFrame, row_of: Mapping, spec: Spec) -> pd.DataFrame:
    """Patients on the model's clock: the arm's clock shift added, entry at least the arm's (rule 13)."""
    missing = [name for name in spec.covariates if len(patients) and name not in patients]
    if missing:
        raise InputError(
            f"patients, column {missing[0]}", found="no such column", hint="a covariate of the spec needs one"
        )
    rows = np.array([row_of[key] for key in zip(patients["study"], patients["arm"], strict=True)], dtype=int)
    shift, entry = arms["shift"].to_numpy()[rows], arms["entry"].to_numpy()[rows]
    own_entry = patients["entry"].fillna(0.0).to_numpy() + shift
    frame = patients.reindex(columns=["study", "arm", "treatment", "event", *spec.covariates]).assign(
        arm_row=rows,
        time=patients["time"].to_numpy() + shift,
        time_upper=patients["time_upper"].to_numpy() + shift,
        entry=np.maximum(own_entry, entry) if len(rows) else np.empty(0),
        weight=patients["weight"].fillna(1.0).to_numpy(),
    )
    _check_patient_rows(frame, spec)
    return frame.sort_values(["study", "arm", "time", "event"], kind="stable").reset_index(drop=True)


def _check_patient_rows(frame: pd.DataFrame, spec: Spec) -> None:
    # an interval-censored patient may enter where the interval begins
    early = frame[(frame["time"] < frame["entry"]) | ((frame["time"] == frame["entry"]) & frame["time_upper"].isna())]
    if len(early):
        row = early.iloc[0]
        where = f"patients, study {row['study']}, arm {row['arm']}"
        raise InputError(
            where,
            found=f"time {row['time']:g} not after entry {row['entry']:g}",
            hint="a patient is seen only after entry",
        )
    for name in spec.covariates:
        gaps = frame[frame[name].isna()]
        if len(gaps):
            where = f"patients, study {gaps.iloc[0]['study']}, column {name}"
            raise InputError(where, found=f"{len(gaps)} empty cells", hint="complete them or leave the covariate out")


def _sequences_and_medians(
    spec: Spec, tables: Mapping[str, pd.DataFrame], arms: pd.DataFrame, row_of: Mapping, aside: list[dict]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points of an arm and its median form one sequence; a median alone has its own law (rules 1, 5, 6)."""
    points, medians = tables["points"], tables["medians"]
    of_arm = {key: group for key, group in points.groupby(["study", "arm"])}
    sequences, alone = [], []
    joined: dict[tuple, pd.DataFrame] = {}
    for row in medians.to_dict("records"):
        key = (row["study"], row["arm"])
        if key not in of_arm:
            alone.append(_median_row(spec, row, arms.iloc[row_of[key]], row_of[key]))
        elif pd.isna(row["median"]):
            _set_aside(aside, "medians", pd.DataFrame([row]), "not reached, and its arm has points that say more")
        else:
            joined[key] = _median_as_point(row)
            if pd.notna(row["ci_low"]):
                _set_aside(
                    aside, "medians (interval)", pd.DataFrame([row]), "joins the points of its arm as (median, 0.5)"
                )
    for key in sorted(of_arm):
        group = pd.concat([of_arm[key], joined[key]]) if key in joined else of_arm[key]
        sequences.append(_sequence_rows(spec, group, arms.iloc[row_of[key]], row_of[key], aside))
    return _frame(sequences, _SEQUENCE_COLUMNS), _frame([pd.DataFrame(alone)] if alone else [], _MEDIAN_COLUMNS)


_SEQUENCE_COLUMNS = ["arm_row", "study", "arm", "treatment", "start", "time", "survival", "ratio", "size", "kind"]
_MEDIAN_COLUMNS = [
    *(
        "arm_row",
        "study",
        "arm",
        "treatment",
        "median",
        "ci_low",
        "ci_high",
        "n",
        "law",
        "alpha",
        "sd",
        "time",
        "ci_level",
    )
]


def _frame(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _median_as_point(row: Mapping) -> pd.DataFrame:
    point = {"study": row["study"], "arm": row["arm"], "treatment": row["treatment"], "time": row["median"]}
    return pd.DataFrame(
        [{**point, "survival": 0.5, "ci_low": np.nan, "ci_high": np.nan, "n": row["n"], "kind": "median"}]
    )


def _sequence_rows(spec: Spec, group: pd.DataFrame, arm: pd.Series, arm_row: int, aside: list[dict]) -> pd.DataFrame:
    group = group.assign(kind=group.get("kind", pd.Series(index=group.index, dtype=object)).fillna("point"))
    group = group.sort_values("time", kind="stable").reset_index(drop=True)
    if not (np.diff(group["survival"].to_numpy()) <= 0).all() or group["time"].duplicated().any():
        printed = ", ".join(f"S({t:g}) = {s:g}" for t, s in zip(group["time"], group["survival"], strict=True))
        raise InputError(
            f"points and median, study {arm['study']}, arm {arm['arm']}",
            found=printed,
            allowed="survival that falls with time",
        )
    level = group["ci_level"].fillna(0.95) if "ci_level" in group else pd.Series(0.95, index=group.index)
    sd = [
        summaries.log_interval_sd(low, high, ci)
        for low, high, ci in zip(group["ci_low"], group["ci_high"], level, strict=True)
    ]
    n = [_arm_size(spec, arm.to_dict(), own) for own in group["n"]]
    shift = float(arm["shift"])
    if group["time"].iloc[0] + shift <= arm["entry"]:
        raise InputError(
            f"points, study {arm['study']}, arm {arm['arm']}",
            found=f"survival at {group['time'].iloc[0]:g}",
            allowed=f"times after survived_to = {arm['survived_to']:g}, up to which everybody is alive",
        )
    steps = summaries.point_sequence(
        group["time"].to_numpy() + shift,
        group["survival"].to_numpy(),
        np.square(sd),
        np.array(n, dtype=float),
        share=float(arm["share"]),
        start=float(arm["entry"]),
    )
    names = {name: arm[name] for name in ("study", "arm", "treatment")}
    silent = group[~steps.kept]
    for kind, rows in silent.groupby("kind"):
        _set_aside(
            aside, f"{kind}s", rows, "no n, and its interval adds nothing to the point before, so it has no weight"
        )
    table = group.loc[steps.kept, ["survival", "kind"]].reset_index(drop=True)
    return table.assign(
        start=steps.start, time=steps.time, ratio=steps.ratio, size=steps.size, arm_row=arm_row, **names
    )


def _median_row(spec: Spec, row: Mapping, arm: pd.Series, arm_row: int) -> dict:
    """The law of a median that stands alone (rule 6)."""
    level = row["ci_level"] if pd.notna(row["ci_level"]) else 0.95
    n = _arm_size(spec, arm.to_dict(), row["n"])
    sd = summaries.median_log_sd(row["median"], row["ci_low"], row["ci_high"], level)
    law = "not_reached" if pd.isna(row["median"]) else "interval" if np.isfinite(sd) else "order"
    time = arm["followup"] if law == "not_reached" else row["median"]
    where = f"medians, study {row['study']}, arm {row['arm']}"
    if law == "not_reached" and pd.isna(time):
        raise InputError(
            where, found="a median not reached", hint="the arms row needs `followup`, the time it was not reached by"
        )
    if law != "interval" and pd.isna(n):
        raise InputError(
            where, found="no n", hint="the order-statistic law of a median needs n in the medians or arms row"
        )
    if time <= arm["entry"] - arm["shift"]:
        raise InputError(where, found=f"{time:g}", allowed=f"above survived_to, {arm['survived_to']:g}")
    alpha = summaries.beta_size(n, float(arm["share"])) if law != "interval" else np.nan
    named = {name: row[name] for name in ("study", "arm", "treatment", "median", "ci_low", "ci_high")}
    return {**named, "arm_row": arm_row, "n": n, "law": law, "alpha": alpha, "sd": sd, "time": time, "ci_level": level}


def _count_rows(counts: pd.DataFrame, arms: pd.DataFrame, row_of: Mapping, spec: Spec) -> pd.DataFrame:
    """Counts; one without a time speaks only where the study's level is free (rule 8). Lesions weigh less (rule 13)."""
    blank = counts[counts["time"].isna()]
    if len(blank) and not spec.free_levels:
        row = blank.iloc[0]
        raise InputError(
            f"counts, study {row['study']}, arm {row['arm']}, column time",
            found="empty",
            hint="give the follow-up time, or free study levels ([effects.study] exchangeable = false), rule 8",
        )
    _check_unknown_time(blank, counts, arms)
    rows = [row_of[key] for key in zip(counts["study"], counts["arm"], strict=True)]
    effect = np.array([_design_effect(spec, arms.iloc[row].to_dict()) for row in rows])
    columns = ["study", "arm", "treatment", "events", "n", "time"]
    table = counts[columns].reset_index(drop=True).assign(arm_row=np.array(rows, dtype=int))
    return table.assign(events=table["events"] / effect, n=table["n"] / effect)


def _check_unknown_time(blank: pd.DataFrame, counts: pd.DataFrame, arms: pd.DataFrame) -> None:
    """A count without a time makes its study's level log H at that unknown time; no other row may date it."""
    dated = set(arms.loc[arms["kind"] != "counts", "study"]) | set(counts.loc[counts["time"].notna(), "study"])
    for row in blank.to_dict("records"):
        if row["study"] in dated:
            raise InputError(
                f"counts, study {row['study']}, arm {row['arm']}, column time",
                found="empty, beside rows of the study that have a time",
                allowed="a time, or no time in any row of the study",
                hint="the study's one level cannot stand for an unknown time and for a known one (rule 8)",
            )


# ---------------------------------------------------------------------------------------------- hazard ratios


def _check_proportional(ratios: pd.DataFrame, spec: Spec) -> None:
    if len(ratios) and spec.priors.treatment_log_shape is not None:
        raise InputError(
            f"hazard_ratios, study {ratios['study'].iloc[0]}",
            found="a hazard ratio beside priors.treatment_log_shape",
            allowed="hazard ratios under proportional hazards",
            hint="its counterpart averaged over follow-up (rule 7) is not built yet: leave out one of the two",
        )


def _check_one_ratio_a_contrast(study: str, rows: pd.DataFrame) -> None:
    pairs = [" and ".join(sorted(pair)) for pair in zip(rows["treatment"], rows["reference"], strict=True)]
    again = sorted({pair for pair in pairs if pairs.count(pair) > 1})
    if again:
        raise InputError(
            f"hazard_ratios, study {study}",
            found=f"{pairs.count(again[0])} rows between {again[0]}",
            allowed="one: the rows are the same patients",
            hint="choose the adjusted or the unadjusted one with its use flag",
        )


def _hazard_ratio_block(ratios: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Log hazard ratios with the Cholesky factor of their covariance, block diagonal by study (rule 7)."""
    ratios = ratios.sort_values(["study", "treatment", "reference"], kind="stable").reset_index(drop=True)
    level = ratios["ci_level"].fillna(0.95)
    se = [
        summaries.log_hr_se(
            row["hr"],
            low=row["ci_low"],
            high=row["ci_high"],
            se=row["se_log_hr"],
            p=row["p"],
            p_below=row["p_below"],
            ci_level=ci,
        )
        for row, ci in zip(ratios.to_dict("records"), level, strict=True)
    ]
    table = ratios.assign(log_hr=np.log(ratios["hr"].astype(float)), se=np.array(se, dtype=float))
    blocks = [_study_block(study, rows) for study, rows in table.groupby("study", sort=True)]
    kept = pd.concat([rows for rows, _ in blocks], ignore_index=True) if blocks else table
    columns = ["study", "treatment", "reference", "hr", "ci_low", "ci_high", "ci_level", "p", "p_below", "log_hr", "se"]
    return kept[columns], _block_diagonal([np.linalg.cholesky(covariance) for _, covariance in blocks])


def _block_diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    size = sum(len(block) for block in blocks)
    whole, at = np.zeros((size, size)), 0
    for block in blocks:
        whole[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return whole


def _study_block(study: str, rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Independent contrasts of one study and their covariance.

    Contrast i has variance V_treatment + V_reference, so two contrasts covary by the variance of the arm they share. It is
    `se_reference`^2, or follows from a redundant third contrast; a shared arm without either is an error.
    """
    _check_one_ratio_a_contrast(study, rows)
    independent, redundant = _spanning(rows)
    variance = _arm_variances(rows, redundant)
    signs = [{row["treatment"]: 1.0, row["reference"]: -1.0} for row in independent.to_dict("records")]
    covariance = np.diag(np.square(independent["se"].to_numpy(dtype=float)))
    for i, left in enumerate(signs):
        for j, right in enumerate(signs[:i]):
            for arm in left.keys() & right.keys():
                if arm not in variance:
                    raise InputError(
                        f"hazard_ratios, study {study}, arms of {arm}",
                        found=f"two contrasts share {arm}",
                        hint="give se_reference (se of the shared arm's log hazard) or the contrast between the others",
                    )
                covariance[i, j] = covariance[j, i] = covariance[i, j] + left[arm] * right[arm] * variance[arm]
    if np.linalg.eigvalsh(covariance).min() <= 0:
        raise InputError(
            f"hazard_ratios, study {study}", found="standard errors that cannot stand together", hint="check them"
        )
    return independent, covariance


def _spanning(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows that connect something new, and rows that only close a loop."""
    group: dict[str, int] = {}
    new = []
    for row in rows.to_dict("records"):
        left, right = (group.setdefault(row[name], len(group)) for name in ("treatment", "reference"))
        new.append(left != right)
        group = {name: left if value == right else value for name, value in group.items()}
    keep = np.array(new, dtype=bool)
    return rows[keep].reset_index(drop=True), rows[~keep].reset_index(drop=True)


def _arm_variances(rows: pd.DataFrame, redundant: pd.DataFrame) -> dict[str, float]:
    """Variance of an arm's own log hazard, by name, where it is printed or can be worked out."""
    variance = {
        row["reference"]: float(row["se_reference"]) ** 2
        for row in rows.to_dict("records")
        if pd.notna(row["se_reference"])
    }
    pair = {frozenset((row["treatment"], row["reference"])): float(row["se"]) ** 2 for row in rows.to_dict("records")}
    for row in redundant.to_dict("records"):
        left, right = row["treatment"], row["reference"]
        for shared in {name for names in pair for name in names} - {left, right}:
            sides = [pair.get(frozenset((shared, other))) for other in (left, right)]
            if None not in sides:
                variance.setdefault(shared, (sum(sides) - pair[frozenset((left, right))]) / 2)
    return variance
