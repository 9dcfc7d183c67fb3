"""Numbers of the tables that contradict each other or common sense, said in the audit: they may be right, so nobody is
stopped.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayes_bm.evidence.tables.frames import records
from bayes_bm.evidence.time_units import DAYS_PER, TIME_COLUMNS
from bayes_bm.spec.document import Spec

LONGEST_FOLLOW_UP = 100.0
"""Years; a longer time is a date, or in another unit than the spec says."""
SHORTEST_TIME = 1 / 1440
"""Days: a minute. A shorter time that is not 0 is a misprint, and its logarithm would weigh on the shape."""
FAR = 20.0
"""Standard deviations of the other patients from their median, beyond which a covariate is in another unit."""
FAR_IN_LOGS = 6.0
"""The same of logarithms, where all values are above 0: skewed ones reach far on their own scale."""
FEW = 5
"""Patients of a covariate below which nothing is said of its spread."""
OFF_MIDDLE = 0.25
"""Share of half the interval by which a ratio may lie off its middle on the log scale, beyond what rounding does."""
ROUNDING = 0.005
"""Half a unit of the second digit, to which ratios and limits are printed."""
OFF_P = 0.75
"""Difference of the standard normal quantiles that p and the interval stand for; rounded p differ by less."""

LARGEST_Z = 3.29
"""Of p = 0.001, which stands for all smaller ones too."""


def odd_numbers(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Return a sentence for each number of the tables as read, times in the spec's unit, that is to be looked at."""
    ratios = _with_interval(tables["hazard_ratios"]) if len(tables["hazard_ratios"]) else None
    return (
        *_long_times(spec, tables),
        *_short_times(spec, tables),
        *_far_covariates(spec, tables),
        *([] if ratios is None else _ratios_off_middle(ratios)),
        *([] if ratios is None else _p_against_interval(ratios)),
        *(_growing_numbers(tables["registry"]) if len(tables["registry"]) else []),
    )


def _long_times(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> Iterable[str]:
    for kind, table in tables.items():
        for column in TIME_COLUMNS.get(kind, ()):
            times = table[column].to_numpy(dtype=float) if column in table else np.empty(0)
            latest = np.nan if np.isnan(times).all() else np.nanmax(times)
            years = latest * DAYS_PER[spec.time_unit] / DAYS_PER["years"]
            if years > LONGEST_FOLLOW_UP:
                yield (
                    f"{kind}, column {column}: up to {latest:.4g} {spec.time_unit}, which is {years:.0f} years: is it a"
                    " date, or in another time_unit?"
                )


def _short_times(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> Iterable[str]:
    for kind, table in tables.items():
        for column in TIME_COLUMNS.get(kind, ()):
            times = table[column].to_numpy(dtype=float) if column in table else np.empty(0)
            positive = times[times > 0]
            if len(positive) and positive.min() * DAYS_PER[spec.time_unit] < SHORTEST_TIME:
                yield (
                    f"{kind}, column {column}: {positive.min():.4g} {spec.time_unit} is less than a minute: is it"
                    " misprinted? Where it was rounded down, give half the rounding unit."
                )


def _far_covariates(spec: Spec, tables: Mapping[str, pd.DataFrame]) -> Iterable[str]:
    """Patients, or arms by their printed mean, far from all (other) patients: a study in another unit is one."""
    patients, arms = tables["patients"], tables["arms"]
    for name in spec.covariates:
        if name not in patients or patients[name].notna().sum() < FEW:
            continue
        known = patients[name].notna().to_numpy()
        values, studies = patients[name].to_numpy(dtype=float)[known], patients["study"].to_numpy()[known]
        for study in dict.fromkeys(studies):
            own, others = values[studies == study], values[studies != study]
            middle = np.median(own)
            if len(others) >= FEW and _far_away(np.array([middle]), others).any():
                yield _far_text(f"patients, column {name}: the median {middle:g} of study {study}", others)
                continue
            far = _far_away(own, own)
            if len(own) >= FEW and far.any():
                yield _far_text(f"patients, column {name}: {own[far][0]:g} of study {study}", own[~far])
        if f"mean_{name}" in arms:
            means = arms[f"mean_{name}"].to_numpy(dtype=float)
            for row in np.flatnonzero(_far_away(means, values)):
                place = f"arms, column mean_{name}: {means[row]:g} of study {arms['study'].iloc[row]}"
                yield _far_text(place, values)


def _far_away(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which values lie far from the others, on their scale and, where all are above 0, on that of logarithms; a blank
    does not.
    """
    far = np.abs(values - np.median(others)) > FAR * _spread(others)
    if np.all(np.isnan(values) | (values > 0)) and others.min() > 0:
        logs, other_logs = np.log(values), np.log(others)
        far &= np.abs(logs - np.median(other_logs)) > FAR_IN_LOGS * _spread(other_logs)
    return far


def _spread(values: np.ndarray) -> float:
    """The standard deviation of the middle half where it has one, else of all; infinite where all are equal."""
    quarter, three = np.quantile(values, [0.25, 0.75])
    sd = (three - quarter) / (2 * ndtri(0.75)) or (float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
    return float(sd) if sd > 0 else np.inf


def _far_text(place: str, others: np.ndarray) -> str:
    return f"{place} lies far from the other patients ({others.min():g} to {others.max():g}): is it in another unit?"


def _with_interval(ratios: pd.DataFrame) -> pd.DataFrame:
    """Ratios with two limits, their logs, and half the interval's width."""
    whole = ratios[ratios["ci_low"].notna() & ratios["ci_high"].notna()]
    low, high = np.log(whole["ci_low"].astype(float)), np.log(whole["ci_high"].astype(float))
    return whole.assign(log_hr=np.log(whole["hr"].astype(float)), middle=(low + high) / 2, half=(high - low) / 2)


def _ratios_off_middle(whole: pd.DataFrame) -> Iterable[str]:
    """Of ratios with their interval."""
    rounding = ROUNDING * (1 / whole["hr"] + 0.5 / whole["ci_low"] + 0.5 / whole["ci_high"])
    far = (whole["log_hr"] - whole["middle"]).abs() > OFF_MIDDLE * whole["half"] + rounding
    for row in records(whole[far]):
        yield (
            f"{_ratio_text(row)} lies off the middle of its interval ({row['ci_low']:g} to {row['ci_high']:g}, middle"
            f" {np.exp(row['middle']):.3g}): is one of the three misprinted?"
        )


def _p_against_interval(whole: pd.DataFrame) -> Iterable[str]:
    """Of ratios with their interval."""
    whole = whole[whole["p"].notna() & (whole["half"] > 0)]
    level = whole["ci_level"].fillna(0.95).astype(float)
    z = (whole["log_hr"] / whole["half"]).abs() * ndtri(0.5 + level / 2)
    printed = pd.Series(-ndtri(whole["p"].to_numpy(dtype=float) / 2), index=whole.index)
    difference = (z.clip(upper=LARGEST_Z) - printed.clip(upper=LARGEST_Z)).abs()
    for row in records(whole[difference > OFF_P + 0.25 * z]):
        yield (
            f"{_ratio_text(row)} has p = {row['p']:g} beside an interval of {row['ci_low']:g} to"
            f" {row['ci_high']:g}, which stand for different precisions; the interval is used."
        )


def _ratio_text(row: Mapping) -> str:
    return f"hazard_ratios: {row['study']}, {row['treatment']} v {row['reference']}: hr {row['hr']:g}"


def _growing_numbers(registry: pd.DataFrame) -> Iterable[str]:
    ordered = registry.sort_values("start", kind="stable")
    alive = ordered.groupby(["study", "arm", "endpoint"], sort=False)["alive"].shift()
    for index in ordered.index[(ordered["n"] > alive).to_numpy(dtype=bool)]:
        row = ordered.loc[index]
        yield (
            f"registry: {row['study']}, {row['arm']}: {alive[index]:g} are alive at the end of one interval and"
            f" {row['n']:g} at the start of the next ({row['start']:g}): are the numbers of one cohort?"
        )
