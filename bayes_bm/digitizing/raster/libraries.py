"""The libraries of the extra `[digitize]`, imported where a picture is read and nowhere else."""

from functools import cache
from importlib import import_module
from typing import Any

from bayes_bm.runtime.errors import InputError

_THREADS = 1
"""Of recognition: more threads wait for one another where a folder is read in parallel."""


def library(name: str) -> Any:
    """Import a library of the extra, or refuse with the line that installs it.

    Raises
    ------
    InputError
        If the library is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            "pictures",
            found=f"no library {name.partition('.')[0]}",
            allowed="PNG, JPEG and TIFF with the extra [digitize]; SVG and PDF without it",
            hint='install it with: pip install "bayes_bm[digitize]"',
        ) from error


def opencv() -> Any:
    """Return OpenCV, which may use no more threads than recognition."""
    cv2 = library("cv2")
    cv2.setNumThreads(_THREADS)
    return cv2


@cache
def recogniser() -> Any:
    """Return the engine of recognition with the models inside its wheel; about 3 s at the first call."""
    rapidocr = library("rapidocr")
    opencv()
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.use_cls": False,
            "Det.limit_type": "max",
            "Det.limit_side_len": 4000,
            "EngineConfig.onnxruntime.intra_op_num_threads": _THREADS,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
