"""How well figures are read: found curves, their error, marks, tables and CPU seconds, by figure and format.

python scripts/benchmark_digitize.py [set SET_DIR] [--formats svg,pdf,png,jpg] [--out FOLDER]
    a set with truth.json (../shared/figures/generated), beside the scores of SurvdigitizeR
python scripts/benchmark_digitize.py stress [FIGURES] [--first SEED] [--formats svg,pdf,png,jpg] [--programs base]
    random figures of matplotlib in the styles of `validation.simulation.journal_figures`, of lifelines, and where R is
    of survminer, ggplot2 and base graphics: found, wrong, silent by kind. `--out rows.csv`: a row an arm
python scripts/benchmark_digitize.py summary ROWS.csv,ROWS.csv    what several pieces say together
"""

import argparse
import importlib.util
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmark_figures import R_PROGRAMS, RandomFigure, degrade, draw_by_lifelines, draw_by_r, programs

import bayes_bm as bb
from bayes_bm.hazards.nonparametric import kaplan_meier
from bayes_bm.validation.simulation.curves import varied
from bayes_bm.validation.simulation.journal_figures import axis_end, draw_figure, random_style

SHARED = Path(__file__).parents[2] / "shared" / "figures" / "generated"
WRONG = 0.02
"""Mean absolute error in survival from which a curve is read wrongly."""
CLOCKS = (0.0, 0.0, 12 / 365.25, 1.0)
"""Units to which times are rounded up, in months: none, a day, a month."""
CENSORINGS = ("staggered", "dropout", "cut", "light", "early")


def iae(time_true: np.ndarray, event: np.ndarray, curve: pd.DataFrame, end: float) -> float:
    """Return the mean absolute distance of a read curve from the Kaplan-Meier curve of the patients up to `end`."""
    km = kaplan_meier(time_true, event)
    end = min(end, float(time_true.max()))
    rows = curve.groupby("time", sort=True)["survival"].last()
    grid = np.unique(np.clip(np.concatenate([[0.0, end], km.time, rows.index.to_numpy()]), 0, end))
    middle, width = (grid[1:] + grid[:-1]) / 2, np.diff(grid)
    levels = np.concatenate([[1.0], rows.to_numpy()])
    read = levels[np.searchsorted(rows.index.to_numpy(), middle, side="right")]
    return float(np.sum(np.abs(km(middle) - read) * width) / end)


# --- a set with truth ---------------------------------------------------------------------------------------------


def benchmark_set(folder: Path, formats: list[str], out: Path) -> None:
    """Print one row a figure and format, then a summary by format beside SurvdigitizeR."""
    spec = importlib.util.spec_from_file_location("score", folder / "score.py")
    assert spec is not None and spec.loader is not None
    scoring: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scoring)
    rows = [read_one(folder, path, file_format, out) for path, file_format in figures_of(folder, formats)]
    told = pd.DataFrame(rows)
    scores = scoring.score(str(folder), str(out), True)
    scores = scores[scores["format"].isin(formats)]
    number = {"iae": ("iae", "max"), "corners": ("corner_recall", "mean"), "precision": ("corner_prec", "mean")}
    number |= {"marks": ("mark_recall", "mean"), "mark_precision": ("mark_prec", "mean"), "found": ("found", "sum")}
    table = scores.groupby(["figure", "format"], sort=False).agg(arms=("arm", "size"), **number).reset_index()
    table = table.merge(told, on=["figure", "format"])
    table["silent"] = (table["iae"] > WRONG) & table["status"].eq(0)
    table.loc[table["status"].eq(2), "silent"] = False
    other = pd.read_csv(folder / "survdigitizer_scores.csv")
    whole = other[other["setting"].str.startswith("full")]
    worst = whole.groupby(["figure", "setting"])["iae"].max().groupby("figure").min()
    table["survdigitizer_iae"] = table["figure"].map(worst).where(table["format"].eq("png"))
    print(table.round(5).to_string(index=False))
    print()
    summary = scores.groupby("format").agg(
        curves=("arm", "size"), found=("found", "sum"), iae_median=("iae", "median"), iae_worst=("iae", "max"),
        corners=("corner_recall", "mean"), precision=("corner_prec", "mean"),
        marks=("mark_recall", "mean"), mark_precision=("mark_prec", "mean"),
    )  # fmt: skip
    extra = told.groupby("format").agg(cells=("cells", "sum"), of_cells=("of_cells", "sum"), names=("names", "sum"),
        seconds=("seconds", "median"), false_arms=("false_arms", "sum"))  # fmt: skip
    print(summary.join(extra).join(table.groupby("format")["silent"].sum()).round(5).to_string())


def figures_of(folder: Path, formats: list[str]) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.glob("*/truth.json")):
        yield from ((path, file_format) for file_format in formats)


def read_one(folder: Path, truth_file: Path, file_format: str, out: Path) -> dict[str, Any]:
    """Return what became of one file; its curves go to `out` under their number, for `score.py --match`."""
    truth = json.loads(truth_file.read_text())
    figure = truth["figure"]
    start = time.process_time()
    row: dict[str, Any] = {"figure": figure, "format": file_format}
    try:
        read = bb.digitize(truth_file.parent / f"{figure}.{file_format}")
    except bb.BayesBmError as problem:
        return {
            **row,
            "status": 2,
            "verdict": "refused",
            "seconds": time.process_time() - start,
            "kinds": str(problem)[:60],
        }
    row |= {"seconds": time.process_time() - start, "status": int(bool(read.questions)), "verdict": read.verdict}
    out.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(read):
        stem = f"{figure}.{file_format}.{place}"
        read[name].to_csv(out / f"{stem}.csv", index=False)
        if name in read.ticks:
            read.ticks[name].to_csv(out / f"{stem}.marks.csv", index=False)
    names = {plain(arm["label"]) for arm in truth["arms"]}
    printed = [count for row_name, counts in (truth.get("at_risk") or {}).get("rows", {}).items() for count in counts
               if "cens" not in row_name.lower() and "event" not in row_name.lower()]  # fmt: skip
    cells = [int(count) for table in read.at_risk.values() for count in table["at_risk"]]
    kinds = ", ".join(dict.fromkeys(finding.kind for finding in read.questions))
    return row | {
        "names": len(names & {plain(name) for name in read}),
        "false_arms": max(0, len(read) - len(names)),
        "cells": len(cells) - len(multiset_difference(cells, printed)),
        "of_cells": len(printed),
        "bound": max(one.iae_bound for one in read.verdicts),
        "kinds": kinds,
    }


def plain(name: str) -> str:
    return "".join(letter for letter in name.lower().replace("−", "-") if letter.isalnum())


def multiset_difference(values: list[int], allowed: list[int]) -> list[int]:
    rest, extra = list(allowed), []
    for value in values:
        if value in rest:
            rest.remove(value)
        else:
            extra.append(value)
    return extra


# --- random figures -----------------------------------------------------------------------------------------------


def stress(count: int, first: int, formats: Sequence[str], programs: Sequence[str], out: Path | None) -> None:
    """Draw random figures, read them, and print what was found, wrong and silent, by kind; rows go to `out`."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = [random_figure(seed, formats, programs) for seed in range(first, first + count)]
        draw_by_r([figure for figure in figures if figure.program in R_PROGRAMS], folder)
        for figure in figures:
            rows += stress_one(figure, folder)
            if out is not None:
                pd.DataFrame(rows).to_csv(out, index=False)
    summarise(pd.DataFrame(rows))


def summarise(table: pd.DataFrame) -> None:
    """Print one summary for each way to sort figures, the arms that went wrong, and the count of figures."""
    by = ["program", "format"]
    by += [key for key in ("band", "marks", "legend", "black", "ticks", "gap", "way") if key in table]
    for key in by:
        summary = table.groupby(key).agg(
            figures=("seed", "nunique"), arms=("found", "size"), found=("found", "sum"), wrong=("wrong", "sum"),
            silent=("silent", "sum"), iae_median=("iae", "median"), iae_worst=("iae", "max"),
            above_bound=("above_bound", "sum"), named=("named", "sum"), cells=("cells", "sum"),
            cells_wrong=("cells_wrong", "sum"), recall=("recall", "mean"), precision=("precision", "mean"),
            seconds=("seconds", "median"),
        )  # fmt: skip
        print(summary.round(5).to_string(), end="\n\n")
    bad = table[table["wrong"] | ~table["found"] | table["above_bound"] | ~table["named"] | (table["cells_wrong"] > 0)]
    print(bad[["seed", "program", "format", "arm", "line", "status", "iae", "bound", "cells_wrong", "kinds"]].to_string(
        index=False))  # fmt: skip
    whole = table.groupby("seed").agg(status=("status", "max"), silent=("silent", "max"), kinds=("kinds", "first"))
    asked = whole.loc[whole["status"] == 1, "kinds"].str.split(", ").explode().value_counts()
    print("questions: " + ", ".join(f"{kind} {number}" for kind, number in asked.items()))
    print(f"{len(whole)} figures: silent {int(whole['silent'].sum())}; "
          f"questions {int((whole['status'] == 1).sum())}; refused {int((whole['status'] == 2).sum())}")  # fmt: skip


def random_figure(seed: int, formats: Sequence[str], programs: Sequence[str]) -> RandomFigure:
    """Return the patients of a seed, and which program draws them into which kind of file."""
    rng = np.random.default_rng(seed)
    names = ("Re-resection", "Repeat SRS", "Control")[: int(rng.integers(1, 4))]
    arms, clock = {}, float(np.random.default_rng([seed, 5]).choice(CLOCKS))
    for place, name in enumerate(names):
        n, censoring = int(rng.integers(15, 250)), CENSORINGS[int(rng.integers(len(CENSORINGS)))]
        arms[name] = varied([seed, place], n, censoring=censoring, clock=clock)
    program, file = str(rng.choice(programs)), str(rng.choice(formats))
    return RandomFigure(seed, program, "png" if file == "jpg" else file, arms, degraded=file == "jpg")


def drawn_figure(figure: RandomFigure, folder: Path) -> tuple[float, dict[str, Any]]:
    """Draw a figure where R has not drawn it; return the end of its axis, and of matplotlib's what its style is."""
    if figure.program == "lifelines":
        draw_by_lifelines(figure, folder)
    if figure.program != "matplotlib":
        return figure.end, {}
    file: Any = figure.file
    style = random_style(np.random.default_rng([figure.seed, 7]), len(figure.arms), file=file)
    draw_figure(figure.name(folder), figure.arms, style)
    kind = {"band": style.band, "marks": style.marks or "none", "legend": style.legend,
            "black": style.colours[0] == style.colours[1], "ticks": style.ticks, "gap": style.gap}  # fmt: skip
    return axis_end(figure.arms, style), kind


def stress_one(figure: RandomFigure, folder: Path) -> list[dict[str, Any]]:
    """Draw and read one random figure: a row an arm."""
    end, style = drawn_figure(figure, folder)
    kind = {"seed": figure.seed, "program": figure.program, "format": figure.file, **style}
    path = figure.name(folder)
    if figure.degraded:
        kind |= {"format": "jpg", "way": degrade(path, figure.seed)}
        path = path.with_suffix(".jpg")
    start = time.process_time()
    try:
        read = bb.digitize(path)
    except bb.BayesBmError as problem:
        lost = {"found": False, "wrong": False, "silent": False, "above_bound": False, "named": True, "status": 2,
                "cells": 0, "cells_wrong": 0, "seconds": time.process_time() - start,
                "kinds": str(problem)[-90:]}  # fmt: skip
        return [{**kind, "arm": name, **lost} for name in figure.arms]
    shared = {"status": int(bool(read.questions)), "seconds": time.process_time() - start}
    shared["kinds"] = ", ".join(dict.fromkeys(finding.kind for finding in read.questions))
    pairs = figure.arms.items()
    errors = np.array([[iae(times, event, read[line], end) for line in read] for _, (times, event) in pairs])
    bounds = {name: verdict.iae_bound for name, verdict in zip(read, read.verdicts, strict=True)}
    rows = []
    for place, (name, (times, event)) in enumerate(pairs):
        line = name if name in read else list(read)[int(errors[place].argmin())]
        error = float(errors[place, list(read).index(line)])
        one = {"found": error <= WRONG, "wrong": error > WRONG, "iae": error, "bound": bounds[line], "line": line}
        one |= {"named": name in read or len(figure.arms) == 1, "above_bound": error > bounds[line] + 1e-4}
        one |= cells_read(read.at_risk.get(line), times) | marks_read(read.ticks.get(line), times, event, end)
        odd = one["wrong"] or not one["named"] or one["cells_wrong"] or len(read) != len(figure.arms)
        rows.append({**kind, "arm": name, **one, **shared, "silent": bool(odd) and shared["status"] == 0})
    return rows


def cells_read(table: pd.DataFrame | None, times: np.ndarray) -> dict[str, Any]:
    """Return how many numbers at risk were read, and how many are those of neither convention, >= t or > t."""
    if table is None:
        return {"cells": 0, "cells_wrong": 0}
    pairs = zip(table["time"], table["at_risk"], strict=True)
    right = [count in ((times >= tick - 1e-6).sum(), (times > tick + 1e-6).sum()) for tick, count in pairs]
    return {"cells": len(table), "cells_wrong": len(table) - sum(right)}


def marks_read(table: pd.DataFrame | None, times: np.ndarray, event: np.ndarray, end: float) -> dict[str, float]:
    """Return recall and precision of censor marks, within 0.4 % of the axis."""
    true = np.unique(times[(event == 0) & (times <= end)])
    if table is None or not len(true):
        return {"recall": np.nan, "precision": np.nan}
    read, reach = table["time"].to_numpy(), 0.004 * end
    near = np.abs(true[:, None] - read[None, :]) <= reach
    return {"recall": float(near.any(axis=1).mean()), "precision": float(near.any(axis=0).mean())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("set", "stress", "summary"), nargs="?", default="set")
    parser.add_argument("what", nargs="?", help="folder of the set, number of figures, or files of rows")
    parser.add_argument("--formats", default="")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--programs", default="")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.mode == "set":
        chosen = given.formats.split(",") if given.formats else ["svg", "pdf", "png", "jpg"]
        with tempfile.TemporaryDirectory() as temporary:
            benchmark_set(Path(given.what) if given.what else SHARED, chosen, given.out or Path(temporary))
    elif given.mode == "stress":
        chosen = given.formats.split(",") if given.formats else ["svg", "pdf", "png"]
        drawing = given.programs.split(",") if given.programs else programs()
        stress(int(given.what or 400), given.first, chosen, drawing, given.out)
    else:
        summarise(pd.concat([pd.read_csv(file) for file in given.what.split(",")], ignore_index=True))
