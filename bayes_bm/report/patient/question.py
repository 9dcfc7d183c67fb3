"""The question that the patient page sends, read from its form: numbers are still text, errors are in words."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.numbers import parse_number

MOST_TREATMENTS = 100
"""Treatments of one question; no spec compares as many."""
MOST_PATIENTS = 2
"""Patients side by side."""


def _read_number(value: object) -> float:
    """Return a number as people type it, with a point or a comma; raises ValueError for anything else."""
    number = parse_number(str(value).replace(",", "."))
    if number is None:
        raise ValueError("no number")
    return number


def _read_number_or_blank(value: object) -> float:
    return _read_number(value) if str(value).strip() else 0.0


type Text = Annotated[str, BeforeValidator(str)]
type Number = Annotated[float, BeforeValidator(_read_number)]
type NumberOrBlank = Annotated[float, BeforeValidator(_read_number_or_blank)]
"""A field of the form; left blank it is 0."""


class Question(BaseModel):
    """What the page sends for one patient or two; margins are in the unit of time and in points of 100."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="ignore")

    patients: list[dict[Text, Number]] = Field([{}], min_length=1, max_length=MOST_PATIENTS)
    treatments: list[Text] = Field(min_length=1, max_length=MOST_TREATMENTS)
    time: Number
    margin_rmst: NumberOrBlank = 0.0
    margin_survival: NumberOrBlank = 0.0
    alive_at: NumberOrBlank = 0.0
    who: Text = "new-study"

    @property
    def margins(self) -> dict[str, float]:
        """Return by how much a treatment is to be better, by estimand; survival as a proportion."""
        return {"rmst": self.margin_rmst, "survival": self.margin_survival / 100}


def read_question(document: Mapping[str, Any]) -> Question:
    """Return the question that the page sent. Raises `InputError` that names the field of the form.

    >>> read_question({"treatments": ["a"], "time": "12,5", "margin_survival": "5"}).time
    12.5
    """
    try:
        return Question.model_validate(document)
    except ValidationError as problem:
        raise _form_error(problem) from None


def _form_error(problem: ValidationError) -> InputError:
    """The first fault in the words of the form."""
    error = problem.errors(include_url=False)[0]
    field, *keys = error["loc"]
    if error["type"] == "too_long":
        limits = error.get("ctx", {})
        count, most = limits.get("actual_length"), limits.get("max_length")
        return InputError(str(field), found=f"{count} of them", allowed=f"up to {most}")
    if field == "treatments":
        return InputError("treatments", found="none", allowed="at least one that the patient can have")
    if field == "patients" and len(keys) < 2:
        return InputError("patients", found=error["input"], allowed="names and numbers of each")
    where = f"patient, {keys[1]}" if field == "patients" else str(field)
    found = "nothing" if error["type"] == "missing" else str(error["input"])
    return InputError(where, found=found, allowed="a number")
