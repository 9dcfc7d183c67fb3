"""Texts made of outlines: copies of glyphs that follow each other, with or without words that say their characters."""

import html
import math
import re
from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.digitizing.formats.affine import bounds
from bayes_bm.digitizing.scene import Box, Floats, Stroke, Text

_LARGEST = 0.08
"""Height of a glyph as a share of the page: larger things are shapes."""


@dataclass(frozen=True, slots=True, eq=False)
class Glyph:
    """Hold one copy of a glyph.

    Attributes
    ----------
    strokes
        Its filled outlines.
    anchor
        Where its origin lies.
    direction
        Floats (2,): where its own x axis points.
    character
        Where the file says it.
    """

    strokes: list[Stroke]
    anchor: tuple[float, float]
    direction: Floats
    character: str | None = None

    @property
    def box(self) -> Box:
        """Return the box of its ink."""
        return bounds(np.concatenate([stroke.points for stroke in self.strokes]))


def is_glyph(strokes: list[Stroke], page: tuple[float, float]) -> bool:
    """Return whether a copy looks like a character: filled, without a line, small."""
    if any(stroke.fill is None or stroke.colour is not None for stroke in strokes):
        return False
    box = bounds(np.concatenate([stroke.points for stroke in strokes]))
    return max(box.width, box.height) < _LARGEST * max(page)


def _angle(pieces: list[Glyph]) -> float:
    """Return the direction of reading: of the anchors where there are several, else of the glyph itself.

    Cairo turns the outlines themselves, so that only the anchors tell that a text runs upwards.
    """
    along = np.subtract(pieces[-1].anchor, pieces[0].anchor)
    if len(pieces) == 1 or not along.any():
        along = pieces[0].direction
    return round(math.degrees(math.atan2(-along[1], along[0])), 1) % 360


def reading_edges(boxes: list[Box], angle: float) -> Floats:
    """Return start and end (boxes, 2) of boxes along the direction of reading."""
    turn = math.radians(angle)
    cosine, sine = math.cos(turn), -math.sin(turn)
    ends = np.array([[(box.left, box.top), (box.right, box.bottom)] for box in boxes])
    places = ends[:, :, 0] * cosine + ends[:, :, 1] * sine
    return np.sort(places, axis=1)


def runs(pieces: list[Glyph]) -> list[Text]:
    """Return the texts that glyphs make; their characters are unknown unless each glyph says its own."""
    lines: list[list[Glyph]] = []
    for piece in pieces:
        if lines and _continues(lines[-1], piece):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [_run(line) for line in lines]


def _continues(line: list[Glyph], piece: Glyph) -> bool:
    """Return whether a glyph stands on the same line as those before it."""
    if line[0].strokes[0].fill != piece.strokes[0].fill:
        return False
    step = np.subtract(piece.anchor, line[-1].anchor)
    if len(line) == 1:
        return bool(np.min(np.abs(step)) < 0.05 * max(1.0, float(np.max(np.abs(step)))))
    along = np.subtract(line[-1].anchor, line[0].anchor)
    aside = abs(along[0] * step[1] - along[1] * step[0]) / max(float(np.hypot(*along)), 1e-9)
    return bool(aside < 0.1 * max(float(np.hypot(*step)), 1.0) and along @ step >= 0)


def _run(line: list[Glyph]) -> Text:
    """Return one line of glyphs as a text."""
    angle = _angle(line)
    boxes = [piece.box for piece in line]
    points = np.array([[(box.left, box.top), (box.right, box.bottom)] for box in boxes]).reshape(-1, 2)
    readable = all(piece.character for piece in line)
    return Text(
        content="".join(piece.character or "" for piece in line) if readable else None,
        box=bounds(points),
        angle=angle,
        colour=line[0].strokes[0].fill or (0.0, 0.0, 0.0),
        source="text",
        edges=reading_edges(boxes, angle),
        outlines=tuple(stroke.points for piece in line for stroke in piece.strokes),
    )


def labelled(parts: list[Text], comment: str) -> Text:
    """Return the glyphs of a group as one text with the characters that a comment says.

    Matplotlib draws a glyph for each character that is not blank, in order, so places of characters follow where the
    counts agree. Mathematical text says more than it draws (`$\\mathdefault{10}$`): its signs are taken out.
    """
    content = re.sub(r"\\math\w+|\\,|[${}]", "", html.unescape(comment)).strip("\n").rstrip()
    content = content.replace("\\minus", "-").lstrip()
    edges = np.concatenate([part.edges for part in parts if part.edges is not None])
    points = np.array([[(part.box.left, part.box.top), (part.box.right, part.box.bottom)] for part in parts])
    written = [index for index, character in enumerate(content) if not character.isspace()]
    places = _with_blanks(edges, written, len(content)) if len(written) == len(edges) else None
    whole = replace(parts[0], content=content, box=bounds(points.reshape(-1, 2)), source="comment", edges=places)
    return replace(whole, outlines=tuple(outline for part in parts for outline in part.outlines))


def _with_blanks(edges: Floats, written: list[int], count: int) -> Floats:
    """Return edges (characters, 2) of all characters; a blank fills what lies between its neighbours."""
    places = np.empty((count, 2))
    places[written] = edges
    for index in range(count):
        if index not in written:
            following = next(other for other in written if other > index)
            last = places[index - 1, 1]
            rest = following - index
            places[index] = last, last + (places[following, 0] - last) / rest
    return places
