"""Deviance and leverage: where evidence fits badly, and where it decides its own prediction (Spiegelhalter 2002)."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.inference.result import Result
from bayes_bm.model.prognosis import NAME as PROGNOSIS
from bayes_bm.runtime.types import Array

COLUMNS = ("kind", "study", "arm", "rows", "deviance", "leverage")


def deviance(result: Result) -> pd.DataFrame:
    """Return the deviance and leverage of every arm by kind of evidence, and of the ratios of every study.

    The sum of `deviance` is the posterior mean deviance, that of `leverage` the effective number of parameters p_D,
    and DIC is the sum of both. A leverage near the number of free parameters that an arm has to itself says that the
    arm decides its own prediction.

    Parameters
    ----------
    result : Result
        A fit.

    Returns
    -------
    pandas.DataFrame
        Columns kind, study, arm (blank of ratios), `rows` (numbers or patients), `deviance` (posterior mean of -2 log
        likelihood) and `leverage` (that less the deviance at the posterior means of parameters; no unit).

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> table = bb.deviance(prior_result(bb.read_spec("published_os_extent_of_resection"), draws=50))  # or bb.fit(spec)
    >>> list(table)
    ['kind', 'study', 'arm', 'rows', 'deviance', 'leverage']

    References
    ----------
    Spiegelhalter 2002, doi 10.1111/1467-9868.00353; NICE DSU TSD 2 (Dias 2011) draws leverage against deviance.
    """
    means = result.posterior.mean(("chain", "draw")).expand_dims(chain=1, draw=1)
    central = replace(result, posterior=means, stored_log_likelihood=None)
    plugged, tables = central.log_likelihood, list[pd.DataFrame]()
    for name, values in result.log_likelihood.data_vars.items():
        mean = -2 * values.mean(("chain", "draw")).to_numpy()
        fitted = -2 * plugged[name].to_numpy()[0, 0]
        table = _labels(result, str(name), mean).assign(kind=str(name), deviance=mean, leverage=mean - fitted)
        sums = {"rows": ("deviance", "size"), "deviance": ("deviance", "sum"), "leverage": ("leverage", "sum")}
        tables.append(table.groupby(["kind", "study", "arm"], sort=False, as_index=False).agg(**sums))
    whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
    return whole[list(COLUMNS)]


def _labels(result: Result, kind: str, values: Array) -> pd.DataFrame:
    """Study and arm of every row of the log likelihood; rows of very many patients are summed by arm there."""
    evidence, inputs = result.evidence, result.inputs
    if kind == "hazard_ratios":
        return _of_studies(pd.Categorical(evidence.hazard_ratios["study"]).categories)
    if kind == PROGNOSIS and inputs.prognostic_ratios is not None:
        return _of_studies(inputs.prognostic_ratios.groups)
    places = np.asarray(inputs.kinds[kind]["arm_row"], dtype=int)
    if len(places) != len(values):
        places = np.arange(len(values))
    return evidence.arms.iloc[places][["study", "arm"]].reset_index(drop=True)


def _of_studies(names: Any) -> pd.DataFrame:
    return pd.DataFrame({"study": list(names), "arm": ""})
