"""Arms of one study whose numbers at risk were exchanged: each table against both curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_bm.reconstruction.bounds import excess
from bayes_bm.reconstruction.curve import Curve, read_curve
from bayes_bm.runtime.errors import InputError

LEAST_DISAGREEING = 2
"""Fewest numbers that must disagree as printed: one may be a misprint."""


@dataclass(frozen=True)
class Arm:
    """What was given for one arm of a study: its curve (time, survival) and its at-risk table (time, at_risk)."""

    name: str
    curve: pd.DataFrame | Curve
    at_risk: pd.DataFrame | None
    n: int | None = None
    axis_max: float | None = None

    @classmethod
    def from_printed(cls, name: str, printed: Mapping[str, Any]) -> "Arm":
        """Make an arm from the arguments of `reconstruct`."""
        return cls(name, printed["curve"], printed.get("at_risk"), printed.get("n"), printed.get("axis_max"))


class Swap(NamedTuple):
    """Two arms whose at-risk tables are likely exchanged, and the numbers that say so."""

    one: str
    other: str
    text: str

    @property
    def hint(self) -> str:
        """Say what to do, with the name of the contradiction."""
        return f"are the tables of {self.one} and {self.other} exchanged? [swapped_arms]"


def swapped_arms(arms: Sequence[Arm]) -> list[Swap]:
    """Return pairs of arms whose numbers at risk disagree with their own curves and agree, all of them, when exchanged.

    A table can show too many at risk for the fall of a curve, never too few, which censoring explains: so the tables
    together must disagree in `LEAST_DISAGREEING` rows as printed and in none exchanged.
    """
    swaps = []
    for one, other in combinations([arm for arm in arms if arm.at_risk is not None], 2):
        misfits = count_disagreeing(one, one), count_disagreeing(other, other)
        if (
            sum(misfits) >= LEAST_DISAGREEING
            and not count_disagreeing(one, other)
            and not count_disagreeing(other, one)
        ):
            text = (
                f"numbers at risk printed for {one.name} disagree with its curve in {misfits[0]} rows, those for "
                f"{other.name} with its curve in {misfits[1]}, and in none when exchanged"
            )
            swaps.append(Swap(one.name, other.name, text))
    return swaps


def count_disagreeing(arm: Arm, table_arm: Arm) -> int:
    """Count the rows of the table of `table_arm` that the curve (and n) of `arm` cannot have."""
    try:
        read = read_curve(arm.curve, n=arm.n, at_risk=table_arm.at_risk, axis_max=arm.axis_max)
    except InputError:  # another n than the number at risk at time 0, or more at risk than n
        return 1
    rises = int((np.diff(np.concatenate([[read.n], read.risk_count])) > 0).sum())
    return int((excess(read).survival > 0).sum()) + rises
