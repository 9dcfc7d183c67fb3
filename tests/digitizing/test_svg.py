"""SVG files become scenes: style, reuse, text of four kinds, and files that are made to do harm."""

import time
from pathlib import Path

import numpy as np
import pytest

from bayes_bm.digitizing.formats import svg
from bayes_bm.digitizing.formats.paths import subpaths
from bayes_bm.digitizing.formats.svg import read_svg
from bayes_bm.digitizing.scene import Scene
from bayes_bm.runtime.errors import InputError
from tests.digitizing.svg_figures import whole


def scene(folder: Path, inside: str, box: str = "0 0 100 100") -> Scene:
    path = folder / "figure.svg"
    path.write_text(whole(inside, box))
    return read_svg(path)


def test_style_follows_css(tmp_path: Path) -> None:
    """Attribute < rule of a name < of a class < of an id < of more parts < inline style; `*` is weakest of rules."""
    sheet = """<style>/* c */ * {stroke-width: 9} line, .frame path {stroke:#000000} .thin {stroke-width:2}
    #one {stroke:rgb(100%,0%,0%)} .frame > path.thin {stroke: rgb(0,0,255); stroke-dasharray: 3 1}</style>"""
    body = """<g class="frame" stroke-width="4"><path d="M0 0H9" stroke="lime"/><path class="thin" d="M0 1H9"/></g>
    <line id="one" x1="0" y1="2" x2="9" y2="2" stroke="lime"/><line x2="9" style="stroke:#0f0;stroke-opacity:.5"/>"""
    drawn = scene(tmp_path, sheet + body).strokes
    assert [stroke.colour for stroke in drawn] == [(0, 0, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0)]
    assert [stroke.width for stroke in drawn] == [9, 2, 9, 9]
    assert drawn[1].dash == (3.0, 1.0) and drawn[3].alpha == 0.5


def test_transforms_scale_width_and_dash(tmp_path: Path) -> None:
    path = '<path d="M0 0h5" stroke="red" stroke-width="3" stroke-dasharray="2"/>'
    body = f'<g transform="translate(10 0) scale(4 1)">{path}</g>'
    (stroke,) = scene(tmp_path, body).strokes
    np.testing.assert_allclose(stroke.points, [(10, 0), (30, 0)])
    assert stroke.width == pytest.approx(6.0) and stroke.dash == pytest.approx((4.0, 4.0))  # sqrt|det| = 2


def test_what_is_not_seen_is_not_read(tmp_path: Path) -> None:
    body = """<path d="" stroke="red"/><path d="M0 0H9" style="display:none" stroke="red"/>
    <path d="M0 0H9" fill="none"/><g visibility="hidden"><path d="M0 0H9" stroke="red"/></g>
    <g opacity="0"><path d="M0 0H9" stroke="red"/></g>
    <defs><path d="M0 0H9" stroke="red"/></defs><path d="M0 0H9" stroke="transparent" fill="none"/>"""
    assert scene(tmp_path, body).strokes == ()


def test_clips_of_rectangles_and_paths_meet(tmp_path: Path) -> None:
    body = """<clipPath id="a"><rect x="10" y="10" width="50" height="50"/></clipPath>
    <clipPath id="b"><path d="M20 0H90V40H20Z"/></clipPath>
    <g clip-path="url(#a)"><path d="M0 0H99" stroke="red" style="clip-path: url('#b')"/></g>"""
    (stroke,) = scene(tmp_path, body).strokes
    assert stroke.clip is not None
    assert (stroke.clip.left, stroke.clip.top, stroke.clip.right, stroke.clip.bottom) == (20, 10, 60, 40)


def test_copies_share_a_number(tmp_path: Path) -> None:
    body = '<defs><path id="t" d="M0 0V4"/></defs>' + "".join(
        f'<use href="#t" x="{place}" y="5" stroke="blue"/>' for place in (1, 2, 3)
    )
    drawn = scene(tmp_path, body).strokes
    assert {stroke.symbol for stroke in drawn} == {0} and [stroke.points[0, 0] for stroke in drawn] == [1, 2, 3]
    assert [stroke.colour for stroke in drawn] == [(0, 0, 1)] * 3


def test_path_data_of_all_commands() -> None:
    ((points, closed),) = subpaths("m1,1 l2 0v2h-2z")
    np.testing.assert_allclose(points, [(1, 1), (3, 1), (3, 3), (1, 3)])
    assert closed
    ((arc, _),) = subpaths("M0 0A5 5 0 0110 0")  # flags without blanks
    np.testing.assert_allclose(np.hypot(arc[:, 0] - 5, arc[:, 1]), 5, atol=0.01)
    ((curve, _),) = subpaths("M0 0Q5 10 10 0T20 0")
    assert curve[6, 0] == pytest.approx(10) and curve[:, 1].min() == pytest.approx(-5, abs=0.1)
    assert [len(points) for points, _ in subpaths("M0 0L1 1 2 2M5 5 6 6")] == [3, 2]
    assert subpaths("M0 0L1 1L2")[0][0].tolist() == [[0, 0], [1, 1]]  # wrong from there on


def test_text_anchors_lists_and_angles(tmp_path: Path) -> None:
    body = """<text x="50" y="20" font-size="10" text-anchor="middle">0.25</text>
    <text transform="translate(8,60) rotate(-90)" font-size="10" text-anchor="middle">Survival</text>
    <text y="90" font-size="10"><tspan x="10 30 50">123</tspan><tspan x="70" dy="5">ab</tspan></text>"""
    level, side, spread, below = scene(tmp_path, body).texts
    assert level.content == "0.25" and level.box.centre[0] == pytest.approx(50)
    assert side.angle == 90 and side.box.centre[1] == pytest.approx(60) and side.box.height > side.box.width
    assert spread.content == "123" and spread.edges is not None and spread.edges[:, 0].tolist() == [10, 30, 50]
    assert below.content == "ab" and below.box.bottom == pytest.approx(95)


def test_the_comment_of_matplotlib_says_the_characters(tmp_path: Path) -> None:
    glyph = '<defs><path id="g1" d="M0 0L5 0L5 7L0 7Z"/><path id="g2" d=""/></defs>'
    group = '<g transform="translate(10 50) scale(1 -1)"><use href="#g1"/><use href="#g2"/><use href="#g1" x="9"/></g>'
    (text,) = scene(tmp_path, f"{glyph}<g><!-- 5 &lt;\u22127 -->{group}</g>".replace("\u22127", "")).texts
    assert text.content == "5 <" and text.source == "comment" and text.edges is not None
    assert text.edges.tolist() == [[10, 15], [15, 19], [19, 24]]


def test_glyphs_without_characters_stay_outlines(tmp_path: Path) -> None:
    glyph = '<symbol id="g1"><path d="M0 0L5 0L5 -7L0 -7Z"/></symbol>'
    runs = '<g><use href="#g1" x="10" y="20"/><use href="#g1" x="16" y="20"/></g>'
    up = '<g><use href="#g1" x="60" y="60"/><use href="#g1" x="60" y="53"/></g>'
    level, upright = scene(tmp_path, glyph + runs + up).texts
    assert level.content is None and len(level.outlines) == 2 and level.angle == 0
    assert upright.angle == 90  # cairo turns the outlines themselves: only their places tell


HOSTILE = {
    "not xml": ("hello", "XML"),
    "another root": ("<html/>", "<html>"),
    "entities": (
        '<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY a{n} "{f"&a{n - 1 if n > 1 else ""};" * 10}">' for n in range(1, 12))
        + ']><svg xmlns="http://www.w3.org/2000/svg"><text x="&a11;">&a11;</text></svg>',
        "XML",
    ),
    "deep": ('<svg xmlns="http://www.w3.org/2000/svg">' + "<g>" * 200 + "</g>" * 200 + "</svg>", "nested"),
    "deeper": ('<svg xmlns="http://www.w3.org/2000/svg">' + "<g>" * 5000 + "</g>" * 5000 + "</svg>", "XML"),
    "circle of use": (whole('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>', "0 0 9 9"), "itself"),
    "tower of use": (
        whole("<defs><path id='u0' d='M0 0H9' stroke='red'/>" + "".join(
            f"<g id='u{n}'>" + f"<use href='#u{n - 1}'/>" * 10 + "</g>" for n in range(1, 9)
        ) + "</defs><use href='#u8'/>", "0 0 9 9"),
        "elements",
    ),
    "huge path": (whole(f'<path d="M0 0{"L1 1" * 2_100_000}" stroke="red"/>', "0 0 9 9"), "MB|numbers|XML"),
    "huge curves": (whole(f'<path d="M0 0{"c1 1 2 2 3 3" * 400_000}" stroke="red"/>', "0 0 9 9"), "numbers"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    # what a file is refused for; a slow machine reaches the limit of time before that of elements, here a tenth of it
    monkeypatch.setattr(svg, "_SECONDS", 10.0)
    monkeypatch.setattr(svg, "_MOST_ELEMENTS", svg._MOST_ELEMENTS // 10)
    text, word = HOSTILE[kind]
    path = tmp_path / "hostile.svg"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(InputError, match=word) as caught:
        read_svg(path)
    assert time.process_time() - start < 10 and str(caught.value).startswith(str(path)) and len(str(caught.value)) < 400


def test_nothing_outside_the_file_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("0.5")
    (tmp_path / "other.svg").write_text(whole('<path id="x" d="M0 0H9" stroke="red"/>', "0 0 9 9"))
    path = tmp_path / "figure.svg"
    path.write_text(
        f'<!DOCTYPE svg [<!ENTITY e SYSTEM "file://{secret}">]>'
        + whole(
            '<text x="1" y="9">a&e;</text><use href="other.svg#x"/><image href="other.svg" width="9" height="9"/>',
            "0 0 9 9",
        )
    )
    read = read_svg(path)
    assert (
        read.strokes == () and read.pictures == () and "0.5" not in "".join(text.content or "" for text in read.texts)
    )
