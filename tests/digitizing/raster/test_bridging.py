"""What was not measured of a line is bridged by whole patients, along what hides it; what was measured stays."""

from dataclasses import replace

import numpy as np
import pytest

from bayes_bm.digitizing.figure import ArmLine, RiskRow

pytest.importorskip("cv2")
from bayes_bm.digitizing.raster.arms import Search, Traced, Wanted, with_drops
from bayes_bm.digitizing.raster.bridging import bridged, exchanged
from bayes_bm.digitizing.raster.levels import edge_samples, of_patients, of_themselves, staircase
from bayes_bm.digitizing.raster.patients import patient_height
from bayes_bm.digitizing.raster.telling import arm_findings
from bayes_bm.digitizing.raster.tracing import closed, trace

HALF, FALL, TOP = 3, 5, 10.5
DROPS = np.arange(20, 300, 12)
"""Columns of the drops of one patient each, of `FALL` pixels."""
PATIENT = np.full(320, float(FALL))


def _row(columns):
    return TOP + FALL * np.searchsorted(DROPS, columns, side="right")


def _traced(kind, seen, cover=None):
    """The trace of a line of which only the columns `seen` are drawn."""
    share = np.zeros((160, 320), np.float32)
    for column in np.flatnonzero(seen):
        high, low = _row(column - HALF), _row(column + HALF)
        share[int(high - 0.5) - HALF : int(low - 0.5) + HALF + 1, column] = 1.0
    cover = np.zeros_like(share) if cover is None else cover
    share[cover > 0.5] = 0.0
    image = closed(share, 33.0) if kind == "dashed" else share
    path = trace(image, cover, 2 * HALF + 1.0, (0, TOP))
    samples = edge_samples(share, cover, path, 2 * HALF + 1.0, dashed=kind == "dashed")
    line = staircase(samples, path, share, 2 * HALF + 1.0)
    wanted = Wanted(np.zeros(3), kind, "a", "legend", np.zeros((0, 2)))
    return Traced(wanted, share, cover, 2 * HALF + 1.0, path, samples, line)


def _error(line):
    columns = np.arange(8, 312) + 0.5
    return np.abs(line.level(columns) - _row(columns)).mean()


def test_gaps_of_dashes_fall_a_patient_at_a_time():
    arm = _traced("dashed", np.arange(320) % 60 < 42)
    before, after = _error(arm.line), bridged(arm, TOP, PATIENT)
    drops = np.diff(after.line.levels)
    assert before > 0.9
    assert _error(after.line) < 0.6
    np.testing.assert_allclose(drops, FALL, atol=0.6)


def test_a_hidden_stretch_runs_beneath_what_hides_it():
    cover = np.zeros((160, 320), np.float32)
    for column in range(
        100, 200
    ):  # another line, which falls late: it lies on this one and then beside the straight way
        row = int(_row(column))
        cover[row - 6 : row + 7, column] = 1.0
    arm = _traced("solid", np.ones(320, bool), cover)
    line = bridged(arm, TOP, PATIENT).line
    hidden = np.arange(104, 196) + 0.5
    assert np.abs(line.level(hidden) - _row(hidden)).max() <= 2 * FALL
    assert np.abs(line.level(hidden) - _row(hidden)).mean() < 4.0


def test_a_drop_of_one_patient_stays_where_it_was_fitted():
    arm = _traced("dashed", np.arange(320) % 60 < 42)
    assert bridged(arm, TOP, 40 * PATIENT).line is arm.line


def test_a_drop_lower_than_one_patients_is_none():
    arm = _traced("solid", np.ones(320, bool))
    levels = np.insert(arm.line.levels, 4, arm.line.levels[3] + 1.5)  # dirt on the edge was taken for a drop
    dirty = replace(arm, line=replace(arm.line, places=np.insert(arm.line.places, 3, 51.0), levels=levels))
    clean = with_drops(dirty, of_patients(PATIENT), 150.0)
    assert len(dirty.line.places) == len(DROPS) + 1
    np.testing.assert_allclose(clean.line.places, DROPS, atol=0.5)
    assert (
        with_drops(dirty, of_patients(8 * PATIENT), 150.0).line is dirty.line
    )  # 40 is a misread number of patients: the edges say so


def test_a_drop_far_lower_than_the_others_is_none():
    arm = _traced("solid", np.ones(320, bool))
    levels = np.insert(arm.line.levels, 4, arm.line.levels[3] + 1.2)
    dirty = replace(arm, line=replace(arm.line, places=np.insert(arm.line.places, 3, 51.0), levels=levels))
    clean = with_drops(dirty, of_themselves(dirty.line, 320), 150.0)
    np.testing.assert_allclose(clean.line.places, DROPS, atol=0.5)
    assert of_themselves(arm.line, 320) is None  # nothing is lower


def test_a_patient_takes_more_later_and_lower_drops_there_are_none():
    row = RiskRow("at_risk", 0, "a", np.array([0.0, 6.0, 9.0]), np.array([10, 8, 4]), "text")
    height = patient_height(_arm([]), [row], None)
    np.testing.assert_allclose(height.at_least(np.array([0.0, 5.9, 6.0, 8.9, 20.0])), [0.1, 0.1, 0.1, 0.1, 0.2])


def test_a_bridge_claims_no_drops_closer_than_the_pen_is_wide():
    arm = _traced("dashed", np.arange(320) % 60 < 42)
    line = bridged(arm, TOP, PATIENT / 20).line
    assert len(line.places) < 2 * len(DROPS)
    assert _error(line) < 0.6


def test_lines_of_one_ink_that_start_together_may_be_each_others():
    whole, late = _traced("solid", np.ones(320, bool)), _traced("solid", np.arange(320) >= 30)
    late = replace(late, path=replace(late.path, seen=late.path.seen & (np.arange(len(late.path.seen)) >= 30)))
    lower = replace(late, line=replace(late.line, levels=late.line.levels + 10.0))
    assert exchanged(whole, [whole, lower]) == pytest.approx(10.0, abs=0.8)
    other = replace(lower, wanted=replace(lower.wanted, colour=np.array([200.0, 0.0, 0.0])))
    assert exchanged(whole, [whole, other]) == 0.0
    assert exchanged(whole, [whole, replace(whole, line=lower.line)]) == 0.0  # both starts are seen


def _arm(marks):
    steps = np.zeros((0, 2))
    time, survival = np.array([0.0, 5.0, 5.0, 10.0]), np.array([1.0, 1.0, 0.8, 0.8])
    return ArmLine("a", "legend", (0, 0, 0), (), 1.0, steps, time, survival, np.array(marks))


def test_one_patient_is_survival_over_the_number_at_risk():
    row = RiskRow("at_risk", 0, "a", np.array([0.0, 6.0, 9.0]), np.array([10, 8, 4]), "text")
    height = patient_height(_arm([]), [row], None)
    np.testing.assert_allclose(height.at_times(np.array([0.0, 6.0, 9.0])), [0.1, 0.1, 0.2])


def test_marks_raise_what_one_patient_takes():
    # ten patients, two die at 5; of the eight left one is censored at 6: what one of seven takes is 0.8 / 7
    height = patient_height(_arm([6.0]), [], 10)
    np.testing.assert_allclose(height.at_times(np.array([0.0, 6.0, 8.0])), [0.1, 0.8 / 7, 0.8 / 7])
    assert patient_height(_arm([6.0]), [], None) is None


def test_two_dashed_lines_of_one_ink_may_be_each_others_and_are_asked_about():
    one = _traced("dashed", np.arange(320) % 60 < 42)
    two = replace(one, line=replace(one.line, levels=one.line.levels + 10.0))
    solid = replace(two, wanted=replace(two.wanted, kind="solid"))
    assert exchanged(one, [one, two]) == pytest.approx(10.0, abs=0.8)
    assert exchanged(one, [one, solid]) == 0.0
    lines = [_arm([]), _arm([])]
    kinds = [[f.kind for f in arm_findings([one, other], Search((), (), ()), lines, True)] for other in (two, solid)]
    assert ["dashed_alike" in asked for asked in kinds] == [True, False]
