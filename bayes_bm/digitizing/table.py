"""Numbers at risk: rows of whole numbers that stand under the ticks of the axis of time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bayes_bm.digitizing.figure import ArmLine, Axis, Finding, RiskRow
from bayes_bm.digitizing.labels import character_height, clean, slice_of
from bayes_bm.digitizing.legend import Look, Name
from bayes_bm.digitizing.scene import Box, Floats, Text

Kind = Literal["at_risk", "censored", "events"]
_CELL = re.compile(r"(\d[\d, ]*)(?:\s*[(\[]\s*\d[\d, ]*\s*[)\]])?")
_BEHIND_LAST = 0.02
"""Share of a curve's length by which it may run on where nobody is at risk: lines end a little late in pictures."""
_ANOTHERS = 0.05
"""Share of the patients by which numbers at risk exceed another arm's curve; lines of poor pictures err by 0.03."""
_LAST_NUMBERS = re.compile(r"\d+(?=(?:\s+\d+)*\s*$)")
"""Numbers at the end of a text."""
_WORDS: dict[Kind, str] = {
    "at_risk": r"(?:at|under)[ -]risk|unter risiko",
    "censored": r"censor|zensiert|lost",
    "events": r"(?<!non-)\bevents?\b|deaths?|died|ereignis|failures?",
}


_FILLING = re.compile(
    r"(?:\W|\d|\b(?:no|n|nr|number|numbers|patients|subjects|cumulative|cum|of|at|under|risk|unter|risiko|censored|"
    r"censoring|zensiert|lost|to|follow|up|events?|deaths?|died|ereignisse?|failures?)\b)*",
    re.IGNORECASE,
)
"""A label of such words alone is no arm's name."""


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """Hold the numbers of one line and what stands before them."""

    cells: tuple[tuple[int, int, Text], ...]
    label: tuple[Text, ...]
    y: float


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Hold the rows of a table with their labels' colours, before arms are known."""

    rows: tuple[RiskRow, ...]
    labels: tuple[Text | None, ...]
    groups: tuple[str, ...]
    texts: tuple[Text, ...]


def risk_table(texts: Sequence[Text], time: Axis, box: Box, axis_labels: Sequence[Text]) -> Table:
    """Return the table that belongs to a panel.

    Parameters
    ----------
    texts : sequence of Text
        Of the page, split at wide gaps.
    time : Axis
        The axis whose ticks the columns stand under.
    box : Box
        Of the panel.
    axis_labels : sequence of Text
        Labels of the axes, which are no cells.

    Returns
    -------
    Table
        Rows from top to bottom; `arm` of each row is not known yet.
    """
    used = {id(text) for text in axis_labels}
    words = [text for text in texts if text.content and id(text) not in used and abs(text.angle) < 1]
    lines = _lines([text for text in words if box.top < text.box.centre[1] < box.bottom + 1.5 * box.height])
    times = _column_times(time, lines)
    places = time.place(times)
    spacing = float(np.min(np.abs(np.diff(places)))) if len(places) > 1 else box.width
    lines = [_cells_apart(line, places, spacing) for line in lines]
    rows = [row for line in lines if (row := _row(line, places, spacing)) is not None]
    rows = _one_table(_counted(rows), box)
    heads = _headings(rows, lines)
    columns = sorted({cell[0] for row in rows for cell in row.cells})
    made = [_risk_row(row, head, times, columns) for row, head in zip(rows, heads, strict=True)]
    cells = [cell[2] for row in rows for cell in row.cells]
    return Table(
        rows=tuple(made),
        labels=tuple(row.label[0] if row.label else None for row in rows),
        groups=tuple(head.group for head in heads),
        texts=(*cells, *(text for row in rows for text in row.label)),
    )


def _lines(texts: Sequence[Text]) -> list[list[Text]]:
    """Return texts by line, from top to bottom, each from left to right."""
    lines: list[list[Text]] = []
    for text in sorted(texts, key=lambda text: text.box.centre[1]):
        height = character_height(text)
        if lines and abs(text.box.centre[1] - np.mean([other.box.centre[1] for other in lines[-1]])) < 0.5 * height:
            lines[-1].append(text)
        else:
            lines.append([text])
    return [sorted(line, key=lambda text: text.box.left) for line in lines]


def _column_times(time: Axis, lines: Sequence[list[Text]]) -> Floats:
    """Return the times at which columns of the table may stand: the labels, ticks without one, ticks between labels.

    Programs leave out labels that would touch, and tables may count twice as often as the axis is labelled.
    """
    values = np.unique(time.values)
    if len(values) < 2:
        return time.values
    step = float(np.diff(values).min())
    even = np.abs((values - values[0]) / step - np.round((values - values[0]) / step)).max() < 1e-3
    if not even:
        return time.values
    whole = values[0] + step * np.arange(round(float(values[-1] - values[0]) / step) + 1)
    halves = (whole[1:] + whole[:-1]) / 2
    centres = [text.box.centre[0] for line in lines for text in line if _CELL.fullmatch(clean(text.content or ""))]
    off = np.abs(np.array(centres)[:, None] - time.place(halves)[None, :]).min(axis=1) if centres else np.empty(0)
    between = int((off < 0.08 * abs(time.step) * step).sum())
    if between >= max(2, 0.3 * len(centres)):
        return np.sort(np.concatenate([whole, halves]))
    return whole if len(whole) > len(values) else time.values


def _cells_apart(line: list[Text], columns: Floats, spacing: float) -> list[Text]:
    """Return a line of texts with numbers apart that the file joins to the label before them.

    A number is a cell where it stands under a column that no other text of the line has.
    """
    taken = [text.box.centre[0] for text in line if _CELL.fullmatch(clean(text.content or ""))]
    parts: list[Text] = []
    for text in line:
        content, edges = text.content or "", text.edges
        numbers = list(_LAST_NUMBERS.finditer(content)) if edges is not None and len(edges) == len(content) else []
        cells: list[Text] = []
        for match in reversed(numbers):
            cell = slice_of(text, *match.span())
            centre = cell.box.centre[0]
            free = all(abs(centre - other) > 0.45 * spacing for other in (*taken, *(c.box.centre[0] for c in cells)))
            if not free or np.abs(columns - centre).min() > 0.25 * spacing:
                break
            cells.insert(0, cell)
        start = numbers[-len(cells)].start() if cells else 0
        if start and _is_word(slice_of(text, 0, start)):
            parts += [slice_of(text, 0, len(content[:start].rstrip())), *cells]
        else:
            parts.append(text)
    return parts


def _row(line: list[Text], columns: Floats, spacing: float) -> _Row | None:
    """Return a line's cells by column and its label; None where it has no cells."""
    cells: dict[int, tuple[int, int, Text]] = {}
    for text in line:
        match = _CELL.fullmatch(clean(text.content or ""))
        if match is None:
            continue
        places = np.array([text.box.centre[0], text.box.left, text.box.right])
        gaps = np.abs(places[:, None] - columns[None, :]).min(axis=0)
        column = int(np.argmin(np.abs(columns - text.box.centre[0]) + 1e-3 * gaps))
        if abs(columns[column] - text.box.centre[0]) < 0.45 * spacing:
            cells.setdefault(column, (column, int(re.sub(r"\D", "", match[1])), text))
    if not cells:
        return None
    first = min(cell[2].box.left for cell in cells.values())
    label = tuple(text for text in line if text.box.right <= first + 1 and _is_word(text))
    return _Row(tuple(cells[column] for column in sorted(cells)), label, line[0].box.centre[1])


def _is_word(text: Text) -> bool:
    return any(sign.isalpha() for sign in text.content or "")


def _counted(rows: list[_Row]) -> list[_Row]:
    """Return the rows that have as many cells as a row of a table: most columns up to its last."""
    most = max((len(row.cells) for row in rows), default=0)
    return [row for row in rows if len(row.cells) >= max(2, 0.5 * most) or (row.label and len(row.cells) >= 0.3 * most)]


def _one_table(rows: list[_Row], box: Box) -> list[_Row]:
    """Return the rows without those that are labels of a second axis below the table, or numbers inside the panel.

    Rows inside the panel are a table only where they follow each other; other rows follow without a wide gap.
    """
    lower = [row for row in rows if row.y > box.bottom]
    rows = lower or [row for row in rows if row.label]
    kept: list[_Row] = []
    for row in rows:
        height = float(np.median([character_height(cell[2]) for cell in row.cells]))
        if kept and row.y - kept[-1].y > 8 * height:
            break
        kept.append(row)
    return [row for row in kept if not _is_axis(row)]


def _is_axis(row: _Row) -> bool:
    """Return whether a row has no label and rises evenly from 0, as an axis printed twice does."""
    counts = np.array([cell[1] for cell in row.cells])
    steps = np.diff(counts)
    even = len(counts) > 2 and counts[0] == 0 and (steps > 0).all() and len(np.unique(steps)) == 1
    return bool(even and not row.label)


def _row_kind(label: str, head: "_Heading") -> Kind:
    """Return what the numbers of a row count: an arm may be called "Surgery after SRS failure" and count no events.

    A label that holds nothing but such words says it, then the heading, then words of risk or censoring in a label.
    """
    said = _kind(label)
    if said is not None and _FILLING.fullmatch(label):
        return said
    return head.kind or (said if said in ("at_risk", "censored") else None) or "at_risk"


@dataclass(frozen=True, slots=True)
class _Heading:
    """Hold what stands over a row: the kind of its numbers and the group that it belongs to."""

    kind: Kind | None
    group: str


def _kind(label: str) -> Kind | None:
    """Return what a label says that its numbers count; None where it says nothing."""
    return next((kind for kind, pattern in _WORDS.items() if re.search(pattern, label, re.IGNORECASE)), None)


def _headings(rows: list[_Row], lines: list[list[Text]]) -> list[_Heading]:
    """Return for each row the words of lines without numbers above it.

    A line such as "Censored" or "Number at risk" says what the rows under it count; a name says whose they are.
    """
    heights = {round(row.y, 3) for row in rows}
    heads: list[_Heading] = []
    kind: Kind | None = None
    group = ""
    texts = [
        (line[0].box.centre[1], clean(" ".join(text.content or "" for text in line)), line)
        for line in lines
        if round(line[0].box.centre[1], 3) not in heights
    ]
    for index, row in enumerate(rows):
        ceiling = rows[index - 1].y if index else -np.inf
        left = row.label[0].box.left if row.label else row.cells[0][2].box.left
        for y, words, line in texts:
            if ceiling < y < row.y and _is_word(line[0]) and row.y - y < 30 * character_height(line[0]):
                said = _kind(words)
                if said is not None:
                    kind, group = said, ""
                elif line[0].box.left <= left + 6 * character_height(line[0]) and index + 1 <= len(rows):
                    group = words if row.y - y < 4 * character_height(line[0]) else group
        heads.append(_Heading(kind, group))
    return heads


def _risk_row(row: _Row, head: _Heading, times: Floats, columns: Sequence[int]) -> RiskRow:
    """Return a row as a record; a column before its last cell that is empty counts as not read."""
    label = clean(" ".join(text.content or "" for text in row.label))
    last = max(cell[0] for cell in row.cells)
    full = [column for column in columns if column <= last]
    read = {cell[0]: cell[1] for cell in row.cells}
    least = min(cell[2].confidence for cell in row.cells)
    written = any(cell[2].source == "ocr" for cell in row.cells)
    return RiskRow(
        kind=_row_kind(label, head),
        arm=None,
        label=label,
        times=times[full].copy(),
        counts=np.array([read.get(column, -1) for column in full], float),
        source=f"ocr {least:.2f}" if written else "text",
    )


def names_by_colour(table: Table, looks: Sequence[Look]) -> list[Name | None]:
    """Return the names that rows' labels give to arms whose colour they alone have.

    Labels count where they have several colours: a table in black says nothing.
    """
    names: list[Name | None] = [None] * len(looks)
    labels = [text for row, text in zip(table.rows, table.labels, strict=True) if text is not None and _said(row)]
    if len({text.colour for text in labels}) < 2:
        return names
    for row, text in zip(table.rows, table.labels, strict=True):
        like = [] if text is None else [index for index, look in enumerate(looks) if _near(text.colour, look.colour)]
        if len(like) == 1 and names[like[0]] is None and _said(row):
            names[like[0]] = Name(row.label, "table")
    return names


def of_arms(table: Table, arms: Sequence[ArmLine], by_order: bool) -> list[RiskRow]:
    """Return the rows with the arm of each: by its label, by the group over it, by colour, else by order.

    Parameters
    ----------
    table : Table
        As printed.
    arms : sequence of ArmLine
        In the order of the legend.
    by_order : bool
        Whether a legend gives that order. Rows without labels follow it where each kind has a row for each arm.
    """
    rows: list[RiskRow] = []
    names, labelled = [arm.name for arm in arms], any(_said(row) for row in table.rows)
    whole = {kind: sum(row.kind == kind for row in table.rows) for kind in _WORDS}
    count: dict[str, int] = {}
    for row, text, group in zip(table.rows, table.labels, table.groups, strict=True):
        place = count.get(row.kind, 0)
        count[row.kind] = place + 1
        arm = _named(row.label, names)
        if arm is None:
            arm = _named(group, names)
        if arm is None and text is not None:
            like = [index for index, other in enumerate(arms) if _near(text.colour, other.colour)]
            arm = like[0] if len(like) == 1 and max(text.colour) - min(text.colour) > 0.1 else None
        if arm is None and whole[row.kind] == len(arms) and (len(arms) == 1 or (by_order and not labelled)):
            arm = place
        rows.append(replace(row, arm=arm))
    return rows


def _said(row: RiskRow) -> bool:
    """Return whether a row's label is a name, not what its numbers count."""
    return bool(row.label) and _kind(row.label) is None


def _near(first: tuple[float, float, float], second: tuple[float, float, float]) -> bool:
    return max(abs(one - two) for one, two in zip(first, second, strict=True)) < 0.05


def _named(label: str, names: Sequence[str]) -> int | None:
    """Return the arm that a label names; the longest name where one is part of another."""
    plain = _plain(label)
    if not plain:
        return None
    exact = [index for index, name in enumerate(names) if _plain(name) == plain]
    if len(exact) == 1:
        return exact[0]
    contained = [index for index, name in enumerate(names) if _plain(name) and _plain(name) in plain]
    contained.sort(key=lambda index: -len(names[index]))
    one_is_longest = len(contained) == 1 or (contained and len(names[contained[0]]) > len(names[contained[1]]))
    return contained[0] if one_is_longest else None


def _plain(text: str) -> str:
    return re.sub(r"[^\w+]", "", clean(text).casefold())


def table_findings(rows: Sequence[RiskRow], arms: Sequence[ArmLine], *, pixels: bool = False) -> list[Finding]:
    """Return what has to be told of a table: numbers that rise or that no curve agrees with, cells not read, rows
    without an arm.

    In `pixels` a line may have been taken for another arm's: an arm whose row says so is refused.
    """
    names = [arm.name for arm in arms]
    findings: list[Finding] = []
    for index, row in enumerate(rows, 1):
        printed = row.counts[row.counts >= 0]
        place = f'[[rows]] number {index} ("{row.label}")'
        steps = np.diff(printed)
        if (row.kind == "at_risk" and (steps > 0).any()) or (
            row.kind != "at_risk" and (steps < 0).any() and (steps > 0).any()
        ):
            said = ", ".join(f"{value:g}" for value in printed)
            findings.append(
                Finding(
                    "table_rises",
                    "question",
                    f"The row {row.label or index} of the table reads {said}: numbers at risk do not rise.",
                    f"{place}: counts = [...]",
                    row.arm,
                )
            )
        if (row.counts < 0).any():
            findings.append(
                Finding(
                    "table_cell",
                    "question",
                    f"The row {row.label or index} of the table has empty cells.",
                    f"{place}: counts = [...]",
                    row.arm,
                )
            )
        if row.arm is not None and row.kind == "at_risk":
            findings += _against_curve(row, arms[row.arm], f"{place}: counts = [...]", pixels)
        if row.arm is None and names:
            findings.append(
                Finding(
                    "table_row_without_arm",
                    "question",
                    f"The row {row.label or index} of the table is no arm's: the arms are {', '.join(names)}.",
                    f'{place}: arm = "..."',
                )
            )
    return findings


def _against_curve(row: RiskRow, arm: ArmLine, answer: str, pixels: bool) -> list[Finding]:
    """Return what has to be told where a row and its arm's curve cannot both be right.

    One number may be misread. The line is another arm's where two say so, one by far, or a 0 stands below it.
    """
    printed = row.counts >= 0
    if not printed.any() or row.times[printed][0] != 0:
        return []
    counts, times = row.counts[printed], row.times[printed]
    excess = _excess(counts, times, arm)
    many, none = (
        times[excess > 0.5 + 1e-3 * counts[0]],
        times[(counts == 0) & (times < (1 - _BEHIND_LAST) * arm.time[-1])],
    )
    if not len(many) and not len(none):
        return []
    falls = bool((np.diff(counts) <= 0).all())
    another = len(none) > 0 or (len(many) > 1 and excess.max() > _ANOTHERS * counts[0])
    severity: Literal["error", "question"] = "error" if pixels and falls and another else "question"
    words = (
        f"More patients of {arm.name} are at risk at time {many[0]:g} than its curve leaves alive."
        if len(many)
        else f"Nobody of {arm.name} is at risk at time {none[0]:g}, and its curve runs on to time {arm.time[-1]:g}."
    )
    words += " Is the line another arm's?" if severity == "error" else ""
    return [Finding("table_against_curve", severity, words, answer, row.arm)]


def _excess(counts: Floats, times: Floats, arm: ArmLine) -> Floats:
    """Return by how many patients more are at risk than the curve leaves, none behind its end.

    Without censoring n S(t-) are at risk, with censoring fewer: S falls by events among those who are left.
    """
    early = times - 2e-3 * arm.time[-1]  # an event at the tick itself may be read a little before it
    place = np.clip(np.searchsorted(arm.time, early, side="left") - 1, 0, None)
    alive = np.where(times <= arm.time[0], 1.0, arm.survival[place])
    return np.where(times <= arm.time[-1], counts - counts[0] * alive, 0.0)
