"""Functions compiled by numba whose code on disk notices a change in every file that it was compiled from.

numba keeps compiled code beside the file of a function and makes it anew when that file changes. A function that calls
compiled functions of another file has their code inside its own, and numba does not look at that file: after an edit
there it would go on with the old code.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import njit


def cached_njit(*reads: ModuleType, **options: Any) -> Callable[[Callable], Any]:
    """`numba.njit(cache=True, **options)` for a function that calls compiled functions of the modules `reads`."""

    def decorate(function: Callable) -> Any:
        compiled: Any = njit(cache=True, **options)(function)
        kept = compiled._cache._cache_file
        kept._source_stamp = (kept._source_stamp, _digest(reads))
        return compiled

    return decorate


def _digest(modules: tuple[ModuleType, ...]) -> str:
    """Of the text of the modules' files."""
    whole = hashlib.sha256()
    for module in modules:
        whole.update(Path(str(module.__file__)).read_bytes())
    return whole.hexdigest()
