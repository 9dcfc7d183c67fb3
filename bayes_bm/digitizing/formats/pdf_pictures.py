"""Pictures on a PDF page, drawn by pdfium at their own resolution."""

from typing import Any

import numpy as np

from bayes_bm.digitizing.formats.embedded import MOST_PIXELS
from bayes_bm.digitizing.scene import Box, Picture
from bayes_bm.runtime.errors import InputError

_LEAST = 0.04
"""Share of the page below which a picture is a logo or a mark, not a figure."""
_HUGE = 100_000_000
"""Pixels that nobody scans a page with; decoding more takes memory that the machine may not have."""


def pictures(
    where: str, page: Any, placed: list[tuple[Box, tuple[int, int]]], size: tuple[float, float]
) -> list[Picture]:
    """Return the pictures of a page that may be figures; strips that touch each other are one picture.

    They are drawn by pdfium, so masks, colour spaces, turns and whatever lies over them are as a reader sees them.

    Raises
    ------
    InputError
        Where one has more pixels than a scanned page.
    """
    for _, (columns, rows) in placed:
        if columns * rows > _HUGE:
            raise InputError(
                where,
                found=f"a picture of {columns} x {rows} pixels",
                allowed=f"at most {_HUGE // 1_000_000} million",
                hint="save the figure with 300 dpi",
            )
    kept: list[Picture] = []
    for box, density in _joined(placed):
        left, top = max(box.left, 0.0), max(box.top, 0.0)
        right, bottom = min(box.right, size[0]), min(box.bottom, size[1])
        if (right - left) * (bottom - top) < _LEAST * size[0] * size[1] or right <= left or bottom <= top:
            continue
        scale = min(density, (MOST_PIXELS / 2 / ((right - left) * (bottom - top))) ** 0.5)
        crop = (left, size[1] - bottom, size[0] - right, top)
        bitmap = page.render(scale=scale, crop=crop, rev_byteorder=True)
        kept.append(Picture(np.ascontiguousarray(bitmap.to_numpy()[:, :, :3]), Box(left, top, right, bottom)))
    return kept


def _joined(placed: list[tuple[Box, tuple[int, int]]]) -> list[tuple[Box, float]]:
    """Return boxes of pictures with their pixels a point; boxes that touch are joined."""
    parts = [
        (box, max(pixels) / max(box.width, box.height)) for box, pixels in placed if min(box.width, box.height) > 0
    ]
    joined: list[tuple[Box, float]] = []
    for box, density in parts:
        while (other := next((part for part in joined if _touch(part[0], box)), None)) is not None:
            joined.remove(other)
            box, density = _around(other[0], box), max(density, other[1])
        joined.append((box, density))
    return joined


def _touch(first: Box, second: Box) -> bool:
    gap = 1.0
    return (
        first.left <= second.right + gap
        and second.left <= first.right + gap
        and first.top <= second.bottom + gap
        and second.top <= first.bottom + gap
    )


def _around(first: Box, second: Box) -> Box:
    return Box(
        min(first.left, second.left),
        min(first.top, second.top),
        max(first.right, second.right),
        max(first.bottom, second.bottom),
    )
