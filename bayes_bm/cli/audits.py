"""An audit as a document and as tables on a terminal."""

from typing import TYPE_CHECKING, Any

from bayes_bm.cli.printing import OUT, in_words, json_rows, print_table, print_words

if TYPE_CHECKING:
    import pandas as pd

    from bayes_bm.evidence.audit import Audit
    from bayes_bm.report.explanations import Names
    from bayes_bm.spec.document import Spec

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


def print_audit(spec: "Spec", audited: "Audit") -> None:
    """Print the tables that have rows, and the notes, in words; the table of treatments has their names too."""
    from bayes_bm.report.explanations import names_of

    OUT.print(f"[bold]{spec.name}[/]\n")
    names = names_of(spec)
    for key, table in _audit_tables(audited).items():
        if len(table):
            print_table(_told(table, spec, names), AUDIT_TITLES[key])
    for note in audited.notes:
        print_words(f"- {names.told(note)}")


def _told(table: "pd.DataFrame", spec: "Spec", names: "Names") -> "pd.DataFrame":
    """Return a table of an audit with words for names; that of the treatments has their names too, for options."""
    shown = in_words(table, spec)
    if (
        next(iter(table)) == "treatment"
        and "reference" not in table
        and not shown["treatment"].equals(table["treatment"])
    ):
        shown.insert(1, "name", table["treatment"])
    columns = [name for name in ("arm", "informs", "reason") if name in table]
    return shown.assign(**{name: [names.told(str(text)) for text in table[name]] for name in columns})


def _audit_tables(audited: "Audit") -> "dict[str, pd.DataFrame]":
    return {key: getattr(audited, key) for key in AUDIT_TITLES}
