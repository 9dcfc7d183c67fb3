"""Every printed number stands beside what was rebuilt from it and what the fitted model predicts for it.

The predicted interval is of the *printed number*, its sampling error included: a replicate is drawn from the row's own
likelihood at each posterior draw. A row is red where the printed number is further out than one replicate in a
thousand.
"""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from bayes_bm.checks.replicates import replicated_arms
from bayes_bm.evidence.prognostic_ratios import contrast_text
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import Family, nonparametric
from bayes_bm.hazards.family import eta_at as placed_at
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.result import Result
from bayes_bm.model import likelihoods
from bayes_bm.model.observations import KINDS, active_terms
from bayes_bm.model.prognosis import draw_log_ratios
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.spec.level import Level

AMBER = 0.05
"""Two-sided p below which a row is amber."""
RED = 0.001
"""Two-sided p below which a row is red: one replicate in a thousand."""
COLUMNS = [
    *(
        "kind",
        "study",
        "arm",
        "treatment",
        "quantity",
        "time",
        "printed",
        "printed_low",
        "printed_high",
        "reconstructed",
    ),
    *("predicted", "predicted_low", "predicted_high", "p", "status"),
]
"""Columns of `reconcile`."""


def reconcile(result: Result) -> pd.DataFrame:
    """Hold every printed or rebuilt number beside what the fitted model predicts for it.

    The interval and p are of the number *as printed*, its sampling error included: a replicate is drawn from the row's
    own likelihood at each posterior draw.

    Parameters
    ----------
    result : Result
        A fit, of any spec.

    Returns
    -------
    pandas.DataFrame
        One row a number: kind, study, arm, treatment, quantity, time (spec's unit, the paper's clock), printed,
        printed_low, printed_high, reconstructed (of arms with patients, from their own curve), predicted (median),
        predicted_low, predicted_high (the interval of the replicates), p (two-sided) and status: green,
        amber (p < 0.05) or red (p < 0.001).

    Examples
    --------
    >>> import bayes_bm as bb
    >>> result = bb.fit(bb.read_spec("published_os_extent_of_resection"), draws=200, tune=300)
    >>> print(bb.reconcile(result)[["kind", "quantity", "printed", "status"]].to_string(index=False))
             kind     quantity  printed status
          medians       median    23.97  green
          medians       median     7.06  green
    hazard ratios HR gtr v str     0.40  green
    """
    rng = random_stream(result.spec.seed, RandomStage.RECONCILIATION)
    arrays = result.inputs.kinds
    family, eta, shape = result.predictors.arms
    rows = [
        *_patient_rows(result, rng),
        *_point_rows(result, arrays, family, eta, shape, rng),
        *_median_rows(result, arrays, family, eta, shape, rng),
        *_count_rows(result, arrays, family, eta, shape, rng),
        *_registry_rows(result, arrays, family, eta, shape, rng),
        *_ratio_rows(result, rng),
        *_prognostic_rows(result, rng),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def status(p: float) -> str:
    """Return green, amber or red; green where there is no p."""
    if not np.isfinite(p) or p >= AMBER:
        return "green"
    return "amber" if p >= RED else "red"


def _reconciled_row(named: dict, *, observed: float, model: np.ndarray, replicate: np.ndarray, level: Level) -> dict:
    """Return a row: predicted is the model's own quantity, interval and p are of the number as printed."""
    low, high = np.quantile(replicate, level.tails)
    p = two_sided(replicate, observed)
    centre = float(np.median(model))
    return {
        **named,
        "predicted": centre,
        "predicted_low": float(low),
        "predicted_high": float(high),
        "p": p,
        "status": status(p),
    }


def two_sided(replicate: np.ndarray, observed: float) -> float:
    """Return the two-sided posterior predictive p.

    Ties count half, so that a discrete replicate does not look too good.
    """
    if not np.isfinite(observed):
        return float("nan")
    tied = np.isclose(replicate, observed, rtol=1e-9, atol=1e-12)
    lower_tail = np.mean((replicate < observed) & ~tied) + 0.5 * np.mean(tied)
    return float(2 * min(lower_tail, 1 - lower_tail))


def _arm_identifiers(evidence: Evidence, arm_row: int) -> dict:
    """Return study, arm and treatment of an arm row."""
    arm = evidence.arms.iloc[arm_row]
    return {name: arm[name] for name in ("study", "arm", "treatment")}


def _point_rows(
    result: Result, arrays: dict, family: Family, eta: np.ndarray, shape: np.ndarray, rng
) -> Iterator[dict]:
    if "points" not in arrays:
        return
    data, table = SimpleNamespace(**arrays["points"], **active_terms(arrays["points"])), result.evidence.sequences
    arm_eta, arm_shape = eta[:, data.arm_row], shape[:, data.arm_row]
    drop = likelihoods.cum_hazard_from(
        family, placed_at(data, "log_u"), placed_at(data, "log_start"), arm_eta, arm_shape, xp=NUMPY
    )
    drawn = KINDS["points"].draw(family, data, arm_eta, arm_shape, rng)
    for arm_row in sorted(set(table["arm_row"].astype(int))):
        rows = table[table["arm_row"] == arm_row]
        columns = rows.index.to_numpy()
        model, replicate = np.exp(-np.cumsum(drop[:, columns], axis=1)), np.cumprod(drawn[:, columns], axis=1)
        shift = result.evidence.arms["shift"].iloc[arm_row]
        for k, row in enumerate(rows.to_dict("records")):
            time = row["time"] - shift
            quantity = "median (as S = 0.5)" if row["kind"] == "median" else f"S({time:g})"
            printed = {"kind": "points", "quantity": quantity, "time": time, "printed": row["survival"]}
            named = {**_arm_identifiers(result.evidence, arm_row), **printed}
            yield _reconciled_row(
                named,
                observed=row["survival"],
                model=model[:, k],
                replicate=replicate[:, k],
                level=result.spec.interval,
            )


def _median_rows(
    result: Result, arrays: dict, family: Family, eta: np.ndarray, shape: np.ndarray, rng
) -> Iterator[dict]:
    evidence, t0 = result.evidence, result.spec.reference_time
    names = {"order": "medians", "interval": "median_intervals", "not_reached": "medians_not_reached"}
    for median_kind, name in names.items():
        if name not in arrays:
            continue
        data, rows = (
            SimpleNamespace(**arrays[name], **active_terms(arrays[name])),
            evidence.medians[evidence.medians["law"] == median_kind],
        )
        arm_eta, arm_shape = eta[:, data.arm_row], shape[:, data.arm_row]
        log_two = likelihoods.LOG_TWO
        model = (
            np.exp(
                likelihoods.log_median(family, likelihoods.entry(data), arm_eta, arm_shape, log_two=log_two, xp=NUMPY)
            )
            - data.shift
        )
        drawer = KINDS["medians" if median_kind == "not_reached" else name].draw
        drawn = np.exp(drawer(family, data, arm_eta, arm_shape, rng)) - (0 if median_kind == "interval" else data.shift)
        for k, row in enumerate(rows.to_dict("records")):
            reached = median_kind != "not_reached"
            named = {
                **_arm_identifiers(evidence, int(row["arm_row"])),
                "kind": "medians",
                "quantity": "median" if reached else f"median not reached by {row['time']:g}",
                "time": np.nan,
                "printed": row["median"],
                "printed_low": row["ci_low"],
                "printed_high": row["ci_high"],
            }
            replicate = t0 * drawn[:, k]
            median_row = _reconciled_row(
                named, observed=row["median"], model=t0 * model[:, k], replicate=replicate, level=result.spec.interval
            )
            if not reached:
                p = float(np.mean(replicate > row["time"]))
                median_row |= {"p": p, "status": status(2 * p)}
            yield median_row


def _count_rows(
    result: Result, arrays: dict, family: Family, eta: np.ndarray, shape: np.ndarray, rng
) -> Iterator[dict]:
    if "counts" not in arrays:
        return
    data = SimpleNamespace(**arrays["counts"], **active_terms(arrays["counts"]))
    arm_eta, arm_shape = eta[:, data.arm_row], shape[:, data.arm_row]
    used = likelihoods.cum_hazard_from(
        family, placed_at(data, "log_u"), likelihoods.entry(data), arm_eta, arm_shape, xp=NUMPY
    )
    drawn = KINDS["counts"].draw(family, data, arm_eta, arm_shape, rng)
    for k, row in enumerate(result.evidence.counts.to_dict("records")):
        when = f" by {row['time']:g}" if np.isfinite(row["time"]) else ""
        named = {
            **_arm_identifiers(result.evidence, int(row["arm_row"])),
            "kind": "counts",
            "quantity": f"events of {row['n']:g}{when}",
            "time": row["time"],
            "printed": row["events"],
        }
        yield _reconciled_row(
            named,
            observed=row["events"],
            model=-np.expm1(-used[:, k]) * row["n"],
            replicate=drawn[:, k],
            level=result.spec.interval,
        )


def _registry_rows(
    result: Result, arrays: dict, family: Family, eta: np.ndarray, shape: np.ndarray, rng
) -> Iterator[dict]:
    if "registry" not in arrays:
        return
    data = SimpleNamespace(**arrays["registry"], **active_terms(arrays["registry"]))
    arm_eta, arm_shape = eta[:, data.arm_row], shape[:, data.arm_row]
    drop = likelihoods.cum_hazard_from(
        family, placed_at(data, "log_u"), placed_at(data, "log_start"), arm_eta, arm_shape, xp=NUMPY
    )
    drawn = KINDS["registry"].draw(family, data, arm_eta, arm_shape, rng)
    for k, row in enumerate(result.evidence.registry.to_dict("records")):
        shift = result.evidence.arms["shift"].iloc[int(row["arm_row"])]
        start, stop = row["start"] - shift, row["time"] - shift
        named = {
            **_arm_identifiers(result.evidence, int(row["arm_row"])),
            "kind": "registry",
            "quantity": f"alive at {stop:g} of {row['n']:g} at {start:g}",
            "time": stop,
            "printed": row["alive"],
        }
        size = row["n"]
        yield _reconciled_row(
            named,
            observed=row["alive"],
            model=np.exp(-drop[:, k]) * size,
            replicate=drawn[:, k] * size,
            level=result.spec.interval,
        )


def _ratio_rows(result: Result, rng: np.random.Generator) -> Iterator[dict]:
    table = result.evidence.hazard_ratios
    if table.empty:
        return
    mean = result.predictors.ratio_means
    drawn = mean + rng.standard_normal(mean.shape) @ result.evidence.hr_cholesky.T
    for k, row in enumerate(table.to_dict("records")):
        named = _named_ratio("hazard ratios", row, f"{row['treatment']} v {row['reference']}", row["treatment"])
        yield _reconciled_row(
            named,
            observed=row["hr"],
            model=np.exp(mean[:, k]),
            replicate=np.exp(drawn[:, k]),
            level=result.spec.interval,
        )


def _prognostic_rows(result: Result, rng: np.random.Generator) -> Iterator[dict]:
    """Ratios of covariates beside those of a new study, whose own deviation is part of the replicate."""
    rows = result.inputs.prognostic_ratios
    if rows is None:
        return
    mean = result.predictors.prognostic_means
    drawn = draw_log_ratios(rows, mean, result.predictors.draws.prognosis_sd, rng)
    for k, row in enumerate(result.evidence.prognostic_ratios.to_dict("records")):
        named = _named_ratio("prognostic ratios", row, contrast_text(row), treatment="")
        yield _reconciled_row(
            named,
            observed=row["hr"],
            model=np.exp(mean[:, k]),
            replicate=np.exp(drawn[:, k]),
            level=result.spec.interval,
        )


def _named_ratio(kind: str, row: Mapping[Any, Any], contrast: str, treatment: str) -> dict[str, Any]:
    """Return what names a printed ratio, and what is printed of it."""
    return {
        "kind": kind,
        "study": row["study"],
        "arm": contrast,
        "treatment": treatment,
        "quantity": f"HR {contrast}",
        "time": np.nan,
        "printed": row["hr"],
        "printed_low": row["ci_low"],
        "printed_high": row["ci_high"],
    }


# ---------------------------------------------------------------------------------------------- patients


def _patient_rows(result: Result, rng: np.random.Generator) -> Iterator[dict]:
    """Give survival at the reference time and median of each arm's Kaplan-Meier curve, against replicated arms."""
    time = result.spec.reference_time
    for arm in replicated_arms(result, rng):
        printed_time = time - float(result.evidence.arms["shift"].iloc[arm.arm_row])
        named = {**_arm_identifiers(result.evidence, arm.arm_row), "kind": "patients"}
        if time <= arm.observed.follow_up:
            quantity = {"quantity": f"S({printed_time:g})", "time": printed_time}
            seen, model, replicate = (
                float(arm.observed(time)),
                arm.model_survival(time),
                arm.replicate.survival_at(time),
            )
            yield {
                **_reconciled_row(
                    named | quantity, observed=seen, model=model, replicate=replicate, level=result.spec.interval
                ),
                "reconstructed": seen,
            }
        seen = nonparametric.quantile(arm.observed)
        if np.isfinite(seen):
            quantity = {"quantity": "median", "time": np.nan}
            model, replicate = arm.model_median(), arm.replicate.median(unreached=10 * arm.observed.follow_up)
            yield {
                **_reconciled_row(
                    named | quantity, observed=seen, model=model, replicate=replicate, level=result.spec.interval
                ),
                "reconstructed": seen,
            }
