"""Hazard families: one file each, one registry line each."""

from bayes_bm.hazards.base import Family
from bayes_bm.hazards.weibull import WEIBULL

FAMILIES: dict[str, Family] = {family.name: family for family in (WEIBULL,)}

__all__ = ["FAMILIES", "Family"]
