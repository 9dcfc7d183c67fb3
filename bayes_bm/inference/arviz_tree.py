"""The groups of a result as ArviZ reads them: `az.loo`, `az.compare` and its plots work on them unchanged.

posterior             parameters, each with its name and unit
prior                 the same from the priors
log_likelihood        one array `evidence` (chain, draw, row) of all rows of evidence, whatever their kind
posterior_predictive  what rows of each kind would print again
observed_data         what they print, under the same names
constant_data         the numbers of the evidence as they were stored
sample_stats          of the sampler
"""

import numpy as np
import xarray as xr

from bayes_bm.inference.predictive_draws import predictive_draws
from bayes_bm.inference.predictors import Predictors
from bayes_bm.inference.prior_draws import prior_draws
from bayes_bm.spec.document import Spec
from bayes_bm.spec.effect_measure import measure_of

MOST_PRIOR_DRAWS = 4000
"""Draws of the priors at most, all chains together."""


def named_posterior(spec: Spec, posterior: xr.Dataset) -> xr.Dataset:
    """Return the posterior with what each array is and its unit in its attributes."""
    words = _words(spec)
    named = posterior.copy()
    for name in named.data_vars:
        named[name].attrs = {"long_name": words.get(str(name), str(name).replace("_", " ")), "units": "1"}
    return named


def _words(spec: Spec) -> dict[str, str]:
    measure = measure_of(spec)
    time, reference = f"{spec.reference_time:g} {spec.time_unit}", spec.treatments.reference
    level = "log cumulative hazard" if measure.effect == "log_hr" else "log of the location of time"
    return {
        "intercept": f"{level} at {time}",
        measure.effect: f"log {measure.words} against {reference}",
        "log_shape": "log shape of the hazard",
        "study_sd": "sd of levels between studies",
        "study_treatment_sd": "sd of a contrast between studies",
        "study_shape_sd": "sd of log shapes between studies",
        "coefficient": f"log {measure.words} per scale of a covariate",
        "study_effect": "level of a study" + ("" if spec.free_levels else ", less the intercept"),
        "study_treatment_effect": "deviation of a treatment in a study",
        "study_log_shape": "log shape of a study" + ("" if spec.free_shapes else ", less log_shape"),
        "case_mix": "logit of a share, or a mean, of an arm",
        "bias": "log hazard ratio of a bias, or a time of the clock",
    }


def joint_log_likelihood(predictors: Predictors, kinds: xr.Dataset) -> xr.Dataset:
    """Return the log-likelihood of all kinds as one array (chain, draw, row), rows by kind and number, with studies."""
    if not kinds.data_vars:
        return xr.Dataset()
    arrays = [kinds[name].transpose("chain", "draw", ...) for name in kinds.data_vars]
    names = [str(name) for name in kinds.data_vars for _ in range(kinds[name].shape[-1])]
    labels = [f"{name} {row}" for name in kinds.data_vars for row in range(kinds[name].shape[-1])]
    values = np.concatenate([array.to_numpy() for array in arrays], axis=-1)
    studies = [study for name in kinds.data_vars for study in _studies(predictors, str(name), kinds[name].shape[-1])]
    joint = xr.DataArray(
        values,
        dims=("chain", "draw", "row"),
        coords={"row": labels, "kind": ("row", names), "study": ("row", studies)},
        attrs={"long_name": "log-likelihood of a row of evidence", "units": "1"},
    )
    return xr.Dataset({"evidence": joint})


def _studies(predictors: Predictors, name: str, rows: int) -> list[str]:
    """Return the study of each row of a kind, blank where a row is no arm's."""
    evidence, arrays = predictors.inputs.evidence, predictors.inputs.kinds.get(name, {})
    arm_rows = np.asarray(arrays.get("arm_row", []), dtype=int)
    if len(arm_rows) == rows:
        return [str(study) for study in evidence.arms["study"].iloc[arm_rows]]
    if len(evidence.arms) == rows and len(arm_rows):
        return [str(study) for study in evidence.arms["study"]]
    if name == "hazard_ratios":
        return sorted({str(study) for study in evidence.hazard_ratios["study"]})[:rows]
    return [""] * rows


def arviz_groups(
    predictors: Predictors, posterior: xr.Dataset, *, kinds: xr.Dataset, imputed: bool
) -> dict[str, xr.Dataset]:
    """Return the groups that ArviZ's functions ask for; of a stack of imputations only what is common to all."""
    inputs = predictors.inputs
    chains = posterior.sizes["chain"]
    draws = min(posterior.sizes["draw"], max(1, MOST_PRIOR_DRAWS // chains))
    prior = prior_draws(inputs, chains=chains, draws=draws)
    known = [name for name in posterior.data_vars if name in prior.data_vars and not _is_truncated(inputs.spec, name)]
    groups = {
        "posterior": named_posterior(inputs.spec, posterior),
        "prior": named_posterior(inputs.spec, prior[known]),
        "log_likelihood": joint_log_likelihood(predictors, kinds),
    }
    if imputed:
        return groups
    predictive = predictive_draws(predictors)
    return {**groups, "posterior_predictive": predictive.replicated, "observed_data": predictive.observed}


def _is_truncated(spec: Spec, name: object) -> bool:
    """Whether a parameter's prior is cut where patients were seen, which draws of the priors do not know."""
    return name == "bias" and bool(spec.unknown_clocks)
