"""A picture to a reading: turned straight, its panel measured, its arms traced, and what has to be told of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.digitizing import given as saying
from bayes_bm.digitizing import naming
from bayes_bm.digitizing import table as tables
from bayes_bm.digitizing.arms import curve
from bayes_bm.digitizing.axes import axis
from bayes_bm.digitizing.calibration import Calibration
from bayes_bm.digitizing.figure import ArmLine, Axis, FigureReading, Finding, Panel, RiskRow, known_ink
from bayes_bm.digitizing.findings import in_order
from bayes_bm.digitizing.labels import number
from bayes_bm.digitizing.legend import Look, Name, beside_lines
from bayes_bm.digitizing.panels import AxisPair, axis_findings, axis_pairs, panel
from bayes_bm.digitizing.raster.arms import Search, Start, Traced, search, with_drops
from bayes_bm.digitizing.raster.asking import asked_findings, only_asked, wanted_arms
from bayes_bm.digitizing.raster.bridging import bridged, exchanged, unsure
from bayes_bm.digitizing.raster.calibrating import skew, stroke_marks, turned_back
from bayes_bm.digitizing.raster.cells import missing_cells, missing_labels
from bayes_bm.digitizing.raster.colours import Crop, crop, inks
from bayes_bm.digitizing.raster.framing import panel_box
from bayes_bm.digitizing.raster.ink import Pixels
from bayes_bm.digitizing.raster.keys import DrawnKey, is_print, legend_keys, text_mask
from bayes_bm.digitizing.raster.levels import of_patients, of_themselves, usual_drop
from bayes_bm.digitizing.raster.marking import mark_shape, marks
from bayes_bm.digitizing.raster.ocr import read_texts
from bayes_bm.digitizing.raster.patients import patient_height
from bayes_bm.digitizing.raster.telling import arm_findings
from bayes_bm.digitizing.scene import Box, Floats, Text

_LOOSE = 0.6
"""Pixels by which ticks may be off a straight line: programs that round ticks to whole pixels reach 0.5."""
_AXIS = 12.0
"""Pixels that an axis line is wide at most."""
_OF_FIRST = 0.6
"""Share of an arm's usual drop below which its first level is survival 1, blurred by what falls soon after."""
_LEAST_PANEL = 40
"""Pixels of a side below which no curve can be read."""
_DASHES = {"solid": (), "patch": (), "dashed": (4.0, 3.0), "dotted": (1.0, 2.0)}
"""Lengths of line and gap that stand for a kind of line, in widths of the line."""


@dataclass(frozen=True, slots=True, eq=False)
class _Page:
    """Hold a straight picture and what is printed on it."""

    pixels: Pixels
    skew: float
    texts: tuple[Text, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """Hold one panel: its labels, where there are some, its axes, the box inside the axis lines, contradictions."""

    pair: AxisPair | None
    panel: Panel
    inner: Box
    notes: tuple[Finding, ...] = ()


def read_pixels(pixels: Pixels, given: Calibration | None = None, panel: int | None = None) -> FigureReading:
    """Return what one panel of a picture shows.

    Parameters
    ----------
    pixels
        Bytes (rows, columns, 3), sRGB.
    given : Calibration, optional
        What a person said; it wins over what is read.
    panel : int, optional
        Which panel, from 1; the first where none is given, with a question.

    Returns
    -------
    FigureReading
        Places are pixels of the picture after it was turned back by `Panel.skew`. `panel` is None, with an error among
        the findings, where there are no axes.
    """
    given = given or Calibration()
    turn = given.skew if given.skew is not None else skew(pixels)
    straight = turned_back(pixels, turn)
    page = _Page(straight, turn, read_texts(straight))
    page = _with_labels(page)
    sights = _sights(page, given)
    if not sights:
        return FigureReading(None, (), (), (), (_nothing(page),))
    boxes = tuple(sight.panel.box for sight in sights)
    asked = panel if panel is not None else given.panel
    chosen = 1 if asked is None else asked
    if not 1 <= chosen <= len(sights):
        wrong = Finding("no_such_panel", "error", f"The page has {len(sights)} panels, not {chosen}.", "panel = 1")
        return FigureReading(None, boxes, (), (), (wrong,))
    notes = [_several(sights)] if len(sights) > 1 and asked is None else []
    return _reading(page, sights[chosen - 1], boxes, given, notes)


def _with_labels(page: _Page) -> _Page:
    """The page with labels of axes that were passed over."""
    extra = tuple(text for pair in axis_pairs(page.texts) for text in missing_labels(page.pixels, page.texts, pair))
    return replace(page, texts=(*page.texts, *extra))


def _nothing(page: _Page) -> Finding:
    numbers = [text.content or "" for text in page.texts if number(text.content or "") is not None]
    said = ", ".join(numbers[:12]) or "none"
    message = f"No axes: no row and column of evenly placed numbers; numbers read on the page: {said}."
    return Finding("no_axes", "error", message, "[time] and [level]: ticks = [{ place = ..., value = ... }, ...]")


def _several(sights: Sequence[_Sight]) -> Finding:
    listed = "; ".join(
        f"{index}: {sight.panel.level.title or 'survival'} by {sight.panel.time.title or 'time'}"
        for index, sight in enumerate(sights, 1)
    )
    message = f"The page has {len(sights)} panels ({listed}); panel 1 was read."
    return Finding("several_panels", "question", message, "panel = 1")


def _sights(page: _Page, given: Calibration) -> list[_Sight]:
    """The panels of a page, from left to right."""
    pairs = axis_pairs(page.texts)
    if given.time is not None and given.level is not None and len(pairs) < 2:
        return [_given_sight(page, given, pairs)]
    grey = page.pixels.mean(axis=2)
    sights = []
    for pair in pairs:
        others = [other.level.box.left for other in pairs if other.level.box.left > pair.core.right]
        right = min([*others, float(page.pixels.shape[1])])
        sights.append(_with_given(_sight(page, grey, pair, right), given))
    return sights


def _sight(page: _Page, grey: Floats, pair: AxisPair, right: float) -> _Sight:
    core = pair.core
    time_marks = stroke_marks(grey, pair.time, core.top)
    level_marks = stroke_marks(grey, pair.level, core.right)
    time, level = axis(pair.time, time_marks, core.width), axis(pair.level, level_marks, core.height)
    box = _from_start(panel_box(page.pixels, pair, time, level, right), time, pair)
    return _Sight(pair, panel(pair, page.texts, time_marks, level_marks, _to_zero(box, level), page.skew), box)


def _from_start(box: Box, time: Axis, pair: AxisPair) -> Box:
    """The box from time 0 on where that stands right of the other axis: a pale grid line may pass for that axis."""
    start = float(time.place(0.0)) - 1.0
    return replace(box, left=start) if pair.level.box.right < start < box.left - _AXIS else box


def _to_zero(box: Box, level: Axis) -> Box:
    """The box down to survival 0 where the axis line stands there: curves end inside that line."""
    zero = float(level.place(0.0)) + 1.0
    return replace(box, bottom=zero) if 0.0 < zero - box.bottom < _AXIS else box


def _with_given(sight: _Sight, given: Calibration) -> _Sight:
    """The panel with what a person said of it."""
    made = sight.panel
    time, level = saying.axis(given.time, made.time), saying.axis(given.level, made.level)
    assert time is not None and level is not None
    percent = made.percent if given.percent is None else given.percent
    unit = made.time_unit if given.time_unit is None else given.time_unit
    box = made.box if given.box is None else given.box
    inner = sight.inner if given.box is None else given.box
    notes = tuple(saying.contradictions(given, made))
    return _Sight(sight.pair, Panel(box, time, level, percent, unit, made.skew), inner, notes)


def _given_sight(page: _Page, given: Calibration, pairs: Sequence[AxisPair]) -> _Sight:
    """The panel that a person's ticks make, where labels make none or one."""
    time, level = saying.axis(given.time, None), saying.axis(given.level, None)
    assert time is not None and level is not None
    percent = given.percent if given.percent is not None else bool(level.values.max() > 1.6)
    box = given.box or Box(
        float(time.places.min()), float(level.places.min()) - 5, float(time.places.max()), float(level.places.max()) + 3
    )
    made = Panel(_to_zero(box, level), time, level, percent, given.time_unit, page.skew)
    return _Sight(pairs[0] if pairs else None, made, box)


def _reading(
    page: _Page, sight: _Sight, boxes: tuple[Box, ...], given: Calibration, notes: list[Finding]
) -> FigureReading:
    """Everything about one panel."""
    made = sight.panel
    if min(sight.inner.width, sight.inner.height) < _LEAST_PANEL:
        return FigureReading(None, boxes, (), (), (_no_room(sight.inner),))
    words = tuple(text for text in page.texts if number(text.content or "") is None)
    axis_texts = sight.pair.texts if sight.pair else []
    table = tables.risk_table(page.texts, made.time, made.box, axis_texts)
    extra = missing_cells(page.pixels, page.texts, table, made.time)
    if extra:
        page = replace(page, texts=(*page.texts, *extra))
        table = tables.risk_table(page.texts, made.time, made.box, axis_texts)
    used = {id(text) for text in (*table.texts, *axis_texts)}
    keys = legend_keys(page.pixels, tuple(text for text in words if id(text) not in used), page.texts)
    if len(keys) == 1 and sum(row.kind == "at_risk" for row in table.rows) > 1:
        keys = []  # no legend of one entry, but the last stretch of one of several lines
    area, traced = _searched(page, sight, keys, given)
    rest = [key for key in keys if not _is_tail(key, traced, area)]
    if len(rest) < len(keys):
        keys = rest
        area, traced = _searched(page, sight, keys, given)
    names = _names(traced, words, made, area, table)
    lines = _arm_lines(traced, names, made, area, given)
    arms, lines = _in_order(traced, lines, keys, given, made)
    rows = saying.rows(given, tables.of_arms(table, lines, by_order=bool(keys)), lines)
    traced = _bridged(traced, arms, lines, rows, made, area)
    lines = _arm_lines(traced, names, made, area, given)
    arms, lines = _in_order(traced, lines, keys, given, made)
    findings = [*notes, *sight.notes, *arm_findings(arms, traced, lines, bool(keys) and not given.arms)]
    findings += asked_findings(given, arms, traced)
    if sight.pair is not None:
        findings += axis_findings(sight.pair, made, "px", _LOOSE)
    findings += tables.table_findings(rows, lines, pixels=True)
    others = known_ink((text.box for text in page.texts), (key.box for key in keys))
    return FigureReading(made, boxes, tuple(lines), tuple(rows), in_order(findings), others=others)


def _searched(page: _Page, sight: _Sight, keys: Sequence[DrawnKey], given: Calibration) -> tuple[Crop, Search]:
    """The pixels of a panel and the arms that were traced in them."""
    made, area = sight.panel, _area(page, sight.inner, keys)
    unit = 100.0 if made.percent else 1.0
    start = Start(
        round(float(made.time.place(0.0))) - area.left,
        float(made.level.place(unit)) - area.top,
        float(made.level.place(0.0)) - area.top,
    )
    return area, only_asked(search(area, wanted_arms(keys, given, area), inks(area), start), given)


def _is_tail(key: DrawnKey, traced: Search, area: Crop) -> bool:
    """Whether a key is the last stretch of a line before the name beside its end: a line ends where the key begins."""
    for arm in traced.arms:
        right, row = arm.path.end + area.left, float(arm.path.rows[-1]) + area.top
        near = max(4.0, 1.5 * arm.width)
        if abs(right - key.box.left) < near and key.box.top - near < row < key.box.bottom + near:
            return True
    return False


def _bridged(
    traced: Search,
    arms: Sequence[Traced | None],
    lines: Sequence[ArmLine],
    rows: Sequence[RiskRow],
    made: Panel,
    area: Crop,
) -> Search:
    """The arms without drops lower than a patient's, where numbers are printed, and what was not measured bridged."""
    top, zero = _top(made, area), float(made.level.place(0.0)) - area.top
    scale = abs(made.level.step) * (100.0 if made.percent else 1.0)
    places = {id(arm): place for place, arm in enumerate(arms) if arm is not None}
    result: list[Traced] = []
    for arm in traced.arms:
        place = places.get(id(arm))
        known = [row for row in rows if row.kind == "at_risk" and row.arm == place]
        height = (
            None if place is None else patient_height(lines[place], known, naming.number_in_name(lines[place].name))
        )

        if height is None:
            known, usual = of_themselves(arm.line, area.columns), None
        else:
            times = made.time.value(np.arange(float(area.columns)) + 0.5 + area.left)
            known, usual = of_patients(height.at_least(times) * scale), height.at_times(times) * scale
        fitted = arm if known is None else with_drops(arm, known, zero)
        result.append(bridged(fitted, top, usual))
    return replace(traced, arms=tuple(result))


def _in_order(
    traced: Search, lines: Sequence[ArmLine], keys: Sequence[DrawnKey], given: Calibration, made: Panel
) -> tuple[list[Traced | None], list[ArmLine]]:
    """The arms as a person gives them, else in the order of the legend; None in place of a trace with given corners."""
    pairs = list(zip(traced.arms, lines, strict=True))
    if given.arms:
        return _as_given(pairs, given, made)
    place = {key.name: index for index, key in enumerate(keys)}
    first = sorted((i for i, line in enumerate(lines) if line.name in place), key=lambda i: place[lines[i].name])
    order = naming.order(first, lines)
    return [traced.arms[index] for index in order], [saying.with_marks(lines[index], None, given) for index in order]


def _as_given(
    pairs: Sequence[tuple[Traced, ArmLine]], given: Calibration, made: Panel
) -> tuple[list[Traced | None], list[ArmLine]]:
    arms: list[Traced | None] = []
    lines: list[ArmLine] = []
    for asked in given.arms:
        if asked.drop:
            continue
        if asked.corners:
            arms.append(None)
            lines.append(saying.drawn(asked, made))
        for arm, line in pairs:
            if arm.wanted.asked is asked:
                arms.append(arm)
                lines.append(saying.with_marks(line, asked, given))
    return arms, lines


def _no_room(box: Box) -> Finding:
    message = f"The panel is {max(box.width, 0):.0f} x {max(box.height, 0):.0f} pixels: too few for a curve."
    return Finding("no_panel", "error", message, "[panel]: box = [left, top, right, bottom]")


def _area(page: _Page, box: Box, keys: Sequence[DrawnKey]) -> Crop:
    """The pixels of a panel, texts and keys hidden."""
    hidden = text_mask(page.pixels.shape, tuple(text for text in page.texts if is_print(text)), 2)
    for key in keys:
        place = key.box
        hidden[int(place.top) - 2 : int(place.bottom) + 3, int(place.left) - 2 : int(place.right) + 3] = True
    rows, columns = page.pixels.shape[:2]
    inner = (int(np.ceil(box.left)), int(np.ceil(box.top)), min(int(box.right), columns), min(int(box.bottom), rows))
    return crop(page.pixels, inner, hidden)


def _points(arm: Traced, made: Panel, area: Crop) -> Floats:
    """Corners (points, 2) of a traced arm in the picture; starts at (0, 1)."""
    unit = 100.0 if made.percent else 1.0
    corner = (float(made.time.place(0.0)), float(made.level.place(unit)))
    levels = arm.line.levels + area.top
    places = np.maximum(arm.line.places + area.left, corner[0] + 1e-6)
    points = [corner]
    last = corner[1]
    if abs(levels[0] - corner[1]) > max(1.5, 4 * arm.line.noise, _OF_FIRST * usual_drop(arm.line)):
        points.append((corner[0], float(levels[0])))
        last = float(levels[0])
    for place, level in zip(places, np.maximum.accumulate(levels[1:]), strict=True):
        if level > last:
            points += [(float(place), last), (float(place), float(level))]
            last = float(level)
    points.append((max(arm.line.end + area.left, points[-1][0]), last))
    return np.array(points)


def _top(made: Panel, area: Crop) -> float:
    """Row of survival 1 in the pixels of a panel."""
    return float(made.level.place(100.0 if made.percent else 1.0)) - area.top


def _arm_lines(traced: Search, names: Sequence[Name], made: Panel, area: Crop, given: Calibration) -> list[ArmLine]:
    """The arms as records."""
    arms, top = traced.arms, _top(made, area)
    shape = None
    if given.marks is not False:
        shape = mark_shape([arm.share for arm in arms], [arm.line for arm in arms], [arm.width for arm in arms])
    lines = []
    for arm, name in zip(arms, names, strict=True):
        drawn = curve(_points(arm, made, area), made)
        times = None
        if shape is not None:
            places = marks(arm.share, arm.cover, arm.line, arm.width, shape) + area.left
            times = np.clip(made.time.value(places), 0.0, None)
        red, green, blue = np.clip(arm.wanted.colour / 255.0, 0.0, 1.0)
        lines.append(
            ArmLine(
                name=name.name,
                name_source=name.source,
                colour=(float(red), float(green), float(blue)),
                dash=tuple(length * arm.width for length in _DASHES[arm.wanted.kind]),
                width=arm.width,
                corners=drawn.corners,
                time=drawn.time,
                survival=drawn.survival,
                marks=times,
                error=max(0.3, 2.0 * arm.line.noise),
                hidden=float(1.0 - arm.path.seen.mean()),
                unsure=max(unsure(arm, top), exchanged(arm, arms)),
            )
        )
    return lines


def _names(traced: Search, words: Sequence[Text], made: Panel, area: Crop, table: tables.Table) -> list[Name]:
    """The name of each arm: of its key, of words beside its line, of the table's only row, else a number."""
    names: list[Name | None] = [
        Name(arm.wanted.name, arm.wanted.source) if arm.wanted.name else None for arm in traced.arms
    ]
    if any(name is None for name in names):
        looks = [_look(arm, area) for arm in traced.arms]
        labels = [_without_mark(label, table) for label in beside_lines(words, looks, made.box, [*table.texts])]
        names = [name or other for name, other in zip(names, labels, strict=True)]
    return naming.completed(names, table)


def _without_mark(label: Name | None, table: tables.Table) -> Name | None:
    """A label beside a line without the last censor mark of that line, where the table prints the name without it."""
    bare = "" if label is None else label.name.lstrip("+|x ")
    return replace(label, name=bare) if label is not None and any(row.label == bare for row in table.rows) else label


def _look(arm: Traced, area: Crop) -> Look:
    red, green, blue = np.clip(arm.wanted.colour / 255.0, 0.0, 1.0)
    columns = np.arange(arm.path.start, arm.path.end)
    points = np.column_stack([columns + 0.5 + area.left, arm.path.rows + 0.5 + area.top]).astype(float)
    return Look((float(red), float(green), float(blue)), (), arm.width, points)
