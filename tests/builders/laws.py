"""Densities of one number, for integrands: scipy.stats takes a tenth of a millisecond to look at its arguments."""

import math


def normal_density(x: float, mean: float = 0.0, sd: float = 1.0) -> float:
    return math.exp(-(((x - mean) / sd) ** 2) / 2) / (sd * math.sqrt(2 * math.pi))


def t_density(x: float, df: float, scale: float = 1.0) -> float:
    log_constant = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2 - math.log(scale)
    return math.exp(log_constant - (df + 1) / 2 * math.log1p((x / scale) ** 2 / df))
