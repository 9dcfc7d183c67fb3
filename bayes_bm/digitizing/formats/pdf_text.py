"""Characters of a PDF page: pdfium's, and pdfminer's where pdfium takes overlapping marks for bold print."""

import ctypes
import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bayes_bm.digitizing.formats.affine import IDENTITY, Matrix, bounds, moved
from bayes_bm.digitizing.scene import Colour, Floats, Text
from bayes_bm.runtime.errors import InputError

_MOST_CHARACTERS = 100_000
MARKS = frozenset("+|xX×○●◦•oO△▲□■◇◆*✕✚‑-–—ǀ∣")
"""Characters with which programs draw censor marks; pdfium drops a mark that lies on an equal one."""
_FEW_MARKS = 3
"""Signs alone on their line from which on they are marks, so that the second reader is asked."""
_WORD_GAP = 0.18
"""Gap, as a share of the font size, that stands for a blank which the file does not write."""
_JOIN_GAP = 0.9
_JOIN_OTHER = 0.42
"""Gaps, as shares of the font size, above which two characters belong to different labels: in one string of the file,
and where a new string begins, which programs that write word by word do after a blank of 0.25 to 0.35."""


@dataclass(frozen=True, slots=True, eq=False)
class Character:
    """Hold one character in the view.

    Attributes
    ----------
    sign
        The character.
    start, end
        Places of its advance along the direction of reading.
    base
        Place of its line across the direction of reading.
    origin
        Floats (2,): where its own origin lies.
    ink
        Floats (2, 2): two opposite corners of its ink.
    size
        Of the font.
    angle, colour
        As in `Text`.
    string
        Number of the file's string that it belongs to.
    """

    sign: str
    start: float
    end: float
    base: float
    origin: Floats
    ink: Floats
    size: float
    angle: float
    colour: Colour
    string: int = 0


def texts(path: Path, document: Any, index: int, matrix: Matrix, deadline: float) -> list[Text]:
    """Return the runs of text of a page; `matrix` maps the page's space to its view.

    Raises
    ------
    InputError
        Where the page has more characters than a page of print.
    """
    lines = list(_lines(list(_of_pdfium(path, document[index], matrix))))
    if sum(len(line) for line in lines if _all_marks(line)) >= _FEW_MARKS:
        lines = _with_dropped(lines, list(_of_pdfminer(path, index, matrix, deadline)))
    return [_run(line) for line in lines if not all(character.sign.isspace() for character in line)]


def _of_pdfium(path: Path, page: Any, matrix: Matrix) -> Iterator[Character]:
    """Return the characters that pdfium keeps, in the order in which the page writes them."""
    import pypdfium2.raw as raw

    layer = page.get_textpage()
    count = layer.count_chars()
    if count > _MOST_CHARACTERS:
        raise InputError(str(path), found=f"a page with {count:,} characters", allowed=f"at most {_MOST_CHARACTERS:,}")
    box = [ctypes.c_double() for _ in range(4)]
    origin = [ctypes.c_double() for _ in range(2)]
    loose, frame, channels = raw.FS_RECTF(), raw.FS_MATRIX(), [ctypes.c_uint() for _ in range(4)]
    strings: dict[int, int] = {}
    for place in range(count):
        code = raw.FPDFText_GetUnicode(layer, place)
        if raw.FPDFText_IsGenerated(layer, place) == 1 or code in (0, 0xFFFE, 0xFFFF, 13, 10):
            continue
        raw.FPDFText_GetCharBox(layer, place, *(ctypes.byref(value) for value in box))
        raw.FPDFText_GetCharOrigin(layer, place, *(ctypes.byref(value) for value in origin))
        raw.FPDFText_GetLooseCharBox(layer, place, ctypes.byref(loose))
        raw.FPDFText_GetMatrix(layer, place, ctypes.byref(frame))
        raw.FPDFText_GetFillColor(layer, place, *(ctypes.byref(value) for value in channels))
        left, right, bottom, top = (value.value for value in box)
        item = ctypes.cast(raw.FPDFText_GetTextObject(layer, place), ctypes.c_void_p).value or 0
        yield _character(
            string=strings.setdefault(item, len(strings)),
            sign=chr(code) if code < 0x110000 else "�",
            matrix=matrix,
            direction=(frame.a, frame.b),
            size=raw.FPDFText_GetFontSize(layer, place) * math.hypot(frame.c, frame.d),
            origin=(origin[0].value, origin[1].value),
            advance=[(loose.left, loose.bottom), (loose.right, loose.top)],
            ink=[(left, bottom), (right, top)],
            colour=(channels[0].value / 255, channels[1].value / 255, channels[2].value / 255),
        )


def _character(
    sign: str,
    matrix: Matrix,
    direction: tuple[float, float],
    size: float,
    origin: tuple[float, float],
    advance: list[tuple[float, float]],
    ink: list[tuple[float, float]],
    colour: Colour,
    string: int = 0,
) -> Character:
    """Return a character in the view from what is known of it in the page's space."""
    a, b, c, d, *_ = matrix
    along = (a * direction[0] + c * direction[1], b * direction[0] + d * direction[1])
    turn = math.atan2(along[1], along[0])
    ux, uy = math.cos(turn), math.sin(turn)
    ends = moved(matrix, advance) @ (ux, uy)
    place = moved(matrix, [origin])[0]
    return Character(
        sign=sign,
        start=float(ends.min()),
        end=float(ends.max()),
        base=float(place @ (-uy, ux)),
        origin=place,
        ink=moved(matrix, ink),
        size=size * abs(a * d - b * c) ** 0.5,
        angle=round(-math.degrees(turn), 1) % 360,
        colour=colour,
        string=string,
    )


def _with_dropped(lines: list[list[Character]], complete: list[Character]) -> list[list[Character]]:
    """Return runs in which runs of marks alone come from the complete reading, one run a mark.

    Pdfium drops marks; pdfminer gives no ink, which is that of a like mark that pdfium kept.
    """
    kept = [character for line in lines if _all_marks(line) for character in line]
    whole = [character for line in _lines(complete) if _all_marks(line) for character in line]
    shapes = {_look(character): character.ink - character.origin for character in kept}
    marks = kept
    if len(whole) >= len(kept):
        marks = [
            replace(character, ink=character.origin + shapes[_look(character)])
            if _look(character) in shapes
            else character
            for character in whole
        ]
    return [line for line in lines if not _all_marks(line)] + [[mark] for mark in marks if not mark.sign.isspace()]


def _all_marks(line: list[Character]) -> bool:
    """Return whether a run has nothing but signs with which marks are drawn."""
    return all(character.sign in MARKS or character.sign.isspace() for character in line)


def _look(character: Character) -> tuple[str, int, float]:
    """Return what tells that two characters are drawn alike."""
    return character.sign, round(character.size * 10), character.angle


def _of_pdfminer(path: Path, index: int, matrix: Matrix, deadline: float) -> Iterator[Character]:
    """Return every character that pdfminer reads on a page; none where it cannot read the file."""
    from pdfminer.converter import PDFPageAggregator
    from pdfminer.layout import LTChar
    from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager
    from pdfminer.pdfpage import PDFPage
    from pdfminer.psexceptions import PSException

    class Watched(PDFPageAggregator):
        """Stop when the time is up."""

        def render_char(self, *args: Any, **kwargs: Any) -> float:
            if time.thread_time() > deadline:
                raise InputError(str(path), found="a page whose text takes too long", hint="cut the figure out of it")
            return super().render_char(*args, **kwargs)

    manager = PDFResourceManager()
    device = Watched(manager, laparams=None)
    try:
        with path.open("rb") as file:
            page = next(PDFPage.get_pages(file, pagenos={index}, maxpages=index + 1, check_extractable=False))
            device.begin_page(page, IDENTITY)
            PDFPageInterpreter(manager, device).render_contents(page.resources, page.contents, ctm=IDENTITY)
            device.end_page(page)
    except (PSException, StopIteration, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return
    for item in _inside(device.get_result()):
        if isinstance(item, LTChar) and len(item.get_text()) == 1:
            yield _character(
                sign=item.get_text(),
                matrix=matrix,
                direction=(item.matrix[0], item.matrix[1]),
                size=getattr(item, "fontsize", item.size),
                origin=(item.matrix[4], item.matrix[5]),
                advance=[(item.x0, item.y0), (item.x1, item.y1)],
                ink=[(item.x0, item.y0), (item.x1, item.y1)],
                colour=_rgb(item.graphicstate.ncolor),
            )


def _inside(item: Any) -> Iterator[Any]:
    """Return everything inside a layout."""
    for child in getattr(item, "_objs", ()):
        yield child
        yield from _inside(child)


def _rgb(value: Any) -> Colour:
    """Return a colour that pdfminer gives as grey, RGB or CMYK."""
    channels = [float(channel) for channel in (value if isinstance(value, (tuple, list)) else [value or 0.0])
                if isinstance(channel, (int, float))]  # fmt: skip
    if len(channels) == 4:
        cyan, magenta, yellow, black = channels
        return tuple((1 - channel) * (1 - black) for channel in (cyan, magenta, yellow))  # type: ignore[return-value]
    if len(channels) == 3:
        return (channels[0], channels[1], channels[2])
    grey = channels[0] if channels else 0.0
    return (grey, grey, grey)


def _lines(characters: list[Character]) -> Iterator[list[Character]]:
    """Return the characters by run: what follows on the same line without a wide gap."""
    line: list[Character] = []
    for character in characters:
        if line and not _follows(line[-1], character):
            yield line
            line = []
        line.append(character)
    if line:
        yield line


def _follows(last: Character, character: Character) -> bool:
    """Return whether a character continues the run of the last one."""
    size = max(last.size, 1e-6)
    reach = _JOIN_GAP if character.string == last.string else _JOIN_OTHER
    return (
        character.angle == last.angle
        and character.colour == last.colour
        and abs(character.size - size) < 0.05 * size
        and abs(character.base - last.base) < 0.1 * size
        and -0.5 * size < character.start - last.end < reach * size
    )


def _run(line: list[Character]) -> Text:
    """Return a run as a text, with a blank where a gap stands for one."""
    signs, edges = [line[0].sign], [(line[0].start, line[0].end)]
    for previous, character in itertools.pairwise(line):
        gap = character.start - previous.end
        if gap > _WORD_GAP * previous.size and not (previous.sign.isspace() or character.sign.isspace()):
            signs.append(" ")
            edges.append((previous.end, character.start))
        signs.append(character.sign)
        edges.append((character.start, character.end))
    content = "".join(signs)
    inked = [character.ink for character in line if not character.sign.isspace()] or [line[0].ink]
    blank = len(content) - len(content.lstrip())
    content = content.strip()
    return Text(
        content=content,
        box=bounds(np.concatenate(inked)),
        angle=line[0].angle,
        colour=line[0].colour,
        source="text",
        edges=np.array(edges)[blank : blank + max(len(content), 1)],
    )
