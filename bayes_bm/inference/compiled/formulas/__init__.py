"""log H and log h of each family as compiled functions behind one signature, with their derivatives.

    formula(n, given, found)
    given (2 + shape x n)       log u, eta and the shapes of n cells, one after the other
    found (5 + 2 shape x n)     log H and its derivatives by eta and by each shape; log h and the same; its one by log u

Addresses are handed to the density (`cells/density.py`), so a family is compiled, and kept on disk, by itself. A family
without a file here is sampled through PyMC's graph.
"""

from importlib import import_module

FILES = {
    "weibull": ("weibull", "weibull"),
    "weibull_aft": ("weibull", "weibull_aft"),
    "exponential": ("exponential", "exponential"),
    "exponential_aft": ("exponential", "exponential_aft"),
    "gompertz": ("gompertz", "gompertz"),
    "gompertz_makeham": ("gompertz_makeham", "gompertz_makeham"),
    "lognormal": ("lognormal", "lognormal"),
    "loglogistic": ("loglogistic", "loglogistic"),
    "gamma": ("generalized_gamma", "gamma"),
    "gengamma": ("generalized_gamma", "gengamma"),
    "weibull_mixture": ("weibull_mixture", "weibull_mixture"),
    "piecewise": ("basis", "basis"),
    "mspline": ("basis", "basis"),
}
"""File and function of each family's formula."""


def formula_address(family: str) -> int:
    """Address of a family's compiled formula; its file is read, or compiled, when it is first asked for."""
    file, function = FILES[family]
    return int(getattr(import_module(f"{__name__}.{file}"), function).address)
