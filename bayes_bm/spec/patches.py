"""Named sensitivity analyses and `--set` as patches of a document."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.toml_text import MOST_DEPTH


def named_patch(document: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """Return the changes that a named sensitivity analysis makes."""
    patches: dict[str, dict[str, Any]] = document.get("sensitivity", {})
    if name not in patches:
        raise InputError(
            f"{where}, sensitivity", found=name, allowed=", ".join(patches) or "none is named in this spec"
        )
    return patches[name]


def patched(document: dict[str, Any], changes: Mapping[str, Any], *, where: str = "spec") -> dict[str, Any]:
    """Return a copy of the document with dotted keys replaced; the value `"none"` removes a key."""
    document = deepcopy(document)
    for dotted, change in changes.items():
        *parents, leaf = dotted.split(".")
        if len(parents) >= MOST_DEPTH:
            depth = f"a key of {len(parents) + 1} parts"
            raise InputError(f"{where}, {dotted[:60]}", found=depth, hint="name a key of the spec")
        table = document
        for parent in parents:
            value = table.setdefault(parent, {})
            if not isinstance(value, dict):
                raise InputError(f"{where}, {dotted}", found=f"{parent} is not a table", hint="name a key of the spec")
            table = cast(dict[str, Any], value)
        if change == "none":
            table.pop(leaf, None)
        else:
            table[leaf] = change
    return document
