"""The examples in the package's docstrings give what they print.

`--doctest-modules` would import every module of the package, PyMC among them, in every worker before the first test
runs. Here the sources are searched for `>>>` as text, and only modules that have examples are imported, each in its
own test.
"""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "bayes_bm").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_give_what_they_print(module: str) -> None:
    # ELLIPSIS, as `pytest --doctest-modules` reads examples
    outcome = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert outcome.attempted > 0
    assert outcome.failed == 0
