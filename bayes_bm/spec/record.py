"""The base of all records of a spec: frozen, unknown keys are errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
)

from bayes_bm.spec.priors import Why

Text = Annotated[str, StringConstraints(strip_whitespace=False, pattern=r"\S")]
"""Text with a letter in it."""
TimeUnit = Literal["days", "weeks", "months", "years"]


class Record(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Contradiction:
    """What keys of a spec say against each other, and the tables that they stand in."""

    message: str
    tables: tuple[str, ...]


class Contradictions(ValueError):
    """Report everything that keys of a spec say against each other."""

    def __init__(self, found: Sequence[Contradiction]) -> None:
        self.found: Sequence[Contradiction] = found
        super().__init__("; ".join(one.message for one in found))


class Choice(Record):
    """A row, arm or study named on purpose, with the reason."""

    study: Text
    arm: Text | None = None
    why: Why


class Reasoned(Record):
    value: float
    why: Why


def _as_reasoned(value: Any) -> Any:
    return {"value": value, "why": "given as a number, without a reason"} if isinstance(value, int | float) else value


Share = Annotated[Reasoned, BeforeValidator(_as_reasoned, json_schema_input_type=Reasoned | float)]
