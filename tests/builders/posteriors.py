"""Results made by hand: a posterior that is stated, not sampled, so that every answer can be worked out beside it."""

from typing import Any

import numpy as np
import xarray as xr

from bayes_bm.evidence.records import Evidence
from bayes_bm.inference.gate import Gate
from bayes_bm.inference.result import Result
from bayes_bm.model.design import make_design
from bayes_bm.spec.document import Spec

PASSED = Gate((), 0, 0, float("inf"), 0.9, ())
DIMS = {
    "log_hr": "treatment",
    "treatment_log_shape": "treatment",
    "study_effect": "study",
    "study_log_shape": "study",
    "study_treatment_effect": "study_treatment",
    "coefficient": "covariate",
    "interaction": "modified",
    "bias": "bias_term",
}


def result(
    spec: Spec, evidence: Evidence, *, chains: int = 2, draws: int = 8, seed: int = 1, gate: Gate = PASSED, **fixed: Any
) -> Result:
    """Every parameter the spec has, at random; `fixed` gives some by name: a number, or one for each label."""
    rng, shape = np.random.default_rng(seed), make_design(spec, evidence)
    labels = {
        "treatment": list(shape.compared),
        "study": list(shape.studies),
        "study_treatment": shape.pair_labels,
        "covariate": list(spec.covariates),
        "modified": list(spec.modifiers),
        "bias_term": list(spec.unknown_biases),
    }
    variables = {}
    for name, (middle, spread) in _parameters(spec).items():
        dims = ("chain", "draw", DIMS[name]) if name in DIMS else ("chain", "draw")
        size = (chains, draws, len(labels[DIMS[name]])) if name in DIMS else (chains, draws)
        values = middle + spread * rng.standard_normal(size)
        if name in fixed and name != "interaction":
            values = np.broadcast_to(np.asarray(fixed[name], dtype=float), size).copy()
        variables[name] = (dims, np.abs(values) if name.endswith("_sd") else values)
    if "interaction" in variables:
        # the same for every treatment, unless it is given
        own = (chains, draws, len(shape.compared), len(spec.modifiers))
        values = np.broadcast_to(fixed.get("interaction", variables["interaction"][1][:, :, None, :]), own).copy()
        variables["interaction"] = (("chain", "draw", "treatment", "effect_modifier"), values)
        labels["effect_modifier"] = list(spec.modifiers)
    used = {dim for dims, _ in variables.values() for dim in dims[2:]}
    posterior = xr.Dataset(variables, coords={dim: names for dim, names in labels.items() if dim in used})
    empty = xr.Dataset()
    return Result(spec, evidence, posterior, empty, empty, empty, gate)


def _parameters(spec: Spec) -> dict[str, tuple[float, float]]:
    """Middle and spread of what a posterior of this spec holds, by name."""
    effects = spec.effects
    free_level, free_shape = spec.free_levels, spec.free_shapes
    found = {
        "intercept": (0.2, 0.3) if not free_level else None,
        "log_hr": (-0.2, 0.3),
        "log_shape": (0.1, 0.1) if not free_shape else None,
        "treatment_log_shape": (0.1, 0.1) if spec.priors.treatment_log_shape else None,
        "study_sd": (0.5, 0.1) if effects.study and not free_level else None,
        "study_treatment_sd": (0.3, 0.05) if effects.study_treatment else None,
        "study_shape_sd": (0.2, 0.05) if effects.study_shape and not free_shape else None,
        "study_effect": (0.0, 0.4) if effects.study else None,
        "study_log_shape": (0.0, 0.2) if effects.study_shape else None,
        "study_treatment_effect": (0.0, 0.3) if effects.study_treatment else None,
        "coefficient": (0.1, 0.3) if spec.covariates else None,
        "interaction": (-0.1, 0.2) if spec.modifiers else None,
        "bias": (0.1, 0.3) if spec.unknown_biases else None,
    }
    return {name: law for name, law in found.items() if law is not None}
