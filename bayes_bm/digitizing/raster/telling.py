"""What has to be told of the arms of a picture: never a wrong curve without a word."""

from collections.abc import Iterator, Sequence

import numpy as np

from bayes_bm.digitizing.figure import ArmLine, Finding
from bayes_bm.digitizing.raster.arms import Search, Traced
from bayes_bm.digitizing.raster.bridging import both_dashed, starts_hidden

_SEEN = 0.9
"""Share of a line's own ink below which its trace is in doubt."""
_BARE = 0.3
"""Share of a line's drops without a stroke above which the trace is in doubt."""
_BRIDGED = 0.4
"""Share of a dashed line that must be ink: dashes of all programs are longer than their gaps."""
_HIDDEN = 0.05
"""Share of a line that may be hidden without a question."""

_BEHIND_END = 3.0
"""Widths of a line behind its end in which other ink may hide that it runs on."""
_RUNS_ON, _SHADE, _GOES_ON = 12.0, 0.25, 0.9
"""Widths behind a line's end along which a paler one is looked for, by how much it stands out from what is beside it,
and in what share of the columns."""


def arm_findings(
    arms: Sequence[Traced | None], traced: Search, lines: Sequence[ArmLine], legend: bool
) -> list[Finding]:
    """Return what has to be told of the arms of a panel; None among `arms` stands for one whose corners are given."""
    findings = [
        Finding(
            "legend_without_line",
            "question",
            f"The legend names {item.name}, but no line in its colour runs from (0, 1).",
            f'[[arms]]: name = "{item.name}", corners = [[time, survival], ...]',
        )
        for item in traced.missing
    ]
    findings += [
        Finding(
            "line_without_entry",
            "question",
            f"A line in the colour {_hexadecimal(odd)} falls from (0, 1), but the legend does not name it.",
            '[[arms]]: name, colour; or accepted = ["line_without_entry"]',
        )
        for odd in traced.odd
    ]
    if not arms:
        findings.append(
            Finding(
                "no_curve",
                "error",
                "No line falls from (0, 1) in the panel.",
                "[[arms]]: through = [[x, y], ...]",
            )
        )
    for index, (arm, line) in enumerate(zip(arms, lines, strict=True)):
        if arm is not None:
            findings += _one(index, arm, line, legend, alone=len(arms) == 1 and not traced.missing and not traced.odd)
    findings += _close(arms, lines)
    return findings


def _hexadecimal(arm: Traced) -> str:
    return "#" + "".join(f"{round(float(channel)):02x}" for channel in np.clip(arm.wanted.colour, 0, 255))


def _one(index: int, arm: Traced, line: ArmLine, legend: bool, alone: bool) -> Iterator[Finding]:
    """What has to be told of one arm; an arm alone is taken for no other, whatever its name."""

    def ask(kind: str, words: str) -> Finding:
        right = f'accepted = ["{kind}: {line.name}"] where overlay.png shows the line right'
        wrong = f'else corners = [[time, survival], ...] in [[arms]] number {index + 1} ("{line.name}")'
        return Finding(kind, "question", words, f"{right}, {wrong}", index)

    if arm.path.coverage < _SEEN:
        yield ask("coverage", f"Only {arm.path.coverage:.0%} of the line of {line.name} shows its own ink.")
    if starts_hidden(arm):
        yield ask("start_hidden", f"The first stretch of {line.name} from (0, 1) on cannot be seen.")
    hides = ends_hidden(arm)
    if hides or runs_on(arm):
        why = "where other ink covers it" if hides else "and something paler goes on there"
        yield ask("end_hidden", f"{line.name} was last seen at time {line.time[-1]:g}, {why}: it may run on.")
    if arm.wanted.kind == "dashed" and arm.inked < _BRIDGED:
        yield ask("bridged", f"{1 - arm.inked:.0%} of the dashed line of {line.name} are gaps.")
    if arm.path.bare > _BARE:
        yield ask(
            "bare_drops",
            f"{arm.path.bare:.0%} of the drops of {line.name} show no stroke: it may be another line further on.",
        )
    hidden = float(arm.path.hidden.mean())
    if hidden > _HIDDEN:
        yield ask("hidden", f"{line.name} is hidden under other lines, marks or text for {hidden:.0%} of its length.")
    if line.name_source == "none":
        yield Finding(
            "line_without_entry" if legend else "arm_without_name",
            "note" if alone else "question",
            f"Nothing on the page names {line.name}.",
            "" if alone else f'[[arms]] number {index + 1}: name = "..."',
            index,
        )


def ends_hidden(arm: Traced) -> bool:
    """Return whether other ink lies along the stretch behind a line, at its height or where its last drop ends."""
    columns = np.arange(arm.path.end + 1, arm.path.end + 1 + round(_BEHIND_END * arm.width))
    columns = columns[columns < arm.cover.shape[1] - 1]
    if len(columns) < arm.width:
        return False
    row, half = int(arm.path.rows[-1]), max(1, round(arm.width / 4))
    band = arm.cover[max(row - half, 0) : row + half + 1, columns]
    if band.mean(axis=0).min() > 0.5:
        return True
    last = slice(max(arm.path.end - 3, 0), arm.path.end + 2)
    bottom = arm.share.shape[0] - round(1.5 * arm.width)  # what falls to the axis ends there
    inked = np.maximum(arm.share, arm.cover)[row:bottom, last].max(axis=1, initial=0.0) > 0.4
    stop = row + (len(inked) if inked.all() else int((~inked).argmax()))
    return bool((arm.cover[row:stop, columns].min(axis=1, initial=1.0) > 0.5).any())


def runs_on(arm: Traced) -> bool:
    """Return whether a line of some other shade goes on behind a line's end: a band may lie on it there."""
    first, last = arm.path.end + 1, arm.path.end + 1 + round(_RUNS_ON * arm.width)
    if last > arm.share.shape[1]:
        return False
    row, reach = int(arm.path.rows[-1]), round(3 * arm.width)
    rows = slice(max(row - reach, 0), row + 2 * reach + 1)
    inked = np.clip(arm.share[rows, first:last] + arm.cover[rows, first:last], 0.0, 1.0)
    lit = np.sort(inked, axis=0)[::-1]
    thin = lit[min(2 * round(arm.width), len(lit) - 1)]  # so many rows of a column are a line's, and no band's
    return bool(np.mean(lit[0] - thin > _SHADE) > _GOES_ON)


def _close(arms: Sequence[Traced | None], lines: Sequence[ArmLine]) -> Iterator[Finding]:
    """Questions about arms that lie on one another for long."""
    for one in range(len(arms)):
        for two in range(one):
            first, second = arms[one], arms[two]
            if first is not None and second is not None and both_dashed(first, second):
                yield Finding(
                    "dashed_alike",
                    "question",
                    f"{lines[one].name} and {lines[two].name} are dashed in one ink: where they meet, which is "
                    "which is a guess.",
                    f'[[arms]] number {one + 1} ("{lines[one].name}"): corners = [[time, survival], ...]',
                    one,
                )
            shared = _shared(first, second) if first is not None and second is not None else 0.0
            if shared > 0.2:
                yield Finding(
                    "arms_on_one_another",
                    "question",
                    f"{lines[one].name} and {lines[two].name} lie within a line's width for {shared:.0%} of the time.",
                    f'[[arms]] number {one + 1} ("{lines[one].name}"): corners = [[time, survival], ...]',
                    one,
                )


def _shared(one: Traced, two: Traced) -> float:
    """Share of the shorter arm's columns at which both lie within a line's width."""
    first, last = max(one.path.start, two.path.start), min(one.path.end, two.path.end)
    if last <= first:
        return 0.0
    rows_one = one.path.rows[first - one.path.start : last - one.path.start]
    rows_two = two.path.rows[first - two.path.start : last - two.path.start]
    return float(np.mean(np.abs(rows_one - rows_two) < max(one.width, two.width)))
