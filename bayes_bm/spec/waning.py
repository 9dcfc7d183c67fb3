"""`[waning]`: treatment effects that end, and when."""

from typing import Annotated

from pydantic import Field, model_validator

from bayes_bm.spec.priors import POSITIVE, Prior, Why
from bayes_bm.spec.record import Record


class Waning(Record):
    """From `start` on, a time or one with a prior, log hazard ratios go to 0: at once, or linearly over `over`."""

    start: Annotated[float, Field(gt=0, le=1e6)] | None = None
    prior: Prior | None = None
    over: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    why: Why

    @model_validator(mode="after")
    def _one_start(self) -> "Waning":
        if (self.start is None) == (self.prior is None):
            given = "neither" if self.start is None else "both"
            raise ValueError(f"found {given}; give exactly one of start (a stated time) and prior (of that time)")
        if self.prior is not None and not isinstance(self.prior, POSITIVE) and not getattr(self.prior, "lower", -1) > 0:
            raise ValueError(
                f"prior: found {self.prior.dist}; allowed: a prior on positive times such as gamma, log_normal or"
                " uniform with lower above 0"
            )
        return self
