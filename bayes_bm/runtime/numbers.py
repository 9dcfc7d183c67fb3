"""Numbers as people type them: digits 0 to 9, a point, an exponent; nothing that only Python takes for a number."""

import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
LONGEST = 400
"""Letters of a number; the largest that a computer holds has 309 digits."""


def parse_number(text: str) -> float | None:
    """Return the number that a text is, None where it is none: `nan`, `inf`, `1_000` and digits of other scripts.

    A number too large for a computer is infinite, which every limit refuses.
    """
    stripped = text.strip()
    if len(stripped) > LONGEST or not _NUMBER.fullmatch(stripped):
        return None
    return float(stripped)
