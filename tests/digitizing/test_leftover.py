"""What a figure draws beside its arms is known for what it is; a line that may be a curve is not left out unsaid."""

from pathlib import Path

import numpy as np
import pytest

import bayes_bm as bb
from bayes_bm.digitizing.digitize import Digitized
from tests.digitizing import svg_figures as svg


def read(folder: Path, body: str) -> Digitized:
    path = folder / "figure.svg"
    path.write_text(svg.figure(body))
    return bb.digitize(path)


def asked(curves: Digitized) -> list[str]:
    return [finding.kind for finding in curves.questions]


SMOOTH = "M" + "L".join(f"{svg.x(t):.2f} {svg.y(np.exp(-t / 15)):.2f}" for t in np.linspace(0, 30, 61))
POINTS = "M" + "L".join(f"{svg.x(t):.2f} {svg.y(s):.2f}" for t, s in zip(svg.TIMES, svg.LEVELS, strict=True))
CURVES = {
    "a smooth curve": f'<path d="{SMOOTH}" style="fill:none;stroke:#008000;stroke-width:1.5"/>',
    "a black smooth curve": f'<path d="{SMOOTH}" style="fill:none;stroke:#000000;stroke-dasharray:3 3"/>',
    "corners joined by straight lines": f'<path d="M60 50L{POINTS[1:]}" style="fill:none;stroke:#777777"/>',
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", CURVES)
def test_a_line_without_steps_is_asked_about_whatever_its_colour(tmp_path: Path, kind: str) -> None:
    curves = read(tmp_path, svg.ARMS + CURVES[kind])
    assert list(curves) == ["Alpha", "Beta"]
    assert asked(curves) == ["line_without_steps"] and curves.verdict == "doubtful"
    assert "A line from time 0 to " in curves.questions[0].message


BESIDE = {
    "a median": '<path d="M60 150H360M130 150V250" stroke="#000000" fill="none" stroke-dasharray="4 3"/>'
    '<line x1="60" y1="150" x2="360" y2="150" style="stroke:#000000"/>',
    "the frame of a legend": '<rect x="240" y="52" width="110" height="32" style="fill:none;stroke:#000000"/>',
    "bands": '<path d="M60 50L160 60L360 150V240L160 190Z" fill="#000000" fill-opacity="0.3"/>' * 3,
    "an arrow": '<path d="M200 90L215 80M210 79L215 80L213 85" style="fill:none;stroke:#008000"/>',
    "an arc": '<circle cx="300" cy="120" r="12" style="fill:none;stroke:#008000"/>',
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BESIDE)
def test_what_no_curve_can_be_is_no_question(tmp_path: Path, kind: str) -> None:
    black = svg.ARMS.replace("#c00000", "#000000")
    curves = read(tmp_path, black + BESIDE[kind])
    assert list(curves) == ["Alpha", "Beta"] and asked(curves) == [] and curves.verdict == "exact"


def test_bars_of_plus_signs_that_touch_are_no_falling_line(tmp_path: Path) -> None:
    times = np.array([13.0, 13.6, 14.2])  # six units apart, as wide as a plus
    levels = np.array([0.5, 0.45, 0.4])
    points = svg.corners(times, levels, 20.0)
    pluses = "".join(
        f'<line x1="{x - 3}" y1="{y}" x2="{x + 3}" y2="{y}" style="{svg.RED}"/>'
        f'<line x1="{x}" y1="{y - 3}" x2="{x}" y2="{y + 3}" style="{svg.RED}"/>'
        for x, y in ((svg.x(time), svg.y(level)) for time, level in zip(times, levels, strict=True))
    )
    curves = read(tmp_path, svg.line(points, svg.RED) + svg.key(60, "Alpha", svg.RED) + pluses)
    assert list(curves) == ["Alpha"] and asked(curves) == []
    np.testing.assert_allclose(curves.ticks["Alpha"]["time"], times, atol=1e-3)


@pytest.mark.slow
def test_one_arm_that_nothing_names_is_no_question(tmp_path: Path) -> None:
    curves = read(tmp_path, svg.line(svg.FIRST, svg.RED))
    assert list(curves) == ["arm 1"] and asked(curves) == []
    assert [finding.kind for finding in curves.findings] == ["arm_without_name"]
    two = read(tmp_path, svg.line(svg.FIRST, svg.RED) + svg.line(svg.SECOND, svg.BLUE))
    assert asked(two) == ["arm_without_name"] * 2


def outlined_texts(text: str) -> str:
    """Return a file with each of its texts as one path of letters, as Illustrator makes outlines."""
    import re

    from matplotlib.textpath import TextPath

    def letters(match: re.Match[str]) -> str:
        said = dict(re.findall(r'([\w-]+)="([^"]*)"', match[1]))
        outline = TextPath((0, 0), match[2], size=float(said["font-size"]))
        shift = {"middle": 0.5, "end": 1.0}.get(said.get("text-anchor", ""), 0.0) * outline.vertices[:, 0].max()
        parts = []
        for (x, y), code in zip(outline.vertices, outline.codes, strict=True):
            place = f"{x + float(said['x']) - shift:.3f} {float(said['y']) - y:.3f}"
            parts.append("Z" if code == 79 else f"{'M' if code == 1 else 'L'}{place}")
        return f'<path d="{"".join(parts)}"/>'

    return re.sub(r"<text ([^>]*)>([^<]*)</text>", letters, text)


@pytest.mark.slow
def test_letters_that_are_shapes_are_read_and_the_curves_stay_exact(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    path = tmp_path / "figure.svg"
    path.write_text(outlined_texts(svg.figure(svg.ARMS)))
    assert "<text" not in path.read_text()
    curves = bb.digitize(path)
    assert list(curves) == ["Alpha", "Beta"] and (curves.verdict, curves.time_unit) == ("exact", "months")
    np.testing.assert_allclose(curves["Alpha"]["survival"].to_numpy()[2::2], svg.LEVELS, atol=1e-4)
    np.testing.assert_allclose(curves["Alpha"]["time"].to_numpy()[1:-1:2], svg.TIMES, atol=2e-3)
