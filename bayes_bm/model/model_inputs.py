"""What a spec and its evidence say to a model, worked out once and handed on.

`prepare` makes the record; the PyMC graph, the compiled density, the posterior and the checks read it. Each part is
worked out when it is first asked for, so that whoever needs the design alone does not wait for the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayes_bm.evidence.arm_covariates import averaged_arms, patients_with_missing_covariates
from bayes_bm.evidence.clocks import arm_family
from bayes_bm.evidence.hazard_ratios import averaged_ratios
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import Family
from bayes_bm.model.baseline_hazard import family_of
from bayes_bm.model.covariates.arm_mixes import ArmMixes, arm_mixes
from bayes_bm.model.covariates.integration_points import arm_points
from bayes_bm.model.covariates.missing import CovariateModel, covariate_models
from bayes_bm.model.design import Design, make_design
from bayes_bm.model.observations import merge_ties, observations
from bayes_bm.model.prognosis import PrognosticRatios, prognostic_arrays
from bayes_bm.spec.document import Spec

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class ModelInputs:
    """The inputs of one model: spec, evidence and everything that follows from them without a posterior."""

    spec: Spec
    evidence: Evidence
    points_of_whole: np.ndarray | None = None
    """Of a part of some evidence: integration points of its arms as the whole has them (arm, point, covariate)."""

    @cached_property
    def design(self) -> Design:
        """Who shares which effect."""
        return make_design(self.spec, self.evidence)

    @cached_property
    def family(self) -> Family:
        """The hazard family with its knots, cured share and background mortality."""
        return family_of(self.spec, self.evidence)

    @cached_property
    def arm_family(self) -> Family:
        """The family of study arms at their covariates' centres: on their own clocks, where these are unknown."""
        return arm_family(self.family, self.design.clocks)

    @cached_property
    def kinds(self) -> dict[str, Arrays]:
        """Arrays of every kind of evidence that has rows, by its name."""
        return observations(
            self.spec, self.evidence, self.family, missing=self.missing_patients, crude=self.averaged_ratios
        )

    @cached_property
    def tied_kinds(self) -> dict[str, Arrays]:
        """The same, with patients who are alike in all but weight as one row where arms are averaged."""
        averaged = self.kinds.get("patients_averaged")
        return self.kinds if averaged is None else {**self.kinds, "patients_averaged": merge_ties(averaged)}

    @cached_property
    def averaged_arms(self) -> np.ndarray:
        """True for arms that are averaged over the covariates they state (arm,)."""
        return averaged_arms(self.spec, self.evidence.arms, self.evidence.patients)

    @property
    def any_averaged(self) -> bool:
        """Whether any arm is averaged over its covariates."""
        return bool(self.averaged_arms.any())

    @cached_property
    def averaged_ratios(self) -> np.ndarray:
        """True for hazard ratios that are averaged over their study's covariates (ratio,)."""
        return averaged_ratios(self.evidence.hazard_ratios, self.spec)

    @cached_property
    def arm_mixes(self) -> ArmMixes | None:
        """What each arm says of its patients' mix; None where the spec does not model mixes."""
        return arm_mixes(self.spec, self.evidence)

    @property
    def any_integrated(self) -> bool:
        """Whether any arm is averaged at quasi-random points of what it states."""
        return self.any_averaged and not self.spec.case_mixes

    @cached_property
    def prognostic_ratios(self) -> PrognosticRatios | None:
        """Published ratios of covariates; None where there are none."""
        return prognostic_arrays(self.spec, self.evidence)

    @cached_property
    def arm_points(self) -> np.ndarray:
        """Covariates of each arm at each integration point, centred and scaled (arm, point, covariate)."""
        if self.points_of_whole is not None:
            return self.points_of_whole
        return self.points(self.spec.integration.points)

    def points(self, count: int, *, scrambling: int = 0) -> np.ndarray:
        """As `arm_points`, so many, with another scrambling of the quasi-random points where asked for."""
        return arm_points(self.spec, self.evidence, self.averaged_arms, points=count, scrambling=scrambling)

    @cached_property
    def missing_patients(self) -> np.ndarray:
        """True for patients who are averaged over covariates that they lack (patient,)."""
        return patients_with_missing_covariates(self.spec, self.evidence)

    @cached_property
    def covariate_models(self) -> tuple[CovariateModel, ...]:
        """Models of the covariates that single patients lack, given arm and other covariates."""
        return covariate_models(self.spec, self.evidence, self.missing_patients)

    def with_rows(self, kinds: Mapping[str, Arrays]) -> "ModelInputs":
        """Keep the model and give it other rows of evidence: all that followed from the whole evidence stays.

        Patients themselves are left out; what is left of them are their arrays in `kinds`.
        """
        patients = self.evidence.patients
        part = replace(self, evidence=replace(self.evidence, patients=patients[:0]))
        if self.any_integrated:
            part = replace(part, points_of_whole=self.arm_points)
        # a cached property is a name in the record's own dictionary
        vars(part).update({name: getattr(self, name) for name in OF_WHOLE}, kinds=dict(kinds))
        return part


OF_WHOLE = (
    *("design", "family", "arm_family", "averaged_arms", "averaged_ratios", "arm_mixes", "prognostic_ratios"),
    *("missing_patients", "covariate_models"),
)
"""What follows from all patients of the evidence."""


def prepare(spec: Spec, evidence: Evidence, *, points_of_whole: np.ndarray | None = None) -> ModelInputs:
    """Hand on a spec and its evidence as one record. Both were checked at the boundary."""
    return ModelInputs(spec, evidence, points_of_whole)
