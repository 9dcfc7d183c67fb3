"""The command `reconstruct`: one digitised curve, or a manifest of many, to patients."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_bm.cli.limits import LARGEST_SEED, MOST_PATIENTS, number_option
from bayes_bm.cli.options import Cores, Json, expand_records
from bayes_bm.cli.parsing import refuse_options
from bayes_bm.cli.printing import check_figure, json_rows, print_json, print_table, show_progress, write_figure
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import atomic_write, check_folder, check_places

if TYPE_CHECKING:
    from bayes_bm.reconstruction.reconstruct import Reconstruction

SUMMARY_COLUMNS = ("study", "arm", "endpoint", "n", "events", "method", "at_risk_honoured", "verdict", "reason")
"""Columns of the printed table of a manifest; `--json` has all."""


@dataclass(frozen=True)
class CurveOptions:
    """One curve, and what is printed beside it."""

    curve: Annotated[Path | None, typer.Argument(metavar="[CURVE.csv]", help="Columns time, survival.")] = None
    at_risk: Annotated[Path | None, typer.Option("--at-risk", help="Columns time, at_risk.")] = None
    ticks: Annotated[Path | None, typer.Option("--ticks", help="Column time: censor marks.")] = None
    n: Annotated[int | None, typer.Option(min=1, max=MOST_PATIENTS, help="Number of patients in the arm.")] = None
    events: Annotated[int | None, typer.Option(min=0, max=MOST_PATIENTS, help="Total of events in the arm.")] = None
    axis_max: Annotated[
        float | None,
        typer.Option(
            "--axis-max", parser=number_option("--axis-max", greater_than=0), help="Right end of the time axis."
        ),
    ] = None
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Picture of points, steps, residuals, numbers at risk.")
    ] = None


@dataclass(frozen=True)
class DrawOptions:
    """Plausible sets of patients beside the best one."""

    draws: Annotated[int, typer.Option("--draws", min=0, max=10_000, help="Number of plausible sets of patients.")] = 0
    draws_out: Annotated[Path | None, typer.Option("--draws-out", help="File of these sets: draw, time, event.")] = None
    seed: Annotated[int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Seed of these sets.")] = 1


@dataclass(frozen=True)
class ManifestOptions:
    """Many curves in one call."""

    manifest: Annotated[Path | None, typer.Option("--manifest", help="curves.csv: many arms in one call.")] = None
    cores: Cores = None
    figures: Annotated[bool, typer.Option("--figures", help="With --manifest: one PNG an arm.")] = False
    time_unit: Annotated[
        str | None, typer.Option("--time-unit", help="With --manifest: time unit of the patients.")
    ] = None


@expand_records
def reconstruct(
    out: Annotated[Path, typer.Option("--out", help="Patients: time, event; with --manifest a folder.")],
    single: CurveOptions,
    drawing: DrawOptions,
    many: ManifestOptions,
    as_json: Json = False,
) -> None:
    """Curve to patients, with what was honoured and what was contradicted; or, with --manifest, many curves."""
    curve, manifest = single.curve, many.manifest
    if (curve is None) == (manifest is None):
        given = "neither" if curve is None else "both"
        raise InputError("CURVE.csv, --manifest", found=given, allowed="one curve, or a manifest of many")
    if manifest is not None:
        _refuse_single_options(single, drawing)
        _reconstruct_manifest(manifest, out, many, drawing, as_json=as_json)
    elif curve is not None:
        _refuse_manifest_options(single, drawing, many)
        _reconstruct_curve(curve, out, single, drawing, as_json=as_json)


def _refuse_single_options(single: CurveOptions, drawing: DrawOptions) -> None:
    options = {
        "--at-risk": single.at_risk,
        "--ticks": single.ticks,
        "--n": single.n,
        "--events": single.events,
        "--axis-max": single.axis_max,
        "--figure": single.figure,
        "--draws-out": drawing.draws_out,
    }
    refuse_options(options, "the manifest's column of that name")


def _refuse_manifest_options(single: CurveOptions, drawing: DrawOptions, many: ManifestOptions) -> None:
    options = {"--cores": many.cores, "--figures": many.figures or None, "--time-unit": many.time_unit}
    refuse_options(options, "only with --manifest")
    lost = drawing.draws and drawing.draws_out is None and single.figure is None
    if lost or (drawing.draws_out is not None and not drawing.draws):
        raise InputError("--draws, --draws-out", found="one of them", allowed="both, or --draws with --figure")


def _reconstruct_curve(path: Path, out: Path, single: CurveOptions, drawing: DrawOptions, *, as_json: bool) -> None:
    """Read one curve, write its patients, and say how well they agree with what was printed."""
    from bayes_bm.evidence.tables.foreign_clicks import read_clicks
    from bayes_bm.reconstruction.reconstruct import reconstruct as rebuild

    printed = {"at_risk": single.at_risk, "ticks": single.ticks}
    tables = {name: read_clicks(name, file) for name, file in printed.items() if file is not None}
    curve = read_clicks("curve", path)
    inputs = [path, *(file for file in printed.values() if file is not None)]
    check_figure(single.figure, inputs)
    check_places({"--out": out, "--draws-out": drawing.draws_out, "--figure": single.figure}, inputs)
    reconstruction = rebuild(curve, **tables, n=single.n, events=single.events, axis_max=single.axis_max)
    _write_files(reconstruction, out, name=path.stem, figure=single.figure, drawing=drawing)
    if as_json:
        print_json(reconstruction_document(reconstruction, out))
    else:
        print_table(reconstruction.diagnostics, f"{path} -> {out}")


def reconstruction_document(reconstruction: "Reconstruction", out: Path) -> dict[str, Any]:
    """Return the JSON document of one reconstructed curve."""
    return {
        "patients": str(out),
        "n": len(reconstruction.patients),
        "events": int(reconstruction.patients["event"].sum()),
        "verdict": reconstruction.verdict,
        "reason": reconstruction.reason,
        "diagnostics": json_rows(reconstruction.diagnostics),
    }


def _write_files(
    reconstruction: "Reconstruction", out: Path, *, name: str, figure: Path | None, drawing: DrawOptions
) -> None:
    """Write all files of one arm, or none: all is worked out before the first is written, and each is made whole before
    the first takes its name.
    """
    from bayes_bm.reconstruction.reconstruct import stack_draws

    drawn, page = None, None
    if drawing.draws_out is not None:
        drawn = stack_draws(reconstruction.draw(drawing.draws, seed=drawing.seed))
    if figure is not None:
        from bayes_bm.report.plots.reconstruction import reconstruction_figure

        page = reconstruction_figure(reconstruction, name=name, draws=drawing.draws, seed=drawing.seed)
    with ExitStack() as files:
        reconstruction.patients.to_csv(files.enter_context(atomic_write(out)), index=False)
        if drawing.draws_out is not None and drawn is not None:
            drawn.to_csv(files.enter_context(atomic_write(drawing.draws_out)), index=False)
        if figure is not None and page is not None:
            write_figure(page, files.enter_context(atomic_write(figure)))


def _reconstruct_manifest(
    manifest: Path, out: Path, many: ManifestOptions, drawing: DrawOptions, *, as_json: bool
) -> None:
    """Reconstruct every arm of a manifest into one folder; refused arms are named after the others are written."""
    from bayes_bm.evidence.files import registered_files
    from bayes_bm.evidence.manifest import reconstruct_all
    from bayes_bm.report.reconstructions import SUMMARY_FILES, write_reconstructions

    check_folder("--out", out, SUMMARY_FILES, registered_files(manifest))
    asked: dict[str, Any] = {"cores": many.cores, "draws": drawing.draws, "seed": drawing.seed}
    with show_count("reconstruct") as progress:
        reconstructions = reconstruct_all(manifest, **asked, time_unit=many.time_unit, say=progress)
    files = write_reconstructions(reconstructions, out, figures=many.figures)
    if as_json:
        print_json({"files": [str(file) for file in files], "rows": json_rows(reconstructions.summary)})
    else:
        print_table(reconstructions.summary, f"{manifest} -> {out}", SUMMARY_COLUMNS)
    reconstructions.require_all()


@contextmanager
def show_count(title: str) -> Generator[Callable[[int, int, str], None]]:
    """Show which is done and the time left on standard error where somebody is watching."""
    with show_progress(title) as say:
        yield lambda done, total, name: say(f"{done} of {total}, {name}")
