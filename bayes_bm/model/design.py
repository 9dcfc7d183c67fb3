"""Who shares which effect: the index arrays behind the linear predictor (docs/decisions.md#the-model;
decisions 10, 11).

    eta       = intercept + study_effect[j] + log_hr[a] + study_treatment_effect[j, a]
                + x . coefficient + x . interaction[a] + amount[arm] . bias
    log_shape = log_shape + study_log_shape[j] + treatment_log_shape[a]

The reference treatment has log_hr, interaction and treatment_log_shape of zero in every study. Each treatment of a
study has a deviation of its own, the reference too, independent and N(0, study_treatment_sd^2 / 2): contrasts within a
study vary by study_treatment_sd whichever treatment is the reference (decision 10).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes_bm.evidence.biases import amounts, in_predictor
from bayes_bm.evidence.clocks import Clocks, clocks
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import Family
from bayes_bm.spec.document import Spec

DEVIATION_VARIANCE = 0.5
"""Variance of a treatment's deviation in a study, in units of study_treatment_sd^2: a contrast of two varies by one."""
PAIR = " | "


@dataclass(frozen=True)
class Design:
    """Names in order and, for each arm row and each hazard ratio, the positions of its effects.

    Position 0 of a treatment or a pair stands for "none" (zero), so that the model pads each effect with a leading
    zero. `pair_base` is the pair that others of its study are compared with when a sampler chooses coordinates: the
    reference's, or the last by name, which stands last in its study. `arm_bias` and `hr_bias` are what each bias is
    multiplied by (row, bias); `clocks` are the times of the arms' clocks that are not known, None where all are.
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
    pair_base: np.ndarray
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

    @property
    def pair_factor(self) -> np.ndarray:
        """What makes deviations, in units of study_treatment_sd, of standard normals (pair, pair)."""
        return contrasts_to_deviations(self.pair_base) @ self.pair_cholesky


def make_design(spec: Spec, evidence: Evidence) -> Design:
    """Index structure of a model. Studies and the pairs of a study are sorted by name, the reference last."""
    arms, ratios = evidence.arms, evidence.hazard_ratios
    treatments = spec.treatments.names
    studies = tuple(sorted(set(arms["study"])))

    def positions(names: Sequence[str], values: Sequence[str]) -> np.ndarray:
        return np.array([names.index(value) for value in values], dtype=int)

    pairs = _make_pairs(evidence, spec.treatments.reference) if spec.effects.study_treatment else ()
    position = {pair: index + 1 for index, pair in enumerate(pairs)}

    def pair_at(study: Sequence[str], treatment: Sequence[str]) -> np.ndarray:
        return np.array([position.get(pair, 0) for pair in zip(study, treatment, strict=True)], dtype=int)

    pair_base = _last_in_study([study for study, _ in pairs])
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
        pair_base=pair_base,
        pair_cholesky=pair_cholesky(pair_base),
        arm_bias=in_predictor(spec, amounts(spec, arms)),
        hr_bias=in_predictor(spec, amounts(spec, ratios)),
        clocks=clocks(spec, evidence),
    )


def _make_pairs(evidence: Evidence, reference: str) -> tuple[tuple[str, str], ...]:
    """Return every (study, treatment) of an arm or a ratio by name, the reference last in its study."""
    arms, ratios = evidence.arms, evidence.hazard_ratios
    sides = {*zip(arms["study"], arms["treatment"], strict=True)}
    for side in ("treatment", "reference"):
        sides |= {*zip(ratios["study"], ratios[side], strict=True)}
    return tuple(sorted(sides, key=lambda pair: (pair[0], *reference_last(pair[1], reference))))


def reference_last(treatment: str, reference: str) -> tuple[bool, str]:
    """Return what treatments of a study are sorted by: their names, the reference last."""
    return treatment == reference, treatment


def _last_in_study(studies: Sequence[str]) -> np.ndarray:
    """Position of the last pair of each pair's study (pair,); `studies` are sorted."""
    last = {study: index for index, study in enumerate(studies)}
    return np.array([last[study] for study in studies], dtype=int)


def pair_cholesky(pair_base: np.ndarray) -> np.ndarray:
    """Return the Cholesky factor of the contrasts of each study to its base, and of the base's deviation (pair, pair).

    Deviations d are independent with variance 1/2. Contrasts d - d_base have variance 1 and correlation 1/2, the base's
    deviation covaries with each by -1/2; pairs of two studies are independent. A sampler walks on contrasts, which a
    study's patients tell, and then on the base's deviation, which they cannot tell from the study's level.
    """
    to_contrasts = np.linalg.inv(contrasts_to_deviations(pair_base))
    return np.linalg.cholesky(DEVIATION_VARIANCE * to_contrasts @ to_contrasts.T)


def contrasts_to_deviations(pair_base: np.ndarray) -> np.ndarray:
    """Return what adds the deviation of its study's base to the contrast of each other pair (pair, pair)."""
    pairs = np.arange(len(pair_base))
    return np.eye(len(pairs)) + ((pair_base[:, None] == pairs) & (pairs[:, None] != pair_base[:, None]))


STACKED = ("coefficient_", "interaction_", "bias_", "mix_", "class_member_")
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
        "treatment_class": list(spec.treatments.classes),
        "spread_class": [name for name, one in spec.treatments.classes.items() if one.sd is not None],
    }


def location_labels(spec: Spec, family: Family) -> list[str]:
    """Where on the time axis each coefficient but the first speaks, in the spec's unit."""
    location = family.knots.location[1:] if family.knots else ()
    return [f"{value * spec.reference_time:.4g}" for value in location]
