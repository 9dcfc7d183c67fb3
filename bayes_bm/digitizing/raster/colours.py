"""Colours of a panel: its paper, the inks that lines are drawn with, and how much of a pixel each ink covers."""

from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.raster.ink import Array, Mask, Pixels, distance, largest, paper_colour
from bayes_bm.digitizing.raster.libraries import opencv

_STANDS_OUT = 36.0
"""Grey values from the paper from which a pixel may belong to a line."""
_RADIUS = 26.0
"""Grey values within which colours are one ink."""
_LEAST_SUPPORT = 0.05
"""Share of the panel's columns in which an ink that is a line's appears."""
_RESIDUAL = 60.0
"""Grey values off the way from paper to ink at which a pixel's membership falls to 1/e (facts, section 4.2)."""
_COVERED = 80.0
"""Grey values that an ink leaves of a pixel at which something else covers it wholly."""
_LIKE_TINT, _AROUND = 0.3, 3
"""How much of an ink another line's colour passes for, at least, where the two must be kept apart; and pixels around
the middle of that line."""
_MOST_INKS = 12
_LEAST_RUNS = 30
"""Columns in which a line must be seen before its own width is measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """Hold the pixels of one panel.

    Attributes
    ----------
    pixels
        Bytes (rows, columns, 3).
    hidden
        Mask (rows, columns): texts and keys, where nothing is known of lines.
    paper
        Bytes (rows, columns, 3): what would be seen without lines, bands included.
    far
        Floats (rows, columns): distance of each pixel from its paper.
    left, top
        Of the first pixel in the picture.
    """

    pixels: Pixels
    hidden: Mask
    paper: Pixels
    far: Array
    left: int
    top: int

    @property
    def rows(self) -> int:
        return self.pixels.shape[0]

    @property
    def columns(self) -> int:
        return self.pixels.shape[1]

    @property
    def paper_colour(self) -> Array:
        """The colour (3,) of most of the paper."""
        return np.median(self.paper.reshape(-1, 3), axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """Hold a colour (3,) of lines, 0 to 255, and the number of columns in which it appears."""

    colour: Array
    support: int

    @property
    def chromatic(self) -> bool:
        return float(np.ptp(self.colour)) > 28.0


def crop(pixels: Pixels, box: tuple[int, int, int, int], hidden: Mask) -> Crop:
    """Return the part of a picture inside a box (left, top, right, bottom) with its paper.

    `hidden` is a mask of the whole picture.
    """
    left, top, right, bottom = box
    part = np.ascontiguousarray(pixels[top:bottom, left:right])
    cover = hidden[top:bottom, left:right]
    paper = _paper(part)
    far = largest(*np.moveaxis(np.abs(part.astype(np.float32) - paper), 2, 0))
    return Crop(part, cover, paper, far, left, top)


def _paper(pixels: Pixels) -> Pixels:
    """What lies behind lines (rows, columns, 3): a wide median, in which grid lines are kept apart."""
    base = paper_colour(pixels)
    plain = pixels.copy()
    grid = np.zeros(pixels.shape[:2], bool)
    for image, part, mask in (
        (plain, pixels, grid),
        (plain.swapaxes(0, 1), pixels.swapaxes(0, 1), grid.T),
    ):
        lines, colours = _grid_lines(part, base)
        for line, colour in zip(lines, colours, strict=True):
            same = distance(part[line : line + 1], colour)[0] < 20
            image[line, same] = base.astype(np.uint8)
            mask[line, same] = True
    reach = max(9, int(0.085 * min(pixels.shape[:2]))) | 1
    wide = opencv().medianBlur(plain, min(reach, 151))
    bare = grid & (distance(wide, base) < 12)
    wide[bare] = pixels[bare]
    return wide


def _grid_lines(pixels: Pixels, base: Array) -> tuple[list[int], list[Array]]:
    """Rows that are of one colour other than the paper from side to side, and their colours."""
    middle = np.median(pixels, axis=1)
    odd = np.abs(middle - base).max(axis=1) > 5
    lines, colours = [], []
    edge = max(2, pixels.shape[1] // 40)
    for line in np.flatnonzero(odd):
        same = distance(pixels[line : line + 1], middle[line])[0] < 20
        if same.mean() > 0.55 and same[:edge].mean() > 0.5 and same[-edge:].mean() > 0.5:
            lines.append(int(line))
            colours.append(middle[line])
    return lines, colours


def inks(panel: Crop) -> list[Ink]:
    """Return the inks that may be lines' in a panel, the one with most columns first."""
    cores, places = _cores(panel)
    if len(cores) == 0:
        return []
    rest = np.ones(len(cores), bool)
    result: list[Ink] = []
    members: list[Mask] = []
    while rest.sum() > 10 and len(result) < _MOST_INKS:
        colour = _commonest(cores[rest], places[rest])
        alike = np.abs(cores - colour).max(axis=1) < _RADIUS
        fresh = alike & rest
        support = len(np.unique(places[fresh, 1]))
        rest &= ~alike
        if support < _LEAST_SUPPORT * panel.columns:
            if fresh.sum() == 0:
                break
            continue
        result.append(Ink(colour, support))
        members.append(fresh)
    return _without_mixtures(panel, result, [places[fresh] for fresh in members])


def _cores(panel: Crop) -> tuple[Array, Array]:
    """Colours (pixels, 3) and places (row, column) of pixels in the middle of lines."""
    cv2 = opencv()
    far = panel.far
    tall = cv2.dilate(far, np.ones((5, 1), np.uint8))
    core = (far > _STANDS_OUT) & (far >= 0.94 * tall) & ~panel.hidden
    core[:2], core[-2:] = False, False
    places = np.argwhere(core)
    return panel.pixels[core].astype(float), places


def _commonest(colours: Array, places: Array) -> Array:
    """The colour (3,) around which most columns are found."""
    codes = (colours // 12).astype(np.int64) @ np.array([10000, 100, 1])
    width = int(places[:, 1].max()) + 1
    pairs = np.unique(codes * width + places[:, 1])
    values, counts = np.unique(pairs // width, return_counts=True)
    centre = colours[codes == values[np.argmax(counts)]].mean(axis=0)
    for _ in range(4):
        alike = np.abs(colours - centre).max(axis=1) < 0.8 * _RADIUS
        centre = np.median(colours[alike], axis=0)
    return centre


def _without_mixtures(panel: Crop, candidates: list[Ink], places: list[Array]) -> list[Ink]:
    """The inks without those whose pixels lie on the edges of stronger ones: tints and colours of crossings."""
    cv2 = opencv()
    kept: list[Ink] = []
    cover = np.zeros((panel.rows, panel.columns), np.uint8)
    for ink, spots in zip(candidates, places, strict=True):
        overlap = cover[spots[:, 0], spots[:, 1]].mean() if kept else 0.0
        if overlap > 0.6:
            continue
        kept.append(ink)
        stamp = np.zeros_like(cover)
        stamp[spots[:, 0], spots[:, 1]] = 1
        cover |= cv2.dilate(stamp, np.ones((7, 7), np.uint8))
    return kept


@dataclass(frozen=True, slots=True, eq=False)
class Unmixed:
    """Hold how much of each pixel (rows, columns), 0 to 1, one ink covers, and how much something else does."""

    share: Array
    other: Array


def unmixed(panel: Crop, colour: Array) -> Unmixed:
    """Return the shares of an ink and of all other ink, by unmixing each pixel from its paper in sRGB."""
    inked = panel.far > 0.0  # elsewhere there is nothing to unmix, and that is most of a panel
    paper = panel.paper[inked].astype(np.float32).T
    difference = panel.pixels[inked].astype(np.float32).T - paper
    way = np.asarray(colour, np.float32)[:, None] - paper
    length = _summed(way * way)
    share = np.clip(_summed(difference * way) / np.maximum(length, 1.0), 0.0, 1.0)
    residual = np.sqrt(_summed((difference - share * way) ** 2))
    own = np.where(length < 900.0, 0.0, share * np.exp(-((residual / _RESIDUAL) ** 2)))
    left = largest(*np.abs(difference - own * way))
    other = np.clip(left / _COVERED, 0.0, 1.0) * (1.0 - own)
    return Unmixed(_spread(inked, own), _spread(inked, other))


def _summed(channels: Array) -> Array:
    """The sum (pixels,) of three channels (3, pixels)."""
    return channels[0] + channels[1] + channels[2]


def _spread(inked: Mask, values: Array) -> Array:
    """Values (pixels,) in their places (rows, columns), 0 elsewhere."""
    whole = np.zeros(inked.shape, np.float32)
    whole[inked] = values
    return whole


def of_rival(panel: Crop, colour: Array, rival: Array) -> Mask:
    """Return the pixels (rows, columns) in and beside a line of a rival ink that passes for a tint of an ink.

    A grey line is half of a black one's ink, and a blue one most of a darker blue's. In the middle of a line its own
    colour stands alone.
    """
    shape = (panel.rows, panel.columns)
    paper = panel.paper_colour
    if _tint(rival - paper, colour - paper) < _LIKE_TINT:
        return np.zeros(shape, bool)
    cv2 = opencv()
    far = panel.far
    middle = (far > _STANDS_OUT) & (far >= 0.94 * cv2.dilate(far, np.ones((5, 5), np.uint8)))
    reach = min(_RADIUS, 0.5 * float(np.abs(colour - rival).max()))
    own, other = (middle & (distance(panel.pixels, one) < reach) for one in (colour, rival))
    around = np.ones((2 * _AROUND + 1,) * 2, np.uint8)
    lines = cv2.dilate(other.astype(np.uint8), around)
    return (lines > 0) & (cv2.dilate(own.astype(np.uint8), around) == 0)


def _tint(part: Array, way: Array) -> float:
    """How much of an ink a colour passes for; both as differences (3,) from the paper."""
    share = float(np.clip(part @ way / max(way @ way, 1.0), 0.0, 1.0))
    return share * float(np.exp(-((np.linalg.norm(part - share * way) / _RESIDUAL) ** 2)))


def membership(panel: Crop, colour: Array) -> Array:
    """Return how much of each pixel (rows, columns) an ink covers, 0 to 1."""
    return unmixed(panel, colour).share


@dataclass(frozen=True, slots=True, eq=False)
class _Upright:
    """Hold upright runs of ink: column, first row and the row behind the last one (runs,)."""

    columns: Array
    starts: Array
    ends: Array


def line_width(share: Array) -> float:
    """Return the width in pixels of the lines in a membership (rows, columns): the commonest height of level runs."""
    return _width(share, _upright(share))


def width_along(share: Array, rows: Array, start: int) -> float | None:
    """Return the width of the line whose middle is in `rows` (columns,) from a column on; None where little is seen.

    Runs elsewhere, of censor marks, bands and other lines, do not count.
    """
    upright = _upright(share)
    index = upright.columns - start
    present = (index >= 0) & (index < len(rows))
    middle = rows[np.clip(index, 0, len(rows) - 1)]
    kept = present & (upright.starts <= middle) & (upright.ends > middle)
    if kept.sum() < _LEAST_RUNS:
        return None
    return _width(share, _Upright(upright.columns[kept], upright.starts[kept], upright.ends[kept]))


def _upright(share: Array) -> _Upright:
    padded = np.pad(share > 0.5, ((1, 1), (0, 0))).astype(np.int8)
    edges = np.diff(padded, axis=0)
    starts, ends = np.argwhere(edges.T == 1), np.argwhere(edges.T == -1)
    return _Upright(starts[:, 0], starts[:, 1], ends[:, 1])


def _width(share: Array, upright: _Upright) -> float:
    """Width of the line that most runs show: the lowest peak of their heights that has half of the highest."""
    lengths = upright.ends - upright.starts
    lengths = lengths[lengths <= max(3, share.shape[0] // 25)]
    if len(lengths) == 0:
        return 2.0
    counts = np.convolve(np.bincount(lengths), [0.5, 1.0, 0.5])
    peaks = counts >= np.maximum(np.r_[0.0, counts[:-1]], np.r_[counts[1:], 0.0])
    mode = int(np.argmax(peaks & (counts >= 0.5 * counts.max()))) - 1  # marks are higher than the line
    return _exact_width(share, upright, max(mode, 1))


def _exact_width(share: Array, upright: _Upright, mode: int) -> float:
    """Width with its fraction: the mean sum of membership across runs of the commonest height."""
    usual = np.abs(upright.ends - upright.starts - mode) <= 1
    columns, first = upright.columns[usual], upright.starts[usual]
    total = np.zeros(len(columns))
    for offset in range(-2, mode + 3):
        rows = np.clip(first + offset, 0, share.shape[0] - 1)
        total += share[rows, columns]
    return float(np.median(total))
