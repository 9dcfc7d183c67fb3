"""The check of a reading against its figure: a line on its ink is explained, one beside it is not."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from bayes_bm.digitizing.canvas import Canvas
from bayes_bm.digitizing.figure import ArmLine, Axis, FigureReading, Finding, OtherInk, Panel
from bayes_bm.digitizing.ink import measure_ink
from bayes_bm.digitizing.scene import Box
from bayes_bm.digitizing.verdict import coarse_findings, ink_findings, judge_reading, worst_verdict

BOX = Box(50.0, 20.0, 450.0, 320.0)
CORNERS = np.array([[50, 20], [150, 20], [150, 120], [300, 120], [300, 220], [440, 220]], float)
BLUE, RED = (0.1, 0.3, 0.8), (0.8, 0.1, 0.1)
PANEL = Panel(
    BOX,
    Axis(np.array([0.0, 40.0]), np.array([50.0, 450.0]), 50.0, 10.0, 0.0, "ticks"),
    Axis(np.array([0.0, 1.0]), np.array([320.0, 20.0]), 320.0, -300.0, 0.0, "ticks"),
    percent=False,
    time_unit="months",
)


def line_of(corners: np.ndarray, *, name: str = "a", colour=BLUE, error: float = 0.0) -> ArmLine:
    time, survival = PANEL.time.value(corners[:, 0]), PANEL.level.value(corners[:, 1])
    return ArmLine(name, "legend", colour, (), 4.0, corners, time, survival, None, error)


def painted(*lines: tuple[np.ndarray, tuple[float, float, float]]) -> Canvas:
    """A white picture of 500 by 360 pixels with these lines, four pixels wide."""
    pixels = np.full((360, 500, 3), 255, np.uint8)
    for corners, colour in lines:
        for (x0, y0), (x1, y1) in itertools.pairwise(corners):
            rows = slice(int(min(y0, y1)) - 2, int(max(y0, y1)) + 2)
            pixels[rows, int(min(x0, x1)) - 2 : int(max(x0, x1)) + 2] = np.round(np.array(colour) * 255)
    return Canvas(pixels, 1.0)


def reading(*arms: ArmLine, others: tuple[OtherInk, ...] = (), findings: tuple[Finding, ...] = ()) -> FigureReading:
    return FigureReading(PANEL, (BOX,), arms, (), findings, others=others)


def test_a_line_on_its_ink_is_exact() -> None:
    read = reading(line_of(CORNERS))
    ink = measure_ink(painted((CORNERS, BLUE)), read)
    assert (ink[0].missing, ink[0].hidden, ink[0].unexplained) == (0, 0, 0)
    assert ink_findings(read, ink) == ()
    assert judge_reading(read, ink)[0].verdict == "exact"


def test_a_line_beside_its_ink_is_missed_by_as_much_as_it_strays() -> None:
    strayed = CORNERS.copy()
    strayed[2:4, 1] = 170.0  # the run from 150 to 300 is read 50 too low, and the drop before it 50 too far
    ink = measure_ink(painted((CORNERS, BLUE)), reading(line_of(strayed)))
    length = np.abs(np.diff(strayed, axis=0)).sum()
    assert ink[0].missing == pytest.approx(200 / length, abs=0.02)
    assert ink[0].unexplained > 0.2
    kinds = [finding.kind for finding in ink_findings(reading(line_of(strayed)), ink)]
    assert kinds == ["line_without_ink", "ink_without_line"]


def test_a_line_far_from_its_ink_is_refused() -> None:
    low = CORNERS + np.array([0.0, 60.0])
    read = reading(line_of(low))
    ink = measure_ink(painted((CORNERS, BLUE)), read)
    read = replace(read, findings=ink_findings(read, ink))
    verdicts = judge_reading(read, ink)
    assert next(finding.severity for finding in read.findings) == "error"
    assert worst_verdict(verdicts) == "refused"
    assert "no ink beneath" in verdicts[0].reason


def test_a_line_that_rides_on_another_arm_is_hidden_and_its_own_ink_is_left() -> None:
    other = CORNERS + np.array([0.0, 40.0])
    other[:2, 1] = 20.0
    picture = painted((other, RED), (CORNERS, BLUE))
    arms = line_of(CORNERS, error=0.3), line_of(CORNERS, name="b", colour=RED, error=0.3)
    read = replace(reading(*arms), pixels=True)
    ink = measure_ink(picture, read)
    assert ink[0].missing == ink[0].hidden == 0
    assert ink[1].hidden > 0.8
    assert ink[1].unexplained > 0.8
    assert {f.kind for f in ink_findings(read, ink) if f.arm == 1} == {"hidden_line", "ink_without_line"}
    drawn = replace(read, pixels=False)  # of a file's line nothing is a guess, whatever lies over it
    assert {f.kind for f in ink_findings(drawn, ink) if f.arm == 1} == {"ink_without_line"}


@pytest.mark.parametrize(("across", "asked"), [(20.0, "0.04"), (38.0, "0.02"), (46.0, None), (390.0, None)])
def test_a_curve_that_falls_within_few_pixels_is_asked_about(across: float, asked: str | None) -> None:
    steep = (CORNERS - [50, 20]) * [across / 390, 1.5] + [50, 20]  # two sd of 0.3 over 300 high and `across` wide
    read = replace(reading(line_of(steep, error=0.3)), pixels=True)
    ink = measure_ink(painted((steep, BLUE)), read)
    found = coarse_findings(read)
    assert {finding.kind for finding in found} <= {"coarse_figure"}
    assert [f"survival by {asked} on average" in finding.message for finding in found] == [True] * (asked is not None)
    judged = judge_reading(replace(read, findings=found), ink)[0]
    assert judged.verdict == ("doubtful" if asked else "good")
    assert judged.iae_bound == pytest.approx(1.25 * 0.6 * (1 / 300 + 1 / across), rel=1e-6)
    drawn = replace(read, arms=(line_of(steep),), pixels=False)
    assert ink_findings(drawn, ink) == coarse_findings(drawn) == ()
    bound = judge_reading(drawn, ink)[0].iae_bound  # places of a file are rounded to a hundredth
    assert bound == pytest.approx(max(0.005 * (1 / 300 + 1 / across), 1e-4), rel=1e-6)


def test_a_second_line_of_the_same_colour_is_asked_about_unless_it_is_known() -> None:
    limit = CORNERS + np.array([0.0, 30.0])
    picture = painted((CORNERS, BLUE), (limit, BLUE))
    assert measure_ink(picture, reading(line_of(CORNERS)))[0].unexplained == pytest.approx(0.5, abs=0.05)
    known = reading(line_of(CORNERS), others=(OtherInk("limit", limit, 4.0),))
    assert measure_ink(picture, known)[0].unexplained == 0


def test_the_key_of_a_legend_and_specks_are_no_lines() -> None:
    key = np.array([[380.0, 60.0], [420.0, 60.0]])
    speck = np.array([[100.0, 250.0], [103.0, 250.0]])
    picture = painted((CORNERS, BLUE), (key, BLUE), (speck, BLUE))
    assert measure_ink(picture, reading(line_of(CORNERS)))[0].unexplained == 0


def test_an_open_question_makes_a_reading_doubtful_and_pixels_make_it_good() -> None:
    asked = Finding("several_panels", "question", "The page has 2 panels.", "panel = 1")
    picture = painted((CORNERS, BLUE))
    for arm, findings, verdict in (
        (line_of(CORNERS), (asked,), "doubtful"),
        (line_of(CORNERS, error=0.3), (), "good"),
        (line_of(CORNERS), (replace(asked, severity="note"),), "exact"),
    ):
        read = reading(arm, findings=findings)
        assert judge_reading(read, measure_ink(picture, read))[0].verdict == verdict


def test_the_bound_grows_with_pixels_and_with_ticks_that_miss() -> None:
    read = reading(line_of(CORNERS, error=0.6))
    ink = measure_ink(painted((CORNERS, BLUE)), read)
    bound = judge_reading(read, ink)[0].iae_bound
    # two sd up and down (1.2 / 300) and sideways over a fall of 2/3 (1.2 / 10 of 39 months)
    assert bound == pytest.approx(1.2 / 300 + 0.12 / 39 * 2 / 3, rel=1e-6)
    loose = replace(PANEL, level=replace(PANEL.level, residual=3.0))
    assert judge_reading(replace(read, panel=loose), ink)[0].iae_bound == pytest.approx(bound + 3 / 300, rel=1e-6)
