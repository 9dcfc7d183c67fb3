"""Tables and sentences on a terminal: they fit its columns, and no word is broken inside."""

import io

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from bayes_bm.cli import printing
from bayes_bm.cli.app import app

ANSWERS = pd.DataFrame(
    {
        "estimand": ["survival_difference", "log_hazard_ratio", "survival"],
        "treatment": ["re_resection", "re_resection_brachytherapy", "re_srs"],
        "reference": ["re_srs", "re_srs", None],
        "time": [12.0, None, 12.0],
        "median": [0.0178, -0.0604, 0.494],
        "q2_5": [-0.135, -0.577, 0.313],
        "q97_5": [0.171, 0.469, 0.656],
        "prob_better": [0.592, 0.59, None],
        "label": ["", "extrapolated; compared across studies only", ""],
    }
)
COLUMNS = ("estimand", "treatment", "reference", "time", printing.ESTIMATE, "prob_better", "label")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch):
    """What a command prints on a terminal of so many columns."""

    def print_on(columns: int, **asked) -> list[str]:
        file = io.StringIO()
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(
            printing,
            "OUT",
            Console(file=file, force_terminal=True, width=max(columns, 140), soft_wrap=True, no_color=True),
        )
        printing.print_table(ANSWERS, "what was asked (new-study, months)", COLUMNS)
        return [line.replace("\x1b[1m", "").replace("\x1b[0m", "").rstrip() for line in file.getvalue().splitlines()]

    return print_on


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_a_table_fits_the_terminal_and_breaks_no_word(shown, columns: int) -> None:
    lines = shown(columns)
    assert max(map(len, lines)) <= columns
    words = {word for line in lines for word in line.split()}
    assert {"re_resection_brachytherapy", "extrapolated;", "difference", "0.592"} <= words | {
        word.strip(";,:") for word in words
    }
    if columns == 140:
        assert any("0.0178 (-0.135 to 0.171)" in line for line in lines)


def test_one_reference_of_all_rows_stands_in_the_title_where_there_is_no_room(shown) -> None:
    assert shown(100)[0] == "what was asked (new-study, months); against re_srs"
    assert "against" in shown(180)[1].split()


def test_a_terminal_too_narrow_for_columns_gets_a_row_a_paragraph(shown) -> None:
    lines = shown(44)
    assert "survival difference, re_resection, against" in lines
    assert "re_srs: time 12; median (95 %) 0.0178" in " ".join(" ".join(lines).split())
    assert all(len(line) <= 44 for line in lines)


def test_every_command_has_a_line_of_help_and_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(app, ["--help"]).output
    assert "..." not in text.split("Commands:")[1]
    assert max(map(len, text.splitlines())) <= 80
    for command in app.registered_commands:
        assert str(command.epilog).startswith("Example: bayes-bm "), command.callback
