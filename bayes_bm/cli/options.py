"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

SpecName = Annotated[str, typer.Argument(metavar="SPEC", help="A TOML file, or the name of a shipped model.")]
ResultFile = Annotated[Path, typer.Argument(metavar="RESULT.nc", help="Written by bayes-bm fit.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
AllowFailed = Annotated[bool, typer.Option("--allow-failed-gate", help="Answer from a posterior whose gate failed.")]
WhoName = Annotated[str, typer.Option("--who", help="average-study, new-study, new-hospital or study:NAME.")]
Times = Annotated[str | None, typer.Option("--times", help="Comma-separated, in the spec's time unit, from time 0.")]
Setting = Annotated[list[str] | None, typer.Option("--set", help="key=value on the spec, dotted keys; TOML values.")]
Sensitivity = Annotated[str | None, typer.Option("--sensitivity", help="A sensitivity analysis named in the spec.")]
Draws = Annotated[int | None, typer.Option(min=1)]
Seed = Annotated[int | None, typer.Option(min=0)]
SideBySide = Annotated[int, typer.Option("--cores", min=1, help="Fits side by side.")]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", help="Address of a Dask scheduler, tcp://...: fits run on its workers.")
]
Processes = Annotated[int, typer.Option("--processes", min=1, help="Processes that share the imputations.")]
Imputations = Annotated[
    int | None,
    typer.Option(help="Fit M >= 20 plausible sets of the patients behind curves, not the best alone."),
]
AllowRed = Annotated[bool, typer.Option("--allow-red-rows", help="Report even where a row cannot be reproduced.")]
