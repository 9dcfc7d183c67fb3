"""Bayesian survival evidence synthesis from published curves and numbers.

    import bayes_bm as bb
    spec = bb.read_spec("os_reresection_vs_resrs")
    result = bb.fit(spec)
    bb.compare(result, who=bb.NewStudy())

Names are loaded when first used, from where `__init__.pyi` says: importing the package costs milliseconds.
"""

from importlib.metadata import PackageNotFoundError, version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

try:
    __version__ = version("bayes_bm")
except PackageNotFoundError:
    __version__ = "0+unknown"
