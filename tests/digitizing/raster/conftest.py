"""Figures drawn once for all tests of this folder, since recognition takes seconds to start."""

import os
import sys

import pytest

from tests.digitizing.raster.drawing import ARMS, Style, draw

os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def reader():
    """The reader of pictures, with the models of recognition loaded."""
    pytest.importorskip("rapidocr")
    pytest.importorskip("cv2")
    from bayes_bm.digitizing.raster.read import read_pixels

    return read_pixels


@pytest.fixture(scope="session")
def plain_pixels():
    """Of the fewest dots that a curve should be drawn with: reading takes as long as there are pixels."""
    return draw(ARMS, Style(dpi=100))


@pytest.fixture(scope="session")
def plain_texts(reader, plain_pixels):
    """The texts of the plain picture, recognised once."""
    return sys.modules[reader.__module__].read_texts(plain_pixels)


@pytest.fixture(scope="session")
def plain_again(reader, plain_texts):
    """The reader of the plain picture, its texts known: for tests in which they are not what is tested."""
    read = sys.modules[reader.__module__]

    def again(pixels, *given):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(read, "read_texts", lambda _: plain_texts)
            return reader(pixels, *given)

    return again


@pytest.fixture(scope="session")
def plain_reading(plain_again, plain_pixels):
    """The reading of the plain picture, nothing given."""
    return plain_again(plain_pixels)
