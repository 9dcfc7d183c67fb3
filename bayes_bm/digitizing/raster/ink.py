"""Ink against paper in a small piece of a picture: masks, runs along a line, tight boxes."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayes_bm.digitizing.scene import Floats

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
Array = NDArray[Any]
"""Numbers of whatever type: memberships in 32 bits, rows and columns in whole numbers."""

_CONTRAST = 0.3
"""Share of the largest distance from the paper above which a pixel is ink."""


class Run(NamedTuple):
    """Hold a run of pixels: first place and the place behind the last one."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start

    @property
    def centre(self) -> float:
        return (self.start + self.end) / 2


def runs(mask: Mask) -> list[Run]:
    """Return the runs of true places in a mask (places,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [Run(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def joined(pieces: list[Run], gap: float) -> list[Run]:
    """Return runs of which neighbours no further apart than `gap` are one."""
    result: list[Run] = []
    for piece in pieces:
        if result and piece.start - result[-1].end <= gap:
            result[-1] = Run(result[-1].start, piece.end)
        else:
            result.append(piece)
    return result


def paper_colour(pixels: Pixels) -> Floats:
    """Return the commonest colour (3,) of a piece of a picture, to the nearest eighth and then as a median."""
    flat = pixels.reshape(-1, 3)
    codes = (flat >> 4).astype(np.int32) @ np.array([256, 16, 1])
    return np.median(flat[codes == np.argmax(np.bincount(codes))], axis=0)


def distance(pixels: Pixels, colour: Floats) -> Floats:
    """Return the largest distance of the three channels from a colour, 0 to 255 (rows, columns)."""
    channels = np.moveaxis(pixels.astype(np.float32), 2, 0)
    return largest(*(np.abs(one - value) for one, value in zip(channels, colour.astype(np.float32), strict=True)))


def largest(red: Array, green: Array, blue: Array) -> Array:
    """Return the largest of three channels in each place; `max` over a last axis of three takes six times as long."""
    return np.maximum(np.maximum(red, green), blue)


def ink_mask(pixels: Pixels) -> Mask:
    """Return which pixels (rows, columns) of a piece differ from its paper; none where nothing stands out."""
    far = distance(pixels, paper_colour(pixels))
    peak = float(far.max(initial=0.0))
    return far > max(24.0, _CONTRAST * peak)


def ink_colour(pixels: Pixels, mask: Mask) -> tuple[float, float, float]:
    """Return the colour (0 to 1) of the ink: the median of the pixels furthest from the paper."""
    if not mask.any():
        return (0.0, 0.0, 0.0)
    far = distance(pixels, paper_colour(pixels))
    core = mask & (far >= np.quantile(far[mask], 0.75))
    red, green, blue = np.median(pixels[core], axis=0) / 255.0
    return (float(red), float(green), float(blue))
