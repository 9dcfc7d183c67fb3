"""Recognition of text: the page once for the places, each place at full size for the characters."""

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayes_bm.digitizing.raster.ink import Mask, Pixels, ink_colour, ink_mask, joined, runs
from bayes_bm.digitizing.raster.libraries import library, opencv, recogniser
from bayes_bm.digitizing.scene import Box, Floats, Text

_PAGE_SIDE = 1200
"""Pixels of the long side when the page is searched for text: more cost time and show no more text."""
_LEAST_CONFIDENCE = 0.5
"""A reading below this is no text: grid lines and marks are read with less."""
_TALL = 1.15
"""Height over width from which a piece may be text that runs upwards."""
_WORD_GAP = 0.9
"""Gap over height of the ink from which two pieces of text are two labels."""
_KEY_GAP = 0.6
"""Gap over height of the ink between a key and words: blanks reach 0.45, ggplot2 leaves 0.75."""
_FLAT = 0.3
"""Height of a key's line over that of the characters, at most."""
_MARKED = 0.35
"""Share of a key's ink, along it, above or below which its mark stands, at most."""
_TICK = 0.26
"""Thickness of a tick stroke over the height of the label beside it, at most."""
_BESIDE_KEY = 0.6
"""Share of a solid key's columns above or below whose line there is ink, at most."""
_UPRIGHT, _LEAST_LETTERS, _LEAST_PRINT, _MOST_PRINT = 0.9, 3, 0.4, 0.85
"""Share of the height of all ink from which a column is a censor mark's bar; letters beside it that are needed to
measure their height, and the least and the largest share that it is of the mark's."""
_ONE_LINE, _IN_WORD = 0.7, 0.25
"""Share of the taller one's height that two pieces of one word share, and gap over height between its characters."""
_TRAILING = re.compile(r"(?<=[\d%])\s*[-–—_.,'’:]+$")
_LEADING = re.compile(r"^[-–—_]\s*(?=[\d]+([.,]\d+)?%?$)(?=0|1\.0|100)")


@dataclass(frozen=True, slots=True)
class Region:
    """Hold where a text stands: columns left to right, rows top to bottom (whole pixels, ends excluded)."""

    left: int
    top: int
    right: int
    bottom: int
    turned: bool = False

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


def read_texts(pixels: Pixels) -> tuple[Text, ...]:
    """Read all texts of a page.

    Parameters
    ----------
    pixels
        Bytes (rows, columns, 3), sRGB.
    """
    regions = [piece for place in _places(pixels) for piece in _pieces(pixels, place)]
    return read_regions(pixels, _rejoined(pixels, regions))


def read_regions(pixels: Pixels, regions: list[Region]) -> tuple[Text, ...]:
    """Read the text of each region; a tall one both upright and turned, of which the surer reading counts."""
    ways: list[tuple[int, bool]] = []
    for index, region in enumerate(regions):
        if region.height <= 2.2 * region.width:
            ways.append((index, False))
        if region.height >= _TALL * region.width:
            ways.append((index, True))
    crops = [_crop(pixels, regions[index], turned) for index, turned in ways]
    best: dict[int, Text] = {}
    for (index, turned), (content, confidence) in zip(ways, _recognise(crops), strict=True):
        content = _tidy(content)
        if not content or confidence < _LEAST_CONFIDENCE:
            continue
        if index not in best or confidence > best[index].confidence:
            best[index] = _text(pixels, replace(regions[index], turned=turned), content, confidence)
    return tuple(best[index] for index in sorted(best))


def recognise_outlines(texts: tuple[Text, ...]) -> tuple[Text, ...]:
    """Return the texts with the characters of those that have outlines alone, equal outlines read once."""
    images: dict[tuple[float, ...], Pixels] = {}
    keys: list[tuple[float, ...] | None] = []
    for text in texts:
        key = _shape_key(text) if text.content is None and text.outlines else None
        keys.append(key)
        if key is not None and key not in images:
            images[key] = _filled(text)
    readings = dict(zip(images, _recognise(list(images.values())), strict=True))
    return tuple(
        text if key is None else _recognised(text, *readings[key]) for text, key in zip(texts, keys, strict=True)
    )


def _recognised(text: Text, content: str, confidence: float) -> Text:
    if not content:
        return text
    return replace(text, content=content.strip(), confidence=confidence, source="ocr")


def _places(pixels: Pixels) -> list[Region]:
    """Where text stands, in pixels of the full picture."""
    cv2 = opencv()
    scale = min(_PAGE_SIDE / max(pixels.shape[:2]), 3.0)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    page = cv2.resize(pixels[:, :, ::-1], None, fx=scale, fy=scale, interpolation=way)
    outcome = recogniser()._load_det_model()(np.ascontiguousarray(page))
    if outcome.boxes is None:
        return []
    rows, columns = pixels.shape[:2]
    result = []
    for corners in np.asarray(outcome.boxes, float) / scale:
        left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)), [columns, rows]).astype(int)
        if right - left >= 3 and bottom - top >= 3:
            result.append(Region(int(left), int(top), int(right), int(bottom)))
    return result


def _pieces(pixels: Pixels, place: Region) -> list[Region]:
    """A place cut where wide gaps or strokes of a legend's key part its labels."""
    turned = place.height > 1.8 * place.width
    mask = _without_lines(ink_mask(pixels[place.top : place.bottom, place.left : place.right]))
    along = mask.T if turned else mask
    height = _print_height(along)
    if height < 3:
        return []
    strokes = runs(along.any(axis=0))
    keys = [
        part for part in joined(strokes, _KEY_GAP * height) if _is_dashed_key(along[:, part.start : part.end], height)
    ]
    words = [
        run
        for run in strokes
        if not _is_key(along[:, run.start : run.end], height)
        and not any(key.start <= run.start < key.end for key in keys)
    ]
    pieces = joined(words, _WORD_GAP * height)
    pad = max(2, round(0.25 * height))
    regions = []
    for piece in pieces:
        start, end = max(0, piece.start - pad), min(along.shape[1], piece.end + pad)
        if turned:
            regions.append(Region(place.left, place.top + start, place.right, place.top + end, True))
        else:
            regions.append(Region(place.left + start, place.top, place.left + end, place.bottom))
    return regions


def _rejoined(pixels: Pixels, regions: list[Region]) -> list[Region]:
    """The regions with those made one that the search has parted between two characters of a word, as at `_`."""
    result: list[Region] = []
    for region in regions:
        pairs = [(index, sorted((other, region), key=lambda one: one.left)) for index, other in enumerate(result)]
        index = next((index for index, (one, two) in pairs if _one_word(pixels, one, two)), len(result))
        result[index : index + 1] = [_around(result[index], region) if index < len(result) else region]
    return result


def _around(one: Region, two: Region) -> Region:
    top, bottom = min(one.top, two.top), max(one.bottom, two.bottom)
    return Region(min(one.left, two.left), top, max(one.right, two.right), bottom)


def _one_word(pixels: Pixels, one: Region, two: Region) -> bool:
    """Whether the characters of a region follow those of another, further left, without a blank."""
    tall = min(one.height, two.height)
    shared = min(one.bottom, two.bottom) - max(one.top, two.top)
    apart = two.left - one.right
    if (
        one.turned
        or two.turned
        or shared < _ONE_LINE * max(one.height, two.height)
        or not -tall < apart < _IN_WORD * tall
    ):
        return False
    whole = _around(one, two)
    mask = ink_mask(pixels[whole.top : whole.bottom, whole.left : whole.right])
    strokes = runs(_without_lines(mask).any(axis=0))
    height = _print_height(mask)
    border = (one.right + two.left) / 2 - whole.left
    words = [word for word in joined(strokes, _IN_WORD * height) if word.start < border - tall / 4]
    return bool(words) and words[-1].end > border + tall / 4


def _without_lines(mask: Mask) -> Mask:
    """The ink (rows, columns) without an axis line that runs through the region near one of its sides."""
    rows, columns = mask.shape
    result = mask.copy()
    for part, length in ((result, rows), (result.T, columns)):
        crossing = part.mean(axis=1) > 0.95
        places = np.arange(length)
        crossing &= (places < 0.25 * length) | (places >= 0.75 * length)
        part[crossing] = False
    return result


def _ink_height(mask: Mask) -> int:
    filled = np.flatnonzero(mask.any(axis=1))
    return 0 if len(filled) == 0 else int(filled[-1] - filled[0] + 1)


def _print_height(mask: Mask) -> int:
    """Height of the ink (rows, columns); of letters alone where censor marks of keys stick out above and below them."""
    tall = _ink_height(mask)
    bars = mask.sum(axis=0) >= _UPRIGHT * tall
    letters = [run for run in runs(mask.any(axis=0)) if not bars[run.start : run.end].any()]
    if tall < 3 or len(letters) < _LEAST_LETTERS or not bars.any():
        return tall
    every = np.flatnonzero(mask.any(axis=1))
    rows = np.flatnonzero(np.any([mask[:, run.start : run.end].any(axis=1) for run in letters], axis=0))
    inner = int(rows[-1] - rows[0] + 1)
    beyond = rows[0] > every[0] and rows[-1] < every[-1]
    return inner if beyond and _LEAST_PRINT * tall <= inner <= _MOST_PRINT * tall else tall


def _is_key(mask: Mask, height: int) -> bool:
    """Whether a run of ink (rows, columns) is a stroke of a legend: long, a line through it and little beside that.

    Letters and digits that a blurred picture joins are long too, and one of their rows may be inked from side to side.
    """
    if mask.shape[1] <= 1.3 * height:
        return False
    through = np.flatnonzero(mask.mean(axis=1) > 0.92)
    if len(through) == 0:
        return False
    beside = np.r_[mask[: max(through[0] - 1, 0)], mask[through[-1] + 2 :]].any(axis=0)
    return float(beside.mean()) < _BESIDE_KEY


def _is_dashed_key(mask: Mask, height: int) -> bool:
    """Whether a piece between wide gaps (rows, columns) is a dashed key: a line through its middle, and a mark at most.

    Digits with serifs are thin too, but stand on the line that they share, and reach far above it.
    """
    along, rows = mask.sum(axis=1), np.flatnonzero(mask.any(axis=1))
    inked = mask[:, mask.any(axis=0)]
    if mask.shape[1] <= 0.8 * height or float(along.max()) <= 0.9 * inked.shape[1]:
        return False
    through = np.flatnonzero(along >= 0.9 * along.max())
    middle = (float(through.mean()) - rows[0] + 0.5) / (rows[-1] - rows[0] + 1)
    pale = np.flatnonzero(along < 0.5 * along.max())  # the line is as thick as its rows have half of its ink
    first = int(pale[pale < through[0]].max(initial=-1)) + 1
    last = int(pale[pale > through[-1]].min(initial=len(along))) - 1
    beside = np.r_[inked[: max(first - 1, 0)], inked[last + 2 :]].any(axis=0)
    band = through[-1] - through[0] + 1 <= _FLAT * height
    return bool(band and 0.2 < middle < 0.8 and beside.mean() < _MARKED)


def _crop(pixels: Pixels, region: Region, turned: bool) -> Pixels:
    piece = pixels[region.top : region.bottom, region.left : region.right, ::-1]
    return np.ascontiguousarray(np.rot90(piece, -1) if turned else piece)


def _recognise(crops: list[Pixels]) -> list[tuple[str, float]]:
    """Characters and confidence of each crop (rows, columns, BGR)."""
    if not crops:
        return []
    inputs: Any = library("rapidocr.ch_ppocr_rec").TextRecInput(img=crops, return_word_box=False)
    outcome = recogniser()._load_rec_model()(inputs)
    return [(str(content), float(score)) for content, score in zip(outcome.txts, outcome.scores, strict=True)]


def _tidy(content: str) -> str:
    """A reading without the tick stroke that looks like a dash."""
    content = content.strip()
    content = _TRAILING.sub("", content)
    return _LEADING.sub("", content).strip()


def _text(pixels: Pixels, region: Region, content: str, confidence: float) -> Text:
    piece = pixels[region.top : region.bottom, region.left : region.right]
    mask = _without_lines(ink_mask(piece))
    left, top, right, bottom = _tight(mask, region)
    return Text(
        content=content,
        box=Box(left, top, right, bottom),
        angle=90.0 if region.turned else 0.0,
        colour=ink_colour(piece, mask),
        source="ocr",
        confidence=confidence,
    )


def _tight(mask: Mask, region: Region) -> tuple[float, float, float, float]:
    """The box of the ink; a thin run at the right end, apart from the characters, is a tick stroke and left out."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if len(columns) == 0:
        return region.left, region.top, region.right, region.bottom
    if not region.turned:
        height = rows[-1] - rows[0] + 1
        strokes = [run for run in runs(mask.any(axis=0)) if not _is_tick(mask[:, run.start : run.end], height)]
        if strokes:
            kept = mask[:, strokes[0].start : strokes[-1].end].any(axis=1)
            rows = np.flatnonzero(kept)
            columns = np.array([strokes[0].start, strokes[-1].end - 1])
    return (
        float(region.left + columns[0]),
        float(region.top + rows[0]),
        float(region.left + columns[-1] + 1),
        float(region.top + rows[-1] + 1),
    )


def _is_tick(mask: Mask, height: int) -> bool:
    """Whether a run of ink touches the edge of its region and is flat: a tick stroke beside a label."""
    filled = np.flatnonzero(mask.any(axis=1))
    return len(filled) > 0 and filled[-1] - filled[0] + 1 <= _TICK * height and mask.shape[1] >= 0.3 * height


def _upright(text: Text) -> list[Floats]:
    """The outlines as if the text were read from left to right."""
    if abs(text.angle) < 45:
        return list(text.outlines)
    sign = 1.0 if text.angle > 0 else -1.0
    return [np.column_stack([-sign * outline[:, 1], sign * outline[:, 0]]) for outline in text.outlines]


def _extent(outlines: list[Floats]) -> tuple[Floats, Floats]:
    points = np.concatenate(outlines)
    return points.min(axis=0), points.max(axis=0)


def _shape_key(text: Text) -> tuple[float, ...]:
    """Numbers that equal texts share wherever they stand: places relative to the corner, to a 50th of the height."""
    outlines = _upright(text)
    low, high = _extent(outlines)
    unit = max(float(high[1] - low[1]), 1e-9) / 50.0
    return tuple(np.rint((np.concatenate(outlines) - low) / unit).ravel().tolist())


def _filled(text: Text) -> Pixels:
    """The outlines as black ink on white, 34 pixels high with a margin (rows, columns, 3)."""
    cv2 = opencv()
    outlines = _upright(text)
    low, high = _extent(outlines)
    scale = 34.0 / max(float(high[1] - low[1]), 1e-9)
    columns, rows = np.ceil((high - low) * scale).astype(int) + 28
    image = np.full((int(rows), int(min(columns, 4000)), 3), 255, np.uint8)
    shift = 4
    corners = [np.rint(((line - low) * scale + 14) * 2**shift).astype(np.int32) for line in outlines]
    cv2.fillPoly(image, corners, (0, 0, 0), lineType=cv2.LINE_AA, shift=shift)
    return image
