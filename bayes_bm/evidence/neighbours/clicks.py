"""Curves of digitisers that keep several in one file: WebPlotDigitizer's projects (JSON, tar), tables side by side."""

import csv
import json
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_bm.evidence.neighbours.reading import Converted
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.evidence.tables.csv_records import text_of
from bayes_bm.evidence.tables.foreign_clicks import read_clicks
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.numbers import parse_number

MOST_BYTES = 50_000_000
"""Size of a project's text; its picture is not read."""
PROJECT = "wpd.json"
"""The member of a project's tar that holds the clicks."""
PERCENT = 1.5
"""A largest survival above this is in percent."""

Points = dict[str, list[tuple[float, float]]]
"""Clicks of each data set by its name, as (time, survival)."""


def convert_curve(path: Path, dataset: str | None = None) -> Converted:
    """Return one curve of a digitiser's file: columns time and survival.

    Parameters
    ----------
    path : pathlib.Path
        WebPlotDigitizer's project (.json, .tar) or CSV of all data sets, Engauge's CSV of several curves, or a table of
        one curve as `read_clicks` knows them.
    dataset : str, optional
        Which curve, where the file holds several.

    Raises
    ------
    InputError
        Where the file is none of these, or holds several curves and none, or no such, is named.
    """
    points = _points(path)
    if points is None:
        curve = read_clicks("curve", path)
        if dataset is not None:
            raise InputError("--dataset", found=repr(dataset), hint=f"{path} holds one curve: leave it out")
        return Converted(curve[["time", "survival"]], tuple(curve.attrs.get("changes", ())))
    name = _chosen(path, points, dataset)
    curve = pd.DataFrame(points[name], columns=["time", "survival"]).sort_values("time", kind="stable")
    changes = [f"data set {name!r} of {len(points)}, {len(curve)} clicks"]
    if curve["survival"].max() > PERCENT:
        curve["survival"] /= 100
        changes.append("survival was in percent: divided by 100")
    return Converted(check_table("curve", curve, where=f"{path}, {name}")[["time", "survival"]], tuple(changes))


def _points(path: Path) -> Points | None:
    """Return the data sets of a file that may hold several, None where it is of another kind."""
    if path.suffix.lower() == ".json":
        with text_of(path) as text:
            return _project(path, text.read(MOST_BYTES + 1))
    if path.suffix.lower() == ".tar":
        return _project(path, _member(path))
    return _side_by_side(path)


def _member(path: Path) -> str:
    """Return the text of a project within its tar; nothing is unpacked."""
    try:
        with tarfile.open(path) as archive:
            inside = next((item for item in archive if item.isfile() and Path(item.name).name == PROJECT), None)
            file = archive.extractfile(inside) if inside is not None else None
            text = file.read(MOST_BYTES + 1).decode("utf-8", "replace") if file is not None else None
    except (tarfile.TarError, OSError, EOFError) as problem:
        raise InputError(str(path), found=str(problem)[:80], allowed="a tar of WebPlotDigitizer") from None
    if text is None:
        raise InputError(str(path), found=f"no {PROJECT} in it", allowed="a tar of WebPlotDigitizer")
    return text


def _project(path: Path, text: str) -> Points:
    """Return the data sets of a project of WebPlotDigitizer, version 3 or 4."""
    allowed = "a project of WebPlotDigitizer with data sets"
    if len(text) > MOST_BYTES:
        raise InputError(str(path), found=f"more than {MOST_BYTES} characters", allowed=allowed)
    try:
        project = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as problem:
        raise InputError(str(path), found=str(problem)[:80], allowed=allowed) from None
    try:
        series = project["wpd"]["dataSeries"] if "wpd" in project else project["datasetColl"]
        points = {str(one["name"]): [_click(click) for click in one["data"]] for one in series}
    except (KeyError, TypeError, IndexError, ValueError, AttributeError):
        raise InputError(str(path), found="JSON of another kind", allowed=allowed) from None
    filled = {name: clicks for name, clicks in points.items() if clicks}
    if not filled:
        raise InputError(str(path), found="no clicks", allowed=allowed)
    return filled


def _click(click: Any) -> tuple[float, float]:
    """Return the value of a click on the axes; its place in pixels says nothing."""
    time, survival = click["value"][:2]
    return float(time), float(survival)


def _side_by_side(path: Path) -> Points | None:
    """Return the curves of a table with several: pairs of columns under names, or one time with a column a curve."""
    with text_of(path) as text:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text) if any(cell.strip() for cell in row)]
    if len(rows) < 2 or len(rows[0]) < 3:
        return None
    second = [cell.lower() for cell in rows[1]]
    if len(rows) > 2 and second == ["x", "y"] * (len(second) // 2) and len(second) > 2:
        names = rows[0][::2]
        return {name: _pairs(rows[2:], 2 * k, 2 * k + 1) for k, name in enumerate(names) if name}
    if rows[0][0].lower() == "x":
        return {name: _pairs(rows[1:], 0, k) for k, name in enumerate(rows[0]) if k and name}
    return None


def _pairs(rows: list[list[str]], first: int, second: int) -> list[tuple[float, float]]:
    """Return the rows in which both columns hold a number."""
    pairs = []
    for row in rows:
        if len(row) > second and row[first] and row[second]:
            time, survival = parse_number(row[first]), parse_number(row[second])
            if time is not None and survival is not None:
                pairs.append((time, survival))
    return pairs


def _chosen(path: Path, points: Points, dataset: str | None) -> str:
    """Return the name of the data set that is asked for, or of the only one."""
    names = ", ".join(points)
    if dataset is None and len(points) == 1:
        return next(iter(points))
    if dataset is None:
        raise InputError(str(path), found=f"{len(points)} curves", hint=f"choose one: --dataset NAME; names: {names}")
    if dataset not in points:
        raise InputError("--dataset", found=repr(dataset), allowed=names)
    return dataset
