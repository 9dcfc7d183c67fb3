"""Arms of a panel: a traced line for each key of the legend; without one, for each ink that runs from (0, 1)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.digitizing.calibration import GivenArm
from bayes_bm.digitizing.raster.colours import Crop, Ink, line_width, of_rival, unmixed, width_along
from bayes_bm.digitizing.raster.cutting import Samples, misfit
from bayes_bm.digitizing.raster.dashes import by_dashes
from bayes_bm.digitizing.raster.ink import Array
from bayes_bm.digitizing.raster.levels import Drops, Staircase, edge_samples, staircase, with_last_drop, with_marks
from bayes_bm.digitizing.raster.marking import mark_shape
from bayes_bm.digitizing.raster.tracing import Path, closed, covered, trace, without_bars

_DASHED = ("dashed", "dotted")
_ORDER = {"solid": 0, "patch": 0, "dashed": 1, "dotted": 2}
_ALIKE = 62.0
"""Grey values by which a key may differ from the ink of its line: thin keys are paler in a JPEG."""
_TWO_INKS = 30.0
"""Grey values between the keys of two solid lines from which these have two inks."""
_PALEST, _SAME_WAY = 0.6, 15.0
"""How much of its ink a key shows at least where it is paler, and grey values by which it may be off that tint."""
_AWAY = 0.8
"""How far from the paper an ink is at least, as a share of how far its key is."""
_LEAST_COVERAGE = 0.55
"""Share of a traced line that must be its own ink where nothing hides it."""
_BARE = 0.4
"""Share of a line's drops without a stroke above which it is a level line that the way fell upon."""
_SURE_COVERAGE = 0.85
"""The same for a line that no key asks for."""
_UNDER_LINE = 0.6
"""Cost of a column hidden by a line of the same colour: an arm rarely lies on another for long."""
_WIDER = 1.15
"""How much wider than first thought a line must be along its traced way to be traced again."""
_AS_WELL, _SLACK = 1.5, 0.3
"""How much worse edges may fit a line whose drops are patients': a misread number of patients fits far worse."""
_LESS_SEEN = 0.03
"""Share of its ink that a line traced again may lose."""

_MORE_INK = 0.03
"""Share of its columns by which a way down the slopes of dashes must show more ink than one along rows."""
_VEIL, _OFF_WAY, _OWN_COLOUR = (0.12, 0.55), 20.0, 30.0
"""How much of another arm's colour its band adds to a line beneath, at least and at most; grey values by which that
mixture may be off, and by which it differs from the colours of all arms."""
_GAVE_UP = 0.25
"""Share of the other way's length below which a way has ended early: too many gaps lay in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Hold what is known of an arm before it is traced.

    Attributes
    ----------
    colour
        Floats (3,), 0 to 255.
    kind
        `solid`, `dashed`, `dotted` or `patch`.
    name
        Of its key; empty where no key asks for it.
    source
        `legend`, `given` or `none`.
    points
        Floats (points, 2): places in the panel (column, row) through which the line runs.
    asked
        What a person said of the arm; None where the legend, or nobody, asks for it.
    stroke
        Length of the dashes of its key, in pixels; 0 where none is known.
    """

    colour: Array
    kind: str
    name: str
    source: str
    points: Array
    asked: GivenArm | None = None
    stroke: float = 0.0


@dataclass(frozen=True, slots=True)
class Start:
    """Hold where curves start in a panel: column of time 0, row of survival 1; and the row of survival 0."""

    column: int
    row: float
    zero: float


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """Hold a traced arm: what was wanted, its membership and what hides it (rows, columns), its way and its steps.

    `dashed_instead` says that its key looks solid and its line is dashed.
    """

    wanted: Wanted
    share: Array
    cover: Array
    width: float
    path: Path
    samples: Samples
    line: Staircase
    dashed_instead: bool = False

    @property
    def inked(self) -> float:
        """Share of the columns in which the line itself is ink, gaps of dashes not closed."""
        return _inked(self.path, self.share)


def _inked(path: Path, share: Array) -> float:
    """Share of the columns of a way in which there is ink of a membership (rows, columns)."""
    columns = np.arange(path.start, path.end)
    rows = np.clip(path.rows[:, None] + np.array([-1, 0, 1]), 0, share.shape[0] - 1)
    return float((share[rows, columns[:, None]].max(axis=1, initial=0.0) > 0.4).mean()) if len(columns) else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Hold the arms of a panel, the wanted ones for which there is no line, and lines that a full legend leaves out."""

    arms: tuple[Traced, ...]
    missing: tuple[Wanted, ...]
    odd: tuple[Traced, ...]


def search(panel: Crop, wanted: Sequence[Wanted], inks: Sequence[Ink], start: Start) -> Search:
    """Return the traced arms of a panel.

    Parameters
    ----------
    panel
        Pixels of the panel.
    wanted
        What keys or a person ask for; empty where nothing does.
    inks
        Of the panel's lines.
    start
        Where curves start.
    """
    arms: list[Traced] = []
    missing: list[Wanted] = []
    paper = panel.paper_colour
    groups = _groups(wanted, inks, paper)
    for group in groups:
        others = [other[0].colour for other in groups if other is not group]
        rivals = [other[0].colour for other in groups if other is not group and _rivals(group, other)]
        shares = _shares(panel, group[0].colour, _veiled(group[0].colour, others, inks), rivals)
        traced, absent = _trace_group(shares, group, start)
        arms += traced
        missing += absent
    arms = _by_marks(arms, start)
    complete = bool(wanted) and not missing
    spare: list[Traced] = []
    for ink in _spare(panel, inks, wanted):
        if not wanted or ink.chromatic:
            spare += _unasked(panel, ink, start, arms)
    kept = _apart([*arms, *_by_marks(spare, start)])
    odd = [arm for arm in kept if not arm.wanted.name]
    if complete:
        return Search(tuple(arm for arm in kept if arm.wanted.name), (), tuple(odd))
    return Search(tuple(kept), tuple(missing), ())


def _by_marks(arms: list[Traced], start: Start) -> list[Traced]:
    """The arms with the levels that their censor marks show, where those hide the edges of the line."""
    shape = mark_shape([arm.share for arm in arms], [arm.line for arm in arms], [arm.width for arm in arms])
    return arms if shape is None else [_with_marks(arm, shape.half, start.zero) for arm in arms]


def _with_marks(arm: Traced, half: float, zero: float) -> Traced:
    samples = with_marks(arm.samples, (arm.share, arm.cover), arm.path, half)
    if samples is arm.samples:
        return arm
    line = staircase(samples, arm.path, arm.share, arm.width)
    if line is None:
        return arm
    return replace(arm, samples=samples, line=with_last_drop(line, arm.share, arm.width, zero))


def with_drops(arm: Traced, known: Drops, zero: float) -> Traced:
    """Return an arm whose drops are as is known of them, where its edges fit as well.

    Parameters
    ----------
    arm
        As it was fitted to pixels.
    known
        What is known of them.
    zero
        Row of survival 0.
    """
    line = staircase(arm.samples, arm.path, arm.share, arm.width, known)
    if line is None or _unfit(arm.samples, line) > _AS_WELL * _unfit(arm.samples, arm.line) + _SLACK:
        return arm
    return replace(arm, line=with_last_drop(line, arm.share, arm.width, zero))


def _unfit(samples: Samples, line: Staircase) -> float:
    """Mean squared misfit of the edges that were measured, in squared standard deviations, none counted above 12."""
    off = misfit(samples, line.places, line.levels)[samples.weight == 1.0]
    off = off[np.isfinite(off)] / line.noise
    return float(np.minimum(off * off, 12.0).mean()) if len(off) else 0.0


def _groups(wanted: Sequence[Wanted], inks: Sequence[Ink], paper: Array) -> list[list[Wanted]]:
    """Wanted arms by ink, the solid one first; each takes the colour of its ink."""
    groups: list[list[Wanted]] = []
    for item in wanted:
        colour = _ink_of(item.colour, inks, paper)
        if any(_nearer(other, item, colour) for other in wanted):
            colour = item.colour
        same = [group for group in groups if np.abs(group[0].colour - colour).max() < 12]
        if same:
            same[0].append(_with_colour(item, colour))
        else:
            groups.append([_with_colour(item, colour)])
    return [sorted(group, key=lambda item: _ORDER.get(item.kind, 0)) for group in groups]


def _nearer(other: Wanted, item: Wanted, ink: Array) -> bool:
    """Whether an ink is another key's: that is of the same kind, of a different colour, and closer to the ink."""
    apart, off = np.abs(other.colour - item.colour).max(), np.abs(item.colour - ink).max()
    return bool(other.kind == item.kind and apart > _TWO_INKS and np.abs(other.colour - ink).max() < off)


def _rivals(group: Sequence[Wanted], other: Sequence[Wanted]) -> bool:
    """Whether two groups have two inks: in poor pictures a dashed line is a paler shade of a solid one's ink."""
    apart = np.abs(group[0].colour - other[0].colour).max()
    return bool(apart > _ALIKE or (apart > _TWO_INKS and {one.kind for one in group} == {one.kind for one in other}))


def _ink_of(key: Array, inks: Sequence[Ink], paper: Array) -> Array:
    """The colour (3,) of the ink that a key is drawn with, its own where none is like it.

    A thin key may be nearer to the paper than its ink, and is never much further: no black one is of a grey line.
    """
    away = float(np.abs(key - paper).max())
    able = [ink.colour for ink in inks if np.abs(ink.colour - paper).max() > _AWAY * away]
    nearest = min(able, key=lambda colour: np.abs(colour - key).max(), default=key)
    paler = nearest - paper, key - paper
    share = float(paler[0] @ paler[1] / max(paler[0] @ paler[0], 1.0))
    tint = share > _PALEST and np.abs(paler[1] - share * paler[0]).max() < _SAME_WAY
    return nearest if tint or np.abs(nearest - key).max() < _ALIKE else key


def _with_colour(item: Wanted, colour: Array) -> Wanted:
    return replace(item, colour=colour)


def _veiled(colour: Array, others: Sequence[Array], inks: Sequence[Ink]) -> list[Array]:
    """The colours of inks that one shows under the bands of other arms: on the way from it to one of theirs."""
    found: list[Array] = []
    for ink in inks:
        if any(np.abs(ink.colour - other).max() < _OWN_COLOUR for other in (colour, *others)):
            continue
        for other in others:
            way, part = other - colour, ink.colour - colour
            share = float(part @ way / max(way @ way, 1.0))
            if _VEIL[0] < share < _VEIL[1] and float(np.linalg.norm(part - share * way)) < _OFF_WAY:
                found.append(ink.colour)
                break
    return found


def _trace_group(
    shares: tuple[Array, Array], group: Sequence[Wanted], start: Start
) -> tuple[list[Traced], list[Wanted]]:
    """The lines of one ink, solid first: each is taken out before the next is traced."""
    share, cover = shares
    width = line_width(share)
    arms, missing = [], []
    for item in group:
        arm = _traced(item, share, cover, width, start, second=bool(arms))
        if item.kind == "solid" and (arm is None or arm.path.coverage < _LEAST_COVERAGE):
            arm = _dashed_instead(item, share, cover, width, start, second=bool(arms))
        if arm is None or arm.path.coverage < _LEAST_COVERAGE:
            missing.append(item)
            continue
        arms.append(arm)
        taken = covered(arm.path, share.shape, arm.width)
        share, cover = np.where(taken, 0.0, share), np.where(taken, 1.0, cover)
    return by_dashes(_of_dashed(arms, missing)), missing


def _of_dashed(arms: list[Traced], missing: list[Wanted]) -> list[Traced]:
    """The arms, with a dashed line that was found for a solid key as that of a dashed key that found none.

    The key is put in the place of the other among the `missing`.
    """
    result = list(arms)
    for index, arm in enumerate(arms):
        dashed = next((item for item in missing if item.kind in _DASHED), None)
        if arm.dashed_instead and dashed is not None:
            missing[missing.index(dashed)] = replace(arm.wanted, kind="solid")
            result[index] = replace(arm, wanted=dashed, dashed_instead=False)
    return result


def _dashed_instead(
    item: Wanted, share: Array, cover: Array, width: float, start: Start, *, second: bool
) -> Traced | None:
    """The dashed line of a key on which no gap shows, for its mark hides it or the key is one dash long."""
    arm = _traced(replace(item, kind="dashed"), share, cover, width, start, second=second)
    sure = arm is not None and _is_arm(arm, share.shape[1], _SURE_COVERAGE)
    return replace(arm, dashed_instead=True) if arm is not None and sure else None


def _shares(
    panel: Crop, colour: Array, veiled: Sequence[Array] = (), rivals: Sequence[Array] = ()
) -> tuple[Array, Array]:
    """How much an ink covers each pixel (rows, columns), under bands too, and how much something else hides it.

    `rivals` are the colours of other arms.
    """
    shares = unmixed(panel, colour)
    own, other = shares.share, shares.other
    for paler in veiled:
        under = unmixed(panel, paler)
        more = under.share > own
        own, other = np.where(more, under.share, own), np.where(more, under.other, other)
    for rival in rivals:
        lines = of_rival(panel, colour, rival)
        own, other = np.where(lines, 0.0, own), np.where(lines, 1.0, other)
    return np.where(panel.hidden, 0.0, own), np.where(panel.hidden, 1.0, other)


def _traced(item: Wanted, share: Array, cover: Array, width: float, start: Start, *, second: bool) -> Traced | None:
    gap = 5 * width + 2 if item.kind in _DASHED else 0.0
    hidden_cost = _UNDER_LINE if second else 0.35
    corner = (start.column, start.row)
    image = _guided(closed(share, gap) if gap else share, item.points, width)
    path = trace(image, cover, width, corner, hidden_cost)
    if gap:
        dashes = without_bars(share, width)
        sloping = _guided(closed(dashes, gap, slopes=True), item.points, width)
        other = trace(sloping, cover, width, corner, hidden_cost)
        if _surer(other, path, dashes):
            image, path = sloping, other
    if len(path.rows) < 5:
        return None
    measured = width_along(share, path.rows, path.start)
    if measured is not None and measured > _WIDER * width:  # bars of marks, or halves that another line covers
        wider = trace(image, cover, measured, corner, hidden_cost)
        if wider.coverage > path.coverage - _LESS_SEEN and len(wider.rows) > 0.9 * len(path.rows):
            path, width = wider, measured
    samples = edge_samples(share, cover, path, width, dashed=gap > 0)
    line = staircase(samples, path, share, width)
    if line is None:
        return None
    line = with_last_drop(line, share, width, start.zero)
    return Traced(item, share, cover, width, path, samples, line)


def _surer(one: Path, two: Path, dashes: Array) -> bool:
    """Whether a way of a dashed line shows more ink than another one, or goes on where that has ended early."""
    return len(two.rows) < _GAVE_UP * len(one.rows) or _inked(one, dashes) > _inked(two, dashes) + _MORE_INK


def _guided(share: Array, points: Array, width: float) -> Array:
    """A membership (rows, columns) with nothing but the given points in their columns."""
    if len(points) == 0:
        return share
    result = share.copy()
    half = max(2, round(width / 2))
    for column, row in np.rint(points).astype(int):
        if 0 <= column < share.shape[1] and 0 <= row < share.shape[0]:
            result[:, column] = 0.0
            result[max(row - half, 0) : row + half + 1, column] = 1.0
    return result


def _spare(panel: Crop, inks: Sequence[Ink], wanted: Sequence[Wanted]) -> list[Ink]:
    """The inks that no wanted arm has and that are no tint of a stronger, coloured one."""
    spare: list[Ink] = []
    paper = panel.paper_colour
    strong = [ink for ink in inks if ink.chromatic]
    for ink in inks:
        asked = any(np.abs(ink.colour - item.colour).max() < _ALIKE for item in wanted)
        if not asked and not any(_is_tint(ink.colour, other.colour, paper) for other in strong if other is not ink):
            spare.append(ink)
    return spare


def _is_tint(colour: Array, full: Array, paper: Array) -> bool:
    """Whether a colour is a lighter shade of a full one on its paper."""
    way, part = full - paper, colour - paper
    share = float(part @ way / max(way @ way, 1.0))
    residual = float(np.linalg.norm(part - share * way))
    return 0.0 < share < 0.75 and residual < 34.0


def _unasked(panel: Crop, ink: Ink, start: Start, others: Sequence[Traced]) -> list[Traced]:
    """The lines of an ink that no key asks for: a solid one, or a dashed one, and a dashed one beside a solid black."""
    solid = Wanted(ink.colour, "solid", "", "none", np.zeros((0, 2)))
    dashed = Wanted(ink.colour, "dashed", "", "none", np.zeros((0, 2)))
    share, cover = _shares(panel, ink.colour)
    width = line_width(share)
    arms: list[Traced] = []
    first = _traced(solid, share, cover, width, start, second=False)
    if first is None or not _is_arm(first, panel.columns, _SURE_COVERAGE):
        first = _traced(dashed, share, cover, width, start, second=False)
    if first is None or not _is_arm(first, panel.columns, _SURE_COVERAGE):
        return []
    arms.append(first)
    if not ink.chromatic and not others:
        taken = covered(first.path, share.shape, first.width)
        rest, hidden = np.where(taken, 0.0, share), np.where(taken, 1.0, cover)
        second = _traced(dashed, rest, hidden, width, start, second=True)
        if second is not None and _is_arm(second, panel.columns, _SURE_COVERAGE) and second.path.hidden.mean() < 0.4:
            arms.append(second)
    return arms


def _is_arm(arm: Traced, columns: int, least: float) -> bool:
    """Whether a traced line looks like a curve: its own ink, from the start on, long and falling."""
    path = arm.path
    early = max(5, int(0.1 * (columns - path.start)))
    seen_early = path.seen[:early].mean() + path.hidden[:early].mean() > 0.5
    long = len(path.rows) > 0.1 * (columns - path.start)
    falls = float(path.rows[-1] - path.rows[0]) > max(2.0, 0.5 * arm.width)
    return bool(
        path.coverage >= least and path.bare < _BARE and path.hidden.mean() < 0.5 and seen_early and long and falls
    )


def _apart(arms: Sequence[Traced]) -> list[Traced]:
    """The arms without those that lie on another one for most of their length and that no key asks for."""
    kept: list[Traced] = []
    for arm in sorted(arms, key=lambda arm: (arm.wanted.name == "", -arm.path.coverage)):
        if arm.wanted.name or not any(_on_top(arm.path, other.path, max(arm.width, other.width)) for other in kept):
            kept.append(arm)
    return kept


def _on_top(one: Path, two: Path, width: float) -> bool:
    """Whether a path lies within a line's width of another for 80 % of its length."""
    first, last = max(one.start, two.start), min(one.end, two.end)
    if last - first < 0.5 * len(one.rows):
        return False
    gaps = np.abs(one.rows[first - one.start : last - one.start] - two.rows[first - two.start : last - two.start])
    return float((gaps <= width + 1).sum()) > 0.8 * len(one.rows)
