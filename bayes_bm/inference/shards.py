"""The log density as a sum over parts of the patients, on threads of this process or on workers of a Dask cluster.

    value(x) = rest(x) + sum over parts p of (part_p(x) - bare(x)),  and so the gradient

`rest` has all evidence but patients, a part the patients of some studies, `bare` no evidence. Each is a compiled
density with all priors, so any model that is compiled can be cut. Only x, a value and a gradient travel: patients are
sent once, and once more where a worker is gone.
"""

import ctypes
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.compiled.nutpie import BoundDensity
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.compiled.parametrization import Parametrization, choose_parametrization
from bayes_bm.inference.compiled.stages import NOT_FINITE
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.placement import open_client, results_of

PATIENTS = ("patients", "patients_averaged", "patients_imputed")
"""Kinds of evidence that are cut."""
STOP = -1
"""Answer of a density that ends the sampling."""
SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.POINTER(ctypes.c_double)] * 3, ctypes.c_void_p)
"""Of a density that a sampler calls by its address (`compiled.kernel.density`)."""

Answer = tuple[float, np.ndarray]
"""A log density and its gradient (coordinate,)."""
Begin = Callable[[np.ndarray], Callable[[], list[Answer]]]
"""Begins to evaluate all parts at x; what it gives waits for their answers."""


@dataclass(frozen=True)
class Shard:
    """A part of a model that is packed where it is used: what is sent is what it is made of."""

    inputs: ModelInputs
    centring: Parametrization

    @cached_property
    def packed(self) -> tuple[Coordinates, Any]:
        """Coordinates and arrays of the compiled density."""
        return pack_problem(self.inputs, self.centring)

    @cached_property
    def density(self) -> BoundDensity:
        return BoundDensity(self.packed[1])

    def __call__(self, x: np.ndarray) -> Answer:
        return self.density(x)

    def __getstate__(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "centring": self.centring}

    def __sizeof__(self) -> int:
        """For Dask, which moves what is small to where it is used."""
        return sum(values.nbytes for arrays in self.inputs.kinds.values() for values in arrays.values())


@dataclass(frozen=True)
class CutModel:
    """A model in parts: the rest, no evidence, and the patients of some studies each."""

    rest: Shard
    bare: Shard
    parts: tuple[Shard, ...]


def cut(inputs: ModelInputs, shards: int) -> CutModel:
    """Cut a model's patients into at most `shards` parts of about equally many rows, no study in two of them."""
    reason = why_not(inputs)
    if reason is not None:
        raise InputError("shards", found=f"{shards} for a model that is not compiled: {reason}", allowed="1")
    kinds, centring = inputs.kinds, choose_parametrization(inputs)
    patients = {name: kinds[name] for name in PATIENTS if name in kinds}
    rows = np.zeros(len(inputs.design.arm_study))
    for arrays in patients.values():
        rows += np.bincount(arrays["arm_row"], minlength=len(rows))
    owner = _owners(np.bincount(inputs.design.arm_study, rows, len(inputs.design.studies)), shards)
    of_arm = owner[inputs.design.arm_study]
    parts = [
        {
            name: {key: values[of_arm[arrays["arm_row"]] == part] for key, values in arrays.items()}
            for name, arrays in patients.items()
            if (of_arm[arrays["arm_row"]] == part).any()
        }
        for part in range(shards)
    ]
    rest = {name: arrays for name, arrays in kinds.items() if name not in PATIENTS}
    return CutModel(
        Shard(inputs.with_rows(rest), centring),
        Shard(inputs.with_rows({}), centring),
        tuple(Shard(inputs.with_rows(part), centring) for part in parts if part),
    )


def _owners(sizes: np.ndarray, shards: int) -> np.ndarray:
    """The part of each study (study,): the largest first, each into the part that has least."""
    owner, load = np.zeros(len(sizes), dtype=int), np.zeros(shards)
    for study in np.argsort(-sizes, kind="stable"):
        owner[study] = np.argmin(load)
        load[owner[study]] += sizes[study]
    return owner


class SummedDensity:
    """Log density and gradient of a cut model, whose parts `begin` evaluates. The order of the sum is fixed."""

    def __init__(self, model: CutModel, begin: Begin) -> None:
        self.rest, self.bare, self.begin = model.rest, model.bare, begin
        self.problem: Exception | None = None
        self._one_writer = threading.Lock()

    def __call__(self, x: np.ndarray) -> Answer:
        x = np.ascontiguousarray(x, dtype=float)
        answers = self.begin(x)
        value, gradient = self.rest(x)
        bare_value, bare_gradient = self.bare(x)
        for part_value, part_gradient in answers():
            value += part_value - bare_value
            gradient += part_gradient - bare_gradient
        return value, gradient

    @cached_property
    def callback(self) -> Any:
        """The density for a sampler that calls it by its address. What is raised there is kept in `problem`."""

        def density(size: int, x: Any, gradient: Any, value: Any, user: Any) -> int:
            try:
                found, slopes = self(np.ctypeslib.as_array(x, (size,)).copy())
            except Exception as problem:
                with self._one_writer:
                    self.problem = self.problem or problem
                return STOP
            np.ctypeslib.as_array(gradient, (size,))[:] = slopes
            value[0] = found
            return 0 if np.isfinite(found) and np.isfinite(slopes).all() else NOT_FINITE

        return SIGNATURE(density)

    @property
    def address(self) -> int:
        """Where the sampler finds it."""
        return ctypes.cast(self.callback, ctypes.c_void_p).value or 0


@contextmanager
def sharded_density(model: CutModel, scheduler: str | None = None) -> Generator[SummedDensity]:
    """Give the log density of a cut model, whose parts are held by threads of this process or by a cluster's workers.

    `scheduler` is the address of a Dask cluster. Dask makes the parts of a worker that is gone anew on another.
    """
    if scheduler is None:
        with ThreadPoolExecutor(len(model.parts)) as pool:
            yield SummedDensity(model, lambda x: _all_of([pool.submit(part, x) for part in model.parts]))
        return
    with open_client(scheduler, name="scheduler") as client:
        held = [client.submit(_held, part, pure=False) for part in model.parts]

        def begin(x: np.ndarray) -> Callable[[], list[Answer]]:
            asked = [client.submit(_evaluated, part, x, pure=False) for part in held]
            return lambda: results_of(client, asked)

        yield SummedDensity(model, begin)


def _all_of(running: list[Any]) -> Callable[[], list[Answer]]:
    return lambda: [one.result() for one in running]


def _held(shard: Shard) -> Shard:
    """On a worker: a part that is packed at once."""
    # asked for, so that it is there
    _ = shard.density
    return shard


def _evaluated(shard: Shard, x: np.ndarray) -> Answer:
    return shard(x)
