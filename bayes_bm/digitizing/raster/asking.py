"""Which arms are asked for in a picture: those that a person gives, else those of the legend."""

from collections.abc import Sequence

import numpy as np

from bayes_bm.digitizing import given as saying
from bayes_bm.digitizing.calibration import Calibration, GivenArm
from bayes_bm.digitizing.figure import Finding
from bayes_bm.digitizing.raster.arms import Search, Traced, Wanted
from bayes_bm.digitizing.raster.colours import Crop, inks
from bayes_bm.digitizing.raster.ink import Array
from bayes_bm.digitizing.raster.keys import DrawnKey

_ALIKE = 62.0
"""Grey values by which the ink of a line may differ from the colour that a person gives."""
_REACH = 3
"""Pixels around a given point in which the ink of its line is."""


def wanted_arms(keys: Sequence[DrawnKey], given: Calibration, area: Crop) -> list[Wanted]:
    """Return what a person, or else the legend, asks for.

    Where a person gives arms, they are all there are; those with corners, and those that are no arms, need no line.
    """
    if given.arms:
        wanted: list[Wanted] = []
        for arm in given.traced_arms:
            colour = _colour(arm, keys, area, wanted)
            if colour is not None:
                wanted.append(_asked(arm, colour, area))
        return wanted
    none = np.zeros((0, 2))
    return [Wanted(key.colour, key.kind, key.name, "legend", none, stroke=key.stroke) for key in keys]


def _asked(arm: GivenArm, colour: Array, area: Crop) -> Wanted:
    corner = np.array([area.left, area.top], float)
    points = np.array(arm.through, float).reshape(-1, 2) - corner
    return Wanted(colour, "dashed" if arm.dash else "solid", arm.name, arm.source, points, arm)


def _colour(arm: GivenArm, keys: Sequence[DrawnKey], area: Crop, others: Sequence[Wanted]) -> Array | None:
    """Colour (3,) of an arm: as given, at the points given, of its key, else of an ink that no other arm has."""
    if arm.colour is not None:
        return np.array(arm.colour) * 255.0
    if arm.through:
        return _ink_at(arm, area)
    named = [key.colour for key in keys if key.name == arm.name]
    free = [ink.colour for ink in inks(area) if all(np.abs(ink.colour - o.colour).max() > _ALIKE for o in others)]
    return next(iter([*named, *free]), None)


def _ink_at(arm: GivenArm, area: Crop) -> Array | None:
    """Median (3,) of the pixels furthest from the paper around the given points."""
    colours = []
    for x, y in arm.through:
        column, row = int(x) - area.left, int(y) - area.top
        if 0 <= column < area.columns and 0 <= row < area.rows:
            part = np.s_[max(row - _REACH, 0) : row + _REACH + 1, max(column - _REACH, 0) : column + _REACH + 1]
            distances = area.far[part]
            colours.append(area.pixels[part][np.unravel_index(int(distances.argmax()), distances.shape)])
    return np.median(np.array(colours, float), axis=0) if colours else None


def only_asked(traced: Search, given: Calibration) -> Search:
    """Return a search in which the arms that a person gives are all there are; other lines are odd.

    A line in the colour of an arm that the person drops, or gives by its corners, is not odd.
    """
    if not given.arms:
        return traced
    answered = [
        np.array(arm.colour) * 255.0 for arm in given.arms if arm.colour is not None and (arm.drop or arm.corners)
    ]
    spare = [arm for arm in (*traced.arms, *traced.odd) if arm.wanted.asked is None]
    odd = [arm for arm in spare if all(np.abs(arm.wanted.colour - colour).max() > _ALIKE for colour in answered)]
    return Search(tuple(arm for arm in traced.arms if arm.wanted.asked is not None), (), tuple(odd))


def asked_findings(given: Calibration, arms: Sequence[Traced | None], traced: Search) -> list[Finding]:
    """Return the questions where the lines of given arms are."""
    if not given.arms:
        return []
    seen = {id(arm.wanted.asked) for arm in arms if arm is not None}
    return saying.without_line([saying.Asked(arm, None) for arm in given.traced_arms if id(arm) not in seen])
