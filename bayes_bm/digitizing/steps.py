"""Step lines of a scene: pieces along the axes that join into one line, whatever number of elements draws it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayes_bm.digitizing.formats.affine import bounds
from bayes_bm.digitizing.limits import check_time
from bayes_bm.digitizing.outlined import centre_line
from bayes_bm.digitizing.scene import Box, Colour, Floats, Scene, Stroke

_PARALLEL = 1e-4
"""How far, as a share of the panel, the ends of a piece may lie apart across its axis."""
_SLANTED = 1e-3
"""The same for the pieces in which a program hides a corner: a ninth of a point of 110 pt or more."""
_MARK = 0.07
"""Size of a censor mark as a share of the panel, at most."""


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
        drawn = (place >= 0) & (x <= points[-1, 0])
        return np.where(drawn, points[np.clip(place, 0, len(points) - 1), 1], np.nan)

    @property
    def look(self) -> tuple[Colour, tuple[float, ...], float]:
        """Return what tells lines of different kinds apart."""
        return self.colour, tuple(round(value, 2) for value in self.dash), round(self.width, 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Hold one stroke that a step line may consist of, from left to right."""

    order: int
    stroke: Stroke
    points: Floats
    slant: float


def step_lines(scene: Scene, box: Box) -> list[StepLine]:
    """Return the step lines inside a panel, each as one line: one path, many segments, or a filled outline."""
    size = max(box.width, box.height)
    marks = copied(scene) | _bars(scene, _MARK * size, _PARALLEL * size)
    looks: dict[tuple[object, ...], list[_Piece]] = defaultdict(list)
    lines: list[StepLine] = []
    for order, stroke in enumerate(scene.strokes):
        check_time("lines")
        if id(stroke) in marks or not _inside(bounds(stroke.points), box):
            continue
        if stroke.colour is not None and not stroke.closed:
            oriented = _oriented(stroke.points, size)
            if oriented is not None:
                key = (stroke.colour, tuple(np.round(stroke.dash, 2)), round(stroke.width, 2))
                looks[key].append(_Piece(order, stroke, *oriented))
        elif stroke.fill is not None and stroke.colour in (None, stroke.fill) and len(stroke.points) > 7:
            line = _outlined(order, stroke, size)
            lines.extend([line] if line is not None else [])
    for pieces in looks.values():
        chains = _stacked(_chained(pieces, _PARALLEL * size), _PARALLEL * size)
        lines.extend(_line(chain, size) for chain in chains)
    bent = [line for line in lines if len(line.points) > 1]
    return _once(sorted(bent, key=lambda line: line.order), size)


def copied(scene: Scene) -> set[int]:
    """Return the identities of the strokes that are drawn alike three times or more by reuse: marks and ticks."""

    def shape(stroke: Stroke) -> tuple[object, ...]:
        box = bounds(stroke.points)
        grain = 1e-4 * max(scene.width, scene.height)
        return stroke.symbol, len(stroke.points), round(box.width / grain), round(box.height / grain)

    reused = [(stroke, shape(stroke)) for stroke in scene.strokes if stroke.symbol is not None]
    count = Counter(look for _, look in reused)
    return {id(stroke) for stroke, look in reused if count[look] > 2}


def _bars(scene: Scene, largest: float, grain: float) -> set[int]:
    """Return the identities of level and upright strokes that cross in their middles: the bars of plus signs.

    Bars that touch by chance would join into a line that falls.
    """
    centres: dict[tuple[object, ...], list[Stroke]] = defaultdict(list)
    for stroke in scene.strokes:
        box = bounds(stroke.points)
        if len(stroke.points) == 2 and max(box.width, box.height) <= largest:
            x, y = (round(place / (10 * grain)) for place in box.centre)
            centres[x, y, stroke.colour].append(stroke)
    crossed: set[int] = set()
    for (x, y, colour), strokes in list(centres.items()):
        check_time("lines")
        near = [other for i in (-1, 0, 1) for j in (-1, 0, 1) for other in centres.get((x + i, y + j, colour), ())]  # type: ignore[operator]
        crossed |= {id(stroke) for stroke in strokes for other in near if _crosses(stroke, other, 10 * grain)}
    return crossed


def _crosses(first: Stroke, second: Stroke, reach: float) -> bool:
    """Return whether one stroke is level, the other upright, of like length, with one middle."""
    one, two = bounds(first.points), bounds(second.points)
    flat, tall = (one, two) if one.width > one.height else (two, one)
    like = abs(flat.width - tall.height) <= 0.2 * flat.width and flat.height <= reach and tall.width <= reach
    return like and max(abs(a - b) for a, b in zip(one.centre, two.centre, strict=True)) <= reach


def _outlined(order: int, stroke: Stroke, size: float) -> StepLine | None:
    """Return the line that a filled outline stands for; None where it is something else."""
    line = centre_line(stroke.points, _PARALLEL * size)
    oriented = _oriented(line.points, size) if line is not None else None
    if line is None or oriented is None or stroke.fill is None:
        return None
    return StepLine(_corners(oriented[0], size), stroke.fill, (), line.width, order, (stroke,), line.rounding)


def _line(chain: list[_Piece], size: float) -> StepLine:
    """Return the line that joined pieces make."""
    first = chain[0].stroke
    assert first.colour is not None
    return StepLine(
        points=_corners(np.concatenate([piece.points for piece in chain]), size),
        colour=first.colour,
        dash=first.dash,
        width=first.width,
        order=min(piece.order for piece in chain),
        strokes=tuple(piece.stroke for piece in chain),
        rounding=max(piece.slant for piece in chain),
    )


def _inside(piece: Box, box: Box) -> bool:
    """Return whether a piece lies in the panel, or runs out of it on its far sides."""
    slack = 0.01 * max(box.width, box.height)
    return (
        piece.left >= box.left - slack
        and piece.left < box.right
        and piece.top >= box.top - slack
        and piece.top < box.bottom + slack
    )


def _oriented(points: Floats, size: float) -> tuple[Floats, float] | None:
    """Return points from left to right, and how far slanted pieces hide their corners; None where it is no step line.

    Matplotlib draws two drops that are nearer than a ninth of a point as one slanted piece. Such a piece stands for two
    drops of equal height at its ends.
    """
    steps = np.diff(points, axis=0)
    misses = np.abs(steps).min(axis=1)
    slanted = misses > _PARALLEL * size
    if (misses > _SLANTED * size).any() or slanted.sum() > 0.2 * len(steps):
        return None
    if points[0, 0] > points[-1, 0] or (points[0, 0] == points[-1, 0] and points[0, 1] > points[-1, 1]):
        points, steps, slanted = points[::-1], -steps[::-1], slanted[::-1]
    if (steps[:, 0] < -_PARALLEL * size).any():
        return None
    return _straightened(points, slanted), float(misses[slanted].max()) if slanted.any() else 0.0


def _straightened(points: Floats, slanted: NDArray[np.bool_]) -> Floats:
    """Return points in which each slanted piece is two drops of half its height, or one drop in the middle of a run."""
    if not slanted.any():
        return points
    kept = [points[:1]]
    for index, slants in enumerate(slanted):
        (x, y), (u, v) = points[index], points[index + 1]
        if slants and abs(v - y) > abs(u - x):
            kept.append(np.array([(x, (y + v) / 2), (u, (y + v) / 2), (u, v)]))
        elif slants:
            kept.append(np.array([((x + u) / 2, y), ((x + u) / 2, v), (u, v)]))
        else:
            kept.append(points[index + 1 : index + 2])
    return np.concatenate(kept)


def _chained(pieces: list[_Piece], tolerance: float) -> list[list[_Piece]]:
    """Return pieces of one look joined where one begins at another's end, nearest ends first."""
    cell = 4 * tolerance
    starts: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, piece in enumerate(pieces):
        starts[round(piece.points[0, 0] / cell), round(piece.points[0, 1] / cell)].append(index)
    joints = [joint for index in range(len(pieces)) for joint in _joints(pieces, index, starts, tolerance)]
    following: dict[int, int] = {}
    used: set[int] = set()
    for _, _, _, index, other in sorted(joints):
        if index not in following and other not in used:
            following[index] = other
            used.add(other)
    chains: list[list[_Piece]] = []
    for index in range(len(pieces)):
        if index not in used:
            chain = [index]
            while (successor := following.get(chain[-1])) is not None:
                chain.append(successor)
            chains.append([pieces[member] for member in chain])
    return chains


def _joints(
    pieces: list[_Piece], index: int, starts: dict[tuple[int, int], list[int]], tolerance: float
) -> Iterator[tuple[int, bool, float, int, int]]:
    """Return the pieces that begin where one ends: those exactly there first, of these those that bend there."""
    points = pieces[index].points
    end, level = points[-1], points[-1, 1] == points[-2, 1]
    cell = 4 * tolerance
    column, row = round(end[0] / cell), round(end[1] / cell)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            for other in starts.get((column + i, row + j), ()):
                start = pieces[other].points
                gap = float(np.abs(start[0] - end).max())
                forward = (start[0, 0], start[0, 1], other) > (points[0, 0], points[0, 1], index)
                if other != index and gap <= tolerance and forward:
                    goes_on = (start[0, 1] == start[1, 1]) == level
                    yield round(20 * gap / tolerance), goes_on, gap, index, other


def _stacked(chains: list[list[_Piece]], tolerance: float) -> list[list[_Piece]]:
    """Return chains in which level pieces that follow each other downwards are one line without its upright pieces."""
    level = [chain for chain in chains if len(chain) == 1 and np.ptp(chain[0].points[:, 1]) == 0]
    flat = {id(chain) for chain in level}
    rest = [chain for chain in chains if id(chain) not in flat]
    level.sort(key=lambda chain: (chain[0].points[0, 0], chain[0].points[0, 1]))
    joined: list[list[_Piece]] = []
    while level:
        check_time("lines")
        line = level.pop(0)
        while True:
            end = line[-1].points[-1]
            candidates = [
                chain
                for chain in level
                if abs(chain[0].points[0, 0] - end[0]) <= tolerance and chain[0].points[0, 1] > end[1]
            ]
            if not candidates:
                break
            nearest = min(candidates, key=lambda chain: chain[0].points[0, 1])
            level.remove(nearest)
            line = [*line, *nearest]
        joined.append(line)
    return rest + joined


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
        check_time("lines")
        same = [other for other in kept if _equal(line, other, size) and _same_arm(line, other)]
        kept = [other for other in kept if not any(other is one for one in same)]
        kept.append(replace(line, strokes=(*line.strokes, *(stroke for other in same for stroke in other.strokes))))
    return kept


def _equal(first: StepLine, second: StepLine, size: float) -> bool:
    return first.points.shape == second.points.shape and bool(np.abs(first.points - second.points).max() < 1e-4 * size)


def _same_arm(first: StepLine, second: StepLine) -> bool:
    """Return whether two equal lines are one arm's: of one colour and dash, or the lower one, second, is a halo."""
    return (first.colour, first.dash) == (second.colour, second.dash) or min(second.colour) > 0.9
