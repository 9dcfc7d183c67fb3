"""What changed between two joint results: rows of every part, the spec, answers of every cause; moves by refits."""

import pandas as pd

from bayes_bm.checks.direct_indirect import keep_studies
from bayes_bm.checks.joint_studies import joint_parts, with_study_of
from bayes_bm.estimands.joint_compare import RATIOS, compare_causes
from bayes_bm.inference.causes.fit import fit_causes
from bayes_bm.inference.causes.result import JointResult
from bayes_bm.runtime.errors import BayesBmError
from bayes_bm.runtime.types import Progress
from bayes_bm.updates.changed_rows import COLUMNS, changed_rows, changed_studies, joined

NAMES = ("estimand", "cause", "treatment", "reference", "time")
MOVE_COLUMNS = ("study", "rows", "cause", "treatment", "reference", "measure", "move", "method", "note")
NOT_BY_ROWS = ""
"""The study in the row of what no study's rows made."""
NO_WEIGHTS = (
    "how much of it each study made is found by sampling again (refit): weights of several causes are not built"
)


def joint_rows_changed(old: JointResult, new: JointResult) -> pd.DataFrame:
    """Return rows of every part that were added, changed or are gone; an arm once, whatever parts hold it."""
    earlier, later = joint_parts(old.evidence), joint_parts(new.evidence)
    found = []
    for name in {**earlier, **later}:
        one, other = earlier.get(name), later.get(name)
        # a part that one side lacks is beside the same part without rows
        empty = other if one is None else one
        assert empty is not None
        none = keep_studies(empty, studies=set(), treatments=set())
        rows = changed_rows(none if one is None else one, none if other is None else other)
        arms = rows["table"] == "arms"
        found.append(rows.assign(table=rows["table"].where(arms, name + ", " + rows["table"].astype(str))))
    return pd.concat(found, ignore_index=True).drop_duplicates(list(COLUMNS), ignore_index=True)


def joint_answers_moved(old: JointResult, new: JointResult) -> pd.DataFrame:
    """Return medians and intervals of the average study's answers that both give; the move in sds of before."""
    earlier, later = (compare_causes(one).set_index(list(NAMES)) for one in (old, new))
    common = earlier.index.intersection(later.index, sort=False)
    earlier, later = earlier.loc[common], later.loc[common]
    found = {}
    for name, table, result in (("old", earlier, old), ("new", later, new)):
        low, high = result.first.spec.interval.names
        found |= {name: table["median"], f"{name}_low": table[low], f"{name}_high": table[high]}
    moved = {
        "move": later["median"] - earlier["median"],
        "move_in_sd": (later["mean"] - earlier["mean"]) / earlier["sd"],
    }
    return pd.DataFrame(found | moved).reset_index()


def joint_moves(old: JointResult, new: JointResult, rows: pd.DataFrame, *, refit: bool, say: Progress) -> pd.DataFrame:
    """Return how much of the move of each cause's log ratios each study's rows made, by sampling without its change."""
    earlier, later = _log_ratios(old), _log_ratios(new)
    keys = [key for key in later if key in earlier]
    left = {key: later[key] - earlier[key] for key in keys}
    table = []
    for study in changed_studies(rows) if refit else ():
        count = int((rows["study"] == study).sum())
        moved, said = _study_move(old, new, study, later)
        say(f"{study}: {said['method']}")
        for key in keys:
            left[key] -= moved.get(key, 0.0)
            table.append({"study": study, "rows": count, **_named(key), "move": moved.get(key, float("nan")), **said})
    note = "spec, versions, studies together, Monte Carlo error" if refit else NO_WEIGHTS
    said = {"method": "what is left" if refit else "not parted", "note": note}
    table += [{"study": NOT_BY_ROWS, "rows": 0, **_named(key), "move": left[key], **said} for key in keys]
    return pd.DataFrame(table, columns=list(MOVE_COLUMNS))


Key = tuple[str, str, str, str]
"""Measure, cause, treatment and reference of a log ratio."""


def _study_move(
    old: JointResult, new: JointResult, study: str, later: dict[Key, float]
) -> tuple[dict[Key, float], dict[str, str]]:
    try:
        before = fit_causes(new.causes, with_study_of(new.evidence, old.evidence, study, joined))
    except BayesBmError as problem:
        return {}, {"method": "unknown", "note": str(problem)}
    note = "" if before.gate.passed else f"the gate of the fit without it failed: {before.gate.reasons[0]}"
    without = _log_ratios(before)
    return {key: later[key] - without[key] for key in later if key in without}, {"method": "refit", "note": note}


def _named(key: Key) -> dict[str, str]:
    return {"cause": key[1], "treatment": key[2], "reference": key[3], "measure": key[0].replace("_", " ")}


def _log_ratios(joint: JointResult) -> dict[Key, float]:
    """Means of the average study's log ratios of each cause."""
    spec = joint.first.spec
    rows = compare_causes(joint, times=[spec.reference_time])
    logs = rows[rows["estimand"].isin([name for name in RATIOS if name.startswith("log_")])]
    return {
        (row["estimand"], row["cause"], row["treatment"], row["reference"]): float(row["mean"])
        for row in logs.to_dict("records")
    }
