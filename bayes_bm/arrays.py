"""Array namespaces: the same formula for numpy (draws, tests) and for PyTensor (the model).

`numpy` functions on PyTensor variables fail late or silently (`facts.md`), so formulas shared by the model and the
estimands take the namespace `xp`. The PyTensor twin of `NUMPY` stands in `model.py`, which may know PyMC; this may not.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import special

Namespace = Any


def _log1mexp(x):
    """log(1 - exp(x)) for x <= 0, without cancellation (Maechler 2012); -inf at 0."""
    x = np.asarray(x, dtype=float)
    with np.errstate(divide="ignore"):
        return np.where(x > -np.log(2.0), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


NUMPY: Namespace = SimpleNamespace(
    exp=np.exp,
    log=np.log,
    where=np.where,
    gammaln=special.gammaln,
    betaln=special.betaln,
    betainc=special.betainc,
    log1mexp=_log1mexp,
)
