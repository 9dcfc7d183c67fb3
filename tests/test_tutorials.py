"""The cells of tutorials and of the gallery run, in order, with few draws: `make docs` runs them with all.

Draws from the priors stand for a fit of a shipped model; what a cell prints and draws is made, as a notebook would.
"""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import bayes_bm as bb
from bayes_bm.cli.app import app
from bayes_bm.inference.prior_result import prior_result
from tests.paths import ROOT

CELL = re.compile(r"^```\{code-cell\} python\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
PAGES = sorted(page for page in ROOT.glob("docs/**/*.md") if CELL.search(page.read_text(encoding="utf-8")))
SHORT = ["--draws", "20", "--tune", "50", "--chains", "2"]
"""Options that keep a fit of a command short; its gate refuses it, and it is written all the same."""
OPTIONS = {"fit": SHORT, "digitize": ["--cores", "1"]}
"""Options of commands here: a process for each core would import everything again."""
LEFT_OUT = ("bb.contrast_sources(",)
"""Cells with many fits inside, which tests of their own run (`tests/checks/test_direct_indirect.py`)."""


def cells(page: Path) -> list[str]:
    """The cells of a page without their options."""
    found = CELL.findall(page.read_text(encoding="utf-8"))
    return [re.sub(r"^:.*\n", "", cell, flags=re.MULTILINE) for cell in found]


def run_command(line: str) -> None:
    """Run `bayes-bm ...` of a cell here, not in a process of its own, which would import everything again."""
    words = shlex.split(line.removeprefix("!bayes-bm ").replace("2>/dev/null", ""))
    done = CliRunner().invoke(app, [*words, *OPTIONS.get(words[0], [])])
    assert done.exit_code in ((0, 1) if words[0] == "fit" else (0,)), done.output


def run_cell(cell: str, names: dict[str, Any]) -> None:
    """Run the commands of a cell, then its Python; its last expression is shown."""
    lines = cell.splitlines()
    for line in lines:
        if line.startswith("!"):
            run_command(line)
    parsed = ast.parse("\n".join(line for line in lines if not line.startswith("!")))
    shown = parsed.body.pop() if parsed.body and isinstance(parsed.body[-1], ast.Expr) else None
    exec(compile(parsed, "cell", "exec"), names)
    if isinstance(shown, ast.Expr):
        value = eval(compile(ast.Expression(shown.value), "cell", "eval"), names)
        assert value is None or repr(value)


def drawn_from_priors(spec: Any, evidence: Any = None) -> Any:
    """Draws from the priors in place of a fit: every later cell has what it asks for."""
    return prior_result(bb.read_spec(spec) if isinstance(spec, str) else spec, draws=40)


FITS = {"gallery": partial(bb.fit, draws=10, tune=30, chains=1)}
"""Pages that draw study arms, which draws from the priors do not have."""


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Figures that cells opened are closed, and the folder is left."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(ROOT)
    yield
    plt.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_cells_of_a_page_run(page: Path, closed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(bb, "fit", FITS.get(page.stem, drawn_from_priors))
    names: dict[str, Any] = {}
    for cell in cells(page):
        if not cell.startswith(LEFT_OUT):
            run_cell(cell, names)


@pytest.mark.slow
def test_every_page_with_cells_is_found() -> None:
    assert [page.stem for page in PAGES] == [
        "gallery",
        "figure-to-patient",
        "first-answer",
        "many-treatments",
        "own-trial",
    ]
    assert sum(map(len, map(cells, PAGES))) == 39
