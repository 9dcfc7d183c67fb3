"""Keys of a legend in pictures: parted from the words that share their line of print, dashes far apart among them."""

import numpy as np
import pytest

from bayes_bm.digitizing.raster.keys import legend_keys
from bayes_bm.digitizing.raster.ocr import Region, _is_dashed_key, _pieces
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
