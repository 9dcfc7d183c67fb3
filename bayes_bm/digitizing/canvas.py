"""A figure as a picture, whatever file it came from: what an overlay is drawn on and a reading is checked against."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_bm.digitizing.limits import check_time
from bayes_bm.digitizing.scene import Floats, Picture, Scene, Stroke, Text

LONG_SIDE = 1300
"""Pixels of the longer side of a vector figure: a line of 1 pt of a 6-inch figure is then 3 pixels wide."""
MOST_SCALE = 20.0
"""Pixels per figure unit, of tiny pages."""


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Hold a picture, bytes (rows, columns, 3), and its pixels per figure unit; both start at the top left corner."""

    pixels: NDArray[np.uint8]
    scale: float

    def place(self, points: Floats) -> Floats:
        """Return places in the picture (points, 2), in pixels, of places in figure units."""
        return np.asarray(points, float) * self.scale


def picture_canvas(pixels: NDArray[np.uint8], skew: float = 0.0) -> Canvas:
    """Return the canvas of a picture, turned back by `skew` degrees as its reading was."""
    if skew:
        from bayes_bm.digitizing.raster.calibrating import turned_back

        pixels = turned_back(pixels, skew)
    return Canvas(np.ascontiguousarray(pixels[..., :3]), 1.0)


def page_canvas(path: Path, page: int, scene: Scene) -> Canvas:
    """Return the canvas of a page of a PDF, as pdfium renders it; of an upright page whose places are the scene's."""
    import pypdfium2

    scale = _scale(scene)
    document = pypdfium2.PdfDocument(path)
    try:
        opened: Any = document[page - 1]
        rendered = opened.render(scale=scale)
        pixels = np.rot90(np.array(rendered.to_numpy()[..., :3][..., ::-1]), -scene.turned)
    finally:
        document.close()
    wanted = np.array([scene.height, scene.width]) * scale
    if np.abs(np.array(pixels.shape[:2]) - wanted).max() > 2:
        return scene_canvas(scene)
    return Canvas(pixels, scale)


def scene_canvas(scene: Scene) -> Canvas:
    """Return the canvas of a scene, drawn stroke by stroke; characters of the file in a font of matplotlib's."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.path import Path as Outline
    from matplotlib.transforms import Affine2D

    scale = _scale(scene)
    width, height = max(round(scene.width * scale), 2), max(round(scene.height * scale), 2)
    renderer = RendererAgg(width, height, 72)
    whole = renderer.new_gc()
    whole.set_linewidth(0)
    for picture in scene.pictures:
        _draw_picture(renderer, whole, picture, scale, height)
    flip = Affine2D().scale(scale, -scale).translate(0, height)
    for _, element in groupby(scene.strokes, key=lambda stroke: (stroke.path, stroke.fill)):
        check_time("lines and bands")
        strokes = list(element)  # subpaths of one element: the inner ones are holes
        parts = [_subpath(stroke.points, stroke.closed) for stroke in strokes]
        renderer.draw_path(
            _pen(renderer, strokes[0], scale, height), Outline.make_compound_path(*parts), flip, strokes[0].fill
        )
    for text in scene.texts:
        if text.outlines:
            parts = [_subpath(outline, True) for outline in text.outlines]
            renderer.draw_path(whole, Outline.make_compound_path(*parts), flip, text.colour)
        if not text.outlines and text.content:
            renderer.draw_path(whole, _letters(text), flip, text.colour)
    pixels = np.asarray(renderer.buffer_rgba()).astype(float)
    opaque = pixels[..., 3:] / 255
    return Canvas((pixels[..., :3] * opaque + 255 * (1 - opaque)).astype(np.uint8), scale)


def _subpath(points: Floats, closed: bool) -> Any:
    from matplotlib.path import Path as Outline

    return Outline(np.vstack([points, points[:1]]) if closed else points, closed=closed)


def _letters(text: Text) -> Any:
    """Return the outlines of a text's characters around the middle of its box, in figure units."""
    import warnings

    from matplotlib import rc_context
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a sign that the font lacks is an empty box
        path = TextPath((0, 0), text.content or "", size=10)
    if not len(path.vertices):
        return path
    (left, bottom), (right, top) = path.vertices.min(axis=0), path.vertices.max(axis=0)
    turned = round(text.angle / 90) % 2 == 1
    along, across = (text.box.height, text.box.width) if turned else (text.box.width, text.box.height)
    size = min(along / max(right - left, 1e-9), across / max(top - bottom, 1e-9))
    middle = Affine2D().translate(-(left + right) / 2, -(bottom + top) / 2)
    return path.transformed(middle.scale(size).rotate_deg(text.angle).scale(1, -1).translate(*text.box.centre))


def _draw_picture(renderer: Any, pen: Any, picture: Picture, scale: float, height: int) -> None:
    """Draw a picture into its box, by the nearest pixel."""
    box = picture.box
    rows, columns = max(round(box.height * scale), 1), max(round(box.width * scale), 1)
    source_row = (np.arange(rows) * picture.pixels.shape[0] // rows).astype(int)
    source_column = (np.arange(columns) * picture.pixels.shape[1] // columns).astype(int)
    shown = np.full((rows, columns, 4), 255, np.uint8)
    shown[..., :3] = picture.pixels[source_row][:, source_column, :3]
    renderer.draw_image(pen, box.left * scale, height - box.bottom * scale, shown[::-1])


def _pen(renderer: Any, stroke: Stroke, scale: float, height: int) -> Any:
    """Return the pen of a stroke: colour, width, dash and clip, in pixels."""
    from matplotlib.transforms import Bbox

    pen = renderer.new_gc()
    pen.set_antialiased(True)
    pen.set_capstyle("butt")
    pen.set_joinstyle("miter")
    pen.set_linewidth(stroke.width * scale if stroke.colour is not None else 0.0)
    pen.set_foreground(stroke.colour if stroke.colour is not None else (0.0, 0.0, 0.0))
    pen.set_alpha(stroke.alpha)
    if stroke.dash and stroke.colour is not None:
        pen.set_dashes(0, [max(length * scale, 1e-3) for length in stroke.dash])
    if stroke.clip is not None:
        clip = stroke.clip
        sides = (clip.left * scale, height - clip.bottom * scale, clip.right * scale, height - clip.top * scale)
        pen.set_clip_rectangle(Bbox.from_extents(*sides))
    return pen


def _scale(scene: Scene) -> float:
    return min(LONG_SIDE / max(scene.width, scene.height, 1.0), MOST_SCALE)
