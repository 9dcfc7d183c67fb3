"""An audit as a document and as tables on a terminal."""

from typing import TYPE_CHECKING, Any

from bayes_bm.cli.printing import OUT, json_rows, print_table, print_words

if TYPE_CHECKING:
    import pandas as pd

    from bayes_bm.evidence.audit import Audit

AUDIT_TITLES = {
    "rows": "evidence in use",
    "treatments": "treatments",
    "contrasts": "side by side",
    "set_aside": "set aside",
}
"""The tables of an audit in the order in which they are printed, and their titles."""


def audit_document(name: str, audited: "Audit") -> dict[str, Any]:
    """Return the JSON document of an audit."""
    tables = {key: json_rows(table) for key, table in _audit_tables(audited).items()}
    return {"spec": name, **tables, "notes": list(audited.notes), "refusals": list(audited.refusals)}


def print_audit(name: str, audited: "Audit") -> None:
    """Print the tables that have rows, and the notes."""
    OUT.print(f"[bold]{name}[/]\n")
    for key, table in _audit_tables(audited).items():
        if len(table):
            print_table(table, AUDIT_TITLES[key])
    for note in audited.notes:
        print_words(f"- {note}")


def _audit_tables(audited: "Audit") -> "dict[str, pd.DataFrame]":
    return {key: getattr(audited, key) for key in AUDIT_TITLES}
