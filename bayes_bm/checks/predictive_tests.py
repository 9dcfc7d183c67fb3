"""Every arm and every printed number is checked against replicates, with one control of false alarms over all of them.

An arm with patients is replicated with its own censoring, entry and numbers at risk (`replicates`); a printed number is
drawn again from its own likelihood. Each statistic is put on a scale on which its spread is about even (square roots of
counts, logarithms of times), and standardised by its replicates. The largest over all statistics of a replicate gives
the distribution of the largest of what was seen (Westfall and Young's single step, 1993), whatever depends on what.

Posterior predictive p values use the data twice and are conservative: too rarely small, never too often.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from bayes_bm.checks.pareto_smoothing import pareto_smoothed
from bayes_bm.checks.replicates import ReplicatedArm, replicated_arms
from bayes_bm.hazards.family import eta_at as placed_at
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY
from bayes_bm.inference.result import Result
from bayes_bm.model.likelihoods import cum_hazard_from
from bayes_bm.model.likelihoods import entry as entry_of
from bayes_bm.model.observations import KINDS, active_terms
from bayes_bm.runtime.random_stages import RandomStage, random_stream
from bayes_bm.runtime.types import Array
from bayes_bm.spec.level import Level

REPLICATES = 4000
"""Replicate worlds; the smallest p is 1 / (REPLICATES + 1)."""
CHECK_TIMES = (0.25, 0.5, 1.0, 2.0)
"""In reference times."""
COLUMNS = (
    "group",
    "study",
    "arm",
    "treatment",
    "statistic",
    "time",
    "observed",
    "low",
    "median",
    "high",
    "p",
    "p_family",
)
"""Columns of `predictive_checks`."""


def predictive_checks(result: Result, *, replicates: int = REPLICATES) -> pd.DataFrame:
    """Return one row a statistic of an arm or a printed number: what was observed, the interval of its replicates, p.

    group is `patients`, or the kind of printed evidence; p is two-sided (of gaps one-sided), p_family the share of
    replicate worlds in which any statistic of the same group of checks (patients, or printed numbers) is as far out.
    """
    rng = random_stream(result.spec.seed, RandomStage.PREDICTIVE_TESTS)
    parts = [list(_patient_statistics(result, rng, replicates)), list(_printed_statistics(result, rng, replicates))]
    rows = [row for part in parts for row in _with_p_values(part, result.spec.interval)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _with_p_values(statistics: list[dict[str, Any]], level: Level) -> list[dict[str, Any]]:
    """Return rows with their p values; `scale` makes a statistic's spread even, and is left out of the table."""
    if not statistics:
        return []
    distance, largest = [], 0.0
    for row in statistics:
        seen = row["scale"](row["observed"])
        replicates = _finite(row["scale"](row["replicate"]), seen)
        centre, sd = replicates.mean(), max(replicates.std(), 1e-9)
        z, replicate = (seen - centre) / sd, (replicates - centre) / sd
        if not row["one_sided"]:
            z, replicate = abs(z), np.abs(replicate)
        distance.append((float(z), replicate))
        largest = np.maximum(largest, replicate)
    count = len(statistics[0]["replicate"])
    return [_statistic_row(row, z, largest, count, level) for row, (z, _) in zip(statistics, distance, strict=True)]


def _finite(replicates: Array, seen: float) -> Array:
    """Put medians of replicates that are never reached (a cured half) one spread beyond the latest that is."""
    if np.isfinite(replicates).all():
        return replicates
    finite = replicates[np.isfinite(replicates)]
    spread = finite.std() if len(finite) else 0.0
    return np.where(np.isfinite(replicates), replicates, finite.max(initial=seen) + spread + 1e-9)


def _statistic_row(row: dict[str, Any], z: float, largest: Any, count: int, level: Level) -> dict[str, Any]:
    replicates, seen = row["replicate"], row["observed"]
    low, median, high = np.quantile(replicates, level.quantiles, method="inverted_cdf")
    sides = (replicates >= seen, replicates <= seen)
    upper_tail, lower_tail = (float(np.sum(side) + 1) / (count + 1) for side in sides)
    p = upper_tail if row["one_sided"] else min(1.0, 2 * min(upper_tail, lower_tail))
    family = float((np.sum(largest >= z - 1e-12) + 1) / (count + 1))
    kept = {name: row[name] for name in ("group", "study", "arm", "treatment", "statistic", "time", "observed")}
    return {**kept, "low": float(low), "median": float(median), "high": float(high), "p": p, "p_family": family}


# ---------------------------------------------------------------------------------------------- patients


def _patient_statistics(result: Result, rng: np.random.Generator, replicates: int) -> Iterator[dict[str, Any]]:
    for arm in replicated_arms(result, rng, replicates=replicates):
        named = _arm_identifiers(result, arm.arm_row) | {"group": "patients"}
        shift = float(result.evidence.arms["shift"].iloc[arm.arm_row])
        for statistic in _arm_statistics(result, arm):
            yield {
                **named,
                "statistic": statistic.name,
                "time": np.nan if statistic.time is None else statistic.time - shift,
                "observed": statistic.observed,
                "replicate": statistic.replicate,
                "scale": statistic.scale,
                "one_sided": statistic.name == "largest gap",
            }


class _Statistic(NamedTuple):
    """Hold a statistic of an arm: what was seen, its replicates (replicate,), the scale on which its spread is even."""

    name: str
    time: float | None
    observed: float
    replicate: Array
    scale: Any


def _arm_statistics(result: Result, arm: ReplicatedArm) -> Iterator[_Statistic]:
    """Give events by and at risk at each time within follow-up, the median where it is reached, the largest gap."""
    for share in CHECK_TIMES:
        time = share * result.spec.reference_time
        if arm.entry < time <= arm.observed.follow_up:
            seen, replicate = arm.seen.events_by(time), arm.replicate.events_by(time)
            yield _Statistic("events", time, float(seen[0]), replicate, _root_scale)
            seen, replicate = arm.seen.at_risk(time), arm.replicate.at_risk(time)
            yield _Statistic("at risk", time, float(seen[0]), replicate, _root_scale)
    unreached = 2 * arm.observed.follow_up
    median = float(arm.seen.median(unreached=unreached)[0])
    if median < unreached:
        yield _Statistic("median", None, median, arm.replicate.median(unreached=unreached), np.log)
    if arm.gap is not None:
        yield _Statistic("largest gap", None, float(np.median(arm.gap[0])), arm.gap[1], _identity_scale)


def _root_scale(count: Any) -> Any:
    """Take Anscombe's root: a Poisson count gets a spread of about 1."""
    return 2 * np.sqrt(np.maximum(np.asarray(count, dtype=float), 0) + 0.375)


def _identity_scale(value: Any) -> Any:
    return np.asarray(value, dtype=float)


def _angle_scale(share: Any) -> Any:
    """Take arcsin sqrt: a binomial share gets a spread that does not depend on it."""
    return np.arcsin(np.sqrt(np.clip(share, 0, 1)))


def _arm_identifiers(result: Result, arm_row: int) -> dict[str, Any]:
    """Return study, arm and treatment of an arm row."""
    arm = result.evidence.arms.iloc[arm_row]
    return {name: arm[name] for name in ("study", "arm", "treatment")}


# ---------------------------------------------------------------------------------------------- printed numbers


def _printed_statistics(result: Result, rng: np.random.Generator, replicates: int) -> Iterator[dict[str, Any]]:
    arrays, t0 = result.inputs.kinds, result.spec.reference_time
    family, eta, shape = result.predictors.arms
    chosen = np.arange(replicates) % len(eta)
    scales = {
        "points": _angle_scale,
        "medians": _identity_scale,
        "median_intervals": _identity_scale,
        "counts": _angle_scale,
    }
    for name, scale in scales.items():
        if name not in arrays:
            continue
        data = SimpleNamespace(**arrays[name], **active_terms(arrays[name]))
        rows = data.arm_row
        drawn = KINDS[name].draw(family, data, eta[chosen][:, rows], shape[chosen][:, rows], rng)
        seen = np.asarray(getattr(data, KINDS[name].value), dtype=float)
        if name == "counts":
            drawn, seen = drawn / data.n, seen / data.n
        for index, row in enumerate(rows):
            statistic = _printed_identifiers(name, result, index, t0)
            yield {
                **_arm_identifiers(result, int(row)),
                "group": name.split("_")[0],
                **statistic,
                "observed": float(seen[index]),
                "replicate": drawn[:, index],
                "scale": scale,
                "one_sided": False,
            }
    yield from _ratio_statistics(result, rng, chosen)


def _printed_identifiers(name: str, result: Result, index: int, t0: float) -> dict[str, Any]:
    """Return the words and the time of a printed number."""
    evidence = result.evidence
    if name == "points":
        row = evidence.sequences.iloc[index]
        return {"statistic": "survival since the time before", "time": float(row["time"])}
    if name == "counts":
        return {"statistic": "share with the event", "time": float(evidence.counts["time"].iloc[index])}
    return {"statistic": f"log(median / {t0:g})", "time": np.nan}


def _ratio_statistics(result: Result, rng: np.random.Generator, chosen: Array) -> Iterator[dict[str, Any]]:
    table = result.evidence.hazard_ratios
    if table.empty:
        return
    mean = result.predictors.ratio_means[chosen]
    drawn = mean + rng.standard_normal(mean.shape) @ result.evidence.hr_cholesky.T
    for index, row in enumerate(table.to_dict("records")):
        contrast = f"{row['treatment']} v {row['reference']}"
        named = {"group": "hazard ratios", "study": row["study"], "arm": contrast, "treatment": row["treatment"]}
        yield {
            **named,
            "statistic": "log hazard ratio",
            "time": np.nan,
            "observed": float(row["log_hr"]),
            "replicate": drawn[:, index],
            "scale": _identity_scale,
            "one_sided": False,
        }


# ---------------------------------------------------------------------------------------------- the first event


SILENT = (1 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2)
"""Shares of the reference time until which a study may have had no event: set beforehand, whatever its first event."""


def first_events(result: Result) -> pd.DataFrame:
    """Ask whether nobody died in a study for too long: study, time, expected (events before it), p.

    Given the parameters the chance that n patients see no event until c is exp(-H), H = sum_i H_i(c) - H_i(entry). It
    is averaged over the posterior of everything but that silence: 1 / E[exp(H)] over the whole posterior, by draws with
    weights exp(H), smoothed. This is the Bayes factor of the model against one in which nobody could die until c, so
    that under the model it is below a with a chance of a at most (Markov). p is the smallest over the c of `SILENT`
    that end before the first event, times their number; 1 where there is none. Small where nobody could die at first: a
    guarantee period, entry delayed by a condition to survive. `expected` is the mean of H under the same weights.
    """
    first: dict[str, float] = {}
    used: dict[str, list[Array]] = {}
    log_ends = np.log(SILENT)
    for data, family, eta, shape in _patient_predictors(result):
        study = result.evidence.arms["study"].to_numpy()[data.arm_row]
        dead = data.exact + data.interval > 0
        for name in dict.fromkeys(study):
            study_rows = np.flatnonzero(study == name)
            entered = data.log_entry[study_rows]
            # who enters after the end has run no risk until it: from entry to entry
            ends = np.maximum(np.minimum(data.log_u[study_rows], log_ends[:, None]), entered)
            from_entry = family.place(entered)
            study_eta, study_shape = eta[:, study_rows], shape[:, study_rows]
            silent = [
                cum_hazard_from(family, end, from_entry, study_eta, study_shape, xp=NUMPY) @ data.weight[study_rows]
                for end in map(family.place, ends)
            ]
            used.setdefault(str(name), []).append(np.stack(silent))
            seen = data.log_u[study_rows[dead[study_rows]]]
            first[str(name)] = min(first.get(str(name), np.inf), float(seen.min()) if len(seen) else np.inf)
    rows = [
        {"study": name, **_least_likely_silence(np.sum(parts, axis=0), first[name], result.spec.reference_time)}
        for name, parts in used.items()
    ]
    return pd.DataFrame(rows, columns=["study", "time", "expected", "p"])


def _least_likely_silence(used: Array, first: float, reference_time: float) -> dict[str, float]:
    """Return the least likely silence of one study: accumulated hazard by (time, draw), log of its first event."""
    least_likely = {"time": 0.0, "expected": 0.0, "p": 1.0}
    for share, silent in zip(SILENT, used, strict=True):
        if np.log(share) > first + 1e-12:
            break
        weight = np.exp(pareto_smoothed(silent)[0])
        p = min(1.0, len(SILENT) * float(weight @ np.exp(-silent)))
        if p < least_likely["p"]:
            least_likely = {"time": share * reference_time, "expected": float(weight @ silent), "p": p}
    return least_likely


class _PatientRows(NamedTuple):
    """Hold rows of patients of one kind, their family, eta and shape (sample, patient)."""

    data: Any
    family: Any
    eta: Array
    shape: Array


def _patient_predictors(result: Result) -> Iterator[_PatientRows]:
    """Give the rows of patients by what their covariates are, each with its predictors."""
    arrays = result.inputs.kinds
    for name in ("patients", "patients_averaged", "patients_imputed"):
        if name in arrays:
            data = SimpleNamespace(**arrays[name], **active_terms(arrays[name]))
            family, eta, shape = result.predictors.rows(name, arrays[name])
            yield _PatientRows(data, family, eta, shape)


# ---------------------------------------------------------------------------------------------- PIT


def patient_pit(result: Result) -> pd.DataFrame:
    """Return the randomised probability integral transform of every patient: study, arm, treatment, event, pit.

    F(t) = 1 - S(t) / S(entry), averaged over the posterior, for an event; for one censored at c a uniform draw between
    F(c) and 1: uniform if the model is right, whatever the censoring. An event in (t, u] is a draw between its ends.
    """
    evidence = result.evidence
    rng = random_stream(result.spec.seed, RandomStage.PREDICTIVE_TESTS, 1)
    parts = []
    for data, family, eta, shapes in _patient_predictors(result):
        used = (
            cum_hazard_from(family, placed_at(data, when), entry_of(data), eta, shapes, xp=NUMPY)
            for when in ("log_u", "log_upper")
        )
        seen, upper = (-np.expm1(-cum_hazard).mean(axis=0) for cum_hazard in used)
        end = np.where(data.exact > 0, seen, np.where(data.interval > 0, upper, 1.0))
        arms = evidence.arms.iloc[data.arm_row][["study", "arm", "treatment"]].reset_index(drop=True)
        pit = seen + rng.random(len(seen)) * (end - seen)
        parts.append(arms.assign(event=(data.exact + data.interval > 0).astype(int), pit=pit))
    columns = ["study", "arm", "treatment", "event", "pit"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def pit_groups(pit: pd.DataFrame, *, fewest: int = 10) -> pd.DataFrame:
    """Test uniform PITs by Kolmogorov and Smirnov: of all patients, of each treatment, study and arm."""
    groups = [("all patients", "", pit)] if len(pit) else []
    for grouping, columns in (("treatment", ["treatment"]), ("study", ["study"]), ("arm", ["study", "arm"])):
        groups += [(grouping, ", ".join(map(str, key)), rows) for key, rows in pit.groupby(columns)]
    rows = [
        {
            "group": grouping,
            "name": name,
            "patients": len(patients),
            "mean": float(patients["pit"].mean()),
            "p": float(stats.kstest(patients["pit"], "uniform").pvalue),
        }
        for grouping, name, patients in groups
        if len(patients) >= fewest
    ]
    return pd.DataFrame(rows, columns=["group", "name", "patients", "mean", "p"])
