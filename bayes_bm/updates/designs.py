"""Designs of future studies: what a TOML file, an option or a call says of them, checked against a result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bayes_bm.inference.result import Result
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.toml_text import parse_toml

Prints = Literal["patients", "points", "median", "ratio"]
FEWEST, MOST = 5, 5000
"""Patients of an arm."""
MOST_STUDIES = 100
MOST_DESIGNS = 20


class Design(BaseModel):
    """A future study: how many patients have which treatment, how they are followed, and what is printed of them.

    `arms`: patients of each treatment. They are compared in one study, or with `side_by_side = false` each treatment
    has its own single-arm studies; `studies` says how many such studies there are in all. Patients of a `randomised`
    study have one case mix, else each arm has that of its treatment. Times are in the spec's unit: patients enter
    during `accrual` and are followed until `followup`; `lost` is the share lost to follow-up within the reference time.
    `case_mix_of` names a study whose patients they resemble. `confounding_sd`: how far, as the sd of a log ratio,
    choosing the treatment by patient may mislead a comparison, beyond what the model holds. `curve_of` names a study of
    the evidence whose printed numbers would be replaced by its patients; only `followup`, `accrual` and `lost` go with
    it.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> trial = bb.Design(name="trial", arms={"re_resection": 60, "re_srs": 60}, followup=24)
    >>> trial.scaled(0.5).arms
    {'re_resection': 30, 're_srs': 30}
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"\S")]
    arms: dict[str, Annotated[int, Field(ge=FEWEST, le=MOST)]] = Field(default_factory=dict)
    side_by_side: bool = True
    studies: Annotated[int, Field(ge=1, le=MOST_STUDIES)] = 1
    randomised: bool = True
    followup: Annotated[float, Field(gt=0)] | None = None
    accrual: Annotated[float, Field(ge=0)] = 0.0
    lost: Annotated[float, Field(ge=0, lt=1)] = 0.0
    prints: Prints = "patients"
    confounding_sd: Annotated[float, Field(ge=0)] = 0.0
    case_mix_of: str | None = None
    curve_of: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Design":
        if bool(self.arms) == bool(self.curve_of):
            raise ValueError("found both or neither of arms and curve_of; allowed: one of them")
        if self.followup is not None and self.accrual >= self.followup:
            raise ValueError(
                f"accrual is {self.accrual:g}, followup {self.followup:g}; allowed: accrual below followup"
            )
        if self.prints == "ratio" and (len(self.arms) < 2 or not self.side_by_side):
            raise ValueError("prints is ratio in a study of one arm; allowed: patients, points, median")
        return self

    def scaled(self, factor: float) -> "Design":
        """Return the design with so many times the patients; of several studies with so many times the studies."""
        if self.curve_of:
            return self
        if self.studies > 1:
            return self.model_copy(update={"studies": max(1, round(factor * self.studies))})
        return self.model_copy(update={"arms": {name: max(FEWEST, round(factor * n)) for name, n in self.arms.items()}})

    @property
    def patients(self) -> int:
        """Return how many patients all its studies have together."""
        if self.side_by_side or len(self.arms) == 1:
            return self.studies * sum(self.arms.values())
        sizes = list(self.arms.values())
        return sum(sizes[number % len(sizes)] for number in range(max(self.studies, len(sizes))))


@dataclass(frozen=True)
class PlannedArm:
    """Hold one arm of a study: its treatment and how many have it."""

    treatment: str
    n: int


def planned_studies(design: Design) -> list[tuple[PlannedArm, ...]]:
    """Return the arms of every study; single-arm studies take the treatments in turn."""
    arms = [PlannedArm(name, n) for name, n in design.arms.items()]
    if design.side_by_side:
        return [tuple(arms)] * design.studies
    return [(arms[number % len(arms)],) for number in range(max(design.studies, len(arms)))]


def read_designs(path: Path) -> list[dict[str, Any]]:
    """Return the tables `[[design]]` of a file. Raises `InputError` where it holds anything else."""
    if not path.is_file():
        raise InputError(str(path), found="no such file", allowed="a TOML file with [[design]] tables")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(str(path), found=f"cannot be read ({problem})", allowed="TOML in UTF-8") from None
    document = parse_toml(text, str(path), hint="an example stands in docs/planning.md")
    if unknown := [key for key in document if key != "design"]:
        raise InputError(f"{path}, {unknown[0]}", found="an unknown key", allowed="design")
    designs = document.get("design", [])
    if not isinstance(designs, list) or not all(isinstance(one, dict) for one in designs):
        raise InputError(f"{path}, design", found=type(designs).__name__, allowed="tables [[design]]")
    return designs


def check_designs(result: Result, designs: Sequence[Design | Mapping[str, Any]], where: str) -> list[Design]:
    """Return the designs as records. Raises `InputError` at the first thing that the result does not know."""
    if not 1 <= len(designs) <= MOST_DESIGNS:
        raise InputError(f"{where}, design", found=f"{len(designs)} designs", allowed=f"1 to {MOST_DESIGNS}")
    records = [_record(one, f"{where}, design {number + 1}") for number, one in enumerate(designs)]
    names = [design.name for design in records]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{where}, name", found=f"{twice[0]} twice", allowed="each name once")
    for design in records:
        _check_names(result, design, f"{where}, {design.name}")
    return records


def _record(given: Design | Mapping[str, Any], where: str) -> Design:
    if isinstance(given, Design):
        return given
    keys = list(Design.model_fields)
    for key in given:
        if key not in keys:
            near = get_close_matches(str(key), keys, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            raise InputError(f"{where}, {key}", found="an unknown key", allowed=", ".join(keys), hint=hint)
    try:
        return Design.model_validate(dict(given))
    except ValidationError as problem:
        error = problem.errors(include_url=False)[0]
        place = ", ".join([where, *(str(part) for part in error["loc"])])
        if error["type"] == "missing":
            raise InputError(place, found="nothing", hint="this key is required") from None
        found = None if error["type"] == "value_error" else repr(error.get("input"))[:80]
        raise InputError(place, found=found, hint=error["msg"].removeprefix("Value error, ")) from None


def _check_names(result: Result, design: Design, where: str) -> None:
    known = result.spec.treatments.names
    for treatment in design.arms:
        if treatment not in known:
            raise InputError(f"{where}, arms", found=treatment, allowed=", ".join(known))
    for key, study in (("curve_of", design.curve_of), ("case_mix_of", design.case_mix_of)):
        if study is not None and study not in result.inputs.design.studies:
            allowed = "; ".join(result.inputs.design.studies)
            raise InputError(f"{where}, {key}", found=study, allowed=allowed)
