"""Whole pictures, drawn here from simulated patients, against their true Kaplan-Meier curves."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bayes_bm.digitizing.figure import Axis, RiskRow
from bayes_bm.digitizing.legend import Name
from bayes_bm.digitizing.panels import _below
from bayes_bm.digitizing.raster import cells
from bayes_bm.digitizing.raster.arms import Search
from bayes_bm.digitizing.raster.framing import panel_box
from bayes_bm.digitizing.raster.read import _is_tail, _without_mark
from bayes_bm.digitizing.scene import Box, Text
from bayes_bm.digitizing.table import Table
from tests.digitizing.raster.drawing import ARMS, Style, draw, error, jpeg, kaplan_meier, matched, turned

pytest.importorskip("rapidocr")

SHARED = Path(__file__).parents[4] / "shared" / "figures" / "generated"


def _by_name(reading):
    return {arm.name: arm for arm in reading.arms}


def _check(reading, worst, arms=ARMS, end=40.0):
    assert reading.panel is not None
    assert len(reading.arms) == len(arms)
    lines = _by_name(reading)
    for arm in arms:
        line = lines[arm.name]
        assert error(arm, line.time, line.survival, end) < worst
        assert line.time[0] == 0.0
        assert line.survival[0] == 1.0
        assert (np.diff(line.survival) <= 0).all()
        assert (np.diff(line.time) >= 0).all()


STYLES = {
    "percent, black, dashed, 100 dpi": (
        Style(dpi=100, percent=True, colours=("black", "black"), dashes=("-", "--"), mark=""),
        0.004,
    ),
    "grid, band and table": (Style(dpi=150, grid=True, band=True, table=True, size=(6.0, 5.5)), 0.004),
    "grey and near hues, 200 dpi": (Style(colours=("#808080", "#2f6f9f")), 0.003),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", STYLES)
def test_a_picture_shows_its_patients_curves(reader, kind):
    style, worst = STYLES[kind]
    reading = reader(draw(ARMS, style))
    _check(reading, worst)
    assert reading.panel.time_unit == "months"
    assert reading.panel.percent == style.percent
    rows = {reading.arms[row.arm].name: row for row in reading.rows if row.arm is not None}
    for arm in ARMS if style.table else ():
        row = rows[arm.name]
        read = {time: count for time, count in zip(row.times, row.counts, strict=True) if count >= 0}
        assert read == {time: (arm.time >= time).sum() for time in range(0, 41, 10)}


@pytest.mark.slow
def test_a_plain_picture_shows_its_patients_curves(plain_reading):
    _check(plain_reading, 0.003)
    assert plain_reading.panel.time_unit == "months"
    assert not plain_reading.panel.percent


@pytest.mark.slow
def test_marks_and_steps_are_those_of_the_patients(plain_reading):
    lines = _by_name(plain_reading)
    for arm in ARMS:
        line = lines[arm.name]
        true = np.unique(arm.time[(arm.event == 0) & (arm.time <= 40.0)])
        pairs = matched(true, np.sort(line.marks), 0.12)
        assert pairs >= 0.8 * len(true)
        assert pairs >= 0.9 * len(line.marks)
        times, _ = kaplan_meier(arm)
        steps = np.unique(line.time[1:][np.diff(line.survival) < 0])
        assert matched(times[times < 40.0], steps, 0.1) >= 0.7 * (times < 40.0).sum()


@pytest.mark.slow
def test_a_turned_scan_is_read_as_if_it_were_straight(reader):
    """A JPEG, as scanners save."""
    reading = reader(jpeg(turned(draw(ARMS, Style(dpi=150)), 1.3)))
    assert reading.panel.skew == pytest.approx(1.3, abs=0.05)
    _check(reading, 0.005)


@pytest.mark.parametrize(("left", "expected"), [(302.0, 167.8), (170.0, 170.0)])
def test_a_panel_holds_time_0_where_a_grid_line_passes_for_its_axis(left, expected):
    from bayes_bm.digitizing.raster.read import _from_start

    time = Axis(np.array([6.0, 12.0]), np.array([335.2, 501.6]), 168.8, 27.73, 0.1, "ticks")
    pair: Any = SimpleNamespace(level=SimpleNamespace(box=Box(120.0, 60.0, 150.0, 450.0)))
    assert _from_start(Box(left, 53.0, 1216.0, 458.0), time, pair).left == pytest.approx(expected)


def test_a_panel_reaches_down_to_survival_0_though_the_label_of_0_was_not_read():
    pixels = np.full((300, 400, 3), 255, np.uint8)
    boxes = (Box(10, 90, 30, 200), Box(40, 270, 390, 282))  # labels 1, 0.75, 0.5 and 0.25; 0 would stand in row 250
    level = Axis(np.array([0.25, 0.5, 0.75, 1.0]), np.array([200.0, 150.0, 100.0, 50.0]), 250.0, -200.0, 0.0, "labels")
    time = Axis(np.array([0.0, 10.0]), np.array([40.0, 390.0]), 40.0, 35.0, 0.0, "labels")
    pair: Any = SimpleNamespace(level=SimpleNamespace(box=boxes[0]), time=SimpleNamespace(box=boxes[1]), percent=False)
    assert panel_box(pixels, pair, time, level, 400.0).bottom > 250


@pytest.mark.parametrize(("end", "row", "expected"), [(260, 90, True), (200, 90, False), (260, 60, False)])
def test_the_last_stretch_of_a_line_before_its_name_is_no_key(end, row, expected):
    key: Any = SimpleNamespace(box=Box(300.0, 138.0, 340.0, 142.0))
    arm: Any = SimpleNamespace(path=SimpleNamespace(end=end, rows=np.array([20, row])), width=3.0)
    area: Any = SimpleNamespace(left=40, top=50)
    assert _is_tail(key, Search((arm,), (), ()), area) == expected


@pytest.mark.parametrize("columns", [[286.0, 495.5, 705.5, 1124.5], [705.5, 915.0]])
def test_labels_of_time_stand_below_an_axis_though_a_box_holds_a_tick_or_that_of_0_was_not_read(columns):
    tops = [599.0] * (len(columns) - 1) + [585.0]
    boxes = [
        SimpleNamespace(box=Box(place - 8, top, place + 8, 616.0)) for place, top in zip(columns, tops, strict=True)
    ]
    row: Any = SimpleNamespace(labels=boxes[::-1], places=np.array(columns), height=17.0, origin=286.0)
    row.box = Box(columns[0] - 8, 585.0, columns[-1] + 8, 616.0)
    level: Any = SimpleNamespace(places=np.array([43.0, 594.5]), height=17.0, box=Box(243.0, 28.0, 275.0, 600.0))
    assert _below(row, level)


def test_zeros_of_both_axes_that_are_read_as_one_are_no_label(monkeypatch):
    box = Box(20.0, 20.0, 40.0, 34.0)
    read = [Text(words, box, 0.0, (0.0, 0.0, 0.0), source="ocr", confidence=0.9) for words in ("00", "0", "10")]
    monkeypatch.setattr(cells, "read_regions", lambda *_: tuple(read))
    assert [text.content for text in cells._numbers(np.zeros((60, 60, 3), np.uint8), [box])] == ["0", "10"]


@pytest.mark.slow
def test_no_axes_are_an_error_that_says_what_was_read(reader):
    reading = reader(np.full((60, 80, 3), 255, np.uint8))
    assert reading.panel is None
    (finding,) = reading.findings
    assert (finding.kind, finding.severity) == ("no_axes", "error")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["s03_veteran/s03_veteran.png", "s07_aml/s07_aml.jpg", "s12_whas/s12_whas.png"])
def test_generated_figures(reader, name):
    """Pictures of R and lifelines; those of 300 dpi at half their size."""
    path = SHARED / name
    if not path.exists():
        pytest.skip("the shared figures are absent")
    from bayes_bm.digitizing.formats.pictures import read_picture

    truth = json.loads((path.parent / "truth.json").read_text())
    pixels = read_picture(path)
    half = path.suffix == ".png"
    reading = reader(np.array(Image.fromarray(pixels).reduce(2)) if half else pixels)
    assert [arm.name for arm in reading.arms] == [arm["label"] for arm in truth["arms"]]
    printed = truth["at_risk"]["rows"] if truth["at_risk"] else {}
    assert {reading.arms[row.arm].name: row.counts.tolist() for row in reading.rows} == printed


@pytest.mark.parametrize(
    ("printed", "expected"), [("+ control", "control"), ("|control", "control"), ("+ chemotherapy", "+ chemotherapy")]
)
def test_the_last_mark_of_a_line_is_no_part_of_the_name_beside_it(printed, expected):
    rows = (RiskRow("at_risk", None, "control", np.zeros(1), np.array([40]), "ocr 0.93"),)
    found = _without_mark(Name(printed, "label"), Table(rows, (None,), ("",), ()))
    assert found is not None and found.name == expected
