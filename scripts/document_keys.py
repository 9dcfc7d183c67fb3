"""Write docs/spec-keys.md and docs/spec.schema.json: every key of a spec, from the records that check it."""

import json
from pathlib import Path

from bayes_bm.spec.defaults import EFFECTS, PRIORS
from bayes_bm.spec.keys import KEYS
from bayes_bm.spec.schema import spec_schema, toml_text, type_words

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """# Keys of a spec

Every key of a spec's TOML file: what it means, what it may be, an example. `scripts/document_keys.py` writes this page
and [spec.schema.json](spec.schema.json) from the records that check a spec (`make docs`). `bayes-bm schema` prints the
schema. An editor with a TOML language server takes it from the first line of a spec: `#:schema spec.schema.json`.

The smallest spec that runs:

```toml
schema = 1
endpoint = "os"
evidence.patients = "patients.csv"
treatments.reference = "radiotherapy"
treatments.compare = ["surgery"]
effects.study = {}
```

`name` is then that of the file, `reference_time` a year, `horizon` twice that. The audit lists the priors that stand by
default:
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
        lines += ["", f"## {record}", "", "| key | meaning | type | default | example |", "|---|---|---|---|---|"]
        lines += [_row(record, name, key, node) for name, key in node["properties"].items()]
    (DOCS / "spec-keys.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(record: str, name: str, key: dict, node: dict) -> str:
    default = key.get("default")
    shown = f"`{toml_text(default)}`" if isinstance(default, str | int | float) else ""
    shown = "required" if name in node.get("required", []) else shown
    example = toml_text(KEYS[f"{record}.{name}"].example)
    return f"| `{name}` | {key['description']} | {type_words(key)} | {shown} | `{example}` |".replace("\n", " ")


if __name__ == "__main__":
    main()
