"""SVG as matplotlib writes it, in a third of the letters: what is drawn stays, to a hundredth of a point.

Letters are shapes (`svg.fonttype: path`), so that a page looks alike everywhere. Each figure defines those it uses, and
places each by an element of its own: four fifths of a report were that.
"""

import re
from collections.abc import Callable

LETTER = r"(?:[gb]|DejaVuSans[\w-]*-)[0-9a-f]+"
"""Name of the shape of a letter."""
GLYPH = re.compile(rf'<path id="({LETTER})" d="([^"]*)" transform="scale\(0\.015625\)"/>')
"""The shape of a letter, in 1/6400 of the size of its font."""
FONTS = {"DejaVuSans-Bold-": "b", "DejaVuSans-": "g"}
"""Short names of letters, by font; names of equal shapes are equal in all figures."""
EMPTY = re.compile(r'<path id="([\w-]+)" transform="scale\(0\.015625\)"/>')
"""The shape of a blank, which shows nothing."""
NUMBER = re.compile(r"-?\d+\.\d+")
UNUSED = re.compile(r' id="([^"]*)"')
USED = re.compile(r'(?:url\(#|href="#)([^)"]*)')


def compact(drawing: str) -> str:
    """Return the markup of a figure without comments and blanks, numbers to a hundredth of a point.

    >>> compact('<g id="a">\\n <!-- 6 -->\\n <path d="M 54.720001 183.6 \\nL 305.28 24.48 \\nz\\n"/>\\n</g>')
    '<g><path d="M54.72 183.6L305.28 24.48z"/></g>'
    >>> compact('<use xlink:href="#DejaVuSans-19" transform="translate(63.622997 0)"/>')
    '<use xlink:href="#g19" x="63.62"/>'
    """
    text = re.sub(r">\s+<", "><", re.sub(r"<!--.*?-->", "", drawing, flags=re.DOTALL))
    for font, short in FONTS.items():
        text = re.sub(rf'(\bid="|xlink:href="#){font}(?=[0-9a-f]+")', rf"\g<1>{short}", text)
    for blank in EMPTY.findall(text):
        text = re.sub(rf'<use xlink:href="#{blank}"[^>]*/>', "", text)
    text = EMPTY.sub("", text)
    text = GLYPH.sub(lambda found: found[0].replace(found[2], _relative(found[2])), text)
    text = re.sub(r'(?<= d=")[^"]*', lambda path: re.sub(r"\s*([A-Za-z])\s*", r"\1", path[0]).strip(), text)
    text = _within(r' (?:d|x|y)="[^"]*"|translate\([^)]*\)', text, _rounded)
    text = re.sub(r' transform="translate\((-?[\d.]+) 0\)"(?=/>)', r' x="\1"', text)
    text = _within(r' style="[^"]*"', text, lambda style: re.sub(r"([:;]) ", r"\1", style))
    used = set(USED.findall(text))
    return UNUSED.sub(lambda found: found[0] if found[1] in used else "", text)


def share_letters(page: str) -> str:
    """Return a page whose figures take their letters from one place, right after `<body>`.

    >>> letter = '<path id="g19" d="M1 2l3 4z" transform="scale(0.015625)"/>'
    >>> share_letters(f"<body><svg>{letter}</svg><svg>{letter}<use/></svg></body>").count("g19")
    1
    """
    letters = {found[1]: found[0] for found in GLYPH.finditer(page)}
    if not letters:
        return page
    bare = re.sub(r"<defs></defs>", "", GLYPH.sub("", page))
    shapes = "".join(letters[name] for name in sorted(letters))
    # not display: none, which some browsers carry over to what takes shapes from there
    store = f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>{shapes}</defs></svg>'
    return re.sub(r"<body[^>]*>", lambda body: body[0] + store, bare, count=1)


def _within(pattern: str, text: str, change: Callable[[str], str]) -> str:
    return re.sub(pattern, lambda found: change(found[0]), text)


def _rounded(text: str) -> str:
    """Return text whose numbers have two decimals at most: a hundredth of a point is a seventieth of a pixel."""
    return NUMBER.sub(lambda found: _short(float(found[0]), 2), text)


def _short(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _relative(path: str) -> str:
    """Return the outline of a letter in whole units, each point counted from the one before: fewer digits.

    >>> _relative("M 2034 4250 \\nQ 1547 4250 1301 3770 \\nL 1301 3700 \\nz\\n")
    'M2034 4250q-487 0-733-480l0-70z'
    """
    parts: list[str] = []
    here = start = (0, 0)
    for command, numbers in re.findall(r"([MLQCz])([^MLQCz]*)", path):
        values = [round(float(value)) for value in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        if command == "M":
            here = start = points[0]
            parts.append(f"M{here[0]} {here[1]}")
        elif command == "z":
            here = start
            parts.append("z")
        else:
            steps = [str(value) for x, y in points for value in (x - here[0], y - here[1])]
            parts.append(command.lower() + " ".join(steps).replace(" -", "-"))
            here = points[-1]
    return "".join(parts)
