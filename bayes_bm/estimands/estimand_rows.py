"""Rows of absolute answers (survival, median, restricted mean) for the tables of compare and predict."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bayes_bm.estimands import quadrature
from bayes_bm.estimands.labels import AnswerFlags
from bayes_bm.estimands.quadrature import Population
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array, Row

ESTIMANDS = ("survival", "median", "rmst")
"""What is answered unless asked otherwise; also `hazard` and `quantile:0.25` (any share that had the event)."""


@dataclass(frozen=True)
class Query:
    """What is asked of whoever it is."""

    times: list[float]
    horizon: float
    alive_at: float
    estimands: Sequence[str] = ESTIMANDS

    def answer(self, population: Population) -> dict[tuple[str, float | None], Array]:
        """Draws of each estimand (sample, treatment) by (name, time)."""
        answers: dict[tuple[str, float | None], Array] = {}
        time_array, entry_time = np.array(self.times), self.alive_at
        for estimand in self.estimands:
            if estimand in ("survival", "hazard"):
                living = estimand == "survival"
                values = (
                    quadrature.survival(population, time_array, alive_at=entry_time)
                    if living
                    else quadrature.hazard(population, time_array)
                )
                answers |= {(estimand, time): values[..., place] for place, time in enumerate(self.times)}
            elif estimand == "rmst":
                answers[estimand, self.horizon] = quadrature.rmst(population, self.horizon, alive_at=entry_time)
            else:
                q = 0.5 if estimand == "median" else _quantile_share(estimand)
                answers[estimand, None] = quadrature.quantile(population, q, alive_at=entry_time)
        return answers


def absolute_rows(
    names: Sequence[str], labels: "AnswerFlags", reference: str, answers: Mapping[tuple[str, float | None], Array]
) -> Iterator[tuple[Row, Array]]:
    """Each estimand (sample, treatment) of every treatment `names`, and its difference from the reference."""
    for (estimand, time), values in answers.items():
        # one after the other in memory, as sums over draws depend on it
        by_treatment = dict(zip(names, np.ascontiguousarray(values.T), strict=True))
        reach = {name: float(np.median(draws)) if time is None else time for name, draws in by_treatment.items()}
        for treatment, draws in by_treatment.items():
            one = {"estimand": estimand, "treatment": treatment, "reference": None, "time": time, "prob_better": None}
            yield {**one, "label": labels.absolute(treatment, reach[treatment])}, draws
            # of hazards a ratio is asked for, not a difference
            if treatment == reference or estimand == "hazard":
                continue
            with np.errstate(invalid="ignore"):
                difference = draws - by_treatment[reference]
            label = labels.contrast((treatment, reach[treatment]), (reference, reach[reference]))
            named = {"reference": reference, "prob_better": float(np.mean(difference > 0)), "label": label}
            yield {**one, **named, "estimand": f"{estimand}_difference"}, difference


def _quantile_share(estimand: str) -> float:
    """The q of `quantile:q`."""
    name, _, share = estimand.partition(":")
    try:
        q = float(share)
    except ValueError:
        q = float("nan")
    if name != "quantile" or not 0 < q < 1:
        allowed = f"{', '.join(ESTIMANDS)}, hazard, quantile:0.25 (a share between 0 and 1)"
        raise InputError("estimands", found=estimand, allowed=allowed)
    return q
