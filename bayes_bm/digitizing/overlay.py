"""The picture that a person looks at: the figure, pale, and everything that was read from it on top."""

from typing import Any

import numpy as np

from bayes_bm.digitizing.canvas import Canvas
from bayes_bm.digitizing.figure import ArmLine, FigureReading, Panel
from bayes_bm.digitizing.ink import mark_places

PALE = 0.55
"""How far the figure is faded towards white, so that lines of its own colours are seen on it."""
COLOURS = ("#d40078", "#0057d4", "#008a3c", "#b35c00", "#6a00d4", "#007d8a")
"""Of lines drawn on the figure: none is the default of a plotting program."""
INCHES = 10.0
"""Of the longer side."""


def draw_overlay(canvas: Canvas, reading: FigureReading, words: str = "") -> Any:
    """Return a matplotlib figure: the canvas and the reading on it, with `words` (the verdict) above."""
    from matplotlib.figure import Figure

    rows, columns = canvas.pixels.shape[:2]
    size = INCHES / max(rows, columns)
    page = Figure(figsize=(columns * size, rows * size + 0.6))
    axes = page.add_axes((0, 0, 1, rows * size / (rows * size + 0.6)))
    axes.set_axis_off()
    pale = 255 - (255 - canvas.pixels.astype(float)) * (1 - PALE)
    axes.imshow(pale.astype(np.uint8), extent=(0, columns, rows, 0), interpolation="none")
    if reading.panel is not None:
        _draw_panel(axes, canvas, reading.panel)
    for arm, colour in zip(reading.arms, _cycle(len(reading.arms)), strict=True):
        _draw_arm(axes, canvas, arm, colour)
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    if reading.arms:
        axes.legend(loc="upper right", fontsize=8, framealpha=0.8)
    page.text(0.01, 0.99, words, va="top", fontsize=8, wrap=True)
    return page


def _cycle(count: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]


def _draw_panel(axes: Any, canvas: Canvas, panel: Panel) -> None:
    """Draw the panel's box, and where each tick was read, with its value."""
    from matplotlib.patches import Rectangle

    box, scale = panel.box, canvas.scale
    place = (box.left * scale, box.top * scale)
    axes.add_patch(Rectangle(place, box.width * scale, box.height * scale, fill=False, ec="#00a0c0", lw=0.8, ls=":"))
    for value, x in zip(panel.time.values, panel.time.places * scale, strict=True):
        axes.plot([x, x], [box.bottom * scale - 6, box.bottom * scale + 6], color="#00a0c0", lw=1)
        axes.text(x, box.bottom * scale - 8, f"{value:g}", color="#00a0c0", fontsize=7, ha="center", va="bottom")
    for value, y in zip(panel.level.values, panel.level.places * scale, strict=True):
        axes.plot([box.left * scale - 6, box.left * scale + 6], [y, y], color="#00a0c0", lw=1)
        axes.text(box.left * scale + 8, y, f"{value:g}", color="#00a0c0", fontsize=7, ha="left", va="center")


def _draw_arm(axes: Any, canvas: Canvas, arm: ArmLine, colour: str) -> None:
    """Draw an arm's line thin, so that its own ink shows on both sides, and its censor marks."""
    points = canvas.place(arm.corners)
    style = (0, (6, 2)) if arm.dash else "solid"
    axes.plot(points[:, 0], points[:, 1], color=colour, lw=0.9, ls=style, label=arm.name)
    marks = canvas.place(mark_places(arm))
    if len(marks):
        axes.plot(marks[:, 0], marks[:, 1], ls="", marker="|", ms=9, mew=0.8, color=colour)
