"""The command convert: from and to the tables of other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bayes_bm.cli.options import Json, expand_records
from bayes_bm.cli.printing import print_json, print_words
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import check_folder, check_places, write_csv, write_text

CLICKS = ("curve", "at_risk", "ticks")
TABLES = ("patients", "hazard_ratios", "counts", "arms")
IPDFROMKM = "ipdfromkm"
PROGRAMS = ("multinma", "survextrap", "metafor", "survival")
FORMATS = (*CLICKS, *TABLES, *PROGRAMS, IPDFROMKM)


@dataclass(frozen=True)
class GivenOptions:
    """What the file may not say."""

    study: Annotated[str | None, typer.Option("--study", help="Name of the study, where no column has it.")] = None
    treatment: Annotated[
        str | None, typer.Option("--treatment", help="Name of the treatment, where no column has it.")
    ] = None
    reference: Annotated[
        str | None, typer.Option("--reference", help="Reference of ratios, where no column has it.")
    ] = None
    endpoint: Annotated[str, typer.Option("--endpoint", help="Endpoint of ratios, counts and arms.")] = "os"
    dataset: Annotated[str | None, typer.Option("--dataset", help="Which curve, of a file with several.")] = None


@expand_records
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="Another program's table; or a SPEC, or curves.csv.")],
    target: Annotated[str, typer.Option("--to", help=f"A table of ours or a program: {', '.join(FORMATS)}.")],
    out: Annotated[Path, typer.Option("--out", help="A CSV file; of a program, a folder.")],
    given: GivenOptions,
    as_json: Json = False,
) -> None:
    """Convert another program's table to one of ours, or the evidence of a spec to tables and lines of R."""
    if target not in FORMATS:
        raise InputError("--to", found=repr(target)[:40], allowed=", ".join(FORMATS))
    programs = (*PROGRAMS, IPDFROMKM)
    files, said = _bundle(source, target, out) if target in programs else _table(Path(source), target, out, given)
    if as_json:
        return print_json({"files": files, "remarks": said})
    for sentence in said:
        print_words(f"- {sentence}")
    return print_words("written: " + ", ".join(files))


def _table(source: Path, kind: str, out: Path, given: GivenOptions) -> tuple[list[str], list[str]]:
    """Write a table of the contract; return the file and what was taken for what."""
    from bayes_bm.evidence.neighbours.clicks import convert_curve
    from bayes_bm.evidence.neighbours.reading import Given, convert_table
    from bayes_bm.evidence.tables.foreign_clicks import read_clicks

    check_places({"--out": out}, [source])
    if kind == "curve":
        converted = convert_curve(source, given.dataset)
        table, said = converted.table, list(converted.changes)
    elif kind in CLICKS:
        table = read_clicks(kind, source)
        said = list(table.attrs.get("changes", ()))
    else:
        names = Given(given.study, given.treatment, given.reference, given.endpoint)
        converted = convert_table(kind, source, names)
        table, said = converted.table, list(converted.changes)
    write_csv(table, out)
    return [str(out)], [*said, f"{len(table)} rows"]


def _bundle(source: str, program: str, out: Path) -> tuple[list[str], list[str]]:
    """Write the folder of a program; return its files and what they leave out."""
    from bayes_bm.evidence.neighbours.ipdfromkm import ipdfromkm_bundle
    from bayes_bm.evidence.neighbours.r_lines import r_bundle
    from bayes_bm.evidence.reading import read_evidence
    from bayes_bm.spec.reading import read_spec

    if program == IPDFROMKM:
        bundle = ipdfromkm_bundle(Path(source))
    else:
        spec = read_spec(source)
        bundle = r_bundle(program, spec, read_evidence(spec))
    check_folder("--out", out, bundle.files)
    for name, text in bundle.files.items():
        write_text(out / name, text)
    return [str(out / name) for name in bundle.files], [f"left out: {sentence}" for sentence in bundle.left_out]
