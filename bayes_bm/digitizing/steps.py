"""Step lines of a scene: pieces along the axes that join into one line, whatever number of elements draws it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.formats.affine import bounds
from bayes_bm.digitizing.outlined import centre_line
from bayes_bm.digitizing.scene import Box, Colour, Floats, Scene, Stroke

_PARALLEL = 1e-4
"""How far, as a share of the panel, the ends of a piece may lie apart across its axis."""


@dataclass(frozen=True, slots=True, eq=False)
class StepLine:
    """Hold a line of pieces along the axes, from left to right.

    Attributes
    ----------
    points
        Floats (points, 2): corners, both ends included, neighbours share x or y exactly.
    colour, dash, width
        Of the line.
    order
        Place of its first stroke in the scene: later lines lie over earlier ones.
    strokes
        The strokes it consists of.
    rounding
        How far its corners may be off, in figure units; 0 where they are the file's own places.
    """

    points: Floats
    colour: Colour
    dash: tuple[float, ...]
    width: float
    order: int
    strokes: tuple[Stroke, ...]
    rounding: float = 0.0

    @property
    def drops(self) -> Floats:
        """Return x (drops,) of the pieces that run up or down."""
        upright = np.diff(self.points[:, 0]) == 0
        return self.points[:-1][upright, 0]

    def level(self, x: Floats) -> Floats:
        """Return y (places,) just after places; nan outside the line."""
        points = self.points
        place = np.searchsorted(points[:, 0], x, side="right") - 1
        inside = (place >= 0) & (x <= points[-1, 0])
        return np.where(inside, points[np.clip(place, 0, len(points) - 1), 1], np.nan)

    @property
    def look(self) -> tuple[Colour, tuple[float, ...], float]:
        """Return what tells lines of different kinds apart."""
        return self.colour, tuple(round(value, 2) for value in self.dash), round(self.width, 2)


def step_lines(scene: Scene, box: Box) -> list[StepLine]:
    """Return the step lines inside a panel, each as one line: one path, many segments, or a filled outline."""
    size = max(box.width, box.height)
    tolerance = _PARALLEL * size
    looks: dict[tuple[object, ...], list[tuple[int, Stroke, Floats]]] = defaultdict(list)
    lines: list[StepLine] = []
    for order, stroke in enumerate(scene.strokes):
        if not _inside(bounds(stroke.points), box):
            continue
        if stroke.colour is not None and not stroke.closed:
            points = _oriented(stroke.points, tolerance)
            if points is not None:
                key = (stroke.colour, tuple(np.round(stroke.dash, 2)), round(stroke.width, 2))
                looks[key].append((order, stroke, points))
        elif (
            stroke.fill is not None
            and (stroke.colour is None or stroke.colour == stroke.fill)
            and len(stroke.points) > 7
        ):
            line = centre_line(stroke.points, tolerance)
            if line is not None:
                points = _oriented(line.points, tolerance)
                if points is not None:
                    corners = _corners(points, size)
                    lines.append(StepLine(corners, stroke.fill, (), line.width, order, (stroke,), line.rounding))
    for group in looks.values():
        for chain in _chained(group, tolerance):
            points = np.concatenate([points for _, _, points in chain])
            strokes = tuple(stroke for _, stroke, _ in chain)
            first = strokes[0]
            assert first.colour is not None
            corners = _corners(points, size)
            if len(corners) > 1:
                order = min(order for order, _, _ in chain)
                lines.append(StepLine(corners, first.colour, first.dash, first.width, order, strokes))
    return _once(sorted(lines, key=lambda line: line.order), size)


def _inside(piece: Box, box: Box) -> bool:
    """Return whether a piece lies in the panel, or runs out of it on its far sides."""
    slack = 0.01 * max(box.width, box.height)
    return (
        piece.left >= box.left - slack
        and piece.left < box.right
        and piece.top >= box.top - slack
        and piece.top < box.bottom + slack
    )


def _oriented(points: Floats, tolerance: float) -> Floats | None:
    """Return points from left to right; None where a piece is not along an axis or the line turns back."""
    steps = np.diff(points, axis=0)
    across, along = np.abs(steps[:, 0]), np.abs(steps[:, 1])
    if (np.minimum(across, along) > tolerance).any():
        return None
    if points[0, 0] > points[-1, 0] or (points[0, 0] == points[-1, 0] and points[0, 1] > points[-1, 1]):
        points, steps = points[::-1], -steps[::-1]
    return points if (steps[:, 0] >= -tolerance).all() else None


def _chained(pieces: list[tuple[int, Stroke, Floats]], tolerance: float) -> list[list[tuple[int, Stroke, Floats]]]:
    """Return pieces of one look joined where one begins at another's end."""
    cell = 4 * tolerance
    starts: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, (_, _, points) in enumerate(pieces):
        starts[round(points[0, 0] / cell), round(points[0, 1] / cell)].append(index)
    order = sorted(range(len(pieces)), key=lambda index: (pieces[index][2][0, 0], pieces[index][2][0, 1]))
    used: set[int] = set()
    following: dict[int, int] = {}
    for index in order:
        nearest = _next(pieces, index, starts, used, cell, tolerance)
        if nearest is not None:
            following[index] = nearest
            used.add(nearest)
    chains: list[list[tuple[int, Stroke, Floats]]] = []
    for index in order:
        if index not in used:
            chain = [index]
            while (after := following.get(chain[-1])) is not None and after not in chain[-1:]:
                chain.append(after)
            chains.append([pieces[member] for member in chain])
    return chains


def _next(
    pieces: list[tuple[int, Stroke, Floats]],
    index: int,
    starts: dict[tuple[int, int], list[int]],
    used: set[int],
    cell: float,
    tolerance: float,
) -> int | None:
    """Return the piece that begins where one ends; a piece that bends there is nearer than one that goes on."""
    points = pieces[index][2]
    end = points[-1]
    level = points[-1, 1] == points[-2, 1]
    near: list[tuple[bool, float, int]] = []
    column, row = round(end[0] / cell), round(end[1] / cell)
    for across in (-1, 0, 1):
        for along in (-1, 0, 1):
            for other in starts.get((column + across, row + along), ()):
                start = pieces[other][2]
                gap = float(np.abs(start[0] - end).max())
                if other != index and other not in used and gap <= tolerance:
                    near.append(((start[0, 1] == start[1, 1]) == level, gap, other))
    return min(near)[2] if near else None


def _corners(points: Floats, size: float) -> Floats:
    """Return the corners of a step line, neighbours sharing x or y exactly.

    Places nearer than 2e-5 of the panel are one place: 32-bit numbers of a PDF differ by 1e-6 of a page where the
    drawing program wrote the same number twice.
    """
    same = 2e-5 * size
    x, y = points[:, 0].copy(), points[:, 1].copy()
    for places in (x, y):
        start = 0
        for index in range(1, len(places) + 1):
            if index == len(places) or abs(places[index] - places[index - 1]) > same:
                places[start:index] = np.median(places[start:index])
                start = index
    keep = np.concatenate([[True], (np.diff(x) != 0) | (np.diff(y) != 0)])
    x, y = x[keep], y[keep]
    if len(x) < 3:
        return np.column_stack([x, y])
    straight = ((x[1:-1] == x[:-2]) & (x[2:] == x[1:-1])) | ((y[1:-1] == y[:-2]) & (y[2:] == y[1:-1]))
    keep = np.concatenate([[True], ~straight, [True]])
    return np.column_stack([x[keep], y[keep]])


def _once(lines: Sequence[StepLine], size: float) -> list[StepLine]:
    """Return the lines without those that lie exactly under a later one: halos and lines drawn twice."""
    kept: list[StepLine] = []
    for line in lines:
        same = [other for other in kept if _equal(line, other, size) and _same_arm(line, other)]
        for other in same:
            kept.remove(other)
        kept.append(line)
    return kept


def _equal(first: StepLine, second: StepLine, size: float) -> bool:
    return first.points.shape == second.points.shape and bool(np.abs(first.points - second.points).max() < 1e-4 * size)


def _same_arm(first: StepLine, second: StepLine) -> bool:
    """Return whether two equal lines are one arm's: of one colour and dash, or a pale halo below it."""
    return (first.colour, first.dash) == (second.colour, second.dash) or min(first.colour) > 0.9
