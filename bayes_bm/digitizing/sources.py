"""Which reader a file goes to: vector files to that of scenes, pictures and pages of nothing else to that of pixels."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayes_bm.digitizing.calibration import Calibration
from bayes_bm.digitizing.canvas import Canvas, page_canvas, picture_canvas, scene_canvas
from bayes_bm.digitizing.figure import FigureReading, Finding
from bayes_bm.digitizing.limits import time_limit
from bayes_bm.digitizing.scene import Box, Scene, Text
from bayes_bm.runtime.errors import InputError

VECTORS = (".svg", ".pdf")
PAGED = (".pdf", ".tif", ".tiff")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
OTHERS = {
    ".eps": "print it to PDF (epstopdf figure.eps)",
    ".ps": "print it to PDF (ps2pdf figure.ps)",
    ".gif": "save it as PNG",
    ".docx": "save the picture inside it, or print the page to PDF",
    ".svgz": "unpack it (gunzip -S .svgz figure.svgz)",
}
"""Endings that people try, and what to do."""
MOST_PAGES = 60
"""Pages of a PDF that are looked through for curves."""
SECONDS = 5.0
"""Longest time that pages are looked through."""
VECTOR_SECONDS = 3.0
"""Longest analysis of what a page draws, in CPU seconds; figures of journals take 0.02 to 0.4."""
LETTER, LETTERS = 0.05, 8
"""Size of a letter as a share of the page, at most; how many make it worth while to read them: two axes have more."""
FEW_STROKES = 6
"""Strokes up to which a page with a picture is a picture: a frame, a rule, a line beside the page number."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Hold a reading and how its figure is made a picture."""

    reading: FigureReading
    canvas: Callable[[], Canvas]


def read_figure(path: Path, given: Calibration | None, page: int | None, panel: int | None) -> Source:
    """Return the reading of a figure's file.

    Raises
    ------
    InputError
        If the file is of no kind that is read, is absent, or is broken.
    """
    ending = path.suffix.lower()
    if ending not in (*VECTORS, *PICTURES):
        allowed = ", ".join((*VECTORS, *PICTURES))
        hint = OTHERS.get(ending, "save the figure as one of these")
        raise InputError(str(path), found=f"a file that ends in {ending or 'nothing'}", allowed=allowed, hint=hint)
    if not path.is_file():
        raise InputError(str(path), found="a folder" if path.is_dir() else "no such file", allowed="a figure's file")
    if page not in (None, 1) and ending not in PAGED:
        raise InputError("--page", found=page, allowed="1: this file has one page")
    if ending in PICTURES:
        pictures = import_module("bayes_bm.digitizing.formats.pictures")
        return _read_pixels(pictures.read_picture(path, page=page or 1), given, panel)
    if ending == ".svg":
        scene = import_module("bayes_bm.digitizing.formats.svg").read_svg(path)
        return _read_scene(scene, given, panel, lambda: scene_canvas(scene))
    return _read_pdf(path, given, page, panel)


def _read_pixels(pixels: NDArray[np.uint8], given: Calibration | None, panel: int | None) -> Source:
    read: FigureReading = import_module("bayes_bm.digitizing.raster.read").read_pixels(pixels, given, panel)
    reading = replace(read, pixels=True)
    skew = reading.panel.skew if reading.panel is not None else 0.0
    return Source(reading, lambda: picture_canvas(pixels, skew))


def _read_scene(
    scene: Scene, given: Calibration | None, panel: int | None, canvas: Callable[[], Canvas], outlines: bool = True
) -> Source:
    """Return the reading of a scene; of its largest picture where it holds little else.

    `outlines`: where no axis is labelled, whether filled shapes are read as letters.
    """
    largest = max(scene.pictures, key=lambda picture: picture.box.width * picture.box.height, default=None)
    if largest is not None and len(scene.strokes) <= FEW_STROKES:
        return _read_pixels(largest.pixels, given, panel)
    read_scene = import_module("bayes_bm.digitizing.vector").read_scene
    with time_limit(VECTOR_SECONDS):
        reading: FigureReading = read_scene(scene, given, panel)
    if not reading.arms and largest is not None:
        return _read_pixels(largest.pixels, given, panel)
    if outlines and reading.panel is None and not reading.panels and _may_hold_letters(scene):
        with_texts = _recognised(scene, canvas())
        with time_limit(VECTOR_SECONDS):
            reading = read_scene(with_texts, given, panel)
    return Source(reading, canvas)


def _may_hold_letters(scene: Scene) -> bool:
    """Return whether a scene has small filled shapes enough to be the letters of two axes."""
    largest = LETTER * max(scene.width, scene.height)
    filled = [stroke for stroke in scene.strokes if stroke.fill is not None]
    return sum(float(np.ptp(stroke.points, axis=0).max()) < largest for stroke in filled) >= LETTERS


def _recognised(scene: Scene, canvas: Canvas) -> Scene:
    """Return a scene with the texts that a picture of it shows: Illustrator makes letters outlines of nothing."""
    read_texts = import_module("bayes_bm.digitizing.raster.ocr").read_texts
    texts = [_in_units(text, canvas.scale) for text in read_texts(np.ascontiguousarray(canvas.pixels))]
    return replace(scene, texts=(*scene.texts, *texts))


def _in_units(text: Text, scale: float) -> Text:
    """Return a text of the picture in figure units."""
    box = text.box
    sides = Box(box.left / scale, box.top / scale, box.right / scale, box.bottom / scale)
    return replace(text, box=sides, edges=None if text.edges is None else text.edges / scale)


def _read_pdf(path: Path, given: Calibration | None, page: int | None, panel: int | None) -> Source:
    """Return the reading of one page; where none is named, of the first on which there are curves."""
    first, pages = _read_page(path, page or 1, given, panel, outlines=page is not None)
    if page is not None:
        return first
    if pages == 1:
        return first if first.reading.arms else _read_page(path, 1, given, panel)[0]
    deadline = time.perf_counter() + SECONDS
    looked_at, sources = 1, [first] if first.reading.arms else []
    for number in range(2, min(pages, MOST_PAGES) + 1):
        if time.perf_counter() > deadline:
            break
        looked_at = number
        with suppress(InputError):  # a page that cannot be read has no curve
            source, _ = _read_page(path, number, given, panel, outlines=False)
            sources += [source] if source.reading.arms else []
    if not sources:
        words = f"{looked_at} of {pages} pages were looked through: none has a curve"
        raise InputError(str(path), found=words, hint="say which page holds the figure: --page N")
    return _told_of_pages(sources, looked_at, pages)


def _read_page(
    path: Path, number: int, given: Calibration | None, panel: int | None, outlines: bool = True
) -> tuple[Source, int]:
    """Return the reading of a page and the number of pages."""
    scene = import_module("bayes_bm.digitizing.formats.pdf").read_pdf(path, number)
    source = _read_scene(scene, given, panel, lambda: page_canvas(path, number, scene), outlines)
    return replace(source, reading=replace(source.reading, page=number)), scene.pages


def _told_of_pages(sources: list[Source], looked_at: int, pages: int) -> Source:
    """Return the first source, with a question where other pages have curves too or were not looked at."""
    numbers = [source.reading.page for source in sources]
    chosen = sources[0].reading
    words = f"Page {numbers[0]} of {pages} was read"
    if len(numbers) > 1:
        listed = ", ".join(map(str, numbers))
        asked = Finding("several_pages", "question", f"{words}; curves are on pages {listed}.", f"page = {numbers[0]}")
    elif looked_at < pages:
        asked = Finding(
            "several_pages",
            "question",
            f"{words}; pages from {looked_at + 1} were not looked at.",
            f"page = {numbers[0]}",
        )
    else:
        asked = Finding("page", "note", f"{words}: the only one with curves.")
    return replace(sources[0], reading=replace(chosen, findings=(*chosen.findings, asked)))
