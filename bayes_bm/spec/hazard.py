"""`[hazard]`: family, knots, cure, which effects it takes."""

from itertools import pairwise
from typing import Annotated

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from bayes_bm.hazards import FAMILIES
from bayes_bm.hazards.family import CURED
from bayes_bm.spec.record import Record

Knots = Annotated[PositiveInt, Field(le=30)] | tuple[PositiveFloat, ...]


class Hazard(Record):
    """The baseline: a family, a cured share over it, and the knots of a flexible one.

    `knots` is how many inner knots (cut points of a piecewise hazard) are put at quantiles of the event times, by
    default 7, or their times as a list; `end` is the last knot, by default the last event.
    """

    family: str = "weibull"
    cure: bool = False
    knots: Knots | None = None
    end: PositiveFloat | None = None

    @model_validator(mode="after")
    def _known(self) -> "Hazard":
        if self.family not in FAMILIES:
            raise ValueError(f"family {self.family!r} is not known; known: {', '.join(FAMILIES)}")
        flexible = [name for name, family in FAMILIES.items() if family.flexible]
        given = [name for name in ("knots", "end") if getattr(self, name) is not None]
        if given and self.family not in flexible:
            raise ValueError(f"{' and '.join(given)}: for {' and '.join(flexible)} only; leave it out")
        if isinstance(self.knots, tuple):
            ordered = all(earlier < later for earlier, later in pairwise(self.knots))
            if not ordered or (self.end is not None and self.knots and self.knots[-1] >= self.end):
                raise ValueError(f"knots are {list(self.knots)}; allowed: rising times, all before `end`")
        return self

    @property
    def shapes(self) -> tuple[str, ...]:
        """Names of the shape parameters that have a prior of their own."""
        return (*FAMILIES[self.family].shapes, *((CURED,) if self.cure else ()))

    @property
    def flexible(self) -> bool:
        return FAMILIES[self.family].flexible

    @property
    def treatment_effect(self) -> str:
        """What an effect of treatment is called: a log hazard ratio or a log time ratio
        (docs/decisions.md#17-prior-only).
        """
        return EFFECT_NAMES[FAMILIES[self.family].effect]

    @property
    def varies(self) -> str | None:
        """The shape parameter in which studies and treatments may differ."""
        return FAMILIES[self.family].varies

    @property
    def proportional(self) -> bool:
        """Whether effects on the linear predictor alone leave hazards proportional."""
        return FAMILIES[self.family].effect == "hazard" and not self.cure


EFFECT_NAMES = {"hazard": "log_hr", "time": "log_time_ratio"}
