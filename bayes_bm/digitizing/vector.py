"""A vector scene to a reading: panel, arms, marks, names, numbers at risk, and what has to be told of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from bayes_bm.digitizing import marks as marking
from bayes_bm.digitizing import table as tables
from bayes_bm.digitizing.arms import Curve, curve
from bayes_bm.digitizing.axes import Scale
from bayes_bm.digitizing.figure import ArmLine, FigureReading, Finding, Panel
from bayes_bm.digitizing.formats.affine import bounds
from bayes_bm.digitizing.labels import number, parted
from bayes_bm.digitizing.legend import Key, Legend, Look, Name, beside_lines, legend
from bayes_bm.digitizing.panels import AxisPair, axis_findings, axis_pairs, panel
from bayes_bm.digitizing.roles import Roles, anchored, roles
from bayes_bm.digitizing.scene import Box, Scene, Text
from bayes_bm.digitizing.segments import Segment, axis_marks, frames, segments
from bayes_bm.digitizing.steps import StepLine, step_lines

_LOOSE = 1e-3
"""Residual of an axis, as a share of its span, above which ticks are not where they should be."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """Hold one panel with the step lines in it."""

    pair: AxisPair
    panel: Panel
    lines: tuple[StepLine, ...]
    roles: Roles


def read_scene(scene: Scene, given: object = None, panel: int | None = None) -> FigureReading:
    """Return what one panel of a vector scene shows.

    Parameters
    ----------
    scene : Scene
        Of an SVG file or of a page of a PDF.
    given : Calibration, optional
        What a person said; it wins over what is read.
    panel : int, optional
        Which panel, from 1, in the order of `FigureReading.panels`; the first where none is given, with a question.

    Returns
    -------
    FigureReading
        With `panel` None and an error among its findings where there is no axis or no curve.
    """
    texts, told = _readable(scene)
    pieces = segments(scene)
    sights = [sight for pair in axis_pairs(texts) if (sight := _sight(scene, pair, texts, pieces)) is not None]
    if not sights:
        return FigureReading(None, (), (), (), (*told, *_nothing(scene, texts)))
    boxes = tuple(sight.panel.box for sight in sights)
    chosen = panel or 1
    if not 1 <= chosen <= len(sights):
        wrong = Finding("no_such_panel", "error", f"The page has {len(sights)} panels, not {chosen}.", "panel = 1")
        return FigureReading(None, boxes, (), (), (wrong,))
    if len(sights) > 1 and panel is None:
        told.append(_several(sights))
    sight = sights[chosen - 1]
    return _reading(scene, sight, texts, pieces, boxes, told)


def _readable(scene: Scene) -> tuple[list[Text], list[Finding]]:
    """Return the texts of a scene, split at wide gaps, outlines recognised."""
    known = [text for text in scene.texts if text.content is not None]
    outlines = [text for text in scene.texts if text.content is None and not marking.outline_kind(text)]
    if outlines:
        ocr = import_module("bayes_bm.digitizing.raster.ocr")
        known.extend(text for text in ocr.recognise_outlines(tuple(outlines)) if text.content is not None)
    return parted(known), []


def _nothing(scene: Scene, texts: Sequence[Text]) -> list[Finding]:
    """Return why there is nothing to read."""
    numbers = sum(number(text.content or "") is not None for text in texts)
    message = f"No axes with a curve: {len(scene.strokes)} lines and {numbers} numbers on the page."
    return [Finding("no_axes", "error", message, "[time]: ticks = [[value, place], ...]")]


def _several(sights: Sequence[_Sight]) -> Finding:
    """Return the question which of several panels is meant."""
    listed = "; ".join(
        f"{index}: {sight.panel.level.title or 'survival'} by {sight.panel.time.title or 'time'}, "
        f"{len(sight.roles.arms)} curves"
        for index, sight in enumerate(sights, 1)
    )
    return Finding(
        "several_panels", "question", f"The page has {len(sights)} panels ({listed}); panel 1 was read.", "panel = 1"
    )


def _sight(scene: Scene, pair: AxisPair, texts: Sequence[Text], pieces: Sequence[Segment]) -> _Sight | None:
    """Return a panel with its step lines; None where no line in it may be a curve."""
    core = pair.core
    box = frames(scene, pieces, core)[0]
    made = panel(pair, texts, axis_marks(pieces, pair.time, core), axis_marks(pieces, pair.level, core), box)
    lines = step_lines(scene, box)
    kinds = roles(lines, made)
    made = anchored(made, kinds.arms)
    return _Sight(pair, made, tuple(lines), kinds) if kinds.arms or kinds.rising or kinds.late else None


def _reading(
    scene: Scene,
    sight: _Sight,
    texts: Sequence[Text],
    pieces: Sequence[Segment],
    boxes: tuple[Box, ...],
    told: list[Finding],
) -> FigureReading:
    """Return everything about one panel."""
    kinds, made = sight.roles, sight.panel
    findings = [
        *told,
        *axis_findings(sight.pair, made, "pt", _LOOSE * min(sight.pair.core.width, sight.pair.core.height)),
    ]
    keys = _keys(scene, pieces, kinds)
    words = [text for text in texts if number(text.content or "") is None]
    lines = _with_level(kinds, keys, words)
    if not lines:
        return FigureReading(made, boxes, (), (), _sorted([*findings, *_curveless(kinds)]))
    looks = [Look(line.colour, line.dash, line.width, line.points) for line in lines]
    said = legend(keys, words, looks)
    table = tables.risk_table(texts, made.time, made.box, _axis_texts(sight.pair))
    names = _names(said, words, looks, made.box, table)
    shapes = marking.shapes(
        scene, made.box, [stroke for line in sight.lines for stroke in line.strokes if len(line.points) > 4]
    )
    snap = max(2 * scene.precision, 2e-4 * made.box.width)
    marked = marking.assign(shapes, lines, made.box, said.keys, snap)
    curves = [curve(line.points, made) for line in lines]
    arms = [
        _arm(name, line, drawn, places, made)
        for name, line, drawn, places in zip(names, lines, curves, marked.times, strict=True)
    ]
    order = _order(said, arms)
    ordered = [arms[index] for index in order]
    rows = tables.of_arms(table, ordered, by_order=len(said.order) == len(arms))
    findings += _arm_findings(kinds, said, ordered, [curves[index] for index in order], made)
    findings += tables.table_findings(rows, ordered)
    return FigureReading(made, boxes, tuple(ordered), tuple(rows), _sorted(findings))


def _sorted(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings with errors first."""
    rank = {"error": 0, "question": 1, "note": 2}
    return tuple(sorted(findings, key=lambda finding: rank[finding.severity]))


def _axis_texts(pair: AxisPair) -> list[Text]:
    """Return the texts that label the axes."""

    def of(scale: Scale) -> list[Text]:
        return [label.text for label in (*scale.labels, *scale.strangers)]

    return [*of(pair.time), *of(pair.level)]


def _keys(scene: Scene, pieces: Sequence[Segment], kinds: Roles) -> list[Key]:
    """Return the short level lines and small patches of a scene that may be keys of a legend."""
    curves = {id(stroke) for line in (*kinds.arms, *kinds.limits, *kinds.rising) for stroke in line.strokes}
    longest = 0.2 * scene.width
    keys = [
        Key(piece.colour, piece.dash, piece.width, Box(piece.low, piece.place, piece.high, piece.place))
        for piece in pieces
        if not piece.upright and piece.length <= longest and id(piece.stroke) not in curves
    ]
    for stroke in scene.strokes:
        if stroke.fill is not None and stroke.closed and len(stroke.points) in (4, 5):
            box = bounds(stroke.points)
            if 0 < box.width <= longest and 0 < box.height <= 0.06 * scene.height:
                keys.append(Key(stroke.fill, (), stroke.width, box, line=False))
    return keys


def _with_level(kinds: Roles, keys: Sequence[Key], words: Sequence[Text]) -> list[StepLine]:
    """Return the arms, and lines without a step whose look only a legend's key shares."""
    looks = [Look(line.colour, line.dash, line.width, line.points) for line in (*kinds.arms, *kinds.level)]
    named = legend(keys, words, looks).names[len(kinds.arms) :]
    flat = [line for line, name in zip(kinds.level, named, strict=True) if name is not None and max(line.colour) < 0.8]
    return [*kinds.arms, *flat]


def _names(said: Legend, words: Sequence[Text], looks: Sequence[Look], box: Box, table: tables.Table) -> list[Name]:
    """Return the name of each arm: of the legend, of words beside its line, of the table's only row, else a number."""
    names = list(said.names)
    if any(name is None for name in names):
        used = [*said.texts, *table.texts]
        beside = beside_lines(words, looks, box, used)
        names = [name or other for name, other in zip(names, beside, strict=True)]
    names = [name or other for name, other in zip(names, tables.names_by_colour(table, looks), strict=True)]
    missing = [index for index, name in enumerate(names) if name is None]
    labels = [row.label for row in table.rows if row.kind == "at_risk" and row.label]
    free = [label for label in labels if all(name is None or name.name != label for name in names)]
    if len(missing) == 1 and len(free) == 1 and len(labels) == len(names):
        names[missing[0]] = Name(free[0], "table")
    return [name or Name(f"arm {index}", "none") for index, name in enumerate(names, 1)]


def _arm(name: Name, line: StepLine, drawn: Curve, places: np.ndarray | None, made: Panel) -> ArmLine:
    """Return an arm as a record."""
    times = None
    if places is not None:
        seen = places[(places <= drawn.corners[-1, 0] + 1e-3 * made.box.width)]
        times = np.maximum(made.time.value(seen), 0.0)
        for step in np.unique(drawn.time):  # a mark at a step has exactly its time
            times[np.abs(times - step) < 1e-9 * max(drawn.time[-1], 1.0)] = step
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


def _order(said: Legend, arms: Sequence[ArmLine]) -> list[int]:
    """Return the arms in the order of the legend, then from the highest line down."""
    area = [float(np.sum(np.diff(arm.time) * arm.survival[:-1]) / max(arm.time[-1], 1e-9)) for arm in arms]
    rest = sorted((index for index in range(len(arms)) if index not in said.order), key=lambda index: -area[index])
    return [*said.order, *rest]


def _curveless(kinds: Roles) -> list[Finding]:
    """Return why a panel with lines has no curve."""
    if kinds.rising:
        return [
            Finding(
                "rising_curve",
                "error",
                f"{len(kinds.rising)} curves rise from 0: the figure shows cumulative incidence, not survival.",
            )
        ]
    return [
        Finding(
            "no_curve", "error", f"No line falls from (0, 1); {len(kinds.late)} falling lines start elsewhere.",
            "[time] and [survival]: ticks = [[value, place], ...]",
        )
    ]  # fmt: skip


def _arm_findings(
    kinds: Roles, said: Legend, arms: Sequence[ArmLine], curves: Sequence[Curve], made: Panel
) -> list[Finding]:
    """Return what has to be told of arms, names and lines without a role."""
    found: list[Finding] = []
    if kinds.rising:
        found.append(
            Finding(
                "rising_curve",
                "question",
                f"{len(kinds.rising)} curves rise from 0 and were left out: cumulative incidence is not survival.",
                "arms as listed are all that is wanted: confirm = true",
            )
        )
    for line in kinds.late:
        when = float(made.time.value(line.points[0, 0]))
        found.append(
            Finding(
                "line_without_role",
                "question",
                f"A falling line of {len(line.drops)} steps starts at time "
                f"{when:.3g}, not at (0, 1), and was left out.",
                "[[arm]]: line = [[time, survival], ...]",
            )
        )
    for name in said.without_line:
        found.append(
            Finding(
                "legend_without_line",
                "question",
                f"The legend names {name}, but no curve is drawn like its key.",
                f'[[arm]]: name = "{name}"',
            )
        )
    for index, (arm, drawn) in enumerate(zip(arms, curves, strict=True)):
        if arm.name_source == "none":
            found.append(
                Finding(
                    "arm_without_name",
                    "question",
                    f"Nothing on the page names {arm.name}.",
                    f'[[arm]] number {index + 1}: name = "..."',
                    index,
                )
            )
        if drawn.cut == "below":
            found.append(
                Finding("leaves_axis", "note", f"{arm.name} leaves the axis at time {arm.time[-1]:.4g}.", "", index)
            )
    return found
