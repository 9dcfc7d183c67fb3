"""The patients of each arm of a world: of its mix, dead when the truth says, followed as its plan says."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayes_bm.spec.document import Spec
from bayes_bm.validation.simulation.patients import Law, censoring_times, covariates, event_times, seen
from bayes_bm.validation.simulation.plan import ArmPlan
from bayes_bm.validation.simulation.printing import StudiedArm
from bayes_bm.validation.simulation.truth import Truth

Mixes = Mapping[tuple[str, str], Mapping[str, Law]]
"""Law of each covariate in each arm, by study and arm."""


def studied_arm(
    true: Truth,
    spec: Spec,
    arm: ArmPlan,
    survived: float,
    rng: np.random.Generator,
    mix: Mapping[str, Law] | None = None,
) -> StudiedArm:
    """Fresh patients who all survived to a time; those of a hazard ratio stand at the centre of every covariate."""
    x = covariates(spec, rng, arm.n, mix)
    if arm.kind == "hazard_ratios":
        x = x.assign(**{name: term.middle for name, term in spec.covariates.items()})
    death = event_times(true, arm, x, rng)
    for _ in range(10_000):
        early = death <= survived
        if survived == 0 or not early.any():
            break
        again = spec.covariates and arm.kind != "hazard_ratios"
        x = x.where(~np.tile(early, (x.shape[1], 1)).T, covariates(spec, rng, arm.n, mix)) if again else x
        death = np.where(early, event_times(true, arm, x, rng), death)
    censoring = np.maximum(censoring_times(arm, spec.reference_time, rng), survived + 0.1)
    return StudiedArm(arm, pd.concat([seen(death, censoring), x], axis=1))


def mix_document(mixes: Mixes) -> dict[str, dict[str, float]]:
    """Shares and means of every arm, by its name."""
    return {
        f"{study} | {arm}": {name: law.middle for name, law in laws.items()} for (study, arm), laws in mixes.items()
    }
