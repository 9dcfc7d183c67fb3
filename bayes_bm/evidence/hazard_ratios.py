"""Log hazard ratios of a study as one multivariate normal (docs/decisions.md#7-hazard-ratios)."""

import re

import numpy as np
import pandas as pd

from bayes_bm.evidence import summary_statistics
from bayes_bm.evidence.arm_covariates import covariates_together, unstated_covariates
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec


def check_followup(ratios: pd.DataFrame, spec: Spec) -> None:
    """Where hazards are not proportional a hazard ratio is an average over its follow-up (decision 7)."""
    blank = ratios[ratios["followup"].isna()]
    if spec.proportional or blank.empty:
        return
    shaped = [name for name in ("treatment_log_shape", "treatment_smooth_sd") if getattr(spec.priors, name) is not None]
    raise InputError(
        f"hazard_ratios, study {blank['study'].iloc[0]}, column followup",
        found=f"nothing, beside {f'priors.{shaped[0]}' if shaped else _why_not_proportional(spec)}",
        allowed="the follow-up behind the ratio",
        hint=(
            "hazards are not proportional in this model: its counterpart is the average over follow-up"
            " (docs/decisions.md, 7)"
        ),
    )


def _why_not_proportional(spec: Spec) -> str:
    if spec.evidence.background is not None and spec.hazard.proportional:
        return "evidence.background, which is added to the hazards of both arms"
    return f"hazard.family = {spec.hazard.family}" if not spec.hazard.cure else "hazard.cure = true"


def check_levels(ratios: pd.DataFrame, arms: pd.DataFrame, spec: Spec) -> None:
    """An average over follow-up needs the arms' curves: a level and a shape for the study (decision 7)."""
    if spec.proportional or not (spec.free_levels or spec.free_shapes):
        return
    armless = ratios[~ratios["study"].isin(arms["study"])]
    if len(armless):
        raise InputError(
            f"hazard_ratios, study {armless['study'].iloc[0]}",
            found="a study without arms, so without a level or shape of its own (exchangeable = false)",
            allowed="exchangeable levels and shapes, or a family with proportional hazards",
            hint="hazards are not proportional in this model: the ratio's counterpart depends on the study's curves",
        )


def adjusted_for(text: object) -> set[str]:
    """Covariates that a ratio was adjusted for, as its row lists them, between commas or semicolons."""
    return {name.strip() for name in re.split("[,;]", text) if name.strip()} if isinstance(text, str) else set()


def unadjusted(ratios: pd.DataFrame, spec: Spec) -> pd.Series:
    """Which ratios were not adjusted for every covariate of the spec."""
    listed = ratios["adjusted_for"] if "adjusted_for" in ratios else pd.Series(None, index=ratios.index, dtype=object)
    return pd.Series([bool(set(spec.covariates) - adjusted_for(text)) for text in listed], index=ratios.index)


def with_stated_covariates(ratios: pd.DataFrame, arms: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Ratios with share_NAME, or mean_NAME and sd_NAME, of each covariate in both their arms together, where the arms
    rows of both treatments state every covariate and studies are exchangeable (a study has no curve without).
    """
    if not spec.covariates or ratios.empty or spec.free_levels or spec.free_shapes:
        return ratios
    rows, summaries = arms.to_dict("records"), []
    for row in ratios.to_dict("records"):
        sides = [
            [arm for arm in rows if (arm["study"], arm["treatment"]) == (row["study"], row[side])] for side in SIDES
        ]
        whole = all(sides) and not any(unstated_covariates(spec, arm) for side in sides for arm in side)
        summaries.append(covariates_together(spec, [arm for side in sides for arm in side]) if whole else {})
    stated = pd.DataFrame(summaries, index=ratios.index)
    return ratios.assign(**{str(name): stated[name] for name in stated})


SIDES = ("treatment", "reference")


def averaged_ratios(ratios: pd.DataFrame, spec: Spec) -> np.ndarray:
    """Ratios averaged over the covariates of their study, or at its means: stated, and with a follow-up (row,).

    A crude one, or one adjusted for some: averaged over the others. One adjusted for all is that of alike patients
    already, unless covariates modify effects.
    """
    if not spec.covariates or ratios.empty:
        return np.zeros(len(ratios), dtype=bool)
    stated = np.array([not unstated_covariates(spec, row) for row in ratios.to_dict("records")], dtype=bool)
    needed = unadjusted(ratios, spec).to_numpy(dtype=bool) | bool(spec.modifiers)
    return stated & needed & ratios["followup"].notna().to_numpy()


def check_adjusted(ratios: pd.DataFrame, spec: Spec) -> None:
    """A ratio of one study is of its own patients: where covariates modify effects it needs their distribution."""
    remaining = ratios[~averaged_ratios(ratios, spec)]
    if spec.modifiers and len(remaining):
        raise InputError(
            f"hazard_ratios, study {remaining['study'].iloc[0]}",
            found=f"a hazard ratio, beside covariates that modify treatment effects: {', '.join(spec.modifiers)}",
            allowed="followup in its row, and arms rows of both its treatments that state every covariate (mean_NAME"
            " and sd_NAME, or share_NAME), beside exchangeable study levels; or patients, points, medians or counts",
            hint="the ratio is of its own patients, over whom it is averaged (docs/decisions.md, 7);"
            " leave it out with evidence.exclude, or leave out the interaction",
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


STATED = ("mean_", "sd_", "share_")


def hazard_ratio_block(ratios: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Log hazard ratios with the Cholesky factor of their covariance, block diagonal by study (decision 7)."""
    ratios = ratios.sort_values(["study", "treatment", "reference"], kind="stable").reset_index(drop=True)
    level = ratios["ci_level"].fillna(0.95)
    se = [
        summary_statistics.log_hr_se(
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
    blocks = [_study_block(str(study), rows) for study, rows in table.groupby("study", sort=True)]
    kept = pd.concat([rows for rows, _ in blocks], ignore_index=True) if blocks else table
    columns = ["study", "treatment", "reference", "hr", "ci_low", "ci_high", "ci_level", "p", "p_below", "log_hr", "se"]
    columns += ["followup", "adjusted_for", *(name for name in kept if str(name).startswith(STATED))]
    return kept[columns], _block_diagonal([np.linalg.cholesky(covariance) for _, covariance in blocks])


def _block_diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    size = sum(len(block) for block in blocks)
    whole, offset = np.zeros((size, size)), 0
    for block in blocks:
        whole[offset : offset + len(block), offset : offset + len(block)] = block
        offset += len(block)
    return whole


def _study_block(study: str, rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Independent contrasts of one study and their covariance.

    Contrast i has variance V_treatment + V_reference, so two contrasts covary by the variance of the arm they share. It
    is `se_reference`^2, or follows from a redundant third contrast; a shared arm without either is an error.
    """
    _check_one_ratio_a_contrast(study, rows)
    independent, redundant = _spanning(rows)
    variance = _arm_variances(rows, redundant)
    signs = [{row["treatment"]: 1.0, row["reference"]: -1.0} for row in independent.to_dict("records")]
    covariance = np.diag(np.square(independent["se"].to_numpy(dtype=float)))
    for i, first in enumerate(signs):
        for j, second in enumerate(signs[:i]):
            for arm in first.keys() & second.keys():
                if arm not in variance:
                    raise InputError(
                        f"hazard_ratios, study {study}, arms of {arm}",
                        found=f"two contrasts share {arm}",
                        hint="give se_reference (se of the shared arm's log hazard) or the contrast between the others",
                    )
                covariance[i, j] = covariance[j, i] = covariance[i, j] + first[arm] * second[arm] * variance[arm]
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
        first, second = (group.setdefault(row[name], len(group)) for name in ("treatment", "reference"))
        new.append(first != second)
        group = {name: first if value == second else value for name, value in group.items()}
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
        first, second = row["treatment"], row["reference"]
        for shared in {name for names in pair for name in names} - {first, second}:
            sides = [pair[key] for other in (first, second) if (key := frozenset((shared, other))) in pair]
            if len(sides) == 2:
                variance.setdefault(shared, (sum(sides) - pair[frozenset((first, second))]) / 2)
    return variance
