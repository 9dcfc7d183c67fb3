"""Log hazard ratios of a study as one multivariate normal (docs/decisions.md#7-hazard-ratios)."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayes_bm.evidence import summary_statistics
from bayes_bm.evidence.arm_covariates import covariates_together, unstated_covariates
from bayes_bm.evidence.ratio_contrasts import rounding, study_block
from bayes_bm.evidence.records import no_rows
from bayes_bm.evidence.tables.frames import records
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
    rows, summaries = records(arms), []
    for row in records(ratios):
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
    stated = np.array([not unstated_covariates(spec, row) for row in records(ratios)], dtype=bool)
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


RATIO_COLUMNS = (
    *("study", "treatment", "reference", "hr", "ci_low", "ci_high", "ci_level", "p", "p_below", "log_hr", "se"),
    *("followup", "adjusted_for"),
)


def hazard_ratio_block(ratios: pd.DataFrame, arms: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Log hazard ratios with the Cholesky factor of their covariance, block diagonal by study (decision 7)."""
    if ratios.empty:
        return no_rows(RATIO_COLUMNS), np.zeros((0, 0))
    ratios = ratios.sort_values(["study", "treatment", "reference"], kind="stable", ignore_index=True)
    se = [_standard_error(row, arms) for row in records(ratios)]
    table = ratios.assign(log_hr=np.log(ratios["hr"].astype(float)), se=np.array(se, dtype=float))
    blocks = []
    for study, rows in table.groupby("study", sort=True):
        _check_one_ratio_a_contrast(str(study), rows)
        blocks.append(study_block(str(study), rows))
    kept = pd.concat([rows for rows, _ in blocks], ignore_index=True)
    stated = [name for name in kept if str(name).startswith(STATED)]
    return kept[[*RATIO_COLUMNS, *stated]], _block_diagonal(
        [np.linalg.cholesky(covariance) for _, covariance in blocks]
    )


class PrintedError(NamedTuple):
    """The standard error of a log ratio, and why it is not known where p alone, rounded, leaves it open."""

    se: float
    unsettled: str = ""


def printed_error(row: Mapping[Any, Any]) -> PrintedError:
    """Return the se of one log ratio from what its row prints; from p alone only where the rounding settles it."""
    se = summary_statistics.log_hr_se(
        row["hr"],
        low=row["ci_low"],
        high=row["ci_high"],
        se=row["se_log_hr"],
        p=row["p"],
        p_below=row["p_below"],
        ci_level=row["ci_level"] if pd.notna(row["ci_level"]) else 0.95,
    )
    by_p_alone = (
        pd.notna(row["p"]) and pd.isna(row["se_log_hr"]) and (pd.isna(row["ci_low"]) or pd.isna(row["ci_high"]))
    )
    if not by_p_alone:
        return PrintedError(se)
    least, largest = se_range_of_p(row["hr"], row["p"])
    if largest <= WIDEST_RANGE * least:
        return PrintedError(se)
    text = f"hr {row['hr']:g} with p {row['p']:g} alone: rounding leaves its standard error between"
    return PrintedError(se, f"{text} {least:.2g} and {largest:.2g}")


def _standard_error(row: Mapping[Any, Any], arms: pd.DataFrame) -> float:
    """Return the se of one log ratio, from the events of its arms where p alone leaves it open."""
    printed = printed_error(row)
    if not printed.unsettled:
        return printed.se
    events = _printed_events(row, arms)
    if events > 0:
        return 2 / np.sqrt(events)
    raise InputError(
        f"hazard_ratios, study {row['study']}, {row['treatment']} v {row['reference']}",
        found=printed.unsettled,
        allowed=f"a range below a factor of {WIDEST_RANGE:g}; or an interval, se_log_hr, or events of both arms",
        hint="near a ratio of 1 a p value says nothing of the standard error: give ci_low and ci_high, or print events"
        " in the arms table, or leave the row out (docs/decisions.md, 7)",
    )


WIDEST_RANGE = 1.5
"""Largest over least standard error that the rounding of hr and p may allow (decision 7)."""


def se_range_of_p(hr: float, p: float) -> tuple[float, float]:
    """Least and largest |log hr| / z(p / 2) over all numbers that are printed as this hr and this p."""
    half_hr, half_p = (float(rounding(np.array([value]))[0]) for value in (hr, p))
    logs = np.abs(np.log([max(hr - half_hr, 1e-12), hr + half_hr]))
    least = 0.0 if abs(hr - 1) <= half_hr else float(logs.min())
    z = [-ndtri(min(max(value, 1e-300), 1.0) / 2) for value in (p - half_p, p + half_p)]
    return least / z[0], float(logs.max() / z[1]) if z[1] > 0 else np.inf


def _printed_events(row: Mapping, arms: pd.DataFrame) -> float:
    """Events of both arms in the arms table, 0 where an arm prints none."""
    of_study = arms[arms["study"] == row["study"]]
    sides = [of_study.loc[of_study["treatment"] == row[side], "events"].astype(float) for side in SIDES]
    return float(sum(side.sum() for side in sides)) if all(len(side) and side.notna().all() for side in sides) else 0.0


def _block_diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    size = sum(len(block) for block in blocks)
    whole, offset = np.zeros((size, size)), 0
    for block in blocks:
        whole[offset : offset + len(block), offset : offset + len(block)] = block
        offset += len(block)
    return whole
