"""Log-normal: with z = (log u - eta) / sd, H = -log Phi(-z) and h u sd = phi(z) / Phi(-z)."""

import math
from typing import Any

from bayes_bm.hazards.numerics.constants import HALF_LOG_TWO_PI
from bayes_bm.inference.compiled.formulas import arrays, tails
from bayes_bm.inference.compiled.formulas.arrays import JIT, SIGNATURE, table
from bayes_bm.inference.compiled.formulas.tails import log_cum_from_tails, log_tail
from bayes_bm.runtime.compiling import cached_cfunc


@cached_cfunc(SIGNATURE, arrays, tails, **JIT)
def lognormal(n: Any, given: Any, found: Any) -> None:
    """With r = phi(z) / S: d log H / dz = r / H, d log h / dz = r - z."""
    x, y = table(given, 3, n), table(found, 7, n)
    for i in range(n):
        log_u, per_sd = x[0, i], math.exp(-x[2, i])
        z = (log_u - x[1, i]) * per_sd
        log_alive, log_density = log_tail(z), -z * z / 2 - HALF_LOG_TWO_PI
        log_cum = log_cum_from_tails(log_tail(-z), log_alive)
        log_ratio = log_density - log_alive
        by_cum, by_hazard = math.exp(log_ratio - log_cum), math.exp(log_ratio) - z
        y[0, i], y[1, i], y[2, i] = log_cum, -per_sd * by_cum, -z * by_cum
        y[3, i], y[4, i] = log_ratio - x[2, i] - log_u, -per_sd * by_hazard
        y[5, i], y[6, i] = -1 - z * by_hazard, per_sd * by_hazard - 1
