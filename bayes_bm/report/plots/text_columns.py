"""Words and columns of numbers beside the lines of a figure, one line a row."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from bayes_bm.report.plots.style import INK

LETTER = 0.066
"""Inches of a letter."""
LINE = 0.27
"""Inches of a line."""
GAP = 0.25
"""Inches between columns of text."""


def column_widths(heads: Sequence[str], texts: Sequence[Sequence[str]]) -> list[float]:
    """Return the inches that each column takes: its longest text, and the gap to the next."""
    longest = [max(len(head), *(len(cells[column]) for cells in texts)) for column, head in enumerate(heads)]
    return [GAP + LETTER * letters for letters in longest]


def write_cells(
    axes: Axes,
    texts: Sequence[str],
    widths: Sequence[float],
    y: float,
    *,
    begin: float,
    fontsize: float,
    color: str = INK,
) -> None:
    """Write the cells of the row at `y` to the right of the axes, the first `begin` inches from them."""
    offset = begin
    for text, width in zip(texts, widths, strict=True):
        write_text(axes, text, (1, y), 72 * offset, fontsize=fontsize, color=color)
        offset += width


def write_text(
    axes: Axes,
    text: str,
    place: tuple[float, float],
    offset: float,
    *,
    fontsize: float,
    color: str = INK,
    bold: bool = False,
) -> None:
    """Write a text `offset` points to the right of a place (share of the axes' width, row)."""
    axes.annotate(
        text,
        place,
        xycoords=("axes fraction", "data"),
        xytext=(offset, 0),
        textcoords="offset points",
        va="center",
        fontsize=fontsize,
        fontweight="bold" if bold else "normal",
        color=color,
        annotation_clip=False,
    )
