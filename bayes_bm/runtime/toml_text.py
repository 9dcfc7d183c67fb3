"""TOML to plain data, within limits that a document written by people never meets."""

import re
import tomllib
from typing import Any

from bayes_bm.runtime.errors import InputError

MOST_LETTERS = 1_000_000
MOST_DEPTH = 20
"""Tables and lists inside each other, and parts of a dotted key; a spec has 5."""
MOST_DIGITS = 400
LARGEST = 2**63 - 1
"""Whole number that TOML knows."""
_DEEP_KEY = re.compile(rf"(?<![\w\"'-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){{{MOST_DEPTH}}}")
_LONG_NUMBER = re.compile(rf"(?<![\w.])[+-]?[\d_]{{{MOST_DIGITS},}}")


def parse_toml(text: str, where: str, hint: str = "see models/ for working examples") -> dict[str, Any]:
    """Return the data of a TOML text; `hint` says what to do where it is none.

    Raises
    ------
    InputError
        If the text is no TOML, or larger, deeper or longer in its keys and numbers than anybody writes.
    """
    if len(text) > MOST_LETTERS:
        raise InputError(where, found=f"{len(text)} letters", allowed=f"at most {MOST_LETTERS}")
    if _DEEP_KEY.search(text):
        raise InputError(where, found="a key of very many parts", allowed=f"at most {MOST_DEPTH}, as in a.b.c")
    if _LONG_NUMBER.search(text):
        raise InputError(where, found="a number of very many digits", allowed=f"at most {MOST_DIGITS} digits")
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise _too_deep(where) from None
    except ValueError as problem:
        raise InputError(where, found=f"not valid TOML ({problem})", hint=hint) from None
    check_plain(document, where)
    return document


def check_plain(document: Any, where: str) -> None:
    """Refuse data nested too deeply, and whole numbers that TOML has no room for."""
    level: list[Any] = [document]
    for _ in range(MOST_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
            elif isinstance(value, int) and abs(value) > LARGEST:
                raise InputError(where, found=f"a number of {len(str(value))} digits", allowed=f"at most {LARGEST}")
        level = inner
        if not level:
            return
    raise _too_deep(where)


def _too_deep(where: str) -> InputError:
    return InputError(where, found="tables and lists inside each other", allowed=f"at most {MOST_DEPTH} deep")
