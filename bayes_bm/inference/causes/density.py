"""The density of a joint model: those of its causes, compiled, and what ties them together.

    log p(x) = sum over causes of log p_k(x_k) + ties(x_1, ..., x_K, w)

x_k are the coordinates of cause k, no effect of a study centred, and w those of the correlation.
Without rows of several causes and with independent levels the ties are zero: the density is that of the separate fits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_bm.evidence.causes import CausesEvidence, with_common_centres
from bayes_bm.inference.compiled.coordinates import Coordinates
from bayes_bm.inference.compiled.coverage import why_not
from bayes_bm.inference.compiled.nutpie import BoundDensity
from bayes_bm.inference.compiled.packing import pack_problem
from bayes_bm.inference.compiled.parametrization import not_centred
from bayes_bm.model.baseline_hazard import with_knots
from bayes_bm.model.causes import correlation
from bayes_bm.model.causes.joint_inputs import JointInputs
from bayes_bm.model.model_inputs import prepare
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.causes import Causes

if TYPE_CHECKING:
    from bayes_bm.model.pymc_graph.causes import Placed

Density = Callable[[np.ndarray], tuple[float, np.ndarray]]


def joint_inputs(causes: Causes, evidence: CausesEvidence) -> JointInputs:
    """Return the inputs of a joint model, of each cause as its own fit would have them."""
    centred = with_common_centres(causes, evidence)
    inputs = []
    for name, spec in centred.specs.items():
        own = evidence.causes[name]
        inputs.append(prepare(with_knots(spec, own), own))
    return JointInputs(centred, evidence, tuple(inputs))


@dataclass(frozen=True)
class JointDensity:
    """The coordinates of a joint model and its log density with its gradient."""

    joint: JointInputs
    coordinates: tuple[Coordinates, ...]
    parts: tuple[Density, ...]
    ties: Density

    @property
    def pairs(self) -> int:
        """Coordinates of the correlation; none where it is stated."""
        prior = self.joint.causes.joint.correlation.eta is not None
        return len(correlation.pairs(len(self.coordinates))) if prior else 0

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Where the coordinates of each cause begin, and where the last ones end."""
        return tuple(np.cumsum([0, *(one.size for one in self.coordinates)]).tolist())

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return self.ends[-1] + self.pairs

    @property
    def start(self) -> np.ndarray:
        """The prior medians."""
        return np.concatenate([*(one.start for one in self.coordinates), np.zeros(self.pairs)])

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density at a contiguous vector, and its gradient."""
        value, gradient = self.ties(x)
        gradient = np.array(gradient)
        for part, (first, end) in zip(self.parts, pairwise(self.ends), strict=True):
            own, slopes = part(x[first:end])
            value += own
            gradient[first:end] += slopes
        return value, gradient

    def posteriors(self, draws: np.ndarray) -> list[xr.Dataset]:
        """Every parameter by name, of each cause (chain, draw, ...)."""
        ends = pairwise(self.ends)
        return [one.posterior(draws[..., first:end]) for one, (first, end) in zip(self.coordinates, ends, strict=True)]

    def correlations(self, draws: np.ndarray) -> np.ndarray:
        """Correlation of each pair of causes (chain, draw, pair)."""
        said, count = self.joint.causes.joint.correlation, len(self.coordinates)
        pairs = len(correlation.pairs(count))
        if said.value is not None:
            return np.full((*draws.shape[:2], pairs), said.value)
        partial = np.tanh(np.moveaxis(draws[..., self.ends[-1] :], -1, 0))
        return np.stack(correlation.correlations(correlation.cholesky_of_partial(list(partial), count)), axis=-1)


def joint_density(joint: JointInputs, *, mode: Any = "CVM") -> JointDensity:
    """Return the density of a joint model. Raises `InputError` for a cause that no compiled density covers.

    `mode` is PyTensor's for what ties the causes together.
    """
    # PyMC takes seconds to import, which the record of a density need not wait for
    from bayes_bm.model.pymc_graph.causes import tie_density

    _check_covered(joint)
    packed = [pack_problem(inputs, not_centred(inputs)) for inputs in joint.own_inputs]
    coordinates = tuple(own for own, _ in packed)
    first = np.cumsum([0, *(own.size for own in coordinates)]).tolist()
    places = [_placed(own, start) for start, own in zip(first, coordinates, strict=False)]
    ties = tie_density(joint, places, first[-1], mode=mode)
    return JointDensity(joint, coordinates, tuple(BoundDensity(problem) for _, problem in packed), ties)


def _placed(coordinates: Coordinates, start: int) -> "Placed":
    """Where the variables of a cause stand among all coordinates; its own begin at `start`."""
    from bayes_bm.model.pymc_graph.causes import Placed

    pairs = np.flatnonzero(coordinates.pair_level)
    return Placed(
        variables={block.name: (start + coordinates.starts[block.name], block.size) for block in coordinates.blocks},
        studies=coordinates.pair_level[pairs] - 1,
        pairs=pairs,
        scales=np.diag(coordinates.design.pair_cholesky)[pairs] if len(pairs) else np.zeros(0),
    )


def _check_covered(joint: JointInputs) -> None:
    for name, inputs in zip(joint.causes.names, joint.inputs, strict=True):
        reason = why_not(inputs)
        if reason is not None:
            raise InputError(
                f"causes.{name}", found=reason, allowed="what the compiled density covers (docs/compiled-density.md)",
                hint="beside rows of several causes or correlated levels; without both, causes are fitted apart",
            )  # fmt: skip


def target(density: JointDensity) -> Any:
    """The density as `nutpie.sample` takes it; draws are of the coordinates, under `x`."""
    from nutpie.compiled_pyfunc import from_pyfunc

    def make_density() -> Density:
        return lambda x: density(np.array(x, dtype=float))

    def make_values(seed1: int, seed2: int, chain: int) -> Callable:
        return lambda x: {"x": np.array(x, dtype=float)}

    return from_pyfunc(
        density.size,
        make_density,
        make_values,
        [np.dtype(float)],
        [(density.size,)],
        ["x"],
        make_initial_point_fn=lambda seed: density.start + np.random.default_rng(seed).uniform(-0.5, 0.5, density.size),
    )
