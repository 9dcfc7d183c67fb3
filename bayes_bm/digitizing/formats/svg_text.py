"""Characters of SVG: <text> and its tspans to runs with a box, an angle and the place of each character."""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_bm.digitizing.formats import css
from bayes_bm.digitizing.formats.affine import Floats, Matrix, bounds, moved
from bayes_bm.digitizing.scene import Text

_HEIGHT = 0.72
"""Height of a digit in Helvetica and its like, as a share of the size."""
_WIDTHS = {0.24: "ijl|!'`", 0.28: " .,:;/\\ftI[]()r-·", 0.84: "mwMW%@", 0.67: "ABCDEGHKNOPQRSUVXYZ&"}
"""Advance by character in Helvetica, rounded; 0.556 for digits and all others."""
_ADVANCE = {character: width for width, characters in _WIDTHS.items() for character in characters}


@dataclass(slots=True)
class _Run:
    """Hold characters that follow each other from one place on."""

    x: list[float]
    y: float
    style: dict[str, str]
    characters: str
    length: float


def texts(element: Any, style: dict[str, str], matrix: Matrix, sheet: list[css.Rule]) -> list[Text]:
    """Return the runs of a <text>; each tspan with its own place starts a new one."""
    kept: list[_Run] = []
    _collect(element, style, sheet, kept, 0.0)
    lines = (_text(run, matrix) for run in kept)
    return [text for text in lines if text is not None]


def _collect(element: Any, style: dict[str, str], sheet: list[css.Rule], kept: list[_Run], size: float) -> None:
    """Add the runs of an element and of those inside it."""
    size = css.length(style.get("font-size"), 16.0, 16.0)
    places = {name: _places(element.get(name), size) for name in ("x", "y", "dx", "dy")}
    starts = bool(places["x"] or places["y"] or places["dy"]) or not kept
    if starts:
        last = kept[-1] if kept else None
        x = places["x"] or [last.x[0] if last else 0.0]
        y = (places["y"] or [last.y if last else 0.0])[0] + sum(places["dy"][:1])
        x = [value + sum(places["dx"][:1]) for value in x]
        length = css.length(element.get("textLength"), size)
        kept.append(_Run(x, y, style, "", length))
    _add(kept[-1], element.text)
    for child in element:
        if css.local(child) in ("tspan", "a", "textPath"):
            _collect(child, css.style(child, sheet, style), sheet, kept, size)
        _add(kept[-1], child.tail if isinstance(child.tag, str) else None)


def _places(text: str | None, size: float) -> list[float]:
    """Return the coordinates of an attribute, which may be a list."""
    return [css.length(part, size) for part in re.split(r"[\s,]+", (text or "").strip()) if part]


def _add(run: _Run, text: str | None) -> None:
    """Add characters; line ends and what indents them are no characters."""
    run.characters += re.sub(r"[ \t]*\n\s*", "", text or "")


def _starts(run: _Run, size: float) -> Floats:
    """Return start and end (characters, 2) of each character in the run's own coordinates."""
    advances = np.array([_ADVANCE.get(character, 0.556) * size for character in run.characters])
    if run.length > 0:
        advances *= run.length / advances.sum()
    ends = np.cumsum(advances)
    if len(run.x) == len(run.characters) > 1:
        return np.column_stack([run.x, np.array(run.x) + advances])
    shift = {"middle": ends[-1] / 2, "end": ends[-1]}.get(run.style.get("text-anchor", ""), 0.0)
    return np.column_stack([ends - advances, ends]) + run.x[0] - shift


def _text(run: _Run, matrix: Matrix) -> Text | None:
    """Return a run as a text of the page; None where it has no characters."""
    blank = len(run.characters) - len(run.characters.lstrip())
    characters = run.characters.strip()
    if not characters:
        return None
    size = css.length(run.style.get("font-size"), 16.0, 16.0)
    edges = _starts(run, size)[blank : blank + len(characters)]
    drop = {"middle": 0.36, "central": 0.36, "hanging": 0.75, "text-before-edge": 0.9, "mathematical": 0.5}
    base = run.y + size * drop.get(run.style.get("dominant-baseline", ""), 0.0)
    corners = moved(matrix, [(edges[0, 0], base - _HEIGHT * size), (edges[-1, 1], base)])
    a, b, *_ = matrix
    turn = math.atan2(b, a)
    places = [moved(matrix, np.column_stack([edges[:, end], np.full(len(edges), base)])) for end in (0, 1)]
    along = [place[:, 0] * math.cos(turn) + place[:, 1] * math.sin(turn) for place in places]
    fill = css.colour(run.style.get("fill"), run.style.get("color", "#000000"))
    return Text(
        content=characters,
        box=bounds(corners),
        angle=round(-math.degrees(turn), 1) % 360,
        colour=fill or (0.0, 0.0, 0.0),
        source="text",
        edges=np.column_stack(along),
    )
