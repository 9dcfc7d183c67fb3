"""`[bias.*]`: named terms for single-arm studies, clocks and more."""

from collections.abc import Iterable

from pydantic import (
    model_validator,
)

from bayes_bm.spec.priors import Positive, Prior
from bayes_bm.spec.record import Choice, Record, Share, Text

LINEAR_BIASES = ("single_arm", "small_study", "year", "mixed_population", "lesions")
CLOCK_BIASES = {"immortal_time": "survived_to", "clock_shift": "clock_shift"}
"""Biases of an arm's clock, and the column of the arms table that says them where they are known."""


class Bias(Record):
    """One bias by its name: of a stated size, or with a prior (`evidence/biases.py`, docs/method.md).

    `treatments` are those whose arms it acts on, `acts_on` the studies or arms; `centre` is the year, or share, of the
    study that answers are for. A prior on a time of the clock is in the spec's time unit.
    """

    prior: Prior | None = None
    value: Share | None = None
    treatments: tuple[str, ...] | None = None
    acts_on: tuple[Choice, ...] = ()
    centre: float | None = None

    @model_validator(mode="after")
    def _one_size(self) -> "Bias":
        if (self.prior is None) == (self.value is None):
            given = "neither" if self.prior is None else "both"
            raise ValueError(f"found {given}; give exactly one of prior (unknown size) and value (fixed)")
        return self


class StudyCovariate(Bias):
    """A covariate of studies: how log hazards, or those of some treatments, change with a column of the arms table.

    Answers are for a study at `centre`. With `treatments` it changes what these do against the others.
    """

    column: Text
    scale: Positive = 1.0

    @model_validator(mode="after")
    def _centred(self) -> "StudyCovariate":
        if self.centre is None:
            raise ValueError("centre: this key is required: the value of the study that answers are for")
        return self


class Biases(Record):
    """Each is off where it is left out. Some are terms of the linear predictor, some move an arm's clock."""

    single_arm: Bias | None = None
    small_study: Bias | None = None
    year: Bias | None = None
    mixed_population: Bias | None = None
    lesions: Bias | None = None
    immortal_time: Bias | None = None
    clock_shift: Bias | None = None

    def named(self, names: Iterable[str]) -> dict[str, Bias]:
        """Return the biases of these names that are on."""
        return {name: term for name in names if (term := getattr(self, name)) is not None}
