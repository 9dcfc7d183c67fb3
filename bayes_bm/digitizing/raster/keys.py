"""Keys of a legend: short strokes, solid or dashed, or patches, that stand alone before words."""

import re
from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.labels import character_height, clean, number
from bayes_bm.digitizing.raster.ink import Array, Mask, Pixels, Run, distance, joined, paper_colour, runs
from bayes_bm.digitizing.scene import Box, Text

_REACH = 7.0
"""How far left of its words a key may begin, in heights of the characters."""
_WIDEST_DASH_GAP = 1.15
"""Gap between the dashes of a key, in heights of the characters: ggplot2 reaches 0.95."""
_LEAST_GAP = 0.35
"""Gap between a key and its words, in heights of the characters, at least: 91 keys of five programs left 0.7 and more,
letters that recognition has cut off a word 0.15."""
_THICK, _THIN = 4.0, 0.6
"""Pixels from which a key's line is thicker than the arms of its mark, and the share of it below which they are."""
_NO_NAME = re.compile(
    r"^(p|hr|n|log[- ]?rank|hazard ratio|median|logrank|(no\.?|number) at risk|strata)\b(?! group)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnKey:
    """Hold a key of a legend as it is drawn.

    Attributes
    ----------
    colour
        Floats (3,), 0 to 255.
    kind
        `solid`, `dashed`, `dotted` or `patch`.
    box
        Of its ink.
    text
        The words behind it.
    mark
        Half the height of a censor mark on the key, in pixels; 0 where there is none.
    stroke
        Length of its longest dash in pixels; 0 where it has none, or marks hide them.
    """

    colour: Array
    kind: str
    box: Box
    text: Text
    mark: float
    stroke: float = 0.0

    @property
    def name(self) -> str:
        return clean(self.text.content or "")


def legend_keys(pixels: Pixels, texts: tuple[Text, ...], others: tuple[Text, ...]) -> list[DrawnKey]:
    """Return the keys before words, from top to bottom and from left to right.

    Parameters
    ----------
    pixels
        Bytes (rows, columns, 3).
    texts
        Words that may be names.
    others
        Everything printed, which is no key.
    """
    printed = text_mask(pixels.shape[:2], tuple(text for text in others if is_print(text)), 1)
    keys = [key for text in texts if _may_name(text) and (key := _key(pixels, printed, text)) is not None]
    return _in_lines(_one_each(keys))


def _in_lines(keys: list[DrawnKey]) -> list[DrawnKey]:
    """The keys line by line, each line from left to right; the marks of some reach further down than others'."""
    lines: list[list[DrawnKey]] = []
    for key in sorted(keys, key=lambda key: key.text.box.centre[1]):
        tall = character_height(key.text)
        if lines and key.text.box.centre[1] - lines[-1][0].text.box.centre[1] < 0.5 * tall:
            lines[-1].append(key)
        else:
            lines.append([key])
    return [key for line in lines for key in sorted(line, key=lambda key: key.box.left)]


def text_mask(shape: tuple[int, ...], texts: tuple[Text, ...], pad: int) -> Mask:
    """Return the pixels (rows, columns) inside the boxes of texts, `pad` pixels around them included."""
    mask = np.zeros(shape[:2], bool)
    for text in texts:
        box = text.box
        top, left = max(int(box.top) - pad, 0), max(int(box.left) - pad, 0)
        mask[top : int(box.bottom) + pad + 1, left : int(box.right) + pad + 1] = True
    return mask


def is_print(text: Text) -> bool:
    """Return whether a text is more than a mark or a piece of a line that recognition took for a sign."""
    signs = sum(sign.isalnum() for sign in text.content or "")
    return signs >= 3 or (signs == 2 and text.confidence > 0.8)


def _may_name(text: Text) -> bool:
    content = clean(text.content or "")
    letters = sum(sign.isalnum() for sign in content)
    return abs(text.angle) < 1 and letters > 0 and number(content) is None and not _NO_NAME.match(content)


def _one_each(keys: list[DrawnKey]) -> list[DrawnKey]:
    """The keys of the largest group that shares a left side or a line of print, or all where they are two kinds."""
    best: list[DrawnKey] = []
    for key in keys:
        tall = character_height(key.text)
        column = [other for other in keys if abs(other.box.left - key.box.left) < 0.8 * tall]
        row = [other for other in keys if abs(other.box.centre[1] - key.box.centre[1]) < 0.6 * tall]
        best = max(best, column, row, key=len)
    return best


def _key(pixels: Pixels, printed: Mask, text: Text) -> DrawnKey | None:
    tall = character_height(text)
    box = text.box
    left = max(int(box.left - _REACH * tall), 0)
    right = int(box.left - 0.1 * tall)
    middle = box.centre[1]
    top, bottom = max(int(middle - 0.75 * tall), 0), int(middle + 0.75 * tall) + 1
    if right - left < 4 or bottom - top < 4:
        return None
    piece = pixels[top:bottom, left:right]
    vicinity = piece[:, -int(min(2.5 * tall, right - left)) :]
    far = distance(piece, paper_colour(pixels[top:bottom, left : int(box.right) + int(tall)]))
    for line in runs((far > 30).mean(axis=0) > 0.95):
        if line.length <= 0.35 * tall and not _crossed(far, line):  # an axis line beside the legend
            far[:, line.start : line.end] = 0.0
    far[printed[top:bottom, left:right]] = 0.0
    peak = float(far[:, -vicinity.shape[1] :].max())
    if peak < 40:
        return None
    mask = far > max(30.0, 0.35 * peak)
    run, row = _longest_row(mask, tall)
    if run is None or box.left - (left + run.end) < _LEAST_GAP * tall:
        return None
    return _described(piece, far, mask, run, row, text, (left, top))


def _crossed(far: Array, line: Run) -> bool:
    """Whether ink runs through an upright line from side to side: it is a censor mark, taller than the print."""
    beside = far[:, [max(line.start - 2, 0), min(line.end + 1, far.shape[1] - 1)]]
    return bool((beside > 60.0).all(axis=1).any())


def _full_colour(piece: Pixels, far: Array) -> Array:
    """Colour (3,) of a key: of the row furthest from the paper in each column, for the edges of a line are paler.

    `far` is the distance of each pixel (rows, columns) from the paper, 0 where there is no ink.
    """
    inked = np.flatnonzero(far.max(axis=0) > 0.0)
    return np.median(piece[far[:, inked].argmax(axis=0), inked], axis=0).astype(float)


def _longest_row(mask: Mask, tall: float) -> tuple[Run | None, int]:
    """The last stroke along the row with most ink, and that row."""
    best, best_row, best_ink = None, 0, 0
    for row in range(mask.shape[0]):
        pieces = joined(runs(mask[row]), _WIDEST_DASH_GAP * tall)
        if not pieces:
            continue
        last = pieces[-1]
        ink = int(mask[row, last.start : last.end].sum())
        fits = tall <= last.length <= 6.2 * tall and mask.shape[1] - last.end <= 2.6 * tall
        if fits and last.start >= 2 and ink > best_ink:
            best, best_row, best_ink = last, row, ink
    if best is None or best_ink < 0.3 * best.length:
        return None, 0
    return best, best_row


def _described(
    piece: Pixels, far: Array, mask: Mask, run: Run, row: int, text: Text, corner: tuple[int, int]
) -> DrawnKey | None:
    """A key from the pixels (rows, columns) of its surroundings; None where it is no stroke and no patch."""
    tall = character_height(text)
    part = mask[:, run.start : run.end]
    heights = part.sum(axis=0)
    filled = heights[heights > 0]
    thick = float(np.median(filled))
    line = part[max(row - 1, 0) : row + 2].any(axis=0)
    if thick >= _THICK:  # between dashes the arms of a plus are thinner than the line
        line &= heights >= _THIN * thick
    breaks = [gap for gap in runs(~line) if gap.length >= 2]
    patch = thick > 0.5 * tall
    if patch and (breaks or float(part.mean()) < 0.5):
        return None
    strokes = runs(line)
    kind = "patch" if patch else "solid"
    if len(breaks) >= 1 and not patch:
        longest = max(stroke.length for stroke in strokes)
        kind = "dotted" if len(strokes) >= 4 and longest <= 2.2 * thick else "dashed"
    colour = _full_colour(piece[:, run.start : run.end], np.where(part, far[:, run.start : run.end], 0.0))
    tallest = float(heights.max())
    mark = tallest / 2 if not patch and tallest > 2.2 * thick and tallest > thick + 4 else 0.0
    rows = np.flatnonzero(part.any(axis=1))
    left, top = corner
    box = Box(left + run.start, top + int(rows[0]), left + run.end, top + int(rows[-1]) + 1)
    dashes = [
        stroke.length
        for stroke in strokes  # arms of a mark would lengthen the dashes of a thin line
        if thick >= _THICK or heights[stroke.start : stroke.end].max() <= 2.2 * thick
    ]
    return DrawnKey(colour, kind, box, text, mark, float(max(dashes, default=0)) if breaks else 0.0)
