"""Stacking: models weighed by how well each predicts what it has not seen, and one prediction from all of them.

Yao et al. 2018 (doi 10.1214/17-BA1091): the weights maximise sum_i log sum_k w_k p_k(y_i | the others) on the simplex.
What `i` is decides what is predicted: a row (a patient, a printed number), or a whole study, whose own effects are then
not known either.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.checks.pareto_smoothing import HIGH_K
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError

STEPS = 20_000
"""Steps of expectation and maximisation at most."""
TOLERANCE = 1e-12
"""Change of a weight in one step at which the weights are settled."""
COLUMNS = ("model", "elpd", "difference", "difference_se", "weight")
"""Columns of `stacking`."""


def stacking(elpd: "Mapping[str, pd.Series | Result]") -> pd.DataFrame:
    """Weigh models by how well each predicts what it has not seen.

    The weights maximise sum_i log sum_k w_k p_k(y_i | the others) on the simplex (Yao et al. 2018, doi
    10.1214/17-BA1091).

    Parameters
    ----------
    elpd : mapping of str to pandas.Series or Result
        Models by name, two or more. A result is compared row by row of evidence; a series holds elpd by label, such as
        leave-one-study-out by study. Labels must be the same in all: models are compared on the same data.

    Returns
    -------
    pandas.DataFrame
        One row a model: model, elpd (its sum), difference from the best, difference_se, and weight. Weights sum to 1.

    Raises
    ------
    InputError
        For fewer than two models, other labels in one than in another, an elpd that is no number, or a result without
        pointwise log likelihood.

    Examples
    --------
    >>> import bayes_bm as bb, pandas as pd
    >>> studies = ["A 2019", "B 2021", "C 2022"]
    >>> elpd = {
    ...     "weibull": pd.Series([-2.0, -3.0, -2.5], studies),
    ...     "lognormal": pd.Series([-2.5, -3.5, -3.0], studies),
    ... }
    >>> print(bb.stacking(elpd).round(3).to_string(index=False))
        model  elpd  difference  difference_se  weight
      weibull  -7.5         0.0            0.0     1.0
    lognormal  -9.0        -1.5            0.0     0.0
    """
    if len(elpd) < 2:
        raise InputError("stacking", found=f"{len(elpd)} model", allowed="two or more")
    of_model = {name: row_elpd(model) if isinstance(model, Result) else model for name, model in elpd.items()}
    first = next(iter(of_model))
    labels = of_model[first].index
    for name, values in of_model.items():
        if len(values) != len(labels) or set(values.index) != set(labels):
            raise InputError(
                f"stacking, {name}",
                found=f"{len(values)} rows of elpd, other than the {len(labels)} of {first}",
                allowed="the same rows in every model",
                hint="models are compared on the same evidence; another measure or another choice of rows is not",
            )
    table = np.stack([values.loc[labels].to_numpy(dtype=float) for values in of_model.values()], axis=1)
    if not np.isfinite(table).all():
        raise InputError("stacking", found="an elpd that is no number", allowed="finite ones")
    total = table.sum(axis=0)
    apart = table - table[:, [int(total.argmax())]]
    se = np.sqrt(len(apart)) * apart.std(axis=0, ddof=1) if len(apart) > 1 else np.full(len(total), np.nan)
    columns = (list(of_model), total, apart.sum(axis=0), se, weights(table))
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def weights(elpd: np.ndarray) -> np.ndarray:
    """Return weights of the models from elpd (row, model), by expectation and maximisation on the simplex.

    w_k <- w_k mean_i p_ik / sum_l w_l p_il; at the maximum the mean is 1 where w_k > 0, and at most 1 elsewhere.
    """
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True))
    weight = np.full(elpd.shape[1], 1 / elpd.shape[1])
    for _ in range(STEPS):
        better = weight * (density / (density @ weight)[:, None]).mean(axis=0)
        if np.abs(better - weight).max() < TOLERANCE:
            break
        weight = better
    return weight / weight.sum()


def row_elpd(result: Result) -> pd.Series:
    """Return the expected log predictive density of each row left out, by PSIS.

    `attrs["high_k"]` counts rows with k above 0.7.
    """
    if result.imputations is not None or not result.log_likelihood.data_vars:
        raise InputError(
            "stacking",
            found="a result without pointwise log-likelihood",
            allowed="results of one set of patients, as fitted",
            hint="of imputations: result.of_imputation(1) (docs/decisions.md, 19)",
        )
    from arviz_stats.base.array import array_stats

    elpd_by_row, high = {}, 0
    for name in sorted(map(str, result.log_likelihood.data_vars)):
        terms = result.log_likelihood[name].transpose(..., "chain", "draw").to_numpy()
        elpd, k, _ = array_stats.loo(terms)
        high += int((np.ravel(k) > HIGH_K).sum())
        elpd_by_row |= {f"{name} {row}": float(value) for row, value in enumerate(np.ravel(elpd))}
    values = pd.Series(elpd_by_row, dtype=float)
    values.attrs["high_k"] = high
    return values


def stacked(
    results: Mapping[str, Result], weight: Mapping[str, float], answer: Callable[[Result], xr.DataArray]
) -> xr.DataArray:
    """Mix the models' answers: draws of each in proportion to its weight.

    Parameters
    ----------
    results : mapping of str to Result
        Fits by name.
    weight : mapping of str to float
        A weight for each, such as those of `stacking`; only their proportions count.
    answer : callable
        Asks one result, such as `lambda result: bb.survival(result, [12, 24])`; all must answer with the same labels.

    Returns
    -------
    xarray.DataArray
        The answer (draw, ...), with the coordinate model (draw). It has as many draws as the largest model; a model
        gets its weight's share of them, evenly from all its chains.

    Raises
    ------
    InputError
        Where weights are not one for each result, negative, or all zero.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300, chains=4)
    >>> both = {"one": result, "other": result}
    >>> mixture = bb.stacked(both, {"one": 3, "other": 1}, lambda result: bb.survival(result, [12.0]))
    >>> mixture.sizes["draw"], int((mixture["model"] == "one").sum())
    (800, 600)
    """
    if set(results) != set(weight) or not all(value >= 0 for value in weight.values()) or not sum(weight.values()) > 0:
        raise InputError("weight", found=dict(weight), allowed=f"a weight for each of {', '.join(results)}")
    answers = {name: _flatten_chains(answer(result)) for name, result in results.items() if weight[name] > 0}
    size = max(values.sizes["draw"] for values in answers.values())
    total = sum(weight.values())
    ends = np.rint(np.cumsum([weight[name] / total for name in answers]) * size).astype(int)
    parts: list[xr.DataArray] = []
    for (name, values), start, end in zip(answers.items(), [0, *ends[:-1]], ends, strict=True):
        places = np.linspace(0, values.sizes["draw"] - 1, end - start).round().astype(int)
        parts.append(values.isel(draw=places).assign_coords(model=("draw", [name] * len(places))))
    whole: Any = xr.concat(parts, "draw", join="exact")
    return whole


def _flatten_chains(answer: xr.DataArray) -> xr.DataArray:
    """Turn (chain, draw, ...) into (draw, ...), chain after chain."""
    ordered = answer.transpose("chain", "draw", ...)
    coords = {name: values for name, values in ordered.coords.items() if not {"chain", "draw"} & set(values.dims)}
    return xr.DataArray(ordered.to_numpy().reshape(-1, *ordered.shape[2:]), dims=ordered.dims[1:], coords=coords)
