"""How much wider the answers become for not knowing the patients behind curves
(docs/decisions.md#19-multiple-imputation).
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from bayes_bm.estimands.compare import compared_pairs
from bayes_bm.estimands.who import Who
from bayes_bm.inference.gate import watched_parameters
from bayes_bm.inference.imputations import by_imputation, variance_columns, variance_parts, variance_table
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array, Row

NAMED = ("quantity", "treatment", "reference", "time")


def imputation_summary(
    result: Result,
    *,
    who: Who | str | None = None,
    reference: str | None = None,
    horizon: float | None = None,
    times: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return the variance within and between imputations of every parameter, contrast and row of `compare`.

    Parameters
    ----------
    result : Result
        A fit of M imputations, `bb.fit(spec, imputations=M)`.
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, or the name of one, optional
        Who the rows of `compare` are about; by default `AverageStudy()`.
    reference : str, optional
        Treatment to compare with; by default the spec's reference.
    horizon : float, optional
        Where restricted means are cut, in the spec's time unit; by default the spec's.
    times : sequence of float, optional
        Times in the spec's unit; by default the spec's answer times.

    Returns
    -------
    pandas.DataFrame
        `quantity` is a parameter's label, or the estimand of a row of `compare` with its treatment, reference and time;
        then mean; W, B and T = W + (1 + 1/M) B (`within`, `between`, `total`); the `share` of T that is the
        reconstruction's; the Monte Carlo standard error of the mean (`mcse`); the mixture's interval, its `width`,
        the mean width of one imputation's, and how much `wider` the mixture's is. Ratios stand on the log.

    Raises
    ------
    InputError
        For a result without imputations.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> bb.imputation_summary(result)
    Traceback (most recent call last):
    ...
    bayes_bm.runtime.errors.InputError: imputation_summary: found a result of the best reconstruction alone; ...
    """
    _require_imputations(result)
    answers = answer_variance(
        result, compared_pairs(result, who=who, reference=reference, horizon=horizon, times=times)
    ).to_dict("records")
    parameters = variance_table(watched_parameters(result.posterior), result.spec.interval).to_dict("records")
    return pd.DataFrame([*parameters, *answers], columns=[*NAMED, *variance_columns(result.spec.interval)])


def _require_imputations(result: Result) -> None:
    if result.imputations is None:
        raise InputError(
            "imputation_summary",
            found="a result of the best reconstruction alone",
            hint="fit(..., imputations=20) draws the patients behind curves",
        )


def answer_variance(result: Result, rows_with_draws: Iterable[tuple[Row, Array]]) -> pd.DataFrame:
    """Rows of `compare.compared_pairs` with their variance within and between imputations; ratios on the log only."""
    labels, level = result.posterior["imputation"].to_numpy(), result.spec.interval
    rows = [
        {"quantity": row["estimand"], **row, **variance_parts(by_imputation(_chains(draws, labels), labels), level)}
        for row, draws in rows_with_draws
        if row["estimand"] not in ("hazard_ratio", "time_ratio")
    ]
    return pd.DataFrame(rows, columns=[*NAMED, *variance_columns(result.spec.interval)])


def _chains(draws: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(sample,) -> (chain, draw)."""
    return draws.reshape(len(labels), -1)
