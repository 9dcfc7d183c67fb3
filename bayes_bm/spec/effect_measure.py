"""What a contrast of two treatments is called, and which of its signs is better (docs/decisions.md, 16 and 17).

Proportional-hazards families have hazard ratios, where smaller is better; accelerated-time families have time ratios,
where larger is longer. A table that holds the one never carries the other's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec


@dataclass(frozen=True)
class Measure:
    """Names of a ratio between two treatments.

    effect   the parameter, and what is ranked: log_hr, log_time_ratio
    column   of contrast tables, with `_low` and `_high` beside it: hr, time_ratio
    words    hazard ratio, time ratio; `qualifier` says what it is a ratio of, where the model has several
    longer   whether above 1 is better
    """

    effect: str
    column: str
    estimand: str
    words: str
    better: str
    longer: bool
    qualifier: str = ""

    @property
    def name(self) -> str:
        """`hazard ratio at 12 months`."""
        return f"{self.words} {self.qualifier}".strip()

    def prob_better(self, log_ratio: np.ndarray) -> float:
        """Share of draws (of the log) on the better side (decision 16)."""
        return float(np.mean(log_ratio > 0 if self.longer else log_ratio < 0))


HAZARD = Measure("log_hr", "hr", "hazard_ratio", "hazard ratio", "P(HR < 1)", longer=False)
TIME = Measure("log_time_ratio", "time_ratio", "time_ratio", "time ratio", "P(time ratio > 1)", longer=True)
NO_ONE_NUMBER = "priors.treatment_log_shape, contrasts"
"""Where the refusal of `contrast_measure` points."""
LOCATIONS = {
    "lognormal": "of the medians",
    "loglogistic": "of the medians",
    "gamma": "of the means",
    "weibull_aft": "of the times by which 63 % had the event",
}
"""What a difference of the location compares where treatments differ in shape too."""


def measure_of(spec: Spec) -> Measure:
    """The ratio that the spec's family knows."""
    return TIME if spec.hazard.treatment_effect == TIME.effect else HAZARD


def contrast_measure(spec: Spec) -> Measure:
    """The ratio that one number can hold, for tables of where a contrast comes from.

    With a cured share it is the uncured's. Where treatments differ in shape, a Weibull's is the hazard ratio at the
    reference time, which needs no level, and a ratio of locations where the location is a time with a name. Raises
    `InputError` where neither exists.
    """
    measure = measure_of(spec)
    uncured = "of the uncured" if spec.hazard.cure else ""
    if spec.priors.treatment_log_shape is None:
        return replace(measure, qualifier=uncured)
    family = spec.hazard.family
    qualifiers = {**LOCATIONS, "weibull": f"at {spec.reference_time:g} {spec.time_unit}"}
    if family not in qualifiers:
        raise InputError(
            NO_ONE_NUMBER,
            found=f"hazard.family = {family}, whose ratio changes with time and with the study's own shape",
            allowed=f"{', '.join(qualifiers)}, or no treatment_log_shape",
            hint="where a contrast comes from is one number only there; compare answers at any time",
        )
    return replace(measure, qualifier=", ".join(filter(None, [uncured, qualifiers[family]])))


def ratio_of(row: Mapping[Any, Any]) -> tuple[float, float, float]:
    """Median and interval of the ratio in a row of a contrast table, whichever it holds."""
    column = next(measure.column for measure in (TIME, HAZARD) if measure.column in row)
    return row[column], row[f"{column}_low"], row[f"{column}_high"]
