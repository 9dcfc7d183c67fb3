"""The figures of the shared set, SVG and PDF, nothing given: every arm, corner, mark, name and cell."""

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayes_bm.digitizing.figure import ArmLine, FigureReading
from bayes_bm.digitizing.formats.pdf import read_pdf
from bayes_bm.digitizing.formats.svg import read_svg
from bayes_bm.digitizing.vector import read_scene
from tests.paths import SHARED

GENERATED = SHARED / "figures" / "generated"
PUBLIC = SHARED / "figures" / "public" / "ggsurvfit"
TRUTHS = sorted(GENERATED.glob("*/truth.json"))
NAMES = ("sf1-censor-mark", "sf2-censor-mark", "sf2-colon-quantile", "sf2-confidence-interval", "sf2-risktable")
OUTLINES = ("s03_veteran", "s06_gbsg", "s10_pbc")
"""Their SVG has text as outlines alone, which the extra recognises."""


@cache
def scorer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("score", GENERATED / "score.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(text: str) -> str:
    return re.sub(r"[^\w+]", "", text.casefold())


def score(truth: dict[str, Any], folder: Path, reading: FigureReading) -> list[dict[str, float]]:
    """Return the measures of `score.py` for each arm, found by its name."""
    unit = 100.0 if truth["y"]["unit"] == "percent" else 1.0
    level = [max(truth["y"]["limits"][0] / unit, 0.0), truth["y"]["limits"][1] / unit]
    arms = {plain(arm.name): arm for arm in reading.arms}
    assert len(arms) == len(truth["arms"])
    measures = []
    for known in truth["arms"]:
        arm = arms[plain(known["label"])]
        estimate = pd.DataFrame({"time": arm.time, "survival": arm.survival})
        marks = None if arm.marks is None else pd.DataFrame({"time": arm.marks})
        patients = pd.read_csv(folder / known["truth"])
        drawn = truth["censor_marks"]["drawn"]
        limits = truth["x"]["limits"]
        measures.append(scorer().score_arm(patients, estimate, marks, limits, level, drawn, known["last_time"]))
    return measures


def expect_table(truth: dict[str, Any], reading: FigureReading) -> None:
    kinds = {"at_risk": "At risk", "censored": "Censored", "events": "Events"}
    read = {}
    for row in reading.rows:
        assert row.arm is not None
        name = reading.arms[row.arm].name
        read[plain(name)] = read[plain(f"{name} / {kinds[row.kind]}")] = row
    for label, counts in (truth["at_risk"] or {}).get("rows", {}).items():
        assert read[plain(label)].counts.tolist() == counts
        np.testing.assert_allclose(read[plain(label)].times, truth["at_risk"]["times"])


@pytest.mark.slow
@pytest.mark.skipif(not TRUTHS, reason="needs the shared figures")
@pytest.mark.parametrize("ending", ["svg", "pdf"])
@pytest.mark.parametrize("path", TRUTHS, ids=lambda path: path.parent.name)
def test_a_generated_figure_is_read_whole(path: Path, ending: str) -> None:
    if ending == "svg" and path.parent.name in OUTLINES:
        pytest.importorskip("rapidocr")
    truth = json.loads(path.read_text())
    file = path.parent / f"{path.parent.name}.{ending}"
    reading = read_scene(read_pdf(file) if ending == "pdf" else read_svg(file))
    assert [finding for finding in reading.findings if finding.severity != "note"] == []
    assert reading.panel is not None and reading.panel.time_unit == truth["x"]["unit"]
    for arm in score(truth, path.parent, reading):
        assert arm["iae"] < 1e-4 and arm["corner_recall"] > 0.999 and arm["corner_prec"] > 0.999
        if truth["censor_marks"]["drawn"] and arm["true_marks"]:
            assert arm["mark_recall"] >= 0.99 and arm["mark_prec"] >= 0.98
    expect_table(truth, reading)
    for arm in reading.arms:
        shared = (np.diff(arm.time) == 0) | (np.diff(arm.survival) == 0)
        assert shared.all() and (np.diff(arm.survival) <= 0).all() and (arm.time[0], arm.survival[0]) == (0.0, 1.0)


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="needs the shared figures")
@pytest.mark.parametrize("name", NAMES)
def test_a_figure_of_ggsurvfit_is_read_whole(name: str) -> None:
    reading = read_scene(read_svg(PUBLIC / f"{name}.svg"))
    truths = [pd.read_csv(path) for path in sorted(PUBLIC.glob(f"{name}.*.truth.csv"))]
    assert len(reading.arms) == len(truths)
    for truth in truths:
        scores = [public_score(truth, arm) for arm in reading.arms]
        best = min(scores, key=lambda measures: measures["iae"])
        assert best["iae"] < 1e-4 and best["corner_recall"] > 0.99


def public_score(truth: pd.DataFrame, arm: ArmLine) -> dict[str, float]:
    last = float(truth.time.max())
    estimate = pd.DataFrame({"time": arm.time, "survival": arm.survival})
    until = min(last, float(arm.time[-1]))
    return scorer().score_arm(truth, estimate, None, (0.0, last), (0.0, 1.0), False, until)
