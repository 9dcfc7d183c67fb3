"""Pictures of every depth and colour model become the same pixels; too large or damaged ones are refused."""

import struct
import zlib

import numpy as np
import pytest

from bayes_bm import InputError
from bayes_bm.digitizing.formats.pictures import picture_pages, read_picture

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def pixels():
    image = np.full((20, 30, 3), 255, np.uint8)
    image[5:8, 3:25] = (0, 0, 0)
    return image


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "1"])
def test_every_colour_model_shows_the_same(tmp_path, pixels, mode):
    path = tmp_path / "figure.tif" if mode == "CMYK" else tmp_path / "figure.png"
    Image.fromarray(pixels).convert(mode).save(path)
    np.testing.assert_array_equal(read_picture(path), pixels)


def test_transparent_paper_is_white(tmp_path, pixels):
    alpha = np.where(pixels.sum(axis=2) > 0, 0, 255).astype(np.uint8)
    Image.fromarray(np.dstack([np.zeros_like(pixels), alpha])).save(tmp_path / "figure.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "figure.png"), pixels)


def test_sixteen_bits(tmp_path, pixels):
    Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(tmp_path / "figure.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "figure.png"), pixels)


def test_a_turned_photograph_is_turned_back(tmp_path, pixels):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "figure.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "figure.png"), pixels)


def test_a_page_of_several(tmp_path, pixels):
    blank = Image.fromarray(np.full((9, 9, 3), 255, np.uint8))
    blank.save(tmp_path / "pages.tif", save_all=True, append_images=[Image.fromarray(pixels)])
    assert picture_pages(tmp_path / "pages.tif") == 2
    np.testing.assert_array_equal(read_picture(tmp_path / "pages.tif", page=2), pixels)
    with pytest.raises(InputError, match="page 3; allowed: 1 to 2"):
        read_picture(tmp_path / "pages.tif", page=3)


def test_a_long_picture_is_reduced(tmp_path):
    image = np.full((30, 9000, 3), 255, np.uint8)
    image[:, 4500:] = (0, 0, 0)
    Image.fromarray(image).save(tmp_path / "long.png")
    reduced = read_picture(tmp_path / "long.png")
    assert reduced.shape == (13, 4000, 3)
    assert (reduced[:, :1999] == 255).all()
    assert (reduced[:, 2001:] == 0).all()


def _header_only(columns, rows):
    """A PNG that says its size and has no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_a_huge_picture_is_refused_by_its_header(tmp_path):
    (tmp_path / "huge.png").write_bytes(_header_only(60_000, 60_000))
    with pytest.raises(InputError, match=r"60000 x 60000 pixels; allowed: at most 60 million pixels"):
        read_picture(tmp_path / "huge.png")


@pytest.mark.parametrize("content", [b"", b"not a picture", _header_only(30, 20)])
def test_what_cannot_be_decoded_is_refused(tmp_path, content):
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(InputError, match="cannot be decoded"):
        read_picture(tmp_path / "broken.png")


def test_without_the_extra_one_line_names_it(tmp_path, monkeypatch, pixels):
    Image.fromarray(pixels).save(tmp_path / "figure.png")
    import bayes_bm.digitizing.raster.libraries as libraries

    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(libraries, "import_module", absent)
    with pytest.raises(InputError, match=r'pip install "bayes_bm\[digitize\]"'):
        read_picture(tmp_path / "figure.png")
