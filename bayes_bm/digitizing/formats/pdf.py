"""One page of a PDF to a scene: pdfium's own objects, forms walked with their matrices; nothing about survival."""

import ctypes
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bayes_bm.digitizing.formats.affine import IDENTITY, Matrix, after, bounds, growth, moved, overlap
from bayes_bm.digitizing.formats.paths import curve_points
from bayes_bm.digitizing.formats.turning import upright
from bayes_bm.digitizing.scene import Box, Colour, Scene, Stroke
from bayes_bm.runtime.errors import InputError

_MOST_BYTES = 200_000_000
_MOST_OBJECTS = 100_000
_MOST_SEGMENTS = 2_000_000
_MOST_DEPTH = 20
_SECONDS = 8.0
_PRECISION = 2e-4
"""pdfium keeps places as 32-bit floats: 1e-5 pt at a figure's size; programs write two to six decimals."""


@dataclass(slots=True)
class _Walk:
    """Hold what was read so far of one page."""

    path: Path
    strokes: list[Stroke] = field(default_factory=list)
    pictures: list[tuple[Box, tuple[int, int]]] = field(default_factory=list)
    symbols: dict[bytes, int] = field(default_factory=dict)
    deadline: float = 0.0
    objects: int = 0
    segments: int = 0
    paths: int = 0

    def count(self, segments: int = 0, objects: int = 1) -> None:
        """Count objects; stop where a page is made to take for ever."""
        self.objects += objects
        self.segments += segments
        if self.objects > _MOST_OBJECTS or self.segments > _MOST_SEGMENTS or time.thread_time() > self.deadline:
            raise InputError(
                str(self.path),
                found=f"a page with {self.objects:,} drawn objects and {self.segments:,} lines",
                allowed=f"at most {_MOST_OBJECTS:,} and {_MOST_SEGMENTS:,}, read within {_SECONDS:.0f} s",
                hint="cut the figure out of the page",
            )


def read_pdf(path: Path, page: int = 1) -> Scene:
    """Return everything that one page of a PDF draws, in points, as the page is looked at.

    Parameters
    ----------
    path : Path
        The file.
    page : int
        From 1.

    Returns
    -------
    Scene
        Strokes, texts and pictures; turned upright where most of its text stands on its side.

    Raises
    ------
    InputError
        Where the file is no PDF, needs a password, has no such page, or is too large.
    """
    import pypdfium2

    from bayes_bm.digitizing.formats.pdf_pictures import pictures
    from bayes_bm.digitizing.formats.pdf_text import texts

    document = _open(path)
    try:
        pages = len(document)
        if not 1 <= page <= pages:
            raise InputError(f"{path}, page {page}", found=f"{pages} pages", allowed=f"1 to {max(pages, 1)}")
        try:
            opened = document[page - 1]
        except pypdfium2.PdfiumError as error:
            raise InputError(f"{path}, page {page}", found="a page that cannot be read", hint=_SAVE) from error
        matrix, width, height = _view(opened)
        walk = _Walk(path, deadline=time.thread_time() + _SECONDS)
        _refuse_masses(walk, opened)
        _objects(walk, _of_page(opened), matrix, None, 0)
        scene = Scene(
            strokes=tuple(walk.strokes),
            texts=tuple(texts(path, document, page - 1, matrix, walk.deadline)),
            pictures=tuple(pictures(f"{path}, page {page}", opened, walk.pictures, (width, height))),
            width=width,
            height=height,
            source="pdf",
            pages=pages,
            precision=_PRECISION,
        )
    finally:
        document.close()
    return upright(scene)


_SAVE = "print the page to a new PDF"


def _open(path: Path) -> Any:
    """Return pdfium's document."""
    import pypdfium2

    if path.stat().st_size > _MOST_BYTES:
        raise InputError(
            str(path), found=f"{path.stat().st_size / 1e6:.0f} MB", allowed=f"at most {_MOST_BYTES / 1e6:.0f} MB"
        )
    with path.open("rb") as file:
        if b"%PDF" not in file.read(2048):
            raise InputError(str(path), found="a file that does not begin as PDF does", allowed="a PDF")
    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        raise InputError(
            str(path),
            found="a PDF that needs a password" if locked else "a PDF that cannot be read",
            allowed="an open PDF",
            hint=_SAVE,
        ) from error


def _view(page: Any) -> tuple[Matrix, float, float]:
    """Return the map from the page's space to its view (y down, turned by /Rotate), and the view's size."""
    import pypdfium2.raw as raw

    box = raw.FS_RECTF()
    raw.FPDF_GetPageBoundingBox(page, ctypes.byref(box))
    left, bottom, right, top = box.left, min(box.bottom, box.top), box.right, max(box.bottom, box.top)
    width, height = right - left, top - bottom
    turn = raw.FPDFPage_GetRotation(page)
    maps: list[Matrix] = [
        (1.0, 0.0, 0.0, -1.0, -left, top),
        (0.0, 1.0, 1.0, 0.0, -bottom, -left),
        (-1.0, 0.0, 0.0, 1.0, right, -bottom),
        (0.0, -1.0, -1.0, 0.0, top, right),
    ]
    return maps[turn], *((height, width) if turn % 2 else (width, height))


def _refuse_masses(walk: _Walk, page: Any) -> None:
    """Refuse a page with too many objects before any is read."""
    import pypdfium2.raw as raw

    count = raw.FPDFPage_CountObjects(page)
    if count > _MOST_OBJECTS:
        walk.count(objects=count)


def _of_page(page: Any) -> Iterator[Any]:
    """Return the objects of a page."""
    import pypdfium2.raw as raw

    return (raw.FPDFPage_GetObject(page, index) for index in range(raw.FPDFPage_CountObjects(page)))


def _objects(walk: _Walk, objects: Iterator[Any], matrix: Matrix, clip: Box | None, depth: int) -> None:
    """Read objects, and those inside forms; `matrix` maps the space in which they lie to the view."""
    import pypdfium2.raw as raw

    for item in objects:
        walk.count()
        kind = raw.FPDFPageObj_GetType(item)
        if kind == raw.FPDF_PAGEOBJ_PATH:
            walk.strokes.extend(_strokes(walk, item, matrix, overlap(clip, _clip(item, matrix))))
        elif kind == raw.FPDF_PAGEOBJ_IMAGE:
            _picture(walk, item, matrix)
        elif kind == raw.FPDF_PAGEOBJ_FORM and depth < _MOST_DEPTH:
            _form(walk, item, matrix, overlap(clip, _clip(item, matrix)), depth)


def _form(walk: _Walk, form: Any, matrix: Matrix, clip: Box | None, depth: int) -> None:
    """Read the objects of a form; small forms that draw the same get the same number."""
    import pypdfium2.raw as raw

    start = len(walk.strokes)
    inner = after(matrix, _matrix(form))
    count = raw.FPDFFormObj_CountObjects(form)
    _objects(walk, (raw.FPDFFormObj_GetObject(form, index) for index in range(count)), inner, clip, depth + 1)
    drawn = walk.strokes[start:]
    if 0 < len(drawn) <= 8 and all(stroke.symbol is None for stroke in drawn):
        places = np.concatenate([stroke.points for stroke in drawn])
        shape = np.round(places - places[0], 2) + 0.0
        number = walk.symbols.setdefault(shape.tobytes(), len(walk.symbols))
        walk.strokes[start:] = [_numbered(stroke, number) for stroke in drawn]


def _numbered(stroke: Stroke, number: int) -> Stroke:
    """Return a stroke with the number of the drawing that it is a copy of."""
    return replace(stroke, symbol=number)


def _matrix(item: Any) -> Matrix:
    """Return an object's own matrix."""
    import pypdfium2.raw as raw

    value = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(item, ctypes.byref(value)):
        return IDENTITY
    return (value.a, value.b, value.c, value.d, value.e, value.f)


def _clip(item: Any, matrix: Matrix) -> Box | None:
    """Return the rectangle around an object's clip paths."""
    import pypdfium2.raw as raw

    path = raw.FPDFPageObj_GetClipPath(item)
    box: Box | None = None
    for index in range(max(raw.FPDFClipPath_CountPaths(path), 0) if path else 0):
        count = raw.FPDFClipPath_CountPathSegments(path, index)
        segments = (raw.FPDFClipPath_GetPathSegment(path, index, place) for place in range(count))
        points = [point for _, point, _ in _read(segments)]
        if points:
            box = overlap(box, bounds(moved(matrix, points)))
    return box


def _read(segments: Iterator[Any]) -> Iterator[tuple[int, tuple[float, float], bool]]:
    """Return kind, place and closing of segments."""
    import pypdfium2.raw as raw

    x, y = ctypes.c_float(), ctypes.c_float()
    for segment in segments:
        raw.FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y))
        yield raw.FPDFPathSegment_GetType(segment), (x.value, y.value), bool(raw.FPDFPathSegment_GetClose(segment))


def _subpaths(item: Any, count: int) -> Iterator[tuple[list[tuple[float, float]], bool]]:
    """Return points and closing of an object's subpaths, curves cut into pieces."""
    import pypdfium2.raw as raw

    points: list[tuple[float, float]] = []
    controls: list[tuple[float, float]] = []
    for kind, place, closes in _read(raw.FPDFPath_GetPathSegment(item, index) for index in range(count)):
        if kind == raw.FPDF_SEGMENT_MOVETO:
            if len(points) > 1:
                yield points, False
            points = [place]
        elif kind == raw.FPDF_SEGMENT_BEZIERTO:
            controls.append(place)
            if len(controls) == 3:
                points.extend(curve_points(points[-1], *controls) if points else controls)
                controls = []
        else:
            points.append(place)
        if closes and len(points) > 1:
            yield points, True
            points = points[:1]
    if len(points) > 1:
        yield points, False


def _strokes(walk: _Walk, item: Any, matrix: Matrix, clip: Box | None) -> Iterator[Stroke]:
    """Return the subpaths of a path object."""
    import pypdfium2.raw as raw

    count = raw.FPDFPath_CountSegments(item)
    walk.count(count)
    mode, stroked = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(item, ctypes.byref(mode), ctypes.byref(stroked))
    line, seen = _colour(raw.FPDFPageObj_GetStrokeColor, item) if stroked.value else (None, 1.0)
    fill, opaque = _colour(raw.FPDFPageObj_GetFillColor, item) if mode.value else (None, 1.0)
    if line is None and fill is None:
        return
    whole = after(matrix, _matrix(item))
    width = ctypes.c_float()
    raw.FPDFPageObj_GetStrokeWidth(item, ctypes.byref(width))
    walk.paths += 1
    for points, closed in _subpaths(item, count):
        yield Stroke(
            points=moved(whole, points),
            colour=line,
            width=width.value * growth(whole),
            dash=_dash(item, growth(whole)),
            fill=fill,
            alpha=seen if line is not None else opaque,
            closed=closed,
            clip=clip,
            path=walk.paths,
        )


def _colour(getter: Any, item: Any) -> tuple[Colour | None, float]:
    """Return a colour and its opacity; None where nothing is seen."""
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    got = getter(item, ctypes.byref(red), ctypes.byref(green), ctypes.byref(blue), ctypes.byref(alpha))
    if not got or alpha.value == 0:
        return None, 0.0
    return (red.value / 255, green.value / 255, blue.value / 255), alpha.value / 255


def _dash(item: Any, scale: float) -> tuple[float, ...]:
    """Return an object's dash pattern in view units."""
    import pypdfium2.raw as raw

    count = raw.FPDFPageObj_GetDashCount(item)
    if not 0 < count <= 32:
        return ()
    values = (ctypes.c_float * count)()
    raw.FPDFPageObj_GetDashArray(item, values, count)
    dash = tuple(float(value) * scale for value in values)
    return () if sum(dash) <= 0 else dash * 2 if count % 2 else dash


def _picture(walk: _Walk, item: Any, matrix: Matrix) -> None:
    """Keep the place and size of a picture."""
    import pypdfium2.raw as raw

    columns, rows = ctypes.c_uint(), ctypes.c_uint()
    if raw.FPDFImageObj_GetImagePixelSize(item, ctypes.byref(columns), ctypes.byref(rows)):
        box = bounds(moved(after(matrix, _matrix(item)), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]))
        walk.pictures.append((box, (columns.value, rows.value)))
