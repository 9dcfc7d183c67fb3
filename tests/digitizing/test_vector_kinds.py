"""Every way of drawing a curve that facts of published figures know gives the corners that were drawn."""

from pathlib import Path

import numpy as np
import pytest

from bayes_bm.digitizing.figure import ArmLine, FigureReading
from bayes_bm.digitizing.formats.svg import read_svg
from bayes_bm.digitizing.vector import read_scene
from tests.digitizing import svg_figures as svg


def read(folder: Path, text: str, panel: int | None = None) -> FigureReading:
    path = folder / "figure.svg"
    path.write_text(text)
    return read_scene(read_svg(path), panel=panel)


def kinds(reading: FigureReading) -> set[str]:
    return {finding.kind for finding in reading.findings if finding.severity != "note"}


def expect(arm: ArmLine, times: np.ndarray = svg.TIMES, levels: np.ndarray = svg.LEVELS) -> None:
    """Check an arm's corners: canonical, from (0, 1), neighbours sharing a coordinate exactly."""
    assert (arm.time[0], arm.survival[0]) == (0.0, 1.0)
    np.testing.assert_allclose(arm.time[1:-1:2], times, atol=2e-3)
    np.testing.assert_allclose(arm.survival[2::2][: len(levels)], levels, atol=1e-4)
    shared = (np.diff(arm.time) == 0) | (np.diff(arm.survival) == 0)
    assert shared.all() and (np.diff(arm.survival) <= 0).all()


ALL = [*svg.pieces(svg.FIRST, svg.RED), *svg.pieces(svg.SECOND, svg.BLUE)]
LEVEL = [piece for piece, (a, b) in zip(svg.pieces(svg.FIRST, svg.RED), zip(svg.FIRST, svg.FIRST[1:], strict=False),
                                        strict=True) if a[1] == b[1]]  # fmt: skip
MOVES = "".join(f"M{a} {b}L{c} {d}" for (a, b), (c, d) in zip(svg.FIRST, svg.FIRST[1:], strict=False))
BETA = svg.line(svg.SECOND, svg.BLUE) + svg.LEGEND
TWO_ARMS = {
    "one path": svg.ARMS,
    "right to left": svg.line(svg.FIRST[::-1], svg.RED) + BETA,
    "a path a segment": "".join(ALL) + svg.LEGEND,
    "segments in any order": "".join(np.random.default_rng(5).permutation(ALL)) + svg.LEGEND,
    "one path of many moves": f'<path d="{MOVES}" style="fill:none;{svg.RED}"/>' + BETA,
    "filled outlines": svg.outline(svg.FIRST, 1.5, "#c00000") + svg.outline(svg.SECOND, 1.5, "#0000c0") + svg.LEGEND,
    "levels without risers": "".join(LEVEL) + BETA,
    "twice": svg.line(svg.FIRST, "stroke:#ffffff;stroke-width:4") + svg.line(svg.FIRST, svg.RED) + svg.ARMS,
    "dashed": svg.line(svg.FIRST, svg.RED + ";stroke-dasharray:4 2") + BETA,
}  # fmt: skip


@pytest.mark.parametrize("kind", TWO_ARMS)
def test_both_arms_are_read_whatever_elements_draw_them(tmp_path: Path, kind: str) -> None:
    reading = read(tmp_path, svg.figure(TWO_ARMS[kind]))
    arms = {arm.name: arm for arm in reading.arms}
    assert set(arms) == {"Alpha", "Beta"} and kinds(reading) == set()
    expect(arms["Alpha"])
    expect(arms["Beta"], svg.OTHER_TIMES, svg.OTHER_LEVELS)


MARK = {
    "plus": '<path d="M{x} {y}m-3 0h6m-3 -3v6" style="fill:none;stroke:#c00000"/>',
    "two strokes": '<path d="M{x} {y}m-3 0h6" stroke="#c00000"/><path d="M{x} {y}m0 -3v6" stroke="#c00000"/>',
    "bar": '<path d="M{x} {y}m0 -4v8" style="stroke:#c00000"/>',
    "tick upwards": '<path d="M{x} {y}v-7" style="stroke:#c00000"/>',
    "circle": '<circle cx="{x}" cy="{y}" r="3" style="fill:none;stroke:#c00000"/>',
    "cross": '<path d="M{x} {y}m-3 -3l6 6m0 -6l-6 6" style="fill:none;stroke:#c00000"/>',
    "square": '<path d="M{x} {y}m-3 -3h6v6h-6z" fill="#c00000"/>',
    "letter": '<text x="{x}" y="{low}" font-size="9" text-anchor="middle" fill="#c00000">C</text>',
    "character": '<text x="{x}" y="{low}" font-size="9" text-anchor="middle" fill="#c00000">+</text>',
    "black": '<path d="M{x} {y}m-3 -3l6 6m0 -6l-6 6" style="fill:none;stroke:#000000"/>',
    "copies": '<use xlink:href="#tick" x="{x}" y="{y}" style="stroke:#c00000"/>',
}


@pytest.mark.parametrize("kind", MARK)
def test_censor_marks_of_every_shape_belong_to_their_arm(tmp_path: Path, kind: str) -> None:
    body = '<defs><path id="tick" d="M-3 0H3M0 -3V3"/></defs>'
    for time in svg.MARKS:
        level = np.r_[1.0, svg.LEVELS][np.searchsorted(svg.TIMES, time, side="right")]
        place = {"x": svg.x(time), "y": svg.y(level), "low": svg.y(level) + 3.2}
        body += MARK[kind].format(**place)
    reading = read(tmp_path, svg.figure(svg.ARMS + body))
    marks = {arm.name: arm.marks for arm in reading.arms}
    np.testing.assert_allclose(marks["Alpha"], svg.MARKS, atol=1e-3)
    assert len(marks["Beta"]) == 0 and kinds(reading) == set()
    expect(reading.arms[0])


def test_a_mark_on_the_key_of_the_legend_is_no_censoring(tmp_path: Path) -> None:
    on_curve = '<path d="M100 70m-3 0h6m-3 -3v6" style="fill:none;stroke:#c00000"/>'
    on_key = '<path d="M262.5 60m-3 0h6m-3 -3v6" style="fill:none;stroke:#c00000"/>'
    reading = read(tmp_path, svg.figure(svg.ARMS + on_curve + on_key))
    np.testing.assert_allclose(reading.arms[0].marks, [4.0], atol=1e-3)


LABELS = {
    "percent signs": ({"level": lambda value: f"{100 * value:.0f}%"}, True, 1.0),
    "percent": ({"level": lambda value: f"{100 * value:.0f}"}, True, 1.0),
    "decimal comma": ({"level": lambda value: f"{value:.2f}".replace(".", ",")}, False, 1.0),
    "three decimals after a comma": ({"level": lambda value: f"{value:.3f}".replace(".", ",")}, False, 1.0),
    "raised dot": ({"level": lambda value: f"{value:.1f}".replace(".", "·")}, False, 1.0),
    "no leading zero": ({"level": lambda value: f"{value:.1f}".removeprefix("0")}, False, 1.0),
    "thousands": ({"time": lambda value: f"{100 * value:,.0f}", "title": "Days"}, False, 100.0),
    "thin space": ({"time": lambda v: f"{100 * v:,.0f}".replace(",", "\u2009"), "title": "Days"}, False, 100.0),
}  # fmt: skip


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_read_as_they_are_printed(tmp_path: Path, kind: str) -> None:
    labels, percent, factor = LABELS[kind]
    reading = read(tmp_path, svg.figure(svg.ALPHA, **labels))
    assert reading.panel is not None and reading.panel.percent is percent and kinds(reading) == set()
    assert reading.panel.time_unit == ("days" if factor > 1 else "months")
    expect(reading.arms[0], svg.TIMES * factor)


def test_a_wrong_label_is_told_and_the_others_serve(tmp_path: Path) -> None:
    reading = read(tmp_path, svg.figure(svg.ALPHA, time=lambda value: {20: "2"}.get(value, str(value))))
    assert kinds(reading) == {"axis_not_linear"}
    assert any("2" in finding.message for finding in reading.findings)
    expect(reading.arms[0])


def test_a_logarithmic_axis_is_told(tmp_path: Path) -> None:
    reading = read(tmp_path, svg.figure(svg.ALPHA, time=lambda value: {0: "1", 10: "10", 20: "100", 30: "1000"}[value]))
    assert "axis_not_linear" in kinds(reading)


def test_rising_curves_are_called_cumulative_incidence(tmp_path: Path) -> None:
    rising = [(across, 300.0 - along) for across, along in svg.FIRST]
    reading = read(tmp_path, svg.figure(svg.line(rising, svg.RED) + svg.LEGEND))
    assert reading.arms == () and [finding.severity for finding in reading.findings] == ["error"]
    assert reading.findings[0].kind == "rising_curve" and "cumulative incidence" in reading.findings[0].message


def test_confidence_limits_are_no_arms(tmp_path: Path) -> None:
    def shifted(step: float) -> svg.Points:
        return [(across, along + (step if index > 1 else 0)) for index, (across, along) in enumerate(svg.FIRST)]

    for style in (svg.RED, svg.RED + ";stroke-dasharray:3 2"):
        limits = svg.line(shifted(8), style) + svg.line(shifted(-8), style)
        reading = read(tmp_path, svg.figure(limits + svg.ARMS))
        assert [arm.name for arm in reading.arms] == ["Alpha", "Beta"] and kinds(reading) == set()
        expect(reading.arms[0])


def test_a_line_that_starts_elsewhere_is_a_question(tmp_path: Path) -> None:
    late = [(across + 30, along + 15) for across, along in svg.SECOND]
    reading = read(tmp_path, svg.figure(svg.ALPHA + svg.line(late, "stroke:#008000;stroke-width:1.5")))
    assert kinds(reading) == {"line_without_role"} and len(reading.arms) == 1


def test_a_legend_entry_without_a_line_is_a_question(tmp_path: Path) -> None:
    reading = read(tmp_path, svg.figure(svg.line(svg.FIRST, svg.RED) + svg.LEGEND))
    assert kinds(reading) == {"legend_without_line"} and "Beta" in reading.findings[0].message


def test_lines_in_an_arms_colour_without_a_role_are_a_question(tmp_path: Path) -> None:
    stray = f'<path d="M100 200L180 140L300 220" style="fill:none;{svg.RED}"/>'
    assert kinds(read(tmp_path, svg.figure(svg.ARMS + stray))) == {"strokes_without_role"}


def test_an_arm_without_events_is_read_where_the_legend_names_it(tmp_path: Path) -> None:
    reading = read(
        tmp_path, svg.figure(svg.line(svg.FIRST, svg.RED) + svg.line([(60, 50), (340, 50)], svg.BLUE) + svg.LEGEND)
    )
    beta = next(arm for arm in reading.arms if arm.name == "Beta")
    np.testing.assert_allclose(beta.survival, 1.0)
    assert beta.time[-1] == pytest.approx(28.0)


def test_a_curve_beyond_the_last_tick_is_cut_at_the_frame(tmp_path: Path) -> None:
    far = svg.corners([*svg.TIMES, 33.0], [*svg.LEVELS, 0.1], 60.0)
    frame = '<rect x="60" y="45" width="320" height="205" style="fill:none;stroke:black"/>'
    reading = read(tmp_path, svg.figure(frame + svg.line(far, svg.RED) + svg.LEGEND))
    assert reading.arms[0].time[-1] == pytest.approx(32.0) and reading.arms[0].survival[-1] == pytest.approx(0.25)


@pytest.mark.slow
def test_two_panels_are_listed_and_chosen(tmp_path: Path) -> None:
    left = svg.axes() + svg.line(svg.FIRST, svg.RED) + svg.key(60, "Alpha", svg.RED)
    right = svg.axes() + svg.line(svg.SECOND, svg.BLUE) + svg.key(60, "Beta", svg.BLUE)
    beside = svg.whole(f'{left}<g transform="translate(400 0)">{right}</g>', "0 0 820 330")
    below = svg.whole(f'{left}<g transform="translate(0 330)">{right}</g>', "0 0 400 700")
    for text in (beside, below):
        first, second = read(tmp_path, text), read(tmp_path, text, panel=2)
        assert kinds(first) == {"several_panels"} and len(first.panels) == 2
        assert kinds(second) == set() and [arm.name for arm in second.arms] == ["Beta"]
        expect(first.arms[0])
        expect(second.arms[0], svg.OTHER_TIMES, svg.OTHER_LEVELS)
    assert kinds(read(tmp_path, beside, panel=3)) == {"no_such_panel"}


INSIDE = svg.axes() + svg.ARMS
NESTED = f'<svg x="50" y="20" width="800" height="660" viewBox="0 0 400 330">{INSIDE}</svg>'
PLACED = {
    "turned": svg.whole(f'<g transform="translate(0 400) rotate(-90)">{INSIDE}</g>', "0 0 330 400"),
    "upside down": svg.whole(f'<g transform="rotate(180 200 165)">{INSIDE}</g>', "0 0 400 330"),
    "small": svg.whole(f'<g transform="scale(0.1)">{INSIDE}</g>', "0 0 40 33"),
    "large": svg.whole(f'<g transform="matrix(30 0 0 30 700 -40)">{INSIDE}</g>', "0 0 13000 10000"),
    "stretched": svg.whole(f'<g transform="scale(2 1)">{INSIDE}</g>', "0 0 800 330"),
    "moved origin": svg.whole(INSIDE, "-100 -50 500 400"),
    "nested": svg.whole(NESTED, "0 0 900 700"),
    "reused": svg.whole(f'<defs><g id="all">{INSIDE}</g></defs><use href="#all" x="10" y="5"/>', "0 0 420 340"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLACED)
def test_place_size_and_turn_of_a_figure_do_not_matter(tmp_path: Path, kind: str) -> None:
    reading = read(tmp_path, PLACED[kind])
    assert [arm.name for arm in reading.arms] == ["Alpha", "Beta"] and kinds(reading) == set()
    expect(reading.arms[0])
    expect(reading.arms[1], svg.OTHER_TIMES, svg.OTHER_LEVELS)


def test_a_page_without_axes_says_what_it_has(tmp_path: Path) -> None:
    reading = read(tmp_path, svg.whole(svg.ARMS, "0 0 400 330"))
    assert reading.panel is None and reading.findings[0].kind == "no_axes" and reading.findings[0].severity == "error"


def test_marks_where_black_arms_lie_on_one_another_follow_the_order_of_drawing(tmp_path: Path) -> None:
    def marks(times: tuple[float, ...]) -> str:
        return "".join(f'<path d="M{svg.x(time)} {svg.y(0.4)}m0 -4v8" stroke="black"/>' for time in times)

    solid, dashed = "stroke:black;stroke-width:1.5", "stroke:black;stroke-width:1.5;stroke-dasharray:4 2"
    first, second = svg.corners((3, 8), (0.8, 0.4), 30), svg.corners((5, 9), (0.7, 0.4), 30)
    body = svg.line(first, solid) + marks((12, 14)) + svg.line(second, dashed) + marks((17, 22))
    reading = read(tmp_path, svg.figure(body + svg.key(60, "Alpha", solid) + svg.key(75, "Beta", dashed)))
    assert [arm.name for arm in reading.arms] == ["Alpha", "Beta"]
    np.testing.assert_allclose(reading.arms[0].marks, (12, 14), atol=1e-3)
    np.testing.assert_allclose(reading.arms[1].marks, (17, 22), atol=1e-3)
