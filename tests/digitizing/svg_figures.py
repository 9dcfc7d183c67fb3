"""SVG figures written by hand: two arms on axes whose places are known, in all the ways in which programs draw them."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Points = list[tuple[float, float]]

TIMES = np.array([3.0, 7.0, 7.5, 12.0, 20.0, 26.0])
LEVELS = np.array([0.9, 0.8, 0.7, 0.55, 0.4, 0.25])
OTHER_TIMES = np.array([2.0, 5.0, 9.0, 14.0, 22.0])
OTHER_LEVELS = np.array([0.85, 0.7, 0.5, 0.3, 0.1])
MARKS = (4.0, 10.0, 15.0, 28.0)
RED = "stroke:#c00000;stroke-width:1.5"
BLUE = "stroke:#0000c0;stroke-width:1.5"
HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}">'


def x(time: float) -> float:
    return 60.0 + 10.0 * time


def y(level: float) -> float:
    return 250.0 - 200.0 * level


def corners(times: Sequence[float] | Floats, levels: Sequence[float] | Floats, end: float) -> Points:
    """Return the corners of a Kaplan-Meier curve on the page."""
    points = [(0.0, 1.0)]
    for time, level in zip(times, levels, strict=True):
        points += [(time, points[-1][1]), (time, level)]
    points.append((end, points[-1][1]))
    return [(x(time), y(level)) for time, level in points]


FIRST = corners(TIMES, LEVELS, 30.0)
SECOND = corners(OTHER_TIMES, OTHER_LEVELS, 25.0)


def line(points: Points, style: str) -> str:
    places = " ".join(f"{across:.3f},{along:.3f}" for across, along in points)
    return f'<polyline points="{places}" style="fill:none;{style}"/>'


def pieces(points: Points, style: str) -> list[str]:
    """Return a curve as one element a piece."""
    return [
        f'<line x1="{a:.3f}" y1="{b:.3f}" x2="{c:.3f}" y2="{d:.3f}" style="{style}"/>'
        for (a, b), (c, d) in itertools.pairwise(points)
    ]


def outline(points: Points, width: float, colour: str) -> str:
    """Return a curve as the filled outline of its line."""
    half, last = width / 2, len(points) - 1
    upper = [(a if i in (0, last) else a + half, b - half) for i, (a, b) in enumerate(points)]
    lower = [(a if i in (0, last) else a - half, b + half) for i, (a, b) in enumerate(points)]
    places = "L".join(f"{a:.3f} {b:.3f}" for a, b in [*upper, *lower[::-1]])
    return f'<path d="M{places}Z" fill="{colour}"/>'


def key(height: float, name: str, style: str) -> str:
    text = f'<text x="280" y="{height + 3.5}" font-size="10">{name}</text>'
    return f'<line x1="250" y1="{height}" x2="275" y2="{height}" style="{style}"/>{text}'


LEGEND = key(60, "Alpha", RED) + key(75, "Beta", BLUE)
ARMS = line(FIRST, RED) + line(SECOND, BLUE) + LEGEND
ALPHA = line(FIRST, RED) + key(60, "Alpha", RED)


def axes(
    time: Callable[[float], str] = "{:g}".format, level: Callable[[float], str] = "{:.1f}".format, title: str = "Months"
) -> str:
    """Return both axes with ticks and labels."""
    parts = ['<path d="M60 250H360M60 250V45" stroke="black" fill="none"/>']
    for value in (0, 10, 20, 30):
        parts.append(f'<path d="M{x(value)} 250v5" stroke="black"/>')
        parts.append(f'<text x="{x(value)}" y="268" font-size="10" text-anchor="middle">{time(value)}</text>')
    for value in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(f'<path d="M60 {y(value)}h-5" stroke="black"/>')
        parts.append(f'<text x="52" y="{y(value) + 3.6}" font-size="10" text-anchor="end">{level(value)}</text>')
    parts.append(f'<text x="210" y="285" font-size="10" text-anchor="middle">{title}</text>')
    return "\n".join(parts)


def figure(body: str, box: str = "0 0 400 330", **labels: object) -> str:
    """Return a whole file: axes and what is drawn on them."""
    return HEAD.format(box=box) + axes(**labels) + body + "</svg>"  # type: ignore[arg-type]


def whole(inside: str, box: str) -> str:
    """Return a file of anything."""
    return HEAD.format(box=box) + inside + "</svg>"
