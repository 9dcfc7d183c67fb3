"""From labels to axes: rows and columns of numbers, then the ticks or grid lines that they stand at.

Both routes ask the same: what is needed are labels and the places of lines that may be ticks (`Marks`), wherever they
were found.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bayes_bm.digitizing.figure import Axis
from bayes_bm.digitizing.labels import Label
from bayes_bm.digitizing.limits import check_time
from bayes_bm.digitizing.scene import Box, Floats

_LOOSE = 0.6
"""How far, in heights of its characters, a label's middle may lie from where the others put it."""
_MOST = 80
"""Numbers on one line beyond which it is a table of print, not an axis."""


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Hold labels that lie on one line and whose values are linear in place.

    Attributes
    ----------
    labels
        In the order of their places.
    strangers
        Labels between them that do not fit.
    upright
        Whether the axis runs upwards (survival) or to the right (time).
    origin, step
        As in `Axis`, by the middles of the labels.
    """

    labels: tuple[Label, ...]
    strangers: tuple[Label, ...]
    upright: bool
    origin: float
    step: float

    @property
    def places(self) -> Floats:
        """Return the middles (labels,) along the axis."""
        return np.array([_along(label, self.upright) for label in self.labels])

    @property
    def values(self) -> Floats:
        """Return the values (labels,)."""
        return np.array([label.value for label in self.labels])

    @property
    def height(self) -> float:
        """Return the height of its characters."""
        return float(np.median([label.height for label in self.labels]))

    @property
    def box(self) -> Box:
        """Return the box around its labels."""
        boxes = [label.box for label in self.labels]
        return Box(
            min(box.left for box in boxes),
            min(box.top for box in boxes),
            max(box.right for box in boxes),
            max(box.bottom for box in boxes),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Hold parallel lines that may be the ticks or the grid of an axis.

    Attributes
    ----------
    places
        Floats (lines,): along the axis.
    source
        `ticks` where they are short, `grid` where they cross the panel.
    """

    places: Floats
    source: Literal["ticks", "grid"]


def _along(label: Label, upright: bool) -> float:
    return label.box.centre[1 if upright else 0]


def scales(labels: Iterable[Label], upright: bool) -> list[Scale]:
    """Return the rows (`upright` false) or columns of labels that may be axes, each label in one of them."""
    labels = list(labels)
    candidates: list[Scale] = []
    for side in ("centre", "right", "left") if upright else ("centre", "top"):
        for line in _lines(labels, side, upright):
            candidates.extend(_linear(line, upright))
    kept: list[Scale] = []
    used: set[int] = set()
    for scale in sorted(candidates, key=lambda scale: (-len(scale.labels), len(scale.strangers))):
        members = {id(label) for label in scale.labels}
        if not members & used:
            kept.append(scale)
            used |= members
    return kept


def _lines(labels: list[Label], side: str, upright: bool) -> list[list[Label]]:
    """Return labels that are aligned at a side of their boxes; `side` is across the axis."""

    def across(label: Label) -> float:
        return label.box.centre[0 if upright else 1] if side == "centre" else float(getattr(label.box, side))

    lines: list[list[Label]] = []
    for label in sorted(labels, key=across):
        if lines and abs(across(label) - across(lines[-1][-1])) < 0.4 * label.height:
            lines[-1].append(label)
        else:
            lines.append([label])
    return [line for line in lines if 2 <= len(line) <= _MOST]


def _linear(line: list[Label], upright: bool) -> list[Scale]:
    """Return the scales on one line of labels: the largest first, then among those that lie outside it."""
    line = sorted(line, key=lambda label: _along(label, upright))
    best = _best(line, upright)
    if best is None:
        return []
    low, high = best.places.min(), best.places.max()
    lower = [label for label in line if _along(label, upright) < low]
    higher = [label for label in line if _along(label, upright) > high]
    going_on = [label for label in lower if _continues(label, best, low)]
    going_on += [label for label in higher if _continues(label, best, high)]
    best = replace(best, strangers=(*best.strangers, *going_on))
    others = [[label for label in side if label not in going_on] for side in (lower, higher)]
    return [best, *_linear(others[0], upright), *_linear(others[1], upright)]


def _continues(label: Label, scale: Scale, end: float) -> bool:
    """Return whether a label beyond an end of a scale belongs to it, though it lies where it should not.

    Its value lies beyond the scale's on the same side, and it is no further away than two labels; the axis of another
    panel begins anew.
    """
    excess = (_along(label, scale.upright) - end) * np.sign(scale.step)
    extends = label.value > scale.values.max() if excess > 0 else label.value < scale.values.min()
    spacing = float(np.max(np.abs(np.diff(scale.places))))
    return bool(extends and abs(excess) < 2.5 * spacing)


def _best(line: list[Label], upright: bool) -> Scale | None:
    """Return the scale that most labels of a line agree with; None where no two do."""
    places = np.array([_along(label, upright) for label in line])
    values = np.array([label.value for label in line])
    tolerance = _LOOSE * np.array([label.height for label in line])
    best: tuple[int, float, np.ndarray] | None = None
    for first in range(len(line)):
        check_time("numbers")
        for second in range(first + 1, len(line)):
            rise = values[second] - values[first]
            if (rise >= 0) if upright else (rise <= 0) or places[second] - places[first] < line[first].height:
                continue
            step = (places[second] - places[first]) / rise
            misses = np.abs(places - places[first] - step * (values - values[first]))
            fits = misses < tolerance
            fits &= ~_repeated(values, misses, fits)
            score = (int(fits.sum()), -float(misses[fits].sum()))
            if best is None or score > best[:2]:
                best = (*score, fits)
    if best is None or best[0] < 2:
        return None
    fits = best[2]
    step, origin = np.polyfit(values[fits], places[fits], 1)
    members = tuple(label for label, fit in zip(line, fits, strict=True) if fit)
    low, high = places[fits].min(), places[fits].max()
    strange = [low < place < high and not fit for place, fit in zip(places, fits, strict=True)]
    strangers = tuple(label for label, odd in zip(line, strange, strict=True) if odd)
    return Scale(members, strangers, upright, float(origin), float(step))


def _repeated(values: Floats, misses: Floats, fits: np.ndarray) -> np.ndarray:
    """Return which labels say a value that another one, nearer to its place, says as well."""
    twice = np.zeros(len(values), bool)
    for value in np.unique(values[fits]):
        same = np.flatnonzero(fits & (values == value))
        if len(same) > 1:
            twice[np.delete(same, np.argmin(misses[same]))] = True
    return twice


def axis(scale: Scale, marks: Sequence[Marks], span: float, title: str = "") -> Axis:
    """Return the axis that a scale's labels and the lines beside them make.

    Parameters
    ----------
    scale : Scale
        Labels; their middles say which line belongs to which label, no more, where there are lines.
    marks : sequence of Marks
        Lines that may be its ticks or grid, in the order in which they are believed.
    span : float
        Length of the axis in figure units: a residual below a thousandth of it is the file's rounding.
    title : str
        What is printed beside it.

    Returns
    -------
    Axis
        Fitted by least squares through all its ticks.
    """
    fits = [fit for group in marks if (fit := _matched(scale, group, title)) is not None]
    whole = [fit for fit in fits if len(fit.values) == len(scale.labels)]
    for fit in (*whole, *fits):
        if fit.residual <= 1e-3 * span:
            return fit
    best = min(whole or fits, key=lambda fit: fit.residual, default=None)
    by_labels = _fitted(scale.values, scale.places, _label_source(scale), title)
    return best if best is not None and best.residual < max(by_labels.residual, 3e-3 * span) else by_labels


def _label_source(scale: Scale) -> str:
    """Return how an axis says that it stands on labels alone."""
    least = min(label.text.confidence for label in scale.labels)
    return f"ocr {least:.2f}" if any(label.text.source == "ocr" for label in scale.labels) else "labels"


def _matched(scale: Scale, marks: Marks, title: str) -> Axis | None:
    """Return the axis through the lines nearest to the labels; None where most labels have no line."""
    if len(marks.places) < 2:
        return None
    spacing = float(np.min(np.abs(np.diff(np.sort(scale.places)))))
    reach = min(max(1.2 * scale.height, 0.15 * spacing), 0.45 * spacing)
    gaps = np.abs(scale.places[:, None] - marks.places[None, :])
    nearest = gaps.argmin(axis=1)
    close = gaps.min(axis=1) <= reach
    if close.sum() < max(2, 0.7 * len(close)) or len(set(nearest[close])) < close.sum():
        return None
    return _fitted(scale.values[close], marks.places[nearest[close]], marks.source, title)


def _fitted(values: Floats, places: Floats, source: str, title: str) -> Axis:
    """Return the axis of least squares through ticks."""
    step, origin = np.polyfit(values, places, 1)
    residual = float(np.abs(places - origin - step * values).max())
    return Axis(values, places, float(origin), float(step), residual, source, title)
