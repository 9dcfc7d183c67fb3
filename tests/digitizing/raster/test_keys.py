"""Keys of a legend in pictures: parted from the words that share their line of print, dashes far apart among them."""

import numpy as np
import pytest

from bayes_bm.digitizing.panels import axis_pairs
from bayes_bm.digitizing.raster import cells
from bayes_bm.digitizing.raster.cells import missing_labels
from bayes_bm.digitizing.raster.keys import legend_keys
from bayes_bm.digitizing.raster.ocr import Region, _is_dashed_key, _is_key, _pieces, _rejoined, _tight
from bayes_bm.digitizing.scene import Box, Text

cv2 = pytest.importorskip("cv2")


def _legend(gap):
    """A row of print: a dashed key with a mark, a name, a dashed key, a name of two words with a hyphen."""
    pixels = np.full((40, 500, 3), 255, np.uint8)
    for left in (10, 200):
        pixels[18:22, left : left + 14] = 0
        pixels[18:22, left + 14 + gap : left + 28 + gap] = 0
    pixels[9:31, 17:19] = 0
    for left, word in ((80, "Surgery"), (270, "Re-do SRS")):
        cv2.putText(pixels, word, (left, 27), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 2, cv2.LINE_AA)
    return pixels


def test_names_that_stand_in_one_line_are_parted_at_dashed_keys():
    pixels = _legend(8)
    pieces = [(piece.left, piece.right) for piece in _pieces(pixels, Region(0, 0, 500, 40))]
    assert len(pieces) == 2
    assert pieces[0][0] > 50 and pieces[0][1] < 200
    assert pieces[1][0] > 240


@pytest.mark.parametrize("gap", [8, 18])
def test_a_key_is_all_its_dashes(gap):
    pixels = _legend(gap)[:, :190]
    text = Text("Surgery", Box(80.0, 11.0, 170.0, 30.0), 0.0, (0.0, 0.0, 0.0), source="ocr", confidence=0.99)
    (key,) = legend_keys(pixels, (text,), (text,))
    assert (key.kind, round(key.box.left), round(key.box.right)) == ("dashed", 10, 38 + gap)


@pytest.mark.parametrize(("row", "expected"), [(10, True), (20, False)])
def test_a_key_runs_through_its_middle_and_digits_stand_on_their_serifs(row, expected):
    mask = np.zeros((22, 30), bool)
    mask[row - 1 : row + 2, :12] = mask[row - 1 : row + 2, 16:] = True
    mask[0:22, 5:8] = True  # a mark, or the stem of a 1
    assert _is_dashed_key(mask, 22) == expected


def test_digits_that_share_their_upper_and_their_lowest_row_are_no_key():
    digits = [
        "..##........####.......####..",
        "#####.....#######....########",
        "...##.....#.....##.........##",
        "...##...........##.........##",
        "...##..........###.....#####.",
        "...##.........##...........##",
        "...##.......##.............##",
        "...##......##........#.....##",
        "#######...########...#######.",
        "#######....#######......#....",
    ]
    assert not _is_dashed_key(np.array([list(row) for row in digits]) == "#", 10)


def _key_with(paint):
    """The key that is drawn before a word on rows 20 to 40."""
    pixels = np.full((60, 200, 3), 255, np.uint8)
    paint(pixels)
    cv2.putText(pixels, "Surgery", (70, 38), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2, cv2.LINE_AA)
    text = Text("Surgery", Box(70.0, 20.0, 180.0, 40.0), 0.0, (0.0, 0.0, 0.0), source="ocr", confidence=0.99)
    (key,) = legend_keys(pixels, (text,), (text,))
    return key.kind, key.stroke


def test_a_mark_taller_than_the_print_does_not_break_a_solid_key():
    def paint(pixels):
        pixels[29:31, 20:51] = 0
        pixels[5:55, 34:36] = 0

    assert _key_with(paint) == ("solid", 0.0)


def test_the_arms_of_a_plus_between_two_dashes_are_no_line():
    def paint(pixels):
        pixels[27:32, 18:30] = pixels[27:32, 40:52] = 0
        pixels[29:31, 28:43] = pixels[22:38, 35:36] = 0

    assert _key_with(paint) == ("dashed", 12.0)


def test_names_are_parted_where_marks_of_keys_are_taller_than_letters():
    pixels = np.full((60, 400, 3), 255, np.uint8)
    for word, left in (("Surgery", 40), ("Repeat", 215)):
        cv2.putText(pixels, word, (left, 37), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 2, cv2.LINE_AA)
    right = 40 + cv2.getTextSize("Surgery", cv2.FONT_HERSHEY_SIMPLEX, 0.7, 2)[0][0]
    pixels[29:31, right + 18 : right + 24] = pixels[29:31, right + 28 : right + 44] = 0
    pixels[8:54, right + 33 : right + 35] = 0
    pieces = [(piece.left, piece.right) for piece in _pieces(pixels, Region(0, 0, 400, 60))]
    assert len(pieces) == 2 and pieces[0][1] < right + 18 and pieces[1][0] > right + 40


def test_a_dash_is_as_long_as_it_is_under_a_mark():
    def paint(pixels):
        pixels[27:32, 18:40] = pixels[27:32, 48:56] = 0
        pixels[29:31, 22:36] = pixels[22:38, 28:30] = 0

    assert _key_with(paint) == ("dashed", 22.0)


def test_digits_that_blur_has_joined_are_no_key_and_a_stroke_with_its_mark_is():
    rows = [
        "...####....#####..",
        "..######..#######.",
        ".##....####.....##",
        ".##....####.....##",
        "..######..##...##.",
    ]
    rows += [
        "..######..##...##.",
        ".##....####.....##",
        ".##....####.....##",
        "..################",
        "...####....#####..",
    ]
    digits = np.array([list(row) for row in rows]) == "#"
    digits[8, 1:] = True  # one row is inked from side to side
    assert not _is_key(digits, 10)
    stroke = np.zeros((12, 30), bool)
    stroke[5:7], stroke[1:11, 14:17] = True, True
    assert _is_key(stroke, 10)
    assert _is_key(np.ones((8, 20), bool), 10)  # a patch


@pytest.mark.parametrize(("gap", "count"), [(3, 0), (14, 1)])
def test_letters_that_recognition_cut_off_are_no_key_of_the_rest(gap, count):
    pixels = np.full((60, 200, 3), 255, np.uint8)
    pixels[22:40, 70 - gap - 30 : 70 - gap] = 0  # the letters, joined
    text = Text("ntrol", Box(70.0, 20.0, 120.0, 40.0), 0.0, (0.0, 0.0, 0.0), source="ocr", confidence=0.99)
    assert len(legend_keys(pixels, (text,), (text,))) == count


def test_keys_of_one_line_stand_from_left_to_right_though_a_mark_reaches_further_down():
    pixels, texts = np.full((64, 600, 3), 255, np.uint8), []
    for left, name in ((20, "A one"), (220, "B two"), (420, "C three")):
        pixels[33:36, left : left + 40] = 0
        pixels[24:45, left + 19 : left + 21] = 0
        cv2.putText(pixels, name, (left + 60, 42), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 2, cv2.LINE_AA)
        box = Box(left + 60.0, 24.0, left + 130.0, 44.0)
        texts.append(Text(name, box, 0.0, (0.0, 0.0, 0.0), source="ocr", confidence=0.99))
    pixels[24:57, 239:241] = 0
    keys = legend_keys(pixels, tuple(texts), tuple(texts))
    assert [key.name for key in keys] == ["A one", "B two", "C three"]


def test_a_tick_stroke_of_three_pixels_is_no_part_of_a_label_of_thirteen():
    mask = np.zeros((20, 40), bool)
    mask[3:16, 5:12] = mask[3:16, 15:22] = True
    mask[8:11, 26:36] = True
    assert _tight(mask, Region(100, 50, 140, 70)) == (105.0, 53.0, 122.0, 66.0)


def test_a_word_that_the_search_has_parted_at_a_low_line_is_one():
    pixels = np.full((60, 300, 3), 255, np.uint8)
    cv2.putText(pixels, "re_srs", (20, 35), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2, cv2.LINE_AA)
    cv2.putText(pixels, "37 41", (170, 35), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2, cv2.LINE_AA)
    parts = [Region(15, 10, 48, 46), Region(46, 10, 110, 46), Region(165, 10, 206, 40), Region(208, 10, 250, 40)]
    joined = _rejoined(pixels, parts)
    assert [(part.left, part.right) for part in joined] == [(15, 110), (165, 206), (208, 250)]
    tall = [Region(15, 10, 48, 46), Region(46, 0, 110, 60)]  # no piece of a word, but the start of a curve beside it
    assert _rejoined(pixels, tall) == tall


def test_below_an_axis_stand_no_labels_but_numbers_at_risk(monkeypatch):
    def cell(content, left, top):
        return Text(content, Box(left, top, left + 20.0, top + 12.0), 0.0, (0, 0, 0), source="ocr", confidence=0.99)

    labels = [cell(f"{1 - 0.2 * step:g}", 10.0, 10.0 + 40.0 * step) for step in (0, 1, 2, 4, 5)]
    labels += [cell(f"{6 * step}", 40.0 + 60.0 * step, 230.0) for step in range(5)]
    (pair,) = axis_pairs(labels)
    asked = []

    def numbers(_, boxes):
        asked.extend(round(box.centre[1]) for box in boxes)
        return (cell("0.4", 10.0, 130.0), cell("7", 10.0, 130.0))

    monkeypatch.setattr(cells, "_numbers", numbers)
    found = missing_labels(np.zeros((300, 300, 3), np.uint8), labels, pair)
    assert 136 in asked and max(row for row in asked if row != 236) < 236  # none where -0.2 would stand
    assert [text.content for text in found] == ["0.4"]
