"""Arms in near hues: a black line beside a grey one, two blues; each key has the line of its own ink."""

from dataclasses import replace

import numpy as np
import pytest

from bayes_bm.digitizing.legend import Look, Name, beside_lines
from bayes_bm.digitizing.naming import completed
from bayes_bm.digitizing.raster.arms import Start, Wanted, _ink_of, _of_dashed, _traced, search
from bayes_bm.digitizing.raster.colours import Ink, crop, inks
from bayes_bm.digitizing.raster.keys import legend_keys
from bayes_bm.digitizing.scene import Box, Text
from bayes_bm.digitizing.table import Table

pytest.importorskip("cv2")
BLACK, GREY, DARK, PALE = (0, 0, 0), (134, 134, 134), (33, 102, 172), (67, 147, 195)
STEEP = ((0, 10), (10, 40), (25, 60), (40, 80), (60, 90), (100, 100))
SLOW = ((0, 10), (40, 20), (70, 35), (110, 45), (150, 55), (185, 60))
NONE = np.zeros((0, 2))


def _drawn(*lines):
    """A panel with step lines three pixels wide, each of (column, row) of its steps and a colour."""
    pixels = np.full((120, 210, 3), 255, np.uint8)
    for steps, colour in lines:
        for (left, row), (right, lower) in zip(steps, (*steps[1:], (steps[-1][0] + 18, steps[-1][1])), strict=True):
            pixels[row - 1 : row + 2, left : right + 2] = colour
            pixels[row - 1 : lower + 2, right - 1 : right + 2] = colour
    return crop(pixels, (0, 0, 210, 120), np.zeros((120, 210), bool))


def _key(colour, name, kind="solid"):
    return Wanted(np.array(colour, float), kind, name, "legend", NONE)


@pytest.mark.parametrize(("strong", "pale"), [(BLACK, GREY), (DARK, PALE)])
def test_a_key_has_the_line_of_its_own_ink_where_another_arm_is_a_tint_of_it(strong, pale):
    panel = _drawn((SLOW, pale), (STEEP, strong))
    wanted = [_key(strong, "steep"), _key(pale, "slow")]
    arms = {arm.wanted.name: arm for arm in search(panel, wanted, inks(panel), Start(0, 10.0, 115.0)).arms}
    levels = [float(arms[name].line.level(np.array([80.0]))[0]) for name in ("steep", "slow")]
    assert np.allclose(levels, [90.5, 35.5], atol=0.6)


@pytest.mark.parametrize(
    ("key", "others", "expected"),
    [
        ((80, 80, 80), (GREY, BLACK), BLACK),  # its edges alone were seen; no key is stronger than its ink
        ((150, 150, 150), (GREY, BLACK), GREY),
        ((255, 120, 120), (GREY, BLACK), (255, 120, 120)),  # no ink is like it
    ],
)
def test_the_ink_of_a_key(key, others, expected):
    found = [Ink(np.array(colour, float), 100) for colour in others]
    assert _ink_of(np.array(key, float), found, np.full(3, 255.0)).tolist() == list(expected)


def test_the_colour_of_a_key_is_that_of_the_middle_of_its_line():
    pixels = np.full((40, 200, 3), 255, np.uint8)
    pixels[17:20, 10:50] = np.array([64, 0, 64])[:, None, None]  # two and a half rows of black
    text = Text("Surgery", Box(66.0, 10.0, 150.0, 28.0), 0.0, (0.0, 0.0, 0.0), source="ocr", confidence=0.99)
    (key,) = legend_keys(pixels, (text,), (text,))
    assert key.colour.tolist() == [0.0, 0.0, 0.0]


def test_a_dashed_line_is_that_of_the_dashed_key():
    panel = _drawn((SLOW, BLACK))
    share = (panel.far > 100).astype(np.float32)
    found = _traced(_key(BLACK, "slow"), share, 0 * share, 3.0, Start(0, 10.0, 115.0), second=False)
    assert found is not None
    for instead, name in ((True, "dashed"), (False, "slow")):
        missing = [_key(BLACK, "dashed", "dashed")]
        arms = _of_dashed([replace(found, dashed_instead=instead)], missing)
        assert arms[0].wanted.name == name
        assert [item.name for item in missing] == ["slow" if instead else "dashed"]


def test_a_name_that_two_lines_have_is_nobodys():
    given = [Name("re", "legend"), Name("re", "legend"), Name("srs", "legend")]
    names = completed(given, Table((), (), (), ()))
    assert [(name.name, name.source) for name in names] == [("arm 1", "none"), ("arm 2", "none"), ("srs", "legend")]


def test_a_word_in_another_lines_colour_does_not_name_the_nearest_line():
    red, blue = (0.74, 0.24, 0.16), (0.0, 0.45, 0.71)
    points = {red: [[0.0, 10.0], [100.0, 10.0]], blue: [[0.0, 50.0], [100.0, 50.0]]}
    looks = [Look(colour, (), 2.0, np.array(line)) for colour, line in points.items()]
    word = Text("Surgery", Box(105.0, 45.0, 150.0, 56.0), 0.0, (0.68, 0.3, 0.25), source="ocr", confidence=0.99)
    assert beside_lines([word], looks, Box(0.0, 0.0, 200.0, 100.0), []) == [None, None]
