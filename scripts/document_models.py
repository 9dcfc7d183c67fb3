"""docs/models.md from the shipped specs, so that the page cannot drift from them.

python scripts/document_models.py
"""

from pathlib import Path

import bayes_bm as bb
from bayes_bm.evidence.audit import audit
from bayes_bm.runtime.files import atomic_write

HEADER = """# Shipped models

This page has the evidence behind each shipped question. Run one with `bayes-bm run NAME --out DIR`. The table of a
model has, for each treatment, the studies and arms in use; *effective patients*, which is how many patients with known
times their rows are worth; and *until*, the last month that any row of the treatment reaches. The first treatment is
the reference. *Side by side* names pairs of treatments that one study holds, with the number of such studies. *Cannot
say* repeats the limits that the report prints. `bayes_bm/data/recurrent_bm/README.md` explains the names of treatments
and how each number was read; `models/README.md` has what the sensitivity analyses say. `make docs` makes this page from
`models/*.toml`; do not edit it.
"""


def section(path: Path) -> str:
    spec = bb.read_spec(path)
    found = audit(spec, bb.read_evidence(spec))
    lines = [f"## {spec.name}", "", spec.question + ".", ""]
    lines += ["| treatment | studies | arms | effective patients | until, months |", "|---|---|---|---|---|"]
    for row in found.treatments.to_dict("records"):
        until = "" if row["until"] != row["until"] else f"{row['until']:g}"
        lines.append(f"| {row['treatment']} | {row['studies']} | {row['arms']} | {row['size']:.0f} | {until} |")
    both = found.contrasts[found.contrasts["studies"] > 0].to_dict("records")
    side = "; ".join(f"{row['treatment']} v {row['reference']} ({row['side_by_side']})" for row in both)
    lines += ["", f"Side by side: {side or 'no side-by-side study'}.", ""]
    lines += [f"- Cannot say: {text}" for text in spec.cannot_say]
    lines += [f"- Refused at the audit: {text}" for text in found.refusals]
    names = ", ".join(f"`{name}`" for name in spec.sensitivity)
    return "\n".join([*lines, *([f"- Sensitivity analyses: {names}"] if names else []), ""])


def main() -> None:
    page = "\n".join([HEADER, *(section(path) for path in bb.list_models())])
    with atomic_write(Path("docs/models.md")) as file:
        file.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
