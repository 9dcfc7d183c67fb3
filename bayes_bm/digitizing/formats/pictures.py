"""PNG, JPEG, TIFF and their like: from a file to pixels in sRGB, within limits of size that its header states."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayes_bm.digitizing.raster.libraries import library
from bayes_bm.runtime.errors import InputError

Pixels = NDArray[np.uint8]
"""Bytes (rows, columns, 3) in sRGB."""

_MOST_PIXELS = 60_000_000
"""A page of A4 at 600 dpi has 35 million; decoded with transparency these are 0.4 GB."""
_LONGEST = 4000
"""Pixels of the longer side to which larger pictures are reduced: a page of A4 at 340 dpi, read within 1 GB."""
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")
"""Formats whose readers are part of Pillow; EPS, which starts another program, is not among them."""


def read_picture(path: str | Path, *, page: int = 1) -> Pixels:
    """Read a picture as a person sees it: turned as its EXIF says, transparency over white, at most 4000 pixels long.

    Parameters
    ----------
    path : str or Path
        PNG, JPEG, TIFF, BMP, GIF, WebP, PPM or JPEG 2000, of any depth and colour model.
    page : int
        From 1, of a TIFF or GIF with several.

    Raises
    ------
    InputError
        If it is no picture, damaged, too large, or has no such page; and without the extra `[digitize]`.
    """
    module = library("PIL.Image")
    with _opened(module, Path(path)) as image:
        _check_size(image, path)
        _turn_page(image, path, page)
        _check_size(image, path)
        try:
            return _seen(module, _reduced(module, image))
        except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
            raise _damaged(path, error) from error


def picture_pages(path: str | Path) -> int:
    """Return how many pages a picture has, from its header."""
    with _opened(library("PIL.Image"), Path(path)) as image:
        return int(getattr(image, "n_frames", 1))


def _opened(module: Any, path: Path) -> Any:
    module.MAX_IMAGE_PIXELS = None  # Pillow warns at its own bound; `_check_size` refuses before decoding
    try:
        return module.open(path, formats=_FORMATS)
    except FileNotFoundError as error:
        raise InputError(str(path), found="no such file", allowed="a picture", hint="check the path") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str | Path, error: Exception) -> InputError:
    return InputError(
        str(path),
        found=f"a picture that cannot be decoded ({error})",
        allowed="PNG, JPEG, TIFF, BMP, GIF, WebP",
        hint="save it again with another program",
    )


def _check_size(image: Any, path: str | Path) -> None:
    columns, rows = image.size
    if columns * rows > _MOST_PIXELS:
        raise InputError(
            str(path),
            found=f"{columns} x {rows} pixels",
            allowed=f"at most {_MOST_PIXELS // 1_000_000} million pixels",
            hint="crop the figure, or scale it to 300 dpi",
        )


def _turn_page(image: Any, path: str | Path, page: int) -> None:
    pages = int(getattr(image, "n_frames", 1))
    if not 1 <= page <= pages:
        raise InputError(str(path), found=f"page {page}", allowed=f"1 to {pages}", hint="give a page of the file")
    if pages > 1:
        image.seek(page - 1)


def _reduced(module: Any, image: Any) -> Any:
    """The image, or a smaller one of the same kind where its longer side has too many pixels."""
    scale = _LONGEST / max(image.size)
    if scale >= 1.0:
        return image
    size = (max(1, round(image.size[0] * scale)), max(1, round(image.size[1] * scale)))
    plain = image.convert("RGBA" if "transparency" in image.info else "RGB") if image.mode in ("P", "1") else image
    reduced = plain.resize(size, module.Resampling.BOX)
    reduced.info = dict(plain.info)
    return reduced


def _seen(module: Any, image: Any) -> Pixels:
    """Bytes (rows, columns, 3)."""
    turned = library("PIL.ImageOps").exif_transpose(image)
    if turned.mode[0] in "IF":
        grey = _bytes_of_deep(np.asarray(turned, float))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if turned.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in turned.info:
        opaque = turned.convert("RGBA")
        paper = module.new("RGBA", opaque.size, (255, 255, 255, 255))
        turned = module.alpha_composite(paper, opaque)
    return np.array(turned.convert("RGB"), dtype=np.uint8)


def _bytes_of_deep(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Grey values of 16 bits, 32 bits or floats (rows, columns) as bytes."""
    top = float(grey.max(initial=0.0))
    full = 1.0 if top <= 1.0 else 255.0 if top <= 255.0 else 65535.0 if top <= 65535.0 else top
    return np.asarray(np.clip(np.rint(grey * (255.0 / full)), 0, 255), dtype=np.uint8)
