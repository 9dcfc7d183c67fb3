"""Mixes of arms as PyMC variables: the population of arms, what arms print, and what they do not."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_bm.hazards.modifiers.averaged_over_covariates import AveragedOverCovariates
from bayes_bm.model.covariates.arm_mixes import ArmMixes, mix_offsets, printed_log_density, share_log_density
from bayes_bm.model.linear_predictor import Effects
from bayes_bm.model.model_inputs import ModelInputs
from bayes_bm.model.pymc_graph.observed import CovariateAverage
from bayes_bm.model.pymc_graph.priors import differences_variable, variable
from bayes_bm.model.pymc_graph.pytensor_namespace import TENSOR
from bayes_bm.spec.document import Spec


def average_over_mixes(inputs: ModelInputs, effects: Effects) -> CovariateAverage | None:
    """Average arms over their mixes, known or not; the parameters of the population of arms come with it."""
    mixes = inputs.arm_mixes
    if mixes is None:
        return None
    values, spread = _mixes_of_arms(inputs.spec, mixes)
    offsets, log_weight = mix_offsets(effects, inputs.spec, mixes, values, spread, xp=TENSOR)
    wide = pt.concatenate([offsets, log_weight], axis=1)
    return CovariateAverage(AveragedOverCovariates(inputs.arm_family, mixes.count, weighted=True), wide)


def _mixes_of_arms(spec: Spec, mixes: ArmMixes) -> tuple[Any, Any]:
    """Share or mean, and sd inside, of each arm (arm, covariate); densities of what is printed are added."""
    unknown = mixes.unknown
    standard = pm.Normal("case_mix_standard", dims="unknown_mix") if unknown.any() else pt.zeros(0)
    z: Any = pt.zeros(unknown.shape)
    z = pt.set_subtensor(z[np.nonzero(unknown)], standard)
    values, spreads, means, sds, differences, withins = [], [], [], [], [], []
    for column, (name, term) in enumerate(spec.covariates.items()):
        mix = term.case_mix
        if mix is None:
            raise TypeError(f"{name} without a case mix was not checked by parse_spec")
        mean, sd = variable(f"mix_mean_{name}", mix.mean), variable(f"mix_sd_{name}", mix.sd)
        location: Any = mean + pt.zeros(len(mixes.arms))
        if mix.by_treatment is not None:
            priors = mix.differences(spec.treatments.names)
            difference = differences_variable(f"mix_by_{name}", priors, "mix_treatment")
            differences.append(difference)
            location = mean + difference[mixes.treatment]
        two, printed = bool(mixes.two_valued[column]), mixes.printed[:, column]
        within = pt.zeros(len(mixes.arms))
        if not two and mix.within_sd is not None:
            common = variable(f"mix_within_{name}", mix.within_sd)
            withins.append(common)
            known = mixes.within[:, column]
            within = pt.switch(np.isfinite(known), np.nan_to_num(known), common)
        level = location + sd * z[:, column]
        _add_printed(name, column, mixes, location, sd, within, level)
        value = pt.sigmoid(level) if two else level
        values.append(pt.switch(np.isfinite(printed), np.nan_to_num(printed), value))
        spreads.append(within)
        means.append(mean)
        sds.append(sd)
    pm.Deterministic("case_mix_mean", pt.stack(means), dims="covariate")
    pm.Deterministic("case_mix_sd", pt.stack(sds), dims="covariate")
    if differences:
        pm.Deterministic("case_mix_by_treatment", pt.concatenate(differences), dims="case_mix_term")
    if withins:
        pm.Deterministic("case_mix_within", pt.stack(withins), dims="spread_covariate")
    whole: Any = pm.Deterministic("case_mix", pt.stack(values, axis=1), dims=("case_mix_arm", "covariate"))
    return whole, pt.stack(spreads, axis=1)


def _add_printed(name: str, column: int, mixes: ArmMixes, location: Any, sd: Any, within: Any, level: Any) -> None:
    """Densities of printed shares and means about the population, and of shares of few about their arm's own."""
    terms: list[Any] = []
    if mixes.informative[:, column].any():
        density = printed_log_density(mixes, column, location, sd[None], within, xp=TENSOR)
        terms.append(pt.sum(density))
    few = np.flatnonzero(np.isfinite(mixes.counted[:, column]) & mixes.averaged)
    if len(few):
        counted, size = mixes.counted[few, column], mixes.size[few, column]
        terms.append(pt.sum(share_log_density(counted, size, level[few], xp=TENSOR)))
    if terms:
        total: Any = sum(terms)
        pm.Potential(f"case_mix_printed_{name}", total)
