"""The check of a reading against its figure: is there ink under each line that was read, and a line on all its ink.

A line read wrongly leaves the ink: it runs where there is none (`missing`), where only other ink is (`hidden`), or
leaves ink of its own colour behind (`unexplained`). Ink is told by unmixing a pixel between the background and the
colour of an arm, which follows the smoothed edges of a line.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_bm.digitizing.canvas import Canvas
from bayes_bm.digitizing.figure import ArmLine, FigureReading, OtherInk
from bayes_bm.digitizing.limits import check_time
from bayes_bm.digitizing.scene import Box, Colour, Floats

type Picture = NDArray[np.float32]

FAR = 60.0
"""Distance in sRGB (0 to 255) from the line between background and colour at which a pixel counts exp(-1)."""
OWN = 0.35
"""Share of an arm's colour from which a pixel is its ink."""
ANY = 0.25
"""Share of full darkness from which a pixel is ink of something."""
SAME_COLOUR = 0.12
"""Distance in sRGB (0 to 1 each) below which two arms have one colour."""
SLACK = 1.5
"""Pixels beside a line that its smoothed edge takes, and half a pixel of snapping."""
MARK = 0.03
"""Half the size of a censor mark, as a share of the panel's height."""
SHORT = 0.03
"""Ink narrower than this share of the panel is a speck, a mark or a letter."""
KEY = 0.15
"""Level ink narrower than this share of the panel may be the key of a legend."""
LEVEL = 0.06
"""Ink lower than this share of the panel's height is level: a key, or a line of text."""


@dataclass(frozen=True, slots=True)
class ArmInk:
    """Hold what one arm's line leaves open, each a share, 0 to 1.

    Attributes
    ----------
    missing
        Of the line's length: no ink beneath it.
    hidden
        Of the line's length: only ink of another colour beneath it.
    unexplained
        Of the ink of the arm's colour in the panel: no line on it.
    """

    missing: float
    hidden: float
    unexplained: float


def measure_ink(canvas: Canvas, reading: FigureReading) -> tuple[ArmInk, ...]:
    """Return for each arm of a reading what it leaves open of the figure."""
    if reading.panel is None or not reading.arms:
        return ()
    window = _Window.cut(canvas, reading.panel.box)
    measured: list[ArmInk | None] = [None] * len(reading.arms)
    for places in _of_one_colour(reading.arms):
        arms = [reading.arms[place] for place in places]
        share = window.share_of(arms[0].colour)
        left = _left_over(window, reading, share)
        for place, arm in zip(places, arms, strict=True):
            measured[place] = ArmInk(*_beneath(window, arm, share), left)
    return tuple(one for one in measured if one is not None)


def _of_one_colour(arms: tuple[ArmLine, ...]) -> list[list[int]]:
    """Return places of arms, those of one colour together."""
    groups: list[list[int]] = []
    for place, arm in enumerate(arms):
        same = [group for group in groups if _distance(arms[group[0]].colour, arm.colour) < SAME_COLOUR]
        if same:
            same[0].append(place)
        else:
            groups.append([place])
    return groups


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """The pixels of the panel (rows, columns, 3) as floats, the background, and where the window begins."""

    pixels: Picture
    background: Picture
    left: float
    top: float
    scale: float

    @classmethod
    def cut(cls, canvas: Canvas, box: Box) -> "_Window":
        rows, columns = canvas.pixels.shape[:2]
        left, right = (int(np.clip(round(x * canvas.scale), 0, columns)) for x in (box.left, box.right))
        top, bottom = (int(np.clip(round(y * canvas.scale), 0, rows)) for y in (box.top, box.bottom))
        pixels = canvas.pixels[top : max(bottom, top + 2), left : max(right, left + 2)].astype(np.float32)
        flat = pixels[::3, ::3].reshape(-1, 3)
        light = flat[flat.sum(axis=1) >= np.median(flat.sum(axis=1))]
        return cls(pixels, np.median(light, axis=0).astype(np.float32), left, top, canvas.scale)

    def share_of(self, colour: Colour) -> Picture:
        """Return the share of a colour (rows, columns) in each pixel, 0 to 1."""
        towards = np.asarray(colour, np.float32) * 255 - self.background
        length = max(float(towards @ towards), 1.0)
        away = self.pixels - self.background
        share = np.clip(away @ towards / length, 0.0, 1.0)
        rest = away - share[..., None] * towards
        return share * np.exp(-np.einsum("rck,rck->rc", rest, rest) / FAR**2)

    def ink(self) -> Picture:
        """Return how far each pixel is from the background (rows, columns), 1 at the distance of black."""
        away = self.pixels - self.background
        return np.sqrt(np.einsum("rck,rck->rc", away, away)) / max(float(np.linalg.norm(self.background)), 1.0)

    def place(self, points: Floats) -> Floats:
        return np.asarray(points, float) * self.scale - np.array([self.left, self.top])


def _distance(one: Colour, other: Colour) -> float:
    return float(np.abs(np.subtract(one, other)).max())


def _beneath(window: _Window, arm: ArmLine, share: Picture) -> tuple[float, float]:
    """Return the shares of an arm's line without ink beneath, and with ink of another colour alone."""
    path = _walk(window.place(arm.corners))
    rows, columns = np.floor(path[:, 1]).astype(int), np.floor(path[:, 0]).astype(int)
    visible = (rows >= 0) & (rows < share.shape[0]) & (columns >= 0) & (columns < share.shape[1])
    if visible.sum() < 2:
        return 1.0, 0.0
    rows, columns = rows[visible], columns[visible]
    reach = int(np.ceil(SLACK + (arm.error + 0.25 * arm.width) * window.scale))
    inked = _bridge(_largest_near(share, rows, columns, reach) > OWN, arm, window.scale)
    some = _bridge(_largest_near(window.ink(), rows, columns, reach) > ANY, arm, window.scale)
    return float((~inked & ~some).mean()), float((~inked & some).mean())


def _walk(corners: Floats) -> Floats:
    """Return places a pixel apart along a line (places, 2)."""
    lengths = np.abs(np.diff(corners, axis=0)).sum(axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    steps = np.arange(0.0, along[-1], 1.0)
    return np.column_stack([np.interp(steps, along, corners[:, axis]) for axis in (0, 1)])


def _largest_near(values: Picture, rows: NDArray[np.int64], columns: NDArray[np.int64], reach: int) -> Picture:
    """Return the largest value within `reach` pixels of each place."""
    from scipy.ndimage import maximum_filter

    largest: Any = maximum_filter(values, size=2 * reach + 1)
    return largest[rows, columns]


def _bridge(ink: NDArray[np.bool_], arm: ArmLine, scale: float) -> NDArray[np.bool_]:
    """Return the mask along a line with the gaps of its dashes closed."""
    if not arm.dash:
        return ink
    from scipy.ndimage import binary_closing

    gap = int(np.ceil((max(arm.dash) + 2 * arm.width) * scale)) + 2
    padded = np.pad(ink, gap, mode="edge")
    closed: NDArray[np.bool_] = np.asarray(binary_closing(padded, np.ones(gap, bool)), bool)
    return closed[gap:-gap]


def _left_over(window: _Window, reading: FigureReading, share: Picture) -> float:
    """Return the share of a colour's ink that no line, no mark and no other known ink explains.

    Lines of all arms explain ink: a pale line unmixes as a part of a darker one of its hue.
    """
    from scipy.ndimage import find_objects, label, maximum_filter

    inked = share > 0.5
    height, width = inked.shape
    edge = int(np.ceil(2 * max(arm.width for arm in reading.arms) * window.scale + SLACK))
    inked[:edge], inked[-edge:], inked[:, :edge], inked[:, -edge:] = False, False, False, False
    explained = np.zeros_like(inked)
    for arm in reading.arms:
        _draw(explained, window.place(arm.corners), (arm.width / 2 + arm.error) * window.scale + SLACK)
        _draw_marks(explained, window, arm)
    for other in reading.others:
        check_time("lines and bands")
        _draw_other(explained, window, other)
    total = int(inked.sum())
    rest = inked & ~explained
    if not total or not rest.any():
        return 0.0
    labelled: Any = label(maximum_filter(rest, size=2 * max(2, round(0.006 * width)) + 1))
    together, count = labelled
    left = 0
    parts: list[Any] = find_objects(together, count)
    for number, part in enumerate(parts, 1):
        tall, wide = (part[0].stop - part[0].start) / height, (part[1].stop - part[1].start) / width
        if wide > SHORT + 0.012 and (tall > LEVEL or wide > KEY):
            left += int((rest[part] & (together[part] == number)).sum())
    return left / total


def _draw(mask: NDArray[np.bool_], points: Floats, reach: float) -> None:
    """Set the mask within `reach` pixels of a line of axis-parallel pieces."""
    for (x0, y0), (x1, y1) in pairwise(points):
        top, bottom = int(np.floor(min(y0, y1) - reach)), int(np.ceil(max(y0, y1) + reach))
        left, right = int(np.floor(min(x0, x1) - reach)), int(np.ceil(max(x0, x1) + reach))
        mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True


def _draw_marks(mask: NDArray[np.bool_], window: _Window, arm: ArmLine) -> None:
    if arm.marks is None or not len(arm.marks):
        return
    half = MARK * mask.shape[0]
    x, y = mark_places(arm).T
    for place in window.place(np.column_stack([x, y])):
        _draw(mask, np.vstack([place, place]), half)


def mark_places(arm: ArmLine) -> Floats:
    """Return places (marks, 2) of an arm's censor marks in figure units, on its line just after their times."""
    if arm.marks is None or not len(arm.marks):
        return np.empty((0, 2))
    x = np.interp(arm.marks, arm.time, arm.corners[:, 0])
    step = np.clip(np.searchsorted(arm.time, arm.marks, side="right") - 1, 0, len(arm.time) - 1)
    return np.column_stack([x, arm.corners[step, 1]])


def _draw_other(mask: NDArray[np.bool_], window: _Window, other: OtherInk) -> None:
    points = window.place(other.points)
    if other.kind in ("key", "text", "frame", "mark"):
        low, high = points.min(axis=0), points.max(axis=0)
        _draw(mask, np.array([low, high]), SLACK)
    elif other.kind == "band":
        _fill(mask, points)
    else:
        _draw(mask, points, (other.width / 2) * window.scale + SLACK)


def _fill(mask: NDArray[np.bool_], points: Floats) -> None:
    """Set the mask inside an outline."""
    from PIL import Image, ImageDraw

    picture = Image.new("1", (mask.shape[1], mask.shape[0]))
    ImageDraw.Draw(picture).polygon([(x, y) for x, y in points.tolist()], fill=1, outline=1)
    mask |= np.asarray(picture)
