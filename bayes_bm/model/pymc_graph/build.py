"""Spec + evidence -> pm.Model.

Every datum enters through `pm.Data`, every kind of evidence is its own named observed variable with a density that can
be simulated from, and effects are written non-centred (with tens of patients a study, the better choice:
docs/decisions.md#non-centred-effects). The model knows nothing of files.
"""

import pymc as pm

from bayes_bm.evidence.clocks import arm_family
from bayes_bm.evidence.records import Evidence
from bayes_bm.hazards import Family
from bayes_bm.model.baseline_hazard import family_of
from bayes_bm.model.covariates import missing
from bayes_bm.model.design import Design, labels, location_labels, make_design
from bayes_bm.model.observations import is_arm_level, observations
from bayes_bm.model.pymc_graph.effects import arm_predictors, make_parts, make_slopes
from bayes_bm.model.pymc_graph.hazard_ratios import observe_ratios
from bayes_bm.model.pymc_graph.observed import covariate_average, missing_average, observe
from bayes_bm.spec.document import Spec


def build_model(spec: Spec, evidence: Evidence) -> pm.Model:
    """The hierarchical model. Raises nothing: spec and evidence were checked at the boundary."""
    shape, family = make_design(spec, evidence), family_of(spec, evidence)
    with pm.Model(coords=_coords(spec, evidence, shape, family)) as model:
        parts = make_parts(spec, shape, family)
        eta, of_arm = arm_predictors(parts, shape)
        by_treatment = make_slopes(spec, shape)
        slopes, of_arms = by_treatment, arm_family(family, shape.clocks)
        if by_treatment is not None and by_treatment.type.ndim == 2:
            slopes = by_treatment[shape.arm_treatment]
        mixed = covariate_average(spec, evidence, family, slopes)
        for name, arrays in observations(spec, evidence, family, ties=True).items():
            if name == "hazard_ratios":
                observe_ratios(arrays, parts, shape, family, by_treatment, proportional=spec.proportional)
            elif name == "patients_imputed":
                known = {key: values for key, values in arrays.items() if key != "blank"}
                lacked = missing_average(spec, evidence, family, arrays, slopes)
                observe(name, known, of_arms, eta, of_arm, slopes, lacked)
            else:
                observe(name, arrays, of_arms, eta, of_arm, slopes, mixed if is_arm_level(name) else None)
    return model


def _coords(spec: Spec, evidence: Evidence, shape: Design, family: Family) -> dict[str, list[str]]:
    # of the coefficients of a flexible baseline the first is one
    knots = {"location": location_labels(spec, family)} if family.knots else {}
    return labels(spec, shape) | knots | {"covariate_law_term": missing.labels(spec, evidence)}
