"""Numbers beside the axes: rows and columns of labels whose values are linear in place."""

import re
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bayes_bm.digitizing.scene import Box, Floats, Text

_NUMBER = re.compile(r"^[-−]?(\d+([.,]\d+)?|[.,]\d+)\s*%?$")
_TOLERANCE = 0.2
"""Distance of a label's centre from the line, in heights of the label: digits are not centred on their ink."""
_LEAST_LABELS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Hold the labels of one axis: values, centres along it (pixels), their texts, and the line through them."""

    values: Floats
    places: Floats
    texts: tuple[Text, ...]
    origin: float
    step: float
    outliers: tuple[Text, ...]

    @property
    def box(self) -> Box:
        return surrounding([text.box for text in self.texts])

    @property
    def height(self) -> float:
        """Of a label across the direction of reading, in pixels."""
        return float(np.median([min(text.box.width, text.box.height) for text in self.texts]))

    @property
    def confidence(self) -> float:
        return min(text.confidence for text in self.texts)


def surrounding(boxes: list[Box]) -> Box:
    """Return the box around boxes."""
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


def number(text: Text) -> float | None:
    """Return the number that a text shows, None where it shows none."""
    content = (text.content or "").strip().replace(" ", "")
    if re.fullmatch(r"\d{1,3}(,\d{3})+", content):
        content = content.replace(",", "")
    if not _NUMBER.match(content):
        return None
    return float(content.rstrip("%").replace(",", ".").replace("−", "-"))


def axis_labels(texts: tuple[Text, ...], *, upwards: bool) -> list[Labels]:
    """Return the rows (or, `upwards`, the columns) of numbers that are linear in their places, longest first."""
    numeric = [text for text in texts if number(text) is not None]
    result: list[Labels] = []
    for line in _lines(numeric, upwards=upwards):
        rest = line
        while len(rest) >= _LEAST_LABELS:
            labels = _fitted(rest, upwards=upwards)
            if labels is None or len(labels.texts) < _LEAST_LABELS:
                break
            result.append(labels)
            rest = [text for text in rest if text not in labels.texts and not _within(text, labels, upwards)]
    return sorted(result, key=lambda labels: -len(labels.texts))


def _within(text: Text, labels: Labels, upwards: bool) -> bool:
    place = text.box.centre[1 if upwards else 0]
    return bool(labels.places.min() <= place <= labels.places.max())


def _lines(texts: list[Text], *, upwards: bool) -> list[list[Text]]:
    """Texts that share most of their extent across the axis."""
    groups: list[list[Text]] = []
    for text in sorted(texts, key=lambda text: text.box.centre[1 if upwards else 0]):
        for group in groups:
            if _overlap(text.box, group[0].box, upwards) > 0.6:
                group.append(text)
                break
        else:
            groups.append([text])
    return groups


def _overlap(one: Box, two: Box, upwards: bool) -> float:
    """Shared extent across the axis over the smaller extent."""
    if upwards:
        shared, least = min(one.right, two.right) - max(one.left, two.left), min(one.width, two.width)
    else:
        shared, least = min(one.bottom, two.bottom) - max(one.top, two.top), min(one.height, two.height)
    return shared / max(least, 1e-9)


def _fitted(texts: list[Text], *, upwards: bool) -> Labels | None:
    """The largest set of labels on one line, by all pairs."""
    values = np.array([number(text) or 0.0 for text in texts])
    places = np.array([text.box.centre[1 if upwards else 0] for text in texts])
    height = float(np.median([min(text.box.width, text.box.height) for text in texts]))
    tolerance = max(1.5, _TOLERANCE * height)
    best, best_key = None, (0, 0.0)
    for one, two in combinations(range(len(texts)), 2):
        if values[one] == values[two] or places[one] == places[two]:
            continue
        step = (places[two] - places[one]) / (values[two] - values[one])
        if (step > 0) == upwards:
            continue
        gaps = np.abs(places - (places[one] + step * (values - values[one])))
        inside = gaps <= tolerance
        key = (int(inside.sum()), -float(gaps[inside].sum()))
        if best is None or key > best_key:
            best, best_key = inside, key
    if best is None:
        return None
    step, origin = np.polyfit(values[best], places[best], 1)
    kept = tuple(text for text, inside in zip(texts, best, strict=True) if inside)
    lost = tuple(text for text, inside in zip(texts, best, strict=True) if not inside)
    return Labels(values[best], places[best], kept, float(origin), float(step), lost)
