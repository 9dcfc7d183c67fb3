"""Printed words and numbers: how they are cleaned, split where a wide gap parts them, and read as values."""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.digitizing.scene import Box, Text

_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣-"), "-")
_LIGATURES = {ord("ﬁ"): "fi", ord("ﬂ"): "fl", ord("ﬀ"): "ff", ord("ﬃ"): "ffi", ord("ﬄ"): "ffl"}
_SPACES = re.compile(r"[\s\u00a0\u2000-\u200b\u202f\u205f\u3000]+")
_WIDE_GAP = 0.9
"""Gap between characters, as a share of their height, that parts two labels. Three blanks are wider, one is not."""
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:[, '’]\d{3})+|\d+)?(?:[.,·∙]\d+)?")
_TIME_UNITS = {
    "days": r"days?|tage?|jours?|d[ií]as",
    "weeks": r"weeks?|wks?|wochen?|semaines?|semanas?",
    "months": r"months?|mo|mos|mths?|monate?n?|mois|mes(?:es)?",
    "years": r"years?|yrs?|y|jahre?n?|ans?|ann[ée]es?|a[ñn]os?",
}


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """Hold a text that is a number.

    Attributes
    ----------
    value
        What it says; a per cent sign does not divide.
    percent
        Whether it has a per cent sign.
    text
        Where it stands.
    """

    value: float
    percent: bool
    text: Text

    @property
    def box(self) -> Box:
        return self.text.box

    @property
    def height(self) -> float:
        """Return the height of its characters, whatever its angle."""
        return character_height(self.text)


def character_height(text: Text) -> float:
    """Return the height of a text's characters across the direction of reading."""
    upright = round(text.angle / 90) % 2 == 0
    return max(text.box.height if upright else text.box.width, 1e-9)


def clean(content: str) -> str:
    """Return a text with plain dashes, blanks and letters, as names are compared."""
    plain = unicodedata.normalize("NFKC", content.translate(_LIGATURES)).translate(_DASHES)
    return _SPACES.sub(" ", plain).strip()


def number(content: str, comma: str = "thousands") -> float | None:
    """Return the number that a label says; None where it is none.

    Parameters
    ----------
    content : str
        Such as `0.2`, `.2`, `0·2`, `1,000`, `1 000`, `-5`, `50%`.
    comma : str
        What a comma before three digits means: `thousands` or `decimal`. Before other digits it is a decimal sign.
    """
    plain = clean(content).rstrip("%").strip()
    if not plain or not _NUMBER.fullmatch(plain) or not any(sign.isdigit() for sign in plain):
        return None
    plain = re.sub(r"(?<=\d)[ '’](?=\d{3})", "", plain).replace("·", ".").replace("∙", ".")
    if comma == "thousands":
        plain = re.sub(r"(?<=\d),(?=\d{3}(?:\D|$))", "", plain)
    plain = plain.replace(",", ".")
    return float(plain) if plain.count(".") <= 1 else None


def labels(texts: Iterable[Text], comma: str = "thousands") -> list[Label]:
    """Return the texts that are numbers."""
    read: list[Label] = []
    for text in texts:
        content = text.content or ""
        content = re.sub(r"(?<=\d)[-–_.]+$", "", content.strip()) if text.source == "ocr" else content
        value = number(content, comma)
        if value is not None:
            read.append(Label(value, "%" in content, text))
    return read


def parted(texts: Iterable[Text]) -> list[Text]:
    """Return texts split where a gap between their characters is wider than a word's.

    A table's row label and its first number, or all labels of an axis, may be one string of the file.
    """
    return [part for text in texts for part in _parts(text)]


def _parts(text: Text) -> Iterator[Text]:
    """Return the parts of one text."""
    content, edges = text.content, text.edges
    if content is None or edges is None or len(edges) != len(content) or len(content) < 2:
        yield text
        return
    written = [index for index, sign in enumerate(content) if not sign.isspace()]
    limit = _WIDE_GAP * _size(text)
    cuts = [
        place + 1
        for place in range(len(written) - 1)
        if edges[written[place + 1], 0] - edges[written[place], 1] > limit
    ]
    bounds = [0, *cuts, len(written)]
    for start, end in itertools.pairwise(bounds):
        yield slice_of(text, written[start], written[end - 1] + 1) if len(bounds) > 2 else text


def _size(text: Text) -> float:
    """Return the height of a text's characters; ink of small letters alone is lower than the font."""
    height = character_height(text)
    tall = any(sign.isdigit() or sign.isupper() or sign in "bdfhklt" for sign in text.content or "")
    return height if tall else height * 1.35


def slice_of(text: Text, start: int, end: int) -> Text:
    """Return some characters of a text as a text of their own."""
    assert text.content is not None and text.edges is not None
    edges = text.edges[start:end]
    low, high = float(edges.min()), float(edges.max())
    box, quarter = text.box, round(text.angle / 90) % 4
    boxes = {
        0: Box(low, box.top, high, box.bottom),
        1: Box(box.left, -high, box.right, -low),
        2: Box(-high, box.top, -low, box.bottom),
        3: Box(box.left, low, box.right, high),
    }
    return replace(text, content=text.content[start:end], box=boxes[quarter], edges=edges, outlines=())


def time_unit(title: str) -> str | None:
    """Return the unit of time that a title names: `days`, `weeks`, `months`, `years`; None where none or several."""
    words = clean(title).lower()
    units = [unit for unit, pattern in _TIME_UNITS.items() if re.search(rf"(?<![a-z])(?:{pattern})(?![a-z])", words)]
    return units[0] if len(units) == 1 else None


def middle(boxes: Iterable[Box], side: str) -> float:
    """Return the median of a side (`left`, `top`, `right`, `bottom`) of boxes."""
    return float(np.median([getattr(box, side) for box in boxes]))
