"""A TOML file to a checked spec, shipped ones by name."""

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import (
    ValidationError,
)

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.toml_text import parse_toml
from bayes_bm.spec.defaults import with_defaults
from bayes_bm.spec.document import Spec
from bayes_bm.spec.messages import teach
from bayes_bm.spec.patches import named_patch, patched


def shipped(kind: Literal["models", "data"]) -> Path:
    """Return the folder of shipped models or data: inside the wheel, or beside the package in a clone."""
    package = Path(str(resources.files("bayes_bm")))
    folder = package / kind
    return folder if folder.is_dir() else package.parent / kind


def list_models() -> list[Path]:
    """List the specs that are shipped, by name.

    Returns
    -------
    list of Path
        Their TOML files in alphabetical order; `path.stem` is a name that `read_spec` takes.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> "os_reresection_vs_resrs" in [path.stem for path in bb.list_models()]
    True
    """
    return sorted(shipped("models").glob("*.toml"))


def list_causes() -> list[Path]:
    """List the shipped specs of several causes, by name."""
    return sorted((shipped("models") / "causes").glob("*.toml"))


def _folders() -> tuple[Path, ...]:
    return shipped("models"), shipped("models") / "causes"


def find_spec(name: str | Path) -> Path:
    """Return a path as it stands, or the name of a shipped model, with or without `models/` and `.toml`."""
    path = Path(name)
    longest = max((len(part.encode()) for part in path.parts), default=0)
    if longest > LONGEST_NAME or not path.name:
        given = f"a name of {longest} letters" if path.name else f"{str(name)!r}, no file's name"
        raise InputError("SPEC", found=given, allowed=_SPECS, hint=_LIST)
    plain = path.parent in (Path(), Path("models"), Path("models/causes"))
    if path.is_file():
        return path
    for candidate in (folder / f"{path.name.removesuffix('.toml')}.toml" for folder in _folders()):
        if plain and candidate.is_file():
            return candidate
    names = [model.stem for model in [*list_models(), *list_causes()]]
    matches = difflib.get_close_matches(path.name.removesuffix(".toml"), names, n=1)
    hint = f"did you mean {matches[0]}?" if matches else _LIST
    raise InputError(str(name), found="a folder" if path.is_dir() else "no such file", allowed=_SPECS, hint=hint)


LONGEST_NAME = 255
"""Bytes of a file's name."""
_SPECS = "a path to a TOML spec, or a shipped model's name"
_ONE_CAUSE = "a spec of one endpoint"
_SEVERAL = "such a spec is read by audit, fit, run and sensitivity, and in Python by bb.read_causes and bb.fit_causes"
_LIST = "list the shipped ones with: bayes-bm models; start your own with: bayes-bm init DIR"


def text_of(file: Path) -> str:
    """Return the text of a spec."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InputError(str(file), found=f"no UTF-8 ({problem})", allowed="a TOML file in UTF-8") from None
    except OSError as problem:
        raise InputError(str(file), found=str(problem.strerror), allowed="a file that can be read") from None


def read_spec(path: str | Path, *, sensitivity: str | None = None, changes: Mapping[str, Any] | None = None) -> Spec:
    """Read a spec, apply one named sensitivity analysis and then changes, and check it.

    Parameters
    ----------
    path : str or Path
        A TOML file, or the name of a shipped model (`list_models`).
    sensitivity : str, optional
        A sensitivity analysis that the spec names.
    changes : mapping of str to value, optional
        New values by dotted key, as `--set` gives them; the value `"none"` removes a key.

    Returns
    -------
    Spec
        The frozen record of everything that the analysis assumes, with a default where the file leaves a key out
        that has one (docs/spec-keys.md). No evidence is read.

    Raises
    ------
    InputError
        If there is no such file, if it is not TOML, or for keys that are unknown, missing or wrong: all at once
        (`InputErrors`), each with what it may be, an example and its default.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> spec = bb.read_spec("os_reresection_vs_resrs", changes={"sampling.draws": 500})
    >>> spec.treatments.names, spec.sampling.draws
    (('re_srs', 're_resection'), 500)
    >>> try:
    ...     bb.read_spec("os_reresection_vs_resr")
    ... except bb.InputError as problem:
    ...     print(problem.hint)
    did you mean os_reresection_vs_resrs?
    """
    file = find_spec(path)
    document = parse_toml(text_of(file), str(file))
    if "causes" in document:
        raise InputError(f"{file}, causes", found="a spec of several causes", allowed=_ONE_CAUSE, hint=_SEVERAL)
    chosen = {} if sensitivity is None else named_patch(document, sensitivity, str(file))
    changed = patched(patched(document, chosen, where=str(file)), changes or {}, where=str(file))
    spec = parse_spec(with_defaults(changed, file), where=str(file), folder=str(file.resolve().parent))
    if sensitivity is None:
        _check_patches(document, file)
    return spec


def as_spec(spec: object) -> Spec:
    """Return a spec, read where its file or a shipped model's name is given.

    Raises
    ------
    InputError
        If it is none of these, or the file is not a spec.
    """
    if isinstance(spec, str | Path):
        return read_spec(spec)
    if isinstance(spec, Spec):
        return spec
    allowed = "a Spec (`read_spec`), a TOML file, or the name of a shipped model (`list_models`)"
    raise InputError("spec", found=type(spec).__name__, allowed=allowed)


def _check_patches(document: dict[str, Any], file: Path) -> None:
    """Refuse a named sensitivity analysis that would be refused when it is asked for."""
    patches = document.get("sensitivity")
    for name, patch in cast(dict[str, Any], patches).items() if isinstance(patches, dict) else ():
        if isinstance(patch, dict):
            place = f"{file}, sensitivity.{name}"
            changed = patched(document, cast(dict[str, Any], patch), where=place)
            parse_spec(with_defaults(changed, file), where=place)


def parse_spec(document: Mapping[str, Any], *, where: str = "spec", folder: str = ".") -> Spec:
    """Check a document. Raises one `InputError` that says everything that is wrong."""
    if "folder" in document:
        raise InputError(f"{where}, folder", found="an unknown key", hint="paths are relative to the spec's own folder")
    try:
        return Spec.model_validate({**document, "folder": folder})
    except ValidationError as problem:
        raise teach(document, problem, where) from None


def spec_toml(spec: Spec) -> str:
    """The spec as the text of a TOML file; TOML has no null, so what is not set is left out."""
    import tomlkit

    return tomlkit.dumps(_without_nulls(spec.document()))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return {key: _without_nulls(item) for key, item in items if item is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(item) for item in cast(Sequence[Any], value)]
    return value
