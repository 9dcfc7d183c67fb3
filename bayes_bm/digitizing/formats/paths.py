"""Path data of SVG to polygons: lines are kept as they are, curves are cut into pieces."""

import itertools
import re
from typing import Any

import numpy as np

from bayes_bm.digitizing.formats.affine import Floats

_TOKEN = re.compile(r"([MmLlHhVvCcSsQqTtAaZz])|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
_PIECES = 6
"""Lines that stand for one curve: enough for the outline of a glyph or a circle's quarter."""
_TIMES = np.linspace(0.0, 1.0, _PIECES + 1)[1:, None]

Subpath = tuple[Floats, bool]
"""Points (points, 2) and whether it is closed."""


def curve_points(*controls: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the points after the first of a Bézier curve of three or four control points."""
    points = [np.asarray(control, float)[None, :] for control in controls]
    while len(points) > 1:
        points = [(1 - _TIMES) * one + _TIMES * two for one, two in itertools.pairwise(points)]
    return [(float(x), float(y)) for x, y in points[0]]


class _Pen:
    """Draw commands one after another and keep the polygons."""

    def __init__(self) -> None:
        self.done: list[Subpath] = []
        self.points: list[tuple[float, float]] = []
        self.place = self.control = (0.0, 0.0)
        self.last = ""

    def finish(self, closed: bool) -> None:
        """Keep the subpath that was being drawn."""
        if len(self.points) > 1:
            self.done.append((np.array(self.points), closed))
        if closed and self.points:
            self.place = self.points[0]
        self.points = []

    def line(self, *points: tuple[float, float]) -> None:
        """Draw through points."""
        if not self.points:
            self.points = [self.place]
        self.points.extend(points)
        self.place = points[-1]

    def draw(self, command: str, values: list[float]) -> None:
        """Draw one command with its arguments."""
        kind, (x, y) = command.upper(), self.place
        shift = (x, y) if command.islower() else (0.0, 0.0)
        if kind == "Z":
            self.finish(closed=True)
        elif kind == "H":
            self.line((values[0] + shift[0], y))
        elif kind == "V":
            self.line((x, values[0] + shift[1]))
        elif kind == "A":
            self.line(*_arc(self.place, values, shift))
        else:
            pairs = [(values[index] + shift[0], values[index + 1] + shift[1]) for index in range(0, len(values), 2)]
            self._pairs(kind, pairs)
        self.last = kind

    def _pairs(self, kind: str, pairs: list[tuple[float, float]]) -> None:
        """Draw a command whose arguments are points."""
        if kind == "M":
            self.finish(closed=False)
            self.points, self.place = [pairs[0]], pairs[0]
        elif kind == "L":
            self.line(pairs[0])
        else:
            if kind in "ST":  # the first control point mirrors the last one of a like curve
                like = self.last in ("CS" if kind == "S" else "QT")
                (x, y), (u, v) = self.place, self.control
                pairs = [(2 * x - u, 2 * y - v) if like else (x, y), *pairs]
            self.control = pairs[-2]
            self.line(*curve_points(self.place, *pairs))


def _arc(start: tuple[float, float], values: list[float], shift: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the points after the first of an elliptic arc."""
    import svgelements

    end = (values[5] + shift[0], values[6] + shift[1])
    flags = f"{int(bool(values[3]))} {int(bool(values[4]))}"
    text = f"M {start[0]} {start[1]} A {values[0]} {values[1]} {values[2]} {flags} {end[0]} {end[1]}"
    points: list[tuple[float, float]] = []
    for segment in svgelements.Path(text):
        arc: Any = segment
        cubics: Any = arc.as_cubic_curves() if isinstance(arc, svgelements.Arc) else ()
        for cubic in cubics:
            controls = (cubic.start, cubic.control1, cubic.control2, cubic.end)
            points.extend(curve_points(*((float(point.x), float(point.y)) for point in controls)))
    return points or [end]


def _tokens(data: str) -> list[tuple[str, list[float]]]:
    """Return the commands of path data with all their arguments; flags of arcs may stand without blanks."""
    commands: list[tuple[str, list[float]]] = []
    if "a" in data or "A" in data:
        data = re.sub(r"([Aa])([^A-Za-z]*)", lambda match: match[1] + _with_blanks(match[2]), data)
    for letter, number in _TOKEN.findall(data):
        if letter:
            commands.append((letter, []))
        elif commands:
            commands[-1][1].append(float(number))
    return commands


def _with_blanks(arguments: str) -> str:
    """Return arguments of arcs with blanks around their two flags, which may be written together."""
    number = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[\s,]*"
    pattern = rf"({number}{number}{number})([01])[\s,]*([01])[\s,]*({number}{number})"
    return re.sub(pattern, r"\1 \2 \3 \4 ", arguments)


def subpaths(data: str) -> list[Subpath]:
    """Return the polygons of path data (`d` of SVG); what follows a wrong command is left out, as browsers do."""
    pen = _Pen()
    for command, values in _tokens(data):
        count = _ARGUMENTS[command.upper()]
        if count == 0:
            pen.draw(command, [])
            continue
        if not values or len(values) % count:
            break
        for start in range(0, len(values), count):
            following = {"M": "L", "m": "l"}.get(command, command) if start else command
            pen.draw(following, values[start : start + count])
    pen.finish(closed=False)
    return pen.done


def ellipse(x: float, y: float, half_width: float, half_height: float) -> Subpath:
    """Return the polygon of an ellipse with its radii."""
    angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    return np.column_stack([x + half_width * np.cos(angles), y + half_height * np.sin(angles)]), True
