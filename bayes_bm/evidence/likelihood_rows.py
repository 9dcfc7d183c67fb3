"""What a chosen row weighs in the likelihood: sizes, laws and entry of every arm (docs/decisions.md, 5, 6, 8, 13)."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from bayes_bm.evidence import summary_statistics
from bayes_bm.evidence.arm_covariates import check_known, unstated_covariates
from bayes_bm.evidence.records import no_rows
from bayes_bm.evidence.selection import arm_keys, check_acts_on, named_rows, set_aside
from bayes_bm.evidence.tables.frames import records
from bayes_bm.evidence.tables.schema import nearest_name
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.biases import CLOCK_BIASES, Bias
from bayes_bm.spec.document import Spec

_FROM_LEAST = ("counts", "registry", "medians", "points", "patients")
"""Kinds of evidence of an arm, the one that says most last: it names the arm's kind."""


def arms_in_use(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Arms with rows in use, sorted by name so that the order of files never changes an answer (decision 10)."""
    arms = tables["arms"]
    sources = {key: kind for kind in _FROM_LEAST for key in arm_keys(tables[kind])}
    keys = list(zip(arms["study"], arms["arm"], strict=True))
    order = sorted((row for row, key in enumerate(keys) if key in sources), key=keys.__getitem__)
    arms = arms.iloc[order].reset_index(drop=True)
    arms = arms.assign(kind=pd.Series([sources[keys[row]] for row in order], dtype=object))
    for name, column in CLOCK_BIASES.items():
        arms = _with_clock_bias(arms, name, column, getattr(spec.bias, name), spec)
    shift = arms["clock_shift"].fillna(0.0)
    sizes = records(arms[["n", "events", *_CLUSTERED]])
    numbers = {
        "shift": shift,
        "entry": arms["survived_to"].fillna(0.0) + shift,
        "share": [_share(spec, row) for row in sizes],
        "n_effective": [_arm_size(spec, row) for row in sizes],
    }
    return arms.assign(**numbers)


def _with_clock_bias(arms: pd.DataFrame, name: str, column: str, term: Bias | None, spec: Spec) -> pd.DataFrame:
    """The column of a clock filled in arms of the treatments, or in those that the spec names; what an arm says itself
    is known, and stays. One with a prior leaves it blank (`evidence.clocks`).
    """
    if term is None:
        return arms
    check_acts_on(name, term, arms)
    treated = arms["treatment"].isin(term.treatments or spec.treatments.names)
    chosen = (treated & named_rows(arms, term.acts_on)) if term.acts_on else treated
    said = arms[chosen & arms[column].notna() & bool(term.acts_on)]
    if len(said):
        row = said.iloc[0]
        raise InputError(
            f"bias.{name}.acts_on",
            found=f"study {row['study']}, arm {row['arm']}, whose {column} is {row[column]:g} in the arms table",
            allowed="arms whose column is blank",
            hint="what an arm states is known: leave it out here, or change the table",
        )
    if term.value is None:
        return arms
    return arms.assign(**{column: arms[column].mask(chosen & arms[column].isna(), term.value.value)})


def _share(spec: Spec, arm: Mapping) -> float:
    return summary_statistics.effective_share(spec.evidence.effective_share.value, events=arm["events"], n=arm["n"])


def _arm_size(spec: Spec, arm: Mapping, n: float | None = None) -> float:
    """The row's own n, else the arm's, over the design effect of lesions; a lesion arm's n counts lesions
    (decision 13).
    """
    effect = _design_effect(spec, arm)
    size = n if n is not None and pd.notna(n) else (arm["n_lesions"] if effect > 1 else arm["n"])
    return size / effect


_CLUSTERED = ["n_lesions", "n_patients", "unit_of_analysis"]
"""Columns of arms that a design effect needs."""


def _design_effect(spec: Spec, arm: Mapping) -> float:
    lesions, patients = arm["n_lesions"], arm["n_patients"]
    clustered = arm["unit_of_analysis"] in ("lesion", "cavity") and lesions > patients > 0
    return summary_statistics.design_effect(lesions, patients, spec.evidence.icc.value) if clustered else 1.0


def _design_effects(spec: Spec, arms: pd.DataFrame, rows: Iterable[int]) -> np.ndarray:
    """That of the arm of each row (row,)."""
    of_arms = records(arms[_CLUSTERED])
    return np.array([_design_effect(spec, of_arms[row]) for row in rows])


def patient_rows(patients: pd.DataFrame, arms: pd.DataFrame, row_of: Mapping, spec: Spec) -> pd.DataFrame:
    """Patients on the model's clock: the arm's clock shift added, entry at least the arm's (decision 13)."""
    missing = [name for name in spec.covariates if len(patients) and name not in patients]
    if missing and not spec.case_mixes and all(unstated_covariates(spec, row) for row in records(arms)):
        raise InputError(
            f"patients, column {missing[0]}",
            found="no such column",
            allowed="a column of numbers for each covariate of the spec",
            hint=f"{nearest_name(missing[0], [str(name) for name in patients])} or leave covariates.{missing[0]} out",
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
    _check_patient_rows(frame)
    check_known(spec, frame, arms)
    return frame.sort_values(["study", "arm", "time", "event"], kind="stable").reset_index(drop=True)


def _check_patient_rows(frame: pd.DataFrame) -> None:
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


def sequences_and_medians(
    spec: Spec, tables: Mapping[str, pd.DataFrame], arms: pd.DataFrame, row_of: Mapping, aside: list[dict]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points of an arm and its median form one sequence; a median alone has its own law (decisions 1, 5, 6)."""
    points, medians = tables["points"], tables["medians"]
    arm_records = records(arms) if len(points) or len(medians) else []
    columns = [name for name in _POINT_COLUMNS if name in points]
    of_arm = dict(iter(points[columns].groupby(["study", "arm"]))) if len(points) else {}
    sequences, alone = [], []
    joined: dict[tuple, pd.DataFrame] = {}
    for row in records(medians) if len(medians) else ():
        key = (row["study"], row["arm"])
        if key not in of_arm:
            alone.append(_median_row(spec, row, arm_records[row_of[key]], row_of[key]))
        elif pd.isna(row["median"]):
            set_aside(aside, "medians", pd.DataFrame([row]), "not reached, and its arm has points that say more")
        else:
            joined[key] = _median_as_point(row)
            if pd.notna(row["ci_low"]):
                set_aside(
                    aside, "medians (interval)", pd.DataFrame([row]), "joins the points of its arm as (median, 0.5)"
                )
    for key in sorted(of_arm):
        group = pd.concat([of_arm[key], joined[key]]) if key in joined else of_arm[key]
        sequences.append(_sequence_rows(spec, group, arm_records[row_of[key]], row_of[key], aside))
    return _frame(sequences, _SEQUENCE_COLUMNS), _frame([pd.DataFrame(alone)] if alone else [], _MEDIAN_COLUMNS)


_POINT_COLUMNS = ("study", "arm", "treatment", "time", "survival", "ci_low", "ci_high", "ci_level", "n")
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


def _sequence_rows(spec: Spec, group: pd.DataFrame, arm: Mapping, arm_row: int, aside: list[dict]) -> pd.DataFrame:
    """Return the conditional binomials of one arm's points; points without weight are set aside with their reason."""
    kind = group["kind"].fillna("point") if "kind" in group else "point"
    group = group.assign(kind=kind).sort_values("time", kind="stable", ignore_index=True)
    _check_survival_falls(group, arm)
    sizes = [_arm_size(spec, arm, row_size) for row_size in group["n"]]
    _check_points_after_entry(group, arm)
    steps = summary_statistics.point_sequence(
        group["time"].to_numpy() + float(arm["shift"]),
        group["survival"].to_numpy(),
        _interval_variances(group),
        np.array(sizes, dtype=float),
        share=float(arm["share"]),
        start=float(arm["entry"]),
        followup=float(arm["followup"]),
    )
    for kind, rows in group[~steps.kept].groupby("kind") if not steps.kept.all() else ():
        set_aside(
            aside, f"{kind}s", rows, "no n, and its interval adds nothing to the point before, so it has no weight"
        )
    columns = {name: group[name].to_numpy()[steps.kept] for name in ("survival", "kind")}
    labels = {name: arm[name] for name in ("study", "arm", "treatment")}
    numbers = {"start": steps.start, "time": steps.time, "ratio": steps.ratio, "size": steps.size}
    return pd.DataFrame({**columns, **numbers, "arm_row": arm_row, **labels})


def _check_survival_falls(group: pd.DataFrame, arm: Mapping) -> None:
    """Refuse points in time order that rise, or of which two stand at one time."""
    if not (np.diff(group["survival"].to_numpy()) <= 0).all() or group["time"].duplicated().any():
        printed = ", ".join(f"S({t:g}) = {s:g}" for t, s in zip(group["time"], group["survival"], strict=True))
        raise InputError(
            f"points and median, study {arm['study']}, arm {arm['arm']}",
            found=printed,
            allowed="survival that falls with time",
        )


def _check_points_after_entry(group: pd.DataFrame, arm: Mapping) -> None:
    """Refuse points at times up to which everybody of the arm is alive by its `survived_to`."""
    first = group["time"].iloc[0]
    if first + float(arm["shift"]) <= arm["entry"]:
        raise InputError(
            f"points, study {arm['study']}, arm {arm['arm']}",
            found=f"survival at {first:g}",
            allowed=f"times after survived_to = {arm['survived_to']:g}, up to which everybody is alive",
        )


def _interval_variances(group: pd.DataFrame) -> np.ndarray:
    """Return var(log S) by each point's interval (point,): NaN where none is printed or it touches zero."""
    levels = group["ci_level"].fillna(0.95) if "ci_level" in group else pd.Series(0.95, index=group.index)
    return np.square(
        [
            summary_statistics.log_interval_sd(low, high, level)
            for low, high, level in zip(group["ci_low"], group["ci_high"], levels, strict=True)
        ]
    )


def _median_row(spec: Spec, row: Mapping, arm: Mapping, arm_row: int) -> dict:
    """The law of a median that stands alone (decision 6)."""
    level = row["ci_level"] if pd.notna(row["ci_level"]) else 0.95
    n = _arm_size(spec, arm, row["n"])
    share = summary_statistics.median_share(spec.evidence.effective_share.value, events=arm["events"], n=arm["n"])
    sd = summary_statistics.median_log_sd(row["median"], row["ci_low"], row["ci_high"], level, size=share * n)
    likelihood = "not_reached" if pd.isna(row["median"]) else "interval" if np.isfinite(sd) else "order"
    time = arm["followup"] if likelihood == "not_reached" else row["median"]
    where = f"medians, study {row['study']}, arm {row['arm']}"
    if likelihood == "not_reached" and pd.isna(time):
        raise InputError(
            where, found="a median not reached", hint="the arms row needs `followup`, the time it was not reached by"
        )
    if pd.isna(n) and not (likelihood == "interval" and pd.notna(row["ci_high"])):
        raise InputError(
            where,
            found="no n" if likelihood != "interval" else "no n, and an upper limit that was not reached",
            allowed="n in the medians or arms row",
            hint="n says how sure a median is without an interval of two limits (docs/decisions.md, 6)",
        )
    if time <= arm["entry"] - arm["shift"]:
        raise InputError(where, found=f"{time:g}", allowed=f"above survived_to, {arm['survived_to']:g}")
    alpha = summary_statistics.beta_size(n, share) if likelihood != "interval" else np.nan
    named = {name: row[name] for name in ("study", "arm", "treatment", "median", "ci_low", "ci_high")}
    return {
        **named,
        "arm_row": arm_row,
        "n": n,
        "law": likelihood,
        "alpha": alpha,
        "sd": sd,
        "time": time,
        "ci_level": level,
    }


_COUNT_COLUMNS = ("study", "arm", "treatment", "events", "n", "time", "arm_row")
_REGISTRY_COLUMNS = ("study", "arm", "treatment", "start", "time", "alive", "n", "arm_row")


def count_rows(counts: pd.DataFrame, arms: pd.DataFrame, row_of: Mapping, spec: Spec) -> pd.DataFrame:
    """Counts; one without a time speaks only where the study's level is free (decision 8). Lesions weigh less
    (decision 13).
    """
    if counts.empty:
        return no_rows(_COUNT_COLUMNS)
    blank = counts[counts["time"].isna()]
    if len(blank) and not spec.free_levels:
        row = blank.iloc[0]
        raise InputError(
            f"counts, study {row['study']}, arm {row['arm']}, column time",
            found="empty",
            hint="give the follow-up time, or free study levels ([effects.study] exchangeable = false),"
            " see docs/decisions.md, 8",
        )
    if len(blank) and spec.evidence.background is not None:
        row = blank.iloc[0]
        raise InputError(
            f"counts, study {row['study']}, arm {row['arm']}, column time",
            found="empty, beside evidence.background",
            allowed="a time: the background spent by an unknown one is not known",
        )
    if len(blank):
        _check_unknown_time(blank, counts, arms)
    rows = [row_of[key] for key in zip(counts["study"], counts["arm"], strict=True)]
    effect = _design_effects(spec, arms, rows)
    table = counts[list(_COUNT_COLUMNS[:-1])].reset_index(drop=True).assign(arm_row=np.array(rows, dtype=int))
    return table.assign(events=table["events"] / effect, n=table["n"] / effect)


def registry_rows(registry: pd.DataFrame, arms: pd.DataFrame, row_of: Mapping, spec: Spec) -> pd.DataFrame:
    """Intervals of a registry on the model's clock: `alive` of the `n` alive at `start` are so at `time`.

    Lesions weigh less (decision 13).
    """
    if registry.empty:
        return no_rows(_REGISTRY_COLUMNS)
    rows = np.array([row_of[key] for key in zip(registry["study"], registry["arm"], strict=True)], dtype=int)
    shift, entry = (arms[name].to_numpy(dtype=float)[rows] for name in ("shift", "entry"))
    start = registry["start"].to_numpy(dtype=float) + shift
    early = registry.assign(start=start)[(start < entry) & (entry > shift)]
    if len(early):
        row = early.iloc[0]
        raise InputError(
            f"registry, study {row['study']}, arm {row['arm']}, column start",
            found=f"{row['start']:g}",
            allowed="times from survived_to on, up to which everybody is alive",
        )
    effect = _design_effects(spec, arms, rows)
    table = registry[["study", "arm", "treatment", "start", "stop", "alive", "n"]].rename(columns={"stop": "time"})
    table = table.assign(
        start=start, time=table["time"] + shift, arm_row=rows, alive=table["alive"] / effect, n=table["n"] / effect
    )
    return table.sort_values(["study", "arm", "start"], kind="stable", ignore_index=True)


def _check_unknown_time(blank: pd.DataFrame, counts: pd.DataFrame, arms: pd.DataFrame) -> None:
    """A count without a time makes its study's level log H at that unknown time; no other row may date it."""
    dated = set(arms.loc[arms["kind"] != "counts", "study"]) | set(counts.loc[counts["time"].notna(), "study"])
    for row in records(blank):
        if row["study"] in dated:
            raise InputError(
                f"counts, study {row['study']}, arm {row['arm']}, column time",
                found="empty, beside rows of the study that have a time",
                allowed="a time, or no time in any row of the study",
                hint="the study's one level cannot stand for an unknown time and for a known one"
                " (docs/decisions.md, 8)",
            )
