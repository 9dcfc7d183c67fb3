"""Ein(X), the integral of (1 - exp(-x)) / x from 0 to X (DLMF 6.2.3), by a fixed rule that can be differentiated.

Ein(X) = integral of (1 - exp(-X s)) / s over (0, 1), and log X + Euler's constant where exp(-X) is nothing.
"""

import math

import numpy as np

ALL_DEAD = 28.0
"""X beyond which Ein grows as log X to rounding: E1(28) is 2e-14."""
LOG_ALL_DEAD = math.log(ALL_DEAD)
POINTS = 16
"""Of Gauss and Legendre's rule: 5e-14 of Ein for every X up to ALL_DEAD."""
_node, _weight = np.polynomial.legendre.leggauss(POINTS)
NODE = (_node + 1) / 2
"""s of the rule (point,)."""
WEIGHT = _weight / 2 / NODE
"""Weight over s (point,)."""
