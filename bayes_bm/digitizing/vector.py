"""A vector scene to a reading: panel, arms, marks, names, numbers at risk, and what has to be told of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.digitizing import given as saying
from bayes_bm.digitizing import marks as marking
from bayes_bm.digitizing import naming
from bayes_bm.digitizing import table as tables
from bayes_bm.digitizing.arms import Curve, curve, rounded_times
from bayes_bm.digitizing.calibration import Calibration
from bayes_bm.digitizing.figure import ArmLine, FigureReading, Finding, Panel
from bayes_bm.digitizing.findings import arm_findings, in_order, no_curve, nothing_found, several_panels
from bayes_bm.digitizing.labels import number, parted
from bayes_bm.digitizing.leftover import known_strokes, roleless_findings
from bayes_bm.digitizing.legend import Legend, Name, legend
from bayes_bm.digitizing.limits import untimed
from bayes_bm.digitizing.panels import AxisPair, axis_findings, axis_pairs, panel
from bayes_bm.digitizing.roles import Roles, anchored, roles
from bayes_bm.digitizing.scene import Box, Scene, Text
from bayes_bm.digitizing.segments import Segment, axis_marks, frames, segments
from bayes_bm.digitizing.steps import StepLine, step_lines

_LOOSE = 1e-3
"""Residual of an axis, as a share of its span, above which ticks are not where they should be."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """Hold one panel with the step lines in it; `pair` is None where a person gave the axes."""

    pair: AxisPair | None
    panel: Panel
    lines: tuple[StepLine, ...]
    roles: Roles


@dataclass(frozen=True, slots=True, eq=False)
class _Page:
    """Hold what all panels share."""

    scene: Scene
    texts: tuple[Text, ...]
    words: tuple[Text, ...]
    pieces: tuple[Segment, ...]
    given: Calibration


def read_scene(scene: Scene, given: Calibration | None = None, panel: int | None = None) -> FigureReading:
    """Return what one panel of a vector scene shows.

    Parameters
    ----------
    scene : Scene
        Of an SVG file or of a page of a PDF.
    given : Calibration, optional
        What a person said; it wins over what is read.
    panel : int, optional
        Which panel, from 1, in the order of `FigureReading.panels`; else that of `given`; else the first, with a
        question.

    Returns
    -------
    FigureReading
        With `panel` None and an error among its findings where there is no axis; without arms and with an error where
        there is no curve.
    """
    said = given or Calibration()
    texts = tuple(_readable(scene))
    words = tuple(text for text in texts if number(text.content or "") is None)
    page = _Page(scene, texts, words, tuple(segments(scene)), said)
    sights = [sight for pair in axis_pairs(texts) if (sight := _sight(page, pair)) is not None]
    boxes = tuple(sight.panel.box for sight in sights)
    asked = panel if panel is not None else said.panel
    if not sights:
        made = saying.panel(said, None)
        if made is None:
            return FigureReading(None, (), (), (), (nothing_found(scene, texts),))
        sights, asked = [_seen(page, None, made)], 1
    if not 1 <= (asked or 1) <= len(sights):
        wrong = Finding("no_such_panel", "error", f"The page has {len(sights)} panels, not {asked}.", "panel = 1")
        return FigureReading(None, boxes, (), (), (wrong,))
    findings: list[Finding] = []
    if len(sights) > 1 and asked is None:
        findings.append(several_panels([(sight.panel, len(sight.roles.arms)) for sight in sights]))
    sight = sights[(asked or 1) - 1]
    others = [other.panel.box for other in sights if other is not sight and other.panel.box != sight.panel.box]
    return _reading(_without(page, others), sight, boxes, findings)


def _without(page: _Page, boxes: Sequence[Box]) -> _Page:
    """Return the page without texts and lines inside other panels: their legends name other arms."""

    def outside(x: float, y: float) -> bool:
        return not any(box.left < x < box.right and box.top < y < box.bottom for box in boxes)

    return replace(
        page,
        texts=tuple(text for text in page.texts if outside(*text.box.centre)),
        words=tuple(text for text in page.words if outside(*text.box.centre)),
        pieces=tuple(
            piece for piece in page.pieces if piece.upright or outside((piece.low + piece.high) / 2, piece.place)
        ),
    )


def _readable(scene: Scene) -> list[Text]:
    """Return the texts of a scene, split at wide gaps, outlines recognised."""
    readable = [text for text in scene.texts if text.content is not None]
    outlines = [text for text in scene.texts if text.content is None and not marking.outline_kind(text)]
    if outlines:
        from bayes_bm.digitizing.raster.ocr import recognise_outlines

        with untimed():
            read = recognise_outlines(tuple(outlines))
        readable.extend(text for text in read if text.content is not None)
    return parted(readable)


def _sight(page: _Page, pair: AxisPair) -> _Sight | None:
    """Return a panel with its step lines; None where no line in it may be a curve."""
    core = pair.core
    box = frames(page.scene, page.pieces, core)[0]
    time_marks, level_marks = (axis_marks(page.pieces, scale, core) for scale in (pair.time, pair.level))
    sight = _seen(page, pair, panel(pair, page.texts, time_marks, level_marks, box))
    return sight if sight.roles.arms or sight.roles.rising or sight.roles.late else None


def _seen(page: _Page, pair: AxisPair | None, made: Panel) -> _Sight:
    """Return the step lines of a panel by role."""
    lines = step_lines(page.scene, made.box)
    kinds = roles(lines, made)
    return _Sight(pair, anchored(made, kinds.arms), tuple(lines), kinds)


def _reading(page: _Page, sight: _Sight, boxes: tuple[Box, ...], findings: list[Finding]) -> FigureReading:
    """Return everything about one panel."""
    said = page.given
    made = saying.panel(said, sight.panel) or sight.panel
    findings += saying.contradictions(said, sight.panel)
    if sight.pair is not None:
        core = sight.pair.core
        findings += axis_findings(sight.pair, made, "units", _LOOSE * min(core.width, core.height))
    if said.time is not None or said.level is not None or said.box is not None:
        sight = replace(_seen(page, sight.pair, made), panel=made)
    kinds = sight.roles
    keys = naming.keys(page.scene, page.pieces, kinds)
    lines = naming.with_level(kinds, keys, page.words)
    asked = saying.asked(said.arms, [*lines, *(line for line in sight.lines if line not in lines)], made.box)
    if asked:
        lines = [ask.line for ask in asked if ask.line is not None]
    if not lines and not any(ask.arm.corners for ask in asked):
        return FigureReading(made, boxes, (), (), in_order([*findings, no_curve(kinds)]))
    key_says = legend(keys, page.words, [naming.look(line) for line in lines])
    table = tables.risk_table(page.texts, made.time, made.box, sight.pair.texts if sight.pair else [])
    marked = _marks(page.scene, sight, lines, key_says)
    curves = [curve(line.points, made) for line in lines]
    names = naming.names(key_says, page.words, lines, made.box, table)
    parts = zip(names, lines, curves, marked.times, strict=True)
    arms = [_arm(name, line, drawn, places, made) for name, line, drawn, places in parts]
    if asked:
        findings += saying.without_line(asked)
        arms, curves = _as_given(said, asked, arms, curves, made)
        order = list(range(len(arms)))
    else:
        arms = [saying.with_marks(arm, None, said) for arm in arms]
        order = naming.order(key_says.order, arms)
    ordered = [arms[index] for index in order]
    rows = saying.rows(said, tables.of_arms(table, ordered, len(key_says.order) == len(arms)), ordered)
    findings += arm_findings(kinds, key_says, ordered, [curves[index] for index in order], made)
    findings += tables.table_findings(rows, ordered)
    findings += roleless_findings(page.scene, made, kinds, lines, marked, key_says)
    others = known_strokes(page.scene, made, kinds, lines, marked, key_says, page.texts)
    return FigureReading(made, boxes, tuple(ordered), tuple(rows), in_order(findings), others=others)


def _as_given(
    said: Calibration, asked: Sequence[saying.Asked], arms: Sequence[ArmLine], curves: Sequence[Curve], made: Panel
) -> tuple[list[ArmLine], list[Curve]]:
    """Return arms with given names and marks, in the order in which they are given."""
    traced = iter(zip(arms, curves, strict=True))
    lines: list[ArmLine] = []
    drawn: list[Curve] = []
    for ask in asked:
        if ask.arm.corners:
            arm = saying.drawn(ask.arm, made)
            lines.append(arm)
            drawn.append(Curve(arm.corners, arm.time, arm.survival, ""))
        elif ask.line is not None:
            arm, course = next(traced)
            named = replace(arm, name=ask.arm.name, name_source=ask.arm.source)
            lines.append(saying.with_marks(named, ask.arm, said))
            drawn.append(course)
    return lines, drawn


def _marks(scene: Scene, sight: _Sight, lines: Sequence[StepLine], key_says: Legend) -> marking.MarkSet:
    """Return the censor marks of the arms."""
    box = sight.panel.box
    taken = [stroke for line in sight.lines if len(line.points) > 4 for stroke in line.strokes]
    snap = 2e-4 * box.width
    return marking.assign(marking.shapes(scene, box, taken), lines, box, key_says.keys, snap)


def _arm(name: Name, line: StepLine, drawn: Curve, places: np.ndarray | None, made: Panel) -> ArmLine:
    """Return an arm as a record; a mark at a step has exactly its time."""
    times = None
    if places is not None:
        seen = places[places <= drawn.corners[-1, 0] + 1e-3 * made.box.width]
        times = rounded_times(np.maximum(made.time.value(seen), 0.0), made)
    return ArmLine(
        name=name.name,
        name_source=name.source,
        colour=line.colour,
        dash=line.dash,
        width=line.width,
        corners=drawn.corners,
        time=drawn.time,
        survival=drawn.survival,
        marks=times,
        error=line.rounding,
    )
