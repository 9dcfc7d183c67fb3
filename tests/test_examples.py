"""The examples in the package's docstrings give what they print.

`--doctest-modules` would import every module of the package, PyMC among them, in every worker before the first test
runs. Here the sources are searched for `>>>` as text, and only modules that have examples are imported, each in its
own test. Fits and draws from priors that several examples ask for alike are made once.
"""

import doctest
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bayes_bm as bb
from bayes_bm.inference import prior_result

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "bayes_bm").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def made_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its results of a spec and numbers alone kept for whoever asks alike: they follow from the seed."""
    kept: list[tuple[Any, str, Any]] = []

    def called(spec: Any, *others: Any, **options: Any) -> Any:
        if others:
            return function(spec, *others, **options)
        of, asked = bb.read_spec(spec) if isinstance(spec, str) else spec, repr(sorted(options.items()))
        for one, like, made in kept:
            if one == of and like == asked:
                return made
        kept.append((of, asked, function(of, **options)))
        return kept[-1][2]

    return called


FIT, DRAWN = made_once(bb.fit), made_once(prior_result.prior_result)


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_give_what_they_print(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bb, "fit", FIT)
    monkeypatch.setattr(prior_result, "prior_result", DRAWN)
    # ELLIPSIS, as `pytest --doctest-modules` reads examples
    outcome = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert outcome.attempted > 0
    assert outcome.failed == 0
