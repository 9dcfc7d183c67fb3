"""The patients of a study that is in the evidence: what its curve would add to the numbers that it prints.

The study keeps its own effects, which the posterior has. Its patients are simulated at them and take the place of what
is printed: a draw is weighed by the density of the patients over that of the printed numbers, so nothing counts twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayes_bm.checks.study_likelihood import keep_study, rows_log_density
from bayes_bm.evidence.tables.checking import check_table
from bayes_bm.inference.result import Result
from bayes_bm.model.linear_predictor import Draws
from bayes_bm.model.model_inputs import ModelInputs, prepare
from bayes_bm.runtime.errors import InputError
from bayes_bm.runtime.types import Array
from bayes_bm.updates.designs import Design
from bayes_bm.updates.future_study import Numbers, replace_kinds, simulated_rows


@dataclass(frozen=True)
class KnownStudy:
    """Hold a study of the evidence: its rows, the same arms with patients, and draws of its own effects."""

    design: Design
    printed: ModelInputs
    patients: ModelInputs
    draws: Draws

    def simulated(self, places: Array, rng: np.random.Generator) -> Iterator[Numbers]:
        """Yield its patients under some draws."""
        yield from simulated_rows(self.patients, self.design, self.draws.at(places), rng)

    def log_weight(self, numbers: Numbers) -> Array:
        """Return what its patients say of each draw beyond the printed numbers (sample,)."""
        new = rows_log_density(replace_kinds(self.patients, numbers), self.draws)
        return new - rows_log_density(self.printed, self.draws)


def known_study(result: Result, design: Design) -> KnownStudy:
    """Return the study whose curve would be had. Raises `InputError` where its size is not known."""
    study, spec = str(design.curve_of), result.spec
    evidence = keep_study(result.evidence, study)
    arms = evidence.arms
    if arms["n_effective"].isna().any() or arms.empty:
        raise InputError(
            f"{design.name}, curve_of", found=f"{study}, whose size is not known", allowed="a study that prints n"
        )
    if len(evidence.patients):
        raise InputError(
            f"{design.name}, curve_of", found=f"{study}, whose patients are known", allowed="a study without patients"
        )
    rows = [
        {"study": study, "arm": arm["arm"], "treatment": arm["treatment"], "time": spec.reference_time, "event": 1}
        for arm in arms.to_dict("records")
        for _ in range(max(1, round(arm["n_effective"])))
    ]
    blank = dict.fromkeys(spec.covariates, np.nan)
    patients = check_table("patients", pd.DataFrame([{**row, **blank} for row in rows]), where=design.name)
    row_of = {arm: place for place, arm in enumerate(arms["arm"])}
    listed = pd.DataFrame(
        {
            "arm_row": patients["arm"].map(row_of).to_numpy(dtype=int),
            "time": spec.reference_time,
            "event": 1.0,
            "time_upper": np.nan,
            "entry": arms["entry"].to_numpy(dtype=float)[patients["arm"].map(row_of).to_numpy(dtype=int)],
            "weight": 1.0,
            **blank,
        }
    )
    empty = {name: getattr(evidence, name).iloc[:0] for name in ("sequences", "medians", "counts", "registry")}
    with_patients = replace(evidence, patients=listed, hazard_ratios=evidence.hazard_ratios.iloc[:0], **empty)
    with_patients = replace(with_patients, hr_cholesky=np.zeros((0, 0)))
    printed, inputs = prepare(spec, evidence), prepare(spec, with_patients)
    return KnownStudy(design, printed, inputs, _own_draws(result, inputs))


def _own_draws(result: Result, inputs: ModelInputs) -> Draws:
    """Draws with the effects of the study's own arms alone."""
    draws, whole, own = result.predictors.draws, result.inputs.design, inputs.design
    studies = [whole.studies.index(study) for study in own.studies]
    pairs = [0, *(1 + whole.pairs.index(pair) for pair in own.pairs)]
    keys = list(zip(result.evidence.arms["study"], result.evidence.arms["arm"], strict=True))
    arms = [keys.index(key) for key in zip(inputs.evidence.arms["study"], inputs.evidence.arms["arm"], strict=True)]
    return replace(
        draws,
        study_effect=draws.study_effect[:, studies],
        study_shape=draws.study_shape[:, studies],
        study_treatment_effect=draws.study_treatment_effect[:, pairs],
        mix=draws.mix if inputs.arm_mixes is None else draws.mix[:, arms],
        chains=1,
    )
