"""Compiled code on disk is made anew when a file changes that it was compiled from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

INNER = "from numba import njit\n\n\n@njit\ndef added(x):\n    return x + {more}\n"
OUTER = """import inner
from bayes_bm.runtime.compiling import cached_njit

added = inner.added


@cached_njit(inner)
def doubled(x):
    return 2 * added(x)


print(doubled(1), sum(doubled.stats.cache_hits.values()))
"""


def run(folder: Path, more: int) -> tuple[int, int]:
    """What `doubled` gives, and how often its code was found on disk, in a fresh process."""
    (folder / "inner.py").write_text(INNER.format(more=more))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "outer.py"], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    value, hits = done.stdout.split()
    return int(value), int(hits)


@pytest.mark.slow
def test_a_change_in_a_file_that_a_cached_function_calls_is_seen(tmp_path: Path) -> None:
    (tmp_path / "outer.py").write_text(OUTER)
    assert run(tmp_path, more=3) == (8, 0)
    assert run(tmp_path, more=3) == (8, 1)
    assert run(tmp_path, more=30) == (62, 0)
