"""Ranks of treatments with their uncertainty: the probability of every rank, not one number.

Rank 1 is the lowest hazard (of accelerated-time families the longest time), the longest restricted mean or the highest
survival. A rank says nothing of how far apart treatments are, so each stands beside the quantity that was ranked.
Nothing is recommended.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr

from bayes_bm.estimands.labels import AnswerFlags
from bayes_bm.estimands.quantities import hazard_ratio, rmst, survival, time_ratio
from bayes_bm.estimands.who import AverageStudy, Who, as_who
from bayes_bm.evidence.audit import NO_SIDE_BY_SIDE
from bayes_bm.evidence.network import side_by_side
from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.effect_measure import measure_of
from bayes_bm.spec.level import Level

Estimand = Literal["log_hr", "log_time_ratio", "rmst", "survival"]
WARNING = (
    "SUCRA is the mean rank on a scale from 0 (always last) to 1 (always first). It hides how large the differences are"
    " and how uncertain: treatments that hardly differ, or that no data inform, get ranks all the same. Read it beside"
    " the probabilities of all ranks and the estimates; it is no recommendation."
)
FIRST = {
    "log_hr": "lowest hazard",
    "log_time_ratio": "longest time",
    "rmst": "longest restricted mean",
    "survival": "highest survival",
}
RATIOS = ("log_hr", "log_time_ratio")


@dataclass(frozen=True)
class Ranking:
    """Hold the ranks of every treatment over the posterior.

    Attributes
    ----------
    estimand : str
        What is ranked: `log_hr`, `log_time_ratio`, `rmst` or `survival`.
    who : str
        Who is asked about, by name.
    time : float or None
        Time or horizon that the ranks speak about, in the spec's unit; None of time ratios.
    first : str
        What rank 1 means.
    probabilities : pandas.DataFrame
        Columns treatment, rank, probability, cumulative: P(rank = r) and P(rank <= r).
    table : pandas.DataFrame
        Columns treatment, the estimate ranked (median, q2_5, q97_5; of a ratio against the reference), mean_rank,
        median_rank, rank_q2_5, rank_q97_5, sucra, label.
    warning : str
        What a rank hides.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> ranking = bb.rank(prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200))
    >>> ranking.estimand, ranking.who, ranking.probabilities["rank"].max().item()
    ('log_hr', 'average-study', 2)
    """

    estimand: Estimand
    who: str
    time: float | None
    first: str
    probabilities: pd.DataFrame
    table: pd.DataFrame
    warning: str = WARNING


def rank(
    result: Result,
    estimand: Estimand | None = None,
    *,
    who: Who | str | None = None,
    time: float | None = None,
    horizon: float | None = None,
    classes: bool = False,
) -> Ranking:
    """Return the probability of each rank for each treatment, by the draws of one estimand.

    Tied treatments share their ranks evenly, so that the order in which treatments are named changes nothing.

    Parameters
    ----------
    result : Result
        A fit, whose spec gives the time unit and the treatments.
    estimand : {"log_hr", "log_time_ratio", "rmst", "survival"}, optional
        `log_hr` against the reference, or for accelerated-time families `log_time_ratio`, where larger is longer: by
        default whichever the family has (docs/decisions.md#17-prior-only).
    who : AverageStudy, NewStudy, NewHospital, Study, Patient, or the name of one, optional
        Who is asked about; by default `AverageStudy()`.
    time : float, optional
        Time of `survival`, and of `log_hr` where hazards are not proportional, in the spec's unit; by default its
        reference time.
    horizon : float, optional
        Where `rmst` is cut; by default the spec's horizon.
    classes : bool
        Rank the effects of classes of treatments, each treatment outside a class beside them.

    Returns
    -------
    Ranking
        Probabilities of all ranks, and a table with the estimate ranked.

    Raises
    ------
    InputError
        For an estimand that the family does not have, or a time that is not above 0.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> from bayes_bm.inference.prior_result import prior_result
    >>> result = prior_result(bb.read_spec("published_os_extent_of_resection"), draws=200)  # or bb.fit(spec)
    >>> ranking = bb.rank(result)
    >>> ranking.first, ranking.table["treatment"].tolist()
    ('lowest hazard', ['str', 'gtr'])
    >>> float(ranking.probabilities.groupby("treatment")["probability"].sum().round(9).iloc[0])
    1.0

    Notes
    -----
    SUCRA is (T - mean rank) / (T - 1) of T treatments (Salanti et al. 2011).
    """
    ranked = _checked_estimand(result, estimand)
    if classes:
        return _ranked_classes(result, ranked, asked=(who, time, horizon))
    who, names = as_who(who, AverageStudy()), list(result.spec.treatments.names)
    values, ranked_time = _ranked_draws(result, ranked, who, time, horizon)
    draws = values.transpose("treatment", ...).sel(treatment=names).to_numpy().reshape(len(names), -1).T
    labels = _treatment_labels(result, None if ranked in RATIOS else ranked_time)
    return _ranking(result, ranked, who.name, ranked_time, names, draws, labels)


def _ranked_classes(result: Result, ranked: Any, *, asked: tuple[Any, ...]) -> Ranking:
    """Ranks of what classes do on average, and of treatments in none; ratios alone, for a class has no patients."""
    spec, given = result.spec, [value for value in asked if value is not None]
    if not spec.treatments.classes:
        raise InputError("classes", found="a spec without [treatments.classes]", allowed="ranks of treatments")
    if ranked not in RATIOS or given or (ranked == "log_hr" and not spec.proportional):
        raise InputError(
            "classes",
            found=f"{ranked}, or who, time or horizon, or hazards that are not proportional",
            allowed="ratios that hold at every time: of the effects of classes",
        )
    own = [name for name in spec.treatments.names if all(name not in one.members for one in _classes(result))]
    names, draws = [*spec.treatments.classes, *own], result.predictors.draws
    effects = result.posterior[f"class_{ranked}"].to_numpy().reshape(draws.samples, -1)
    places = [spec.treatments.names.index(name) for name in own]
    together = np.concatenate([effects, draws.log_hr[:, places]], axis=1)
    return _ranking(result, ranked, AverageStudy().name, None, names, together, dict.fromkeys(names, ""))


def _classes(result: Result) -> list[Any]:
    return list(result.spec.treatments.classes.values())


def _ranking(
    result: Result,
    ranked: Any,
    who: str,
    ranked_time: float | None,
    names: list[str],
    draws: np.ndarray,
    labels: dict[str, str],
) -> Ranking:
    """The ranks of some draws (sample, treatment)."""
    ahead, tied = standings(draws if ranked == "log_hr" else -draws)
    probabilities = rank_probabilities(ahead, tied)
    rows = [
        _ranking_row(result.spec.interval, name, draws[:, row], ahead[:, row] + (tied[:, row] + 1) / 2, labels[name])
        for row, name in enumerate(names)
    ]
    return Ranking(
        estimand=ranked,
        who=who,
        time=ranked_time,
        first=FIRST[ranked],
        probabilities=_probability_table(names, probabilities),
        table=pd.DataFrame(rows).assign(sucra=sucra(probabilities)),
    )


def _checked_estimand(result: Result, estimand: str | None) -> Any:
    """The estimand asked for; the ratio of the other kind of family is refused."""
    measure = measure_of(result.spec).effect
    allowed = [name for name in get_args(Estimand) if name == measure or name not in RATIOS]
    if estimand is not None and estimand not in allowed:
        family = result.spec.hazard.family
        hint = f"the effects of {family} are {measure} (docs/decisions.md, 17)" if estimand in RATIOS else ""
        raise InputError("estimand", found=estimand, allowed=", ".join(allowed), hint=hint)
    return estimand or measure


def _ranked_draws(
    result: Result, estimand: str, who: Who, time: float | None, horizon: float | None
) -> tuple[xr.DataArray, float | None]:
    """Draws of what is ranked and the time it speaks about."""
    if estimand == "rmst":
        end_time = float(result.spec.horizon if horizon is None else horizon)
        return rmst(result, end_time, who=who), end_time
    if estimand == "log_time_ratio":
        ratios = time_ratio(result, who=who)
        return ratios.copy(data=np.log(ratios.to_numpy())), None
    ranked_time = float(result.spec.reference_time if time is None else time)
    if estimand == "survival":
        return survival(result, [ranked_time], who=who).isel(time=0, drop=True), ranked_time
    ratios = hazard_ratio(result, [ranked_time], who=who).isel(time=0, drop=True)
    return ratios.copy(data=np.log(ratios.to_numpy())), ranked_time


def standings(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By draw and treatment (sample, treatment): how many are strictly lower, and how many equal, itself included."""
    one, other = values[:, :, None], values[:, None, :]
    return (other < one).sum(axis=2), (other == one).sum(axis=2)


def rank_probabilities(ahead: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """P(rank = r) (treatment, rank); ties share the ranks that they fill."""
    ranks = np.arange(ahead.shape[1])
    occupied = (ranks >= ahead[..., None]) & (ranks < (ahead + tied)[..., None])
    return (occupied / tied[..., None]).mean(axis=0)


def sucra(probabilities: np.ndarray) -> np.ndarray:
    """Mean over ranks 1 to T - 1 of P(rank <= r) = (T - mean rank) / (T - 1) (Salanti et al. 2011)."""
    return probabilities.cumsum(axis=1)[:, :-1].mean(axis=1)


def _ranking_row(level: Level, name: str, values: np.ndarray, ranks: np.ndarray, label: str) -> dict[str, Any]:
    low, middle, high = np.quantile(values, level.quantiles)
    first, median, last = np.quantile(ranks, level.quantiles)
    low_name, high_name = level.names
    return {
        "treatment": name,
        "median": float(middle),
        low_name: float(low),
        high_name: float(high),
        "mean_rank": float(ranks.mean()),
        "median_rank": float(median),
        f"rank_{low_name}": float(first),
        f"rank_{high_name}": float(last),
        "label": label,
    }


def _treatment_labels(result: Result, time: float | None) -> dict[str, str]:
    """Marks on what was ranked: extrapolated, prior only, and where only studies apart say anything."""
    spec, marks = result.spec, AnswerFlags(result)
    compared = {name for pair in side_by_side(spec, result.evidence) for name in pair}
    apart_marks = {name: [] if name in compared else [NO_SIDE_BY_SIDE] for name in spec.treatments.names}
    return {
        name: "; ".join([*filter(None, [marks.absolute(name, time)]), *apart_marks[name]])
        for name in spec.treatments.names
    }


def _probability_table(names: list[str], probabilities: np.ndarray) -> pd.DataFrame:
    count = len(names)
    return pd.DataFrame(
        {
            "treatment": np.repeat(names, count),
            "rank": np.tile(np.arange(1, count + 1), count),
            "probability": probabilities.ravel(),
            "cumulative": probabilities.cumsum(axis=1).ravel(),
        }
    )
