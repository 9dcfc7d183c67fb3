"""Arms whose patients are a mixture with weights, at draws of a posterior: one compiled pass over the parts of a row.

`hazards.modifiers.averaged_over_covariates` works out the same of any family with an array operation a step, each over
(draw, row, part); where hazards are proportional the formula is asked once a row, and parts are those of
`compiled/cells/mixtures.py`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.hazards.numerics.numpy_namespace import NUMPY, Namespace


@dataclass(frozen=True)
class MixedArms(AveragedOverCovariates):
    """The weighted family of an arm, for arrays of numpy."""

    weighted: bool = True

    def _is_compiled(self, xp: Namespace) -> bool:
        return xp is NUMPY and self.base.proportional

    def log_cum_hazard(self, placed_time: Any, eta: Any, shape: Any, *, xp: Namespace) -> Any:
        if not self._is_compiled(xp):
            return super().log_cum_hazard(placed_time, eta, shape, xp=xp)
        return self._mixed(placed_time, eta, shape)[0]

    def log_hazard(self, placed_time: Any, eta: Any, shape: Any, *, xp: Namespace) -> Any:
        if not self._is_compiled(xp):
            return super().log_hazard(placed_time, eta, shape, xp=xp)
        return self._mixed(placed_time, eta, shape)[1]

    def log_hazards(self, placed_time: Any, eta: Any, shape: Any, *, xp: Namespace) -> tuple[Any, Any]:
        if not self._is_compiled(xp):
            return super().log_hazards(placed_time, eta, shape, xp=xp)
        log_cum, log_hazard = self._mixed(placed_time, eta, shape)
        return log_cum, log_hazard

    def _mixed(self, placed_time: np.ndarray, eta: np.ndarray, shape: np.ndarray) -> np.ndarray:
        """log H and log h (2, ...), in one pass."""
        from bayes_bm.inference.compiled.cells.mixtures import mixed_rows

        of_base, width = shape[..., : self.base.width], self.base.width
        log_cum = self.base.log_cum_hazard(placed_time, eta, of_base, xp=NUMPY)
        logs = np.stack(np.broadcast_arrays(log_cum, self.base.log_hazard(placed_time, eta, of_base, xp=NUMPY)))
        rows = np.arange(int(np.prod(shape.shape[:-1]))).reshape(shape.shape[:-1])
        # copies: for arrays that cannot be written numba compiles once more
        wide = np.array(shape[..., width:], dtype=float, order="C").reshape(-1, 2 * self.points)
        flat = np.ascontiguousarray(logs, dtype=float).reshape(2, -1)
        mixed_rows(np.broadcast_to(rows, logs.shape[1:]).flatten(), wide, flat)
        return flat.reshape(logs.shape)
