"""Who shares which effect: the index arrays behind the linear predictor (docs/decisions.md#the-model;
decisions 10, 11).

    eta       = intercept + study_effect[j] + log_hr[a] + study_treatment_effect[j, a]
                + x . coefficient + x . interaction[a] + amount[arm] . bias
    log_shape = log_shape + study_log_shape[j] + treatment_log_shape[a]

The reference treatment has log_hr, interaction, study_treatment_effect and treatment_log_shape of zero in every study.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes_bm.evidence.biases import amounts, in_predictor
from bayes_bm.evidence.clocks import Clocks, clocks
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import Family
from bayes_bm.spec.document import Spec

CORRELATION = 0.5
"""Between the deviations of two treatments within a study: as for contrasts to one shared arm (decision 10)."""
PAIR = " | "


@dataclass(frozen=True)
class Design:
    """Names in order and, for each arm row and each hazard ratio, the positions of its effects.

    Position 0 of a treatment or a pair stands for "none" (zero), so that the model pads each effect with a leading
    zero. `arm_bias` and `hr_bias` are what each bias is multiplied by (row, bias); `clocks` are the times of
    the arms' clocks that are not known, None where all are.
    """

    studies: tuple[str, ...]
    treatments: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    arm_study: np.ndarray
    arm_treatment: np.ndarray
    arm_pair: np.ndarray
    hr_study: np.ndarray
    hr_treatment: np.ndarray
    hr_reference: np.ndarray
    hr_pair: np.ndarray
    hr_reference_pair: np.ndarray
    pair_cholesky: np.ndarray
    arm_bias: np.ndarray
    hr_bias: np.ndarray
    clocks: Clocks | None

    @property
    def compared(self) -> tuple[str, ...]:
        return self.treatments[1:]

    @property
    def pair_labels(self) -> list[str]:
        return [PAIR.join(pair) for pair in self.pairs]


def make_design(spec: Spec, evidence: Evidence) -> Design:
    """Index structure of a model. Studies and pairs are sorted by name (decision 10)."""
    arms, ratios = evidence.arms, evidence.hazard_ratios
    reference, treatments = spec.treatments.reference, spec.treatments.names
    studies = tuple(sorted(set(arms["study"])))
    sides = [*zip(arms["study"], arms["treatment"], strict=True)]
    for side in ("treatment", "reference"):
        sides += [*zip(ratios["study"], ratios[side], strict=True)]
    pairs = tuple(sorted({pair for pair in sides if pair[1] != reference})) if spec.effects.study_treatment else ()
    position = {pair: positions + 1 for positions, pair in enumerate(pairs)}

    def pair_at(study: Sequence[str], treatment: Sequence[str]) -> np.ndarray:
        return np.array([position.get(pair, 0) for pair in zip(study, treatment, strict=True)], dtype=int)

    def positions(names: Sequence[str], values: Sequence[str]) -> np.ndarray:
        return np.array([names.index(value) for value in values], dtype=int)

    return Design(
        studies=studies,
        treatments=treatments,
        pairs=pairs,
        arm_study=positions(studies, list(arms["study"])),
        arm_treatment=positions(treatments, list(arms["treatment"])),
        arm_pair=pair_at(list(arms["study"]), list(arms["treatment"])),
        # 0 is the average study: a study known from its ratio alone has no level of its own
        hr_study=np.array([studies.index(name) + 1 if name in studies else 0 for name in ratios["study"]], dtype=int),
        hr_treatment=positions(treatments, list(ratios["treatment"])),
        hr_reference=positions(treatments, list(ratios["reference"])),
        hr_pair=pair_at(list(ratios["study"]), list(ratios["treatment"])),
        hr_reference_pair=pair_at(list(ratios["study"]), list(ratios["reference"])),
        pair_cholesky=pair_cholesky([study for study, _ in pairs]),
        arm_bias=in_predictor(spec, amounts(spec, arms)),
        hr_bias=in_predictor(spec, amounts(spec, ratios)),
        clocks=clocks(spec, evidence),
    )


def pair_cholesky(studies: Sequence[str]) -> np.ndarray:
    """Cholesky factor of the correlation of pairs: 0.5 within a study, 0 between."""
    if not studies:
        return np.zeros((0, 0))
    same = np.array([[row_study == column_study for column_study in studies] for row_study in studies], dtype=float)
    correlation = CORRELATION * same + (1 - CORRELATION) * np.eye(len(studies))
    return np.linalg.cholesky(correlation)


STACKED = ("coefficient_", "interaction_", "bias_")
"""Parameters of the model that are kept under one name each."""


def labels(spec: Spec, design: Design) -> dict[str, list[str]]:
    """What the dimensions of a posterior are called, but for the knots of a flexible baseline."""
    return {
        "study": list(design.studies),
        "treatment": list(design.compared),
        "study_treatment": design.pair_labels,
        "covariate": list(spec.covariates),
        "effect_modifier": list(spec.modifiers),
        "bias_term": list(spec.unknown_biases),
    }


def location_labels(spec: Spec, family: Family) -> list[str]:
    """Where on the time axis each coefficient but the first speaks, in the spec's unit."""
    location = family.knots.location[1:] if family.knots else ()
    return [f"{value * spec.reference_time:.4g}" for value in location]
