"""Pages of PDFs become scenes and readings: fonts, forms, turns, dropped characters, and files that do harm."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from bayes_bm.digitizing.figure import FigureReading
from bayes_bm.digitizing.formats.pdf import read_pdf
from bayes_bm.digitizing.formats.svg import read_svg
from bayes_bm.digitizing.vector import read_scene
from bayes_bm.runtime.errors import InputError
from tests.digitizing import svg_figures as svg


@contextmanager
def matplotlib_figure(**settings: object) -> Iterator[object]:
    """Draw two arms with marks, a legend and a table of numbers at risk."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"font.size": 9, **settings}):  # pyright: ignore[reportArgumentType]
        drawn, axes = plt.subplots(figsize=(5, 4))
        curves = ((svg.TIMES, svg.LEVELS, 30.0, "Alpha \u2212 5-FU"), (svg.OTHER_TIMES, svg.OTHER_LEVELS, 25.0, "Beta"))
        for colour, (times, levels, end, name) in zip(("C0", "C1"), curves, strict=True):
            axes.step([0, *times, end], [1, *levels, levels[-1]], where="post", color=colour, label=name)
        heights = np.r_[1.0, svg.LEVELS][np.searchsorted(svg.TIMES, svg.MARKS, side="right")]
        axes.plot(svg.MARKS, heights, "+", color="C0")
        axes.set(xlim=(0, 32), ylim=(0, 1.05), xlabel="Time (months)", ylabel="Overall survival")
        axes.legend()
        axes.text(-3, -0.3, "Number at risk", ha="right")
        for row, (name, counts) in enumerate((("Alpha \u2212 5-FU", (60, 41, 24)), ("Beta", (58, 20, 8)))):
            axes.text(-3, -0.4 - 0.1 * row, name, ha="right")
            for place, count in zip((0, 10, 20), counts, strict=True):
                axes.text(place, -0.4 - 0.1 * row, str(count), ha="center")
        yield drawn
        plt.close(drawn)


def expect(reading: FigureReading) -> None:
    assert [arm.name for arm in reading.arms] == ["Alpha - 5-FU", "Beta"]
    for arm, times, levels in zip(
        reading.arms, (svg.TIMES, svg.OTHER_TIMES), (svg.LEVELS, svg.OTHER_LEVELS), strict=True
    ):
        np.testing.assert_allclose(arm.time[1:-1:2], times, atol=2e-4)
        np.testing.assert_allclose(arm.survival[2:-1:2], levels[: len(arm.survival[2:-1:2])], atol=1e-5)
        assert ((np.diff(arm.time) == 0) | (np.diff(arm.survival) == 0)).all()
    np.testing.assert_allclose(reading.arms[0].marks, svg.MARKS, atol=1e-3)
    assert [row.counts.tolist() for row in reading.rows] == [[60, 41, 24], [58, 20, 8]]
    assert [row.arm for row in reading.rows] == [0, 1]
    assert [finding for finding in reading.findings if finding.severity != "note"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "settings"),
    [
        ("pdf", {"pdf.fonttype": 3}),
        ("pdf", {"pdf.fonttype": 42}),
        ("svg", {"svg.fonttype": "none"}),
        ("svg", {"svg.fonttype": "path"}),
    ],
)
def test_a_figure_of_matplotlib_gives_its_corners(tmp_path: Path, ending: str, settings: dict[str, object]) -> None:
    path = tmp_path / f"figure.{ending}"
    with matplotlib_figure(**settings) as drawn:
        drawn.savefig(path, bbox_inches="tight")  # type: ignore[attr-defined]
    expect(read_scene(read_pdf(path) if ending == "pdf" else read_svg(path)))


def placed(source: bytes, folder: Path, matrix: tuple[float, ...], rotation: int) -> Path:
    """Return an A4 page that holds a page as a form under a matrix, turned by its /Rotate."""
    import pypdfium2

    inner = pypdfium2.PdfDocument(source)
    outer = pypdfium2.PdfDocument.new()
    page = outer.new_page(595, 842)
    item = inner.page_as_xobject(0, outer).as_pageobject()
    item.set_matrix(pypdfium2.PdfMatrix(*matrix))
    page.insert_obj(item)
    page.gen_content()
    page.set_rotation(rotation)
    path = folder / "page.pdf"
    outer.save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("matrix", "rotation"),
    [
        ((0.6, 0, 0, 0.6, 80, 300), 0),
        ((1.1, 0, 0, 1.1, 30, 40), 90),
        ((0, 1, -1, 0, 400, 60), 90),
        ((0, -1, 1, 0, 60, 700), 0),
    ],
)
def test_a_figure_inside_a_form_or_on_a_turned_page(tmp_path: Path, matrix: tuple[float, ...], rotation: int) -> None:
    buffer = BytesIO()
    with matplotlib_figure() as drawn:
        drawn.savefig(buffer, format="pdf", bbox_inches="tight")  # type: ignore[attr-defined]
    expect(read_scene(read_pdf(placed(buffer.getvalue(), tmp_path, matrix, rotation))))


IMAGE = (
    "<< /Type /XObject /Subtype /Image /Width {0} /Height {0} /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 4 >>"
)


def document(*objects: str, trailer: str = "") -> bytes:
    """Return a PDF written by hand; objects are numbered from 1, the first is the catalogue."""
    text, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(text))
        text += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start = len(text)
    text += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    text += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n"
    return text.encode("latin-1")


def page(content: str, resources: str = "", *more: str) -> bytes:
    """Return a page of 300 x 300 points."""
    return document(
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R /Resources << {resources} >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        *more,
    )


FONT = "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"


def test_strokes_have_colour_width_dash_and_clip(tmp_path: Path) -> None:
    path = tmp_path / "page.pdf"
    path.write_bytes(page("10 20 100 100 re W n 1 0 0 RG 2 w [3 1] 0 d 2 0 0 2 0 0 cm 10 40 m 70 40 l 70 20 l S"))
    (stroke,) = read_pdf(path).strokes
    np.testing.assert_allclose(stroke.points, [(20, 220), (140, 220), (140, 260)])
    assert stroke.colour == (1, 0, 0) and stroke.width == pytest.approx(4) and stroke.dash == pytest.approx((6, 2))
    assert stroke.clip is not None and (stroke.clip.left, stroke.clip.top) == pytest.approx((10, 180))


@pytest.mark.slow
def test_marks_that_lie_on_one_another_are_all_read(tmp_path: Path) -> None:
    """Pdfium takes equal overlapping characters for bold print and drops them."""
    places = [50, 50.5, 51, 51.5, 60, 60.2, 90]
    content = "".join(f"BT /F1 12 Tf {place} 100 Td (+) Tj ET\n" for place in places)
    path = tmp_path / "marks.pdf"
    path.write_bytes(page(content, FONT))
    texts = read_pdf(path).texts
    assert [text.content for text in texts] == ["+"] * 7
    middles = sorted(float(text.edges.mean()) for text in texts if text.edges is not None)
    np.testing.assert_allclose(middles, np.array(places) + 12 * 0.584 / 2, atol=0.01)


def test_labels_in_one_string_are_parted_and_words_are_not(tmp_path: Path) -> None:
    content = (
        "BT /F1 10 Tf 20 100 Td [(0.0) -3000 (0.2) -3000 (0.4)] TJ ET BT /F1 10 Tf 20 50 Td [(Ma) -30 (le arm)] TJ ET"
    )
    path = tmp_path / "labels.pdf"
    path.write_bytes(page(content, FONT))
    assert [text.content for text in read_pdf(path).texts] == ["0.0", "0.2", "0.4", "Male arm"]


def test_a_page_that_holds_only_a_picture_gives_the_picture(tmp_path: Path) -> None:
    rows = ("\x00" * 10 + "\xff" * 10) * 20
    body = IMAGE.format(20).replace("/Length 4", "/Length 400") + f"\nstream\n{rows}\nendstream"
    path = tmp_path / "picture.pdf"
    path.write_bytes(page("200 0 0 200 50 50 cm /I Do", "/XObject << /I 5 0 R >>", body))
    scene = read_pdf(path)
    (picture,) = scene.pictures
    assert scene.strokes == () and (picture.box.left, picture.box.top, picture.box.right) == pytest.approx(
        (50, 50, 250)
    )
    assert picture.pixels.shape == (20, 20, 3)
    assert picture.pixels[5, 2].max() < 10 and picture.pixels[5, -3].min() > 245


def many_pages() -> bytes:
    kids = " ".join(f"{number} 0 R" for number in range(3, 10_003))
    pages = ["<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"] * 10_000
    return document("<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count 10000 >>", *pages)


HUGE = IMAGE.format(60000) + "\nstream\nabcd\nendstream"
EMPTY = ("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [] /Count 0 >>")
LOCK = "/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{0}> /U <{0}> >> /ID [<00> <00>]".format("ab" * 32)
HOSTILE = {
    "no pdf": (b"hello", 1, "does not begin"),
    "empty": (b"", 1, "does not begin"),
    "broken": (b"%PDF-1.7\n" + b"\x00garbage" * 500, 1, "cannot be read"),
    "broken xref": (page("0 0 m 9 9 l S")[:200], 1, "cannot be read|pages"),
    "password": (document(*EMPTY, trailer=LOCK), 1, "password"),
    "page 10,001 of 10,000": (many_pages(), 10_001, "10000 pages"),
    "huge picture": (page("9 0 0 9 0 0 cm /I Do", "/XObject << /I 5 0 R >>", HUGE), 1, "60000 x 60000"),
    "many objects": (page("0 0 m 9 9 l S\n" * 110_000), 1, "objects"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_quickly(tmp_path: Path, kind: str) -> None:
    data, number, word = HOSTILE[kind]
    path = tmp_path / "hostile.pdf"
    path.write_bytes(data)
    start = time.process_time()
    with pytest.raises(InputError, match=word):
        read_pdf(path, number)
    assert time.process_time() - start < 10


def test_one_of_10_000_pages_is_read_quickly(tmp_path: Path) -> None:
    path = tmp_path / "book.pdf"
    path.write_bytes(many_pages())
    start = time.process_time()
    assert read_pdf(path, 9_999).pages == 10_000
    assert time.process_time() - start < 3


def test_forms_that_hold_each_other_end(tmp_path: Path) -> None:
    def form(own: int, other: int) -> str:
        content = f"/X{other} Do 0 0 m 9 9 l S"
        head = f"<< /Type /XObject /Subtype /Form /BBox [0 0 99 99] /Length {len(content)}"
        return f"{head} /Resources << /XObject << /X{other} {other} 0 R >> >> >>\nstream\n{content}\nendstream"

    path = tmp_path / "circle.pdf"
    path.write_bytes(page("/X5 Do", "/XObject << /X5 5 0 R >>", form(5, 6), form(6, 5)))
    start = time.process_time()
    assert len(read_pdf(path).strokes) < 100 and time.process_time() - start < 5
