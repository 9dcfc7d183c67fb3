"""Keys of a spec of several causes, beside those of an ordinary spec (`spec.causes`)."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from bayes_bm.spec.priors import Why
from bayes_bm.spec.record import Record, Text

Table = dict[str, Any]


class Cause(Record):
    """What is another for one cause; everything else is as the common keys say."""

    endpoint: Text | None = None
    after_others: Why | None = None
    hazard: Table = Field(default_factory=dict)
    effects: Table = Field(default_factory=dict)
    priors: Table = Field(default_factory=dict)
    covariates: Table = Field(default_factory=dict)
    bias: Table = Field(default_factory=dict)
    evidence: Table = Field(default_factory=dict)


class LevelCorrelation(Record):
    """Of a study's levels between causes: a stated value for all pairs, or the exponent of the LKJ prior."""

    value: Annotated[float, Field(gt=-1, lt=1)] | None = None
    eta: Annotated[float, Field(gt=0, le=1000)] | None = None
    why: Why

    @model_validator(mode="after")
    def _one(self) -> "LevelCorrelation":
        if (self.value is None) == (self.eta is None):
            raise ValueError("give one of value (0: independent) and eta (LKJ prior; 1: uniform, larger: nearer 0)")
        return self

    @property
    def stated(self) -> float | None:
        """The value of every pair, None where it has a prior."""
        return self.value


NONE = LevelCorrelation(value=0.0, why="default: levels of studies independent between causes")


class Joint(Record):
    """What ties the causes together."""

    correlation: LevelCorrelation = NONE
    first_of_all: Text | None = None
