"""Style of SVG elements: presentation attributes, then rules of <style>, then the attribute style; and colours."""

import re
from dataclasses import dataclass
from typing import Any

from bayes_bm.digitizing.formats.affine import numbers
from bayes_bm.digitizing.scene import Colour

INHERITED = (
    "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "fill", "fill-opacity", "color", "visibility",
    "font-size", "font-family", "text-anchor", "dominant-baseline",
)  # fmt: skip
_OWN = ("opacity", "display", "clip-path", "baseline-shift")
START = {"stroke": "none", "stroke-width": "1", "fill": "#000000", "color": "#000000", "font-size": "16px"}
"""What SVG takes where nothing is said; everything else is empty."""
_LEAST_RULES = 2000
_BLOCK = re.compile(r"([^{}]*)\{([^{}]*)\}")
_PART = re.compile(r"^([\w-]+|\*)?((?:[.#][\w-]+)*)$")


@dataclass(frozen=True, slots=True)
class _Compound:
    """Hold one simple selector, such as `path.curve`; `child` where it must be the parent of the next."""

    tag: str
    identity: str
    classes: frozenset[str]
    child: bool

    def fits(self, element: Any) -> bool:
        """Return whether an element is meant."""
        if self.tag not in ("", "*", local(element)):
            return False
        if self.identity and element.get("id") != self.identity:
            return False
        return not self.classes or self.classes <= set((element.get("class") or "").split())


@dataclass(frozen=True, slots=True)
class Rule:
    """Hold one selector with its declarations."""

    parts: tuple[_Compound, ...]
    weight: tuple[int, int, int]
    declarations: dict[str, str]

    def fits(self, element: Any) -> bool:
        """Return whether the rule speaks of an element."""
        if not self.parts[-1].fits(element):
            return False
        current, place = element.getparent(), len(self.parts) - 2
        while place >= 0:
            if current is None:
                return False
            if self.parts[place].fits(current):
                place -= 1
            elif self.parts[place].child:
                return False
            current = current.getparent()
        return True


def local(element: Any) -> str:
    """Return an element's name without its namespace; empty for comments."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def declarations(text: str | None) -> dict[str, str]:
    """Return the properties of a declaration block."""
    pairs = (part.split(":", 1) for part in (text or "").split(";") if ":" in part)
    return {name.strip().lower(): value.replace("!important", "").strip() for name, value in pairs}


def rules(text: str) -> list[Rule]:
    """Return the rules of style sheets in the order in which they win; selectors not understood are left out."""
    text = re.sub(r"/\*.*?\*/|<!--|-->|@(?:import|charset|namespace)[^;]*;", "", text, flags=re.DOTALL)
    kept: list[Rule] = []
    for selectors, block in _BLOCK.findall(text):
        said = declarations(block)
        for selector in selectors.split(","):
            parts = _selector(selector)
            if parts and said and len(kept) < _LEAST_RULES:
                kept.append(Rule(parts, _weight(parts), said))
    return sorted(kept, key=lambda rule: rule.weight)  # stable: of equal weight the later one wins


def _selector(text: str) -> tuple[_Compound, ...]:
    """Return the parts of a selector from the outermost; empty where it is not understood."""
    parts: list[_Compound] = []
    words = text.replace(">", " > ").split()
    for index, word in enumerate(words):
        if word == ">":
            continue
        match = _PART.match(word)
        if match is None:
            return ()
        marks = re.findall(r"([.#])([\w-]+)", match[2] or "")
        identity = next((name for sign, name in marks if sign == "#"), "")
        classes = frozenset(name for sign, name in marks if sign == ".")
        parts.append(_Compound(match[1] or "", identity, classes, words[index + 1 : index + 2] == [">"]))
    return tuple(parts)


def _weight(parts: tuple[_Compound, ...]) -> tuple[int, int, int]:
    """Return how much a selector weighs: identities, classes, names."""
    named = sum(part.tag not in ("", "*") for part in parts)
    return sum(bool(part.identity) for part in parts), sum(len(part.classes) for part in parts), named


def style(element: Any, sheet: list[Rule], parent: dict[str, str]) -> dict[str, str]:
    """Return the properties of an element, those that it inherits included."""
    said = {name: parent[name] for name in INHERITED if name in parent}
    values = {name: value for name in (*INHERITED, *_OWN) if (value := element.get(name)) is not None}
    for rule in sheet:
        if rule.fits(element):
            values.update(rule.declarations)
    values.update(declarations(element.get("style")))
    values = {name: value for name, value in values.items() if value != "inherit"}
    if "font-size" in values:
        values["font-size"] = str(length(values["font-size"], length(parent.get("font-size", "16"), 16.0)))
    return {**said, **values}


def length(text: str | None, whole: float, default: float = 0.0) -> float:
    """Return a length in user units; `whole` is what 100 % means, and one em."""
    values = numbers(text)
    if not values:
        return default
    unit = re.sub(r"^[\s\d.eE+-]*?(?=[a-z%]|$)", "", (text or "").strip().lower())
    factors = {
        "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0, "%": whole / 100, "em": whole
    }  # fmt: skip
    return values[0] * factors.get(unit, 1.0)


def colour(text: str | None, current: str = "#000000") -> Colour | None:
    """Return a colour; None for `none`, `transparent` and what is not a colour, grey for a gradient."""
    word = (text or "").strip().lower()
    if word == "currentcolor":
        return colour(current)
    if word.startswith("#"):
        digits = word[1:]
        digits = "".join(digit * 2 for digit in digits) if len(digits) in (3, 4) else digits
        if not re.fullmatch(r"[0-9a-f]{6}(?:[0-9a-f]{2})?", digits):
            return None
        return tuple(int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4))  # type: ignore[return-value]
    if word.startswith("rgb"):
        parts = re.findall(r"([\d.]+)(%?)", word)
        if len(parts) < 3 or (len(parts) > 3 and float(parts[3][0]) == 0.0):
            return None
        return tuple(min(float(value) / (100 if sign else 255), 1.0) for value, sign in parts[:3])  # type: ignore[return-value]
    if word.startswith("url("):
        return (0.5, 0.5, 0.5)
    return None if word in ("", "none", "transparent") else _named(word)


def _named(word: str) -> Colour | None:
    """Return a colour of CSS by its name."""
    from matplotlib.colors import CSS4_COLORS

    digits = CSS4_COLORS.get(word)
    return colour(str(digits)) if digits else None


def opacity(text: str | None) -> float:
    """Return an opacity, 0 to 1; 1 where nothing is said."""
    return min(max(length(text, 1.0, 1.0), 0.0), 1.0)
