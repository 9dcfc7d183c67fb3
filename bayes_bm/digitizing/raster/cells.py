"""Lone digits that the search for text passes over: read again where the axes and the table say that they stand."""

import re
from collections.abc import Sequence

import numpy as np

from bayes_bm.digitizing.axes import Scale
from bayes_bm.digitizing.figure import Axis
from bayes_bm.digitizing.labels import character_height, number
from bayes_bm.digitizing.panels import AxisPair
from bayes_bm.digitizing.raster.ink import Pixels, ink_mask
from bayes_bm.digitizing.raster.ocr import Region, read_regions
from bayes_bm.digitizing.scene import Box, Text
from bayes_bm.digitizing.table import Table

_LEAST_CONFIDENCE = 0.6
_TWO_LABELS = re.compile(r"0\d")
"""How the zeros of both axes read where they stand close together: no number begins so."""


def missing_cells(pixels: Pixels, texts: Sequence[Text], table: Table, time: Axis) -> tuple[Text, ...]:
    """Return the numbers that stand in rows of a table under ticks where no text was seen."""
    cells = [text for text in table.texts if number(text.content or "") is not None]
    if not cells or len(time.places) < 2:
        return ()
    spacing = float(np.min(np.abs(np.diff(np.sort(time.places)))))
    height = float(np.median([character_height(cell) for cell in cells]))
    half = min(max(cell.box.width for cell in cells) / 2 + 0.4 * height, 0.45 * spacing)
    regions = []
    for middle in _lines(cells, height):
        for place in time.places:
            box = Box(place - half, middle - 0.85 * height, place + half, middle + 0.85 * height)
            if not any(_touches(text.box, box) for text in texts):
                regions.append(box)
    return _numbers(pixels, regions)


def missing_labels(pixels: Pixels, texts: Sequence[Text], pair: AxisPair) -> tuple[Text, ...]:
    """Return the numbers that stand where the even spacing of an axis puts labels and no text was seen."""
    return tuple(label for scale in (pair.time, pair.level) for label in _missing_of(pixels, texts, scale))


def _missing_of(pixels: Pixels, texts: Sequence[Text], scale: Scale) -> tuple[Text, ...]:
    values = np.sort(scale.values)
    step = float(np.min(np.diff(values)))
    wide = max(label.box.width for label in scale.labels) / 2 + 0.35 * scale.height
    tall = max(label.box.height for label in scale.labels) / 2 + 0.35 * scale.height
    regions = []
    for value in np.arange(values[0] - step, values[-1] + 1.5 * step, step):
        place = scale.origin + scale.step * value
        if value < -0.2 * step or np.abs(values - value).min() < 0.2 * step:
            continue  # neither axis counts below 0: what stands there are numbers at risk
        middle = scale.box.centre[0 if scale.upright else 1]
        x, y = (middle, place) if scale.upright else (place, middle)
        box = Box(x - wide, y - tall, x + wide, y + tall)
        covered = [text for text in texts if _touches(text.box, box) and number(text.content or "") is None]
        if not covered or scale.upright:
            regions.append((box, float(value)))
    read = _numbers(pixels, [box for box, _ in regions])
    return tuple(text for text in read if any(_says(text, value) and _touches(text.box, box) for box, value in regions))


def _says(text: Text, value: float) -> bool:
    """Whether a text reads as a label's value, its decimal point aside; what else stands there is no label."""
    read = number(text.content or "") or 0.0
    return any(abs(read * 10.0**-places - value) < 1e-6 * max(abs(value), 1.0) for places in range(3))


def _lines(cells: Sequence[Text], height: float) -> list[float]:
    """Middles of the rows of cells."""
    middles: list[list[float]] = []
    for cell in sorted(cells, key=lambda cell: cell.box.centre[1]):
        if middles and cell.box.centre[1] - middles[-1][-1] < 0.6 * height:
            middles[-1].append(cell.box.centre[1])
        else:
            middles.append([cell.box.centre[1]])
    return [float(np.median(line)) for line in middles]


def _touches(one: Box, two: Box) -> bool:
    """Whether a box covers a good part of another's middle."""
    shared_width = min(one.right, two.right) - max(one.left, two.left)
    shared_height = min(one.bottom, two.bottom) - max(one.top, two.top)
    return shared_width > 0.25 * min(one.width, two.width) and shared_height > 0.3 * min(one.height, two.height)


def _numbers(pixels: Pixels, boxes: Sequence[Box]) -> tuple[Text, ...]:
    rows, columns = pixels.shape[:2]
    regions = []
    for box in boxes:
        left, top = max(round(box.left), 0), max(round(box.top), 0)
        right, bottom = min(round(box.right), columns), min(round(box.bottom), rows)
        if right - left > 3 and bottom - top > 5 and ink_mask(pixels[top:bottom, left:right]).mean() > 0.01:
            regions.append(Region(left, top, right, bottom))
    return tuple(
        text
        for text in read_regions(pixels, regions)
        if number(text.content or "") is not None
        and text.confidence >= _LEAST_CONFIDENCE
        and not _TWO_LABELS.match(text.content or "")
    )
