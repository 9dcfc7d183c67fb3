"""What a person said of a figure, put in place of what was read; contradictions are told, not checked away."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.digitizing.calibration import Calibration, GivenArm, GivenAxis
from bayes_bm.digitizing.figure import ArmLine, Axis, Finding, Panel, RiskRow
from bayes_bm.digitizing.scene import Box, Colour
from bayes_bm.digitizing.steps import StepLine

_ALIKE = 0.04
_FAR = 1e-3
"""Share of an axis's span by which a given axis may differ from the one that was read."""


def axis(given: GivenAxis | None, read: Axis | None) -> Axis | None:
    """Return the given axis, with the title that was read; the one that was read where none is given."""
    if given is None:
        return read
    values = np.array([tick.value for tick in given.ticks])
    places = np.array([tick.place for tick in given.ticks])
    step, origin = np.polyfit(values, places, 1)
    residual = float(np.abs(places - origin - step * values).max())
    title = read.title if read is not None else ""
    return Axis(values, places, float(origin), float(step), residual, given.source, title)


def panel(given: Calibration, read: Panel | None) -> Panel | None:
    """Return a panel with what is given; None where an axis is neither given nor read."""
    time = axis(given.time, read.time if read else None)
    level = axis(given.level, read.level if read else None)
    if time is None or level is None:
        return None
    spanned = Box(
        *(float(side) for side in (time.places.min(), level.places.min(), time.places.max(), level.places.max()))
    )
    percent = given.percent
    if percent is None:
        percent = read.percent if read is not None else float(level.values.max()) > 1.6
    return Panel(
        box=given.box or (read.box if read else spanned),
        time=time,
        level=level,
        percent=percent,
        time_unit=given.time_unit or (read.time_unit if read else None),
    )


def contradictions(given: Calibration, read: Panel) -> list[Finding]:
    """Return where a given axis lies elsewhere than the one that was read."""
    findings: list[Finding] = []
    for name, said, seen in (("time", given.time, read.time), ("survival", given.level, read.level)):
        made = axis(said, None)
        if made is not None:
            apart = float(np.abs(made.place(seen.values) - seen.places).max())
            if apart > _FAR * float(np.ptp(seen.places)):
                message = f"The given axis of {name} lies up to {apart:.3g} from the ticks that were read."
                findings.append(Finding("given_against_read", "note", message))
    return findings


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Hold a given arm and the line that it asks for; None where no line is like it, or its corners are given."""

    arm: GivenArm
    line: StepLine | None


def asked(arms: Sequence[GivenArm], lines: Sequence[StepLine], box: Box) -> list[Asked]:
    """Return for each given arm that is not dropped the line that it asks for.

    Of lines of the arm's colour and dash it is the one that runs nearest to the points that are given.
    """
    questions: list[Asked] = []
    free = list(lines)
    grain = 1e-3 * box.height
    for arm in arms:
        if arm.drop:
            continue
        fits = [] if arm.corners else [line for line in free if _like(arm, line) and _distance(arm, line) < 20 * grain]
        best = min(
            fits, key=lambda line: (round(_distance(arm, line) / grain), -np.ptp(line.points[:, 0])), default=None
        )
        if best is not None:
            free.remove(best)
        questions.append(Asked(arm, best))
    return questions


def without_line(asks: Sequence[Asked]) -> list[Finding]:
    """Return the questions where the lines of given arms are."""
    return [
        Finding(
            "given_arm_without_line",
            "question",
            f"No line is drawn as the given arm {ask.arm.name} asks.",
            "[[arms]]: colour, dash or through",
        )
        for ask in asks
        if ask.line is None and not ask.arm.corners
    ]


def _like(arm: GivenArm, line: StepLine) -> bool:
    """Return whether a line has the colour and dash that an arm asks for."""
    if arm.colour is not None and _gap(arm.colour, line.colour) > _ALIKE:
        return False
    return arm.dash is None or bool(arm.dash) == bool(line.dash)


def _gap(first: Colour, second: Colour) -> float:
    return max(abs(one - two) for one, two in zip(first, second, strict=True))


def _distance(arm: GivenArm, line: StepLine) -> float:
    """Return the median height between the points that an arm gives and a line; 0 where it gives none."""
    if not arm.through:
        return 0.0
    points = np.array(arm.through)
    gaps = np.abs(line.level(points[:, 0]) - points[:, 1])
    return float(np.median(np.where(np.isfinite(gaps), gaps, 1e9)))


def drawn(arm: GivenArm, made: Panel) -> ArmLine:
    """Return the arm whose corners a person gives."""
    corners = np.array(arm.corners, float)
    scale = 100.0 if made.percent else 1.0
    places = np.column_stack([made.time.place(corners[:, 0]), made.level.place(corners[:, 1] * scale)])
    colour = arm.colour or (0.0, 0.0, 0.0)
    marks = None if arm.marks is None else np.sort(np.array(arm.marks, float))
    return ArmLine(arm.name, "given", colour, arm.dash or (), 1.0, places, corners[:, 0], corners[:, 1], marks)


def with_marks(arm: ArmLine, said: GivenArm | None, given: Calibration) -> ArmLine:
    """Return an arm with the marks that are given, or without any."""
    if said is not None and said.marks is not None:
        return replace(arm, marks=np.sort(np.array(said.marks, float)))
    return replace(arm, marks=None) if given.marks is False else arm


def rows(given: Calibration, read: Sequence[RiskRow], arms: Sequence[ArmLine]) -> list[RiskRow]:
    """Return the given rows; those that were read where none is given."""
    if not given.rows:
        return list(read)
    names = [arm.name for arm in arms]
    return [
        RiskRow(
            row.kind,
            names.index(row.arm) if row.arm in names else None,
            row.arm,
            np.array(row.times, float),
            np.array(row.counts, float),
            row.source,
        )
        for row in given.rows
    ]
