"""Functions that compiled code alone calls: no wrappers for Python, and no machine code of their own.

Each caller has the code of an inner function inside its own, and optimises it there. numba would besides optimise every
function by itself and make machine code of it, which nobody ever runs: a third of all compiling.

To numba a number that is written out is a type of its own, so that a function is compiled once more for it:
`np.int64(0)` where a count that begins at 0 is handed on.
"""

from typing import Any

from numba import njit, version_info
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.typed_passes import NoPythonSupportedFeatureValidation

TRIED = (0, 68)
"""The version of numba whose libraries of code are known to allow it; under others these functions are like others."""


class _Unset:
    """Stands for the process's engine, which does not know the function: it has no environment to be set."""

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing."""


class _InnerLibrary(JITCodeLibrary):
    """Code that is optimised and linked into callers, and not given to the engine."""

    @property
    def codegen(self) -> Any:
        return _Unset()

    def _optimize_final_module(self) -> None:
        """Make the code small; each caller optimises it in full where it has it inside."""
        passes, builder = self._codegen._module_pass_manager(
            loop_vectorize=False, slp_vectorize=False, opt=0, cost="cheap"
        )
        passes.run(self._final_module, builder)

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _InnerCode(FunctionPass):
    """Choose the library before the function is lowered into it."""

    _name = "inner_code"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        state.library = _InnerLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return True


class _InnerCompiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_InnerCode, NoPythonSupportedFeatureValidation)
        passes.finalize()
        return [passes]


INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of `numba.njit` for such a function."""
if version_info.short == TRIED:
    INNER["pipeline_class"] = _InnerCompiler


@njit(**INNER)
def put_values(source: Any, target: Any) -> None:
    """Copy an array of one dimension into another of its size.

    For `target[:] = source` numba also compiles the text of an error that cannot be: a second.
    """
    for i in range(source.size):
        target[i] = source[i]


@njit(**INNER)
def put_rows(source: Any, target: Any) -> None:
    """Copy a table into another of its shape."""
    for row in range(source.shape[0]):
        for i in range(source.shape[1]):
            target[row, i] = source[row, i]
