"""The JSON schema of a spec, made from its records: what editors complete and check, and what messages say of a key."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from bayes_bm.spec.cause_keys import Cause, Joint
from bayes_bm.spec.document import Spec
from bayes_bm.spec.keys import KEYS

Node = dict[str, Any]
"""A part of a JSON schema."""
FILLED_IN = ("name", "question", "priors")
"""Keys that records need and that a file may leave out, since reading puts a default there."""


@cache
def spec_schema() -> Node:
    """Return the JSON schema of a spec's file (draft 2020-12), with words and examples of every key."""
    schema = Spec.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A spec of bayes_bm"
    schema["description"] = "An analysis: question, evidence, model, priors with their reasons."
    schema["properties"].pop("folder", None)
    _add_causes(schema)
    schema["required"] = [name for name in schema["required"] if name not in FILLED_IN]
    for record, node in {"Spec": schema, **schema["$defs"]}.items():
        for name, key in node.get("properties", {}).items():
            _describe(key, record, name)
        if record != "Spec":
            node.pop("description", None)
    for record in ("Priors", "StudyTreatment"):
        schema["$defs"][record].pop("required", None)
    return schema


def _add_causes(schema: Node) -> None:
    """Add the tables of a spec of several causes, which have records of their own."""
    for record in (Cause, Joint):
        own = record.model_json_schema(by_alias=True)
        schema["$defs"] |= own.pop("$defs", {}) | {record.__name__: own}
    each: Node = {"$ref": "#/$defs/Cause"}
    schema["properties"]["causes"] = {"type": "object", "additionalProperties": each}
    schema["properties"]["joint"] = {"$ref": "#/$defs/Joint"}


def _describe(node: Node, record: str, name: str) -> None:
    key = KEYS.get(f"{record}.{name}")
    node.pop("title", None)
    if key is not None:
        node["description"], node["examples"] = key.words, [key.example]


def node_at(location: tuple[int | str, ...]) -> Node | None:
    """Return the part of the schema that describes a place of the document; None where there is none."""
    nodes = [spec_schema()]
    for part in location:
        nodes = [inner for node in nodes for inner in _inside(node, part)]
    return nodes[0] if nodes else None


def _inside(node: Node, part: int | str) -> Iterator[Node]:
    """Yield what a key or a place of a list holds, in every alternative that has it; `dist` of a prior chooses one."""
    for alternative in alternatives(node):
        properties: Node = alternative.get("properties", {})
        if isinstance(part, int):
            yield from [alternative["items"]] if "items" in alternative else alternative.get("prefixItems", [])[:1]
        elif properties.get("dist", {}).get("const") == part:
            yield alternative
        elif part in properties:
            yield properties[part]
        elif isinstance(alternative.get("additionalProperties"), dict):
            yield alternative["additionalProperties"]


def alternatives(node: Node) -> list[Node]:
    """Return the parts of the schema of which one holds, references followed; without null, which TOML lacks."""
    if "$ref" in node:
        return alternatives(spec_schema()["$defs"][str(node["$ref"]).rsplit("/", 1)[-1]])
    parts: list[Node] = node.get("anyOf") or node.get("oneOf") or []
    if not parts:
        return [node] if node.get("type") != "null" else []
    return [inner for part in parts for inner in alternatives(part)]


def keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that a table at a place of the document may have."""
    node = node_at(location)
    found = [] if node is None else alternatives(node)
    return sorted({name for part in found for name in part.get("properties", {})})


def type_words(node: Node) -> str:
    """Return in words what a value may be: `a number above 0, at most 1e+06`."""
    words = sorted((_words(part) for part in alternatives(node)), key=lambda text: text[0] == "{")
    if len(words) > 2 and all(word.startswith("a prior") for word in words):
        return "a prior: dist, its numbers and why"
    return " or ".join(dict.fromkeys(words))


def _words(node: Node) -> str:
    if "const" in node or "enum" in node:
        values: list[Any] = node.get("enum") or [node["const"]]
        return ", ".join(toml_text(value) for value in values[:-1]) + " or " * (len(values) > 1) + toml_text(values[-1])
    kind = node.get("type")
    if kind in ("number", "integer"):
        return f"a {'whole ' if kind == 'integer' else ''}number{_limits(node)}"
    if kind == "array":
        return f"a list of {_plural(node.get('items'))}"
    if kind == "object" and "const" in node.get("properties", {}).get("dist", {}):
        return "a prior of the kind " + toml_text(node["properties"]["dist"]["const"])
    if kind == "object" and 0 < len(node.get("properties", {})) <= FEW:
        return f"{{ {', '.join(node['properties'])} }}"
    return {"string": "a text", "boolean": "true or false", "object": "a table"}.get(str(kind), "a value")


FEW = 3
"""Keys of a table that are named in place of `a table`."""


def _plural(items: Any) -> str:
    words = type_words(items) if isinstance(items, dict) else "a value"
    plain = {"a text": "texts", "a table": "tables", "a value": "values"}
    named = (plain.get(word, word.removeprefix("a ").replace("number", "numbers", 1)) for word in words.split(" or "))
    return " or ".join(named)


def _limits(node: Mapping[str, Any]) -> str:
    ends = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
    return "".join(f", {words} {node[name]:g}" for name, words in ends.items() if name in node).replace(",", "", 1)


def toml_text(value: Any) -> str:
    """Return a value as it is written in a TOML file, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        pairs = (f"{_key_text(name)} = {toml_text(item)}" for name, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_text(item) for item in value)}]"
    return repr(value)


def _key_text(name: Any) -> str:
    text = str(name)
    return text if text.replace("_", "").replace("-", "").isalnum() and text.isascii() else f'"{text}"'
