"""What axes need from pixels: by how much the picture is turned, and where the tick strokes are, below a pixel."""

import numpy as np

from bayes_bm.digitizing.axes import Marks, Scale
from bayes_bm.digitizing.raster.ink import Array, Pixels, runs
from bayes_bm.digitizing.raster.libraries import opencv

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
    return cv2.warpAffine(pixels, matrix, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def stroke_marks(grey: Array, scale: Scale, inner: float) -> list[Marks]:
    """Return the places of the tick strokes or grid lines beside the labels of an axis; none where there are none.

    Parameters
    ----------
    grey
        Of the picture (rows, columns), 0 to 255.
    scale
        The labels of the axis.
    inner
        How far into the panel strokes are looked for: a row for the axis of time, a column for that of survival.
    """
    image = grey.T if scale.upright else grey
    margin = (0.1 if scale.labels[0].text.angle else 0.7) * scale.height
    outer = scale.box.right - margin if scale.upright else scale.box.top + margin
    lines = np.arange(int(outer), int(inner), 1 if scale.upright else -1)
    lines = lines[(lines >= 0) & (lines < image.shape[0])]
    places = scale.origin + scale.step * scale.values
    strokes = _strokes(image, lines, places)
    return [] if strokes is None else [Marks(strokes[np.isfinite(strokes)], "ticks")]


def _strokes(image: Array, lines: Array, places: Array) -> Array | None:
    """Places (labels,) of the strokes in the first lines that show them all; nan where a label has none."""
    spacing = float(np.min(np.abs(np.diff(np.sort(places))))) if len(places) > 1 else 40.0
    window = int(np.clip(0.25 * spacing, 3, 9))
    columns = np.rint(places).astype(int)[:, None] + np.arange(-window, window + 1)
    columns = np.clip(columns, 0, image.shape[1] - 1)
    if len(lines) == 0:
        return None
    pieces = image[lines[:, None, None], columns[None]]  # (lines, labels, window)
    centres, strong = _ridges(pieces, columns)
    options = [_in_band(pieces, columns, band) for band in _bands(_linear(centres, strong, places))]
    return max(options, key=lambda option: _trust(option, places), default=None)


def _trust(strokes: Array, places: Array) -> tuple[int, float]:
    """How many labels have a stroke, then how straight strokes are and how near to the labels' middles."""
    kept = np.isfinite(strokes)
    if kept.sum() < 2:
        return int(kept.sum()), 0.0
    shifts = (strokes - places)[kept]
    bend = shifts - np.polyval(np.polyfit(places[kept], shifts, 1), places[kept])
    return int(kept.sum()), -float(np.abs(bend).max() + 0.3 * np.abs(shifts).mean())


def _in_band(pieces: Array, columns: Array, band: tuple[int, int]) -> Array:
    """Places (labels,) of the strokes in the mean of some lines."""
    centre, strong = _ridges(pieces[band[0] : band[1]].mean(axis=0, keepdims=True), columns)
    return np.where(strong, centre, np.nan)[0]


def _ridges(pieces: Array, columns: Array) -> tuple[Array, Array]:
    """Centre of the narrow stroke in each window, and whether there is one (lines, labels)."""
    window = pieces.shape[2] // 2
    contrast = np.abs(pieces - np.median(pieces, axis=2, keepdims=True))
    offset = np.arange(-window, window + 1)
    weighted = contrast * np.exp(-0.5 * (offset / (0.6 * window)) ** 2)
    top = np.argmax(weighted, axis=2)[..., None]
    peak = np.take_along_axis(contrast, top, axis=2)
    ridge = np.abs(np.arange(2 * window + 1) - top) <= max(2, window // 2)
    body = np.where(ridge & (contrast > 0.15 * peak), contrast, 0.0)
    centre = (body * (columns + 0.5)).sum(axis=2) / np.maximum(body.sum(axis=2), 1e-9)
    wide = (contrast > 0.5 * peak).sum(axis=2)
    return centre, (peak[..., 0] > _CONTRAST) & (wide <= window + 1)


def _linear(centres: Array, strong: Array, places: Array) -> Array:
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


def _bands(good: Array) -> list[tuple[int, int]]:
    """The runs of at least three lines that show strokes; of a grid no more than the first 200 lines."""
    return [(run.start, min(run.end, run.start + 200)) for run in runs(good) if run.length >= 3]
