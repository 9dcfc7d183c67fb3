"""Log-logistic: H = log(1 + odds), log odds x = k (log u - eta); log h = log k - log u + log F."""

import math
from typing import Any

from bayes_bm.inference.compiled.formulas import arrays, tails
from bayes_bm.inference.compiled.formulas.arrays import JIT, SIGNATURE, table
from bayes_bm.inference.compiled.formulas.tails import log_cum_from_tails, softplus
from bayes_bm.runtime.compiling import cached_cfunc


@cached_cfunc(SIGNATURE, arrays, tails, **JIT)
def loglogistic(n: Any, given: Any, found: Any) -> None:
    """d log H / dx = F / H, d log h / dx = S."""
    x, y = table(given, 3, n), table(found, 7, n)
    for i in range(n):
        log_u, k = x[0, i], math.exp(x[2, i])
        log_odds = k * (log_u - x[1, i])
        log_dead, log_alive = -softplus(-log_odds), -softplus(log_odds)
        log_cum = log_cum_from_tails(log_dead, log_alive)
        by_cum, by_hazard = math.exp(log_dead - log_cum), math.exp(log_alive)
        y[0, i], y[1, i], y[2, i] = log_cum, -k * by_cum, log_odds * by_cum
        y[3, i], y[4, i] = x[2, i] - log_u + log_dead, -k * by_hazard
        y[5, i], y[6, i] = 1 + log_odds * by_hazard, k * by_hazard - 1
