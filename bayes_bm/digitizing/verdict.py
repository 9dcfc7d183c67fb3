"""How far a reading can be trusted: `exact`, `good`, `doubtful` or `refused`, with the reason and a bound of the error.

What decides is the re-rendering of the reading laid over the figure (`ink`); questions that a reader asked, and ticks
that do not lie on a line, come first where there are any.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bayes_bm.digitizing.figure import ArmLine, FigureReading, Finding, Panel, Verdict
from bayes_bm.digitizing.ink import ArmInk

EXACT_MISSING, GOOD_MISSING, MOST_MISSING = 0.005, 0.03, 0.3
"""Share of a line without ink beneath it: of an exact reading, of a good one, and of one that is refused."""
EXACT_LEFT, GOOD_LEFT = 0.02, 0.05
"""Share of a colour's ink without a line on it: of an exact reading and of a good one."""
GOOD_HIDDEN = 0.12
"""Share of a line that other ink hides, of a good reading; arms that cross hide a few per cent of each other."""
GOOD_COARSE = 0.02
"""Mean error of survival that the places of the corners and ticks of a good reading leave open; worse is wrong."""
FILE_ERROR = 0.0025
"""Least sd of a corner's place in figure units: files of vector graphics write places to a hundredth of a point."""
LEAST_BOUND = 1e-4
"""Of the mean absolute error: files round their places, and curves of 25 vector figures erred by up to 6e-5."""
PICTURE_MARGIN = 1.25
"""Of a picture's bound: times and heights of its corners err by more than the noise of its edges says."""


@dataclass(frozen=True, slots=True)
class ArmVerdict:
    """Hold the verdict on one arm, its reason, and a bound of its mean absolute error in survival."""

    verdict: Verdict
    reason: str
    iae_bound: float


def judge_reading(reading: FigureReading, ink: Sequence[ArmInk]) -> tuple[ArmVerdict, ...]:
    """Return a verdict for each arm of a reading whose findings, of this module too, are complete."""
    if reading.panel is None:
        return ()
    return tuple(
        _judge_arm(reading.panel, arm, one, reading.pixels, [f for f in reading.findings if f.arm in (None, place)])
        for place, (arm, one) in enumerate(zip(reading.arms, ink, strict=True))
    )


def worst_verdict(verdicts: Sequence[ArmVerdict]) -> Verdict:
    """Return the worst of all arms' verdicts; `refused` where there is none."""
    reached = {one.verdict for one in verdicts}
    if "refused" in reached or not reached:
        return "refused"
    if "doubtful" in reached:
        return "doubtful"
    return "good" if "good" in reached else "exact"


def _judge_arm(panel: Panel, arm: ArmLine, ink: ArmInk, pixels: bool, findings: Sequence[Finding]) -> ArmVerdict:
    bound = _iae_bound(panel, arm, ink, pixels)
    errors = [finding for finding in findings if finding.severity == "error"]
    questions = [finding for finding in findings if finding.severity == "question"]
    if errors:
        return ArmVerdict("refused", errors[0].message, bound)
    if questions:
        more = f" ({len(questions) - 1} more)" if len(questions) > 1 else ""
        return ArmVerdict("doubtful", questions[0].message + more, bound)
    if arm.error == 0 and ink.missing <= EXACT_MISSING and ink.unexplained <= EXACT_LEFT:
        return ArmVerdict("exact", "corners of the file, on their ink", bound)
    error = f", error {arm.error:.2g} units" if arm.error else ""
    words = f"{ink.missing:.1%} of the line without ink, {ink.unexplained:.1%} of the ink without a line{error}"
    return ArmVerdict("good", words, bound)


def ink_findings(reading: FigureReading, ink: Sequence[ArmInk]) -> tuple[Finding, ...]:
    """Return questions and errors where the re-rendered reading and the figure do not agree."""
    pairs = zip(reading.arms, ink, strict=True)
    return tuple(
        finding for place, (arm, one) in enumerate(pairs) for finding in _ink_of_arm(place, arm, one, reading.pixels)
    )


def _ink_of_arm(place: int, arm: ArmLine, ink: ArmInk, pixels: bool) -> Iterator[Finding]:
    def ask(kind: str, words: str, severity: Literal["question", "error"] = "question") -> Finding:
        answer = f'accepted = ["{kind}: {arm.name}"], or through = [[x, y], ...] in its [[arms]]'
        return Finding(kind, severity, words, answer, place)

    if ink.missing > GOOD_MISSING:
        severity = "error" if ink.missing > MOST_MISSING else "question"
        yield ask(
            "line_without_ink", f"{ink.missing:.0%} of the line read for {arm.name} has no ink beneath it", severity
        )
    if ink.unexplained > GOOD_LEFT:
        words = f"{ink.unexplained:.0%} of the ink of {arm.name}'s colour has no line on it: is there another arm?"
        yield ask("ink_without_line", words)
    if pixels and ink.hidden > GOOD_HIDDEN:
        words = f"{ink.hidden:.0%} of the line of {arm.name} lies under other ink: what is there is a guess"
        yield ask("hidden_line", words)


def coarse_findings(reading: FigureReading) -> tuple[Finding, ...]:
    """Return a question for each curve so narrow or low that errors of its corners and ticks are large beside it."""
    if reading.panel is None:
        return ()
    margin = PICTURE_MARGIN if reading.pixels else 1.0
    errors = [margin * _place_error(reading.panel, arm) for arm in reading.arms]
    return tuple(
        _ask_coarse(place, arm, _width(reading.panel, arm), error)
        for place, (arm, error) in enumerate(zip(reading.arms, errors, strict=True))
        if error > GOOD_COARSE
    )


def _ask_coarse(place: int, arm: ArmLine, width: float, error: float) -> Finding:
    words = (
        f"the curve of {arm.name} is {width:.0f} units across: what its corners and the ticks err by "
        f"may move its survival by {error:.2f} on average"
    )
    answer = f'accepted = ["coarse_figure: {arm.name}"], or the figure at a higher resolution'
    return Finding("coarse_figure", "question", words, answer, place)


def _place_error(panel: Panel, arm: ArmLine) -> float:
    """Return by how much survival errs on average for what is not known of the places of corners and ticks.

    Heights err by twice a corner's sd and the tick that misses most; times move the whole fall of the curve sideways.
    """
    twice = 2 * max(arm.error, FILE_ERROR)
    sideways = (twice + panel.time.residual) / _width(panel, arm) * _fall(arm)
    return (twice + panel.level.residual) / _height(panel) + sideways


def _width(panel: Panel, arm: ArmLine) -> float:
    """Return the figure units between the ends of a curve."""
    return max(float(arm.time[-1] - arm.time[0]) * abs(panel.time.step), 1e-12)


def _height(panel: Panel) -> float:
    """Return the figure units between survival of 0 and of 1."""
    return max(abs(panel.level.step) * (100.0 if panel.percent else 1.0), 1e-12)


def _fall(arm: ArmLine) -> float:
    return min(float(arm.survival[0] - arm.survival[-1]), 1.0)


def _iae_bound(panel: Panel, arm: ArmLine, ink: ArmInk, pixels: bool) -> float:
    """Return a bound of the mean absolute error of an arm's curve.

    Beside the error of its places, where nothing of a picture's line is measured it lies somewhere between the levels
    before and after, and ink without a line may be the part of the curve that was missed.
    """
    fall = _fall(arm)
    unsure = arm.unsure / _height(panel) + ink.missing * fall / 2
    bound = _place_error(panel, arm) + unsure
    if pixels:
        bound = PICTURE_MARGIN * bound + (max(arm.hidden, ink.hidden) / 2 + ink.unexplained) * fall
    return float(np.clip(bound, LEAST_BOUND, 1.0))
