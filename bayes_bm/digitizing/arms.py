"""From a line on the page to an arm's curve: canonical corners in axis units, cut where the panel ends."""

from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.figure import Panel
from bayes_bm.digitizing.roles import survival
from bayes_bm.digitizing.scene import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Hold the corners of an arm.

    Attributes
    ----------
    corners
        Floats (corners, 2): x, y in figure units.
    time, survival
        Floats (corners,): start at (0, 1); neighbours share one of both exactly.
    cut
        `right` or `below` where the line ran out of the panel there, else empty.
    """

    corners: Floats
    time: Floats
    survival: Floats
    cut: str


def curve(points: Floats, panel: Panel) -> Curve:
    """Return the curve of a step line's corners (points, 2), which runs to the right and falls."""
    points, cut = _within(points, panel)
    time, height = panel.time.value(points[:, 0]), survival(panel, points[:, 1])
    time, height = np.maximum(time, 0.0), np.clip(height, 0.0, 1.0)
    first = height == height[0]
    time[points[:, 0] == points[0, 0]] = 0.0
    height[np.cumprod(first).astype(bool)] = 1.0
    height = np.minimum.accumulate(height)
    height[height < 1e-4] = 0.0
    return Curve(points, rounded_times(time, panel), np.round(height, 6), cut)


def rounded_times(times: Floats, panel: Panel) -> Floats:
    """Return times to a millionth of the axis: 32-bit places of a PDF make 52 out of 52.0000004."""
    span = abs(float(panel.time.value(panel.box.right) - panel.time.value(panel.box.left)))
    return np.round(times, max(6 - int(np.floor(np.log10(max(span, 1e-9)))), 0))


def _within(points: Floats, panel: Panel) -> tuple[Floats, str]:
    """Return the part of a line inside the panel, and where it leaves."""
    box = panel.box
    slack = 1e-3 * max(box.width, box.height)
    cut = ""
    low = np.flatnonzero(points[:, 1] > box.bottom + slack)
    if len(low):
        points, cut = points[: low[0]], "below"
    late = np.flatnonzero(points[:, 0] > box.right + slack)
    if len(late):
        last = points[late[0] - 1]
        points, cut = np.vstack([points[: late[0]], [box.right, last[1]]]), "right"
    return points, cut
