"""The command line: parse, call, print. Numbers come from the library; exit status from the errors.

0 done; 1 a gate refused; 2 the input or the call is wrong. With `--json` one document goes to standard output and
nothing else; progress and messages go to standard error.
"""

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer.main import get_command

from bayes_bm.cli.commands import answers, checks, convert, digitize, fit, predict, reconstruct, review, start, updates
from bayes_bm.cli.streams import OutputClosed, written_streams
from bayes_bm.runtime.errors import BayesBmError
from bayes_bm.runtime.signals import Stopped, stoppable

app: typer.Typer = typer.Typer(
    help="Bayesian survival evidence synthesis from published curves and numbers.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    # boxes around the help would take a fifth of a second to import
    rich_markup_mode=None,
    context_settings={"max_content_width": 120},
)

COMMANDS: dict[Callable[..., None], str] = {
    start.init: "bayes-bm init analysis --from patients.csv",
    start.lint: "bayes-bm lint analysis",
    fit.models: "bayes-bm models",
    checks.simulate: "bayes-bm simulate os_reresection_vs_resrs --out world --seed 1",
    digitize.digitize: "bayes-bm digitize figure.pdf --page 3 --out figure",
    reconstruct.reconstruct: "bayes-bm reconstruct curve.csv --n 120 --out patients.csv",
    convert.convert: "bayes-bm convert project.tar --to curve --out surgery.curve.csv",
    fit.audit: "bayes-bm audit os_reresection_vs_resrs --figure network.png",
    fit.fit: "bayes-bm fit os_reresection_vs_resrs --out result.nc",
    answers.compare: "bayes-bm compare result.nc --who new-study --times 6,12,24",
    answers.incidence: "bayes-bm incidence failure.nc death.nc --times 6,12,24",
    answers.rank: "bayes-bm rank result.nc --figure ranks.png",
    predict.predict: "bayes-bm predict result.nc --patient kps70=1 --times 6,12",
    answers.serve: "bayes-bm serve result.nc --port 8000",
    answers.standardise: "bayes-bm standardise result.nc --cohort cohort.csv --times 6,12,24",
    answers.score: "bayes-bm score result.nc --cohort cohort.csv --at 12",
    checks.check: "bayes-bm check result.nc --leave-one-out study",
    checks.split: "bayes-bm split os_salvage_network --out splits",
    checks.sensitivity: "bayes-bm sensitivity os_reresection_vs_resrs --out sensitivity",
    review.tipping: "bayes-bm tipping result.nc --deltas 1,2,4",
    review.checklist: "bayes-bm checklist result.nc --out checklist.md",
    updates.plan: "bayes-bm plan result.nc --design designs.toml --figure plan.png",
    updates.diff: "bayes-bm diff old.nc new.nc",
    updates.rerun: "bayes-bm rerun result.nc",
    fit.report: "bayes-bm report result.nc --out report.html",
    fit.run: "bayes-bm run os_reresection_vs_resrs --out out",
    checks.verify: "bayes-bm verify --quick",
    start.schema: "bayes-bm schema",
}
"""Every command in the order in which `--help` lists them, with an example that can be typed as it stands."""

SUMMARIES: dict[Callable[..., None], str] = {
    start.init: "A commented analysis to start from, which runs as it is.",
    start.lint: "What is wrong or missing, and what each row would teach.",
    checks.simulate: "A synthetic world with recorded truth, and its spec.",
    reconstruct.reconstruct: "Curve to patients, or with --manifest many curves.",
    convert.convert: "Tables from and to other programs, and lines of R.",
    answers.incidence: "Cumulative incidence of competing causes.",
    answers.rank: "Probability of every rank of every treatment.",
    predict.predict: "What one patient, or each of many, may expect.",
    answers.serve: "The patient page in a browser, on this machine only.",
    answers.standardise: "Survival of a cohort had all had the same treatment.",
    answers.score: "How predictions agree with a cohort's outcomes.",
    checks.check: "Gates, reconciliation, predictive checks, studies.",
    checks.split: "Direct against indirect evidence of every comparison.",
    checks.sensitivity: "The answer under every named analysis and family.",
    review.tipping: "How unlike the others the censored would have to be.",
    review.checklist: "BARG and PRISMA-NMA, filled from the result.",
    updates.plan: "What future studies would settle, and with how many patients.",
    updates.diff: "What changed between two results.",
    updates.rerun: "The same result again from what is stored in it.",
    fit.report: "One self-contained HTML file of a result.",
    fit.run: "Audit, fit, check, compare, report in one folder.",
    start.schema: "The JSON schema of a spec, for editors.",
}
"""A line for the list of commands, where the first sentence of the help is longer than a line of 80 letters."""

for _command, _example in COMMANDS.items():
    app.command(epilog=f"Example: {_example}", short_help=SUMMARIES.get(_command))(_command)


def print_version(wanted: bool) -> None:
    """Print name and version and end, where they are asked for."""
    if wanted:
        import bayes_bm

        print(f"bayes-bm {bayes_bm.__version__}")
        raise typer.Exit


@app.callback()
def read_global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Read the options that stand before any command; `print_version` has acted by then."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: every error this package raises on purpose becomes one message and an exit status.

    Without `arguments` the process is this command's own, and ends with it.
    """
    if arguments is not None:
        _run(arguments)
        return
    try:
        _run(None)
    except SystemExit as end:
        if isinstance(end.code, int | None):
            _leave(end.code or 0)
        raise


def _leave(status: int) -> None:
    """End the process when its threads and exit handlers are done, without taking apart what it has compiled: that
    takes a second of work, for which Ctrl-C would have to wait.
    """
    # Python has no public names for these two, which multiprocessing calls too
    threads: Any = threading
    handlers: Any = atexit
    threads._shutdown()
    handlers._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _run(arguments: Sequence[str] | None) -> None:
    try:
        with stoppable(), written_streams():
            _command_line()(args=list(arguments) if arguments is not None else None, standalone_mode=True)
    except BayesBmError as problem:
        _refuse(str(problem), problem.exit_status)
    except OutputClosed as closed:
        sys.exit(closed.exit_status)
    except Stopped as stop:
        _refuse(f"stopped by {stop}; nothing half-written is left behind", stop.exit_status)
    except Exception as problem:
        if os.environ.get("BAYES_BM_TRACEBACK"):
            raise
        kind = type(problem).__name__
        _refuse(f"a fault of the program, not of the input: {kind}: {problem}. BAYES_BM_TRACEBACK=1 shows where", 3)


@cache
def _command_line() -> Any:
    """All commands with their options as the parser wants them, made once for a process that calls several."""
    return get_command(app)


def _refuse(message: str, status: int) -> None:
    print(f"bayes-bm: {message}", file=sys.stderr)
    sys.exit(status)
