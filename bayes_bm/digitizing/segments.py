"""Straight pieces of a vector scene: ticks, grid lines, keys and reference lines, and the boxes that may be frames."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.axes import Marks, Scale
from bayes_bm.digitizing.formats.affine import bounds
from bayes_bm.digitizing.scene import Box, Colour, Floats, Scene, Stroke

_THIN = 0.008
"""Thickness of a filled bar, as a share of the page, below which it stands for a line."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Hold one straight piece along an axis.

    Attributes
    ----------
    upright
        Whether it runs up and down.
    place
        Of the line: x where upright, else y.
    low, high
        Its ends along itself.
    colour, width, dash
        Of the line.
    stroke
        What it came from.
    """

    upright: bool
    place: float
    low: float
    high: float
    colour: Colour
    width: float
    dash: tuple[float, ...]
    stroke: Stroke

    @property
    def length(self) -> float:
        return self.high - self.low


def segments(scene: Scene) -> list[Segment]:
    """Return the strokes that are one straight line along an axis, and thin filled bars that stand for one."""
    size = max(scene.width, scene.height)
    read = (_segment(stroke, size) for stroke in scene.strokes)
    return [segment for segment in read if segment is not None]


def _segment(stroke: Stroke, size: float) -> Segment | None:
    """Return a stroke as a segment; None where it bends."""
    box = bounds(stroke.points)
    if stroke.colour is not None and min(box.width, box.height) <= 1e-5 * size < max(box.width, box.height):
        upright = box.height > box.width
        low, high = (box.top, box.bottom) if upright else (box.left, box.right)
        place = float(np.mean(stroke.points[:, 0 if upright else 1]))
        return Segment(upright, place, low, high, stroke.colour, stroke.width, stroke.dash, stroke)
    bar = stroke.fill is not None and stroke.colour is None and len(stroke.points) in (4, 5)
    if (
        bar
        and min(box.width, box.height) < _THIN * size
        and max(box.width, box.height) > 3 * min(box.width, box.height)
    ):
        upright = box.height > box.width
        low, high = (box.top, box.bottom) if upright else (box.left, box.right)
        centre = box.centre[0 if upright else 1]
        assert stroke.fill is not None
        return Segment(upright, centre, low, high, stroke.fill, min(box.width, box.height), (), stroke)
    return None


def axis_marks(pieces: Iterable[Segment], scale: Scale, core: Box) -> list[Marks]:
    """Return groups of parallel segments that may be the ticks or the grid of a scale, the likeliest first.

    Parameters
    ----------
    pieces : iterable of Segment
        All straight pieces of the scene.
    scale : Scale
        The labels.
    core : Box
        What the labels of both axes span.
    """
    level_axis = not scale.upright
    reach = (core.height if level_axis else core.width) * 0.25
    first, last = (core.left, core.right) if level_axis else (core.top, core.bottom)
    margin = 0.1 * (last - first)
    low, high = (core.top, core.bottom) if level_axis else (core.left, core.right)
    groups: dict[tuple[int, int], list[Segment]] = defaultdict(list)
    grain = max(last - first, high - low) * 3e-4
    for piece in pieces:
        spans = first - margin <= piece.place <= last + margin
        if piece.upright == level_axis and spans and piece.high > low - reach and piece.low < high + reach:
            groups[round(piece.low / grain), round(piece.high / grain)].append(piece)
    edge = scale.box.top if level_axis else (scale.box.right if scale.box.right <= core.left else scale.box.left)
    ranked: list[tuple[tuple[bool, float], Marks]] = []
    for group in groups.values():
        length = group[0].length
        if len(group) >= 2:
            places = np.unique([piece.place for piece in group])
            grid = length > 0.5 * (high - low)
            gap = min(abs(group[0].low - edge), abs(group[0].high - edge))
            ranked.append(((grid, gap), Marks(_thinned(places, grain), "grid" if grid else "ticks")))
    return [marks for _, marks in sorted(ranked, key=lambda item: item[0])]


def _thinned(places: Floats, grain: float) -> Floats:
    """Return sorted places in which lines drawn twice count once."""
    kept = np.concatenate([[True], np.diff(places) > grain])
    return places[kept]


def frames(scene: Scene, pieces: Iterable[Segment], core: Box) -> list[Box]:
    """Return boxes around `core` that may be the panel's: clips and rectangles, smallest first, then axis lines."""
    clips = [stroke.clip for stroke in scene.strokes if stroke.clip is not None]
    rectangles = [bounds(stroke.points) for stroke in scene.strokes if is_rectangle(stroke)]
    boxes = [box for box in (*clips, *rectangles) if _around(box, core)]
    return [*sorted(boxes, key=lambda box: box.width * box.height), _spanned(pieces, core)]


def is_rectangle(stroke: Stroke) -> bool:
    """Return whether a stroke is a closed rectangle along the axes."""
    points = stroke.points
    if len(points) not in (4, 5) or not (stroke.closed or np.allclose(points[0], points[-1])):
        return False
    box = bounds(points)
    size = max(box.width, box.height, 1e-9)
    at_side = (np.abs(points[:, 0] - box.left) < 1e-3 * size) | (np.abs(points[:, 0] - box.right) < 1e-3 * size)
    at_end = (np.abs(points[:, 1] - box.top) < 1e-3 * size) | (np.abs(points[:, 1] - box.bottom) < 1e-3 * size)
    return bool((at_side & at_end).all())


def _around(box: Box, core: Box) -> bool:
    """Return whether a box holds the core and is not much larger: margins and legends lie outside a panel."""
    slack_x, slack_y = 0.01 * core.width, 0.01 * core.height
    holds = (
        box.left <= core.left + slack_x
        and box.right >= core.right - slack_x
        and box.top <= core.top + slack_y
        and box.bottom >= core.bottom - slack_y
    )
    return holds and core.left - box.left < 0.5 * core.width and box.bottom - core.bottom < 0.5 * core.height


def _spanned(pieces: Iterable[Segment], core: Box) -> Box:
    """Return the box that the axis lines beside the core span."""
    left, top, right, bottom = core.left, core.top, core.right, core.bottom
    for piece in pieces:
        first, last = (core.left, core.right) if piece.upright else (core.top, core.bottom)
        low, high = (core.top, core.bottom) if piece.upright else (core.left, core.right)
        margin = 0.2 * (last - first)
        spans = first - margin < piece.place < last + margin and piece.low < high and piece.high > low
        if not spans or piece.length <= 0.6 * (high - low):
            continue
        ends = (piece.place, piece.low, piece.place, piece.high)
        if not piece.upright:
            ends = (piece.low, piece.place, piece.high, piece.place)
        left, top, right, bottom = min(left, ends[0]), min(top, ends[1]), max(right, ends[2]), max(bottom, ends[3])
    return Box(left, top, right, bottom)
