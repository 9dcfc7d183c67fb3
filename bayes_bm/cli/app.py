"""The command line: parse, call, print. Numbers come from the library; exit status from the errors.

0 done; 1 a gate refused; 2 the input or the call is wrong. With `--json` one document goes to standard output and
nothing else; progress and messages go to standard error.
"""

import os
import sys
from collections.abc import Sequence

import typer

from bayes_bm.cli.commands import answers, checks, fit, reconstruct
from bayes_bm.runtime.errors import BayesBmError

app = typer.Typer(
    help="Bayesian survival evidence synthesis from published curves and numbers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

COMMANDS = (
    fit.models,
    checks.simulate,
    reconstruct.reconstruct,
    fit.audit,
    fit.fit,
    answers.compare,
    answers.incidence,
    answers.rank,
    answers.predict,
    answers.serve,
    answers.standardise,
    answers.score,
    checks.check,
    checks.split,
    checks.sensitivity,
    fit.report,
    fit.run,
    checks.verify,
)
"""In the order in which `--help` lists them."""

for command in COMMANDS:
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: every error this package raises on purpose becomes one message and an exit status."""
    try:
        app(args=list(arguments) if arguments is not None else None, standalone_mode=True)
    except BayesBmError as problem:
        _refuse(str(problem), problem.exit_status)
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        _refuse("stopped; nothing half-written is left behind", 130)
    except Exception as problem:
        if os.environ.get("BAYES_BM_TRACEBACK"):
            raise
        kind = type(problem).__name__
        _refuse(f"a fault of the program, not of the input: {kind}: {problem}. BAYES_BM_TRACEBACK=1 shows where", 3)


def _refuse(message: str, status: int) -> None:
    print(f"bayes-bm: {message}", file=sys.stderr)
    sys.exit(status)
