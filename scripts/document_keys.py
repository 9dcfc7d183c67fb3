"""Write docs/spec-keys.md and docs/spec.schema.json: every key of a spec, from the records that check it."""

import json
from collections.abc import Iterator
from pathlib import Path

from bayes_bm.spec.defaults import EFFECTS, PRIORS
from bayes_bm.spec.keys import KEYS
from bayes_bm.spec.schema import spec_schema, toml_text, type_words

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """# Keys of a spec

A *spec* is a TOML file that holds one question: the evidence to use, the treatments, the model, its priors and its
named analyses. This page has every key of it: what it means, what it may be, its default and an example. [Spec](#spec)
has the keys of the file itself. The sections after it have the keys of its tables, and each says where such a table
stands. Words are explained in the [glossary](glossary.md), and [method](method.md) says what the model does with them.

`bayes-bm lint SPEC` says what is wrong in a spec. `bayes-bm schema` prints a JSON schema, which an editor with a TOML
language server takes from the first line of a spec: `#:schema spec.schema.json`. `scripts/document_keys.py` writes this
page and [spec.schema.json](spec.schema.json) from the records that check a spec (`make docs`).

This is the smallest spec that runs:

```toml
schema = 1
endpoint = "os"
evidence.patients = "patients.csv"
treatments.reference = "radiotherapy"
treatments.compare = ["surgery"]
effects.study = {}
```

Its `name` is then that of the file, its `reference_time` a year and its `horizon` twice that. These priors stand by
default, and the audit lists them:
"""


def main() -> None:
    """Write both files."""
    schema = spec_schema()
    (DOCS / "spec.schema.json").write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
    lines = [HEAD]
    for name, prior in {**PRIORS, **{f"effects.{name}.sd": prior for name, prior in EFFECTS.items()}}.items():
        numbers = {key: value for key, value in prior.items() if key != "why"}
        lines.append(f"- `{name}`: `{toml_text(numbers)}`: {prior['why'].partition(': ')[2]}")
    for record, node in {"Spec": schema, **schema["$defs"]}.items():
        if "properties" not in node:
            continue
        lines += [
            "",
            f"## {record}",
            "",
            *_where(record, schema),
            "| key | meaning | type | default | example |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(record, name, key, node) for name, key in node["properties"].items()]
    (DOCS / "spec-keys.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _where(record: str, schema: dict) -> list[str]:
    """Say where a table of this kind stands in a spec."""
    if _is_prior(schema["$defs"].get(record, {})):
        return ["Stands wherever a key takes a prior.", ""]
    places = [f"`{path}`" for path, name in _tables("", schema, schema["$defs"]) if name == record]
    return [f"Stands at {', '.join(dict.fromkeys(places))}.", ""] if places else []


def _is_prior(record: dict) -> bool:
    return {"dist", "why"} <= set(record.get("properties", {}))


def _tables(path: str, node: dict, records: dict) -> Iterator[tuple[str, str]]:
    """Paths of tables inside a record, with the record that each is; NAME stands for a name of the user's."""
    for key, value in node["properties"].items():
        below = f"{path}.{'NAME' if path == 'bias' else key}" if path else key
        for suffix, name in _records_of(value):
            yield below + suffix, name
            if "properties" in records[name] and not _is_prior(records[name]):
                yield from _tables(below + suffix, records[name], records)


def _records_of(node: dict) -> Iterator[tuple[str, str]]:
    """Records that a value may be: itself, an item of a list (no suffix), or a named table (suffix .NAME)."""
    if "$ref" in node:
        yield "", node["$ref"].rpartition("/")[2]
    for choice in node.get("anyOf", []):
        yield from _records_of(choice)
    if isinstance(node.get("items"), dict):
        yield from _records_of(node["items"])
    if isinstance(node.get("additionalProperties"), dict):
        yield from ((f".NAME{suffix}", name) for suffix, name in _records_of(node["additionalProperties"]))


def _row(record: str, name: str, key: dict, node: dict) -> str:
    default = key.get("default")
    shown = f"`{toml_text(default)}`" if isinstance(default, str | int | float) else ""
    shown = "required" if name in node.get("required", []) else shown
    example = toml_text(KEYS[f"{record}.{name}"].example)
    return f"| `{name}` | {key['description']} | {type_words(key)} | {shown} | `{example}` |".replace("\n", " ")


if __name__ == "__main__":
    main()
