"""The box in which curves can be seen: the inner edges of axis lines and frame, else where the panel's paper ends."""

import numpy as np

from bayes_bm.digitizing.figure import Axis
from bayes_bm.digitizing.panels import AxisPair
from bayes_bm.digitizing.raster.ink import Array, Mask, Pixels, Run, distance, paper_colour, runs
from bayes_bm.digitizing.scene import Box

_LINE = 28.0
"""Grey values by which a line of the frame differs from the panel's paper."""
_TINT = 12.0
"""Grey values by which the page differs from a panel with a paper of its own; noise of a JPEG is below."""
_COVER = 0.9
"""Share of the span of the ticks that a line of the frame fills."""
_NEAR = 3.5
"""Pixels within which a line stands at the outermost tick rather than beyond it."""
_REACH = 0.25
"""Span of the ticks beyond which no line belongs to this panel."""


def panel_box(pixels: Pixels, pair: AxisPair, time: Axis, level: Axis, right: float) -> Box:
    """Return the box inside the axis lines.

    Parameters
    ----------
    pixels
        Bytes (rows, columns, 3).
    pair
        The labels of the panel's axes.
    time, level
        The axes.
    right
        Outer limit in pixels: the next panel or the end of the picture.
    """
    left = pair.level.box.right if pair.level.box.right < time.places.min() + _NEAR else 0.0
    bottom = pair.time.box.top
    x_low, x_high = float(time.places.min()), float(time.places.max())
    y_high, y_low = float(level.places.min()), float(level.places.max())
    full = level.origin + level.step * (100.0 if pair.percent else 1.0)
    y_high = min(y_high, max(full, 0.0))
    zero = float(level.place(0.0))
    if zero < bottom:  # above the labels of time, so its own label was not read
        y_low = max(y_low, zero)
    interior = pixels[max(int(y_high), 0) : int(y_low) + 1, max(int(x_low), 0) : int(x_high) + 1]
    paper = paper_colour(interior)
    far = distance(pixels, paper)
    ink = far > _LINE
    columns = runs(ink[max(int(y_high), 0) : int(y_low) + 1].mean(axis=0) > _COVER)
    rows = runs(ink[:, max(int(x_low), 0) : int(x_high) + 1].mean(axis=1) > _COVER)
    wide, tall = x_high - x_low, y_low - y_high
    return Box(
        left=_before(columns, x_low, max(left, x_low - _REACH * wide), 0.04 * wide),
        top=_before(rows, y_high, max(0.0, y_high - _REACH * tall), 0.06 * tall, strict=True),
        right=_behind(columns, x_high, min(right, x_high + _REACH * wide), _paper_end(far, x_high, right, rows)),
        bottom=_behind(rows, y_low, min(bottom, y_low + _REACH * tall), y_low + 0.03 * tall),
    )


def _before(lines: list[Run], tick: float, limit: float, margin: float, *, strict: bool = False) -> float:
    """Inner edge of the line nearest before a tick, else of one at the tick, else a margin before it."""
    outer = [line for line in lines if limit <= line.start and line.end < tick - _NEAR]
    if outer:
        return float(outer[-1].end)
    here = [line for line in lines if abs(line.centre - tick) <= _NEAR + line.length / 2]
    if here and not strict:
        return float(here[-1].end)
    return max(tick - margin, 0.0)


def _behind(lines: list[Run], tick: float, limit: float, otherwise: float) -> float:
    """Inner edge of the line nearest behind a tick, else of one at the tick, else what is given."""
    outer = [line for line in lines if line.start > tick + _NEAR and line.end <= limit]
    if outer:
        return float(outer[0].start)
    here = [line for line in lines if abs(line.centre - tick) <= _NEAR + line.length / 2]
    if here:
        return float(here[0].start)
    return min(otherwise, limit)


def _paper_end(far: Array, tick: float, right: float, rows: list[Run]) -> float:
    """Column where the axis line or the panel's own paper ends to the right of the last tick."""
    stop = int(min(right, far.shape[1]))
    ends = [_run_end(far[int(row.centre)] > _LINE, int(tick) - 2, stop) for row in rows]
    if ends and max(ends) > tick + _NEAR:
        return float(max(ends))
    paper = far[:, int(tick) : stop] < _TINT
    share = paper.mean(axis=0) if paper.size else np.zeros(0)
    bare = [run for run in runs(share < 0.3) if run.length >= 8]  # a grid line is narrower
    return float(int(tick) + bare[0].start) if bare else float(stop)


def _run_end(line: Mask, start: int, stop: int) -> int:
    """Where the run through a place ends."""
    empty = np.flatnonzero(~line[start + 2 : stop])
    return start + 2 + int(empty[0]) if len(empty) else stop
