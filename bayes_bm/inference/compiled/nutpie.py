"""The compiled density under nutpie's sampler: called by its address, so chains run on threads without Python."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.fields import Problem
from bayes_bm.inference.compiled.stages import addresses
from bayes_bm.runtime.errors import GateRefused

if TYPE_CHECKING:
    from bayes_bm.inference.compiled.cells.fields import CellProblem

JITTER = 0.5
"""Chains start that far from the prior medians in each coordinate at most."""


class _Later(ModuleType):
    """Stands for a module until something of it is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


@contextmanager
def imported_later(name: str) -> Iterator[None]:
    """What is imported within the block gets `name` only when it uses something of it.

    nutpie imports ArviZ with all its plots, for a form of its draws that is not asked for here: a second or two.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = _Later(name)
    try:
        yield
    finally:
        del sys.modules[name]


def density_of(problem: "Problem | CellProblem") -> Any:
    """The compiled function that reads a problem."""
    # late, so that no model waits for the compiling of what it does not need
    if isinstance(problem, Problem):
        from bayes_bm.inference.compiled.kernel import density as weibull_density

        return weibull_density
    from bayes_bm.inference.compiled.cells.density import density

    return density


def _arrays_of(problem: "Problem | CellProblem") -> tuple[np.ndarray, ...]:
    """What the compiled function reads: the arrays of a problem, then the addresses of its stages."""
    if not isinstance(problem, Problem):
        return problem
    from bayes_bm.inference.compiled.structure_stages import STRUCTURE_STAGES

    return (*problem, STRUCTURE_STAGES)


def compiled_model(coordinates: Coordinates, problem: "Problem | CellProblem", density: Any = None) -> Any:
    """The model as `nutpie.sample` takes it; nothing is compiled here. Draws are of the coordinates, under `x`.

    `density` has the address of another function than the compiled one of the problem.
    """
    with imported_later("arviz"):
        from nutpie.compile_pymc import CompiledPyMCModel
    from bayes_bm.inference.compiled.kept_draws import copied

    start = coordinates.start
    return CompiledPyMCModel(
        compiled_logp_func=density_of(problem) if density is None else density,
        compiled_expand_func=copied,
        initial_point_func=lambda seed: start + np.random.default_rng(seed).uniform(-JITTER, JITTER, len(start)),
        user_data=addresses(_arrays_of(problem)),
        # held so that the addresses stay valid
        shared_data=problem._asdict(),
        shared_var_keys={},
        n_expanded=coordinates.size,
        shape_info=(["x"], [slice(0, coordinates.size)], [(coordinates.size,)]),
        logp_func=None,
        expand_func=None,
        dims={},
        _n_dim=coordinates.size,
        _shapes={"x": (coordinates.size,)},
        _coords={},
    )


_BY_ADDRESS = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *(4 * [ctypes.c_void_p]))


class BoundDensity:
    """`log_density` of one problem, whose addresses are looked up once; it is held, so that they stay valid."""

    def __init__(self, problem: "Problem | CellProblem") -> None:
        self.problem = problem
        # plain addresses: making pointers of doubles takes longer than the density of a small model
        self.function = _BY_ADDRESS(density_of(problem).address)
        self.user = addresses(_arrays_of(problem))
        self.where = self.user.ctypes.data

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density at a contiguous vector, and its gradient."""
        value, gradient = np.empty(1), np.empty_like(x)
        self.function(len(x), x.ctypes.data, gradient.ctypes.data, value.ctypes.data, self.where)
        return float(value[0]), gradient


def log_density(x: np.ndarray, problem: "Problem | CellProblem") -> tuple[float, np.ndarray]:
    """Log density at `x` (coordinate) and its gradient, as the sampler sees them; NaN or infinite where it is not."""
    return BoundDensity(problem)(np.ascontiguousarray(x, dtype=float))


def read_trace(trace: Any, statistics: tuple[str, ...]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draws after tuning (chain, draw, coordinate) and the sampler's statistics (chain, draw) of a raw trace."""
    chains = [_after_tuning(*batches) for batches in zip(*trace.get_arrow_trace(), strict=True)]
    if len({kept.num_rows for kept, _ in chains}) > 1:
        raise GateRefused("sampling ended early: chains of unequal length; nothing of it is kept, run it again")
    draws = np.stack([_numbers(kept.column("x")).reshape(kept.num_rows, -1) for kept, _ in chains])
    names = [name for name in statistics if name in chains[0][1].column_names]
    return draws, {name: np.stack([_numbers(stats.column(name)) for _, stats in chains]) for name in names}


def _after_tuning(draws: Any, stats: Any) -> tuple[Any, Any]:
    tuning = int(_numbers(stats.column("tuning")).sum())
    kept_rows = stats.num_rows - tuning
    return draws.slice(tuning, kept_rows), stats.slice(tuning, kept_rows)


def _numbers(column: Any) -> np.ndarray:
    """A column as numbers; one of lists as all of them in order."""
    import pyarrow

    values = pyarrow.array(column)
    flat = values.flatten() if hasattr(values, "flatten") else values
    return flat.to_numpy(zero_copy_only=False)
