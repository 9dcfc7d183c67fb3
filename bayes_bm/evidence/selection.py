"""Which rows count: flags, choices, one measure, each patient once, no overlap (docs/decisions.md, 1, 2, 4).

Every function takes tables and returns tables; what is left out goes into `aside` with its reason.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from bayes_bm.evidence.tables.frames import records
from bayes_bm.evidence.tables.links import counted_twice, overlapping_rows
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.biases import Bias, StudyCovariate
from bayes_bm.spec.document import Spec
from bayes_bm.spec.record import Choice

ARM_FLAGS = ("use", "overlap_group", "measure", "treatment")
SUMMARY_KINDS = ("points", "medians", "registry", "counts")
UNFLAGGED = "use"
"""What a row without a `use` flag counts as: a user's own table needs no flags."""


def only_endpoint(kind: str, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    if kind == "patients" or frame.empty:
        return frame
    return frame[frame["endpoint"] == spec.endpoint].reset_index(drop=True)


def inherit_flags(kind: str, frame: pd.DataFrame, arms: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Flags, treatment and what `include` asks for are the arm's where a row has none of its own (decision 2)."""
    if kind in ("arms", "hazard_ratios", "prognostic_ratios"):
        return frame.assign(use=frame["use"].fillna(UNFLAGGED))
    asked = [name for name in spec.evidence.include if name not in frame and name not in ARM_FLAGS]
    if frame.empty:
        absent = [name for name in (*ARM_FLAGS, *asked) if name in arms and name not in frame]
        return frame.assign(**dict.fromkeys(absent, pd.Series(dtype=str))) if absent else frame
    row_of = {key: row for row, key in enumerate(zip(arms["study"], arms["arm"], strict=True))}
    rows = [row_of.get(key, -1) for key in zip(frame["study"], frame["arm"], strict=True)]
    filled = {"use": frame["use"]} if "use" in frame else {}
    for name in (*ARM_FLAGS, *asked):
        if name in arms and (name not in frame or frame[name].isna().any()):
            of_arm = pd.Series(_taken(arms[name], rows), index=frame.index)
            filled[name] = frame[name].fillna(of_arm) if name in frame else of_arm
    return frame.assign(**{**filled, "use": filled["use"].fillna(UNFLAGGED)})


def _taken(values: pd.Series, rows: list[int]) -> np.ndarray:
    """The values at the rows (row,), a blank where a row is -1."""
    found = values.to_numpy() if values.dtype == float else values.to_numpy(dtype=object)
    return np.append(found, [np.nan])[rows]


def keep_chosen(kind: str, frame: pd.DataFrame, spec: Spec, aside: list[dict]) -> pd.DataFrame:
    """Rows of listed treatments, matching every `include` filter or named in `also`, and not named in `exclude`.

    An arms row stays for any row of evidence that needs it: whether it is in use follows from those (`arms_in_use`).
    """
    if frame.empty:
        return frame
    listed = set(spec.treatments.names)
    keep = frame["treatment"].isin(listed).to_numpy()
    if kind == "hazard_ratios":
        keep = keep & frame["reference"].isin(listed).to_numpy()
    frame = frame if keep.all() else frame[keep]
    if kind == "arms":
        return frame.reset_index(drop=True)
    included = pd.Series(True, index=frame.index)
    for column, allowed in spec.evidence.include.items():
        if column in frame:
            included = included & frame[column].isin(allowed)
    if spec.evidence.also:
        included = included | named_rows(frame, spec.evidence.also)
    for use, rows in frame[~included].groupby("use") if not included.all() else ():
        set_aside(aside, kind, rows, f"not in evidence.include (use = {use})")
    for choice in spec.evidence.exclude:
        named = named_rows(frame, [choice])
        set_aside(aside, kind, frame[named & included], f"left out by the spec: {choice.why}")
        included = included & ~named
    return (frame if included.all() else frame[included]).reset_index(drop=True)


def named_rows(frame: pd.DataFrame, choices: Sequence[Choice]) -> pd.Series:
    """Which rows the choices name: whole studies, or one arm of a study."""
    whole, arms = {one.study for one in choices if one.arm is None}, {(one.study, one.arm) for one in choices}
    of_arm = frame["arm"].tolist() if "arm" in frame else [None] * len(frame)
    named = [
        study in whole or (arm is not None and (study, arm) in arms)
        for study, arm in zip(frame["study"].tolist(), of_arm, strict=True)
    ]
    return pd.Series(named, index=frame.index, dtype=bool)


def table_of(term: Bias) -> str:
    """Return the table of a spec that a term stands in."""
    return "meta_regression" if isinstance(term, StudyCovariate) else "bias"


def check_acts_on(name: str, term: Bias, *tables: pd.DataFrame) -> None:
    """A bias that is to act on certain studies or arms finds each of them in use, wherever any evidence is."""
    studies = sorted({study for table in tables for study in table["study"]})
    for choice in term.acts_on if studies else ():
        if not any(named_rows(table, [choice]).any() for table in tables):
            unmatched = choice.study if choice.arm is None else f"{choice.study}: {choice.arm}"
            where = f"{table_of(term)}.{name}.acts_on"
            raise InputError(where, found=f"{unmatched}, of which nothing is in use", allowed="; ".join(studies))


def set_aside(aside: list[dict], kind: str, rows: pd.DataFrame, reason: str) -> None:
    for row in records(rows) if len(rows) else ():
        arm = row["arm"] if "arm" in row else f"{row['treatment']} v {row['reference']}"
        aside.append({"kind": kind, "study": row["study"], "arm": arm, "reason": reason})


ANY_CAUSE = "any"


def filter_cause(patients: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Events of the spec's cause; those of other causes are censored when they happen, which makes its hazard the
    cause-specific one.
    """
    causes = sorted(set(patients["cause"].dropna()))
    if not causes:
        if spec.cause is None or patients.empty:
            return patients
        raise InputError(
            "patients, column cause",
            found=f"no cause in any row, beside cause = {spec.cause} in the spec",
            allowed=f"{spec.cause}, or another cause, in every row where event is 1",
            hint="name the cause of each event in the tables of patients, or leave cause out of the spec",
        )
    if spec.cause is None:
        names = ", ".join(causes)
        hint = f'say in the spec which is the event: cause = "{causes[0]}", one spec a cause, or cause = "{ANY_CAUSE}"'
        raise InputError("patients, column cause", found=names, allowed="one endpoint", hint=hint)
    _check_causes(patients, causes, spec)
    events = patients["cause"].notna() if spec.cause == ANY_CAUSE else patients["cause"] == spec.cause
    return patients.assign(event=events.astype("int64"))


def _check_causes(patients: pd.DataFrame, causes: list[str], spec: Spec) -> None:
    if spec.cause not in (ANY_CAUSE, *causes):
        raise InputError("cause", found=spec.cause, allowed=", ".join([*causes, ANY_CAUSE]))
    wrong = patients[patients["cause"].notna() != (patients["event"] == 1)]
    if len(wrong):
        row = wrong.iloc[0]
        raise InputError(
            f"patients, study {row['study']}, arm {row['arm']}, column cause",
            found="a cause of no event" if row["event"] == 0 else "an event without its cause",
            allowed="a cause where event is 1, and blank where it is 0",
        )
    if patients["time_upper"].notna().any() and spec.cause != ANY_CAUSE:
        raise InputError(
            "patients, column time_upper",
            found="interval-censored times, with several causes",
            allowed="exact times",
            hint="within an interval the causes do not separate, so no one cause can be fitted alone",
        )


def one_measure(tables: dict[str, pd.DataFrame], spec: Spec, aside: list[dict]) -> dict[str, pd.DataFrame]:
    """One `measure` per analysis: a Kaplan-Meier complement does not compare with a cumulative incidence (decision 4).

    Before rows are counted once, so that a row of another measure keeps no row of this one out.
    """
    measures = {str(value) for kind in SUMMARY_KINDS for value in tables[kind]["measure"].dropna()}
    if spec.measure is None and len(measures) > 1:
        raise InputError(
            "measure",
            found=f"rows of {', '.join(sorted(measures))}",
            allowed="one of them",
            hint="say in the spec: measure = ...",
        )
    if spec.cause is not None and spec.measure is None and measures - {"km"}:
        raise InputError(
            "measure",
            found=f"rows of {', '.join(sorted(measures))}, beside cause = {spec.cause}",
            allowed="km, where deaths are censored",
            hint="a cumulative incidence speaks about all causes at once and informs no single hazard;"
            ' measure = "km" sets it aside, and bayes-bm incidence answers what it can be held beside',
        )
    _check_said(tables, spec)
    kept = dict(tables)
    for kind in SUMMARY_KINDS if spec.measure is not None else ():
        frame = tables[kind]
        other = (frame["measure"].notna() & (frame["measure"] != spec.measure)).to_numpy()
        set_aside(aside, kind, frame[other], f"its measure is not {spec.measure}")
        kept[kind] = frame[~other].reset_index(drop=True)
    return kept


def _check_said(tables: Mapping[str, pd.DataFrame], spec: Spec) -> None:
    """Beside one cause of several a printed number says what it is: read as the wrong one it would move the hazard."""
    for kind in SUMMARY_KINDS if spec.cause not in (None, ANY_CAUSE) else ():
        silent = tables[kind][tables[kind]["measure"].isna()]
        if len(silent):
            row = silent.iloc[0]
            raise InputError(
                f"{kind}, study {row['study']}, arm {row['arm']}",
                found=f"no measure in its arms row, beside cause = {spec.cause}",
                allowed="km where other causes were censored when they happened, cif_complement for 1 - a cumulative"
                " incidence, crude for a share of all",
                hint='only km informs the hazard of one cause; the others stand aside with measure = "km" in the spec',
            )


def refuse_subdistribution(ratios: pd.DataFrame) -> None:
    """Fine and Gray's ratio is of no hazard that the model has."""
    found = ratios[ratios["measure"] == "subdistribution"]
    if len(found):
        row = found.iloc[0]
        raise InputError(
            f"hazard_ratios, study {row['study']}, {row['treatment']} v {row['reference']}, column measure",
            found="subdistribution, a ratio of Fine and Gray",
            allowed="cause_specific, or blank",
            hint="it compares cumulative incidences on a scale that keeps the dead at risk: with proportional"
            " cause-specific hazards it changes with time and holds every cause's ratio at once; give the cumulative"
            " incidences of both arms (measure = cif_complement), or leave the row out with [evidence] exclude",
        )


def drop_unusable(tables: dict[str, pd.DataFrame], aside: list[dict]) -> dict[str, pd.DataFrame]:
    """Rows that print no precision cannot be weighed: set aside, said so."""
    arms = tables["arms"]
    size_of = dict(zip(zip(arms["study"], arms["arm"], strict=True), arms["n"], strict=True))

    def size(row: Mapping) -> float:
        row_size = row.get("n", np.nan)
        return row_size if pd.notna(row_size) else size_of.get((row["study"], row["arm"]), np.nan)

    rules: dict[str, Callable[[Mapping], bool]] = {
        "medians": lambda row: pd.notna(size(row)) or pd.notna(row["ci_low"]),
        "points": lambda row: pd.notna(size(row)) or (pd.notna(row["ci_low"]) and row["ci_low"] > 0),
    }
    kept = dict(tables)
    for kind, rule in rules.items():
        if tables[kind].empty:
            continue
        usable = np.array([rule(row) for row in records(tables[kind])], dtype=bool)
        if usable.all():
            continue
        set_aside(aside, kind, tables[kind][~usable], "neither n nor an interval is printed, so it has no weight")
        kept[kind] = tables[kind][usable].reset_index(drop=True)
    return kept


def drop_double_counted(tables: dict[str, pd.DataFrame], spec: Spec, aside: list[dict]) -> dict[str, pd.DataFrame]:
    """Within study x arm: patients > points (and n-only medians) > a median > a registry's intervals > a count.

    Hazard ratios last (decision 1).
    """
    kept = dict(tables)
    taken = arm_keys(tables["patients"])
    kept["points"] = _without(tables["points"], taken, "points", "its patients are used", aside)
    medians = _without(tables["medians"], taken, "medians", "its patients are used", aside)
    kept["medians"] = medians
    taken = taken | arm_keys(kept["points"]) | arm_keys(medians)
    said = "its patients, points or median are used"
    kept["registry"] = _without(tables["registry"], taken, "registry", said, aside)
    kept["counts"] = _without(tables["counts"], taken, "counts", said, aside)
    again = arm_keys(kept["registry"])
    kept["counts"] = _without(kept["counts"], again, "counts", "its registry's intervals are used", aside)
    kept["hazard_ratios"] = _hazard_ratios_once(kept, spec, aside)
    return kept


def arm_keys(frame: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(frame["study"], frame["arm"], strict=True))


def _without(frame: pd.DataFrame, taken: set, kind: str, reason: str, aside: list[dict]) -> pd.DataFrame:
    if frame.empty or not taken:
        return frame
    counted = np.array([key in taken for key in zip(frame["study"], frame["arm"], strict=True)], dtype=bool)
    if not counted.any():
        return frame
    set_aside(aside, kind, frame[counted], reason)
    return frame[~counted].reset_index(drop=True)


def _hazard_ratios_once(tables: Mapping[str, pd.DataFrame], spec: Spec, aside: list[dict]) -> pd.DataFrame:
    """A hazard ratio beside absolute evidence on both its arms would count the same patients twice (decision 1)."""
    ratios = tables["hazard_ratios"]
    if ratios.empty:
        return ratios
    absolute = {
        (study, treatment)
        for kind in ("patients", *SUMMARY_KINDS)
        for study, treatment in zip(tables[kind]["study"], tables[kind]["treatment"], strict=True)
    }
    allowed = {choice.study for choice in spec.evidence.allow_overlap}
    twice = [
        row["study"] not in allowed and {(row["study"], row["treatment"]), (row["study"], row["reference"])} <= absolute
        for row in records(ratios)
    ]
    twice = np.array(twice, dtype=bool)
    set_aside(aside, "hazard_ratios", ratios[twice], "both its arms have absolute evidence; see evidence.allow_overlap")
    return ratios[~twice].reset_index(drop=True)


def check_overlap(tables: Mapping[str, pd.DataFrame], spec: Spec) -> None:
    """At most one member of an overlap group, or a parent or its subgroups, per endpoint (decision 2).

    The group is the row's own, else its arm's. A hazard ratio stands beside its own study and no other of its group.
    """
    group = {}
    for kind in ("patients", *SUMMARY_KINDS):
        frame = tables[kind]
        group.update(zip(zip(frame["study"], frame["arm"], strict=True), frame["overlap_group"], strict=True))
    arms = tables["arms"]
    keys = list(zip(arms["study"], arms["arm"], strict=True))
    in_use = np.array([key in group for key in keys], dtype=bool)
    groups = pd.Series([group.get(key) for key in keys], index=arms.index, dtype=object)
    arms = arms.assign(overlap_group=groups)[in_use].reset_index(drop=True)
    _check_ratio_overlap(tables["hazard_ratios"], arms, spec)
    for first_index, second_index in overlapping_rows(arms):
        first, second = arms.iloc[first_index], arms.iloc[second_index]
        named = " and ".join(f"{row['study']}: {row['arm']} (use {row['use']})" for row in (first, second))
        raise counted_twice(f"arms, overlap_group {first['overlap_group']!r}, endpoint {spec.endpoint}", named)


def _check_ratio_overlap(ratios: pd.DataFrame, arms: pd.DataFrame, spec: Spec) -> None:
    if ratios["overlap_group"].isna().all():
        return
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
