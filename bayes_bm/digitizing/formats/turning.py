"""Figures that stand on their side: the scene is turned until its numbers make axes."""

from collections import Counter
from dataclasses import replace

from bayes_bm.digitizing.formats.affine import Matrix, bounds, moved
from bayes_bm.digitizing.labels import parted
from bayes_bm.digitizing.panels import axis_pairs
from bayes_bm.digitizing.scene import Box, Scene

_MOSTLY = 0.6
"""Share of characters that read from left to right at which nothing is asked: titles and tables run across."""
_NEARLY_ALL = 0.9


def upright(scene: Scene) -> Scene:
    """Return the scene turned by quarters so that it reads upright.

    Where much of the text runs upwards, the numbers decide: R turns the labels of the axis of survival, so that
    counting characters alone would lay some figures on their side. Without numbers nearly all text has to agree.
    """
    count: Counter[int] = Counter()
    for text in scene.texts:
        length = len(text.content) if text.content is not None else len(text.edges if text.edges is not None else ())
        count[round(text.angle / 90) % 4] += length
    total = sum(count.values())
    if count[0] >= _MOSTLY * total:
        return scene
    ways = [turned(scene, quarters) for quarters in range(4)]
    labels = [
        sum(len(pair.time.labels) + len(pair.level.labels) for pair in axis_pairs(parted(way.texts))) for way in ways
    ]
    if max(labels) > 0:
        return ways[labels.index(max(labels))]
    most = max(count, key=lambda quarter: count[quarter])
    return ways[most] if count[most] >= _NEARLY_ALL * total else scene


def turned(scene: Scene, quarters: int) -> Scene:
    """Return the scene after quarter turns with the clock."""
    quarters %= 4
    if quarters == 0:
        return scene
    width, height = scene.width, scene.height
    maps: dict[int, Matrix] = {
        1: (0.0, 1.0, -1.0, 0.0, height, 0.0),
        2: (-1.0, 0.0, 0.0, -1.0, width, height),
        3: (0.0, -1.0, 1.0, 0.0, 0.0, width),
    }
    matrix = maps[quarters]

    def box(rectangle: Box) -> Box:
        return bounds(moved(matrix, [(rectangle.left, rectangle.top), (rectangle.right, rectangle.bottom)]))

    strokes = tuple(
        replace(stroke, points=moved(matrix, stroke.points), clip=None if stroke.clip is None else box(stroke.clip))
        for stroke in scene.strokes
    )
    texts = tuple(
        replace(
            text,
            box=box(text.box),
            angle=(text.angle - 90 * quarters) % 360,
            edges=None if text.edges is None else text.edges + _shift(text.angle, quarters, width, height),
            outlines=tuple(moved(matrix, outline) for outline in text.outlines),
        )
        for text in scene.texts
    )
    size = (height, width) if quarters % 2 else (width, height)
    return replace(
        scene,
        strokes=strokes,
        texts=texts,
        pictures=tuple(replace(picture, box=box(picture.box)) for picture in scene.pictures),
        width=size[0],
        height=size[1],
        turned=scene.turned + quarters,
    )


def _shift(angle: float, quarters: int, width: float, height: float) -> float:
    """Return what is added to a place along the direction of reading when the page is turned.

    Directions turn with the page, so a place along them changes by the new place of the old origin alone.
    """
    origin = {1: (height, 0.0), 2: (width, height), 3: (0.0, width)}[quarters]
    direction = {0: (1.0, 0.0), 1: (0.0, -1.0), 2: (-1.0, 0.0), 3: (0.0, 1.0)}[round((angle - 90 * quarters) / 90) % 4]
    return origin[0] * direction[0] + origin[1] * direction[1]
