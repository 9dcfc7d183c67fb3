"""Named sensitivity analyses and `--set` as patches of a document."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from bayes_bm.runtime.errors import InputError


def named_patch(document: dict, name: str, where: str) -> dict[str, Any]:
    known = document.get("sensitivity", {})
    if name not in known:
        raise InputError(f"{where}, sensitivity", found=name, allowed=", ".join(known) or "none is named in this spec")
    return known[name]


def patched(document: dict, changes: Mapping[str, Any], *, where: str = "spec") -> dict:
    """A copy of the document with dotted keys replaced; the value `"none"` removes a key."""
    document = deepcopy(document)
    for dotted, value in changes.items():
        *parents, leaf = dotted.split(".")
        table = document
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise InputError(f"{where}, {dotted}", found=f"{parent} is not a table", hint="name a key of the spec")
        if value == "none":
            table.pop(leaf, None)
        else:
            table[leaf] = value
    return document
