"""The command `reconstruct`: one digitised curve, or a manifest of many, to patients."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayes_bm.cli.options import Draws, Json
from bayes_bm.cli.parsing import refuse_options
from bayes_bm.cli.printing import ERR, json_rows, print_json, print_table
from bayes_bm.runtime.errors import InputError

if TYPE_CHECKING:
    from bayes_bm.reconstruction.reconstruct import Reconstruction


def reconstruct(
    out: Annotated[Path, typer.Option("--out", help="Patients: time, event; with --manifest a folder.")],
    curve: Annotated[Path | None, typer.Argument(metavar="[CURVE.csv]", help="Columns time, survival.")] = None,
    at_risk: Annotated[Path | None, typer.Option("--at-risk", help="Columns time, at_risk.")] = None,
    ticks: Annotated[Path | None, typer.Option("--ticks", help="Column time: censor marks.")] = None,
    n: Annotated[int | None, typer.Option(min=1, help="Patients in the arm.")] = None,
    events: Annotated[int | None, typer.Option(min=0, help="Total events in the arm.")] = None,
    axis_max: Annotated[float | None, typer.Option("--axis-max", help="Right end of the time axis.")] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Points, steps, residuals, numbers at risk.")] = None,
    draws: Annotated[int, typer.Option("--draws", min=0, help="Plausible sets of patients.")] = 0,
    draws_out: Annotated[Path | None, typer.Option("--draws-out", help="Where they go: draw, time, event.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draws.")] = 1,
    manifest: Annotated[Path | None, typer.Option("--manifest", help="curves.csv: many arms in one call.")] = None,
    cores: Draws = None,
    figures: Annotated[bool, typer.Option("--figures", help="With --manifest: one PNG an arm.")] = False,
    time_unit: Annotated[str | None, typer.Option("--time-unit", help="With --manifest: of the patients.")] = None,
    as_json: Json = False,
) -> None:
    """Curve to patients, with what was honoured and what was contradicted; or, with --manifest, many curves."""
    alone = {"--at-risk": at_risk, "--ticks": ticks, "--n": n, "--events": events, "--axis-max": axis_max}
    alone |= {"--figure": figure, "--draws-out": draws_out}
    together = {"--cores": cores, "--figures": figures or None, "--time-unit": time_unit}
    if (curve is None) == (manifest is None):
        found = "neither" if curve is None else "both"
        raise InputError("CURVE.csv, --manifest", found=found, allowed="one curve, or a manifest of many")
    refuse_options(alone if manifest is not None else together, manifest is not None)
    if manifest is not None:
        return _reconstruct_manifest(
            manifest, out, cores=cores, draws=draws, seed=seed, figures=figures, time_unit=time_unit, as_json=as_json
        )
    if (draws_out is not None and not draws) or (draws and draws_out is None and figure is None):
        raise InputError("--draws, --draws-out", found="one of them", allowed="both, or --draws with --figure")
    assert curve is not None
    from bayes_bm.evidence.tables.reading import read_table
    from bayes_bm.reconstruction.reconstruct import reconstruct as rebuild

    tables = {"at_risk": at_risk, "ticks": ticks}
    read = {name: read_table(name, path) for name, path in tables.items() if path is not None}
    rec = rebuild(read_table("curve", curve), **read, n=n, events=events, axis_max=axis_max)
    _write_reconstruction(rec, out, figure=figure, draws=draws, draws_out=draws_out, seed=seed, name=curve.stem)
    if as_json:
        counts = {"n": len(rec.patients), "events": int(rec.patients["event"].sum())}
        told = {"verdict": rec.verdict, "reason": rec.reason, "diagnostics": json_rows(rec.diagnostics)}
        return print_json({"patients": str(out), **counts, **told})
    print_table(rec.diagnostics, f"{curve} -> {out}")
    return None


def _write_reconstruction(
    rec: "Reconstruction", out: Path, *, figure: Path | None, draws: int, draws_out: Path | None, seed: int, name: str
) -> None:
    """All files of one arm, or none: each is made whole before the first takes its name."""
    from contextlib import ExitStack

    from bayes_bm.reconstruction.reconstruct import stack_draws
    from bayes_bm.runtime.files import atomic_write

    with ExitStack() as files:
        rec.patients.to_csv(files.enter_context(atomic_write(out)), index=False)
        if draws_out is not None:
            drawn = stack_draws(rec.draw(draws, seed=seed))
            drawn.to_csv(files.enter_context(atomic_write(draws_out)), index=False)
        if figure is not None:
            from bayes_bm.report.plots.reconstruction import reconstruction_figure

            page = reconstruction_figure(rec, name=name, draws=draws, seed=seed)
            page.savefig(files.enter_context(atomic_write(figure)), dpi=150, metadata={"Software": None})


def _reconstruct_manifest(
    manifest: Path,
    out: Path,
    *,
    cores: int | None,
    draws: int,
    seed: int,
    figures: bool,
    time_unit: str | None,
    as_json: bool,
) -> None:
    from bayes_bm.evidence.manifest import reconstruct_all
    from bayes_bm.report.reconstructions import write_reconstructions

    if out.exists() and not out.is_dir():
        raise InputError(str(out), found="a file", allowed="a folder, for the files of all arms")
    with _counted("reconstruct") as say:
        found = reconstruct_all(manifest, cores=cores, draws=draws, seed=seed, time_unit=time_unit, say=say)
    files = write_reconstructions(found, out, figures=figures)
    if as_json:
        print_json({"files": [str(file) for file in files], "rows": json_rows(found.summary)})
    else:
        columns = ["study", "arm", "endpoint", "n", "events", "method", "at_risk_honoured", "verdict", "reason"]
        print_table(found.summary, f"{manifest} -> {out}", columns)
    found.require_all()


@contextmanager
def _counted(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on standard error where somebody is watching, else a plain line an arm."""
    if not ERR.is_terminal:
        yield lambda done, total, name: print(f"{title}: {done}/{total} {name}", file=sys.stderr, flush=True)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[arm]}", markup=False),
    )
    with Progress(*columns, console=ERR) as bar:
        task = bar.add_task(title, total=None, arm="")
        yield lambda done, total, name: bar.update(task, completed=done, total=total, arm=name)
