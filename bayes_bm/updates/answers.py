"""What a future study is to settle: draws of the main contrasts and of the utility of each treatment."""

from dataclasses import dataclass

import numpy as np

from bayes_bm.estimands.compare import compared_pairs
from bayes_bm.estimands.quantities import rmst
from bayes_bm.estimands.who import AverageStudy, Who
from bayes_bm.inference.result import Result
from bayes_bm.runtime.types import Array
from bayes_bm.spec.effect_measure import measure_of
from bayes_bm.spec.level import USUAL, Level


@dataclass(frozen=True)
class Answers:
    """Hold draws of the log ratio of each treatment to the reference (sample, treatment), negative being better, and
    of the utility of every treatment, the reference first (sample, treatment).
    """

    treatments: tuple[str, ...]
    reference: str
    log_ratio: Array
    utility: Array
    measure: str
    unit: str
    words: str
    level: Level = USUAL

    @property
    def width_now(self) -> Array:
        """Return the width of the interval of each log ratio (treatment,)."""
        low, high = np.quantile(self.log_ratio, self.level.tails, axis=0)
        return high - low


def read_answers(result: Result, who: Who, horizon: float | None = None) -> Answers:
    """Return the ratios of the average study, and the restricted mean to the horizon of whoever is asked about."""
    spec, measure = result.spec, measure_of(result.spec)
    wanted = {
        row["treatment"]: np.log(values)
        for row, values in compared_pairs(result, who=AverageStudy(), times=[spec.reference_time])
        if row["estimand"] == measure.estimand
    }
    sign = -1.0 if measure.longer else 1.0
    means = rmst(result, horizon, who=who)
    words = f"restricted mean survival to {means.attrs['horizon']:g} {spec.time_unit}, {who.name}"
    return Answers(
        treatments=tuple(wanted),
        reference=spec.treatments.reference,
        log_ratio=sign * np.stack(list(wanted.values()), axis=1),
        utility=means.to_numpy().reshape(-1, means.sizes["treatment"]),
        measure=measure.words,
        unit=spec.time_unit,
        words=words,
        level=spec.interval,
    )
