"""A spec's document as TOML text; the standard library only reads it."""

import json
from collections.abc import Mapping
from typing import Any


def toml(document: Mapping[str, Any]) -> str:
    """Plain values first, then a table each; what lies deeper than a table's own keys is written inline."""
    plain = [f"{_key(name)} = {_value(value)}" for name, value in document.items() if not _is_table(value)]
    tables = [_table(name, value) for name, value in document.items() if _is_table(value)]
    return "\n".join([*plain, *tables]) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _table(name: str, table: Mapping[str, Any]) -> str:
    lines = (f"{_key(key)} = {_value(value)}" for key, value in table.items() if value is not None)
    return "\n".join(["", f"[{_key(name)}]", *lines])


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    # a JSON string is a TOML string; repr of a float round-trips
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
