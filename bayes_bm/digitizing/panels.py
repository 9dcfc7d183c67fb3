"""Panels of a page: a column of numbers beside a row of numbers, with their titles, units and frame."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.axes import Marks, Scale, axis, scales
from bayes_bm.digitizing.figure import Axis, Finding, Panel
from bayes_bm.digitizing.labels import Label, clean, labels, time_unit
from bayes_bm.digitizing.scene import Box, Floats, Text

_PERCENT = 1.6
"""Largest label of an axis of survival above which it counts to 100."""


@dataclass(frozen=True, slots=True, eq=False)
class AxisPair:
    """Hold the labels of one panel's two axes."""

    time: Scale
    level: Scale

    @property
    def core(self) -> Box:
        """Return what the labels span: the panel is at least as large."""
        columns, rows = self.time.places, self.level.places
        return Box(float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max()))

    @property
    def texts(self) -> list[Text]:
        """Return the texts that stand beside the axes, those that fit no scale too."""
        return [label.text for scale in (self.time, self.level) for label in (*scale.labels, *scale.strangers)]

    @property
    def percent(self) -> bool:
        """Return whether survival is counted to 100."""
        return any(label.percent for label in self.level.labels) or float(self.level.values.max()) > _PERCENT


def axis_pairs(texts: Sequence[Text]) -> list[AxisPair]:
    """Return the panels that the numbers of a page may label, from left to right within rows from top to bottom.

    A comma before three digits is read as the page's labels fit best: `1,000` days, or `0,250` of survival.
    """
    both = [_pairs(labels(texts, comma)) for comma in ("thousands", "decimal")]
    best = max(both, key=lambda pairs: (sum(_weight(pair) for pair in pairs), pairs is both[0]))
    return sorted(best, key=lambda pair: (round(pair.core.top / max(pair.core.height, 1e-9)), pair.core.left))


def _weight(pair: AxisPair) -> int:
    """Return how many labels a pair stands on; labels that do not fit count against it."""
    scales = (pair.time, pair.level)
    return sum(len(scale.labels) - 2 * len(scale.strangers) for scale in scales)


def _pairs(numbers: list[Label]) -> list[AxisPair]:
    """Return pairs of a row and a column."""
    columns = [scale for scale in scales(numbers, upright=True) if _is_survival(scale)]
    rows = [scale for scale in scales(numbers, upright=False) if _is_time(scale)]
    pairs: list[AxisPair] = []
    for column in columns:
        row = min((row for row in rows if _below(row, column)), key=lambda row: _gap(row, column), default=None)
        if row is not None:
            pairs.append(AxisPair(row, column))
    pairs = _one_column(pairs)
    for row in rows:  # panels side by side that share the axis of survival of the first
        if all(pair.time is not row for pair in pairs):
            sharing = [pair for pair in pairs if _beside(row, pair)]
            if sharing:
                nearest = max(sharing, key=lambda pair: pair.core.right)
                pairs.append(AxisPair(row, nearest.level))
    return pairs


def _is_survival(column: Scale) -> bool:
    """Return whether a column of labels may be an axis of survival: 0 to 1 or 0 to 100, three labels or both ends."""
    values = column.values
    top = float(values.max())
    bounded = values.min() >= -0.26 * max(top, 1.0) and top <= (1.26 if top <= _PERCENT else 126.0)
    ends = len(values) >= 3 or top in (1.0, 100.0)
    return bool(bounded and ends and (top <= _PERCENT or top >= 10) and _round_steps(values))


def _round_steps(values: Floats) -> bool:
    """Return whether labels go up in steps that people choose; numbers of patients do not."""
    step = float(np.min(np.diff(np.sort(values)))) if len(values) > 1 else 0.0
    mantissa = step / 10.0 ** np.floor(np.log10(step) + 1e-6) if step > 0 else 0.0
    return bool(np.min(np.abs(mantissa - np.array([1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0]))) < 1e-4)


def _is_time(row: Scale) -> bool:
    """Return whether a row of labels may be an axis of time."""
    return bool(row.values.min() >= -0.1 * abs(row.values.max()) and len(row.values) >= 2)


def _below(row: Scale, column: Scale) -> bool:
    """Return whether a row lies under a column, beside it, as the axes of one panel do."""
    height = max(row.height, column.height)
    columns, rows = row.places, column.places
    top = float(np.median([label.box.top for label in row.labels]))  # the box of one may hold a tick
    follows = top > rows.max() - 0.2 * height and top - rows.max() < 1.2 * np.ptp(rows) + 6 * height
    span, start = float(np.ptp(columns)), float(columns.min())
    if column.box.right < row.origin < start:  # the label of time 0 was not read
        start = row.origin
    at_left = column.box.right < start + 1.5 * height and start - column.box.right < 0.6 * span
    at_right = column.box.left > columns.max() - 1.5 * height and column.box.left - columns.max() < 0.6 * span
    return bool(follows and (at_left or at_right))


def _gap(row: Scale, column: Scale) -> float:
    """Return how far a row is from a column."""
    side = min(abs(row.places.min() - column.box.right), abs(row.places.max() - column.box.left))
    return row.box.top - float(column.places.max()) + 0.3 * float(side)


def _one_column(pairs: list[AxisPair]) -> list[AxisPair]:
    """Return the pairs with one column a row: the left one where an axis stands on both sides."""
    kept: list[AxisPair] = []
    for pair in sorted(pairs, key=lambda pair: (_gap(pair.time, pair.level), pair.level.box.left)):
        same = [other for other in kept if other.time is pair.time and _overlap(other.level, pair.level) > 0.5]
        if not same:
            kept.append(pair)
        elif pair.level.box.right < same[0].core.left + pair.level.height < same[0].level.box.left:
            kept[kept.index(same[0])] = pair
    return kept


def _overlap(first: Scale, second: Scale) -> float:
    """Return the share of the shorter column's length that lies beside the other."""
    low = max(first.places.min(), second.places.min())
    high = min(first.places.max(), second.places.max())
    return float((high - low) / max(min(np.ptp(first.places), np.ptp(second.places)), 1e-9))


def _beside(row: Scale, pair: AxisPair) -> bool:
    """Return whether a row without a column stands right of a panel, at the height of its row."""
    same_height = abs(row.box.centre[1] - pair.time.box.centre[1]) < 0.5 * row.height
    return bool(same_height and row.places.min() > pair.core.right)


@dataclass(frozen=True, slots=True)
class Titles:
    """Hold what is printed beside the axes."""

    time: str
    level: str


def titles(texts: Sequence[Text], pair: AxisPair, box: Box) -> Titles:
    """Return the titles of a pair's axes: the words under the row, and those that run up beside the column."""
    height = pair.time.height
    words = [text for text in texts if text.content and sum(sign.isalpha() for sign in text.content) >= 1]
    row_words = [
        text
        for text in words
        if abs(text.angle) < 1
        and 0 < text.box.centre[1] - pair.time.box.bottom < 5 * height
        and box.left - height < text.box.centre[0] < box.right + height
        and text.box.right > box.left
    ]
    unit = [text for text in row_words if time_unit(text.content or "")]
    column_words = [
        text
        for text in words
        if abs(text.angle - 90) < 1
        and text.box.centre[0] < box.left
        and box.left - text.box.centre[0] < 0.5 * box.width
        and text.box.bottom > box.top - 2 * height
        and text.box.top < box.bottom + 2 * height
    ]
    time = min(unit or row_words, key=lambda text: text.box.top, default=None)
    level = max(column_words, key=lambda text: text.box.height, default=None)
    return Titles(clean((time and time.content) or ""), clean((level and level.content) or ""))


def panel(
    pair: AxisPair,
    texts: Sequence[Text],
    time_marks: Sequence[Marks],
    level_marks: Sequence[Marks],
    box: Box,
    skew: float = 0.0,
) -> Panel:
    """Return the panel that a pair of axes makes with the lines that may be their ticks, and its frame."""
    core, words = pair.core, titles(texts, pair, box)
    time = axis(pair.time, time_marks, core.width, words.time)
    level = axis(pair.level, level_marks, core.height, words.level)
    percent = pair.percent or ("%" in words.level and float(pair.level.values.max()) > _PERCENT)
    return Panel(box, time, level, percent, time_unit(words.time), skew)


def axis_findings(pair: AxisPair, made: Panel, unit: str, loose: float) -> list[Finding]:
    """Return what has to be told of a panel's axes.

    Parameters
    ----------
    pair, made
        Labels and the panel made of them.
    unit : str
        Of places, for messages: `pt` or `px`.
    loose : float
        Largest residual, in figure units, of ticks that are where they should be.
    """
    sides = (("time", pair.time, made.time), ("survival", pair.level, made.level))
    findings = [finding for name, scale, line in sides for finding in _side_findings(name, scale, line, unit, loose)]
    if made.time_unit is None:
        findings.append(
            Finding(
                "time_unit",
                "question",
                f"The unit of time is not printed beside the axis (its title: {made.time.title or 'none'}).",
                'time_unit = "months"',
            )
        )
    return findings


def _side_findings(name: str, scale: Scale, line: Axis, unit: str, loose: float) -> Iterable[Finding]:
    """Return what has to be told of one axis."""
    said = ", ".join(f"{value:g}" for value in line.values)
    key = "level" if scale.upright else "time"
    answer = f"[{key}]: ticks = [{{ place = ..., value = ... }}, ...]"
    if scale.strangers:
        odd = ", ".join(clean(label.text.content or "") for label in scale.strangers)
        yield Finding(
            "axis_not_linear",
            "question",
            f"The labels {odd} on the axis of {name} do not lie where the others ({said}) put them.",
            answer,
        )
    elif line.residual > loose:
        yield Finding(
            "axis_not_linear",
            "question",
            f"The ticks {said} of the axis of {name} are up to {line.residual:.2g} {unit} off a straight line.",
            answer,
        )
    if len(line.values) < 3:
        yield Finding(
            "few_labels", "question", f"The axis of {name} has only the labels {said}: nothing confirms them.", answer
        )
    if line.source.startswith("labels"):
        start = " and the start of the curves" if line.source != "labels" else ""
        yield Finding(
            "axis_without_ticks",
            "note" if start and len(line.values) > 2 else "question",
            f"The axis of {name} has neither ticks nor grid lines at its labels {said}; their middles{start} serve.",
            answer,
        )
