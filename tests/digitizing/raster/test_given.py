"""What a person gives wins in a picture as it does in a vector figure, and contradictions are told."""

from dataclasses import replace

import numpy as np
import pytest

from bayes_bm.digitizing.calibration import Calibration, GivenArm, GivenRow, describe_reading
from tests.digitizing.raster.drawing import ARMS, error

pytest.importorskip("rapidocr")

CORNERS = ((0.0, 1.0), (6.0, 1.0), (6.0, 0.5), (20.0, 0.5))


@pytest.mark.slow
def test_a_reading_given_back_unchanged_stays(plain_again, plain_pixels, plain_reading):
    second = plain_again(plain_pixels, describe_reading(plain_reading))
    assert [(f.kind, f.severity) for f in second.findings] == [(f.kind, f.severity) for f in plain_reading.findings]
    for one, two in zip(plain_reading.arms, second.arms, strict=True):
        np.testing.assert_allclose(two.corners, one.corners, atol=0.01)
        assert two.name == one.name
        np.testing.assert_allclose(two.marks, one.marks, atol=0.01)


@pytest.mark.slow
def test_given_arms_are_all_there_are_in_their_order_with_their_marks(plain_again, plain_pixels):
    typed = GivenArm("typed", colour=(0.12, 0.47, 0.71), corners=CORNERS, marks=(9.0, 7.0))
    treated = GivenArm("Treated", marks=(30.0, 12.0), source="given")
    reading = plain_again(plain_pixels, Calibration(arms=(typed, treated, GivenArm("no line", colour=(0.0, 0.6, 0.0)))))
    assert [arm.name for arm in reading.arms] == ["typed", "Treated"]
    np.testing.assert_allclose(reading.arms[0].survival, [1.0, 1.0, 0.5, 0.5])
    np.testing.assert_allclose(reading.panel.time.value(reading.arms[0].corners[:, 0]), [0, 6, 6, 20], atol=1e-9)
    assert [list(arm.marks) for arm in reading.arms] == [[7.0, 9.0], [12.0, 30.0]]
    assert error(ARMS[1], reading.arms[1].time, reading.arms[1].survival, 40.0) < 0.003
    assert [f.kind for f in reading.findings if f.severity == "question"] == ["given_arm_without_line"]


@pytest.mark.slow
def test_a_dropped_arm_is_none_and_is_not_asked_about(plain_again, plain_pixels, plain_reading):
    said = describe_reading(plain_reading)
    reading = plain_again(
        plain_pixels, replace(said, marks=False, arms=(replace(said.arms[0], drop=True), said.arms[1]))
    )
    assert [arm.name for arm in reading.arms] == ["Treated"]
    assert reading.arms[0].marks is None
    assert not [f for f in reading.findings if f.severity == "question"]


@pytest.mark.slow
def test_given_rows_stand_and_are_held_against_the_curves(plain_again, plain_pixels):
    row = GivenRow("at_risk", "Treated", (0.0, 10.0, 20.0), (20, 70, 30), "given")
    reading = plain_again(plain_pixels, Calibration(rows=(row,)))
    (kept,) = reading.rows
    assert (reading.arms[kept.arm].name, kept.counts.tolist()) == ("Treated", [20, 70, 30])
    assert any("20" in f.message and "70" in f.message for f in reading.findings if f.severity == "question")


@pytest.mark.slow
def test_a_given_axis_that_lies_elsewhere_wins_and_is_told(plain_again, plain_pixels, plain_reading):
    axis = describe_reading(plain_reading).time
    doubled = replace(axis, source="given", ticks=tuple(replace(tick, value=2 * tick.value) for tick in axis.ticks))
    reading = plain_again(plain_pixels, Calibration(time=doubled))
    assert reading.arms[0].time[-1] == pytest.approx(2 * plain_reading.arms[0].time[-1], rel=1e-3)
    (finding,) = [f for f in reading.findings if f.kind == "given_against_read"]
    assert finding.severity == "note"
    assert "axis of time" in finding.message
