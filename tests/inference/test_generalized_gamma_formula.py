"""The generalised gamma's formula against mpmath's incomplete gamma functions, where series and where nodes serve."""

import ctypes
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from bayes_bm.inference.compiled.formulas import formula_address

SHAPES = (0.1, 0.25, 0.7, 1.0, 1.6, 4.0, 6.0)
"""|q|: of the first and the last nodes serve."""


def found_by_formula(given: np.ndarray) -> np.ndarray:
    """What the formula finds (9, place) of log u, eta, log sd and q (4, place)."""
    function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(formula_address("gengamma"))
    found = np.empty((9, given.shape[1]))
    function(given.shape[1], given.ctypes.data, found.ctypes.data)
    return found


def logs(log_u: Any, eta: Any, log_sd: Any, q: Any) -> tuple[Any, Any]:
    """log H and log h, of a = 1 / q^2 and x = a exp(q w)."""
    a, w = 1 / q**2, (log_u - eta) / mp.exp(log_sd)
    x = a * mp.exp(q * w)
    alive = mp.gammainc(a, x, mp.inf, regularized=True) if q > 0 else mp.gammainc(a, 0, x, regularized=True)
    log_density = mp.log(abs(q)) + a * mp.log(x) - x - mp.loggamma(a) - log_sd - log_u
    return mp.log(-mp.log(alive)), log_density - mp.log(alive)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1, -1])
def test_tails_have_the_digits_of_incomplete_gamma_functions(sign: int) -> None:
    """Values and all derivatives, on both sides of the middle and on both sides of x = a + 1."""
    places = [(w, sign * q) for q in SHAPES for w in (-2.0, -0.3, 0.2, 1.4) if q * abs(w) < 6]
    given = np.array([[0.4 + 0.7 * w, 0.4, np.log(0.7), q] for w, q in places]).T.copy()
    found = found_by_formula(given)
    with mp.workdps(150):
        for i in range(given.shape[1]):
            here, step = [mp.mpf(float(value)) for value in given[:, i]], mp.mpf("1e-40")

            def slope(which: int, of: int, here: Any = here, step: Any = step) -> float:
                up, down = list(here), list(here)
                up[of], down[of] = up[of] + step, down[of] - step
                return float((logs(*up)[which] - logs(*down)[which]) / (2 * step))

            log_cum, log_hazard = logs(*here)
            wanted = [float(log_cum), *(slope(0, of) for of in (1, 2, 3))]
            wanted += [float(log_hazard), *(slope(1, of) for of in (1, 2, 3, 0))]
            assert found[:, i] == pytest.approx(wanted, rel=1e-11, abs=1e-11), given[:, i]
