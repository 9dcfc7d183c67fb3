"""Commands of the first minutes: init, lint, schema."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from bayes_bm.cli.options import Json
from bayes_bm.cli.printing import ERR, OUT, json_rows, print_json, print_table, print_words
from bayes_bm.runtime.errors import InputError

if TYPE_CHECKING:
    from bayes_bm.evidence.lint import Lint
    from bayes_bm.evidence.starting.patients import PatientsFile

OWN = " of its study and treatment"
"""What most rows are said to inform; said once, in the title, so that the table fits a terminal."""
UNITS = ("days", "weeks", "months", "years")


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or one without a spec.")],
    patients: Annotated[
        Path | None, typer.Option("--from", metavar="PATIENTS.csv", help="Patients: time, event, treatment, study.")
    ] = None,
    question: Annotated[str | None, typer.Option("--question", metavar='"A v B"', help="Two treatments.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="days, weeks, months or years; else guessed.")] = None,
    endpoint: Annotated[str, typer.Option("--endpoint", help="What is counted, such as os or pfs.")] = "os",
    as_json: Json = False,
) -> None:
    """Start an analysis: a commented spec and tables that run as they are."""
    from bayes_bm.evidence.starting.analysis import start_from_patients, start_from_question
    from bayes_bm.evidence.starting.patients import read_patients_file

    if patients is not None and question is not None:
        raise InputError("--question", found="beside --from", allowed="one of them", hint="patients say what they had")
    if unit is not None and unit not in UNITS:
        raise InputError("--unit", found=repr(unit)[:40], allowed=", ".join(UNITS))
    if not endpoint.strip():
        raise InputError("--endpoint", found="nothing", allowed="a name, such as os")
    if folder.exists() and not folder.is_dir():
        raise InputError("DIR", found=f"{folder}, a file", allowed="a folder")
    if patients is None:
        start = start_from_question(question or "treatment_a v treatment_b", endpoint=endpoint, unit=unit or "months")
    else:
        shown = read_patients_file(patients, unit=unit)
        if unit is None and sys.stdin.isatty() and not as_json:
            shown = read_patients_file(patients, unit=_asked_unit(shown))
        start = start_from_patients(shown, folder, endpoint=endpoint)
    files = start.write(folder)
    spec = folder / "spec.toml"
    steps = [f"bayes-bm lint {spec}", f"bayes-bm audit {spec}", f"bayes-bm run {spec} --out {folder / 'out'}"]
    if as_json:
        return print_json({"files": [str(file) for file in files], "remarks": list(start.remarks), "next": steps})
    for remark in start.remarks:
        print_words(f"- {remark}")
    print_words("written: " + ", ".join(str(file) for file in files))
    return print_words("next:\n" + "\n".join(f"  {step}" for step in steps))


def _asked_unit(shown: "PatientsFile") -> str:
    """Ask for the unit of time, with what the table speaks for as the answer by default."""
    while True:
        words = f"Unit of time ({', '.join(UNITS)}); {shown.unit_reason}"
        answer: str = typer.prompt(words, default=shown.unit, err=True)
        if answer.strip() in UNITS:
            return answer.strip()
        print_words(f"found {answer!r}; allowed: {', '.join(UNITS)}", ERR)


def lint(
    place: Annotated[Path, typer.Argument(metavar="DIR|SPEC", help="A spec, or a folder with specs.")],
    as_json: Json = False,
) -> None:
    """What is wrong, what each row would teach, and what is missing. Exit status 2 where anything is wrong."""
    from bayes_bm.evidence.lint import lint as look
    from bayes_bm.evidence.lint import spec_files

    looks = [look(name) for name in spec_files(place)]
    errors = [error for one in looks for error in one.errors]
    if as_json:
        print_json({"specs": [_document(one) for one in looks]})
    else:
        for one in looks:
            _print_lint(one)
    if errors:
        sys.exit(InputError.exit_status)
    if any(one.refusals for one in looks):
        sys.exit(1)


def _document(look: "Lint") -> dict[str, Any]:
    words = {name: list(getattr(look, name)) for name in ("missing", "notes", "refusals")}
    return {"spec": look.spec, "errors": [str(error) for error in look.errors], "rows": json_rows(look.rows), **words}


def _print_lint(look: "Lint") -> None:
    OUT.print(Text(f"{look.spec}: {_verdict(look)}", style="bold"))
    for error in look.errors:
        print_words(f"- {str(error).removeprefix(f'{look.spec}, ').removeprefix(f'{look.spec}: ')}")
    if len(look.rows):
        short = look.rows.assign(informs=[text.replace(OWN, "") for text in look.rows["informs"]])
        title = f"what each row would teach{OWN} (size: patients that it weighs as much as)"
        print_table(short, title, ["kind", "study", "arm", "treatment", "size", "informs"])
    for title, words in {"missing": look.missing, "notes": look.notes, "no fit": look.refusals}.items():
        if words:
            OUT.print(Text(title, style="bold"))
        for line in words:
            print_words(f"- {line}")


def _verdict(look: "Lint") -> str:
    count = len(look.errors)
    if count:
        return f"{count} error{'s' * (count > 1)}"
    return "nothing is wrong" if not look.refusals else "nothing is wrong, but a fit would be refused"


def schema() -> None:
    """The JSON schema of a spec, for editors with a TOML language server."""
    from bayes_bm.spec.schema import spec_schema

    print_json(spec_schema())
