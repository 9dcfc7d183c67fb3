"""Hazards as arrays: families, their modifiers, numerics, Kaplan-Meier.

A family is one file and one line of the registry below; `family.Family` says what it owes.
"""

from bayes_bm.hazards.families.exponential import EXPONENTIAL, EXPONENTIAL_AFT
from bayes_bm.hazards.families.generalized_gamma import GAMMA, GENGAMMA
from bayes_bm.hazards.families.gompertz import GOMPERTZ
from bayes_bm.hazards.families.gompertz_makeham import GOMPERTZ_MAKEHAM
from bayes_bm.hazards.families.loglogistic import LOGLOGISTIC
from bayes_bm.hazards.families.lognormal import LOGNORMAL
from bayes_bm.hazards.families.mspline import MSPLINE
from bayes_bm.hazards.families.piecewise import PIECEWISE
from bayes_bm.hazards.families.weibull import WEIBULL
from bayes_bm.hazards.families.weibull_aft import WEIBULL_AFT
from bayes_bm.hazards.families.weibull_mixture import WEIBULL_MIXTURE
from bayes_bm.hazards.family import Family

_KNOWN = (
    *(WEIBULL, EXPONENTIAL, GOMPERTZ, GOMPERTZ_MAKEHAM, PIECEWISE, MSPLINE),
    *(WEIBULL_AFT, EXPONENTIAL_AFT, LOGNORMAL, LOGLOGISTIC, GAMMA, GENGAMMA, WEIBULL_MIXTURE),
)
FAMILIES: dict[str, Family] = {family.name: family for family in _KNOWN}

__all__ = ["FAMILIES", "Family"]
