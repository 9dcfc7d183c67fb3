"""What a sampler keeps of a draw, for every compiled density."""

from typing import Any

from numba import types  # pyright: ignore[reportPrivateImportUsage]

from bayes_bm.inference.compiled.fields import JIT
from bayes_bm.inference.compiled.stages import POINTER
from bayes_bm.runtime.compiling import cached_cfunc


@cached_cfunc(types.int64(types.uint64, types.uint64, POINTER, POINTER, types.voidptr), **JIT)
def copied(size: Any, kept: Any, x: Any, output: Any, user: Any) -> Any:
    """What is kept of a draw: the coordinates themselves; parameters are worked out for all draws at once later."""
    for i in range(size):
        output[i] = x[i]
    return 0
