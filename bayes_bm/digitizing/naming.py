"""Which name belongs to which line: legend first, then words beside lines, then the rows of the table."""

import re
from collections.abc import Sequence

import numpy as np

from bayes_bm.digitizing.figure import ArmLine
from bayes_bm.digitizing.formats.affine import bounds
from bayes_bm.digitizing.legend import Key, Legend, Look, Name, beside_lines, legend
from bayes_bm.digitizing.roles import Roles
from bayes_bm.digitizing.scene import Box, Scene, Text
from bayes_bm.digitizing.segments import Segment
from bayes_bm.digitizing.steps import StepLine
from bayes_bm.digitizing.table import Table, names_by_colour

_LONGEST = 0.2
"""Length of a key as a share of the page's width."""
_PALE = 0.8
"""Least channel of a colour from which on a level line is a grid line whatever a legend says."""

_NUMBER = re.compile(r"\bn\s*=\s*(\d+)", re.IGNORECASE)
"""Number of patients as a legend prints it: `control (n = 120)`."""


def number_in_name(name: str) -> int | None:
    """Return the number of patients that an arm's name prints; None where it prints none.

    >>> number_in_name("control (n = 120)")
    120
    """
    printed = _NUMBER.search(name)
    return int(printed.group(1)) if printed else None


def keys(scene: Scene, pieces: Sequence[Segment], kinds: Roles) -> list[Key]:
    """Return the short level lines and small patches of a scene that may be keys of a legend."""
    curves = {id(stroke) for line in (*kinds.arms, *kinds.limits, *kinds.rising) for stroke in line.strokes}
    longest = _LONGEST * scene.width
    entries = [
        Key(piece.colour, piece.dash, piece.width, Box(piece.low, piece.place, piece.high, piece.place))
        for piece in pieces
        if not piece.upright and piece.length <= longest and id(piece.stroke) not in curves
    ]
    for stroke in scene.strokes:
        if stroke.fill is not None and stroke.closed and len(stroke.points) in (4, 5):
            box = bounds(stroke.points)
            if 0 < box.width <= longest and 0 < box.height <= 0.06 * scene.height:
                entries.append(Key(stroke.fill, (), stroke.width, box, line=False))
    return entries


def look(line: StepLine) -> Look:
    """Return how a line is drawn."""
    return Look(line.colour, line.dash, line.width, line.points)


def with_level(kinds: Roles, entries: Sequence[Key], words: Sequence[Text]) -> list[StepLine]:
    """Return the arms, and lines without a step whose look a legend's key shares: arms without an event."""
    named = legend(entries, words, [look(line) for line in (*kinds.arms, *kinds.level)]).names[len(kinds.arms) :]
    pairs = zip(kinds.level, named, strict=True)
    return [*kinds.arms, *(line for line, name in pairs if name is not None and max(line.colour) < _PALE)]


def names(said: Legend, words: Sequence[Text], lines: Sequence[StepLine], box: Box, table: Table) -> list[Name]:
    """Return the name of each line: of the legend, of words beside it, of the table, else a number."""
    looks = [look(line) for line in lines]
    labelled = list(said.names)
    if any(name is None for name in labelled):
        words_near = beside_lines(words, looks, box, [*said.texts, *table.texts])
        labelled = [name or other for name, other in zip(labelled, words_near, strict=True)]
    labelled = [name or other for name, other in zip(labelled, names_by_colour(table, looks), strict=True)]
    return completed(labelled, table)


def completed(labelled: Sequence[Name | None], table: Table) -> list[Name]:
    """Return a name for every line: the only one without has the table's only row without a line, else a number.

    A name that two lines have says nothing of either.
    """
    said = [name.name for name in labelled if name is not None]
    whole = [name if name is not None and said.count(name.name) == 1 else None for name in labelled]
    missing = [index for index, name in enumerate(whole) if name is None]
    labels = [row.label for row in table.rows if row.kind == "at_risk" and row.label]
    free = [label for label in labels if all(name is None or name.name != label for name in whole)]
    if len(missing) == 1 and len(free) == 1 and len(labels) == len(whole):
        whole[missing[0]] = Name(free[0], "table")
    return [name or Name(f"arm {index}", "none") for index, name in enumerate(whole, 1)]


def order(first: Sequence[int], arms: Sequence[ArmLine]) -> list[int]:
    """Return the arms that the legend puts first, in its order, then the others from the highest line down."""
    area = [float(np.sum(np.diff(arm.time) * arm.survival[:-1]) / max(arm.time[-1], 1e-9)) for arm in arms]
    rest = sorted((index for index in range(len(arms)) if index not in first), key=lambda index: -area[index])
    return [*first, *rest]
