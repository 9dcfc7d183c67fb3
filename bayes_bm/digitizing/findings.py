"""What has to be told of a vector reading: nothing that was seen and has no role stays unsaid."""

from collections.abc import Sequence
from typing import Literal

from bayes_bm.digitizing.arms import Curve
from bayes_bm.digitizing.figure import ArmLine, Finding, Panel
from bayes_bm.digitizing.labels import number
from bayes_bm.digitizing.legend import Legend
from bayes_bm.digitizing.roles import Roles
from bayes_bm.digitizing.scene import Scene, Text

_TICKS = "[time] and [level]: ticks = [{ place = ..., value = ... }, ...]"


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
            answer = '[[arms]]: name = "..."' if len(arms) > 1 else ""  # an arm alone is taken for no other
            severity: Literal["question", "note"] = "question" if answer else "note"
            findings.append(Finding("arm_without_name", severity, message, answer, index))
        if drawn.cut == "below":
            message = f"{arm.name} leaves the axis of survival at time {arm.time[-1]:.4g}."
            findings.append(Finding("leaves_axis", "note", message, "", index))
    return findings
