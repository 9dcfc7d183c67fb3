"""A figure as a picture, whatever file it came from: what an overlay is drawn on and a reading is checked against."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_bm.digitizing.scene import Floats, Scene

LONG_SIDE = 1800
"""Pixels of the longer side of a vector figure: a line of 1 pt of a 6-inch figure is then 4 pixels wide."""
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
    if abs(skew) < 1e-3:
        return Canvas(np.ascontiguousarray(pixels[..., :3]), 1.0)
    from scipy.ndimage import affine_transform

    rows, columns = pixels.shape[:2]
    turn = np.deg2rad(skew)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array([rows, columns]) / 2
    offset = middle - matrix @ middle
    turned = [
        affine_transform(pixels[..., channel], matrix, offset, order=1, mode="nearest", output=np.uint8)
        for channel in range(3)
    ]
    return Canvas(np.stack(turned, axis=-1), 1.0)


def page_canvas(path: Path, page: int, scene: Scene) -> Canvas:
    """Return the canvas of a page of a PDF, as pdfium renders it; of an upright page whose places are the scene's."""
    import pypdfium2

    scale = _scale(scene)
    document = pypdfium2.PdfDocument(path)
    try:
        rendered = document[page - 1].render(scale=scale)
        pixels = np.array(rendered.to_numpy()[..., :3][..., ::-1])
    finally:
        document.close()
    wanted = np.array([scene.height, scene.width]) * scale
    if np.abs(np.array(pixels.shape[:2]) - wanted).max() > 2:
        return scene_canvas(scene)
    return Canvas(pixels, scale)


def scene_canvas(scene: Scene) -> Canvas:
    """Return the canvas of a scene, drawn stroke by stroke."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scale = _scale(scene)
    page = Figure(figsize=(scene.width * scale / 100, scene.height * scale / 100), dpi=100)
    axes = page.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    points = 72 * scale / 100
    for picture in scene.pictures:
        box = picture.box
        axes.imshow(picture.pixels, extent=(box.left, box.right, box.bottom, box.top), aspect="auto", zorder=0)
    for number, stroke in enumerate(scene.strokes):
        axes.add_patch(_patch(stroke, axes, points, number))
    for text in scene.texts:
        for outline in text.outlines:
            axes.fill(*outline.T, color=text.colour, lw=0, zorder=len(scene.strokes))
        if text.content is not None and not text.outlines:
            _draw_text(axes, text, points, len(scene.strokes))
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    canvas = FigureCanvasAgg(page)
    canvas.draw()
    return Canvas(np.asarray(canvas.buffer_rgba())[..., :3].copy(), scale)


def _scale(scene: Scene) -> float:
    return min(LONG_SIDE / max(scene.width, scene.height, 1.0), MOST_SCALE)


def _patch(stroke: Any, axes: Any, points: float, number: int) -> Any:
    from matplotlib.patches import PathPatch, Rectangle
    from matplotlib.path import Path as Outline

    outline = Outline(stroke.points, closed=False)
    if stroke.closed:
        outline = Outline(np.vstack([stroke.points, stroke.points[:1]]), closed=True)
    width = stroke.width * points if stroke.colour is not None else 0.0
    dash = (0, tuple(max(length, 1e-3) * points for length in stroke.dash)) if stroke.dash and width else "solid"
    patch = PathPatch(
        outline,
        facecolor=stroke.fill if stroke.fill is not None else "none",
        edgecolor=stroke.colour if stroke.colour is not None else "none",
        linewidth=width,
        linestyle=dash,
        alpha=stroke.alpha,
        capstyle="butt",
        joinstyle="miter",
        zorder=number + 1,
    )
    patch.set_transform(axes.transData)
    if stroke.clip is not None:
        clip = stroke.clip
        rectangle = Rectangle((clip.left, clip.top), clip.width, clip.height, transform=axes.transData)
        patch.set_clip_path(rectangle)
    return patch


def _draw_text(axes: Any, text: Any, points: float, order: int) -> None:
    """Draw characters without outlines in a font of their height; a place is enough, nothing is measured on it."""
    x, y = text.box.centre
    upright = abs(text.angle) < 45
    size = (text.box.height if upright else text.box.width) * points * 0.9
    words = text.content.replace("$", r"\$")
    axes.text(
        x,
        y,
        words,
        fontsize=max(size, 1.0),
        rotation=text.angle,
        color=text.colour,
        ha="center",
        va="center",
        zorder=order,
    )
