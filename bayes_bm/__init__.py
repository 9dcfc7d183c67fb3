"""Bayesian survival evidence synthesis from published curves and numbers.

    import bayes_bm as bb
    spec = bb.read_spec("os_reresection_vs_resrs")
    result = bb.fit(spec)
    bb.compare(result, who=bb.NewStudy())

Names are loaded when first used, from where `__init__.pyi` says: importing the package costs milliseconds.
"""

import lazy_loader

_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """Return a name of the package, loaded when it is first used; the version too, for which 40 ms are imported."""
    if name != "__version__":
        return _attribute(name)
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("bayes_bm")
    except PackageNotFoundError:
        return "0+unknown"
