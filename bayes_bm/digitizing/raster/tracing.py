"""The way of one arm: the cheapest line from (0, 1) on that never rises and may be hidden or end."""

from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.digitizing.raster.ink import Array, Mask
from bayes_bm.digitizing.raster.libraries import opencv

_DROP = 0.3
"""Cost of a drop, in columns without ink: 1.2 loses small steps (facts, section 4.2)."""
_MISSING_STROKE = 0.5
"""Cost of a row of a drop without its vertical stroke."""
_HIDDEN = 0.35
"""Cost of a column where something else covers the line."""
_ENDED = 0.36
"""Cost of a column behind the end of the line: just above hidden, or hidden stretches would end it."""

_OF_PEN = 0.75
"""Share of a line's width that its own strokes are wide at least: corners of a round pen are narrower than the pen."""

_SLOPES = (0.25, 0.5, 1.0, 2.0)
"""Rows a column by which a dashed line is taken to fall in a gap."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Hold where a line runs, column by column from `start`.

    Attributes
    ----------
    start
        First column.
    rows
        Whole numbers (columns,): the middle of the line at the right edge of each column's drop.
    seen
        Mask (columns,): where its own ink was there.
    hidden
        Mask (columns,): where something else stood in its place.
    cost
        Per column up to the end.
    bare
        Share of the rows of its drops without a stroke.
    """

    start: int
    rows: Array
    seen: Mask
    hidden: Mask
    cost: float
    bare: float

    @property
    def end(self) -> int:
        return self.start + len(self.rows)

    @property
    def coverage(self) -> float:
        """Share of the columns at which its own ink was seen, of those where nothing hid it."""
        open_columns = ~self.hidden
        return float(self.seen[open_columns].mean()) if open_columns.any() else 0.0


def trace(share: Array, cover: Array, width: float, start: tuple[int, float], hidden_cost: float = _HIDDEN) -> Path:
    """Return the cheapest way of a line.

    Parameters
    ----------
    share
        Membership (rows, columns), gaps of dashes closed.
    cover
        Of each pixel (rows, columns), 0 to 1: how much something else hides it.
    width
        Of the line, in pixels.
    start
        Column of time 0 and row of survival 1.
    hidden_cost
        Cost of a column where the line is hidden.
    """
    column, row = max(start[0], 0), start[1]
    node, stroke = costs(share[:, column:], cover[:, column:], width, hidden_cost)
    first = np.full(share.shape[0], np.inf, np.float32)
    reach = max(3.0, 0.8 * width)
    low, high = int(max(row - reach, 0)), int(min(row + reach + 1, share.shape[0]))
    first[low:high] = 0.0
    rows, cost = _cheapest(node, stroke, first)
    columns = np.arange(len(rows)) + column
    row_index = rows.astype(int)
    ink, other = _band(share, width), _band(cover, width)
    seen = ink[row_index, columns] > 0.5
    hidden = ~seen & (other[row_index, columns] > 0.35)
    return _ended(Path(column, rows, seen, hidden, cost / max(len(rows), 1), _bare(rows, stroke)))


def _ended(path: Path) -> Path:
    """The path without a tail in which nothing was seen."""
    seen = np.flatnonzero(path.seen)
    length = int(seen[-1]) + 1 if len(seen) else 0
    return replace(path, rows=path.rows[:length], seen=path.seen[:length], hidden=path.hidden[:length])


def _bare(rows: Array, stroke: Array) -> float:
    """Share of the rows of drops that show no stroke; costs as sums (columns, rows)."""
    if len(rows) < 2:
        return 0.0
    columns = np.arange(1, len(rows))
    fallen = int(rows[-1] - rows[0])
    missing = stroke[columns, rows[1:]] - stroke[columns, rows[:-1]]
    return float(missing.sum() / (_MISSING_STROKE * max(fallen, 1)))


def _band(image: Array, width: float) -> Array:
    """Mean over the height of a line (rows, columns)."""
    size = max(1, round(width))
    return opencv().blur(np.ascontiguousarray(image, np.float32), (1, size))


def costs(share: Array, cover: Array, width: float, hidden_cost: float) -> tuple[Array, Array]:
    """Cost of each pixel, and cost of passing each row in a drop (columns, rows), as sums from the top."""
    cv2 = opencv()
    ink = _band(share, width)
    top = ink.max(axis=0)
    inked = top[top > 0.4]
    usual = np.clip(float(np.quantile(inked, 0.4)) if len(inked) else 1.0, 0.5, 1.0)
    ink = np.clip(ink / usual, 0.0, 1.0)
    other = np.clip(_band(cover, width) / 0.85, 0.0, 1.0)
    node = np.minimum(1.0 - ink, 1.0 - (1.0 - hidden_cost) * other)
    stroke_ink = cv2.dilate(np.ascontiguousarray(share, np.float32), np.ones((1, 3), np.uint8))
    stroke_ink = np.maximum(stroke_ink / usual, 0.7 * other)
    missing = _MISSING_STROKE * (1.0 - np.clip(stroke_ink, 0.0, 1.0))
    return np.ascontiguousarray(node.T, np.float32), np.cumsum(missing.T, axis=1, dtype=np.float64)


def _cheapest(node: Array, stroke: Array, first: Array) -> tuple[Array, float]:
    """Rows (columns up to the end,) of the cheapest way and its cost; costs as (columns, rows)."""
    columns, rows = node.shape
    origin = np.empty((columns, rows), np.int32)
    total = first.astype(np.float64)
    ended, end_column = np.inf, 0
    ends = np.empty(columns, np.int32)
    end_rows = np.empty(columns, np.int32)
    for column in range(columns):
        least = int(np.argmin(total))
        if total[least] <= ended:  # the line may have ended before this column
            ended, end_column, end_row = float(total[least]), column, least
        ended += _ENDED
        ends[column], end_rows[column] = end_column, end_row
        total, origin[column] = falling(total, stroke[column], _DROP)
        total = total + node[column]
    least = int(np.argmin(total))
    if total[least] <= ended or columns == 0:
        return _walk(origin, least, columns), float(total[least])
    stop = int(ends[-1])
    return _walk(origin, int(end_rows[-1]), stop), float(ended)


def falling(total: Array, stroke: Array, drop: float = 0.0) -> tuple[Array, Array]:
    """Return the least cost (rows,) of a line in each row of the next column, and the row that it comes from.

    `total` is its cost in this column, `stroke` what passing the rows costs, as a sum from the top, `drop` a drop.
    """
    places = np.arange(len(total))
    fall = total - stroke
    best = np.minimum.accumulate(fall)
    source = np.maximum.accumulate(np.where(fall <= best, places, 0))
    dropped = best + stroke + drop
    level = total <= dropped
    return np.where(level, total, dropped), np.where(level, places, source)


def _walk(origin: Array, row: int, columns: int) -> Array:
    """Rows (columns,) from the last column back."""
    result = np.empty(columns, np.int32)
    for column in range(columns - 1, -1, -1):
        result[column] = row
        row = int(origin[column, row])
    return result


def closed(share: Array, gap: float, *, slopes: bool = False) -> Array:
    """Return a membership in which gaps up to `gap` pixels along rows, and then along columns, are filled.

    With `slopes` also those between dashes of which the second one lies lower.
    """
    cv2 = opencv()
    size = max(1, round(gap)) | 1
    image = np.ascontiguousarray(share, np.float32)
    flat = cv2.morphologyEx(image, cv2.MORPH_CLOSE, np.ones((1, size), np.uint8))
    for slope in _SLOPES if slopes else ():
        flat = np.maximum(flat, cv2.morphologyEx(image, cv2.MORPH_CLOSE, _falling_line(size, slope)))
    tall = cv2.morphologyEx(image, cv2.MORPH_CLOSE, np.ones((size, 1), np.uint8))
    return np.maximum(flat, tall)


def _falling_line(size: int, slope: float) -> Array:
    """The pixels (rows, columns) of a line that falls by `slope` rows a column and is `size` pixels long."""
    long = max(1.0, slope)
    across = np.linspace(0.0, size / long, 4 * size)
    columns, rows = np.floor(across).astype(int), np.floor(slope * across).astype(int)
    element = np.zeros((rows.max() + 1, columns.max() + 1), np.uint8)
    element[rows, columns] = 1
    return element


def without_bars(share: Array, width: float) -> Array:
    """Return a membership (rows, columns) without upright strokes thinner than a line: bars of censor marks.

    Between the dashes of a line the bars of its own marks and of another arm's would close to a wide bridge.
    """
    size = int(_OF_PEN * width)
    if size < 2:
        return share
    image = np.ascontiguousarray(share, np.float32)
    return opencv().morphologyEx(image, opencv().MORPH_OPEN, np.ones((1, size), np.uint8))


def covered(path: Path, shape: tuple[int, int], width: float) -> Mask:
    """Return the pixels (rows, columns) that a traced line covers, its drops included and a pixel around it."""
    mask = np.zeros(shape, bool)
    half = width / 2 + 1.0
    previous = np.concatenate([path.rows[:1], path.rows[:-1]])
    for index, (high, low) in enumerate(zip(previous, path.rows, strict=True)):
        column = path.start + index
        top, bottom = int(max(high - half, 0)), int(low + half + 1)
        reach = round(half) if low > high else 0
        mask[top:bottom, max(column - reach, 0) : column + reach + 1] = True
    return mask
