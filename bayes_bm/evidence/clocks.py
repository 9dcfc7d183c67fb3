"""Times of an arm's clock that are not known: which arms they act on, and what their rows allow
(docs/decisions.md#13-bias).

    time c of arm i = acts[i, c] (of_bias[c] . bias + stated[i, c])          c: immortal time, clock shift (`CLOCKS`)

as a share of t0. A patient who died, or was last seen, at t was not immortal beyond t: the prior of an immortal time
ends at the first time of the arms that it acts on.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_bm.evidence.arm_covariates import averaged_arms
from bayes_bm.evidence.biases import PRIOR_ONLY, bias_column
from bayes_bm.hazards import Family
from bayes_bm.hazards.modifiers.unknown_clock import CLOCKS, UnknownClock
from bayes_bm.runtime.errors import InputError
from bayes_bm.spec.document import Spec

if TYPE_CHECKING:
    from bayes_bm.evidence.records import Evidence


@dataclass(frozen=True)
class Clocks:
    """`of_bias` (clock, bias), `acts` and `stated` (arm, clock) as above; `latest` that an immortal time can be, in the
    spec's unit.
    """

    of_bias: np.ndarray
    acts: np.ndarray
    stated: np.ndarray
    latest: float

    def of_arms(self, bias: np.ndarray) -> np.ndarray:
        """Times of every arm at draws of the biases (sample, arm, clock)."""
        return self.acts * ((bias @ self.of_bias.T)[:, None] + self.stated)


def clocks(spec: Spec, evidence: "Evidence") -> Clocks | None:
    """The unknown times of a model; None where all are known."""
    if not spec.unknown_clocks:
        return None
    arms, names = evidence.arms, list(spec.modelled_biases)
    acts, of_bias, stated = np.zeros((len(arms), 2)), np.zeros((2, len(names))), np.zeros((len(arms), 2))
    for name in spec.unknown_clocks:
        clock_index = CLOCKS.index(name)
        acts[:, clock_index] = _acts(name, arms)
        of_bias[clock_index, names.index(name)] = 1 / spec.reference_time
    # rows stand on the model's clock as far as it is known, an immortal time counts from the arm's own zero
    stated[:, CLOCKS.index("immortal_time")] = arms["shift"].to_numpy(dtype=float) / spec.reference_time
    return Clocks(of_bias, acts, stated, _latest(evidence, acts[:, CLOCKS.index("immortal_time")]))


def arm_family(family: Family, arm_clocks: Clocks | None) -> Family:
    """The family of study arms: on their own clocks, where these are unknown."""
    return family if arm_clocks is None else UnknownClock(family)


TIMES = "times of its arms"
"""Source of an unknown time that several times of one arm inform."""


def informed_by(name: str, spec: Spec, evidence: "Evidence") -> str:
    """What can tell an unknown time: how survival runs over the times of an arm that it acts on, or its prior only.

    One row of an arm is met by its level as well, and a constant hazard does not know when its clock started.
    """
    arm_row, time = first_times(evidence)
    informing = pd.DataFrame({"arm_row": arm_row, "time": time})[_acts(name, evidence.arms)[arm_row] > 0]
    several = bool(informing.drop_duplicates().duplicated("arm_row").any())
    memoryless = name == "clock_shift" and not spec.hazard.shapes
    return TIMES if several and not memoryless else PRIOR_ONLY


def _acts(name: str, arms: pd.DataFrame) -> np.ndarray:
    if bias_column(name) not in arms:
        raise InputError(
            f"bias.{name}",
            found="evidence that was read without this bias",
            hint="read it again with this spec: bb.read_evidence(spec)",
        )
    return arms[bias_column(name)].astype(float).fillna(0.0).to_numpy()


def _latest(evidence: "Evidence", acts: np.ndarray) -> float:
    """First time, on its arm's clock, at which somebody of an arm that an immortal time acts on is dead or unseen."""
    arm_row, time = first_times(evidence)
    return float(min(time[acts[arm_row] > 0], default=np.inf))


def first_times(evidence: "Evidence") -> tuple[np.ndarray, np.ndarray]:
    """Arm and time of every row (row,): what it says was not so for somebody who was immortal longer."""
    patients, shift = evidence.patients, evidence.arms["shift"].to_numpy(dtype=float)
    upper = patients["time_upper"].astype(float)
    kinds = [
        (patients["arm_row"], upper.where(upper.notna(), patients["time"]), True),
        (evidence.sequences["arm_row"], evidence.sequences["time"], True),
        (evidence.medians["arm_row"], evidence.medians["time"], False),
        (evidence.counts["arm_row"], evidence.counts["time"], False),
        (evidence.registry["arm_row"], evidence.registry["start"], True),
    ]
    arm_row = np.concatenate([row.to_numpy(dtype=int) for row, _, _ in kinds])
    moved = np.repeat([shifted for _, _, shifted in kinds], [len(row) for row, _, _ in kinds])
    time = np.concatenate([values.to_numpy(dtype=float) for _, values, _ in kinds])
    return arm_row, time - np.where(moved, shift[arm_row], 0.0)


def check_clocks(spec: Spec, evidence: "Evidence") -> None:
    """What an unknown time cannot stand beside is refused here, before anything compiles."""
    if not spec.unknown_clocks or evidence.arms.empty:
        return
    name, arms = spec.unknown_clocks[0], evidence.arms
    averaged = averaged_arms(spec, arms, evidence.patients).any()
    missing = bool(len(evidence.patients) and spec.covariates) and evidence.patients[list(spec.covariates)].isna()
    if averaged or np.asarray(missing).any():
        raise _refused(
            f"bias.{name}.prior",
            "arms averaged over covariates that are stated, or that patients lack",
            "evidence whose patients have every covariate, or a value",
            "covariates are of those who started, the clock of who entered; both at once are not built",
        )
    for clock in spec.unknown_clocks:
        acts = _acts(clock, arms) > 0
        timeless = evidence.counts[evidence.counts["time"].isna()]
        if len(timeless) and acts[timeless["arm_row"].to_numpy(dtype=int)].any():
            raise _refused(
                f"bias.{clock}.prior", "a count without a time in an arm that it acts on", "counts with times", ""
            )
    if "immortal_time" in spec.unknown_clocks and _latest(evidence, _acts("immortal_time", arms)) <= 0:
        raise _refused(
            "bias.immortal_time.prior",
            "an arm of which a row begins at time 0",
            "arms whose first time is above 0",
            "somebody of the arm was dead or unseen by then, so nobody was immortal: name other arms in acts_on",
        )


def _refused(where: str, offence: str, allowed: str, hint: str) -> InputError:
    more: dict[str, Any] = {"hint": hint} if hint else {}
    return InputError(where, found=offence, allowed=allowed, **more)
