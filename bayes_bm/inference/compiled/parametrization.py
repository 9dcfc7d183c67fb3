"""Which effects of studies the compiled density samples centred: those that their study's patients tell of themselves.

A standard normal (non-centred) coordinate is good where a study says little about its effect: the prior is then what
the sampler walks on. Where a study's patients fix its level to a hundredth of its prior sd, a walk over the average
study has to move every standard normal along by as much: hundreds of steps a draw. There the level itself is the
coordinate. The model and its posterior are the same; only the sampler's coordinates are others.

    level        eta of the study's main arm, without biases: that of its base (`Design`) where it has patients enough
    log shape    of the study
    deviation    log_hr + deviation of a treatment less that of the base, where the main arm is the base's

Chosen by information x prior variance (how many times more the patients say than the prior), with the events as
information and the median of the prior of the effect's sd; `sampling.centring` of a spec overrides it.

The level of a study and the deviation of its base enter an arm as a sum, which is all that an arm tells of them. Walked
on one by one, each becomes a funnel where the sd of the other takes up what studies differ by. So they are turned: one
coordinate for the sum, one for how it is shared out, of which an arm tells nothing (`kernel._level_and_base`).
Measured on 300 worlds of 14 studies at 2 x 500 draws: 92 failed the gate without the turn (docs/checks.md).
"""

from dataclasses import dataclass, replace

import numpy as np

from bayes_bm.model.design import Design, reference_last
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.spec.priors import Prior, median

INFORMED = 5.0
"""Information x prior variance from which on an effect is centred (measured: docs/speed.md)."""
OF_SHAPE = 1.8
"""Information of one event about log shape, in a Weibull whose scale is known: 1 + E (log H)^2 = 1.82."""


@dataclass(frozen=True)
class Parametrization:
    """True where centred: levels (study), log shapes (study), deviations (pair); `main` is each study's main arm.

    `turned` is true where levels and deviations of bases are walked on together.
    """

    level: np.ndarray
    shape: np.ndarray
    pair: np.ndarray
    main: np.ndarray
    turned: bool = True

    @property
    def text(self) -> str:
        """For the provenance."""
        counts = {"levels": self.level, "shapes": self.shape, "deviations": self.pair}
        return ", ".join(f"{int(chosen.sum())} of {len(chosen)} {name}" for name, chosen in counts.items())


def choose_parametrization(inputs: ModelInputs) -> Parametrization:
    """Of each effect of a model; what has no sd of its own is never centred."""
    spec, evidence, design = inputs.spec, inputs.evidence, inputs.design
    enough = {"none": np.inf, "all": 0.0}.get(spec.sampling.centring or "", INFORMED)
    patients = evidence.patients
    weight = patients["event"].to_numpy(dtype=float) * patients["weight"].to_numpy(dtype=float)
    events = np.bincount(patients["arm_row"].to_numpy(dtype=int), weights=weight, minlength=len(evidence.arms))
    effects, studies = spec.effects, len(design.studies)
    main = np.array([_main_arm(design, events, study) for study in range(studies)], dtype=int)
    level, shapes = np.zeros(studies, dtype=bool), np.zeros(studies, dtype=bool)
    # a centred level and a turn are of normal effects alone
    heavy = spec.level_df is not None
    if effects.study is not None and not spec.free_levels and not heavy:
        level = events[main] * _variance(effects.study.sd) > enough
    if effects.study_shape is not None and not spec.free_shapes and spec.hazard.varies:
        study_events = np.bincount(design.arm_study, weights=events, minlength=studies)
        shapes = OF_SHAPE * study_events * _variance(effects.study_shape.sd) > enough
    pair = np.zeros(len(design.pairs), dtype=bool)
    if effects.study_treatment is not None:
        informed = _of_contrasts(design, events, main) * _variance(effects.study_treatment.sd) > enough
        pair = informed & np.array([study >= 0 and level[study] for study in _pair_studies(design)], dtype=bool)
    return Parametrization(level, shapes, pair, main, turned=not heavy)


def not_centred(inputs: ModelInputs) -> Parametrization:
    """No effect of a study centred; levels and deviations of bases are walked on together where they are normal."""
    chosen = choose_parametrization(inputs)
    none = {name: np.zeros_like(getattr(chosen, name)) for name in ("level", "shape", "pair")}
    return replace(chosen, **none)


def _variance(prior: Prior | None) -> float:
    return 0.0 if prior is None else median(prior) ** 2


def _main_arm(design: Design, events: np.ndarray, study: int) -> int:
    """The base's arm where it has at least a tenth of the study's events, else the arm with most of them."""
    rows = np.flatnonzero(design.arm_study == study)
    treatments = design.arm_treatment[rows]
    last = max(treatments.tolist(), key=lambda index: reference_last(design.treatments[index], design.treatments[0]))
    base = rows[treatments == last]
    if events[base].max() >= 0.1 * events[rows].sum():
        return int(base[np.argmax(events[base])])
    return int(rows[np.argmax(events[rows])])


def _pair_studies(design: Design) -> list[int]:
    """Position of each pair's study, -1 of one that is known from its hazard ratio alone."""
    return [design.studies.index(study) if study in design.studies else -1 for study, _ in design.pairs]


def _of_contrasts(design: Design, events: np.ndarray, main: np.ndarray) -> np.ndarray:
    """Information about the contrast of each pair to the base, where that is the main arm's; none about the base."""
    information = np.zeros(len(design.pairs))
    for p, study in enumerate(_pair_studies(design)):
        pair_events = events[design.arm_pair == p + 1].sum()
        main_is_base = study >= 0 and design.arm_pair[main[study]] == design.pair_base[p] + 1
        if main_is_base and design.pair_base[p] != p and pair_events > 0 and events[main[study]] > 0:
            information[p] = 1 / (1 / pair_events + 1 / events[main[study]])
    return information
