"""Pictures that a vector file holds inside itself."""

import base64
import binascii
import io

import numpy as np

from bayes_bm.digitizing.scene import Box, Picture
from bayes_bm.runtime.errors import InputError

MOST_PIXELS = 60_000_000
"""A page at 600 dpi has 35 million."""


def picture(reference: str, box: Box, where: str) -> Picture | None:
    """Return the picture of a `data:` address; None where the address leads out of the file or cannot be read.

    Raises
    ------
    InputError
        Where the picture has more pixels than a page.
    """
    head, _, data = reference.partition(",")
    if not head.startswith("data:image/") or "base64" not in head:
        return None
    from PIL import Image, UnidentifiedImageError

    try:
        opened = Image.open(io.BytesIO(base64.b64decode(data)))
    except (binascii.Error, UnidentifiedImageError, ValueError, OSError, Image.DecompressionBombError):
        return None
    if opened.width * opened.height > MOST_PIXELS:
        raise InputError(
            where,
            found=f"a picture of {opened.width} x {opened.height} pixels",
            allowed=f"at most {MOST_PIXELS // 1_000_000} million",
        )
    ground = Image.new("RGBA", opened.size, "white")
    flat = Image.alpha_composite(ground, opened.convert("RGBA")).convert("RGB")
    return Picture(np.asarray(flat, np.uint8), box)
