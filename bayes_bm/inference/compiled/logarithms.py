"""Logarithms as arithmetic that a compiler can do for eight numbers at once, as `exponentials.exponential` is."""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_bm.inference.compiled.exponentials import LOG_TWO_HIGH, LOG_TWO_LOW, _bits, _number
from bayes_bm.inference.compiled.fields import INNER

SMALLEST = 2.0**-1022
"""Smallest number with all its digits; smaller ones are scaled first."""
SCALE, SCALED = 2.0**54, 54
FRACTION, HALF = (1 << 52) - 1, 1022 << 52
"""Bits of a number behind its leading one, and those of the exponent of numbers from 1/2 to 1."""
ROOT_HALF = math.sqrt(0.5)
SERIES = (
    *(1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01),
    *(2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01),
)
"""Of log((1 + s) / (1 - s)) / s - 2 in s^2, highest power first (Sun's fdlibm, e_log.c)."""


@njit(**INNER)
def logarithm(x: Any) -> Any:
    """log(x), within one unit in the last place; minus infinity of 0, NaN below."""
    is_small = x < SMALLEST
    bits = _bits(x * SCALE if is_small else x)  # pyright: ignore[reportCallIssue]
    fraction = _number((bits & FRACTION) | HALF)  # pyright: ignore[reportCallIssue]
    is_low = fraction < ROOT_HALF
    powers = float((bits >> 52) - 1022 - (SCALED if is_small else 0) - (1 if is_low else 0))
    f = (2 * fraction if is_low else fraction) - 1.0
    s, half = f / (2.0 + f), 0.5 * f * f
    z = s * s
    high = ((SERIES[0] * z + SERIES[1]) * z + SERIES[2]) * z + SERIES[3]
    rest = (((high * z + SERIES[4]) * z + SERIES[5]) * z + SERIES[6]) * z
    value = powers * LOG_TWO_HIGH - ((half - (s * (half + rest) + powers * LOG_TWO_LOW)) - f)
    # beyond the positive numbers what the C library gives
    value = value if x < np.inf else x
    value = value if x > 0.0 else np.nan
    return -np.inf if x == 0.0 else value


@njit(**INNER)
def log_less(x: Any) -> Any:
    """log(1 - x) of x < 1, which keeps its digits however small x is (Kahan)."""
    rest = 1.0 - x
    lost = rest - 1.0
    return -x if lost == 0.0 else logarithm(rest) * (-x / lost)
