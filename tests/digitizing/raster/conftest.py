"""Figures drawn once for all tests of this folder, since recognition takes seconds to start."""

import os

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def reader():
    """The reader of pictures, with the models of recognition loaded."""
    pytest.importorskip("rapidocr")
    pytest.importorskip("cv2")
    from bayes_bm.digitizing.raster.read import read_pixels

    return read_pixels
