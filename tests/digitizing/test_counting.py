"""Marks of a picture that cannot be all, or are too many, are not handed on: `reconstruct` takes ticks for all."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bayes_bm.digitizing.counting import confirmed_marks, least_censored, marks_findings, most_censored
from bayes_bm.digitizing.figure import ArmLine, FigureReading, RiskRow
from bayes_bm.digitizing.table import table_findings
from tests.digitizing.test_ink import BOX, PANEL

TIME = np.array([0.0, 5.0, 5.0, 20.0, 20.0, 36.0])
SURVIVAL = np.array([1.0, 1.0, 0.8, 0.8, 0.4, 0.4])
ROW = RiskRow("at_risk", 0, "a", np.array([0.0, 12.0, 24.0, 36.0]), np.array([100.0, 60.0, 20.0, 5.0]), "text")


def arm(marks: np.ndarray | None) -> ArmLine:
    return ArmLine("a", "legend", (0, 0, 1), (), 2.0, np.column_stack([TIME, SURVIVAL]), TIME, SURVIVAL, marks, 0.3)


def reading(marks: int, *rows: RiskRow, pixels: bool = True) -> FigureReading:
    return FigureReading(PANEL, (BOX,), (arm(np.linspace(1, 35, marks)),), rows, (), pixels=pixels)


def test_the_fewest_censored_follow_from_curve_and_table() -> None:
    # 100 to 60 while a fifth dies: 20 at least; 60 to 20 while half dies: 10; 20 to 5 while nobody dies: 15
    assert least_censored(ROW, arm(None)) == pytest.approx(20 + 10 + 15)


def test_the_most_censored_follow_from_curve_and_table() -> None:
    # 60 are left of 75 who lose a fifth, 20 of 40 who lose half: 25 and 20 went before; nobody dies of 20; all of 5
    assert most_censored(ROW, arm(None)) == pytest.approx([25, 20, 15, 5])


def test_censoring_is_never_more_than_simulated_patients_had() -> None:
    from bayes_bm.hazards.nonparametric import at_risk, kaplan_meier
    from bayes_bm.validation.simulation.curves import varied

    for seed in range(20):
        time, event = varied(seed, 80, censoring="dropout")
        curve, ticks = kaplan_meier(time, event), np.arange(0, 31, 6.0)
        drawn = SimpleNamespace(
            time=np.r_[0.0, np.repeat(curve.time, 2)], survival=np.repeat(np.r_[1, curve.survival], 2)[:-1]
        )
        row = replace(ROW, times=ticks, counts=at_risk(time, ticks))
        least = least_censored(row, drawn)  # type: ignore[arg-type]
        true = ((event == 0) & (time < 30)).sum()
        assert 0.5 * true - 2 <= least <= true + 1e-6
        most = most_censored(row, drawn)  # type: ignore[arg-type]
        left = np.histogram(time[event == 0], np.append(ticks, np.inf))[0]
        assert (left <= most + 1e-6).all() and most.sum() <= 80


def test_marks_go_on_where_they_account_for_the_censoring() -> None:
    assert confirmed_marks(reading(40, ROW), 0) and not confirmed_marks(reading(30, ROW), 0)
    assert not confirmed_marks(reading(40), 0)  # a picture without a table
    assert confirmed_marks(reading(3, pixels=False), 0)  # a file's marks are exact
    [note] = marks_findings(reading(30, ROW))
    assert note.severity == "note" and "30 censor marks of a were read" in note.message
    [more] = marks_findings(reading(80, ROW))  # 27 of them where 15 patients can have left
    assert "80 censor marks of a were read" in more.message and not confirmed_marks(reading(80, ROW), 0)
    assert marks_findings(reading(40, ROW)) == []


@pytest.mark.parametrize(
    ("counts", "pixels", "expected"),
    [
        ([100, 60, 20, 5], True, []),
        ([100, 90, 20, 5], True, ["question"]),  # one number may be misread
        ([100, 90, 60, 5], True, ["error"]),
        ([100, 90, 60, 5], False, ["question"]),
        ([10, 60, 40, 5], True, ["question"]),  # the first one is: numbers at risk do not rise
        ([100, 60, 0, 0], True, ["error"]),  # the curve runs on to 36
        ([100, 60, 20, 0], True, []),
    ],
)
def test_an_arm_is_refused_where_its_numbers_at_risk_are_another_curves(counts, pixels, expected) -> None:
    findings = table_findings([replace(ROW, counts=np.array(counts, float))], [arm(None)], pixels=pixels)
    assert [one.severity for one in findings if one.kind == "table_against_curve"] == expected
