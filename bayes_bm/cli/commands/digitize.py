"""The command `digitize`: published figures to curves, censor marks and numbers at risk."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_bm.cli.commands.reconstruct import show_count
from bayes_bm.cli.options import Cores, Json, expand_records
from bayes_bm.cli.printing import ERR, json_rows, print_json, print_table, print_words
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import check_folder
from bayes_bm.runtime.signals import Stopped

if TYPE_CHECKING:
    from bayes_bm.digitizing.many import Asked, Saved

ARM_COLUMNS = ("figure", "arm", "n", "steps", "marks", "at_risk", "verdict", "iae_bound", "reason")
"""Columns of the printed table; `--json` has all."""


@dataclass(frozen=True)
class FigureOptions:
    """Which part of a figure is read, and what somebody says about it."""

    page: Annotated[int | None, typer.Option("--page", min=1, help="Number of the page of a PDF.")] = None
    panel: Annotated[
        int | None, typer.Option("--panel", min=1, help="Number of the panel, left to right, top to bottom.")
    ] = None
    calibration: Annotated[
        Path | None, typer.Option("--calibration", help="calibration.toml, edited: it wins over what is read.")
    ] = None
    review: Annotated[bool, typer.Option("--review", help="Open the overlay in the browser and correct it.")] = False


@dataclass(frozen=True)
class NameOptions:
    """Names that no figure says."""

    study: Annotated[str | None, typer.Option("--study", help="Name of the study; the file's where left out.")] = None
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Such as os; what the axis says where left out.")
    ] = None
    treatment: Annotated[
        list[str] | None, typer.Option("--treatment", help="ARM=NAME: the treatment of an arm, as printed.")
    ] = None


@expand_records
def digitize(
    figures: Annotated[list[Path], typer.Argument(metavar="FIGURE...", help="SVG, PDF, PNG, JPEG, TIFF; or folders.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for curves.csv and what it names.")],
    *,
    which: FigureOptions,
    names: NameOptions,
    cores: Cores = None,
    as_json: Json = False,
) -> None:
    """Figure to curves, censor marks and numbers at risk. Exit status 1 where questions are open, 2 where not read."""
    from bayes_bm.digitizing.folder import FILES
    from bayes_bm.digitizing.many import digitize_all, digitize_and_save, figures_in, write_together

    paths = figures_in(figures)
    asked = _asked(paths, out, which, names)
    check_folder("--out", out, FILES, paths)
    if which.review:
        asked = [_review(asked[0])]
    if len(asked) == 1:
        saved = [digitize_and_save(asked[0])]
        together: list[Path] = []
    else:
        with show_count("digitize") as progress:
            saved = digitize_all(asked, cores=cores, say=progress)
        together = write_together(saved, out)
    if as_json:
        print_json(digitize_document(saved, together))
    else:
        _print_saved(saved, out, named=bool(names.treatment))
    status = max(one.status for one in saved)
    if status:
        raise typer.Exit(status)


def _asked(paths: Sequence[Path], out: Path, which: FigureOptions, names: NameOptions) -> "list[Asked]":
    """Return what is asked of each figure; what concerns one figure is refused for several."""
    from bayes_bm.digitizing.calibration_file import read_calibration
    from bayes_bm.digitizing.folder import file_stems
    from bayes_bm.digitizing.many import Asked

    several = len(paths) > 1
    options = {
        "--page": which.page,
        "--panel": which.panel,
        "--calibration": which.calibration,
        "--review": which.review or None,
        "--study": names.study,
        "--treatment": names.treatment,
    }
    for option, value in options.items():
        if several and value is not None:
            raise InputError(option, found=f"{len(paths)} figures", allowed="one figure with this option")
    given = None if which.calibration is None else read_calibration(which.calibration)
    treatments = _parse_treatments(names.treatment)
    stems = list(file_stems([f"{path.name}" for path in paths]).values()) if several else []
    return [
        Asked(
            path,
            out / stems[place] if several else out,
            given,
            which.page,
            which.panel,
            names.study,
            names.endpoint,
            treatments,
        )
        for place, path in enumerate(paths)
    ]


def _parse_treatments(texts: Sequence[str] | None) -> dict[str, str]:
    """Return `--treatment ARM=NAME` as a mapping; an arm's name may hold an equals sign, a treatment's does not."""
    treatments: dict[str, str] = {}
    for text in texts or ():
        arm, sign, name = (part.strip() for part in text.rpartition("="))
        if not sign or not arm or not name:
            raise InputError("--treatment", found=repr(text)[:60], allowed="ARM=NAME, the arm as printed")
        if arm in treatments:
            raise InputError("--treatment", found=f"{arm} twice", allowed="each arm once")
        treatments[arm] = name
    return treatments


def _review(asked: "Asked") -> "Asked":
    """Show the reading in the browser until somebody is done; return what is asked with the calibration saved there."""
    import sys
    import threading
    import webbrowser

    from bayes_bm.digitizing.calibration_file import read_calibration
    from bayes_bm.digitizing.digitize import digitize as read_figure
    from bayes_bm.report.review import ReviewPage, review_server

    read = read_figure(asked.figure, asked.calibration, asked.page, asked.panel)
    page = ReviewPage(read, asked.folder, asked.study, asked.endpoint, asked.treatments or {})
    read.save(asked.folder, study=asked.study, endpoint=asked.endpoint, treatments=asked.treatments)
    with review_server(page) as running:
        host, number = running.server_address[:2]
        address = f"http://{host!s}:{number}/"
        print(f"{address} shows {asked.figure}; Done on the page or Ctrl-C ends it", file=sys.stderr, flush=True)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        webbrowser.open(address)
        with suppress(KeyboardInterrupt, Stopped):
            page.done.wait()
        running.shutdown()
    return replace(asked, calibration=read_calibration(asked.folder / "calibration.toml"))


def digitize_document(saved: "Sequence[Saved]", together: Sequence[Path]) -> dict[str, Any]:
    """Return the JSON document of a call."""
    return {
        "status": max(one.status for one in saved),
        "files": [str(file) for file in together],
        "figures": [
            {
                "figure": str(one.figure),
                "status": one.status,
                "refusal": one.refusal,
                "time_unit": one.time_unit,
                "files": [str(file) for file in one.files],
                "arms": [] if one.table is None else json_rows(one.table),
                "findings": [
                    {
                        "kind": finding.kind,
                        "severity": finding.severity,
                        "message": finding.message,
                        "answer": finding.answer,
                        "line": line,
                        "arm": None if finding.arm is None or one.table is None else one.table["arm"][finding.arm],
                    }
                    for finding, line in zip(one.findings, one.lines, strict=True)
                ],
            }
            for one in saved
        ],
    }


def _print_saved(saved: "Sequence[Saved]", out: Path, *, named: bool) -> None:
    """Print the table on standard output, and every finding on standard error with the line that answers it."""
    from bayes_bm.digitizing.many import figures_table

    print_table(figures_table(saved), f"{len(saved)} figures -> {out}" if len(saved) > 1 else f"-> {out}", ARM_COLUMNS)
    for one in saved:
        if one.refusal:
            print_words(f"not read: {one.refusal}", ERR)
        for finding, line in zip(one.findings, one.lines, strict=True):
            print_words(_finding_text(finding, one.folder, line), ERR)
    print_words(f"look at {out / 'overlay.png'}" if len(saved) == 1 else "look at overlay.png of each figure")
    arms = [str(arm) for one in saved if one.table is not None for arm in one.table["arm"]]
    if arms:
        asked = [one for one in saved if any(finding.severity == "question" for finding in one.findings)]
        _print_next(arms[0], out, named=named, asked=asked)


def _print_next(arm: str, out: Path, *, named: bool, asked: "Sequence[Saved]") -> None:
    """Print how a reading becomes evidence: questions are answered, a spec names the manifest, and its treatments may
    have other names.
    """
    manifest = out / "curves.csv"
    print_words("next:")
    if len(asked) == 1:
        print_words("  answer the questions in calibration.toml, and add to the same command")
        print_words(f"    --calibration {asked[0].folder / 'calibration.toml'}")
    if not named:
        print_words(f'  --treatment "{arm}=NAME", where a spec calls the treatment of {arm} otherwise')
    print_words(f"  bayes-bm reconstruct --manifest {manifest} --out {out / 'patients'} --figures")
    print_words(f'  in a spec, under [evidence]: curves = ["{manifest}"], seen from the spec\'s folder')


def _finding_text(finding: Any, folder: Path, line: int) -> str:
    if finding.severity == "note":
        return f"- {finding.message}"
    return f"? {finding.kind}: {finding.message} Answer: {finding.answer} ({folder / 'calibration.toml'}, line {line})"
