"""The command line: parse, call, print. Numbers come from the library; exit status from the errors.

0 done; 1 a gate refused; 2 the input or the call is wrong. With `--json` one document goes to standard output and
nothing else; progress and messages go to standard error.
"""

import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bayes_bm.errors import BayesBmError, InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from bayes_bm.fit import Result
    from bayes_bm.reconstruct import Reconstruction

app = typer.Typer(
    help="Bayesian survival evidence synthesis from published curves and numbers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# a table squeezed into 80 columns loses digits; a narrow terminal may wrap the line instead
OUT = Console(soft_wrap=True, width=max(shutil.get_terminal_size().columns, 140))
ERR = Console(stderr=True, soft_wrap=True)

SHORT = 20
"""Text of up to so many letters is never wrapped in a table."""
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
Side = Annotated[int, typer.Option("--cores", min=1, help="Fits side by side.")]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", help="Address of a Dask scheduler, tcp://...: fits run on its workers.")
]
Processes = Annotated[int, typer.Option("--processes", min=1, help="Processes that share the imputations.")]
Imputations = Annotated[
    int | None,
    typer.Option(help="Fit M >= 20 plausible sets of the patients behind curves, not the best alone."),
]


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


# ---------------------------------------------------------------------------------------------- small things


@contextmanager
def _progress(title: str) -> Iterator[Callable[[str], None]]:
    """A status line on standard error where somebody is watching, else a plain line a stage."""
    if not ERR.is_terminal:
        yield lambda stage: print(f"{title}: {stage}", file=sys.stderr, flush=True)
        return
    with ERR.status(title) as status:
        yield lambda stage: status.update(f"{title}: {stage}")


def _numbers(text: str | None, option: str) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(option, found=text, allowed="numbers separated by commas, such as 6,12,24") from None


def _pairs(text: str | None, option: str = "--patient") -> dict[str, float]:
    """`kps_10=1,age=61` as a mapping."""
    found = {}
    for part in filter(None, (text or "").split(",")):
        name, _, value = part.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise InputError(option, found=part, allowed="name=number, separated by commas") from None
    return found


def _changes(settings: Sequence[str] | None) -> dict[str, Any]:
    """`--set priors.log_hr.sd=2` as a patch; values are TOML, bare words are strings."""
    import tomllib

    found: dict[str, Any] = {}
    for text in settings or ():
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise InputError("--set", found=text, allowed="key=value, such as sampling.draws=2000")
        try:
            found[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = value
    return found


def _clean(value: Any) -> Any:
    """JSON has no NaN: null stands for what does not exist."""
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print_json(document: Mapping[str, Any]) -> None:
    print(json.dumps(_clean(document), indent=1, allow_nan=False))


def _rows(table: "pd.DataFrame") -> list[dict[str, Any]]:
    return _clean(table.astype(object).where(table.notna(), None).to_dict("records"))


def _print_table(table: "pd.DataFrame", title: str, columns: Sequence[str] | None = None) -> None:
    """A plain table; numbers to three significant figures."""
    shown = Table(title=Text(title), title_justify="left", title_style="bold", box=None, pad_edge=False)
    names = [name for name in columns or list(table.columns) if name in table]
    for name in names:
        numeric = all(_is_number(value) for value in table[name])
        short = numeric or table[name].astype(str).str.len().max() <= SHORT
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=bool(short))
    for row in table[names].itertuples(index=False):
        # log_hr[b] is a name, not rich's markup for bold
        shown.add_row(*(Text(_cell(value)) for value in row))
    OUT.print(shown)
    OUT.print()


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def _load(path: Path, *, allow_failed: bool) -> "Result":
    from bayes_bm.fit import load

    result = load(path)
    result.require_gate(allow_failed=allow_failed)
    if not result.gate.passed:
        ERR.print(Text(f"the convergence gate of {path} failed: {'; '.join(result.gate.reasons)}"))
    return result


def _gate_field(result: "Result") -> dict[str, Any]:
    return {"gate": result.gate.state, "spec": result.spec.name, "time_unit": result.spec.time_unit}


# ---------------------------------------------------------------------------------------------- commands


@app.command()
def models(as_json: Json = False) -> None:
    """The shipped specs: name and question."""
    from bayes_bm.spec import list_models, read_spec

    found = [{"name": path.stem, "question": read_spec(path).question} for path in list_models()]
    if as_json:
        return _print_json({"models": found})
    import pandas as pd

    return _print_table(pd.DataFrame(found), "shipped models")


@app.command()
def simulate(
    spec: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for spec.toml, truth.json and a table a kind.")],
    seed: Seed = None,
    studies: Annotated[int, typer.Option(min=1, help="Studies in the world.")] = 14,
    sizes: Annotated[str, typer.Option(help="Fewest and most patients of an arm.")] = "20,80",
    mix: Annotated[
        str | None, typer.Option(help="kind=share,...: patients, points, medians, hazard_ratios, counts.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="TOML or JSON: parameters that are given, not drawn.")] = None,
    numbers: Annotated[
        str, typer.Option(help="patients (as a paper would) or likelihood (as the model says).")
    ] = "patients",
    wrong: Annotated[str | None, typer.Option(help="A wrong assumption by name, such as swapped_arms.")] = None,
    curves: Annotated[str | None, typer.Option(help="Patients as curves: drawn or clicked.")] = None,
    click_error: Annotated[float, typer.Option("--click-error", min=0.0, help="Share of each axis.")] = 0.003,
    clicks: Annotated[int, typer.Option(min=10, help="On each curve.")] = 100,
    settings: Setting = None,
    sensitivity: Sensitivity = None,
    as_json: Json = False,
) -> None:
    """A synthetic world from the model with recorded truth, and a spec that runs on it."""
    from bayes_bm.simulation.world import read_truth
    from bayes_bm.simulation.world import simulate as made
    from bayes_bm.spec import read_spec

    found = read_spec(spec, sensitivity=sensitivity, changes=_changes(settings))
    asked: dict[str, Any] = {"numbers": numbers, "wrong": wrong, "curves": curves}
    world = made(
        found,
        seed=seed,
        studies=studies,
        sizes=_sizes(sizes),
        mix=_pairs(mix, "--mix") or None,
        truth=None if truth is None else read_truth(truth),
        click_error=click_error,
        clicks=clicks,
        **asked,
    )
    files = world.write(out)
    if as_json:
        return _print_json({"spec": world.spec.name, "files": [str(file) for file in files], "truth": world.truth})
    import pandas as pd

    rows = pd.DataFrame(world.truth["answers"])
    _print_table(rows[rows["time"].isna() | (rows["time"] == found.reference_time)], "true answers")
    return OUT.print(Text(f"written: {out}; next: bayes-bm run {out / 'spec.toml'} --out {out / 'run'}"))


def _sizes(text: str) -> tuple[int, int]:
    found = _numbers(text, "--sizes") or []
    if len(found) != 2 or any(value != int(value) for value in found):
        raise InputError("--sizes", found=text, allowed="two whole numbers, such as 20,80")
    return int(found[0]), int(found[1])


@app.command()
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
    _refuse_options(alone if manifest is not None else together, manifest is not None)
    if manifest is not None:
        return _reconstruct_manifest(
            manifest, out, cores=cores, draws=draws, seed=seed, figures=figures, time_unit=time_unit, as_json=as_json
        )
    if (draws_out is not None and not draws) or (draws and draws_out is None and figure is None):
        raise InputError("--draws, --draws-out", found="one of them", allowed="both, or --draws with --figure")
    assert curve is not None
    from bayes_bm.reconstruct import reconstruct as rebuild
    from bayes_bm.tables import read_table

    tables = {"at_risk": at_risk, "ticks": ticks}
    read = {name: read_table(name, path) for name, path in tables.items() if path is not None}
    rec = rebuild(read_table("curve", curve), **read, n=n, events=events, axis_max=axis_max)
    _write_reconstruction(rec, out, figure=figure, draws=draws, draws_out=draws_out, seed=seed, name=curve.stem)
    if as_json:
        counts = {"n": len(rec.patients), "events": int(rec.patients["event"].sum())}
        told = {"verdict": rec.verdict, "reason": rec.reason, "diagnostics": _rows(rec.diagnostics)}
        return _print_json({"patients": str(out), **counts, **told})
    _print_table(rec.diagnostics, f"{curve} -> {out}")
    return None


def _refuse_options(options: Mapping[str, Any], many: bool) -> None:
    """Options of the other form of the call."""
    for option, value in options.items():
        if value is not None:
            allowed = "the manifest's column of that name" if many else "only with --manifest"
            raise InputError(option, found=value, allowed=allowed)


def _write_reconstruction(
    rec: "Reconstruction", out: Path, *, figure: Path | None, draws: int, draws_out: Path | None, seed: int, name: str
) -> None:
    """All files of one arm, or none: each is made whole before the first takes its name."""
    from contextlib import ExitStack

    from bayes_bm.files import written_whole
    from bayes_bm.reconstruct import under_each_other

    with ExitStack() as files:
        rec.patients.to_csv(files.enter_context(written_whole(out)), index=False)
        if draws_out is not None:
            drawn = under_each_other(rec.draw(draws, seed=seed))
            drawn.to_csv(files.enter_context(written_whole(draws_out)), index=False)
        if figure is not None:
            from bayes_bm.plots.reconstruction import reconstruction_figure

            page = reconstruction_figure(rec, name=name, draws=draws, seed=seed)
            page.savefig(files.enter_context(written_whole(figure)), dpi=150, metadata={"Software": None})


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
    from bayes_bm.manifest import reconstruct_all, write_reconstructions

    if out.exists() and not out.is_dir():
        raise InputError(str(out), found="a file", allowed="a folder, for the files of all arms")
    with _counted("reconstruct") as say:
        found = reconstruct_all(manifest, cores=cores, draws=draws, seed=seed, time_unit=time_unit, say=say)
    files = write_reconstructions(found, out, figures=figures)
    if as_json:
        _print_json({"files": [str(file) for file in files], "rows": _rows(found.summary)})
    else:
        columns = ["study", "arm", "endpoint", "n", "events", "method", "at_risk_honoured", "verdict", "reason"]
        _print_table(found.summary, f"{manifest} -> {out}", columns)
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


@app.command()
def audit(
    spec: SpecName,
    settings: Setting = None,
    sensitivity: Sensitivity = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="The network of treatments as a picture.")] = None,
    as_json: Json = False,
) -> None:
    """What each row of evidence informs, before any fit. Exit status 1 where a fit would be refused."""
    from bayes_bm.checks.audit import audit as audit_evidence
    from bayes_bm.checks.audit import require_usable
    from bayes_bm.evidence import read_evidence
    from bayes_bm.spec import read_spec

    found = read_spec(spec, sensitivity=sensitivity, changes=_changes(settings))
    evidence = read_evidence(found)
    done = audit_evidence(found, evidence)
    if figure is not None:
        from bayes_bm.checks.network import network
        from bayes_bm.plots.network import network_figure

        _save_figure(network_figure(network(found, evidence)), figure)
    tables = {
        "rows": done.rows,
        "treatments": done.treatments,
        "contrasts": done.contrasts,
        "set_aside": done.set_aside,
    }
    if as_json:
        listed = {name: _rows(table) for name, table in tables.items()}
        _print_json({"spec": found.name, **listed, "notes": list(done.notes), "refusals": list(done.refusals)})
    else:
        _print_audit(found.name, tables, done.notes)
    require_usable(found, evidence)


def _save_figure(page: "Figure", path: Path) -> None:
    """Whole or not at all; the same bytes for the same picture."""
    from bayes_bm.files import written_whole

    known = ("pdf", "png", "svg")
    if path.suffix.removeprefix(".") not in known:
        raise InputError("--figure", found=path.name, allowed=", ".join(f".{name}" for name in known))
    with written_whole(path) as file:
        page.savefig(file, dpi=150, format=path.suffix.removeprefix("."))


def _print_audit(name: str, tables: Mapping[str, "pd.DataFrame"], notes: Sequence[str]) -> None:
    titles = {
        "rows": "evidence in use",
        "treatments": "treatments",
        "contrasts": "side by side",
        "set_aside": "set aside",
    }
    OUT.print(f"[bold]{name}[/]\n")
    for key, table in tables.items():
        if len(table):
            _print_table(table, titles[key])
    for note in notes:
        OUT.print(Text(f"- {note}"))


@app.command()
def fit(
    spec: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Where the posterior goes (NetCDF).")],
    draws: Draws = None,
    tune: Draws = None,
    chains: Draws = None,
    cores: Draws = None,
    seed: Seed = None,
    imputations: Imputations = None,
    processes: Processes = 1,
    scheduler: Scheduler = None,
    settings: Setting = None,
    sensitivity: Sensitivity = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Sample the posterior. A failed convergence gate is written into the result and exits with status 1."""
    from bayes_bm.fit import fit as sample
    from bayes_bm.spec import read_spec

    found = read_spec(spec, sensitivity=sensitivity, changes=_changes(settings))
    with _progress(found.name) as say:
        asked: dict[str, Any] = {"draws": draws, "tune": tune, "chains": chains, "cores": cores, "seed": seed}
        many: dict[str, Any] = {"imputations": imputations, "processes": processes, "scheduler": scheduler}
        result = sample(found, **asked, **many, say=say)
    result.save(out)
    if as_json:
        _print_json(
            {**_gate_field(result), "result": str(out), **result.gate.document(), "provenance": result.provenance}
        )
    else:
        import pandas as pd

        _print_table(pd.DataFrame(result.gate.rows), f"{found.name}: convergence gate {result.gate.state}")
        OUT.print(Text(f"written: {out}"))
    result.require_gate(allow_failed=allow_failed_gate)


@app.command()
def compare(
    result_file: ResultFile,
    reference: Annotated[str | None, typer.Option(help="Another treatment to compare against.")] = None,
    who: WhoName = "average-study",
    horizon: Annotated[float | None, typer.Option(min=0.0, help="For the restricted mean.")] = None,
    times: Times = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Treatments against the reference."""
    from bayes_bm.predict import answer_table, compared, parse_who

    result = _load(result_file, allow_failed=allow_failed_gate)
    chosen = parse_who(who)
    at = _numbers(times, "--times")
    answers = list(compared(result, who=chosen, reference=reference, horizon=horizon, times=at))
    table, rebuilt = answer_table(answers), _rebuilt(result, answers)
    if as_json:
        return _print_json({"who": chosen.name, **_gate_field(result), "rows": _rows(table), **rebuilt})
    columns = ["estimand", "treatment", "reference", "time", "median", "q2_5", "q97_5", "prob_better", "label"]
    _print_table(table, f"{result.spec.question} ({chosen.name}, {result.spec.time_unit})", columns)
    for found in rebuilt.values():
        OUT.print(Text(found["note"]))
    return None


@app.command()
def incidence(
    result_files: Annotated[list[Path], typer.Argument(help="One result for each cause (cause = ... in its spec).")],
    times: Annotated[str, typer.Option(help="Such as 6,12,24.")],
    who: WhoName = "new-study",
    alive_at: Annotated[float, typer.Option(min=0.0, help="Given free of every cause at this time.")] = 0.0,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Cumulative incidence of competing causes, such as local failure and death, from one fit for each."""
    from bayes_bm.competing import cumulative_incidence, incidence_table
    from bayes_bm.predict import parse_who

    results = [_load(path, allow_failed=allow_failed_gate) for path in result_files]
    found = cumulative_incidence(results, _numbers(times, "--times") or [], who=parse_who(who), alive_at=alive_at)
    table, failed = incidence_table(found), [of for of in results if not of.gate.passed]
    if as_json:
        return _print_json({"who": who, **_gate_field((failed or results)[0]), "rows": _rows(table)})
    return _print_table(table, f"cumulative incidence ({who}, {results[0].spec.time_unit})")


@app.command()
def rank(
    result_file: ResultFile,
    estimand: Annotated[
        str | None, typer.Option(help="log_hr (log_time_ratio of accelerated time; the default), rmst or survival.")
    ] = None,
    who: WhoName = "average-study",
    time: Annotated[float | None, typer.Option(help="For survival and, if it changes, the hazard ratio.")] = None,
    horizon: Annotated[float | None, typer.Option(min=0.0, help="For the restricted mean.")] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Probability of every rank as a picture.")] = None,
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Probability of every rank of every treatment; rank 1 is the lowest hazard or the longest time."""
    from bayes_bm.predict import parse_who
    from bayes_bm.ranking import rank as rank_treatments

    result = _load(result_file, allow_failed=allow_failed_gate)
    asked: Any = estimand
    found = rank_treatments(result, asked, who=parse_who(who), time=time, horizon=horizon)
    if figure is not None:
        from bayes_bm.plots.ranking import ranks_figure

        _save_figure(ranks_figure(found), figure)
    named = {"estimand": found.estimand, "time": found.time, "rank_1": found.first, "warning": found.warning}
    if as_json:
        tables = {"rows": _rows(found.table), "probabilities": _rows(found.probabilities)}
        return _print_json({"who": found.who, **_gate_field(result), **named, **tables})
    wide = found.probabilities.pivot_table(index="treatment", columns="rank", values="probability")
    wide = wide.rename(columns="P(rank {})".format).reset_index()
    when = "" if found.time is None else f" at {found.time:g} {result.spec.time_unit}"
    _print_table(found.table, f"{found.estimand}{when} ({found.who}); rank 1: {found.first}")
    _print_table(found.table[["treatment"]].merge(wide, on="treatment"), "probability of each rank")
    return OUT.print(Text(found.warning))


def _rebuilt(result: "Result", answers: Sequence[tuple[dict[str, Any], Any]]) -> dict[str, Any]:
    """What rebuilding patients from curves adds to these answers (rule 19); empty where there are no curves."""
    from bayes_bm.plots.words import reconstruction_sentence
    from bayes_bm.report import rebuilt_of
    from bayes_bm.widening import answer_variance

    found = rebuilt_of(result)
    if found is None:
        return {}
    rows = _rows(answer_variance(result, answers)) if found.m > 1 else []
    return {
        "reconstruction": {
            "arms": found.arms,
            "imputations": found.m,
            "note": reconstruction_sentence(found, result.spec),
            "variance": rows,
        }
    }


@app.command()
def predict(
    result_file: ResultFile,
    patient: Annotated[str | None, typer.Option(help="name=value, separated by commas.")] = None,
    patients: Annotated[
        Path | None, typer.Option(help="CSV with a column a covariate, and optionally `patient`.")
    ] = None,
    treatment: Annotated[str | None, typer.Option(help="Comma-separated; all where left out.")] = None,
    without: Annotated[
        str | None, typer.Option(help="Comma-separated: treatments that the patient cannot have.")
    ] = None,
    times: Times = None,
    alive_at: Annotated[float, typer.Option("--alive-at", help="Given alive at this time.")] = 0.0,
    horizon: Annotated[float | None, typer.Option(min=0.0, help="For the restricted mean.")] = None,
    margin: Annotated[
        str | None, typer.Option(help="rmst=1,survival=0.05: the probability of being better by more than that.")
    ] = None,
    estimand: Annotated[
        str | None, typer.Option(help="Comma-separated: survival, median, rmst (the default), hazard, quantile:0.25.")
    ] = None,
    outcomes: Annotated[
        bool, typer.Option("--outcomes", help="What could happen to one such patient, beside the curve.")
    ] = False,
    figure: Annotated[Path | None, typer.Option("--figure", help="Curves, and below them outcomes.")] = None,
    who: WhoName = "new-study",
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Survival, median and restricted mean of one patient or of many, under each treatment."""
    from bayes_bm.predict import ESTIMANDS, parse_who, patient_distance, patient_missing
    from bayes_bm.predict import predict as predict_patients

    result = _load(result_file, allow_failed=allow_failed_gate)
    if patient is not None and patients is not None:
        raise InputError("--patient, --patients", found="both", allowed="one of them")
    values, names = _patients_of(patients) if patients is not None else ([_pairs(patient)], None)
    if figure is not None and len(values) > 1:
        raise InputError("--figure", found=f"{len(values)} patients", allowed="one patient")
    chosen = {"treatments": _names(treatment), "without": _names(without) or []}
    asked: dict[str, Any] = {**chosen, "alive_at": alive_at, "who": parse_who(who)}
    at = _numbers(times, "--times")
    table = predict_patients(
        result,
        values,
        **asked,
        times=at,
        names=names,
        horizon=horizon,
        margins=_pairs(margin, "--margin"),
        estimands=_names(estimand) or ESTIMANDS,
    )
    titles = names or [str(place + 1) for place in range(len(values))]
    drawn = _outcome_tables(result, dict(zip(titles, values, strict=True)), at, asked) if outcomes else {}
    if figure is not None:
        from bayes_bm.patient_page import patient_curves
        from bayes_bm.plots.patient import patient_figure

        _save_figure(patient_figure(patient_curves(result, values[0], **asked, horizon=horizon)), figure)
    if as_json:
        about = {"patients": [_about(result, title, one) for title, one in zip(titles, values, strict=True)]}
        told = {"outcomes": [{"patient": name, **row} for name, of in drawn.items() for row in _rows(of)]}
        shown = {"rows": _rows(table), **about, **(told if outcomes else {})}
        return _print_json({"who": who, "alive_at": alive_at, **_gate_field(result), **shown})
    columns = ["patient", "treatment", "reference", "estimand", "time", "median", "q5", "q95", "prob_better", "label"]
    if margin is not None:
        columns = [*columns[:-1], "margin", "prob_better_by_margin", "label"]
    marks = sorted({mark for label in table["label"] for mark in label.split("; ") if mark.startswith(PRIOR_ONLY)})
    shown = table.assign(label=[_starred(label) for label in table["label"]])
    _print_table(shown, f"{result.spec.question} ({who}, {result.spec.time_unit})", columns)
    for mark in marks:
        OUT.print(f"* {mark}: no evidence here informs these coefficients")
    for title, found in drawn.items():
        _print_table(found, f"what could happen to one such patient ({title}): times of the event, {SPREAD_OF_ONE}")
    for title, one in zip(titles[:1] if len(values) > 3 else titles, values, strict=False):
        if result.spec.covariates:
            for text in (patient_missing(result, one).text, patient_distance(result, one).text):
                ERR.print(Text(f"patient {title}: {text}" if text and len(values) > 1 else text))
    return None


def _about(result: "Result", title: str, patient: Mapping[str, float]) -> dict[str, Any]:
    """What was given of a patient, what became of the rest, and how far the patient is from the evidence."""
    from bayes_bm.predict import patient_distance, patient_missing

    left = patient_missing(result, patient)
    return {
        "patient": title,
        "given": patient,
        "distance": patient_distance(result, patient).document(),
        "averaged_over_the_evidence": list(left.averaged),
        "at_the_centre": list(left.centred),
    }


SPREAD_OF_ONE = "one patient's spread, not the uncertainty of the curve"


def _outcome_tables(
    result: "Result", patients: Mapping[str, Mapping[str, float]], times: "Sequence[float] | None", asked: dict
) -> "dict[str, pd.DataFrame]":
    """What could happen to each patient, by title."""
    from bayes_bm.outcomes import outcome_table, outcomes, outcomes_of_times

    at = outcomes_of_times(result, times, asked["alive_at"])
    return {title: outcome_table(outcomes(result, one, **asked), at) for title, one in patients.items()}


PRIOR_ONLY = "prior only: "
PARAMETER_COLUMNS = (
    *("parameter", "prior_mean", "prior_sd", "mean", "sd", "prior_only"),
    *("prior_sensitivity", "likelihood_sensitivity", "power_says"),
)


def _starred(label: str) -> str:
    """The long mark of prior-only coefficients as a star, explained below the table."""
    return "; ".join("*" if mark.startswith(PRIOR_ONLY) else mark for mark in label.split("; "))


def _patients_of(path: Path) -> tuple[list[dict[str, float]], list[str]]:
    """Rows of a patients file: covariates by name, blank cells left out."""
    import pandas as pd

    if not path.is_file():
        raise InputError(str(path), found="no such file")
    table = pd.read_csv(path)
    if table.empty:
        raise InputError(str(path), found="no rows")
    names = (
        [str(name) for name in table.pop("patient")]
        if "patient" in table
        else [str(at + 1) for at in range(len(table))]
    )
    for column in table:
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(f"{path}, column {column}", found=f"text ({table[column].iloc[0]})", allowed="numbers")
    rows = [{str(name): value for name, value in row.items() if pd.notna(value)} for row in table.to_dict("records")]
    return rows, names


@app.command()
def serve(
    result_file: ResultFile,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    allow_failed_gate: AllowFailed = False,
) -> None:
    """The patient page in a browser, on this machine's own address only; Ctrl-C ends it."""
    from bayes_bm.serve import PatientPage, server

    running = server(PatientPage(_load(result_file, allow_failed=allow_failed_gate)), port)
    host, number = running.server_address[:2]
    print(f"http://{host!s}:{number}/ answers for {result_file}; Ctrl-C ends it", file=sys.stderr, flush=True)
    with running:
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print("ended", file=sys.stderr)


@app.command()
def standardise(
    result_file: ResultFile,
    cohort: Annotated[Path, typer.Option("--cohort", help="CSV: a row a patient, a column a covariate.")],
    treatment: Annotated[str | None, typer.Option(help="Comma-separated; all where left out.")] = None,
    without: Annotated[str | None, typer.Option(help="Comma-separated: treatments to leave out.")] = None,
    times: Times = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="The cohort is a sample of whom is asked about.")
    ] = False,
    who: WhoName = "new-study",
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """Survival of a whole cohort had all had the same treatment (g-computation), and differences."""
    from bayes_bm.cohort import read_cohort, standardise, standardised_table
    from bayes_bm.predict import parse_who

    result = _load(result_file, allow_failed=allow_failed_gate)
    table, at = read_cohort(result.spec, cohort), _numbers(times, "--times") or list(result.spec.answer_times)
    asked: dict[str, Any] = {"treatments": _names(treatment), "without": _names(without) or []}
    values = standardise(result, table, at, **asked, who=parse_who(who), resample=resample)
    found = standardised_table(values)
    if as_json:
        return _print_json({"who": who, "patients": len(table), **_gate_field(result), "rows": _rows(found)})
    return _print_table(found, f"{len(table)} patients, had all had one treatment ({who}, {result.spec.time_unit})")


@app.command()
def score(
    result_file: ResultFile,
    cohort: Annotated[Path, typer.Option("--cohort", help="CSV: time, event, treatment, and covariates.")],
    times: Times = None,
    at: Annotated[float | None, typer.Option(help="Time of the calibration; the reference time.")] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Observed against predicted, and D-calibration.")
    ] = None,
    who: WhoName = "new-study",
    allow_failed_gate: AllowFailed = False,
    as_json: Json = False,
) -> None:
    """How predictions agree with a cohort's outcomes: Brier scores, concordance, calibration."""
    from bayes_bm.checks.scoring import score_cohort
    from bayes_bm.cohort import read_cohort
    from bayes_bm.predict import parse_who

    result = _load(result_file, allow_failed=allow_failed_gate)
    table = read_cohort(result.spec, cohort, outcomes=True)
    found = score_cohort(result, table, _numbers(times, "--times"), at=at, who=parse_who(who))
    if figure is not None:
        from bayes_bm.plots.scoring import score_figure

        _save_figure(score_figure(found), figure)
    if as_json:
        return _print_json({"who": who, **_gate_field(result), **found.document()})
    _print_table(found.brier, f"Brier scores of {found.patients} patients; integrated {found.integrated_brier:.4f}")
    _print_table(found.concordance, "concordance; risk: one less predicted survival at the time of the calibration")
    _print_table(found.calibration, f"survival at {found.at:g} {result.spec.time_unit}, in groups by prediction")
    return _print_table(found.d_calibration, f"D-calibration: shares should be equal (p = {found.d_p:.3g})")


@app.command()
def check(
    result_file: ResultFile,
    leave_one_out: Annotated[
        str | None, typer.Option("--leave-one-out", help="study: leave out each study in turn.")
    ] = None,
    treatment: Annotated[
        str | None, typer.Option(help="With --leave-one-out: of the contrast; the first that is compared.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --leave-one-out: folder; leave_one_out beside the result.")
    ] = None,
    cores: Side = 1,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> None:
    """Gates, reconciliation, predictive checks, studies against each other. Exit status 1 where a gate refuses."""
    from bayes_bm.checks.check import check as check_result
    from bayes_bm.fit import load

    if leave_one_out not in (None, "study"):
        raise InputError("--leave-one-out", found=leave_one_out, allowed="study")
    if leave_one_out is None:
        for option, given in {"--treatment": treatment, "--out": out, "--scheduler": scheduler}.items():
            if given is not None:
                raise InputError(option, found=given, allowed="only with --leave-one-out study")
    result = load(result_file)
    done = check_result(result)
    parameters = done.parameters.drop(columns="prior")
    asked: dict[str, Any] = {"treatment": treatment, "cores": cores, "scheduler": scheduler}
    folder = out or result_file.parent / "leave_one_out"
    left = {} if leave_one_out is None else _leave_one_out(result, folder, asked, show=not as_json)
    if as_json:
        tables = {"reconciliation": _rows(done.reconciliation), "parameters": _rows(parameters)}
        of = done.battery
        tables |= {"flags": _rows(of.flags), "predictive": _rows(of.predictive), "studies": _rows(of.studies)}
        tables |= {"pit": _rows(of.pit), "first_events": _rows(of.first), "words": of.sentences()}
        gate = {"gate_rows": list(result.gate.rows), "reasons": list(result.gate.reasons)}
        _print_json({**_gate_field(result), **gate, **tables, **left})
    else:
        import pandas as pd

        _print_table(pd.DataFrame(result.gate.rows), f"convergence gate {result.gate.state}")
        _print_table(done.reconciliation, "reconciliation", _RECONCILIATION)
        columns = ["flagged", "question", "worst", "asked", "p_question", "threshold"]
        _print_table(done.battery.flags, "misfits: arms, printed numbers, studies", columns)
        for text in (*done.battery.sentences(), done.battery.not_seen):
            OUT.print(Text(f"- {text}"))
        OUT.print("")
        _print_table(
            parameters,
            "prior and posterior, and how far either moves a parameter (power scaling; above 0.05 it matters)",
            [name for name in PARAMETER_COLUMNS if name in parameters],
        )
    result.require_gate()
    done.require_no_red()


def _leave_one_out(result: "Result", folder: Path, asked: dict[str, Any], *, show: bool) -> dict[str, Any]:
    """Every study left out in turn; tables and picture in the folder."""
    from bayes_bm.checks.leave_one_out import leave_one_out
    from bayes_bm.plots.leave_one_out import leave_one_out_figure

    with _progress(result.spec.name) as say:
        done = leave_one_out(result, folder, **asked, say=say)
    _save_figure(leave_one_out_figure(done.studies, title=result.spec.question), folder / "leave_one_out.png")
    if show:
        columns = ["study", "method", "pareto_k", "elpd", "ratio", "ratio_low", "ratio_high", "shift", "note"]
        first = done.studies.iloc[0]
        title = f"{first['measure']}, {first['treatment']} against {first['reference']}, without each study"
        _print_table(done.studies.replace({"study": {"": "(all studies)"}}), title, columns)
        _print_table(done.coverage, "printed numbers inside what the other studies foretell")
        OUT.print(Text(f"written: {folder}"))
    tables = {"leave_one_out": done.studies, "leave_one_out_numbers": done.numbers}
    return {name: _rows(table) for name, table in tables.items()} | {
        "leave_one_out_coverage": _rows(done.coverage),
        "leave_one_out_folder": str(folder),
    }


@app.command()
def split(
    spec: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for splits.csv, models.csv and the fits kept.")],
    compare: Annotated[
        list[str] | None, typer.Option("--compare", help="A:B, one comparison to split; all where left out.")
    ] = None,
    unrelated: Annotated[bool, typer.Option(help="Fit unrelated mean effects too.")] = True,
    draws: Draws = None,
    tune: Draws = None,
    chains: Draws = None,
    seed: Seed = None,
    settings: Setting = None,
    sensitivity: Sensitivity = None,
    as_json: Json = False,
) -> None:
    """Direct against indirect evidence of every comparison that has both. A fit each, kept and not redone."""
    from bayes_bm.checks.audit import require_usable
    from bayes_bm.checks.splitting import node_splits
    from bayes_bm.evidence import read_evidence
    from bayes_bm.files import written_whole
    from bayes_bm.spec import read_spec

    found = read_spec(spec, sensitivity=sensitivity, changes=_changes(settings))
    evidence = read_evidence(found)
    require_usable(found, evidence)
    asked = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
    given = {name: value for name, value in asked.items() if value is not None}
    pairs = None if compare is None else [_pair(text) for text in compare]
    with _progress(found.name) as say:
        done = node_splits(found, evidence, pairs=pairs, unrelated=unrelated, sampling=given, folder=out, say=say)
    for name, table in {"splits": done.table, "models": done.models}.items():
        with written_whole(out / f"{name}.csv") as file:
            table.to_csv(file, index=False)
    if as_json:
        tables = {"rows": done.table, "models": done.models, "comparisons": done.comparisons}
        listed = {name: _rows(table) for name, table in tables.items()}
        return _print_json({"spec": found.name, "measure": f"log {done.measure}", **listed})
    columns = ["treatment", "reference", "source", "studies", "median", "q2_5", "q97_5", "p", "note"]
    _print_table(done.table, f"log {done.measure}, direct against indirect (p: twice the smaller tail)", columns)
    _print_table(done.models, "deviance, effective parameters, DIC: only differences mean something")
    left = done.comparisons[~done.comparisons["split"].astype(bool)]
    if len(left):
        _print_table(left, "not split", ["treatment", "reference", "studies", "why"])
    return None


def _pair(text: str) -> tuple[str, str]:
    one, colon, other = text.partition(":")
    if not colon or not one.strip() or not other.strip():
        raise InputError("--compare", found=text, allowed="A:B, two treatments of the spec")
    return one.strip(), other.strip()


@app.command()
def sensitivity(
    spec: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for sensitivity.csv, sensitivity.png and the fits kept.")],
    families: Annotated[str | None, typer.Option(help="Comma-separated; every family where left out.")] = None,
    only: Annotated[str | None, typer.Option(help="Comma-separated names of analyses; the base always stays.")] = None,
    cross: Annotated[bool, typer.Option("--cross", help="Every family under every named analysis too.")] = False,
    treatment: Annotated[str | None, typer.Option(help="Of the main contrast; the first that is compared.")] = None,
    draws: Draws = None,
    tune: Draws = None,
    chains: Draws = None,
    seed: Seed = None,
    cores: Side = 1,
    scheduler: Scheduler = None,
    settings: Setting = None,
    as_json: Json = False,
) -> None:
    """The main answer under every named analysis and every hazard family. A fit each, kept and not redone."""
    from bayes_bm.checks.sensitivity import sensitivity as every_analysis
    from bayes_bm.plots.sensitivity import sensitivity_figure
    from bayes_bm.spec import read_spec

    found = read_spec(spec, changes=_changes(settings))
    picture = out / "sensitivity.png"
    with _progress(found.name) as say:
        done = every_analysis(
            found,
            out,
            families=_names(families),
            only=_names(only),
            cross=cross,
            treatment=treatment,
            sampling={"draws": draws, "tune": tune, "chains": chains, "seed": seed},
            cores=cores,
            scheduler=scheduler,
            say=say,
        )
    if done.changed or not picture.is_file():
        _save_figure(sensitivity_figure(done.table, time_unit=done.time_unit, title=found.question), picture)
    ERR.print(Text(f"{found.name}: {done.told}"))
    if as_json:
        counts = {"fitted": done.fitted, "kept": done.kept, "failed": done.failed}
        files = [str(out / "sensitivity.csv"), str(picture)]
        return _print_json({"spec": found.name, **counts, "files": files, "rows": _rows(done.table)})
    from bayes_bm.plots.words import sensitivity_table

    shown = sensitivity_table(done.table, found)
    aside = ("family", "seconds", "remark")
    columns = [str(name) for name in shown if name not in aside]
    _print_table(shown, f"{found.question}: under every analysis", columns)
    for row in done.table[done.table["note"].fillna("") != ""].to_dict("records"):
        OUT.print(Text(f"- {row['analysis']}: {row['note']}"))
    return OUT.print(Text(f"written: {out / 'sensitivity.csv'}, {picture}"))


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


_RECONCILIATION = [
    *(
        "study",
        "arm",
        "quantity",
        "printed",
        "reconstructed",
        "predicted",
        "predicted_low",
        "predicted_high",
        "p",
        "status",
    )
]
AllowRed = Annotated[bool, typer.Option("--allow-red-rows", help="Report even where a row cannot be reproduced.")]


@app.command()
def report(
    result_file: ResultFile,
    out: Annotated[Path, typer.Option("--out", help="One self-contained HTML file.")],
    patient: Annotated[str | None, typer.Option(help="name=value, separated by commas.")] = None,
    allow_failed_gate: AllowFailed = False,
    allow_red_rows: AllowRed = False,
) -> None:
    """One self-contained HTML file: answer, contrasts, figures, audit, reconciliation, diagnostics, provenance."""
    from bayes_bm.run import make_report

    result = _load(result_file, allow_failed=allow_failed_gate)
    with _progress(result.spec.name) as say:
        made = make_report(
            result,
            out,
            patient=_pairs(patient),
            allow_failed_gate=allow_failed_gate,
            allow_red=allow_red_rows,
            folder=result_file.parent,
            say=say,
        )
    OUT.print(Text(f"written: {made.path}"))


@app.command()
def run(
    spec: SpecName,
    out: Annotated[Path, typer.Option("--out", help="Folder for result, tables and report.")],
    patient: Annotated[str | None, typer.Option(help="name=value, separated by commas.")] = None,
    draws: Draws = None,
    tune: Draws = None,
    chains: Draws = None,
    seed: Seed = None,
    imputations: Imputations = None,
    processes: Processes = 1,
    scheduler: Scheduler = None,
    settings: Setting = None,
    sensitivity: Sensitivity = None,
    allow_failed_gate: AllowFailed = False,
    allow_red_rows: AllowRed = False,
    as_json: Json = False,
) -> None:
    """Audit, fit, check, compare, report: everything about one spec in one folder."""
    from bayes_bm.run import run_spec
    from bayes_bm.spec import read_spec

    found = read_spec(spec, sensitivity=sensitivity, changes=_changes(settings))
    with _progress(found.name) as say:
        done = run_spec(
            found,
            out,
            patient=_pairs(patient),
            sampling={"draws": draws, "tune": tune, "chains": chains, "seed": seed},
            many={"imputations": imputations, "processes": processes, "scheduler": scheduler},
            allow_failed_gate=allow_failed_gate,
            allow_red=allow_red_rows,
            say=say,
        )
    if as_json:
        return _print_json(done.document())
    for line in done.answer:
        OUT.print(Text(line))
    OUT.print("")
    return OUT.print(Text("written: " + ", ".join(str(path) for path in done.files)))


@app.command()
def verify(
    quick: Annotated[bool, typer.Option("--quick", help="Those that take seconds: under a minute in all.")] = False,
    as_json: Json = False,
) -> None:
    """Published and closed-form answers, recomputed here. Exit status 1 where one is not found."""
    from bayes_bm.errors import GateRefused
    from bayes_bm.verify import verify as known_answers

    with _progress("verify") as say:
        table = known_answers(quick=quick, say=say)
    failed = table[~table["passed"].astype(bool)]
    if as_json:
        _print_json({"passed": failed.empty, "checks": len(table), "failed": len(failed), "rows": _rows(table)})
    else:
        for group, rows in table.groupby("group", sort=False):
            shown = rows.assign(found=_precise(rows["found"]), expected=_precise(rows["expected"]))
            shown = shown.assign(verdict=["pass" if passed else "FAIL" for passed in rows["passed"]])
            _print_table(shown, str(group), ["verdict", "check", "expected", "found", "tolerance", "source"])
        OUT.print(Text(f"{len(table) - len(failed)} of {len(table)} known answers found"))
    if len(failed):
        raise GateRefused("; ".join(f"{row['group']}: {row['check']}" for row in _rows(failed)))


def _precise(values: "pd.Series") -> list[str]:
    """Enough digits to see a difference that matters."""
    return ["" if math.isnan(value) else f"{value:.8g}" for value in values.astype(float)]


if __name__ == "__main__":
    main()
