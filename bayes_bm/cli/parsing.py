"""Text of options to values; every refusal names the option, what was found and what is allowed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from bayes_bm.cli.printing import ERR
from bayes_bm.runtime.errors import InputError

if TYPE_CHECKING:
    from bayes_bm.inference.result import Result


def parse_numbers(text: str | None, option: str) -> list[float] | None:
    """Return `6,12,24` as numbers, None where the option was left out."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(option, found=text, allowed="numbers separated by commas, such as 6,12,24") from None


def parse_pairs(text: str | None, option: str = "--patient") -> dict[str, float]:
    """Return `kps_10=1,age=61` as a mapping."""
    pairs: dict[str, float] = {}
    for part in filter(None, (text or "").split(",")):
        name, _, value = part.partition("=")
        try:
            pairs[name.strip()] = float(value)
        except ValueError:
            raise InputError(option, found=part, allowed="name=number, separated by commas") from None
    return pairs


def parse_changes(settings: Sequence[str] | None) -> dict[str, Any]:
    """Return `--set priors.log_hr.sd=2` as a patch; values are TOML, bare words are strings."""
    import tomllib

    patch: dict[str, Any] = {}
    for text in settings or ():
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise InputError("--set", found=text, allowed="key=value, such as sampling.draws=2000")
        try:
            patch[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            patch[key.strip()] = value
    return patch


def load_gated(path: Path, *, allow_failed: bool) -> "Result":
    """Return a stored result whose gate passed, or failed and is allowed to; the latter is said on standard error."""
    from bayes_bm.inference.result import load

    result = load(path)
    result.require_gate(allow_failed=allow_failed)
    if not result.gate.passed:
        ERR.print(Text(f"the convergence gate of {path} failed: {'; '.join(result.gate.reasons)}"))
    return result


def parse_sizes(text: str) -> tuple[int, int]:
    """Return the fewest and the most patients of an arm."""
    sizes = parse_numbers(text, "--sizes") or []
    if len(sizes) != 2 or any(size != int(size) for size in sizes):
        raise InputError("--sizes", found=text, allowed="two whole numbers, such as 20,80")
    return int(sizes[0]), int(sizes[1])


def refuse_options(options: Mapping[str, Any], many: bool) -> None:
    """Refuse options that belong to the other form of the call."""
    for option, value in options.items():
        if value is not None:
            allowed = "the manifest's column of that name" if many else "only with --manifest"
            raise InputError(option, found=value, allowed=allowed)


def parse_pair(text: str) -> tuple[str, str]:
    """Return the two treatments of `A:B`."""
    one, colon, other = text.partition(":")
    if not colon or not one.strip() or not other.strip():
        raise InputError("--compare", found=text, allowed="A:B, two treatments of the spec")
    return one.strip(), other.strip()


def parse_names(text: str | None) -> list[str] | None:
    """Return names between commas, None where the option was left out."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
