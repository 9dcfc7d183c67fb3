"""Write docs/reference: commands from the command line, columns from their schema, public names from `__init__.pyi`.

python scripts/document_reference.py
"""

import re
from pathlib import Path

import typer.main

from bayes_bm.cli.app import app
from bayes_bm.evidence.tables.schema import KEYS, TABLES, Column

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
COMMANDS = """# Commands

`bayes-bm COMMAND --help` prints what stands here. Standard output holds the answer, standard error progress and
messages; `--json` prints one document. [Exit status](exit-status.md) says how a command ended.
`scripts/document_reference.py` writes this page (`make docs`).
"""
TABLES_HEAD = """# Columns of the tables

This page has every table that you may write, and its columns. Tables are CSV files with a header, in UTF-8. A spec
names them under `[evidence]`. A blank cell is a value that is not printed. Columns that start with `x_` are yours and
are not read; any other unknown column is an error. Times are in the time unit of the spec. Survival and shares are
proportions (0.52, not 52).

Patients tables may hold a column for each covariate of the spec. Arms tables may hold, for each covariate, `share_NAME`
(two-valued: share of ones), or `mean_NAME` and `sd_NAME`. `n_NAME` says how many patients a share is of, where they are
fewer than n.

Every table may have two more columns ([decision 2](../decisions.md#2-flags-and-overlap)). `use` is a flag of your
choice, such as `use` or `do_not_pool`; `evidence.include` of a spec says which flags count, and without it all rows do.
`overlap_group` is a name that series with the same patients share; only one of them may count. Tables with intervals
may have `ci_level`, the level of the printed intervals, 0.95 where it is blank. `scripts/document_reference.py` writes
this page (`make docs`).
"""
PYTHON_HEAD = """# Python

`import bayes_bm as bb` gives all of these names; each is loaded when it is first used.
`scripts/document_reference.py` writes this page from `bayes_bm/__init__.pyi` (`make docs`).
"""
ROWS = {
    "patients": "A patient.",
    "arms": "An arm of a study, for one endpoint: who was in it and how it was followed.",
    "points": "A printed survival at a time.",
    "medians": "A printed median survival.",
    "hazard_ratios": "A printed hazard ratio of two treatments in a study.",
    "prognostic_ratios": "A printed adjusted hazard ratio of a covariate.",
    "counts": "A printed number of events out of n, up to a time where one is given.",
    "registry": "Of n alive at `start`, how many are alive at `stop`.",
    "background": "The mortality of the population, constant from one time to the next.",
    "curves": "A curve to rebuild patients from: the manifest of `digitize` and `reconstruct`.",
    "curve": "A corner or a click of a survival curve.",
    "at_risk": "A printed number at risk.",
    "ticks": "A censor mark.",
    "outcomes": "What happened to a person of a cohort, for `score`.",
}
"""What a row of each table is; tables without a line here are read by no user."""
MEANINGS = {
    "study": "name of the study, the same in every table",
    "arm": "name of the arm, unique in its study",
    "treatment": "what the arm got, by the name that the spec uses",
    "endpoint": "what is counted, such as os or pfs",
    "time": "time from the start of the clock",
    "event": "whether the event was seen at `time`",
    "entry": "time at which the patient came under observation (late entry)",
    "time_upper": "the event lies between `time` and this time",
    "cause": "what the event was, where causes compete",
    "weight": "number of patients that the row counts as",
    "n": "number of patients (of the arm, the row or the interval)",
    "events": "number of events",
    "year": "middle year of recruitment",
    "time_origin": "from when time is counted, in words",
    "unit_of_analysis": "what n counts: patients or lesions",
    "n_patients": "patients, where lesions were counted",
    "n_lesions": "lesions, where patients were counted",
    "survived_to": "time up to which everybody had to live to be taken in",
    "clock_shift": "time by which the arm's clock starts later than that of the others",
    "share_necrosis": "share of necrosis without tumour",
    "measure": "Kaplan-Meier with other causes censored; 1 - a cumulative incidence; a share of all patients",
    "followup": "median follow-up; where a median was not reached, the time by which it was not",
    "source": "where the number was read",
    "survival": "proportion alive",
    "ci_low": "lower limit of the printed interval",
    "ci_high": "upper limit of the printed interval",
    "median": "median survival; blank where it was not reached",
    "reference": "what the ratio compares with",
    "hr": "hazard ratio against the reference",
    "se_log_hr": "standard error of its logarithm",
    "p": "printed p value",
    "p_below": "value that p is printed to lie below, as in p < 0.001",
    "se_reference": "standard error of the reference arm's log hazard, which all ratios against it share",
    "adjusted_for": "covariates of the model that gave the ratio; blank is crude",
    "covariate": "name of the covariate in the spec",
    "level": "value of the covariate whose hazard is compared; 1 against 0 where both are blank",
    "per": "units that the ratio is for, of a continuous covariate",
    "population": "same: the setting of the spec; external: another one, such as first-line patients",
    "model": "adjusted for other covariates, or crude; crude ratios are set aside",
    "start": "time at which n were alive",
    "stop": "time at which `alive` were alive",
    "alive": "number alive at `stop`",
    "hazard": "rate per time unit",
    "curve": "file of the curve, beside the manifest",
    "at_risk": "file of the numbers at risk; in that file, the number",
    "ticks": "file of the censor marks",
    "axis_max": "right end of the time axis",
    "time_unit": "unit of the curve's times",
    "patient": "name of the person",
}
IN_ONE_TABLE = {
    ("hazard_ratios", "followup"): "time up to which events count; needed where hazards are not proportional",
    ("hazard_ratios", "measure"): "where causes compete: of hazards among those free of all, or of Fine and Gray",
    ("hazard_ratios", "treatment"): "the treatment whose hazard stands above the line",
    ("hazard_ratios", "reference"): "the treatment that it is compared with",
    ("prognostic_ratios", "reference"): "value that it is compared with",
    ("at_risk", "at_risk"): "number of patients whose time is `time` or later",
    ("curves", "at_risk"): "file of the numbers at risk, beside the manifest",
    ("curves", "ticks"): "file of the censor marks, beside the manifest",
}
"""Meanings that a column has in one table alone."""
COMMON = ("use", "overlap_group", "ci_level")
GROUPS = {
    "Questions and evidence": ("spec", "evidence"),
    "Figures and curves": ("digitizing", "reconstruction"),
    "Fits": ("inference",),
    "Answers": ("estimands",),
    "Checks": ("checks",),
    "Planning and living evidence": ("updates",),
    "Figures and report": ("report",),
    "Simulation": ("validation",),
    "Errors": ("runtime",),
}
"""Rooms of the package, as a reader looks for them."""


def command_page() -> str:
    """Every command with its help, as the command line prints it."""
    parts = [COMMANDS]
    for name, command in typer.main.get_group(app).commands.items():
        context = typer.Context(command, info_name=f"bayes-bm {name}", terminal_width=96, max_content_width=96)
        parts.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def table_page() -> str:
    """Every table that users write, with its columns."""
    parts = [TABLES_HEAD]
    for table, row in ROWS.items():
        key = f" One row each for {', '.join(f'`{name}`' for name in KEYS[table])}." if table in KEYS else ""
        lines = [f"## {table}", "", f"A row: {row[0].lower()}{row[1:]}{key}", ""]
        lines += ["| column | holds | allowed | may be left out |", "|---|---|---|---|"]
        lines += [column_row(table, name, column) for name, column in TABLES[table].items() if name not in COMMON]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def column_row(table: str, name: str, column: Column) -> str:
    """A column as a row of a Markdown table."""
    left_out = "no" if column.required and column.filled else "the cell" if column.required else "yes"
    hint = f"; {column.hint}" if column.hint else ""
    meaning = IN_ONE_TABLE.get((table, name), MEANINGS[name])
    return f"| `{name}` | {meaning}{hint} | {column.allowed} | {left_out} |"


def python_page() -> str:
    """Public names by subject, each with its docstring."""
    stub = (ROOT / "bayes_bm" / "__init__.pyi").read_text(encoding="utf-8")
    names = re.findall(r"^from \.(\w+)\.[\w.]+ import (\w+) as", stub, flags=re.MULTILINE)
    parts = [PYTHON_HEAD]
    for title, rooms in GROUPS.items():
        parts.append(f"## {title}\n")
        for room, name in sorted(names, key=lambda entry: entry[1].lower()):
            if room in rooms:
                parts.append(f"```{{eval-rst}}\n.. py:currentmodule:: bayes_bm\n\n{directive(name)}\n```\n")
    return "\n".join(parts)


def directive(name: str) -> str:
    """The autodoc directive of a public name: a class is shown with its methods, a function alone."""
    import bayes_bm

    kind = "autoclass" if isinstance(getattr(bayes_bm, name), type) else "autofunction"
    members = "\n   :members:\n   :exclude-members: __init__" if kind == "autoclass" else ""
    return f".. {kind}:: {name}{members}"


def pages() -> dict[str, str]:
    """The text of every page by its name."""
    written = {"commands": command_page(), "tables": table_page(), "python": python_page()}
    return {name: text.rstrip() + "\n" for name, text in written.items()}


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (REFERENCE / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
