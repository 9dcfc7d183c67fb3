"""`calibration.toml`: a `Calibration` as a file that a person reads, edits and gives back.

Each item says where it came from (`from`). `check` is a digest of the item as the program wrote it: where it does not
fit any more, or is absent, a person has changed the item, and its `from` is read as `given`.
"""

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from bayes_bm.digitizing.calibration import (
    GIVEN,
    TIME_UNITS,
    Calibration,
    GivenArm,
    GivenAxis,
    GivenRow,
    GivenTick,
    item_digest,
)
from bayes_bm.digitizing.scene import Box, Colour
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.files import write_text
from bayes_bm.runtime.toml_text import parse_toml

LARGEST_FILE = 1_000_000
"""Bytes; a calibration of three arms has 3,000."""
FURTHEST = 1e7
"""Places and values beyond it are slips of the keyboard, not figures."""
ROW_KINDS = ("at_risk", "censored", "events")
HEAD = """\
# What was read from {figure}, and where each item came from. Change what is wrong and give this file back with
# --calibration: what stands here wins over what the program would read. An item that is left out is read anew.
# Places are in units of the figure (pixels, points), x to the right, y down; survival in corners is a proportion.
# check tells the program which items were changed: leave it as it is, or remove it.
"""

type _Reader = Callable[[Any, str], Any]


# --- reading -----------------------------------------------------------------------------------------------------


def read_calibration(path: Path | str) -> Calibration:
    """Return the calibration that a TOML file holds.

    Raises
    ------
    InputError
        If the file cannot be read, or a key or value of it means nothing; the message names the key.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> text = 'percent = true\\n[[arms]]\\nname = "re-resection"\\ncolour = "#1f77b4"\\n'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "calibration.toml"
    ...     _ = path.write_text(text)
    ...     calibration = read_calibration(path)
    >>> calibration.percent, calibration.arms[0].name, calibration.arms[0].source
    (True, 're-resection', 'given')
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(str(path), found=f"{path.stat().st_size} bytes", allowed=f"at most {LARGEST_FILE}")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        hint = "bayes-bm digitize writes one beside the curves"
        raise InputError(str(path), found=f"no file of text that can be read ({reason})", hint=hint) from None
    hint = "bayes-bm digitize writes a calibration.toml that can be edited"
    return parse_calibration(parse_toml(text, str(path), hint=hint), str(path))


def parse_calibration(document: Mapping[str, Any], where: str) -> Calibration:
    """Return the calibration that plain data hold; `where` is named in errors."""
    values = _read_keys(document, _DOCUMENT, where)
    names = [arm.name for arm in values.get("arms", ())]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{where}, arms", found=f"{twice} twice", allowed="a name for each arm")
    return Calibration(**values)


def _read_keys(document: Any, readers: Mapping[str, _Reader], where: str) -> dict[str, Any]:
    """Return the value of each key by its reader; a key without one is an error that names the nearest."""
    if not isinstance(document, Mapping):
        raise InputError(where, found=repr(document)[:60], allowed=f"a table with {', '.join(readers)}")
    for key in document:
        if key not in readers:
            matches = difflib.get_close_matches(str(key), list(readers), n=1)
            hint = f"did you mean {matches[0]}?" if matches else ""
            raise InputError(f"{where}, {key}", found="an unknown key", allowed=", ".join(readers), hint=hint)
    return {key: readers[key](value, f"{where}, {key}") for key, value in document.items()}


def _number(value: Any, where: str, *, least: float = -FURTHEST, most: float = FURTHEST) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(where, found=repr(value)[:60], allowed="a number")
    if not least <= value <= most:
        raise InputError(where, found=f"{value:g}", allowed=f"{least:g} to {most:g}")
    return float(value)


def _share(value: Any, where: str) -> float:
    return _number(value, where, least=0, most=1)


def _time(value: Any, where: str) -> float:
    return _number(value, where, least=0)


def _whole(value: Any, where: str, *, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= FURTHEST:
        raise InputError(where, found=repr(value)[:60], allowed=f"a whole number, {least} or more")
    return value


def _count(value: Any, where: str) -> int:
    return _whole(value, where)


def _count_or_unread(value: Any, where: str) -> int:
    return _whole(value, where, least=-1)


def _position(value: Any, where: str) -> int:
    return _whole(value, where, least=1)


def _switch(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise InputError(where, found=repr(value)[:60], allowed="true, false")
    return value


def _word(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise InputError(where, found=repr(value)[:60], allowed="a text of 1 to 200 letters")
    return value


def _one_word(*words: str) -> _Reader:
    def read(value: Any, where: str) -> str:
        if value not in words:
            matches = difflib.get_close_matches(str(value), words, n=1)
            hint = f"did you mean {matches[0]}?" if matches else ""
            raise InputError(where, found=repr(value)[:60], allowed=", ".join(words), hint=hint)
        return value

    return read


def _colour(value: Any, where: str) -> Colour:
    if not isinstance(value, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        raise InputError(where, found=repr(value)[:60], allowed='a colour as "#1f77b4"')
    red, green, blue = (int(value[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def _row_of(item: _Reader, *, least: int = 0) -> _Reader:
    def read(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) < least:
            allowed = "a list" + (f" of {least} or more" if least else "")
            raise InputError(where, found=repr(value)[:60], allowed=allowed)
        return tuple(item(one, f"{where}, item {position}") for position, one in enumerate(value, 1))

    return read


def _pair(first: _Reader, second: _Reader) -> _Reader:
    def read(value: Any, where: str) -> tuple[Any, Any]:
        if not isinstance(value, list) or len(value) != 2:
            raise InputError(where, found=repr(value)[:60], allowed="two numbers, as [3.5, 0.8]")
        return first(value[0], where), second(value[1], where)

    return read


def _box(value: Any, where: str) -> Box:
    box = Box(*_row_of(_number, least=4)((value if isinstance(value, list) else [])[:4], where))
    if len(value) != 4 or box.width <= 0 or box.height <= 0:
        raise InputError(
            where, found=repr(value)[:60], allowed="[left, top, right, bottom], left < right, top < bottom"
        )
    return box


def _tick(value: Any, where: str) -> GivenTick:
    keys = _read_keys(value, {"place": _number, "value": _number}, where)
    if len(keys) < 2:
        raise InputError(where, found=repr(value)[:60], allowed="{ place = 120.5, value = 12 }")
    return GivenTick(**keys)


def _axis(value: Any, where: str) -> GivenAxis:
    keys = _read_keys(value, {"from": _word, "check": _word, "ticks": _row_of(_tick, least=2)}, where)
    _require(keys, ("ticks",), where)
    axis = GivenAxis(keys["ticks"], keys.get("from", GIVEN))
    places = sorted(axis.ticks, key=lambda tick: tick.place)
    steps = [later.value - earlier.value for earlier, later in pairwise(places)]
    apart = all(later.place > earlier.place for earlier, later in pairwise(places))
    if not apart or not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        found = ", ".join(f"{tick.value:g} at {tick.place:g}" for tick in places)
        hint = "values rise or fall all along an axis: correct the tick that does not"
        raise InputError(f"{where}, ticks", found=found, hint=hint)
    return _as_given(axis, keys)


def _arm(value: Any, where: str) -> GivenArm:
    keys = _read_keys(value, _ARM, where)
    _require(keys, ("name",), where)
    read = {name: keys[name] for name in keys if name not in ("from", "check")}
    corners = read.get("corners", ())
    later = pairwise(corners)
    if any(after[0] < before[0] or after[1] > before[1] for before, after in later):
        hint = "time does not go back and survival does not rise along corners"
        raise InputError(f"{where}, corners", found=repr(corners)[:60], hint=hint)
    return _as_given(GivenArm(**read, source=keys.get("from", GIVEN)), keys)


def _table_row(value: Any, where: str) -> GivenRow:
    keys = _read_keys(value, _ROW, where)
    _require(keys, ("arm", "times", "counts"), where)
    if len(keys["times"]) != len(keys["counts"]):
        found = f"{len(keys['times'])} times and {len(keys['counts'])} counts"
        raise InputError(where, found=found, allowed="a count for each time")
    source = keys.get("from", GIVEN)
    row = GivenRow(keys.get("kind", "at_risk"), keys["arm"], keys["times"], keys["counts"], source)
    return _as_given(row, keys)


def _require(keys: Mapping[str, Any], needed: Sequence[str], where: str) -> None:
    for name in needed:
        if name not in keys:
            raise InputError(f"{where}, {name}", found="nothing", hint="this key is required")


def _as_given[Item: (GivenAxis, GivenArm, GivenRow)](item: Item, keys: Mapping[str, Any]) -> Item:
    """Return the item as given where it is not what the program wrote."""
    return item if keys.get("check") == item_digest(item) else replace(item, source=GIVEN)


_ARM: dict[str, _Reader] = {
    "name": _word,
    "from": _word,
    "check": _word,
    "colour": _colour,
    "dash": _row_of(_time),
    "through": _row_of(_pair(_number, _number)),
    "corners": _row_of(_pair(_time, _share), least=2),
    "marks": _row_of(_time),
    "drop": _switch,
}
_ROW: dict[str, _Reader] = {
    "kind": _one_word(*ROW_KINDS),
    "arm": _word,
    "from": _word,
    "check": _word,
    "times": _row_of(_time, least=1),
    "counts": _row_of(_count_or_unread, least=1),
}
_DOCUMENT: dict[str, _Reader] = {
    "page": _position,
    "panel": _position,
    "box": _box,
    "skew": lambda value, where: _number(value, where, least=-45, most=45),
    "percent": _switch,
    "time_unit": _one_word(*TIME_UNITS),
    "marks": _switch,
    "accepted": _row_of(_word),
    "time": _axis,
    "level": _axis,
    "arms": _row_of(_arm),
    "rows": _row_of(_table_row),
}


# --- writing -----------------------------------------------------------------------------------------------------


def write_calibration(calibration: Calibration, path: Path, *, figure: str = "the figure") -> Path:
    """Write a calibration as TOML, whole or not at all, and return its path."""
    return write_text(path, calibration_text(calibration, figure=figure))


def calibration_text(calibration: Calibration, *, figure: str = "the figure") -> str:
    """Return the text of `calibration.toml`; `read_calibration` gives the same calibration back.

    Examples
    --------
    >>> arm = GivenArm("control", (1.0, 0.0, 0.0), source="legend")
    >>> text = calibration_text(Calibration(panel=1, arms=(arm,)))
    >>> print(text[text.index("[[arms]]") :], end="")
    [[arms]]
    name = "control"
    from = "legend"
    colour = "#ff0000"
    check = "f315daf4"
    """
    import tomlkit

    written = _as_written(calibration)
    document = tomlkit.document()
    for line in HEAD.format(figure=figure).splitlines():
        document.add(tomlkit.comment(line.removeprefix("# ")))
    for key in ("page", "panel", "skew", "percent", "time_unit", "marks"):
        value = getattr(written, key)
        if value is not None:
            document.add(key, tomlkit.item(value))
    if written.box is not None:
        box = written.box
        document.add("box", tomlkit.item([box.left, box.top, box.right, box.bottom]))
    document.add("accepted", tomlkit.item(list(written.accepted)))
    for key, axis in (("time", written.time), ("level", written.level)):
        if axis is not None:
            document.add(key, _axis_table(axis))
    for key, items in (("arms", written.arms), ("rows", written.rows)):
        if items:
            tables = tomlkit.aot()
            for item in items:
                tables.append(_arm_table(item) if isinstance(item, GivenArm) else _row_table(item))
            document.add(key, tables)
    return tomlkit.dumps(document)


def _as_written(calibration: Calibration) -> Calibration:
    """Return the calibration with its numbers rounded as the file has them, so that a digest fits what is read back."""

    def axis(given: GivenAxis | None) -> GivenAxis | None:
        ticks = () if given is None else given.ticks
        rounded = tuple(GivenTick(round(tick.place, 5), round(tick.value, 9)) for tick in ticks)
        return None if given is None else replace(given, ticks=rounded)

    def arm(given: GivenArm) -> GivenArm:
        return replace(
            given,
            colour=None if given.colour is None else _colour(_hex(given.colour), ""),
            dash=None if given.dash is None else tuple(round(length, 3) for length in given.dash),
            through=tuple((round(x, 3), round(y, 3)) for x, y in given.through),
        )

    box = calibration.box
    return replace(
        calibration,
        box=None if box is None else Box(*(round(side, 4) for side in (box.left, box.top, box.right, box.bottom))),
        skew=None if calibration.skew is None else round(calibration.skew, 4),
        time=axis(calibration.time),
        level=axis(calibration.level),
        arms=tuple(arm(given) for given in calibration.arms),
    )


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(min(max(part, 0.0), 1.0) * 255):02x}" for part in colour)


def _axis_table(axis: GivenAxis) -> Any:
    import tomlkit

    table = tomlkit.table()
    table.add("from", axis.source)
    ticks = tomlkit.array().multiline(True)
    for tick in axis.ticks:
        line = tomlkit.inline_table()
        line.update({"place": tick.place, "value": tick.value})
        ticks.append(line)
    table.add("ticks", ticks)
    table.add("check", item_digest(axis))
    return table


def _arm_table(arm: GivenArm) -> Any:
    import tomlkit

    table = tomlkit.table()
    table.add("name", arm.name)
    table.add("from", arm.source)
    if arm.drop:
        table.add("drop", True)
    if arm.colour is not None:
        table.add("colour", _hex(arm.colour))
    if arm.dash is not None:
        table.add("dash", list(arm.dash))
    for key, points in (("through", arm.through), ("corners", arm.corners)):
        if points:
            table.add(key, [list(point) for point in points])
    if arm.marks is not None:
        table.add("marks", list(arm.marks))
    table.add("check", item_digest(arm))
    return table


def _row_table(row: GivenRow) -> Any:
    import tomlkit

    table = tomlkit.table()
    values = {"kind": row.kind, "arm": row.arm, "from": row.source, "times": row.times, "counts": row.counts}
    for key, value in values.items():
        table.add(key, list(value) if isinstance(value, tuple) else value)
    table.add("check", item_digest(row))
    return table
