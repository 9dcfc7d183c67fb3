"""What was read from one panel of a figure, in the order a reader of papers would tell it.

`Axis` turns places into values; `ArmLine` is one arm's drawn line; `RiskRow` one row of numbers under the panel;
`Finding` what somebody has to be told. `FigureReading` holds them together. Places are in the figure's unit (`scene`),
survival is a proportion.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bayes_bm.digitizing.scene import Box, Colour, Floats

Verdict = Literal["exact", "good", "doubtful", "refused"]


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Hold a scale: value = (place - origin) / step, fitted through all its ticks.

    Attributes
    ----------
    values, places
        Floats (ticks,): what the labels say and where their ticks are (x, or y which runs down).
    origin, step
        Place of value 0, and figure units per unit of value (negative for an axis whose values rise upwards).
    residual
        Largest distance of a tick from the line, in figure units.
    source
        Where it came from, as `calibration.toml` says it: `ticks`, `grid`, `labels`, `ocr 0.93`, `given`.
    title
        What is printed beside the axis; empty where nothing is.
    """

    values: Floats
    places: Floats
    origin: float
    step: float
    residual: float
    source: str
    title: str = ""

    def value(self, place: Floats | float) -> Floats:
        """Return the values (the shape of `place`) at places."""
        return np.asarray((np.asarray(place, float) - self.origin) / self.step)

    def place(self, value: Floats | float) -> Floats:
        """Return the places (the shape of `value`) of values."""
        return np.asarray(self.origin + self.step * np.asarray(value, float))


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Hold one pair of axes.

    Attributes
    ----------
    box
        Where curves can be seen: the clip box, or the frame.
    time, level
        The axes; `level` as printed, in percent where `percent`.
    percent
        Whether the axis of survival counts to 100.
    time_unit
        `days`, `weeks`, `months`, `years`; None where no label says it.
    skew
        Degrees by which the picture was turned back before anything was read; 0 for vector files.
    """

    box: Box
    time: Axis
    level: Axis
    percent: bool
    time_unit: str | None
    skew: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ArmLine:
    """Hold one arm as it is drawn.

    Attributes
    ----------
    name, name_source
        As printed, and where from: `legend`, `label` (beside the line), `table`, `given`; `arm 1` and `none` where
        nothing names it.
    colour, dash, width
        Of the line, in figure units.
    corners
        Floats (corners, 2): x, y in figure units of the step line, both ends of every drop: (x1, y0), (x1, y1), ...
    time, survival
        Floats (corners,): the same in axis units and proportions; starts at (0, 1) and does not rise.
    marks
        Floats (marks,): times of the censor marks, sorted; None where the figure shows none.
    error
        Standard deviation of a corner's place, in figure units; 0 for a vector file.
    hidden
        Share of the line's length in time at which it could not be seen (under another arm, text or a mark).
    unsure
        How far off the line may be where it was not measured, as a mean over its whole length, in figure units.
    """

    name: str
    name_source: str
    colour: Colour
    dash: tuple[float, ...]
    width: float
    corners: Floats
    time: Floats
    survival: Floats
    marks: Floats | None
    error: float = 0.0
    hidden: float = 0.0
    unsure: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class RiskRow:
    """Hold one row of the table under a panel.

    Attributes
    ----------
    kind
        What it counts.
    arm
        Place of its arm in `FigureReading.arms`; None where it is not known.
    label
        As printed at its left.
    times, counts
        Floats (cells,) and whole numbers (cells,); -1 where a cell could not be read.
    source
        `text` or `ocr 0.93` (the least of its cells).
    """

    kind: Literal["at_risk", "censored", "events"]
    arm: int | None
    label: str
    times: Floats
    counts: Floats
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold one thing that somebody has to be told.

    Attributes
    ----------
    kind
        Short name, such as `axis_not_linear`, `legend_without_line`, `several_panels`, `rising_curve`.
    severity
        `note` (nothing to do), `question` (written, exit 1) or `error` (not read, exit 2).
    message
        What was found and what it means, one sentence or two.
    answer
        The line of `calibration.toml` that answers a question; empty for notes.
    arm
        Place of the arm it concerns; None where it concerns the figure.
    """

    kind: str
    severity: Literal["note", "question", "error"]
    message: str
    answer: str = ""
    arm: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OtherInk:
    """Hold ink inside the panel that is no arm, so that the check of a reading (`ink`) does not ask what it is.

    Attributes
    ----------
    kind
        `limit` (of a confidence interval), `key` (of the legend), `text`, `frame`, `grid`, `reference`, `mark`, `band`.
    points
        Floats (points, 2): the line, in figure units; of a key, a text, a frame or a mark, two opposite corners; of a
        band, its outline.
    width
        Of the line, in figure units.
    """

    kind: str
    points: Floats
    width: float = 1.0


def known_ink(texts: Iterable[Box], keys: Iterable[Box]) -> tuple[OtherInk, ...]:
    """Return the ink of texts and of a legend's keys."""
    boxes = [("text", box) for box in texts] + [("key", box) for box in keys]
    return tuple(OtherInk(kind, np.array([[b.left, b.top], [b.right, b.bottom]])) for kind, b in boxes)


@dataclass(frozen=True, slots=True, eq=False)
class FigureReading:
    """Hold everything that was read from one panel.

    Attributes
    ----------
    panel
        Axes and box; None where none was found.
    panels
        Boxes of all panels of the page, from left to right and from top to bottom.
    arms
        In the order of the legend, else from the highest line down.
    rows
        Of the table under the panel.
    findings
        What has to be told, errors first.
    page
        From 1.
    others
        Ink inside the panel that was told apart from arms; what is not named here stays unexplained.
    pixels
        Whether it was read from a picture: what lies under other ink was not seen.
    """

    panel: Panel | None
    panels: tuple[Box, ...]
    arms: tuple[ArmLine, ...]
    rows: tuple[RiskRow, ...]
    findings: tuple[Finding, ...]
    page: int = 1
    others: tuple[OtherInk, ...] = ()
    pixels: bool = False
