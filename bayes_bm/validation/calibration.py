"""Calibration of fits over simulated worlds: ranks of the truth, coverage of intervals, and their tests
(docs/decisions.md#20-calibration).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes_bm.estimands.quantities import rmst, survival
from bayes_bm.estimands.who import AverageStudy, NewHospital, NewStudy, Patient, Who
from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Array

BINS = 20
"""Number of bins of 5 ranks in the chi-squared test."""
DRAWS = 99
"""Number of draws among which the truth is ranked: a rank is one of 100 values."""
LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Levels of the central intervals whose coverage is counted."""
REJECT = 0.001
"""p at or below which a coverage is wrong (decision 20)."""
CLOSE = {0.9: (0.87, 0.93)}
"""Decision 20: where a coverage has to lie."""


def parameter_ranks(result: Result, truth: Mapping[str, Any], rng: np.random.Generator) -> dict[str, int]:
    """Rank of every top-level parameter's truth among 99 draws (0 to 99), by label; truth as `simulate` records it."""
    ranks = {}
    for name, value in truth["parameters"].items():
        for label, true in value.items() if isinstance(value, Mapping) else [("", value)]:
            draws = result.posterior[name].to_numpy().reshape(result.predictors.draws.samples, -1)
            names = (
                [str(one) for one in result.posterior[name][result.posterior[name].dims[2]].to_numpy()]
                if label
                else [""]
            )
            parameter_draws = draws[:, names.index(label)]
            ranks[f"{name}[{label}]" if label else name] = rank_of(true, parameter_draws, rng)
    return ranks


def rank_of(true: float, draws: Array, rng: np.random.Generator) -> int:
    """How many of 99 draws, taken at even distances in random phase, are below the truth."""
    start = rng.random() * len(draws) / DRAWS
    chosen = draws[(start + np.arange(DRAWS) * len(draws) / DRAWS).astype(int) % len(draws)]
    return int(np.sum(chosen < true))


def uniformity(ranks: pd.DataFrame) -> pd.DataFrame:
    """Of each column of ranks: worlds, p of chi-squared over 20 bins, p of the largest gap of the ECDF, mean rank."""
    rows = []
    for name in ranks:
        values = ranks[name].dropna().to_numpy(dtype=float)
        counts = np.histogram(values, bins=np.linspace(-0.5, DRAWS + 0.5, BINS + 1))[0]
        chi = float(stats.chisquare(counts).pvalue)
        # ranks spread evenly within their step have the ECDF of a uniform law
        even = (values + (np.argsort(np.argsort(values)) % 97 + 0.5) / 97) / (DRAWS + 1)
        gap = float(stats.kstest(even, "uniform").pvalue)
        rows.append(
            {
                "parameter": name,
                "worlds": len(values),
                "chi_squared_p": chi,
                "ecdf_p": gap,
                "mean": values.mean() / DRAWS,
            }
        )
    return pd.DataFrame(rows)


def rank_gaps(ranks: pd.DataFrame) -> pd.DataFrame:
    """Of each column of ranks its ECDF at `rank` 0 to 98 less that of a uniform law, and the `band` about zero.

    The band holds all of the line of uniform ranks in 95 % of cases, by 2,000 simulated sets of as many worlds: so many
    standard errors of the ECDF at each rank as the largest gap has.
    """
    rank, n = np.arange(DRAWS), len(ranks)
    share = (rank + 1) / (DRAWS + 1)
    spread = np.sqrt(share * (1 - share) / n)
    even = np.random.default_rng(1).integers(0, DRAWS + 1, (2000, n))
    gaps = np.stack([_ecdf(row) - share for row in even])
    band = spread * np.quantile(np.max(np.abs(gaps) / spread, axis=1), 0.95)
    return pd.DataFrame({"rank": rank, "band": band, **{name: _ecdf(ranks[name].to_numpy()) - share for name in ranks}})


def _ecdf(ranks: Array) -> Array:
    """Share of ranks up to 0, 1, ..., 98."""
    return np.cumsum(np.bincount(ranks.astype(int), minlength=DRAWS + 1))[:DRAWS] / len(ranks)


# ---------------------------------------------------------------------------------------------- answers


def answer_draws(result: Result, patient: Mapping[str, float]) -> Iterator[tuple[str, Array]]:
    """Draws of what decision 20 asks for, by name: of each compared treatment and, for survival, of the reference."""
    spec = result.spec
    t0, horizon = spec.reference_time, spec.horizon
    asked: dict[str, Who] = {"new-study": NewStudy(), "new-hospital": NewHospital()}
    if spec.covariates:
        asked["patient"] = Patient(patient, NewStudy())
    for treatment_index, name in enumerate(spec.treatments.compare, start=1):
        yield f"log HR, {name}", result.predictors.draws.log_hr[:, treatment_index]
    for label, who in asked.items():
        alive = survival(result, [t0], who=who)
        for name in spec.treatments.names:
            yield f"S({t0:g}), {label}, {name}", alive.sel(treatment=name).to_numpy().ravel()
    mean = rmst(result, horizon, who=NewStudy())
    difference = mean - mean.sel(treatment=spec.treatments.reference, drop=True)
    for name in spec.treatments.compare:
        yield f"RMST({horizon:g}) difference, new-study, {name}", difference.sel(treatment=name).to_numpy().ravel()


def true_answers(truth: Mapping[str, Any], reference_time: float, horizon: float) -> dict[str, float]:
    """The same by the same names, from the record of a simulated world."""
    who = {"new-study": "new-study", "new-hospital": "new-hospital", "patient on new-study": "patient"}
    answers = {}
    for row in truth["answers"]:
        name, estimand = row["treatment"], row["estimand"]
        if row["who"] == AverageStudy().name and estimand == "log_hazard_ratio":
            answers[f"log HR, {name}"] = row["value"]
        elif row["who"] in who and estimand == "survival" and row["time"] == reference_time:
            answers[f"S({reference_time:g}), {who[row['who']]}, {name}"] = row["value"]
        elif row["who"] == "new-study" and estimand == "rmst_difference" and row["time"] == horizon:
            answers[f"RMST({horizon:g}) difference, new-study, {name}"] = row["value"]
    return answers


def tail_shares(result: Result, truth: Mapping[str, Any], *, draws: int = 600) -> dict[str, float]:
    """Share of draws below the true answer, by name: inside a central interval of level c where within c / 2 of 1/2.

    Of about `draws` draws: an average over studies costs a millisecond each.
    """
    true = true_answers(truth, result.spec.reference_time, result.spec.horizon)
    asked = answer_draws(result.thinned(draws), truth["patient"])
    return {name: float(np.mean(values < true[name])) for name, values in asked}


def coverage(shares: pd.DataFrame) -> pd.DataFrame:
    """Of each column of `tail_shares` and level: worlds, share covered, half the width of its 95 % interval were the
    level right, exact binomial p, whether decision 20 is met.
    """
    rows = []
    for name in shares:
        values = shares[name].dropna().to_numpy(dtype=float)
        for level in LEVELS:
            covered = int(np.sum(np.abs(values - 0.5) <= level / 2))
            p, share = float(stats.binomtest(covered, len(values), level).pvalue), covered / len(values)
            low, high = CLOSE.get(level, (0.0, 1.0))
            met = bool(p > REJECT and low <= share <= high)
            half = float(1.96 * np.sqrt(level * (1 - level) / len(values)))
            summary = {"worlds": len(values), "covered": share, "half": half, "p": p, "met": met}
            rows.append({"answer": name, "level": level, **summary})
    return pd.DataFrame(rows)
