"""Who an answer is about: the average study, a new study, a new hospital, a named study, a patient."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bayes_bm.runtime.errors import InputError


@dataclass(frozen=True)
class AverageStudy:
    name = "average-study"


@dataclass(frozen=True)
class NewStudy:
    name = "new-study"


@dataclass(frozen=True)
class NewHospital:
    name = "new-hospital"


@dataclass(frozen=True)
class Study:
    study: str

    @property
    def name(self) -> str:
        return f"study:{self.study}"


@dataclass(frozen=True)
class Patient:
    """Covariates by their own names and units; those not named are averaged over the evidence's patients, or stand at
    their centre where the evidence prints no covariates (`case_mix`).
    """

    values: Mapping[str, float] = field(default_factory=dict)
    on: "AverageStudy | NewStudy | NewHospital | Study" = field(default_factory=NewStudy)

    @property
    def name(self) -> str:
        return f"patient on {self.on.name}"


Who = AverageStudy | NewStudy | NewHospital | Study | Patient
WHO = {"average-study": AverageStudy(), "new-study": NewStudy(), "new-hospital": NewHospital()}


def parse_who(text: str) -> Who:
    """`average-study`, `new-study`, `new-hospital` or `study:NAME`."""
    if text.startswith("study:"):
        return Study(text.removeprefix("study:"))
    if text not in WHO:
        raise InputError("--who", found=text, allowed=f"{', '.join(WHO)}, study:NAME")
    return WHO[text]


def population_of(who: Who) -> Who:
    return who.on if isinstance(who, Patient) else who
