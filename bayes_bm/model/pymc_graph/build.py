"""Spec + evidence -> pm.Model.

Every datum enters through `pm.Data`, every kind of evidence is its own named observed variable with a density that can
be simulated from, and effects are written non-centred (with tens of patients a study, the better choice:
docs/decisions.md#facts-about-the-libraries). The model knows nothing of files.
"""

from dataclasses import replace

import pymc as pm

from bayes_bm.evidence.records import Evidence
from bayes_bm.model.covariates import missing
from bayes_bm.model.covariates.arm_mixes import mix_labels
from bayes_bm.model.design import Design, labels, location_labels
from bayes_bm.model.linear_predictor import arm_predictors
from bayes_bm.model.model_inputs import ModelInputs, prepare
from bayes_bm.model.observations import is_arm_level
from bayes_bm.model.pymc_graph.case_mix import average_over_mixes
from bayes_bm.model.pymc_graph.effects import make_effects
from bayes_bm.model.pymc_graph.hazard_ratios import observe_ratios
from bayes_bm.model.pymc_graph.observed import ArmExpressions, averaged_arms, missing_average, observe
from bayes_bm.model.pymc_graph.prognosis import observe_prognosis
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR
from bayes_bm.spec.document import Spec


def build_model(spec: Spec, evidence: Evidence) -> pm.Model:
    """The hierarchical model. Raises nothing: spec and evidence were checked at the boundary."""
    return build_graph(prepare(spec, evidence))


def build_graph(inputs: ModelInputs) -> pm.Model:
    """The hierarchical model of inputs that are prepared."""
    with pm.Model(coords=coords_of(inputs)) as model:
        effects = make_effects(inputs)
        eta, shape = arm_predictors(effects, _with_data(inputs.design), xp=TENSOR)
        arms = ArmExpressions(inputs.arm_family, eta, tuple(shape), effects, inputs.design)
        average = average_over_mixes(inputs, effects) or averaged_arms(inputs, effects)
        for name, arrays in inputs.tied_kinds.items():
            if name == "hazard_ratios":
                observe_ratios(inputs, arrays, effects)
            elif name == "patients_imputed":
                complete = {key: values for key, values in arrays.items() if key != "blank"}
                observe(name, complete, arms, missing_average(inputs, arrays, effects))
            else:
                observe(name, arrays, arms, average if is_arm_level(name) else None)
        observe_prognosis(inputs, effects)
    return model


def _with_data(design: Design) -> Design:
    """The design with what the arms' predictors read of it as data of the model."""
    names = ["arm_study", "arm_treatment", "arm_pair", *(["arm_bias"] if design.arm_bias.shape[1] else [])]
    return replace(design, **{name: pm.Data(name, getattr(design, name)) for name in names})


def coords_of(inputs: ModelInputs) -> dict[str, list[str]]:
    """Labels of every dimension of a model."""
    # of the coefficients of a flexible baseline the first is one
    knots = {"location": location_labels(inputs.spec, inputs.family)} if inputs.family.knots else {}
    terms = missing.labels(inputs.covariate_models, inputs.spec, inputs.evidence)
    ratios = inputs.prognostic_ratios
    transported = {} if ratios is None else {"transported": list(ratios.transported)}
    mixes = mix_labels(inputs.spec, inputs.arm_mixes)
    return labels(inputs.spec, inputs.design) | knots | {"covariate_law_term": terms} | transported | mixes
