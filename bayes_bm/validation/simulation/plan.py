"""Who is studied, by whom, and what is printed of it: the studies and arms of a synthetic world, before any patient."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec

KINDS = ("patients", "points", "medians", "hazard_ratios", "counts")
MIX: Mapping[str, float] = {"patients": 3, "points": 4, "medians": 4, "hazard_ratios": 2, "counts": 1}
"""Studies of each kind among 14: few give patients or curves, most a median or survival at a time."""
SIZES = (20, 80)


@dataclass(frozen=True)
class ArmPlan:
    """One arm: its study, treatment, size, and what is printed of it.

    `interval`: numbers come with their interval, not with n only. Patients enter over the last `accrual` of the study's
    `follow_up`, so that each is followed for follow_up - U(0, accrual), but at least to `least`.
    """

    study: str
    arm: str
    treatment: str
    kind: str
    n: int
    interval: bool
    follow_up: float
    accrual: float
    least: float

    @property
    def key(self) -> tuple[str, str]:
        return self.study, self.arm


def plan(
    spec: Spec,
    rng: np.random.Generator,
    *,
    studies: int,
    mix: Mapping[str, float],
    sizes: tuple[int, int],
    side_by_side: float = 0.5,
) -> list[ArmPlan]:
    """Arms of `studies` studies, each kind of evidence its share of them (largest remainders), sizes log-uniform.

    A share `side_by_side` of the studies compares two treatments; those that print a hazard ratio all do. Raises
    InputError on an unknown kind, no studies, or sizes that are not ordered.
    """
    _check_plan(spec, studies, mix, sizes)
    kinds = _shares(studies, mix)
    pairs = _pairs(spec, kinds, studies, side_by_side)
    names = [f"study {number + 1:0{len(str(studies))}d}" for number in range(studies)]
    t0, arms = spec.reference_time, []
    for name, kind, treatments in zip(names, kinds, pairs, strict=True):
        follow_up = t0 * rng.uniform(1.5, 4)
        accrual, interval = follow_up * rng.uniform(0.3, 0.8), bool(rng.random() < 0.5)
        for treatment in treatments:
            n = round(np.exp(rng.uniform(*np.log(sizes))))
            # a count of events by a time is a share only where everybody was followed so far
            least = t0 if kind == "counts" else 0.0
            arms.append(ArmPlan(name, treatment, treatment, kind, n, interval, follow_up, accrual, least))
    return arms


def _check_plan(spec: Spec, studies: int, mix: Mapping[str, float], sizes: tuple[int, int]) -> None:
    for kind, share in mix.items():
        if kind not in KINDS:
            raise InputError("mix", found=kind, allowed=", ".join(KINDS))
        if not share >= 0:
            raise InputError(f"mix, {kind}", found=share, allowed="0 or more")
    if not sum(mix.values()) > 0:
        raise InputError("mix", found="shares of zero", allowed="some kind of evidence")
    if studies < len(spec.treatments.names):
        raise InputError("studies", found=studies, allowed=f"{len(spec.treatments.names)} or more, one a treatment")
    if not 5 <= sizes[0] <= sizes[1]:
        raise InputError("sizes", found=f"{sizes[0]} to {sizes[1]}", allowed="two whole numbers, 5 <= low <= high")


def _shares(studies: int, mix: Mapping[str, float]) -> list[str]:
    """Kinds in the order of KINDS, as many of each as its share says, the rest to the largest remainders."""
    kinds = [kind for kind in KINDS if mix.get(kind, 0) > 0]
    exact = np.array([studies * mix[kind] / sum(mix.values()) for kind in kinds])
    count = np.floor(exact).astype(int)
    for kind_index in np.argsort(-(exact - count), kind="stable")[: studies - count.sum()]:
        count[kind_index] += 1
    return [kind for kind, times in zip(kinds, count, strict=True) for _ in range(times)]


def _pairs(spec: Spec, kinds: list[str], studies: int, side_by_side: float) -> list[tuple[str, ...]]:
    """Treatments of each study: in turn, so that every kind of evidence speaks about every treatment."""
    names, compared = spec.treatments.names, spec.treatments.compare
    treatments, singles, doubles, owed = [], 0, 0, 0.0
    for kind in kinds:
        owed += side_by_side
        if kind == "hazard_ratios" or spec.free_levels or owed >= 1:
            owed -= 1 if owed >= 1 else 0
            treatments.append((spec.treatments.reference, compared[doubles % len(compared)]))
            doubles += 1
        else:
            treatments.append((names[singles % len(names)],))
            singles += 1
    return treatments
