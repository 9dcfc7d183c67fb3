"""Text of options to values; every refusal names the option, what was found and what is allowed."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from bayes_bm.cli.limits import MOST_PATIENTS, checked_number
from bayes_bm.cli.printing import ERR
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.numbers import parse_number

if TYPE_CHECKING:
    from bayes_bm.estimands.who import StudyEffects, Who
    from bayes_bm.inference.result import Result


def parse_times(text: str | None, option: str = "--times") -> list[float] | None:
    """Return `6,12,24` as times, None where the option was left out."""
    if text is None:
        return None
    return [
        checked_number(part, option, greater_than=0) for part in filled_parts(text, option, "times, such as 6,12,24")
    ]


def filled_parts(text: str, option: str, allowed: str) -> list[str]:
    """Return what stands between commas. Raises `InputError` where something there is blank."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        found = repr(text)[:60] if text.strip() else "nothing"
        raise InputError(option, found=found, allowed=f"{allowed}, separated by commas", hint="or leave the option out")
    return parts


def parse_pairs(text: str | None, option: str = "--patient") -> dict[str, float]:
    """Return `kps_10=1,age=61` as a mapping."""
    pairs: dict[str, float] = {}
    for part in () if text is None else filled_parts(text, option, "name=number"):
        name, _, value = (piece.strip() for piece in part.partition("="))
        number = parse_number(value)
        if not name or number is None or math.isinf(number):
            raise InputError(option, found=repr(part)[:60], allowed="name=number, separated by commas")
        if name in pairs:
            raise InputError(option, found=f"{name} twice", allowed="each name once")
        pairs[name] = number
    return pairs


def parse_population(text: str | None, on: "StudyEffects") -> "Who":
    """Return `share_kps70=0.7` as the population asked about, with these studies' effects; `on` where left out."""
    from bayes_bm.estimands.who import PatientMix

    return on if text is None else PatientMix(parse_pairs(text, "--population"), on=on)


def parse_changes(settings: Sequence[str] | None) -> dict[str, Any]:
    """Return `--set priors.log_hr.sd=2` as a patch; values are TOML, bare words are strings."""
    patch: dict[str, Any] = {}
    for text in settings or ():
        key, sign, value = (piece.strip() for piece in text.partition("="))
        if not sign or not all(part.strip() for part in key.split(".")):
            raise InputError("--set", found=repr(text)[:60], allowed="key=value, such as sampling.draws=2000")
        if key in patch:
            raise InputError("--set", found=f"{key} twice", allowed="each key once")
        patch[key] = _setting(value, f"--set {key[:60]}")
    return patch


def _setting(value: str, where: str) -> Any:
    """Return a value as TOML reads it; a bare word, which is no TOML, means itself."""
    from bayes_bm.runtime.toml_text import parse_toml

    try:
        return parse_toml(f"value = {value}", where)["value"]
    except InputError:
        if value[:1] in _TOML_STARTS or len(value) > LONGEST_WORD:
            raise
        return value


_TOML_STARTS = ("", "[", "{", '"', "'")
"""How a value of `--set` begins that can only be meant as TOML."""
LONGEST_WORD = 400
"""Letters of a value of `--set` that is taken as it stands."""


def load_gated(path: Path, *, allow_failed: bool, level: float | None = None) -> "Result":
    """Return a stored result whose gate passed, or failed and is allowed to; the latter is said on standard error.

    Its intervals are of `level` where one is given.
    """
    from bayes_bm.inference.result import load

    result = load(path)
    result.require_gate(allow_failed=allow_failed)
    if not result.gate.passed:
        ERR.print(Text(f"the convergence gate of {path} failed: {'; '.join(result.gate.reasons)}"))
    return result if level is None else result.at_level(level)


def parse_sizes(text: str) -> tuple[int, int]:
    """Return the fewest and the most patients of an arm."""
    allowed = f"two whole numbers from 1 to {MOST_PATIENTS}, the smaller first, such as 20,80"
    sizes = [parse_number(part) for part in text.split(",")]
    whole = [int(size) for size in sizes if size is not None and 1 <= size <= MOST_PATIENTS and size == int(size)]
    if len(sizes) != 2 or len(whole) != 2 or whole[0] > whole[1]:
        raise InputError("--sizes", found=repr(text)[:60], allowed=allowed)
    return whole[0], whole[1]


def refuse_options(options: Mapping[str, Any], allowed: str, where: str = "", *, hint: str = "") -> None:
    """Refuse options that this form of the call does not take; `where` is said behind the value."""
    for option, value in options.items():
        if value is not None:
            raise InputError(option, found=f"{value}{where}" if where else value, allowed=allowed, hint=hint)


def parse_pair(text: str) -> tuple[str, str]:
    """Return the two treatments of `A:B`."""
    one, colon, other = text.partition(":")
    if not colon or not one.strip() or not other.strip():
        raise InputError("--compare", found=text, allowed="A:B, two treatments of the spec")
    return one.strip(), other.strip()


def parse_names(text: str | None, option: str) -> list[str] | None:
    """Return names between commas, None where the option was left out."""
    return None if text is None else filled_parts(text, option, "names")
