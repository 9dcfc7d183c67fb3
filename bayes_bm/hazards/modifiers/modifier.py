"""A modifier of a family is a family that holds another one: frozen, comparable, and it pickles."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bayes_bm.hazards.family import Family, Knots


@dataclass(frozen=True)
class Modifier(Family):
    """The family `base`, of which a subclass changes what it says: its shapes, its formulas, its flags."""

    base: Family

    inverse = None
    event_weighted_log_hr = None

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def effect(self) -> Literal["hazard", "time"]:
        return self.base.effect

    @property
    def shapes(self) -> tuple[str, ...]:
        return self.base.shapes

    @property
    def basis(self) -> Callable[[np.ndarray], np.ndarray] | None:
        return self.base.basis

    @property
    def on_knots(self) -> Callable[[tuple[float, ...], float], Family] | None:
        return self.base.on_knots

    @property
    def knots(self) -> Knots | None:
        return self.base.knots

    @property
    def cured(self) -> bool:
        return self.base.cured

    @property
    def background(self) -> tuple[float, ...] | None:
        return self.base.background
