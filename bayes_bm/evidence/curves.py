"""Curves named in the evidence, reconstructed into patients at reading."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bayes_bm.evidence.files import file_digest
from bayes_bm.evidence.records import RebuiltArm
from bayes_bm.evidence.selection import (
    arm_keys,
)
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.evidence.tables.foreign_clicks import read_clicks
from bayes_bm.evidence.tables.frames import records
from bayes_bm.evidence.time_units import DAYS_PER
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec


def with_curves(
    tables: Mapping[str, pd.DataFrame], spec: Spec, digests: dict[str, str]
) -> tuple[dict[str, pd.DataFrame], list[RebuiltArm]]:
    """Patients rebuilt from registered curves join the patients table; the digest of each curve is kept."""
    curves = tables["curves"]
    if curves.empty:
        return dict(tables), []
    rows = records(curves[curves["endpoint"] == spec.endpoint])
    rebuilt = [_rebuilt_arm(row, tables["arms"], spec, digests) for row in rows]
    if not rebuilt:
        return dict(tables), []
    _refuse_swapped(rebuilt)
    names = ("study", "arm", "treatment", "use", "overlap_group")
    frames = [
        _patients(arm).assign(**{name: row.get(name) for name in names}) for arm, row in zip(rebuilt, rows, strict=True)
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


def _patients(arm: RebuiltArm) -> pd.DataFrame:
    """Return the patients of a curve; what refuses them names the study and the arm."""
    try:
        return arm.patients
    except InputError as problem:
        where = f"curves, study {arm.study}, arm {arm.arm}, {problem.where}"
        raise InputError(where, found=problem.found, allowed=problem.allowed, hint=problem.hint) from None


def _refuse_swapped(rebuilt: list[RebuiltArm]) -> None:
    """Arms of a study whose at-risk tables are likely exchanged do not become evidence silently."""
    from bayes_bm.reconstruction.swapped_arms import Arm, swapped_arms

    for study in dict.fromkeys(arm.study for arm in rebuilt):
        arms = [Arm.from_printed(arm.arm, arm.printed) for arm in rebuilt if arm.study == study]
        for swap in swapped_arms(arms):
            where = f"curves, study {study}, arms {swap.one} and {swap.other}"
            raise InputError(where, found=swap.text, hint=swap.hint)


def _rebuilt_arm(row: Mapping, arms: pd.DataFrame, spec: Spec, digests: dict[str, str]) -> RebuiltArm:
    folder = Path(row.get("folder", spec.folder))
    files = {name: folder / row[name] for name in ("curve", "at_risk", "ticks") if isinstance(row.get(name), str)}
    digests.update(
        {
            f"curve:{row['study']}/{row['arm']}:{name}": file_digest(path)
            for name, path in files.items()
            if path.is_file()
        }
    )
    tables = {name: read_clicks(name, path) for name, path in files.items()}
    whole = {name: int(row[name]) for name in ("n", "events") if pd.notna(row.get(name))}
    if "n" not in whole and not _counts_at_zero(tables.get("at_risk")):
        whole |= _stated_n(row, arms)
    axis_max = float(row["axis_max"]) if pd.notna(row.get("axis_max")) else None
    unit = row.get("time_unit") if isinstance(row.get("time_unit"), str) else spec.time_unit
    factor = DAYS_PER[str(unit)] / DAYS_PER[spec.time_unit]
    return RebuiltArm(str(row["study"]), str(row["arm"]), factor, {**tables, **whole, "axis_max": axis_max})


def _counts_at_zero(at_risk: pd.DataFrame | None) -> bool:
    return at_risk is not None and bool((at_risk["time"] == 0).any())


def _stated_n(row: Mapping, arms: pd.DataFrame) -> dict[str, int]:
    """Return the patients that the arms table states of a curve's arm: what the figure prints beside it comes first."""
    same = (arms["study"] == row["study"]) & (arms["arm"] == row["arm"]) & (arms["endpoint"] == row["endpoint"])
    stated = arms[same & ~arms["unit_of_analysis"].isin(("lesion", "cavity")) & arms["n"].notna()]
    return {"n": int(stated["n"].iloc[0])} if len(stated) else {}
