"""What somebody says about a figure, and what was read from it: the records behind `calibration.toml`.

The same records go both ways. A reading is written as a `Calibration` (`calibration_file`); a person edits the file and
gives it back, and then every item of it that is not None wins over what a reader would find. Places are in figure units
(`scene`), of the picture after it was turned back by `skew`.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from bayes_bm.digitizing.figure import ArmLine, Axis, FigureReading, RiskRow
from bayes_bm.digitizing.scene import Box, Colour

TIME_UNITS = ("days", "weeks", "months", "years")
GIVEN = "given"
THROUGH = 6
"""Points of an arm that are written: enough to know its line again where arms cross."""


@dataclass(frozen=True, slots=True)
class GivenTick:
    """Hold one tick: its place (x on the time axis, y, which runs down, on the level axis) and its printed value."""

    place: float
    value: float


@dataclass(frozen=True, slots=True)
class GivenAxis:
    """Hold the ticks of one axis, two or more, and where they came from.

    `source`: `ticks`, `grid`, `labels`, `ocr 0.93` or `given`. Values of the level axis are as printed: in percent
    on an axis of percents.
    """

    ticks: tuple[GivenTick, ...]
    source: str = GIVEN


@dataclass(frozen=True, slots=True)
class GivenArm:
    """Hold what is said about one arm.

    Attributes
    ----------
    name
        Of the arm; a reader gives it to the line that it finds for this item.
    colour, dash
        Of its line, dash in figure units (empty: solid); None where nothing is said.
    through
        Places (x, y) that its line runs through, in figure units; empty where nothing is said.
    corners
        Corners (time, survival as a proportion) that stand in place of any reading; empty where the line is read.
    marks
        Times of its censor marks in place of any reading; None where they are read.
    drop
        Whether this line is no arm: a limit, a reference, a frame.
    source
        Where the name came from: `legend`, `label`, `table`, `none`, `given`.
    """

    name: str
    colour: Colour | None = None
    dash: tuple[float, ...] | None = None
    through: tuple[tuple[float, float], ...] = ()
    corners: tuple[tuple[float, float], ...] = ()
    marks: tuple[float, ...] | None = None
    drop: bool = False
    source: str = GIVEN


@dataclass(frozen=True, slots=True)
class GivenRow:
    """Hold one row of numbers: what it counts, its arm's name, times and counts; `source` as `text`, `ocr 0.93`."""

    kind: Literal["at_risk", "censored", "events"]
    arm: str
    times: tuple[float, ...]
    counts: tuple[int, ...]
    source: str = GIVEN


@dataclass(frozen=True, slots=True)
class Calibration:
    """Hold what is said about one panel of one figure; None, or an empty tuple, where nothing is said.

    Attributes
    ----------
    page, panel
        From 1; panels are counted from left to right and from top to bottom.
    box
        Where curves can be seen.
    skew
        Degrees by which the picture is turned back before places mean anything.
    time, level
        The axes.
    percent
        Whether the axis of survival counts to 100.
    time_unit
        `days`, `weeks`, `months` or `years`.
    arms
        Where there are any, all arms there are: a line that none of them asks for is no arm.
    rows
        Where there are any, the whole table under the panel.
    marks
        False: what looks like a censor mark is none.
    accepted
        Kinds of findings that somebody has looked at and found right, `kind` or `kind: arm`.
    """

    page: int | None = None
    panel: int | None = None
    box: Box | None = None
    skew: float | None = None
    time: GivenAxis | None = None
    level: GivenAxis | None = None
    percent: bool | None = None
    time_unit: str | None = None
    arms: tuple[GivenArm, ...] = ()
    rows: tuple[GivenRow, ...] = ()
    marks: bool | None = None
    accepted: tuple[str, ...] = ()

    @property
    def traced_arms(self) -> tuple[GivenArm, ...]:
        """Return the arms whose line a reader has to find: neither dropped nor given by their corners."""
        return tuple(arm for arm in self.arms if not arm.drop and not arm.corners)


def describe_reading(reading: FigureReading, panel: int | None = None) -> Calibration:
    """Return what a reading says, as the record that is written to `calibration.toml`.

    `panel` counts from 1; None where the figure has one.
    """
    layout = reading.panel
    if layout is None:
        return Calibration(page=reading.page, panel=panel)
    names = [arm.name for arm in reading.arms]
    return Calibration(
        page=reading.page,
        panel=panel if panel is not None else 1,
        box=layout.box,
        skew=layout.skew,
        time=_describe_axis(layout.time),
        level=_describe_axis(layout.level),
        percent=layout.percent,
        time_unit=layout.time_unit,
        arms=tuple(_describe_arm(arm) for arm in reading.arms),
        rows=tuple(_describe_row(row, names) for row in reading.rows),
        marks=any(arm.marks is not None for arm in reading.arms),
    )


def _describe_axis(axis: Axis) -> GivenAxis:
    pairs = zip(axis.places.tolist(), axis.values.tolist(), strict=True)
    return GivenAxis(tuple(GivenTick(place, value) for place, value in pairs), axis.source)


def _describe_arm(arm: ArmLine) -> GivenArm:
    return GivenArm(arm.name, arm.colour, arm.dash, _points_on_line(arm), source=arm.name_source)


def _points_on_line(arm: ArmLine) -> tuple[tuple[float, float], ...]:
    """Return the middles of the longest level runs of an arm, from left to right."""
    start, end = arm.corners[:-1], arm.corners[1:]
    lengths = end[:, 0] - start[:, 0]
    longest = sorted((-lengths).argsort(kind="stable")[:THROUGH].tolist())
    middles = (start[longest] + end[longest]) / 2
    return tuple((x, y) for x, y in middles.tolist())


def _describe_row(row: RiskRow, names: list[str]) -> GivenRow:
    arm = names[row.arm] if row.arm is not None else row.label
    return GivenRow(row.kind, arm, tuple(row.times.tolist()), tuple(int(count) for count in row.counts), row.source)


def item_digest(item: Any) -> str:
    """Return eight letters that change where a number or a word of the item does, but not where its source does."""
    values = asdict(replace(item, source=""))
    text = json.dumps(_rounded(values), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _rounded(value: Any) -> Any:
    if isinstance(value, float | int) and not isinstance(value, bool):
        return round(float(value), 4) + 0.0
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
