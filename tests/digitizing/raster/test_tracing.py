"""Tracing on a known calibration: no recognition of text, only pixels and the place of (0, 1)."""

from typing import Any

import numpy as np
import pytest

from bayes_bm.digitizing.raster.arms import Start, Traced, Wanted, _surer, search
from bayes_bm.digitizing.raster.colours import crop, inks, line_width, membership
from bayes_bm.digitizing.raster.levels import Staircase, sample_noise
from bayes_bm.digitizing.raster.marking import mark_shape, marks
from bayes_bm.digitizing.raster.telling import ends_hidden, runs_on
from bayes_bm.digitizing.raster.tracing import Path

cv2 = pytest.importorskip("cv2")
WHITE = (255, 255, 255)
NONE = np.zeros((0, 2))


def _canvas(rows=300, columns=400, paper=WHITE):
    return np.full((rows, columns, 3), paper, np.uint8)


def _draw(pixels, places, levels, colour, width=4, end=380, start=10):
    """Draw a step line four times as large and take the mean, so that its edges lie between pixels."""
    large = np.repeat(np.repeat(pixels, 4, axis=0), 4, axis=1)
    half = 2 * width
    bounds = [start, *places, end]
    for index, level in enumerate(levels):
        top, bottom = round(4 * level) - half, round(4 * level) + half
        left, right = round(4 * bounds[index]) - half, round(4 * bounds[index + 1]) + half
        large[max(top, 0) : bottom, max(left, 0) : right] = colour
        if index:
            above = round(4 * levels[index - 1]) - half
            large[max(above, 0) : bottom, left : left + 2 * half] = colour
    return large.reshape(pixels.shape[0], 4, pixels.shape[1], 4, 3).mean(axis=(1, 3)).round().astype(np.uint8)


def _search(pixels, wanted=(), first=20.0):
    area = crop(pixels, (0, 0, pixels.shape[1], pixels.shape[0]), np.zeros(pixels.shape[:2], bool))
    return area, search(area, list(wanted), inks(area), Start(10, first, 290.0))


def test_corners_are_found_below_a_pixel():
    places, levels = [60.25, 110.0, 118.5, 200.75, 300.0], [20.0, 41.25, 43.0, 80.5, 150.0, 221.75]
    _, found = _search(_draw(_canvas(), places, levels, (31, 119, 180)))
    (arm,) = found.arms
    np.testing.assert_allclose(arm.line.levels, levels, atol=0.15)
    np.testing.assert_allclose(arm.line.places, places, atol=0.3)


def test_drops_closer_than_the_line_is_wide_are_two():
    places, levels = [100.0, 103.0, 200.5, 206.5], [20.0, 60.0, 100.0, 160.0, 250.0]
    _, found = _search(_draw(_canvas(), places, levels, (31, 119, 180), width=6))
    (arm,) = found.arms
    np.testing.assert_allclose(arm.line.levels, levels, atol=0.3)
    np.testing.assert_allclose(arm.line.places, places, atol=0.6)


@pytest.mark.parametrize("sd", [0.2, 0.6])
def test_steps_are_no_noise_and_noise_in_blocks_is(sd):
    random = np.random.default_rng(1)
    staircase = np.repeat(np.cumsum(random.uniform(0.5, 3.0, 200)), 30)  # a step every 15 pixels
    blocks = np.repeat(random.normal(0.0, sd, len(staircase) // 6), 6)  # as a JPEG has it
    assert sample_noise(staircase + blocks) == pytest.approx(sd, rel=0.2)


def test_the_width_is_the_lines_and_not_that_of_its_marks():
    pixels = _draw(_canvas(), [120.0, 250.0], [20.0, 60.0, 90.0], (0, 114, 178), width=6)
    for place in range(20, 370, 14):
        level = [20, 60, 90][np.searchsorted([120, 250], place)]
        pixels[level - 18 : level + 18, place - 1 : place + 1] = (0, 114, 178)
        pixels[level - 18 : level - 15, place - 6 : place + 7] = (0, 114, 178)
        pixels[level + 15 : level + 18, place - 6 : place + 7] = (0, 114, 178)
    _, found = _search(pixels)
    (arm,) = found.arms
    assert arm.width == pytest.approx(6.0, abs=0.3)


@pytest.mark.slow
def test_a_hidden_stretch_does_not_end_a_line_and_its_end_is_its_own():
    first = _draw(_canvas(), [100.0, 200.0], [20.0, 100.0, 160.0], (200, 16, 46), end=300)
    both = _draw(first, [60.0, 150.0], [20.0, 130.0, 160.0], (31, 78, 158), end=370)
    _, found = _search(both)
    red = next(arm for arm in found.arms if arm.wanted.colour[0] > 150)
    blue = next(arm for arm in found.arms if arm.wanted.colour[0] < 150)
    np.testing.assert_allclose(blue.line.levels, [20.0, 130.0, 160.0], atol=0.2)
    np.testing.assert_allclose(red.line.levels[:2], [20.0, 100.0], atol=0.6)
    assert blue.line.end == pytest.approx(372, abs=2)
    assert red.line.end < 310  # its own end, not that of the line that covers it


@pytest.mark.slow
@pytest.mark.parametrize(("level", "hidden"), [(160.0, True), (190.0, False)])
def test_an_end_beneath_another_arm_is_known(level, hidden):
    red = _draw(_canvas(), [100.0, 150.0], [20.0, 100.0, 160.0], (200, 16, 46), end=300)
    _, found = _search(_draw(red, [60.0, 200.0], [20.0, 130.0, level], (31, 78, 158), end=370))
    ends = {bool(arm.wanted.colour[0] > 150): ends_hidden(arm) for arm in found.arms}
    assert ends == {True: hidden, False: False}


@pytest.mark.slow
def test_a_last_drop_that_ends_on_another_arm_may_run_on_beneath_it():
    red = _draw(_canvas(), [100.0, 150.0], [20.0, 100.0, 160.0], (200, 16, 46), end=300)
    both = _draw(red, [60.0], [20.0, 161.0], (31, 78, 158), end=370)
    _, found = _search(both)
    ends = {bool(arm.wanted.colour[0] > 150): ends_hidden(arm) for arm in found.arms}
    assert ends == {True: True, False: False}


@pytest.mark.slow
def test_marks_that_touch_are_counted_by_their_density():
    pixels = _draw(_canvas(columns=900), [450.0], [20.0, 80.0], (0, 114, 178), end=880)
    true = np.cumsum(np.random.default_rng(3).exponential(12.0, 70)).astype(int) + 20
    true = np.unique(true[true < 870])
    for place in true:
        level = 20 if place < 450 else 80
        pixels[level - 10 : level + 10, place - 2 : place + 2] = (0, 114, 178)
    _, found = _search(pixels)
    (arm,) = found.arms
    shape = mark_shape([arm.share], [arm.line], [arm.width])
    assert len(marks(arm.share, arm.cover, arm.line, arm.width, shape)) == pytest.approx(len(true), rel=0.12)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["dashed", "solid"])
def test_a_dashed_black_arm_beside_a_solid_one_though_a_mark_hides_the_gap_of_its_key(key):
    pixels = _draw(_canvas(), [120.0, 250.0], [20.0, 60.0, 90.0], (0, 0, 0))
    dashed = _draw(_canvas(), [60.0, 140.0, 260.0], [20.0, 120.0, 180.0, 250.0], (0, 0, 0))
    stripes = (np.add.outer(np.arange(300), np.arange(400)) % 20) < 12
    pixels = np.where(stripes[..., None], np.minimum(pixels, dashed), pixels).astype(np.uint8)
    wanted = [Wanted(np.zeros(3), "solid", "A", "legend", NONE), Wanted(np.zeros(3), key, "B", "legend", NONE)]
    _, found = _search(pixels, wanted)
    lines = {arm.wanted.name: arm.line for arm in found.arms}
    np.testing.assert_allclose(lines["A"].levels, [20.0, 60.0, 90.0], atol=0.3)
    np.testing.assert_allclose(lines["B"].levels[-3:], [120.0, 180.0, 250.0], atol=0.6)


@pytest.mark.parametrize(("length", "expected"), [(3, True), (200, False)])
def test_a_way_that_has_ended_early_is_no_sure_one(length, expected):
    dashes = np.zeros((40, 200))
    dashes[20, np.arange(200) % 12 < 7] = 1.0
    dashes[10, :length] = 1.0

    def way(row, columns):
        seen = np.ones(columns, bool)
        return Path(0, np.full(columns, row), seen, ~seen, 0.0, 0.0)

    assert _surer(way(20, 200), way(10, length), dashes) == expected


@pytest.mark.slow
def test_a_dashed_arm_among_bars_of_censor_marks_goes_from_dash_to_dash():
    places = list(range(22, 380, 6))
    solid, dashed = [20.0 + 1.6 * k for k in range(60)], [20.0 + 3.2 * k for k in range(60)]
    pixels = _draw(_canvas(), places[:59], solid, (0, 0, 0), width=5)
    falling = _draw(_canvas(), places[:59], dashed, (0, 0, 0), width=5)
    pixels = np.where((np.arange(400) % 40 < 20)[None, :, None], np.minimum(pixels, falling), pixels).astype(np.uint8)
    for place in range(60, 360, 5):
        step = np.searchsorted(places[:59], place)
        for level in (round(solid[step]), round(dashed[step])):
            pixels[level - 9 : level + 10, place : place + 2] = 0
    wanted = [Wanted(np.zeros(3), "solid", "A", "legend", NONE), Wanted(np.zeros(3), "dashed", "B", "legend", NONE)]
    _, found = _search(pixels, wanted)
    line = next(arm.line for arm in found.arms if arm.wanted.name == "B")
    columns = np.arange(60, 360) + 0.5
    true = np.array(dashed)[np.searchsorted(places[:59], columns)]
    assert np.abs(line.level(columns) - true).mean() < 4.0  # 4.7 where bars close the gaps
    assert np.abs(line.level(columns) - true).max() < 15  # 24


def test_a_mark_of_which_only_one_side_is_free_is_as_pale_as_the_others():
    pixels = _draw(_canvas(), [120.0, 250.0], [20.0, 60.0, 90.0], (0, 114, 178))
    pale = np.round(255 - 0.75 * (255 - np.array([0, 114, 178]))).astype(np.uint8)
    true = [40, 80, 117, 160, 200, 247, 300, 340]  # 117 and 247 stand before a drop: their lower halves lie in it
    for place in true:
        level = [20, 60, 90][np.searchsorted([120, 250], place)]
        bar = pixels[level - 10 : level + 10, place - 1 : place + 1]
        pixels[level - 10 : level + 10, place - 1 : place + 1] = np.minimum(bar, pale)
    _, found = _search(pixels)
    (arm,) = found.arms
    shape = mark_shape([arm.share], [arm.line], [arm.width])
    np.testing.assert_allclose(marks(arm.share, arm.cover, arm.line, arm.width, shape), true, atol=1.5)


def test_grid_lines_and_a_reference_line_are_no_arms():
    pixels = _canvas()
    pixels[20::60] = (204, 204, 204)
    pixels[:, ::80] = (204, 204, 204)
    pixels[149:151, 10:380] = (120, 120, 120)
    _, found = _search(_draw(pixels, [90.0, 210.0], [20.0, 90.0, 130.0], (31, 119, 180)))
    assert len(found.arms) == 1


@pytest.mark.slow
def test_a_line_goes_on_beneath_the_band_of_another_arm():
    red, blue = np.array([248.0, 118.0, 109.0]), np.array([0.0, 191.0, 196.0])
    pixels = _draw(_canvas(), [60.0, 250.0], [20.0, 150.0, 170.0], tuple(red))
    pixels = _draw(pixels, [60.0, 200.0], [20.0, 60.0, 100.0], tuple(blue)).astype(float)
    pixels[120:200, 160:] = 0.7 * pixels[120:200, 160:] + 0.3 * blue
    wanted = [Wanted(colour, "solid", name, "legend", NONE) for colour, name in ((red, "A"), (blue, "B"))]
    _, found = _search(pixels.round().astype(np.uint8), wanted)
    (arm,) = (arm for arm in found.arms if arm.wanted.name == "A")
    assert arm.line.end == pytest.approx(382, abs=2)  # 160 where the other shade is not known
    np.testing.assert_allclose(arm.line.levels[-2:], [150.0, 170.0], atol=0.3)


@pytest.mark.parametrize(("shade", "expected"), [(0.3, True), (0.0, False)])
def test_a_paler_line_behind_an_end_may_be_the_same(shade, expected):
    share = np.zeros((60, 120))
    share[29:32, :60], share[29:32, 60:] = 1.0, shade
    share[:, 60:] += 0.1  # a band
    seen = np.ones(60, bool)
    nothing: Any = None
    path = Path(0, np.full(60, 30), seen, ~seen, 0.0, 0.0)
    arm = Traced(Wanted(np.zeros(3), "solid", "A", "legend", NONE), share, 0 * share, 3.0, path, nothing, nothing)
    assert runs_on(arm) == expected


@pytest.mark.slow
def test_a_key_without_a_line_is_missing():
    wanted = [
        Wanted(np.array([31.0, 119, 180]), "solid", "A", "legend", NONE),
        Wanted(np.array([220.0, 20, 20]), "solid", "B", "legend", NONE),
    ]
    _, found = _search(_draw(_canvas(), [90.0, 210.0], [20.0, 90.0, 130.0], (31, 119, 180)), wanted)
    assert [arm.wanted.name for arm in found.arms] == ["A"]
    assert [item.name for item in found.missing] == ["B"]


def test_marks_stand_where_they_were_drawn_and_drops_are_none():
    pixels = _draw(_canvas(), [120.0, 250.0], [20.0, 60.0, 90.0], (0, 114, 178))
    true = [40, 80, 160, 171, 200, 300, 304, 340]
    for place in true:
        level = [20, 60, 90][np.searchsorted([120, 250], place)]
        pixels[level - 10 : level + 10, place - 1 : place + 1] = (0, 114, 178)
    _, found = _search(pixels)
    (arm,) = found.arms
    shape = mark_shape([arm.share], [arm.line], [arm.width])
    assert shape is not None
    assert shape.half == pytest.approx(10, abs=1.5)
    np.testing.assert_allclose(marks(arm.share, arm.cover, arm.line, arm.width, shape), true, atol=1.0)


def test_no_marks_without_marks():
    _, found = _search(_draw(_canvas(), [60.0, 64.0, 67.0, 250.0], [20.0, 60.0, 100.0, 140.0, 150.0], (0, 114, 178)))
    (arm,) = found.arms
    shape = mark_shape([arm.share], [arm.line], [arm.width])
    assert shape is None or len(marks(arm.share, arm.cover, arm.line, arm.width, shape)) == 0


def test_membership_is_the_share_of_ink_on_paper_and_on_a_band():
    pixels = _canvas(40, 400)
    pixels[:20] = (210, 228, 240)
    for row in (10, 30):
        paper = pixels[row, 0].astype(float)
        for share, offset in ((0.5, -1), (1.0, 0), (0.25, 1)):
            pixels[row + offset] = np.round(paper + share * (np.array([31.0, 119, 180]) - paper))
    area = crop(pixels, (0, 0, 400, 40), np.zeros((40, 400), bool))
    share = membership(area, np.array([31.0, 119, 180]))
    # full rows of one colour are grid lines to `crop`; a cut in the middle makes them lines
    assert share.shape == (40, 400)
    pixels[:, 180:] = 255
    area = crop(pixels, (0, 0, 400, 40), np.zeros((40, 400), bool))
    share = membership(area, np.array([31.0, 119, 180]))
    np.testing.assert_allclose(share[29:32, 100], [0.5, 1.0, 0.25], atol=0.03)
    assert line_width(share) == pytest.approx(1.75, abs=0.1)


def test_a_staircase_says_the_level_behind_a_place():
    line = Staircase(np.array([10.0, 20.0]), np.array([1.0, 5.0, 7.0]), 0.0, 30.0, 0.1)
    assert line.level(np.array([5.0, 10.0, 15.0, 25.0])).tolist() == [1.0, 5.0, 5.0, 7.0]


def test_marks_that_hide_both_edges_say_where_the_line_is():
    places, levels = [150.0, 250.0], [40.0, 44.0, 49.0]
    pixels = _draw(_canvas(), places, levels, (0, 114, 178))
    for place in range(60, 360, 6):  # bars three pixels wide, three pixels between them, in which no edge is clear
        level = int(levels[np.searchsorted(places, place)])
        pixels[level - 8 : level + 8, place - 1 : place + 2] = (0, 114, 178)
    wanted = [Wanted(np.array([0.0, 114.0, 178.0]), "solid", "A", "legend", NONE)]
    _, found = _search(pixels, wanted, first=40.0)
    (arm,) = found.arms
    np.testing.assert_allclose(arm.line.level(np.array([120.0, 200.0, 330.0])), levels, atol=0.3)
    np.testing.assert_allclose(arm.line.places, places, atol=3.0)
