"""Compiled code on disk is made anew when a file changes that it was compiled from."""

import gc
import runpy
import sys
from pathlib import Path

import numba
import pytest
from numba import njit

from bayes_bm.runtime.compiling import fewer_searches
from bayes_bm.runtime.inner_functions import INNER as INNER_OPTIONS

INNER = "from numba import njit\n\n\n@njit\ndef added(x):\n    return x + {more}\n"
OUTER = """import inner
from bayes_bm.runtime.compiling import cached_njit

added = inner.added


@cached_njit(inner)
def doubled(x):
    return 2 * added(x)
"""


def run(folder: Path, more: int) -> tuple[int, int]:
    """What `doubled` gives, and how often its code was found on disk, of modules that are loaded afresh."""
    (folder / "inner.py").write_text(INNER.format(more=more))
    sys.modules.pop("inner", None)
    doubled = runpy.run_path(str(folder / "outer.py"))["doubled"]
    return doubled(1), sum(doubled.stats.cache_hits.values())


@pytest.mark.slow
def test_a_change_in_a_file_that_a_cached_function_calls_is_seen(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "outer.py").write_text(OUTER)
    try:
        assert run(tmp_path, more=3) == (8, 0)
        assert run(tmp_path, more=3) == (8, 1)
        assert run(tmp_path, more=30) == (62, 0)
    finally:
        sys.modules.pop("inner", None)


def test_an_inner_function_is_part_of_its_caller_and_nothing_by_itself() -> None:
    """What numba makes of it is not given to the processor: no machine code, no wrapper for Python."""

    @njit(**INNER_OPTIONS)
    def squared(x):
        return x * x

    @njit
    def one_more(x):
        return squared(x) + 1.0

    assert one_more(3.0) == 10.0
    (inner,), (outer,) = squared.overloads.values(), one_more.overloads.values()
    assert inner.library._compiled_object is None
    assert outer.library._compiled_object


def test_garbage_is_searched_for_as_before_once_a_function_is_compiled() -> None:
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), fewer_searches():
        assert gc.get_threshold()[0] > 100 * before[0] or before[0] >= 300_000
        raise ZeroDivisionError
    assert gc.get_threshold() == before
