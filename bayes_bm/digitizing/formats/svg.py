"""An SVG file to a scene: elements with their style, transforms, clips and reuse; nothing about survival."""

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bayes_bm.digitizing.formats import css, glyphs, paths, svg_text
from bayes_bm.digitizing.formats.affine import (
    IDENTITY,
    Matrix,
    after,
    bounds,
    growth,
    moved,
    numbers,
    overlap,
    transform,
)
from bayes_bm.digitizing.formats.turning import upright
from bayes_bm.digitizing.scene import Box, Picture, Scene, Stroke, Text
from bayes_bm.runtime.errors import InputError

_MOST_BYTES = 30_000_000
"""A figure of some thousand patients has 0.2 MB; lxml needs ten times the file."""
_MOST_ELEMENTS = 60_000
_MOST_NUMBERS = 2_000_000
_MOST_DEPTH = 100
_SECONDS = 4.0
"""Of the processor, not of the clock: a busy machine refuses nothing that an idle one reads."""
_HREF = "{http://www.w3.org/1999/xlink}href"
_HIDDEN = {"defs", "symbol", "clipPath", "mask", "marker", "pattern", "metadata", "style", "title", "desc", "script",
           "linearGradient", "radialGradient", "filter", "foreignObject"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _State:
    """Hold what an element has from those around it."""

    matrix: Matrix
    style: dict[str, str]
    clip: Box | None
    whole: tuple[float, float]
    opacity: float = 1.0
    symbol: int | None = None
    used: tuple[str, ...] = ()
    depth: int = 0


def read_svg(path: Path) -> Scene:
    """Return everything that an SVG file draws, in its user units.

    Parameters
    ----------
    path : Path
        The file; `.svgz` is not read.

    Returns
    -------
    Scene
        Strokes, texts and embedded pictures in drawing order. Files that it refers to are never opened.

    Raises
    ------
    InputError
        Where the file is not XML, is too large, nested too deeply, or refers to itself.
    """
    root = _parse(path)
    walker = _Walker(path, root)
    walker.walk()
    width, height = walker.size
    scene = Scene(tuple(walker.strokes), tuple(walker.texts), tuple(walker.pictures), width, height, "svg")
    return upright(replace(scene, precision=_rounding(scene)))


def _parse(path: Path) -> Any:
    """Return the root element; entities are not resolved and nothing outside the file is read."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    if path.stat().st_size > _MOST_BYTES:
        raise InputError(
            str(path), found=f"{path.stat().st_size / 1e6:.0f} MB", allowed=f"at most {_MOST_BYTES / 1e6:.0f} MB"
        )
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=False, recover=False
    )
    try:
        root = etree.fromstring(path.read_bytes(), parser)
    except etree.XMLSyntaxError as error:
        raise InputError(str(path), found=f"XML that cannot be read ({error.msg})", allowed="an SVG file") from error
    if css.local(root) != "svg":
        raise InputError(str(path), found=f"<{css.local(root)}>", allowed="an SVG file")
    return root


def _rounding(scene: Scene) -> float:
    """Return the step to which places are rounded, judged by how many decimals their coordinates need."""
    places = np.concatenate([stroke.points.ravel() for stroke in scene.strokes[:400]] or [np.zeros(1)])
    for decimals in range(1, 6):
        if np.quantile(np.abs(places - np.round(places, decimals)), 0.9) < 10.0**-decimals / 100:
            return 10.0**-decimals
    return 1e-6


class _Walker:
    """Walk over the elements of one file and keep what they draw."""

    def __init__(self, path: Path, root: Any) -> None:
        self.path, self.root = path, root
        self.strokes: list[Stroke] = []
        self.texts: list[Text] = []
        self.pictures: list[Picture] = []
        self.deadline = time.thread_time() + _SECONDS
        self.elements = self.numbers = self.paths = 0
        self.symbols: dict[str, int] = {}
        self.ids: dict[str, Any] = {}
        sheets: list[str] = []
        for element in root.iter():
            if identity := (element.get("id") if isinstance(element.tag, str) else None):
                self.ids.setdefault(identity, element)
            if css.local(element) == "style":
                sheets.append("".join(element.itertext()))
        self.sheet = css.rules("\n".join(sheets))
        self.outlines: dict[str, list[paths.Subpath]] = {}
        self.pending: list[glyphs.Glyph] | None = None
        box = numbers(root.get("viewBox"))
        self.box = Box(box[0], box[1], box[0] + box[2], box[1] + box[3]) if len(box) == 4 and min(box[2:]) > 0 else None
        self.size = (
            (self.box.width, self.box.height)
            if self.box
            else (css.length(root.get("width"), 600.0, 600.0), css.length(root.get("height"), 400.0, 400.0))
        )

    def walk(self) -> None:
        """Draw the whole file."""
        shift = (1.0, 0.0, 0.0, 1.0, -self.box.left, -self.box.top) if self.box else IDENTITY
        state = _State(shift, css.style(self.root, self.sheet, css.START), None, self.size)
        self._children(self.root, state)

    def _refuse(self, found: str, allowed: str) -> InputError:
        return InputError(str(self.path), found=found, allowed=allowed, hint="export the figure alone from its program")

    def _count(self) -> None:
        """Count an element; stop where a file is made to take for ever."""
        self.elements += 1
        if self.elements > _MOST_ELEMENTS:
            raise self._refuse(f"more than {_MOST_ELEMENTS:,} drawn elements", "a figure")
        if time.thread_time() > self.deadline:
            raise self._refuse(f"a drawing not read after {_SECONDS:.0f} s", "a figure")

    def _children(self, parent: Any, state: _State) -> None:
        """Draw the elements inside another one; glyphs that follow each other make one text."""
        comment, pending, self.pending = None, self.pending, []
        for child in parent:
            if not isinstance(child.tag, str):
                comment = child.text if type(child).__name__ == "_Comment" else comment
                continue
            if css.local(child) != "use":
                self._flush(None)
            if css.local(child) == "g" and comment is not None:
                self._labelled(child, state, comment)
            else:
                self._element(child, state)
            comment = None
        self._flush(None)
        self.pending = pending

    def _labelled(self, group: Any, state: _State, comment: str) -> None:
        """Draw a group whose characters the comment before it says, as matplotlib writes them."""
        start = len(self.texts)
        self._element(group, state)
        runs = self.texts[start:]
        if runs and all(run.content is None for run in runs):
            self.texts[start:] = [glyphs.labelled(runs, comment)]

    def _flush(self, content: str | None) -> None:
        """Make the glyphs drawn so far a text."""
        if self.pending:
            self.texts.extend(glyphs.runs(self.pending))
        self.pending = []

    def _element(self, element: Any, state: _State) -> None:
        """Draw one element."""
        self._count()
        name = css.local(element)
        if name in _HIDDEN and not (name == "symbol" and state.symbol is not None):
            return
        style = css.style(element, self.sheet, state.style)
        if style.get("display") == "none" or state.depth > _MOST_DEPTH:
            if state.depth > _MOST_DEPTH:
                raise self._refuse(f"elements nested more than {_MOST_DEPTH} deep", "a figure")
            return
        matrix = after(state.matrix, transform(element.get("transform") or style.get("transform")))
        here = replace(
            state,
            matrix=matrix,
            style=style,
            clip=overlap(state.clip, self._clip(style.get("clip-path"), matrix)),
            opacity=state.opacity * css.opacity(style.get("opacity")),
            depth=state.depth + 1,
        )
        if name in ("g", "a", "switch", "symbol"):
            self._children(element, here)
        elif name == "svg":
            self._children(element, self._viewport(element, here))
        elif name == "use":
            self._use(element, here)
        elif style.get("visibility") == "hidden" or here.opacity == 0:
            return
        elif name == "text":
            self.texts.extend(svg_text.texts(element, here.style, here.matrix, self.sheet))
        elif name == "image":
            self._picture(element, here)
        else:
            self._shape(element, name, here)

    def _viewport(self, element: Any, state: _State) -> _State:
        """Return the state inside a nested svg: its place, its viewBox and its clip."""
        x, y = (css.length(element.get(name), whole) for name, whole in zip("xy", state.whole, strict=True))
        width = css.length(element.get("width") or "100%", state.whole[0])
        height = css.length(element.get("height") or "100%", state.whole[1])
        frame = bounds(moved(state.matrix, [(x, y), (x + width, y + height)]))
        box = numbers(element.get("viewBox"))
        matrix = after(state.matrix, (1, 0, 0, 1, x, y))
        whole = (width, height)
        if len(box) == 4 and min(box[2:]) > 0:
            x_scale, y_scale = width / box[2], height / box[3]
            if element.get("preserveAspectRatio", "").strip() != "none":
                least = min(x_scale, y_scale)
                matrix = after(matrix, (1, 0, 0, 1, (width - least * box[2]) / 2, (height - least * box[3]) / 2))
                x_scale = y_scale = least
            matrix = after(matrix, (x_scale, 0, 0, y_scale, -x_scale * box[0], -y_scale * box[1]))
            whole = (box[2], box[3])
        return replace(state, matrix=matrix, clip=overlap(state.clip, frame), whole=whole)

    def _clip(self, reference: str | None, matrix: Matrix) -> Box | None:
        """Return the rectangle around a clip path."""
        named = re.match(r"""url\(\s*['"]?#([^'")]+)""", (reference or "").strip())
        target = self.ids.get(named[1]) if named else None
        if target is None or css.local(target) != "clipPath":
            return None
        matrix = after(matrix, transform(target.get("transform")))
        corners = [
            moved(after(matrix, transform(child.get("transform"))), points)
            for child in target
            for points, _ in self._outline(child, css.local(child), self.size)
        ]
        return bounds(np.concatenate(corners)) if corners else None

    def _use(self, element: Any, state: _State) -> None:
        """Draw a copy of another element of this file."""
        identity = (element.get("href") or element.get(_HREF) or "").strip()
        target = self.ids.get(identity[1:]) if identity.startswith("#") else None
        if target is None:
            return
        if identity in state.used:
            raise self._refuse(f"a use of {identity} inside itself", "reuse without circles")
        x, y = (css.length(element.get(name), whole) for name, whole in zip("xy", state.whole, strict=True))
        number = self.symbols.setdefault(identity, len(self.symbols))
        inner = replace(
            state, matrix=after(state.matrix, (1, 0, 0, 1, x, y)), symbol=number, used=(*state.used, identity)
        )
        start = len(self.strokes)
        self._element(target, inner)
        copies = self.strokes[start:]
        if copies and self.pending is not None and glyphs.is_glyph(copies, self.size):
            del self.strokes[start:]
            anchor = moved(inner.matrix, [(0.0, 0.0), (1.0, 0.0)])
            self.pending.append(
                glyphs.Glyph(copies, (anchor[0, 0], anchor[0, 1]), anchor[1] - anchor[0], element.get("data-text"))
            )

    def _outline(self, element: Any, name: str, whole: tuple[float, float]) -> list[paths.Subpath]:
        """Return the polygons of a shape in its own coordinates."""
        get = element.get
        if name == "path":
            data = get("d") or ""
            if data not in self.outlines:
                self.numbers += data.count(" ") + data.count(",") + data.count("-")
                if self.numbers > _MOST_NUMBERS:
                    raise self._refuse(f"more than {_MOST_NUMBERS:,} numbers in its paths", "a figure")
                self.outlines[data] = paths.subpaths(data)
            return self.outlines[data]
        if name in ("polyline", "polygon"):
            values = numbers(get("points"))
            points = np.array(values[: len(values) // 2 * 2]).reshape(-1, 2)
            return [(points, name == "polygon")] if len(points) > 1 else []
        names = {"line": ("x1", "y1", "x2", "y2"), "rect": ("x", "y", "width", "height")}
        names |= {"circle": ("cx", "cy", "r", "r"), "ellipse": ("cx", "cy", "rx", "ry")}
        if name not in names:
            return []
        one, two, three, four = (css.length(get(key), whole[index % 2]) for index, key in enumerate(names[name]))
        if name == "line":
            return [(np.array([(one, two), (three, four)]), False)]
        if name == "rect":
            corners = [(one, two), (one + three, two), (one + three, two + four), (one, two + four)]
            return [(np.array(corners), True)] if three > 0 and four > 0 else []
        return [paths.ellipse(one, two, three, four)] if three > 0 else []

    def _shape(self, element: Any, name: str, state: _State) -> None:
        """Draw a shape as strokes."""
        style = state.style
        line = css.colour(style.get("stroke"), style.get("color", "#000000"))
        fill = css.colour(style.get("fill"), style.get("color", "#000000"))
        width = css.length(style.get("stroke-width"), state.whole[0], 1.0)
        seen = css.opacity(style.get("stroke-opacity")), css.opacity(style.get("fill-opacity"))
        line = line if width > 0 and seen[0] > 0 else None
        fill = fill if seen[1] > 0 and name != "line" else None
        if line is None and fill is None:
            return
        scale = growth(state.matrix)
        dash = tuple(value * scale for value in numbers(style.get("stroke-dasharray")))
        self.paths += 1
        for points, closed in self._outline(element, name, state.whole):
            self.strokes.append(
                Stroke(
                    points=moved(state.matrix, points),
                    colour=line,
                    width=width * scale,
                    dash=dash * 2 if len(dash) % 2 else dash if sum(dash) > 0 else (),
                    fill=fill,
                    alpha=state.opacity * (seen[0] if line is not None else seen[1]),
                    closed=closed,
                    clip=state.clip,
                    path=self.paths,
                    symbol=state.symbol,
                )
            )

    def _picture(self, element: Any, state: _State) -> None:
        """Keep a picture that the file holds; one that it only names is not opened."""
        from bayes_bm.digitizing.formats.embedded import picture

        x, y, width, height = (
            css.length(element.get(name), state.whole[index % 2])
            for index, name in enumerate(("x", "y", "width", "height"))
        )
        box = bounds(moved(state.matrix, [(x, y), (x + width, y + height)]))
        kept = picture(element.get("href") or element.get(_HREF) or "", box, str(self.path))
        self.pictures.extend([kept] if kept is not None else [])
