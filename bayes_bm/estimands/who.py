"""Who an answer is about: the average study, a new study, a new hospital, a named study, a patient, a population."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bayes_bm.runtime.errors import InputError


@dataclass(frozen=True)
class AverageStudy:
    """Ask about the average study, in which all study effects are zero.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> bb.AverageStudy().name
    'average-study'
    """

    name = "average-study"


@dataclass(frozen=True)
class NewStudy:
    """Ask for the average over the population of studies, at each posterior draw.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> bb.NewStudy().name
    'new-study'
    """

    name = "new-study"


@dataclass(frozen=True)
class NewHospital:
    """Ask about one hospital not yet seen: a fresh set of study effects is drawn at each posterior draw.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> bb.NewHospital().name
    'new-hospital'
    """

    name = "new-hospital"


@dataclass(frozen=True)
class Study:
    """Ask about a study of the evidence, with its own effects; a treatment that it did not use gets a fresh deviation.

    Parameters
    ----------
    study : str
        Name of a study with absolute evidence, as in the tables.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> bb.Study("Smith 2020").name
    'study:Smith 2020'
    """

    study: str

    @property
    def name(self) -> str:
        return f"study:{self.study}"


@dataclass(frozen=True)
class Patient:
    """Ask about a patient with these covariates, in a study, hospital or average over studies.

    Parameters
    ----------
    values : mapping of str to float
        Covariates by their names in the spec, in their own units. Those not named are averaged over the evidence's
        patients, or stand at their centre where the evidence prints no covariates (`case_mix`).
    on : AverageStudy, NewStudy, NewHospital, Study, or the name of one
        Whose study effects the patient has; by default `NewStudy()`.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> bb.Patient({"age": 60}, on=bb.NewHospital()).name
    'patient on new-hospital'
    """

    values: Mapping[str, float] = field(default_factory=dict)
    on: "AverageStudy | NewStudy | NewHospital | Study" = field(default_factory=NewStudy)

    def __post_init__(self) -> None:
        if isinstance(self.on, str):
            object.__setattr__(self, "on", parse_who(self.on, "Patient, on"))

    @property
    def name(self) -> str:
        return f"patient on {self.on.name}"


@dataclass(frozen=True)
class PatientMix(Patient):
    """Ask about the patients of a population together, whose case mix is named: answers are averages over it.

    Parameters
    ----------
    values : mapping of str to float
        `share_<covariate>` of a two-valued covariate, `mean_<covariate>` of another one, whose spread is then that of
        the evidence's patients. Named covariates are independent of each other; what is not named has its law in the
        evidence's mix, given what is.
    on : AverageStudy, NewStudy, NewHospital or Study
        Whose study effects the patients have; by default `NewStudy()`.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> bb.PatientMix({"share_kps70": 0.7}).name
    'population share_kps70=0.7 on new-study'
    """

    @property
    def name(self) -> str:
        named = ", ".join(f"{name}={value:g}" for name, value in self.values.items())
        return f"population {named} on {self.on.name}"


StudyEffects = AverageStudy | NewStudy | NewHospital | Study
Who = StudyEffects | Patient
WHO: dict[str, StudyEffects] = {"average-study": AverageStudy(), "new-study": NewStudy(), "new-hospital": NewHospital()}


def parse_who(text: str, where: str = "--who") -> StudyEffects:
    """Return who a text names: `average-study`, `new-study`, `new-hospital` or `study:NAME`."""
    if text.startswith("study:"):
        return Study(text.removeprefix("study:"))
    if text not in WHO:
        raise InputError(where, found=text, allowed=f"{', '.join(WHO)}, study:NAME")
    return WHO[text]


def as_who(who: Who | str | None, default: Who) -> Who:
    """Return who is asked about, from a record or its name; `default` where nothing is said.

    Raises
    ------
    InputError
        If `who` is neither: with what is allowed.
    """
    if who is None:
        return default
    if isinstance(who, str):
        return parse_who(who, "who")
    if not isinstance(who, Who):
        records = "AverageStudy(), NewStudy(), NewHospital(), Study(name), Patient(values), PatientMix(values)"
        allowed = f"{', '.join(WHO)}, study:NAME; {records}"
        raise InputError("who", found=who, allowed=allowed)
    return who


def study_of(who: Who | str | None) -> StudyEffects:
    """Return whose study effects patients have who are asked about one by one: `NewStudy()` by default."""
    asked = as_who(who, NewStudy())
    return NewStudy() if isinstance(asked, Patient) else asked


def population_of(who: Who) -> Who:
    return who.on if isinstance(who, Patient) else who
