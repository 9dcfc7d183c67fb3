"""The ratios of one study: contrasts of its arms, what their arms vary, and loops (docs/decisions.md#7-hazard-ratios).

Ratio i is y_i = theta[treatment] - theta[reference] + rounding, theta the log hazard of each arm with variance V[arm].
Nothing here depends on the order of rows or on the names of arms.
"""

import numpy as np
import pandas as pd

from bayes_bm.evidence.tables.frames import records
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array

FEWEST_DECIMALS = 2
"""A ratio of 0.8 is read as 0.80: a table of numbers keeps no zeros at the end."""
EXACT = 1e-6
"""A loop of ratios that are printed in full closes to this."""


def study_block(study: str, rows: pd.DataFrame) -> tuple[pd.DataFrame, Array]:
    """Return independent contrasts of one study and their covariance (row, row).

    Two contrasts covary by the variance of the arm they share, with a minus sign where it is the treatment of one and
    the reference of the other. Contrasts that close a loop say the same thing twice: all enter by least squares,
    weighted by what rounding leaves open in each, and the contrasts that are returned hold the result.
    """
    rows = rows.reset_index(drop=True)
    arms = sorted({*rows["treatment"], *rows["reference"]})
    signs = _signs(rows, arms)
    basis = _basis(signs)
    if len(basis) < len(rows):
        rows = rows.assign(log_hr=_closed(study, rows, signs))
    variance = _arm_variances(rows, arms, signs)
    kept, signs = rows.loc[basis].reset_index(drop=True), signs[basis]
    return kept, _covariance(study, kept, arms, signs, variance)


def _signs(rows: pd.DataFrame, arms: list[str]) -> Array:
    """1 of the treatment, -1 of the reference of each contrast (row, arm)."""
    signs = np.zeros((len(rows), len(arms)))
    for index, (treatment, reference) in enumerate(zip(rows["treatment"], rows["reference"], strict=True)):
        signs[index, arms.index(treatment)] += 1
        signs[index, arms.index(reference)] -= 1
    return signs


def _basis(signs: Array) -> list[int]:
    """Rows that each say something new. Which ones makes no difference, because all were made to agree."""
    basis: list[int] = []
    for index in range(len(signs)):
        if np.linalg.matrix_rank(signs[[*basis, index]]) > len(basis):
            basis.append(index)
    return basis


# ---------------------------------------------------------------------------------------------- loops


def rounding(values: Array) -> Array:
    """Half of the last decimal that each number was printed with, two decimals at least."""
    decimals = [len(f"{value:.15g}".partition(".")[2]) for value in values]
    return 0.5 * 10.0 ** -np.maximum(decimals, FEWEST_DECIMALS)


def log_rounding(hr: Array) -> Array:
    """How far rounding may have moved each log ratio: that of the ratio, or of a log ratio that was printed instead."""
    of_ratio, logs = rounding(hr) / hr, np.log(hr)
    moved = of_ratio
    for decimals in (4, 3, 2):
        half = 0.5 * 10.0**-decimals
        printed_as_log = (np.abs(logs - logs.round(decimals)) <= of_ratio + 1e-12) & (half > MANY_TIMES * of_ratio)
        moved = np.where(printed_as_log, half, moved)
    return moved


MANY_TIMES = 20
"""A ratio of many decimals whose log has few was a log ratio: the decimals of the log are this much coarser."""


def _closed(study: str, rows: pd.DataFrame, signs: Array) -> Array:
    """Log ratios that agree with each other: least squares over all contrasts of the loops (row,)."""
    printed, tolerance = rows["log_hr"].to_numpy(), log_rounding(rows["hr"].to_numpy(dtype=float))
    if _opening(printed, tolerance, signs) > 1:
        raise InputError(
            f"hazard_ratios, study {study}",
            found=f"ratios of a loop that do not agree: {_loop_text(rows, signs)}",
            allowed="contrasts of one model, which agree within the rounding of the printed ratios",
            hint="they come from unlike models or patients: leave one out with its use flag (docs/decisions.md, 7)",
        )
    weight = 1 / np.maximum(tolerance, EXACT)
    arms = np.linalg.lstsq(signs * weight[:, None], printed * weight, rcond=None)[0]
    return signs @ arms


def _opening(printed: Array, tolerance: Array, signs: Array) -> float:
    """How many times the rounding all contrasts must give way by until they agree: the least largest share."""
    size = signs.shape[1]
    allowed = (tolerance + EXACT)[:, None]
    bounds = np.block([[signs, -allowed], [-signs, -allowed]])
    # late: a fit without loops of ratios does not wait for its import, a fifth of a second
    from scipy import optimize

    solved = optimize.linprog(
        np.append(np.zeros(size), 1.0),
        A_ub=bounds,
        b_ub=np.concatenate([printed, -printed]),
        bounds=[(None, None)] * size + [(0, None)],
    )
    assert solved.fun is not None, "an opening that is wide enough always agrees"
    return solved.fun


def _loop_text(rows: pd.DataFrame, signs: Array) -> str:
    """Each ratio as printed, and what the others of its study say it is."""
    texts = []
    for index, row in enumerate(records(rows)):
        others = np.delete(np.arange(len(rows)), index)
        if np.linalg.matrix_rank(signs[others]) < np.linalg.matrix_rank(signs):
            continue
        arms = np.linalg.lstsq(signs[others], rows["log_hr"].to_numpy()[others], rcond=None)[0]
        implied = float(np.exp(signs[index] @ arms))
        texts.append(f"{row['treatment']} v {row['reference']} {row['hr']:g} (the others say {implied:.3g})")
    return ", ".join(texts)


# ---------------------------------------------------------------------------------------------- variances


def _arm_variances(rows: pd.DataFrame, arms: list[str], signs: Array) -> dict[str, float]:
    """Variance of an arm's own log hazard, by name, where it is printed or follows from contrasts around a loop.

    se^2 = V[treatment] + V[reference] of every contrast and se_reference^2 = V[reference], by least squares of the
    relative errors; an arm is known where those equations settle it.
    """
    equations, squares = [np.abs(signs)], [rows["se"].to_numpy(dtype=float) ** 2]
    printed = rows[rows["se_reference"].notna()]
    equations.append(np.eye(len(arms))[[arms.index(name) for name in printed["reference"]]].reshape(-1, len(arms)))
    squares.append(printed["se_reference"].to_numpy(dtype=float) ** 2)
    matrix, values = np.concatenate(equations), np.concatenate(squares)
    scaled = matrix / values[:, None]
    solution, rank = np.linalg.lstsq(scaled, np.ones(len(values)), rcond=None)[0], np.linalg.matrix_rank(matrix)
    settled = [np.linalg.matrix_rank(np.vstack([matrix, unit])) == rank for unit in np.eye(len(arms))]
    return {name: float(solution[index]) for index, name in enumerate(arms) if settled[index]}


def _covariance(study: str, rows: pd.DataFrame, arms: list[str], signs: Array, variance: dict[str, float]) -> Array:
    covariance = np.diag(np.square(rows["se"].to_numpy(dtype=float)))
    for i in range(len(rows)):
        for j in range(i):
            for column in np.flatnonzero((signs[i] != 0) & (signs[j] != 0)).tolist():
                if arms[column] not in variance:
                    raise InputError(
                        f"hazard_ratios, study {study}, arms of {arms[column]}",
                        found=f"two contrasts share {arms[column]}",
                        hint="give se_reference (se of the shared arm's log hazard) or the contrast between the others",
                    )
                covariance[i, j] += signs[i, column] * signs[j, column] * variance[arms[column]]
            covariance[j, i] = covariance[i, j]
    if np.linalg.eigvalsh(covariance).min() <= 0:
        raise InputError(
            f"hazard_ratios, study {study}", found="standard errors that cannot stand together", hint="check them"
        )
    return covariance
