"""What an arms row states about its patients' covariates, and which arms are therefore averaged over them."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayes_bm.evidence.records import Evidence
from bayes_bm.evidence.tables.frames import records
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array
from bayes_bm.spec.document import Spec


def incomplete_patients(spec: Spec, evidence: Evidence) -> Array:
    """Patients who lack a covariate (patient,)."""
    patients = evidence.patients
    if not spec.covariates or patients.empty:
        return np.zeros(len(patients), dtype=bool)
    return patients[list(spec.covariates)].isna().any(axis=1).to_numpy()


def patients_with_missing_covariates(spec: Spec, evidence: Evidence) -> Array:
    """Patients who lack a covariate, in arms that are not averaged over what they state (patient,)."""
    blank = incomplete_patients(spec, evidence)
    if not blank.any():
        return blank
    whole = averaged_arms(spec, evidence.arms, evidence.patients)
    return blank & ~whole[evidence.patients["arm_row"].to_numpy(dtype=int)]


def states_covariate(arm: Mapping[Any, Any], name: str) -> Literal["share", "mean", ""]:
    """How an arm gives a covariate: its share, its mean with its sd, or not enough."""
    if pd.notna(arm.get(f"share_{name}")):
        return "share"
    return "mean" if pd.notna(arm.get(f"mean_{name}")) and pd.notna(arm.get(f"sd_{name}")) else ""


def unstated_covariates(spec: Spec, arm: Mapping[Any, Any]) -> list[str]:
    """Covariates of the spec about which an arm does not say enough."""
    return [name for name in spec.covariates if not states_covariate(arm, name)]


def covariates_together(spec: Spec, arms: list[dict[Any, Any]]) -> dict[str, float]:
    """What arms that state every covariate say of their patients together, weighted by their n (equally without)."""
    sizes = np.array([float(arm["n"]) if pd.notna(arm.get("n")) else np.nan for arm in arms])
    weight = np.full(len(arms), 1 / len(arms)) if np.isnan(sizes).any() else sizes / sizes.sum()
    summaries: dict[str, float] = {}
    for name in spec.covariates:
        # a share beside a mean is one too, of a law of two values
        shares = [states_covariate(arm, name) == "share" for arm in arms]
        both = list(zip(arms, shares, strict=True))
        mean = np.array([float(arm[f"share_{name}" if is_share else f"mean_{name}"]) for arm, is_share in both])
        sd = np.array([np.nan if is_share else float(arm[f"sd_{name}"]) for arm, is_share in both])
        variance = np.where(shares, mean * (1 - mean), sd**2)
        middle = float(weight @ mean)
        if all(shares):
            summaries[f"share_{name}"] = middle
        else:
            spread = float(np.sqrt(weight @ (variance + (mean - middle) ** 2)))
            summaries |= {f"mean_{name}": middle, f"sd_{name}": spread}
    return summaries


def arms_with_known(spec: Spec, patients: pd.DataFrame, arms: int) -> np.ndarray:
    """Arms whose patients' covariates are known (arm,)."""
    mask = np.zeros(arms, dtype=bool)
    if spec.covariates and len(patients):
        mask[patients.loc[patients[list(spec.covariates)].notna().all(axis=1), "arm_row"].to_numpy(dtype=int)] = True
    return mask


def averaged_arms(spec: Spec, arms: pd.DataFrame, patients: pd.DataFrame) -> np.ndarray:
    """Arms averaged over their covariates: all are stated or mixes are modelled, and no patient's are known (arm,)."""
    if not spec.covariates:
        return np.zeros(len(arms), dtype=bool)
    if spec.case_mixes:
        return ~arms_with_known(spec, patients, len(arms))
    whole = np.array([not unstated_covariates(spec, row) for row in records(arms)], dtype=bool)
    return whole & ~arms_with_known(spec, patients, len(arms))


def check_known(spec: Spec, patients: pd.DataFrame, arms: pd.DataFrame) -> None:
    """All covariates of all patients of an arm are known, or none is and the arm's row states them, or those lacked by
    single patients have a law to be averaged over (`model.covariates.missing`).
    """
    names = list(spec.covariates)
    for _, rows in patients.groupby("arm_row") if names else ():
        blank = rows[names].isna()
        if not blank.to_numpy().any():
            continue
        arm = arms.iloc[int(rows["arm_row"].iloc[0])].to_dict()
        where = f"patients, study {arm['study']}"
        if not blank.to_numpy().all():
            _check_lacking(spec, rows, arm)
        elif not spec.case_mixes and (unstated := unstated_covariates(spec, arm)):
            name = unstated[0]
            raise InputError(
                f"{where}, arm {arm['arm']}, column {name}",
                found="no covariates of patients",
                allowed=f"the column, or mean_{name} with sd_{name}, or share_{name}, in the arms row",
                hint="the arm is then averaged over them; its row (study, arm, treatment, endpoint, n and these"
                " columns) stands in a table named under [evidence] arms (docs/how-to/add-a-curve.md)",
            )
    for name, term in spec.covariates.items():
        values = set(patients[name].dropna()) if len(patients) else set()
        if term.missing == "two_valued" and not values <= {0, 1}:
            raise InputError(
                f"patients, column {name}",
                found=sorted(values - {0, 1})[0],
                allowed=f"0 or 1, for covariates.{name}.missing = two_valued",
            )


def _first(blank: pd.Series) -> int:
    """Place of the first patient of the arm who lacks something, from 1."""
    return int(np.argmax(blank.to_numpy(dtype=bool))) + 1


def _check_lacking(spec: Spec, rows: pd.DataFrame, arm: Mapping[Any, Any]) -> None:
    """Single patients of an arm lack covariates: each has a law, somebody of the arm says what it is, from time 0."""
    blank = rows[list(spec.covariates)].isna()
    for name in (name for name in spec.covariates if blank[name].any()):
        where = f"patients, study {arm['study']}, arm {arm['arm']}, column {name}"
        if spec.covariates[name].missing is None:
            raise InputError(
                where,
                found=f"{int(blank[name].sum())} empty cells, the first of patient {_first(blank[name])} of the arm",
                allowed="a number for every patient",
                hint=f'covariates.{name}.missing = "two_valued" (0 and 1) or "normal" averages over what these patients'
                " lack, taken as missing at random; or complete them, or leave the covariate out. An arm of which no"
                " patient's covariates are known may state them in its arms row",
            )
        if blank.any(axis=1).all():
            raise InputError(
                where,
                found=f"{int(blank[name].sum())} empty cells, and no patient of the arm with every covariate",
                allowed="some patients of the arm who lack none: they say what the others may have",
            )
    if (rows["entry"] > 0).any():
        raise InputError(
            f"patients, study {arm['study']}, arm {arm['arm']}, column {next(iter(blank.columns[blank.any()]))}",
            found="empty cells in an arm with a delayed entry or another clock (survived_to, clock_shift, entry)",
            allowed="patients seen from time zero, where single ones lack a covariate",
            hint="covariates of those who entered are not those of who started; averaging from there is not built",
        )


def check_averaged(spec: Spec, patients: pd.DataFrame, arms: pd.DataFrame) -> None:
    """Statements that have a law, of arms seen from time zero; modelled mixes are of time zero by definition."""
    if spec.case_mixes:
        _check_two_valued(spec, patients, arms)
        return
    for arm_index in np.flatnonzero(averaged_arms(spec, arms, patients)):
        arm = arms.iloc[arm_index].to_dict()
        where = f"arms, study {arm['study']}, arm {arm['arm']}"
        late = patients.loc[patients["arm_row"] == arm_index, "entry"]
        if arm["entry"] > 0 or (late > 0).any():
            raise InputError(
                where,
                found="covariates of an arm with a delayed entry or another clock (survived_to, clock_shift, entry)",
                allowed="covariates of everybody at time zero",
                hint="printed means are those of who entered, not of who started; averaging from there is not built:"
                " leave the covariates of this arm blank, and it is taken at their centres",
            )
        for name, term in spec.covariates.items():
            if states_covariate(arm, name) == "mean" and term.margin != "normal" and not arm[f"mean_{name}"] > 0:
                raise InputError(
                    f"{where}, column mean_{name}",
                    found=arm[f"mean_{name}"],
                    allowed=f"above 0, for covariates.{name}.margin = {term.margin}",
                )


def _check_two_valued(spec: Spec, patients: pd.DataFrame, arms: pd.DataFrame) -> None:
    """Two-valued covariates are 0 and 1 in patients, and arms print a share of them, not a mean."""
    for name in (name for name, term in spec.covariates.items() if term.kind == "two_valued"):
        wrong = sorted(set(patients[name].dropna()) - {0, 1}) if name in patients else []
        if wrong:
            raise InputError(
                f"patients, column {name}", found=wrong[0], allowed=f"0 or 1, for covariates.{name}.kind = two_valued"
            )
    for name, term in spec.covariates.items():
        column = f"mean_{name}" if term.kind == "two_valued" else f"share_{name}"
        printed = arms[arms[column].notna()] if column in arms else arms[:0]
        if len(printed):
            other = f"share_{name}" if term.kind == "two_valued" else f"mean_{name} and sd_{name}"
            raise InputError(
                f"arms, study {printed['study'].iloc[0]}, arm {printed['arm'].iloc[0]}, column {column}",
                found=printed[column].iloc[0],
                allowed=f"{other}, for covariates.{name}.kind = {term.kind}",
            )
