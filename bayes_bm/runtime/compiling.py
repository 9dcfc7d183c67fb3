"""Functions compiled by numba, kept on disk where that can be, whose code there notices every change.

numba keeps compiled code beside the file of a function and makes it anew when that file changes. A function that calls
compiled functions of another file has their code inside its own, and numba does not look at that file: after an edit
there it would go on with the old code. Where neither the package nor the user's cache can be written numba refuses to
compile; `runtime.caches` then lends it a folder.
"""

import gc
import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import njit
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature

from bayes_bm.runtime.caches import lend_numba_cache, tell_not_kept


def cached_njit(*reads: ModuleType, **options: Any) -> Callable[[Callable], Any]:
    """`numba.njit(cache=True, **options)` for a function that calls compiled functions of the modules `reads`.

    Nobody takes its address in C, so that numba wraps it for Python alone.
    """

    def decorate(function: Callable) -> Any:
        compiled = _kept(njit, function, {"no_cfunc_wrapper": True, **options})
        cache: Any = getattr(compiled, "_cache", None)
        if hasattr(cache, "_save_overload"):
            kept = cache._cache_file
            kept._source_stamp = (kept._source_stamp, _digest(reads))
            cache._save_overload = _saved_if_possible(cache._save_overload)
        return compiled

    return decorate


def cached_cfunc(signature: Any, *reads: ModuleType, **options: Any) -> Callable[[Callable], Any]:
    """`numba.cfunc(signature, cache=True, **options)` for a function that calls those of the modules `reads`.

    `numba.cfunc` compiles at once, so what stands on disk is stamped before that.
    """

    def decorator(cache: bool = False, **given: Any) -> Callable[[Callable], Any]:
        def compile_function(function: Callable) -> Any:
            compiled: Any = CFunc(function, normalize_signature(signature), locals={}, options=given)
            if cache:
                compiled.enable_caching()
                kept: Any = compiled._cache
                kept._cache_file._source_stamp = (kept._cache_file._source_stamp, _digest(reads))
            with fewer_searches():
                compiled.compile()
            return compiled

        return compile_function

    return lambda function: _kept(decorator, function, options)


@contextmanager
def fewer_searches() -> Generator[None]:
    """Search for garbage once in 300,000 objects: numba makes millions that stay until a function is compiled, and the
    searches among them took a tenth of the time.
    """
    before = gc.get_threshold()
    gc.set_threshold(300_000, 10, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _kept(decorator: Callable, function: Callable, options: dict[str, Any]) -> Any:
    """The compiled function, kept beside the package, in the user's cache, in a folder that is lent, or not at all."""
    try:
        return decorator(cache=True, **options)(function)
    except (RuntimeError, OSError) as problem:
        if not _no_cache(problem):
            raise
    if lend_numba_cache():
        try:
            return decorator(cache=True, **options)(function)
        except (RuntimeError, OSError) as problem:
            if not _no_cache(problem):
                raise
    return decorator(**options)(function)


def _no_cache(problem: Exception) -> bool:
    """Whether numba says that no folder can be written, or that one took no file."""
    return isinstance(problem, OSError) or "cannot cache function" in str(problem)


def _saved_if_possible(save: Callable) -> Callable:
    """As numba saves compiled code; where the disk takes no file, this process goes on with what it has."""

    def save_if_possible(signature: Any, data: Any) -> None:
        try:
            save(signature, data)
        except OSError as problem:
            tell_not_kept(str(problem.strerror))

    return save_if_possible


def _digest(modules: tuple[ModuleType, ...]) -> str:
    """Of the text of the modules' files."""
    whole = hashlib.sha256()
    for module in modules:
        whole.update(Path(str(module.__file__)).read_bytes())
    return whole.hexdigest()
