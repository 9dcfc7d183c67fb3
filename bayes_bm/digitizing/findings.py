"""What has to be told of a vector reading: nothing that was seen and has no role stays unsaid."""

from collections.abc import Sequence

from bayes_bm.digitizing.arms import Curve
from bayes_bm.digitizing.figure import ArmLine, Finding, Panel
from bayes_bm.digitizing.formats.affine import bounds
from bayes_bm.digitizing.labels import number
from bayes_bm.digitizing.legend import Legend
from bayes_bm.digitizing.marks import MarkSet
from bayes_bm.digitizing.roles import Roles
from bayes_bm.digitizing.scene import Box, Scene, Text
from bayes_bm.digitizing.steps import StepLine, copied

_TICKS = "[time] and [level]: ticks = [{ place = ..., value = ... }, ...]"
_UNTOLD = 0.04
"""Length of strokes without a role, as a share of the panel's width, that a mark or two would not have."""


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings with errors first, each once."""
    rank = {"error": 0, "question": 1, "note": 2}
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: rank[finding.severity]))


def nothing_found(scene: Scene, texts: Sequence[Text]) -> Finding:
    """Return why no panel was found."""
    count = sum(number(text.content or "") is not None for text in texts)
    pictures = f", {len(scene.pictures)} pictures" if scene.pictures else ""
    message = f"No axes with a curve between them: {len(scene.strokes)} lines, {count} numbers{pictures} on the page."
    return Finding("no_axes", "error", message, _TICKS)


def several_panels(panels: Sequence[tuple[Panel, int]]) -> Finding:
    """Return the question which of several panels, each with its number of curves, is meant."""
    listed = "; ".join(
        f"{index}: {panel.level.title or 'survival'} by {panel.time.title or 'time'}, {curves} curves"
        for index, (panel, curves) in enumerate(panels, 1)
    )
    message = f"The page has {len(panels)} panels ({listed}); panel 1 was read."
    return Finding("several_panels", "question", message, "panel = 1")


def no_curve(kinds: Roles) -> Finding:
    """Return why a panel with lines has no curve."""
    if kinds.rising:
        message = f"{len(kinds.rising)} curves rise from 0: the figure shows cumulative incidence, not survival."
        return Finding("rising_curve", "error", message)
    message = f"No line falls from (0, 1); {len(kinds.late)} falling lines start elsewhere."
    return Finding("no_curve", "error", message, _TICKS)


def arm_findings(
    kinds: Roles, said: Legend, arms: Sequence[ArmLine], curves: Sequence[Curve], panel: Panel
) -> list[Finding]:
    """Return what has to be told of arms, names and lines without a role."""
    findings: list[Finding] = []
    if kinds.rising:
        message = f"{len(kinds.rising)} curves rise from 0 and were left out: cumulative incidence is not survival."
        findings.append(Finding("rising_curve", "question", message, 'accepted = ["rising_curve"]'))
    for line in kinds.late:
        when = float(panel.time.value(line.points[0, 0]))
        message = (
            f"A falling line of {len(line.drops)} steps starts at time {when:.3g}, not at (0, 1), and was left out."
        )
        findings.append(Finding("line_without_role", "question", message, 'accepted = ["line_without_role"]'))
    for name in said.without_line:
        message = f"The legend names {name}, but no curve is drawn like its key."
        findings.append(Finding("legend_without_line", "question", message, 'accepted = ["legend_without_line"]'))
    for index, (arm, drawn) in enumerate(zip(arms, curves, strict=True)):
        if arm.name_source == "none":
            message = f"Nothing on the page names {arm.name}."
            findings.append(Finding("arm_without_name", "question", message, '[[arms]]: name = "..."', index))
        if drawn.cut == "below":
            message = f"{arm.name} leaves the axis of survival at time {arm.time[-1]:.4g}."
            findings.append(Finding("leaves_axis", "note", message, "", index))
    return findings


def unexplained(
    scene: Scene, panel: Panel, kinds: Roles, arms: Sequence[StepLine], marks: MarkSet, said: Legend
) -> list[Finding]:
    """Return the question what lines are that are drawn in an arm's colour but belong to nothing that was read."""
    explained = {id(stroke) for line in (*arms, *kinds.limits, *kinds.late, *kinds.rising) for stroke in line.strokes}
    explained |= copied(scene)
    findings: list[Finding] = []
    for index, arm in enumerate(arms):
        if max(arm.colour) - min(arm.colour) < 0.1:
            continue
        rest = [
            bounds(stroke.points)
            for stroke in scene.strokes
            if stroke.colour == arm.colour and id(stroke) not in explained and not stroke.closed
        ]
        untold = [part for part in rest if not _explained(part, panel.box, marks, said)]
        length = sum(part.width + part.height for part in untold) / panel.box.width
        if length > _UNTOLD:
            message = (
                f"{len(untold)} lines in an arm's colour ({length:.0%} of the panel's width) belong to nothing read."
            )
            answer = "[[arms]]: through = [[x, y], ...]"
            findings.append(Finding("strokes_without_role", "question", message, answer, index))
    return findings


def _explained(part: Box, box: Box, marks: MarkSet, said: Legend) -> bool:
    """Return whether a stroke lies outside the panel, is a mark, or a key of the legend."""
    x, y = part.centre
    if not (box.left < x < box.right and box.top < y < box.bottom):
        return True
    size = max(part.width, part.height, 1e-9)
    in_key = any(
        size <= 1.5 * key.width and abs(key.centre[1] - y) <= 0.6 * size and key.left - size <= x <= key.right + size
        for key in said.keys
    )
    on_mark = any(
        size <= 1.5 * shape.size and abs(shape.x - x) <= 0.3 * size and abs(shape.y - y) <= 0.6 * size
        for shape in marks.shapes
    )
    return in_key or on_mark
