"""Names of arms: from the keys of a legend, from words beside or in the colour of a line, or from a table's rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes_bm.digitizing.labels import character_height, clean, number
from bayes_bm.digitizing.scene import Box, Colour, Floats, Text

_COLOURED = 0.1
"""Difference of the channels of a colour from which it is one, and no grey."""
_ALIKE = 0.06
"""Largest difference of a colour channel between a line and its key; pictures need more."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Hold how an arm's line is drawn, and where: what a legend or a word beside it may be compared with."""

    colour: Colour
    dash: tuple[float, ...]
    width: float
    points: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """Hold a short line, or a patch, that stands before a name in a legend."""

    colour: Colour
    dash: tuple[float, ...]
    width: float
    box: Box
    line: bool = True


@dataclass(frozen=True, slots=True)
class Name:
    """Hold the name of an arm and where it comes from."""

    name: str
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Legend:
    """Hold what a legend says.

    Attributes
    ----------
    names
        For each arm its name, or None.
    keys
        Boxes of the keys, whether or not they belong to an arm.
    order
        Arms from the legend's first entry to its last; empty where there is none.
    without_line
        Names of entries whose key is like no arm.
    texts
        The texts of its entries.
    """

    names: tuple[Name | None, ...]
    keys: tuple[Box, ...]
    order: tuple[int, ...]
    without_line: tuple[str, ...]
    texts: tuple[Text, ...]


def legend(keys: Sequence[Key], texts: Sequence[Text], looks: Sequence[Look], alike: float = _ALIKE) -> Legend:
    """Return what the keys on a page say of the arms.

    Parameters
    ----------
    keys : sequence of Key
        Short level lines and small patches.
    texts : sequence of Text
        Words of the page, numbers left out.
    looks : sequence of Look
        Of the arms.
    alike : float
        Largest difference of a colour channel.
    """
    entries = [(key, text) for key in keys if (text := _beside(key, texts)) is not None]
    entries = _aligned(entries)
    entries.sort(key=lambda entry: (round(entry[0].box.centre[1], 1), entry[0].box.left))
    names: list[Name | None] = [None] * len(looks)
    order: list[int] = []
    lineless: list[tuple[Key, Text]] = []
    kept: list[tuple[Key, Text]] = []
    for key, text in entries:
        fits = [index for index, look in enumerate(looks) if _like(key, look, alike)]
        fits = _by_dash(key, looks, fits)
        free = [index for index in fits if names[index] is None]
        if free and len(fits) == 1:
            names[free[0]] = Name(clean(text.content or ""), "legend")
            order.append(free[0])
            kept.append((key, text))
        elif not fits and key.line:
            lineless.append((key, text))
    named = any(name is not None for name in names)
    lineless = [entry for entry in lineless if any(_like_entry(entry, other) for other in kept)]
    kept.extend(lineless)
    return Legend(
        names=tuple(names),
        keys=tuple(key.box for key, _ in (kept if named else [])),
        order=tuple(order),
        without_line=tuple(dict.fromkeys(clean(text.content or "") for _, text in lineless)),
        texts=tuple(text for _, text in kept) if named else (),
    )


def _like_entry(entry: tuple[Key, Text], other: tuple[Key, Text]) -> bool:
    """Return whether a key is as long as another one and stands under or beside it, as those of one legend do."""
    key, like = entry[0].box, other[0].box
    same_length = abs(key.width - like.width) < 0.05 * like.width
    aligned = abs(key.left - like.left) < 0.1 * like.width or abs(key.centre[1] - like.centre[1]) < 0.1 * like.width
    return same_length and aligned


def _beside(key: Key, texts: Sequence[Text]) -> Text | None:
    """Return the words to the right of a key, at its height; to its left where none stand there."""
    height = key.box.centre[1]
    right: list[tuple[float, Text]] = []
    left: list[tuple[float, Text]] = []
    for text in texts:
        tall = character_height(text)
        shift = abs(text.box.centre[1] - height)
        if abs(text.angle) > 1 or shift > 0.8 * tall or not _is_name(text) or (key.line and key.box.width < tall):
            continue
        gap_right, gap_left = text.box.left - key.box.right, key.box.left - text.box.right
        if -0.2 * tall <= gap_right <= 4 * tall:
            right.append((gap_right, text))
        elif -0.2 * tall <= gap_left <= 1.5 * tall:
            left.append((gap_left, text))
    nearest = min(right or left, key=lambda item: item[0], default=None)
    return nearest[1] if nearest is not None else None


def _is_name(text: Text) -> bool:
    content = clean(text.content or "")
    return (len(content) > 1 and number(content) is None) or (len(content) == 1 and content.isalpha())


def _aligned(entries: list[tuple[Key, Text]]) -> list[tuple[Key, Text]]:
    """Return one entry a text: a line rather than a patch, the nearest one."""
    best: dict[int, tuple[Key, Text]] = {}
    for key, text in sorted(
        entries, key=lambda entry: (not entry[0].line, abs(entry[1].box.left - entry[0].box.right))
    ):
        best.setdefault(id(text), (key, text))
    return list(best.values())


def _like(key: Key, look: Look, alike: float) -> bool:
    return max(abs(one - two) for one, two in zip(key.colour, look.colour, strict=True)) <= alike


def _by_dash(key: Key, looks: Sequence[Look], fits: list[int]) -> list[int]:
    """Return which of several arms of a key's colour have its dash; its width where they share the dash."""
    if len(fits) < 2 or not key.line:
        return fits
    same = [index for index in fits if _dash_gap(key.dash, looks[index].dash) < 0.15]
    if len(same) > 1:
        widths = [abs(looks[index].width - key.width) for index in same]
        least = min(widths)
        return [index for index, width in zip(same, widths, strict=True) if width <= least + 0.05 * key.width]
    return same


def _dash_gap(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Return how unlike two dash patterns are, as a share of their period; a solid line is like itself alone."""
    if not first or not second:
        return 0.0 if first == second else 1.0
    if len(first) != len(second):
        return 1.0
    return float(np.abs(np.subtract(first, second)).max() / max(sum(first), sum(second)))


def beside_lines(texts: Sequence[Text], looks: Sequence[Look], box: Box, used: Sequence[Text]) -> list[Name | None]:
    """Return the names that words in the colour of a line, or next to its end, give to arms without a legend.

    Words in colour count wherever they stand in the panel or right of it; black words only where they lie within two
    heights of one line's end, or on it, and nearer to it than to all others.
    """
    taken = {id(text) for text in used}
    words = [
        text
        for text in texts
        if id(text) not in taken
        and abs(text.angle) < 1
        and _is_name(text)
        and sum(sign.isalpha() for sign in text.content or "") >= 1
        and box.left < text.box.centre[0]
        and box.top - 3 * character_height(text) < text.box.centre[1] < box.bottom
    ]
    names = _by_colour(words, looks, box)
    words = [text for text in words if text.box.top > box.top]
    for text in words:
        gaps = [_distance(text.box, look.points) for look in looks]
        nearest = int(np.argmin(gaps)) if gaps else 0
        others = [gap for index, gap in enumerate(gaps) if index != nearest]
        tall = character_height(text)
        clear = (
            bool(gaps) and gaps[nearest] < 1.5 * tall and min(others, default=np.inf) > 2 * gaps[nearest] + 0.5 * tall
        )
        if clear and names[nearest] is None and not _of_another(text, looks, nearest):
            names[nearest] = Name(clean(text.content or ""), "label")
    return names


def _by_colour(words: Sequence[Text], looks: Sequence[Look], box: Box) -> list[Name | None]:
    """Return the names that words in a line's colour give: of coloured lines first, then of the one black or grey line.

    Black words are everywhere; they name a black line only where all other lines have their word in colour.
    """
    names: list[Name | None] = [None] * len(looks)
    colours = [look.colour for look in looks]
    single = [index for index, colour in enumerate(colours) if colours.count(colour) == 1]
    coloured = [index for index in single if max(colours[index]) - min(colours[index]) > _COLOURED]
    dark = [index for index in single if index not in coloured]
    for index in (*coloured, *sorted(dark, key=lambda index: -max(colours[index]))):
        if index in dark and (not any(names) or sum(name is None for name in names) > len(dark)):
            continue
        same = [text for text in words if _near(text.colour, colours[index])]
        if index in dark:
            same = [text for text in same if box.top < text.box.top and text.box.right < box.right]
        if same:
            ordered = sorted(same, key=lambda text: (text.box.top, text.box.left))
            names[index] = Name(" ".join(clean(text.content or "") for text in _together(ordered)), "label")
    return names


def _of_another(text: Text, looks: Sequence[Look], nearest: int) -> bool:
    """Return whether a coloured word is more like another line's colour than like the nearest line's.

    The colour of letters that stand on a band, or across a line, is not their ink's own.
    """
    off = [max(abs(one - two) for one, two in zip(text.colour, look.colour, strict=True)) for look in looks]
    if max(text.colour) - min(text.colour) > _COLOURED and off[nearest] > 2 * min(off):
        return True
    return any(_near(text.colour, look.colour) for look in looks) and not _near(text.colour, looks[nearest].colour)


def _near(first: Colour, second: Colour) -> bool:
    return max(abs(one - two) for one, two in zip(first, second, strict=True)) <= 0.04


def _together(texts: Sequence[Text]) -> list[Text]:
    """Return the first text and those that continue it on the next lines."""
    kept = [texts[0]]
    for text in texts[1:]:
        tall = character_height(text)
        continues = 0 < text.box.top - kept[-1].box.top < 2 * tall + 1
        if continues and min(text.box.right, kept[-1].box.right) > max(text.box.left, kept[-1].box.left):
            kept.append(text)
    return kept


def _distance(box: Box, points: Floats) -> float:
    """Return how far a box is from the end of a step line, or from the line itself where it lies beside it."""
    places = np.linspace(box.left, box.right, 7)
    spanned = (places >= points[0, 0]) & (places <= points[-1, 0])
    gaps = [np.hypot(max(box.left - points[-1, 0], 0.0), max(box.top - points[-1, 1], points[-1, 1] - box.bottom, 0.0))]
    if spanned.any():
        index = np.searchsorted(points[:, 0], places[spanned], side="right") - 1
        levels = points[index, 1]
        gaps.append(np.maximum(np.maximum(box.top - levels, levels - box.bottom), 0.0).min())
    return float(min(gaps))
