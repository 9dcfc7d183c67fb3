"""From pixels and texts to the axes: the picture is turned straight, tick strokes are measured below a pixel."""

from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.figure import Axis
from bayes_bm.digitizing.raster.ink import Pixels
from bayes_bm.digitizing.raster.labels import Labels, axis_labels
from bayes_bm.digitizing.raster.libraries import opencv
from bayes_bm.digitizing.scene import Floats, Text

_LEAST_SKEW = 0.04
"""Degrees below which a picture is left as it is: 0.5 px over 700."""
_MOST_SKEW = 8.0
_CONTRAST = 18.0
"""Grey values by which a tick stroke or grid line differs from what is beside it."""
_LINEAR = 0.8
"""Pixels by which tick strokes of one row may miss their line."""


def skew(pixels: Pixels) -> float:
    """Return by how many degrees the picture is turned against the clock, from its long straight edges."""
    cv2 = opencv()
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    lines = cv2.createLineSegmentDetector().detect(grey)[0]
    if lines is None:
        return 0.0
    x1, y1, x2, y2 = np.asarray(lines, float).reshape(-1, 4).T
    length = np.hypot(x2 - x1, y2 - y1)
    angle = np.degrees(np.arctan2(-(y2 - y1), x2 - x1))
    angle = (angle + 45.0) % 90.0 - 45.0
    kept = (length > 0.12 * max(grey.shape)) & (np.abs(angle) < _MOST_SKEW)
    if kept.sum() < 2:
        return 0.0
    order = np.argsort(angle[kept])
    weight = np.cumsum(length[kept][order])
    return float(angle[kept][order][np.searchsorted(weight, weight[-1] / 2)])


def turned_back(pixels: Pixels, degrees: float) -> Pixels:
    """Return the picture turned by `degrees` with the clock, so that its axes are straight."""
    if abs(degrees) < _LEAST_SKEW:
        return pixels
    cv2 = opencv()
    rows, columns = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), -degrees, 1.0)
    return cv2.warpAffine(
        pixels, matrix, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Hold the labels of one pair of axes."""

    time: Labels
    level: Labels


def frames(texts: tuple[Text, ...]) -> list[Frame]:
    """Return the pairs of axes that the numbers of a page show, from left to right and from top to bottom."""
    rows = axis_labels(texts, upwards=False)
    columns = [column for column in axis_labels(texts, upwards=True) if _is_survival(column)]
    result: list[Frame] = []
    used: set[int] = set()
    for column in columns:
        pairs = [(_distance(row, column), index) for index, row in enumerate(rows) if index not in used]
        pairs = [pair for pair in pairs if np.isfinite(pair[0])]
        if pairs:
            index = min(pairs)[1]
            used.add(index)
            result.append(Frame(rows[index], column))
    return sorted(result, key=lambda frame: (frame.level.box.left, frame.level.box.top))


def _is_survival(column: Labels) -> bool:
    top = float(column.values.max())
    return column.values.min() >= -0.11 * top and (0.05 <= top <= 1.2 or 5.0 <= top <= 120.0)


def _distance(row: Labels, column: Labels) -> float:
    """How far below a column of labels a row stands; infinite where both cannot be one pair of axes."""
    low = column.places.max()
    height = row.box.height
    gap = row.box.centre[1] - low
    span = np.ptp(column.places)
    if gap < -0.5 * height or gap > 0.8 * span or row.places.max() < column.box.right:
        return np.inf
    aside = row.places.min() - column.box.right
    if aside < -1.5 * column.box.width or aside > 0.6 * np.ptp(row.places):
        return np.inf
    return float(gap + max(aside, 0.0))


def measured(grey: Floats, labels: Labels, *, upwards: bool, inner: float) -> Axis:
    """Return the axis through the tick strokes or grid lines beside the labels; through the labels where there are none.

    Parameters
    ----------
    grey
        Of the picture (rows, columns), 0 to 255.
    labels
        Of this axis.
    upwards
        Whether this is the axis of survival.
    inner
        How far into the panel strokes are looked for: a row for the axis of time, a column for that of survival.
    """
    image = grey.T if upwards else grey
    inside = (0.1 if labels.texts[0].angle else 0.7) * labels.height
    outer = labels.box.right - inside if upwards else labels.box.top + inside
    lines = np.arange(int(outer), int(inner), 1 if upwards else -1)
    lines = lines[(lines >= 0) & (lines < image.shape[0])]
    places = labels.origin + labels.step * labels.values
    strokes = _strokes(image, lines, places)
    confidence = f"ocr {labels.confidence:.2f}"
    if strokes is None:
        return _axis(labels.values, labels.places, confidence)
    kept = np.isfinite(strokes)
    return _axis(labels.values[kept], strokes[kept], "ticks")


def _axis(values: Floats, places: Floats, source: str) -> Axis:
    step, origin = np.polyfit(values, places, 1)
    residual = float(np.abs(places - origin - step * values).max())
    return Axis(values, places, float(origin), float(step), residual, source)


def _strokes(image: Floats, lines: Floats, places: Floats) -> Floats | None:
    """Places (labels,) of the strokes in the first lines that show them all; nan where a label has none."""
    spacing = float(np.min(np.abs(np.diff(np.sort(places))))) if len(places) > 1 else 40.0
    window = int(np.clip(0.25 * spacing, 3, 9))
    columns = np.rint(places).astype(int)[:, None] + np.arange(-window, window + 1)
    if len(lines) == 0 or columns.min() < 0 or columns.max() >= image.shape[1]:
        columns = np.clip(columns, 0, image.shape[1] - 1)
    pieces = image[lines[:, None, None], columns[None]]  # (lines, labels, window)
    centres, strong = _ridges(pieces, columns)
    good = _linear(centres, strong, places)
    band = _first_band(good)
    if band is None:
        return None
    mean = pieces[band[0] : band[1]].mean(axis=0, keepdims=True)
    centre, strong = _ridges(mean, columns)
    centre = np.where(strong, centre, np.nan)[0]
    return centre if np.isfinite(centre).sum() >= 2 else None


def _ridges(pieces: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Centre of the narrow stroke in each window, and whether there is one (lines, labels)."""
    window = pieces.shape[2] // 2
    contrast = np.abs(pieces - np.median(pieces, axis=2, keepdims=True))
    offset = np.arange(-window, window + 1)
    weighted = contrast * np.exp(-0.5 * (offset / (0.6 * window)) ** 2)
    top = np.argmax(weighted, axis=2)[..., None]
    peak = np.take_along_axis(contrast, top, axis=2)
    near = np.abs(np.arange(2 * window + 1) - top) <= max(2, window // 2)
    body = np.where(near & (contrast > 0.15 * peak), contrast, 0.0)
    centre = (body * (columns + 0.5)).sum(axis=2) / np.maximum(body.sum(axis=2), 1e-9)
    wide = (contrast > 0.5 * peak).sum(axis=2)
    return centre, (peak[..., 0] > _CONTRAST) & (wide <= window + 1)


def _linear(centres: Floats, strong: Floats, places: Floats) -> Floats:
    """Which lines (lines,) show strokes for most labels, all shifted alike."""
    shift = np.where(strong, centres - places, np.nan)
    enough = strong.sum(axis=1) >= max(2, int(np.ceil(0.7 * len(places))))
    good = np.zeros(len(centres), bool)
    unit = places - places.mean()
    for index in np.flatnonzero(enough):
        kept = np.isfinite(shift[index])
        fit = np.polyfit(unit[kept], shift[index][kept], 1) if kept.sum() > 2 else [0.0, shift[index][kept].mean()]
        good[index] = np.abs(shift[index][kept] - np.polyval(fit, unit[kept])).max() < _LINEAR
    return good


def _first_band(good: Floats) -> tuple[int, int] | None:
    """The first run of at least three lines that show strokes; of a grid no more than the first 200."""
    start = None
    for index, flag in enumerate([*good, False]):
        if flag and start is None:
            start = index
        elif not flag and start is not None:
            if index - start >= 3:
                return start, min(index, start + 200)
            start = None
    return None
