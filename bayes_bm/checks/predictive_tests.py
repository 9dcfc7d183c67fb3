"""Posterior predictive checks of every arm and every printed number, with one control of false alarms over all of them.

An arm with patients is replicated with its own censoring, entry and numbers at risk (`predictive`); a printed number is
drawn again from its own likelihood. Each statistic is put on a scale on which its spread is about even (square roots of
counts, logarithms of times), and standardised by its replicates. The largest over all statistics of a replicate gives
the law of the largest of what was seen (Westfall and Young's single step, 1993), whatever depends on what.

Posterior predictive p values use the data twice and are conservative: too rarely small, never too often.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

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

REPLICATES = 4000
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


def predictive_checks(result: Result, *, replicates: int = REPLICATES) -> pd.DataFrame:
    """One row a statistic of an arm or a printed number: what was observed, the middle 95 % of its replicates, p.

    group is `patients`, or the kind of printed evidence; p is two-sided (of gaps one-sided), p_family the share of
    replicate worlds in which any statistic of the same group of checks (patients, or printed numbers) is as far out.
    """
    rng = random_stream(result.spec.seed, RandomStage.PREDICTIVE_TESTS)
    parts = [list(_of_patients(result, rng, replicates)), list(_of_printed(result, rng, replicates))]
    rows = [row for part in parts for row in _judged(part)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _judged(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with their p values; `scale` makes a statistic's spread even, and is left out of the table."""
    if not found:
        return []
    distance, largest = [], 0.0
    for row in found:
        seen = row["scale"](row["observed"])
        again = _finite(row["scale"](row["replicate"]), seen)
        centre, sd = again.mean(), max(again.std(), 1e-9)
        z, replicate = (seen - centre) / sd, (again - centre) / sd
        if not row["one_sided"]:
            z, replicate = abs(z), np.abs(replicate)
        distance.append((float(z), replicate))
        largest = np.maximum(largest, replicate)
    count = len(found[0]["replicate"])
    return [_row(row, z, largest, count) for row, (z, _) in zip(found, distance, strict=True)]


def _finite(again: Array, seen: float) -> Array:
    """Replicates with medians that are never reached (a cured half) one spread beyond the latest that is."""
    if np.isfinite(again).all():
        return again
    known = again[np.isfinite(again)]
    return np.where(np.isfinite(again), again, known.max(initial=seen) + (known.std() if len(known) else 0.0) + 1e-9)


def _row(row: dict[str, Any], z: float, largest: Any, count: int) -> dict[str, Any]:
    again, seen = row["replicate"], row["observed"]
    low, median, high = np.quantile(again, [0.025, 0.5, 0.975], method="inverted_cdf")
    above, below = (float(np.sum(side) + 1) / (count + 1) for side in (again >= seen, again <= seen))
    p = above if row["one_sided"] else min(1.0, 2 * min(above, below))
    family = float((np.sum(largest >= z - 1e-12) + 1) / (count + 1))
    kept = {name: row[name] for name in ("group", "study", "arm", "treatment", "statistic", "time", "observed")}
    return {**kept, "low": float(low), "median": float(median), "high": float(high), "p": p, "p_family": family}


# ---------------------------------------------------------------------------------------------- patients


def _of_patients(result: Result, rng: np.random.Generator, replicates: int) -> Iterator[dict[str, Any]]:
    for arm in replicated_arms(result, rng, replicates=replicates):
        named = _named(result, arm.arm_row) | {"group": "patients"}
        shift = float(result.evidence.arms["shift"].iloc[arm.arm_row])
        for statistic, time, observed, again, scale in _statistics(result, arm):
            one_sided = statistic == "largest gap"
            when = np.nan if time is None else time - shift
            yield {
                **named,
                "statistic": statistic,
                "time": when,
                "observed": observed,
                "replicate": again,
                "scale": scale,
                "one_sided": one_sided,
            }


def _statistics(result: Result, arm: ReplicatedArm) -> Iterator[tuple[str, float | None, float, Array, Any]]:
    """Events by and at risk at each time within follow-up, the median where it is reached, the largest gap."""
    for at in CHECK_TIMES:
        time = at * result.spec.reference_time
        if arm.entry < time <= arm.observed.follow_up:
            yield "events", time, float(arm.seen.events_by(time)[0]), arm.replicate.events_by(time), _root
            yield "at risk", time, float(arm.seen.at_risk(time)[0]), arm.replicate.at_risk(time), _root
    beyond = 2 * arm.observed.follow_up
    seen = float(arm.seen.median(beyond=beyond)[0])
    if seen < beyond:
        yield "median", None, seen, arm.replicate.median(beyond=beyond), np.log
    if arm.gap is not None:
        yield "largest gap", None, float(np.median(arm.gap[0])), arm.gap[1], _same


def _root(count: Any) -> Any:
    """Anscombe's root: a Poisson count gets a spread of about 1."""
    return 2 * np.sqrt(np.maximum(np.asarray(count, dtype=float), 0) + 0.375)


def _same(value: Any) -> Any:
    return np.asarray(value, dtype=float)


def _angle(share: Any) -> Any:
    """arcsin sqrt: a binomial share gets a spread that does not depend on it."""
    return np.arcsin(np.sqrt(np.clip(share, 0, 1)))


def _named(result: Result, arm_row: int) -> dict[str, Any]:
    arm = result.evidence.arms.iloc[arm_row]
    return {name: arm[name] for name in ("study", "arm", "treatment")}


# ---------------------------------------------------------------------------------------------- printed numbers


def _of_printed(result: Result, rng: np.random.Generator, replicates: int) -> Iterator[dict[str, Any]]:
    arrays, t0 = result.inputs.kinds, result.spec.reference_time
    family, eta, shape = result.predictors.arms
    chosen = np.arange(replicates) % len(eta)
    scales = {"points": _angle, "medians": _same, "median_intervals": _same, "counts": _angle}
    for name, scale in scales.items():
        if name not in arrays:
            continue
        data = SimpleNamespace(**arrays[name], **active_terms(arrays[name]))
        rows = data.arm_row
        drawn = KINDS[name].draw(family, data, eta[chosen][:, rows], shape[chosen][:, rows], rng)
        seen = np.asarray(getattr(data, KINDS[name].value), dtype=float)
        if name == "counts":
            drawn, seen = drawn / data.n, seen / data.n
        for at, row in enumerate(rows):
            told = _told(name, result, at, t0)
            yield {
                **_named(result, int(row)),
                "group": name.split("_")[0],
                **told,
                "observed": float(seen[at]),
                "replicate": drawn[:, at],
                "scale": scale,
                "one_sided": False,
            }
    yield from _of_ratios(result, rng, chosen)


def _told(name: str, result: Result, at: int, t0: float) -> dict[str, Any]:
    evidence = result.evidence
    if name == "points":
        row = evidence.sequences.iloc[at]
        return {"statistic": "survival since the time before", "time": float(row["time"])}
    if name == "counts":
        return {"statistic": "share with the event", "time": float(evidence.counts["time"].iloc[at])}
    return {"statistic": f"log(median / {t0:g})", "time": np.nan}


def _of_ratios(result: Result, rng: np.random.Generator, chosen: Array) -> Iterator[dict[str, Any]]:
    table = result.evidence.hazard_ratios
    if table.empty:
        return
    mean = result.predictors.ratio_means[chosen]
    drawn = mean + rng.standard_normal(mean.shape) @ result.evidence.hr_cholesky.T
    for at, row in enumerate(table.to_dict("records")):
        contrast = f"{row['treatment']} v {row['reference']}"
        named = {"group": "hazard ratios", "study": row["study"], "arm": contrast, "treatment": row["treatment"]}
        yield {
            **named,
            "statistic": "log hazard ratio",
            "time": np.nan,
            "observed": float(row["log_hr"]),
            "replicate": drawn[:, at],
            "scale": _same,
            "one_sided": False,
        }


# ---------------------------------------------------------------------------------------------- the first event


SILENT = (1 / 12, 1 / 6, 1 / 4, 1 / 3, 1 / 2)
"""Shares of the reference time until which a study may have had no event: set beforehand, whatever its first event."""


def first_events(result: Result) -> pd.DataFrame:
    """Did nobody die in a study for too long? study, time, expected (events before it), p.

    Given the parameters the chance that n patients see no event until c is exp(-H), H = sum_i H_i(c) - H_i(entry). It
    is averaged over the posterior of everything but that silence: 1 / E[exp(H)] over the whole posterior, by draws with
    weights exp(H), smoothed. This is the Bayes factor of the model against one in which nobody could die until c, so
    that under the model it is below a with a chance of a at most (Markov). p is the smallest over the c of `SILENT`
    that end before the first event, times their number; 1 where there is none. Small where nobody could die at first: a
    guarantee period, entry delayed by a condition to survive. `expected` is the mean of H under the same weights.
    """
    first: dict[str, float] = {}
    used: dict[str, list[Array]] = {}
    until = np.log(SILENT)
    for _, data, law, eta, shape in _patient_laws(result):
        study = result.evidence.arms["study"].to_numpy()[data.arm_row]
        dead = data.exact + data.interval > 0
        for name in dict.fromkeys(study):
            mine = np.flatnonzero(study == name)
            entered = data.log_entry[mine]
            # who enters after the end has run no risk until it: from entry to entry
            ends = np.maximum(np.minimum(data.log_u[mine], until[:, None]), entered)
            from_entry = law.place(entered)
            silent = [
                cum_hazard_from(law, end, from_entry, eta[:, mine], shape[:, mine], xp=NUMPY) @ data.weight[mine]
                for end in map(law.place, ends)
            ]
            used.setdefault(str(name), []).append(np.stack(silent))
            seen = data.log_u[mine[dead[mine]]]
            first[str(name)] = min(first.get(str(name), np.inf), float(seen.min()) if len(seen) else np.inf)
    rows = [
        {"study": name, **_silence(np.sum(parts, axis=0), first[name], result.spec.reference_time)}
        for name, parts in used.items()
    ]
    return pd.DataFrame(rows, columns=["study", "time", "expected", "p"])


def _silence(used: Array, first: float, reference_time: float) -> dict[str, float]:
    """The least likely silence of one study: accumulated hazard by (time, draw), log of its first event."""
    found = {"time": 0.0, "expected": 0.0, "p": 1.0}
    for share, silent in zip(SILENT, used, strict=True):
        if np.log(share) > first + 1e-12:
            break
        weight = np.exp(pareto_smoothed(silent)[0])
        p = min(1.0, len(SILENT) * float(weight @ np.exp(-silent)))
        if p < found["p"]:
            found = {"time": share * reference_time, "expected": float(weight @ silent), "p": p}
    return found


def _patient_laws(result: Result) -> Iterator[tuple[str, Any, Any, Array, Array]]:
    """Of patients by what is known of their covariates: name, data, family, eta and shape (sample, patient)."""
    arrays = result.inputs.kinds
    for name in ("patients", "patients_averaged", "patients_imputed"):
        if name in arrays:
            data = SimpleNamespace(**arrays[name], **active_terms(arrays[name]))
            law, at, shape = result.predictors.rows(name, arrays[name])
            yield name, data, law, at, shape


# ---------------------------------------------------------------------------------------------- PIT


def patient_pit(result: Result) -> pd.DataFrame:
    """Randomised probability integral transform of every patient: study, arm, treatment, event, pit.

    F(t) = 1 - S(t) / S(entry), averaged over the posterior, for an event; for one censored at c a uniform draw between
    F(c) and 1: uniform if the model is right, whatever the censoring. An event in (t, u] is a draw between its ends.
    """
    evidence = result.evidence
    rng = random_stream(result.spec.seed, RandomStage.PREDICTIVE_TESTS, 1)
    parts = []
    for _, data, law, at, shapes in _patient_laws(result):
        seen, upper = (
            -np.expm1(-cum_hazard_from(law, placed_at(data, when), entry_of(data), at, shapes, xp=NUMPY)).mean(axis=0)
            for when in ("log_u", "log_upper")
        )
        end = np.where(data.exact > 0, seen, np.where(data.interval > 0, upper, 1.0))
        arms = evidence.arms.iloc[data.arm_row][["study", "arm", "treatment"]].reset_index(drop=True)
        pit = seen + rng.random(len(seen)) * (end - seen)
        parts.append(arms.assign(event=(data.exact + data.interval > 0).astype(int), pit=pit))
    columns = ["study", "arm", "treatment", "event", "pit"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def pit_groups(pit: pd.DataFrame, *, fewest: int = 10) -> pd.DataFrame:
    """Kolmogorov and Smirnov's test of uniform PITs: of all patients, of each treatment, study and arm."""
    groups = [("all patients", "", pit)] if len(pit) else []
    for by, columns in (("treatment", ["treatment"]), ("study", ["study"]), ("arm", ["study", "arm"])):
        groups += [(by, ", ".join(map(str, key)), rows) for key, rows in pit.groupby(columns)]
    rows = [
        {
            "group": by,
            "name": name,
            "patients": len(mine),
            "mean": float(mine["pit"].mean()),
            "p": float(stats.kstest(mine["pit"], "uniform").pvalue),
        }
        for by, name, mine in groups
        if len(mine) >= fewest
    ]
    return pd.DataFrame(rows, columns=["group", "name", "patients", "mean", "p"])
