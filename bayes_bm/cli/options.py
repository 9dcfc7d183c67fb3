"""Options and arguments that several commands share, one by one and as records, and how records become options.

A record is a frozen dataclass whose fields are annotated as typer wants its parameters. A command that takes one is
decorated with `expand_records`, and every field of the record is then an option of that command.
"""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_bm.cli.limits import LARGEST_SEED, MOST_DRAWS, MOST_IMPUTATIONS, MOST_SIDE_BY_SIDE, number_option
from bayes_bm.cli.parsing import parse_changes

if TYPE_CHECKING:
    from bayes_bm.spec.document import Spec

SpecName = Annotated[str, typer.Argument(metavar="SPEC", help="A TOML file, or the name of a shipped model.")]
ResultFile = Annotated[Path, typer.Argument(metavar="RESULT.nc", help="Written by bayes-bm fit.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
AllowFailed = Annotated[bool, typer.Option("--allow-failed-gate", help="Answer from a posterior whose gate failed.")]
AllowRed = Annotated[bool, typer.Option("--allow-red-rows", help="Report even where a row cannot be reproduced.")]
WhoName = Annotated[
    str, typer.Option("--who", help="Who is asked about: average-study, new-study, new-hospital, study:NAME.")
]
Times = Annotated[str | None, typer.Option("--times", help="Times, comma-separated, in the spec's unit, from time 0.")]
Treatments = Annotated[str | None, typer.Option("--treatment", help="Treatments, comma-separated; all if left out.")]
Horizon = Annotated[
    float | None,
    typer.Option(
        parser=number_option("--horizon", greater_than=0),
        help="Where the restricted mean is cut; the spec's if left out.",
    ),
]
LevelValue = Annotated[
    float | None,
    typer.Option(
        "--level",
        parser=number_option("--level", least=0.5, most=0.999),
        help="Level of every interval; the spec's if left out.",
    ),
]
PatientValues = Annotated[str | None, typer.Option("--patient", help="name=value, separated by commas.")]
MixValues = Annotated[
    str | None,
    typer.Option("--population", help="share_NAME=0.7,mean_NAME=61: the case mix averaged over."),
]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="key=value: changes a key of the spec, dotted; a TOML value. evidence.single_arm_weight=0.5 lets series"
        " without a comparator count half.",
    ),
]
Pdf = Annotated[
    bool, typer.Option("--pdf", help="Print it too, by an installed Chromium: the whole, and one page for the clinic.")
]
Sensitivity = Annotated[str | None, typer.Option("--sensitivity", help="A sensitivity analysis named in the spec.")]
Draws = Annotated[
    int | None, typer.Option(min=1, max=MOST_DRAWS, help="Draws of each chain that are kept; the spec's if left out.")
]
Tune = Annotated[
    int | None, typer.Option(min=1, max=MOST_DRAWS, help="Draws of each chain for warming up; the spec's if left out.")
]
Chains = Annotated[int | None, typer.Option(min=1, max=MOST_DRAWS, help="Number of chains; the spec's if left out.")]
Cores = Annotated[int | None, typer.Option(min=1, max=MOST_SIDE_BY_SIDE, help="Number of processor cores to use.")]
Seed = Annotated[int | None, typer.Option(min=0, max=LARGEST_SEED, help="Seed: equal seeds give equal answers.")]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", help="Address of a Dask scheduler, tcp://...: fits run on its workers.")
]


@dataclass(frozen=True)
class SpecChanges:
    """What is changed in a spec before it is checked."""

    settings: Setting = None
    sensitivity: Sensitivity = None

    def read(self, name: str) -> "Spec":
        """Return the spec of that name, changed."""
        from bayes_bm.spec.reading import read_spec

        return read_spec(name, sensitivity=self.sensitivity, changes=parse_changes(self.settings))


def spec_inputs(name: str, spec: "Spec") -> list[Path]:
    """Return the files that a command on a spec reads: the spec, where it is not a shipped one, and its evidence."""
    from bayes_bm.evidence.files import evidence_files

    return [Path(name), *evidence_files(spec)]


@dataclass(frozen=True)
class SamplingOptions:
    """Settings of the sampler; the spec's own stand where an option is left out (None)."""

    draws: Draws = None
    tune: Tune = None
    chains: Chains = None
    seed: Seed = None

    def document(self) -> dict[str, Any]:
        """Return every setting by name, None where it was left out."""
        return asdict(self)

    def chosen(self) -> dict[str, Any]:
        """Return the settings that were given."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class ImputationOptions:
    """How many plausible sets of the patients behind curves are fitted, and where those fits run."""

    imputations: Annotated[
        int | None,
        typer.Option(
            max=MOST_IMPUTATIONS, help="Fit M >= 20 plausible sets of the patients behind curves, not the best alone."
        ),
    ] = None
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=1, max=MOST_SIDE_BY_SIDE, help="Number of processes that share the imputations."
        ),
    ] = 1
    scheduler: Scheduler = None

    def document(self) -> dict[str, Any]:
        """Return every setting by name."""
        return asdict(self)


@dataclass(frozen=True)
class ParallelOptions:
    """Where many fits of one command run."""

    cores: Annotated[
        int, typer.Option("--cores", min=1, max=MOST_SIDE_BY_SIDE, help="Number of fits side by side.")
    ] = 1
    scheduler: Scheduler = None

    def document(self) -> dict[str, Any]:
        """Return every setting by name."""
        return asdict(self)


def expand_records(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the fields of its records as parameters of their own, for typer to read.

    A parameter whose annotation is a dataclass is replaced, in its place, by one parameter for each field of that
    class. A call makes the records again from what it is given.
    """
    signature = inspect.signature(command)
    records: dict[str, Any] = {
        name: one.annotation for name, one in signature.parameters.items() if is_dataclass(one.annotation)
    }

    @wraps(command)
    def expanded(**values: Any) -> None:
        for name, record in records.items():
            values[name] = record(**{field.name: values.pop(field.name) for field in fields(record)})
        command(**values)

    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name in records:
            parameters += [_parameter(field) for field in fields(records[name])]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    readable: Any = expanded
    readable.__signature__ = signature.replace(parameters=parameters)
    readable.__annotations__ = {one.name: one.annotation for one in parameters}
    return expanded


def _parameter(field: "Field[Any]") -> inspect.Parameter:
    """Return the parameter of a command that a field of a record stands for."""
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=field.type)
