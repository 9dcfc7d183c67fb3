"""What a figure consists of, whatever file it came from: strokes, texts and pictures in one plane.

All places are in the figure's own unit (SVG user units, PDF points, pixels), x to the right and **y down**, origin at
the top left corner; a pixel's centre lies at a half. A reader of a format fills a `Scene`; everything after it asks
only the scene.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Colour = tuple[float, float, float]
"""sRGB, each 0 to 1."""


@dataclass(frozen=True, slots=True)
class Box:
    """Hold a rectangle with sides along the axes, in figure units; y runs down, so `top < bottom`."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """Hold one subpath as the file draws it, its transforms applied and its curves cut into pieces.

    Attributes
    ----------
    points
        Floats (points, 2): x, y.
    colour
        Of the line; None where only the inside is filled.
    width
        Of the line, in figure units.
    dash
        Lengths of line and gap in turn, in figure units; empty for a solid line.
    fill
        Colour of the inside; None where it is not filled.
    alpha
        Opacity, 0 to 1.
    closed
        Whether the last point joins the first.
    clip
        The rectangle outside which nothing is seen; None where there is none.
    path
        Number of the element it came from: subpaths of one element share it. Rises in drawing order.
    symbol
        Number of the reused drawing (SVG `use`, PDF form) that it is a copy of; None where it is drawn once.
    """

    points: Floats
    colour: Colour | None
    width: float
    dash: tuple[float, ...]
    fill: Colour | None
    alpha: float
    closed: bool
    clip: Box | None
    path: int
    symbol: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Hold one run of text on a line.

    Attributes
    ----------
    content
        The characters; None where the file has outlines alone and nothing has recognised them yet.
    box
        Of the ink or of the characters' cells.
    angle
        Direction of reading, in degrees against the clock: 0 upright, 90 from bottom to top.
    colour
        Of the ink.
    source
        `text` (the file's characters), `comment` (of the program that drew it), `ocr`.
    confidence
        0 to 1; 1 where the file says the characters.
    edges
        Floats (characters, 2): start and end of each character along the direction of reading, in figure units
        (x for angle 0, minus y for 90); None where unknown.
    outlines
        Closed outlines (points, 2) of the glyphs; empty where the file has characters.
    """

    content: str | None
    box: Box
    angle: float
    colour: Colour
    source: Literal["text", "comment", "ocr"]
    confidence: float = 1.0
    edges: Floats | None = None
    outlines: tuple[Floats, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Hold a picture inside a figure: bytes (rows, columns, 3) in sRGB and the box that it fills."""

    pixels: NDArray[np.uint8]
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Hold everything that one page of a figure's file draws.

    Attributes
    ----------
    strokes, texts, pictures
        In drawing order.
    width, height
        Of the page, in figure units.
    source
        `svg`, `pdf` or `picture`.
    pages
        Of the file.
    precision
        Rounding of the places in the file, in figure units (a picture: 1 pixel).
    turned
        Quarter turns with the clock after which the page reads upright; places are those after the turn.
    """

    strokes: tuple[Stroke, ...]
    texts: tuple[Text, ...]
    pictures: tuple[Picture, ...]
    width: float
    height: float
    source: Literal["svg", "pdf", "picture"]
    pages: int = 1
    precision: float = 1e-3
    turned: int = 0
