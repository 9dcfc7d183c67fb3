"""Hazard families: one file each, one registry line each (`base.Family` says what a family is)."""

from bayes_bm.hazards.base import Family
from bayes_bm.hazards.exponential import EXPONENTIAL, EXPONENTIAL_AFT
from bayes_bm.hazards.gengamma import GAMMA, GENGAMMA
from bayes_bm.hazards.gompertz import GOMPERTZ
from bayes_bm.hazards.loglogistic import LOGLOGISTIC
from bayes_bm.hazards.lognormal import LOGNORMAL
from bayes_bm.hazards.mspline import MSPLINE
from bayes_bm.hazards.piecewise import PIECEWISE
from bayes_bm.hazards.weibull import WEIBULL
from bayes_bm.hazards.weibull_aft import WEIBULL_AFT

_KNOWN = (
    *(WEIBULL, EXPONENTIAL, GOMPERTZ, PIECEWISE, MSPLINE),
    *(WEIBULL_AFT, EXPONENTIAL_AFT, LOGNORMAL, LOGLOGISTIC, GAMMA, GENGAMMA),
)
FAMILIES: dict[str, Family] = {family.name: family for family in _KNOWN}

__all__ = ["FAMILIES", "Family"]
